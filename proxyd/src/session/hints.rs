//! `early-hint`: a response that comes before the one that counts (RFC 8297).

use std::task::Poll;

use super::h1;
use super::stream::Exchange;
use crate::http::Version;

/// What haproxy counts of the head of such a response besides the names and values of its fields.
const COUNTED: usize = 43;

/// Whether rules have put together hints that were not sent.
pub fn are_due(exchange: &Exchange<'_>) -> bool {
    exchange.transaction.known_rare().is_some_and(|rare| !rare.hints.borrow().is_empty())
}

/// Sends them as far as the client takes them now; the rest goes before whatever it is sent next.
pub async fn give(exchange: &mut Exchange<'_>) {
    let Some(rare) = exchange.transaction.known_rare() else { return };
    let hints = rare.hints.take();
    // Older clients would take it for the response.
    if exchange.request.version() < Version::HTTP_11 {
        return;
    }
    let buffers = &exchange.session.worker.buffers;
    let out = exchange.client.output.space(buffers);
    let (mut counted, start) = (0, out.len());
    for message in hints {
        out.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\n");
        counted += COUNTED;
        for (name, value) in message {
            out.extend_from_slice(&[&*name, b": ", &*value, b"\r\n"].concat());
            counted += name.len() + value.len();
        }
        out.extend_from_slice(b"\r\n");
    }
    h1::adjust_for_client(exchange.session, out, start);
    exchange.account.bytes_out += counted as u64;
    std::future::poll_fn(|context| {
        // A client that is gone is noticed where it is waited for.
        let _ = exchange.client.poll_flush(context, buffers);
        Poll::Ready(())
    })
    .await;
}
