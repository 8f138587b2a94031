//! What a `frontend`, `backend` or `listen` section decides for the data path: plain values, complete and defaulted.
//!
//! The model of the configuration and the running objects share these types, so that neither copies the other's.

use crate::limits::{CAPTURED_COOKIE_MAX, LOGGED_LINE_MAX};
use crate::sample::variable_limits::VariableLimits;
use crate::stick::tracked::Statuses;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What a section carries on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Bytes.
    Tcp,
    /// Requests and responses.
    Http,
    /// Log messages.
    Log,
    /// 1.4's `mode health`: answers `OK` and closes.
    Health,
}

/// What few sockets of TCP have: `cc`, `tcp-md5sig`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TcpOptions {
    /// `cc`: how congestion is controlled.
    pub congestion_control: Option<String>,
    /// `tcp-md5sig`: what segments are signed with.
    pub signature_key: Option<String>,
}

impl TcpOptions {
    /// The same, where there is any.
    pub fn shared(&self) -> Option<Arc<Self>> {
        (*self != Self::default()).then(|| Arc::new(self.clone()))
    }
}

/// TCP keep-alives. What is `None` is as the system has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct KeepAlive {
    /// `clitcpka-cnt`, `srvtcpka-cnt`: probes without an answer after which the peer is gone.
    pub count: Option<u32>,
    /// `clitcpka-idle`, `srvtcpka-idle`: silence before the first probe, in whole seconds.
    pub idle: Option<Duration>,
    /// `clitcpka-intvl`, `srvtcpka-intvl`: from one probe to the next, in whole seconds.
    pub interval: Option<Duration>,
}

/// How long things may take; `None`: for ever.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// `timeout client`: inactivity of the client.
    pub client: Option<Duration>,
    /// `timeout client-fin`: the same once the server has half-closed.
    pub client_fin: Option<Duration>,
    /// `timeout http-request`: the whole request head.
    pub http_request: Option<Duration>,
    /// `timeout http-keep-alive`: until the next request begins.
    pub http_keep_alive: Option<Duration>,
    /// `timeout connect`: establishing the connection to a server.
    pub connect: Option<Duration>,
    /// `timeout server`: inactivity of the server.
    pub server: Option<Duration>,
    /// `timeout server-fin`: the same once the client has half-closed.
    pub server_fin: Option<Duration>,
    /// `timeout tunnel`: inactivity once both sides only relay bytes.
    pub tunnel: Option<Duration>,
    /// `timeout queue`: waiting for a place on a server; unset, it is `connect`.
    pub queue: Option<Duration>,
    /// `timeout tarpit`; unset, it is `connect`, but not in a frontend.
    pub tarpit: Option<Duration>,
    /// `timeout check`: the answer to a health check.
    pub check: Option<Duration>,
}

/// How connections end between requests, in rising strength: of frontend and backend the stronger one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum ConnectionMode {
    /// Both sides stay open.
    #[default]
    KeepAlive,
    /// The server's side closes after each request.
    ServerClose,
    /// Both sides close after each request.
    Close,
}

/// `option http-restrict-req-hdr-names`: what becomes of a request's fields whose names have other characters than letters, digits and
/// dashes, once the section's rules are through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OddNames {
    /// They pass.
    #[default]
    Preserve,
    /// They are left out.
    Delete,
    /// The request is refused (403).
    Reject,
}

/// `option splice-…` of one section: which directions the kernel may move by itself. `None`: it does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Splice {
    /// `splice-request`, or `splice-auto`.
    pub request: Option<bool>,
    /// `splice-response`, or `splice-auto`.
    pub response: Option<bool>,
}

/// `option forwardfor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardFor {
    /// `except`: clients within these networks get no header.
    pub except: Option<Network>,
    /// `header`.
    pub header: String,
    /// `if-none`: only where the request has none.
    pub if_none: bool,
}

/// An address and how many leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// The address; bits after the prefix are zero.
    pub address: IpAddr,
    /// 0 to 32, or to 128.
    pub prefix: u8,
}

