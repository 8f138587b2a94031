//! Fetches and converters, asked one by one: `samples.txt` has an expression in each line that is not indented, and below it what
//! haproxy 2.6 makes of it for the request here. A new case is a line in that file, and the values are written by haproxy:
//! `SUBJECT=theirs BLESS=1 cargo test -p integration-tests --test proxy samples`.

use super::rig::{BOUND, Rig, answering};
use integration_tests::subject::Subject;
use socket2::{Domain, Socket, Type};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

const CONFIG: &str = "
global
    set-var proc.limit int(12)
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 5s
    timeout http-keep-alive 5s
userlist u
    user joe insecure-password pw
    group staff users joe
frontend f
    bind {front}
    declare capture request len 8
    capture request header host len 5
    http-request capture req.hdr(x-l) id 0
    http-request set-var(txn.seven) int(7)
    http-request set-var(txn.text) str(abc)
    http-request set-var(txn.bin) bin(610062)
    http-request set-var(txn.hs) str(HS256)
    http-request set-var(txn.rs) str(RS256)
    http-request set-var(txn.ps) str(PS256)
    http-request set-var(txn.es) str(ES256)
    http-request set-var(txn.none) str(none)
    http-request set-var(txn.secret) str(secret)
    http-request set-var(txn.nonce) str(AAECAwQFBgcICQoL)
    http-request set-var(sess.who) src
    http-request set-var-fmt(txn.both) \"%[path]-%[method]\"
    http-request set-var(req.gone) int(1)
    http-request unset-var(req.gone)
CASES
backend b
    balance leastconn
    server s {server} weight 30
    server t {dead} weight 10 backup
";

/// A request with something for each fetch.
const REQUEST: &str = "GET /a/b.html?x=1&y=%20z;w=3&ip=10.9.8.7&empty=&n=42 HTTP/1.1\r\nHost: Example.com:81\r\n\
    X-L: a, \"b,c\" ,d\r\nX-L: e\r\nX-Ip: 10.1.2.3\r\nX-6: 2001:db8::1\r\nX-N: 12ab\r\nX-E:\r\n\
    X-Json: {\"a\":{\"b\":[1,2,{\"c\":\"d\\\"e\"}]},\"t\":true,\"n\":-5,\"f\":1.5,\"z\":null}\r\n\
    X-Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-B64: aGVsbG8gd29ybGQ=\r\nX-Hex: 48656c6C6f\r\n\
    Accept-Language: da, en-gb;q=0.8, en;q=0.7, fr;q=0.9\r\n\
    Forwarded: for=\"[2001:db8::9]:4711\";proto=https;host=h.ex;by=_hidden\r\n\
    Cookie: a=1; b=2; a=3\r\nAuthorization: Basic am9lOnB3\r\n";

#[test]
fn samples_are_haproxys() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxy/samples.txt");
    let table = std::fs::read_to_string(golden).unwrap();
    let expressions: Vec<&str> = table.lines().filter(|line| !line.starts_with("  ") && !line.is_empty()).collect();
    let mut cases = String::new();
    for (number, expression) in expressions.iter().enumerate() {
        let case = format!("{{ req.hdr(x-case) {number} }}");
        let _ = writeln!(cases, "    http-request set-var(txn.v) {expression} if {case}");
        let _ = writeln!(
            cases,
            "    http-request return status 200 content-type text/plain lf-string \"%[var(txn.v)]\" if {case} {{ \
             var(txn.v) -m found }}"
        );
        let _ = writeln!(cases, "    http-request return status 404 content-type text/plain string - if {case}");
    }
    let rig = Rig::start("samples", &CONFIG.replace("CASES\n", &cases), answering(b"HTTP/1.1 200 OK\r\n\r\n"));
    let mut client = rig.connect();
    let mut all = String::new();
    for (number, expression) in expressions.iter().enumerate() {
        let value = ask(&mut client, number);
        let _ = writeln!(all, "{expression}\n  {value}");
    }
    if std::env::var_os("BLESS").is_some() && Subject::from_env() == Subject::Theirs {
        std::fs::write(golden, all).unwrap();
        return;
    }
    let lines: Vec<&str> = all.lines().collect();
    let pairs = lines.iter().zip(table.lines()).enumerate();
    let differences: Vec<String> = pairs
        .filter(|(_, (got, wanted))| *got != wanted)
        .map(|(line, (got, wanted))| format!("{}: got{got}, haproxy has{wanted}", lines[line.saturating_sub(1)]))
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert_eq!(all.lines().count(), table.lines().count());
}

const REORDERING: &str = "
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 5s
frontend f
    bind {front}
    http-request return status 200 content-type text/plain lf-string %[fc_reordering]
";

/// How far packets come out of order is something that the kernel remembers of an address from connections before, and busy tests
/// teach it about the one that all use. Nobody else comes from this one.
#[test]
fn a_new_client_has_the_reordering_that_the_kernel_begins_with() {
    let rig = Rig::start("reordering", REORDERING, answering(b"HTTP/1.1 200 OK\r\n\r\n"));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 77], 0)).into()).unwrap();
    socket.connect(&rig.front.into()).unwrap();
    let mut client = TcpStream::from(socket);
    client.set_read_timeout(Some(BOUND)).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\n3"), "{answer}");
}

/// The value of a case, with a dash in front where there was none; what cannot be printed is escaped.
fn ask(client: &mut TcpStream, number: usize) -> String {
    client.write_all(format!("{REQUEST}X-Case: {number}\r\n\r\n").as_bytes()).unwrap();
    client.set_read_timeout(Some(BOUND)).unwrap();
    let mut received = Vec::new();
    loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if received.len() >= end + 4 + length {
                let body = received[end + 4..end + 4 + length].escape_ascii().to_string();
                return if head.starts_with("http/1.1 200") { format!("= {body}") } else { "none".to_owned() };
            }
        }
        let mut block = [0; 4096];
        let count = client.read(&mut block).unwrap();
        assert!(count > 0, "the connection ended in case {number}: {}", received.escape_ascii());
        received.extend_from_slice(&block[..count]);
    }
}
