//! The server: keeps what it receives, and gives a case's answers to the requests in turn.

use crate::case::{Answer, Case, SENTINEL};
use crate::message::{self, Message};
use std::collections::VecDeque;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// One connection of the server.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) received: Vec<u8>,
    /// What has been understood and answered.
    done: usize,
    /// Whether the client was told to go on with the request that is coming.
    continued: bool,
    /// Whether that request has its answer already.
    early: bool,
    tunnel: bool,
    /// What is to be written, with a pause after each piece.
    pub(crate) output: VecDeque<Vec<u8>>,
    /// Whether its direction closes once all is written.
    pub(crate) closes: bool,
}

impl Script {
    /// Looks at what has come; `answered` counts the requests of the case over all connections.
    pub(crate) fn advance(&mut self, case: &Case, answered: &mut usize) {
        while !self.closes && !self.tunnel {
            let Some(request) = message::request(&self.received[self.done..]) else { return };
            if request.head.is_empty() {
                return;
            }
            if !self.early && case.answers.get(*answered).is_some_and(|answer| answer.early) {
                self.early = true;
                self.answer(&request, case, answered);
            }
            let waits = request.field("expect").is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"));
            if waits && !self.continued && !self.early {
                self.continued = true;
                self.output.push_back(CONTINUE.to_vec());
            }
            if !request.complete {
                return;
            }
            self.done += request.length();
            self.continued = false;
            if !std::mem::take(&mut self.early) {
                self.answer(&request, case, answered);
            }
        }
        self.closes |= self.tunnel && self.received.ends_with(SENTINEL);
    }

    fn answer(&mut self, request: &Message, case: &Case, answered: &mut usize) {
        let is_sentinel = request.target() == b"/sentinel";
        let answer = if is_sentinel { None } else { case.answers.get(*answered) };
        *answered += usize::from(!is_sentinel);
        let answer = answer.cloned().unwrap_or_else(Answer::plain);
        let mut bytes = answer.bytes.as_slice();
        if request.method() == b"HEAD" && !answer.to_any {
            bytes = without_body(bytes);
        }
        let mut rest = bytes;
        for &count in &answer.pauses {
            let (piece, after) = rest.split_at(count.min(rest.len()));
            self.output.push_back(piece.to_vec());
            rest = after;
        }
        self.output.push_back(rest.to_vec());
        self.output.retain(|piece| !piece.is_empty());
        self.closes = answer.closes;
        let status = message::responses(bytes).iter().map(Message::status).find(|&status| status > 100).unwrap_or(0);
        self.tunnel = status == 101 || (request.method() == b"CONNECT" && (200..300).contains(&status));
    }

    /// Whether nothing is owed: every request was whole and has its answer.
    pub(crate) fn is_settled(&self) -> bool {
        self.output.is_empty() && (self.tunnel || self.done == self.received.len())
    }
}

/// The heads of an answer, as far as the final one.
fn without_body(bytes: &[u8]) -> &[u8] {
    let mut end = 0;
    while let Some(length) = bytes[end..].windows(4).position(|end| end == b"\r\n\r\n") {
        let interim = bytes[end..].starts_with(b"HTTP/1.1 1");
        end += length + 4;
        if !interim {
            return &bytes[..end];
        }
    }
    bytes
}
