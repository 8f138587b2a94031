//! Scenarios 17 and 18: announcements in number and time, and every kind of advert between ours and theirs.

use crate::conf::{Conf, conf};
use crate::election::{SETTLED, TAKES_BACK};
use crate::scenario::Step::{Calm, Check, Ends, Holder, Logs, Sh, Signal, Start};
use crate::scenario::Who::{A, B};
use crate::scenario::{Stage, Step, VIP, demand, play_all, scenario};
use anyhow::Result;
use integration_tests::speaker::SLACK;
use integration_tests::wait;
use nix::sys::signal::Signal::SIGTERM;
use std::net::IpAddr;
use std::time::Duration;

/// When A announced the shared address, from its first announcement on.
fn announced(stage: &Stage) -> Vec<Duration> {
    let port = stage.nodes[0].host.port_index();
    let all = stage.capture.find_all(|frame| frame.port == port && frame.packet.announces(VIP));
    all.iter().map(|frame| frame.at.saturating_sub(all[0].at)).collect()
}

fn wait_for_announcements(stage: &mut Stage, count: usize) -> Result<()> {
    wait::until("announcements", SLACK, || (announced(stage).len() >= count).then_some(()))
}

#[test]
fn s17_announcements() {
    let usual = || conf(150).without_global("vrrp_garp_master_delay 0");
    let twice: &[Step] = &[
        Start(A),
        Holder(A),
        Check(|stage| wait_for_announcements(stage, 10)),
        Check(|stage| {
            let times = announced(stage);
            let second = times[5].as_secs_f64();
            demand((4.9..5.3).contains(&second), &format!("the second set left {second} s after the first"))
        }),
    ];
    play_all(&[
        scenario("five, and five more after five seconds", usual(), conf(1), &[twice]),
        scenario(
            "two addresses, in turn",
            conf(150).addresses(&["192.0.2.50/24", "192.0.2.60/24"]),
            conf(1),
            &[&[Start(A), Holder(A), Check(|stage| wait_for_announcements(stage, 5))]],
        ),
        scenario(
            "garp_master_repeat 1 and refresh",
            conf(150).set("garp_master_repeat 1").set("garp_master_refresh 1"),
            conf(1),
            &[&[Start(A), Holder(A), Check(|stage| wait_for_announcements(stage, 2))]],
        ),
    ]);
}

/// What A announced, with the time since the one before.
fn announced_in_turn(stage: &Stage) -> Vec<(IpAddr, Duration)> {
    let port = stage.nodes[0].host.port_index();
    let frames = stage.capture.of(port).into_iter();
    let all: Vec<_> = frames.filter_map(|frame| Some((frame.packet.announcement()?.address, frame.at))).collect();
    let before = all.iter().map(|(_, at)| *at);
    let before = before.clone().take(1).chain(before);
    all.iter().zip(before).map(|((address, at), before)| (*address, at.saturating_sub(before))).collect()
}

/// These are the last octets of what A announces, with a pause of about so many milliseconds before each but the first.
fn in_turn(stage: &mut Stage, last_octets: &[u8], pause_ms: u64) -> Result<()> {
    wait::until("announcements", SLACK, || (announced_in_turn(stage).len() >= last_octets.len()).then_some(()))?;
    let turns = announced_in_turn(stage);
    let expected: Vec<IpAddr> = last_octets.iter().map(|&last| IpAddr::from([192, 0, 2, last])).collect();
    let addresses: Vec<IpAddr> = turns.iter().map(|(address, _)| *address).collect();
    demand(addresses == expected, &format!("{addresses:?}, not {expected:?}"))?;
    let (least, most) = (Duration::from_millis(pause_ms * 9 / 10), Duration::from_millis(pause_ms * 3));
    let paced = turns.iter().skip(1).all(|(_, pause)| (least..most).contains(pause));
    demand(paced, &format!("about {pause_ms} ms before each: {turns:?}"))
}

