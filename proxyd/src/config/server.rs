//! `server`, `default-server` and `server-template` lines.

use super::address::{self, Accept, Address, Host, Port, Resolver};
use super::line::{Line, code};
use super::model::{SendProxy, ServerAddress, ServerPort, Source};
use super::source;
use super::support::Support;
use super::value::{self, TimeProblem, Unit};
use crate::balance::hash::HashKey;
use crate::health::{InitState, Observe, OnError, OnMarkedDown, OnMarkedUp};
use shared_config::diagnostic::{Diagnostic, Place};
use shared_config::haproxy::keyword::{self, Param, SERVER_PARAMS};
use shared_config::keyword::Support as Row;
use shared_config::source::Span;
use shared_config::suggest;
use shared_config::words::Word;
use std::net::IpAddr;
use std::time::Duration;

/// The most servers one `server-template` line may make.
const TEMPLATE_SERVERS_MAX: u32 = 65_536;

/// The highest weight.
const WEIGHT_MAX: i64 = 256;

/// What `default-server` sets and every following `server` line starts from.
#[derive(Clone, Debug)]
pub(super) struct ServerSettings {
    pub weight: u16,
    pub maxconn: Option<u32>,
    pub minconn: Option<u32>,
    pub maxqueue: Option<u32>,
    pub backup: bool,
    pub disabled: bool,
    pub cookie: Option<String>,
    pub redir: Option<String>,
    pub check: bool,
    pub check_address: Option<IpAddr>,
    pub check_port: Option<u16>,
    pub check_send_proxy: bool,
    pub inter: Option<Duration>,
    pub fastinter: Option<Duration>,
    pub downinter: Option<Duration>,
    pub rise: u32,
    pub fall: u32,
    pub track: Option<String>,
    pub send_proxy: Option<SendProxy>,
    pub source: Option<Source>,
    pub slowstart: Option<Duration>,
    pub pool_max_conn: Option<u32>,
    pub pool_low_conn: u32,
    pub pool_purge_delay: Duration,
    pub max_reuse: Option<u32>,
    pub on_marked_down: OnMarkedDown,
    pub on_marked_up: OnMarkedUp,
    pub observe: Observe,
    pub error_limit: u32,
    pub on_error: OnError,
    pub init_state: InitState,
    pub hash_key: HashKey,
    pub tcp_user_timeout: Option<Duration>,
    pub tfo: bool,
    pub ssl: bool,
    pub check_ssl: bool,
    pub verify_none: Option<bool>,
    pub ca_file: bool,
    pub resolvers: Option<String>,
    pub init_addr: InitAddr,
    pub agent_check: bool,
    pub agent_port: Option<u16>,
}

/// What `init-addr` allows when the name cannot be looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct InitAddr {
    /// `none`: the server starts without an address.
    pub none: bool,
    /// A fixed address to start with.
    pub fixed: Option<IpAddr>,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            weight: 1,
            maxconn: None,
            minconn: None,
            maxqueue: None,
            backup: false,
            disabled: false,
            cookie: None,
            redir: None,
            check: false,
            check_address: None,
            check_port: None,
            check_send_proxy: false,
            inter: None,
            fastinter: None,
            downinter: None,
            rise: 2,
            fall: 3,
            track: None,
            send_proxy: None,
            source: None,
            slowstart: None,
            pool_max_conn: None,
            pool_low_conn: 0,
            pool_purge_delay: Duration::from_secs(5),
            max_reuse: None,
            on_marked_down: OnMarkedDown::None,
            on_marked_up: OnMarkedUp::None,
            observe: Observe::None,
            error_limit: 10,
            on_error: OnError::FailCheck,
            init_state: InitState::Up,
            hash_key: HashKey::Id,
            tcp_user_timeout: None,
            tfo: false,
            ssl: false,
            check_ssl: false,
            verify_none: None,
            ca_file: false,
            resolvers: None,
            init_addr: InitAddr::default(),
            agent_check: false,
            agent_port: None,
        }
    }
}

