//! The light server behind the proxy: one prepared answer for every request, at once, after a fixed time, or never.

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::sendfile::sendfile;
use nix::sys::socket::{MsgFlags, recv, send};
use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;

/// The longest head of a request that is accepted.
const HEAD_MAX: usize = 64 * 1024;

/// Bodies above this size leave without being copied by the server, so that it is not what limits the subject.
const SENDFILE: usize = 32 * 1024;
/// Large bodies come in turn from copies of this size together: more than the caches next to a core hold, because a
/// subject that copies would else find what it reads there.
const COPIES: usize = 16 << 20;

/// What every request is answered with: head and body.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Small(Vec<u8>),
    /// Several times in a file.
    Large {
        file: Arc<File>,
        length: usize,
        copies: usize,
    },
}

impl Answer {
    pub(super) fn new(body: &[u8]) -> Result<Self> {
        let mut whole = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        whole.extend_from_slice(body);
        if body.len() <= SENDFILE {
            return Ok(Self::Small(whole));
        }
        // A file of a disk, all of it cached: the kernel finds many of its pages at once, those of a file in memory one by one.
        let nameless = OFlag::O_TMPFILE | OFlag::O_CLOEXEC;
        let folder = std::env::temp_dir();
        let mut file = File::options()
            .read(true)
            .write(true)
            .custom_flags(nameless.bits())
            .open(&folder)
            .with_context(|| format!("a file without a name in {}", folder.display()))?;
        let copies = COPIES.div_ceil(whole.len());
        for _ in 0..copies {
            file.write_all(&whole).context("the bodies")?;
        }
        Ok(Self::Large { file: Arc::new(file), length: whole.len(), copies })
    }
}

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
    /// Bytes of the answer that are still to leave, and where they stand in the bytes or the file.
    left: usize,
    offset: usize,
    /// Answers given, so that copies of a large body are taken in turn.
    served: usize,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, server: IpAddr, check: bool, generation: u32) -> Self {
        Self { stream, server, check, generation, head: Vec::new(), left: 0, offset: 0, served: generation as usize }
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
            if seen == Seen::Request || self.busy() {
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
    pub(super) fn answer(&mut self, answer: &Answer) -> Seen {
        (self.left, self.offset) = match answer {
            Answer::Small(bytes) => (bytes.len(), 0),
            Answer::Large { length, copies, .. } => (*length, self.served % copies * length),
        };
        self.served = self.served.wrapping_add(1);
        self.go_on(answer)
    }

    /// Sends what the kernel takes.
    pub(super) fn go_on(&mut self, answer: &Answer) -> Seen {
        while self.busy() {
            let sent = match answer {
                Answer::Small(bytes) => {
                    let rest = bytes.get(self.offset..).unwrap_or_default();
                    send(self.stream.as_raw_fd(), rest, MsgFlags::MSG_NOSIGNAL)
                }
                Answer::Large { file, .. } => {
                    let mut offset = i64::try_from(self.offset).unwrap_or(i64::MAX);
                    sendfile(&self.stream, file, Some(&mut offset), self.left)
                }
            };
            match sent {
                Ok(sent) => {
                    self.left -= sent;
                    self.offset += sent;
                }
                Err(Errno::EAGAIN) => return Seen::Waiting,
                Err(_) => return Seen::Closed,
            }
        }
        Seen::Waiting
    }

    /// Answers a health check; the connection is closed then.
    pub(super) fn pass_check(&self) {
        let answer = b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        // A check that does not wait for its answer is the checker's affair.
        let _ = send(self.stream.as_raw_fd(), answer, MsgFlags::MSG_NOSIGNAL);
    }

    /// Whether an answer is under way.
    pub(super) fn busy(&self) -> bool {
        self.left > 0
    }
}
