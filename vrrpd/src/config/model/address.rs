//! Addresses that move with the state, and those that stay.

use super::InstanceId;
use std::net::{IpAddr, Ipv4Addr};

/// An address that moves with the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualAddress {
    /// The address itself.
    pub address: IpAddr,
    /// Of its network; that of a host when the file gives none.
    pub prefix_length: u8,
    /// `dev`; the instance's interface (or its virtual one) when absent.
    pub interface: Option<String>,
    /// `brd`
    pub broadcast: Broadcast,
    /// As the kernel numbers it: 0 global, 200 site, 253 link, 254 host.
    pub scope: u8,
    /// `label`, at most 15 bytes.
    pub label: Option<String>,
    /// `peer`, for point-to-point links.
    pub peer: Option<(IpAddr, u8)>,
    /// `preferred_lft`; `None` is the default of the family, zero is deprecated.
    pub preferred_lifetime: Option<Lifetime>,
    /// `home`
    pub home: bool,
    /// False with `-nodad`: skip duplicate address detection.
    pub dad: bool,
    /// `mngtmpaddr`
    pub manage_temp_address: bool,
    /// `noprefixroute`
    pub no_prefix_route: bool,
    /// `autojoin`
    pub autojoin: bool,
    /// False with `no_track`: its removal by someone else does not cost the master state.
    pub track: bool,
    /// `use_vmac`: on a virtual interface of its own, whatever the instance does.
    pub vmac: bool,
}

/// How long an IPv6 address is preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It does not end.
    Forever,
    /// So many seconds; zero is deprecated from the start.
    Seconds(u32),
}

/// `brd`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broadcast {
    /// Not set.
    None,
    /// `+`: all host bits set.
    HostOnes,
    /// `-`: all host bits clear.
    HostZeros,
    /// This one.
    Address(Ipv4Addr),
}

/// An address of `static_ipaddress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticAddress {
    /// The address, with its interface.
    pub address: VirtualAddress,
    /// Instances that become faulty when it is lost (`track_group`).
    pub track: Vec<InstanceId>,
}
