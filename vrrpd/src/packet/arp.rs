//! Gratuitous ARP (RFC 826; RFC 5944 section 4.6) as keepalived sends it: a broadcast request in which sender and
//! target are the address itself.

use std::net::Ipv4Addr;

/// A hardware address.
pub type Mac = [u8; 6];
/// Octets of the frame without padding.
pub const FRAME_LEN: usize = 42;
const BROADCAST: Mac = [0xff; 6];

/// An Ethernet frame that says "`address` is at `mac`".
pub fn gratuitous(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(FRAME_LEN);
    frame.extend_from_slice(&BROADCAST);
    frame.extend_from_slice(&mac);
    // EtherType ARP; hardware type Ethernet, protocol IPv4, address lengths, operation request
    frame.extend_from_slice(&[0x08, 0x06, 0x00, 0x01, 0x08, 0x00, 6, 4, 0x00, 0x01]);
    frame.extend_from_slice(&mac);
    frame.extend_from_slice(&address.octets());
    // keepalived fills the target's hardware address with ones, where RFC 5227 has zeros
    frame.extend_from_slice(&BROADCAST);
    frame.extend_from_slice(&address.octets());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sender_and_target_are_the_address() {
        let mac = [2, 0, 0, 0, 0, 1];
        let frame = gratuitous(mac, Ipv4Addr::new(10, 99, 0, 50));
        let expected: Vec<u8> = [
            &[0xff; 6][..],
            &mac,
            &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
            &mac,
            &[10, 99, 0, 50],
            &[0xff; 6],
            &[10, 99, 0, 50],
        ]
        .concat();
        assert_eq!(frame, expected);
        assert_eq!(frame.len(), FRAME_LEN);
    }
}
