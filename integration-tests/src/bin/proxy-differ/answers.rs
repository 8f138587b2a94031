//! Makes responses: good ones by the grammar, with the same words that deceive about where a message ends.

use crate::case::Answer;
use crate::grammar::{self, CHUNKS, STRANGE_FIELDS};
use crate::mutate::change;
use crate::random::Random;
use crate::shapes;
use std::fmt::Write as _;

const STATUS_LINES: &[&str] = &[
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 OK",
    "HTTP/1.0 200 OK",
    "HTTP/1.1 404 Not Found",
    "HTTP/1.1 204 No Content",
    "HTTP/1.1 304 Not Modified",
    "HTTP/1.1 301 Moved",
    "HTTP/1.1 500 Oops",
    "HTTP/1.1 206 Partial",
    "HTTP/1.1 205 Reset Content",
    "HTTP/1.1 401 Who",
    "HTTP/1.1 407 Who",
    "HTTP/1.1 408 Late",
];

const STRANGE_STATUS_LINES: &[&str] = &[
    "HTTP/1.1 200",
    "HTTP/1.1 200 ",
    "HTTP/1.1  200 OK",
    "HTTP/1.1\t200\tOK",
    "HTTP/1.1 99 X",
    "HTTP/1.1 0 X",
    "HTTP/1.1 600 X",
    "HTTP/1.1 999 X",
    "HTTP/1.1 1000 X",
    "HTTP/1.1 20 X",
    "HTTP/1.1 2000 X",
    "HTTP/1.1 020 X",
    "HTTP/1.1 +200 OK",
    "HTTP/1.1 2x0 OK",
    "HTTP/1.1 200OK",
    "HTTP/1.1 200\tOK",
    "HTTP/1.2 200 OK",
    "HTTP/2.0 200 OK",
    "HTTP/0.9 200 OK",
    "HTTP/1.10 200 OK",
    "http/1.1 200 OK",
    "ICY 200 OK",
    "HTTP/1.1200 OK",
    "HTTP/1.1 200 O\x01K",
    "HTTP/1.1 200 \u{e9}",
    "HTTP/1.1 200 O\x00K",
    "HTTP/1.1 200 O\rK",
    " HTTP/1.1 200 OK",
    "RTSP/1.0 200 OK",
    "HTTP/1.1 101 Switching Protocols",
    "HTTP/1.1 100 Continue",
    "HTTP/1.1 103 Early Hints",
    "HTTP/1.1 199 X",
    "HTTP/1.1 -1 X",
    "",
];

const FIELDS: &[&str] = &[
    "content-type: text/plain",
    "X-Foo: Bar",
    "x-empty:",
    "set-cookie: a=b; path=/",
    "set-cookie: SRV=z",
    "set-cookie2: a=b",
    "cache-control: no-cache",
    "connection: close",
    "connection: keep-alive",
    "Connection: Keep-Alive",
    "connection: x-foo",
    "connection: close, x",
    "connection: upgrade",
    "connection:",
    "keep-alive: timeout=5",
    "upgrade: foo",
    "upgrade: h2c",
    "etag: x",
    "location: /there",
    "date: x",
    "trailer: x-t",
    "te: trailers",
    "host: h",
    "proxy-connection: close",
    "www-authenticate: NTLM",
    "vary: *",
    "expect: 100-continue",
    "x-was: 1",
];

const INTERIM: &[&str] = &[
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n",
    "HTTP/1.1 102 Processing\r\n\r\n",
    "HTTP/1.1 100 Continue\r\ncontent-length: 3\r\n\r\n",
    "HTTP/1.0 100 Continue\r\n\r\n",
    "HTTP/1.1 199 X\r\ntransfer-encoding: chunked\r\n\r\n",
    "HTTP/1.1 100 Continue\r\nconnection: close\r\n\r\n",
];

const REQUESTS: &[&str] = &[
    "GET / HTTP/1.1\r\nhost: h\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: h\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: h\r\n\r\n",
    "HEAD / HTTP/1.1\r\nhost: h\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc",
    "GET / HTTP/1.0\r\nhost: h\r\n\r\n",
    "GET / HTTP/1.0\r\nhost: h\r\nconnection: keep-alive\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: h\r\ncookie: SRV=A\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: foo\r\n\r\n",
    "CONNECT h:443 HTTP/1.1\r\nhost: h:443\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n",
    "HEAD / HTTP/1.0\r\nhost: h\r\n\r\n",
    "HEAD / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc",
    "GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "GET /q HTTP/1.1\r\nhost: h\r\nte: trailers\r\n\r\n",
    "DELETE / HTTP/1.1\r\nhost: h\r\n\r\n",
];

