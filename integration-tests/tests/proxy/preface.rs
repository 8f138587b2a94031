//! What says before a client's first byte who it is, and what a server is told of that: PROXY headers with their additions,
//! `NetScaler`'s client IP insertion.

use super::rig::{Rig, Step, read_all};
use integration_tests::subject::Subject;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

const CONFIG: &str = "
defaults
    mode http
    timeout client 2s
    timeout server 2s
    timeout connect 2s
    retries 0
listen l
    bind {front} BIND
    FRONT
    server s {server} SERVER
";

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nX-End: 1\r\n\r\n";
const QUIET: Duration = Duration::from_millis(100);

fn config(bind: &str, front: &str, server: &str) -> String {
    CONFIG.replace("BIND", bind).replace("FRONT", front).replace("SERVER", server)
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
}

/// A header from 1.2.3.4:1000 to 5.6.7.8:80.
fn header(additions: &[u8]) -> Vec<u8> {
    let length = u16::try_from(12 + additions.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[0x21, 0x11], &length, &[1, 2, 3, 4, 5, 6, 7, 8, 3, 0xe8, 0, 80], additions].concat()
}

/// Printable text as it is, everything else in hexadecimal.
fn shown(text: &str) -> String {
    text.chars().fold(String::new(), |mut shown, character| {
        match character {
            '!'..='~' | ' ' => shown.push(character),
            other => write!(shown, "<{:02x}>", u32::from(other)).unwrap(),
        }
        shown
    })
}

/// What the server got before the request, without the signature; nothing where it got no request.
fn told(name: &str, config: &str, sent: &[u8]) -> Option<String> {
    // The signature would be taken for the end of a request's head.
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec();
    let rig = Rig::start(name, config, vec![Step::ReadUntil("x-end: 1\r\n\r\n"), Step::Write(answer), Step::ReadToEnd]);
    let mut client = rig.connect();
    // A rule may have had it closed by now.
    let _ = client.write_all(&[sent, REQUEST].concat());
    let (answer, _) = read_all(&mut client, QUIET);
    answer.starts_with("HTTP/1.1 200").then(|| {
        let message = rig.origin.message();
        let (before, _) = message.split_once("GET / HTTP/1.1").unwrap();
        shown(before.strip_prefix("\r\n\r\n\0\r\nQUIT\n").unwrap_or(before))
    })
}

/// Both ends as version 2 writes them.
const ENDS: &str = "<01><02><03><04><05><06><07><08><03><e8><00>P";

#[test]
fn a_server_is_told_what_its_line_asks_for() {
    let authority = tlv(2, b"au.example");
    let id = "unique-id-format id-%ci";
    let all = "send-proxy-v2 proxy-v2-options ssl,cert-cn,cert-key,cert-sig,ssl-cipher,authority,crc32c,unique-id";
    for (server, front, additions, length, told_of) in [
        ("send-proxy-v2", "", &authority[..], "<0c>", ""),
        ("send-proxy-v2-ssl", "", b"", "<14>", " <00><05><00><00><00><00><00>"),
        ("send-proxy-v2-ssl-cn", "", b"", "<14>", " <00><05><00><00><00><00><00>"),
        ("send-proxy-v2 proxy-v2-options cert-cn", "", b"", "<14>", " <00><05><00><00><00><00><00>"),
        ("proxy-v2-options crc32c,unique-id send-proxy-v2", "", b"", "<16>", "<03><00><04>M<a5><d6>e<05><00><00>"),
        ("send-proxy-v2 proxy-v2-options unique-id", id, b"", "<19>", "<05><00><0a>id-1.2.3.4"),
        ("send-proxy-v2 proxy-v2-options authority", "", &authority, "<19>", "<02><00><0a>au.example"),
        ("send-proxy-v2 proxy-v2-options authority", "", b"", "<0c>", ""),
        (
            all,
            id,
            &authority,
            "5",
            "<03><00><04>CRC<02><00><0a>au.example<05><00><0a>id-1.2.3.4 <00><05><00><00><00><00><00>",
        ),
    ] {
        let found = told("preface-out", &config("accept-proxy", front, server), &header(additions)).unwrap();
        let expected = format!("!<11><00>{length}{ENDS}{told_of}");
        let found = match expected.split_once("CRC") {
            // The one that is checked by who reads it: see below.
            Some((before, after)) if found.starts_with(before) && found.ends_with(after) => expected.clone(),
            _ => found,
        };
        assert_eq!(found, expected, "{server}");
    }
}

/// Each word takes back what it names, and a header is sent for as long as anything is left.
#[test]
fn words_that_take_back() {
    for (server, version) in [
        ("proxy-v2-options crc32c", Some(1)),
        ("send-proxy proxy-v2-options crc32c", Some(1)),
        ("send-proxy-v2 send-proxy", Some(2)),
        ("send-proxy send-proxy-v2 no-send-proxy-v2", Some(1)),
        ("send-proxy-v2 no-send-proxy-v2", None),
        ("send-proxy-v2 proxy-v2-options crc32c no-send-proxy-v2", Some(1)),
        ("send-proxy-v2-ssl no-send-proxy-v2", Some(1)),
        ("send-proxy-v2-ssl-cn no-send-proxy-v2-ssl", Some(1)),
        ("send-proxy-v2-ssl-cn no-send-proxy-v2-ssl-cn", None),
    ] {
        let found = told("preface-words", &config("", "", server), b"").unwrap();
        let found = match &*found {
            "" => None,
            text if text.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 ") => Some(1),
            text if text.starts_with("!<11>") => Some(2),
            text => panic!("{server}: {text}"),
        };
        assert_eq!(found, version, "{server}");
    }
}

