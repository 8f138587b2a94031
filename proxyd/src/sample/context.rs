//! What a sample can be taken from: the messages, the connection, and the running process.

use super::Value;
use super::content::{Body, Content};
use super::fetch::course::Course;
use super::fetch::socket::{Socket, Which};
use super::fetch::{End, Figure, Side};
use super::transaction::Transaction;
use super::variable::{Name, ProcessVariables, Scope, Target, Variables};
use super::variable_limits::VariableLimits;
use crate::http::Head;
use crate::ids::{BackendId, FrontendId, ServerIndex, TableId, UserlistId};
use crate::proxy_protocol::PrefaceError;
use crate::stick::tracked::Statuses;
use crate::stick::{Counters, DataType, Table, Tracked};
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Everything a rule may look at. Borrowed for one evaluation.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The request, once its head is complete.
    pub request: Option<&'a Head>,
    /// The response, once its head is complete.
    pub response: Option<&'a Head>,
    /// The connection and the process.
    pub stream: &'a Stream<'a>,
}

/// The connection a request came over, and the process around it.
#[derive(Clone, Copy)]
pub struct Stream<'a> {
    /// The client, as the connection has it; `None` on a socket without addresses.
    pub source: Option<SocketAddr>,
    /// Where the client connected to, likewise.
    pub destination: Option<SocketAddr>,
    /// Both, as they were before a PROXY header told others.
    pub own: Option<[Option<SocketAddr>; 2]>,
    /// Where rules on the connection itself keep what they say of it.
    pub said: Option<&'a Said>,
    /// The frontend's id and name.
    pub frontend: (FrontendId, &'a str),
    /// The backend's id and name, once one is chosen.
    pub backend: Option<(BackendId, &'a str)>,
    /// `iid` of the listener the connection came in on.
    pub listener: u32,
    /// The listener's name, where it has one.
    pub listener_name: Option<&'a str>,
    /// What the PROXY header that the connection began with adds to the addresses; `None`: there was none.
    pub proxy_header: Option<&'a [u8]>,
    /// Why the connection failed before it was one.
    pub header_error: Option<PrefaceError>,
    /// The client's connection.
    pub client_socket: Option<&'a dyn Socket>,
    /// The connection to the server, once there is one.
    pub server_socket: Option<&'a dyn Socket>,
    /// How many requests that connection has carried, with this one; `None`: there is none.
    pub server_requests: Option<u32>,
    /// The connection carries HTTP.
    pub http: bool,
    /// How the exchange has gone so far. `None`: there is none yet.
    pub course: Option<&'a dyn Course>,
    /// The worker the connection lives on.
    pub worker: u32,
    /// The id and the name of the server, once one is chosen.
    pub server: Option<(u32, &'a str)>,
    /// Milliseconds on the workers' clock, which rates are counted on.
    pub now_ms: u64,
    /// How many requests the client's connection has carried, with this one.
    pub client_requests: u32,
    /// Time since 1970.
    pub now: Duration,
    /// When the connection was accepted, since 1970.
    pub accepted: Duration,
    /// How many exchanges the process had before this one.
    pub number: u64,
    /// Bytes of the connection that nothing has read yet, where rules look at those.
    pub content: Option<&'a Content<'a>>,
    /// The request's body, as far as it has come.
    pub body: Option<Body<'a>>,
    /// The same of the response's.
    pub response_body: Option<Body<'a>>,
    /// `sess` variables, and the `check` ones of a check.
    pub variables: &'a Variables,
    /// What the connection tracks.
    pub counters: &'a Counters,
    /// What rules noted about the exchange. `None`: there is none yet, only a connection.
    pub transaction: Option<&'a Transaction>,
    /// State of the process that changes while it runs.
    pub live: &'a dyn Live,
}

impl<'a> Context<'a> {
    /// The exchange's id, made now if nobody asked for it before; `None` where the frontend has no `unique-id-format`.
    pub fn unique_id(&self) -> Option<&'a [u8]> {
        let stream = self.stream;
        stream.transaction?.unique_id(|| stream.live.unique_id(self))
    }
}

/// What rules say of a connection before there is an exchange on it.
#[derive(Debug, Default)]
pub struct Said {
    /// `set-src`, `set-src-port`
    pub source: Cell<Option<SocketAddr>>,
    /// `set-dst`, `set-dst-port`
    pub destination: Cell<Option<SocketAddr>>,
    /// `set-mark`
    pub mark: Cell<Option<u32>>,
    /// `set-tos`
    pub tos: Cell<Option<u8>>,
}

impl<'a> Stream<'a> {
    /// Where a rule keeps what it says of an end of the connection.
    pub(crate) fn said_of(&self, end: End) -> Option<&'a Cell<Option<SocketAddr>>> {
        match (self.transaction, self.said, end) {
            (Some(transaction), _, End::Source) => Some(&transaction.source),
            (Some(transaction), _, End::Destination) => Some(&transaction.destination),
            (None, Some(said), End::Source) => Some(&said.source),
            (None, Some(said), End::Destination) => Some(&said.destination),
            (None, None, _) => None,
        }
    }

    /// An end of the connection as rules see it, which may have changed it.
    pub(crate) fn end(&self, end: End) -> Option<SocketAddr> {
        self.said_of(end).and_then(Cell::get).or(match end {
            End::Source => self.source,
            End::Destination => self.destination,
        })
    }

    /// The same as the connection itself has it.
    pub(crate) fn own_end(&self, end: End) -> Option<SocketAddr> {
        let [source, destination] = self.own.unwrap_or([self.source, self.destination]);
        match end {
            End::Source => source,
            End::Destination => destination,
        }
    }

    /// The counters that have this number and those that stand behind them: of the exchange, of the connection.
    fn all_counters(&self) -> impl Iterator<Item = &'a Counters> {
        self.transaction.map(|transaction| &transaction.counters).into_iter().chain([self.counters])
    }

    /// Looks at what a counter tracks. `None`: nothing.
    pub fn tracked<T>(&self, number: u8, mut look: impl FnMut(&Tracked) -> T) -> Option<T> {
        self.all_counters().find_map(|counters| counters.with(number, &mut look))
    }

    /// Adds to what all counters track.
    pub fn count(&self, what: &[(DataType, u64)]) {
        self.all_counters().for_each(|counters| counters.count(what, self.now_ms));
    }
}

