//! A request's body that rules look at, or a server is chosen by: it must have come before that.
//!
//! It stays where it came, in the client's input, and is passed on from there as if nobody had looked.

use std::task::Poll;

use super::report::Stage;
use super::stream::Exchange;
use super::transfer::poll_silence;
use crate::clock::Moment;
use crate::sample::content::Body;
use crate::termination::{Cause, End, Phase};

/// What the server would have said; the client waits for it before it sends the body.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

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
    if exchange.request_wire.is_some_and(|wire| wire.expects_continue) && exchange.request.remove(b"expect") {
        exchange.client.output.space(buffers).extend_from_slice(CONTINUE);
    }
    let framing = exchange.transaction.body.get();
    let waited = std::future::poll_fn(|context| {
        // Should it not be read, the client's end is noticed below.
        let _ = exchange.client.poll_flush(context, buffers);
        loop {
            let bytes = exchange.client.input.bytes();
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

/// The same before rules: until then the request is not complete, and one that comes too late never is.
pub async fn wait_before_rules(
    exchange: &mut Exchange<'_>,
    at_least: u64,
    deadline: Option<Moment>,
) -> Result<(), End> {
    if received(exchange).has(at_least) {
        return Ok(());
    }
    let waited = wait(exchange, at_least, deadline).await;
    exchange.account.received = waited.is_ok().then_some(exchange.account.now);
    waited
}
