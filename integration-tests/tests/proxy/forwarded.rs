//! `option forwarded`, which haproxy 2.6 does not have: what its manual for 2.8 and later says, with its examples.

use super::rig::{Rig, answering};
use integration_tests::subject::Subject;
use std::io::{Read, Write};

const CONFIG: &str = "
global
    log {log} local0
defaults plain
    mode http
    timeout client 2s
    timeout server 2s
    timeout connect 1s
defaults says from plain
    option forwarded for
frontend fe from plain
    bind {front}
    http-request set-dst ipv6(2001:db8::1) if { path /six }
    use_backend %[path,word(1,/)]
";

/// A backend's name, the section it starts from, its lines, what the client sends, the header.
const CASES: &[(&str, &str, &str, &str, &str)] = &[
    ("default", "plain", "option forwarded", "", "proto=http;for=127.0.0.1"),
    ("host", "plain", "option forwarded host for-expr src,xxh32,hex", "", "host=\"h.ex:80\";for=_00000000013FB3EE"),
    (
        "custom",
        "plain",
        "option forwarded host-expr str(host.com) by-expr str(_haproxy) for for_port-expr int(10)",
        "",
        "host=\"host.com\";by=_haproxy;for=\"127.0.0.1:10\"",
    ),
    ("six", "plain", "option forwarded by for proto", "", "proto=http;by=\"[2001:db8::1]\";for=127.0.0.1"),
    ("port", "plain", "option forwarded by by_port-expr req.hdr(x),length", "x: abc\r\n", "by=\"127.0.0.1:3\""),
    ("names", "plain", "option forwarded by-expr req.hdr(x) by_port-expr str(p)", "x: a b\r\n", "by=\"unknown:_p\""),
    ("nobody", "plain", "option forwarded for-expr req.hdr(x) for_port-expr req.hdr(x)", "", "for=unknown"),
    ("words", "plain", "option forwarded for-expr req.hdr(x) lower proto", "x: A\r\n", "proto=http;for=_a"),
    ("only-port", "plain", "option forwarded for_port", "", "-"),
    ("bad-host", "plain", "option forwarded host-expr req.hdr(x)", "x: a\"b\r\n", "-"),
    ("inherited", "says", "", "", "for=127.0.0.1"),
    ("none", "says", "no option forwarded", "", "-"),
    // One that came is passed on, and stands before.
    ("second", "says", "", "Forwarded: for=\"_a\"\r\n", "for=\"_a\", for=127.0.0.1"),
];

#[test]
fn requests_tell_the_way_they_came() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let backends = CASES.iter().map(|(name, from, lines, ..)| {
        format!("backend {name} from {from}\n    {lines}\n    option forwardfor\n    server s {{server}}\n")
    });
    let config = format!("{CONFIG}{}", backends.collect::<String>());
    let rig = Rig::start("forwarded", &config, answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    for (name, _, _, fields, expected) in CASES {
        let mut client = rig.connect();
        write!(client, "GET /{name} HTTP/1.1\r\nHost: h.ex:80\r\nConnection: close\r\n{fields}\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{name}: {answer}");
        let message = rig.origin.message();
        let found: Vec<_> = message.lines().filter_map(|line| line.strip_prefix("forwarded: ")).collect();
        let found = if found.is_empty() { "-".to_owned() } else { found.join(", ") };
        assert_eq!(found, *expected, "{name}");
        let last = message.lines().rfind(|line| !line.is_empty()).unwrap();
        assert_eq!(last, "x-forwarded-for: 127.0.0.1", "{name}");
    }
}
