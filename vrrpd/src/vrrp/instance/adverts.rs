//! What an advert does to an instance, and what is said about those that do not count.
//!
//! Anybody on the link can send adverts. What one of them can make us do is small and limited by count: so many answers
//! for each interval, so many lines for each second.

use super::Instance;
use crate::notify;
use crate::packet::{Datagram, Version};
use crate::vrrp::election::{self, ForBackup, ForMaster};
use crate::vrrp::event::{Level, Output, Outputs};
use crate::vrrp::receive::{self, AddressMismatch, Advert, Rejected};
use crate::vrrp::settings::PRIORITY_OWNER;
use crate::vrrp::state::{Heard, State};
use crate::vrrp::timer::Timer;
use std::time::{Duration, Instant};

/// Answers (an advert, gratuitous ARP, a notification) that received adverts may provoke at once, and again in each
/// interval: one for each of so many masters that do not hear us.
const ANSWERS_MAX: u32 = 5;
/// Lines of the log that received adverts may provoke at once.
const LINES_MAX: u32 = 20;
/// After these, one line in this time.
const LINE_PERIOD: Duration = Duration::from_millis(200);

/// Bits of [`Instance::reported`] beyond those of [`Rejected::kind`].
const REPORTED_ADDRESSES: u32 = 31;
const REPORTED_OUR_ADDRESS: u32 = 30;
const REPORTED_TWO_OWNERS: u32 = 29;

impl Instance {
    pub(super) fn receive(&mut self, now: Instant, datagram: &Datagram<'_>, out: &mut Outputs) {
        let master = match &self.state {
            State::Init | State::Fault => return,
            State::Backup { master, .. } => master.map(|heard| heard.address),
            State::Master => None,
        };
        match receive::check(&self.settings, datagram, master) {
            Ok(_) if self.settings.owner_ignore_adverts && self.settings.is_owner() => {}
            Ok((advert, mismatch)) => {
                self.counters.adverts_received += 1;
                self.history.heard(now, advert.source, advert.priority, advert.interval);
                if advert.priority == 0 {
                    self.counters.priority_zero_received += 1;
                }
                self.meet(&advert);
                if let Some(mismatch) = mismatch {
                    self.report_mismatch(now, &mismatch, out);
                }
                if advert.old_checksum && !self.old_checksum {
                    self.old_checksum = true;
                    self.log(Level::Info, "Setting unicast VRRPv3 checksum to old version", out);
                }
                match self.state {
                    State::Backup { .. } => self.heard_as_backup(now, &advert, out),
                    State::Master if self.is_listening() => self.heard_while_listening(now, &advert, out),
                    State::Master => self.heard_as_master(now, &advert, out),
                    State::Init | State::Fault => {}
                }
            }
            Err(rejected) => {
                self.history.refuse(now, datagram.source, &rejected);
                self.report_rejected(now, &rejected, out);
            }
        }
    }

    /// What was said about the master before is said again about the next one.
    fn meet(&mut self, advert: &Advert) {
        let State::Backup { master, delay_over } = self.state else { return };
        let follows = match election::for_backup(self.candidate(), self.settings.preempt, advert) {
            ForBackup::Follow => true,
            ForBackup::Worse => !delay_over,
            ForBackup::Resigned => false,
        };
        if follows && master.is_none_or(|known| known.address != advert.source) {
            self.reported = 0;
        }
    }

    fn heard_as_backup(&mut self, now: Instant, advert: &Advert, out: &mut Outputs) {
        let State::Backup { master, delay_over } = self.state else { return };
        match election::for_backup(self.candidate(), self.settings.preempt, advert) {
            ForBackup::Resigned => {
                self.log_provoked(now, Level::Detail, "Backup received priority 0 advertisement", out);
                self.timers.clear(Timer::PreemptDelay);
                // Never later than it was: whoever repeats this cannot keep us waiting.
                let skew = now + self.skew(self.interval_of(master));
                if self.timers.get(Timer::MasterDown).is_some_and(|due| due <= now || due > skew) {
                    self.timers.set(Timer::MasterDown, skew);
                }
            }
            ForBackup::Follow => {
                if self.timers.get(Timer::PreemptDelay).is_some() {
                    self.timers.clear(Timer::PreemptDelay);
                    self.log_provoked(now, Level::Info, "stop preempt delay", out);
                }
                self.follow(now, advert, master, self.settings.preempt_delay.is_zero(), out);
            }
            ForBackup::Worse if delay_over => self.discard(now, advert, out),
            ForBackup::Worse => {
                if self.timers.get(Timer::PreemptDelay).is_none() {
                    let seconds = self.settings.preempt_delay.as_secs_f64();
                    self.log_provoked(now, Level::Info, &format!("start preempt delay ({seconds:.6})"), out);
                    self.timers.set(Timer::PreemptDelay, now + self.settings.preempt_delay);
                }
                // Followed, not discarded, until the delay is over: should it fall silent, it is missed as any master.
                self.follow(now, advert, master, false, out);
            }
        }
    }

    fn discard(&mut self, now: Instant, advert: &Advert, out: &mut Outputs) {
        let (priority, source) = (advert.priority, advert.source);
        let line = format!("received lower priority ({priority}) advert from {source} - discarding");
        self.log_provoked(now, Level::Info, &line, out);
    }

