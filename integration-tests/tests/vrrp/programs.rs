//! Files and processes that are watched, checks that cannot run, hang or leave others behind, and the scripts of the
//! daemon's own start and end.

use crate::conf::{Conf, conf};
use crate::election::{SETTLED, TAKES_BACK};
use crate::scenario::Step::{Calm, Check, Ends, Holder, Logs, Sh, Signal, Start};
use crate::scenario::Who::{A, B};
use crate::scenario::{Step, demand, play_all, scenario};
use nix::sys::signal::Signal::{SIGHUP, SIGTERM};

/// A whose priority depends on two files: one is added, the other decides about FAULT.
fn with_files() -> Conf {
    conf(150)
        .set("track_file {\n    weighted\n    fatal weight 0\n  }")
        .global("vrrp_notify_priority_changes")
        .block("track_file weighted {\n  file /run/weighted\n  init_file 0\n}\n")
        .block("track_file fatal {\n  file /run/fatal\n}\n")
}

#[test]
fn tracked_files() {
    play_all(&[
        scenario(
            "a number is added",
            with_files(),
            conf(100),
            &[
                SETTLED,
                &[
                    Sh(A, "[ \"$(cat /run/weighted)\" = 0 ]; echo -60 >/run/weighted"),
                    Logs(A, "Changing effective priority from 150 to 90"),
                    Holder(B),
                    // By rename, as careful writers do.
                    Sh(A, "echo 7 >/run/new; mv /run/new /run/weighted"),
                    Logs(A, "Changing effective priority from 90 to 157"),
                ],
                TAKES_BACK,
                &[Sh(A, "rm /run/weighted"), Logs(A, "Changing effective priority from 157 to 150"), Holder(A)],
            ],
        ),
        scenario(
            "anything but zero is a fault",
            with_files(),
            conf(100),
            &[
                SETTLED,
                &[
                    Sh(A, "echo 1 >/run/fatal"),
                    Logs(A, "tracked file fatal now FAULT state"),
                    Holder(B),
                    Sh(A, "echo 0 >/run/fatal"),
                    Logs(A, "tracked file fatal leaving FAULT state"),
                ],
                TAKES_BACK,
            ],
        ),
    ]);
}

#[test]
fn a_weighted_file_of_a_group_member_is_a_fault() {
    let a = conf(150)
        .set("track_file {\n    weighted\n  }")
        .block("track_file weighted {\n  file /run/weighted\n}\n")
        .block("vrrp_sync_group G1 {\n  group {\n    VI_1\n  }\n}\n");
    let steps: &[Step] = &[
        Sh(A, "echo 5 >/run/weighted"),
        Logs(A, "tracked file weighted now FAULT state"),
        Holder(B),
        Sh(A, "echo 0 >/run/weighted"),
    ];
    play_all(&[scenario("weights of members are ignored", a, conf(100), &[SETTLED, steps, TAKES_BACK])
        .without("VRRP_Group(", "of a group of one keepalived says after the instance what we say before it")]);
}

#[test]
fn tracked_processes() {
    const BEGINS: Step = Sh(A, "setsid sleep 98765 >/dev/null 2>&1 </dev/null & echo $! >/run/tracked");
    const ENDS: Step = Sh(A, "kill $(cat /run/tracked)");
    const WHY: &str = "in a network namespace keepalived has no process events, and does without";
    let process = |more: &str| {
        conf(150)
            .set("track_process {\n    tp\n  }")
            .block(&format!("vrrp_track_process tp {{\n  process sleep 98765\n  weight 0\n{more}}}\n"))
    };
    let there: &[Step] = &[BEGINS];
    let gone_and_back: &[Step] = &[
        ENDS,
        Logs(A, "Quorum lost for tracked process tp"),
        Holder(B),
        BEGINS,
        Logs(A, "Quorum gained for tracked process tp"),
    ];
    let missing: &[Step] = &[
        Start(A),
        Logs(A, "entering FAULT state (tracked process tp quorum not achieved)"),
        Start(B),
        Holder(B),
        BEGINS,
        Logs(A, "Quorum gained for tracked process tp"),
    ];
    let unnoticed: &[Step] = &[ENDS, BEGINS, Calm(2500), Holder(A)];
    play_all(&[
        scenario("a process ends", process(""), conf(100), &[there, SETTLED, gone_and_back, TAKES_BACK])
            .on_purpose(A, WHY),
        scenario("a process is not there yet", process(""), conf(100), &[missing, TAKES_BACK]).on_purpose(A, WHY),
        scenario("a short absence", process("  terminate_delay 5\n"), conf(100), &[there, SETTLED, unnoticed])
            .on_purpose(A, WHY),
    ]);
}

/// A whose check is a script that the first step writes.
fn with_script(more: &str) -> Conf {
    conf(150)
        .set("track_script {\n    chk\n  }")
        .block(&format!("vrrp_script chk {{\n  script /usr/local/bin/chk\n  interval 1\n{more}}}\n"))
}

