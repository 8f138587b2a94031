//! Whole numbers and switches.

use super::{Problem, ValueError};
use std::ops::RangeInclusive;

/// A whole number and nothing else, within a range.
pub fn integer(text: &str, within: RangeInclusive<i64>) -> Result<i64, ValueError> {
    let (number, rest) = leading(text)?;
    if let Some(extra) = text[rest..].chars().next() {
        return Err(ValueError::unexpected(extra, rest));
    }
    let problem = if number < *within.start() {
        Problem::TooSmall
    } else if number > *within.end() {
        Problem::TooLarge
    } else {
        return Ok(number);
    };
    let message = format!("'{text}' is not within {} and {}", within.start(), within.end());
    Err(ValueError::kind(problem, message, 0..text.len()))
}

/// The number a text begins with, and where it ends. haproxy reads many numbers so and ignores what follows: whoever
/// does the same should warn where the end is not that of the text.
pub fn leading(text: &str) -> Result<(i64, usize), ValueError> {
    let signs = usize::from(text.starts_with(['+', '-']));
    let end = text[signs..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |digits| signs + digits);
    if end == signs {
        return Err(match text.chars().next() {
            None => ValueError::kind(Problem::Missing, "a number is expected", 0..0),
            Some(first) => ValueError::unexpected(first, 0).help("a whole number is expected"),
        });
    }
    let problem = if text.starts_with('-') { Problem::TooSmall } else { Problem::TooLarge };
    let number = text[..end].parse().map_err(|_| ValueError::kind(problem, "the number is out of range", 0..end))?;
    Ok((number, end))
}

/// `on`, `true`, `yes`, `1` or `off`, `false`, `no`, `0`.
pub fn switch(text: &str) -> Result<bool, ValueError> {
    match text {
        "on" | "true" | "yes" | "1" => Ok(true),
        "off" | "false" | "no" | "0" => Ok(false),
        _ => Err(ValueError::new("'on' or 'off' is expected", 0..text.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, expected) in [("0", 0), ("-5", -5), ("+7", 7), ("0256", 256)] {
            assert_eq!(integer(text, -10..=256), Ok(expected), "{text}");
        }
        for (text, problem, range) in [
            ("", Problem::Missing, 0..0),
            ("-", Problem::Unexpected('-'), 0..1),
            ("x", Problem::Unexpected('x'), 0..1),
            ("10k", Problem::Unexpected('k'), 2..3),
            ("257", Problem::TooLarge, 0..3),
            ("-11", Problem::TooSmall, 0..3),
            ("99999999999999999999", Problem::TooLarge, 0..20),
        ] {
            let error = integer(text, -10..=256).expect_err(text);
            assert_eq!((error.problem, error.range), (problem, range), "{text}");
        }
        assert_eq!(leading("10k"), Ok((10, 2)));
        assert_eq!((switch("on"), switch("0")), (Ok(true), Ok(false)));
        assert!(switch("maybe").is_err());
    }
}
