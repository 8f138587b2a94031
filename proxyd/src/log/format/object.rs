//! A line as a JSON or CBOR object: the items of a format that have names, with the types they have (configuration.txt of 3.0,
//! 8.2.6, `+json`, `+cbor`, `+bin`).

use super::alias::Alias;
use super::{Encoding, Flags, HEX, Process, Sample, Value, Writer};
use crate::log::Record;
use crate::sample::value::leading_int;

/// A value that is written as what it is, not as text of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<E> {
    /// Its name in an object.
    pub name: String,
    pub(super) value: Value<E>,
    pub(super) flags: Flags,
    /// What it is turned into. `None`: it stays what it is.
    pub(super) kind: Option<Kind>,
}

/// A type that an item asks for: `%(name:type)…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `str`, and what is text besides.
    Text,
    /// `sint`, `int`
    Number,
    /// `bool`
    Bool,
}

impl Kind {
    /// The type of a name. `None`: it is none.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "str" | "bin" | "addr" | "ipv4" | "ipv6" | "meth" => Some(Self::Text),
            "sint" | "int" => Some(Self::Number),
            "bool" => Some(Self::Bool),
            _ => None,
        }
    }
}

/// Something with a type.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Datum {
    Nothing,
    Bool(bool),
    Number(i64),
    Text(Vec<u8>),
    Bytes(Vec<u8>),
}

impl<E> Field<E> {
    /// An alias.
    pub fn alias(name: String, alias: Alias, flags: Flags, kind: Option<Kind>) -> Self {
        Self { name, value: Value::Alias(alias), flags, kind }
    }

    /// An expression.
    pub fn expression(name: String, expression: E, flags: Flags, kind: Option<Kind>) -> Self {
        Self { name, value: Value::Expression(expression), flags, kind }
    }

    fn datum<'r>(
        &self,
        record: &Record<'_>,
        process: Process<'_>,
        evaluate: &mut impl FnMut(&E) -> Option<Sample<'r>>,
    ) -> Datum {
        let datum = match &self.value {
            Value::Alias(alias) => of_alias(*alias, self.flags, record, process),
            Value::Expression(expression) => evaluate(expression).map_or(Datum::Nothing, |value| self.of_sample(value)),
            Value::Encoded(field) => field.datum(record, process, evaluate),
        };
        self.kind.map_or(datum.clone(), |kind| datum.turned_into(kind))
    }

    fn of_sample(&self, value: Sample<'_>) -> Datum {
        match value {
            Sample::Bool(value) => Datum::Bool(value),
            Sample::Int(value) => Datum::Number(value),
            Sample::Bin(bytes) if self.flags.binary => Datum::Bytes(bytes.into_owned()),
            other => Datum::Text(other.into_text().into_owned()),
        }
    }

    /// Appends the value.
    pub(super) fn write<'r>(
        &self,
        out: &mut Vec<u8>,
        record: &Record<'_>,
        process: Process<'_>,
        evaluate: &mut impl FnMut(&E) -> Option<Sample<'r>>,
    ) {
        let datum = self.datum(record, process, evaluate);
        match self.flags.encoding {
            Encoding::Line | Encoding::Json => json(&datum, out),
            Encoding::Cbor if self.flags.binary => cbor(&datum, out),
            Encoding::Cbor => {
                let mut bytes = Vec::new();
                cbor(&datum, &mut bytes);
                hex(&bytes, out);
            }
        }
    }
}

fn of_alias(alias: Alias, flags: Flags, record: &Record<'_>, process: Process<'_>) -> Datum {
    let mut text = Vec::new();
    let flags = Flags { hexadecimal: flags.hexadecimal, ..Flags::default() };
    alias.write(&mut Writer { out: &mut text, flags, absent: b"", special: 0 }, record, process);
    if text.is_empty() {
        return Datum::Nothing;
    }
    // Totals that may still grow are numbers, too.
    let number = text.strip_prefix(b"+").unwrap_or(&text);
    match std::str::from_utf8(number).ok().and_then(|number| number.parse().ok()) {
        Some(number) if alias.is_number() => Datum::Number(number),
        _ => Datum::Text(text),
    }
}

impl Datum {
    fn turned_into(self, kind: Kind) -> Self {
        let number = |datum: &Self| match datum {
            Self::Nothing => None,
            Self::Bool(value) => Some(i64::from(*value)),
            Self::Number(value) => Some(*value),
            Self::Text(text) | Self::Bytes(text) => Some(leading_int(text)),
        };
        match (kind, self) {
            (_, Self::Nothing) => Self::Nothing,
            (Kind::Text, Self::Bool(value)) => Self::Text(if value { b"1".to_vec() } else { b"0".to_vec() }),
            (Kind::Text, Self::Number(value)) => Self::Text(value.to_string().into_bytes()),
            (Kind::Text, other) => other,
            (Kind::Bool, Self::Text(text)) if text == b"true" => Self::Bool(true),
            (Kind::Bool, other) => number(&other).map_or(Self::Nothing, |value| Self::Bool(value != 0)),
            (Kind::Number, other) => number(&other).map_or(Self::Nothing, Self::Number),
        }
    }
}

