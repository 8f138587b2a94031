//! `socks4` and `check-via-socks4`: servers that are reached through a proxy.

use super::rig::{BOUND, Rig, answering};
use integration_tests::wait;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

/// What the proxy does, by the last octet of the address that it is asked for.
fn answer(asked: &[u8; 16], stream: &mut TcpStream) -> std::io::Result<()> {
    const GRANTED: &[u8] = b"\0\x5a\0\0\0\0\0\0";
    match asked[7] {
        1 => stream.write_all(GRANTED)?,
        2 => return stream.write_all(b"\0\x5b\0\0\0\0\0\0"),
        3 => return Ok(()),
        4 => GRANTED.chunks(3).try_for_each(|part| stream.write_all(part))?,
        _ => return stream.write_all(&[GRANTED, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nglue"].concat()),
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let first = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    stream.write_all(
        &[b"HTTP/1.1 200 OK\r\nContent-Length: ", first.len().to_string().as_bytes(), b"\r\n\r\n", first].concat(),
    )
}

/// The proxy, and what it was asked.
fn proxy() -> (String, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (asked, all) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let asked: Sender<Vec<u8>> = asked.clone();
            thread::spawn(move || {
                let (mut stream, mut request) = (stream, [0; 16]);
                if stream.read_exact(&mut request).is_ok() {
                    let _ = asked.send(request.to_vec());
                    // A client that leaves early is what some cases are about.
                    let _ = answer(&request, &mut stream);
                }
            });
        }
    });
    (address, all)
}

const CONFIG: &str = "
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 5s
    retries 0
frontend f
    bind {front}
    use_backend %[req.hdr(x-to)]
backend granted
    server s 10.0.0.1:81 socks4 SOCKS
backend header
    server s 10.0.0.1:81 socks4 SOCKS send-proxy
backend denied
    server s 10.0.0.2:81 socks4 SOCKS
backend closed
    server s 10.0.0.3:81 socks4 SOCKS
backend pieces
    server s 10.0.0.4:81 socks4 SOCKS
backend together
    server s 10.0.0.5:81 socks4 SOCKS
backend six
    server s [::1]:81 socks4 SOCKS
";

#[test]
fn a_server_is_reached_through_a_proxy() {
    let (address, asked) = proxy();
    let rig = Rig::start("socks4", &CONFIG.replace("SOCKS", &address), answering(b"HTTP/1.1 200 OK\r\n\r\n"));
    for (backend, status, body, octet) in [
        ("granted", "200", "GET / HTTP/1.1", Some(1)),
        ("header", "200", "PROXY TCP4 127.0.0.1 127.0.0.1 ", Some(1)),
        ("denied", "503", "", Some(2)),
        ("closed", "503", "", Some(3)),
        ("pieces", "200", "GET / HTTP/1.1", Some(4)),
        ("together", "200", "glue", Some(5)),
        ("six", "503", "", None),
    ] {
        let mut client = rig.connect();
        client
            .write_all(format!("GET / HTTP/1.1\r\nHost: a\r\nX-To: {backend}\r\nConnection: close\r\n\r\n").as_bytes())
            .unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{backend}: {answer}");
        let (_, found) = answer.split_once("\r\n\r\n").unwrap();
        assert!(found.starts_with(body) || status == "503", "{backend}: {answer}");
        match octet {
            Some(octet) => {
                let request = asked.recv_timeout(BOUND).unwrap();
                assert_eq!(
                    request,
                    [b"\x04\x01\0\x51\x0a\0\0".as_slice(), &[octet], b"HAProxy\0"].concat(),
                    "{backend}"
                );
            }
            None => assert!(asked.try_recv().is_err(), "{backend}"),
        }
    }
}

const CHECKED: &str = "
global
    log {log} local0
    stats socket {runtime}
defaults
    log global
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 5s
    timeout check 5s
frontend f
    bind {front}
    default_backend b
backend b
    default-server check inter 100ms fall 1 socks4 SOCKS
    server granted 10.0.0.1:81 check-via-socks4
    server denied 10.0.0.2:81 check-via-socks4
    server closed 10.0.0.3:81 check-via-socks4
    server direct {server}
    server refused {dead}
";

#[test]
fn checks_go_through_the_proxy_where_they_are_told_to() {
    let (address, _asked) = proxy();
    let rig = Rig::start("socks4-check", &CHECKED.replace("SOCKS", &address), answering(b"HTTP/1.1 200 OK\r\n\r\n"));
    let checks = || {
        let table = rig.command("show stat");
        let row = |line: &str| {
            let fields: Vec<&str> = line.split(',').collect();
            let of = |name: &str| {
                let head = table.lines().next()?.trim_start_matches("# ");
                fields.get(head.split(',').position(|field| field == name)?).copied()
            };
            let is_server = fields.first() == Some(&"b") && fields.get(1).is_some_and(|name| *name != "BACKEND");
            is_server.then(|| format!("{} {}", fields[1], of("check_status").unwrap_or_default()))
        };
        table.lines().filter_map(row).collect::<Vec<_>>()
    };
    let wanted = ["granted L4OK", "denied SOCKERR", "closed SOCKERR", "direct L4OK", "refused L4CON"];
    wait::until("all checks have ended", BOUND, || (checks() == wanted).then_some(())).unwrap_or_else(|_| {
        panic!("{:?}", checks());
    });
}
