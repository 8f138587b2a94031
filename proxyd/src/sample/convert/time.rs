//! Dates from numbers: `http_date`, `utime` and their kin.

use crate::log::date::Civil;
use std::fmt::Write as _;

/// What a number counts since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
}

impl Unit {
    /// `s`, `ms`, `us`
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "s" => Self::Seconds,
            "ms" => Self::Milliseconds,
            "us" => Self::Microseconds,
            _ => return None,
        })
    }

    fn per_second(self) -> i64 {
        match self {
            Self::Seconds => 1,
            Self::Milliseconds => 1_000,
            Self::Microseconds => 1_000_000,
        }
    }

    /// Whole seconds and what is beyond them.
    pub(super) fn split(self, number: i64) -> (i64, i64) {
        (number.div_euclid(self.per_second()), number.rem_euclid(self.per_second()))
    }
}

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

fn name(names: &'static [&'static str], index: usize) -> &'static str {
    names.get(index).copied().unwrap_or_default()
}

/// RFC 9110's date, `Sun, 06 Nov 1994 08:49:37 GMT`, with the fraction of a second where the unit has one.
pub(super) fn http_date(seconds: i64, fraction: i64, unit: Unit) -> String {
    let at = Civil::from_unix(seconds);
    let (day, month) = (name(&DAYS, weekday(seconds)), name(&MONTHS, usize::from(at.month).saturating_sub(1)));
    let mut out = format!(
        "{}, {:02} {} {} {:02}:{:02}:{:02}",
        &day[..3],
        at.day,
        &month[..3],
        at.year,
        at.hour,
        at.minute,
        at.second
    );
    let written = match unit {
        Unit::Seconds => Ok(()),
        Unit::Milliseconds => write!(out, ".{fraction:03}"),
        Unit::Microseconds => write!(out, ".{fraction:06}"),
    };
    debug_assert!(written.is_ok(), "a String takes everything");
    out + " GMT"
}

/// The seconds since 1970 that a date of HTTP means (RFC 9110, 5.6.7), in any of its three forms.
pub(super) fn read_http_date(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let words: Vec<&str> = text.split([' ', ',', '-']).filter(|word| !word.is_empty()).collect();
    // Sun, 06 Nov 1994 08:49:37 GMT, or Sunday, 06-Nov-94 08:49:37 GMT, or Sun Nov  6 08:49:37 1994
    let ([_, day, month, year, time, "GMT"] | [_, month, day, time, year]) = *words.as_slice() else { return None };
    let month = MONTHS.iter().position(|name| name.get(..3) == Some(month))? + 1;
    let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0);
    let year = match (number(year)?, year.len()) {
        // Two digits mean the year that is not more than fifty years ahead, as seen from the turn of the century.
        (year @ 0..70, 2) => 2000 + year,
        (year, 2) => 1900 + year,
        (year, 4) => year,
        _ => return None,
    };
    let mut parts = time.split(':').map(number);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let day = number(day).filter(|day| (1..=31).contains(day))?;
    let days = days_from_civil(year, i64::try_from(month).ok()?, day);
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Counted in years that begin in March, so that the day of a leap year comes last.
    let year = if month > 2 { year } else { year - 1 };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

fn weekday(seconds: i64) -> usize {
    usize::try_from((seconds.div_euclid(86_400) + 4).rem_euclid(7)).unwrap_or(0)
}

/// strftime(3) of the C locale. `local`: seconds since 1970 as the clocks on the wall show them.
pub(super) fn format(format: &[u8], seconds: i64, utc_offset: i32, fraction: i64, unit: Unit) -> Vec<u8> {
    let mut out = Vec::with_capacity(format.len() * 2);
    let local = seconds.saturating_add(utc_offset.into());
    let mut bytes = format.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'N') => {
                let digits = match unit {
                    Unit::Seconds => "%N".to_owned(),
                    Unit::Milliseconds => format!("{fraction:03}"),
                    Unit::Microseconds => format!("{fraction:06}"),
                };
                out.extend_from_slice(digits.as_bytes());
            }
            Some(_) => {
                let rest = bytes.as_slice();
                let conversion = format.get(format.len() - rest.len() - 1..).unwrap_or_default();
                let (written, length) = Modifiers::of(conversion, |letter| field(letter, local, seconds, utc_offset));
                out.extend_from_slice(written.as_bytes());
                bytes = conversion.get(length..).unwrap_or_default().iter();
            }
            None => out.push(b'%'),
        }
    }
    out
}

