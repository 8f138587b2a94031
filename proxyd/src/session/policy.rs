//! Where the rules of frontend and backend meet an exchange: what they see, and what is done with their verdicts.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::oneshot;

use super::Session;
use super::attempt::InUse;
use super::conn::Conn;
use super::report::Stage;
use super::service::{self, Answer};
use super::stream::{Account, Exchange};
use super::transfer::poll_silence;
use super::{body, capture, exporter, h1, hints, logging, own, server_content};
use crate::balance::persist::rdp;
use crate::clock::{self, Moment};
use crate::http::Head;
use crate::http::h1::{Body as Framing, Progress, request};
use crate::ids::BackendId;
use crate::log::step::Step;
use crate::name_service::Asked;
use crate::proxy::Section;
use crate::proxy::Server;
use crate::proxy::settings::Mode;
use crate::rules::acl::Condition;
use crate::rules::resolve::Question;
use crate::rules::tcp::TcpVerdict;
use crate::rules::{self, Rules, Service, Silence, Verdict};
use crate::sample::content::{Body, Content};
use crate::sample::fetch::Side;
use crate::sample::fetch::content::rdp_cookie;
use crate::sample::fetch::course::Course;
use crate::sample::fetch::socket::Socket;
use crate::sample::transaction::Transaction;
use crate::sample::{Context, Stream};
use crate::stats::Count;
use crate::stick::{DataType, tracked};
use crate::termination::{Cause, End, Phase};
use crate::worker::view::BackendView;

/// One of the sets of rules on requests.
type AskRules = fn(&Rules, &mut Head, &Stream<'_>, &mut usize) -> Verdict;

/// What rules see of the connection and the process.
pub fn stream<'a>(
    session: &'a Session,
    client: &'a Conn,
    backend: Option<&'a BackendView>,
    noted: Option<(&'a Transaction, &'a Account)>,
    server: Option<usize>,
) -> Stream<'a> {
    let transaction = noted.map(|(transaction, _)| transaction);
    let now = noted.map_or(session.since, |(_, account)| account.now);
    Stream {
        source: session.source,
        destination: session.destination(client),
        own: session.proxy_header.as_ref().map(|header| header.own),
        said: None,
        frontend: (session.frontend_id, session.frontend.name()),
        backend: backend.map(|view| (view.id, view.backend.name())),
        listener: session.listener.bind.id,
        listener_name: session.listener.bind.name.as_deref(),
        proxy_header: session.proxy_header.as_ref().map(|header| &*header.tlvs),
        header_error: None,
        client_socket: Some(client.stream()),
        server_socket: None,
        server_requests: None,
        http: session.frontend.section.mode == Mode::Http,
        course: noted.map(|(_, account)| account as &dyn Course),
        worker: u32::try_from(session.worker.index).unwrap_or(u32::MAX),
        server: backend
            .zip(server)
            .and_then(|(view, server)| view.backend.servers.get(server))
            .map(|server| (server.id, &*server.name)),
        now_ms: session.worker.milliseconds(now),
        client_requests: session.requests.saturating_add(1),
        now: session.worker.date(now),
        accepted: session.accepted,
        number: transaction.map_or(0, |noted| noted.number),
        content: None,
        body: transaction.map(|noted| Body::new(noted.body.get(), client.input.bytes())),
        response_body: None,
        variables: &session.variables,
        counters: &session.counters,
        transaction,
        live: &*session.view.generation,
    }
}

/// What rules see of an exchange. Rules that change a head borrow it beside this: it is taken out for as long as they are asked.
pub fn seen<'e>(exchange: &'e Exchange<'_>, backend: Option<&'e BackendView>) -> Stream<'e> {
    let Exchange { session, client, transaction, server_index, account, server, .. } = exchange;
    let mut stream = stream(session, client, backend, Some((transaction, account)), *server_index);
    stream.server_socket = server.as_ref().map(|server| server.conn.stream() as &dyn Socket);
    stream.server_requests = server.as_ref().map(|server| server.requests);
    stream.course = Some(exchange);
    stream
}

/// The frontend's rules on a request, and what it serves itself.
pub async fn on_frontend(exchange: &mut Exchange<'_>) -> Result<(), End> {
    let section = &exchange.session.frontend.section;
    if !section.looks_at_requests {
        count_request(exchange);
        return Ok(());
    }
    on_request(exchange, section, true).await
}

