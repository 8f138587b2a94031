//! Scenarios 6, 11 and 15: what checks, groups and tracked interfaces do, and who is told.

use crate::conf::{Conf, conf};
use crate::election::{SETTLED, TAKES_BACK};
use crate::scenario::Step::{Calm, Check, Ends, Holder, Logs, Sh, Signal, Start};
use crate::scenario::Who::{A, B};
use crate::scenario::{Step, demand, play_all, scenario};
use anyhow::Result;
use integration_tests::speaker::SLACK;
use integration_tests::wait;
use nix::sys::signal::Signal::SIGTERM;

const FAILS: Step = Sh(A, "rm /run/alive");
const WORKS_AGAIN: Step = Sh(A, "touch /run/alive");

/// A whose check looks for a file, with this weight.
fn checked(weight: i32) -> Conf {
    conf(150).set("track_script {\n    chk\n  }").block(&format!(
        "vrrp_script chk {{\n  script \"/usr/bin/test -e /run/alive\"\n  interval 1\n  fall 2\n  rise 2\n  \
         weight {weight}\n}}\n"
    ))
}

#[test]
fn s06_check_fails() {
    let both_ways =
        |lost: &'static str, found: &'static str| [FAILS, Logs(A, lost), Holder(B), WORKS_AGAIN, Logs(A, found)];
    play_all(&[
        scenario(
            "weight 0",
            checked(0),
            conf(100),
            &[
                SETTLED,
                &both_ways("VRRP_Script(chk) failed (exited with status 1)", "VRRP_Script(chk) succeeded"),
                TAKES_BACK,
            ],
        ),
        scenario(
            "weight -60",
            checked(-60),
            conf(100),
            &[
                SETTLED,
                &both_ways("Changing effective priority from 150 to 90", "Changing effective priority from 90 to 150"),
                TAKES_BACK,
            ],
        ),
        scenario(
            "weight -30 is too little",
            checked(-30),
            conf(100),
            &[SETTLED, &[FAILS, Logs(A, "Changing effective priority from 150 to 120"), Calm(500), Holder(A)]],
        ),
        scenario(
            "weight 60 of the backup",
            conf(120),
            checked(60).set("priority 100"),
            &[&[Start(A), Holder(A), Start(B), Holder(B), Sh(B, "rm /run/alive"), Holder(A)]],
        ),
    ]);
}

#[test]
fn s06_tracked_interface() {
    let tracked = conf(150).set("track_interface {\n    lo\n  }");
    let weighted = conf(150).set("track_interface {\n    lo weight -60\n  }");
    let down_and_up: &[Step] = &[Sh(A, "ip link set lo down"), Holder(B), Sh(A, "ip link set lo up")];
    play_all(&[
        scenario("weight 0", tracked, conf(100), &[SETTLED, down_and_up, TAKES_BACK]),
        scenario("weight -60", weighted, conf(100), &[SETTLED, down_and_up, TAKES_BACK]),
    ]);
}

/// Two instances of one group.
fn group(priority: u8, first: &str) -> Conf {
    conf(priority)
        .set(first)
        .instance("VI_2", 52, priority, "192.0.2.60/24")
        .block("vrrp_sync_group G1 {\n  group {\n    VI_1\n    VI_2\n  }\n  notify \"/usr/local/bin/told any\"\n}\n")
}

fn both_addresses(stage: &mut crate::scenario::Stage, on_a: bool) -> Result<()> {
    let second = "192.0.2.60".parse()?;
    wait::until("the group's addresses are together", SLACK, || {
        (stage.nodes[0].has(second) == on_a && stage.nodes[1].has(second) != on_a).then_some(())
    })
}

#[test]
fn s11_group() {
    let fault: &[Step] = &[
        Check(|stage| both_addresses(stage, true)),
        Sh(A, "ip link set lo down"),
        Holder(B),
        Check(|stage| both_addresses(stage, false)),
        Sh(A, "ip link set lo up"),
        Holder(A),
        Check(|stage| both_addresses(stage, true)),
    ];
    let a = group(150, "track_interface {\n    lo\n  }");
    play_all(&[scenario("a fault in one takes both along", a, group(100, "state BACKUP"), &[SETTLED, fault])]);
}

/// Every kind of notification, with arguments.
fn telling() -> Conf {
    let scripts =
        ["notify", "notify_master", "notify_backup", "notify_fault", "notify_stop", "notify_master_rx_lower_pri"];
    let conf = conf(150).set("track_interface {\n    lo\n  }");
    scripts.into_iter().fold(conf, |conf, kind| conf.set(&format!("{kind} \"/usr/local/bin/told {kind} 'two words'\"")))
}

/// Start, takeover, fault, return, stop.
const LIFE: &[Step] = &[
    Start(A),
    Logs(A, "Entering BACKUP STATE (init)"),
    Holder(A),
    Start(B),
    Logs(B, "Entering BACKUP STATE"),
    Sh(A, "ip link set lo down"),
    Holder(B),
    Sh(A, "ip link set lo up"),
    Holder(A),
    Signal(A, SIGTERM),
    Ends(A),
    Holder(B),
];

#[test]
fn s15_notifications() {
    play_all(&[scenario("scripts", telling(), conf(100), &[LIFE]).unordered()]);
}

#[test]
fn s15_fifo() {
    let fifo = conf(150)
        .global("vrrp_notify_fifo /run/told.fifo")
        .global("vrrp_notify_fifo_script /usr/local/bin/read-fifo")
        .set("track_interface {\n    lo\n  }");
    let reader: &[Step] = &[Sh(
        A,
        "printf '#!/bin/sh\\nexec cat \"$1\" >>/run/told\\n' >/usr/local/bin/read-fifo; chmod 755 /usr/local/bin/read-fifo",
    )];
    // At its end keepalived writes STOP, too, but ends the reader before that one has read it.
    let (life, _stop) = LIFE.split_at(LIFE.len() - 3);
    play_all(&[scenario("a FIFO", fifo, conf(100), &[reader, life])]);
}

#[test]
fn s15_a_slow_script_is_not_overtaken() {
    const SLOW: &str = "printf '#!/bin/sh\\n[ \"$3\" = MASTER ] && sleep 1\\necho \"$*\" >>/run/told\\n' >/usr/local/bin/slow; \
                        chmod 755 /usr/local/bin/slow";
    let a = conf(150).set("notify /usr/local/bin/slow").set("track_interface {\n    lo\n  }");
    let in_order: &[Step] = &[
        Sh(A, SLOW),
        Start(A),
        Holder(A),
        Sh(A, "ip link set lo down"),
        Logs(A, "Entering FAULT STATE"),
        Check(|stage| {
            let all = ["BACKUP", "MASTER", "FAULT"].map(|state| format!("INSTANCE VI_1 {state} 150"));
            wait::until("all are told", SLACK, || (stage.nodes[0].told().len() >= all.len()).then_some(()))?;
            demand(stage.nodes[0].told() == all, &format!("{:?}", stage.nodes[0].told()))
        }),
    ];
    play_all(&[scenario("in the order of the events", a, conf(100), &[in_order])
        .on_purpose(A, "keepalived starts a script while the one before still runs, and FAULT is told before MASTER")]);
}
