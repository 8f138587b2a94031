//! Stick tables: what is remembered of clients, or of whatever a key stands for, and for how long.
//!
//! - [`table`] entries under keys: size, expiry, eviction; [`shard`] the part of a table behind one lock
//! - [`entry`] one entry, [`data`] what entries hold, [`rate`] events of a period, [`key`] what stands for a client
//! - [`tracked`] the entries that a connection or a request counts in
//! - [`ask`] what rules ask of an entry, [`show`] what operators see and change
//!
//! Who owns what: a [`Table`] is shared by all workers and outlives the configuration it came from as long as its
//! definition stays. Its shards own the entries; whoever tracks one holds it as well, and it is not dropped meanwhile. A
//! shard's lock is held for a look-up, an entry's for a counter; a request that uses no table takes neither. Times are
//! milliseconds on the workers' clock, always an argument.
//!
//! haproxy's manual: configuration.txt, `stick-table` in 4.2 and `sc_*` in 7.3.3; management.txt, `show table` in 9.3.

pub mod ask;
pub mod data;
pub mod entry;
pub mod key;
pub mod rate;
mod shard;
pub mod show;
pub mod table;
pub mod tracked;

pub use data::{Column, DataType};
pub use key::{Key, KeyType};
pub use table::{Settings, Table};
pub use tracked::{Counters, Tracked};

#[cfg(test)]
mod simulation;
