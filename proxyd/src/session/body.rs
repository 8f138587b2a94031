//! A body that rules look at, or of a request a server is chosen by: it must have come before that.
//!
//! It stays where it came, in its sender's input, and is passed on from there as if nobody had looked.

use std::task::Poll;
use std::time::Duration;

use super::policy;
use super::report::Stage;
use super::stream::Exchange;
use super::transfer::poll_silence;
use crate::clock::{self, Moment};
use crate::http::Head;
use crate::http::chunk;
use crate::http::h1::Body as Framing;
use crate::rules::Wait;
use crate::sample::content::Body;
use crate::termination::{Cause, End, Phase};

/// What the server would have said; the client waits for it before it sends the body.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// As haproxy counts it.
const CONTINUE_COUNTED: u64 = 40;

/// What has come of the body and was not passed on yet.
pub fn received<'e>(exchange: &'e Exchange<'_>) -> Body<'e> {
    Body::new(exchange.transaction.body.get(), exchange.client.input.bytes())
}

/// When a request must have come as a whole: `timeout http-request`.
pub fn deadline(exchange: &Exchange<'_>) -> Option<Moment> {
    let limit = exchange.timeout(|section| section.timeouts.http_request).or_else(|| exchange.client_timeout());
    let begun = exchange.account.first_byte.unwrap_or(exchange.account.now);
    limit.map(|limit| begun + limit)
}

