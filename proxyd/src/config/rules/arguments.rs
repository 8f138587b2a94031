//! Arguments in parentheses, checked against the row of the keyword table.

use super::names::Names;
use crate::ids::{BackendId, FrontendId, ServerIndex, TableId, UserlistId};
use shared_config::haproxy::expr::{Call, SyntaxError};
use shared_config::haproxy::keyword::{Arg, ArgKind};
use shared_config::source::Span;
use shared_config::words::Word;

/// The arguments of a call, counted and checked as far as their types say.
pub(super) struct Arguments<'a> {
    list: &'a [Word],
    kinds: &'static [Arg],
    at: Span,
}

/// A problem, without what haproxy says in front of it.
pub(super) type Problem = SyntaxError;

/// A problem with words and a place.
pub(super) fn problem(message: impl Into<String>, span: Span) -> Problem {
    Problem { message: message.into(), span, help: None }
}

/// An argument that does not fit.
pub(super) struct Misfit {
    /// From 1.
    pub position: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

impl<'a> Arguments<'a> {
    /// Checks number and types. The message of an error is what haproxy says after `fetch method 'x' : `.
    pub(super) fn check(call: &'a Call, kinds: &'static [Arg]) -> Result<Self, Misfit> {
        let list = call.arguments.as_deref().unwrap_or_default();
        // A proxy or table that is left out is the one the rule stands in.
        let implied = |kind| matches!(kind, ArgKind::Frontend | ArgKind::Backend | ArgKind::Table);
        let required = kinds.iter().filter(|arg| arg.required && !implied(arg.kind)).count();
        if let Some(extra) = list.get(kinds.len()) {
            let rest: Vec<&str> = list[kinds.len()..].iter().map(Word::as_str).collect();
            let comma = if kinds.is_empty() { "" } else { "," };
            let problem = problem(format!("expected ')' before '{comma}{})'", rest.join(",")), extra.span);
            return Err(Misfit { position: kinds.len() + 1, problem });
        }
        let arguments = Self { list, kinds, at: call.span };
        for index in 0..list.len() {
            arguments.check_kind(index).map_err(|problem| Misfit { position: index + 1, problem })?;
        }
        // `str()` is the empty text.
        let empty_text =
            call.arguments.is_some() && list.is_empty() && kinds.first().is_some_and(|arg| arg.kind == ArgKind::Str);
        if list.len() < required && !(required == 1 && empty_text) {
            let kind = kinds[list.len()].kind.name();
            let message = if list.is_empty() {
                format!("expected type '{kind}' at position 1, but got nothing")
            } else {
                format!("missing arguments (got {}/{required}), type '{kind}' expected", list.len())
            };
            return Err(Misfit { position: list.len() + 1, problem: problem(message, call.span) });
        }
        Ok(arguments)
    }

    fn check_kind(&self, index: usize) -> Result<(), Problem> {
        let (word, kind) = (&self.list[index], self.kinds[index].kind);
        let good = match kind {
            ArgKind::Integer => word.text.is_empty() || whole_number(&word.text).is_some(),
            ArgKind::Ipv4Address => word.text.parse::<std::net::Ipv4Addr>().is_ok(),
            ArgKind::Ipv6Address => word.text.parse::<std::net::Ipv6Addr>().is_ok(),
            ArgKind::Ipv4Mask => word.text.is_empty() || mask4(&word.text).is_some(),
            ArgKind::Ipv6Mask => word.text.is_empty() || mask6(&word.text).is_some(),
            ArgKind::Str
            | ArgKind::Regex
            | ArgKind::Frontend
            | ArgKind::Backend
            | ArgKind::Server
            | ArgKind::Table
            | ArgKind::Userlist
            | ArgKind::Unspecified => true,
            ArgKind::ProtobufField => field_numbers(&word.text).is_some(),
        };
        if good {
            return Ok(());
        }
        let message = format!("failed to parse '{}' as type '{}' at position {}", word.text, kind.name(), index + 1);
        Err(problem(message, word.span))
    }

    /// Where the call is written.
    pub(super) fn span(&self) -> Span {
        self.at
    }

    /// An argument that is there and not empty.
    pub(super) fn word(&self, index: usize) -> Option<&'a Word> {
        self.list.get(index).filter(|word| !word.text.is_empty())
    }

    /// Its bytes, also where it is empty.
    pub(super) fn bytes(&self, index: usize) -> Option<Box<[u8]>> {
        self.list.get(index).map(|word| shared_config::source::encode(&word.text).into())
    }

    /// As a name of a header: lower case, `None` where there is none.
    pub(super) fn header(&self, index: usize) -> Option<Box<[u8]>> {
        self.word(index).map(|word| shared_config::source::encode(&word.text.to_ascii_lowercase()).into())
    }

    /// As a number; beyond the range of the type, the nearest there is.
    pub(super) fn integer(&self, index: usize) -> Option<i64> {
        whole_number(&self.word(index)?.text)
    }

    /// As a number, which is 0 where nothing stands behind a comma.
    pub(super) fn integer_or_nothing(&self, index: usize) -> Option<i64> {
        if self.list.get(index)?.text.is_empty() { Some(0) } else { self.integer(index) }
    }

