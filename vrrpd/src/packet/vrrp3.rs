//! Adverts of version 3 (RFC 9568 section 5, before it RFC 5798).
//!
//! ```text
//!  0                   1                   2                   3
//! +-------+-------+---------------+---------------+---------------+
//! |version| type  |     VRID      |   priority    |     count     |
//! +-------+-------+---------------+---------------+---------------+
//! | rsvd  | max advert int, 1/100s|           checksum            |
//! +-------+-----------------------+-------------------------------+
//! |                    address, count times                       |
//! +---------------------------------------------------------------+
//! ```
//!
//! Over IPv6 the checksum covers a pseudo header. Over IPv4 RFC 5798 could be read either way; keepalived includes one
//! unless `v3_checksum_as_v2` is set, other vendors and RFC 9568 do not. We send as told and accept both.

use super::checksum::Sum;
use super::{Family, HEADER_LEN, Message, TYPE_ADVERTISEMENT, Version, push_address, put_checksum};
use std::net::IpAddr;
use std::time::Duration;

/// Longest interval that twelve bits of hundredths of a second can say.
pub const INTERVAL_MAX: Duration = Duration::from_millis(40_950);

/// An advert to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repr<'a> {
    /// Virtual router id.
    pub vrid: u8,
    /// Priority of the sender.
    pub priority: u8,
    /// Time between adverts, up to [`INTERVAL_MAX`] in steps of 10 ms.
    pub interval: Duration,
    /// The virtual addresses, at most 255.
    pub addresses: &'a [IpAddr],
}

impl Repr<'_> {
    /// The message, with the checksum over the pseudo header of these ends, or over the message alone.
    pub fn emit(&self, pseudo_header: Option<(IpAddr, IpAddr)>) -> Vec<u8> {
        let kept = self.addresses.get(..usize::from(u8::MAX)).unwrap_or(self.addresses);
        let count = u8::try_from(kept.len()).unwrap_or(u8::MAX);
        let hundredths = self.interval.min(INTERVAL_MAX).as_millis() / 10;
        let [high, low] = u16::try_from(hundredths).unwrap_or(0x0fff).to_be_bytes();
        let mut buffer = Vec::with_capacity(length(Family::Inet6, count));
        buffer.push(Version::V3.number() << 4 | TYPE_ADVERTISEMENT);
        buffer.extend_from_slice(&[self.vrid, self.priority, count, high, low, 0, 0]);
        for &address in kept {
            push_address(&mut buffer, address);
        }
        let sum = covered(pseudo_header, buffer.len()).with(&buffer).finish();
        put_checksum(&mut buffer, sum);
        buffer
    }
}

fn covered(pseudo_header: Option<(IpAddr, IpAddr)>, length: usize) -> Sum {
    match pseudo_header {
        Some((source, destination)) => Sum::new().with_pseudo_header(source, destination, length),
        None => Sum::new(),
    }
}

/// Octets of an advert with `count` addresses.
pub fn length(family: Family, count: u8) -> usize {
    HEADER_LEN + usize::from(count) * family.address_len()
}

/// What version 3 makes of a message.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a>(pub Message<'a>);

impl Packet<'_> {
    /// Time between adverts of the sender; the reserved bits are ignored. Zero is never legal.
    pub fn interval(&self) -> Duration {
        let [high, low] = self.0.word2();
        Duration::from_millis(u64::from(u16::from_be_bytes([high & 0x0f, low])) * 10)
    }

    /// Octets the message must have for the addresses it counts.
    pub fn expected_len(&self, family: Family) -> usize {
        length(family, self.0.count())
    }

    /// Whether the checksum over pseudo header and message, or over the message alone, holds.
    pub fn checksum_is_valid(&self, pseudo_header: Option<(IpAddr, IpAddr)>) -> bool {
        covered(pseudo_header, self.0.octets().len()).with(self.0.octets()).is_valid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        text.split_whitespace().map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect()
    }

    /// Captured from keepalived 2.2.7 and 2.4.3.
    #[test]
    fn messages_of_keepalived() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let inet = ["10.99.0.50"].map(ip);
        let inet6 = ["fe80::50", "fd99::50"].map(ip);
        let source = ip("10.99.0.1");
        for (addresses, ends, expected) in [
            (&inet[..], Some((source, ip("224.0.0.18"))), "31 33 c8 01 00 64 10 df 0a 63 00 32"),
            (&inet[..], None, "31 33 c8 01 00 64 fb d1 0a 63 00 32"),
            (&inet[..], Some((source, ip("10.99.0.2"))), "31 33 c8 01 00 64 e6 8c 0a 63 00 32"),
            (
                &inet6[..],
                Some((ip("fe80::ff:fe00:1"), ip("ff02::12"))),
                "31 33 c8 02 00 64 0c 7c fe 80 00 00 00 00 00 00 00 00 00 00 00 00 00 50 \
                 fd 99 00 00 00 00 00 00 00 00 00 00 00 00 00 50",
            ),
        ] {
            let repr = Repr { vrid: 51, priority: 200, interval: Duration::from_secs(1), addresses };
            let message = repr.emit(ends);
            assert_eq!(message, hex(expected));
            let packet = Packet(Message::new(&message).unwrap());
            assert!(packet.checksum_is_valid(ends));
            assert_eq!(packet.interval(), Duration::from_secs(1));
            assert_eq!(packet.expected_len(Family::of(addresses[0])), message.len());
        }
    }

    #[test]
    fn the_interval_has_twelve_bits() {
        let repr = Repr { vrid: 1, priority: 1, interval: Duration::from_hours(1), addresses: &[] };
        let message = repr.emit(None);
        let interval = |octets: &[u8]| Packet(Message::new(octets).unwrap()).interval();
        assert_eq!(interval(&message), INTERVAL_MAX);
        let reserved = hex("31 01 01 00 f0 01 00 00");
        assert_eq!(interval(&reserved), Duration::from_millis(10));
    }
}
