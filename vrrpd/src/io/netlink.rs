//! The connection to the kernel: what it reports becomes facts, what the router wants becomes requests.
//!
//! - `frame`, `report`: bytes into what they say, pure; `socket`: asking and listening;
//! - `address`, `route`, `rule`, `link`: requests, as values;
//! - this file: the kernel's view of links and addresses, and what of it is ours.
//!
//! `ours`, `routes` and `rules` hold what this daemon put there: when one of them disappears without our doing, that is a
//! fact for the router. The kernel does not report every loss (an IPv4 route goes silently with its interface), so after
//! a change of an interface the routes are looked for.

mod address;
pub mod frame;
mod link;
pub mod report;
mod route;
mod rule;
pub mod socket;

use crate::packet::Family;
use crate::packet::arp::Mac;
use crate::route::{Route, Rule};
use crate::router::interface::Interface;
use crate::vrrp::settings::VirtualAddress;
pub use frame::Refusal;
pub use link::Macvlan;
use netlink_packet_core::NetlinkMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::sys::socket::SockProtocol;
use report::{AddressReport, LinkReport, Report};
use route::RouteKey;
use rule::RuleKey;
use socket::{ACKNOWLEDGE, APPEND, CREATE, Channel, DUMP, EXCLUSIVE, Heard, Monitor, REPLACE};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::net::IpAddr;

