//! Lines of `virtual_routes` and `static_routes`, in the words of ip-route(8).

use super::value::{address_and_prefix, full_prefix};
use super::{Lowering, RoutingNames};
use crate::packet::Family;
use crate::route::{Encap, Metric, NextHop, Preference, Route, RouteKind, TABLE_MAIN};
use shared_config::diagnostic::{Diagnostic, Severity};
use shared_config::keepalived::ast::Statement;
use shared_config::words::{Word, Words};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Greatest `rtt`, `rttvar` and `rto_min` in milliseconds that their units can hold.
const MILLISECONDS_MAX: u32 = u32::MAX / 8;
/// The longest name of a congestion control algorithm the kernel takes (`TCP_CA_NAME_MAX` less one).
const CONGESTION_BYTES_MAX: usize = 15;
/// `RTAX_FEATURE_ECN`
const FEATURE_ECN: u32 = 1;
/// Greatest MPLS label.
const MPLS_LABEL_MAX: i64 = 0xf_ffff;

/// Words that `vrrpd` reads and cannot ask the kernel for.
const NOT_SUPPORTED: &[&str] = &["vrf", "as", "expires"];

/// A route or a rule, and the track group it names.
pub(super) struct Line<'a, T> {
    pub(super) item: T,
    pub(super) track_group: Option<&'a Word>,
}

