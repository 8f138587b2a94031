//! Waiting for a response: the request on its way to the server, the response's head on its way back, the client perhaps leaving
//! meanwhile.

use std::task::{Context, Poll};

use super::bad_message;
use super::h1;
use super::report::Stage;
use super::stream::Exchange;
use super::transfer::{Broken, Silence, poll_silence, poll_transfer};
use crate::clock;
use crate::http::chunk;
use crate::http::h1::response::{self, ResponseWire};
use crate::http::h1::{Body, Limits, Progress, write_response};
use crate::limits::INFORMATIONAL_MAX;
use crate::rules::bandwidth::Direction;
use crate::stats::Count;
use crate::termination::{Cause, End, Phase, Retry};
use crate::worker::view::BackendView;

/// What the server sent is no response.
const BAD: End = End { cause: Cause::Proxy, phase: Phase::Headers, status: Some(502), retry: Retry::JunkResponse };

/// Sends the request and waits for the response's head. `reused`: the connection had been idle.
pub async fn run(exchange: &mut Exchange<'_>, view: &BackendView, reused: bool) -> Result<(), End> {
    if let Some(meters) = exchange.transaction.take_meters(Direction::In) {
        exchange.upload.limit(meters);
    }
    let mut wait = ResponseWait::new(exchange, view, reused);
    std::future::poll_fn(|context| wait.poll(context, exchange)).await
}

struct ResponseWait {
    sent: bool,
    reused: bool,
    abortonclose: bool,
    informational: usize,
    /// One of them said that the server's connection ends.
    ending: bool,
    limits: Limits,
    client: Silence,
    server: Silence,
    polled: bool,
}

#[derive(Clone, Copy)]
enum Side {
    Client,
    Server,
    /// A request that was slowed down goes on.
    Time,
}

