//! What is said about the order of rules: a rule that is evaluated before one that stands above it, one that is never
//! reached.

use super::Lowering;
use super::report::code;
use shared_config::diagnostic::{Diagnostic, Place};
use shared_config::haproxy::keyword::Ruleset;
use shared_config::source::Span;
use shared_config::words::Word;

/// The kinds of rules in the order in which they are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Kind {
    TcpConnection,
    TcpSession,
    TcpContent,
    HttpRequest,
    Redirect,
    UseBackend,
    UseServer,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::TcpConnection,
        Self::TcpSession,
        Self::TcpContent,
        Self::HttpRequest,
        Self::Redirect,
        Self::UseBackend,
        Self::UseServer,
    ];

    fn of(words: &[Word]) -> Option<Self> {
        let word = |index: usize| words.get(index).map_or("", Word::as_str);
        Some(match (word(0), word(1)) {
            ("tcp-request", "connection") => Self::TcpConnection,
            ("tcp-request", "session") => Self::TcpSession,
            ("tcp-request", "content") => Self::TcpContent,
            ("http-request", _) => Self::HttpRequest,
            ("redirect", _) => Self::Redirect,
            ("use_backend", _) => Self::UseBackend,
            ("use-server", _) => Self::UseServer,
            _ => return None,
        })
    }

    /// With the article haproxy gives it.
    fn article_and_name(self) -> &'static str {
        match self {
            Self::TcpConnection => "a 'tcp-request connection'",
            Self::TcpSession => "a 'tcp-request session'",
            Self::TcpContent => "a 'tcp-request content'",
            Self::HttpRequest => "an 'http-request'",
            Self::Redirect => "a 'redirect'",
            Self::UseBackend => "a 'use_backend'",
            Self::UseServer => "a 'use-server'",
        }
    }
}

/// What was seen so far.
#[derive(Default)]
pub(super) struct Order {
    /// One bit for each [`Kind`].
    kinds: u8,
    /// One bit for each [`Ruleset`] whose last rule ends it without a condition.
    ended: u8,
}

impl Lowering<'_> {
    /// Says that a rule is evaluated before one that stands above it.
    pub(super) fn warn_order(&mut self, words: &[Word]) {
        let Some(keyword) = words.first() else { return };
        let Some(kind) = Kind::of(words) else { return };
        let above = Kind::ALL.into_iter().find(|other| *other > kind && self.order.kinds & (1 << *other as u8) != 0);
        self.order.kinds |= 1 << kind as u8;
        if let Some(above) = above {
            let message = format!(
                "a '{}' rule placed after {} rule will still be processed before.",
                keyword.text,
                above.article_and_name()
            );
            self.out.push(Diagnostic::warning(code::IGNORED, keyword.span, message));
        }
    }

    /// Says that a rule comes after one that always ends the set, and remembers whether this one does.
    pub(super) fn warn_unreached(&mut self, ruleset: Ruleset, at: Span, ends: bool) {
        let bit = 1 << ruleset as u8;
        if self.order.ended & bit != 0 {
            let message = format!(
                "previous '{}' action is final and has no condition attached, further entries are NOOP.",
                ruleset.name()
            );
            self.out
                .push(Diagnostic::warning(code::IGNORED, at, message).place(Place::ParsingLine).label("never reached"));
        }
        self.order.ended = if ends { self.order.ended | bit } else { self.order.ended & !bit };
    }
}

/// Whether an action ends its rule set.
pub(super) fn is_final(action: &str) -> bool {
    matches!(action, "allow" | "deny" | "tarpit" | "reject" | "return" | "auth" | "redirect" | "silent-drop")
}
