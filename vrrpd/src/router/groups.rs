//! Sync groups among the running instances: after every fact the members are brought in line.

use super::{Group, Output, Outputs, Router};
use crate::vrrp::event::Sync;
use crate::vrrp::{self, Level, Phase};
use crate::{notify, sync_group};
use std::time::Instant;

/// How often the members of a group may set each other in motion over one fact. Two rounds settle every case in
/// which the instances themselves do; members that contradict each other go on at the next advert.
const GROUP_ROUNDS_MAX: usize = 8;

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
    }

    pub(super) fn align_groups(&mut self, now: Instant, changed: usize, out: &mut Outputs) {
        let Some(place) = self.groups.iter().position(|group| group.members.contains(&changed)) else { return };
        let mut leader = changed;
        for _ in 0..GROUP_ROUNDS_MAX {
            match self.align_once(now, place, leader, out) {
                Some(next) => leader = next,
                None => break,
            }
        }
        self.tell_group(place, out);
    }

    /// One pass over the group; answers with a member that changed otherwise than it was told to.
    fn align_once(&mut self, now: Instant, place: usize, leader: usize, out: &mut Outputs) -> Option<usize> {
        let group = self.groups.get(place)?;
        let (name, indices) = (group.settings.sync.name.clone(), group.members.clone());
        let leader_place = indices.iter().position(|&index| index == leader)?;
        let leader_phase = self.members.get(leader)?.machine.phase();
        let mut announced = false;
        let mut contrary = None;
        for (at, &index) in indices.iter().enumerate() {
            let view = self.group_view(&indices);
            let faulted = sync_group::faulted_by_others(&view, at);
            let clear = !faulted && self.members.get(index).is_some_and(|member| member.machine.faults().group);
            let sync = if clear { Some(Sync::Clear) } else { sync_group::follow(&view, leader_place, at) };
            let Some(sync) = sync else { continue };
            if !announced && sync != Sync::Clear {
                announced = true;
                let line = format!("VRRP_Group({name}) Syncing instances to {} state", leader_phase.word());
                out.push(Output::Log(Level::Info, line));
            }
            let changed = self.give(now, index, vrrp::Input::Group(sync), out);
            if changed && self.members.get(index)?.machine.phase() != leader_phase {
                contrary = Some(index);
            }
        }
        contrary
    }

    fn group_view(&self, indices: &[usize]) -> Vec<sync_group::Member> {
        let members = indices.iter().filter_map(|&index| self.members.get(index));
        members
            .map(|member| sync_group::Member { phase: member.machine.phase(), faulty: member.machine.faults().own() })
            .collect()
    }

    fn tell_group(&mut self, place: usize, out: &mut Outputs) {
        let Some(indices) = self.groups.get(place).map(|group| group.members.clone()) else { return };
        let phase = sync_group::phase(&self.group_view(&indices));
        let Some(group) = self.groups.get_mut(place).filter(|group| group.phase != phase) else { return };
        group.phase = phase;
        let Some(event) = notify::Event::of(phase) else { return };
        out.push(Output::Notify(group.settings.notice(event)));
    }
}
