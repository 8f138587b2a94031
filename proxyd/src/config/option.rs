//! `option …` of the proxies.

use super::check;
use super::draft::{At, Flag, FormatDraft, Section};
use super::forwarded;
use super::line::{Line, code};
use super::model::{ConnectionMode, ForwardFor, OddNames};
use super::proxy::Tools;
use super::value;
use crate::balance::persist::Redispatch;
use shared_config::diagnostic::{Diagnostic, Place};
use shared_config::haproxy::keyword::{self, Keyword, OPTIONS, Prefix, SectionKind};
use shared_config::source::Span;
use shared_config::suggest;
use shared_config::words::Word;

/// What stands in front of the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Negation {
    /// Nothing.
    None,
    /// `no`.
    No,
    /// `default`.
    Default,
}

/// A statement that begins with `option`.
pub(super) fn option(line: &mut Line<'_, '_>, negation: Negation, section: &mut Section, tools: &mut Tools) {
    let Some(word) = line.words.next() else {
        let at = line.words.here();
        return line.out.push(
            Diagnostic::error(code::MISSING_ARGUMENT, at, "'option' expects an option name.").place(Place::ParsingLine),
        );
    };
    let Some(row) = keyword::find_option(&word.text) else { return unknown(line, word, negation) };
    let name = format!("option {}", row.name);
    let mut line = Line {
        words: line.words.clone(),
        name: &name,
        keyword: line.keyword.to(word.span),
        negated: line.negated,
        section: line.section,
        out: &mut *line.out,
    };
    let line = &mut line;
    if negation != Negation::None && row.prefix == Prefix::Never {
        let message = format!("negation/default is not supported for option '{}'.", row.name);
        return line.out.push(Diagnostic::error(code::BAD_VALUE, word.span, message).place(Place::ParsingLine));
    }
    if !allowed(line, row, section) {
        return;
    }
    if legacy(line, row, word) == Refused::Yes {
        return;
    }
    if negation == Negation::None {
        tools.support.statement(row, &name, line.keyword, line.out);
    }
    if let Some(flag) = Flag::of_option(row.name) {
        match negation {
            Negation::None => section.settings.flags.set(flag, true),
            Negation::No => section.settings.flags.set(flag, false),
            Negation::Default => section.settings.flags.reset(flag),
        }
        return line.end();
    }
    apply(line, row, negation == Negation::None, section);
}

fn apply(line: &mut Line<'_, '_>, row: &'static Keyword, on: bool, section: &mut Section) {
    match row.name {
        "httplog" | "tcplog" | "httpslog" => log_format(line, row.name, section),
        "forwardfor" => forward_for(line, section),
        "originalto" => original_to(line, section),
        "forwarded" if on => forwarded::option(line, section),
        "forwarded" => {
            section.settings.forwarded = None;
            line.end();
        }
        "redispatch" => redispatch(line, on, section),
        "http-keep-alive" | "http-server-close" | "httpclose" | "forceclose" => {
            connection_mode(row.name, on, section);
            line.end();
        }
        "tcpka" => {
            section.settings.flags.set(Flag::ClientKeepAlive, on);
            section.settings.flags.set(Flag::ServerKeepAlive, on);
            line.end();
        }
        "httpchk" => check::httpchk(line, &mut section.settings.check),
        "tcp-check" | "ssl-hello-chk" | "redis-check" | "smtpchk" | "mysql-check" | "pgsql-check" | "ldap-check"
        | "spop-check" => check::protocol(line, row.name, &mut section.settings.check),
        "external-check" => {
            section.settings.external_check.option = Some(line.words.statement());
            check::protocol(line, row.name, &mut section.settings.check);
        }
        "http-restrict-req-hdr-names" => odd_names(line, row.name, &mut section.settings.odd_names),
        // What has no effect yet takes its arguments; more than its arity is refused as haproxy does.
        _ => {
            let max = row.arity.max.map_or(usize::MAX, usize::from);
            (0..max).map_while(|_| line.words.next()).for_each(drop);
            line.end();
        }
    }
}

/// Whether the option may stand in this kind of section; says so where not.
fn allowed(line: &mut Line<'_, '_>, row: &Keyword, section: &Section) -> bool {
    if row.sections.contains(section.kind) {
        return true;
    }
    let message = match (section.kind, row.name) {
        (SectionKind::Backend, "httplog" | "httpslog") => {
            format!("backend '{}' : 'option {}' directive is ignored in backends.", section.name, row.name)
        }
        (SectionKind::Backend, _) => {
            format!("'{}' ignored because backend '{}' has no frontend capability.", row.name, section.name)
        }
        (SectionKind::Defaults, _) => {
            let message = format!("'option {}' not allowed in 'defaults' section.", row.name);
            line.error(code::WRONG_SECTION, line.keyword, message);
            return false;
        }
        _ => format!("'{}' ignored because {} '{}' has no backend capability.", row.name, section.word(), section.name),
    };
    line.out.push(Diagnostic::warning(code::WRONG_SECTION, line.keyword, message).label("means nothing here"));
    false
}

