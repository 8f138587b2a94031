//! Words of haproxy 1.4 to 2.5 that current versions refuse. They work as they did, each with one warning that names the
//! modern form.

use super::address::{self, Accept, Port, Resolver};
use super::bind::{self, BindDraft};
use super::draft::{Flag, Section};
use super::line::{Line, code};
use super::proxy::Tools;
use super::settings::timeout_named;
use super::value::{self, Unit};
use crate::balance::persist::Redispatch;
use crate::proxy::listen::Bind;
use shared_config::diagnostic::{Diagnostic, Diagnostics, Place};
use shared_config::haproxy::keyword::{Keyword, SectionKind};
use shared_config::words::{Word, Words};
use std::net::SocketAddr;

/// A statement whose row says it is legacy.
pub(super) fn statement(line: &mut Line<'_, '_>, row: &Keyword, section: &mut Section, tools: &mut Tools) {
    let instead = row.legacy.unwrap_or_default();
    match row.name {
        "contimeout" | "timeout contimeout" => renamed_timeout(line, section, "contimeout", "timeout connect"),
        "clitimeout" | "timeout clitimeout" => renamed_timeout(line, section, "clitimeout", "timeout client"),
        "srvtimeout" | "timeout srvtimeout" => renamed_timeout(line, section, "srvtimeout", "timeout server"),
        "redispatch" | "redisp" => {
            let message = format!(
                "keyword '{}' directive is not supported anymore since HAProxy 2.1. Use 'option redispatch'.",
                row.name
            );
            warn(line, message, instead, Place::Parsing);
            section.settings.redispatch = Some(Redispatch { interval: -1 });
        }
        "grace" => grace(line, row, section, tools),
        "dispatch" => dispatch(line, section, tools),
        "transparent" => {
            let message = "support for 'transparent' was removed in version 3.5. The modern way to do the same is to \
                           create a server with address 0.0.0.0.";
            warn(line, message, instead, Place::ParsingLine);
            tools.support.statement(row, row.name, line.keyword, line.out);
            section.settings.flags.set(Flag::Transparent, true);
        }
        "monitor-net" => monitor_net(line, row, section, tools),
        "bind-process" => {
            let message = "'bind-process' has no effect, is deprecated, and will be removed in version 2.7.";
            warn(line, message, "nothing: threads need no binding", Place::ParsingLine);
        }
        "appsession" => line.out.push(
            Diagnostic::error(code::LEGACY, line.keyword, "'appsession' is not supported anymore since HAProxy 1.6.")
                .help(format!("use {instead}")),
        ),
        _ => {
            let message = format!("'{}' is not supported by current versions of haproxy.", row.name);
            warn(line, message, instead, Place::Parsing);
            tools.support.statement(row, row.name, line.keyword, line.out);
        }
    }
}

fn warn(line: &mut Line<'_, '_>, message: impl Into<String>, instead: &str, place: Place) {
    line.out.push(
        Diagnostic::warning(code::LEGACY, line.keyword, message)
            .place(place)
            .label("works, but current versions of haproxy refuse it")
            .help(format!("use {instead}")),
    );
}

fn renamed_timeout(line: &mut Line<'_, '_>, section: &mut Section, old: &str, new: &str) {
    let message = format!("the '{old}' directive is not supported anymore since HAProxy 2.1. Use '{new}'.");
    warn(line, message, &format!("'{new}'"), Place::Parsing);
    timeout_named(line, &mut section.settings, new);
}

fn grace(line: &mut Line<'_, '_>, row: &Keyword, section: &mut Section, tools: &mut Tools) {
    let message = "the 'grace' keyword is not supported any more since HAProxy version 2.5.";
    warn(line, message, row.legacy.unwrap_or_default(), Place::ParsingLine);
    tools.support.statement(row, row.name, line.keyword, line.out);
    let Some(word) = line.expect("'grace' expects a time in milliseconds.") else { return };
    if let Some(time) = line.time(word, Unit::Milliseconds, "grace") {
        section.settings.grace = time;
    }
}

