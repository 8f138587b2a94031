//! How problems in rules are reported.

use shared_config::diagnostic::{Diagnostic, Diagnostics, Severity};
use shared_config::haproxy::expr::SyntaxError;
use shared_config::haproxy::keyword::Support;
use shared_config::source::Span;

/// What is wrong, or does not work yet, has been reported; nothing more is to be said.
pub(super) struct Reported;

/// The kinds of problems, for tools.
pub(super) mod code {
    pub(in crate::config::rules) const UNKNOWN_KEYWORD: &str = "unknown-keyword";
    pub(in crate::config::rules) const MISSING_ARGUMENT: &str = "missing-argument";
    pub(in crate::config::rules) const EXTRA_ARGUMENT: &str = "extra-argument";
    pub(in crate::config::rules) const BAD_VALUE: &str = "bad-value";
    pub(in crate::config::rules) const BAD_EXPRESSION: &str = "bad-expression";
    pub(in crate::config::rules) const BAD_CONDITION: &str = "bad-condition";
    pub(in crate::config::rules) const UNKNOWN_NAME: &str = "unknown-name";
    pub(in crate::config::rules) const NEVER_MATCHES: &str = "never-matches";
    pub(in crate::config::rules) const LEGACY: &str = "legacy";
    pub(in crate::config::rules) const NO_EFFECT: &str = "no-effect";
    pub(in crate::config::rules) const UNSUPPORTED: &str = "unsupported";
    pub(in crate::config::rules) const IGNORED: &str = "ignored";
}

/// Reports what a row of the keyword tables says about a word that does nothing yet.
pub(super) fn support(out: &mut Diagnostics, row: Support, shown: &str, at: Span) {
    match row {
        Support::Works => {}
        Support::NoEffect => out.push(
            Diagnostic::warning(code::NO_EFFECT, at, format!("'{shown}' is accepted, has no effect yet."))
                .label("does nothing in this version")
                .help("it is harmless to leave it"),
        ),
        Support::Unsupported => unsupported(out, shown, at),
    }
}

/// Reports what cannot be ignored and does not work yet.
pub(super) fn unsupported(out: &mut Diagnostics, shown: &str, at: Span) {
    let message = format!("'{shown}' is understood but does not work yet; proxyd will not start with it.");
    out.push(
        Diagnostic::new(Severity::Unsupported, code::UNSUPPORTED, at, message)
            .label("does not work in this version")
            .help("without it other clients would be let in or traffic would go elsewhere, so it is not ignored"),
    );
}

/// The nearest of the names there are.
pub(super) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a String>) -> Option<String> {
    let mut names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    names.sort_unstable();
    shared_config::suggest::nearest(word, names).map(|name| format!("did you mean `{name}`?"))
}

/// A problem whose sentence ends as haproxy's do.
pub(super) fn sentence(problem: SyntaxError) -> SyntaxError {
    SyntaxError { message: format!("{}.", problem.message.trim_end_matches('.')), ..problem }
}

/// Adds what to write instead, where there is something.
pub(super) fn with_help(diagnostic: Diagnostic, help: Option<String>) -> Diagnostic {
    match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}
