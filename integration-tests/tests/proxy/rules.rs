//! Rules on the path of a request: what the server sees and what the client gets, case by case as haproxy 2.6 does it.
//!
//! `rules.txt` was written by haproxy: `SUBJECT=theirs BLESS=1 cargo test -p integration-tests --test proxy rules`. Fields are sorted and
//! those that only concern the connection left out, as their order and presence are not what rules are about.

use super::rig::{Rig, answering, read_all, recorded};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

const CONFIG: &str = "
global
    nbthread 1
    expose-experimental-directives
    h1-case-adjust host Host
    h1-case-adjust x-a X-a
    h1-case-adjust x-r X-R
    h1-case-adjust content-type Content-Type
defaults
    mode http
    timeout client 2s
    timeout server 1s
    timeout connect 1s
    timeout tarpit 50ms
userlist u
    user joe insecure-password pw
userlist kept
    user joe password $5$saltsalt$0rl.MZtoLLPP3X0Rdl8riRnphIcAXJY27/aOAyK2hB5
http-errors e
    errorfile 403 FILE
frontend f
    bind {front}
RULES
    default_backend d
backend d
    server s {server}
backend b
    server s {server}
    http-request set-header x-be b
backend c
    option h1-case-adjust-bogus-server
    server s {server}
";

/// Sent one after the other, each over a connection of its own.
const REQUESTS: [&str; 3] = [
    "GET /a/b?x=1 HTTP/1.1\r\nHost: h.ex\r\nX-A: 1, 2\r\nX-A: 3\r\nCookie: a=b\r\nConnection: close\r\n\r\n",
    "GET /p HTTP/1.1\r\nHost: h.ex\r\nAuthorization: Basic am9lOnB3\r\nConnection: close\r\n\r\n",
    "HEAD /a HTTP/1.0\r\n\r\n",
];

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: echo\r\nX-R: 1\r\nContent-Length: 2\r\n\r\nok";

/// A whole answer; `FILE` stands for it.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxy/refused.http");

