//! The Internet checksum (RFC 1071) and the pseudo headers that some messages cover with it.

use super::ip::PROTOCOL_VRRP;
use std::net::IpAddr;

/// A sum of 16-bit words in one's complement, taken in several parts. Every part but the last has an even length.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u32);

impl Sum {
    /// Nothing summed yet.
    pub fn new() -> Self {
        Self(0)
    }

    /// Adds octets; an odd last one counts as the upper half of a word.
    #[must_use]
    pub fn with(self, octets: &[u8]) -> Self {
        let mut sum = self.0;
        for pair in octets.chunks(2) {
            let word = match *pair {
                [high, low] => u16::from_be_bytes([high, low]),
                [high] => u16::from_be_bytes([high, 0]),
                _ => 0,
            };
            sum = fold(sum + u32::from(word));
        }
        Self(sum)
    }

    /// Adds the pseudo header of RFC 2460 section 8.1, or its IPv4 counterpart of RFC 793.
    #[must_use]
    pub fn with_pseudo_header(self, source: IpAddr, destination: IpAddr, length: usize) -> Self {
        let with = |sum: Self, address: IpAddr| match address {
            IpAddr::V4(v4) => sum.with(&v4.octets()),
            IpAddr::V6(v6) => sum.with(&v6.octets()),
        };
        let length = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
        with(with(self, source), destination).with(&[0, PROTOCOL_VRRP]).with(&length)
    }

    /// The checksum of what was added.
    pub fn finish(self) -> u16 {
        let [_, _, high, low] = fold(self.0).to_be_bytes();
        !u16::from_be_bytes([high, low])
    }

    /// Whether a message that contains its checksum adds up.
    pub fn is_valid(self) -> bool {
        self.finish() == 0
    }
}

fn fold(sum: u32) -> u32 {
    (sum & 0xffff) + (sum >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_of_rfc_1071() {
        let sum = Sum::new().with(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.finish(), !0xddf2);
    }

    #[test]
    fn an_odd_octet_is_padded() {
        assert_eq!(Sum::new().with(&[0x12]).finish(), !0x1200);
        assert!(Sum::new().with(&[0xff; 64]).is_valid());
    }
}
