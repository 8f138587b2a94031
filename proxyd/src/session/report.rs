//! What a session says about itself when an operator asks: the facts behind the lines of `show sess`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::logging;
use super::stream::Exchange;
use crate::clock::{self, Moment};
use crate::log::date::Date;
use crate::net::Stream;
use crate::proxy::{Backend, Frontend, Listener, Server};
use crate::stats::WorkerIndex;

/// What it is waiting for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Bytes that a rule needs to decide.
    Rules,
    /// A body that rules look at.
    Body,
    /// The end of its time in the tarpit.
    Tarpit,
    /// A place on a server.
    Queue,
    /// A connection to the server.
    Connect,
    /// The next attempt to connect.
    Pause,
    /// The server's response.
    Headers,
    /// The rest of a response, in HTTP.
    Data,
    /// Bytes of either side, without HTTP or after an upgrade.
    Tunnel,
    /// The client, which has not yet taken proxyd's own answer.
    Answer,
}

/// One direction: what has come, what has not left yet, and how long it may take.
#[derive(Clone, Copy, Debug, Default)]
pub struct Direction {
    /// Bytes that have come in all.
    pub total: u64,
    /// Bytes that have come and are not passed on yet.
    pub pending: usize,
    /// Bytes that wait to be taken.
    pub output: usize,
    /// Until when more must come.
    pub read: Option<Duration>,
    /// Until when some must be taken.
    pub write: Option<Duration>,
    /// Until when rules wait.
    pub analysis: Option<Duration>,
}

/// A session at one moment. Times are what is left of them.
#[derive(Debug)]
pub struct Report {
    /// The exchange's number, which no other one of the process has.
    pub number: u64,
    /// The worker it lives on.
    pub worker: WorkerIndex,
    /// What it is waiting for.
    pub stage: Stage,
    /// The frontend.
    pub frontend: Arc<Frontend>,
    /// The `bind` line.
    pub listener: Arc<Listener>,
    /// The client; `None` for unix sockets.
    pub source: Option<SocketAddr>,
    /// Where it connected to; `None` for unix sockets.
    pub destination: Option<SocketAddr>,
    /// The backend, once it is chosen.
    pub backend: Option<Arc<Backend>>,
    /// The server, once it is chosen.
    pub server: Option<Arc<Server>>,
    /// Where the server is.
    pub target: Option<SocketAddr>,
    /// From where it is connected to.
    pub left_from: Option<SocketAddr>,
    /// The descriptors of the client's and of the server's connection.
    pub descriptors: (i32, Option<i32>),
    /// When the connection was accepted or its previous request ended.
    pub since: Date,
    /// How long ago that is.
    pub age: Duration,
    /// How often it has waited.
    pub waits: u32,
    /// Attempts at a server after the first.
    pub retries: u32,
    /// A request's method; `None` without HTTP.
    pub method: Option<Box<[u8]>>,
    /// The status of the response, once it is known.
    pub status: Option<u16>,
    /// All of the request was received and passed on.
    pub request_done: bool,
    /// From the client to the server.
    pub request: Direction,
    /// From the server to the client.
    pub response: Direction,
    /// Until when it must have a place or a connection, or tries again.
    pub connect: Option<Duration>,
    now: Moment,
}

impl Report {
    /// What is left until a deadline.
    pub fn left(&self, deadline: Option<Moment>) -> Option<Duration> {
        deadline.map(|deadline| deadline.since(self.now))
    }

    /// The time that is over first.
    pub fn next(&self) -> Option<Duration> {
        let (request, response) = (&self.request, &self.response);
        let all = [request.read, request.write, request.analysis, response.read, response.write, self.connect];
        all.into_iter().flatten().min()
    }

    /// Waits in a queue, for a connection or between attempts.
    #[must_use]
    pub fn connecting(mut self, deadline: Option<Moment>) -> Self {
        self.connect = self.left(deadline);
        self
    }

    /// Waits for what rules need.
    #[must_use]
    pub fn analysing(mut self, deadline: Option<Moment>) -> Self {
        self.request.analysis = self.left(deadline);
        self
    }

    /// Tries this connection.
    #[must_use]
    pub fn towards(mut self, stream: &Stream) -> Self {
        self.descriptors.1 = Some(stream.descriptor());
        self.left_from = stream.local_address();
        self
    }
}

impl Exchange<'_> {
    /// What there is to say about it while it waits.
    pub fn report(&self, stage: Stage) -> Report {
        let (session, account, now) = (self.session, &self.account, clock::moment());
        // A `listen` section is its own backend until rules choose another.
        let own = || session.view.generation.backend(session.frontend.listen?);
        let backend = self.backend.map(|view| &view.backend).or_else(own);
        let server = backend.zip(self.server_index).and_then(|(backend, index)| backend.servers.get(index));
        let towards = self.server.as_ref().map(|server| &server.conn);
        Report {
            number: self.transaction.number,
            worker: session.worker.index,
            stage,
            frontend: Arc::clone(&session.frontend),
            listener: Arc::clone(&session.listener),
            source: self.source(),
            destination: self.seen_destination(),
            backend: backend.cloned(),
            server: server.cloned(),
            target: server.and_then(|server| logging::logged_target(self, server)),
            left_from: towards.and_then(|conn| conn.stream().local_address()),
            descriptors: (self.client.stream().descriptor(), towards.map(|conn| conn.stream().descriptor())),
            since: session.worker.log.date(session.worker.date(session.since)),
            age: now.since(session.since),
            waits: session.timer.waits(),
            retries: account.retries,
            method: self.request_wire.map(|_| self.request.method().into()),
            status: account.status.or_else(|| self.response_wire.map(|_| self.response.status())),
            request_done: self.upload.is_done(),
            request: Direction {
                total: account.bytes_in + self.upload.moved + self.client.input.len() as u64,
                pending: self.client.input.len(),
                output: towards.map_or(0, |conn| conn.output.len()),
                ..Direction::default()
            },
            response: Direction {
                total: account.bytes_out,
                pending: towards.map_or(0, |conn| conn.input.len()),
                output: self.client.output.len(),
                ..Direction::default()
            },
            connect: None,
            now,
        }
    }
}
