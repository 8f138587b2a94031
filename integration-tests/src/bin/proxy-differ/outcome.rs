//! What became of a case at one of the two, and how two outcomes differ.

use crate::case::literal;
use crate::message::{self, Message};
use std::fmt::Write as _;

/// How the client's connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    /// Not within the bound.
    Stuck,
}

/// All that was seen of a case at one proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What the client received.
    pub(crate) client: Vec<Message>,
    pub(crate) end: End,
    /// What the server received, one entry for each connection.
    pub(crate) server: Vec<Vec<Message>>,
}

impl Outcome {
    pub(crate) fn new(client: &[u8], end: End, server: &[&[u8]]) -> Self {
        let server = server.iter().map(|bytes| message::requests(bytes)).filter(|connection| !connection.is_empty());
        Self { client: message::responses(client), end, server: server.collect() }
    }

    /// The statuses that the client got.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        self.client.iter().map(Message::status).collect()
    }

    /// The status of the last answer; 0 when there was none.
    pub(crate) fn last_status(&self) -> u16 {
        self.client.last().map_or(0, Message::status)
    }

    /// What the server received, over all connections.
    pub(crate) fn requests(&self) -> Vec<&Message> {
        self.server.iter().flatten().collect()
    }

    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        for (number, connection) in self.server.iter().enumerate() {
            for message in connection {
                let _ = write!(text, "\n    server {number}  {}", describe(message));
            }
        }
        for message in &self.client {
            let _ = write!(text, "\n    client    {}", describe(message));
        }
        let _ = write!(text, "\n    {:?}", self.end);
        text
    }
}

fn describe(message: &Message) -> String {
    let mut text = literal(&message.head);
    if !message.body.is_empty() || !message.trailers.is_empty() || !message.complete {
        let _ = write!(text, " {:?} {}", message.framing, literal(&message.body));
    }
    if message.trailers.len() > 2 {
        let _ = write!(text, " trailers {}", literal(&message.trailers));
    }
    if !message.complete {
        text.push_str(" cut");
    }
    text
}

/// In what two outcomes differ, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Difference {
    /// One of them is stuck.
    Stuck,
    /// Other requests reached the server.
    Forwarded,
    /// Other statuses, or other bytes of a request.
    Verdict,
    ToServer,
    ToClient,
    /// The same bytes over other connections.
    Connections,
    /// What is logged.
    Lines,
}

/// The first difference, if any.
pub(crate) fn difference(ours: &Outcome, theirs: &Outcome) -> Option<Difference> {
    if ours == theirs {
        return None;
    }
    let (at_ours, at_theirs) = (ours.requests(), theirs.requests());
    Some(if ours.end != theirs.end {
        Difference::Stuck
    } else if at_ours.len() != at_theirs.len() {
        Difference::Forwarded
    } else if ours.statuses() != theirs.statuses() {
        Difference::Verdict
    } else if at_ours != at_theirs {
        Difference::ToServer
    } else if ours.client != theirs.client {
        Difference::ToClient
    } else {
        Difference::Connections
    })
}