#[derive(PartialEq, Eq)]
enum Refused {
    Yes,
    No,
}

/// Options that current versions refuse work as they did where that makes sense, with one warning.
fn legacy(line: &mut Line<'_, '_>, row: &Keyword, word: &Word) -> Refused {
    let Some(instead) = row.legacy else { return Refused::No };
    let (message, refused) = match row.name {
        "forceclose" => (
            "option 'forceclose' is not supported any more since HAProxy 2.0, please just remove it, or use 'option \
             httpclose' if absolutely needed."
                .to_owned(),
            Refused::No,
        ),
        "http-tunnel" => (
            "option 'http-tunnel' is not supported any more since HAProxy 2.1, please just remove it, it shouldn't be \
             needed."
                .to_owned(),
            Refused::Yes,
        ),
        "http_proxy" => {
            let message = "option 'http_proxy' is not supported any more since HAProxy 2.5. This option stopped working \
                           in HAProxy 1.9 and usually had nasty side effects. It can be more reliably implemented with \
                           combinations of 'http-request set-dst' and 'http-request set-uri', and even 'http-request \
                           do-resolve' if DNS resolution is desired.";
            line.out.push(
                Diagnostic::error(code::LEGACY, word.span, message)
                    .place(Place::ParsingLine)
                    .help(format!("use {instead}")),
            );
            return Refused::Yes;
        }
        "accept-invalid-http-request" | "accept-invalid-http-response" => {
            (format!("option '{}' is deprecated. please use {instead} if absolutely needed.", row.name), Refused::No)
        }
        "transparent" => ("support for option 'transparent' was removed in version 3.5.".to_owned(), Refused::No),
        "http-use-htx" => {
            // 1.9 to 2.x took it; nothing else exists now.
            (format!("option '{}' is always on and not needed any more.", row.name), Refused::Yes)
        }
        _ => (format!("option '{}' is not needed any more.", row.name), Refused::Yes),
    };
    line.out.push(
        Diagnostic::warning(code::LEGACY, word.span, message).place(Place::ParsingLine).help(format!("use {instead}")),
    );
    refused
}

fn unknown(line: &mut Line<'_, '_>, word: &Word, negation: Negation) {
    if negation != Negation::None {
        let message = format!("negation/default is not supported for option '{}'.", word.text);
        return line.out.push(Diagnostic::error(code::UNKNOWN_KEYWORD, word.span, message).place(Place::ParsingLine));
    }
    let nearest = suggest::nearest(&word.text, OPTIONS.iter().map(|row| row.name));
    let hint = nearest.map_or_else(|| ".".to_owned(), |name| format!("; did you mean '{name}' maybe ?"));
    let mut diagnostic =
        Diagnostic::error(code::UNKNOWN_KEYWORD, word.span, format!("unknown option '{}'{hint}", word.text))
            .label("not an option");
    if let Some(nearest) = nearest {
        diagnostic = diagnostic.help(format!("write `option {nearest}`"));
    }
    line.out.push(diagnostic);
}

fn log_format(line: &mut Line<'_, '_>, name: &str, section: &mut Section) {
    if section.kind == SectionKind::Backend {
        let message = format!("backend '{}' : 'option {name}' directive is ignored in backends.", section.name);
        return line.warn(code::IGNORED, line.keyword, message);
    }
    let mut value = match name {
        "tcplog" => FormatDraft::Tcp,
        "httpslog" => FormatDraft::Https,
        _ => FormatDraft::Http,
    };
    if name == "tcplog" && line.take("clf").is_some() {
        value = FormatDraft::TcpClf;
    }
    if name == "httplog"
        && let Some(word) = line.words.next()
    {
        if &*word.text == "clf" {
            value = FormatDraft::HttpClf;
        } else {
            let message = "keyword 'httplog' only supports option 'clf'.";
            return line.error(code::UNKNOWN_NAME, word.span, message);
        }
    }
    line.end();
    set_log_format(line, value, section);
}

