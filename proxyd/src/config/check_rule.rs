//! `http-check` and `tcp-check` rules: kept as written until all names are known, as their texts and expressions may use any.

use super::draft::{CheckDraft, CheckRule};
use super::line::{Line, code};
use super::rules::{self, Names, regex};
use super::support::Support;
use crate::health::CheckStatus;
use crate::health::script::{
    ConnectStep, Expect, ExpectPattern, HeaderPattern, HttpSend, HttpStep, Report, TcpStep, Wanted,
};
use crate::rules::effect::Effect;
use crate::sample::Expression;
use crate::sample::prefix_map::Case;
use crate::sample::regex::Regex;
use crate::sample::text::Text;
use shared_config::diagnostic::{Diagnostic, Diagnostics};
use shared_config::haproxy::keyword::{Keyword, SectionKind};
use shared_config::source::{Span, encode};
use shared_config::words::{Word, Words};
use std::collections::HashSet;
use std::net::SocketAddr;

/// A rule as it stands there, its keyword already taken.
pub(super) fn written(row: &'static Keyword, line: &mut Line<'_, '_>) -> Option<CheckRule> {
    let action = line.words.last_taken()?.clone();
    let statement = line.words.statement();
    Some(CheckRule { name: row.name, action, words: line.words.rest().into(), statement })
}

/// What surrounds the rules of a section.
pub(super) struct Surroundings<'a> {
    /// The section.
    pub section: rules::Section<'a>,
    /// All names.
    pub names: &'a Names,
    /// Who has been told what does not work.
    pub support: &'a mut Support,
    /// The rules that have been looked at: an inherited one is wrong once.
    pub seen: &'a mut HashSet<Span>,
    /// Where problems go.
    pub out: &'a mut Diagnostics,
}

/// Makes steps of the rules.
#[expect(clippy::redundant_closure_for_method_calls, reason = "the methods themselves are of one lifetime each")]
pub(super) fn lower(check: &mut CheckDraft, around: &mut Surroundings<'_>) {
    check.http_steps = around.steps(&check.http_rules, |reader| reader.http());
    check.tcp_steps = around.steps(&check.tcp_rules, |reader| reader.tcp());
    let firsts = [
        (&check.http_rules, check.http_steps.iter().position(|step| matches!(step, HttpStep::Connect(_)))),
        (&check.tcp_rules, check.tcp_steps.iter().position(|step| matches!(step, TcpStep::Connect(_)))),
    ];
    for (rules, connect) in firsts {
        around.warn_order(rules, connect);
    }
}

impl Surroundings<'_> {
    fn steps<S>(&mut self, rules: &[CheckRule], read: fn(&mut Reader<'_, '_>) -> Option<S>) -> Vec<S> {
        let mut steps = Vec::with_capacity(rules.len());
        for rule in rules {
            let mut told = Diagnostics::default();
            let out = if self.seen.insert(rule.statement) { &mut *self.out } else { &mut told };
            let line = Line {
                words: Words::new(&rule.words, rule.statement),
                name: rule.name,
                keyword: rule.action.span,
                negated: false,
                section: self.section.kind,
                out,
            };
            let (section, names, support) = (&self.section, self.names, &mut *self.support);
            steps.extend(read(&mut Reader { line, action: &rule.action, section, names, support }));
        }
        steps
    }

    /// Where a connection is written, one comes first.
    fn warn_order(&mut self, rules: &[CheckRule], connect: Option<usize>) {
        let may_precede = |rule: &CheckRule| {
            ["comment", "set-var", "set-var-fmt", "unset-var"].iter().any(|name| rule.name.ends_with(name))
        };
        let first = rules.iter().position(|rule| !may_precede(rule));
        let (Some(first), Some(_)) = (first.and_then(|at| rules.get(at)), connect) else { return };
        let Some(rule) = rules.iter().find(|rule| rule.name.ends_with("connect")) else { return };
        if first.name.ends_with("connect") || self.section.kind == SectionKind::Defaults {
            return;
        }
        let message = format!(
            "'{}' : first step MUST also be a 'connect', optionally preceded by a 'set-var', an 'unset-var' or a 'comment', when \
             there is a 'connect' step in the tcp-check ruleset.",
            rule.name
        );
        self.out
            .push(Diagnostic::error(code::CONFLICT, rule.statement, message).related(first.statement, "comes first"));
    }
}

/// One rule while it is read.
struct Reader<'a, 'd> {
    line: Line<'a, 'd>,
    action: &'a Word,
    section: &'a rules::Section<'a>,
    names: &'a Names,
    support: &'a mut Support,
}

