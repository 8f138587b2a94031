//! When the neighbours are told where an address is.
//!
//! A set is a number of rounds; a round is one frame for each address. Frames leave at once, unless the router keeps them
//! apart (`vrrp_garp_interval`, `garp_group`).

use super::event::{Level, Output, Outputs};
use super::settings::{Settings, VirtualAddress};
use std::net::IpAddr;

/// A whole set for all addresses.
pub fn announce_all(settings: &Settings, rounds: u32, out: &mut Outputs) {
    for round in 0..rounds {
        for vip in settings.all_addresses() {
            announce(settings, vip, round == 0, out);
        }
    }
}

/// `garp_extra_if`: one round for what is on an interface of its own, or for all.
pub fn announce_extra(settings: &Settings, out: &mut Outputs) {
    for vip in settings.all_addresses() {
        let device = settings.device_of(vip);
        let virtual_interface = settings.vmacs.iter().any(|vmac| Some(vmac.name.as_str()) == device);
        if virtual_interface || settings.garp.extra_all {
            announce(settings, vip, true, out);
        }
    }
}

/// One frame for one address; the first of a set is announced in the log.
pub fn announce(settings: &Settings, vip: &VirtualAddress, first: bool, out: &mut Outputs) {
    if first {
        let many = match vip.address {
            IpAddr::V4(_) => "gratuitous ARPs",
            IpAddr::V6(_) => "Unsolicited Neighbour Adverts",
        };
        let device = settings.device_of(vip).unwrap_or_default();
        let line = format!("({}) Sending/queueing {many} on {device} for {}", settings.name, vip.address);
        out.push(Output::Log(Level::Detail, line));
    }
    out.push(Output::Announce(vip.clone()));
}
