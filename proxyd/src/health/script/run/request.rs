//! The request of an HTTP check: read once to see that it is one, written for each check.

use std::fmt::Write as _;

use super::{Next, Run};
use crate::health::script::HttpSend;
use crate::http::Head;
use crate::http::h1::request::{self, RequestWire};
use crate::http::h1::{Limits, Progress};
use crate::sample::fetch::socket::Socket;
use crate::sample::text::Text;

/// A request that is ready to be written.
#[derive(Debug)]
pub(super) struct Request {
    method: String,
    target: Text,
    version: String,
    headers: Vec<(String, Text)>,
    body: Option<Text>,
    wire: RequestWire,
}

impl Request {
    /// The error says that it is none.
    pub(super) fn compile(send: &HttpSend) -> Result<Self, String> {
        let shown = String::from_utf8_lossy(send.uri.as_literal().unwrap_or(b"/")).into_owned();
        let target = if shown.is_empty() { "/" } else { &*shown };
        let head = format!("{} {target} {}\r\n", send.method, send.version);
        // The length of the body is told by what the body is.
        let headers = send.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        let own = |name: &str| matches!(name, "content-length" | "transfer-encoding");
        let headers: Vec<_> = headers.filter(|(name, _)| !own(name)).collect();
        let mut fields = String::new();
        for (name, value) in &headers {
            let value = String::from_utf8_lossy(value.as_literal().unwrap_or(b"-")).into_owned();
            let _ = write!(fields, "{name}: {value}\r\n");
        }
        let whole = format!("{head}{fields}\r\n");
        match request::read(whole.as_bytes(), &mut Head::default(), Limits::default()) {
            Ok(Progress::Complete { wire, .. }) => Ok(Self {
                method: send.method.clone(),
                target: send.uri.clone(),
                version: send.version.clone(),
                headers,
                body: send.body.clone(),
                wire,
            }),
            Ok(Progress::Partial) | Err(_) => Err(format!("'{} {shown}' is not a valid request", send.method)),
        }
    }
}

impl<'a> Run<'a> {
    /// Writes a request.
    pub(super) fn send_request(&mut self, request: &Request, socket: Option<&dyn Socket>) -> Next<'a> {
        let mut target = self.text(&request.target, socket);
        if target.is_empty() {
            target.push(b'/');
        }
        let mut out = [request.method.as_bytes(), b" ", &target, b" ", request.version.as_bytes(), b"\r\n"].concat();
        let mut says_connection = false;
        for (name, value) in &request.headers {
            let value = self.text(value, socket);
            says_connection |= name == "connection" && !value.is_empty();
            // Of a later version it goes without saying.
            let idle =
                name == "connection" && request.version != "HTTP/1.0" && value.eq_ignore_ascii_case(b"keep-alive");
            if !value.is_empty() && !idle {
                out.extend_from_slice(&[name.as_bytes(), b": ", &value, b"\r\n"].concat());
            }
        }
        out.extend_from_slice(self.extra_header.as_bytes());
        let body = request.body.as_ref().map(|body| self.text(body, socket)).unwrap_or_default();
        // Those of which none is expected have none, unless it has something in it.
        let bodiless = matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "DELETE");
        if !body.is_empty() || !bodiless {
            out.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
        }
        if request.version != "HTTP/1.0" && !says_connection {
            out.extend_from_slice(b"connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&body);
        self.received.clear();
        self.wire = Some(request.wire);
        Next::Send(out)
    }
}
