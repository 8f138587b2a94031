//! Texts with samples in them, as arguments of rules.

use super::expression::Voice;
use super::log_format::flags;
use super::report::{self, code};
use super::{Lowering, arguments};
use crate::log::format::{Encoding, Field, Flags, Item, Program};
use crate::sample;
use crate::sample::fetch::Fetch;
use crate::sample::text::{Piece, Text, in_rules};
use shared_config::diagnostic::{Diagnostic, Place};
use shared_config::haproxy::expr::{Call, Expression};
use shared_config::haproxy::keyword::{FetchPlace, FetchPlaces, find_fetch};
use shared_config::haproxy::log_format;
use shared_config::words::Word;

impl Lowering<'_> {
    /// Checks and compiles. Problems are reported with `prefix` in front; `None` where something does not work yet.
    pub(super) fn text(&mut self, word: &Word, prefix: &str, place: Place, places: FetchPlaces) -> Option<Text> {
        let (format, errors) = log_format::parse(word);
        for error in errors {
            self.out.push(report::sentence(error).into_diagnostic(code::BAD_EXPRESSION, prefix).place(place));
        }
        let mut pieces = Some(Vec::new());
        let mut inherited = Flags::default();
        let mut fields = Vec::new();
        for piece in &format.pieces {
            let lowered = match piece {
                // Of an object, only what has a name can be a part.
                piece if inherited.encoding != Encoding::Line && !is_flags(piece) => {
                    if !matches!(piece, log_format::Piece::Literal(_)) {
                        let field = self.field(piece, inherited, prefix, place, places);
                        fields.extend(field.as_ref().is_none_or(|field| !field.name.is_empty()).then_some(field));
                    }
                    continue;
                }
                log_format::Piece::Literal(text) => {
                    Some(Piece::Literal(shared_config::source::encode(&text.text).into()))
                }
                // It writes nothing: its flags are those of all that follows.
                log_format::Piece::Alias(alias) if alias.name.as_str() == "o" => {
                    inherited = flags(inherited, &alias.style.flags);
                    continue;
                }
                log_format::Piece::Alias(alias) if is_encoded(&alias.style) => {
                    self.encoded(piece, inherited, prefix, place, places)
                }
                log_format::Piece::Sample(sample) if is_encoded(&sample.style) => {
                    self.encoded(piece, inherited, prefix, place, places)
                }
                log_format::Piece::Alias(alias) => self
                    .alias(alias, prefix, place, in_rules)
                    .map(|known| Piece::Alias(known, flags(inherited, &alias.style.flags))),
                log_format::Piece::Sample(sample) => self.sample(sample, prefix, place, places),
            };
            pieces = pieces.zip(lowered).map(|(mut pieces, piece)| {
                pieces.push(piece);
                pieces
            });
        }
        if inherited.encoding != Encoding::Line {
            let fields = fields.into_iter().collect::<Option<_>>()?;
            return Some(Text { pieces: Box::new([Piece::Encoded(Box::new(Program::object(inherited, fields)))]) });
        }
        Some(Text { pieces: pieces?.into() })
    }

    /// An item that is encoded by itself.
    fn encoded(
        &mut self,
        piece: &log_format::Piece,
        inherited: Flags,
        prefix: &str,
        place: Place,
        places: FetchPlaces,
    ) -> Option<Piece> {
        let field = self.field(piece, inherited, prefix, place, places)?;
        Some(Piece::Encoded(Box::new(Program::new(vec![Item::Encoded(Box::new(field))]))))
    }

    /// A value with its type, and its name where it has one.
    fn field(
        &mut self,
        piece: &log_format::Piece,
        inherited: Flags,
        prefix: &str,
        place: Place,
        places: FetchPlaces,
    ) -> Option<Field<sample::Expression>> {
        let style = match piece {
            log_format::Piece::Literal(_) => return None,
            log_format::Piece::Alias(alias) => &alias.style,
            log_format::Piece::Sample(sample) => &sample.style,
        };
        let kind = self.kind(style, prefix).ok()?;
        let name = style.name.as_ref().map_or_else(String::new, |name| name.text.to_string());
        // Bytes are kept for all of a format or not at all.
        let flags = Flags { binary: inherited.binary, ..flags(inherited, &style.flags) };
        Some(match piece {
            log_format::Piece::Literal(_) => return None,
            log_format::Piece::Alias(alias) => {
                Field::alias(name, self.alias(alias, prefix, place, in_rules)?, flags, kind)
            }
            log_format::Piece::Sample(sample) => {
                Field::expression(name, self.embedded(sample, prefix, place, places)?, flags, kind)
            }
        })
    }

    /// `unique-id-format`, whose samples may look at the request. Blanks that follow each other are one, and none comes first.
    pub(super) fn unique_id_format(&mut self, word: &Word) -> Option<Text> {
        let places = FetchPlaces::of(FetchPlace::FrontendHttpRequestHeader);
        let mut text = self.text(word, "failed to parse unique-id : ", Place::ParsingFormat, places)?;
        let of_itself = |piece: &Piece| matches!(piece, Piece::Sample(of) if of.fetch == Fetch::UniqueId);
        if text.pieces.iter().any(of_itself) {
            let message = "'unique-id-format' cannot contain the sample 'unique-id', which it makes itself.";
            let error = Diagnostic::error(code::BAD_EXPRESSION, word.span, message).place(Place::ParsingLine);
            self.out.push(error.help("`%[uuid()]` makes an id by itself"));
            return None;
        }
        let mut after_blank = true;
        for piece in &mut text.pieces {
            let Piece::Literal(bytes) = piece else {
                after_blank = false;
                continue;
            };
            let merged = bytes.iter().copied().filter(|&byte| {
                let repeated = byte == b' ' && after_blank;
                after_blank = byte == b' ';
                !repeated
            });
            *bytes = merged.collect();
        }
        Some(text)
    }

    fn sample(
        &mut self,
        sample: &log_format::Sample,
        prefix: &str,
        place: Place,
        places: FetchPlaces,
    ) -> Option<Piece> {
        let expression = self.embedded(sample, prefix, place, places);
        // In messages haproxy writes samples as they are, whatever `Q` and `X` say.
        let plain = |flag: &log_format::Flag| !flag.on || matches!(flag.name.as_str(), "Q" | "X" | "bin");
        if !sample.style.flags.iter().all(plain) {
            // `+X` and the like change what a server would receive.
            report::unsupported(self.out, "a format flag in the argument of a rule", sample.span);
            return None;
        }
        expression.map(Piece::Sample)
    }

    /// The expression inside `%[…]`, where it can be evaluated in one of these places.
    pub(super) fn embedded(
        &mut self,
        sample: &log_format::Sample,
        prefix: &str,
        place: Place,
        places: FetchPlaces,
    ) -> Option<sample::Expression> {
        let name = &sample.expression.fetch.name;
        let lowered = match self.expression(&sample.expression, &name.text, Voice::Sample) {
            Ok(lowered) => lowered,
            Err(problem) => {
                let whole = word_of(&sample.expression);
                let problem = arguments::Problem {
                    message: format!("failed to parse sample expression <{whole}]> : {}", problem.message),
                    ..problem
                };
                self.out.push(report::sentence(problem).into_diagnostic(code::BAD_EXPRESSION, prefix).place(place));
                return None;
            }
        };
        if !lowered.places.intersects(places) {
            let message = format!(
                "{prefix}sample fetch <{}]> may not be reliably used here because it needs '{}' which is not available here.",
                word_of(&sample.expression),
                needs(lowered.places)
            );
            self.out.push(Diagnostic::error(code::BAD_EXPRESSION, sample.span, message).place(place));
            return None;
        }
        lowered.expression
    }
}