    fn follow(&mut self, now: Instant, advert: &Advert, master: Option<Heard>, delay_over: bool, out: &mut Outputs) {
        let known = self.interval_of(master);
        if self.settings.version == Version::V3 && advert.interval != known {
            let (from, to) = (known.as_millis(), advert.interval.as_millis());
            let line = format!("advertisement interval updated from {from}ms to {to}ms by master");
            self.log_provoked(now, Level::Info, &line, out);
        }
        let heard = Heard { address: advert.source, priority: advert.priority, interval: advert.interval };
        self.state = State::Backup { master: Some(heard), delay_over };
        self.restart_master_down(now);
    }

    /// After a stall, whoever sends adverts took over meanwhile, whatever its priority is. From here on the usual rules
    /// decide whether we may have the addresses back.
    fn heard_while_listening(&mut self, now: Instant, advert: &Advert, out: &mut Outputs) {
        if advert.priority == 0 || self.link.source == Some(advert.source) {
            return;
        }
        let (priority, source) = (advert.priority, advert.source);
        let line = format!("{source} became master with priority {priority} while this process was not running");
        self.log(Level::Info, &line, out);
        self.log(Level::Info, "Entering BACKUP STATE", out);
        self.drop_holdings(out);
        self.enter_backup(now, None, out);
        self.heard_as_backup(now, advert, out);
    }

    fn heard_as_master(&mut self, now: Instant, advert: &Advert, out: &mut Outputs) {
        let (priority, ours) = (advert.priority, self.effective_priority());
        if priority == PRIORITY_OWNER && ours == PRIORITY_OWNER && self.first_report(REPORTED_TWO_OWNERS) {
            let line = "CONFIGURATION ERROR: local instance and a remote instance are both configured as address owner, \
                        please fix - the higher address remains master";
            self.log(Level::Warning, line, out);
        }
        match election::for_master(self.candidate(), advert) {
            ForMaster::Resigned => {
                if self.may_answer(now) {
                    self.log_provoked(now, Level::Detail, "Master received priority 0 message", out);
                    self.advertise(now, out);
                }
            }
            ForMaster::OurAddress => {
                if self.first_report(REPORTED_OUR_ADDRESS) {
                    let line = "WARNING - equal priority advert received from remote host with our IP address.";
                    self.log(Level::Warning, line, out);
                }
            }
            ForMaster::Better => self.yield_to(now, advert, out),
            ForMaster::Worse => {
                if self.may_answer(now) {
                    self.answer_worse(now, advert, out);
                }
            }
        }
    }

    fn yield_to(&mut self, now: Instant, advert: &Advert, out: &mut Outputs) {
        let (priority, source, ours) = (advert.priority, advert.source, self.effective_priority());
        let line = if priority == ours {
            format!(
                "Master received advert from {source} with same priority {priority} but higher IP address than ours"
            )
        } else {
            format!("Master received advert from {source} with higher priority {priority}, ours {ours}")
        };
        self.log(Level::Info, &line, out);
        if self.settings.higher_prio_send_advert {
            self.advertise(now, out);
        }
        self.log(Level::Info, "Entering BACKUP STATE", out);
        self.drop_holdings(out);
        let heard = Heard { address: source, priority, interval: advert.interval };
        self.enter_backup(now, Some(heard), out);
    }

    fn answer_worse(&mut self, now: Instant, advert: &Advert, out: &mut Outputs) {
        let (priority, source, ours) = (advert.priority, advert.source, self.effective_priority());
        let line = format!("Received advert from {source} with lower priority {priority}, ours {ours}");
        if self.settings.lower_prio_no_advert {
            self.log_provoked(now, Level::Info, &line, out);
        } else {
            self.log_provoked(now, Level::Info, &format!("{line}, forcing new election"), out);
            self.advertise(now, out);
        }
        self.announce(self.settings.garp.lower_prio_repeat, out);
        if !self.settings.garp.lower_prio_delay.is_zero() {
            self.timers.set(Timer::GarpLowerPrio, now + self.settings.garp.lower_prio_delay);
        }
        out.push(Output::Notify(notify::Event::MasterRxLowerPri, ours));
    }

    /// Whether there is an answer left for this interval.
    fn may_answer(&mut self, now: Instant) -> bool {
        self.answers.take(now, ANSWERS_MAX, self.settings.advert_interval / ANSWERS_MAX)
    }

    // ---- words

    fn report_rejected(&mut self, now: Instant, rejected: &Rejected, out: &mut Outputs) {
        self.counters.count(rejected);
        if self.first_report(rejected.kind()) {
            self.log_provoked(now, Level::Warning, &rejected.to_string(), out);
        }
    }

    fn report_mismatch(&mut self, now: Instant, mismatch: &AddressMismatch, out: &mut Outputs) {
        self.counters.address_list_errors += 1;
        if self.first_report(REPORTED_ADDRESSES) {
            self.log_provoked(now, Level::Warning, &mismatch.to_string(), out);
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

    /// A line that others can make us write as often as they like.
    fn log_provoked(&mut self, now: Instant, level: Level, text: &str, out: &mut Outputs) {
        if !self.lines.take(now, LINES_MAX, LINE_PERIOD) {
            self.suppressed += 1;
            return;
        }
        if self.suppressed > 0 {
            let line = format!("{} more messages about received adverts were suppressed", self.suppressed);
            self.suppressed = 0;
            self.log(Level::Warning, &line, out);
        }
        self.log(level, text, out);
    }
}
