//! IPv6. Destination and hop limit of received packets, and the source of sent ones, travel in control messages.

use super::{Received, Scope, malformed};
use crate::limits::PACKET_MAX;
use crate::packet::ip::{PROTOCOL_VRRP, TOS_VRRP, TTL_VRRP};
use crate::vrrp::event::Advertisement;
use nix::cmsg_space;
use nix::sys::socket::sockopt::{Ipv6RecvHopLimit, Ipv6RecvPacketInfo};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg, setsockopt};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd;

fn open(scope: &Scope) -> io::Result<Socket> {
    let kind = Type::RAW.cloexec().nonblocking();
    let socket = Socket::new(Domain::IPV6, kind, Some(Protocol::from(i32::from(PROTOCOL_VRRP))))?;
    if let Some(name) = &scope.interface {
        socket.bind_device(Some(name.as_bytes()))?;
    }
    Ok(socket)
}

pub(super) fn receiver(scope: &Scope) -> io::Result<Socket> {
    let socket = open(scope)?;
    setsockopt(&socket, Ipv6RecvPacketInfo, &true)?;
    setsockopt(&socket, Ipv6RecvHopLimit, &true)?;
    for group in &scope.groups {
        if let IpAddr::V6(group) = group {
            socket.join_multicast_v6(group, scope.index)?;
        }
    }
    socket.set_multicast_all_v6(false)?;
    Ok(socket)
}

pub(super) fn receive(socket: &Socket) -> io::Result<Received> {
    let mut buffer = vec![0; PACKET_MAX];
    let mut control = cmsg_space!(libc::in6_pktinfo, libc::c_int);
    let (length, source, destination, hops) = {
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let got = recvmsg::<SockaddrIn6>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
        let (mut destination, mut hops) = (None, None);
        for message in got.cmsgs()? {
            match message {
                ControlMessageOwned::Ipv6PacketInfo(info) => destination = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr)),
                ControlMessageOwned::Ipv6HopLimit(limit) => hops = u8::try_from(limit).ok(),
                _ => {}
            }
        }
        (got.bytes, got.address.map(|address| address.ip()), destination, hops)
    };
    buffer.truncate(length);
    let (Some(source), Some(destination), Some(ttl)) = (source, destination, hops) else { return Err(malformed()) };
    let (source, destination) = (IpAddr::V6(source), IpAddr::V6(destination));
    Ok(Received { source, destination, ttl, header_len: 0, message: buffer })
}

pub(super) fn sender(scope: &Scope) -> io::Result<Socket> {
    let socket = open(scope)?;
    socket.set_multicast_hops_v6(u32::from(TTL_VRRP))?;
    socket.set_tclass_v6(u32::from(TOS_VRRP))?;
    // Our own adverts must not come back to us.
    socket.set_multicast_loop_v6(false)?;
    if scope.index != 0 {
        socket.set_multicast_if_v6(scope.index)?;
    }
    // The goodbye of a master whose own address was taken away leaves from that address all the same. A kernel before 4.15
    // cannot do that, and sends the rest.
    let _only_the_goodbye_is_lost = socket.set_freebind_v6(true);
    // It only sends: what arrives is the receiver's, and must not pile up here.
    socket.shutdown(std::net::Shutdown::Read).or_else(not_connected)?;
    socket.set_recv_buffer_size(0)?;
    Ok(socket)
}

/// Linux shuts a raw socket down and complains about it all the same.
fn not_connected(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotConnected { Ok(()) } else { Err(error) }
}

pub(super) fn send(
    socket: &Socket,
    index: u32,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    advert: &Advertisement,
) -> io::Result<()> {
    let info = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: source.octets() }, ipi6_ifindex: index };
    let hops = libc::c_int::from(advert.ttl);
    let control = [ControlMessage::Ipv6PacketInfo(&info), ControlMessage::Ipv6HopLimit(&hops)];
    let link_local = destination.is_unicast_link_local() || destination.is_multicast();
    let address = SockaddrIn6::from(SocketAddrV6::new(destination, 0, 0, if link_local { index } else { 0 }));
    let parts = [IoSlice::new(&advert.message)];
    sendmsg(socket.as_raw_fd(), &parts, &control, MsgFlags::MSG_DONTWAIT, Some(&address))?;
    Ok(())
}
