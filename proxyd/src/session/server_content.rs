//! `tcp-response content`: rules on what a server sends, before any of it goes to the client.
//!
//! haproxy asks these rules when the server is connected, when nothing has come yet; what cannot be told then waits for bytes for
//! as long as `inspect-delay` says, and without one is decided at once.

use std::task::{Context as Task, Poll};

use super::report::Stage;
use super::stream::{Done, Exchange};
use super::transfer::{Broken, poll_silence, poll_transfer};
use super::{body, logging, policy};
use crate::clock::{self, Moment};
use crate::log::step::Step;
use crate::proxy::Section;
use crate::rules::tcp::TcpVerdict;
use crate::sample::content::Content;
use crate::sample::fetch::Side;
use crate::sample::{Context, Stream};
use crate::termination::{Cause, End, Phase};

/// What becomes of a tunnel whose server has been looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opening {
    /// Bytes go both ways.
    Open,
    /// A rule closed the server's connection, and the client got what had come.
    Over(Done),
}

/// In `mode tcp`: looks at what the server sends while the client's bytes go to it, until the rules are content.
pub async fn on_tunnel(exchange: &mut Exchange<'_>) -> Result<Opening, End> {
    let Some(section) = exchange.backend.map(|view| &view.backend.section) else { return Ok(Opening::Open) };
    let deadline = section.response_inspect_delay.map(|delay| exchange.account.now + delay);
    let mut place = Place { at: 0, seen: None };
    let verdict = std::future::poll_fn(|task| poll_tunnel(task, exchange, section, deadline, &mut place)).await?;
    exchange.tick();
    let received = exchange.server.as_ref().map_or(0, |server| server.conn.input.len() as u64);
    match verdict {
        TcpVerdict::Continue
        | TcpVerdict::Wait
        | TcpVerdict::Log(_)
        | TcpVerdict::Resolve(_)
        | TcpVerdict::Expect(_)
        | TcpVerdict::SwitchToHttp => Ok(Opening::Open),
        TcpVerdict::Close => over(exchange).await.map(Opening::Over),
        TcpVerdict::Reject | TcpVerdict::SilentDrop(_) => {
            exchange.account.bytes_out = received;
            Err(refused(exchange, &verdict))
        }
    }
}

/// Where the rules are.
struct Place {
    /// At which rule.
    at: usize,
    /// What they saw last: so many bytes, and whether that was all.
    seen: Option<(usize, bool)>,
}

/// One look, and another with each bytes that come. The client's bytes pass meanwhile: the server may wait for them.
fn poll_tunnel(
    task: &mut Task<'_>,
    exchange: &mut Exchange<'_>,
    section: &Section,
    deadline: Option<Moment>,
    place: &mut Place,
) -> Poll<Result<TcpVerdict, End>> {
    let session = exchange.session;
    if let Some(server) = &mut exchange.server {
        let ends = (&mut *exchange.client, &mut server.conn);
        match poll_transfer(task, &mut exchange.upload, ends, &session.worker, &mut false) {
            // That the client has ended is told to the server by the relay.
            Poll::Pending | Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(Broken::Source | Broken::Invalid)) => {
                server.conn.stream().reset_on_close();
                exchange.account.bytes_out = server.conn.input.len() as u64;
                return Poll::Ready(Err(End::new(Cause::ClientAbort, Phase::Data, None)));
            }
            Poll::Ready(Err(Broken::Sink | Broken::Reset)) => {
                return Poll::Ready(Err(End::new(Cause::ServerAbort, Phase::Data, None)));
            }
        }
    }
    loop {
        let Some(server) = &exchange.server else { return Poll::Ready(Ok(TcpVerdict::Continue)) };
        let (input, ended) = (&server.conn.input, server.conn.ended);
        let complete = deadline.is_none_or(|deadline| clock::moment() >= deadline)
            || ended
            || input.len() >= session.worker.buffers.size();
        // Who was woken by the client has nothing new to look at.
        let news = place.seen.replace((input.len(), complete)) != Some((input.len(), complete));
        let content = Content::new(Side::Response, input.bytes(), complete, false);
        let stream = Stream { content: Some(&content), ..policy::seen(exchange, exchange.backend) };
        let context = Context { request: None, response: None, stream: &stream };
        let verdict = if news { section.rules.tcp_response_content(&context, &mut place.at) } else { TcpVerdict::Wait };
        policy::apply_to_client(exchange);
        if let TcpVerdict::Log(profile) = verdict {
            place.seen = None;
            logging::by_rule(exchange, Step::TcpResponse, profile);
            continue;
        }
        if verdict != TcpVerdict::Wait {
            return Poll::Ready(Ok(verdict));
        }
        let Some(server) = &mut exchange.server else { return Poll::Ready(Ok(TcpVerdict::Continue)) };
        match server.conn.poll_fill(task, &session.worker.buffers, false) {
            // Nothing more will come: the rules are asked for the last time.
            Poll::Ready(Err(_)) => server.conn.ended = true,
            Poll::Ready(Ok(_)) => {}
            Poll::Pending => {
                let tell = || Some(exchange.report(Stage::Rules).analysing(deadline));
                if poll_silence(task, session, &[(deadline, ())], tell).is_pending() {
                    return Poll::Pending;
                }
                if session.killed.get() {
                    return Poll::Ready(Err(End::new(Cause::Killed, Phase::Data, None)));
                }
            }
        }
    }
}

