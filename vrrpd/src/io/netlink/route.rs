//! Routes as the kernel takes and reports them.

use super::frame::{Refusal, attributes};
use super::report::{ROUTE_HEADER, ip, number};
use super::{address_family, emit};
use crate::packet::Family;
use crate::route::{Encap, Metric, NextHop, PROTOCOL, Preference, Prefix, Route, RouteKind};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    MplsLabel, RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteIpTunnel, RouteLwEnCapType,
    RouteLwTunnelEncap, RouteMessage, RouteMetric, RouteMplsIpTunnel, RouteMplsTtlPropagation, RouteNextHop,
    RouteNextHopFlags, RoutePreference, RouteProtocol, RouteRealm, RouteScope, RouteType, RouteVia,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The metric that the kernel gives an IPv6 route without one.
const INET6_METRIC: u32 = 1024;
/// `RTN_NAT`
const KIND_NAT: u8 = 10;
/// `RT_TABLE_UNSPEC`: the number does not fit here.
const TABLE_IN_ATTRIBUTE: u8 = 0;

/// `RTAX_CC_ALGO`
const CONGESTION_NUMBER: u8 = 16;

/// What makes two routes of the kernel the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteKey {
    to: Prefix,
    table: u32,
    tos: u8,
    metric: u32,
}

impl RouteKey {
    /// Of a route that is wanted.
    pub fn of(route: &Route) -> Self {
        let default = if route.family == Family::Inet6 { INET6_METRIC } else { 0 };
        let metric = route.metric.filter(|&metric| metric != 0).unwrap_or(default);
        Self { to: masked(route.to), table: route.table, tos: route.tos.unwrap_or(0), metric }
    }

    /// Of a route that the kernel reports, `rtmsg` and attributes; `None` for families that are not routed here.
    pub fn reported(payload: &[u8]) -> Option<Self> {
        let &[family, length, _, tos, table, ..] = payload else { return None };
        let unspecified = match i32::from(family) {
            libc::AF_INET => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            libc::AF_INET6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            _ => return None,
        };
        let mut key = Self { to: (unspecified, length), table: u32::from(table), tos, metric: 0 };
        for (kind, value) in attributes(payload.get(ROUTE_HEADER..)?) {
            match kind {
                libc::RTA_DST => key.to.0 = ip(value)?,
                libc::RTA_TABLE => key.table = number(value)?,
                libc::RTA_PRIORITY => key.metric = number(value)?,
                _ => {}
            }
        }
        Some(key)
    }
}

/// The network of a prefix: the kernel refuses host bits.
fn masked((address, length): Prefix) -> Prefix {
    let address = match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(v6.to_bits() & mask))
        }
    };
    (address, length)
}

/// The message for a route; `index` finds interfaces.
pub(super) fn route_message(
    route: &Route,
    index: &mut dyn FnMut(&str) -> Result<u32, Refusal>,
) -> Result<RouteMessage, Refusal> {
    let mut message = RouteMessage::default();
    message.header = header_of(route);
    let mut add = |attribute| message.attributes.push(attribute);
    if route.to.1 > 0 {
        add(RouteAttribute::Destination(route_address(masked(route.to).0)));
    }
    add(RouteAttribute::Table(route.table));
    if let Some(metric) = route.metric {
        add(RouteAttribute::Priority(metric));
    }
    if let Some(source) = route.source {
        add(RouteAttribute::PrefSource(route_address(source)));
    }
    if let Some(via) = route.via {
        add(gateway(route.family, via));
    }
    if let Some(interface) = &route.interface {
        add(RouteAttribute::Oif(index(interface)?));
    }
    if let Some((source, destination)) = route.realms {
        add(RouteAttribute::Realm(RouteRealm { source, destination }));
    }
    if let Some(preference) = route.preference {
        add(RouteAttribute::Preference(match preference {
            Preference::Low => RoutePreference::Low,
            Preference::Medium => RoutePreference::Medium,
            Preference::High => RoutePreference::High,
        }));
    }
    if let Some(propagate) = route.ttl_propagate {
        let value = if propagate { RouteMplsTtlPropagation::Enabled } else { RouteMplsTtlPropagation::Disabled };
        add(RouteAttribute::TtlPropagate(value));
    }
    if let Some(encap) = &route.encap {
        add(RouteAttribute::EncapType(encap_kind(encap)));
        add(RouteAttribute::Encap(encap_attributes(encap)));
    }
    let metrics = metrics_of(route);
    if !metrics.is_empty() {
        add(RouteAttribute::Metrics(metrics));
    }
    if !route.next_hops.is_empty() {
        let hops: Result<Vec<RouteNextHop>, Refusal> =
            route.next_hops.iter().map(|hop| next_hop(route.family, hop, index)).collect();
        message.attributes.push(RouteAttribute::MultiPath(hops?));
    }
    Ok(message)
}

