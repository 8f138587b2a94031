//! What an advert does to an instance, and what is said about those that do not count.

use super::{Instance, REPORTED_ADDRESSES};
use crate::notify;
use crate::packet::{Datagram, Version};
use crate::vrrp::election::{self, ForBackup, ForMaster};
use crate::vrrp::event::{Level, Output, Outputs};
use crate::vrrp::receive::{self, AddressMismatch, Advert, Rejected};
use crate::vrrp::state::{Heard, State};
use crate::vrrp::timer::Timer;
use std::time::Instant;

impl Instance {
    pub(super) fn receive(&mut self, now: Instant, datagram: &Datagram<'_>, out: &mut Outputs) {
        let master = match &self.state {
            State::Init | State::Fault => return,
            State::Backup { master, .. } => master.map(|heard| heard.address),
            State::Master => None,
        };
        if self.settings.owner_ignore_adverts && self.settings.is_owner() {
            return;
        }
        match receive::check(&self.settings, datagram, master) {
            Ok((advert, mismatch)) => {
                self.counters.adverts_received += 1;
                if advert.priority == 0 {
                    self.counters.priority_zero_received += 1;
                }
                if let Some(mismatch) = mismatch {
                    self.report_mismatch(&mismatch, out);
                }
                match self.state {
                    State::Backup { .. } => self.heard_as_backup(now, &advert, out),
                    State::Master => self.heard_as_master(now, &advert, out),
                    State::Init | State::Fault => {}
                }
            }
            Err(rejected) => self.report_rejected(&rejected, out),
        }
    }

    fn heard_as_backup(&mut self, now: Instant, advert: &Advert, out: &mut Outputs) {
        let State::Backup { master, delay_over } = self.state else { return };
        match election::for_backup(self.candidate(), self.settings.preempt, advert) {
            ForBackup::Resigned => {
                self.log(Level::Detail, "Backup received priority 0 advertisement", out);
                self.timers.clear(Timer::PreemptDelay);
                self.timers.set(Timer::MasterDown, now + self.skew(self.interval_of(master)));
            }
            ForBackup::Follow => {
                self.timers.clear(Timer::PreemptDelay);
                self.follow(now, advert, master, self.settings.preempt_delay.is_zero(), out);
            }
            ForBackup::Worse if delay_over => self.discard(advert, out),
            ForBackup::Worse => {
                if self.timers.get(Timer::PreemptDelay).is_none() {
                    let seconds = self.settings.preempt_delay.as_secs_f64();
                    self.log(Level::Info, &format!("start preempt delay ({seconds:.6})"), out);
                    self.timers.set(Timer::PreemptDelay, now + self.settings.preempt_delay);
                }
                // Followed, not discarded, until the delay is over: should it fall silent, it is missed as any master.
                self.follow(now, advert, master, false, out);
            }
        }
    }

    fn discard(&mut self, advert: &Advert, out: &mut Outputs) {
        let (priority, source) = (advert.priority, advert.source);
        self.log(Level::Info, &format!("received lower priority ({priority}) advert from {source} - discarding"), out);
    }

    fn follow(&mut self, now: Instant, advert: &Advert, master: Option<Heard>, delay_over: bool, out: &mut Outputs) {
        let known = self.interval_of(master);
        if self.settings.version == Version::V3 && advert.interval != known {
            let (from, to) = (known.as_millis(), advert.interval.as_millis());
            let line = format!("advertisement interval updated from {from}ms to {to}ms by master");
            self.log(Level::Info, &line, out);
        }
        if master.is_none_or(|known| known.address != advert.source) {
            // All but what this very advert may just have been reported for.
            self.reported &= 1 << REPORTED_ADDRESSES;
        }
        let heard = Heard { address: advert.source, priority: advert.priority, interval: advert.interval };
        self.state = State::Backup { master: Some(heard), delay_over };
        self.restart_master_down(now);
    }

    fn heard_as_master(&mut self, now: Instant, advert: &Advert, out: &mut Outputs) {
        let (priority, source, ours) = (advert.priority, advert.source, self.effective_priority());
        match election::for_master(self.candidate(), advert) {
            ForMaster::Resigned => {
                self.log(Level::Detail, "Master received priority 0 message", out);
                self.advertise(now, out);
            }
            ForMaster::OurAddress => {
                if self.first_report(REPORTED_ADDRESSES - 1) {
                    let line = "WARNING - equal priority advert received from remote host with our IP address.";
                    self.log(Level::Warning, line, out);
                }
            }
            ForMaster::Better => {
                let line = format!("Master received advert from {source} with higher priority {priority}, ours {ours}");
                self.log(Level::Info, &line, out);
                if self.settings.higher_prio_send_advert {
                    self.advertise(now, out);
                }
                self.log(Level::Info, "Entering BACKUP STATE", out);
                self.remove_addresses(out);
                let heard = Heard { address: source, priority, interval: advert.interval };
                self.enter_backup(now, Some(heard), out);
            }
            ForMaster::Worse => {
                let line = format!("Received advert from {source} with lower priority {priority}, ours {ours}");
                if self.settings.lower_prio_no_advert {
                    self.log(Level::Info, &line, out);
                } else {
                    self.log(Level::Info, &format!("{line}, forcing new election"), out);
                    self.advertise(now, out);
                }
                self.announce(now, self.settings.garp.lower_prio_repeat, out);
                if !self.settings.garp.lower_prio_delay.is_zero() {
                    self.timers.set(Timer::GarpLowerPrio, now + self.settings.garp.lower_prio_delay);
                }
                out.push(Output::Notify(notify::Event::MasterRxLowerPri, ours));
            }
        }
    }

    fn report_rejected(&mut self, rejected: &Rejected, out: &mut Outputs) {
        self.counters.count(rejected);
        if self.first_report(rejected.kind()) {
            self.log(Level::Warning, &rejected.to_string(), out);
        }
    }

    fn report_mismatch(&mut self, mismatch: &AddressMismatch, out: &mut Outputs) {
        self.counters.address_list_errors += 1;
        if self.first_report(REPORTED_ADDRESSES) {
            self.log(Level::Warning, &mismatch.to_string(), out);
        }
    }

    /// Whether this kind of message has not been logged since the state or the master changed: a flood of adverts
    /// must not be a flood of lines.
    fn first_report(&mut self, kind: u32) -> bool {
        let bit = 1 << kind;
        let first = self.reported & bit == 0;
        self.reported |= bit;
        first
    }
}
