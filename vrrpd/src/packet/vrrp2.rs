//! Adverts of version 2 (RFC 3768 section 5, with the authentication of RFC 2338).
//!
//! ```text
//!  0                   1                   2                   3
//! +-------+-------+---------------+---------------+---------------+
//! |version| type  |     VRID      |   priority    |     count     |
//! +-------+-------+---------------+---------------+---------------+
//! |   auth type   | advert int, s |           checksum            |
//! +---------------+---------------+-------------------------------+
//! |                    address, count times                       |
//! +---------------------------------------------------------------+
//! |                  authentication, 8 octets                     |
//! +---------------------------------------------------------------+
//! ```

use super::auth::{AUTH_LEN, AuthType, Password};
use super::checksum::Sum;
use super::{Family, HEADER_LEN, Message, TYPE_ADVERTISEMENT, Version, push_address, put_checksum};
use std::net::IpAddr;
use std::time::Duration;

/// An advert to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repr<'a> {
    /// Virtual router id.
    pub vrid: u8,
    /// Priority of the sender.
    pub priority: u8,
    /// Whole seconds between adverts.
    pub interval: u8,
    /// Password, if any.
    pub password: Option<Password>,
    /// The virtual addresses, at most 255.
    pub addresses: &'a [IpAddr],
}

impl Repr<'_> {
    /// The message, checksum included.
    pub fn emit(&self) -> Vec<u8> {
        let kept = self.addresses.get(..usize::from(u8::MAX)).unwrap_or(self.addresses);
        let auth = if self.password.is_some() { AuthType::Pass } else { AuthType::None };
        let count = u8::try_from(kept.len()).unwrap_or(u8::MAX);
        let mut buffer = Vec::with_capacity(length(Family::Inet, count));
        buffer.push(Version::V2.number() << 4 | TYPE_ADVERTISEMENT);
        buffer.extend_from_slice(&[self.vrid, self.priority, count, auth.to_wire(), self.interval, 0, 0]);
        for &address in kept {
            push_address(&mut buffer, address);
        }
        buffer.extend_from_slice(&self.password.map_or([0; AUTH_LEN], |password| password.octets()));
        let sum = Sum::new().with(&buffer).finish();
        put_checksum(&mut buffer, sum);
        buffer
    }
}

/// Octets of an advert with `count` addresses.
pub fn length(family: Family, count: u8) -> usize {
    HEADER_LEN + usize::from(count) * family.address_len() + AUTH_LEN
}

/// What version 2 makes of a message.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a>(pub Message<'a>);

impl Packet<'_> {
    /// The number of the authentication type.
    pub fn auth_type(&self) -> u8 {
        self.0.word2()[0]
    }

    /// Time between adverts of the sender.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(u64::from(self.0.word2()[1]))
    }

    /// Octets the message must have for the addresses it counts.
    pub fn expected_len(&self, family: Family) -> usize {
        length(family, self.0.count())
    }

    /// The authentication octets behind the addresses, if the message is long enough to have them.
    pub fn auth_data(&self, family: Family) -> Option<[u8; AUTH_LEN]> {
        let end = self.expected_len(family);
        self.0.octets().get(end - AUTH_LEN..end)?.try_into().ok()
    }

    /// Whether the checksum over the whole message holds.
    pub fn checksum_is_valid(&self) -> bool {
        Sum::new().with(self.0.octets()).is_valid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::addresses;

    fn hex(text: &str) -> Vec<u8> {
        text.split_whitespace().map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect()
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 99, 0, last])
    }

    /// Captured from keepalived 2.2.7.
    #[test]
    fn messages_of_keepalived() {
        let vips = [ip(50), ip(51)];
        for (priority, count, password, expected) in [
            (200, 1, None, "21 33 c8 01 00 01 0c 35 0a 63 00 32 00 00 00 00 00 00 00 00"),
            (200, 1, Some("1111"), "21 33 c8 01 01 01 a8 d2 0a 63 00 32 31 31 31 31 00 00 00 00"),
            (200, 1, Some("123456789"), "21 33 c8 01 01 01 3a 60 0a 63 00 32 31 32 33 34 35 36 37 38"),
            (255, 1, None, "21 33 ff 01 00 01 d5 34 0a 63 00 32 00 00 00 00 00 00 00 00"),
            (150, 2, None, "21 33 96 02 00 01 33 9e 0a 63 00 32 0a 63 00 33 00 00 00 00 00 00 00 00"),
            (0, 2, None, "21 33 00 02 00 01 c9 9e 0a 63 00 32 0a 63 00 33 00 00 00 00 00 00 00 00"),
            (200, 0, None, "21 33 c8 00 00 01 16 cb 00 00 00 00 00 00 00 00"),
        ] {
            let password = password.map(Password::new);
            let repr = Repr { vrid: 51, priority, interval: 1, password, addresses: &vips[..count] };
            let message = repr.emit();
            assert_eq!(message, hex(expected), "priority {priority}, {count} addresses");
            let packet = Packet(Message::new(&message).unwrap());
            assert!(packet.checksum_is_valid());
            assert_eq!(packet.expected_len(Family::Inet), message.len());
            assert_eq!(packet.auth_data(Family::Inet), Some(password.map_or([0; 8], |p| p.octets())));
            let read: Vec<_> = addresses(&message, Family::Inet, packet.0.count()).collect();
            assert_eq!(read, vips[..count]);
        }
    }

    #[test]
    fn a_count_beyond_the_message_reads_nothing_that_is_not_there() {
        let message = hex("21 33 c8 ff 01 01 00 00 0a 63 00 32");
        let packet = Packet(Message::new(&message).unwrap());
        assert_eq!(packet.auth_data(Family::Inet), None);
        assert_eq!(addresses(&message, Family::Inet, 255).count(), 1);
        assert!(Message::new(&message[..7]).is_err());
    }
}
