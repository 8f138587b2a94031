//! The lines that begin with a dot: `.if`, `.elif`, `.else`, `.endif`, and the messages `.diag`, `.notice`, `.warning`,
//! `.alert` (configuration manual, section 2.4).

use super::ast::Statement;
use super::env::Env;
use super::predicate::{Facts, evaluate};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, Severity};
use crate::source::Span;
use crate::suggest::nearest;
use crate::words::Word;

/// How deep `.if` may be nested.
pub const BLOCKS_MAX: usize = 256;

const DIRECTIVES: [&str; 8] = [".if", ".elif", ".else", ".endif", ".diag", ".notice", ".warning", ".alert"];

/// The blocks that are open at a line.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    blocks: Vec<Block>,
    /// How many `.if` beyond [`BLOCKS_MAX`] are open.
    beyond: usize,
}

#[derive(Debug)]
struct Block {
    /// The `.if`.
    opened: Span,
    branch: Branch,
    /// `.else` has been seen.
    last_branch: bool,
}

/// What the lines of a block are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Branch {
    /// They count.
    Taken,
    /// They do not; a later branch may.
    NotYet,
    /// They do not, and no later branch does: one was taken, the block lies in a branch that does not count, or its
    /// condition cannot be understood.
    Never,
}

impl Conditions {
    /// Whether ordinary lines count here.
    pub(super) fn active(&self) -> bool {
        self.beyond == 0 && self.blocks.last().is_none_or(|block| block.branch == Branch::Taken)
    }

    /// A line whose first word begins with a dot. `broken`: its words are not to be trusted.
    pub(super) fn directive(
        &mut self,
        line: &Statement,
        broken: bool,
        env: &Env,
        facts: &Facts,
        diagnostics: &mut Diagnostics,
    ) {
        let Some((keyword, arguments)) = line.words.split_first() else { return };
        // What a condition says; nothing where that is unknown.
        let outcome = |diagnostics: &mut Diagnostics| {
            if broken { None } else { condition(keyword, arguments, env, facts, diagnostics) }
        };
        match keyword.as_str() {
            ".if" => {
                let branch = if self.active() { branch(outcome(diagnostics)) } else { Branch::Never };
                self.open(line.span, branch, diagnostics);
            }
            ".elif" if self.beyond == 0 => {
                let Some(block) = self.next_branch(keyword, diagnostics) else { return };
                block.branch = match block.branch {
                    Branch::NotYet => branch(outcome(diagnostics)),
                    Branch::Taken | Branch::Never => Branch::Never,
                };
            }
            ".else" if self.beyond == 0 => {
                no_arguments(keyword, arguments, diagnostics);
                let Some(block) = self.next_branch(keyword, diagnostics) else { return };
                block.last_branch = true;
                block.branch = match block.branch {
                    Branch::NotYet => Branch::Taken,
                    Branch::Taken | Branch::Never => Branch::Never,
                };
            }
            ".elif" | ".else" => {}
            ".endif" => {
                no_arguments(keyword, arguments, diagnostics);
                self.close(keyword, diagnostics);
            }
            ".diag" | ".notice" | ".warning" | ".alert" if broken || !self.active() => {}
            ".diag" => message(Severity::Diag, keyword, arguments, diagnostics),
            ".notice" => message(Severity::Notice, keyword, arguments, diagnostics),
            ".warning" => message(Severity::Warning, keyword, arguments, diagnostics),
            ".alert" => message(Severity::Error, keyword, arguments, diagnostics),
            unknown => {
                let mut error = error("unknown-directive", keyword.span, format!("unknown directive '{unknown}'."));
                error.help = nearest(unknown, DIRECTIVES).map(|known| format!("did you mean `{known}`?"));
                diagnostics.push(error);
            }
        }
    }

    fn open(&mut self, opened: Span, branch: Branch, diagnostics: &mut Diagnostics) {
        if self.blocks.len() < BLOCKS_MAX {
            self.blocks.push(Block { opened, branch, last_branch: false });
            return;
        }
        if self.beyond == 0 {
            let message = format!("too many nested '.if', at most {BLOCKS_MAX} are read.");
            diagnostics.push(error("too-many-blocks", opened, message));
        }
        self.beyond += 1;
    }

    fn close(&mut self, keyword: &Word, diagnostics: &mut Diagnostics) {
        if self.beyond > 0 {
            self.beyond -= 1;
        } else if self.blocks.pop().is_none() {
            diagnostics.push(lone(keyword));
        }
    }

    /// The block that `.elif` or `.else` continues.
    fn next_branch(&mut self, keyword: &Word, diagnostics: &mut Diagnostics) -> Option<&mut Block> {
        let Some(block) = self.blocks.last_mut() else {
            diagnostics.push(lone(keyword));
            return None;
        };
        if block.last_branch {
            let message = format!("'{}' after '.else' is not permitted.", keyword.text);
            diagnostics
                .push(error("misplaced-directive", keyword.span, message).related(block.opened, "in this block"));
            block.branch = Branch::Never;
        }
        Some(block)
    }

    /// Reports what is still open.
    pub(super) fn end_of_file(&self, last_line: Span, diagnostics: &mut Diagnostics) {
        for block in self.blocks.iter().rev() {
            let error = error("unclosed-block", last_line, "non-terminated '.if' block.".into())
                .label("`.endif` is missing")
                .related(block.opened, "opened here");
            diagnostics.push(error);
        }
    }
}

fn branch(outcome: Option<bool>) -> Branch {
    match outcome {
        Some(true) => Branch::Taken,
        Some(false) => Branch::NotYet,
        None => Branch::Never,
    }
}

fn condition(
    keyword: &Word,
    arguments: &[Word],
    env: &Env,
    facts: &Facts,
    diagnostics: &mut Diagnostics,
) -> Option<bool> {
    // The words make one text again, with one space between two, as haproxy says positions.
    let Some(text) = Word::join(arguments) else { return Some(false) };
    match evaluate(&text.text, env, facts) {
        Ok(outcome) => Some(outcome),
        Err(wrong) => {
            let message = format!("{} in '{}' at position {}", wrong.message, keyword.text, wrong.range.start + 1);
            let mut error = error("condition", text.span_of(wrong.range), message).place(Place::Excerpt);
            error.help = wrong.help;
            diagnostics.push(error);
            None
        }
    }
}

fn message(severity: Severity, keyword: &Word, arguments: &[Word], diagnostics: &mut Diagnostics) {
    if let [_, unexpected, ..] = arguments {
        let message = format!(
            "Unexpected argument '{}' for '{}'. Use quotes if the message should contain spaces.",
            unexpected.text, keyword.text
        );
        diagnostics.push(error("arguments", unexpected.span, message));
        return;
    }
    let said = arguments.first().map_or("", |word| word.as_str());
    let span = arguments.first().unwrap_or(keyword).span;
    let said = Diagnostic::new(severity, "said-by-file", span, format!("'{said}'.")).place(Place::ParsingLine);
    diagnostics.push(said);
}

fn no_arguments(keyword: &Word, arguments: &[Word], diagnostics: &mut Diagnostics) {
    if let Some(unexpected) = arguments.first() {
        let message = format!("Unexpected argument '{}' for '{}'.", unexpected.text, keyword.text);
        diagnostics.push(error("arguments", unexpected.span, message));
    }
}

fn lone(keyword: &Word) -> Diagnostic {
    error("misplaced-directive", keyword.span, format!("lone '{}' with no matching '.if'.", keyword.text))
}

fn error(code: &'static str, span: Span, message: String) -> Diagnostic {
    Diagnostic::error(code, span, message).place(Place::ParsingLine)
}
