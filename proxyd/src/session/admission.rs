//! Whether a connection may become a session: the rules that are asked before anything of it is read.

use super::Session;
use super::conn::Conn;
use super::logging;
use super::policy::{forget_client, stream};
use super::preface::Expected;
use crate::log::step::Step;
use crate::rules::tcp::{Preface, TcpVerdict};
use crate::sample::Stream;
use crate::sample::context::Said;
use crate::stats::{Count, Event};
use crate::stick::tracked;

/// Whether rules let it pass: then a connection is a session.
pub fn becomes_session(session: &mut Session, client: &Conn) -> bool {
    if !admits_session(session, client) {
        return false;
    }
    let (index, now_ms) = (session.worker.index, session.worker.milliseconds(session.since));
    for traffic in [&session.frontend.section.traffic, &session.listener.traffic] {
        traffic.of(index).add(Count::Sessions, 1);
        traffic.event(index, Event::Session, now_ms);
    }
    true
}

/// `tcp-request connection`: whether the connection may go on at all, and what then has to come first. It sees the ends of the
/// connection itself, whatever a header will say.
pub fn admits_connection(session: &mut Session, client: &Conn) -> Option<Expected> {
    let bind = &session.listener.bind;
    let mut expected = Expected { proxy: bind.accept_proxy, netscaler: bind.netscaler_magic.is_some() };
    let rules = &session.frontend.section.rules;
    if rules.tcp_request_connection.is_empty() {
        return Some(expected);
    }
    let said = Said::default();
    let stream = Stream { said: Some(&said), ..stream(session, client, None, None, None) };
    let mut at = 0;
    let admitted = loop {
        match rules.tcp_request_connection(&stream, &mut at) {
            TcpVerdict::Log(profile) => logging::by_rule_on_connection(session, client, Step::TcpConnection, profile),
            TcpVerdict::Expect(Preface::Proxy) => expected.proxy = true,
            TcpVerdict::Expect(Preface::NetScaler) => expected.netscaler = true,
            verdict => break !refuses(session, client, &verdict, Count::DeniedConnections),
        }
    };
    keep(session, client, &said);
    admitted.then_some(expected)
}

/// Keeps what rules say of a connection.
fn keep(session: &mut Session, client: &Conn, said: &Said) {
    if let Some(source) = said.source.get() {
        session.source = Some(source);
    }
    if let Some(destination) = said.destination.get() {
        session.set_destination(destination);
    }
    if let Some(mark) = said.mark.get() {
        client.stream().set_mark(mark);
    }
    if let Some(tos) = said.tos.get() {
        client.stream().set_tos(tos);
    }
}

/// `tcp-request session`: likewise, once it is known who the client is.
fn admits_session(session: &mut Session, client: &Conn) -> bool {
    let rules = &session.frontend.section.rules;
    if rules.tcp_request_connection.is_empty() && rules.tcp_request_session.is_empty() {
        return true;
    }
    let said = Said::default();
    let stream = Stream { said: Some(&said), ..stream(session, client, None, None, None) };
    let mut at = 0;
    let verdict = loop {
        match rules.tcp_request_session(&stream, &mut at) {
            TcpVerdict::Log(profile) => logging::by_rule_on_connection(session, client, Step::TcpSession, profile),
            verdict => break verdict,
        }
    };
    keep(session, client, &said);
    if refuses(session, client, &verdict, Count::DeniedSessions) {
        // What has come is taken, so that the close is no reset.
        client.stream().part();
        return false;
    }
    session.counters.count(&tracked::SESSION, session.worker.milliseconds(session.since));
    true
}

fn refuses(session: &Session, client: &Conn, verdict: &TcpVerdict, denied: Count) -> bool {
    let denied = match verdict {
        TcpVerdict::Continue => return false,
        TcpVerdict::SilentDrop(silence) => {
            forget_client(client, *silence);
            Count::DeniedRequests
        }
        _ => denied,
    };
    session.frontend.section.traffic.of(session.worker.index).add(denied, 1);
    true
}
