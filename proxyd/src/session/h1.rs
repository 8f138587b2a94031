//! A client's connection that carries HTTP/1, and what of an exchange is particular to that: reading the request, writing the two
//! heads, and when the connection may go on.

use std::net::IpAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::conn::Conn;
use super::stream::{Done, Exchange, Telling};
use super::transfer::{Transfer, nothing_to_tell, poll_silence};
use super::{Link, Session, bad_message, framing, policy, stream};
use super::{logging, relay};
use crate::clock::{self, Moment};
use crate::http::h1::request::{self, RequestWire};
use crate::http::h1::response::ResponseWire;
use crate::http::h1::{Body, Limits, Progress, write_request, write_response};
use crate::http::{Version, chunk, header};
use crate::log::digits;
use crate::proxy::settings::{ConnectionMode, ForwardFor};
use crate::stick::tracked;
use crate::termination::{Cause, End, Phase};

/// Serves the requests of a connection, one after the other. What an exchange needs is taken from the worker with its first
/// byte and given back with its last: an idle connection is little more than its socket.
pub async fn serve(mut link: Box<Link>) -> Box<Link> {
    let worker = Rc::clone(&link.session.worker);
    loop {
        let begun = first_bytes(&link.session, &mut link.client).await;
        let ended;
        (link, ended) = worker.futures.run(|| stream::run(link, begun)).await;
        let (Some(ended), Link { session, client }) = (ended, &mut *link) else { return link };
        session.requests = session.requests.saturating_add(1);
        session.since = ended;
        if session.leaves_idle() && client.input.is_empty() {
            return link;
        }
        session.refresh();
    }
}

/// Why no more bytes of a request came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoMore {
    /// The client has closed.
    Ended,
    /// Its time is over.
    Late,
    /// The process or the frontend is ending, and no request had begun.
    Closing,
}

/// When a request began, once bytes of it are there.
pub type Begun = Result<Moment, NoMore>;

/// Waits for the first bytes of a request. Here connections spend their lives: it keeps nothing but where they are.
fn first_bytes(session: &Session, client: &mut Conn) -> impl Future<Output = Begun> {
    let starts = &session.worker.starts;
    let mut has_waited = false;
    std::future::poll_fn(move |context| {
        if !client.input.is_empty() {
            // It was sent before the previous response had ended.
            return Poll::Ready(Ok(session.since));
        }
        if starts.is_full() && !has_waited && client.stream().poll_read_ready(context).is_ready() {
            has_waited = true;
            starts.wait(context.waker());
            return Poll::Pending;
        }
        let more = poll_more(context, session, client, first_deadline(session), session.requests > 0);
        more.map_ok(|()| {
            starts.begin();
            clock::moment()
        })
    })
}

/// Reads the request's head, of which the first bytes are there.
pub async fn receive_request(exchange: &mut Exchange<'_>, begun: Begun) -> Result<(), End> {
    let limits = limits(exchange.session);
    match begun {
        Ok(at) => {
            exchange.account.now = at;
            exchange.account.first_byte = Some(at);
        }
        Err(why) => return Err(no_request(exchange, why)),
    }
    loop {
        match request::read(exchange.client.input.bytes(), &mut exchange.request, limits) {
            Ok(Progress::Complete { consumed, wire }) => {
                let room = exchange.session.worker.buffers.size();
                let rest = exchange.client.input.bytes().get(consumed..).unwrap_or_default();
                if wire.body == Body::Chunked && chunk::check(rest, room).is_err() {
                    bad_message::keep_request(exchange);
                    return Err(refuse(exchange, 400));
                }
                exchange.client.input.consume(consumed);
                accept(exchange, wire, consumed);
                // Reserved for HTTP/2, whose first bytes look like a request of this method.
                if exchange.request.method().eq_ignore_ascii_case(b"PRI") {
                    exchange.account.received = None;
                    return Err(refuse(exchange, 400));
                }
                return Ok(());
            }
            Ok(Progress::Partial) => {}
            Err(refused) => {
                bad_message::keep_request(exchange);
                return Err(refuse(exchange, refused.status));
            }
        }
        let deadline = rest_deadline(exchange);
        let (session, client) = (exchange.session, &mut *exchange.client);
        match std::future::poll_fn(|context| poll_more(context, session, client, deadline, false)).await {
            Ok(()) => {
                exchange.tick();
            }
            Err(why) => return Err(no_request(exchange, why)),
        }
    }
}

