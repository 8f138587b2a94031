//! Makes requests of shapes that the grammar seldom makes: each is about one thing, and the rest of it is good.

use crate::grammar::{self, CHUNKS, latin1};
use crate::random::Random;
use std::fmt::Write as _;

/// What may stand behind the last chunk, also what must not rule anything there.
pub(crate) const TRAILERS: &[&str] = &[
    "x-t: v",
    "X-T:v",
    "x-t:",
    "content-length: 3",
    "Content-Length: 99999",
    "transfer-encoding: chunked",
    "transfer-encoding: gzip",
    "host: z",
    "connection: close",
    "connection: keep-alive",
    "connection: x-t",
    "keep-alive: timeout=5",
    "upgrade: foo",
    "te: trailers",
    "trailer: x-t",
    "expect: 100-continue",
    "cookie: SRV=A",
    "set-cookie: SRV=A",
    "authorization: Basic YTpi",
    "x_t: v",
    "x.t: v",
    "x t: v",
    "x-t : v",
    "x-t: \u{e9}",
    "x-t: a\x01b",
    "x-t: a\x00b",
    "x-t: a\rb",
    "x-t: a\r\n b",
    "GET /x HTTP/1.1",
    "age: 1",
    "x-forwarded-for: 9.9.9.9",
    "0",
    "",
    ":authority: z",
    "x-t: v\r",
];

const METHODS: &[&str] = &[
    "GET", "Get", "get", "GETT", "GE", "HEAD", "head", "Head", "HEADX", "POST", "post", "PUT", "DELETE", "delete",
    "OPTIONS", "options", "Options", "CONNECT", "connect", "Connect", "CONNECTS", "TRACE", "trace", "PATCH", "PRI",
    "M-SEARCH", "PROPFIND", "A", "0", "-", "!", "GET-", "X_Y",
];

const FORMS: &[&str] = &[
    "/",
    "/a",
    "*",
    "h",
    "h:80",
    "h:443",
    "H:443",
    "z:443",
    "h:0443",
    "[::1]:80",
    "http://h/",
    "http://h",
    "http://h/*",
    "https://h/",
    "*/",
    "**",
    "/*",
    "h/",
    "h:80/",
    "//h/",
    "///",
    "h:80?x",
    "?x",
];

/// Heads that make a client wait, leave or change.
const TELLS: &[&str] = &[
    "expect: 100-continue",
    "expect: 100-Continue",
    "Expect:100-continue ",
    "expect: 100-continue, x",
    "expect: x, 100-continue",
    "expect: 100-continue\r\nexpect: 100-continue",
    "expect:",
    "expect: 200-ok",
    "connection: expect\r\nexpect: 100-continue",
];

const KEEPS: &[&str] = &[
    "connection: keep-alive",
    "connection: Keep-Alive",
    "connection: keep-alive, close",
    "connection: close, keep-alive",
    "connection: close",
    "connection: keep-alive\r\nconnection: close",
    "connection: close\r\nconnection: keep-alive",
    "connection: keep-alive, keep-alive",
    "connection: x, keep-alive",
    "connection: keepalive",
    "connection:\r\nconnection: keep-alive",
    "proxy-connection: keep-alive",
    "proxy-connection: close",
    "proxy-connection: keep-alive\r\nconnection: close",
    "keep-alive: timeout=5",
    "x: y",
];

const UPGRADES: &[&str] = &[
    "connection: upgrade\r\nupgrade: foo",
    "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    "connection: upgrade\r\nupgrade: websocket",
    "connection: upgrade\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA",
    "connection: upgrade, http2-settings\r\nupgrade: h2c, foo",
    "connection: upgrade\r\nupgrade: foo\r\nupgrade: bar",
    "connection: upgrade\r\nconnection: close\r\nupgrade: foo",
    "connection: keep-alive, upgrade\r\nupgrade: foo",
    "connection: upgrade\r\nupgrade:",
    "connection: upgrade\r\nupgrade: foo\r\nexpect: 100-continue",
    "connection: x-upgrade\r\nupgrade: foo",
    "upgrade: foo",
];

