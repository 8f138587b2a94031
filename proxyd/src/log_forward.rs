//! Relays syslog messages of other hosts: the `log-forward` sections, on a thread of their own.
//!
//! The thread has a log of its own, as every other has; what came together leaves together. Sockets are opened where the frontends'
//! are, before privileges are given up, and handed to the thread; a section whose settings stay keeps them over a reload.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UdpSocket, UnixDatagram, UnixListener};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep_until, timeout};

use crate::clock;
use crate::generation::Generation;
use crate::ids::FrontendId;
use crate::log::forward::{DatagramBind, Forwarder};
use crate::log::frames::Frames;
use crate::log_sink::{LogSettings, LogSink};
use crate::net::{Stream, canonical, listen};
use crate::proxy::listen::ListenAddress;
use crate::rules::Rules;
use crate::rules::tcp::TcpVerdict;
use crate::sample::context::Stream as Seen;
use crate::sample::variable::Variables;
use crate::stick::{Counters, tracked};
use crate::worker::milliseconds;

/// Configurations that may wait to be put in force.
const ORDERS_WAITING: usize = 4;
/// The longest datagram in bytes.
const DATAGRAM_MAX: usize = 65_536;
/// Datagrams that are read before others have their turn.
const DATAGRAMS_AT_ONCE: usize = 64;
/// Bytes that are read at once from a connection.
const BLOCK: usize = 16_384;
/// How long a socket rests after an error, such as that there are no more descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// A section that is to be in force.
#[derive(Debug)]
pub struct Section {
    forwarder: Arc<Forwarder>,
    /// What it listens on. `None`: a section with the same settings runs, and what that listens on.
    sockets: Option<Sockets>,
}

#[derive(Debug)]
struct Sockets {
    streams: Vec<Socket>,
    datagrams: Vec<Socket>,
}

/// Opens what these sections listen on, but for those that run with the same settings. The error is haproxy's text.
pub fn open(wanted: &[Arc<Forwarder>], running: &[Arc<Forwarder>]) -> Result<Vec<Section>, String> {
    let open = |forwarder: &Arc<Forwarder>| {
        let runs = running.iter().any(|known| known.settings == forwarder.settings);
        let sockets = if runs { None } else { Some(sockets(forwarder)?) };
        Ok(Section { forwarder: Arc::clone(forwarder), sockets })
    };
    wanted.iter().map(open).collect()
}

fn sockets(forwarder: &Forwarder) -> Result<Sockets, String> {
    let settings = &forwarder.settings;
    let refused = |text: &str, error: &io::Error| {
        format!("Starting frontend {}: cannot bind socket ({error}) for [{text}]", settings.name)
    };
    let mut sockets = Sockets { streams: Vec::new(), datagrams: Vec::new() };
    for bind in &settings.binds {
        let opened = listen::open(bind, 1).and_then(|opened| {
            for socket in &opened {
                listen::listen(socket, bind)?;
            }
            Ok(opened)
        });
        sockets.streams.extend(opened.map_err(|error| refused(&bind.text, &error))?);
    }
    for bind in &settings.datagrams {
        sockets.datagrams.push(datagrams(bind).map_err(|error| refused(&bind.text, &error))?);
    }
    Ok(sockets)
}

/// A socket for datagrams.
fn datagrams(bind: &DatagramBind) -> io::Result<Socket> {
    let address = match &bind.address {
        ListenAddress::Tcp(address) => return internet_datagrams(bind, *address),
        ListenAddress::Unix(path) => {
            // What an earlier process has left there.
            let _ = std::fs::remove_file(path);
            SockAddr::unix(path)?
        }
        ListenAddress::Abstract(name) => SockAddr::unix(format!("\0{name}"))?,
        ListenAddress::Fd(_) => return Err(io::ErrorKind::Unsupported.into()),
    };
    let socket = Socket::new(Domain::UNIX, Type::DGRAM.nonblocking(), None)?;
    socket.bind(&address)?;
    Ok(socket)
}

