//! Log-format strings (configuration manual, section 8.2.6), which also stand wherever a header, a path or a body may be
//! composed.

use super::expr::grammar::{Grammar, Rule};
use super::expr::{Base, Expression, SyntaxError};
use crate::source::Span;
use crate::suggest::nearest;
use crate::words::{Word, WordBuilder};
use pest::Parser as _;
use pest::iterators::Pair;

/// The aliases of 2.6 to 3.5: what may follow a `%`.
pub const ALIASES: [&str; 65] = [
    "B", "CC", "CS", "H", "HM", "HP", "HPO", "HQ", "HU", "HV", "ID", "OG", "ST", "T", "TR", "Ta", "Tc", "Td", "Th",
    "Ti", "Tl", "Tq", "Tr", "Ts", "Tt", "Tu", "Tw", "U", "ac", "b", "bc", "bi", "bp", "bq", "ci", "cp", "f", "fc",
    "fi", "fp", "ft", "hr", "hrl", "hs", "hsl", "lc", "ms", "o", "pid", "r", "rc", "rt", "s", "sc", "si", "sp", "sq",
    "sslc", "sslv", "t", "tr", "trg", "trl", "ts", "tsc",
];

/// A log-format string in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFormat {
    /// In order.
    pub pieces: Vec<Piece>,
    /// All of it.
    pub span: Span,
}

/// A piece of a log-format string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text that is emitted as it is; `%%` is already one `%`. No two stand side by side.
    Literal(Word),
    /// `%ci`, `%{+Q}r`; the alias `o` sets its flags for all that follow.
    Alias(Alias),
    /// `%[src,lower]`
    Sample(Sample),
}

/// An alias and how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// One of [`ALIASES`].
    pub name: Word,
    /// How the value is written.
    pub style: Style,
    /// From the `%` on.
    pub span: Span,
}

/// A sample expression and how its sample is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// What is evaluated.
    pub expression: Expression,
    /// How the value is written.
    pub style: Style,
    /// From the `%` to the closing bracket.
    pub span: Span,
}

/// What may stand between the `%` and the item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// `%(name)…`: the key of the value in a JSON or CBOR object.
    pub name: Option<Word>,
    /// `%(name:type)…` or `%(:type)…`: `str`, `sint`, `bool`, …
    pub type_name: Option<Word>,
    /// `{+Q,-X}`
    pub flags: Vec<Flag>,
}

/// `+Q`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// `+`; `-` takes a flag away. Without a sign a flag has no effect in haproxy and is not in the list.
    pub on: bool,
    /// `Q` quotes, `X` hexadecimal, `E` escapes, `M` empty as it is, `json`, `cbor`, `bin`. Not checked here.
    pub name: Word,
}

/// Reads a log-format string: what could be understood, and everything that is wrong.
pub fn parse(word: &Word) -> (LogFormat, Vec<SyntaxError>) {
    let mut reader = Reader { word, pieces: Vec::new(), literal: None, errors: Vec::new() };
    match Grammar::parse(Rule::format, &word.text) {
        Ok(pairs) => pairs.flat_map(Pair::into_inner).for_each(|pair| reader.piece(pair)),
        // The grammar accepts every text.
        Err(_) => reader.errors.push(SyntaxError::new("unreadable format", word.span)),
    }
    reader.end_literal();
    (LogFormat { pieces: reader.pieces, span: word.span }, reader.errors)
}

struct Reader<'a> {
    word: &'a Word,
    pieces: Vec<Piece>,
    /// Text that has not ended yet.
    literal: Option<WordBuilder>,
    errors: Vec<SyntaxError>,
}

