//! Requests held against haproxy's measured behaviour, and against httparse where both speak the same language.

use proptest::prelude::*;

use super::*;
use crate::http::h1::write_request;

/// What the server would receive, without the final empty line, or the refusing status.
fn forwarded(input: &[u8]) -> Result<(String, RequestWire), u16> {
    let mut head = Head::default();
    match read(input, &mut head, Limits::default()) {
        Ok(Progress::Complete { wire, .. }) => {
            let mut out = Vec::new();
            write_request(&head, &mut out);
            Ok((String::from_utf8_lossy(&out).into_owned(), wire))
        }
        Ok(Progress::Partial) => panic!("partial: {}", String::from_utf8_lossy(input)),
        Err(refused) => Err(refused.status),
    }
}

#[test]
fn forwarded_as_haproxy_does() {
    for (input, output) in [
        (
            "GET /a HTTP/1.1\r\nHost: Ex.COM\r\nX-Foo:  bar \r\nAccept: a\r\nAccept: b",
            "GET /a HTTP/1.1\r\nhost: Ex.COM\r\nx-foo: bar\r\naccept: a\r\naccept: b\r\n",
        ),
        ("\r\n\n\r\nGET /a HTTP/1.0", "GET /a HTTP/1.0\r\n"),
        ("GET  \t/a \tHTTP/1.2\r\nhost: h", "GET /a HTTP/1.1\r\nhost: h\r\n"),
        ("GET /a HTTP/2.0\nhost: h\n", "GET /a HTTP/1.1\r\nhost: h\r\n"),
        ("GET /a HTTP/1.1\r\nx: a\r\n\tb\r\n   c\r\ny: 1 \r\n ", "GET /a HTTP/1.1\r\nx: a  \tb     c\r\ny: 1\r\n"),
        ("GET /a HTTP/1.1\r\nx: a\x01b", "GET /a HTTP/1.1\r\nx: a\x01b\r\n"),
        ("GET /a\"<>`{}|^\\ HTTP/1.1\r\nhost: ", "GET /a\"<>`{}|^\\ HTTP/1.1\r\nhost: \r\n"),
        ("OPTIONS * HTTP/1.1\r\nhost: h", "OPTIONS * HTTP/1.1\r\nhost: h\r\n"),
        ("M-SEARCH_1.$ /a HTTP/1.1", "M-SEARCH_1.$ /a HTTP/1.1\r\n"),
        ("GET http://h/a HTTP/1.1\r\nhost: h", "GET http://h/a HTTP/1.1\r\nhost: h\r\n"),
        ("GET http://h:80/2 HTTP/1.1\r\nhost: h", "GET http://h/2 HTTP/1.1\r\nhost: h\r\n"),
        ("GET http://H/3 HTTP/1.1\r\nhost: h:80", "GET http://H/3 HTTP/1.1\r\nhost: h:80\r\n"),
        ("GET https://h:443/10 HTTP/1.1\r\nhost: h:443", "GET https://h/10 HTTP/1.1\r\nhost: h\r\n"),
        ("GET http://other/a HTTP/1.1", "GET http://other/a HTTP/1.1\r\n"),
        ("CONNECT h:443 HTTP/1.1\r\nhost: h:443", "CONNECT h:443 HTTP/1.1\r\nhost: h\r\n"),
        ("CONNECT h:444 HTTP/1.1\r\nhost: h:444", "CONNECT h:444 HTTP/1.1\r\nhost: h:444\r\n"),
        ("CONNECT u@h:80 HTTP/1.1\r\nhost: h:80", "CONNECT u@h:80 HTTP/1.1\r\nhost: h\r\n"),
        ("CONNECT http://h:80/a HTTP/1.1\r\nhost: h", "CONNECT http://h:80/a HTTP/1.1\r\nhost: h\r\n"),
        ("GET http://u@/a HTTP/1.1\r\nhost: h", "GET http://u@/a HTTP/1.1\r\nhost: h\r\n"),
        ("GET /16 HTTP/1.1\r\nhost: a\r\nhost: A", "GET /16 HTTP/1.1\r\nhost: a\r\n"),
        (
            "GET / HTTP/1.1\r\nConnection: close, x-foo\r\nConnection: keep-alive",
            "GET / HTTP/1.1\r\nconnection: x-foo\r\n",
        ),
        ("GET / HTTP/1.1\r\nConnection: x-a,  ,x-b", "GET / HTTP/1.1\r\nconnection: x-a,  ,x-b\r\n"),
        (
            "GET / HTTP/1.1\r\nKeep-Alive: 3\r\nTE: x, trailers\r\nTE: Trailers\r\nProxy-Connection: y",
            "GET / HTTP/1.1\r\nkeep-alive: 3\r\nte: trailers\r\nproxy-connection: y\r\n",
        ),
        ("POST /p HTTP/1.1\r\ncontent-length: 3, 3", "POST /p HTTP/1.1\r\ncontent-length: 3\r\n"),
        (
            "POST /p HTTP/1.1\r\ncontent-length: 3\r\nhost: h\r\ncontent-length: 3",
            "POST /p HTTP/1.1\r\ncontent-length: 3\r\nhost: h\r\n",
        ),
        (
            "POST /p HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked",
            "POST /p HTTP/1.1\r\ntransfer-encoding: chunked\r\n",
        ),
        (
            "GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nhttp2-settings: AA",
            "GET / HTTP/1.1\r\nconnection: HTTP2-Settings\r\nhttp2-settings: AA\r\n",
        ),
        (
            "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: foo",
            "GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: foo\r\n",
        ),
    ] {
        let (forwarded, _) =
            forwarded(format!("{input}\r\n\r\n").as_bytes()).unwrap_or_else(|status| panic!("{status}: {input:?}"));
        assert_eq!(forwarded, output, "{input:?}");
    }
}

