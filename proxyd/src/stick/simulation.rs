//! A table under random use, compared with a plain list of what should be in it.

use super::data::Column;
use super::table::{ServerKey, Settings};
use super::{DataType, Key, KeyType, Table, Tracked};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;

fn settings(size: u32, expire_ms: Option<u64>, nopurge: bool) -> Settings {
    Settings {
        name: "t".to_owned(),
        kind: KeyType::Integer,
        size,
        expire_ms,
        nopurge,
        server_key: ServerKey::Name,
        columns: vec![Column::plain(DataType::ConnCnt), Column::plain(DataType::ConnCur)],
    }
}

#[derive(Clone, Debug)]
enum Step {
    Track(u32),
    /// Ends the oldest tracking.
    Release,
    Touch(u32),
    Clear(u32),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u32..12).prop_map(Step::Track),
        3 => Just(Step::Release),
        3 => (0_u32..12).prop_map(Step::Touch),
        1 => (0_u32..12).prop_map(Step::Clear),
        2 => (0_u64..400).prop_map(Step::Wait),
    ]
}

/// What the list knows of an entry.
#[derive(Clone, Copy, Default)]
struct Known {
    connections: u64,
    touched: u64,
    trackers: u64,
}

/// The list: entries by key, without any cleverness.
struct List {
    known: HashMap<u32, Known>,
    size: usize,
    expire_ms: Option<u64>,
    nopurge: bool,
}

impl List {
    fn forget(&mut self, now: u64) {
        let Some(life) = self.expire_ms else { return };
        self.known.retain(|_, known| known.trackers > 0 || known.touched + life > now);
    }

    fn obtain(&mut self, key: u32, now: u64, gone: impl Fn(u32) -> bool) -> Option<&mut Known> {
        if !self.known.contains_key(&key) && self.known.len() >= self.size {
            if self.nopurge {
                return None;
            }
            // Of several that are equally old, the table chooses.
            let oldest = self.known.values().filter(|known| known.trackers == 0).map(|known| known.touched).min()?;
            let mut candidates = self.known.iter().filter(|(_, known)| known.trackers == 0 && known.touched == oldest);
            let victim = *candidates.find(|(key, _)| gone(**key)).expect("one of the oldest went").0;
            self.known.remove(&victim);
        }
        let known = self.known.entry(key).or_default();
        known.touched = now;
        Some(known)
    }
}

fn run(size: u32, expire_ms: Option<u64>, nopurge: bool, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let table = Table::new(settings(size, expire_ms, nopurge));
    let mut list = List { known: HashMap::new(), size: size as usize, expire_ms, nopurge };
    let mut held: Vec<(u32, Tracked)> = Vec::new();
    let mut now = 1_000;
    for step in steps {
        list.forget(now);
        match step {
            Step::Wait(time) => now += time,
            Step::Track(key) => {
                let tracked = Tracked::begin(&table, &Key::Integer(key), now);
                let gone = |key| table.lookup(&Key::Integer(key), now).is_none();
                let known = list.obtain(key, now, gone);
                prop_assert_eq!(tracked.is_some(), known.is_some());
                if let Some(known) = known {
                    (known.connections, known.trackers) = (known.connections + 1, known.trackers + 1);
                }
                held.extend(tracked.map(|tracked| (key, tracked)));
            }
            Step::Release if !held.is_empty() => {
                let (key, tracked) = held.remove(0);
                tracked.entry().touch(now);
                let known = list.known.get_mut(&key).expect("what is held stays");
                (known.trackers, known.touched) = (known.trackers - 1, now);
            }
            Step::Release => {}
            Step::Touch(key) => {
                let entry = table.obtain(&Key::Integer(key), now);
                let gone = |key| table.lookup(&Key::Integer(key), now).is_none();
                prop_assert_eq!(entry.is_some(), list.obtain(key, now, gone).is_some());
            }
            Step::Clear(key) => {
                let free = list.known.get(&key).is_none_or(|known| known.trackers == 0);
                prop_assert_eq!(table.remove(&Key::Integer(key)), free);
                if free {
                    list.known.remove(&key);
                }
            }
        }
        list.forget(now);
        prop_assert!(table.is_consistent());
        compare(&table, &list, now)?;
    }
    Ok(())
}

