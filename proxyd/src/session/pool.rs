//! Idle connections to one server, kept by one worker (`http-reuse`, `pool-…`).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::conn::Conn;
use crate::clock::Moment;
use crate::limits::IDLE_CONNECTIONS_MAX;
use crate::proxy::{Location, Server};
use crate::stats::Gauge;
use crate::worker::Worker;

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

#[derive(Debug)]
struct Idle {
    conn: ServerConn,
    since: Moment,
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

    /// An idle connection that is still good. `proven`: only one that has carried more than one request.
    pub fn take(&self, worker: &Worker, proven: bool) -> Option<ServerConn> {
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
            conn.conn.release(&worker.buffers);
        }
        None
    }

    /// Keeps a connection whose request is complete. One with bytes left over, or with too many requests, is closed.
    pub fn give(&self, worker: &Worker, mut conn: ServerConn, now: Moment) {
        let here = conn.moves == self.location.moves();
        let clean = here && conn.conn.input.is_empty() && conn.conn.output.is_empty() && !conn.conn.ended;
        conn.conn.release(&worker.buffers);
        let mut idle = self.idle.borrow_mut();
        if clean && idle.len() < self.most && conn.requests < self.requests {
            idle.push_back(Idle { conn, since: now });
        }
    }

    /// Closes what has been idle for too long, and what the server has closed; then shows how many are left.
    pub fn purge(&self, worker: &Worker, now: Moment) {
        let mut idle = self.idle.borrow_mut();
        let moves = self.location.moves();
        idle.retain_mut(|idle| {
            let keep =
                idle.conn.moves == moves && now.since(idle.since) < self.longest && idle.conn.conn.stream().is_quiet();
            if !keep {
                idle.conn.conn.release(&worker.buffers);
            }
            keep
        });
        self.show(idle.len());
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
