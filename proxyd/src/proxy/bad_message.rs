//! The last message of each proxy that was none, kept for operators (`show errors`).

use crate::http::Head;
use crate::http::chunk;
use crate::http::h1::request::{self, RequestWire};
use crate::http::h1::{Body, Limits, Progress, response};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Columns of what a line shows of a message.
const WIDTH: usize = 70;

/// What a proxy keeps: of its clients, and of its servers.
#[derive(Debug, Default)]
pub struct BadMessages {
    request: Mutex<Option<Arc<BadMessage>>>,
    response: Mutex<Option<Arc<BadMessage>>>,
}

/// A name, and the number that the statistics have for it.
pub type Numbered = (Arc<str>, u32);

/// Bytes that are no message.
#[derive(Debug)]
pub struct BadMessage {
    /// When they came, since 1970.
    pub came: Duration,
    /// How many there were before in the process.
    pub event: u64,
    /// The client.
    pub source: Option<SocketAddr>,
    /// The frontend.
    pub frontend: Numbered,
    /// The backend, where one was chosen.
    pub backend: Option<Numbered>,
    /// The server, likewise.
    pub server: Option<Numbered>,
    /// What they were to be.
    pub wanted: Wanted,
    /// Room in a buffer.
    pub room: usize,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What was to be read.
#[derive(Clone, Copy, Debug)]
pub enum Wanted {
    /// A request.
    Request(Limits),
    /// The answer to such a request.
    Response(RequestWire, Limits),
}

impl BadMessages {
    /// Keeps it in place of the one before. Where another worker does that right now, one of the two is kept.
    pub fn keep(&self, message: BadMessage) {
        let place = match message.wanted {
            Wanted::Request(_) => &self.request,
            Wanted::Response(..) => &self.response,
        };
        if let Ok(mut kept) = place.try_lock() {
            *kept = Some(Arc::new(message));
        }
    }

    /// The last request that was none, and the last response.
    pub fn last(&self) -> [Option<Arc<BadMessage>>; 2] {
        [&self.request, &self.response].map(|place| place.lock().ok().and_then(|kept| kept.clone()))
    }
}

impl BadMessage {
    /// The proxy that keeps it: a frontend, or a backend.
    pub fn keeper(&self) -> Option<&Numbered> {
        match self.wanted {
            Wanted::Request(_) => Some(&self.frontend),
            Wanted::Response(..) => self.backend.as_ref(),
        }
    }

    /// Whether a proxy has to do with it.
    pub fn concerns(&self, id: u32) -> bool {
        self.frontend.1 == id || self.backend.as_ref().is_some_and(|(_, backend)| *backend == id)
    }

