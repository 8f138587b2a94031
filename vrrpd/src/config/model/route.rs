//! Routes and rules, in the terms of ip-route(8) and ip-rule(8).

use super::InstanceId;
use crate::packet::Family;
use std::net::IpAddr;

/// A route of `virtual_routes` or `static_routes`, in the terms of ip-route(8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Of the destination.
    pub family: Family,
    /// `unicast` unless another type is named.
    pub kind: RouteKind,
    /// Destination and prefix length; length 0 is the default route.
    pub to: (IpAddr, u8),
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
    /// `mtu`
    pub mtu: Option<u32>,
    /// `onlink`: the gateway is on the link, whatever the routes say.
    pub onlink: bool,
    /// `nexthop`s; then `via` and `interface` are empty.
    pub next_hops: Vec<NextHop>,
    /// `append` rather than replace.
    pub append: bool,
    /// False with `no_track`.
    pub track: bool,
    /// Instances of its `track_group`.
    pub track_group: Vec<InstanceId>,
    /// Options that are understood but not passed to the kernel yet.
    pub not_applied: Vec<String>,
}

/// The type of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// One path of a multipath route.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// A rule of `virtual_rules` or `static_rules`, in the terms of ip-rule(8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Of its addresses.
    pub family: Family,
    /// `not`: for packets that do not match.
    pub not: bool,
    /// `from`, and the prefix length.
    pub from: Option<(IpAddr, u8)>,
    /// `to`, and the prefix length.
    pub to: Option<(IpAddr, u8)>,
    /// `tos`
    pub tos: Option<u8>,
    /// `fwmark` and its mask.
    pub fwmark: Option<(u32, u32)>,
    /// `iif`
    pub incoming: Option<String>,
    /// `oif`
    pub outgoing: Option<String>,
    /// `priority`
    pub preference: u32,
    /// What happens with a match.
    pub action: RuleAction,
    /// False with `no_track`.
    pub track: bool,
    /// Instances of its `track_group`.
    pub track_group: Vec<InstanceId>,
    /// Options that are understood but not passed to the kernel yet.
    pub not_applied: Vec<String>,
}

/// What a rule does with a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
