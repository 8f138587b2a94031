//! What a sample is: a typed value, borrowed from the message where it stands there.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

/// A sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A boolean.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An address.
    Ip(IpAddr),
    /// Text.
    Str(Cow<'a, [u8]>),
    /// Bytes.
    Bin(Cow<'a, [u8]>),
    /// An HTTP method.
    Method(Cow<'a, [u8]>),
}

impl<'a> Value<'a> {
    /// Text that stands somewhere already.
    pub fn text(bytes: &'a [u8]) -> Self {
        Self::Str(Cow::Borrowed(bytes))
    }

    /// A count. What does not fit is the largest there is.
    pub fn count(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// haproxy's name for its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::Int(_) => "sint",
            Self::Ip(IpAddr::V4(_)) => "ipv4",
            Self::Ip(IpAddr::V6(_)) => "ipv6",
            Self::Str(_) => "str",
            Self::Bin(_) => "bin",
            Self::Method(_) => "meth",
        }
    }

    /// As an integer; `None` where the type has none, or of an empty text.
    pub fn to_int(&self) -> Option<i64> {
        match self {
            Self::Bool(value) => Some(i64::from(*value)),
            Self::Int(value) => Some(*value),
            Self::Ip(IpAddr::V4(ip)) => Some(i64::from(u32::from(*ip))),
            Self::Str(text) => (!text.is_empty()).then(|| leading_int(text)),
            Self::Ip(IpAddr::V6(_)) | Self::Bin(_) | Self::Method(_) => None,
        }
    }

    /// As a boolean: a number other than zero; of a text, the number it begins with.
    pub fn to_bool(&self) -> Option<bool> {
        self.to_int().map(|value| value != 0)
    }

    /// As an address; `None` where it is none.
    pub fn to_ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Int(value) => Some(IpAddr::V4(Ipv4Addr::from((*value & 0xffff_ffff).try_into().unwrap_or(0_u32)))),
            Self::Str(text) => leading_ip(text),
            Self::Bool(_) | Self::Bin(_) | Self::Method(_) => None,
        }
    }

    /// As text: numbers in decimal, addresses as they are written, bytes up to the first that is NUL.
    pub fn into_text(self) -> Cow<'a, [u8]> {
        match self {
            Self::Str(text) | Self::Method(text) => text,
            Self::Bool(value) => Cow::Borrowed(if value { b"1" } else { b"0" }),
            Self::Int(value) => Cow::Owned(value.to_string().into_bytes()),
            Self::Ip(ip) => Cow::Owned(written(ip).into_bytes()),
            Self::Bin(bytes) => until_nul(bytes),
        }
    }

    /// As it is written into a header or a line: as [`Value::into_text`], but with all bytes.
    pub fn into_written(self) -> Cow<'a, [u8]> {
        match self {
            Self::Bin(bytes) => bytes,
            Self::Bool(_) | Self::Int(_) | Self::Ip(_) | Self::Str(_) | Self::Method(_) => self.into_text(),
        }
    }

    /// As bytes: a number in network byte order, an address in its own length, text as it is.
    pub fn into_bytes(self) -> Cow<'a, [u8]> {
        match self {
            Self::Str(bytes) | Self::Method(bytes) | Self::Bin(bytes) => bytes,
            Self::Bool(value) => Cow::Owned(i64::from(value).to_be_bytes().to_vec()),
            Self::Int(value) => Cow::Owned(value.to_be_bytes().to_vec()),
            Self::Ip(IpAddr::V4(ip)) => Cow::Owned(ip.octets().to_vec()),
            Self::Ip(IpAddr::V6(ip)) => Cow::Owned(ip.octets().to_vec()),
        }
    }

    /// The same value with nothing borrowed.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Ip(ip) => Value::Ip(ip),
            Self::Str(text) => Value::Str(Cow::Owned(text.into_owned())),
            Self::Bin(bytes) => Value::Bin(Cow::Owned(bytes.into_owned())),
            Self::Method(method) => Value::Method(Cow::Owned(method.into_owned())),
        }
    }

    /// What patterns that are texts are compared with: as [`Value::into_text`].
    pub(crate) fn matched(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Str(bytes) | Self::Method(bytes) => Cow::Borrowed(bytes),
            Self::Bin(bytes) => until_nul(Cow::Borrowed(bytes)),
            Self::Bool(_) | Self::Int(_) | Self::Ip(_) => self.clone().into_text(),
        }
    }

    /// What patterns that are bytes are compared with: as [`Value::into_bytes`].
    pub(crate) fn matched_bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Str(bytes) | Self::Method(bytes) | Self::Bin(bytes) => Cow::Borrowed(bytes),
            Self::Bool(_) | Self::Int(_) | Self::Ip(_) => self.clone().into_bytes(),
        }
    }
}

