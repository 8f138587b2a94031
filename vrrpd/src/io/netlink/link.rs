//! Interfaces as the kernel takes them: the macvlans of `use_vmac`.

use super::emit;
use super::socket::{ACKNOWLEDGE, CREATE, EXCLUSIVE};
use crate::packet::arp::Mac;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoMacVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, MacVlanMode,
};

/// A macvlan that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Macvlan {
    /// Its name.
    pub name: String,
    /// The interface below it.
    pub base: String,
    /// Its hardware address.
    pub mac: Mac,
    /// `group`: the interface group, for `ip link` and filters.
    pub group: Option<u32>,
}

/// In private mode the macvlans of one interface do not hear each other, as keepalived makes them.
pub(super) fn macvlan_request(macvlan: &Macvlan, base: u32) -> Vec<u8> {
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(macvlan.name.clone()),
        LinkAttribute::Link(base),
        LinkAttribute::Address(macvlan.mac.to_vec()),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::MacVlan),
            LinkInfo::Data(InfoData::MacVlan(vec![InfoMacVlan::Mode(MacVlanMode::Private)])),
        ]),
    ];
    message.attributes.extend(macvlan.group.map(LinkAttribute::Group));
    emit(RouteNetlinkMessage::NewLink(message), ACKNOWLEDGE | CREATE | EXCLUSIVE)
}

pub(super) fn removal(index: u32) -> Vec<u8> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    emit(RouteNetlinkMessage::DelLink(message), ACKNOWLEDGE)
}

pub(super) fn up(index: u32) -> Vec<u8> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    emit(RouteNetlinkMessage::SetLink(message), ACKNOWLEDGE)
}

#[cfg(test)]
mod tests {
    use super::super::report::{Report, reports};
    use super::*;

    #[test]
    fn the_request_reads_as_the_link_it_makes() {
        let macvlan = Macvlan {
            name: "vrrp.51".to_owned(),
            base: "eth0".to_owned(),
            mac: [0, 0, 0x5e, 0, 1, 51],
            group: Some(7),
        };
        let Some(Report::Link(link)) = reports(&macvlan_request(&macvlan, 2)).pop() else { panic!() };
        assert_eq!((link.name, link.mac, link.base, link.macvlan), (macvlan.name, macvlan.mac, Some(2), true));
    }
}
