//! What happens to interfaces besides losing their carrier: they vanish and come back, get other names, go up and down more
//! often than is worth an election. And reports that the kernel could not deliver.

use crate::conf::{Conf, conf};
use crate::election::{SETTLED, TAKES_BACK};
use crate::scenario::Step::{Calm, Check, Holder, Logs, Sh, SignalAll};
use crate::scenario::Who::{A, B};
use crate::scenario::{Step, demand, play_all, scenario};
use nix::sys::signal::Signal::{SIGCONT, SIGSTOP};

/// A second interface, inside the host.
const SECOND: Step = Sh(
    A,
    "ip link add eth1 address 02:00:00:00:01:01 type veth peer name p1 address 02:00:00:00:01:02; ip link set p1 up; \
     ip address add 198.51.100.1/24 dev eth1; ip link set eth1 up; \
     until ip -o link show eth1 | grep -q 'state UP'; do sleep 0.02; done",
);
const VANISHES: Step = Sh(A, "ip link del eth1");

/// A with something on the second interface besides, which B does not have.
fn with_second(line: &str) -> Conf {
    conf(150).set("skip_check_adv_addr").set(line)
}

/// Why lines about routes are not compared.
const TWICE: &str = "keepalived says it twice when it starts";

#[test]
fn an_interface_vanishes_and_comes_back() {
    let tracked = "track_interface {\n    eth1\n  }";
    let excluded = "virtual_ipaddress_excluded {\n    198.51.100.50/24 dev eth1\n  }";
    let route = "virtual_routes {\n    10.80.0.0/16 via 198.51.100.2 dev eth1\n  }";
    let untracked = "virtual_ipaddress_excluded {\n    198.51.100.50/24 dev eth1 no_track\n  }";
    let gone_and_back: &[Step] = &[VANISHES, Logs(A, "(VI_1) Entering FAULT STATE"), Holder(B), SECOND];
    let unmoved: &[Step] = &[VANISHES, Calm(400), Holder(A), SECOND, Calm(400), Holder(A)];
    let play = |name, line, steps: &[&[Step]]| {
        scenario(name, with_second(line), conf(100), steps).without("removing Virtual Routes", TWICE)
    };
    play_all(&[
        play("one that is tracked", tracked, &[&[SECOND], SETTLED, gone_and_back, TAKES_BACK]),
        play("one with an address", excluded, &[&[SECOND], SETTLED, gone_and_back, TAKES_BACK]),
        play("one with a route", route, &[&[SECOND], SETTLED, gone_and_back, TAKES_BACK]),
        play("one with an address that is not tracked", untracked, &[&[SECOND], SETTLED, unmoved]),
    ]);
}

#[test]
fn an_interface_loses_its_carrier() {
    const UNPLUGGED: Step = Sh(A, "ip link set p1 down");
    const PLUGGED_IN: Step = Sh(A, "ip link set p1 up");
    let tracked = with_second("track_interface {\n    eth1\n  }");
    let out_and_in: &[Step] = &[
        UNPLUGGED,
        Logs(A, "Netlink reports eth1 down"),
        Logs(A, "(VI_1) Entering FAULT STATE"),
        Holder(B),
        PLUGGED_IN,
        Logs(A, "Netlink reports eth1 up"),
    ];
    play_all(&[scenario("a cable", tracked, conf(100), &[&[SECOND], SETTLED, out_and_in, TAKES_BACK])]);
}

#[test]
fn an_interface_is_renamed() {
    // While it is up, which Linux allows since 6.2.
    const OTHER_NAME: Step = Sh(A, "ip link set eth1 name strange0");
    const NOTHING_LEFT: Step = Check(|stage| {
        let shown = stage.nodes[0].host.sh("ip -4 -o address show dev strange0; ip route show dev strange0")?;
        demand(!shown.contains("198.51.100.50") && !shown.contains("10.80."), &shown)
    });
    let holds = "virtual_ipaddress_excluded {\n    198.51.100.50/24 dev eth1\n  }\n  \
                 virtual_routes {\n    10.80.0.0/16 via 198.51.100.2 dev eth1\n  }";
    let renamed: &[Step] = &[
        OTHER_NAME,
        Logs(A, "Interface name has changed from eth1 to strange0"),
        Logs(A, "(VI_1) Entering FAULT STATE"),
        Holder(B),
        NOTHING_LEFT,
        Sh(A, "ip link set strange0 name eth1"),
    ];
    play_all(&[scenario(
        "and gets its name back",
        with_second(holds),
        conf(100),
        &[&[SECOND], SETTLED, renamed, TAKES_BACK],
    )
    .without("removing Virtual Routes", TWICE)]);
}