/// The number a text begins with: an optional sign and digits, 0 without any; beyond the range, the nearest there is.
pub fn leading_int(text: &[u8]) -> i64 {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let mut value: i64 = 0;
    for digit in digits.iter().take_while(|byte| byte.is_ascii_digit()) {
        let digit = i64::from(digit - b'0');
        value = value.saturating_mul(10);
        value = if negative { value.saturating_sub(digit) } else { value.saturating_add(digit) };
    }
    value
}

/// An address as `inet_ntop` writes it: with the IPv4 address at the end of one that has nothing else.
fn written(ip: IpAddr) -> String {
    match ip {
        IpAddr::V6(v6) if matches!(v6.segments(), [0, 0, 0, 0, 0, 0, last, _] if last > 0) => {
            let [.., a, b, c, d] = v6.octets();
            format!("::{a}.{b}.{c}.{d}")
        }
        ip => ip.to_string(),
    }
}

/// An address, or the IPv4 address that a text begins with, as in `10.0.0.1:80` and `10.0.0.0/8`.
fn leading_ip(text: &[u8]) -> Option<IpAddr> {
    if let Some(ip) = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()) {
        return Some(ip);
    }
    let end = text.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'.')).unwrap_or(text.len());
    let mut numbers = text[..end].split(|&byte| byte == b'.').map(|digits| {
        let number = |number: u8, digit: &u8| number.checked_mul(10)?.checked_add(digit - b'0');
        digits.iter().try_fold(0, number).filter(|_| !digits.is_empty())
    });
    let mut octet = || numbers.next().flatten();
    let ip = Ipv4Addr::new(octet()?, octet()?, octet()?, octet()?);
    numbers.next().is_none().then_some(IpAddr::V4(ip))
}

fn until_nul(bytes: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match bytes.iter().position(|&byte| byte == 0) {
        None => bytes,
        Some(end) => match bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(..end).unwrap_or(bytes)),
            Cow::Owned(mut bytes) => {
                bytes.truncate(end);
                Cow::Owned(bytes)
            }
        },
    }
}

/// Upper-case hexadecimal, as haproxy writes bytes.
pub fn hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_text() {
        for (text, expected) in [
            ("12", 12),
            ("-7x", -7),
            ("+3", 3),
            ("", 0),
            ("x", 0),
            ("99999999999999999999", i64::MAX),
            ("-99999999999999999999", i64::MIN),
        ] {
            assert_eq!(leading_int(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn addresses_in_text() {
        for (text, expected) in [
            ("10.0.0.1", Some("10.0.0.1")),
            ("10.0.0.1:80", Some("10.0.0.1")),
            ("010.0.0.1/8", Some("10.0.0.1")),
            ("10.0.0.1.2", None),
            ("10.0.0.", None),
            ("10.0.0.256", None),
            (" 10.0.0.1", None),
            ("2001:db8::1", Some("2001:db8::1")),
            ("2001:db8::1/64", None),
            ("", None),
        ] {
            assert_eq!(Value::text(text.as_bytes()).to_ip(), expected.map(|ip| ip.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn as_text_and_bytes() {
        assert_eq!(&*Value::Int(-5).into_text(), b"-5");
        assert_eq!(&*Value::Bool(true).into_text(), b"1");
        assert_eq!(&*Value::Bin(Cow::Borrowed(b"\x01\xab\0c")).into_text(), b"\x01\xab");
        assert_eq!(&*Value::Int(1).into_bytes(), [0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(&*Value::Ip("10.0.0.1".parse().unwrap()).into_bytes(), [10, 0, 0, 1]);
        assert_eq!(&*Value::Ip("::a00:1".parse().unwrap()).into_text(), b"::10.0.0.1");
        assert_eq!(&*Value::Ip("::1".parse().unwrap()).into_text(), b"::1");
    }
}
