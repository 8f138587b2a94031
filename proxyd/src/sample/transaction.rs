//! What rules note about an exchange, for other rules, the log and the data path.

use super::variable::Variables;
use crate::http::h1::Body;
use crate::log::syslog::Level;
use crate::rules::bandwidth::{Direction, Meter};
use crate::stick::Counters;
use std::cell::{Cell, OnceCell, RefCell};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Kept for one exchange.
#[derive(Debug, Default)]
pub struct Transaction {
    /// How many exchanges the process had before this one.
    pub number: u64,
    /// `txn`, `req` and `res` variables.
    pub variables: Variables,
    /// Captured from the request: `capture request header` and the `capture` action.
    pub captured_request: RefCell<Vec<Captured>>,
    /// Captured from the response.
    pub captured_response: RefCell<Vec<Captured>>,
    /// `set-log-level`.
    pub log_level: Cell<Option<LogLevel>>,
    /// What few exchanges have, made for the first of it.
    rare: OnceCell<Box<Rare>>,
    /// `set-src`, `set-src-port`
    pub source: Cell<Option<SocketAddr>>,
    /// `set-dst`, `set-dst-port`
    pub destination: Cell<Option<SocketAddr>>,
    /// `set-timeout server`
    pub server_timeout: Cell<Option<Duration>>,
    /// `set-timeout tunnel`
    pub tunnel_timeout: Cell<Option<Duration>>,
    /// `set-timeout client`
    pub client_timeout: Cell<Option<Duration>>,
    /// `set-retries`
    pub retries: Cell<Option<u8>>,
    /// What the exchange tracks.
    pub counters: Counters,
    /// It has been counted as a request; what is tracked from now on counts it when it begins.
    pub request_counted: Cell<bool>,
    /// A rule may have changed what says where the message ends, or that its connection does.
    pub framing_edited: Cell<bool>,
    /// `set-priority-class`: a lower one leaves a queue earlier.
    pub priority_class: Cell<i32>,
    /// `set-priority-offset`, in milliseconds.
    pub priority_offset: Cell<i32>,
    /// `set-mark`: of the client's socket.
    pub mark: Cell<Option<u32>>,
    /// `set-tos`: of the client's socket.
    pub tos: Cell<Option<u8>>,
    /// Where the request's body ends, as long as none of it was passed on.
    pub body: Cell<Body>,
    /// What `unique-id-format` made, once somebody asked.
    unique_id: OnceCell<Box<Option<Vec<u8>>>>,
}

/// Notes that few exchanges need.
#[derive(Debug, Default)]
pub struct Rare {
    /// The request line as it came, kept when a rule changes it.
    pub first_line: OnceCell<FirstLine>,
    /// The status that the server gave, kept when a rule changes it.
    pub server_status: OnceCell<u16>,
    /// The rule that had the last word.
    pub last_rule: RefCell<Option<Arc<Written>>>,
    /// The rule that has something to wait for.
    pub waiting_rule: RefCell<Option<Arc<Written>>>,
    /// `early-hint`: responses that come before all others, as fields, as long as none of them was sent.
    pub hints: RefCell<Vec<Vec<Hint>>>,
    /// `set-bc-mark`: of the socket to the server.
    pub server_mark: Cell<Option<u32>>,
    /// `set-bc-tos`: of the socket to the server.
    pub server_tos: Cell<Option<u8>>,
    /// `disable-l7-retry`: what a server has got is not sent again.
    pub sent_once: Cell<bool>,
    /// `retry-on`: the request's body and what follows it, as they came, as long as another attempt may need them.
    pub kept_body: RefCell<Vec<u8>>,
    /// `set-timeout connect`
    pub connect_timeout: Cell<Option<Duration>>,
    /// `set-timeout queue`
    pub queue_timeout: Cell<Option<Duration>>,
    /// `set-bandwidth-limit`, until the transfer that it limits begins.
    pub bandwidth: RefCell<Vec<Meter>>,
    /// The head as it was sent to the server, in bytes; noted where somebody asks for it.
    pub sent_head: Cell<u64>,
    /// How often the connection had waited when this began; noted likewise.
    pub waits_before: Cell<u32>,
    /// `set-timeout tarpit`
    pub tarpit_timeout: Cell<Option<Duration>>,
}

/// A field of a response that comes early: its name and its value.
pub type Hint = (Vec<u8>, Vec<u8>);

/// Where a rule is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The file's name as it was given.
    pub file: Box<str>,
    /// From 1.
    pub line: u32,
}

/// What a request line said before rules changed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstLine {
    /// The method.
    pub method: Vec<u8>,
    /// The target.
    pub target: Vec<u8>,
}

/// A place for a captured text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// How much of it is kept, in bytes.
    pub limit: usize,
    /// What was captured.
    pub text: Option<Vec<u8>>,
}

impl Captured {
    /// A place with nothing in it.
    pub fn empty(limit: usize) -> Self {
        Self { limit, text: None }
    }

    /// Keeps as much of a text as there is room for.
    pub fn keep(&mut self, text: &[u8]) {
        self.text = Some(text.get(..self.limit).unwrap_or(text).to_vec());
    }
}

/// `set-log-level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// No line is written.
    Silent,
    /// That of syslog.
    Level(Level),
}

impl Transaction {
    /// Notes about the exchange of that number.
    pub fn new(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    /// What few exchanges have; there is something now.
    pub fn rare(&self) -> &Rare {
        self.rare.get_or_init(Box::default)
    }

    /// The same, if this exchange has any of it.
    pub fn known_rare(&self) -> Option<&Rare> {
        self.rare.get().map(|rare| &**rare)
    }

    /// The request line as it came, if a rule has changed it.
    pub fn first_line(&self) -> Option<&FirstLine> {
        self.known_rare()?.first_line.get()
    }

    /// Takes the limits of a transfer that begins, if there may be any.
    pub fn take_meters(&self, direction: Direction) -> Option<Vec<Meter>> {
        let mut meters = self.known_rare()?.bandwidth.borrow_mut();
        Some(meters.extract_if(.., |meter| meter.direction() == direction).collect())
    }

    /// The exchange's id, if it was made.
    pub fn made_id(&self) -> Option<&[u8]> {
        self.unique_id.get()?.as_deref()
    }

    /// The exchange's id, made now if it was not; its format does not ask for it.
    pub fn unique_id(&self, make: impl FnOnce() -> Option<Vec<u8>>) -> Option<&[u8]> {
        (**self.unique_id.get_or_init(|| Box::new(make()))).as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_once() {
        let noted = Transaction::default();
        assert_eq!(noted.made_id(), None);
        let made = noted.unique_id(|| Some(b"1".to_vec()));
        assert_eq!(made, Some(&b"1"[..]));
        assert_eq!(noted.unique_id(|| unreachable!("it was made")), made);
        assert_eq!(noted.made_id(), made);
    }
}