impl Reader<'_, '_> {
    fn http(&mut self) -> Option<HttpStep> {
        Some(match self.line.name {
            "http-check send" => HttpStep::Send(self.send()?),
            "http-check expect" => HttpStep::Expect(self.expect()?),
            "http-check connect" => HttpStep::Connect(self.connect()),
            "http-check comment" => HttpStep::Comment(self.comment()?),
            _ => HttpStep::Variable(self.variable()?),
        })
    }

    fn tcp(&mut self) -> Option<TcpStep> {
        let name = self.line.name;
        let what = name.strip_prefix("tcp-check ").unwrap_or(name);
        let step = match what {
            "connect" => return Some(TcpStep::Connect(self.connect())),
            "expect" => return self.expect().map(TcpStep::Expect),
            "comment" => return self.comment().map(TcpStep::Comment),
            "send" => {
                let word = self.line.expect("'tcp-check send' : 'string' expects a send as argument.")?;
                TcpStep::Send(encode(&word.text))
            }
            "send-binary" => {
                let word = self.line.expect("'tcp-check send-binary' : 'binary' expects a send as argument.")?;
                TcpStep::Send(self.hexadecimal(word)?)
            }
            "send-lf" | "send-binary-lf" => {
                let word = self.line.expect(format!("'{name}' : 'string' expects a {what} as argument."))?;
                let text = self.format(word)?;
                if what == "send-lf" { TcpStep::SendText(text) } else { TcpStep::SendDigits(text) }
            }
            _ => return self.variable().map(TcpStep::Variable),
        };
        // It is told nowhere, as a send does not fail by itself.
        while let Some(word) = self.line.words.next() {
            if &*word.text == "comment" {
                self.line.expect(format!("'{name}' : 'comment' expects a string as argument."))?;
            } else {
                let message = format!("'{name}' : expects 'comment' but got '{}' as argument.", word.text);
                self.line.error(code::EXTRA_ARGUMENT, word.span, message);
                return None;
            }
        }
        Some(step)
    }

    /// A text, worded as haproxy words what is wrong in most of them.
    fn format(&mut self, word: &Word) -> Option<Text> {
        let before = format!("'{}' : '{}' invalid log-format string : ", self.line.name, word.text);
        rules::check_text(self.section, word, &before, self.names, self.line.out)
    }

    /// An expression for what is named.
    fn expression(&mut self, what: &str) -> Option<Expression> {
        let before = format!("'{}' : error detected while parsing {what} expression : ", self.line.name);
        rules::check_expression(self.section, &mut self.line.words, &before, self.names, self.line.out)
    }

    /// `set-var`, `set-var-fmt`, `unset-var`.
    fn variable(&mut self) -> Option<Effect> {
        let name = self.line.name.split(' ').next_back().unwrap_or_default();
        let at =
            rules::Variable { name, action: self.action, before: self.line.name.split(' ').next().unwrap_or_default() };
        rules::check_variable(self.section, &at, &mut self.line.words, self.names, self.line.out)
    }

    fn comment(&mut self) -> Option<String> {
        let missing = format!("'{}' : expects a string as argument.", self.line.name);
        Some(self.line.expect(missing)?.text.to_string())
    }

    fn send(&mut self) -> Option<HttpSend> {
        // What is not said here is taken from `option httpchk` once the section is complete.
        let mut send =
            HttpSend { method: String::new(), uri: Text::default(), version: String::new(), ..HttpSend::default() };
        while let Some(word) = self.line.words.next() {
            let name = &*word.text;
            let missing = || format!("'http-check send' : '{name}' expects a string as argument.");
            match name {
                "meth" => send.method = self.line.expect(missing())?.text.to_string(),
                "uri" => send.uri = Text::literal(encode(&self.line.expect(missing())?.text)),
                "ver" => send.version = self.line.expect(missing())?.text.to_string(),
                "body" => send.body = Some(Text::literal(encode(&self.line.expect(missing())?.text))),
                "hdr" => {
                    let missing = "'http-check send' : 'hdr' expects a name and a value as parameter.";
                    let field = self.line.expect(missing)?;
                    let value = self.line.expect(missing)?;
                    let before = "'http-check send' : ";
                    let value = rules::check_text(self.section, value, before, self.names, self.line.out)?;
                    send.headers.push((field.text.to_string(), value));
                }
                "uri-lf" => {
                    let word = self.line.expect(missing())?;
                    send.uri = self.format(word)?;
                }
                "body-lf" => {
                    let word = self.line.expect(missing())?;
                    send.body = Some(self.format(word)?);
                }
                // A send does not fail by itself.
                "comment" => drop(self.line.expect(missing())?),
                _ => {
                    let message = format!(
                        "'http-check send' : expects 'comment', 'meth', 'uri', 'uri-lf', 'ver', 'hdr', 'body' or \
                         'body-lf' but got '{name}' as argument."
                    );
                    self.line.error(code::UNKNOWN_NAME, word.span, message);
                    return None;
                }
            }
        }
        Some(send)
    }