/// Waits until `at_least` bytes of the body have come (0: all of it), or as much as there is room for. So much has not come yet.
pub async fn wait(exchange: &mut Exchange<'_>, at_least: u64, deadline: Option<Moment>) -> Result<(), End> {
    let session = exchange.session;
    let buffers = &session.worker.buffers;
    if let Some(wire) = &mut exchange.request_wire
        && std::mem::take(&mut wire.expects_continue)
    {
        take_expectation(&mut exchange.request);
        exchange.client.output.space(buffers).extend_from_slice(CONTINUE);
        exchange.account.bytes_out += CONTINUE_COUNTED;
    }
    let framing = exchange.transaction.body.get();
    let waited = std::future::poll_fn(|context| {
        // Should it not be read, the client's end is noticed below.
        let _ = exchange.client.poll_flush(context, buffers);
        loop {
            let bytes = exchange.client.input.bytes();
            if framing == Framing::Chunked && chunk::check(bytes, buffers.size()).is_err() {
                return Poll::Ready(Err(End::bad_request(400)));
            }
            if bytes.len() >= buffers.size() || Body::new(framing, bytes).has(at_least) {
                return Poll::Ready(Ok(()));
            }
            match exchange.client.poll_fill(context, buffers, false) {
                Poll::Ready(Ok(0) | Err(_)) => {
                    return Poll::Ready(Err(End::new(Cause::ClientAbort, Phase::Request, None)));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => {
                    let tell = || Some(exchange.report(Stage::Body).analysing(deadline));
                    return poll_silence(context, session, &[(deadline, ())], tell)
                        .map(|()| Err(End::new(Cause::ClientTimeout, Phase::Request, Some(408))));
                }
            }
        }
    })
    .await;
    exchange.tick();
    waited
}

/// Takes out of a head what was fulfilled: the first element of the first `expect`. Another expectation is the server's affair.
fn take_expectation(head: &mut Head) {
    let Some(index) = head.fields().position(|(name, _)| name == b"expect") else { return };
    let rest = head.fields().nth(index).and_then(|(_, value)| {
        let comma = value.iter().position(|&byte| byte == b',')?;
        value.get(comma + 1..).map(<[u8]>::to_vec)
    });
    match rest {
        Some(rest) => head.set_value(index, &rest),
        None => head.remove_at(index),
    }
}

/// The same before rules: until then the request is not complete, and one that comes too late never is.
pub async fn wait_before_rules(
    exchange: &mut Exchange<'_>,
    at_least: u64,
    deadline: Option<Moment>,
) -> Result<(), End> {
    let expects = exchange.request_wire.is_some_and(|wire| wire.expects_continue && wire.body != Framing::None);
    if received(exchange).has(at_least) && !expects {
        return Ok(());
    }
    let waited = wait(exchange, at_least, deadline).await;
    exchange.account.received = waited.is_ok().then_some(exchange.account.now);
    waited
}

/// `pause`: the rules go on when the time is over.
pub async fn pause(exchange: &mut Exchange<'_>, time: Duration) -> Result<(), End> {
    let (session, until) = (exchange.session, Some(clock::moment() + time));
    std::future::poll_fn(|context| {
        let tell = || Some(exchange.report(Stage::Rules).analysing(until));
        poll_silence(context, session, &[(until, ())], tell)
    })
    .await;
    exchange.tick();
    let phase = if exchange.response_wire.is_some() { Phase::Headers } else { Phase::Request };
    if session.killed.get() { Err(End::new(Cause::Killed, phase, None)) } else { Ok(()) }
}

/// `http-response wait-for-body`: waits until so much of the response's body has come, as much as there is room for, or its end.
pub async fn wait_for_response(exchange: &mut Exchange<'_>, wait: Wait) -> Result<(), End> {
    let limit = exchange.server_timeout().map_or(wait.time, |limit| limit.min(wait.time));
    let deadline = Some(exchange.account.now + limit);
    let waited = std::future::poll_fn(|context| {
        loop {
            match come(exchange, wait.at_least) {
                Ok(true) => return Poll::Ready(Ok(())),
                Ok(false) => {}
                Err(end) => return Poll::Ready(Err(end)),
            }
            let Some(server) = &mut exchange.server else { return Poll::Ready(Ok(())) };
            match server.conn.poll_fill(context, &exchange.session.worker.buffers, false) {
                // What has come is all that the rules can see; the relay finds out that the rest is missing.
                Poll::Ready(read) => server.conn.ended |= read.is_err(),
                Poll::Pending => {
                    let tell = || Some(exchange.report(Stage::Body).analysing(deadline));
                    return poll_silence(context, exchange.session, &[(deadline, ())], tell)
                        .map(|()| Err(End::new(Cause::ServerTimeout, Phase::Request, Some(504))));
                }
            }
        }
    })
    .await;
    exchange.tick();
    if waited.is_err() {
        // To haproxy this response never became complete.
        withdraw_response(exchange);
    }
    waited
}

/// Whether enough of the response's body has come, or all that will.
fn come(exchange: &Exchange<'_>, at_least: u64) -> Result<bool, End> {
    let Some((body, conn)) = policy::response_body(exchange).zip(exchange.server.as_ref().map(|server| &server.conn))
    else {
        return Ok(true);
    };
    if body.has(at_least) || conn.ended || conn.input.len() >= exchange.session.worker.buffers.size() {
        return Ok(true);
    }
    if body.is_invalid() { Err(End::new(Cause::Proxy, Phase::Headers, Some(502))) } else { Ok(false) }
}

/// A frontend that ends a connection for what came over it tells no time for the request. haproxy has not read it by then.
pub fn withdraw_request(exchange: &mut Exchange<'_>) {
    if exchange.request_wire.is_some() && exchange.backend.is_none() {
        exchange.account.received = None;
    }
}

/// What the log says about a response that the client does not get.
pub fn tell_response(exchange: &mut Exchange<'_>) {
    exchange.account.status = Some(exchange.response.status());
    withdraw_response(exchange);
}

/// The client gets something else in a response's place: there is no time when it came, but haproxy counts what it has of it. The
/// head was counted when it came.
pub fn withdraw_response(exchange: &mut Exchange<'_>) {
    exchange.account.answered = None;
    exchange.account.bytes_out += counted_response_body(exchange);
}

/// What has come of a response's body, as haproxy counts it.
pub fn counted_response_body(exchange: &Exchange<'_>) -> u64 {
    let Some(body) = policy::response_body(exchange) else { return 0 };
    // The end of chunks is one more.
    let ends = exchange.response_wire.is_some_and(|wire| wire.body == Framing::Chunked) && body.has(0);
    body.data().len() as u64 + u64::from(ends)
}
