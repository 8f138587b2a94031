//! `server`, `default-server` and `server-template` lines.

use super::address::{Accept, Address, Host, Port, Resolver, abstract_name};
use super::draft::Section;
use super::guid::Guid;
use super::line::{Line, code};
use super::log_backend;
use super::model::{ServerAddress, ServerPort, Source};
use super::mux::{self, Named};
use super::resolvers;
use super::send_proxy;
use super::server_param::ServerParam;
use super::support::Support;
use crate::balance::hash::HashKey;
use crate::health::{InitState, Observe, OnError, OnMarkedDown, OnMarkedUp};
use crate::log::ring::Framing;
use crate::proxy::settings::TcpOptions;
use crate::resolvers::Choice;
use shared_config::diagnostic::{Diagnostic, Diagnostics, Place};
use shared_config::haproxy::keyword::{self, Param, SERVER_PARAMS};
use shared_config::keyword::Support as Row;
use shared_config::source::Span;
use shared_config::suggest;
use shared_config::words::Word;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The most servers one `server-template` line may make.
const TEMPLATE_SERVERS_MAX: u32 = 65_536;

/// What `default-server` sets and every following `server` line starts from.
#[derive(Clone, Debug)]
pub(super) struct ServerSettings {
    pub weight: u16,
    pub maxconn: Option<u32>,
    pub minconn: Option<u32>,
    pub maxqueue: Option<u32>,
    pub backup: bool,
    pub non_stick: bool,
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
    pub healthcheck: Option<String>,
    pub send_proxy: send_proxy::Asked,
    pub socks4: Option<SocketAddr>,
    pub namespace: Option<String>,
    pub check_via_socks4: bool,
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
    pub tcp: TcpOptions,
    pub tfo: bool,
    pub log_proto: Framing,
    /// `log-bufsize` in bytes.
    pub log_bufsize: Option<usize>,
    pub mux: Option<Named>,
    pub check_mux: Option<Named>,
    pub ws: Option<Named>,
    pub ssl: bool,
    pub check_ssl: bool,
    pub verify_none: Option<bool>,
    pub ca_file: bool,
    pub resolvers: Option<String>,
    pub choice: Choice,
    pub ignore_weight: bool,
    /// `None`: not said.
    pub init_addr: Option<Vec<InitAddr>>,
    pub agent_check: bool,
    pub agent_port: Option<u16>,
    pub agent_address: Option<IpAddr>,
    pub agent_inter: Option<Duration>,
    pub agent_send: Vec<u8>,
}

/// A way of `init-addr` to an address at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InitAddr {
    /// `last`: the one in the state file.
    Last,
    /// `libc`: as the system looks it up.
    Libc,
    /// `none`: the server starts without an address.
    None,
    /// This one.
    Fixed(IpAddr),
}

/// A server whose name leads nowhere at start.
pub(super) struct NotFound {
    /// The name.
    pub name: String,
    /// The system was asked for it, or would have been.
    pub looked_up: bool,
    /// It is taken out of service, rather than that the start fails.
    pub disables: bool,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            weight: 1,
            maxconn: None,
            minconn: None,
            maxqueue: None,
            backup: false,
            non_stick: false,
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
            healthcheck: None,
            send_proxy: send_proxy::Asked::default(),
            socks4: None,
            namespace: None,
            check_via_socks4: false,
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
            tcp: TcpOptions::default(),
            tfo: false,
            log_proto: Framing::default(),
            log_bufsize: None,
            mux: None,
            check_mux: None,
            ws: None,
            ssl: false,
            check_ssl: false,
            verify_none: None,
            ca_file: false,
            resolvers: None,
            choice: Choice::default(),
            ignore_weight: false,
            init_addr: None,
            agent_check: false,
            agent_port: None,
            agent_address: None,
            agent_inter: None,
            agent_send: Vec::new(),
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
    /// It is one of datagrams, which only log backends send: what is wrong elsewhere.
    pub datagram: Option<String>,
    pub id: Option<(u32, Span)>,
    /// `guid`
    pub guid: Option<Guid>,
    pub settings: ServerSettings,
}

/// What a line of parameters is about.
pub(super) struct Target<'a> {
    /// `'server l/a' : `, or nothing for `default-server`.
    pub prefix: String,
    /// The server's name in some messages.
    pub name: &'a str,
    /// It is `default-server`.
    pub is_default: bool,
    /// `id`
    pub id: Option<(u32, Span)>,
    /// `guid`
    pub guid: Option<Guid>,
}

