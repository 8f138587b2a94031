//! Makes requests: valid ones by the grammar, with words from the collections of what has deceived proxies.

use crate::random::Random;

const METHODS: &[&str] = &[
    "GET", "GET", "GET", "GET", "GET", "POST", "POST", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE",
    "CONNECT", "get", "M-SEARCH",
];

const TARGETS: &[&str] =
    &["/", "/a", "/a?q=1", "/a/../b", "//x", "/deny", "/return", "/redirect", "/a%2fb", "/a;p=1", "/%00", "/a?b#c"];

const STRANGE_TARGETS: &[&str] = &[
    "http://h/a",
    "http://h",
    "http://h:80/a",
    "http://H:80/",
    "http://h:443/a",
    "https://h:443/a",
    "http://h:8080/a",
    "http://z/a",
    "http://h:/a",
    "http://u@h/a",
    "http://h?x",
    "http:///a",
    "http://",
    "http:/a",
    "ftp://h/a",
    "HTTP://h/a",
    "h:443",
    "h",
    "*",
    "",
    "a",
    "?",
    "/a#b",
    "/a\"b",
    "/a<>{}|\\^`b",
    "/a\x01",
    "/\u{e9}",
    "/a\u{7f}",
    "http://[::1]/a",
    "http://[::1]:80/",
    "://h/a",
    "1http://h/",
    "h:",
    ":80",
    "h:0",
    "h:99999",
    "h:80",
    "[::1]:443",
    "http://h\\@z/",
    "http://h:80@z/",
    "http://h,z/a",
    "/ ",
    "/\t",
];

const VERSIONS: &[&str] =
    &["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0"];

const STRANGE_VERSIONS: &[&str] = &[
    "HTTP/0.9",
    "HTTP/1.2",
    "HTTP/1.9",
    "HTTP/2.0",
    "HTTP/1.10",
    "HTTP/01.1",
    "HTTP/1.",
    "HTTP/1",
    "HTTP/.1",
    "http/1.1",
    "HTTP 1.1",
    "RTSP/1.0",
    "HTTP/1.1 ",
    "HTTP/1.1\t",
    "HTTP/1.1x",
    "",
    "HTTP/1,1",
    "HTTP/9.9",
    "HTTP/3.0",
    "HTTP/0.0",
    "ICY",
];

const SEPARATORS: &[&str] = &["  ", "\t", " \t ", "\x0b", "\x0c", "\r", "\n", "\u{a0}", ""];

const FIELDS: &[&str] = &[
    "accept: */*",
    "user-agent: x",
    "x-foo: bar",
    "X-Foo:bar",
    "x-foo:  bar  ",
    "X-FOO:\tbar\t",
    "x-empty:",
    "cookie: a=1; b=2",
    "cookie: SRV=A",
    "cookie: SRV=B; x=y",
    "cookie: ;A=1",
    "cookie: ,=",
    "cookie: a=\"x;SRV=A\"",
    "connection: keep-alive",
    "connection: close",
    "Connection: Close",
    "connection: close, keep-alive",
    "connection: x-foo",
    "connection: keep-alive, x-foo",
    "connection: ,close,",
    "connection: upgrade",
    "connection:",
    "connection: te",
    "proxy-connection: keep-alive",
    "keep-alive: timeout=5",
    "te: trailers",
    "te: gzip, trailers;q=1",
    "te: chunked",
    "upgrade: h2c",
    "upgrade: foo",
    "x-forwarded-for: 9.9.9.9",
    "forwarded: for=1",
    "expect: 100-continue",
    "expect: 100-Continue",
    "expect: foo",
    "trailer: x-t",
    "max-forwards: 0",
    "http2-settings: AAMAAABkAAQCAAAAAAIAAAAA",
    "authorization: Basic YTpi",
    "range: bytes=0-1",
    "accept-encoding: gzip",
    "date: x",
    "set-cookie2: a=b",
    "host: h",
    "host: z",
];

const UPGRADES: &[&str] = &[
    "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    "connection: Upgrade\r\nupgrade: WebSocket\r\nsec-websocket-version: 13",
    "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: short",
    "connection: upgrade\r\nupgrade: foo",
    "connection: upgrade, close\r\nupgrade: foo",
    "connection: upgrade",
    "connection: upgrade\r\nupgrade: foo, websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    "upgrade: websocket",
    "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA",
];