    fn connect(&mut self) -> ConnectStep {
        let mut step = ConnectStep::default();
        let what = self.line.name;
        while let Some(word) = self.line.words.next() {
            match &*word.text {
                "default" => step.as_server = true,
                "linger" => step.linger = true,
                "send-proxy" => step.send_proxy = true,
                "via-socks4" => step.via_socks4 = true,
                "port" => self.connect_port(&mut step),
                "comment" => {
                    step.comment = self
                        .line
                        .expect(format!("'{what}' : 'comment' expects a string as argument."))
                        .map(|word| word.text.to_string());
                }
                "addr" => self.connect_address(&mut step),
                "ssl" | "sni" | "alpn" | "proto" => {
                    self.support.unsupported(&format!("{what} {}", word.text), word.span, self.line.out);
                    if &*word.text != "ssl" {
                        let _argument = self.line.words.next();
                    }
                }
                other => {
                    let message = format!(
                        "'{what}' : expects 'comment', 'port', 'addr', 'send-proxy'{} but got '{other}' as argument.",
                        ", 'ssl', 'sni', 'alpn', 'via-socks4', 'linger', 'default'"
                    );
                    self.line.error(code::UNKNOWN_NAME, word.span, message);
                    return step;
                }
            }
        }
        step
    }

    /// `port NUMBER`, or an expression for it.
    fn connect_port(&mut self, step: &mut ConnectStep) {
        let what = self.line.name;
        let Some(word) = self.line.words.peek() else {
            self.line.expect(format!("'{what}' : 'port' expects a port number or a sample expression as argument."));
            return;
        };
        if !word.text.starts_with(|first: char| first.is_ascii_digit()) {
            step.port_from = self.expression("port");
            return;
        }
        let _number = self.line.words.next();
        step.port = word.text.parse().ok().filter(|port| *port > 0);
        if step.port.is_none() {
            let message = format!(
                "'{what}' : expects a valid TCP port (from range 1 to 65535) or a sample expression, got {}.",
                word.text
            );
            self.line.error(code::BAD_VALUE, word.span, message);
        }
    }

    /// `addr IP[:PORT]`.
    fn connect_address(&mut self, step: &mut ConnectStep) {
        let what = self.line.name;
        let Some(word) = self.line.expect(format!("'{what}' : expects an address as argument.")) else { return };
        if let Ok(address) = word.text.parse::<SocketAddr>() {
            step.address = Some(address.ip());
            step.port = step.port.or(Some(address.port()));
        } else if let Ok(ip) = word.text.parse() {
            step.address = Some(ip);
        } else {
            let message = format!("'{what}' : could not resolve address '{}'.", word.text);
            self.line.error(code::BAD_VALUE, word.span, message);
        }
    }

    fn expect(&mut self) -> Option<Expect> {
        let what = self.line.name;
        let mut found: Option<(bool, ExpectPattern)> = None;
        let (mut min_recv, mut comment, mut report) = (None, None, Report::default());
        while let Some(word) = self.line.words.next() {
            let (negate, kind) = match word.text.strip_prefix('!') {
                // `! string` with a space is the same.
                Some("") => {
                    let missing = format!("'{what}' : expects at least a matching pattern as arguments.");
                    (true, self.line.expect(missing)?.as_str())
                }
                Some(kind) => (true, kind),
                None => (false, &*word.text),
            };
            let missing = || format!("'{what}' : '{kind}' expects a string as argument.");
            match kind {
                "min-recv" => {
                    let number = self.line.integer(format!("'{what}' : 'min-recv' expects a integer as argument."));
                    min_recv = number.and_then(|number| u32::try_from(number).ok());
                }
                "comment" => comment = Some(self.line.expect(missing())?.text.to_string()),
                "ok-status" | "error-status" | "tout-status" => {
                    let word = self.line.expect(missing())?;
                    self.status(kind, word, &mut report)?;
                }
                "on-success" | "on-error" => {
                    let word = self.line.expect(missing())?;
                    let text = Some(self.format(word)?);
                    *(if kind == "on-success" { &mut report.on_success } else { &mut report.on_error }) = text;
                }
                "status-code" if self.line.words.is_empty() => {
                    self.line.expect(format!("'{what}' : 'status-code' expects an expression as argument."))?;
                }
                "status-code" => report.code = Some(self.expression("status-code")?),
                _ => {
                    let pattern = self.pattern(word, kind)?;
                    if found.is_some() {
                        let message = format!("'{what}' : only on pattern expected.");
                        self.line.error(code::EXTRA_ARGUMENT, word.span, message);
                        return None;
                    }
                    found = Some((negate, pattern));
                }
            }
        }
        let Some((negate, pattern)) = found else {
            self.line.expect(format!("'{what}' : expects at least a matching pattern as arguments."));
            return None;
        };
        Some(Expect { negate, pattern, min_recv, comment, report })
    }

