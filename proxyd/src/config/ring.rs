//! `ring` sections, and the rings that `log tcp@` lines make.

use super::line::{Line, code};
use super::model::{LogAddress, Model, ServerAddress, ServerPort, SyslogFormat};
use super::option::Negation;
use super::proxy::{self, Tools};
use super::review;
use super::sections::{self, Others};
use super::server::{self, NotFound, ServerDraft, ServerSettings};
use super::value::Unit;
use super::{log, log_backend, resolve, send_proxy};
use crate::log::backend::SYSLOG_PORT;
use crate::log::ring::{BUILT_IN, Framing, RingServer, RingSettings};
use crate::proxy::address::UseSource;
use shared_config::diagnostic::{Diagnostic, Diagnostics, Place};
use shared_config::haproxy::ast;
use shared_config::haproxy::keyword::{self, SectionKind};
use shared_config::source::{Sources, Span};
use shared_config::value::size;
use shared_config::words::{Word, Words};
use std::path::PathBuf;
use std::time::Duration;

/// The size where none is configured, in bytes: haproxy's buffer.
pub(super) const SIZE_DEFAULT: usize = 16_384;
/// The largest size that is taken.
const SIZE_MAX: u64 = 1 << 32;
/// How long the connection of a `log tcp@` line may take to come about.
const IMPLICIT_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long its server may take no bytes.
const IMPLICIT_SERVER_TIMEOUT: Duration = Duration::from_secs(5);
/// Names of rings that are always there.
const TAKEN: [&str; 3] = ["stdout", "stderr", BUILT_IN];

/// A ring that a `log tcp@` line makes.
#[derive(Debug)]
pub(super) struct Implicit {
    line: Span,
    format: SyslogFormat,
    address: ServerAddress,
    port: u16,
}

/// Makes a ring for a `log` line whose server is reached over a connection; returns its name.
pub(super) fn implicit(
    rings: &mut Vec<Implicit>,
    line: Span,
    format: SyslogFormat,
    address: ServerAddress,
    port: u16,
) -> String {
    rings.push(Implicit { line, format, address, port });
    format!("ring#{}", rings.len())
}

/// All rings: the sections, and those that `log` lines made.
pub(super) fn complete(sections: &[RingSettings], implicit: &[Implicit], sources: &Sources) -> Vec<RingSettings> {
    let made = implicit.iter().enumerate().map(|(index, ring)| {
        let (file, line) = resolve::file_and_line(sources, ring.line);
        let server = RingServer {
            name: "server".to_owned(),
            address: ring.address.clone(),
            port: ring.port,
            framing: Framing::default(),
            preface: Vec::new(),
            source: None,
            socks4: None,
            namespace: None,
        };
        RingSettings {
            name: format!("ring#{}", index + 1),
            description: format!("created from logserver declared into '{file}' at line {line}"),
            format: ring.format,
            max_len: SIZE_DEFAULT,
            size: SIZE_DEFAULT,
            connect_timeout: Some(IMPLICIT_CONNECT_TIMEOUT),
            server_timeout: Some(IMPLICIT_SERVER_TIMEOUT),
            servers: vec![server],
            backing_file: None,
        }
    });
    sections.iter().cloned().chain(made).collect()
}

/// Warns about `log` lines whose ring does not exist, which haproxy accepts and serves with silence.
pub(super) fn missing(model: &Model, out: &mut Diagnostics) {
    let mut told = Vec::new();
    for target in model.loggers() {
        if let LogAddress::Ring(name) = &target.address
            && name != BUILT_IN
            && !model.rings.iter().any(|ring| ring.name == *name)
            && !told.contains(&name)
        {
            let message = format!("log : there is no ring '{name}', what is logged to it is lost.");
            out.push(Diagnostic::warning(code::UNKNOWN_NAME, None, message).whole_file());
            told.push(name);
        }
    }
}

