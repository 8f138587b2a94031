//! Frontends, backends and servers as the running process knows them.
//!
//! `running` builds these objects from the configuration's model; workers reach them through one
//! [`Generation`](crate::generation::Generation). They own what the data path needs, so that nothing of the model travels
//! with a request. What must survive a reload (counters, the state of servers) sits behind an `Arc` of its own, which
//! the next generation takes over for every object that it still has.

pub mod address;
pub mod backend;
pub mod bad_message;
pub mod frontend;
pub mod listen;
pub mod logging;
pub mod place;
pub mod settings;
pub mod userlist;

pub use backend::{Backend, Published, Server};
pub use frontend::{Frontend, Listener};
pub use place::{Endpoint, Location, Place};

use crate::log::target::Logger;
use crate::rules::Rules;
use settings::{ErrorAnswer, ErrorFile, ForwardFor, Mode, Stats, Timeouts};
use std::sync::Arc;
use std::time::Duration;

/// What frontends and backends have in common.
#[derive(Debug)]
pub struct Section {
    /// The section's name.
    pub name: Arc<str>,
    /// `iid` of the statistics. Both halves of a `listen` have the same.
    pub id: u32,
    /// The section itself gives the number.
    pub forced_id: bool,
    /// `mode`.
    pub mode: Mode,
    /// `disabled`: it is known, but never starts and is not shown.
    pub disabled: bool,
    /// `timeout …`.
    pub timeouts: Timeouts,
    /// `option forwardfor`.
    pub forward_for: Option<ForwardFor>,
    /// `option originalto`.
    pub original_to: Option<ForwardFor>,
    /// `option http-keep-alive`, `http-server-close`, `httpclose`.
    pub connection_mode: settings::ConnectionMode,
    /// `option splice-auto`, `splice-request`, `splice-response`.
    pub splice: settings::Splice,
    /// `option http-buffer-request`.
    pub http_buffer_request: bool,
    /// `tcp-request inspect-delay`: how long rules on content may wait for it. `None`: not at all.
    pub inspect_delay: Option<Duration>,
    /// `tcp-response inspect-delay`: the same of rules on what the server sends.
    pub response_inspect_delay: Option<Duration>,
    /// `option contstats`: count bytes while they pass.
    pub contstats: bool,
    /// `option independent-streams`.
    pub independent_streams: bool,
    /// `option http-restrict-req-hdr-names`.
    pub odd_names: settings::OddNames,
    /// `option h1-case-adjust-bogus-client`
    pub adjust_case_for_client: bool,
    /// `option h1-case-adjust-bogus-server`
    pub adjust_case_for_server: bool,
    /// `option http-drop-request-trailers`
    pub drops_request_trailers: bool,
    /// `option http-drop-response-trailers`
    pub drops_response_trailers: bool,
    /// `errorfile` and `errorloc`.
    pub error_files: Vec<ErrorFile>,
    /// `acl`, `http-request`, `use_backend` and all other rules.
    pub rules: Rules,
    /// `stats …`: the page this section serves.
    pub stats: Option<Stats>,
    /// There is a rule or a page that may concern a request before it is sent to a server; most sections have none, which is
    /// told by one look.
    pub looks_at_requests: bool,
    /// `description`.
    pub description: Option<String>,
    /// `log-tag`, or the process's.
    pub log_tag: Arc<str>,
    /// Where its lines go.
    pub logs: Arc<[Logger]>,
    /// What is counted.
    pub traffic: Arc<crate::stats::Traffic>,
    /// The last messages that were none. Outlives a generation.
    pub bad_messages: Arc<bad_message::BadMessages>,
}

impl Section {
    /// What a status of proxyd's own is answered with, where the configuration replaces the built-in text.
    pub fn error_answer(&self, status: u16) -> Option<&ErrorAnswer> {
        self.error_files.iter().find(|file| file.status == status).map(|file| &file.answer)
    }
}
