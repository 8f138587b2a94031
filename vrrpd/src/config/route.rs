//! Lines of `virtual_routes`, `static_routes`, `virtual_rules` and `static_rules`, in the words of ip-route(8) and
//! ip-rule(8).

use super::model::{Family, NextHop, Route, RouteKind, Rule, RuleAction};
use super::value::{address_and_prefix, full_prefix};
use super::{Lowering, RoutingNames};
use shared_config::diagnostic::Diagnostic;
use shared_config::keepalived::ast::Statement;
use shared_config::words::{Word, Words};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The table of routes without one (`RT_TABLE_MAIN`).
const TABLE_MAIN: u32 = 254;

/// The preference of the first rule without one; keepalived counts down from here.
const RULE_PREFERENCE: u32 = 16_384;

/// Options of routes that take a value and are read but not passed on.
const ROUTE_VALUES: &[&str] = &[
    "hoplimit",
    "advmss",
    "rtt",
    "rttvar",
    "reordering",
    "window",
    "cwnd",
    "ssthresh",
    "realms",
    "realm",
    "rto_min",
    "initcwnd",
    "initrwnd",
    "features",
    "quickack",
    "congctl",
    "pref",
    "fastopen_no_cookie",
    "ttl-propagate",
    "vrf",
    "encap",
    "as",
];

/// Options of rules that take a value and are read but not passed on.
const RULE_VALUES: &[&str] = &[
    "realms",
    "uidrange",
    "protocol",
    "ip_proto",
    "ipproto",
    "sport",
    "dport",
    "tun_id",
    "suppress_prefixlength",
    "suppress_ifgroup",
];

/// A route or a rule, and the track group it names.
pub(super) struct Line<'a, T> {
    pub(super) item: T,
    pub(super) track_group: Option<&'a Word>,
}

