//! Tells the neighbours where an address is, by frames of our own making.

use crate::packet::arp::{self, Mac};
use crate::packet::ndisc;
use crate::sys;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;

/// Where Linux says whether this host is an IPv6 router.
const FORWARDING: &str = "/proc/sys/net/ipv6/conf/all/forwarding";

/// One packet socket for all interfaces. It has no protocol, so it receives nothing.
#[derive(Debug)]
pub struct ArpSocket(Socket);

impl ArpSocket {
    /// Needs `CAP_NET_RAW`.
    pub fn open() -> io::Result<Self> {
        Ok(Self(Socket::new(Domain::PACKET, Type::RAW.cloexec().nonblocking(), None)?))
    }

    /// One gratuitous ARP or unsolicited neighbour advertisement.
    pub fn announce(&self, index: u32, mac: Mac, address: IpAddr) -> io::Result<()> {
        let frame = match address {
            IpAddr::V4(v4) => arp::gratuitous(mac, v4),
            IpAddr::V6(v6) => ndisc::unsolicited(mac, v6, is_router()),
        };
        sys::send_frame(self.0.as_fd(), index, &frame)
    }
}

fn is_router() -> bool {
    std::fs::read(FORWARDING).is_ok_and(|text| text.first() == Some(&b'1'))
}
