//! Sections while the file is read: what was said so far, not yet complete.
//!
//! [`Settings`] is what a `defaults` section hands on by being cloned; a [`Section`] adds what belongs to one proxy only.

use super::bind::BindDraft;
use super::guid::Guid;
use super::model::{
    ConnectionMode, CookieCapture, Credential, ErrorFile, ForwardFor, HeaderCapture, HttpReuse, KeepAlive, LogTarget,
    Mode, Network, OddNames, RetryOn, ServerStateFrom, Source, Timeouts,
};
use super::server::{ServerDraft, ServerSettings};
use super::stick;
use crate::balance::Algorithm;
use crate::balance::hash::{Affinity, HashType};
use crate::balance::persist::{CookieSettings, Redispatch};
use crate::health::script::{Dialect, HttpSend, HttpStep, TcpStep};
use crate::log::step::Steps;
use crate::rules::forwarded::Forwarded;
use shared_config::haproxy::ast::Statement;
use shared_config::haproxy::expr::Expression;
use shared_config::haproxy::keyword::SectionKind;
use shared_config::source::Span;
use shared_config::words::Word;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

/// What proxies inherit.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub mode: Option<Mode>,
    pub timeouts: Timeouts,
    pub maxconn: Option<u32>,
    pub backlog: Option<u32>,
    pub fullconn: Option<u32>,
    pub retries: Option<u32>,
    pub client_keep_alive: KeepAlive,
    pub server_keep_alive: KeepAlive,
    pub redispatch: Option<Redispatch>,
    pub retry_on: Option<RetryOn>,
    pub flags: Flags,
    pub connection_mode: Option<ConnectionMode>,
    pub odd_names: OddNames,
    pub forward_for: Option<At<ForwardFor>>,
    pub original_to: Option<At<ForwardFor>>,
    pub forwarded: Option<At<Forwarded<Expression>>>,
    pub log_format: Option<At<FormatDraft>>,
    /// `log-format-sd`
    pub log_structured: Option<Word>,
    /// `log-steps`
    pub log_steps: Option<Steps>,
    /// `error-log-format`
    pub error_log_format: Option<Word>,
    pub logs: Vec<LogEntry>,
    pub log_tag: Option<String>,
    pub balance: Option<At<Algorithm>>,
    pub balance_expression: Option<Word>,
    /// `balance` as only log backends have it; the last one of the two counts.
    pub log_balance: Option<At<LogBalanceDraft>>,
    pub rdp_cookie: Option<String>,
    pub hash_affinity: Affinity,
    pub hash_type: Option<HashType>,
    pub hash_balance_factor: Option<u32>,
    pub cookie: Option<At<CookieSettings>>,
    pub dynamic_cookie_key: Option<String>,
    pub http_reuse: Option<HttpReuse>,
    pub error_files: Vec<Arc<ErrorFile>>,
    pub stats: Option<At<StatsDraft>>,
    pub monitor_uri: Option<At<String>>,
    pub monitor_net: Option<Network>,
    pub grace: Duration,
    pub disabled: bool,
    pub be_unpublished: bool,
    pub default_backend: Option<At<String>>,
    pub check: CheckDraft,
    pub default_server: Arc<ServerSettings>,
    pub source: Option<Source>,
    pub rate_limit_sessions: Option<u32>,
    pub max_keep_alive_queue: Option<u32>,
    pub max_session_srv_conns: Option<u32>,
    pub send_name_header: Option<String>,
    pub unique_id_header: Option<String>,
    /// Compiled once the section is complete.
    pub unique_id_format: Option<Word>,
    pub server_state: ServerStateFrom,
    pub server_state_file: Option<PathBuf>,
    pub email_alert: EmailAlert,
    /// `http-error`: the status and its words, compiled once the section is complete.
    pub http_errors: Vec<(u16, Statement)>,
    /// `errorfiles`: the section and the statuses taken from it; none: all it has.
    pub error_sections: Vec<At<(String, Vec<u16>)>>,
    pub inspect_delay: Option<Duration>,
    pub response_inspect_delay: Option<Duration>,
    pub external_check: ExternalCheck,
    /// Rules of a named `defaults` section, lowered again in each section that starts from it.
    pub rules: Arc<DefaultRules>,
}

/// What a named `defaults` section says of rules and ACLs.
#[derive(Debug, Default, PartialEq)]
pub(super) struct DefaultRules {
    pub statements: Vec<Statement>,
    /// Where the section begins.
    pub head: Option<Span>,
}

impl DefaultRules {
    /// Whether there are rules among them: ACLs alone have no effect outside their section.
    pub(super) fn has_rules(&self) -> bool {
        self.statements.iter().any(|statement| statement.keyword().is_some_and(|word| &*word.text != "acl"))
    }
}

/// The last statement that chose what is logged.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FormatDraft {
    /// `option tcplog`
    Tcp,
    /// `option tcplog clf`
    TcpClf,
    /// `option httplog`
    Http,
    /// `option httplog clf`
    HttpClf,
    /// `option httpslog`
    Https,
    /// `log-format`, as written.
    Custom(Word),
}

