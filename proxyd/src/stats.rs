//! What is counted, and how it is read.
//!
//! Every frontend, backend, server and listener owns one [`Traffic`]: a shard of [`Counters`] per worker and the few
//! figures that only make sense over all of them. A shard is written by its worker alone, with a plain load and store
//! (no locked instruction on the path of a request), and summed by whoever asks. What is shared is one [`Gauge`], because
//! the limits and the log lines need the exact number of sessions over all workers.
//!
//! Time is milliseconds of the process's monotonic clock, as everywhere on the data path.
//! The views are pure functions of rows: `csv` and `html`.

use std::sync::atomic::{AtomicU64, Ordering};

pub mod admin;
pub mod clear;
pub mod collect;
pub mod csv;
pub mod exporter;
mod html;
pub mod page;
pub mod row;

/// Index of a worker: its place in every [`Traffic`].
pub type WorkerIndex = usize;

/// Things that are only ever counted up. The names in the comments are the columns of the CSV they end in. What every request
/// counts comes first, so that it stands together in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Count {
    /// `stot`: sessions of a frontend (one per connection), requests or tunnels of a backend or server.
    Sessions,
    /// `req_tot`: HTTP requests received.
    Requests,
    /// `bin`: bytes received from clients.
    BytesIn,
    /// `bout`: bytes sent to clients.
    BytesOut,
    /// `lbtot`: times the balancing algorithm chose this server (or any, for the backend).
    Selected,
    /// `reuse`: requests sent on an idle connection.
    Reuses,
    /// `hrsp_2xx`.
    Responses2xx,
    /// `connect`: attempts to establish a connection.
    Connects,
    /// `conn_tot`: connections accepted.
    Connections,
    /// `dreq`: requests refused by a rule.
    DeniedRequests,
    /// `dresp`: responses refused by a rule.
    DeniedResponses,
    /// `dcon`: connections refused by `tcp-request connection`.
    DeniedConnections,
    /// `dses`: connections refused by `tcp-request session`.
    DeniedSessions,
    /// `ereq`: requests that never were one (bad syntax, early close, client timeout before the end of the head).
    RequestErrors,
    /// `econ`: requests that found no way to a server.
    ConnectErrors,
    /// `eresp`: responses that failed.
    ResponseErrors,
    /// `wretr`: connection attempts repeated.
    Retries,
    /// `wredis`: requests moved to another server.
    Redispatches,
    /// `cli_abrt`: transfers cut by the client.
    ClientAborts,
    /// `srv_abrt`: transfers cut by the server.
    ServerAborts,
    /// `intercepted`: requests proxyd answered itself (monitor, statistics).
    Intercepted,
    /// `wrew`: header rewrites that failed.
    FailedRewrites,
    /// `eint`: internal errors.
    InternalErrors,
    /// `hrsp_1xx`.
    Responses1xx,
    /// `hrsp_3xx`.
    Responses3xx,
    /// `hrsp_4xx`.
    Responses4xx,
    /// `hrsp_5xx`.
    Responses5xx,
    /// `hrsp_other`: a status outside of 100 to 599, or none.
    ResponsesOther,
    /// `hanafail`: failures of observed traffic.
    ObservedFailures,
}

impl Count {
    const LEN: usize = Self::ObservedFailures as usize + 1;

    /// The class a response status is counted in.
    pub fn of_status(status: u16) -> Self {
        match status / 100 {
            1 => Self::Responses1xx,
            2 => Self::Responses2xx,
            3 => Self::Responses3xx,
            4 => Self::Responses4xx,
            5 => Self::Responses5xx,
            _ => Self::ResponsesOther,
        }
    }
}

/// Events whose frequency is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Event {
    /// `conn_rate`.
    Connection,
    /// `rate`.
    Session,
    /// `req_rate`.
    Request,
}

impl Event {
    const LEN: usize = Self::Request as usize + 1;
}

/// Durations whose average over the last requests is shown, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Timing {
    /// `qtime`: waiting in a queue.
    Queue,
    /// `ctime`: connecting.
    Connect,
    /// `rtime`: waiting for the response's head.
    Response,
    /// `ttime`: the whole request.
    Total,
}

impl Timing {
    const LEN: usize = Self::Total as usize + 1;
}

/// What an operator wants to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clear {
    /// The highest values there were (`clear counters`).
    Highest,
    /// Everything that was counted (`clear counters all`).
    All,
}