/// The backend's. The two halves of a `listen` section have the same rules, which apply once.
pub async fn on_backend(exchange: &mut Exchange<'_>) -> Result<(), End> {
    match exchange.backend {
        Some(view)
            if view.backend.section.looks_at_requests && view.backend.listen != Some(exchange.session.frontend_id) =>
        {
            on_request(exchange, &view.backend.section, false).await
        }
        Some(_) | None => Ok(()),
    }
}

/// Counts the request in what is tracked by now; what is tracked later counts it by itself. haproxy counts it after the
/// frontend's rules on contents, which do not see it counted.
pub fn count_request(exchange: &Exchange<'_>) {
    exchange.transaction.request_counted.set(true);
    track(exchange, &tracked::REQUEST);
}

/// Adds to all that the connection and the request track.
pub fn track(exchange: &Exchange<'_>, what: &[(DataType, u64)]) {
    let (session, transaction) = (exchange.session, &exchange.transaction);
    if session.counters.is_empty() && transaction.counters.is_empty() {
        return;
    }
    let now_ms = session.worker.milliseconds(exchange.account.now);
    session.counters.count(what, now_ms);
    transaction.counters.count(what, now_ms);
}

async fn on_request(exchange: &mut Exchange<'_>, section: &Section, first: bool) -> Result<(), End> {
    let rules = &section.rules;
    if !rules.is_empty() {
        on_content(exchange, section).await?;
    }
    if first {
        count_request(exchange);
    }
    if section.http_buffer_request {
        let deadline = body::deadline(exchange);
        Box::pin(body::wait_before_rules(exchange, 0, deadline)).await?;
    }
    if !(rules.http_request.is_empty() && rules.redirects.is_empty()) {
        obey_rules(exchange, section, Rules::http_request).await?;
    }
    if !service::names_pass(&mut exchange.request, section.odd_names) {
        return Err(answered(exchange, &rules::Answer::error(403), Cause::Proxy, Phase::Request));
    }
    if let Some(settings) = service::statistics_page(exchange, section) {
        Box::pin(service::statistics(exchange, section, settings)).await?;
    }
    Ok(())
}

/// Asks rules about the request and does what they say, also what they say after they have waited for its body.
async fn obey_rules(exchange: &mut Exchange<'_>, section: &Section, ask: AskRules) -> Result<(), End> {
    let mut at = 0;
    loop {
        let verdict = {
            let mut request = mem::take(&mut exchange.request);
            let verdict = ask(&section.rules, &mut request, &seen(exchange, exchange.backend), &mut at);
            exchange.request = request;
            verdict
        };
        apply_to_client(exchange);
        if hints::are_due(exchange) {
            Box::pin(hints::give(exchange)).await;
        }
        match verdict {
            Verdict::WaitForBody(wait) => {
                let deadline = exchange.account.now + wait.time;
                // Few rules wait: what they need meanwhile is no part of every exchange.
                Box::pin(body::wait_before_rules(exchange, wait.at_least, Some(deadline))).await?;
            }
            Verdict::Resolve(question) => {
                Box::pin(resolve(exchange, question, None)).await?;
                exchange.account.received = Some(exchange.account.now);
            }
            Verdict::Pause(time) => Box::pin(body::pause(exchange, time)).await?,
            Verdict::Log(profile) => logging::by_rule(exchange, Step::HttpRequest, profile),
            verdict => return obey(exchange, verdict).await,
        }
    }
}

