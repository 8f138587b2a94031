//! The tree of a keepalived.conf after includes, definitions, conditions and loops: statements, some with a block.
//!
//! Nothing here is checked against the keyword tables yet; the daemon's lowering does that.

use crate::source::Span;
use crate::words::{Word, Words};

/// The root level, or what stands between two braces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    pub statements: Vec<Statement>,
}

/// One line, and the block it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub words: Vec<Word>,
    pub block: Option<Block>,
    /// From the first word to the last, without the block.
    pub span: Span,
}

impl Statement {
    pub fn keyword(&self) -> Option<&Word> {
        self.words.first()
    }

    /// A cursor over all words, the keyword first.
    pub fn words(&self) -> Words<'_> {
        Words::new(&self.words, self.span)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub statements: Vec<Statement>,
    /// The opening brace.
    pub open: Span,
    /// The closing brace; `None` where the file ended first.
    pub close: Option<Span>,
}
