//! Bodies of requests that rules look at: what has come of them, and waiting for the rest. All answers are haproxy 2.6's.

use super::rig::{Rig, answering, read_all};
use std::io::Write as _;
use std::time::Duration;

const CONFIG: &str = "
global
    log {log} local0
defaults
    mode http
    log global
    option httplog
    timeout client 10s
    timeout server 2s
    timeout connect 1s
    timeout http-request 10s
frontend f
    bind {front}
RULES
    default_backend b
backend b
    server s {server}
";

const SHOWN: &str = "http-request return status 200 content-type a/b lf-string \
                     \"<%[req.body]> %[req.body_len] %[req.body_size] %[req.body_param(A)] %[req.body_param]\"";
const LATE: &str = "408 Request Time-out";

/// What a client sends, each part once the one before it was read, and the body of the answer; or [`LATE`].
struct Case {
    rules: &'static [&'static str],
    sent: &'static [&'static str],
    answer: &'static str,
    /// Somewhere in the line of the log.
    log: &'static str,
}

const WHOLE: &[&str] = &["content-length: 11\r\n\r\na=1&A=2&a=3"];
const HALF: &[&str] = &["content-length: 11\r\n\r\na=1&A"];
const PARTS: &[&str] = &["content-length: 11\r\n\r\n", "a=1&A", "=2&a=3"];
const CHUNKS: &[&str] = &["transfer-encoding: chunked\r\n\r\n4\r\na=1&\r\n", "3\r\nA=2\r\n0\r\n\r\n"];
const HALF_A_CHUNK: &[&str] = &["transfer-encoding: chunked\r\n\r\n4\r\na=1&\r\n3\r\nb="];
const NONE: &[&str] = &["\r\n"];

const CASES: &[Case] = &[
    Case { rules: &[], sent: WHOLE, answer: "<a=1&A=2&a=3> 11 11 2 1", log: " T/-1/-1/-1/T 200 " },
    Case { rules: &[], sent: HALF, answer: "<a=1&A> 5 11  1", log: " LR-- " },
    Case { rules: &[], sent: HALF_A_CHUNK, answer: "<a=1&b=> 6 7  1", log: " LR-- " },
    Case { rules: &[], sent: NONE, answer: "<> 0 0  ", log: " LR-- " },
    Case { rules: &["option http-buffer-request"], sent: PARTS, answer: "<a=1&A=2&a=3> 11 11 2 1", log: " LR-- " },
    Case { rules: &["option http-buffer-request"], sent: CHUNKS, answer: "<a=1&A=2> 7 7 2 1", log: " LR-- " },
    Case {
        rules: &["timeout http-request 300ms", "option http-buffer-request"],
        sent: HALF,
        answer: LATE,
        log: " 408 232 - - cR-- ",
    },
    Case {
        rules: &["timeout http-request 300ms", "option http-buffer-request"],
        sent: HALF_A_CHUNK,
        answer: LATE,
        log: " -1/-1/-1/-1/",
    },
    Case { rules: &["option http-buffer-request"], sent: NONE, answer: "<> 0 0  ", log: " LR-- " },
    Case {
        rules: &["http-request wait-for-body time 10s"],
        sent: PARTS,
        answer: "<a=1&A=2&a=3> 11 11 2 1",
        log: " LR-- ",
    },
    Case { rules: &["http-request wait-for-body time 200ms"], sent: HALF, answer: LATE, log: " cR-- " },
    Case {
        rules: &["http-request wait-for-body time 200ms at-least 6"],
        sent: &["content-length: 11\r\n\r\na=1&A"],
        answer: LATE,
        log: " cR-- ",
    },
    Case {
        rules: &["http-request wait-for-body time 10s at-least 5 if METH_POST", "http-request set-var(txn.a) str(on)"],
        sent: HALF,
        answer: "<a=1&A> 5 11  1",
        log: " LR-- ",
    },
    Case {
        rules: &["http-request wait-for-body time 10s if METH_GET"],
        sent: HALF,
        answer: "<a=1&A> 5 11  1",
        log: " LR-- ",
    },
    Case {
        rules: &["http-request wait-for-body time 10s"],
        sent: &["expect: 100-continue\r\ncontent-length: 3\r\n\r\n", "A=1"],
        answer: "<A=1> 3 3 1 1",
        log: " LR-- ",
    },
];

