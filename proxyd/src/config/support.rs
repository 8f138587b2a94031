//! What the keyword table says about words that do nothing yet, said once per word.

use super::line::code;
use shared_config::diagnostic::{Diagnostic, Diagnostics, Place, Severity};
use shared_config::haproxy::keyword::{Keyword, Param, Support as Row};
use shared_config::source::Span;
use shared_config::words::Word;
use std::collections::HashSet;

/// Which words were reported already.
#[derive(Debug, Default)]
pub(super) struct Support {
    no_effect: HashSet<String>,
}

impl Support {
    /// Reports what a statement or an option does not do yet.
    pub(super) fn statement(&mut self, row: &Keyword, shown: &str, at: Span, out: &mut Diagnostics) {
        self.report(row.support, shown, at, out);
    }

    /// Reports what a parameter of a `bind` or `server` line does not do yet.
    pub(super) fn param(&mut self, line: &str, row: &Param, word: &Word, out: &mut Diagnostics) {
        if row.support != Row::Works {
            self.report(row.support, &format!("{line} … {}", row.name), word.span, out);
        }
    }

    /// Reports a word that works in part: what does not is named by `shown`.
    pub(super) fn unsupported(&mut self, shown: &str, at: Span, out: &mut Diagnostics) {
        self.report(Row::Unsupported, shown, at, out);
    }

    /// Reports something that is accepted and does nothing.
    pub(super) fn no_effect(&mut self, shown: &str, at: Span, out: &mut Diagnostics) {
        self.report(Row::NoEffect, shown, at, out);
    }

    fn report(&mut self, support: Row, shown: &str, at: Span, out: &mut Diagnostics) {
        match support {
            Row::Works => {}
            Row::NoEffect => {
                // Once per word: a thousand backends with the same harmless line need no thousand warnings.
                if self.no_effect.insert(shown.to_owned()) {
                    out.push(
                        Diagnostic::warning(code::NO_EFFECT, at, format!("'{shown}' is accepted, has no effect yet."))
                            .label("does nothing in this version")
                            .help("it is harmless to leave it; said once for all places"),
                    );
                }
            }
            Row::Unsupported => out.push(
                Diagnostic::new(
                    Severity::Unsupported,
                    code::UNSUPPORTED,
                    at,
                    format!("'{shown}' is understood but does not work yet; proxyd will not start with it."),
                )
                .place(Place::Parsing)
                .label("does not work in this version")
                .help("without it other clients would be let in or traffic would go elsewhere, so it is not ignored"),
            ),
        }
    }
}
