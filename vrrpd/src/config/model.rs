//! What a keepalived.conf says, complete: every default is filled in, every reference is an id that exists.
//!
//! A value that keepalived would replace (out of range, unknown word) is already replaced here, with the message it
//! gives; so nothing in the model needs checking again. What only the host can tell (does the interface exist now, is
//! the address ours) is not in it.

pub use crate::command::{Command, Form, User};
pub use crate::packet::{Family, Version};
pub use crate::vrrp::settings::InitialState;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

/// Place of an instance in [`Model::instances`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub usize);
/// Place of a group in [`Model::sync_groups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyncGroupId(pub usize);
/// Place of a script in [`Model::scripts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScriptId(pub usize);
/// Place of a file in [`Model::files`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub usize);
/// Place of a process in [`Model::processes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub usize);
/// Place of a session in [`Model::bfd`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BfdId(pub usize);

/// A whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Settings of the whole daemon.
    pub global: Global,
    /// `vrrp_instance`s in the order of the file.
    pub instances: Vec<Instance>,
    /// `vrrp_sync_group`s that have members.
    pub sync_groups: Vec<SyncGroup>,
    /// `vrrp_script`s that can be run.
    pub scripts: Vec<Script>,
    /// `track_file`s.
    pub files: Vec<TrackedFile>,
    /// `vrrp_track_process`es.
    pub processes: Vec<TrackedProcess>,
    /// `bfd_instance`s.
    pub bfd: Vec<BfdInstance>,
    /// Addresses that are there while the daemon runs, whoever is master.
    pub static_addresses: Vec<StaticAddress>,
    /// Routes that are there while the daemon runs.
    pub static_routes: Vec<Route>,
    /// Rules that are there while the daemon runs.
    pub static_rules: Vec<Rule>,
    /// Interfaces that share a pace of gratuitous ARPs.
    pub garp_groups: Vec<GarpGroup>,
    /// How long a change of an interface must last before it counts.
    pub interface_delays: Vec<InterfaceDelay>,
    /// What is read of the load balancer and not applied.
    pub virtual_servers: Vec<VirtualServer>,
}

/// `global_defs` and the words of the root level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    /// `router_id`; the host name when absent. In mails, SNMP and logs, never on the wire.
    pub router_id: String,
    /// Mail.
    pub smtp: Smtp,
    /// Who runs scripts.
    pub scripts: ScriptPolicy,
    /// Named pipes that are told of changes.
    pub fifos: Fifos,
    /// The process.
    pub process: ProcessSettings,
    /// SNMP and D-Bus.
    pub snmp: Snmp,
    /// `default_interface`: for static addresses without `dev`.
    pub default_interface: Option<String>,
    /// `vrrp_mcast_group4`
    pub mcast_group4: Ipv4Addr,
    /// `vrrp_mcast_group6`
    pub mcast_group6: Ipv6Addr,
    /// `dynamic_interfaces`: an interface that is missing at start may come later.
    pub dynamic_interfaces: DynamicInterfaces,
    /// `vrrp_startup_delay`: adverts are neither sent nor awaited before.
    pub startup_delay: Duration,
    /// `vrrp_delay_after_boot`: like it, counted from the boot of the host.
    pub delay_after_boot: Duration,
    /// `log_unknown_vrids`
    pub log_unknown_vrids: bool,
    /// `vrrp_notify_priority_changes`
    pub notify_priority_changes: bool,
    /// `vrrp_garp_interval`: least time between two gratuitous ARPs on an interface.
    pub garp_interval: Duration,
    /// `vrrp_gna_interval`: least time between two neighbour advertisements on an interface.
    pub gna_interval: Duration,
    /// `startup_script`, run once before anything else.
    pub startup_script: Option<OneShotScript>,
    /// `shutdown_script`, run once after everything else.
    pub shutdown_script: Option<OneShotScript>,
    /// `vmac_prefix`: names of virtual interfaces begin with it.
    pub vmac_prefix: String,
    /// First five bytes of a virtual MAC address, where `vmac_addr_prefix` changes them.
    pub vmac_addr_prefix: Option<[u8; 5]>,
    /// `disable_local_igmp`
    pub disable_local_igmp: bool,
    /// `nftables` and what belongs to it.
    pub firewall: Firewall,
    /// How a reload is asked for and guarded.
    pub reload: Reload,
}

