//! Rings: memory for log lines, between the workers that write them and those who read: servers, operators, a file.
//!
//! A [`Ring`] keeps the newest messages that fit into its size. Each [`Reader`] has a place of its own in it and is told by its
//! waker when there is more. Nobody waits for a reader: where the ring is full, the oldest message goes, and if a server still
//! had to get it, it is counted as lost.

use super::date::Date;
use super::syslog::{Message, Priority, Sender, frame};
use super::target::SyslogFormat;
use crate::proxy::address::{ServerAddress, Source};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// What a message costs of a ring's size beside its bytes, as in haproxy.
const MESSAGE_COST: usize = 2;

/// The ring that is there without being configured.
pub const BUILT_IN: &str = "buf0";
/// Its size in bytes.
const BUILT_IN_SIZE: usize = 1_048_576;

/// A ring as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingSettings {
    /// What `log ring@NAME` and `show events NAME` call it.
    pub name: String,
    /// `description`.
    pub description: String,
    /// `format`; it holds rather than the one of the `log` line.
    pub format: SyslogFormat,
    /// `maxlen`: the longest message in bytes, header included; the rest is cut.
    pub max_len: usize,
    /// `size` in bytes.
    pub size: usize,
    /// `timeout connect`. `None`: as long as the system tries.
    pub connect_timeout: Option<Duration>,
    /// `timeout server`: how long bytes may wait to be taken. `None`: for ever.
    pub server_timeout: Option<Duration>,
    /// Each of them gets all messages.
    pub servers: Vec<RingServer>,
    /// `backing-file`: where the messages are written when the process ends.
    pub backing_file: Option<PathBuf>,
}

impl RingSettings {
    /// `buf0`.
    pub fn built_in() -> Self {
        Self {
            name: BUILT_IN.to_owned(),
            description: "in-memory ring buffer".to_owned(),
            format: SyslogFormat::Timed,
            max_len: BUILT_IN_SIZE,
            size: BUILT_IN_SIZE,
            connect_timeout: None,
            server_timeout: None,
            servers: Vec::new(),
            backing_file: None,
        }
    }
}

/// A server that gets the messages of a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingServer {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub address: ServerAddress,
    /// Its port; 0 where the address has none.
    pub port: u16,
    /// `log-proto`.
    pub framing: Framing,
    /// `send-proxy` and its kin: what goes before the first message of each connection.
    pub preface: Vec<u8>,
    /// `source`
    pub source: Option<Source>,
    /// `socks4`: the proxy that is asked for the connection.
    pub socks4: Option<SocketAddr>,
    /// `namespace`: where sockets to it belong.
    pub namespace: Option<String>,
}

/// `log-proto`: how messages are told apart in a stream (RFC 6587).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// `legacy`: a line feed ends each.
    #[default]
    LineFeed,
    /// `octet-count`: its length in decimal and a space stand before each.
    OctetCount,
}

impl Framing {
    /// Appends a message as it goes over the wire.
    pub fn write(self, message: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::LineFeed => {
                out.extend_from_slice(message);
                out.push(b'\n');
            }
            Self::OctetCount => {
                super::digits::decimal(out, message.len() as u64);
                out.push(b' ');
                out.extend_from_slice(message);
            }
        }
    }
}

/// A ring at work, shared by all threads.
#[derive(Debug)]
pub struct Ring {
    settings: RingSettings,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The messages, one after the other.
    bytes: VecDeque<u8>,
    /// Where each ends, counted from the first byte that the ring ever took.
    ends: VecDeque<u64>,
    /// Where the oldest begins, counted likewise.
    begin: u64,
    /// The number of the oldest.
    first: u64,
    /// Messages that a server did not get.
    dropped: u64,
    readers: BTreeMap<u64, Place>,
    /// The number of the reader that comes next.
    next_reader: u64,
    /// Nobody writes any more.
    closed: bool,
}

/// A reader as the ring sees it.
#[derive(Debug)]
struct Place {
    /// The number of the message it reads next.
    next: u64,
    /// What it does not get is counted.
    counts: bool,
    waker: Option<Waker>,
}

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the oldest message there is.
    Oldest,
    /// With the next one that comes.
    Next,
}

impl Ring {
    /// An empty ring.
    pub fn new(settings: RingSettings) -> Self {
        Self { settings, state: Mutex::default() }
    }