/// The rules of each case, one line of the frontend after the other.
const CASES: &[&[&str]] = &[
    &["http-request deny"],
    &["http-request deny deny_status 429"],
    &["http-request deny if { path_beg /a }"],
    &["http-request set-header X-P \"%[path] %[query] %ci\" if { hdr(x-a) 3 }"],
    &["http-request add-header X-A new"],
    &["http-request del-header X-A"],
    &["http-request del-header x-a -m beg if TRUE"],
    &["http-request replace-header X-A (.*),(.*) \\2;\\1"],
    &["http-request replace-value X-A 1 9"],
    &["http-request replace-header X-A , z"],
    &["http-request replace-value X-A ^2$ z"],
    &["http-request replace-value X-A ^1$ z"],
    &["http-request set-header X-A 'a,\"b,\\\\\\\",c\" , d'", "http-request replace-value X-A (.*) <\\1>"],
    &["http-request replace-path /b z"],
    &["http-request replace-path /b /z"],
    &["http-request replace-uri x=. /q"],
    &["http-request replace-path /a(.*) /z\\1"],
    &["http-request replace-pathq (.*) /q\\1&k=v"],
    &["http-request replace-uri ^/(.*) /u/\\1"],
    &["http-request set-path /new"],
    &["http-request set-query y=2"],
    &["http-request set-pathq /n?z"],
    &["http-request set-uri /whole?q"],
    &["http-request set-method PUT"],
    &["http-request redirect location /x/%[path]"],
    &["http-request redirect prefix http://p if { path_beg /a }"],
    &["http-request redirect scheme https code 301 if !{ ssl_fc }"],
    &["redirect location /l set-cookie A=1"],
    &["redirect prefix /q drop-query append-slash if METH_GET"],
    &["http-request allow", "redirect location /after-allow"],
    &["http-request auth realm \"my realm\" unless { http_auth(u) }"],
    &["http-request deny unless { http_auth(kept) }"],
    &["http-request return status 200 content-type text/plain string hello"],
    &["http-request return status 404 content-type text/x lf-string \"p=%[path]\" hdr X-Y %[method]"],
    &["http-request return"],
    &["http-request tarpit"],
    &["http-request reject"],
    &["http-request allow", "http-request deny"],
    &["http-response set-header X-R 2"],
    &["http-response add-header X-R 2"],
    &["http-response del-header Server"],
    &["http-response deny"],
    &["http-response set-status 503"],
    &["http-response set-status 404 reason \"No way\""],
    &["http-response replace-value X-R 1 7"],
    &["http-response return status 200 content-type text/plain string x"],
    &["http-response redirect location /r"],
    &["http-response set-header X-Q %[status]"],
    &["http-after-response set-header X-After 1"],
    &["http-after-response set-header X-After 1", "http-request deny"],
    &["http-after-response set-status 201"],
    &["use_backend b if { path_beg /a }"],
    &["use_backend b if { hdr(host) -i H.EX }"],
    &["use_backend %[path,field(2,/)]"],
    &["acl a path_beg /a", "acl a path_beg /p", "use_backend b if a"],
    &["acl a path_end b", "acl c path_beg /a", "use_backend b if a c"],
    &["use_backend b unless { path_beg /a }"],
    &["use_backend d if { path_beg /a/ }", "use_backend b if { path_beg /a }", "use_backend d if { path_beg / }"],
    &["tcp-request connection reject"],
    &["tcp-request connection reject if { src 127.0.0.1 }"],
    &["tcp-request session reject if { src 10.0.0.0/8 }"],
    &["tcp-request content reject if { path_beg /a }"],
    &["tcp-request content accept"],
    &["monitor-uri /p", "monitor fail if { path_beg /p }"],
    &["http-request set-header X-L \"%[req.hdr_cnt(x-a)] %[hdr(x-a,1)] %[url_param(x)] %[nbsrv(d)] %[method,lower]\""],
    &["http-request deny if HTTP_1.0"],
    &["http-request deny if METH_GET { path /p }"],
    &["http-request set-header Host other"],
    &["http-request set-header X-V %[bin(610a62)]"],
    &["http-request replace-path /a(.*) /%[req.hdr(x-a,1)]\\1"],
    &["http-request replace-header X-A (?<=1),(.*) ;\\1"],
    &["http-request deny if { path_reg ^/(?!p) }"],
    &["http-request set-map(/dev/null) %[path] seen", "http-request set-header X-M %[path,map(/dev/null,no)]"],
    &["http-request set-var(txn.a) path", "http-response set-header X-V %[var(txn.a)]"],
    &["http-request set-var(req.a) path", "http-response set-header X-V \"<%[var(req.a)]>\""],
    &["http-response set-var(res.a) status", "http-response set-header X-V %[var(res.a)]"],
    &[
        "http-request set-var(txn.a,ifnotexists) str(1)",
        "http-request set-var(txn.a,ifnotset) str(2)",
        "http-request set-var-fmt(txn.a,ifexists,ifset) %[var(txn.a)],%[method]",
        "http-request set-header X-V %[var(txn.a)]",
    ],
    &[
        "http-request set-var(txn.a,ifexists) str(1)",
        "http-request set-var(txn.b) str(1)",
        "http-request unset-var(txn.b)",
        "http-request set-var(txn.b,ifset) str(2)",
        "http-request set-var(txn.c,ifnotset,ifexists) str(3)",
        "http-request set-header X-V \"%[var(txn.a)] %[var(txn.b)] %[var(txn.c)]\"",
        "http-request set-var(txn.b,ifexists,ifnotset) str(3)",
        "http-request set-header X-W %[var(txn.b)]",
    ],
    &[
        "http-request set-var(txn.a,ifnotempty) query",
        "http-request set-var(txn.b) str(old)",
        "http-request set-var(txn.b,ifempty) query",
        "http-request set-var(txn.c,ifempty) int(0)",
        "http-request set-var(txn.d,ifnotempty) int(0)",
        "http-request set-header X-V \"<%[var(txn.a)] %[var(txn.b)] %[var(txn.c)] %[var(txn.d)]>\"",
    ],
    &[
        "http-request set-var(txn.a,ifgt) int(5)",
        "http-request set-var(txn.a,ifgt) int(6)",
        "http-request set-var(txn.a,iflt,ifset) int(9)",
        "http-request set-var(txn.a,iflt) int(9)",
        "http-request set-var(txn.b) str(a)",
        "http-request set-var(txn.b,ifgt) int(9)",
        "http-request set-header X-V \"%[var(txn.a)] %[var(txn.b)]\"",
    ],
    &[
        "http-request set-header X-V \"<%[path,set-var(txn.a,ifexists)] %[path,set-var(txn.a,ifnotexists,ifnotempty)]>\"",
        "http-request set-header X-W \"%[var(txn.a)]\"",
    ],
    &[
        "http-request set-var(proc.never,ifexists,ifnotset) str(1)",
        "http-request set-var(proc.never,ifnotexists) str(2)",
        "http-request set-header X-V \"%[var(proc.never)]\"",
    ],
    &[
        "unique-id-format %{+X}o\\ %ci_%fi_%rt_%HM_%[path]_%{-X}rt_%b_%s_%[var(txn.a)]_%hr",
        "unique-id-header X-Unique-ID",
        "option forwardfor",
        "capture request header x-a len 4",
        "http-request set-var(txn.a) str(later)",
        "http-request set-header X-V \"<%ID>\"",
        "http-request set-header X-W \"<%[unique-id]> <%ID>\" if { path /p }",
    ],
    &["unique-id-format \"  %{+X}o  <%[hdr(none)]>   %[hdr(none)]   x %ID  %b  \"", "unique-id-header x"],
    &["stats uri /p", "stats http-request auth"],
    &["stats uri /p", "stats http-request auth realm \"of the page\"", "http-response set-header X-No 1"],
    &["stats uri /p", "stats http-request deny if { http_auth(kept) }"],
    &["stats uri /a", "stats http-request redirect location /else if { path /a }", "stats http-request deny"],
    &["stats uri /a", "stats http-request return status 202 content-type a/b string x"],
    &["http-request deny errorfiles e"],
    &["http-request deny deny_status 404 errorfiles e"],
    &["http-request return errorfile FILE"],
    &[
        "http-request return status 403 errorfiles e hdr X-H ignored",
        "http-after-response set-header x-after %[status]",
    ],
    &["http-response deny errorfile FILE"],
    &["http-request deny deny_status 408"],
    &["unique-id-header x", "http-request set-header X-V \"<%ID>\""],
    &["http-request set-header X-V \"%{+Q}f %{+X}ci %{+Q,+X}fi %{+Q}HU <%{+Q}s> <%s> %{+E}r %HP %HPO %HQ %HV %ST\""],
    &["http-response set-header X-V \"%b %s %ST %HM %r %hr\""],
    &["use_backend c"],
    &["option h1-case-adjust-bogus-client"],
    &["option h1-case-adjust-bogus-client", "http-request return status 200 content-type a/b string x hdr X-A 1"],
    &["errorfile 403 FILE", "http-request deny"],
    &["errorfile 403 /dev/null", "http-request deny"],
    &["http-error status 403 content-type a/b string xyz hdr X-A %[path]", "http-request deny"],
    &["http-error status 403 content-type a/b lf-string \"%[path] %ci\"", "http-request deny if { path_beg /a }"],
    &["http-error status 403", "http-request deny"],
    &["http-error status 403 default-errorfiles", "http-request deny"],
    &["http-error status 403 content-type a/b string xyz", "errorfile 403 FILE", "http-request deny"],
    &["errorfile 403 FILE", "http-error status 403 content-type a/b string xyz", "http-request deny"],
    &["http-error status 403 errorfile FILE", "http-request deny"],
    &["http-error status 403 errorfiles e", "http-request deny"],
    &[
        "http-error status 403 content-type a/b string xyz",
        "http-request return status 403 default-errorfiles",
        "http-after-response set-header x-after %[status]",
    ],
    &["http-error status 404 content-type a/b file FILE", "http-request deny deny_status 404"],
    &[
        "http-request set-path /a/.//../b",
        "http-request normalize-uri path-strip-dot",
        "http-request normalize-uri path-merge-slashes",
    ],
    &["http-request set-path /../a/..", "http-request normalize-uri path-strip-dotdot"],
    &["http-request set-path /../a/..", "http-request normalize-uri path-strip-dotdot full if { path_beg / }"],
    &[
        "http-request set-uri /%%61%%2f%%zz?b&a",
        "http-request normalize-uri percent-decode-unreserved",
        "http-request normalize-uri percent-to-uppercase",
        "http-request normalize-uri query-sort-by-name",
    ],
    &["http-request set-uri /%%zz", "http-request normalize-uri percent-to-uppercase strict"],
];

