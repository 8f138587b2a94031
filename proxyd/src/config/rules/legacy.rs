//! Rules of haproxy 1.x: `block`, and those that begin with `req` and `rsp`. `reqsetbe` and `reqisetbe` are refused, with what to write
//! instead.

use super::report::{self, code};
use super::{Lowering, is_condition, regex};
use crate::rules::Rule;
use crate::rules::http::{HttpAction, Reply};
use crate::rules::lines::{Lines, Then};
use crate::sample::convert::Replacement;
use crate::sample::prefix_map::Case;
use crate::sample::text::Text;
use shared_config::diagnostic::Diagnostic;
use shared_config::haproxy::keyword::{FetchPlace, FetchPlaces, Keyword, SectionKind, find_statement};
use shared_config::source::encode;
use shared_config::words::{Word, Words};

/// Whether a statement with this first word is one of these.
pub(super) fn takes(first: &str) -> bool {
    let is_old = first.starts_with("req") || first.starts_with("rsp") || matches!(first, "cliexp" | "srvexp");
    is_old && row(first).is_some()
}

fn row(first: &str) -> Option<&'static Keyword> {
    find_statement(SectionKind::Listen, &[first]).filter(|row| row.legacy.is_some())
}

/// What haproxy says of it.
fn message(name: &str, instead: &str) -> String {
    match name {
        "block" => {
            "The 'block' directive is not supported anymore since HAProxy 2.1. Use 'http-request deny' which uses \
                    the exact same syntax."
                .to_owned()
        }
        "reqpass" => format!("The '{name}' not supported anymore since HAProxy 2.1."),
        "reqipass" => format!("The '{name}' directive is not supported anymore since HAProxy 2.1."),
        "reqdeny" => format!("The '{name}' not supported anymore since HAProxy 2.1. Use {instead} instead."),
        "rspdel" => format!("The '{name}' directive is not supported anymore since HAProxy 2.1. Use {instead} ."),
        "reqirep" => format!(
            "The '{name}' directive is not supported anymore since HAProxy 2.1. Use 'http-request replace-header' instead."
        ),
        _ => format!("The '{name}' directive is not supported anymore since HAProxy 2.1. Use {instead} instead."),
    }
}

