//! The configuration in force, as one value that is swapped whole.
//!
//! The control thread stores a new [`Generation`] into the [`Handle`]; each worker looks through a [`Reader`], which costs
//! one relaxed load as long as nothing changed. A connection keeps the generation it began with until its next request.

use crate::http::case::CaseAdjustment;
use crate::ids::{BackendId, FrontendId};
pub mod live;

use crate::log::forward::Forwarder;
use crate::log::profile::Profile;
use crate::log::ring::Ring;
use crate::proxy::frontend::Limit;
use crate::proxy::settings::{CloseSpread, Tune};
use crate::proxy::userlist::Userlist;
use crate::proxy::{Backend, Frontend};
use crate::sample::pattern_file::{PatternFile, WrittenPatterns};
use crate::sample::variable::ProcessVariables;
use crate::stats::{Gauge, Traffic};
use crate::stick::Table;
use arc_swap::ArcSwap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// All live objects of one configuration.
#[derive(Debug)]
pub struct Generation {
    /// `FrontendId` indexes it.
    pub frontends: Vec<Arc<Frontend>>,
    /// `BackendId` indexes it.
    pub backends: Vec<Arc<Backend>>,
    /// `UserlistId` indexes it.
    pub userlists: Vec<Userlist>,
    /// `TableId` indexes it. A table whose definition stays outlives the generation.
    pub tables: Vec<Arc<Table>>,
    /// The built-in ring and those of the configuration. A ring whose definition stays outlives the generation.
    pub rings: Vec<Arc<Ring>>,
    /// The `log-forward` sections.
    pub forwarders: Vec<Arc<Forwarder>>,
    /// `ProfileId` indexes it.
    pub profiles: Vec<Arc<Profile>>,
    /// Files of patterns that can be changed, in the order in which the configuration names them.
    pub pattern_files: Vec<Arc<PatternFile>>,
    /// The patterns of ACLs that stand in the configuration itself, for those who list them.
    pub written_patterns: Vec<WrittenPatterns>,
    /// What was said about the configuration when it was read, as lines (`show startup-logs`).
    pub startup_logs: String,
    /// What holds for all of them.
    pub global: Global,
}

/// What the `global` section leaves to the running process.
#[derive(Debug)]
pub struct Global {
    /// `maxconn`: connections of clients over all frontends.
    pub maxconn: Limit,
    /// What that is without an operator's word, and at most.
    pub hard_maxconn: u64,
    /// `maxconnrate`: connections per second over all frontends; 0: no limit.
    pub connection_rate: Limit,
    /// `maxsessrate`: likewise.
    pub session_rate: Limit,
    /// Connections of clients now (`actconn` of the logs). Outlives a generation.
    pub connections: Arc<Gauge>,
    /// What all frontends took, counted where `maxconnrate` or `maxsessrate` asks for it. Outlives a generation.
    pub accepted: Arc<Traffic>,
    /// How many messages were none. Outlives a generation.
    pub bad_messages: Arc<AtomicU64>,
    /// `hard-stop-after`.
    pub hard_stop_after: Option<Duration>,
    /// `close-spread-time`
    pub close_spread: Option<CloseSpread>,
    /// `node`, or the host's name.
    pub node: String,
    /// `description`.
    pub description: Option<String>,
    /// Sizes of buffers and messages.
    pub tune: Tune,
    /// `proc` variables.
    pub variables: ProcessVariables,
    /// Some sample asks for what is noted of an exchange for it alone (`cpu_calls`, `req.bytes_out`).
    pub notes_course: bool,
    /// `h1-case-adjust`
    pub case_adjustment: Arc<CaseAdjustment>,
    /// What only the system knows.
    pub system: System,
    /// How many workers there are; fixed when the process starts.
    pub workers: usize,
    /// In how many groups they are numbered; likewise.
    pub groups: usize,
}

