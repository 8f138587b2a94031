//! `http-request`, `http-response`, `http-after-response`: each action with its own arguments, then the condition.

use super::arguments::{Problem, problem};
use super::report::{self, code};
use super::{Lowering, is_condition, order, redirect, regex};
use crate::rules::effect::Effect;
use crate::rules::headers_bin::{BinaryFields, Change, Match};
use crate::rules::http::{HttpAction, Substitute, TargetPart};
use crate::rules::normalize::Normalizer;
use crate::rules::{Rule, Service, Silence, Wait};
use crate::sample::convert::Replacement;
use crate::sample::pattern::{Method, Patterns, Regexes};
use crate::sample::prefix_map::Case;
use crate::sample::regex::Regex;
use crate::sample::text::Text;
use shared_config::diagnostic::{Diagnostic, Place};
use shared_config::haproxy::keyword::{ACTIONS, Action, FetchPlace, FetchPlaces, Ruleset, Support, find_action};
use shared_config::source::encode;
use shared_config::suggest::nearest;
use shared_config::value::duration::{self, Unit};
use shared_config::value::size;
use shared_config::words::{Word, Words};
use std::time::Duration;

mod reply;
mod shape;

pub(super) use shape::check as check_shape;

/// What an action came to: `None` where it does not work yet, which has been reported.
pub(super) type Parsed<A> = Result<Option<A>, Problem>;

/// What the statistics page asks a password for where no `realm` is given.
const REALM_DEFAULT: &[u8] = b"HAProxy Statistics";

/// Where a rule stands, for the messages about it.
pub(super) struct RuleAt<'a> {
    /// `error detected in proxy 'f' while parsing 'http-request deny' rule : `
    pub before: String,
    /// Where its samples are taken.
    pub places: FetchPlaces,
    /// What `auth` asks a password for where the rule does not say it.
    pub realm: Text,
    /// The action's word.
    pub word: &'a Word,
}