impl Lowering<'_> {
    /// A route; `None` where keepalived leaves it out.
    pub(super) fn route_line<'a>(&mut self, line: &'a Statement, is_static: bool) -> Option<Line<'a, Route>> {
        let mut words = line.words();
        let mut route = Route::new((IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));
        let mut to = None;
        let mut track_group = None;
        while let Some(word) = words.next() {
            match word.as_str() {
                "inet6" => route.family = Family::Inet6,
                "append" => route.append = true,
                "onlink" => route.onlink = true,
                "no_track" => route.track = false,
                "nexthop" => route.next_hops.push(self.next_hop(&mut words)?),
                "encap" => route.encap = Some(self.encap(word, line, &mut words)?),
                "track_group" if is_static => track_group = Some(self.value(word, line, &mut words)?),
                text => match route_kind(text) {
                    Some(kind) => {
                        route.kind = kind;
                        let value = self.value(word, line, &mut words)?;
                        to = Some(self.destination(value, &mut route)?);
                    }
                    None if text == "to" => {
                        let value = self.value(word, line, &mut words)?;
                        to = Some(self.destination(value, &mut route)?);
                    }
                    None if is_route_option(text) => {
                        let value = self.value(word, line, &mut words)?;
                        self.route_option(word, value, &mut words, &mut route)?;
                    }
                    None => to = Some(self.destination(word, &mut route)?),
                },
            }
        }
        let Some(to) = to else {
            self.warn("missing-value", line.span, "Route has no destination - skipping");
            return None;
        };
        self.finish_route(line, route, to, is_static).map(|item| Line { item, track_group })
    }

    fn finish_route(&mut self, line: &Statement, mut route: Route, to: Destination, is_static: bool) -> Option<Route> {
        let via_family = route.via.or(route.source).map(|address| address.is_ipv6());
        if let Destination::Address(IpAddr::V6(_), _) = to {
            route.family = Family::Inet6;
        } else if to == Destination::Default && via_family == Some(true) {
            route.family = Family::Inet6;
        }
        route.to = match (to, route.family) {
            (Destination::Address(address, prefix), _) => (address, prefix),
            (Destination::Default, Family::Inet) => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            (Destination::Default, Family::Inet6) => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
        };
        if route.to.0.is_ipv6() != (route.family == Family::Inet6) {
            self.warn("address-family", line.span, "IPv4/6 mismatch in route - skipping");
            return None;
        }
        let hops_without = route.next_hops.iter().all(|hop| hop.interface.is_none());
        if !is_static && route.interface.is_none() && hops_without && route.track {
            let (address, prefix) = route.to;
            let message =
                format!("Warning - cannot track route {address}/{prefix} with no interface specified, not tracking");
            self.warn("route-not-tracked", line.span, message);
            route.track = false;
        }
        Some(route)
    }

    /// What follows a word of a route or rule; keepalived cannot do without.
    pub(super) fn value<'w>(&mut self, word: &Word, line: &Statement, words: &mut Words<'w>) -> Option<&'w Word> {
        let value = words.next();
        if value.is_none() {
            let position = line.words.iter().position(|other| std::ptr::eq(other, word)).unwrap_or(0) + 2;
            let message = format!(
                "*** Configuration line starting `{}` is missing a parameter after keyword `{}` at word position {position}",
                line.name(),
                word.text
            );
            self.report(Diagnostic::error("missing-parameter", word.span, message).label("a parameter must follow"));
        }
        value
    }

    /// Where the route goes; an IPv6 address makes it an IPv6 route for all words that follow.
    fn destination(&mut self, word: &Word, route: &mut Route) -> Option<Destination> {
        if matches!(word.as_str(), "default" | "all") {
            return Some(Destination::Default);
        }
        let parsed = address_and_prefix(word.as_str()).and_then(|(address, prefix)| {
            let full = full_prefix(address);
            let length = prefix.map_or(Some(full), |prefix| prefix.parse().ok().filter(|&n| n <= full))?;
            if address.is_ipv6() {
                route.family = Family::Inet6;
            }
            Some(Destination::Address(address, length))
        });
        if parsed.is_none() {
            self.invalid_ip(word, format!("unknown route keyword {}", word.text));
        }
        parsed
    }

    /// keepalived says two things about a word that should be an address.
    pub(super) fn invalid_ip(&mut self, word: &Word, consequence: String) {
        let message = format!("VRRP parsed invalid IP {}. skipping IP...", word.text);
        self.report(Diagnostic::warning("invalid-ip", word.span, message).label(consequence));
    }

    fn route_option(&mut self, option: &Word, value: &Word, words: &mut Words<'_>, route: &mut Route) -> Option<()> {
        let text = value.as_str();
        match option.as_str() {
            name @ ("via" | "gw") => {
                if name == "gw" {
                    self.warn("deprecated", option.span, "\"gw\" for routes is deprecated. Please use \"via\"");
                }
                route.via = Some(self.route_address("via", value)?);
            }
            "or" => {
                self.warn("deprecated", option.span, "\"or\" for routes is deprecated. Please use \"nexthop\"");
                let first = NextHop { via: route.via.take(), interface: None, weight: 1, onlink: false };
                let second = NextHop { via: Some(self.route_address("or", value)?), ..first.clone() };
                route.next_hops = vec![first, second];
            }
            "src" => route.source = Some(self.route_address("src", value)?),
            "dev" | "oif" => self.route_device(value, route),
            "table" => route.table = self.routing_number(RoutingNames::Tables, value, "Routing table", "route")?,
            "metric" | "priority" | "preference" => {
                let consequence = format!("Invalid metric {text} specified for route");
                let metric = self.integer(value, 0..=i64::from(u32::MAX), &consequence)?;
                route.metric = u32::try_from(metric).ok();
            }
            "scope" => {
                route.scope = self.scope(text);
                if route.scope.is_none() {
                    self.warn("invalid-scope", value.span, format!("Invalid scope {text} specified for route"));
                }
            }
            "proto" | "protocol" => {
                let number = self.routing_number(RoutingNames::Protocols, value, "Protocol", "route")?;
                route.protocol = u8::try_from(number).ok();
            }
            "tos" | "dsfield" => {
                let number = self.routing_number(RoutingNames::TypesOfService, value, "TOS value", "route")?;
                route.tos = u8::try_from(number).ok();
            }
            "realms" | "realm" => {
                route.realms = self.realms(text);
                if route.realms.is_none() {
                    self.warn("not-found", value.span, format!("Invalid realms {text} for route"));
                    return None;
                }
            }
            "congctl" => {
                let locked = text == "lock";
                let name = if locked { words.next()? } else { value };
                if name.as_str().len() <= CONGESTION_BYTES_MAX {
                    route.congestion = Some((name.as_str().to_owned(), locked));
                } else {
                    self.warn("invalid-name", name.span, format!("congctl {} is too long - ignoring", name.text));
                }
            }
            "pref" => route.preference = self.route_preference(value, route.family),
            "ttl-propagate" => match text {
                "enabled" => route.ttl_propagate = Some(true),
                "disabled" => route.ttl_propagate = Some(false),
                _ => self.warn("invalid-value", value.span, format!("ttl-propagate value {text} not recognised")),
            },
            "features" if text == "ecn" => {
                route.metrics.insert(Metric::Features, (FEATURE_ECN, false));
            }
            "features" => self.warn("invalid-value", value.span, format!("feature {text} not supported")),
            name if NOT_SUPPORTED.contains(&name) => self.not_supported(option, "routes"),
            name => self.route_metric(name, value, words, route),
        }
        Some(())
    }

    fn route_device(&mut self, value: &Word, route: &mut Route) {
        let text = value.as_str();
        if !self.host.has_interface(text) {
            let message = format!("WARNING - interface {text} for VROUTE nexthop doesn't exist");
            self.warn("no-device", value.span, message);
        }
        route.interface = Some(text.to_owned());
    }

    fn route_preference(&mut self, value: &Word, family: Family) -> Option<Preference> {
        let text = value.as_str();
        if family == Family::Inet {
            self.warn("address-family", value.span, "pref is only valid for IPv6");
            return None;
        }
        match text {
            "low" => Some(Preference::Low),
            "medium" => Some(Preference::Medium),
            "high" => Some(Preference::High),
            _ => {
                let consequence = format!("Invalid pref value {text} specified for route");
                // Numbers are read, and only these three exist.
                match self.integer(value, 0..=3, &consequence)? {
                    0 => Some(Preference::Medium),
                    1 => Some(Preference::High),
                    3 => Some(Preference::Low),
                    _ => None,
                }
            }
        }
    }

    /// `mtu 1400`, `mtu lock 1400`, `rtt 2s`: a number for the transport protocols.
    fn route_metric(&mut self, name: &str, value: &Word, words: &mut Words<'_>, route: &mut Route) {
        let Some(kind) = metric_kind(name) else { return };
        let locked = kind.lockable && value.as_str() == "lock";
        let Some(value) = (if locked { words.next() } else { Some(value) }) else { return };
        let text = value.as_str();
        let number = match kind.unit {
            Unit::Plain(max) => {
                let consequence = match name {
                    "mtu" => format!("Invalid MTU {text} specified for route"),
                    "hoplimit" | "advmss" => format!("Invalid {name} {text} specified for route"),
                    _ => format!("Invalid {name} value {text} specified for route"),
                };
                self.integer(value, 0..=i64::from(max), &consequence).and_then(|n| u32::try_from(n).ok())
            }
            Unit::Time(multiplier) => {
                let number = milliseconds(text).map(|number| number.saturating_mul(multiplier));
                if number.is_none() {
                    let problem = format!("invalid number '{text}'");
                    let consequence = match name {
                        "rto_min" => format!("Invalid rto_min value {text} specified for route"),
                        _ => format!("Invalid {name} {text} for route"),
                    };
                    self.report(Diagnostic::warning("invalid-number", value.span, problem).label(consequence));
                }
                number
            }
        };
        if let Some(number) = number {
            route.metrics.insert(kind.metric, (number, locked));
        }
    }

    /// What follows `encap`. The kernel has more kinds than can be asked for here.
    fn encap(&mut self, option: &Word, line: &Statement, words: &mut Words<'_>) -> Option<Encap> {
        let kind = self.value(option, line, words)?;
        match kind.as_str() {
            "mpls" => {
                let value = self.value(kind, line, words)?;
                let labels: Option<Vec<u32>> = value
                    .as_str()
                    .split('/')
                    .map(|label| super::value::integer(label, &(0..=MPLS_LABEL_MAX)).ok()?.try_into().ok())
                    .collect();
                if labels.is_none() {
                    let message = format!("invalid mpls address {} for encapsulation", value.text);
                    self.warn("invalid-address", value.span, message);
                }
                labels.map(Encap::Mpls)
            }
            "ip" => self.encap_ip(line, words),
            "ip6" | "ila" => {
                self.not_supported(kind, "the encapsulation of routes");
                None
            }
            other => {
                self.warn("invalid-value", kind.span, format!("Unknown encap type - {other}"));
                None
            }
        }
    }

    fn encap_ip(&mut self, line: &Statement, words: &mut Words<'_>) -> Option<Encap> {
        let (mut id, mut destination, mut source, mut tos, mut ttl) = (None, None, None, None, None);
        while let Some(word) = words.peek() {
            let name = word.as_str();
            if !matches!(name, "id" | "dst" | "src" | "tos" | "ttl") {
                break;
            }
            words.next();
            let value = self.value(word, line, words)?;
            let text = value.as_str();
            match name {
                "id" => {
                    let consequence = format!("encap id {text} value is invalid");
                    id = Some(u64::try_from(self.integer(value, 0..=i64::MAX, &consequence)?).ok()?);
                }
                "dst" | "src" => {
                    let Ok(address) = text.parse::<Ipv4Addr>() else {
                        self.invalid_ip(value, format!("invalid encap {name} address {text}"));
                        return None;
                    };
                    *(if name == "dst" { &mut destination } else { &mut source }) = Some(address);
                }
                _ => {
                    let consequence = format!("{name} {text} is not valid for ip encapsulation");
                    let number = u8::try_from(self.integer(value, 0..=255, &consequence)?).ok();
                    *(if name == "tos" { &mut tos } else { &mut ttl }) = number;
                }
            }
        }
        Some(Encap::Ip { id, destination, source, tos, ttl })
    }

    /// What is refused because the kernel would have to be asked for something else than the line says.
    pub(super) fn not_supported(&mut self, word: &Word, of: &str) {
        let message =
            format!("`{}` of {of} is not supported yet, and leaving it out would change where traffic goes", word.text);
        self.report(
            Diagnostic::new(Severity::Unsupported, "not-supported", word.span, message)
                .label("vrrpd does not start with this")
                .help("add the route in a notify script, or stay with keepalived for now"),
        );
    }

    /// `FROM/TO` or `TO`, by name or number.
    pub(super) fn realms(&self, text: &str) -> Option<(u16, u16)> {
        let realm = |text: &str| {
            let number = super::value::integer(text, &(0..=255)).ok().and_then(|n| u32::try_from(n).ok());
            let found = number.or_else(|| self.host.routing_name(RoutingNames::Realms, text))?;
            u16::try_from(found).ok()
        };
        match text.split_once('/') {
            Some((from, to)) => Some((realm(from)?, realm(to)?)),
            None => Some((0, realm(text)?)),
        }
    }

    fn route_address(&mut self, what: &str, value: &Word) -> Option<IpAddr> {
        let address = value.as_str().parse().ok();
        if address.is_none() {
            self.invalid_ip(value, format!("invalid route {what} address {}", value.text));
        }
        address
    }

    /// `via A dev D weight N onlink` after `nexthop`.
    fn next_hop(&mut self, words: &mut Words<'_>) -> Option<NextHop> {
        let mut hop = NextHop { via: None, interface: None, weight: 1, onlink: false };
        while let Some(word) = words.peek() {
            match word.as_str() {
                "via" | "dev" | "weight" => {
                    words.next();
                    let Some(value) = words.next() else {
                        self.warn("missing-value", word.span, format!("nexthop {} has no value", word.text));
                        return None;
                    };
                    match word.as_str() {
                        "via" => hop.via = Some(self.route_address("nexthop via", value)?),
                        "dev" => hop.interface = Some(value.as_str().to_owned()),
                        _ => {
                            let consequence = format!("Invalid nexthop weight {} specified for route", value.text);
                            let weight = self.integer(value, 1..=256, &consequence);
                            hop.weight = weight.and_then(|n| u16::try_from(n).ok()).unwrap_or(1);
                        }
                    }
                }
                "onlink" => {
                    words.next();
                    hop.onlink = true;
                }
                _ => break,
            }
        }
        Some(hop)
    }

    pub(super) fn routing_number(&mut self, kind: RoutingNames, word: &Word, what: &str, of: &str) -> Option<u32> {
        let text = word.as_str();
        let number = super::value::integer(text, &(0..=i64::from(u32::MAX))).ok().and_then(|n| u32::try_from(n).ok());
        let builtin = match (kind, text) {
            (RoutingNames::Tables, "main") => Some(TABLE_MAIN),
            (RoutingNames::Tables, "local") => Some(255),
            (RoutingNames::Tables, "default") => Some(253),
            (RoutingNames::Protocols, "kernel") => Some(2),
            (RoutingNames::Protocols, "boot") => Some(3),
            (RoutingNames::Protocols, "static") => Some(4),
            _ => None,
        };
        let found = number.or(builtin).or_else(|| self.host.routing_name(kind, text));
        if found.is_none() {
            self.warn("not-found", word.span, format!("{what} {text} not found for {of}"));
        }
        found
    }
}

