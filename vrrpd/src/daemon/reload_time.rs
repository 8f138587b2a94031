//! `reload_time_file`: a file that says when to reload, so that both nodes of a pair do it at the same moment.
//!
//! The file is looked at once a second. Its first line is `HH:MM:SS`, `YY-MM-DD HH:MM:SS` or `YYYY-MM-DD HH:MM:SS`, with a `Z` at
//! the end where it is UTC.

use crate::log::PROCESS;
use crate::sys::{self, CalendarTime};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the file is looked at.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// No valid first line is longer.
const LINE_MAX: u64 = 64;
const DAY: Duration = Duration::from_hours(24);

/// What is scheduled.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    path: Option<PathBuf>,
    repeat: bool,
    /// The line that `due` was made of.
    line: Option<String>,
    /// When to reload, since 1970.
    due: Option<Duration>,
}

impl Schedule {
    /// Follows this file from now on; a schedule that is in force stays so if the file is the same.
    pub(super) fn follow(&mut self, path: Option<&Path>, repeat: bool) {
        if self.path.as_deref() != path {
            *self = Self { path: path.map(Path::to_path_buf), ..Self::default() };
        }
        self.repeat = repeat;
    }

    /// Whether there is a file to look at.
    pub(super) fn is_active(&self) -> bool {
        self.path.is_some()
    }

    /// Looks at the file; true when it is time to reload. `now` is since 1970.
    pub(super) fn look(&mut self, now: Duration) -> bool {
        let Some(path) = self.path.clone() else { return false };
        let line = first_line(&path);
        if line != self.line {
            self.take(line, &path, now);
        }
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            self.due = None;
            if self.repeat {
                self.due = self.line.as_deref().and_then(parse).and_then(|time| time.next(now));
            } else if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(target: PROCESS, "cannot remove {}: {error}", path.display());
            }
        }
        is_due
    }

    fn take(&mut self, line: Option<String>, path: &Path, now: Duration) {
        let had = self.due.take().is_some();
        self.due = line.as_deref().and_then(parse).and_then(|time| time.next(now));
        match (&line, self.due) {
            (Some(_), Some(due)) => {
                let time = sys::format_time(due, c"%Y-%m-%d %H:%M:%S %Z");
                tracing::info!(target: PROCESS, "Reload scheduled for {time}");
            }
            (Some(text), None) => {
                let shown = text.escape_debug();
                tracing::warn!(target: PROCESS, "{} holds no time to come: '{shown}'", path.display());
            }
            (None, _) if had => tracing::info!(target: PROCESS, "Reload cancelled: {} is gone", path.display()),
            (None, _) => {}
        }
        self.line = line;
    }
}

fn first_line(path: &Path) -> Option<String> {
    let mut text = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(LINE_MAX).read_to_end(&mut text));
    match read {
        Ok(_) => {
            let text = String::from_utf8_lossy(&text);
            Some(text.split('\n').next().unwrap_or_default().to_owned())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::debug!(target: PROCESS, "cannot read {}: {error}", path.display());
            None
        }
    }
}

/// A line of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Time {
    date: Option<(i32, i32, i32)>,
    clock: (i32, i32, i32),
    utc: bool,
}

fn parse(line: &str) -> Option<Time> {
    let (text, utc) = line.strip_suffix('Z').map_or((line, false), |text| (text, true));
    let (date, clock) = match text.split_once(' ') {
        Some((date, clock)) => (Some(date), clock),
        None => (None, text),
    };
    let date = match date.map(|date| numbers(date, '-')) {
        None => None,
        Some(Some((year, [2 | 4, 2, 2]))) => Some(year),
        Some(_) => return None,
    };
    let (clock, [2, 2, 2]) = numbers(clock, ':')? else { return None };
    let date = date.map(|(year, month, day)| (if year < 100 { year + 2000 } else { year }, month, day));
    let in_calendar = date.is_none_or(|(_, month, day)| (1..=12).contains(&month) && (1..=31).contains(&day));
    (in_calendar && clock.0 < 24 && clock.1 < 60 && clock.2 <= 60).then_some(Time { date, clock, utc })
}

