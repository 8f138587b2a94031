//! Syslog messages of others: what their headers say (RFC 3164, RFC 5424), and the message written again in another format, as
//! a `log-forward` section does it.
//!
//! Whatever is no header is text: every sequence of bytes is a message. haproxy reads the same headers; where it gives up
//! within an RFC 5424 header it loses the last two bytes of the message, and here they stay.

use super::date::Date;
use super::target::SyslogFormat;
use std::io::Write as _;

/// The greatest priority: facility 23, level 7.
const PRIORITY_MAX: u16 = 191;
/// The months as RFC 3164 has them.
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
/// Length of a date of RFC 3164.
const DATE_3164: usize = 15;

/// A message and what its header says. A part that is not there is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message<'a> {
    /// Facility and level in one number, 0 to 191.
    pub priority: Option<u8>,
    /// When it was sent.
    pub sent: Option<Sent<'a>>,
    /// By which host.
    pub host: &'a [u8],
    /// By which program (APP-NAME, TAG).
    pub tag: &'a [u8],
    /// By which process (PROCID).
    pub process: &'a [u8],
    /// What kind of message it is (MSGID).
    pub id: &'a [u8],
    /// Structured data, with its brackets.
    pub data: &'a [u8],
    /// The rest.
    pub text: &'a [u8],
}

