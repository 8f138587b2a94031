//! `balance url_param … check_post`: the form of a POST, which must have come before a server is chosen.

use std::borrow::Cow;
use std::task::Poll;

use super::stream::Exchange;
use super::transfer::poll_silence;
use crate::balance::{Algorithm, KeySource};
use crate::http::chunk;
use crate::http::h1::Body;
use crate::termination::{Cause, End, Phase};
use crate::worker::view::BackendView;

/// What the server would have said; the client waits for it before it sends the form.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Whether the backend's algorithm looks into this request's body.
fn is_looked_at(exchange: &Exchange<'_>, view: &BackendView) -> bool {
    match &view.backend.farm.settings().algorithm {
        Algorithm::Hash(KeySource::UrlParam { check_post, .. }) => {
            *check_post
                && exchange.upload.moved == 0
                && exchange.request_wire.is_some()
                && exchange.request.method() == b"POST"
        }
        Algorithm::RoundRobin
        | Algorithm::StaticRr
        | Algorithm::LeastConn
        | Algorithm::First
        | Algorithm::Random { .. }
        | Algorithm::Hash(_) => false,
    }
}

/// What has come of the body, as far as it may be a form.
pub fn received<'e>(exchange: &'e Exchange<'_>, view: &BackendView) -> Option<Cow<'e, [u8]>> {
    if !is_looked_at(exchange, view) {
        return None;
    }
    let bytes = exchange.client.input.bytes();
    match exchange.request_wire?.body {
        Body::Length(length) => {
            let length = usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len());
            bytes.get(..length).map(Cow::Borrowed)
        }
        Body::Chunked => Some(chunk::data(bytes).0.into()),
        Body::None | Body::UntilClose | Body::Tunnel => None,
    }
}

/// Waits until the whole body has come, or as much as there is room for.
pub async fn wait(exchange: &mut Exchange<'_>, view: &BackendView) -> Result<(), End> {
    if !is_looked_at(exchange, view) || exchange.upload.is_done() {
        return Ok(());
    }
    let Some(wire) = exchange.request_wire else { return Ok(()) };
    let session = exchange.session;
    let buffers = &session.worker.buffers;
    let is_complete = |bytes: &[u8]| match wire.body {
        _ if bytes.len() >= buffers.size() => true,
        Body::Length(length) => bytes.len() as u64 >= length,
        Body::Chunked => chunk::data(bytes).1,
        Body::None | Body::UntilClose | Body::Tunnel => true,
    };
    if wire.expects_continue && !is_complete(exchange.client.input.bytes()) {
        exchange.client.output.space(buffers).extend_from_slice(CONTINUE);
        exchange.request.remove(b"expect");
    }
    let limit = exchange.timeout(|section| section.timeouts.http_request).or_else(|| exchange.client_timeout());
    let deadline = limit.map(|limit| exchange.account.first_byte.unwrap_or(exchange.account.now) + limit);
    let client = &mut *exchange.client;
    let waited = std::future::poll_fn(|context| {
        // Should it not be read, the client's end is noticed below.
        let _ = client.poll_flush(context, buffers);
        while !is_complete(client.input.bytes()) {
            match client.poll_fill(context, buffers, false) {
                Poll::Ready(Ok(0) | Err(_)) => {
                    return Poll::Ready(Err(End::new(Cause::ClientAbort, Phase::Request, None)));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => {
                    return poll_silence(context, &session.timer, &[(deadline, ())])
                        .map(|()| Err(End::new(Cause::ClientTimeout, Phase::Request, Some(408))));
                }
            }
        }
        Poll::Ready(Ok(()))
    })
    .await;
    let now = exchange.tick();
    exchange.account.received = Some(now);
    waited
}
