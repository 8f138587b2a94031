//! How a stream ends: the error type of the data path.
//!
//! haproxy logs two letters, *who* broke the stream off and in *which phase*. They are all a proxy needs to know about
//! a failure, so they are the error itself: `?` carries them from the socket to [`finish`](crate::session::stream),
//! which answers with the status, decides on a retry before that, and logs the letters.

/// Who ended the stream: the first letter of the termination state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Cause {
    /// `C`: the client closed or reset its connection.
    ClientAbort,
    /// `S`: the server refused, closed or reset the connection, or no server was there.
    ServerAbort,
    /// `P`: the proxy refused the message: a rule or the protocol.
    Proxy,
    /// `L`: the proxy answered by itself: redirect, statistics, `return`.
    Local,
    /// `R`: a resource of the proxy ran out: memory, descriptors, ports.
    Resource,
    /// `I`: an internal error, which would be a fault in this program.
    Internal,
    /// `D`: the server was marked down and its connections were killed.
    Down,
    /// `U`: a backup server's connection was killed because an active server came up.
    Up,
    /// `K`: an administrator killed it.
    Killed,
    /// `c`: the client did not send or take data in time.
    ClientTimeout,
    /// `s`: the server did not accept, send or take data in time.
    ServerTimeout,
}

impl Cause {
    /// The letter in the log.
    pub const fn letter(self) -> u8 {
        match self {
            Self::ClientAbort => b'C',
            Self::ServerAbort => b'S',
            Self::Proxy => b'P',
            Self::Local => b'L',
            Self::Resource => b'R',
            Self::Internal => b'I',
            Self::Down => b'D',
            Self::Up => b'U',
            Self::Killed => b'K',
            Self::ClientTimeout => b'c',
            Self::ServerTimeout => b's',
        }
    }
}

/// What the stream was doing: the second letter of the termination state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// `R`: waiting for a complete, valid request.
    Request,
    /// `Q`: waiting in a queue.
    Queue,
    /// `C`: waiting for the connection to the server.
    Connect,
    /// `H`: waiting for complete, valid response headers.
    Headers,
    /// `D`: transferring data.
    Data,
    /// `L`: the server had finished; the client had not yet taken all.
    Last,
    /// `T`: held in the tarpit.
    Tarpit,
}

impl Phase {
    /// The letter in the log.
    pub const fn letter(self) -> u8 {
        match self {
            Self::Request => b'R',
            Self::Queue => b'Q',
            Self::Connect => b'C',
            Self::Headers => b'H',
            Self::Data => b'D',
            Self::Last => b'L',
            Self::Tarpit => b'T',
        }
    }
}

/// Why a stream was not completed in the normal way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    /// Who ended it.
    pub cause: Cause,
    /// In which phase.
    pub phase: Phase,
    /// The status the client is answered with and the log shows; `None` where nothing can be sent any more.
    pub status: Option<u16>,
    /// Whether the same request may be sent to a server again.
    pub retry: Retry,
}

/// Whether a failed attempt at a server may be repeated, before configuration (`retries`, `option redispatch`,
/// `retry-on`) has its word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// Nothing reached the server: any attempt may follow.
    Connection,
    /// An idle connection turned out to be closed by the server before it answered: the client may repeat the request.
    ReusedConnection,
    /// The server closed without answering (`empty-response`).
    EmptyResponse,
    /// What the server sent was no response (`junk-response`).
    JunkResponse,
    /// The server was silent for too long (`response-timeout`).
    ResponseTimeout,
    /// The server answered with a status that may be listed in `retry-on`.
    Status,
    /// No configuration allows it: the request may have been processed, or the client is gone.
    No,
}

impl End {
    /// An end that forbids another attempt.
    pub const fn new(cause: Cause, phase: Phase, status: Option<u16>) -> Self {
        Self { cause, phase, status, retry: Retry::No }
    }

    /// A message the proxy refuses while it reads the request.
    pub const fn bad_request(status: u16) -> Self {
        Self::new(Cause::Proxy, Phase::Request, Some(status))
    }

    /// A failure to reach a server, which another attempt may repair.
    pub const fn connect(cause: Cause) -> Self {
        Self { cause, phase: Phase::Connect, status: Some(503), retry: Retry::Connection }
    }

    /// The two letters of the log.
    pub const fn letters(self) -> [u8; 2] {
        [self.cause.letter(), self.phase.letter()]
    }
}

/// The two letters of a stream's end, `--` for one that ran to its end. Without HTTP, a stream that was killed was in no phase.
pub fn letters(end: Option<End>, http: bool) -> [u8; 2] {
    match end {
        None => *b"--",
        Some(End { cause: cause @ (Cause::Down | Cause::Up | Cause::Killed), .. }) if !http => [cause.letter(), b'-'],
        Some(end) => end.letters(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_haproxys() {
        assert_eq!(letters(None, true), *b"--");
        assert_eq!(letters(Some(End::new(Cause::Down, Phase::Data, None)), true), *b"DD");
        assert_eq!(letters(Some(End::new(Cause::Killed, Phase::Data, None)), false), *b"K-");
        assert_eq!(End::connect(Cause::ServerTimeout).letters(), *b"sC");
        assert_eq!(End::bad_request(403).letters(), *b"PR");
        assert_eq!(End::new(Cause::ClientTimeout, Phase::Request, Some(408)).letters(), *b"cR");
    }
}
