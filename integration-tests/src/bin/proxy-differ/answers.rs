//! Makes responses: good ones by the grammar, with the same words that deceive about where a message ends.

use crate::case::Answer;
use crate::grammar::{self, CHUNKS, STRANGE_FIELDS};
use crate::mutate::change;
use crate::random::Random;

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
];

/// A request that is beyond doubt.
pub(crate) fn request(random: &mut Random) -> Vec<u8> {
    random.pick(REQUESTS).as_bytes().to_vec()
}

/// An answer, mostly good.
pub(crate) fn answer(random: &mut Random) -> Answer {
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
    Answer { bytes, closes: random.one_in(2) }
}