    /// `ok-status`, `error-status`, `tout-status`.
    fn status(&mut self, kind: &str, word: &Word, report: &mut Report) -> Option<()> {
        let (place, allowed, words): (_, &[CheckStatus], _) = match kind {
            "ok-status" => (
                &mut report.ok,
                &[CheckStatus::L4Ok, CheckStatus::L6Ok, CheckStatus::L7Ok, CheckStatus::L7OkConditionally],
                "'L4OK', 'L6OK', 'L7OK' or 'L7OKC'",
            ),
            "error-status" => (
                &mut report.error,
                &[
                    CheckStatus::L4Connection,
                    CheckStatus::L6Response,
                    CheckStatus::L7Response,
                    CheckStatus::L7Status,
                    CheckStatus::L7OkConditionally,
                ],
                "'L4CON', 'L6RSP', 'L7RSP' or 'L7STS'",
            ),
            _ => (
                &mut report.timeout,
                &[CheckStatus::L4Timeout, CheckStatus::L6Timeout, CheckStatus::L7Timeout],
                "'L4TOUT', 'L6TOUT' or 'L7TOUT'",
            ),
        };
        *place = allowed.iter().copied().find(|status| status.code() == &*word.text);
        if place.is_none() {
            let message =
                format!("'{}' : '{kind}' only supports {words} status (got '{}').", self.line.name, word.text);
            self.line.error(code::BAD_VALUE, word.span, message);
            return None;
        }
        Some(())
    }

    fn pattern(&mut self, word: &Word, kind: &str) -> Option<ExpectPattern> {
        let what = self.line.name;
        let is_http = what.starts_with("http");
        let missing = format!("'{what}' : '{kind}' expects a <pattern> as argument.");
        Some(match kind {
            "string" => ExpectPattern::Bytes(encode(&self.line.expect(missing)?.text)),
            "rstring" => ExpectPattern::Regex(self.regex(kind, missing)?),
            "string-lf" => {
                let word = self.line.expect(missing)?;
                ExpectPattern::Text(self.format(word)?)
            }
            "status" if is_http => {
                let list = self.line.expect(missing)?;
                ExpectPattern::Status(self.statuses(list)?)
            }
            "rstatus" if is_http => ExpectPattern::StatusRegex(self.regex(kind, missing)?),
            "hdr" | "fhdr" if is_http => ExpectPattern::Header(self.header(kind)?),
            "binary" if !is_http => {
                let bytes = self.line.expect(missing)?;
                ExpectPattern::Bytes(self.hexadecimal(bytes)?)
            }
            "rbinary" if !is_http => ExpectPattern::DigitsRegex(self.regex(kind, missing)?),
            "binary-lf" if !is_http => {
                let word = self.line.expect(missing)?;
                ExpectPattern::Digits(self.format(word)?)
            }
            _ => {
                let list = if is_http {
                    "'only supports min-recv, [!]string', '[!]rstring', '[!]string-lf', '[!]status', '[!]rstatus', [!]hdr, \
                     [!]fhdr or comment"
                } else {
                    "'only supports min-recv, '[!]binary', '[!]string', '[!]rstring', '[!]string-lf', '[!]rbinary', \
                     '[!]binary-lf' or comment"
                };
                let message = format!("'{what}' : {list} but got '{kind}' as argument..");
                self.line.error(code::UNKNOWN_NAME, word.span, message);
                return None;
            }
        })
    }

