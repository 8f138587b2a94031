//! Addresses, routes and rules, in the words of keepalived's dumps, which are nearly those of ip(8).

use crate::command::{Command, Form};
use crate::config::model::{Broadcast, Lifetime, VirtualAddress};
use crate::route::{Metric, PROTOCOL, Route, RouteKind, Rule, RuleAction, TABLE_MAIN};
use std::net::{IpAddr, Ipv4Addr};

/// An address of an instance whose addresses are on `device` unless they name another.
pub(super) fn address(vip: &VirtualAddress, device: &str, set: bool) -> String {
    let is_host = vip.prefix_length == host_length(vip.address);
    let mut words = vec![match vip.peer {
        Some((peer, length)) => format!("{} peer {peer}/{length}", vip.address),
        None if is_host => vip.address.to_string(),
        None => format!("{}/{}", vip.address, vip.prefix_length),
    }];
    words.extend(broadcast(vip).map(|broadcast| format!("brd {broadcast}")));
    words.push(format!("dev {} scope {}", vip.interface.as_deref().unwrap_or(device), scope(vip.scope)));
    words.extend(vip.label.as_ref().map(|label| format!("label {label}")));
    words.extend(match vip.preferred_lifetime {
        Some(Lifetime::Seconds(seconds)) => Some(format!("preferred_lft {seconds}")),
        None if vip.address.is_ipv6() && is_host => Some("preferred_lft 0".to_owned()),
        Some(Lifetime::Forever) => Some("preferred_lft forever".to_owned()),
        None if vip.address.is_ipv6() => Some("preferred_lft forever".to_owned()),
        None => None,
    });
    let flags = [
        (vip.home, "home"),
        (vip.dad, "-nodad"),
        (vip.manage_temp_address, "mngtmpaddr"),
        (vip.no_prefix_route, "noprefixroute"),
        (vip.autojoin, "autojoin"),
        (!vip.track, "no_track"),
        (set, "set"),
    ];
    words.extend(flags.into_iter().filter(|(given, _)| *given).map(|(_, word)| word.to_owned()));
    words.join(" ")
}

fn host_length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn broadcast(vip: &VirtualAddress) -> Option<Ipv4Addr> {
    let IpAddr::V4(address) = vip.address else { return None };
    let mask = u32::MAX.checked_shl(32 - u32::from(vip.prefix_length.min(32))).unwrap_or(0);
    match vip.broadcast {
        Broadcast::None => None,
        Broadcast::HostOnes => Some(Ipv4Addr::from(u32::from(address) | !mask)),
        Broadcast::HostZeros => Some(Ipv4Addr::from(u32::from(address) & mask)),
        Broadcast::Address(address) => Some(address),
    }
}

fn scope(number: u8) -> String {
    match number {
        0 => "global".to_owned(),
        200 => "site".to_owned(),
        253 => "link".to_owned(),
        254 => "host".to_owned(),
        other => other.to_string(),
    }
}

fn network(to: (IpAddr, u8)) -> String {
    match to {
        (_, 0) => "default".to_owned(),
        (address, length) if length == host_length(address) => address.to_string(),
        (address, length) => format!("{address}/{length}"),
    }
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "inet" } else { "inet6" }
}

/// A route.
pub(super) fn route(route: &Route) -> String {
    let mut words: Vec<String> = vec![if route.append { "append" } else { "prepend" }.to_owned()];
    words.extend((route.kind != RouteKind::Unicast).then(|| route.kind.word().to_owned()));
    words.push(network(route.to));
    words.extend(route.via.map(|via| format!("via {} {via}", family(via))));
    words.extend(route.source.map(|source| format!("src {source}")));
    words.extend(route.interface.as_ref().map(|interface| format!("dev {interface}")));
    words.extend((route.table != TABLE_MAIN).then(|| format!("table {}", route.table)));
    words.push(format!("proto {}", route.protocol.unwrap_or(PROTOCOL)));
    words.extend(route.tos.map(|tos| format!("tos 0x{tos:x}")));
    words.extend(route.metric.map(|metric| format!("metric {metric}")));
    words.extend(route.scope.map(|scope| format!("scope {scope}")));
    words.extend(route.metrics.get(&Metric::Mtu).map(|(mtu, _)| format!("mtu {mtu}")));
    for hop in &route.next_hops {
        words.push("nexthop".to_owned());
        words.extend(hop.via.map(|via| format!("via {} {via}", family(via))));
        words.extend(hop.interface.as_ref().map(|interface| format!("dev {interface}")));
        words.push(format!("weight {}", hop.weight));
    }
    words.extend((!route.track).then(|| "no_track".to_owned()));
    words.join(" ")
}

