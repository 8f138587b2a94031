//! The end of an exchange: the answer that is still owed, what is given back, what is counted.

use std::task::Poll;

use super::pool::ServerConn;
use super::report::Stage;
use super::stream::{Done, Exchange, Telling};
use super::transfer::poll_silence;
use super::{exporter, h1, logging, policy, service};
use crate::clock::{self, Moment};
use crate::http::status;
use crate::log::Timers;
use crate::proxy::settings::{HttpReuse, Mode};
use crate::stats::{Count, Counters, Event, Timing, Traffic};
use crate::stick::tracked;
use crate::termination::{Cause, End, Phase};

/// Ends an exchange, and tells when, if the client's connection may carry another request.
pub async fn finish(exchange: &mut Exchange<'_>, result: Result<Done, End>) -> Option<Moment> {
    let end = match result {
        Ok(Done) => None,
        Err(end) if exchange.session.killed.get() => {
            exchange.keep_alive = false;
            let unanswered = end.phase == Phase::Headers && exchange.upload.is_done();
            answer(exchange, End::new(Cause::Killed, end.phase, unanswered.then_some(502))).await
        }
        Err(end) => answer(exchange, end).await,
    };
    exchange.account.server_broke = exchange.server.as_ref().is_some_and(|server| server.conn.broken);
    give_back_connection(exchange, end);
    part(exchange);
    let now = if end.is_some() || exchange.account.answered.is_none() { exchange.tick() } else { exchange.account.now };
    // The log shows what is in use after this request.
    exchange.server_use = None;
    exchange.slot = None;
    exchange.backend_use = None;
    exchange.farm_use = None;
    count_tracked(exchange, end);
    if exchange.account.telling != Telling::Nothing {
        let timers = exchange.account.timers(now);
        count(exchange, end, &timers, now);
        logging::at_the_end(exchange, end, timers, now);
    }
    // The log may show what is counted of those that are tracked.
    let counters = &exchange.transaction.counters;
    if !counters.is_empty() {
        counters.end(exchange.session.worker.milliseconds(now));
    }
    (exchange.keep_alive && exchange.upload.is_done()).then_some(now)
}

/// Gives back what an exchange in `mode tcp` holds that goes on as requests. Nothing is told of it: they are told of.
pub fn abandon(exchange: &mut Exchange<'_>) {
    let worker = &exchange.session.worker;
    exchange.transaction.counters.end(worker.milliseconds(exchange.account.now));
}

/// Sends the answer to a request that ended early, if one can still be sent. What is told afterwards may be another end:
/// the client may not have taken the answer.
async fn answer(exchange: &mut Exchange<'_>, end: End) -> Option<End> {
    let answers = exchange.account.status.is_none() && is_http(exchange);
    let Some(mut code) = end.status.filter(|_| answers) else {
        exchange.keep_alive = false;
        return Some(end);
    };
    if exchange.request_wire.is_none() {
        if service::says_nothing(exchange.session, code) {
            exchange.account.status = Some(code);
            return Some(end);
        }
        let out = exchange.client.output.space(&exchange.session.worker.buffers);
        out.extend_from_slice(&status::raw_page(code));
    } else {
        drain_upload(exchange);
        let answer = exchange.answer.take().map_or_else(|| service::error_answer(exchange, code), |answer| *answer);
        let own = (!answer.is_nothing()).then(|| answer.head.status());
        if own.is_none() {
            exchange.keep_alive = false;
        } else if let Some(scrape) = service::give(exchange, answer) {
            Box::pin(exporter::send(exchange, scrape)).await;
        }
        // What an error file says is not what is told, what a rule sets is.
        let written = exchange.response.status();
        if own.is_some_and(|own| own != written) {
            code = written;
        }
    }
    exchange.account.status = Some(code);
    if flush(exchange).await.is_err() {
        exchange.keep_alive = false;
    }
    Some(end)
}

/// A small body that came with a refused request is passed over, so that the connection can go on.
fn drain_upload(exchange: &mut Exchange<'_>) {
    // One that is bad is no longer of interest: the connection ends.
    let _ = exchange.upload.drain(&mut exchange.client.input, &exchange.session.worker.buffers);
    exchange.keep_alive &= exchange.upload.is_done();
}

/// Where the connection ends while the client may still be sending: closes so that the answer is not lost.
fn part(exchange: &Exchange<'_>) {
    let (session, client) = (exchange.session, &exchange.client);
    let heard = exchange.request_wire.is_some() && exchange.upload.is_done() && client.input.is_empty();
    let answered = exchange.account.status.is_some() && is_http(exchange);
    if answered && !exchange.keep_alive && !heard && !client.ended && !session.frontend.nolinger {
        client.stream().part();
    }
}

