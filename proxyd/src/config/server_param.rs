//! The parameters of `server` lines, one by one.

use super::address::{self, Port, Resolver};
use super::guid;
use super::line::{Line, code};
use super::mux;
use super::send_proxy;
use super::server::{InitAddr, ServerSettings, Target};
use super::source;
use super::value::{self, TimeProblem, Unit};
use crate::balance::hash::HashKey;
use crate::health::{InitState, Observe, OnError, OnMarkedDown, OnMarkedUp};
use crate::limits::SIGNATURE_KEY_BYTES_MAX;
use crate::log::ring::Framing;
use crate::resolvers::Network;
use crate::resolvers::message::Kind;
use shared_config::diagnostic::{Diagnostic, Place};
use shared_config::haproxy::keyword::Param;
use shared_config::source::Span;
use shared_config::value::size;
use shared_config::words::Word;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Networks of one `resolve-net`.
const NETWORKS_MAX: usize = 5;
/// The highest weight.
const WEIGHT_MAX: i64 = 256;

/// One parameter being read.
pub(super) struct ServerParam<'l, 'a, 'd, 't, 'n> {
    pub line: &'l mut Line<'a, 'd>,
    pub target: &'t mut Target<'n>,
    pub word: &'a Word,
}

impl<'a> ServerParam<'_, 'a, '_, '_, '_> {
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