/// What is no field, or nearly one.
pub(crate) const STRANGE_FIELDS: &[&str] = &[
    "x",
    ": v",
    ":",
    " x: y",
    "\tx: y",
    "x : y",
    "x\t: y",
    "x\x00: y",
    "x: a\x00b",
    "x: a\rb",
    "x: a\x01b",
    "x: \u{e9}",
    "x\u{e9}: y",
    "x(: y",
    "x[y]: z",
    "x@y: z",
    "x: a\r\n b",
    "x: a\r\n\tb",
    "x: a\r\n \r\n b",
    "x:\r\n b",
    "x: \x7f",
    "\x01: y",
    "x y: z",
    "x:y:z",
    "\"x\": y",
    "x\r: y",
    "x: y\r",
    "x: y\r\r",
    "x_y: z",
    "x.y: z",
    "x=y",
    "x,y: z",
    "x: a\n b",
    "-: y",
    "!#$%&'*+-.^_`|~: y",
    "x: a\x0bb",
    "content-length : 3",
    "Content-Length\x00: 3",
    "content_length: 3",
    "transfer-encoding : chunked",
    "transfer_encoding: chunked",
    "x: y\r\ncontent-length\r\n: 3",
    "host : z",
    "content-length\t: 3",
    "\x0bcontent-length: 3",
];

const HOSTS: &[&str] = &[
    "host: h",
    "host: h",
    "host: h",
    "host: h",
    "host: h",
    "Host: h",
    "HOST:h",
    "host: h:80",
    "host: h:8080",
    "host: H",
    "host: ex.com",
];

const STRANGE_HOSTS: &[&str] = &[
    "host:",
    "host: ",
    "host: a\r\nhost: b",
    "host: h\r\nhost: h",
    "host: a@b",
    "host: a/b",
    "host: a b",
    "host: a,b",
    "host: [::1]",
    "host: [::1]:80",
    "host: h:",
    "host: h:x",
    "host: h:99999",
    "host: :80",
    "host: h?",
    "host: h#",
    "host: h\\",
    "host: h.",
    "host: h\x00",
    "host: \u{e9}",
    "host: h:443",
    "host: h\r\nhost:",
    "host: h\r\n z",
    "host: z",
    "host: http://h/",
    "host: h, h",
    "host: %68",
    "host: h:+80",
];

/// Lengths beside the right one; `N` stands for that.
const LENGTHS: &[&str] = &[
    "content-length:",
    "content-length: ",
    "content-length: +N",
    "content-length: -N",
    "content-length: 0xN",
    "content-length: 0N",
    "content-length: 00000000000000000000000N",
    "content-length: N,N",
    "content-length: N, N",
    "content-length: N,",
    "content-length: ,N",
    "content-length: N,9",
    "content-length: N\r\ncontent-length: N",
    "content-length: N\r\ncontent-length: 9",
    "content-length: 9\r\ncontent-length: N",
    "content-length: N\r\ncontent-length:",
    "content-length: N N",
    "content-length: N;a",
    "content-length: N.0",
    "content-length: Ne0",
    "content-length: \"N\"",
    "content-length: 18446744073709551615",
    "content-length: 18446744073709551616",
    "content-length: 18446744073709551620",
    "content-length: 9223372036854775807",
    "content-length: 9223372036854775808",
    "content-length: 99999999999999999999999",
    "content-length: N\r\n ",
    "content-length:\r\n N",
    "content-length: N\x00",
    "content-length: N\x0b",
    "content-length:\tN\t",
    "content-length:\x0bN",
    "Content-Length:N",
    "CONTENT-LENGTH: N",
    "content-length: 0",
    "content-length: 1",
    "content-length: 9",
    "content-length: N, N, N",
    "content-length: 0\r\ncontent-length: N",
    "content-length: N,0N",
    "content-length: 0N\r\ncontent-length: N",
    "content-length: a",
];

const CODINGS: &[&str] = &[
    "transfer-encoding: chunked",
    "Transfer-Encoding: Chunked",
    "TRANSFER-ENCODING:CHUNKED",
    "transfer-encoding:chunked ",
    "transfer-encoding:\tchunked",
    "transfer-encoding: \tchunked\t",
    "transfer-encoding: xchunked",
    "transfer-encoding: chunkedx",
    "transfer-encoding: \x0bchunked",
    "transfer-encoding: chunked\x0b",
    "transfer-encoding: \x0cchunked",
    "transfer-encoding: chunked, chunked",
    "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
    "transfer-encoding: gzip, chunked",
    "transfer-encoding: chunked, gzip",
    "transfer-encoding: gzip\r\ntransfer-encoding: chunked",
    "transfer-encoding: chunked\r\ntransfer-encoding: gzip",
    "transfer-encoding: identity",
    "transfer-encoding: identity, chunked",
    "transfer-encoding: chunked, identity",
    "transfer-encoding: chunked\r\ntransfer-encoding: identity",
    "transfer-encoding:",
    "transfer-encoding: ,chunked",
    "transfer-encoding: chunked,",
    "transfer-encoding: , chunked ,",
    "transfer-encoding: \"chunked\"",
    "transfer-encoding: chunked;q=1",
    "transfer-encoding: chunked ; a=b",
    "transfer-encoding:\r\n chunked",
    "transfer-encoding: chunked\r\n , x",
    "transfer-encoding: chun\r\n ked",
    "transfer-encoding: chunked\x00",
    "transfer-encoding: 'chunked'",
    "transfer-encoding: deflate",
    "transfer-encoding: chunked chunked",
    "transfer-encoding:\u{a0}chunked",
    "transfer-encoding: trailers, chunked",
    "transfer-encoding: \x00chunked",
    "transfer-encoding: chunked\r",
    "transfer-encoding: gzip",
    "x: y\ntransfer-encoding: chunked",
    "transfer-encoding: cow",
    "transfer-encoding: cow\r\ntransfer-encoding: chunked",
    "transfer-encoding: chunked\r\ntransfer-encoding:",
];

