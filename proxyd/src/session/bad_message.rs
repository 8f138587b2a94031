//! Keeps bytes that were to be a message, but are none, for operators who ask.

use super::h1;
use super::stream::Exchange;
use crate::http::h1::Limits;
use crate::proxy::Section;
use crate::proxy::bad_message::{BadMessage, Wanted};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a client has sent.
#[cold]
pub(super) fn keep_request(exchange: &Exchange<'_>) {
    let section = &exchange.session.frontend.section;
    keep(exchange, section, Wanted::Request(h1::limits(exchange.session)), exchange.client.input.bytes());
}

/// What a server has sent.
#[cold]
pub(super) fn keep_response(exchange: &Exchange<'_>, limits: Limits) {
    if let (Some(view), Some(server), Some(request)) = (exchange.backend, &exchange.server, exchange.request_wire) {
        keep(exchange, &view.backend.section, Wanted::Response(request, limits), server.conn.input.bytes());
    }
}

fn keep(exchange: &Exchange<'_>, section: &Section, wanted: Wanted, bytes: &[u8]) {
    let session = exchange.session;
    // More announcements than are taken: nothing is wrong with the bytes.
    if bytes.is_empty() {
        return;
    }
    let named = |section: &Section| (Arc::clone(&section.name), section.id);
    let server = exchange.server_index.zip(exchange.backend).and_then(|(index, view)| view.backend.servers.get(index));
    section.bad_messages.keep(BadMessage {
        came: session.worker.date(exchange.account.now),
        event: session.view.generation.global.bad_messages.fetch_add(1, Ordering::Relaxed),
        source: session.source,
        frontend: named(&session.frontend.section),
        backend: exchange.backend.map(|view| named(&view.backend.section)),
        server: server.map(|server| (Arc::clone(&server.name), server.id)),
        wanted,
        room: session.worker.buffers.size(),
        bytes: bytes.to_vec(),
    });
}
