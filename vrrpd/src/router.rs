//! The router: every instance, group and tracker of this host, as one machine without I/O.
//!
//! It owns the instances, hands each fact to those it concerns, and turns their instructions into its own, with the
//! device and the commands filled in. Groups are brought in line after every fact, before anything is performed.

pub mod event;
pub mod interface;

pub use event::{Input, Output, Outputs};

use crate::packet::{Datagram, Family, Header};
use crate::track::script::{Action, Outcome, Script};
use crate::track::{Health, Share, share};
use crate::vrrp::event::{Link, Reason, Sync, Tracked};
use crate::vrrp::settings::{Transport, VirtualAddress};
use crate::vrrp::{self, Level, Phase};
use crate::{notify, sync_group, track};
use interface::{Interface, Interfaces};
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::time::Instant;

/// Everything the machine is told by the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `vrrp_instance` blocks in the order of the file.
    pub instances: Vec<Instance>,
    /// `vrrp_script` blocks; one that nobody refers to is never run.
    pub scripts: Vec<track::script::Settings>,
    /// `vrrp_sync_group` blocks.
    pub groups: Vec<Group>,
    /// `log_unknown_vrids`.
    pub log_unknown_vrids: bool,
}

/// An instance and whom it tells about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The protocol part.
    pub vrrp: vrrp::Settings,
    /// Its notify scripts.
    pub notify: notify::Settings,
}

/// A group and whom it tells about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its members.
    pub sync: sync_group::Settings,
    /// Its notify scripts.
    pub notify: notify::Settings,
    /// Interfaces the whole group follows.
    pub track_interfaces: Vec<vrrp::settings::TrackInterface>,
    /// Scripts the whole group follows.
    pub track_scripts: Vec<vrrp::settings::TrackScript>,
}

/// A running instance.
#[derive(Clone, Debug)]
struct Member {
    machine: vrrp::Instance,
    notify: notify::Settings,
    link: Link,
    tracked: Tracked,
}

/// A running group.
#[derive(Clone, Debug)]
struct RunningGroup {
    settings: Group,
    /// Places in [`Router::members`].
    members: Vec<usize>,
    phase: Phase,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Router {
    members: Vec<Member>,
    groups: Vec<RunningGroup>,
    scripts: BTreeMap<String, Script>,
    interfaces: Interfaces,
    log_unknown_vrids: bool,
    /// Unknown ids that were logged, as (interface, VRID).
    unknown: HashSet<(u32, u8)>,
    started: bool,
}

/// How many unknown ids are remembered before the list starts anew: all of four interfaces.
const UNKNOWN_MAX: usize = 4 * 255;

/// How often the members of a group may set each other in motion over one fact. Two rounds settle every case in
/// which the instances themselves do; members that contradict each other go on at the next advert.
const GROUP_ROUNDS_MAX: usize = 8;

impl Settings {
    fn drop_unused_scripts(&mut self) {
        let of_instances = self.instances.iter().flat_map(|instance| &instance.vrrp.track_scripts);
        let of_groups = self.groups.iter().flat_map(|group| &group.track_scripts);
        let used: HashSet<&str> = of_instances.chain(of_groups).map(|track| track.script.as_str()).collect();
        self.scripts.retain(|script| used.contains(script.name.as_str()));
    }
}

impl Router {
    /// A router that has not been started and knows no interface.
    pub fn new(mut settings: Settings) -> Self {
        settings.drop_unused_scripts();
        let scripts = settings.scripts.into_iter().map(|script| (script.name.clone(), Script::new(script)));
        let mut router = Self {
            members: settings.instances.into_iter().map(Member::new).collect(),
            scripts: scripts.collect(),
            log_unknown_vrids: settings.log_unknown_vrids,
            ..Self::default()
        };
        router.set_groups(settings.groups);
        router
    }

    /// The instances, in the order of the file.
    pub fn instances(&self) -> impl Iterator<Item = &vrrp::Instance> {
        self.members.iter().map(|member| &member.machine)
    }