    /// Where reading it came to an end.
    pub fn position(&self) -> usize {
        // What is bad stays bad, whatever follows.
        let (mut low, mut high) = (0, self.bytes.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.is_bad(self.bytes.get(..middle).unwrap_or_default()) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low.saturating_sub(1)
    }

    fn is_bad(&self, bytes: &[u8]) -> bool {
        let mut head = Head::default();
        let read = match &self.wanted {
            Wanted::Request(limits) => request::read(bytes, &mut head, *limits).map(|read| match read {
                Progress::Complete { consumed, wire } => Some((consumed, wire.body)),
                Progress::Partial => None,
            }),
            Wanted::Response(request, limits) => {
                response::read(bytes, &mut head, request, *limits).map(|read| match read {
                    Progress::Complete { consumed, wire } => Some((consumed, wire.body)),
                    Progress::Partial => None,
                })
            }
        };
        match read {
            Err(_refused) => true,
            Ok(Some((consumed, Body::Chunked))) => {
                chunk::check(bytes.get(consumed..).unwrap_or_default(), self.room).is_err()
            }
            Ok(_) => false,
        }
    }

    /// What is told of it; `date` is when it came.
    pub fn write(&self, date: &str, out: &mut String) {
        let named = |one: Option<&Numbered>| match one {
            Some((name, id)) => format!("{name} (#{id})"),
            None => "<NONE> (#-1)".to_owned(),
        };
        let (keeper, other, other_word) = match self.wanted {
            Wanted::Request(_) => ("frontend", self.backend.as_ref(), "backend"),
            Wanted::Response(..) => ("backend", Some(&self.frontend), "frontend"),
        };
        let kind = if keeper == "frontend" { "request" } else { "response" };
        let source = self.source.map_or_else(|| "unix".to_owned(), |source| source.to_string());
        let (length, free) = (self.bytes.len(), self.room.saturating_sub(self.bytes.len()));
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            " \n[{date}] {keeper} {}: invalid {kind}\n  {other_word} {}, server {}, event #{}, src {source}\n  \
             buffer starts at 0 (including 0 out), {free} free,\n  len {length}, wraps at {}, error at position {}\n  \n",
            named(self.keeper()),
            named(other),
            named(self.server.as_ref()),
            self.event,
            self.room,
            self.position(),
        );
        dump(&self.bytes, out);
    }
}

/// Lines with the place of their first byte; `+` goes on with one that is too long.
fn dump(bytes: &[u8], out: &mut String) {
    let (mut line, mut shown, mut begins, mut goes_on) = (String::new(), 0, 0, false);
    for (at, &byte) in bytes.iter().enumerate() {
        let text = escaped(byte);
        if shown + text.len() > WIDTH {
            write_line(out, begins, goes_on, &line);
            line.clear();
            (shown, begins, goes_on) = (0, at, true);
        }
        line.push_str(&text);
        shown += text.len();
        if byte == b'\n' {
            write_line(out, begins, goes_on, &line);
            line.clear();
            (shown, begins, goes_on) = (0, at + 1, false);
        }
    }
    if !line.is_empty() {
        write_line(out, begins, goes_on, &line);
    }
}

fn write_line(out: &mut String, begins: usize, goes_on: bool, line: &str) {
    let mark = if goes_on { '+' } else { ' ' };
    // Writing to a String cannot fail.
    let _ = writeln!(out, "  {begins:05}{mark} {line}");
}

fn escaped(byte: u8) -> String {
    match byte {
        b'\t' => "\\t".to_owned(),
        b'\n' => "\\n".to_owned(),
        b'\r' => "\\r".to_owned(),
        0x1b => "\\e".to_owned(),
        b'\\' => "\\\\".to_owned(),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02X}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As haproxy 2.6 wrote them.
    #[test]
    fn long_lines_and_odd_bytes() {
        let repeated = |byte: &str, times: usize| byte.repeat(times);
        for (bytes, expected) in [
            (
                b"GET /\x01\r\n\r\nrest".to_vec(),
                "  00000  GET /\\x01\\r\\n\n  00008  \\r\\n\n  00010  rest\n".to_owned(),
            ),
            (b"a\ty\\\"\x1b\xff".to_vec(), "  00000  a\\ty\\\\\"\\e\\xFF\n".to_owned()),
            (
                [&b"GET /"[..], &[b'a'; 64], b"\xff\xff \0"].concat(),
                format!("  00000  GET /{}\n  00069+ \\xFF\\xFF \\x00\n", repeated("a", 64)),
            ),
            (
                [&b"GET /"[..], &[b'a'; 65], b"\r\n\r\n"].concat(),
                format!("  00000  GET /{}\n  00070+ \\r\\n\n  00072  \\r\\n\n", repeated("a", 65)),
            ),
            (
                [&b"x: "[..], &[b'a'; 63], b"\r\nb"].concat(),
                format!("  00000  x: {}\\r\\n\n  00068  b\n", repeated("a", 63)),
            ),
            (vec![2; 18], format!("  00000  {}\n  00017+ \\x02\n", repeated("\\x02", 17))),
            (Vec::new(), String::new()),
        ] {
            let mut out = String::new();
            dump(&bytes, &mut out);
            assert_eq!(out, expected);
        }
    }

    fn bad(wanted: Wanted, bytes: &[u8]) -> BadMessage {
        BadMessage {
            came: Duration::ZERO,
            event: 7,
            source: Some(SocketAddr::from(([127, 0, 0, 1], 80))),
            frontend: ("fe".into(), 2),
            backend: matches!(wanted, Wanted::Response(..)).then(|| ("be".into(), 3)),
            server: matches!(wanted, Wanted::Response(..)).then(|| ("s1".into(), 1)),
            wanted,
            room: 16_384,
            bytes: bytes.to_vec(),
        }
    }

    fn request(bytes: &[u8]) -> BadMessage {
        bad(Wanted::Request(Limits::default()), bytes)
    }

    fn response(bytes: &[u8]) -> BadMessage {
        let mut head = Head::default();
        let asked = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        let Ok(Progress::Complete { wire, .. }) = request::read(asked, &mut head, Limits::default()) else { panic!() };
        bad(Wanted::Response(wire, Limits::default()), bytes)
    }

    #[test]
    fn reading_ends_where_it_cannot_go_on() {
        for (message, expected) in [
            (request(b"\r\n\x01GET"), 2),
            (request(b"GET /foo\x00bar HTTP/1.1\r\n\r\n"), 8),
            (request(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), 56),
            (response(b"garbage\r\n\r\n"), 0),
            (response(b"HTTP/1.1 2x0 OK\r\n\r\n"), 10),
            (response(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), 47),
        ] {
            assert_eq!(message.position(), expected, "{message:?}");
        }
    }

    #[test]
    fn the_last_one_is_kept_and_told() {
        let kept = BadMessages::default();
        kept.keep(request(b"\x01"));
        kept.keep(request(b"\x02"));
        kept.keep(response(b"x\r\n"));
        let [request, response] = kept.last().map(Option::unwrap);
        let mut out = String::new();
        request.write("DATE", &mut out);
        response.write("DATE", &mut out);
        assert_eq!(
            out,
            " \n[DATE] frontend fe (#2): invalid request\n  backend <NONE> (#-1), server <NONE> (#-1), event #7, src \
             127.0.0.1:80\n  buffer starts at 0 (including 0 out), 16383 free,\n  len 1, wraps at 16384, error at position \
             0\n  \n  00000  \\x02\n \n[DATE] backend be (#3): invalid response\n  frontend fe (#2), server s1 (#1), event \
             #7, src 127.0.0.1:80\n  buffer starts at 0 (including 0 out), 16381 free,\n  len 3, wraps at 16384, error at \
             position 0\n  \n  00000  x\\r\\n\n"
        );
        assert!(request.concerns(2) && !request.concerns(3) && response.concerns(2) && response.concerns(3));
    }
}