/// Mail settings of `global_defs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smtp {
    /// `notification_email`
    pub to: Vec<String>,
    /// `notification_email_from`
    pub from: String,
    /// `smtp_server`: name or address, and port. Not resolved here.
    pub server: Option<(String, u16)>,
    /// `smtp_helo_name`
    pub helo_name: String,
    /// `smtp_connect_timeout`
    pub connect_timeout: Duration,
    /// `no_email_faults`
    pub no_faults: bool,
}

/// Who may run scripts, and how strictly that is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptPolicy {
    /// `enable_script_security`
    pub security: bool,
    /// `script_user`, else `keepalived_script` if there is such a user, else root.
    pub user: User,
    /// `umask`
    pub umask: u16,
}

/// The named pipes of `notify_fifo`, `vrrp_notify_fifo` and `lvs_notify_fifo`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fifos {
    /// `notify_fifo`
    pub all: Option<Fifo>,
    /// `vrrp_notify_fifo`
    pub vrrp: Option<Fifo>,
    /// `lvs_notify_fifo`
    pub lvs: Option<Fifo>,
    /// `fifo_write_vrrp_states_on_reload`
    pub write_states_on_reload: bool,
}

/// One named pipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fifo {
    /// Where it is made.
    pub path: PathBuf,
    /// Whom it belongs to.
    pub user: User,
    /// The script that reads it; gets the path of the pipe as its last argument.
    pub script: Option<Command>,
}

/// `dynamic_interfaces`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DynamicInterfaces {
    /// An interface that is missing at start is an error.
    No,
    /// It may come later.
    Yes,
    /// `allow_if_changes`: an interface may even come back as another kind.
    AllowChanges,
}

/// How the daemon's process is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessSettings {
    /// `net_namespace`
    pub net_namespace: Option<String>,
    /// `instance`: part of the names of the pid files.
    pub instance_name: Option<String>,
    /// `use_pid_dir`: pid files are in a directory of their own.
    pub use_pid_dir: bool,
    /// `child_wait_time`
    pub child_wait_time: Duration,
    /// `process_name` or `process_names`
    pub process_name: Option<String>,
    /// `vrrp_process_name`
    pub vrrp_process_name: Option<String>,
    /// `vrrp_priority`, a nice value.
    pub nice: Option<i8>,
    /// `vrrp_no_swap`: lock the memory.
    pub no_swap: bool,
    /// `vrrp_rt_priority`
    pub realtime_priority: Option<u8>,
    /// `vrrp_rlimit_rttime`, in microseconds.
    pub realtime_limit: Option<u64>,
    /// `vrrp_cpu_affinity`
    pub cpu_affinity: Vec<u32>,
    /// `vrrp_rx_bufs_policy`
    pub receive_buffers: ReceiveBuffers,
    /// `vrrp_rx_bufs_multiplier`
    pub receive_multiplier: u32,
    /// `data_use_instance`
    pub data_use_instance: bool,
    /// `state_dump_file`, `stats_dump_file`, `json_dump_file`
    pub state_dump_file: PathBuf,
    /// `stats_dump_file`: what SIGUSR2 writes.
    pub stats_dump_file: PathBuf,
    /// `json_dump_file`: what the JSON signal writes.
    pub json_dump_file: PathBuf,
    /// `json_version`, 1 or 2
    pub json_version: u8,
}

/// `vrrp_rx_bufs_policy`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveBuffers {
    /// What the kernel gives.
    Default,
    /// Enough for so many packets of the interface's MTU.
    Mtu,
    /// Enough for so many adverts.
    Advert,
    /// So many bytes.
    Bytes(u32),
}

/// Which SNMP parts are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snmp {
    /// `snmp_socket`
    pub socket: Option<String>,
    /// `enable_traps`
    pub traps: bool,
    /// `enable_snmp_vrrp`
    pub vrrp: bool,
    /// `enable_snmp_checker`
    pub checker: bool,
    /// `enable_snmp_rfcv2`
    pub rfc_v2: bool,
    /// `enable_snmp_rfcv3`
    pub rfc_v3: bool,
    /// `enable_dbus`
    pub dbus: bool,
}

