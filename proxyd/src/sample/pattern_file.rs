//! Patterns that stand in a file and can be changed while the process runs: those of an ACL, or the keys of a map with a value
//! each.
//!
//! A file is one list, whoever uses it; each use looks it up in its own way. Reading takes a shared lock, and only where a
//! file is used: patterns written in the configuration are compiled for good and take none.

use super::pattern::{Method, Range, embedded_ipv4};
use super::prefix_map::Case;
use super::regex::Regex;
use super::value::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// A file of patterns.
#[derive(Debug)]
pub struct PatternFile {
    /// Its name, as the configuration has it.
    pub name: Box<str>,
    /// Its number among the files of the configuration.
    pub number: usize,
    inner: RwLock<Inner>,
}

/// The patterns that a test of an ACL has in the configuration itself: compiled for good, listed for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenPatterns {
    /// Their number, among the files.
    pub number: usize,
    /// The word that tells what is tested.
    pub keyword: Box<str>,
    /// The configuration's file, and the line there.
    pub place: (Box<str>, u32),
    /// The patterns.
    pub patterns: Vec<Box<str>>,
}

/// Who uses a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An ACL: the patterns matter.
    Acl,
    /// A map: each key has a value.
    Map,
}

/// What the values of a map are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// There are none that matter, or texts.
    Text,
    /// Texts with the groups of an expression in them (`map_regm`).
    Groups,
    /// Integers.
    Integer,
    /// Addresses.
    Address,
}

impl Values {
    /// Whether a value is one of these.
    pub fn take(self, value: &[u8]) -> bool {
        let text = std::str::from_utf8(value).unwrap_or_default();
        match self {
            Self::Text | Self::Groups => true,
            Self::Integer => text.parse::<i64>().is_ok(),
            Self::Address => text.parse::<IpAddr>().is_ok(),
        }
    }
}

/// Why a line is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The key does not fit this method.
    Key(Method),
    /// A use takes no such value.
    Value,
    /// There is no such version yet.
    Version,
}

/// The versions of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The one that is looked up.
    pub current: u32,
    /// The last one that was begun.
    pub next: u32,
    /// Lines of all of them.
    pub lines: usize,
}

/// What one use finds for a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The use.
    pub how: Use,
    /// It is looked up in a table, where the others are walked.
    pub table: bool,
    /// The line.
    pub entry: Option<Entry>,
}

impl PartialEq for PatternFile {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.read().entries == other.read().entries
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// By which it is named, as haproxy names it by an address of its memory.
    pub id: u64,
    /// The pattern, or the key.
    pub key: Box<[u8]>,
    /// What a map gives for it.
    pub value: Box<[u8]>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: Vec<Entry>,
    uses: Vec<Lookup>,
    kinds: Vec<Kind>,
    /// Lines that there ever were.
    lines: u64,
    /// The version that is looked up, and the last one that was begun.
    versions: (u32, u32),
    /// The lines of other versions.
    prepared: BTreeMap<u32, Vec<Entry>>,
}

impl Inner {
    fn entry(&mut self, key: &[u8], value: &[u8]) -> Entry {
        self.lines += 1;
        Entry { id: self.lines, key: key.into(), value: value.into() }
    }
}

/// How one use compares; it compiles keys in its own way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// `-m`
    pub method: Method,
    /// `-i`
    pub case: Case,
    /// What its values are.
    pub values: Values,
}

/// A key that the method of a use cannot take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadKey;

/// Compiles a key.
pub type Compile = fn(Method, Case, &[u8]) -> Result<Key, BadKey>;

/// A compiled key.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    /// For the methods that compare texts.
    Text(Box<[u8]>),
    /// `int`, `len`
    Number(Range),
    /// `ip`: an address as IPv6 has it, and how many leading bits of it count.
    Network(u128, u8),
    /// `reg`
    Regex(Regex),
}

/// What one use looks up in: texts in a table, the rest in order.
#[derive(Debug)]
struct Lookup {
    how: Use,
    compile: Compile,
    /// `str`, `bin` and `beg` without `-i`: the entry of a text.
    exact: HashMap<Box<[u8]>, usize>,
    /// `ip`: the entry of a network, by its prefix.
    networks: HashMap<(u8, u128), usize>,
    /// The lengths of texts or prefixes there are: so many look-ups find the longest.
    lengths: BTreeSet<usize>,
    /// For the others, in the order of the file.
    keys: Vec<(Key, usize)>,
}

