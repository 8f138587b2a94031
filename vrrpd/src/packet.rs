//! What may appear on the wire.
//!
//! Each protocol has a file of its own with a checked view (`Packet`, for reading) and a typed value (`Repr`, for
//! writing). A view is only constructed when the bytes that its accessors touch are there, so nothing that arrives can
//! make an accessor panic; a `Repr` can only hold what is legal to send.
//!
//! - `vrrp2`: RFC 2338 and RFC 3768; `vrrp3`: RFC 5798 and RFC 9568; `auth`: the octets behind a version 2 advert;
//! - `ip`: the IPv4 header in front of a received advert, and pseudo headers; `checksum`: RFC 1071;
//! - `arp`, `ndisc`: what tells the neighbours about a moved address.

pub mod arp;
pub mod auth;
pub mod checksum;
pub mod ip;
pub mod ndisc;
pub mod vrrp2;
pub mod vrrp3;

use std::net::IpAddr;

/// Octets before the addresses, the same in both versions.
pub const HEADER_LEN: usize = 8;
/// The only packet type there is.
pub const TYPE_ADVERTISEMENT: u8 = 1;

/// Version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// RFC 2338 and RFC 3768.
    V2,
    /// RFC 5798 and RFC 9568.
    V3,
}

/// Address family of an instance's adverts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
}

/// One received VRRP message with what its IP header said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Source address.
    pub source: IpAddr,
    /// Destination address: a group or one of ours.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Octets of the IP header that came with it; 0 for IPv6. Only lengths in messages need it.
    pub header_len: usize,
    /// What follows the IP header.
    pub message: &'a [u8],
}

/// A message that ends before what is read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncated;

impl Version {
    /// Its number on the wire.
    pub fn number(self) -> u8 {
        match self {
            Version::V2 => 2,
            Version::V3 => 3,
        }
    }
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Family::Inet,
            IpAddr::V6(_) => Family::Inet6,
        }
    }

    /// Octets of one address.
    pub fn address_len(self) -> usize {
        match self {
            Family::Inet => 4,
            Family::Inet6 => 16,
        }
    }

    /// As messages name it.
    pub fn name(self) -> &'static str {
        match self {
            Family::Inet => "IPv4",
            Family::Inet6 => "IPv6",
        }
    }
}

/// A received message that has at least the fixed header: the fields at the same place in both versions. What each
/// version makes of the rest is in `vrrp2` and `vrrp3`.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    header: &'a [u8; HEADER_LEN],
    octets: &'a [u8],
}

impl<'a> Message<'a> {
    /// Checks that the header is there.
    pub fn new(octets: &'a [u8]) -> Result<Self, Truncated> {
        let header = octets.first_chunk().ok_or(Truncated)?;
        Ok(Self { header, octets })
    }

    /// All of it.
    pub fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// Protocol version, upper half of the first octet.
    pub fn version(&self) -> u8 {
        self.header[0] >> 4
    }

    /// Packet type, lower half of the first octet.
    pub fn packet_type(&self) -> u8 {
        self.header[0] & 0x0f
    }

    /// Virtual router id.
    pub fn vrid(&self) -> u8 {
        self.header[1]
    }

    /// Priority of the sender.
    pub fn priority(&self) -> u8 {
        self.header[2]
    }

    /// Number of addresses.
    pub fn count(&self) -> u8 {
        self.header[3]
    }

    /// Octets 4 and 5, which the versions use differently.
    pub fn word2(&self) -> [u8; 2] {
        [self.header[4], self.header[5]]
    }

    /// The checksum as received.
    pub fn checksum(&self) -> u16 {
        u16::from_be_bytes([self.header[6], self.header[7]])
    }
}

/// The addresses of a message of this family: as many as the header counts and the message holds.
pub fn addresses(message: &[u8], family: Family, count: u8) -> impl Iterator<Item = IpAddr> + '_ {
    let len = family.address_len();
    message.get(HEADER_LEN..).unwrap_or_default().chunks_exact(len).take(usize::from(count)).filter_map(address)
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(IpAddr::from(octets));
    }
    <[u8; 16]>::try_from(octets).ok().map(IpAddr::from)
}

/// Appends the octets of an address.
pub(crate) fn push_address(buffer: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => buffer.extend_from_slice(&v4.octets()),
        IpAddr::V6(v6) => buffer.extend_from_slice(&v6.octets()),
    }
}

/// Writes the checksum into the place both versions keep it.
pub(crate) fn put_checksum(buffer: &mut [u8], sum: u16) {
    if let Some(place) = buffer.get_mut(6..HEADER_LEN) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
}
