//! Results of checks and orders of administrators, applied to a farm, and the log lines that tell of them.
//!
//! The words are haproxy's: alerting matches them. Every change of one server goes through here, one at a time, from
//! whatever thread it comes.

use std::fmt::Write as _;
use std::time::Duration;

use super::agent::AgentReply;
use super::observe::Evidence;
use super::saved::Saved;
use super::{CheckResult, CheckStatus, Health, OnError, Outcome, Pace};
use crate::balance::farm::{Change, Farm};
use crate::balance::server_state::{AdminState, Report, Running, ServerState, Shut};
use crate::log::syslog::Level;
use crate::proxy::Place;
use crate::resolvers::message::Name;

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
    /// An administrator.
    Operator,
    /// What a file says of the process before this one.
    Restored,
}

/// Who says in which way a server is administered.
#[derive(Debug, Clone, Copy)]
enum Order<'a> {
    /// An administrator.
    Own(AdminState),
    /// The server that it tracks.
    Followed(Leader<'a>),
    /// The name that it is found by leads somewhere again.
    Resolves(&'a str),
    /// It does not, and why.
    DoesNotResolve(&'a str),
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
        let state = pace.fraction(after, server.weight());
        events.push(check_event(subject, server, "Health", &state, &result));
    }
    if matches!(outcome, Outcome::Passed | Outcome::Conditional) {
        server.forget_errors();
    }
    server.set_health_counter(after.counter);
    report.last = result;
    let told = if every { None } else { Some(report.last.clone()) };
    let running = if server.agent_down() { Running::Down } else { after.running };
    run(subject, server, &mut report, running, Cause::Check(told.as_ref()), now_ms, &mut events);
    events
}

/// Applies what `error-limit` errors of traffic in a row mean; `last` is the last of them.
pub fn analyzed(subject: Subject<'_>, pace: &Pace, last: Evidence, every: bool, now_ms: u64) -> Vec<Event> {
    let Some(server) = subject.server() else { return Vec::new() };
    let observation = server.settings().observation;
    if server.admin() == AdminState::Maint || server.running() == Running::Down {
        return Vec::new();
    }
    server.report().analyzed += 1;
    if observation.on_error == OnError::FastInter {
        return Vec::new();
    }
    let health = Health { counter: server.health_counter(), running: server.running() };
    server.set_health_counter(pace.before_error(health, observation.on_error).counter);
    let info = format!("Detected {} consecutive errors, last one was: {}", observation.error_limit, last.text());
    let result = CheckResult { status: CheckStatus::Analyzed, info, ..CheckResult::default() };
    checked(subject, pace, result, every, now_ms)
}

/// Applies what an agent said, or why it could not be asked, which says nothing of the server.
pub fn agent_asked(
    subject: Subject<'_>,
    reply: Result<AgentReply, CheckResult>,
    duration: Duration,
    every: bool,
    now_ms: u64,
) -> Vec<Event> {
    let Some(server) = subject.server().filter(|server| server.asks_agent()) else { return Vec::new() };
    let mut events = Vec::new();
    let result = match reply {
        Ok(reply) => {
            if let Some(admin) = reply.admin {
                events.extend(administered(subject, admin, now_ms));
            }
            if let Some(weight) = reply.weight(server.settings().weight) {
                events.extend(weighted(subject, weight, now_ms));
            }
            if let Some(maxconn) = reply.maxconn {
                subject.farm.set_maxconn(subject.index, maxconn);
            }
            reply.result()
        }
        Err(result) => result,
    };
    let result = CheckResult { duration, ..result };
    let mut report = server.report();
    let was_down = server.agent_down();
    let is_down = match result.status {
        CheckStatus::L7Ok => false,
        CheckStatus::L7Status => true,
        // That it cannot be reached is for the health check to judge.
        _ => was_down,
    };
    let news = was_down != is_down || report.last_agent.status != result.status;
    if every && news && result.status.outcome() != Outcome::Neutral {
        let state = if is_down { "0/1 DOWN" } else { ["1/1 DRAIN", "1/1 UP"][usize::from(server.weight() > 0)] };
        events.push(check_event(subject, server, "Agent", state, &result));
    }
    server.set_agent_down(is_down);
    report.last_agent = result;
    let told = if every { None } else { Some(report.last_agent.clone()) };
    if is_down != was_down && server.admin() != AdminState::Maint {
        let running = healthy(server, &report);
        run(subject, server, &mut report, running, Cause::Check(told.as_ref()), now_ms, &mut events);
    }
    events
}

/// An administrator's word on what the agent says.
pub fn agent_forced(subject: Subject<'_>, down: bool, now_ms: u64) -> Vec<Event> {
    let Some(server) = subject.server() else { return Vec::new() };
    let mut report = server.report();
    let mut events = Vec::new();
    server.set_agent_down(down);
    if server.admin() != AdminState::Maint {
        let running = healthy(server, &report);
        run(subject, server, &mut report, running, Cause::Operator, now_ms, &mut events);
    }
    events
}

/// An administrator's word on what the checks say.
pub fn health_forced(subject: Subject<'_>, running: Running, now_ms: u64) -> Vec<Event> {
    let Some(server) = subject.server() else { return Vec::new() };
    let mut report = server.report();
    let mut events = Vec::new();
    let (rise, fall) = (server.settings().rise, server.settings().fall);
    server.set_health_counter(if running == Running::Down { 0 } else { (rise + fall).saturating_sub(1) });
    if server.admin() != AdminState::Maint {
        let running = if server.agent_down() { Running::Down } else { running };
        run(subject, server, &mut report, running, Cause::Operator, now_ms, &mut events);
    }
    events
}

/// Makes a server what the process before this one left, as a file tells it.
pub fn restored(subject: Subject<'_>, saved: &Saved) -> Vec<Event> {
    let Some(server) = subject.server() else { return Vec::new() };
    let mut events = Vec::new();
    let settings = server.settings();
    let place = saved.place(&server.location().get(), settings.watched.as_ref());
    let resolves = place.ip().is_some();
    subject.farm.set_place(subject.index, place);
    if resolves {
        subject.farm.set_unresolved(subject.index, false);
    }
    // Another weight in the configuration is a newer wish.
    if saved.configured_weight == settings.weight {
        subject.farm.set_weight(subject.index, saved.weight);
    }
    if let Some(admin) = saved.admin().filter(|_| settings.admin != AdminState::Maint) {
        subject.farm.set_admin(subject.index, admin);
    }
    let mut report = server.report();
    if let Some(status) = saved.status() {
        report.last.status = status;
    }
    let (running, counter) = saved.health(settings.rise, settings.fall);
    server.set_health_counter(counter);
    if server.admin() == AdminState::Maint {
        report.downs += 1;
    } else {
        run(subject, server, &mut report, running, Cause::Restored, 0, &mut events);
        if running == Running::Up {
            remains_drained(subject, server, &mut events);
        }
    }
    report.before = Duration::from_secs(saved.seconds);
    if running == Running::Down || server.admin() == AdminState::Maint {
        report.downtime = Duration::ZERO;
    }
    events
}

/// A new weight, 0 to 256.
pub fn weighted(subject: Subject<'_>, weight: u32, now_ms: u64) -> Vec<Event> {
    let Some(server) = subject.server().filter(|server| server.weight() != weight) else { return Vec::new() };
    let _one_at_a_time = server.report();
    let mut events = Vec::new();
    let change = subject.farm.set_weight(subject.index, weight);
    remains_drained(subject, server, &mut events);
    last_server(subject, change, now_ms, &mut events);
    events
}

/// What a server's line says about sessions, its own and those of backup servers, when it has just gone or come.
fn shut_sessions(subject: Subject<'_>, server: &ServerState) {
    let settings = server.settings();
    if !server.reachable() {
        if settings.shut_when_down {
            subject.farm.shut_sessions(subject.index, Shut::Down);
        }
    } else if settings.shut_backups_when_up && !settings.backup && server.eligible() {
        subject.farm.shut_backup_sessions();
    }
}

/// What checks and agent together make of a server.
fn healthy(server: &ServerState, report: &Report) -> Running {
    if server.agent_down() || server.health_counter() < server.settings().rise {
        Running::Down
    } else if report.last.status.outcome() == Outcome::Conditional {
        Running::Stopping
    } else {
        Running::Up
    }
}

fn remains_drained(subject: Subject<'_>, server: &ServerState, events: &mut Vec<Event>) {
    if server.admin() == AdminState::Drain {
        let text = format!("{} {} remains in forced drain mode.", prefix(server), subject.name(server));
        events.push(Event { level: Level::Notice, text });
    }
}

fn prefix(server: &ServerState) -> &'static str {
    if server.settings().backup { "Backup Server" } else { "Server" }
}