impl<'a> Stream<'a> {
    /// No connection at all: what rules see before there is one, and what other places begin with.
    pub fn outside(variables: &'a Variables, counters: &'a Counters, live: &'a dyn Live) -> Self {
        Self {
            source: None,
            destination: None,
            own: None,
            said: None,
            frontend: (FrontendId(0), ""),
            backend: None,
            listener: 0,
            listener_name: None,
            proxy_header: None,
            header_error: None,
            client_socket: None,
            server_socket: None,
            server_requests: None,
            http: false,
            course: None,
            worker: 0,
            server: None,
            now_ms: 0,
            client_requests: 0,
            now: Duration::ZERO,
            accepted: Duration::ZERO,
            number: 0,
            content: None,
            body: None,
            response_body: None,
            variables,
            counters,
            transaction: None,
            live,
        }
    }

    /// One of the two connections.
    pub fn socket(&self, which: Which) -> Option<&'a dyn Socket> {
        match which {
            Which::Client => self.client_socket,
            Which::Server => self.server_socket,
        }
    }

    /// A message's body.
    pub fn body_of(&self, side: Side) -> Option<Body<'a>> {
        match side {
            Side::Request => self.body,
            Side::Response => self.response_body,
        }
    }
}

impl Stream<'_> {
    /// The value of a variable.
    pub fn variable(&self, name: &Name) -> Option<Value<'static>> {
        match name.scope {
            Scope::Process => self.live.variables().get(&name.name),
            Scope::Session | Scope::Check => self.variables.get(name),
            Scope::Transaction | Scope::Request | Scope::Response => self.transaction?.variables.get(name),
            Scope::Elsewhere => None,
        }
    }

    /// All variables of a scope that have a value.
    pub fn each_variable(&self, scope: Scope, look: &mut dyn FnMut(&str, &Value<'static>)) {
        match scope {
            Scope::Process => self.live.variables().each(look),
            Scope::Session | Scope::Check => self.variables.each(scope, look),
            Scope::Transaction | Scope::Request | Scope::Response => {
                if let Some(transaction) = self.transaction {
                    transaction.variables.each(scope, look);
                }
            }
            Scope::Elsewhere => {}
        }
    }

    /// Sets a variable, unless there is no room for it; one of an exchange does not last where there is none.
    pub fn set_variable(&self, name: &Name, value: Value<'static>) {
        if self.live.variable_limits().is_some_and(|limits| !limits.allow(self, name, &value)) {
            return;
        }
        match (name.scope, self.transaction) {
            (Scope::Process, _) => self.live.variables().set(&name.name, value),
            (Scope::Session | Scope::Check, _) => self.variables.set(name, value),
            (Scope::Transaction | Scope::Request | Scope::Response, Some(transaction)) => {
                transaction.variables.set(name, value);
            }
            (Scope::Transaction | Scope::Request | Scope::Response, None) | (Scope::Elsewhere, _) => {}
        }
    }

    /// Sets a variable where its conditions allow; whether they did.
    pub fn set_variable_if(&self, target: &Target, value: Value<'static>) -> bool {
        if !target.conditions.is_empty() {
            let exists = match target.name.scope {
                // Haproxy makes those of the process as it reads the configuration.
                Scope::Process => true,
                Scope::Elsewhere => false,
                Scope::Session | Scope::Check => self.variables.exists(&target.name),
                Scope::Transaction | Scope::Request | Scope::Response => {
                    self.transaction.is_some_and(|transaction| transaction.variables.exists(&target.name))
                }
            };
            let old = self.variable(&target.name);
            if !target.conditions.iter().all(|condition| condition.holds(exists, old.as_ref(), &value)) {
                return false;
            }
        }
        self.set_variable(&target.name, value);
        true
    }

    /// Forgets a variable.
    pub fn unset_variable(&self, name: &Name) {
        match (name.scope, self.transaction) {
            (Scope::Process, _) => self.live.variables().unset(&name.name),
            (Scope::Session | Scope::Check, _) => self.variables.unset(name),
            (Scope::Transaction | Scope::Request | Scope::Response, Some(transaction)) => {
                transaction.variables.unset(name);
            }
            (Scope::Transaction | Scope::Request | Scope::Response, None) | (Scope::Elsewhere, _) => {}
        }
    }
}