fn dispatch(line: &mut Line<'_, '_>, section: &mut Section, tools: &mut Tools) {
    let Some(word) = line.expect("'dispatch' expects <addr>:<port> as argument.") else { return };
    match target(&word.text, &mut tools.resolver) {
        Ok(address) => section.dispatch = Some(address),
        Err(message) => return line.error(code::BAD_VALUE, word.span, format!("'dispatch' : {message}")),
    }
    let message = "support for 'dispatch' was removed in version 3.5. The modern way to do the same is to create a server \
                   with the same address, and possibly to assign any extra server a weight of zero if any:";
    let message = format!("{message}\n    server dispatch {}", word.text);
    warn(line, message, &format!("`server dispatch {}`", word.text), Place::ParsingLine);
}

fn target(text: &str, resolver: &mut Resolver) -> Result<SocketAddr, String> {
    let address = resolver.parse(text, address::TARGET)?;
    let Port::One(port) = address.port else { return Err(format!("missing port specification in '{text}'")) };
    Ok(SocketAddr::new(resolver.ip(&address, text)?, port))
}

fn monitor_net(line: &mut Line<'_, '_>, row: &Keyword, section: &mut Section, tools: &mut Tools) {
    let text = line.words.peek().map_or_else(String::new, |word| word.text.to_string());
    let message = format!(
        "'monitor-net' doesn't exist anymore. Please use 'http-request return status 200 if {{ src {text} }}' instead."
    );
    let modern = format!("`http-request return status 200 if {{ src {text} }}`");
    let Some(word) = line.expect(message.clone()) else { return };
    match value::network(&word.text) {
        Some(network) => section.settings.monitor_net = Some(network),
        None => {
            return line
                .out
                .push(Diagnostic::error(code::BAD_VALUE, word.span, message).label("not an address with a mask"));
        }
    }
    warn(line, message, &modern, Place::Parsing);
    tools.support.statement(row, row.name, line.keyword, line.out);
}

/// `listen NAME ADDRESS:PORT`: the address is a listener.
pub(super) fn section_address(word: &Word, section: &mut Section, tools: &mut Tools, out: &mut Diagnostics) {
    let message = "please use the 'bind' keyword for listening addresses.";
    if section.kind == SectionKind::Backend {
        return out
            .push(Diagnostic::error(code::EXTRA_ARGUMENT, word.span, message).label("a backend does not listen"));
    }
    let before = out.count(shared_config::diagnostic::Severity::Error);
    listen_on(word, section, tools, out);
    if out.count(shared_config::diagnostic::Severity::Error) == before {
        out.push(
            Diagnostic::warning(code::LEGACY, word.span, message)
                .label("works, but current versions of haproxy refuse it")
                .help(format!("write `bind {}` on a line of its own", word.text)),
        );
    }
}

fn listen_on(word: &Word, section: &mut Section, tools: &mut Tools, out: &mut Diagnostics) {
    let mut line = Line {
        words: Words::new(&[], word.span),
        name: section.kind.name(),
        keyword: word.span,
        negated: false,
        section: section.kind,
        out,
    };
    let addresses = bind::addresses(&mut line, word, "'bind' : ", Accept::BIND, &mut tools.resolver);
    let binds = addresses.into_iter().map(|address| BindDraft {
        bind: Bind::plain(address, &*word.text),
        span: word.span,
        guid: None,
        mux: None,
        has_certificate: false,
    });
    section.binds.extend(binds);
}

/// `listen ADDRESS:PORT` without a name: 1.x took the address for the name and listened nowhere, which cannot have been
/// meant.
pub(super) fn nameless_listen(section: &mut Section, name: &Word, tools: &mut Tools, out: &mut Diagnostics) {
    if section.kind == SectionKind::Backend || !section.binds.is_empty() {
        return;
    }
    if !name.text.contains(':') || tools.resolver.parse(&name.text, Accept::BIND).is_err() {
        return;
    }
    listen_on(name, section, tools, out);
    let message = format!(
        "{} '{}' has no 'bind' directive. Please declare it as a backend if this was intended.",
        section.word(),
        section.name
    );
    out.push(
        Diagnostic::warning(code::LEGACY, name.span, message)
            .whole_file()
            .label("taken as the address to listen on")
            .help(format!("write `{} NAME` and `bind {}` on a line of its own", section.kind.name(), name.text)),
    );
}
