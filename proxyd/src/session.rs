//! An accepted connection, from its first byte to its last.
//!
//! - [`h1`] a connection that carries HTTP/1 requests, one [`stream`] after the other
//! - [`stream`] one request from its first byte to its log line; start reading there
//! - [`attempt`] sending it to a server: choosing, queueing, connecting, repeating; [`repeat`] what is kept for that;
//!   [`response_wait`] what then comes back
//! - [`finish`] its end: the answer that is still owed, counters; [`logging`] what is logged about it, and when
//! - [`policy`] where the rules have their say; [`server_content`] those on what a server sends, [`body`] waiting for a body
//! - [`cookies`] persistence by cookies, [`capture`] what is kept for the log
//! - [`stickiness`] persistence by stick tables
//! - [`admission`] the rules that are asked before anything is read, [`preface`] what comes before a client's first byte and says who it is, [`send_proxy`] what servers are told of that
//! - [`service`] answers that proxyd gives itself
//! - [`tcp`] a connection in `mode tcp`
//! - [`relay`] bytes in both directions, [`transfer`] in one, [`conn`] one end, [`pool`] server connections put aside

pub mod admission;
pub mod attempt;
mod bad_message;
pub mod body;
pub mod capture;
pub mod conn;
pub mod cookies;
mod exporter;
pub mod finish;
pub mod form;
mod framing;
pub mod h1;
pub mod hints;
pub mod logging;
mod own;
pub mod policy;
pub mod pool;
pub mod preface;
pub mod relay;
pub mod repeat;
pub mod report;
pub mod response_wait;
pub mod send_proxy;
pub mod server_content;
pub mod service;
pub mod stickiness;
pub mod stream;
pub mod tcp;
pub mod transfer;