    /// Takes the arguments of the parameter and sets what it says.
    pub(super) fn read(&mut self, row: &'static Param, s: &mut ServerSettings, resolver: &mut Resolver) {
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
            | "check-via-socks4"
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
            | "agent-port"
            | "agent-addr"
            | "agent-inter"
            | "agent-send" => self.health(row.name, s, resolver),
            "ssl" | "no-ssl" | "check-ssl" | "no-check-ssl" | "verify" | "ca-file" | "crt" => self.tls(row.name, s),
            "pool-max-conn" | "pool-low-conn" | "pool-purge-delay" | "max-reuse" | "maxconn" | "minconn"
            | "maxqueue" | "tcp-ut" | "tfo" | "no-tfo" => self.limits(row.name, s),
            "init-addr" | "resolvers" | "resolve-prefer" | "resolve-net" | "resolve-opts" | "source" | "usesrc"
            | "socks4" => {
                self.addresses(row.name, s, resolver);
            }
            "healthcheck" => {
                s.healthcheck = self.argument("<name>").map(|word| word.text.to_string()).or(s.healthcheck.take());
            }
            "cc" | "tcp-md5sig" | "idle-ping" => self.transport(row.name, s),
            _ => self.others(row, s),
        }
    }

    fn transport(&mut self, name: &str, s: &mut ServerSettings) {
        match name {
            "cc" => s.tcp.congestion_control = self.argument("an algorithm").map(|word| word.text.to_string()),
            "tcp-md5sig" => {
                if let Some(word) = self.argument("a password") {
                    if word.text.len() > SIGNATURE_KEY_BYTES_MAX {
                        let message =
                            format!("'tcp-md5sig' : the password has more than {SIGNATURE_KEY_BYTES_MAX} bytes");
                        self.error(word.span, &message);
                    }
                    s.tcp.signature_key = Some(word.text.to_string());
                }
            }
            // Only HTTP/2 has such pings, as the manual says.
            _ => {
                if let Some(word) = self.argument("a delay") {
                    let _delay = self.plain_time(word, "idle-ping");
                }
            }
        }
    }

    fn others(&mut self, row: &'static Param, s: &mut ServerSettings) {
        match row.name {
            "weight" => self.weight(s),
            "backup" => s.backup = true,
            "no-backup" => s.backup = false,
            "non-stick" => s.non_stick = true,
            "stick" => s.non_stick = false,
            "disabled" => s.disabled = true,
            "enabled" => s.disabled = false,
            "cookie" => s.cookie = self.argument("<value>").map(|word| word.text.to_string()).or(s.cookie.take()),
            "redir" => s.redir = self.argument("<prefix>").map(|word| word.text.to_string()).or(s.redir.take()),
            "id" => self.id(),
            "guid" | "proto" | "check-proto" | "ws" => self.names(row, s),
            "send-proxy"
            | "send-proxy-v2"
            | "send-proxy-v2-ssl"
            | "send-proxy-v2-ssl-cn"
            | "no-send-proxy"
            | "no-send-proxy-v2"
            | "no-send-proxy-v2-ssl"
            | "no-send-proxy-v2-ssl-cn" => s.send_proxy.word(row.name),
            "set-proxy-v2-tlv-fmt" => self.addition(s),
            "hash-key" => {
                let choices = [("id", HashKey::Id), ("addr", HashKey::Addr), ("addr-port", HashKey::AddrPort)];
                s.hash_key = self
                    .choice(&choices, "'id', 'addr', or 'addr-port'", "expects one of 'id', 'addr', or 'addr-port'")
                    .unwrap_or_default();
            }
            "log-proto" => {
                let complaint = "expects one of 'legacy' or 'octet-count'";
                let known = [("legacy", Framing::LineFeed), ("octet-count", Framing::OctetCount)];
                s.log_proto = self.choice(&known, "<proto>", complaint).unwrap_or_default();
            }
            "log-bufsize" => {
                if let Some(word) = self.argument("<bufsize>") {
                    let size = size::parse(&word.text).ok().and_then(|size| usize::try_from(size).ok());
                    s.log_bufsize = size.filter(|size| *size > 0);
                    if s.log_bufsize.is_none() {
                        self.error(word.span, &format!("'log-bufsize' expects a size (got '{}')", word.text));
                    }
                }
            }
            "proxy-v2-options" => self.proxy_v2_options(s),
            "namespace" => {
                if let Some(word) = self.argument("<name>") {
                    s.namespace = self.namespace(word);
                }
            }
            // What has no effect yet is taken with its arguments; the table has said so already.
            _ => (0..row.arity.min).for_each(|_| {
                let _argument = self.argument("a value");
            }),
        }
    }

    /// What has a name: the server itself, and what is spoken with it.
    fn names(&mut self, row: &'static Param, s: &mut ServerSettings) {
        match row.name {
            "guid" => {
                if let Some(word) = self.argument("a name") {
                    match guid::read(word) {
                        Ok(guid) => self.target.guid = Some(guid),
                        Err(problem) => self.error(word.span, &format!("'guid' : {problem}")),
                    }
                }
            }
            "proto" | "check-proto" => {
                if let Some(word) = self.argument("a protocol") {
                    let named = mux::named(word);
                    if named.is_none() {
                        self.error(word.span, &format!("'{}' :  unknown MUX protocol '{}'", self.word.text, word.text));
                    }
                    if row.name == "proto" { s.mux = named } else { s.check_mux = named }
                }
            }
            _ => {
                let word = self.line.words.next();
                if !word.is_some_and(|word| matches!(word.as_str(), "auto" | "h1" | "h2")) {
                    let at = word.map_or(self.line.words.here(), |word| word.span);
                    self.error(at, "'ws' has to be 'auto', 'h1' or 'h2'");
                }
                s.ws = word.and_then(mux::named);
            }
        }
    }

    fn proxy_v2_options(&mut self, s: &mut ServerSettings) {
        let word = self.line.words.next();
        let (at, text) = word.map_or((self.word.span, ""), |word| (word.span, word.as_str()));
        for option in text.split(',') {
            if !s.send_proxy.option(option) {
                self.error(at, &format!("'{option}' : proxy v2 option not implemented"));
            }
        }
    }

    fn addition(&mut self, s: &mut ServerSettings) {
        let kind = send_proxy::kind(&self.word.text);
        let Some(format) = self.argument("a format") else { return };
        match kind {
            Some(kind) => s.send_proxy.addition(kind, format.clone()),
            None => self
                .error(self.word.span, &format!("'{}' : the kind of a TLV is a number from 0 to 255", self.word.text)),
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
            "check-via-socks4" => s.check_via_socks4 = true,
            "no-check-send-proxy" => s.check_send_proxy = false,
            "agent-check" => s.agent_check = true,
            "no-agent-check" => s.agent_check = false,
            "agent-port" => s.agent_port = u16::try_from(self.number()).ok().filter(|&port| port > 0),
            "agent-addr" => s.agent_address = self.agent_address(resolver).or(s.agent_address),
            "agent-inter" => s.agent_inter = self.time("a delay").or(s.agent_inter),
            "agent-send" => {
                if let Some(word) = self.argument("a string") {
                    s.agent_send = shared_config::source::encode(&word.text);
                }
            }
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
            "addr" => s.check_address = self.address(resolver).or(s.check_address),
            "track" => {
                s.track = self.argument("[<proxy>/]<server>").map(|word| word.text.to_string()).or(s.track.take());
            }
            _ => self.observation(name, s),
        }
    }

    /// An address without a port.
    fn address(&mut self, resolver: &mut Resolver) -> Option<IpAddr> {
        let word = self.argument("<ipv4|ipv6>")?;
        let found = resolver.parse(&word.text, address::HOST).and_then(|address| resolver.ip(&address, &word.text));
        found.map_err(|message| self.error(word.span, &format!("'{}' : {message}", self.word.text))).ok()
    }

    fn namespace(&mut self, word: &Word) -> Option<String> {
        if &*word.text == "*" {
            self.error(word.span, "'namespace *' is not supported yet: name the namespace");
            return None;
        }
        if !super::bind::namespace_exists(&word.text) {
            self.error(word.span, &format!("Cannot open namespace '{}'", word.text));
        }
        Some(word.text.to_string())
    }

    /// An address with a port.
    fn proxy(&mut self, resolver: &mut Resolver) -> Option<SocketAddr> {
        let word = self.argument("<addr>:<port>")?;
        let found = resolver.parse(&word.text, address::TARGET).and_then(|address| match address.port {
            Port::One(port) => Ok(SocketAddr::new(resolver.ip(&address, &word.text)?, port)),
            _ => Err(format!("missing port specification in '{}'.", word.text)),
        });
        found.map_err(|message| self.error(word.span, &format!("'socks4 {}' : {message}", word.text))).ok()
    }

    fn agent_address(&mut self, resolver: &mut Resolver) -> Option<IpAddr> {
        let word = self.argument("an address")?;
        let found = resolver.parse(&word.text, address::HOST).and_then(|address| resolver.ip(&address, &word.text));
        let message = || format!("parsing agent-addr failed. Check if '{}' is correct address.", word.text);
        found.map_err(|_| self.error(word.span, &message())).ok()
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
            "socks4" => s.socks4 = self.proxy(resolver).or(s.socks4),
            "init-addr" => {
                if let Some(word) = self.line.words.next() {
                    self.init_addr(word, s);
                }
            }
            "resolve-prefer" => {
                let Some(word) = self.argument("either ipv4 or ipv6") else { return };
                match &*word.text {
                    "ipv4" => s.choice.prefer = Kind::A,
                    "ipv6" => s.choice.prefer = Kind::Aaaa,
                    _ => self.error(word.span, "'resolve-prefer' expects either ipv4 or ipv6 as argument."),
                }
            }
            "resolve-net" => {
                if let Some(word) = self.line.words.next() {
                    self.resolve_net(word, s);
                } else {
                    let here = self.line.words.here();
                    self.error(here, "'resolve-net' expects a list of networks.");
                }
            }
            "resolve-opts" => {
                if let Some(word) = self.line.words.next() {
                    self.resolve_opts(word, s);
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
        let mut ways = Vec::new();
        for method in word.text.split(',').filter(|method| !method.is_empty()) {
            match method {
                "last" => ways.push(InitAddr::Last),
                "libc" => ways.push(InitAddr::Libc),
                "none" => ways.push(InitAddr::None),
                _ => {
                    if let Ok(ip) = method.parse() {
                        ways.push(InitAddr::Fixed(ip));
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
        s.init_addr = Some(ways);
    }

    fn resolve_net(&mut self, word: &Word, s: &mut ServerSettings) {
        let mut networks = Vec::new();
        for text in word.text.split(',').filter(|text| !text.is_empty()) {
            let (address, bits) = text.split_once('/').unwrap_or((text, ""));
            let network = address.parse().ok().and_then(|address: IpAddr| {
                let width = if address.is_ipv4() { 32 } else { 128 };
                let bits = if bits.is_empty() { width } else { bits.parse().ok().filter(|bits| *bits <= width)? };
                Some(Network { address, bits })
            });
            match network {
                Some(_) if networks.len() >= NETWORKS_MAX => {
                    return self.error(word.span, &format!("'resolve-net' exceed {NETWORKS_MAX} networks."));
                }
                Some(network) => networks.push(network),
                None => return self.error(word.span, &format!("'resolve-net' invalid network '{text}'.")),
            }
        }
        s.choice.networks = networks;
    }

    fn resolve_opts(&mut self, word: &Word, s: &mut ServerSettings) {
        for option in word.text.split(',').filter(|option| !option.is_empty()) {
            match option {
                "allow-dup-ip" => s.choice.shares = true,
                "prevent-dup-ip" => s.choice.shares = false,
                "ignore-weight" => s.ignore_weight = true,
                _ => {
                    let message = format!(
                        "'resolve-opts' : unknown resolve-opts option '{option}', supported methods are \
                         'allow-dup-ip', 'ignore-weight', and 'prevent-dup-ip'."
                    );
                    self.error(word.span, &message);
                }
            }
        }
    }
}
