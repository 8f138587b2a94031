//! `log-format`: a list of pieces that writes a [`Record`] as one message.
//!
//! The formats with a name of their own (`option httplog`, `option tcplog` …) are such lists too. Expressions in
//! `%[…]` are evaluated by the caller, because their samples live where the request lives.

mod alias;
mod builtin;
mod object;

pub use alias::Alias;
pub use object::{Field, Kind};

use super::date::{Date, Second};
use super::{Record, digits};
use crate::sample::Value as Sample;
use std::net::SocketAddr;

/// How a piece is written: the letters between the braces of `%{+Q}…`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags {
    /// `Q`: between quotation marks.
    pub quoted: bool,
    /// `X`: addresses, ports, the pid and the counters in hexadecimal.
    pub hexadecimal: bool,
    /// `E`: `"`, `\` and `]` get a backslash.
    pub escaped: bool,
    /// `bin`: bytes of a sample are kept as they are.
    pub binary: bool,
    /// `json`, `cbor`.
    pub encoding: Encoding,
}

/// What a value is written as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Text of a line.
    #[default]
    Line,
    /// `json`
    Json,
    /// `cbor`: as hexadecimal digits, or with `bin` as bytes.
    Cbor,
}

/// One piece of a format. `E` is a compiled sample expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item<E> {
    /// As written.
    Text(String),
    /// One blank, unless the line ends in one or nothing was written since the last.
    Separator,
    /// A variable such as `%ci`.
    Alias(Alias, Flags),
    /// `%[…]`.
    Expression(E, Flags),
    /// A value that is encoded by itself: `%{+json}…`.
    Encoded(Box<Field<E>>),
}

/// A compiled format. What stands between two values is mostly one byte and no item of its own here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program<E> {
    /// In front of the first value.
    start: Text,
    steps: Vec<Step<E>>,
    /// It is an object of these instead of a line.
    object: Option<Object<E>>,
}

/// A format with `json` or `cbor` for all of it: its named items.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Object<E> {
    flags: Flags,
    fields: Vec<Field<E>>,
}

/// A value and the text up to the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step<E> {
    value: Value<E>,
    flags: Flags,
    after: Text,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value<E> {
    Alias(Alias),
    Expression(E),
    /// One that is encoded by itself.
    Encoded(Box<Field<E>>),
}

impl<E> Value<E> {
    fn as_alias(&self) -> Option<Alias> {
        match self {
            Self::Alias(alias) => Some(*alias),
            Self::Expression(_) => None,
            Self::Encoded(field) => field.value.as_alias(),
        }
    }
}

/// Texts and separators that follow each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Text {
    /// A separator comes first: whether it is written depends on what was written before.
    separated: bool,
    bytes: Vec<u8>,
    /// A separator comes last.
    separates: bool,
}

impl Text {
    fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.separates = false;
    }

    fn separate(&mut self) {
        if self.bytes.is_empty() {
            self.separated = true;
        } else if !self.separates {
            self.bytes.push(b' ');
        }
        self.separates = true;
    }

    /// Returns whether the line ends in a separator now.
    #[inline]
    fn write(&self, out: &mut Vec<u8>, after_blank: bool) -> bool {
        if self.separated && !after_blank {
            out.push(b' ');
        }
        match *self.bytes.as_slice() {
            [] => self.separated || after_blank,
            [byte] => {
                out.push(byte);
                self.separates
            }
            ref bytes => {
                out.extend_from_slice(bytes);
                self.separates
            }
        }
    }
}

/// What a line may say about the process rather than about the request.
#[derive(Debug, Clone, Copy)]
pub struct Process<'a> {
    /// The host's name (`%H`).
    pub hostname: &'a str,
    /// The process (`%pid`).
    pub pid: u32,
    /// The second in which the line is written.
    pub now: &'a Second,
}

impl<E> Program<E> {
    /// A format of these pieces.
    pub fn new(items: Vec<Item<E>>) -> Self {
        let mut program = Self { start: Text::default(), steps: Vec::new(), object: None };
        for item in items {
            let (value, flags) = match item {
                Item::Text(text) => {
                    program.last_text().push(&text);
                    continue;
                }
                Item::Separator => {
                    program.last_text().separate();
                    continue;
                }
                Item::Alias(alias, flags) => (Value::Alias(alias), flags),
                Item::Expression(expression, flags) => (Value::Expression(expression), flags),
                Item::Encoded(field) => (Value::Encoded(field), Flags::default()),
            };
            program.steps.push(Step { value, flags, after: Text::default() });
        }
        program
    }

