//! What becomes of answers that rules refuse, or give another status. All is as with haproxy 2.6, unless a test says more.

use super::rig::{Rig, answering, read_all, talk};
use std::io::Write as _;
use std::time::Duration;

const CONFIG: &str = "
defaults
    mode http
    log {log} local0
    log-format \"[x] - - - %ST %B %ts\"
    timeout client 3s
    timeout server 3s
    timeout connect 2s
frontend fe
    bind {front}
RULES
    default_backend be
backend be
    server s1 {server}
";

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n";
const QUIET: Duration = Duration::from_millis(100);

fn logged(rig: &Rig) -> String {
    let line = rig.log_line();
    line.strip_prefix("- - - ").unwrap_or(&line).to_owned()
}

/// The server's connection carries the next request if the whole answer, and nothing else, had come.
#[test]
fn a_refused_answer_may_leave_its_connection() {
    let length = |length: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{}", "o".repeat(length));
    let table = [
        (length(0), true),
        (length(2), true),
        (length(10_000), true),
        (length(40_000), false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".to_owned(), true),
        ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok".to_owned(), false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok?".to_owned(), false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok".to_owned(), false),
        ("HTTP/1.1 200 OK\r\n\r\nok".to_owned(), false),
    ];
    for rule in ["http-response deny", "http-response return status 200"] {
        for (answer, keeps) in &table {
            let config = CONFIG.replace("RULES", &format!("    {rule}"));
            let rig = Rig::start("refused", &config, answering(answer.as_bytes()));
            let mut client = rig.connect();
            for _ in 0..2 {
                client.write_all(GET).unwrap();
                assert!(!read_all(&mut client, QUIET).1, "{answer:.80}");
                let _ = logged(&rig);
            }
            let connections = if *keeps { 1 } else { 2 };
            assert_eq!(rig.origin.connections(), connections, "{rule}: {answer:.80}");
        }
    }
}

const ANSWERS: [&str; 3] = [
    "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
];

/// For two requests with each answer: what the client gets, whether its connection ends, and the log.
fn given(status: &str, when: &str) -> Vec<(String, bool, String)> {
    let config = CONFIG.replace("RULES", &format!("    http-{when}response set-status {status}"));
    ANSWERS
        .iter()
        .map(|answer| {
            let rig = Rig::start("status", &config, answering(answer.as_bytes()));
            let (text, closed) = talk(&rig, &[GET, GET].concat(), false, QUIET);
            (text, closed, logged(&rig))
        })
        .collect()
}

/// Such an answer is not the last one to its client, who waits for another: the connection ends, and a body is not sent.
/// (Behind 101 haproxy sends the body as if it were a tunnel's; here it is as the others.)
#[test]
fn a_status_that_announces_ends_the_connection() {
    for when in ["", "after-"] {
        for (status, head) in [("100", "100 Continue"), ("103 reason X", "103 X"), ("199 reason Y", "199 Y")] {
            let head = format!("HTTP/1.1 {head}\r\n\r\n");
            let code = &status[..3];
            let expected = [
                (head, true, format!("{code} 49 --")),
                (String::new(), true, format!("{code} 51 CD")),
                (String::new(), true, format!("{code} 61 CD")),
            ];
            assert_eq!(given(status, when), expected, "{when}{status}");
        }
    }
}

/// What these say has no body, whatever the server's answer had.
#[test]
fn a_status_without_a_body_has_none() {
    let head = "HTTP/1.1 204 No Content\r\n\r\n".repeat(2);
    let counted = |bytes| format!("204 {bytes} --");
    for when in ["", "after-"] {
        let expected = [49, 51, 61].map(|bytes| (head.clone(), false, counted(bytes)));
        assert_eq!(given("204", when), expected, "{when}");
        let told = given("304", when);
        for ((text, closed, line), (length, bytes)) in told.iter().zip([("0", 49), ("2", 51)]) {
            let head = format!("HTTP/1.1 304 Not Modified\r\ncontent-length: {length}\r\n\r\n");
            assert_eq!((&**text, *closed, &**line), (&*head.repeat(2), false, &*format!("304 {bytes} --")));
        }
        // haproxy 2.6 ends the connection behind one that came in chunks.
        assert!(told[2].0.starts_with("HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n"));
        assert!(!told[2].0.contains("ok"), "{}", told[2].0);
    }
}

/// Nor what proxyd answers itself.
#[test]
fn a_rule_that_returns_nothing() {
    let rules = "    http-request return status 204 if { path / }\n    http-request return status 304";
    let rig = Rig::start("nothing", &CONFIG.replace("RULES", rules), Vec::new());
    let (text, closed) = talk(&rig, &[GET, b"GET /304 HTTP/1.1\r\nhost: h\r\n\r\n"].concat(), false, QUIET);
    let expected = "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\ncontent-length: 0\r\n\r\n";
    assert_eq!((&*text, closed), (expected, false));
    assert_eq!((logged(&rig), logged(&rig)), ("204 57 LR".to_owned(), "304 59 LR".to_owned()));
}
