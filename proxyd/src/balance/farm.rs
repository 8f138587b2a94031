//! One backend's servers as all workers share them: who is eligible, how many slots each has, who waits.
//!
//! A worker that finds a free slot touches one atomic and no lock. The lock is for the queues, and for the rare
//! moments when the state of a server changes. Changes end in a new epoch, by which each worker's
//! [`Dispatcher`](super::dispatcher::Dispatcher) notices that its own view is stale.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, PoisonError, Weak};

use arc_swap::{ArcSwap, Guard};

use super::Algorithm;
use super::hash::{Affinity, HashType};
use super::persist::values::{Computed, Values};
use super::persist::{CookieSettings, Redispatch};
use super::queue::Queues;
use super::server_state::{AdminState, Report, Running, ServerState, Shut};
use super::sync::{AtomicU32, Mutex, MutexGuard};
use crate::health::Observe;
use crate::proxy::place::Place;

/// What the configuration says of a backend, as far as balancing cares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FarmSettings {
    /// The backend's name.
    pub name: String,
    /// `balance`.
    pub algorithm: Algorithm,
    /// `hash-type`.
    pub hash_type: HashType,
    /// `hash-balance-factor` in percent of the average load; 0 means unbounded.
    pub balance_factor: u32,
    /// `hash-preserve-affinity`.
    pub affinity: Affinity,
    /// `option allbackups`: all backup servers share the load, not only the first one.
    pub all_backups: bool,
    /// `fullconn`: with so many requests in the backend, servers with a `minconn` reach their `maxconn`.
    pub fullconn: u32,
    /// `cookie`.
    pub cookie: Option<CookieSettings>,
    /// `dynamic-cookie-key`.
    pub dynamic_cookie_key: Option<String>,
    /// `option redispatch`.
    pub redispatch: Option<Redispatch>,
    /// `option persist`: a dead server is tried when persistence says so.
    pub persist: bool,
}

/// How many servers a farm can use right now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usable {
    /// Servers that are not backup servers.
    pub active: u32,
    /// Backup servers, whether or not their turn has come.
    pub backup: u32,
}

/// What a change of a server's state did to the requests that waited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    /// Servers left after the change.
    pub usable: Usable,
    /// Requests that waited for the server and were told to choose another one, or that now got a slot.
    pub requeued: u32,
    /// Whether the last usable server has just gone.
    pub lost_last: bool,
    /// Whether there is a usable server again.
    pub found_first: bool,
}

/// One backend's servers.
#[derive(Debug)]
pub struct Farm {
    settings: FarmSettings,
    servers: Box<[Arc<ServerState>]>,
    /// Which servers each cookie value means, and how values are computed.
    cookie_values: ArcSwap<Values>,
    computed: Mutex<Computed>,
    /// Whether some server's limit depends on the number of requests in the backend.
    dynamic: bool,
    /// Whether some server is watched by its traffic (`observe`).
    observes: bool,
    epoch: AtomicU32,
    /// Requests in the backend, served or waiting; counted only when some limit depends on it.
    sessions: AtomicU32,
    pub(super) queues: Queues,
    report: Mutex<Report>,
    /// How often sessions were shut down.
    shuts: AtomicU32,
    /// The farm of the generation before that has servers in common with this one: who waits there came first.
    older: OnceLock<Weak<Self>>,
    /// The farm of the generation after.
    newer: OnceLock<Weak<Self>>,
}

impl Farm {
    /// A farm of these servers, in the order of their lines.
    pub fn new(settings: FarmSettings, servers: Vec<Arc<ServerState>>) -> Arc<Self> {
        // A `maxconn` that is no more than the `minconn` may be raised later.
        let dynamic = servers.iter().any(|server| server.settings().minconn != 0);
        let observes = servers.iter().any(|server| server.settings().observation.observe != Observe::None);
        let computed = Computed {
            enabled: settings.cookie.as_ref().is_some_and(|cookie| cookie.dynamic),
            key: settings.dynamic_cookie_key.clone(),
        };
        let farm = Self {
            cookie_values: ArcSwap::from_pointee(Values::new(&servers, &computed)),
            computed: Mutex::new(computed),
            queues: Queues::new(servers.len()),
            settings,
            servers: servers.into(),
            dynamic,
            observes,
            epoch: AtomicU32::new(0),
            sessions: AtomicU32::new(0),
            report: Mutex::default(),
            shuts: AtomicU32::new(0),
            older: OnceLock::new(),
            newer: OnceLock::new(),
        };
        farm.refresh_eligible();
        Arc::new(farm)
    }

