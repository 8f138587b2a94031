//! One client connection: sends a request, judges the answer while it arrives, measures how long it took.

use super::{Counts, Shape};
use integration_tests::clock;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

/// The longest head of an answer that is accepted.
const HEAD_MAX: usize = 16 * 1024;
/// Bodies up to this size are compared byte by byte, larger ones every `COMPARE_EVERY`th time; of the others only the
/// length counts, and the kernel drops the bytes without copying them.
const COMPARE_ALWAYS: usize = 16 * 1024;
const COMPARE_EVERY: u64 = 32;
/// Enough for the head of an answer and little of its body.
const HEAD_READ: usize = 1024;

/// Where a client is with its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing asked.
    Idle,
    /// The request is not yet sent as a whole.
    Sending,
    /// The head of the answer has not arrived as a whole.
    Head,
    /// Bytes of the body are missing.
    Body,
}

/// What came of looking at the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The answer is complete and right, or complete and counted as wrong.
    Done,
    /// More must arrive first.
    Waiting,
    /// The connection is of no use any more. With a request in flight it is counted as an error.
    Gone,
}

/// A client connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: TcpStream,
    pub(super) state: State,
    request: usize,
    sent: usize,
    asked: Instant,
    head: Vec<u8>,
    /// Bytes of the body that have arrived.
    arrived: usize,
    length: usize,
    compare: bool,
}

impl Client {
    /// Begins to connect; the connection may be there at once or later.
    pub(super) fn connect(to: SocketAddr) -> std::io::Result<Self> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&to.into()) {
            Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => return Err(error),
            _ => {}
        }
        let stream = TcpStream::from(OwnedFd::from(socket));
        let asked = clock::now();
        Ok(Self {
            stream,
            state: State::Idle,
            request: 0,
            sent: 0,
            asked,
            head: Vec::new(),
            arrived: 0,
            length: 0,
            compare: true,
        })
    }

    /// Asks for something; `asked` is when it was due.
    pub(super) fn ask(&mut self, request: usize, asked: Instant, shape: &Shape, counts: &Counts) -> Progress {
        (self.request, self.sent, self.asked) = (request, 0, asked);
        self.state = State::Sending;
        self.arrived = 0;
        self.head.clear();
        self.compare = shape.body <= COMPARE_ALWAYS || counts.answers.is_multiple_of(COMPARE_EVERY);
        self.send(shape)
    }

    fn send(&mut self, shape: &Shape) -> Progress {
        let whole = shape.requests.get(self.request).map_or(&[][..], Vec::as_slice);
        let rest = whole.get(self.sent..).unwrap_or_default();
        match nix::sys::socket::send(self.stream.as_raw_fd(), rest, MsgFlags::MSG_NOSIGNAL) {
            Ok(written) => {
                self.sent += written;
                if self.sent == whole.len() {
                    self.state = State::Head;
                }
                Progress::Waiting
            }
            Err(Errno::EAGAIN | Errno::ENOTCONN) => Progress::Waiting,
            Err(_) => Progress::Gone,
        }
    }

    /// Takes what has arrived. `ended`: epoll saw the other side close, so that reading goes on to the end.
    pub(super) fn look(&mut self, ended: bool, shape: &Shape, counts: &mut Counts, buffer: &mut [u8]) -> Progress {
        if self.state == State::Sending && self.send(shape) == Progress::Gone {
            return self.gone(counts);
        }
        loop {
            // What is not compared is not copied either: the head in a small read, the rest dropped by the kernel.
            let room = if self.state == State::Head && !self.compare { HEAD_READ } else { buffer.len() };
            let flags =
                if self.state == State::Body && !self.compare { MsgFlags::MSG_TRUNC } else { MsgFlags::empty() };
            let read = match recv(self.stream.as_raw_fd(), buffer.get_mut(..room).unwrap_or_default(), flags) {
                Ok(0) => return self.gone(counts),
                Ok(read) => read,
                Err(Errno::EAGAIN) => return Progress::Waiting,
                Err(_) => return self.gone(counts),
            };
            counts.bytes += read as u64;
            let progress = match self.state {
                State::Idle | State::Sending => {
                    counts.unasked += 1;
                    return Progress::Gone;
                }
                State::Head => self.head(buffer.get(..read).unwrap_or_default(), shape, counts),
                State::Body => {
                    let body = if self.compare { buffer.get(..read) } else { None };
                    self.body(read, body, shape, counts)
                }
            };
            if progress != Progress::Waiting || (read < room && !ended) {
                return progress;
            }
        }
    }

    fn gone(&mut self, counts: &mut Counts) -> Progress {
        if self.state != State::Idle {
            counts.cut += 1;
            if counts.first_error.is_none() {
                counts.first_error = Some(format!("connection lost while the client was at {:?}", self.state));
            }
        }
        Progress::Gone
    }

    fn head(&mut self, bytes: &[u8], shape: &Shape, counts: &mut Counts) -> Progress {
        // Answers differ in little from each other: a head that was judged before needs no second look.
        if self.head.is_empty()
            && let Some((known, length)) = &counts.known_head
            && bytes.starts_with(known)
        {
            self.length = *length;
            let body = bytes.get(known.len()..).unwrap_or_default();
            self.state = State::Body;
            return self.body(body.len(), Some(body), shape, counts);
        }
        self.head.extend_from_slice(bytes);
        let Some(end) = self.head.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4) else {
            if self.head.len() > HEAD_MAX {
                return self.wrong("a head without an end", counts);
            }
            return Progress::Waiting;
        };
        let whole = std::mem::take(&mut self.head);
        let (head, body) = whole.split_at(end);
        let text = String::from_utf8_lossy(head);
        if text.get(9..12) != Some("200") {
            let line = text.lines().next().unwrap_or_default().to_owned();
            return self.wrong(&format!("status: {line}"), counts);
        }
        let Some(length) = content_length(&text) else { return self.wrong("no content-length", counts) };
        if length != shape.body {
            return self.wrong(&format!("content-length {length}, not {}", shape.body), counts);
        }
        counts.known_head = Some((head.to_vec(), length));
        self.length = length;
        self.state = State::Body;
        self.body(body.len(), Some(body), shape, counts)
    }

    fn body(&mut self, read: usize, bytes: Option<&[u8]>, shape: &Shape, counts: &mut Counts) -> Progress {
        let end = self.arrived + read;
        if end > self.length {
            return self.wrong("more bytes than announced", counts);
        }
        if let Some(bytes) = bytes
            && shape.expected.get(self.arrived..end) != Some(bytes)
        {
            return self.wrong("bytes of the body differ", counts);
        }
        self.arrived = end;
        if end < self.length {
            return Progress::Waiting;
        }
        self.state = State::Idle;
        counts.answers += 1;
        counts.compared += u64::from(self.compare);
        counts.times.add(clock::now() - self.asked);
        Progress::Done
    }

    fn wrong(&mut self, why: &str, counts: &mut Counts) -> Progress {
        counts.wrong += 1;
        if counts.first_error.is_none() {
            counts.first_error = Some(why.to_owned());
        }
        self.state = State::Idle;
        Progress::Gone
    }
}

