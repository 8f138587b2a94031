//! Ships what rings hold to their servers, on the control thread and beside all traffic.
//!
//! One task per server. It keeps a connection open from the start, so that a server which went away is missed before there is
//! something to say. Messages that did not leave whole go over the next connection from their beginning; what the system had
//! taken when a server died is lost, as with every syslog over TCP.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep_until, timeout};

use crate::clock;
use crate::log::ring::{Framing, Reader, Ring, RingServer, Start};
use crate::net::Stream;
use crate::net::connect::{self, Options, Target};
use crate::proxy::address::ServerAddress;
use crate::proxy::place::Ports;
use crate::session::attempt::source_address;

/// How long a server that cannot be reached, or that went away, is left alone.
const PAUSE: Duration = Duration::from_secs(1);
/// Messages are taken from the ring until so many bytes wait for the server.
const PENDING_BYTES: usize = 65_536;
/// Bytes of what a server says, which nobody listens to.
const BLOCK: usize = 4_096;
/// How long the servers have for what is left when the process ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The rings that are being shipped.
#[derive(Debug, Default)]
pub struct Shipping {
    rings: Vec<(Arc<Ring>, Vec<JoinHandle<()>>)>,
    /// Of rings that are no longer in force: tasks that still send what those hold.
    last: Vec<JoinHandle<()>>,
}

impl Shipping {
    /// Ships these rings from now on. Those that were shipped and are not among them get nothing more, and are sent to their end.
    pub fn set(&mut self, rings: &[Arc<Ring>]) {
        let known = std::mem::take(&mut self.rings);
        let (stay, gone): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|(ring, _)| rings.iter().any(|wanted| Arc::ptr_eq(wanted, ring)));
        self.rings = stay;
        self.last.retain(|task| !task.is_finished());
        for (ring, tasks) in gone {
            ring.close();
            self.last.extend(tasks);
        }
        for ring in rings {
            if !self.rings.iter().any(|(known, _)| Arc::ptr_eq(known, ring)) {
                let servers = ring.settings().servers.iter();
                let tasks = servers.map(|server| spawn_local(ship(Arc::clone(ring), server.clone())));
                self.rings.push((Arc::clone(ring), tasks.collect()));
            }
        }
    }

    /// Gives the servers a last chance to take what is left.
    pub async fn end(mut self) {
        self.set(&[]);
        let all = async {
            for task in &mut self.last {
                // One that was cut short has nothing more to say.
                let _ = task.await;
            }
        };
        let _ = timeout(LAST_WORDS, all).await;
    }
}

impl Drop for Shipping {
    fn drop(&mut self) {
        self.last.iter().chain(self.rings.iter().flat_map(|(_, tasks)| tasks)).for_each(JoinHandle::abort);
    }
}

/// Sends the messages of a ring to a server, until the ring is closed and empty.
async fn ship(ring: Arc<Ring>, server: RingServer) {
    let settings = ring.settings();
    let Some(target) = target(&server) else { return };
    let mut reader = ring.reader(Start::Oldest, true);
    let mut pending = Pending::new(server.framing);
    let ports = server.source.as_ref().and_then(|source| source.ports).map(|(low, high)| Ports::new(low, high));
    loop {
        if let Ok(stream) = connection(&target, &server, ports.as_ref(), settings.connect_timeout).await
            && say(&stream, &server.preface, settings.server_timeout).await.is_ok()
            && talk(&stream, &mut reader, &mut pending, settings.server_timeout).await.is_ok()
        {
            return;
        }
        if ring.is_closed() {
            return;
        }
        pending.rewind();
        sleep_until((clock::now() + PAUSE).into()).await;
    }
}

fn target(server: &RingServer) -> Option<Target> {
    match &server.address {
        ServerAddress::Ip(ip) => Some(Target::Tcp(SocketAddr::new(*ip, server.port))),
        ServerAddress::Unix(path) => Some(Target::Unix(path.clone())),
        ServerAddress::Abstract(name) => Some(Target::Abstract(name.clone())),
        ServerAddress::Destination | ServerAddress::Unresolved => None,
    }
}