    /// Takes the place of a farm with which it shares servers: their slots serve those who wait in either.
    pub fn succeed(self: &Arc<Self>, older: &Arc<Self>) {
        // Both are set once: a farm is built for one generation and replaced in one.
        let _ = self.older.set(Arc::downgrade(older));
        let _ = older.newer.set(Arc::downgrade(self));
    }

    /// Hands free slots of a server to those who wait for it in the farms before this one, or after it.
    fn serve_kin(&self, server: &Arc<ServerState>, next: impl Fn(&Self) -> Option<Arc<Self>>) {
        let mut kin = next(self);
        while let Some(farm) = kin {
            if farm.queues.waiting() != 0
                && let Some(index) = farm.servers.iter().position(|known| Arc::ptr_eq(known, server))
            {
                farm.queues.serve(&farm, &[index]);
            }
            kin = next(&farm);
        }
    }

    /// What was configured.
    pub fn settings(&self) -> &FarmSettings {
        &self.settings
    }

    /// The servers in the order of their lines.
    pub fn servers(&self) -> &[Arc<ServerState>] {
        &self.servers
    }

    /// The values of the persistence cookie as they are now.
    pub fn cookie_values(&self) -> Guard<Arc<Values>> {
        self.cookie_values.load()
    }

    /// Changes how cookie values are computed.
    pub fn compute_cookies(&self, change: impl FnOnce(&mut Computed)) {
        let mut computed = self.computed.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut computed);
        self.cookie_values.store(Arc::new(Values::new(&self.servers, &computed)));
    }

    /// Changes whenever a server's eligibility or weight does.
    pub fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Requests that wait for any server of the backend.
    pub fn queued(&self) -> u32 {
        self.queues.in_backend()
    }

    /// Requests that wait for this backend or for one of its servers.
    pub fn queued_in_total(&self) -> u32 {
        self.queues.waiting()
    }

    /// The most requests that waited for any server.
    pub fn queued_max(&self) -> u32 {
        self.queues.in_backend_max()
    }

    /// Forgets it (`clear counters`).
    pub fn forget_highest(&self) {
        self.queues.forget_highest();
    }

    /// The backend's own past: it is down when no server is usable.
    pub fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether traffic tells of the health of any server here; asked without a look at one.
    pub fn observes(&self) -> bool {
        self.observes
    }

    /// How many servers are usable.
    pub fn usable(&self) -> Usable {
        let mut usable = Usable::default();
        for server in &self.servers {
            match (server.usable(), server.settings().backup) {
                (true, false) => usable.active += 1,
                (true, true) => usable.backup += 1,
                (false, _) => {}
            }
        }
        usable
    }

    /// The limit of requests served by a server right now; 0 means none.
    ///
    /// With a `minconn` it grows with the number of requests in the backend until `fullconn` is reached. A server
    /// that starts slowly is granted its share, at least one.
    pub fn limit(&self, index: usize) -> u32 {
        let Some(server) = self.servers.get(index) else { return 0 };
        let maxconn = server.maxconn();
        let minconn = server.settings().minconn;
        let sessions = self.sessions.load(Ordering::SeqCst);
        let limit = if maxconn == 0 {
            return 0;
        } else if minconn == 0 || minconn >= maxconn || sessions >= self.settings.fullconn {
            maxconn
        } else {
            let share = u64::from(sessions) * u64::from(maxconn) / u64::from(self.settings.fullconn);
            minconn.max(u32::try_from(share).unwrap_or(maxconn))
        };
        match server.ramp() {
            100 => limit,
            percent => (limit * percent / 100).max(1),
        }
    }

    /// Counts a request that entered the backend, until the guard is dropped.
    ///
    /// Only needed where limits depend on it, but harmless elsewhere: it costs nothing there.
    pub fn enter(self: &Arc<Self>) -> Presence {
        if !self.dynamic {
            return Presence(None);
        }
        self.sessions.fetch_add(1, Ordering::SeqCst);
        // A limit may have grown past the slots taken while others wait.
        if self.queues.waiting() != 0 {
            self.serve_all();
        }
        Presence(Some(Arc::clone(self)))
    }

    /// Whether a server would take a request at once.
    pub fn has_room(&self, index: usize) -> bool {
        let limit = self.limit(index);
        self.servers.get(index).is_some_and(|server| server.queued() == 0 && (limit == 0 || server.served() < limit))
    }

    /// Takes a slot of a server unless it is full or others wait for it.
    pub(super) fn try_take(&self, index: usize) -> bool {
        let Some(server) = self.servers.get(index) else { return false };
        let others_wait = server.queued() != 0 || (self.queued() != 0 && server.eligible());
        !others_wait && server.take_below(self.limit(index))
    }

    /// Gives a slot back and hands it to the request that waited longest, if any.
    ///
    /// A waiter counts itself before it looks for a free slot one last time, and this looks for waiters after the
    /// slot is free; all of it is sequentially consistent, so that one of the two sees the other.
    pub(super) fn release(&self, index: usize) {
        let Some(server) = self.servers.get(index) else { return };
        server.give_back();
        if self.older.get().is_some() {
            self.serve_kin(server, |farm| farm.older.get()?.upgrade());
        }
        if self.queues.waiting() != 0 {
            self.queues.serve(self, &[index]);
        }
        if self.newer.get().is_some() {
            self.serve_kin(server, |farm| farm.newer.get()?.upgrade());
        }
    }

    /// Hands every free slot to those who wait.
    fn serve_all(&self) -> u32 {
        let all: Vec<usize> = (0..self.servers.len()).collect();
        self.queues.serve(self, &all)
    }

    /// The administrator's word.
    pub fn set_admin(&self, index: usize, admin: AdminState) -> Change {
        self.change(index, |server| server.set_admin(admin, false))
    }

    /// The administrator's word on the server that it tracks.
    pub fn set_inherited_admin(&self, index: usize, admin: AdminState) -> Change {
        self.change(index, |server| server.set_admin(admin, true))
    }

    /// What health has found.
    pub fn set_running(&self, index: usize, running: Running) -> Change {
        self.change(index, |server| server.set_running(running))
    }

    /// Another place. What is computed of addresses is so anew.
    pub fn set_place(&self, index: usize, place: Place) -> Change {
        let Some(server) = self.servers.get(index) else { return Change::default() };
        if **server.location().get() == place {
            return Change { usable: self.usable(), ..Change::default() };
        }
        let change = self.change(index, |server| server.location().set(place));
        self.compute_cookies(|_| ());
        change
    }

    /// Whether its name has no address, which takes it out of service.
    pub fn set_unresolved(&self, index: usize, unresolved: bool) -> Change {
        self.change(index, |server| server.set_unresolved(unresolved))
    }

    /// A new weight, 0 to 256.
    pub fn set_weight(&self, index: usize, weight: u32) -> Change {
        self.change(index, |server| server.set_weight(weight))
    }

    /// A new limit of requests served; 0 means none.
    pub fn set_maxconn(&self, index: usize, maxconn: u32) -> Change {
        self.change(index, |server| server.set_maxconn(maxconn))
    }

    /// How far a slow start has come, in percent.
    pub fn set_ramp(&self, index: usize, percent: u32) -> Change {
        self.change(index, |server| server.set_ramp(percent))
    }

    /// Shuts down the sessions of a server; they see it when they are woken.
    pub fn shut_sessions(&self, index: usize, why: Shut) {
        if let Some(server) = self.servers.get(index) {
            server.shut(why);
            self.shuts.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Shuts down the sessions of all backup servers.
    pub fn shut_backup_sessions(&self) {
        for (index, _) in self.servers.iter().enumerate().filter(|(_, server)| server.settings().backup) {
            self.shut_sessions(index, Shut::Up);
        }
    }

    /// How often sessions were shut down: whether somebody must wake them.
    pub fn shuts(&self) -> u32 {
        self.shuts.load(Ordering::Relaxed)
    }

    fn change(&self, index: usize, apply: impl FnOnce(&ServerState)) -> Change {
        let Some(server) = self.servers.get(index) else { return Change::default() };
        let before = self.usable();
        let _held = self.queues.writers();
        apply(server);
        self.refresh_eligible();
        let mut requeued = 0;
        if !server.reachable() && self.settings.redispatch.is_some() && !self.settings.persist {
            requeued = self.queues.redistribute(self, index);
        }
        if self.queues.waiting() != 0 {
            requeued += self.serve_all();
        }
        let usable = self.usable();
        let (had, has) = (before != Usable::default(), usable != Usable::default());
        Change { usable, requeued, lost_last: had && !has, found_first: !had && has }
    }

    /// Recomputes who may be chosen: the active servers, or when there is none the first backup server or all.
    fn refresh_eligible(&self) {
        let any_active = self.servers.iter().any(|server| server.usable() && !server.settings().backup);
        let mut backups_left = if any_active {
            0
        } else if self.settings.all_backups {
            usize::MAX
        } else {
            1
        };
        for server in &self.servers {
            let eligible = server.usable()
                && if server.settings().backup {
                    let chosen = backups_left > 0;
                    backups_left = backups_left.saturating_sub(1);
                    chosen
                } else {
                    true
                };
            server.set_eligible(eligible);
        }
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }
}

/// A request counted in its backend.
#[derive(Debug)]
pub struct Presence(Option<Arc<Farm>>);

impl Drop for Presence {
    fn drop(&mut self) {
        if let Some(farm) = &self.0 {
            farm.sessions.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
