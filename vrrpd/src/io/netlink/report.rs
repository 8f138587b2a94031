//! What the kernel reports about links, addresses, routes and rules: bytes in, facts out.
//!
//! Only what this daemon looks at is read, so that an attribute of a later kernel is in nobody's way. Nothing here can
//! fail: what is not whole or not known is left out.

use super::frame::{Frame, HEADER, attributes, frames};
use super::route::RouteKey;
use super::rule::RuleKey;
use crate::packet::arp::Mac;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const NEW_LINK: u16 = libc::RTM_NEWLINK;
const DEL_LINK: u16 = libc::RTM_DELLINK;
const NEW_ADDRESS: u16 = libc::RTM_NEWADDR;
const DEL_ADDRESS: u16 = libc::RTM_DELADDR;
const NEW_ROUTE: u16 = libc::RTM_NEWROUTE;
const DEL_ROUTE: u16 = libc::RTM_DELROUTE;
const NEW_RULE: u16 = libc::RTM_NEWRULE;
const DEL_RULE: u16 = libc::RTM_DELRULE;

/// Octets of `ifinfomsg`.
const LINK_HEADER: usize = 16;
/// Octets of `ifaddrmsg`.
const ADDRESS_HEADER: usize = 8;
/// Octets of `rtmsg` and `fib_rule_hdr`.
pub(super) const ROUTE_HEADER: usize = 12;
/// `IFF_UP` and `IFF_RUNNING`
const UP_AND_RUNNING: u32 = 0x41;
/// `IFLA_INFO_KIND`
const INFO_KIND: u16 = 1;

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkReport {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Up, with a carrier.
    pub running: bool,
    /// `IFF_UP`
    pub up: bool,
    /// Its hardware address; zeros when it has none of six octets.
    pub mac: Mac,
    /// The interface it is stacked on.
    pub base: Option<u32>,
    /// It is a macvlan.
    pub macvlan: bool,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressReport {
    /// Index of the interface.
    pub index: u32,
    /// The address.
    pub address: IpAddr,
    /// Its prefix length.
    pub prefix: u8,
}

/// One change, or one entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A link is there.
    Link(LinkReport),
    /// The link of this index is gone.
    LinkGone(u32),
    /// An address is there.
    Address(AddressReport),
    /// An address is gone.
    AddressGone(AddressReport),
    /// A route is there.
    Route(RouteKey),
    /// A route is gone; the port is that of the socket that asked for it, 0 for the kernel's own doing.
    RouteGone(RouteKey, u32),
    /// A rule is there.
    Rule(RuleKey),
    /// A rule is gone.
    RuleGone(RuleKey, u32),
}

/// All reports of a datagram.
pub fn reports(datagram: &[u8]) -> Vec<Report> {
    frames(datagram).filter_map(|frame| report(&frame)).collect()
}

/// The report of one frame.
pub fn report(frame: &Frame<'_>) -> Option<Report> {
    let payload = frame.whole.get(HEADER..)?;
    match frame.kind {
        NEW_LINK => link(payload).map(Report::Link),
        DEL_LINK => link_gone(payload),
        NEW_ADDRESS => address(payload).map(Report::Address),
        DEL_ADDRESS => address(payload).map(Report::AddressGone),
        NEW_ROUTE => RouteKey::reported(payload).map(Report::Route),
        DEL_ROUTE => Some(Report::RouteGone(RouteKey::reported(payload)?, frame.port)),
        NEW_RULE => RuleKey::reported(payload).map(Report::Rule),
        DEL_RULE => Some(Report::RuleGone(RuleKey::reported(payload)?, frame.port)),
        _ => None,
    }
}

fn link(payload: &[u8]) -> Option<LinkReport> {
    // Bridges report their ports in a family of their own, with less in it.
    if payload.first() != Some(&0) {
        return None;
    }
    let flags = number(payload.get(8..12)?)?;
    let mut link = LinkReport {
        index: number(payload.get(4..8)?)?,
        running: flags & UP_AND_RUNNING == UP_AND_RUNNING,
        up: flags & 1 != 0,
        ..LinkReport::default()
    };
    for (kind, value) in attributes(payload.get(LINK_HEADER..)?) {
        match kind {
            libc::IFLA_IFNAME => link.name = text(value),
            libc::IFLA_ADDRESS => link.mac = value.try_into().unwrap_or_default(),
            libc::IFLA_LINK => link.base = number(value),
            libc::IFLA_LINKINFO => {
                link.macvlan = attributes(value).any(|(kind, value)| kind == INFO_KIND && text(value) == "macvlan");
            }
            _ => {}
        }
    }
    Some(link)
}

