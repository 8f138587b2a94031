//! What a configuration says once everything is resolved: plain data, complete and defaulted.
//!
//! A `None` here always means something to the reader ("never", "no limit", "not asked for"), never "not filled in yet".
//! References to other sections are ids into this model's lists. The running process builds its own objects from the
//! model and does not carry it along.

use crate::balance::Algorithm;
use crate::balance::hash::{Affinity, HashKey, HashType};
use crate::balance::persist::{CookieSettings, Redispatch};
use crate::health::script::CheckKind;
use crate::health::{InitState, Observe, OnError, OnMarkedDown, OnMarkedUp, Pace};
use crate::http::case::CaseAdjustment;
use crate::ids::{BackendId, FrontendId, ServerIndex};
use crate::log::backend::LogBalance;
use crate::log::format::Program;
pub use crate::log::forward::ForwardSettings;
use crate::log::profile::Profile;
pub use crate::log::ring::RingSettings;
use crate::log::step::Steps;
pub use crate::log::target::{LogAddress, LogSample, LogTarget, SyslogFormat};
pub use crate::proxy::address::{SendProxy, ServerAddress, ServerPort, Source, UseSource};
pub use crate::proxy::listen::{Bind, ListenAddress, SocketOwner};
pub use crate::proxy::settings::{
    CloseSpread, ConnectionMode, CookieCapture, Credential, ErrorAnswer, ErrorFile, ForwardFor, HeaderCapture,
    HttpReuse, KeepAlive, Mode, Network, OddNames, RetryOn, SeverityOutput, Splice, Stats, StatsLevel, TcpOptions,
    Timeouts, Tune,
};
pub use crate::proxy::userlist::{Password, User, Userlist};
use crate::resolvers::{self, Wish};
use crate::rules::Rules;
use crate::rules::effect::Effect;
use crate::rules::forwarded::Forwarded;
use crate::sample::Expression;
use crate::sample::pattern_file::{PatternFile, WrittenPatterns};
use crate::stick;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A whole configuration.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Model {
    /// The merged `global` sections.
    pub global: Global,
    /// In the order of the file; `FrontendId` indexes it.
    pub frontends: Vec<Frontend>,
    /// In the order of the file; `BackendId` indexes it.
    pub backends: Vec<Backend>,
    /// `UserlistId` indexes it.
    pub userlists: Vec<Userlist>,
    /// `TableId` indexes it.
    pub tables: Vec<stick::Settings>,
    /// The `resolvers` sections that servers ask.
    pub resolvers: Vec<resolvers::Settings>,
    /// The `ring` sections and what `log tcp@` lines made.
    pub rings: Vec<RingSettings>,
    /// The `log-forward` sections.
    pub log_forwards: Vec<LogForward>,
    /// The `log-profile` sections; `ProfileId` indexes it.
    pub profiles: Vec<Arc<Profile>>,
    /// Files of patterns that can be changed, in the order in which the configuration names them.
    pub pattern_files: Vec<Arc<PatternFile>>,
    /// Where there is a runtime socket: the patterns of ACLs that stand in the configuration itself.
    pub written_patterns: Vec<WrittenPatterns>,
}

/// A health check, of a backend or of a `healthcheck` section.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    /// What it says on the connection.
    pub kind: CheckKind,
    /// `http-check disable-on-404`: a 404 takes no new clients but keeps the old ones.
    pub disable_on_404: bool,
    /// `http-check send-state`: the check tells the server's state in a header.
    pub send_state: bool,
}

/// What a backend in `mode log` needs to send lines.
#[derive(Clone, Debug, PartialEq)]
pub struct LogServers {
    /// Which server gets a line.
    pub balance: LogBalance,
    /// Of each server, the ring of lines that wait for its connection. `None`: it gets datagrams.
    pub rings: Vec<Option<RingSettings>>,
}

/// A `log-forward` section.
#[derive(Clone, Debug, PartialEq)]
pub struct LogForward {
    /// Where messages come from.
    pub settings: ForwardSettings,
    /// Where they go.
    pub logs: Vec<LogTarget>,
    /// `acl` and `tcp-request`.
    pub rules: Rules,
}

impl Model {
    /// The `log` lines of all sections.
    pub fn loggers(&self) -> impl Iterator<Item = &LogTarget> {
        let frontends = self.frontends.iter().map(|frontend| &frontend.proxy);
        let proxies = frontends.chain(self.backends.iter().map(|backend| &backend.proxy));
        let sections = self.log_forwards.iter().flat_map(|section| &section.logs);
        self.global.logs.iter().chain(proxies.flat_map(|proxy| &proxy.logs)).chain(sections)
    }

