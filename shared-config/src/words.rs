//! Words of a statement, and the cursor that hands them out one by one.

use crate::source::{RAW_BYTES, Span, decode, encode};
use std::ops::Range;

/// One word after quotes, escapes and variables are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// What the word says.
    pub text: Box<str>,
    /// Where it stands in the source, quotes included.
    pub span: Span,
    /// Where the pieces of `text` come from, in order. Nothing when `text` is the source as it stands, which most are:
    /// a large configuration has a million words, so a plain one is kept small.
    pieces: Option<Box<Pieces>>,
}

/// Pieces in order; a struct so that a word holds one pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pieces {
    list: Box<[Piece]>,
}

/// A run of decoded text and the source it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Offset in [`Word::text`] at which the run starts.
    pub at: u32,
    /// The source of the run. When as long as the run, it maps byte by byte; else all of it stands for all of the run.
    pub span: Span,
}

impl Word {
    /// A word that stands in the source just as it reads.
    pub fn plain(text: impl Into<Box<str>>, span: Span) -> Self {
        Self { text: text.into(), span, pieces: None }
    }

    /// A word put together from pieces that are sorted by [`Piece::at`]. Bytes that were no text one by one may be text
    /// together; where the bytes come from is then known for the whole word only.
    pub fn decoded(text: impl Into<Box<str>>, span: Span, mut pieces: Vec<Piece>) -> Self {
        let mut text = text.into();
        if text.contains(|c| RAW_BYTES.contains(&c)) {
            let together = decode(&encode(&text)).into_boxed_str();
            if together != text {
                pieces = vec![Piece { at: 0, span }];
                text = together;
            }
        }
        Self { text, span, pieces: Some(Box::new(Pieces { list: pieces.into() })) }
    }

    /// Several words as one text again, with one space between two; nothing of no words.
    pub fn join(words: &[Word]) -> Option<Self> {
        let (first, rest) = words.split_first()?;
        let mut joined = WordBuilder::new(first.span);
        joined.add_part(first, 0..first.text.len());
        for word in rest {
            let gap = Span { start: joined.span.end, end: word.span.start.max(joined.span.end), ..joined.span };
            joined.add(" ", gap);
            joined.add_part(word, 0..word.text.len());
            joined.span = joined.span.to(word.span);
        }
        Some(joined.finish())
    }

    /// A part of the word as a word of its own. The range is in bytes of the text; one that is not within it, or cuts a
    /// character, gives an empty word.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Self {
        let text = self.text.get(range.clone()).unwrap_or_default();
        if self.pieces.is_none() {
            return Self::plain(text, self.span_of(range));
        }
        let mut part = WordBuilder::new(self.span_of(range.clone()));
        part.add_part(self, range);
        part.finish()
    }

    /// What the word says.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The source of a part of the decoded text, for an error inside a word.
    pub fn span_of(&self, range: Range<usize>) -> Span {
        if self.pieces.is_none() {
            let start = self.span.start as usize;
            return Span::new(self.span.source, start + range.start..(start + range.end).min(self.span.end as usize));
        }
        let first = self.locate(range.start).map_or(self.span, |(span, offset)| advance(span, offset));
        if range.is_empty() {
            return first.head();
        }
        let last = self.locate(range.end - 1).map_or(self.span, |(span, offset)| match offset {
            Some(offset) => {
                let start = (span.start + offset).min(span.end);
                Span { start, end: (start + 1).min(span.end), ..span }
            }
            None => span,
        });
        first.head().to(last)
    }

    /// The piece that holds a decoded offset, and the offset in its source where that maps byte by byte.
    fn locate(&self, at: usize) -> Option<(Span, Option<u32>)> {
        let at = u32::try_from(at).ok()?;
        let pieces = &self.pieces.as_ref()?.list;
        let index = pieces.partition_point(|piece| piece.at <= at).checked_sub(1)?;
        let piece = &pieces[index];
        let end = pieces.get(index + 1).map_or(u32::try_from(self.text.len()).ok()?, |next| next.at);
        let verbatim = piece.span.end - piece.span.start == end - piece.at;
        Some((piece.span, verbatim.then_some(at - piece.at)))
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn advance(span: Span, offset: Option<u32>) -> Span {
    Span { start: (span.start + offset.unwrap_or(0)).min(span.end), ..span }
}

impl AsRef<str> for Word {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// Puts a word together from pieces.
#[derive(Clone, Debug)]
pub struct WordBuilder {
    text: String,
    pieces: Vec<Piece>,
    /// The source of the whole word, quotes included.
    pub span: Span,
}

impl WordBuilder {
    /// An empty word that will stand for this source.
    pub fn new(span: Span) -> Self {
        Self { text: String::new(), pieces: Vec::new(), span }
    }

    /// Adds text and where it comes from.
    pub fn add(&mut self, text: &str, span: Span) {
        if !text.is_empty() {
            self.pieces.push(Piece { at: count(self.text.len()), span });
            self.text.push_str(text);
        }
    }

    /// Adds a part of a word, with its own pieces. The range is in bytes of the word's text.
    pub fn add_part(&mut self, word: &Word, range: Range<usize>) {
        let Some(Pieces { list: pieces }) = word.pieces.as_deref() else {
            return self.add(word.text.get(range.clone()).unwrap_or_default(), word.span_of(range));
        };
        let first = pieces.partition_point(|piece| (piece.at as usize) <= range.start).saturating_sub(1);
        for (index, piece) in pieces.iter().enumerate().skip(first) {
            if piece.at as usize >= range.end {
                break;
            }
            let end = pieces.get(index + 1).map_or(word.text.len(), |next| next.at as usize);
            let (from, to) = ((piece.at as usize).max(range.start), end.min(range.end));
            if from < to {
                self.add(word.text.get(from..to).unwrap_or_default(), word.span_of(from..to));
            }
        }
    }

    /// What has been added so far.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The word.
    pub fn finish(self) -> Word {
        Word::decoded(self.text, self.span, self.pieces)
    }
}

/// A cursor over the words of one statement.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    all: &'a [Word],
    next: usize,
    /// The whole statement, for errors about what is missing at its end.
    statement: Span,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a Word;

    fn next(&mut self) -> Option<&'a Word> {
        let word = self.all.get(self.next)?;
        self.next += 1;
        Some(word)
    }
}

