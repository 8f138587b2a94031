//! What all workers know about a server right now: administrative state, health, weight, served requests.
//!
//! Everything a worker reads on its way is an atomic. The control thread writes; it goes through
//! [`Farm`](super::farm::Farm), which tells the workers and the queues that something changed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::hash::HashKey;
use super::sync::{AtomicU32, Mutex, MutexGuard};
use crate::health::{CheckResult, Observation};
use crate::proxy::address::ServerAddress;
use crate::proxy::place::{Location, Place};
use crate::resolvers::message::Name;

/// Ceiling of a configured weight.
pub const WEIGHT_MAX: u32 = 256;
/// A unit of configured weight counts as so many units inside the algorithms, which leaves room for fractions
/// while a server starts slowly.
pub const WEIGHT_SCALE: u32 = 16;

/// What the administrator wants of a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AdminState {
    /// In service as its health allows.
    #[default]
    Ready,
    /// No new clients; those that persistence sends there still come.
    Drain,
    /// Out of service, checks stopped.
    Maint,
}

/// What health says of a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Running {
    /// It takes requests.
    #[default]
    Up,
    /// It asked, through its checks, for no new clients.
    Stopping,
    /// It is dead.
    Down,
}

/// What the configuration says of a server, as far as balancing cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// The numeric id, unique in its backend (`id`, or the rank of its line counted from 1).
    pub id: u32,
    /// The name.
    pub name: String,
    /// The configured weight, 0 to 256.
    pub weight: u32,
    /// Used only when no other server is left.
    pub backup: bool,
    /// Requests served at a time; 0 means no limit.
    pub maxconn: u32,
    /// The limit while the backend has little to do; 0 means `maxconn`.
    pub minconn: u32,
    /// Requests that may wait for this very server; 0 means no limit.
    pub maxqueue: u32,
    /// The value of the persistence cookie that means this server; without one it may be computed.
    pub cookie: Option<String>,
    /// Whether its health is checked, by itself or through the server it tracks.
    pub checked: bool,
    /// Another server's health is its own (`track`).
    pub tracks: bool,
    /// Where it starts: `disabled` on its line means maintenance.
    pub admin: AdminState,
    /// The name that name servers are asked about.
    pub watched: Option<Name>,
    /// Where it is at first. One without an address waits in maintenance until it has one.
    pub place: Place,
    /// What places it on a consistent ring: `hash-key`.
    pub hash_key: HashKey,
    /// Failed checks a settled server survives, and checks a dead one must pass: `fall` and `rise`, for display.
    pub fall: u32,
    /// See `fall`.
    pub rise: u32,
    /// Whether an agent is asked about it.
    pub agent: bool,
    /// `on-marked-down shutdown-sessions`.
    pub shut_when_down: bool,
    /// `on-marked-up shutdown-backup-sessions`.
    pub shut_backups_when_up: bool,
    /// `observe` and what goes with it.
    pub observation: Observation,
}

/// Why the sessions of a server were shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// It went down.
    Down = 0,
    /// It is a backup server, and another one came up.
    Up = 1,
    /// An administrator wanted it.
    Killed = 2,
}

/// The lower bits of `ServerState::shut` say why, the others how often.
const SHUT_COUNT: u32 = 4;

impl ServerSettings {
    /// Whether a server with these settings is the one that had the others: where both are found by the same name, it does not
    /// matter where that led.
    pub fn is_same(&self, other: &Self) -> bool {
        let by_name = self.watched.is_some() || self.place.host.is_some();
        if !by_name || self.watched != other.watched || self.place.host != other.place.host {
            return self == other;
        }
        *self == Self { place: self.place.clone(), ..other.clone() }
    }
}

