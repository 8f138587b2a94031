//! `capture …`: parts of messages that are kept for the log line, as they were before any rule changed them.

use super::stream::Exchange;
use crate::balance::persist::{self, Pair};
use crate::http::Head;
use crate::proxy::settings::{CookieCapture, HeaderCapture};
use crate::rules::effect;
use crate::sample::transaction::Captured;

/// What was captured of one exchange.
#[derive(Debug, Default)]
pub struct Captures {
    /// The request's cookie, `NAME=VALUE`.
    pub request_cookie: Option<Vec<u8>>,
    /// The response's.
    pub response_cookie: Option<Vec<u8>>,
}

/// Captures from the request.
pub fn request(exchange: &mut Exchange<'_>) {
    let frontend = &exchange.session.frontend;
    let ruled = &frontend.section.rules.request_captures;
    if !(frontend.capture_request.is_empty() && ruled.is_empty()) {
        exchange.transaction.captured_request.replace(places(&exchange.request, &frontend.capture_request, ruled));
    }
    // Whatever becomes of it, its line has the places for the response, too.
    let ruled = &frontend.section.rules.response_captures;
    if !(frontend.capture_response.is_empty() && ruled.is_empty()) {
        let declared = frontend.capture_response.iter().map(|capture| Captured::empty(capture.len as usize));
        exchange.transaction.captured_response.replace(declared.chain(effect::slots(ruled)).collect());
    }
}

/// The cookie of a request that no rule has answered, as rules have left it.
pub fn request_cookie(exchange: &mut Exchange<'_>) {
    if let Some(wanted) = &exchange.session.frontend.capture_cookie {
        let pairs = exchange.request.values(b"cookie").flat_map(|line| persist::pairs(line, usize::MAX));
        exchange.captures.request_cookie = cookie(pairs, wanted);
    }
}

/// Captures from the response.
pub fn response(exchange: &mut Exchange<'_>) {
    let frontend = &exchange.session.frontend;
    let ruled = &frontend.section.rules.response_captures;
    if !(frontend.capture_response.is_empty() && ruled.is_empty()) {
        exchange.transaction.captured_response.replace(places(&exchange.response, &frontend.capture_response, ruled));
    }
}

/// The cookie of a response, as rules have left it.
pub fn response_cookie(exchange: &mut Exchange<'_>) {
    if let Some(wanted) = &exchange.session.frontend.capture_cookie {
        let pairs = exchange.response.values(b"set-cookie").flat_map(|line| persist::pairs(line, 1));
        let older = exchange.response.values(b"set-cookie2").flat_map(|line| persist::pairs(line, usize::MAX));
        exchange.captures.response_cookie = cookie(pairs.chain(older), wanted);
    }
}

/// The last line of each field, cut to its length, and the places that only rules fill.
fn places(head: &Head, declared: &[HeaderCapture], ruled: &[usize]) -> Vec<Captured> {
    let last = |capture: &HeaderCapture| {
        let mut place = Captured::empty(capture.len as usize);
        let same = |(name, _): &(&[u8], &[u8])| name.eq_ignore_ascii_case(capture.name.as_bytes());
        if let Some((_, value)) = head.fields().rfind(same) {
            place.keep(value);
        }
        place
    };
    declared.iter().map(last).chain(effect::slots(ruled)).collect()
}

/// The first cookie that begins as is wanted, as `NAME=VALUE`.
fn cookie<'a>(pairs: impl Iterator<Item = Pair<'a>>, wanted: &CookieCapture) -> Option<Vec<u8>> {
    let mut written = pairs.map(|(name, value)| [name, b"=", value].concat());
    let mut found = written.find(|cookie| cookie.starts_with(wanted.start.as_bytes()))?;
    found.truncate(wanted.len as usize);
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_field_is_cut_to_its_length() {
        let mut head = Head::default();
        head.append(b"x", b"first");
        head.append(b"x", b"second");
        let wanted = [("X", 3), ("y", 9)].map(|(name, len)| HeaderCapture { name: name.to_owned(), len });
        let captured: Vec<_> =
            places(&head, &wanted, &[7]).into_iter().map(|place| (place.limit, place.text)).collect();
        assert_eq!(captured, [(3, Some(b"sec".to_vec())), (9, None), (7, None)]);
    }

    #[test]
    fn cookies_by_name_and_by_beginning() {
        let pairs =
            || [("ab", "1"), ("abc", "23"), ("b", "3")].map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let captured = |start: &str| {
            let wanted = CookieCapture { start: start.to_owned(), len: 5 };
            cookie(pairs().into_iter(), &wanted).map(|cookie| String::from_utf8(cookie).unwrap())
        };
        assert_eq!(captured("abc=").as_deref(), Some("abc=2"));
        assert_eq!(captured("a").as_deref(), Some("ab=1"));
        assert_eq!(captured("a="), None);
    }
}