impl Network {
    /// Whether an address lies in the network; an IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                let shift = 32 - u32::from(self.prefix.min(32));
                u32::from(net).checked_shr(shift) == u32::from(ip).checked_shr(shift)
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                let shift = 128 - u32::from(self.prefix.min(128));
                u128::from(net).checked_shr(shift) == u128::from(ip).checked_shr(shift)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// `errorfile`: the bytes to send for a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorFile {
    /// The status it replaces.
    pub status: u16,
    /// What to do instead of the built-in answer.
    pub answer: ErrorAnswer,
}

/// What an error is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorAnswer {
    /// `errorfile`: these bytes, head and body.
    File {
        /// Where they were read.
        path: PathBuf,
        /// The whole answer.
        bytes: Vec<u8>,
    },
    /// `errorloc`, `errorloc302`, `errorloc303`: a redirect.
    Redirect {
        /// 302 or 303.
        status: u16,
        /// The `Location`.
        location: String,
    },
}

/// `capture request header` or `response`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderCapture {
    /// The header's name.
    pub name: String,
    /// Bytes kept.
    pub len: u32,
}

/// `capture cookie`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieCapture {
    /// How the cookie begins: with its name and an equals sign, or with a part of its name.
    pub start: String,
    /// Bytes kept.
    pub len: u32,
}

impl CookieCapture {
    /// The same, of at most so many bytes (`tune.http.cookielen`).
    #[must_use]
    pub fn within(self, most: u16) -> Self {
        Self { len: self.len.min(most.into()), ..self }
    }
}

/// `stats …` of a proxy section.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// `stats uri`: the page's path and query.
    pub uri: String,
    /// `stats realm`.
    pub realm: String,
    /// `stats auth`: who may look; empty: everybody.
    pub auth: Vec<Credential>,
    /// `stats refresh`. `None`: the page does not reload itself.
    pub refresh: Option<Duration>,
    /// `stats show-version` and not `hide-version`.
    pub show_version: bool,
    /// `stats show-legends`.
    pub show_legends: bool,
    /// `stats show-modules`.
    pub show_modules: bool,
    /// `stats show-node`: the name to show.
    pub show_node: Option<String>,
    /// `stats show-desc`: the text to show; the section's `description` where none is given.
    pub show_desc: Option<String>,
    /// `stats scope`: the sections to show, empty: all.
    pub scope: Vec<String>,
}

/// A name and a password, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The user.
    pub user: String,
    /// In clear.
    pub password: String,
}

/// `retry-on`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryOn {
    /// `conn-failure`; on unless `none`.
    pub conn_failure: bool,
    /// `empty-response`.
    pub empty_response: bool,
    /// `junk-response`.
    pub junk_response: bool,
    /// `response-timeout`.
    pub response_timeout: bool,
    /// `0rtt-rejected`.
    pub rejected_0rtt: bool,
    /// Statuses, ascending.
    pub statuses: Vec<u16>,
}

impl RetryOn {
    /// Whether it may send again what a server has got.
    pub fn repeats_requests(&self) -> bool {
        self.empty_response || self.junk_response || self.response_timeout || !self.statuses.is_empty()
    }
}

impl Default for RetryOn {
    fn default() -> Self {
        Self {
            conn_failure: true,
            empty_response: false,
            junk_response: false,
            response_timeout: false,
            rejected_0rtt: false,
            statuses: Vec::new(),
        }
    }
}

/// `http-reuse`: when an idle server connection may carry another client's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum HttpReuse {
    /// Never.
    Never,
    /// Not for a client's first request.
    #[default]
    Safe,
    /// Also for the first, over connections that were reused before.
    Aggressive,
    /// Always.
    Always,
}

