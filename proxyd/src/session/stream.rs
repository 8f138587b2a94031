//! One request, top to bottom.
//!
//! [`run`] is the whole story; each step is a function, in the order of the story. What goes wrong in any of them travels as an
//! [`End`] to [`finish`](super::finish), which is reached exactly once per request.

use std::net::SocketAddr;
use std::time::Duration;

use super::attempt::InUse;
use super::capture::{self, Captures};
use super::conn::Conn;
use super::h1::Begun;
use super::pool::ServerConn;
use super::service::Answer;
use super::transfer::Transfer;
use super::{Link, Session, cookies, finish, h1, logging, policy, service, stickiness};
use crate::balance::dispatcher::Slot;
use crate::balance::farm::Presence;
use crate::balance::persist::CookieRead;
use crate::balance::server_state::Shut;
use crate::clock::{self, Moment};
use crate::http::Head;
use crate::http::h1::Body;
use crate::http::h1::request::RequestWire;
use crate::http::h1::response::ResponseWire;
use crate::log::{self, Timers};
use crate::proxy::Section;
use crate::proxy::settings::Splice;
use crate::rules::stick::ToStore;
use crate::sample::fetch::course::{Course, Told};
use crate::sample::transaction::Transaction;
use crate::termination::{Cause, End, Phase};
use crate::worker::view::BackendView;

/// A request that was answered by a server, completely.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Done;

/// A request and its response while they are worked on, and what will be told about them. What is looked at whenever a side
/// sends something stands together, first.
#[derive(Debug)]
#[repr(C)]
pub struct Exchange<'s> {
    /// The connection it came by.
    pub session: &'s Session,
    /// That connection's bytes.
    pub client: &'s mut Conn,
    /// The place on the server.
    pub slot: Option<Slot>,
    /// The connection to the server.
    pub server: Option<ServerConn>,
    /// The request's body on its way.
    pub upload: Transfer,
    /// Whether the server's sessions were shut down meanwhile is told by this.
    pub shut_mark: u32,
    /// A cookie or a rule demanded the server.
    pub directed: bool,
    /// `force-persist`: the demanded server counts in any state, and no other is tried.
    pub forced: bool,
    /// An idle connection had failed: only a new one will do.
    pub fresh_only: bool,
    /// The client's connection may carry another request.
    pub keep_alive: bool,
    /// In `mode tcp`: the bytes that have come begin with the head of a request, which stands in `request` for rules to see.
    pub peeked: bool,
    /// The request's head.
    pub request: Box<Head>,
    /// What it says; `None` before it is complete.
    pub request_wire: Option<RequestWire>,
    /// The response's head.
    pub response: Box<Head>,
    /// What it says; `None` before it is complete.
    pub response_wire: Option<ResponseWire>,
    /// Where the request goes.
    pub backend: Option<&'s BackendView>,
    /// The server last tried, in its backend.
    pub server_index: Option<usize>,
    /// What the request's cookies said, once they were read.
    pub cookie_read: Option<CookieRead>,
    /// What the stick tables say about the server, once they were asked.
    pub stuck: Option<Option<usize>>,
    /// What they are to learn.
    pub to_store: ToStore,
    /// A server that failed, to be avoided where there is another.
    pub avoid: Option<usize>,
    /// What proxyd itself answers with, where a step decided so.
    pub answer: Option<Box<Answer>>,
    /// Kept for the log.
    pub captures: Captures,
    /// What rules noted.
    pub transaction: Transaction,
    /// In `mode tcp`: a rule or the backend wants requests.
    pub switches_to_http: bool,
    /// For the log and the counters.
    pub account: Account,
    /// Counted in the backend.
    pub backend_use: Option<InUse<'s>>,
    /// Counted at the server.
    pub server_use: Option<InUse<'s>>,
    /// Counted in the farm, for limits that depend on its load.
    pub farm_use: Option<Presence>,
}