/// Three numbers and how many digits each has.
fn numbers(text: &str, separator: char) -> Option<((i32, i32, i32), [usize; 3])> {
    let parts: Vec<&str> = text.split(separator).collect();
    let [first, second, third] = parts.as_slice() else { return None };
    let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok()).flatten();
    Some(((number(first)?, number(second)?, number(third)?), [first.len(), second.len(), third.len()]))
}

impl Time {
    /// When it comes next; never for a date that is over.
    fn next(self, now: Duration) -> Option<Duration> {
        let at = |today: CalendarTime| {
            let (year, month, day) = self.date.unwrap_or((today.year, today.month, today.day));
            let (hour, minute, second) = self.clock;
            let time = CalendarTime { year, month, day, hour, minute, second };
            sys::seconds_since_epoch(time, self.utc).map(Duration::from_secs)
        };
        let today = at(sys::calendar_time(now, self.utc)?)?;
        if today > now {
            return Some(today);
        }
        if self.date.is_some() {
            return None;
        }
        at(sys::calendar_time(now + DAY, self.utc)?).filter(|tomorrow| *tomorrow > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-28 12:00:00 UTC
    const NOON: Duration = Duration::from_hours(498_852);

    #[test]
    fn the_formats_of_the_manual_and_no_others() {
        for (line, valid) in [
            ("12:34:56", true),
            ("12:34:56Z", true),
            ("26-11-28 12:34:56", true),
            ("2026-11-28 12:34:56Z", true),
            ("2026-11-28  12:34:56", false),
            (" 12:34:56", false),
            ("12:34:56 ", false),
            ("24:00:00", false),
            ("12:60:00", false),
            ("1:02:03", false),
            ("2026-13-01 00:00:00", false),
            ("226-11-28 12:34:56", false),
            ("-1:00:00", false),
            ("now", false),
            ("", false),
        ] {
            assert_eq!(parse(line).is_some(), valid, "{line:?}");
        }
    }

    #[test]
    fn a_time_without_a_date_comes_every_day_and_a_date_once() {
        let now = NOON;
        let next = |line: &str| parse(line).unwrap().next(now).map(|at| at.as_secs());
        assert_eq!(next("12:00:01Z"), Some(1_795_867_201));
        assert_eq!(next("12:00:00Z"), Some(1_795_867_200 + 86_400));
        assert_eq!(next("2026-11-28 12:00:01Z"), Some(1_795_867_201));
        assert_eq!(next("26-11-29 12:00:00Z"), Some(1_795_867_200 + 86_400));
        assert_eq!(next("2026-11-28 11:59:59Z"), None);
    }

    #[test]
    fn the_file_is_followed_and_removed_when_its_time_has_come() {
        let path = std::env::temp_dir().join(format!("vrrpd-reload-time-{}", std::process::id()));
        let now = NOON;
        let mut schedule = Schedule::default();
        assert!(!schedule.is_active() && !schedule.look(now));
        schedule.follow(Some(&path), false);
        assert!(!schedule.look(now));
        std::fs::write(&path, "2026-11-28 12:00:05Z\n").unwrap();
        assert!(!schedule.look(now));
        schedule.follow(Some(&path), false);
        assert!(!schedule.look(now + Duration::from_secs(4)));
        assert!(schedule.look(now + Duration::from_secs(5)));
        assert!(!path.exists());
        assert!(!schedule.look(now + Duration::from_secs(6)));
        schedule.follow(Some(&path), true);
        std::fs::write(&path, "12:00:10Z").unwrap();
        assert!(!schedule.look(now));
        assert!(schedule.look(now + Duration::from_secs(10)));
        assert!(!schedule.look(now + Duration::from_secs(11)));
        assert!(schedule.look(now + DAY + Duration::from_secs(10)), "the next day again");
        std::fs::remove_file(&path).unwrap();
        assert!(!schedule.look(now + DAY + DAY + Duration::from_secs(10)), "cancelled");
    }
}