    /// The network namespaces that servers are reached in.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        let rings = self.rings.iter().flat_map(|ring| &ring.servers).filter_map(|server| server.namespace.as_deref());
        let servers = self.backends.iter().flat_map(|backend| &backend.servers);
        servers.filter_map(|server| server.namespace.as_deref()).chain(rings)
    }

    /// A frontend by its id.
    ///
    /// # Panics
    /// With an id of another model.
    pub fn frontend(&self, id: FrontendId) -> &Frontend {
        &self.frontends[id.index()]
    }

    /// A backend by its id.
    ///
    /// # Panics
    /// With an id of another model.
    pub fn backend(&self, id: BackendId) -> &Backend {
        &self.backends[id.index()]
    }
}

/// The process as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Global {
    /// `maxconn`: concurrent connections over all frontends. `None`: derived from the limit of file descriptors at start.
    pub maxconn: Option<u32>,
    /// `nbthread`: worker threads. `None`: one per usable CPU.
    pub nbthread: Option<u16>,
    /// `thread-groups`: groups that threads are numbered in. `None`: one.
    pub thread_groups: Option<u16>,
    /// `cpu-map`: the processors of threads, by group and place there, both counted from 1.
    pub cpu_map: BTreeMap<(u8, u8), Vec<u16>>,
    /// `busy-polling`: workers look for work without ever sleeping.
    pub busy_polling: bool,
    /// `fd-hard-limit`: file descriptors at most where neither `ulimit-n` nor `maxconn` says how many.
    pub fd_hard_limit: Option<u32>,
    /// `setcap`: privileges that are kept when the process becomes its user, by number.
    pub capabilities: Vec<u8>,
    /// `set-dumpable`: memory is written to a file when the process crashes.
    pub dumpable: bool,
    /// `insecure-setuid-wanted`: programs that are run may get other rights than the process has.
    pub setuid_programs: bool,
    /// `tune.renice.startup`: the nice value until everything is open. `None`: as it was.
    pub nice_startup: Option<i8>,
    /// `tune.renice.runtime`: the nice value from then on. `None`: as it was.
    pub nice_runtime: Option<i8>,
    /// `user` or `uid`: the user to become once everything is bound.
    pub uid: Option<u32>,
    /// `group` or `gid`: likewise.
    pub gid: Option<u32>,
    /// `chroot`: the directory to enter before dropping privileges.
    pub chroot: Option<PathBuf>,
    /// `pidfile`; the command line's `-p` wins.
    pub pidfile: Option<PathBuf>,
    /// `daemon`: go to the background.
    pub daemon: bool,
    /// `quiet`: say nothing at start, not even errors.
    pub quiet: bool,
    /// `master-worker`: as if started with `-W`.
    pub master_worker: bool,
    /// `maxpipes`: pipes that bulk passes through. `None`: a share of `maxconn`.
    pub maxpipes: Option<u32>,
    /// `nosplice` absent: bulk may pass through the kernel alone.
    pub splice: bool,
    /// `noreuseport`: nobody else can listen where this process does, not even another one of it.
    pub no_reuse_port: bool,
    /// `ulimit-n`: file descriptors to ask for. `None`: derived from `maxconn`.
    pub ulimit_n: Option<u32>,
    /// `strict-limits`: whether a limit that cannot be had ends the start. `None`: only that of `ulimit-n` does.
    pub strict_limits: Option<bool>,
    /// `log`: where `log global` sends.
    pub logs: Vec<LogTarget>,
    /// `log-tag`. `None`: the name the program was started under.
    pub log_tag: Option<String>,
    /// `log-send-hostname`: the name to send. `None`: no host field at all in RFC3164 lines sent to a local socket.
    pub log_hostname: LogHostname,
    /// `stats socket`: where the runtime commands are served.
    pub stats_sockets: Vec<StatsSocket>,
    /// `stats timeout`: how long such a connection may idle.
    pub stats_timeout: Duration,
    /// `tune.cli.max-payload-size`: bytes that may come with a runtime command. `None`: left to the program.
    pub payload_max: Option<usize>,
    /// `stats maxconn`: concurrent connections to the stats sockets.
    pub stats_maxconn: u32,
    /// `hard-stop-after`: how long a soft stop may take. `None`: until the last connection ends.
    pub hard_stop_after: Option<Duration>,
    /// `close-spread-time`. `None`: connections are closed at once.
    pub close_spread: Option<CloseSpread>,
    /// `grace`: how long to go on accepting after a soft stop was asked for.
    pub grace: Duration,
    /// `spread-checks`: per cent by which the interval of checks varies, 0 to 50.
    pub spread_checks: u8,
    /// `max-spread-checks`: over how long the first checks are spread at most. `None`: over the shortest interval.
    pub max_spread_checks: Option<Duration>,
    /// `node`: the name shown on the stats page. `None`: the host's name.
    pub node: Option<String>,
    /// `description`: shown on the stats page.
    pub description: Option<String>,
    /// `localpeer` or `-L`. `None`: the host's name.
    pub localpeer: Option<String>,
    /// `tune.*` that are not left to the program.
    pub tune: Tune,
    /// `set-var` and `set-var-fmt`: variables of the process, in order.
    pub variables: Vec<Effect>,
    /// Some sample asks for what is noted of an exchange for it alone (`cpu_calls`, `req.bytes_out`).
    pub notes_course: bool,
    /// `h1-case-adjust`
    pub case_adjustment: CaseAdjustment,
    /// `server-state-base`: the directory of relative server state files.
    pub server_state_base: Option<PathBuf>,
    /// `server-state-file` in `global`.
    pub server_state_file: Option<PathBuf>,
    /// `pp2-never-send-local`: checks say in PROXY headers that they are a client.
    pub never_send_local: bool,
    /// `external-check` was allowed.
    pub external_check: bool,
    /// `setenv` and friends: the environment of programs that are run, after all changes. `None` value: removed.
    pub environment: Vec<(String, Option<String>)>,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            maxconn: None,
            nbthread: None,
            thread_groups: None,
            cpu_map: BTreeMap::new(),
            busy_polling: false,
            fd_hard_limit: None,
            capabilities: Vec::new(),
            dumpable: false,
            setuid_programs: false,
            nice_startup: None,
            nice_runtime: None,
            uid: None,
            gid: None,
            chroot: None,
            pidfile: None,
            daemon: false,
            quiet: false,
            master_worker: false,
            maxpipes: None,
            splice: true,
            no_reuse_port: false,
            ulimit_n: None,
            strict_limits: None,
            logs: Vec::new(),
            log_tag: None,
            log_hostname: LogHostname::Absent,
            stats_sockets: Vec::new(),
            stats_timeout: Duration::from_secs(10),
            payload_max: None,
            stats_maxconn: 10,
            hard_stop_after: None,
            close_spread: None,
            grace: Duration::ZERO,
            spread_checks: 0,
            max_spread_checks: None,
            node: None,
            description: None,
            localpeer: None,
            tune: Tune::default(),
            variables: Vec::new(),
            notes_course: false,
            case_adjustment: CaseAdjustment::default(),
            server_state_base: None,
            server_state_file: None,
            never_send_local: false,
            external_check: false,
            environment: Vec::new(),
        }
    }
}