/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV6_IFADDR`
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// `RTMGRP_IPV4_ROUTE`, `RTMGRP_IPV4_RULE`, `RTMGRP_IPV6_ROUTE` and the bit of `RTNLGRP_IPV6_RULE`: on a router with a full
/// table this is a flood, so it is listened to only when there is a route or rule of ours.
const GROUPS_OF_ROUTES: u32 = 0x40 | 0x80 | 0x400 | 1 << 18;
/// `NLM_F_DUMP_INTR`: the list changed while it was read.
const FLAG_INTERRUPTED: u16 = 0x10;
/// How often a list that changes while it is read is read anew.
const DUMPS_MAX: usize = 5;

/// What the kernel reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// An interface is new or changed.
    Interface(Interface),
    /// An interface is gone.
    Gone(String),
    /// An interface has another name now.
    Renamed {
        /// What it was called.
        from: String,
        /// What it is called.
        to: String,
    },
    /// Somebody removed one of our addresses.
    Vanished {
        /// Interface it was on.
        interface: String,
        /// The address.
        address: IpAddr,
    },
    /// One of our routes is not there any more.
    RouteVanished(Route),
    /// One of our rules is not there any more.
    RuleVanished(Rule),
}

/// An interface as the kernel reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Link {
    report: LinkReport,
    /// All addresses with their prefix lengths, virtual ones included.
    addresses: Vec<(IpAddr, u8)>,
}

/// The connection to the kernel.
pub struct Netlink {
    channel: Channel,
    monitor: Monitor,
    /// The monitor hears of routes and rules.
    hears_routes: bool,
    links: BTreeMap<u32, Link>,
    ours: HashSet<(u32, IpAddr)>,
    /// Removals of ours whose report is still to come.
    removing: HashMap<(u32, IpAddr), u32>,
    /// Addresses that are nobody's own, by device: adverts never leave from them.
    virtuals: HashMap<String, HashSet<IpAddr>>,
    /// Virtual interfaces: they count as running when they are up. The carrier is that of the interface below, which is
    /// told on its own, perhaps with a delay (`interface_up_down_delays`).
    stacked: HashSet<String>,
    routes: BTreeMap<RouteKey, Route>,
    rules: BTreeMap<RuleKey, Rule>,
}

impl Netlink {
    /// Connects and subscribes; the tables are still empty. Needs a tokio runtime.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            channel: Channel::open(SockProtocol::NetlinkRoute)?,
            monitor: Monitor::open(GROUPS)?,
            hears_routes: false,
            links: BTreeMap::new(),
            ours: HashSet::new(),
            removing: HashMap::new(),
            virtuals: HashMap::new(),
            stacked: HashSet::new(),
            routes: BTreeMap::new(),
            rules: BTreeMap::new(),
        })
    }

    /// Says which addresses are virtual, by the device that they are for.
    pub fn set_virtuals(&mut self, virtuals: HashMap<String, HashSet<IpAddr>>) {
        self.virtuals = virtuals;
    }

    /// Says which interfaces are virtual ones of this daemon.
    pub fn set_stacked(&mut self, stacked: HashSet<String>) {
        self.stacked = stacked;
    }

    /// Says whether routes or rules are to be watched. What was reported meanwhile is lost: a survey has to follow.
    pub fn hear_routes(&mut self, wanted: bool) -> io::Result<()> {
        if wanted != self.hears_routes {
            self.monitor = Monitor::open(if wanted { GROUPS | GROUPS_OF_ROUTES } else { GROUPS })?;
            self.hears_routes = wanted;
        }
        Ok(())
    }

    /// Reads everything anew: at the start, and after the kernel lost messages. Answers with the differences.
    pub fn resync(&mut self) -> io::Result<Vec<Fact>> {
        // What waits there is older than what is read now: told afterwards, it would be taken for a change.
        self.monitor.drain();
        let mut links: BTreeMap<u32, Link> = BTreeMap::new();
        for report in self.dump(libc::RTM_GETLINK, LINK_REQUEST)? {
            if let Report::Link(report) = report {
                links.insert(report.index, Link { report, addresses: Vec::new() });
            }
        }
        for report in self.dump(libc::RTM_GETADDR, ADDRESS_REQUEST)? {
            if let Report::Address(found) = report
                && let Some(link) = links.get_mut(&found.index)
            {
                link.addresses.push((found.address, found.prefix));
            }
        }
        let before = std::mem::replace(&mut self.links, links);
        self.removing.clear();
        let mut facts = self.differences(&before);
        facts.extend(self.lost_routes()?);
        facts.extend(self.lost_rules()?);
        Ok(facts)
    }

    fn dump(&mut self, kind: u16, header: &[u8]) -> io::Result<Vec<Report>> {
        for _ in 0..DUMPS_MAX {
            let mut found = Vec::new();
            let mut interrupted = false;
            let mut message = socket::message(kind, DUMP, header);
            let asked = self.channel.ask(&mut message, &mut |frame| {
                interrupted |= frame.flags & FLAG_INTERRUPTED != 0;
                found.extend(report::report(frame));
            });
            asked.map_err(|refusal| io::Error::from_raw_os_error(refusal.errno))?;
            if !interrupted {
                return Ok(found);
            }
        }
        Err(io::Error::other("the list changed whenever it was read"))
    }

    fn differences(&mut self, before: &BTreeMap<u32, Link>) -> Vec<Fact> {
        let mut facts = Vec::new();
        for (index, link) in before {
            let now = self.links.get(index).map(|link| link.report.name.as_str());
            if now != Some(link.report.name.as_str()) {
                facts.push(Fact::Gone(link.report.name.clone()));
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
            self.ours.remove(&(index, address));
            // Also when the interface was made anew, under another index and with nothing on it.
            let name = self.links.get(&index).or_else(|| before.get(&index)).map(|link| link.report.name.clone());
            if let Some(interface) = name.filter(|name| self.link(name).is_some()) {
                facts.push(Fact::Vanished { interface, address });
            }
        }
        facts
    }

    fn lost_routes(&mut self) -> io::Result<Vec<Fact>> {
        if self.routes.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.dump(libc::RTM_GETROUTE, ROUTE_REQUEST)?;
        let there: HashSet<RouteKey> = found
            .into_iter()
            .filter_map(|report| if let Report::Route(key) = report { Some(key) } else { None })
            .collect();
        let lost = self.routes.iter().filter(|(key, _)| !there.contains(key));
        Ok(lost.map(|(_, route)| Fact::RouteVanished(route.clone())).collect())
    }

    fn lost_rules(&mut self) -> io::Result<Vec<Fact>> {
        if self.rules.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.dump(libc::RTM_GETRULE, ROUTE_REQUEST)?;
        let there: HashSet<RuleKey> = found
            .into_iter()
            .filter_map(|report| if let Report::Rule(key) = report { Some(key) } else { None })
            .collect();
        let lost = self.rules.iter().filter(|(key, _)| !there.contains(key));
        Ok(lost.map(|(_, rule)| Fact::RuleVanished(rule.clone())).collect())
    }

    /// Waits for reports of the kernel. `None` asks for [`Netlink::resync`]: some were lost. Cancel safe.
    pub async fn next(&mut self) -> io::Result<Option<Vec<Fact>>> {
        let reports = match self.monitor.next().await? {
            Heard::Overrun => return Ok(None),
            Heard::Datagram(datagram) => report::reports(datagram),
        };
        let mut facts = Vec::new();
        let mut look = false;
        for report in reports {
            // What takes routes along without a word about it.
            look |= matches!(report, Report::AddressGone(_)) || self.comes_up(&report);
            facts.extend(self.apply(report));
        }
        if look {
            facts.extend(self.lost_routes()?);
        }
        Ok(Some(facts))
    }

    fn comes_up(&self, report: &Report) -> bool {
        let Report::Link(link) = report else { return false };
        link.running && !self.links.get(&link.index).is_some_and(|known| known.report.running)
    }

    /// Applies a report.
    pub fn apply(&mut self, report: Report) -> Vec<Fact> {
        let fact = match report {
            Report::Link(link) => return self.new_link(link),
            Report::LinkGone(index) => {
                self.ours.retain(|(of, _)| *of != index);
                self.links.remove(&index).map(|link| Fact::Gone(link.report.name))
            }
            Report::Address(found) => self.new_address(found),
            Report::AddressGone(lost) => self.del_address(lost),
            Report::RouteGone(key, port) if port != self.channel.port() => {
                self.routes.get(&key).cloned().map(Fact::RouteVanished)
            }
            Report::RuleGone(key, port) if port != self.channel.port() => {
                self.rules.get(&key).cloned().map(Fact::RuleVanished)
            }
            Report::Route(_) | Report::Rule(_) | Report::RouteGone(..) | Report::RuleGone(..) => None,
        };
        fact.into_iter().collect()
    }

    fn new_link(&mut self, report: LinkReport) -> Vec<Fact> {
        let index = report.index;
        let name = self.links.get(&index).map(|link| link.report.name.clone());
        if let Some(name) = name.filter(|name| !name.is_empty() && *name != report.name) {
            self.clear_renamed(index, &name);
        }
        let known = self.links.entry(index).or_default();
        let before = std::mem::replace(&mut known.report, report);
        let renamed = !before.name.is_empty() && before.name != known.report.name;
        let changed = before != known.report;
        let to = known.report.name.clone();
        let mut facts: Vec<Fact> = renamed.then_some(Fact::Renamed { from: before.name, to }).into_iter().collect();
        if changed {
            facts.extend(self.interface(index).map(Fact::Interface));
        }
        facts
    }

    /// An interface under another name is none of ours: what we put there would stay there while another node is master.
    fn clear_renamed(&mut self, index: u32, name: &str) {
        let addresses: Vec<IpAddr> =
            self.ours.iter().filter(|(of, _)| *of == index).map(|(_, address)| *address).collect();
        for address in addresses {
            let vip = VirtualAddress::new(address, self.prefix_of(index, address).unwrap_or_default());
            if let Err(error) = self.remove(name, &vip) {
                tracing::error!("cannot remove address {address} from {name}, which has another name now: {error}");
            }
        }
        let over = |route: &&Route| {
            route
                .interface
                .iter()
                .chain(route.next_hops.iter().filter_map(|hop| hop.interface.as_ref()))
                .any(|it| it == name)
        };
        let routes: Vec<Route> = self.routes.values().filter(over).cloned().collect();
        for route in routes {
            if let Err(error) = self.remove_route(&route) {
                tracing::error!("cannot remove route {route} over {name}, which has another name now: {error}");
            }
        }
    }

    fn new_address(&mut self, found: AddressReport) -> Option<Fact> {
        let AddressReport { index, address, prefix } = found;
        // A report before that of our own removal tells of the time before it: an address that became the first of its
        // subnet is reported again.
        if self.removing.contains_key(&(index, address)) {
            return None;
        }
        let link = self.links.get_mut(&index)?;
        if link.addresses.iter().any(|(known, _)| *known == address) {
            return None;
        }
        link.addresses.push((address, prefix));
        if self.is_virtual(index, address) { None } else { self.interface(index).map(Fact::Interface) }
    }

    fn del_address(&mut self, lost: AddressReport) -> Option<Fact> {
        let AddressReport { index, address, .. } = lost;
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
        let interface = self.links.get(&index)?.report.name.clone();
        Some(Fact::Vanished { interface, address })
    }

    fn is_present(&self, index: u32, address: IpAddr) -> bool {
        self.prefix_of(index, address).is_some()
    }

    fn prefix_of(&self, index: u32, address: IpAddr) -> Option<u8> {
        let addresses = &self.links.get(&index)?.addresses;
        addresses.iter().find(|(known, _)| *known == address).map(|(_, prefix)| *prefix)
    }

    fn is_virtual(&self, index: u32, address: IpAddr) -> bool {
        let virtuals = self.links.get(&index).and_then(|link| self.virtuals.get(&link.report.name));
        virtuals.is_some_and(|virtuals| virtuals.contains(&address))
    }

    fn interface(&self, index: u32) -> Option<Interface> {
        let link = self.links.get(&index)?;
        let name = &link.report.name;
        let virtuals = self.virtuals.get(name);
        let own = link.addresses.iter().filter(|(address, _)| virtuals.is_none_or(|known| !known.contains(address)));
        Some(Interface {
            name: name.clone(),
            index,
            running: if self.stacked.contains(name) { link.report.up } else { link.report.running },
            addresses: own.map(|(address, _)| *address).collect(),
        })
    }

    /// What is known of a link by its name.
    pub fn link(&self, name: &str) -> Option<&LinkReport> {
        self.links.values().map(|link| &link.report).find(|report| report.name == name)
    }

    fn index_of(&self, device: &str) -> Result<u32, Refusal> {
        self.link(device).map(|link| link.index).ok_or_else(|| Refusal::no_device(device))
    }

    /// Index and hardware address of a device.
    pub fn hardware(&self, device: &str) -> io::Result<(u32, Mac)> {
        let known = self.link(device).map(|link| (link.index, link.mac));
        known.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no interface {device}")))
    }

    /// All interfaces, as facts.
    pub fn all_interfaces(&self) -> Vec<Fact> {
        self.links.keys().filter_map(|index| self.interface(*index)).map(Fact::Interface).collect()
    }

    /// The addresses of a device, in the kernel's order.
    pub fn addresses(&self, device: &str) -> impl Iterator<Item = IpAddr> {
        let link = self.links.values().find(|link| link.report.name == device);
        link.into_iter().flat_map(|link| link.addresses.iter().map(|(address, _)| *address))
    }

    /// Whether an address is on a device.
    pub fn has_address(&self, device: &str, address: IpAddr) -> bool {
        self.link(device).is_some_and(|link| self.is_present(link.index, address))
    }

    // ---- requests

    /// Puts an address on a device. One that is there already is adopted. The kernel is asked also when the address was
    /// reported, since reports are late; only under another prefix length it would make a second one.
    pub fn add(&mut self, device: &str, vip: &VirtualAddress) -> Result<(), Refusal> {
        let index = self.index_of(device)?;
        let place = (index, vip.address);
        self.ours.insert(place);
        let message = address::address_message(index, device, vip);
        let prefix = message.header.prefix_len;
        if self.prefix_of(index, vip.address).is_some_and(|known| known != prefix) {
            return Ok(());
        }
        let flags = ACKNOWLEDGE | CREATE | EXCLUSIVE;
        match self.channel.request(&mut emit(RouteNetlinkMessage::NewAddress(message), flags)) {
            Err(refusal) if refusal.errno != libc::EEXIST => {
                self.ours.remove(&place);
                return Err(refusal);
            }
            Ok(()) | Err(_) => {}
        }
        if let Some(link) = self.links.get_mut(&index)
            && !link.addresses.contains(&(vip.address, prefix))
        {
            link.addresses.push((vip.address, prefix));
        }
        Ok(())
    }

    /// Takes an address off a device; whether it was there. The kernel is asked also when nothing was reported.
    pub fn remove(&mut self, device: &str, vip: &VirtualAddress) -> Result<bool, Refusal> {
        let Ok(index) = self.index_of(device) else { return Ok(false) };
        let place = (index, vip.address);
        self.ours.remove(&place);
        let prefix = self.prefix_of(index, vip.address).unwrap_or_else(|| address::prefix_length(vip));
        if let Some(link) = self.links.get_mut(&index) {
            link.addresses.retain(|(known, _)| *known != vip.address);
        }
        match self.channel.request(&mut address::removal(index, vip.address, prefix)) {
            Ok(()) => {
                *self.removing.entry(place).or_default() += 1;
                Ok(true)
            }
            // Gone with its device, or taken by somebody at the same moment.
            Err(refusal) if matches!(refusal.errno, libc::EADDRNOTAVAIL | libc::ENODEV) => Ok(false),
            Err(refusal) => Err(refusal),
        }
    }

    /// Makes a route, or makes one that is there what it should be.
    pub fn add_route(&mut self, route: &Route) -> Result<(), Refusal> {
        // Wanted from now on, also when it cannot be made yet: it is tried again when an interface comes up.
        self.routes.insert(RouteKey::of(route), route.clone());
        let links = &self.links;
        let message = route::route_message(route, &mut |name| index_in(links, name))?;
        let how = if route.append { APPEND } else { REPLACE };
        self.channel.request(&mut route::route_request(message, false, ACKNOWLEDGE | CREATE | how))
    }

    /// Removes a route; whether it was there.
    pub fn remove_route(&mut self, route: &Route) -> Result<bool, Refusal> {
        self.routes.remove(&RouteKey::of(route));
        let links = &self.links;
        let Ok(message) = route::route_message(route, &mut |name| index_in(links, name)) else { return Ok(false) };
        match self.channel.request(&mut route::route_request(message, true, ACKNOWLEDGE)) {
            Ok(()) => Ok(true),
            Err(refusal) if matches!(refusal.errno, libc::ESRCH | libc::ENOENT | libc::ENODEV) => Ok(false),
            // On an interface that is down there is none.
            Err(refusal) if matches!(refusal.errno, libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN) => {
                Ok(false)
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Makes a rule; one that is there already is adopted.
    pub fn add_rule(&mut self, rule: &Rule) -> Result<(), Refusal> {
        if let Some(key) = RuleKey::of(rule) {
            self.rules.insert(key, rule.clone());
        }
        match self.channel.request(&mut rule::rule_request(rule, false, ACKNOWLEDGE | CREATE | EXCLUSIVE)) {
            Err(refusal) if refusal.errno != libc::EEXIST => Err(refusal),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Removes a rule; whether it was there.
    pub fn remove_rule(&mut self, rule: &Rule) -> Result<bool, Refusal> {
        if let Some(key) = RuleKey::of(rule) {
            self.rules.remove(&key);
        }
        match self.channel.request(&mut rule::rule_request(rule, true, ACKNOWLEDGE)) {
            Ok(()) => Ok(true),
            Err(refusal) if refusal.errno == libc::ENOENT => Ok(false),
            Err(refusal) => Err(refusal),
        }
    }

    /// Makes a macvlan, which is down.
    pub fn add_macvlan(&mut self, macvlan: &Macvlan) -> Result<(), Refusal> {
        let base = self.index_of(&macvlan.base)?;
        self.channel.request(&mut link::macvlan_request(macvlan, base))
    }

    /// Removes an interface.
    pub fn remove_link(&mut self, name: &str) -> Result<(), Refusal> {
        let index = self.index_of(name)?;
        self.channel.request(&mut link::removal(index))
    }

    /// Sets an interface up.
    pub fn set_up(&mut self, name: &str) -> Result<(), Refusal> {
        let index = self.index_of(name)?;
        self.channel.request(&mut link::up(index))?;
        if let Some(link) = self.links.get_mut(&index) {
            link.report.up = true;
        }
        Ok(())
    }
}

/// `ifinfomsg` for all links.
const LINK_REQUEST: &[u8] = &[0; 16];
/// `ifaddrmsg` for all addresses.
const ADDRESS_REQUEST: &[u8] = &[0; 8];
/// `rtmsg` for all routes of all tables.
const ROUTE_REQUEST: &[u8] = &[0; 12];

fn index_in(links: &BTreeMap<u32, Link>, name: &str) -> Result<u32, Refusal> {
    let found = links.values().find(|link| link.report.name == name);
    found.map(|link| link.report.index).ok_or_else(|| Refusal::no_device(name))
}

fn address_family(family: Family) -> AddressFamily {
    match family {
        Family::Inet => AddressFamily::Inet,
        Family::Inet6 => AddressFamily::Inet6,
    }
}

/// The bytes of a request.
fn emit(message: RouteNetlinkMessage, flags: u16) -> Vec<u8> {
    let mut message = NetlinkMessage::from(message);
    message.header.flags = socket::REQUEST | flags;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As when the host's own address goes and the kernel promotes ours: both reports were under way when we removed it.
    #[tokio::test]
    async fn a_report_from_before_our_removal_does_not_bring_the_address_back() {
        let mut netlink = Netlink::open().unwrap();
        let address = IpAddr::from([192, 0, 2, 50]);
        let report = || AddressReport { index: 7, address, prefix: 24 };
        netlink.links.insert(7, Link::default());
        netlink.removing.insert((7, address), 1);
        for (step, expected) in [
            (Report::Address(report()), false),
            (Report::AddressGone(report()), false),
            // Afterwards reports count again.
            (Report::Address(report()), true),
            (Report::AddressGone(report()), false),
        ] {
            netlink.apply(step.clone());
            assert_eq!(netlink.is_present(7, address), expected, "{step:?}");
        }
        assert!(netlink.removing.is_empty());
    }
}