/// A `balance` of log backends alone.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum LogBalanceDraft {
    /// `sticky`
    Sticky,
    /// `log-hash`, its converters as written.
    Hash(Word),
}

/// An entry of a section's `log` lines.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum LogEntry {
    /// `log global`.
    Global,
    /// A target of its own.
    Target(Arc<LogTarget>),
}

/// Which `email-alert` words were given.
#[derive(Clone, Debug, Default)]
pub(super) struct EmailAlert {
    pub from: bool,
    pub to: bool,
    pub mailers: Option<At<String>>,
    pub any: bool,
}

/// A text that the page shows if asked to.
#[derive(Clone, Debug, Default)]
pub(super) enum Shown {
    /// Not asked for.
    #[default]
    No,
    /// The one of the section or the process.
    Default,
    /// This one.
    Text(String),
}

impl Shown {
    /// Asked for, with a text or without.
    pub(super) fn new(text: Option<String>) -> Self {
        text.map_or(Self::Default, Self::Text)
    }

    /// What to show.
    pub(super) fn text(&self, default: Option<&str>) -> Option<String> {
        match self {
            Self::No => None,
            Self::Default => default.map(str::to_owned),
            Self::Text(text) => Some(text.clone()),
        }
    }
}

/// `stats …` of a proxy.
#[derive(Clone, Debug, Default)]
pub(super) struct StatsDraft {
    pub uri: Option<String>,
    pub realm: Option<String>,
    pub auth: Vec<Credential>,
    pub refresh: Option<Duration>,
    pub show_version: bool,
    pub show_legends: bool,
    pub show_modules: bool,
    pub show_node: Shown,
    pub show_desc: Shown,
    pub scope: Vec<String>,
}

impl StatsDraft {
    /// `stats auth` or `stats realm`.
    pub(super) fn asks_password(&self) -> bool {
        self.realm.is_some() || !self.auth.is_empty()
    }
}

/// What a health check says, put together from `option …-check` and the rules of `http-check` and `tcp-check`.
#[derive(Clone, Debug, Default)]
pub(super) struct CheckDraft {
    pub kind: CheckOption,
    /// The request line of `option httpchk`.
    pub request: HttpSend,
    /// `http-check` rules, in order, as they are written.
    pub http_rules: Vec<CheckRule>,
    /// `tcp-check` rules, likewise.
    pub tcp_rules: Vec<CheckRule>,
    /// What the first became once all names are known.
    pub http_steps: Vec<HttpStep>,
    /// What the second became.
    pub tcp_steps: Vec<TcpStep>,
    pub disable_on_404: bool,
    pub send_state: bool,
}

/// A rule of a check as it is written.
#[derive(Clone, Debug)]
pub(super) struct CheckRule {
    /// As the table has it: `http-check set-var`.
    pub name: &'static str,
    /// The last word of that as it stands there: `set-var(check.x)`.
    pub action: Word,
    /// The words behind it.
    pub words: Arc<[Word]>,
    /// All of it.
    pub statement: Span,
}

/// The last `option …-check`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum CheckOption {
    #[default]
    None,
    Http,
    Tcp,
    SslHello,
    /// A protocol whose check is a fixed exchange of bytes.
    Exchange(Dialect, Vec<TcpStep>),
    /// `option external-check`.
    External,
}

/// Options that are on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Flag {
    AbortOnClose,
    AcceptUnsafeRequests,
    AcceptUnsafeResponses,
    AdjustCaseForClient,
    AdjustCaseForServer,
    DropRequestTrailers,
    DropResponseTrailers,
    AllBackups,
    CheckCache,
    ClientKeepAlive,
    ContStats,
    DontLogNormal,
    DontLogNull,
    HttpBufferRequest,
    HttpIgnoreProbes,
    IdleCloseOnResponse,
    IndependentStreams,
    LogAsap,
    LogHealthChecks,
    LogSeparateErrors,
    NoLinger,
    Persist,
    PreferLastServer,
    PretendKeepAlive,
    ServerKeepAlive,
    SocketStats,
    SpliceAuto,
    SpliceRequest,
    SpliceResponse,
    TcpSmartAccept,
    TcpSmartConnect,
    Transparent,
}