fn internet_datagrams(bind: &DatagramBind, address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if let Some(interface) = &bind.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    if bind.transparent && address.is_ipv4() {
        socket.set_ip_transparent_v4(true)?;
    }
    crate::net::set_kernel_buffers(&socket, bind.kernel_buffers)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// The thread that relays, once there is something to relay.
#[derive(Debug)]
pub struct Forwarding {
    log: LogSettings,
    started: Instant,
    orders: Option<mpsc::Sender<Order>>,
}

/// The sections that are to be in force, and the configuration that they are of.
type Order = (Vec<Section>, Arc<Generation>);

impl Forwarding {
    /// Nothing is relayed yet.
    pub fn new(log: LogSettings, started: Instant) -> Self {
        Self { log, started, orders: None }
    }

    /// Relays for these sections of a configuration from now on, and for no others.
    pub async fn set(&mut self, sections: Vec<Section>, generation: Arc<Generation>) -> io::Result<()> {
        if self.orders.is_none() && sections.is_empty() {
            return Ok(());
        }
        let orders = match &self.orders {
            Some(orders) => orders,
            None => self.orders.insert(spawn(self.log.clone(), self.started)?),
        };
        orders.send((sections, generation)).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

fn spawn(log: LogSettings, started: Instant) -> io::Result<mpsc::Sender<Order>> {
    let (orders, received) = mpsc::channel(ORDERS_WAITING);
    thread::Builder::new().name("log-forward".to_owned()).spawn(move || {
        match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime.block_on(run(Rc::new(Desk { log: LogSink::new(log), started }), received)),
            Err(error) => tracing::error!(%error, "log-forward sections cannot start"),
        }
    })?;
    Ok(orders)
}

/// What all sections use.
struct Desk {
    log: LogSink,
    /// Rates are counted from then on.
    started: Instant,
}

/// A section in force. A reload may give it other `log` lines.
struct Running {
    face: Face,
    tasks: Vec<JoinHandle<()>>,
}

type Face = Rc<RefCell<InForce>>;

#[derive(Clone)]
struct InForce {
    forwarder: Arc<Forwarder>,
    /// What its rules refer to.
    generation: Arc<Generation>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn run(desk: Rc<Desk>, mut orders: mpsc::Receiver<Order>) {
    let mut running: Vec<Running> = Vec::new();
    while let Some((sections, generation)) = orders.recv().await {
        let mut known = std::mem::take(&mut running);
        for Section { forwarder, sockets } in sections {
            let section = InForce { forwarder, generation: Arc::clone(&generation) };
            if let Some(sockets) = sockets {
                running.push(start(section, sockets, &desk));
                continue;
            }
            let same = |one: &Running| one.face.borrow().forwarder.settings == section.forwarder.settings;
            if let Some(at) = known.iter().position(same) {
                let kept = known.swap_remove(at);
                kept.face.replace(section);
                running.push(kept);
            }
        }
    }
}

fn start(section: InForce, sockets: Sockets, desk: &Rc<Desk>) -> Running {
    let places = Arc::new(Semaphore::new(section.forwarder.settings.maxconn.min(Semaphore::MAX_PERMITS)));
    let face = Rc::new(RefCell::new(section));
    let mut tasks = Vec::new();
    for socket in sockets.datagrams {
        tasks.push(spawn_local(receive(socket, Rc::clone(&face), Rc::clone(desk))));
    }
    for socket in sockets.streams {
        tasks.push(spawn_local(accept(socket, Rc::clone(&face), Arc::clone(&places), Rc::clone(desk))));
    }
    Running { face, tasks }
}

/// A socket that datagrams come to.
enum Datagrams {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl Datagrams {
    fn new(socket: Socket) -> io::Result<Self> {
        if socket.local_addr()?.is_unix() {
            UnixDatagram::from_std(socket.into()).map(Self::Unix)
        } else {
            UdpSocket::from_std(socket.into()).map(Self::Udp)
        }
    }

    async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.readable().await,
            Self::Unix(socket) => socket.readable().await,
        }
    }

    /// A datagram's length, and who sent it.
    fn try_recv(&self, block: &mut [u8]) -> io::Result<(usize, Option<IpAddr>)> {
        match self {
            Self::Udp(socket) => socket.try_recv_from(block).map(|(length, sender)| (length, Some(sender.ip()))),
            Self::Unix(socket) => socket.try_recv(block).map(|length| (length, None)),
        }
    }
}

/// Relays what comes in datagrams.
async fn receive(socket: Socket, face: Face, desk: Rc<Desk>) {
    let Ok(socket) = Datagrams::new(socket) else { return };
    let mut block = vec![0; DATAGRAM_MAX];
    while socket.readable().await.is_ok() {
        for _ in 0..DATAGRAMS_AT_ONCE {
            // Nothing more, or what became of something else: it goes on when there is something to read.
            let Ok((length, sender)) = socket.try_recv(&mut block) else { break };
            let forwarder = Arc::clone(&face.borrow().forwarder);
            desk.log.relay(&forwarder, block.get(..length).unwrap_or_default(), sender, clock::date());
        }
        desk.log.flush();
        tokio::task::yield_now().await;
    }
}

/// A socket that connections come to.
enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    fn new(socket: Socket) -> io::Result<Self> {
        if socket.local_addr()?.is_unix() {
            UnixListener::from_std(socket.into()).map(Self::Unix)
        } else {
            TcpListener::from_std(socket.into()).map(Self::Tcp)
        }
    }

    /// A connection, and who made it.
    async fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                listener.accept().await.map(|(stream, peer)| (Stream::Tcp(stream), Some(canonical(peer))))
            }
            Self::Unix(listener) => Ok((Stream::Unix(listener.accept().await?.0), None)),
        }
    }
}

