//! Answers that proxyd gives itself: error pages, monitoring, statistics.

use super::conn::Conn;
use super::h1::answer_head;
use super::stream::{Exchange, Telling};
use super::{Session, policy};
use crate::http::h1::request::Tunnel;
use crate::http::h1::{Body, response};
use crate::http::{Head, Version, status};
use crate::log;
use crate::proxy::settings::{ErrorAnswer, OddNames, Stats};
use crate::proxy::{Backend, Section};
use crate::stats::collect::{self, Snapshot};
use crate::stats::exporter::Scrape;
use crate::stats::page::{self, PageRequest};
use crate::termination::{Cause, End, Phase};
use crate::worker::buffers::Buffer;
use std::sync::Arc;

/// An answer of proxyd's own.
#[derive(Debug, Default)]
pub struct Answer {
    /// Status and fields, `content-length` among them unless the connection is to be closed after the body.
    pub head: Head,
    /// The body.
    pub body: Vec<u8>,
    /// What makes the rest of the body piece by piece.
    pub scrape: Option<Box<Scrape>>,
}

impl Answer {
    /// An answer with the fields given, after `content-length`.
    pub fn new(code: u16, fields: &[(&str, &str)], body: Vec<u8>) -> Self {
        Self::called(status::phrase(code), code, fields, body)
    }

    /// The same with the status called so.
    fn called(reason: &str, code: u16, fields: &[(&str, &str)], body: Vec<u8>) -> Self {
        let mut head = Head::default();
        head.start_response(Version::HTTP_11, code, reason.as_bytes());
        head.append(b"content-length", body.len().to_string().as_bytes());
        for (name, value) in fields {
            head.append(name.to_ascii_lowercase().as_bytes(), value.as_bytes());
        }
        Self { head, body, scrape: None }
    }

    /// What a rule writes itself: its fields, then those of the body.
    pub fn written(code: u16, fields: &[(Vec<u8>, Vec<u8>)], content_type: Option<&[u8]>, body: Vec<u8>) -> Self {
        let mut head = Head::default();
        head.start_response(Version::HTTP_11, code, status::phrase(code).as_bytes());
        for (name, value) in fields {
            head.append(name, value);
        }
        head.append(b"content-length", body.len().to_string().as_bytes());
        if let Some(content_type) = content_type {
            head.append(b"content-type", content_type);
        }
        Self { head, body, scrape: None }
    }

    /// One of haproxy's built-in pages.
    pub fn page(code: u16) -> Self {
        let fields = [("cache-control", "no-cache"), ("content-type", "text/html")];
        let mut page = Self::called(status::reason(code), code, &fields, status::body(code).into_bytes());
        if matches!(code, 400 | 408) {
            page.head.append(b"connection", b"close");
        }
        page
    }

    /// The answer of a redirect, with `location` and the rest still to be added.
    pub fn moved(code: u16) -> Self {
        Self::called(status::reason(code), code, &[], Vec::new())
    }

    /// A redirect in place of an error (`errorloc`) or of a server (`redir`).
    pub fn redirect(code: u16, location: &[u8]) -> Self {
        let mut head = Head::default();
        head.start_response(Version::HTTP_11, code, status::reason(code).as_bytes());
        head.append(b"cache-control", b"no-cache");
        head.append(b"content-length", b"0");
        head.append(b"location", location);
        Self { head, body: Vec::new(), scrape: None }
    }

    /// Nothing is sent: the error file is empty.
    pub fn is_nothing(&self) -> bool {
        self.head.is_empty()
    }

    /// The bytes of an error file, which the configuration has found to be a response, or nothing.
    fn file(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let (mut head, consumed, _) = response::stored(bytes)?;
        let closes = |line: &[u8]| line.trim_ascii().eq_ignore_ascii_case(b"connection: close");
        if bytes.get(..consumed)?.split(|&byte| byte == b'\n').any(closes) {
            head.append(b"connection", b"close");
        }
        Some(Self { head, body: bytes.get(consumed..)?.to_vec(), scrape: None })
    }
}