    /// An object in an encoding.
    pub fn object(flags: Flags, fields: Vec<Field<E>>) -> Self {
        Self { start: Text::default(), steps: Vec::new(), object: Some(Object { flags, fields }) }
    }

    fn aliases(&self) -> impl Iterator<Item = Alias> {
        let fields = self.object.iter().flat_map(|object| &object.fields).map(|field| &field.value);
        self.steps.iter().map(|step| &step.value).chain(fields).filter_map(Value::as_alias)
    }

    fn last_text(&mut self) -> &mut Text {
        self.steps.last_mut().map_or(&mut self.start, |step| &mut step.after)
    }

    /// Whether the line shows any of these variables, so that the caller need not find out what nobody reads.
    pub fn shows(&self, aliases: &[Alias]) -> bool {
        self.aliases().any(|alias| aliases.contains(&alias))
    }

    /// Whether the line shows anything that is known at the end only. One that does not is written when the transfer begins,
    /// as haproxy does. An expression is evaluated then, too.
    pub fn shows_the_end(&self) -> bool {
        self.aliases().any(Alias::is_of_the_end)
    }

    /// Appends the message for a record. `evaluate` gives the value of an expression; `None` is a sample that is not there.
    pub fn write<'r>(
        &self,
        out: &mut Vec<u8>,
        record: &Record<'_>,
        process: Process<'_>,
        mut evaluate: impl FnMut(&E) -> Option<Sample<'r>>,
    ) {
        if let Some(Object { flags, fields }) = &self.object {
            return object::write(fields, *flags, out, (record, process), evaluate);
        }
        // A separator follows something that was written: none comes first, and an empty value between two leaves one blank.
        let mut after_blank = self.start.write(out, true);
        let mut writer = Writer { out, flags: Flags::default(), absent: b"-", special: u8::MAX };
        for Step { value, flags, after } in &self.steps {
            let before = writer.out.len();
            writer.flags = *flags;
            match value {
                Value::Alias(alias) => alias.write(&mut writer, record, process),
                Value::Expression(expression) if flags.binary => {
                    writer.out.extend_from_slice(&evaluate(expression).map(Sample::into_written).unwrap_or_default());
                }
                Value::Expression(expression) => {
                    writer.sample(evaluate(expression).map(Sample::into_text).as_deref());
                }
                Value::Encoded(field) => field.write(writer.out, record, process, &mut evaluate),
            }
            after_blank = after.write(writer.out, after_blank && writer.out.len() == before);
        }
    }
}

/// Appends one variable by itself, as texts outside the log have it: what is not there leaves nothing.
pub fn write_one(alias: Alias, flags: Flags, out: &mut Vec<u8>, record: &Record<'_>, process: Process<'_>) {
    alias.write(&mut Writer { out, flags, absent: b"", special: u8::MAX }, record, process);
}

/// Characters that are written as `#` and two hexadecimal digits; each is a bit of [`SPECIAL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Encode {
    /// What cannot be printed, `"` and `#`.
    Url = 1,
    /// Also `{`, `|` and `}`, which frame captured headers.
    Header = 2,
    /// What cannot be printed below blank, and DEL: a sample's own text is kept as far as it cannot break the line.
    Control = 4,
}

/// The bit of [`SPECIAL`] for what the flag `E` puts a backslash in front of.
const ESCAPED: u8 = 8;

/// What is not written as it is, by byte: nearly every text is plain as a whole, and this finds out in one look per byte.
const SPECIAL: [u8; 256] = {
    let mut special = [0; 256];
    let mut at = 0;
    while at < special.len() {
        let byte = at.to_le_bytes()[0];
        let url = !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'#');
        let header = url || matches!(byte, b'{' | b'|' | b'}');
        let control = byte < b' ' || byte == 0x7f;
        let escaped = matches!(byte, b'"' | b'\\' | b']');
        special[at] = bit(url, Encode::Url as u8)
            | bit(header, Encode::Header as u8)
            | bit(control, Encode::Control as u8)
            | bit(escaped, ESCAPED);
        at += 1;
    }
    special
};

const fn bit(applies: bool, bit: u8) -> u8 {
    if applies { bit } else { 0 }
}

fn is(byte: u8, bits: u8) -> bool {
    SPECIAL[usize::from(byte)] & bits != 0
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Writes values as the flags of a piece ask.
struct Writer<'o> {
    out: &'o mut Vec<u8>,
    flags: Flags,
    /// What stands for a text that is not there.
    absent: &'static [u8],
    /// The bits of [`SPECIAL`] that count: none, where the text is encoded in another way later.
    special: u8,
}