/// Lowers a section.
pub(super) fn lower(ast: &ast::Section, others: &mut Others, tools: &mut Tools, out: &mut Diagnostics) {
    let Some(name) = name(ast, others, out) else { return };
    let mut ring = Draft::new(&name.text);
    for statement in &ast.statements {
        let mut words = statement.words();
        let negated = Words::take(&mut words, "no").is_some();
        let Some(first) = words.peek() else { continue };
        let Some(row) = keyword::find_statement(SectionKind::Ring, words.clone().rest()) else {
            if &*first.text == "timeout" {
                let message = "a ring has the timeouts 'connect' and 'server'; this one is ignored.";
                out.push(Diagnostic::warning(code::IGNORED, first.span, message));
            } else {
                sections::unknown(first, SectionKind::Ring, out);
            }
            continue;
        };
        let keyword = (0..row.words()).filter_map(|_| words.next()).fold(first.span, |span, word| span.to(word.span));
        let negation = if negated { Negation::No } else { Negation::None };
        let mut line = proxy::line(words, row.name, keyword, SectionKind::Ring, negation, out);
        ring.statement(&mut line, tools);
    }
    others.rings.push(ring.finish(ast.head.span, tools, out));
}

/// The name, if it is one that a ring may have.
fn name<'a>(ast: &'a ast::Section, others: &Others, out: &mut Diagnostics) -> Option<&'a Word> {
    let Some(name) = ast.name() else {
        let error = Diagnostic::error(code::MISSING_ARGUMENT, ast.head.span, "missing ring name.");
        out.push(error.label("the name is missing"));
        return None;
    };
    let wrong = name.text.char_indices().find(|(_, c)| !(c.is_ascii_alphanumeric() || ".:_-".contains(*c)));
    if let Some((at, character)) = wrong {
        let message = format!("invalid ring name '{}' (character '{character}' is not permitted).", name.text);
        let error = Diagnostic::error(code::BAD_VALUE, name.span_of(at..at + character.len_utf8()), message);
        out.push(error.help("a name is made of letters, digits, `.`, `:`, `_` and `-`"));
        return None;
    }
    if TAKEN.contains(&&*name.text) || others.rings.iter().any(|ring| ring.name == *name.text) {
        let message = format!("sink named '{}' already exists.", name.text);
        out.push(Diagnostic::error(code::DUPLICATE, name.span, message));
        return None;
    }
    Some(name)
}

/// A section while it is read.
struct Draft {
    settings: RingSettings,
    servers: Vec<ServerDraft>,
    /// `maxlen`, and where.
    max_len: Option<(usize, Span)>,
}

impl Draft {
    fn new(name: &str) -> Self {
        let settings = RingSettings {
            name: name.to_owned(),
            description: name.to_owned(),
            format: SyslogFormat::Raw,
            max_len: SIZE_DEFAULT,
            size: SIZE_DEFAULT,
            connect_timeout: None,
            server_timeout: None,
            servers: Vec::new(),
            backing_file: None,
        };
        Self { settings, servers: Vec::new(), max_len: None }
    }

