//! Answers that proxyd gives itself: error pages, monitoring, statistics.

use super::Session;
use super::conn::Conn;
use super::h1::answer_head;
use super::stream::Exchange;
use crate::http::h1::request::{RequestWire, Tunnel};
use crate::http::h1::{Body, Limits, Progress, response};
use crate::http::{Head, Version, status};
use crate::proxy::settings::ErrorAnswer;
use crate::termination::{Cause, End, Phase};

/// An answer of proxyd's own.
#[derive(Debug, Default)]
pub struct Answer {
    /// Status and fields, `content-length` among them unless the connection is to be closed after the body.
    pub head: Head,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer with the fields given, after `content-length`.
    pub fn new(code: u16, fields: &[(&str, &str)], body: Vec<u8>) -> Self {
        let mut head = Head::default();
        head.start_response(Version::HTTP_11, code, status::reason(code).as_bytes());
        head.append(b"content-length", body.len().to_string().as_bytes());
        for (name, value) in fields {
            head.append(name.to_ascii_lowercase().as_bytes(), value.as_bytes());
        }
        Self { head, body }
    }

    /// One of haproxy's built-in pages.
    pub fn page(code: u16) -> Self {
        let fields = [("cache-control", "no-cache"), ("content-type", "text/html")];
        Self::new(code, &fields, status::body(code).into_bytes())
    }

    /// A redirect in place of an error (`errorloc`).
    fn error_location(code: u16, location: &str) -> Self {
        let mut head = Head::default();
        head.start_response(Version::HTTP_11, code, status::reason(code).as_bytes());
        head.append(b"cache-control", b"no-cache");
        head.append(b"content-length", b"0");
        head.append(b"location", location.as_bytes());
        Self { head, body: Vec::new() }
    }

    /// The bytes of an error file. One that is no response is left to the built-in page.
    fn file(bytes: &[u8]) -> Option<Self> {
        let request = RequestWire {
            body: Body::None,
            keep_alive: false,
            tunnel: Tunnel::No,
            head: false,
            expects_continue: false,
        };
        let mut head = Head::default();
        match response::read(bytes, &mut head, &request, Limits::default()) {
            Ok(Progress::Complete { consumed, .. }) => Some(Self { head, body: bytes.get(consumed..)?.to_vec() }),
            Ok(Progress::Partial) | Err(_) => None,
        }
    }
}

/// What a status is answered with: what the backend says, or the frontend, or the built-in page.
pub fn error_answer(exchange: &Exchange<'_>, code: u16) -> Answer {
    let backend = exchange.backend.and_then(|view| view.backend.section.error_answer(code));
    let configured = backend.or_else(|| exchange.session.frontend.section.error_answer(code));
    match configured {
        Some(ErrorAnswer::Redirect { status, location }) => Answer::error_location(*status, location),
        Some(ErrorAnswer::File { bytes, .. }) => Answer::file(bytes).unwrap_or_else(|| Answer::page(code)),
        None => Answer::page(code),
    }
}

/// Puts an answer into the client's output, in place of a server's.
pub fn give(exchange: &mut Exchange<'_>, answer: Answer) {
    let length = answer.head.value(b"content-length").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    let body = match length {
        Some(0) => Body::None,
        Some(length) => Body::Length(length),
        None => Body::UntilClose,
    };
    exchange.response = answer.head;
    answer_head(exchange, body);
    if !exchange.request_wire.is_some_and(|wire| wire.head) {
        exchange.client.output.space(&exchange.session.worker.buffers).extend_from_slice(&answer.body);
    }
}

/// What the frontend answers itself instead of passing a request on.
pub fn intercept(exchange: &mut Exchange<'_>) -> Result<(), End> {
    let frontend = &exchange.session.frontend;
    if let Some(uri) = &frontend.monitor_uri
        && exchange.request.target() == uri.as_bytes()
    {
        exchange.account.silent = true;
        exchange.answer = Some(Answer::page(200));
        return Err(End::new(Cause::Local, Phase::Request, Some(200)));
    }
    Ok(())
}

/// What the backend answers itself.
pub fn intercept_backend(_exchange: &mut Exchange<'_>) -> Result<(), End> {
    Ok(())
}

/// `monitor-net`: a client from there is told that we live, and nothing else.
pub async fn answer_monitor_net(session: &Session, client: &mut Conn) {
    write_once(session, client, b"HTTP/1.0 200 OK\r\n\r\n").await;
}

/// `mode health` of 1.4.
pub async fn answer_health(session: &Session, client: &mut Conn) {
    write_once(session, client, b"OK").await;
}

async fn write_once(session: &Session, client: &mut Conn, bytes: &[u8]) {
    let buffers = &session.worker.buffers;
    client.output.space(buffers).extend_from_slice(bytes);
    let limit = session.frontend.section.timeouts.client;
    session.timer.set(limit.map(|limit| session.since + limit));
    // Whether it arrives is the client's affair: the connection ends in any case.
    let _ = session.timer.race(client.flush(buffers)).await;
}
