//! Asks name servers where servers are, on the control thread and beside all traffic.
//!
//! One task per `resolvers` section that servers name, with a socket per name server. What an answer means for a server is
//! decided by [`resolvers`](crate::resolvers) and carried out through [`Checks::apply`], as every other change of a server.

mod section;

use std::cell::RefCell;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep_until;

use crate::balance::farm::Farm;
use crate::check::Checks;
use crate::clock;
use crate::resolvers::message::Name;
use crate::resolvers::{Counters, Settings, Wish};
use section::Section;

/// Answers that wait to be read.
const ANSWERS_WAITING: usize = 64;
/// How long a name server's socket rests after an error, so that one that goes on does not take all time.
const PAUSE: Duration = Duration::from_millis(100);

/// A server whose address name servers know.
#[derive(Debug)]
pub struct Client {
    /// Its farm.
    pub farm: Arc<Farm>,
    /// Its rank in it.
    pub index: usize,
    /// What it wants of them.
    pub wish: Wish,
}

/// A section and the servers that ask it.
#[derive(Debug)]
pub struct Plan {
    /// The section.
    pub settings: Settings,
    /// Its clients, in the order of the file.
    pub clients: Vec<Client>,
}

/// Everybody who is asked. Dropping it ends the asking; servers stay where they are.
#[derive(Debug, Default)]
pub struct NameService {
    sections: Vec<Rc<Section>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for NameService {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl NameService {
    /// The sections, and what was counted of their name servers.
    pub fn counters(&self) -> impl Iterator<Item = (&Settings, Vec<Counters>)> {
        self.sections.iter().map(|section| (section.settings(), section.counters()))
    }

    /// Another name for a server; false where nobody is asked about it.
    pub fn rename(&self, farm: &Arc<Farm>, index: usize, name: &Name) -> bool {
        self.sections.iter().any(|section| section.rename(farm, index, name))
    }
}

/// Begins to ask. Must be called on a thread with a local runtime. `epoch` is the start of the process.
pub fn start(plans: Vec<Plan>, epoch: Instant, checks: &Rc<RefCell<Checks>>) -> NameService {
    let mut service = NameService::default();
    for plan in plans {
        let section = Rc::new(Section::new(plan, epoch, Rc::clone(checks)));
        service.tasks.push(spawn_local(keep_asking(Rc::clone(&section))));
        service.sections.push(section);
    }
    service
}

/// The readers of a section's sockets; they end with it.
struct Readers(Vec<JoinHandle<()>>);

impl Drop for Readers {
    fn drop(&mut self) {
        for reader in &self.0 {
            reader.abort();
        }
    }
}

async fn keep_asking(section: Rc<Section>) {
    let (sender, mut answers) = mpsc::channel(ANSWERS_WAITING);
    let mut readers = Readers(Vec::new());
    let mut sockets = Vec::new();
    for (rank, nameserver) in section.settings().nameservers.iter().enumerate() {
        let socket = open(nameserver.address).map(Rc::new);
        if let Some(socket) = &socket {
            let largest = usize::from(section.settings().payload_size);
            readers.0.push(spawn_local(keep_reading(Rc::clone(socket), rank, largest, sender.clone())));
        }
        sockets.push(socket);
    }
    loop {
        let due = section.epoch() + Duration::from_millis(section.due());
        tokio::select! {
            Some((rank, bytes)) = answers.recv() => section.heard(rank, &bytes, &sockets),
            () = sleep_until(due.into()) => section.tick(&sockets),
            () = section.changed() => {}
        }
    }
}

/// A socket that hears nobody but one name server.
fn open(address: SocketAddr) -> Option<UdpSocket> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = std::net::UdpSocket::bind(any).ok()?;
    socket.connect(address).ok()?;
    socket.set_nonblocking(true).ok()?;
    UdpSocket::from_std(socket).ok()
}

/// Hands on what a name server says. One byte more than is taken shows that it was too long.
async fn keep_reading(socket: Rc<UdpSocket>, rank: usize, largest: usize, answers: mpsc::Sender<(usize, Vec<u8>)>) {
    let mut buffer = vec![0; largest + 1];
    loop {
        match socket.recv(&mut buffer).await {
            Ok(length) => {
                let bytes = buffer.get(..length).unwrap_or_default().to_vec();
                if answers.send((rank, bytes)).await.is_err() {
                    return;
                }
            }
            // Nobody listens there, for one. The question is repeated in any case.
            Err(_) => sleep_until((clock::now() + PAUSE).into()).await,
        }
    }
}