/// `tcp-request content`. A rule that cannot tell yet waits for more bytes, up to `inspect-delay`.
async fn on_content(exchange: &mut Exchange<'_>, section: &Section) -> Result<(), End> {
    if section.rules.tcp_request_content.is_empty() {
        return Ok(());
    }
    let deadline = section.inspect_delay.map(|delay| exchange.account.now + delay);
    let mut at = 0;
    loop {
        let full = exchange.client.input.len() >= exchange.session.worker.buffers.size();
        // Of a request without a body nothing more will come.
        let whole = exchange.request_wire.is_some() && exchange.upload.is_done();
        let complete =
            full || whole || exchange.client.ended || deadline.is_none_or(|deadline| exchange.account.now >= deadline);
        match content_verdict(exchange, &section.rules, complete, &mut at) {
            TcpVerdict::Continue => break,
            TcpVerdict::Log(profile) => logging::by_rule(exchange, Step::TcpContent, profile),
            // Such a rule is one on connections.
            TcpVerdict::Expect(_) => {}
            TcpVerdict::SwitchToHttp => {
                exchange.switches_to_http = true;
                break;
            }
            TcpVerdict::Wait => more_content(exchange, deadline).await?,
            TcpVerdict::Resolve(question) => {
                let deadline = deadline.unwrap_or(exchange.account.now);
                Box::pin(resolve(exchange, question, Some(deadline))).await?;
            }
            TcpVerdict::SilentDrop(silence) => {
                body::withdraw_request(exchange);
                return Err(forget_client(exchange.client, silence));
            }
            TcpVerdict::Reject | TcpVerdict::Close => {
                body::withdraw_request(exchange);
                exchange.account.rejected = true;
                return Err(End::new(Cause::Proxy, Phase::Request, None));
            }
        }
    }
    apply_to_client(exchange);
    Ok(())
}

fn content_verdict(exchange: &mut Exchange<'_>, rules: &Rules, complete: bool, at: &mut usize) -> TcpVerdict {
    let begins_http = exchange.request_wire.is_none() && peek(exchange);
    let raw = if exchange.request_wire.is_some() { &[] } else { exchange.client.input.bytes() };
    let content = Content::new(Side::Request, raw, complete, begins_http);
    let stream = Stream { content: Some(&content), ..seen(exchange, exchange.backend) };
    let context = Context { request: exchange.visible_request(), response: None, stream: &stream };
    rules.tcp_request_content(&context, at)
}

/// Whether what a TCP client has sent may become a request; if it is one already, rules can see it.
fn peek(exchange: &mut Exchange<'_>) -> bool {
    let read = request::read(exchange.client.input.bytes(), &mut exchange.request, h1::limits(exchange.session));
    exchange.peeked = matches!(read, Ok(Progress::Complete { .. }));
    if !exchange.peeked {
        exchange.request.clear();
    }
    matches!(read, Ok(Progress::Partial))
}

/// Waits until more bytes have come, no more will come, or the time is over.
async fn more_content(exchange: &mut Exchange<'_>, deadline: Option<Moment>) -> Result<(), End> {
    let session = exchange.session;
    std::future::poll_fn(|context| {
        if exchange.client.poll_fill(context, &session.worker.buffers, false).is_ready() {
            return Poll::Ready(());
        }
        let tell = || Some(exchange.report(Stage::Rules).analysing(deadline));
        poll_silence(context, session, &[(deadline, ())], tell)
    })
    .await;
    exchange.tick();
    if session.killed.get() { Err(End::new(Cause::Killed, Phase::Request, None)) } else { Ok(()) }
}

/// Asks name servers and keeps what they answer. They are waited for as long as their tries take, whatever the client does
/// meanwhile; contents of a connection wait for `inspect-delay` at most.
async fn resolve(exchange: &mut Exchange<'_>, question: Question, deadline: Option<Moment>) -> Result<(), End> {
    let session = exchange.session;
    let (answer, mut answered) = oneshot::channel();
    session.worker.process.resolve(Asked {
        section: Arc::clone(&question.section),
        name: question.name.clone(),
        prefer: question.prefer,
        answer,
    });
    let ip = std::future::poll_fn(|context| match Pin::new(&mut answered).poll(context) {
        // Nobody answers where there is no such section any more.
        Poll::Ready(ip) => Poll::Ready(ip.ok().flatten()),
        Poll::Pending => {
            let tell = || Some(exchange.report(Stage::Rules).analysing(deadline));
            poll_silence(context, session, &[(deadline, ())], tell).map(|()| None)
        }
    })
    .await;
    exchange.tick();
    question.answered(ip, &seen(exchange, exchange.backend));
    if session.killed.get() { Err(End::new(Cause::Killed, Phase::Request, None)) } else { Ok(()) }
}

/// `silent-drop`: what the client is not to notice happens when its connection is closed.
pub fn forget_client(client: &Conn, silence: Silence) -> End {
    client.stream().forget(silence.reset());
    End::new(Cause::Proxy, Phase::Request, None)
}

/// `set-mark` and `set-tos`.
pub fn apply_to_client(exchange: &Exchange<'_>) {
    let transaction = &exchange.transaction;
    if let Some(mark) = transaction.mark.take() {
        exchange.client.stream().set_mark(mark);
    }
    if let Some(tos) = transaction.tos.take() {
        exchange.client.stream().set_tos(tos);
    }
}

