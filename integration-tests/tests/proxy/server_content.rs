//! Rules that look at what a server sends before a client gets it. `server_content.txt` was written by haproxy 2.6:
//! `SUBJECT=theirs BLESS=1 cargo test -p integration-tests --test proxy server_content`.

use super::rig::{Rig, Step, read_all};
use integration_tests::sockets;
use integration_tests::subject::Subject;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

const CONFIG: &str = "
global
    log {log} local0
defaults
    mode MODE
    log global
    log-format \"%ci [-] %b %s - %ST %B %ts <%[var(txn.a)]>\"
    timeout client 2s
    timeout server 1s
    timeout connect 1s
frontend f
    bind {front}
    default_backend b
backend b
RULES
    server s {server}
";

const DELAY: &str = "tcp-response inspect-delay 300ms";
const WAIT: &str = "http-response wait-for-body time 300ms";
const SHOWN: &str = "http-response set-header x-b \"<%[res.body]> %[res.body_len] %[res.body_size]\"";
const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const UNTIL_CLOSE: &str = "HTTP/1.1 200 OK\r\n\r\n";
/// The server says nothing for longer than any rule waits.
const LATE: &str = "(late)";
/// It goes on, and leaves the connection open after all of it.
const OPEN: &str = "(open)";

/// The mode, the rules, and what the server sends, piece by piece.
type Case = (&'static str, &'static [&'static str], &'static [&'static str]);

const CASES: &[Case] = &[
    ("tcp", &["tcp-response content set-var(txn.a) res.len"], &["abc", "def"]),
    ("tcp", &["tcp-response content reject"], &["abc"]),
    ("tcp", &["tcp-response content reject if { res.len ge 2 }"], &["abc"]),
    ("tcp", &[DELAY, "tcp-response content reject if { res.payload(0,6) -m str abcdef }"], &["abc", "def"]),
    ("tcp", &[DELAY, "tcp-response content reject if { res.payload(0,6) -m str abcdef }"], &["abc", LATE, "def"]),
    ("tcp", &[DELAY, "tcp-response content set-var(txn.a) res.payload(0,6) if { res.len ge 6 }"], &["abc", "def"]),
    ("tcp", &[DELAY, "tcp-response content set-var(txn.a) res.payload(0,6)"], &["abc", "def"]),
    (
        "tcp",
        &[DELAY, "tcp-response content set-var(txn.a) res.payload_lv(0,1) if { res.payload_lv(0,1) -m found }"],
        &["\x03ab", "cd"],
    ),
    ("tcp", &[DELAY, "tcp-response content set-var(txn.a) str(end) if WAIT_END"], &["abc", OPEN]),
    (
        "tcp",
        &[DELAY, "tcp-response content accept if { res.len ge 3 }", "tcp-response content reject"],
        &["abc", "def"],
    ),
    ("tcp", &[DELAY, "tcp-response content close if { res.len ge 3 }"], &["abc"]),
    ("tcp", &[DELAY, "tcp-response content reject if !{ res.ssl_hello_type 2 }"], &["SSH-2.0-abcdefgh\r\n"]),
    ("tcp", &[DELAY, "tcp-response content set-log-level err if { res.len ge 3 }"], &["abc"]),
    ("http", &["tcp-response content reject if { status 200 }"], &[HEAD, "abcdef"]),
    ("http", &["tcp-response content set-var(txn.a) status"], &[HEAD, "abcdef"]),
    ("http", &[DELAY, "tcp-response content reject if { status 200 }"], &[HEAD, LATE, "abcdef"]),
    ("http", &[DELAY, "tcp-response content set-var(txn.a) status if { status 200 }"], &[HEAD, "abcdef"]),
    ("http", &[DELAY, "tcp-response content reject if { res.hdr(content-length) 7 }"], &[HEAD, "abcdef"]),
    ("http", &[DELAY, "tcp-response content reject if { status 200 }"], &[LATE, HEAD, "abcdef"]),
    ("http", &["tcp-response content reject"], &[HEAD, "abcdef"]),
    ("http", &["tcp-response content close"], &[HEAD, "abcdef"]),
    ("http", &[WAIT, SHOWN], &[HEAD, "abc", "def"]),
    ("http", &[WAIT, SHOWN], &[HEAD, "abc", LATE, "def"]),
    ("http", &["http-response wait-for-body time 300ms at-least 3", SHOWN], &[HEAD, "abc", LATE, "def"]),
    ("http", &["http-response wait-for-body time 300ms if { status 201 }", SHOWN], &[HEAD, OPEN]),
    ("http", &[WAIT, SHOWN], &[HEAD, "abc"]),
    ("http", &[WAIT, SHOWN], &[CHUNKED, "3\r\nabc\r\n", "3\r\ndef\r\n0\r\n\r\n"]),
    ("http", &[WAIT, SHOWN], &[CHUNKED, "3\r\nabc\r\n", "3\r\nde", LATE]),
    ("http", &[WAIT, SHOWN], &[CHUNKED, "3\r\nabc\r\n", "zz", OPEN]),
    ("http", &[WAIT, SHOWN], &[CHUNKED, "3\r\nabc\r\n", "0\r\nbad trailer\r\n\r\n", OPEN]),
    ("http", &[WAIT, SHOWN], &[CHUNKED, "3\r\nabc\r\n", "0\r\nx: y\r\n", LATE]),
    ("http", &[WAIT, SHOWN], &[CHUNKED, "3\r\nabc\r\n", "0\r\nx: y\r\n\r\n"]),
    ("http", &[WAIT, SHOWN], &[CHUNKED, "3\r\nabc\r\n", "0\r\ncontent-length: 9\r\n\r\n", OPEN]),
    ("http", &[WAIT, SHOWN], &[UNTIL_CLOSE, "abc", "def"]),
    ("http", &[WAIT, SHOWN], &[UNTIL_CLOSE, "abc", LATE]),
    ("http", &[WAIT, SHOWN], &["HTTP/1.1 204 No Content\r\n\r\n"]),
    ("http", &[WAIT, "http-response deny if { res.body -m sub def }"], &[HEAD, "abc", "def"]),
    ("http", &[WAIT, "http-response set-header x-l %[res.body_len] if { res.body -m sub def }"], &[HEAD, "abc", "def"]),
    ("http", &["timeout server 200ms", "http-response wait-for-body time 3s", SHOWN], &[HEAD, "abc", LATE]),
];

/// What the server does. Its pieces come one by one, so that rules see them so.
fn script(http: bool, pieces: &[&str]) -> Vec<Step> {
    let mut steps = vec![if http { Step::ReadMessage } else { Step::ReadUntil("hi") }];
    for piece in pieces {
        match *piece {
            LATE => steps.push(Step::Pause(Duration::from_millis(600))),
            OPEN => steps.push(Step::ReadToEnd),
            piece => {
                steps.push(Step::Write(piece.bytes().collect()));
                steps.push(Step::Pause(Duration::from_millis(60)));
            }
        }
    }
    steps.push(Step::Close);
    steps
}

#[test]
fn what_servers_send_is_looked_at_as_by_haproxy() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxy/server_content.txt");
    let mut all = String::new();
    for (number, (mode, rules, pieces)) in CASES.iter().enumerate() {
        let rules = format!("    {}\n", rules.join("\n    "));
        let config = CONFIG.replace("MODE", mode).replace("RULES\n", &rules);
        let rig = Rig::start(&format!("server-content-{number}"), &config, script(*mode == "http", pieces));
        let mut client = rig.connect();
        let request: &[u8] =
            if *mode == "http" { b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n" } else { b"hi" };
        client.write_all(request).unwrap();
        let (answer, closed) = read_all(&mut client, Duration::from_secs(2));
        drop(client);
        let _ = writeln!(all, "{mode}: {} <- {pieces:?}", rules.trim());
        // Where chunks begin and end is nobody's promise.
        let answer = answer.replace("3\r\nabc\r\n3\r\ndef\r\n", "6\r\nabcdef\r\n");
        let _ = writeln!(all, "  client: {answer:?} {closed}");
        let _ = writeln!(all, "  log: {}", rig.log_line());
    }
    if std::env::var_os("BLESS").is_some() && Subject::from_env() == Subject::Theirs {
        std::fs::write(golden, all).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(golden).unwrap();
    let (mut got, mut wanted) = (all.lines(), expected.lines());
    let mut case = "";
    while let (Some(got), Some(wanted)) = (got.next(), wanted.next()) {
        if !got.starts_with("  ") {
            case = got;
        }
        assert_eq!(got, wanted, "{case}");
    }
    assert_eq!(all.lines().count(), expected.lines().count());
}

/// `silent-drop`: the client sees nothing at all, and the proxy has nothing left of it.
#[test]
fn a_dropped_client_is_not_told() {
    for (number, rule) in [
        "tcp-request connection silent-drop",
        "tcp-request content silent-drop",
        "http-request silent-drop",
        "http-response silent-drop",
    ]
    .iter()
    .enumerate()
    {
        let config = CONFIG
            .replace("MODE", "http")
            .replace("RULES\n", "")
            .replace("    bind {front}\n", &format!("    bind {{front}}\n    {rule}\n"));
        let rig = Rig::start(&format!("silent-{number}"), &config, script(true, &[HEAD, "abcdef"]));
        let mut client = rig.connect();
        // Bytes that come to a host after it has forgotten their connection are answered with a reset, which nobody can help.
        if number > 0 {
            client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
            let line = rig.log_line();
            assert!(line.contains(" PR <"), "{rule}: {line}");
        }
        client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let read = std::io::Read::read(&mut client, &mut [0; 9]);
        assert!(read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "{rule}");
        // The kernel of this host knows the connection only from the client's side.
        let ends = (rig.front.port(), client.local_addr().unwrap().port());
        let gone = || sockets::tcp().all(|socket| (socket.local, socket.remote) != ends).then_some(());
        integration_tests::wait::until("the connection is forgotten", super::rig::BOUND, gone).unwrap();
    }
}

const ENDS: &str = "
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 5s
frontend f
    bind {front} accept-proxy
    http-request set-priority-class int(-7)
    http-request set-priority-offset int(3000)
    http-request set-var(txn.tlv) fc_pp_authority
    http-request set-var(txn.id) fc_pp_unique_id
    default_backend b
backend b
    server s {server}
    http-response set-header x-f \"%[var(txn.tlv)] %[var(txn.id)] %[prio_class] %[prio_offset] %[fc_rcvd_proxy]\"
    http-response set-header x-b \"%[bc_dst] %[bc_dst_port] %[bc_src] %[bc_src_port,bool]\"
";

/// What the PROXY header adds and where the server is, told to the client; the values are haproxy 2.6's.
#[test]
fn ends_and_additions_of_a_connection_are_known() {
    let rig = Rig::start("ends", ENDS, script(true, &[HEAD, "abcdef"]));
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
    let tlvs = b"\x02\0\x03h.x\x05\0\x02id\x30\0\0";
    header.extend_from_slice(&u16::try_from(12 + tlvs.len()).unwrap().to_be_bytes());
    header.extend_from_slice(&[10, 1, 2, 3, 127, 0, 0, 1, 0, 9, 0, 80]);
    header.extend_from_slice(tlvs);
    header.extend_from_slice(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let mut client = rig.connect();
    client.write_all(&header).unwrap();
    let (answer, _) = read_all(&mut client, Duration::from_secs(1));
    assert!(answer.contains("\r\nx-f: h.x id -7 3000 1\r\n"), "{answer}");
    let port = rig.origin.address.port();
    assert!(answer.contains(&format!("\r\nx-b: 127.0.0.1 {port} 127.0.0.1 1\r\n")), "{answer}");
}
