//! `tcp-check connect` and `http-check connect`: where to, with which header, and how the connection ends.

use super::health::Proxy;
use super::rig::{BOUND, answering};
use integration_tests::wait;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

const FRONT: &str = "
global
    log {log} local0
    stats socket {socket} level admin
defaults
    mode tcp
    timeout client 5s
    timeout server 5s
    timeout connect 1s
    timeout check 1s
listen fe
    bind {front}
    server s {server}
";

/// The lines of a backend, what its server says besides `check`, and what is seen of its checks: the place (`a`, the server's own;
/// `b`, another port; `c`, its port at another address), what was said there without ports, and the end. Where nothing is seen, the
/// connection was broken off before it stood: a server learns nothing of a check that only looks whether it would let one in.
const CASES: &[(&str, &str, &[&str])] = &[
    ("", "", &[]),
    ("option tcp-check", "", &[]),
    ("option tcp-check\n tcp-check connect", "", &[]),
    ("option tcp-check\n tcp-check connect linger", "", &["a '' closed"]),
    ("option tcp-check\n tcp-check connect port {b}", "", &[]),
    ("option tcp-check\n tcp-check connect port {b} linger", "", &["b '' closed"]),
    ("option tcp-check\n tcp-check connect addr 127.0.0.2 linger", "", &["c '' closed"]),
    ("option tcp-check\n tcp-check connect addr 127.0.0.1 port {b} linger", "", &["b '' closed"]),
    ("option tcp-check\n tcp-check connect send-proxy", "", &["a 'PROXY TCP4 127.0.0.1 127.0.0.1 N N' reset"]),
    (
        "option tcp-check\n tcp-check connect port {b} send-proxy linger",
        "",
        &["b 'PROXY TCP4 127.0.0.1 127.0.0.1 N N' closed"],
    ),
    ("option tcp-check", "send-proxy", &["a 'PROXY TCP4 127.0.0.1 127.0.0.1 N N' reset"]),
    ("option tcp-check\n tcp-check send one", "send-proxy", &["a 'PROXY TCP4 127.0.0.1 127.0.0.1 N N' reset"]),
    ("option tcp-check\n tcp-check send one", "", &["a 'one' reset"]),
    ("option tcp-check\n tcp-check connect linger", "send-proxy", &["a '' closed"]),
    ("option tcp-check\n tcp-check connect linger", "check-send-proxy", &["a '' closed"]),
    (
        "option httpchk GET /\n http-check connect\n http-check send uri /x",
        "send-proxy",
        &["a 'GET /x HTTP/1.0' reset"],
    ),
    ("option httpchk GET /x", "check-send-proxy", &["a 'PROXY TCP4 127.0.0.1 127.0.0.1 N N' reset"]),
    ("option tcp-check\n tcp-check connect default", "send-proxy", &["a 'PROXY TCP4 127.0.0.1 127.0.0.1 N N' reset"]),
    ("option tcp-check\n tcp-check connect port {b} linger", "send-proxy", &["b '' closed"]),
    (
        "option tcp-check\n tcp-check connect port {b} default",
        "send-proxy",
        &["b 'PROXY TCP4 127.0.0.1 127.0.0.1 N N' reset"],
    ),
    ("option tcp-check\n tcp-check connect linger", "port {b}", &["b '' closed"]),
    (
        "option tcp-check\n tcp-check connect linger\n tcp-check connect port {b} linger",
        "",
        &["a '' closed", "b '' closed"],
    ),
    ("option tcp-check\n tcp-check connect\n tcp-check connect port {b} linger", "", &["a '' reset", "b '' closed"]),
    ("option tcp-check\n tcp-check connect\n tcp-check send one", "", &["a 'one' reset"]),
    ("option tcp-check\n tcp-check connect\n tcp-check send one\n tcp-check expect string ok", "", &["a 'one' reset"]),
    (
        "option tcp-check\n tcp-check connect\n tcp-check send one\n tcp-check connect port {b} linger\n tcp-check send two",
        "",
        &["a 'one' reset", "b 'two' closed"],
    ),
    (
        "option tcp-check\n tcp-check connect\n tcp-check send one\n tcp-check expect string ok\n tcp-check connect port {b}",
        "",
        &["a 'one' reset"],
    ),
    ("option httpchk GET /", "", &["a 'GET / HTTP/1.0' reset"]),
    ("option httpchk GET /\n http-check connect linger\n http-check send uri /x", "", &["a 'GET /x HTTP/1.0' closed"]),
    (
        "option httpchk\n http-check connect port {b}\n http-check send uri /x\n http-check expect status 200\n http-check connect \
         linger\n http-check send uri /y",
        "",
        &["a 'OPTIONS /y HTTP/1.0' closed", "b 'OPTIONS /x HTTP/1.0' closed"],
    ),
];

