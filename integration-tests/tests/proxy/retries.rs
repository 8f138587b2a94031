//! What is sent again (`retry-on`), and what is told of it. All is as with haproxy 2.6.

use super::rig::{Rig, Step, answering, read_all, talk, wait_until_read};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const QUIET: Duration = Duration::from_millis(60);

const CONFIG: &str = "
global
    stats socket {runtime} level admin
defaults
    mode http
    log {log} local0
    log-format \"[x] - - - %ST %ts %rc %s %U\"
    timeout client 3s
    timeout server 5s
    timeout connect 5s
frontend fe
    bind {front}
FRONT
    default_backend be
backend be
    retries 1
    retry-on all-retryable-errors
BACK
    server s1 {server}
";

fn config(front: &str, back: &str) -> String {
    CONFIG.replace("FRONT", front).replace("BACK", back)
}

fn logged(rig: &Rig) -> String {
    let line = rig.log_line();
    line.strip_prefix("- - - ").unwrap_or(&line).to_owned()
}

const BODIES: [&str; 4] = [
    "GET /PATH HTTP/1.1\r\nhost: h\r\n\r\n",
    "POST /PATH HTTP/1.1\r\nhost: h\r\ncontent-length: 6\r\n\r\nabcdef",
    "PUT /PATH HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n",
    "POST /PATH HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\nx: y\r\n\r\n",
];

/// What a server does with each request, what the client then gets, and which words of `retry-on` have it sent again.
const FAILURES: [(&str, &str, &[&str]); 9] = [
    ("", "502 SH", &["empty-response", "all-retryable-errors"]),
    ("HTTP/1.1 200 OK\r\nx:", "502 SH", &["empty-response", "all-retryable-errors"]),
    ("junk\r\n\r\n", "502 PH", &["junk-response", "all-retryable-errors"]),
    ("HTTP/1.1 401 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", "401 --", &["401"]),
    ("HTTP/1.1 404 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", "404 --", &["404"]),
    ("HTTP/1.1 425 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", "425 --", &["425"]),
    ("HTTP/1.1 500 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", "500 --", &["all-retryable-errors"]),
    ("HTTP/1.1 501 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", "501 --", &[]),
    ("HTTP/1.1 503 X\r\ncontent-length: 1\r\nconnection: close\r\n\r\nx", "503 --", &["503", "all-retryable-errors"]),
];

const CONDITIONS: [&str; 10] = [
    "none",
    "conn-failure",
    "empty-response",
    "junk-response",
    "response-timeout",
    "401",
    "404",
    "425",
    "503",
    "all-retryable-errors",
];

/// A backend for each condition, which the path names.
fn every_condition() -> String {
    let mut text = config("    use_backend %[path,field(2,/)]", "").replace("server 5s", "server 400ms");
    for condition in CONDITIONS {
        let _ =
            writeln!(text, "backend {condition}\n    retries 1\n    retry-on {condition}\n    server s1 {{server}}");
    }
    text
}

/// Sends one request and says what was logged, and what the server got of it.
fn one(rig: &Rig, sent: &str) -> (String, Vec<String>) {
    let mut client = rig.connect();
    client.write_all(sent.as_bytes()).unwrap();
    let line = logged(rig);
    (line, std::iter::from_fn(|| rig.origin.next_message()).collect())
}

#[test]
fn each_condition_has_its_failures_sent_again() {
    let text = every_condition();
    for (answer, told, conditions) in FAILURES {
        let script = vec![Step::ReadMessage, Step::Write(answer.into()), Step::Close];
        let rig = Rig::start("retry-on", &text, script);
        for condition in CONDITIONS {
            for sent in BODIES.map(|body| body.replace("PATH", condition)) {
                let (line, got) = one(&rig, &sent);
                let again = usize::from(conditions.contains(&condition));
                assert!(line.starts_with(&format!("{told} {again} s1 ")), "{condition}, {answer:?}, {sent:?}: {line}");
                assert_eq!(got, vec![sent.clone(); 1 + again], "{condition}, {answer:?}");
            }
        }
    }
}