/// Chunked bodies of `abc`, right and wrong.
pub(crate) const CHUNKS: &[&str] = &[
    "3;ext\r\nabc\r\n0\r\n\r\n",
    "3;a=b;c=\"d\"\r\nabc\r\n0;z\r\n\r\n",
    "3 \r\nabc\r\n0\r\n\r\n",
    "3\t\r\nabc\r\n0\r\n\r\n",
    " 3\r\nabc\r\n0\r\n\r\n",
    "003\r\nabc\r\n000\r\n\r\n",
    "0x3\r\nabc\r\n0\r\n\r\n",
    "+3\r\nabc\r\n0\r\n\r\n",
    "-3\r\nabc\r\n0\r\n\r\n",
    "3\nabc\n0\n\n",
    "3\nabc\r\n0\r\n\r\n",
    "3\r\nabc\n0\r\n\r\n",
    "3\r\nabc\r\n0\n\r\n",
    "3\r\nabc\r\n0\r\n\n",
    "3\r\nabc0\r\n\r\n",
    "3\r\nabcd\r\n0\r\n\r\n",
    "3\r\nab\r\n0\r\n\r\n",
    "\r\nabc\r\n0\r\n\r\n",
    ";ext\r\nabc\r\n0\r\n\r\n",
    "g\r\nabc\r\n0\r\n\r\n",
    "3g\r\nabc\r\n0\r\n\r\n",
    "ffffffff\r\nabc\r\n0\r\n\r\n",
    "100000000\r\nabc\r\n0\r\n\r\n",
    "100000003\r\nabc\r\n0\r\n\r\n",
    "ffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "10000000000000003\r\nabc\r\n0\r\n\r\n",
    "7fffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "00000000000000003\r\nabc\r\n0\r\n\r\n",
    "3;\x00\r\nabc\r\n0\r\n\r\n",
    "3;a\rb\r\nabc\r\n0\r\n\r\n",
    "3;a\nb\r\nabc\r\n0\r\n\r\n",
    "3\rabc\r0\r\r",
    "3\r\r\nabc\r\n0\r\n\r\n",
    "3\r\nabc\r\n0\r\nx-t: v\r\n\r\n",
    "3\r\nabc\r\n0\r\nX-T:  v \r\nY: z\r\n\r\n",
    "3\r\nabc\r\n0\r\nx\r\n\r\n",
    "3\r\nabc\r\n0\r\n: v\r\n\r\n",
    "3\r\nabc\r\n0\r\nx : v\r\n\r\n",
    "3\r\nabc\r\n0\r\nx: a\r\n b\r\n\r\n",
    "3\r\nabc\r\n0\r\ncontent-length: 5\r\n\r\n",
    "3\r\nabc\r\n0\r\ntransfer-encoding: chunked\r\n\r\n",
    "3\r\nabc\r\n0\r\nhost: z\r\n\r\n",
    "3\r\nabc\r\n0\r\nx: a\x00b\r\n\r\n",
    "3\r\nabc\r\n0\r\nx: v\n\n",
    "3\r\nabc\r\n0\r\n x: v\r\n\r\n",
    "3\r\nabc\r\n0",
    "3\r\nabc\r\n0\r\n",
    "3\r\nabc\r\n",
    "3\r\nabc",
    "3",
    "",
    "0\r\n\r\n",
    "0;a\r\n\r\n",
    "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n",
    "A\r\n0123456789\r\n0\r\n\r\n",
    "a\r\n0123456789\r\n0\r\n\r\n",
    "3 ;ext\r\nabc\r\n0\r\n\r\n",
    "3 4\r\nabc\r\n0\r\n\r\n",
    "3\x0b\r\nabc\r\n0\r\n\r\n",
    "3,\r\nabc\r\n0\r\n\r\n",
    "3\r\nabc\r\n0 \r\n\r\n",
    "3\r\nabc\r\n00;x=\"\r\n\"\r\n\r\n",
];

