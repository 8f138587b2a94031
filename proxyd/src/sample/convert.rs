//! Converters: one variant per converter, its arguments resolved.

use super::context::Context;
use super::regex::Regex;
use super::value::{self, Value};
use super::variable::Name;
use std::borrow::Cow;
use std::net::IpAddr;

pub mod cipher;
pub mod condition;
mod encode;
pub mod fix;
pub mod forwarded;
pub mod hash;
pub mod json;
pub mod jwe;
pub mod jwt;
mod language;
pub mod made;
pub mod mqtt;
pub mod number;
pub mod packet;
mod pem;
pub mod protobuf;
pub mod signature;
pub mod table;
mod text;
pub mod time;

pub use encode::base64_decode;
pub use made::{Key, Made};
pub use text::Replacement;

/// A calculation with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// `add`; the result stays within the range of the type.
    Add,
    /// `sub`
    Sub,
    /// `mul`
    Mul,
    /// `div`; by zero gives the greatest number.
    Div,
    /// `mod`; by zero gives zero.
    Mod,
    /// `and`
    And,
    /// `or`
    Or,
    /// `xor`
    Xor,
}

/// What is calculated with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A number as written.
    Number(i64),
    /// The variable of that name.
    Variable(Name),
}

impl Operand {
    fn number(&self, context: &Context<'_>) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Variable(name) => context.stream.variable(name)?.to_int(),
        }
    }
}

/// What is done with a sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Converter {
    /// `lower`
    Lower,
    /// `upper`
    Upper,
    /// `length`
    Length,
    /// `ipmask`
    IpMask {
        /// Bits kept of IPv4, also where it stands within IPv6.
        v4: u32,
        /// Bits kept of IPv6. `None`: there is no value then.
        v6: Option<u128>,
    },
    /// `field`: between delimiters, empty fields counted.
    Field {
        /// From 1, or from the end with -1.
        index: i64,
        /// Any of these separates.
        delimiters: Box<[u8]>,
        /// So many fields; 0 or less: all that follow.
        count: i64,
    },
    /// `word`: between delimiters, empty fields skipped.
    Word {
        /// From 1, or from the end with -1.
        index: i64,
        /// Any of these separates.
        delimiters: Box<[u8]>,
        /// So many words; 0 or less: all that follow.
        count: i64,
    },
    /// `regsub`
    RegSub {
        /// What is replaced.
        regex: Regex,
        /// What it is replaced by.
        replacement: Replacement,
        /// `g`: everywhere.
        all: bool,
    },
    /// `bytes`
    Bytes {
        /// Bytes skipped.
        offset: Operand,
        /// Bytes kept. `None`: the rest.
        length: Option<Operand>,
    },
    /// `ltrim`
    TrimLeft(Box<[u8]>),
    /// `rtrim`
    TrimRight(Box<[u8]>),
    /// `url_dec`
    UrlDecode {
        /// `+` is a space in the whole text, not only after a `?`.
        form: bool,
    },
    /// `hex`
    Hex,
    /// `hex2i`
    HexToInt,
    /// `base64`
    Base64,
    /// `b64dec`
    Base64Decode,
    /// `host_only`
    HostOnly,
    /// `port_only`
    PortOnly,
    /// `iif`
    Iif(Box<[u8]>, Box<[u8]>),
    /// `add` and so on.
    Arithmetic(Arithmetic, Operand),
    /// `neg`
    Negate,
    /// `cpl`
    Complement,
    /// `bool`
    Bool,
    /// `not`
    Not,
    /// `odd`
    Odd,
    /// `even`
    Even,
    /// One of those that make something new.
    Made(Made),
}