/// `tcp-request content` of both sections in `mode tcp`.
pub async fn on_connection(exchange: &mut Exchange<'_>) -> Result<(), End> {
    let session = exchange.session;
    match exchange.backend {
        None => on_content(exchange, &session.frontend.section).await,
        Some(view) if view.backend.listen == Some(session.frontend_id) => Ok(()),
        Some(view) => on_content(exchange, &view.backend.section).await,
    }
}

async fn obey(exchange: &mut Exchange<'_>, verdict: Verdict) -> Result<(), End> {
    match verdict {
        Verdict::Continue | Verdict::WaitForBody(_) | Verdict::Resolve(_) | Verdict::Pause(_) | Verdict::Log(_) => {
            Ok(())
        }
        Verdict::Deny(answer) => {
            capture::request_cookie(exchange);
            Err(answered(exchange, &answer, Cause::Proxy, Phase::Request))
        }
        Verdict::Reply(answer) => Err(answered(exchange, &answer, Cause::Local, Phase::Request)),
        Verdict::Serve(Service::PrometheusExporter) => Err(Box::pin(exporter::answer(exchange)).await),
        Verdict::Reject => {
            exchange.account.received = None;
            Err(End::new(Cause::Proxy, Phase::Request, None))
        }
        Verdict::SilentDrop(silence) => {
            exchange.account.received = None;
            Err(forget_client(exchange.client, silence))
        }
        Verdict::Tarpit(answer) => {
            capture::request_cookie(exchange);
            hold(exchange).await?;
            Err(answered(exchange, &answer, Cause::Proxy, Phase::Tarpit))
        }
    }
}

/// `timeout tarpit`: the client waits, unless it leaves.
async fn hold(exchange: &mut Exchange<'_>) -> Result<(), End> {
    let ruled = exchange.transaction.known_rare().and_then(|rare| rare.tarpit_timeout.get());
    let limit = ruled.or_else(|| exchange.timeout(|section| section.timeouts.tarpit));
    let until = clock::moment() + limit.unwrap_or_default();
    let session = exchange.session;
    // What it waits is told as the time in a queue, and none for the request.
    exchange.account.received = None;
    std::future::poll_fn(|context| {
        if exchange.client.poll_gone(context, &session.worker.buffers).is_ready() {
            return Poll::Ready(Err(End::new(Cause::ClientAbort, Phase::Tarpit, None)));
        }
        let tell = || Some(exchange.report(Stage::Tarpit).analysing(Some(until)));
        poll_silence(context, session, &[(Some(until), ())], tell).map(Ok)
    })
    .await?;
    let now = exchange.tick();
    exchange.account.dequeued = Some(now);
    Ok(())
}

/// Keeps a rule's answer for the end.
fn answered(exchange: &mut Exchange<'_>, answer: &rules::Answer, cause: Cause, phase: Phase) -> End {
    let own = made(answer, |status| service::error_answer(exchange, status));
    if matches!(answer.body, rules::Body::Redirect) && exchange.transaction.body.get() != Framing::None {
        // Beside a body haproxy says and counts already there that the connection ends.
        exchange.account.bytes_out += (b"connection".len() + b"close".len()) as u64;
    }
    exchange.answer = Some(Box::new(own));
    End::new(cause, phase, Some(answer.status))
}

/// A rule's answer as it is sent.
fn made(answer: &rules::Answer, page: impl FnOnce(u16) -> Answer) -> Answer {
    let mut own = match &answer.body {
        rules::Body::ErrorPage => page(answer.status),
        rules::Body::File(file) => service::configured_answer(file, answer.status),
        rules::Body::Redirect => Answer::moved(answer.status),
        rules::Body::Bytes { content_type, bytes } => {
            return Answer::written(answer.status, &answer.fields, content_type.as_deref(), bytes.clone());
        }
    };
    if !own.is_nothing() {
        for (name, value) in &answer.fields {
            own.head.append(name, value);
        }
    }
    own
}