impl Lowering<'_> {
    /// One of these statements.
    pub(super) fn legacy(&mut self, keyword: &Word, words: &mut Words<'_>) {
        match keyword.as_str() {
            "block" => self.block(keyword, words),
            "reqadd" | "rspadd" => self.add(keyword, words),
            "reqsetbe" | "reqisetbe" => {
                let _rest = words.rest();
                self.warn_legacy(keyword);
                report::unsupported(self.out, &keyword.text, keyword.span);
            }
            _ => self.lines(keyword, words),
        }
    }

    /// `reqrep SEARCH REPLACEMENT`, `rspdel SEARCH` and their kin: what is searched for is looked for in whole lines. With an `i` behind
    /// the first three letters, capitals do not matter.
    fn lines(&mut self, keyword: &Word, words: &mut Words<'_>) {
        self.warn_legacy(keyword);
        let name = keyword.as_str();
        let (request, what) = match name {
            "cliexp" => (true, "rep"),
            "srvexp" => (false, "rep"),
            _ => (name.starts_with("req"), name.get(3..).unwrap_or_default()),
        };
        let (case, what) = what.strip_prefix('i').map_or((Case::Exact, what), |what| (Case::Ignored, what));
        let (Some(search), replacement) = (words.next(), if what == "rep" { words.next() } else { None }) else {
            let message = format!("'{name}' expects <search> as an argument.");
            return self.error(code::MISSING_ARGUMENT, words.here(), message);
        };
        let regex = match regex::compile(&search.text, case) {
            Ok(regex) => regex,
            Err(message) => return self.error(code::BAD_VALUE, search.span, format!("'{name}' : {message}")),
        };
        let then = match (what, replacement) {
            ("rep", Some(text)) => Then::Replace(Replacement::new(&encode(&text.text))),
            ("rep", None) => {
                let message = format!("'{name}' expects <search> and <string> as arguments.");
                return self.error(code::MISSING_ARGUMENT, words.here(), message);
            }
            ("del", _) => Then::Delete,
            ("deny", _) => Then::Act(Box::new(HttpAction::Deny(Reply::error(if request { 403 } else { 502 })))),
            ("tarpit", _) => Then::Act(Box::new(HttpAction::Tarpit(Reply::error(500)))),
            // `pass` and `allow`
            _ => Then::Act(Box::new(HttpAction::Allow)),
        };
        let places = self.old_places(request);
        let before = format!("error detected while parsing a '{name}' condition : ");
        let conditional = !words.is_empty();
        let Ok(condition) = self.condition(words, &before, places, None) else { return };
        if what == "pass" {
            if conditional {
                report::unsupported(self.out, &format!("{name} … if"), keyword.span);
            }
            return self.passed_lines.push(regex);
        }
        let passed = if request { self.passed_lines.as_slice().into() } else { Box::default() };
        let action = HttpAction::Lines(Box::new(Lines { regex, passed, then }));
        let list = if request { &mut self.rules.http_request } else { &mut self.rules.http_response };
        list.push(Rule { written: None, condition, action });
    }

    /// Where such a rule looks at messages.
    fn old_places(&self, request: bool) -> FetchPlaces {
        let (frontend, backend) = if request {
            (FetchPlace::FrontendHttpRequestHeader, FetchPlace::BackendHttpRequestHeader)
        } else {
            (FetchPlace::FrontendHttpResponseHeader, FetchPlace::BackendHttpResponseHeader)
        };
        self.section.places(frontend, backend)
    }

    fn warn_legacy(&mut self, keyword: &Word) {
        let instead = row(&keyword.text).and_then(|row| row.legacy).unwrap_or_default();
        self.out.push(
            Diagnostic::warning(code::LEGACY, keyword.span, message(&keyword.text, instead))
                .label("current versions of haproxy refuse it")
                .help(format!("use {instead}")),
        );
    }

    /// `block if …` is `http-request deny if …` before all other rules.
    fn block(&mut self, keyword: &Word, words: &mut Words<'_>) {
        self.warn_legacy(keyword);
        if !words.peek().is_some_and(is_condition) {
            let at = words.peek().map_or(words.here(), |word| word.span);
            let message = "'block' requires either 'if' or 'unless' followed by a condition.";
            return self.error(code::MISSING_ARGUMENT, at, message);
        }
        let places = self.section.places(FetchPlace::FrontendHttpRequestHeader, FetchPlace::BackendHttpRequestHeader);
        let before = "error detected while parsing a 'block' condition : ";
        let Ok(condition) = self.condition(words, before, places, None) else { return };
        let is_deny = |rule: &Rule<HttpAction>| matches!(rule.action, HttpAction::Deny(_));
        let after_other_blocks = self.rules.http_request.iter().take_while(|rule| is_deny(rule)).count();
        let action = HttpAction::Deny(Reply::error(403));
        self.rules.http_request.insert(after_other_blocks, Rule { written: None, condition, action });
    }

    /// `reqadd "Name: value" [if …]`
    fn add(&mut self, keyword: &Word, words: &mut Words<'_>) {
        self.warn_legacy(keyword);
        let request = keyword.as_str() == "reqadd";
        let Some(line) = words.next() else {
            let message = format!("'{}' expects <header> as an argument.", keyword.text);
            return self.error(code::MISSING_ARGUMENT, words.here(), message);
        };
        let Some((name, value)) = line.text.split_once(':') else {
            let message = format!("'{}' : '{}' is not a header line.", keyword.text, line.text);
            return self.out.push(Diagnostic::error(code::BAD_VALUE, line.span, message).help("write `Name:\\ value`"));
        };
        let places = self.old_places(request);
        let before = format!("error detected while parsing a '{}' condition : ", keyword.text);
        let Ok(condition) = self.condition(words, &before, places, None) else { return };
        let name = encode(&name.trim().to_ascii_lowercase()).into();
        let action = HttpAction::AddHeader(name, Text::literal(encode(value.trim())));
        let list = if request { &mut self.rules.http_request } else { &mut self.rules.http_response };
        list.push(Rule { written: None, condition, action });
    }
}