impl Reader<'_> {
    fn base(&self) -> Base<'_> {
        Base { word: self.word, offset: 0 }
    }

    fn piece(&mut self, pair: Pair<'_, Rule>) {
        let range = self.base().range(&pair);
        match pair.as_rule() {
            Rule::literal | Rule::stray => self.text(range),
            Rule::percent => self.text(range.start + 1..range.end),
            Rule::item | Rule::empty_item => {
                self.end_literal();
                match self.item(pair) {
                    Ok(piece) => self.pieces.push(piece),
                    Err(error) => self.errors.push(error),
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, range: std::ops::Range<usize>) {
        let span = self.word.span_of(range.clone());
        let literal = self.literal.get_or_insert_with(|| WordBuilder::new(span));
        literal.add_part(self.word, range);
        literal.span = literal.span.to(span);
    }

    fn end_literal(&mut self) {
        self.pieces.extend(self.literal.take().map(|text| Piece::Literal(text.finish())));
    }

    /// What follows a `%`.
    fn item(&self, pair: Pair<'_, Rule>) -> Result<Piece, SyntaxError> {
        let base = self.base();
        let (span, written) = (base.span(&pair), pair.as_str());
        let mut style = Style::default();
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::label => self.label(part, &mut style),
                Rule::flags => self.flags(part, &mut style)?,
                Rule::alias => {
                    let name = self.word.part(base.range(&part));
                    return alias(name, style, span).map(Piece::Alias);
                }
                Rule::sample => {
                    let expression = self.sample(part)?;
                    return Ok(Piece::Sample(Sample { expression, style, span }));
                }
                _ => {}
            }
        }
        Err(empty_item(written, span))
    }

    fn label(&self, pair: Pair<'_, Rule>, style: &mut Style) {
        for part in pair.into_inner() {
            let word = Some(self.word.part(self.base().range(&part)));
            match part.as_rule() {
                Rule::label_name => style.name = word,
                _ => style.type_name = word,
            }
        }
    }

    fn flags(&self, pair: Pair<'_, Rule>, style: &mut Style) -> Result<(), SyntaxError> {
        let (span, written) = (self.base().span(&pair), pair.as_str());
        for part in pair.into_inner() {
            if part.as_rule() == Rule::no_brace {
                let message = format!("truncated line after '{}'", written.trim_start_matches('{'));
                return Err(SyntaxError::new(message, span).help(Some("`}` is missing".into())));
            }
            let range = self.base().range(&part);
            let text = part.as_str();
            let from = range.start + text.len() - text.trim_start().len();
            let to = from + text.trim().len();
            let on = match text.trim().as_bytes().first() {
                Some(b'+') => true,
                Some(b'-') => false,
                Some(_) | None => continue,
            };
            style.flags.push(Flag { on, name: self.word.part(from + 1..to) });
        }
        Ok(())
    }

    fn sample(&self, pair: Pair<'_, Rule>) -> Result<Expression, SyntaxError> {
        let base = self.base();
        let mut found = None;
        for part in pair.into_inner() {
            let span = base.span(&part);
            if part.as_rule() != Rule::chain {
                return Err(not_closed(&self.word.text, base.range(&part).start, found.as_ref(), span));
            }
            let calls = base.calls(part, None)?;
            let mut named = calls.into_iter().map(|call| call.ok_or(span));
            let Some(Ok(fetch)) = named.next() else { return Err(SyntaxError::new("missing fetch method", span)) };
            let mut converters = Vec::new();
            while let Some(converter) = named.next() {
                match converter {
                    Ok(call) => converters.push(call),
                    Err(span) if named.len() == 0 => {
                        let end = Span { start: span.end, ..span };
                        return Err(SyntaxError::new("unknown converter ''", end));
                    }
                    // Several commas are as good as one.
                    Err(_) => {}
                }
            }
            found = Some(Expression { fetch, converters, span });
        }
        found.ok_or_else(|| SyntaxError::new("missing fetch method", self.word.span))
    }
}

/// A `%` and perhaps flags, and no name.
fn empty_item(written: &str, span: Span) -> SyntaxError {
    if written != "%" {
        return SyntaxError::new(format!("parse argument modifier without variable name near '{written}'"), span);
    }
    SyntaxError::new("truncated line after '%'", span).help(Some("write `%%` for a percent sign".into()))
}

fn alias(name: Word, style: Style, span: Span) -> Result<Alias, SyntaxError> {
    if ALIASES.contains(&name.as_str()) {
        return Ok(Alias { name, style, span });
    }
    let message = format!(
        "no such format variable '{}'. If you wanted to emit the '%' character verbatim, you need to use '%%'",
        name.text
    );
    let known = nearest(&name.text, ALIASES).map(|known| format!("did you mean `%{known}`?"));
    Err(SyntaxError::new(message, name.span).help(known))
}

