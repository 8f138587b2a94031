//! Links and addresses: what the kernel reports becomes facts, what the router wants becomes requests.
//!
//! The table of links here is the kernel's view. `ours` holds the addresses that this daemon put on a device: when one of
//! them disappears without our doing, that is a fact for the router.

use crate::packet::arp::Mac;
use crate::router::interface::Interface;
use crate::vrrp::settings::{Broadcast, VirtualAddress};
use futures_util::StreamExt;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope, CacheInfo,
};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::{Handle, MulticastGroup};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::{Pin, pin};

type Messages = Pin<Box<dyn futures_util::Stream<Item = NetlinkMessage<RouteNetlinkMessage>> + Send>>;

/// What the kernel reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// An interface is new or changed.
    Interface(Interface),
    /// An interface is gone.
    Gone(String),
    /// Somebody removed one of our addresses.
    Vanished {
        /// Interface it was on.
        interface: String,
        /// The address.
        address: IpAddr,
    },
}

/// An interface as the kernel reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Link {
    name: String,
    running: bool,
    mac: Mac,
    /// All addresses with their prefix lengths, virtual ones included.
    addresses: Vec<(IpAddr, u8)>,
}

/// The connection to the kernel.
pub struct Netlink {
    handle: Handle,
    messages: Messages,
    links: BTreeMap<u32, Link>,
    ours: HashSet<(u32, IpAddr)>,
    /// Removals of ours whose report is still to come.
    removing: HashMap<(u32, IpAddr), u32>,
    /// Addresses that are nobody's own, as (device, address): adverts never leave from them.
    virtuals: HashSet<(String, IpAddr)>,
}

impl Netlink {
    /// Connects and subscribes; the tables are still empty. Needs a tokio runtime.
    pub fn open() -> io::Result<Self> {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        let (connection, handle, messages) = rtnetlink::new_multicast_connection(&groups)?;
        tokio::spawn(connection);
        Ok(Self {
            handle,
            messages: Box::pin(messages.map(|(message, _)| message)),
            links: BTreeMap::new(),
            ours: HashSet::new(),
            removing: HashMap::new(),
            virtuals: HashSet::new(),
        })
    }

    /// Says which addresses are virtual, and on which device.
    pub fn set_virtuals(&mut self, virtuals: HashSet<(String, IpAddr)>) {
        self.virtuals = virtuals;
    }

    /// Reads everything anew: at the start, and after the kernel lost messages. Answers with the differences.
    pub async fn resync(&mut self) -> io::Result<Vec<Fact>> {
        let mut links = BTreeMap::new();
        {
            let mut answers = pin!(self.handle.link().get().execute());
            while let Some(message) = answers.next().await {
                let message = message.map_err(other)?;
                links.insert(message.header.index, link_of(&message));
            }
        }
        {
            let mut answers = pin!(self.handle.address().get().execute());
            while let Some(message) = answers.next().await {
                let message = message.map_err(other)?;
                if let Some(link) = links.get_mut(&message.header.index)
                    && let Some(address) = address_of(&message)
                {
                    link.addresses.push((address, message.header.prefix_len));
                }
            }
        }
        let before = std::mem::replace(&mut self.links, links);
        self.removing.clear();
        Ok(self.differences(&before))
    }

    fn differences(&mut self, before: &BTreeMap<u32, Link>) -> Vec<Fact> {
        let mut facts = Vec::new();
        for (index, link) in before {
            if !self.links.contains_key(index) {
                self.ours.retain(|(of, _)| of != index);
                facts.push(Fact::Gone(link.name.clone()));
            }
        }
        let indices: Vec<u32> = self.links.keys().copied().collect();
        for index in indices {
            if before.get(&index) != self.links.get(&index) {
                facts.extend(self.interface(index).map(Fact::Interface));
            }
        }
        let lost: Vec<(u32, IpAddr)> =
            self.ours.iter().filter(|(index, address)| !self.is_present(*index, *address)).copied().collect();
        for (index, address) in lost {
            facts.extend(self.vanished(index, address));
        }
        facts
    }

