//! One statement while it is lowered: a cursor over its words, and where its problems go.
//!
//! Messages are haproxy's, since scripts and people search for them; labels and help are our own.

use super::value::{self, TimeProblem, Unit};
use shared_config::diagnostic::{Diagnostic, Diagnostics, Place};
use shared_config::haproxy::keyword::SectionKind;
use shared_config::source::Span;
use shared_config::words::{Word, Words};
use std::time::Duration;

/// The kinds of problems, for tools.
pub(super) mod code {
    pub(in crate::config) const UNKNOWN_KEYWORD: &str = "unknown-keyword";
    pub(in crate::config) const WRONG_SECTION: &str = "wrong-section";
    pub(in crate::config) const MISSING_ARGUMENT: &str = "missing-argument";
    pub(in crate::config) const EXTRA_ARGUMENT: &str = "extra-argument";
    pub(in crate::config) const BAD_VALUE: &str = "bad-value";
    pub(in crate::config) const UNKNOWN_NAME: &str = "unknown-name";
    pub(in crate::config) const DUPLICATE: &str = "duplicate-name";
    pub(in crate::config) const LEGACY: &str = "legacy";
    pub(in crate::config) const NO_EFFECT: &str = "no-effect";
    pub(in crate::config) const UNSUPPORTED: &str = "unsupported";
    pub(in crate::config) const IGNORED: &str = "ignored";
    pub(in crate::config) const FILE: &str = "file";
    pub(in crate::config) const RISKY: &str = "risky";
    pub(in crate::config) const CONFLICT: &str = "conflict";
    pub(in crate::config) const UNRESOLVED: &str = "unresolved-address";
}

/// A statement, the words of its keyword already taken.
pub(super) struct Line<'a, 'd> {
    /// What comes after the keyword.
    pub words: Words<'a>,
    /// The keyword as the table writes it: `timeout client`, `option httplog`.
    pub name: &'a str,
    /// The words of the keyword.
    pub keyword: Span,
    /// `no` stood in front.
    pub negated: bool,
    /// The section the statement stands in.
    pub section: SectionKind,
    /// Where problems go.
    pub out: &'d mut Diagnostics,
}

impl<'a> Line<'a, '_> {
    /// An error at a place.
    pub(super) fn error(&mut self, code: &'static str, at: Span, message: impl Into<String>) {
        self.out.push(Diagnostic::error(code, at, message));
    }

    /// A warning at a place.
    pub(super) fn warn(&mut self, code: &'static str, at: Span, message: impl Into<String>) {
        self.out.push(Diagnostic::warning(code, at, message));
    }

    /// The next word; where there is none, this is the error.
    pub(super) fn expect(&mut self, missing: impl Into<String>) -> Option<&'a Word> {
        let word = self.words.next();
        if word.is_none() {
            let here = self.words.here();
            self.out.push(Diagnostic::error(code::MISSING_ARGUMENT, here, missing).label("something is missing here"));
        }
        word
    }

    /// Takes the next word if it is this one.
    pub(super) fn take(&mut self, text: &str) -> Option<&'a Word> {
        Words::take(&mut self.words, text)
    }

    /// Refuses words that are left over.
    pub(super) fn end(&mut self) {
        if let Some(word) = self.words.next() {
            let message = format!("'{}' cannot handle unexpected argument '{}'.", self.name, word.text);
            self.error(code::EXTRA_ARGUMENT, word.span, message);
            let _rest = self.words.rest();
        }
    }

    /// The next word as an integer, the way haproxy reads most of them: leading digits count, and what follows is
    /// dropped. That is said, since it is never meant.
    pub(super) fn integer(&mut self, missing: impl Into<String>) -> Option<i64> {
        let word = self.expect(missing)?;
        Some(self.lenient(word))
    }

    /// A word as an integer, leniently; see [`Line::integer`].
    pub(super) fn lenient(&mut self, word: &Word) -> i64 {
        self.lenient_named(word, self.name, Place::Parsing)
    }

    /// The same for a parameter of this name.
    pub(super) fn lenient_named(&mut self, word: &Word, name: &str, place: Place) -> i64 {
        let (number, rest) = value::leading_integer(&word.text);
        if !rest.is_empty() {
            let message = format!("'{name}' : '{}' is not a number, it is read as {number}.", word.text);
            self.out.push(
                Diagnostic::warning(code::BAD_VALUE, word.span, message)
                    .place(place)
                    .label("not a number")
                    .help("write a plain decimal number"),
            );
        }
        number
    }

    /// [`Line::integer`] for what cannot be negative; zero and less are `None`, which haproxy takes for "not set".
    pub(super) fn positive(&mut self, missing: impl Into<String>) -> Option<u32> {
        let number = self.integer(missing)?;
        u32::try_from(number.clamp(0, i64::from(u32::MAX))).ok().filter(|&n| n > 0)
    }

    /// A word as a time; the error is worded as for an argument of `what`.
    pub(super) fn time(&mut self, word: &Word, unit: Unit, what: &str) -> Option<Duration> {
        self.time_at(word, unit, what, Place::Parsing)
    }

    /// [`Line::time`] where haproxy says the place in another way.
    pub(super) fn time_at(&mut self, word: &Word, unit: Unit, what: &str, place: Place) -> Option<Duration> {
        let problem = match value::time(&word.text, unit) {
            Ok(time) => return Some(time),
            Err(problem) => problem,
        };
        let text = &word.text;
        let message = match problem {
            TimeProblem::Unexpected { character, .. } => {
                format!("unexpected character '{character}' in argument to <{what}>.")
            }
            TimeProblem::Overflow => {
                format!("timer overflow in argument <{text}> to <{what}>, maximum value is 2147483647 ms (~24.8 days).")
            }
            TimeProblem::Underflow => {
                format!("timer underflow in argument <{text}> to <{what}>, minimum non-null value is 1 ms.")
            }
        };
        self.bad_time(word, &problem, message, place);
        None
    }

    /// Reports a time that cannot be read, worded by the caller.
    pub(super) fn bad_time(&mut self, word: &Word, problem: &TimeProblem, message: String, place: Place) {
        let at = match problem {
            TimeProblem::Unexpected { at, character } => word.span_of(*at..*at + character.len_utf8()),
            TimeProblem::Overflow | TimeProblem::Underflow => word.span,
        };
        self.out.push(
            Diagnostic::error(code::BAD_VALUE, at, message)
                .place(place)
                .help("a time is a number and one of the units us, ms, s, m, h, d"),
        );
    }

    /// The words that are left, joined by spaces.
    pub(super) fn joined(&mut self) -> String {
        self.words.rest().iter().map(Word::as_str).collect::<Vec<_>>().join(" ")
    }
}
