//! Arguments of statements as numbers, times, switches and addresses, with the words keepalived has for wrong ones.

use super::Lowering;
use shared_config::diagnostic::Diagnostic;
use shared_config::keepalived::ast::Statement;
use shared_config::source::Span;
use shared_config::words::Word;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

impl Lowering<'_> {
    /// Adds a problem.
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(self.origins.explain(diagnostic));
    }

    /// Adds what keepalived complains about and goes on.
    pub(super) fn warn(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.report(Diagnostic::warning(code, span, message));
    }

    /// The same for what keepalived finds after reading, and says without a place.
    pub(super) fn warn_whole(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.report(Diagnostic::warning(code, span, message).whole_file());
    }

    /// A whole number in a range. Where it is none, both of keepalived's messages are given: what is wrong with the
    /// number, and what is made of it.
    pub(super) fn integer(&mut self, word: &Word, range: RangeInclusive<i64>, consequence: &str) -> Option<i64> {
        match integer(word.as_str(), &range) {
            Ok(n) => Some(n),
            Err(message) => {
                self.report(Diagnostic::warning("invalid-number", word.span, message).label(consequence));
                None
            }
        }
    }

    /// A time in seconds with decimals, within a range of microseconds.
    pub(super) fn seconds(&mut self, word: &Word, range: RangeInclusive<u64>, consequence: &str) -> Option<Duration> {
        match decimal(word.as_str(), &range) {
            Ok(micros) => Some(Duration::from_micros(micros)),
            Err(message) => {
                self.report(Diagnostic::warning("invalid-number", word.span, message).label(consequence));
                None
            }
        }
    }

    /// A switch; on when nothing follows the keyword.
    pub(super) fn switch(&mut self, statement: &Statement, complaint: impl FnOnce(&str) -> String) -> Option<bool> {
        let Some(word) = statement.argument(1) else { return Some(true) };
        match word.as_str() {
            "on" | "true" | "yes" => Some(true),
            "off" | "false" | "no" => Some(false),
            other => {
                let message = complaint(other);
                self.report(
                    Diagnostic::warning("invalid-switch", word.span, message)
                        .help("write on, off, true, false, yes or no; the keyword alone is on"),
                );
                None
            }
        }
    }
}

/// A whole number as C writes it: decimal, `0x` hexadecimal or `0` octal. Says what keepalived says where it is none.
pub(super) fn integer(text: &str, range: &RangeInclusive<i64>) -> Result<i64, String> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        i128::from_str_radix(hex, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        i128::from_str_radix(digits, 8)
    } else {
        digits.parse()
    };
    let valid = digits.bytes().next().is_some_and(|b| b.is_ascii_digit());
    let Some(value) = value.ok().filter(|_| valid) else {
        // Too many digits are a number that is out of range all the same.
        return Err(if valid && digits.bytes().all(|b| b.is_ascii_digit()) {
            format!("number '{text}' outside range [{}, {}]", range.start(), range.end())
        } else {
            format!("invalid number '{text}'")
        });
    };
    if negative && *range.start() >= 0 {
        return Err(format!("negative number '{text}'"));
    }
    let value = if negative { -value } else { value };
    match i64::try_from(value) {
        Ok(value) if range.contains(&value) => Ok(value),
        Ok(_) | Err(_) => Err(format!("number '{text}' outside range [{}, {}]", range.start(), range.end())),
    }
}

/// A number with up to six decimals, in millionths.
pub(super) fn decimal(text: &str, range: &RangeInclusive<u64>) -> Result<u64, String> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if text.starts_with('-') {
        return Err(format!("negative number '{text}'"));
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return Err(format!("invalid number '{text}'"));
    }
    let millionths = |n: u64| format!("{}.{:06}", n / 1_000_000, n % 1_000_000);
    let outside =
        || format!("number '{text}' outside range [{}, {}]", millionths(*range.start()), millionths(*range.end()));
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| outside())? };
    let fraction: u64 = format!("{fraction:0<6}")[..6].parse().map_err(|_| outside())?;
    let value = whole.checked_mul(1_000_000).and_then(|n| n.checked_add(fraction)).ok_or_else(outside)?;
    if range.contains(&value) { Ok(value) } else { Err(outside()) }
}

/// An address, and the prefix length where one follows.
pub(super) fn address_and_prefix(text: &str) -> Option<(IpAddr, Option<&str>)> {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    Some((address.parse().ok()?, prefix))
}

/// The longest prefix of a family.
pub(super) fn full_prefix(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        for (text, expected) in [
            ("1", Ok(1)),
            ("255", Ok(255)),
            ("0x10", Ok(16)),
            ("010", Ok(8)),
            ("256", Err("number '256' outside range [1, 255]")),
            ("0", Err("number '0' outside range [1, 255]")),
            ("-1", Err("negative number '-1'")),
            ("zz", Err("invalid number 'zz'")),
            ("", Err("invalid number ''")),
            ("1x", Err("invalid number '1x'")),
            (
                "99999999999999999999999999999999999999999999",
                Err("number '99999999999999999999999999999999999999999999' outside range [1, 255]"),
            ),
        ] {
            assert_eq!(integer(text, &(1..=255)), expected.map_err(str::to_owned), "{text}");
        }
        assert_eq!(integer("-20", &(-20..=19)), Ok(-20));
        assert_eq!(integer("-21", &(-20..=19)), Err("number '-21' outside range [-20, 19]".to_owned()));
    }

    #[test]
    fn decimals() {
        for (text, expected) in [
            ("1", Ok(1_000_000)),
            ("0.5", Ok(500_000)),
            (".25", Ok(250_000)),
            ("1.", Ok(1_000_000)),
            ("0", Err("number '0' outside range [0.010000, 255.000000]")),
            ("255.1", Err("number '255.1' outside range [0.010000, 255.000000]")),
            ("-1", Err("negative number '-1'")),
            ("a", Err("invalid number 'a'")),
            ("", Err("invalid number ''")),
            (".", Err("invalid number '.'")),
            ("99999999999999999999999", Err("number '99999999999999999999999' outside range [0.010000, 255.000000]")),
        ] {
            assert_eq!(decimal(text, &(10_000..=255_000_000)), expected.map_err(str::to_owned), "{text}");
        }
    }
}