/// `log-send-hostname`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogHostname {
    /// Not set: no host name in RFC3164 lines.
    Absent,
    /// Set without a name: the host's own.
    System,
    /// This name.
    Name(String),
}

/// `stats socket` of the global section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsSocket {
    /// Where it listens.
    pub address: ListenAddress,
    /// What may be done there.
    pub level: StatsLevel,
    /// `severity-output`
    pub severity: SeverityOutput,
    /// Who owns the socket's file and its mode.
    pub owner: SocketOwner,
    /// `expose-fd listeners`: hands the listening sockets to a new process.
    pub expose_fd_listeners: bool,
}

/// Which line is logged for a connection or a request.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum LogFormat {
    /// No option: a short line when the connection is accepted.
    #[default]
    Connect,
    /// `option tcplog`.
    Tcp,
    /// `option tcplog clf`.
    TcpClf,
    /// `option httplog`.
    Http,
    /// `option httplog clf`.
    HttpClf,
    /// `option httpslog`.
    Https,
    /// `log-format`.
    Custom(Program<Expression>),
}

/// What frontends and backends have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Proxy {
    /// The section's name.
    pub name: String,
    /// `id`, or one given out in order: `iid` in the statistics. Both halves of a `listen` have the same.
    pub id: u32,
    /// `id` was given.
    pub forced_id: bool,
    /// The word that opened the section.
    pub kind: ProxyKind,
    /// `mode`.
    pub mode: Mode,
    /// `disabled`: known, but never started.
    pub disabled: bool,
    /// `description`.
    pub description: Option<String>,
    /// `timeout …`.
    pub timeouts: Timeouts,
    /// Where lines are logged, `log global` already resolved.
    pub logs: Vec<LogTarget>,
    /// `log-tag`. `None`: the global one.
    pub log_tag: Option<String>,
    /// `option http-keep-alive`, `http-server-close`, `httpclose`.
    pub connection_mode: ConnectionMode,
    /// `option splice-auto`, `splice-request`, `splice-response`.
    pub splice: Splice,
    /// `option forwardfor`.
    pub forward_for: Option<ForwardFor>,
    /// `option originalto`: the header's name.
    pub original_to: Option<ForwardFor>,
    /// `option http-buffer-request`: wait for the body before rules and balancing.
    pub http_buffer_request: bool,
    /// `option contstats`: count bytes while they pass, not at the end.
    pub contstats: bool,
    /// `option independent-streams`: sending does not count as activity.
    pub independent_streams: bool,
    /// `option http-restrict-req-hdr-names`.
    pub odd_names: OddNames,
    /// `option h1-case-adjust-bogus-client`
    pub adjust_case_for_client: bool,
    /// `option h1-case-adjust-bogus-server`
    pub adjust_case_for_server: bool,
    /// `option http-drop-request-trailers`
    pub drops_request_trailers: bool,
    /// `option http-drop-response-trailers`
    pub drops_response_trailers: bool,
    /// `errorfile` and `errorloc`, the last one of a status.
    pub error_files: Vec<ErrorFile>,
    /// `stats …`: the page this section serves. `None`: none.
    pub stats: Option<Stats>,
    /// `acl`, `http-request`, `use_backend` and all other rules; both halves of a `listen` have the same.
    pub rules: Rules,
    /// `tcp-request inspect-delay`: how long content rules may wait for data.
    pub inspect_delay: Option<Duration>,
    /// `tcp-response inspect-delay`: the same of rules on what the server sends.
    pub response_inspect_delay: Option<Duration>,
    /// `grace` of 1.4: how long this section goes on accepting after a soft stop was asked for.
    pub grace: Duration,
}

