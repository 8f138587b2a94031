//! The frame around a log line: what a syslog server expects before the message.

use super::date::{Date, Second};
use super::digits;
use super::target::{LogAddress, LogTarget, SyslogFormat};
use std::io::Write as _;

/// Levels of severity (RFC 5424, 6.2.1); less is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// `emerg`.
    Emergency = 0,
    /// `alert`.
    Alert = 1,
    /// `crit`.
    Critical = 2,
    /// `err`.
    Error = 3,
    /// `warning`.
    Warning = 4,
    /// `notice`.
    Notice = 5,
    /// `info`.
    Info = 6,
    /// `debug`.
    Debug = 7,
}

/// What the frame says about the sender.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// `log-send-hostname`; `None` where it is not asked for.
    pub hostname: Option<&'a str>,
    /// `log-tag`, or the name the program was started under.
    pub tag: &'a str,
    /// The process.
    pub pid: u32,
    /// The second in which it sends.
    pub now: &'a Second,
}

/// What a line says.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// RFC 5424's structured data; empty where there is none. Other formats leave it out.
    pub structured: &'a [u8],
    /// The message.
    pub text: &'a [u8],
}

impl LogTarget {
    /// Whether lines of this level are sent at all: nothing that is less severe than `max_level`.
    pub fn takes(&self, level: Level) -> bool {
        level as u8 <= self.max_level
    }

    /// The priority of a message of this level: nothing is shown as more severe than `min_level`.
    pub fn priority(&self, level: Level) -> Priority {
        Priority { facility: self.facility, level: (level as u8).max(self.min_level) }
    }

    /// Appends one framed line: header and message, cut to [`LogTarget::max_len`], and a line feed. False: there is none, because
    /// structured data that was cut would be none.
    #[must_use]
    pub fn frame(&self, out: &mut Vec<u8>, level: Level, date: Date, sender: Sender<'_>, message: Message<'_>) -> bool {
        let (start, mut head) = (out.len(), 0);
        self.line(out, |out| {
            head = frame(out, self.format, self.priority(level), date, sender, message) - start;
        });
        // The blank behind the data is none of it.
        let fits =
            self.format != SyslogFormat::Rfc5424 || message.structured.is_empty() || head <= usize::from(self.max_len);
        if !fits {
            out.truncate(start);
        }
        fits
    }

    /// Appends what is written, cut to [`LogTarget::max_len`], and a line feed.
    pub fn line(&self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let start = out.len();
        write(out);
        // To a descriptor, the line feed is one of the bytes that are allowed; in a datagram it is beyond them.
        let line_feed = usize::from(matches!(self.address, LogAddress::Fd(_)));
        out.truncate(start + usize::from(self.max_len) - line_feed);
        out.push(b'\n');
    }
}

/// Facility and level (RFC 5424, 6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priority {
    /// 0 (`kern`) to 23 (`local7`).
    pub facility: u8,
    /// 0 (`emerg`) to 7 (`debug`).
    pub level: u8,
}

