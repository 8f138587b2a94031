//! What a keepalived.conf says, complete: every default is filled in, every reference is an id that exists.
//!
//! A value that keepalived would replace (out of range, unknown word) is already replaced here, with the message it
//! gives; so nothing in the model needs checking again. What only the host can tell (does the interface exist now, is
//! the address ours) is not in it.

mod address;
mod global;
mod id;
mod instance;
mod process;
mod route;
mod track;
mod transport;
mod virtual_server;

pub use crate::command::{Command, Form, User};
pub use crate::packet::{Family, Version};
pub use crate::route::{Route, Rule};
pub use crate::track::process::ParamMatch;
pub use crate::vrrp::settings::InitialState;
pub use address::{Broadcast, Lifetime, StaticAddress, VirtualAddress};
pub use global::{
    DynamicInterfaces, Fifo, Fifos, Firewall, GarpGroup, Global, InterfaceDelay, OneShotScript, ScriptPolicy, Smtp,
    Snmp,
};
pub use id::{BfdId, FileId, InstanceId, ProcessId, ScriptId, SyncGroupId};
pub use instance::{Authentication, Garp, Instance, Notify, SyncGroup, Vmac, VmacKind};
pub use process::{ProcessSettings, ReceiveBuffers, Reload};
pub use route::{StaticRoute, StaticRule};
pub use track::{BfdInstance, Script, Track, TrackRef, TrackedFile, TrackedProcess};
pub use transport::{Destination, OldChecksum, Peer, Transport, Unicast};
pub use virtual_server::VirtualServer;

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
    pub static_routes: Vec<StaticRoute>,
    /// Rules that are there while the daemon runs.
    pub static_rules: Vec<StaticRule>,
    /// Interfaces that share a pace of gratuitous ARPs.
    pub garp_groups: Vec<GarpGroup>,
    /// How long a change of an interface must last before it counts.
    pub interface_delays: Vec<InterfaceDelay>,
    /// What is read of the load balancer and not applied.
    pub virtual_servers: Vec<VirtualServer>,
}