fn link_gone(payload: &[u8]) -> Option<Report> {
    // A port that leaves its bridge is reported in the bridge's family, and the interface stays.
    (payload.first() == Some(&0)).then_some(())?;
    number(payload.get(4..8)?).map(Report::LinkGone)
}

fn address(payload: &[u8]) -> Option<AddressReport> {
    let (prefix, index) = (*payload.get(1)?, number(payload.get(4..8)?)?);
    let (mut local, mut other) = (None, None);
    for (kind, value) in attributes(payload.get(ADDRESS_HEADER..)?) {
        match kind {
            libc::IFA_LOCAL => local = ip(value),
            libc::IFA_ADDRESS => other = ip(value),
            _ => {}
        }
    }
    // On point-to-point links the other one is the peer's.
    Some(AddressReport { index, address: local.or(other)?, prefix })
}

/// An address of four or sixteen octets.
pub(super) fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::V4(Ipv4Addr::from(octets)));
    }
    <[u8; 16]>::try_from(bytes).ok().map(|octets| IpAddr::V6(Ipv6Addr::from(octets)))
}

/// A number in the byte order of the host.
pub(super) fn number(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_ne_bytes)
}

/// Text that ends with NUL.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::frame::attribute;
    use super::super::socket::message;
    use super::*;

    fn link_payload(family: u8, flags: u32) -> Vec<u8> {
        let mut payload = vec![family, 0, 1, 0];
        payload.extend(4_u32.to_ne_bytes());
        payload.extend(flags.to_ne_bytes());
        payload.extend([0; 4]);
        payload.extend(attribute(libc::IFLA_IFNAME, b"vrrp.51\0"));
        payload.extend(attribute(libc::IFLA_ADDRESS, &[0, 0, 0x5e, 0, 1, 51]));
        payload.extend(attribute(libc::IFLA_LINK, &2_u32.to_ne_bytes()));
        payload.extend(attribute(libc::IFLA_LINKINFO, &attribute(INFO_KIND, b"macvlan\0")));
        payload
    }

    #[test]
    fn a_link() {
        let bytes = message(NEW_LINK, 0, &link_payload(0, 0x43));
        let Some(Report::Link(link)) = reports(&bytes).pop() else { panic!() };
        assert_eq!((link.index, link.name.as_str(), link.base, link.macvlan), (4, "vrrp.51", Some(2), true));
        assert!(link.running && link.up);
        let down = message(NEW_LINK, 0, &link_payload(0, 1));
        let Some(Report::Link(link)) = reports(&down).pop() else { panic!() };
        assert!(link.up && !link.running);
    }

    #[test]
    fn a_bridge_port_that_leaves_its_bridge_stays_an_interface() {
        let family = u8::try_from(libc::AF_BRIDGE).unwrap();
        assert_eq!(reports(&message(DEL_LINK, 0, &link_payload(family, 0))), []);
        assert_eq!(reports(&message(DEL_LINK, 0, &link_payload(0, 0))), [Report::LinkGone(4)]);
    }

    #[test]
    fn an_address_is_the_local_one() {
        let mut payload = vec![2, 24, 0, 0];
        payload.extend(3_u32.to_ne_bytes());
        payload.extend(attribute(libc::IFA_ADDRESS, &[10, 0, 0, 2]));
        payload.extend(attribute(libc::IFA_LOCAL, &[10, 0, 0, 1]));
        let expected = AddressReport { index: 3, address: IpAddr::from([10, 0, 0, 1]), prefix: 24 };
        assert_eq!(reports(&message(NEW_ADDRESS, 0, &payload)), [Report::Address(expected)]);
        assert_eq!(reports(&message(DEL_ADDRESS, 0, &payload)), [Report::AddressGone(expected)]);
    }

    #[test]
    fn any_bytes_are_read_without_harm() {
        let whole = message(NEW_LINK, 0, &link_payload(0, 0x43));
        for length in 0..whole.len() {
            let mut cut = whole.get(..length).unwrap().to_vec();
            let _read = reports(&cut);
            // The same with a header that says that this is all.
            if length >= HEADER {
                cut[..4].copy_from_slice(&u32::try_from(length).unwrap().to_ne_bytes());
                let _read = reports(&cut);
            }
        }
    }
}
