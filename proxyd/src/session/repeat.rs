//! A request with a body that may have to be sent again (`retry-on`): its body is kept while it goes out.
//!
//! As haproxy does, what is there as a whole when the first attempt begins is repeated, if it has room in one buffer. What comes
//! later is sent once.

use std::task::Poll;

use super::body;
use super::stream::Exchange;
use crate::http::Head;
use crate::http::h1::Body;
use crate::worker::view::BackendView;

/// What haproxy's form of a message takes of a buffer besides the bytes that it counts: in all, and for each part.
const FORM: u64 = 48;
const PART: u64 = 8;
/// Parts besides the fields: the first line, the end of the head, the data.
const PARTS: u64 = 3;
/// What ends a body in chunks.
const CHUNKS_END: u64 = PART + 1;

/// Before the first attempt: keeps the body if the backend repeats what a server has got, and all of it has come.
pub async fn keep(exchange: &mut Exchange<'_>, view: &BackendView) {
    let first = exchange.account.retries == 0 && !exchange.fresh_only;
    if first && view.backend.retry_on.repeats_requests() && may_repeat(exchange) {
        Box::pin(read(exchange)).await;
        if is_whole(exchange) {
            let kept = exchange.client.input.bytes().to_vec();
            exchange.transaction.rare().kept_body.replace(kept);
        }
    }
}

/// Whether nothing about a request forbids that it is sent again.
pub fn may_repeat(exchange: &Exchange<'_>) -> bool {
    let once = exchange.transaction.known_rare().is_some_and(|rare| rare.sent_once.get());
    !once && exchange.request.method() != b"CONNECT"
}

/// Takes what has arrived of the body.
async fn read(exchange: &mut Exchange<'_>) {
    let buffers = &exchange.session.worker.buffers;
    std::future::poll_fn(|context| {
        while exchange.client.input.len() < buffers.size() && !body::received(exchange).has(0) {
            match exchange.client.poll_fill(context, buffers, false) {
                Poll::Ready(Ok(1..)) => {}
                // The upload finds out that there is no more.
                Poll::Ready(Ok(0) | Err(_)) | Poll::Pending => break,
            }
        }
        Poll::Ready(())
    })
    .await;
}

/// Whether all of the request has come, and fits into haproxy's buffer.
fn is_whole(exchange: &Exchange<'_>) -> bool {
    let body = body::received(exchange);
    let framing = if exchange.transaction.body.get() == Body::Chunked { CHUNKS_END } else { 0 };
    let tune = &exchange.session.view.generation.global.tune;
    body.has(0) && size(&exchange.request, body.data().len() as u64 + framing) <= tune.message_size()
}

/// What a request takes of a buffer of haproxy.
fn size(head: &Head, body: u64) -> u64 {
    FORM + head.counted_request_len() + PART * (head.fields().len() as u64 + PARTS) + body
}

/// Whether the body, or that there is none, is still known as a whole.
pub fn is_known(exchange: &Exchange<'_>) -> bool {
    let kept = || exchange.transaction.known_rare().is_some_and(|rare| !rare.kept_body.borrow().is_empty());
    (exchange.upload.is_done() && exchange.upload.moved == 0) || kept()
}

/// Before another attempt: what was taken of the body is there once more.
pub fn restore(exchange: &mut Exchange<'_>) {
    let Some((rare, wire)) = exchange.transaction.known_rare().zip(exchange.request_wire) else { return };
    let kept = rare.kept_body.borrow();
    let moved = usize::try_from(exchange.upload.moved).unwrap_or(usize::MAX);
    if let Some(taken) = kept.get(..moved).filter(|taken| !taken.is_empty()) {
        exchange.client.input.put_back(taken, &exchange.session.worker.buffers);
        exchange.upload.restart(wire.body);
        exchange.transaction.body.set(wire.body);
    }
}

/// The last attempt has an answer.
pub fn forget(exchange: &Exchange<'_>) {
    if let Some(rare) = exchange.transaction.known_rare() {
        rare.kept_body.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Version;

    /// The largest bodies that haproxy 2.6 sends again.
    #[test]
    fn room_is_haproxys() {
        let mut head = Head::default();
        head.start_request(b"POST", b"/", Version::HTTP_11);
        head.append(b"host", b"h");
        let mut chunked = head.clone();
        chunked.append(b"transfer-encoding", b"chunked");
        assert_eq!(size(&chunked, 15_200 + CHUNKS_END), 15_360);
        head.append(b"content-length", b"15214");
        assert_eq!(size(&head, 15_214), 15_360);
        for number in b'0'..b'5' {
            head.append(&[b'x', b'-', number], b"v");
        }
        assert_eq!(size(&head, 15_154), 15_360);
    }
}
