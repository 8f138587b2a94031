//! Takes connections, while the frontend and the process have room for them.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use socket2::Socket;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Notify;

use super::{Stream, canonical};
use crate::clock::{self, Moment};
use crate::stats::{Event, Gauge, Traffic, WorkerIndex};
use crate::worker::timers::{Elapsed, Timer};

/// A connection just accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The socket.
    pub stream: Stream,
    /// The client's address; `None` on unix sockets.
    pub peer: Option<SocketAddr>,
    /// Its places under the limits, given back when it ends.
    pub places: Places,
}

/// Where listeners of all workers wait when a limit is reached.
#[derive(Debug, Default)]
pub struct Waiting {
    listeners: AtomicUsize,
    freed: Notify,
}

impl Waiting {
    /// Resolves when some connection of the process has ended since it was called.
    async fn wait(&self, full: impl Fn() -> bool) {
        let freed = self.freed.notified();
        self.listeners.fetch_add(1, Ordering::SeqCst);
        // Looked at again after announcing: a connection that ended before would not have told anyone.
        if full() {
            freed.await;
        }
        self.listeners.fetch_sub(1, Ordering::SeqCst);
    }

    /// Lets all who wait look again: a limit may have changed.
    pub fn wake(&self) {
        self.freed.notify_waiters();
    }

    fn tell(&self) {
        if self.listeners.load(Ordering::SeqCst) > 0 {
            self.freed.notify_waiters();
        }
    }
}

/// What a connection is counted in, in the order it is entered, with its limits.
#[derive(Debug)]
pub struct Limits {
    /// The process and its `maxconn`.
    pub process: (Arc<Gauge>, u64),
    /// The frontend and the listener, each with its own.
    pub traffic: [(Arc<Traffic>, u64); 2],
    /// `rate-limit sessions` of the frontend: more of them in a second wait for the next.
    pub rate: Option<u32>,
    /// `maxconnrate`, `maxsessrate`: what all frontends together took in a second, and how much that may be.
    pub process_rate: Option<(Arc<Traffic>, u32)>,
    /// `harden.reject-privileged-ports.tcp`
    pub reject_privileged_ports: bool,
    /// `tune.maxaccept`: after so many connections in a row others have their turn. `None`: only when there is no more.
    pub in_a_row: Option<u32>,
    /// Shared by all workers.
    pub waiting: Arc<Waiting>,
}

impl Limits {
    fn gauges(&self) -> impl Iterator<Item = (&Gauge, u64)> {
        let traffic = self.traffic.iter().map(|(traffic, limit)| (&traffic.sessions, *limit));
        std::iter::once((&*self.process.0, self.process.1)).chain(traffic)
    }

    /// Whether a client comes from where it must not.
    fn refuses(&self, peer: Option<SocketAddr>) -> bool {
        let port = peer.map_or(0, |peer| peer.port());
        self.reject_privileged_ports && (1..PRIVILEGED_PORTS_END).contains(&port)
    }

    fn full(&self) -> bool {
        self.gauges().any(|(gauge, limit)| gauge.current() >= limit)
    }

    fn take(self: &Rc<Self>) -> Option<Places> {
        for (entered, (gauge, limit)) in self.gauges().enumerate() {
            if !gauge.enter_below(limit) {
                self.leave(entered);
                return None;
            }
        }
        Some(Places(Rc::clone(self)))
    }

    /// Gives back the first `entered` places.
    fn leave(&self, entered: usize) {
        self.gauges().take(entered).for_each(|(gauge, _)| gauge.leave());
        self.waiting.tell();
    }
}

/// A connection's places under the limits.
#[derive(Debug)]
pub struct Places(Rc<Limits>);

impl Drop for Places {
    fn drop(&mut self) {
        self.0.leave(usize::MAX);
    }
}

/// A listening socket.
#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn new(socket: Socket) -> io::Result<Self> {
        if is_unix(&socket) {
            UnixListener::from_std(socket.into()).map(Self::Unix)
        } else {
            TcpListener::from_std(socket.into()).map(Self::Tcp)
        }
    }

    async fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                listener.accept().await.map(|(stream, peer)| (Stream::Tcp(stream), Some(canonical(peer))))
            }
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| (Stream::Unix(stream), None)),
        }
    }
}

