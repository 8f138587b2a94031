//! What is said to speak HTTP/1 and nothing else, and messages with two framings.

use super::rig::{Rig, answering, talk};
use integration_tests::subject::Subject;
use std::time::Duration;

const CONFIG: &str = "
global
    stats socket {runtime} level admin
    GLOBAL
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
listen l
    bind {front} BIND
    LINE
    server s {server}
";

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const QUIET: Duration = Duration::from_millis(100);

/// Where HTTP/2 is not to be offered, its first line is a bad request.
#[test]
fn nobody_changes_to_http_2_where_that_is_forbidden() {
    for (bind, line) in [("proto h1", ""), ("", "option disable-h2-upgrade")] {
        let config = CONFIG.replace("GLOBAL", "").replace("BIND", bind).replace("LINE", line);
        let rig = Rig::start("no-h2", &config, answering(OK));
        let (answer, closed) = talk(&rig, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false, QUIET);
        assert!(answer.starts_with("HTTP/1.1 400 ") && closed, "{bind} {line}: {answer}");
    }
}

/// A word of 3.x: nothing that follows a request with two framings is answered, unless that is asked for.
#[test]
fn two_framings_end_a_connection_unless_told_otherwise() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let two =
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".repeat(2);
    for (global, answers) in [("", 1), ("h1-do-not-close-on-insecure-transfer-encoding", 2)] {
        let config = CONFIG.replace("GLOBAL", global).replace("BIND", "").replace("LINE", "");
        let rig = Rig::start("two-framings", &config, answering(OK));
        let (answer, closed) = talk(&rig, &two, false, QUIET);
        assert_eq!((answer.matches("HTTP/1.1 200 OK").count(), closed), (answers, answers == 1), "{global}: {answer}");
    }
}
