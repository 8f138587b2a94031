//! The eight authentication octets at the end of a version 2 advert (RFC 2338 section 5.3.10). RFC 3768 keeps their
//! place and fills it with zeros.

use std::fmt;

/// Octets of authentication data in every version 2 advert.
pub const AUTH_LEN: usize = 8;

/// `auth_pass`: at most eight octets, padded with zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Password([u8; AUTH_LEN]);

/// The number of an authentication type on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthType {
    /// 0.
    None,
    /// 1: simple text password.
    Pass,
    /// 2: IP authentication header.
    Ah,
}

impl Password {
    /// Takes the first eight octets of `text`.
    pub fn new(text: &str) -> Self {
        let mut octets = [0; AUTH_LEN];
        for (octet, byte) in octets.iter_mut().zip(text.bytes()) {
            *octet = byte;
        }
        Self(octets)
    }

    /// A password that may hold any octets, filled with zeros.
    pub fn from_octets(octets: [u8; AUTH_LEN]) -> Self {
        Self(octets)
    }

    /// The octets as they travel.
    pub fn octets(&self) -> [u8; AUTH_LEN] {
        self.0
    }
}

impl fmt::Debug for Password {
    /// Never the password itself: settings are printed into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(********)")
    }
}

impl AuthType {
    /// The type of a received advert; `None` for a number that no RFC assigns.
    pub fn from_wire(number: u8) -> Option<Self> {
        match number {
            0 => Some(AuthType::None),
            1 => Some(AuthType::Pass),
            2 => Some(AuthType::Ah),
            3.. => None,
        }
    }

    /// Its number on the wire.
    pub fn to_wire(self) -> u8 {
        match self {
            AuthType::None => 0,
            AuthType::Pass => 1,
            AuthType::Ah => 2,
        }
    }
}
