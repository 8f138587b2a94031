//! Answers that come while the request is still on its way: from the server, and from the proxy itself. All is as with haproxy 2.6.

use super::rig::{Rig, Step, read_all};
use std::io::{Read as _, Write as _};
use std::time::Duration;

const CONFIG: &str = "
global
    log {log} local0
defaults
    mode http
    log global
    option httplog
    http-reuse never
    timeout client 5s
    timeout server 2s
    timeout connect 1s
frontend f
    bind {front}
    http-request deny if { path /deny }
    http-request return status 200 content-type a/b string hello if { path /return }
    http-request redirect location / if { path /redirect }
    default_backend b
backend b
    server s {server}
";

const HEAD: &[u8] = b"POST /a HTTP/1.1\r\ncontent-length: 9\r\n\r\n";
const NEXT: &[u8] = b"GET /b HTTP/1.1\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";

/// How long a client waits before it believes that nothing more comes.
const QUIET: Duration = Duration::from_millis(150);

fn answers(answer: &str) -> Vec<Step> {
    vec![Step::ReadUntil("\r\n\r\n"), Step::Write(answer.into())]
}

/// The rest of the request goes to the server that has answered it already, and then the connection carries the next one.
#[test]
fn the_rest_of_a_request_follows_its_answer() {
    for answer in [OK, CHUNKED] {
        let rest = [Step::ReadUntil("ghi")].into_iter().chain(answers(OK)).chain([Step::ReadToEnd]);
        let rig = Rig::start("early", CONFIG, answers(answer).into_iter().chain(rest).collect());
        let mut client = rig.connect();
        client.write_all(HEAD).unwrap();
        assert_eq!(read_all(&mut client, QUIET), (answer.to_owned(), false));
        client.write_all(b"abc").unwrap();
        client.write_all(b"defghi").unwrap();
        assert_eq!(rig.origin.message().as_bytes(), HEAD);
        assert_eq!(rig.origin.message(), "abcdefghi");
        client.write_all(NEXT).unwrap();
        assert_eq!(read_all(&mut client, QUIET), (OK.to_owned(), false));
        assert_eq!(rig.origin.message().as_bytes(), NEXT);
        assert!(rig.log_line().contains(" 200 "));
        assert_eq!(rig.origin.connections(), 1);
    }
}

/// Where the server has closed, nobody takes the rest, but the client may send it and go on.
#[test]
fn the_rest_of_a_request_may_go_nowhere() {
    let closing = "HTTP/1.1 413 X\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno";
    for (answer, seen) in [(OK, OK), (closing, "HTTP/1.1 413 X\r\ncontent-length: 2\r\n\r\nno")] {
        let rig = Rig::start("early-gone", CONFIG, [answers(answer), vec![Step::Close]].concat());
        let mut client = rig.connect();
        client.write_all(HEAD).unwrap();
        assert_eq!(read_all(&mut client, QUIET), (seen.to_owned(), false));
        client.write_all(b"abc").unwrap();
        super::rig::wait_until_read(&client);
        client.write_all(b"defghi").unwrap();
        client.write_all(NEXT).unwrap();
        assert_eq!(read_all(&mut client, QUIET), (seen.to_owned(), false));
        assert_eq!(rig.origin.message().as_bytes(), HEAD);
        assert_eq!(rig.origin.message().as_bytes(), NEXT);
        assert_eq!(rig.origin.connections(), 2);
    }
}

/// A client that never sends the rest has its answer, and is told of in the log.
#[test]
fn the_rest_of_a_request_may_never_come() {
    let script = [answers(OK), vec![Step::ReadToEnd]].concat();
    let rig = Rig::start("early-never", &CONFIG.replace("client 5s", "client 700ms"), script);
    let mut client = rig.connect();
    client.write_all(HEAD).unwrap();
    assert_eq!(read_all(&mut client, QUIET), (OK.to_owned(), false));
    let log = rig.log_line();
    assert!(log.starts_with("f b/s T/T/T/T/T 200 51 - - cD-- "), "{log}");
    client.write_all(HEAD).unwrap_or_default();

    let mut client = rig.connect();
    client.write_all(HEAD).unwrap();
    assert_eq!(read_all(&mut client, QUIET), (OK.to_owned(), false));
    drop(client);
    let log = rig.log_line();
    assert!(log.starts_with("f b/s T/T/T/T/T 200 51 - - CD-- "), "{log}");
}

