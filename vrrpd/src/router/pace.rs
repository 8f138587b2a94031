//! The pace of gratuitous ARP and neighbour advertisements: `vrrp_garp_interval`, `vrrp_gna_interval`, `garp_group`.
//!
//! Without an interval everything leaves at once. With one, the frames of an interface (or of all interfaces of a
//! `garp_group`) wait in one line, whatever instance they are for.

use super::{Output, Outputs};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Frames that may wait in one line; a set of 255 addresses with 255 rounds fits.
const QUEUE_MAX: usize = 65_536;

/// Least times between two frames.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `vrrp_garp_interval`: on each interface; zero for none.
    pub garp: Duration,
    /// `vrrp_gna_interval`: the same for neighbour advertisements.
    pub gna: Duration,
    /// `garp_group`s.
    pub groups: Vec<Group>,
}

/// One `garp_group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Interfaces that share the pace.
    pub interfaces: Vec<String>,
    /// `garp_interval`
    pub garp: Duration,
    /// `gna_interval`
    pub gna: Duration,
}

/// Whose line a frame waits in, and whether it is for IPv6.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Interface(String, bool),
    Group(usize, bool),
}

/// A line.
#[derive(Clone, Debug, Default)]
struct Queue {
    waiting: VecDeque<(String, IpAddr)>,
    /// Not before.
    next: Option<Instant>,
    interval: Duration,
}

/// All lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Pacer {
    settings: Settings,
    lanes: BTreeMap<Lane, Queue>,
}

impl Pacer {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, lanes: BTreeMap::new() }
    }

    /// New settings; what waits goes on at the new pace.
    pub(super) fn reload(&mut self, settings: Settings) {
        if self.settings != settings {
            let old = std::mem::replace(self, Self::new(settings));
            for (device, address) in old.lanes.into_values().flat_map(|queue| queue.waiting) {
                self.enqueue(device, address);
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.lanes.values().filter(|queue| !queue.waiting.is_empty()).filter_map(|queue| queue.next).min()
    }

    /// Takes the announcements out of what was decided since `from`, and puts those back that may leave now. An address
    /// that goes takes its announcements along.
    pub(super) fn pace(&mut self, now: Instant, from: usize, out: &mut Outputs) {
        let settings = &self.settings;
        if settings.garp.is_zero() && settings.gna.is_zero() && settings.groups.is_empty() {
            return;
        }
        for output in out.split_off(from) {
            match output {
                Output::Announce { device, address } => {
                    if self.interval(&device, address).is_zero() {
                        out.push(Output::Announce { device, address });
                    } else {
                        self.enqueue(device, address);
                        self.release(now, out);
                    }
                }
                Output::RemoveAddress { device, address } => {
                    for queue in self.lanes.values_mut() {
                        queue.waiting.retain(|(on, waiting)| *on != device || *waiting != address.address);
                    }
                    out.push(Output::RemoveAddress { device, address });
                }
                other => out.push(other),
            }
        }
        self.release(now, out);
    }

    fn release(&mut self, now: Instant, out: &mut Outputs) {
        for queue in self.lanes.values_mut() {
            if queue.next.is_some_and(|at| at > now) {
                continue;
            }
            if let Some((device, address)) = queue.waiting.pop_front() {
                out.push(Output::Announce { device, address });
                queue.next = Some(now + queue.interval);
            }
        }
    }

    fn enqueue(&mut self, device: String, address: IpAddr) {
        let interval = self.interval(&device, address);
        let queue = self.lanes.entry(self.lane(&device, address)).or_default();
        queue.interval = interval;
        if queue.waiting.len() < QUEUE_MAX {
            queue.waiting.push_back((device, address));
        }
    }

    fn group(&self, device: &str) -> Option<usize> {
        self.settings.groups.iter().position(|group| group.interfaces.iter().any(|name| name == device))
    }

    fn lane(&self, device: &str, address: IpAddr) -> Lane {
        match self.group(device) {
            Some(group) => Lane::Group(group, address.is_ipv6()),
            None => Lane::Interface(device.to_owned(), address.is_ipv6()),
        }
    }

    fn interval(&self, device: &str, address: IpAddr) -> Duration {
        let group = self.group(device).and_then(|place| self.settings.groups.get(place));
        match (group, address) {
            (Some(group), IpAddr::V4(_)) => group.garp,
            (Some(group), IpAddr::V6(_)) => group.gna,
            (None, IpAddr::V4(_)) => self.settings.garp,
            (None, IpAddr::V6(_)) => self.settings.gna,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announce(device: &str, last: u8) -> Output {
        Output::Announce { device: device.to_owned(), address: IpAddr::from([10, 0, 0, last]) }
    }

    #[test]
    fn frames_of_a_group_keep_apart_and_others_leave_at_once() {
        let now = crate::clock::now();
        let group = Group {
            interfaces: vec!["eth0".to_owned(), "eth1".to_owned()],
            garp: Duration::from_millis(100),
            gna: Duration::ZERO,
        };
        let mut pacer = Pacer::new(Settings { groups: vec![group], ..Settings::default() });
        let mut out = vec![announce("eth0", 1), announce("eth1", 2), announce("eth2", 3)];
        pacer.pace(now, 0, &mut out);
        assert_eq!(out, [announce("eth0", 1), announce("eth2", 3)]);
        assert_eq!(pacer.next_deadline(), Some(now + Duration::from_millis(100)));
        let mut out = Vec::new();
        pacer.pace(now + Duration::from_millis(99), 0, &mut out);
        assert_eq!(out, []);
        pacer.pace(now + Duration::from_millis(100), 0, &mut out);
        assert_eq!(out, [announce("eth1", 2)]);
        assert_eq!(pacer.next_deadline(), None);
    }

    #[test]
    fn an_address_that_goes_is_not_announced_any_more() {
        let now = crate::clock::now();
        let interval = Duration::from_secs(1);
        let mut pacer = Pacer::new(Settings { garp: interval, ..Settings::default() });
        let mut out = vec![announce("eth0", 1), announce("eth0", 1)];
        pacer.pace(now, 0, &mut out);
        assert_eq!(out.len(), 1);
        let address = crate::vrrp::settings::VirtualAddress::new(IpAddr::from([10, 0, 0, 1]), 24);
        let mut out = vec![Output::RemoveAddress { device: "eth0".to_owned(), address }];
        pacer.pace(now, 0, &mut out);
        let mut out = Vec::new();
        pacer.pace(now + interval, 0, &mut out);
        assert_eq!(out, []);
    }
}
