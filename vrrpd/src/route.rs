//! Routes and rules of the kernel, in the terms of ip-route(8) and ip-rule(8).
//!
//! They are values: what the file asks for is one, what has to be in the kernel is one, and two are the same when they are
//! equal. How a kernel spells them is the business of `io/netlink`.

use crate::packet::Family;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// The table of routes without one (`RT_TABLE_MAIN`).
pub const TABLE_MAIN: u32 = 254;
/// `RTPROT_KEEPALIVED`: whose routes and rules these are, unless the file names another protocol.
pub const PROTOCOL: u8 = 18;

/// An address with the length of its prefix.
pub type Prefix = (IpAddr, u8);

/// A route of `virtual_routes` or `static_routes`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// Of the destination.
    pub family: Family,
    /// `unicast` unless another type is named.
    pub kind: RouteKind,
    /// Destination and prefix length; length 0 is the default route.
    pub to: Prefix,
    /// `via`, possibly of the other family.
    pub via: Option<IpAddr>,
    /// `dev`
    pub interface: Option<String>,
    /// `src`: preferred source address.
    pub source: Option<IpAddr>,
    /// `table`; 254 is the main one.
    pub table: u32,
    /// `metric`
    pub metric: Option<u32>,
    /// `scope`
    pub scope: Option<u8>,
    /// `proto`
    pub protocol: Option<u8>,
    /// `tos`
    pub tos: Option<u8>,
    /// `onlink`: the gateway is on the link, whatever the routes say.
    pub onlink: bool,
    /// `mtu`, `advmss` and their like, with whether they are locked.
    pub metrics: BTreeMap<Metric, (u32, bool)>,
    /// `congctl`, and whether it is locked.
    pub congestion: Option<(String, bool)>,
    /// `realms`: source and destination realm.
    pub realms: Option<(u16, u16)>,
    /// `pref` of an IPv6 route.
    pub preference: Option<Preference>,
    /// `encap`: the packets travel inside others.
    pub encap: Option<Encap>,
    /// `ttl-propagate` of MPLS.
    pub ttl_propagate: Option<bool>,
    /// `nexthop`s; then `via` and `interface` are empty.
    pub next_hops: Vec<NextHop>,
    /// `append` rather than replace.
    pub append: bool,
    /// False with `no_track`: removed by somebody else, it stays away.
    pub track: bool,
}

/// The type of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteKind {
    /// `unicast`
    Unicast,
    /// `local`
    Local,
    /// `broadcast`
    Broadcast,
    /// `multicast`
    Multicast,
    /// `throw`
    Throw,
    /// `unreachable`
    Unreachable,
    /// `prohibit`
    Prohibit,
    /// `blackhole`
    Blackhole,
    /// `nat`
    Nat,
}

/// What a route tells the transport protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// `mtu`, in octets
    Mtu,
    /// `hoplimit`
    HopLimit,
    /// `advmss`, in octets
    AdvertisedMss,
    /// `rtt`, in eighths of a millisecond
    RoundTripTime,
    /// `rttvar`, in quarters of a millisecond
    RoundTripVariance,
    /// `reordering`
    Reordering,
    /// `window`, in octets
    Window,
    /// `cwnd`
    CongestionWindow,
    /// `ssthresh`
    SlowStartThreshold,
    /// `rto_min`, in milliseconds
    MinimumRetransmission,
    /// `initcwnd`
    InitialCongestionWindow,
    /// `initrwnd`
    InitialReceiveWindow,
    /// `features`, bits; 1 is `ecn`
    Features,
    /// `quickack`
    QuickAck,
    /// `fastopen_no_cookie`
    FastOpenNoCookie,
}

/// `pref`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preference {
    /// `low`
    Low,
    /// `medium`
    Medium,
    /// `high`
    High,
}

/// `encap`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Encap {
    /// `encap ip`
    Ip {
        /// `id`
        id: Option<u64>,
        /// `dst`
        destination: Option<Ipv4Addr>,
        /// `src`
        source: Option<Ipv4Addr>,
        /// `tos`
        tos: Option<u8>,
        /// `ttl`
        ttl: Option<u8>,
    },
    /// `encap mpls`: labels from the outermost to the innermost.
    Mpls(Vec<u32>),
}

/// One path of a multipath route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NextHop {
    /// `via`
    pub via: Option<IpAddr>,
    /// `dev`
    pub interface: Option<String>,
    /// 1 to 256
    pub weight: u16,
    /// `onlink`
    pub onlink: bool,
}

