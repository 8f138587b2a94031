//! Times: a number and a unit (haproxy configuration manual, section 2.5).

use super::{Problem, ValueError};
use std::time::Duration;

/// The longest time that haproxy holds: 2^31 - 1 milliseconds, 24.8 days.
pub const DURATION_MAX: Duration = Duration::from_millis(i32::MAX as u64);

/// What a number without a unit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// `us`
    Microseconds,
    /// `ms`
    Milliseconds,
    /// `s`
    Seconds,
    /// `m`
    Minutes,
    /// `h`
    Hours,
    /// `d`
    Days,
}

impl Unit {
    /// In microseconds.
    const fn length(self) -> u128 {
        match self {
            Self::Microseconds => 1,
            Self::Milliseconds => 1_000,
            Self::Seconds => 1_000_000,
            Self::Minutes => 60 * 1_000_000,
            Self::Hours => 3_600 * 1_000_000,
            Self::Days => 86_400 * 1_000_000,
        }
    }
}

const UNITS: &str = "only us, ms, s, m, h and d are units of time";

/// Reads `10`, `10s`, `500ms`, up to [`DURATION_MAX`]. A time that is not zero is never shorter than it says; haproxy
/// itself counts milliseconds and rounds up.
pub fn parse(text: &str, default: Unit) -> Result<Duration, ValueError> {
    if text.is_empty() {
        return Err(ValueError::kind(Problem::Missing, "a time is expected", 0..0));
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if let (true, Some(first)) = (number.is_empty(), unit.chars().next()) {
        return Err(ValueError::unexpected(first, 0).help("a time begins with a digit"));
    }
    let (unit, length) = match unit.as_bytes() {
        [b'u', b's', ..] => (Unit::Microseconds, 2),
        [b'm', b's', ..] => (Unit::Milliseconds, 2),
        [b's', ..] => (Unit::Seconds, 1),
        [b'm', ..] => (Unit::Minutes, 1),
        [b'h', ..] => (Unit::Hours, 1),
        [b'd', ..] => (Unit::Days, 1),
        _ => (default, 0),
    };
    if let Some(extra) = text[digits + length..].chars().next() {
        return Err(ValueError::unexpected(extra, digits + length).help(UNITS));
    }
    let micros = number.parse::<u128>().ok().and_then(|number| number.checked_mul(unit.length()));
    match micros {
        Some(micros) if micros <= DURATION_MAX.as_micros() => {
            Ok(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
        }
        _ => {
            let message = "timer overflow, maximum value is 2147483647 ms (~24.8 days)";
            Err(ValueError::kind(Problem::TooLarge, message, 0..text.len()))
        }
    }
}

/// In whole milliseconds, rounded up as haproxy does.
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, micros) in [
            ("10", 10_000),
            ("010", 10_000),
            ("10us", 10),
            ("10ms", 10_000),
            ("2s", 2_000_000),
            ("3m", 180_000_000),
            ("1h", 3_600_000_000),
            ("24d", 24 * 86_400_000_000),
            ("0", 0),
            ("2147483647", 2_147_483_647_000),
        ] {
            assert_eq!(parse(text, Unit::Milliseconds), Ok(Duration::from_micros(micros)), "{text}");
        }
        assert_eq!(parse("5", Unit::Seconds), Ok(Duration::from_secs(5)));
        assert_eq!(milliseconds(Duration::from_micros(1)), 1);
        for (text, problem, range) in [
            ("", Problem::Missing, 0..0),
            ("x", Problem::Unexpected('x'), 0..1),
            ("-1", Problem::Unexpected('-'), 0..1),
            ("10x", Problem::Unexpected('x'), 2..3),
            ("10S", Problem::Unexpected('S'), 2..3),
            ("10ss", Problem::Unexpected('s'), 3..4),
            ("1.5s", Problem::Unexpected('.'), 1..2),
            ("1é", Problem::Unexpected('é'), 1..3),
            ("25d", Problem::TooLarge, 0..3),
            ("2147483648", Problem::TooLarge, 0..10),
            ("99999999999999999999999999999999999999999999", Problem::TooLarge, 0..44),
        ] {
            let error = parse(text, Unit::Milliseconds).expect_err(text);
            assert_eq!((error.problem, error.range), (problem, range), "{text}");
        }
    }
}
