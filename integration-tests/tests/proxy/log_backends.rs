//! `mode log` of haproxy 3.x: lines for several servers. The source is configuration.txt of 3.4, `mode`, `balance` and `log`.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};

use integration_tests::subject::Subject;

use crate::log_targets::{is, received_udp, udp};
use crate::rig::{BOUND, Rig};
use crate::rings::request;

fn config(balance: &str, servers: &str) -> String {
    format!(
        "global\n  stats socket {{runtime}} level admin\ndefaults\n  mode http\n  timeout client 10s\n  timeout server 10s\n  \
         timeout connect 1s\nfrontend f\n  bind {{front}}\n  log backend@logs format rfc3164 local0\n  log-tag tag\n  \
         log-format \"%HM %HP\"\n  http-request return status 200\nbackend logs\n  mode log\n  {balance}\n{servers}\n"
    )
}

/// Three servers of datagrams, and their lines of a configuration.
fn servers() -> ([UdpSocket; 3], String) {
    let sockets = [(); 3].map(|()| udp("127.0.0.1:0"));
    let line = |(index, socket): (usize, &UdpSocket)| {
        format!("  server s{index} udp@{} weight {}\n", socket.local_addr().unwrap(), index * 10 + 1)
    };
    let lines = sockets.iter().enumerate().map(line).collect();
    (sockets, lines)
}

fn paths<const N: usize>(paths: [&str; N]) -> impl Iterator<Item = String> {
    paths.into_iter().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

fn expect(socket: &UdpSocket, path: &str) {
    let line = received_udp(socket);
    assert!(is(&line, &format!("<134>{{D}} localhost tag[{{P}}]: GET {path}\n")), "{line:?} is not {path}");
}

#[test]
fn servers_take_turns_and_one_in_maintenance_has_none() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let (sockets, lines) = servers();
    let rig = Rig::start("log-turns", &config("balance roundrobin", &lines), Vec::new());
    request(&rig, paths(["0", "1", "2", "3"]));
    for (socket, path) in [(&sockets[0], "/0"), (&sockets[1], "/1"), (&sockets[2], "/2"), (&sockets[0], "/3")] {
        expect(socket, path);
    }
    assert_eq!(rig.command("set server logs/s1 state maint"), "\n");
    request(&rig, paths(["4", "5"]));
    expect(&sockets[0], "/4");
    expect(&sockets[2], "/5");
}

#[test]
fn a_sticky_backend_stays_with_a_server_as_long_as_it_is_there() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let (sockets, lines) = servers();
    let rig = Rig::start("log-sticky", &config("balance sticky", &lines), Vec::new());
    request(&rig, paths(["0", "1"]));
    expect(&sockets[0], "/0");
    expect(&sockets[0], "/1");
    rig.command("set server logs/s0 state maint");
    request(&rig, paths(["2"]));
    expect(&sockets[1], "/2");
    rig.command("set server logs/s0 state ready");
    request(&rig, paths(["3"]));
    expect(&sockets[1], "/3");
}

#[test]
fn a_part_of_the_message_chooses_the_server() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let (sockets, lines) = servers();
    let rig = Rig::start("log-hash", &config("balance log-hash 'word(2,/)'", &lines), Vec::new());
    // sdbm of one byte is the byte: 97 to 99.
    request(&rig, paths(["a/1", "b/2", "c/3", "a/4", "b/5"]));
    for (socket, path) in [(1, "/a/1"), (2, "/b/2"), (0, "/c/3"), (1, "/a/4"), (2, "/b/5")] {
        expect(&sockets[socket], path);
    }
}

#[test]
fn servers_may_be_reached_over_connections() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("  server s {} log-proto octet-count log-bufsize 20000\n", listener.local_addr().unwrap());
    let rig = Rig::start("log-stream", &config("balance random", &server), Vec::new());
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    request(&rig, paths(["a"]));
    let mut block = [0; 200];
    let count = stream.read(&mut block).unwrap();
    let line = String::from_utf8_lossy(&block[..count]).into_owned();
    let (length, message) = line.split_once(' ').unwrap();
    assert_eq!(length, message.len().to_string());
    assert!(is(message, "<134>{D} localhost tag[{P}]: GET /a"), "{message:?}");
}

#[test]
fn messages_of_others_go_to_a_log_backend() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let (sockets, lines) = servers();
    let text = format!(
        "global\n  stats socket {{runtime}}\nlog-forward in\n  bind {{front}}\n  log backend@logs local0\nbackend logs\n  \
         mode log\n{lines}"
    );
    let rig = Rig::start("log-forward-backend", &text, Vec::new());
    let mut client = rig.connect();
    client.write_all(b"<13>one\n<13>two\n<13>three\n").unwrap();
    for (socket, text) in sockets.iter().zip(["one", "two", "three"]) {
        assert_eq!(received_udp(socket), format!("<13>{text}\n"));
    }
}
