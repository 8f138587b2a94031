//! Numbers, times and networks as haproxy.cfg writes them.

use crate::proxy::settings::Network;
use shared_config::value::duration;
use shared_config::value::{Problem, number};
use std::net::IpAddr;
use std::time::Duration;

pub(super) use shared_config::value::duration::Unit;

/// Why a text is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeProblem {
    /// This character does not belong there.
    Unexpected {
        /// Its offset in bytes.
        at: usize,
        /// The character; a blank where the text ends.
        character: char,
    },
    /// More than 2^31 - 1 milliseconds.
    Overflow,
    /// Not zero, but less than a millisecond.
    Underflow,
}

/// A time, in whole milliseconds as haproxy counts.
pub(super) fn time(text: &str, unit: Unit) -> Result<Duration, TimeProblem> {
    let time = duration::parse(text, unit).map_err(|error| match error.problem {
        Problem::Unexpected(character) => TimeProblem::Unexpected { at: error.range.start, character },
        Problem::Missing | Problem::Other => TimeProblem::Unexpected { at: error.range.start, character: ' ' },
        Problem::TooLarge => TimeProblem::Overflow,
        Problem::TooSmall => TimeProblem::Underflow,
    })?;
    if !time.is_zero() && time < Duration::from_millis(1) {
        return Err(TimeProblem::Underflow);
    }
    Ok(Duration::from_millis(duration::milliseconds(time)))
}

/// The number at the start of a text and what follows it; 0 where there is none.
pub(super) fn leading_integer(text: &str) -> (i64, &str) {
    match number::leading(text) {
        Ok((number, end)) => (number, &text[end..]),
        Err(error) => match error.problem {
            Problem::TooLarge => (i64::MAX, &text[error.range.end..]),
            Problem::TooSmall => (i64::MIN, &text[error.range.end..]),
            Problem::Missing | Problem::Unexpected(_) | Problem::Other => (0, text),
        },
    }
}

/// An address with an optional prefix length or dotted mask.
pub(super) fn network(text: &str) -> Option<Network> {
    let (address, mask) = match text.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match mask {
        None => bits,
        Some(mask) => match mask.parse::<u8>() {
            Ok(prefix) if prefix <= bits => prefix,
            _ => dotted_mask(mask, address)?,
        },
    };
    Some(Network { address: masked(address, prefix), prefix })
}

/// `255.255.0.0` as a prefix length; masks with holes are refused.
fn dotted_mask(mask: &str, address: IpAddr) -> Option<u8> {
    let IpAddr::V4(_) = address else { return None };
    let bits = u32::from(mask.parse::<std::net::Ipv4Addr>().ok()?);
    let prefix = bits.leading_ones();
    (bits.count_ones() == prefix).then_some(u8::try_from(prefix).ok()?)
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(ip) => {
            IpAddr::V4((u32::from(ip) & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)).into())
        }
        IpAddr::V6(ip) => {
            IpAddr::V6((u128::from(ip) & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let ms = |n| Ok(Duration::from_millis(n));
        for (text, expected) in [
            ("0", ms(0)),
            ("1000", ms(1000)),
            ("5s", ms(5_000)),
            ("1500us", ms(2)),
            ("1m", ms(60_000)),
            ("2147483647", ms(2_147_483_647)),
            ("2147483648", Err(TimeProblem::Overflow)),
            ("99999999999999999999999999999999999999999999", Err(TimeProblem::Overflow)),
            ("1us", Err(TimeProblem::Underflow)),
            ("x", Err(TimeProblem::Unexpected { at: 0, character: 'x' })),
            ("5z", Err(TimeProblem::Unexpected { at: 1, character: 'z' })),
            ("5sx", Err(TimeProblem::Unexpected { at: 2, character: 'x' })),
            ("5é", Err(TimeProblem::Unexpected { at: 1, character: 'é' })),
            ("", Err(TimeProblem::Unexpected { at: 0, character: ' ' })),
        ] {
            assert_eq!(time(text, Unit::Milliseconds), expected, "{text}");
        }
        assert_eq!(time("30", Unit::Seconds), ms(30_000));
    }

    #[test]
    fn integers() {
        for (text, expected) in
            [("5", (5, "")), ("5x", (5, "x")), ("-3", (-3, "")), ("x", (0, "x")), ("", (0, "")), ("-", (0, "-"))]
        {
            assert_eq!(leading_integer(text), expected, "{text}");
        }
        assert_eq!(leading_integer("99999999999999999999x"), (i64::MAX, "x"));
    }

    #[test]
    fn networks() {
        let net = |a: &str, prefix| Some(Network { address: a.parse().expect("an address"), prefix });
        for (text, expected) in [
            ("127.0.0.0/8", net("127.0.0.0", 8)),
            ("127.1.2.3/8", net("127.0.0.0", 8)),
            ("10.0.0.0/255.255.0.0", net("10.0.0.0", 16)),
            ("10.0.0.1", net("10.0.0.1", 32)),
            ("10.0.0.1/0", net("0.0.0.0", 0)),
            ("fe80::1/10", net("fe80::", 10)),
            ("10.0.0.0/33", None),
            ("10.0.0.0/255.0.255.0", None),
            ("nonet", None),
        ] {
            assert_eq!(network(text), expected, "{text}");
        }
    }
}
