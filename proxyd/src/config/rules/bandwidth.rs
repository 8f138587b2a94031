//! `filter bwlim-in`, `filter bwlim-out`, and the action that turns them on.

use super::arguments::{Problem, problem};
use super::expression::Voice;
use super::http_action::RuleAt;
use super::report::{self, code};
use super::{Lowering, is_condition};
use crate::rules::bandwidth::{Direction, Filter, Setting, Share};
use crate::rules::effect::{Amount, Effect};
use shared_config::diagnostic::Diagnostic;
use shared_config::haproxy::expr;
use shared_config::haproxy::keyword::{FILTERS, Support};
use shared_config::value::duration::{self, Unit};
use shared_config::value::size;
use shared_config::words::{Word, Words};
use std::sync::Arc;
use std::time::Duration;

/// The words of a filter, once read.
#[derive(Default)]
struct Written<'a> {
    default_limit: Option<u32>,
    default_period: Option<Duration>,
    limit: Option<u32>,
    key: Option<&'a Word>,
    table: Option<&'a Word>,
    min_size: u32,
}

impl Lowering<'_> {
    /// `filter NAME …`: those that work are kept for the rules that name them.
    pub(super) fn filter(&mut self, words: &mut Words<'_>) {
        let Some(kind) = words.next() else {
            return self.error(code::MISSING_ARGUMENT, words.here(), "'filter' : a filter name is expected.");
        };
        let Some(row) = FILTERS.iter().find(|row| row.name == kind.as_str()) else {
            let _rest = words.rest();
            let message = format!("'filter' : unknown filter '{}'.", kind.text);
            let nearest = shared_config::suggest::nearest(&kind.text, FILTERS.iter().map(|row| row.name));
            let help = nearest.map(|known| format!("did you mean `{known}`?"));
            let error = Diagnostic::error(code::UNKNOWN_NAME, kind.span, message);
            return self.out.push(report::with_help(error, help));
        };
        if row.support != Support::Works {
            let _rest = words.rest();
            return report::support(self.out, row.support, &format!("filter {}", row.name), kind.span);
        }
        let direction = if row.name == "bwlim-in" { Direction::In } else { Direction::Out };
        match self.bandwidth_filter(direction, row.name, words) {
            Ok(Some(filter)) => self.filters.push(Arc::new(filter)),
            Ok(None) => {}
            Err(problem) => {
                let before = format!("'filter {}' : ", row.name);
                self.out.push(report::sentence(problem).into_diagnostic(code::BAD_VALUE, &before));
            }
        }
    }

    fn bandwidth_filter(
        &mut self,
        direction: Direction,
        what: &str,
        words: &mut Words<'_>,
    ) -> Result<Option<Filter>, Problem> {
        let Some(name) = words.next() else {
            return Err(problem("a name is expected as first argument", words.here()));
        };
        let written = read(words)?;
        if self.filters.iter().any(|filter| filter.name == name.text) {
            return Err(problem(format!("there already is a filter '{}' in this proxy", name.text), name.span));
        }
        let (limit, share) = match (&written, written.default_limit, written.default_period, written.limit) {
            (Written { key: None, table: None, .. }, Some(limit), Some(period), None) => {
                (limit, Share::Stream { period })
            }
            (Written { key: Some(key), .. }, None, None, Some(limit)) => {
                let Some(share) = self.bandwidth_key(direction, what, key, written.table)? else { return Ok(None) };
                (limit, share)
            }
            _ => {
                let message = "either 'default-limit' and 'default-period', or 'limit' and 'key' with an optional 'table', are \
                               expected";
                return Err(problem(message, name.span));
            }
        };
        Ok(Some(Filter { name: name.text.clone(), direction, min_size: written.min_size, limit, share }))
    }

    /// `key EXPRESSION [table NAME]`
    fn bandwidth_key(
        &mut self,
        direction: Direction,
        what: &str,
        word: &Word,
        table: Option<&Word>,
    ) -> Result<Option<Share>, Problem> {
        let mut words = Words::new(std::slice::from_ref(word), word.span);
        let written = expr::parse(&mut words)?;
        let lowered = self.expression(&written, &written.fetch.name.text, Voice::Sample)?;
        let name = table.map_or(self.section.name, Word::as_str);
        let span = table.map_or(word.span, |table| table.span);
        let section = self.section.name;
        let Some(known) = self.names.tables.get(name).copied() else {
            return Err(problem(format!("unable to find stick-table '{name}' in proxy '{section}'"), span));
        };
        if !known.takes(lowered.output) {
            return Err(problem(format!("stick-table '{name}' uses a type incompatible with the key"), word.span));
        }
        let (stored, wanted) = match direction {
            Direction::In => (known.byte_rates.0, "bytes_in_rate"),
            Direction::Out => (known.byte_rates.1, "bytes_out_rate"),
        };
        if !stored {
            let message = format!("stick-table '{name}' does not store '{wanted}', which '{what}' needs");
            return Err(problem(message, span));
        }
        Ok(lowered.expression.map(|key| Share::Key { key, table: known.id }))
    }

    /// `set-bandwidth-limit NAME [limit …] [period …]`
    pub(super) fn set_bandwidth_limit(
        &mut self,
        at: &RuleAt<'_>,
        words: &mut Words<'_>,
    ) -> Result<Option<Effect>, Problem> {
        let Some(name) = words.next().filter(|word| !is_condition(word)) else {
            return Err(problem("missing the name of a bandwidth limitation filter", words.here()));
        };
        let (mut limit, mut period) = (None, None);
        loop {
            if words.take("limit").is_some() {
                let Some(word) = words.peek().filter(|word| !is_condition(word)) else {
                    return Err(problem("missing the limit", words.here()));
                };
                limit = match size::parse(&word.text).ok().and_then(|size| u32::try_from(size).ok()) {
                    Some(size) => words.next().map(|_| Amount::Fixed(size)),
                    None => self.rule_expression(at, words)?.map(Amount::Sample),
                };
            } else if words.take("period").is_some() {
                period = self.limit("missing the period", at, words)?;
            } else {
                break;
            }
        }
        let Some(filter) = self.filters.iter().find(|filter| filter.name == name.text).map(Arc::clone) else {
            let message = format!(
                "unable to find bwlim filter '{}' referenced by this rule in proxy '{}'",
                name.text, self.section.name
            );
            return Err(problem(message, name.span));
        };
        if matches!(filter.share, Share::Key { .. }) && (limit.is_some() || period.is_some()) {
            let message = format!("a limit or a period cannot be set for '{}', which is shared by a key", name.text);
            return Err(problem(message, name.span));
        }
        Ok(Some(Effect::Bandwidth(Box::new(Setting { filter, limit, period }))))
    }
}

