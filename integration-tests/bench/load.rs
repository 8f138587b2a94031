//! Clients, servers and the receiver of log lines: one thread, one epoll, prepared bytes.
//!
//! Both sides of the proxy are in one loop so that the core they run on does as little as can be done: one read and one
//! write per request and side. What arrives is judged while it arrives; a number without right answers behind it does
//! not leave this module as a good one.

mod client;
mod counts;
mod histogram;
mod origin;
mod shape;

pub(crate) use counts::Counts;
pub(crate) use histogram::Histogram;
pub(crate) use shape::{Answering, Reuse, Shape};

use anyhow::{Context, Result, bail};
use client::{Client, Progress, State};
use integration_tests::clock;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use origin::{Connection, Seen};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

/// Where the proxy listens, the servers, their health checks, the receiver of log lines, the proxy's statistics.
pub(crate) const PROXY_PORT: u16 = 21080;
pub(crate) const SERVER_PORT: u16 = 21090;
pub(crate) const CHECK_PORT: u16 = 21091;
pub(crate) const LOG_PORT: u16 = 21514;
pub(crate) const STATS_PORT: u16 = 21099;

const EVENTS: usize = 512;
/// The loop looks at the clock at least this often.
const TURN_MS: u16 = 20;
/// How often requests that are due by a rate, and answers that are due after a time, are looked at.
const TICK: Duration = Duration::from_micros(100);
/// What one read may take; a large body arrives in few reads.
const BUFFER: usize = 256 * 1024;
/// Room for log lines that wait: a burst of a second.
const LOG_BUFFER: usize = 16 << 20;
const LINES_PER_TURN: usize = 64;
/// After this many errors the run is worth nothing and no connection is made anew.
const ERRORS_MAX: u64 = 100;
const BACKLOG: i32 = 16_384;

const KIND: u64 = 32;
const TIMER: u64 = 0;
const SERVERS: u64 = 1;
const CHECKS: u64 = 2;
const LINES: u64 = 3;
const CLIENT: u64 = 4;
const ORIGIN: u64 = 5;

/// The loop and everything in it.
#[derive(Debug)]
pub(crate) struct Load {
    epoll: Epoll,
    servers: TcpListener,
    checks: TcpListener,
    lines: UdpSocket,
    timer: TimerFd,
    shape: Shape,
    clients: Vec<Option<Client>>,
    /// Clients without a request, the longest idle one first.
    idle: VecDeque<usize>,
    origins: Vec<Option<Connection>>,
    free: Vec<usize>,
    generation: u32,
    due: VecDeque<(Instant, usize, u32)>,
    next_request: usize,
    next_destination: usize,
    /// Requests that may still be sent; none: no limit.
    budget: Option<u64>,
    rate_since: Instant,
    rate_sent: u64,
    /// When it last looked at its sockets.
    looked: Instant,
    buffer: Vec<u8>,
    pub(crate) counts: Counts,
    /// The head of the last request as a server saw it, when it was asked for.
    request_head: Option<Vec<u8>>,
    keep_head: bool,
}