/// Measures the pace of new connections.
#[derive(Debug)]
pub struct Pace {
    /// When the process started.
    pub started: Moment,
    /// Waits for its turn.
    pub timer: Timer,
    /// Who accepts.
    pub worker: WorkerIndex,
}

impl Pace {
    async fn turn(&self, limits: &impl Fn() -> Rc<Limits>) {
        loop {
            let limits = limits();
            let own = limits.rate.map(|limit| (&limits.traffic[0].0, limit));
            let process = limits.process_rate.as_ref().map(|(traffic, limit)| (traffic, *limit));
            if own.is_none() && process.is_none() {
                return;
            }
            let now = clock::moment();
            let now_ms = now.milliseconds_since(self.started);
            let full = |(traffic, limit): &(&Arc<Traffic>, u32)| {
                traffic.rate(Event::Session, now_ms) >= u64::from((*limit).max(1))
            };
            let Some((_, limit)) = own.into_iter().chain(process).find(full) else { return };
            // The oldest of the sessions counted falls out of the second at the latest after a share of it.
            self.timer.set(Some(now + Duration::from_secs(1) / limit.clamp(1, 1_000)));
            let Err(Elapsed) = self.timer.race(std::future::pending::<Infallible>()).await;
        }
    }
}

/// Resolves when no limit is reached.
async fn room(limits: &impl Fn() -> Rc<Limits>) {
    loop {
        let limits = limits();
        if !limits.full() {
            return;
        }
        limits.waiting.wait(|| limits.full()).await;
    }
}

/// Accepts on one socket until the future is dropped, which closes it. At a limit nothing more is taken, the kernel holds what
/// arrives. A failure that concerns one connection only is passed over; one that lasts (no descriptors left) waits for a
/// connection to end; where the socket does not listen any more, that is the end. The limits are asked for anew each time: a reload changes them.
pub async fn serve(
    socket: Socket,
    limits: impl Fn() -> Rc<Limits>,
    pace: Pace,
    mut session: impl FnMut(Accepted),
) -> io::Result<()> {
    let listener = Listener::new(socket)?;
    let mut in_a_row = 0;
    loop {
        if limits().in_a_row.is_some_and(|most| in_a_row >= most) {
            in_a_row = 0;
            tokio::task::yield_now().await;
        }
        in_a_row += 1;
        room(&limits).await;
        pace.turn(&limits).await;
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Another worker may have had its turn since.
                pace.turn(&limits).await;
                let places = loop {
                    // Other workers accept too: the last place may be gone, then this connection waits for one.
                    match limits().take() {
                        Some(places) => break places,
                        None => room(&limits).await,
                    }
                };
                if limits().refuses(peer) {
                    continue;
                }
                if let Some((traffic, _)) = &limits().process_rate {
                    traffic.event(pace.worker, Event::Session, clock::moment().milliseconds_since(pace.started));
                }
                session(Accepted { stream, peer, places });
            }
            Err(error) if is_exhaustion(&error) => {
                tracing::warn!(%error, "cannot accept");
                limits().waiting.wait(|| true).await;
            }
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Err(error),
            Err(_) => {}
        }
    }
}

/// Takes what already stands in the queue of a socket that is about to close: the kernel would reset those connections, though
/// their clients have been told that they are connected. At a limit the rest is left to that fate.
pub fn sweep(socket: &Socket, limits: &Rc<Limits>, mut session: impl FnMut(Accepted)) {
    let unix = is_unix(socket);
    for _ in 0..SWEEP_MAX {
        let Some(places) = limits.take() else { return };
        let Ok((taken, peer)) = socket.accept() else { return };
        let peer = peer.as_socket().map(canonical);
        if limits.refuses(peer) {
            continue;
        }
        let stream = taken.set_nonblocking(true).and_then(|()| Stream::from_socket(taken, unix));
        if let Ok(stream) = stream {
            session(Accepted { stream, peer, places });
        }
    }
}

