//! How the adverts of an instance travel.

use std::net::IpAddr;

/// How adverts travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// `mcast_src_ip` or `unicast_src_ip`; the interface's first address when absent.
    pub source: Option<IpAddr>,
    /// `track_src_ip`: the instance is faulty while the source address is absent.
    pub track_source: bool,
    /// Where they go.
    pub destination: Destination,
    /// `v3_checksum_as_v2`: no pseudo header in the sum of version 3 over IPv4.
    pub checksum_without_pseudo_header: bool,
}

/// Where adverts go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To this group.
    Multicast(IpAddr),
    /// One copy to each peer.
    Unicast(Unicast),
}

/// Unicast peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unicast {
    /// Empty only with `fault_no_peer`.
    pub peers: Vec<Peer>,
    /// Without a peer the instance is faulty.
    pub fault_no_peer: bool,
    /// Adverts of other hosts are dropped.
    pub check_source: bool,
    /// TTL or hop limit to send with.
    pub ttl: u8,
    /// `old_unicast_checksum`
    pub old_checksum: OldChecksum,
}

/// One unicast peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Of the other node.
    pub address: IpAddr,
    /// Least and greatest TTL accepted from it.
    pub min_ttl: u8,
    /// Greatest TTL accepted from it.
    pub max_ttl: u8,
}

/// `old_unicast_checksum`: sums as keepalived 1.3.6 and older made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldChecksum {
    /// Follow what is received.
    Auto,
    /// As the old versions do.
    Always,
    /// As the new versions do, whatever is received.
    Never,
}
