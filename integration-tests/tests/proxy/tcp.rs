//! `mode tcp`: bytes both ways, half-closed connections, timeouts, and their log lines.

use super::rig::{BOUND, Rig, Step, read_all, talk};
use integration_tests::subject::Subject;
use integration_tests::wait;
use std::io::Write;
use std::time::Duration;

const CONFIG: &str = "
global
    log {log} local0
defaults
    mode tcp
    log global
    option tcplog
    timeout client 300ms
    timeout server 300ms
    timeout connect 100ms
listen tl
    bind {front}
    server s1 {server}
";

const QUIET: Duration = Duration::from_millis(100);

#[test]
fn each_side_ends_when_it_likes() {
    let script =
        vec![Step::ReadUntil("ping"), Step::Write(b"pong".to_vec()), Step::ReadToEnd, Step::Write(b"bye".to_vec())];
    // The server goes on after the client has ended: what it says last still arrives.
    let script = script.into_iter().filter(|step| !matches!(step, Step::ReadToEnd)).collect();
    let rig = Rig::start("tcp", CONFIG, script);
    let mut client = rig.connect();
    client.write_all(b"ping").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut client, QUIET), ("pongbye".to_owned(), true));
    assert_eq!(rig.origin.message(), "ping");
    let log = rig.log_line();
    assert!(log.starts_with("tl tl/s1 T/T/T ") && log.contains(" 7 -- 1/1/0/0/0 0/0"), "{log}");
}

#[test]
fn silence_ends_it() {
    let rig = Rig::start("tcp-silent", CONFIG, vec![Step::ReadToEnd]);
    let (answer, closed) = talk(&rig, b"hello", false, QUIET);
    assert_eq!((answer.as_str(), closed), ("", true));
    let log = rig.log_line();
    assert!(log.contains(" 0 cD ") || log.contains(" 0 sD "), "both timeouts end at the same time: {log}");
}

#[test]
fn nobody_there() {
    let config = CONFIG.replace("server s1 {server}", "retries 1\n    server s1 {dead}");
    let rig = Rig::start("tcp-dead", &config, Vec::new());
    let (answer, closed) = talk(&rig, b"hello", false, QUIET);
    assert_eq!((answer.as_str(), closed), ("", true));
    let log = rig.log_line();
    assert!(log.starts_with("tl tl/s1 T/-1/T ") && log.contains(" 0 SC 1/1/0/0/1 0/0"), "{log}");
}

#[test]
fn the_server_learns_the_client_by_a_proxy_header() {
    let config = CONFIG.replace("{server}", "{server} send-proxy");
    let rig =
        Rig::start("tcp-proxy", &config, vec![Step::ReadUntil("hello"), Step::Write(b"ok".to_vec()), Step::Close]);
    let mut client = rig.connect();
    let (from, to) = (client.local_addr().unwrap(), rig.front);
    client.write_all(b"hello").unwrap();
    assert_eq!(read_all(&mut client, QUIET), ("ok".to_owned(), true));
    let header = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n", from.port(), to.port());
    assert_eq!(rig.origin.message(), format!("{header}hello"));
}

const SIGNED: &str = "
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 300ms
    retries 0
frontend f
    bind {front}
    use_backend plain if { path /plain }
    use_backend wrong if { path /wrong }
    default_backend signed
frontend inner
    bind {dead} tcp-md5sig secret cc reno
    http-request return status 200 content-type text/plain string signed
backend signed
    server s {dead} tcp-md5sig secret cc reno check inter 100 rise 1 fall 1 init-state down
backend plain
    server s {dead}
backend wrong
    server s {dead} tcp-md5sig other
";

/// Who does not sign, or with another password, is not heard. haproxy 2.6 does not have these words.
#[test]
fn segments_may_be_signed() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let rig = Rig::start("signed", SIGNED, Vec::new());
    let status = |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        let (answer, _) = talk(&rig, request.as_bytes(), false, BOUND);
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    // The check signs, too: the server is down until it has succeeded.
    wait::until("the server is up", BOUND, || (status("/") == "200").then_some(())).unwrap();
    assert_eq!([status("/plain"), status("/wrong"), status("/")], ["503", "503", "200"]);
}
