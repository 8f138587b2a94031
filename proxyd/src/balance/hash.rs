//! Hash functions and the ways a hash becomes a server: `hash-type`, `hash-balance-factor`, `hash-key`,
//! `hash-preserve-affinity`.

use std::net::IpAddr;

/// `hash-type METHOD FUNCTION [avalanche]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashType {
    /// How the hash is mapped onto the servers.
    pub method: Method,
    /// The function applied to the key.
    pub function: Function,
    /// Whether the result is mixed once more.
    pub avalanche: bool,
}

impl Default for HashType {
    /// Without a `hash-type` line: map-based, sdbm, not mixed again.
    fn default() -> Self {
        Self { method: Method::MapBased, function: Function::Sdbm, avalanche: false }
    }
}

/// How a hash is mapped onto servers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// The hash indexes an array of the usable servers, one cell per unit of weight.
    #[default]
    MapBased,
    /// The hash looks for the next point on a ring, so that a lost server only moves its own keys.
    Consistent,
}

/// The function that turns a key into 32 bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Function {
    /// The function of the sdbm database.
    #[default]
    Sdbm,
    /// Bernstein's function.
    Djb2,
    /// The "wt6" function.
    Wt6,
    /// The CRC of Ethernet and zip.
    Crc32,
    /// The key is a number already.
    None,
}

/// `hash-preserve-affinity`: whether a key keeps its server on the ring when that server is busy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Affinity {
    /// It waits for it.
    #[default]
    Always,
    /// It goes on to the next server on the ring when the server has reached its `maxconn`.
    MaxConn,
    /// It does so when the server's queue has reached its `maxqueue`.
    MaxQueue,
}

/// `hash-key`: what places a server on the consistent ring.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HashKey {
    /// The server's id.
    #[default]
    Id,
    /// Its address.
    Addr,
    /// Its address and port.
    AddrPort,
}

impl HashType {
    /// The hash of a key.
    pub fn hash(self, key: &[u8]) -> u32 {
        self.finish(self.function.apply(key))
    }

    /// The hash of a client's address, which is used as it is: the function does not matter.
    pub fn hash_address(self, address: IpAddr) -> u32 {
        self.finish(of_address(address))
    }

    /// Hashes that place keys on a ring are always spread over all of it when no `hash-type` says otherwise; the
    /// configuration's lowering sets `avalanche` then.
    fn finish(self, hash: u32) -> u32 {
        if self.avalanche { mix(hash) } else { hash }
    }
}

/// An address as a number: its 32-bit words, combined.
pub(super) fn of_address(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => u32::from(address),
        IpAddr::V6(address) => {
            let segments = address.segments();
            let words = segments.chunks_exact(2).map(|pair| u32::from(pair[0]) << 16 | u32::from(pair[1]));
            words.fold(0, |hash, word| hash ^ word)
        }
    }
}

impl Function {
    /// The plain function over the bytes of a key.
    pub fn apply(self, key: &[u8]) -> u32 {
        match self {
            Self::Sdbm => key.iter().fold(0, |hash: u32, &byte| hash.wrapping_mul(65_599).wrapping_add(byte.into())),
            Self::Djb2 => key.iter().fold(5381, |hash: u32, &byte| hash.wrapping_mul(33).wrapping_add(byte.into())),
            Self::Wt6 => wt6(key),
            Self::Crc32 => crc32(key),
            Self::None => leading_number(key),
        }
    }
}

/// Two words that chase each other, rotated by amounts that depend on the key.
fn wt6(key: &[u8]) -> u32 {
    let (mut a, mut b) = (0xa53c_965a_u32, 0x5ca6_953a_u32);
    let (mut left, mut right) = (6, 18);
    for &byte in key {
        let stirred = !(a ^ u32::from(byte));
        a = (!b.wrapping_add(byte.into())).rotate_left(left);
        b = stirred.rotate_left(right);
        let amounts = (a >> 16 ^ b) & 0xffff;
        left = amounts & 0x1f;
        right = amounts >> 11;
    }
    a ^ b
}

/// The reflected CRC with the polynomial of IEEE 802.3.
fn crc32(key: &[u8]) -> u32 {
    !key.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// The number a key begins with, for keys that were hashed elsewhere.
fn leading_number(key: &[u8]) -> u32 {
    let digits = key.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number: u32, &digit| number.wrapping_mul(10).wrapping_add((digit - b'0').into()))
}

/// Bob Jenkins's full avalanche mix of 32 bits (public domain), spread once more by an odd factor near 3/4 of the range.
pub(crate) fn mix(mut a: u32) -> u32 {
    a = a.wrapping_add(0x7ed5_5d16).wrapping_add(a << 12);
    a = a ^ 0xc761_c23c ^ (a >> 19);
    a = a.wrapping_add(0x1656_67b1).wrapping_add(a << 5);
    a = a.wrapping_add(0xd3a2_646c) ^ (a << 9);
    a = a.wrapping_add(0xfd70_46c5).wrapping_add(a << 3);
    a = a ^ 0xb55a_4f09 ^ (a >> 16);
    a.wrapping_mul(3_221_225_473)
}

#[cfg(test)]
mod tests {
    use super::Function;

    #[test]
    fn published_check_values() {
        assert_eq!(Function::Crc32.apply(b"123456789"), 0xcbf4_3926);
        assert_eq!(Function::Djb2.apply(b""), 5381);
        assert_eq!(Function::Sdbm.apply(b""), 0);
        assert_eq!(Function::None.apply(b"4294967295x"), u32::MAX);
    }
}
