//! Where text comes from: files by number, byte spans in them, lines and columns.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// The longest file that is read, in bytes. A longer one is refused with a diagnostic by whoever loads it.
pub const FILE_BYTES_MAX: usize = 256 << 20;

/// The first of the 128 private characters that stand for bytes which are not UTF-8 (0x80 to 0xff).
const RAW_BYTE_FIRST: u32 = 0x10_FF00;

/// The private characters that stand for bytes which are not UTF-8.
pub(crate) const RAW_BYTES: std::ops::RangeInclusive<char> = '\u{10FF80}'..='\u{10FFFF}';

/// The number of a file within [`Sources`].
#[derive(Default, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

/// A range of bytes in one file's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Which file.
    pub source: SourceId,
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

impl Span {
    /// The span of a byte range; what lies beyond 4 GiB is cut.
    pub fn new(source: SourceId, range: Range<usize>) -> Self {
        let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { source, start: clamp(range.start), end: clamp(range.end) }
    }

    /// The smallest span that covers both; `self` where they lie in different files.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        if self.source != other.source {
            return self;
        }
        Span { source: self.source, start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The empty span before the first byte.
    #[must_use]
    pub fn head(self) -> Span {
        Span { end: self.start, ..self }
    }

    /// The offsets, to slice a text with.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A place as people and editors name it; both numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Counts line feeds.
    pub line: u32,
    /// In characters, not bytes.
    pub column: u32,
}

/// One file, or one text that was handed over as if it were a file.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    text: String,
    /// The byte offset at which each line starts; never empty.
    line_starts: Vec<u32>,
}

impl Source {
    fn new(path: PathBuf, text: String) -> Self {
        let mut line_starts = vec![0];
        line_starts.extend(
            text.bytes().enumerate().filter(|&(_, b)| b == b'\n').filter_map(|(i, _)| u32::try_from(i + 1).ok()),
        );
        Self { path, text, line_starts }
    }

    /// The name as given on the command line or in an include.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of it, decoded as [`decode`] does.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many lines there are; a final line feed does not begin another one.
    pub fn line_count(&self) -> usize {
        self.line_starts.len() - usize::from(self.text.is_empty() || self.text.ends_with('\n'))
    }

    /// The byte range of a line (from 1) without its line feed.
    pub fn line_range(&self, line: u32) -> Option<Range<usize>> {
        let index = (line as usize).checked_sub(1)?;
        let start = *self.line_starts.get(index)? as usize;
        let end = self.line_starts.get(index + 1).map_or(self.text.len(), |&next| next as usize - 1);
        Some(start..end)
    }

    /// Line and column of a byte offset; an offset beyond the end is the end.
    pub fn position(&self, offset: u32) -> Position {
        let index = self.line_starts.partition_point(|&start| start <= offset).saturating_sub(1);
        let start = self.line_starts[index] as usize;
        let mut end = (offset as usize).min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let column = self.text[start.min(end)..end].chars().count() + 1;
        Position { line: count(index + 1), column: count(column) }
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// All texts of one run, so that a [`Span`] stays small.
#[derive(Debug, Default)]
pub struct Sources {
    sources: Vec<Source>,
}

impl Sources {
    /// No files yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text. Bytes that are not UTF-8 are kept: see [`decode`] and [`encode`].
    pub fn add(&mut self, path: impl Into<PathBuf>, bytes: &[u8]) -> SourceId {
        self.add_owned(path, bytes.to_owned())
    }

    /// Adds a text that is not needed otherwise; without a copy where it is UTF-8.
    pub fn add_owned(&mut self, path: impl Into<PathBuf>, bytes: Vec<u8>) -> SourceId {
        let text = match String::from_utf8(bytes) {
            Ok(text) if !text.contains(|c| RAW_BYTES.contains(&c)) => text,
            Ok(text) => decode(text.as_bytes()),
            Err(error) => decode(error.as_bytes()),
        };
        let id = SourceId(count(self.sources.len()));
        self.sources.push(Source::new(path.into(), text));
        id
    }

    /// The file with this number.
    ///
    /// # Panics
    /// With an id that another `Sources` gave out.
    pub fn get(&self, id: SourceId) -> &Source {
        &self.sources[id.0 as usize]
    }

    /// All of them, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter()
    }

    /// The text of a span; empty if it lies outside its file.
    pub fn text(&self, span: Span) -> &str {
        self.get(span.source).text.get(span.range()).unwrap_or_default()
    }

    /// Where a span starts.
    pub fn position(&self, span: Span) -> Position {
        self.get(span.source).position(span.start)
    }
}

/// Bytes as text without loss: each byte that is not part of valid UTF-8 becomes one private character.
pub fn decode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for part in chunk.valid().split_inclusive(|c| RAW_BYTES.contains(&c)) {
            // The private characters themselves, should they really occur, become four raw bytes each.
            let stop =
                part.char_indices().next_back().filter(|(_, c)| RAW_BYTES.contains(c)).map_or(part.len(), |(i, _)| i);
            text.push_str(&part[..stop]);
            text.extend(part[stop..].bytes().filter_map(|b| char::from_u32(RAW_BYTE_FIRST + u32::from(b))));
        }
        text.extend(chunk.invalid().iter().filter_map(|&b| char::from_u32(RAW_BYTE_FIRST + u32::from(b))));
    }
    text
}

/// The inverse of [`decode`].
pub fn encode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u32::from(c).checked_sub(RAW_BYTE_FIRST).and_then(|n| u8::try_from(n).ok()) {
            Some(raw) if raw >= 0x80 => bytes.push(raw),
            _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn positions() {
        let mut sources = Sources::new();
        let id = sources.add("a.cfg", "ab\né x\n".as_bytes());
        let source = sources.get(id);
        assert_eq!(source.line_count(), 2);
        for (offset, line, column) in [(0, 1, 1), (2, 1, 3), (3, 2, 1), (5, 2, 2), (6, 2, 3), (8, 3, 1), (99, 3, 1)] {
            assert_eq!(source.position(offset), Position { line, column }, "offset {offset}");
        }
        assert_eq!(source.line_range(2), Some(3..7));
        assert_eq!(source.line_range(9), None);
    }

    proptest! {
        #[test]
        fn decode_loses_nothing(bytes: Vec<u8>) {
            prop_assert_eq!(encode(&decode(&bytes)), bytes);
        }

        #[test]
        fn decode_loses_no_text(text: String) {
            let bytes = (text + "\u{10FF80}\u{10FFFF}").into_bytes();
            prop_assert_eq!(encode(&decode(&bytes)), bytes);
        }
    }
}
