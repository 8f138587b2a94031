//! Response heads.

use super::request::{RequestWire, Tunnel};
use super::{Body, Limits, Progress, Refused, Seen, fields, partial, version};
use crate::http::header::is_ows;
use crate::http::{Head, Version, blocks, status};

/// What a response head says about its body and its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResponseWire {
    /// Where the response's body ends.
    pub body: Body,
    /// The server keeps the connection for another request.
    pub keep_alive: bool,
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
    let Some(at) = status_line(room, head)? else { return partial(input.len(), limits, false) };
    let mut seen = Seen::default();
    let Some(consumed) = fields::read(room, at, head, Some(&mut seen), limits)? else {
        return partial(input.len(), limits, false);
    };
    Ok(Progress::Complete { consumed, wire: accept(head, &seen, request)? })
}

/// `HTTP/x.y SP status [SP reason]`; where the fields begin.
fn status_line(input: &[u8], head: &mut Head) -> Result<Option<usize>, Refused> {
    let Some(end) = blocks::position(input, |byte| byte == b'\n') else {
        let possible = input.iter().zip(b"HTTP/").all(|(have, want)| have == want);
        return if possible { Ok(None) } else { Err(Refused::BAD) };
    };
    let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
    if line.len() < 10 || !is_ows(line[8]) {
        return Err(Refused::BAD);
    }
    let version = version(&line[..8]).ok_or(Refused::BAD)?;
    let rest = &line[9..];
    let rest = &rest[rest.iter().position(|&byte| !is_ows(byte)).unwrap_or(rest.len())..];
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    if !(1..=3).contains(&digits) || rest.get(digits).is_some_and(|&byte| !is_ows(byte)) {
        return Err(Refused::BAD);
    }
    let code = rest[..digits].iter().fold(0_u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let reason = rest.get(digits + 1..).unwrap_or_default();
    if reason.iter().any(|&byte| byte == 0 || byte == b'\r') {
        return Err(Refused::BAD);
    }
    let reason = if reason.is_empty() { status::reason(code).as_bytes() } else { reason };
    head.start_response(version, code, reason);
    Ok(Some(end + 1))
}

fn accept(head: &mut Head, seen: &Seen, request: &RequestWire) -> Result<ResponseWire, Refused> {
    seen.check_coding()?;
    let code = head.status();
    let switching = code == 101;
    if switching && request.tunnel != Tunnel::Upgrade {
        return Err(Refused::BAD);
    }
    seen.canonical_framing(head);
    if code == 204 && seen.content_length.is_some() {
        head.remove(b"content-length");
    }
    seen.strip_connection(head, false);
    let connected = request.tunnel == Tunnel::Connect && (200..300).contains(&code);
    let body = if switching || connected {
        Body::Tunnel
    } else if (100..200).contains(&code) || code == 204 || code == 304 || request.head {
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
    let ambiguous = seen.chunked && seen.content_length.is_some();
    Ok(ResponseWire { body, keep_alive: delimited && !ambiguous && !seen.close && (!old || seen.keep_alive) })
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
