//! `filter bwlim-in` and `filter bwlim-out`: how many bytes of a body may go on at a moment.
//!
//! Each stream is paced: what has gone on takes up time at the rate of the limit, and until then nothing follows, so that bytes do not
//! come in bursts. A limit that streams share by a key holds beside that: what all of them moved within the table's period is
//! what the table says. Time is an argument.

use super::effect::{Amount, Limit};
use crate::ids::TableId;
use crate::sample::transaction::Transaction;
use crate::sample::{Context, Expression};
use crate::stick::entry::Entry;
use crate::stick::{DataType, Key, Table};
use std::sync::Arc;
use std::time::Duration;

/// How much time one go takes up, so that a fast stream is not woken for every byte.
const GO: u64 = 20;
/// The longest wait before it is asked again, in milliseconds: a shared limit may have room earlier than was thought.
const WAIT_MAX: u64 = 1_000;

/// Whose bytes are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `bwlim-in`: what clients send.
    In,
    /// `bwlim-out`: what is sent to them.
    Out,
}

/// A filter as a section declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// Its name.
    pub name: Box<str>,
    /// What it limits.
    pub direction: Direction,
    /// `min-size`: fewer bytes do not go on at a time, unless they are the last; in bytes.
    pub min_size: u32,
    /// Bytes per period.
    pub limit: u32,
    /// What the limit is of.
    pub share: Share,
}

/// What a limit is of.
#[derive(Clone, Debug, PartialEq)]
pub enum Share {
    /// `default-limit`, `default-period`: of one stream.
    Stream {
        /// The period.
        period: Duration,
    },
    /// `limit … key … table`: of all that have one key.
    Key {
        /// The key.
        key: Expression,
        /// The table, whose `bytes_in_rate` or `bytes_out_rate` has the period.
        table: TableId,
    },
}

/// `set-bandwidth-limit`: the filter, and what it says itself where that is not what the filter says.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The filter.
    pub filter: Arc<Filter>,
    /// `limit`
    pub limit: Option<Amount>,
    /// `period`
    pub period: Option<Limit>,
}

impl Setting {
    /// Notes the limit for the transfer that it is of; one that the same filter gave before does not hold any more.
    pub fn note(&self, context: &Context<'_>, transaction: &Transaction) {
        if let Some(meter) = self.meter(context) {
            let mut meters = transaction.rare().bandwidth.borrow_mut();
            meters.retain(|other| !meter.replaces(other));
            meters.push(meter);
        }
    }

    /// The meter of an exchange. `None`: it has no key.
    pub fn meter(&self, context: &Context<'_>) -> Option<Meter> {
        let filter = &self.filter;
        let mut meter = Meter {
            direction: filter.direction,
            filter: Arc::clone(filter),
            limit: u64::from(filter.limit),
            period_ms: 1_000,
            free_at_us: 0,
            shared: None,
        };
        match &filter.share {
            Share::Stream { period } => {
                let limit = self.limit.as_ref().and_then(|limit| limit.number(context)).filter(|limit| *limit > 0);
                let period = self.period.as_ref().and_then(|period| period.time(context)).unwrap_or(*period);
                meter.limit = limit.unwrap_or(meter.limit);
                meter.period_ms = u64::try_from(period.as_millis()).unwrap_or(u64::MAX).max(1);
            }
            Share::Key { key, table } => {
                let table = context.stream.live.table(*table)?;
                let key = Key::of(table.settings().kind, &key.value(context)?)?;
                let entry = table.obtain(&key, context.stream.now_ms)?;
                let (column, _) = table.layout().column(meter.data_type())?;
                meter.period_ms = u64::from(column.period_ms).max(1);
                meter.shared = Some((Arc::clone(table), entry));
            }
        }
        Some(meter)
    }
}

/// A limit that holds for an exchange.
#[derive(Debug)]
pub struct Meter {
    direction: Direction,
    filter: Arc<Filter>,
    /// Bytes per period.
    limit: u64,
    period_ms: u64,
    /// When what went on will have taken up its time, in microseconds.
    free_at_us: u64,
    shared: Option<(Arc<Table>, Arc<Entry>)>,
}

impl Meter {
    /// What it limits.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Whether it is of the same filter, which has one limit for an exchange: the last that was set.
    pub fn replaces(&self, other: &Self) -> bool {
        self.filter.name == other.filter.name
    }

    fn data_type(&self) -> DataType {
        match self.direction {
            Direction::In => DataType::BytesInRate,
            Direction::Out => DataType::BytesOutRate,
        }
    }