/// Writes what is left for the client, as long as it takes it.
pub(super) async fn flush(exchange: &mut Exchange<'_>) -> Result<(), ()> {
    let session = exchange.session;
    let deadline = session.frontend.section.timeouts.client.map(|limit| clock::moment() + limit);
    std::future::poll_fn(|context| {
        if let Poll::Ready(flushed) = exchange.client.poll_flush(context, &session.worker.buffers) {
            return Poll::Ready(flushed.map_err(drop));
        }
        let tell = || {
            let mut report = exchange.report(Stage::Answer);
            report.response.write = report.left(deadline);
            Some(report)
        };
        poll_silence(context, session, &[(deadline, ())], tell).map(|()| Err(()))
    })
    .await
}

/// The server's connection goes back to its pool if the exchange left it clean, or is closed.
fn give_back_connection(exchange: &mut Exchange<'_>, end: Option<End>) {
    let Some(mut server) = exchange.server.take() else { return };
    let over = end.is_none_or(|end| passes_over(exchange, &mut server, end));
    let keeps = over && exchange.upload.is_done() && h1::server_keeps(exchange);
    let worker = &exchange.session.worker;
    let at = exchange.backend.zip(exchange.server_index);
    let claimed = exchange.session.own.claims();
    let kept_for = at.filter(|(view, _)| keeps && (claimed || view.backend.http_reuse == HttpReuse::Never));
    if let Some(kept_for) = kept_for.and_then(|(view, index)| view.backend.servers.get(index)) {
        let most = exchange.session.frontend.max_session_srv_conns;
        exchange.session.own.keep(kept_for, &worker.buffers, server, most);
        return;
    }
    let pool = at.and_then(|(view, index)| view.pool(worker, index));
    match pool {
        Some(pool) if keeps => pool.give(&worker.buffers, server, exchange.account.now),
        Some(_) | None => {
            server.conn.release(&worker.buffers);
            if exchange.backend.is_some_and(|view| view.backend.nolinger) {
                server.conn.stream().reset_on_close();
            }
        }
    }
}

/// A response that rules refuse is passed over if all of it has come; the server's connection is not to blame.
fn passes_over(exchange: &Exchange<'_>, server: &mut ServerConn, end: End) -> bool {
    let refused =
        matches!((end.cause, end.phase), (Cause::Proxy | Cause::Local, Phase::Headers)) && end.status.is_some();
    let wire = exchange.response_wire.filter(|_| refused);
    wire.is_some_and(|wire| server.pass_over(wire.body, &exchange.session.worker.buffers).0)
}

pub(super) fn is_http(exchange: &Exchange<'_>) -> bool {
    exchange.session.frontend.section.mode == Mode::Http || exchange.session.switched
}

/// Counts the bytes that went both ways since they were last counted.
pub fn count_bytes(exchange: &mut Exchange<'_>, bytes_in: u64, bytes_out: u64) {
    let counted = exchange
        .account
        .counted
        .as_mut()
        .map_or((0, 0), |counted| std::mem::replace(&mut counted.bytes, (bytes_in, bytes_out)));
    let fresh = (bytes_in.saturating_sub(counted.0), bytes_out.saturating_sub(counted.1));
    let session = exchange.session;
    let add = |traffic: &Traffic| {
        let counters = traffic.of(session.worker.index);
        counters.add(Count::BytesIn, fresh.0);
        counters.add(Count::BytesOut, fresh.1);
    };
    add(&session.frontend.section.traffic);
    add(&session.listener.traffic);
    // A `listen` section is its own backend until rules choose another.
    let own = || session.view.backend(session.frontend.listen?);
    if let Some(view) = exchange.backend.or_else(own) {
        add(&view.backend.section.traffic);
        if let Some(server) = exchange.server_index.and_then(|server| view.backend.servers.get(server)) {
            add(&server.traffic);
        }
    }
}

fn count(exchange: &mut Exchange<'_>, end: Option<End>, timers: &Timers, now: Moment) {
    count_bytes(exchange, exchange.account.bytes_in + exchange.upload.moved, exchange.account.bytes_out);
    let (session, account) = (exchange.session, &exchange.account);
    let index = session.worker.index;
    let front = &session.frontend.section.traffic;
    if is_http(exchange) {
        front.event(index, Event::Request, session.worker.milliseconds(now));
        front.of(index).add(Count::Requests, 1);
    }
    if let Some(end) = end {
        count_request_end(front.of(index), exchange, end);
    }
    let server = exchange.backend.zip(exchange.server_index);
    let server = server.and_then(|(view, server)| view.backend.servers.get(server)).map(|server| &server.traffic);
    // A request that was left without an answer counts as well.
    let unanswered = exchange.request_wire.filter(|_| is_http(exchange)).map(|_| 0);
    let status = account.status.or(unanswered).map(Count::of_status);
    let count = |traffic: &Traffic| {
        let counters = traffic.of(index);
        if let Some(status) = status {
            counters.add(status, 1);
        }
    };
    count(front);
    count(&session.listener.traffic);
    if let Some(view) = exchange.backend {
        count(&view.backend.section.traffic);
        count_sent(&view.backend.section.traffic, exchange, end, timers);
        let refused =
            end.is_some_and(|end| end.cause == Cause::Proxy && matches!(end.phase, Phase::Request | Phase::Tarpit));
        if refused && !exchange.account.rejected {
            view.backend.section.traffic.of(index).add(Count::DeniedRequests, 1);
        }
    }
    if let Some(server) = server {
        count_sent(server, exchange, end, timers);
    }
}

