-- A form, as browsers send it.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
wrk.body = "name=example&quantity=3&comment=" .. string.rep("x", 200)