/// Room for a request's head.
pub fn limits(session: &Session) -> Limits {
    let tune = &session.view.generation.global.tune;
    Limits {
        head: tune.bufsize.saturating_sub(tune.maxrewrite) as usize,
        fields: usize::from(tune.http_maxhdr),
        any_payload: tune.any_payload,
        keep_ambiguous: tune.keep_ambiguous,
        lax: session.frontend.accept_unsafe_requests,
    }
}

fn accept(exchange: &mut Exchange<'_>, wire: RequestWire, consumed: usize) {
    let account = &mut exchange.account;
    account.received = Some(account.now);
    account.bytes_in = consumed as u64;
    exchange.client.input.release(&exchange.session.worker.buffers);
    exchange.upload = Transfer::new(wire.body);
    exchange.transaction.body.set(wire.body);
    exchange.keep_alive = wire.keep_alive;
    exchange.request_wire = Some(wire);
    if exchange.session.frontend.logging.shows.bytes_in {
        let counted = exchange.request.counted_request_len() + u64::from(wire.left_out);
        let more = counted.cast_signed() - consumed.cast_signed() as i64;
        exchange.account.counted_more = i16::try_from(more).unwrap_or(i16::MIN);
    }
}

/// Bytes that are no request are answered with a page of their own, and nothing that follows them is looked at.
fn refuse(exchange: &mut Exchange<'_>, status: u16) -> End {
    exchange.keep_alive = false;
    exchange.request.clear();
    policy::track(exchange, &tracked::REQUEST);
    policy::track(exchange, &tracked::ERROR);
    policy::track(exchange, &tracked::GLITCH);
    End::bad_request(status)
}

/// Waits for more bytes of the request. `idle`: none has begun, and none will when everything ends.
fn poll_more(
    context: &mut Context<'_>,
    session: &Session,
    client: &mut Conn,
    deadline: Option<Moment>,
    idle: bool,
) -> Poll<Result<(), NoMore>> {
    match client.poll_fill(context, &session.worker.buffers, false) {
        Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(NoMore::Ended)),
        Poll::Ready(Ok(_)) => return Poll::Ready(Ok(())),
        Poll::Pending => {}
    }
    if idle && session.leaves_idle() {
        return Poll::Ready(Err(NoMore::Closing));
    }
    poll_silence(context, session, &[(deadline, ())], nothing_to_tell).map(|()| Err(NoMore::Late))
}

/// Until when a request must have begun: `timeout http-keep-alive` after another one, `timeout http-request` and
/// `timeout client` where it is not set.
fn first_deadline(session: &Session) -> Option<Moment> {
    let timeouts = &session.frontend.section.timeouts;
    let keep_alive = timeouts.http_keep_alive.filter(|_| session.requests > 0);
    let limit = keep_alive.or(timeouts.http_request).or(timeouts.client)?;
    Some(session.since + limit)
}

/// Until when a request that has begun must have gone on: `timeout http-request` holds for the whole head, of a first request
/// since the connection was made; `timeout client`, where it is not set, from one part to the next.
fn rest_deadline(exchange: &Exchange<'_>) -> Option<Moment> {
    let (session, timeouts) = (exchange.session, &exchange.session.frontend.section.timeouts);
    let begun = exchange.account.first_byte.filter(|_| session.requests > 0).unwrap_or(session.since);
    match timeouts.http_request {
        Some(limit) => Some(begun + limit),
        None => timeouts.client.map(|limit| exchange.account.now + limit),
    }
}