impl<'a> Words<'a> {
    /// A cursor before the first of `words`.
    pub fn new(words: &'a [Word], statement: Span) -> Self {
        Self { all: words, next: 0, statement }
    }

    /// The next word, without taking it.
    pub fn peek(&self) -> Option<&'a Word> {
        self.all.get(self.next)
    }

    /// Takes the next word if it is this one.
    pub fn take(&mut self, text: &str) -> Option<&'a Word> {
        if self.peek()?.as_str() == text { self.next() } else { None }
    }

    /// All words that are left; the cursor is then at the end.
    #[must_use]
    pub fn rest(&mut self) -> &'a [Word] {
        let rest = &self.all[self.next..];
        self.next = self.all.len();
        rest
    }

    /// Whether all words are taken.
    pub fn is_empty(&self) -> bool {
        self.next >= self.all.len()
    }

    /// The word taken last.
    pub fn last_taken(&self) -> Option<&'a Word> {
        self.all.get(self.next.checked_sub(1)?)
    }

    /// The whole statement.
    pub fn statement(&self) -> Span {
        self.statement
    }

    /// Just after the word taken last: where the missing one should stand.
    pub fn here(&self) -> Span {
        match self.last_taken() {
            Some(word) => Span { start: word.span.end, ..word.span },
            None => self.statement.head(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    #[test]
    fn spans_inside_a_decoded_word() {
        let mut sources = Sources::new();
        let id = sources.add("a.cfg", br#"a\ b"c$X""#);
        let span = |range| Span::new(id, range);
        // `a\ b` is "a b", `"c` is "c", `$X` is "xyz".
        let pieces = vec![
            Piece { at: 0, span: span(0..1) },
            Piece { at: 1, span: span(1..3) },
            Piece { at: 2, span: span(3..4) },
            Piece { at: 3, span: span(5..6) },
            Piece { at: 4, span: span(6..8) },
        ];
        let word = Word::decoded("a bcxyz", span(0..9), pieces);
        for (range, expected) in [(0..1, 0..1), (1..2, 1..3), (2..4, 3..6), (5..6, 6..8), (0..7, 0..8), (3..3, 5..5)] {
            assert_eq!(word.span_of(range.clone()), span(expected.clone()), "{range:?}");
            let part = word.part(range.clone());
            assert_eq!((&*part.text, part.span), (&word.text[range.clone()], span(expected)), "{range:?}");
            assert_eq!(part.span_of(0..range.len()), part.span, "{range:?}");
        }
        let quoted = Word::decoded("abcd", span(10..16), vec![Piece { at: 0, span: span(11..15) }]);
        assert_eq!(quoted.span_of(1..3), span(12..14));
        let plain = Word::plain("k", span(9..10));
        let joined = Word::join(&[word, plain]).expect("two words");
        assert_eq!((&*joined.text, joined.span), ("a bcxyz k", span(0..10)));
        assert_eq!((joined.span_of(1..3), joined.span_of(8..9)), (span(1..4), span(9..10)));
    }
}