impl PatternFile {
    /// A file with these lines, keys and values.
    pub fn new(name: &str, number: usize, lines: &[(&[u8], &[u8])]) -> Self {
        let mut inner = Inner::default();
        inner.entries = lines.iter().map(|(key, value)| inner.entry(key, value)).collect();
        Self { name: name.into(), number, inner: RwLock::new(inner) }
    }

    /// It is used as one of these.
    pub fn used_as(&self, kind: Kind) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if !inner.kinds.contains(&kind) {
            inner.kinds.push(kind);
        }
    }

    /// Whether it is used as one of these.
    pub fn is(&self, kind: Kind) -> bool {
        self.read().kinds.contains(&kind)
    }

    /// A way of looking things up; the number it is asked for with. Keys that do not fit are given back by their line.
    pub fn add_use(&self, how: Use, compile: Compile) -> (usize, Vec<usize>) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = inner.uses.iter().position(|known| known.how == how) {
            return (known, Vec::new());
        }
        let mut lookup = Lookup {
            how,
            compile,
            exact: HashMap::new(),
            networks: HashMap::new(),
            lengths: BTreeSet::new(),
            keys: Vec::new(),
        };
        let bad = lookup.fill(&inner.entries);
        inner.uses.push(lookup);
        (inner.uses.len() - 1, bad)
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry that a sample satisfies in one use: of networks and beginnings the longest, else the first in the file.
    fn find(inner: &Inner, number: usize, sample: &Value<'_>) -> Option<usize> {
        inner.uses.get(number)?.find(sample)
    }

    /// Whether a sample satisfies any pattern.
    pub fn matches(&self, number: usize, sample: &Value<'_>) -> bool {
        Self::find(&self.read(), number, sample).is_some()
    }

    /// Whether a sample can be looked up at all.
    pub fn takes(&self, number: usize, sample: &Value<'_>) -> bool {
        match self.read().uses.get(number).map(|lookup| lookup.how.method) {
            Some(Method::Ip) => sample.to_ip().is_some(),
            Some(Method::Int) => sample.to_int().is_some(),
            Some(_) => true,
            None => false,
        }
    }

    /// The value of the key that a sample satisfies.
    pub fn value(&self, number: usize, sample: &Value<'_>) -> Option<Vec<u8>> {
        let inner = self.read();
        let entry = inner.entries.get(Self::find(&inner, number, sample)?)?;
        Some(entry.value.to_vec())
    }

    /// The key itself.
    pub fn key(&self, number: usize, sample: &Value<'_>) -> Option<Vec<u8>> {
        let inner = self.read();
        let entry = inner.entries.get(Self::find(&inner, number, sample)?)?;
        Some(entry.key.to_vec())
    }

    /// The key's expression with what it matched, for `map_regm`.
    pub fn regex_value(&self, number: usize, sample: &[u8]) -> Option<(Vec<u8>, Regex)> {
        let inner = self.read();
        let value = Value::text(sample);
        let lookup = inner.uses.get(number)?;
        let (key, entry) = lookup.keys.iter().find(|(key, _)| lookup.fits(key, &value))?;
        let Key::Regex(regex) = key else { return None };
        Some((inner.entries.get(*entry)?.value.to_vec(), regex.clone()))
    }

    /// Adds a line, unless its key is there already.
    pub fn add(&self, key: &[u8], value: &[u8]) -> Result<(), BadKey> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if inner.entries.iter().any(|entry| &*entry.key == key) {
            return Ok(());
        }
        let number = inner.entries.len();
        for lookup in &mut inner.uses {
            lookup.add(key, number)?;
        }
        let entry = inner.entry(key, value);
        inner.entries.push(entry);
        Ok(())
    }

    /// Adds a line to a version, or to the one that is looked up, whether or not its key is there already.
    pub fn append(&self, version: Option<u32>, key: &[u8], value: &[u8]) -> Result<(), Refused> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let (current, next) = inner.versions;
        let version = version.unwrap_or(current);
        if version > next {
            return Err(Refused::Version);
        }
        for lookup in &inner.uses {
            let method = lookup.how.method;
            (lookup.compile)(method, lookup.how.case, key).map_err(|BadKey| Refused::Key(method))?;
            if !lookup.how.values.take(value) {
                return Err(Refused::Value);
            }
        }
        let entry = inner.entry(key, value);
        if version != current {
            inner.prepared.entry(version).or_default().push(entry);
            return Ok(());
        }
        let number = inner.entries.len();
        for lookup in &mut inner.uses {
            // It has just been found to fit.
            let _fits = lookup.add(key, number);
        }
        inner.entries.push(entry);
        Ok(())
    }

    /// Begins another version; its number.
    pub fn prepare(&self) -> u32 {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.versions.1 = inner.versions.1.saturating_add(1);
        inner.versions.1
    }

    /// Looks up a version that was begun from now on, and forgets those before it; whether it is one.
    pub fn commit(&self, version: u32) -> bool {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let Inner { entries, uses, versions, prepared, .. } = &mut *inner;
        if version <= versions.0 || version > versions.1 {
            return false;
        }
        versions.0 = version;
        *entries = prepared.remove(&version).unwrap_or_default();
        prepared.retain(|other, _| *other > version);
        for lookup in uses {
            // A use that came later may have no place for a line.
            lookup.fill(entries);
        }
        true
    }

    /// Removes all lines of a version, or of the one that is looked up.
    pub fn clear(&self, version: Option<u32>) {
        if let Some(version) = version {
            let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            if version != inner.versions.0 {
                inner.prepared.remove(&version);
                return;
            }
        }
        self.remove_all(|_| true);
    }

    /// The lines of a version.
    pub fn version(&self, version: u32) -> Vec<Entry> {
        let inner = self.read();
        if version == inner.versions.0 {
            return inner.entries.clone();
        }
        inner.prepared.get(&version).cloned().unwrap_or_default()
    }

    /// Which versions there are.
    pub fn versions(&self) -> Versions {
        let inner = self.read();
        let lines = inner.entries.len() + inner.prepared.values().map(Vec::len).sum::<usize>();
        Versions { current: inner.versions.0, next: inner.versions.1, lines }
    }

    /// Sets the value of the lines that are meant; whether there are any.
    pub fn change(&self, meant: impl Fn(&Entry) -> bool, value: &[u8]) -> Result<bool, Refused> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if !inner.uses.iter().all(|lookup| lookup.how.values.take(value)) {
            return Err(Refused::Value);
        }
        let mut found = false;
        for entry in inner.entries.iter_mut().filter(|entry| meant(entry)) {
            entry.value = value.into();
            found = true;
        }
        Ok(found)
    }

    /// What each use finds for a text.
    pub fn look_up(&self, text: &[u8]) -> Vec<Found> {
        let inner = self.read();
        let sample = Value::text(text);
        let found = |lookup: &Lookup| Found {
            how: lookup.how.clone(),
            table: lookup.has_table(),
            entry: lookup.find(&sample).and_then(|entry| inner.entries.get(entry)).cloned(),
        };
        inner.uses.iter().map(found).collect()
    }

    /// Sets the value of a key, which is added where it is not there.
    pub fn set(&self, key: &[u8], value: &[u8]) -> Result<(), BadKey> {
        {
            let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            let mut found = false;
            for entry in inner.entries.iter_mut().filter(|entry| &*entry.key == key) {
                entry.value = value.into();
                found = true;
            }
            if found {
                return Ok(());
            }
        }
        self.add(key, value)
    }

    /// Removes all lines with that key.
    pub fn remove(&self, key: &[u8]) {
        self.remove_all(|entry| &*entry.key == key);
    }

    /// Removes the lines that are meant; whether there were any.
    pub fn remove_all(&self, meant: impl Fn(&Entry) -> bool) -> bool {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let Inner { entries, uses, .. } = &mut *inner;
        let before = entries.len();
        entries.retain(|entry| !meant(entry));
        let removed = entries.len() < before;
        if removed {
            for lookup in uses {
                lookup.fill(entries);
            }
        }
        removed
    }

    /// The lines, for those who list them.
    pub fn entries(&self) -> Vec<Entry> {
        self.read().entries.clone()
    }
}

