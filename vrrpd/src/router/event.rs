//! The vocabulary between the router and its driver.

use super::Settings;
use super::interface::Interface;
use crate::command::Command;
use crate::notify::Notice;
use crate::packet::Datagram;
use crate::route::{Route, Rule};
use crate::track::file::Reading;
use crate::track::script::Outcome;
use crate::vrrp::event::Advertisement;
use crate::vrrp::settings::VirtualAddress;
use crate::vrrp::{Level, Phase};
use std::collections::HashSet;
use std::net::IpAddr;

/// A fact.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// All interfaces have been told; begin.
    Start,
    /// The same for a process that replaces one that died: these instances were masters until a moment ago.
    Resume(HashSet<String>),
    /// A VRRP message arrived on the interface of this index.
    Packet {
        /// Interface index.
        interface: u32,
        /// The message.
        datagram: Datagram<'a>,
    },
    /// Time has passed.
    Time,
    /// An interface is new or has changed.
    Interface(Interface),
    /// An interface is gone.
    InterfaceGone(String),
    /// An interface has another name; what it is under that one comes as [`Input::Interface`].
    InterfaceRenamed {
        /// What it was called.
        from: String,
        /// What it is called.
        to: String,
    },
    /// Somebody else removed an address.
    AddressVanished {
        /// Interface it was on.
        interface: String,
        /// The address.
        address: IpAddr,
    },
    /// One of our routes is not in the kernel any more.
    RouteVanished(Route),
    /// One of our rules is not in the kernel any more.
    RuleVanished(Rule),
    /// Whether a static object could be put where it belongs.
    Static {
        /// The object.
        object: Object,
        /// It is there.
        present: bool,
    },
    /// A script's run ended.
    ScriptFinished {
        /// Name of the script.
        script: String,
        /// How it ended.
        outcome: Outcome,
    },
    /// A tracked file was read.
    FileRead {
        /// Name of its block.
        file: String,
        /// What it holds.
        reading: Reading,
    },
    /// The processes of a kind were counted.
    ProcessesCounted {
        /// Name of the block.
        process: String,
        /// How many run.
        count: u32,
    },
    /// New settings, complete and valid.
    Reload(Settings),
    /// The daemon stops.
    Stop,
    /// The daemon stops and leaves what its masters hold where it is (`--dont-release-vrrp`), for the one that is
    /// started next.
    Leave,
}

/// Something of `static_ipaddress`, `static_routes` or `static_rules`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// An address, with its device.
    Address {
        /// The device.
        device: String,
        /// The address.
        address: VirtualAddress,
    },
    /// A route.
    Route(Route),
    /// A rule.
    Rule(Rule),
}

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a VRRP message.
    Advertise {
        /// Interface to send on; the routing decides when absent.
        interface: Option<String>,
        /// What to send.
        advertisement: Advertisement,
    },
    /// Put an address on a device; it may be there already.
    AddAddress {
        /// The device.
        device: String,
        /// The address.
        address: VirtualAddress,
    },
    /// Take an address off a device; it may be gone already.
    RemoveAddress {
        /// The device.
        device: String,
        /// The address.
        address: VirtualAddress,
    },
    /// Put a route into the kernel; it may be there already.
    AddRoute(Route),
    /// Take a route out of the kernel; it may be gone already.
    RemoveRoute(Route),
    /// Put a rule into the kernel; it may be there already.
    AddRule(Rule),
    /// Take a rule out of the kernel; it may be gone already.
    RemoveRule(Rule),
    /// Put a static object where it belongs; [`Input::Static`] is expected.
    AddStatic(Object),
    /// Take a static object away.
    RemoveStatic(Object),
    /// Drop packets to and from these addresses, or do not any more.
    Filter {
        /// Drop them.
        drop: bool,
        /// Addresses with their devices.
        addresses: Vec<(String, IpAddr)>,
    },
    /// Send one gratuitous ARP or neighbour advertisement.
    Announce {
        /// The device.
        device: String,
        /// The address.
        address: IpAddr,
    },
    /// Tell everybody.
    Notify(Notice),
    /// Start a script; `Input::ScriptFinished` is expected.
    RunScript {
        /// Its name.
        script: String,
        /// What to run.
        command: Command,
    },
    /// SIGTERM to the process group of a script.
    TerminateScript(String),
    /// SIGKILL to the process group of a script.
    KillScript(String),
    /// An instance changed its state: for the status, nothing needs to be done.
    Changed {
        /// Name of the instance.
        instance: String,
        /// Its new state.
        phase: Phase,
    },
    /// Write a line to the log.
    Log(Level, String),
}

/// Collects outputs in the order in which they are to be performed.
pub type Outputs = Vec<Output>;
