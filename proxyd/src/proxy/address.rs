//! Where a server is, and how it is reached.

use crate::sample::text::Text;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerAddress {
    /// An address.
    Ip(IpAddr),
    /// `0.0.0.0` or `*`: where the client wanted to go.
    Destination,
    /// A unix socket.
    Unix(PathBuf),
    /// A unix socket in the abstract name space.
    Abstract(String),
    /// A name that `init-addr` allowed not to be found: down until it is.
    Unresolved,
}

/// A server's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerPort {
    /// This one; 0 where the address has no ports.
    Fixed(u16),
    /// The client's destination port plus this, `+0` where no port is written.
    Mapped(i32),
}

/// The form of a PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyVersion {
    /// The text form.
    V1,
    /// The binary form.
    V2,
}

/// The PROXY header sent to a server. All but the form belongs to version 2.
#[derive(Clone, Debug, PartialEq)]
pub struct SendProxy {
    /// The form.
    pub version: ProxyVersion,
    /// `crc32c`: a checksum.
    pub checksum: bool,
    /// `authority`: the name that the client asked for, where it is known.
    pub authority: bool,
    /// `unique-id`: the exchange's.
    pub unique_id: bool,
    /// What is known of the client's TLS was asked for.
    pub tls: bool,
    /// `set-proxy-v2-tlv-fmt`: kinds and values of further additions.
    pub tlvs: Vec<(u8, Text)>,
}

impl SendProxy {
    /// The text form.
    pub const V1: Self = Self {
        version: ProxyVersion::V1,
        checksum: false,
        authority: false,
        unique_id: false,
        tls: false,
        tlvs: Vec::new(),
    };
}

/// `source` of a server or a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The address to connect from. `None`: as the system does.
    pub address: Option<IpAddr>,
    /// The ports to connect from, both ends included. `None`: as the system does.
    pub ports: Option<(u16, u16)>,
    /// `interface`.
    pub interface: Option<String>,
    /// `usesrc`: the client's own address and port. `Client` keeps the port, `ClientIp` does not.
    pub usesrc: Option<UseSource>,
}

/// `usesrc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UseSource {
    /// `client`.
    Client,
    /// `clientip`.
    ClientIp,
    /// A fixed address.
    Address(SocketAddr),
    /// `hdr_ip(name,occurrence)`.
    Header {
        /// The header that holds the address.
        name: String,
        /// Which one, negative from the end.
        occurrence: i32,
    },
}