/// A connection that ends between requests ends silently; one that never brought a request is told so.
fn no_request(exchange: &mut Exchange<'_>, why: NoMore) -> End {
    let (session, account) = (exchange.session, &mut exchange.account);
    exchange.keep_alive = false;
    let begun = account.first_byte.is_some() && !exchange.client.input.is_empty();
    let null = !begun && session.requests == 0;
    let probe = session.frontend.http_ignore_probes && null;
    if (!begun && session.requests > 0) || probe {
        account.telling = Telling::Nothing;
    } else if null && session.frontend.logging.dontlognull {
        account.telling = Telling::Counted;
    }
    let unanswered = probe || (!begun && session.requests > 0);
    exchange.request.clear();
    account.now = clock::moment();
    if !unanswered && why != NoMore::Closing {
        policy::track(exchange, &tracked::REQUEST);
        if why == NoMore::Ended {
            policy::track(exchange, &tracked::ERROR);
        }
    }
    let status = |code| if unanswered { None } else { Some(code) };
    match why {
        // To haproxy one that was to become a request and did not is at fault with the proxy.
        NoMore::Ended | NoMore::Late if session.switched && session.requests == 0 => {
            End::new(Cause::Proxy, Phase::Request, status(if why == NoMore::Late { 408 } else { 400 }))
        }
        NoMore::Ended => End::new(Cause::ClientAbort, Phase::Request, status(400)),
        NoMore::Late => End::new(Cause::ClientTimeout, Phase::Request, status(408)),
        NoMore::Closing => End::new(Cause::Killed, Phase::Request, None),
    }
}

/// How the connections are kept: the stronger of what frontend and backend say.
fn mode(exchange: &Exchange<'_>) -> ConnectionMode {
    let frontend = exchange.session.frontend.section.connection_mode;
    exchange.backend.map_or(frontend, |view| frontend.max(view.backend.section.connection_mode))
}