impl Default for ServerSettings {
    /// A server at no address in particular, but at one.
    fn default() -> Self {
        Self {
            id: 0,
            name: String::new(),
            weight: 1,
            backup: false,
            maxconn: 0,
            minconn: 0,
            maxqueue: 0,
            cookie: None,
            checked: false,
            tracks: false,
            admin: AdminState::Ready,
            watched: None,
            place: Place { address: ServerAddress::Destination, ..Place::default() },
            hash_key: HashKey::Id,
            fall: 3,
            rise: 2,
            agent: false,
            shut_when_down: false,
            shut_backups_when_up: false,
            observation: Observation::default(),
        }
    }
}

// The bits of `ServerState::status`.
const DOWN: u32 = 1;
const STOPPING: u32 = 1 << 1;
const MAINT: u32 = 1 << 2;
const DRAIN: u32 = 1 << 3;
const ELIGIBLE: u32 = 1 << 4;

/// The live state of one server.
///
/// It outlives a generation of the configuration: a server that did not change keeps its state.
#[derive(Debug)]
pub struct ServerState {
    settings: ServerSettings,
    location: Arc<Location>,
    status: AtomicU32,
    weight: AtomicU32,
    /// Percentage of weight and limit granted during a slow start, 100 outside of one.
    ramp: AtomicU32,
    /// The counter behind "UP 1/3" and "DOWN 1/2".
    health: AtomicU32,
    /// What the server that it tracks hands on to it, and what was said of itself; both count.
    inherited: AtomicU32,
    own: AtomicU32,
    /// It has no address, or its name none any more; that counts as maintenance.
    unresolved: AtomicBool,
    /// The agent says that it is not well.
    agent_down: AtomicBool,
    /// An administrator stopped asking the agent.
    agent_paused: AtomicBool,
    /// An administrator stopped the checks.
    check_paused: AtomicBool,
    /// Observed errors in a row.
    errors: AtomicU32,
    /// How often its sessions were shut down, and why they were last.
    shut: AtomicU32,
    maxconn: AtomicU32,
    served: AtomicU32,
    served_max: AtomicU32,
    queued: AtomicU32,
    queued_max: AtomicU32,
    report: Mutex<Report>,
}

/// What the statistics tell of the past of a server or of a backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The last check that ended.
    pub last: CheckResult,
    /// A check is under way.
    pub checking: bool,
    /// The last answer of its agent.
    pub last_agent: CheckResult,
    /// The agent is being asked.
    pub asking: bool,
    /// Checks that failed because traffic did.
    pub analyzed: u64,
    /// Failed checks while there was health to lose.
    pub failed_checks: u64,
    /// How often it went down.
    pub downs: u64,
    /// When it last went up or down, in the milliseconds of the clock that changes are told with.
    pub since_ms: u64,
    /// Where it last did so under another process: how long that was before this one.
    pub before: Duration,
    /// How long it was down in all, up to `since_ms`.
    pub downtime: Duration,
}

impl ServerState {
    /// A server at start: up with little credit (one failed check takes it down), or in maintenance.
    pub fn new(settings: ServerSettings) -> Self {
        Self::beginning_at(settings.place.clone(), settings)
    }

    /// A server at start, at a place that is not the configured one.
    pub fn beginning_at(place: Place, settings: ServerSettings) -> Self {
        let own = admin_bits(settings.admin);
        let unresolved = place.address == ServerAddress::Unresolved;
        let status = own | if unresolved { MAINT } else { 0 };
        Self {
            location: Arc::new(Location::new(place)),
            unresolved: AtomicBool::new(unresolved),
            status: AtomicU32::new(status),
            weight: AtomicU32::new(settings.weight.min(WEIGHT_MAX)),
            ramp: AtomicU32::new(100),
            health: AtomicU32::new(if status & MAINT != 0 { 0 } else { settings.rise }),
            inherited: AtomicU32::new(0),
            own: AtomicU32::new(own),
            agent_down: AtomicBool::new(false),
            agent_paused: AtomicBool::new(false),
            check_paused: AtomicBool::new(false),
            errors: AtomicU32::new(0),
            shut: AtomicU32::new(0),
            maxconn: AtomicU32::new(settings.maxconn.max(settings.minconn)),
            served: AtomicU32::new(0),
            served_max: AtomicU32::new(0),
            queued: AtomicU32::new(0),
            queued_max: AtomicU32::new(0),
            report: Mutex::default(),
            settings,
        }
    }