    /// The scripts.
    pub fn scripts(&self) -> impl Iterator<Item = &Script> {
        self.scripts.values()
    }

    /// Begins to count anew.
    pub fn clear_counters(&mut self) {
        for member in &mut self.members {
            member.machine.clear_counters();
        }
    }

    /// The interfaces as the kernel reported them.
    pub fn interfaces(&self) -> &Interfaces {
        &self.interfaces
    }

    /// The addresses that must be on this host now, with their devices.
    pub fn desired_addresses(&self) -> impl Iterator<Item = (&str, &VirtualAddress)> {
        self.members.iter().flat_map(|member| {
            let settings = member.machine.settings();
            member.machine.desired_addresses().filter_map(|vip| Some((settings.device_of(vip)?, vip)))
        })
    }

    /// When `Input::Time` is wanted next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let instances = self.members.iter().filter_map(|member| member.machine.next_deadline());
        let scripts = self.scripts.values().filter_map(Script::next_deadline);
        instances.chain(scripts).min()
    }

    /// Takes a fact and pushes what is to be done about it.
    pub fn handle(&mut self, now: Instant, input: Input<'_>, out: &mut Outputs) {
        match input {
            Input::Start => self.start(now, out),
            Input::Packet { interface, datagram } => self.receive(now, interface, datagram, out),
            Input::Time => self.time(now, out),
            Input::Interface(fact) => self.interface_changed(now, fact, out),
            Input::InterfaceGone(name) => self.interface_gone(now, &name, out),
            Input::AddressVanished { interface, address } => self.address_vanished(now, &interface, address, out),
            Input::ScriptFinished { script, outcome } => self.script_finished(now, &script, &outcome, out),
            Input::Reload(settings) => self.reload(now, settings, out),
            Input::Stop => self.stop(now, out),
        }
    }

    // ---- facts

    fn start(&mut self, now: Instant, out: &mut Outputs) {
        self.started = true;
        for index in 0..self.members.len() {
            self.refresh(now, index, out);
            self.feed(now, index, vrrp::Input::Start, out);
        }
        let names: Vec<String> = self.scripts.keys().cloned().collect();
        for name in names {
            self.drive_script(now, &name, out, |script, actions| script.start(now, actions));
        }
    }

    fn receive(&mut self, now: Instant, interface: u32, datagram: Datagram<'_>, out: &mut Outputs) {
        let Ok(header) = Header::new(datagram.message) else { return };
        let matching: Vec<usize> = (0..self.members.len())
            .filter(|&index| self.concerns(index, interface, header.vrid(), &datagram))
            .collect();
        if matching.is_empty() {
            self.report_unknown(interface, header.vrid(), out);
        }
        for index in matching {
            self.feed(now, index, vrrp::Input::Packet(datagram), out);
        }
    }

    /// Whether a packet is for this instance: its interface, its virtual router id, its family; and where several
    /// unicast instances share those, its peer.
    fn concerns(&self, index: usize, interface: u32, vrid: u8, datagram: &Datagram<'_>) -> bool {
        let Some(settings) = self.members.get(index).map(|member| member.machine.settings()) else { return false };
        if settings.vrid != vrid || settings.family != Family::of(datagram.source) {
            return false;
        }
        let here = settings.interface.as_deref().is_none_or(|name| self.interfaces.index_of(name) == Some(interface));
        let known = |settings: &vrrp::Settings| match &settings.transport {
            Transport::Unicast { peers, .. } => peers.iter().any(|peer| peer.address == datagram.source),
            Transport::Multicast { .. } => false,
        };
        let of_another = || {
            self.members.iter().enumerate().any(|(other, member)| {
                let settings = member.machine.settings();
                other != index && settings.vrid == vrid && known(settings)
            })
        };
        here && (datagram.destination.is_multicast() || known(settings) || !of_another())
    }

    fn report_unknown(&mut self, interface: u32, vrid: u8, out: &mut Outputs) {
        if !self.log_unknown_vrids {
            return;
        }
        if self.unknown.len() >= UNKNOWN_MAX {
            self.unknown.clear();
        }
        if self.unknown.insert((interface, vrid)) {
            let name = self.interfaces.name_of(interface).unwrap_or("unknown");
            let line = format!("Unknown VRID({vrid}) received on interface({name}). ignoring...");
            out.push(Output::Log(Level::Info, line));
        }
    }