#[test]
fn a_check_that_vanishes() {
    let vanishes: &[Step] = &[
        Sh(A, "rm /usr/local/bin/chk"),
        Logs(A, "Script `chk` CANNOT BE RUN, it stays successful and nothing is watched: No such file"),
        Holder(A),
        Sh(A, "cp /bin/false /usr/local/bin/chk; chmod 644 /usr/local/bin/chk"),
        Logs(A, "Script `chk` CANNOT BE RUN, it stays successful and nothing is watched: Permission denied"),
        Holder(A),
        Sh(A, "chmod 755 /usr/local/bin/chk"),
        Logs(A, "Script `chk` can be run again"),
        Holder(B),
    ];
    let works: &[Step] = &[Sh(A, "cp /bin/true /usr/local/bin/chk")];
    play_all(&[scenario("while it is in use", with_script(""), conf(100), &[works, SETTLED, vanishes])
        .on_purpose(A, "keepalived counts it as successful and says nothing")]);
}

#[test]
fn checks_that_cannot_run_are_named() {
    let a = with_script("").set("track_file {\n    nowhere\n  }");
    let named: &[Step] = &[
        Start(A),
        Logs(A, "Disabling track script chk since not found/accessible"),
        Logs(A, "(VI_1) runs UNTRACKED by"),
        Holder(A),
        Check(|stage| {
            let log = stage.nodes[0].log();
            let lost = ["file nowhere, which is not watched", "script chk, which is not watched"];
            demand(lost.iter().all(|what| log.contains(what)), &log)
        }),
    ];
    play_all(&[scenario("from the start", a, conf(100), &[named])
        .on_purpose(A, "keepalived drops them with one line each among all others")]);
}

#[test]
fn checks_that_hang_or_fork() {
    const HANGS: &str = "printf '#!/bin/sh\\n[ -e /run/alive ] && exit 0\\ntrap \"\" TERM\\nsleep 4242 &\\nsleep 4243\\n\
                         sleep 4244\\n' >/usr/local/bin/chk; chmod 755 /usr/local/bin/chk";
    const FORKS: &str = "printf '#!/bin/sh\\nsleep 4245 &\\nhead -c 1000000 /dev/zero\\nexit 0\\n' >/usr/local/bin/chk; \
                         chmod 755 /usr/local/bin/chk";
    let hangs: &[Step] = &[
        Sh(A, "rm /run/alive"),
        Logs(A, "VRRP_Script(chk) timed_out"),
        Holder(B),
        Sh(A, "touch /run/alive"),
        Logs(A, "VRRP_Script(chk) succeeded"),
        // What it left behind went with it.
        Check(|stage| demand(stage.nodes[0].host.sh("! pgrep -f '^sleep 424[234]'").is_ok(), "a child survives")),
    ];
    play_all(&[
        scenario(
            "a check that hangs, with children, and heeds no SIGTERM",
            with_script("  timeout 1\n"),
            conf(100),
            &[&[Sh(A, HANGS)], SETTLED, hangs, TAKES_BACK],
        )
        .on_purpose(A, "keepalived says that it timed out when it is gone, two seconds later"),
        scenario(
            "one that leaves a child behind and writes much",
            with_script(""),
            conf(100),
            &[&[Sh(A, FORKS)], SETTLED, &[Calm(2000), Holder(A)]],
        ),
    ]);
}

#[test]
fn startup_and_shutdown_scripts() {
    let a = conf(150)
        .global("startup_script \"/usr/local/bin/told startup\"")
        .global("shutdown_script \"/usr/local/bin/told shutdown\"")
        .set("notify \"/usr/local/bin/told notify\"");
    let life: &[Step] = &[Start(A), Holder(A), Signal(A, SIGTERM), Ends(A)];
    play_all(&[scenario("before and after everything", a, conf(100), &[life])]);
}

/// The user of a check is gone when the file is read again: both take the check away, and say why.
#[test]
fn a_check_whose_user_is_gone() {
    const CHECK: Step = Sh(A, "printf '#!/bin/sh\\nexit 0\\n' >/usr/local/bin/chk; chmod 755 /usr/local/bin/chk");
    const USER_GOES: Step = Sh(A, "grep -v '^ha:' /etc/passwd >/run/passwd; cat /run/passwd >/etc/passwd");
    let a = with_script("  user ha\n");
    let gone: &[Step] = &[
        USER_GOES,
        // As long as nobody reads the file again, it runs as it did: the number of the user is known.
        Calm(1500),
        Holder(A),
        Signal(A, SIGHUP),
        Logs(A, "Unable to set uid/gid for script '/usr/local/bin/chk'"),
        Logs(A, "(VI_1) track script chk not found, ignoring..."),
        Logs(A, "Reload complete"),
        Calm(1500),
        Holder(A),
    ];
    play_all(&[scenario("at a reload", a, conf(100), &[&[CHECK], SETTLED, gone])
        .on_purpose(A, "what keepalived sets anew at each reload is not touched")]);
}