    /// `hdr { name | name-lf } [ -m HOW ] TEXT [ { value | value-lf } [ -m HOW ] TEXT ]`
    fn header(&mut self, kind: &str) -> Option<HeaderPattern> {
        let expects = format!(
            "'{}' : '{kind}' expects at the name keyword as first argument followed by a pattern.",
            self.line.name
        );
        let word = self.line.expect(&*expects)?;
        if !matches!(&*word.text, "name" | "name-lf") {
            self.line.error(code::UNKNOWN_NAME, word.span, expects);
            return None;
        }
        let name = self.wanted(kind, word.as_str() == "name-lf", &expects)?;
        let missing = format!("'{}' : '{kind}' expect a pattern with the value keyword.", self.line.name);
        let value = if self.line.take("value").is_some() {
            Some(self.wanted(kind, false, &missing)?)
        } else if self.line.take("value-lf").is_some() {
            Some(self.wanted(kind, true, &missing)?)
        } else {
            None
        };
        Some(HeaderPattern { whole: kind == "fhdr", name, value })
    }

    fn wanted(&mut self, kind: &str, is_format: bool, missing: &str) -> Option<Wanted> {
        let what = self.line.name;
        let how = if self.line.take("-m").is_some() {
            self.line.expect(missing)?
        } else {
            &Word::plain("str", Span::default())
        };
        let how_text = how.text.to_string();
        if how_text == "reg" {
            if is_format {
                let message =
                    format!("'{what}' : '{kind}': log-format string is not supported with a regex matching method.");
                self.line.error(code::CONFLICT, how.span, message);
                return None;
            }
            return self.regex(kind, missing.to_owned()).map(Wanted::Matches);
        }
        let make = match &*how_text {
            "str" => Wanted::Equals,
            "beg" => Wanted::Begins,
            "end" => Wanted::Ends,
            "sub" => Wanted::Contains,
            other => {
                let message = format!(
                    "'{what}' : '{kind}' : '-m' only supports 'str', 'beg', 'end', 'sub' or 'reg' (got '{other}')."
                );
                self.line.error(code::UNKNOWN_NAME, how.span, message);
                return None;
            }
        };
        let word = self.line.expect(missing)?;
        let text = if is_format { self.format(word)? } else { Text::literal(encode(&word.text)) };
        Some(make(text))
    }

    /// A regular expression, in the syntax of the engine that runs it.
    fn regex(&mut self, kind: &str, missing: String) -> Option<String> {
        let what = self.line.name;
        let word = self.line.expect(missing)?;
        match regex::compile(&word.text, Case::Exact) {
            Ok(Regex::Linear(_)) => Some(regex::rewritten(&word.text)),
            Ok(Regex::Backtracking(_)) => {
                let shown = format!("{what} {kind} with look-around or back-references");
                self.support.unsupported(&shown, word.span, self.line.out);
                None
            }
            Err(message) => {
                self.line.error(code::BAD_VALUE, word.span, format!("'{what}' : {message}."));
                None
            }
        }
    }

    /// `200,300-399`
    fn statuses(&mut self, word: &Word) -> Option<Vec<(u16, u16)>> {
        let what = self.line.name;
        let wrong = word.text.char_indices().find(|(_, c)| !(c.is_ascii_digit() || matches!(c, ',' | '-')));
        if let Some((at, character)) = wrong {
            let message = format!("'{what}' : invalid character '{character}' in the list of status codes.");
            self.line.error(code::BAD_VALUE, word.span_of(at..at + character.len_utf8()), message);
            return None;
        }
        let ranges: Option<Vec<_>> = word
            .text
            .split(',')
            .map(|range| {
                let (low, high) = range.split_once('-').unwrap_or((range, range));
                Some((low.parse().ok()?, high.parse().ok()?)).filter(|(low, high): &(u16, u16)| low <= high)
            })
            .collect();
        if ranges.is_none() {
            let message = format!("'{what}' : invalid range of status codes '{}'.", word.text);
            self.line.error(code::BAD_VALUE, word.span, message);
        }
        ranges
    }

    fn hexadecimal(&mut self, word: &Word) -> Option<Vec<u8>> {
        let digits: Option<Vec<u8>> =
            word.text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
        if let Some(digits) = digits.filter(|digits| digits.len() % 2 == 0) {
            return Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect());
        }
        let message = format!(
            "'{}' : invalid binary string '{}', an even number of hex digits is expected.",
            self.line.name, word.text
        );
        self.line.error(code::BAD_VALUE, word.span, message);
        None
    }
}
