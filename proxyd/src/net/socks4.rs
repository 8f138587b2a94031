//! SOCKS 4: what is said to a proxy in between before a connection is one to the server.

use std::io;
use std::net::SocketAddrV4;
use std::task::{Context, Poll, ready};

use super::Stream;

const VERSION: u8 = 4;
const CONNECT: u8 = 1;
const GRANTED: u8 = 90;
/// The name of the user, which ends with NUL.
const USER: &[u8] = b"HAProxy\0";
/// The length of an answer.
const ANSWER: usize = 8;

/// The request and the answer to it.
#[derive(Debug)]
pub struct Handshake {
    unsent: Vec<u8>,
    answer: Vec<u8>,
}

impl Handshake {
    /// Asks for a connection to `destination`.
    pub fn new(destination: SocketAddrV4) -> Self {
        let mut request = vec![VERSION, CONNECT];
        request.extend(destination.port().to_be_bytes());
        request.extend(destination.ip().octets());
        request.extend(USER);
        Self { unsent: request, answer: Vec::with_capacity(ANSWER) }
    }

    /// Ready once the proxy has agreed. Not a byte is read of what comes after its answer.
    pub fn poll(&mut self, context: &mut Context<'_>, stream: &Stream) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let sent = ready!(stream.poll_write(context, &self.unsent))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.drain(..sent);
        }
        while self.answer.len() < ANSWER {
            let mut rest = Vec::with_capacity(ANSWER - self.answer.len());
            let read = ready!(stream.poll_read(context, &mut rest));
            if !matches!(read, Ok(count) if count > 0) {
                return Poll::Ready(Err(io::Error::other("SOCKS4 Proxy read error during handshake")));
            }
            self.answer.append(&mut rest);
        }
        let granted = self.answer.len() == ANSWER && self.answer.get(1) == Some(&GRANTED);
        Poll::Ready(if granted { Ok(()) } else { Err(io::Error::other("SOCKS4 Proxy deny the request")) })
    }
}
