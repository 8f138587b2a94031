//! The packet filter: `no_accept` and the multicast reports of virtual interfaces, as `nf_tables`.
//!
//! The tables are keepalived's, so that what an administrator knows of them stays true: one for IPv4, one for IPv6, in each
//! - set `vips` (and `vips_link_local`): packets to and from these addresses are dropped, in chains `in` and `out`;
//! - map `vmac_map`: reports of group memberships leave a virtual interface through the one below it, so that switches
//!   learn the groups with the real hardware address.
//!
//! They are made in one transaction, which first removes what an earlier run left; elements come and go with the states.

mod message;

use super::netlink::frame::Refusal;
use super::netlink::socket::Channel;
use crate::router::Firewall as Settings;
use message::{KeyType, Set, Table, Verdict};
use nix::sys::socket::SockProtocol;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv6Addr};

/// `NF_INET_LOCAL_IN`
const HOOK_IN: u32 = 1;
/// `NF_INET_LOCAL_OUT`
const HOOK_OUT: u32 = 3;
/// IGMP as an IP protocol.
const PROTOCOL_IGMP: u8 = 2;
/// ICMP as an IPv6 next header.
const PROTOCOL_ICMP6: u8 = 58;
/// Multicast listener report, version 2.
const MLD_REPORT: u8 = 143;
/// Router solicitation.
const ROUTER_SOLICITATION: u8 = 133;
/// Neighbour solicitation and advertisement: without them an address could not be told from an absent one.
const NEIGHBOUR: [u8; 2] = [135, 136];
/// The kind of the virtual interfaces, in as many octets as the kernel compares.
const KIND: &[u8; 16] = b"macvlan\0\0\0\0\0\0\0\0\0";
/// Octets of an interface's name in a key.
const NAME_BYTES: usize = 16;

const VIPS_INET: Set = Set { name: "vips", key: KeyType::Inet, map: false, constant: false };
const VIPS_INET6: Set = Set { name: "vips", key: KeyType::Inet6, map: false, constant: false };
const LINK_LOCAL_BY_NAME: Set =
    Set { name: "vips_link_local", key: KeyType::Inet6AndName, map: false, constant: false };
const LINK_LOCAL_BY_INDEX: Set =
    Set { name: "vips_link_local", key: KeyType::Inet6AndIndex, map: false, constant: false };
const NEIGHBOUR_DISCOVERY: Set = Set { name: "neighbor-discovery", key: KeyType::Icmp6, map: false, constant: true };
const VMAC_MAP: Set = Set { name: "vmac_map", key: KeyType::InterfaceIndex, map: true, constant: false };
const VMAC_SET: Set = Set { name: "vmac_set", key: KeyType::InterfaceIndex, map: false, constant: false };

/// A virtual interface and the one below it, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vmac {
    /// Its index.
    pub index: u32,
    /// That of the interface below.
    pub base: u32,
    /// It carries IPv6.
    pub inet6: bool,
}

/// An address whose packets are dropped, on its device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Filtered {
    /// The address.
    pub address: IpAddr,
    /// The device's name.
    pub device: String,
    /// Its index.
    pub index: u32,
}

/// What the tables are to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Virtual interfaces.
    pub vmacs: BTreeSet<Vmac>,
    /// Some instance has `no_accept`, by family.
    pub filters: bool,
    /// The same for IPv6.
    pub filters_inet6: bool,
}

/// The tables.
#[derive(Debug)]
pub struct Firewall {
    channel: Channel,
    settings: Settings,
    wanted: Wanted,
    filtered: BTreeSet<Filtered>,
}

impl Firewall {
    /// Connects; the tables are not there yet.
    pub fn open(settings: Settings) -> io::Result<Self> {
        let channel = Channel::open(SockProtocol::NetlinkNetFilter)?;
        Ok(Self { channel, settings, wanted: Wanted::default(), filtered: BTreeSet::new() })
    }

    /// Makes the tables what they are to be. What is filtered at the moment stays filtered.
    pub fn configure(&mut self, settings: &Settings, wanted: Wanted) -> Result<(), Refusal> {
        if self.settings == *settings && self.wanted == wanted {
            return Ok(());
        }
        if self.settings.table != settings.table {
            self.remove()?;
        }
        self.settings = settings.clone();
        let mut batch = Vec::new();
        for table in [Table::Inet, Table::Inet6] {
            let name = &self.settings.table;
            // Made first, so that it is there to be removed.
            batch.extend([message::table(false, table, name), message::table(true, table, name)]);
            batch.extend(tables(table, &self.settings, &wanted));
            batch.extend(self.filter_messages(false, table, &wanted, &self.filtered));
        }
        self.transact(batch)?;
        self.wanted = wanted;
        Ok(())
    }

