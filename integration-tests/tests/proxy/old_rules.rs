//! The rules of haproxy 1.x that look at whole lines, which 2.6 does not have: what their manual says of each.

use super::rig::{Rig, Step, read_all};
use integration_tests::subject::Subject;
use std::io::Write as _;
use std::time::Duration;

const CONFIG: &str = "
defaults
    mode http
    timeout client 2s
    timeout server 2s
    timeout connect 1s
    timeout tarpit 1ms
frontend fe
    bind {front}
    reqiallow ^[^\\ ]*\\ /let/
    reqirep ^Host: Host:\\ b.example
    reqrep ^([^\\ :]*)\\ /old/(.*) \\1\\ /new/\\2\\nX-Was:\\ old
    reqrep ^X-Capital:\\ (.*) X-Other:\\ <\\1>
    reqidel ^X-SECRET:
    reqdel ^Cookie:\\ backend= if { path_beg /new/cookie }
    reqpass ^X-Trusted:
    reqideny ^(x-trusted|x-bad):
    reqitarpit ^[^:\\ ]*\\ .*\\.(dll|exe)
    rspirep ^Via:\\ (.*) Via:\\ \\1,\\ me
    rspidel ^server:
    rspdeny ^X-Leak:
    default_backend be
backend be
    server s {server}
";

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: x\r\nvia: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const LEAK: &[u8] = b"HTTP/1.1 200 OK\r\nX-Leak: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A request's target and fields, what the server sees of them, and the answer's status.
const CASES: &[(&str, &str, &str, u16)] = &[
    ("/a", "Host: a\r\n", "GET /a HTTP/1.1\r\nhost: b.example\r\n\r\n", 200),
    ("/old/x?y", "Host: a\r\n", "GET /new/x?y HTTP/1.1\r\nhost: b.example\r\nx-was: old\r\n\r\n", 200),
    ("/a", "x-capital: v\r\nHOST: a\r\n", "GET /a HTTP/1.1\r\nhost: b.example\r\nx-other: <v>\r\n\r\n", 200),
    ("/a", "X-Secret: s\r\ncookie: backend=1\r\n", "GET /a HTTP/1.1\r\ncookie: backend=1\r\n\r\n", 200),
    ("/old/cookie", "cookie: backend=1\r\n", "GET /new/cookie HTTP/1.1\r\nx-was: old\r\n\r\n", 200),
    ("/a", "X-Trusted: 1\r\n", "GET /a HTTP/1.1\r\nx-trusted: 1\r\n\r\n", 200),
    ("/a", "X-Bad: 1\r\n", "", 403),
    ("/let/a", "X-Bad: 1\r\n", "GET /let/a HTTP/1.1\r\nx-bad: 1\r\n\r\n", 200),
    ("/cmd.EXE", "", "", 500),
    ("/leak", "", "GET /leak HTTP/1.1\r\n\r\n", 502),
];

#[test]
fn old_rules_look_at_whole_lines() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let start = |answer: &[u8]| {
        Rig::start("old-rules", CONFIG, vec![Step::ReadMessage, Step::Write(answer.to_vec()), Step::Close])
    };
    let (well, leaking) = (start(ANSWER), start(LEAK));
    for (target, fields, seen, status) in CASES {
        let rig = if *status == 502 { &leaking } else { &well };
        let mut client = rig.connect();
        write!(client, "GET {target} HTTP/1.1\r\nConnection: close\r\n{fields}\r\n").unwrap();
        let answer = read_all(&mut client, Duration::from_secs(2)).0;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target} {fields}: {answer}");
        if !seen.is_empty() {
            assert_eq!(rig.origin.message().replace("connection: close\r\n", ""), *seen, "{target} {fields}");
        }
        if *status == 200 {
            assert!(answer.contains("via: a, me\r\n") && !answer.contains("server: x"), "{answer}");
        }
    }
}