/// `http-error` of a section for a status.
pub fn error_reply(exchange: &Exchange<'_>, section: &Section, code: u16) -> Option<Answer> {
    let (_, reply) = section.rules.http_errors.iter().find(|(status, _)| *status == code)?;
    let stream = seen(exchange, exchange.backend);
    let context = Context { request: exchange.visible_request(), response: None, stream: &stream };
    Some(made(&reply.answer(&context), Answer::page))
}

/// The bytes of a TCP client that rules may look at without waiting for more.
fn content<'e>(exchange: &'e Exchange<'_>) -> Option<Content<'e>> {
    let raw = exchange.request_wire.is_none();
    raw.then(|| Content::new(Side::Request, exchange.client.input.bytes(), true, false))
}

/// The backend of the first `use_backend` rule that holds, or the default one.
pub fn choose_backend(exchange: &mut Exchange<'_>) -> Result<(), End> {
    let session = exchange.session;
    let rules = &session.frontend.section.rules;
    let takes = |id| session.view.backend(id).is_some_and(|view| view.backend.takes_traffic());
    let ruled = if rules.use_backend.is_empty() {
        None
    } else {
        let content = content(exchange);
        let stream = Stream { content: content.as_ref(), ..seen(exchange, None) };
        let context = Context { request: exchange.visible_request(), response: None, stream: &stream };
        rules.choose_backend(&context, |id| takes(id) || rules.any(&rules.force_be_switch, &context))
    };
    let default = session.frontend.default_backend;
    let chosen = ruled.or_else(|| default.filter(|id| takes(*id)).or_else(|| without_default(exchange)));
    // Log lines alone go to the servers of a log backend.
    let requests = |view: &&BackendView| view.backend.section.mode != Mode::Log;
    let Some(view) = chosen.and_then(|id| session.view.backend(id)).filter(requests) else {
        // The log tells no time for a request that nobody is there for.
        exchange.account.received = None;
        return Err(End::new(Cause::ServerAbort, Phase::Connect, Some(503)));
    };
    exchange.backend = Some(view);
    exchange.count_session(&view.backend.section.traffic);
    let mode = view.backend.section.mode;
    // What begins as bytes may become requests, but not the other way.
    exchange.switches_to_http = exchange.request_wire.is_none() && mode == Mode::Http;
    exchange.backend_use = Some(InUse::enter(&view.backend.section.traffic.sessions));
    exchange.farm_use = Some(view.backend.farm.enter());
    if exchange.request_wire.is_some() && mode != Mode::Http {
        // Told in the log; the client gets nothing.
        exchange.account.status = Some(500);
        return Err(End::new(Cause::Internal, Phase::Request, None));
    }
    Ok(())
}

/// Where requests go whose default backend takes none: there all the same with `force-be-switch`, else to the servers of the section
/// itself, if it has any.
fn without_default(exchange: &Exchange<'_>) -> Option<BackendId> {
    let session = exchange.session;
    let rules = &session.frontend.section.rules;
    if !rules.force_be_switch.is_empty() {
        let content = content(exchange);
        let stream = Stream { content: content.as_ref(), ..seen(exchange, None) };
        let context = Context { request: exchange.visible_request(), response: None, stream: &stream };
        if rules.any(&rules.force_be_switch, &context) {
            return session.frontend.default_backend;
        }
    }
    session.frontend.listen.filter(|own| Some(*own) != session.frontend.default_backend)
}

/// What `balance hash` or `balance rdp-cookie` hashes of an exchange.
pub fn balance_key(exchange: &Exchange<'_>, view: &BackendView) -> Option<Vec<u8>> {
    let key = view.backend.balance_key.as_ref()?;
    with_request(exchange, view, |context| key.value(context).map(|value| value.into_bytes().into_owned()))
}

/// `persist rdp-cookie`: the server that the client's token means, in `mode tcp`, if it can take the client.
pub fn rdp_server(exchange: &Exchange<'_>, view: &BackendView) -> Option<usize> {
    let name = view.backend.rdp_cookie.as_ref()?;
    let content = content(exchange)?;
    let wanted = rdp::server(rdp_cookie(&content, Some(name.as_bytes()))?)?;
    let farm = &view.backend.farm;
    let is_wanted = |server: &Arc<Server>| server.location.get().socket() == Some(wanted.into());
    let index = view.backend.servers.iter().position(is_wanted)?;
    let usable = farm.settings().persist || farm.servers().get(index)?.reachable();
    usable.then_some(index)
}

