//! `stick`: which entries of stick tables say where a client goes, and which learn where it went.

use super::Rules;
use crate::ids::TableId;
use crate::sample::{Context, Expression};
use crate::stick::Key;

/// Keys that are stored for a request or a response at most (configuration.txt, `stick store-request`).
const STORES_MAX: usize = 8;

/// A rule: the key, the table, and what is done with both.
#[derive(Clone, Debug, PartialEq)]
pub struct Stick {
    /// In which table.
    pub table: TableId,
    /// Under which key.
    pub key: Expression,
    /// `stick match`, `stick on`: the client goes where the entry says.
    pub matches: bool,
    /// `stick store-…`, `stick on`: the entry learns where the client went.
    pub stores: bool,
}

impl Stick {
    fn key(&self, context: &Context<'_>) -> Option<Key> {
        let table = context.stream.live.table(self.table)?;
        Key::of(table.settings().kind, &self.key.value(context)?)
    }
}

/// What is to be stored once a server has taken the client; of each table the first key that is found.
#[derive(Debug, Default)]
pub struct ToStore(Vec<(TableId, Key)>);

impl ToStore {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys and their tables.
    pub fn iter(&self) -> impl Iterator<Item = &(TableId, Key)> {
        self.0.iter()
    }

    fn takes(&self, table: TableId) -> bool {
        self.0.len() < STORES_MAX && self.0.iter().all(|(other, _)| *other != table)
    }
}

impl Rules {
    /// `stick match`, `stick store-request`, `stick on`: `find` is asked for each key that may say where the client goes, until
    /// it knows.
    pub fn stick_request<S>(
        &self,
        context: &Context<'_>,
        stores: &mut ToStore,
        mut find: impl FnMut(TableId, &Key) -> Option<S>,
    ) -> Option<S> {
        let mut found = None;
        for rule in &self.stick_request {
            let (action, stores_it) = (&rule.action, rule.action.stores && stores.takes(rule.action.table));
            let of_use = stores_it || (action.matches && found.is_none());
            if !of_use || !rule.holds(&self.acls, context) {
                continue;
            }
            let Some(key) = action.key(context) else { continue };
            if action.matches && found.is_none() {
                found = find(action.table, &key);
            }
            if stores_it {
                stores.0.push((action.table, key));
            }
        }
        found
    }

    /// `stick store-response`
    pub fn stick_response(&self, context: &Context<'_>, stores: &mut ToStore) {
        for rule in &self.stick_response {
            if stores.takes(rule.action.table)
                && rule.holds(&self.acls, context)
                && let Some(key) = rule.action.key(context)
            {
                stores.0.push((rule.action.table, key));
            }
        }
    }
}
