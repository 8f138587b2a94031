//! Getting a response from a server: choosing one, waiting for a place on it, connecting, sending, and repeating what may be
//! repeated.

use std::borrow::Cow;
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{self, Poll, ready};
use std::time::Duration;

use super::conn::Conn;
use super::pool::ServerConn;
use super::report::Stage;
use super::service::Answer;
use super::stream::Exchange;
use super::transfer::poll_silence;
use super::{cookies, finish, form, h1, logging, own, policy, repeat, response_wait, send_proxy, stickiness};
use crate::balance::dispatcher::{Choice, Slot, Wait, Waited, Wanted};
use crate::balance::key::{self, RequestKey};
use crate::balance::persist::{Attempt, may_redispatch};
use crate::balance::queue::{Place, Position, Priority};
use crate::clock;
use crate::health::Observe;
use crate::health::observe::Evidence;
use crate::http::target::from_path;
use crate::http::{Head, header};
use crate::net::connect::{self, Connecting, Target};
use crate::proxy::Server;
use crate::proxy::address::{ServerAddress, ServerPort, Source, UseSource};
use crate::proxy::settings::HttpReuse;
use crate::sample::transaction::Rare;
use crate::stats::{Count, Event, Gauge, Traffic};
use crate::termination::{Cause, End, Phase, Retry};
use crate::worker::view::BackendView;

/// The longest time between two attempts to connect to the same server.
const TURN_AROUND: Duration = Duration::from_secs(1);

/// One more in a gauge, for as long as it lives.
#[derive(Debug)]
pub struct InUse<'s>(&'s Gauge);

impl<'s> InUse<'s> {
    /// One more.
    pub fn enter(gauge: &'s Gauge) -> Self {
        gauge.enter();
        Self(gauge)
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// What a backend's algorithm may hash of a request.
pub struct Key<'a> {
    /// The request; `None` in TCP mode.
    pub request: Option<&'a Head>,
    /// The client's address.
    pub source: Option<SocketAddr>,
    /// The sample that the backend names.
    pub sample: Option<Vec<u8>>,
    /// The form of a POST.
    pub form: Option<Cow<'a, [u8]>>,
}

impl RequestKey for Key<'_> {
    fn source(&self) -> Option<IpAddr> {
        self.source.map(|address| address.ip())
    }

    fn target(&self) -> Option<&[u8]> {
        self.request.map(Head::target)
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        let same = |(field, _): &(&[u8], &[u8])| field.eq_ignore_ascii_case(name.as_bytes());
        self.request?.fields().find(same).map(|(_, value)| header::first_element(value))
    }

    fn form(&self) -> Option<&[u8]> {
        self.form.as_deref()
    }

    fn expression(&self) -> Option<Cow<'_, [u8]>> {
        self.sample.as_deref().map(Cow::Borrowed)
    }
}

