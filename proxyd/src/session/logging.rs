//! What is logged about an exchange, and when: the line of [`Due`], and the one of a connection that failed before it was one.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::attempt::target;
use super::conn::Conn;
use super::finish::is_http;
use super::stream::Exchange;
use super::{Session, policy};
use crate::clock::{self, Moment};
use crate::log::format::Program;
use crate::log::step::Step;
use crate::log::syslog::Level;
use crate::log::{Load, Record, RequestLine, Responder, Timers};
use crate::log_sink::{Destination, Lines};
use crate::net::connect::Target;
use crate::proxy::Server;
use crate::proxy::logging::Due;
use crate::proxy_protocol::PrefaceError;
use crate::sample::Expression;
use crate::sample::transaction::LogLevel;
use crate::termination::{Cause, End, letters};

/// A request was received, or a connection begins.
pub fn at_the_beginning(exchange: &mut Exchange<'_>) {
    let logging = &exchange.session.frontend.logging;
    if logging.due == Due::Beginning {
        exchange.account.logged = true;
        let (now, session) = (exchange.account.now, exchange.session);
        if session.frontend.section.logs.is_empty() {
            return;
        }
        let level = Level::Info;
        write(exchange, Event { step: begun(exchange), end: None, timers: exchange.account.timers(now), now, level });
    }
}

/// The step at which an exchange begins.
fn begun(exchange: &Exchange<'_>) -> Step {
    if is_http(exchange) { Step::Request } else { Step::Accept }
}

/// The transfer of data begins: what is known by then is all a line says that is due now.
pub fn before_transfer(exchange: &mut Exchange<'_>) {
    if exchange.session.frontend.logging.due != Due::Transfer {
        return;
    }
    let now = exchange.tick();
    let step = if is_http(exchange) { Step::Response } else { Step::Connect };
    let timers = exchange.account.timers(now);
    log(exchange, step, None, timers, now);
    exchange.account.logged = true;
}

/// All is over.
pub fn at_the_end(exchange: &Exchange<'_>, end: Option<End>, timers: Timers, now: Moment) {
    let logging = &exchange.session.frontend.logging;
    if exchange.account.logged || logging.due == Due::Beginning {
        return;
    }
    // Of HTTP, what brought no request is not even counted.
    if logging.dontlognull && !is_http(exchange) && exchange.account.bytes_in + exchange.upload.moved == 0 {
        return;
    }
    log(exchange, Step::Close, end, timers, now);
}

/// A line of one exchange.
#[derive(Clone, Copy)]
struct Event {
    step: Step,
    end: Option<End>,
    timers: Timers,
    now: Moment,
    level: Level,
}

/// Writes a line unless it is one that nobody wants.
fn log(exchange: &Exchange<'_>, step: Step, end: Option<End>, timers: Timers, now: Moment) {
    let frontend = &exchange.session.frontend;
    if frontend.section.logs.is_empty() {
        return;
    }
    let account = &exchange.account;
    let failed = end.is_some_and(|end| end.cause != Cause::Local)
        || account.retries > 0
        || account.status.is_some_and(|status| status >= 500);
    if frontend.logging.dontlog_normal && !failed {
        return;
    }
    let level = match exchange.transaction.log_level.get() {
        Some(LogLevel::Silent) => return,
        Some(LogLevel::Level(level)) => level,
        None if frontend.logging.separate_errors && failed => Level::Error,
        None => Level::Info,
    };
    write(exchange, Event { step, end, timers, now, level });
}