impl Lookup {
    /// Starts anew; the lines whose keys do not fit.
    fn fill(&mut self, entries: &[Entry]) -> Vec<usize> {
        self.exact.clear();
        self.networks.clear();
        self.lengths.clear();
        self.keys.clear();
        let bad = |(number, entry): (usize, &Entry)| self.add(&entry.key, number).is_err().then_some(number);
        entries.iter().enumerate().filter_map(bad).collect()
    }

    fn add(&mut self, key: &[u8], number: usize) -> Result<(), BadKey> {
        let compiled = (self.compile)(self.how.method, self.how.case, key)?;
        let table = self.has_text_table();
        match compiled {
            Key::Text(text) if table => {
                self.lengths.insert(text.len());
                self.exact.entry(text).or_insert(number);
            }
            Key::Network(address, prefix) => {
                self.lengths.insert(prefix.into());
                self.networks.entry((prefix, masked(address, prefix))).or_insert(number);
            }
            key => self.keys.push((key, number)),
        }
        Ok(())
    }

    fn has_text_table(&self) -> bool {
        matches!(self.how.method, Method::Str | Method::Bin | Method::Beg) && self.how.case == Case::Exact
    }

    /// Whether haproxy has a table for the same.
    fn has_table(&self) -> bool {
        self.how.method == Method::Ip || self.has_text_table() && self.how.method != Method::Bin
    }

