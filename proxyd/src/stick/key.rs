//! Keys: what stands for a client in a table.

use crate::sample::Value;
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// `type` of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// `ip`: an IPv4 address.
    Ip,
    /// `ipv6`
    Ipv6,
    /// `integer`: 32 bits.
    Integer,
    /// `string`: at most so many bytes.
    Text(usize),
    /// `binary`: exactly so many bytes.
    Bytes(usize),
}

impl KeyType {
    /// The word of the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ipv6 => "ipv6",
            Self::Integer => "integer",
            Self::Text(_) => "string",
            Self::Bytes(_) => "binary",
        }
    }
}

/// A key. Keys of one table are all of its type; they are listed in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Of `type ip`.
    Ip(Ipv4Addr),
    /// Of `type ipv6`.
    Ipv6(Ipv6Addr),
    /// Of `type integer`.
    Integer(u32),
    /// Of `type string`.
    Text(Arc<[u8]>),
    /// Of `type binary`.
    Bytes(Arc<[u8]>),
}

impl Key {
    /// The key that a sample is in such a table; `None` where it cannot be one.
    pub fn of(kind: KeyType, value: &Value<'_>) -> Option<Self> {
        match kind {
            KeyType::Ip => v4(value).map(Self::Ip),
            KeyType::Ipv6 => v6(value).map(Self::Ipv6),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the lower 32 bits are the key"
            )]
            KeyType::Integer => value.to_int().map(|number| Self::Integer(number as u32)),
            KeyType::Text(longest) => {
                let text = value.clone().into_text();
                let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len()).min(longest);
                Some(Self::Text(text.get(..end)?.into()))
            }
            KeyType::Bytes(length) => {
                let mut bytes = value.clone().into_bytes().into_owned();
                bytes.resize(length, 0);
                Some(Self::Bytes(bytes.into()))
            }
        }
    }

    /// The key as a sample, to be looked up in another table.
    pub fn value(&self) -> Value<'_> {
        match self {
            Self::Ip(ip) => Value::Ip(IpAddr::V4(*ip)),
            Self::Ipv6(ip) => Value::Ip(IpAddr::V6(*ip)),
            Self::Integer(number) => Value::Int((*number).into()),
            Self::Text(text) => Value::Str(Cow::Borrowed(text)),
            Self::Bytes(bytes) => Value::Bin(Cow::Borrowed(bytes)),
        }
    }

    /// The key as operators write it; `None` where it is none, or cannot be written.
    pub fn parse(kind: KeyType, text: &str) -> Option<Self> {
        match kind {
            KeyType::Ip => text.parse().ok().map(Self::Ip),
            KeyType::Ipv6 => text.parse().ok().map(Self::Ipv6),
            KeyType::Integer => text.parse().ok().map(Self::Integer),
            KeyType::Text(_) => Self::of(kind, &Value::text(text.as_bytes())),
            KeyType::Bytes(_) => None,
        }
    }
}

fn v4(value: &Value<'_>) -> Option<Ipv4Addr> {
    match value.to_ip()? {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(ip) => ip.to_ipv4_mapped(),
    }
}

/// An IPv4 address is mapped; a text must be one of IPv6.
fn v6(value: &Value<'_>) -> Option<Ipv6Addr> {
    match value.to_ip()? {
        IpAddr::V6(ip) => Some(ip),
        IpAddr::V4(_) if matches!(value, Value::Str(_)) => None,
        IpAddr::V4(ip) => Some(ip.to_ipv6_mapped()),
    }
}

/// As `show table` writes it: what is not printable in texts is escaped, bytes are hexadecimal.
impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(out),
            Self::Ipv6(ip) => ip.fmt(out),
            Self::Integer(number) => number.fmt(out),
            Self::Text(text) => text.iter().try_for_each(|&byte| write_escaped(out, byte)),
            Self::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(out, "{byte:02X}")),
        }
    }
}

fn write_escaped(out: &mut fmt::Formatter<'_>, byte: u8) -> fmt::Result {
    match byte {
        b' ' | b'\\' | b'=' => write!(out, "\\{}", char::from(byte)),
        b'\t' => out.write_str("\\t"),
        b'\n' => out.write_str("\\n"),
        b'\r' => out.write_str("\\r"),
        0x1b => out.write_str("\\e"),
        0x20..0x7f => write!(out, "{}", char::from(byte)),
        _ => write!(out, "\\x{byte:02X}"),
    }
}