/// What glibc takes between `%` and the letter.
struct Modifiers {
    /// `_`, `-` or `0`: what numbers are filled up with.
    fill: Option<u8>,
    /// `^`
    upper: bool,
    /// `#`: upper case, of names that are upper case anyhow lower case.
    other_case: bool,
    /// At least so many characters.
    width: usize,
}

impl Modifiers {
    /// The widest field.
    const WIDTH_MAX: usize = 1_000;

    /// What a conversion is written as, given what its letter alone is, and how many bytes it took. One that is none is written as it is.
    fn of(conversion: &[u8], field: impl FnOnce(u8) -> String) -> (String, usize) {
        let mut modifiers = Self { fill: None, upper: false, other_case: false, width: 0 };
        let mut bytes = conversion.iter().copied().enumerate().peekable();
        while let Some((_, flag)) = bytes.next_if(|(_, byte)| matches!(byte, b'_' | b'-' | b'0' | b'^' | b'#')) {
            match flag {
                b'^' => modifiers.upper = true,
                b'#' => modifiers.other_case = true,
                fill => modifiers.fill = Some(fill),
            }
        }
        while let Some((_, digit)) = bytes.next_if(|(_, byte)| byte.is_ascii_digit()) {
            modifiers.width = (modifiers.width * 10 + usize::from(digit - b'0')).min(Self::WIDTH_MAX);
        }
        // Other calendars and digits: the C locale has none.
        let _ = bytes.next_if(|(_, byte)| matches!(byte, b'E' | b'O'));
        match bytes.next() {
            Some((at, letter)) if is_conversion(letter) => (modifiers.write(letter, field(letter)), at + 1),
            Some((at, _)) => (format!("%{}", String::from_utf8_lossy(&conversion[..=at])), at + 1),
            None => (format!("%{}", String::from_utf8_lossy(conversion)), conversion.len()),
        }
    }

    fn write(&self, letter: u8, mut text: String) -> String {
        if self.upper || self.other_case && matches!(letter, b'a' | b'A' | b'b' | b'B' | b'h') {
            text.make_ascii_uppercase();
        } else if self.other_case && matches!(letter, b'p' | b'Z') {
            text.make_ascii_lowercase();
        }
        let digits = text.trim_start_matches([' ', '0']);
        let number = text.trim_start().bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
        let digits = if number && digits.is_empty() { "0" } else { digits };
        let fill = match self.fill {
            Some(b'_') => ' ',
            None if !number || matches!(letter, b'e' | b'k' | b'l') => ' ',
            _ => '0',
        };
        match self.fill {
            Some(b'-') if number => digits.to_owned(),
            Some(b'-') => text,
            Some(_) if number => filled(digits, fill, text.len().max(self.width)),
            _ => filled(&text, fill, self.width),
        }
    }
}

fn filled(text: &str, fill: char, width: usize) -> String {
    std::iter::repeat_n(fill, width.saturating_sub(text.len())).chain(text.chars()).collect()
}

fn is_conversion(letter: u8) -> bool {
    b"aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%".contains(&letter)
}

/// The year that the week of ISO 8601 belongs to, and its number.
fn iso_week(at: &Civil, yday: i64, weekday: usize) -> (i64, i64) {
    let days = |year: i64| if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) { 366 } else { 365 };
    // A week belongs to the year that its Thursday is in.
    let thursday = yday + 3 - (i64::try_from(weekday).unwrap_or(0) + 6) % 7;
    let year = at.year;
    if thursday < 0 {
        (year - 1, (thursday + days(year - 1)) / 7 + 1)
    } else if thursday >= days(year) {
        (year + 1, (thursday - days(year)) / 7 + 1)
    } else {
        (year, thursday / 7 + 1)
    }
}

/// From 0.
fn day_of_year(at: &Civil) -> i64 {
    const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap = at.year % 4 == 0 && (at.year % 100 != 0 || at.year % 400 == 0);
    let before = BEFORE.get(usize::from(at.month).saturating_sub(1)).copied().unwrap_or(0);
    before + i64::from(at.day) - 1 + i64::from(leap && at.month > 2)
}

