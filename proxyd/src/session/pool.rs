//! Idle connections to one server, kept by one worker (`http-reuse`, `pool-…`).

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::conn::Conn;
use super::transfer::Transfer;
use crate::clock::{self, Moment};
use crate::http::h1::Body;
use crate::limits::IDLE_CONNECTIONS_MAX;
use crate::proxy::backend::Reach;
use crate::proxy::{Location, Server};
use crate::stats::Gauge;
use crate::sys;
use crate::worker::Worker;
use crate::worker::buffers::Buffers;
use crate::worker::timers::Elapsed;

/// How often idle connections are looked at.
const PURGE_INTERVAL: Duration = Duration::from_secs(1);

/// Pools looked at before others have their turn.
const POOLS_AT_ONCE: usize = 256;

/// Connections closed before others have their turn: each takes about ten microseconds.
const CLOSED_AT_ONCE: usize = 16;

/// A connection to a server and what was done over it.
#[derive(Debug)]
pub struct ServerConn {
    /// The connection.
    pub conn: Conn,
    /// Requests sent over it, the current one included.
    pub requests: u32,
    /// How often the server had moved when it was made.
    pub moves: u32,
}

impl ServerConn {
    /// Whether nothing is left over of the request before, and it still leads to where the server is.
    pub(super) fn is_clean(&self, location: &Location) -> bool {
        let here = self.moves == location.moves();
        here && self.conn.input.is_empty() && self.conn.output.is_empty() && !self.conn.ended
    }

    /// Throws away what has come of a response's body that nobody gets; whether it is all of it, and how much is counted.
    pub fn pass_over(&mut self, body: Body, buffers: &Buffers) -> (bool, u64) {
        let mut rest = Transfer::new(body);
        let drained = rest.drain(&mut self.conn.input, buffers);
        (drained.is_ok() && rest.is_done(), rest.counted())
    }
}

#[derive(Debug)]
struct Idle {
    conn: ServerConn,
    since: Moment,
}

/// The pools of one worker. They outlive generations: what is reached as before keeps its connections.
#[derive(Debug, Default)]
pub struct Pools(RefCell<BTreeMap<usize, Known>>);

/// A pool, under the address of what it belongs to.
#[derive(Debug)]
struct Known {
    /// Keeps the address from being given to another.
    reach: Weak<Reach>,
    pool: Rc<Pool>,
}

impl Pools {
    /// The pool of a server.
    pub fn of(&self, server: &Server) -> Rc<Pool> {
        let mut pools = self.0.borrow_mut();
        let known = pools
            .entry(Arc::as_ptr(&server.reach).addr())
            .or_insert_with(|| Known { reach: Arc::downgrade(&server.reach), pool: Rc::new(Pool::new(server)) });
        Rc::clone(&known.pool)
    }

    /// Closes connections that were idle for too long, that the server has closed, or whose server is gone, from a place on and
    /// only so many that no request has to wait for it. Where to go on; `None` at the end.
    pub(super) fn purge(&self, buffers: &Buffers, now: Moment, from: usize) -> Option<usize> {
        let mut pools = self.0.borrow_mut();
        let (mut closed, mut next, mut gone) = (0, None, Vec::new());
        for (looked, (&place, known)) in pools.range(from..).enumerate() {
            if looked == POOLS_AT_ONCE {
                next = Some(place);
                break;
            }
            let all = known.reach.strong_count() == 0;
            closed += known.pool.purge(buffers, now, all, CLOSED_AT_ONCE - closed);
            if closed == CLOSED_AT_ONCE {
                next = Some(place);
                break;
            }
            if all {
                gone.push(place);
            }
        }
        for place in gone {
            pools.remove(&place);
        }
        next
    }
}

