//! The same trace through both, one request after the other, and what their stick tables know afterwards.

use crate::load::{self, Client, next};
use crate::side::{Programs, Side};
use anyhow::Result;
use std::collections::BTreeMap;
use std::io::{Write as _, stdout};
use std::path::PathBuf;

const REQUESTS: usize = 5_000;
const CONFIG: &str = "
global
    stats socket {runtime} level admin
    nbthread 1
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 60s
frontend f
    bind {front}
    http-request track-sc0 req.hdr(x-user) table users
    http-request track-sc1 path table paths
    http-request sc-inc-gpc0(0) if { req.hdr(x-mark) 1 }
    http-request sc-set-gpt0(1) int(7) if { req.hdr(x-mark) 2 }
    http-request deny if { path_beg /forbidden }
    default_backend b
backend b
    balance roundrobin
    stick on req.cook(session) table sessions
    server s1 {one}
    server s2 {one} weight 2
    server s3 {one} weight 3
backend users
    stick-table type string len 32 size 2k expire 1h store conn_cnt,conn_cur,sess_cnt,http_req_cnt,http_err_cnt,http_fail_cnt,gpc0,bytes_in_cnt,bytes_out_cnt,http_req_rate(1h)
backend paths
    stick-table type string len 32 size 2k expire 1h store http_req_cnt,gpt0,http_err_cnt
backend sessions
    stick-table type string len 32 size 2k expire 1h
";

pub(crate) fn run(programs: &Programs) -> Result<()> {
    let [ours, theirs] = programs.each(|_, program| replay(program))?;
    let mut differences = 0;
    for (table, rows) in &theirs {
        for (key, data) in rows {
            let got = ours.get(table).and_then(|rows| rows.get(key));
            if got != Some(data) {
                differences += 1;
                writeln!(
                    stdout().lock(),
                    "{table} {key}: {data} with haproxy, {} with proxyd",
                    got.map_or("nothing", String::as_str)
                )?;
            }
        }
        writeln!(
            stdout().lock(),
            "{table}: {} entries with haproxy, {} with proxyd",
            rows.len(),
            ours.get(table).map_or(0, BTreeMap::len)
        )?;
    }
    anyhow::ensure!(differences == 0, "{differences} entries differ");
    writeln!(stdout().lock(), "the same after {REQUESTS} requests")?;
    Ok(())
}

type Tables = BTreeMap<&'static str, BTreeMap<String, String>>;

fn replay(program: &PathBuf) -> Result<Tables> {
    let origin = load::serve(|target| match target {
        target if target.ends_with('7') => load::response("404 Not Found", "no"),
        target if target.ends_with('8') => load::response("500 Oops", "oops"),
        target => load::response("200 OK", target),
    })?;
    let side = Side::start(program, &CONFIG.replace("{one}", &origin.to_string()))?;
    let mut client = Client::connect(side.front)?;
    let mut random = 0x5eed_5eed;
    for _ in 0..REQUESTS {
        let (user, path, session) = (next(&mut random) % 300, next(&mut random) % 100, next(&mut random) % 200);
        let folder = if next(&mut random).is_multiple_of(20) { "forbidden" } else { "page" };
        let mark = next(&mut random) % 4;
        let mut fields = format!("X-User: u{user}\r\nX-Mark: {mark}\r\n");
        if session < 150 {
            fields.extend(["Cookie: a=b; session=c", &session.to_string(), "\r\n"]);
        }
        if next(&mut random).is_multiple_of(10) {
            client = Client::connect(side.front)?;
        }
        client.ask(&format!("/{folder}/{path}"), &fields)?;
    }
    drop(client);
    let mut tables = Tables::new();
    for table in ["users", "paths", "sessions"] {
        let told = side.command(&format!("show table {table}"))?;
        tables.insert(table, told.lines().filter_map(entry).collect());
    }
    Ok(tables)
}

/// `0x55d: key=u1 use=0 exp=3599 shard=0 gpc0=1 …`: the key, and what is not an address, a time or a place.
fn entry(line: &str) -> Option<(String, String)> {
    let mut words = line.split(' ');
    words.next().filter(|word| word.starts_with("0x"))?;
    let key = words.next()?.strip_prefix("key=")?.to_owned();
    let told = words.filter(|word| !word.starts_with("exp=") && !word.starts_with("shard="));
    Some((key, told.collect::<Vec<_>>().join(" ")))
}
