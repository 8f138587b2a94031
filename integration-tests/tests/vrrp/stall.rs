//! A daemon that does not run for a while. keepalived fights when it wakes up; ours listens first.

use crate::node::{conf, pair};
use integration_tests::lab::Lab;
use integration_tests::subject::Subject;
use integration_tests::wait;
use nix::sys::signal::Signal;
use std::time::Duration;

#[test]
fn a_stalled_master_steps_down_when_it_wakes_up() {
    let Some(lab) = Lab::or_skip() else { return };
    let (mut first, second) = pair(&lab, (Subject::Ours, Subject::Ours), "  nopreempt\n");
    assert!(conf(150, "").contains("advert_int 0.1"));
    first.daemon().signal(Signal::SIGSTOP).unwrap();
    second.wait_for_vip("the backup takes over", Duration::from_millis(361));
    // Long enough for the stall to be one whatever the machine does.
    wait::pause(Duration::from_secs(1));
    assert!(first.has_vip(), "a stopped process removes nothing");
    first.daemon().signal(Signal::SIGCONT).unwrap();
    first.wait_for_no_vip("it steps down", Duration::from_millis(100));
    wait::pause(Duration::from_secs(1));
    assert!(second.has_vip() && !first.has_vip());
    assert!(first.log().contains("A thread timer expired"), "{}", first.log());
    let other = second.log();
    assert!(!other.contains("Master received advert"), "the new master was never challenged:\n{other}");
}
