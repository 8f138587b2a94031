//! HTTP/1 on the wire: heads from bytes and back, and what a head says about its body and its connection.
//!
//! - [`fields`] field lines, shared by requests, responses and trailers
//! - [`request`] the request line, `host`, and what makes a request acceptable
//! - [`response`] the status line and where a response's body ends
//!
//! The parser is our own and not a library's because what haproxy lets pass (folded lines, lone LF, control characters in values,
//! `HTTP/1.2`) and what it refuses is measured behaviour that users rely on; the tests hold it against httparse on the part of
//! the language both accept. A head is read in one go from the connection's buffer and copied out in canonical form, so
//! that a byte that was not understood is never forwarded: no two programs on the way can read a message differently.

pub mod fields;
pub mod request;
pub mod response;

use super::{Head, Version, header};

/// Why bytes are no acceptable message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The status a client is answered with: 400, 413, 414, 422 or 431. A bad response makes a 502 of any.
    pub status: u16,
}

impl Refused {
    /// The message violates the syntax.
    pub const BAD: Self = Self { status: 400 };
    /// More or longer fields than there is room for.
    pub const FIELDS_TOO_LARGE: Self = Self { status: 431 };
    /// The first line alone exceeds the room.
    pub const TARGET_TOO_LONG: Self = Self { status: 414 };
}

/// How far reading a head got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress<T> {
    /// The head is not complete yet; nothing was wrong so far.
    Partial,
    /// The head is complete.
    Complete {
        /// Bytes of the input it took.
        consumed: usize,
        /// What it says.
        wire: T,
    },
}

/// Where a message's body ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Body {
    /// There is none.
    #[default]
    None,
    /// After so many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// When the sender closes (responses only).
    UntilClose,
    /// Never: what follows the head is another protocol.
    Tunnel,
}

/// Room for a head.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the head, its empty line included.
    pub head: usize,
    /// Fields, the start line counted as one.
    pub fields: usize,
    /// `h1-accept-payload-with-any-method`: a request of HTTP/1.0 may have a body whatever its method.
    pub any_payload: bool,
    /// `h1-do-not-close-on-insecure-transfer-encoding`
    pub keep_ambiguous: bool,
    /// `option accept-unsafe-violations-in-http-request` or `-response`: what it names is let pass.
    pub lax: bool,
}

impl Default for Limits {
    fn default() -> Self {
        let (head, fields) = (crate::limits::HEAD_MAX, crate::limits::FIELDS_MAX);
        Self { head, fields, any_payload: false, keep_ambiguous: false, lax: false }
    }
}

/// What the fields that rule framing and the connection said, collected while the fields are read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) content_length: Option<u64>,
    pub(crate) chunked: bool,
    /// There is a `transfer-encoding`.
    pub(crate) has_coding: bool,
    /// It says more than `chunked`, or on more than one line.
    pub(crate) odd_coding: bool,
    /// A transfer coding under `chunked` that we do not forward.
    pub(crate) other_coding: bool,
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade_token: bool,
    /// Where the first `host`, `connection`, `upgrade` stand among the fields.
    pub(crate) host: Option<usize>,
    /// There is a `connection` field with more in it than [`is_plain`].
    pub(crate) has_connection: bool,
    /// One that names nothing.
    pub(crate) empty_connection: bool,
    pub(crate) has_upgrade: bool,
    pub(crate) has_expect: bool,
    /// The first word of the first `expect` says so.
    pub(crate) expects_continue: bool,
    pub(crate) duplicates: bool,
    /// Bytes of `te` that are not passed on.
    pub(crate) left_out: usize,
}

impl Seen {
    /// Looks at one field; `index` is its place.
    fn field(&mut self, index: usize, name: &[u8], value: &[u8]) -> Result<(), Refused> {
        match name {
            b"content-length" => self.content_length(value)?,
            b"transfer-encoding" => self.transfer_encoding(value)?,
            // Nearly always one of these.
            b"connection" if value == b"keep-alive" => self.keep_alive = true,
            b"connection" if value == b"close" => self.close = true,
            b"connection" => {
                self.has_connection |= !is_plain(value);
                self.empty_connection |= header::list(value).next().is_none();
                for token in header::list(value) {
                    self.close |= token.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                    self.upgrade_token |= token.eq_ignore_ascii_case(b"upgrade");
                }
            }
            b"upgrade" => self.has_upgrade = true,
            b"expect" if self.has_expect => {}
            b"expect" => {
                self.has_expect = true;
                let first = value.split(|&byte| byte == b',').next().unwrap_or_default();
                self.expects_continue = header::trim(first).eq_ignore_ascii_case(b"100-continue");
            }
            b"host" => match self.host {
                None => self.host = Some(index),
                Some(_) => self.duplicates = true,
            },
            _ => {}
        }
        Ok(())
    }