impl Load {
    /// Opens the ports of the servers and of the log.
    pub(crate) fn new() -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("epoll")?;
        let servers = listener(SERVER_PORT)?;
        let checks = listener(CHECK_PORT)?;
        let lines = UdpSocket::bind((Ipv4Addr::LOCALHOST, LOG_PORT)).context("the port for log lines")?;
        lines.set_nonblocking(true)?;
        // Root may go over the system's limit; what others get is seen in the dropped lines.
        if setsockopt(&lines, sockopt::RcvBufForce, &LOG_BUFFER).is_err() {
            setsockopt(&lines, sockopt::RcvBuf, &LOG_BUFFER).context("room for log lines")?;
        }
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)
            .context("timer")?;
        let level = EpollFlags::EPOLLIN;
        epoll.add(&servers, EpollEvent::new(level, SERVERS << KIND))?;
        epoll.add(&checks, EpollEvent::new(level, CHECKS << KIND))?;
        epoll.add(&lines, EpollEvent::new(level, LINES << KIND))?;
        epoll.add(timer.as_fd(), EpollEvent::new(level, TIMER << KIND))?;
        Ok(Self {
            epoll,
            servers,
            checks,
            lines,
            timer,
            shape: Shape::new(0, Vec::new(), 0)?,
            clients: Vec::new(),
            idle: VecDeque::new(),
            origins: Vec::new(),
            free: Vec::new(),
            generation: 0,
            due: VecDeque::new(),
            next_request: 0,
            next_destination: 0,
            budget: None,
            rate_since: clock::now(),
            rate_sent: 0,
            looked: clock::now(),
            buffer: vec![0; BUFFER],
            counts: Counts::default(),
            request_head: None,
            keep_head: false,
        })
    }

    /// Makes the connections of a load that is about to begin; nothing is asked yet.
    pub(crate) fn begin(&mut self, shape: Shape) -> Result<()> {
        self.end();
        self.counts = Counts::default();
        let ticking = shape.rate.is_some() || matches!(shape.answering, Answering::After(_));
        self.shape = shape;
        if ticking {
            let every = TimeSpec::from_duration(TICK);
            self.timer.set(Expiration::Interval(every), TimerSetTimeFlags::empty())?;
        } else {
            self.timer.unset()?;
        }
        self.budget = Some(0);
        for _ in 0..self.shape.connections {
            self.clients.push(None);
            self.replace(self.clients.len() - 1);
        }
        if self.counts.refused > 0 {
            bail!("{} of {} connections were refused", self.counts.refused, self.shape.connections);
        }
        Ok(())
    }

    /// Closes all connections and forgets what was going on.
    pub(crate) fn end(&mut self) {
        self.clients.clear();
        self.idle.clear();
        self.origins.clear();
        self.free.clear();
        self.due.clear();
        (self.next_request, self.next_destination) = (0, 0);
    }

    /// Sets the counts to zero; what is in flight will count.
    pub(crate) fn reset(&mut self) {
        let known_head = self.counts.known_head.take();
        self.counts = Counts { known_head, ..Counts::default() };
        (self.rate_since, self.rate_sent) = (clock::now(), 0);
    }

    /// Sends requests for this long.
    pub(crate) fn run(&mut self, length: Duration) -> Result<()> {
        self.budget = None;
        self.start_idle();
        self.looked = clock::now();
        let end = self.looked + length;
        while clock::now() < end {
            self.turn()?;
        }
        Ok(())
    }

    /// Sends exactly this many requests and waits for all answers; an error when it takes longer than `bound`.
    pub(crate) fn run_requests(&mut self, requests: u64, bound: Duration) -> Result<()> {
        let wanted = self.counts.answers + requests;
        self.budget = Some(requests);
        (self.rate_since, self.rate_sent) = (clock::now(), 0);
        self.start_idle();
        let end = clock::now() + bound;
        while self.counts.answers < wanted {
            self.turn()?;
            if self.counts.errors() > 0 {
                bail!("{}", self.counts.first_error.as_deref().unwrap_or("the load met an error"));
            }
            if clock::now() > end {
                bail!("{} of {wanted} answers after {bound:?}", self.counts.answers);
            }
        }
        Ok(())
    }

    /// Sends so many requests, answered or not, and waits until all of them reached a server.
    pub(crate) fn run_until_served(&mut self, requests: u64, bound: Duration) -> Result<()> {
        self.budget = Some(requests);
        self.start_idle();
        let end = clock::now() + bound;
        while self.counts.served < requests {
            self.turn()?;
            if clock::now() > end || self.counts.errors() > 0 {
                bail!(
                    "{} of {requests} requests reached a server, {} errors ({})",
                    self.counts.served,
                    self.counts.errors(),
                    self.counts.first_error.as_deref().unwrap_or("none named")
                );
            }
        }
        Ok(())
    }

    /// Sends no more requests, and waits until those under way are answered or their connections lost.
    pub(crate) fn drain(&mut self, bound: Duration) -> Result<()> {
        self.budget = Some(0);
        let end = clock::now() + bound;
        while self.idle.len() < self.clients.len() && self.counts.errors() == 0 {
            self.turn()?;
            if clock::now() > end {
                bail!("{} requests without an answer after {bound:?}", self.clients.len() - self.idle.len());
            }
        }
        Ok(())
    }

    /// Keeps the loop turning without new requests.
    pub(crate) fn idle(&mut self, length: Duration) -> Result<()> {
        self.budget = Some(0);
        let end = clock::now() + length;
        while clock::now() < end {
            self.turn()?;
        }
        Ok(())
    }

    /// One request, and its head as a server saw it and the answer's head as the client saw it.
    pub(crate) fn probe(&mut self, bound: Duration) -> Result<(Vec<u8>, Vec<u8>)> {
        self.keep_head = true;
        let run = self.run_requests(1, bound);
        self.keep_head = false;
        run?;
        let request = self.request_head.take().context("no server saw a request")?;
        Ok((request, self.counts.answer_head().to_vec()))
    }

    /// Log lines that the kernel dropped since this loop exists, because they were not read in time.
    pub(crate) fn lines_dropped() -> u64 {
        let table = std::fs::read_to_string("/proc/self/net/udp").unwrap_or_default();
        let port = format!(":{LOG_PORT:04X}");
        let dropped = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            words.nth(1).is_some_and(|local| local.ends_with(&port)).then(|| words.last()?.parse::<u64>().ok())?
        };
        table.lines().find_map(dropped).unwrap_or(0)
    }

    /// How many connections the proxy keeps to the servers.
    pub(crate) fn server_connections(&self) -> usize {
        self.origins.iter().flatten().filter(|connection| !connection.check).count()
    }

    fn start_idle(&mut self) {
        (self.rate_since, self.rate_sent) = (clock::now(), 0);
        if self.shape.rate.is_none() {
            for at in std::mem::take(&mut self.idle) {
                self.ask(at, clock::now());
            }
        }
    }

    fn turn(&mut self) -> Result<()> {
        let mut events = [EpollEvent::empty(); EVENTS];
        let count = match self.epoll.wait(&mut events, EpollTimeout::from(TURN_MS)) {
            Ok(count) => count,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(error) => return Err(error).context("epoll_wait"),
        };
        if self.shape.rate.is_some() {
            let now = clock::now();
            self.counts.stalled = self.counts.stalled.max(now - self.looked);
            self.looked = now;
        }
        for event in events.iter().take(count) {
            let at = usize::try_from(event.data() & u64::from(u32::MAX)).unwrap_or(usize::MAX);
            let closing = EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
            let ended = event.events().intersects(closing);
            match event.data() >> KIND {
                SERVERS => self.accept(false),
                CHECKS => self.accept(true),
                LINES => self.read_lines(),
                CLIENT => self.client(at, ended),
                ORIGIN => self.origin(at, event.events(), ended),
                // A timer goes on only when it is read.
                _ => self.timer.wait()?,
            }
        }
        self.answer_due();
        self.ask_due();
        Ok(())
    }

    fn connect(&mut self, at: usize) {
        let destinations = &self.shape.destinations;
        let Some(&to) = destinations.get(self.next_destination % destinations.len().max(1)) else { return };
        self.next_destination += 1;
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        let made = Client::connect(SocketAddr::from((to, PROXY_PORT))).and_then(|client| {
            self.epoll.add(&client.stream, EpollEvent::new(flags, CLIENT << KIND | at as u64))?;
            Ok(client)
        });
        match made {
            Ok(client) => {
                if let Some(place) = self.clients.get_mut(at) {
                    *place = Some(client);
                }
            }
            Err(error) => {
                self.counts.refused += 1;
                self.counts.first_error.get_or_insert_with(|| format!("connect: {error}"));
            }
        }
    }

    /// A client has nothing to do: it asks again, or waits until a request is due.
    fn free_client(&mut self, at: usize) {
        if self.shape.rate.is_some() || self.budget == Some(0) {
            self.idle.push_back(at);
        } else {
            self.ask(at, clock::now());
        }
    }

    fn ask(&mut self, at: usize, asked: Instant) {
        match &mut self.budget {
            Some(0) => return self.idle.push_back(at),
            Some(left) => *left -= 1,
            None => {}
        }
        if self.shape.reuse == Reuse::PerRequest {
            self.connect(at);
        }
        let request = self.next_request;
        self.next_request = (request + 1) % self.shape.requests.len().max(1);
        let Some(Some(client)) = self.clients.get_mut(at) else { return };
        if client.ask(request, asked, &self.shape, &self.counts) == Progress::Gone {
            self.counts.cut += 1;
            self.counts.first_error.get_or_insert_with(|| "connection lost while sending".to_owned());
            self.replace(at);
        }
    }

    /// Takes a connection away that is of no use any more; another one is made now or when the client asks again.
    fn replace(&mut self, at: usize) {
        if self.counts.errors() > ERRORS_MAX {
            return;
        }
        if let Some(place) = self.clients.get_mut(at) {
            *place = None;
        }
        if self.shape.reuse == Reuse::KeepAlive {
            self.connect(at);
        }
        self.free_client(at);
    }

    fn client(&mut self, at: usize, ended: bool) {
        let Some(Some(client)) = self.clients.get_mut(at) else { return };
        if client.state == State::Idle && !ended {
            return;
        }
        let was_idle = client.state == State::Idle;
        match client.look(ended, &self.shape, &mut self.counts, &mut self.buffer) {
            Progress::Waiting => {}
            Progress::Done if self.shape.reuse == Reuse::KeepAlive && !ended => self.free_client(at),
            Progress::Done => self.replace(at),
            Progress::Gone => {
                if was_idle {
                    self.counts.reconnects += 1;
                    self.idle.retain(|&idle| idle != at);
                }
                self.replace(at);
            }
        }
    }

    fn accept(&mut self, check: bool) {
        loop {
            let listener = if check { &self.checks } else { &self.servers };
            let Ok((stream, _)) = listener.accept() else { return };
            let server = stream.local_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |local| local.ip());
            if stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).is_err() {
                continue;
            }
            let at = self.free.pop().unwrap_or_else(|| {
                self.origins.push(None);
                self.origins.len() - 1
            });
            let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
            if self.epoll.add(&stream, EpollEvent::new(flags, ORIGIN << KIND | at as u64)).is_err() {
                self.free.push(at);
                continue;
            }
            self.generation = self.generation.wrapping_add(1);
            if let Some(place) = self.origins.get_mut(at) {
                *place = Some(Connection::new(stream, server, check, self.generation));
            }
        }
    }

    fn origin(&mut self, at: usize, events: EpollFlags, ended: bool) {
        let Some(Some(connection)) = self.origins.get_mut(at) else { return };
        let mut seen = Seen::Waiting;
        if connection.busy() && events.contains(EpollFlags::EPOLLOUT) {
            seen = connection.go_on(&self.shape.answer);
        }
        if seen == Seen::Waiting && (events.contains(EpollFlags::EPOLLIN) || ended) {
            seen = connection.look(ended, self.keep_head, &mut self.buffer);
        }
        match seen {
            Seen::Request => self.request(at),
            Seen::Waiting => {}
            Seen::Closed | Seen::Garbage => {
                if seen == Seen::Garbage {
                    self.counts.unasked += 1;
                    self.counts.first_error.get_or_insert_with(|| "a server got bytes that are no request".to_owned());
                }
                self.forget(at);
            }
        }
    }

    fn request(&mut self, at: usize) {
        let Some(Some(connection)) = self.origins.get_mut(at) else { return };
        if connection.check {
            self.counts.checks += 1;
            connection.pass_check();
            return self.forget(at);
        }
        self.counts.served += 1;
        self.counts.servers.insert(connection.server);
        if self.keep_head {
            self.request_head = Some(std::mem::take(&mut connection.head));
        }
        match self.shape.answering {
            Answering::AtOnce => {
                if connection.answer(&self.shape.answer) == Seen::Closed {
                    self.forget(at);
                }
            }
            Answering::After(time) => self.due.push_back((clock::now() + time, at, connection.generation)),
            Answering::Never => {}
        }
    }

    fn forget(&mut self, at: usize) {
        if let Some(place) = self.origins.get_mut(at)
            && place.take().is_some()
        {
            self.free.push(at);
        }
    }

    fn answer_due(&mut self) {
        while let Some(&(due, at, generation)) = self.due.front() {
            if due > clock::now() {
                return;
            }
            self.due.pop_front();
            if let Some(Some(connection)) = self.origins.get_mut(at)
                && connection.generation == generation
                && connection.answer(&self.shape.answer) == Seen::Closed
            {
                self.forget(at);
            }
        }
    }

    fn ask_due(&mut self) {
        let Some(rate) = self.shape.rate else { return };
        if self.budget == Some(0) {
            return;
        }
        let now = clock::now();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of requests")]
        let due = ((now - self.rate_since).as_secs_f64() * rate) as u64;
        while self.rate_sent < due {
            if self.clients.len() - self.idle.len() >= self.shape.under_way_max {
                return;
            }
            let Some(at) = self.idle.pop_front() else {
                // Its time runs on: the request is sent when a connection is free and counts from when it was due.
                self.counts.late += 1;
                return;
            };
            #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
            let asked = self.rate_since + Duration::from_secs_f64(self.rate_sent as f64 / rate);
            self.rate_sent += 1;
            self.ask(at, asked);
        }
    }

    fn read_lines(&mut self) {
        for _ in 0..LINES_PER_TURN {
            match recv(self.lines.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_TRUNC) {
                Ok(_) => self.counts.lines += 1,
                Err(_) => return,
            }
        }
    }
}

fn listener(port: u16) -> Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into()).with_context(|| format!("port {port}"))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
