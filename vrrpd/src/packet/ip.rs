//! The IPv4 header in front of a received advert (RFC 791). A raw socket hands it over with the message.

use super::Truncated;
use std::net::Ipv4Addr;

/// IP protocol number of VRRP.
pub const PROTOCOL_VRRP: u8 = 112;
/// TTL that every multicast advert has, and must have on arrival: it has not been forwarded.
pub const TTL_VRRP: u8 = 255;
/// Internetwork control, as routing protocols use it.
pub const TOS_VRRP: u8 = 0xc0;
/// Octets of an IPv4 header without options.
pub const HEADER_MIN: usize = 20;

/// A packet with a whole IPv4 header, options included.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    header: &'a [u8; HEADER_MIN],
    header_len: usize,
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks that the header is IPv4 and complete. The payload is what was received of the length that the header
    /// claims: never more than arrived, and without the padding of a short Ethernet frame.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Truncated> {
        let header: &[u8; HEADER_MIN] = bytes.first_chunk().ok_or(Truncated)?;
        let header_len = usize::from(header[0] & 0x0f) * 4;
        if header[0] >> 4 != 4 || header_len < HEADER_MIN {
            return Err(Truncated);
        }
        let total = usize::from(u16::from_be_bytes([header[2], header[3]])).min(bytes.len());
        let payload = bytes.get(header_len..total).ok_or(Truncated)?;
        Ok(Self { header, header_len, payload })
    }

    /// Time to live.
    pub fn ttl(&self) -> u8 {
        self.header[8]
    }

    /// Source address.
    pub fn source(&self) -> Ipv4Addr {
        Ipv4Addr::new(self.header[12], self.header[13], self.header[14], self.header[15])
    }

    /// Destination address.
    pub fn destination(&self) -> Ipv4Addr {
        Ipv4Addr::new(self.header[16], self.header[17], self.header[18], self.header[19])
    }

    /// Octets of the header, options included.
    pub fn header_len(&self) -> usize {
        self.header_len
    }

    /// What follows the header.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// The header of a message to be sent, followed by the message. The kernel fills in the header's checksum.
pub fn emit(source: Ipv4Addr, destination: Ipv4Addr, ttl: u8, id: u16, message: &[u8]) -> Vec<u8> {
    let total = u16::try_from(HEADER_MIN + message.len()).unwrap_or(u16::MAX);
    let mut packet = Vec::with_capacity(usize::from(total));
    packet.extend_from_slice(&[0x45, TOS_VRRP]);
    packet.extend_from_slice(&total.to_be_bytes());
    packet.extend_from_slice(&id.to_be_bytes());
    packet.extend_from_slice(&[0, 0, ttl, PROTOCOL_VRRP, 0, 0]);
    packet.extend_from_slice(&source.octets());
    packet.extend_from_slice(&destination.octets());
    packet.extend_from_slice(message);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_emitted_is_read_back() {
        let (source, destination) = (Ipv4Addr::new(10, 99, 0, 1), Ipv4Addr::new(224, 0, 0, 18));
        let bytes = emit(source, destination, TTL_VRRP, 7, &[1, 2, 3]);
        let packet = Packet::new(&bytes).unwrap();
        assert_eq!((packet.source(), packet.destination(), packet.ttl()), (source, destination, 255));
        assert_eq!(packet.payload(), [1, 2, 3]);
        assert_eq!(bytes[4..6], [0, 7]);
    }

    fn packet(ihl: u8, total: u16, rest: usize) -> Vec<u8> {
        let mut bytes = vec![0x40 | ihl, 0xc0];
        bytes.extend_from_slice(&total.to_be_bytes());
        bytes.extend_from_slice(&[0, 1, 0, 0, 255, 112, 0, 0, 10, 99, 0, 1, 224, 0, 0, 18]);
        bytes.resize(20 + rest, 0xaa);
        bytes
    }

    #[test]
    fn reads_addresses_ttl_and_payload() {
        let bytes = packet(5, 40, 26);
        let packet = Packet::new(&bytes).unwrap();
        assert_eq!((packet.ttl(), packet.header_len(), packet.payload().len()), (255, 20, 20));
        assert_eq!(packet.source(), Ipv4Addr::new(10, 99, 0, 1));
        assert_eq!(packet.destination(), Ipv4Addr::new(224, 0, 0, 18));
    }

    #[test]
    fn options_move_the_payload() {
        assert_eq!(Packet::new(&packet(6, 44, 24)).unwrap().payload().len(), 20);
    }

    #[test]
    fn a_length_beyond_what_arrived_is_cut_and_nonsense_is_refused() {
        assert_eq!(Packet::new(&packet(5, 9000, 8)).unwrap().payload().len(), 8);
        for bytes in [packet(4, 40, 20), packet(15, 40, 20), packet(5, 10, 20), vec![0x45; 19], vec![0x65; 40]] {
            assert!(Packet::new(&bytes).is_err(), "{bytes:?}");
        }
    }
}
