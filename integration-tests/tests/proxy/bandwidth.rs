//! `filter bwlim-in`, `filter bwlim-out` and `set-bandwidth-limit`, which haproxy 2.6 does not have: what its manual for 2.7 and later says.

use super::rig::{BOUND, Rig, Step};
use integration_tests::clock;
use integration_tests::subject::Subject;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const BODY: usize = 60_000;

const CONFIG: &str = "
global
    log {log} local0
defaults
    mode http
    log global
    option httplog
    timeout client 2s
    timeout server 2s
    timeout connect 1s
frontend fe
    bind {front}
    FILTER
    default_backend be
backend be
    server s {server}
backend shared
    stick-table type string len 8 size 10 expire 1m store bytes_out_rate(1s)
";

fn answer() -> Vec<Step> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n");
    vec![Step::ReadMessage, Step::Write([head.as_bytes(), &[b'x'; BODY]].concat()), Step::ReadToEnd]
}

/// How long a download takes, and what of its body has come a quarter of a second after its head.
fn download(front: SocketAddr) -> (Duration, usize) {
    let mut client = TcpStream::connect(front).unwrap();
    client.set_read_timeout(Some(BOUND)).unwrap();
    let started = clock::now();
    client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let (mut got, mut block, mut early) = (Vec::new(), [0; 4_096], 0);
    loop {
        match client.read(&mut block).unwrap() {
            0 => break,
            count => got.extend_from_slice(&block[..count]),
        }
        if clock::now() - started < Duration::from_millis(250) {
            early = got.len();
        }
    }
    let body = got.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(got.len() - body, BODY);
    assert!(got[body..].iter().all(|&byte| byte == b'x'));
    (clock::now() - started, early)
}

fn start(name: &str, filter: &str, script: Vec<Step>) -> Option<Rig> {
    (Subject::from_env() == Subject::Ours).then(|| Rig::start(name, &CONFIG.replace("FILTER", filter), script))
}

#[test]
fn a_stream_goes_no_faster_than_its_limit() {
    let filter =
        "filter bwlim-out slow default-limit 30000 default-period 1s\n    http-response set-bandwidth-limit slow";
    let Some(rig) = start("bwlim-out", filter, answer()) else { return };
    let (time, early) = download(rig.front);
    assert!(time >= Duration::from_millis(1_900) && time < BOUND / 3, "{time:?}");
    assert!(early < 12_000, "{early} bytes came at once");
    let line = rig.log_line();
    assert!(line.contains(" 200 ") && line.contains(" ---- "), "{line}");
}

#[test]
fn a_rule_says_another_limit() {
    let filter = "filter bwlim-out slow default-limit 1 default-period 1s min-size 1k\n    \
                  http-response set-bandwidth-limit slow limit 60k period 1s";
    let Some(rig) = start("bwlim-rule", filter, answer()) else { return };
    let (time, _) = download(rig.front);
    assert!(time >= Duration::from_millis(900) && time < BOUND / 3, "{time:?}");
}

#[test]
fn what_nobody_turned_on_does_nothing() {
    let filter = "filter bwlim-out slow default-limit 1 default-period 1s\n    \
                  http-response set-bandwidth-limit slow if { status 500 }";
    let Some(rig) = start("bwlim-off", filter, answer()) else { return };
    assert!(download(rig.front).0 < Duration::from_secs(1));
}

#[test]
fn streams_of_one_key_share_a_limit() {
    let filter = "filter bwlim-out shared limit 60000 key str(all) table shared\n    \
                  http-response set-bandwidth-limit shared";
    let Some(rig) = start("bwlim-key", filter, answer()) else { return };
    let started = clock::now();
    std::thread::scope(|scope| {
        let front = rig.front;
        for client in [scope.spawn(move || download(front)), scope.spawn(move || download(front))] {
            client.join().unwrap();
        }
    });
    // Two bodies of a second each.
    let time = clock::now() - started;
    assert!(time >= Duration::from_millis(1_500) && time < BOUND / 3, "{time:?}");
}

#[test]
fn requests_are_slowed_down_too() {
    let script = vec![
        Step::ReadMessage,
        Step::Write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()),
        Step::ReadToEnd,
    ];
    for framing in ["content-length", "chunked"] {
        let filter =
            "filter bwlim-in slow default-limit 60000 default-period 1s\n    http-request set-bandwidth-limit slow";
        let Some(rig) = start("bwlim-in", filter, script.clone()) else { return };
        let mut client = rig.connect();
        let started = clock::now();
        let (head, body) = if framing == "chunked" {
            let chunk = [b"3e8\r\n".as_slice(), &[b'y'; 1_000], b"\r\n"].concat();
            ("Transfer-Encoding: chunked".to_owned(), [chunk.repeat(BODY / 1_000).as_slice(), b"0\r\n\r\n"].concat())
        } else {
            (format!("Content-Length: {BODY}"), vec![b'y'; BODY])
        };
        client.write_all(format!("POST / HTTP/1.1\r\nHost: h\r\n{head}\r\n\r\n").as_bytes()).unwrap();
        client.write_all(&body).unwrap();
        let mut answer = [0; 64];
        let count = client.read(&mut answer).unwrap();
        assert!(answer[..count].starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&answer));
        let time = clock::now() - started;
        assert!(time >= Duration::from_millis(900) && time < BOUND / 3, "{framing}: {time:?}");
        let received = rig.origin.message();
        assert_eq!(received.matches('y').count(), BODY, "{framing}");
    }
}

#[test]
fn tunnels_are_slowed_down_too() {
    let script = vec![Step::ReadUntil("hi"), Step::Write(vec![b'x'; BODY]), Step::Close];
    let filter = "mode tcp\n    option tcplog\n    filter bwlim-out slow default-limit 60000 default-period 1s\n    \
                  tcp-request content set-bandwidth-limit slow";
    let config = CONFIG.replace("FILTER", filter).replace("mode http", "mode tcp").replace("option httplog", "");
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let rig = Rig::start("bwlim-tcp", &config, script);
    let mut client = rig.connect();
    let started = clock::now();
    client.write_all(b"hi").unwrap();
    let mut got = Vec::new();
    client.read_to_end(&mut got).unwrap();
    assert_eq!(got.len(), BODY);
    let time = clock::now() - started;
    assert!(time >= Duration::from_millis(900) && time < BOUND / 3, "{time:?}");
}