    /// `3`, `3,3` and repeated equal lines are one length; anything else is refused, because the next program might
    /// choose another reading.
    fn content_length(&mut self, value: &[u8]) -> Result<(), Refused> {
        for element in value.split(|&byte| byte == b',').map(header::trim) {
            let length = decimal(element).filter(|&length| length <= crate::limits::BODY_MAX).ok_or(Refused::BAD)?;
            match self.content_length {
                None => self.content_length = Some(length),
                Some(earlier) if earlier == length => self.duplicates = true,
                Some(_) => return Err(Refused::BAD),
            }
        }
        Ok(())
    }

    /// Only `chunked`, last and once, delimits a message. Whatever else there is before it is understood but not served (422).
    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refused> {
        self.odd_coding |= self.has_coding || !value.eq_ignore_ascii_case(b"chunked");
        self.has_coding = true;
        // What stands behind the last comma may be nothing; an element that is empty elsewhere is a coding without a name.
        let list = value.strip_suffix(b",").unwrap_or(value);
        if value.is_empty() {
            return Ok(());
        }
        let mut quoted = false;
        let ends = |byte: &u8| {
            quoted ^= *byte == b'"';
            *byte == b',' && !quoted
        };
        for coding in list.split(ends).map(header::trim) {
            if self.chunked {
                return Err(Refused::BAD);
            }
            if coding.eq_ignore_ascii_case(b"chunked") {
                self.chunked = true;
            } else {
                self.other_coding = true;
            }
        }
        Ok(())
    }

    /// A coding that does not delimit the message ends its reading.
    fn check_delimited(&self) -> Result<(), Refused> {
        if self.has_coding && !self.chunked { Err(Refused::BAD) } else { Ok(()) }
    }

    /// So does one that is not understood.
    fn check_coding(&self) -> Result<(), Refused> {
        self.check_delimited()?;
        if self.other_coding { Err(Refused { status: 422 }) } else { Ok(()) }
    }

    /// Leaves one `content-length` line, and none beside `transfer-encoding`: the ambiguity ends here. How many bytes of codings
    /// that haproxy passes on were left out.
    fn canonical_framing(&self, head: &mut Head) -> usize {
        if self.chunked {
            if self.content_length.is_some() {
                head.remove(b"content-length");
            }
            return if self.odd_coding { Self::canonical_coding(head) } else { 0 };
        }
        if let (Some(length), true) = (self.content_length, self.duplicates) {
            head.keep_first(b"content-length");
            let index = head.fields().position(|(name, _)| name == b"content-length");
            if let Some(index) = index {
                head.set_value(index, length.to_string().as_bytes());
            }
        }
        0
    }

    /// One line that says `chunked` and nothing else: another program might not understand what we did.
    fn canonical_coding(head: &mut Head) -> usize {
        let name = b"transfer-encoding".len();
        let came: usize = head.values(b"transfer-encoding").map(|value| name + value.len()).sum();
        head.keep_first(b"transfer-encoding");
        let index = head.fields().position(|(name, _)| name == b"transfer-encoding");
        if let Some(index) = index {
            head.set_value(index, b"chunked");
        }
        came.saturating_sub(name + b"chunked".len())
    }

    /// Takes `close` and `keep-alive`, which concern one hop, out of `connection`. Everything else in it stays, and so
    /// do the fields it names: haproxy forwards them, and servers have come to rely on it.
    fn strip_connection(&self, head: &mut Head, drop_upgrade: bool) {
        if !self.has_connection || !(self.close || self.keep_alive || self.empty_connection || drop_upgrade) {
            return;
        }
        let hop = |token: &[u8]| {
            token.eq_ignore_ascii_case(b"close")
                || token.eq_ignore_ascii_case(b"keep-alive")
                || (drop_upgrade && token.eq_ignore_ascii_case(b"upgrade"))
        };
        let rest_of = |value: &[u8]| {
            let others: Vec<&[u8]> = header::list(value).filter(|token| !hop(token)).collect();
            others.join(&b", "[..])
        };
        let mut index = 0;
        while index < head.field_count() {
            let rest = head.fields().nth(index).and_then(|(name, value)| {
                let concerned = |value| header::list(value).any(hop) || header::list(value).next().is_none();
                (name == b"connection" && concerned(value)).then(|| rest_of(value))
            });
            match rest {
                None => index += 1,
                Some(rest) if rest.is_empty() => head.remove_at(index),
                Some(rest) => {
                    head.set_value(index, &rest);
                    index += 1;
                }
            }
        }
    }
}