/// A server line, names not resolved yet.
#[derive(Clone, Debug)]
pub(super) struct ServerDraft {
    pub name: String,
    /// The line.
    pub span: Span,
    /// The line's name word.
    pub name_span: Span,
    pub address: Address,
    pub address_span: Span,
    pub id: Option<(u32, Span)>,
    pub settings: ServerSettings,
}

/// What a line of parameters is about.
struct Target<'a> {
    /// `'server l/a' : `, or nothing for `default-server`.
    prefix: String,
    /// The server's name in some messages.
    name: &'a str,
    is_default: bool,
    id: Option<(u32, Span)>,
}

/// The words after `default-server`.
pub(super) fn default_server(
    line: &mut Line<'_, '_>,
    settings: &mut ServerSettings,
    resolver: &mut Resolver,
    support: &mut Support,
) {
    let mut target = Target { prefix: String::new(), name: "default-server", is_default: true, id: None };
    params(line, settings, &mut target, resolver, support);
}

/// A `server` line. `None` where it cannot be made sense of.
pub(super) fn server(
    line: &mut Line<'_, '_>,
    proxy: &str,
    mut settings: ServerSettings,
    resolver: &mut Resolver,
    support: &mut Support,
) -> Option<ServerDraft> {
    let (Some(name), Some(address)) = (line.words.next(), line.words.next()) else {
        let message = "'server' expects <name> and <addr>[:<port>] as arguments.";
        line.out.push(
            Diagnostic::error(code::MISSING_ARGUMENT, line.words.here(), message)
                .place(Place::Bare)
                .label("something is missing here"),
        );
        return None;
    };
    let mut target =
        Target { prefix: format!("'server {proxy}/{}' : ", name.text), name: &name.text, is_default: false, id: None };
    check_name(line, name);
    let parsed = parse_address(line, address, &target.prefix, support);
    params(line, &mut settings, &mut target, resolver, support);
    Some(ServerDraft {
        name: name.text.to_string(),
        span: line.words.statement(),
        name_span: name.span,
        address: parsed?,
        address_span: address.span,
        id: target.id,
        settings,
    })
}

/// A `server-template` line: one server per number.
pub(super) fn template(
    line: &mut Line<'_, '_>,
    proxy: &str,
    mut settings: ServerSettings,
    resolver: &mut Resolver,
    support: &mut Support,
) -> Vec<ServerDraft> {
    let (Some(prefix), Some(count), Some(address)) = (line.words.next(), line.words.next(), line.words.next()) else {
        let message = "'server-template' expects <prefix> <nb | range> <addr>[:<port>] as arguments.";
        line.out.push(Diagnostic::error(code::MISSING_ARGUMENT, line.words.here(), message).place(Place::Bare));
        return Vec::new();
    };
    let Some((low, high)) = template_range(&count.text) else {
        let message = format!("Wrong server-template number or range arg '{}'.", count.text);
        line.out.push(
            Diagnostic::error(code::BAD_VALUE, count.span, message)
                .place(Place::Bare)
                .help("write how many servers, or the first and the last number: `3` or `1-3`"),
        );
        return Vec::new();
    };
    let mut target = Target {
        prefix: format!("'server-template {proxy}/{}' : ", prefix.text),
        name: &prefix.text,
        is_default: false,
        id: None,
    };
    check_name(line, prefix);
    let parsed = parse_address(line, address, &target.prefix, support);
    params(line, &mut settings, &mut target, resolver, support);
    let Some(parsed) = parsed else { return Vec::new() };
    (low..=high)
        .map(|number| ServerDraft {
            name: format!("{}{number}", prefix.text),
            span: line.words.statement(),
            name_span: prefix.span,
            address: parsed.clone(),
            address_span: address.span,
            id: target.id.filter(|_| number == low),
            settings: settings.clone(),
        })
        .collect()
}