/// Where a route goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Destination {
    Default,
    Address(IpAddr, u8),
}

fn route_kind(text: &str) -> Option<RouteKind> {
    Some(match text {
        "unicast" => RouteKind::Unicast,
        "local" => RouteKind::Local,
        "broadcast" => RouteKind::Broadcast,
        "multicast" => RouteKind::Multicast,
        "throw" => RouteKind::Throw,
        "unreachable" => RouteKind::Unreachable,
        "prohibit" => RouteKind::Prohibit,
        "blackhole" => RouteKind::Blackhole,
        "nat" => RouteKind::Nat,
        _ => return None,
    })
}

fn is_route_option(text: &str) -> bool {
    const OWN: &[&str] = &[
        "via",
        "gw",
        "or",
        "src",
        "dev",
        "oif",
        "table",
        "metric",
        "priority",
        "preference",
        "scope",
        "proto",
        "protocol",
        "tos",
        "dsfield",
        "realms",
        "realm",
        "features",
        "congctl",
        "pref",
        "ttl-propagate",
    ];
    OWN.contains(&text) || NOT_SUPPORTED.contains(&text) || metric_kind(text).is_some()
}

/// How the value of a metric is written.
enum Unit {
    /// A number up to this.
    Plain(u32),
    /// Milliseconds, or with `s` seconds; kept in units of which a millisecond has so many.
    Time(u32),
}

