//! Connections that begin in `mode tcp` and carry requests: `switch-mode http`, and backends in `mode http`.

use super::rig::{Rig, Step, answering, read_all};
use integration_tests::clock;
use integration_tests::subject::Subject;
use std::io::Write as _;
use std::time::Duration;

const QUIET: Duration = Duration::from_millis(150);

const CONFIG: &str = "
global
    log {log} local0
defaults
    mode tcp
    log global
    option tcplog
    timeout client 1s
    timeout server 1s
    timeout connect 1s
frontend f
    bind {front}
    tcp-request inspect-delay 500ms
    RULES
    default_backend b
backend b
    BACKEND
    server s {server}
backend other
    mode http
    http-request return status 202
backend bytes
    mode tcp
    server s {server}
";

const SWITCH: &str = "tcp-request content switch-mode http if HTTP";
const X: &str = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
const Y: &str = "GET /y HTTP/1.1\r\nHost: a\r\n\r\n";

/// What two requests on one connection are answered with, what the server got, and where the log says that they went and how they
/// ended.
fn talk(rules: &str, backend: &str, sent: [&str; 2]) -> (String, Vec<String>, Vec<String>) {
    let config = CONFIG.replace("RULES", rules).replace("BACKEND", backend);
    let rig = Rig::start("switch", &config, answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    let mut client = rig.connect();
    let mut answers = Vec::new();
    for request in sent {
        if client.write_all(request.as_bytes()).is_err() {
            break;
        }
        let (answer, closed) = read_all(&mut client, QUIET);
        answers.push(answer.lines().next().unwrap_or_default().trim_start_matches("HTTP/1.1 ").to_owned());
        if closed {
            answers.push("closed".to_owned());
            break;
        }
    }
    drop(client);
    let mut got = Vec::new();
    while let Some(message) = rig.origin.next_message() {
        got.push(message.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n", "|"));
    }
    got.sort();
    let ended = |line: &String| {
        let words: Vec<_> = line.split(' ').collect();
        format!("{} {}", words[1], words[4])
    };
    let lines = std::iter::from_fn(|| rig.next_log_line(QUIET));
    let logged = lines.collect::<Vec<_>>().iter().map(ended).collect();
    (answers.join(", "), got, logged)
}

const PLAIN: &str = "GET /x HTTP/1.1|host: a";
const SECOND: &str = "GET /y HTTP/1.1|host: a";
const OK: [&str; 2] = ["b/s --", "b/s --"];

/// Rules of the frontend, the backend, what a client sends; what it gets, what the server gets, what is logged.
type Switch =
    (&'static str, &'static str, [&'static str; 2], &'static str, &'static [&'static str], &'static [&'static str]);

const SWITCHES: &[Switch] = &[
    (SWITCH, "mode http", [X, Y], "200 OK, 200 OK", &[PLAIN, SECOND], &OK),
    ("tcp-request content switch-mode http proto h1", "mode http", [X, Y], "200 OK, 200 OK", &[PLAIN, SECOND], &OK),
    ("", "mode http", [X, Y], "200 OK, 200 OK", &[PLAIN, SECOND], &OK),
    (SWITCH, "mode tcp", [X, Y], ", closed", &[], &["b/<NOSRV> IR"]),
    ("", "mode tcp", [X, Y], "200 OK, 200 OK", &["GET /x HTTP/1.1|Host: a", "GET /y HTTP/1.1|Host: a"], &["b/s --"]),
    // What the frontend says of requests counts, too, however the switch came about.
    (
        "http-request set-header from f",
        "mode http",
        [X, Y],
        "200 OK, 200 OK",
        &["GET /x HTTP/1.1|host: a|from: f", "GET /y HTTP/1.1|host: a|from: f"],
        &OK,
    ),
    (
        "tcp-request content accept if HTTP\n    use_backend other if { path /y }",
        "mode http",
        [X, Y],
        "200 OK, 202 Accepted",
        &[PLAIN],
        &["b/s --", "other/<NOSRV> LR"],
    ),
    (
        "tcp-request content accept if HTTP\n    use_backend other if { path /y }",
        "mode http",
        [Y, X],
        "202 Accepted, 200 OK",
        &[PLAIN],
        &["other/<NOSRV> LR", "b/s --"],
    ),
    (
        "tcp-request content switch-mode http if HTTP\n    use_backend bytes if { path /y }",
        "mode http",
        [X, Y],
        "200 OK, , closed",
        &[PLAIN],
        &["b/s --", "bytes/<NOSRV> IR"],
    ),
    // Rules on contents are asked about each request; after one that switches no other is.
    (
        "tcp-request content reject if { path /y }\n    tcp-request content switch-mode http if HTTP",
        "mode http",
        [X, Y],
        "200 OK, , closed",
        &[PLAIN],
        &["b/s --", "f/<NOSRV> PR"],
    ),
    (
        "tcp-request content switch-mode http if HTTP\n    tcp-request content reject",
        "mode http",
        [X, Y],
        "200 OK, 200 OK",
        &[PLAIN, SECOND],
        &OK,
    ),
    (
        "",
        "mode http\n    tcp-request content reject if { path /y }",
        [X, Y],
        "200 OK, , closed",
        &[PLAIN],
        &["b/s --", "b/<NOSRV> PR"],
    ),
    (
        "tcp-request content accept if HTTP\n    use_backend other if HTTP",
        "mode tcp",
        [X, Y],
        "202 Accepted, 202 Accepted",
        &[],
        &["other/<NOSRV> LR", "other/<NOSRV> LR"],
    ),
    (
        "tcp-request content accept if HTTP\n    use_backend other if HTTP",
        "mode tcp",
        ["hello\r\n\r\n", "x\r\n\r\n"],
        "200 OK, 200 OK",
        &["hello", "x"],
        &["b/s --"],
    ),
    ("", "mode http", ["junk\r\n\r\n", X], "400 Bad request, closed", &[], &["f/<NOSRV> PR"]),
    (
        "tcp-request content switch-mode http",
        "mode http",
        ["junk\r\n\r\n", X],
        "400 Bad request, closed",
        &[],
        &["f/<NOSRV> PR"],
    ),
];

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn a_connection_becomes_one_of_requests() {
    for &(rules, backend, sent, answers, got, logged) in SWITCHES {
        let (answered, received, told) = talk(rules, backend, sent);
        assert_eq!((&*answered, received, told), (answers, owned(got), owned(logged)), "{rules} / {backend}");
    }
}

/// `option checkcache`. haproxy 2.6 sends the page of the status that the server sent; its manual speaks of a 502.
#[test]
fn cookies_that_a_cache_would_keep_are_not_passed_on() {
    const CONFIG: &str = "
global
    log {log} local0
defaults
    mode http
    log global
    option httplog
    timeout client 1s
    timeout server 1s
    timeout connect 1s
listen l
    bind {front}
    option checkcache
    server s {server}
";
    for (field, passes) in [("cache-control: private", true), ("expires: 0", false)] {
        let answer = format!("HTTP/1.1 200 OK\r\nset-cookie: a=b\r\n{field}\r\ncontent-length: 2\r\n\r\nok");
        let rig = Rig::start("checkcache", CONFIG, answering(answer.as_bytes()));
        let mut client = rig.connect();
        client.write_all(X.as_bytes()).unwrap();
        let (answer, _) = read_all(&mut client, QUIET);
        assert_eq!(answer.contains("set-cookie"), passes, "{answer}");
        let line = rig.next_log_line(super::rig::BOUND).unwrap();
        if passes {
            assert!(line.contains(" ---- "), "{line}");
            continue;
        }
        assert!(line.ends_with("Blocking cacheable cookie in response from instance l, server s."), "{line}");
        let line = rig.log_line();
        assert!(line.contains(" PH-- "), "{line}");
    }
}

/// `option transparent`: servers are not asked for, requests go where the client wanted to go.
#[test]
fn transparent_sections_go_where_the_client_wanted_to_go() {
    const CONFIG: &str = "
defaults
    mode http
    timeout client 1s
    timeout server 1s
    timeout connect 1s
    retries 0
listen l
    bind {front}
    http-request set-dst str(127.0.0.1)
    http-request set-dst-port int({port})
    option transparent
    server s {dead}
";
    let rig = Rig::start("transparent", CONFIG, answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    let mut client = rig.connect();
    client.write_all(X.as_bytes()).unwrap();
    assert!(read_all(&mut client, QUIET).0.starts_with("HTTP/1.1 200"));
}

/// `h1-accept-payload-with-any-method`
#[test]
fn bodies_of_old_requests() {
    const CONFIG: &str = "
global
    GLOBAL
defaults
    mode http
    timeout client 1s
    timeout server 1s
    timeout connect 1s
listen l
    bind {front}
    server s {server}
";
    for (global, status) in [("", "413"), ("h1-accept-payload-with-any-method", "200")] {
        let rig = Rig::start(
            "payload",
            &CONFIG.replace("GLOBAL", global),
            vec![Step::ReadMessage, Step::Write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec())],
        );
        let mut client = rig.connect();
        client.write_all(b"GET / HTTP/1.0\r\nContent-Length: 2\r\n\r\nab").unwrap();
        let (answer, _) = read_all(&mut client, QUIET);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

/// `pause` and `set-retries` are words of 3.x.
#[test]
fn rules_that_wait_and_count() {
    const CONFIG: &str = "
global
    log {log} local0
defaults
    mode http
    log global
    option httplog
    timeout client 1s
    timeout server 1s
    timeout connect 100ms
    retries 3
listen l
    bind {front}
    http-request wait-for-handshake
    http-request pause 200ms if { path /x }
    http-request pause int(200) if { path /y }
    http-request set-retries 1
    http-response pause 200ms if { var(txn.never) -m found }
    server s {dead}
";
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let rig = Rig::start("pause", CONFIG, Vec::new());
    for request in [X, Y] {
        let mut client = rig.connect();
        let begun = clock::now();
        client.write_all(request.as_bytes()).unwrap();
        assert!(read_all(&mut client, QUIET).0.starts_with("HTTP/1.1 503"));
        assert!(clock::now() - begun >= Duration::from_millis(200));
        let line = rig.log_line();
        assert!(line.contains(" 1/1/0/0/1 "), "{line}");
    }
}
