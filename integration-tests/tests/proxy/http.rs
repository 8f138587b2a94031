//! HTTP/1: what is forwarded, what is refused, and the log line of each.

use super::rig::{Rig, Step, answering, read_all, talk, wait_until_read};
use integration_tests::subject::Subject;
use std::io::Write;
use std::time::Duration;

const CONFIG: &str = "
global
    log {log} local0
defaults
    mode http
    log global
    option httplog
    timeout client 2s
    timeout server 1s
    timeout connect 1s
    timeout http-request 700ms
frontend fe
    bind {front}
    option forwardfor
    default_backend be
backend be
    server s1 {server}
";

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// How long a client waits for more before it believes that its connection is kept.
const QUIET: Duration = Duration::from_millis(150);

/// A request, what the server sees of it, and what the client and the log see.
struct Request {
    name: &'static str,
    sent: &'static str,
    /// As the server receives it; `None`: it never does.
    forwarded: Option<&'static str>,
    status: u16,
    closed: bool,
}

const fn forwarded(name: &'static str, sent: &'static str, forwarded: &'static str) -> Request {
    Request { name, sent, forwarded: Some(forwarded), status: 200, closed: false }
}

const fn closing(name: &'static str, sent: &'static str, forwarded: &'static str) -> Request {
    Request { name, sent, forwarded: Some(forwarded), status: 200, closed: true }
}

const fn refused(name: &'static str, sent: &'static str) -> Request {
    Request { name, sent, forwarded: None, status: 400, closed: true }
}

