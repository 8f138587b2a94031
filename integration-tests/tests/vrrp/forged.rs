//! Scenario 14: packets that no honest router sends, one for each row of the receive checks, and many of them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::conf::{Conf, conf};
use crate::craft::{Craft, GROUP6, craft};
use crate::scenario::Step::{Calm, Holder, Inject, Logs, Start};
use crate::scenario::Who::{A, B};
use crate::scenario::{Step, VIP, play_all, scenario};
use integration_tests::lab::Lab;
use integration_tests::process::children;
use integration_tests::speaker::{Node, Speaker};
use integration_tests::wait;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Priority 200, interval 100 ms, the right address.
const V3: Craft = craft(&[0x31, 51, 200, 1, 0, 10, 0, 0, 192, 0, 2, 50]);
/// Priority 200, interval 1 s, the right address, no password.
const V2: Craft = craft(&[0x21, 51, 200, 1, 0, 1, 0, 0, 192, 0, 2, 50, 0, 0, 0, 0, 0, 0, 0, 0]);

/// The shared address of IPv6.
const VIP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x50));

/// A is master, and stays it whatever it receives.
fn ignores(name: &'static str, conf: Conf, packet: Craft, log: &'static str) -> crate::scenario::Scenario {
    let steps = [Start(A), Holder(A), Inject(packet), Logs(A, log), Calm(200), Holder(A)];
    scenario(name, conf, crate::conf::conf(1), &[&steps])
}

#[test]
fn s14_version_3() {
    play_all(&[
        ignores("checksum", conf(150), V3.bad_checksum(), "Invalid VRRPv3 checksum"),
        ignores("TTL", conf(150), V3.ttl(254), "invalid TTL/HL. Received 254 and expect 255"),
        ignores("version", conf(150), V2, "wrong version. Received 2 and expect 3"),
        ignores(
            "type",
            conf(150),
            craft(&[0x32, 51, 200, 1, 0, 10, 0, 0, 192, 0, 2, 50]),
            "Invalid packet type. 2 and expect 1",
        ),
        ignores(
            "too long",
            conf(150),
            craft(&[0x31, 51, 200, 1, 0, 10, 0, 0, 192, 0, 2, 50, 1, 2, 3, 4]),
            "vrrp packet too long",
        ),
        ignores("too short", conf(150), craft(&[0x31, 51, 200, 2, 0, 10, 0, 0, 192, 0, 2, 50]), "VI_1"),
        ignores(
            "unknown router",
            conf(150).global("log_unknown_vrids"),
            craft(&[0x31, 99, 200, 1, 0, 10, 0, 0, 192, 0, 2, 50]),
            "Unknown VRID(99) received on interface(eth0). ignoring...",
        ),
    ]);
}

#[test]
fn s14_tiny() {
    play_all(&[ignores("three octets", conf(150), craft(&[0x31, 51, 200]), "IPv4 VRRP packet too short")]);
}

#[test]
fn s14_version_2() {
    const TYPE9: Craft = craft(&[0x21, 51, 200, 1, 9, 1, 0, 0, 192, 0, 2, 50, 0, 0, 0, 0, 0, 0, 0, 0]);
    const PASSWORD: Craft = craft(&[0x21, 51, 200, 1, 1, 1, 0, 0, 192, 0, 2, 50, 0x31, 0, 0, 0, 0, 0, 0, 0]);
    const TWO_SECONDS: Craft = craft(&[0x21, 51, 200, 1, 0, 2, 0, 0, 192, 0, 2, 50, 0, 0, 0, 0, 0, 0, 0, 0]);
    let pass = || conf(150).version2().set("authentication {\n    auth_type PASS\n    auth_pass 2222\n  }");
    play_all(&[
        ignores("checksum", conf(150).version2(), V2.bad_checksum(), "Invalid VRRPv2 checksum"),
        ignores("unknown authentication", conf(150).version2(), TYPE9, "Invalid auth type: 9"),
        ignores("unexpected password", conf(150).version2(), PASSWORD, "received a 1 auth, expecting 0!"),
        ignores("wrong password", pass(), PASSWORD, "received an invalid passwd!"),
        ignores(
            "interval",
            conf(150).version2(),
            TWO_SECONDS,
            "advertisement interval mismatch mine=1 sec rcv'd=2 sec",
        ),
    ]);
}

#[test]
fn s14_accepted() {
    let heard: &[Step] = &[
        Start(A),
        Holder(A),
        Inject(V3),
        Logs(A, "higher priority 200, ours 150"),
        Logs(A, "Entering BACKUP STATE"),
        Holder(A),
    ];
    let zero: &[Step] = &[
        Start(A),
        Holder(A),
        Inject(craft(&[0x31, 51, 0, 1, 0, 10, 0, 0, 192, 0, 2, 50])),
        Logs(A, "priority 0"),
        Calm(200),
        Holder(A),
    ];
    play_all(&[
        scenario("a sound one with a higher priority", conf(150), conf(1), &[heard]),
        scenario("priority 0 for a master", conf(150), conf(1), &[zero]),
    ]);
}