/// Whether it is a socket of the file system or of the abstract name space.
pub fn is_unix(socket: &Socket) -> bool {
    socket.domain().is_ok_and(|domain| domain == socket2::Domain::UNIX)
}

/// Ports below it are for privileged programs.
const PRIVILEGED_PORTS_END: u16 = 1_024;

/// The most connections that [`sweep`] takes: a queue is no longer than the kernel's default for it.
const SWEEP_MAX: usize = 4_096;

fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    /// Who was connected before the socket closes is served.
    #[test]
    fn a_closing_socket_is_swept() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _guard = runtime.enter();
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        let clients = [0; 3].map(|_| TcpStream::connect(address).unwrap());
        let traffic = || (Arc::new(Traffic::new(1)), 9);
        let limits = Limits {
            process: (Arc::new(Gauge::default()), 9),
            traffic: [traffic(), traffic()],
            rate: None,
            process_rate: None,
            reject_privileged_ports: false,
            in_a_row: None,
            waiting: Arc::default(),
        };
        let mut taken = Vec::new();
        sweep(&socket.into(), &Rc::new(limits), |accepted| taken.push(accepted));
        let peers: Vec<_> = taken.iter().map(|accepted| accepted.peer).collect();
        assert_eq!(peers, clients.map(|client| client.local_addr().ok()));
    }

    /// `tune.maxaccept`: between two connections another task has its turn.
    #[test]
    fn others_have_their_turn() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for (in_a_row, expected) in [(None, 4), (Some(1), 1), (Some(3), 3)] {
            tokio::task::LocalSet::new().block_on(&runtime, async {
                let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                socket.set_nonblocking(true).unwrap();
                let address = socket.local_addr().unwrap();
                let traffic = || (Arc::new(Traffic::new(1)), 9);
                let limits = Rc::new(Limits {
                    process: (Arc::new(Gauge::default()), 9),
                    traffic: [traffic(), traffic()],
                    rate: None,
                    process_rate: None,
                    reject_privileged_ports: false,
                    in_a_row,
                    waiting: Arc::default(),
                });
                let pace = Pace {
                    started: clock::moment(),
                    timer: crate::worker::timers::Timers::new(clock::moment()).timer(),
                    worker: 0,
                };
                let _clients = [0; 4].map(|_| TcpStream::connect(address).unwrap());
                let (sender, mut accepted) = tokio::sync::mpsc::channel(4);
                let accepting =
                    serve(socket.into(), move || Rc::clone(&limits), pace, move |it| sender.try_send(it).unwrap());
                tokio::task::spawn_local(accepting);
                let _first = accepted.recv().await.unwrap();
                assert_eq!(accepted.len() + 1, expected, "{in_a_row:?}");
            });
        }
    }

    /// A second client is not served before the first has gone.
    #[test]
    fn a_limit_is_kept_and_left() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            let address = socket.local_addr().unwrap();
            let gauge = Arc::new(Gauge::default());
            let traffic = || (Arc::new(Traffic::new(1)), 9);
            let limits = Limits {
                process: (Arc::clone(&gauge), 1),
                traffic: [traffic(), traffic()],
                rate: None,
                process_rate: None,
                reject_privileged_ports: false,
                in_a_row: None,
                waiting: Arc::default(),
            };
            let limits = Rc::new(limits);
            let pace = Pace {
                started: clock::moment(),
                timer: crate::worker::timers::Timers::new(clock::moment()).timer(),
                worker: 0,
            };
            let (sender, mut accepted) = tokio::sync::mpsc::channel(4);
            let accepting =
                serve(socket.into(), move || Rc::clone(&limits), pace, move |it| sender.try_send(it).unwrap());
            tokio::task::spawn_local(accepting);
            let _clients = [TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap()];
            let first = accepted.recv().await.unwrap();
            tokio::task::yield_now().await;
            assert!(accepted.try_recv().is_err());
            assert_eq!(gauge.current(), 1);
            drop(first);
            assert!(accepted.recv().await.unwrap().peer.is_some());
        });
    }
}