/// A rule.
pub(super) fn rule(rule: &Rule) -> String {
    let mut words: Vec<String> = Vec::new();
    words.extend(rule.not.then(|| "not".to_owned()));
    words.extend(rule.from.map(|from| format!("from {}", network(from))));
    words.extend(rule.to.map(|to| format!("to {}", network(to))));
    words.push(format!("priority {}", rule.preference));
    words.extend(rule.fwmark.map(|(mark, mask)| format!("fwmark 0x{mark:x}/0x{mask:x}")));
    words.extend(rule.incoming.as_ref().map(|interface| format!("iif {interface}")));
    words.extend(rule.outgoing.as_ref().map(|interface| format!("oif {interface}")));
    words.push(format!("tos 0x{:x}", rule.tos.unwrap_or(0)));
    words.push(format!("protocol {}", rule.protocol.unwrap_or(PROTOCOL)));
    words.push(match rule.action {
        RuleAction::Table(table) => format!("lookup {table}"),
        RuleAction::Goto(preference) => format!("goto {preference}"),
        RuleAction::Blackhole => "type blackhole".to_owned(),
        RuleAction::Prohibit => "type prohibit".to_owned(),
        RuleAction::Unreachable => "type unreachable".to_owned(),
        RuleAction::Nop => "type nop".to_owned(),
    });
    words.extend((!rule.track).then(|| "no_track".to_owned()));
    words.join(" ")
}

/// A command: each word in quotes.
pub(super) fn command(command: &Command) -> String {
    match &command.form {
        Form::Exec(words) => words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        Form::Shell(line) => format!("'{line}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_recorded_dump() {
        let text = "vrrp_instance V {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n\
                    192.0.2.51/24 dev eth0 label eth0:1 brd + scope link\n192.0.2.60\n}\n\
                    virtual_ipaddress_excluded {\n2001:db8::50/64\n}\n}\n";
        let (model, _) = crate::dump::tests::plan(text);
        let instance = &model.instances[0];
        let shown = |vip| address(vip, "eth0", false);
        assert_eq!(shown(&instance.addresses[0]), "192.0.2.51/24 brd 192.0.2.255 dev eth0 scope link label eth0:1");
        assert_eq!(shown(&instance.addresses[1]), "192.0.2.60 dev eth0 scope global");
        assert_eq!(
            shown(&instance.excluded_addresses[0]),
            "2001:db8::50/64 dev eth0 scope global preferred_lft forever"
        );
    }

    /// As keepalived 2.2.7 writes them.
    #[test]
    fn routes_and_rules_of_a_recorded_dump() {
        let mut recorded = Route::new((IpAddr::from([198, 51, 100, 0]), 24));
        recorded.via = Some(IpAddr::from([192, 0, 2, 1]));
        (recorded.interface, recorded.table) = (Some("eth0".to_owned()), 100);
        assert_eq!(route(&recorded), "prepend 198.51.100.0/24 via inet 192.0.2.1 dev eth0 table 100 proto 18");
        let mut recorded = Rule::new(crate::packet::Family::Inet, 200, RuleAction::Table(100));
        recorded.from = Some((IpAddr::from([192, 0, 2, 50]), 32));
        assert_eq!(rule(&recorded), "from 192.0.2.50 priority 200 tos 0x0 protocol 18 lookup 100");
    }
}
