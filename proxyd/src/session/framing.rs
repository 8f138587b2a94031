//! Where a message ends is not for rules to say: what they leave of it in a head is put right before that is sent.

use super::stream::Exchange;
use crate::http::Head;
use crate::http::h1::Body;

/// After the rules on a request.
pub(super) fn settle_request(exchange: &mut Exchange<'_>) {
    if exchange.transaction.framing_edited.take() {
        let body = exchange.request_wire.map_or(Body::None, |wire| wire.body);
        settle(&mut exchange.request, body);
    }
}

/// After the rules on a response. One that has its connection end is obeyed.
pub(super) fn settle_response(exchange: &mut Exchange<'_>, body: Body) {
    if !exchange.transaction.framing_edited.take() {
        return;
    }
    // Without a body, a length tells that of another answer (RFC 9110, section 8.6).
    if body != Body::None {
        settle(&mut exchange.response, body);
    }
    let elements = exchange.response.values(b"connection").flat_map(|value| value.split(|&byte| byte == b','));
    let (closes, others): (Vec<_>, Vec<_>) =
        elements.map(<[u8]>::trim_ascii).partition(|element| element.eq_ignore_ascii_case(b"close"));
    if !closes.is_empty() {
        let others = others.join(&b", "[..]);
        exchange.response.remove(b"connection");
        if !others.is_empty() {
            exchange.response.append(b"connection", &others);
        }
        exchange.keep_alive = false;
    }
}

/// Makes the head say what is true of the body that follows.
fn settle(head: &mut Head, body: Body) {
    let length = match body {
        Body::Length(length) => Some(length.to_string()),
        _ => None,
    };
    let chunks = |value: &[u8]| value.trim_ascii().to_ascii_lowercase().ends_with(b"chunked");
    let says_chunked = head.values(b"transfer-encoding").next_back().is_some_and(chunks);
    let has_coding = head.values(b"transfer-encoding").next().is_some();
    let says_length = |text: &str| head.values(b"content-length").eq([text.as_bytes()]);
    let says_nothing = head.values(b"content-length").next().is_none();
    let is_right = match (&length, body) {
        (Some(length), _) => says_length(length) && !has_coding,
        (None, Body::Chunked) => says_chunked && says_nothing,
        (None, Body::Tunnel) => true,
        (None, Body::None) => (says_nothing || says_length("0")) && !has_coding,
        (None, _) => says_nothing && !has_coding,
    };
    if is_right {
        return;
    }
    head.retain(|name, _| name != b"content-length" && name != b"transfer-encoding");
    if let Some(length) = length {
        head.append(b"content-length", length.as_bytes());
    } else if body == Body::Chunked {
        head.append(b"transfer-encoding", b"chunked");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_tells_how_its_body_is_sent() {
        for (fields, body, expected) in [
            ("content-length: 3", Body::Length(3), "content-length: 3"),
            ("content-length: 1", Body::Length(3), "content-length: 3"),
            ("content-length: 3|content-length: 4", Body::Length(3), "content-length: 3"),
            ("", Body::Length(3), "content-length: 3"),
            ("content-length: 3|transfer-encoding: chunked", Body::Length(3), "content-length: 3"),
            ("transfer-encoding: gzip, chunked", Body::Chunked, "transfer-encoding: gzip, chunked"),
            ("transfer-encoding: chunked|content-length: 3", Body::Chunked, "transfer-encoding: chunked"),
            ("", Body::Chunked, "transfer-encoding: chunked"),
            ("transfer-encoding: gzip", Body::Chunked, "transfer-encoding: chunked"),
            ("content-length: 0", Body::None, "content-length: 0"),
            ("content-length: 4", Body::None, ""),
            ("transfer-encoding: chunked", Body::None, ""),
            ("content-length: 4", Body::UntilClose, ""),
            ("", Body::UntilClose, ""),
        ] {
            let mut head = Head::default();
            for field in fields.split('|').filter(|field| !field.is_empty()) {
                let (name, value) = field.split_once(": ").unwrap();
                head.append(name.as_bytes(), value.as_bytes());
            }
            settle(&mut head, body);
            let mut left = Vec::new();
            for name in ["content-length", "transfer-encoding"] {
                left.extend(
                    head.values(name.as_bytes()).map(|value| format!("{name}: {}", String::from_utf8_lossy(value))),
                );
            }
            assert_eq!(left.join("|"), expected, "{fields} {body:?}");
        }
    }
}