    /// Waits for a report of the kernel, to be given to [`Netlink::apply`]; `None` when the connection has ended.
    /// Cancel safe: a report is either still in the stream or returned.
    pub async fn next(&mut self) -> Option<NetlinkMessage<RouteNetlinkMessage>> {
        self.messages.next().await
    }

    /// Applies a report. `None` asks for [`Netlink::resync`]: the kernel lost messages.
    pub fn apply(&mut self, message: NetlinkMessage<RouteNetlinkMessage>) -> Option<Vec<Fact>> {
        let fact = match message.payload {
            NetlinkPayload::Overrun(_) => return None,
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(message)) => {
                return Some(self.new_link(&message));
            }
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(message)) => {
                self.ours.retain(|(index, _)| *index != message.header.index);
                self.links.remove(&message.header.index).map(|link| Fact::Gone(link.name))
            }
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(message)) => self.new_address(&message),
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(message)) => self.del_address(&message),
            _ => None,
        };
        Some(fact.into_iter().collect())
    }

    fn new_link(&mut self, message: &LinkMessage) -> Vec<Fact> {
        let index = message.header.index;
        let mut link = link_of(message);
        let known = self.links.entry(index).or_default();
        link.addresses = std::mem::take(&mut known.addresses);
        let renamed = (!known.name.is_empty() && known.name != link.name).then(|| known.name.clone());
        let changed = *known != Link { addresses: Vec::new(), ..link.clone() };
        *known = link;
        let mut facts: Vec<Fact> = renamed.map(Fact::Gone).into_iter().collect();
        if changed {
            facts.extend(self.interface(index).map(Fact::Interface));
        }
        facts
    }

    fn new_address(&mut self, message: &AddressMessage) -> Option<Fact> {
        let (index, address) = (message.header.index, address_of(message)?);
        let link = self.links.get_mut(&index)?;
        if link.addresses.iter().any(|(known, _)| *known == address) {
            return None;
        }
        link.addresses.push((address, message.header.prefix_len));
        if self.is_virtual(index, address) { None } else { self.interface(index).map(Fact::Interface) }
    }

    fn del_address(&mut self, message: &AddressMessage) -> Option<Fact> {
        let (index, address) = (message.header.index, address_of(message)?);
        let place = (index, address);
        if let Some(count) = self.removing.get_mut(&place) {
            *count -= 1;
            if *count == 0 {
                self.removing.remove(&place);
            }
            return None;
        }
        self.links.get_mut(&index)?.addresses.retain(|(known, _)| *known != address);
        if self.ours.contains(&place) {
            return self.vanished(index, address);
        }
        if self.is_virtual(index, address) { None } else { self.interface(index).map(Fact::Interface) }
    }

    fn vanished(&mut self, index: u32, address: IpAddr) -> Option<Fact> {
        self.ours.remove(&(index, address));
        let interface = self.links.get(&index)?.name.clone();
        Some(Fact::Vanished { interface, address })
    }

    fn is_present(&self, index: u32, address: IpAddr) -> bool {
        self.links.get(&index).is_some_and(|link| link.addresses.iter().any(|(known, _)| *known == address))
    }

    fn is_virtual(&self, index: u32, address: IpAddr) -> bool {
        self.links.get(&index).is_some_and(|link| self.virtuals.contains(&(link.name.clone(), address)))
    }

    fn interface(&self, index: u32) -> Option<Interface> {
        let link = self.links.get(&index)?;
        let own = link.addresses.iter().filter(|(address, _)| !self.virtuals.contains(&(link.name.clone(), *address)));
        Some(Interface {
            name: link.name.clone(),
            index,
            running: link.running,
            addresses: own.map(|(address, _)| *address).collect(),
        })
    }

    fn index_of(&self, device: &str) -> io::Result<u32> {
        let known = self.links.iter().find(|(_, link)| link.name == device).map(|(index, _)| *index);
        known.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no interface {device}")))
    }

    /// Index and hardware address of a device.
    pub fn hardware(&self, device: &str) -> io::Result<(u32, Mac)> {
        let index = self.index_of(device)?;
        Ok((index, self.links.get(&index).map(|link| link.mac).unwrap_or_default()))
    }

    /// Puts an address on a device. One that is there already is adopted.
    pub async fn add(&mut self, device: &str, vip: &VirtualAddress) -> io::Result<()> {
        let index = self.index_of(device)?;
        let place = (index, vip.address);
        self.ours.insert(place);
        if self.is_present(index, vip.address) {
            return Ok(());
        }
        let mut request = self.handle.address().add(index, vip.address, vip.prefix);
        *request.message_mut() = address_message(index, device, vip);
        match request.execute().await {
            Ok(()) => {}
            Err(rtnetlink::Error::NetlinkError(error)) if error.to_io().kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                self.ours.remove(&place);
                return Err(other(error));
            }
        }
        if let Some(link) = self.links.get_mut(&index) {
            link.addresses.push((vip.address, vip.prefix));
        }
        Ok(())
    }

    /// Takes an address off a device; whether it was there.
    pub async fn remove(&mut self, device: &str, address: IpAddr) -> io::Result<bool> {
        let index = self.index_of(device)?;
        let place = (index, address);
        self.ours.remove(&place);
        let Some(link) = self.links.get_mut(&index) else { return Ok(false) };
        let Some(at) = link.addresses.iter().position(|(known, _)| *known == address) else { return Ok(false) };
        let (_, prefix) = link.addresses.remove(at);
        let mut message = AddressMessage::default();
        message.header.index = index;
        message.header.prefix_len = prefix;
        message.header.family = family_of(address);
        message.attributes.push(AddressAttribute::Local(address));
        message.attributes.push(AddressAttribute::Address(address));
        *self.removing.entry(place).or_default() += 1;
        match self.handle.address().del(message).execute().await {
            Ok(()) => Ok(true),
            Err(error) => {
                self.removing.remove(&place);
                // Gone with its device, or taken by somebody at the same moment.
                match other(error) {
                    error if matches!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL | libc::ENODEV)) => Ok(false),
                    error => Err(error),
                }
            }
        }
    }
}

