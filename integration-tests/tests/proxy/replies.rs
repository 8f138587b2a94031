//! Answers that the proxy gives itself, byte for byte, and their lines in the log.
//!
//! `replies.txt` was written by haproxy: `SUBJECT=theirs BLESS=1 cargo test -p integration-tests --test proxy replies`.

use super::rig::{Rig, answering, read_all, recorded};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

const CONFIG: &str = "
global
    nbthread 1
    log {log} local0
defaults
    mode http
    log global
    option httplog
    timeout client 2s
    timeout server 1s
    timeout connect 1s
    timeout tarpit 20ms
    timeout http-request 100ms
http-errors e
    errorfile 403 FILE
frontend f
    bind {front}
RULES
    default_backend b
backend b
    server s {server}
backend off
    server s {server} disabled
";

/// A whole answer with another status than the ones it is given for.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxy/refused.http");
/// A file without anything.
const EMPTY: &str = "/dev/null";

const GET: &str = "GET /a/b?x=1 HTTP/1.1\r\nHost: h.ex\r\nConnection: close\r\n\r\n";
const HEAD: &str = "HEAD /a HTTP/1.1\r\nHost: h.ex\r\nConnection: close\r\n\r\n";
const KEPT: &str = "GET /a HTTP/1.1\r\nHost: h.ex\r\n\r\n";
const OLD: &str = "GET /a HTTP/1.0\r\n\r\n";
const BROKEN: &str = "GET  /\r\n\r\n";
const LATE: &str = "GET / HTTP/1.1\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: echo\r\nContent-Length: 2\r\n\r\nok";

/// What is sent and the lines of the frontend for it.
const CASES: &[(&[&str], &[&str])] = &[
    (&[GET, HEAD, OLD], &["http-request deny deny_status 429 hdr X-Y %[path]"]),
    (&[GET, HEAD], &["http-request deny deny_status 418 hdr X-Y 1"]),
    (&[GET], &["http-request deny content-type a/b"]),
    (&[GET], &["http-request deny default-errorfiles hdr a b"]),
    (&[GET], &["http-request deny hdr X-Y 1 content-type a/b lf-string x%[path]"]),
    (&[GET], &["http-request deny deny_status 429 errorfile FILE"]),
    (&[GET], &["http-request deny deny_status 403 errorfiles e"]),
    (&[GET], &["http-request deny deny_status 404 errorfiles e"]),
    (&[GET, HEAD, OLD], &["http-request return status 404 hdr X-Y 1 content-type a/b string x"]),
    (&[GET], &["http-request return content-type a/b string x hdr X-Y 1 hdr X-Z 2"]),
    (&[GET], &["http-request return status 404 default-errorfiles hdr a b"]),
    (&[GET], &["http-request return status 404 errorfile FILE"]),
    (&[GET, HEAD], &["http-request return status 304 hdr a b"]),
    (&[GET, HEAD, KEPT], &["http-request return status 204 hdr a b"]),
    (&[GET], &["http-request return status 205"]),
    (&[GET], &["http-request return content-type a/b lf-string %[req.hdr(none)]"]),
    (&[GET], &["http-request return content-type a/b file EMPTY"]),
    (&[GET], &["http-request return content-type a/b lf-file EMPTY"]),
    (&[GET], &["http-request return hdr content-length 7 hdr content-type z/z content-type a/b string x"]),
    (&[GET], &["http-request return hdr Transfer-Encoding chunked hdr x y"]),
    (&[GET, HEAD], &["http-request tarpit"]),
    (&[GET], &["http-request tarpit deny_status 429 hdr X-Y 1"]),
    (&[GET, HEAD], &["http-response deny"]),
    (&[GET], &["http-response deny hdr X-Y 1"]),
    (&[GET], &["http-response return status 404 hdr X-Y 1 content-type a/b string x"]),
    (&[GET], &["http-response redirect location /x"]),
    (&[GET], &["errorfile 502 FILE", "http-response deny"]),
    (&[GET], &["http-error status 403 hdr x y", "http-request deny"]),
    (&[GET, HEAD], &["errorfile 403 FILE", "http-request deny"]),
    (&[GET], &["errorfile 403 EMPTY", "http-request deny"]),
    (&[GET], &["errorloc 403 /x", "http-request deny"]),
    (&[GET], &["errorloc303 403 /x", "http-request deny"]),
    (&[GET], &["errorfile 503 FILE", "use_backend off if TRUE"]),
    (&[GET], &["errorloc 503 /x", "use_backend off if TRUE"]),
    (&[GET], &["http-error status 503 content-type a/b string x hdr x y", "use_backend off if TRUE"]),
    (&[BROKEN], &["errorfile 400 FILE"]),
    (&[BROKEN], &["errorloc 400 /x"]),
    (&[BROKEN], &["http-error status 400 content-type a/b string x hdr x y"]),
    (&[BROKEN], &["http-after-response set-header x-after 1"]),
    (&[LATE], &["errorfile 408 FILE"]),
    (&[LATE], &["http-error status 408 content-type a/b string x hdr x y"]),
    (&[GET], &["http-error status 401 content-type a/b string x hdr x y", "http-request auth"]),
    (&[GET], &["errorfile 401 FILE", "http-request auth"]),
    (&[GET], &["monitor-uri /a/b?x=1", "errorfile 200 FILE"]),
    (&[GET], &["monitor-uri /a/b?x=1", "monitor fail if TRUE"]),
    (&[GET], &["monitor-uri /a/b?x=1", "http-error status 200 content-type a/b string x"]),
    (&[GET], &["http-after-response set-status 299", "http-request deny"]),
    (&[GET], &["http-after-response set-header location /z", "http-request redirect location /x"]),
    (&[GET], &["http-after-response set-status 299"]),
    (&[KEPT], &["http-response set-header Connection close"]),
    (&[KEPT], &["http-after-response add-header Connection \"x, Close\""]),
    (&[GET], &["http-response set-header Connection close"]),
    (&[GET], &["http-request reject"]),
    (&[GET], &["http-request silent-drop"]),
    (&[GET], &["http-response set-header Content-Length 2"]),
];

#[test]
fn replies_are_haproxys() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxy/replies.txt");
    let mut all = String::new();
    for (number, (requests, rules)) in CASES.iter().enumerate() {
        let text = format!("    {}\n", rules.join("\n    ")).replace("FILE", FILE).replace("EMPTY", EMPTY);
        let rig = Rig::start(
            &format!("replies-{number}"),
            &CONFIG.replace("RULES\n", &text).replace("FILE", FILE),
            answering(RESPONSE),
        );
        let _ = writeln!(all, "{}", rules.join(" ; "));
        for request in *requests {
            let mut client = rig.connect();
            client.write_all(request.as_bytes()).unwrap();
            let (answer, _) = read_all(&mut client, Duration::from_secs(1));
            let _ = writeln!(all, "  {answer:?}");
            // Requests of monitors are not logged.
            if !rules[0].starts_with("monitor") {
                let _ = writeln!(all, "  {}", rig.log_line());
            }
        }
    }
    recorded(golden, &all);
}
