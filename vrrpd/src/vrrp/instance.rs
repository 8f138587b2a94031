//! The machine: one virtual router. Everything it does is in the outputs of `handle`.

use super::counters::Counters;
use super::election::{self, Candidate, ForBackup, ForMaster};
use super::event::{Input, Level, Link, Output, Outputs, Reason, Sync, Tracked};
use super::garp::{self, Announcer};
use super::receive::{self, AddressMismatch, Advert, Rejected};
use super::settings::{InitialState, Settings, VirtualAddress};
use super::state::{Faults, Heard, Phase, State};
use super::timer::{Timer, Timers, master_down_interval, skew_time};
use super::transmit;
use crate::notify;
use crate::packet::{Datagram, Version};
use crate::track::effective_priority;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// One virtual router.
#[derive(Clone, Debug)]
pub struct Instance {
    settings: Settings,
    state: State,
    timers: Timers,
    link: Link,
    tracked: Tracked,
    group_fault: bool,
    /// `Start` was given, the first state is still to come (`waiting` trackers, startup delay).
    started: bool,
    /// Held back at least once between `Start` and the first state.
    held: bool,
    announcer: Announcer,
    counters: Counters,
    /// When the state last changed.
    changed_at: Option<Instant>,
    /// IP identification of the next advert.
    next_id: u16,
    /// Kinds of messages already logged since the last change of state or master, one bit each.
    reported: u32,
}

/// Bit of [`Instance::reported`] for address list differences, beyond those of [`Rejected::kind`].
const REPORTED_ADDRESSES: u32 = 31;

