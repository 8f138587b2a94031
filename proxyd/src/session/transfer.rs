//! One direction: a message body from one connection to the other, and how long the sides may be silent meanwhile.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::conn::Conn;
use crate::clock;
use crate::http::chunk;
use crate::http::h1::{Body, Refused};
use crate::worker::buffers::{Buffer, Buffers};
use crate::worker::timers::Timer;

/// One direction's message body on its way.
#[derive(Debug)]
pub struct Transfer {
    kind: Kind,
    /// Bytes of the body that went through, framing included.
    pub moved: u64,
    counted: u64,
}

#[derive(Debug)]
enum Kind {
    Done,
    Length(u64),
    Chunked(chunk::Decoder),
    /// To the end of the connection.
    UntilClose,
}

/// Why a direction stopped.
#[derive(Debug)]
pub enum Broken {
    /// The sender's connection failed or ended within the body.
    Source,
    /// The sender's body is no valid message.
    Invalid,
    /// The receiver's connection failed.
    Sink,
}

impl Transfer {
    /// A body that begins now.
    pub fn new(body: Body) -> Self {
        let kind = match body {
            Body::None => Kind::Done,
            Body::Length(length) => Kind::Length(length),
            Body::Chunked => Kind::Chunked(chunk::Decoder::default()),
            Body::UntilClose | Body::Tunnel => Kind::UntilClose,
        };
        Self { kind, moved: 0, counted: 0 }
    }

    /// Bytes that went through, without framing.
    pub fn counted(&self) -> u64 {
        self.counted
    }

    /// All of it was taken from the sender.
    pub fn is_done(&self) -> bool {
        matches!(self.kind, Kind::Done)
    }

    /// Whether so much is to come that big reads pay.
    fn is_large(&self, buffers: &Buffers) -> bool {
        match self.kind {
            Kind::Length(left) => left > buffers.size() as u64,
            Kind::UntilClose | Kind::Chunked(_) => self.moved > buffers.size() as u64,
            Kind::Done => false,
        }
    }

    /// Moves what it can of `from` to `to`; says whether anything was moved.
    pub fn pump(&mut self, from: &mut Buffer, to: &mut Buffer, buffers: &Buffers) -> Result<bool, Refused> {
        if from.is_empty() {
            return Ok(false);
        }
        let moved = match &mut self.kind {
            Kind::Done => 0,
            Kind::Length(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(from.len());
                hand_over(from, to, count, buffers);
                *left -= count as u64;
                if *left == 0 {
                    self.kind = Kind::Done;
                }
                count
            }
            Kind::UntilClose => {
                let count = from.len();
                hand_over(from, to, count, buffers);
                count
            }
            Kind::Chunked(decoder) => {
                let step = decoder.read(from.bytes(), to.space(buffers))?;
                from.consume(step.consumed);
                from.release(buffers);
                self.counted = decoder.counted;
                if step.done {
                    self.kind = Kind::Done;
                }
                self.moved += step.consumed as u64;
                return Ok(step.consumed > 0);
            }
        };
        self.moved += moved as u64;
        self.counted += moved as u64;
        Ok(moved > 0)
    }

    /// The sender has ended; true if that is the right end of the body.
    fn end(&mut self) -> bool {
        let right = matches!(self.kind, Kind::Done | Kind::UntilClose);
        if right {
            self.kind = Kind::Done;
        }
        right
    }
}

/// `count` bytes from one buffer to the other: the whole block where the other is empty, a copy where it is not.
fn hand_over(from: &mut Buffer, to: &mut Buffer, count: usize, buffers: &Buffers) {
    if to.is_empty() && count == from.len() {
        to.release(buffers);
        std::mem::swap(from, to);
    } else {
        to.space(buffers).extend_from_slice(from.bytes().get(..count).unwrap_or_default());
        from.consume(count);
        from.release(buffers);
    }
}

/// Moves one direction on until it is done or has to wait. `active` is set when bytes moved.
pub fn poll_transfer(
    context: &mut Context<'_>,
    transfer: &mut Transfer,
    (source, sink): (&mut Conn, &mut Conn),
    buffers: &Buffers,
    active: &mut bool,
) -> Poll<Result<(), Broken>> {
    loop {
        let moved = transfer.pump(&mut source.input, &mut sink.output, buffers).map_err(|_| Broken::Invalid)?;
        let pending = sink.output.len();
        if pending > 0 {
            let flushed = sink.poll_flush(context, buffers);
            *active |= sink.output.len() < pending;
            ready!(flushed).map_err(|_: io::Error| Broken::Sink)?;
        }
        if transfer.is_done() {
            return Poll::Ready(Ok(()));
        }
        if moved && !source.input.is_empty() {
            continue;
        }
        let large = transfer.is_large(buffers);
        match ready!(source.poll_fill(context, buffers, large)) {
            Ok(0) if transfer.end() => return Poll::Ready(Ok(())),
            Ok(0) | Err(_) => return Poll::Ready(Err(Broken::Source)),
            Ok(_) => *active = true,
        }
    }
}

/// How long a side may be silent. What was set last counts from the last byte that side sent or took.
#[derive(Debug)]
pub struct Silence {
    /// The timeout in force.
    pub limit: Option<Duration>,
    since: Instant,
}

impl Silence {
    /// Counts from now.
    pub fn new(limit: Option<Duration>, now: Instant) -> Self {
        Self { limit, since: now }
    }

    /// Bytes moved.
    pub fn broken(&mut self, now: Instant) {
        self.since = now;
    }

    /// When it has lasted too long.
    pub fn deadline(&self) -> Option<Instant> {
        self.limit.map(|limit| self.since + limit)
    }
}

/// Sets the timer to the earliest of the deadlines that count, or tells whose has passed. To be called again whenever the
/// task is woken.
pub fn poll_silence<T: Copy>(context: &mut Context<'_>, timer: &Timer, waits: &[(Option<Instant>, T)]) -> Poll<T> {
    let next = waits.iter().filter_map(|&(deadline, who)| Some((deadline?, who))).min_by_key(|&(deadline, _)| deadline);
    // The clock is read only when the timer says so: it keeps the deadline of an earlier call, which may have moved.
    if timer.poll_expired(context).is_ready()
        && let Some((_, who)) = next.filter(|&(deadline, _)| deadline <= clock::now())
    {
        return Poll::Ready(who);
    }
    timer.set(next.map(|(deadline, _)| deadline));
    match timer.poll_expired(context) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(()) => next.map_or(Poll::Pending, |(_, who)| Poll::Ready(who)),
    }
}
