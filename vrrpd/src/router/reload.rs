//! A reload is a diff of settings: what keeps its identity keeps its state, the rest ends or begins.

use super::member::Member;
use super::tracking::push_actions;
use super::{Instance, Output, Outputs, Router, Settings};
use crate::track::{self, script::Script};
use crate::vrrp::event::Reason;
use crate::vrrp::{self, settings::Transport};
use std::collections::HashSet;
use std::time::Instant;

impl Router {
    /// A reload is a diff: what keeps its identity keeps its state, the rest ends or begins.
    pub(super) fn reload(&mut self, now: Instant, mut settings: Settings, out: &mut Outputs) {
        settings.drop_unused_scripts();
        let before = out.len();
        self.log_unknown_vrids = settings.log_unknown_vrids;
        self.reload_scripts(settings.scripts, out);
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
        let new: Vec<String> = self
            .scripts
            .iter()
            .filter(|(_, script)| script.next_deadline().is_none() && !script.is_running())
            .map(|(name, _)| name.clone())
            .collect();
        for name in new {
            self.drive_script(now, &name, out, |script, actions| script.start(now, actions));
        }
    }

    fn reload_scripts(&mut self, settings: Vec<track::script::Settings>, out: &mut Outputs) {
        let mut old = std::mem::take(&mut self.scripts);
        for script in settings {
            let name = script.name.clone();
            let entry = match old.remove(&name) {
                Some(mut known) => {
                    let mut actions = Vec::new();
                    known.reload(script, &mut actions);
                    push_actions(&name, &known, actions, out);
                    known
                }
                None => Script::new(script),
            };
            self.scripts.insert(name, entry);
        }
        for (name, script) in old {
            if script.is_running() {
                out.push(Output::TerminateScript(name));
            }
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