    fn time(&mut self, now: Instant, out: &mut Outputs) {
        let due = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
        for index in 0..self.members.len() {
            if self.members.get(index).is_some_and(|member| due(member.machine.next_deadline())) {
                self.feed(now, index, vrrp::Input::Time, out);
            }
        }
        let names: Vec<String> = self
            .scripts
            .iter()
            .filter(|(_, script)| due(script.next_deadline()))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            self.drive_script(now, &name, out, |script, actions| script.time(now, actions));
        }
    }

    fn interface_changed(&mut self, now: Instant, fact: Interface, out: &mut Outputs) {
        let name = fact.name.clone();
        let before = self.interfaces.get(&name).map(|known| known.running);
        let running = fact.running;
        self.interfaces.insert(fact);
        if before != Some(running) && (before.is_some() || self.started) && self.uses(&name) {
            let word = if running { "up" } else { "down" };
            out.push(Output::Log(Level::Info, format!("Netlink reports {name} {word}")));
        }
        self.refresh_all(now, out);
    }

    fn interface_gone(&mut self, now: Instant, name: &str, out: &mut Outputs) {
        if self.interfaces.remove(name).is_some() && self.uses(name) {
            out.push(Output::Log(Level::Warning, format!("Interface {name} deleted")));
        }
        self.refresh_all(now, out);
    }

    fn uses(&self, name: &str) -> bool {
        self.members.iter().any(|member| {
            let settings = member.machine.settings();
            settings.interface.as_deref() == Some(name)
                || settings.track_interfaces.iter().any(|track| track.interface == name)
        }) || self.groups.iter().any(|group| group.settings.track_interfaces.iter().any(|t| t.interface == name))
    }

    fn address_vanished(&mut self, now: Instant, interface: &str, address: IpAddr, out: &mut Outputs) {
        for index in 0..self.members.len() {
            let concerned = self.members.get(index).is_some_and(|member| {
                let settings = member.machine.settings();
                settings.all_addresses().any(|vip| vip.address == address && settings.device_of(vip) == Some(interface))
            });
            if concerned {
                self.feed(now, index, vrrp::Input::AddressVanished(address), out);
            }
        }
    }

    fn script_finished(&mut self, now: Instant, name: &str, outcome: &Outcome, out: &mut Outputs) {
        self.drive_script(now, name, out, |script, actions| script.finished(outcome, actions));
    }

    fn stop(&mut self, now: Instant, out: &mut Outputs) {
        self.started = false;
        // Groups do not follow each other here: everybody stops.
        for member in &mut self.members {
            member.give(now, vrrp::Input::Stop(Reason::Shutdown), out);
        }
        for group in &self.groups {
            let commands = group.settings.notify.commands(
                notify::Event::Stop,
                notify::Subject::Group,
                &group.settings.sync.name,
                0,
            );
            push_notify(&group.settings.sync.name, commands, out);
        }
        for (name, script) in &self.scripts {
            if script.is_running() {
                out.push(Output::TerminateScript(name.clone()));
            }
        }
    }

    // ---- reload

    /// A reload is a diff: what keeps its identity keeps its state, the rest ends or begins.
    fn reload(&mut self, now: Instant, mut settings: Settings, out: &mut Outputs) {
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

    fn set_groups(&mut self, groups: Vec<Group>) {
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

    // ---- instances

    fn refresh_all(&mut self, now: Instant, out: &mut Outputs) {
        for index in 0..self.members.len() {
            self.refresh(now, index, out);
        }
    }

    /// Tells an instance about its link and its trackers, as far as they changed.
    fn refresh(&mut self, now: Instant, index: usize, out: &mut Outputs) {
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

    /// Gives an instance a fact and brings its group in line with what became of it.
    fn feed(&mut self, now: Instant, index: usize, input: vrrp::Input<'_>, out: &mut Outputs) {
        let Some(member) = self.members.get_mut(index) else { return };
        let before = member.machine.faults().own();
        let changed = member.give(now, input, out);
        if changed || before != member.machine.faults().own() {
            self.align_groups(now, index, out);
        }
    }

    fn align_groups(&mut self, now: Instant, changed: usize, out: &mut Outputs) {
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
            let member = self.members.get_mut(index)?;
            if member.give(now, vrrp::Input::Group(sync), out) && member.machine.phase() != leader_phase {
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
        let event = match phase {
            Phase::Init => return,
            Phase::Master => notify::Event::Master,
            Phase::Backup => notify::Event::Backup,
            Phase::Fault => notify::Event::Fault,
        };
        let name = &group.settings.sync.name;
        let commands = group.settings.notify.commands(event, notify::Subject::Group, name, 0);
        push_notify(name, commands, out);
    }

    // ---- scripts

    fn drive_script<F>(&mut self, now: Instant, name: &str, out: &mut Outputs, act: F)
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

impl Member {
    fn new(instance: Instance) -> Self {
        let machine = vrrp::Instance::new(instance.vrrp);
        let link = Link { up: false, source: None };
        Self { machine, notify: instance.notify, link, tracked: Tracked::default() }
    }

    /// Gives the machine a fact; whether its state changed.
    fn give(&mut self, now: Instant, input: vrrp::Input<'_>, out: &mut Outputs) -> bool {
        let mut instructions = vrrp::Outputs::new();
        self.machine.handle(now, input, &mut instructions);
        self.translate(self.machine.settings(), instructions, out)
    }

    fn reload(&mut self, now: Instant, instance: Instance, out: &mut Outputs) {
        let old = self.machine.settings().clone();
        self.notify = instance.notify;
        let mut instructions = vrrp::Outputs::new();
        self.machine.reload(now, instance.vrrp, &mut instructions);
        self.translate(&old, instructions, out);
    }

    fn translate(&self, settings: &vrrp::Settings, instructions: vrrp::Outputs, out: &mut Outputs) -> bool {
        let mut changed = false;
        for instruction in instructions {
            let device = |vip: &VirtualAddress| settings.device_of(vip).map(str::to_owned);
            match instruction {
                vrrp::Output::Advertise(advertisement) => {
                    out.push(Output::Advertise { interface: settings.interface.clone(), advertisement });
                }
                vrrp::Output::AddAddress(address) => {
                    let Some(device) = device(&address) else { continue };
                    out.push(Output::AddAddress { device, address });
                }
                vrrp::Output::RemoveAddress(address) => {
                    let Some(device) = device(&address) else { continue };
                    out.push(Output::RemoveAddress { device, address });
                }
                vrrp::Output::Announce(address) => {
                    let Some(device) = device(&address) else { continue };
                    out.push(Output::Announce { device, address: address.address });
                }
                vrrp::Output::Notify(event, priority) => {
                    let name = &settings.name;
                    let commands = self.notify.commands(event, notify::Subject::Instance, name, priority);
                    push_notify(name, commands, out);
                }
                vrrp::Output::Changed(phase) => {
                    changed = true;
                    out.push(Output::Changed { instance: settings.name.clone(), phase });
                }
                vrrp::Output::Log(level, line) => out.push(Output::Log(level, line)),
            }
        }
        changed
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

fn push_notify(subject: &str, commands: Vec<crate::command::Command>, out: &mut Outputs) {
    if !commands.is_empty() {
        out.push(Output::Notify { subject: subject.to_owned(), commands });
    }
}

fn push_actions(name: &str, script: &Script, actions: Vec<Action>, out: &mut Outputs) {
    for action in actions {
        out.push(match action {
            Action::Run => Output::RunScript { script: name.to_owned(), command: script.settings().command.clone() },
            Action::Terminate => Output::TerminateScript(name.to_owned()),
            Action::Kill => Output::KillScript(name.to_owned()),
            Action::Log(level, line) => Output::Log(level, line),
        });
    }
}

#[cfg(test)]
mod tests;
