//! One direction: a message body from one connection to the other, and how long the sides may be silent meanwhile.
//!
//! A body goes one of three ways. What came together with a head leaves together with it, in one call. Bulk goes through a
//! pipe, without coming up to us at all (`splice`); everything else is read into a buffer and written from it.

mod limited;

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::Session;
use super::conn::Conn;
use super::report::Report;
use crate::clock::{self, Moment};
use crate::http::case::CaseAdjustment;
use crate::http::chunk;
use crate::http::h1::{Body, Refused};
use crate::limits::{COPY_MAX, SPLICE_MIN};
use crate::rules::bandwidth::Meter;
use crate::worker::Worker;
use crate::worker::buffers::{Buffer, Buffers};
use crate::worker::pipes::Lent;

/// One direction's message body on its way.
#[derive(Debug)]
pub struct Transfer {
    kind: Kind,
    /// Bytes of the body that went through, framing included.
    pub moved: u64,
    counted: u64,
    /// The kernel may move the bytes by itself.
    pub may_splice: bool,
    /// The last bytes came as many at once as there was room for, so that more are waiting.
    bulk: bool,
    /// Held while bulk moves.
    lent: Option<Box<Lent>>,
}

#[derive(Debug)]
enum Kind {
    Done,
    Length(u64),
    Chunked(chunk::Decoder),
    /// To the end of the connection.
    UntilClose,
    /// No faster than rules allow.
    Limited(Box<Limited>),
}

/// A body that is slowed down.
#[derive(Debug)]
struct Limited {
    /// The body.
    kind: Kind,
    meters: Vec<Meter>,
    /// When more may go on.
    resumes: Option<Moment>,
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
    /// The receiver has reset its connection, without having ended it.
    Reset,
}

