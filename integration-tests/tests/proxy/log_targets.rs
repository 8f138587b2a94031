//! Log lines as their receivers get them: every format to every kind of target, lengths, levels and names. The expectations are
//! haproxy's own lines, with `{D}` and `{I}` for dates and `{P}` for the process.

use std::net::UdpSocket;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use integration_tests::wait;

use crate::rig::{BOUND, Rig, Step};
use crate::rings::request;

/// The formats, and a line of facility 16 and level 6 in each.
const FORMATS: [(&str, &str); 9] = [
    ("", "<134>{D} tag[{P}]: /a"),
    ("rfc3164", "<134>{D} localhost tag[{P}]: /a"),
    ("rfc5424", "<134>1 {I} - tag {P} - - /a"),
    ("short", "<6>/a"),
    ("priority", "<134>/a"),
    ("timed", "<6>{I} /a"),
    ("iso", "{I} /a"),
    ("local", "<134>{D} tag[{P}]: /a"),
    ("raw", "/a"),
];

/// A server that has nothing to say but that all is well.
fn server() -> Vec<Step> {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    vec![Step::ReadMessage, Step::Write(answer.into()), Step::Close]
}

/// Whether a line is as expected.
pub(crate) fn is(line: &str, expected: &str) -> bool {
    let mut line = line;
    let mut parts = expected.split(['{', '}']);
    if !parts.next().is_some_and(|first| take(&mut line, first)) {
        return false;
    }
    while let (Some(kind), Some(text)) = (parts.next(), parts.next()) {
        let length = match kind {
            "D" => "Nov 29 06:01:24".len(),
            "I" => "2026-11-29T06:01:42.944391+00:00".len(),
            "Y" => 4,
            _ => line.bytes().take_while(u8::is_ascii_digit).count(),
        };
        let Some(rest) = line.get(length..) else { return false };
        line = rest;
        if length == 0 || !take(&mut line, text) {
            return false;
        }
    }
    line.is_empty()
}

fn take(line: &mut &str, text: &str) -> bool {
    let rest = line.strip_prefix(text);
    *line = rest.unwrap_or(line);
    rest.is_some()
}

/// The next line that a socket gets.
fn received(socket: &UnixDatagram) -> String {
    let mut block = vec![0; 70_000];
    let count = socket.recv(&mut block).expect("a line of the log");
    String::from_utf8_lossy(&block[..count]).into_owned()
}

/// The same of UDP.
pub(crate) fn received_udp(socket: &UdpSocket) -> String {
    let mut block = vec![0; 70_000];
    let count = socket.recv(&mut block).expect("a line of the log");
    String::from_utf8_lossy(&block[..count]).into_owned()
}

fn unix(path: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).unwrap();
    socket.set_read_timeout(Some(BOUND)).unwrap();
    socket
}

pub(crate) fn udp(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(BOUND)).unwrap();
    socket
}

fn config(global: &str, logs: &str) -> String {
    format!(
        "global\n  stats socket {{runtime}} level admin\n{global}\nring r\n  size 20000\ndefaults\n  mode http\n  \
         timeout client 10s\n  timeout server 10s\n  timeout connect 1s\nfrontend f\n  bind {{front}}\n{logs}\n  \
         log-tag tag\n  log-format \"%[var(txn.path)]\"\n  http-request set-var(txn.path) path\n  http-request set-log-level err if {{ path /err }}\n  \
         http-request set-log-level emerg if {{ path /emerg }}\n  \
         http-request set-log-level debug if {{ path /debug }}\n  default_backend b\nbackend b\n  server s {{server}}\n"
    )
}

/// `log` lines for each target in each format.
fn all_formats(targets: &[String]) -> String {
    let format = |format: &str| if format.is_empty() { String::new() } else { format!(" format {format}") };
    let lines = |target: &String| FORMATS.map(|(name, _)| format!("  log {target}{} local0\n", format(name))).concat();
    targets.iter().map(lines).collect()
}

/// On their own: haproxy's socket is of the family of whatever it logs to first.
#[test]
fn every_format_to_ipv6() {
    let socket = udp("[::1]:0");
    let to = [format!("udp6@{}", socket.local_addr().unwrap())];
    let rig = Rig::start("log-ipv6", &config("", &all_formats(&to)), server());
    request(&rig, std::iter::once("a".to_owned()));
    for (name, expected) in FORMATS {
        let line = received_udp(&socket);
        assert!(is(&line, &format!("{expected}\n")), "format {name}: {line:?} is not {expected:?}");
    }
}

