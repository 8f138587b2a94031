//! Cookie persistence on an exchange: which server the client's cookie names, and what both sides see of cookies.

use super::stream::Exchange;
use super::{body, policy};
use crate::balance::persist::{self, Edit, Written};
use crate::http::Head;
use crate::log::syslog::Level;
use crate::log_sink::Destination;
use crate::termination::{Cause, End, Phase};
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
        apply(&mut exchange.request, |name| name == b"cookie", &read.edits);
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
    let lines = exchange.response.fields().filter(|(name, _)| is_set_cookie(name)).map(|(_, value)| value);
    let write = persist::write(farm, read, server, lines, is_post, now);
    let response = &mut exchange.response;
    apply(response, is_set_cookie, &write.edits);
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

/// Another server is tried than the one that the client's cookie means.
pub fn redispatch(exchange: &mut Exchange<'_>) {
    let settings = exchange.backend.and_then(|view| view.backend.farm.settings().cookie.as_ref());
    if let (Some(settings), Some(read)) = (settings, &mut exchange.cookie_read) {
        read.redispatch();
        exchange.account.cookies[0] = letter(read.found.letter(settings));
    }
}

fn is_set_cookie(name: &[u8]) -> bool {
    matches!(name, b"set-cookie" | b"set-cookie2")
}

/// `option checkcache`: a response with a cookie that a shared cache could give to others is not passed on.
pub fn check_cache(exchange: &mut Exchange<'_>) -> Result<(), End> {
    let Some(view) = exchange.backend.filter(|view| view.backend.checkcache) else { return Ok(()) };
    if !may_be_shared(&exchange.request, &exchange.response) {
        return Ok(());
    }
    let session = exchange.session;
    policy::count_denied_response(exchange);
    body::withdraw_response(exchange);
    let section = &view.backend.section;
    let server = exchange.server_index.and_then(|index| view.backend.servers.get(index));
    let server = server.map_or("<dispatch>", |server| &server.name);
    let text = format!("Blocking cacheable cookie in response from instance {}, server {server}.", section.name);
    let now = exchange.date();
    let destination = Destination { loggers: &section.logs, tag: &section.log_tag, level: Level::Alert, now };
    session.worker.log.event(destination, &text);
    Err(End::new(Cause::Proxy, Phase::Headers, Some(502)))
}

/// Whether a cookie comes with a response that a shared cache would keep.
fn may_be_shared(request: &Head, response: &Head) -> bool {
    let has = |name: &[u8]| response.value(name).is_some();
    let cookie = has(b"set-cookie") || has(b"set-cookie2");
    let kept = matches!(request.method(), b"GET" | b"HEAD")
        && matches!(response.status(), 200 | 203 | 204 | 206 | 300 | 301 | 404 | 405 | 410 | 414 | 501);
    if !cookie || !kept || response.values(b"pragma").any(|value| value.eq_ignore_ascii_case(b"no-cache")) {
        return false;
    }
    let directives = response.values(b"cache-control").flat_map(|value| value.split(|&byte| byte == b','));
    let spared = |directive: &[u8]| {
        let directive = directive.trim_ascii().to_ascii_lowercase();
        directive.starts_with(b"no-cache=\"set-cookie")
    };
    let without_cookie = directives.into_iter().any(spared);
    let validator = has(b"etag") || has(b"last-modified");
    !without_cookie && persist::cacheable(response.values(b"cache-control"), has(b"expires"), validator)
}

fn letter(letter: char) -> u8 {
    u8::try_from(letter).unwrap_or(b'-')
}

/// Changes the lines of the fields with such a name. Ranks count the lines as they were before any edit, so it goes from the last to the first.
fn apply(head: &mut Head, is: impl Fn(&[u8]) -> bool, edits: &[Edit]) {
    if edits.is_empty() {
        return;
    }
    let lines: Vec<usize> =
        head.fields().enumerate().filter(|(_, (name, _))| is(name)).map(|(index, _)| index).collect();
    for edit in edits.iter().rev() {
        match (lines.get(edit.line), &edit.value) {
            (Some(&index), Some(value)) => head.set_value(index, value),
            (Some(&index), None) => head.remove_at(index),
            (None, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Version;

    /// haproxy's answers: a response is blocked or passed.
    #[test]
    fn responses_that_a_cache_would_keep() {
        for (method, status, fields, blocked) in [
            ("GET", 200, "", false),
            ("GET", 200, "expires: 0", true),
            ("GET", 200, "etag: x", true),
            ("GET", 200, "last-modified: x", true),
            ("GET", 200, "cache-control: public", false),
            ("GET", 200, "cache-control: max-age=10", true),
            ("GET", 200, "cache-control: MAX-AGE=5", true),
            ("GET", 200, "cache-control: s-maxage=5", true),
            ("GET", 200, "cache-control: max-age=0, s-maxage=5", false),
            ("GET", 200, "cache-control: max-age=5, private", false),
            ("GET", 200, "cache-control: max-age=5, no-cache=\"set-cookie\"", false),
            ("GET", 200, "expires: 0|pragma: no-cache", false),
            ("GET", 200, "expires: 0|cache-control: public", true),
            ("GET", 200, "expires: 0|vary: *", true),
            ("HEAD", 200, "expires: 0", true),
            ("POST", 200, "expires: 0", false),
            ("PUT", 200, "expires: 0", false),
            ("GET", 204, "expires: 0", true),
            ("GET", 404, "expires: 0", true),
            ("GET", 201, "expires: 0", false),
            ("GET", 302, "expires: 0", false),
            ("GET", 500, "expires: 0", false),
        ] {
            let (mut request, mut response) = (Head::default(), Head::default());
            request.start_request(method.as_bytes(), b"/", Version::HTTP_11);
            response.start_response(Version::HTTP_11, status, b"");
            for (name, value) in fields.split('|').filter_map(|field| field.split_once(": ")) {
                response.append(name.as_bytes(), value.as_bytes());
            }
            assert!(!may_be_shared(&request, &response), "without a cookie");
            response.append(b"set-cookie", b"a=b");
            assert_eq!(may_be_shared(&request, &response), blocked, "{method} {status} {fields}");
        }
    }
}
