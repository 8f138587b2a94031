//! Responses held against haproxy's measured behaviour.

use proptest::prelude::*;

use super::*;
use crate::http::h1::write_response;

fn request(head: bool, tunnel: Tunnel) -> RequestWire {
    RequestWire {
        body: Body::None,
        keep_alive: true,
        tunnel,
        head,
        expects_continue: false,
        announces_upgrade: false,
        left_out: 0,
    }
}

fn forwarded(input: &str, request: &RequestWire) -> Result<(String, ResponseWire), u16> {
    let mut head = Head::default();
    match read(input.as_bytes(), &mut head, request, Limits::default()) {
        Ok(Progress::Complete { wire, .. }) => {
            let mut out = Vec::new();
            write_response(&head, &mut out);
            Ok((String::from_utf8_lossy(&out).into_owned(), wire))
        }
        Ok(Progress::Partial) => panic!("partial: {input:?}"),
        Err(refused) => Err(refused.status),
    }
}

#[test]
fn forwarded_as_haproxy_does() {
    use Body::{Chunked, Length, None, UntilClose};
    for (input, output, body, keep_alive) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Foo: Bar",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-foo: Bar\r\n",
            Length(2),
            true,
        ),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n", Length(2), false),
        (
            "HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive",
            "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n",
            Length(2),
            true,
        ),
        ("HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\n", UntilClose, false),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n",
            Length(2),
            false,
        ),
        ("HTTP/1.1 200\r\ncontent-length: 2", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", Length(2), true),
        ("HTTP/1.1 200 \r\ncontent-length: 0", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n", None, true),
        ("HTTP/1.1 99 X\r\ncontent-length: 2", "HTTP/1.1 99 X\r\ncontent-length: 2\r\n", Length(2), true),
        ("HTTP/1.1 600 X\r\ncontent-length: 2", "HTTP/1.1 600 X\r\ncontent-length: 2\r\n", Length(2), true),
        ("HTTP/1.1 204 No\r\ncontent-length: 2", "HTTP/1.1 204 No\r\n", None, true),
        ("HTTP/1.1 304 NM\r\ncontent-length: 2", "HTTP/1.1 304 NM\r\ncontent-length: 2\r\n", None, true),
        ("HTTP/1.2 200 OK\r\ncontent-length: 2", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", Length(2), true),
        ("HTTP/2.0 200 OK\r\ncontent-length: 2", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", Length(2), true),
        (
            "HTTP/1.1 200 OK\r\nkeep-alive: timeout=5\r\ntransfer-encoding: chunked",
            "HTTP/1.1 200 OK\r\nkeep-alive: timeout=5\r\ntransfer-encoding: chunked\r\n",
            Chunked,
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n",
            Chunked,
            false,
        ),
        ("HTTP/1.1 100 Continue", "HTTP/1.1 100 Continue\r\n", None, true),
        ("HTTP/1.1 407 \t Who\r\ncontent-length: 2", "HTTP/1.1 407 Who\r\ncontent-length: 2\r\n", Length(2), true),
        // What never has a body announces none.
        ("HTTP/1.1 100 Continue\r\ncontent-length: 3", "HTTP/1.1 100 Continue\r\n", None, true),
        ("HTTP/1.1 199 X\r\ntransfer-encoding: chunked", "HTTP/1.1 199 X\r\n", None, true),
        ("HTTP/1.1 204 No\r\ntransfer-encoding: chunked", "HTTP/1.1 204 No\r\n", None, true),
        // Nothing is kept behind chunks that HTTP/1.0 does not know.
        (
            "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked",
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n",
            Chunked,
            false,
        ),
        // Empty lines before an answer are left out.
        ("\r\n\nHTTP/1.1 200 OK\r\ncontent-length: 2", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", Length(2), true),
    ] {
        let (text, wire) = forwarded(&format!("{input}\r\n\r\n"), &request(false, Tunnel::No)).unwrap();
        assert_eq!(text, output, "{input:?}");
        assert_eq!((wire.body, wire.keep_alive), (body, keep_alive), "{input:?}");
        assert_eq!(wire.doubtful, input.starts_with("HTTP/1.0") && body == Chunked, "{input:?}");
    }
}

#[test]
fn refused_as_haproxy_does() {
    for input in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3",
        "junk",
        "HTTP/1.1 1000 X",
        "HTTP/1.1 x OK",
        "HTTP/1.1 101 Switching",
        "HTTP/1.1 200 OK\r\nb@d: x",
        "HTTP/1.1 200 OK\r\nx : y",
        "HTTP/1.1 200 OK\r\nx: a\0b",
        "HTTP/0.9 200 OK",
    ] {
        assert!(forwarded(&format!("{input}\r\n\r\n"), &request(false, Tunnel::No)).is_err(), "{input:?}");
    }
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(17_000));
    assert!(forwarded(&long, &request(false, Tunnel::No)).is_err());
}

/// What has come of a status line is looked at: nobody waits for the rest of what is none.
#[test]
fn refused_before_it_is_complete() {
    let read =
        |input: &str| read(input.as_bytes(), &mut Head::default(), &request(false, Tunnel::No), Limits::default());
    let whole = "\r\nHTTP/1.1 200 OK\r\nx: y\r\n\r\n";
    for length in 0..whole.len() {
        assert_eq!(read(&whole[..length]), Ok(Progress::Partial), "{length}");
    }
    for input in [
        "X",
        "\rX",
        "HTTP/x",
        "HTTP/1x",
        "HTTP/1.1x",
        "HTTP/1.1 x",
        "HTTP/1.1 2x",
        "HTTP/1.1 2000",
        "HTTP/1.1 200 O\rK",
        "HTTP/1.1 200 O\0",
    ] {
        assert!(read(input).is_err(), "{input:?}");
    }
}

#[test]
fn the_request_decides_on_the_body() {
    let head = forwarded("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", &request(true, Tunnel::No)).unwrap();
    assert_eq!((head.0.as_str(), head.1.body), ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", Body::None));
    let upgraded = forwarded(
        "HTTP/1.1 101 S\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n",
        &request(false, Tunnel::Upgrade),
    )
    .unwrap();
    assert_eq!(upgraded.1.body, Body::Tunnel);
    // Who changes the protocol says so in `connection`.
    let silent = forwarded("HTTP/1.1 101 S\r\nupgrade: websocket\r\n\r\n", &request(false, Tunnel::Upgrade));
    assert_eq!(silent, Err(400));
    let connected = forwarded("HTTP/1.1 200 OK\r\n\r\n", &request(false, Tunnel::Connect)).unwrap();
    assert_eq!(connected.1.body, Body::Tunnel);
    let refused = forwarded("HTTP/1.1 407 No\r\ncontent-length: 2\r\n\r\n", &request(false, Tunnel::Connect)).unwrap();
    assert_eq!(refused.1.body, Body::Length(2));
}

/// `option accept-unsafe-violations-in-http-response`: what it lets pass, and in what form.
#[test]
fn violations_pass_where_they_may() {
    let read = |input: &str, lax| {
        let mut head = Head::default();
        let limits = Limits { lax, ..Limits::default() };
        match read(input.as_bytes(), &mut head, &request(false, Tunnel::No), limits) {
            Ok(Progress::Complete { .. }) => {
                let mut out = Vec::new();
                write_response(&head, &mut out);
                Ok(String::from_utf8_lossy(&out).into_owned())
            }
            Ok(Progress::Partial) => panic!("partial: {input:?}"),
            Err(refused) => Err(refused.status),
        }
    };
    for (input, output) in [
        ("RTSP/1.0 200 OK", "RTSP/1.0 200 OK\r\n"),
        ("ICY 200 OK", "ICY 200 OK\r\n"),
        ("HTTP/1.11 200 OK", "HTTP/1.11 200 OK\r\n"),
        ("HTTP/0.9 200 OK", "HTTP/0.9 200 OK\r\n"),
        ("HTTP/1.1 200 O\0K", "HTTP/1.1 200 O\0K\r\n"),
        ("HTTP/1.1 200 OK\r\nb@d x : y", "HTTP/1.1 200 OK\r\nb@d x : y\r\n"),
        ("HTTP/1.1 200 OK\r\nx: a\0b", "HTTP/1.1 200 OK\r\nx: a\0b\r\n"),
    ] {
        assert_eq!(read(&format!("{input}\r\n\r\n"), true).as_deref(), Ok(output), "{input:?}");
        assert_eq!(read(&format!("{input}\r\n\r\n"), false), Err(400), "{input:?}");
    }
    for input in [
        "http/1.1 200 OK",
        "HTTP/a.b 200 OK",
        "HTTP/1.1 2x0 OK",
        "HTTP/1.1 +200 OK",
        "HTTP/1.1 200 O\rK",
        "HTTP/1.1",
        "/1.1 200 OK",
    ] {
        assert_eq!(read(&format!("{input}\r\n\r\n"), true), Err(400), "{input:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes(input in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&input, &mut Head::default(), &request(false, Tunnel::No), Limits::default());
    }
}
