//! `static_ipaddress`, `static_routes`, `static_rules`: there while the daemon runs, whoever is master.

use super::event::Object;
use super::{Output, Outputs, Router};
use crate::vrrp::Level;
use crate::vrrp::settings::VirtualAddress;
use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

/// A static object and whom its loss concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Static {
    /// What it is.
    pub object: Object,
    /// Names of the instances of its `track_group`.
    pub track: Vec<String>,
}

/// A static object of a running router.
#[derive(Clone, Debug)]
pub(super) struct RunningStatic {
    pub(super) settings: Static,
    /// It could not be put where it belongs, or has not been yet.
    missing: bool,
}

impl RunningStatic {
    pub(super) fn new(settings: Static) -> Self {
        Self { settings, missing: false }
    }
}

impl Router {
    /// Whether a static object that the instance tracks is missing.
    pub(super) fn misses_static(&self, instance: &str) -> bool {
        self.statics.iter().any(|object| object.missing && object.settings.track.iter().any(|name| name == instance))
    }

    /// Whether an address is a static one that could be put where it belongs.
    pub(super) fn adds_static(&self, wanted: IpAddr) -> bool {
        self.statics.iter().any(|known| match &known.settings.object {
            Object::Address { address, .. } => address.address == wanted && !known.missing,
            Object::Route(_) | Object::Rule(_) => false,
        })
    }

    pub(super) fn add_statics(&self, out: &mut Outputs) {
        out.extend(self.statics.iter().map(|known| Output::AddStatic(known.settings.object.clone())));
    }

    pub(super) fn remove_statics(&self, out: &mut Outputs) {
        // Rules and routes first: an address takes its routes along, and the rest would be missed.
        out.extend(self.statics.iter().rev().map(|known| Output::RemoveStatic(known.settings.object.clone())));
    }

    /// Missing ones may find their place now that an interface has changed.
    pub(super) fn retry_statics(&self, out: &mut Outputs) {
        let missing = self.statics.iter().filter(|known| known.missing);
        out.extend(missing.map(|known| Output::AddStatic(known.settings.object.clone())));
    }

    pub(super) fn static_state(&mut self, now: Instant, object: &Object, present: bool, out: &mut Outputs) {
        let Some(known) = self.statics.iter_mut().find(|known| known.settings.object == *object) else { return };
        if known.missing == present {
            known.missing = !present;
            self.refresh_all(now, out);
        }
    }

    pub(super) fn restore_static_address(&self, interface: &str, lost: IpAddr, out: &mut Outputs) {
        self.restore(out, |object| {
            matches!(object, Object::Address { device, address } if device == interface && address.address == lost)
        });
    }

    /// Puts back what matches, with keepalived's words about it; not what is `no_track`.
    pub(super) fn restore(&self, out: &mut Outputs, matches: impl Fn(&Object) -> bool) {
        for known in self.statics.iter().filter(|known| matches(&known.settings.object)) {
            let object = &known.settings.object;
            let (tracked, set) = match object {
                Object::Address { address, .. } => (!address.flags.no_track, " set"),
                Object::Route(route) => (route.track, ""),
                Object::Rule(rule) => (rule.track, ""),
            };
            if !tracked {
                continue;
            }
            out.push(Output::Log(Level::Info, format!("Restoring deleted static {object}{set}")));
            out.push(Output::AddStatic(object.clone()));
        }
    }

    pub(super) fn reload_statics(&mut self, settings: Vec<Static>, out: &mut Outputs) {
        let old = std::mem::take(&mut self.statics);
        for known in old.iter().rev() {
            if !settings.iter().any(|kept| kept.object == known.settings.object) {
                out.push(Output::RemoveStatic(known.settings.object.clone()));
            }
        }
        for new in settings {
            let known = old.iter().find(|known| known.settings.object == new.object);
            if known.is_none() {
                out.push(Output::AddStatic(new.object.clone()));
            }
            self.statics.push(RunningStatic { settings: new, missing: known.is_some_and(|known| known.missing) });
        }
    }
}

/// Kind and words, as after `Restoring deleted static`.
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { device, address } => write!(f, "address {}", words_of(address, device)),
            Self::Route(route) => write!(f, "route {route}"),
            Self::Rule(rule) => write!(f, "rule {rule}"),
        }
    }
}

