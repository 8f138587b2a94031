//! The whole vocabulary between an instance and whoever drives it. Inputs are facts, outputs are instructions.

use super::settings::VirtualAddress;
use super::state::Phase;
use crate::notify;
use crate::packet::Datagram;
use crate::route::{Route, Rule};
use std::net::IpAddr;

/// A fact.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The configuration is in force and everything known about links and trackers has been told.
    Start,
    /// The same, and until a moment ago this node was master: the process that knew it died and this one replaces it.
    /// The addresses are still there.
    Resume,
    /// A VRRP message for this virtual router id arrived.
    Packet(Datagram<'a>),
    /// Time has passed; sent at or after `next_deadline`.
    Time,
    /// What the kernel says about the instance's interface.
    Link(Link),
    /// What the trackers add up to.
    Tracked(Tracked),
    /// Somebody else removed one of the virtual addresses from its device.
    AddressVanished(IpAddr),
    /// One of the virtual routes is not in the kernel any more.
    RouteVanished(&'a Route),
    /// One of the virtual rules is not in the kernel any more.
    RuleVanished(&'a Rule),
    /// The sync group takes the instance along.
    Group(Sync),
    /// The daemon stops, or a reload removed the instance.
    Stop(Reason),
}

/// The instance's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Up and running, as far as the instance cares (`dont_track_primary`).
    pub up: bool,
    /// The address that adverts leave from, if there is one.
    pub source: Option<IpAddr>,
}

/// What the trackers add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracked {
    /// Sum of the weights.
    pub bonus: i32,
    /// At least one tracker of weight 0 failed.
    pub fault: bool,
    /// At least one tracker of weight 0 has no result yet.
    pub waiting: bool,
}

/// What a sync group makes its members do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Another member became master.
    Master,
    /// Another member stopped being master.
    Backup,
    /// Another member is in fault.
    Fault,
    /// No other member is in fault any more.
    Clear,
}

/// Why an instance ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The daemon stops.
    Shutdown,
    /// The daemon stops, and what a master holds stays where it is: nobody is told that it gives up.
    Left,
    /// A reload removed the instance.
    Deleted,
}

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a VRRP message.
    Advertise(Advertisement),
    /// Put the address on its device; it may be there already.
    AddAddress(VirtualAddress),
    /// Take the address off its device; it may be gone already.
    RemoveAddress(VirtualAddress),
    /// Put the route into the kernel; it may be there already.
    AddRoute(Route),
    /// Take the route out of the kernel; it may be gone already.
    RemoveRoute(Route),
    /// Put the rule into the kernel; it may be there already.
    AddRule(Rule),
    /// Take the rule out of the kernel; it may be gone already.
    RemoveRule(Rule),
    /// Drop packets to and from all addresses of the instance, or do not any more (`no_accept`).
    Filter(bool),
    /// Tell the neighbours on the device of this address where it is: one gratuitous ARP or neighbour advertisement.
    Announce(VirtualAddress),
    /// Run the notify scripts of this event; the number is the effective priority.
    Notify(notify::Event, u8),
    /// The state changed. For sync groups and statistics, everything else has its own output.
    Changed(Phase),
    /// Write a line to the log.
    Log(Level, String),
}

/// Collects outputs in the order in which they are to be performed.
pub type Outputs = Vec<Output>;

/// A VRRP message with its IP header's fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// Source address.
    pub source: IpAddr,
    /// A group or a peer.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// IP identification, counted per instance.
    pub id: u16,
    /// What follows the IP header.
    pub message: Vec<u8>,
}

/// How loud a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something that was asked for is not done.
    Error,
    /// Something is wrong and an operator should look.
    Warning,
    /// Always written.
    Info,
    /// Written with `-D`, as keepalived's detailed log messages.
    Detail,
}
