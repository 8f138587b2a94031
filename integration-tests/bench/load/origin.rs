//! The light server behind the proxy: one prepared answer for every request, at once, after a fixed time, or never.

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};
use std::net::{IpAddr, TcpStream};
use std::os::fd::AsRawFd;

/// The longest head of a request that is accepted.
const HEAD_MAX: usize = 64 * 1024;

/// What came of looking at the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// A request is complete; the answer is due.
    Request,
    /// Nothing to do until more arrives or more can leave.
    Waiting,
    /// The proxy has closed the connection.
    Closed,
    /// What came is no request.
    Garbage,
}

/// A connection from the proxy.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    /// The address by which the proxy called: which server it meant.
    pub(super) server: IpAddr,
    /// A health check's: answered and closed.
    pub(super) check: bool,
    /// Counts the connections of this place, so that a late answer does not go to its successor.
    pub(super) generation: u32,
    /// The head as far as it has come.
    pub(super) head: Vec<u8>,
    /// Bytes of the answer that are still to leave; none when no answer is under way.
    left: usize,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, server: IpAddr, check: bool, generation: u32) -> Self {
        Self { stream, server, check, generation, head: Vec::new(), left: 0 }
    }

    /// Reads what has come. `ended`: epoll saw the other side close. The head of a complete request stays in `head`
    /// when `keep` asks for it.
    pub(super) fn look(&mut self, ended: bool, keep: bool, buffer: &mut [u8]) -> Seen {
        let mut seen = Seen::Waiting;
        loop {
            let read = match recv(self.stream.as_raw_fd(), buffer, MsgFlags::empty()) {
                Ok(0) => return Seen::Closed,
                Ok(read) => read,
                Err(Errno::EAGAIN) => return seen,
                Err(_) => return Seen::Closed,
            };
            let bytes = buffer.get(..read).unwrap_or_default();
            if seen == Seen::Request || self.left > 0 {
                return Seen::Garbage;
            }
            if self.head.is_empty() && bytes.ends_with(b"\r\n\r\n") {
                seen = Seen::Request;
                if keep {
                    self.head.extend_from_slice(bytes);
                }
            } else {
                self.head.extend_from_slice(bytes);
                if self.head.ends_with(b"\r\n\r\n") {
                    seen = Seen::Request;
                } else if self.head.len() > HEAD_MAX {
                    return Seen::Garbage;
                }
            }
            if seen == Seen::Request && !keep {
                self.head.clear();
            }
            if read < buffer.len() && !ended {
                return seen;
            }
        }
    }

    /// Begins the answer.
    pub(super) fn answer(&mut self, whole: &[u8]) -> Seen {
        self.left = whole.len();
        self.go_on(whole)
    }

    /// Sends what the kernel takes.
    pub(super) fn go_on(&mut self, whole: &[u8]) -> Seen {
        while self.left > 0 {
            let rest = whole.get(whole.len() - self.left..).unwrap_or_default();
            match send(self.stream.as_raw_fd(), rest, MsgFlags::MSG_NOSIGNAL) {
                Ok(written) => self.left -= written,
                Err(Errno::EAGAIN) => return Seen::Waiting,
                Err(_) => return Seen::Closed,
            }
        }
        Seen::Waiting
    }

    /// Whether an answer is under way.
    pub(super) fn busy(&self) -> bool {
        self.left > 0
    }
}
