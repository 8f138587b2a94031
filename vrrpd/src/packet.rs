//! What may appear on the wire. Each protocol has a file of its own with a checked view (`Packet`, reads) and a typed
//! value (`Repr`, writes); only legal packets are representable.

pub mod auth;

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