/// The packet filter that `no_accept` needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firewall {
    /// Name of the table of `nftables`.
    pub table: String,
    /// `nftables_priority`
    pub priority: i32,
    /// `nftables_counters`
    pub counters: bool,
    /// `nftables_ifindex`
    pub by_interface_index: bool,
}

/// How a reload is guarded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reload {
    /// `reload_check_config`, and where its messages go.
    pub check_config: Option<PathBuf>,
    /// `reload_time_file`: says when to reload.
    pub time_file: Option<PathBuf>,
    /// `reload_repeat`: and again every day.
    pub repeat: bool,
    /// `reload_file`: exists while files are read.
    pub file: Option<PathBuf>,
}

/// A program that is run once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneShotScript {
    /// What is run.
    pub command: Command,
    /// After this it is killed.
    pub timeout: Duration,
}

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
    /// Whom it tells.
    pub notify: Notify,
    /// The `garp_*` words.
    pub garp: Garp,
    /// `use_vmac` or `use_ipvlan`
    pub vmac: Option<Vmac>,
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
    /// `timer_expired_backup`: give up mastership after a stall of so many adverts.
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

/// How adverts travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// `mcast_src_ip` or `unicast_src_ip`; the interface's first address when absent.
    pub source: Option<IpAddr>,
    /// `track_src_ip`: the instance is faulty while the source address is absent.
    pub track_source: bool,
    /// Where they go.
    pub destination: Destination,
    /// `v3_checksum_as_v2`: no pseudo header in the sum of version 3 over IPv4.
    pub checksum_without_pseudo_header: bool,
}

/// Where adverts go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To this group.
    Multicast(IpAddr),
    /// One copy to each peer.
    Unicast(Unicast),
}

/// Unicast peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unicast {
    /// Empty only with `fault_no_peer`.
    pub peers: Vec<Peer>,
    /// Without a peer the instance is faulty.
    pub fault_no_peer: bool,
    /// Adverts of other hosts are dropped.
    pub check_source: bool,
    /// TTL or hop limit to send with.
    pub ttl: u8,
    /// `old_unicast_checksum`
    pub old_checksum: OldChecksum,
}

/// One unicast peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Of the other node.
    pub address: IpAddr,
    /// Least and greatest TTL accepted from it.
    pub min_ttl: u8,
    /// Greatest TTL accepted from it.
    pub max_ttl: u8,
}

/// `old_unicast_checksum`: sums as keepalived 1.3.6 and older made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldChecksum {
    /// Follow what is received.
    Auto,
    /// As the old versions do.
    Always,
    /// As the new versions do, whatever is received.
    Never,
}

/// An address that moves with the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualAddress {
    /// The address itself.
    pub address: IpAddr,
    /// Of its network; that of a host when the file gives none.
    pub prefix_length: u8,
    /// `dev`; the instance's interface (or its virtual one) when absent.
    pub interface: Option<String>,
    /// `brd`
    pub broadcast: Broadcast,
    /// As the kernel numbers it: 0 global, 200 site, 253 link, 254 host.
    pub scope: u8,
    /// `label`, at most 15 bytes.
    pub label: Option<String>,
    /// `peer`, for point-to-point links.
    pub peer: Option<(IpAddr, u8)>,
    /// `preferred_lft`; `None` is the default of the family, zero is deprecated.
    pub preferred_lifetime: Option<Lifetime>,
    /// `home`
    pub home: bool,
    /// False with `-nodad`: skip duplicate address detection.
    pub dad: bool,
    /// `mngtmpaddr`
    pub manage_temp_address: bool,
    /// `noprefixroute`
    pub no_prefix_route: bool,
    /// `autojoin`
    pub autojoin: bool,
    /// False with `no_track`: its removal by someone else does not cost the master state.
    pub track: bool,
}

/// How long an IPv6 address is preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It does not end.
    Forever,
    /// So many seconds; zero is deprecated from the start.
    Seconds(u32),
}