impl Converter {
    /// The sample afterwards; nothing where the sample does not fit the converter.
    pub fn apply<'a>(&'a self, context: &Context<'_>, value: Value<'a>) -> Option<Value<'a>> {
        Some(match self {
            Self::Lower => text::change(value, u8::to_ascii_lowercase),
            Self::Upper => text::change(value, u8::to_ascii_uppercase),
            Self::Length => Value::count(value.into_text().len() as u64),
            Self::IpMask { v4, v6 } => Value::Ip(match value.to_ip()?.to_canonical() {
                IpAddr::V4(ip) => IpAddr::V4((u32::from(ip) & v4).into()),
                IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) & (*v6)?).into()),
            }),
            Self::Field { index, delimiters, count } => {
                Value::Str(text::part(value.into_text(), |text| text::field(text, *index, delimiters, *count))?)
            }
            Self::Word { index, delimiters, count } => {
                // A word that is not there is empty, where a field would be missing.
                let word = |text: &[u8]| Some(text::word(text, *index, delimiters, *count).unwrap_or(0..0));
                Value::Str(text::part(value.into_text(), word)?)
            }
            Self::RegSub { regex, replacement, all } => {
                Value::Str(text::replace(regex, replacement, *all, value.into_text()))
            }
            Self::Bytes { offset, length } => {
                let is_text = matches!(value, Value::Str(_));
                let number =
                    |operand: &Operand| operand.number(context).and_then(|number| usize::try_from(number).ok());
                let offset = number(offset)?;
                let length = match length {
                    None => None,
                    Some(length) => Some(number(length)?),
                };
                let bytes = text::part(value.into_bytes(), |bytes| {
                    let rest = offset.min(bytes.len())..bytes.len();
                    Some(rest.start..length.map_or(rest.end, |length| rest.end.min(rest.start.saturating_add(length))))
                })?;
                if is_text { Value::Str(bytes) } else { Value::Bin(bytes) }
            }
            Self::TrimLeft(set) => Value::Str(text::part(value.into_text(), |text| {
                Some(text.iter().position(|byte| !set.contains(byte)).unwrap_or(text.len())..text.len())
            })?),
            Self::TrimRight(set) => Value::Str(text::part(value.into_text(), |text| {
                Some(0..text.iter().rposition(|byte| !set.contains(byte)).map_or(0, |last| last + 1))
            })?),
            Self::UrlDecode { form } => Value::Str(encode::url_decode(value.into_text(), *form)?),
            Self::Hex => Value::Str(Cow::Owned(value::hex(&value.into_bytes()))),
            Self::HexToInt => Value::Int(encode::hex_to_int(&value.into_text())?),
            Self::Base64 => Value::Str(Cow::Owned(encode::base64(&value.into_bytes()))),
            Self::Base64Decode => Value::Bin(Cow::Owned(base64_decode(&value.into_text())?)),
            Self::HostOnly => {
                let host = text::part(value.into_text(), |text| Some(0..text::host_end(text)))?;
                text::change(Value::Str(host), u8::to_ascii_lowercase)
            }
            Self::PortOnly => {
                let text = value.into_text();
                let after = text.get(text::host_end(&text) + 1..).unwrap_or_default();
                Value::Int(value::leading_int(after))
            }
            Self::Iif(yes, no) => Value::text(if value.to_bool()? { yes } else { no }),
            Self::Arithmetic(operation, operand) => {
                Value::Int(operation.apply(value.to_int()?, operand.number(context)?))
            }
            Self::Negate => Value::Int(value.to_int()?.checked_neg().unwrap_or(i64::MAX)),
            Self::Complement => Value::Int(!value.to_int()?),
            Self::Bool => Value::Bool(value.to_int()? != 0),
            Self::Not => Value::Bool(value.to_int()? == 0),
            Self::Odd => Value::Bool(value.to_int()? & 1 == 1),
            Self::Even => Value::Bool(value.to_int()? & 1 == 0),
            Self::Made(made) => return made.apply(context, value),
        })
    }
}

impl Arithmetic {
    fn apply(self, a: i64, b: i64) -> i64 {
        match self {
            Self::Add => a.saturating_add(b),
            Self::Sub => a.saturating_sub(b),
            Self::Mul => a.saturating_mul(b),
            Self::Div => match b {
                0 => i64::MAX,
                _ => a.saturating_div(b),
            },
            Self::Mod => match b {
                0 => 0,
                _ => a.wrapping_rem(b),
            },
            Self::And => a & b,
            Self::Or => a | b,
            Self::Xor => a ^ b,
        }
    }
}