    fn statement(&mut self, line: &mut Line<'_, '_>, tools: &mut Tools) {
        match line.name {
            "size" => self.size(line),
            "maxlen" => {
                let at = line.words.here();
                let word = line.words.next();
                let text = word.map_or("", |word| &word.text);
                match size::parse(text).ok().and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0) {
                    Some(size) => self.max_len = Some((size, at)),
                    None => line.error(code::BAD_VALUE, at, format!("invalid size '{text}' for new sink buffer.")),
                }
            }
            "format" => {
                let at = line.words.here();
                let text = line.words.next().map_or("", |word| &word.text);
                match log::format_of(text) {
                    Some(format) => self.settings.format = format,
                    None => line.error(code::UNKNOWN_NAME, at, format!("unknown format '{text}'.")),
                }
            }
            "description" => {
                if line.words.is_empty() {
                    let at = line.words.here();
                    return line.error(code::MISSING_ARGUMENT, at, "missing ring description text.");
                }
                self.settings.description = line.joined();
            }
            name @ ("timeout connect" | "timeout server") => {
                let Some(word) = line.expect(format!("'{name}' expects <time> as argument.")) else { return };
                let time =
                    line.time_at(word, Unit::Milliseconds, name, Place::ParsingLine).filter(|time| !time.is_zero());
                if name == "timeout connect" {
                    self.settings.connect_timeout = time;
                } else {
                    self.settings.server_timeout = time;
                }
            }
            "backing-file" => {
                let missing =
                    format!("cannot open backing-file '' for ring '{}': a path is missing.", self.settings.name);
                self.settings.backing_file = line.expect(missing).map(|word| PathBuf::from(&*word.text));
            }
            "server" => {
                let name = self.settings.name.clone();
                let settings = ServerSettings::default();
                let server = server::server(line, &name, settings, &mut tools.resolver, &mut tools.support);
                self.servers.extend(server);
            }
            other => {
                let message = format!("unknown statement '{other}'.");
                line.error(code::UNKNOWN_KEYWORD, line.keyword, message);
            }
        }
    }

    fn size(&mut self, line: &mut Line<'_, '_>) {
        let at = line.words.here();
        let text = line.words.next().map_or("", |word| &word.text);
        let Some(size) = size::parse(text).ok().filter(|size| (1..=SIZE_MAX).contains(size)) else {
            return line.error(code::BAD_VALUE, at, format!("invalid size '{text}' for new sink buffer."));
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let (now, name) = (self.settings.size, &self.settings.name);
        if size < now {
            let message =
                format!("ignoring new size '{size}' that is smaller than current size '{now}' for ring '{name}'.");
            return line.warn(code::IGNORED, at, message);
        }
        self.settings.size = size;
    }

    fn finish(mut self, head: Span, tools: &mut Tools, out: &mut Diagnostics) -> RingSettings {
        let (name, size) = (self.settings.name.clone(), self.settings.size);
        self.settings.max_len = size;
        match self.max_len {
            Some((length, at)) if length > size => {
                let message =
                    format!("ring '{name}' event max length '{length}' exceeds size, forced to size '{size}'.");
                out.push(Diagnostic::warning(code::IGNORED, at, message).whole_file());
            }
            Some((length, _)) => self.settings.max_len = length,
            None => {}
        }
        let (connect, server) = (self.settings.connect_timeout, self.settings.server_timeout);
        if !self.servers.is_empty() && (connect.is_none() || server.is_none()) {
            out.push(review::missing_timeouts("backend", &name, head));
        }
        for draft in &self.servers {
            self.settings.servers.extend(ring_server(&name, draft, tools, out));
        }
        self.settings
    }
}

/// How messages get to a server over a connection. `what` is such a server.
pub(super) fn server_at(
    draft: &ServerDraft,
    (address, port): (ServerAddress, u16),
    what: &str,
    tools: &mut Tools,
    out: &mut Diagnostics,
) -> RingServer {
    let settings = &draft.settings;
    if settings.send_proxy.has_texts() {
        tools.support.unsupported(&format!("{what} … set-proxy-v2-tlv-fmt"), draft.span, out);
    }
    let of_a_client = |usesrc: &UseSource| !matches!(usesrc, UseSource::Address(_));
    if settings.source.as_ref().and_then(|source| source.usesrc.as_ref()).is_some_and(of_a_client) {
        let message = format!("'server {}' : 'usesrc' needs a client, and log lines have none.", draft.name);
        out.push(Diagnostic::error(code::CONFLICT, draft.span, message).place(Place::Bare));
    }
    if settings.resolvers.is_some() {
        // haproxy takes the word, too, and stays with the address of the start.
        tools.support.no_effect(&format!("{what} … resolvers"), draft.span, out);
    }
    RingServer {
        name: draft.name.clone(),
        address,
        port,
        framing: settings.log_proto,
        preface: send_proxy::of_nobody(&settings.send_proxy),
        source: settings.source.clone(),
        socks4: settings.socks4,
        namespace: settings.namespace.clone(),
    }
}

/// What a `server` line says of where messages go.
fn ring_server(ring: &str, draft: &ServerDraft, tools: &mut Tools, out: &mut Diagnostics) -> Option<RingServer> {
    let settings = &draft.settings;
    log_backend::refuse_datagrams(ring, draft, out);
    let (address, port) = match server::locate(draft, &mut tools.resolver, |_| None) {
        Ok((address, port, _)) => (address, port),
        Err(NotFound { name, .. }) => {
            let message = format!("'server {ring}/{}' : could not resolve address '{name}'.", draft.name);
            let error = Diagnostic::error(code::UNRESOLVED, draft.address_span, message);
            out.push(error.place(Place::Bare).label("this name has no address now"));
            return None;
        }
    };
    let port = match port {
        ServerPort::Fixed(port) => port,
        ServerPort::Mapped(_) => SYSLOG_PORT,
    };
    // A server that is out of service from the start gets nothing.
    let wanted = !settings.disabled && !matches!(address, ServerAddress::Destination | ServerAddress::Unresolved);
    wanted.then(|| server_at(draft, (address, port), "ring server", tools, out))
}