/// Answers of which one thing is odd, and the rest good; `{}` stands for lines behind the last chunk.
const SHAPES: &[&str] = &[
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n{}\r\n",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n2;a=b\r\nok\r\n0;c\r\n{}\r\n",
    "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nok",
    "HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\nok",
    "HTTP/1.1 205 Reset Content\r\ncontent-length: 2\r\n\r\nok",
    "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n\r\nok",
    "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok",
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: foo\r\n\r\nraw",
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nraw",
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: no\r\n\r\nraw",
    "HTTP/1.1 101 Switching Protocols\r\n\r\nraw",
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: foo\r\ncontent-length: 3\r\n\r\nraw",
    "HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno",
    "HTTP/1.1 408 Late\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno",
    "HTTP/1.1 401 Who\r\nwww-authenticate: Negotiate\r\ncontent-length: 2\r\n\r\nno",
    "HTTP/1.1 426 Upgrade\r\nconnection: upgrade\r\nupgrade: foo\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\n",
    "",
];

/// A request that is beyond doubt.
pub(crate) fn request(random: &mut Random) -> Vec<u8> {
    random.pick(REQUESTS).as_bytes().to_vec()
}

/// An answer, and the manner in which it is given.
pub(crate) fn answer(random: &mut Random) -> Answer {
    let mut answer = if random.one_in(3) { shaped(random) } else { worded(random) };
    if random.one_in(12) {
        answer.bytes.truncate(random.below(answer.bytes.len() + 1));
        answer.closes = !random.one_in(4);
    }
    answer.early = random.one_in(12);
    answer.to_any = random.one_in(6);
    if random.one_in(6) {
        answer.pauses = (0..=random.below(3)).map(|_| random.below(answer.bytes.len().max(1))).collect();
    }
    answer
}

/// One with one odd thing.
fn shaped(random: &mut Random) -> Answer {
    let mut text = String::new();
    if random.one_in(6) {
        let count = [1, 2, 9, 98, 101][random.below(5)];
        text.extend((0..count).map(|_| random.pick(INTERIM)));
    }
    match random.below(12) {
        0 => {
            let size = [16_000, 16_384, 20_000, 40_000][random.below(4)] + random.below(600);
            let _ = write!(text, "HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n{}", "b".repeat(size));
        }
        1 => {
            let size = 1 + random.below(20_000);
            let rest = if random.one_in(2) { "2\r\nok\r\n0\r\n\r\n" } else { "0\r\nx-t: v\r\n\r\n" };
            let body = "b".repeat(size);
            let _ = write!(text, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n{rest}");
        }
        2 => {
            let fields = grammar::large(random).join("\r\n");
            let _ = write!(text, "HTTP/1.1 200 OK\r\n{fields}\r\ncontent-length: 2\r\n\r\nok");
        }
        3 => {
            let reason = "O".repeat(random.below(400) * 41);
            let _ = write!(text, "HTTP/1.1 200 {reason}\r\ncontent-length: 2\r\n\r\nok");
        }
        _ => {
            let shape = random.pick(SHAPES);
            text.push_str(&if shape.contains("{}") {
                shape.replace("{}", &shapes::trailer_lines(random))
            } else {
                shape.to_owned()
            });
        }
    }
    Answer::of(&grammar::latin1(&text), random.one_in(2))
}

/// One of the words of the collections, mostly good.
fn worded(random: &mut Random) -> Answer {
    let mut text = String::new();
    while random.one_in(8) {
        text.push_str(random.pick(INTERIM));
    }
    if random.one_in(60) {
        text.push_str(random.pick(&["\r\n", "\n", "\r", " "]));
    }
    text.push_str(random.rarely(6, STRANGE_STATUS_LINES, STATUS_LINES));
    let eol = if random.one_in(20) { "\n" } else { "\r\n" };
    text.push_str(eol);
    let (mut fields, mut body) = grammar::framing(random);
    if random.one_in(10) {
        body.push_str(random.pick(&["extra", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "\r\n", CHUNKS[0]]));
    }
    for _ in 0..random.below(4) {
        fields.push((*random.pick(FIELDS)).to_owned());
    }
    if random.one_in(10) {
        fields.push((*random.pick(STRANGE_FIELDS)).to_owned());
    }
    if random.one_in(60) {
        fields.extend(grammar::large(random));
    }
    while !fields.is_empty() {
        let field = fields.swap_remove(random.below(fields.len()));
        text.push_str(&field);
        text.push_str(if random.one_in(60) { random.pick(&["\n", "\r", "\r\r\n", "", "\n\r"]) } else { eol });
    }
    text.push_str(if random.one_in(60) { random.pick(&["\n", "\r", "\n\r\n", " \r\n", ""]) } else { eol });
    text.push_str(&body);
    let mut bytes = grammar::latin1(&text);
    if random.one_in(4) {
        for _ in 0..=random.below(3) {
            change(random, &mut bytes);
        }
    }
    Answer::of(&bytes, random.one_in(2))
}
