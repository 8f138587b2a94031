//! What is logged about an exchange, and when: the line of [`Due`] or those of `log-steps`, what rules log, and the line of a
//! connection that failed before it was one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::attempt::target;
use super::conn::Conn;
use super::finish::is_http;
use super::stream::{Exchange, Telling};
use super::{Session, body, policy};
use crate::clock::{self, Moment};
use crate::ids::ProfileId;
use crate::log::format::Program;
use crate::log::profile::Profile;
use crate::log::step::Step;
use crate::log::syslog::Level;
use crate::log::{Load, Record, RequestLine, Responder, Timers};
use crate::log_sink::{Destination, Lines};
use crate::net::connect::Target;
use crate::proxy::Server;
use crate::proxy::logging::Due;
use crate::proxy_protocol::PrefaceError;
use crate::sample::fetch::course::{Course, Told};
use crate::sample::transaction::LogLevel;
use crate::sample::{Context, Expression, Stream, Value};
use crate::termination::{Cause, End, letters};

/// A request was received, or a connection begins.
pub fn at_the_beginning(exchange: &mut Exchange<'_>) {
    let logging = &exchange.session.frontend.logging;
    let now = exchange.account.now;
    if logging.steps.is_some() {
        let timers = Timers { request: None, ..exchange.account.timers(now) };
        at_a_step(exchange, Step::Accept, timers, now);
        if is_http(exchange) {
            at_a_step(exchange, Step::Request, exchange.account.timers(now), now);
        }
    } else if logging.due == Due::Beginning {
        exchange.account.logged = true;
        if exchange.session.frontend.section.logs.is_empty() {
            return;
        }
        let timers = exchange.account.timers(now);
        let event = Event { step: begun(exchange), end: None, timers, now, level: Level::Info, profile: None };
        write(exchange, event);
    }
}

/// A connection to a server stands.
pub fn at_the_connection(exchange: &Exchange<'_>) {
    if exchange.session.frontend.logging.steps.is_some() {
        let now = exchange.account.now;
        at_a_step(exchange, Step::Connect, exchange.account.timers(now), now);
    }
}

/// Writes a line if `log-steps` wants one at this step.
fn at_a_step(exchange: &Exchange<'_>, step: Step, timers: Timers, now: Moment) {
    if exchange.session.frontend.logging.steps.is_some_and(|steps| steps.has(step)) {
        log(exchange, step, None, timers, now);
    }
}

/// `do-log`: a rule writes a line, whatever else is logged.
pub fn by_rule(exchange: &Exchange<'_>, step: Step, profile: Option<ProfileId>) {
    let session = exchange.session;
    if session.frontend.section.logs.is_empty() {
        return;
    }
    let level = match exchange.transaction.log_level.get() {
        Some(LogLevel::Silent) => return,
        Some(LogLevel::Level(level)) => level,
        None => Level::Info,
    };
    let now = exchange.account.now;
    let profile = profile.and_then(|id| session.view.generation.profiles.get(id.index())).map(|profile| &**profile);
    write(exchange, Event { step, end: None, timers: exchange.account.timers(now), now, level, profile });
}

/// The step at which an exchange begins.
fn begun(exchange: &Exchange<'_>) -> Step {
    if is_http(exchange) { Step::Request } else { Step::Accept }
}

/// The transfer of data begins: what is known by then is all a line says that is due now.
pub fn before_transfer(exchange: &mut Exchange<'_>) {
    let logging = &exchange.session.frontend.logging;
    let step = if is_http(exchange) { Step::Response } else { Step::Connect };
    let due = match logging.steps {
        Some(steps) => step == Step::Response && steps.has(step),
        None => logging.due == Due::Transfer,
    };
    if !due {
        return;
    }
    let now = exchange.tick();
    let timers = exchange.account.timers(now);
    log(exchange, step, None, timers, now);
    if logging.steps.is_some() {
        return;
    }
    exchange.account.logged = true;
}

/// All is over.
pub fn at_the_end(exchange: &Exchange<'_>, end: Option<End>, timers: Timers, now: Moment) {
    let logging = &exchange.session.frontend.logging;
    let step = if is_http(exchange) && exchange.request_wire.is_none() { Step::Error } else { Step::Close };
    let due = match logging.steps {
        Some(steps) => step == Step::Error || steps.has(step),
        None => !exchange.account.logged && logging.due != Due::Beginning,
    };
    if !due {
        return;
    }
    let null = || !is_http(exchange) && exchange.account.bytes_in + exchange.upload.moved == 0;
    if exchange.account.telling == Telling::Counted || (logging.dontlognull && null()) {
        return;
    }
    log(exchange, step, end, timers, now);
}

/// A line of one exchange.
#[derive(Clone, Copy)]
struct Event<'p> {
    step: Step,
    end: Option<End>,
    timers: Timers,
    now: Moment,
    level: Level,
    /// That a rule names.
    profile: Option<&'p Profile>,
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
    write(exchange, Event { step, end, timers, now, level, profile: None });
}