/// State of the running process that rules may ask for. What does not say otherwise answers as before the process runs, when there
/// is nothing yet.
pub trait Live {
    /// How much variables may take, where it is configured.
    fn variable_limits(&self) -> Option<&VariableLimits> {
        None
    }
    /// What statuses say, where it is configured.
    fn statuses(&self) -> Option<&Statuses> {
        None
    }
    /// A backend by its name, for names that are made at run time.
    fn backend_named(&self, _: &[u8]) -> Option<BackendId> {
        None
    }
    /// Servers of a backend that can take traffic (`nbsrv`).
    fn servers_up(&self, _: BackendId) -> u64 {
        0
    }
    /// Whether one server can take traffic (`srv_is_up`).
    fn server_up(&self, _: BackendId, _: ServerIndex) -> bool {
        false
    }
    /// Sessions of a server (`srv_conn`).
    fn server_sessions(&self, _: BackendId, _: ServerIndex) -> u64 {
        0
    }
    /// Sessions of a backend (`be_conn`).
    fn backend_sessions(&self, _: BackendId) -> u64 {
        0
    }
    /// Requests waiting in a backend and its servers (`queue`).
    fn queued(&self, _: BackendId) -> u64 {
        0
    }
    /// Connections of a frontend (`fe_conn`).
    fn frontend_sessions(&self, _: FrontendId) -> u64 {
        0
    }
    /// Whether the user of that list has that password, and which groups the user is in; `None`: no.
    fn admitted(&self, _: UserlistId, _: &[u8], _: &[u8]) -> Option<Groups> {
        None
    }
    /// A server by `backend/server`.
    fn server_named(&self, _: &[u8]) -> Option<(BackendId, ServerIndex)> {
        None
    }
    /// A server of a backend by its name.
    fn server_of(&self, _: BackendId, _: &[u8]) -> Option<ServerIndex> {
        None
    }
    /// Whether a frontend has that name.
    fn has_frontend(&self, _: &[u8]) -> bool {
        false
    }
    /// A figure that has no question of its own here; `None` where there is none.
    fn figure(&self, _: Figure, _: &Stream<'_>) -> Option<i64> {
        None
    }
    /// The name of a frontend's `default_backend`.
    fn default_backend(&self, _: FrontendId) -> Option<&str> {
        None
    }
    /// Whether the process ends once its connections have.
    fn is_stopping(&self) -> bool {
        false
    }
    /// Whether an address is one of this host's.
    fn is_local(&self, _: IpAddr) -> bool {
        false
    }
    /// Seconds between UTC and local time at that moment.
    fn utc_offset(&self, _: i64) -> i32 {
        0
    }
    /// `tune.http.logurilen`: how much of a request line is kept for lines.
    fn kept_of_request_line(&self) -> usize {
        usize::MAX
    }
    /// A stick table.
    fn table(&self, _: TableId) -> Option<&Arc<Table>> {
        None
    }
    /// The id that the frontend's `unique-id-format` makes for an exchange; `None` where it has none.
    fn unique_id(&self, _: &Context<'_>) -> Option<Vec<u8>> {
        None
    }
    /// The host's name and the process's number.
    fn host(&self) -> (&str, u32) {
        ("", 0)
    }
    /// The variables of the process.
    fn variables(&self) -> &ProcessVariables;
    /// A random number, different at every call.
    fn random(&self) -> u32;
    /// Writes a line for who looks for a mistake: to standard output or error, or into a ring (`debug`).
    fn debug(&self, _sink: &str, _line: &[u8], _now: Duration) {}
}

/// The groups of a user.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Groups(pub Vec<String>);

/// A process in which nothing runs, for tests.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct Nothing(ProcessVariables);

#[cfg(test)]
impl Live for Nothing {
    fn variables(&self) -> &ProcessVariables {
        &self.0
    }

    fn random(&self) -> u32 {
        0
    }
}