#[test]
fn s17_paced_announcements() {
    let two = ["192.0.2.50/24", "192.0.2.60/24"];
    let paced = |repeat: &str| conf(150).global("vrrp_garp_interval 0.1").global(repeat);
    let group = conf(150)
        .global("vrrp_garp_master_repeat 1")
        .addresses(&["192.0.2.50/24", "192.0.2.51/24 dev eth1", "192.0.2.60/24"])
        .block("garp_group {\n  garp_interval 0.1\n  interfaces {\n    eth0\n    eth1\n  }\n}\n");
    let second: &[Step] = &[Sh(
        A,
        "ip link add eth1 address 02:00:00:00:01:01 type veth peer name eth1p address 02:00:00:00:01:02; \
         ip link set eth1 up; ip link set eth1p up",
    )];
    let starts: &[Step] = &[Start(A), Holder(A)];
    let over: &[Step] = &[Calm(400)];
    play_all(&[
        scenario(
            "with a pause between them",
            paced("vrrp_garp_master_repeat 1").addresses(&two),
            conf(1),
            &[starts, &[Check(|stage| in_turn(stage, &[50, 60], 100))], over],
        ),
        scenario(
            "repeated, with a pause",
            paced("vrrp_garp_master_repeat 2").addresses(&two),
            conf(1),
            &[starts, &[Check(|stage| in_turn(stage, &[50, 60, 50, 60], 100))], over],
        )
        .on_purpose(A, "keepalived announces what waits once, however often the file says"),
        scenario(
            "a group, whose pause is for all its interfaces",
            group,
            conf(1),
            &[second, starts, &[Check(|stage| in_turn(stage, &[50, 60], 200))], over],
        ),
    ]);
}

/// Settled, a stop, a return.
fn there_and_back() -> Vec<Step> {
    let moves: &[Step] = &[Signal(A, SIGTERM), Holder(B), Ends(A), Start(A)];
    [SETTLED, moves, TAKES_BACK].concat()
}

fn each(change: impl Fn(Conf) -> Conf) -> (Conf, Conf) {
    (change(conf(150)), change(conf(100)))
}

#[test]
fn s18_version_2() {
    let (a, b) = each(Conf::version2);
    let (c, d) = each(|conf| conf.version2().set("authentication {\n    auth_type PASS\n    auth_pass s3cr3t!\n  }"));
    let calm: &[Step] = &[Calm(1100)];
    play_all(&[
        scenario("no authentication", a, b, &[&there_and_back()[..4], calm, &there_and_back()[5..]]),
        scenario("a password", c, d, &[&there_and_back()[..4], calm, &there_and_back()[5..]]),
    ]);
}

/// A link-local address is not used before it is known to be alone.
const READY: &str = "until [ -n \"$(ip -6 -o address show dev eth0 scope link -tentative)\" ]; do sleep 0.05; done";

#[test]
fn s18_version_3() {
    let unicast = |conf: Conf, peer: &str| conf.set(&format!("unicast_peer {{\n    {peer}\n  }}"));
    let (a, b) = each(|conf| conf);
    let excluded = "virtual_ipaddress_excluded {\n    192.0.2.50/24\n  }";
    let (c, d) = each(|conf| conf.addresses(&["fe80::50/64", "2001:db8::50/64"]).set(excluded));
    let ready: &[Step] = &[Sh(A, READY), Sh(B, READY)];
    let there_and_back = there_and_back();
    play_all(&[
        scenario("IPv4", a, b, &[&there_and_back]),
        scenario("IPv6", c, d, &[ready, &there_and_back]),
        scenario("unicast", unicast(conf(150), "192.0.2.12"), unicast(conf(100), "192.0.2.11"), &[&there_and_back]),
        scenario(
            "an owner",
            conf(255),
            conf(100),
            &[&[Start(B), Holder(B), Start(A), Logs(A, "Entering MASTER STATE"), Holder(A)]],
        ),
    ]);
}

/// Every advert of such a pair has the same hardware address as its hearer's own interface.
#[test]
fn s18_virtual_macs() {
    let unsaid = |scenario: crate::scenario::Scenario| {
        scenario.without("removing VIPs.", "keepalived does not say it of an interface that it has just made")
    };
    let there_and_back = there_and_back();
    let above = each(|conf| conf.set("use_vmac"));
    let below = each(|conf| conf.set("use_vmac vm0").set("vmac_xmit_base"));
    let second = each(|conf| conf.version2().set("use_vmac"));
    let one_side =
        &[&[Start(A), Holder(A), Start(B), Calm(500), Signal(A, SIGTERM), Holder(B), Ends(A), Start(A), Holder(A)][..]];
    play_all(&[
        unsaid(scenario("adverts from the virtual MAC", above.0, above.1, &[&there_and_back])),
        unsaid(scenario("adverts on the interface below", below.0, below.1, &[&there_and_back])),
        unsaid(scenario("version 2", second.0, second.1, &[&there_and_back])),
        unsaid(scenario("a peer without", conf(150).set("use_vmac"), conf(100), one_side)),
    ]);
}