/// The word that opened a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyKind {
    /// `frontend`.
    Frontend,
    /// `backend`.
    Backend,
    /// `listen`: a frontend and a backend of one name.
    Listen,
}

/// What accepts connections.
#[derive(Clone, Debug, PartialEq)]
pub struct Frontend {
    /// What backends have too.
    pub proxy: Proxy,
    /// The listeners.
    pub binds: Vec<Bind>,
    /// The backend half of the same `listen` section.
    pub listen: Option<BackendId>,
    /// `maxconn`. `None`: the global one.
    pub maxconn: Option<u32>,
    /// `max-session-srv-conns`: connections to servers that a client's connection keeps for itself.
    pub max_session_srv_conns: u32,
    /// `rate-limit sessions`: new connections per second. `None`: no limit.
    pub rate_limit_sessions: Option<u32>,
    /// What is logged.
    pub log_format: LogFormat,
    /// `log-format-sd`.
    pub log_structured: Option<Program<Expression>>,
    /// `log-steps`: when lines are written. `None`: once, when all is known that they show.
    pub log_steps: Option<Steps>,
    /// `error-log-format`.
    pub error_log_format: Option<Program<Expression>>,
    /// `option dontlognull`: nothing for a connection without a byte.
    pub dontlognull: bool,
    /// `option dontlog-normal`: nothing for what went well.
    pub dontlog_normal: bool,
    /// `option log-separate-errors`: what went wrong is logged as `err`.
    pub log_separate_errors: bool,
    /// `option logasap`: log when the response's head arrived.
    pub logasap: bool,
    /// `option http-ignore-probes`: nothing for a connection without a byte, not even a 408.
    pub http_ignore_probes: bool,
    /// `option idle-close-on-response`: a connection ends with a response when we are stopping, not while it is idle.
    pub idle_close_on_response: bool,
    /// `option socket-stats`: counters per listener.
    pub socket_stats: bool,
    /// `option clitcpka` or `tcpka`: TCP keep-alives towards clients.
    pub tcp_keep_alive: Option<KeepAlive>,
    /// `option nolinger`: reset towards clients.
    pub nolinger: bool,
    /// `option accept-unsafe-violations-in-http-request` and its older name.
    pub accept_unsafe_requests: bool,
    /// `monitor-uri`: this path is answered 200 here.
    pub monitor_uri: Option<String>,
    /// `monitor-net` of 1.4: clients within it are answered and closed at once, unlogged.
    pub monitor_net: Option<Network>,
    /// `default_backend`, or the backend half of the same section. `None`: requests that no rule takes get a 503.
    pub default_backend: Option<BackendId>,
    /// `capture request header`, in order.
    pub capture_request: Vec<HeaderCapture>,
    /// `capture response header`, in order.
    pub capture_response: Vec<HeaderCapture>,
    /// `capture cookie`.
    pub capture_cookie: Option<CookieCapture>,
    /// `unique-id-header`.
    pub unique_id_header: Option<String>,
    /// `unique-id-format`.
    pub unique_id_format: Option<crate::sample::text::Text>,
}