    /// How many bytes may go on now; the error is in how many milliseconds some may.
    fn room(&self, now_ms: u64) -> Result<u64, u64> {
        let now_us = now_ms.saturating_mul(1_000);
        if now_us < self.free_at_us {
            return Err((self.free_at_us - now_us).div_ceil(1_000));
        }
        let at_once = (self.limit.saturating_mul(GO) / self.period_ms).max(u64::from(self.filter.min_size)).max(1);
        let Some((table, entry)) = &self.shared else { return Ok(at_once) };
        let moved = entry.data(table.layout()).read(self.data_type(), 0, now_ms).unwrap_or(0);
        let left = self.limit.saturating_sub(moved);
        if left == 0 || left < u64::from(self.filter.min_size) {
            return Err((self.period_ms / 50).max(1));
        }
        Ok(at_once.min(left))
    }

    fn count(&mut self, bytes: u64, now_ms: u64) {
        let taken_us = bytes.saturating_mul(self.period_ms).saturating_mul(1_000) / self.limit.max(1);
        self.free_at_us = self.free_at_us.max(now_ms.saturating_mul(1_000)).saturating_add(taken_us);
        if let Some((table, entry)) = &self.shared {
            entry.data(table.layout()).add(self.data_type(), 0, bytes, now_ms);
            entry.touch(now_ms);
        }
    }
}

/// How many of `there` bytes may go on now, as all limits want it; the error is how long until some may.
pub fn room(meters: &[Meter], there: u64, now_ms: u64) -> Result<u64, Duration> {
    let mut most = Ok(there);
    for meter in meters {
        most = match (most, meter.room(now_ms)) {
            (Ok(most), Ok(room)) => Ok(most.min(room)),
            (Err(wait), Err(other)) => Err(other.max(wait)),
            (Err(wait), Ok(_)) | (Ok(_), Err(wait)) => Err(wait),
        };
    }
    most.map_err(|wait| Duration::from_millis(wait.min(WAIT_MAX)))
}

/// So many bytes went on.
pub fn count(meters: &mut [Meter], bytes: u64, now_ms: u64) {
    for meter in meters {
        meter.count(bytes, now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(limit: u32, period_ms: u64, min_size: u32) -> Meter {
        let share = Share::Stream { period: Duration::from_millis(period_ms) };
        let filter = Filter { name: "f".into(), direction: Direction::Out, min_size, limit, share };
        Meter {
            direction: Direction::Out,
            filter: Arc::new(filter),
            limit: limit.into(),
            period_ms,
            free_at_us: 0,
            shared: None,
        }
    }

    /// Moves as much as it may for so long; the bytes of each go and when.
    fn run(meters: &mut [Meter], from_ms: u64, to_ms: u64) -> Vec<(u64, u64)> {
        let (mut now, mut goes) = (from_ms, Vec::new());
        while now < to_ms {
            match room(meters, u64::MAX, now) {
                Ok(bytes) => {
                    count(meters, bytes, now);
                    goes.push((now, bytes));
                }
                Err(wait) => now += u64::try_from(wait.as_millis()).unwrap(),
            }
        }
        goes
    }

    #[test]
    fn bytes_go_on_at_the_rate_and_not_in_bursts() {
        for (limit, period) in [(100_000, 1_000), (1_000, 1_000), (5_000_000, 1_000), (3, 1_000), (60_000, 60_000)] {
            let goes = run(&mut [meter(limit, period, 0)], 5_000, 5_000 + 10 * period);
            let whole: u64 = goes.iter().map(|(_, bytes)| bytes).sum();
            let expected = 10 * u64::from(limit);
            assert!(whole <= expected + expected / 100 + 1 && whole >= expected * 9 / 10, "{limit}/{period}: {whole}");
            let first: u64 = goes.iter().filter(|(at, _)| *at < 5_000 + period / 10).map(|(_, bytes)| bytes).sum();
            assert!(first <= u64::from(limit) / 8 + 1, "{limit}/{period}: {first} at the beginning");
        }
    }

    #[test]
    fn fewer_than_the_least_do_not_go_on_by_themselves() {
        let goes = run(&mut [meter(1_000, 1_000, 500)], 0, 10_000);
        assert!(goes.iter().all(|(_, bytes)| *bytes == 500), "{goes:?}");
        assert_eq!(goes.len(), 20);
    }

    #[test]
    fn the_least_limit_counts_and_what_there_is_goes_at_once() {
        let mut two = [meter(1_000, 1_000, 0), meter(100, 1_000, 0)];
        let whole: u64 = run(&mut two, 0, 10_000).iter().map(|(_, bytes)| bytes).sum();
        assert!((900..=1_010).contains(&whole), "{whole}");
        assert_eq!(room(&[meter(1_000_000, 1_000, 0)], 7, 0), Ok(7));
    }
}
