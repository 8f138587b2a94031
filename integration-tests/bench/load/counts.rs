//! What was seen of a load.

use super::Histogram;
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

/// What was seen since the counts were set to zero.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Complete answers with the right status, length and, where compared, bytes.
    pub(crate) answers: u64,
    /// Answers whose bytes were compared one by one.
    pub(crate) compared: u64,
    /// Answers with another status, length or other bytes.
    pub(crate) wrong: u64,
    /// Connections lost with a request in flight.
    pub(crate) cut: u64,
    /// Connections that could not be made.
    pub(crate) refused: u64,
    /// Bytes that nobody had asked for.
    pub(crate) unasked: u64,
    /// Requests that were due by the rate while no connection was free.
    pub(crate) late: u64,
    /// Keep-alive connections that the proxy closed between two requests.
    pub(crate) reconnects: u64,
    pub(crate) bytes: u64,
    pub(crate) times: Histogram,
    /// The longest time in which a load with a rate did not look at its sockets: as late may what it says of an answer be.
    pub(crate) stalled: Duration,
    /// Log lines received; what the kernel dropped for want of room is counted apart, by [`Load::lines_dropped`].
    pub(crate) lines: u64,
    /// Requests that reached a server.
    pub(crate) served: u64,
    /// Health checks that reached a server.
    pub(crate) checks: u64,
    /// Addresses by which servers were called.
    pub(crate) servers: HashSet<IpAddr>,
    pub(crate) first_error: Option<String>,
    pub(super) known_head: Option<(Vec<u8>, usize)>,
}

impl Counts {
    /// Everything that makes the numbers worthless.
    pub(crate) fn errors(&self) -> u64 {
        self.wrong + self.cut + self.refused + self.unasked
    }

    /// Takes up what was seen at another time.
    pub(crate) fn join(&mut self, other: &Self) {
        self.answers += other.answers;
        self.compared += other.compared;
        self.wrong += other.wrong;
        self.cut += other.cut;
        self.refused += other.refused;
        self.unasked += other.unasked;
        self.late += other.late;
        self.reconnects += other.reconnects;
        self.bytes += other.bytes;
        self.times.join(&other.times);
        self.stalled = self.stalled.max(other.stalled);
        self.lines += other.lines;
        self.served += other.served;
        self.checks += other.checks;
        self.servers.extend(&other.servers);
        self.first_error = self.first_error.take().or_else(|| other.first_error.clone());
    }

    /// Takes over the errors of counts that went on longer.
    pub(crate) fn blame(&mut self, longer: &Self) {
        (self.wrong, self.cut) = (longer.wrong, longer.cut);
        (self.refused, self.unasked) = (longer.refused, longer.unasked);
        self.first_error.clone_from(&longer.first_error);
    }

    /// The head of the answers as the client saw it last.
    pub(crate) fn answer_head(&self) -> &[u8] {
        self.known_head.as_ref().map_or(&[], |(head, _)| head)
    }
}