fn template_range(text: &str) -> Option<(u32, u32)> {
    let (low, high) = match text.split_once('-') {
        Some((low, high)) => (low.parse().ok()?, high.parse().ok()?),
        None => (1, text.parse().ok()?),
    };
    (low >= 1 && low <= high && high - low < TEMPLATE_SERVERS_MAX).then_some((low, high))
}

fn check_name(line: &mut Line<'_, '_>, name: &Word) {
    let wrong = name.text.char_indices().find(|(_, c)| !(c.is_ascii_alphanumeric() || ".:_-".contains(*c)));
    if let Some((at, character)) = wrong {
        let message = format!("character '{character}' is not permitted in server name '{}'.", name.text);
        line.out.push(
            Diagnostic::error(code::BAD_VALUE, name.span_of(at..at + character.len_utf8()), message)
                .place(Place::Bare)
                .help("a name is made of letters, digits, `.`, `:`, `_` and `-`"),
        );
    }
}

fn parse_address(line: &mut Line<'_, '_>, word: &Word, prefix: &str, support: &mut Support) -> Option<Address> {
    match address::parse(&word.text, Accept::SERVER) {
        Ok(address) => {
            if matches!(address.host, Host::ReverseHttp(_)) {
                support.unsupported("server … rhttp@", word.span, line.out);
            }
            Some(address)
        }
        Err(message) => {
            line.out
                .push(Diagnostic::error(code::BAD_VALUE, word.span, format!("{prefix}{message}")).place(Place::Bare));
            None
        }
    }
}

fn params(
    line: &mut Line<'_, '_>,
    settings: &mut ServerSettings,
    target: &mut Target<'_>,
    resolver: &mut Resolver,
    support: &mut Support,
) {
    while let Some(word) = line.words.next() {
        // `set-proxy-v2-tlv-fmt(0x20)` carries its first argument with it.
        let bare = word.text.split('(').next().unwrap_or_default();
        let Some(row) = keyword::find_server_param(&word.text).or_else(|| keyword::find_server_param(bare)) else {
            unknown(line, word, target);
            continue;
        };
        if target.is_default && !row.in_default_server {
            let message = format!("'{}' option is not accepted in default-server sections.", word.text);
            line.out.push(Diagnostic::error(code::WRONG_SECTION, word.span, message).place(Place::Bare));
        }
        if !takes_nothing_here(row, settings) {
            support.param("server", row, word, line.out);
        }
        let mut param = Reader { line, target, word };
        param.read(row, settings, resolver);
    }
}

/// Words that undo what is not there change nothing, whatever the table says about them.
fn takes_nothing_here(row: &Param, settings: &ServerSettings) -> bool {
    // Without TLS on the line its parameters have nothing to act on, as with haproxy.
    row.support == Row::Works || (row.ssl && row.name != "ssl" && !settings.ssl)
}

fn unknown(line: &mut Line<'_, '_>, word: &Word, target: &Target<'_>) {
    let nearest = suggest::nearest(&word.text, SERVER_PARAMS.iter().map(|row| row.name));
    let hint = match nearest {
        Some(nearest) => format!("; did you mean '{nearest}' maybe ?"),
        None if target.is_default => ". Hint: no address was expected for this server.".to_owned(),
        None => ".".to_owned(),
    };
    let message = format!("{}unknown keyword '{}'{hint}", target.prefix, word.text);
    let mut diagnostic = Diagnostic::error(code::UNKNOWN_KEYWORD, word.span, message)
        .place(Place::Bare)
        .label("not a parameter of a server");
    if let Some(nearest) = nearest {
        diagnostic = diagnostic.help(format!("write `{nearest}`"));
    }
    line.out.push(diagnostic);
}

