//! Rules that look into a TCP connection before it goes anywhere: SNI routing, protocols told apart, waiting for more.

use super::rig::{Rig, Step, read_all};
use integration_tests::subject::Subject;
use std::io::Write as _;
use std::time::Duration;

const CONFIG: &str = "
global
    log {log} local0
defaults
    mode tcp
    log global
    timeout client 2s
    timeout server 2s
    timeout connect 1s
frontend f
    bind {front}
    tcp-request inspect-delay DELAY
RULES
backend web
    server web {server}
backend other
    server other {server}
backend none
    server none {server}
";

/// How long the cases wait whose bytes never decide.
const SHORT: Duration = Duration::from_millis(200);

/// The log line of a connection that brings `parts`, each in a segment of its own.
fn routed(name: &str, delay: &str, rules: &[&str], parts: &[&[u8]]) -> (String, Duration) {
    let rules = format!("    log-format \"[-] %b %s %[capture.req.hdr(0)]\"\n    {}\n", rules.join("\n    "));
    let config = CONFIG.replace("DELAY", delay).replace("RULES\n", &rules);
    let rig = Rig::start(name, &config, vec![Step::Write(b"ok".to_vec()), Step::Close]);
    let mut client = rig.connect();
    let begun = integration_tests::clock::now();
    for part in parts {
        // A rule may have ended the connection before all of it was sent.
        let _ = client.write_all(part);
        super::rig::wait_until_read(&client);
    }
    read_all(&mut client, Duration::from_secs(1));
    (rig.log_line(), begun.elapsed())
}

/// A client's hello with one name and one protocol.
fn hello(name: &str) -> Vec<u8> {
    let with = |size: usize, block: &[u8]| [&block.len().to_be_bytes()[8 - size..], block].concat();
    let names = with(2, &[&[0], &with(2, name.as_bytes())[..]].concat());
    let protocols = with(2, &with(1, b"h2"));
    let list = |number: u8, list: &[u8]| [&[0, number][..], &with(2, &with(2, list))].concat();
    let lists = [list(13, &[4, 3, 8, 4]), list(10, &[0, 29, 0, 23]), list(51, &[0, 29, 0, 1, 9])].concat();
    let extensions = [&[0, 0][..], &with(2, &names), &[0, 16], &with(2, &protocols), &lists].concat();
    let body = [&[3, 3][..], &[7; 32], &[0], &with(2, &[0x13, 1]), &with(1, &[0]), &with(2, &extensions)].concat();
    let message = [&[1][..], &with(3, &body)].concat();
    [&[22, 3, 1][..], &with(2, &message)].concat()
}

const SNI: &[&str] = &[
    "tcp-request content accept if { req.ssl_hello_type 1 }",
    "use_backend web if { req.ssl_sni -i a.example }",
    "use_backend other if { req.ssl_sni -m end .example }",
    "default_backend none",
];

#[test]
fn the_name_in_a_hello_chooses_the_backend() {
    for (number, (name, expected)) in
        [("A.example", "web web -"), ("b.example", "other other -"), ("c", "none none -")].iter().enumerate()
    {
        let hello = hello(name);
        let (line, took) = routed(&format!("sni-{number}"), "5s", SNI, &[&hello]);
        assert_eq!(line, *expected, "{name}");
        assert!(took < Duration::from_secs(4), "nothing had to be waited for");
    }
}

#[test]
fn what_is_no_hello_is_told_at_once() {
    let (line, took) = routed("sni-ssh", "5s", SNI, &[b"SSH-2.0-x\r\n"]);
    assert_eq!(line, "none none -");
    assert!(took < Duration::from_secs(4));
    let rules = [&["tcp-request content reject if !{ req.ssl_hello_type 1 }"], SNI].concat();
    let (line, _) = routed("sni-reject", "5s", &rules, &[b"GET / HTTP/1.1\r\n\r\n"]);
    assert_eq!(line, "f <NOSRV> -");
}

#[test]
fn a_hello_in_pieces_is_waited_for() {
    let hello = hello("a.example");
    let (one, two) = hello.split_at(20);
    let rules = &[
        "tcp-request content accept if { req.ssl_sni -m found }",
        "use_backend web if { req.ssl_sni a.example }",
        "default_backend none",
    ];
    let (line, _) = routed("sni-pieces", "5s", rules, &[one, two]);
    assert_eq!(line, "web web -");
}

/// haproxy 2.6 does not know these.
#[test]
fn what_a_client_can_do_is_told_by_its_hello() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let shown = ["cipherlist", "sigalgs", "supported_groups", "keyshare_groups"];
    let shown = shown.map(|name| format!("req.ssl_{name},hex,concat(|)")).map(|call| format!("%[{call}]")).concat();
    let set = format!("tcp-request content set-var-fmt(sess.shown) x{shown}");
    let rules = &[
        "tcp-request content reject if !{ req.ssl_hello_type 1 }",
        &set,
        "tcp-request content capture var(sess.shown) len 100",
        "use_backend web if { req.ssl_supported_groups,hex -m beg 001D }",
        "default_backend none",
    ];
    let (line, _) = routed("hello-lists", "5s", rules, &[&hello("c")]);
    assert_eq!(line, "web web x1301|04030804|001D0017|001D|");
}

#[test]
fn silence_ends_the_wait() {
    let (line, took) = routed("sni-silent", "200ms", SNI, &[]);
    assert_eq!(line, "none none -");
    assert!(took >= SHORT, "{took:?}");
    let rules = &["tcp-request content reject if WAIT_END", "default_backend web"];
    let (line, took) = routed("wait-end", "200ms", rules, &[b"x"]);
    assert_eq!(line, "f <NOSRV> -");
    assert!(took >= SHORT, "{took:?}");
}

#[test]
fn http_is_seen_in_mode_tcp() {
    let rules = &[
        "tcp-request content accept if HTTP",
        "use_backend web if HTTP { hdr(host) a.example }",
        "use_backend other if HTTP",
        "default_backend none",
    ];
    for (number, (bytes, expected)) in [
        (&b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"[..], "web web -"),
        (b"GET / HTTP/1.1\r\nHost: b\r\n\r\n", "other other -"),
        (b"\x00\x01\x02\x03", "none none -"),
    ]
    .iter()
    .enumerate()
    {
        let (line, _) = routed(&format!("tcp-http-{number}"), "1s", rules, &[bytes]);
        assert_eq!(line, *expected);
    }
}

#[test]
fn payloads_lengths_and_captures() {
    let rules = &[
        "tcp-request content capture req.payload(0,3) len 8",
        "tcp-request content set-var(sess.first) req.payload(0,1)",
        "tcp-request content accept if { req.len ge 4 }",
        "use_backend web if { req.payload(1,2) -m bin 6263 } { var(sess.first) -m str a }",
        "default_backend none",
    ];
    let (line, _) = routed("payload", "5s", rules, &[b"abcd"]);
    assert_eq!(line, "web web abc");
    let (line, took) = routed("payload-short", "200ms", rules, &[b"xyz"]);
    assert_eq!(line, "none none xyz");
    assert!(took >= SHORT);
}