fn other(error: rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(error) => error.to_io(),
        error => io::Error::other(error.to_string()),
    }
}

fn link_of(message: &LinkMessage) -> Link {
    let mut link =
        Link { running: message.header.flags.contains(LinkFlags::Up | LinkFlags::Running), ..Link::default() };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(mac) => link.mac = mac.as_slice().try_into().unwrap_or_default(),
            _ => {}
        }
    }
    link
}

/// The local address: on point-to-point links `Address` is the peer's.
fn address_of(message: &AddressMessage) -> Option<IpAddr> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })
}

fn family_of(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

/// What `ip address add` would send for this line of `virtual_ipaddress`.
fn address_message(index: u32, device: &str, vip: &VirtualAddress) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.family = family_of(vip.address);
    message.header.prefix_len = vip.peer.map_or(vip.prefix, |(_, prefix)| prefix);
    message.header.scope = vip.scope.map_or(AddressScope::Universe, AddressScope::from);
    message.attributes.push(AddressAttribute::Local(vip.address));
    message.attributes.push(AddressAttribute::Address(vip.peer.map_or(vip.address, |(peer, _)| peer)));
    match vip.address {
        IpAddr::V4(v4) => {
            if let Some(broadcast) = broadcast(vip.broadcast, v4, vip.prefix) {
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

fn broadcast(kind: Broadcast, address: Ipv4Addr, prefix: u8) -> Option<Ipv4Addr> {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
    match kind {
        Broadcast::None => None,
        Broadcast::Ones => Some(Ipv4Addr::from(address.to_bits() | !mask)),
        Broadcast::Zeros => Some(Ipv4Addr::from(address.to_bits() & mask)),
        Broadcast::Address(address) => Some(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(broadcast(kind, address, prefix), expected);
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
