//! `log-forward` sections.

use super::bind;
use super::draft::LogEntry;
use super::line::{Line, code};
use super::log;
use super::model::{Global, LogForward, LogTarget};
use super::option::Negation;
use super::proxy::{self, Tools};
use super::rules::{self, Names};
use super::sections::{self, Others};
use super::value::Unit;
use crate::log::forward::{DatagramBind, ForwardSettings, HostStrategy};
use crate::proxy::settings::Mode;
use shared_config::diagnostic::{Diagnostic, Diagnostics, Place};
use shared_config::haproxy::ast;
use shared_config::haproxy::keyword::{self, Keyword, SectionKind, Support};
use shared_config::words::Words;
use std::sync::Arc;

/// Connections at a time where no `maxconn` is given.
const MAXCONN_DEFAULT: usize = 10;

/// A section, its `log global` not looked up yet.
#[derive(Debug)]
pub(super) struct Draft {
    settings: ForwardSettings,
    logs: Vec<LogEntry>,
    backlog: Option<u32>,
    rules: Vec<ast::Statement>,
}

impl Draft {
    /// With the `log` lines of the global section, and with what its rules name.
    pub(super) fn complete(&self, global: &Global, names: &Names, out: &mut Diagnostics) -> LogForward {
        let section = rules::Section {
            kind: SectionKind::LogForward,
            name: &self.settings.name,
            mode: Mode::Tcp,
            frontend: None,
            backend: None,
            request_captures: 0,
            response_captures: 0,
        };
        let rules = rules::lower(&section, &[], self.rules.iter().collect(), names, out);
        let mut logs = Vec::new();
        for entry in &self.logs {
            match entry {
                LogEntry::Global => logs.extend(global.logs.iter().cloned()),
                LogEntry::Target(target) => logs.push(LogTarget::clone(target)),
            }
        }
        let mut settings = self.settings.clone();
        for bind in &mut settings.binds {
            bind.backlog = bind.backlog.or(self.backlog);
        }
        for bind in &mut settings.datagrams {
            bind.kernel_buffers = global.tune.kernel_buffers.datagrams;
        }
        LogForward { settings, logs, rules }
    }
}

/// Lowers a section.
pub(super) fn lower(ast: &ast::Section, others: &mut Others, tools: &mut Tools, out: &mut Diagnostics) {
    let Some(name) = ast.name() else {
        let error = Diagnostic::error(code::MISSING_ARGUMENT, ast.head.span, "missing name for ip-forward section.");
        return out.push(error.label("the name is missing"));
    };
    sections::duplicate(name, SectionKind::LogForward, others, out);
    let settings = ForwardSettings {
        name: name.text.to_string(),
        binds: Vec::new(),
        datagrams: Vec::new(),
        maxconn: MAXCONN_DEFAULT,
        client_timeout: None,
        unparsed: false,
        lines_only: false,
        host: HostStrategy::default(),
    };
    let mut draft = Draft { settings, logs: Vec::new(), backlog: None, rules: Vec::new() };
    for statement in &ast.statements {
        let mut words = statement.words();
        let negated = Words::take(&mut words, "no").is_some();
        let Some(first) = words.peek() else { continue };
        let Some(row) = keyword::find_statement(SectionKind::LogForward, words.clone().rest()) else {
            sections::unknown(first, SectionKind::LogForward, out);
            continue;
        };
        if matches!(row.name, "acl" | "tcp-request connection" | "tcp-request session") {
            rule(statement, &mut draft, tools, out);
            continue;
        }
        let keyword = (0..row.words()).filter_map(|_| words.next()).fold(first.span, |span, word| span.to(word.span));
        let negation = if negated { Negation::No } else { Negation::None };
        let mut line = proxy::line(words, row.name, keyword, SectionKind::LogForward, negation, out);
        statement_of(&mut line, row, &mut draft, tools);
    }
    if draft.settings.binds.is_empty() && draft.settings.datagrams.is_empty() {
        let name = &name.text;
        let message =
            format!("frontend '{name}' has no 'bind' directive. Please declare it as a backend if this was intended.");
        out.push(Diagnostic::warning(code::RISKY, ast.head.span, message).whole_file());
    }
    others.forwards.push(draft);
}