/// What is told about a request at its end.
#[derive(Debug)]
pub struct Account {
    /// When the connection was accepted, or its previous request ended.
    pub began: Moment,
    /// When its first byte came.
    pub first_byte: Option<Moment>,
    /// When its head was complete.
    pub received: Option<Moment>,
    /// When it had a place on a server.
    pub dequeued: Option<Moment>,
    /// When it had a connection to the server.
    pub connected: Option<Moment>,
    /// From where the server was connected to, where the log wants to know.
    pub left_from: Option<SocketAddr>,
    /// When the response's head was complete.
    pub answered: Option<Moment>,
    /// The latest time that is known, for steps that need no better one.
    pub now: Moment,
    /// The status sent to the client.
    pub status: Option<u16>,
    /// Bytes of the request, head and body.
    pub bytes_in: u64,
    /// What haproxy counts of the request's head beyond its bytes, where the log shows that.
    pub counted_more: i16,
    /// Bytes of the response as haproxy counts them; the page for bytes that were no request is not counted.
    pub bytes_out: u64,
    /// What `option contstats` has counted by now; few sections have it.
    pub counted: Option<Box<Counted>>,
    /// Attempts at a server after the first.
    pub retries: u32,
    /// The request went to another server than chosen at first.
    pub redispatched: bool,
    /// Requests ahead when it queued, at the server and in the backend.
    pub queued_behind: (u32, u32),
    /// The two letters about cookies.
    pub cookies: [u8; 2],
    /// The service of proxyd's own that answered.
    pub service: Option<log::Service>,
    /// The log line was written before the end.
    pub logged: bool,
    /// A rule on the connection's content has refused it.
    pub rejected: bool,
    /// The server has reset its connection.
    pub server_broke: bool,
    /// Whether it is logged and counted.
    pub telling: Telling,
}

/// What is told of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// It is counted and logged.
    All,
    /// It is counted: `monitor-uri`, `option dontlognull`.
    Counted,
    /// Nothing: it ended before it began.
    Nothing,
}

/// What was counted of a response or tunnel before its end.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Bytes of the request, and of the response.
    pub bytes: (u64, u64),
    /// When they are counted again.
    pub next: Moment,
}

impl Account {
    /// How long each phase took that has ended by then.
    pub fn timers(&self, now: Moment) -> Timers {
        let between = |from: Option<Moment>, to: Option<Moment>| Some(to?.milliseconds_since(from?));
        Timers {
            handshake: 0,
            idle: self.first_byte.map_or(0, |first| first.milliseconds_since(self.began)),
            request: between(self.first_byte, self.received),
            queue: between(self.received.or(self.first_byte), self.dequeued),
            connect: between(self.dequeued, self.connected),
            response: between(self.connected, self.answered),
            total: now.milliseconds_since(self.began),
        }
    }
}

impl Course for Account {
    fn told(&self) -> Told {
        Told {
            timers: self.timers(self.now),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            sent: 0,
            calls: 0,
            retries: self.retries,
            redispatched: self.redispatched,
            queued_behind: (self.queued_behind.0.into(), self.queued_behind.1.into()),
            termination: *b"--",
            status: self.status,
            service: self.service.is_some(),
        }
    }
}

impl Course for Exchange<'_> {
    fn told(&self) -> Told {
        let (sent_head, before) =
            self.transaction.known_rare().map_or((0, 0), |rare| (rare.sent_head.get(), rare.waits_before.get()));
        Told {
            bytes_in: self.account.bytes_in + self.upload.counted(),
            sent: sent_head + self.upload.moved,
            calls: self.session.timer.waits().wrapping_sub(before).saturating_add(1),
            ..self.account.told()
        }
    }
}

impl<'s> Exchange<'s> {
    /// An exchange of which nothing is known.
    pub fn new(session: &'s Session, client: &'s mut Conn, now: Moment) -> Self {
        let account = Account {
            began: now,
            first_byte: None,
            received: None,
            dequeued: None,
            connected: None,
            left_from: None,
            answered: None,
            now,
            status: None,
            bytes_in: 0,
            counted_more: 0,
            bytes_out: 0,
            counted: None,
            retries: 0,
            redispatched: false,
            queued_behind: (0, 0),
            cookies: *b"--",
            service: None,
            logged: false,
            rejected: false,
            server_broke: false,
            telling: Telling::All,
        };
        Self {
            request: session.worker.head(),
            request_wire: None,
            upload: Transfer::new(Body::None),
            response: session.worker.head(),
            response_wire: None,
            backend: None,
            slot: None,
            server_index: None,
            shut_mark: 0,
            cookie_read: None,
            stuck: None,
            to_store: ToStore::default(),
            directed: false,
            forced: false,
            fresh_only: false,
            avoid: None,
            server: None,
            answer: None,
            keep_alive: false,
            captures: Captures::default(),
            transaction: Transaction::new(session.worker.next_exchange()),
            peeked: false,
            switches_to_http: false,
            account,
            backend_use: None,
            server_use: None,
            farm_use: None,
            session,
            client,
        }
    }

