//! The tree of an haproxy.cfg after variables and conditional blocks: sections of statements of words.
//!
//! Nothing here is checked against the keyword tables yet; the daemon's lowering does that.

use crate::source::Span;
use crate::words::{Word, Words};

/// All files of one command line, read one after the other as haproxy reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// In the order of the files.
    pub sections: Vec<Section>,
}

/// A section as written; repeated ones (`global`, `defaults`) are not merged here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The line that opens it: `backend app from base` has three words.
    pub head: Statement,
    /// The lines up to the next section.
    pub statements: Vec<Statement>,
}

impl Section {
    /// `global`, `defaults`, `frontend`, …
    pub fn kind(&self) -> &str {
        self.head.keyword().map_or("", |word| word.as_str())
    }

    /// The first argument of the opening line, where there is one.
    pub fn name(&self) -> Option<&Word> {
        self.head.words.get(1)
    }
}

/// One logical line with at least one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The keyword and its arguments; never empty.
    pub words: Vec<Word>,
    /// From the first word to the last.
    pub span: Span,
}

impl Statement {
    /// The first word.
    pub fn keyword(&self) -> Option<&Word> {
        self.words.first()
    }

    /// A cursor over all words, the keyword first.
    pub fn words(&self) -> Words<'_> {
        Words::new(&self.words, self.span)
    }
}