/// What a status is answered with: what the backend says, or the frontend, or the built-in page.
pub fn error_answer(exchange: &Exchange<'_>, code: u16) -> Answer {
    let of = |section: &Section| {
        let configured = || section.error_answer(code).map(|configured| configured_answer(configured, code));
        policy::error_reply(exchange, section, code).or_else(configured)
    };
    let backend = exchange.backend.and_then(|view| of(&view.backend.section));
    backend.or_else(|| of(&exchange.session.frontend.section)).unwrap_or_else(|| Answer::page(code))
}

/// Whether the client gets nothing in place of the page for bytes that were no request: its error file is empty.
pub fn says_nothing(session: &Session, code: u16) -> bool {
    let configured = session.frontend.section.error_answer(code);
    matches!(configured, Some(ErrorAnswer::File { bytes, .. }) if bytes.is_empty())
}

/// What the configuration says that a status is answered with.
pub fn configured_answer(configured: &ErrorAnswer, code: u16) -> Answer {
    match configured {
        ErrorAnswer::Redirect { status, location } => Answer::redirect(*status, location.as_bytes()),
        ErrorAnswer::File { bytes, .. } => Answer::file(bytes).unwrap_or_else(|| Answer::page(code)),
    }
}

/// Puts an answer into the client's output, in place of a server's, and returns what makes the rest of its body.
pub fn give(exchange: &mut Exchange<'_>, answer: Answer) -> Option<Box<Scrape>> {
    let length = answer.head.value(b"content-length").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    let body = match length {
        Some(0) => Body::None,
        Some(length) => Body::Length(length),
        None if answer.head.value(b"transfer-encoding").is_some() => Body::Chunked,
        None => Body::UntilClose,
    };
    // The pages of requests that are broken or late say so, and files may.
    exchange.keep_alive &= !answer.head.value(b"connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
    *exchange.response = answer.head;
    let sent = answer_head(exchange, body, true);
    // Its client takes it for the beginning of a tunnel: what follows is no request.
    let opens = exchange.request_wire.is_some_and(|wire| wire.tunnel == Tunnel::Connect);
    exchange.keep_alive &= !(opens && matches!(exchange.response.status(), 200..300));
    exchange.account.bytes_out += exchange.response.counted_len();
    if exchange.request_wire.is_some_and(|wire| wire.head) || sent != body {
        return None;
    }
    exchange.client.output.space(&exchange.session.worker.buffers).extend_from_slice(&answer.body);
    exchange.account.bytes_out += answer.body.len() as u64;
    answer.scrape
}

/// `monitor-uri`: whether we are there, and with `monitor fail` whether we can serve. Never logged.
pub fn monitor(exchange: &mut Exchange<'_>) -> Result<(), End> {
    let Some(uri) = &exchange.session.frontend.monitor_uri else { return Ok(()) };
    if exchange.request.target() != uri.as_bytes() {
        return Ok(());
    }
    exchange.account.telling = Telling::Counted;
    policy::count_request(exchange);
    let code = if policy::monitor_fails(exchange) { 503 } else { 200 };
    Err(End::new(Cause::Local, Phase::Request, Some(code)))
}

/// `stats uri`: the statistics page that the section serves, if the request is for it.
pub fn statistics_page<'s>(exchange: &Exchange<'_>, section: &'s Section) -> Option<&'s Stats> {
    let settings = section.stats.as_ref()?;
    page::is_for_page(settings, exchange.request.method(), exchange.request.target()).then_some(settings)
}

/// Answers with that page.
pub async fn statistics(exchange: &mut Exchange<'_>, section: &Section, settings: &Stats) -> Result<(), End> {
    policy::on_statistics(exchange, section).await?;
    let form = if exchange.request.method() == b"POST" { read_form(exchange).await? } else { Some(Vec::new()) };
    let (session, request) = (exchange.session, &exchange.request);
    let (worker, generation) = (&session.worker, &session.view.generation);
    let asked = PageRequest {
        method: request.method(),
        target: request.target(),
        host: request.value(b"host"),
        authorization: request.value(b"authorization"),
        origin: request.value(b"origin"),
        referer: request.value(b"referer"),
        body: form.as_deref(),
        client: session.source,
        section: &section.name,
        admin: policy::is_admin(exchange, section),
    };
    let now_ms = worker.milliseconds(exchange.account.now);
    let snapshot = |legends| Snapshot {
        process: worker.process.stats(generation),
        sections: collect::sections(generation, now_ms, legends),
    };
    let answer = match page::reply(settings, &asked, snapshot) {
        page::Reply::Unauthorized => {
            let mut answer = error_answer(exchange, 401);
            let realm = format!("Basic realm=\"{}\"", settings.realm);
            answer.head.append(b"www-authenticate", realm.as_bytes());
            answer
        }
        page::Reply::Answer(answer) => page_answer(answer),
        page::Reply::Administer(form) => {
            let act = |backend: &Arc<Backend>, server, action| worker.process.act(backend, server, action);
            page_answer(page::administered(settings, form.apply(generation, act)))
        }
    };
    serves(exchange, log::Service::Statistics);
    let code = answer.head.status();
    if code == 401 {
        // It is not the page that answers.
        exchange.account.answered = None;
    }
    exchange.answer = Some(Box::new(answer));
    Err(End::new(Cause::Local, Phase::Request, Some(code)))
}

/// Notes that a service answers: it is logged as if it were a server that was reached at once.
pub fn serves(exchange: &mut Exchange<'_>, service: log::Service) {
    exchange.account.service = Some(service);
    exchange.account.dequeued = Some(exchange.account.now);
    exchange.account.connected = Some(exchange.account.now);
    exchange.account.answered = Some(exchange.account.now);
}

fn page_answer(answer: page::Answer) -> Answer {
    let fields: Vec<(&str, &str)> = answer.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Answer::new(answer.status, &fields, answer.body)
}

/// The body of a form, `None` where it does not fit into a buffer.
async fn read_form(exchange: &mut Exchange<'_>) -> Result<Option<Vec<u8>>, End> {
    let session = exchange.session;
    let (buffers, timeouts) = (&session.worker.buffers, &session.frontend.section.timeouts);
    let deadline = timeouts.http_request.or(timeouts.client).map(|limit| exchange.account.now + limit);
    let mut form = Buffer::default();
    loop {
        let bad = |_| End::bad_request(400);
        exchange.upload.hurry();
        while exchange.upload.pump(&mut exchange.client.input, &mut form, buffers).map_err(bad)? {}
        if exchange.upload.is_done() || form.len() > buffers.size() {
            let bytes = (form.len() <= buffers.size()).then(|| form.bytes().to_vec());
            form.discard(buffers);
            return Ok(bytes);
        }
        session.timer.set(deadline);
        match session.timer.race(exchange.client.fill(buffers)).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) => return Err(End::new(Cause::ClientAbort, Phase::Request, None)),
            Err(_) => return Err(End::new(Cause::ClientTimeout, Phase::Request, Some(408))),
        }
    }
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

/// `option http-restrict-req-hdr-names`: whether a request may go on, without what is left out. Some servers read other characters in a
/// name as `_`, and so take a field that rules did not look at for one that they did.
pub fn names_pass(request: &mut Head, odd: OddNames) -> bool {
    let is_plain = |name: &[u8]| name.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match odd {
        OddNames::Preserve => true,
        OddNames::Delete => {
            request.retain(|name, _| is_plain(name));
            true
        }
        OddNames::Reject => request.fields().all(|(name, _)| is_plain(name)),
    }
}
