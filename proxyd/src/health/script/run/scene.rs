//! What the texts and expressions of a check are made from: the server, what it has answered, and the process.

use std::time::Duration;

use super::{Flavour, Run};
use crate::http::Head;
use crate::http::h1::{Body, Limits, Progress, response};
use crate::ids::{BackendId, FrontendId};
use crate::sample::content::{self, Content};
use crate::sample::context::Live;
use crate::sample::fetch::Side;
use crate::sample::fetch::socket::Socket;
use crate::sample::text::Text;
use crate::sample::value::leading_int;
use crate::sample::{Context, Expression, Stream, Value};
use crate::stick::Counters;

/// Where checks come from, in the words of haproxy.
const FRONTEND: (FrontendId, &str) = (FrontendId(u32::MAX), "CHECKS-FE");

/// The surroundings of one check.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The process.
    pub live: &'a dyn Live,
    /// The backend's id and name.
    pub backend: (BackendId, &'a str),
    /// The server's id and name.
    pub server: (u32, &'a str),
    /// When the check began, since 1970.
    pub now: Duration,
    /// The same on the workers' clock, in milliseconds.
    pub now_ms: u64,
}

impl std::fmt::Debug for Scene<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scene").field("backend", &self.backend).field("server", &self.server).finish_non_exhaustive()
    }
}

impl Run<'_> {
    /// The text as it is now; empty where there is nothing to make it from.
    pub(super) fn text(&self, text: &Text, socket: Option<&dyn Socket>) -> Vec<u8> {
        if let Some(literal) = text.as_literal() {
            return literal.to_vec();
        }
        let mut out = Vec::new();
        self.look(socket, |context| text.write_raw(context, &mut out));
        out
    }

    /// A number that an expression gives.
    pub(super) fn number(&self, expression: &Expression, socket: Option<&dyn Socket>) -> Option<i64> {
        let mut number = None;
        self.look(socket, |context| {
            // Bytes are read as the text they may be.
            number = expression.value(context).map(|value| match value {
                Value::Bin(bytes) => leading_int(&bytes),
                other => other.to_int().unwrap_or(0),
            });
        });
        number
    }

    /// Evaluates something in the middle of the check.
    pub(super) fn look(&self, socket: Option<&dyn Socket>, work: impl FnOnce(&Context<'_>)) {
        let Some(scene) = self.scene else { return };
        let mut head = Head::default();
        let read = self.wire.filter(|_| self.script.flavour == Flavour::Http).and_then(|wire| {
            match response::read(&self.received, &mut head, &wire, Limits::default()) {
                Ok(Progress::Complete { consumed, wire }) => Some((consumed, wire.body)),
                Ok(Progress::Partial) | Err(_) => None,
            }
        });
        let (consumed, framing) = read.unwrap_or((0, Body::None));
        let body = content::Body::new(framing, self.received.get(consumed..).unwrap_or_default()).ended(self.closed);
        let content = Content::new(Side::Response, &self.received, true, false);
        let counters = Counters::default();
        let stream = Stream {
            source: None,
            destination: None,
            own: None,
            said: None,
            frontend: FRONTEND,
            backend: Some(scene.backend),
            listener: 0,
            listener_name: None,
            proxy_header: None,
            header_error: None,
            client_socket: None,
            server_socket: socket,
            server_requests: None,
            http: self.script.flavour == Flavour::Http,
            course: None,
            worker: 0,
            server: Some(scene.server),
            now_ms: scene.now_ms,
            client_requests: 1,
            now: scene.now,
            accepted: scene.now,
            number: 0,
            content: Some(&content),
            body: None,
            response_body: read.is_some().then_some(body),
            variables: &self.variables,
            counters: &counters,
            transaction: None,
            live: scene.live,
        };
        work(&Context { request: None, response: read.is_some().then_some(&head), stream: &stream });
    }
}