async fn connection(
    target: &Target,
    server: &RingServer,
    ports: Option<&Ports>,
    limit: Option<Duration>,
) -> io::Result<Stream> {
    let from = server.source.as_ref().map(|source| source_address(source, None, target));
    let (source, transparent) = from.unwrap_or_default();
    let interface = server.source.as_ref().and_then(|source| source.interface.clone());
    let namespace = server.namespace.clone();
    let options = Options { source, transparent, interface, socks4: server.socks4, namespace, ..Options::default() };
    let mut connecting = match ports {
        Some(ports) => connect::start_from(target, &options, ports)?,
        None => connect::start(target, &options)?,
    };
    within(limit, poll_fn(|context| connecting.poll(context))).await?;
    Ok(connecting.into_stream())
}

/// Sends what comes before all messages.
async fn say(stream: &Stream, mut bytes: &[u8], limit: Option<Duration>) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = within(limit, poll_fn(|context| stream.poll_write(context, bytes))).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// Sends until the connection ends, which is an error, or the ring does.
async fn talk(stream: &Stream, reader: &mut Reader, pending: &mut Pending, limit: Option<Duration>) -> io::Result<()> {
    let mut heard = Vec::with_capacity(BLOCK);
    loop {
        pending.fill(reader);
        while !pending.is_empty() {
            let written = within(limit, poll_fn(|context| stream.poll_write(context, pending.bytes()))).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            pending.sent(written);
            pending.fill(reader);
        }
        tokio::select! {
            more = pending.wait(reader) => if !more { return Ok(()) },
            read = poll_fn(|context| stream.poll_read(context, &mut heard)) => {
                if read? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                heard.clear();
            }
        }
    }
}

/// Waits for a step no longer than the section allows.
async fn within<T>(limit: Option<Duration>, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match limit {
        Some(limit) => timeout(limit, step).await?,
        None => step.await,
    }
}

/// Framed messages on their way.
struct Pending {
    framing: Framing,
    bytes: Vec<u8>,
    /// Where each message ends in `bytes`.
    ends: VecDeque<usize>,
    /// How much of `bytes` has been sent.
    sent: usize,
    message: Vec<u8>,
}

impl Pending {
    fn new(framing: Framing) -> Self {
        Self { framing, bytes: Vec::new(), ends: VecDeque::new(), sent: 0, message: Vec::new() }
    }

    fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    /// Takes messages that are there.
    fn fill(&mut self, reader: &mut Reader) {
        while self.bytes.len() < PENDING_BYTES && reader.next(&mut self.message) {
            self.push();
        }
    }

    /// Waits for a message and takes it; false if there will be none.
    async fn wait(&mut self, reader: &mut Reader) -> bool {
        let message = &mut self.message;
        let more = poll_fn(|context| reader.poll_next(context, message)).await.is_some();
        if more {
            self.push();
        }
        more
    }

    fn push(&mut self) {
        self.framing.write(&self.message, &mut self.bytes);
        self.ends.push_back(self.bytes.len());
    }

    /// So many bytes were taken. What was sent whole is forgotten.
    fn sent(&mut self, count: usize) {
        self.sent += count;
        if self.is_empty() {
            self.bytes.clear();
            self.ends.clear();
            self.sent = 0;
        }
    }

    /// Begins again with the first message that was not sent whole.
    fn rewind(&mut self) {
        let mut start = 0;
        while let Some(end) = self.ends.front().copied().filter(|end| *end <= self.sent) {
            start = end;
            self.ends.pop_front();
        }
        self.bytes.drain(..start.min(self.bytes.len()));
        self.ends.iter_mut().for_each(|end| *end -= start);
        self.sent = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_did_not_leave_whole_begins_anew() {
        let mut pending = Pending::new(Framing::OctetCount);
        for message in ["one", "second", "3"] {
            pending.message = message.into();
            pending.push();
        }
        assert_eq!(pending.bytes(), b"3 one6 second1 3");
        pending.sent(9);
        pending.rewind();
        assert_eq!(pending.bytes(), b"6 second1 3");
        pending.sent(8);
        pending.rewind();
        assert_eq!(pending.bytes(), b"1 3");
        pending.sent(3);
        assert!(pending.is_empty() && pending.ends.is_empty());
    }
}
