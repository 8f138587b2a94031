//! `capture …`: parts of messages that are kept for the log line, as they were before any rule changed them.

use super::stream::Exchange;
use crate::http::Head;
use crate::proxy::settings::{CookieCapture, HeaderCapture};

/// What was captured of one exchange.
#[derive(Debug, Default)]
pub struct Captures {
    /// Of the request's header fields, in the order of the configuration.
    pub request: Vec<Option<Vec<u8>>>,
    /// Of the response's.
    pub response: Vec<Option<Vec<u8>>>,
    /// The request's cookie, `NAME=VALUE`.
    pub request_cookie: Option<Vec<u8>>,
    /// The response's.
    pub response_cookie: Option<Vec<u8>>,
}

/// Captures from the request.
pub fn request(exchange: &mut Exchange<'_>) {
    let frontend = &exchange.session.frontend;
    if !frontend.capture_request.is_empty() {
        exchange.captures.request = fields(&exchange.request, &frontend.capture_request);
    }
    if let Some(wanted) = &frontend.capture_cookie {
        let pairs = exchange.request.values(b"cookie").flat_map(|line| line.split(|&byte| byte == b';'));
        exchange.captures.request_cookie = cookie(pairs, wanted);
    }
}

/// Captures from the response.
pub fn response(exchange: &mut Exchange<'_>) {
    let frontend = &exchange.session.frontend;
    if !frontend.capture_response.is_empty() {
        exchange.captures.response = fields(&exchange.response, &frontend.capture_response);
    }
    if let Some(wanted) = &frontend.capture_cookie {
        let pairs = exchange.response.values(b"set-cookie").filter_map(|line| line.split(|&byte| byte == b';').next());
        exchange.captures.response_cookie = cookie(pairs, wanted);
    }
}

/// The last line of each field, cut to its length.
fn fields(head: &Head, wanted: &[HeaderCapture]) -> Vec<Option<Vec<u8>>> {
    let last = |capture: &HeaderCapture| {
        let same = |(name, _): &(&[u8], &[u8])| name.eq_ignore_ascii_case(capture.name.as_bytes());
        head.fields().rfind(same).map(|(_, value)| cut(value, capture.len))
    };
    wanted.iter().map(last).collect()
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
        assert_eq!(fields(&head, &wanted), [Some(b"sec".to_vec()), None]);
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
