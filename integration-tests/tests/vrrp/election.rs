//! Scenarios 1 to 5, 7, 8, 16, 17: who becomes master, and when another takes over.

use crate::conf::conf;
use crate::scenario::Step::{Both, Calm, Cut, Ends, Heal, Holder, Logs, Nobody, Sh, SignalAll, Start};
use crate::scenario::Who::{A, B};
use crate::scenario::{Stage, Step, Who, play_all, scenario};
use anyhow::Result;
use integration_tests::wait;
use nix::sys::signal::Signal::{self, SIGCONT, SIGKILL, SIGSTOP, SIGTERM};
use std::time::Duration;

/// A is master and B has heard it.
pub(crate) const SETTLED: &[Step] =
    &[Start(A), Holder(A), Start(B), Logs(B, "(VI_1) Entering BACKUP STATE"), Calm(250)];
pub(crate) const TAKES_BACK: &[Step] = &[Holder(A), Logs(B, "(VI_1) Entering BACKUP STATE")];

/// Else it is a matter of chance which of two masters hears the other one first.
fn b_has_just_spoken(stage: &mut Stage) -> Result<()> {
    let spoken = || stage.capture.of(stage.nodes[1].host.port_index()).len();
    let before = spoken();
    wait::until("an advert of B", Duration::from_secs(10), || (spoken() > before).then_some(()))
}

fn stop(who: Who, signal: Signal) -> Step {
    Step::Signal(who, signal)
}

#[test]
fn s01_cold_start() {
    // The skew decides, and a busy machine starts one after the other.
    let slow = |priority| conf(priority).set("advert_int 0.3");
    play_all(&[
        scenario("both at once", slow(250), slow(10), &[&[Start(A), Start(B), Holder(A), Calm(900)]]).with_frr(),
        scenario("the worse one first", conf(250), conf(10), &[&[Start(B), Holder(B), Start(A)], TAKES_BACK])
            .with_frr(),
        scenario(
            "version 2",
            conf(250).version2(),
            conf(10).version2(),
            &[&[Start(A), Start(B), Holder(A), Calm(1200)]],
        ),
    ]);
}

#[test]
fn s02_clean_stop() {
    play_all(&[scenario(
        "stop and return",
        conf(150),
        conf(100),
        &[SETTLED, &[stop(A, SIGTERM), Holder(B), Ends(A), Start(A)], TAKES_BACK],
    )
    .with_frr()]);
}

#[test]
fn s03_kill() {
    play_all(&[scenario(
        "every process, then a start",
        conf(150),
        conf(100),
        &[SETTLED, &[SignalAll(A, SIGKILL), Ends(A), Both, Start(A)], TAKES_BACK],
    )]);
}

#[test]
fn s04_link() {
    // Longer than it takes to plug a cable in.
    let slow = |priority| conf(priority).set("advert_int 0.3");
    play_all(&[
        scenario(
            "down on the host",
            conf(150),
            conf(100),
            &[
                SETTLED,
                &[
                    Sh(A, "ip link set eth0 down"),
                    Logs(A, "(VI_1) Entering FAULT STATE"),
                    Holder(B),
                    Sh(A, "ip link set eth0 up"),
                ],
                TAKES_BACK,
            ],
        ),
        scenario(
            "cable pulled",
            slow(150),
            slow(100),
            &[SETTLED, &[Cut(A), Both, Step::Check(b_has_just_spoken), Heal(A)], TAKES_BACK],
        )
        .with_frr(),
    ]);
}

#[test]
fn s07_preempt() {
    let comes_back: &[Step] =
        &[stop(A, SIGTERM), Holder(B), Ends(A), Start(A), Logs(A, "(VI_1) Entering BACKUP STATE")];
    let its_turn: &[Step] = &[Calm(800), Holder(B), stop(B, SIGTERM), Ends(B), Holder(A)];
    play_all(&[
        scenario("nopreempt", conf(150).set("nopreempt"), conf(100), &[SETTLED, comes_back, its_turn]),
        scenario(
            "nopreempt with state MASTER",
            conf(150).set("state MASTER").set("nopreempt"),
            conf(100),
            &[SETTLED, &comes_back[..4], TAKES_BACK],
        ),
        scenario("preempt_delay", conf(150).set("preempt_delay 1"), conf(100), &[SETTLED, comes_back, TAKES_BACK])
            .without("received lower priority", "how many are heard before the delay is over is a matter of chance"),
        scenario("equal priorities", conf(100), conf(100), &[SETTLED, comes_back, its_turn]),
    ]);
}

#[test]
fn s08_stall() {
    play_all(&[scenario(
        "a stopped master wakes up",
        conf(150).set("nopreempt"),
        conf(100),
        &[
            SETTLED,
            // Long enough for the stall to be one whatever the machine does.
            &[
                SignalAll(A, SIGSTOP),
                Both,
                Calm(1000),
                Both,
                SignalAll(A, SIGCONT),
                Logs(A, "A thread timer expired"),
                Holder(B),
                Calm(1000),
                Holder(B),
            ],
        ],
    )
    .on_purpose(A, "keepalived fights when it wakes up, even with nopreempt; ours listens first")]);
}

#[test]
fn s16_stale_address() {
    let left: &[Step] = &[Sh(A, "ip address add 192.0.2.50/24 dev eth0"), Start(A)];
    play_all(&[
        scenario("removed before the election is won", conf(150), conf(100), &[left, &[Nobody, Holder(A)]]),
        scenario(
            "removed for good",
            conf(50),
            conf(100),
            &[&[Start(B), Holder(B)], left, &[Holder(B), Calm(300), Holder(B)]],
        ),
    ]);
}
