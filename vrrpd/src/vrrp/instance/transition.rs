//! Into each state: start, stop, and the ways between.

use super::Instance;
use crate::notify;
use crate::vrrp::event::{Level, Output, Outputs, Reason};
use crate::vrrp::settings::{Auth, InitialState};
use crate::vrrp::state::{Faults, Heard, Phase, State};
use crate::vrrp::timer::Timer;
use std::time::Instant;

impl Instance {
    pub(super) fn start(&mut self, now: Instant, out: &mut Outputs) {
        self.started = true;
        // What an earlier run may have left here.
        self.drop_holdings(out);
        if !self.settings.startup_delay.is_zero() {
            self.timers.set(Timer::Startup, now + self.settings.startup_delay);
        }
        self.leave_init(now, out);
    }

    /// A master goes on as one: its peers have not missed it yet, so nobody needs to notice. What its trackers find
    /// comes later, as it does to any master.
    pub(super) fn resume(&mut self, now: Instant, out: &mut Outputs) {
        if self.faults().any() {
            return self.start(now, out);
        }
        self.started = true;
        self.log(Level::Info, "was MASTER until its process was replaced, going on", out);
        self.become_master(now, out);
    }

    /// The first decision, as soon as nothing holds it back.
    pub(super) fn leave_init(&mut self, now: Instant, out: &mut Outputs) {
        if !self.started || self.state != State::Init {
            return;
        }
        if self.timers.get(Timer::Startup).is_some() {
            self.held = true;
            return;
        }
        let faults = self.faults();
        if faults.any() {
            self.log_first_fault(faults, out);
            self.change(State::Fault, out);
            out.push(Output::Notify(notify::Event::Fault, self.effective_priority()));
        } else if self.tracked.waiting {
            self.held = true;
        } else if self.settings.is_owner() && self.settings.initial == InitialState::Master {
            self.become_master(now, out);
        } else {
            let line = if self.held { "Entering BACKUP STATE" } else { "Entering BACKUP STATE (init)" };
            self.log(Level::Info, line, out);
            self.enter_backup(now, None, out);
        }
    }

    /// A tracker's fault at start is told by the tracker's own line; the others have keepalived's words.
    fn log_first_fault(&self, faults: Faults, out: &mut Outputs) {
        let interface = self.down_device().or(self.settings.interface.as_deref()).unwrap_or("-");
        if let Auth::Unsupported(kind) = self.settings.auth {
            let line = format!(
                "{kind} is not supported: without it this node would not hear its peers - staying in FAULT state"
            );
            self.log(Level::Error, &line, out);
        } else if faults.peers {
            self.log(Level::Warning, "Cannot use unicast without any peers - going to fault state", out);
        } else if faults.link {
            let line = format!("({}): entering FAULT state (interface {interface} down)", self.settings.name);
            out.push(Output::Log(Level::Info, line));
        } else if faults.source {
            let unicast = self.settings.source().filter(|_| self.settings.local_source);
            if let Some(source) = unicast {
                // keepalived finds out when it binds its socket, and these are its words.
                let line = format!("bind unicast_src {source} failed 99 - Cannot assign requested address");
                out.push(Output::Log(Level::Warning, line));
            }
            self.log_no_source(out);
            if unicast.is_some() {
                self.log(Level::Info, "Entering FAULT STATE", out);
            }
        }
    }

    pub(super) fn log_no_source(&self, out: &mut Outputs) {
        let name = &self.settings.name;
        let line = match self.settings.source() {
            Some(_) => format!("({name}): entering FAULT state (src address not configured)"),
            None => {
                format!("({name}) entering FAULT state (no {} address for interface)", self.settings.family.name())
            }
        };
        out.push(Output::Log(Level::Info, line));
    }

    pub(super) fn stop(&mut self, reason: Reason, out: &mut Outputs) {
        if self.phase() == Phase::Master {
            match reason {
                Reason::Shutdown | Reason::Deleted => self.resign(1, out),
                Reason::Left => {}
            }
            self.counters.released_master += 1;
        }
        let event = match reason {
            Reason::Shutdown | Reason::Left => notify::Event::Stop,
            Reason::Deleted if self.settings.notify_deleted => notify::Event::Deleted,
            Reason::Deleted => notify::Event::Fault,
        };
        if self.started {
            out.push(Output::Notify(event, self.effective_priority()));
        }
        self.started = false;
        self.timers.clear_all();
        self.change(State::Init, out);
    }

    pub(super) fn become_master(&mut self, now: Instant, out: &mut Outputs) {
        self.timers.clear_all();
        self.log(Level::Info, "Entering MASTER STATE", out);
        self.counters.became_master += 1;
        self.change(State::Master, out);
        self.advertise(now, out);
        self.take_holdings(out);
        self.announce_mastership(now, out);
        out.push(Output::Notify(notify::Event::Master, self.effective_priority()));
    }

    /// Both sets of gratuitous ARP, and the refresh from now on.
    pub(super) fn announce_mastership(&mut self, now: Instant, out: &mut Outputs) {
        self.announce(self.settings.garp.repeat, out);
        if !self.settings.garp.delay.is_zero() {
            self.timers.set(Timer::GarpSecond, now + self.settings.garp.delay);
        }
        self.set_refresh(now);
        self.set_extra(now);
    }

    /// Into BACKUP, from anywhere; the lines about it differ and are the caller's.
    pub(super) fn enter_backup(&mut self, now: Instant, master: Option<Heard>, out: &mut Outputs) {
        if self.phase() == Phase::Master {
            self.counters.released_master += 1;
        }
        self.timers.clear_all();
        self.change(State::Backup { master, delay_over: self.settings.preempt_delay.is_zero() }, out);
        self.restart_master_down(now);
        out.push(Output::Notify(notify::Event::Backup, self.effective_priority()));
    }

    pub(super) fn become_fault(&mut self, out: &mut Outputs) {
        self.log(Level::Info, "Entering FAULT STATE", out);
        if self.phase() == Phase::Master {
            if self.faults().own() {
                // Twice, as keepalived does: nothing follows that could make up for a lost one.
                self.resign(2, out);
            } else {
                self.send_zero(1, out);
                self.drop_holdings(out);
            }
            self.counters.released_master += 1;
        }
        self.timers.clear_all();
        self.change(State::Fault, out);
        out.push(Output::Notify(notify::Event::Fault, self.effective_priority()));
    }

    /// A master says that it gives up, then takes the addresses off.
    pub(super) fn resign(&mut self, times: u32, out: &mut Outputs) {
        self.send_zero(times, out);
        self.log(Level::Detail, "sent 0 priority", out);
        self.drop_holdings(out);
    }

    fn send_zero(&mut self, times: u32, out: &mut Outputs) {
        for _ in 0..times {
            self.send(0, out);
            self.counters.priority_zero_sent += 1;
        }
    }

    fn change(&mut self, state: State, out: &mut Outputs) {
        let before = self.phase();
        self.state = state;
        self.reported = 0;
        if self.phase() != before {
            out.push(Output::Changed(self.phase()));
        }
    }
}
