//! What stick tables know: of the entry that a counter tracks, of the client's address, and of a whole table.

use super::End;
use crate::ids::TableId;
use crate::sample::context::Stream;
use crate::sample::value::Value;
use crate::stick::ask::Ask;
use crate::stick::{Key, Table};
use std::net::IpAddr;
use std::sync::Arc;

/// What is asked, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CounterFetch {
    /// `sc_…`: of the entry that a counter tracks, or of the one with its key in another table.
    Tracked {
        /// The counter.
        number: u8,
        /// The other table.
        table: Option<TableId>,
        /// What.
        ask: Ask,
    },
    /// `src_…`: of the entry of the client's address.
    Source {
        /// In which table.
        table: TableId,
        /// What.
        ask: Ask,
    },
    /// `sc_tracked`
    IsTracked(u8),
    /// `sc_trackers`
    Trackers(u8, Option<TableId>),
    /// `sc_key`
    Key(u8),
    /// `table_cnt`
    Used(TableId),
    /// `table_avl`
    Available(TableId),
}

impl CounterFetch {
    /// The sample. Of an entry that is not there, zero; none where nothing is tracked or the table does not store it.
    pub(super) fn value(self, stream: &Stream<'_>) -> Option<Value<'static>> {
        let number = match self {
            Self::Tracked { number, table: None, ask } => stream.tracked(number, |tracked| {
                let answer = ask.of(&mut tracked.data(), stream.now_ms);
                if ask.changes() {
                    tracked.entry().touch(stream.now_ms);
                }
                answer
            })?,
            Self::Tracked { number, table: Some(table), ask } => {
                let (table, key) = other_key(stream, number, table)?;
                let Some(entry) = key.and_then(|key| table.lookup(&key, stream.now_ms)) else {
                    return Some(Value::Int(0));
                };
                ask.of(&mut entry.data(table.layout()), stream.now_ms)
            }
            Self::Source { table, ask } => of_source(stream, table, ask),
            Self::IsTracked(number) => return Some(Value::Bool(stream.tracked(number, |_| ()).is_some())),
            Self::Trackers(number, None) => {
                stream.tracked(number, |tracked| Some(tracked.entry().trackers().into()))?
            }
            Self::Trackers(number, Some(table)) => {
                let (table, key) = other_key(stream, number, table)?;
                let entry = key.and_then(|key| table.lookup(&key, stream.now_ms));
                Some(entry.map_or(0, |entry| entry.trackers().into()))
            }
            Self::Key(number) => return stream.tracked(number, |tracked| tracked.entry().key().value().into_owned()),
            Self::Used(table) => Some(stream.live.table(table)?.used(stream.now_ms).into()),
            Self::Available(table) => Some(stream.live.table(table)?.available(stream.now_ms).into()),
        };
        number.map(Value::count)
    }
}

/// A table, and what is tracked in another as its key.
fn other_key<'a>(stream: &Stream<'a>, number: u8, table: TableId) -> Option<(&'a Arc<Table>, Option<Key>)> {
    let table = stream.live.table(table)?;
    Some((table, stream.tracked(number, |tracked| Key::of(table.settings().kind, &tracked.entry().key().value()))?))
}

fn of_source(stream: &Stream<'_>, table: TableId, ask: Ask) -> Option<u64> {
    let table = stream.live.table(table)?;
    let ip: IpAddr = stream.end(End::Source)?.ip().to_canonical();
    let key = Key::of(table.settings().kind, &Value::Ip(ip))?;
    if ask.changes() {
        let entry = table.obtain(&key, stream.now_ms)?;
        return ask.of(&mut entry.data(table.layout()), stream.now_ms);
    }
    match table.lookup(&key, stream.now_ms) {
        Some(entry) => ask.of(&mut entry.data(table.layout()), stream.now_ms),
        None => Some(0),
    }
}
