//! What one `vrrp_instance` was told to do: complete, defaulted, plain data. The configuration's model embeds these
//! types; the instance owns a copy of them.

use crate::packet::arp::Mac;
use crate::packet::{Family, Version, auth::Password};
use crate::route::{Route, Rule};
use crate::track::References;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Priority of the address owner (RFC 3768 section 5.3.4): never changed by weights.
pub const PRIORITY_OWNER: u8 = 255;
/// Priority of an instance that names none.
pub const PRIORITY_DEFAULT: u8 = 100;
/// 224.0.0.18, RFC 3768 section 5.2.2.
pub const GROUP_INET: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// `ff02::12`, RFC 5798 section 5.1.2.2.
pub const GROUP_INET6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

/// One `vrrp_instance`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of the instance, as it appears in every log line.
    pub name: String,
    /// `interface`; absent only for unicast instances whose addresses all name a device.
    pub interface: Option<String>,
    /// `virtual_router_id`, 1 to 255.
    pub vrid: u8,
    /// `version`; an IPv6 instance is always version 3.
    pub version: Version,
    /// Family of the adverts, that of the first virtual address (or `native_ipv6`).
    pub family: Family,
    /// `state`: only matters together with priority 255.
    pub initial: InitialState,
    /// `priority`, 1 to 255.
    pub priority: u8,
    /// `advert_int`: whole seconds in version 2, multiples of 10 ms in version 3; never zero.
    pub advert_interval: Duration,
    /// `authentication`; version 2 only.
    pub auth: Auth,
    /// How adverts travel.
    pub transport: Transport,
    /// `virtual_ipaddress` in the order of the file, which is the order in the packet.
    pub addresses: Vec<VirtualAddress>,
    /// `virtual_ipaddress_excluded`: follow the state but are not advertised.
    pub excluded: Vec<VirtualAddress>,
    /// `virtual_routes`: follow the state.
    pub routes: Vec<Route>,
    /// `virtual_rules`: follow the state.
    pub rules: Vec<Rule>,
    /// Interfaces with a virtual MAC address that this instance needs, its own first.
    pub vmacs: Vec<Vmac>,
    /// `use_vmac`: the interface of addresses that name none, where it is not `interface`.
    pub vmac: Option<String>,
    /// `vmac_xmit_base`: adverts leave from `interface` all the same.
    pub xmit_base: bool,
    /// `accept`; false drops packets to the addresses while this node is master and not their owner.
    pub accept: bool,
    /// `promote_secondaries`: an address that goes does not take the others of its network along.
    pub promote_secondaries: bool,
    /// `track_src_ip`: without the configured source address the instance is in fault.
    pub track_source: bool,
    /// The source of unicast adverts has to be an address of this host, as it has to be for a socket: a node whose peers
    /// answer to somebody else hears nobody, and becomes master.
    pub local_source: bool,
    /// `preempt` / `nopreempt`.
    pub preempt: bool,
    /// `preempt_delay`; zero for none.
    pub preempt_delay: Duration,
    /// `vrrp_startup_delay`: held back for so long after the start; zero for none.
    pub startup_delay: Duration,
    /// `down_timer_adverts`, default 3.
    pub down_timer_adverts: u8,
    /// `lower_prio_no_advert`: a master does not answer a lower-priority advert at once.
    pub lower_prio_no_advert: bool,
    /// `higher_prio_send_advert`: a master sends one more advert before it yields.
    pub higher_prio_send_advert: bool,
    /// `owner_ignore_adverts`: priority 255 does not look at adverts.
    pub owner_ignore_adverts: bool,
    /// `skip_check_adv_addr`: do not compare the address list again while the master stays the same.
    pub skip_check_adv_addr: bool,
    /// `v3_checksum_as_v2`: version 3 over IPv4 is sent without the pseudo header in its checksum.
    pub v3_checksum_as_v2: bool,
    /// `old_unicast_checksum`.
    pub old_unicast_checksum: OldChecksum,
    /// `timer_expired_backup`: the highest priority of any other node, by which a stall is measured. With `nopreempt`
    /// a stalled master does not even wait for what it may hear.
    pub timer_expired_backup: Option<u8>,
    /// `dont_track_primary`: the link state of `interface` is ignored.
    pub dont_track_primary: bool,
    /// The `garp_*` family.
    pub garp: Garp,
    /// What it watches. Names are those of the router's settings.
    pub track: References,
    /// `notify_priority_changes`.
    pub notify_priority_changes: bool,
    /// `notify_deleted`: an instance removed by a reload notifies DELETED rather than FAULT.
    pub notify_deleted: bool,
}

/// `old_unicast_checksum`: whether the pseudo header of a unicast version 3 advert names 224.0.0.18, as keepalived before
/// 1.3.7 wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldChecksum {
    /// From when on an advert with such a sum is received.
    Auto,
    /// `old_unicast_checksum`
    Always,
    /// `old_unicast_checksum never`: nor is it accepted.
    Never,
}