/// A rule is lowered once all that it may name is known.
fn rule(statement: &ast::Statement, draft: &mut Draft, tools: &mut Tools, out: &mut Diagnostics) {
    let unable = ["do-log", "expect-netscaler-cip", "expect-proxy"];
    let action = statement.words.get(2).filter(|_| statement.words.first().is_some_and(|word| word.as_str() != "acl"));
    if let Some(action) = action.filter(|action| unable.contains(&action.as_str())) {
        tools.support.unsupported(&format!("{} of a log-forward section", action.text), action.span, out);
    } else {
        draft.rules.push(statement.clone());
    }
}

fn statement_of(line: &mut Line<'_, '_>, row: &'static Keyword, draft: &mut Draft, tools: &mut Tools) {
    let settings = &mut draft.settings;
    match row.name {
        "bind" => {
            let binds = bind::bind(line, &mut tools.resolver, &mut tools.support);
            if binds.iter().any(|draft| draft.bind.accept_proxy || draft.bind.netscaler_magic.is_some()) {
                tools.support.unsupported("PROXY headers in a log-forward section", line.keyword, line.out);
            }
            settings.binds.extend(binds.into_iter().map(|draft| draft.bind));
        }
        "dgram-bind" => settings.datagrams.extend(datagrams(line, tools)),
        "log" => logs(line, &mut draft.logs, tools),
        "maxconn" => {
            if let Some(number) = line.positive("'maxconn' expects an integer argument.") {
                settings.maxconn = number as usize;
            }
        }
        "backlog" => draft.backlog = line.positive("'backlog' expects an integer argument."),
        "timeout client" => {
            let Some(word) = line.expect("missing timeout client value.") else { return };
            let time = line.time_at(word, Unit::Milliseconds, "timeout client", Place::Parsing);
            settings.client_timeout = time.filter(|time| !time.is_zero());
        }
        "option dont-parse-log" => settings.unparsed = !line.negated,
        "option assume-rfc6587-ntf" => settings.lines_only = !line.negated,
        "option host" => {
            let wrong = "'option host' expects one of 'replace', 'fill', 'keep' or 'append'.";
            let Some(word) = line.expect(wrong) else { return };
            settings.host = match &*word.text {
                "replace" => HostStrategy::Replace,
                "fill" => HostStrategy::Fill,
                "keep" => HostStrategy::Keep,
                "append" => HostStrategy::Append,
                _ => return line.error(code::UNKNOWN_NAME, word.span, wrong),
            };
            line.end();
        }
        // It is for whoever reads the file.
        "description" => {}
        other if row.support != Support::Works => tools.support.statement(row, other, line.keyword, line.out),
        other => {
            let message = format!("unknown keyword '{other}' in log-forward section.");
            line.error(code::UNKNOWN_KEYWORD, line.keyword, message);
        }
    }
}

fn datagrams(line: &mut Line<'_, '_>, tools: &mut Tools) -> Vec<DatagramBind> {
    let missing = "'dgram-bind' expects {<path>|[addr1]:port1[-end1]}{,[addr]:port[-end]}... as arguments.";
    let Some(word) = line.expect(missing) else { return Vec::new() };
    let prefix = format!("'dgram-bind {}' : ", word.text);
    let addresses = bind::addresses(line, word, &prefix, bind::DATAGRAM, &mut tools.resolver);
    let settings = bind::params(line, &prefix, &mut tools.support);
    let text = word.text.to_string();
    let bind = |address| DatagramBind {
        kernel_buffers: crate::proxy::settings::SocketBuffers::default(),
        address,
        interface: settings.interface.clone(),
        transparent: settings.transparent,
        text: text.clone(),
    };
    addresses.into_iter().map(bind).collect()
}

fn logs(line: &mut Line<'_, '_>, logs: &mut Vec<LogEntry>, tools: &mut Tools) {
    if line.negated {
        logs.clear();
        if let Some(word) = line.words.next() {
            line.error(code::EXTRA_ARGUMENT, word.span, "log : 'no log' does not expect arguments");
        }
    } else if line.words.clone().rest().len() == 1 && line.take("global").is_some() {
        logs.push(LogEntry::Global);
    } else if let Some(target) = log::target(line, false, tools) {
        logs.push(LogEntry::Target(Arc::new(target)));
    }
}
