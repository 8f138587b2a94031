//! `option prefer-last-server`, what NTLM makes of a connection, and how many connections a client keeps for itself.

use super::rig::{BOUND, Rig, answering, wait_until_read};
use integration_tests::wait;
use std::io::{Read, Write};
use std::net::TcpStream;

const CONFIG: &str = "
global
    nbthread 1
defaults
    mode http
    timeout client 2s
    timeout server 2s
    timeout connect 1s
    timeout queue 2s
listen l
    bind {front}
    http-send-name-header x-server
    LINES
    server s1 {server} MORE
    server s2 {server} MORE
    server s3 {server} MORE
";

const OK: &str = "200 OK\r\n";

/// The section's lines, the status of all answers and a field, the paths that are asked for, and which servers are.
const CASES: &[(&str, &str, &str, &str)] = &[
    ("", OK, "/ / / /", "1 2 3 1"),
    // With connections that are shared there is nothing to prefer.
    ("option prefer-last-server", OK, "/ / / /", "1 2 3 1"),
    ("http-reuse never", OK, "/ / / /", "1 2 3 1"),
    ("http-reuse never\noption prefer-last-server", OK, "/ / / /", "1 1 1 1"),
    ("http-reuse never\noption prefer-last-server\nbalance leastconn", OK, "/ / / /", "1 1 1 1"),
    ("http-reuse never\noption prefer-last-server\nbalance static-rr", OK, "/ / / /", "1 1 1 1"),
    ("http-reuse never\noption prefer-last-server\nbalance uri\nhash-type map-based", OK, "/ /x /y /z", "3 3 1 2"),
    // The first that there is a connection to, not the last that was asked.
    ("http-reuse never\noption prefer-last-server\nuse-server s3 if { path /x }", OK, "/ / /x / /", "1 1 3 1 1"),
    ("http-reuse never\noption prefer-last-server\noption http-server-close", OK, "/ / / /", "1 2 3 1"),
    // 401 and 407 alone hold nobody.
    ("", "401 No\r\nWWW-Authenticate: Basic realm=a\r\n", "/ / / /", "1 2 3 1"),
    ("", "401 No\r\nWWW-Authenticate: Basic, ntlm\r\n", "/ / / /", "1 1 1 1"),
    ("", "401 No\r\nWWW-Authenticate: Negotiate\r\n", "/ / / /", "1 1 1 1"),
    ("", "407 No\r\nProxy-Authenticate: NTLM\r\n", "/ / / /", "1 1 1 1"),
    ("", "407 No\r\nWWW-Authenticate: NTLM\r\n", "/ / / /", "1 2 3 1"),
    ("", "200 OK\r\nWWW-Authenticate: NTLM\r\n", "/ / / /", "1 2 3 1"),
    ("balance uri\nhash-type map-based", "401 No\r\nWWW-Authenticate: NTLM\r\n", "/ /x /y /z", "3 3 1 2"),
];

fn start(name: &str, lines: &str, more: &str, response: &str) -> Rig {
    let config = CONFIG.replace("LINES", &lines.replace('\n', "\n    ")).replace("MORE", more);
    Rig::start(name, &config, answering(format!("HTTP/1.1 {response}Content-Length: 0\r\n\r\n").as_bytes()))
}

fn ask(client: &mut TcpStream, path: &str) {
    write!(client, "GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
}

fn hear(client: &mut TcpStream) {
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
}

/// The number of the server that got the next message.
fn server(rig: &Rig) -> String {
    let message = rig.origin.message();
    message.lines().find_map(|line| line.strip_prefix("x-server: s")).unwrap().to_owned()
}

/// Which servers get the requests that one client sends.
fn servers(rig: &Rig, client: &mut TcpStream, paths: &str) -> String {
    let asked = paths.split(' ').map(|path| {
        ask(client, path);
        hear(client);
        server(rig)
    });
    asked.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_last_server_is_preferred() {
    for (number, (lines, response, paths, expected)) in CASES.iter().enumerate() {
        let rig = start(&format!("last-server-{number}"), lines, "", response);
        let found = servers(&rig, &mut rig.connect(), paths);
        assert_eq!(found, *expected, "{lines}, {response}");
    }
}

/// What a server knows of a client's connection is not shown to others.
#[test]
fn connections_with_credentials_are_not_shared() {
    let rig = start("ntlm", "http-reuse always", "", "401 No\r\nWWW-Authenticate: NTLM\r\n");
    let (mut one, mut other) = (rig.connect(), rig.connect());
    assert_eq!(servers(&rig, &mut one, "/ /"), "1 1");
    assert_eq!(servers(&rig, &mut other, "/ /"), "2 2");
    drop(one);
    assert_eq!(servers(&rig, &mut rig.connect(), "/ /"), "3 3");
    assert_eq!(servers(&rig, &mut rig.connect(), "/ /"), "1 1");
    assert_eq!(rig.origin.connections(), 4);
}

/// `max-session-srv-conns`, the paths, and how many connections they take: those that came first are kept.
const KEPT: &[(&str, &str, usize)] =
    &[("", "/ / / / / / /", 3), ("1", "/ / / / / / /", 5), ("2", "/ / / / / / /", 4), ("0", "/ / / / / / /", 7)];

#[test]
fn a_client_keeps_so_many_connections() {
    for (most, paths, expected) in KEPT {
        let words = if most.is_empty() { String::new() } else { format!("\nmax-session-srv-conns {most}") };
        let rig = start(&format!("own-{most}"), &format!("http-reuse never{words}"), "", OK);
        assert_eq!(servers(&rig, &mut rig.connect(), paths), "1 2 3 1 2 3 1", "{most}");
        assert_eq!(rig.origin.connections(), *expected, "max-session-srv-conns {most}");
    }
}

/// `max-keep-alive-queue`, how all is answered, and the server that is asked while the preferred one is full.
const FULL: &[(&str, &str, &str)] = &[
    ("", OK, "1"),
    ("max-keep-alive-queue -1", OK, "1"),
    ("max-keep-alive-queue 1", OK, "1"),
    ("max-keep-alive-queue 0", OK, "2"),
    ("max-keep-alive-queue 0", "401 No\r\nWWW-Authenticate: NTLM\r\n", "1"),
];

#[test]
fn a_full_server_is_waited_for() {
    for (number, (lines, response, expected)) in FULL.iter().enumerate() {
        let lines = format!("http-reuse never\noption prefer-last-server\nuse-server s1 if {{ method POST }}\n{lines}");
        let rig = start(&format!("full-{number}"), &lines, "maxconn 1", response);
        let (mut client, mut busy) = (rig.connect(), rig.connect());
        assert_eq!(servers(&rig, &mut client, "/"), "1");
        write!(busy, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n").unwrap();
        let busy_server = || (rig.origin.connections() == 2).then_some(());
        wait::until("the server is busy", BOUND, busy_server).unwrap();
        ask(&mut client, "/");
        wait_until_read(&client);
        if *expected == "2" {
            hear(&mut client);
            assert_eq!(server(&rig), "2", "{lines}");
        }
        write!(busy, "ok").unwrap();
        hear(&mut busy);
        assert_eq!(server(&rig), "1", "{lines}");
        if *expected == "1" {
            hear(&mut client);
            assert_eq!(server(&rig), "1", "{lines}");
        }
    }
}