#[test]
fn rules_do_what_haproxys_do() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxy/rules.txt");
    let mut all = String::new();
    for (number, rules) in CASES.iter().enumerate() {
        let text = format!("    {}\n", rules.join("\n    "));
        let rig = Rig::start(
            &format!("rules-{number}"),
            &CONFIG.replace("RULES\n", &text).replace("FILE", FILE),
            answering(RESPONSE),
        );
        for rule in *rules {
            let _ = writeln!(all, "{rule}");
        }
        for request in REQUESTS {
            let mut client = rig.connect();
            // A connection that a rule has refused takes no request, and then there is no answer either.
            let sent = client.write_all(request.as_bytes());
            let (answer, _) = sent.map(|()| read_all(&mut client, Duration::from_secs(1))).unwrap_or_default();
            let _ = writeln!(all, "  client: {}", shown(&answer));
            if answer.contains("x-r: ") || answer.contains("server: echo") {
                let _ = writeln!(all, "  server: {}", shown(&rig.origin.message()));
            } else {
                // What a rule on the response answered, the server had seen before.
                while !rig.origin.is_idle() {}
            }
        }
    }
    recorded(golden, &all);
}

/// A message on one line: the start line, the fields sorted, the body.
fn shown(message: &str) -> String {
    let Some((head, body)) = message.split_once("\r\n\r\n") else { return format!("{message:?}") };
    let mut lines = head.split("\r\n");
    let start = lines.next().unwrap_or_default();
    let is_hop = |line: &&str| line.starts_with("connection: ") || line.starts_with("content-length: ");
    let mut fields: Vec<&str> = lines.filter(|line| !is_hop(line)).collect();
    fields.sort_unstable();
    format!("{start} | {} | {body:?}", fields.join(" | "))
}

#[test]
fn names_are_adjusted_in_what_announces_a_response_too() {
    let rules = "    option h1-case-adjust-bogus-client\n    http-request early-hint x-a 1\n";
    let announced = [&b"HTTP/1.1 103 Early Hints\r\nX-R: 2\r\n\r\n"[..], RESPONSE].concat();
    let rig =
        Rig::start("rules-announced", &CONFIG.replace("RULES\n", rules).replace("FILE", FILE), answering(&announced));
    let mut client = rig.connect();
    client.write_all(REQUESTS[0].as_bytes()).unwrap();
    let (answer, _) = read_all(&mut client, Duration::from_secs(1));
    let hints = "HTTP/1.1 103 Early Hints\r\nX-a: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-R: 2\r\n\r\n";
    assert!(answer.starts_with(hints), "{answer}");
}