use std::cell::{Cell, OnceCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{self, Moment};
use crate::ids::FrontendId;
use crate::net::accept::{Accepted, Places};
use crate::proxy::settings::Mode;
use crate::proxy::{Frontend, Listener};
use crate::sample::variable::Variables;
use crate::stats::{Count, Event};
use crate::stick::Counters;
use crate::worker::timers::Timer;
use crate::worker::view::View;
use crate::worker::{Presence, Worker};
use conn::Conn;
use own::OwnPlace;
use preface::Expected;
use report::Report;

/// What is known of an accepted connection. What is looked at whenever its task is woken stands together, first.
#[derive(Debug)]
#[repr(C)]
pub struct Session {
    /// The worker it lives on.
    pub worker: Rc<Worker>,
    /// Its one timer.
    pub timer: Timer,
    /// An administrator has ended it.
    pub killed: Cell<bool>,
    /// It came to a frontend in `mode tcp`, but carries requests.
    pub switched: bool,
    /// Its frontend's number in the generation.
    pub frontend_id: FrontendId,
    /// The generation its current request belongs to.
    pub view: Rc<View>,
    /// The frontend it came to, of that generation.
    pub frontend: Arc<Frontend>,
    /// The `bind` line it came through.
    pub listener: Arc<Listener>,
    /// The client's address; `None` for unix sockets.
    pub source: Option<SocketAddr>,
    /// When it was accepted, or its previous request ended.
    pub since: Moment,
    /// The date when it was accepted.
    pub accepted: Duration,
    /// Connections to servers that nobody else may use.
    pub own: OwnPlace,
    /// It began with a PROXY header: what that adds to the addresses.
    pub proxy_header: Option<Box<ProxyHeader>>,
    /// Requests that were completed on it.
    pub requests: u32,
    /// `sess` variables.
    pub variables: Variables,
    /// What the connection tracks.
    pub counters: Counters,
    /// Few ask for it.
    destination: OnceCell<Box<Option<SocketAddr>>>,
    _places: Places,
    presence: Presence,
}

/// What is kept of a PROXY header besides the addresses.
#[derive(Debug)]
pub struct ProxyHeader {
    /// Its additions, as they came.
    pub tlvs: Box<[u8]>,
    /// The ends of the connection itself: the client's, then ours.
    pub own: [Option<SocketAddr>; 2],
}

/// A client's connection and what is known of it, in one piece that goes with the request being answered.
#[derive(Debug)]
#[repr(C)]
pub struct Link {
    /// The connection: a line of the cache.
    pub client: Conn,
    /// What is known.
    pub session: Session,
}

impl Session {
    /// The address the client connected to; asked from the system once.
    pub fn destination(&self, client: &Conn) -> Option<SocketAddr> {
        **self.destination.get_or_init(|| Box::new(client.stream().local_address()))
    }

    /// From now on the client has connected to there.
    pub fn set_destination(&mut self, destination: SocketAddr) {
        self.destination = OnceCell::from(Box::new(Some(destination)));
    }

    /// The same, if it was asked for.
    pub fn known_destination(&self) -> Option<SocketAddr> {
        self.destination.get().and_then(|known| **known)
    }

    /// Whether the connection should end rather than take another request.
    pub fn is_closing(&self) -> bool {
        self.worker.is_closing(&self.frontend, self.presence.turn())
    }

    /// Whether the client's connection is to end while it is idle.
    pub fn leaves_idle(&self) -> bool {
        self.is_closing() && !self.frontend.idle_close_on_response
    }

    /// Answers what it was asked, if it was. True: it has to end.
    #[cold]
    fn is_ended_by_question(&self, tell: impl FnOnce() -> Option<Report>) -> bool {
        let Some(survey) = self.timer.question() else { return false };
        let ends = tell().is_some_and(|report| survey.answer(report));
        self.killed.set(self.killed.get() || ends);
        ends
    }

    /// Before another request: the generation in force. A frontend that is gone from it keeps the old one.
    fn refresh(&mut self) {
        let view = self.worker.view();
        if !Rc::ptr_eq(&view, &self.view) {
            self.adopt(view);
        }
    }

    /// Takes the frontend as a generation has it; a frontend lives on where its [`Accepting`](crate::proxy::frontend::Accepting)
    /// does.
    fn adopt(&mut self, view: Rc<View>) {
        let same = |frontend: &Arc<Frontend>| Arc::ptr_eq(&frontend.accepting, &self.frontend.accepting);
        let found = view.generation.frontends.iter().position(same);
        let found = found.and_then(|index| Some((index, view.generation.frontends.get(index)?)));
        if let Some((index, frontend)) = found {
            self.frontend_id = FrontendId(u32::try_from(index).unwrap_or(u32::MAX));
            self.frontend = Arc::clone(frontend);
            self.view = view;
        }
    }
}

/// By which door a connection came in: frontend and `bind` line, as the generation of the view has them.
#[derive(Debug, Clone)]
pub struct Entrance {
    /// The generation.
    pub view: Rc<View>,
    /// The frontend.
    pub frontend: Arc<Frontend>,
    /// The `bind` line.
    pub listener: Arc<Listener>,
}

/// Serves one accepted connection to its end. `presence` counts it from its acceptance on, so that a worker that drains does
/// not end before the connection's task has begun.
///
/// Not an `async fn`: that would keep its arguments beside what is made of them for as long as the connection lives.
pub fn run(worker: Rc<Worker>, presence: Presence, entrance: Entrance, accepted: Accepted) -> impl Future<Output = ()> {
    let Entrance { view, frontend, listener } = entrance;
    let Accepted { stream, peer, places } = accepted;
    let now = clock::moment();
    let mut session = Session {
        view,
        timer: worker.timers.timer(),
        source: peer,
        since: now,
        accepted: clock::date(),
        requests: 0,
        own: OwnPlace::default(),
        proxy_header: None,
        switched: false,
        killed: Cell::new(false),
        variables: Variables::default(),
        counters: Counters::default(),
        destination: OnceCell::new(),
        _places: places,
        presence,
        worker,
        frontend,
        frontend_id: FrontendId(u32::MAX),
        listener,
    };
    session.adopt(Rc::clone(&session.view));
    session.refresh();
    if let Some(settings) = session.frontend.tcp_keep_alive {
        stream.keep_alive(settings);
    }
    count_accepted(&session, now);
    let link = Box::new(Link { session, client: Conn::new(stream) });
    // In one piece, because a future keeps what each `async fn` within it was called with.
    async move {
        let mut link = link;
        let Link { session, client } = &mut *link;
        // What only some connections need, or only for a while, is allocated when they do.
        let told = match admission::admits_connection(session, client) {
            Some(expected) if expected != Expected::default() => {
                Box::pin(preface::read(session, client, expected)).await
            }
            expected => expected.is_some(),
        };
        if told && admission::becomes_session(session, client) {
            let http = match (is_monitor(session), session.frontend.section.mode) {
                (true, _) => {
                    Box::pin(service::answer_monitor_net(session, client)).await;
                    false
                }
                (false, Mode::Http) => true,
                (false, Mode::Tcp | Mode::Log) => {
                    session.switched = Box::pin(tcp::serve(session, client)).await;
                    session.switched
                }
                (false, Mode::Health) => {
                    Box::pin(service::answer_health(session, client)).await;
                    false
                }
            };
            if http {
                link = h1::serve(link).await;
            }
            let Link { session, client } = &mut *link;
            client.release(&session.worker.buffers);
            if http && session.frontend.nolinger {
                client.stream().reset_on_close();
            }
        }
        let Link { session, .. } = &*link;
        if !session.counters.is_empty() {
            session.counters.end(session.worker.milliseconds(clock::moment()));
        }
    }
}

fn count_accepted(session: &Session, now: Moment) {
    let (index, now_ms) = (session.worker.index, session.worker.milliseconds(now));
    for traffic in [&session.frontend.section.traffic, &session.listener.traffic] {
        let counters = traffic.of(index);
        counters.add(Count::Connections, 1);
        traffic.event(index, Event::Connection, now_ms);
    }
}

/// `monitor-net`: the addresses of load balancers and monitors that only want to know that we are there.
fn is_monitor(session: &Session) -> bool {
    match (session.frontend.monitor_net, session.source) {
        (Some(network), Some(source)) => network.contains(source.ip()),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
