//! Sizes: a number of bytes or entries, or of kilo, mega, giga (1024 each) of them.

use super::{Problem, ValueError};

/// Reads `4096`, `16k`, `1m`, `2g`; the unit in either case.
pub fn parse(text: &str) -> Result<u64, ValueError> {
    if text.is_empty() {
        return Err(ValueError::kind(Problem::Missing, "a size is expected", 0..0));
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if let (true, Some(first)) = (number.is_empty(), unit.chars().next()) {
        return Err(ValueError::unexpected(first, 0).help("a size begins with a digit"));
    }
    let (shift, length) = match unit.as_bytes().first() {
        Some(b'k' | b'K') => (10, 1),
        Some(b'm' | b'M') => (20, 1),
        Some(b'g' | b'G') => (30, 1),
        None | Some(_) => (0, 0),
    };
    if let Some(extra) = text[digits + length..].chars().next() {
        return Err(ValueError::unexpected(extra, digits + length).help("only k, m and g are units of size"));
    }
    let size = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    size.ok_or_else(|| ValueError::kind(Problem::TooLarge, "the size is too large", 0..text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, size) in [("0", 0), ("4096", 4096), ("16k", 16384), ("1M", 1 << 20), ("2g", 2 << 30)] {
            assert_eq!(parse(text), Ok(size), "{text}");
        }
        for (text, problem, range) in [
            ("", Problem::Missing, 0..0),
            ("x", Problem::Unexpected('x'), 0..1),
            ("10q", Problem::Unexpected('q'), 2..3),
            ("10kb", Problem::Unexpected('b'), 3..4),
            ("99999999999g", Problem::TooLarge, 0..12),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!((error.problem, error.range), (problem, range), "{text}");
        }
    }
}
