//! `log-forward`: messages of other hosts, relayed as haproxy relays them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use integration_tests::subject::Subject;
use integration_tests::wait;
use socket2::{Domain, Socket, Type};

use crate::log_targets::{is, received_udp, udp};
use crate::rig::{BOUND, Rig, free_address};

/// A proxy that relays from `to` to these lines; it has a frontend, too, which the rig waits for.
struct Relay {
    rig: Rig,
    to: std::net::SocketAddr,
    collectors: Vec<UdpSocket>,
}

/// With one collector for each of these ends of `log` lines.
fn relay(name: &str, statements: &str, logs: &[&str]) -> Relay {
    let to = free_address();
    let collectors: Vec<_> = logs.iter().map(|_| udp("127.0.0.1:0")).collect();
    let lines = collectors
        .iter()
        .zip(logs)
        .map(|(collector, log)| format!("  log {} {log}\n", collector.local_addr().unwrap()));
    let lines: Vec<_> = lines.collect();
    let config = format!(
        "global\n  stats socket {{runtime}} level admin\n  log-send-hostname other\nring r\n  format timed\n  size 20000\n\
         log-forward relay\n  bind {to}\n  dgram-bind {to}\n  timeout client 10s\n{statements}\n{}  log ring@r local3\n\
         frontend f\n  mode http\n  bind {{front}}\n  timeout client 1s\n  \
         stick-table type ip size 10 store sess_cnt\n",
        lines.concat()
    );
    let rig = Rig::start(name, &config, Vec::new());
    let listens = || TcpStream::connect(to).ok();
    drop(wait::until("the section listens", BOUND, listens).unwrap());
    Relay { rig, to, collectors }
}

/// Messages, and what arrives without a format, as `rfc5424` and as `rfc3164`.
const RELAYED: &[[&str; 4]] = &[
    [
        "<13>Nov 28 13:36:04 myhost tag[123]: hello",
        "<13>Nov 28 13:36:04 myhost tag[123]: hello",
        "<13>1 {Y}-11-28T13:36:04-00:00 myhost tag 123 - - hello",
        "<13>Nov 28 13:36:04 myhost tag[123]: hello",
    ],
    [
        "<34>1 2003-10-01T22:14:15.003Z mymachine su - ID47 - 'su root' failed",
        "<34>1 2003-10-01T22:14:15.003Z mymachine su - ID47 - 'su root' failed",
        "<34>1 2003-10-01T22:14:15.003Z mymachine su - ID47 - 'su root' failed",
        "<34>Oct  1 22:14:15 mymachine su: 'su root' failed",
    ],
    [
        r#"<13>1 2003-10-11T22:14:15.003Z h a p m [a@1 b="c\]\"\\" d="e"][f g="h"] sd msg"#,
        r#"<13>1 2003-10-11T22:14:15.003Z h a p m [a@1 b="c\]\"\\" d="e"][f g="h"] sd msg"#,
        r#"<13>1 2003-10-11T22:14:15.003Z h a p m [a@1 b="c\]\"\\" d="e"][f g="h"] sd msg"#,
        "<13>Oct 11 22:14:15 h a[p]: sd msg",
    ],
    ["<165>1 - - - - - - msg", "<165>msg", "<165>1 - - - - - - msg", "<165>{D} localhost msg"],
    ["<13>1 - - app - - - app", "<13>{D} app: app", "<13>1 - - app - - - app", "<13>{D} localhost app: app"],
    ["<6>short msg\n", "<6>short msg", "<6>1 {I} - - - - - short msg", "<6>{D} localhost short msg"],
    ["plain text", "plain text", "<152>1 {I} - - - - - plain text", "<152>{D} localhost plain text"],
    [
        "<13>Nov 28 13:36:04 myhost tag hello there",
        "<13>Nov 28 13:36:04 myhost tag hello there",
        "<13>1 {Y}-11-28T13:36:04-00:00 myhost - - - - tag hello there",
        "<13>Nov 28 13:36:04 myhost tag hello there",
    ],
];

