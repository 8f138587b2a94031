//! `resolvers` sections, and what servers say of them.

use super::address::{Accept, Address, Host, Port, Resolver, TARGET, Transport, abstract_name};
use super::line::{Line, code};
use super::proxy::Tools;
use super::server::ServerDraft;
use super::value::{self, Unit};
use crate::resolvers::message::Name;
use crate::resolvers::{Nameserver, NameserverAddress, Settings, Wish};
use shared_config::diagnostic::{Diagnostic, Diagnostics, Place};
use shared_config::haproxy::keyword::{Keyword, find_server_param};
use shared_config::source::Span;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Where the system says who is to be asked.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The section that is there without being written: who the system asks.
pub const DEFAULT: &str = "default";
/// What would lead to a name server by another way than a plain stream from any address.
const OTHER_WAYS: [&str; 10] = [
    "interface",
    "namespace",
    "proto",
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2-ssl",
    "send-proxy-v2-ssl-cn",
    "socks4",
    "source",
    "ssl",
];
/// The port of name servers.
const PORT: u16 = 53;

/// A section being read.
#[derive(Debug)]
pub(super) struct Draft {
    settings: Settings,
    names: HashMap<String, Span>,
}

impl Draft {
    pub(super) fn new(name: &str) -> Self {
        Self { settings: Settings::new(name), names: HashMap::new() }
    }

    /// The section, and a word where nobody is asked in it.
    pub(super) fn finish(self, head: Span, out: &mut Diagnostics) -> Settings {
        if self.settings.nameservers.is_empty() {
            let message = format!("resolvers '{}' has no nameservers configured!", self.settings.name);
            out.push(Diagnostic::warning(code::MISSING_ARGUMENT, head, message).whole_file());
        }
        self.settings
    }

    /// One line of the section.
    pub(super) fn read(&mut self, line: &mut Line<'_, '_>, row: &'static Keyword, tools: &mut Tools) {
        match row.name {
            "nameserver" => self.nameserver(line, tools),
            "parse-resolv-conf" => self.resolv_conf(line),
            "hold" => self.hold(line),
            "timeout" => self.timeout(line),
            "resolve_retries" => {
                if let Some(tries) = line.integer("'resolve_retries' expects <nb> as argument.") {
                    self.settings.tries = u32::try_from(tries).unwrap_or(0);
                }
            }
            "accepted_payload_size" => self.payload_size(line),
            _ => drop(line.words.rest()),
        }
    }

    fn nameserver(&mut self, line: &mut Line<'_, '_>, tools: &mut Tools) {
        let missing = "'nameserver' expects <name> and <addr>[:<port>] as arguments.";
        let (Some(name), Some(word)) = (line.words.next(), line.words.next()) else {
            let here = line.words.here();
            return line.error(code::MISSING_ARGUMENT, here, missing);
        };
        let accept = Accept { datagram: true, unix: true, ..TARGET };
        let parsed = tools.resolver.parse(&word.text, accept).and_then(|address| {
            let kind = address_of(&address, &word.text, &mut tools.resolver)?;
            Ok((address.transport, kind))
        });
        let (transport, kind) = match parsed {
            Ok(parsed) => parsed,
            Err(message) => {
                let message = format!("'nameserver {}' : {message}", name.text);
                return line.error(code::BAD_VALUE, word.span, message);
            }
        };
        if self.names.insert(name.text.to_string(), name.span).is_some() {
            let message = format!("nameserver '{}' has same name as another nameserver.", name.text);
            line.error(code::DUPLICATE, name.span, message);
        }
        let Some(address) = kind else {
            let message =
                format!("resolvers '{}': can't create socket for nameserver '{}'.", self.settings.name, name.text);
            let error = Diagnostic::error(code::BAD_VALUE, word.span, message).whole_file();
            return line
                .out
                .push(error.help("name servers at unix sockets are asked over streams: `stream+unix@` or `uxst@`"));
        };
        if transport == Transport::Stream {
            self.parameters(&name.text, line, tools);
        }
        self.settings.nameservers.push(Nameserver { name: name.text.to_string(), address });
    }

    /// The words of a `server` line, which a name server that is asked over streams may have. There is one stream to it, so those on
    /// how many say nothing, and nobody checks it.
    fn parameters(&self, name: &str, line: &mut Line<'_, '_>, tools: &mut Tools) {
        while let Some(word) = line.words.next() {
            let Some(row) = find_server_param(&word.text) else {
                let message = format!("'server {}/{name}' : unknown keyword '{}'.", self.settings.name, word.text);
                line.error(code::UNKNOWN_NAME, word.span, message);
                return;
            };
            if OTHER_WAYS.contains(&row.name) {
                tools.support.unsupported(&format!("nameserver … {}", row.name), word.span, line.out);
            }
            for _ in 0..row.arity.min {
                line.words.next();
            }
        }
    }

    fn resolv_conf(&mut self, line: &mut Line<'_, '_>) {
        match read_resolv_conf() {
            Ok(found) => {
                for nameserver in found {
                    if !self.names.contains_key(&nameserver.name) {
                        self.names.insert(nameserver.name.clone(), line.keyword);
                        self.settings.nameservers.push(nameserver);
                    }
                }
            }
            Err(_) => line.error(code::BAD_VALUE, line.keyword, format!("failed to open {RESOLV_CONF}.")),
        }
    }