/// One number with a single writer.
#[derive(Debug, Default)]
struct Cell(AtomicU64);

impl Cell {
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// Events of the current and of the last second, from which a sliding second is estimated.
#[derive(Debug, Default)]
struct Frequency {
    second: Cell,
    current: Cell,
    previous: Cell,
}

impl Frequency {
    /// Counts one event; true when it is the first of its second.
    fn tick(&self, now_ms: u64) -> bool {
        let (second, seen) = (now_ms / 1000, self.second.get());
        let rolled = second != seen;
        if rolled {
            self.previous.set(if second == seen + 1 { self.current.get() } else { 0 });
            self.current.set(0);
            self.second.set(second);
        }
        self.current.set(self.current.get() + 1);
        rolled
    }

    /// Events of the second that ends now: this second's, and the part of the last one's that is still in it.
    fn sliding(&self, now_ms: u64) -> u64 {
        let (second, left) = (now_ms / 1000, 1000 - now_ms % 1000);
        let (current, previous) = match second.checked_sub(self.second.get()) {
            Some(0) => (self.current.get(), self.previous.get()),
            Some(1) => (0, self.current.get()),
            _ => return 0,
        };
        current + (previous * left).div_ceil(1000)
    }

    /// Events of one whole second, as far as they are still known.
    fn of_second(&self, second: u64) -> u64 {
        match self.second.get().checked_sub(second) {
            Some(0) => self.current.get(),
            Some(1) => self.previous.get(),
            _ => 0,
        }
    }
}

/// A moving average over [`AVERAGED_REQUESTS`] and the largest value ever.
#[derive(Debug, Default)]
struct Average {
    /// Sum of the window: the average times `samples`.
    sum: Cell,
    samples: Cell,
    largest: Cell,
}

/// How many of the last requests an average time covers (management.txt 9.1, `qtime`).
const AVERAGED_REQUESTS: u64 = 1024;

impl Average {
    fn add(&self, value: u64) {
        let (sum, samples) = (self.sum.get(), self.samples.get());
        if samples < AVERAGED_REQUESTS {
            self.samples.set(samples + 1);
            self.sum.set(sum + value);
        } else {
            self.sum.set(sum - sum / AVERAGED_REQUESTS + value);
        }
        self.largest.set(self.largest.get().max(value));
    }
}

/// One worker's share of an object's counters. What a request writes is in the first four cache lines: with a thousand servers
/// each request finds another one's, and none of them in the cache.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub struct Counters {
    /// When the last session was assigned; 0 for never.
    last_session_ms: Cell,
    frequencies: [Frequency; Event::LEN],
    averages: [Average; Timing::LEN],
    counts: [Cell; Count::LEN],
}

impl Counters {
    /// Adds to a count. Only the worker that owns this shard may call it.
    pub fn add(&self, what: Count, amount: u64) {
        let cell = &self.counts[what as usize];
        cell.set(cell.get().wrapping_add(amount));
    }

    /// Notes how long a phase of a request took. Only the worker that owns this shard may call it.
    pub fn took(&self, phase: Timing, milliseconds: u64) {
        self.averages[phase as usize].add(milliseconds);
    }

    fn count(&self, what: Count) -> u64 {
        self.counts[what as usize].get()
    }

    /// Forgets; the rates of the current second stay. Only the worker that owns this shard may call it.
    fn clear(&self, what: Clear) {
        self.averages.iter().for_each(|average| average.largest.set(0));
        if what == Clear::All {
            self.averages.iter().flat_map(|average| [&average.sum, &average.samples]).for_each(|cell| cell.set(0));
            self.counts.iter().for_each(|count| count.set(0));
            self.last_session_ms.set(0);
        }
    }
}

/// A number of things that exist now, and the most there ever were. Shared by all workers.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Gauge {
    current: AtomicU64,
    highest: AtomicU64,
}

impl Gauge {
    /// One more; returns how many there are with it.
    pub fn enter(&self) -> u64 {
        let current = self.current.fetch_add(1, Ordering::Relaxed) + 1;
        if current > self.highest.load(Ordering::Relaxed) {
            self.highest.fetch_max(current, Ordering::Relaxed);
        }
        current
    }