/// What a tracked server is, for those that follow it.
#[derive(Debug, Clone, Copy)]
pub struct Leader<'a> {
    /// `backend/server`.
    pub name: &'a str,
    /// Its health.
    pub running: Running,
    /// What the administrator said of it.
    pub admin: AdminState,
    /// Its agent says that it is not well.
    pub agent_down: bool,
}

/// A server follows the one it tracks.
pub fn followed(subject: Subject<'_>, leader: Leader<'_>, now_ms: u64) -> Vec<Event> {
    let Some(server) = subject.server() else { return Vec::new() };
    let mut events = administer(subject, Order::Followed(leader), now_ms);
    let mut report = server.report();
    server.set_agent_down(leader.agent_down);
    if server.admin() != AdminState::Maint {
        run(subject, server, &mut report, leader.running, Cause::Tracked(leader.name), now_ms, &mut events);
    }
    events
}

/// Carries out an administrator's order; nothing happens if it is already so.
pub fn administered(subject: Subject<'_>, wanted: AdminState, now_ms: u64) -> Vec<Event> {
    administer(subject, Order::Own(wanted), now_ms)
}

/// A server is at another address. `by` says who knows: `dns/ns1`.
pub fn moved(subject: Subject<'_>, place: Place, by: &str) -> Vec<Event> {
    let Some(server) = subject.server() else { return Vec::new() };
    let _one_at_a_time = server.report();
    let shown = |place: &Place| place.ip().map_or_else(|| "(none)".to_owned(), |ip| ip.to_string());
    let (before, after) = (shown(&server.location().get()), shown(&place));
    subject.farm.set_place(subject.index, place);
    if before == after {
        return Vec::new();
    }
    let text = format!("{} changed its IP from {before} to {after} by {by}.", subject.name(server));
    vec![Event { level: Level::Notice, text }]
}