#[test]
fn refused_as_haproxy_does() {
    let head = |fields: &str| format!("GET /a HTTP/1.1\r\n{fields}\r\n\r\n");
    let mut cases: Vec<(String, u16)> = [
        "no colon",
        ": v",
        "x: a\rb",
        " x: y",
        "x : y",
        "x: a\0b",
        "content-length: +3",
        "content-length: -1",
        "content-length: 0x3",
        "content-length:",
        "content-length: 9223372036854775808",
        "content-length: 3\r\ncontent-length: 4",
        "content-length: 3,4",
        "transfer-encoding: xchunked",
        "transfer-encoding: identity",
        "transfer-encoding: \x0bchunked",
        "transfer-encoding:",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked, gzip",
        "host: u@h",
        "host: h/x",
        "host: h x",
        "host: a, b",
        "host: a\r\nhost: b",
        "connection: upgrade\r\nupgrade: websocket",
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: short",
        "x\u{e9}: y",
    ]
    .into_iter()
    .map(|fields| (head(fields), 400))
    .collect();
    cases.extend([(head("transfer-encoding: gzip, chunked"), 422)]);
    cases.extend(
        [
            "GET a HTTP/1.1",
            "GET * HTTP/1.1",
            "GET foo:bar HTTP/1.1",
            "GET /a http/1.1",
            "GET /a HTTP/1.10",
            "GET /a HTTP/0.9",
            "GET /a RTSP/1.0",
            "GET /a",
            "GET /\u{e9} HTTP/1.1",
            "GET /a\x01 HTTP/1.1",
            "GET /a b HTTP/1.1",
            "GET /a#f HTTP/1.1",
            "G(T /a HTTP/1.1",
            "GET /a HTTP/1.1 ",
            "CONNECT h HTTP/1.1",
            "CONNECT h: HTTP/1.1",
            "CONNECT h:443 HTTP/1.1\r\nhost: z:443",
            "GET http://h/ HTTP/1.1\r\nhost: z",
            "GET http:/// HTTP/1.1",
            "PRI * HTTP/2.0",
            "\x16\x03\x01\x02",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 2",
        ]
        .map(|line| (format!("{line}\r\n\r\n"), 400)),
    );
    cases.extend(
        ["GET", "HEAD", "DELETE"].map(|method| (format!("{method} / HTTP/1.0\r\ncontent-length: 3\r\n\r\n"), 413)),
    );
    for (input, status) in cases {
        assert_eq!(forwarded(input.as_bytes()).map(|(text, _)| text), Err(status), "{input:?}");
    }
}

