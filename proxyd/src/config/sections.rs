//! The sections that are neither `global` nor proxies nor userlists. All but `resolvers` are checked and serve nothing yet: `peers`, `mailers`, `cache`, `program` and
//! their like. What other sections refer to is kept: names, and the error files of `http-errors`.

use super::address::{self, Accept};
use super::healthcheck;
use super::line::{Line, code};
use super::log_forward;
use super::log_profile;
use super::model::ErrorFile;
use super::option::Negation;
use super::proxy::{self, Tools};
use super::resolvers;
use super::settings::read_error_file;
use super::stick;
use super::value::{self, Unit};
use crate::log::ring::RingSettings;
use shared_config::diagnostic::{Diagnostic, Diagnostics, Place};
use shared_config::haproxy::ast;
use shared_config::haproxy::keyword::{self, Keyword, SectionKind};
use shared_config::source::Span;
use shared_config::suggest;
use shared_config::words::{Word, Words};
use std::collections::HashMap;
use std::sync::Arc;

/// What the proxies may refer to.
#[derive(Debug, Default)]
pub(super) struct Others {
    pub resolvers: Vec<crate::resolvers::Settings>,
    pub rings: Vec<RingSettings>,
    pub forwards: Vec<log_forward::Draft>,
    pub profiles: Vec<log_profile::Draft>,
    pub healthchecks: Vec<healthcheck::Draft>,
    pub mailers: HashMap<String, Span>,
    pub http_errors: HashMap<String, Vec<Arc<ErrorFile>>>,
    /// `peers/table`
    pub peer_tables: Vec<stick::Draft>,
    pub seen: HashMap<(SectionKind, String), Span>,
}

/// Lowers a section that is neither `global` nor a proxy nor a userlist.
pub(super) fn lower(
    ast: &ast::Section,
    kind: SectionKind,
    others: &mut Others,
    tools: &mut Tools,
    out: &mut Diagnostics,
) {
    let name = ast.name();
    let text = name.map_or("", |word| &*word.text).to_owned();
    match name {
        None if !matches!(kind, SectionKind::Traces | SectionKind::CrtStore) => {
            let article = if kind == SectionKind::Cache { " argument" } else { " as argument." };
            let message = format!("'{}' expects a <name>{article}", kind.name());
            out.push(Diagnostic::error(code::MISSING_ARGUMENT, ast.head.span, message).label("the name is missing"));
        }
        None => {}
        Some(word) => duplicate(word, kind, others, out),
    }
    report(kind, ast.head.span, tools, out);
    let mut errors = Vec::new();
    let mut has_size = false;
    let mut resolvers = (kind == SectionKind::Resolvers).then(|| resolvers::Draft::new(&text));
    for statement in &ast.statements {
        let mut words = statement.words();
        let negated = Words::take(&mut words, "no").is_some();
        let Some(first) = words.peek() else { continue };
        let rest = words.clone().rest();
        let Some(row) = keyword::find_statement(kind, rest) else {
            unknown(first, kind, out);
            continue;
        };
        let keyword = (0..row.words()).filter_map(|_| words.next()).fold(first.span, |span, word| span.to(word.span));
        let negation = if negated { Negation::No } else { Negation::None };
        has_size |= row.name == "total-max-size";
        let mut line = proxy::line(words, row.name, keyword, kind, negation, out);
        if row.name == "table"
            && let Some(table) = line.words.next()
        {
            others.peer_tables.extend(stick::table(&mut line, format!("{text}/{}", table.text), tools));
            continue;
        }
        match &mut resolvers {
            Some(draft) => draft.read(&mut line, row, tools),
            None => check(&mut line, row, tools, &mut errors),
        }
    }
    others.resolvers.extend(resolvers.map(|draft| draft.finish(ast.head.span, out)));
    match kind {
        SectionKind::Cache if !has_size && !text.is_empty() => {
            let message = format!("Size not specified for cache '{text}'");
            out.push(Diagnostic::error(code::MISSING_ARGUMENT, ast.head.span, message).whole_file());
        }
        SectionKind::HttpErrors => drop(others.http_errors.insert(text, errors)),
        SectionKind::Mailers => drop(others.mailers.insert(text, ast.head.span)),
        _ => {}
    }
}