    /// As the bits of IPv4 that are kept.
    pub(super) fn mask4(&self, index: usize) -> Option<u32> {
        mask4(&self.word(index)?.text)
    }

    /// As the bits of IPv6 that are kept.
    pub(super) fn mask6(&self, index: usize) -> Option<u128> {
        mask6(&self.word(index)?.text)
    }

    /// As the name of a backend; `None` where there is none.
    pub(super) fn backend(
        &self,
        index: usize,
        names: &Names,
        inside: &Inside<'_>,
    ) -> Result<Option<BackendId>, Problem> {
        let Some(word) = self.word(index) else { return Ok(None) };
        let found = names.backends.get(&*word.text).copied();
        found.map(Some).ok_or_else(|| inside.missing("backend", word, index))
    }

    /// As the name of a frontend; `None` where there is none.
    pub(super) fn frontend(
        &self,
        index: usize,
        names: &Names,
        inside: &Inside<'_>,
    ) -> Result<Option<FrontendId>, Problem> {
        let Some(word) = self.word(index) else { return Ok(None) };
        let found = names.frontends.get(&*word.text).copied();
        found.map(Some).ok_or_else(|| inside.missing("frontend", word, index))
    }

    /// As the name of a stick table; where none is named, this section's.
    pub(super) fn table(&self, index: usize, names: &Names, inside: &Inside<'_>) -> Result<TableId, Problem> {
        let word = self.word(index);
        let name = word.map_or(inside.section, |word| word.as_str());
        let found = names.tables.get(name).map(|table| table.id);
        found.ok_or_else(|| inside.missing_named("table", name, word.map_or(self.at, |word| word.span), index))
    }

    /// As the name of a userlist.
    pub(super) fn userlist(&self, index: usize, names: &Names, inside: &Inside<'_>) -> Result<UserlistId, Problem> {
        let Some(word) = self.word(index) else { return Err(problem("missing userlist", self.at)) };
        names.userlists.get(&*word.text).copied().ok_or_else(|| inside.missing("userlist", word, index))
    }

    /// As `backend/server`, or a server of this section.
    pub(super) fn server(
        &self,
        index: usize,
        names: &Names,
        inside: &Inside<'_>,
    ) -> Result<(BackendId, ServerIndex), Problem> {
        let Some(word) = self.word(index) else { return Err(problem("missing server", self.at)) };
        let (backend, server) = word.text.split_once('/').unwrap_or((inside.section, &word.text));
        if !names.backends.contains_key(backend) {
            return Err(problem(
                format!(
                    "unable to find proxy '{backend}' referenced in arg {} of {} in proxy '{}'.",
                    index + 1,
                    inside.call,
                    inside.section
                ),
                word.span,
            ));
        }
        names.server(backend, server).ok_or_else(|| {
            let message = format!(
                "unable to find server '{server}' in proxy '{backend}', referenced in arg {} of {} in proxy '{}'.",
                index + 1,
                inside.call,
                inside.section
            );
            problem(message, word.span)
        })
    }
}

/// What a message about a name says around it.
pub(super) struct Inside<'a> {
    /// `ACL keyword 'nbsrv'`, `sample fetch keyword 'nbsrv'`.
    pub call: String,
    /// The section's name.
    pub section: &'a str,
}

impl Inside<'_> {
    fn missing(&self, kind: &str, word: &Word, index: usize) -> Problem {
        self.missing_named(kind, &word.text, word.span, index)
    }

    fn missing_named(&self, kind: &str, name: &str, at: Span, index: usize) -> Problem {
        let (place, call, section) = (index + 1, &self.call, self.section);
        let message =
            format!("unable to find {kind} '{name}' referenced in arg {place} of {call} in proxy '{section}'.");
        problem(message, at)
    }
}

/// The numbers of a field and of the messages it stands in, with dots between them. As with haproxy, one that is left out before
/// a dot is 0, and too large ones keep their lower 32 bits.
pub(super) fn field_numbers(text: &str) -> Option<Box<[u32]>> {
    let number = |digits: &str| {
        digits.chars().try_fold(0_u32, |number, digit| Some(number.wrapping_mul(10).wrapping_add(digit.to_digit(10)?)))
    };
    if text.ends_with('.') || text.is_empty() { None } else { text.split('.').map(number).collect() }
}

/// A number that may be too large for its type, which makes it the nearest there is.
fn whole_number(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let good = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    good.then(|| crate::sample::value::leading_int(text.as_bytes()))
}

/// A mask as a number of bits or as an address.
fn mask4(text: &str) -> Option<u32> {
    match text.parse::<u8>() {
        Ok(bits) => (bits <= 32).then(|| u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)),
        Err(_) => text.parse::<std::net::Ipv4Addr>().ok().map(u32::from),
    }
}

/// The same for IPv6.
fn mask6(text: &str) -> Option<u128> {
    match text.parse::<u8>() {
        Ok(bits) => (bits <= 128).then(|| u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)),
        Err(_) => text.parse::<std::net::Ipv6Addr>().ok().map(u128::from),
    }
}