/// What goes out with a checksum comes in with it; one that is wrong is refused.
#[test]
fn a_checksum_is_looked_at() {
    let config = config("accept-proxy", "", "send-proxy-v2");
    for (additions, passes) in [
        (&b"\x03\0\x04\x4d\xa5\xd6\x65\x05\0\0"[..], true),
        (b"\x03\0\x04\x4d\xa5\xd6\x66\x05\0\0", false),
        (b"\x03\0\x03\x4d\xa5\xd6\x05\0\0", false),
    ] {
        assert_eq!(told("preface-crc", &config, &header(additions)).is_some(), passes, "{additions:x?}");
    }
}

/// A rule expects a header of some; rules on connections see who is really there, those on sessions whom the header names.
#[test]
fn rules_on_connections_come_before_the_header() {
    let expect = "tcp-request connection expect-proxy layer4";
    for (bind, front, sent, passes) in [
        ("", expect.to_owned(), header(b""), true),
        ("", expect.to_owned(), Vec::new(), false),
        ("", format!("{expect} if {{ src 9.9.9.9 }}"), Vec::new(), true),
        ("", format!("{expect}\n    tcp-request connection reject if {{ src 127.0.0.1 }}"), header(b""), false),
        ("", format!("{expect}\n    tcp-request connection reject if {{ src 1.2.3.4 }}"), header(b""), true),
        ("", format!("{expect}\n    tcp-request session reject if {{ src 1.2.3.4 }}"), header(b""), false),
        ("accept-proxy", "tcp-request connection reject if { src 127.0.0.1 }".to_owned(), header(b""), false),
        ("accept-proxy", "tcp-request connection reject if { src 1.2.3.4 }".to_owned(), header(b""), true),
        ("accept-proxy", "tcp-request session reject if { src 1.2.3.4 }".to_owned(), header(b""), false),
    ] {
        let found = told("preface-rules", &config(bind, &front, "send-proxy-v2"), &sent);
        assert_eq!(found.is_some(), passes, "{bind} {front}");
    }
}

#[test]
fn net_scalers_name_their_clients() {
    const MAGIC: u32 = 0x1020_3040;
    let packet = [
        &[0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8][..],
        &[3, 0xe8, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 100, 0, 0, 0, 0],
    ]
    .concat();
    let older = [&MAGIC.to_be_bytes()[..], &40_u32.to_be_bytes(), &packet].concat();
    let newer = [&MAGIC.to_be_bytes()[..], &52_u32.to_be_bytes(), &[0, 1, 0, 40], &packet].concat();
    let other = [&[1, 2, 3, 4], &older[4..]].concat();
    let line = format!("accept-netscaler-cip {MAGIC}");
    let both = format!("{line} accept-proxy");
    let rule = "tcp-request connection expect-netscaler-cip layer4";
    for (bind, front, sent, passes) in [
        (&*line, "", &older, true),
        (&line, "", &newer, true),
        (&line, "", &other, false),
        (&line, "", &Vec::new(), false),
        ("", rule, &older, false),
        (&both, "", &older, false),
        (&both, "", &[&older[..], &header(b"")].concat(), true),
        (&both, "", &[&header(b""), &older[..]].concat(), false),
    ] {
        let found = told("preface-cip", &config(bind, front, "send-proxy-v2"), sent);
        let expected = passes.then(|| format!("!<11><00><0c>{ENDS}"));
        assert_eq!(found, expected, "{bind} {front} {sent:x?}");
    }
}

/// A check says that it is nobody's connection, with those additions that are no client's.
#[test]
fn checks_tell_of_themselves() {
    for (server, expected) in [
        ("send-proxy-v2", " <00><00><00>"),
        ("send-proxy-v2 proxy-v2-options crc32c,unique-id,authority", " <00><00><07><03><00><04><a9><b8>~<8f>"),
        ("send-proxy-v2-ssl", " <00><00><08> <00><05><00><00><00><00><00>"),
    ] {
        let config = config("", "unique-id-format x", &format!("{server} check inter 100ms"));
        let rig = Rig::start("preface-check", &config, vec![Step::ReadToEnd]);
        let message = rig.origin.message();
        assert_eq!(shown(message.strip_prefix("\r\n\r\n\0\r\nQUIT\n").unwrap()), expected, "{server}");
    }
}

/// Or that it is a client's, where servers understand nothing else.
#[test]
fn checks_pretend_to_be_clients_where_asked_for() {
    let config = config("", "", "send-proxy-v2 check inter 100ms");
    let config = format!("global\n    pp2-never-send-local\n{config}");
    let rig = Rig::start("preface-never", &config, vec![Step::ReadToEnd]);
    let message = rig.origin.message();
    let found = shown(message.strip_prefix("\r\n\r\n\0\r\nQUIT\n").unwrap());
    assert!(found.starts_with("!<11><00><0c><7f><00><00><01><7f><00><00><01>"), "{found}");
}

/// Additions of one's own are a word of 3.x.
#[test]
fn additions_of_ones_own() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let server = "send-proxy-v2 set-proxy-v2-tlv-fmt(0xE1) a-%[src]-%[fc_pp_tlv(0xE2)] set-proxy-v2-tlv-fmt(226) b";
    let config = config("accept-proxy", "", server);
    let found = told("preface-own", &config, &header(&tlv(0xe2, b"x"))).unwrap();
    assert_eq!(found, format!("!<11><00><1e>{ENDS}<e1><00><0b>a-1.2.3.4-x<e2><00><01>b"));
}
