//! What requests are sent to.

use super::Section;
use super::address::{SendProxy, Source};
use super::place::{Endpoint, Location, Ports};
use super::settings::{HttpReuse, KeepAlive, RetryOn, TcpOptions};
use crate::balance::farm::Farm;
use crate::ids::FrontendId;
use crate::rules::forwarded::Forwarded;
use crate::sample::Expression;
use crate::stats::{Gauge, Traffic};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A `backend`, or the sending half of a `listen`.
#[derive(Debug)]
pub struct Backend {
    /// What frontends have too.
    pub section: Section,
    /// The frontend half of the same `listen` section.
    pub listen: Option<FrontendId>,
    /// In the order of declaration, as in the farm.
    pub servers: Vec<Arc<Server>>,
    /// The same servers as balancing and health see them: their state, their slots, the queues.
    pub farm: Arc<Farm>,
    /// What `balance hash` or `balance rdp-cookie` hashes.
    pub balance_key: Option<Expression>,
    /// `persist rdp-cookie`: the cookie that names the server.
    pub rdp_cookie: Option<String>,
    /// `dispatch` of 1.4.
    pub dispatch: Option<SocketAddr>,
    /// `option transparent`.
    pub transparent: bool,
    /// `retries`.
    pub retries: u32,
    /// `retry-on`.
    pub retry_on: RetryOn,
    /// `option abortonclose`.
    pub abortonclose: bool,
    /// `option http-pretend-keepalive`.
    pub pretend_keep_alive: bool,
    /// `option checkcache`.
    pub checkcache: bool,
    /// `http-reuse`.
    pub http_reuse: HttpReuse,
    /// `option forwarded`. `None`: no such header.
    pub forwarded: Option<Box<Forwarded<Expression>>>,
    /// `http-send-name-header`, in lower case.
    pub send_name_header: Option<String>,
    /// `option srvtcpka` or `tcpka`.
    pub tcp_keep_alive: Option<KeepAlive>,
    /// `option tcp-smart-connect`: the handshake with a server ends with the first bytes.
    pub tcp_smart_connect: bool,
    /// `option nolinger`.
    pub nolinger: bool,
    /// `max-keep-alive-queue`: how many may wait for a server that a client would go on with. `None`: any number.
    pub max_keep_alive_queue: Option<u32>,
    /// `option prefer-last-server`.
    pub prefer_last_server: bool,
    /// `option accept-unsafe-violations-in-http-response`.
    pub accept_unsafe_responses: bool,
    /// Whether rules may choose it. Outlives a generation.
    pub published: Arc<Published>,
}

/// Whether rules may choose a backend, which operators may change.
#[derive(Debug)]
pub struct Published {
    /// `be-unpublished` is not there.
    at_start: bool,
    now: AtomicBool,
}

impl Published {
    /// As the section says.
    pub fn new(at_start: bool) -> Self {
        Self { at_start, now: AtomicBool::new(at_start) }
    }

    /// What the section says.
    pub fn at_start(&self) -> bool {
        self.at_start
    }

    /// `publish backend`, `unpublish backend`
    pub fn set(&self, published: bool) {
        self.now.store(published, Ordering::Relaxed);
    }
}

impl Backend {
    /// The section's name.
    pub fn name(&self) -> &str {
        &self.section.name
    }

    /// Rules may choose it.
    pub fn takes_traffic(&self) -> bool {
        !self.section.disabled && self.published.now.load(Ordering::Relaxed)
    }

    /// `dispatch`, `option transparent`: where requests go has nothing to do with its servers.
    pub fn is_without_servers(&self) -> bool {
        self.dispatch.is_some() || self.transparent
    }
}

/// How a server is reached and what is counted for it. Its state and its slots are the farm's.
#[derive(Debug)]
pub struct Server {
    /// The name.
    pub name: Arc<str>,
    /// `sid` of the statistics.
    pub id: u32,
    /// Its line gives the number.
    pub forced_id: bool,
    /// The server that it tracks, as `backend/server`.
    pub tracked: Option<String>,
    /// The SRV record that says where it is.
    pub srv_record: Option<String>,
    /// `addr` and `port` of its check, where they are given.
    pub check_place: Endpoint,
    /// `agent-addr` and `agent-port`, likewise.
    pub agent_place: Endpoint,
    /// Where it is. Outlives a generation with its state.
    pub location: Arc<Location>,
    /// `redir`: requests are redirected to this prefix instead of forwarded.
    pub redir: Option<String>,
    /// `send-proxy` and its kin.
    pub send_proxy: Option<SendProxy>,
    /// `source`.
    pub source: Option<Source>,
    /// The ports of `source`, where it names any.
    pub source_ports: Option<Ports>,
    /// `non-stick`: stick tables do not learn of it.
    pub non_stick: bool,
    /// `pool-max-conn`: idle connections kept. `None`: no limit.
    pub pool_max_conn: Option<u32>,
    /// `pool-low-conn`.
    pub pool_low_conn: u32,
    /// `pool-purge-delay`.
    pub pool_purge_delay: Duration,
    /// `max-reuse`: requests over one connection. `None`: no limit.
    pub max_reuse: Option<u32>,
    /// `tcp-ut`.
    pub tcp_user_timeout: Option<Duration>,
    /// `cc`, `tcp-md5sig`
    pub tcp: Option<Arc<TcpOptions>>,
    /// `tfo`.
    pub tfo: bool,
    /// `socks4`: the proxy that is asked for connections to it.
    pub socks4: Option<SocketAddr>,
    /// `namespace`: where sockets to it belong. `None`: where the process does.
    pub namespace: Option<String>,
    /// What is counted.
    pub traffic: Arc<Traffic>,
    /// Connections to it that wait for a request, over all workers. Outlives a generation.
    pub idle: Arc<Gauge>,
    /// The same as that of the server in another generation that [is reached as](Self::is_reached_as) this one.
    pub reach: Arc<Reach>,
}

/// The way to a server, as something to recognise: it goes from one generation to the next for as long as nothing of it changes,
/// and is gone with the last generation that has it.
#[derive(Debug, Default)]
pub struct Reach(());

impl Server {
    /// Whether a connection that was made to the one may carry requests for the other, kept under the same limits.
    pub fn is_reached_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.location, &other.location)
            && self.send_proxy == other.send_proxy
            && self.source == other.source
            && self.pool_max_conn == other.pool_max_conn
            && self.pool_purge_delay == other.pool_purge_delay
            && self.max_reuse == other.max_reuse
            && self.tcp_user_timeout == other.tcp_user_timeout
            && self.tcp == other.tcp
            && self.tfo == other.tfo
            && self.socks4 == other.socks4
            && self.namespace == other.namespace
    }
}