/// A time as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent<'a> {
    /// `Nov 28 13:36:04`
    Rfc3164(&'a [u8]),
    /// `2003-10-11T22:14:15.003Z`
    Rfc5424(&'a [u8]),
    /// RFC 5424's `-`: the sender does not know it.
    Unknown,
}

/// What a format needs where the sender has left it out.
#[derive(Clone, Copy, Debug)]
pub struct Missing<'a> {
    /// The facility of the `log` line.
    pub facility: u8,
    /// Now.
    pub now: Date,
    /// The host, where it is another one than the message names.
    pub host: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// A message as it came, without line feeds and zeros at its end.
    pub fn parse(bytes: &'a [u8]) -> Self {
        let bytes = trimmed(bytes);
        let Some((priority, rest)) = priority(bytes) else { return Self { text: bytes, ..Self::default() } };
        let message = rest.strip_prefix(b"1 ").and_then(rfc5424).or_else(|| rfc3164(rest));
        Self { priority: Some(priority), ..message.unwrap_or(Self { text: rest, ..Self::default() }) }
    }

    /// The same without looking at it (`option dont-parse-log`).
    pub fn unparsed(bytes: &'a [u8]) -> Self {
        Self { text: trimmed(bytes), ..Self::default() }
    }

    /// The level, 0 (`emerg`) to 7 (`debug`), if it has one.
    pub fn level(&self) -> Option<u8> {
        self.priority.map(|priority| priority & 7)
    }

    /// The same, no more severe than this.
    #[must_use]
    pub fn capped(mut self, min_level: u8) -> Self {
        self.priority = self.priority.map(|priority| (priority & !7) | (priority & 7).max(min_level));
        self
    }

    /// The format that keeps most of what it brought.
    fn own_format(&self) -> SyslogFormat {
        match (self.priority, self.sent) {
            (None, _) => SyslogFormat::Raw,
            (Some(_), Some(Sent::Rfc3164(_))) => SyslogFormat::Rfc3164,
            (Some(_), _) if !self.host.is_empty() => SyslogFormat::Rfc5424,
            (Some(_), _) if !self.tag.is_empty() => SyslogFormat::Local,
            (Some(_), _) => SyslogFormat::Priority,
        }
    }

    /// Appends it in a format, without a line feed; in none, it stays as it was.
    pub fn write(&self, out: &mut Vec<u8>, format: SyslogFormat, missing: Missing<'_>) {
        let host = missing.host.unwrap_or(self.host);
        let priority = self.priority.unwrap_or(missing.facility * 8);
        let format = if format == SyslogFormat::Default { self.own_format() } else { format };
        // Writing to a Vec cannot fail.
        match format {
            SyslogFormat::Rfc3164 | SyslogFormat::Local => {
                let _ = write!(out, "<{priority}>");
                self.write_rfc3164_date(out, missing.now);
                out.push(b' ');
                if format == SyslogFormat::Rfc3164 {
                    out.extend_from_slice(or(host, b"localhost"));
                    out.push(b' ');
                }
                if !self.tag.is_empty() {
                    out.extend_from_slice(self.tag);
                    if !self.process.is_empty() {
                        out.push(b'[');
                        out.extend_from_slice(self.process);
                        out.push(b']');
                    }
                    out.extend_from_slice(b": ");
                }
            }
            SyslogFormat::Rfc5424 => {
                let _ = write!(out, "<{priority}>1 ");
                if self.sent == Some(Sent::Unknown) {
                    out.push(b'-');
                } else {
                    self.write_iso_date(out, missing.now);
                }
                for part in [host, self.tag, self.process, self.id, self.data] {
                    out.push(b' ');
                    out.extend_from_slice(or(part, b"-"));
                }
                out.push(b' ');
            }
            SyslogFormat::Short => {
                let _ = write!(out, "<{}>", priority & 7);
            }
            SyslogFormat::Priority => {
                let _ = write!(out, "<{priority}>");
            }
            SyslogFormat::Timed => {
                let _ = write!(out, "<{}>", priority & 7);
                self.write_iso_date(out, missing.now);
                out.push(b' ');
            }
            SyslogFormat::Iso => {
                self.write_iso_date(out, missing.now);
                out.push(b' ');
            }
            SyslogFormat::Raw | SyslogFormat::Default => {}
        }
        out.extend_from_slice(self.text);
    }

    fn write_rfc3164_date(&self, out: &mut Vec<u8>, now: Date) {
        match self.sent {
            Some(Sent::Rfc3164(date)) => out.extend_from_slice(date),
            Some(Sent::Rfc5424(date)) => {
                // `2003-10-11T22:14:15…`: checked when it was read.
                let number =
                    |from| date.get(from..from + 2).and_then(|two| std::str::from_utf8(two).ok()?.parse().ok());
                let month = number(5).and_then(|month: usize| MONTHS.get(month.wrapping_sub(1))).unwrap_or(&MONTHS[0]);
                out.extend_from_slice(*month);
                let _ = write!(out, " {:>2} ", number(8).unwrap_or(1));
                out.extend_from_slice(date.get(11..19).unwrap_or_default());
            }
            Some(Sent::Unknown) | None => now.compute_rfc3164(out),
        }
    }

    /// A date without a year is one of this year, in a zone that is not known.
    fn write_iso_date(&self, out: &mut Vec<u8>, now: Date) {
        match self.sent {
            Some(Sent::Rfc5424(date)) => out.extend_from_slice(date),
            Some(Sent::Rfc3164(date)) => {
                let name = date.get(..3).unwrap_or_default();
                let month = MONTHS.iter().position(|month| month.as_slice() == name).unwrap_or(0) + 1;
                let day = date.get(4..6).unwrap_or(b" 1");
                let tens = if day[0] == b' ' { b'0' } else { day[0] };
                let _ = write!(out, "{:04}-{month:02}-", now.year());
                out.extend_from_slice(&[tens, day[1], b'T']);
                out.extend_from_slice(date.get(7..).unwrap_or_default());
                out.extend_from_slice(b"-00:00");
            }
            Some(Sent::Unknown) | None => now.write_iso(out),
        }
    }
}

fn or<'a>(part: &'a [u8], empty: &'a [u8]) -> &'a [u8] {
    if part.is_empty() { empty } else { part }
}

fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b'\n' | 0] = bytes {
        bytes = rest;
    }
    bytes
}

/// `<13>` and what follows.
fn priority(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let rest = bytes.strip_prefix(b"<")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=3).contains(&digits) {
        return None;
    }
    let (number, rest) = rest.split_at(digits);
    let rest = rest.strip_prefix(b">")?;
    let number = number.iter().fold(0_u16, |number, digit| number * 10 + u16::from(digit - b'0'));
    u8::try_from(number).ok().filter(|_| number <= PRIORITY_MAX).map(|priority| (priority, rest))
}

/// The bytes before the next space, and those after it.
fn word(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b' ')?;
    (end > 0).then(|| (&bytes[..end], &bytes[end + 1..]))
}