fn write(exchange: &Exchange<'_>, event: Event<'_>) {
    let Event { step, end, timers, now, level, profile } = event;
    let early = matches!(step, Step::Response) && is_http(exchange);
    let (session, account) = (exchange.session, &exchange.account);
    let (frontend, worker) = (&session.frontend, &session.worker);
    let shows = frontend.logging.shows;
    let view = exchange.backend;
    let server = view.zip(exchange.server_index).and_then(|(view, index)| view.backend.servers.get(index));
    let transaction = &exchange.transaction;
    let first = transaction.first_line();
    // One that was refused as a whole has no line.
    let version = exchange.request.protocol();
    let shown = exchange.request_wire.filter(|_| step != Step::Accept && !exchange.request.method().is_empty());
    let kept = usize::from(session.view.generation.global.tune.http_logurilen);
    let request = shown.map(|_| {
        let method = first.map_or_else(|| exchange.request.method(), |first| &first.method);
        let target = first.map_or_else(|| exchange.request.target(), |first| &first.target);
        RequestLine::new(method, target, version, kept)
    });
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
        bytes_out: account.bytes_out + if early { body::counted_response_body(exchange) } else { 0 },
        bytes_in: account.bytes_in.saturating_add_signed(account.counted_more.into()) + exchange.upload.counted(),
        termination: letters(end, is_http(exchange)),
        cookies: account.cookies,
        load: load(exchange, server),
        request,
        captured_request: &captured_request,
        captured_response: &captured_response,
        request_cookie: captures.request_cookie.as_deref(),
        response_cookie: captures.response_cookie.as_deref(),
        unique_id: unique_id.as_deref(),
        log_counter: count_line(session),
        request_counter: transaction.number,
        early: frontend.logging.asap,
    };
    let logging = &frontend.logging;
    let short =
        logging.due == Due::Beginning && (logging.steps.is_some() || step != begun(exchange) || profile.is_some());
    let line = (!short).then_some(&logging.line);
    let lines = Lines { line, structured: logging.structured.as_ref(), profile };
    worker.log.record(destination(session, level, worker.date(now)), lines, &record, |expression| {
        sample(exchange, expression, &record)
    });
}

/// An exchange as a line tells of it.
struct Logged<'r, 's> {
    record: &'r Record<'r>,
    exchange: &'r Exchange<'s>,
}

impl Course for Logged<'_, '_> {
    fn told(&self) -> Told {
        let Told { sent, calls, .. } = self.exchange.told();
        Told { sent, calls, ..self.record.told() }
    }
}

/// The value of an expression in a line, which may look at both messages.
fn sample(exchange: &Exchange<'_>, expression: &Expression, record: &Record<'_>) -> Option<Value<'static>> {
    let course = Logged { record, exchange };
    let stream = Stream { course: Some(&course), ..policy::seen(exchange, exchange.backend) };
    let context = Context {
        request: exchange.request_wire.map(|_| &*exchange.request),
        response: exchange.response_wire.map(|_| &*exchange.response),
        stream: &stream,
    };
    expression.value(&context).map(Value::into_owned)
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
    let logging = &session.frontend.logging;
    if session.frontend.section.logs.is_empty() || (logging.dontlognull && error.error.without_data()) {
        return;
    }
    let level = if logging.separate_errors { Level::Error } else { Level::Info };
    let fixed: Program<Expression>;
    let (line, structured) = if let Some(line) = &logging.error {
        (line, logging.structured.as_ref())
    } else {
        let listener = &session.listener.bind;
        let name = listener.name.clone().unwrap_or_else(|| listener.id.to_string());
        fixed = Program::connection_error(&name, error.message());
        (&fixed, None)
    };
    let lines = Lines { line: Some(line), structured, profile: None };
    write_of_connection(session, client, Some(error), (lines, Step::Killed, level));
}

/// `do-log` of a rule on connections.
pub fn by_rule_on_connection(session: &Session, client: &Conn, step: Step, profile: Option<ProfileId>) {
    let logging = &session.frontend.logging;
    if session.frontend.section.logs.is_empty() {
        return;
    }
    let profile = profile.and_then(|id| session.view.generation.profiles.get(id.index())).map(|profile| &**profile);
    let line = (logging.due != Due::Beginning).then_some(&logging.line);
    let lines = Lines { line, structured: logging.structured.as_ref(), profile };
    write_of_connection(session, client, None, (lines, step, Level::Info));
}

/// Writes a line of a connection that is no exchange yet.
fn write_of_connection(
    session: &Session,
    client: &Conn,
    error: Option<PrefaceError>,
    (lines, step, level): (Lines<'_>, Step, Level),
) {
    let (frontend, worker) = (&session.frontend, &session.worker);
    let now = clock::moment();
    let record = Record {
        step,
        listener: session.listener.name(),
        client: session.source,
        destination: session.destination(client),
        timers: Timers { total: now.milliseconds_since(session.since), ..Timers::default() },
        status: Some(0),
        termination: if error.is_some() { *b"PR" } else { *b"--" },
        load: Load {
            process: session.view.generation.global.connections.current(),
            frontend: frontend.section.traffic.sessions.current(),
            ..Load::default()
        },
        log_counter: count_line(session),
        request_counter: worker.next_exchange(),
        ..Record::begun(frontend.name(), worker.log.date(session.accepted))
    };
    let (date, now_ms) = (worker.date(now), worker.milliseconds(now));
    let seen = policy::stream(session, client, None, None, None);
    let stream = Stream { header_error: error, now: date, now_ms, ..seen };
    let context = Context { request: None, response: None, stream: &stream };
    worker.log.record(destination(session, level, date), lines, &record, |expression| {
        expression.value(&context).map(Value::into_owned)
    });
}

/// Where a server is for this exchange, as the log shows it.
pub(super) fn logged_target(exchange: &Exchange<'_>, server: &Server) -> Option<SocketAddr> {
    match target(server, || exchange.seen_destination())? {
        Target::Tcp(address) => Some(address),
        Target::Unix(_) | Target::Abstract(_) => None,
    }
}

fn load(exchange: &Exchange<'_>, server: Option<&Arc<Server>>) -> Load {
    let (session, account) = (exchange.session, &exchange.account);
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