#[test]
fn silence_is_a_failure_of_its_own() {
    let script = vec![Step::ReadMessage, Step::ReadToEnd];
    let rig = Rig::start("retry-timeout", &every_condition(), script);
    for (condition, again) in [("empty-response", 0), ("response-timeout", 1), ("all-retryable-errors", 1), ("503", 0)]
    {
        let sent = BODIES[1].replace("PATH", condition);
        let (line, got) = one(&rig, &sent);
        assert!(line.starts_with(&format!("504 sH {again} s1 ")), "{condition}: {line}");
        assert_eq!(got, vec![sent.clone(); 1 + again]);
    }
}

/// What a server has got is sent again at once; only who was not reached is given time.
#[test]
fn the_second_attempt_may_be_answered() {
    let script = [Step::First(vec![Step::ReadMessage, Step::Close])].into_iter().chain(answering(OK)).collect();
    let rig = Rig::start("retry-ok", &config("", "").replace("%U", "%U %Tt"), script);
    let sent = BODIES[1].replace("PATH", "");
    let (answer, closed) = talk(&rig, format!("{sent}{sent}").as_bytes(), false, QUIET);
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    assert_eq!((answer, closed), (ok.repeat(2), false));
    for told in ["200 -- 1 s1 60", "200 -- 0 s1 60"] {
        let line = logged(&rig);
        let (line, took) = line.rsplit_once(' ').unwrap();
        assert_eq!(line, told);
        assert!(took.parse::<u32>().unwrap() < 900, "{took} ms");
    }
    for _ in 0..3 {
        assert_eq!(rig.origin.message(), sent);
    }
}

/// The largest request that is sent again fills haproxy's buffer.
#[test]
fn what_is_too_large_is_sent_once() {
    let rig = Rig::start("retry-large", &config("", ""), vec![Step::ReadMessage, Step::Close]);
    for (length, again) in [(15_214, 1), (15_215, 0), (16_400, 0), (40_000, 0)] {
        let sent = format!("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n{}", "x".repeat(length));
        let (line, got) = one(&rig, &sent);
        assert!(line.starts_with(&format!("502 SH {again} s1 ")), "{length}: {line}");
        assert_eq!(got.len(), 1 + again);
        assert!(got.iter().all(|got| *got == sent), "{length}");
    }
}

/// The parts of a request, what else is configured, and whether it is sent again.
const PARTS: [([&str; 2], [&str; 2], bool); 7] = [
    (["POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 6\r\n\r\n", "abcdef"], ["", ""], false),
    (["POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 6\r\n\r\nabc", "def"], ["", ""], false),
    (
        ["POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", "3\r\ndef\r\n0\r\n\r\n"],
        ["", ""],
        false,
    ),
    (
        ["POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 6\r\n\r\nabc", "def"],
        ["    option http-buffer-request", ""],
        true,
    ),
    (
        ["POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 6\r\n\r\nabc", "def"],
        ["", "    option http-buffer-request"],
        true,
    ),
    (
        ["POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 6\r\n\r\n", "abcdef"],
        ["    http-request wait-for-body time 3s", ""],
        true,
    ),
    (
        ["POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 6\r\n\r\n", "abcdef"],
        ["    http-request wait-for-body time 3s\n    http-request disable-l7-retry", ""],
        false,
    ),
];