    /// As configured.
    pub fn settings(&self) -> &RingSettings {
        &self.settings
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a message in the ring's format, without a line feed, to what will be given to [`Ring::append`].
    pub fn frame(&self, out: &mut Vec<u8>, priority: Priority, date: Date, sender: Sender<'_>, message: Message<'_>) {
        let start = out.len();
        frame(out, self.settings.format, priority, date, sender, message);
        out.truncate(start + self.settings.max_len);
    }

    /// Takes messages; returns how many were too long for the ring.
    pub fn append<'a>(&self, messages: impl Iterator<Item = &'a [u8]>) -> usize {
        let mut state = self.state();
        let refused = messages.filter(|message| !state.push(message, self.settings.size)).count();
        state.dropped += refused as u64;
        let wakers: Vec<_> = state.readers.values_mut().filter_map(|place| place.waker.take()).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        refused
    }

    /// Messages that a server did not get.
    pub fn dropped(&self) -> u64 {
        self.state().dropped
    }

    /// Nothing more will come: readers end once they have read everything.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let wakers: Vec<_> = state.readers.values_mut().filter_map(|place| place.waker.take()).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether [`Ring::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Somebody who reads from here on. What it does not get before it is gone is counted if it `counts`.
    pub fn reader(self: &Arc<Self>, start: Start, counts: bool) -> Reader {
        let mut state = self.state();
        let next = match start {
            Start::Oldest => state.first,
            Start::Next => state.first + state.ends.len() as u64,
        };
        let id = state.next_reader;
        state.next_reader += 1;
        state.readers.insert(id, Place { next, counts, waker: None });
        drop(state);
        Reader { ring: Arc::clone(self), id }
    }
}

impl State {
    /// Takes a message, which may cost older ones their place; false if it is longer than the ring.
    fn push(&mut self, message: &[u8], size: usize) -> bool {
        if message.len() + MESSAGE_COST > size {
            return false;
        }
        while self.bytes.len() + message.len() + (self.ends.len() + 1) * MESSAGE_COST > size {
            self.drop_oldest();
        }
        self.bytes.extend(message);
        self.ends.push_back(self.begin + self.bytes.len() as u64);
        true
    }

    fn drop_oldest(&mut self) {
        let Some(end) = self.ends.pop_front() else { return };
        let length = usize::try_from(end - self.begin).unwrap_or(usize::MAX).min(self.bytes.len());
        self.bytes.drain(..length);
        self.begin = end;
        let gone = self.first;
        self.first += 1;
        let mut lost = false;
        for place in self.readers.values_mut().filter(|place| place.next <= gone) {
            place.next = gone + 1;
            lost |= place.counts;
        }
        self.dropped += u64::from(lost);
    }

    /// Appends the message at this place; nothing where there is none.
    fn copy(&self, index: usize, out: &mut Vec<u8>) {
        let Some(&end) = self.ends.get(index) else { return };
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(self.begin, |&end| end);
        let at = |position: u64| usize::try_from(position - self.begin).unwrap_or(usize::MAX).min(self.bytes.len());
        let (head, tail) = self.bytes.as_slices();
        let (from, to) = (at(start), at(end));
        // Of the two halves of the memory, the part that belongs to the message.
        out.extend_from_slice(&head[from.min(head.len())..to.min(head.len())]);
        out.extend_from_slice(&tail[from.saturating_sub(head.len())..to.saturating_sub(head.len())]);
    }
}

/// A place in a ring.
#[derive(Debug)]
pub struct Reader {
    ring: Arc<Ring>,
    id: u64,
}

impl Reader {
    /// The next message, without waiting for one.
    pub fn next(&mut self, message: &mut Vec<u8>) -> bool {
        message.clear();
        let mut state = self.ring.state();
        let (first, count) = (state.first, state.ends.len());
        let Some(place) = state.readers.get_mut(&self.id) else { return false };
        let index = usize::try_from(place.next.saturating_sub(first)).unwrap_or(usize::MAX);
        if index >= count {
            return false;
        }
        place.next += 1;
        state.copy(index, message);
        true
    }

    /// The next message; `None` once the ring is closed and everything has been read.
    pub fn poll_next(&mut self, context: &Context<'_>, message: &mut Vec<u8>) -> Poll<Option<()>> {
        if self.next(message) {
            return Poll::Ready(Some(()));
        }
        let mut state = self.ring.state();
        let (next, closed) = (state.first + state.ends.len() as u64, state.closed);
        let Some(place) = state.readers.get_mut(&self.id) else { return Poll::Ready(None) };
        if place.next < next {
            // It came between the two looks.
            drop(state);
            return self.poll_next(context, message);
        }
        if closed {
            return Poll::Ready(None);
        }
        place.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.ring.state().readers.remove(&self.id);
    }
}

#[cfg(test)]
mod tests;