/// The words after `default-server`.
pub(super) fn default_server(
    line: &mut Line<'_, '_>,
    settings: &mut ServerSettings,
    resolver: &mut Resolver,
    support: &mut Support,
) {
    let mut target = Target { prefix: String::new(), name: "default-server", is_default: true, id: None, guid: None };
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
    let mut target = Target {
        prefix: format!("'server {proxy}/{}' : ", name.text),
        name: &name.text,
        is_default: false,
        id: None,
        guid: None,
    };
    check_name(line, name);
    let parsed = parse_address(line, address, &target.prefix, resolver, support);
    params(line, &mut settings, &mut target, resolver, support);
    let (address_read, datagram) = parsed?;
    Some(ServerDraft {
        name: name.text.to_string(),
        span: line.words.statement(),
        name_span: name.span,
        address: address_read,
        address_span: address.span,
        datagram,
        id: target.id,
        guid: target.guid,
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
        guid: None,
    };
    check_name(line, prefix);
    let parsed = parse_address(line, address, &target.prefix, resolver, support);
    params(line, &mut settings, &mut target, resolver, support);
    let Some((parsed, datagram)) = parsed else { return Vec::new() };
    (low..=high)
        .map(|number| ServerDraft {
            name: format!("{}{number}", prefix.text),
            span: line.words.statement(),
            name_span: prefix.span,
            address: parsed.clone(),
            address_span: address.span,
            datagram: datagram.clone(),
            id: target.id.filter(|_| number == low),
            guid: target.guid.as_ref().map(|guid| guid.numbered(number)),
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

fn parse_address(
    line: &mut Line<'_, '_>,
    word: &Word,
    prefix: &str,
    resolver: &Resolver,
    support: &mut Support,
) -> Option<(Address, Option<String>)> {
    let read = resolver.parse(&word.text, Accept::SERVER);
    if let Err(message) = &read
        && let Ok(address) = resolver.parse(&word.text, log_backend::SERVER)
    {
        return Some((address, Some(message.clone())));
    }
    match read {
        Ok(address) => {
            if matches!(address.host, Host::ReverseHttp(_)) {
                support.unsupported("server … rhttp@", word.span, line.out);
            }
            Some((address, None))
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
        let mut param = ServerParam { line, target, word };
        param.read(row, settings, resolver);
        let named = match row.name {
            "proto" => settings.mux,
            "check-proto" => settings.check_mux,
            "ws" => settings.ws,
            _ => None,
        };
        if let Some((shown, at)) = mux::missing(named, "server", row.name) {
            support.unsupported(&shown, at, line.out);
        }
    }
}

/// Words that undo what is not there change nothing, whatever the table says about them.
fn takes_nothing_here(row: &Param, settings: &ServerSettings) -> bool {
    // Without TLS on the line its parameters have nothing to act on, as with haproxy.
    row.support == Row::Works || (row.ssl && row.name != "ssl" && !settings.ssl && !settings.check_ssl)
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

/// Where a server is, its name looked up. `last` is its address in the state file; the error is a name that was not found.
pub(super) fn locate(
    draft: &ServerDraft,
    resolver: &mut Resolver,
    last: impl FnOnce(&str) -> Option<IpAddr>,
) -> Result<(ServerAddress, ServerPort, Option<String>), NotFound> {
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
        Host::Abstract(_) | Host::AbstractZero(_) => {
            (ServerAddress::Abstract(abstract_name(&draft.address.host).unwrap_or_default()), none, None)
        }
        // A service is no host: which hosts and ports there are is told by its records.
        Host::Name(name) if draft.settings.resolvers.is_some() && resolvers::is_service(name) => {
            (ServerAddress::Unresolved, none, None)
        }
        Host::Name(name) => (first_address(draft, name, resolver, last)?, port, Some(name.clone())),
        Host::SocketPair(_) | Host::Fd(_) | Host::ReverseHttp(_) => (ServerAddress::Unresolved, none, None),
    })
}

/// The address to start with, by the first way of `init-addr` that leads to one.
fn first_address(
    draft: &ServerDraft,
    name: &str,
    resolver: &mut Resolver,
    last: impl FnOnce(&str) -> Option<IpAddr>,
) -> Result<ServerAddress, NotFound> {
    let ways = draft.settings.init_addr.as_deref().unwrap_or(&[InitAddr::Last, InitAddr::Libc]);
    let (mut last, mut looked_up) = (Some(last), false);
    for way in ways {
        let found = match way {
            InitAddr::Last => last.take().and_then(|last| last(name)),
            InitAddr::Libc => {
                looked_up = true;
                // A name of a service cannot be looked up this way.
                let host = Some(name).filter(|name| !resolvers::is_service(name));
                host.and_then(|name| resolver.resolve(name, draft.address.family))
            }
            InitAddr::None => return Ok(ServerAddress::Unresolved),
            InitAddr::Fixed(ip) => Some(*ip),
        };
        if let Some(ip) = found {
            return Ok(ServerAddress::Ip(ip));
        }
    }
    let disables = draft.settings.resolvers.is_some();
    Err(NotFound { name: name.to_owned(), looked_up: looked_up && !resolvers::is_service(name), disables })
}

/// What is said of a name that leads nowhere at start, and what its server starts with.
pub(super) fn not_found(
    section: &Section,
    draft: &ServerDraft,
    lost: NotFound,
    ignored: bool,
    out: &mut Diagnostics,
) -> (ServerAddress, ServerPort, Option<String>) {
    let start = format!("'server {}/{}' : ", section.name, draft.name);
    let name = &lost.name;
    let at = draft.address_span;
    let diagnostic = if !lost.looked_up {
        let message = format!("{start}no method found to resolve address '{name}'.");
        Some(Diagnostic::error(code::UNRESOLVED, at, message))
    } else if lost.disables {
        let message = format!("{start}could not resolve address '{name}', disabling server.");
        Some(Diagnostic::warning(code::UNRESOLVED, at, message))
    } else if !ignored {
        let help = "add `init-addr libc,none` to start without it, or start with `-dr`";
        let message = format!("{start}could not resolve address '{name}'.");
        Some(Diagnostic::error(code::UNRESOLVED, at, message).help(help))
    } else {
        None
    };
    if let Some(diagnostic) = diagnostic {
        out.push(diagnostic.place(Place::Bare).label("this name has no address now"));
    }
    let port = match draft.address.port {
        Port::One(port) if port > 0 => ServerPort::Fixed(port),
        Port::Offset(offset) => ServerPort::Mapped(offset),
        Port::None | Port::One(_) | Port::Range(..) => ServerPort::Mapped(0),
    };
    (ServerAddress::Unresolved, port, Some(lost.name))
}