/// One parameter being read.
struct Reader<'l, 'a, 'd, 't, 'n> {
    line: &'l mut Line<'a, 'd>,
    target: &'t mut Target<'n>,
    word: &'a Word,
}

impl<'a> Reader<'_, 'a, '_, '_, '_> {
    fn error(&mut self, at: Span, message: &str) {
        let message = format!("{}{message}.", self.target.prefix);
        self.line.out.push(Diagnostic::error(code::BAD_VALUE, at, message).place(Place::Bare));
    }

    /// The argument of the parameter; its lack is an error.
    fn argument(&mut self, what: &str) -> Option<&'a Word> {
        let word = self.line.words.next();
        if word.is_none() {
            let message = format!("{}'{}' expects {what} as argument..", self.target.prefix, self.word.text);
            let here = self.line.words.here();
            self.line.out.push(
                Diagnostic::error(code::MISSING_ARGUMENT, here, message)
                    .place(Place::Bare)
                    .label("something is missing here"),
            );
        }
        word
    }

    /// An argument that haproxy takes for 0 where it is missing.
    fn number(&mut self) -> i64 {
        match self.line.words.next() {
            Some(word) => self.line.lenient_named(word, &self.word.text, Place::Bare),
            None => 0,
        }
    }

    /// A count where zero means "no limit".
    fn limit(&mut self) -> Option<u32> {
        let number = self.number();
        u32::try_from(number.clamp(0, i64::from(u32::MAX))).ok().filter(|&n| n > 0)
    }

    /// A count that must be there.
    fn count(&mut self, complaint: &str) -> Option<u32> {
        let word = self.argument("an integer")?;
        let number = self.line.lenient_named(word, &self.word.text, Place::Bare);
        let count = u32::try_from(number).ok().filter(|&n| n > 0);
        if count.is_none() {
            self.error(word.span, complaint);
        }
        count
    }

    fn time(&mut self, missing: &str) -> Option<Duration> {
        let word = self.argument(missing)?;
        let name = self.word.text.clone();
        // haproxy names this one so for `inter` and `agent-inter` alike.
        let shown = if &*name == "inter" { "agent-inter" } else { &*name };
        let server = self.target.name.to_owned();
        let text = &word.text;
        let problem = match value::time(text, Unit::Milliseconds) {
            Ok(time) if time.is_zero() && &*name != "slowstart" => {
                self.error(word.span, &format!("invalid value 0 for argument '{name}' of server {server}."));
                return None;
            }
            Ok(time) => return Some(time),
            Err(problem) => problem,
        };
        let message = match problem {
            TimeProblem::Unexpected { character, .. } => {
                format!("unexpected character '{character}' in '{shown}' argument of server {server}.")
            }
            TimeProblem::Overflow => format!(
                "timer overflow in argument <{text}> to <{name}> of server {server}, maximum value is 2147483647 ms \
                 (~24.8 days)."
            ),
            TimeProblem::Underflow => format!(
                "timer underflow in argument <{text}> to <{name}> of server {server}, minimum non-null value is 1 ms."
            ),
        };
        let message = format!("{}{message}.", self.target.prefix);
        self.line.bad_time(word, &problem, message, Place::Bare);
        None
    }

    /// One of several words.
    fn choice<T: Copy>(&mut self, choices: &[(&str, T)], missing: &str, complaint: &str) -> Option<T> {
        let word = self.argument(missing)?;
        let found = choices.iter().find(|(name, _)| *name == &*word.text);
        if found.is_none() {
            self.error(word.span, &format!("'{}' {complaint} but got '{}'", self.word.text, word.text));
        }
        found.map(|(_, value)| *value)
    }

    fn read(&mut self, row: &'static Param, s: &mut ServerSettings, resolver: &mut Resolver) {
        match row.name {
            "inter"
            | "fastinter"
            | "downinter"
            | "slowstart"
            | "rise"
            | "fall"
            | "port"
            | "addr"
            | "check"
            | "no-check"
            | "check-send-proxy"
            | "no-check-send-proxy"
            | "observe"
            | "error-limit"
            | "on-error"
            | "on-marked-down"
            | "on-marked-up"
            | "init-state"
            | "track"
            | "agent-check"
            | "no-agent-check"
            | "agent-port" => self.health(row.name, s, resolver),
            "ssl" | "no-ssl" | "check-ssl" | "no-check-ssl" | "verify" | "ca-file" | "crt" => self.tls(row.name, s),
            "pool-max-conn" | "pool-low-conn" | "pool-purge-delay" | "max-reuse" | "maxconn" | "minconn"
            | "maxqueue" | "tcp-ut" | "tfo" | "no-tfo" => self.limits(row.name, s),
            "init-addr" | "resolvers" | "source" | "usesrc" => self.addresses(row.name, s, resolver),
            _ => self.others(row, s),
        }
    }

    fn others(&mut self, row: &'static Param, s: &mut ServerSettings) {
        match row.name {
            "weight" => self.weight(s),
            "backup" => s.backup = true,
            "no-backup" => s.backup = false,
            "disabled" => s.disabled = true,
            "enabled" => s.disabled = false,
            "cookie" => s.cookie = self.argument("<value>").map(|word| word.text.to_string()).or(s.cookie.take()),
            "redir" => s.redir = self.argument("<prefix>").map(|word| word.text.to_string()).or(s.redir.take()),
            "id" => self.id(),
            "send-proxy" => s.send_proxy = Some(SendProxy::V1),
            "send-proxy-v2" | "send-proxy-v2-ssl" | "send-proxy-v2-ssl-cn" => s.send_proxy = Some(SendProxy::V2),
            "no-send-proxy" | "no-send-proxy-v2" => s.send_proxy = None,
            "hash-key" => {
                let choices = [("id", HashKey::Id), ("addr", HashKey::Addr), ("addr-port", HashKey::AddrPort)];
                s.hash_key = self
                    .choice(&choices, "'id', 'addr', or 'addr-port'", "expects one of 'id', 'addr', or 'addr-port'")
                    .unwrap_or_default();
            }
            "proto" | "check-proto" => {
                let known = ["h1", "h2", "fcgi", "none", "spop", "quic"];
                if let Some(word) = self.argument("a protocol")
                    && !known.contains(&&*word.text)
                {
                    self.error(word.span, &format!("'{}' :  unknown MUX protocol '{}'", self.word.text, word.text));
                }
            }
            "ws" => {
                if let Some(word) = self.argument("'auto', 'h1' or 'h2'")
                    && !["auto", "h1", "h2"].contains(&&*word.text)
                {
                    self.error(word.span, "'ws' has to be 'auto', 'h1' or 'h2'");
                }
            }
            "resolve-prefer" => {
                let word = self.argument("either ipv4 or ipv6");
                if let Some(word) = word.filter(|word| !["ipv4", "ipv6"].contains(&&*word.text)) {
                    self.error(word.span, "'resolve-prefer' expects either ipv4 or ipv6 as argument.");
                }
            }
            "log-proto" => {
                self.choice(
                    &[("legacy", ()), ("octet-count", ())],
                    "<proto>",
                    "expects one of 'legacy' or 'octet-count'",
                );
            }
            "proxy-v2-options" => self.proxy_v2_options(),
            "namespace" => {
                if let Some(word) = self.argument("<name>")
                    && &*word.text != "*"
                    && !std::path::Path::new("/var/run/netns").join(&*word.text).exists()
                {
                    self.error(word.span, &format!("Cannot open namespace '{}'", word.text));
                }
            }
            // What has no effect yet is taken with its arguments; the table has said so already.
            _ => (0..row.arity.min).for_each(|_| {
                let _argument = self.argument("a value");
            }),
        }
    }

    fn proxy_v2_options(&mut self) {
        const KNOWN: [&str; 8] =
            ["ssl", "cert-cn", "cert-key", "cert-sig", "ssl-cipher", "authority", "crc32c", "unique-id"];
        let Some(word) = self.argument("a list of options") else { return };
        for option in word.text.split(',').filter(|option| !KNOWN.contains(option)) {
            self.error(word.span, &format!("'{option}' : proxy v2 option not implemented"));
        }
    }

    fn weight(&mut self, s: &mut ServerSettings) {
        let word = self.line.words.next();
        let weight = word.map_or(0, |word| self.line.lenient_named(word, &self.word.text, Place::Bare));
        let at = word.map_or(self.word.span, |word| word.span);
        match u16::try_from(weight) {
            Ok(weight) if i64::from(weight) <= WEIGHT_MAX => s.weight = weight,
            _ => {
                let message = format!("weight of server {} is not within 0 and 256 ({weight}).", self.target.name);
                self.error(at, &message);
            }
        }
    }

    fn id(&mut self) {
        let Some(word) = self.argument("an integer") else { return };
        let number = value::leading_integer(&word.text).0;
        match u32::try_from(number).ok().filter(|&id| id > 0 && i32::try_from(id).is_ok()) {
            Some(id) => self.target.id = Some((id, word.span)),
            None => self.error(word.span, "'id' : custom id has to be > 0"),
        }
    }

    fn limits(&mut self, name: &str, s: &mut ServerSettings) {
        match name {
            "maxconn" => s.maxconn = self.limit(),
            "minconn" => s.minconn = self.limit(),
            "maxqueue" => s.maxqueue = self.limit(),
            "pool-low-conn" => s.pool_low_conn = self.limit().unwrap_or(0),
            "pool-max-conn" => match self.number() {
                -1 => s.pool_max_conn = None,
                n if n < -1 => self.error(self.word.span, "'pool-max-conn' must be >= -1"),
                n => s.pool_max_conn = u32::try_from(n).ok(),
            },
            "max-reuse" => s.max_reuse = u32::try_from(self.number()).ok(),
            "pool-purge-delay" => {
                if let Some(word) = self.argument("a delay")
                    && let Some(delay) = self.plain_time(word, "pool-purge-delay")
                {
                    s.pool_purge_delay = delay;
                }
            }
            "tcp-ut" => {
                if let Some(word) = self.line.words.next() {
                    match value::time(&word.text, Unit::Milliseconds) {
                        Ok(time) => s.tcp_user_timeout = Some(time),
                        Err(_) => self.error(word.span, "'tcp-ut' : expects a positive delay in milliseconds"),
                    }
                }
            }
            "tfo" => s.tfo = true,
            _ => s.tfo = false,
        }
    }

    fn plain_time(&mut self, word: &Word, what: &str) -> Option<Duration> {
        match value::time(&word.text, Unit::Milliseconds) {
            Ok(time) => Some(time),
            Err(problem) => {
                let what = match problem {
                    TimeProblem::Unexpected { character, .. } => {
                        format!("unexpected character '{character}' in argument to <{what}>.")
                    }
                    TimeProblem::Overflow => format!("timer overflow in argument to <{what}>"),
                    TimeProblem::Underflow => format!("timer underflow in argument to <{what}>"),
                };
                let message = format!("{}{what}.", self.target.prefix);
                self.line.bad_time(word, &problem, message, Place::Bare);
                None
            }
        }
    }

    fn health(&mut self, name: &str, s: &mut ServerSettings, resolver: &mut Resolver) {
        match name {
            "check" => s.check = true,
            "no-check" => s.check = false,
            "check-send-proxy" => s.check_send_proxy = true,
            "no-check-send-proxy" => s.check_send_proxy = false,
            "agent-check" => s.agent_check = true,
            "no-agent-check" => s.agent_check = false,
            "agent-port" => s.agent_port = u16::try_from(self.number()).ok().filter(|&port| port > 0),
            "inter" => s.inter = self.time("a delay").or(s.inter),
            "fastinter" => s.fastinter = self.time("a delay").or(s.fastinter),
            "downinter" => s.downinter = self.time("a delay").or(s.downinter),
            "slowstart" => s.slowstart = self.time("a delay").filter(|delay| !delay.is_zero()).or(s.slowstart),
            "rise" => s.rise = self.count("'rise' has to be > 0.").unwrap_or(s.rise),
            "fall" => s.fall = self.count("'fall' has to be > 0.").unwrap_or(s.fall),
            "error-limit" => s.error_limit = self.count("error-limit has to be > 0.").unwrap_or(s.error_limit),
            "port" => {
                if let Some(word) = self.argument("a port number") {
                    let number = self.line.lenient_named(word, &self.word.text, Place::Bare);
                    s.check_port = u16::try_from(number).ok().filter(|&port| port > 0);
                }
            }
            "addr" => {
                if let Some(word) = self.argument("<ipv4|ipv6>") {
                    let found =
                        address::parse(&word.text, address::HOST).and_then(|address| resolver.ip(&address, &word.text));
                    match found {
                        Ok(ip) => s.check_address = Some(ip),
                        Err(message) => self.error(word.span, &format!("'addr' : {message}")),
                    }
                }
            }
            "track" => {
                s.track = self.argument("[<proxy>/]<server>").map(|word| word.text.to_string()).or(s.track.take());
            }
            _ => self.observation(name, s),
        }
    }

    fn observation(&mut self, name: &str, s: &mut ServerSettings) {
        match name {
            "observe" => {
                let choices = [("none", Observe::None), ("layer4", Observe::Layer4), ("layer7", Observe::Layer7)];
                s.observe =
                    self.choice(&choices, "<mode>", "expects one of 'none', 'layer4', 'layer7'").unwrap_or(s.observe);
            }
            "on-error" => {
                let choices = [
                    ("fastinter", OnError::FastInter),
                    ("fail-check", OnError::FailCheck),
                    ("sudden-death", OnError::SuddenDeath),
                    ("mark-down", OnError::MarkDown),
                ];
                let complaint = "expects one of 'fastinter', 'fail-check', 'sudden-death' or 'mark-down'";
                s.on_error = self.choice(&choices, "<mode>", complaint).unwrap_or(s.on_error);
            }
            "on-marked-down" => {
                let choices = [("shutdown-sessions", OnMarkedDown::ShutdownSessions)];
                s.on_marked_down =
                    self.choice(&choices, "<mode>", "expects 'shutdown-sessions'").unwrap_or(s.on_marked_down);
            }
            "on-marked-up" => {
                let choices = [("shutdown-backup-sessions", OnMarkedUp::ShutdownBackupSessions)];
                s.on_marked_up =
                    self.choice(&choices, "<mode>", "expects 'shutdown-backup-sessions'").unwrap_or(s.on_marked_up);
            }
            _ => {
                let choices = [
                    ("up", InitState::Up),
                    ("fully-up", InitState::FullyUp),
                    ("down", InitState::Down),
                    ("fully-down", InitState::FullyDown),
                ];
                let complaint = "expects one of 'fully-up', 'up', 'down', or 'fully-down'";
                s.init_state = self.choice(&choices, "<state>", complaint).unwrap_or(s.init_state);
            }
        }
    }

    fn tls(&mut self, name: &str, s: &mut ServerSettings) {
        match name {
            "ssl" => s.ssl = true,
            "no-ssl" => s.ssl = false,
            "check-ssl" => s.check_ssl = true,
            "no-check-ssl" => s.check_ssl = false,
            "verify" => {
                if let Some(word) = self.argument("a method") {
                    match &*word.text {
                        "none" => s.verify_none = Some(true),
                        "required" => s.verify_none = Some(false),
                        other => {
                            let message = format!(
                                "'verify' : unknown verify method '{other}', only 'none' and 'required' are supported"
                            );
                            self.error(word.span, &message);
                        }
                    }
                }
            }
            "ca-file" => {
                s.ca_file = true;
                if let Some(word) = self.argument("a file")
                    && !word.text.starts_with('@')
                    && let Err(error) = std::fs::metadata(&*word.text)
                {
                    let reason = super::files::reason(&error);
                    self.error(word.span, &format!("Couldn't open the ca-file '{}' ({reason})", word.text));
                }
            }
            _ => {
                if let Some(word) = self.argument("a file")
                    && let Err(error) = std::fs::metadata(&*word.text)
                {
                    let reason = super::files::reason(&error);
                    let message = format!("unable to stat SSL certificate from file '{}' : {reason}", word.text);
                    self.error(word.span, &message);
                }
            }
        }
    }

    fn addresses(&mut self, name: &str, s: &mut ServerSettings, resolver: &mut Resolver) {
        match name {
            "resolvers" => {
                s.resolvers =
                    self.argument("a resolvers section").map(|word| word.text.to_string()).or(s.resolvers.take());
            }
            "init-addr" => {
                if let Some(word) = self.line.words.next() {
                    self.init_addr(word, s);
                }
            }
            _ => {
                let prefix = self.target.prefix.clone();
                let found = source::read(self.line, resolver, &source::Wording::Server { prefix: &prefix });
                s.source = found.or(s.source.take());
            }
        }
    }

    fn init_addr(&mut self, word: &Word, s: &mut ServerSettings) {
        s.init_addr = InitAddr::default();
        for method in word.text.split(',').filter(|method| !method.is_empty()) {
            match method {
                "last" | "libc" => {}
                "none" => s.init_addr.none = true,
                _ => {
                    if let Ok(ip) = method.parse() {
                        s.init_addr.fixed = s.init_addr.fixed.or(Some(ip));
                    } else {
                        let message = format!(
                            "'init-addr' : unknown init-addr method '{method}', supported methods are 'libc', 'last', \
                         'none'."
                        );
                        self.error(word.span, &message);
                    }
                }
            }
        }
    }
}