const SCHEMES: &[&str] = &["http", "http", "http", "https", "HTTP", "Http", "ws", "ftp", "x", "h+t-p.1", ""];

const AUTHORITIES: &[&str] = &[
    "h",
    "H",
    "h.",
    "h:80",
    "h:443",
    "h:0",
    "h:080",
    "h:8080",
    "h:",
    "z",
    "z:80",
    "hh",
    "[::1]",
    "[::1]:80",
    "[::1]:443",
    "127.0.0.1",
    "127.0.0.1:80",
    "u@h",
    "u:p@h",
    "h:80@z",
    "%68",
    "",
    ":80",
    "h,z",
    "h;z",
    "h_z",
    "xn--h",
    "h\u{e9}",
    "h:x",
    "h:99999",
];

const PATHS: &[&str] =
    &["", "/", "/a", "?x", "/a?x", "#f", "/a#f", "//", "/../a", "/redirect", "/deny", "/return", "*"];

/// Lengths that say the same, or not; `N` stands for the right one.
const LENGTHS: &[&str] =
    &["N", "N", "N", "0N", "00N", "N ", "\tN", "+N", "N,N", "N, N", "N,0N", "0", "9", "N,9", "", "N;", "-N", "Nx"];

/// Bytes that end or change something for some.
const ODD_BYTES: &[u8] = b"\0\x01\x08\x09\x0a\x0b\x0c\x0d\x1b\x20\x22\x2c\x3a\x3b\x5c\x7f\x80\x85\xa0\xc0\xff";

/// One request.
pub(crate) fn request(random: &mut Random) -> Vec<u8> {
    let text = match random.below(12) {
        0 => trailers(random),
        1 => extensions(random),
        2 => telling(random, TELLS),
        3 => telling(random, KEEPS),
        4 => telling(random, UPGRADES),
        5 => long(random),
        6 => absolute(random),
        7 => form(random),
        8 => lengths(random),
        9 => large_body(random),
        10 => telling(random, &["x: y"]),
        _ => return odd_byte(random),
    };
    latin1(&text)
}

fn version(random: &mut Random) -> &'static str {
    random.rarely(3, &["HTTP/1.0"], &["HTTP/1.1"])
}

/// A body and the fields that announce it: none, by length, in chunks.
fn body(random: &mut Random) -> (String, String) {
    match random.below(5) {
        0 => (String::new(), String::new()),
        1 => ("content-length: 0\r\n".to_owned(), String::new()),
        2 => ("content-length: 3\r\n".to_owned(), "abc".to_owned()),
        3 => ("transfer-encoding: chunked\r\n".to_owned(), "3\r\nabc\r\n0\r\n\r\n".to_owned()),
        _ => {
            let (fields, body) = grammar::framing(random);
            (lines(fields.into_iter()), body)
        }
    }
}

/// Texts as lines.
fn lines(texts: impl Iterator<Item = String>) -> String {
    texts.fold(String::new(), |all, text| all + &text + "\r\n")
}

fn trailers(random: &mut Random) -> String {
    let behind = trailer_lines(random);
    let names = random.rarely(3, &["trailer: x-t\r\n", "te: trailers\r\n"], &[""]);
    let version = version(random);
    format!("POST / {version}\r\nhost: h\r\n{names}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n{behind}\r\n")
}

/// Lines behind the last chunk: few, many, or large ones.
pub(crate) fn trailer_lines(random: &mut Random) -> String {
    match random.below(12) {
        0 => lines((0..95 + random.below(12)).map(|number| format!("x{number}: y"))),
        1 => format!("x: {}\r\n", "a".repeat(near(random))),
        2 => format!("{}: y\r\n", "x".repeat(250 + random.below(12))),
        _ => lines((0..=random.below(3)).map(|_| random.pick(TRAILERS).to_owned())),
    }
}

