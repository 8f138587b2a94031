//! Scalars of both languages, from the text of one word. Each parser is total and says which bytes are wrong.

use std::ops::Range;

/// Why a word is not the value it should be. The caller knows the [`Word`](crate::words::Word) and so the span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ValueError {
    /// What is wrong, without the place.
    pub message: String,
    /// The wrong part of the word, in bytes of its text.
    pub range: Range<usize>,
    /// What to write instead.
    pub help: Option<String>,
}

impl ValueError {
    /// An error about a part of the word.
    pub fn new(message: impl Into<String>, range: Range<usize>) -> Self {
        Self { message: message.into(), range, help: None }
    }

    /// Sets what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
