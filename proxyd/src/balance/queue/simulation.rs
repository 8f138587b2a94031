//! Random arrivals, completions, departures, failures and orders, one after the other, on several workers' dispatchers;
//! what must hold is looked at after every one of them:
//!
//! - no server has more requests than its limit, which is computed here once more from the requests that are in the backend;
//! - of those who wait for a slot, whoever gets it has the lowest class, and in it came first (offsets counted in);
//! - no slot is idle while somebody waits who may have it;
//! - every request ends once: served, refused, or gone by itself.
//!
//! `PROXYD_QUEUE_SEEDS` sets how many seeds are tried (500 without it); a failure names its seed.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::{Outcome, Place, Priority};
use crate::balance::dispatcher::{Choice, Dispatcher, Slot, Wait, Waited, Wanted};
use crate::balance::farm::{Farm, FarmSettings, Presence};
use crate::balance::persist::Redispatch;
use crate::balance::server_state::{AdminState, Running, ServerSettings, ServerState};
use crate::balance::{Algorithm, KeySource};

#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// A request that waits, as the world outside sees it.
struct Waiter {
    wait: Pin<Box<Wait>>,
    woken: Arc<Woken>,
    place: Place,
    /// Its class and its arrival.
    key: (Priority, u64),
    wanted: Wanted,
    presence: Presence,
    worker: usize,
    /// It was there, and not woken yet, when everything was last looked at.
    was_waiting: bool,
}

struct World {
    random: Random,
    farm: Arc<Farm>,
    workers: Vec<Rc<Dispatcher>>,
    slots: Vec<(Slot, Presence)>,
    waiters: BTreeMap<u64, Waiter>,
    arrivals: u64,
    finished: u64,
    given_up: u64,
    refused: u64,
    served_before: Vec<u32>,
    /// The most requests that were in the backend since everything was last looked at.
    highest: u32,
}

/// A place as a key.
fn rank(place: Place) -> usize {
    match place {
        Place::Backend => usize::MAX,
        Place::Server(index) => index,
    }
}