pub(super) fn duplicate(name: &Word, kind: SectionKind, others: &mut Others, out: &mut Diagnostics) {
    let key = (kind, name.text.to_string());
    match others.seen.get(&key) {
        Some(&first) if kind != SectionKind::Traces => {
            let message = format!("'{}' section '{}' was already defined.", kind.name(), name.text);
            out.push(Diagnostic::error(code::DUPLICATE, name.span, message).related(first, "defined here first"));
        }
        _ => drop(others.seen.insert(key, name.span)),
    }
}

/// Whoever refers to such a section is told what does not work; the section alone is harmless, unless it listens.
fn report(kind: SectionKind, at: Span, tools: &mut Tools, out: &mut Diagnostics) {
    match kind {
        SectionKind::HttpErrors | SectionKind::Resolvers => {}
        _ => tools.support.no_effect(&format!("section {}", kind.name()), at, out),
    }
}

pub(super) fn unknown(first: &Word, kind: SectionKind, out: &mut Diagnostics) {
    let nearest = suggest::nearest(
        &first.text,
        keyword::SECTION.iter().filter(|row| row.sections.contains(kind)).map(|row| row.name),
    );
    let message = match kind {
        SectionKind::Ring => format!("unknown statement '{}'.", first.text),
        SectionKind::LogForward => format!("unknown keyword '{}' in log-forward section.", first.text),
        _ => format!("unknown keyword '{}' in '{}' section", first.text, kind.name()),
    };
    let mut diagnostic = Diagnostic::error(code::UNKNOWN_KEYWORD, first.span, message).label("not known here");
    if let Some(nearest) = nearest {
        diagnostic = diagnostic.help(format!("write `{nearest}`"));
    }
    let place =
        if matches!(kind, SectionKind::Cache | SectionKind::FcgiApp) { Place::ParsingLine } else { Place::Parsing };
    out.push(diagnostic.place(place));
}

/// The values that haproxy refuses.
fn check(line: &mut Line<'_, '_>, row: &'static Keyword, tools: &mut Tools, errors: &mut Vec<Arc<ErrorFile>>) {
    match (line.section, row.name) {
        (SectionKind::HttpErrors, "errorfile") => errors.extend(read_error_file(line, tools.bufsize).map(Arc::new)),
        (SectionKind::Mailers, "mailer") => target(line, "mailer", tools),
        (_, name) if name.starts_with("timeout ") => {
            if let Some(word) = line.expect(format!("'{name}' expects <time> as argument.")) {
                line.time_at(word, Unit::Milliseconds, name, Place::ParsingLine);
            }
        }
        (SectionKind::Cache, "total-max-size" | "max-age" | "max-object-size") => {
            if let Some(word) = line.words.next()
                && !value::leading_integer(&word.text).1.is_empty()
            {
                let message = format!("{} wrong value '{}'", row.name, word.text);
                line.out.push(Diagnostic::error(code::BAD_VALUE, word.span, message).place(Place::ParsingLine));
            }
        }
        _ if usize::from(row.arity.min) > line.words.clone().rest().len() => {
            let message = format!("'{}' expects {} more.", row.name, arguments(row.arity.min));
            line.out.push(Diagnostic::error(code::MISSING_ARGUMENT, line.words.here(), message));
        }
        _ => {}
    }
}

fn arguments(count: u8) -> String {
    if count == 1 { "an argument".to_owned() } else { format!("{count} arguments") }
}

/// A name and an address with a port.
fn target(line: &mut Line<'_, '_>, what: &str, tools: &mut Tools) {
    let missing = format!("'{what}' expects <name> and <addr>[:<port>] as arguments.");
    let (Some(name), Some(word)) = (line.words.next(), line.words.next()) else {
        let here = line.words.here();
        return line.error(code::MISSING_ARGUMENT, here, missing);
    };
    let accept = Accept { datagram: true, ..address::TARGET };
    if let Err(message) = tools.resolver.parse(&word.text, accept).and_then(|address| match address.host {
        address::Host::Any | address::Host::Ip(_) | address::Host::Name(_) => {
            tools.resolver.ip(&address, &word.text).map(drop)
        }
        _ => Ok(()),
    }) {
        line.error(code::BAD_VALUE, word.span, format!("'{what} {}' : {message}", name.text));
    }
}