/// A second instance of A alone, with a virtual interface on the second one.
fn with_vmac() -> Conf {
    conf(150).instance("VI_2", 52, 150, "198.51.100.50/24").set("interface eth1").set("use_vmac")
}

#[test]
fn the_interface_below_a_virtual_one_vanishes_and_comes_back() {
    let steps: &[Step] = &[
        Logs(A, "(VI_2) Entering MASTER STATE"),
        VANISHES,
        Logs(A, "(VI_2) Entering FAULT STATE"),
        SECOND,
        Logs(A, "(VI_2): Success creating VMAC interface vrrp.52"),
        Logs(A, "(VI_2) Entering MASTER STATE"),
        Sh(A, "until ip -4 -o address show dev vrrp.52 | grep -q 198.51.100.50; do sleep 0.05; done"),
        Holder(A),
    ];
    play_all(&[scenario("below", with_vmac(), conf(100), &[&[SECOND], SETTLED, steps])
        .without("Netlink reports vrrp.52", "ours speaks of the interface below only")
        .without("(VI_2) interface eth1 is down", "keepalived says it of a new one, which is up a moment later")
        .without(
            "(VI_2) removing VIPs.",
            "keepalived does not say it at the start of an instance with a virtual one",
        )]);
}

#[test]
fn a_virtual_interface_is_renamed() {
    const REASON: &str = "another interface on eth1 has its hardware address; remove that one";
    const NOTHING_LEFT: Step =
        Check(|stage| demand(stage.nodes[0].host.sh("! ip -4 -o address | grep 198.51.100.50").is_ok(), "an address"));
    let steps: &[Step] = &[
        Logs(A, "(VI_2) Entering MASTER STATE"),
        Sh(A, "ip link set vrrp.52 name strange0"),
        Logs(A, REASON),
        Logs(A, "(VI_2) Entering FAULT STATE"),
        NOTHING_LEFT,
        Sh(A, "ip link del strange0"),
        Logs(A, "(VI_2) Entering MASTER STATE"),
        Sh(A, "until ip -4 -o address show dev vrrp.52 | grep -q 198.51.100.50; do sleep 0.05; done"),
        Holder(A),
    ];
    play_all(&[scenario("by somebody", with_vmac(), conf(100), &[&[SECOND], SETTLED, steps])
        .on_purpose(A, "keepalived goes to FAULT, too, and gives the kernel's error only")]);
}

#[test]
fn up_and_down_delays() {
    const DOWN: Step = Sh(A, "ip link set eth1 down");
    const UP: Step = Sh(A, "ip link set eth1 up");
    let delays = "interface_up_down_delays {\n  eth1 1.5 1\n}\n";
    let conf_a = with_second("track_interface {\n    eth1\n  }").block(delays);
    let shorter: &[Step] = &[DOWN, Calm(300), UP, Calm(1700), Holder(A)];
    let longer: &[Step] = &[DOWN, Calm(500), Holder(A), Holder(B), UP, Calm(300), Holder(B)];
    play_all(&[
        scenario("shorter than the delay", conf_a.clone(), conf(100), &[&[SECOND], SETTLED, shorter]),
        scenario("longer than the delay", conf_a, conf(100), &[&[SECOND], SETTLED, longer, TAKES_BACK]),
    ]);
}

#[test]
fn reports_that_the_kernel_could_not_deliver() {
    // More of them than there is room for, and the one that matters behind them.
    const TOO_MANY: Step = Sh(
        A,
        "for i in $(seq 20000); do echo address add 10.9.9.9/32 dev lo; echo address del 10.9.9.9/32 dev lo; done \
         >/run/batch; ip -batch /run/batch; ip address del 192.0.2.50/24 dev eth0",
    );
    let slow = |priority| conf(priority).set("advert_int 10");
    let steps: &[Step] = &[
        SignalAll(A, SIGSTOP),
        TOO_MANY,
        SignalAll(A, SIGCONT),
        Logs(
            A,
            "the kernel lost reports of changes (netlink overrun): reading links, addresses, routes and rules anew",
        ),
        Logs(A, "Netlink reflector reports IP 192.0.2.50 removed from eth0, putting it back"),
        Holder(A),
    ];
    let owner = |priority: u8| slow(priority).set("state MASTER");
    play_all(&[scenario("everything is read anew", owner(255), slow(1), &[SETTLED, steps])
        .on_purpose(A, "keepalived does not find what the lost reports told")]);
}
