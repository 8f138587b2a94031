//! The entries that a connection or a request counts in: `track-sc0` and so on.
//!
//! A connection has counters of its own, which the rules on connections and sessions start; each request has others, started by
//! the rules on contents, requests and responses. What a rule asks of a counter is asked of the request's first.

use super::data::DataType;
use super::entry::{Data, Entry};
use super::key::Key;
use super::table::Table;
use std::cell::{OnceCell, RefCell};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A counter's number at most, where `tune.stick-counters` does not say otherwise.
pub const COUNTERS_DEFAULT: u8 = 3;

/// An entry that is tracked. It is not dropped before the tracking ends.
#[derive(Debug)]
pub struct Tracked {
    table: Arc<Table>,
    entry: Arc<Entry>,
}

impl Tracked {
    /// Starts tracking: a connection is counted. `None`: the table has no room.
    pub fn begin(table: &Arc<Table>, key: &Key, now_ms: u64) -> Option<Self> {
        let tracked = Self { entry: table.hold(key, now_ms)?, table: Arc::clone(table) };
        tracked.count(&[(DataType::ConnCnt, 1), (DataType::ConnRate, 1), (DataType::ConnCur, 1)], now_ms);
        Some(tracked)
    }

    /// Adds to what the table stores of these, and the entry's life begins anew.
    pub fn count(&self, what: &[(DataType, u64)], now_ms: u64) {
        let mut data = self.data();
        let stored = what.iter().filter(|(kind, amount)| data.add(*kind, 0, *amount, now_ms).is_some()).count();
        drop(data);
        if stored > 0 {
            self.entry.touch(now_ms);
        }
    }

    /// The table.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// The entry.
    pub fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// The entry's data, locked.
    pub fn data(&self) -> Data<'_> {
        self.entry.data(self.table.layout())
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.data().less(DataType::ConnCur);
        self.entry.release();
    }
}

/// The counters of a connection or of a request, by number. Nothing is allocated before the first is used.
#[derive(Debug, Default)]
pub struct Counters(OnceCell<Box<RefCell<Vec<Option<Tracked>>>>>);

impl Counters {
    /// Whether nothing is tracked at all.
    pub fn is_empty(&self) -> bool {
        self.0.get().is_none()
    }

    /// Whether this one tracks something.
    pub fn is_tracking(&self, number: u8) -> bool {
        self.with(number, |_| ()).is_some()
    }

    /// Starts one; if it tracks something already, that stays.
    pub fn start(&self, number: u8, tracked: Tracked) {
        let mut list = self.0.get_or_init(Box::default).borrow_mut();
        let index = usize::from(number);
        if list.len() <= index {
            list.resize_with(index + 1, || None);
        }
        if let Some(place) = list.get_mut(index) {
            place.get_or_insert(tracked);
        }
    }

    /// Looks at what one tracks.
    pub fn with<T>(&self, number: u8, look: impl FnOnce(&Tracked) -> T) -> Option<T> {
        self.0.get()?.borrow().get(usize::from(number))?.as_ref().map(look)
    }

    /// Adds to what all of them track.
    pub fn count(&self, what: &[(DataType, u64)], now_ms: u64) {
        let Some(list) = self.0.get() else { return };
        list.borrow().iter().flatten().for_each(|tracked| tracked.count(what, now_ms));
    }

    /// Ends the tracking of all. Where those who track are counted, that is a change, and the entry's life begins anew.
    pub fn end(&self, now_ms: u64) {
        let Some(list) = self.0.get() else { return };
        for tracked in list.borrow_mut().drain(..).flatten() {
            if tracked.table.layout().column(DataType::ConnCur).is_some() {
                tracked.entry.touch(now_ms);
            }
        }
    }
}

