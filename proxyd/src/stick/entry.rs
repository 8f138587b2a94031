//! One entry of a table: its key, how fresh it is, who tracks it, and its data.

use super::data::{Column, DataType, Datum, Form, Layout};
use super::key::Key;
use super::rate::Rate;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a table knows about a key.
#[derive(Debug)]
pub struct Entry {
    key: Key,
    /// When it was made, tracked or changed last, in milliseconds.
    touched_ms: AtomicU64,
    /// Who holds it; it stays while there is anybody.
    trackers: AtomicU32,
    data: Mutex<Box<[Datum]>>,
}

impl Entry {
    /// A new entry.
    pub(super) fn new(key: Key, layout: &Layout, now_ms: u64) -> Self {
        Self { key, touched_ms: AtomicU64::new(now_ms), trackers: AtomicU32::new(0), data: Mutex::new(layout.empty()) }
    }

    /// Its key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// When it was last made, tracked or changed.
    pub fn touched_ms(&self) -> u64 {
        self.touched_ms.load(Ordering::Relaxed)
    }

    /// Its life begins anew.
    pub fn touch(&self, now_ms: u64) {
        self.touched_ms.fetch_max(now_ms, Ordering::Relaxed);
    }

    /// How many track it.
    pub fn trackers(&self) -> u32 {
        self.trackers.load(Ordering::Acquire)
    }

    /// One more tracks it. Only under the lock of its shard, which looks at this before it drops an entry.
    pub(super) fn hold(&self) {
        self.trackers.fetch_add(1, Ordering::AcqRel);
    }

    /// One less tracks it.
    pub(super) fn release(&self) {
        self.trackers.fetch_sub(1, Ordering::AcqRel);
    }

    /// Its data, for as long as this is held.
    pub fn data<'e>(&'e self, layout: &'e Layout) -> Data<'e> {
        // Nothing can panic while it is held, so what a poisoned lock guards is as good as ever.
        Data { layout, data: self.data.lock().unwrap_or_else(PoisonError::into_inner) }
    }
}

/// The data of an entry, locked.
#[derive(Debug)]
pub struct Data<'e> {
    layout: &'e Layout,
    data: MutexGuard<'e, Box<[Datum]>>,
}

impl Data<'_> {
    /// A number, or the events of a period that ends now. `None`: the table does not store it.
    pub fn read(&self, kind: DataType, element: u8, now_ms: u64) -> Option<u64> {
        let (column, place) = self.layout.place(kind, element)?;
        match self.data.get(place)? {
            Datum::Number(number) => Some(*number),
            Datum::Rate(rate) => Some(rate.read(column.period_ms, now_ms)),
            Datum::Name(_) => None,
        }
    }

    /// Adds to a number or to the events of the current period; the new number. `None`: the table does not store it.
    pub fn add(&mut self, kind: DataType, element: u8, amount: u64, now_ms: u64) -> Option<u64> {
        self.change(kind, element, |column, datum| match datum {
            Datum::Number(number) => {
                *number = in_range(column, number.wrapping_add(amount));
                *number
            }
            Datum::Rate(rate) => {
                rate.add(u32::try_from(amount).unwrap_or(u32::MAX), column.period_ms, now_ms);
                rate.read(column.period_ms, now_ms)
            }
            Datum::Name(_) => 0,
        })
    }

    /// Takes one from a number that counts what goes on.
    pub fn less(&mut self, kind: DataType) {
        self.change(kind, 0, |_, datum| {
            if let Datum::Number(number) = datum {
                *number = number.saturating_sub(1);
            }
        });
    }

    /// Replaces a number, or begins a period with so many events; the old number. `None`: the table does not store it.
    pub fn set(&mut self, kind: DataType, element: u8, value: u64, now_ms: u64) -> Option<u64> {
        self.change(kind, element, |column, datum| match datum {
            Datum::Number(number) => std::mem::replace(number, in_range(column, value)),
            Datum::Rate(rate) => {
                let old = rate.read(column.period_ms, now_ms);
                #[expect(clippy::cast_possible_truncation, reason = "as for numbers, the lower 32 bits")]
                let events = value as u32;
                *rate = Rate::of(events, now_ms);
                old
            }
            Datum::Name(_) => 0,
        })
    }

    /// The name of the server that is stuck to.
    pub fn server_key(&self) -> Option<Arc<String>> {
        let (_, place) = self.layout.place(DataType::ServerKey, 0)?;
        match self.data.get(place)? {
            Datum::Name(name) => name.clone(),
            Datum::Number(_) | Datum::Rate(_) => None,
        }
    }

    /// Sets the name of the server that is stuck to.
    pub fn set_server_key(&mut self, name: Option<Arc<String>>) {
        self.change(DataType::ServerKey, 0, |_, datum| *datum = Datum::Name(name));
    }

    fn change<T>(&mut self, kind: DataType, element: u8, change: impl FnOnce(Column, &mut Datum) -> T) -> Option<T> {
        let (column, place) = self.layout.place(kind, element)?;
        self.data.get_mut(place).map(|datum| change(column, datum))
    }
}

/// Numbers of 32 bits begin again at zero, as haproxy's do.
fn in_range(column: Column, number: u64) -> u64 {
    if column.kind.form() == Form::Long { number } else { number & u64::from(u32::MAX) }
}
