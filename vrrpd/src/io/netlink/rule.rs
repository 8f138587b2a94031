//! Rules as the kernel takes and reports them.

use super::frame::{HEADER, attributes};
use super::report::{ROUTE_HEADER, ip, number, text};
use super::{address_family, emit};
use crate::route::{PROTOCOL, Prefix, Rule, RuleAction};
use netlink_packet_core::DefaultNla;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{RouteProtocol, RouteRealm};
use netlink_packet_route::rule::{
    RuleAction as Action, RuleAttribute, RuleFlags, RuleMessage, RulePortRange, RuleUidRange,
};
use std::net::IpAddr;

/// Numbers of `FRA_…`
const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_GOTO: u16 = 4;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_TABLE: u16 = 15;
const FRA_OIFNAME: u16 = 17;
/// `FRA_IP_PROTO`
const ATTRIBUTE_IP_PROTOCOL: u16 = 22;
/// `FIB_RULE_INVERT`
const INVERT: u32 = 2;
/// `RT_TABLE_UNSPEC`: the number is in an attribute.
const TABLE_IN_ATTRIBUTE: u8 = 0;

/// What makes two rules of the kernel the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleKey {
    inet6: bool,
    preference: u32,
    not: bool,
    from: Option<Prefix>,
    to: Option<Prefix>,
    tos: u8,
    mark: u32,
    incoming: Option<String>,
    outgoing: Option<String>,
    table: u32,
    goto: u32,
    action: u8,
}

impl RuleKey {
    /// Of a rule that is wanted: read from the request, so that both sides are read in the same way.
    pub fn of(rule: &Rule) -> Option<Self> {
        Self::reported(rule_request(rule, false, 0).get(HEADER..)?)
    }

    /// Of a rule that the kernel reports, `fib_rule_hdr` and attributes; `None` for families without such rules.
    pub fn reported(payload: &[u8]) -> Option<Self> {
        let &[family, to_length, from_length, tos, table, _, _, action, ref flags @ ..] = payload else { return None };
        let inet6 = match i32::from(family) {
            libc::AF_INET => false,
            libc::AF_INET6 => true,
            _ => return None,
        };
        let flags = number(flags.get(..4)?)?;
        let mut key = Self {
            inet6,
            preference: 0,
            not: flags & INVERT != 0,
            from: None,
            to: None,
            tos,
            mark: 0,
            incoming: None,
            outgoing: None,
            table: u32::from(table),
            goto: 0,
            action,
        };
        for (kind, value) in attributes(payload.get(ROUTE_HEADER..)?) {
            match kind {
                FRA_SRC => key.from = Some((ip(value)?, from_length)),
                FRA_DST => key.to = Some((ip(value)?, to_length)),
                FRA_IIFNAME => key.incoming = Some(text(value)),
                FRA_OIFNAME => key.outgoing = Some(text(value)),
                FRA_PRIORITY => key.preference = number(value)?,
                FRA_FWMARK => key.mark = number(value)?,
                FRA_TABLE => key.table = number(value)?,
                FRA_GOTO => key.goto = number(value)?,
                _ => {}
            }
        }
        Some(key)
    }
}

/// The message for a rule.
pub(super) fn rule_message(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    let header = &mut message.header;
    header.family = address_family(rule.family);
    header.tos = rule.tos.unwrap_or(0);
    header.flags.set(RuleFlags::Invert, rule.not);
    header.src_len = rule.from.map_or(0, |(_, length)| length);
    header.dst_len = rule.to.map_or(0, |(_, length)| length);
    header.action = match rule.action {
        RuleAction::Table(table) => {
            header.table = u8::try_from(table).unwrap_or(TABLE_IN_ATTRIBUTE);
            Action::ToTable
        }
        RuleAction::Goto(_) => Action::Goto,
        RuleAction::Blackhole => Action::Blackhole,
        RuleAction::Prohibit => Action::Prohibit,
        RuleAction::Unreachable => Action::Unreachable,
        RuleAction::Nop => Action::Nop,
    };
    message.attributes = attributes_of(rule);
    message
}