/// A body that was not there when the first attempt began is sent once; what waits for it changes that.
#[test]
fn what_comes_later_is_sent_once() {
    for ([head, rest], [front, back], again) in PARTS {
        let rig = Rig::start("retry-parts", &config(front, back), vec![Step::ReadMessage, Step::Close]);
        let mut client = rig.connect();
        client.write_all(head.as_bytes()).unwrap();
        wait_until_read(&client);
        if front.is_empty() && back.is_empty() {
            rig.origin.wait_for_connection();
        }
        client.write_all(rest.as_bytes()).unwrap();
        let _ = read_all(&mut client, QUIET);
        let line = logged(&rig);
        assert!(line.starts_with(&format!("502 SH {} s1 ", u8::from(again))), "{head:?}, {front}{back}: {line}");
        assert_eq!(rig.origin.connections(), 1 + usize::from(again));
    }
}

/// A server that fails before it has all of the request.
#[test]
fn a_request_on_its_way_is_sent_once() {
    let rig = Rig::start("retry-way", &config("", ""), vec![Step::ReadUntil("abc"), Step::Close]);
    let (answer, _) = talk(&rig, b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 6\r\n\r\nabc", false, QUIET);
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(logged(&rig).starts_with("502 SH 0 s1 "));
    assert_eq!(rig.origin.connections(), 1);
    let connect = b"CONNECT h:1 HTTP/1.1\r\nhost: h:1\r\n\r\n";
    let rig = Rig::start("retry-connect", &config("", ""), vec![Step::ReadMessage, Step::Close]);
    let (answer, _) = talk(&rig, connect, false, QUIET);
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(logged(&rig).starts_with("502 SH 0 s1 "));
}

/// On a connection that carried another request before, too.
#[test]
fn a_connection_that_had_been_idle_may_fail() {
    let first = [answering(OK)[..2].to_vec(), vec![Step::ReadMessage, Step::Close]].concat();
    let script = [Step::First(first)].into_iter().chain(answering(OK)).collect();
    let rig = Rig::start("retry-idle", &config("", ""), script);
    let mut client = rig.connect();
    for (sent, told) in [(0, "200 -- 0 s1 38"), (1, "200 -- 1 s1 60")] {
        client.write_all(BODIES[sent].replace("PATH", "").as_bytes()).unwrap();
        assert!(read_all(&mut client, QUIET).0.ends_with("\r\n\r\nok"));
        assert_eq!(logged(&rig), told);
    }
}

const COUNTED: [&str; 8] = ["stot", "lbtot", "connect", "wretr", "wredis", "eresp", "hrsp_2xx", "hrsp_5xx"];

fn counted(rig: &Rig, name: &str) -> [u64; 8] {
    let table = rig.command("show stat");
    let mut lines = table.lines();
    let titles: Vec<_> = lines.next().unwrap().trim_start_matches("# ").split(',').collect();
    let line = lines.find(|line| line.starts_with(&format!("be,{name},"))).unwrap();
    let values: Vec<_> = line.split(',').collect();
    COUNTED.map(|title| {
        let at = titles.iter().position(|other| *other == title).unwrap();
        values[at].parse().unwrap()
    })
}

fn post(cookie: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: h\r\n{cookie}content-length: 3\r\n\r\nabc")
}

/// Which server it goes to, what the client remembers, and what is counted.
#[test]
fn another_server_may_be_tried() {
    let second = "    cookie C insert\n    server s0 {server} cookie c0\n    retries 3\n    option redispatch";
    let text = |every: &str| {
        config("", &format!("{second} {every}")).replace("server s1 {server}", "server s1 {server} cookie c1")
    };
    let fails = || vec![Step::ReadMessage, Step::Close];
    for (every, cookie, told, names) in [
        ("", "", "200 -- +1 s1 57", "set-cookie: C=c1; path=/\r\n"),
        ("", "cookie: C=c0\r\n", "200 -- 1 s0 67", ""),
        ("1", "cookie: C=c0\r\n", "200 -- +1 s1 67", "set-cookie: C=c1; path=/\r\n"),
        ("2", "cookie: C=c0\r\n", "200 -- 1 s0 67", ""),
    ] {
        let script = [Step::First(fails())].into_iter().chain(answering(OK)).collect();
        let rig = Rig::start("retry-other", &text(every), script);
        let (answer, _) = talk(&rig, post(cookie).as_bytes(), false, QUIET);
        assert_eq!(answer, format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{names}\r\nok"));
        assert_eq!(logged(&rig), told, "{every} {cookie}");
    }
    let rig = Rig::start("retry-others", &text("1"), fails());
    let _ = talk(&rig, post("").as_bytes(), false, QUIET);
    assert_eq!(logged(&rig), "502 SH +3 s1 57");
    assert_eq!(counted(&rig, "BACKEND"), [1, 4, 4, 3, 3, 1, 0, 1]);
    assert_eq!(counted(&rig, "s0"), [2, 2, 2, 2, 2, 0, 0, 0]);
    assert_eq!(counted(&rig, "s1"), [2, 2, 2, 1, 1, 1, 0, 0]);
}

/// A backend counts requests, a server attempts; what is sent again is counted twice. Who answers is counted by what it answered.
#[test]
fn attempts_are_counted() {
    // Where nobody demanded a server, what it has got stays with the only one. What is no response counts each time.
    let junk = || Step::Write(b"junk\n\n".to_vec());
    for (back, script, told, errors) in [
        ("    retries 3", vec![Step::ReadMessage, Step::Close], "502 SH 3 s1 57", 1),
        ("    retries 3\n    option redispatch 1", vec![Step::ReadMessage, Step::Close], "502 SH 3 s1 57", 1),
        ("    retries 3", vec![Step::ReadMessage, junk(), Step::Close], "502 PH 3 s1 57", 4),
    ] {
        let rig = Rig::start("retry-count", &config("", back), script);
        let _ = talk(&rig, post("").as_bytes(), false, QUIET);
        assert_eq!(logged(&rig), told);
        assert_eq!(counted(&rig, "s1"), [4, 1, 4, 6, 0, errors, 0, 0]);
        assert_eq!(counted(&rig, "BACKEND"), [1, 1, 4, 6, 0, errors, 0, 1]);
    }

    let refuses =
        config("", "").replace("server s1 {server}", "server s1 {dead}").replace("connect 5s", "connect 50ms");
    let rig = Rig::start("retry-refused", &refuses, Vec::new());
    let _ = talk(&rig, post("").as_bytes(), false, QUIET);
    assert_eq!(logged(&rig), "503 SC 1 s1 57");
    assert_eq!(counted(&rig, "s1"), [2, 1, 2, 1, 0, 0, 0, 0]);
    assert_eq!(counted(&rig, "BACKEND"), [1, 1, 2, 1, 0, 0, 0, 1]);

    let denies = config(
        "    http-request set-var(txn.path) path
    http-response deny if { var(txn.path) -m str /no }
    http-response set-status 500 if { var(txn.path) -m str /odd }",
        "",
    );
    let rig = Rig::start("retry-denied", &denies, answering(OK));
    for (path, told) in [("no", "502 PH 0 s1 40"), ("odd", "500 -- 0 s1 41")] {
        let _ = talk(&rig, BODIES[0].replace("PATH", path).as_bytes(), false, QUIET);
        assert_eq!(logged(&rig), told);
    }
    assert_eq!(counted(&rig, "s1")[5..], [0, 2, 0]);
    assert_eq!(counted(&rig, "BACKEND")[5..], [0, 0, 2]);
}

/// Without `retry-on` a body is kept by nobody; that a connection cannot be made is another matter.
#[test]
fn a_server_that_comes_back_gets_the_body() {
    let text = config("", "    server s0 {dead}").replace("retry-on all-retryable-errors", "option redispatch 1");
    let rig = Rig::start("retry-body", &text, answering(OK));
    let sent = post("");
    let (answer, _) = talk(&rig, sent.as_bytes(), false, QUIET);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(rig.origin.message(), sent);
    assert_eq!(logged(&rig), "200 -- +1 s1 57");
}
