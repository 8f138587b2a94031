//! `close-spread-time`: how connections of clients end when the process is to end.

use super::rig::{BOUND, Rig, answering, read_all};
use integration_tests::{clock, wait};
use nix::sys::signal::Signal;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

const CONFIG: &str = "
global
    stats socket {runtime} level admin
    nbthread 1
    close-spread-time SPREAD
defaults
    mode http
    timeout client 20s
    timeout server 20s
    timeout connect 1s
listen l
    bind {front}
    server s {server}
";

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const QUIET: Duration = Duration::from_millis(50);

/// A proxy with clients that have each had an answer, told to end.
fn ending(spread: &str, clients: usize) -> (Rig, Vec<TcpStream>) {
    let rig = Rig::start("spread", &CONFIG.replace("SPREAD", spread), answering(OK));
    let clients = (0..clients).map(|_| {
        let mut client = rig.connect();
        ask(&mut client);
        client
    });
    let clients: Vec<_> = clients.collect();
    rig.signal(Signal::SIGUSR1);
    wait::until("it takes no more connections", BOUND, || TcpStream::connect(rig.front).is_err().then_some(()))
        .unwrap();
    (rig, clients)
}

/// The answer to a request on a connection that stays.
fn ask(client: &mut TcpStream) -> String {
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(client.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&answer));
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn connections_end_one_after_the_other() {
    let (_rig, mut clients) = ending("500ms", 20);
    for client in &clients {
        client.set_nonblocking(true).unwrap();
    }
    let begun = clock::now();
    let mut ended = Vec::new();
    let mut look = || {
        clients.retain_mut(|client| {
            let goes_on = client.read(&mut [0]).is_err();
            if !goes_on {
                ended.push(clock::now() - begun);
            }
            goes_on
        });
        clients.is_empty().then_some(())
    };
    wait::until("all connections have ended", BOUND, &mut look).unwrap();
    let (first, last) = (ended[0], ended[ended.len() - 1]);
    assert!(last.saturating_sub(first) > Duration::from_millis(150), "{ended:?}");
}

#[test]
fn connections_may_stay_for_good() {
    let (mut rig, mut clients) = ending("infinite", 1);
    for _ in 0..2 {
        let answer = ask(&mut clients[0]);
        assert!(answer.starts_with("HTTP/1.1 200") && !answer.to_ascii_lowercase().contains("close"), "{answer}");
    }
    clients[0].write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    assert!(read_all(&mut clients[0], QUIET).1, "it ends when its client wants that");
    wait::until("the process ends with its last connection", BOUND, || rig.has_ended().then_some(())).unwrap();
}
