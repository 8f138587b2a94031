//! Cookie persistence on an exchange: which server the client's cookie names, and what both sides see of cookies.

use super::policy;
use super::stream::Exchange;
use crate::balance::persist::{self, Edit, Written};
use crate::http::Head;
use crate::worker::view::BackendView;

/// Reads the request's cookies; the server they name, and the request as that server is to see it.
pub fn read(exchange: &mut Exchange<'_>, view: &BackendView) -> Option<usize> {
    let farm = &view.backend.farm;
    let settings = farm.settings().cookie.as_ref()?;
    exchange.request_wire?;
    if exchange.cookie_read.is_none() {
        let rules = &view.backend.section.rules;
        exchange.forced = policy::holds(exchange, view, &rules.force_persist);
        let lines = exchange.request.values(b"cookie");
        let now = exchange.date().as_secs();
        let mut read = persist::read(farm, lines, now, exchange.forced);
        apply(&mut exchange.request, b"cookie", &read.edits);
        if policy::holds(exchange, view, &rules.ignore_persist) {
            read.ignore();
        }
        // As long as no response came, nothing was written.
        exchange.account.cookies = [read.found.letter(settings), Written::None.letter(settings)].map(letter);
        exchange.cookie_read = Some(read);
    }
    exchange.cookie_read.as_ref()?.server
}

/// Writes the response's cookies.
pub fn write(exchange: &mut Exchange<'_>) {
    let Some((view, server)) = exchange.backend.zip(exchange.server_index) else { return };
    let farm = &view.backend.farm;
    let (Some(settings), Some(read)) = (&farm.settings().cookie, &exchange.cookie_read) else { return };
    let is_post = exchange.request.method() == b"POST";
    let now = exchange.date().as_secs();
    let write = persist::write(farm, read, server, exchange.response.values(b"set-cookie"), is_post, now);
    let response = &mut exchange.response;
    apply(response, b"set-cookie", &write.edits);
    if let Some(cookie) = &write.add {
        response.append(b"set-cookie", cookie);
    }
    if write.private {
        let validator = response.value(b"etag").is_some() || response.value(b"last-modified").is_some();
        let expires = response.value(b"expires").is_some();
        if persist::cacheable(response.values(b"cache-control"), expires, validator) {
            response.append(b"cache-control", b"private");
        }
    }
    exchange.account.cookies[1] = letter(write.written.letter(settings));
}

fn letter(letter: char) -> u8 {
    u8::try_from(letter).unwrap_or(b'-')
}

/// Changes the lines of one field. Ranks count the lines as they were before any edit, so it goes from the last to the first.
fn apply(head: &mut Head, name: &[u8], edits: &[Edit]) {
    if edits.is_empty() {
        return;
    }
    let lines: Vec<usize> =
        head.fields().enumerate().filter(|(_, (field, _))| *field == name).map(|(index, _)| index).collect();
    for edit in edits.iter().rev() {
        match (lines.get(edit.line), &edit.value) {
            (Some(&index), Some(value)) => head.set_value(index, value),
            (Some(&index), None) => head.remove_at(index),
            (None, _) => {}
        }
    }
}