/// An interface with a virtual MAC address (RFC 9568 section 7.3), a macvlan on another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vmac {
    /// The instance it is for, as log lines name it.
    pub instance: String,
    /// Its name.
    pub name: String,
    /// The interface below it.
    pub base: String,
    /// 00:00:5e:00:01:VRID, or 02 for IPv6, unless the file names another.
    pub mac: Mac,
    /// Whose addresses it carries.
    pub family: Family,
    /// `group`
    pub group: Option<u32>,
}

/// The word after `state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialState {
    /// `state MASTER`: with priority 255, master at once.
    Master,
    /// `state BACKUP`, the default.
    Backup,
}

/// `auth_type` and `auth_pass`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// No authentication (RFC 3768).
    None,
    /// Simple text password of RFC 2338.
    Pass(Password),
    /// One that we cannot speak, by its name in the file. The instance stays in FAULT: without the authentication it
    /// would not hear its peers, and two masters would be the result.
    Unsupported(&'static str),
}

/// How adverts travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// To a multicast group on the instance's interface.
    Multicast {
        /// `vrrp_mcast_group4`/`6` or `mcast_dst_ip`.
        group: IpAddr,
        /// `mcast_src_ip`; the interface's first address when absent.
        source: Option<IpAddr>,
    },
    /// One copy to each peer.
    Unicast {
        /// `unicast_src_ip`; the interface's first address when absent.
        source: Option<IpAddr>,
        /// `unicast_peer`; empty only with `unicast_fault_no_peer`, which is a fault.
        peers: Vec<Peer>,
        /// `unicast_ttl`.
        ttl: u8,
        /// `check_unicast_src`: drop what does not come from a peer.
        check_source: bool,
    },
}

/// One line of `unicast_peer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Address of the other node.
    pub address: IpAddr,
    /// `min_ttl`: received adverts must not have a smaller one.
    pub min_ttl: Option<u8>,
    /// `max_ttl`: received adverts must not have a greater one.
    pub max_ttl: Option<u8>,
}

/// A line of `virtual_ipaddress`, in the words of `ip address`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VirtualAddress {
    /// The address itself.
    pub address: IpAddr,
    /// Length of its network prefix; 32 or 128 when the file gives none.
    pub prefix: u8,
    /// `dev`; the instance's interface when absent.
    pub device: Option<String>,
    /// `brd`.
    pub broadcast: Broadcast,
    /// `scope`: number of rtnetlink (0 global, 200 site, 253 link, 254 host).
    pub scope: Option<u8>,
    /// `label`, at most 15 characters.
    pub label: Option<String>,
    /// `peer` of a point-to-point address.
    pub peer: Option<(IpAddr, u8)>,
    /// The flags.
    pub flags: AddressFlags,
    /// `preferred_lft` in seconds; `u32::MAX` is forever.
    pub preferred_lifetime: Option<u32>,
}

/// `brd` of a virtual address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Broadcast {
    /// Not set.
    None,
    /// `brd +`: the host bits all ones.
    Ones,
    /// `brd -`: the host bits all zero.
    Zeros,
    /// An address.
    Address(Ipv4Addr),
}

impl Broadcast {
    /// What it is for an address with this prefix length.
    pub fn address(self, address: Ipv4Addr, prefix: u8) -> Option<Ipv4Addr> {
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
        match self {
            Self::None => None,
            Self::Ones => Some(Ipv4Addr::from(address.to_bits() | !mask)),
            Self::Zeros => Some(Ipv4Addr::from(address.to_bits() & mask)),
            Self::Address(address) => Some(address),
        }
    }
}

/// `home`, `-nodad`, `mngtmpaddr`, `noprefixroute`, `autojoin`, `no_track`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AddressFlags {
    /// `home` (IPv6).
    pub home: bool,
    /// `-nodad` was given: duplicate address detection stays on.
    pub dad: bool,
    /// `mngtmpaddr` (IPv6).
    pub mngtmpaddr: bool,
    /// `noprefixroute`.
    pub noprefixroute: bool,
    /// `autojoin`.
    pub autojoin: bool,
    /// `no_track`: not put back when somebody else removes it.
    pub no_track: bool,
}

impl VirtualAddress {
    /// An address with nothing but a prefix length.
    pub fn new(address: IpAddr, prefix: u8) -> Self {
        Self {
            address,
            prefix,
            device: None,
            broadcast: Broadcast::None,
            scope: None,
            label: None,
            peer: None,
            flags: AddressFlags::default(),
            preferred_lifetime: None,
        }
    }
}

/// Gratuitous ARP and unsolicited neighbour advertisements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garp {
    /// `garp_master_repeat`: rounds sent at once on becoming master.
    pub repeat: u32,
    /// `garp_master_delay`: when the second, equal set follows; zero for none.
    pub delay: Duration,
    /// `garp_master_refresh`: period of the refresh; zero for none.
    pub refresh: Duration,
    /// `garp_master_refresh_repeat`: rounds in one refresh.
    pub refresh_repeat: u32,
    /// `garp_lower_prio_repeat`: rounds after a lower-priority advert.
    pub lower_prio_repeat: u32,
    /// `garp_lower_prio_delay`: when their second set follows; zero for none.
    pub lower_prio_delay: Duration,
    /// `garp_extra_if`: how often virtual interfaces are announced anew; zero for never.
    pub extra: Duration,
    /// `garp_extra_if all`: every interface.
    pub extra_all: bool,
}