/// What sends requests to servers.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// What frontends have too.
    pub proxy: Proxy,
    /// The frontend half of the same `listen` section.
    pub listen: Option<FrontendId>,
    /// `mode log`: how lines get to the servers. `None`: another mode.
    pub log: Option<LogServers>,
    /// `balance`.
    pub balance: Algorithm,
    /// What `balance hash` or `balance rdp-cookie` hashes.
    pub balance_key: Option<Expression>,
    /// `persist rdp-cookie`: the cookie that names the server.
    pub rdp_cookie: Option<String>,
    /// `hash-preserve-affinity`.
    pub hash_affinity: Affinity,
    /// `hash-type`.
    pub hash_type: HashType,
    /// `hash-balance-factor`: per cent of the average load that a server may have. `None`: no bound.
    pub hash_balance_factor: Option<u32>,
    /// In the order of declaration; `ServerIndex` indexes it.
    pub servers: Vec<Server>,
    /// `dispatch` of 1.4: where what no server takes goes.
    pub dispatch: Option<SocketAddr>,
    /// `option transparent`: what no server takes goes where the client wanted to go.
    pub transparent: bool,
    /// `cookie`.
    pub cookie: Option<CookieSettings>,
    /// `dynamic-cookie-key`: what dynamic cookie values are computed with.
    pub dynamic_cookie_key: Option<String>,
    /// `retries`: attempts to connect after the first.
    pub retries: u32,
    /// `option redispatch`: after which failures another server may be tried. `None`: never.
    pub redispatch: Option<Redispatch>,
    /// `retry-on`: after which failures a request is sent again.
    pub retry_on: RetryOn,
    /// `fullconn`: at how many connections `minconn` has grown to `maxconn`. `None`: a tenth of what may come in.
    pub fullconn: Option<u32>,
    /// What a health check is.
    pub health_check: HealthCheck,
    /// `option log-health-checks`: each result is logged.
    pub log_health_checks: bool,
    /// `option persist`: a cookie counts even when its server is down.
    pub persist: bool,
    /// `option abortonclose`: a client that is gone takes its queued request along.
    pub abortonclose: bool,
    /// `option http-pretend-keepalive`: servers are not told that their connection ends.
    pub pretend_keep_alive: bool,
    /// `option allbackups`: all backup servers share the load.
    pub allbackups: bool,
    /// `option checkcache`: a response that could be cached with a cookie in it is refused.
    pub checkcache: bool,
    /// `http-reuse`.
    pub http_reuse: HttpReuse,
    /// `option forwarded`. `None`: no such header.
    pub forwarded: Option<Box<Forwarded<Expression>>>,
    /// `http-send-name-header`: the header that carries the server's name.
    pub send_name_header: Option<String>,
    /// `option srvtcpka` or `tcpka`: TCP keep-alives towards servers.
    pub tcp_keep_alive: Option<KeepAlive>,
    /// `option tcp-smart-connect`: the handshake with a server ends with the first bytes.
    pub tcp_smart_connect: bool,
    /// `option nolinger`: reset towards servers.
    pub nolinger: bool,
    /// `max-keep-alive-queue`: how many may wait for a server that a client would go on with. `None`: any number.
    pub max_keep_alive_queue: Option<u32>,
    /// `option prefer-last-server`.
    pub prefer_last_server: bool,
    /// `option accept-unsafe-violations-in-http-response` and its older name.
    pub accept_unsafe_responses: bool,
    /// `be-unpublished` is not there: rules may choose it.
    pub published: bool,
    /// `load-server-state-from-file`.
    pub server_state: ServerStateFrom,
    /// `server-state-file-name`. `None`: the backend's name.
    pub server_state_file: Option<PathBuf>,
}

/// `load-server-state-from-file`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ServerStateFrom {
    /// `none`.
    #[default]
    None,
    /// One file for all backends.
    Global,
    /// A file of its own.
    Local,
}

