//! haproxy's advisories, one row each: what once broke it is asked of ours. Those about HTTP/2, HTTP/3, `FastCGI` and the cache are not
//! here: proxyd does not speak them yet. Malformed answers of name servers (CVE-2018-20102, -20103) are in the tests of
//! `resolvers/message`.

use super::rig::{Rig, answering, talk};
use integration_tests::subject::Subject;
use std::time::Duration;

const CONFIG: &str = "
global
    log {log} local0
defaults
    mode http
    log global
    timeout client 2s
    timeout server 1s
    timeout connect 1s
    timeout http-request 700ms
frontend fe
    bind {front}OPTIONS
    FRONT
    default_backend be
backend be
    BACK
    server s1 {server} cookie A
";

const QUIET: Duration = Duration::from_millis(100);

struct Advisory {
    name: &'static str,
    /// Words after `bind`, lines of the frontend and of the backend.
    config: [&'static str; 3],
    sent: Vec<u8>,
    answer: &'static [u8],
    /// The status a client gets; 0 for none. haproxy 2.6 has another where the advisory is younger.
    status: u16,
    theirs: u16,
    /// Words that the server or the client must see.
    sees: &'static str,
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn advisory(name: &'static str, sent: impl AsRef<[u8]>, status: u16, sees: &'static str) -> Advisory {
    let sent = sent.as_ref().to_vec();
    Advisory { name, config: [""; 3], sent, answer: OK, status, theirs: status, sees }
}

fn get(field: &str) -> String {
    format!("GET /a HTTP/1.1\r\n{field}\r\n\r\n")
}

/// Requests that are one thing to us and might be another to the server.
fn about_requests() -> Vec<Advisory> {
    let young = |row: Advisory| Advisory { theirs: 200, ..row };
    vec![
        advisory("CVE-2023-45539: a fragment in the target", "GET /x.php#.png HTTP/1.1\r\n\r\n", 400, ""),
        advisory("CVE-2023-40225: an empty length", get("content-length:"), 400, ""),
        advisory("CVE-2023-40225: a length with an empty element", get("content-length: ,3"), 400, ""),
        advisory("CVE-2023-25725: a field without a name", get(": x\r\ncontent-length: 3"), 400, ""),
        advisory("CVE-2021-40346: a name of 270 bytes", get(&format!("content-length{}: 3", "x".repeat(256))), 400, ""),
        advisory("CVE-2019-18277: VT before chunked", get("transfer-encoding: \x0bchunked"), 400, ""),
        advisory("CVE-2024-53008: another host in the target", "GET http://z/a HTTP/1.1\r\nhost: h\r\n\r\n", 400, ""),
        advisory(
            "CVE-2024-53008: another port in the target",
            "GET http://h:81/a HTTP/1.1\r\nhost: h\r\n\r\n",
            400,
            "",
        ),
        young(advisory("CVE-2024-53008: an authority for GET", "GET h:80 HTTP/1.1\r\n\r\n", 400, "")),
        young(advisory("CVE-2024-53008: an asterisk for GET", "GET * HTTP/1.1\r\nhost: h\r\n\r\n", 400, "")),
        young(advisory("2026-04: a comma in host", get("host: a,b"), 400, "")),
        advisory("2026-04: default ports", "GET http://h:80/ HTTP/1.1\r\nhost: h:80\r\n\r\n", 200, "host: h\r\n"),
        advisory("CVE-2013-2175: folded and empty fields", get("a:\r\n \r\n\tb\r\nc:"), 200, ""),
    ]
}

/// Cookies, and responses that set them.
fn about_cookies() -> Vec<Advisory> {
    let cookie = |mode, name, field: &str| Advisory { config: ["", "", mode], ..advisory(name, get(field), 200, "") };
    let old = b"HTTP/1.1 200 OK\r\nSet-Cookie2: SRV=A; a=b\r\nContent-Length: 2\r\n\r\nok";
    let mut rows = vec![
        cookie("cookie SRV insert indirect", "CVE-2019-14241: begins with a delimiter", "cookie: ;A=1"),
        cookie("cookie SRV prefix", "CVE-2019-14241: nothing but delimiters", "cookie: ,=;;=,"),
        cookie("cookie SRV rewrite", "CVE-2019-14241: an open quotation", "cookie: SRV=\"A; b"),
    ];
    for mode in ["cookie SRV insert", "cookie SRV rewrite", "cookie SRV prefix"] {
        rows.push(Advisory { answer: old, ..cookie(mode, "CVE-2022-0711: Set-Cookie2", "x: y") });
    }
    rows
}

/// Expressions that once wrote or read beyond their room.
fn about_expressions() -> Vec<Advisory> {
    let front =
        |lines, name, field: &str, sees| Advisory { config: ["", lines, ""], ..advisory(name, get(field), 200, sees) };
    let long = format!("s: {}", "a".repeat(8_000));
    vec![
        front(
            "http-request set-header x-n %[req.hdr(j),json_query('$.a')]",
            "CVE-2025-11230: a number that takes for ever",
            "j: {\"a\": 1e1000000000}",
            "x-n: ",
        ),
        front(
            "http-request set-var(txn.s) \"req.hdr(s),regsub('(a)','\\\\1\\\\1\\\\1\\\\1\\\\1\\\\1\\\\1\\\\1',g)\"",
            "CVE-2025-32464: references that fill the buffer",
            &long,
            "GET /a",
        ),
        front(
            "http-request set-header x-l %[req.hdr(x,-10)]",
            "CVE-2013-2175: a field before the first",
            "x: 1,2",
            "x-l: \r\n",
        ),
        front(
            "tcp-request inspect-delay 100ms\n    tcp-request content accept if { req.hdr(host) -m found }",
            "CVE-2013-1912: HTTP in the rules of TCP",
            "host: h",
            "host: h",
        ),
    ]
}

/// PROXY headers of version 2 with lengths that lead out of them.
fn about_proxy_headers() -> Vec<Advisory> {
    let header = |tlv: &[u8]| {
        let length = u8::try_from(12 + tlv.len()).unwrap();
        let addresses = [127, 0, 0, 1, 127, 0, 0, 1, 0x10, 0, 0x20, 0];
        [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0".as_slice(), &[length], &addresses, tlv, get("host: h").as_bytes()].concat()
    };
    let row = |name, tlv: &[u8], status| Advisory {
        config: [" accept-proxy", "", ""],
        ..advisory(name, header(tlv), status, "")
    };
    vec![
        row("PROXY: a TLV that fits", &[0xe0, 0, 1, b'x'], 200),
        row("PROXY: a TLV longer than the header", &[0xe0, 0xff, 0xff, b'x'], 0),
        row("PROXY: half of a TLV", &[0xe0, 0], 0),
    ]
}

#[test]
fn each_has_its_answer() {
    let theirs = Subject::from_env() == Subject::Theirs;
    for row in [about_requests(), about_cookies(), about_expressions(), about_proxy_headers()].into_iter().flatten() {
        let [options, front, back] = row.config;
        let config = CONFIG.replace("OPTIONS", options).replace("FRONT", front).replace("BACK", back);
        let rig = Rig::start("advisories", &config, answering(row.answer));
        // The second asks whether the proxy lived through the first.
        for _ in 0..2 {
            let (answer, closed) = talk(&rig, &row.sent, false, QUIET);
            let (name, status) = (row.name, if theirs { row.theirs } else { row.status });
            if status == 0 {
                assert!(answer.is_empty() && closed, "{name}: {answer}");
                continue;
            }
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer}");
            if status == 200 {
                let message = rig.origin.message();
                assert!(message.contains(row.sees), "{name}: {message}");
            }
        }
    }
}