/// Whether the fields of a trailer section that would frame a message, or name its host, could do so: they are only passed on, but to
/// somebody who may take them for what they look like. What says the same again goes, as in a head.
pub(crate) fn settle_trailers(trailers: &mut Head) -> Result<(), Refused> {
    let mut seen = Seen::default();
    let mut host: Option<&[u8]> = None;
    for (index, (name, value)) in trailers.fields().enumerate() {
        match name {
            b"content-length" | b"transfer-encoding" => seen.field(index, name, value)?,
            b"host" if host.is_some_and(|other| !other.eq_ignore_ascii_case(value)) => return Err(Refused::BAD),
            b"host" => host = Some(value),
            _ => {}
        }
    }
    seen.check_delimited()?;
    trailers.keep_first(b"host");
    if seen.chunked {
        // A length beside a coding goes, as in a head.
        trailers.remove(b"content-length");
    } else {
        trailers.keep_first(b"content-length");
    }
    let length = trailers.fields().enumerate().find(|(_, (name, _))| *name == b"content-length");
    if let Some((index, (_, value))) = length
        && let Some(comma) = value.iter().position(|&byte| byte == b',')
    {
        let first = header::trim(&value[..comma]).to_vec();
        trailers.set_value(index, &first);
    }
    Ok(())
}

/// Writes a request head without its final empty line, so that the caller may add fields of its own.
pub fn write_request(head: &Head, out: &mut Vec<u8>) {
    out.reserve(head.wire_len() + 2);
    out.extend_from_slice(head.method());
    out.push(b' ');
    out.extend_from_slice(head.target());
    out.push(b' ');
    out.extend_from_slice(head.sent_protocol());
    out.extend_from_slice(b"\r\n");
    head.write_fields(out);
}

/// Writes a response head without its final empty line.
pub fn write_response(head: &Head, out: &mut Vec<u8>) {
    out.reserve(head.wire_len() + 2);
    out.extend_from_slice(head.sent_protocol());
    out.push(b' ');
    write_status(out, head.status());
    out.push(b' ');
    out.extend_from_slice(head.reason());
    out.extend_from_slice(b"\r\n");
    head.write_fields(out);
}

fn write_status(out: &mut Vec<u8>, status: u16) {
    let digit = |value: u16| b'0' + u8::try_from(value % 10).unwrap_or(0);
    if status >= 100 {
        out.push(digit(status / 100));
    }
    if status >= 10 {
        out.push(digit(status / 10));
    }
    out.push(digit(status));
}

/// A number of digits and nothing else.
pub fn decimal(digits: &[u8]) -> Option<u64> {
    let mut sum = digits.first().map(|_| 0_u64)?;
    for digit in digits {
        let digit = Some(digit.wrapping_sub(b'0')).filter(|&digit| digit < 10)?;
        sum = sum.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(sum)
}

/// `HTTP/x.y`: one digit each, 1.0 at least.
fn version(text: &[u8]) -> Option<Version> {
    let [b'H', b'T', b'T', b'P', b'/', major @ b'1'..=b'9', b'.', minor @ b'0'..=b'9'] = text else { return None };
    Some(Version { major: major - b'0', minor: minor - b'0' })
}

/// Another protocol, as haproxy lets it pass where it is asked to: letters in capitals, digits, slashes and dots. What is as
/// long as `HTTP/x.y` has a version where its digits would be, whatever it is; anything else counts as HTTP/1.0.
fn other_protocol(text: &[u8]) -> Option<Version> {
    if text.is_empty() || text.len() > crate::limits::PROTOCOL_MAX || !text.iter().all(|&byte| is_protocol(byte)) {
        return None;
    }
    Some(match text {
        &[_, _, _, _, _, major, _, minor] => {
            // haproxy takes letters for numbers above nine, and what stands before the digits for none.
            let number = |byte: u8| byte.saturating_sub(b'0').min(9);
            Version { major: number(major), minor: number(minor) }
        }
        _ => Version::HTTP_10,
    })
}

fn is_protocol(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'/' | b'.')
}

/// What most messages say about their connection: it is taken out while the fields are read, longer lists at the end.
fn is_plain(connection: &[u8]) -> bool {
    matches!(connection, b"keep-alive" | b"close")
        || connection.eq_ignore_ascii_case(b"keep-alive")
        || connection.eq_ignore_ascii_case(b"close")
}

/// How much of the input is empty lines, which may stand before a message.
fn empty_lines(input: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match input.get(at..).unwrap_or_default() {
            [b'\n', ..] => at += 1,
            [b'\r', b'\n', ..] => at += 2,
            _ => return at,
        }
    }
}

/// A start line or field that is cut short: how much is there decides whether more may come.
fn partial<T>(length: usize, limits: Limits, in_start_line: bool) -> Result<Progress<T>, Refused> {
    match (length >= limits.head, in_start_line) {
        (false, _) => Ok(Progress::Partial),
        (true, true) => Err(Refused::TARGET_TOO_LONG),
        (true, false) => Err(Refused::FIELDS_TOO_LARGE),
    }
}