#[test]
fn messages_in_datagrams_are_relayed() {
    let relay = relay("forward-udp", "", &["local3", "format rfc5424 local3", "format rfc3164 local3"]);
    let sender = udp("127.0.0.1:0");
    for [message, expected @ ..] in RELAYED {
        sender.send_to(message.as_bytes(), relay.to).unwrap();
        for (collector, expected) in relay.collectors.iter().zip(expected) {
            let line = received_udp(collector);
            assert!(is(&line, &format!("{expected}\n")), "{message}: {line:?} is not {expected:?}");
        }
    }
    // The ring has its own format.
    let lines = relay.rig.command("show events r");
    let lines: Vec<_> = lines.lines().collect();
    assert!(is(lines[0], "<5>{Y}-11-28T13:36:04-00:00 hello"), "{lines:?}");
    assert_eq!(lines[1], "<2>2003-10-01T22:14:15.003Z 'su root' failed");
    assert!(is(lines[6], "<0>{I} plain text"), "{lines:?}");
}

#[test]
fn levels_and_lengths_hold_for_what_is_relayed() {
    let relay = relay("forward-levels", "", &["len 80 local3 err notice", "len 80 format raw local3"]);
    let sender = udp("127.0.0.1:0");
    let long = format!("<10>Nov 28 13:36:04 myhost tag[1]: {}", "y".repeat(200));
    for message in ["<13>Nov 28 13:36:04 myhost tag[1]: notice", "<11>Nov 28 13:36:04 myhost tag[1]: err", &long] {
        sender.send_to(message.as_bytes(), relay.to).unwrap();
    }
    assert_eq!(received_udp(&relay.collectors[0]), "<13>Nov 28 13:36:04 myhost tag[1]: err\n");
    let cut = format!("<13>{}", &long[4..80]);
    assert_eq!(received_udp(&relay.collectors[0]), format!("{cut}\n"));
    assert_eq!(received_udp(&relay.collectors[1]), "notice\n");
    assert_eq!(received_udp(&relay.collectors[1]), "err\n");
    assert_eq!(received_udp(&relay.collectors[1]), format!("{}\n", "y".repeat(80)));
}

#[test]
fn messages_over_connections_come_in_both_framings() {
    let relay = relay("forward-tcp", "", &["format raw local3"]);
    let next = || received_udp(&relay.collectors[0]);
    let mut sender = TcpStream::connect(relay.to).unwrap();
    for (pieces, expected) in [
        (&["<13>one\n<14>two\n"][..], &["one\n", "two\n"][..]),
        (&["7 <13>one7 <14>two"], &["one\n", "two\n"]),
        (&["7 <13>o", "ne<13>th", "ree\n"], &["one\n", "three\n"]),
        (&["8 <13>a\nbc"], &["a\nbc\n"]),
    ] {
        for piece in pieces {
            sender.write_all(piece.as_bytes()).unwrap();
            crate::rig::wait_until_read(&sender);
        }
        for expected in expected {
            assert_eq!(next(), *expected, "{pieces:?}");
        }
    }
    // A message without its end is none.
    sender.write_all(b"<13>unfinished").unwrap();
    sender.shutdown(Shutdown::Both).unwrap();
    TcpStream::connect(relay.to).unwrap().write_all(b"<13>last\n").unwrap();
    assert_eq!(next(), "last\n");
}

/// Where haproxy keeps a connection that talks nonsense, and its place, until it is silent for long enough, ours is closed.
#[test]
fn a_connection_that_sends_no_messages_is_closed() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let relay = relay("forward-nonsense", "  maxconn 2", &["format raw local3"]);
    for nonsense in ["GET / HTTP/1.1\r\n\r\n", "0 <13>x", "99999999 <13>x", "12x <13>x"] {
        let mut sender = TcpStream::connect(relay.to).unwrap();
        sender.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        sender.write_all(format!("<13>before\n{nonsense}").as_bytes()).unwrap();
        // A reset where not all was read.
        assert!(!matches!(sender.read(&mut [0; 1]), Ok(1..)));
        assert_eq!(received_udp(&relay.collectors[0]), "before\n");
    }
}

/// haproxy 3.x: `option dont-parse-log` and `option assume-rfc6587-ntf`.
#[test]
fn messages_may_be_left_as_they_are() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let options = "  option dont-parse-log\n  option assume-rfc6587-ntf";
    let relay = relay("forward-options", options, &["local3", "format rfc5424 local3"]);
    let mut sender = TcpStream::connect(relay.to).unwrap();
    sender.write_all(b"7 <13>one\n<13>Nov 28 13:36:04 h t: x\n").unwrap();
    for expected in ["7 <13>one", "<13>Nov 28 13:36:04 h t: x"] {
        assert_eq!(received_udp(&relay.collectors[0]), format!("{expected}\n"));
        let line = received_udp(&relay.collectors[1]);
        assert!(is(&line, &format!("<152>1 {{I}} - - - - - {expected}\n")), "{line}");
    }
}

