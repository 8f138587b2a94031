//! Dates as logs write them: civil-calendar arithmetic on seconds since 1970, without the system's clock or time zone.

use super::digits;
use std::io::Write as _;
use std::time::Duration;

/// A moment and the local time's distance from UTC at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// Since 1970, UTC.
    pub since_epoch: Duration,
    /// Seconds to add for local time.
    pub utc_offset: i32,
}

/// A second as most lines of a log need it. A busy log has thousands of lines in one second, and the calendar is the same
/// for all of them.
#[derive(Debug, Default)]
pub struct Second {
    seconds: u64,
    utc_offset: i32,
    /// `28/Nov/2026:13:34:53`.
    local: Vec<u8>,
    /// `Nov 28 13:34:53`.
    rfc3164: Vec<u8>,
}

impl Second {
    /// The second that a date is in.
    pub fn of(date: Date) -> Self {
        let mut second = Self {
            seconds: date.since_epoch.as_secs(),
            utc_offset: date.utc_offset,
            local: Vec::new(),
            rfc3164: Vec::new(),
        };
        date.write_seconds(&mut second.local, date.utc_offset);
        date.compute_rfc3164(&mut second.rfc3164);
        second
    }

    /// Whether a date is in it.
    pub fn has(&self, date: Date) -> bool {
        self.seconds == date.since_epoch.as_secs() && self.utc_offset == date.utc_offset
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const SECONDS_PER_DAY: i64 = 86_400;

/// A date of the Gregorian calendar.
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: u8,
    pub(crate) day: u8,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
}

impl Civil {
    /// Counts days in 400-year cycles that begin on 1 March of year 0, so that the leap day is the last of its year.
    pub(crate) fn from_unix(seconds: i64) -> Self {
        let days = seconds.div_euclid(SECONDS_PER_DAY) + 719_468;
        let (cycle, day_of_cycle) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_cycle =
            (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
        let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        Self {
            year: cycle * 400 + year_of_cycle + i64::from(month <= 2),
            month: small(month),
            day: small(day_of_year - (153 * march_month + 2) / 5 + 1),
            hour: small(of_day / 3_600),
            minute: small(of_day / 60 % 60),
            second: small(of_day % 60),
        }
    }

    /// `13:34:53`.
    fn write_time(&self, out: &mut Vec<u8>) {
        digits::two(out, self.hour.into());
        out.push(b':');
        digits::two(out, self.minute.into());
        out.push(b':');
        digits::two(out, self.second.into());
    }

    fn month_name(&self) -> &'static str {
        MONTHS.get(usize::from(self.month) - 1).copied().unwrap_or("Jan")
    }
}

/// A number that the calendar keeps below 100.
fn small(value: i64) -> u8 {
    u8::try_from(value).unwrap_or(0)
}

impl Date {
    /// The year, in local time.
    pub(super) fn year(self) -> i64 {
        self.civil(self.utc_offset).year
    }

    fn civil(self, utc_offset: i32) -> Civil {
        Civil::from_unix(i64::try_from(self.since_epoch.as_secs()).unwrap_or(0) + i64::from(utc_offset))
    }

    /// `28/Nov/2026:13:34:53`, local.
    fn write_seconds(self, out: &mut Vec<u8>, utc_offset: i32) {
        let c = self.civil(utc_offset);
        digits::two(out, c.day.into());
        out.push(b'/');
        out.extend_from_slice(c.month_name().as_bytes());
        out.push(b'/');
        digits::decimal(out, c.year.unsigned_abs());
        out.push(b':');
        c.write_time(out);
    }

    /// `28/Nov/2026:13:34:53.782`, local (`%t`, `%tr`).
    pub fn write_millis(self, now: &Second, out: &mut Vec<u8>) {
        if now.has(self) {
            out.extend_from_slice(&now.local);
        } else {
            self.write_seconds(out, self.utc_offset);
        }
        out.push(b'.');
        digits::three(out, self.since_epoch.subsec_millis().into());
    }

    /// `28/Nov/2026:13:34:53 +0000` (`%T`, `%trg`).
    pub fn write_gmt(self, out: &mut Vec<u8>) {
        self.write_seconds(out, 0);
        out.extend_from_slice(b" +0000");
    }

    /// `28/Nov/2026:14:34:53 +0100` (`%Tl`, `%trl`).
    pub fn write_local(self, out: &mut Vec<u8>) {
        self.write_seconds(out, self.utc_offset);
        let (sign, hours, minutes) = self.zone();
        let _ = write!(out, " {sign}{hours:02}{minutes:02}");
    }