fn attributes_of(rule: &Rule) -> Vec<RuleAttribute> {
    let mut attributes = vec![RuleAttribute::Priority(rule.preference)];
    let network = |(address, length): Prefix| -> Option<IpAddr> { (length > 0).then_some(address) };
    attributes.extend(rule.from.and_then(network).map(RuleAttribute::Source));
    attributes.extend(rule.to.and_then(network).map(RuleAttribute::Destination));
    if let Some((mark, mask)) = rule.fwmark {
        attributes.extend([RuleAttribute::FwMark(mark), RuleAttribute::FwMask(mask)]);
    }
    attributes.extend(rule.incoming.clone().map(RuleAttribute::Iifname));
    attributes.extend(rule.outgoing.clone().map(RuleAttribute::Oifname));
    match rule.action {
        RuleAction::Table(table) if u8::try_from(table).is_err() => attributes.push(RuleAttribute::Table(table)),
        RuleAction::Goto(target) => attributes.push(RuleAttribute::Goto(target)),
        RuleAction::Table(_)
        | RuleAction::Blackhole
        | RuleAction::Prohibit
        | RuleAction::Unreachable
        | RuleAction::Nop => {}
    }
    if let Some((source, destination)) = rule.realms {
        attributes.push(RuleAttribute::Realm(RouteRealm { source, destination }));
    }
    if let Some((start, end)) = rule.uids {
        attributes.push(RuleAttribute::UidRange(RuleUidRange { start, end }));
    }
    if let Some(number) = rule.ip_protocol {
        attributes.push(RuleAttribute::Other(DefaultNla::new(ATTRIBUTE_IP_PROTOCOL, vec![number])));
    }
    if let Some((start, end)) = rule.source_ports {
        attributes.push(RuleAttribute::SourcePortRange(RulePortRange { start, end }));
    }
    if let Some((start, end)) = rule.destination_ports {
        attributes.push(RuleAttribute::DestinationPortRange(RulePortRange { start, end }));
    }
    attributes.extend(rule.tunnel.map(RuleAttribute::TunId));
    attributes.extend(rule.suppress_prefix_length.map(RuleAttribute::SuppressPrefixLen));
    attributes.extend(rule.suppress_group.map(RuleAttribute::SuppressIfGroup));
    if rule.l3mdev {
        attributes.push(RuleAttribute::L3MDev(true));
    }
    attributes.push(RuleAttribute::Protocol(RouteProtocol::from(rule.protocol.unwrap_or(PROTOCOL))));
    attributes
}

/// The request that makes or removes a rule.
pub(super) fn rule_request(rule: &Rule, delete: bool, flags: u16) -> Vec<u8> {
    let message = rule_message(rule);
    let message = if delete { RouteNetlinkMessage::DelRule(message) } else { RouteNetlinkMessage::NewRule(message) };
    emit(message, flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Family;

    #[test]
    fn every_option_reaches_the_message() {
        let mut rule = Rule::new(Family::Inet, 1000, RuleAction::Table(1000));
        rule.from = Some(("10.80.0.0".parse().unwrap(), 16));
        rule.fwmark = Some((0x10, 0xff));
        rule.source_ports = Some((10, 20));
        rule.ip_protocol = Some(6);
        rule.not = true;
        let message = rule_message(&rule);
        assert_eq!((message.header.src_len, message.header.dst_len), (16, 0));
        assert!(message.header.flags.contains(RuleFlags::Invert));
        for wanted in [
            RuleAttribute::Priority(1000),
            RuleAttribute::Source("10.80.0.0".parse().unwrap()),
            RuleAttribute::FwMark(0x10),
            RuleAttribute::FwMask(0xff),
            RuleAttribute::Table(1000),
            RuleAttribute::SourcePortRange(RulePortRange { start: 10, end: 20 }),
            RuleAttribute::Protocol(RouteProtocol::from(PROTOCOL)),
        ] {
            assert!(message.attributes.contains(&wanted), "{wanted:?}");
        }
    }

    #[test]
    fn rules_that_differ_in_one_match_are_two() {
        let rule = Rule::new(Family::Inet, 1000, RuleAction::Table(7));
        let mut other = rule.clone();
        other.incoming = Some("eth0".to_owned());
        assert_ne!(RuleKey::of(&rule), RuleKey::of(&other));
        assert_eq!(RuleKey::of(&rule), RuleKey::of(&rule.clone()));
    }
}
