//! What interfaces and trackers mean for each instance.

use super::member::Member;
use super::trackers::Trackers;
use super::{Output, Outputs, Router};
use crate::track::file::Reading;
use crate::track::script::Outcome;
use crate::track::{Reference, References, Share, Unwatched};
use crate::vrrp::{self, Level, event::Link, event::Tracked};
use std::net::IpAddr;
use std::time::Instant;

impl Router {
    pub(super) fn refresh_all(&mut self, now: Instant, out: &mut Outputs) {
        for index in 0..self.members.len() {
            self.refresh(now, index, out);
        }
    }

    /// Tells an instance about its link and its trackers, as far as they changed.
    pub(super) fn refresh(&mut self, now: Instant, index: usize, out: &mut Outputs) {
        let Some(member) = self.members.get(index) else { return };
        let (link, tracked) = (self.link_of(member), self.tracked_of(index));
        let (old_link, old_tracked) = (member.link, member.tracked);
        let down = if link.up { None } else { self.down_device(member).map(str::to_owned) };
        if let Some(member) = self.members.get_mut(index) {
            (member.link, member.tracked) = (link, tracked);
            member.machine.set_down_device(down);
        }
        if link != old_link {
            self.feed(now, index, vrrp::Input::Link(link), out);
        }
        if tracked != old_tracked {
            self.feed(now, index, vrrp::Input::Tracked(tracked), out);
        }
    }

    fn link_of(&self, member: &Member) -> Link {
        let settings = member.machine.settings();
        let up = self.down_device(member).is_none();
        let configured = settings.source().filter(|source| !settings.local_source || self.has_address(*source));
        let interface = settings.interface.as_deref().map(|name| self.interfaces.get(name));
        let source = match (configured, interface) {
            (Some(source), Some(Some(interface))) if settings.track_source => {
                interface.addresses.contains(&source).then_some(source)
            }
            (None, Some(Some(interface))) if settings.source().is_none() => interface.source(settings.family),
            (configured, _) => configured,
        };
        Link { up, source }
    }

    /// What keeps an instance from working, if anything: its interface or virtual interfaces, or another device that
    /// its addresses, routes and rules need. Whoever holds them would hold less than it should, and nothing would put the
    /// rest back when the device returns.
    fn down_device<'a>(&self, member: &'a Member) -> Option<&'a str> {
        let settings = member.machine.settings();
        let usable = |name: &str, carrier: bool| self.interfaces.get(name).is_some_and(|it| it.running || !carrier);
        let carrier = !settings.dont_track_primary;
        let own = settings.interface.iter().chain(settings.vmacs.iter().map(|vmac| &vmac.name)).map(String::as_str);
        own.map(|name| (name, carrier))
            .chain(settings.other_devices().map(|name| (name, true)))
            .find(|(name, carrier)| !usable(name, *carrier))
            .map(|(name, _)| name)
    }

    /// Whether an address is this host's own, or about to be: that of a `static_ipaddress`.
    fn has_address(&self, address: IpAddr) -> bool {
        self.interfaces.iter().any(|interface| interface.addresses.contains(&address)) || self.adds_static(address)
    }

    /// What an instance watches: its own list and those of its groups.
    fn references(&self, index: usize) -> impl Iterator<Item = &References> {
        let own = self.members.get(index).map(|member| &member.machine.settings().track);
        let groups = self.groups.iter().filter(move |group| group.members.contains(&index));
        own.into_iter().chain(groups.map(|group| &group.settings.track))
    }

    fn tracked_of(&self, index: usize) -> Tracked {
        let name = self.members.get(index).map(|member| member.machine.settings().name.as_str());
        let fault = name.is_some_and(|name| self.misses_static(name));
        let mut tracked = Tracked { fault, ..Tracked::default() };
        for share in self.references(index).flat_map(|track| self.trackers.shares(track, &self.interfaces)) {
            match share {
                Share::Priority(bonus) => tracked.bonus = tracked.bonus.saturating_add(bonus),
                Share::Fault => tracked.fault = true,
                Share::Wait => tracked.waiting = true,
            }
        }
        tracked
    }

    pub(super) fn script_finished(&mut self, now: Instant, name: &str, outcome: &Outcome, out: &mut Outputs) {
        if self.trackers.script_finished(name, outcome, out) {
            self.refresh_all(now, out);
        }
    }

    pub(super) fn file_read(&mut self, now: Instant, name: &str, reading: Reading, out: &mut Outputs) {
        let before = self.faulted_by(name, |track| &track.files, Trackers::file_share);
        self.trackers.file_read(name, reading, out);
        let after = self.faulted_by(name, |track| &track.files, Trackers::file_share);
        for (index, member) in self.members.iter().enumerate() {
            let words = match (before.contains(&index), after.contains(&index)) {
                (false, true) => "now FAULT",
                (true, false) => "leaving FAULT",
                (true, true) | (false, false) => continue,
            };
            let instance = &member.machine.settings().name;
            out.push(Output::Log(Level::Info, format!("({instance}): tracked file {name} {words} state")));
        }
        self.refresh_all(now, out);
    }

    pub(super) fn processes_counted(&mut self, now: Instant, name: &str, count: u32, out: &mut Outputs) {
        self.trackers.processes_counted(now, name, count, out);
        if !self.started {
            // What is missing at start has lines of its own.
            for index in self.faulted_by(name, |track| &track.processes, Trackers::process_share) {
                let Some(member) = self.members.get(index) else { continue };
                let instance = &member.machine.settings().name;
                let line = format!("({instance}) entering FAULT state (tracked process {name} quorum not achieved)");
                out.push(Output::Log(Level::Info, line));
            }
        }
        self.refresh_all(now, out);
    }

    /// What is configured and cannot work as it is meant, as lines for the log.
    pub(super) fn pitfalls(&self) -> Vec<String> {
        let line = |(owner, lost): (&str, &Unwatched)| {
            format!("({owner}) runs UNTRACKED by {}, which is not watched: {}", lost.what, lost.why)
        };
        self.unwatched().map(line).chain(self.borrowed_sources()).collect()
    }

    /// Adverts that would leave from an address which is here only while another instance is master.
    fn borrowed_sources(&self) -> impl Iterator<Item = String> {
        let settings = || self.members.iter().map(|member| member.machine.settings());
        settings().filter(|own| own.local_source).filter_map(move |own| {
            let source = own.source()?;
            let other = settings().find(|other| other.all_addresses().any(|vip| vip.address == source))?;
            Some(format!(
                "({}) unicast_src_ip {source} is a virtual address of {}: no adverts can leave from it, use an address that \
                 this host always has",
                own.name, other.name
            ))
        })
    }

    /// Says what nobody watches and what else cannot work, as far as that is news.
    pub(super) fn report_pitfalls(&self, known: &[String], out: &mut Outputs) {
        let news = self.pitfalls().into_iter().filter(|line| !known.contains(line));
        out.extend(news.map(|line| Output::Log(Level::Error, line)));
    }

    /// The instances that are in fault because of this tracker.
    fn faulted_by(
        &self,
        name: &str,
        list: fn(&References) -> &Vec<Reference>,
        share: fn(&Trackers, &Reference) -> Share,
    ) -> Vec<usize> {
        let faulted = |track: &References| {
            list(track).iter().any(|track| track.name == name && share(&self.trackers, track) == Share::Fault)
        };
        (0..self.members.len()).filter(|&index| self.references(index).any(faulted)).collect()
    }
}
