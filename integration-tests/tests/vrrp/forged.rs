//! Scenario 14: packets that no honest router sends, one for each row of the receive checks.

use crate::conf::{Conf, conf};
use crate::craft::{Craft, craft};
use crate::scenario::Step::{Calm, Holder, Inject, Logs, Start};
use crate::scenario::Who::{A, B};
use crate::scenario::{Step, play_all, scenario};

/// Priority 200, interval 100 ms, the right address.
const V3: Craft = craft(&[0x31, 51, 200, 1, 0, 10, 0, 0, 192, 0, 2, 50]);
/// Priority 200, interval 1 s, the right address, no password.
const V2: Craft = craft(&[0x21, 51, 200, 1, 0, 1, 0, 0, 192, 0, 2, 50, 0, 0, 0, 0, 0, 0, 0, 0]);

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