/// A metric as the file names it.
struct MetricKind {
    metric: Metric,
    unit: Unit,
    lockable: bool,
}

fn metric_kind(name: &str) -> Option<MetricKind> {
    let any = Unit::Plain(u32::MAX);
    let (metric, unit, lockable) = match name {
        "mtu" => (Metric::Mtu, any, true),
        "hoplimit" => (Metric::HopLimit, Unit::Plain(255), false),
        "advmss" => (Metric::AdvertisedMss, any, true),
        "rtt" => (Metric::RoundTripTime, Unit::Time(8), true),
        "rttvar" => (Metric::RoundTripVariance, Unit::Time(4), true),
        "reordering" => (Metric::Reordering, any, true),
        "window" => (Metric::Window, any, false),
        "cwnd" => (Metric::CongestionWindow, any, true),
        "ssthresh" => (Metric::SlowStartThreshold, any, true),
        "rto_min" => (Metric::MinimumRetransmission, Unit::Time(1), true),
        "initcwnd" => (Metric::InitialCongestionWindow, any, false),
        "initrwnd" => (Metric::InitialReceiveWindow, any, false),
        "quickack" => (Metric::QuickAck, Unit::Plain(1), false),
        "fastopen_no_cookie" => (Metric::FastOpenNoCookie, Unit::Plain(1), false),
        _ => return None,
    };
    Some(MetricKind { metric, unit, lockable })
}

/// `200`, `200ms` or `2s`.
fn milliseconds(text: &str) -> Option<u32> {
    let (digits, factor) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(digits), _) => (digits, 1),
        (None, Some(digits)) => (digits, 1000),
        (None, None) => (text, 1),
    };
    digits.parse::<u32>().ok()?.checked_mul(factor).filter(|&number| number <= MILLISECONDS_MAX)
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn times_of_metrics() {
        for (text, expected) in [("200", Some(200)), ("200ms", Some(200)), ("2s", Some(2000)), ("x", None), ("s", None)]
        {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
        assert_eq!(milliseconds("4294967295"), None);
    }
}