fn header_of(route: &Route) -> RouteHeader {
    let mut flags = RouteFlags::empty();
    flags.set(RouteFlags::Onlink, route.onlink);
    RouteHeader {
        address_family: address_family(route.family),
        destination_prefix_length: route.to.1,
        source_prefix_length: 0,
        tos: route.tos.unwrap_or(0),
        table: u8::try_from(route.table).unwrap_or(TABLE_IN_ATTRIBUTE),
        protocol: RouteProtocol::from(route.protocol.unwrap_or(PROTOCOL)),
        scope: route.scope.map_or(RouteScope::Universe, RouteScope::from),
        kind: match route.kind {
            RouteKind::Unicast => RouteType::Unicast,
            RouteKind::Local => RouteType::Local,
            RouteKind::Broadcast => RouteType::Broadcast,
            RouteKind::Multicast => RouteType::Multicast,
            RouteKind::Throw => RouteType::Throw,
            RouteKind::Unreachable => RouteType::Unreachable,
            RouteKind::Prohibit => RouteType::Prohibit,
            RouteKind::Blackhole => RouteType::BlackHole,
            RouteKind::Nat => RouteType::from(KIND_NAT),
        },
        flags,
    }
}

/// A gateway of the other family has an attribute of its own.
fn gateway(family: Family, via: IpAddr) -> RouteAttribute {
    match (family, via) {
        (Family::Inet, IpAddr::V6(v6)) => RouteAttribute::Via(RouteVia::Inet6(v6)),
        (Family::Inet6, IpAddr::V4(v4)) => RouteAttribute::Via(RouteVia::Inet(v4)),
        (Family::Inet, IpAddr::V4(_)) | (Family::Inet6, IpAddr::V6(_)) => RouteAttribute::Gateway(route_address(via)),
    }
}

fn route_address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(v4) => RouteAddress::Inet(v4),
        IpAddr::V6(v6) => RouteAddress::Inet6(v6),
    }
}

fn next_hop(
    family: Family,
    hop: &NextHop,
    index: &mut dyn FnMut(&str) -> Result<u32, Refusal>,
) -> Result<RouteNextHop, Refusal> {
    let mut message = RouteNextHop::default();
    message.flags.set(RouteNextHopFlags::Onlink, hop.onlink);
    // The kernel counts from zero.
    message.hops = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
    if let Some(interface) = &hop.interface {
        message.interface_index = index(interface)?;
    }
    message.attributes.extend(hop.via.map(|via| gateway(family, via)));
    Ok(message)
}

fn metrics_of(route: &Route) -> Vec<RouteMetric> {
    let mut locked = 0_u32;
    let mut metrics = Vec::new();
    for (&metric, &(value, lock)) in &route.metrics {
        let attribute = match metric {
            Metric::Mtu => RouteMetric::Mtu(value),
            Metric::HopLimit => RouteMetric::Hoplimit(value),
            Metric::AdvertisedMss => RouteMetric::Advmss(value),
            Metric::RoundTripTime => RouteMetric::Rtt(value),
            Metric::RoundTripVariance => RouteMetric::RttVar(value),
            Metric::Reordering => RouteMetric::Reordering(value),
            Metric::Window => RouteMetric::Window(value),
            Metric::CongestionWindow => RouteMetric::Cwnd(value),
            Metric::SlowStartThreshold => RouteMetric::SsThresh(value),
            Metric::MinimumRetransmission => RouteMetric::RtoMin(value),
            Metric::InitialCongestionWindow => RouteMetric::InitCwnd(value),
            Metric::InitialReceiveWindow => RouteMetric::InitRwnd(value),
            Metric::Features => RouteMetric::Features(value),
            Metric::QuickAck => RouteMetric::QuickAck(value),
            Metric::FastOpenNoCookie => RouteMetric::FastopenNoCookie(value),
        };
        if lock {
            locked |= 1_u32.checked_shl(u32::from(metric_number(metric))).unwrap_or(0);
        }
        metrics.push(attribute);
    }
    if let Some((name, lock)) = &route.congestion {
        metrics.push(RouteMetric::CcAlgo(name.clone()));
        if *lock {
            locked |= 1 << CONGESTION_NUMBER;
        }
    }
    if locked != 0 {
        metrics.insert(0, RouteMetric::Lock(locked));
    }
    metrics
}