impl Broken {
    /// What writing to the receiver has told.
    #[cold]
    fn sink(error: &io::Error) -> Self {
        // Where the connection had been ended before, the system says something else.
        if error.kind() == io::ErrorKind::ConnectionReset { Self::Reset } else { Self::Sink }
    }
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
        let bulk = matches!(kind, Kind::Length(_));
        Self { kind, moved: 0, counted: 0, may_splice: false, bulk, lent: None }
    }

    /// What follows goes through to the end of the connection, whatever was said before; what was counted stays counted.
    pub fn become_tunnel(&mut self) {
        match &mut self.kind {
            Kind::Limited(limited) => limited.kind = Kind::UntilClose,
            kind => *kind = Kind::UntilClose,
        }
        self.bulk = false;
    }

    /// The body goes once more, from its beginning.
    pub fn restart(&mut self, body: Body) {
        let begun = Self::new(body);
        match &mut self.kind {
            Kind::Limited(limited) => limited.kind = begun.kind,
            kind => *kind = begun.kind,
        }
        (self.moved, self.counted, self.bulk, self.lent) = (0, 0, begun.bulk, None);
    }

    /// From now on it goes no faster than these allow. None: it goes as it did.
    pub fn limit(&mut self, meters: Vec<Meter>) {
        if !meters.is_empty() && !matches!(self.kind, Kind::Done) {
            let kind = std::mem::replace(&mut self.kind, Kind::Done);
            self.kind = Kind::Limited(Box::new(Limited { kind, meters, resumes: None }));
        }
    }

    /// `h1-case-adjust`, of the trailers.
    pub fn adjust_trailers(&mut self, names: &Arc<CaseAdjustment>) {
        if let Some(decoder) = self.decoder() {
            decoder.adjust(Arc::clone(names));
        }
    }

    /// `option http-drop-request-trailers` or `http-drop-response-trailers`.
    pub fn drop_trailers(&mut self) {
        if let Some(decoder) = self.decoder() {
            decoder.drop_trailers();
        }
    }

    /// Of a body in chunks.
    fn decoder(&mut self) -> Option<&mut chunk::Decoder> {
        let kind = match &mut self.kind {
            Kind::Limited(limited) => &mut limited.kind,
            kind => kind,
        };
        if let Kind::Chunked(decoder) = kind { Some(decoder) } else { None }
    }

    /// What is left is not slowed down any more.
    pub fn hurry(&mut self) {
        if let Kind::Limited(limited) = &mut self.kind {
            self.kind = std::mem::replace(&mut limited.kind, Kind::Done);
        }
    }

    /// When it goes on, if it waits for that.
    pub fn resumes(&self) -> Option<Moment> {
        match &self.kind {
            Kind::Limited(limited) => limited.resumes,
            Kind::Done | Kind::Length(_) | Kind::Chunked(_) | Kind::UntilClose => None,
        }
    }

    /// Bytes that went through, without framing.
    pub fn counted(&self) -> u64 {
        self.counted
    }

    /// All of it was taken from the sender, and nothing of it is in the pipe.
    pub fn is_done(&self) -> bool {
        matches!(self.kind, Kind::Done) && !self.is_held_up()
    }

    /// Bytes were taken from the sender that the receiver did not take yet, besides those in its buffer.
    pub fn is_held_up(&self) -> bool {
        self.lent.as_ref().is_some_and(|lent| !lent.pipe.is_empty())
    }

    /// How many bytes may go through a pipe now.
    fn spliceable(&self) -> Option<u64> {
        match self.kind {
            Kind::Length(left) if self.may_splice && self.bulk && left >= SPLICE_MIN => Some(left),
            Kind::UntilClose if self.may_splice && self.bulk => Some(u64::MAX),
            Kind::Length(_) | Kind::UntilClose | Kind::Chunked(_) | Kind::Done | Kind::Limited(_) => None,
        }
    }

    /// How many of these bytes belong to the body and leave as they are.
    fn verbatim(&self, input: &Buffer) -> usize {
        match self.kind {
            Kind::Length(left) => usize::try_from(left).unwrap_or(usize::MAX).min(input.len()),
            Kind::UntilClose => input.len(),
            Kind::Chunked(_) | Kind::Done | Kind::Limited(_) => 0,
        }
    }

    /// Bytes that need no framing were taken from the sender.
    fn took(&mut self, count: usize) {
        self.moved += count as u64;
        self.counted += count as u64;
        if let Kind::Length(left) = &mut self.kind {
            *left = left.saturating_sub(count as u64);
            if *left == 0 {
                self.kind = Kind::Done;
            }
        }
    }

    /// Whether so much is to come that big reads pay.
    fn is_large(&self, buffers: &Buffers) -> bool {
        match self.kind {
            Kind::Length(left) => left > buffers.size() as u64,
            Kind::UntilClose | Kind::Chunked(_) => self.moved > buffers.size() as u64,
            Kind::Done | Kind::Limited(_) => false,
        }
    }

    /// Moves what it can of `from` to `to`; says whether anything was moved.
    pub fn pump(&mut self, from: &mut Buffer, to: &mut Buffer, buffers: &Buffers) -> Result<bool, Refused> {
        if from.is_empty() {
            return Ok(false);
        }
        let Kind::Chunked(decoder) = &mut self.kind else {
            let count = self.verbatim(from);
            hand_over(from, to, count, buffers);
            self.took(count);
            return Ok(count > 0);
        };
        let step = decoder.read(from.bytes(), buffers.size(), to.space(buffers))?;
        from.consume(step.consumed);
        from.release(buffers);
        self.counted += step.counted;
        if step.done {
            self.kind = Kind::Done;
        }
        self.moved += step.consumed as u64;
        Ok(step.consumed > 0)
    }

    /// Takes what there is of the body and throws it away. What a pipe holds is lost as well.
    pub fn drain(&mut self, from: &mut Buffer, buffers: &Buffers) -> Result<(), Refused> {
        self.lent = None;
        self.hurry();
        let mut nowhere = Buffer::default();
        while self.pump(from, &mut nowhere, buffers)? {
            nowhere.discard(buffers);
        }
        nowhere.discard(buffers);
        Ok(())
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
    ends: (&mut Conn, &mut Conn),
    worker: &Worker,
    active: &mut bool,
) -> Poll<Result<(), Broken>> {
    if let Kind::Limited(_) = transfer.kind {
        return limited::poll(context, transfer, ends, worker, active);
    }
    let result = poll_move(context, transfer, ends, worker, active);
    // While there is nothing in it, it is of use to others.
    if let Some(lent) = transfer.lent.take_if(|lent| lent.pipe.is_empty()) {
        worker.pipes.give(lent);
    }
    result
}

