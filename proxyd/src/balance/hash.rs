//! Hash functions and the ways a hash becomes a server: `hash-type`, `hash-balance-factor`, `hash-key`.

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