/// haproxy 3.x: rules say whose connections are taken. The clients' addresses, and whether their messages are relayed.
#[test]
fn rules_say_who_may_send() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let rules = "  acl known src 127.0.0.1 127.0.0.2\n  \
                 tcp-request connection set-var(sess.from) src\n  \
                 tcp-request connection reject if { src 127.0.0.3 }\n  \
                 tcp-request session accept if known { dst_port gt 0 }\n  \
                 tcp-request session track-sc0 src table f\n  \
                 tcp-request session reject if { sc0_sess_cnt gt 0 } || { var(sess.from) -m ip 127.0.0.5 }";
    let relay = relay("forward-rules", rules, &["format raw local3"]);
    for (number, taken) in [(1, true), (2, true), (3, false), (4, true), (4, false), (5, false), (1, true)] {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, number], 0)).into()).unwrap();
        socket.connect(&relay.to.into()).unwrap();
        let mut sender = TcpStream::from(socket);
        sender.set_read_timeout(Some(BOUND)).unwrap();
        if taken {
            sender.write_all(format!("<13>{number}\n").as_bytes()).unwrap();
            assert_eq!(received_udp(&relay.collectors[0]), format!("{number}\n"));
        } else {
            assert!(!matches!(sender.read(&mut [0; 1]), Ok(1..)), "{number}");
        }
    }
}

/// Only ours reloads in the process: connections and sockets stay, and what comes goes where the new lines say.
#[test]
fn a_section_lives_on_over_a_reload() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let relay = relay("forward-reload", "", &["format raw local3"]);
    let mut sender = TcpStream::connect(relay.to).unwrap();
    sender.write_all(b"<13>before\n").unwrap();
    assert_eq!(received_udp(&relay.collectors[0]), "before\n");
    let sent = |rig: &Rig| {
        let mut sender = &sender;
        sender.write_all(b"<13>after\n").unwrap();
        let line = received_udp(&relay.collectors[0]);
        assert!(["after\n", "<5>after\n"].contains(&&*line), "{line}");
        let _ = rig;
        line == "<5>after\n"
    };
    relay.rig.reload(|text| text.replace("format raw local3", "format short local3"), sent);
}

/// `option host`, and what becomes of a message with a host and of one without, as `rfc3164` and as `rfc5424`. The source is
/// configuration.txt of 3.4, 12.6.
const HOSTS: &[(&str, [&str; 4])] = &[
    ("keep", ["h", "localhost", "h", "-"]),
    ("fill", ["h", "127.0.0.1", "h", "127.0.0.1"]),
    ("replace", ["127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1"]),
    ("append", ["h,127.0.0.1", "127.0.0.1", "h,127.0.0.1", "127.0.0.1"]),
];

#[test]
fn messages_are_of_the_host_that_is_wanted() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    for (strategy, [named, unnamed, named_too, unnamed_too]) in HOSTS {
        let logs = ["format rfc3164 local0", "format rfc5424 local0", "local0"];
        let relay = relay("forward-host", &format!("  option host {strategy}"), &logs);
        let mut stream = TcpStream::connect(relay.to).unwrap();
        stream.write_all(b"<13>Nov 28 13:36:04 h tag: one\n").unwrap();
        let unnamed_message = b"<34>1 2003-10-01T22:14:15.003Z - su - - - two";
        for (collector, expected) in relay.collectors.iter().zip([
            format!("<13>Nov 28 13:36:04 {named} tag: one\n"),
            format!("<13>1 {{Y}}-11-28T13:36:04-00:00 {named_too} tag - - - one\n"),
            format!("<13>Nov 28 13:36:04 {named} tag: one\n"),
        ]) {
            let line = received_udp(collector);
            assert!(is(&line, &expected), "{strategy}: {line:?} is not {expected:?}");
        }
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(unnamed_message, relay.to).unwrap();
        for (collector, expected) in relay.collectors.iter().zip([
            format!("<34>Oct  1 22:14:15 {unnamed} su: two\n"),
            format!("<34>1 2003-10-01T22:14:15.003Z {unnamed_too} su - - - two\n"),
        ]) {
            assert_eq!(received_udp(collector), expected, "{strategy}");
        }
    }
}