impl Exchange<'_> {
    /// Gets a response's head from a server, with as many attempts as are allowed.
    pub async fn get_response(&mut self) -> Result<(), End> {
        let Some(view) = self.backend else { return Err(End::new(Cause::Internal, Phase::Queue, Some(500))) };
        let told = self.account.bytes_out;
        loop {
            self.find_server(view).await?;
            if !self.upload.is_done() {
                repeat::keep(self, view).await;
            }
            let attempt = self.attempt(view).await;
            self.observe(
                view,
                attempt.as_ref().map(|()| Evidence::of_status(self.response.status())).map_err(|end| *end),
            );
            match attempt.and_then(|()| self.check_status(view)) {
                Ok(()) => {
                    repeat::forget(self);
                    return Ok(());
                }
                Err(end) => {
                    self.again(view, end).await?;
                    // What was answered before does not count.
                    self.account.bytes_out = told;
                }
            }
        }
    }

    /// A response that `retry-on` names, as long as there are attempts left.
    fn check_status(&self, view: &BackendView) -> Result<(), End> {
        let status = self.response.status();
        let listed = view.backend.retry_on.statuses.binary_search(&status).is_ok();
        if listed && self.account.retries < self.retries(view) && self.may_resend() {
            return Err(End { retry: Retry::Status, ..End::new(Cause::ServerAbort, Phase::Headers, Some(502)) });
        }
        Ok(())
    }

    /// `retries`, or what a rule has set.
    fn retries(&self, view: &BackendView) -> u32 {
        self.transaction.retries.get().map_or(view.backend.retries, u32::from)
    }

    /// `observe`: what an attempt tells of the server, where that counts.
    fn observe(&self, view: &BackendView, attempt: Result<Evidence, End>) {
        if !view.backend.farm.observes() {
            return;
        }
        let state = self.server_index.and_then(|index| Some((index, view.backend.farm.servers().get(index)?)));
        let Some((index, state)) = state.filter(|(_, state)| state.settings().observation.observe != Observe::None)
        else {
            return;
        };
        let evidence = match attempt {
            // A response came over a connection.
            Ok(Evidence::Answered | Evidence::WrongStatus)
                if state.settings().observation.observe == Observe::Layer4 =>
            {
                Evidence::Connected
            }
            Ok(evidence) => evidence,
            Err(End { retry: Retry::ReusedConnection, .. }) => return,
            Err(end) => match (end.cause, end.phase) {
                (Cause::ServerAbort | Cause::ServerTimeout, Phase::Connect) => Evidence::NotConnected,
                (Cause::ServerTimeout, Phase::Headers) => Evidence::ReadTimeout,
                (Cause::ServerAbort, Phase::Headers) => Evidence::Closed,
                (Cause::Proxy, Phase::Headers) => Evidence::InvalidHead,
                _ => return,
            },
        };
        match evidence.verdict(state.settings().observation.observe) {
            Some(true) => state.forget_errors(),
            Some(false) if state.add_error() => {
                self.session.worker.process.observed(&view.backend, index, evidence);
            }
            Some(false) | None => {}
        }
    }

    /// Whether a request that a server has got may be sent again.
    fn may_resend(&self) -> bool {
        repeat::is_known(self) && repeat::may_repeat(self)
    }

    /// Gets a new connection to a server, with as many attempts as are allowed (`mode tcp`).
    pub async fn get_connection(&mut self) -> Result<(), End> {
        let Some(view) = self.backend else { return Err(End::new(Cause::Internal, Phase::Queue, None)) };
        loop {
            self.find_server(view).await?;
            let connected = self.connect(view).await;
            self.observe(view, connected.map(|()| Evidence::Connected));
            match connected {
                Ok(()) => break,
                Err(end) => self.again(view, end).await?,
            }
        }
        self.connected();
        Ok(())
    }

    /// A place on the server that persistence, the algorithm or the queue gives.
    async fn find_server(&mut self, view: &BackendView) -> Result<(), End> {
        if self.slot.is_some() || view.backend.is_without_servers() {
            self.account.dequeued.get_or_insert(self.account.now);
            return Ok(());
        }
        form::wait(self, view).await?;
        let request = self.request_wire.map(|_| &*self.request);
        let sample = policy::balance_key(self, view);
        let key = Key { request, source: self.source(), sample, form: form::received(self, view) };
        let hash = key::hash(view.backend.farm.settings(), &key);
        let wanted = |exchange: &mut Self| exchange.demanded(view).or_else(|| own::preferred(exchange, view));
        let server = if self.avoid.is_none() { wanted(self) } else { None };
        let priority = Priority {
            class: self.transaction.priority_class.get(),
            time_ms: i64::try_from(self.session.worker.milliseconds(self.account.now))
                .unwrap_or(i64::MAX)
                .saturating_add(self.transaction.priority_offset.get().into()),
        };
        let wanted = Wanted { hash, server, avoid: self.avoid, priority };
        let slot = loop {
            match self.choose(view, &wanted) {
                Choice::Slot(slot) => break slot,
                Choice::Wait(wait) => {
                    if let Some(slot) = self.queue(view, wait).await? {
                        break slot;
                    }
                }
                Choice::QueueFull | Choice::NoServer => {
                    return Err(End::new(Cause::ServerAbort, Phase::Connect, Some(503)));
                }
            }
        };
        if let Some(failed) = self.avoid {
            let other = failed != slot.index();
            self.count_attempt(view, if other { Count::Redispatches } else { Count::Retries });
            self.account.redispatched |= other;
            self.account.dequeued = Some(self.tick());
        }
        self.account.dequeued.get_or_insert(self.account.now);
        self.take_slot(slot);
        self.redirected(view)
    }

    /// `redir`: the client is sent to the server itself.
    fn redirected(&mut self, view: &BackendView) -> Result<(), End> {
        let prefix = self.server_index.and_then(|index| view.backend.servers.get(index)?.redir.as_ref());
        let Some(prefix) = prefix.filter(|_| matches!(self.request.method(), b"GET" | b"HEAD")) else { return Ok(()) };
        let location = [prefix.as_bytes(), from_path(self.request.target())].concat();
        let mut answer = Answer::redirect(302, &location);
        answer.head.append(b"connection", b"close");
        self.answer = Some(Box::new(answer));
        Err(End::new(Cause::Local, Phase::Connect, Some(302)))
    }

    /// The server that a cookie, a rule or a stick table demands; a rule has the last word, a table the least.
    fn demanded(&mut self, view: &BackendView) -> Option<usize> {
        let cookie = cookies::read(self, view);
        // The tables are asked in any case: they may have something to learn.
        let stuck = stickiness::read(self, view);
        let token = if cookie.is_none() { policy::rdp_server(self, view) } else { None };
        let demanded = policy::demanded_server(self, view).or(cookie).or(token).or(stuck);
        self.directed = demanded.is_some();
        demanded
    }

    fn take_slot(&mut self, slot: Slot) {
        self.server_index = Some(slot.index());
        self.shut_mark = slot.server().map_or(0, |server| server.shut_mark());
        self.slot = Some(slot);
        let (Some(view), Some(index)) = (self.backend, self.server_index) else { return };
        let Some(server) = view.backend.servers.get(index) else { return };
        self.server_use = Some(InUse::enter(&server.traffic.sessions));
        self.count_session(&server.traffic);
    }

    /// What the algorithm chooses is counted; what was demanded, and whom the backend's queue lets go on, is not.
    fn choose(&self, view: &BackendView, wanted: &Wanted) -> Choice {
        let choice = view.dispatcher.choose(wanted);
        let index = match &choice {
            Choice::Slot(slot) => slot.index(),
            Choice::Wait(wait) => match wait.place() {
                Place::Server(index) => index,
                Place::Backend => return choice,
            },
            Choice::QueueFull | Choice::NoServer => return choice,
        };
        view.prefetch(&self.session.worker, index);
        let demanded = self.directed && wanted.server == Some(index);
        if !demanded && self.avoid != Some(index) {
            let server = view.backend.servers.get(index).map(|server| &server.traffic);
            for traffic in server.into_iter().chain([&view.backend.section.traffic]) {
                traffic.of(self.session.worker.index).add(Count::Selected, 1);
            }
        }
        choice
    }

    /// A server counts each attempt, a backend each request that is given to it.
    pub(super) fn count_session(&self, traffic: &Traffic) {
        let worker = &self.session.worker;
        traffic.of(worker.index).add(Count::Sessions, 1);
        traffic.event(worker.index, Event::Session, worker.milliseconds(self.account.now));
    }

    /// Waits in a queue; `None`: the server went away, choose again.
    async fn queue(&mut self, view: &BackendView, wait: Wait) -> Result<Option<Slot>, End> {
        let _queued = InUse::enter(&view.backend.section.traffic.queued);
        let timeouts = &view.backend.section.timeouts;
        let limit = self.ruled(|rare| &rare.queue_timeout).or(timeouts.queue).or(timeouts.connect);
        let deadline = limit.map(|limit| clock::moment() + limit);
        let place = wait.place();
        let mut wait = Some(wait);
        let session = self.session;
        let leaves = view.backend.abortonclose;
        let waited = std::future::poll_fn(|context| {
            if let Some(wait) = &mut wait
                && let Poll::Ready(waited) = std::pin::Pin::new(wait).poll(context)
            {
                return Poll::Ready(Ok(waited));
            }
            if let Poll::Ready(end) = self.poll_left(context, leaves, Phase::Queue) {
                return Poll::Ready(Err(end));
            }
            let tell = || Some(self.report(Stage::Queue).connecting(deadline));
            poll_silence(context, session, &[(deadline, ())], tell)
                .map(|()| Err(End::new(Cause::ServerTimeout, Phase::Queue, Some(503))))
        })
        .await;
        self.tick();
        let (waited, position) = match waited {
            Ok((waited, position)) => (Ok(waited), Some(position)),
            Err(end) => {
                // The time in the queue counts, and so does the server that was waited for.
                self.account.dequeued.get_or_insert(self.account.now);
                if let Place::Server(index) = place {
                    self.server_index = Some(index);
                }
                (Err(end), wait.take().map(Wait::give_up))
            }
        };
        if let Some(Position { server, backend }) = position {
            let (before_server, before_backend) = self.account.queued_behind;
            self.account.queued_behind = (before_server.saturating_add(server), before_backend.saturating_add(backend));
        }
        match waited? {
            Waited::Slot(slot) => Ok(Some(slot)),
            Waited::ChooseAgain => Ok(None),
        }
    }

    /// One attempt: a connection, the request, the response's head.
    async fn attempt(&mut self, view: &BackendView) -> Result<(), End> {
        let reused = self.reuse(view);
        if reused {
            self.mark_reused();
            self.count_attempt(view, Count::Reuses);
        } else {
            self.connect(view).await?;
        }
        self.connected();
        h1::send_head(self);
        self.upload.may_splice = self.may_splice(|splice| splice.request);
        response_wait::run(self, view, reused).await
    }

    /// An idle connection, where `http-reuse` allows one.
    fn reuse(&mut self, view: &BackendView) -> bool {
        let Some(index) = self.server_index else { return false };
        let worker = &self.session.worker;
        let (Some(pool), Some(server)) = (view.pool(worker, index), view.backend.servers.get(index)) else {
            return false;
        };
        if self.use_own(server) {
            return true;
        }
        let first = self.session.requests == 0;
        let proven = match (view.backend.http_reuse, first) {
            (HttpReuse::Never, _) | (HttpReuse::Safe, true) => return false,
            (HttpReuse::Aggressive, true) => true,
            (HttpReuse::Safe | HttpReuse::Aggressive, false) | (HttpReuse::Always, _) => false,
        };
        if !is_poolable(server) || self.account.retries > 0 || self.fresh_only {
            return false;
        }
        let Some(mut conn) = pool.take(&worker.buffers, proven) else { return false };
        conn.requests = conn.requests.saturating_add(1);
        self.server = Some(conn);
        true
    }

    /// The connection that this client's connection keeps for itself, if it leads to this server.
    fn use_own(&mut self, server: &Server) -> bool {
        let buffers = &self.session.worker.buffers;
        let fresh = !is_poolable(server) || self.account.retries > 0 || self.fresh_only;
        let Some(mut conn) = self.session.own.take(server, buffers).filter(|_| !fresh) else { return false };
        conn.requests = conn.requests.saturating_add(1);
        self.server = Some(conn);
        true
    }

    /// A new connection.
    async fn connect(&mut self, view: &BackendView) -> Result<(), End> {
        let server = self.server_index.and_then(|index| view.backend.servers.get(index)).map(|server| &**server);
        // Before the place is looked at: a connection to a place that was left while it was made is of no use later.
        let moves = server.map_or(0, |server| server.location.moves());
        let mut connecting = self.begin_to_connect(view, server)?;
        self.count_attempt(view, Count::Connects);
        let limit = self.ruled(|rare| &rare.connect_timeout).or(view.backend.section.timeouts.connect);
        let deadline = limit.map(|limit| clock::moment() + limit);
        let session = self.session;
        let leaves = view.backend.abortonclose;
        std::future::poll_fn(|context| {
            if let Poll::Ready(connected) = connecting.poll(context) {
                return Poll::Ready(connected.map_err(|_| End::connect(Cause::ServerAbort)));
            }
            if let Poll::Ready(end) = self.poll_left(context, leaves, Phase::Connect) {
                return Poll::Ready(Err(end));
            }
            let tell = || Some(self.report(Stage::Connect).connecting(deadline).towards(connecting.stream()));
            poll_silence(context, session, &[(deadline, ())], tell).map(|()| Err(End::connect(Cause::ServerTimeout)))
        })
        .await?;
        self.tick();
        let mut conn = Conn::new(connecting.into_stream());
        if let Some(send) = server.and_then(|server| server.send_proxy.as_ref()) {
            send_proxy::write(self, view, send, conn.output.space(&self.session.worker.buffers));
        }
        self.server = Some(ServerConn { conn, requests: 1, moves });
        Ok(())
    }

    /// The client has left, and that counts before there is a connection to a server: with `abortonclose`, and in `mode tcp` if
    /// it reset its connection.
    fn poll_left(&mut self, context: &mut task::Context<'_>, leaves: bool, phase: Phase) -> Poll<End> {
        let bytes = !finish::is_http(self);
        if !(leaves || bytes) {
            return Poll::Pending;
        }
        ready!(self.client.poll_gone(context, &self.session.worker.buffers));
        match (bytes && self.client.broken, leaves) {
            (true, _) => Poll::Ready(End::new(Cause::ClientAbort, Phase::Data, None)),
            (false, true) => Poll::Ready(End::new(Cause::ClientAbort, phase, None)),
            (false, false) => Poll::Pending,
        }
    }

    /// What rules have set of what few exchanges have.
    fn ruled<T: Copy>(&self, what: fn(&Rare) -> &Cell<Option<T>>) -> Option<T> {
        self.transaction.known_rare().and_then(|rare| what(rare).get())
    }

    /// Not a part of the wait for it, which every request pays for.
    fn begin_to_connect(&self, view: &BackendView, server: Option<&Server>) -> Result<Connecting, End> {
        let (target, mut options) = self.destination(view, server)?;
        options.mark = self.ruled(|rare| &rare.server_mark);
        options.tos = self.ruled(|rare| &rare.server_tos);
        let started = match server.and_then(|server| server.source_ports.as_ref()) {
            Some(ports) if !options.transparent => connect::start_from(&target, &options, ports),
            Some(_) | None => connect::start(&target, &options),
        };
        started.map_err(|_| End::connect(Cause::ServerAbort))
    }

    /// `set-bc-mark` and `set-bc-tos`, of a connection that was made for others.
    fn mark_reused(&self) {
        let Some(server) = &self.server else { return };
        if let Some(mark) = self.ruled(|rare| &rare.server_mark) {
            server.conn.stream().set_mark(mark);
        }
        if let Some(tos) = self.ruled(|rare| &rare.server_tos) {
            server.conn.stream().set_tos(tos);
        }
    }

    fn destination(&self, view: &BackendView, server: Option<&Server>) -> Result<(Target, connect::Options), End> {
        let unreachable = End::connect(Cause::ServerAbort);
        let Some(server) = server else {
            let own = || self.seen_destination().filter(|_| view.backend.transparent);
            let address = view.backend.dispatch.or_else(own).ok_or(unreachable)?;
            return Ok((Target::Tcp(address), connect::Options::default()));
        };
        let destination = || self.seen_destination();
        let target = target(server, destination).ok_or(unreachable)?;
        let source = server.source.as_ref().map(|source| {
            let named = match &source.usesrc {
                Some(UseSource::Header { name, occurrence }) => address_in(&self.request, name, *occurrence),
                Some(UseSource::Client | UseSource::ClientIp | UseSource::Address(_)) | None => None,
            };
            let named = named.map(|ip| (Some(SocketAddr::new(ip, 0)), true));
            named.unwrap_or_else(|| source_address(source, self.source(), &target))
        });
        let (source, transparent) = source.unwrap_or_default();
        let options = connect::Options {
            mark: None,
            tos: None,
            late_acknowledgement: view.backend.tcp_smart_connect,
            source,
            transparent,
            interface: server.source.as_ref().and_then(|source| source.interface.clone()),
            tcp_keep_alive: view.backend.tcp_keep_alive,
            tcp_user_timeout: server.tcp_user_timeout,
            tcp: server.tcp.clone(),
            fast_open: server.tfo,
            kernel_buffers: self.session.view.generation.global.tune.kernel_buffers.server,
            socks4: server.socks4,
            namespace: server.namespace.clone(),
        };
        Ok((target, options))
    }

    /// A connection stands.
    fn connected(&mut self) {
        self.account.connected = Some(self.account.now);
        if self.session.frontend.logging.shows.server {
            self.account.left_from = self.server.as_ref().and_then(|server| server.conn.stream().local_address());
        }
        logging::at_the_connection(self);
    }

    fn count_attempt(&self, view: &BackendView, what: Count) {
        let index = self.session.worker.index;
        view.backend.section.traffic.of(index).add(what, 1);
        if let Some(server) = self.server_index.and_then(|index| view.backend.servers.get(index)) {
            server.traffic.of(index).add(what, 1);
        }
    }

    /// Prepares another attempt after a failure, where and when the configuration wants one; if it does not, the failure is
    /// the end.
    async fn again(&mut self, view: &BackendView, end: End) -> Result<(), End> {
        if let Some(mut failed) = self.server.take() {
            failed.conn.release(&self.session.worker.buffers);
        }
        let retry_on = &view.backend.retry_on;
        let allowed = match end.retry {
            // The server closed an idle connection just when the request was sent: not its failure, and no attempt.
            Retry::ReusedConnection if is_safe(&self.request) && repeat::is_known(self) => {
                repeat::restore(self);
                self.fresh_only = true;
                return Ok(());
            }
            Retry::No => false,
            Retry::Connection => retry_on.conn_failure,
            Retry::ReusedConnection | Retry::EmptyResponse => retry_on.empty_response && self.may_resend(),
            Retry::JunkResponse => retry_on.junk_response && self.may_resend(),
            Retry::ResponseTimeout => retry_on.response_timeout && self.may_resend(),
            Retry::Status => true,
        };
        if !allowed || self.session.killed.get() || self.account.retries >= self.retries(view) {
            return Err(end);
        }
        self.response_wire = None;
        self.account.retries += 1;
        repeat::restore(self);
        let sent = end.retry != Retry::Connection;
        let redispatch = self.redispatches(view, sent);
        if !redispatch {
            self.count_attempt(view, Count::Retries);
        }
        if end.retry == Retry::JunkResponse {
            self.count_attempt(view, Count::ResponseErrors);
        }
        if sent {
            // haproxy counts that the request is sent again, and then the attempt.
            self.count_attempt(view, Count::Retries);
        }
        if redispatch {
            self.server_use = None;
            self.slot = None;
            self.avoid = self.server_index;
            self.directed = false;
            cookies::redispatch(self);
            if view.backend.farm.usable().active > 1 {
                return Ok(());
            }
        }
        // Where it was waited for, that was long enough.
        if !sent && end.cause != Cause::ServerTimeout {
            let pause = view.backend.section.timeouts.connect.map_or(TURN_AROUND, |limit| limit.min(TURN_AROUND));
            self.pause(view, pause).await?;
        }
        let server = self.server_index.and_then(|index| view.backend.servers.get(index));
        if let Some(server) = server.filter(|_| !redispatch) {
            self.count_session(&server.traffic);
        }
        Ok(())
    }

    /// `option redispatch`: at the attempts it names, or at once where another server would do as well.
    fn redispatches(&self, view: &BackendView, sent: bool) -> bool {
        let Some(server) = self.server_index else { return false };
        let attempt = Attempt {
            server,
            retry: self.account.retries,
            retries: self.retries(view),
            directed: self.directed,
            forced: self.forced,
            sent,
        };
        may_redispatch(&view.backend.farm, &attempt)
    }

    async fn pause(&mut self, view: &BackendView, pause: Duration) -> Result<(), End> {
        let until = clock::moment() + pause;
        let session = self.session;
        let leaves = view.backend.abortonclose;
        std::future::poll_fn(|context| {
            if let Poll::Ready(end) = self.poll_left(context, leaves, Phase::Connect) {
                return Poll::Ready(Err(end));
            }
            let tell = || Some(self.report(Stage::Pause).connecting(Some(until)));
            poll_silence(context, session, &[(Some(until), ())], tell).map(Ok)
        })
        .await?;
        self.tick();
        if session.killed.get() {
            return Err(End::new(Cause::Killed, Phase::Connect, None));
        }
        Ok(())
    }
}

