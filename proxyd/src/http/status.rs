//! Reason phrases, and the pages haproxy answers with when nothing else was configured. Their wording is what people's
//! monitoring greps for, so it is kept to the letter.

/// One built-in page.
struct Page {
    status: u16,
    reason: &'static str,
    message: &'static str,
}

const fn page(status: u16, reason: &'static str, message: &'static str) -> Page {
    Page { status, reason, message }
}

const PAGES: [Page; 21] = [
    page(200, "OK", "Service ready."),
    page(400, "Bad request", "Your browser sent an invalid request."),
    page(401, "Unauthorized", "You need a valid user and password to access this content."),
    page(403, "Forbidden", "Request forbidden by administrative rules."),
    page(404, "Not Found", "The resource could not be found."),
    page(
        405,
        "Method Not Allowed",
        "A request was made of a resource using a request method not supported by that resource",
    ),
    page(407, "Unauthorized", "You need a valid user and password to access this content."),
    page(408, "Request Time-out", "Your browser didn't send a complete request in time."),
    page(410, "Gone", "The resource is no longer available and will not be available again."),
    page(413, "Payload Too Large", "The request entity exceeds the maximum allowed."),
    page(414, "URI Too Long", "The request URI is too long."),
    page(421, "Misdirected Request", "Request sent to a non-authoritative server."),
    page(422, "Unprocessable Content", "The server cannot process the contained instructions."),
    page(425, "Too Early", "Your browser sent early data."),
    page(429, "Too Many Requests", "You have sent too many requests in a given amount of time."),
    page(431, "Request Header Fields Too Large", "The request headers are too large."),
    page(500, "Internal Server Error", "An internal server error occurred."),
    page(501, "Not Implemented", ".The server does not support the functionality required to fulfill the request."),
    page(502, "Bad Gateway", "The server returned an invalid or incomplete response."),
    page(503, "Service Unavailable", "No server is available to handle this request."),
    page(504, "Gateway Time-out", "The server didn't respond in time."),
];

/// Whether there is a page for a status.
pub fn has_page(status: u16) -> bool {
    find(status).is_some()
}

/// The built-in page's body for a status; a status without a page gets the one of 500, as haproxy does.
pub fn body(status: u16) -> String {
    let page = find(status).or_else(|| find(500));
    page.map_or_else(String::new, |page| {
        format!("<html><body><h1>{} {}</h1>\n{}\n</body></html>\n", page.status, page.reason, page.message)
    })
}

/// A whole response to bytes that are no request: haproxy writes it without looking at the connection's mode, with
/// capitals in the names and always before closing, though not all of them say so.
pub fn raw_page(status: u16) -> Vec<u8> {
    let body = body(status);
    let close = if matches!(status, 413 | 422) { "" } else { "Connection: close\r\n" };
    format!(
        "HTTP/1.1 {status} {}\r\nContent-length: {}\r\nCache-Control: no-cache\r\n{close}Content-Type: text/html\r\n\r\n{body}",
        reason(status),
        body.len()
    )
    .into_bytes()
}

fn find(status: u16) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.status == status)
}

/// The reason phrase of a built-in page, or of a redirect.
pub fn reason(status: u16) -> &'static str {
    match find(status) {
        Some(page) => page.reason,
        None if status == 302 => "Found",
        None => phrase(status),
    }
}

