//! A body that goes no faster than rules allow.

use std::task::{Context, Poll, ready};

use super::{Broken, Kind, Limited, Transfer, hand_over};
use crate::clock;
use crate::http::chunk::Step;
use crate::rules::bandwidth;
use crate::session::conn::Conn;
use crate::worker::Worker;
use crate::worker::buffers::{Buffer, Buffers};

/// Bytes that the framing between two chunks mostly has.
const FRAMING: usize = 32;

/// Moves the direction on as far as it may. Where it has to wait for its time, [`Transfer::resumes`] says until when.
pub(super) fn poll(
    context: &mut Context<'_>,
    transfer: &mut Transfer,
    (source, sink): (&mut Conn, &mut Conn),
    worker: &Worker,
    active: &mut bool,
) -> Poll<Result<(), Broken>> {
    let buffers = &worker.buffers;
    // What is there is not enough to go on with.
    let mut starved = false;
    loop {
        let pending = sink.output.len();
        if pending > 0 {
            let flushed = sink.poll_flush(context, buffers);
            *active |= sink.output.len() < pending;
            ready!(flushed).map_err(|error| Broken::sink(&error))?;
        }
        sink.output.release(buffers);
        let Kind::Limited(limited) = &mut transfer.kind else { return Poll::Ready(Ok(())) };
        limited.resumes = None;
        if source.input.is_empty() || starved {
            let Ok(count) = ready!(source.poll_fill(context, buffers, false)) else {
                return Poll::Ready(Err(Broken::Source));
            };
            if count == 0 {
                transfer.hurry();
                return Poll::Ready(if transfer.end() { Ok(()) } else { Err(Broken::Source) });
            }
            *active = true;
            starved = false;
            continue;
        }
        let now = clock::moment();
        let now_ms = worker.milliseconds(now);
        let most = match bandwidth::room(&limited.meters, source.input.len() as u64, now_ms) {
            Ok(most) => usize::try_from(most).unwrap_or(usize::MAX),
            Err(wait) => {
                limited.resumes = Some(now + wait);
                return Poll::Pending;
            }
        };
        let (moved, counted) = limited.advance(&mut source.input, &mut sink.output, most, buffers)?;
        bandwidth::count(&mut limited.meters, counted, now_ms);
        starved = moved == 0;
        *active |= moved > 0;
        if matches!(limited.kind, Kind::Done) {
            transfer.kind = Kind::Done;
        }
        transfer.moved += moved;
        transfer.counted += counted;
    }
}

impl Limited {
    /// Moves at most so many bytes; says how many were taken, and how many of them are no framing.
    fn advance(
        &mut self,
        from: &mut Buffer,
        to: &mut Buffer,
        most: usize,
        buffers: &Buffers,
    ) -> Result<(u64, u64), Broken> {
        match &mut self.kind {
            Kind::Chunked(decoder) => {
                let bytes = from.bytes();
                let mut step = Step { consumed: 0, counted: 0, done: false };
                // A part that ends within the framing is of no use.
                for size in [most, most.saturating_add(FRAMING), usize::MAX] {
                    let part = bytes.get(..size).unwrap_or(bytes);
                    step = decoder.read(part, buffers.size(), to.space(buffers)).map_err(|_| Broken::Invalid)?;
                    if step.consumed > 0 || part.len() == bytes.len() {
                        break;
                    }
                }
                let counted = step.counted;
                from.consume(step.consumed);
                from.release(buffers);
                if step.done {
                    self.kind = Kind::Done;
                }
                Ok((step.consumed as u64, counted))
            }
            kind => {
                let left = match kind {
                    Kind::Length(left) => usize::try_from(*left).unwrap_or(usize::MAX),
                    _ => usize::MAX,
                };
                let count = most.min(left).min(from.len());
                hand_over(from, to, count, buffers);
                if let Kind::Length(left) = kind {
                    *left = left.saturating_sub(count as u64);
                    if *left == 0 {
                        *kind = Kind::Done;
                    }
                }
                Ok((count as u64, count as u64))
            }
        }
    }
}
