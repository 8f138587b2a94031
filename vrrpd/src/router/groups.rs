//! Sync groups among the running instances: after every fact the members are brought in line.

use super::member::Member;
use super::{Group, Output, Outputs, Router};
use crate::sync_group::Leader;
use crate::vrrp::event::Sync;
use crate::vrrp::{self, Level, Phase};
use crate::{notify, sync_group};
use std::time::Instant;

/// Most steps for one fact, for each member: into fault and out of it, down and up. A group that is in line needs none.
const STEPS_MAX: usize = 4;

/// A running group.
#[derive(Clone, Debug)]
pub(super) struct RunningGroup {
    pub(super) settings: Group,
    /// Places among the members of the router.
    pub(super) members: Vec<usize>,
    pub(super) phase: Phase,
}

impl Router {
    pub(super) fn set_groups(&mut self, groups: Vec<Group>) {
        let place = |name: &String| self.members.iter().position(|m| &m.machine.settings().name == name);
        let groups: Vec<RunningGroup> = groups
            .into_iter()
            .map(|settings| {
                let members = settings.sync.members.iter().filter_map(place).collect();
                let known = self.groups.iter().find(|group| group.settings.sync.name == settings.sync.name);
                RunningGroup { phase: known.map_or(Phase::Init, |group| group.phase), settings, members }
            })
            .collect();
        self.groups = groups;
        for index in 0..self.members.len() {
            let grouped = self.groups.iter().any(|group| group.members.contains(&index));
            if let Some(member) = self.members.get_mut(index) {
                member.machine.set_grouped(grouped);
            }
        }
    }

    /// Brings the group of a member in line with what became of it.
    pub(super) fn align_group(&mut self, now: Instant, changed: usize, gave_up: bool, out: &mut Outputs) {
        let Some(place) = self.groups.iter().position(|group| group.members.contains(&changed)) else { return };
        let Some(group) = self.groups.get(place) else { return };
        let (name, indices) = (group.settings.sync.name.clone(), group.members.clone());
        let Some(leader) = indices.iter().position(|&index| index == changed) else { return };
        let leader = Leader { place: leader, gave_up };
        let mut announced = false;
        for _ in 0..indices.len() * STEPS_MAX {
            let Some((at, sync)) = sync_group::next(&self.group_view(&indices), leader) else { break };
            let Some(&index) = indices.get(at) else { break };
            if !announced && at != leader.place && self.started && !self.starting {
                announced = true;
                let line = format!("VRRP_Group({name}) Syncing instances to {} state", word(sync));
                out.push(Output::Log(Level::Info, line));
            }
            self.give(now, index, vrrp::Input::Group(sync), out);
        }
        self.tell_group(place, out);
    }

    fn group_view(&self, indices: &[usize]) -> Vec<sync_group::Member> {
        indices.iter().filter_map(|&index| self.members.get(index)).map(Member::for_group).collect()
    }

    /// Tells every group what it is, after a start that was not told step by step.
    pub(super) fn tell_groups(&mut self, out: &mut Outputs) {
        for place in 0..self.groups.len() {
            self.tell_group(place, out);
        }
    }

    fn tell_group(&mut self, place: usize, out: &mut Outputs) {
        if self.starting {
            return;
        }
        let Some(indices) = self.groups.get(place).map(|group| group.members.clone()) else { return };
        let phase = sync_group::phase(&self.group_view(&indices));
        let Some(group) = self.groups.get_mut(place).filter(|group| group.phase != phase) else { return };
        group.phase = phase;
        let Some(event) = notify::Event::of(phase) else { return };
        out.push(Output::Notify(group.settings.notice(event)));
    }
}

/// The state that the members are brought to.
fn word(sync: Sync) -> &'static str {
    let phase = match sync {
        Sync::Master => Phase::Master,
        Sync::Backup | Sync::Clear => Phase::Backup,
        Sync::Fault => Phase::Fault,
    };
    phase.word()
}
