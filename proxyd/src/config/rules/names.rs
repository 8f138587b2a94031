//! What rules refer to elsewhere in the configuration, by name.

use crate::ids::{BackendId, FrontendId, ServerIndex, UserlistId};
use crate::sample::pattern_file::PatternFile;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The names of all sections, collected before rules are lowered.
#[derive(Debug, Default)]
pub struct Names {
    /// `frontend` and `listen`.
    pub frontends: HashMap<String, FrontendId>,
    /// `backend` and `listen`.
    pub backends: HashMap<String, BackendId>,
    /// `userlist`.
    pub userlists: HashMap<String, UserlistId>,
    /// Servers, by backend and name.
    pub servers: HashMap<(String, String), (BackendId, ServerIndex)>,
    /// Proxies with a `stick-table`, and tables of `peers` sections as `peers/table`.
    pub tables: Vec<String>,
    /// Files of patterns that rules change: they are not compiled for good.
    pub changed_files: HashSet<String>,
    /// Files of patterns that can change, read so far.
    pub files: RefCell<HashMap<String, Arc<PatternFile>>>,
    /// The environment, for `env(…)`.
    pub environment: HashMap<String, String>,
    /// The host's name, for `hostname`.
    pub hostname: String,
}

impl Names {
    /// A server of a backend.
    pub(super) fn server(&self, backend: &str, server: &str) -> Option<(BackendId, ServerIndex)> {
        self.servers.get(&(backend.to_owned(), server.to_owned())).copied()
    }

    /// The names of a backend's servers.
    pub(super) fn servers_of<'a>(&'a self, backend: &'a str) -> impl Iterator<Item = &'a String> {
        self.servers.keys().filter(move |(of, _)| of == backend).map(|(_, server)| server)
    }
}