    /// `28/Nov/2026:14:34:53.123456`, local.
    pub fn write_micros(self, out: &mut Vec<u8>) {
        self.write_seconds(out, self.utc_offset);
        let _ = write!(out, ".{:06}", self.since_epoch.subsec_micros());
    }

    /// `Nov 28 13:34:53`, local, the day padded with a blank (RFC 3164, 4.1.2).
    pub fn write_rfc3164(self, now: &Second, out: &mut Vec<u8>) {
        if now.has(self) {
            out.extend_from_slice(&now.rfc3164);
        } else {
            self.compute_rfc3164(out);
        }
    }

    pub(super) fn compute_rfc3164(self, out: &mut Vec<u8>) {
        let c = self.civil(self.utc_offset);
        out.extend_from_slice(c.month_name().as_bytes());
        out.extend_from_slice(if c.day < 10 { b"  " } else { b" " });
        digits::decimal(out, c.day.into());
        out.push(b' ');
        c.write_time(out);
    }

    /// `2026-11-28T13:36:04.635971+00:00`, local (RFC 5424, 6.2.3).
    pub fn write_iso(self, out: &mut Vec<u8>) {
        let c = self.civil(self.utc_offset);
        let (sign, hours, minutes) = self.zone();
        // Writing to a Vec cannot fail.
        let _ = write!(
            out,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}{sign}{hours:02}:{minutes:02}",
            c.year,
            c.month,
            c.day,
            c.hour,
            c.minute,
            c.second,
            self.since_epoch.subsec_micros()
        );
    }

    fn zone(self) -> (char, u32, u32) {
        let minutes = self.utc_offset.unsigned_abs() / 60;
        (if self.utc_offset < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates_are_written_as_haproxy_writes_them() {
        let date = Date { since_epoch: Duration::from_micros(1_795_872_893_782_971), utc_offset: 0 };
        assert_eq!(text(|out| date.write_millis(&Second::of(date), out)), "28/Nov/2026:13:34:53.782");
        assert_eq!(text(|out| date.write_gmt(out)), "28/Nov/2026:13:34:53 +0000");
        assert_eq!(text(|out| date.write_rfc3164(&Second::of(date), out)), "Nov 28 13:34:53");
        assert_eq!(text(|out| date.write_iso(out)), "2026-11-28T13:34:53.782971+00:00");
    }

    #[test]
    fn a_second_that_is_kept_is_used_for_its_own_dates_only() {
        let date = |micros, utc_offset| Date { since_epoch: Duration::from_micros(micros), utc_offset };
        let kept = Second::of(date(1_795_872_893_782_971, 0));
        for (other, millis, rfc3164) in [
            (date(1_795_872_893_000_000, 0), "28/Nov/2026:13:34:53.000", "Nov 28 13:34:53"),
            (date(1_795_872_892_999_999, 0), "28/Nov/2026:13:34:52.999", "Nov 28 13:34:52"),
            (date(1_795_872_893_782_971, 3_600), "28/Nov/2026:14:34:53.782", "Nov 28 14:34:53"),
        ] {
            assert_eq!(text(|out| other.write_millis(&kept, out)), millis);
            assert_eq!(text(|out| other.write_rfc3164(&kept, out)), rfc3164);
        }
    }

    #[test]
    fn local_time_moves_the_day_and_names_its_zone() {
        let west = Date { since_epoch: Duration::from_secs(1_772_326_801), utc_offset: -12_600 };
        assert_eq!(text(|out| west.write_gmt(out)), "01/Mar/2026:01:00:01 +0000");
        assert_eq!(text(|out| west.write_local(out)), "28/Feb/2026:21:30:01 -0330");
        assert_eq!(text(|out| west.write_iso(out)), "2026-02-28T21:30:01.000000-03:30");
        let east = Date { utc_offset: 3_600, ..west };
        assert_eq!(text(|out| east.write_local(out)), "01/Mar/2026:02:00:01 +0100");
        assert_eq!(text(|out| east.write_rfc3164(&Second::of(west), out)), "Mar  1 02:00:01");
    }

    #[test]
    fn the_calendar_knows_its_leap_years() {
        for (seconds, expected) in [
            (0, "01/Jan/1970:00:00:00 +0000"),
            (951_782_400, "29/Feb/2000:00:00:00 +0000"),
            (1_709_164_800, "29/Feb/2024:00:00:00 +0000"),
            (4_107_542_400, "01/Mar/2100:00:00:00 +0000"),
            (4_107_542_399, "28/Feb/2100:23:59:59 +0000"),
        ] {
            let date = Date { since_epoch: Duration::from_secs(seconds), utc_offset: 0 };
            assert_eq!(text(|out| date.write_gmt(out)), expected);
        }
    }
}
