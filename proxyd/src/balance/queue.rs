//! Who waits for a slot: one queue per server and one for the backend, served oldest first.
//!
//! A slot that becomes free is handed over by the one who frees it: it goes straight to the oldest of those who
//! wait for this server and those who wait for any, and only that one is woken. So nobody is woken in vain, nobody
//! overtakes, and no slot is idle while somebody waits.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use super::farm::Farm;
use super::server_state::raise;
use super::sync::{AtomicU32, Mutex, MutexGuard};

/// Where a request stands among those who wait.
///
/// A lower class goes first, then the lower time, then the one who came first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority {
    /// `set-priority-class`.
    pub class: i32,
    /// The time of arrival plus `set-priority-offset`, in milliseconds of any clock that all workers share.
    pub time_ms: i64,
}

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Any server of the backend.
    Backend,
    /// This very server.
    Server(usize),
}

/// How many requests were served from its queue while a request waited, itself included; 0 if it never waited there.
///
/// These are the two figures of the queues in the traffic log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// In a server's queue.
    pub server: u32,
    /// In the backend's queue.
    pub backend: u32,
}

/// How waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A slot of this server was handed over.
    Granted(usize),
    /// The server went down: choose again.
    Redistributed,
}

type Key = (Priority, u64);

#[derive(Debug)]
struct Entry {
    waker: Option<Waker>,
    /// The queue's count of served requests when this one came.
    served_before: u32,
}

#[derive(Debug, Default)]
struct Queue {
    entries: BTreeMap<Key, Entry>,
    served: u32,
}

#[derive(Debug)]
struct Inner {
    backend: Queue,
    servers: Vec<Queue>,
    next_sequence: u64,
    /// Ended but not yet noticed by the one who waited.
    ended: HashMap<u64, (Outcome, Position)>,
}

impl Inner {
    fn queue(&mut self, place: Place) -> Option<&mut Queue> {
        match place {
            Place::Backend => Some(&mut self.backend),
            Place::Server(index) => self.servers.get_mut(index),
        }
    }
}

/// The queues of one backend.
#[derive(Debug)]
pub(super) struct Queues {
    inner: Mutex<Inner>,
    /// Held while the state of a server changes.
    writers: Mutex<()>,
    /// All who wait.
    waiting: AtomicU32,
    /// Those of them who wait for any server.
    in_backend: AtomicU32,
    in_backend_max: AtomicU32,
}

impl Queues {
    pub(super) fn new(servers: usize) -> Self {
        let inner = Inner {
            backend: Queue::default(),
            servers: (0..servers).map(|_| Queue::default()).collect(),
            next_sequence: 0,
            ended: HashMap::new(),
        };
        Self {
            inner: Mutex::new(inner),
            writers: Mutex::new(()),
            waiting: AtomicU32::new(0),
            in_backend: AtomicU32::new(0),
            in_backend_max: AtomicU32::new(0),
        }
    }

