//! The part of a table behind one lock: entries by key, and the order in which they grow old.
//!
//! An entry's place in that order is where it was put last. Touching an entry does not move it; whoever comes across an entry
//! that is fresher than its place puts it where it belongs. So a counter that is updated costs no lock but the entry's.

use super::entry::Entry;
use super::key::Key;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Entries that are looked at for one that can be dropped, at most: where so many are held, the new one has to go without.
const SCAN_MAX: usize = 4_096;

/// When an entry was believed to be touched last, and a number to tell those of one millisecond apart.
type Place = (u64, u64);

#[derive(Debug)]
struct Slot {
    entry: Arc<Entry>,
    place: Place,
}

/// What one lock guards.
#[derive(Debug, Default)]
pub(super) struct Shard {
    slots: HashMap<Key, Slot>,
    ages: BTreeMap<Place, Key>,
    next: u64,
}

impl Shard {
    /// An entry that is there and has not expired.
    pub(super) fn get(&self, key: &Key, oldest_ms: u64) -> Option<&Arc<Entry>> {
        self.slots.get(key).map(|slot| &slot.entry).filter(|entry| is_alive(entry, oldest_ms))
    }

    /// Takes a new entry in; the caller has made sure that there is none of that key.
    pub(super) fn insert(&mut self, entry: Arc<Entry>) {
        let place = self.place(entry.touched_ms());
        self.ages.insert(place, entry.key().clone());
        self.slots.insert(entry.key().clone(), Slot { entry, place });
    }

    /// Drops entries that were not touched since then.
    pub(super) fn expire(&mut self, oldest_ms: u64, now_ms: u64, used: &AtomicU32) {
        // Each may be put where it belongs once, and then be dropped.
        let mut left = 2 * self.ages.len();
        while let Some(first) = self.ages.first_entry()
            && first.key().0 < oldest_ms
            && left > 0
        {
            left -= 1;
            let key = first.remove();
            self.drop_or_keep(key, now_ms, used);
        }
    }

    /// Drops so many of those that nobody touched for the longest time; how many it were.
    pub(super) fn drop_oldest(&mut self, wanted: usize, now_ms: u64, used: &AtomicU32) -> usize {
        let (mut left, mut dropped) = ((2 * self.ages.len()).min(wanted + SCAN_MAX), 0);
        while dropped < wanted
            && left > 0
            && let Some(first) = self.ages.first_entry()
        {
            left -= 1;
            let key = first.remove();
            dropped += usize::from(self.drop_or_keep(key, now_ms, used));
        }
        dropped
    }

    /// Drops an entry whose place is taken out already, or gives it the place it should have. Whether it was dropped.
    fn drop_or_keep(&mut self, key: Key, now_ms: u64, used: &AtomicU32) -> bool {
        let Some(slot) = self.slots.get_mut(&key) else { return false };
        let touched = slot.entry.touched_ms();
        let belongs = match slot.entry.trackers() {
            0 if touched <= slot.place.0 => {
                self.slots.remove(&key);
                used.fetch_sub(1, Ordering::Relaxed);
                return true;
            }
            0 => touched,
            _ => now_ms,
        };
        self.next += 1;
        let place = (belongs, self.next);
        slot.place = place;
        self.ages.insert(place, key);
        false
    }

    /// Drops an entry unless somebody tracks it; whether it is gone.
    pub(super) fn remove(&mut self, key: &Key, used: &AtomicU32) -> bool {
        let Some(slot) = self.slots.get(key) else { return true };
        if slot.entry.trackers() > 0 {
            return false;
        }
        self.ages.remove(&slot.place);
        self.slots.remove(key);
        used.fetch_sub(1, Ordering::Relaxed);
        true
    }

    /// All entries that have not expired.
    pub(super) fn entries(&self, oldest_ms: u64) -> impl Iterator<Item = &Arc<Entry>> {
        self.slots.values().map(|slot| &slot.entry).filter(move |entry| is_alive(entry, oldest_ms))
    }

    fn place(&mut self, touched_ms: u64) -> Place {
        self.next += 1;
        (touched_ms, self.next)
    }

    /// Whether both sides know the same entries.
    #[cfg(test)]
    pub(super) fn is_consistent(&self) -> bool {
        self.slots.len() == self.ages.len()
            && self.slots.iter().all(|(key, slot)| self.ages.get(&slot.place) == Some(key) && slot.entry.key() == key)
    }
}

fn is_alive(entry: &Entry, oldest_ms: u64) -> bool {
    entry.touched_ms() >= oldest_ms || entry.trackers() > 0
}
