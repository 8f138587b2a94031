//! `stick-table`, in a proxy or as `table` in a `peers` section.

use super::line::{Line, code};
use super::proxy::Tools;
use super::resolve;
use super::rules::{KnownTable, Names};
use super::sections::Others;
use super::value::{self, TimeProblem, Unit};
use crate::ids::TableId;
use crate::stick::data::{ARRAY_MAX, Form};
use crate::stick::table::{ServerKey, Settings};
use crate::stick::{Column, DataType, KeyType};
use shared_config::diagnostic::{Diagnostic, Diagnostics, Place};
use shared_config::haproxy::keyword::SectionKind;
use shared_config::source::{Sources, Span};
use shared_config::value::{Problem, size};
use shared_config::words::Word;

/// Bytes of a `string` or `binary` key where no `len` is given.
const KEY_LEN_DEFAULT: usize = 32;

/// A table as it is declared.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub settings: Settings,
    /// Where it is declared.
    pub at: Span,
    /// The section that would share it with other hosts.
    pub peers: Option<Word>,
}

/// Reads the statement; `None` where it is wrong, which has been reported.
pub(super) fn table(line: &mut Line<'_, '_>, name: String, tools: &mut Tools) -> Option<Draft> {
    let mut reader = Reader {
        line,
        tools,
        kind: None,
        size: 0,
        draft: Draft { at: Span::default(), peers: None, settings: empty(name) },
    };
    reader.draft.at = reader.line.keyword;
    while let Some(word) = reader.line.words.next() {
        reader.argument(word)?;
    }
    let here = reader.line.words.here();
    let Some(kind) = reader.kind else { return reader.wrong(here, "missing type.") };
    if reader.size == 0 {
        return reader.wrong(here, "missing size.");
    }
    (reader.draft.settings.kind, reader.draft.settings.size) = (kind, reader.size);
    Some(reader.draft)
}

fn empty(name: String) -> Settings {
    Settings {
        name,
        kind: KeyType::Ip,
        size: 0,
        expire_ms: None,
        nopurge: false,
        server_key: ServerKey::Name,
        columns: Vec::new(),
    }
}

/// Numbers all tables, and reports names that are used twice and `peers` sections that do not exist.
pub(super) fn collect<'d>(
    drafts: impl Iterator<Item = (&'static str, &'d Draft)>,
    names: &mut Names,
    others: &Others,
    sources: &Sources,
    out: &mut Diagnostics,
) -> Vec<Settings> {
    let mut tables: Vec<(&str, &Draft)> = Vec::new();
    for (word, draft) in drafts {
        let name = &draft.settings.name;
        if let Some(peers) = &draft.peers
            && !others.seen.contains_key(&(SectionKind::Peers, peers.text.to_string()))
        {
            let message = format!("Proxy '{name}': unable to find sync peers '{}'.", peers.text);
            out.push(Diagnostic::error(code::UNKNOWN_NAME, peers.span, message).whole_file());
        }
        if let Some((first_word, first)) = tables.iter().find(|(_, first)| first.settings.name == *name) {
            let place = resolve::place(sources, first.at);
            let message =
                format!("stick-table name '{name}' conflicts with table declared in {first_word} '{name}' at {place}.");
            out.push(Diagnostic::error(code::DUPLICATE, draft.at, message).related(first.at, "declared here first"));
            continue;
        }
        let id = TableId(u32::try_from(tables.len()).unwrap_or(u32::MAX));
        names.tables.insert(name.clone(), KnownTable::new(id, &draft.settings));
        tables.push((word, draft));
    }
    tables.into_iter().map(|(_, draft)| draft.settings.clone()).collect()
}

struct Reader<'l, 'a, 'd, 't> {
    line: &'l mut Line<'a, 'd>,
    tools: &'t mut Tools,
    kind: Option<KeyType>,
    size: u32,
    draft: Draft,
}

