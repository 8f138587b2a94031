//! `clear counters`: what was counted is forgotten, what is now stays.
//!
//! Each worker forgets its own share, because nobody else may write it; what they share is whoever's who asks.

use super::{Clear, Count, Traffic, WorkerIndex};
use crate::generation::Generation;

/// What frontends have counted for the process, which goes on counting when they begin anew (`show info`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections accepted.
    pub connections: u64,
    /// Requests received.
    pub requests: u64,
    /// Bytes sent to clients.
    pub bytes_out: u64,
}

impl std::ops::Add for Totals {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            connections: self.connections.wrapping_add(other.connections),
            requests: self.requests.wrapping_add(other.requests),
            bytes_out: self.bytes_out.wrapping_add(other.bytes_out),
        }
    }
}

/// What the frontends of a generation count now.
pub fn totals(generation: &Generation) -> Totals {
    sum(generation, Traffic::total)
}

fn sum(generation: &Generation, read: impl Fn(&Traffic, Count) -> u64) -> Totals {
    let all = generation.frontends.iter().map(|frontend| Totals {
        connections: read(&frontend.section.traffic, Count::Connections),
        requests: read(&frontend.section.traffic, Count::Requests),
        bytes_out: read(&frontend.section.traffic, Count::BytesOut),
    });
    all.fold(Totals::default(), std::ops::Add::add)
}

/// A worker's share. To be called by that worker. What of its totals is gone by that.
pub fn of_worker(generation: &Generation, worker: WorkerIndex, what: Clear) -> Totals {
    let gone = match what {
        Clear::Highest => Totals::default(),
        Clear::All => sum(generation, |traffic, count| traffic.of(worker).count(count)),
    };
    traffics(generation).for_each(|traffic| traffic.of(worker).clear(what));
    gone
}

/// What all workers share.
pub fn shared(generation: &Generation, what: Clear) {
    traffics(generation).for_each(Traffic::forget_highest);
    for backend in &generation.backends {
        backend.farm.forget_highest();
        if what == Clear::All {
            backend.farm.report().downs = 0;
        }
        for server in backend.farm.servers() {
            server.forget_highest();
            if what == Clear::All {
                let mut report = server.report();
                (report.failed_checks, report.downs, report.analyzed) = (0, 0, 0);
            }
        }
    }
}

fn traffics(generation: &Generation) -> impl Iterator<Item = &Traffic> {
    let fronts = generation.frontends.iter().flat_map(|frontend| {
        let listeners = frontend.listeners.iter().map(|listener| &*listener.traffic);
        std::iter::once(&*frontend.section.traffic).chain(listeners)
    });
    let backs = generation.backends.iter().flat_map(|backend| {
        std::iter::once(&*backend.section.traffic).chain(backend.servers.iter().map(|server| &*server.traffic))
    });
    fronts.chain(backs)
}