/// About the room that there is for a head, or for all that is buffered, or just some.
fn near(random: &mut Random) -> usize {
    let at = [1_000, 4_090, 8_180, 15_340, 16_370][random.below(5)];
    at + random.below(40)
}

fn extensions(random: &mut Random) -> String {
    let extension = match random.below(4) {
        0 => format!(";{}", "a".repeat(near(random))),
        1 => ";a=\"\r\n\";b".to_owned(),
        2 => format!(
            "{}{}",
            random.pick(&[" ", "\t", " \t ", ""]),
            random.pick(&[";", ";;", "; a", ";a=", ";=b", ";\u{e9}", ";a=\"b"])
        ),
        _ => format!(";{}={}", random.pick(&["a", "", " a ", "\x0b"]), random.pick(&["b", "\"b;c\"", "\x7f", ""])),
    };
    let (first, last) = match random.below(3) {
        0 => (extension.as_str(), ""),
        1 => ("", extension.as_str()),
        _ => (extension.as_str(), extension.as_str()),
    };
    format!("POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3{first}\r\nabc\r\n0{last}\r\n\r\n")
}

/// A request of any method and version, with fields that say how it goes on, with a body or without.
fn telling(random: &mut Random, words: &[&str]) -> String {
    let method = random.pick(&["GET", "POST", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT"]);
    let target = if method == "CONNECT" { "h:80" } else { random.pick(&["/", "/", "/deny", "/return", "/redirect"]) };
    let host = if method == "CONNECT" { "h:80" } else { "h" };
    let (fields, body) = body(random);
    let version = version(random);
    format!("{method} {target} {version}\r\nhost: {host}\r\n{}\r\n{fields}\r\n{body}", random.pick(words))
}

/// A head that nearly fills, or just overfills, the room that there is for it.
fn long(random: &mut Random) -> String {
    let (fields, body) = body(random);
    let length = near(random);
    match random.below(6) {
        0 => format!("GET /{} HTTP/1.1\r\nhost: h\r\n{fields}\r\n{body}", "a".repeat(length)),
        1 => format!("{} / HTTP/1.1\r\nhost: h\r\n{fields}\r\n{body}", "A".repeat(length)),
        2 => format!("GET / HTTP/1.1\r\nhost: h\r\n{}: y\r\n{fields}\r\n{body}", "x".repeat(240 + random.below(30))),
        3 => format!("GET / HTTP/1.1\r\nhost: {}\r\n{fields}\r\n{body}", "h".repeat(length)),
        4 => {
            let fillers = lines((0..95 + random.below(8)).map(|number| format!("x{number}: y")));
            format!(
                "GET / HTTP/1.1\r\n{fillers}{}{fields}\r\n{body}",
                random.pick(&["", "host: h\r\n", "connection: ,\r\n", "te: x\r\n"])
            )
        }
        _ => {
            let each = 50 + random.below(400);
            let fillers = lines((0..length / each).map(|number| format!("x{number}: {}", "y".repeat(each))));
            format!("GET / HTTP/1.1\r\nhost: h\r\n{fillers}{fields}\r\n{body}")
        }
    }
}

/// A target with a host of its own, beside a `host`.
fn absolute(random: &mut Random) -> String {
    let method = random.rarely(4, &["OPTIONS", "POST", "HEAD", "CONNECT", "TRACE"], &["GET"]);
    let (scheme, authority, path) = (random.pick(SCHEMES), random.pick(AUTHORITIES), random.pick(PATHS));
    let version = version(random);
    let hosts = match random.below(6) {
        0 => String::new(),
        1 => format!("host: {}\r\n", random.pick(AUTHORITIES)),
        2 => format!("host: {authority}\r\nhost: {authority}\r\n"),
        3 => format!("host: {authority}\r\nx: y\r\nhost: {}\r\n", random.pick(AUTHORITIES)),
        _ => format!("host: {authority}\r\n"),
    };
    format!("{method} {scheme}://{authority}{path} {version}\r\n{hosts}\r\n")
}

/// A method, known or not, with a target in any form.
fn form(random: &mut Random) -> String {
    let (method, target, version) = (random.pick(METHODS), random.pick(FORMS), version(random));
    let host = random.pick(&["host: h\r\n", "host: h:443\r\n", "host: h:80\r\n", "host: z\r\n", ""]);
    let (fields, body) = if random.one_in(3) { body(random) } else { (String::new(), String::new()) };
    format!("{method} {target} {version}\r\n{host}{fields}\r\n{body}")
}

/// Several lengths, and perhaps a coding, that agree or do not.
fn lengths(random: &mut Random) -> String {
    let mut lines = String::new();
    for number in 0..=1 + random.below(2) {
        let name = random.pick(&["content-length", "Content-Length", "content-length", "CONTENT-LENGTH"]);
        let _ = write!(lines, "{name}: {}\r\n", random.pick(LENGTHS).replace('N', "3"));
        if random.one_in(3) {
            let _ = write!(lines, "x{number}: y\r\n");
        }
    }
    let mut sent = "abc";
    if random.one_in(4) {
        lines.push_str("transfer-encoding: chunked\r\n");
        sent = random.rarely(3, CHUNKS, &["3\r\nabc\r\n0\r\n\r\n"]);
    }
    let version = version(random);
    format!("POST / {version}\r\nhost: h\r\n{lines}\r\n{sent}")
}

/// A body of more than one buffer.
fn large_body(random: &mut Random) -> String {
    let size = [16_000, 16_384, 20_000, 40_000][random.below(4)] + random.below(600);
    let method = random.rarely(4, &["GET", "PUT", "DELETE"], &["POST"]);
    let target = random.pick(&["/", "/", "/", "/deny", "/return", "/redirect"]);
    let tells = random.rarely(4, TELLS, &["x: y"]);
    let version = version(random);
    let head = format!("{method} {target} {version}\r\nhost: h\r\n{tells}\r\n");
    if random.one_in(2) {
        return format!("{head}content-length: {size}\r\n\r\n{}", "b".repeat(size));
    }
    let mut text = format!("{head}transfer-encoding: chunked\r\n\r\n");
    let mut left = size;
    while left > 0 {
        let length = left.min([1, 100, 5_000, 16_384, 30_000][random.below(5)]);
        let _ = write!(text, "{length:x}\r\n{}\r\n", "b".repeat(length));
        left -= length;
        // Not a thousand of the smallest.
        if text.len() > 2 * size {
            break;
        }
    }
    let trailers = if random.one_in(3) { trailer_lines(random) } else { String::new() };
    format!("{text}0\r\n{trailers}\r\n")
}

/// A good request with one odd byte, in any place.
fn odd_byte(random: &mut Random) -> Vec<u8> {
    let (fields, body) = body(random);
    let head = random.pick(&[
        "GET /a?b HTTP/1.1\r\nhost: h\r\nx-foo: a\r\ncookie: a=b; SRV=A\r\n",
        "POST /a HTTP/1.1\r\nhost: h:80\r\nconnection: x-foo\r\n",
        "GET http://h/a HTTP/1.1\r\nhost: h\r\n",
        "CONNECT h:80 HTTP/1.1\r\nhost: h:80\r\n",
        "GET / HTTP/1.0\r\nconnection: keep-alive\r\n",
        "GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: foo\r\n",
        "POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\n",
    ]);
    let mut bytes = latin1(&format!("{head}{fields}\r\n{body}"));
    let at = random.below(bytes.len());
    let byte = ODD_BYTES[random.below(ODD_BYTES.len())];
    if random.one_in(2) {
        bytes.insert(at, byte);
    } else {
        bytes[at] = byte;
    }
    bytes
}
