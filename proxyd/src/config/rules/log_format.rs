//! `log-format`: from its pieces to the program that writes a line.

use super::Lowering;
use super::report::{self, code};
use crate::log::format::{Alias, Flags, Item, Program};
use crate::sample::Expression;
use shared_config::diagnostic::{Diagnostic, Place};
use shared_config::haproxy::keyword::{FetchPlace, FetchPlaces};
use shared_config::haproxy::log_format::{self, Flag, Piece};
use shared_config::suggest::nearest;
use shared_config::words::Word;

impl Lowering<'_> {
    /// Compiles a format. `None` where it is wrong or uses what does not work yet, which has been reported.
    pub(super) fn log_format(&mut self, keyword: &str, word: &Word) -> Option<Program<Expression>> {
        // What haproxy says in front of every problem of a format.
        let prefix = &format!("failed to parse {keyword} : ");
        let (format, errors) = log_format::parse(word);
        let mut complete = errors.is_empty();
        for error in errors {
            let diagnostic = report::sentence(error).into_diagnostic(code::BAD_EXPRESSION, prefix);
            self.out.push(diagnostic.place(Place::ParsingFormat));
        }
        let mut items = Vec::new();
        let mut inherited = Flags::default();
        for piece in &format.pieces {
            match piece {
                Piece::Literal(text) => literal(text, &mut items),
                // It writes nothing: its flags are those of all that follows.
                Piece::Alias(alias) if alias.name.as_str() == "o" => {
                    inherited = self.flags(inherited, &alias.style.flags);
                }
                Piece::Alias(alias) => match self.alias(alias, prefix, Place::ParsingFormat, |_| true) {
                    Some(known) => items.push(Item::Alias(known, self.flags(inherited, &alias.style.flags))),
                    None => complete = false,
                },
                Piece::Sample(sample) => {
                    let places = FetchPlaces::of(FetchPlace::Logs);
                    match self.embedded(sample, prefix, Place::ParsingFormat, places) {
                        Some(known) => items.push(Item::Expression(known, self.flags(inherited, &sample.style.flags))),
                        None => complete = false,
                    }
                }
            }
        }
        complete.then(|| Program::new(items))
    }

    /// The variable of that name, if it is one of those that have a value here.
    pub(super) fn alias(
        &mut self,
        alias: &log_format::Alias,
        prefix: &str,
        place: Place,
        has_value: fn(Alias) -> bool,
    ) -> Option<Alias> {
        let name = alias.name.as_str();
        let known = Alias::from_name(name);
        if known.is_some_and(has_value) {
            return known;
        }
        if known.is_some() || log_format::ALIASES.contains(&name) {
            report::unsupported(self.out, &format!("%{name} in the argument of a rule"), alias.span);
            return None;
        }
        let message = format!(
            "{prefix}no such format variable '{name}'. If you wanted to emit the '%' character verbatim, you need to use '%%'."
        );
        let mut diagnostic = Diagnostic::error(code::BAD_EXPRESSION, alias.span, message).place(place);
        if let Some(near) = nearest(name, Alias::names()) {
            diagnostic = diagnostic.help(format!("did you mean `%{near}`?"));
        }
        self.out.push(diagnostic);
        None
    }

    /// Flags on top of those that hold for the whole format. Letters that mean nothing are ignored, as haproxy ignores them;
    /// encodings do not work yet.
    pub(super) fn flags(&mut self, inherited: Flags, written: &[Flag]) -> Flags {
        let mut flags = inherited;
        for flag in written {
            match flag.name.as_str() {
                "Q" => flags.quoted = flag.on,
                "X" => flags.hexadecimal = flag.on,
                "E" => flags.escaped = flag.on,
                "json" | "cbor" | "bin" if flag.on => {
                    report::unsupported(self.out, &format!("+{} in a log-format", flag.name.as_str()), flag.name.span);
                }
                _ => {}
            }
        }
        flags
    }
}

/// Text between the items: runs of blanks become one separator.
fn literal(text: &Word, items: &mut Vec<Item<Expression>>) {
    for (index, part) in text.as_str().split(' ').enumerate() {
        if index > 0 && items.last() != Some(&Item::Separator) {
            items.push(Item::Separator);
        }
        if !part.is_empty() {
            items.push(Item::Text(part.to_owned()));
        }
    }
}