impl Lowering<'_> {
    /// A route; `None` where keepalived leaves it out.
    pub(super) fn route_line<'a>(&mut self, line: &'a Statement, is_static: bool) -> Option<Line<'a, Route>> {
        let mut words = line.words();
        let mut route = Route {
            family: Family::Inet,
            kind: RouteKind::Unicast,
            to: (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            via: None,
            interface: None,
            source: None,
            table: TABLE_MAIN,
            metric: None,
            scope: None,
            protocol: None,
            tos: None,
            mtu: None,
            onlink: false,
            next_hops: Vec::new(),
            append: false,
            track: true,
            track_group: Vec::new(),
            not_applied: Vec::new(),
        };
        let mut to = None;
        let mut track_group = None;
        while let Some(word) = words.next() {
            match word.as_str() {
                "inet6" => route.family = Family::Inet6,
                "append" => route.append = true,
                "onlink" => route.onlink = true,
                "no_track" => route.track = false,
                "nexthop" => route.next_hops.push(self.next_hop(&mut words)?),
                "track_group" if is_static => track_group = Some(self.value(word, line, &mut words)?),
                text => match route_kind(text) {
                    Some(kind) => {
                        route.kind = kind;
                        let value = self.value(word, line, &mut words)?;
                        to = Some(self.destination(value)?);
                    }
                    None if text == "to" => {
                        let value = self.value(word, line, &mut words)?;
                        to = Some(self.destination(value)?);
                    }
                    None if is_route_option(text) => {
                        let value = self.value(word, line, &mut words)?;
                        self.route_option(word, value, &mut route)?;
                    }
                    None => to = Some(self.destination(word)?),
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
    fn value<'w>(&mut self, word: &Word, line: &Statement, words: &mut Words<'w>) -> Option<&'w Word> {
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

    fn destination(&mut self, word: &Word) -> Option<Destination> {
        if matches!(word.as_str(), "default" | "all") {
            return Some(Destination::Default);
        }
        let parsed = address_and_prefix(word.as_str()).and_then(|(address, prefix)| {
            let full = full_prefix(address);
            let length = prefix.map_or(Some(full), |prefix| prefix.parse().ok().filter(|&n| n <= full))?;
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

    fn route_option(&mut self, option: &Word, value: &Word, route: &mut Route) -> Option<()> {
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
            "dev" | "oif" => {
                if !self.host.has_interface(text) {
                    let message = format!("WARNING - interface {text} for VROUTE nexthop doesn't exist");
                    self.warn("no-device", value.span, message);
                }
                route.interface = Some(text.to_owned());
            }
            "table" => route.table = self.routing_number(RoutingNames::Tables, value, "Routing table", "route")?,
            "metric" | "priority" | "preference" => {
                let consequence = format!("Invalid metric {text} specified for route");
                let metric = self.integer(value, 0..=i64::from(u32::MAX), &consequence)?;
                route.metric = u32::try_from(metric).ok();
            }
            "mtu" => {
                let consequence = format!("Invalid mtu {text} specified for route");
                let mtu = self.integer(value, 0..=i64::from(u32::MAX), &consequence)?;
                route.mtu = u32::try_from(mtu).ok();
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
            other => route.not_applied.push(other.to_owned()),
        }
        Some(())
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

    fn routing_number(&mut self, kind: RoutingNames, word: &Word, what: &str, of: &str) -> Option<u32> {
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

    /// A rule; `None` where keepalived leaves it out.
    pub(super) fn rule_line<'a>(&mut self, line: &'a Statement, is_static: bool) -> Option<Line<'a, Rule>> {
        let mut words = line.words();
        let mut rule = Rule {
            family: Family::Inet,
            not: false,
            from: None,
            to: None,
            tos: None,
            fwmark: None,
            incoming: None,
            outgoing: None,
            preference: 0,
            action: RuleAction::Nop,
            track: true,
            track_group: Vec::new(),
            not_applied: Vec::new(),
        };
        let mut track_group = None;
        let mut action = None;
        let mut preference = None;
        while let Some(word) = words.next() {
            match word.as_str() {
                "not" => rule.not = true,
                "inet6" => rule.family = Family::Inet6,
                "no_track" => rule.track = false,
                "l3mdev" => rule.not_applied.push("l3mdev".to_owned()),
                "blackhole" => action = Some(RuleAction::Blackhole),
                "prohibit" => action = Some(RuleAction::Prohibit),
                "unreachable" => action = Some(RuleAction::Unreachable),
                "nop" => action = Some(RuleAction::Nop),
                "type" => {}
                "track_group" if is_static => track_group = Some(self.value(word, line, &mut words)?),
                text if is_rule_option(text) => {
                    let value = self.value(word, line, &mut words)?;
                    match self.rule_option(word, value, &mut rule)? {
                        RuleOption::Match => {}
                        RuleOption::Action(found) => action = Some(found),
                        RuleOption::Preference(found) => preference = Some(found),
                    }
                }
                other => {
                    self.warn("unknown-option", word.span, format!("Unknown rule option {other}"));
                    return None;
                }
            }
        }
        let Some(action) = action else {
            self.warn("missing-value", line.span, "No action specified for rule - ignoring");
            return None;
        };
        let preference = preference.unwrap_or_else(|| {
            let assigned = RULE_PREFERENCE.saturating_sub(self.rules_without_preference);
            self.rules_without_preference += 1;
            let message = format!(
                "Rule has no preference specified - setting to {assigned}. This is probably not what you want."
            );
            self.warn("rule-preference", line.span, message);
            assigned
        });
        Some(Line { item: Rule { preference, action, ..rule }, track_group })
    }

    fn rule_option(&mut self, option: &Word, value: &Word, rule: &mut Rule) -> Option<RuleOption> {
        let text = value.as_str();
        match option.as_str() {
            name @ ("from" | "to") => {
                let Some((address, prefix)) = address_and_prefix(text).filter(|_| !matches!(text, "all" | "default"))
                else {
                    if matches!(text, "all" | "default") {
                        return Some(RuleOption::Match);
                    }
                    self.invalid_ip(value, format!("Invalid rule {name} address {text}"));
                    return None;
                };
                let full = full_prefix(address);
                let length = prefix.map_or(full, |prefix| prefix.parse().unwrap_or(full).min(full));
                if address.is_ipv6() {
                    rule.family = Family::Inet6;
                }
                *(if name == "from" { &mut rule.from } else { &mut rule.to }) = Some((address, length));
            }
            "table" | "lookup" => {
                let table = self.routing_number(RoutingNames::Tables, value, "Routing table", "rule")?;
                return Some(RuleOption::Action(RuleAction::Table(table)));
            }
            "goto" => {
                let consequence = format!("Invalid goto target {text} specified for rule");
                let target = self.integer(value, 1..=i64::from(u32::MAX), &consequence)?;
                return Some(RuleOption::Action(RuleAction::Goto(u32::try_from(target).ok()?)));
            }
            "priority" | "preference" | "order" => {
                let consequence = format!("Invalid rule preference {text} specified");
                let number = self.integer(value, 0..=i64::from(u32::MAX), &consequence)?;
                return Some(RuleOption::Preference(u32::try_from(number).ok()?));
            }
            "iif" | "dev" => rule.incoming = Some(text.to_owned()),
            "oif" => rule.outgoing = Some(text.to_owned()),
            "tos" | "dsfield" => {
                let number = self.routing_number(RoutingNames::TypesOfService, value, "TOS value", "rule")?;
                rule.tos = u8::try_from(number).ok();
            }
            "fwmark" => {
                let (mark, mask) = text.split_once('/').unwrap_or((text, "0xffffffff"));
                let number = |text| super::value::integer(text, &(0..=i64::from(u32::MAX)));
                match (number(mark), number(mask)) {
                    (Ok(mark), Ok(mask)) => rule.fwmark = Some((u32::try_from(mark).ok()?, u32::try_from(mask).ok()?)),
                    (Err(problem), _) | (_, Err(problem)) => {
                        let consequence = format!("Invalid fwmark {text} specified for rule");
                        self.report(Diagnostic::warning("invalid-number", value.span, problem).label(consequence));
                        return None;
                    }
                }
            }
            other => rule.not_applied.push(other.to_owned()),
        }
        Some(RuleOption::Match)
    }
}

/// Where a route goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Destination {
    Default,
    Address(IpAddr, u8),
}

/// What an option of a rule was.
enum RuleOption {
    Match,
    Action(RuleAction),
    Preference(u32),
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
        "mtu",
        "scope",
        "proto",
        "protocol",
        "tos",
        "dsfield",
    ];
    OWN.contains(&text) || ROUTE_VALUES.contains(&text)
}

fn is_rule_option(text: &str) -> bool {
    const OWN: &[&str] = &[
        "from",
        "to",
        "table",
        "lookup",
        "goto",
        "priority",
        "preference",
        "order",
        "iif",
        "dev",
        "oif",
        "tos",
        "dsfield",
        "fwmark",
    ];
    OWN.contains(&text) || RULE_VALUES.contains(&text)
}