    /// The client's address, or what a rule says it is.
    pub fn source(&self) -> Option<SocketAddr> {
        self.transaction.source.get().or(self.session.source)
    }

    /// Where the client connected to, or where a rule says it did.
    pub fn seen_destination(&self) -> Option<SocketAddr> {
        self.transaction.destination.get().or_else(|| self.session.destination(self.client))
    }

    /// `timeout client`, or what a rule has set.
    pub fn client_timeout(&self) -> Option<Duration> {
        self.transaction.client_timeout.get().or(self.session.frontend.section.timeouts.client)
    }

    /// `timeout server`, or what a rule has set.
    pub fn server_timeout(&self) -> Option<Duration> {
        let configured = self.backend.and_then(|view| view.backend.section.timeouts.server);
        self.transaction.server_timeout.get().or(configured)
    }

    /// The request's head as far as rules may look at it.
    pub fn visible_request(&self) -> Option<&Head> {
        (self.request_wire.is_some() || self.peeked).then_some(&self.request)
    }

    /// Ends the exchange if its server's sessions were shut down.
    pub fn check_shut(&self, phase: Phase) -> Result<(), End> {
        let Some(shut) = self.slot.as_ref().and_then(|slot| slot.server()?.shut_since(self.shut_mark)) else {
            return Ok(());
        };
        let cause = match shut {
            Shut::Down => Cause::Down,
            Shut::Up => Cause::Up,
            Shut::Killed => Cause::Killed,
        };
        let status = match phase {
            Phase::Connect => Some(503),
            Phase::Headers => Some(502),
            Phase::Request | Phase::Queue | Phase::Data | Phase::Last | Phase::Tarpit => None,
        };
        Err(End::new(cause, phase, status))
    }

    /// Reads the clock once for the steps that follow.
    pub fn tick(&mut self) -> Moment {
        self.account.now = clock::moment();
        self.account.now
    }

    /// The date of the latest time that is known, since 1970.
    pub fn date(&self) -> Duration {
        self.session.worker.date(self.account.now)
    }

    /// Whether the kernel may move a direction's bytes by itself: as it does, unless one of the two sections says no and the other
    /// does not ask for it.
    pub fn may_splice(&self, direction: impl Fn(&Splice) -> Option<bool>) -> bool {
        let front = direction(&self.session.frontend.section.splice);
        let back = self.backend.and_then(|view| direction(&view.backend.section.splice));
        [front, back].contains(&Some(true)) || ![front, back].contains(&Some(false))
    }

    /// The timeout that the frontend and the backend both may set; the backend's counts once it is chosen.
    pub fn timeout(&self, of: impl Fn(&Section) -> Option<Duration>) -> Option<Duration> {
        self.backend.and_then(|view| of(&view.backend.section)).or_else(|| of(&self.session.frontend.section))
    }
}

/// Takes one request from the connection, of which the first bytes are there, gets it answered, and tells about it. When it ended, if the connection may carry
/// another.
pub async fn run(mut link: Box<Link>, begun: Begun) -> (Box<Link>, Option<Moment>) {
    // A block, because what is dropped by name is copied before.
    let ended = {
        let Link { session, client } = &mut *link;
        let mut exchange = Exchange::new(session, client, session.since);
        if session.view.generation.global.notes_course {
            exchange.transaction.rare().waits_before.set(session.timer.waits());
        }
        let result = answer(&mut exchange, begun).await;
        let ended = finish::finish(&mut exchange, result).await;
        let Exchange { request, response, .. } = exchange;
        session.worker.give_heads([request, response]);
        ended
    };
    (link, ended)
}

/// The story.
async fn answer(exchange: &mut Exchange<'_>, begun: Begun) -> Result<Done, End> {
    h1::receive_request(exchange, begun).await?;
    logging::at_the_beginning(exchange);
    capture::request(exchange);
    service::monitor(exchange)?;
    policy::on_frontend(exchange).await?;
    policy::choose_backend(exchange)?;
    policy::on_backend(exchange).await?;
    capture::request_cookie(exchange);
    exchange.get_response().await?;
    exchange.transaction.variables.begin_response();
    capture::response(exchange);
    policy::on_response(exchange).await?;
    capture::response_cookie(exchange);
    cookies::check_cache(exchange)?;
    cookies::write(exchange);
    stickiness::store(exchange);
    h1::relay(exchange).await
}
