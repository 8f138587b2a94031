//! One case: what a client sends, what the server answers, under which configuration.

use crate::side::VARIANTS;
use std::fmt::Write as _;

/// A request that is only served where the message before it has ended.
pub(crate) const SENTINEL: &[u8] = b"GET /sentinel HTTP/1.1\r\nhost: s\r\nconnection: close\r\n\r\n";

/// What the client does after its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Sends the [`SENTINEL`], whose answer closes the connection, with the last of them.
    Sentinel,
    /// Sends it in a write of its own.
    LateSentinel,
    /// Closes its direction.
    HalfClose,
    /// Waits until the proxy closes.
    Hold,
}

/// One answer of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) bytes: Vec<u8>,
    /// Whether the server closes its direction after it.
    pub(crate) closes: bool,
    /// How many bytes are written before each pause.
    pub(crate) pauses: Vec<usize>,
    /// Whether it is given when the head of the request has come, whatever is to follow.
    pub(crate) early: bool,
    /// Whether the answer to a HEAD has its body nevertheless.
    pub(crate) to_any: bool,
}

impl Answer {
    /// The answer to whatever has none of its own.
    pub(crate) fn plain() -> Self {
        Self::of(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", false)
    }

    /// These bytes in one write, when the request is complete.
    pub(crate) fn of(bytes: &[u8], closes: bool) -> Self {
        Self { bytes: bytes.to_vec(), closes, pauses: Vec::new(), early: false, to_any: false }
    }

    /// What is told of it besides its bytes.
    fn manner(&self) -> String {
        let mut text = String::new();
        if self.early {
            text.push_str(", at once");
        }
        if self.to_any {
            text.push_str(", with its body");
        }
        if !self.pauses.is_empty() {
            let _ = write!(text, ", pauses after {:?}", self.pauses);
        }
        if self.closes {
            text.push_str(", then closes");
        }
        text
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// Which one of the run.
    pub(crate) number: u64,
    /// Which of [`crate::side::VARIANTS`].
    pub(crate) variant: usize,
    /// What the client sends, each piece in a write of its own.
    pub(crate) segments: Vec<Vec<u8>>,
    pub(crate) ending: Ending,
    /// To the requests in turn, over all connections; those beyond get [`Answer::plain`].
    pub(crate) answers: Vec<Answer>,
}

impl Case {
    /// All that the client sends, without the sentinel.
    pub(crate) fn sent(&self) -> Vec<u8> {
        self.segments.concat()
    }

    /// Whether the configuration lets violations of the syntax pass.
    pub(crate) fn is_lax(&self) -> bool {
        VARIANTS[self.variant].name == "violations"
    }

    /// Whether the configuration has requests sent again that a server answered badly.
    pub(crate) fn retries(&self) -> bool {
        VARIANTS[self.variant].name == "retries"
    }

    /// How much there is to read for a person.
    pub(crate) fn size(&self) -> usize {
        let answers: usize = self.answers.iter().map(|answer| answer.bytes.len() + 8 + answer.manner().len()).sum();
        self.sent().len() + 8 * self.segments.len() + answers
    }

    /// As literals that can stand in a table of tests.
    pub(crate) fn describe(&self) -> String {
        let mut text = format!("case {}, {}, then {:?}", self.number, VARIANTS[self.variant].name, self.ending);
        for segment in &self.segments {
            let _ = write!(text, "\n  sent     {}", literal(segment));
        }
        for answer in &self.answers {
            let _ = write!(text, "\n  answers  {}{}", literal(&answer.bytes), answer.manner());
        }
        text
    }
}

/// Bytes as a Rust literal.
pub(crate) fn literal(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    let mut rest = bytes;
    while let Some(&byte) = rest.first() {
        let run = rest.iter().take_while(|&&other| other == byte).count();
        match byte {
            b'\r' => text.push_str("\\r"),
            b'\n' => text.push_str("\\n"),
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            _ if run > 40 => {
                let _ = write!(text, "{}<{run} times>", char::from(byte).escape_default());
            }
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
        rest = &rest[if run > 40 { run } else { 1 }..];
    }
    text.push('"');
    text
}
