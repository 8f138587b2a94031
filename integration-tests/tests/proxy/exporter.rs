//! `use-service prometheus-exporter`: `exporter.txt` is what haproxy 2.6 answers, all of its time series, with numbers that
//! depend on the moment written `N`. It is written with
//! `SUBJECT=theirs BLESS=1 cargo test -p integration-tests --test proxy exporter`.

use super::rig::{BOUND, Rig, answering, read_all, talk};
use integration_tests::subject::Subject;
use integration_tests::wait;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

const CONFIG: &str = "
global
    log {log} local0
defaults
    mode http
    log global
    option httplog
    timeout client 5s
    timeout server 5s
    timeout connect 1s
frontend fe
    bind {front} name door
    option socket-stats
    http-request track-sc0 src table addresses
    http-request use-service prometheus-exporter if { path /metrics }
    http-response set-header x-rule %[status]
    default_backend be
frontend tunnels
    mode tcp
    bind {dead}
    default_backend tunnels
frontend off
    bind :1
    disabled
backend be
    http-request use-service prometheus-exporter if { path /late }
    server gone 127.0.0.1:1 check inter 50ms fall 1
    server well {server} weight 3 maxconn 7 maxqueue 9 cookie c
    server maint {server} disabled
    server both {server} check disabled
    server later {server} track gone backup
backend tunnels
    mode tcp
    server t {server}
backend addresses
    stick-table type ip size 100 expire 1m store gpc0
";

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const QUIET: Duration = Duration::from_millis(150);

fn started() -> Rig {
    let rig = Rig::start("exporter", CONFIG, answering(OK));
    let found = || get(&rig, "/metrics?scope=server").contains("server=\"gone\",state=\"L4CON\"} 1").then_some(());
    wait::until("the check fails", BOUND, found).unwrap();
    rig
}

/// The whole answer, without the lengths of chunks.
fn get(rig: &Rig, target: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let (answer, _) = talk(rig, request.as_bytes(), false, QUIET);
    let (head, mut rest) = answer.split_once("\r\n\r\n").unwrap();
    let mut all = format!("{head}\r\n\r\n");
    if !head.contains("chunked") {
        return all + rest;
    }
    while let Some((length, data)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            assert_eq!(data, "\r\n");
            break;
        }
        all.push_str(&data[..length]);
        rest = data[length..].strip_prefix("\r\n").unwrap();
    }
    all
}

/// Without what depends on the moment. Of the process's figures haproxy knows some that proxyd does not.
fn masked(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let figure = line.strip_prefix("haproxy_").and_then(|_| line.rsplit_once(' '));
        let _ = match figure {
            Some((series, _)) if series.starts_with("haproxy_process_build_info") => writeln!(out, "build_info"),
            Some((series, _)) if series.starts_with("haproxy_process_") => writeln!(out, "{series} N"),
            Some((_, value)) if value == "NaN" || line.contains("state=\"") => writeln!(out, "{line}"),
            Some((series, value)) => {
                assert!(value.parse::<f64>().is_ok(), "{line}");
                writeln!(out, "{series} {}", if value.contains('.') { "N.N" } else { "N" })
            }
            None => writeln!(out, "{line}"),
        };
    }
    out
}

#[test]
fn all_time_series_are_haproxys() {
    let rig = started();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxy/exporter.txt");
    let shown = masked(&get(&rig, "/metrics"));
    if std::env::var_os("BLESS").is_some() && Subject::from_env() == Subject::Theirs {
        std::fs::write(golden, &shown).unwrap();
    }
    let expected = std::fs::read_to_string(golden).unwrap();
    for (number, (shown, expected)) in shown.lines().zip(expected.lines()).enumerate() {
        assert_eq!(shown, expected, "line {}", number + 1);
    }
    assert_eq!(shown.lines().count(), expected.lines().count());
}

#[test]
fn the_query_chooses_what_is_shown() {
    let rig = started();
    for (query, expected) in [
        ("?scope=global", "200 process"),
        ("?scope=frontend", "200 frontend"),
        ("?scope=listener&scope=sticktable", "200 listener sticktable"),
        ("?scope=frontend&scope=", "200"),
        ("?scope=&scope=%62ackend", "200 backend"),
        ("?scope=*&scope=server", "200 process frontend listener backend server sticktable"),
        ("?extra-counters&x", "200 process frontend listener backend server sticktable"),
        ("?scope", "400"),
        ("?scope=bogus", "400"),
        ("?scope=server;no-maint", "400"),
        ("?x=%zz", "400"),
    ] {
        let answer = get(&rig, &format!("/metrics{query}"));
        let mut shown = answer[9..12].to_owned();
        for scope in ["process", "frontend", "listener", "backend", "server", "sticktable"] {
            if answer.contains(&format!("\nhaproxy_{scope}_")) {
                let _ = write!(shown, " {scope}");
            }
        }
        assert_eq!(shown, expected, "{query}");
    }
    let answer = get(&rig, "/metrics?no-maint");
    assert!(answer.contains("{proxy=\"be\",server=\"well\"") && !answer.contains("server=\"maint\""));
}

#[test]
fn it_answers_as_a_server_does() {
    let rig = started();
    let head = "HTTP/1.1 200 OK\r\ncache-control: no-cache\r\ncontent-type: text/plain; version=0.0.4\r\n\
                transfer-encoding: chunked\r\nx-rule: 200\r\n\r\n";
    let log = |rig: &Rig, end: &str| {
        wait::until("the log line", BOUND, || Some(rig.log_line()).filter(|line| line.contains(end))).unwrap()
    };
    let mut client = rig.connect();
    // A method is none of its affairs, and the connection goes on.
    for (method, body) in [("POST", "0\r\n\r\n"), ("GET", "0\r\n\r\n"), ("HEAD", "")] {
        client.write_all(format!("{method} /metrics?scope= HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(read_all(&mut client, QUIET).0, format!("{head}{body}"), "{method}");
        let line = log(&rig, method);
        assert!(line.contains("fe fe/<PROMEX> T/T/T/T/T 200 ") && line.contains(" LR-- "), "{line}");
    }
    // A rule of the backend comes later.
    client.write_all(b"GET /late?scope= HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    assert_eq!(read_all(&mut client, QUIET).0, format!("{head}0\r\n\r\n"));
    let line = log(&rig, "/late");
    assert!(line.contains("fe be/<PROMEX> "), "{line}");
    let (refused, closed) = talk(&rig, b"GET /metrics?scope=x HTTP/1.1\r\nHost: h\r\n\r\n", false, QUIET);
    assert!(refused.starts_with("HTTP/1.1 400 ") && refused.contains("\r\nx-rule: 400\r\n") && closed, "{refused}");
    // haproxy 2.6 sends chunks to a client that does not know them.
    if Subject::from_env() == Subject::Ours {
        let (old, closed) = talk(&rig, b"GET /metrics?scope=sticktable HTTP/1.0\r\n\r\n", false, QUIET);
        assert!(closed && !old.contains("chunked") && old.ends_with("type=\"ip\"} 1\n"), "{old}");
    }
}