/// Closes idle server connections when their time has come, for as long as the worker lives.
pub async fn purge_idle(worker: Rc<Worker>) {
    let timer = worker.timers.timer();
    loop {
        timer.set(Some(clock::moment() + PURGE_INTERVAL));
        let Err(Elapsed) = timer.race(std::future::pending::<Infallible>()).await;
        // A worker without idle connections wakes up for this; one system call a second.
        let mut from = Some(0);
        while let Some(place) = from {
            from = worker.pools.purge(&worker.buffers, clock::moment(), place);
            // Requests that came meanwhile go first.
            tokio::task::yield_now().await;
        }
    }
}

/// The idle connections to one server. The one that was used last is used first, so that the others may go.
#[derive(Debug)]
pub struct Pool {
    idle: RefCell<VecDeque<Idle>>,
    location: Arc<Location>,
    /// Shown in the statistics. Shared by all workers, so it is brought up to date now and then, not per request.
    shown: Arc<Gauge>,
    shown_here: Cell<usize>,
    most: usize,
    longest: Duration,
    /// Requests over one connection.
    requests: u32,
}

impl Pool {
    /// An empty pool with a server's limits.
    pub fn new(server: &Server) -> Self {
        let most = server.pool_max_conn.map_or(IDLE_CONNECTIONS_MAX, |most| most as usize);
        Self {
            idle: RefCell::default(),
            location: Arc::clone(&server.location),
            shown: Arc::clone(&server.idle),
            shown_here: Cell::new(0),
            most,
            longest: server.pool_purge_delay,
            requests: server.max_reuse.map_or(u32::MAX, |reuse| reuse.saturating_add(1)),
        }
    }

    /// Lets the processor fetch the connection that is taken next.
    pub fn prefetch(&self) {
        sys::prefetch(&*self.location, size_of::<Location>());
        if let Some(idle) = self.idle.borrow().back() {
            sys::prefetch(idle, size_of::<Idle>());
        }
    }

    /// An idle connection that is still good. `proven`: only one that has carried more than one request.
    pub fn take(&self, buffers: &Buffers, proven: bool) -> Option<ServerConn> {
        let mut idle = self.idle.borrow_mut();
        let mut at = idle.len();
        while let Some(index) = at.checked_sub(1) {
            at = index;
            if proven && idle.get(index).is_some_and(|idle| idle.conn.requests < 2) {
                continue;
            }
            let last = index + 1 == idle.len();
            let taken = if last { idle.pop_back() } else { idle.remove(index) };
            let Some(Idle { mut conn, .. }) = taken else { continue };
            if conn.moves == self.location.moves() && conn.conn.stream().is_quiet() {
                return Some(conn);
            }
            conn.conn.release(buffers);
        }
        None
    }

    /// Keeps a connection whose request is complete. One with bytes left over, or with too many requests, is closed.
    pub fn give(&self, buffers: &Buffers, mut conn: ServerConn, now: Moment) {
        let clean = conn.is_clean(&self.location);
        conn.conn.release(buffers);
        let mut idle = self.idle.borrow_mut();
        if clean && idle.len() < self.most && conn.requests < self.requests {
            idle.push_back(Idle { conn, since: now });
        }
    }

    /// Closes what has been idle for too long, or `all`, and what the server has closed, but no more than `most`; then shows how
    /// many are left. Says how many were closed.
    fn purge(&self, buffers: &Buffers, now: Moment, all: bool, most: usize) -> usize {
        let mut idle = self.idle.borrow_mut();
        let moves = self.location.moves();
        let mut closed = 0;
        idle.retain_mut(|idle| {
            let young = !all && idle.conn.moves == moves && now.since(idle.since) < self.longest;
            let keep = closed == most || (young && idle.conn.conn.stream().is_quiet());
            if !keep {
                closed += 1;
                idle.conn.conn.release(buffers);
            }
            keep
        });
        self.show(idle.len());
        closed
    }

    fn show(&self, count: usize) {
        let before = self.shown_here.replace(count);
        for _ in before..count {
            self.shown.enter();
        }
        (count..before).for_each(|_| self.shown.leave());
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.show(0);
    }
}
