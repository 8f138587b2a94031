//! Protocol buffers, and the gRPC frames they travel in, as far as one field is looked for in them. What is odd here was asked of
//! haproxy 2.6: a number without bytes is 0, and the compressed flag of a frame is not looked at.

use super::text;
use crate::sample::value::Value;
use std::borrow::Cow;
use std::ops::Range;

/// A field to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its number, and before it those of the messages it stands in, from the outside.
    pub path: Box<[u32]>,
    /// What it is read as. `None`: its bytes.
    pub kind: Option<Kind>,
}

/// A type of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `int32`, `int64`, `uint32`, `uint64`, `bool`, `enum`
    Varint,
    /// `sint32`, `sint64`: small negative numbers have few bytes, too.
    ZigZag,
    /// `fixed64`, `sfixed64`
    Fixed64,
    /// `double`
    Double,
    /// `fixed32`
    Fixed32,
    /// `sfixed32`
    SignedFixed32,
    /// `float`
    Float,
}

impl Kind {
    /// From its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "int32" | "int64" | "uint32" | "uint64" | "bool" | "enum" => Self::Varint,
            "sint32" | "sint64" => Self::ZigZag,
            "fixed64" | "sfixed64" => Self::Fixed64,
            "double" => Self::Double,
            "fixed32" => Self::Fixed32,
            "sfixed32" => Self::SignedFixed32,
            "float" => Self::Float,
            _ => return None,
        })
    }

    fn wire(self) -> Wire {
        match self {
            Self::Varint | Self::ZigZag => Wire::Varint,
            Self::Fixed64 | Self::Double => Wire::Eight,
            Self::Fixed32 | Self::SignedFixed32 | Self::Float => Wire::Four,
        }
    }

    fn number(self, bytes: &[u8]) -> Option<i64> {
        let eight = || <[u8; 8]>::try_from(bytes).ok();
        let four = || <[u8; 4]>::try_from(bytes).ok();
        Some(match self {
            Self::Varint => varint(bytes).0.cast_signed(),
            Self::ZigZag => {
                let number = varint(bytes).0;
                (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
            }
            Self::Fixed64 => i64::from_le_bytes(eight()?),
            Self::Double => whole(f64::from_le_bytes(eight()?)),
            Self::Fixed32 => u32::from_le_bytes(four()?).into(),
            Self::SignedFixed32 => i32::from_le_bytes(four()?).into(),
            // Of a negative one, what is left of it in 32 bits.
            Self::Float => whole(f32::from_le_bytes(four()?).into()) & 0xffff_ffff,
        })
    }
}

/// How a field's value is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wire {
    Varint,
    Eight,
    /// After its length.
    Counted,
    Four,
}

/// The most bytes of a number.
const VARINT_MAX: usize = 10;

/// A number in groups of seven bits, the lowest first, and how many bytes it has; none if it does not end.
fn varint(bytes: &[u8]) -> (u64, usize) {
    let mut number = 0;
    for (index, &byte) in bytes.iter().take(VARINT_MAX).enumerate() {
        number |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(index).unwrap_or(u32::MAX)).unwrap_or(0);
        if byte & 0x80 == 0 {
            return (number, index + 1);
        }
    }
    (number, 0)
}

/// The whole number in a fraction, as processors cut it.
fn whole(fraction: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    #[expect(clippy::cast_possible_truncation, reason = "that is what is done here")]
    let cut = |fraction: f64| if (-LIMIT..LIMIT).contains(&fraction) { fraction as i64 } else { i64::MIN };
    if fraction >= LIMIT { cut(fraction - LIMIT) ^ i64::MIN } else { cut(fraction) }
}

/// A field of a message: its number, how it is written, where its value stands, and where the next one begins.
struct Found {
    number: u32,
    wire: Wire,
    value: Range<usize>,
}

/// The field that begins there.
fn field(message: &[u8], at: usize) -> Option<Found> {
    let number = |at: usize| {
        let (number, length) = varint(message.get(at..)?);
        (length > 0).then_some((number, at + length))
    };
    let (key, begin) = number(at)?;
    let (wire, value) = match key & 7 {
        // haproxy takes no bytes at all for a number, too.
        0 => (Wire::Varint, begin..if begin == message.len() { begin } else { number(begin)?.1 }),
        1 => (Wire::Eight, begin..begin + 8),
        2 => {
            let (length, begin) = number(begin)?;
            (Wire::Counted, begin..begin.checked_add(usize::try_from(length).ok()?)?)
        }
        5 => (Wire::Four, begin..begin + 4),
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "the numbers of fields have 29 bits")]
    let number = (key >> 3) as u32;
    (value.end <= message.len()).then_some(Found { number, wire, value })
}

/// Where the field stands in the message, and how it is written. `Ok(None)`: it is not there; `Err`: the message is none, or
/// something else stands in its place.
fn find(message: &[u8], offset: usize, path: &[u32]) -> Result<Option<(Wire, Range<usize>)>, ()> {
    let Some((&wanted, inner)) = path.split_first() else { return Ok(None) };
    let mut at = 0;
    while at < message.len() {
        let found = field(message, at).ok_or(())?;
        at = found.value.end;
        if found.number != wanted {
            continue;
        }
        let place = offset + found.value.start..offset + found.value.end;
        if inner.is_empty() {
            return Ok(Some((found.wire, place)));
        }
        if found.wire != Wire::Counted {
            return Err(());
        }
        if let Some(found) = find(message.get(found.value).ok_or(())?, place.start, inner)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

impl Field {
    /// `protobuf`
    pub(super) fn of<'a>(&self, message: Cow<'a, [u8]>) -> Option<Value<'a>> {
        let found = find(&message, 0, &self.path).ok()??;
        self.value(message, found)
    }

    /// `ungrpc`: in one of the frames, each a flag, four bytes of length and a message.
    pub(super) fn of_frames<'a>(&self, frames: Cow<'a, [u8]>) -> Option<Value<'a>> {
        const HEADER: usize = 5;
        let mut at = 0;
        let found = loop {
            let begin = at + HEADER;
            let length = u32::from_be_bytes(frames.get(at + 1..begin)?.try_into().ok()?);
            at = begin.checked_add(usize::try_from(length).ok()?)?;
            if let Some(found) = find(frames.get(begin..at)?, begin, &self.path).ok()? {
                break found;
            }
        };
        self.value(frames, found)
    }

    fn value<'a>(&self, bytes: Cow<'a, [u8]>, (wire, place): (Wire, Range<usize>)) -> Option<Value<'a>> {
        match self.kind {
            None => Some(Value::Bin(text::part(bytes, |_| Some(place))?)),
            Some(kind) if kind.wire() == wire => kind.number(bytes.get(place)?).map(Value::Int),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// Whatever comes, and wherever it ends.
        #[test]
        fn anything_may_come(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40), number in 0_u32..20) {
            for kind in ["int32", "sint64", "double", "float", "sfixed32"] {
                let field = Field { path: Box::new([number, 1]), kind: Kind::from_name(kind) };
                let _ = field.of(Cow::Borrowed(&bytes));
                let _ = field.of_frames(Cow::Borrowed(&bytes));
            }
        }
    }
}
