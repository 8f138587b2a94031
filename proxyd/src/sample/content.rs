//! The bytes a connection has brought so far, for rules that look at them before anything else does.

use super::fetch::Side;
use crate::http::chunk;
use crate::http::h1;
use std::borrow::Cow;
use std::cell::Cell;

/// Bytes that were received and not yet used.
#[derive(Clone, Debug)]
pub struct Content<'a> {
    /// Who sent them: the client or the server.
    pub side: Side,
    /// The bytes.
    pub bytes: &'a [u8],
    /// No more will be waited for: a sample that cannot be taken from these will never be.
    pub complete: bool,
    /// They begin a request or response whose head is not complete.
    pub begins_http: bool,
    /// How much has come, also of what is not shown: in `mode http` the bytes of a message are not.
    pub length: u64,
    missing: Cell<bool>,
}

impl<'a> Content<'a> {
    /// What there is.
    pub fn new(side: Side, bytes: &'a [u8], complete: bool, begins_http: bool) -> Self {
        Self { side, bytes, complete, begins_http, length: bytes.len() as u64, missing: Cell::new(false) }
    }

    /// The same, of which so much has come in all.
    #[must_use]
    pub fn of_length(self, length: u64) -> Self {
        Self { length, ..self }
    }

    /// A sample could not be taken, or may become another, because of bytes that have not come.
    pub fn lacks(&self) {
        self.missing.set(!self.complete);
    }

    /// Whether anything was lacking since the last time, which is forgotten.
    pub fn take_missing(&self) -> bool {
        self.missing.take()
    }
}

/// A message's body, as far as it has come and was not passed on yet.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    /// What has come, as it came.
    received: &'a [u8],
    /// Where it ends.
    framing: h1::Body,
    /// Its sender has closed the connection.
    ended: bool,
}

impl<'a> Body<'a> {
    /// A body whose first bytes, and perhaps what follows it, are these.
    pub fn new(framing: h1::Body, received: &'a [u8]) -> Self {
        Self { received, framing, ended: false }
    }

    /// The same, with no more to come if `ended`.
    #[must_use]
    pub fn ended(self, ended: bool) -> Self {
        Self { ended, ..self }
    }

    /// It is in chunks that are none.
    pub fn is_invalid(&self) -> bool {
        self.framing == h1::Body::Chunked && chunk::data(self.received).invalid
    }

    /// The data that has come.
    pub fn data(&self) -> Cow<'a, [u8]> {
        match self.framing {
            h1::Body::Length(length) => {
                let length = usize::try_from(length).unwrap_or(usize::MAX).min(self.received.len());
                Cow::Borrowed(self.received.get(..length).unwrap_or_default())
            }
            h1::Body::Chunked => Cow::Owned(chunk::data(self.received).bytes),
            h1::Body::UntilClose => Cow::Borrowed(self.received),
            h1::Body::None | h1::Body::Tunnel => Cow::Borrowed(&[]),
        }
    }

    /// How long it will be, as far as its sender has said: in chunks, up to the end of the chunk that has begun.
    pub fn announced(&self) -> u64 {
        match self.framing {
            h1::Body::Length(length) => length,
            h1::Body::Chunked => {
                let data = chunk::data(self.received);
                data.bytes.len() as u64 + data.missing
            }
            h1::Body::UntilClose => self.received.len() as u64,
            h1::Body::None | h1::Body::Tunnel => 0,
        }
    }

    /// Whether so much of it has come, or all. 0: all.
    pub fn has(&self, at_least: u64) -> bool {
        let enough = |length: u64| at_least > 0 && length >= at_least;
        match self.framing {
            h1::Body::Length(length) => {
                let received = self.received.len() as u64;
                received >= length || enough(received)
            }
            h1::Body::Chunked => {
                let data = chunk::data(self.received);
                data.complete || enough(data.bytes.len() as u64)
            }
            h1::Body::UntilClose => self.ended || enough(self.received.len() as u64),
            h1::Body::None | h1::Body::Tunnel => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_as_far_as_it_has_come() {
        let length = h1::Body::Length(5);
        for (framing, received, data, announced, enough) in [
            (h1::Body::None, "next", "", 0, [true, true]),
            (length, "", "", 5, [false, false]),
            (length, "abc", "abc", 5, [false, true]),
            (length, "abcdeNEXT", "abcde", 5, [true, true]),
            (h1::Body::Chunked, "", "", 0, [false, false]),
            (h1::Body::Chunked, "4\r\nab", "ab", 4, [false, true]),
            (h1::Body::Chunked, "2\r\nab\r\n3\r\nc", "abc", 5, [false, true]),
            (h1::Body::Chunked, "1\r\na\r\n0\r\n\r\nNEXT", "a", 1, [true, true]),
            (h1::Body::Chunked, "zz", "", 0, [false, false]),
        ] {
            let body = Body::new(framing, received.as_bytes());
            assert_eq!(body.data(), data.as_bytes(), "{received}");
            assert_eq!(body.announced(), announced, "{received}");
            assert_eq!([body.has(0), body.has(2)], enough, "{received}");
        }
    }
}