/// The reason phrases of statuses that haproxy 2.6 knows, in the order of their numbers.
const PHRASES: &[(u16, &str)] = &[
    (100, "Continue"),
    (101, "Switching Protocols"),
    (102, "Processing"),
    (103, "Early Hints"),
    (200, "OK"),
    (201, "Created"),
    (202, "Accepted"),
    (203, "Non-Authoritative Information"),
    (204, "No Content"),
    (205, "Reset Content"),
    (206, "Partial Content"),
    (207, "Multi-Status"),
    (210, "Content Different"),
    (226, "IM Used"),
    (300, "Multiple Choices"),
    (301, "Moved Permanently"),
    (302, "Moved Temporarily"),
    (303, "See Other"),
    (304, "Not Modified"),
    (305, "Use Proxy"),
    (307, "Temporary Redirect"),
    (308, "Permanent Redirect"),
    (310, "Too many Redirects"),
    (400, "Bad Request"),
    (401, "Unauthorized"),
    (402, "Payment Required"),
    (403, "Forbidden"),
    (404, "Not Found"),
    (405, "Method Not Allowed"),
    (406, "Not Acceptable"),
    (407, "Proxy Authentication Required"),
    (408, "Request Time-out"),
    (409, "Conflict"),
    (410, "Gone"),
    (411, "Length Required"),
    (412, "Precondition Failed"),
    (413, "Request Entity Too Large"),
    (414, "Request-URI Too Long"),
    (415, "Unsupported Media Type"),
    (416, "Requested range unsatisfiable"),
    (417, "Expectation failed"),
    (418, "I'm a teapot"),
    (421, "Misdirected Request"),
    (422, "Unprocessable Content"),
    (423, "Locked"),
    (424, "Method failure"),
    (425, "Too Early"),
    (426, "Upgrade Required"),
    (428, "Precondition Required"),
    (429, "Too Many Requests"),
    (431, "Request Header Fields Too Large"),
    (449, "Retry With"),
    (450, "Blocked by Windows Parental Controls"),
    (451, "Unavailable For Legal Reasons"),
    (456, "Unrecoverable Error"),
    (499, "client has closed connection"),
    (500, "Internal Server Error"),
    (501, "Not Implemented"),
    (502, "Bad Gateway or Proxy Error"),
    (503, "Service Unavailable"),
    (504, "Gateway Time-out"),
    (505, "HTTP Version not supported"),
    (506, "Variant also negotiate"),
    (507, "Insufficient storage"),
    (508, "Loop detected"),
    (509, "Bandwidth Limit Exceeded"),
    (510, "Not extended"),
    (511, "Network authentication required"),
    (520, "Web server is returning an unknown error"),
];

/// The reason phrase of an answer that rules make, or of one that came without: some are not those of the pages.
pub fn phrase(status: u16) -> &'static str {
    if let Ok(at) = PHRASES.binary_search_by_key(&status, |(known, _)| *known) {
        return PHRASES[at].1;
    }
    match status {
        200..=299 => "Success",
        300..=399 => "Redirection",
        400..=499 => "Client Error",
        500..=599 => "Server Error",
        _ => "Other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths as haproxy announces them: the wording is exact if they agree.
    #[test]
    fn bodies_have_haproxys_lengths() {
        let lengths = [
            (200, 58),
            (400, 90),
            (401, 112),
            (403, 93),
            (404, 83),
            (405, 146),
            (407, 112),
            (408, 110),
            (410, 114),
            (413, 106),
            (421, 104),
            (422, 116),
            (425, 80),
            (429, 117),
            (500, 97),
            (501, 136),
            (502, 107),
            (503, 107),
            (504, 92),
        ];
        for (status, length) in lengths {
            assert_eq!(body(status).len(), length, "{status}");
        }
        assert_eq!(body(599), body(500));
    }

    #[test]
    fn phrases_are_not_always_those_of_pages() {
        for (status, page, other) in [
            (302, "Found", "Moved Temporarily"),
            (400, "Bad request", "Bad Request"),
            (407, "Unauthorized", "Proxy Authentication Required"),
            (413, "Payload Too Large", "Request Entity Too Large"),
            (502, "Bad Gateway", "Bad Gateway or Proxy Error"),
            (503, "Service Unavailable", "Service Unavailable"),
            (418, "I'm a teapot", "I'm a teapot"),
            (499, "client has closed connection", "client has closed connection"),
            (299, "Success", "Success"),
            (600, "Other", "Other"),
        ] {
            assert_eq!((reason(status), phrase(status)), (page, other), "{status}");
        }
    }

    #[test]
    fn a_parse_errors_page() {
        assert_eq!(
            String::from_utf8(raw_page(400)).unwrap(),
            "HTTP/1.1 400 Bad request\r\nContent-length: 90\r\nCache-Control: no-cache\r\nConnection: close\r\n\
             Content-Type: text/html\r\n\r\n<html><body><h1>400 Bad request</h1>\nYour browser sent an invalid request.\n\
             </body></html>\n"
        );
    }
}