/// `brd`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broadcast {
    /// Not set.
    None,
    /// `+`: all host bits set.
    HostOnes,
    /// `-`: all host bits clear.
    HostZeros,
    /// This one.
    Address(Ipv4Addr),
}

/// An address of `static_ipaddress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticAddress {
    /// The address, with its interface.
    pub address: VirtualAddress,
    /// Instances that become faulty when it is lost (`track_group`).
    pub track: Vec<InstanceId>,
}

/// A route of `virtual_routes` or `static_routes`, in the terms of ip-route(8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Of the destination.
    pub family: Family,
    /// `unicast` unless another type is named.
    pub kind: RouteKind,
    /// Destination and prefix length; length 0 is the default route.
    pub to: (IpAddr, u8),
    /// `via`, possibly of the other family.
    pub via: Option<IpAddr>,
    /// `dev`
    pub interface: Option<String>,
    /// `src`: preferred source address.
    pub source: Option<IpAddr>,
    /// `table`; 254 is the main one.
    pub table: u32,
    /// `metric`
    pub metric: Option<u32>,
    /// `scope`
    pub scope: Option<u8>,
    /// `proto`
    pub protocol: Option<u8>,
    /// `tos`
    pub tos: Option<u8>,
    /// `mtu`
    pub mtu: Option<u32>,
    /// `onlink`: the gateway is on the link, whatever the routes say.
    pub onlink: bool,
    /// `nexthop`s; then `via` and `interface` are empty.
    pub next_hops: Vec<NextHop>,
    /// `append` rather than replace.
    pub append: bool,
    /// False with `no_track`.
    pub track: bool,
    /// Instances of its `track_group`.
    pub track_group: Vec<InstanceId>,
    /// Options that are understood but not passed to the kernel yet.
    pub not_applied: Vec<String>,
}

/// The type of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// `unicast`
    Unicast,
    /// `local`
    Local,
    /// `broadcast`
    Broadcast,
    /// `multicast`
    Multicast,
    /// `throw`
    Throw,
    /// `unreachable`
    Unreachable,
    /// `prohibit`
    Prohibit,
    /// `blackhole`
    Blackhole,
    /// `nat`
    Nat,
}

/// One path of a multipath route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// `via`
    pub via: Option<IpAddr>,
    /// `dev`
    pub interface: Option<String>,
    /// 1 to 256
    pub weight: u16,
    /// `onlink`
    pub onlink: bool,
}

/// A rule of `virtual_rules` or `static_rules`, in the terms of ip-rule(8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Of its addresses.
    pub family: Family,
    /// `not`: for packets that do not match.
    pub not: bool,
    /// `from`, and the prefix length.
    pub from: Option<(IpAddr, u8)>,
    /// `to`, and the prefix length.
    pub to: Option<(IpAddr, u8)>,
    /// `tos`
    pub tos: Option<u8>,
    /// `fwmark` and its mask.
    pub fwmark: Option<(u32, u32)>,
    /// `iif`
    pub incoming: Option<String>,
    /// `oif`
    pub outgoing: Option<String>,
    /// `priority`
    pub preference: u32,
    /// What happens with a match.
    pub action: RuleAction,
    /// False with `no_track`.
    pub track: bool,
    /// Instances of its `track_group`.
    pub track_group: Vec<InstanceId>,
    /// Options that are understood but not passed to the kernel yet.
    pub not_applied: Vec<String>,
}

/// What a rule does with a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleAction {
    /// `table`: look up here.
    Table(u32),
    /// `goto`: go on with this rule.
    Goto(u32),
    /// `blackhole`
    Blackhole,
    /// `prohibit`
    Prohibit,
    /// `unreachable`
    Unreachable,
    /// `nop`
    Nop,
}

/// What an instance or a group watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track {
    /// False with `dont_track_primary`: its own interface may go down.
    pub primary: bool,
    /// `track_interface`
    pub interfaces: Vec<TrackRef<String>>,
    /// `track_script`
    pub scripts: Vec<TrackRef<ScriptId>>,
    /// `track_file`
    pub files: Vec<TrackRef<FileId>>,
    /// `track_process`
    pub processes: Vec<TrackRef<ProcessId>>,
    /// `track_bfd`
    pub bfd: Vec<TrackRef<BfdId>>,
}