/// `use-server`: the server that a rule of the backend demands.
pub fn demanded_server(exchange: &Exchange<'_>, view: &BackendView) -> Option<usize> {
    let rules = &view.backend.section.rules;
    if rules.use_server.is_empty() {
        return None;
    }
    let server = with_request(exchange, view, |context| rules.choose_server(context))?.index();
    let insists = exchange.forced || view.backend.farm.settings().persist;
    view.backend.farm.servers().get(server).filter(|server| insists || server.reachable()).map(|_| server)
}

/// Looks at the request as rules of the backend see it.
pub fn with_request<T>(exchange: &Exchange<'_>, view: &BackendView, look: impl FnOnce(&Context<'_>) -> T) -> T {
    let content = content(exchange);
    let stream = Stream { content: content.as_ref(), ..seen(exchange, Some(view)) };
    look(&Context { request: exchange.visible_request(), response: None, stream: &stream })
}

/// Looks at the response, as far as there is one, as rules of the backend see it.
pub fn with_response<T>(exchange: &Exchange<'_>, view: &BackendView, look: impl FnOnce(&Context<'_>) -> T) -> T {
    let stream = seen(exchange, Some(view));
    let response = exchange.response_wire.map(|_| &*exchange.response);
    look(&Context { request: exchange.visible_request(), response, stream: &stream })
}

/// Whether any of a backend's conditions holds (`force-persist`, `ignore-persist`).
pub fn holds(exchange: &Exchange<'_>, view: &BackendView, conditions: &[Condition]) -> bool {
    let rules = &view.backend.section.rules;
    !conditions.is_empty() && with_request(exchange, view, |context| rules.any(conditions, context))
}

/// Rules on the response, of the backend and then of the frontend.
pub async fn on_response(exchange: &mut Exchange<'_>) -> Result<(), End> {
    let status = exchange.response.status();
    let statuses = exchange.session.view.generation.global.tune.statuses.as_deref();
    track(exchange, tracked::of_status(status, statuses));
    // As the server gave it, whatever the client will get.
    if let Some(server) =
        exchange.backend.zip(exchange.server_index).and_then(|(view, at)| view.backend.servers.get(at))
    {
        server.traffic.of(exchange.session.worker.index).add(Count::of_status(status), 1);
    }
    if own::is_about_connection(&exchange.response) {
        exchange.session.own.stick();
    }
    for section in sections(exchange).into_iter().flatten() {
        if !section.rules.tcp_response_content.is_empty() {
            Box::pin(server_content::on_response(exchange, section)).await?;
        }
        if !section.rules.http_response.is_empty() {
            obey_response_rules(exchange, section).await?;
        }
    }
    Ok(())
}

/// `http-response`, where a service of our own answers in a server's place: its head stands in `response`.
pub async fn on_service_response(exchange: &mut Exchange<'_>) -> Result<(), End> {
    for section in sections(exchange).into_iter().flatten() {
        if !section.rules.http_response.is_empty() {
            obey_response_rules(exchange, section).await?;
        }
    }
    Ok(())
}

/// What has come of the response's body.
pub fn response_body<'e>(exchange: &'e Exchange<'_>) -> Option<Body<'e>> {
    let (conn, wire) = (&exchange.server.as_ref()?.conn, exchange.response_wire.as_ref()?);
    Some(Body::new(wire.body, conn.input.bytes()).ended(conn.ended))
}

/// Lets rules see the exchange with what has come of the response's body, and change the response's head.
fn change_response<T>(
    exchange: &mut Exchange<'_>,
    rules: impl FnOnce(&Exchange<'_>, &Stream<'_>, &mut Head) -> T,
) -> T {
    let mut response = mem::take(&mut exchange.response);
    let stream = Stream { response_body: response_body(exchange), ..seen(exchange, exchange.backend) };
    let told = rules(exchange, &stream, &mut response);
    exchange.response = response;
    told
}

