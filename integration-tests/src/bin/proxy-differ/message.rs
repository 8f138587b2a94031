//! Cuts a stream of bytes into HTTP messages. It reads what a proxy has sent, which is canonical; whatever is not stays as it is.

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Framing {
    #[default]
    None,
    Length,
    Chunked,
    /// To the end of the connection, or bytes that are no message.
    Rest,
}

/// A message, without the sizes of its chunks: how a body is cut depends on when its pieces came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) head: Vec<u8>,
    pub(crate) framing: Framing,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<u8>,
    pub(crate) complete: bool,
    /// Where the next one begins; 0 in a list of all, which is compared.
    end: usize,
}

impl Message {
    /// The status of a response, 0 for anything else.
    pub(crate) fn status(&self) -> u16 {
        let line = self.head.strip_prefix(b"HTTP/").and_then(|rest| rest.splitn(3, |&byte| byte == b' ').nth(1));
        let code = line.and_then(|code| std::str::from_utf8(code).ok());
        code.and_then(|code| code.trim().parse().ok()).unwrap_or(0)
    }

    pub(crate) fn method(&self) -> &[u8] {
        self.head.split(|&byte| byte == b' ').next().unwrap_or_default()
    }

    pub(crate) fn target(&self) -> &[u8] {
        self.head.split(|&byte| byte == b' ').nth(1).unwrap_or_default()
    }

    /// The value of the first field of a name, given in lower case.
    pub(crate) fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields(name).next()
    }

    /// The values of all fields of a name, given in lower case.
    pub(crate) fn fields(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.head.split(|&byte| byte == b'\n').skip(1).filter_map(move |line| {
            let (own, value) = line.split_at_checked(name.len())?;
            let value = value.strip_prefix(b":").filter(|_| own.eq_ignore_ascii_case(name.as_bytes()))?;
            Some(value.trim_ascii())
        })
    }

    /// How much of the stream it is.
    pub(crate) fn length(&self) -> usize {
        self.end
    }

    /// Whether what follows the head is no HTTP any more: an upgrade was granted.
    pub(crate) fn is_switch(&self) -> bool {
        self.status() == 101
    }
}

/// All requests of a stream; the last may be incomplete.
pub(crate) fn requests(bytes: &[u8]) -> Vec<Message> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some(mut message) = request(rest) {
        rest = &rest[std::mem::take(&mut message.end)..];
        let tunnel = message.method() == b"CONNECT";
        found.push(message);
        if tunnel && !rest.is_empty() {
            found.push(Message { end: 0, ..raw(rest) });
            rest = &[];
        }
    }
    found
}

/// The first request of a stream, complete or not.
pub(crate) fn request(bytes: &[u8]) -> Option<Message> {
    first(bytes, |_| false)
}

/// All responses of a stream; the last may be incomplete.
pub(crate) fn responses(bytes: &[u8]) -> Vec<Message> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some(mut message) = first(rest, |after| after.is_empty() || begins_a_response(after)) {
        rest = &rest[std::mem::take(&mut message.end)..];
        let tunnel = message.is_switch();
        found.push(message);
        if tunnel && !rest.is_empty() {
            found.push(Message { end: 0, ..raw(rest) });
            rest = &[];
        }
    }
    found
}

/// Whether bytes look like a status line, in any of the protocols that are tried.
fn begins_a_response(bytes: &[u8]) -> bool {
    let protocol = bytes.split(|&byte| byte == b' ').next().unwrap_or_default();
    bytes.starts_with(b"ICY ")
        || (protocol.contains(&b'/')
            && protocol.iter().all(|byte| b"/.".contains(byte) || byte.is_ascii_uppercase() || byte.is_ascii_digit()))
}

fn raw(bytes: &[u8]) -> Message {
    let body = bytes.to_vec();
    Message { head: Vec::new(), framing: Framing::Rest, body, trailers: Vec::new(), complete: false, end: bytes.len() }
}

/// The first message of a stream. `is_bodiless` looks at what follows the head of one that announces a body: the answer to a HEAD
/// has none.
fn first(bytes: &[u8], is_bodiless: impl Fn(&[u8]) -> bool) -> Option<Message> {
    if bytes.is_empty() {
        return None;
    }
    let Some(length) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else { return Some(raw(bytes)) };
    let head_end = length + 4;
    let mut message = raw(&[]);
    message.head = bytes[..head_end].to_vec();
    message.complete = true;
    message.end = head_end;
    message.framing = Framing::None;
    let after = &bytes[head_end..];
    let status = message.status();
    let coding = message.field("transfer-encoding").is_some();
    let length =
        message.field("content-length").and_then(|value| std::str::from_utf8(value).ok()?.parse::<usize>().ok());
    if is_bodiless(after) || matches!(status, 100..=199 | 204 | 304) {
        return Some(message);
    }
    if coding {
        message.framing = Framing::Chunked;
        message.complete = unchunk(after, &mut message.body, &mut message.trailers, &mut message.end);
    } else if let Some(length) = length {
        message.framing = Framing::Length;
        let here = length.min(after.len());
        message.body = after[..here].to_vec();
        message.complete = here == length;
        message.end += here;
    } else if status != 0 {
        message.framing = Framing::Rest;
        message.body = after.to_vec();
        message.end += after.len();
    }
    Some(message)
}

/// Takes chunks apart; false when they do not come to their end. What is no chunk stays in the body as it is.
fn unchunk(bytes: &[u8], body: &mut Vec<u8>, trailers: &mut Vec<u8>, end: &mut usize) -> bool {
    let mut rest = bytes;
    loop {
        let parsed = chunk(rest);
        let Some((size, data)) = parsed else {
            // A size that is cut off says nothing yet.
            if rest.contains(&b'\n') {
                body.extend_from_slice(rest);
            }
            *end += bytes.len();
            return false;
        };
        if size == 0 {
            let complete = if data.starts_with(b"\r\n") {
                Some(2)
            } else {
                data.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4)
            };
            trailers.extend_from_slice(&data[..complete.unwrap_or(data.len())]);
            *end += bytes.len() - data.len() + complete.unwrap_or(data.len());
            return complete.is_some();
        }
        body.extend_from_slice(&data[..size.min(data.len())]);
        if data.len() < size.saturating_add(2) {
            *end += bytes.len();
            return false;
        }
        rest = &data[size + 2..];
    }
}

/// The size of the first chunk, and what follows its line.
fn chunk(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let line = bytes.windows(2).position(|end| end == b"\r\n")?;
    let size = std::str::from_utf8(&bytes[..line]).ok()?;
    let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
    Some((size, &bytes[line + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_cut_where_messages_end() {
        let found = requests(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nt: v\r\n\r\nGET /a HTTP/1.1\r\n\r\nGE");
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].body.as_slice(), found[0].trailers.as_slice()), (&b"abc"[..], &b"t: v\r\n\r\n"[..]));
        assert!(found[0].complete && found[1].complete && !found[2].complete);
        assert_eq!(found[1].target(), b"/a");

        let found = responses(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nHTTP/1.0 200 OK\r\n\r\nrest",
        );
        assert_eq!(found.iter().map(Message::status).collect::<Vec<_>>(), [100, 200, 200]);
        assert_eq!(found[2].body, b"rest");
    }

    #[test]
    fn a_body_that_is_cut_off_is_not_complete() {
        let found = responses(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab");
        assert_eq!((found[0].body.as_slice(), found[0].complete), (&b"ab"[..], false));
    }
}