/// One thing watched and what it does to the priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackRef<T> {
    /// What is watched.
    pub target: T,
    /// Zero: failure is a fault. -253 to 253, for files any number.
    pub weight: i32,
    /// `reverse`: success counts as failure.
    pub reverse: bool,
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
    /// `use_vmac_addr`: also for addresses on other interfaces.
    pub for_addresses: bool,
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

/// `vrrp_script`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// As in `track_script`, and unique.
    pub name: String,
    /// What is run.
    pub command: Command,
    /// From start to start.
    pub interval: Duration,
    /// After this the script is killed and counts as failed.
    pub timeout: Duration,
    /// For references without a weight of their own; zero: failure is a fault.
    pub weight: i32,
    /// `reverse` of that weight.
    pub reverse: bool,
    /// Successes until it is up.
    pub rise: u32,
    /// Failures until it is down.
    pub fall: u32,
    /// `init_fail`: down until it has succeeded.
    pub init_fail: bool,
}

/// `track_file`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedFile {
    /// As in `track_file` of an instance.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What its number is multiplied with; zero: anything but zero is a fault.
    pub weight: i32,
    /// `reverse` of that weight.
    pub reverse: bool,
    /// `init_file`: value to create it with, and whether an existing file is overwritten.
    pub init: Option<(i64, bool)>,
}

/// `vrrp_track_process`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedProcess {
    /// As in `track_process` of an instance.
    pub name: String,
    /// Program, or its parameters too where they matter.
    pub process: Vec<String>,
    /// `param_match`
    pub param_match: ParamMatch,
    /// `full_command`: compare the command line rather than the name.
    pub full_command: bool,
    /// For references without a weight of their own.
    pub weight: i32,
    /// `reverse` of that weight.
    pub reverse: bool,
    /// `quorum`: so many must run.
    pub quorum: u32,
    /// `quorum_max`: and no more than so many.
    pub quorum_max: Option<u32>,
    /// `fork_delay`: how long they must have run.
    pub fork_delay: Duration,
    /// `terminate_delay`: how long they must have been gone.
    pub terminate_delay: Duration,
}

/// How the parameters of a process are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamMatch {
    /// Parameters do not matter.
    None,
    /// All are equal.
    Exact,
    /// The first ones are equal.
    Partial,
    /// The first ones are equal, and the last begins so.
    Initial,
}

/// `bfd_instance`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BfdInstance {
    /// As in `track_bfd`.
    pub name: String,
    /// `neighbor_ip`
    pub neighbor: IpAddr,
    /// `source_ip`, of the same family.
    pub source: Option<IpAddr>,
    /// `min_rx`
    pub min_rx: Duration,
    /// `min_tx`
    pub min_tx: Duration,
    /// `idle_tx`
    pub idle_tx: Duration,
    /// `multiplier`: so many may be missed.
    pub multiplier: u8,
    /// `passive`
    pub passive: bool,
    /// `ttl` or `hoplimit` to send with.
    pub ttl: u8,
    /// `max_hops`: how many a packet may have taken.
    pub max_hops: Option<u8>,
    /// For references without a weight of their own.
    pub weight: i32,
    /// `reverse` of that weight.
    pub reverse: bool,
    /// Instances may track it.
    pub for_vrrp: bool,
    /// Checkers may track it.
    pub for_checker: bool,
}

/// `garp_group`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GarpGroup {
    /// `garp_interval`
    pub garp_interval: Duration,
    /// `gna_interval`
    pub gna_interval: Duration,
    /// Which share it.
    pub interfaces: Vec<String>,
}

/// A line of `interface_up_down_delays`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceDelay {
    /// Which.
    pub interface: String,
    /// Before it counts as down.
    pub down: Duration,
    /// Before it counts as up.
    pub up: Duration,
}

/// A `virtual_server`, which this daemon reads and checks but does not apply yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualServer {
    /// As keepalived names it in messages.
    pub name: String,
    /// How many of its `real_server`s are valid.
    pub real_servers: usize,
}
