//! A request: the head of an HTTP message. Whatever arrives, this answers with one of three values and never panics.

/// The longest head that is read.
pub const HEAD_MAX: usize = 4096;

/// What may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// `GET /status`: for people.
    Status,
    /// `GET /status.json`
    StatusJson,
    /// `GET /metrics`: for Prometheus.
    Metrics,
    /// `GET /keepalived.json`: what keepalived's JSON signal writes.
    Dump,
    /// `POST /reload`, on the local socket only.
    Reload,
}

/// What has been read so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// There must be more to come.
    Incomplete,
    /// A request.
    Complete(Request),
    /// Not one that is answered; the status says why.
    Refused(u16),
}

/// Looks at what has been read of a request. Header fields do not matter.
pub fn parse(text: &[u8]) -> Head {
    let Some(end) = end_of_head(text) else {
        return if text.len() >= HEAD_MAX { Head::Refused(431) } else { Head::Incomplete };
    };
    let line = text.get(..end).unwrap_or_default().split(|&byte| byte == b'\n').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else { return Head::Refused(400) };
    let mut words = line.trim_end_matches('\r').split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Head::Refused(400);
    };
    if !version.starts_with("HTTP/1.") {
        return Head::Refused(505);
    }
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let known = match path {
        "/" | "/status" => Some(Request::Status),
        "/status.json" => Some(Request::StatusJson),
        "/metrics" => Some(Request::Metrics),
        "/keepalived.json" => Some(Request::Dump),
        "/reload" => Some(Request::Reload),
        _ => None,
    };
    match (known, method) {
        (None, _) => Head::Refused(404),
        (Some(Request::Reload), "POST") => Head::Complete(Request::Reload),
        (Some(Request::Reload), _) => Head::Refused(405),
        (Some(request), "GET") => Head::Complete(request),
        (Some(_), _) => Head::Refused(405),
    }
}

/// Where the empty line is.
fn end_of_head(text: &[u8]) -> Option<usize> {
    let crlf = text.windows(4).position(|four| four == b"\r\n\r\n");
    let lf = text.windows(2).position(|two| two == b"\n\n");
    crlf.into_iter().chain(lf).min()
}

/// The reason phrase of a status.
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn heads() {
        for (text, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", Head::Complete(Request::Metrics)),
            ("GET /status.json?x=1 HTTP/1.0\n\n", Head::Complete(Request::StatusJson)),
            ("GET / HTTP/1.1\r\n\r\n", Head::Complete(Request::Status)),
            ("POST /reload HTTP/1.1\r\n\r\n", Head::Complete(Request::Reload)),
            ("GET /reload HTTP/1.1\r\n\r\n", Head::Refused(405)),
            ("PUT /metrics HTTP/1.1\r\n\r\n", Head::Refused(405)),
            ("GET /etc/passwd HTTP/1.1\r\n\r\n", Head::Refused(404)),
            ("GET /metrics HTTP/2\r\n\r\n", Head::Refused(505)),
            ("GET /metrics\r\n\r\n", Head::Refused(400)),
            ("\r\n\r\n", Head::Refused(400)),
            ("GET /metrics HTTP/1.1\r\n", Head::Incomplete),
            ("", Head::Incomplete),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(parse(&[b'x'; HEAD_MAX]), Head::Refused(431));
    }

    proptest! {
        #[test]
        fn any_octets_are_judged(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let with_end = [text.as_slice(), b"\n\n"].concat();
            prop_assert_ne!(parse(&with_end), Head::Incomplete);
            parse(&text);
        }
    }
}
