//! The tree of a keepalived.conf after includes, definitions, conditions and loops: statements, some with a block.
//!
//! Which words open a block is a matter of the [keyword table](super::keyword), since keepalived reads a block that it
//! does not know as if its contents stood outside. So the tree holds known words only, each where it is legal and with
//! at least as many arguments as it needs; what the arguments mean is for the daemon's lowering.

use crate::source::Span;
use crate::words::{Word, Words};

/// The root level of all files of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// In the order of reading.
    pub statements: Vec<Statement>,
}

/// One line, and the block it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The keyword first; a line of a list (`virtual_ipaddress`, …) has no keyword. Never empty.
    pub words: Vec<Word>,
    /// What stands between the braces, where the keyword has any.
    pub block: Option<Block>,
    /// From the first word to the last, without the block.
    pub span: Span,
}

impl Statement {
    /// The first word.
    pub fn keyword(&self) -> Option<&Word> {
        self.words.first()
    }

    /// The first word's text; empty for a statement without words.
    pub fn name(&self) -> &str {
        self.keyword().map_or("", Word::as_str)
    }

    /// The `n`th argument, from 1.
    pub fn argument(&self, n: usize) -> Option<&Word> {
        self.words.get(n)
    }

    /// A cursor over all words, the keyword first.
    pub fn words(&self) -> Words<'_> {
        Words::new(&self.words, self.span)
    }

    /// The statements of the block; none where there is no block.
    pub fn statements(&self) -> &[Statement] {
        self.block.as_ref().map_or(&[], |block| &block.statements)
    }
}

/// What stands between two braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// In the order of reading.
    pub statements: Vec<Statement>,
    /// The opening brace; empty where it was forgotten.
    pub open: Span,
    /// The closing brace; `None` where the file ended first.
    pub close: Option<Span>,
}
