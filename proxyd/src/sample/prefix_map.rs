//! Byte strings with a number each, looked up by "which of them begin this text": one binary search for all of them.

use std::cmp::Ordering;

/// No such entry.
const NONE: u32 = u32::MAX;

/// Whether upper and lower case differ (ASCII only, as haproxy has it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Case {
    /// They differ.
    Exact,
    /// `-i`: they do not.
    Ignored,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// In lower case if case is ignored.
    text: Box<[u8]>,
    /// The least number given to this text.
    own: u32,
    /// The least number of this text and of all entries that begin it.
    least: u32,
    /// The longest other entry that begins this one, or [`NONE`].
    parent: u32,
}

/// The map. It is built once and then only read.
///
/// The entries are sorted, so the last one that is not greater than a text is either a beginning of it, or its longest
/// beginning among the entries is one of that entry's parents: the entries between a beginning of the text and the
/// text itself all start with that beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixMap {
    entries: Box<[Entry]>,
    case: Case,
}

impl PrefixMap {
    /// Builds the map; of equal texts the least number counts.
    pub fn new(case: Case, texts: impl IntoIterator<Item = (Vec<u8>, u32)>) -> Self {
        let mut sorted: Vec<(Vec<u8>, u32)> = texts.into_iter().collect();
        if case == Case::Ignored {
            for (text, _) in &mut sorted {
                text.make_ascii_lowercase();
            }
        }
        sorted.sort_unstable();
        sorted.dedup_by(|later, first| later.0 == first.0);
        let mut entries: Vec<Entry> = Vec::with_capacity(sorted.len());
        for (text, own) in sorted {
            let mut parent = u32::try_from(entries.len()).ok().and_then(|n| n.checked_sub(1)).unwrap_or(NONE);
            while let Some(entry) = entries.get(parent as usize) {
                if text.starts_with(&entry.text) {
                    break;
                }
                parent = entry.parent;
            }
            let least = entries.get(parent as usize).map_or(own, |entry| own.min(entry.least));
            entries.push(Entry { text: text.into(), own, least, parent });
        }
        Self { entries: entries.into(), case }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether case counts.
    pub fn case(&self) -> Case {
        self.case
    }

    /// The texts, sorted, in lower case if case is ignored.
    pub fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().map(|entry| &*entry.text)
    }

    /// The least number of the entries that begin `text`.
    pub fn least_prefix(&self, text: &[u8]) -> Option<u32> {
        self.longest(text).map(|entry| entry.least)
    }

    /// The number of the entry that is `text`.
    pub fn get(&self, text: &[u8]) -> Option<u32> {
        let index = self.entries.partition_point(|entry| self.order(&entry.text, text) != Ordering::Greater);
        let entry = self.entries.get(index.checked_sub(1)?)?;
        (self.order(&entry.text, text) == Ordering::Equal).then_some(entry.own)
    }

    /// Whether an entry begins `text` and `end` agrees with the place in `text` where it ends.
    pub fn any_prefix(&self, text: &[u8], mut end: impl FnMut(usize) -> bool) -> bool {
        let mut next = self.longest(text);
        while let Some(entry) = next {
            if end(entry.text.len()) {
                return true;
            }
            next = self.entries.get(entry.parent as usize);
        }
        false
    }

    /// The longest entry that begins `text`.
    fn longest(&self, text: &[u8]) -> Option<&Entry> {
        let index = self.entries.partition_point(|entry| self.order(&entry.text, text) != Ordering::Greater);
        let mut entry = self.entries.get(index.checked_sub(1)?)?;
        let common = entry.text.iter().zip(text).take_while(|(a, b)| **a == self.fold(**b)).count();
        while entry.text.len() > common {
            entry = self.entries.get(entry.parent as usize)?;
        }
        Some(entry)
    }

    fn order(&self, entry: &[u8], text: &[u8]) -> Ordering {
        match self.case {
            Case::Exact => entry.cmp(text),
            Case::Ignored => entry.iter().copied().cmp(text.iter().map(u8::to_ascii_lowercase)),
        }
    }

    fn fold(&self, byte: u8) -> u8 {
        match self.case {
            Case::Exact => byte,
            Case::Ignored => byte.to_ascii_lowercase(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(case: Case, texts: &[&str]) -> PrefixMap {
        PrefixMap::new(case, texts.iter().zip(0..).map(|(text, number)| (text.as_bytes().to_vec(), number)))
    }

    #[test]
    fn first_match_wins_among_nested_prefixes() {
        let map = map(Case::Exact, &["/api/v2", "/static", "/api", "/api/v2/x", "/"]);
        for (path, expected) in [
            ("/api/v2/x/y", Some(0)),
            ("/api/v1", Some(2)),
            ("/api", Some(2)),
            ("/ap", Some(4)),
            ("/static.js", Some(1)),
            ("/zzz", Some(4)),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(map.least_prefix(path.as_bytes()), expected, "{path}");
        }
    }

    #[test]
    fn equal_texts_and_case() {
        let map = map(Case::Ignored, &["Host.Example", "b", "HOST.example"]);
        assert_eq!(map.get(b"hOST.eXAMPLE"), Some(0));
        assert_eq!(map.get(b"host"), None);
        assert_eq!(map.least_prefix(b"BOB"), Some(1));
    }

    proptest! {
        #[test]
        fn as_a_walk_over_all(texts in proptest::collection::vec("[abAB]{0,4}", 0..12), text in "[abAB]{0,6}", fold: bool) {
            let case = if fold { Case::Ignored } else { Case::Exact };
            let folded = |s: &str| if fold { s.to_ascii_lowercase() } else { s.to_owned() };
            let map = PrefixMap::new(case, texts.iter().zip(0..).map(|(t, n)| (t.clone().into_bytes(), n)));
            let walk = texts.iter().position(|t| folded(&text).starts_with(&folded(t)));
            prop_assert_eq!(map.least_prefix(text.as_bytes()).map(|n| n as usize), walk);
            let equal = texts.iter().position(|t| folded(&text) == folded(t));
            prop_assert_eq!(map.get(text.as_bytes()).map(|n| n as usize), equal);
            for end in 0..7 {
                let walk = texts.iter().any(|t| t.len() == end && folded(&text).starts_with(&folded(t)));
                prop_assert_eq!(map.any_prefix(text.as_bytes(), |at| at == end), walk);
            }
        }
    }
}