/// Takes connections as long as there is room; the system keeps those beyond.
async fn accept(socket: Socket, face: Face, places: Arc<Semaphore>, desk: Rc<Desk>) {
    let Ok(socket) = Acceptor::new(socket) else { return };
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match socket.accept().await {
            Ok((stream, source)) => {
                let (face, desk) = (Rc::clone(&face), Rc::clone(&desk));
                spawn_local(async move {
                    let _place = place;
                    let (variables, counters) = (Variables::default(), Counters::default());
                    // What it tracks is tracked for as long as it lasts.
                    let visitor = Visitor { stream: &stream, source, variables: &variables, counters: &counters };
                    let section = face.borrow().clone();
                    if visitor.is_admitted(&section, &desk) {
                        drop(section);
                        relay(&stream, source.map(|source| source.ip()), &face, &desk.log).await;
                    }
                });
            }
            // A client that has left, or no more descriptors.
            Err(_) => sleep_until((clock::now() + PAUSE).into()).await,
        }
    }
}

/// Who has connected.
struct Visitor<'v> {
    stream: &'v Stream,
    source: Option<SocketAddr>,
    variables: &'v Variables,
    counters: &'v Counters,
}

impl Visitor<'_> {
    /// Whether the rules of the section let it in.
    fn is_admitted(&self, section: &InForce, desk: &Desk) -> bool {
        let rules = &section.forwarder.rules;
        if rules.is_empty() {
            return true;
        }
        let (now, date) = (clock::now(), clock::date());
        let now_ms = milliseconds(now.saturating_duration_since(desk.started));
        let seen = Seen {
            source: self.source,
            destination: self.stream.local_address(),
            // It is none of the frontends.
            frontend: (FrontendId(u32::MAX), &section.forwarder.settings.name),
            client_socket: Some(self.stream),
            now: date,
            accepted: date,
            now_ms,
            ..Seen::outside(self.variables, self.counters, &*section.generation)
        };
        for set in [Rules::tcp_request_connection, Rules::tcp_request_session] {
            match set(rules, &seen, &mut 0) {
                TcpVerdict::Continue => {}
                TcpVerdict::SilentDrop(silence) => {
                    self.stream.forget(silence.reset());
                    return false;
                }
                _ => return false,
            }
        }
        self.counters.count(&tracked::SESSION, now_ms);
        true
    }
}

/// Relays what comes over a connection until it ends, falls silent, or says what is no message.
async fn relay(stream: &Stream, sender: Option<IpAddr>, face: &Face, log: &LogSink) {
    let settings = face.borrow().forwarder.settings.clone();
    let mut frames = Frames::new(settings.lines_only);
    let mut block = Vec::with_capacity(BLOCK);
    loop {
        let read = poll_fn(|context| stream.poll_read(context, &mut block));
        let read = match settings.client_timeout {
            Some(limit) => timeout(limit, read).await.unwrap_or(Ok(0)),
            None => read.await,
        };
        if !read.is_ok_and(|count| count > 0) {
            return;
        }
        frames.add(&block);
        block.clear();
        let forwarder = Arc::clone(&face.borrow().forwarder);
        let more = loop {
            match frames.next_message() {
                Ok(Some(message)) => log.relay(&forwarder, message, sender, clock::date()),
                Ok(None) => break true,
                Err(_malformed) => break false,
            }
        };
        log.flush();
        if !more {
            return;
        }
    }
}
