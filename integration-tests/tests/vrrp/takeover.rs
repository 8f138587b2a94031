//! Who has the address after a stop, a death, a pulled cable.

use crate::node::{SLACK, pair};
use integration_tests::lab::Lab;
use integration_tests::subject::Subject;
use nix::sys::signal::Signal;
use std::time::Duration;

/// Three adverts and the skew of priority 100, at 100 ms.
const DOWN: Duration = Duration::from_millis(361);

fn subjects() -> (Subject, Subject) {
    (Subject::from_env(), Subject::from_env())
}

#[test]
fn a_stop_hands_over_and_a_start_takes_back() {
    let Some(lab) = Lab::or_skip() else { return };
    let (mut first, second) = pair(&lab, subjects(), "");
    first.daemon().signal(Signal::SIGTERM).unwrap();
    second.wait_for_vip("the backup takes over", DOWN);
    assert!(first.daemon().wait(SLACK).unwrap().success());
    assert!(!first.has_vip(), "{}", first.log());
    assert!(second.log().contains("(VI_1) Backup received priority 0 advertisement"), "{}", second.log());
    first.run();
    first.wait_for_vip("the better one takes back", DOWN);
    second.wait_for_no_vip("the other one yields", DOWN);
    second.wait_for_line("(VI_1) Master received advert from 192.0.2.11 with higher priority 150, ours 100", 1);
}

#[test]
fn a_killed_daemon_leaves_the_address_and_the_next_start_removes_it() {
    let Some(lab) = Lab::or_skip() else { return };
    // keepalived's parent respawns its child at once, so this is about ours.
    let (mut first, second) = pair(&lab, (Subject::Ours, Subject::from_env()), "");
    first.daemon().signal(Signal::SIGKILL).unwrap();
    second.wait_for_vip("the backup takes over", DOWN);
    assert!(first.has_vip(), "nobody was left to remove it");
    second.daemon.as_ref().unwrap().signal(Signal::SIGSTOP).unwrap();
    first.run();
    first.wait_for_no_vip("the stale address is removed", DOWN);
    first.wait_for_vip("and put there again by the election", DOWN);
    second.daemon.as_ref().unwrap().signal(Signal::SIGCONT).unwrap();
    second.wait_for_no_vip("the other one yields", DOWN);
}

#[test]
fn a_pulled_cable_moves_the_address_and_plugging_in_moves_it_back() {
    let Some(lab) = Lab::or_skip() else { return };
    let (first, second) = pair(&lab, subjects(), "");
    first.host.cut().unwrap();
    second.wait_for_vip("the backup takes over", DOWN);
    first.host.heal().unwrap();
    second.wait_for_no_vip("the better one is heard again", DOWN);
    assert!(first.has_vip());
}

#[test]
fn a_link_that_is_down_is_a_fault() {
    let Some(lab) = Lab::or_skip() else { return };
    let (first, second) = pair(&lab, subjects(), "");
    first.host.sh("ip link set eth0 down").unwrap();
    first.wait_for_line("(VI_1) Entering FAULT STATE", 1);
    assert!(first.log().contains("Netlink reports eth0 down"), "{}", first.log());
    second.wait_for_vip("the backup takes over", DOWN);
    first.wait_for_no_vip("the address leaves with the state", DOWN);
    first.host.sh("ip link set eth0 up").unwrap();
    first.wait_for_vip("the better one takes back", DOWN);
}

#[test]
fn nopreempt_waits_its_turn() {
    let Some(lab) = Lab::or_skip() else { return };
    let (mut first, second) = pair(&lab, subjects(), "  nopreempt\n");
    first.daemon().signal(Signal::SIGTERM).unwrap();
    second.wait_for_vip("the backup takes over", DOWN);
    first.daemon().wait(SLACK).unwrap();
    first.run();
    first.wait_for_line("(VI_1) Entering BACKUP STATE", 2);
    integration_tests::wait::pause(DOWN * 3);
    assert!(second.has_vip() && !first.has_vip(), "{}", first.log());
    second.daemon.as_ref().unwrap().signal(Signal::SIGTERM).unwrap();
    first.wait_for_vip("its turn has come", DOWN);
}
