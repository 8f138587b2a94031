//! Results of checks and orders of administrators, applied to a farm, and the log lines that tell of them.
//!
//! The words are haproxy's: alerting matches them. Every change of one server goes through here, one at a time, from
//! whatever thread it comes.

use std::fmt::Write as _;
use std::time::Duration;

use super::{CheckResult, Health, Outcome, Pace};
use crate::balance::farm::{Change, Farm};
use crate::balance::server_state::{AdminState, Report, Running, ServerState};
use crate::log::syslog::Level;

/// A line for the backend's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// How grave it is.
    pub level: Level,
    /// What happened.
    pub text: String,
}

/// Why a server's state changed.
#[derive(Debug, Clone, Copy)]
enum Cause<'a> {
    /// The last check, told elsewhere already when every check is logged.
    Check(Option<&'a CheckResult>),
    /// The server it tracks, as `backend/server`.
    Tracked(&'a str),
}

/// A server by its rank in a farm.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The backend.
    pub farm: &'a Farm,
    /// The rank.
    pub index: usize,
}

impl<'a> Subject<'a> {
    fn server(self) -> Option<&'a ServerState> {
        self.farm.servers().get(self.index).map(|server| &**server)
    }

    fn name(self, server: &ServerState) -> String {
        format!("{}/{}", self.farm.settings().name, server.name())
    }
}

/// Applies the result of a check. `every` is `option log-health-checks`, `now_ms` any clock that never goes back.
pub fn checked(subject: Subject<'_>, pace: &Pace, result: CheckResult, every: bool, now_ms: u64) -> Vec<Event> {
    let Some(server) = subject.server() else { return Vec::new() };
    let mut report = server.report();
    if server.admin() == AdminState::Maint {
        return Vec::new();
    }
    let before = Health { counter: server.health_counter(), running: server.running() };
    let outcome = result.status.outcome();
    let after = pace.judge(before, outcome);
    let mut events = Vec::new();
    if outcome == Outcome::Failed && before.counter > 0 {
        report.failed_checks += 1;
    }
    let news = before.counter != after.counter || report.last.status != result.status;
    if every && news {
        events.push(check_event(subject, server, pace, after, &result));
    }
    server.set_health_counter(after.counter);
    report.last = result;
    let told = if every { None } else { Some(report.last.clone()) };
    run(subject, server, &mut report, after.running, Cause::Check(told.as_ref()), now_ms, &mut events);
    events
}

/// A server follows the one it tracks, named `backend/server`.
pub fn followed(subject: Subject<'_>, running: Running, tracked: &str, now_ms: u64) -> Vec<Event> {
    let Some(server) = subject.server() else { return Vec::new() };
    let mut report = server.report();
    let mut events = Vec::new();
    if server.admin() != AdminState::Maint {
        let (rise, fall) = (server.settings().rise, server.settings().fall);
        server.set_health_counter(if running == Running::Down { 0 } else { (rise + fall).saturating_sub(1) });
        run(subject, server, &mut report, running, Cause::Tracked(tracked), now_ms, &mut events);
    }
    events
}

/// Carries out an administrator's order; nothing happens if it is already so.
pub fn administered(subject: Subject<'_>, wanted: AdminState, now_ms: u64) -> Vec<Event> {
    let Some(server) = subject.server() else { return Vec::new() };
    let mut report = server.report();
    let before = server.admin();
    if before == wanted {
        return Vec::new();
    }
    let was_running = server.running();
    let sessions = server.served();
    if before == AdminState::Maint {
        // It comes back as it was at start: up, with little credit.
        server.set_health_counter(server.settings().rise);
        subject.farm.set_running(subject.index, Running::Up);
    }
    let change = subject.farm.set_admin(subject.index, wanted);
    let mut events = Vec::new();
    let name = subject.name(server);
    let prefix = if server.settings().backup { "Backup Server" } else { "Server" };
    let state = if server.running() == Running::Down { "DOWN" } else { "UP" };
    let mut say = |level, text| events.push(Event { level, text });
    match (before, wanted) {
        (_, AdminState::Maint) if was_running == Running::Down => {
            say(Level::Notice, format!("{prefix} {name} was DOWN and now enters maintenance."));
        }
        (_, AdminState::Maint) => {
            let left = left(subject, server, change, sessions);
            say(Level::Alert, format!("{prefix} {name} is going DOWN for maintenance.{left}"));
            report.downs += 1;
        }
        (AdminState::Maint, AdminState::Ready) => {
            say(Level::Notice, format!("{prefix} {name} is {state}/READY (leaving forced maintenance)."));
        }
        (AdminState::Maint, AdminState::Drain) => {
            say(Level::Notice, format!("{prefix} {name} is {state}/DRAIN (leaving forced maintenance)."));
            say(Level::Notice, format!("{prefix} {name} remains in forced drain mode."));
        }
        (AdminState::Ready | AdminState::Drain, AdminState::Drain) => {
            let online = online(subject, server, change);
            say(Level::Notice, format!("{prefix} {name} enters drain state.{online}"));
        }
        (AdminState::Ready | AdminState::Drain, AdminState::Ready) => {
            say(Level::Notice, format!("{prefix} {name} is {state} (leaving forced drain)."));
        }
    }
    note_change(&mut report, was_running == Running::Down || before == AdminState::Maint, now_ms);
    last_server(subject, change, now_ms, &mut events);
    events
}

