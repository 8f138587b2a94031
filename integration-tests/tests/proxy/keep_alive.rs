//! `clitcpka-idle` and its kin: how long the system waits before it asks a silent peer whether it still exists.

use super::rig::{BOUND, Rig, answering, read_all};
use integration_tests::{sockets, wait};
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

const CONFIG: &str = "
defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 5s
frontend f
    bind {front}
    option clitcpka
    clitcpka-idle 700
    clitcpka-intvl 7s
    clitcpka-cnt 3
    default_backend b
backend b
    option srvtcpka
    srvtcpka-idle 15m
    server s {server}
";

/// Seconds until the kernel probes the peer of a socket, by the ports of its two ends; 0 stands for any.
fn until_probed(local: u16, remote: u16) -> u64 {
    let find = || {
        let is_it = |port: u16, end: u16| port == 0 || end == port;
        let mut established = sockets::tcp().filter(|socket| socket.state == sockets::ESTABLISHED);
        let socket = established.find(|socket| is_it(local, socket.local) && is_it(remote, socket.remote))?;
        (socket.timer.0 == 2).then(|| u64::from(socket.timer.1 / 100))
    };
    wait::until("a keep-alive timer", BOUND, find).unwrap()
}

#[test]
fn silent_peers_are_probed_when_the_configuration_says() {
    let rig = Rig::start("keep-alive", CONFIG, answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    let mut client: TcpStream = rig.connect();
    client.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
    assert!(read_all(&mut client, Duration::from_millis(50)).0.ends_with("ok"));
    let to_client = until_probed(rig.front.port(), client.local_addr().unwrap().port());
    assert!((600..=700).contains(&to_client), "{to_client}");
    let to_server = until_probed(0, rig.origin.address.port());
    assert!((800..=900).contains(&to_server), "{to_server}");
}