/// One server, `default-server` already folded in.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// The name.
    pub name: String,
    /// `id`, or one given out in order: `sid` in the statistics and the key of consistent hashing.
    pub puid: u32,
    /// `id` was given.
    pub forced_id: bool,
    /// Where it is.
    pub address: ServerAddress,
    /// Its port.
    pub port: ServerPort,
    /// The name it was found by, where the file has a name.
    pub host: Option<String>,
    /// `resolvers`: how name servers are asked about its name while the process runs.
    pub resolution: Option<Wish>,
    /// `weight`, 0 to 256.
    pub weight: u16,
    /// `maxconn`. `None`: no limit.
    pub maxconn: Option<u32>,
    /// `minconn`. `None`: the limit does not move.
    pub minconn: Option<u32>,
    /// `maxqueue`. `None`: no limit.
    pub maxqueue: Option<u32>,
    /// `backup`.
    pub backup: bool,
    /// `non-stick`.
    pub non_stick: bool,
    /// `disabled`: in maintenance until enabled.
    pub disabled: bool,
    /// `cookie`: its value.
    pub cookie: Option<String>,
    /// `redir`: requests are redirected to this prefix instead of forwarded.
    pub redir: Option<String>,
    /// `check`. `None`: not checked, always up.
    pub check: Option<Check>,
    /// `agent-check`. `None`: no agent.
    pub agent: Option<Agent>,
    /// `healthcheck`: what its check is instead of the backend's.
    pub health_check: Option<Box<HealthCheck>>,
    /// `track`: the server whose state counts for this one.
    pub track: Option<(BackendId, ServerIndex)>,
    /// `send-proxy` and its kin.
    pub send_proxy: Option<SendProxy>,
    /// `source`: the address to connect from.
    pub source: Option<Source>,
    /// `socks4`: the proxy that is asked for connections to it.
    pub socks4: Option<SocketAddr>,
    /// `namespace`: where sockets to it belong.
    pub namespace: Option<String>,
    /// `slowstart`. `None`: full weight at once.
    pub slowstart: Option<Duration>,
    /// `pool-max-conn`: idle connections kept. `None`: no limit.
    pub pool_max_conn: Option<u32>,
    /// `pool-low-conn`.
    pub pool_low_conn: u32,
    /// `pool-purge-delay`.
    pub pool_purge_delay: Duration,
    /// `max-reuse`: requests over one connection. `None`: no limit.
    pub max_reuse: Option<u32>,
    /// `on-marked-down`.
    pub on_marked_down: OnMarkedDown,
    /// `on-marked-up`.
    pub on_marked_up: OnMarkedUp,
    /// `observe`: whether traffic counts as a check.
    pub observe: Observe,
    /// `error-limit`: observed failures in a row until [`Server::on_error`] happens.
    pub error_limit: u32,
    /// `on-error`.
    pub on_error: OnError,
    /// `init-state`.
    pub init_state: InitState,
    /// `hash-key`.
    pub hash_key: HashKey,
    /// `tcp-ut`. `None`: as the system does.
    pub tcp_user_timeout: Option<Duration>,
    /// `cc`, `tcp-md5sig`
    pub tcp: Option<Arc<TcpOptions>>,
    /// `tfo`: TCP Fast Open.
    pub tfo: bool,
    /// `ssl`: TLS was asked for. A start refuses it as long as TLS does not work.
    pub ssl: bool,
}

impl Server {
    /// Whether name servers are asked about its name while the process runs.
    pub fn is_watched(&self) -> bool {
        self.resolution.is_some()
    }
}

/// How a server is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// `inter`, `fastinter`, `downinter`, `rise`, `fall`.
    pub pace: Pace,
    /// `addr`. `None`: the server's.
    pub address: Option<IpAddr>,
    /// `port`. `None`: the server's, which is then a fixed one.
    pub port: Option<u16>,
    /// A PROXY header comes first: `check-send-proxy`, or `send-proxy` where address and port are the server's.
    pub send_proxy: bool,
    /// `check-via-socks4`.
    pub via_socks4: bool,
    /// `check-ssl`, or `ssl` on a server checked where it is: TLS was asked for. A start refuses it as long as TLS does not work.
    pub ssl: bool,
}

/// An agent that tells about a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// `agent-inter`.
    pub inter: Duration,
    /// `agent-addr`. `None`: the server's.
    pub address: Option<IpAddr>,
    /// `agent-port`.
    pub port: u16,
    /// `agent-send`.
    pub send: Vec<u8>,
}
