//! What interfaces and trackers mean for each instance.

use super::member::Member;
use super::{Output, Outputs, Router};
use crate::track::script::{Action, Script};
use crate::track::{Health, Share, share};
use crate::vrrp::{self, event::Link, event::Tracked};
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
        let (link, tracked) = (self.link_of(member), self.tracked_of(index, member));
        let (old_link, old_tracked) = (member.link, member.tracked);
        if let Some(member) = self.members.get_mut(index) {
            (member.link, member.tracked) = (link, tracked);
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
        let Some(name) = settings.interface.as_deref() else {
            return Link { up: true, source: settings.source() };
        };
        let Some(interface) = self.interfaces.get(name) else { return Link { up: false, source: settings.source() } };
        let source = settings.source().or_else(|| interface.source(settings.family));
        Link { up: interface.running || settings.dont_track_primary, source }
    }

    fn tracked_of(&self, index: usize, member: &Member) -> Tracked {
        let settings = member.machine.settings();
        let groups = || self.groups.iter().filter(|group| group.members.contains(&index)).map(|group| &group.settings);
        let interfaces = settings.track_interfaces.iter().chain(groups().flat_map(|group| &group.track_interfaces));
        let scripts = settings.track_scripts.iter().chain(groups().flat_map(|group| &group.track_scripts));
        let of_interfaces = interfaces.map(|track| {
            let running = self.interfaces.get(&track.interface).is_some_and(|known| known.running);
            share(track.weight, track.reverse, if running { Health::Up } else { Health::Down })
        });
        let of_scripts = scripts.map(|track| {
            let health = self.scripts.get(&track.script).map_or(Health::Unknown, Script::health);
            share(track.weight, track.reverse, health)
        });
        let mut tracked = Tracked::default();
        for share in of_interfaces.chain(of_scripts) {
            match share {
                Share::Priority(bonus) => tracked.bonus = tracked.bonus.saturating_add(bonus),
                Share::Fault => tracked.fault = true,
                Share::Wait => tracked.waiting = true,
            }
        }
        tracked
    }

    pub(super) fn drive_script<F>(&mut self, now: Instant, name: &str, out: &mut Outputs, act: F)
    where
        F: FnOnce(&mut Script, &mut Vec<Action>),
    {
        let Some(script) = self.scripts.get_mut(name) else { return };
        let before = script.health();
        let mut actions = Vec::new();
        act(script, &mut actions);
        let changed = script.health() != before;
        push_actions(name, script, actions, out);
        if changed {
            self.refresh_all(now, out);
        }
    }
}

pub(super) fn push_actions(name: &str, script: &Script, actions: Vec<Action>, out: &mut Outputs) {
    for action in actions {
        out.push(match action {
            Action::Run => Output::RunScript { script: name.to_owned(), command: script.settings().command.clone() },
            Action::Terminate => Output::TerminateScript(name.to_owned()),
            Action::Kill => Output::KillScript(name.to_owned()),
            Action::Log(level, line) => Output::Log(level, line),
        });
    }
}
