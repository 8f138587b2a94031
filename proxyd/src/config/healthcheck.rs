//! `healthcheck` sections: checks that servers of any backend refer to by name (configuration.txt of 3.4, 12.9).

use super::draft::{CheckDraft, CheckOption};
use super::line::{Line, code};
use super::model::Mode;
use super::option::Negation;
use super::proxy::{self, Tools};
use super::rules;
use super::sections::{self, Others};
use super::{check, check_rule};
use shared_config::diagnostic::{Diagnostic, Diagnostics};
use shared_config::haproxy::ast;
use shared_config::haproxy::keyword::{self, SectionKind};
use shared_config::words::Words;

/// A section as it is read.
#[derive(Debug)]
pub(super) struct Draft {
    pub name: String,
    pub check: CheckDraft,
}

impl Draft {
    /// What its rules need to know.
    pub(super) fn section<'a>(&self, name: &'a str) -> rules::Section<'a> {
        rules::Section {
            kind: SectionKind::Healthcheck,
            name,
            mode: if matches!(self.check.kind, CheckOption::Http) { Mode::Http } else { Mode::Tcp },
            frontend: None,
            backend: None,
            request_captures: 0,
            response_captures: 0,
        }
    }
}

/// Lowers one.
pub(super) fn lower(ast: &ast::Section, others: &mut Others, tools: &mut Tools, out: &mut Diagnostics) {
    let kind = SectionKind::Healthcheck;
    let Some(name) = ast.name() else {
        let message = "'healthcheck' expects a <name> as argument.";
        out.push(Diagnostic::error(code::MISSING_ARGUMENT, ast.head.span, message).label("the name is missing"));
        return;
    };
    sections::duplicate(name, kind, others, out);
    let (mut check, mut typed) = (CheckDraft::default(), false);
    for statement in &ast.statements {
        let mut words = statement.words();
        let Some(first) = words.peek() else { continue };
        // The rules are those of backends.
        let as_rule = matches!(first.as_str(), "http-check" | "tcp-check");
        let table = if as_rule { SectionKind::Backend } else { kind };
        let Some(row) = keyword::find_statement(table, words.clone().rest()) else {
            if as_rule {
                let ruleset = if first.as_str() == "http-check" { "http-check" } else { "tcp-check" };
                let keyword = Words::next(&mut words).map_or(ast.head.span, |word| word.span);
                check::unknown(&mut proxy::line(words, ruleset, keyword, kind, Negation::None, out), ruleset);
            } else {
                sections::unknown(first, kind, out);
            }
            continue;
        };
        let keyword = (0..row.words()).filter_map(|_| words.next()).fold(first.span, |span, word| span.to(word.span));
        let mut line = proxy::line(words, row.name, keyword, kind, Negation::None, out);
        match row.name {
            "type" => typed |= of_type(&mut line, &mut check, tools),
            name if name.starts_with("tcp-check") => check.tcp_rules.extend(check_rule::written(row, &mut line)),
            _ if check::http_check(&mut line, &mut check) => {}
            _ => check.http_rules.extend(check_rule::written(row, &mut line)),
        }
    }
    if !typed {
        let message = format!("healthcheck '{}' has no 'type'.", name.text);
        out.push(Diagnostic::error(code::MISSING_ARGUMENT, ast.head.span, message).label("write `type httpchk`"));
    }
    others.healthchecks.push(Draft { name: name.text.to_string(), check });
}

/// `type`: what `option` says in a backend. Whether one was named.
fn of_type(line: &mut Line<'_, '_>, check: &mut CheckDraft, tools: &mut Tools) -> bool {
    let Some(word) = line.expect("'type' expects a type of health checks.") else { return false };
    match word.as_str() {
        "httpchk" => check::httpchk(line, check),
        "spop-check" => {
            let _arguments = line.words.rest();
            tools.support.unsupported("type spop-check", word.span, line.out);
        }
        name @ ("tcp-check" | "ssl-hello-chk" | "smtpchk" | "pgsql-check" | "redis-check" | "mysql-check"
        | "ldap-check") => {
            check::protocol(line, name, check);
        }
        other => line.error(code::UNKNOWN_NAME, word.span, format!("unknown type of health checks '{other}'")),
    }
    true
}
