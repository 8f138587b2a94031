//! `mode log`: backends whose servers get log lines.

use super::address::{Accept, Transport};
use super::draft::{LogBalanceDraft, Section};
use super::line::code;
use super::model::{Backend, LogServers, Mode, RingSettings, Server, ServerPort, SyslogFormat};
use super::proxy::Tools;
use super::ring;
use super::rules::{self, Names};
use super::server::ServerDraft;
use crate::balance::Algorithm;
use crate::balance::hash::Method;
use crate::log::backend::{LogBalance, SYSLOG_PORT};
use shared_config::diagnostic::{Diagnostic, Diagnostics, Place};
use shared_config::words::Word;

/// What a `server` line may lead to.
pub(super) const SERVER: Accept = Accept { datagram: true, ..Accept::SERVER };

/// What a backend needs to know to send lines to its servers. `None`: it is no log backend.
pub(super) fn complete(
    section: &Section,
    servers: &[Server],
    names: &Names,
    tools: &mut Tools,
    out: &mut Diagnostics,
) -> Option<LogServers> {
    let settings = &section.settings;
    let (word, name) = (section.word(), &section.name);
    if section.mode() != Mode::Log {
        for draft in &section.servers {
            refuse_datagrams(name, draft, out);
        }
        if let Some(balance) = &settings.log_balance {
            let message = format!("{word} '{name}' : this 'balance' is for 'mode log' only.");
            out.push(Diagnostic::error(code::CONFLICT, balance.span, message).whole_file());
        }
        return None;
    }
    let balance = balance(section, names, out);
    let rings = section.servers.iter().zip(servers).map(|(draft, server)| {
        (draft.address.transport != Transport::Datagram).then(|| ring_of(section, draft, server, tools, out))
    });
    Some(LogServers { rings: rings.collect(), balance })
}

/// A frontend accepts nothing in `mode log`: messages come to `log-forward` sections.
pub(super) fn refuse_frontend(section: &Section, out: &mut Diagnostics) {
    if section.mode() == Mode::Log {
        let message = format!("{} '{}' : 'mode log' is for backends only.", section.word(), section.name);
        let error = Diagnostic::error(code::CONFLICT, section.head, message).whole_file();
        out.push(error.help("messages of others are taken by a `log-forward` section"));
    }
}

/// Says that only log backends send datagrams.
pub(super) fn refuse_datagrams(of: &str, draft: &ServerDraft, out: &mut Diagnostics) {
    if let Some(message) = &draft.datagram {
        let message = format!("'server {of}/{}' : {message}", draft.name);
        out.push(Diagnostic::error(code::BAD_VALUE, draft.address_span, message).place(Place::Bare));
    }
}

fn balance(section: &Section, names: &Names, out: &mut Diagnostics) -> LogBalance {
    let settings = &section.settings;
    if let Some(written) = &settings.log_balance {
        let LogBalanceDraft::Hash(word) = &written.value else { return LogBalance::Sticky };
        let hash_type = settings.hash_type.unwrap_or_default();
        if hash_type.method == Method::Consistent {
            let message = format!("backend '{}' : 'balance log-hash' takes 'hash-type map-based' only.", section.name);
            out.push(Diagnostic::error(code::CONFLICT, written.span, message).whole_file());
        }
        let facts = rules::Section {
            kind: section.kind,
            name: &section.name,
            mode: section.mode(),
            frontend: None,
            backend: None,
            request_captures: 0,
            response_captures: 0,
        };
        let converters = rules::log_hash(&facts, word, names, out);
        return converters.map_or(LogBalance::RoundRobin, |converters| LogBalance::Hash { hash_type, converters });
    }
    match settings.balance.as_ref().map(|at| (&at.value, at.span)) {
        None | Some((Algorithm::RoundRobin, _)) => LogBalance::RoundRobin,
        Some((Algorithm::Random { .. }, _)) => LogBalance::Random,
        Some((Algorithm::StaticRr | Algorithm::LeastConn | Algorithm::First | Algorithm::Hash(_), span)) => {
            let message = format!(
                "backend '{}' : in 'mode log', balance only supports 'roundrobin', 'random', 'sticky' and 'log-hash'.",
                section.name
            );
            out.push(Diagnostic::error(code::CONFLICT, span, message).whole_file());
            LogBalance::RoundRobin
        }
    }
}

/// The ring that lines wait in for a server that is reached over a connection.
fn ring_of(
    section: &Section,
    draft: &ServerDraft,
    server: &Server,
    tools: &mut Tools,
    out: &mut Diagnostics,
) -> RingSettings {
    let size = draft.settings.log_bufsize.unwrap_or(ring::SIZE_DEFAULT);
    let timeouts = &section.settings.timeouts;
    let port = match server.port {
        ServerPort::Fixed(port) => port,
        ServerPort::Mapped(_) => SYSLOG_PORT,
    };
    RingSettings {
        name: format!("{}/{}", section.name, draft.name),
        description: format!("lines for server '{}' of log backend '{}'", draft.name, section.name),
        format: SyslogFormat::Raw,
        max_len: size,
        size,
        connect_timeout: timeouts.connect,
        server_timeout: timeouts.server,
        servers: vec![ring::server_at(draft, (server.address.clone(), port), "log server", tools, out)],
        backing_file: None,
    }
}

/// Refuses `log` lines to backends that there are not, or that are for something else.
pub(super) fn unknown(wanted: &[Word], backends: &[Backend], out: &mut Diagnostics) {
    for word in wanted {
        let name = word.text.strip_prefix(super::log::BACKEND).unwrap_or(&word.text);
        let wrong = match backends.iter().find(|backend| backend.proxy.name == name) {
            Some(backend) if backend.log.is_some() => continue,
            Some(_) => format!("log : backend '{name}' is not in 'mode log'."),
            None => format!("log : there is no backend '{name}'."),
        };
        out.push(Diagnostic::error(code::UNKNOWN_NAME, word.span, wrong));
    }
}
