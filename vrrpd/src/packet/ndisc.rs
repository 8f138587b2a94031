//! Unsolicited neighbour advertisements (RFC 4861 section 7.2.6): for IPv6 what gratuitous ARP is for IPv4.

use super::arp::Mac;
use super::checksum::Sum;
use std::net::Ipv6Addr;

/// `ICMPv6`, as a next header.
const NEXT_HEADER_ICMPV6: u8 = 58;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: Mac = [0x33, 0x33, 0, 0, 0, 1];
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const FLAG_ROUTER: u8 = 0x80;
const FLAG_OVERRIDE: u8 = 0x20;
/// Octets of the `ICMPv6` message with its one option.
const MESSAGE_LEN: u16 = 32;

/// An Ethernet frame that tells all nodes "`address` is at `mac`"; `router` when this host forwards.
pub fn unsolicited(mac: Mac, address: Ipv6Addr, router: bool) -> Vec<u8> {
    let flags = FLAG_OVERRIDE | if router { FLAG_ROUTER } else { 0 };
    let mut message = vec![NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0];
    message.extend_from_slice(&address.octets());
    // option: target link-layer address, one unit of eight octets
    message.extend_from_slice(&[2, 1]);
    message.extend_from_slice(&mac);
    let sum = Sum::new()
        .with(&address.octets())
        .with(&ALL_NODES.octets())
        .with(&[0, NEXT_HEADER_ICMPV6])
        .with(&MESSAGE_LEN.to_be_bytes())
        .with(&message)
        .finish();
    if let Some(place) = message.get_mut(2..4) {
        place.copy_from_slice(&sum.to_be_bytes());
    }

    let mut frame = Vec::with_capacity(86);
    frame.extend_from_slice(&ALL_NODES_MAC);
    frame.extend_from_slice(&mac);
    frame.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0]);
    frame.extend_from_slice(&MESSAGE_LEN.to_be_bytes());
    frame.extend_from_slice(&[NEXT_HEADER_ICMPV6, 255]);
    frame.extend_from_slice(&address.octets());
    frame.extend_from_slice(&ALL_NODES.octets());
    frame.extend_from_slice(&message);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_adds_up() {
        let address: Ipv6Addr = "fd99::50".parse().unwrap();
        let frame = unsolicited([2, 0, 0, 0, 0, 1], address, true);
        assert_eq!(frame.len(), 14 + 40 + usize::from(MESSAGE_LEN));
        let sum = Sum::new().with(&frame[22..54]).with(&[0, 58, 0, 32]).with(&frame[54..]);
        assert!(sum.is_valid());
        assert_eq!(frame[54], 136);
        assert_eq!(frame[58], 0xa0);
    }
}