/// Where a server is, its name looked up. The error is the name that was not found.
pub(super) fn locate(
    draft: &ServerDraft,
    resolver: &mut Resolver,
    ignore_unresolved: bool,
) -> Result<(ServerAddress, ServerPort, Option<String>), String> {
    let port = match draft.address.port {
        Port::One(port) if port > 0 => ServerPort::Fixed(port),
        Port::Offset(offset) => ServerPort::Mapped(offset),
        Port::None | Port::One(_) | Port::Range(..) => ServerPort::Mapped(0),
    };
    let none = ServerPort::Fixed(0);
    Ok(match &draft.address.host {
        Host::Any => (ServerAddress::Destination, port, None),
        Host::Ip(ip) if ip.is_unspecified() => (ServerAddress::Destination, port, None),
        Host::Ip(ip) => (ServerAddress::Ip(*ip), port, None),
        Host::Unix(path) => (ServerAddress::Unix(path.into()), none, None),
        Host::Abstract(name) | Host::AbstractZero(name) => (ServerAddress::Abstract(name.clone()), none, None),
        Host::Name(name) => {
            let address = match resolver.resolve(name, draft.address.family) {
                Some(ip) => ServerAddress::Ip(ip),
                None => match draft.settings.init_addr {
                    InitAddr { fixed: Some(ip), .. } => ServerAddress::Ip(ip),
                    InitAddr { none, .. } if none || ignore_unresolved => ServerAddress::Unresolved,
                    InitAddr { .. } => return Err(name.clone()),
                },
            };
            (address, port, Some(name.clone()))
        }
        Host::SocketPair(_) | Host::Fd(_) | Host::ReverseHttp(_) => (ServerAddress::Unresolved, none, None),
    })
}
