//! A table: entries under keys, as many as its size allows, for as long as they are used.

use super::data::{Column, DataType, Layout};
use super::entry::Entry;
use super::key::{Key, KeyType};
use super::shard::Shard;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// From this size on a table has several locks.
const SHARDED_FROM: u32 = 8_192;

/// The locks of a large table.
const SHARDS: usize = 16;

/// How `server_key` names a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ServerKey {
    /// By its name.
    #[default]
    Name,
    /// By its address and port.
    Address,
}

/// What `stick-table` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The section's name, or `peers/table`.
    pub name: String,
    /// `type`
    pub kind: KeyType,
    /// `size`: entries at most.
    pub size: u32,
    /// `expire`, in milliseconds. `None`: entries stay until there is no room.
    pub expire_ms: Option<u64>,
    /// `nopurge`: when it is full, nothing new comes in.
    pub nopurge: bool,
    /// `srvkey`
    pub server_key: ServerKey,
    /// `store`
    pub columns: Vec<Column>,
}

impl Settings {
    /// Stores the server that is stuck to, where `store` has not said so.
    pub fn store_server(&mut self) {
        for kind in [DataType::ServerId, DataType::ServerKey] {
            if !self.columns.iter().any(|column| column.kind == kind) {
                self.columns.push(Column::plain(kind));
            }
        }
    }
}

/// A stick table. Shared by all workers.
#[derive(Debug)]
pub struct Table {
    settings: Settings,
    layout: Layout,
    used: AtomicU32,
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
}

impl Table {
    /// An empty table.
    pub fn new(settings: Settings) -> Arc<Self> {
        let shards = if settings.size < SHARDED_FROM { 1 } else { SHARDS };
        Arc::new(Self {
            layout: Layout::new(&settings.columns),
            used: AtomicU32::new(0),
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            settings,
        })
    }

    /// What it was defined as.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where the data of its entries stand.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// An entry that is there. Looking at it does not prolong its life.
    pub fn lookup(&self, key: &Key, now_ms: u64) -> Option<Arc<Entry>> {
        self.shard_of(key).get(key, self.oldest(now_ms)).cloned()
    }

    /// The entry of a key, made where there is none; its life begins anew. `None`: there is no room.
    pub fn obtain(&self, key: &Key, now_ms: u64) -> Option<Arc<Entry>> {
        self.obtain_and(key, now_ms, |_| {})
    }

    /// The same, and it is held until [`Entry::release`].
    pub(super) fn hold(&self, key: &Key, now_ms: u64) -> Option<Arc<Entry>> {
        self.obtain_and(key, now_ms, Entry::hold)
    }

    /// `then` is done under the shard's lock, before anybody can drop the entry.
    fn obtain_and(&self, key: &Key, now_ms: u64, then: impl Fn(&Entry)) -> Option<Arc<Entry>> {
        let oldest = self.oldest(now_ms);
        // Between making room and taking it another worker may be faster.
        for _ in 0..=self.shards.len() {
            let mut shard = self.shard_of(key);
            if let Some(entry) = shard.get(key, oldest) {
                entry.touch(now_ms);
                then(entry);
                return Some(Arc::clone(entry));
            }
            // One of that key that has expired makes room for its successor.
            shard.remove(key, &self.used);
            if self.reserve() {
                let entry = Arc::new(Entry::new(key.clone(), &self.layout, now_ms));
                then(&entry);
                shard.insert(Arc::clone(&entry));
                return Some(entry);
            }
            drop(shard);
            if !self.make_room(self.index(key), now_ms) {
                return None;
            }
        }
        None
    }

    /// One place, if there is one.
    fn reserve(&self) -> bool {
        let one_more = |used| (used < self.settings.size).then_some(used + 1);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// Drops what has expired, else a few of the oldest, of this shard first.
    fn make_room(&self, shard: usize, now_ms: u64) -> bool {
        self.expire(now_ms);
        if self.used.load(Ordering::Relaxed) < self.settings.size {
            return true;
        }
        if self.settings.nopurge {
            return false;
        }
        let wanted = (self.settings.size >> 8) as usize + 1;
        let from = self.shards.iter().skip(shard).chain(self.shards.iter().take(shard));
        for shard in from {
            if locked(shard).drop_oldest(wanted, now_ms, &self.used) > 0 {
                return true;
            }
        }
        false
    }

    /// Drops an entry; false where it stays because somebody tracks it.
    pub fn remove(&self, key: &Key) -> bool {
        self.shard_of(key).remove(key, &self.used)
    }

    /// All entries, by their keys.
    pub fn entries(&self, now_ms: u64) -> Vec<Arc<Entry>> {
        let oldest = self.oldest(now_ms);
        let mut entries: Vec<_> =
            self.shards.iter().flat_map(|shard| locked(shard).entries(oldest).cloned().collect::<Vec<_>>()).collect();
        entries.sort_unstable_by(|one, other| one.key().cmp(other.key()));
        entries
    }

    /// How many entries there are.
    pub fn used(&self, now_ms: u64) -> u32 {
        self.expire(now_ms);
        self.used.load(Ordering::Relaxed)
    }

    /// For how many more there is room.
    pub fn available(&self, now_ms: u64) -> u32 {
        self.settings.size.saturating_sub(self.used(now_ms))
    }

    /// How much longer an entry lives if nobody touches it, in milliseconds; 0 where it does not expire.
    pub fn expires_in(&self, entry: &Entry, now_ms: u64) -> u64 {
        self.settings.expire_ms.map_or(0, |life| (entry.touched_ms() + life).saturating_sub(now_ms))
    }

    fn expire(&self, now_ms: u64) {
        let oldest = self.oldest(now_ms);
        if oldest > 0 {
            self.shards.iter().for_each(|shard| locked(shard).expire(oldest, now_ms, &self.used));
        }
    }

    /// What was touched earlier than this has expired.
    fn oldest(&self, now_ms: u64) -> u64 {
        self.settings.expire_ms.map_or(0, |life| (now_ms + 1).saturating_sub(life))
    }

    fn index(&self, key: &Key) -> usize {
        if self.shards.len() == 1 {
            return 0;
        }
        usize::try_from(self.hasher.hash_one(key) % self.shards.len() as u64).unwrap_or(0)
    }

    fn shard_of(&self, key: &Key) -> MutexGuard<'_, Shard> {
        locked(&self.shards[self.index(key)])
    }

    /// Whether the count of entries is right, and nothing is lost in any shard.
    #[cfg(test)]
    pub(super) fn is_consistent(&self) -> bool {
        let entries: usize = self.shards.iter().map(|shard| locked(shard).entries(0).count()).sum();
        entries == self.used.load(Ordering::Relaxed) as usize
            && self.shards.iter().all(|shard| locked(shard).is_consistent())
    }
}

/// Nothing can panic while a shard is locked, so what a poisoned lock guards is as good as ever.
fn locked(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