impl<'a> Reader<'_, 'a, '_, '_> {
    fn wrong<T>(&mut self, at: Span, message: impl AsRef<str>) -> Option<T> {
        self.line.error(code::BAD_VALUE, at, format!("stick-table: {}", message.as_ref()));
        None
    }

    fn value(&mut self, name: &str) -> Option<&'a Word> {
        let word = self.line.words.next();
        let here = self.line.words.here();
        word.or_else(|| self.wrong(here, format!("missing argument after '{name}'.")))
    }

    fn argument(&mut self, word: &'a Word) -> Option<()> {
        match word.as_str() {
            "type" => self.kind = Some(self.key_type()?),
            "size" => {
                let size = self.value("size")?;
                match entries(&size.text) {
                    Ok(entries) => self.size = entries,
                    Err(at) => {
                        let character = size.text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or(' ');
                        return self
                            .wrong(size.span, format!("unexpected character '{character}' in argument of 'size'."));
                    }
                }
            }
            "expire" => {
                let expire = self.value("expire")?;
                let time = self.expire(expire)?;
                self.draft.settings.expire_ms = Some(time).filter(|time| *time > 0);
            }
            "nopurge" => self.draft.settings.nopurge = true,
            "peers" => {
                let peers = self.value("peers")?;
                self.tools.support.no_effect("stick-table … peers", word.span.to(peers.span), self.line.out);
                self.draft.peers = Some(peers.clone());
            }
            "srvkey" => self.server_key()?,
            "store" => {
                if let Some(list) = self.line.words.next() {
                    self.store(list)?;
                }
            }
            "recv-only" => self.tools.support.no_effect("stick-table … recv-only", word.span, self.line.out),
            "write-to" => {
                let table = self.value("write-to")?;
                self.tools.support.no_effect("stick-table … write-to", word.span.to(table.span), self.line.out);
            }
            "brates-factor" => {
                let factor = self.value("brates-factor")?;
                let at = word.span.to(factor.span);
                self.tools.support.unsupported("stick-table … brates-factor", at, self.line.out);
            }
            other => return self.wrong(word.span, format!("unknown argument '{other}'.")),
        }
        Some(())
    }

    fn key_type(&mut self) -> Option<KeyType> {
        let word = self.line.words.next();
        let at = word.map_or(self.line.words.here(), |word| word.span);
        match word.map_or("", |word| word.as_str()) {
            "ip" | "ipv4" => Some(KeyType::Ip),
            "ipv6" => Some(KeyType::Ipv6),
            "integer" => Some(KeyType::Integer),
            "string" => self.length().map(KeyType::Text),
            "binary" => self.length().map(KeyType::Bytes),
            other => self.wrong(at, format!("unknown type '{other}'.")),
        }
    }

    /// `len LENGTH`
    fn length(&mut self) -> Option<usize> {
        if self.line.take("len").is_none() {
            return Some(KEY_LEN_DEFAULT);
        }
        let word = self.line.words.next();
        let text = word.map_or("", |word| word.as_str());
        let length = usize::try_from(value::leading_integer(text).0).ok().filter(|length| *length > 0);
        let at = word.map_or(self.line.words.here(), |word| word.span);
        length.or_else(|| self.wrong(at, format!("unknown type '{text}'.")))
    }

    fn expire(&mut self, word: &Word) -> Option<u64> {
        let text = &word.text;
        let (message, place) = match value::time(text, Unit::Milliseconds) {
            Ok(time) => return u64::try_from(time.as_millis()).ok(),
            Err(TimeProblem::Unexpected { character, .. }) => {
                (format!("unexpected character '{character}' in argument of 'expire'."), Place::Parsing)
            }
            Err(TimeProblem::Overflow) => {
                let most = "maximum value is 2147483647 ms (~24.8 days)";
                (format!("timer overflow in argument <{text}> to <expire>, {most}."), Place::ParsingLine)
            }
            Err(TimeProblem::Underflow) => {
                let least = "minimum non-null value is 1 ms";
                (format!("timer underflow in argument <{text}> to <expire>, {least}."), Place::ParsingLine)
            }
        };
        let error = Diagnostic::error(code::BAD_VALUE, word.span, format!("stick-table: {message}"));
        self.line.out.push(error.place(place));
        None
    }

    fn server_key(&mut self) -> Option<()> {
        let word = self.line.words.next();
        self.draft.settings.server_key = match word.map_or("", |word| word.as_str()) {
            "name" => ServerKey::Name,
            "addr" => ServerKey::Address,
            other => {
                let at = word.map_or(self.line.words.here(), |word| word.span);
                self.line.error(code::BAD_VALUE, at, format!("stick-table : unknown server key type '{other}'."));
                return None;
            }
        };
        Some(())
    }

    /// `TYPE[(ARGUMENTS)],…`
    fn store(&mut self, list: &Word) -> Option<()> {
        let mut rest = &*list.text;
        while !rest.is_empty() {
            let end = rest.find([',', '(']).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            let (arguments, after) = match after.strip_prefix('(') {
                None => (None, after),
                Some(inside) => {
                    let Some((arguments, after)) = inside.split_once(')') else {
                        let message = format!("missing closing parenthesis after store option '{name}'.");
                        return self.wrong(list.span, message);
                    };
                    (Some(arguments), after)
                }
            };
            rest = after.strip_prefix(',').unwrap_or(after);
            let Some(kind) = DataType::from_name(name) else {
                return self.wrong(list.span, format!("unknown store option '{name}'."));
            };
            let column = self.column(kind, arguments, list)?;
            self.add(column, list)?;
        }
        Some(())
    }

    fn column(&mut self, kind: DataType, arguments: Option<&str>, list: &Word) -> Option<Column> {
        let (name, is_rate) = (kind.name(), kind.form() == Form::Rate);
        let missing =
            |reader: &mut Self| reader.wrong(list.span, format!("missing argument to store option '{name}'."));
        let mut column = Column::plain(kind);
        let Some(arguments) = arguments else {
            return if is_rate || kind.is_array() { missing(self) } else { Some(column) };
        };
        let mut period = Some(arguments);
        if kind.is_array() {
            let (elements, rest) = arguments.split_once(',').map_or((arguments, None), |(one, rest)| (one, Some(rest)));
            let Some(elements) = elements.parse().ok().filter(|elements| (1..=ARRAY_MAX).contains(elements)) else {
                let message = format!("array size is out of allowed range (1-{ARRAY_MAX}) for store option '{name}'.");
                return self.wrong(list.span, message);
            };
            column.elements = elements;
            period = rest;
        }
        match (is_rate, period) {
            (true, Some(period)) => match value::time(period, Unit::Milliseconds) {
                Ok(time) => column.period_ms = u32::try_from(time.as_millis()).unwrap_or(u32::MAX),
                Err(_) => return self.wrong(list.span, format!("error when processing store option '{name}'.")),
            },
            (true, None) => return missing(self),
            (false, Some(_)) => {
                return self.wrong(list.span, format!("unexpected argument to store option '{name}'."));
            }
            (false, None) => {}
        }
        Some(column)
    }

    fn add(&mut self, column: Column, list: &Word) -> Option<()> {
        let columns = &mut self.draft.settings.columns;
        if columns.iter().any(|other| other.kind == column.kind) {
            let message = format!("stick-table: store option '{}' already enabled, ignored.", column.kind.name());
            let warning = Diagnostic::warning(code::IGNORED, list.span, message);
            self.line.out.push(warning.place(Place::ParsingLine));
            return Some(());
        }
        columns.push(column);
        let has = |kind| columns.iter().any(|column| column.kind == kind);
        let conflicts = [
            (DataType::Gpc, [DataType::Gpc0, DataType::Gpc1], "'gpc' and 'gpc[0/1]'", "'gpc' overrides 'gpc[0/1]'"),
            (
                DataType::GpcRate,
                [DataType::Gpc0Rate, DataType::Gpc1Rate],
                "'gpc_rate' and 'gpc[0/1]_rate'",
                "'gpc_rate' overrides 'gpc[0/1]_rate'",
            ),
            (DataType::Gpt, [DataType::Gpt0; 2], "'gpt' and 'gpt0'", "'gpt' overrides 'gpt0'"),
        ];
        for (array, singles, both, why) in conflicts {
            if has(array) && singles.into_iter().any(has) {
                let message = format!("simultaneous usage of {both} in a same table is not permitted as {why}.");
                return self.wrong(list.span, message);
            }
        }
        Some(())
    }
}

/// A size of up to 32 bits; the error is where haproxy finds that it cannot be read.
fn entries(text: &str) -> Result<u32, usize> {
    let unit = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    match size::parse(text) {
        Ok(size) => u32::try_from(size).map_err(|_| unit),
        Err(error) if error.problem == Problem::TooLarge => Err(unit),
        Err(error) => Err(error.range.start),
    }
}

#[cfg(test)]
mod tests {
    use super::entries;

    #[test]
    fn numbers_of_entries() {
        for (text, expected) in [
            ("5", Ok(5)),
            ("0", Ok(0)),
            ("1k", Ok(1_024)),
            ("2m", Ok(2 << 20)),
            ("1g", Ok(1 << 30)),
            ("3000000000", Ok(3_000_000_000)),
            ("1kb", Err(2)),
            ("5g", Err(1)),
            ("17179869184g", Err(11)),
            ("x", Err(0)),
            ("-5", Err(0)),
            ("", Err(0)),
            ("99999999999999999999", Err(20)),
        ] {
            assert_eq!(entries(text), expected, "{text}");
        }
    }
}