/// What rules ask of the system; the functions are handed in where the process begins.
#[derive(Debug, Clone)]
pub struct System {
    /// The host's name.
    pub hostname: String,
    /// The process's number, after the last fork.
    pub pid: u32,
    /// Seconds between UTC and local time at a moment given in seconds since 1970.
    pub utc_offset: fn(i64) -> i32,
    /// Whether an address is one of this host's.
    pub is_local: fn(IpAddr) -> bool,
    /// Whether a password is the one kept in the form of crypt(3).
    pub is_password: fn(&[u8], &str) -> bool,
    /// How much of the time a processor has worked of late, in percent: for the thread that asks, or for the process's threads,
    /// of which there are that many.
    pub usage: fn(Option<usize>) -> u8,
    /// Writes a line to standard output, or to standard error.
    pub show: fn(bool, &[u8]),
}

impl Default for System {
    /// A host in UTC of which only the loopback address is known, and that knows no form of kept passwords.
    fn default() -> Self {
        Self {
            hostname: String::new(),
            pid: 0,
            utc_offset: |_| 0,
            is_local: |ip| ip.is_loopback(),
            is_password: |_, _| false,
            usage: |_| 0,
            show: |_, _| {},
        }
    }
}

impl Generation {
    /// A frontend by its id; `None` for an id of another generation.
    pub fn frontend(&self, id: FrontendId) -> Option<&Arc<Frontend>> {
        self.frontends.get(id.index())
    }

    /// A backend by its id; `None` for an id of another generation.
    pub fn backend(&self, id: BackendId) -> Option<&Arc<Backend>> {
        self.backends.get(id.index())
    }
}

/// Where the generation in force is kept.
#[derive(Debug, Clone)]
pub struct Handle(Arc<ArcSwap<Generation>>);

impl Handle {
    /// Begins with a generation.
    pub fn new(generation: Generation) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(generation)))
    }

    /// The generation in force.
    pub fn load(&self) -> Arc<Generation> {
        self.0.load_full()
    }

    /// Puts another generation in force; what runs on the old one finishes there.
    pub fn store(&self, generation: Generation) {
        self.0.store(Arc::new(generation));
    }

    /// A view for one worker.
    pub fn reader(&self) -> Reader {
        Reader(arc_swap::Cache::new(Arc::clone(&self.0)))
    }
}

/// A worker's view of the [`Handle`].
#[derive(Debug, Clone)]
pub struct Reader(arc_swap::Cache<Arc<ArcSwap<Generation>>, Arc<Generation>>);

impl Reader {
    /// The generation in force.
    pub fn current(&mut self) -> &Arc<Generation> {
        self.0.load()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation(maxconn: u64) -> Generation {
        let global = Global {
            maxconn: Limit::new(maxconn),
            hard_maxconn: maxconn,
            connection_rate: Limit::default(),
            session_rate: Limit::default(),
            connections: Arc::default(),
            accepted: Arc::new(Traffic::new(1)),
            bad_messages: Arc::default(),
            hard_stop_after: None,
            close_spread: None,
            node: String::new(),
            description: None,
            tune: Tune::default(),
            variables: ProcessVariables::default(),
            notes_course: false,
            case_adjustment: Arc::default(),
            system: System::default(),
            workers: 1,
            groups: 1,
        };
        Generation {
            frontends: Vec::new(),
            backends: Vec::new(),
            userlists: Vec::new(),
            tables: Vec::new(),
            rings: Vec::new(),
            forwarders: Vec::new(),
            profiles: Vec::new(),
            pattern_files: Vec::new(),
            written_patterns: Vec::new(),
            startup_logs: String::new(),
            global,
        }
    }

    #[test]
    fn a_reader_sees_the_next_generation_and_keeps_what_it_holds() {
        let handle = Handle::new(generation(1));
        let mut reader = handle.reader();
        let held = Arc::clone(reader.current());
        handle.store(generation(2));
        assert_eq!(reader.current().global.maxconn.get(), 2);
        assert_eq!(held.global.maxconn.get(), 1);
    }
}
