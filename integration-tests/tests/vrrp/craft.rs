//! Packets that no honest router sends.

use anyhow::{Context, Result};
use integration_tests::host::Host;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, sendto, setsockopt, socket, sockopt,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

/// A packet from a stranger to the VRRP group, or to somebody, with what is wrong about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Craft {
    pub(crate) ttl: u8,
    /// The message; octets 6 and 7 are its checksum, filled in before sending.
    pub(crate) message: &'static [u8],
    /// The checksum covers the pseudo header, as keepalived's of version 3.
    pub(crate) pseudo_header: bool,
    /// The checksum is one too many.
    pub(crate) bad_checksum: bool,
    /// Where it goes; over IPv6 from a link-local address.
    pub(crate) to: IpAddr,
}

const SOURCE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 99);
const SOURCE6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99);
const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
/// The group of IPv6.
pub(crate) const GROUP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12));
const VRRP: u8 = 112;

/// A message of version 2 or 3, sound but for what it says.
pub(crate) const fn craft(message: &'static [u8]) -> Craft {
    Craft { ttl: 255, message, pseudo_header: message[0] >> 4 == 3, bad_checksum: false, to: GROUP }
}

impl Craft {
    pub(crate) const fn ttl(self, ttl: u8) -> Self {
        Self { ttl, ..self }
    }

    pub(crate) const fn bad_checksum(self) -> Self {
        Self { bad_checksum: true, ..self }
    }

    pub(crate) const fn to(self, to: IpAddr) -> Self {
        Self { to, ..self }
    }

    fn packet(&self) -> Vec<u8> {
        let mut message = self.message.to_vec();
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes();
        if message.len() >= 8 {
            message[6..8].fill(0);
            let mut covered = Vec::new();
            match self.to {
                IpAddr::V4(to) if self.pseudo_header => {
                    covered.extend(SOURCE.octets().into_iter().chain(to.octets()).chain([0, VRRP]).chain(length));
                }
                IpAddr::V4(_) => {}
                IpAddr::V6(to) => {
                    covered.extend(SOURCE6.octets().into_iter().chain(to.octets()));
                    covered.extend([0, 0, length[0], length[1], 0, 0, 0, VRRP]);
                }
            }
            covered.extend(&message);
            let sum = checksum(&covered).wrapping_add(u16::from(self.bad_checksum));
            message[6..8].copy_from_slice(&sum.to_be_bytes());
        }
        let mut packet = match self.to {
            IpAddr::V4(to) => {
                let total = u16::try_from(20 + message.len()).unwrap_or(u16::MAX).to_be_bytes();
                let mut header = vec![0x45, 0xc0, total[0], total[1], 0, 1, 0, 0, self.ttl, VRRP, 0, 0];
                header.extend(SOURCE.octets().into_iter().chain(to.octets()));
                header
            }
            IpAddr::V6(to) => {
                let mut header = vec![0x6c, 0, 0, 0, length[0], length[1], VRRP, self.ttl];
                header.extend(SOURCE6.octets().into_iter().chain(to.octets()));
                header
            }
        };
        packet.extend(message);
        packet
    }

    /// Sends it from a host; the kernel adds the header's checksum.
    pub(crate) fn send(self, host: &Host) -> Result<()> {
        self.flood(host, 1)
    }

    /// Sends it so many times, as fast as it goes.
    pub(crate) fn flood(self, host: &Host, times: u32) -> Result<()> {
        let interface = host.interface().to_owned();
        host.netns().within(move || -> Result<()> {
            let family = if self.to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
            let socket =
                socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw).context("a raw socket")?;
            setsockopt(&socket, sockopt::BindToDevice, &interface.into()).context("bind to the interface")?;
            let to = SockaddrStorage::from(SocketAddr::new(self.to, 0));
            let packet = self.packet();
            for _ in 0..times {
                sendto(socket.as_raw_fd(), &packet, &to, MsgFlags::empty()).context("send")?;
            }
            Ok(())
        })?
    }
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[test]
fn a_sound_message_has_the_checksum_of_keepalived_s_captures() {
    // Of another source, so only the sum without it can be compared.
    let packet = craft(&[0x21, 51, 200, 1, 0, 1, 0, 0, 10, 99, 0, 50, 0, 0, 0, 0, 0, 0, 0, 0]).packet();
    assert_eq!(packet[26..28], [0x0c, 0x35]);
}
