//! Text that knows where it came from: segments of source lines and of expanded definitions, waiting to be read.

use crate::source::Span;
use crate::words::Piece;
use std::collections::VecDeque;
use std::rc::Rc;

/// A run of characters with one origin.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    text: Rc<str>,
    start: usize,
    /// Where the first byte of `text` stands, or the place that all of it stands for.
    origin: Origin,
}

/// Where characters come from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// Written just so: the span is as long as the text.
    Source(Span),
    /// The value of a definition: the span is the place where it was used.
    Value(Span, Option<Rc<Link>>),
}

/// The definitions that are being expanded around a piece of text, innermost first.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) name: Rc<str>,
    pub(super) outer: Option<Rc<Link>>,
    /// How many there are.
    pub(super) depth: usize,
}

impl Segment {
    pub(super) fn new(text: impl Into<Rc<str>>, origin: Origin) -> Self {
        Self { text: text.into(), start: 0, origin }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text[self.start..]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start >= self.text.len()
    }

    /// Drops the first `bytes`.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.text.len());
    }

    /// Where the next `bytes` come from.
    pub(super) fn span(&self, bytes: usize) -> Span {
        match &self.origin {
            Origin::Source(span) => {
                let start = span.start as usize + self.start;
                Span::new(span.source, start..(start + bytes).min(span.end as usize))
            }
            Origin::Value(span, _) => *span,
        }
    }

    pub(super) fn chain(&self) -> Option<&Rc<Link>> {
        match &self.origin {
            Origin::Source(_) => None,
            Origin::Value(_, chain) => chain.as_ref(),
        }
    }
}

impl Link {
    /// Whether `name` is being expanded.
    pub(super) fn contains(self: &Rc<Self>, name: &str) -> bool {
        let mut link = Some(self);
        while let Some(this) = link {
            if &*this.name == name {
                return true;
            }
            link = this.outer.as_ref();
        }
        false
    }
}

/// What waits to be read: text and ends of lines.
#[derive(Clone, Debug)]
pub(super) enum Bit {
    Text(Segment),
    NewLine,
}

/// A line that is being read from the front; what it expands to is put back in front.
#[derive(Debug, Default)]
pub(super) struct Queue(VecDeque<Bit>);

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push_back(&mut self, bit: Bit) {
        self.0.push_back(bit);
    }

    /// Puts bits in front, the first of them foremost.
    pub(super) fn push_front(&mut self, bits: impl DoubleEndedIterator<Item = Bit>) {
        for bit in bits.rev() {
            self.0.push_front(bit);
        }
    }

    /// The next segment of this line that has characters left; `None` at the end of the line.
    pub(super) fn segment(&mut self) -> Option<&mut Segment> {
        while matches!(self.0.front(), Some(Bit::Text(segment)) if segment.is_empty()) {
            self.0.pop_front();
        }
        match self.0.front_mut() {
            Some(Bit::Text(segment)) => Some(segment),
            Some(Bit::NewLine) | None => None,
        }
    }

    /// Takes the end of the line, if it is next.
    pub(super) fn end_line(&mut self) {
        if self.segment().is_none() {
            self.0.pop_front();
        }
    }

    /// The next characters of this line, at most `limit` and never more than the line holds.
    pub(super) fn peek(&self, limit: usize) -> String {
        let mut text = String::new();
        let mut left = limit;
        for bit in &self.0 {
            let Bit::Text(segment) = bit else { break };
            for c in segment.as_str().chars() {
                if left == 0 {
                    return text;
                }
                left -= 1;
                text.push(c);
            }
        }
        text
    }

    /// Drops bytes from the front of this line.
    pub(super) fn skip(&mut self, mut bytes: usize) {
        while bytes > 0
            && let Some(segment) = self.segment()
        {
            let step = segment.as_str().len().min(bytes);
            segment.advance(step);
            bytes -= step;
        }
    }

    /// Drops blanks from the front of this line.
    pub(super) fn skip_blanks(&mut self) {
        while let Some(segment) = self.segment() {
            let text = segment.as_str();
            let blanks = text.len() - text.trim_start_matches(is_blank).len();
            if blanks == 0 {
                return;
            }
            segment.advance(blanks);
        }
    }

    /// Takes the rest of this line with its end, as it waits.
    pub(super) fn take_bits(&mut self) -> Vec<Bit> {
        let mut bits = Vec::new();
        while let Some(bit) = self.0.pop_front() {
            let end = matches!(bit, Bit::NewLine);
            bits.push(bit);
            if end {
                break;
            }
        }
        bits
    }

    /// Takes the rest of this line with its end.
    pub(super) fn take_line(&mut self) -> Line {
        let mut line = Line::default();
        while let Some(bit) = self.0.pop_front() {
            match bit {
                Bit::Text(segment) => line.push(&segment, segment.as_str().len()),
                Bit::NewLine => break,
            }
        }
        line
    }
}

/// What separates words. A line feed can only come from an escape or a definition.
pub(in crate::keepalived) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\u{0B}' | '\u{0C}' | '\n')
}

/// A piece of one line, put together.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// What it says.
    pub text: String,
    /// Where its parts come from, in order.
    pub pieces: Vec<Piece>,
}

impl Line {
    pub(super) fn push(&mut self, segment: &Segment, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let at = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.text.push_str(&segment.as_str()[..bytes]);
        let span = segment.span(bytes);
        // Neighbours of one source line are one piece, so that most lines need one only.
        if let (Origin::Source(_), Some(last)) = (&segment.origin, self.pieces.last_mut())
            && last.span.source == span.source
            && last.span.end == span.start
            && last.span.end - last.span.start == at - last.at
        {
            last.span.end = span.end;
            return;
        }
        self.pieces.push(Piece { at, span });
    }

    /// The source of everything in it.
    pub fn span(&self) -> Option<Span> {
        let first = self.pieces.first()?.span;
        Some(self.pieces.iter().fold(first, |all, piece| all.to(piece.span)))
    }
}