    fn hold(&mut self, line: &mut Line<'_, '_>) {
        let missing = "'hold' expects an <event> and a <time> as arguments.";
        let (Some(event), Some(word)) = (line.words.next(), line.words.next()) else {
            let here = line.words.here();
            return line.error(code::MISSING_ARGUMENT, here, missing);
        };
        let time = line.time_at(word, Unit::Milliseconds, "hold", Place::ParsingLine);
        let hold = &mut self.settings.hold;
        match (&*event.text, time) {
            ("nx", Some(time)) => hold.nx = time,
            ("obsolete", Some(time)) => hold.obsolete = time,
            ("other", Some(time)) => hold.other = Some(time),
            ("refused", Some(time)) => hold.refused = Some(time),
            ("timeout", Some(time)) => hold.timeout = Some(time),
            ("valid", Some(time)) => hold.valid = time,
            // What is no time has been told of.
            ("valid" | "nx" | "obsolete" | "other" | "refused" | "timeout", None) => {}
            _ => {
                let message = format!(
                    "'hold' unknown <event>: '{}', expects either 'nx', 'timeout', 'valid', 'obsolete' or 'other'.",
                    event.text
                );
                line.error(code::UNKNOWN_NAME, event.span, message);
            }
        }
    }

    fn timeout(&mut self, line: &mut Line<'_, '_>) {
        let missing = "'timeout' expects 'retry' or 'resolve' and <time> as arguments.";
        let Some(event) = line.expect(missing) else { return };
        let slot: fn(&mut Settings) -> &mut Duration = match &*event.text {
            "retry" => |settings| &mut settings.retry,
            "resolve" => |settings| &mut settings.resolve,
            other => {
                let message = format!("'timeout' expects 'retry' or 'resolve' and <time> as arguments got '{other}'.");
                return line.error(code::UNKNOWN_NAME, event.span, message);
            }
        };
        let what = format!("timeout {}", event.text);
        let Some(word) = line.expect(format!("'{what}' expects <time> as argument.")) else { return };
        if let Some(time) = line.time_at(word, Unit::Milliseconds, &what, Place::ParsingLine) {
            *slot(&mut self.settings) = time;
        }
    }

    fn payload_size(&mut self, line: &mut Line<'_, '_>) {
        let Some(word) = line.expect("'accepted_payload_size' expects <nb> as argument.") else { return };
        let number = value::leading_integer(&word.text).0;
        if let Some(size) = u16::try_from(number).ok().filter(|size| *size >= 12) {
            self.settings.payload_size = size;
        } else {
            let message = format!("'accepted_payload_size' must be between 12 and 65535 inclusive (was {number}).");
            line.error(code::BAD_VALUE, word.span, message);
        }
    }
}

/// Where a name server is asked; `None` where haproxy has no socket for it. The error is haproxy's text.
fn address_of(address: &Address, text: &str, resolver: &mut Resolver) -> Result<Option<NameserverAddress>, String> {
    let stream = address.transport == Transport::Stream;
    Ok(match &address.host {
        Host::Any | Host::Ip(_) | Host::Name(_) => {
            let Port::One(port) = address.port else { return Ok(None) };
            let socket = SocketAddr::new(resolver.ip(address, text)?, port);
            Some(if stream { NameserverAddress::Tcp(socket) } else { NameserverAddress::Udp(socket) })
        }
        Host::Unix(path) if stream => Some(NameserverAddress::Unix(path.into())),
        Host::Abstract(_) | Host::AbstractZero(_) if stream => {
            abstract_name(&address.host).map(NameserverAddress::Abstract)
        }
        Host::Unix(_)
        | Host::Abstract(_)
        | Host::AbstractZero(_)
        | Host::SocketPair(_)
        | Host::Fd(_)
        | Host::ReverseHttp(_) => None,
    })
}

/// Those whom the system asks. The name of each is its address.
fn read_resolv_conf() -> std::io::Result<Vec<Nameserver>> {
    let text = std::fs::read_to_string(RESOLV_CONF)?;
    let addresses = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let word = words.next().filter(|word| *word == "nameserver").and_then(|_| words.next())?;
        let ip: IpAddr = word.parse().ok()?;
        Some(Nameserver { name: word.to_owned(), address: NameserverAddress::Udp(SocketAddr::new(ip, PORT)) })
    });
    Ok(addresses.collect())
}

/// Who the system asks, for rules that name its section, unless one is written.
pub fn of_the_system() -> Option<Settings> {
    let nameservers = read_resolv_conf().ok()?;
    Some(Settings { nameservers, ..Settings::new(DEFAULT) })
}

/// The section of this name by its rank; the one of the system is made when it is first named.
pub(super) fn find(sections: &mut Vec<Settings>, name: &str) -> Option<usize> {
    if let Some(rank) = sections.iter().position(|section| &*section.name == name) {
        return Some(rank);
    }
    let nameservers = (name == DEFAULT).then(read_resolv_conf)?.unwrap_or_default();
    sections.push(Settings { nameservers, ..Settings::new(DEFAULT) });
    Some(sections.len() - 1)
}

/// Whether a name is that of a service rather than of a host.
pub(super) fn is_service(name: &str) -> bool {
    name.starts_with('_')
}

/// What a server wants of name servers: nothing, unless it has a name and says who is to be asked.
pub(super) fn wish(draft: &ServerDraft, sections: &mut Vec<Settings>) -> Option<Wish> {
    let Host::Name(name) = &draft.address.host else { return None };
    let section = find(sections, draft.settings.resolvers.as_deref()?)?;
    let name = Name::new(name)?;
    Some(Wish {
        section,
        service: name.is_service(),
        name,
        choice: draft.settings.choice.clone(),
        ignore_weight: draft.settings.ignore_weight,
    })
}