impl ResponseWait {
    fn new(exchange: &Exchange<'_>, view: &BackendView, reused: bool) -> Self {
        let tune = &exchange.session.view.generation.global.tune;
        let now = exchange.account.now;
        Self {
            sent: false,
            reused,
            abortonclose: view.backend.abortonclose,
            informational: 0,
            ending: false,
            limits: Limits {
                head: tune.bufsize.saturating_sub(tune.maxrewrite) as usize,
                fields: usize::from(tune.http_maxhdr),
                any_payload: false,
                // Its connection is the server's, and another is as good.
                keep_ambiguous: false,
                lax: view.backend.accept_unsafe_responses,
            },
            client: Silence::new(exchange.client_timeout(), now),
            server: Silence::new(exchange.server_timeout(), now),
            polled: false,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>, exchange: &mut Exchange<'_>) -> Poll<Result<(), End>> {
        exchange.check_shut(Phase::Headers)?;
        let mut active = false;
        if !self.sent {
            self.poll_request(context, exchange, &mut active)?;
        }
        loop {
            match self.poll_head(context, exchange)? {
                Poll::Ready(Some(wire)) => {
                    exchange.response_wire = Some(wire);
                    let now = exchange.tick();
                    exchange.account.answered = Some(now);
                    // As it came: what rules make of it is not counted.
                    exchange.account.bytes_out += exchange.response.counted_len() + u64::from(wire.left_out);
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(None) => active = true,
                Poll::Pending => break,
            }
        }
        if self.sent
            && self.abortonclose
            && exchange.client.poll_gone(context, &exchange.session.worker.buffers).is_ready()
        {
            return Poll::Ready(Err(End::new(Cause::ClientAbort, Phase::Headers, Some(400))));
        }
        if active && self.polled {
            let now = clock::moment();
            self.client.broken(now);
            self.server.broken(now);
        }
        self.polled = true;
        // As haproxy does: a client that does not send the rest of its body is waited for as long as the server may take, and only
        // where there is no such limit as long as a client may be silent.
        let client = self.client.deadline().filter(|_| !self.sent && self.server.limit.is_none());
        let resumes = exchange.upload.resumes().filter(|_| !self.sent);
        let waits = [(self.server.deadline(), Side::Server), (client, Side::Client), (resumes, Side::Time)];
        let tell = || {
            let mut report = exchange.report(Stage::Headers);
            report.response.read = report.left(waits[0].0);
            report.request.read = report.left(waits[1].0);
            Some(report)
        };
        let late = poll_silence(context, exchange.session, &waits, tell);
        if matches!(late, Poll::Ready(Side::Time)) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        late.map(|side| {
            Err(match side {
                Side::Client => End::new(Cause::ClientTimeout, Phase::Data, Some(408)),
                Side::Server | Side::Time => {
                    let end = End::new(Cause::ServerTimeout, Phase::Headers, Some(504));
                    End { retry: Retry::ResponseTimeout, ..end }
                }
            })
        })
    }

    /// Sends what there is of the request.
    fn poll_request(
        &mut self,
        context: &mut Context<'_>,
        exchange: &mut Exchange<'_>,
        active: &mut bool,
    ) -> Result<(), End> {
        let buffers = &exchange.session.worker.buffers;
        let Some(server) = &mut exchange.server else { return Ok(()) };
        let ends = (&mut *exchange.client, &mut server.conn);
        match poll_transfer(context, &mut exchange.upload, ends, &exchange.session.worker, active) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => self.sent = true,
            Poll::Ready(Err(Broken::Source)) => {
                return Err(End::new(Cause::ClientAbort, Phase::Data, None));
            }
            Poll::Ready(Err(Broken::Invalid)) => return Err(End::new(Cause::Proxy, Phase::Headers, Some(400))),
            // The server may have answered before it closed: its answer, or its end, is found by reading.
            Poll::Ready(Err(Broken::Sink | Broken::Reset)) => {
                server.conn.output.discard(buffers);
                self.sent = true;
            }
        }
        Ok(())
    }

    /// Reads the response's head: `Some` when the final one is there, `None` after those that announce it. What came together is
    /// good or bad together: an announcement is passed on when what stands behind it has been looked at.
    fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        exchange: &mut Exchange<'_>,
    ) -> Result<Poll<Option<ResponseWire>>, End> {
        let buffers = &exchange.session.worker.buffers;
        loop {
            let (earlier, announced) = (exchange.client.output.len(), self.informational);
            let counted = exchange.account.bytes_out;
            let head = self.take_heads(exchange).inspect_err(|_| {
                bad_message::keep_response(exchange, self.limits);
                exchange.client.output.truncate(earlier);
                exchange.account.bytes_out = counted;
            })?;
            count_informational(exchange, self.informational - announced);
            if self.informational > announced
                && let Poll::Ready(Err(_)) = exchange.client.poll_flush(context, buffers)
            {
                return Err(End::new(Cause::ClientAbort, Phase::Headers, None));
            }
            if head.is_some() || self.informational > announced {
                return Ok(Poll::Ready(head));
            }
            let Some(server) = &mut exchange.server else { return Err(BAD) };
            match server.conn.poll_fill(context, buffers, false) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Ok(0) | Err(_)) => {
                    // A head that breaks off is an empty response, too.
                    let nothing = server.conn.input.is_empty() && self.informational == 0;
                    let retry = if nothing && self.reused { Retry::ReusedConnection } else { Retry::EmptyResponse };
                    return Err(End { retry, ..End::new(Cause::ServerAbort, Phase::Headers, Some(502)) });
                }
                Poll::Ready(Ok(_)) => {}
            }
        }
    }

    /// Takes the heads that have come, and writes those that announce the final one for the client.
    fn take_heads(&mut self, exchange: &mut Exchange<'_>) -> Result<Option<ResponseWire>, End> {
        let buffers = &exchange.session.worker.buffers;
        let (Some(server), Some(request)) = (&mut exchange.server, &exchange.request_wire) else { return Err(BAD) };
        let input = &mut server.conn.input;
        while !input.is_empty() {
            match response::read(input.bytes(), &mut exchange.response, request, self.limits) {
                Err(_refused) => return Err(BAD),
                Ok(Progress::Partial) => break,
                Ok(Progress::Complete { consumed, wire }) => {
                    // A body that is bad from its beginning is no answer; later, all that is left is to break off.
                    let rest = input.bytes().get(consumed..).unwrap_or_default();
                    if wire.body == Body::Chunked && chunk::check(rest, buffers.size()).is_err() {
                        return Err(BAD);
                    }
                    input.consume(consumed);
                    input.release(buffers);
                    if !wire.is_informational(exchange.response.status()) {
                        return Ok(Some(ResponseWire { keep_alive: wire.keep_alive && !self.ending, ..wire }));
                    }
                    self.ending |= !wire.keep_alive;
                    self.informational += 1;
                    if self.informational > INFORMATIONAL_MAX {
                        return Err(BAD);
                    }
                    exchange.account.bytes_out += exchange.response.counted_len() + u64::from(wire.left_out);
                    let out = exchange.client.output.space(buffers);
                    let start = out.len();
                    write_response(&exchange.response, out);
                    out.extend_from_slice(b"\r\n");
                    h1::adjust_for_client(exchange.session, out, start);
                }
            }
        }
        Ok(None)
    }
}

/// A server counts each response, also those that announce another one.
fn count_informational(exchange: &Exchange<'_>, count: usize) {
    if count == 0 {
        return;
    }
    let server = exchange.backend.zip(exchange.server_index);
    if let Some(server) = server.and_then(|(view, server)| view.backend.servers.get(server)) {
        let counters = server.traffic.of(exchange.session.worker.index);
        counters.add(Count::Requests, count as u64);
        counters.add(Count::Responses1xx, count as u64);
    }
}