    /// Excludes other writers of server states.
    pub(super) fn writers(&self) -> MutexGuard<'_, ()> {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::SeqCst)
    }

    pub(super) fn in_backend(&self) -> u32 {
        self.in_backend.load(Ordering::SeqCst)
    }

    pub(super) fn in_backend_max(&self) -> u32 {
        self.in_backend_max.load(Ordering::Relaxed)
    }

    pub(super) fn forget_highest(&self) {
        self.in_backend_max.store(0, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins a queue. The slot may be granted before this returns.
    fn join(&self, farm: &Farm, place: Place, priority: Priority) -> u64 {
        let mut inner = self.lock();
        let sequence = inner.next_sequence;
        inner.next_sequence += 1;
        let was_empty = match inner.queue(place) {
            Some(queue) => {
                let was_empty = queue.entries.is_empty();
                let entry = Entry { waker: None, served_before: queue.served };
                queue.entries.insert((priority, sequence), entry);
                was_empty
            }
            None => false,
        };
        self.waiting.fetch_add(1, Ordering::SeqCst);
        match place {
            Place::Backend => {
                let in_backend = self.in_backend.fetch_add(1, Ordering::SeqCst) + 1;
                raise(&self.in_backend_max, in_backend);
            }
            Place::Server(index) => {
                if let Some(server) = farm.servers().get(index) {
                    server.add_queued();
                }
            }
        }
        // Slots freed between the look that found none and the count above were given back without a look at the
        // queue. Once a queue is not empty, every slot that becomes free is handed over.
        if was_empty {
            let wakers = match place {
                Place::Backend => {
                    (0..farm.servers().len()).flat_map(|index| self.grant(&mut inner, farm, index)).collect()
                }
                Place::Server(index) => self.grant(&mut inner, farm, index),
            };
            drop(inner);
            wake(wakers);
        }
        sequence
    }

    /// Hands the free slots of these servers to those who wait; tells how many were handed over.
    pub(super) fn serve(&self, farm: &Farm, servers: &[usize]) -> u32 {
        let mut inner = self.lock();
        let mut granted = 0;
        let mut wakers = Vec::new();
        for &index in servers {
            let before = inner.ended.len();
            wakers.append(&mut self.grant(&mut inner, farm, index));
            granted += inner.ended.len() - before;
        }
        drop(inner);
        wake(wakers);
        u32::try_from(granted).unwrap_or(u32::MAX)
    }

    /// Grants the free slots of one server, oldest request first.
    fn grant(&self, inner: &mut Inner, farm: &Farm, index: usize) -> Vec<Waker> {
        let mut wakers = Vec::new();
        let Some(server) = farm.servers().get(index) else { return wakers };
        loop {
            let own = inner.servers.get(index).and_then(|queue| queue.entries.keys().next().copied());
            let any = inner.backend.entries.keys().next().copied().filter(|_| server.eligible());
            let (place, key) = match (own, any) {
                (None, None) => return wakers,
                (Some(own), Some(any)) if any < own => (Place::Backend, any),
                (Some(own), _) => (Place::Server(index), own),
                (None, Some(any)) => (Place::Backend, any),
            };
            if !server.take_below(farm.limit(index)) {
                return wakers;
            }
            if let Some(queue) = inner.queue(place) {
                queue.served = queue.served.wrapping_add(1);
            }
            wakers.extend(self.end(inner, farm, place, key, Outcome::Granted(index)));
        }
    }

    /// Sends everybody who waits for this server back to choose another one.
    pub(super) fn redistribute(&self, farm: &Farm, index: usize) -> u32 {
        let mut inner = self.lock();
        let place = Place::Server(index);
        let keys: Vec<Key> =
            inner.queue(place).map(|queue| queue.entries.keys().copied().collect()).unwrap_or_default();
        let count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        let wakers: Vec<Waker> =
            keys.into_iter().filter_map(|key| self.end(&mut inner, farm, place, key, Outcome::Redistributed)).collect();
        drop(inner);
        wake(wakers);
        count
    }

    fn end(&self, inner: &mut Inner, farm: &Farm, place: Place, key: Key, outcome: Outcome) -> Option<Waker> {
        let (waker, position) = self.remove(inner, farm, place, key)?;
        inner.ended.insert(key.1, (outcome, position));
        waker
    }

    fn remove(&self, inner: &mut Inner, farm: &Farm, place: Place, key: Key) -> Option<(Option<Waker>, Position)> {
        let queue = inner.queue(place)?;
        let entry = queue.entries.remove(&key)?;
        let passed = queue.served.wrapping_sub(entry.served_before);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        let position = match place {
            Place::Backend => {
                self.in_backend.fetch_sub(1, Ordering::SeqCst);
                Position { server: 0, backend: passed }
            }
            Place::Server(index) => {
                if let Some(server) = farm.servers().get(index) {
                    server.sub_queued();
                }
                Position { server: passed, backend: 0 }
            }
        };
        Some((entry.waker, position))
    }
}

fn wake(wakers: Vec<Waker>) {
    for waker in wakers {
        waker.wake();
    }
}

/// A request's stay in a queue; resolves to the outcome. Dropping it leaves the queue and passes on a slot that was
/// granted meanwhile.
#[derive(Debug)]
pub(super) struct Stay {
    farm: Arc<Farm>,
    place: Place,
    key: Key,
    over: bool,
}

impl Stay {
    /// Joins a queue of the farm.
    pub(super) fn join(farm: &Arc<Farm>, place: Place, priority: Priority) -> Self {
        let sequence = farm.queues.join(farm, place, priority);
        Self { farm: Arc::clone(farm), place, key: (priority, sequence), over: false }
    }

    /// What it waits for.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Its number.
    #[cfg(test)]
    pub(super) fn sequence(&self) -> u64 {
        self.key.1
    }

    /// Leaves without a slot (a timeout, a client that went away); tells the position for the log.
    pub(super) fn leave(mut self) -> Position {
        self.quit()
    }

    fn quit(&mut self) -> Position {
        if self.over {
            return Position::default();
        }
        self.over = true;
        let mut inner = self.farm.queues.lock();
        if let Some((_, mut position)) = self.farm.queues.remove(&mut inner, &self.farm, self.place, self.key) {
            // Who leaves counts itself as well.
            match self.place {
                Place::Backend => position.backend += 1,
                Place::Server(_) => position.server += 1,
            }
            return position;
        }
        let ended = inner.ended.remove(&self.key.1);
        drop(inner);
        match ended {
            Some((Outcome::Granted(index), position)) => {
                self.farm.release(index);
                position
            }
            Some((Outcome::Redistributed, position)) => position,
            None => Position::default(),
        }
    }
}

impl Future for Stay {
    type Output = (Outcome, Position);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let stay = &mut *self;
        let mut inner = stay.farm.queues.lock();
        if let Some(end) = inner.ended.remove(&stay.key.1) {
            stay.over = true;
            return Poll::Ready(end);
        }
        if let Some(entry) = inner.queue(stay.place).and_then(|queue| queue.entries.get_mut(&stay.key)) {
            entry.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.quit();
    }
}

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod stress;
