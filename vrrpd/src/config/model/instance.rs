//! `vrrp_instance` and `vrrp_sync_group`.

use super::{InstanceId, Route, Rule, SyncGroupId, Track, Transport, VirtualAddress};
use crate::command::Command;
use crate::packet::{Family, Version};
use crate::vrrp::settings::InitialState;
use std::time::Duration;

/// `vrrp_instance`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// As in the log, and unique.
    pub name: String,
    /// Of the adverts, and of all `addresses`.
    pub family: Family,
    /// `version`
    pub version: Version,
    /// `state`; matters with priority 255 only.
    pub initial_state: InitialState,
    /// `interface`; `None` is possible with unicast only.
    pub interface: Option<String>,
    /// 1 to 255
    pub vrid: u8,
    /// 1 to 255; 255 owns the addresses.
    pub priority: u8,
    /// Whole seconds with version 2, hundredths with version 3.
    pub advert_int: Duration,
    /// How many adverts may be missed.
    pub down_timer_adverts: u8,
    /// `nopreempt` makes it false.
    pub preempt: bool,
    /// `preempt_delay`; zero for none.
    pub preempt_delay: Duration,
    /// `None` also where the file has it but cannot be used.
    pub authentication: Option<Authentication>,
    /// `virtual_ipaddress`, in the order of the packet.
    pub addresses: Vec<VirtualAddress>,
    /// `virtual_ipaddress_excluded`: set with the state, absent from the packet.
    pub excluded_addresses: Vec<VirtualAddress>,
    /// `virtual_routes`
    pub routes: Vec<Route>,
    /// `virtual_rules`
    pub rules: Vec<Rule>,
    /// `promote_secondaries`
    pub promote_secondaries: bool,
    /// How adverts travel.
    pub transport: Transport,
    /// What it watches.
    pub track: Track,
    /// Whom it tells; apart, since most of thousands tell nobody. See [`Instance::notify`].
    pub notify: Option<Box<Notify>>,
    /// The `garp_*` words.
    pub garp: Garp,
    /// `use_vmac` or `use_ipvlan`
    pub vmac: Option<Box<Vmac>>,
    /// `use_vmac_addr`: virtual interfaces also for addresses that are not on the instance's interface.
    pub vmac_addresses: bool,
    /// `vrf`
    pub vrf: Option<String>,
    /// False (`no_accept`): packets to the addresses are dropped unless the instance owns them.
    pub accept: bool,
    /// `strict_mode` or `vrrp_strict`
    pub strict: bool,
    /// `skip_check_adv_addr`
    pub skip_check_advert_addresses: bool,
    /// `lower_prio_no_advert`
    pub lower_priority_no_advert: bool,
    /// `higher_prio_send_advert`
    pub higher_priority_send_advert: bool,
    /// `owner_ignore_adverts`: priority 255 does not look at adverts.
    pub owner_ignore_adverts: bool,
    /// `timer_expired_backup`: give up mastership after a stall in which a node of this priority can have taken over.
    pub timer_expired_backup: Option<u8>,
    /// `kernel_rx_buf_size`, in bytes.
    pub receive_buffer: Option<u32>,
    /// `debug`
    pub debug: u8,
    /// The group that lists it.
    pub sync_group: Option<SyncGroupId>,
    /// `lvs_sync_daemon_interface` names it, or the global `lvs_sync_daemon` does.
    pub lvs_sync: bool,
}

impl Instance {
    /// Whom it tells.
    pub fn notify(&self) -> &Notify {
        self.notify.as_deref().unwrap_or(Notify::NOBODY)
    }
}

/// `authentication`
#[derive(Clone, PartialEq, Eq)]
pub enum Authentication {
    /// Up to 8 bytes, zero filled.
    Password([u8; 8]),
    /// The IP authentication header with this key.
    Ah([u8; 8]),
    /// `auth_hmac`, which is not applied yet.
    Hmac,
}

/// Secrets are not for logs.
impl std::fmt::Debug for Authentication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(..)",
            Self::Ah(_) => "Ah(..)",
            Self::Hmac => "Hmac",
        })
    }
}

/// Programs to run and mails to send when the state changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// `notify_master`
    pub master: Option<Command>,
    /// `notify_backup`
    pub backup: Option<Command>,
    /// `notify_fault`
    pub fault: Option<Command>,
    /// `notify_stop`
    pub stop: Option<Command>,
    /// `notify_deleted`: say DELETED rather than FAULT when removed by a reload; its script if it has one.
    pub deleted: Option<Option<Command>>,
    /// `notify_master_rx_lower_pri`
    pub master_rx_lower_priority: Option<Command>,
    /// `notify`: gets kind, name, state and priority as further arguments.
    pub any: Option<Command>,
    /// `smtp_alert`
    pub smtp_alert: bool,
    /// `notify_priority_changes`
    pub priority_changes: bool,
}

impl Notify {
    /// Nobody is told.
    pub const NOBODY: &Self = &Self {
        master: None,
        backup: None,
        fault: None,
        stop: None,
        deleted: None,
        master_rx_lower_priority: None,
        any: None,
        smtp_alert: false,
        priority_changes: false,
    };
}

/// Gratuitous ARP and unsolicited neighbour advertisements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garp {
    /// Rounds sent at once on becoming master.
    pub master_repeat: u8,
    /// Delay of the second, equal set; zero is none.
    pub master_delay: Duration,
    /// Period of the refresh; zero is none.
    pub refresh: Duration,
    /// Rounds in one refresh.
    pub refresh_repeat: u8,
    /// After a lower priority was heard as master.
    pub lower_priority_repeat: u8,
    /// When their second set follows; zero for none.
    pub lower_priority_delay: Duration,
    /// `garp_extra_if`: period on the other interfaces of the addresses; zero is none.
    pub extra_interfaces: Duration,
    /// `garp_extra_if all`
    pub extra_all: bool,
}

/// `use_vmac`, `use_ipvlan`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vmac {
    /// Which kind of interface.
    pub kind: VmacKind,
    /// `None`: made of the prefix and the VRID.
    pub name: Option<String>,
    /// `vmac_xmit_base`: adverts leave with the real address.
    pub xmit_base: bool,
    /// `netlink_notify_msg`
    pub netlink_notify: bool,
    /// Address of its own, where the file names one.
    pub mac: Option<[u8; 6]>,
    /// `group`
    pub group: Option<u32>,
}

/// What kind of virtual interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmacKind {
    /// `use_vmac`
    Macvlan,
    /// `use_ipvlan`
    Ipvlan,
}

/// `vrrp_sync_group`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncGroup {
    /// As in the log, and unique.
    pub name: String,
    /// At least one.
    pub members: Vec<InstanceId>,
    /// What the group watches for all.
    pub track: Track,
    /// Whom the group tells.
    pub notify: Notify,
    /// `sync_group_tracking_weight`: weighted trackers count for members.
    pub tracking_weight: bool,
}