/// A request that the server may see twice without harm (RFC 9110, 9.2.2), so a proxy may repeat it by itself.
fn is_safe(request: &Head) -> bool {
    matches!(request.method(), b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE")
}

/// Connections that carry something of one client must not be used by another.
pub fn is_poolable(server: &Server) -> bool {
    server.send_proxy.is_none() && server.source.as_ref().is_none_or(|source| source.usesrc.is_none())
}

/// Where a server is, for a client that went to `destination`.
pub fn target(server: &Server, destination: impl Fn() -> Option<SocketAddr>) -> Option<Target> {
    let place = server.location.get();
    let port = |destination: Option<SocketAddr>| match place.port {
        ServerPort::Fixed(port) => Some(port),
        ServerPort::Mapped(offset) => u16::try_from(i32::from(destination?.port()) + offset).ok(),
    };
    match &place.address {
        ServerAddress::Ip(ip) => {
            let destination = if matches!(place.port, ServerPort::Mapped(_)) { destination() } else { None };
            Some(Target::Tcp(SocketAddr::new(*ip, port(destination)?)))
        }
        ServerAddress::Destination => {
            let destination = destination()?;
            let port = if place.port == ServerPort::Fixed(0) { destination.port() } else { port(Some(destination))? };
            Some(Target::Tcp(SocketAddr::new(destination.ip(), port)))
        }
        ServerAddress::Unix(path) => Some(Target::Unix(path.clone())),
        ServerAddress::Abstract(name) => Some(Target::Abstract(name.clone())),
        ServerAddress::Unresolved => None,
    }
}

/// `usesrc hdr_ip(…)`: an address of a field whose lines are lists, counted from the first or, below zero, from the last.
fn address_in(request: &Head, name: &str, occurrence: i32) -> Option<IpAddr> {
    let name = name.to_ascii_lowercase();
    let list = request.values(name.as_bytes()).flat_map(|line| line.split(|&byte| byte == b','));
    let texts: Vec<_> = list.map(<[u8]>::trim_ascii).collect();
    let place = occurrence.unsigned_abs() as usize;
    let text = if occurrence > 0 { texts.get(place - 1) } else { texts.iter().rev().nth(place.max(1) - 1) }?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The address to connect from, and whether it is not one of this host.
pub fn source_address(source: &Source, client: Option<SocketAddr>, target: &Target) -> (Option<SocketAddr>, bool) {
    let any = match target {
        Target::Tcp(SocketAddr::V6(_)) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        Target::Tcp(SocketAddr::V4(_)) | Target::Unix(_) | Target::Abstract(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    match (&source.usesrc, client) {
        (Some(UseSource::Client), Some(client)) => (Some(client), true),
        (Some(UseSource::ClientIp), Some(client)) => (Some(SocketAddr::new(client.ip(), 0)), true),
        (Some(UseSource::Address(address)), _) => (Some(*address), true),
        (Some(UseSource::Client | UseSource::ClientIp | UseSource::Header { .. }) | None, _) => {
            let port = source.ports.map_or(0, |(first, _)| first);
            let address = source.address.or((port != 0).then_some(any));
            (address.map(|address| SocketAddr::new(address, port)), false)
        }
    }
}