/// A TLS hello, or any other protocol, is refused with its first bytes and not when the timeout ends.
#[test]
fn refused_before_the_end_of_the_head() {
    for input in [&b"\x16\x03"[..], b"GET /a FOO", b"GET /\x80", b"GET /a HTTP/1.1\r\nx y", b"GET /a HTTP/1.1\r\nx: \0"]
    {
        assert!(read(input, &mut Head::default(), Limits::default()).is_err(), "{input:?}");
    }
    for input in [
        &b""[..],
        b"\r\n",
        b"GE",
        b"GET ",
        b"GET /a",
        b"GET /a HTTP/1.1",
        b"GET /a HTTP/1.1\r",
        b"GET /a HTTP/1.1\r\nx: a\r\n",
    ] {
        assert_eq!(read(input, &mut Head::default(), Limits::default()), Ok(Progress::Partial), "{input:?}");
    }
}

#[test]
fn limits() {
    let many = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "x: a\r\n".repeat(count));
    assert!(forwarded(many(100).as_bytes()).is_ok());
    assert_eq!(forwarded(many(101).as_bytes()).err(), Some(400));
    let long = |length: usize| format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(length));
    let room = crate::limits::HEAD_MAX - long(0).len();
    assert!(forwarded(long(room).as_bytes()).is_ok());
    assert_eq!(forwarded(long(room + 1).as_bytes()).err(), Some(431));
    assert_eq!(forwarded(long(17_000).as_bytes()).err(), Some(431));
    assert_eq!(forwarded(format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(17_000)).as_bytes()).err(), Some(414));
}

#[test]
fn bodies_and_persistence() {
    let wire = |text: &str| forwarded(format!("{text}\r\n\r\n").as_bytes()).unwrap().1;
    assert_eq!(wire("GET / HTTP/1.1").body, Body::None);
    assert_eq!(wire("GET / HTTP/1.1\r\ncontent-length: 3").body, Body::Length(3));
    assert_eq!(wire("POST / HTTP/1.1\r\ntransfer-encoding: Chunked").body, Body::Chunked);
    for (text, keep_alive) in [
        ("GET / HTTP/1.1", true),
        ("GET / HTTP/1.1\r\nconnection: Close", false),
        ("GET / HTTP/1.0", false),
        ("GET / HTTP/1.0\r\nconnection: Keep-Alive", true),
        ("POST / HTTP/1.1\r\ntransfer-encoding: chunked", true),
        ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 3", false),
        ("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\nconnection: keep-alive", false),
    ] {
        assert_eq!(wire(text).keep_alive, keep_alive, "{text:?}");
    }
    assert!(wire("POST / HTTP/1.1\r\ncontent-length: 3\r\nexpect: 100-Continue").expects_continue);
    let websocket =
        "GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
    assert_eq!(wire(websocket).tunnel, Tunnel::Upgrade);
    assert_eq!(wire("CONNECT h:1 HTTP/1.1").tunnel, Tunnel::Connect);
}