impl Writer<'_> {
    fn quote(&mut self) {
        if self.flags.quoted {
            self.out.push(b'"');
        }
    }

    fn push(&mut self, byte: u8, encode: Encode) {
        if is(byte, encode as u8) {
            self.out.extend_from_slice(&[b'#', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        } else {
            if self.flags.escaped && is(byte, ESCAPED) {
                self.out.push(b'\\');
            }
            self.out.push(byte);
        }
    }

    fn encoded(&mut self, text: &[u8], encode: Encode) {
        let bits = (encode as u8 | bit(self.flags.escaped, ESCAPED)) & self.special;
        let plain = text.iter().position(|&byte| is(byte, bits)).unwrap_or(text.len());
        let (plain, rest) = text.split_at(plain);
        self.out.extend_from_slice(plain);
        for &byte in rest {
            self.push(byte, encode);
        }
    }

    /// A name or a part of the request line, which may be empty.
    fn string(&mut self, text: &[u8]) {
        self.quote();
        self.encoded(text, Encode::Url);
        self.quote();
    }

    /// The name of a section or server, in which nothing has to be encoded.
    fn name(&mut self, name: &str) {
        self.quote();
        self.out.extend_from_slice(name.as_bytes());
        self.quote();
    }

    /// A text that need not be there: `-` in a log, or `""` where quoted.
    fn optional(&mut self, text: Option<&[u8]>, encode: Encode) {
        let text = text.unwrap_or_default();
        if text.is_empty() && !self.flags.quoted {
            return self.out.extend_from_slice(self.absent);
        }
        self.quote();
        self.encoded(text, encode);
        self.quote();
    }

    /// The value of an expression. Its text is not encoded but for control characters, which would break the line.
    fn sample(&mut self, value: Option<&[u8]>) {
        self.optional(value, Encode::Control);
    }

    /// A number in its shortest form.
    fn number(&mut self, value: u64) {
        digits::decimal(self.out, value);
    }

    /// A time; `-1` where its phase was not reached.
    fn time(&mut self, value: Option<u64>) {
        match value {
            Some(value) => self.number(value),
            None => self.out.extend_from_slice(b"-1"),
        }
    }

    /// A number with a mark: a total that may still grow, retries that ended at another server.
    fn total(&mut self, value: u64, marked: bool) {
        if marked {
            self.out.push(b'+');
        }
        self.number(value);
    }

    /// A number that `X` turns into at least `digits` hexadecimal ones.
    fn hexadecimal(&mut self, value: u64, digits: usize) {
        if !self.flags.hexadecimal {
            return self.number(value);
        }
        let needed = (16 - value.leading_zeros() as usize / 4).max(1);
        for nibble in (0..needed.max(digits)).rev() {
            self.out.push(HEX[usize::try_from(value >> (4 * nibble) & 15).unwrap_or(0)]);
        }
    }

    fn ip(&mut self, address: Option<SocketAddr>) {
        let Some(address) = address else { return self.optional(None, Encode::Url) };
        let ip = address.ip().to_canonical();
        if self.flags.hexadecimal {
            // haproxy never quotes it in this form.
            return match ip {
                std::net::IpAddr::V4(ip) => self.hex_bytes(&ip.octets()),
                std::net::IpAddr::V6(ip) => self.hex_bytes(&ip.octets()),
            };
        }
        self.quote();
        digits::ip(self.out, ip);
        self.quote();
    }

    fn port(&mut self, address: Option<SocketAddr>) {
        match address {
            Some(address) => self.hexadecimal(address.port().into(), 4),
            None => self.optional(None, Encode::Url),
        }
    }

    fn hex_bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }

    /// Captured headers between braces, separated by bars; nothing where none are captured.
    fn captures(&mut self, values: &[Option<&[u8]>]) {
        if values.is_empty() {
            return;
        }
        self.quote();
        self.out.push(b'{');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.out.push(b'|');
            }
            self.encoded(value.unwrap_or_default(), Encode::Header);
        }
        self.out.push(b'}');
        self.quote();
    }

    /// Captured headers one by one, separated by blanks.
    fn capture_list(&mut self, values: &[Option<&[u8]>]) {
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.out.push(b' ');
            }
            match value {
                // One that is empty is there.
                Some([]) if !self.flags.quoted => {}
                _ => self.optional(*value, Encode::Header),
            }
        }
    }

    fn date(&mut self, date: Date, write: impl Fn(Date, &mut Vec<u8>)) {
        write(date, self.out);
    }
}

#[cfg(test)]
mod tests;
