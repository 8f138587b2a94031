//! `in_table` and `table_…`: the sample is a key, and what comes out is what a table knows under it.

use crate::ids::TableId;
use crate::sample::context::Context;
use crate::sample::value::Value;
use crate::stick::Key;
use crate::stick::ask::Ask;

/// What is wanted of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// `in_table`
    Presence,
    /// `table_gpc0` and its kin.
    Answer(Ask),
    /// `table_trackers`
    Trackers,
    /// `table_expire`: how much longer it lives, in milliseconds; and what it is where there is no entry.
    Expires(Option<i64>),
    /// `table_idle`: since when nobody touched it, in milliseconds; likewise.
    Idle(Option<i64>),
}

/// The sample as a key of a table. Looking does not prolong the entry's life.
pub(super) fn apply(
    context: &Context<'_>,
    table: TableId,
    wanted: Wanted,
    value: &Value<'_>,
) -> Option<Value<'static>> {
    let (table, now_ms) = (context.stream.live.table(table)?, context.stream.now_ms);
    let key = Key::of(table.settings().kind, value)?;
    let entry = if matches!(wanted, Wanted::Answer(ask) if ask.changes()) {
        table.obtain(&key, now_ms)
    } else {
        table.lookup(&key, now_ms)
    };
    let Some(entry) = entry else {
        return match wanted {
            Wanted::Presence => Some(Value::Bool(false)),
            Wanted::Answer(_) | Wanted::Trackers => Some(Value::Int(0)),
            Wanted::Expires(default) | Wanted::Idle(default) => default.map(Value::Int),
        };
    };
    let expires = table.expires_in(&entry, now_ms);
    Some(match wanted {
        Wanted::Presence => Value::Bool(true),
        Wanted::Answer(ask) => Value::count(ask.of(&mut entry.data(table.layout()), now_ms)?),
        Wanted::Trackers => Value::Int(entry.trackers().into()),
        Wanted::Expires(_) => Value::count(expires),
        // haproxy derives it from the time that is left; an entry that lives for ever is never idle.
        Wanted::Idle(_) => Value::count(table.settings().expire_ms.unwrap_or(0).saturating_sub(expires)),
    })
}