fn algorithms(random: &mut Random) -> Algorithm {
    match random.below(6) {
        0 => Algorithm::RoundRobin,
        1 => Algorithm::StaticRr,
        2 => Algorithm::LeastConn,
        3 => Algorithm::First,
        4 => Algorithm::Random { draws: 2 },
        _ => Algorithm::Hash(KeySource::Source),
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            random.below(2);
        }
        let algorithm = algorithms(&mut random);
        let count = 1 + random.below(4);
        let dynamic = random.below(3) == 0;
        let servers = (1..).take(count).map(|id| {
            let maxconn = u32::try_from(1 + random.below(3)).unwrap();
            let minconn = u32::from(dynamic);
            let backup = random.below(5) == 0;
            let maxqueue = [0, 0, 1, 2][random.below(4)];
            let settings = ServerSettings { id, backup, maxconn, minconn, maxqueue, ..ServerSettings::default() };
            Arc::new(ServerState::new(settings))
        });
        let servers: Vec<_> = servers.collect();
        let settings = FarmSettings {
            algorithm,
            redispatch: (random.below(2) == 0).then_some(Redispatch { interval: -1 }),
            fullconn: if dynamic { 6 } else { 0 },
            persist: random.below(4) == 0,
            all_backups: random.below(2) == 0,
            ..FarmSettings::default()
        };
        let farm = Farm::new(settings, servers);
        let workers = (0..3).map(|worker| Dispatcher::new(Arc::clone(&farm), worker)).collect();
        Self {
            random,
            workers,
            slots: Vec::new(),
            waiters: BTreeMap::new(),
            arrivals: 0,
            finished: 0,
            given_up: 0,
            refused: 0,
            served_before: vec![0; farm.servers().len()],
            highest: 0,
            farm,
        }
    }

    fn arrive(&mut self) {
        let count = self.farm.servers().len();
        let class = i32::try_from(self.random.below(2)).unwrap();
        let wanted = Wanted {
            hash: Some(u32::try_from(self.random.below(1000)).unwrap()).filter(|hash| hash % 4 != 0),
            server: (self.random.below(4) == 0).then(|| self.random.below(count)),
            avoid: (self.random.below(8) == 0).then(|| self.random.below(count)),
            priority: Priority { class, time_ms: i64::try_from(self.random.below(3)).unwrap() },
        };
        let worker = self.random.below(self.workers.len());
        let presence = self.farm.enter();
        self.arrivals += 1;
        self.highest = self.highest.max(self.in_backend() + 1);
        self.choose(worker, wanted, presence);
    }

    /// Requests that are served, wait, or have a slot that they do not know of yet.
    fn in_backend(&self) -> u32 {
        u32::try_from(self.slots.len() + self.waiters.len()).unwrap()
    }

    /// What a server may have at a time with so many requests in the backend, by the manual.
    fn limit(&self, server: &ServerState, requests: u32) -> u32 {
        let (minconn, maxconn, fullconn) = (server.settings().minconn, server.maxconn(), self.farm.settings().fullconn);
        let limit = if minconn == 0 || minconn == maxconn || requests >= fullconn {
            maxconn
        } else {
            (requests * maxconn / fullconn).max(minconn)
        };
        (limit * server.ramp() / 100).max(1)
    }

    fn choose(&mut self, worker: usize, wanted: Wanted, presence: Presence) {
        let queued: Vec<u32> = self.farm.servers().iter().map(|server| server.queued()).collect();
        let queued_in_backend = self.farm.queued();
        match self.workers[worker].choose(&wanted) {
            Choice::Slot(slot) => {
                let eligible = slot.server().unwrap().eligible();
                assert!(queued[slot.index()] == 0 && (queued_in_backend == 0 || !eligible), "overtook those who wait");
                self.slots.push((slot, presence));
            }
            Choice::Wait(wait) => {
                let id = wait.sequence();
                let waiter = Waiter {
                    place: wait.place(),
                    key: (wanted.priority, id),
                    wait: Box::pin(wait),
                    woken: Arc::default(),
                    wanted,
                    presence,
                    worker,
                    was_waiting: false,
                };
                if let Place::Server(index) = waiter.place {
                    let maxqueue = self.farm.servers()[index].settings().maxqueue;
                    assert!(maxqueue == 0 || queued[index] < maxqueue, "more wait for a server than may");
                }
                assert!(self.waiters.insert(id, waiter).is_none(), "two of one number");
                self.poll(id);
            }
            Choice::QueueFull | Choice::NoServer => self.refused += 1,
        }
    }

    /// Polls one who waits, as its worker would after a wake-up.
    fn poll(&mut self, id: u64) {
        let Some(mut waiter) = self.waiters.remove(&id) else { return };
        let waker = Waker::from(Arc::clone(&waiter.woken));
        match waiter.wait.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => {
                self.waiters.insert(id, waiter);
            }
            Poll::Ready((Waited::Slot(slot), position)) => {
                assert!(position.server + position.backend > 0);
                self.slots.push((slot, waiter.presence));
            }
            Poll::Ready((Waited::ChooseAgain, _)) => self.choose(waiter.worker, waiter.wanted, waiter.presence),
        }
    }

    fn act(&mut self) {
        let count = self.farm.servers().len();
        let index = self.random.below(count);
        match self.random.below(20) {
            0..8 => self.arrive(),
            8..13 if !self.slots.is_empty() => {
                let slot = self.random.below(self.slots.len());
                drop(self.slots.swap_remove(slot));
                self.finished += 1;
            }
            13 if !self.waiters.is_empty() => {
                let nth = self.random.below(self.waiters.len());
                let id = *self.waiters.keys().nth(nth).unwrap();
                let waiter = self.waiters.remove(&id).unwrap();
                self.given_up += 1;
                drop(waiter.wait);
            }
            14 => {
                let running = [Running::Up, Running::Up, Running::Stopping, Running::Down][self.random.below(4)];
                self.farm.set_running(index, running);
            }
            15 => {
                let admin = [AdminState::Ready, AdminState::Ready, AdminState::Drain, AdminState::Maint];
                self.farm.set_admin(index, admin[self.random.below(4)]);
            }
            16 => {
                let weight = u32::try_from(self.random.below(3)).unwrap();
                self.farm.set_weight(index, weight);
            }
            17 => {
                let maxconn = u32::try_from(1 + self.random.below(4)).unwrap();
                self.farm.set_maxconn(index, maxconn);
            }
            18 => {
                let percent = [100, 100, 50, 1][self.random.below(4)];
                self.farm.set_ramp(index, percent);
            }
            _ => self.poll_woken(),
        }
    }

    fn poll_woken(&mut self) {
        let woken = |waiter: &Waiter| waiter.woken.0.load(Ordering::SeqCst) > 0;
        let ids: Vec<u64> = self.waiters.iter().filter(|(_, waiter)| woken(waiter)).map(|(&id, _)| id).collect();
        for id in ids {
            self.poll(id);
        }
    }

    fn look(&mut self) {
        let mut woken = 0;
        let mut still = BTreeMap::<usize, Vec<_>>::new();
        let mut granted = Vec::new();
        let ended = self.farm.queues.lock().ended.clone();
        for (id, waiter) in &mut self.waiters {
            let wakes = waiter.woken.0.load(Ordering::SeqCst);
            assert!(wakes <= 1, "woken {wakes} times");
            assert_eq!(wakes == 1, ended.contains_key(id), "woken in vain, or not at all");
            woken += wakes;
            if std::mem::replace(&mut waiter.was_waiting, wakes == 0) {
                match ended.get(id) {
                    Some((Outcome::Granted(index), _)) => granted.push((*index, waiter.place, waiter.key)),
                    Some((Outcome::Redistributed, _)) => {}
                    None => still.entry(rank(waiter.place)).or_default().push(waiter.key),
                }
            }
        }
        let first = |place| still.get(&rank(place)).and_then(|keys| keys.iter().min());
        for &(index, place, key) in &granted {
            // Whoever got a slot came before all who still wait in the same queue, and before those who wait in the
            // other queue of the server.
            let other = if place == Place::Backend || self.farm.servers()[index].eligible() {
                [Place::Backend, Place::Server(index)].map(first)
            } else {
                [first(place), None]
            };
            assert!(other.into_iter().flatten().all(|waiting| key < *waiting), "{key:?} overtook {other:?}");
        }
        assert_eq!(self.farm.queued_in_total(), u32::try_from(self.waiters.len()).unwrap() - woken);
        self.look_at_servers();
        let held = u32::try_from(self.slots.len()).unwrap();
        let taken: u32 = self.farm.servers().iter().map(|server| server.served()).sum();
        assert!(held <= taken && taken <= held + woken, "{held} held, {taken} taken, {woken} woken");
    }

    fn look_at_servers(&mut self) {
        let now = self.in_backend();
        let highest = std::mem::replace(&mut self.highest, now).max(now);
        for (index, server) in self.farm.servers().iter().enumerate() {
            let (served, limit) = (server.served(), self.limit(server, now));
            assert_eq!(limit, self.farm.limit(index));
            // Nobody is thrown out when a limit falls, but nobody comes in either.
            let allowed = self.limit(server, highest).max(self.served_before[index]);
            assert!(served <= allowed, "{served} served, {allowed} allowed");
            self.served_before[index] = served;
            if served < limit {
                assert_eq!(server.queued(), 0, "an idle slot of a server that is waited for");
                assert!(!server.eligible() || self.farm.queued() == 0, "an idle slot while others wait");
            }
        }
    }

    /// Everything ends well: all servers come back and all who wait are served.
    fn drain(mut self) {
        for index in 0..self.farm.servers().len() {
            self.farm.set_running(index, Running::Up);
            self.farm.set_admin(index, AdminState::Ready);
            self.farm.set_weight(index, 1);
            self.farm.set_ramp(index, 100);
            self.look();
            self.farm.set_maxconn(index, 2);
            self.look();
        }
        while !(self.slots.is_empty() && self.waiters.is_empty()) {
            let before = (self.slots.len(), self.waiters.len());
            self.poll_woken();
            if let Some(slot) = self.slots.pop() {
                drop(slot);
                self.finished += 1;
            }
            self.look();
            assert_ne!(before, (self.slots.len(), self.waiters.len()), "nothing moves any more");
        }
        assert_eq!(self.arrivals, self.finished + self.given_up + self.refused);
        assert!(self.farm.servers().iter().all(|server| server.served() == 0 && server.queued() == 0));
        assert_eq!(self.farm.queued_in_total(), 0);
    }
}

#[test]
fn limits_order_and_liveness_under_random_histories() {
    let seeds = std::env::var("PROXYD_QUEUE_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(500);
    for seed in 0..seeds {
        let failed = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..120 {
                world.act();
                world.look();
            }
            world.drain();
        });
        assert!(failed.is_ok(), "seed {seed}");
    }
}