/// An address as keepalived writes it in its log.
fn words_of(vip: &VirtualAddress, device: &str) -> String {
    let is_host = vip.prefix == if vip.address.is_ipv4() { 32 } else { 128 };
    let mut words = vec![if is_host { vip.address.to_string() } else { format!("{}/{}", vip.address, vip.prefix) }];
    words.extend(vip.peer.map(|(peer, length)| format!("peer {peer}/{length}")));
    if let IpAddr::V4(address) = vip.address {
        words.extend(vip.broadcast.address(address, vip.prefix).map(|broadcast| format!("brd {broadcast}")));
    }
    let scope = match vip.scope.unwrap_or(0) {
        0 => "global".to_owned(),
        200 => "site".to_owned(),
        253 => "link".to_owned(),
        254 => "host".to_owned(),
        other => other.to_string(),
    };
    words.push(format!("dev {device} scope {scope}"));
    words.extend(vip.label.as_ref().map(|label| format!("label {label}")));
    let flags = [
        (vip.flags.home, "home"),
        (vip.flags.dad, "-nodad"),
        (vip.flags.mngtmpaddr, "mngtmpaddr"),
        (vip.flags.noprefixroute, "noprefixroute"),
        (vip.flags.autojoin, "autojoin"),
    ];
    words.extend(flags.into_iter().filter(|(given, _)| *given).map(|(_, word)| word.to_owned()));
    if vip.address.is_ipv6() {
        words.push(match vip.preferred_lifetime {
            Some(0) => "deprecated".to_owned(),
            None if is_host => "deprecated".to_owned(),
            Some(u32::MAX) | None => "preferred_lft forever".to_owned(),
            Some(seconds) => format!("preferred_lft {seconds}"),
        });
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vrrp::settings::{AddressFlags, Broadcast};

    fn address(text: &str, prefix: u8, change: impl FnOnce(&mut VirtualAddress)) -> String {
        let mut address = VirtualAddress::new(text.parse().unwrap(), prefix);
        change(&mut address);
        Object::Address { device: "eth0".to_owned(), address }.to_string()
    }

    /// Recorded from keepalived 2.2.7.
    #[test]
    fn addresses_in_the_log() {
        let flags = AddressFlags { home: true, dad: true, mngtmpaddr: true, noprefixroute: true, ..Default::default() };
        for (found, expected) in [
            (
                address("10.97.0.1", 24, |vip| {
                    (vip.broadcast, vip.scope, vip.label) = (Broadcast::Ones, Some(200), Some("eth0:st".to_owned()));
                }),
                "address 10.97.0.1/24 brd 10.97.0.255 dev eth0 scope site label eth0:st",
            ),
            (address("10.97.2.1", 32, |_| {}), "address 10.97.2.1 dev eth0 scope global"),
            (
                address("10.97.4.1", 24, |vip| {
                    (vip.broadcast, vip.flags.noprefixroute) = (Broadcast::Zeros, true);
                }),
                "address 10.97.4.1/24 brd 10.97.4.0 dev eth0 scope global noprefixroute",
            ),
            (address("10.97.7.1", 24, |vip| vip.scope = Some(77)), "address 10.97.7.1/24 dev eth0 scope 77"),
            (
                address("10.97.9.1", 24, |vip| vip.preferred_lifetime = Some(100)),
                "address 10.97.9.1/24 dev eth0 scope global",
            ),
            (
                address("2001:db8:1::1", 64, |_| {}),
                "address 2001:db8:1::1/64 dev eth0 scope global preferred_lft forever",
            ),
            (
                address("2001:db8:2::1", 64, |vip| vip.flags = flags),
                "address 2001:db8:2::1/64 dev eth0 scope global home -nodad mngtmpaddr noprefixroute preferred_lft forever",
            ),
            (
                address("2001:db8:3::1", 64, |vip| vip.preferred_lifetime = Some(0)),
                "address 2001:db8:3::1/64 dev eth0 scope global deprecated",
            ),
        ] {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_is_not_tracked_is_not_put_back() {
        for (no_track, lines) in [(false, 2), (true, 0)] {
            let mut address = VirtualAddress::new(IpAddr::from([10, 97, 8, 1]), 24);
            address.flags.no_track = no_track;
            let object = Object::Address { device: "eth0".to_owned(), address };
            let settings =
                super::super::Settings { statics: vec![Static { object, track: Vec::new() }], ..Default::default() };
            let mut out = Outputs::new();
            Router::new(settings).restore_static_address("eth0", IpAddr::from([10, 97, 8, 1]), &mut out);
            assert_eq!(out.len(), lines, "{out:?}");
        }
    }
}