/// An administrator has moved a server. One whose name led nowhere is back.
pub fn relocated(subject: Subject<'_>, place: Place, now_ms: u64) -> Vec<Event> {
    let Some(server) = subject.server() else { return Vec::new() };
    let host = place.host.clone().unwrap_or_default();
    subject.farm.set_place(subject.index, place);
    if server.is_unresolved() { administer(subject, Order::Resolves(&host), now_ms) } else { Vec::new() }
}

/// Two servers cannot be told apart by the cookie values that are computed of their addresses.
pub fn equal_cookies(subject: Subject<'_>) -> Vec<Event> {
    let name = &subject.farm.settings().name;
    let text = format!(
        "We generated two equal cookies for two different servers.\nPlease change the secret key for '{name}'."
    );
    vec![Event { level: Level::Warning, text }]
}

/// A server has another name. `by` says whose word that is.
pub fn renamed(subject: Subject<'_>, name: &Name, by: &str) -> Option<Event> {
    let server = subject.server()?;
    let place = server.location().get();
    let before = place.host.as_deref().unwrap_or("(null)");
    let text = format!("{} changed its FQDN from {before} to {name} by '{by}'", subject.name(server));
    Some(Event { level: Level::Notice, text })
}

/// The name of a server has another address, or one again. `own_answer`: it was asked for, rather than told along with an SRV
/// record.
pub fn resolved(subject: Subject<'_>, place: Place, by: &str, own_answer: bool, now_ms: u64) -> Vec<Event> {
    let Some(server) = subject.server() else { return Vec::new() };
    let host = place.host.clone().unwrap_or_default();
    let mut events = moved(subject, place, by);
    if server.is_unresolved() {
        events.extend(administer(subject, Order::Resolves(&host), now_ms));
        if own_answer {
            let text = format!(
                "{} {} administratively READY thanks to valid DNS answer.",
                prefix(server),
                subject.name(server)
            );
            events.push(Event { level: Level::Notice, text });
        }
    }
    events
}

