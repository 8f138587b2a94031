//! The router: every instance, group and tracker of this host, as one machine without I/O.
//!
//! It owns the instances, hands each fact to those it concerns, and turns their instructions into its own, with the
//! device and the commands filled in. Groups are brought in line after every fact, before anything is performed.
//!
//! - `event`: the vocabulary; `interface`: what the kernel says about interfaces;
//! - this file: the facts and whom they concern; `reload`: new settings as a diff;
//! - `member`: one running instance; `groups`: sync groups; `schedule`: which instance is due next;
//! - `strangers`: packets that are for nobody;
//! - `trackers`: scripts, files and processes; `tracking`: what they and the links mean for each instance.

pub mod event;
mod groups;
pub mod interface;
mod member;
pub mod pace;
mod reload;
mod schedule;
pub mod settle;
pub mod statics;
mod strangers;
mod trackers;
mod tracking;
pub mod watched;

pub use event::{Input, Output, Outputs};

use crate::packet::{Datagram, Family, Message};
use crate::route::{Route, Rule};
use crate::track::file::File;
use crate::track::process::Process;
use crate::track::script::Script;
use crate::track::{References, Unwatched};
use crate::vrrp::event::Reason;
use crate::vrrp::settings::{Transport, VirtualAddress};
use crate::vrrp::{self, Level, Phase};
use crate::{notify, sync_group, track};
use event::Object;
use groups::RunningGroup;
use interface::{Interface, Interfaces};
use member::Member;
use pace::Pacer;
use schedule::Schedule;
use settle::{Delay, Settling};
use statics::{RunningStatic, Static};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::time::Instant;
use strangers::Strangers;
use trackers::Trackers;

/// Everything the machine is told by the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `vrrp_instance` blocks in the order of the file.
    pub instances: Vec<Instance>,
    /// `vrrp_script` blocks; one that nobody refers to is never run.
    pub scripts: Vec<track::script::Settings>,
    /// `track_file` blocks; the same holds.
    pub files: Vec<track::file::Settings>,
    /// `vrrp_track_process` blocks; the same holds.
    pub processes: Vec<track::process::Settings>,
    /// `vrrp_sync_group` blocks.
    pub groups: Vec<Group>,
    /// `log_unknown_vrids`.
    pub log_unknown_vrids: bool,
    /// `fifo_write_vrrp_states_on_reload`.
    pub states_on_reload: bool,
    /// Who is told of everything. Not for the router, which tells; for those who perform it.
    pub channels: notify::Channels,
    /// `static_ipaddress`, `static_routes`, `static_rules`.
    pub statics: Vec<Static>,
    /// `vrrp_garp_interval`, `garp_group` and their like.
    pub pace: pace::Settings,
    /// `nftables` and what belongs to it.
    pub firewall: Firewall,
    /// `interface_up_down_delays`
    pub interface_delays: BTreeMap<String, Delay>,
}

/// How the driver filters packets; the router itself does not look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firewall {
    /// Name of the `nf_tables` tables.
    pub table: String,
    /// `nftables_priority`
    pub priority: i32,
    /// `nftables_counters`
    pub counters: bool,
    /// `nftables_ifindex`: interfaces in the filter are known by index rather than by name.
    pub by_interface_index: bool,
}

/// keepalived's: before the chains of others.
impl Default for Firewall {
    fn default() -> Self {
        Self { table: "keepalived".to_owned(), priority: -1, counters: false, by_interface_index: false }
    }
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
    /// What the whole group follows.
    pub track: References,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Router {
    members: Vec<Member>,
    /// When each of them wants to be told the time.
    schedule: Schedule,
    /// Whom a packet may concern, by virtual router id and family.
    listeners: HashMap<(u8, Family), Vec<usize>>,
    groups: Vec<RunningGroup>,
    trackers: Trackers,
    interfaces: Interfaces,
    statics: Vec<RunningStatic>,
    pacer: Pacer,
    settling: Settling,
    log_unknown_vrids: bool,
    strangers: Strangers,
    started: bool,
    /// In the middle of the start.
    starting: bool,
}

impl Group {
    fn notice(&self, event: notify::Event) -> notify::Notice {
        self.notify.notice(event, notify::Subject::Group, &self.sync.name, 0)
    }
}

impl Router {
    /// A router that has not been started and knows no interface.
    pub fn new(mut settings: Settings) -> Self {
        let mut router = Self {
            trackers: Trackers::new(&mut settings),
            members: settings.instances.into_iter().map(Member::new).collect(),
            log_unknown_vrids: settings.log_unknown_vrids,
            statics: settings.statics.into_iter().map(RunningStatic::new).collect(),
            pacer: Pacer::new(settings.pace),
            ..Self::default()
        };
        router.settling.set(settings.interface_delays);
        router.set_groups(settings.groups);
        router.index();
        router
    }

