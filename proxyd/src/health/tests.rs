//! The arithmetic of rise and fall, and the log lines as haproxy 2.6 wrote them.

use std::sync::Arc;
use std::time::Duration;

use super::change::{Event, Leader, Subject, administered, checked, followed};
use super::{CheckResult, CheckStatus, Health, InitState, Outcome, Pace, ramp};
use crate::balance::farm::{Farm, FarmSettings};
use crate::balance::server_state::{AdminState, Running, ServerSettings, ServerState};
use crate::log::syslog::Level;

fn pace() -> Pace {
    Pace { rise: 2, fall: 3, ..Pace::default() }
}

#[test]
fn the_first_failure_after_a_start_takes_a_server_down() {
    let start = pace().initial(InitState::Up);
    assert_eq!(pace().judge(start, Outcome::Failed), Health { counter: 0, running: Running::Down });
    assert_eq!(pace().judge(start, Outcome::Passed), Health { counter: 4, running: Running::Up });
}

#[test]
fn a_settled_server_falls_and_rises() {
    let mut health = pace().initial(InitState::FullyUp);
    let mut seen = vec![pace().fraction(health, 1)];
    for outcome in
        [Outcome::Failed, Outcome::Failed, Outcome::Failed, Outcome::Failed, Outcome::Passed, Outcome::Passed]
    {
        health = pace().judge(health, outcome);
        seen.push(pace().fraction(health, 1));
    }
    assert_eq!(seen, ["3/3 UP", "2/3 UP", "1/3 UP", "0/2 DOWN", "0/2 DOWN", "1/2 DOWN", "3/3 UP"]);
}

#[test]
fn intervals_follow_the_state() {
    let pace = Pace { fastinter: Some(Duration::from_secs(1)), downinter: Some(Duration::from_secs(5)), ..pace() };
    let interval = |counter, running| pace.interval(Health { counter, running }).as_secs();
    assert_eq!([interval(4, Running::Up), interval(3, Running::Up), interval(0, Running::Down)], [2, 1, 5]);
    assert_eq!(interval(1, Running::Down), 1);
    assert_eq!(ramp(Duration::from_secs(3), Duration::from_secs(10)), 30);
    assert_eq!(ramp(Duration::ZERO, Duration::from_secs(10)), 1);
    assert_eq!(ramp(Duration::from_secs(30), Duration::from_secs(10)), 100);
}

fn farm() -> Arc<Farm> {
    let servers = (1..=4).map(|id| {
        let backup = id == 3;
        let settings =
            ServerSettings { id, name: format!("s{id}"), checked: id != 4, backup, ..ServerSettings::default() };
        Arc::new(ServerState::new(settings))
    });
    Farm::new(FarmSettings { name: "b".into(), ..FarmSettings::default() }, servers.collect())
}

fn texts(events: &[Event]) -> Vec<(Level, &str)> {
    events.iter().map(|event| (event.level, event.text.as_str())).collect()
}

fn failed() -> CheckResult {
    CheckResult {
        status: CheckStatus::L7Status,
        code: Some(500),
        info: "Internal Server Error".into(),
        duration: Duration::from_millis(2),
    }
}

fn passed() -> CheckResult {
    CheckResult { status: CheckStatus::L7Ok, code: Some(200), info: String::new(), duration: Duration::from_millis(3) }
}

fn leader(running: Running, admin: AdminState) -> Leader<'static> {
    Leader { name: "plain/s1", running, admin, agent_down: false }
}

#[test]
fn lines_of_a_server_that_dies_and_comes_back() {
    let farm = farm();
    let subject = Subject { farm: &farm, index: 0 };
    let down = checked(subject, &pace(), failed(), false, 1000);
    assert_eq!(
        texts(&down),
        [(
            Level::Alert,
            "Server b/s1 is DOWN, reason: Layer7 wrong status, code: 500, info: \"Internal Server Error\", \
             check duration: 2ms. 2 active and 1 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."
        )]
    );
    assert_eq!(farm.servers()[0].status_text(), "DOWN");
    assert!(checked(subject, &pace(), passed(), false, 2000).is_empty());
    assert_eq!(farm.servers()[0].status_text(), "DOWN 1/2");
    let up = checked(subject, &pace(), passed(), false, 3000);
    assert_eq!(
        texts(&up),
        [(
            Level::Notice,
            "Server b/s1 is UP, reason: Layer7 check passed, code: 200, check duration: 3ms. \
             3 active and 1 backup servers online. 0 sessions requeued, 0 total in queue."
        )]
    );
    let report = farm.servers()[0].report().clone();
    assert_eq!((report.failed_checks, report.downs, report.since_ms), (1, 1, 3000));
    assert_eq!(report.downtime, Duration::from_secs(2));
}

