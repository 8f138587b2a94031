//! One connection with the bytes on their way in and out.

use std::io;
use std::task::{Context, Poll, ready};

use crate::net::Stream;
use crate::net::splice::Pipe;
use crate::worker::buffers::{Buffer, Buffers};

/// A socket, what was read from it and not yet used, and what is still to be written.
#[derive(Debug)]
pub struct Conn {
    stream: Stream,
    /// Received, not yet used.
    pub input: Buffer,
    /// To be sent.
    pub output: Buffer,
    /// The peer will send no more.
    pub ended: bool,
    /// It has reset the connection.
    pub broken: bool,
}

impl Conn {
    /// A connection without bytes.
    pub fn new(stream: Stream) -> Self {
        Self { stream, input: Buffer::default(), output: Buffer::default(), ended: false, broken: false }
    }

    /// The socket.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Reads once into `input`; `large` suggests that much is coming. Zero: the peer has ended. While nothing has arrived no
    /// memory is held. `input` must not be full.
    pub fn poll_fill(&mut self, context: &mut Context<'_>, buffers: &Buffers, large: bool) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        loop {
            ready!(self.stream.poll_read_ready(context))?;
            let Some(block) = self.input.room(buffers, large) else {
                return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
            };
            let read = self.stream.read(block);
            self.input.release(buffers);
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => {
                    self.ended = matches!(read, Ok(0));
                    self.broken |= read.is_err();
                    return Poll::Ready(read);
                }
            }
        }
    }

    /// Ready when the peer has closed. Bytes that it sends meanwhile are kept for its next request.
    pub fn poll_gone(&mut self, context: &mut Context<'_>, buffers: &Buffers) -> Poll<()> {
        while self.input.len() < buffers.size() {
            match ready!(self.poll_fill(context, buffers, false)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
        Poll::Pending
    }

    /// Reads once.
    pub async fn fill(&mut self, buffers: &Buffers) -> io::Result<usize> {
        std::future::poll_fn(|context| self.poll_fill(context, buffers, false)).await
    }

    /// Writes until `output` is empty.
    pub fn poll_flush(&mut self, context: &mut Context<'_>, buffers: &Buffers) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let count = ready!(self.stream.poll_write(context, self.output.bytes()))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.consume(count);
        }
        self.output.release(buffers);
        Poll::Ready(Ok(()))
    }

    /// Writes `output` and, in the same call, the first `count` bytes of what follows it; says how many of these were written. One
    /// piece costs the kernel less than two, so `output` is put in front of what follows where a head has left room for it.
    pub fn poll_write_with(
        &mut self,
        context: &mut Context<'_>,
        rest: &mut Buffer,
        count: usize,
    ) -> Poll<io::Result<usize>> {
        let written = if let Some(all) = rest.behind(self.output.bytes(), count) {
            ready!(self.stream.poll_write(context, all))?
        } else {
            let rest = rest.bytes().get(..count).unwrap_or_default();
            ready!(self.stream.poll_write_both(context, [self.output.bytes(), rest]))?
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let own = written.min(self.output.len());
        self.output.consume(own);
        Poll::Ready(Ok(written - own))
    }

    /// Takes received bytes into an empty pipe. Zero: the peer has ended.
    pub fn poll_fill_pipe(
        &mut self,
        context: &mut Context<'_>,
        pipe: &mut Pipe,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        loop {
            ready!(self.stream.poll_read_ready(context))?;
            match pipe.fill(&self.stream, most) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                taken => {
                    match taken {
                        Ok(count) => self.ended = count == 0,
                        Err(_) => self.broken = true,
                    }
                    return Poll::Ready(taken);
                }
            }
        }
    }

    /// Sends from a pipe until it is empty.
    pub fn poll_drain_pipe(&mut self, context: &mut Context<'_>, pipe: &mut Pipe) -> Poll<io::Result<()>> {
        while !pipe.is_empty() {
            ready!(self.stream.poll_write_ready(context))?;
            match pipe.drain(&self.stream) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes until `output` is empty.
    pub async fn flush(&mut self, buffers: &Buffers) -> io::Result<()> {
        std::future::poll_fn(|context| self.poll_flush(context, buffers)).await
    }

    /// Gives its memory back before it is put aside or dropped.
    pub fn release(&mut self, buffers: &Buffers) {
        self.input.discard(buffers);
        self.output.discard(buffers);
    }
}