fn content_length(head: &str) -> Option<usize> {
    let value = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    };
    head.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use integration_tests::wait;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    /// What is counted when a server gives this answer and closes.
    fn judged(body: usize, answer: &[u8]) -> Counts {
        let shape = Shape::new(1, vec![b"GET / HTTP/1.1\r\n\r\n".to_vec()], body).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = Client::connect(listener.local_addr().unwrap()).unwrap();
        let (mut counts, mut buffer) = (Counts::default(), vec![0; 64 * 1024]);
        assert_eq!(client.ask(0, clock::now(), &shape, &counts), Progress::Waiting);
        let (mut server, _) = listener.accept().unwrap();
        let mut look = |counts: &mut Counts| match client.look(true, &shape, counts, &mut buffer) {
            Progress::Waiting => None,
            progress => Some(progress),
        };
        assert_eq!(look(&mut counts), None);
        server.read_exact(&mut [0; 18]).unwrap();
        server.write_all(answer).unwrap();
        drop(server);
        wait::until("an end", Duration::from_secs(5), || look(&mut counts)).unwrap();
        counts
    }

    fn answer(status: &str, length: usize, body: &[u8]) -> Vec<u8> {
        let mut answer = format!("HTTP/1.1 {status}\r\nX: y\r\ncontent-LENGTH: {length}\r\n\r\n").into_bytes();
        answer.extend_from_slice(body);
        answer
    }

    #[test]
    fn a_right_answer_counts() {
        for body in [0, 1, 100, 10_240, 200_000] {
            let expected = Shape::new(1, Vec::new(), body).unwrap().expected;
            let counts = judged(body, &answer("200 OK", body, &expected));
            assert_eq!((counts.answers, counts.compared, counts.errors()), (1, 1, 0), "{body}: {counts:?}");
        }
    }

    #[test]
    fn a_wrong_answer_is_an_error_with_its_reason() {
        let mut twisted = Shape::new(1, Vec::new(), 100).unwrap().expected;
        let right = twisted.clone();
        twisted.swap(40, 41);
        twisted[99] = b'!';
        let cases: [(&str, Vec<u8>); 6] = [
            ("status: HTTP/1.1 503 Service Unavailable", answer("503 Service Unavailable", 100, &right)),
            ("content-length 99, not 100", answer("200 OK", 99, &right[..99])),
            ("no content-length", b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
            ("bytes of the body differ", answer("200 OK", 100, &twisted)),
            ("more bytes than announced", answer("200 OK", 100, &[&right[..], b"x"].concat())),
            ("connection lost while the client was at Body", answer("200 OK", 100, &right[..50])),
        ];
        for (expected, answer) in cases {
            let counts = judged(100, &answer);
            assert_eq!((counts.answers, counts.errors()), (0, 1), "{expected}: {counts:?}");
            assert_eq!(counts.first_error.as_deref(), Some(expected));
        }
    }
}