/// What a new connection of a tracked client adds, once the rules have let it in.
pub const SESSION: [(DataType, u64); 2] = [(DataType::SessCnt, 1), (DataType::SessRate, 1)];
/// What a request adds.
pub const REQUEST: [(DataType, u64); 2] = [(DataType::HttpReqCnt, 1), (DataType::HttpReqRate, 1)];
/// What an error of the client adds.
pub const ERROR: [(DataType, u64); 2] = [(DataType::HttpErrCnt, 1), (DataType::HttpErrRate, 1)];
/// What bytes that are no request add.
pub const GLITCH: [(DataType, u64); 2] = [(DataType::GlitchCnt, 1), (DataType::GlitchRate, 1)];
/// What a failure of a server adds.
pub const FAILURE: [(DataType, u64); 2] = [(DataType::HttpFailCnt, 1), (DataType::HttpFailRate, 1)];

/// What bytes add.
pub fn bytes(received: u64, sent: u64) -> [(DataType, u64); 4] {
    [
        (DataType::BytesInCnt, received),
        (DataType::BytesInRate, received),
        (DataType::BytesOutCnt, sent),
        (DataType::BytesOutRate, sent),
    ]
}

/// What a failure that counts as an error as well adds.
pub const BOTH: [(DataType, u64); 4] = [ERROR[0], ERROR[1], FAILURE[0], FAILURE[1]];

/// Statuses from 100 to 599.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct StatusSet([u64; 8]);

impl StatusSet {
    /// The statuses of a range.
    pub fn of(range: RangeInclusive<u16>) -> Self {
        let mut set = Self::default();
        set.put(range, true);
        set
    }

    /// Puts a range in, or takes it out.
    pub fn put(&mut self, range: RangeInclusive<u16>, is_in: bool) {
        for status in range {
            let Some((word, bit)) = Self::place(status) else { continue };
            let Some(word) = self.0.get_mut(word) else { continue };
            *word = if is_in { *word | bit } else { *word & !bit };
        }
    }

    /// Whether a status is in it.
    pub fn has(self, status: u16) -> bool {
        Self::place(status).is_some_and(|(word, bit)| self.0.get(word).is_some_and(|word| word & bit != 0))
    }

    fn place(status: u16) -> Option<(usize, u64)> {
        let number = status.checked_sub(100).filter(|&number| number < 500)?;
        Some((usize::from(number / 64), 1 << (number % 64)))
    }
}

/// What statuses say about the client or the server (`http-err-codes`, `http-fail-codes`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statuses {
    /// Errors of the client.
    pub errors: StatusSet,
    /// Failures of the server.
    pub failures: StatusSet,
}

impl Default for Statuses {
    fn default() -> Self {
        let mut failures = StatusSet::of(500..=599);
        failures.put(501..=501, false);
        failures.put(505..=505, false);
        Self { errors: StatusSet::of(400..=499), failures }
    }
}

impl Statuses {
    /// What a response with that status adds.
    pub fn count(&self, status: u16) -> &'static [(DataType, u64)] {
        match (self.errors.has(status), self.failures.has(status)) {
            (false, false) => &[],
            (true, false) => &ERROR,
            (false, true) => &FAILURE,
            (true, true) => &BOTH,
        }
    }
}

/// What a response with that status adds, where nothing else is configured.
pub fn of_status(status: u16, configured: Option<&Statuses>) -> &'static [(DataType, u64)] {
    match (configured, status) {
        (Some(statuses), _) => statuses.count(status),
        (None, 400..=499) => &ERROR,
        (None, 501 | 505) => &[],
        (None, 500..=599) => &FAILURE,
        (None, _) => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_by_default_is_what_is_done_without() {
        let statuses = Statuses::default();
        for status in 0..=999 {
            assert_eq!(of_status(status, Some(&statuses)), of_status(status, None), "{status}");
        }
        let mut both = statuses;
        both.errors.put(500..=502, true);
        assert_eq!(of_status(500, Some(&both)), BOTH);
        assert_eq!(of_status(501, Some(&both)), ERROR);
    }
}
