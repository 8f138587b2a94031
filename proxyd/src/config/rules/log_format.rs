//! `log-format`: from its pieces to the program that writes a line.

use super::Lowering;
use super::report::{self, code};
use crate::log::format::{Alias, Encoding, Field, Flags, Item, Kind, Program};
use crate::sample::Expression;
use shared_config::diagnostic::{Diagnostic, Place};
use shared_config::haproxy::keyword::FetchPlaces;
use shared_config::haproxy::log_format::{self, Flag, Piece, Style};
use shared_config::suggest::nearest;
use shared_config::words::Word;

impl Lowering<'_> {
    /// Compiles a format whose samples are taken in these places. `None` where it is wrong or uses what does not work yet, which has been reported.
    pub(super) fn log_format(
        &mut self,
        keyword: &str,
        word: &Word,
        places: FetchPlaces,
    ) -> Option<Program<Expression>> {
        // What haproxy says in front of every problem of a format.
        let prefix = &format!("failed to parse {keyword} : ");
        let (format, errors) = log_format::parse(word);
        let mut complete = errors.is_empty();
        for error in errors {
            let diagnostic = report::sentence(error).into_diagnostic(code::BAD_EXPRESSION, prefix);
            self.out.push(diagnostic.place(Place::ParsingFormat));
        }
        let mut items = Vec::new();
        let mut fields = Vec::new();
        let mut inherited = Flags::default();
        for piece in &format.pieces {
            let (style, value) = match piece {
                Piece::Literal(text) => {
                    literal(text, &mut items);
                    continue;
                }
                // It writes nothing: its flags are those of all that follows.
                Piece::Alias(alias) if alias.name.as_str() == "o" => {
                    inherited = flags(inherited, &alias.style.flags);
                    continue;
                }
                Piece::Alias(alias) => {
                    (&alias.style, self.alias(alias, prefix, Place::ParsingFormat, |_| true).map(Either::Alias))
                }
                Piece::Sample(sample) => {
                    let known = self.embedded(sample, prefix, Place::ParsingFormat, places);
                    (&sample.style, known.map(Either::Expression))
                }
            };
            let kind = self.kind(style, prefix);
            let (Some(value), Ok(kind)) = (value, kind) else {
                complete = false;
                continue;
            };
            // Bytes are kept for all of a format or not at all.
            let flags = Flags { binary: inherited.binary, ..flags(inherited, &style.flags) };
            let name = style.name.as_ref().map(|name| name.text.to_string());
            if let Some(name) = name.filter(|_| inherited.encoding != Encoding::Line) {
                fields.push(value.into_field(name, flags, kind));
            } else if flags.encoding != Encoding::Line {
                items.push(Item::Encoded(Box::new(value.into_field(String::new(), flags, kind))));
            } else {
                items.push(value.into_item(flags));
            }
        }
        if inherited.encoding != Encoding::Line {
            // Of an object, only what has a name can be a part.
            return complete.then(|| Program::object(inherited, fields));
        }
        complete.then(|| Program::new(items))
    }

    /// The type that an item asks for.
    pub(super) fn kind(&mut self, style: &Style, prefix: &str) -> Result<Option<Kind>, ()> {
        let Some(name) = &style.type_name else { return Ok(None) };
        let Some(kind) = Kind::from_name(name.as_str()) else {
            let message =
                format!("{prefix}unexpected output type '{}'. Supported types are: str, sint, bool.", name.text);
            let error = Diagnostic::error(code::BAD_EXPRESSION, name.span, message);
            self.out.push(error.place(Place::ParsingFormat));
            return Err(());
        };
        Ok(Some(kind))
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
}

/// Flags on top of those that hold for the whole format. Letters that mean nothing are ignored, as haproxy ignores them.
pub(super) fn flags(inherited: Flags, written: &[Flag]) -> Flags {
    let mut flags = inherited;
    for flag in written {
        match flag.name.as_str() {
            "Q" => flags.quoted = flag.on,
            "X" => flags.hexadecimal = flag.on,
            "E" => flags.escaped = flag.on,
            "bin" => flags.binary = flag.on,
            "json" => flags.encoding = if flag.on { Encoding::Json } else { Encoding::Line },
            "cbor" => flags.encoding = if flag.on { Encoding::Cbor } else { Encoding::Line },
            _ => {}
        }
    }
    flags
}

/// The value of an item.
enum Either {
    Alias(Alias),
    Expression(Expression),
}

impl Either {
    fn into_item(self, flags: Flags) -> Item<Expression> {
        match self {
            Self::Alias(alias) => Item::Alias(alias, flags),
            Self::Expression(expression) => Item::Expression(expression, flags),
        }
    }

    fn into_field(self, name: String, flags: Flags, kind: Option<Kind>) -> Field<Expression> {
        match self {
            Self::Alias(alias) => Field::alias(name, alias, flags, kind),
            Self::Expression(expression) => Field::expression(name, expression, flags, kind),
        }
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