impl Flag {
    /// The flag of an option, where the option is one.
    pub(super) fn of_option(name: &str) -> Option<Self> {
        Some(match name {
            "abortonclose" => Self::AbortOnClose,
            "accept-invalid-http-request" | "accept-unsafe-violations-in-http-request" => Self::AcceptUnsafeRequests,
            "accept-invalid-http-response" | "accept-unsafe-violations-in-http-response" => Self::AcceptUnsafeResponses,
            "allbackups" => Self::AllBackups,
            "http-pretend-keepalive" => Self::PretendKeepAlive,
            "checkcache" => Self::CheckCache,
            "clitcpka" => Self::ClientKeepAlive,
            "contstats" => Self::ContStats,
            "dontlog-normal" => Self::DontLogNormal,
            "dontlognull" => Self::DontLogNull,
            "h1-case-adjust-bogus-client" => Self::AdjustCaseForClient,
            "h1-case-adjust-bogus-server" => Self::AdjustCaseForServer,
            "http-drop-request-trailers" => Self::DropRequestTrailers,
            "http-drop-response-trailers" => Self::DropResponseTrailers,
            "http-buffer-request" => Self::HttpBufferRequest,
            "http-ignore-probes" => Self::HttpIgnoreProbes,
            "idle-close-on-response" => Self::IdleCloseOnResponse,
            "independent-streams" => Self::IndependentStreams,
            "logasap" => Self::LogAsap,
            "log-health-checks" => Self::LogHealthChecks,
            "log-separate-errors" => Self::LogSeparateErrors,
            "nolinger" => Self::NoLinger,
            "persist" => Self::Persist,
            "prefer-last-server" => Self::PreferLastServer,
            "socket-stats" => Self::SocketStats,
            "splice-auto" => Self::SpliceAuto,
            "splice-request" => Self::SpliceRequest,
            "splice-response" => Self::SpliceResponse,
            "srvtcpka" => Self::ServerKeepAlive,
            "tcp-smart-accept" => Self::TcpSmartAccept,
            "tcp-smart-connect" => Self::TcpSmartConnect,
            "transparent" => Self::Transparent,
            _ => return None,
        })
    }
}

/// A set of flags, each of which is on, off, or not mentioned.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    on: u32,
    off: u32,
}

impl Flags {
    /// `default option x`: as if it had not been mentioned.
    pub(super) fn reset(&mut self, flag: Flag) {
        let bit = 1 << flag as u8;
        (self.on, self.off) = (self.on & !bit, self.off & !bit);
    }

    /// `option x` or `no option x`.
    pub(super) fn set(&mut self, flag: Flag, on: bool) {
        let bit = 1 << flag as u8;
        (self.on, self.off) = if on { (self.on | bit, self.off & !bit) } else { (self.on & !bit, self.off | bit) };
    }

    /// Whether it is on or off; `None` where it was not mentioned.
    pub(super) fn mentioned(self, flag: Flag) -> Option<bool> {
        let bit = 1 << flag as u8;
        if self.on & bit != 0 { Some(true) } else { (self.off & bit != 0).then_some(false) }
    }

    /// Whether it is on; `default` where it was not mentioned.
    pub(super) fn get(self, flag: Flag, default: bool) -> bool {
        let bit = 1 << flag as u8;
        if default { self.off & bit == 0 } else { self.on & bit != 0 }
    }
}

/// A proxy section.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub kind: SectionKind,
    pub name: String,
    /// The line that opens it.
    pub head: Span,
    pub settings: Settings,
    pub id: Option<At<u32>>,
    pub description: Option<String>,
    /// `guid`
    pub guid: Option<Guid>,
    pub binds: Vec<BindDraft>,
    pub servers: Vec<ServerDraft>,
    pub dispatch: Option<SocketAddr>,
    pub capture_request: Vec<HeaderCapture>,
    pub capture_response: Vec<HeaderCapture>,
    pub capture_cookie: Option<CookieCapture>,
    /// Warnings that haproxy gives only once the section is complete need to know where things were written.
    pub http_check_rules: Option<Span>,
    pub tcp_check_rules: Option<Span>,
    /// `stick-table`: one, unless that is reported.
    pub stick_tables: Vec<stick::Draft>,
}

/// What was said about an external check.
#[derive(Clone, Debug, Default)]
pub(super) struct ExternalCheck {
    pub option: Option<Span>,
    pub command: Option<String>,
    pub path: Option<(String, Span)>,
}

impl Section {
    /// An empty section.
    pub(super) fn new(kind: SectionKind, name: &str, head: Span, settings: Settings) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            head,
            settings,
            id: None,
            description: None,
            guid: None,
            binds: Vec::new(),
            servers: Vec::new(),
            dispatch: None,
            capture_request: Vec::new(),
            capture_response: Vec::new(),
            capture_cookie: None,
            http_check_rules: None,
            tcp_check_rules: None,
            stick_tables: Vec::new(),
        }
    }
}

impl Section {
    /// Whether it accepts connections.
    pub(super) fn is_frontend(&self) -> bool {
        matches!(self.kind, SectionKind::Frontend | SectionKind::Listen)
    }

    /// Whether it has servers.
    pub(super) fn is_backend(&self) -> bool {
        matches!(self.kind, SectionKind::Backend | SectionKind::Listen)
    }

    /// The word haproxy uses for it in messages.
    pub(super) fn word(&self) -> &'static str {
        match self.kind {
            SectionKind::Frontend => "frontend",
            SectionKind::Backend => "backend",
            SectionKind::Defaults => "defaults",
            _ => "proxy",
        }
    }

    /// `mode`, TCP where nothing was said.
    pub(super) fn mode(&self) -> Mode {
        self.settings.mode.unwrap_or(Mode::Tcp)
    }
}