    /// One more unless there are `limit` already.
    pub fn enter_below(&self, limit: u64) -> bool {
        let one_more = |current| (current < limit).then_some(current + 1);
        let Ok(before) = self.current.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) else {
            return false;
        };
        self.highest.fetch_max(before + 1, Ordering::Relaxed);
        true
    }

    /// One less.
    pub fn leave(&self) {
        self.current.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many there are.
    pub fn current(&self) -> u64 {
        self.current.load(Ordering::Relaxed)
    }

    /// The most there ever were.
    pub fn highest(&self) -> u64 {
        self.highest.load(Ordering::Relaxed)
    }

    /// Forgets how many there were, also those that are there now: the next one counts.
    fn forget_highest(&self) {
        self.highest.store(0, Ordering::Relaxed);
    }
}

/// All that is counted for one frontend, backend, server or listener. It outlives a generation: a reload that keeps the
/// object hands its `Traffic` on.
#[derive(Debug)]
pub struct Traffic {
    /// Connections of a frontend or listener; requests or tunnels of a backend or server.
    pub sessions: Gauge,
    /// Requests waiting for a slot.
    pub queued: Gauge,
    workers: Box<[Counters]>,
    highest_rate: [AtomicU64; Event::LEN],
}

impl Traffic {
    /// Counters for so many workers, at least one.
    pub fn new(workers: usize) -> Self {
        Self {
            sessions: Gauge::default(),
            queued: Gauge::default(),
            workers: (0..workers.max(1)).map(|_| Counters::default()).collect(),
            highest_rate: Default::default(),
        }
    }

    /// The shard that this worker writes. An index that is too large (which no worker has) shares the last shard.
    pub fn of(&self, worker: WorkerIndex) -> &Counters {
        &self.workers[worker.min(self.workers.len() - 1)]
    }

    /// Counts an event in the frequencies (the totals are [`Counters::add`]'s). Called by the worker `worker` only.
    pub fn event(&self, worker: WorkerIndex, event: Event, now_ms: u64) {
        let shard = self.of(worker);
        if event == Event::Session {
            shard.last_session_ms.set(now_ms.max(1));
        }
        if shard.frequencies[event as usize].tick(now_ms) && now_ms >= 1000 {
            let ended = now_ms / 1000 - 1;
            let sum = self.workers.iter().map(|shard| shard.frequencies[event as usize].of_second(ended)).sum();
            self.note_rate(event, sum);
        }
    }

    /// A count over all workers.
    pub fn total(&self, what: Count) -> u64 {
        self.workers.iter().fold(0, |sum, shard| sum.wrapping_add(shard.count(what)))
    }

    /// Events per second, over the second that ends now.
    pub fn rate(&self, event: Event, now_ms: u64) -> u64 {
        let rate = self.workers.iter().map(|shard| shard.frequencies[event as usize].sliding(now_ms)).sum();
        self.note_rate(event, rate);
        rate
    }

    /// The most events seen in a second.
    pub fn highest_rate(&self, event: Event) -> u64 {
        self.highest_rate[event as usize].load(Ordering::Relaxed)
    }

    /// Average duration of a phase over the last requests, in milliseconds.
    pub fn average(&self, phase: Timing) -> u64 {
        let (sum, samples) = self.workers.iter().fold((0, 0), |(sum, samples), shard| {
            let average = &shard.averages[phase as usize];
            (sum + average.sum.get(), samples + average.samples.get())
        });
        if samples == 0 { 0 } else { sum.div_ceil(samples) }
    }

    /// Longest duration of a phase ever seen, in milliseconds.
    pub fn longest(&self, phase: Timing) -> u64 {
        self.workers.iter().map(|shard| shard.averages[phase as usize].largest.get()).max().unwrap_or(0)
    }

    /// When the last session began; `None` if there was none.
    pub fn last_session_ms(&self) -> Option<u64> {
        self.workers.iter().map(|shard| shard.last_session_ms.get()).max().filter(|&at| at != 0)
    }

    /// Forgets the highest values that are shared.
    fn forget_highest(&self) {
        self.sessions.forget_highest();
        self.queued.forget_highest();
        self.highest_rate.iter().for_each(|highest| highest.store(0, Ordering::Relaxed));
    }