fn compare(table: &Arc<Table>, list: &List, now: u64) -> Result<(), TestCaseError> {
    prop_assert!(table.used(now) <= table.settings().size);
    prop_assert_eq!(table.used(now) as usize, list.known.len());
    let mut keys: Vec<u32> = list.known.keys().copied().collect();
    keys.sort_unstable();
    let entries = table.entries(now);
    prop_assert_eq!(entries.len(), keys.len());
    for (entry, key) in entries.iter().zip(keys) {
        let known = list.known[&key];
        prop_assert_eq!(entry.key(), &Key::Integer(key));
        prop_assert_eq!(u64::from(entry.trackers()), known.trackers);
        let data = entry.data(table.layout());
        prop_assert_eq!(data.read(DataType::ConnCnt, 0, now), Some(known.connections));
        prop_assert_eq!(data.read(DataType::ConnCur, 0, now), Some(known.trackers));
        prop_assert_eq!(data.read(DataType::Gpc0, 0, now), None);
    }
    Ok(())
}

proptest! {
    #[test]
    fn oldest_go_first(size in 1_u32..9, steps in prop::collection::vec(step(), 1..120)) {
        run(size, None, false, steps)?;
    }

    #[test]
    fn what_nobody_touches_expires(size in 1_u32..9, life in 1_u64..900, steps in prop::collection::vec(step(), 1..120)) {
        run(size, Some(life), false, steps)?;
    }

    #[test]
    fn nothing_comes_in_when_nothing_may_go(size in 1_u32..9, life in 1_u64..900, steps in prop::collection::vec(step(), 1..120)) {
        run(size, Some(life), true, steps)?;
    }
}

/// Many threads on one large table: it never holds more than its size, and every connection is counted.
#[test]
fn shared_by_threads() {
    const SIZE: u32 = 10_000;
    const EACH: u32 = 20_000;
    let table = Table::new(settings(SIZE, None, false));
    std::thread::scope(|scope| {
        for worker in 0..4_u32 {
            let table = &table;
            scope.spawn(move || {
                let held = Tracked::begin(table, &Key::Integer(u32::MAX), 1).expect("there is room");
                for step in 0..EACH {
                    // Half of the keys are other workers' too.
                    let key = if step % 2 == 0 { step } else { step + worker * EACH };
                    drop(Tracked::begin(table, &Key::Integer(key), step.into()).expect("the oldest make room"));
                    assert!(table.used(step.into()) <= SIZE);
                }
                drop(held);
            });
        }
    });
    assert!(table.is_consistent());
    // A few are dropped at a time.
    assert!(table.used(0) > SIZE - SIZE / 100);
    let shared = table.lookup(&Key::Integer(u32::MAX), 0).expect("it was held all the time");
    assert_eq!(shared.data(table.layout()).read(DataType::ConnCnt, 0, 0), Some(4));
    assert_eq!(shared.trackers(), 0);
}

#[test]
fn keys_of_samples() {
    use crate::sample::Value;
    let text = |text: &'static str| Value::text(text.as_bytes());
    let ip = |ip: &str| Value::Ip(ip.parse().expect("an address"));
    for (kind, value, expected) in [
        (KeyType::Ip, ip("1.2.3.4"), Some("1.2.3.4")),
        (KeyType::Ip, ip("::ffff:1.2.3.4"), Some("1.2.3.4")),
        (KeyType::Ip, ip("2001:db8::1"), None),
        (KeyType::Ip, text("1.2.3.4"), Some("1.2.3.4")),
        (KeyType::Ip, text("x"), None),
        (KeyType::Ip, Value::Bool(true), None),
        (KeyType::Ipv6, ip("1.2.3.4"), Some("::ffff:1.2.3.4")),
        (KeyType::Ipv6, text("1.2.3.4"), None),
        (KeyType::Integer, Value::Int(-1), Some("4294967295")),
        (KeyType::Integer, ip("127.0.0.1"), Some("2130706433")),
        (KeyType::Text(4), text("abcdef"), Some("abcd")),
        (KeyType::Text(9), text("a b\\c\u{1}"), Some("a\\ b\\\\c\\x01")),
        (KeyType::Text(9), text("a\0b"), Some("a")),
        (KeyType::Bytes(4), text("ab"), Some("61620000")),
        (KeyType::Bytes(2), text("abc"), Some("6162")),
    ] {
        let key = Key::of(kind, &value);
        assert_eq!(key.as_ref().map(ToString::to_string).as_deref(), expected, "{kind:?} {value:?}");
        // A key is itself in every table of its type.
        if let Some(key) = key {
            assert_eq!(Key::of(kind, &key.value()), Some(key));
        }
    }
}