/// Rows of the behaviour of haproxy 2.6 and 3.5 on which both agree.
const REQUESTS: &[Request] = &[
    forwarded(
        "names in lower case, order and duplicates kept",
        "GET /a HTTP/1.1\r\nHost: Ex.COM\r\nX-Foo:  bar \r\nAccept: a\r\nAccept: b\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: Ex.COM\r\nx-foo: bar\r\naccept: a\r\naccept: b\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
    ),
    closing(
        "HTTP/1.0",
        "GET /a HTTP/1.0\r\n\r\n",
        "GET /a HTTP/1.0\r\nx-forwarded-for: 127.0.0.1\r\nconnection: keep-alive\r\n\r\n",
    ),
    forwarded("no host", "GET /a HTTP/1.1\r\n\r\n", "GET /a HTTP/1.1\r\nx-forwarded-for: 127.0.0.1\r\n\r\n"),
    forwarded(
        "folded line",
        "GET /a HTTP/1.1\r\nhost: h\r\nx-f: a\r\n b\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: h\r\nx-f: a   b\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
    ),
    forwarded(
        "control character in a value",
        "GET /a HTTP/1.1\r\nhost: h\r\nx: a\x01b\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: h\r\nx: a\x01b\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
    ),
    forwarded(
        "quotes and brackets in the target",
        "GET /a\"<>`{}|^\\ HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /a\"<>`{}|^\\ HTTP/1.1\r\nhost: h\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
    ),
    forwarded(
        "dot segments",
        "GET /a/../b//c/./d%2e HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /a/../b//c/./d%2e HTTP/1.1\r\nhost: h\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
    ),
    forwarded(
        "absolute target",
        "GET http://h/a HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET http://h/a HTTP/1.1\r\nhost: h\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
    ),
    forwarded(
        "absolute target with the default port",
        "GET http://h:80/a HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET http://h/a HTTP/1.1\r\nhost: h\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
    ),
    forwarded(
        "absolute target without host",
        "GET http://other/a HTTP/1.1\r\n\r\n",
        "GET http://other/a HTTP/1.1\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
    ),
    forwarded(
        "asterisk",
        "OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: h\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
    ),
    forwarded(
        "method in lower case",
        "get /a HTTP/1.1\r\n\r\n",
        "get /a HTTP/1.1\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
    ),
    forwarded("HTTP/1.2", "GET /a HTTP/1.2\r\n\r\n", "GET /a HTTP/1.1\r\nx-forwarded-for: 127.0.0.1\r\n\r\n"),
    forwarded(
        "connection names",
        "GET /a HTTP/1.1\r\nconnection: x-foo, keep-alive\r\nx-foo: 1\r\nkeep-alive: 2\r\nte: gzip, trailers\r\nte: x\r\n\r\n",
        "GET /a HTTP/1.1\r\nconnection: x-foo\r\nx-foo: 1\r\nkeep-alive: 2\r\nte: trailers\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
    ),
    closing(
        "close",
        "GET /a HTTP/1.1\r\nconnection: close\r\n\r\n",
        "GET /a HTTP/1.1\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
    ),
    forwarded(
        "content-length",
        "POST /p HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc",
        "POST /p HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\nx-forwarded-for: 127.0.0.1\r\n\r\nabc",
    ),
    forwarded(
        "content-length, the same again",
        "POST /p HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc",
        "POST /p HTTP/1.1\r\ncontent-length: 3\r\nx-forwarded-for: 127.0.0.1\r\n\r\nabc",
    ),
    forwarded(
        "content-length as a list of equals",
        "POST /p HTTP/1.1\r\ncontent-length: 3, 3\r\n\r\nabc",
        "POST /p HTTP/1.1\r\ncontent-length: 3\r\nx-forwarded-for: 127.0.0.1\r\n\r\nabc",
    ),
    closing(
        "both framings",
        "POST /p HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "POST /p HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\nx-forwarded-for: 127.0.0.1\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ),
    forwarded(
        "chunk extensions and zeros",
        "POST /p HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n003;a=b\r\nabc\r\n0\r\n\r\n",
        "POST /p HTTP/1.1\r\ntransfer-encoding: chunked\r\nx-forwarded-for: 127.0.0.1\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ),
    forwarded(
        "trailers",
        "POST /p HTTP/1.1\r\ntransfer-encoding: chunked\r\ntrailer: X-T\r\n\r\n3\r\nabc\r\n0\r\nX-T: v\r\n\r\n",
        "POST /p HTTP/1.1\r\ntransfer-encoding: chunked\r\ntrailer: X-T\r\nx-forwarded-for: 127.0.0.1\r\n\r\n3\r\nabc\r\n0\r\nx-t: v\r\n\r\n",
    ),
    forwarded(
        "trailers that look like framing",
        "POST /p HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\ncontent-length: 5\r\nhost: z\r\n\r\n",
        "POST /p HTTP/1.1\r\ntransfer-encoding: chunked\r\nx-forwarded-for: 127.0.0.1\r\n\r\n3\r\nabc\r\n0\r\ncontent-length: 5\r\nhost: z\r\n\r\n",
    ),
    forwarded(
        "GET with a body",
        "GET /a HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc",
        "GET /a HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\nx-forwarded-for: 127.0.0.1\r\n\r\nabc",
    ),
    closing(
        "POST of HTTP/1.0",
        "POST /a HTTP/1.0\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc",
        "POST /a HTTP/1.0\r\nhost: h\r\ncontent-length: 3\r\nx-forwarded-for: 127.0.0.1\r\nconnection: keep-alive\r\n\r\nabc",
    ),
    forwarded(
        "POST without a length",
        "POST /p HTTP/1.1\r\n\r\n",
        "POST /p HTTP/1.1\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
    ),
    forwarded(
        "an unknown expectation",
        "POST /p HTTP/1.1\r\ncontent-length: 3\r\nexpect: foo\r\n\r\nabc",
        "POST /p HTTP/1.1\r\ncontent-length: 3\r\nexpect: foo\r\nx-forwarded-for: 127.0.0.1\r\n\r\nabc",
    ),
    forwarded(
        "x-forwarded-for exists",
        "GET /a HTTP/1.1\r\nx-forwarded-for: 9.9.9.9\r\n\r\n",
        "GET /a HTTP/1.1\r\nx-forwarded-for: 9.9.9.9\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
    ),
    forwarded(
        "several cookie lines",
        "GET /a HTTP/1.1\r\ncookie: a=1\r\ncookie: b=2\r\n\r\n",
        "GET /a HTTP/1.1\r\ncookie: a=1\r\ncookie: b=2\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
    ),
    forwarded(
        "upgrade stays alone in connection",
        "GET /a HTTP/1.1\r\nconnection: keep-alive, Upgrade\r\nupgrade: foo\r\n\r\n",
        "GET /a HTTP/1.1\r\nconnection: Upgrade\r\nupgrade: foo\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
    ),
    closing(
        "upgrade on HTTP/1.0",
        "GET /a HTTP/1.0\r\nconnection: upgrade\r\n\r\n",
        "GET /a HTTP/1.0\r\nconnection: upgrade\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
    ),
    forwarded(
        "no upgrade with a body",
        "POST /p HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 3\r\n\r\nabc",
        "POST /p HTTP/1.1\r\nconnection: upgrade\r\ncontent-length: 3\r\nx-forwarded-for: 127.0.0.1\r\n\r\nabc",
    ),
    closing(
        "chunks on HTTP/1.0",
        "POST /p HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "POST /p HTTP/1.0\r\ntransfer-encoding: chunked\r\nx-forwarded-for: 127.0.0.1\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ),
    forwarded(
        "empty connection",
        "GET /a HTTP/1.1\r\nconnection:\r\n\r\n",
        "GET /a HTTP/1.1\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
    ),
    forwarded(
        "line folded after a lone LF",
        "GET /a HTTP/1.1\r\nx: a\n b\r\n\r\n",
        "GET /a HTTP/1.1\r\nx: a  b\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
    ),
    refused("lone CR before a request", "\rGET /a HTTP/1.1\r\n\r\n"),
    refused("query without a path, and host", "GET http://h?x HTTP/1.1\r\nhost: h\r\n\r\n"),
    refused("CONNECT and host differ in the port", "CONNECT h:443 HTTP/1.1\r\nhost: h:80\r\n\r\n"),
    refused("cow", "POST /p HTTP/1.1\r\ntransfer-encoding: cow\r\n\r\n0\r\n\r\n"),
    refused(
        "WebSocket among others, without a key",
        "GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: foo, websocket\r\n\r\n",
    ),
    refused("chunk of 2^52", "POST /p HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n10000000000000\r\nabc"),
    refused("chunk that is none", "POST /p HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nG\r\n"),
    refused(
        "trailer with a bad length",
        "POST /p HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\ncontent-length: a\r\n\r\n",
    ),
    refused(
        "trailers with two hosts",
        "POST /p HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nhost: a\r\nhost: b\r\n\r\n",
    ),
    Request {
        name: "coding without a name",
        status: 422,
        ..refused("", "POST /p HTTP/1.1\r\ntransfer-encoding: ,chunked\r\n\r\n0\r\n\r\n")
    },
    Request {
        name: "coding that nobody knows",
        status: 422,
        ..refused("", "POST /p HTTP/1.1\r\ntransfer-encoding: cow, chunked\r\n\r\n0\r\n\r\n")
    },
    refused("field without a colon", "GET /a HTTP/1.1\r\nhost: h\r\nfoo\r\n\r\n"),
    refused("empty field name", "GET /a HTTP/1.1\r\n: v\r\n\r\n"),
    refused("lone CR in a value", "GET /a HTTP/1.1\r\nx: a\rb\r\n\r\n"),
    refused("space before the first field", "GET /a HTTP/1.1\r\n x: y\r\n\r\n"),
    refused("space before a colon", "GET /a HTTP/1.1\r\nx : y\r\n\r\n"),
    refused("eighth bit in the target", "GET /\u{e9} HTTP/1.1\r\n\r\n"),
    refused("control character in the target", "GET /a\x01 HTTP/1.1\r\n\r\n"),
    refused("space in the target", "GET /a b HTTP/1.1\r\n\r\n"),
    refused("fragment in the target", "GET /a#b HTTP/1.1\r\n\r\n"),
    refused("host and target differ", "GET http://h/a HTTP/1.1\r\nhost: z\r\n\r\n"),
    refused("two hosts", "GET /a HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"),
    refused("relative target", "GET a HTTP/1.1\r\nhost: h\r\n\r\n"),
    refused("CONNECT to another host", "CONNECT h:443 HTTP/1.1\r\nhost: z:443\r\n\r\n"),
    refused("CONNECT without a port", "CONNECT h HTTP/1.1\r\nhost: h\r\n\r\n"),
    refused("HTTP/1.10", "GET /a HTTP/1.10\r\nhost: h\r\n\r\n"),
    refused("http/1.1", "GET /a http/1.1\r\nhost: h\r\n\r\n"),
    refused("RTSP/1.0", "GET /a RTSP/1.0\r\nhost: h\r\n\r\n"),
    refused("content-length +3", "POST /p HTTP/1.1\r\ncontent-length: +3\r\n\r\nabc"),
    refused("content-length -1", "POST /p HTTP/1.1\r\ncontent-length: -1\r\n\r\nabc"),
    refused("two content-lengths", "POST /p HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc"),
    refused("xchunked", "POST /p HTTP/1.1\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
    refused("VT before chunked", "POST /p HTTP/1.1\r\ntransfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    refused("empty transfer-encoding", "POST /p HTTP/1.1\r\ntransfer-encoding:\r\n\r\n0\r\n\r\n"),
    refused("chunked twice", "POST /p HTTP/1.1\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    refused("WebSocket without a key", "GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"),
    refused("TLS", "\x16\x03\x01\x02\x00\x01\x00"),
    Request {
        name: "GET of HTTP/1.0 with a body",
        sent: "GET /a HTTP/1.0\r\ncontent-length: 3\r\n\r\nabc",
        forwarded: None,
        status: 413,
        closed: true,
    },
];

fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect()
}

#[test]
fn requests() {
    let rig = Rig::start("requests", CONFIG, answering(OK));
    for case in REQUESTS {
        let (answer, closed) = talk(&rig, &bytes(case.sent), false, QUIET);
        let name = case.name;
        assert!(answer.starts_with(&format!("HTTP/1.1 {} ", case.status)), "{name}: {answer}");
        assert_eq!(closed, case.closed, "{name}: closed");
        let log = rig.log_line();
        if let Some(forwarded) = case.forwarded {
            assert_eq!(rig.origin.message(), forwarded, "{name}");
            assert!(log.starts_with("fe be/s1 T/T/T/T/T 200 "), "{name}: {log}");
            let line = case.sent.split_once("\r\n").unwrap().0.replace('"', "#22").replace("h:80", "h");
            // The connection before may still be counted.
            assert!(log.contains(" ---- ") && log.ends_with(&format!("/0/0/0 0/0 \"{line}\"")), "{name}: {log}");
        } else {
            assert!(rig.origin.is_idle(), "{name}: reached the server");
            let status = case.status;
            assert!(log.starts_with(&format!("fe fe/<NOSRV> -1/-1/-1/-1/T {status} 0 - - PR-- ")), "{name}: {log}");
            assert!(log.ends_with("/0/0/0 0/0 \"<BADREQ>\""), "{name}: {log}");
        }
    }
}

/// The method that HTTP/2 begins with, and a name longer than haproxy keeps: both are refused, whatever their letters.
#[test]
fn reserved_and_too_long() {
    let rig = Rig::start("reserved", CONFIG, answering(OK));
    for method in ["PRI", "pri"] {
        let (answer, closed) = talk(&rig, format!("{method} /a HTTP/1.1\r\n\r\n").as_bytes(), false, QUIET);
        assert!(answer.starts_with("HTTP/1.1 400 Bad request\r\ncontent-length: 90\r\n") && closed, "{answer}");
        assert_eq!(answer.matches("connection: close").count(), 1, "{answer}");
        assert_eq!(rig.log_line(), "fe fe/<NOSRV> -1/-1/-1/-1/T 400 206 - - PR-- 1/1/0/0/0 0/0 \"<BADREQ>\"");
    }
    for (length, status) in [(255, 200), (256, 400)] {
        let sent = format!("GET /a HTTP/1.1\r\n{}: y\r\n\r\n", "X".repeat(length));
        let (answer, _) = talk(&rig, sent.as_bytes(), false, QUIET);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{length}: {answer}");
    }
}

/// `http-reuse never` keeps the connection to the server for the client's next request, and for nobody else's.
#[test]
fn a_connection_that_is_never_shared_is_kept() {
    let rig = Rig::start("never", &CONFIG.replace("backend be", "backend be\n    http-reuse never"), answering(OK));
    for connections in 1..=2 {
        let mut client = rig.connect();
        for _ in 0..3 {
            client.write_all(b"GET /a HTTP/1.1\r\n\r\n").unwrap();
            assert!(read_all(&mut client, QUIET).0.starts_with("HTTP/1.1 200 "));
        }
        assert_eq!(rig.origin.connections(), connections);
    }
}

/// A client that does not send the rest of its body is waited for as long as the server may take.
#[test]
fn a_body_that_does_not_come() {
    let rig = Rig::start("body", CONFIG, answering(OK));
    let (answer, closed) = talk(&rig, b"POST /p HTTP/1.1\r\ncontent-length: 9\r\n\r\nabc", false, QUIET);
    assert!(answer.starts_with("HTTP/1.1 504 ") && closed, "{answer}");
    let log = rig.log_line();
    assert!(log.contains(" 504 198 - - sH-- "), "{log}");
    let (answer, _) = talk(&rig, b"POST /p HTTP/1.1\r\ncontent-length: 9\r\n\r\nabc", true, QUIET);
    assert_eq!(answer, "");
}

/// Both programs refuse these, but haproxy 2.6 with 400 where haproxy 3.5 and proxyd tell what was too large.
#[test]
fn too_large() {
    let rig = Rig::start("large", CONFIG, answering(OK));
    let many = format!("GET /a HTTP/1.1\r\n{}\r\n", "x: a\r\n".repeat(101));
    let long_field = format!("GET /a HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(15_400));
    let long_target = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(17_000));
    for (sent, status) in [(many, 400), (long_field, 431), (long_target, 414)] {
        let status = if Subject::from_env() == Subject::Theirs { 400 } else { status };
        let (answer, closed) = talk(&rig, sent.as_bytes(), false, QUIET);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(closed);
    }
    let fits = format!("GET /a HTTP/1.1\r\n{}x: {}\r\n\r\n", "x: a\r\n".repeat(98), "a".repeat(8_000));
    assert!(talk(&rig, fits.as_bytes(), false, QUIET).0.starts_with("HTTP/1.1 200 "));
}

/// What is left out of a head has its place in it all the same where haproxy leaves it out late.
#[test]
fn fields_that_are_left_out() {
    let rig = Rig::start("fields", CONFIG, answering(OK));
    for (fields, others, status) in [
        ("", 100, 200),
        ("", 101, 400),
        ("connection: close\r\n", 100, 200),
        ("connection: x\r\n", 100, 400),
        ("te: gzip\r\n", 99, 200),
        ("te: gzip\r\n", 100, 400),
        ("te: trailers\r\n", 100, 400),
    ] {
        let others = "x: y\r\n".repeat(others);
        for fields in [format!("{fields}{others}"), format!("{others}{fields}")] {
            let (answer, _) = talk(&rig, format!("GET /a HTTP/1.1\r\n{fields}\r\n").as_bytes(), false, QUIET);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{fields:?}: {answer}");
        }
    }
}

/// Lines within a body in chunks may be as long as a buffer.
#[test]
fn long_lines_in_chunks() {
    let long = |length| "a".repeat(length);
    for body in [
        format!("3;{}\r\nabc\r\n0\r\n\r\n", long(16_000)),
        format!("3\r\nabc\r\n0;{}\r\n\r\n", long(16_000)),
        format!("{}3\r\nabc\r\n0\r\n\r\n", "0".repeat(16_000)),
        format!("3\r\nabc\r\n0\r\nx: {}\r\n\r\n", long(16_000)),
    ] {
        let script = vec![Step::ReadUntil("0\r\n\r\n"), Step::Write(OK.to_vec()), Step::ReadToEnd];
        let trailers = body.contains("x: ");
        let script =
            if trailers { [vec![Step::ReadUntil("a\r\n\r\n")], script[1..].to_vec()].concat() } else { script };
        let rig = Rig::start("long-lines", &CONFIG.replace("http-request 700ms", "http-request 5s"), script);
        let mut client = rig.connect();
        client.write_all(b"POST /p HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
        wait_until_read(&client);
        client.write_all(body.as_bytes()).unwrap();
        let (answer, _) = read_all(&mut client, QUIET);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let end = if trailers { format!("0\r\nx: {}\r\n\r\n", long(16_000)) } else { "0\r\n\r\n".to_owned() };
        assert!(rig.origin.message().ends_with(&format!("\r\n\r\n3\r\nabc\r\n{end}")));
    }
}

/// What rules answer is called otherwise than the pages, and a status that nobody knows by its class.
#[test]
fn reason_phrases() {
    let phrases = [
        (226, "IM Used"),
        (299, "Success"),
        (302, "Moved Temporarily"),
        (400, "Bad Request"),
        (407, "Proxy Authentication Required"),
        (413, "Request Entity Too Large"),
        (418, "I'm a teapot"),
        (444, "Client Error"),
        (502, "Bad Gateway or Proxy Error"),
        (503, "Service Unavailable"),
        (520, "Web server is returning an unknown error"),
    ];
    let rules = phrases.map(|(status, _)| {
        format!(
            "    http-request return status {status} content-type a/b string x if {{ path /{status} }}\n    \
             http-request set-var(txn.status) path\n    \
             http-response set-status {status} if {{ var(txn.status) -m str /set/{status} }}\n"
        )
    });
    let rules = rules.concat();
    let redirect = "    http-request redirect location /x if { path /redirect }\n";
    let page = "    http-request deny deny_status 502 if { path /page }\n";
    let config = CONFIG.replace("    default_backend", &format!("{rules}{redirect}{page}    default_backend"));
    let rig = Rig::start("phrases", &config, answering(OK));
    let phrase = |path: &str| {
        let (answer, _) = talk(&rig, format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes(), false, QUIET);
        answer.lines().next().and_then(|line| line.split_once(' ')).map(|(_, rest)| rest.to_owned())
    };
    for (status, expected) in phrases {
        let expected = Some(format!("{status} {expected}"));
        assert_eq!(phrase(&format!("/{status}")), expected);
        assert_eq!(phrase(&format!("/set/{status}")), expected);
    }
    assert_eq!(phrase("/redirect").unwrap(), "302 Found");
    assert_eq!(phrase("/page").unwrap(), "502 Bad Gateway");
}

#[test]
fn requests_that_do_not_come() {
    let rig = Rig::start("late", CONFIG, answering(OK));
    for (sent, half_close, status, state) in [
        ("", false, 408, "cR--"),
        ("GET / HTTP/1.1\r\nx", false, 408, "cR--"),
        ("", true, 400, "CR--"),
        ("GET / HT", true, 400, "CR--"),
        ("\r\n", true, 400, "CR--"),
        ("\r\n", false, 408, "cR--"),
    ] {
        let (answer, closed) = talk(&rig, sent.as_bytes(), half_close, QUIET);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{sent:?}: {answer}");
        assert!(closed, "{sent:?}");
        let log = rig.log_line();
        assert!(log.starts_with("fe fe/<NOSRV> -1/-1/-1/-1/T "), "{log}");
        assert!(log.ends_with(&format!(" {status} 0 - - {state} 1/1/0/0/0 0/0 \"<BADREQ>\"")), "{log}");
    }
}

/// What has begun after other requests and does not come is told like a first one, also if it is an empty line only.
#[test]
fn requests_that_do_not_come_after_others() {
    let rig = Rig::start("late-next", CONFIG, answering(OK));
    for (sent, half_close, next) in [
        ("GET / HT", true, Some((400, "CR--"))),
        ("GET / HT", false, Some((408, "cR--"))),
        ("\r\n", true, Some((400, "CR--"))),
        ("\r\n", false, Some((408, "cR--"))),
        ("", true, None),
    ] {
        let mut client = rig.connect();
        client.write_all(b"GET /a HTTP/1.1\r\n\r\n").unwrap();
        assert!(read_all(&mut client, QUIET).0.starts_with("HTTP/1.1 200 "));
        assert!(rig.log_line().contains(" 200 "));
        client.write_all(sent.as_bytes()).unwrap();
        if half_close {
            client.shutdown(std::net::Shutdown::Write).unwrap();
        }
        let (answer, closed) = read_all(&mut client, QUIET);
        assert!(closed, "{sent:?}");
        match next {
            Some((status, state)) => {
                assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{sent:?}: {answer}");
                let log = rig.log_line();
                assert!(log.ends_with(&format!(" {status} 0 - - {state} 1/1/0/0/0 0/0 \"<BADREQ>\"")), "{log}");
            }
            None => assert_eq!(answer, ""),
        }
    }
}

#[test]
fn pipelined_requests_are_served_one_after_the_other() {
    let rig = Rig::start("pipeline", CONFIG, answering(OK));
    let (answer, closed) = talk(&rig, b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n", false, QUIET);
    assert_eq!(answer, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".repeat(2));
    assert!(!closed);
    assert!(rig.log_line().ends_with("\"GET /1 HTTP/1.1\""));
    assert!(rig.log_line().ends_with("\"GET /2 HTTP/1.1\""));
}

#[test]
fn expect_waits_for_the_server() {
    let script = vec![
        Step::ReadMessage,
        Step::Write(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        Step::ReadUntil("abc"),
        Step::Write(OK.to_vec()),
        Step::ReadToEnd,
    ];
    let rig = Rig::start("expect", CONFIG, script);
    let mut client = rig.connect();
    client.write_all(b"POST /p HTTP/1.1\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\n").unwrap();
    assert_eq!(read_all(&mut client, QUIET).0, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"abc").unwrap();
    assert_eq!(read_all(&mut client, QUIET).0, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
}

const PAGE_502: &str = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 107\r\ncache-control: no-cache\r\ncontent-type: text/html\r\n\r\n\
    <html><body><h1>502 Bad Gateway</h1>\nThe server returned an invalid or incomplete response.\n</body></html>\n";

/// What a server sends before it closes, what the client gets, whether its connection is closed, and the state in the log.
const RESPONSES: &[(&str, &str, bool, &str)] = &[
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Foo: Bar\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-foo: Bar\r\n\r\nok",
        false,
        "200 59 - - ----",
    ),
    (
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok",
        false,
        "200 ",
    ),
    ("HTTP/1.1 200 OK\r\n\r\nok", "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok", true, "200 "),
    (
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        false,
        "200 ",
    ),
    ("HTTP/1.1 99 X\r\ncontent-length: 2\r\n\r\nok", "HTTP/1.1 99 X\r\n", false, "99 "),
    ("HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\nok", "HTTP/1.1 204 No\r\n\r\n", false, "204 "),
    ("HTTP/1.1 304 NM\r\ncontent-length: 2\r\n\r\n", "HTTP/1.1 304 NM\r\ncontent-length: 2\r\n\r\n", false, "304 "),
    ("HTTP/1.2 200 OK\r\ncontent-length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", false, "200 "),
    (
        "HTTP/1.1 200 OK\r\nset-cookie2: a=b\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nset-cookie2: a=b\r\ncontent-length: 2\r\n\r\nok",
        false,
        "200 ",
    ),
    (
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nkeep-alive: timeout=5\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nkeep-alive: timeout=5\r\n\r\nok",
        false,
        "200 ",
    ),
    (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: v\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-t: v\r\n\r\n",
        false,
        "200 ",
    ),
    (
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nok",
        true,
        "200 52 - - SD--",
    ),
    ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok", PAGE_502, false, "502 209 - - PH--"),
    ("HTTP/1.1 200 OK\r\ncontent", PAGE_502, false, "502 209 - - SH--"),
    ("", PAGE_502, false, "502 209 - - SH--"),
    ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nG\r\n", PAGE_502, false, "502 209 - - PH--"),
    ("junk\r\n\r\n", PAGE_502, false, "502 209 - - PH--"),
    ("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", PAGE_502, false, "PH--"),
    ("HTTP/1.1 200 OK\r\nb@d: x\r\ncontent-length: 2\r\n\r\nok", PAGE_502, false, "502 209 - - PH--"),
    ("HTTP/1.1 200 OK\r\nx : y\r\ncontent-length: 2\r\n\r\nok", PAGE_502, false, "502 209 - - PH--"),
];

#[test]
fn responses() {
    for (sent, expected, closes, log) in RESPONSES {
        let script = vec![Step::ReadMessage, Step::Write(bytes(sent)), Step::Close];
        let rig = Rig::start("responses", CONFIG, script);
        let (answer, closed) = talk(&rig, b"GET /a HTTP/1.1\r\n\r\n", false, QUIET);
        if expected.contains("99 X") {
            // 2.6 takes a status below 100 as informational and drops what the body was.
            assert!(answer.starts_with(expected), "{sent:?}: {answer}");
        } else {
            assert_eq!(answer, *expected, "{sent:?}");
        }
        assert_eq!(closed, *closes, "{sent:?}");
        let line = rig.log_line();
        assert!(line.contains(log), "{sent:?}: {line}");
        assert!(line.starts_with("fe be/s1 T/T/T/"), "{line}");
    }
}

#[test]
fn a_silent_server_is_504_and_keeps_the_client() {
    let rig = Rig::start("silent", CONFIG, vec![Step::ReadMessage, Step::ReadToEnd]);
    let (answer, closed) = talk(&rig, b"GET /a HTTP/1.1\r\n\r\n", false, QUIET);
    let page = "HTTP/1.1 504 Gateway Time-out\r\ncontent-length: 92\r\ncache-control: no-cache\r\ncontent-type: text/html\r\n\r\n\
        <html><body><h1>504 Gateway Time-out</h1>\nThe server didn't respond in time.\n</body></html>\n";
    assert_eq!(answer, page);
    assert!(!closed);
    let log = rig.log_line();
    assert!(log.contains(" 504 198 - - sH-- 1/1/0/0/0 0/0 "), "{log}");
}

#[test]
fn nobody_there_is_503() {
    let config =
        CONFIG.replace("{server}", "{dead}").replace("timeout connect 1s", "timeout connect 100ms\n    retries 2");
    let rig = Rig::start("dead", &config, Vec::new());
    let (answer, closed) = talk(&rig, b"GET /a HTTP/1.1\r\n\r\n", false, QUIET);
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 107\r\n"), "{answer}");
    assert!(!closed);
    let log = rig.log_line();
    assert!(log.starts_with("fe be/s1 T/T/-1/-1/T") && log.contains(" 503 217 - - SC-- 1/1/0/0/2 0/0 "), "{log}");

    let rig = Rig::start("empty", &CONFIG.replace("    server s1 {server}\n", ""), Vec::new());
    assert!(talk(&rig, b"GET /a HTTP/1.1\r\n\r\n", false, QUIET).0.starts_with("HTTP/1.1 503 "));
    let log = rig.log_line();
    assert_eq!(log, "fe be/<NOSRV> T/-1/-1/-1/T 503 217 - - SC-- 1/1/0/0/0 0/0 \"GET /a HTTP/1.1\"");
}

#[test]
fn modes_of_keeping_connections() {
    for (option, to_server, to_client, closed) in [
        ("option http-server-close", "connection: close\r\n", "", false),
        ("option httpclose", "connection: close\r\n", "connection: close\r\n", true),
    ] {
        let rig = Rig::start("modes", &CONFIG.replace("option forwardfor", option), answering(OK));
        let (answer, is_closed) = talk(&rig, b"GET /a HTTP/1.1\r\n\r\n", false, QUIET);
        assert_eq!(answer, format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{to_client}\r\nok"), "{option}");
        assert_eq!(rig.origin.message(), format!("GET /a HTTP/1.1\r\n{to_server}\r\n"), "{option}");
        assert_eq!(is_closed, closed, "{option}");
        // WebSockets work in every mode.
        let upgrade = "GET /a HTTP/1.1\r\nconnection: upgrade\r\nupgrade: foo\r\n\r\n";
        talk(&rig, upgrade.as_bytes(), false, QUIET);
        assert_eq!(rig.origin.message(), upgrade, "{option}");
    }
}

/// A frontend has a say in both connections, a backend in those to its servers, and it may keep from them that they end.
#[test]
fn modes_of_one_side() {
    const CLOSE: &str = "connection: close\r\n";
    const KEEP: &str = "connection: keep-alive\r\n";
    let server_close = "option http-server-close\n    option http-pretend-keepalive";
    for (front, back, to_server, to_old_server, closed) in [
        ("", "option http-server-close", CLOSE, "", false),
        ("", "option httpclose", CLOSE, "", false),
        ("option http-server-close", "", CLOSE, "", false),
        ("option httpclose", "", CLOSE, "", true),
        ("option httpclose", "option http-keep-alive", CLOSE, "", true),
        ("option http-server-close", "option httpclose", CLOSE, "", false),
        ("", server_close, "", KEEP, false),
        ("option httpclose", "option http-pretend-keepalive", "", KEEP, true),
        ("", "option http-pretend-keepalive", "", KEEP, false),
    ] {
        let name = format!("{front:?} {back:?}");
        let config =
            CONFIG.replace("option forwardfor", front).replace("\nbackend be", &format!("\nbackend be\n    {back}"));
        let rig = Rig::start("one-side", &config, answering(OK));
        let (answer, is_closed) = talk(&rig, b"GET /a HTTP/1.1\r\n\r\n", false, QUIET);
        let to_client = if closed { CLOSE } else { "" };
        assert_eq!(answer, format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{to_client}\r\nok"), "{name}");
        assert_eq!(
            (rig.origin.message(), is_closed),
            (format!("GET /a HTTP/1.1\r\n{to_server}\r\n"), closed),
            "{name}"
        );
        talk(&rig, b"GET /a HTTP/1.0\r\n\r\n", false, QUIET);
        assert_eq!(rig.origin.message(), format!("GET /a HTTP/1.0\r\n{to_old_server}\r\n"), "{name}");
    }
}

#[test]
fn an_upgrade_becomes_a_tunnel() {
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nraw";
    let script = vec![
        Step::ReadMessage,
        Step::Write(switch.to_vec()),
        Step::ReadUntil("ping"),
        Step::Write(b"pong".to_vec()),
        Step::Close,
    ];
    let rig = Rig::start("tunnel", CONFIG, script);
    let mut client = rig.connect();
    client
        .write_all(b"GET /a HTTP/1.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        .unwrap();
    let head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
        sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nraw";
    assert_eq!(read_all(&mut client, QUIET).0, head);
    client.write_all(b"ping").unwrap();
    assert_eq!(read_all(&mut client, QUIET), ("pong".to_owned(), true));
}
