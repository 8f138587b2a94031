//! A reload is a diff of settings: what keeps its identity keeps its state, the rest ends or begins.

use super::member::Member;
use super::{Instance, Output, Outputs, Router, Settings};
use crate::notify::{self, Notice};
use crate::vrrp::event::Reason;
use crate::vrrp::{self, settings::Transport};
use std::collections::HashSet;
use std::time::Instant;

impl Router {
    /// A reload is a diff: what keeps its identity keeps its state, the rest ends or begins.
    pub(super) fn reload(&mut self, now: Instant, mut settings: Settings, out: &mut Outputs) {
        let before = out.len();
        let known = self.pitfalls();
        self.log_unknown_vrids = settings.log_unknown_vrids;
        self.trackers.reload(&mut settings, out);
        self.reload_statics(settings.statics, out);
        self.pacer.reload(settings.pace);
        self.settling.set(settings.interface_delays);
        let mut old: Vec<Option<Member>> = std::mem::take(&mut self.members).into_iter().map(Some).collect();
        let mut kept: Vec<(Option<Member>, Instance)> = Vec::with_capacity(settings.instances.len());
        for instance in settings.instances {
            let same = old.iter_mut().find(|slot| {
                slot.as_ref().is_some_and(|member| same_router(member.machine.settings(), &instance.vrrp))
            });
            kept.push((same.and_then(Option::take), instance));
        }
        // Those that go give their addresses up before others may claim them.
        for mut member in old.into_iter().flatten() {
            member.give(now, vrrp::Input::Stop(Reason::Deleted), out);
        }
        let mut fresh = Vec::new();
        for (index, (member, instance)) in kept.into_iter().enumerate() {
            if let Some(mut member) = member {
                member.reload(now, instance, out);
                self.members.push(member);
            } else {
                fresh.push(index);
                self.members.push(Member::new(instance));
            }
        }
        keep_moved_addresses(before, out);
        self.index();
        self.set_groups(settings.groups);
        self.refresh_all(now, out);
        for index in fresh {
            self.feed(now, index, vrrp::Input::Start, out);
        }
        self.trackers.start(now, out);
        self.report_pitfalls(&known, out);
        if settings.states_on_reload {
            self.tell_states(out);
        }
    }

    /// Tells FIFOs, and nobody else, what everybody is.
    fn tell_states(&self, out: &mut Outputs) {
        let only_fifos = |notice: Notice| Output::Notify(Notice { commands: Vec::new(), mail: false, ..notice });
        for member in &self.members {
            let (machine, settings) = (&member.machine, member.machine.settings());
            let Some(event) = notify::Event::of(machine.phase()) else { continue };
            let priority = machine.effective_priority();
            out.push(only_fifos(member.notify().notice(event, notify::Subject::Instance, &settings.name, priority)));
        }
        for group in &self.groups {
            let Some(event) = notify::Event::of(group.phase) else { continue };
            out.push(only_fifos(group.settings.notice(event)));
        }
    }
}

/// Whether new settings are for the same virtual router, so that its state may live on.
fn same_router(old: &vrrp::Settings, new: &vrrp::Settings) -> bool {
    let kind = |settings: &vrrp::Settings| matches!(settings.transport, Transport::Multicast { .. });
    old.name == new.name
        && old.interface == new.interface
        && old.vrid == new.vrid
        && old.family == new.family
        && old.version == new.version
        && kind(old) == kind(new)
}

/// An address that moved to an instance earlier in the file was added before the one that lost it removes it: that
/// removal would take it from its new holder.
fn keep_moved_addresses(from: usize, out: &mut Outputs) {
    let mut added = HashSet::new();
    let mut place = 0;
    out.retain(|output| {
        place += 1;
        match output {
            Output::AddAddress { device, address } if place > from => {
                added.insert((device.clone(), address.address));
                true
            }
            Output::RemoveAddress { device, address } => !added.contains(&(device.clone(), address.address)),
            _ => true,
        }
    });
}
