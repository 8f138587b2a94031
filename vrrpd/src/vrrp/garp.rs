//! When the neighbours are told where an address is.
//!
//! A set is a number of rounds; a round is one frame for each address. Without `vrrp_garp_interval` a set leaves at
//! once, with it frame by frame.

use super::event::{Level, Output, Outputs};
use super::settings::{Settings, VirtualAddress};
use super::timer::{Timer, Timers};
use std::net::IpAddr;
use std::time::Instant;

/// The set being sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcer {
    /// Rounds still to be sent, the current one included.
    rounds: u32,
    /// Next address of the current round.
    index: usize,
    /// The current round is the first of its set: each address is announced in the log.
    first: bool,
}

impl Announcer {
    /// Starts a set, replacing what was left of another.
    pub fn start(&mut self, now: Instant, settings: &Settings, rounds: u32, timers: &mut Timers, out: &mut Outputs) {
        *self = Self { rounds, index: 0, first: true };
        self.proceed(now, settings, timers, out);
    }

    /// Forgets what was left.
    pub fn stop(&mut self) {
        *self = Self::default();
    }

    /// Sends until a pause is due or the set is complete.
    pub fn proceed(&mut self, now: Instant, settings: &Settings, timers: &mut Timers, out: &mut Outputs) {
        while self.rounds > 0 {
            let Some(vip) = settings.all_addresses().nth(self.index) else {
                self.rounds -= 1;
                self.index = 0;
                self.first = false;
                if settings.all_addresses().next().is_none() {
                    self.rounds = 0;
                }
                continue;
            };
            announce(settings, vip, self.first, out);
            self.index += 1;
            let pause = match vip.address {
                IpAddr::V4(_) => settings.garp.interval,
                IpAddr::V6(_) => settings.garp.gna_interval,
            };
            if !pause.is_zero() {
                timers.set(Timer::GarpNext, now + pause);
                return;
            }
        }
    }
}

/// One frame for one address, with keepalived's two lines about it.
pub fn announce(settings: &Settings, vip: &VirtualAddress, first: bool, out: &mut Outputs) {
    let (many, one) = match vip.address {
        IpAddr::V4(_) => ("gratuitous ARPs", "gratuitous ARP"),
        IpAddr::V6(_) => ("Unsolicited Neighbour Adverts", "unsolicited Neighbour Advert"),
    };
    let device = settings.device_of(vip).unwrap_or_default();
    let address = vip.address;
    if first {
        let line = format!("({}) Sending/queueing {many} on {device} for {address}", settings.name);
        out.push(Output::Log(Level::Detail, line));
    }
    out.push(Output::Log(Level::Detail, format!("Sending {one} on {device} for {address}")));
    out.push(Output::Announce(vip.clone()));
}