/// The expression is followed by something else than `]`, at this offset.
fn not_closed(text: &str, at: usize, before: Option<&Expression>, span: Span) -> SyntaxError {
    let fetch = before.map_or("", |expression| expression.fetch.name.as_str());
    let message = match text[at..].chars().next() {
        None => format!("missing ']' after '{fetch}'"),
        Some(found) => format!("expected ']' after '{fetch}', but found '{found}'"),
    };
    SyntaxError::new(message, span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;
    use proptest::prelude::*;

    fn read(text: &str) -> (Sources, LogFormat, Vec<SyntaxError>) {
        let mut sources = Sources::new();
        let source = sources.add("a.cfg", text.as_bytes());
        let (format, errors) = parse(&Word::plain(text, Span::new(source, 0..text.len())));
        (sources, format, errors)
    }

    fn show(format: &LogFormat) -> String {
        let style = |style: &Style| {
            let word = |word: &Option<Word>| word.as_ref().map_or(String::new(), |word| format!("({})", word.text));
            let flags = style.flags.iter().map(|flag| format!("{}{}", if flag.on { '+' } else { '-' }, flag.name.text));
            format!("{}{}{}", word(&style.name), word(&style.type_name), flags.collect::<String>())
        };
        let piece = |piece: &Piece| match piece {
            Piece::Literal(text) => format!("'{}'", text.text),
            Piece::Alias(alias) => format!("{}{}", style(&alias.style), alias.name.text),
            Piece::Sample(sample) => {
                let expression = &sample.expression;
                format!("{}[{}/{}]", style(&sample.style), expression.fetch.name.text, expression.converters.len())
            }
        };
        format.pieces.iter().map(piece).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn pieces() {
        for (text, expected) in [
            ("", ""),
            ("a%%b%c", "'a%b' !"),
            ("%ci:%cp [%tr] %ft", "ci ':' cp ' [' tr '] ' ft"),
            ("%{+Q}ci", "+Qci"),
            ("%{ +Q , -X }o%r", "+Q-Xo r"),
            ("%{Q}ci%{}ci", "ci ci"),
            ("%[src]x%[path,lower,,upper]", "[src/0] 'x' [path/2]"),
            ("%{+Q}[str(\"]\")]]", "+Q[str/0] ']'"),
            ("%(name)ci%(name:str)[src]%(:int){+E}ci%{+E}(n)ci", "(name)ci (name)(str)[src/0] (int)+Eci (n)+Eci"),
            ("%ci_x%.%-%(a", "ci '_x%.%-%(a'"),
            ("100%%", "'100%'"),
        ] {
            let (sources, format, errors) = read(text);
            let shown = show(&format);
            assert_eq!(if errors.is_empty() { shown } else { shown + " !" }, expected, "{text}");
            for piece in &format.pieces {
                let span = match piece {
                    Piece::Literal(text) => text.span,
                    Piece::Alias(alias) => alias.span,
                    Piece::Sample(sample) => sample.span,
                };
                assert!(!sources.text(span).is_empty(), "{text}");
            }
        }
    }

    /// The words of haproxy 2.6.
    #[test]
    fn mistakes() {
        for (text, message, at) in [
            (
                "%cix",
                "no such format variable 'cix'. If you wanted to emit the '%' character verbatim, you need to use '%%'",
                "cix",
            ),
            (
                "%{+Q}1",
                "no such format variable '1'. If you wanted to emit the '%' character verbatim, you need to use '%%'",
                "1",
            ),
            ("a%", "truncated line after '%'", "%"),
            ("%{+Q", "truncated line after '+Q'", "{+Q"),
            ("%{+Q}", "parse argument modifier without variable name near '%{+Q}'", "%{+Q}"),
            ("%{+Q}%ci", "parse argument modifier without variable name near '%{+Q}'", "%{+Q}"),
            ("%[src", "missing ']' after 'src'", ""),
            ("%[src ]%ci", "expected ']' after 'src', but found ' '", " ]"),
            ("%[]", "missing fetch method", ""),
            ("%[ src]", "missing fetch method", ""),
            ("%[src,]", "unknown converter ''", ""),
            ("%[hdr(a]", "fetch method 'hdr' : expected ')'", "hdr(a]"),
        ] {
            let (sources, _, errors) = read(text);
            assert_eq!(errors.len(), 1, "{text}: {errors:?}");
            assert_eq!((errors[0].message.as_str(), sources.text(errors[0].span)), (message, at), "{text}");
        }
        assert_eq!(read("%zz%[%ci%cj").2.len(), 2);
    }

    proptest! {
        #[test]
        fn any_text(text in "[%a-c+Q(){},\\[\\]\"'\\\\ :1]*") {
            let (sources, format, errors) = read(&text);
            for error in errors {
                prop_assert!(sources.get(error.span.source).text().get(error.span.range()).is_some());
            }
            prop_assert!(format.pieces.len() <= text.len());
        }
    }
}
