//! `source`: the address, ports and interface that connections to servers come from.

use super::address::{self, Accept, Host, Port, Resolver};
use super::line::{Line, code};
use super::model::{Source, UseSource};
use shared_config::diagnostic::{Diagnostic, Place};
use shared_config::source::Span;
use std::net::SocketAddr;

/// Where the words stand: haproxy words the same problems differently.
pub(super) enum Wording<'a> {
    /// A `source` statement.
    Proxy,
    /// On a `server` line; the prefix names the server.
    Server {
        /// `'server l/a' : `
        prefix: &'a str,
    },
}

impl Wording<'_> {
    fn error(&self, line: &mut Line<'_, '_>, kind: &'static str, at: Span, message: &str) {
        let diagnostic = match self {
            Self::Proxy => Diagnostic::error(kind, at, message),
            Self::Server { prefix } => Diagnostic::error(kind, at, format!("{prefix}{message}.")).place(Place::Bare),
        };
        line.out.push(diagnostic);
    }
}

/// The words after `source`.
pub(super) fn read(line: &mut Line<'_, '_>, resolver: &mut Resolver, wording: &Wording<'_>) -> Option<Source> {
    let Some(word) = line.words.next() else {
        let message = match wording {
            Wording::Proxy => {
                "'source' expects <addr>[:<port>], and optionally 'usesrc' <addr>, and 'interface' <name>."
            }
            Wording::Server { .. } => {
                "'source' expects <addr>[:<port>[-<port>]], and optionally 'usesrc' <addr>, and 'interface' <name> as \
                 argument."
            }
        };
        wording.error(line, code::MISSING_ARGUMENT, line.words.here(), message);
        return None;
    };
    let accept = match wording {
        Wording::Proxy => address::HOST,
        Wording::Server { .. } => Accept::SOURCE,
    };
    let parsed = resolver
        .parse(&word.text, accept)
        .and_then(|address| Ok((resolver.ip(&address, &word.text)?, address.port, address.host)));
    let mut source = match parsed {
        Ok((ip, port, host)) => Source {
            address: (host != Host::Any && !ip.is_unspecified()).then_some(ip),
            ports: match port {
                Port::One(port) => Some((port, port)),
                Port::Range(low, high) => Some((low, high)),
                Port::None | Port::Offset(_) => None,
            },
            interface: None,
            usesrc: None,
        },
        Err(message) => {
            wording.error(line, code::BAD_VALUE, word.span, &format!("'source {}' : {message}", word.text));
            Source { address: None, ports: None, interface: None, usesrc: None }
        }
    };
    options(line, resolver, wording, &mut source);
    Some(source)
}

fn options(line: &mut Line<'_, '_>, resolver: &mut Resolver, wording: &Wording<'_>, source: &mut Source) {
    while let Some(word) = line.words.peek() {
        match (&*word.text, wording) {
            ("usesrc", _) => {
                let _usesrc = line.words.next();
                source.usesrc = use_source(line, resolver, wording);
            }
            ("interface", _) => {
                let _interface = line.words.next();
                if let Some(name) = line.words.next() {
                    source.interface = Some(name.text.to_string());
                } else {
                    let message = "'server' : missing interface name";
                    wording.error(line, code::MISSING_ARGUMENT, line.words.here(), message);
                }
            }
            (_, Wording::Server { .. }) => return,
            (_, Wording::Proxy) => {
                let message = "'source' only supports optional keywords 'interface' and 'usesrc'.";
                wording.error(line, code::UNKNOWN_KEYWORD, word.span, message);
                let _rest = line.words.rest();
            }
        }
    }
}

fn use_source(line: &mut Line<'_, '_>, resolver: &mut Resolver, wording: &Wording<'_>) -> Option<UseSource> {
    let Some(word) = line.words.next() else {
        let message = "'usesrc' expects <addr>[:<port>], 'client', or 'clientip' as argument.";
        wording.error(line, code::MISSING_ARGUMENT, line.words.here(), message);
        return None;
    };
    match &*word.text {
        "client" => return Some(UseSource::Client),
        "clientip" => return Some(UseSource::ClientIp),
        text => {
            if let Some(inside) = text.strip_prefix("hdr_ip(").and_then(|rest| rest.strip_suffix(')')) {
                let (name, occurrence) = inside.split_once(',').unwrap_or((inside, "-1"));
                return Some(UseSource::Header {
                    name: name.to_owned(),
                    occurrence: occurrence.trim().parse().unwrap_or(-1),
                });
            }
        }
    }
    let parsed = resolver
        .parse(&word.text, address::HOST)
        .and_then(|address| Ok((resolver.ip(&address, &word.text)?, address.port)));
    match parsed {
        Ok((ip, port)) => {
            let port = if let Port::One(port) = port { port } else { 0 };
            Some(UseSource::Address(SocketAddr::new(ip, port)))
        }
        Err(message) => {
            wording.error(line, code::BAD_VALUE, word.span, &format!("'usesrc {}' : {message}", word.text));
            None
        }
    }
}