/// One request, mostly good.
pub(crate) fn request(random: &mut Random) -> Vec<u8> {
    let mut text = String::new();
    if random.one_in(40) {
        text.push_str(random.pick(&["\r\n", "\n", "\r\n\r\n", "\r", " ", "\r\n \r\n"]));
    }
    request_line(random, &mut text);
    let eol = if random.one_in(20) { "\n" } else { "\r\n" };
    text.push_str(eol);
    let (framing, body) = framing(random);
    let mut fields = Vec::new();
    fields.extend(framing);
    fields.push(random.rarely(8, STRANGE_HOSTS, HOSTS).to_owned());
    for _ in 0..random.below(4) {
        fields.push((*random.pick(FIELDS)).to_owned());
    }
    if random.one_in(12) {
        fields.push((*random.pick(STRANGE_FIELDS)).to_owned());
    }
    if random.one_in(20) {
        fields.push((*random.pick(UPGRADES)).to_owned());
    }
    if random.one_in(60) {
        fields.extend(large(random));
    }
    if random.one_in(15) {
        fields.retain(|field| !field.to_ascii_lowercase().starts_with("host"));
    }
    while !fields.is_empty() {
        let field = fields.swap_remove(random.below(fields.len()));
        text.push_str(&field);
        text.push_str(if random.one_in(60) { random.pick(&["\n", "\r", "\r\r\n", "", "\n\r", "\0\r\n"]) } else { eol });
    }
    text.push_str(if random.one_in(60) { random.pick(&["\n", "\r", "\n\r\n", " \r\n", ""]) } else { eol });
    text.push_str(&body);
    latin1(&text)
}

fn request_line(random: &mut Random, text: &mut String) {
    let method = random.pick(METHODS);
    text.push_str(if random.one_in(60) {
        random.pick(&["", "PRI", "G\x00T", "G(T", "G\u{e9}T", "GET\x7f", "G@T", "\"GET\"", "G:T"])
    } else {
        method
    });
    text.push_str(if random.one_in(60) { random.pick(SEPARATORS) } else { " " });
    text.push_str(random.rarely(if method == "CONNECT" { 2 } else { 8 }, STRANGE_TARGETS, TARGETS));
    text.push_str(if random.one_in(60) { random.pick(SEPARATORS) } else { " " });
    text.push_str(random.rarely(15, STRANGE_VERSIONS, VERSIONS));
}

/// The fields that say where the body ends, and the body.
pub(crate) fn framing(random: &mut Random) -> (Vec<String>, String) {
    match random.below(10) {
        0..=2 => (Vec::new(), String::new()),
        3..=4 => {
            let body = "abcdefghij"[..random.below(11)].to_owned();
            (vec![format!("Content-Length: {}", body.len())], body)
        }
        5 => (vec![random.pick(LENGTHS).replace('N', "3")], "abc".to_owned()),
        6 => (vec!["transfer-encoding: chunked".to_owned()], "3\r\nabc\r\n0\r\n\r\n".to_owned()),
        7 => (vec!["transfer-encoding: chunked".to_owned()], (*random.pick(CHUNKS)).to_owned()),
        8 => {
            let body = if random.one_in(3) { random.pick(CHUNKS) } else { "3\r\nabc\r\n0\r\n\r\n" };
            (vec![(*random.pick(CODINGS)).to_owned()], body.to_owned())
        }
        // Both: what one takes for the body, the other takes for the next request.
        _ => {
            let body = random.pick(CHUNKS);
            let coding = random.pick(CODINGS);
            let length = if random.one_in(2) {
                format!("content-length: {}", body.len())
            } else {
                random.pick(LENGTHS).replace('N', "3")
            };
            (vec![length, (*coding).to_owned()], (*body).to_owned())
        }
    }
}

/// Heads about as large as is allowed.
pub(crate) fn large(random: &mut Random) -> Vec<String> {
    match random.below(5) {
        0 => (0..90 + random.below(15)).map(|number| format!("x{number}: y")).collect(),
        1 => vec![format!("x: {}", "a".repeat(15_000 + random.below(700)))],
        2 => vec![format!("{}: y", "x".repeat(250 + random.below(20)))],
        3 => vec![format!("content-length{}: 3", "x".repeat(242 + random.below(10)))],
        _ => vec![format!("x: {}", "a".repeat(16_000 + random.below(1_000)))],
    }
}

/// The letters of a text as one byte each.
pub(crate) fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?')).collect()
}