    /// The instances, in the order of the file.
    pub fn instances(&self) -> impl Iterator<Item = &vrrp::Instance> {
        self.members.iter().map(|member| &member.machine)
    }

    /// The scripts.
    pub fn scripts(&self) -> impl Iterator<Item = &Script> {
        self.trackers.scripts()
    }

    /// The files.
    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.trackers.files()
    }

    /// The processes.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.trackers.processes()
    }

    /// What instances and groups were told to watch and nothing watches, as (instance or group, what).
    pub fn unwatched(&self) -> impl Iterator<Item = (&str, &Unwatched)> {
        let instances = self.members.iter().map(|member| member.machine.settings());
        let instances = instances.map(|vrrp| (vrrp.name.as_str(), &vrrp.track));
        let groups = self.groups.iter().map(|group| (group.settings.sync.name.as_str(), &group.settings.track));
        instances.chain(groups).flat_map(|(name, track)| track.unwatched.iter().map(move |lost| (name, lost)))
    }

    /// The groups, with their states.
    pub fn groups(&self) -> impl Iterator<Item = (&Group, Phase)> {
        self.groups.iter().map(|group| (&group.settings, group.phase))
    }

    /// Whom an instance tells about itself.
    pub fn notify_settings(&self, instance: &str) -> Option<&notify::Settings> {
        let member = self.members.iter().find(|member| member.machine.settings().name == instance);
        member.map(Member::notify)
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
        let own = [self.schedule.next(), self.pacer.next_deadline(), self.settling.next_deadline()];
        self.trackers.next_deadline().into_iter().chain(own.into_iter().flatten()).min()
    }

    /// Takes a fact and pushes what is to be done about it.
    pub fn handle(&mut self, now: Instant, input: Input<'_>, out: &mut Outputs) {
        let from = out.len();
        match input {
            Input::Start => self.start(now, &HashSet::new(), out),
            Input::Resume(masters) => self.start(now, &masters, out),
            Input::Packet { interface, datagram } => self.receive(now, interface, datagram, out),
            Input::Time => self.time(now, out),
            Input::Interface(fact) => self.interface_reported(now, fact, out),
            Input::InterfaceGone(name) => self.interface_gone(now, &name, None, out),
            Input::InterfaceRenamed { from, to } => self.interface_gone(now, &from, Some(&to), out),
            Input::AddressVanished { interface, address } => self.address_vanished(now, &interface, address, out),
            Input::RouteVanished(route) => self.route_vanished(now, &route, out),
            Input::RuleVanished(rule) => self.rule_vanished(now, &rule, out),
            Input::Static { object, present } => self.static_state(now, &object, present, out),
            Input::ScriptFinished { script, outcome } => self.script_finished(now, &script, &outcome, out),
            Input::FileRead { file, reading } => self.file_read(now, &file, reading, out),
            Input::ProcessesCounted { process, count } => self.processes_counted(now, &process, count, out),
            Input::Reload(settings) => self.reload(now, settings, out),
            Input::Stop => self.stop(now, Reason::Shutdown, out),
            Input::Leave => self.stop(now, Reason::Left, out),
        }
        self.pacer.pace(now, from, out);
    }

    // ---- facts

    /// `masters` were masters until a moment ago; a group only as a whole.
    fn start(&mut self, now: Instant, masters: &HashSet<String>, out: &mut Outputs) {
        self.started = true;
        self.report_pitfalls(&[], out);
        self.add_statics(out);
        let delay = self.members.iter().map(|member| member.machine.settings().startup_delay).max().unwrap_or_default();
        if !delay.is_zero() {
            out.push(Output::Log(Level::Info, format!("Delaying startup for {} seconds", delay.as_secs_f64())));
        }
        // Groups are told before their members, as keepalived does it at this one time.
        self.starting = true;
        let mut of_members = Outputs::new();
        for index in 0..self.members.len() {
            self.refresh(now, index, &mut of_members);
            let input = if self.resumes(index, masters) { vrrp::Input::Resume } else { vrrp::Input::Start };
            self.feed(now, index, input, &mut of_members);
        }
        self.starting = false;
        self.tell_groups(out);
        out.append(&mut of_members);
        self.trackers.start(now, out);
    }

    fn resumes(&self, index: usize, masters: &HashSet<String>) -> bool {
        let was_master = |&index: &usize| {
            self.members.get(index).is_some_and(|member| masters.contains(&member.machine.settings().name))
        };
        let group = self.groups.iter().find(|group| group.members.contains(&index));
        was_master(&index) && group.is_none_or(|group| group.members.iter().all(was_master))
    }

    fn receive(&mut self, now: Instant, interface: u32, datagram: Datagram<'_>, out: &mut Outputs) {
        let Ok(message) = Message::new(datagram.message) else {
            return self.strangers.report_tiny(now, &datagram, out);
        };
        let listeners = self.listeners(message.vrid(), Family::of(datagram.source)).iter().copied();
        let matching: Vec<usize> = listeners.filter(|&index| self.concerns(index, interface, &datagram)).collect();
        if matching.is_empty() {
            if self.log_unknown_vrids && !self.listens_above(message.vrid(), interface, Family::of(datagram.source)) {
                let name = self.interfaces.name_of(interface).unwrap_or("unknown");
                self.strangers.report_unknown(now, (interface, name), message.vrid(), out);
            }
            return;
        }
        for index in matching {
            self.feed(now, index, vrrp::Input::Packet(datagram), out);
        }
    }

    /// The instances of this virtual router id and family.
    fn listeners(&self, vrid: u8, family: Family) -> &[usize] {
        self.listeners.get(&(vrid, family)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether an instance of this interface listens on a virtual one above it: there it hears the same once more.
    fn listens_above(&self, vrid: u8, interface: u32, family: Family) -> bool {
        let name = self.interfaces.name_of(interface);
        let listeners = self.listeners(vrid, family).iter().filter_map(|&index| self.members.get(index));
        listeners
            .map(|member| member.machine.settings())
            .any(|settings| name.is_some() && settings.interface.as_deref() == name && settings.listen_on() != name)
    }

    /// Whether a packet is for this one of the [`Router::listeners`]: its interface; and where several unicast
    /// instances share that, its peer.
    fn concerns(&self, index: usize, interface: u32, datagram: &Datagram<'_>) -> bool {
        let Some(settings) = self.members.get(index).map(|member| member.machine.settings()) else { return false };
        let here = settings.listen_on().is_none_or(|name| self.interfaces.index_of(name) == Some(interface));
        let known = |settings: &vrrp::Settings| match &settings.transport {
            Transport::Unicast { peers, .. } => peers.iter().any(|peer| peer.address == datagram.source),
            Transport::Multicast { .. } => false,
        };
        let of_another = || {
            self.listeners(settings.vrid, settings.family).iter().any(|&other| {
                other != index && self.members.get(other).is_some_and(|member| known(member.machine.settings()))
            })
        };
        // Sockets are shared by the instances of an interface, whose groups may differ.
        let group = match &settings.transport {
            Transport::Multicast { group, .. } => *group,
            Transport::Unicast { .. } => datagram.destination,
        };
        let meant = !datagram.destination.is_multicast() || datagram.destination == group;
        here && meant && (datagram.destination.is_multicast() || known(settings) || !of_another())
    }

    fn time(&mut self, now: Instant, out: &mut Outputs) {
        for fact in self.settling.settled(now) {
            self.interface_changed(now, fact, out);
        }
        let due = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
        for index in self.schedule.due(now) {
            // Its group may have taken it along meanwhile.
            if self.members.get(index).is_some_and(|member| due(member.machine.next_deadline())) {
                self.feed(now, index, vrrp::Input::Time, out);
            }
        }
        if self.trackers.time(now, out) {
            self.refresh_all(now, out);
        }
    }

    fn interface_reported(&mut self, now: Instant, fact: Interface, out: &mut Outputs) {
        let known = self.interfaces.get(&fact.name);
        let fact = self.settling.report(now, fact, known);
        self.interface_changed(now, fact, out);
    }

    fn interface_changed(&mut self, now: Instant, fact: Interface, out: &mut Outputs) {
        let name = fact.name.clone();
        let before = self.interfaces.get(&name).map(|known| known.running);
        let running = fact.running;
        self.interfaces.insert(fact);
        // A new one that is not up yet is no news.
        let news = before.map_or(self.started && running, |before| before != running);
        if news && self.uses(&name) {
            let word = if running { "up" } else { "down" };
            out.push(Output::Log(Level::Info, format!("Netlink reports {name} {word}")));
        }
        self.refresh_all(now, out);
        if self.started {
            self.retry_statics(out);
        }
    }

    /// Under another name it is another interface.
    fn interface_gone(&mut self, now: Instant, name: &str, renamed: Option<&str>, out: &mut Outputs) {
        self.settling.forget(name);
        if self.interfaces.remove(name).is_some() && self.uses(name) {
            let line = match renamed {
                None => format!("Interface {name} deleted"),
                Some(to) => format!("Interface name has changed from {name} to {to}"),
            };
            out.push(Output::Log(Level::Warning, line));
        }
        self.refresh_all(now, out);
    }

    fn uses(&self, name: &str) -> bool {
        self.members.iter().any(|member| {
            let settings = member.machine.settings();
            settings.interface.as_deref() == Some(name)
                || settings.other_devices().any(|device| device == name)
                || settings.track.interfaces.iter().any(|track| track.name == name)
        }) || self.groups.iter().any(|group| group.settings.track.interfaces.iter().any(|track| track.name == name))
    }

    fn route_vanished(&mut self, now: Instant, route: &Route, out: &mut Outputs) {
        self.restore(out, |object| matches!(object, Object::Route(known) if known == route));
        for index in 0..self.members.len() {
            if self.members.get(index).is_some_and(|member| member.machine.settings().routes.contains(route)) {
                self.feed(now, index, vrrp::Input::RouteVanished(route), out);
            }
        }
    }

    fn rule_vanished(&mut self, now: Instant, rule: &Rule, out: &mut Outputs) {
        self.restore(out, |object| matches!(object, Object::Rule(known) if known == rule));
        for index in 0..self.members.len() {
            if self.members.get(index).is_some_and(|member| member.machine.settings().rules.contains(rule)) {
                self.feed(now, index, vrrp::Input::RuleVanished(rule), out);
            }
        }
    }

    fn address_vanished(&mut self, now: Instant, interface: &str, address: IpAddr, out: &mut Outputs) {
        self.restore_static_address(interface, address, out);
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

    fn stop(&mut self, now: Instant, reason: Reason, out: &mut Outputs) {
        self.started = false;
        // Groups do not follow each other here: everybody stops.
        for index in 0..self.members.len() {
            self.give(now, index, vrrp::Input::Stop(reason), out);
        }
        for group in &self.groups {
            out.push(Output::Notify(group.settings.notice(notify::Event::Stop)));
        }
        self.trackers.stop(out);
        self.remove_statics(out);
    }

    /// Gives an instance a fact and brings its group in line with what became of it.
    fn feed(&mut self, now: Instant, index: usize, input: vrrp::Input<'_>, out: &mut Outputs) {
        let view = |router: &Self| router.members.get(index).map(Member::for_group);
        let Some(before) = view(self) else { return };
        self.give(now, index, input, out);
        if let Some(after) = view(self).filter(|after| *after != before) {
            let gave_up = before.phase == Phase::Master && after.phase != Phase::Master;
            self.align_group(now, index, gave_up, out);
        }
    }

    /// Gives an instance a fact; whether its state changed. Nobody else may, or its deadline is missed.
    fn give(&mut self, now: Instant, index: usize, input: vrrp::Input<'_>, out: &mut Outputs) -> bool {
        let Some(member) = self.members.get_mut(index) else { return false };
        let changed = member.give(now, input, out);
        self.schedule.set(index, member.machine.next_deadline());
        changed
    }

    /// Brings what is looked up by place in line with the members.
    fn index(&mut self) {
        self.schedule.clear();
        self.listeners.clear();
        for (index, member) in self.members.iter().enumerate() {
            let settings = member.machine.settings();
            self.schedule.set(index, member.machine.next_deadline());
            self.listeners.entry((settings.vrid, settings.family)).or_default().push(index);
        }
    }
}

#[cfg(test)]
mod tests;