/// The name of a server has no address any more: `DNS NX status`. It is left at `place`.
pub fn unresolved(subject: Subject<'_>, place: Place, reason: &str, now_ms: u64) -> Vec<Event> {
    let events = administer(subject, Order::DoesNotResolve(reason), now_ms);
    subject.farm.set_place(subject.index, place);
    events
}

/// Nothing happens if it is already so.
fn carry_out(subject: Subject<'_>, server: &ServerState, order: Order<'_>) -> Option<Change> {
    let (farm, index) = (subject.farm, subject.index);
    match order {
        Order::Own(wanted) => (server.admin_by(false) != wanted).then(|| farm.set_admin(index, wanted)),
        Order::Followed(leader) => {
            (server.admin_by(true) != leader.admin).then(|| farm.set_inherited_admin(index, leader.admin))
        }
        Order::Resolves(_) => server.is_unresolved().then(|| farm.set_unresolved(index, false)),
        Order::DoesNotResolve(_) => (!server.is_unresolved()).then(|| farm.set_unresolved(index, true)),
    }
}

fn administer(subject: Subject<'_>, order: Order<'_>, now_ms: u64) -> Vec<Event> {
    let Some(server) = subject.server() else { return Vec::new() };
    let mut report = server.report();
    let (before, was_running, sessions) = (server.admin(), server.running(), server.served());
    let Some(mut change) = carry_out(subject, server, order) else { return Vec::new() };
    let after = server.admin();
    if before == AdminState::Maint && after != AdminState::Maint {
        // It comes back as it was at start: up, with little credit.
        server.set_health_counter(server.settings().rise);
        let running = match order {
            Order::Followed(leader) => leader.running,
            Order::Own(_) | Order::Resolves(_) | Order::DoesNotResolve(_) if server.agent_down() => Running::Down,
            Order::Own(_) | Order::Resolves(_) | Order::DoesNotResolve(_) => Running::Up,
        };
        let again = subject.farm.set_running(subject.index, running);
        change = Change { usable: again.usable, found_first: change.found_first || again.found_first, ..change };
    }
    let mut events = Vec::new();
    let level = if after == AdminState::Maint && before != after && was_running != Running::Down {
        report.downs += 1;
        let was_drained = matches!(order, Order::DoesNotResolve(_)) && before == AdminState::Drain;
        if was_drained { Level::Notice } else { Level::Alert }
    } else {
        Level::Notice
    };
    let name = format!("{} {}", prefix(server), subject.name(server));
    for text in admin_texts(&name, server, (before, was_running), order, |went_down| {
        if went_down { left(server, change, sessions) } else { online(server, change) }
    }) {
        events.push(Event { level, text });
    }
    if before != after && (before == AdminState::Maint || after == AdminState::Maint) {
        shut_sessions(subject, server);
    }
    if before != after {
        note_change(&mut report, was_running == Running::Down || before == AdminState::Maint, now_ms);
    }
    last_server(subject, change, now_ms, &mut events);
    events
}

/// What is said of a server that is now administered in another way than before. `counted` tells of those that are left, or that
/// are there.
fn admin_texts(
    name: &str,
    server: &ServerState,
    (before, was_running): (AdminState, Running),
    order: Order<'_>,
    counted: impl Fn(bool) -> String,
) -> Vec<String> {
    let (via, maintenance) = match order {
        Order::Own(_) => (String::new(), "leaving forced maintenance"),
        Order::Followed(leader) => (format!(" via {}", leader.name), "leaving maintenance"),
        Order::Resolves(_) => (String::new(), "resolves again"),
        Order::DoesNotResolve(reason) => (format!(" ({reason})"), ""),
    };
    let found = match order {
        Order::Resolves(host) => format!(" ('{host}')"),
        Order::Own(_) | Order::Followed(_) | Order::DoesNotResolve(_) => String::new(),
    };
    let state = if server.running() == Running::Down { "DOWN" } else { "UP" };
    match (before, server.admin()) {
        (AdminState::Maint, AdminState::Maint) => match order {
            Order::Own(AdminState::Maint) if !server.is_unresolved() => {
                vec![format!("{name} remains in forced maintenance.")]
            }
            Order::Own(AdminState::Ready | AdminState::Drain) if server.is_unresolved() => {
                vec![format!("{name} is leaving forced maintenance but remains in maintenance.")]
            }
            Order::Resolves(_) => vec![format!("{name}{found} resolves again but remains in maintenance.")],
            Order::Own(AdminState::Maint) | Order::DoesNotResolve(_) => Vec::new(),
            Order::Own(_) | Order::Followed(_) => vec![format!("{name} remains in forced maintenance.")],
        },
        (AdminState::Drain, AdminState::Drain) => vec![format!("{name} remains in forced drain mode.")],
        (AdminState::Ready, AdminState::Ready) => Vec::new(),
        (_, AdminState::Maint) if was_running == Running::Down => {
            vec![format!("{name} was DOWN and now enters maintenance{via}.")]
        }
        (_, AdminState::Maint) => vec![format!("{name} is going DOWN for maintenance{via}.{}", counted(true))],
        (AdminState::Maint, AdminState::Ready) => vec![format!("{name}{found} is {state}/READY ({maintenance}).")],
        (AdminState::Maint, AdminState::Drain) => vec![
            format!("{name}{found} is {state}/DRAIN ({maintenance})."),
            format!("{name} remains in forced drain mode."),
        ],
        (AdminState::Ready, AdminState::Drain) => {
            vec![format!("{name} enters drain state{via}.{}", counted(was_running == Running::Down))]
        }
        (AdminState::Drain, AdminState::Ready) => vec![format!("{name} is {state} (leaving forced drain).")],
    }
}