/// What CONNECT and absolute targets name has to be a host, and that of `host`.
#[test]
fn authorities_that_agree_with_nobody_are_refused() {
    for line in [
        "CONNECT ://h:443 HTTP/1.1",
        "CONNECT http://h/a HTTP/1.1\r\nhost: h",
        "CONNECT http://h:80/a HTTP/1.1\r\nhost: h:443",
        "GET http://:80/a HTTP/1.1\r\nhost: h",
        // A quotation mark hides the coding that ends the message.
        "GET / HTTP/1.1\r\ntransfer-encoding: a\"b, chunked",
    ] {
        assert_eq!(forwarded(format!("{line}\r\n\r\n").as_bytes()).map(|_| ()), Err(400), "{line}");
    }
}

/// `option accept-unsafe-violations-in-http-request`: what it lets pass, and in what form.
#[test]
fn violations_pass_where_they_may() {
    let read = |input: &[u8], lax| {
        let mut head = Head::default();
        match read(input, &mut head, Limits { lax, ..Limits::default() }) {
            Ok(Progress::Complete { .. }) => {
                let mut out = Vec::new();
                write_request(&head, &mut out);
                Ok((out, head.protocol().to_vec()))
            }
            Ok(Progress::Partial) => panic!("partial: {input:?}"),
            Err(refused) => Err(refused.status),
        }
    };
    let cases: [(&[u8], &[u8]); 21] = [
        (b"GET /a\xe9\x80 HTTP/1.1\r\nhost: h", b"GET /a\xe9\x80 HTTP/1.1\r\nhost: h\r\n"),
        (b"GET /a?b#c HTTP/1.1", b"GET /a?b#c HTTP/1.1\r\n"),
        (b"GET a HTTP/1.1", b"GET a HTTP/1.1\r\n"),
        (b"CONNECT h HTTP/1.1", b"CONNECT h HTTP/1.1\r\n"),
        (b"GET http://g/ HTTP/1.1\r\nhost: h", b"GET http://g/ HTTP/1.1\r\nhost: h\r\n"),
        (b"GET / HTTP/1.1\r\nhost: u@h", b"GET / HTTP/1.1\r\nhost: u@h\r\n"),
        (b"GET http://g:80/ HTTP/1.1\r\nhost: h", b"GET http://g/ HTTP/1.1\r\nhost: g\r\n"),
        // Another protocol stays as it is, unless it has the form of a version that is sent as HTTP/1.1.
        (b"GET / RTSP/1.0", b"GET / RTSP/1.0\r\n"),
        (b"GET / RTSP/2.0", b"GET / HTTP/1.1\r\n"),
        (b"GET / HTTP/1.11", b"GET / HTTP/1.11\r\n"),
        (b"GET / HTTP/0.9", b"GET / HTTP/0.9\r\n"),
        (b"GET / A", b"GET / A\r\n"),
        (b"GET / HTTP/1", b"GET / HTTP/1\r\n"),
        (b"GET / HTTP.1/1", b"GET / HTTP/1.1\r\n"),
        (b"GET / HTTP/0.T", b"GET / HTTP/0.T\r\n"),
        // A request of HTTP/0.9 is its line.
        (b"GET /a\r\nhost: h", b"GET /a HTTP/1.0\r\n"),
        (b"GET /a ", b"GET /a HTTP/1.0\r\n"),
        (b"GET / HTTP/1.1\r\nB@d x: y", b"GET / HTTP/1.1\r\nb@d x: y\r\n"),
        (b"GET / HTTP/1.1\r\n x: y", b"GET / HTTP/1.1\r\n x: y\r\n"),
        (b"GET / HTTP/1.1\r\nx : y", b"GET / HTTP/1.1\r\nx : y\r\n"),
        (b"GET / HTTP/1.1\r\nx\0: a\0b\0", b"GET / HTTP/1.1\r\nx\0: a\0b\0\r\n"),
    ];
    // What follows an empty line eight bytes on is another request.
    let following = read(b"TRACE / H\r\n\r\n1.0\r\nhost: h\r\n\r\n", true).map(|(out, _)| out);
    assert_eq!(following, Ok(b"TRACE / H\r\n".to_vec()));
    for (input, output) in cases {
        let input = [input, b"\r\n\r\n"].concat();
        let shown = String::from_utf8_lossy(&input).into_owned();
        assert_eq!(
            read(&input, true).map(|(out, _)| String::from_utf8_lossy(&out).into_owned()),
            Ok(String::from_utf8_lossy(output).into_owned()),
            "{shown:?}"
        );
        assert_eq!(read(&input, false).map(drop), Err(400), "{shown:?}");
    }
    assert_eq!(read(b"GET / RTSP/2.0\r\n\r\n", true).unwrap().1, b"RTSP/2.0", "as the log shows it");
    for input in [
        "G@T / HTTP/1.1",
        "GET /\x7f HTTP/1.1",
        "GET /\x01 HTTP/1.1",
        "POST /",
        "GET / abc",
        "GET / http/1.1",
        "GET / HTTP/1-1",
        "GET / HTTP/1.1 ",
        "GET /a b HTTP/1.1",
        "GET / HTTP/1.1\r\n: y",
        "GET / HTTP/1.1\r\nx",
        "GET / HTTP/1.1\r\nx: a\rb",
        "GET / HTTP/1.1\r\nhost: g\r\nhost: h",
        "GET / HTTP/1.1\r\ncontent-length: +3",
        "GET / HTTP/1.1\r\ntransfer-encoding: gzip",
    ] {
        assert_eq!(read(format!("{input}\r\n\r\n").as_bytes(), true).map(drop), Err(400), "{input:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes(input in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&input, &mut Head::default(), Limits::default());
    }

    /// Bytes that look like a request: whatever is accepted is canonical, reading it again changes nothing.
    #[test]
    fn canonical(line in "(GET|POST|CONNECT) [ -~]{0,12} HTTP/1.[01]\r?\n", fields in "([a-zA-Z-]{1,8}: ?[ -~\t]{0,10}\r?\n){0,4}") {
        let input = format!("{line}{fields}\r\n");
        let mut head = Head::default();
        if let Ok(Progress::Complete { consumed, .. }) = read(input.as_bytes(), &mut head, Limits::default()) {
            prop_assert!(consumed <= input.len());
            let mut once = Vec::new();
            write_request(&head, &mut once);
            once.extend_from_slice(b"\r\n");
            let (twice, _) = forwarded(&once).unwrap();
            prop_assert_eq!(twice + "\r\n", String::from_utf8(once).unwrap());
        }
    }

    /// Where httparse reads a request, we read the same fields or refuse it.
    #[test]
    fn agrees_with_httparse(line in "(GET|PUT) /[!-~]{0,12} HTTP/1.[01]\r\n", fields in "([a-zA-Z-]{1,8}:[ \t]?[ -~]{0,10}\r\n){0,5}") {
        let input = format!("{line}{fields}\r\n");
        let mut theirs = [httparse::EMPTY_HEADER; 16];
        let mut request = httparse::Request::new(&mut theirs);
        let complete = request.parse(input.as_bytes()).is_ok_and(|status| status.is_complete());
        let mut head = Head::default();
        let mut seen = Seen::default();
        let ours = start_line(input.as_bytes(), 0, &mut head, false)

            .map(|line| match line {
                Some(Line::Whole(at) | Line::Simple(at)) => at,
                None => 0,
            })
            .and_then(|at| fields::read(input.as_bytes(), at, &mut head, Some(&mut seen), Limits::default()));
        if let (true, Ok(Some(end))) = (complete, ours) {
            prop_assert_eq!(end, input.len());
            prop_assert_eq!(head.method(), request.method.unwrap().as_bytes());
            prop_assert_eq!(head.target(), request.path.unwrap().as_bytes());
            let theirs: Vec<_> = request.headers.iter().map(|field| (field.name.to_ascii_lowercase().into_bytes(), header::trim(field.value).to_vec())).collect();
            let ours: Vec<_> = head.fields().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
            prop_assert_eq!(ours, theirs);
        }
    }
}