impl Default for Garp {
    fn default() -> Self {
        let delay = Duration::from_secs(5);
        Self {
            repeat: 5,
            delay,
            refresh: Duration::ZERO,
            refresh_repeat: 1,
            lower_prio_repeat: 5,
            lower_prio_delay: delay,
            extra: Duration::ZERO,
            extra_all: false,
        }
    }
}

impl Settings {
    /// An instance with keepalived's defaults: what a file of `interface`, `virtual_router_id` and addresses means.
    pub fn new(name: impl Into<String>, interface: impl Into<String>, vrid: u8) -> Self {
        Self {
            name: name.into(),
            interface: Some(interface.into()),
            vrid,
            version: Version::V2,
            family: Family::Inet,
            initial: InitialState::Backup,
            priority: PRIORITY_DEFAULT,
            advert_interval: Duration::from_secs(1),
            auth: Auth::None,
            transport: Transport::Multicast { group: IpAddr::V4(GROUP_INET), source: None },
            addresses: Vec::new(),
            excluded: Vec::new(),
            routes: Vec::new(),
            rules: Vec::new(),
            vmacs: Vec::new(),
            vmac: None,
            xmit_base: false,
            accept: true,
            promote_secondaries: false,
            track_source: false,
            local_source: false,
            preempt: true,
            preempt_delay: Duration::ZERO,
            startup_delay: Duration::ZERO,
            down_timer_adverts: 3,
            lower_prio_no_advert: false,
            higher_prio_send_advert: false,
            owner_ignore_adverts: false,
            skip_check_adv_addr: false,
            v3_checksum_as_v2: false,
            old_unicast_checksum: OldChecksum::Auto,
            timer_expired_backup: None,
            dont_track_primary: false,
            garp: Garp::default(),
            track: References::default(),
            notify_priority_changes: false,
            notify_deleted: false,
        }
    }

    /// Whether this instance owns the addresses (priority 255).
    pub fn is_owner(&self) -> bool {
        self.priority == PRIORITY_OWNER
    }

    /// Whether adverts have nobody to go to (`unicast_fault_no_peer`).
    pub fn lacks_peers(&self) -> bool {
        matches!(&self.transport, Transport::Unicast { peers, .. } if peers.is_empty())
    }

    /// Whether the instance cannot take part because of its authentication.
    pub fn cannot_authenticate(&self) -> bool {
        matches!(self.auth, Auth::Unsupported(_))
    }

    /// Every address that follows the state: the advertised ones first.
    pub fn all_addresses(&self) -> impl Iterator<Item = &VirtualAddress> {
        self.addresses.iter().chain(&self.excluded)
    }

    /// The device an address belongs on, if the file names any.
    pub fn device_of<'a>(&'a self, address: &'a VirtualAddress) -> Option<&'a str> {
        address.device.as_deref().or(self.vmac.as_deref()).or(self.interface.as_deref())
    }

    /// Devices besides its interface that addresses, routes and rules need; not those of `no_track`, nor virtual ones.
    pub fn other_devices(&self) -> impl Iterator<Item = &str> {
        let addresses = self.all_addresses().filter(|vip| !vip.flags.no_track).filter_map(|vip| vip.device.as_ref());
        let routes = self.routes.iter().filter(|route| route.track).flat_map(|route| {
            route.interface.iter().chain(route.next_hops.iter().filter_map(|hop| hop.interface.as_ref()))
        });
        let rules = self.rules.iter().filter(|rule| rule.track);
        let rules = rules.flat_map(|rule| rule.incoming.iter().chain(&rule.outgoing));
        let own = |name: &str| {
            self.interface.as_deref() == Some(name) || self.vmacs.iter().any(|vmac| vmac.name.as_str() == name)
        };
        addresses.chain(routes).chain(rules).map(String::as_str).filter(move |name| !own(name))
    }

    /// The interface that adverts leave from; the routing decides when absent.
    pub fn advertise_on(&self) -> Option<&str> {
        let vmac = self.vmac.as_deref().filter(|_| !self.xmit_base);
        vmac.or(self.interface.as_deref())
    }

    /// The interface that adverts arrive on. The kernel gives those of a peer that has the same virtual MAC to the
    /// interface with this MAC and to no other.
    pub fn listen_on(&self) -> Option<&str> {
        match self.transport {
            Transport::Multicast { .. } => self.advertise_on(),
            Transport::Unicast { .. } => self.interface.as_deref(),
        }
    }

    /// The configured source of adverts.
    pub fn source(&self) -> Option<IpAddr> {
        match self.transport {
            Transport::Multicast { source, .. } | Transport::Unicast { source, .. } => source,
        }
    }
}
