//! Scenarios 5, 9 and 10: pairs that do not understand each other, with both masters as a result.

use crate::conf::{Conf, conf};
use crate::scenario::Step::{Both, Calm, Check, Holder, Logs, Sh, Start};
use crate::scenario::Who::{A, B};
use crate::scenario::{Step, demand, play_all, scenario};
use std::net::IpAddr;

/// Each becomes master and stays it.
const NEVER_MEET: &[Step] = &[Start(A), Holder(A), Start(B), Both, Calm(400), Both];
fn password(conf: Conf, password: &str) -> Conf {
    conf.set(&format!("authentication {{\n    auth_type PASS\n    auth_pass {password}\n  }}"))
}

fn unicast(priority: u8, peer: &str) -> Conf {
    conf(priority).set(&format!("unicast_peer {{\n    {peer}\n  }}"))
}

#[test]
fn s09_mismatches() {
    let v2 = |priority| conf(priority).version2();
    // B hears A as a backup, and says so again as a master.
    let never = |complaint: &'static str| {
        let [begin, end] = [&NEVER_MEET[..4], &NEVER_MEET[4..]];
        [begin, &[Logs(B, "Entering MASTER STATE"), Logs(B, complaint)], end].concat()
    };
    play_all(&[
        scenario(
            "passwords",
            password(v2(150), "1111"),
            password(v2(100), "2222"),
            &[&never("received an invalid passwd!")],
        ),
        scenario(
            "a password on one side",
            password(v2(150), "1111"),
            v2(100),
            &[&never("received a 1 auth, expecting 0!")],
        ),
        scenario(
            "virtual router ids",
            conf(150),
            conf(100).set("virtual_router_id 52").global("log_unknown_vrids"),
            &[NEVER_MEET],
        ),
        scenario("versions", conf(150), v2(100), &[&never("wrong version. Received 3 and expect 2")]),
        scenario(
            "intervals of version 2",
            v2(150).set("advert_int 2"),
            v2(100),
            &[
                &NEVER_MEET[..3],
                &[Logs(B, "interval mismatch mine=1 sec rcv'd=2 sec"), Both],
                &[Logs(A, "interval mismatch mine=2 sec rcv'd=1 sec"), Calm(400), Both],
            ],
        )
        .without("mine=1 sec rcv'd=2 sec", "keepalived does not say it of a longer interval when it is master"),
        scenario(
            "intervals of version 3",
            conf(150),
            conf(100).set("advert_int 0.2"),
            &[&[Start(A), Holder(A), Start(B), Calm(1000), Holder(A)]],
        ),
    ]);
}

#[test]
fn s09_address_lists() {
    let more = conf(100).addresses(&["192.0.2.50/24", "192.0.2.60/24"]);
    let agree: &[Step] = &[Start(A), Holder(A), Start(B), Calm(1000), Holder(A)];
    play_all(&[scenario("a longer list", conf(150), more, &[agree]).on_purpose(
        B,
        "keepalived up to 2.3.2 drops these adverts and both are masters; later ones and ours say it and accept",
    )]);
}

#[test]
fn s10_unicast() {
    let right = || (unicast(150, "192.0.2.12"), unicast(100, "192.0.2.11"));
    let (a, b) = right();
    let (_, c) = right();
    let (d, _) = right();
    let peer = "unicast_peer {\n    192.0.2.12\n  }";
    let both_wrong = unicast(100, "192.0.2.98");
    play_all(&[
        scenario(
            "both right",
            a,
            b,
            &[&[
                Start(A),
                Holder(A),
                Start(B),
                Calm(600),
                Holder(A),
                Step::Signal(A, nix::sys::signal::Signal::SIGTERM),
                Holder(B),
            ]],
        ),
        scenario(
            "A's own address is somebody else's",
            unicast(150, "192.0.2.12").set("unicast_src_ip 192.0.2.98"),
            unicast(100, "192.0.2.11"),
            &[&[Start(A), Logs(A, "(src address not configured)"), Start(B), Holder(B), Calm(300), Holder(B)]],
        ),
        scenario(
            "A's own address comes and goes",
            unicast(150, "192.0.2.12").set("unicast_src_ip 192.0.2.98"),
            unicast(100, "192.0.2.98"),
            &[&[
                Start(A),
                Logs(A, "(src address not configured)"),
                Start(B),
                Holder(B),
                Sh(A, "ip address add 192.0.2.98/24 dev eth0"),
                Holder(A),
                Sh(A, "ip address del 192.0.2.98/24 dev eth0"),
                Logs(A, "(src address not configured)"),
                Holder(B),
            ]],
        )
        .on_purpose(A, "keepalived looks for the address once, when it starts"),
        scenario(
            "the source of one instance is the virtual address of another",
            conf(150).instance("VI_2", 52, 150, "192.0.2.60/24").set("unicast_src_ip 192.0.2.50").set(peer),
            conf(100),
            &[&[
                Start(A),
                Logs(A, "bind unicast_src 192.0.2.50 failed 99"),
                Logs(A, "(VI_2) Entering FAULT STATE"),
                Holder(A),
                Calm(300),
                Check(|stage| {
                    let has = stage.nodes[0].has(IpAddr::from([192, 0, 2, 60]));
                    demand(!has, "an instance that hears nobody has its address")
                }),
            ]],
        )
        .without("is a virtual address of VI_1", "the remedy is said by ours only"),
        scenario("A tells somebody else", unicast(150, "192.0.2.98"), c, &[NEVER_MEET]).elections_at_will(),
        scenario("B tells somebody else", d, both_wrong, &[&[Start(A), Holder(A), Start(B), Calm(600), Holder(A)]]),
        scenario(
            "A by unicast, B by multicast",
            unicast(150, "192.0.2.12"),
            conf(100),
            &[&[Start(A), Holder(A), Start(B), Calm(1000)]],
        ),
    ]);
}

#[test]
fn s05_one_way() {
    const DEAF: Step = Sh(
        B,
        "nft 'add table ip t; add chain ip t in { type filter hook input priority 0; }; \
                              add rule ip t in ip protocol 112 drop'",
    );
    play_all(&[scenario(
        "B hears nothing for a while",
        conf(150),
        conf(100),
        &[crate::election::SETTLED, &[DEAF, Both, Calm(300), Sh(B, "nft flush ruleset")], crate::election::TAKES_BACK],
    )
    .elections_at_will()]);
}
