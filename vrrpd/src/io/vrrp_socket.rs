//! Raw sockets for IP protocol 112: per interface one that receives and one that sends.
//!
//! The kernel hands received IPv4 packets over with their header, which is where the TTL is checked, and takes sent ones
//! with a header of ours, so that TOS, TTL, identification and source are what the protocol wants.

use crate::limits::PACKET_MAX;
use crate::packet::ip::{self, PROTOCOL_VRRP};
use crate::sys;
use crate::vrrp::event::Advertisement;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockAddr, Socket, Type};
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::io::unix::AsyncFd;

/// What an interface's sockets are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Name of the interface; `None` listens on all, for unicast instances that name none.
    pub interface: Option<String>,
    /// Its index when the sockets were opened; 0 without an interface.
    pub index: u32,
    /// Multicast groups to join there.
    pub groups: BTreeSet<Ipv4Addr>,
}

/// Receives the packets of one scope.
#[derive(Debug)]
pub struct Receiver(AsyncFd<Socket>);

/// Sends packets on one interface.
#[derive(Debug)]
pub struct Sender(Socket);

impl Receiver {
    /// Opens the socket and joins the groups.
    pub fn open(scope: &Scope) -> io::Result<Self> {
        let kind = Type::RAW.cloexec().nonblocking();
        let socket = Socket::new(Domain::IPV4, kind, Some(Protocol::from(i32::from(PROTOCOL_VRRP))))?;
        if let Some(name) = &scope.interface {
            socket.bind_device(Some(name.as_bytes()))?;
        }
        for group in &scope.groups {
            socket.join_multicast_v4_n(group, &InterfaceIndexOrAddress::Index(scope.index))?;
        }
        // Only what was joined above, not what other programs of this host joined.
        socket.set_multicast_all_v4(false)?;
        Ok(Self(sys::watch(socket)?))
    }

    /// The next packet, header included. An error of the interface (it went down) is not the end of the socket.
    pub async fn receive(&self) -> io::Result<Vec<u8>> {
        loop {
            let mut ready = self.0.readable().await?;
            let read = ready.try_io(|fd| {
                let mut buffer = vec![0; PACKET_MAX];
                let mut socket = fd.get_ref();
                let length = socket.read(&mut buffer)?;
                buffer.truncate(length);
                Ok(buffer)
            });
            if let Ok(result) = read {
                return result;
            }
        }
    }
}

impl Sender {
    /// Opens a socket that takes whole packets.
    pub fn open(interface: Option<&str>) -> io::Result<Self> {
        let socket =
            Socket::new(Domain::IPV4, Type::RAW.cloexec().nonblocking(), Some(Protocol::from(libc::IPPROTO_RAW)))?;
        socket.set_header_included_v4(true)?;
        // Our own adverts must not come back to us.
        socket.set_multicast_loop_v4(false)?;
        if let Some(name) = interface {
            socket.bind_device(Some(name.as_bytes()))?;
        }
        Ok(Self(socket))
    }

    /// Sends one advert.
    pub fn send(&self, advert: &Advertisement) -> io::Result<()> {
        let (IpAddr::V4(source), IpAddr::V4(destination)) = (advert.source, advert.destination) else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "adverts over IPv6 cannot be sent yet"));
        };
        let packet = ip::emit(source, destination, advert.ttl, advert.id, &advert.message);
        self.0.send_to(&packet, &SockAddr::from(SocketAddr::from((destination, 0)))).map(drop)
    }
}