/// `kind` is `Health` or `Agent`, `state` what comes of it: `2/3 UP`.
fn check_event(subject: Subject<'_>, server: &ServerState, kind: &str, state: &str, result: &CheckResult) -> Event {
    let verdict = match result.status.outcome() {
        Outcome::Passed => "succeeded",
        Outcome::Conditional => "conditionally succeeded",
        Outcome::Failed | Outcome::Neutral => "failed",
    };
    let text = format!(
        "{kind} check for {}server {} {verdict}{}, status: {state}.",
        if server.settings().backup { "backup " } else { "" },
        subject.name(server),
        reason(result),
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
        let _ = write!(text, ", info: \"{}\"", visible(&result.info));
    }
    if result.status != CheckStatus::Analyzed {
        let _ = write!(text, ", check duration: {}ms", result.duration.as_millis());
    }
    text
}

/// A text of somebody else's, with what could be taken for the end of it as `<22>`.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, ' '..='~') && character != '"' {
            shown.push(character);
        } else {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                let _ = write!(shown, "<{byte:02X}>");
            }
        }
    }
    shown
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
    let prefix = prefix(server);
    let name = subject.name(server);
    let why = match cause {
        Cause::Check(None) => String::new(),
        Cause::Check(Some(result)) => reason(result),
        Cause::Tracked(tracked) => format!(" via {tracked}"),
        Cause::Operator => ", changed from CLI".to_owned(),
        Cause::Restored => ", changed from server-state after a reload".to_owned(),
    };
    let (level, text) = match running {
        Running::Down => {
            report.downs += 1;
            let left = left(server, change, sessions);
            (Level::Alert, format!("{prefix} {name} is DOWN{why}.{left}"))
        }
        Running::Stopping => (Level::Notice, format!("{prefix} {name} is stopping{why}.{}", online(server, change))),
        Running::Up => (Level::Notice, format!("{prefix} {name} is UP{why}.{}", online(server, change))),
    };
    events.push(Event { level, text });
    remains_drained(subject, server, events);
    shut_sessions(subject, server);
    if running == Running::Down || before == Running::Down {
        note_change(report, before == Running::Down, now_ms);
    }
    last_server(subject, change, now_ms, events);
}

fn note_change(report: &mut Report, was_down: bool, now_ms: u64) {
    if was_down {
        report.downtime += Duration::from_millis(now_ms.saturating_sub(report.since_ms)) + report.before;
    }
    report.before = Duration::ZERO;
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

fn left(server: &ServerState, change: Change, sessions: u32) -> String {
    format!(
        "{} {sessions} sessions active, {} requeued, {} remaining in queue.",
        counts(change, "left"),
        change.requeued,
        server.queued(),
    )
}

fn online(server: &ServerState, change: Change) -> String {
    let (counts, requeued) = (counts(change, "online"), change.requeued);
    format!("{counts} {requeued} sessions requeued, {} total in queue.", server.queued())
}
