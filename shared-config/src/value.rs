//! Scalars of both languages, from the text of one word. Each parser is total and says which bytes are wrong.

pub mod address;
pub mod duration;
pub mod number;
pub mod size;

use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;
use crate::words::Word;
use std::ops::Range;

/// Why a word is not the value it should be. The caller knows the [`Word`] and so the span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ValueError {
    /// The kind of problem, for callers that word it as their keyword does.
    pub problem: Problem,
    /// What is wrong, without the place.
    pub message: String,
    /// The wrong part of the word, in bytes of its text.
    pub range: Range<usize>,
    /// What to write instead.
    pub help: Option<String>,
}

/// What kind of problem a [`ValueError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Problem {
    /// There is nothing to read.
    Missing,
    /// This character does not belong there.
    Unexpected(char),
    /// More than can be held.
    TooLarge,
    /// Less than is permitted.
    TooSmall,
    /// Something else, which the message says.
    Other,
}

impl ValueError {
    /// An error about a part of the word.
    pub fn new(message: impl Into<String>, range: Range<usize>) -> Self {
        Self { problem: Problem::Other, message: message.into(), range, help: None }
    }

    pub(crate) fn kind(problem: Problem, message: impl Into<String>, range: Range<usize>) -> Self {
        Self { problem, ..Self::new(message, range) }
    }

    /// `unexpected character 'x'`
    pub(crate) fn unexpected(found: char, at: usize) -> Self {
        let message = format!("unexpected character '{found}'");
        Self::kind(Problem::Unexpected(found), message, at..at + found.len_utf8())
    }

    /// Sets what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Where the wrong part of `word` stands.
    pub fn span(&self, word: &Word) -> Span {
        word.span_of(self.range.clone())
    }

    /// As a diagnostic about `word`, with the message between two other texts.
    pub fn into_diagnostic(self, code: Code, word: &Word, before: &str, after: &str) -> Diagnostic {
        let message = format!("{before}{}{after}", self.message);
        let mut diagnostic = Diagnostic::error(code, self.span(word), message);
        diagnostic.help = self.help;
        diagnostic
    }
}
