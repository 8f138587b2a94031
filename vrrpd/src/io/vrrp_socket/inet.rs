//! IPv4. The header of sent packets is ours, so that TOS, TTL, identification and source are what the protocol wants.

use super::{Received, Scope, malformed};
use crate::limits::PACKET_MAX;
use crate::packet::ip::{self, PROTOCOL_VRRP};
use crate::vrrp::event::Advertisement;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockAddr, Socket, Type};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub(super) fn receiver(scope: &Scope) -> io::Result<Socket> {
    let kind = Type::RAW.cloexec().nonblocking();
    let socket = Socket::new(Domain::IPV4, kind, Some(Protocol::from(i32::from(PROTOCOL_VRRP))))?;
    if let Some(name) = &scope.interface {
        socket.bind_device(Some(name.as_bytes()))?;
    }
    for group in &scope.groups {
        if let IpAddr::V4(group) = group {
            socket.join_multicast_v4_n(group, &InterfaceIndexOrAddress::Index(scope.index))?;
        }
    }
    // Only what was joined above, not what other programs of this host joined.
    socket.set_multicast_all_v4(false)?;
    Ok(socket)
}

pub(super) fn receive(mut socket: &Socket) -> io::Result<Received> {
    let mut buffer = vec![0; PACKET_MAX];
    let length = socket.read(&mut buffer)?;
    buffer.truncate(length);
    let packet = ip::Packet::new(&buffer).map_err(|_| malformed())?;
    Ok(Received {
        source: IpAddr::V4(packet.source()),
        destination: IpAddr::V4(packet.destination()),
        ttl: packet.ttl(),
        header_len: packet.header_len(),
        message: packet.payload().to_vec(),
    })
}

pub(super) fn sender(scope: &Scope) -> io::Result<Socket> {
    let kind = Type::RAW.cloexec().nonblocking();
    let socket = Socket::new(Domain::IPV4, kind, Some(Protocol::from(libc::IPPROTO_RAW)))?;
    socket.set_header_included_v4(true)?;
    // Our own adverts must not come back to us.
    socket.set_multicast_loop_v4(false)?;
    if let Some(name) = &scope.interface {
        socket.bind_device(Some(name.as_bytes()))?;
    }
    Ok(socket)
}

pub(super) fn send(socket: &Socket, source: Ipv4Addr, destination: Ipv4Addr, advert: &Advertisement) -> io::Result<()> {
    let packet = ip::emit(source, destination, advert.ttl, advert.id, &advert.message);
    socket.send_to(&packet, &SockAddr::from(SocketAddr::from((destination, 0)))).map(drop)
}