/// Listens, and tells of each connection what the first line was and how it ended.
fn watch(listener: TcpListener, place: char, told: Sender<String>) {
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let told = told.clone();
            std::thread::spawn(move || {
                let _ = told.send(format!("{place} {}", hear(client)));
            });
        }
    });
}

fn hear(mut client: TcpStream) -> String {
    let (mut text, mut block) = (String::new(), [0; 512]);
    let end = loop {
        match client.read(&mut block) {
            Ok(0) => break "closed",
            Ok(count) => {
                text.push_str(&String::from_utf8_lossy(&block[..count]));
                // Who waits for an answer has one.
                let waits = ["one", "GET", "OPTIONS"].iter().any(|word| text.starts_with(word));
                if waits && client.write_all(OK).is_err() {
                    break "reset";
                }
            }
            Err(_) => break "reset",
        }
    };
    let words = text.lines().next().unwrap_or_default().split(' ');
    let blurred = words.map(|word| if word.parse::<u16>().is_ok() { "N" } else { word });
    format!("'{}' {end}", blurred.collect::<Vec<_>>().join(" "))
}

/// Three places: the server's own, another port, and the same port at another address.
fn places(told: &Sender<String>) -> (SocketAddr, u16) {
    let (own, same) = loop {
        let own = TcpListener::bind("127.0.0.1:0").unwrap();
        // Somebody else may have it there.
        if let Ok(same) = TcpListener::bind(("127.0.0.2", own.local_addr().unwrap().port())) {
            break (own, same);
        }
    };
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let found = (own.local_addr().unwrap(), other.local_addr().unwrap().port());
    for (listener, place) in [(own, 'a'), (other, 'b'), (same, 'c')] {
        watch(listener, place, told.clone());
    }
    found
}

#[test]
fn connections_of_checks() {
    let mut config = FRONT.to_owned();
    let mut heard = Vec::new();
    for (number, (lines, server, _)) in CASES.iter().enumerate() {
        let (sender, told) = channel();
        let (own, other) = places(&sender);
        heard.push(told);
        let fill = |text: &str| text.replace("{b}", &other.to_string());
        let (lines, server) = (fill(lines), fill(server));
        let _ = writeln!(config, "backend c{number}\n {lines}\n server s{number} {own} check inter 300ms {server}");
    }
    let proxy = Proxy::start("check-connects", &config, answering(OK));
    let mut wrong = BTreeMap::new();
    for ((number, (lines, server, expected)), told) in CASES.iter().enumerate().zip(heard) {
        let name = format!("s{number}");
        let ended = || (proxy.columns(&name, "check_status").starts_with('L')).then_some(());
        wait::until("the check", BOUND, ended).unwrap();
        let mut seen: Vec<String> = expected.iter().map(|_| told.recv_timeout(BOUND).unwrap_or_default()).collect();
        if expected.is_empty() {
            seen.extend(told.try_recv());
        }
        seen.sort();
        if seen != *expected {
            wrong.insert(format!("{lines} | {server}"), seen);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
