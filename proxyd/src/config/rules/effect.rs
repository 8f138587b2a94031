//! The actions that are the same in all rule sets: variables, captures and what else is kept for later.

use super::arguments::{Problem, problem};
use super::expression::Voice;
use super::http_action::RuleAt;
use super::{Lowering, is_condition};
use crate::config::log_profile::no_such_profile;
use crate::ids::ProfileId;
use crate::log::syslog::Level;
use crate::rules::effect::{Amount, Change, Effect, End, Limit, RETRIES_MAX, Timeout};
use crate::sample;
use crate::sample::fetch::Side;
use crate::sample::transaction::LogLevel;
use crate::sample::variable::{Condition, Name, Scope, Target};
use shared_config::diagnostic::Place;
use shared_config::haproxy::expr;
use shared_config::haproxy::keyword::{FetchPlace, FetchPlaces, SectionKind};
use shared_config::value::duration::{self, Unit};
use shared_config::words::{Word, Words};

/// `Ok(None)`: it does not work yet, which has been reported.
type Parsed<A> = Result<Option<A>, Problem>;

impl Lowering<'_> {
    /// The action `name` with its arguments; nothing where it is none of these.
    pub(super) fn effect(&mut self, name: &str, at: &RuleAt<'_>, words: &mut Words<'_>) -> Option<Parsed<Effect>> {
        Some(match name {
            "set-var" => self.set_variable(at, words),
            "set-var-fmt" => self.set_variable_text(at, words),
            "unset-var" => unset_variable(at.word).map(|name| Some(Effect::UnsetVariable(name))),
            "capture" => self.capture(at, words),
            "set-log-level" => log_level(words).map(|level| Some(Effect::LogLevel(level))),
            "set-mark" | "set-fc-mark" => number(words, "a mark", u32::MAX).map(|mark| mark.map(Effect::Mark)),
            "set-tos" | "set-fc-tos" => number(words, "a type of service", 0xff)
                .map(|tos| tos.and_then(|tos| u8::try_from(tos).ok()).map(Effect::Tos)),
            "set-bc-mark" => self.server_number("a mark", u32::MAX, at, words).map(|mark| mark.map(Effect::ServerMark)),
            "set-bc-tos" => {
                self.server_number("a type of service", 0xff, at, words).map(|tos| tos.map(Effect::ServerTos))
            }
            "disable-l7-retry" => Ok(Some(Effect::SendOnce)),
            "set-src" => {
                self.rule_expression(at, words).map(|from| from.map(|from| Effect::Address(End::Source, from)))
            }
            "set-dst" => {
                self.rule_expression(at, words).map(|from| from.map(|from| Effect::Address(End::Destination, from)))
            }
            "set-src-port" => {
                self.rule_expression(at, words).map(|from| from.map(|from| Effect::Port(End::Source, from)))
            }
            "set-dst-port" => {
                self.rule_expression(at, words).map(|from| from.map(|from| Effect::Port(End::Destination, from)))
            }
            "set-priority-class" => self.rule_expression(at, words).map(|from| from.map(Effect::PriorityClass)),
            "set-priority-offset" => self.rule_expression(at, words).map(|from| from.map(Effect::PriorityOffset)),
            "set-timeout" => self.set_timeout(at, words),
            "set-bandwidth-limit" => self.set_bandwidth_limit(at, words),
            "set-retries" => self.set_retries(at, words),
            // Without TLS a connection has shaken hands when there is a request.
            "wait-for-handshake" => Ok(Some(Effect::Nothing)),
            "track-sc" => self.track(at, words),
            "sc-inc-gpc0" | "sc-inc-gpc1" | "sc-inc-gpc" | "sc-add-gpc" => self.count_up(name, at, words),
            "sc-set-gpt0" | "sc-set-gpt" => self.set_tag(name, at, words),
            "add-acl" => self.change_patterns(Change::Add, at, words),
            "del-acl" | "del-map" => self.change_patterns(Change::Remove, at, words),
            "set-map" => self.change_patterns(Change::Set, at, words),
            _ => return None,
        })
    }

    /// `do-log [profile NAME]`
    pub(super) fn do_log(&mut self, words: &mut Words<'_>) -> Parsed<Option<ProfileId>> {
        if words.take("profile").is_none() {
            return Ok(Some(None));
        }
        let Some(name) = words.next().filter(|word| !is_condition(word)) else {
            return Err(problem("expects the name of a log-profile after 'profile'", words.here()));
        };
        let known = self.names.profiles.get(&*name.text).copied();
        if known.is_none() {
            self.out.push(no_such_profile(name, self.names, "do-log"));
        }
        Ok(known.map(Some))
    }

    fn set_variable(&mut self, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<Effect> {
        let target = target(at.word)?;
        Ok(self.rule_expression(at, words)?.map(|expression| Effect::SetVariable(target, expression)))
    }

    fn set_variable_text(&mut self, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<Effect> {
        let target = target(at.word)?;
        match words.next().filter(|word| !is_condition(word)) {
            Some(word) => Ok(self
                .text(word, &at.before, Place::Parsing, at.places)
                .map(|text| Effect::SetVariableText(target, text))),
            None => Err(problem("expects exactly 1 argument <format>", words.here())),
        }
    }

    /// `set-var proc.NAME EXPRESSION` of `global`.
    pub(super) fn process_variable(
        &mut self,
        keyword: &Word,
        word: &Word,
        places: FetchPlaces,
        words: &mut Words<'_>,
    ) -> Parsed<Effect> {
        let name = variable_name(&word.text, word)?;
        if name.scope != Scope::Process {
            let message = format!(
                "'{}': cannot set variable '{}', only scope 'proc' is permitted in the global section.",
                keyword.text, word.text
            );
            return Err(problem(message, word.span));
        }
        let target = Target { name, conditions: Box::default() };
        if keyword.as_str() == "set-var-fmt" {
            let Some(text) = words.next() else { return Ok(None) };
            return Ok(self.variable_text(target, text, places));
        }
        self.variable_expression(target, word, places, words)
    }

    /// `set var` of the runtime socket.
    pub(super) fn runtime_variable(&mut self, words: &[Word], places: FetchPlaces) -> Parsed<Effect> {
        let Some((word, rest)) = words.split_first() else { return Ok(None) };
        let (name, conditions) = word.text.split_once(',').unwrap_or((&word.text, ""));
        let target = Target { name: variable_name(name, word)?, conditions: set_conditions(conditions, word)? };
        let kind = rest.first().filter(|_| rest.len() > 1);
        let mut values = Words::new(rest, word.span);
        match kind.map(Word::as_str) {
            Some("fmt") => {
                let text = rest.get(1).and_then(|text| self.variable_text(target.clone(), text, places));
                return permitted(&target, word).map(|()| text);
            }
            Some("expr") => drop(values.next()),
            Some(other) => {
                let message = format!("'set var': arg type must be either 'expr' or 'fmt' but got '{other}'.");
                return Err(problem(message, word.span));
            }
            None => {}
        }
        let effect = self.variable_expression(target.clone(), word, places, &mut values)?;
        permitted(&target, word).map(|()| effect)
    }

    fn variable_text(&mut self, target: Target, word: &Word, places: FetchPlaces) -> Option<Effect> {
        let text = self.text(word, "", Place::Parsing, places);
        text.map(|text| Effect::SetVariableText(target, text))
    }

    fn variable_expression(
        &mut self,
        target: Target,
        word: &Word,
        places: FetchPlaces,
        words: &mut Words<'_>,
    ) -> Parsed<Effect> {
        let written = expr::parse(words)?;
        let lowered = self.expression(&written, &written.fetch.name.text, Voice::Sample)?;
        if !lowered.places.intersects(places) {
            let message = format!(
                "fetch method 'set-var({})' extracts information from '{}', none of which is available here",
                word.text,
                super::text::needs(lowered.places)
            );
            return Err(problem(message, written.span));
        }
        Ok(lowered.expression.map(|expression| Effect::SetVariable(target, expression)))
    }

    /// An expression as an argument.
    pub(super) fn rule_expression(&mut self, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<sample::Expression> {
        let written = expr::parse(words)?;
        let lowered = self.expression(&written, &written.fetch.name.text, Voice::Sample)?;
        if lowered.places.intersects(at.places) {
            return Ok(lowered.expression);
        }
        let message = format!("fetch method '{}' is not available here", written.fetch.name.text);
        Err(problem(message, written.span))
    }

    /// `capture EXPRESSION len LENGTH`, or into a place declared by the frontend with `id`.
    fn capture(&mut self, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<Effect> {
        let expects = "expects <expression> [ 'len' <length> | id <idx> ]";
        if words.peek().is_none_or(is_condition) {
            return Err(problem(expects, words.here()));
        }
        let expression = self.rule_expression(at, words)?;
        let request = [FetchPlace::FrontendHttpRequestHeader, FetchPlace::BackendHttpRequestHeader]
            .into_iter()
            .chain([FetchPlace::FrontendTcpRequestContent, FetchPlace::BackendTcpRequestContent]);
        let side =
            if request.into_iter().any(|place| at.places.contains(place)) { Side::Request } else { Side::Response };
        let slot = match (words.next().map(Word::as_str), words.next()) {
            (Some("len"), Some(length)) => {
                if self.section.kind == SectionKind::Backend {
                    let message = "proxy '".to_owned()
                        + self.section.name
                        + "' has no frontend capability: 'len' is only for frontends, use 'id' here";
                    return Err(problem(message, length.span));
                }
                let limit = length.text.parse::<usize>().ok().filter(|limit| *limit > 0);
                self.new_slot(side, limit.ok_or_else(|| problem("length must be > 0", length.span))?)
            }
            (Some("id"), Some(id)) => {
                id.text.parse().map_err(|_| problem(format!("cannot parse id '{}'", id.text), id.span))?
            }
            _ => return Err(problem(expects, words.here())),
        };
        Ok(expression.map(|expression| Effect::Capture { side, slot, expression }))
    }

    /// A place of its own, after those of the statements before.
    pub(super) fn new_slot(&mut self, side: Side, limit: usize) -> usize {
        let (declared, list) = match side {
            Side::Request => (self.section.request_captures, &mut self.rules.request_captures),
            Side::Response => (self.section.response_captures, &mut self.rules.response_captures),
        };
        list.push(limit);
        declared + list.len() - 1
    }

    /// A number in decimal or after `0x`, or an expression for it.
    fn server_number(&mut self, what: &str, max: u32, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<Amount> {
        let begins = |word: &&Word| word.text.starts_with(|first: char| first.is_ascii_digit());
        match words.peek().filter(begins) {
            Some(_) => Ok(number(words, what, max)?.map(Amount::Fixed)),
            None => Ok(self.rule_expression(at, words)?.map(Amount::Sample)),
        }
    }

    fn set_timeout(&mut self, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<Effect> {
        let word = words.next();
        let which = match word.map(Word::as_str) {
            Some("server") => Timeout::Server,
            Some("tunnel") => Timeout::Tunnel,
            Some("client") => Timeout::Client,
            Some("connect") => Timeout::Connect,
            Some("queue") => Timeout::Queue,
            Some("tarpit") => Timeout::Tarpit,
            other => {
                let message =
                    format!("'set-timeout' rule supports 'server'/'tunnel' (got '{}')", other.unwrap_or_default());
                return Err(problem(message, word.map_or(words.here(), |word| word.span)));
            }
        };
        let limit = self.limit("'set-timeout' rule expects a timeout or an expression", at, words)?;
        Ok(limit.map(|limit| Effect::Timeout(which, limit)))
    }

    /// A time, or an expression for it.
    pub(super) fn limit(&mut self, missing: &str, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<Limit> {
        let Some(limit) = words.peek().filter(|word| !is_condition(word)) else {
            return Err(problem(missing, words.here()));
        };
        if let Ok(limit) = duration::parse(&limit.text, Unit::Milliseconds) {
            words.next();
            return Ok(Some(Limit::Fixed(limit)));
        }
        Ok(self.rule_expression(at, words)?.map(Limit::Sample))
    }

    /// `set-retries NUMBER`, or an expression for it.
    fn set_retries(&mut self, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<Effect> {
        if self.section.backend.is_none() {
            let message =
                format!("'set-retries' has no use in '{}', which has no backend capability", self.section.name);
            return Err(problem(message, at.word.span));
        }
        let Some(word) = words.peek().filter(|word| !is_condition(word)) else {
            return Err(problem("'set-retries' rule expects a number or an expression", words.here()));
        };
        if let Ok(number) = word.text.parse::<i64>() {
            words.next();
            let retries = u32::try_from(number).ok().filter(|retries| *retries <= RETRIES_MAX.into());
            let refused = || problem(format!("'set-retries' rule expects a number from 0 to {RETRIES_MAX}"), word.span);
            return Ok(Some(Effect::Retries(Amount::Fixed(retries.ok_or_else(refused)?))));
        }
        Ok(self.rule_expression(at, words)?.map(|expression| Effect::Retries(Amount::Sample(expression))))
    }
}

/// `set-var(NAME[,CONDITION...])`
fn target(word: &Word) -> Result<Target, Problem> {
    let (name, conditions) = in_parentheses(word)?;
    Ok(Target { conditions: set_conditions(conditions, word)?, name: variable_name(name, word)? })
}

/// Operators set variables of the process only.
fn permitted(target: &Target, word: &Word) -> Result<(), Problem> {
    if target.name.scope == Scope::Process {
        return Ok(());
    }
    let name = word.text.split(',').next().unwrap_or_default();
    let message = format!("'set var': cannot set variable '{name}', only scope 'proc' is permitted here.");
    Err(problem(message, word.span))
}

/// `ifnotset,…`
fn set_conditions(list: &str, word: &Word) -> Result<Box<[Condition]>, Problem> {
    list.split(',').filter(|condition| !condition.is_empty()).map(|text| condition(text, word)).collect()
}

/// `unset-var(NAME)`
fn unset_variable(word: &Word) -> Result<Name, Problem> {
    let (name, conditions) = in_parentheses(word)?;
    if !conditions.is_empty() {
        let message = "unset-var does not expect parameters after the variable name. Only \"set-var\" and \
                       \"set-var-fmt\" manage conditions";
        return Err(problem(message, word.span));
    }
    variable_name(name, word)
}

/// What stands in the parentheses of an action's word: the name, and what follows its comma.
fn in_parentheses(word: &Word) -> Result<(&str, &str), Problem> {
    let problem = |what: &str| {
        let message = format!(
            "{what} action '{}'. Expects 'set-var(<var-name>)', 'set-var-fmt(<var-name>)' or 'unset-var(<var-name>)'",
            word.text
        );
        problem(message, word.span)
    };
    let (_, rest) = word.text.split_once('(').ok_or_else(|| problem("invalid or incomplete"))?;
    let inside = rest.strip_suffix(')').ok_or_else(|| problem("incomplete argument after"))?;
    Ok(inside.split_once(',').unwrap_or((inside, "")))
}

/// One condition of `set-var`.
pub(super) fn condition(text: &str, word: &Word) -> Result<Condition, Problem> {
    Condition::parse(text).ok_or_else(|| problem(format!("unknown condition \"{text}\""), word.span))
}

/// The name of a variable.
pub(super) fn variable_name(name: &str, word: &Word) -> Result<Name, Problem> {
    Name::parse(name).ok_or_else(|| {
        if let Some(at) = name.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.')) {
            return problem(format!("invalid syntax at char '{}'", &name[at..]), word.span);
        }
        let message = format!(
            "invalid variable name '{name}'. A variable name must be start by its scope. The scope can be 'proc', \
             'sess', 'txn', 'req', 'res' or 'check'"
        );
        problem(message, word.span)
    })
}

fn log_level(words: &mut Words<'_>) -> Result<LogLevel, Problem> {
    Ok(LogLevel::Level(match words.next().map_or("", |word| word.as_str()) {
        "silent" => return Ok(LogLevel::Silent),
        "emerg" => Level::Emergency,
        "alert" => Level::Alert,
        "crit" => Level::Critical,
        "err" => Level::Error,
        "warning" => Level::Warning,
        "notice" => Level::Notice,
        "info" => Level::Info,
        "debug" => Level::Debug,
        _ => return Err(problem("expects exactly 1 argument (log level name or 'silent')", words.here())),
    }))
}

/// A number in decimal or after `0x`.
fn number(words: &mut Words<'_>, what: &str, max: u32) -> Parsed<u32> {
    let Some(word) = words.next() else {
        return Err(problem("expects exactly 1 argument (integer/hex value)", words.here()));
    };
    let text = word.text.as_ref();
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    match number {
        Ok(number) if number <= max => Ok(Some(number)),
        _ => Err(problem(format!("invalid character at '{text}' ({what} is expected)"), word.span)),
    }
}