/// The end of an answer that the end of the connection tells is told at once.
#[test]
fn an_answer_without_a_length_ends_before_the_request() {
    let rig = Rig::start("early-end", CONFIG, [answers("HTTP/1.1 200 OK\r\n\r\nrest"), vec![Step::Close]].concat());
    let mut client = rig.connect();
    client.write_all(HEAD).unwrap();
    assert_eq!(read_all(&mut client, QUIET), ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nrest".to_owned(), true));
}

/// The proxy's own answer ends the connection of a request whose body is still coming, but it does so that the client reads
/// it to its end: a reset would take it away.
#[test]
fn an_answer_of_the_proxy_is_not_lost() {
    let rig = Rig::start("early-own", CONFIG, Vec::new());
    let sent = |target: &str| {
        let head = format!("POST {target} HTTP/1.1\r\ncontent-length: 1000000\r\n\r\n");
        [head.into_bytes(), vec![b'b'; 30_000]].concat()
    };
    let bad = [b"junk\r\n\r\n".to_vec(), vec![b'b'; 30_000]].concat();
    for (sent, status) in [(sent("/deny"), 403), (sent("/return"), 200), (sent("/redirect"), 302), (bad, 400)] {
        let mut client = rig.connect();
        client.write_all(&sent).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.to_ascii_lowercase().contains("connection: close\r\n"), "{answer}");
    }
}

/// What the server does after its early answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Server {
    Closes,
    Resets,
    Stays,
}

/// What the client does once it has the answer, and the server has done its part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Client {
    SendsTheRest,
    Stops,
    Leaves,
}

const SHORT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok";
const CLOSING: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
const ENDLESS: &str = "HTTP/1.1 200 OK\r\n\r\nok";

/// How it is logged. Whole answers with a length or in chunks are as the first one.
const ENDS: [(&str, Server, Client, &str); 16] = [
    (OK, Server::Closes, Client::SendsTheRest, "----"),
    (OK, Server::Closes, Client::Stops, "cD--"),
    (OK, Server::Closes, Client::Leaves, "CD--"),
    (OK, Server::Resets, Client::SendsTheRest, "SD--"),
    (OK, Server::Resets, Client::Stops, "cD--"),
    (OK, Server::Resets, Client::Leaves, "CD--"),
    (OK, Server::Stays, Client::SendsTheRest, "----"),
    (OK, Server::Stays, Client::Stops, "cD--"),
    (OK, Server::Stays, Client::Leaves, "CD--"),
    (ENDLESS, Server::Closes, Client::SendsTheRest, "----"),
    (ENDLESS, Server::Closes, Client::Leaves, "CD--"),
    (ENDLESS, Server::Stays, Client::Leaves, "CD--"),
    (SHORT, Server::Closes, Client::Stops, "SD--"),
    (SHORT, Server::Resets, Client::Stops, "SD--"),
    (SHORT, Server::Stays, Client::Stops, "sD--"),
    (SHORT, Server::Stays, Client::Leaves, "CD--"),
];

/// The last word of the log about one such exchange.
fn ending(config: &str, answer: &str, server: Server, act: Client) -> String {
    let last = match server {
        Server::Closes => Step::Close,
        Server::Resets => Step::Reset,
        Server::Stays => Step::ReadToEnd,
    };
    let rig = Rig::start("early-ends", config, [answers(answer), vec![Step::Wait, last]].concat());
    let mut client = rig.connect();
    client.write_all(HEAD).unwrap();
    let mut got = Vec::new();
    while !got.windows(2).any(|at| at == b"ok") {
        let mut block = [0; 1_000];
        let count = client.read(&mut block).unwrap();
        assert!(count > 0);
        got.extend_from_slice(&block[..count]);
    }
    rig.origin.go_on();
    if server != Server::Stays {
        rig.origin.wait_for_close();
    }
    match act {
        Client::SendsTheRest => client.write_all(b"abcdefghi").unwrap(),
        Client::Leaves => client.shutdown(std::net::Shutdown::Both).unwrap(),
        Client::Stops => {}
    }
    rig.log_line().split(' ').nth(7).unwrap().to_owned()
}

#[test]
fn how_an_early_answer_ends_is_logged() {
    let kept = CONFIG.replace("client 5s", "client 700ms").replace("server 2s", "server 400ms");
    let closed = kept.replace("    http-reuse never", "    option httpclose");
    for (answer, server, client, letters) in ENDS {
        let alike: &[&str] = if answer == OK { &[OK, CHUNKED, CLOSING] } else { &[answer] };
        for answer in alike {
            for config in [&kept, &closed] {
                let told = ending(config, answer, server, client);
                assert_eq!(told, letters, "{answer:?}, {server:?}, {client:?}, {}", config == &closed);
            }
        }
    }
}

/// Where the answer says where it ends, the client's connection is not ended before its request has.
#[test]
fn an_answer_with_a_length_does_not_end_the_connection() {
    let script = [answers(OK), vec![Step::ReadUntil("ghi"), Step::ReadToEnd]].concat();
    let rig = Rig::start("early-close", &CONFIG.replace("http-reuse never", "option httpclose"), script);
    let mut client = rig.connect();
    client.write_all(HEAD).unwrap();
    let seen = OK.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    assert_eq!(read_all(&mut client, QUIET), (seen, false));
    client.write_all(b"abcdefghi").unwrap();
    assert_eq!(read_all(&mut client, QUIET), (String::new(), true));
    assert!(rig.log_line().contains(" ---- "));
}
