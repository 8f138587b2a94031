//! `global_defs` and the words of the root level.

use super::{ProcessSettings, Reload};
use crate::command::{Command, User};
use crate::notify::mail::{Login, Security};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

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
    /// `vmac_addr_prefix`: those of addresses on other interfaces than the instance's; as `vmac_prefix` when absent.
    pub vmac_addr_prefix: Option<String>,
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
    /// `smtp_tls`
    pub security: Security,
    /// `smtp_auth`
    pub login: Option<Login>,
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

/// A program that is run once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneShotScript {
    /// What is run.
    pub command: Command,
    /// After this it is killed.
    pub timeout: Duration,
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
