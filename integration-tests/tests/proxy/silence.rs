//! Who is silent, and when idle connections end: `option independent-streams`, `option idle-close-on-response`, on both programs.

use super::rig::{Rig, Step, answering, read_all};
use nix::sys::signal::Signal;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Much longer than the client's time.
const QUIET: Duration = Duration::from_secs(3);
/// How often the server sends a byte, well within the client's time, and how long in all.
const EVERY: Duration = Duration::from_millis(50);
const BYTES: usize = 24;

const TCP: &str = "
defaults
    mode tcp
    timeout client 500ms
    timeout server 5s
    timeout connect 1s
listen fe
    bind {front}
    OPTION
    server s {server}
";

/// How much a silent client gets of a server that goes on sending.
fn received(option: &str) -> usize {
    let script = [Step::Write(b"x".to_vec()), Step::Pause(EVERY)].into_iter().cycle().take(2 * BYTES);
    let script = script.chain([Step::Close]).collect();
    let rig = Rig::start("independent", &TCP.replace("    OPTION\n", option), script);
    let mut client = rig.connect();
    let (text, closed) = read_all(&mut client, QUIET);
    assert!(closed);
    text.len()
}

#[test]
fn a_side_that_only_takes_is_silent_with_independent_streams() {
    assert_eq!(received(""), BYTES);
    let got = received("    option independent-streams\n");
    assert!((5..BYTES).contains(&got), "{got} bytes");
}

const HTTP: &str = "
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
    timeout http-keep-alive 5s
frontend fe
    bind {front}
    OPTION
    default_backend be
backend be
    server s {server}
";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A client that has been answered, of a proxy that does not take connections any more.
fn left_over(option: &str) -> (Rig, TcpStream) {
    let rig = Rig::start("idle-close", &HTTP.replace("    OPTION\n", option), answering(OK));
    let mut client = rig.connect();
    client.write_all(GET).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok") {
        let mut piece = [0; 200];
        let count = client.read(&mut piece).unwrap();
        assert_ne!(count, 0);
        answer.extend_from_slice(&piece[..count]);
    }
    rig.signal(Signal::SIGUSR1);
    while TcpStream::connect(rig.front).is_ok() {}
    (rig, client)
}

#[test]
fn a_soft_stop_ends_idle_connections() {
    let (mut rig, mut client) = left_over("");
    assert_eq!(client.read(&mut [0; 10]).unwrap(), 0);
    while !rig.has_ended() {}
}

#[test]
fn a_soft_stop_ends_them_with_their_next_response() {
    let (mut rig, mut client) = left_over("    option idle-close-on-response\n");
    client.write_all(GET).unwrap();
    let (answer, closed) = read_all(&mut client, QUIET);
    assert_eq!(answer, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    assert!(closed);
    while !rig.has_ended() {}
}