/// `%{…}o`, which writes nothing.
fn is_flags(piece: &log_format::Piece) -> bool {
    matches!(piece, log_format::Piece::Alias(alias) if alias.name.as_str() == "o")
}

/// Whether an item is encoded by itself.
fn is_encoded(style: &log_format::Style) -> bool {
    flags(Flags::default(), &style.flags).encoding != Encoding::Line
}

/// The expression as haproxy quotes it.
pub(super) fn word_of(expression: &Expression) -> String {
    let call = |call: &Call| {
        let arguments = call.arguments.as_ref().map(|list| {
            let list: Vec<&str> = list.iter().map(Word::as_str).collect();
            format!("({})", list.join(","))
        });
        format!("{}{}", call.name.text, arguments.unwrap_or_default())
    };
    let calls: Vec<String> = std::iter::once(&expression.fetch).chain(&expression.converters).map(call).collect();
    calls.join(",")
}

/// What haproxy says a sample needs.
pub(super) fn needs(places: FetchPlaces) -> &'static str {
    let at = |place| places.contains(place);
    if at(FetchPlace::FrontendHttpRequestHeader) {
        return if find_fetch("path").is_some_and(|row| row.places == places) {
            "HTTP request headers"
        } else {
            "request contents"
        };
    }
    if at(FetchPlace::BackendHttpResponseHeader) { "HTTP response headers" } else { "end of session" }
}