    /// What was configured.
    pub fn settings(&self) -> &ServerSettings {
        &self.settings
    }

    /// Where it is.
    pub fn location(&self) -> &Arc<Location> {
        &self.location
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// What health says.
    pub fn running(&self) -> Running {
        let status = self.status.load(Ordering::Relaxed);
        if status & DOWN != 0 {
            Running::Down
        } else if status & STOPPING != 0 {
            Running::Stopping
        } else {
            Running::Up
        }
    }

    /// What the administrator said, of this server or of the one that it tracks.
    pub fn admin(&self) -> AdminState {
        admin_state(self.status.load(Ordering::Relaxed))
    }

    /// What the administrator said of this very server, or of the one that it tracks.
    pub fn admin_by(&self, inherited: bool) -> AdminState {
        admin_state(if inherited { &self.inherited } else { &self.own }.load(Ordering::Relaxed))
    }

    /// Whether it is in maintenance because its name has no address.
    pub fn is_unresolved(&self) -> bool {
        self.unresolved.load(Ordering::Relaxed)
    }

    /// Whether a request that must go to this server may be sent to it: neither dead nor in maintenance.
    pub fn reachable(&self) -> bool {
        self.status.load(Ordering::Relaxed) & (DOWN | MAINT) == 0
    }

    /// Whether the algorithms may choose this server now; backup servers are eligible only when their turn has come.
    pub fn eligible(&self) -> bool {
        self.status.load(Ordering::SeqCst) & ELIGIBLE != 0
    }

    /// Whether the server would take new clients if nothing but itself mattered.
    pub(super) fn usable(&self) -> bool {
        self.status.load(Ordering::Relaxed) & (DOWN | STOPPING | MAINT | DRAIN) == 0 && self.weight() > 0
    }

    /// The weight now, 0 to 256.
    pub fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    /// The weight the algorithms use: scaled, and reduced during a slow start but never to nothing.
    pub fn effective_weight(&self) -> u32 {
        let scaled = self.weight() * WEIGHT_SCALE;
        (scaled * self.ramp.load(Ordering::Relaxed)).div_ceil(100)
    }

    /// Percentage of a slow start reached, 100 outside of one.
    pub fn ramp(&self) -> u32 {
        self.ramp.load(Ordering::Relaxed)
    }

    /// Requests being served, over all workers.
    pub fn served(&self) -> u32 {
        self.served.load(Ordering::SeqCst)
    }

    /// Requests waiting for this very server.
    pub fn queued(&self) -> u32 {
        self.queued.load(Ordering::SeqCst)
    }

    /// The most requests that were served at a time.
    pub fn served_max(&self) -> u32 {
        self.served_max.load(Ordering::Relaxed)
    }

    /// The most requests that waited for this very server.
    pub fn queued_max(&self) -> u32 {
        self.queued_max.load(Ordering::Relaxed)
    }

    /// Forgets how many were served and waited at most (`clear counters`).
    pub fn forget_highest(&self) {
        self.served_max.store(0, Ordering::Relaxed);
        self.queued_max.store(0, Ordering::Relaxed);
    }

    /// The past, for the statistics. Whoever changes the server holds this, so keep it no longer than a look takes.
    pub fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counter behind "UP 1/3" and "DOWN 1/2".
    pub fn health_counter(&self) -> u32 {
        self.health.load(Ordering::Relaxed)
    }

    /// Whether its agent says that it is not well.
    pub fn agent_down(&self) -> bool {
        self.agent_down.load(Ordering::Relaxed)
    }

    /// Notes what its agent says.
    pub fn set_agent_down(&self, down: bool) {
        self.agent_down.store(down, Ordering::Relaxed);
    }

    /// Whether its agent is asked now.
    pub fn asks_agent(&self) -> bool {
        self.settings.agent && !self.agent_paused.load(Ordering::Relaxed)
    }

    /// Stops asking its agent, or goes on.
    pub fn pause_agent(&self, paused: bool) {
        self.agent_paused.store(paused, Ordering::Relaxed);
    }

    /// Whether its health is checked now, by itself or through the server it tracks.
    pub fn is_checked(&self) -> bool {
        self.settings.checked && !self.check_paused.load(Ordering::Relaxed)
    }

    /// Stops checking it, or goes on.
    pub fn pause_checks(&self, paused: bool) {
        self.check_paused.store(paused, Ordering::Relaxed);
    }

    /// A good sign: observed errors are no longer in a row. In steady state this only reads.
    pub fn forget_errors(&self) {
        if self.errors.load(Ordering::Relaxed) != 0 {
            self.errors.store(0, Ordering::Relaxed);
        }
    }

    /// Another observed error; true if there were now as many in a row as are allowed, from when counting begins anew.
    pub fn add_error(&self) -> bool {
        let reached = self.errors.fetch_add(1, Ordering::Relaxed) + 1 >= self.settings.observation.error_limit;
        if reached {
            self.errors.store(0, Ordering::Relaxed);
        }
        reached
    }

    /// What [`ServerState::shut_since`] compares with: to be taken when a session gets its place.
    pub fn shut_mark(&self) -> u32 {
        self.shut.load(Ordering::Relaxed)
    }

    /// Whether sessions that got their place at `mark` must end, and why.
    pub fn shut_since(&self, mark: u32) -> Option<Shut> {
        let shut = self.shut.load(Ordering::Relaxed);
        (shut != mark).then_some(match shut % SHUT_COUNT {
            0 => Shut::Down,
            1 => Shut::Up,
            _ => Shut::Killed,
        })
    }

    pub(super) fn shut(&self, why: Shut) {
        let next = |shut: u32| Some((shut - shut % SHUT_COUNT).wrapping_add(SHUT_COUNT) | why as u32);
        // The closure always has a next value.
        let _ = self.shut.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    /// The configured ceiling of requests served at a time, as it is now; 0 means none.
    pub fn maxconn(&self) -> u32 {
        self.maxconn.load(Ordering::Relaxed)
    }

    /// The state as the statistics show it, without the name of a tracked server: `UP`, `UP 1/3`, `DOWN 1/2`, `DOWN (agent)`, `NOLB`, `DRAIN`, `DRAIN (agent)`, `MAINT`,
    /// `MAINT (resolution)`, `no check`.
    pub fn status_text(&self) -> String {
        let (rise, fall) = (self.settings.rise, self.settings.fall);
        let health = self.health.load(Ordering::Relaxed);
        match (self.admin(), self.running()) {
            (AdminState::Maint, _) if self.is_unresolved() => "MAINT (resolution)".into(),
            (AdminState::Maint, _) => "MAINT".into(),
            (_, Running::Down) if self.agent_down() => "DOWN (agent)".into(),
            (AdminState::Drain, Running::Up | Running::Stopping) if self.asks_agent() => "DRAIN (agent)".into(),
            (_, Running::Down) if health == 0 || self.settings.tracks => "DOWN".into(),
            (_, Running::Down) => format!("DOWN {health}/{rise}"),
            (AdminState::Drain, Running::Up | Running::Stopping) => "DRAIN".into(),
            (AdminState::Ready, Running::Stopping) if health + 1 < rise + fall && !self.settings.tracks => {
                format!("NOLB {}/{fall}", (health + 1).saturating_sub(rise))
            }
            (AdminState::Ready, Running::Stopping) => "NOLB".into(),
            (AdminState::Ready, Running::Up) if !self.is_checked() => "no check".into(),
            (AdminState::Ready, Running::Up) if self.settings.tracks => "UP".into(),
            (AdminState::Ready, Running::Up) if health + 1 < rise + fall => {
                format!("UP {}/{fall}", (health + 1).saturating_sub(rise))
            }
            (AdminState::Ready, Running::Up) => "UP".into(),
        }
    }

    /// Shows how many checks are still to pass or may still fail.
    pub fn set_health_counter(&self, health: u32) {
        self.health.store(health, Ordering::Relaxed);
    }

    pub(super) fn set_running(&self, running: Running) {
        let bits = match running {
            Running::Up => 0,
            Running::Stopping => STOPPING,
            Running::Down => DOWN,
        };
        self.replace_bits(DOWN | STOPPING, bits);
    }

    /// The caller holds the farm's lock.
    pub(super) fn set_admin(&self, admin: AdminState, inherited: bool) {
        if inherited { &self.inherited } else { &self.own }.store(admin_bits(admin), Ordering::Relaxed);
        self.sum_up();
    }

    /// The caller holds the farm's lock.
    pub(super) fn set_unresolved(&self, unresolved: bool) {
        self.unresolved.store(unresolved, Ordering::Relaxed);
        self.sum_up();
    }

    /// All that is said of it, by itself, by the server it tracks and by the name servers.
    fn sum_up(&self) {
        let unresolved = if self.is_unresolved() { MAINT } else { 0 };
        let said = self.own.load(Ordering::Relaxed) | self.inherited.load(Ordering::Relaxed);
        self.replace_bits(MAINT | DRAIN, said | unresolved);
    }

    pub(super) fn set_eligible(&self, eligible: bool) {
        self.replace_bits(ELIGIBLE, if eligible { ELIGIBLE } else { 0 });
    }

    /// The caller holds the farm's lock, so that two writers never meet.
    fn replace_bits(&self, mask: u32, bits: u32) {
        let status = self.status.load(Ordering::SeqCst);
        self.status.store(status & !mask | bits, Ordering::SeqCst);
    }

    pub(super) fn set_weight(&self, weight: u32) {
        self.weight.store(weight.min(WEIGHT_MAX), Ordering::Relaxed);
    }

    pub(super) fn set_ramp(&self, percent: u32) {
        self.ramp.store(percent.clamp(1, 100), Ordering::Relaxed);
    }

    pub(super) fn set_maxconn(&self, maxconn: u32) {
        self.maxconn.store(maxconn, Ordering::Relaxed);
    }

    pub(super) fn add_queued(&self) {
        let queued = self.queued.fetch_add(1, Ordering::SeqCst) + 1;
        raise(&self.queued_max, queued);
    }

    pub(super) fn sub_queued(&self) {
        self.queued.fetch_sub(1, Ordering::SeqCst);
    }

    /// Takes a slot if fewer than `limit` are taken; 0 means no limit.
    pub(super) fn take_below(&self, limit: u32) -> bool {
        let before = if limit == 0 {
            Ok(self.served.fetch_add(1, Ordering::SeqCst))
        } else {
            let taken = |served: u32| (served < limit).then_some(served + 1);
            self.served.fetch_update(Ordering::SeqCst, Ordering::SeqCst, taken)
        };
        if let Ok(before) = before {
            raise(&self.served_max, before + 1);
        }
        before.is_ok()
    }

    pub(super) fn give_back(&self) {
        self.served.fetch_sub(1, Ordering::SeqCst);
    }
}

fn admin_bits(admin: AdminState) -> u32 {
    match admin {
        AdminState::Ready => 0,
        AdminState::Drain => DRAIN,
        AdminState::Maint => MAINT,
    }
}

/// Maintenance is stronger than drain.
fn admin_state(bits: u32) -> AdminState {
    if bits & MAINT != 0 {
        AdminState::Maint
    } else if bits & DRAIN != 0 {
        AdminState::Drain
    } else {
        AdminState::Ready
    }
}

/// Keeps a maximum; in steady state this only reads.
pub(super) fn raise(maximum: &AtomicU32, value: u32) {
    if maximum.load(Ordering::Relaxed) < value {
        maximum.fetch_max(value, Ordering::Relaxed);
    }
}
