//! Response heads.

use super::request::{RequestWire, Tunnel};
use super::{
    Body, Limits, Progress, Refused, Seen, empty_lines, fields, is_protocol, other_protocol, partial, version,
};
use crate::http::header::is_ows;
use crate::http::{Head, Version, blocks, status};

/// What a response head says about its body and its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResponseWire {
    /// Where the response's body ends.
    pub body: Body,
    /// The server keeps the connection for another request.
    pub keep_alive: bool,
    /// Where the response ends is in doubt for whoever takes its version at its word: HTTP/1.0 knows no chunks.
    pub doubtful: bool,
    /// How many bytes there were of fields that are not passed on, but counted.
    pub left_out: u16,
}

impl ResponseWire {
    /// True for 1xx that precede the final response. `status` is the head's.
    pub fn is_informational(self, status: u16) -> bool {
        (100..200).contains(&status) && self.body != Body::Tunnel
    }
}

/// Reads a response head at the start of `input` into `head`, in canonical form. `request` decides where its body ends.
pub fn read(
    input: &[u8],
    head: &mut Head,
    request: &RequestWire,
    limits: Limits,
) -> Result<Progress<ResponseWire>, Refused> {
    let room = &input[..input.len().min(limits.head)];
    // As before a request: some servers end a body with a line that they did not count.
    let start = empty_lines(room);
    let line = room.get(start..).filter(|line| *line != b"\r").unwrap_or_default();
    let Some(length) = status_line(line, head, limits.lax)? else { return partial(input.len(), limits, false) };
    let at = start + length;
    let mut seen = Seen::default();
    let Some(consumed) = fields::read(room, at, head, Some(&mut seen), limits)? else {
        return partial(input.len(), limits, false);
    };
    Ok(Progress::Complete { consumed, wire: accept(head, &seen, request)? })
}

/// `HTTP/x.y SP status [SP reason]`; its length. `lax` lets pass other protocols, and NUL in the reason.
fn status_line(input: &[u8], head: &mut Head, lax: bool) -> Result<Option<usize>, Refused> {
    let forbidden = if lax { b'\n' } else { 0 };
    let ends = |byte| matches!(byte, b'\r' | b'\n') || byte == forbidden;
    let stop = blocks::position(input, ends).unwrap_or(input.len());
    let line = &input[..stop];
    let length = match input[stop..] {
        [b'\n', ..] => stop + 1,
        [b'\r', b'\n', ..] => stop + 2,
        [] | [b'\r'] => return if may_become_status_line(line, lax) { Ok(None) } else { Err(Refused::BAD) },
        _ => return Err(Refused::BAD),
    };
    let Protocol { version, other, rest } = match line.strip_prefix(b"HTTP/1.1 ") {
        Some(rest) => Protocol { version: Version::HTTP_11, other: None, rest },
        None => protocol(line, lax)?,
    };
    let rest = without_ows(rest);
    let digits = count_digits(rest);
    if digits == 0 || digits > STATUS_DIGITS || rest.get(digits).is_some_and(|&byte| !is_ows(byte)) {
        return Err(Refused::BAD);
    }
    let code = rest[..digits].iter().fold(0_u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let reason = without_ows(&rest[digits..]);
    let reason = if reason.is_empty() { status::phrase(code).as_bytes() } else { reason };
    head.start_response(version, code, reason);
    if let Some(protocol) = other {
        head.set_protocol(protocol);
    }
    Ok(Some(length))
}

/// What a status line begins with.
struct Protocol<'l> {
    version: Version,
    /// It is not HTTP, but this.
    other: Option<&'l [u8]>,
    rest: &'l [u8],
}

fn protocol(line: &[u8], lax: bool) -> Result<Protocol<'_>, Refused> {
    let end = line.iter().position(|&byte| is_ows(byte)).ok_or(Refused::BAD)?;
    let (protocol, rest) = line.split_at(end);
    if let Some(version) = version(protocol) {
        return Ok(Protocol { version, other: None, rest });
    }
    let version = other_protocol(protocol).filter(|_| lax && protocol.first() != Some(&b'/')).ok_or(Refused::BAD)?;
    Ok(Protocol { version, other: Some(protocol), rest })
}

/// Whether a line is good as far as it has come: what cannot become an answer is not waited for.
fn may_become_status_line(line: &[u8], lax: bool) -> bool {
    let end = line.iter().position(|&byte| is_ows(byte)).unwrap_or(line.len());
    let usual = line.starts_with(b"HTTP/1.1 ")
        || line.iter().take(9).enumerate().all(|(at, &byte)| match at {
            0..5 => byte == b"HTTP/"[at],
            5 | 7 => byte.is_ascii_digit(),
            6 => byte == b'.',
            _ => is_ows(byte),
        });
    let possible = usual || (lax && line.first() != Some(&b'/') && line[..end].iter().all(|&byte| is_protocol(byte)));
    let rest = without_ows(&line[end..]);
    let digits = count_digits(rest);
    possible && digits <= STATUS_DIGITS && rest.get(digits).is_none_or(|&byte| digits > 0 && is_ows(byte))
}

/// A status has no more.
const STATUS_DIGITS: usize = 3;

fn count_digits(text: &[u8]) -> usize {
    text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len())
}

fn without_ows(text: &[u8]) -> &[u8] {
    &text[text.iter().position(|&byte| !is_ows(byte)).unwrap_or(text.len())..]
}

fn accept(head: &mut Head, seen: &Seen, request: &RequestWire) -> Result<ResponseWire, Refused> {
    seen.check_coding()?;
    let code = head.status();
    let switching = code == 101;
    if switching && !(request.tunnel == Tunnel::Upgrade && seen.upgrade_token) {
        return Err(Refused::BAD);
    }
    let mut left_out = seen.left_out + seen.canonical_framing(head);
    let bodiless = (100..200).contains(&code) || code == 204;
    if bodiless && (seen.content_length.is_some() || seen.has_coding) {
        // These never have a body: the next program might wait for what is announced.
        left_out += head.leave_out_framing();
    }
    seen.strip_connection(head, false);
    let connected = request.tunnel == Tunnel::Connect && (200..300).contains(&code);
    let body = if switching || connected {
        Body::Tunnel
    } else if bodiless || code == 304 || request.head {
        Body::None
    } else {
        match (seen.chunked, seen.content_length) {
            (true, _) => Body::Chunked,
            (false, Some(0)) => Body::None,
            (false, Some(length)) => Body::Length(length),
            (false, None) => Body::UntilClose,
        }
    };
    let delimited = !matches!(body, Body::UntilClose | Body::Tunnel);
    let old = head.version() < Version::HTTP_11;
    let doubtful = old && seen.chunked;
    let ambiguous = doubtful || (seen.chunked && seen.content_length.is_some());
    let keep_alive = delimited && !ambiguous && !seen.close && (!old || seen.keep_alive);
    Ok(ResponseWire { body, keep_alive, doubtful, left_out: u16::try_from(left_out).unwrap_or(u16::MAX) })
}

/// The head of a response that was kept in a file, where its body begins, and what it says about that. `None`: it is no response.
pub fn stored(bytes: &[u8]) -> Option<(Head, usize, Body)> {
    let request = RequestWire {
        body: Body::None,
        keep_alive: false,
        tunnel: Tunnel::No,
        head: false,
        announces_upgrade: false,
        expects_continue: false,
        left_out: 0,
    };
    let mut head = Head::default();
    match read(bytes, &mut head, &request, Limits::default()) {
        Ok(Progress::Complete { consumed, wire }) => Some((head, consumed, wire.body)),
        Ok(Progress::Partial) | Err(_) => None,
    }
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