fn field(letter: u8, local: i64, seconds: i64, utc_offset: i32) -> String {
    let at = Civil::from_unix(local);
    let (month, weekday) = (name(&MONTHS, usize::from(at.month).saturating_sub(1)), weekday(local));
    let hour12 = (at.hour + 11) % 12 + 1;
    let yday = day_of_year(&at);
    let week = |first: i64| (yday + 7 - (i64::try_from(weekday).unwrap_or(0) - first).rem_euclid(7)) / 7;
    match letter {
        b'a' => name(&DAYS, weekday)[..3].to_owned(),
        b'A' => name(&DAYS, weekday).to_owned(),
        b'b' | b'h' => month[..month.len().min(3)].to_owned(),
        b'B' => month.to_owned(),
        b'c' => format!(
            "{} {} {:2} {:02}:{:02}:{:02} {}",
            &name(&DAYS, weekday)[..3],
            &month[..month.len().min(3)],
            at.day,
            at.hour,
            at.minute,
            at.second,
            at.year
        ),
        b'C' => format!("{:02}", at.year / 100),
        b'd' => format!("{:02}", at.day),
        b'D' | b'x' => format!("{:02}/{:02}/{:02}", at.month, at.day, at.year.rem_euclid(100)),
        b'e' => format!("{:2}", at.day),
        b'F' => format!("{:04}-{:02}-{:02}", at.year, at.month, at.day),
        b'g' => format!("{:02}", iso_week(&at, yday, weekday).0.rem_euclid(100)),
        b'G' => iso_week(&at, yday, weekday).0.to_string(),
        b'V' => format!("{:02}", iso_week(&at, yday, weekday).1),
        b'H' => format!("{:02}", at.hour),
        b'I' => format!("{hour12:02}"),
        b'j' => format!("{:03}", yday + 1),
        b'k' => format!("{:2}", at.hour),
        b'l' => format!("{hour12:2}"),
        b'm' => format!("{:02}", at.month),
        b'M' => format!("{:02}", at.minute),
        b'n' => "\n".to_owned(),
        b'p' => if at.hour < 12 { "AM" } else { "PM" }.to_owned(),
        b'P' => if at.hour < 12 { "am" } else { "pm" }.to_owned(),
        b'r' => format!("{hour12:02}:{:02}:{:02} {}", at.minute, at.second, if at.hour < 12 { "AM" } else { "PM" }),
        b'R' => format!("{:02}:{:02}", at.hour, at.minute),
        b's' => seconds.to_string(),
        b'S' => format!("{:02}", at.second),
        b't' => "\t".to_owned(),
        b'T' | b'X' => format!("{:02}:{:02}:{:02}", at.hour, at.minute, at.second),
        b'u' => (if weekday == 0 { 7 } else { weekday }).to_string(),
        b'U' => format!("{:02}", week(0)),
        b'w' => weekday.to_string(),
        b'W' => format!("{:02}", week(1)),
        b'y' => format!("{:02}", at.year.rem_euclid(100)),
        b'Y' => at.year.to_string(),
        b'z' => {
            let minutes = utc_offset.unsigned_abs() / 60;
            format!("{}{:02}{:02}", if utc_offset < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
        }
        b'Z' => if utc_offset == 0 { "GMT" } else { "" }.to_owned(),
        b'%' => "%".to_owned(),
        other => format!("%{}", char::from(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_read_in_their_three_forms() {
        for (text, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199)),
            ("Wed, 01 Mar 2000 00:00:00 GMT", Some(951_868_800)),
            ("Sun, 06 Nov 1994 24:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 UTC", None),
            ("Sun, 06 Nov 1994 08:49 GMT", None),
            ("Sun, 06 Now 1994 08:49:37 GMT", None),
            ("Sun, -6 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("", None),
        ] {
            assert_eq!(read_http_date(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_date_that_is_written_is_read() {
        for seconds in (0..5_000_000_000_i64).step_by(7_654_321) {
            assert_eq!(read_http_date(http_date(seconds, 0, Unit::Seconds).as_bytes()), Some(seconds));
        }
    }
}
