//! What is wrong with a configuration, as values. Rendering is elsewhere.

use crate::source::Span;

/// How many diagnostics one run keeps; what comes after is counted only, so that a binary file given by mistake
/// cannot fill the terminal or the memory.
pub const DIAGNOSTICS_MAX: usize = 1000;

/// The longest text of a diagnostic, in bytes; longer ones are cut. Messages quote words, and a word may be a line of a
/// binary file.
pub const TEXT_BYTES_MAX: usize = 2048;

/// How bad it is, in rising order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// `-dD` only: correct, but there is a better way (haproxy: diag).
    Diag,
    /// Said for information, e.g. by `.notice`.
    Notice,
    /// The configuration runs; something in it is probably not meant. `-dW` makes it fatal.
    Warning,
    /// Known and correct, but not working in this version, and leaving it out would change who may reach what or
    /// where traffic goes. A check (`-c`) passes with it, since the language is right; a start refuses it.
    Unsupported,
    /// The configuration cannot be used.
    Error,
}

/// A stable short name of a kind of problem, for tools and for the manual: `unknown-keyword`.
pub type Code = &'static str;

/// A place that helps to understand, and what it has to do with the problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What it has to do with the problem.
    pub text: String,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The kind of problem.
    pub code: Code,
    /// What is wrong, in one line without the place. In haproxy's or keepalived's own words where they have some, since
    /// scripts search for them.
    pub message: String,
    /// Where. `None` only for what has no place, such as a file that cannot be opened.
    pub span: Option<Span>,
    /// Said at the place itself, under the caret.
    pub label: String,
    /// Other places: where a brace was opened, where a name was used first.
    pub related: Vec<Label>,
    /// What to write instead.
    pub help: Option<String>,
    /// How the one-line form says where.
    pub place: Place,
}

/// How haproxy's one-line form says where a problem is. Scripts match these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Place {
    /// `parsing [file:line] : `, by far the most frequent.
    #[default]
    Parsing,
    /// `parsing [file:line]: `, as the reader of lines says it.
    ParsingLine,
    /// `Parsing [file:line]: `, as log-formats say it.
    ParsingFormat,
    /// As [`Place::ParsingLine`], and the line and a caret follow on two more lines.
    Excerpt,
    /// `[file:line] : `, as `server` lines and some later checks say it.
    Bare,
    /// No place at all, as haproxy words most of what it finds after parsing.
    WholeFile,
}

impl Diagnostic {
    /// A problem without labels or help; the methods below add them.
    pub fn new(severity: Severity, code: Code, span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            message: cut(message.into()),
            span: span.into(),
            label: String::new(),
            related: Vec::new(),
            help: None,
            place: Place::Parsing,
        }
    }

    /// [`Severity::Error`]
    pub fn error(code: Code, span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, span, message)
    }

    /// [`Severity::Warning`]
    pub fn warning(code: Code, span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, span, message)
    }

    /// Sets what is said under the caret.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.label = cut(text.into());
        self
    }

    /// Adds another place that helps to understand.
    #[must_use]
    pub fn related(mut self, span: Span, text: impl Into<String>) -> Self {
        self.related.push(Label { span, text: cut(text.into()) });
        self
    }

    /// Sets what to write instead.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(cut(text.into()));
        self
    }

    /// Sets how the one-line form says where.
    #[must_use]
    pub fn place(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// Found after parsing: the one-line form names no place; see [`Place::WholeFile`].
    #[must_use]
    pub fn whole_file(self) -> Self {
        self.place(Place::WholeFile)
    }
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push_str("...");
    }
    text
}

/// Where problems are put while parsing goes on.
#[derive(Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    /// How many did not fit; see [`DIAGNOSTICS_MAX`].
    dropped: usize,
    worst: Option<Severity>,
}

impl Diagnostics {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a problem; only counts it once [`DIAGNOSTICS_MAX`] are held.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.worst = self.worst.max(Some(diagnostic.severity));
        if self.list.len() < DIAGNOSTICS_MAX {
            self.list.push(diagnostic);
        } else {
            self.dropped += 1;
        }
    }

    /// Adds all of another list.
    pub fn extend(&mut self, more: Diagnostics) {
        self.dropped += more.dropped;
        self.worst = self.worst.max(more.worst);
        for diagnostic in more.list {
            self.push(diagnostic);
        }
    }

    /// In the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// How many came after [`DIAGNOSTICS_MAX`].
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// Whether nothing at all was found.
    pub fn is_empty(&self) -> bool {
        self.worst.is_none()
    }

    /// The worst severity seen, counting what was dropped.
    pub fn worst(&self) -> Option<Severity> {
        self.worst
    }

    /// Whether the configuration cannot be used.
    pub fn has_errors(&self) -> bool {
        self.worst == Some(Severity::Error)
    }

    /// How many of the kept ones are of this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|d| d.severity == severity).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_and_many_diagnostics_counted() {
        let long = "\u{e9}".repeat(TEXT_BYTES_MAX);
        let error = Diagnostic::error("x", None, long.as_str()).label(long.as_str()).help(long);
        for text in [&error.message, &error.label, error.help.as_ref().expect("a help")] {
            assert!(text.len() <= TEXT_BYTES_MAX + 3 && text.ends_with("\u{e9}..."));
        }
        let mut diagnostics = Diagnostics::new();
        for _ in 0..DIAGNOSTICS_MAX + 5 {
            diagnostics.push(Diagnostic::warning("x", None, "m"));
        }
        diagnostics.push(error);
        assert_eq!((diagnostics.iter().count(), diagnostics.dropped()), (DIAGNOSTICS_MAX, 6));
        assert!(diagnostics.has_errors());
    }
}