#[test]
fn every_format_to_every_target() {
    let folder = std::env::temp_dir().join(format!("log-targets-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("log");
    let (v4, local) = (udp("127.0.0.1:0"), unix(&path));
    // haproxy's names in the abstract name space fill the address.
    let name = format!("{:\0<107}", format!("proxy-log-{}", std::process::id()));
    let hidden = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    hidden.set_read_timeout(Some(BOUND)).unwrap();
    let targets = [
        v4.local_addr().unwrap().to_string(),
        path.display().to_string(),
        format!("abns@{}", name.trim_end_matches('\0')),
        "stdout".to_owned(),
        "fd@2".to_owned(),
    ];
    let rig = Rig::start("log-targets", &config("", &all_formats(&targets)), server());
    request(&rig, std::iter::once("a".to_owned()));
    for (name, expected) in FORMATS {
        let expected = format!("{expected}\n");
        for (target, line) in [("udp", received_udp(&v4)), ("unix", received(&local)), ("abns", received(&hidden))] {
            assert!(is(&line, &expected), "{target}, format {name}: {line:?} is not {expected:?}");
        }
    }
    for errors in [false, true] {
        let lines = || {
            let output = rig.output(errors);
            let lines: Vec<_> = output.lines().map(str::to_owned).collect();
            // haproxy says at the start who it is.
            let start = lines.len().checked_sub(FORMATS.len())?;
            (lines.last().map(String::as_str) == Some("/a")).then(|| lines[start..].to_vec())
        };
        for (line, (name, expected)) in wait::until("the lines", BOUND, lines).unwrap().iter().zip(FORMATS) {
            assert!(is(line, expected), "descriptor, format {name}: {line:?} is not {expected:?}");
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// What `len` cuts: datagrams, descriptors and rings each in their own way.
#[test]
fn lines_are_cut_where_haproxy_cuts_them() {
    let socket = udp("127.0.0.1:0");
    let to = socket.local_addr().unwrap();
    let logs = format!(
        "  log {to} len 80 local0\n  log {to} len 80 format raw local0\n  log {to} len 200 format rfc5424 local0\n  \
         log {to} len 65535 format raw local0\n  log {to} format raw local0\n  log stdout len 80 format raw local0\n  \
         log stdout len 80 format rfc5424 local0\n  log ring@r len 80 local0\n"
    );
    let rig = Rig::start("log-lengths", &config("", &logs), server());
    let path = "x".repeat(3_000);
    request(&rig, std::iter::once(path.clone()));
    let mut lengths = Vec::new();
    for _ in 0..5 {
        lengths.push(received_udp(&socket).len());
    }
    assert_eq!(lengths, [81, 81, 201, 3_002, 1_025]);
    let both = || {
        let lines: Vec<_> = rig.output(false).lines().map(str::len).collect();
        (lines.len() == 2).then_some(lines)
    };
    assert_eq!(wait::until("both lines", BOUND, both).unwrap(), [79, 79]);
    let ring = || Some(rig.command("show events r").trim_end().len()).filter(|length| *length > 0);
    assert_eq!(wait::until("the ring's line", BOUND, ring).unwrap(), 80);
}

#[test]
fn levels_are_filtered_and_capped() {
    let socket = udp("127.0.0.1:0");
    let to = socket.local_addr().unwrap();
    let logs = format!(
        "  log {to} format priority local0 err\n  log {to} format priority kern debug notice\n  \
         log {to} format short local7 info crit\n"
    );
    let rig = Rig::start("log-levels", &config("", &logs), server());
    for (path, expected) in [
        ("info", vec!["<6>/info", "<6>/info"]),
        ("err", vec!["<131>/err", "<5>/err", "<3>/err"]),
        ("emerg", vec!["<128>/emerg", "<5>/emerg", "<2>/emerg"]),
        ("debug", vec!["<7>/debug"]),
    ] {
        request(&rig, std::iter::once(path.to_owned()));
        for line in expected {
            assert_eq!(received_udp(&socket), format!("{line}\n"));
        }
    }
}

#[test]
fn host_names_are_sent_where_they_are_asked_for() {
    let socket = udp("127.0.0.1:0");
    let to = socket.local_addr().unwrap();
    let formats = ["", " format rfc3164", " format rfc5424", " format local"];
    let logs = formats.map(|format| format!("  log {to}{format} local0\n")).concat();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    for (global, host) in [("  log-send-hostname\n", host.trim()), ("  log-send-hostname some.name\n", "some.name")] {
        let rig = Rig::start("log-hosts", &config(global, &logs), server());
        request(&rig, std::iter::once("a".to_owned()));
        for expected in [
            format!("<134>{{D}} {host} tag[{{P}}]: /a\n"),
            format!("<134>{{D}} {host} tag[{{P}}]: /a\n"),
            format!("<134>1 {{I}} {host} tag {{P}} - - /a\n"),
            "<134>{D} tag[{P}]: /a\n".to_owned(),
        ] {
            let line = received_udp(&socket);
            assert!(is(&line, &expected), "{line:?} is not {expected:?}");
        }
    }
}

/// As `/dev/log` when the system's logger begins anew: the name leads to another socket.
#[test]
fn a_socket_that_is_made_anew_is_found() {
    let folder = std::env::temp_dir().join(format!("log-anew-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("log");
    let logs = format!("  log {} format raw local0\n", path.display());
    let first = unix(&path);
    let rig = Rig::start("log-anew", &config("", &logs), server());
    request(&rig, std::iter::once("first".to_owned()));
    assert_eq!(received(&first), "/first\n");
    drop(first);
    request(&rig, std::iter::once("lost".to_owned()));
    std::fs::remove_file(&path).unwrap();
    request(&rig, std::iter::once("lost".to_owned()));
    let second = unix(&path);
    request(&rig, std::iter::once("second".to_owned()));
    // A line may leave after the answer.
    let line = Some(received(&second)).filter(|line| line != "/lost\n").unwrap_or_else(|| received(&second));
    assert_eq!(line, "/second\n");
    std::fs::remove_dir_all(folder).unwrap();
}