    fn find(&self, sample: &Value<'_>) -> Option<usize> {
        match self.how.method {
            Method::Found => return Some(0),
            Method::Str if self.how.case == Case::Exact => return self.exact.get(&*sample.matched()).copied(),
            Method::Bin if self.how.case == Case::Exact => return self.exact.get(&*sample.matched_bytes()).copied(),
            Method::Beg if self.how.case == Case::Exact => return self.beginning(&sample.matched()),
            Method::Ip => return self.network(sample.to_ip()?),
            _ => {}
        }
        self.keys.iter().find(|(key, _)| self.fits(key, sample)).map(|(_, entry)| *entry)
    }

    fn beginning(&self, text: &[u8]) -> Option<usize> {
        let mut lengths = self.lengths.range(..=text.len()).rev();
        lengths.find_map(|&length| self.exact.get(&text[..length])).copied()
    }

    fn network(&self, ip: IpAddr) -> Option<usize> {
        let address = match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let embedded = || self.network_of(u128::from(embedded_ipv4(address)?.to_ipv6_mapped()));
        self.network_of(u128::from(address)).or_else(embedded)
    }

    fn network_of(&self, address: u128) -> Option<usize> {
        let mut prefixes = self.lengths.iter().rev().filter_map(|&length| u8::try_from(length).ok());
        prefixes.find_map(|prefix| self.networks.get(&(prefix, masked(address, prefix)))).copied()
    }

    fn fits(&self, key: &Key, sample: &Value<'_>) -> bool {
        match key {
            Key::Text(text) if self.how.method == Method::Bin => self.text_fits(text, &sample.matched_bytes()),
            Key::Text(text) => self.text_fits(text, &sample.matched()),
            Key::Number(range) => {
                let number = match self.how.method {
                    Method::Len => i64::try_from(sample.matched().len()).ok(),
                    _ => sample.to_int(),
                };
                number.is_some_and(|number| range.min <= number && number <= range.max)
            }
            // Networks stand in a table of their own.
            Key::Network(..) => false,
            Key::Regex(regex) => regex.is_match(&sample.matched()),
        }
    }