/// The parameters behind a filter's name.
fn read<'a>(words: &mut Words<'a>) -> Result<Written<'a>, Problem> {
    let mut written = Written::default();
    while let Some(word) = words.next() {
        let here = words.here();
        let value = |words: &mut Words<'a>| {
            words.next().ok_or_else(|| problem(format!("'{}' : the value is missing", word.text), here))
        };
        let bytes = |word: &Word| {
            let size = size::parse(&word.text).ok().and_then(|size| u32::try_from(size).ok());
            size.ok_or_else(|| problem(format!("'{}' is not a valid size", word.text), word.span))
        };
        let limit = |word: &Word| {
            let size = bytes(word)?;
            if size == 0 { Err(problem("a limit must be greater than 0", word.span)) } else { Ok(Some(size)) }
        };
        match word.as_str() {
            "default-limit" => written.default_limit = limit(value(words)?)?,
            "limit" => written.limit = limit(value(words)?)?,
            "min-size" => written.min_size = bytes(value(words)?)?,
            "default-period" => {
                let word = value(words)?;
                let period = duration::parse(&word.text, Unit::Milliseconds).ok().filter(|period| !period.is_zero());
                let invalid = || problem(format!("'{}' is not a valid period", word.text), word.span);
                written.default_period = Some(period.ok_or_else(invalid)?);
            }
            "key" => written.key = Some(value(words)?),
            "table" => written.table = Some(value(words)?),
            other => return Err(problem(format!("unexpected argument '{other}'"), word.span)),
        }
    }
    Ok(written)
}