fn send(rig: &Rig, parts: &[&str]) -> String {
    let mut client = rig.connect();
    client.write_all(b"POST /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n").unwrap();
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            super::rig::wait_until_read(&client);
        }
        client.write_all(part.as_bytes()).unwrap();
    }
    read_all(&mut client, Duration::from_secs(1)).0
}

#[test]
fn rules_see_as_much_as_has_come() {
    for (number, case) in CASES.iter().enumerate() {
        let rules = format!("    {}\n", [case.rules, &[SHOWN]].concat().join("\n    "));
        let rig = Rig::start(&format!("body-{number}"), &CONFIG.replace("RULES\n", &rules), answering(b""));
        let answer = send(&rig, case.sent);
        let got = if answer.contains(LATE) { LATE } else { answer.rsplit("\r\n\r\n").next().unwrap_or_default() };
        assert_eq!(got, case.answer, "{:?} {:?}", case.rules, case.sent);
        let log = rig.log_line();
        assert!(log.contains(case.log), "{:?} {:?}: {log}", case.rules, case.sent);
    }
}

#[test]
fn a_body_that_was_waited_for_reaches_the_server() {
    let rules = "    option http-buffer-request\n    http-request deny unless { req.body_param(A) -m str 2 }\n";
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for (parts, body) in [(PARTS, "a=1&A=2&a=3"), (CHUNKS, "4\r\na=1&\r\n3\r\nA=2\r\n0\r\n\r\n")] {
        let rig = Rig::start("body-passed", &CONFIG.replace("RULES\n", rules), answering(ok));
        let answer = send(&rig, parts);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let message = rig.origin.message();
        let data: String = body.replace("\r\n", "");
        let passed = message.split_once("\r\n\r\n").map(|(_, body)| body.replace("\r\n", "")).unwrap_or_default();
        assert!(passed == data || passed == "7a=1&A=20", "{message}");
    }
}

/// Who waits for the body tells the client to go on, and takes that expectation out of the head: the first word of the first
/// field. Any other one is the server's affair.
#[test]
fn an_expectation_is_taken_by_who_fulfils_it() {
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let rig = Rig::start("expected", &CONFIG.replace("RULES\n", "    option http-buffer-request\n"), answering(ok));
    for (sent, fulfilled, left) in [
        ("expect: 100-Continue\r\n", true, ""),
        ("expect: 100-continue, x\r\n", true, "expect:  x\r\n"),
        ("expect: 100-continue,100-continue\r\n", true, "expect: 100-continue\r\n"),
        ("expect: 100-continue\r\nexpect: 100-continue\r\n", true, "expect: 100-continue\r\n"),
        ("expect: x, 100-continue\r\n", false, "expect: x, 100-continue\r\n"),
        ("expect: ,100-continue\r\n", false, "expect: ,100-continue\r\n"),
        ("expect: x\r\nexpect: 100-continue\r\n", false, "expect: x\r\nexpect: 100-continue\r\n"),
    ] {
        let mut client = rig.connect();
        client.write_all(format!("POST /x HTTP/1.1\r\n{sent}content-length: 3\r\n\r\n").as_bytes()).unwrap();
        super::rig::wait_until_read(&client);
        client.write_all(b"abc").unwrap();
        let (answer, _) = read_all(&mut client, Duration::from_millis(150));
        assert_eq!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\n"), fulfilled, "{sent}");
        let message = rig.origin.message();
        assert!(message.starts_with(&format!("POST /x HTTP/1.1\r\n{left}content-length: 3\r\n\r\n")), "{message}");
    }
}
