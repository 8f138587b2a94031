//! One of ours and one of theirs on one switch, in both roles.

use crate::node::{Node, SLACK, conf, pair};
use integration_tests::lab::Lab;
use integration_tests::subject::Subject;
use integration_tests::wait;
use nix::sys::signal::Signal;
use std::path::Path;
use std::time::Duration;

const DOWN: Duration = Duration::from_millis(361);
const TCPDUMP: &str = "/usr/bin/tcpdump";

/// A lab, if keepalived and tcpdump are installed too.
fn lab() -> Option<Lab> {
    let missing = if Subject::Theirs.vrrp().is_err() {
        "keepalived"
    } else if Path::new(TCPDUMP).is_file() {
        return Lab::or_skip();
    } else {
        "tcpdump"
    };
    assert!(std::env::var_os("CI").is_none(), "{missing} is not installed, and in CI a skip is an error");
    std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("SKIPPED: {missing} is not installed\n")).unwrap();
    None
}

#[test]
fn each_takes_over_from_the_other() {
    for subjects in [(Subject::Ours, Subject::Theirs), (Subject::Theirs, Subject::Ours)] {
        let Some(lab) = lab() else { return };
        let (mut first, second) = pair(&lab, subjects, "");
        wait::pause(DOWN * 2);
        assert!(!second.has_vip(), "{subjects:?}: the backup hears the master:\n{}", second.log());
        first.daemon().signal(Signal::SIGTERM).unwrap();
        second.wait_for_vip("the backup takes over", DOWN);
        first.daemon().wait(SLACK).unwrap();
        first.run();
        first.wait_for_vip("the better one takes back", DOWN);
        second.wait_for_no_vip("the other one yields", DOWN);
    }
}

/// Version 3 over IPv6, with the address that the tests look for among the excluded ones.
fn inet6(priority: u8) -> String {
    let more = "  virtual_ipaddress_excluded {\n    192.0.2.50/24\n  }\n";
    conf(priority, "")
        .replace("192.0.2.50/24", "fe80::50/64\n    2001:db8::50/64")
        .replace("  state", &format!("{more}  state"))
}

#[test]
fn each_takes_over_from_the_other_over_ipv6() {
    for subjects in [(Subject::Ours, Subject::Theirs), (Subject::Theirs, Subject::Ours)] {
        let Some(lab) = lab() else { return };
        let [mut first, mut second] =
            [(subjects.0, 11, 150), (subjects.1, 12, 100)].map(|(subject, last, priority)| {
                let node = Node::new(&lab, subject, last);
                let own = || node.host.sh("ip -6 -o address show dev eth0 scope link -tentative").unwrap();
                wait::until("the link-local address is ready", SLACK, || (!own().is_empty()).then_some(())).unwrap();
                node.configure(&inet6(priority));
                node
            });
        first.run();
        first.wait_for_vip("the better one becomes master", DOWN);
        second.run();
        second.wait_for_line("(VI_1) Entering BACKUP STATE", 1);
        wait::pause(DOWN * 2);
        assert!(!second.has_vip(), "{subjects:?}: the backup hears the master:\n{}", second.log());
        first.daemon().signal(Signal::SIGTERM).unwrap();
        second.wait_for_vip("the backup takes over", DOWN);
        first.daemon().wait(SLACK).unwrap();
        first.run();
        first.wait_for_vip("the better one takes back", DOWN);
        second.wait_for_no_vip("the other one yields", DOWN);
    }
}

/// The first packets of a master, from the IP header on: adverts and, after SIGTERM, priority 0.
fn recorded(subject: Subject, conf: &str, filter: &str) -> Vec<String> {
    let lab = Lab::new().unwrap();
    let listener = lab.host("listener", "eth0", "192.0.2.12/24").unwrap();
    let capture = listener.spawn("tcpdump", Path::new(TCPDUMP), &["-lnxti", "eth0", filter]).unwrap();
    wait::until("tcpdump listens", SLACK, || capture.log().contains("listening on").then_some(())).unwrap();
    let mut node = Node::start(&lab, subject, 11, conf);
    node.wait_for_vip("the only one becomes master", Duration::from_secs(4));
    let adverts = |log: &str| log.matches("VRRP").count();
    wait::until("two adverts", SLACK, || (adverts(&capture.log()) >= 2).then_some(())).unwrap();
    node.daemon().signal(Signal::SIGTERM).unwrap();
    wait::until("priority 0", SLACK, || capture.log().contains("prio 0").then_some(())).unwrap();
    node.daemon().wait(SLACK).unwrap();
    let log = capture.log();
    let mut packets: Vec<String> = Vec::new();
    for line in log.lines() {
        if let Some((_, octets)) = line.split_once("0x").and_then(|(_, rest)| rest.split_once(':')) {
            if let Some(packet) = packets.last_mut() {
                packet.push_str(octets);
            }
        } else if line.starts_with("IP ") {
            packets.push(String::new());
        }
    }
    packets.iter().map(|packet| packet.split_whitespace().collect()).collect()
}

/// Without the identification and the header checksum that covers it, which count from the start.
fn without_id(packet: &str) -> String {
    format!("{}....{}....{}", &packet[..8], &packet[12..20], &packet[24..])
}

#[test]
fn adverts_are_the_same_octet_for_octet() {
    let version2 = conf(150, "").replace("  version 3\n", "").replace("advert_int 0.1", "advert_int 1");
    let password = "  authentication {\n    auth_type PASS\n    auth_pass s3cr3t!\n  }\n";
    let password = version2.replace("  virtual_ipaddress", &format!("{password}  virtual_ipaddress"));
    let unicast = conf(150, "  unicast_peer {\n    192.0.2.12\n  }\n");
    for conf in [conf(150, ""), version2, password, unicast] {
        if lab().is_none() {
            return;
        }
        let [ours, theirs] = [Subject::Ours, Subject::Theirs].map(|subject| recorded(subject, &conf, "proto 112"));
        assert_eq!(ours[..2], theirs[..2], "the first two adverts, identification included, of\n{conf}");
        let last = |packets: &[String]| packets.last().map(|packet| without_id(packet));
        assert_eq!(last(&ours), last(&theirs), "the advert of priority 0 of\n{conf}");
    }
}
