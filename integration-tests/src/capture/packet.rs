//! Frames of interest, taken apart without any code of the daemons, so that both are judged by the same measure.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ARP_REQUEST: [u8; 2] = [0, 1];
const ETHERNET: usize = 14;
const IPV6_HEADER: usize = 40;
const VRRP: u8 = 112;
const ICMP6: u8 = 58;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

/// Something that speaks of a virtual router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// A VRRP message.
    Advert(Advert),
    /// A gratuitous ARP message or an unsolicited neighbour advertisement.
    Announcement(Announcement),
}

/// A VRRP message with the headers around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advert {
    /// Ethernet source and destination.
    pub macs: (Mac, Mac),
    /// IP source and destination.
    pub addresses: (IpAddr, IpAddr),
    /// TTL or hop limit.
    pub ttl: u8,
    /// Type of service or traffic class.
    pub tos: u8,
    /// IPv4 identification; 0 with IPv6.
    pub id: u16,
    /// IPv4 flags and fragment offset; 0 with IPv6.
    pub fragment: u16,
    /// Everything after the IP header.
    pub message: Vec<u8>,
}

/// One frame that tells where an address is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The address.
    pub address: IpAddr,
    /// Ethernet source and destination.
    pub macs: (Mac, Mac),
    /// What follows the Ethernet header.
    pub body: Vec<u8>,
}

impl Packet {
    /// `None` for frames that are not of interest.
    pub fn read(frame: &[u8]) -> Option<Self> {
        let macs = (mac(frame.get(6..12)?)?, mac(frame.get(..6)?)?);
        let body = frame.get(ETHERNET..)?;
        match u16::from_be_bytes([*frame.get(12)?, *frame.get(13)?]) {
            0x0800 => read_inet(macs, body),
            0x0806 => read_arp(macs, body),
            0x86dd => read_inet6(macs, body),
            _ => None,
        }
    }

    /// The advert, if it is one.
    pub fn advert(&self) -> Option<&Advert> {
        match self {
            Self::Advert(advert) => Some(advert),
            Self::Announcement(_) => None,
        }
    }

    /// The announcement, if it is one.
    pub fn announcement(&self) -> Option<&Announcement> {
        match self {
            Self::Advert(_) => None,
            Self::Announcement(announcement) => Some(announcement),
        }
    }

    /// Whether it announces this address.
    pub fn announces(&self, address: IpAddr) -> bool {
        matches!(self, Self::Announcement(announcement) if announcement.address == address)
    }

    /// Whether it is an advert of this priority.
    pub fn is_advert(&self, priority: u8) -> bool {
        self.advert().is_some_and(|advert| advert.priority() == priority)
    }
}

impl Advert {
    /// The priority that the sender claims; 0 for a message that is too short.
    pub fn priority(&self) -> u8 {
        self.message.get(2).copied().unwrap_or(0)
    }

    /// The virtual router.
    pub fn vrid(&self) -> u8 {
        self.message.get(1).copied().unwrap_or(0)
    }

    /// Whether nothing but the identification differs.
    pub fn same_but_id(&self, other: &Self) -> bool {
        Self { id: 0, ..self.clone() } == Self { id: 0, ..other.clone() }
    }
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    bytes.first_chunk().copied().map(Mac)
}

fn inet(bytes: &[u8]) -> Option<IpAddr> {
    bytes.first_chunk::<4>().map(|octets| IpAddr::V4(Ipv4Addr::from(*octets)))
}

fn inet6(bytes: &[u8]) -> Option<IpAddr> {
    bytes.first_chunk::<16>().map(|octets| IpAddr::V6(Ipv6Addr::from(*octets)))
}

fn read_inet(macs: (Mac, Mac), packet: &[u8]) -> Option<Packet> {
    let header = packet.get(..20)?;
    let length = usize::from(header[0] & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    (header[9] == VRRP).then_some(())?;
    Some(Packet::Advert(Advert {
        macs,
        addresses: (inet(&header[12..])?, inet(&header[16..])?),
        ttl: header[8],
        tos: header[1],
        id: u16::from_be_bytes([header[4], header[5]]),
        fragment: u16::from_be_bytes([header[6], header[7]]),
        message: packet.get(length..total)?.to_vec(),
    }))
}

fn read_inet6(macs: (Mac, Mac), packet: &[u8]) -> Option<Packet> {
    let header = packet.get(..IPV6_HEADER)?;
    let total = IPV6_HEADER + usize::from(u16::from_be_bytes([header[4], header[5]]));
    let body = packet.get(IPV6_HEADER..total)?;
    match header[6] {
        VRRP => Some(Packet::Advert(Advert {
            macs,
            addresses: (inet6(&header[8..])?, inet6(&header[24..])?),
            ttl: header[7],
            tos: header[0] << 4 | header[1] >> 4,
            id: 0,
            fragment: 0,
            message: body.to_vec(),
        })),
        ICMP6 if body.first() == Some(&NEIGHBOUR_ADVERTISEMENT) && header[24] == 0xff => {
            let address = inet6(body.get(8..)?)?;
            Some(Packet::Announcement(Announcement { address, macs, body: packet.get(..total)?.to_vec() }))
        }
        _ => None,
    }
}

/// Sender and target are one address: nobody is asked, everybody is told. A reply of this kind is the kernel's of a host
/// that still has the address too.
fn read_arp(macs: (Mac, Mac), body: &[u8]) -> Option<Packet> {
    let body = body.get(..28)?;
    let (sender, target) = (inet(&body[14..])?, inet(&body[24..])?);
    (sender == target && body[6..8] == ARP_REQUEST)
        .then(|| Packet::Announcement(Announcement { address: sender, macs, body: body.to_vec() }))
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, octet) in self.0.iter().enumerate() {
            write!(f, "{}{octet:02x}", if place == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Everything but the identification, which counts from the start of the sender.
impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Advert(advert) => {
                let Advert { macs, addresses, ttl, tos, fragment, message, .. } = advert;
                let version = message.first().map_or(0, |octet| octet >> 4);
                write!(f, "advert v{version} vrid {} priority {}", advert.vrid(), advert.priority())?;
                write!(f, "  {} > {}  ttl {ttl} tos {tos:#04x}", addresses.0, addresses.1)?;
                if *fragment != 0 {
                    write!(f, " fragment {fragment:#06x}")?;
                }
                write!(f, "  {} > {}  {}", macs.0, macs.1, hex(message))
            }
            Self::Announcement(Announcement { address, macs, body }) => {
                write!(f, "announces {address}  {} > {}  {}", macs.0, macs.1, hex(body))
            }
        }
    }
}
