//! Addresses as the kernel takes them.

use super::{address_family, emit};
use crate::packet::Family;
use crate::vrrp::settings::VirtualAddress;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope, CacheInfo,
};
use std::net::IpAddr;

/// The prefix length the kernel has for this line: the peer's, where there is one.
pub(super) fn prefix_length(vip: &VirtualAddress) -> u8 {
    vip.peer.map_or(vip.prefix, |(_, prefix)| prefix)
}

/// What `ip address add` would send for this line of `virtual_ipaddress`.
pub(super) fn address_message(index: u32, device: &str, vip: &VirtualAddress) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.family = address_family(Family::of(vip.address));
    message.header.prefix_len = prefix_length(vip);
    message.header.scope = vip.scope.map_or(AddressScope::Universe, AddressScope::from);
    message.attributes.push(AddressAttribute::Local(vip.address));
    message.attributes.push(AddressAttribute::Address(vip.peer.map_or(vip.address, |(peer, _)| peer)));
    match vip.address {
        IpAddr::V4(v4) => {
            if let Some(broadcast) = vip.broadcast.address(v4, vip.prefix) {
                message.attributes.push(AddressAttribute::Broadcast(broadcast));
            }
            if let Some(label) = &vip.label {
                let label = if label.starts_with(':') { format!("{device}{label}") } else { label.clone() };
                message.attributes.push(AddressAttribute::Label(label));
            }
        }
        IpAddr::V6(_) => add_inet6_options(&mut message, vip),
    }
    let mut flags = AddressFlags::empty();
    flags.set(AddressFlags::Noprefixroute, vip.flags.noprefixroute);
    flags.set(AddressFlags::Mcautojoin, vip.flags.autojoin);
    flags.set(AddressFlags::Homeaddress, vip.flags.home);
    flags.set(AddressFlags::Managetempaddr, vip.flags.mngtmpaddr);
    flags.set(AddressFlags::Nodad, vip.address.is_ipv6() && !vip.flags.dad);
    if !flags.is_empty() {
        message.attributes.push(AddressAttribute::Flags(flags));
    }
    message
}

/// A host address of IPv6 is deprecated unless the file says otherwise: it must not become the source of connections.
fn add_inet6_options(message: &mut AddressMessage, vip: &VirtualAddress) {
    message.header.flags.set(AddressHeaderFlags::Nodad, !vip.flags.dad);
    let preferred = match vip.preferred_lifetime {
        Some(seconds) => seconds,
        None if vip.prefix == 128 => 0,
        None => u32::MAX,
    };
    if preferred != u32::MAX {
        let mut cache = CacheInfo::default();
        cache.ifa_preferred = preferred;
        cache.ifa_valid = u32::MAX;
        message.attributes.push(AddressAttribute::CacheInfo(cache));
    }
}

/// The request that takes an address away. The peer is left out: with it the kernel would look for its network.
pub(super) fn removal(index: u32, address: IpAddr, prefix: u8) -> Vec<u8> {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = prefix;
    message.header.family = address_family(Family::of(address));
    message.attributes.push(AddressAttribute::Local(address));
    emit(RouteNetlinkMessage::DelAddress(message), super::socket::ACKNOWLEDGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vrrp::settings::Broadcast;
    use std::net::Ipv4Addr;

    #[test]
    fn broadcast_of_a_prefix() {
        let address = Ipv4Addr::new(10, 99, 3, 50);
        for (kind, prefix, expected) in [
            (Broadcast::None, 24, None),
            (Broadcast::Ones, 24, Some(Ipv4Addr::new(10, 99, 3, 255))),
            (Broadcast::Zeros, 24, Some(Ipv4Addr::new(10, 99, 3, 0))),
            (Broadcast::Ones, 32, Some(address)),
            (Broadcast::Ones, 0, Some(Ipv4Addr::BROADCAST)),
        ] {
            assert_eq!(kind.address(address, prefix), expected);
        }
    }

    #[test]
    fn labels_and_options_reach_the_message() {
        let mut vip = VirtualAddress::new(IpAddr::from([10, 0, 0, 9]), 24);
        vip.label = Some(":1".to_owned());
        vip.scope = Some(253);
        let message = address_message(3, "eth0", &vip);
        assert!(message.attributes.contains(&AddressAttribute::Label("eth0:1".to_owned())));
        assert_eq!((message.header.index, message.header.prefix_len), (3, 24));
        assert_eq!(message.header.scope, AddressScope::Link);
        let six = VirtualAddress::new("fd00::9".parse().unwrap(), 128);
        let message = address_message(3, "eth0", &six);
        let deprecated = |attribute: &AddressAttribute| matches!(attribute, AddressAttribute::CacheInfo(info) if info.ifa_preferred == 0);
        assert!(message.attributes.iter().any(deprecated));
    }
}
