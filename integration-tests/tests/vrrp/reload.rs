//! SIGHUP. keepalived dies of a bad file and leaves its addresses behind, so the tests of bad files are for ours only.

use crate::node::{SLACK, VIP, conf, pair};
use integration_tests::lab::Lab;
use integration_tests::subject::Subject;
use integration_tests::wait;
use nix::sys::signal::Signal;
use std::time::Duration;

const OURS: (Subject, Subject) = (Subject::Ours, Subject::Ours);

#[test]
fn an_unchanged_instance_stays_master() {
    let Some(lab) = Lab::or_skip() else { return };
    let (mut first, second) = pair(&lab, OURS, "");
    for times in 1..=5 {
        first.daemon().signal(Signal::SIGHUP).unwrap();
        first.wait_for_line("Reload complete", times);
    }
    assert!(first.has_vip() && !second.has_vip());
    assert_eq!(first.log().matches("Entering").count(), 2, "BACKUP and MASTER, once each:\n{}", first.log());
    assert!(!second.log().contains("Receive advertisement timeout"), "{}", second.log());
}

#[test]
fn a_storm_of_signals_does_not_keep_adverts_from_leaving() {
    let Some(lab) = Lab::or_skip() else { return };
    let (mut first, second) = pair(&lab, OURS, "");
    for _ in 0..300 {
        first.daemon().signal(Signal::SIGHUP).unwrap();
        wait::pause(Duration::from_millis(3));
    }
    first.wait_for_line("Reload complete", 20);
    assert!(first.has_vip() && !second.has_vip());
    assert_eq!(first.log().matches("Entering").count(), 2, "BACKUP and MASTER, once each:\n{}", first.log());
}

#[test]
fn a_bad_file_changes_nothing_and_says_why() {
    let Some(lab) = Lab::or_skip() else { return };
    let (mut first, second) = pair(&lab, OURS, "");
    first.configure(&conf(150, "").replace("virtual_router_id 51", "virtual_router_id 0"));
    first.daemon().signal(Signal::SIGHUP).unwrap();
    first.wait_for_line("New config failed validation", 1);
    assert!(first.log().contains("the virtual router id must be set"), "{}", first.log());
    wait::pause(Duration::from_millis(500));
    assert!(first.has_vip() && !second.has_vip());
    first.configure(&conf(150, ""));
    first.daemon().signal(Signal::SIGHUP).unwrap();
    first.wait_for_line("Reload complete", 1);
    assert!(first.has_vip());
}

#[test]
fn addresses_and_priority_change_under_a_master() {
    let Some(lab) = Lab::or_skip() else { return };
    let (mut first, second) = pair(&lab, OURS, "");
    first.configure(&conf(50, "").replace("192.0.2.50/24", "192.0.2.50/24\n    192.0.2.60/24"));
    first.daemon().signal(Signal::SIGHUP).unwrap();
    first.wait_for_line("Reload complete", 1);
    let added = "192.0.2.60".parse().unwrap();
    wait::until("the new address is there", SLACK, || first.host.has_address(added).unwrap().then_some(())).unwrap();
    second.wait_for_vip("100 is better than 50 now", Duration::from_millis(361));
    first.wait_for_no_vip("the worse one yields", Duration::from_millis(361));
    wait::until("the new address is gone as well", SLACK, || (!first.host.has_address(added).unwrap()).then_some(()))
        .unwrap();
}

#[test]
fn an_address_that_somebody_removes_is_put_back() {
    let Some(lab) = Lab::or_skip() else { return };
    let (first, second) = pair(&lab, OURS, "");
    first.host.sh(&format!("ip address del {VIP}/24 dev eth0")).unwrap();
    first.wait_for_line("putting it back", 1);
    first.wait_for_vip("it is there again", Duration::ZERO);
    assert!(!second.has_vip());
}
