//! What comes before a client's first byte and says who it is: a PROXY header, `NetScaler`'s client IP insertion.

use std::cell::OnceCell;

use super::conn::Conn;
use super::{ProxyHeader, Session, logging};
use crate::net::canonical;
use crate::proxy_protocol::{self, HeaderError, PrefaceError, Progress, netscaler};
use crate::rules::tcp::Preface;

/// What has to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Expected {
    /// A PROXY header: `accept-proxy`, `expect-proxy`.
    pub proxy: bool,
    /// `NetScaler`'s, before it: `accept-netscaler-cip`, `expect-netscaler-cip`.
    pub netscaler: bool,
}

/// Reads it. False: it did not come, the connection is closed.
pub async fn read(session: &mut Session, client: &mut Conn, expected: Expected) -> bool {
    let timeouts = &session.frontend.section.timeouts;
    let limit = timeouts.http_request.or(timeouts.client);
    session.timer.set(limit.map(|limit| session.since + limit));
    (!expected.netscaler || read_one(session, client, Preface::NetScaler).await)
        && (!expected.proxy || read_one(session, client, Preface::Proxy).await)
}

async fn read_one(session: &mut Session, client: &mut Conn, what: Preface) -> bool {
    let error = loop {
        let input = client.input.bytes();
        let progress = match (what, session.listener.bind.netscaler_magic) {
            (Preface::Proxy, _) => proxy_protocol::read(input),
            (Preface::NetScaler, Some(magic)) => netscaler::read(magic, input),
            // A rule expects it, but its line has no number to know it by.
            (Preface::NetScaler, None) => Err(HeaderError::NoHeader),
        };
        match progress {
            Err(error) => break error,
            Ok(Progress::Partial) => {}
            Ok(Progress::Complete { consumed, ends }) => {
                if what == Preface::Proxy {
                    let tlvs = proxy_protocol::tlvs(input.get(..consumed).unwrap_or_default()).into();
                    let own = [session.source, session.destination(client)];
                    session.proxy_header = Some(Box::new(ProxyHeader { tlvs, own }));
                }
                client.input.consume(consumed);
                if let Some(ends) = ends {
                    session.source = Some(canonical(ends.source));
                    session.destination = OnceCell::from(Box::new(Some(canonical(ends.destination))));
                }
                return true;
            }
        }
        let nothing = client.input.is_empty();
        match session.timer.race(client.fill(&session.worker.buffers)).await {
            Ok(Ok(1..)) => {}
            _ if !nothing => break HeaderError::Truncated,
            Ok(Ok(0)) => break HeaderError::Closed,
            Ok(Err(_)) => break HeaderError::Broken,
            Err(_) => break HeaderError::Late,
        }
    };
    logging::failed_connection(session, client, PrefaceError { expected: what, error });
    false
}