    fn text_fits(&self, text: &[u8], sample: &[u8]) -> bool {
        let same = |one: &[u8]| match self.how.case {
            Case::Exact => one == text,
            Case::Ignored => one.eq_ignore_ascii_case(text),
        };
        let within = |delimiters: &[u8]| {
            let ends = |at: usize| sample.get(at).is_none_or(|byte| delimiters.contains(byte));
            (0..sample.len())
                .filter(|&at| at == 0 || delimiters.contains(&sample[at - 1]))
                .any(|at| sample.get(at..at + text.len()).is_some_and(same) && ends(at + text.len()))
        };
        match self.how.method {
            Method::Beg => sample.get(..text.len()).is_some_and(same),
            Method::End => sample.len().checked_sub(text.len()).is_some_and(|at| same(&sample[at..])),
            Method::Sub => text.is_empty() || sample.windows(text.len()).any(same),
            Method::Dir => !text.is_empty() && within(super::pattern::DIR_DELIMITERS),
            Method::Dom => !text.is_empty() && within(super::pattern::DOM_DELIMITERS),
            Method::Str | Method::Bin => same(sample),
            Method::Found | Method::Bool | Method::Int | Method::Ip | Method::Len | Method::Reg => false,
        }
    }
}

fn masked(address: u128, prefix: u8) -> u128 {
    address & u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(lines: &[(&str, &str)]) -> PatternFile {
        let lines: Vec<_> = lines.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes())).collect();
        PatternFile::new("f", 0, &lines)
    }

    fn text(_: Method, _: Case, key: &[u8]) -> Result<Key, BadKey> {
        if key == b"bad" { Err(BadKey) } else { Ok(Key::Text(key.into())) }
    }

    #[test]
    fn the_first_line_counts_and_of_beginnings_the_longest() {
        use Case::{Exact, Ignored};
        let file = file(&[("/a", "1"), ("/a/b", "2"), ("/a", "3"), ("bad", "4")]);
        let ask = |method, case, sample: &str| {
            let (number, _) = file.add_use(Use { method, case, values: Values::Text }, text);
            file.value(number, &Value::text(sample.as_bytes())).map(|value| String::from_utf8(value).unwrap())
        };
        for (method, case, sample, expected) in [
            (Method::Str, Exact, "/a", Some("1")),
            (Method::Str, Exact, "/A", None),
            (Method::Str, Ignored, "/A", Some("1")),
            (Method::Beg, Exact, "/a/bc", Some("2")),
            (Method::Beg, Ignored, "/A/bc", Some("1")),
            (Method::Sub, Exact, "x/a/b", Some("1")),
            (Method::End, Exact, "x/a/b", Some("2")),
            (Method::Dir, Exact, "/x", None),
        ] {
            assert_eq!(ask(method, case, sample).as_deref(), expected, "{method:?} {sample}");
        }
        assert_eq!(file.add_use(Use { method: Method::Dom, case: Exact, values: Values::Text }, text).1, [3]);
    }

    #[test]
    fn addresses_are_looked_up_wherever_they_stand() {
        let network = |_, _, _: &[u8]| {
            let ip = "10.0.0.0".parse::<std::net::Ipv4Addr>().unwrap();
            Ok(Key::Network(ip.to_ipv6_mapped().into(), 104))
        };
        let file = file(&[("10.0.0.0/8", "1")]);
        let (number, _) = file.add_use(Use { method: Method::Ip, case: Case::Exact, values: Values::Text }, network);
        let ip = |text: &str| Value::Ip(text.parse().unwrap());
        for (sample, found, taken) in [
            (ip("10.1.2.3"), true, true),
            (ip("11.1.2.3"), false, true),
            (ip("::ffff:10.1.2.3"), true, true),
            (ip("::10.1.2.3"), true, true),
            (ip("2002:a01:203::1"), true, true),
            (ip("2002:b01:203::1"), false, true),
            (Value::text(b"10.1.2.3:80"), true, true),
            (Value::text(b"x"), false, false),
        ] {
            assert_eq!(
                (file.value(number, &sample).is_some(), file.takes(number, &sample)),
                (found, taken),
                "{sample:?}"
            );
        }
    }

    #[test]
    fn changes_are_seen_by_every_use() {
        let file = file(&[("a", "1")]);
        let (exact, _) = file.add_use(Use { method: Method::Str, case: Case::Exact, values: Values::Text }, text);
        let (folded, _) = file.add_use(Use { method: Method::Str, case: Case::Ignored, values: Values::Text }, text);
        let value = |number, sample: &'static [u8]| file.value(number, &Value::text(sample));
        file.set(b"a", b"2").unwrap();
        file.add(b"b", b"3").unwrap();
        file.add(b"b", b"4").unwrap();
        assert_eq!(file.set(b"bad", b""), Err(BadKey));
        assert_eq!((value(exact, b"a"), value(folded, b"B")), (Some(b"2".to_vec()), Some(b"3".to_vec())));
        file.remove(b"a");
        assert_eq!((value(exact, b"a"), value(folded, b"A")), (None, None));
        assert_eq!((value(exact, b"b"), value(folded, b"B")), (Some(b"3".to_vec()), Some(b"3".to_vec())));
    }

    #[test]
    fn operators_are_told_what_is_wrong() {
        let file = file(&[("a", "1")]);
        let (number, _) = file.add_use(Use { method: Method::Str, case: Case::Exact, values: Values::Integer }, text);
        assert_eq!(file.append(None, b"bad", b"1"), Err(Refused::Key(Method::Str)));
        assert_eq!(file.append(None, b"b", b"x"), Err(Refused::Value));
        // The same key may be there twice; the first line counts.
        assert_eq!(file.append(None, b"a", b"2"), Ok(()));
        let lines: Vec<(u64, Box<[u8]>)> = file.entries().into_iter().map(|entry| (entry.id, entry.value)).collect();
        assert_eq!(lines, [(1, (*b"1").into()), (2, (*b"2").into())]);
        let value = |sample: &'static [u8]| file.value(number, &Value::text(sample));
        assert_eq!(value(b"a"), Some(b"1".to_vec()));
        assert_eq!(file.change(|entry| entry.id == 2, b"7"), Ok(true));
        assert_eq!(file.change(|entry| entry.id == 3, b"7"), Ok(false));
        assert_eq!(file.change(|_| true, b"x"), Err(Refused::Value));
        assert!(file.remove_all(|entry| entry.id == 1));
        assert_eq!((value(b"a"), file.remove_all(|entry| entry.id == 1)), (Some(b"7".to_vec()), false));
        let found = file.look_up(b"a");
        assert!(found.len() == 1 && found[0].table && found[0].entry.as_ref().is_some_and(|entry| entry.id == 2));
        assert_eq!((file.is(Kind::Map), file.is(Kind::Acl)), (false, false));
        file.used_as(Kind::Map);
        assert_eq!((file.is(Kind::Map), file.is(Kind::Acl)), (true, false));
    }

    #[test]
    fn versions_are_prepared_and_committed() {
        let file = file(&[("a", "1")]);
        let (number, _) = file.add_use(Use { method: Method::Str, case: Case::Exact, values: Values::Text }, text);
        let value = |sample: &'static [u8]| file.value(number, &Value::text(sample));
        let versions = || (file.versions().current, file.versions().next, file.versions().lines);
        assert_eq!(file.append(Some(1), b"a", b"2"), Err(Refused::Version));
        assert_eq!((file.prepare(), file.prepare()), (1, 2));
        for (version, key, text) in
            [(Some(1), b"a", b"2"), (Some(2), b"a", b"3"), (Some(2), b"b", b"4"), (Some(0), b"c", b"5")]
        {
            file.append(version, key, text).unwrap();
        }
        assert_eq!(file.append(Some(2), b"bad", b""), Err(Refused::Key(Method::Str)));
        assert_eq!((value(b"a"), value(b"b"), value(b"c")), (Some(b"1".to_vec()), None, Some(b"5".to_vec())));
        assert_eq!(versions(), (0, 2, 5));
        file.clear(Some(1));
        file.clear(Some(7));
        assert_eq!((versions(), file.version(1).len(), file.version(2).len()), ((0, 2, 4), 0, 2));
        assert!(!file.commit(0) && !file.commit(3));
        assert!(file.commit(2));
        assert_eq!((value(b"a"), value(b"b"), value(b"c")), (Some(b"3".to_vec()), Some(b"4".to_vec()), None));
        assert_eq!(versions(), (2, 2, 2));
        assert!(!file.commit(2) && !file.commit(1));
        file.clear(None);
        assert_eq!((value(b"a"), versions()), (None, (2, 2, 0)));
    }
}