    /// Drops packets to and from these addresses, or not any more.
    pub fn filter(&mut self, drop: bool, addresses: Vec<Filtered>) -> Result<(), Refusal> {
        let changed: BTreeSet<Filtered> = addresses
            .into_iter()
            .filter(|one| if drop { self.filtered.insert(one.clone()) } else { self.filtered.remove(one) })
            .collect();
        let mut batch = Vec::new();
        for table in [Table::Inet, Table::Inet6] {
            batch.extend(self.filter_messages(!drop, table, &self.wanted, &changed));
        }
        self.transact(batch)
    }

    /// Removes the tables.
    pub fn remove(&mut self) -> Result<(), Refusal> {
        let mut batch = Vec::new();
        for table in [Table::Inet, Table::Inet6] {
            let name = &self.settings.table;
            batch.extend([message::table(false, table, name), message::table(true, table, name)]);
        }
        self.wanted = Wanted::default();
        self.transact(batch)
    }

    fn transact(&mut self, batch: Vec<Vec<u8>>) -> Result<(), Refusal> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut whole = vec![message::bracket(false)];
        whole.extend(batch);
        whole.push(message::bracket(true));
        self.channel.batch(&mut whole)
    }

    fn filter_messages(
        &self,
        delete: bool,
        table: Table,
        wanted: &Wanted,
        filtered: &BTreeSet<Filtered>,
    ) -> Vec<Vec<u8>> {
        let there = match table {
            Table::Inet => wanted.filters,
            Table::Inet6 => wanted.filters_inet6,
        };
        if !there {
            return Vec::new();
        }
        let (mut global, mut local) = (Vec::new(), Vec::new());
        for one in filtered {
            match (table, one.address) {
                (Table::Inet, IpAddr::V4(v4)) => global.push((v4.octets().to_vec(), None)),
                (Table::Inet6, IpAddr::V6(v6)) if v6.is_unicast_link_local() => {
                    local.push((self.link_local_key(v6, one), None));
                }
                (Table::Inet6, IpAddr::V6(v6)) => global.push((v6.octets().to_vec(), None)),
                (Table::Inet, IpAddr::V6(_)) | (Table::Inet6, IpAddr::V4(_)) => {}
            }
        }
        let name = &self.settings.table;
        let mut messages = message::elements(delete, table, name, VIPS_INET.name, &global);
        messages.extend(message::elements(delete, table, name, LINK_LOCAL_BY_NAME.name, &local));
        messages
    }

    /// The same link-local address may be on several interfaces.
    fn link_local_key(&self, address: Ipv6Addr, one: &Filtered) -> Vec<u8> {
        let mut key = address.octets().to_vec();
        if self.settings.by_interface_index {
            key.extend(one.index.to_ne_bytes());
        } else {
            key.extend(one.device.bytes());
            key.resize(address.octets().len() + NAME_BYTES, 0);
        }
        key
    }
}

/// Everything in one table but the addresses.
fn tables(table: Table, settings: &Settings, wanted: &Wanted) -> Vec<Vec<u8>> {
    let inet6 = table == Table::Inet6;
    let vmacs: Vec<&Vmac> = wanted.vmacs.iter().filter(|vmac| vmac.inet6 == inet6).collect();
    let filters = if inet6 { wanted.filters_inet6 } else { wanted.filters };
    if vmacs.is_empty() && !filters {
        return Vec::new();
    }
    let builder = Builder { table, settings };
    let name = &settings.table;
    let mut messages = vec![message::table(false, table, name)];
    messages.push(message::chain(table, name, "out", Some((HOOK_OUT, settings.priority))));
    if filters {
        messages.push(message::chain(table, name, "in", Some((HOOK_IN, settings.priority))));
    }
    if !vmacs.is_empty() {
        messages.extend(builder.membership(&vmacs));
    }
    if filters {
        messages.extend(if inet6 { builder.drop_inet6() } else { builder.drop_inet() });
    }
    messages
}

/// Makes the parts of one table.
struct Builder<'a> {
    table: Table,
    settings: &'a Settings,
}