#[test]
fn every_check_that_changes_something_is_logged_on_request() {
    let farm = farm();
    let subject = Subject { farm: &farm, index: 2 };
    let first = checked(subject, &pace(), passed(), true, 0);
    assert_eq!(
        texts(&first),
        [(
            Level::Notice,
            "Health check for backup server b/s3 succeeded, reason: Layer7 check passed, code: 200, \
             check duration: 3ms, status: 3/3 UP."
        )]
    );
    assert!(checked(subject, &pace(), passed(), true, 0).is_empty());
    let failures: Vec<Event> = (0..3).flat_map(|_| checked(subject, &pace(), failed(), true, 0)).collect();
    let failures = texts(&failures);
    assert!(failures[0].1.ends_with("status: 2/3 UP."), "{failures:?}");
    assert!(failures[2].1.ends_with("status: 0/2 DOWN."), "{failures:?}");
    assert_eq!(
        failures[3],
        (
            Level::Alert,
            "Backup Server b/s3 is DOWN. 3 active and 0 backup servers left. \
             0 sessions active, 0 requeued, 0 remaining in queue."
        )
    );
}

#[test]
fn lines_of_an_administrator() {
    let farm = farm();
    let order = |index, admin| {
        let events = administered(Subject { farm: &farm, index }, admin, 0);
        events.into_iter().map(|event| event.text).collect::<Vec<_>>()
    };
    let tail = "0 sessions active, 0 requeued, 0 remaining in queue.";
    assert_eq!(
        order(0, AdminState::Drain),
        [
            "Server b/s1 enters drain state. 2 active and 1 backup servers online. 0 sessions requeued, 0 total in queue."
        ]
    );
    assert_eq!(farm.servers()[0].status_text(), "DRAIN");
    assert_eq!(order(0, AdminState::Ready), ["Server b/s1 is UP (leaving forced drain)."]);
    assert_eq!(
        order(0, AdminState::Maint),
        [format!("Server b/s1 is going DOWN for maintenance. 2 active and 1 backup servers left. {tail}")]
    );
    assert!(order(0, AdminState::Maint).is_empty());
    assert_eq!(
        order(0, AdminState::Drain),
        ["Server b/s1 is UP/DRAIN (leaving forced maintenance).", "Server b/s1 remains in forced drain mode."]
    );
    order(0, AdminState::Maint);
    order(1, AdminState::Maint);
    assert_eq!(
        order(3, AdminState::Maint),
        [format!(
            "Server b/s4 is going DOWN for maintenance. 0 active and 1 backup servers left. Running on backup. {tail}"
        )]
    );
    assert_eq!(
        order(2, AdminState::Maint),
        [
            format!("Backup Server b/s3 is going DOWN for maintenance. 0 active and 0 backup servers left. {tail}"),
            "backend b has no server available!".into()
        ]
    );
    assert_eq!(order(0, AdminState::Ready), ["Server b/s1 is UP/READY (leaving forced maintenance)."]);
    assert_eq!(farm.servers()[0].status_text(), "UP 1/3");
    // A check that was under way when maintenance began says nothing.
    assert!(checked(Subject { farm: &farm, index: 1 }, &pace(), failed(), true, 0).is_empty());
}

#[test]
fn a_server_follows_the_one_it_tracks_and_one_that_wants_no_clients() {
    let farm = farm();
    let subject = Subject { farm: &farm, index: 0 };
    let down = followed(subject, leader(Running::Down, AdminState::Ready), 0);
    assert_eq!(
        texts(&down)[0].1,
        "Server b/s1 is DOWN via plain/s1. 2 active and 1 backup servers left. \
         0 sessions active, 0 requeued, 0 remaining in queue."
    );
    let up = followed(subject, leader(Running::Up, AdminState::Ready), 0);
    assert_eq!(
        texts(&up)[0].1,
        "Server b/s1 is UP via plain/s1. 3 active and 1 backup servers online. 0 sessions requeued, 0 total in queue."
    );
    let conditional = CheckResult { status: CheckStatus::L7OkConditionally, code: Some(404), ..passed() };
    let stopping = checked(subject, &pace(), conditional, true, 0);
    assert_eq!(
        texts(&stopping),
        [
            (
                Level::Notice,
                "Health check for server b/s1 conditionally succeeded, reason: Layer7 check conditionally passed, \
                 code: 404, check duration: 3ms, status: 3/3 UP."
            ),
            (
                Level::Notice,
                "Server b/s1 is stopping. 2 active and 1 backup servers online. 0 sessions requeued, 0 total in queue."
            )
        ]
    );
    assert_eq!(farm.servers()[0].status_text(), "NOLB");
}