/// `-` is nothing.
fn value(word: &[u8]) -> &[u8] {
    if word == b"-" { b"" } else { word }
}

/// Everything behind `<13>1 `.
fn rfc5424(bytes: &[u8]) -> Option<Message<'_>> {
    let (time, rest) = word(bytes)?;
    let sent = match time {
        b"-" => Some(Sent::Unknown),
        time if is_iso_date(time) => Some(Sent::Rfc5424(time)),
        _ => return None,
    };
    let (host, rest) = word(rest)?;
    let (tag, rest) = word(rest)?;
    let (process, rest) = word(rest)?;
    let (id, rest) = word(rest)?;
    let length = if rest.first() == Some(&b'[') { data(rest)? } else { 1 };
    let (data, rest) = rest.split_at_checked(length).filter(|(data, _)| data.len() > 1 || *data == b"-")?;
    // After the structured data, the RFC lets a message end.
    let text = if rest.is_empty() { rest } else { rest.strip_prefix(b" ")? };
    let priority = None;
    let (host, tag, process, id, data) = (value(host), value(tag), value(process), value(id), value(data));
    Some(Message { priority, sent, host, tag, process, id, data, text })
}

/// How long the structured data are: `[…]` one or more times; within quotes a backslash keeps the next byte from ending anything.
fn data(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut quoted, mut open) = (0, false, false);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if quoted => at += 1,
            b'"' if open => quoted = !quoted,
            b']' if open && quoted => return None,
            b']' if open => open = false,
            b'[' if !open => open = true,
            _ if !open => return Some(at),
            _ => {}
        }
        at += 1;
    }
    (!open && at == bytes.len()).then_some(at)
}

/// `2003-10-11T22:14:15`, perhaps with a fraction, and a zone.
fn is_iso_date(time: &[u8]) -> bool {
    let like = |pattern: &[u8], bytes: &[u8]| {
        pattern.len() == bytes.len()
            && pattern.iter().zip(bytes).all(|(wanted, byte)| match wanted {
                b'0' => byte.is_ascii_digit(),
                wanted => wanted == byte,
            })
    };
    let Some((date, rest)) = time.split_at_checked(19) else { return false };
    if !like(b"0000-00-00T00:00:00", date) {
        return false;
    }
    let zone = match rest.strip_prefix(b".") {
        Some(fraction) => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return false;
            }
            &fraction[digits..]
        }
        None => rest,
    };
    zone == b"Z" || like(b"+00:00", zone) || like(b"-00:00", zone)
}

/// Everything behind `<13>`: a date and a host, and then a tag if there is one that ends in a colon and a space.
fn rfc3164(bytes: &[u8]) -> Option<Message<'_>> {
    let (date, rest) = bytes.split_at_checked(DATE_3164)?;
    if !is_date(date) {
        return None;
    }
    let (host, rest) = word(rest.strip_prefix(b" ")?)?;
    let (tag, process, text) = tag(rest).unwrap_or((b"", b"", rest));
    let sent = Some(Sent::Rfc3164(date));
    Some(Message { sent, host, tag, process, text, ..Message::default() })
}

/// `Nov 28 13:36:04`
fn is_date(date: &[u8]) -> bool {
    let digit = |at: usize| date.get(at).is_some_and(u8::is_ascii_digit);
    let is = |at: usize, wanted: u8| date.get(at) == Some(&wanted);
    MONTHS.iter().any(|month| date.starts_with(*month))
        && is(3, b' ')
        && (is(4, b' ') || digit(4))
        && digit(5)
        && is(6, b' ')
        && [7, 8, 10, 11, 13, 14].into_iter().all(digit)
        && is(9, b':')
        && is(12, b':')
}

/// `tag: ` or `tag[process]: `, and what follows.
fn tag(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (word, text) = word(bytes)?;
    let word = word.strip_suffix(b":").filter(|word| !word.contains(&b':'))?;
    match word.strip_suffix(b"]").and_then(|inner| Some((inner, inner.iter().position(|&byte| byte == b'[')?))) {
        Some((inner, open)) if open > 0 => Some((&inner[..open], &inner[open + 1..], text)),
        _ => Some((word, b"", text)),
    }
}

#[cfg(test)]
mod tests;
