//! A target that names a host, and the field that does: where a rule changes one of them, haproxy 2.6 lets the other follow.

use super::rig::{Rig, answering, talk};
use std::time::Duration;

const CONFIG: &str = "
defaults
    mode http
    timeout client 2s
    timeout server 1s
    timeout connect 1s
frontend f
    bind {front}
    http-request RULE
    default_backend b
backend b
    server s {server}
";

/// A rule, what the client sends of line and `host`, and what the server sees of them.
const CASES: &[(&str, [&str; 2], [&str; 2])] = &[
    ("set-header host new", ["GET http://h/a", "h"], ["GET http://new/a", "new"]),
    ("set-header Host new:81", ["GET http://h:8080/a?q", "h:8080"], ["GET http://new:81/a?q", "new:81"]),
    ("set-header host new", ["GET http://h", "h"], ["GET http://new", "new"]),
    ("set-header host new", ["GET http://h/a", ""], ["GET http://new/a", "new"]),
    ("set-header host new", ["CONNECT h:80", "h:80"], ["CONNECT new", "new"]),
    ("set-header host new", ["GET /a", "h"], ["GET /a", "new"]),
    ("set-header host new", ["OPTIONS *", "h"], ["OPTIONS *", "new"]),
    ("set-header host new", ["GET http://u@h/a", "h"], ["GET http://u@new/a", "new"]),
    ("add-header host new", ["GET http://h/a", ""], ["GET http://new/a", "new"]),
    ("replace-header host .* new", ["GET http://h/a", "h"], ["GET http://new/a", "new"]),
    ("replace-value host .* new", ["GET http://h/a", "h"], ["GET http://new/a", "new"]),
    ("del-header host", ["GET http://h/a", "h"], ["GET http://h/a", ""]),
    ("set-header x-host new", ["GET http://h/a", "h"], ["GET http://h/a", "h"]),
    ("set-uri http://u/x", ["GET http://h/a", "h"], ["GET http://u/x", "u"]),
    ("set-uri http://u/x", ["GET /a", "h"], ["GET http://u/x", "u"]),
    ("set-uri http://u/x", ["GET /a", ""], ["GET http://u/x", ""]),
    ("replace-uri .* http://u:81/x", ["GET /a", "h"], ["GET http://u:81/x", "u:81"]),
    ("set-path /p", ["GET http://h/a", "h"], ["GET http://h/p", "h"]),
];

#[test]
fn target_and_host_follow_each_other() {
    for (rule, [line, host], seen) in CASES {
        let rig = Rig::start(
            "authority",
            &CONFIG.replace("RULE", rule),
            answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        );
        let host = if host.is_empty() { String::new() } else { format!("host: {host}\r\n") };
        talk(&rig, format!("{line} HTTP/1.1\r\n{host}\r\n").as_bytes(), false, Duration::from_millis(50));
        let message = rig.origin.message();
        let mut lines = message.lines();
        let line = lines.next().and_then(|line| line.strip_suffix(" HTTP/1.1")).unwrap_or_default();
        let host = lines.find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        assert_eq!([line, host], *seen, "{rule}: {message}");
    }
}

/// The client of CONNECT takes a good answer for the beginning of a tunnel: what it sends then is no request.
#[test]
fn nothing_follows_a_tunnel_that_a_rule_opened() {
    for (rule, answers, closes) in [
        ("return status 200 content-type text/plain string hi if METH_CONNECT", 1, true),
        ("return status 404 content-type text/plain string hi if METH_CONNECT", 2, false),
        ("deny if METH_CONNECT", 2, false),
        ("redirect location /x if METH_CONNECT", 2, false),
    ] {
        let rig = Rig::start("connect", &CONFIG.replace("RULE", rule), answering(b"HTTP/1.1 204 No Content\r\n\r\n"));
        let input = b"CONNECT h:80 HTTP/1.1\r\nhost: h\r\n\r\nGET / HTTP/1.1\r\nhost: h\r\n\r\n";
        let (answer, closed) = talk(&rig, input, false, Duration::from_millis(200));
        assert_eq!((answer.matches("HTTP/1.1 ").count(), closed), (answers, closes), "{rule}: {answer}");
    }
}