/// Both adopt a longer interval; zero is an attack.
#[test]
fn s14_interval_0() {
    const ZERO: Craft = craft(&[0x31, 51, 200, 1, 0, 0, 0, 0, 192, 0, 2, 50]);
    let steps: &[Step] = &[Start(B), Holder(B), Start(A), Calm(250), Inject(ZERO), Calm(600), Holder(B)];
    play_all(&[scenario("interval 0", conf(50), conf(100), &[steps])
        .on_purpose(A, "keepalived adopts an interval of nothing and becomes master at once")]);
}

/// What a flood of one kind costs a speaker that is master.
struct Cost {
    processor: Duration,
    lines: usize,
}

/// Processor time of the VRRP process, in the steps of the kernel's clock.
fn processor(node: &mut Node) -> Duration {
    let daemon = node.daemon().unwrap().pid();
    let worker = children(daemon)[0];
    let stat = std::fs::read_to_string(format!("/proc/{worker}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // USER_HZ, the same on every Linux.
    Duration::from_millis(ticks * 10)
}

fn flooded(speaker: Speaker, conf: &Conf, packet: Craft) -> Cost {
    let lab = Lab::new().unwrap();
    let mut node = Node::new(&lab, "a", speaker, 11).unwrap();
    let stranger = lab.host("stranger", "eth0", "192.0.2.99/24").unwrap();
    let conf = conf.clone().set("advert_int 1").global("log_unknown_vrids").global("vrrp_check_unicast_src");
    node.configure(&conf.to_string()).unwrap();
    node.start().unwrap();
    node.logs("(VI_1) Entering MASTER STATE").unwrap();
    let (before, lines) = (processor(&mut node), node.log().lines().count());
    packet.flood(&stranger, FLOOD).unwrap();
    // Behind the flood, and answered when that is over.
    let has = |node: &Node| node.has(VIP) || node.has(VIP6);
    wait::pause(Duration::from_millis(500));
    assert!(has(&node), "{speaker} is master all the time");
    let changes = node.log().matches("Entering").count();
    assert_eq!(changes, 2, "{}", node.log());
    Cost { processor: processor(&mut node).saturating_sub(before), lines: node.log().lines().count() - lines }
}

/// Packets of a flood.
const FLOOD: u32 = 10_000;
/// Lines that one kind of forged packet may provoke in a second or two.
const LINES: usize = 200;
/// What the steps of the kernel's clock, and other work on the machine, may add to processor time.
const BLUR: Duration = Duration::from_millis(150);
/// Tests run a daemon that the compiler has not optimized, beside one that it has: so many times as long it may take.
const UNOPTIMIZED: u32 = 2;

/// keepalived has the kernel drop wrong checksums of IPv6 and never sees them; so much may it cost to count them.
const COUNTED: Duration = Duration::from_millis(200);
const LOWER: Craft = craft(&[0x31, 51, 50, 1, 0, 100, 0, 0, 192, 0, 2, 50]);
const LOWER6: Craft =
    craft(&[0x31, 51, 50, 1, 0, 100, 0, 0, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50]).to(GROUP6);
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 11));

#[test]
fn a_flood_of_forged_adverts_is_bounded() {
    if Lab::or_skip().is_none() {
        return;
    }
    if let Some(why) = Speaker::Keepalived.missing() {
        assert!(std::env::var_os("CI").is_none(), "{why}, and in CI a skip is an error");
        return;
    }
    let multicast = conf(150);
    let unicast = conf(150).set("unicast_peer {\n    192.0.2.12\n  }");
    let inet6 = conf(150).addresses(&["fe80::50/64"]);
    let kinds = [
        ("checksum", &multicast, V3.bad_checksum()),
        ("TTL", &multicast, V3.ttl(254)),
        ("version", &multicast, V2),
        ("unknown router", &multicast, craft(&[0x31, 99, 200, 1, 0, 10, 0, 0, 192, 0, 2, 50])),
        ("a lower priority", &multicast, LOWER),
        ("three octets", &multicast, craft(&[0x31, 51, 200])),
        ("IPv6, checksum", &inet6, LOWER6.bad_checksum()),
        ("IPv6, a lower priority", &inet6, LOWER6),
        ("unicast, checksum", &unicast, V3.bad_checksum().to(HERE)),
        ("unicast, not a peer", &unicast, LOWER.to(HERE)),
    ];
    std::thread::scope(|scope| {
        for (name, conf, packet) in kinds {
            scope.spawn(move || {
                let [ours, theirs] =
                    [Speaker::Vrrpd, Speaker::Keepalived].map(|speaker| flooded(speaker, conf, packet));
                let figures = format!(
                    "{name}: ours {:?} and {} lines, keepalived {:?} and {} lines",
                    ours.processor, ours.lines, theirs.processor, theirs.lines
                );
                let _ = writeln!(std::io::stderr(), "{figures}");
                assert!(ours.lines <= LINES, "{figures}");
                assert!(ours.processor <= theirs.processor.max(COUNTED) * UNOPTIMIZED + BLUR, "{figures}");
            });
        }
    });
}
