//! The arguments of actions that do not work yet: they are checked all the same, as far as haproxy says how many there are.

use super::super::arguments::{Problem, problem};
use super::super::is_condition;
use shared_config::haproxy::keyword::Action;
use shared_config::words::Words;

/// Checks them; the cursor is then at the condition.
pub(in crate::config::rules) fn check(row: &Action, words: &mut Words<'_>) -> Result<(), Problem> {
    if matches!(row.name, "cache-use" | "cache-store") && words.peek().is_none_or(is_condition) {
        return Err(problem("expects a cache name", words.here()));
    }
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