    fn note_rate(&self, event: Event, rate: u64) {
        let highest = &self.highest_rate[event as usize];
        if rate > highest.load(Ordering::Relaxed) {
            highest.fetch_max(rate, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_workers_are_summed() {
        let traffic = Traffic::new(3);
        traffic.of(0).add(Count::BytesIn, 5);
        traffic.of(2).add(Count::BytesIn, 7);
        traffic.of(1).add(Count::BytesOut, 1);
        assert_eq!(traffic.total(Count::BytesIn), 12);
        assert_eq!(traffic.total(Count::BytesOut), 1);
        assert_eq!(traffic.total(Count::Sessions), 0);
    }

    #[test]
    fn statuses_fall_into_their_class() {
        for (status, class) in [
            (100, Count::Responses1xx),
            (204, Count::Responses2xx),
            (304, Count::Responses3xx),
            (499, Count::Responses4xx),
            (503, Count::Responses5xx),
            (600, Count::ResponsesOther),
            (0, Count::ResponsesOther),
        ] {
            assert_eq!(Count::of_status(status), class, "{status}");
        }
    }

    #[test]
    fn a_rate_slides_over_the_last_second() {
        let traffic = Traffic::new(2);
        for i in 0..10 {
            traffic.event(i % 2, Event::Session, 5_000);
        }
        assert_eq!(traffic.rate(Event::Session, 5_999), 10);
        assert_eq!(traffic.rate(Event::Session, 6_500), 6, "half of each worker's five, rounded up");
        assert_eq!(traffic.rate(Event::Session, 7_000), 0);
        assert_eq!(traffic.highest_rate(Event::Session), 10);
    }

    #[test]
    fn the_highest_rate_is_known_without_anyone_reading_the_rate() {
        let traffic = Traffic::new(2);
        for i in 0..7 {
            traffic.event(i % 2, Event::Request, 1_000 + i as u64);
        }
        traffic.event(0, Event::Request, 2_100);
        assert_eq!(traffic.highest_rate(Event::Request), 7);
    }

    #[test]
    fn an_average_covers_the_last_requests_and_keeps_the_longest() {
        let traffic = Traffic::new(1);
        traffic.of(0).took(Timing::Queue, 900);
        assert_eq!(traffic.average(Timing::Queue), 900);
        for _ in 0..20_000 {
            traffic.of(0).took(Timing::Queue, 10);
        }
        assert!((10..=11).contains(&traffic.average(Timing::Queue)), "{}", traffic.average(Timing::Queue));
        assert_eq!(traffic.longest(Timing::Queue), 900);
        assert_eq!(traffic.average(Timing::Total), 0);
    }

    #[test]
    fn a_gauge_holds_its_limit_and_remembers_its_peak() {
        let gauge = Gauge::default();
        assert!(gauge.enter_below(2));
        assert!(gauge.enter_below(2));
        assert!(!gauge.enter_below(2));
        gauge.leave();
        assert_eq!((gauge.current(), gauge.highest()), (1, 2));
        assert!(gauge.enter_below(2));
    }

    #[test]
    fn what_is_cleared_counts_anew() {
        let traffic = Traffic::new(2);
        traffic.sessions.enter();
        traffic.of(0).add(Count::Requests, 5);
        traffic.of(1).add(Count::Requests, 2);
        traffic.of(1).took(Timing::Total, 40);
        traffic.event(1, Event::Session, 5_000);
        assert_eq!(traffic.rate(Event::Session, 5_100), 1);
        traffic.of(0).clear(Clear::Highest);
        traffic.of(1).clear(Clear::Highest);
        traffic.forget_highest();
        assert_eq!((traffic.longest(Timing::Total), traffic.average(Timing::Total)), (0, 40));
        assert_eq!((traffic.sessions.current(), traffic.sessions.highest()), (1, 0));
        assert_eq!((traffic.highest_rate(Event::Session), traffic.total(Count::Requests)), (0, 7));
        traffic.of(1).clear(Clear::All);
        assert_eq!((traffic.average(Timing::Total), traffic.last_session_ms()), (0, None));
        assert_eq!(traffic.total(Count::Requests), 5, "a worker forgets its own");
        assert_eq!(traffic.rate(Event::Session, 5_200), 1, "the rate is what is now");
        traffic.sessions.enter();
        assert_eq!(traffic.sessions.highest(), 2);
    }

    #[test]
    fn last_session_is_the_latest_of_all_workers() {
        let traffic = Traffic::new(2);
        assert_eq!(traffic.last_session_ms(), None);
        traffic.event(1, Event::Session, 40);
        traffic.event(0, Event::Session, 30);
        traffic.event(0, Event::Request, 90);
        assert_eq!(traffic.last_session_ms(), Some(40));
    }
}