/// Appends header and message in a format, whole and without a line feed; returns where in `out` the message begins.
pub fn frame(
    out: &mut Vec<u8>,
    format: SyslogFormat,
    priority: Priority,
    date: Date,
    sender: Sender<'_>,
    message: Message<'_>,
) -> usize {
    let Priority { facility, level } = priority;
    let priority = facility * 8 + level;
    let format = match (format, sender.hostname) {
        (SyslogFormat::Default, Some(_)) => SyslogFormat::Rfc3164,
        (SyslogFormat::Default, None) => SyslogFormat::Local,
        (format, _) => format,
    };
    // Writing to a Vec cannot fail.
    match format {
        SyslogFormat::Default | SyslogFormat::Local | SyslogFormat::Rfc3164 => {
            out.push(b'<');
            digits::decimal(out, priority.into());
            out.push(b'>');
            date.write_rfc3164(sender.now, out);
            if format == SyslogFormat::Rfc3164 {
                let _ = write!(out, " {}", sender.hostname.unwrap_or("localhost"));
            }
            out.push(b' ');
            out.extend_from_slice(sender.tag.as_bytes());
            out.push(b'[');
            digits::decimal(out, sender.pid.into());
            out.extend_from_slice(b"]: ");
        }
        SyslogFormat::Rfc5424 => {
            let _ = write!(out, "<{priority}>1 ");
            date.write_iso(out);
            let _ = write!(out, " {} {} {} - ", sender.hostname.unwrap_or("-"), sender.tag, sender.pid);
            out.extend_from_slice(if message.structured.is_empty() { b"-" } else { message.structured });
            out.push(b' ');
        }
        SyslogFormat::Short => {
            let _ = write!(out, "<{level}>");
        }
        SyslogFormat::Priority => {
            let _ = write!(out, "<{priority}>");
        }
        SyslogFormat::Timed => {
            let _ = write!(out, "<{level}>");
            date.write_iso(out);
            out.push(b' ');
        }
        SyslogFormat::Iso => {
            date.write_iso(out);
            out.push(b' ');
        }
        SyslogFormat::Raw => {}
    }
    let begin = out.len();
    out.extend_from_slice(message.text);
    begin
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn target(format: SyslogFormat, facility: u8) -> LogTarget {
        let address = LogAddress::Udp(([127, 0, 0, 1], 514).into());
        LogTarget { address, max_len: 1024, format, sample: None, facility, max_level: 7, min_level: 0, profile: None }
    }

    fn framed(target: &LogTarget, level: Level, hostname: Option<&str>, message: &str) -> String {
        let date = Date { since_epoch: Duration::from_micros(1_795_872_964_635_971), utc_offset: 0 };
        let mut out = Vec::new();
        let sender = Sender { hostname, tag: "haproxy", pid: 29532, now: &Second::of(date) };
        let message = Message { structured: b"", text: message.as_bytes() };
        let _ = target.frame(&mut out, level, date, sender, message);
        String::from_utf8(out).unwrap()
    }

    /// Recorded from haproxy 2.6, which was given one `log` line per format.
    #[test]
    fn frames_are_haproxys() {
        for (format, facility, expected) in [
            (SyslogFormat::Default, 16, "<134>Nov 28 13:36:04 haproxy[29532]: b=h1\n"),
            (SyslogFormat::Rfc3164, 17, "<142>Nov 28 13:36:04 localhost haproxy[29532]: b=h1\n"),
            (SyslogFormat::Rfc5424, 18, "<150>1 2026-11-28T13:36:04.635971+00:00 - haproxy 29532 - - b=h1\n"),
            (SyslogFormat::Short, 19, "<6>b=h1\n"),
            (SyslogFormat::Priority, 20, "<166>b=h1\n"),
            (SyslogFormat::Timed, 21, "<6>2026-11-28T13:36:04.635971+00:00 b=h1\n"),
            (SyslogFormat::Iso, 22, "2026-11-28T13:36:04.635971+00:00 b=h1\n"),
            (SyslogFormat::Local, 23, "<190>Nov 28 13:36:04 haproxy[29532]: b=h1\n"),
            (SyslogFormat::Raw, 3, "b=h1\n"),
        ] {
            assert_eq!(framed(&target(format, facility), Level::Info, None, "b=h1"), expected);
        }
    }

    #[test]
    fn a_host_name_turns_the_default_into_rfc3164() {
        let line = framed(&target(SyslogFormat::Default, 16), Level::Alert, Some("lb1"), "x");
        assert_eq!(line, "<129>Nov 28 13:36:04 lb1 haproxy[29532]: x\n");
        let line = framed(&target(SyslogFormat::Local, 16), Level::Alert, Some("lb1"), "x");
        assert_eq!(line, "<129>Nov 28 13:36:04 haproxy[29532]: x\n");
    }

    #[test]
    fn levels_have_a_ceiling_and_a_floor() {
        let err_only = LogTarget { max_level: 3, ..target(SyslogFormat::Short, 16) };
        assert!(err_only.takes(Level::Error) && err_only.takes(Level::Emergency) && !err_only.takes(Level::Info));
        let no_worse_than_notice = LogTarget { min_level: 5, ..target(SyslogFormat::Short, 16) };
        assert_eq!(framed(&no_worse_than_notice, Level::Alert, None, "x"), "<5>x\n");
        assert_eq!(framed(&no_worse_than_notice, Level::Info, None, "x"), "<6>x\n");
    }

    #[test]
    fn a_long_line_is_cut_and_still_ends_in_a_line_feed() {
        let short = LogTarget { max_len: 80, ..target(SyslogFormat::Default, 1) };
        let line = framed(&short, Level::Info, None, &"b=h1 s=<NOSRV> ".repeat(9));
        assert_eq!(line.len(), 81);
        assert!(line.ends_with('\n'));
    }

    #[test]
    fn structured_data_is_not_cut() {
        let header = "<8>1 2026-11-28T23:48:55.000000+00:00 - haproxy 7 - ".len();
        let date = Date { since_epoch: Duration::from_secs(1_795_909_735), utc_offset: 0 };
        let second = Second::of(date);
        let sender = Sender { hostname: None, tag: "haproxy", pid: 7, now: &second };
        let target = LogTarget { max_len: 80, min_level: 0, max_level: 7, ..target(SyslogFormat::Rfc5424, 1) };
        let framed = |length: usize| {
            let (mut out, structured) = (Vec::new(), vec![b's'; length]);
            let message = Message { structured: &structured, text: b"text" };
            let sent = target.frame(&mut out, Level::Emergency, date, sender, message);
            (sent, String::from_utf8(out).unwrap().split_off(if sent { header } else { 0 }))
        };
        let room = 80 - header;
        assert_eq!(framed(room - 3), (true, "s".repeat(room - 3) + " te\n"));
        assert_eq!(framed(room - 1), (true, "s".repeat(room - 1) + " \n"));
        assert_eq!(framed(room), (false, String::new()));
    }
}
