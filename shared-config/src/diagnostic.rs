//! What is wrong with a configuration, as values. Rendering is elsewhere.

use crate::source::Span;

/// How many diagnostics one run keeps; what comes after is counted only, so that a binary file given by mistake
/// cannot fill the terminal or the memory.
pub const DIAGNOSTICS_MAX: usize = 1000;

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
    pub span: Span,
    pub text: String,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
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
    /// The one-line form has no `parsing [file:line]` in front, as haproxy words what it finds after parsing.
    pub whole_file: bool,
}

impl Diagnostic {
    pub fn new(severity: Severity, code: Code, span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            message: message.into(),
            span: span.into(),
            label: String::new(),
            related: Vec::new(),
            help: None,
            whole_file: false,
        }
    }

    pub fn error(code: Code, span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, span, message)
    }

    pub fn warning(code: Code, span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, span, message)
    }

    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.label = text.into();
        self
    }

    #[must_use]
    pub fn related(mut self, span: Span, text: impl Into<String>) -> Self {
        self.related.push(Label { span, text: text.into() });
        self
    }

    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Found after parsing; see [`Diagnostic::whole_file`].
    #[must_use]
    pub fn whole_file(mut self) -> Self {
        self.whole_file = true;
        self
    }
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
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.worst = self.worst.max(Some(diagnostic.severity));
        if self.list.len() < DIAGNOSTICS_MAX {
            self.list.push(diagnostic);
        } else {
            self.dropped += 1;
        }
    }

    pub fn extend(&mut self, more: Diagnostics) {
        self.dropped += more.dropped;
        self.worst = self.worst.max(more.worst);
        for diagnostic in more.list {
            self.push(diagnostic);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    pub fn dropped(&self) -> usize {
        self.dropped
    }

    pub fn is_empty(&self) -> bool {
        self.worst.is_none()
    }

    /// The worst severity seen, counting what was dropped.
    pub fn worst(&self) -> Option<Severity> {
        self.worst
    }

    pub fn has_errors(&self) -> bool {
        self.worst == Some(Severity::Error)
    }

    pub fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|d| d.severity == severity).count()
    }
}
