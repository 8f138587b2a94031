//! Raw sockets for IP protocol 112: per interface and family one that receives and one that sends.
//!
//! - `inet`: the kernel hands received packets over with their IPv4 header and takes sent ones with a header of ours;
//! - `inet6`: there is no header, only what the kernel says about it in control messages.

mod inet;
mod inet6;

use crate::packet::{Datagram, Family};
use crate::sys;
use crate::vrrp::event::Advertisement;
use socket2::Socket;
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use tokio::io::unix::AsyncFd;

/// What a pair of sockets is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Name of the interface; `None` listens on all, for unicast instances that name none.
    pub interface: Option<String>,
    /// Its index when the sockets were opened; 0 without an interface.
    pub index: u32,
    /// Family of the adverts.
    pub family: Family,
    /// Multicast groups to join there.
    pub groups: BTreeSet<IpAddr>,
}

/// A packet that arrived, with what its IP header said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
    header_len: usize,
    message: Vec<u8>,
}

impl Received {
    /// As the deciding layer takes it.
    pub fn datagram(&self) -> Datagram<'_> {
        let Self { source, destination, ttl, header_len, ref message } = *self;
        Datagram { source, destination, ttl, header_len, message }
    }
}

/// Receives the packets of one scope.
#[derive(Debug)]
pub struct Receiver {
    socket: AsyncFd<Socket>,
    family: Family,
}

/// Sends packets of one scope.
#[derive(Debug)]
pub struct Sender {
    socket: Socket,
    scope: Scope,
}

impl Receiver {
    /// Opens the socket and joins the groups.
    pub fn open(scope: &Scope) -> io::Result<Self> {
        let socket = match scope.family {
            Family::Inet => inet::receiver(scope)?,
            Family::Inet6 => inet6::receiver(scope)?,
        };
        Ok(Self { socket: sys::watch(socket)?, family: scope.family })
    }

    /// The next packet. An error of the interface (it went down) is not the end of the socket, nor is a packet that is
    /// not one.
    pub async fn receive(&self) -> io::Result<Received> {
        loop {
            let mut ready = self.socket.readable().await?;
            let read = ready.try_io(|fd| match self.family {
                Family::Inet => inet::receive(fd.get_ref()),
                Family::Inet6 => inet6::receive(fd.get_ref()),
            });
            if let Ok(result) = read {
                return result;
            }
        }
    }
}

impl Sender {
    /// Opens the socket.
    pub fn open(scope: Scope) -> io::Result<Self> {
        let socket = match scope.family {
            Family::Inet => inet::sender(&scope)?,
            Family::Inet6 => inet6::sender(&scope)?,
        };
        Ok(Self { socket, scope })
    }

    /// What it is for.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Sends one advert.
    pub fn send(&self, advert: &Advertisement) -> io::Result<()> {
        match (advert.source, advert.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => inet::send(&self.socket, source, destination, advert),
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                inet6::send(&self.socket, self.scope.index, source, destination, advert)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, "source and destination are of different families"))
            }
        }
    }
}

/// A packet that cannot be told to any instance.
fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed IP packet")
}
