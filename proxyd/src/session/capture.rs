//! `capture …`: parts of messages that are kept for the log line, as they were before any rule changed them.

use super::stream::Exchange;
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
    if let Some(wanted) = &frontend.capture_cookie {
        let pairs = exchange.request.values(b"cookie").flat_map(|line| line.split(|&byte| byte == b';'));
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
    if let Some(wanted) = &frontend.capture_cookie {
        let pairs = exchange.response.values(b"set-cookie").filter_map(|line| line.split(|&byte| byte == b';').next());
        exchange.captures.response_cookie = cookie(pairs, wanted);
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

/// The first pair whose name is the one wanted, or begins with it.
fn cookie<'a>(mut pairs: impl Iterator<Item = &'a [u8]>, wanted: &CookieCapture) -> Option<Vec<u8>> {
    let matches = |pair: &&[u8]| match pair.strip_prefix(wanted.name.as_bytes()) {
        Some(rest) => wanted.prefix || rest.first() == Some(&b'='),
        None => false,
    };
    pairs.by_ref().map(<[u8]>::trim_ascii).find(matches).map(|pair| cut(pair, wanted.len))
}

fn cut(value: &[u8], length: u32) -> Vec<u8> {
    value.get(..length as usize).unwrap_or(value).to_vec()
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
        let pairs = || [&b"ab=1"[..], b" abc=2", b"b=3"].into_iter();
        let wanted = |name: &str, prefix| CookieCapture { name: name.to_owned(), prefix, len: 5 };
        assert_eq!(cookie(pairs(), &wanted("abc", false)), Some(b"abc=2".to_vec()));
        assert_eq!(cookie(pairs(), &wanted("ab", true)), Some(b"ab=1".to_vec()));
        assert_eq!(cookie(pairs(), &wanted("a", false)), None);
    }
}
