//! Random arrivals, completions, departures, failures and orders, one after the other, on several workers' dispatchers;
//! what must hold is looked at after every one of them.
//!
//! `PROXYD_QUEUE_SEEDS` sets how many seeds are tried (500 without it); a failure names its seed.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::{Place, Priority};
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
            Arc::new(ServerState::new(ServerSettings { id, backup, maxconn, minconn, ..ServerSettings::default() }))
        });
        let servers: Vec<_> = servers.collect();
        let settings = FarmSettings {
            algorithm,
            redispatch: (random.below(2) == 0).then_some(Redispatch { interval: -1 }),
            fullconn: if dynamic { 6 } else { 0 },
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
            priority: Priority { class, time_ms: 0 },
        };
        let worker = self.random.below(self.workers.len());
        let presence = self.farm.enter();
        self.arrivals += 1;
        self.choose(worker, wanted, presence);
    }

    fn choose(&mut self, worker: usize, wanted: Wanted, presence: Presence) {
        match self.workers[worker].choose(&wanted) {
            Choice::Slot(slot) => self.slots.push((slot, presence)),
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
                self.waiters.insert(id, waiter);
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
        let mut still = BTreeMap::<usize, Vec<_>>::new();
        let mut granted = BTreeMap::<usize, Vec<_>>::new();
        let place = |place: Place| match place {
            Place::Backend => usize::MAX,
            Place::Server(index) => index,
        };
        let mut woken = 0;
        for waiter in self.waiters.values_mut() {
            let wakes = waiter.woken.0.load(Ordering::SeqCst);
            assert!(wakes <= 1, "woken {wakes} times");
            woken += wakes;
            if std::mem::replace(&mut waiter.was_waiting, wakes == 0) {
                let side = if wakes == 0 { &mut still } else { &mut granted };
                side.entry(place(waiter.place)).or_default().push(waiter.key);
            }
        }
        // Whoever was woken had waited longest, and nobody was woken in vain.
        for (place, granted) in &granted {
            if let (Some(last), Some(first)) =
                (granted.iter().max(), still.get(place).and_then(|keys| keys.iter().min()))
            {
                assert!(last < first, "overtaken: {last:?} {first:?}");
            }
        }
        assert_eq!(self.farm.queued_in_total(), u32::try_from(self.waiters.len()).unwrap() - woken);
        for (index, server) in self.farm.servers().iter().enumerate() {
            let (served, limit) = (server.served(), self.farm.limit(index));
            // A limit that depends on the requests in the backend may have been higher a moment ago.
            let highest = if server.settings().minconn == 0 { limit } else { server.maxconn() };
            assert!(served <= highest.max(self.served_before[index]), "{served} served, {highest} allowed");
            self.served_before[index] = served;
            if served < limit {
                assert_eq!(server.queued(), 0, "an idle slot of a server that is waited for");
                assert!(!server.eligible() || self.farm.queued() == 0, "an idle slot while others wait");
            }
        }
        let held = u32::try_from(self.slots.len()).unwrap();
        let taken: u32 = self.farm.servers().iter().map(|server| server.served()).sum();
        assert!(held <= taken && taken <= held + woken, "{held} held, {taken} taken, {woken} woken");
    }

    /// Everything ends well: all servers come back and all who wait are served.
    fn drain(mut self) {
        for index in 0..self.farm.servers().len() {
            self.farm.set_running(index, Running::Up);
            self.farm.set_admin(index, AdminState::Ready);
            self.farm.set_weight(index, 1);
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