impl Instance {
    /// A machine in `Init` that knows nothing of its link yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            state: State::Init,
            timers: Timers::default(),
            link: Link { up: false, source: None },
            tracked: Tracked::default(),
            group_fault: false,
            started: false,
            held: false,
            announcer: Announcer::default(),
            counters: Counters::default(),
            changed_at: None,
            next_id: 1,
            reported: 0,
        }
    }

    /// What it was told to do.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The name of its state.
    pub fn phase(&self) -> Phase {
        self.state.phase()
    }

    /// Its state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What it has counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Begins to count anew.
    pub fn clear_counters(&mut self) {
        self.counters = Counters::default();
    }

    /// When its state last changed.
    pub fn changed_at(&self) -> Option<Instant> {
        self.changed_at
    }

    /// What keeps it from taking part.
    pub fn faults(&self) -> Faults {
        Faults {
            link: !self.link.up,
            source: self.link.source.is_none(),
            tracker: self.tracked.fault,
            group: self.group_fault,
        }
    }

    /// The priority after weights: what adverts carry.
    pub fn effective_priority(&self) -> u8 {
        effective_priority(self.settings.priority, self.tracked.bonus)
    }

    /// The addresses that must be on this host now.
    pub fn desired_addresses(&self) -> impl Iterator<Item = &VirtualAddress> {
        let held = self.phase() == Phase::Master;
        self.settings.all_addresses().filter(move |_| held)
    }

    /// When `Input::Time` is wanted next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Takes a fact and pushes what is to be done about it.
    pub fn handle(&mut self, now: Instant, input: Input<'_>, out: &mut Outputs) {
        let before = self.phase();
        self.step_down_after_stall(now, out);
        match input {
            Input::Start => self.start(now, out),
            Input::Packet(datagram) => self.receive(now, &datagram, out),
            Input::Time => self.run_timers(now, out),
            Input::Link(link) => self.set_link(now, link, out),
            Input::Tracked(tracked) => self.set_tracked(now, tracked, out),
            Input::AddressVanished(address) => self.put_back(address, out),
            Input::Group(sync) => self.follow_group(now, sync, out),
            Input::Stop(reason) => self.stop(reason, out),
        }
        if self.phase() != before {
            self.changed_at = Some(now);
        }
    }

    /// Takes new settings for the same virtual router: a master stays master, and only what differs is touched.
    pub fn reload(&mut self, now: Instant, settings: Settings, out: &mut Outputs) {
        let before = self.effective_priority();
        let old = std::mem::replace(&mut self.settings, settings);
        if self.effective_priority() != before {
            self.log_priority(before, out);
        }
        if self.phase() == Phase::Master {
            self.reload_addresses(&old, out);
            if old.advert_interval != self.settings.advert_interval {
                self.timers.set(Timer::Advert, now);
            }
            if old.garp.refresh != self.settings.garp.refresh {
                self.set_refresh(now);
            }
        } else if matches!(self.state, State::Backup { .. })
            && (old.advert_interval != self.settings.advert_interval
                || old.priority != self.settings.priority
                || old.down_timer_adverts != self.settings.down_timer_adverts)
        {
            self.restart_master_down(now);
        }
    }

    fn reload_addresses(&mut self, old: &Settings, out: &mut Outputs) {
        let kept: Vec<&VirtualAddress> = self.settings.all_addresses().collect();
        for vip in old.all_addresses().filter(|vip| !kept.contains(vip)) {
            let device = old.device_of(vip).unwrap_or_default();
            let line = format!("({}) ip address {} dev {device}, no longer exist", self.settings.name, vip.address);
            out.push(Output::Log(Level::Info, line));
            out.push(Output::RemoveAddress(vip.clone()));
        }
        let known: Vec<&VirtualAddress> = old.all_addresses().collect();
        for vip in self.settings.all_addresses().filter(|vip| !known.contains(vip)) {
            out.push(Output::AddAddress(vip.clone()));
            for round in 0..self.settings.garp.repeat {
                garp::announce(&self.settings, vip, round == 0, out);
            }
        }
    }

    // ---- start and stop

    fn start(&mut self, now: Instant, out: &mut Outputs) {
        self.started = true;
        self.remove_addresses(out);
        if !self.settings.startup_delay.is_zero() {
            self.timers.set(Timer::Startup, now + self.settings.startup_delay);
        }
        self.leave_init(now, out);
    }

    /// The first decision, as soon as nothing holds it back.
    fn leave_init(&mut self, now: Instant, out: &mut Outputs) {
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
        let interface = self.settings.interface.as_deref().unwrap_or("-");
        if faults.link {
            self.log(Level::Info, &format!("entering FAULT state (interface {interface} down)"), out);
        } else if faults.source {
            self.log(Level::Info, &format!("entering FAULT state ({})", self.no_source()), out);
        }
    }

    fn no_source(&self) -> String {
        format!("no {} address for interface", self.settings.family.name())
    }

    fn stop(&mut self, reason: Reason, out: &mut Outputs) {
        if self.phase() == Phase::Master {
            self.resign(1, out);
            self.counters.released_master += 1;
        }
        let event = match reason {
            Reason::Shutdown => notify::Event::Stop,
            Reason::Deleted if self.settings.notify_deleted => notify::Event::Deleted,
            Reason::Deleted => notify::Event::Fault,
        };
        if self.started {
            out.push(Output::Notify(event, self.effective_priority()));
        }
        self.started = false;
        self.timers.clear_all();
        self.announcer.stop();
        self.change(State::Init, out);
    }

    // ---- facts

    fn set_link(&mut self, now: Instant, link: Link, out: &mut Outputs) {
        let had_source = self.link.source.is_some();
        self.link = link;
        if had_source && link.source.is_none() && link.up && self.started && !matches!(self.state, State::Fault) {
            self.log(Level::Info, &format!("entering FAULT state ({})", self.no_source()), out);
        }
        self.apply_faults(now, out);
    }

    fn set_tracked(&mut self, now: Instant, tracked: Tracked, out: &mut Outputs) {
        let before = self.effective_priority();
        self.tracked = tracked;
        if self.effective_priority() != before {
            self.log_priority(before, out);
        }
        self.apply_faults(now, out);
    }

    fn log_priority(&self, before: u8, out: &mut Outputs) {
        let after = self.effective_priority();
        self.log(Level::Info, &format!("Changing effective priority from {before} to {after}"), out);
        if self.settings.notify_priority_changes {
            let event = match self.phase() {
                Phase::Master => notify::Event::MasterPriority,
                Phase::Init | Phase::Backup | Phase::Fault => notify::Event::BackupPriority,
            };
            out.push(Output::Notify(event, after));
        }
    }

    /// Moves into FAULT or out of it when the reasons for it have changed.
    fn apply_faults(&mut self, now: Instant, out: &mut Outputs) {
        let fault = self.faults().any();
        match self.state {
            State::Init => self.leave_init(now, out),
            State::Backup { .. } | State::Master if fault => self.become_fault(out),
            State::Backup { .. } | State::Master => {}
            State::Fault if fault || self.tracked.waiting => {}
            State::Fault => {
                self.log(Level::Info, "Entering BACKUP STATE", out);
                self.enter_backup(now, None, out);
            }
        }
    }

    fn follow_group(&mut self, now: Instant, sync: Sync, out: &mut Outputs) {
        match sync {
            Sync::Fault => {
                self.group_fault = true;
                self.apply_faults(now, out);
            }
            Sync::Clear => {
                self.group_fault = false;
                self.apply_faults(now, out);
            }
            Sync::Master => match self.state {
                State::Backup { .. } => self.become_master(now, out),
                State::Init | State::Master | State::Fault => {}
            },
            Sync::Backup => match self.state {
                State::Master => {
                    self.log(Level::Info, "Entering BACKUP STATE", out);
                    self.resign(1, out);
                    self.enter_backup(now, None, out);
                }
                State::Init | State::Backup { .. } | State::Fault => {}
            },
        }
    }

    /// An address that somebody else removed belongs here as long as we are master.
    fn put_back(&mut self, address: IpAddr, out: &mut Outputs) {
        if self.phase() != Phase::Master {
            return;
        }
        let vanished = self.settings.all_addresses().filter(|vip| vip.address == address && !vip.flags.no_track);
        for vip in vanished {
            let device = self.settings.device_of(vip).unwrap_or_default();
            let line = format!("Netlink reflector reports IP {address} removed from {device}, putting it back");
            out.push(Output::Log(Level::Warning, format!("({}) {line}", self.settings.name)));
            out.push(Output::AddAddress(vip.clone()));
            garp::announce(&self.settings, vip, true, out);
        }
    }

    // ---- adverts

    fn receive(&mut self, now: Instant, datagram: &Datagram<'_>, out: &mut Outputs) {
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

    // ---- time

    fn run_timers(&mut self, now: Instant, out: &mut Outputs) {
        while let Some((timer, due)) = self.timers.take_expired(now) {
            match timer {
                Timer::Startup => self.leave_init(now, out),
                Timer::MasterDown => self.master_down(now, due, out),
                Timer::PreemptDelay => {
                    if let State::Backup { master, delay_over } = &mut self.state {
                        *delay_over = true;
                        let master = *master;
                        self.timers.set(Timer::MasterDown, now + self.skew(self.interval_of(master)));
                    }
                }
                Timer::Advert => {
                    self.send(self.effective_priority(), out);
                    // From when it was due: the cadence must not drift with the load of the host.
                    let interval = self.settings.advert_interval;
                    let next = if now.saturating_duration_since(due) < interval { due } else { now };
                    self.timers.set(Timer::Advert, next + interval);
                }
                Timer::GarpSecond => self.announce(now, self.settings.garp.repeat, out),
                Timer::GarpLowerPrio => self.announce(now, self.settings.garp.lower_prio_repeat, out),
                Timer::GarpRefresh => {
                    self.announce(now, self.settings.garp.refresh_repeat, out);
                    self.set_refresh(now);
                }
                Timer::GarpNext => self.announcer.proceed(now, &self.settings, &mut self.timers, out),
            }
        }
    }

    /// Nothing was heard for so long. A timer that is itself late says nothing about the master: while we were not
    /// scheduled its adverts may have come and gone, so it gets its time once more.
    fn master_down(&mut self, now: Instant, due: Instant, out: &mut Outputs) {
        let State::Backup { master, .. } = self.state else { return };
        let late = now.saturating_duration_since(due);
        if late > self.interval_of(master) {
            self.log_late(late, out);
            self.restart_master_down(now);
            return;
        }
        self.log(Level::Detail, "Receive advertisement timeout", out);
        self.become_master(now, out);
    }

    /// A master whose own advert is overdue for so long that a peer must have missed it is no longer the master,
    /// whatever comes next: it listens first. The address owner has nobody to listen to.
    fn step_down_after_stall(&mut self, now: Instant, out: &mut Outputs) {
        let State::Master = self.state else { return };
        let Some(due) = self.timers.get(Timer::Advert) else { return };
        let late = now.saturating_duration_since(due);
        let interval = self.settings.advert_interval;
        let missed = interval * u32::from(self.settings.down_timer_adverts.saturating_sub(1).max(1));
        if late <= missed || self.settings.is_owner() {
            return;
        }
        self.log_late(late, out);
        self.log(Level::Info, "Entering BACKUP STATE", out);
        self.remove_addresses(out);
        self.enter_backup(now, None, out);
    }

    fn log_late(&self, late: Duration, out: &mut Outputs) {
        let line = format!("A thread timer expired {:.6} seconds ago", late.as_secs_f64());
        self.log(Level::Warning, &line, out);
    }

    // ---- transitions

    fn become_master(&mut self, now: Instant, out: &mut Outputs) {
        self.timers.clear_all();
        self.log(Level::Info, "Entering MASTER STATE", out);
        self.counters.became_master += 1;
        self.change(State::Master, out);
        self.advertise(now, out);
        self.add_addresses(out);
        self.announce(now, self.settings.garp.repeat, out);
        if !self.settings.garp.delay.is_zero() {
            self.timers.set(Timer::GarpSecond, now + self.settings.garp.delay);
        }
        self.set_refresh(now);
        out.push(Output::Notify(notify::Event::Master, self.effective_priority()));
    }

    /// Into BACKUP, from anywhere; the lines about it differ and are the caller's.
    fn enter_backup(&mut self, now: Instant, master: Option<Heard>, out: &mut Outputs) {
        if self.phase() == Phase::Master {
            self.counters.released_master += 1;
        }
        self.timers.clear_all();
        self.announcer.stop();
        self.change(State::Backup { master, delay_over: self.settings.preempt_delay.is_zero() }, out);
        self.restart_master_down(now);
        out.push(Output::Notify(notify::Event::Backup, self.effective_priority()));
    }

    fn become_fault(&mut self, out: &mut Outputs) {
        self.log(Level::Info, "Entering FAULT STATE", out);
        if self.phase() == Phase::Master {
            // Twice, as keepalived does: nothing follows that could make up for a lost one.
            self.resign(2, out);
            self.counters.released_master += 1;
        }
        self.timers.clear_all();
        self.announcer.stop();
        self.change(State::Fault, out);
        out.push(Output::Notify(notify::Event::Fault, self.effective_priority()));
    }

    /// A master says that it gives up, then takes the addresses off.
    fn resign(&mut self, times: u32, out: &mut Outputs) {
        for _ in 0..times {
            self.send(0, out);
            self.counters.priority_zero_sent += 1;
        }
        self.log(Level::Detail, "sent 0 priority", out);
        self.remove_addresses(out);
    }

    fn change(&mut self, state: State, out: &mut Outputs) {
        let before = self.phase();
        self.state = state;
        self.reported = 0;
        if self.phase() != before {
            out.push(Output::Changed(self.phase()));
        }
    }

    // ---- small steps

    fn advertise(&mut self, now: Instant, out: &mut Outputs) {
        self.send(self.effective_priority(), out);
        self.timers.set(Timer::Advert, now + self.settings.advert_interval);
    }

    fn send(&mut self, priority: u8, out: &mut Outputs) {
        transmit::advertise(&self.settings, self.link.source, priority, self.next_id, out);
        self.next_id = self.next_id.wrapping_add(1).max(1);
        self.counters.adverts_sent += 1;
    }

    fn announce(&mut self, now: Instant, rounds: u32, out: &mut Outputs) {
        self.announcer.start(now, &self.settings, rounds, &mut self.timers, out);
    }

    fn set_refresh(&mut self, now: Instant) {
        if self.settings.garp.refresh.is_zero() {
            self.timers.clear(Timer::GarpRefresh);
        } else {
            self.timers.set(Timer::GarpRefresh, now + self.settings.garp.refresh);
        }
    }

    fn add_addresses(&self, out: &mut Outputs) {
        let Settings { addresses, excluded, .. } = &self.settings;
        for (line, vips) in [("setting VIPs.", addresses), ("setting E-VIPs.", excluded)] {
            if !vips.is_empty() {
                self.log(Level::Detail, line, out);
            }
            out.extend(vips.iter().cloned().map(Output::AddAddress));
        }
    }

    fn remove_addresses(&self, out: &mut Outputs) {
        let Settings { addresses, excluded, .. } = &self.settings;
        for (line, vips) in [("removing VIPs.", addresses), ("removing E-VIPs.", excluded)] {
            if !vips.is_empty() {
                self.log(Level::Detail, line, out);
            }
            out.extend(vips.iter().cloned().map(Output::RemoveAddress));
        }
    }

    fn restart_master_down(&mut self, now: Instant) {
        let State::Backup { master, .. } = self.state else { return };
        let interval = self.interval_of(master);
        let (version, adverts) = (self.settings.version, self.settings.down_timer_adverts);
        let down = master_down_interval(version, self.effective_priority(), interval, adverts);
        self.timers.set(Timer::MasterDown, now + down);
    }

    fn skew(&self, interval: Duration) -> Duration {
        skew_time(self.settings.version, self.effective_priority(), interval)
    }

    /// `Master_Adver_Interval`: the master's as heard, our own before any was.
    fn interval_of(&self, master: Option<Heard>) -> Duration {
        master.map_or(self.settings.advert_interval, |heard| heard.interval)
    }

    fn candidate(&self) -> Candidate {
        Candidate { priority: self.effective_priority(), source: self.link.source }
    }

    // ---- words

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

    fn log(&self, level: Level, text: &str, out: &mut Outputs) {
        out.push(Output::Log(level, format!("({}) {text}", self.settings.name)));
    }
}

#[cfg(test)]
mod tests;
