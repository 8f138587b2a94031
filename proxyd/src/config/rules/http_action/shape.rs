//! The arguments of actions that do not work yet: they are checked all the same.

use super::super::arguments::{Problem, problem};
use super::super::{Lowering, is_condition};
use super::{RuleAt, compiled};
use shared_config::haproxy::keyword::Action;
use shared_config::words::{Word, Words};

/// Checks them; the cursor is then at the condition.
pub(in crate::config::rules) fn check(
    lowering: &mut Lowering<'_>,
    row: &Action,
    at: &RuleAt<'_>,
    words: &mut Words<'_>,
) -> Result<(), Problem> {
    match row.name {
        "set-var" => {
            variable(at.word, "set-var")?;
            lowering.argument_expression(at, words)
        }
        "set-var-fmt" => {
            variable(at.word, "set-var")?;
            lowering.one_text(at, words).map(|_| ())
        }
        "unset-var" => variable(at.word, "set-var"),
        "track-sc" => {
            lowering.argument_expression(at, words)?;
            if words.take("table").is_some() && words.next().is_none() {
                return Err(problem("missing table name", words.here()));
            }
            Ok(())
        }
        "capture" => capture(lowering, at, words),
        "set-src" | "set-dst" | "set-src-port" | "set-dst-port" | "set-priority-class" | "set-priority-offset" => {
            lowering.argument_expression(at, words)
        }
        "set-path" | "set-pathq" | "set-query" | "set-uri" | "set-method" => lowering.one_text(at, words).map(|_| ()),
        "set-header" | "add-header" | "early-hint" => lowering.header_and_text(at, words).map(|_| ()),
        "replace-header" | "replace-value" => {
            let (Some(_), Some(source), Some(format)) = (words.next(), words.next(), words.next()) else {
                return Err(problem("expects exactly 3 arguments", words.here()));
            };
            compiled(source, crate::sample::prefix_map::Case::Exact)?;
            lowering.argument_text(format, at);
            Ok(())
        }
        "redirect" => super::redirect::parse(lowering, words, &at.before, at.places).map(|_| ()),
        "deny" | "tarpit" => lowering.reply(403, at, words).map(|_| ()),
        "return" => lowering.return_reply(at, words).map(|_| ()),
        "set-log-level" => log_level(words),
        "strict-mode" => strict_mode(words),
        "set-timeout" => set_timeout(words),
        "cache-use" | "cache-store" if words.peek().is_none_or(is_condition) => {
            Err(problem("expects a cache name", words.here()))
        }
        _ => count(row, words),
    }
}

/// Number of words only.
fn count(row: &Action, words: &mut Words<'_>) -> Result<(), Problem> {
    let mut count = 0;
    let most = row.arity.max.map_or(usize::MAX, usize::from);
    while count < most && words.peek().is_some_and(|word| !is_condition(word)) {
        words.next();
        count += 1;
    }
    if row.arity.accepts(count) {
        return Ok(());
    }
    let plural = if row.arity.min == 1 { "" } else { "s" };
    Err(problem(format!("expects {} argument{plural}", row.arity.min), words.here()))
}

/// `set-var(scope.name)`
fn variable(word: &Word, action: &str) -> Result<(), Problem> {
    let Some((_, rest)) = word.text.split_once('(') else {
        let message = format!(
            "invalid or incomplete action '{}'. Expects '{action}(<var-name>)', '{action}-fmt(<var-name>)' or \
             'unset-var(<var-name>)'",
            word.text
        );
        return Err(problem(message, word.span));
    };
    let name = rest.trim_end_matches(')').split(',').next().unwrap_or_default();
    let scopes = ["proc.", "sess.", "txn.", "req.", "res.", "check.", "psess.", "ptxn.", "preq.", "pres."];
    if scopes.iter().any(|scope| name.strip_prefix(scope).is_some_and(|name| !name.is_empty())) {
        return Ok(());
    }
    let message = format!(
        "invalid variable name '{name}'. A variable name must be start by its scope. The scope can be 'proc', 'sess', \
         'txn', 'req', 'res' or 'check'"
    );
    Err(problem(message, word.span))
}

fn capture(lowering: &mut Lowering<'_>, at: &RuleAt<'_>, words: &mut Words<'_>) -> Result<(), Problem> {
    let expects = "expects <expression> [ 'len' <length> | id <idx> ]";
    if words.peek().is_none_or(is_condition) {
        return Err(problem(expects, words.here()));
    }
    lowering.argument_expression(at, words)?;
    match (words.next().map(Word::as_str), words.next()) {
        (Some("len"), Some(length)) if length.text.parse::<u32>().is_ok_and(|length| length > 0) => Ok(()),
        (Some("len"), Some(length)) => Err(problem("length must be > 0", length.span)),
        (Some("id"), Some(id)) if id.text.parse::<u32>().is_ok() => Ok(()),
        (Some("id"), Some(id)) => Err(problem(format!("cannot parse id '{}'", id.text), id.span)),
        _ => Err(problem(expects, words.here())),
    }
}

fn log_level(words: &mut Words<'_>) -> Result<(), Problem> {
    const LEVELS: &[&str] = &["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "silent"];
    match words.next() {
        Some(word) if LEVELS.contains(&word.as_str()) => Ok(()),
        _ => Err(problem("expects exactly 1 argument (log level name or 'silent')", words.here())),
    }
}

pub(super) fn strict_mode(words: &mut Words<'_>) -> Result<(), Problem> {
    match words.next() {
        Some(word) if matches!(word.as_str(), "on" | "off") => Ok(()),
        Some(word) => {
            Err(problem(format!("Unexpected value '{}'. Only 'on' and 'off' are supported", word.text), word.span))
        }
        None => Err(problem("expects exactly one on/off argument", words.here())),
    }
}

fn set_timeout(words: &mut Words<'_>) -> Result<(), Problem> {
    let which = words.next();
    match which.map(Word::as_str) {
        Some("server" | "tunnel" | "client" | "connect" | "queue" | "tarpit") => {}
        other => {
            let message =
                format!("'set-timeout' rule supports 'server'/'tunnel' (got '{}')", other.unwrap_or_default());
            return Err(problem(message, which.map_or(words.here(), |word| word.span)));
        }
    }
    match words.next() {
        Some(_) => Ok(()),
        None => Err(problem("'set-timeout' rule expects a timeout or an expression", words.here())),
    }
}