/// What stick tables learn at the end: bytes, and whether the server failed. What a client did wrong is known earlier.
fn count_tracked(exchange: &Exchange<'_>, end: Option<End>) {
    // A response that is none ends as one that rules refuse, but it is the server's fault.
    let failed = |end: End| match end.cause {
        Cause::ServerAbort | Cause::ServerTimeout => end.phase == Phase::Headers,
        Cause::Proxy => end.phase == Phase::Headers && exchange.response_wire.is_none(),
        Cause::ClientAbort
        | Cause::ClientTimeout
        | Cause::Local
        | Cause::Internal
        | Cause::Resource
        | Cause::Down
        | Cause::Up
        | Cause::Killed => false,
    };
    if end.is_some_and(failed) {
        policy::track(exchange, &tracked::FAILURE);
    }
    let (session, account, counters) = (exchange.session, &exchange.account, &exchange.transaction.counters);
    if session.counters.is_empty() && counters.is_empty() {
        return;
    }
    let head = exchange.request_wire.map_or(account.bytes_in, |_| exchange.request.counted_request_len());
    policy::track(exchange, &tracked::bytes(head + exchange.upload.moved, account.bytes_out));
}

/// What a frontend counts of a request that was not simply passed on.
fn count_request_end(counters: &Counters, exchange: &Exchange<'_>, end: End) {
    match (end.cause, end.phase) {
        (Cause::Local, _) if exchange.backend.is_none() => counters.add(Count::Intercepted, 1),
        (Cause::Proxy, Phase::Request | Phase::Tarpit) if exchange.request_wire.is_some() || !is_http(exchange) => {
            counters.add(Count::DeniedRequests, 1);
        }
        (Cause::Proxy | Cause::ClientAbort | Cause::ClientTimeout, Phase::Request) => {
            counters.add(Count::RequestErrors, 1);
        }
        (Cause::Internal, _) => counters.add(Count::InternalErrors, 1),
        _ => {}
    }
}

/// What a backend or server counts.
fn count_sent(traffic: &Traffic, exchange: &Exchange<'_>, end: Option<End>, timers: &Timers) {
    let counters = traffic.of(exchange.session.worker.index);
    if is_http(exchange) {
        counters.add(Count::Requests, 1);
    }
    let broke = end.is_some_and(|end| (end.cause, end.phase) == (Cause::ServerAbort, Phase::Data));
    if exchange.account.server_broke || (broke && is_http(exchange)) {
        counters.add(Count::ResponseErrors, 1);
    }
    if let Some(end) = end {
        let what = match (end.cause, end.phase) {
            // `redir`: nobody was connected to. Nor is it the server's fault that a client does not wait.
            (Cause::Local, Phase::Connect) | (Cause::ClientAbort, Phase::Queue | Phase::Connect) => None,
            (_, Phase::Queue | Phase::Connect) => Some(Count::ConnectErrors),
            // Refused by rules: the server has done its part.
            (Cause::Proxy, Phase::Headers) if exchange.response_wire.is_some() => None,
            // Killed tunnels are nobody's fault; killed requests are counted as if the server had broken them off.
            (Cause::Down | Cause::Up | Cause::Killed, _) if !is_http(exchange) => None,
            (
                Cause::ServerAbort | Cause::ServerTimeout | Cause::Proxy | Cause::Down | Cause::Up | Cause::Killed,
                Phase::Headers,
            ) => Some(Count::ResponseErrors),
            (Cause::ClientAbort, Phase::Request) if !is_http(exchange) => Some(Count::ClientAborts),
            (Cause::ClientAbort | Cause::ClientTimeout, Phase::Headers | Phase::Data | Phase::Last) => {
                Some(Count::ClientAborts)
            }
            (
                Cause::ServerAbort | Cause::ServerTimeout | Cause::Down | Cause::Up | Cause::Killed,
                Phase::Data | Phase::Last,
            ) => Some(Count::ServerAborts),
            _ => None,
        };
        if let Some(what) = what {
            counters.add(what, 1);
        }
    }
    let took = |phase, time: Option<u64>| {
        if let Some(time) = time {
            counters.took(phase, time);
        }
    };
    took(Timing::Queue, timers.queue);
    took(Timing::Connect, timers.connect);
    took(Timing::Response, timers.response);
    took(Timing::Total, timers.response.map(|_| timers.total));
}