impl Builder<'_> {
    fn set(&self, set: &Set, id: u32) -> Vec<u8> {
        message::set(self.table, &self.settings.table, set, id)
    }

    fn elements(&self, set: &Set, elements: &[(Vec<u8>, Option<Vec<u8>>)]) -> Vec<Vec<u8>> {
        message::elements(false, self.table, &self.settings.table, set.name, elements)
    }

    fn rule(&self, chain: &str, mut expressions: Vec<Vec<u8>>, verdict: Verdict) -> Vec<u8> {
        if self.settings.counters {
            expressions.push(message::counter());
        }
        expressions.push(message::verdict(verdict));
        message::rule(self.table, &self.settings.table, chain, &expressions)
    }

    /// Reports of memberships go out through the interface below.
    fn membership(&self, vmacs: &[&Vmac]) -> Vec<Vec<u8>> {
        let mut messages = vec![self.set(&VMAC_MAP, 1)];
        let map: Vec<_> = vmacs
            .iter()
            .map(|vmac| (vmac.index.to_ne_bytes().to_vec(), Some(vmac.base.to_ne_bytes().to_vec())))
            .collect();
        messages.extend(self.elements(&VMAC_MAP, &map));
        let mut report = match self.table {
            Table::Inet => vec![
                message::payload(message::NETWORK, 9, 1, 1),
                message::equals(1, &[PROTOCOL_IGMP]),
                message::payload(message::NETWORK, 16, 4, 1),
            ],
            Table::Inet6 => {
                let mut report = icmp6(MLD_REPORT);
                report.push(message::payload(message::NETWORK, 24, 16, 1));
                report
            }
        };
        report.extend(out_of_macvlan());
        report.extend([message::lookup(VMAC_MAP.name, 2, Some(2)), message::duplicate(1, 2)]);
        messages.push(self.rule("out", report, Verdict::Drop));
        if self.table == Table::Inet6 {
            messages.push(self.set(&VMAC_SET, 2));
            let set: Vec<_> = vmacs.iter().map(|vmac| (vmac.index.to_ne_bytes().to_vec(), None)).collect();
            messages.extend(self.elements(&VMAC_SET, &set));
            let mut solicitation = icmp6(ROUTER_SOLICITATION);
            solicitation.extend(out_of_macvlan());
            solicitation.push(message::lookup(VMAC_SET.name, 2, None));
            messages.push(self.rule("out", solicitation, Verdict::Drop));
        }
        messages
    }

    fn drop_inet(&self) -> Vec<Vec<u8>> {
        let address =
            |offset| vec![message::payload(message::NETWORK, offset, 4, 1), message::lookup(VIPS_INET.name, 1, None)];
        vec![
            self.set(&VIPS_INET, 3),
            self.rule("out", address(12), Verdict::Drop),
            self.rule("in", address(16), Verdict::Drop),
        ]
    }

    fn drop_inet6(&self) -> Vec<Vec<u8>> {
        let link_local = if self.settings.by_interface_index { LINK_LOCAL_BY_INDEX } else { LINK_LOCAL_BY_NAME };
        let name = &self.settings.table;
        let mut messages = vec![self.set(&VIPS_INET6, 3), self.set(&link_local, 4), self.set(&NEIGHBOUR_DISCOVERY, 5)];
        let kinds: Vec<_> = NEIGHBOUR.iter().map(|kind| (vec![*kind], None)).collect();
        messages.extend(self.elements(&NEIGHBOUR_DISCOVERY, &kinds));
        // Source and destination of the IPv6 header.
        for (chain, local_chain, offset) in [("out", "out_link_local", 8), ("in", "in_link_local", 24)] {
            messages.push(message::chain(self.table, name, local_chain, None));
            let address = message::payload(message::NETWORK, offset, 16, 1);
            let discovery = vec![
                message::payload(message::NETWORK, 6, 1, 1),
                message::equals(1, &[PROTOCOL_ICMP6]),
                message::payload(message::TRANSPORT, 0, 1, 1),
                message::lookup(NEIGHBOUR_DISCOVERY.name, 1, None),
            ];
            messages.push(self.rule(chain, discovery, Verdict::Accept));
            let (mut bits, mut network) = ([0; 16], [0; 16]);
            [bits[0], bits[1]] = [0xff, 0xc0];
            [network[0], network[1]] = [0xfe, 0x80];
            let local = vec![address.clone(), message::mask(1, &bits), message::equals(1, &network)];
            messages.push(self.rule(chain, local, Verdict::Goto(local_chain)));
            let global = vec![address.clone(), message::lookup(VIPS_INET6.name, 1, None)];
            messages.push(self.rule(chain, global, Verdict::Drop));
            let key = match (chain, self.settings.by_interface_index) {
                ("out", true) => message::META_OIF,
                ("out", false) => message::META_OIFNAME,
                (_, true) => message::META_IIF,
                (_, false) => message::META_IIFNAME,
            };
            let local = vec![address, message::meta(key, 2), message::lookup(link_local.name, 1, None)];
            messages.push(self.rule(local_chain, local, Verdict::Drop));
        }
        messages
    }
}

fn icmp6(kind: u8) -> Vec<Vec<u8>> {
    vec![
        message::meta(message::META_L4PROTO, 1),
        message::equals(1, &[PROTOCOL_ICMP6]),
        message::payload(message::TRANSPORT, 0, 1, 1),
        message::equals(1, &[kind]),
    ]
}

/// Leaves the index of the interface in register 2.
fn out_of_macvlan() -> [Vec<u8>; 3] {
    [message::meta(message::META_OIFKIND, 2), message::equals(2, KIND), message::meta(message::META_OIF, 2)]
}