/// Writes the request's head for the server.
pub fn send_head(exchange: &mut Exchange<'_>) {
    let pretends = exchange.backend.is_some_and(|view| view.backend.pretend_keep_alive);
    let close = mode(exchange) != ConnectionMode::KeepAlive && !pretends;
    let (session, backend) = (exchange.session, exchange.backend);
    let id = session.frontend.unique_id_header.as_deref().and_then(|name| Some((name, policy::unique_id(exchange)?)));
    let forwarded = backend.and_then(|view| {
        let setting = view.backend.forwarded.as_deref()?;
        Some(policy::with_request(exchange, view, |context| setting.element(context)))
    });
    exchange.transaction.body.set(Body::None);
    framing::settle_request(exchange);
    // What the client calls the server does not count.
    if let Some(name) = backend.and_then(|view| view.backend.send_name_header.as_ref()) {
        exchange.request.remove(name.as_bytes());
    }
    let old = exchange.request.version().sent() == Version::HTTP_10;
    // HTTP/1.0 need not be told what a rule has said.
    let closes = old && exchange.request.value(b"connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
    if closes {
        exchange.request.remove(b"connection");
    }
    let Some(server) = &mut exchange.server else { return };
    let out = server.conn.output.space(&session.worker.buffers);
    let start = out.len();
    write_request(&exchange.request, out);
    if let Some((name, id)) = id {
        write_lower(out, name, |out| out.extend_from_slice(&id));
    }
    if let Some(element) = forwarded.filter(|element| !element.is_empty()) {
        write_lower(out, "forwarded", |out| out.extend_from_slice(&element));
    }
    if let Some(source) = exchange.source() {
        let sections = (&session.frontend.section, backend.map(|view| &view.backend.section));
        if let Some(setting) =
            sections.1.and_then(|section| section.forward_for.as_ref()).or(sections.0.forward_for.as_ref())
        {
            forward_for(exchange, setting, Some(source.ip()));
        }
        if let Some(setting) =
            sections.1.and_then(|section| section.original_to.as_ref()).or(sections.0.original_to.as_ref())
        {
            let destination = exchange.seen_destination().map(|address| address.ip());
            forward_for(exchange, setting, destination);
        }
    }
    let Some(server) = &mut exchange.server else { return };
    let out = server.conn.output.space(&session.worker.buffers);
    if let Some(name) = backend.and_then(|view| view.backend.send_name_header.as_ref()) {
        let index = exchange.server_index.and_then(|index| backend?.backend.servers.get(index));
        header::write_with(out, name.as_bytes(), |out| {
            out.extend_from_slice(index.map_or(b"", |server| server.name.as_bytes()));
        });
    }
    // What asks for an upgrade keeps its own words, and nothing is kept where the body's end is doubtful.
    let silent = |wire: RequestWire| wire.announces_upgrade || (old && wire.body == Body::Chunked && !pretends);
    match (close, old) {
        (false, true) if closes => out.extend_from_slice(b"\r\n"),
        _ if exchange.request_wire.is_some_and(silent) => out.extend_from_slice(b"\r\n"),
        (true, false) => out.extend_from_slice(b"connection: close\r\n\r\n"),
        (false, true) => out.extend_from_slice(b"connection: keep-alive\r\n\r\n"),
        (true, true) | (false, false) => out.extend_from_slice(b"\r\n"),
    }
    if backend.is_some_and(|view| view.backend.section.adjust_case_for_server) {
        adjust_case(session, out, start);
        exchange.upload.adjust_trailers(&session.view.generation.global.case_adjustment);
    }
    if backend.is_some_and(|view| view.backend.section.drops_request_trailers) {
        exchange.upload.drop_trailers();
    }
    if session.view.generation.global.notes_course {
        exchange.transaction.rare().sent_head.set((out.len() - start) as u64);
    }
}

/// `h1-case-adjust` for clients that want it, of the heads that begin there.
pub fn adjust_for_client(session: &Session, out: &mut [u8], start: usize) {
    if session.frontend.section.adjust_case_for_client {
        adjust_case(session, out, start);
    }
}

/// `h1-case-adjust`, of the heads that begin there.
fn adjust_case(session: &Session, out: &mut [u8], start: usize) {
    session.view.generation.global.case_adjustment.adjust(out.get_mut(start..).unwrap_or_default());
}

/// An address that is not known leaves an empty value.
fn forward_for(exchange: &mut Exchange<'_>, setting: &ForwardFor, address: Option<IpAddr>) {
    let session = exchange.session;
    let excepted = setting.except.zip(exchange.source()).is_some_and(|(network, source)| network.contains(source.ip()));
    let present = || exchange.request.fields().any(|(name, _)| name.eq_ignore_ascii_case(setting.header.as_bytes()));
    if excepted || (setting.if_none && present()) {
        return;
    }
    if let Some(server) = &mut exchange.server {
        let out = server.conn.output.space(&session.worker.buffers);
        write_lower(out, &setting.header, |out| address.into_iter().for_each(|address| digits::ip(out, address)));
    }
}

fn write_lower(out: &mut Vec<u8>, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    header::write_with(out, name.as_bytes(), value);
    if let Some(name) = out.get_mut(start..start + name.len()) {
        name.make_ascii_lowercase();
    }
}

/// Whether the server's connection can be used again once the response is complete.
pub fn server_keeps(exchange: &Exchange<'_>) -> bool {
    mode(exchange) == ConnectionMode::KeepAlive && exchange.response_wire.is_some_and(|wire| wire.keep_alive)
}

/// Writes the response's head, a server's or our own, and decides whether the client's connection goes on. The body that then
/// is to be sent: none where rules have set a status that forbids one.
pub fn answer_head(exchange: &mut Exchange<'_>, body: Body, own: bool) -> Body {
    let version = exchange.request_wire.map_or(Version::HTTP_11, |_| exchange.request.version());
    let old_client = version.sent() == Version::HTTP_10;
    let delimited = match body {
        Body::None | Body::Length(_) => true,
        Body::Chunked => !old_client,
        Body::UntilClose | Body::Tunnel => false,
    };
    // A backend has a say in its servers' connections only.
    let mode = exchange.session.frontend.section.connection_mode;
    let closing = exchange.session.is_closing() || mode == ConnectionMode::Close;
    exchange.keep_alive &= delimited && !closing;
    policy::after_response(exchange);
    framing::settle_response(exchange, body);
    let status = exchange.response.status();
    let body = if matches!(status, 100..200 | 204 | 304) { forbid_body(exchange, body, own) } else { body };
    if own && exchange.response.remove(b"connection") {
        // What a page says of the connection is said below, and counted as the page's.
        exchange.account.bytes_out += (b"connection".len() + b"close".len()) as u64;
    }
    let old = exchange.response.version().sent() == Version::HTTP_10;
    let out = exchange.client.output.space(&exchange.session.worker.buffers);
    let start = out.len();
    write_response(&exchange.response, out);
    match (exchange.keep_alive, body) {
        (_, Body::Tunnel) => out.extend_from_slice(b"\r\n"),
        (false, _) if matches!(status, 100..200) => out.extend_from_slice(b"\r\n"),
        (true, _) if old_client || old => out.extend_from_slice(b"connection: keep-alive\r\n\r\n"),
        (false, _) if !old => out.extend_from_slice(b"connection: close\r\n\r\n"),
        (true | false, _) => out.extend_from_slice(b"\r\n"),
    }
    adjust_for_client(exchange.session, out, start);
    exchange.account.status = Some(status);
    body
}

/// Takes out of the head what announces a body where none may follow. A status that announces another answer is the last that
/// the client gets, so its connection ends.
fn forbid_body(exchange: &mut Exchange<'_>, body: Body, own: bool) -> Body {
    if body == Body::Tunnel {
        return body;
    }
    let (status, counted) = (exchange.response.status(), exchange.response.counted_len());
    if status != 304 {
        exchange.response.retain(|name, _| name != b"content-length" && name != b"transfer-encoding");
    }
    if own {
        // As before: what is counted below is what is left.
        exchange.account.bytes_out += counted - exchange.response.counted_len();
    }
    exchange.keep_alive &= !matches!(status, 100..200);
    Body::None
}

/// Sends the server's response, head and body, and the rest of the request's body the other way.
pub async fn relay(exchange: &mut Exchange<'_>) -> Result<Done, End> {
    let Some(wire) = exchange.response_wire else { return Err(End::new(Cause::Internal, Phase::Data, Some(500))) };
    exchange.keep_alive &= !wire.doubtful;
    let written = exchange.client.output.len();
    let body = answer_head(exchange, wire.body, false);
    logging::before_transfer(exchange);
    if body != wire.body {
        leave_body_out(exchange, wire, written)?;
    }
    relay::run(exchange, body).await
}

/// The response's body is not sent, and not waited for. With one, a status that announces another answer is not sent either.
fn leave_body_out(exchange: &mut Exchange<'_>, wire: ResponseWire, written: usize) -> Result<(), End> {
    let buffers = &exchange.session.worker.buffers;
    let (whole, counted) = exchange.server.as_mut().map_or((false, 0), |server| server.pass_over(wire.body, buffers));
    exchange.account.bytes_out += counted;
    exchange.response_wire = Some(ResponseWire { keep_alive: wire.keep_alive && whole, ..wire });
    if matches!(exchange.response.status(), 100..200) {
        exchange.client.output.truncate(written);
        return Err(End::new(Cause::ClientAbort, Phase::Data, None));
    }
    Ok(())
}