/// Sets the format; an earlier one of the same section is overridden with a warning.
pub(super) fn set_log_format(line: &mut Line<'_, '_>, value: FormatDraft, section: &mut Section) {
    let span = line.words.statement();
    if let Some(before) = section.settings.log_format.as_ref().filter(|before| written_after(before.span, section.head))
        && before.value != value
        && section.kind == SectionKind::Defaults
    {
        let message = format!(
            "'{}' overrides previous '{}' in '{}' section.",
            line.name,
            format_name(&before.value),
            section.kind.name()
        );
        line.out.push(
            Diagnostic::warning(code::CONFLICT, line.keyword, message)
                .place(Place::ParsingLine)
                .related(before.span, "set here before"),
        );
    }
    section.settings.log_format = Some(At { value, span });
}

/// Whether a place belongs to the section that this head opens, rather than to the defaults it inherits from.
pub(super) fn written_after(place: Span, head: Span) -> bool {
    place.source == head.source && place.start > head.start
}

fn format_name(format: &FormatDraft) -> &'static str {
    match format {
        FormatDraft::Tcp => "option tcplog",
        FormatDraft::TcpClf => "option tcplog clf",
        FormatDraft::Http => "option httplog",
        FormatDraft::HttpClf => "option httplog clf",
        FormatDraft::Https => "option httpslog",
        FormatDraft::Custom(_) => "log-format",
    }
}

fn connection_mode(name: &str, on: bool, section: &mut Section) {
    let mode = match name {
        "http-keep-alive" => ConnectionMode::KeepAlive,
        "http-server-close" => ConnectionMode::ServerClose,
        _ => ConnectionMode::Close,
    };
    if on {
        section.settings.connection_mode = Some(mode);
    } else if section.settings.connection_mode == Some(mode) {
        section.settings.connection_mode = None;
    }
}

fn forward_for(line: &mut Line<'_, '_>, section: &mut Section) {
    let (mut except, mut header, mut if_none) = (None, "x-forwarded-for".to_owned(), false);
    while let Some(word) = line.words.next() {
        match &*word.text {
            "except" => except = network(line, "option forwardfor"),
            "header" => {
                let missing = "'option forwardfor header' expects <header_name> as argument.";
                if let Some(name) = line.expect(missing) {
                    header = name.text.to_string();
                }
            }
            "if-none" => if_none = true,
            _ => {
                let message = "'option forwardfor' only supports optional values: 'except', 'header' and 'if-none'.";
                return line.error(code::UNKNOWN_NAME, word.span, message);
            }
        }
    }
    section.settings.forward_for =
        Some(At { value: ForwardFor { except, header, if_none }, span: line.words.statement() });
}

fn original_to(line: &mut Line<'_, '_>, section: &mut Section) {
    let (mut except, mut header) = (None, "x-original-to".to_owned());
    while let Some(word) = line.words.next() {
        match &*word.text {
            "except" => except = network(line, "option originalto"),
            "header" => {
                if let Some(name) = line.expect("'option originalto header' expects <header_name> as argument.") {
                    header = name.text.to_string();
                }
            }
            _ => {
                let message = "'option originalto' only supports optional values: 'except' and 'header'.";
                return line.error(code::UNKNOWN_NAME, word.span, message);
            }
        }
    }
    section.settings.original_to =
        Some(At { value: ForwardFor { except, header, if_none: false }, span: line.words.statement() });
}

fn network(line: &mut Line<'_, '_>, option: &str) -> Option<super::model::Network> {
    let message = format!("'{option} except' expects <address>[/mask] as argument.");
    let word = line.expect(message.clone())?;
    let network = value::network(&word.text);
    if network.is_none() {
        line.error(code::BAD_VALUE, word.span, message);
    }
    network
}

fn redispatch(line: &mut Line<'_, '_>, on: bool, section: &mut Section) {
    let interval = match line.words.next() {
        Some(word) => i32::try_from(line.lenient(word)).unwrap_or(0),
        None => -1,
    };
    section.settings.redispatch = on.then_some(Redispatch { interval }).filter(|redispatch| redispatch.interval != 0);
}

fn odd_names(line: &mut Line<'_, '_>, name: &str, names: &mut OddNames) {
    let expected = format!("option '{name}' expects 'preserve', 'reject' or 'delete' option.");
    let Some(word) = line.expect(format!("missing parameter. {expected}")) else { return };
    match &*word.text {
        "preserve" => *names = OddNames::Preserve,
        "reject" => *names = OddNames::Reject,
        "delete" => *names = OddNames::Delete,
        other => line.error(code::UNKNOWN_NAME, word.span, format!("invalid parameter '{other}'. {expected}")),
    }
}