impl Lowering<'_> {
    /// A rule of one of the HTTP rule sets.
    pub(super) fn http_rule(&mut self, keyword: &Word, words: &mut Words<'_>) {
        let (ruleset, places) = match keyword.as_str() {
            "http-request" => (
                Ruleset::HttpRequest,
                self.section.places(FetchPlace::FrontendHttpRequestHeader, FetchPlace::BackendHttpRequestHeader),
            ),
            other => (
                if other == "http-response" { Ruleset::HttpResponse } else { Ruleset::HttpAfterResponse },
                self.section.places(FetchPlace::FrontendHttpResponseHeader, FetchPlace::BackendHttpResponseHeader),
            ),
        };
        let realm = Text::literal(self.section.name.as_bytes());
        let Some(rule) = self.http_rule_of(ruleset, places, realm, words) else { return };
        match ruleset {
            Ruleset::HttpRequest => {
                let rule = self.joined(rule);
                self.rules.http_request.push(rule);
            }
            Ruleset::HttpResponse => self.rules.http_response.push(rule),
            _ => self.rules.http_after_response.push(rule),
        }
    }

    /// As with haproxy, hints of rules one after the other are one message; one with a condition begins another.
    fn joined(&self, mut rule: Rule<HttpAction>) -> Rule<HttpAction> {
        let after_hint =
            matches!(self.rules.http_request.last(), Some(Rule { action: HttpAction::EarlyHint { .. }, .. }));
        if let HttpAction::EarlyHint { joined, .. } = &mut rule.action {
            *joined = after_hint && rule.condition.is_none();
        }
        rule
    }

    /// `stats http-request`: who may see the statistics page.
    pub(super) fn stats_http_request(&mut self, words: &mut Words<'_>) {
        let places = self.section.places(FetchPlace::FrontendHttpRequestHeader, FetchPlace::BackendHttpRequestHeader);
        let rule = self.http_rule_of(Ruleset::HttpRequest, places, Text::literal(REALM_DEFAULT), words);
        self.rules.stats_http_request.extend(rule);
    }

    fn http_rule_of(
        &mut self,
        ruleset: Ruleset,
        places: FetchPlaces,
        realm: Text,
        words: &mut Words<'_>,
    ) -> Option<Rule<HttpAction>> {
        let Some(word) = words.next() else {
            self.unknown_action(ruleset, "", words.here());
            return None;
        };
        let Some(row) = find_action(ruleset, &word.text) else {
            if word.text.starts_with("lua.") {
                report::unsupported(self.out, &format!("{} {}", ruleset.name(), word.text), word.span);
            } else {
                self.unknown_action(ruleset, &word.text, word.span);
            }
            return None;
        };
        let name = format!("{} {}", ruleset.name(), word.text);
        let before =
            format!("error detected in {} '{}' while parsing '{name}' rule : ", self.section.word(), self.section.name);
        let at = RuleAt { before, places, realm, word };
        let action = match self.http_action(row, ruleset, &at, words) {
            Ok(action) => action,
            Err(problem) => {
                self.out.push(report::sentence(problem).into_diagnostic(code::BAD_VALUE, &at.before));
                return None;
            }
        };
        if let Some(extra) = words.peek().filter(|word| !is_condition(word)) {
            let message =
                format!("'{name}' expects either 'if' or 'unless' followed by a condition but found '{}'.", extra.text);
            self.out.push(
                Diagnostic::error(code::EXTRA_ARGUMENT, extra.span, message)
                    .place(Place::ParsingLine)
                    .label("one word too many; a text with spaces needs quotes"),
            );
            return None;
        }
        let ends = words.is_empty() && order::is_final(row.name);
        self.warn_unreached(ruleset, word.span, ends);
        let before = format!("error detected while parsing an '{name}' condition : ");
        let condition = self.condition(words, &before, places, None);
        Some(Rule { condition: condition.ok()?, action: action?, written: self.names.written(word.span) })
    }

    /// Says that there is no such action, and which there are.
    pub(super) fn unknown_action(&mut self, ruleset: Ruleset, text: &str, at: shared_config::source::Span) {
        let rows = || ACTIONS.iter().filter(|row| row.rulesets.contains(ruleset));
        let known: Vec<String> = rows()
            .map(|row| if row.parenthesis { format!("'{}(*)'", row.name) } else { format!("'{}'", row.pattern()) })
            .collect();
        let name = ruleset.name();
        let message = format!("'{name}' expects {}, but got '{text}'.", known.join(", "));
        let help = nearest(text, rows().map(|row| row.name)).map(|known| format!("did you mean `{name} {known}`?"));
        let error = Diagnostic::error(code::UNKNOWN_KEYWORD, at, message).place(Place::ParsingLine);
        self.out.push(report::with_help(error.label("no such action"), help));
    }

    /// The action and its arguments; the cursor is then at the condition.
    fn http_action(
        &mut self,
        row: &Action,
        ruleset: Ruleset,
        at: &RuleAt<'_>,
        words: &mut Words<'_>,
    ) -> Parsed<HttpAction> {
        if row.name == "normalize-uri" && !self.names.experimental {
            let message = "'normalize-uri' action is experimental, must be allowed via a global \
                           'expose-experimental-directives'";
            self.error(code::BAD_VALUE, at.word.span, message);
            let _rest = words.rest();
            return Ok(None);
        }
        if row.support != Support::Works {
            shape::check(row, words)?;
            report::support(self.out, row.support, &format!("{} {}", ruleset.name(), row.pattern()), at.word.span);
            return Ok(None);
        }
        match row.name {
            "allow" => Ok(Some(HttpAction::Allow)),
            "reject" => Ok(Some(HttpAction::Reject)),
            "silent-drop" => Ok(Some(HttpAction::SilentDrop(silent_drop(words)?))),
            "use-service" => Ok(self.service(ruleset, words)?.map(HttpAction::Service)),
            "do-resolve" => Ok(self.resolve(at, words)?.map(HttpAction::Resolve)),
            "do-log" => Ok(self.do_log(words)?.map(HttpAction::Log)),
            "normalize-uri" => normalize_uri(words),
            "wait-for-body" => wait_for_body(words),
            "pause" => Ok(self.limit("expects a time or an expression", at, words)?.map(HttpAction::Pause)),
            "deny" => {
                let status = if ruleset == Ruleset::HttpRequest { 403 } else { 502 };
                Ok(self.reply(status, at, words)?.map(HttpAction::Deny))
            }
            "tarpit" => Ok(self.reply(500, at, words)?.map(HttpAction::Tarpit)),
            "return" => Ok(self.return_reply(at, words)?.map(HttpAction::Return)),
            "auth" => self.auth(at, words),
            "redirect" => {
                let before = at.before.clone();
                Ok(redirect::parse(self, words, &before, at.places)?.map(HttpAction::Redirect))
            }
            "add-header" | "set-header" => {
                let Some((name, text)) = self.header_and_text(at, words)? else { return Ok(None) };
                Ok(Some(match row.name {
                    "add-header" => HttpAction::AddHeader(name, text),
                    _ => HttpAction::SetHeader(name, text),
                }))
            }
            "del-header" => delete_header(words),
            "add-headers-bin" | "set-headers-bin" | "del-headers-bin" => self.binary_fields(row.name, at, words),
            "early-hint" => {
                let hint = self.header_and_text(at, words)?;
                Ok(hint.map(|(name, text)| HttpAction::EarlyHint { name, text, joined: false }))
            }
            "strict-mode" => strict_mode(words).map(|()| Some(HttpAction::Effect(Effect::Nothing))),
            "replace-header" | "replace-value" => self.replace_header(row.name, at, words),
            "replace-path" => self.replace_target(TargetPart::Path, at, words),
            "replace-pathq" => self.replace_target(TargetPart::PathQuery, at, words),
            "replace-uri" => self.replace_target(TargetPart::Uri, at, words),
            "set-path" => self.set_target(TargetPart::Path, at, words),
            "set-pathq" => self.set_target(TargetPart::PathQuery, at, words),
            "set-query" => self.set_target(TargetPart::Query, at, words),
            "set-uri" => self.set_target(TargetPart::Uri, at, words),
            "set-method" => Ok(self.one_text(at, words)?.map(HttpAction::SetMethod)),
            "set-status" => set_status(words),
            other => match self.effect(other, at, words) {
                Some(effect) => Ok(effect?.map(HttpAction::Effect)),
                None => Err(problem(format!("'{other}' has no meaning here"), at.word.span)),
            },
        }
    }

    /// A text argument.
    fn argument_text(&mut self, word: &Word, at: &RuleAt<'_>) -> Option<Text> {
        self.text(word, &at.before, Place::Parsing, at.places)
    }

    fn one_text(&mut self, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<Text> {
        match words.peek().filter(|word| !is_condition(word)) {
            Some(word) => {
                words.next();
                Ok(self.argument_text(word, at))
            }
            None => Err(problem("expects exactly 1 argument <format>", words.here())),
        }
    }

    fn header_and_text(&mut self, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<(Box<[u8]>, Text)> {
        let (Some(name), Some(text)) = (words.next(), words.next()) else {
            return Err(problem("expects exactly 2 arguments", words.here()));
        };
        Ok(self.argument_text(text, at).map(|text| (header_name(name), text)))
    }

    /// `use-service NAME`
    pub(super) fn service(&mut self, ruleset: Ruleset, words: &mut Words<'_>) -> Parsed<Service> {
        let Some(name) = words.next() else {
            return Err(problem("'use-service' expects a service name", words.here()));
        };
        if name.text.starts_with("lua.") {
            report::unsupported(self.out, &format!("{} use-service {}", ruleset.name(), name.text), name.span);
            return Ok(None);
        }
        if name.as_str() != "prometheus-exporter" {
            return Err(problem(format!("'{}' unknown service name", name.text), name.span));
        }
        if ruleset != Ruleset::HttpRequest {
            let message = "Prometheus exporter service only available on 'http-request' rulesets";
            self.error(code::BAD_VALUE, name.span, message);
            return Ok(None);
        }
        Ok(Some(Service::PrometheusExporter))
    }

    /// `add-headers-bin EXPRESSION [prefix TEXT]`, `del-headers-bin EXPRESSION [-m METHOD]`
    fn binary_fields(&mut self, action: &str, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<HttpAction> {
        let list = self.rule_expression(at, words)?;
        let change = if action == "del-headers-bin" {
            Change::Delete(match words.take("-m").and_then(|_| words.next()) {
                None => Match::Whole,
                Some(word) => Match::named(&word.text).ok_or_else(|| {
                    problem(format!("-m with unsupported matching method '{}'", word.text), word.span)
                })?,
            })
        } else {
            let prefix = match words.take("prefix") {
                None => Box::default(),
                Some(_) => header_name(words.next().ok_or_else(|| problem("missing prefix", words.here()))?),
            };
            if action == "add-headers-bin" { Change::Add(prefix) } else { Change::Set(prefix) }
        };
        Ok(list.map(|list| HttpAction::BinaryFields(Box::new(BinaryFields { list, change }))))
    }

    fn auth(&mut self, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<HttpAction> {
        if words.take("realm").is_none() {
            return Ok(Some(HttpAction::Auth(at.realm.clone())));
        }
        match words.next() {
            Some(realm) => Ok(self.argument_text(realm, at).map(HttpAction::Auth)),
            None => Err(problem("missing realm value", words.here())),
        }
    }

    fn replace_header(&mut self, action: &str, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<HttpAction> {
        let (Some(name), Some(source), Some(format)) = (words.next(), words.next(), words.next()) else {
            return Err(problem("expects exactly 3 arguments", words.here()));
        };
        let regex = compiled(source, Case::Exact)?;
        let replacement = self.replacement(format, at);
        Ok(replacement.map(|replacement| HttpAction::ReplaceHeader {
            name: header_name(name),
            regex,
            replacement,
            elements: action == "replace-value",
        }))
    }

    fn replace_target(&mut self, part: TargetPart, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<HttpAction> {
        let (Some(source), Some(format)) = (words.next(), words.next()) else {
            return Err(problem("expects exactly 2 arguments <match-regex> and <replace-format>", words.here()));
        };
        let regex = compiled(source, Case::Exact)?;
        let replacement = self.replacement(format, at);
        Ok(replacement.map(|replacement| HttpAction::ReplaceTarget { part, regex, replacement }))
    }

    /// The text that replaces a match.
    fn replacement(&mut self, word: &Word, at: &RuleAt<'_>) -> Option<Substitute> {
        let text = self.argument_text(word, at)?;
        Some(match text.as_literal() {
            Some(text) => Substitute::Fixed(Replacement::new(text)),
            None => Substitute::Made(text),
        })
    }

    fn set_target(&mut self, part: TargetPart, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<HttpAction> {
        Ok(self.one_text(at, words)?.map(|text| HttpAction::SetTarget(part, text)))
    }
}

fn wait_for_body(words: &mut Words<'_>) -> Parsed<HttpAction> {
    let expected = "expects time <time> [ at-least <bytes> ]";
    let mut wait = Wait { time: Duration::ZERO, at_least: 0 };
    let mut timed = false;
    while let Some(word) = words.peek().filter(|word| !is_condition(word)) {
        words.next();
        if !matches!(word.as_str(), "time" | "at-least") {
            return Err(problem(expected, word.span));
        }
        let Some(value) = words.next() else {
            return Err(problem(format!("missing argument for '{}'", word.text), words.here()));
        };
        match word.as_str() {
            "time" => match duration::parse(&value.text, Unit::Milliseconds) {
                Ok(time) => (wait.time, timed) = (time, true),
                Err(wrong) => return Err(problem(wrong.message, value.span)),
            },
            _ => match size::parse(&value.text) {
                Ok(bytes) => wait.at_least = bytes,
                Err(wrong) => return Err(problem(wrong.message, value.span)),
            },
        }
    }
    if !timed {
        return Err(problem(expected, words.here()));
    }
    Ok(Some(HttpAction::WaitForBody(wait)))
}

/// `strict-mode on|off`: whether a rewriting that fails ends the message. None fails here.
fn strict_mode(words: &mut Words<'_>) -> Result<(), Problem> {
    match words.next() {
        Some(word) if matches!(word.as_str(), "on" | "off") => Ok(()),
        Some(word) => {
            Err(problem(format!("Unexpected value '{}'. Only 'on' and 'off' are supported", word.text), word.span))
        }
        None => Err(problem("expects exactly one on/off argument", words.here())),
    }
}

/// `silent-drop [rst-ttl TTL]`
pub(super) fn silent_drop(words: &mut Words<'_>) -> Result<Silence, Problem> {
    if words.take("rst-ttl").is_none() {
        return Ok(Silence::Unsaid);
    }
    let Some(word) = words.next() else {
        return Err(problem("'silent-drop' expects a TTL from 1 to 255 after 'rst-ttl'", words.here()));
    };
    match word.text.parse() {
        Ok(ttl @ 1..=u8::MAX) => Ok(Silence::Reset(ttl)),
        _ => Err(problem("'silent-drop' expects a TTL from 1 to 255 after 'rst-ttl'", word.span)),
    }
}

/// `normalize-uri NORMALIZER [full|strict]`
fn normalize_uri(words: &mut Words<'_>) -> Parsed<HttpAction> {
    let Some(name) = words.next() else { return Err(problem("missing argument <normalizer>", words.here())) };
    let known = match name.as_str() {
        "fragment-encode" => Normalizer::FragmentEncode,
        "fragment-strip" => Normalizer::FragmentStrip,
        "path-merge-slashes" => Normalizer::PathMergeSlashes,
        "path-strip-dot" => Normalizer::PathStripDot,
        "path-strip-dotdot" => Normalizer::PathStripDotdot { full: option(words, name, "full")? },
        "percent-decode-unreserved" => Normalizer::PercentDecodeUnreserved { strict: option(words, name, "strict")? },
        "percent-to-uppercase" => Normalizer::PercentToUppercase { strict: option(words, name, "strict")? },
        "query-sort-by-name" => Normalizer::QuerySortByName,
        other => return Err(problem(format!("unknown normalizer '{other}'"), name.span)),
    };
    Ok(Some(HttpAction::NormalizeUri(known)))
}

/// Whether the one word that a normalizer takes follows its name.
fn option(words: &mut Words<'_>, name: &Word, known: &str) -> Result<bool, Problem> {
    let Some(word) = words.peek().filter(|word| !is_condition(word)) else { return Ok(false) };
    if word.as_str() != known {
        let message = format!("unknown argument '{}' for '{}' normalizer", word.text, name.text);
        return Err(problem(message, word.span));
    }
    words.next();
    Ok(true)
}

fn delete_header(words: &mut Words<'_>) -> Parsed<HttpAction> {
    let Some(name) = words.next() else { return Err(problem("expects at least 1 argument", words.here())) };
    if words.take("-m").is_none() {
        return Ok(Some(HttpAction::DeleteHeader(header_name(name))));
    }
    let method = words.next();
    let text = header_name(name).into_vec();
    let patterns = match method.map_or("", |word| word.as_str()) {
        "str" => return Ok(Some(HttpAction::DeleteHeader(header_name(name)))),
        "beg" => Patterns::texts(Method::Beg, Case::Exact, vec![text]),
        "end" => Patterns::texts(Method::End, Case::Exact, vec![text]),
        "sub" => Patterns::texts(Method::Sub, Case::Exact, vec![text]),
        "reg" => {
            let regex = compiled(name, Case::Ignored)?;
            Regexes::new(Case::Ignored, &[], vec![regex]).ok().map(Patterns::Reg)
        }
        other => {
            let at = method.map_or(words.here(), |word| word.span);
            return Err(problem(format!("-m with unsupported matching method '{other}'"), at));
        }
    };
    Ok(patterns.map(HttpAction::DeleteHeaders))
}

fn set_status(words: &mut Words<'_>) -> Parsed<HttpAction> {
    let Some(word) = words.next() else {
        let message = "expects 1 argument: <status>; or 3 arguments: <status> reason <fmt>";
        return Err(problem(message, words.here()));
    };
    let status = word.text.parse::<u16>().ok().filter(|status| (100..=999).contains(status));
    let Some(status) = status else {
        return Err(problem("expects an integer status code between 100 and 999", word.span));
    };
    // `reason` without a text after it is not ours.
    let mut ahead = words.clone();
    let reason = Words::take(&mut ahead, "reason").and_then(|_| ahead.next());
    if reason.is_some() {
        *words = ahead;
    }
    Ok(Some(HttpAction::SetStatus(status, reason.map(|word| encode(&word.text).into()))))
}

/// A regular expression.
fn compiled(word: &Word, case: Case) -> Result<Regex, Problem> {
    regex::compile(&word.text, case).map_err(|message| problem(message, word.span))
}

/// A header's name as heads keep it.
fn header_name(word: &Word) -> Box<[u8]> {
    encode(&word.text.to_ascii_lowercase()).into()
}
