//! The machine: one virtual router. Everything it does is in the outputs of `handle`.
//!
//! - this file: facts about link, trackers and group, and the small steps that the others are made of;
//! - `adverts`, `time`: the two facts of which most of its life consists; `transition`: into each state; `reload`.

mod adverts;
mod holdings;
mod reload;
mod time;
mod transition;

use super::bucket::Bucket;
use super::counters::Counters;
use super::election::Candidate;
use super::event::{Input, Level, Link, Output, Outputs, Sync, Tracked};
use super::garp;
use super::history::History;
use super::settings::{Settings, VirtualAddress};
use super::state::{Faults, Heard, Phase, State};
use super::timer::{Timer, Timers, master_down_interval, skew_time};
use super::transmit::{self, Moment};
use crate::notify;
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
    /// The address that just went: the last words of a master still leave from it.
    lost_source: Option<IpAddr>,
    /// The device that is down or missing, for those who ask.
    down_device: Option<String>,
    tracked: Tracked,
    group_fault: bool,
    /// `Start` was given, the first state is still to come (`waiting` trackers, startup delay).
    started: bool,
    /// Held back at least once between `Start` and the first state.
    held: bool,
    counters: Counters,
    history: History,
    /// When the state last changed.
    changed_at: Option<Instant>,
    /// IP identification of the next advert.
    next_id: u16,
    /// Kinds of messages already logged since the last change of state or master, one bit each.
    reported: u32,
    /// Limits the lines that received adverts provoke.
    lines: Bucket,
    /// Such lines that were not written.
    suppressed: u64,
    /// Limits the answers that received adverts provoke.
    answers: Bucket,
    /// A peer that makes its checksums in the old way was heard.
    old_checksum: bool,
    /// It is a member of a sync group: the group decides when it becomes master.
    grouped: bool,
}

impl Instance {
    /// A machine in `Init` that knows nothing of its link yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            state: State::Init,
            timers: Timers::default(),
            link: Link { up: false, source: None },
            lost_source: None,
            down_device: None,
            tracked: Tracked::default(),
            group_fault: false,
            started: false,
            held: false,
            counters: Counters::default(),
            history: History::default(),
            changed_at: None,
            next_id: 1,
            reported: 0,
            lines: Bucket::default(),
            suppressed: 0,
            answers: Bucket::default(),
            old_checksum: false,
            grouped: false,
        }
    }

    /// Says whether it is a member of a sync group.
    pub fn set_grouped(&mut self, grouped: bool) {
        self.grouped = grouped;
    }

    /// A member of a sync group that has not heard a master for its master-down interval and waits for the others.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Backup { .. }) && self.timers.get(Timer::MasterDown).is_none()
    }

    /// A backup that hears a master.
    pub fn is_following(&self) -> bool {
        matches!(self.state, State::Backup { master: Some(_), .. }) && !self.is_ready()
    }

    /// A master that was stalled and finds out whether somebody took over meanwhile.
    pub fn is_listening(&self) -> bool {
        self.timers.get(Timer::Listen).is_some()
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

    /// What its trackers add up to.
    pub fn tracked(&self) -> Tracked {
        self.tracked
    }

    /// The address that its adverts leave from, if there is one.
    pub fn source(&self) -> Option<IpAddr> {
        self.link.source
    }

    /// Its deadlines.
    pub fn timers(&self) -> &Timers {
        &self.timers
    }

    /// Says which device keeps the link down.
    pub fn set_down_device(&mut self, name: Option<String>) {
        self.down_device = name;
    }

    /// The device that keeps the link down.
    pub fn down_device(&self) -> Option<&str> {
        self.down_device.as_deref()
    }

    /// What it remembers of the adverts it heard.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What keeps it from taking part.
    pub fn faults(&self) -> Faults {
        Faults {
            link: !self.link.up,
            source: self.link.source.is_none(),
            tracker: self.tracked.fault,
            peers: self.settings.lacks_peers(),
            authentication: self.settings.cannot_authenticate(),
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
        self.notice_stall(now, out);
        match input {
            Input::Start => self.start(now, out),
            Input::Resume => self.resume(now, out),
            Input::Packet(datagram) => self.receive(now, &datagram, out),
            Input::Time => self.run_timers(now, out),
            Input::Link(link) => self.set_link(now, link, out),
            Input::Tracked(tracked) => self.set_tracked(now, tracked, out),
            Input::AddressVanished(address) => self.put_back(address, out),
            Input::RouteVanished(route) => self.put_route_back(route, out),
            Input::RuleVanished(rule) => self.put_rule_back(rule, out),
            Input::Group(sync) => self.follow_group(now, sync, out),
            Input::Stop(reason) => self.stop(reason, out),
        }
        if self.phase() != before {
            self.changed_at = Some(now);
        }
    }

    // ---- facts

    fn set_link(&mut self, now: Instant, link: Link, out: &mut Outputs) {
        let had_source = self.link.source.is_some();
        self.lost_source = self.link.source.filter(|_| link.up && link.source.is_none());
        self.link = link;
        if had_source && link.source.is_none() && link.up && self.started && !matches!(self.state, State::Fault) {
            self.log_no_source(out);
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
                // Without an advert of priority 0, as keepalived: the node that this one gave way to has all of the group.
                State::Master => {
                    self.log(Level::Info, "Entering BACKUP STATE", out);
                    self.drop_holdings(out);
                    self.enter_backup(now, None, out);
                }
                State::Init | State::Backup { .. } | State::Fault => {}
            },
        }
    }

    // ---- small steps

    fn advertise(&mut self, now: Instant, out: &mut Outputs) {
        self.send(self.effective_priority(), out);
        self.timers.set(Timer::Advert, now + self.settings.advert_interval);
    }

    fn send(&mut self, priority: u8, out: &mut Outputs) {
        let source = self.link.source.or(self.lost_source.filter(|_| priority == 0));
        let (id, old_checksum) = (self.next_id, self.old_checksum);
        transmit::advertise(&self.settings, Moment { source, priority, id, old_checksum }, out);
        self.next_id = self.next_id.wrapping_add(1).max(1);
        self.counters.adverts_sent += 1;
    }

    fn announce(&self, rounds: u32, out: &mut Outputs) {
        garp::announce_all(&self.settings, rounds, out);
    }

    fn set_refresh(&mut self, now: Instant) {
        if self.settings.garp.refresh.is_zero() {
            self.timers.clear(Timer::GarpRefresh);
        } else {
            self.timers.set(Timer::GarpRefresh, now + self.settings.garp.refresh);
        }
    }

    fn set_extra(&mut self, now: Instant) {
        if self.settings.garp.extra.is_zero() {
            self.timers.clear(Timer::GarpExtra);
        } else {
            self.timers.set(Timer::GarpExtra, now + self.settings.garp.extra);
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

    fn log(&self, level: Level, text: &str, out: &mut Outputs) {
        out.push(Output::Log(level, format!("({}) {text}", self.settings.name)));
    }
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;