fn write(exchange: &Exchange<'_>, event: Event) {
    let Event { step, end, timers, now, level } = event;
    let (session, account) = (exchange.session, &exchange.account);
    let (frontend, worker) = (&session.frontend, &session.worker);
    let shows = frontend.logging.shows;
    let view = exchange.backend;
    let server = view.zip(exchange.server_index).and_then(|(view, index)| view.backend.servers.get(index));
    let transaction = &exchange.transaction;
    let first = transaction.first_line.get();
    // One that was refused as a whole has no line.
    let shown = exchange.request_wire.filter(|_| !exchange.request.method().is_empty());
    let request = shown.map(|_| RequestLine {
        method: first.map_or_else(|| exchange.request.method(), |first| &first.method),
        target: first.map_or_else(|| exchange.request.target(), |first| &first.target),
        version: b"",
    });
    let version = exchange.request.protocol();
    let captures = &exchange.captures;
    let (request_captures, response_captures) =
        (transaction.captured_request.borrow(), transaction.captured_response.borrow());
    let captured_request: Vec<Option<&[u8]>> = request_captures.iter().map(|place| place.text.as_deref()).collect();
    let captured_response: Vec<Option<&[u8]>> = response_captures.iter().map(|place| place.text.as_deref()).collect();
    // What was no request has no id.
    let identified = shows.id && (shown.is_some() || !is_http(exchange));
    let unique_id = if identified { policy::unique_id(exchange) } else { None };
    let record = Record {
        step,
        frontend: frontend.name(),
        listener: session.listener.name(),
        backend: view.map(|view| view.backend.name()),
        server: match (account.service, server) {
            (Some(service), _) => Responder::Service(service),
            (None, Some(server)) => Responder::Server(&server.name),
            (None, None) => Responder::Nobody,
        },
        tls: false,
        client: exchange.source(),
        destination: if shows.destination { exchange.seen_destination() } else { session.known_destination() },
        source: account.left_from,
        target: server.filter(|_| shows.server).and_then(|server| logged_target(exchange, server)),
        accepted: worker.log.date(session.accepted),
        requested: worker.log.date(worker.date(account.first_byte.unwrap_or(session.since))),
        timers,
        // Without HTTP there is no status, which haproxy writes as 0; a request without an answer has -1.
        status: account.status.or((!is_http(exchange)).then_some(0)),
        bytes_out: account.bytes_out,
        bytes_in: account.bytes_in.saturating_add_signed(account.counted_more.into()) + exchange.upload.moved,
        termination: letters(end, is_http(exchange)),
        cookies: account.cookies,
        load: load(exchange),
        request: request.map(|line| RequestLine { version, ..line }),
        captured_request: &captured_request,
        captured_response: &captured_response,
        request_cookie: captures.request_cookie.as_deref(),
        response_cookie: captures.response_cookie.as_deref(),
        unique_id: unique_id.as_deref(),
        log_counter: count_line(session),
        request_counter: transaction.number,
        early: frontend.logging.asap,
    };
    policy::log(exchange, &record, destination(session, level, worker.date(now)));
}

/// Lines of the frontend before this one.
fn count_line(session: &Session) -> u64 {
    session.frontend.logging.lines.as_ref().map_or(0, |lines| lines.fetch_add(1, Ordering::Relaxed))
}

fn destination(session: &Session, level: Level, now: Duration) -> Destination<'_> {
    let section = &session.frontend.section;
    Destination { loggers: &section.logs, tag: &section.log_tag, level, now }
}

/// The connection did not begin as it should have.
pub fn failed_connection(session: &Session, client: &Conn, error: PrefaceError) {
    let (frontend, worker) = (&session.frontend, &session.worker);
    let logging = &frontend.logging;
    if frontend.section.logs.is_empty() || (logging.dontlognull && error.error.without_data()) {
        return;
    }
    let now = clock::moment();
    let accepted = worker.log.date(session.accepted);
    let record = Record {
        step: Step::Error,
        listener: session.listener.name(),
        client: session.source,
        destination: session.destination(client),
        timers: Timers { total: now.milliseconds_since(session.since), ..Timers::default() },
        status: Some(0),
        termination: *b"PR",
        load: Load {
            process: session.view.generation.global.connections.current(),
            frontend: frontend.section.traffic.sessions.current(),
            ..Load::default()
        },
        log_counter: count_line(session),
        request_counter: worker.next_exchange(),
        ..Record::begun(frontend.name(), accepted)
    };
    let level = if logging.separate_errors { Level::Error } else { Level::Info };
    let fixed: Program<Expression>;
    let lines = if let Some(line) = &logging.error {
        Lines { line, structured: logging.structured.as_ref() }
    } else {
        let listener = &session.listener.bind;
        let name = listener.name.clone().unwrap_or_else(|| listener.id.to_string());
        fixed = Program::connection_error(&name, error.message());
        Lines { line: &fixed, structured: None }
    };
    let destination = destination(session, level, worker.date(now));
    policy::log_connection(session, client, error, (lines, &record), destination);
}

/// Where a server is for this exchange, as the log shows it.
pub(super) fn logged_target(exchange: &Exchange<'_>, server: &Server) -> Option<SocketAddr> {
    match target(server, || exchange.seen_destination())? {
        Target::Tcp(address) => Some(address),
        Target::Unix(_) | Target::Abstract(_) => None,
    }
}

fn load(exchange: &Exchange<'_>) -> Load {
    let (session, account) = (exchange.session, &exchange.account);
    let server = exchange.backend.zip(exchange.server_index).and_then(|(view, index)| view.backend.servers.get(index));
    Load {
        process: session.view.generation.global.connections.current(),
        frontend: session.frontend.section.traffic.sessions.current(),
        backend: exchange.backend.map_or(0, |view| view.backend.section.traffic.sessions.current()),
        server: server.map_or(0, |server| server.traffic.sessions.current()),
        retries: account.retries,
        redispatched: account.redispatched,
        server_queue: account.queued_behind.0.into(),
        backend_queue: account.queued_behind.1.into(),
    }
}