/// Sizes of buffers and messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tune {
    /// `tune.bufsize`: bytes of one buffer; a message head must fit into it less [`Tune::maxrewrite`].
    pub bufsize: u32,
    /// `tune.maxrewrite`: bytes kept free for added headers, at most half of them.
    pub maxrewrite: u32,
    /// `tune.http.maxhdr`: header fields in one message.
    pub http_maxhdr: u16,
    /// `tune.http.cookielen`: bytes of a captured cookie.
    pub http_cookielen: u16,
    /// `tune.http.logurilen`: bytes of a logged request line.
    pub http_logurilen: u16,
    /// `tune.maxaccept`: connections accepted in a row. `None`: left to the program.
    pub maxaccept: Option<u32>,
    /// `tune.maxpollevents`: sockets that one look for events reports. `None`: left to the program.
    pub maxpollevents: Option<u32>,
    /// `tune.runqueue-depth`: tasks that run between two such looks. `None`: left to the program.
    pub runqueue_depth: Option<u32>,
    /// `tune.pipesize`: bytes of one pipe. `None`: left to the program.
    pub pipesize: Option<u32>,
    /// `h1-accept-payload-with-any-method`: a request of HTTP/1.0 may have a body whatever its method.
    pub any_payload: bool,
    /// `h1-do-not-close-on-insecure-transfer-encoding`: a message with two framings does not end its connection.
    pub keep_ambiguous: bool,
    /// `harden.reject-privileged-ports.tcp`: clients do not come from ports below 1024.
    pub reject_privileged_ports: bool,
    /// `maxconnrate`: connections per second over all frontends.
    pub connection_rate: Option<u32>,
    /// `maxsessrate`: likewise.
    pub session_rate: Option<u32>,
    /// `tune.vars.…`. `None`: no limit.
    pub variables: Option<Box<VariableLimits>>,
    /// `http-err-codes`, `http-fail-codes`. `None`: neither.
    pub statuses: Option<Box<Statuses>>,
    /// `tune.rcvbuf.…`, `tune.sndbuf.…`, `tune.notsent-lowat.…`.
    pub kernel_buffers: KernelBuffers,
}

impl Tune {
    /// Bytes of a buffer that a message may fill.
    pub fn message_size(&self) -> u64 {
        self.bufsize.saturating_sub(self.maxrewrite).into()
    }
}

impl Default for Tune {
    fn default() -> Self {
        Self {
            bufsize: 16_384,
            maxrewrite: 1_024,
            http_maxhdr: 101,
            http_cookielen: CAPTURED_COOKIE_MAX,
            http_logurilen: LOGGED_LINE_MAX,
            maxaccept: None,
            maxpollevents: None,
            runqueue_depth: None,
            pipesize: None,
            any_payload: false,
            keep_ambiguous: false,
            reject_privileged_ports: false,
            connection_rate: None,
            session_rate: None,
            variables: None,
            statuses: None,
            kernel_buffers: KernelBuffers::default(),
        }
    }
}

/// What the kernel holds of each connection. `None`: as the system does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SocketBuffers {
    /// `tune.rcvbuf.…`: bytes that have come.
    pub receive: Option<u32>,
    /// `tune.sndbuf.…`: bytes that are to go.
    pub send: Option<u32>,
    /// `tune.notsent-lowat.…`: bytes that have not left yet, from which on no more are taken.
    pub unsent: Option<u32>,
}

/// The same for both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct KernelBuffers {
    /// Of clients.
    pub client: SocketBuffers,
    /// Of servers.
    pub server: SocketBuffers,
    /// Of the datagrams that `log-forward` takes (`tune.rcvbuf.frontend`, `tune.sndbuf.frontend`).
    pub datagrams: SocketBuffers,
    /// Of the datagrams that logs are sent in (`tune.rcvbuf.backend`, `tune.sndbuf.backend`).
    pub sent_datagrams: SocketBuffers,
}

/// `close-spread-time`: over how long connections are closed once the process is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseSpread {
    /// So long.
    Over(Duration),
    /// They are not: each ends when it would end anyway.
    Never,
}

/// `severity-output`: how an answer to a runtime command says what kind it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeverityOutput {
    /// Not at all.
    #[default]
    Default,
    /// By syslog's number.
    Number,
    /// By syslog's name.
    Text,
}

impl SeverityOutput {
    /// The one of that name in configurations and commands.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "none" => Some(Self::Default),
            "number" => Some(Self::Number),
            "string" => Some(Self::Text),
            _ => None,
        }
    }
}

/// How a runtime connection begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuntimeAccess {
    /// What it may do.
    pub level: StatsLevel,
    /// What answers begin with.
    pub severity: SeverityOutput,
}

/// What a runtime connection may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatsLevel {
    /// Non-sensitive reads.
    User,
    /// All reads; the default.
    #[default]
    Operator,
    /// Everything.
    Admin,
}