/// The number of `RTAX_…`, which is also its bit in the lock.
fn metric_number(metric: Metric) -> u8 {
    match metric {
        Metric::Mtu => 2,
        Metric::Window => 3,
        Metric::RoundTripTime => 4,
        Metric::RoundTripVariance => 5,
        Metric::SlowStartThreshold => 6,
        Metric::CongestionWindow => 7,
        Metric::AdvertisedMss => 8,
        Metric::Reordering => 9,
        Metric::HopLimit => 10,
        Metric::InitialCongestionWindow => 11,
        Metric::Features => 12,
        Metric::MinimumRetransmission => 13,
        Metric::InitialReceiveWindow => 14,
        Metric::QuickAck => 15,
        Metric::FastOpenNoCookie => 17,
    }
}

fn encap_kind(encap: &Encap) -> RouteLwEnCapType {
    match encap {
        Encap::Ip { .. } => RouteLwEnCapType::Ip,
        Encap::Mpls(_) => RouteLwEnCapType::Mpls,
    }
}

fn encap_attributes(encap: &Encap) -> Vec<RouteLwTunnelEncap> {
    match encap {
        Encap::Mpls(labels) => {
            let last = labels.len().saturating_sub(1);
            let labels = labels.iter().enumerate().map(|(at, &label)| MplsLabel {
                label,
                traffic_class: 0,
                bottom_of_stack: at == last,
                ttl: 0,
            });
            vec![RouteLwTunnelEncap::Mpls(RouteMplsIpTunnel::Destination(labels.collect()))]
        }
        Encap::Ip { id, destination, source, tos, ttl } => {
            let parts = [
                id.map(RouteIpTunnel::Id),
                destination.map(RouteIpTunnel::Destination),
                source.map(RouteIpTunnel::Source),
                tos.map(RouteIpTunnel::Tos),
                ttl.map(RouteIpTunnel::Ttl),
            ];
            parts.into_iter().flatten().map(RouteLwTunnelEncap::Ip).collect()
        }
    }
}

/// The request that makes or removes a route.
pub(super) fn route_request(message: RouteMessage, delete: bool, flags: u16) -> Vec<u8> {
    let message = if delete { RouteNetlinkMessage::DelRoute(message) } else { RouteNetlinkMessage::NewRoute(message) };
    emit(message, flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the kernel would report the route that it is asked for.
    fn reported(message: RouteMessage) -> Option<RouteKey> {
        RouteKey::reported(route_request(message, false, 0).get(super::super::frame::HEADER..)?)
    }

    fn indices(name: &str) -> Result<u32, Refusal> {
        if name == "eth0" { Ok(3) } else { Err(Refusal::no_device(name)) }
    }

    #[test]
    fn a_route_is_recognised_when_the_kernel_reports_it() {
        let mut route = Route::new(("10.1.2.3".parse().unwrap(), 16));
        route.table = 1000;
        route.interface = Some("eth0".to_owned());
        let message = route_message(&route, &mut indices).unwrap();
        assert_eq!(reported(message), Some(RouteKey::of(&route)));
        let mut six = Route::new(("fd00::".parse().unwrap(), 64));
        six.metric = Some(7);
        let message = route_message(&six, &mut indices).unwrap();
        assert_eq!(reported(message), Some(RouteKey::of(&six)));
    }

    #[test]
    fn metrics_and_their_locks() {
        let mut route = Route::new(("10.0.0.0".parse().unwrap(), 8));
        route.metrics.insert(Metric::Mtu, (1300, true));
        route.metrics.insert(Metric::QuickAck, (1, false));
        route.congestion = Some(("cubic".to_owned(), true));
        assert_eq!(
            metrics_of(&route),
            [
                RouteMetric::Lock(1 << 2 | 1 << 16),
                RouteMetric::Mtu(1300),
                RouteMetric::QuickAck(1),
                RouteMetric::CcAlgo("cubic".to_owned())
            ]
        );
    }

    #[test]
    fn paths_and_gateways_of_the_other_family() {
        let mut route = Route::new(("10.0.0.0".parse().unwrap(), 8));
        let hop = NextHop {
            via: Some("fe80::1".parse().unwrap()),
            interface: Some("eth0".to_owned()),
            weight: 5,
            onlink: true,
        };
        route.next_hops = vec![hop];
        let message = route_message(&route, &mut indices).unwrap();
        let Some(RouteAttribute::MultiPath(hops)) = message.attributes.last() else { panic!("{message:?}") };
        assert_eq!((hops[0].hops, hops[0].interface_index), (4, 3));
        assert_eq!(hops[0].attributes, [RouteAttribute::Via(RouteVia::Inet6("fe80::1".parse().unwrap()))]);
        route.next_hops[0].interface = Some("gone0".to_owned());
        assert_eq!(route_message(&route, &mut indices), Err(Refusal::no_device("gone0")));
    }
}
