//! Where a server is, and how it is reached.

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

/// The PROXY header sent to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendProxy {
    /// The text form.
    V1,
    /// The binary form.
    V2,
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