/// `http-response`: asks the rules and does what they say, also what they say after they have waited for the body.
async fn obey_response_rules(exchange: &mut Exchange<'_>, section: &Section) -> Result<(), End> {
    let mut at = 0;
    loop {
        let verdict = change_response(exchange, |exchange, stream, response| {
            section.rules.http_response(Some(&exchange.request), response, stream, &mut at)
        });
        match verdict {
            Verdict::Continue | Verdict::Resolve(_) | Verdict::Serve(_) => return Ok(()),
            Verdict::WaitForBody(wait) => Box::pin(body::wait_for_response(exchange, wait)).await?,
            Verdict::Pause(time) => Box::pin(body::pause(exchange, time)).await?,
            Verdict::Log(profile) => logging::by_rule(exchange, Step::HttpResponse, profile),
            Verdict::Deny(answer) | Verdict::Tarpit(answer) => {
                count_denied_response(exchange);
                body::withdraw_response(exchange);
                return Err(answered(exchange, &answer, Cause::Proxy, Phase::Headers));
            }
            Verdict::Reply(answer) => {
                body::withdraw_response(exchange);
                return Err(answered(exchange, &answer, Cause::Local, Phase::Headers));
            }
            Verdict::Reject => return Err(End::new(Cause::Proxy, Phase::Headers, None)),
            Verdict::SilentDrop(silence) => {
                body::tell_response(exchange);
                return Err(forget_client(exchange.client, silence));
            }
        }
    }
}

/// A response was refused: told of the frontend, the backend and the server.
pub fn count_denied_response(exchange: &Exchange<'_>) {
    let backend = exchange.backend.map(|view| &view.backend);
    let server = backend.zip(exchange.server_index).and_then(|(backend, index)| backend.servers.get(index));
    let traffic = [
        Some(&exchange.session.frontend.section.traffic),
        backend.map(|backend| &backend.section.traffic),
        server.map(|server| &server.traffic),
    ];
    for traffic in traffic.into_iter().flatten() {
        traffic.of(exchange.session.worker.index).add(Count::DeniedResponses, 1);
    }
}

/// `http-after-response`, for every response, whoever made it.
pub fn after_response(exchange: &mut Exchange<'_>) {
    for section in sections(exchange).into_iter().flatten() {
        if section.rules.http_after_response.is_empty() {
            continue;
        }
        let mut at = 0;
        let mut next = |exchange: &mut Exchange<'_>| {
            change_response(exchange, |exchange, stream, response| {
                let request = exchange.request_wire.map(|_| &*exchange.request);
                section.rules.http_after_response(request, response, stream, &mut at)
            })
        };
        while let Verdict::Log(profile) = next(exchange) {
            logging::by_rule(exchange, Step::HttpAfterResponse, profile);
        }
    }
}

/// The sections whose rules see a response: the backend and the frontend, one of them for a `listen`.
fn sections<'s>(exchange: &Exchange<'s>) -> [Option<&'s Section>; 2] {
    let session = exchange.session;
    let backend = exchange.backend.filter(|view| view.backend.listen != Some(session.frontend_id));
    [backend.map(|view| &view.backend.section), Some(&session.frontend.section)]
}

/// The exchange's id, made now if no rule has asked for it; `None` where the frontend has no `unique-id-format`.
pub fn unique_id(exchange: &Exchange<'_>) -> Option<Vec<u8>> {
    exchange.session.frontend.unique_id_format.as_ref()?;
    // It never names the server, which may change with the next attempt.
    let stream = Stream { server: None, ..seen(exchange, exchange.backend) };
    let context = Context { request: exchange.visible_request(), response: None, stream: &stream };
    context.unique_id().map(<[u8]>::to_vec)
}

/// `monitor fail`: whether the monitor page says that we cannot serve.
pub fn monitor_fails(exchange: &Exchange<'_>) -> bool {
    let rules = &exchange.session.frontend.section.rules;
    if rules.monitor_fail.is_empty() {
        return false;
    }
    let stream = seen(exchange, None);
    rules.any(&rules.monitor_fail, &Context { request: Some(&exchange.request), response: None, stream: &stream })
}

/// `stats http-request`: whether the statistics page may be shown.
pub async fn on_statistics(exchange: &mut Exchange<'_>, section: &Section) -> Result<(), End> {
    if section.rules.stats_http_request.is_empty() {
        return Ok(());
    }
    obey_rules(exchange, section, Rules::stats_http_request).await
}

/// `stats admin`: whether the page may act on servers.
pub fn is_admin(exchange: &Exchange<'_>, section: &Section) -> bool {
    if section.rules.stats_admin.is_empty() {
        return false;
    }
    let stream = seen(exchange, exchange.backend);
    let context = Context { request: Some(&exchange.request), response: None, stream: &stream };
    section.rules.any(&section.rules.stats_admin, &context)
}
