//! What accepts connections.

use super::Section;
use super::listen::Bind;
use super::logging::Logging;
use super::settings::{CookieCapture, HeaderCapture, KeepAlive, Network};
use crate::ids::BackendId;
use crate::stats::Traffic;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// A `frontend`, or the accepting half of a `listen`.
#[derive(Debug)]
pub struct Frontend {
    /// What backends have too.
    pub section: Section,
    /// The addresses it accepts on.
    pub listeners: Vec<Arc<Listener>>,
    /// The backend half of the same `listen` section.
    pub listen: Option<BackendId>,
    /// `default_backend`. `None`: what no rule takes gets a 503.
    pub default_backend: Option<BackendId>,
    /// Connections at the same time over all workers; at the limit, accepting stops.
    pub maxconn: Limit,
    /// `max-session-srv-conns`: connections to servers that a client's connection keeps for itself.
    pub max_session_srv_conns: u32,
    /// `rate-limit sessions`: new connections per second.
    pub rate_limit_sessions: Option<u32>,
    /// What is logged for a connection or a request.
    pub logging: Logging,
    /// `option http-ignore-probes`.
    pub http_ignore_probes: bool,
    /// `option idle-close-on-response`.
    pub idle_close_on_response: bool,
    /// `option socket-stats`.
    pub socket_stats: bool,
    /// `option clitcpka` or `tcpka`.
    pub tcp_keep_alive: Option<KeepAlive>,
    /// `option nolinger`.
    pub nolinger: bool,
    /// `option accept-unsafe-violations-in-http-request`.
    pub accept_unsafe_requests: bool,
    /// `monitor-uri`.
    pub monitor_uri: Option<String>,
    /// `monitor-net` of 1.4.
    pub monitor_net: Option<Network>,
    /// `capture request header`.
    pub capture_request: Vec<HeaderCapture>,
    /// `capture response header`.
    pub capture_response: Vec<HeaderCapture>,
    /// `capture cookie`.
    pub capture_cookie: Option<CookieCapture>,
    /// `unique-id-format`
    pub unique_id_format: Option<crate::sample::text::Text>,
    /// `unique-id-header`: servers are sent the id in it.
    pub unique_id_header: Option<String>,
    /// `grace` of 1.4: how long it goes on accepting after a soft stop was asked for.
    pub grace: Duration,
    /// Whether it accepts. Outlives a generation.
    pub accepting: Arc<Accepting>,
}

impl Frontend {
    /// The section's name.
    pub fn name(&self) -> &str {
        &self.section.name
    }
}

/// One address a frontend accepts on.
#[derive(Debug)]
pub struct Listener {
    /// The address and the options of its socket.
    pub bind: Bind,
    /// What is counted for it, shown with `option socket-stats`.
    pub traffic: Arc<Traffic>,
    name: String,
}

impl Listener {
    /// A listener with its counters.
    pub fn new(bind: Bind, traffic: Arc<Traffic>) -> Self {
        let name = bind.name.clone().unwrap_or_else(|| format!("sock-{}", bind.id));
        Self { bind, traffic, name }
    }

    /// The name shown in logs (`%fl`…) and statistics.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A limit that operators may change while the process runs.
#[derive(Debug, Default)]
pub struct Limit(AtomicU64);

impl Limit {
    /// Begins with this.
    pub fn new(limit: u64) -> Self {
        Self(AtomicU64::new(limit))
    }

    /// The limit in force.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Changes it; who keeps it has to be told.
    pub fn set(&self, limit: u64) {
        self.0.store(limit, Ordering::Relaxed);
    }
}

/// What a frontend does with new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptState {
    /// They are accepted.
    Open,
    /// Nothing listens, but the sockets are kept (SIGTTOU).
    Paused,
    /// The sockets are closed for good (SIGUSR1).
    Stopped,
}

/// A frontend that is stopped, while its connections are not.
const STOPPED_SLOWLY: u8 = 3;

/// The [`AcceptState`] of a frontend, read by every worker.
#[derive(Debug, Default)]
pub struct Accepting(AtomicU8);

impl Accepting {
    /// What to do with new connections.
    pub fn get(&self) -> AcceptState {
        match self.0.load(Ordering::Acquire) {
            0 => AcceptState::Open,
            1 => AcceptState::Paused,
            _ => AcceptState::Stopped,
        }
    }

    /// Changes it; a stopped frontend stays stopped.
    pub fn set(&self, state: AcceptState) {
        let number = match state {
            AcceptState::Open => 0,
            AcceptState::Paused => 1,
            AcceptState::Stopped => 2,
        };
        self.change(number);
    }

    /// Stops it, but leaves it to the worker when which of its connections ends (`close-spread-time`).
    pub fn stop_slowly(&self) {
        self.change(STOPPED_SLOWLY);
    }

    /// Whether its connections are to end at once.
    pub fn ends_connections(&self) -> bool {
        self.0.load(Ordering::Acquire) == 2
    }

    fn change(&self, number: u8) {
        let keep_stopped = |old| (old < 2).then_some(number);
        // Refused only where it is stopped already, and then nothing is to be changed.
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, keep_stopped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_frontend_stays_stopped() {
        let accepting = Accepting::default();
        assert_eq!(accepting.get(), AcceptState::Open);
        accepting.set(AcceptState::Paused);
        accepting.set(AcceptState::Open);
        assert_eq!(accepting.get(), AcceptState::Open);
        accepting.set(AcceptState::Stopped);
        accepting.set(AcceptState::Open);
        assert_eq!(accepting.get(), AcceptState::Stopped);
        assert!(accepting.ends_connections());
    }

    #[test]
    fn one_that_is_stopped_slowly_is_stopped_all_the_same() {
        let accepting = Accepting::default();
        assert!(!accepting.ends_connections());
        accepting.stop_slowly();
        accepting.set(AcceptState::Open);
        assert_eq!(accepting.get(), AcceptState::Stopped);
        assert!(!accepting.ends_connections());
    }
}