fn check_event(subject: Subject<'_>, server: &ServerState, pace: &Pace, after: Health, result: &CheckResult) -> Event {
    let verdict = match result.status.outcome() {
        Outcome::Passed => "succeeded",
        Outcome::Conditional => "conditionally succeeded",
        Outcome::Failed => "failed",
    };
    let text = format!(
        "Health check for {}server {} {verdict}{}, status: {}.",
        if server.settings().backup { "backup " } else { "" },
        subject.name(server),
        reason(result),
        pace.fraction(after),
    );
    Event { level: Level::Notice, text }
}

/// `, reason: Layer7 wrong status, code: 500, info: "…", check duration: 3ms`.
fn reason(result: &CheckResult) -> String {
    let mut text = format!(", reason: {}", result.status.description());
    if let Some(code) = result.code {
        let _ = write!(text, ", code: {code}");
    }
    if !result.info.is_empty() {
        let _ = write!(text, ", info: \"{}\"", result.info);
    }
    let _ = write!(text, ", check duration: {}ms", result.duration.as_millis());
    text
}

/// Lets a server run, stop or die, and tells of it.
fn run(
    subject: Subject<'_>,
    server: &ServerState,
    report: &mut Report,
    running: Running,
    cause: Cause<'_>,
    now_ms: u64,
    events: &mut Vec<Event>,
) {
    let before = server.running();
    if before == running {
        return;
    }
    let sessions = server.served();
    let change = subject.farm.set_running(subject.index, running);
    let prefix = if server.settings().backup { "Backup Server" } else { "Server" };
    let name = subject.name(server);
    let why = match cause {
        Cause::Check(None) => String::new(),
        Cause::Check(Some(result)) => reason(result),
        Cause::Tracked(tracked) => format!(" via {tracked}"),
    };
    let (level, text) = match running {
        Running::Down => {
            report.downs += 1;
            let left = left(subject, server, change, sessions);
            (Level::Alert, format!("{prefix} {name} is DOWN{why}.{left}"))
        }
        Running::Stopping => {
            (Level::Notice, format!("{prefix} {name} is stopping{why}.{}", online(subject, server, change)))
        }
        Running::Up => (Level::Notice, format!("{prefix} {name} is UP{why}.{}", online(subject, server, change))),
    };
    events.push(Event { level, text });
    if running == Running::Down || before == Running::Down {
        note_change(report, before == Running::Down, now_ms);
    }
    last_server(subject, change, now_ms, events);
}

fn note_change(report: &mut Report, was_down: bool, now_ms: u64) {
    if was_down {
        report.downtime += Duration::from_millis(now_ms.saturating_sub(report.since_ms));
    }
    report.since_ms = now_ms;
}

/// The backend's own state follows that of its servers.
fn last_server(subject: Subject<'_>, change: Change, now_ms: u64, events: &mut Vec<Event>) {
    if change.lost_last {
        let text = format!("backend {} has no server available!", subject.farm.settings().name);
        events.push(Event { level: Level::Emergency, text });
        let mut report = subject.farm.report();
        report.downs += 1;
        note_change(&mut report, false, now_ms);
    } else if change.found_first {
        note_change(&mut subject.farm.report(), true, now_ms);
    }
}

fn counts(change: Change, word: &str) -> String {
    let running_on_backup =
        if change.usable.active == 0 && change.usable.backup > 0 { " Running on backup." } else { "" };
    let (active, backup) = (change.usable.active, change.usable.backup);
    format!(" {active} active and {backup} backup servers {word}.{running_on_backup}")
}

fn left(subject: Subject<'_>, server: &ServerState, change: Change, sessions: u32) -> String {
    let remaining = subject.farm.queued() + server.queued();
    format!(
        "{} {sessions} sessions active, {} requeued, {remaining} remaining in queue.",
        counts(change, "left"),
        change.requeued
    )
}

fn online(subject: Subject<'_>, server: &ServerState, change: Change) -> String {
    let waiting = subject.farm.queued() + server.queued();
    format!("{} {} sessions requeued, {waiting} total in queue.", counts(change, "online"), change.requeued)
}