fn poll_move(
    context: &mut Context<'_>,
    transfer: &mut Transfer,
    (source, sink): (&mut Conn, &mut Conn),
    worker: &Worker,
    active: &mut bool,
) -> Poll<Result<(), Broken>> {
    let buffers = &worker.buffers;
    let mut waited = true;
    loop {
        if let Some(lent) = &mut transfer.lent {
            let pending = lent.pipe.len();
            let drained = sink.poll_drain_pipe(context, &mut lent.pipe);
            *active |= lent.pipe.len() < pending;
            ready!(drained).map_err(|error| Broken::sink(&error))?;
        }
        let ahead = transfer.verbatim(&source.input);
        let together = ahead > COPY_MAX && !sink.output.is_empty();
        if together && let Poll::Ready(written) = poll_write_together(context, source, sink, ahead) {
            transfer.took(written.map_err(|error| Broken::sink(&error))?);
            source.input.release(buffers);
            *active = true;
        }
        let moved =
            transfer.pump(&mut source.input, &mut sink.output, buffers).map_err(|_| Broken::Invalid)? || together;
        let pending = sink.output.len();
        if pending > 0 {
            let flushed = sink.poll_flush(context, buffers);
            *active |= sink.output.len() < pending;
            ready!(flushed).map_err(|error| Broken::sink(&error))?;
        }
        sink.output.release(buffers);
        if transfer.is_done() {
            return Poll::Ready(Ok(()));
        }
        if moved && !source.input.is_empty() {
            continue;
        }
        let read = match transfer.spliceable().filter(|_| source.input.is_empty()) {
            Some(most) => ready!(poll_splice(context, transfer, source, most, worker)),
            None => ready!(poll_read(context, transfer, source, buffers)),
        };
        match read {
            Ok(0) if transfer.end() => return Poll::Ready(Ok(())),
            Ok(0) | Err(_) => return Poll::Ready(Err(Broken::Source)),
            Ok(count) => {
                *active = true;
                // The rest of a burst may be small; how the next one begins tells what it is.
                if waited || count >= buffers.size() {
                    transfer.bulk = count >= buffers.size();
                }
                waited = false;
            }
        }
    }
}

/// Writes what waits for the sink and the beginning of what was received for it in one call; says how much of the latter.
fn poll_write_together(
    context: &mut Context<'_>,
    source: &mut Conn,
    sink: &mut Conn,
    ahead: usize,
) -> Poll<io::Result<usize>> {
    let written = ready!(sink.poll_write_with(context, &mut source.input, ahead))?;
    source.input.consume(written);
    Poll::Ready(Ok(written))
}

fn poll_read(
    context: &mut Context<'_>,
    transfer: &mut Transfer,
    source: &mut Conn,
    buffers: &Buffers,
) -> Poll<io::Result<usize>> {
    let large = transfer.is_large(buffers);
    source.poll_fill(context, buffers, large)
}

/// Fills a pipe, or reads where there is none.
fn poll_splice(
    context: &mut Context<'_>,
    transfer: &mut Transfer,
    source: &mut Conn,
    most: u64,
    worker: &Worker,
) -> Poll<io::Result<usize>> {
    let Some(lent) = transfer.lent.take().or_else(|| worker.pipes.take()) else {
        return poll_read(context, transfer, source, &worker.buffers);
    };
    let lent = transfer.lent.insert(lent);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    match ready!(source.poll_fill_pipe(context, &mut lent.pipe, most)) {
        Ok(count) => {
            transfer.took(count);
            Poll::Ready(Ok(count))
        }
        // Not a socket that the kernel can do this with.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            transfer.may_splice = false;
            poll_read(context, transfer, source, &worker.buffers)
        }
        Err(error) => Poll::Ready(Err(error)),
    }
}

/// How long a side may be silent. What was set last counts from the last byte that side sent or took.
#[derive(Debug)]
pub struct Silence {
    /// The timeout in force.
    pub limit: Option<Duration>,
    since: Moment,
}

impl Silence {
    /// Counts from now.
    pub fn new(limit: Option<Duration>, now: Moment) -> Self {
        Self { limit, since: now }
    }

    /// Bytes moved.
    pub fn broken(&mut self, now: Moment) {
        self.since = now;
    }

    /// When it has lasted too long.
    pub fn deadline(&self) -> Option<Moment> {
        self.limit.map(|limit| self.since + limit)
    }
}

/// Sets the timer to the earliest of the deadlines that count, or tells whose has passed. To be called again whenever the
/// task is woken. `tell` is what the session says if it is asked; one that has to end for it is told that the first deadline has
/// passed.
pub fn poll_silence<T: Copy>(
    context: &mut Context<'_>,
    session: &Session,
    waits: &[(Option<Moment>, T)],
    tell: impl FnOnce() -> Option<Report>,
) -> Poll<T> {
    let next = waits.iter().filter_map(|&(deadline, who)| Some((deadline?, who))).min_by_key(|&(deadline, _)| deadline);
    // The clock is read only when the timer says so: what has passed is the deadline of an earlier call, which may have moved.
    if !session.timer.wait(context, next.map(|(deadline, _)| deadline)) {
        return Poll::Pending;
    }
    if session.is_ended_by_question(tell)
        && let Some(&(_, first)) = waits.first()
    {
        return Poll::Ready(first);
    }
    match next {
        Some((deadline, who)) if deadline <= clock::moment() => Poll::Ready(who),
        Some(_) | None => Poll::Pending,
    }
}

/// For [`poll_silence`] where there is no exchange yet.
pub fn nothing_to_tell() -> Option<Report> {
    None
}