/// Appends the object of these fields.
pub(super) fn write<'r, E>(
    fields: &[Field<E>],
    flags: Flags,
    out: &mut Vec<u8>,
    (record, process): (&Record<'_>, Process<'_>),
    mut evaluate: impl FnMut(&E) -> Option<Sample<'r>>,
) {
    if flags.encoding == Encoding::Cbor {
        let mut bytes = vec![MAP_BEGINS];
        for field in fields {
            cbor_head(TEXT, field.name.len() as u64, &mut bytes);
            bytes.extend_from_slice(field.name.as_bytes());
            cbor(&field.datum(record, process, &mut evaluate), &mut bytes);
        }
        bytes.push(MAP_ENDS);
        return if flags.binary { out.append(&mut bytes) } else { hex(&bytes, out) };
    }
    out.push(b'{');
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        json_text(field.name.as_bytes(), out);
        out.extend_from_slice(b": ");
        json(&field.datum(record, process, &mut evaluate), out);
    }
    out.push(b'}');
}

fn json(datum: &Datum, out: &mut Vec<u8>) {
    match datum {
        Datum::Nothing => out.extend_from_slice(b"null"),
        Datum::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Datum::Number(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Datum::Text(text) | Datum::Bytes(text) => json_text(text, out),
    }
}

/// A JSON string (RFC 8259, 7). Bytes that are not UTF-8 become the characters of their number, so that any reader takes the line.
fn json_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0..b' ' | 0x7f => json_number(byte, out),
                _ => out.push(byte),
            }
        }
        chunk.invalid().iter().for_each(|&byte| json_number(byte, out));
    }
    out.push(b'"');
}

fn json_number(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\u00");
    hex(&[byte], out);
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend(bytes.iter().flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]));
}

/// Major types of CBOR (RFC 8949, 3.1), in the upper three bits.
const UNSIGNED: u8 = 0 << 5;
const NEGATIVE: u8 = 1 << 5;
const BYTES: u8 = 2 << 5;
const TEXT: u8 = 3 << 5;
/// A map of as many entries as come.
const MAP_BEGINS: u8 = 0xbf;
const MAP_ENDS: u8 = 0xff;
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const NULL: u8 = 0xf6;

fn cbor(datum: &Datum, out: &mut Vec<u8>) {
    match datum {
        Datum::Nothing => out.push(NULL),
        Datum::Bool(value) => out.push(if *value { TRUE } else { FALSE }),
        Datum::Number(value) if *value < 0 => cbor_head(NEGATIVE, !value.cast_unsigned(), out),
        Datum::Number(value) => cbor_head(UNSIGNED, value.cast_unsigned(), out),
        // A text that is none is bytes: a reader may refuse all of the object otherwise.
        Datum::Text(text) => cbor_string(if std::str::from_utf8(text).is_ok() { TEXT } else { BYTES }, text, out),
        Datum::Bytes(bytes) => cbor_string(BYTES, bytes, out),
    }
}

fn cbor_string(major: u8, bytes: &[u8], out: &mut Vec<u8>) {
    cbor_head(major, bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// A major type with its argument in the shortest form.
fn cbor_head(major: u8, argument: u64, out: &mut Vec<u8>) {
    let bytes = argument.to_be_bytes();
    let (info, from) = match argument {
        0..24 => return out.push(major | bytes[7]),
        24..0x100 => (24, 7),
        0x100..0x1_0000 => (25, 6),
        0x1_0000..0x1_0000_0000 => (26, 4),
        _ => (27, 0),
    };
    out.push(major | info);
    out.extend_from_slice(&bytes[from..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        cbor(&Datum::Number(value), &mut out);
        out
    }

    /// RFC 8949, appendix A.
    #[test]
    fn numbers_of_the_standard() {
        assert_eq!(number(0), [0x00]);
        assert_eq!(number(23), [0x17]);
        assert_eq!(number(24), [0x18, 0x18]);
        assert_eq!(number(1_000), [0x19, 0x03, 0xe8]);
        assert_eq!(number(1_000_000), [0x1a, 0x00, 0x0f, 0x42, 0x40]);
        assert_eq!(number(1_000_000_000_000), [0x1b, 0, 0, 0, 0xe8, 0xd4, 0xa5, 0x10, 0]);
        assert_eq!(number(-1), [0x20]);
        assert_eq!(number(-1_000), [0x39, 0x03, 0xe7]);
    }

    #[test]
    fn what_turns_into_what() {
        let text = |text: &str| Datum::Text(text.as_bytes().to_vec());
        for (from, kind, to) in [
            (text("12x"), Kind::Number, Datum::Number(12)),
            (text("true"), Kind::Bool, Datum::Bool(true)),
            (text("x"), Kind::Bool, Datum::Bool(false)),
            (Datum::Number(3), Kind::Bool, Datum::Bool(true)),
            (Datum::Bool(true), Kind::Number, Datum::Number(1)),
            (Datum::Number(-1), Kind::Text, text("-1")),
            (Datum::Nothing, Kind::Number, Datum::Nothing),
        ] {
            assert_eq!(from.clone().turned_into(kind), to, "{from:?} as {kind:?}");
        }
    }
}
