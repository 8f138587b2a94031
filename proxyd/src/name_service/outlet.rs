//! The way to one name server: a socket for datagrams, or a stream that is opened when there is something to ask.
//!
//! Over a stream, questions follow each other without waiting for answers (RFC 7766, section 6.2.1.1). It is closed when nothing
//! has come for a while; a name server may close it at any time, and is then asked over another one what it has left unanswered.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep_until, timeout};

use super::PAUSE;
use crate::clock;
use crate::net::Stream;
use crate::net::connect::{self, Options, Target};
use crate::resolvers::NameserverAddress;
use crate::resolvers::frames::{self, Frames};

/// Questions that wait for a stream, or for answers over it.
const QUESTIONS_WAITING: usize = 1024;
/// Bytes read of a stream at a time.
const BLOCK: usize = 4096;
/// How long a name server may take to let us in, or to read a question.
const PATIENCE: Duration = Duration::from_secs(1);
/// A stream over which nothing has come for so long is closed: it is idle, or its other end is.
const QUIET: Duration = Duration::from_secs(5);

/// What has come from a name server.
#[derive(Debug)]
pub(super) enum Heard {
    /// A message.
    Message(Vec<u8>),
    /// So many questions have not reached it.
    Lost(usize),
}

/// Where what has come goes, with the rank of who sent it.
pub(super) type Sink = mpsc::Sender<(usize, Heard)>;

/// A way to a name server. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Outlet {
    way: Way,
    reader: JoinHandle<()>,
}

#[derive(Debug)]
enum Way {
    /// Written to past the runtime, which takes a socket for one that can be written to only once it has looked.
    Datagrams(std::net::UdpSocket),
    Stream(mpsc::Sender<Vec<u8>>),
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Outlet {
    /// Opens the way to the name server of this rank. `None` where there is none. `largest` is the longest answer that is taken, in
    /// bytes.
    pub(super) fn open(address: &NameserverAddress, rank: usize, largest: usize, sink: Sink) -> Option<Self> {
        let target = match address {
            NameserverAddress::Udp(address) => {
                let socket = datagrams(*address)?;
                let readable = UdpSocket::from_std(socket.try_clone().ok()?).ok()?;
                let reader = spawn_local(keep_reading(readable, rank, largest, sink));
                return Some(Self { way: Way::Datagrams(socket), reader });
            }
            NameserverAddress::Tcp(address) => Target::Tcp(*address),
            NameserverAddress::Unix(path) => Target::Unix(path.clone()),
            NameserverAddress::Abstract(name) => Target::Abstract(name.clone()),
        };
        let (questions, asked) = mpsc::channel(QUESTIONS_WAITING);
        let reader = spawn_local(keep_talking(target, rank, asked, sink));
        Some(Self { way: Way::Stream(questions), reader })
    }

    /// Asks; false if that cannot be done.
    pub(super) fn ask(&self, question: &[u8]) -> bool {
        match &self.way {
            // The first attempt may report what became of an earlier question.
            Way::Datagrams(socket) => (0..2).any(|_| socket.send(question).is_ok()),
            Way::Stream(questions) => questions.try_send(question.to_vec()).is_ok(),
        }
    }
}

/// A socket that hears nobody but one name server.
fn datagrams(address: SocketAddr) -> Option<std::net::UdpSocket> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = std::net::UdpSocket::bind(any).ok()?;
    socket.connect(address).ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

/// Hands on what a name server says. One byte more than is taken shows that it was too long.
async fn keep_reading(socket: UdpSocket, rank: usize, largest: usize, sink: Sink) {
    let mut buffer = vec![0; largest + 1];
    loop {
        match socket.recv(&mut buffer).await {
            Ok(length) => {
                let bytes = buffer.get(..length).unwrap_or_default().to_vec();
                if sink.send((rank, Heard::Message(bytes))).await.is_err() {
                    return;
                }
            }
            // Nobody listens there, for one. The question is repeated in any case.
            Err(_) => sleep_until((clock::now() + PAUSE).into()).await,
        }
    }
}

/// A conversation over streams, one after the other.
struct Conversation {
    rank: usize,
    questions: mpsc::Receiver<Vec<u8>>,
    sink: Sink,
    /// Asked over the stream there is, and not answered yet; the oldest first.
    unanswered: VecDeque<Vec<u8>>,
    /// Whether it has brought an answer.
    answers: bool,
}

async fn keep_talking(target: Target, rank: usize, questions: mpsc::Receiver<Vec<u8>>, sink: Sink) {
    let mut conversation = Conversation { rank, questions, sink, unanswered: VecDeque::new(), answers: false };
    loop {
        if conversation.unanswered.is_empty() {
            let Some(question) = conversation.questions.recv().await else { return };
            conversation.unanswered.push_back(question);
        }
        conversation.answers = false;
        // Whatever ends a stream ends it for us, too: what is left of it says what is to be done.
        let _ = conversation.talk(&target).await;
        let lost = conversation.unanswered.len();
        if lost > 0 && !conversation.answers {
            conversation.unanswered.clear();
            if conversation.sink.send((rank, Heard::Lost(lost))).await.is_err() {
                return;
            }
            // Who asks repeats it; a name server that is not there is not called all the time.
            sleep_until((clock::now() + PAUSE).into()).await;
        }
    }
}

impl Conversation {
    /// Opens a stream, asks what was not answered, and goes on until the stream ends.
    async fn talk(&mut self, target: &Target) -> io::Result<()> {
        let mut connecting = connect::start(target, &Options::default())?;
        timeout(PATIENCE, poll_fn(|context| connecting.poll(context))).await??;
        let stream = connecting.into_stream();
        for question in &self.unanswered {
            write(&stream, question).await?;
        }
        let (mut frames, mut block) = (Frames::default(), Vec::with_capacity(BLOCK));
        let mut last = clock::now();
        loop {
            tokio::select! {
                question = self.questions.recv() => {
                    let Some(question) = question else { return Ok(()) };
                    write(&stream, &question).await?;
                    if self.unanswered.len() >= QUESTIONS_WAITING {
                        self.unanswered.pop_front();
                    }
                    self.unanswered.push_back(question);
                }
                read = poll_fn(|context| stream.poll_read(context, &mut block)) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    last = clock::now();
                    frames.add(&block);
                    block.clear();
                    while let Some(message) = frames.next_message() {
                        self.hear(message).await?;
                    }
                }
                () = sleep_until((last + QUIET).into()) => {
                    // A name server that has fallen silent is asked by who asks, over another stream.
                    self.unanswered.clear();
                    return Ok(());
                }
            }
        }
    }

    async fn hear(&mut self, message: Vec<u8>) -> io::Result<()> {
        let (id, before) = (frames::id(&message), self.unanswered.len());
        self.unanswered.retain(|question| frames::id(question) != id);
        self.answers |= self.unanswered.len() < before;
        let sent = self.sink.send((self.rank, Heard::Message(message))).await;
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Sends a question.
async fn write(stream: &Stream, question: &[u8]) -> io::Result<()> {
    let framed = frames::frame(question).ok_or(io::ErrorKind::InvalidInput)?;
    timeout(PATIENCE, stream.write_all(&framed)).await?
}