/// A rule of `virtual_rules` or `static_rules`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Of its addresses.
    pub family: Family,
    /// `not`: for packets that do not match.
    pub not: bool,
    /// `from`, and the prefix length.
    pub from: Option<Prefix>,
    /// `to`, and the prefix length.
    pub to: Option<Prefix>,
    /// `tos`
    pub tos: Option<u8>,
    /// `fwmark` and its mask.
    pub fwmark: Option<(u32, u32)>,
    /// `iif`
    pub incoming: Option<String>,
    /// `oif`
    pub outgoing: Option<String>,
    /// `realms`: source and destination realm.
    pub realms: Option<(u16, u16)>,
    /// `uidrange`
    pub uids: Option<(u32, u32)>,
    /// `ipproto`
    pub ip_protocol: Option<u8>,
    /// `sport`
    pub source_ports: Option<(u16, u16)>,
    /// `dport`
    pub destination_ports: Option<(u16, u16)>,
    /// `tun_id`
    pub tunnel: Option<u64>,
    /// `suppress_prefixlength`
    pub suppress_prefix_length: Option<u32>,
    /// `suppress_ifgroup`
    pub suppress_group: Option<u32>,
    /// `l3mdev`: the table is that of the packet's vrf.
    pub l3mdev: bool,
    /// `protocol`
    pub protocol: Option<u8>,
    /// `priority`
    pub preference: u32,
    /// What happens with a match.
    pub action: RuleAction,
    /// False with `no_track`: removed by somebody else, it stays away.
    pub track: bool,
}

/// What a rule does with a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleAction {
    /// `table`: look up here.
    Table(u32),
    /// `goto`: go on with this rule.
    Goto(u32),
    /// `blackhole`
    Blackhole,
    /// `prohibit`
    Prohibit,
    /// `unreachable`
    Unreachable,
    /// `nop`
    Nop,
}

impl Route {
    /// A unicast route in the main table with nothing but a destination.
    pub fn new(to: Prefix) -> Self {
        Self {
            family: Family::of(to.0),
            kind: RouteKind::Unicast,
            to,
            via: None,
            interface: None,
            source: None,
            table: TABLE_MAIN,
            metric: None,
            scope: None,
            protocol: None,
            tos: None,
            onlink: false,
            metrics: BTreeMap::new(),
            congestion: None,
            realms: None,
            preference: None,
            encap: None,
            ttl_propagate: None,
            next_hops: Vec::new(),
            append: false,
            track: true,
        }
    }
}

impl Rule {
    /// A rule that matches everything.
    pub fn new(family: Family, preference: u32, action: RuleAction) -> Self {
        Self {
            family,
            not: false,
            from: None,
            to: None,
            tos: None,
            fwmark: None,
            incoming: None,
            outgoing: None,
            realms: None,
            uids: None,
            ip_protocol: None,
            source_ports: None,
            destination_ports: None,
            tunnel: None,
            suppress_prefix_length: None,
            suppress_group: None,
            l3mdev: false,
            protocol: None,
            preference,
            action,
            track: true,
        }
    }
}

impl RouteKind {
    /// Its word in ip-route(8).
    pub fn word(self) -> &'static str {
        match self {
            Self::Unicast => "unicast",
            Self::Local => "local",
            Self::Broadcast => "broadcast",
            Self::Multicast => "multicast",
            Self::Throw => "throw",
            Self::Unreachable => "unreachable",
            Self::Prohibit => "prohibit",
            Self::Blackhole => "blackhole",
            Self::Nat => "nat",
        }
    }
}

/// As ip-route(8) would be asked for it, as far as a reader of a log needs it.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind != RouteKind::Unicast {
            write!(f, "{} ", self.kind.word())?;
        }
        match self.to {
            (_, 0) => f.write_str("default")?,
            (address, prefix) => write!(f, "{address}/{prefix}")?,
        }
        if let Some(tos) = self.tos {
            write!(f, " tos {tos:#04x}")?;
        }
        if let Some(via) = self.via {
            write!(f, " via {via}")?;
        }
        if let Some(interface) = &self.interface {
            write!(f, " dev {interface}")?;
        }
        if let Some(source) = self.source {
            write!(f, " src {source}")?;
        }
        for hop in &self.next_hops {
            f.write_str(" nexthop")?;
            if let Some(via) = hop.via {
                write!(f, " via {via}")?;
            }
            if let Some(interface) = &hop.interface {
                write!(f, " dev {interface}")?;
            }
            write!(f, " weight {}", hop.weight)?;
        }
        if self.table != TABLE_MAIN {
            write!(f, " table {}", self.table)?;
        }
        if let Some(metric) = self.metric {
            write!(f, " metric {metric}")?;
        }
        Ok(())
    }
}

/// As ip-rule(8) lists it, as far as a reader of a log needs it.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.not {
            f.write_str("not ")?;
        }
        match self.from {
            Some((address, prefix)) => write!(f, "from {address}/{prefix}")?,
            None => f.write_str("from all")?,
        }
        if let Some((address, prefix)) = self.to {
            write!(f, " to {address}/{prefix}")?;
        }
        if let Some((mark, mask)) = self.fwmark {
            write!(f, " fwmark {mark:#x}/{mask:#x}")?;
        }
        if let Some(interface) = &self.incoming {
            write!(f, " iif {interface}")?;
        }
        if let Some(interface) = &self.outgoing {
            write!(f, " oif {interface}")?;
        }
        match self.action {
            RuleAction::Table(table) => write!(f, " table {table}")?,
            RuleAction::Goto(target) => write!(f, " goto {target}")?,
            RuleAction::Blackhole => f.write_str(" blackhole")?,
            RuleAction::Prohibit => f.write_str(" prohibit")?,
            RuleAction::Unreachable => f.write_str(" unreachable")?,
            RuleAction::Nop => f.write_str(" nop")?,
        }
        write!(f, " preference {}", self.preference)
    }
}