/// Gives the client what has come, and no more.
async fn over(exchange: &mut Exchange<'_>) -> Result<Done, End> {
    let session = exchange.session;
    let buffers = &session.worker.buffers;
    if let Some(server) = &mut exchange.server {
        exchange.account.bytes_out = server.conn.input.len() as u64;
        exchange.client.output.space(buffers).extend_from_slice(server.conn.input.bytes());
        server.conn.input.discard(buffers);
    }
    let deadline = exchange.client_timeout().map(|limit| clock::moment() + limit);
    std::future::poll_fn(|task| match exchange.client.poll_flush(task, buffers) {
        Poll::Ready(flushed) => {
            Poll::Ready(flushed.map(|()| Done).map_err(|_| End::new(Cause::ClientAbort, Phase::Data, None)))
        }
        Poll::Pending => poll_silence(task, session, &[(deadline, ())], || Some(exchange.report(Stage::Tunnel)))
            .map(|()| Err(End::new(Cause::ClientTimeout, Phase::Data, None))),
    })
    .await
}

/// In `mode http`: looks at the response, whose head has come. Rules that do not wait for it see nothing of it.
pub async fn on_response(exchange: &mut Exchange<'_>, section: &Section) -> Result<(), End> {
    let (delay, begun) = (section.response_inspect_delay, exchange.account.connected);
    let deadline = delay.zip(begun).map(|(delay, begun)| begun + delay);
    let in_time = deadline.is_some_and(|deadline| exchange.account.now < deadline);
    let mut at = 0;
    let first = ask(exchange, section, false, !in_time, &mut at);
    if first != TcpVerdict::Wait {
        return obey(exchange, &first, false);
    }
    loop {
        let (full, ended) = exchange.server.as_ref().map_or((true, true), |server| {
            (server.conn.input.len() >= exchange.session.worker.buffers.size(), server.conn.ended)
        });
        let late = deadline.is_none_or(|deadline| exchange.account.now >= deadline);
        let complete = full || ended || late;
        match ask(exchange, section, true, complete, &mut at) {
            TcpVerdict::Wait => more(exchange, deadline).await?,
            verdict => return obey(exchange, &verdict, true),
        }
    }
}

fn ask(exchange: &Exchange<'_>, section: &Section, shown: bool, complete: bool, at: &mut usize) -> TcpVerdict {
    let received = exchange.server.as_ref().map_or(0, |server| server.conn.input.len() as u64);
    let length = if shown { exchange.response.counted_len() + received } else { 0 };
    let content = Content::new(Side::Response, &[], complete, !shown).of_length(length);
    let body = policy::response_body(exchange).filter(|_| shown);
    let stream = Stream { content: Some(&content), response_body: body, ..policy::seen(exchange, exchange.backend) };
    let response = shown.then_some(&*exchange.response);
    let context = Context { request: Some(&exchange.request), response, stream: &stream };
    loop {
        match section.rules.tcp_response_content(&context, at) {
            TcpVerdict::Log(profile) => logging::by_rule(exchange, Step::TcpResponse, profile),
            verdict => return verdict,
        }
    }
}

/// Waits until more has come, no more will come, or the time is over.
async fn more(exchange: &mut Exchange<'_>, deadline: Option<Moment>) -> Result<(), End> {
    let session = exchange.session;
    std::future::poll_fn(|task| {
        let Some(server) = &mut exchange.server else { return Poll::Ready(()) };
        if let Poll::Ready(read) = server.conn.poll_fill(task, &session.worker.buffers, false) {
            server.conn.ended |= read.is_err();
            return Poll::Ready(());
        }
        let tell = || Some(exchange.report(Stage::Rules).analysing(deadline));
        poll_silence(task, session, &[(deadline, ())], tell)
    })
    .await;
    exchange.tick();
    if session.killed.get() { Err(End::new(Cause::Killed, Phase::Headers, Some(502))) } else { Ok(()) }
}

/// `seen`: the verdict was made of the response, which is told then.
fn obey(exchange: &mut Exchange<'_>, verdict: &TcpVerdict, seen: bool) -> Result<(), End> {
    policy::apply_to_client(exchange);
    match verdict {
        TcpVerdict::Continue
        | TcpVerdict::Wait
        | TcpVerdict::Log(_)
        | TcpVerdict::Resolve(_)
        | TcpVerdict::Expect(_)
        | TcpVerdict::SwitchToHttp => Ok(()),
        TcpVerdict::Close => {
            exchange.account.bytes_out = 0;
            Err(End::new(Cause::ServerAbort, Phase::Headers, Some(502)))
        }
        TcpVerdict::Reject | TcpVerdict::SilentDrop(_) => {
            if seen {
                body::tell_response(exchange);
            } else {
                exchange.account.bytes_out = 0;
            }
            Err(refused(exchange, verdict))
        }
    }
}

fn refused(exchange: &Exchange<'_>, verdict: &TcpVerdict) -> End {
    if let TcpVerdict::SilentDrop(silence) = verdict {
        return policy::forget_client(exchange.client, *silence);
    }
    policy::count_denied_response(exchange);
    End::new(Cause::Proxy, Phase::Data, None)
}
