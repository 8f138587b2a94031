//! The language of keepalived.conf (keepalived.conf(5)).
//!
//! [`preprocess`] turns files into logical lines (comments, includes, conditions, definitions, loops), `block` turns
//! lines into the tree of [`ast`] by the [`keyword`] table, and [`print`](mod@print) writes a tree as text. A parse never fails: it
//! returns what keepalived would have understood, together with everything that is wrong.

pub mod ast;
mod block;
pub mod keyword;
pub mod preprocess;
pub mod print;

use crate::diagnostic::Diagnostics;
use crate::source::{SourceId, Sources};
use ast::File;
use preprocess::{Environment, Origins, Preprocessor};

/// What came of a parse.
#[derive(Debug)]
pub struct Parsed {
    /// The tree.
    pub file: File,
    /// Why text is where it is, to explain what the lowering finds.
    pub origins: Origins,
}

/// Reads a configuration file and all that it includes.
pub fn parse(
    sources: &mut Sources,
    root: SourceId,
    environment: &mut Environment<'_>,
    diagnostics: &mut Diagnostics,
) -> Parsed {
    let mut input = Preprocessor::new(sources, root, environment, diagnostics);
    let read = block::Builder::new().read(&mut input);
    let origins = input.into_origins();
    read.report(sources, diagnostics);
    Parsed { file: read.file, origins }
}
