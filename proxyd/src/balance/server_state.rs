//! What all workers know about a server right now: administrative state, health, weight, served requests.
//!
//! Everything a worker reads on its way is an atomic. The control thread writes; it goes through
//! [`Farm`](super::farm::Farm), which tells the workers and the queues that something changed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::health::CheckResult;

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
    /// The value of the persistence cookie that means this server.
    pub cookie: Option<String>,
    /// Whether its health is checked, by itself or through the server it tracks.
    pub checked: bool,
    /// Where it starts: `disabled` on its line means maintenance.
    pub admin: AdminState,
    /// Its address, for rings that are keyed by addresses.
    pub address: Option<SocketAddr>,
    /// Failed checks a settled server survives, and checks a dead one must pass: `fall` and `rise`, for display.
    pub fall: u32,
    /// See `fall`.
    pub rise: u32,
}

impl Default for ServerSettings {
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
            admin: AdminState::Ready,
            address: None,
            fall: 3,
            rise: 2,
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
    status: AtomicU32,
    weight: AtomicU32,
    /// Percentage of weight and limit granted during a slow start, 100 outside of one.
    ramp: AtomicU32,
    /// The counter behind "UP 1/3" and "DOWN 1/2".
    health: AtomicU32,
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
    /// Failed checks while there was health to lose.
    pub failed_checks: u64,
    /// How often it went down.
    pub downs: u64,
    /// When it last went up or down, in the milliseconds of the clock that changes are told with.
    pub since_ms: u64,
    /// How long it was down in all, up to `since_ms`.
    pub downtime: Duration,
}

impl ServerState {
    /// A server at start: up with little credit (one failed check takes it down), or in maintenance.
    pub fn new(settings: ServerSettings) -> Self {
        let status = match settings.admin {
            AdminState::Ready => 0,
            AdminState::Drain => DRAIN,
            AdminState::Maint => MAINT,
        };
        Self {
            status: AtomicU32::new(status),
            weight: AtomicU32::new(settings.weight.min(WEIGHT_MAX)),
            ramp: AtomicU32::new(100),
            health: AtomicU32::new(settings.rise),
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

    /// What the administrator said.
    pub fn admin(&self) -> AdminState {
        let status = self.status.load(Ordering::Relaxed);
        if status & MAINT != 0 {
            AdminState::Maint
        } else if status & DRAIN != 0 {
            AdminState::Drain
        } else {
            AdminState::Ready
        }
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

    /// The past, for the statistics. Whoever changes the server holds this, so keep it no longer than a look takes.
    pub fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counter behind "UP 1/3" and "DOWN 1/2".
    pub fn health_counter(&self) -> u32 {
        self.health.load(Ordering::Relaxed)
    }

    /// The configured ceiling of requests served at a time, as it is now; 0 means none.
    pub fn maxconn(&self) -> u32 {
        self.maxconn.load(Ordering::Relaxed)
    }

    /// The state as the statistics show it: `UP`, `UP 1/3`, `DOWN 1/2`, `NOLB`, `DRAIN`, `MAINT`, `no check`.
    pub fn status_text(&self) -> String {
        let (rise, fall) = (self.settings.rise, self.settings.fall);
        let health = self.health.load(Ordering::Relaxed);
        match (self.admin(), self.running()) {
            (AdminState::Maint, _) => "MAINT".into(),
            (_, Running::Down) if health == 0 => "DOWN".into(),
            (_, Running::Down) => format!("DOWN {health}/{rise}"),
            (AdminState::Drain, Running::Up | Running::Stopping) => "DRAIN".into(),
            (AdminState::Ready, Running::Stopping) => "NOLB".into(),
            (AdminState::Ready, Running::Up) if !self.settings.checked => "no check".into(),
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

    pub(super) fn set_admin(&self, admin: AdminState) {
        let bits = match admin {
            AdminState::Ready => 0,
            AdminState::Drain => DRAIN,
            AdminState::Maint => MAINT,
        };
        self.replace_bits(MAINT | DRAIN, bits);
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

/// Keeps a maximum; in steady state this only reads.
pub(super) fn raise(maximum: &AtomicU32, value: u32) {
    if maximum.load(Ordering::Relaxed) < value {
        maximum.fetch_max(value, Ordering::Relaxed);
    }
}
