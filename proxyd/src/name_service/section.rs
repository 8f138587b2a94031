//! One `resolvers` section: the names it is asked for, and the servers that are found by them.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;

use super::outlet::{Heard, Outlet};
use super::{Asked, Plan};
use crate::balance::farm::Farm;
use crate::balance::server_state::ServerState;
use crate::check::Checks;
use crate::clock;
use crate::health::change::{self, Event, Subject};
use crate::log::syslog::Level;
use crate::proxy::Place;
use crate::proxy::address::{ServerAddress, ServerPort};
use crate::resolvers::assign::{self, Slot};
use crate::resolvers::lookup::{self, Lookup, Step};
use crate::resolvers::message::{self, Failure, Kind, Malformed, Name, Service};
use crate::resolvers::{Choice, Counters, Settings, Tally};

/// What servers say of a host that their record does not name any more.
const REMOVED: &str = "entry removed from SRV record";
/// What servers say where others have all addresses.
const NONE_LEFT: &str = "No IP for server ";
/// The longest time between two looks, in milliseconds.
const IDLE: u64 = 60_000;
/// A name server that has not sent something of a kind that is no answer for so long is told of anew, in milliseconds.
const TROUBLE_FORGOTTEN: u64 = 60_000;
/// Names that are asked for at once. Rules that ask for more have no answer; what servers ask for is always asked for.
const NAMES_MAX: usize = 1024;

/// A server that is found by a name.
#[derive(Debug, Clone)]
struct Member {
    farm: Arc<Farm>,
    index: usize,
    choice: Choice,
    ignore_weight: bool,
    /// Its name is that of a service's host, and goes with it.
    of_service: bool,
}

impl Member {
    fn state(&self) -> Option<&Arc<ServerState>> {
        self.farm.servers().get(self.index)
    }

    fn is(&self, farm: &Arc<Farm>, index: usize) -> bool {
        Arc::ptr_eq(&self.farm, farm) && self.index == index
    }

    fn place(&self) -> Place {
        self.state().map(|state| Place::clone(&state.location().get())).unwrap_or_default()
    }

    /// The host and the port that it serves for a service.
    fn slot(&self) -> Slot {
        let place = self.place();
        let port = match place.port {
            ServerPort::Fixed(port) => port,
            ServerPort::Mapped(_) => 0,
        };
        Some((Name::new(&place.host?)?, port))
    }
}

#[derive(Debug)]
struct Entry {
    lookup: Lookup,
    members: Vec<Member>,
    /// Rules that wait for the next answer.
    waiting: Vec<Asked>,
}

impl Entry {
    /// Whether it is about this name. Services have no family.
    fn is(&self, name: &Name, service: bool, prefer: Kind) -> bool {
        let lookup = &self.lookup;
        lookup.name() == name && lookup.is_service() == service && (service || lookup.prefer() == prefer)
    }

    /// One of the addresses, those of the preferred family first.
    fn one_of(&self, known: &[IpAddr]) -> Option<IpAddr> {
        let choice = Choice { prefer: self.lookup.prefer(), shares: true, ..Choice::default() };
        assign::addresses(known, &[assign::Client { current: None, choice, group: 0 }]).pop().flatten()
    }
}

/// A section that is asked.
#[derive(Debug)]
pub(super) struct Section {
    settings: Settings,
    epoch: Instant,
    checks: Rc<RefCell<Checks>>,
    counters: RefCell<Vec<Counters>>,
    entries: RefCell<Vec<Entry>>,
    /// What each name server has sent that was no answer, and when it did last: said once, until it has not been for a while.
    trouble: RefCell<Vec<Vec<(Malformed, u64)>>>,
    changed: Notify,
    random: RandomState,
    questions: RefCell<u64>,
}

/// Ways to the name servers, by rank; `None` where none could be opened.
type Outlets = [Option<Outlet>];

impl Section {
    pub(super) fn new(plan: Plan, epoch: Instant, checks: Rc<RefCell<Checks>>) -> Self {
        let count = plan.settings.nameservers.len();
        let section = Self {
            settings: plan.settings,
            epoch,
            checks,
            counters: RefCell::new(vec![Counters::default(); count]),
            entries: RefCell::default(),
            trouble: RefCell::new(vec![Vec::new(); count]),
            changed: Notify::new(),
            random: RandomState::new(),
            questions: RefCell::default(),
        };
        for client in plan.clients {
            let member = Member {
                farm: client.farm,
                index: client.index,
                choice: client.wish.choice,
                ignore_weight: client.wish.ignore_weight,
                of_service: client.wish.service,
            };
            let host = member.slot().map(|(host, _)| host);
            if client.wish.service {
                // What it served before a reload it goes on to serve.
                if let Some(host) = &host {
                    section.subscribe(host, false, member.clone());
                }
                section.subscribe(&client.wish.name, true, member);
            } else {
                // An administrator may have given it another name since.
                section.subscribe(host.as_ref().unwrap_or(&client.wish.name), false, member);
            }
        }
        section
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn epoch(&self) -> Instant {
        self.epoch
    }

    pub(super) fn counters(&self) -> Vec<Counters> {
        self.counters.borrow().clone()
    }

    pub(super) fn clear_counters(&self) {
        self.counters.borrow_mut().fill(Counters::default());
    }

    /// Ends when the next look may be due earlier than was thought.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// When the next look is due, in milliseconds since the start of the process.
    pub(super) fn due(&self) -> u64 {
        let due = self.entries.borrow().iter().map(|entry| entry.lookup.due()).min();
        due.unwrap_or_else(|| self.now() + IDLE)
    }

    fn now(&self) -> u64 {
        u64::try_from(clock::now().saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX)
    }

    /// A number that nobody can guess who does not know this process.
    fn next_id(&self) -> u16 {
        let mut questions = self.questions.borrow_mut();
        *questions += 1;
        let [a, b, ..] = self.random.hash_one(*questions).to_ne_bytes();
        u16::from_ne_bytes([a, b])
    }

    fn count(&self, rank: usize, what: Tally) {
        if let Some(counters) = self.counters.borrow_mut().get_mut(rank) {
            counters.add(what);
        }
    }

    fn subscribe(&self, name: &Name, service: bool, member: Member) {
        let mut entries = self.entries.borrow_mut();
        let prefer = member.choice.prefer;
        let known = if service { member.slot().is_some() } else { member.place().ip().is_some() };
        match entries.iter_mut().find(|entry| entry.is(name, service, prefer)) {
            Some(entry) => {
                if known {
                    entry.lookup.hold_from(self.now());
                }
                entry.members.push(member);
            }
            None => entries.push(Entry {
                lookup: Lookup::new(name.clone(), service, prefer, known, self.now()),
                members: vec![member],
                waiting: Vec::new(),
            }),
        }
    }

    /// A server is found by no name of a host any more; names that nobody is found by are not asked for.
    fn unsubscribe(&self, farm: &Arc<Farm>, index: usize) -> Option<Member> {
        let mut entries = self.entries.borrow_mut();
        let mut left = None;
        for entry in entries.iter_mut().filter(|entry| !entry.lookup.is_service()) {
            left = left.or_else(|| entry.members.iter().find(|member| member.is(farm, index)).cloned());
            entry.members.retain(|member| !member.is(farm, index));
        }
        entries.retain(|entry| !(entry.members.is_empty() && entry.waiting.is_empty()));
        left
    }

    /// Whether anybody asks.
    pub(super) fn is_used(&self) -> bool {
        !self.entries.borrow().is_empty()
    }

    /// A rule asks. An answer that servers have had and that `hold valid` is good for is given at once.
    pub(super) fn resolve(&self, asked: Asked) {
        let (now, valid) = (self.now(), lookup::milliseconds(self.settings.hold.valid));
        let mut entries = self.entries.borrow_mut();
        if let Some(entry) = entries.iter_mut().find(|entry| entry.is(&asked.name, false, asked.prefer)) {
            let fresh: Vec<_> = entry.lookup.fresh(now, valid).collect();
            if let Some(ip) = entry.one_of(&fresh) {
                // Who has left needs no answer.
                let _ = asked.answer.send(Some(ip));
                return;
            }
            entry.lookup.hasten(now);
            entry.waiting.push(asked);
        } else if entries.len() < NAMES_MAX && !self.settings.nameservers.is_empty() {
            let lookup = Lookup::new(asked.name.clone(), false, asked.prefer, false, now);
            entries.push(Entry { lookup, members: Vec::new(), waiting: vec![asked] });
        }
        self.changed.notify_one();
    }

    /// What rules wait for.
    pub(super) fn take_waiting(&self) -> Vec<Asked> {
        self.entries.borrow_mut().iter_mut().flat_map(|entry| std::mem::take(&mut entry.waiting)).collect()
    }

    /// Tells rules what they have waited for. A name that only they have asked for is forgotten.
    fn tell(&self, (name, service, prefer): (&Name, bool, Kind), found: bool) {
        let mut entries = self.entries.borrow_mut();
        let Some(entry) = entries.iter_mut().find(|entry| entry.is(name, service, prefer)) else { return };
        let waiting = std::mem::take(&mut entry.waiting);
        let known: Vec<_> = entry.lookup.addresses().filter(|_| found && !waiting.is_empty()).collect();
        let ip = entry.one_of(&known);
        for asked in waiting {
            // Who has left needs no answer.
            let _ = asked.answer.send(ip);
        }
        if entry.members.is_empty() {
            entries.retain(|entry| !entry.is(name, service, prefer));
        }
    }

    pub(super) fn rename(&self, farm: &Arc<Farm>, index: usize, name: &Name) -> bool {
        let Some(member) = self.unsubscribe(farm, index) else { return false };
        self.subscribe(name, false, Member { of_service: false, ..member });
        self.changed.notify_one();
        true
    }

    /// Time has passed: asks what is due.
    pub(super) fn tick(&self, outlets: &Outlets) {
        let now = self.now();
        let mut steps = Vec::new();
        for entry in self.entries.borrow_mut().iter_mut() {
            let silent: Vec<usize> = entry.lookup.silent().collect();
            let id = self.next_id();
            let step = entry.lookup.tick(now, &self.settings, id);
            if step != Step::Nothing {
                for rank in silent {
                    self.count(rank, Tally::Timeout);
                }
                steps.push((entry.lookup.name().clone(), entry.lookup.is_service(), entry.lookup.prefer(), step));
            }
        }
        for (name, service, prefer, step) in steps {
            self.follow((&name, service, prefer), step, outlets);
        }
    }

    /// A name server, given by its rank, has said something.
    pub(super) fn heard(&self, rank: usize, heard: Heard, outlets: &Outlets) {
        match heard {
            Heard::Message(bytes) => self.message(rank, &bytes, outlets),
            Heard::Lost(questions) => (0..questions).for_each(|_| self.count(rank, Tally::SendError)),
        }
    }

    fn message(&self, rank: usize, bytes: &[u8], outlets: &Outlets) {
        if bytes.len() > usize::from(self.settings.payload_size) {
            return self.count(rank, Tally::TooBig);
        }
        let answer = match message::read(bytes) {
            Ok(answer) => answer,
            Err(malformed) => return self.malformed(rank, malformed),
        };
        let now = self.now();
        let mut entries = self.entries.borrow_mut();
        let entry = entries
            .iter_mut()
            .find(|entry| entry.lookup.asked().is_some_and(|(id, kind)| answer.answers(id, entry.lookup.name(), kind)));
        let Some(entry) = entry else {
            drop(entries);
            return self.count(rank, Tally::Outdated);
        };
        self.count(
            rank,
            match &answer.verdict {
                Ok(_) => Tally::Valid,
                Err(Failure::Nx) => Tally::Nx,
                Err(Failure::Refused) => Tally::Refused,
                Err(Failure::Truncated) => Tally::Truncated,
                Err(Failure::Empty) => Tally::AnyError,
                Err(Failure::Cname) => Tally::CnameError,
                Err(Failure::Other(_)) => Tally::Other,
            },
        );
        let step = entry.lookup.answered(now, &self.settings, rank, answer.verdict);
        let (name, service, prefer) = (entry.lookup.name().clone(), entry.lookup.is_service(), entry.lookup.prefer());
        drop(entries);
        self.follow((&name, service, prefer), step, outlets);
    }

    /// Something that is no answer has no effect; it is told of once.
    fn malformed(&self, rank: usize, malformed: Malformed) {
        self.count(rank, Tally::Invalid);
        let is_known = self.is_known_trouble(rank, malformed);
        let first = self.entries.borrow().first().and_then(|entry| entry.members.first().cloned());
        if let (false, Some(member), Some(nameserver)) = (is_known, first, self.settings.nameservers.get(rank)) {
            let (section, name) = (&self.settings.name, &nameserver.name);
            let text = format!("resolvers {section}: nameserver {name} sent what is no answer: {malformed}.");
            self.apply(&member, |_, _| vec![Event { level: Level::Warning, text }]);
        }
    }

    /// Whether a name server has sent this in the last while; from now on it has.
    fn is_known_trouble(&self, rank: usize, malformed: Malformed) -> bool {
        let (now, mut trouble) = (self.now(), self.trouble.borrow_mut());
        let Some(known) = trouble.get_mut(rank) else { return true };
        known.retain(|(_, last)| now <= last + TROUBLE_FORGOTTEN);
        let before = known.iter().position(|(what, _)| *what == malformed);
        before.map(|at| known.swap_remove(at));
        known.push((malformed, now));
        before.is_some()
    }

    fn apply(&self, member: &Member, change: impl FnOnce(Subject<'_>, u64) -> Vec<Event>) {
        self.checks.borrow().apply(&member.farm, member.index, change);
    }

    /// Does what a lookup wants done.
    fn follow(&self, key: (&Name, bool, Kind), step: Step, outlets: &Outlets) {
        match step {
            Step::Nothing => return,
            Step::Ask { id, kind } => {
                return self.ask(&message::question(id, key.0, kind, self.settings.payload_size), outlets);
            }
            Step::Failed => {}
            Step::Answered(from) if key.1 => self.serve(key, Some(from)),
            Step::Answered(from) => self.locate(key, from),
            Step::Gone(_) if key.1 => self.serve(key, None),
            Step::Gone(why) => {
                for member in self.members(key) {
                    self.lose(&member, why);
                }
            }
        }
        self.tell(key, matches!(step, Step::Answered(_)));
    }

    fn ask(&self, question: &[u8], outlets: &Outlets) {
        for (rank, outlet) in outlets.iter().enumerate() {
            let sent = outlet.as_ref().is_some_and(|outlet| outlet.ask(question));
            self.count(rank, if sent { Tally::Sent } else { Tally::SendError });
        }
    }

    fn with<T>(&self, (name, service, prefer): (&Name, bool, Kind), look: impl FnOnce(&Entry) -> T) -> Option<T> {
        let entries = self.entries.borrow();
        let mut entries = entries.iter();
        let entry = entries.find(|entry| {
            entry.lookup.name() == name && entry.lookup.is_service() == service && entry.lookup.prefer() == prefer
        });
        entry.map(look)
    }

    fn members(&self, key: (&Name, bool, Kind)) -> Vec<Member> {
        self.with(key, |entry| entry.members.clone()).unwrap_or_default()
    }

    /// A server has no address any more. One of a service is free for another host.
    fn lose(&self, member: &Member, why: &str) {
        let place = if member.of_service {
            self.unsubscribe(&member.farm, member.index);
            Place::default()
        } else {
            Place { address: ServerAddress::Unresolved, ..member.place() }
        };
        self.apply(member, |subject, now_ms| change::unresolved(subject, place, why, now_ms));
    }

    /// Servers are where an answer says.
    fn locate(&self, key: (&Name, bool, Kind), from: usize) {
        let members = self.members(key);
        let known: Vec<_> = self.with(key, |entry| entry.lookup.addresses().collect()).unwrap_or_default();
        let clients: Vec<_> = members
            .iter()
            .map(|member| assign::Client {
                current: member.place().ip(),
                choice: member.choice.clone(),
                group: Arc::as_ptr(&member.farm).addr(),
            })
            .collect();
        let (mut changed, mut by) = (false, self.authority(from));
        for (member, ip) in members.iter().zip(assign::addresses(&known, &clients)) {
            let (place, unresolved) = (member.place(), member.state().is_some_and(|state| state.is_unresolved()));
            match ip {
                Some(ip) if place.ip() != Some(ip) || unresolved => {
                    changed = true;
                    let place = Place { address: ServerAddress::Ip(ip), ..place };
                    self.apply(member, |subject, now_ms| change::resolved(subject, place, &by, true, now_ms));
                }
                None if !unresolved => self.lose(member, NONE_LEFT),
                Some(_) | None => {}
            }
            "DNS cache".clone_into(&mut by);
        }
        if changed {
            self.count(from, Tally::Update);
        }
    }

    /// Who knows: `dns/ns1`.
    fn authority(&self, rank: usize) -> String {
        let name = self.settings.nameservers.get(rank).map_or("", |nameserver| &nameserver.name);
        format!("{}/{name}", self.settings.name)
    }

    /// Servers serve the hosts that a service has now, `from` whom that is known.
    fn serve(&self, key: (&Name, bool, Kind), from: Option<usize>) {
        let members = self.members(key);
        let services: Vec<Service> =
            self.with(key, |entry| entry.lookup.services().cloned().collect()).unwrap_or_default();
        let slots: Vec<Slot> = members.iter().map(Member::slot).collect();
        let mut changed = false;
        let chosen = assign::services(&services, &slots);
        let goes_on = |slot: &Slot, service: &Option<Service>| match (slot, service) {
            (Some((host, port)), Some(service)) => *host == service.host && *port == service.port,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        for ((member, slot), service) in members.iter().zip(&slots).zip(&chosen) {
            if slot.is_some() && !goes_on(slot, service) {
                changed = true;
                self.lose(member, REMOVED);
            }
        }
        for ((member, slot), service) in members.iter().zip(&slots).zip(chosen) {
            let Some(service) = service else { continue };
            let is_new = !goes_on(slot, &Some(service.clone()));
            changed |= is_new;
            self.give(key, member, &service, is_new);
        }
        if let Some(from) = from.filter(|_| changed) {
            self.count(from, Tally::Update);
        }
    }

    /// A server serves a host: its port, its share, and its address if that was told along; if not, it is asked for.
    fn give(&self, key: (&Name, bool, Kind), member: &Member, service: &Service, is_new: bool) {
        let told: Vec<_> = self.with(key, |entry| entry.lookup.told(&service.host).collect()).unwrap_or_default();
        let client = assign::Client {
            current: member.place().ip(),
            choice: Choice { shares: true, ..member.choice.clone() },
            group: 0,
        };
        let told = assign::addresses(&told, &[client]).pop().flatten();
        if !member.ignore_weight {
            let weight = assign::weight(service.weight);
            self.apply(member, |subject, now_ms| change::weighted(subject, weight, now_ms));
        }
        let place = Place {
            host: Some(service.host.shared()),
            port: ServerPort::Fixed(service.port),
            ..if is_new { Place::default() } else { member.place() }
        };
        self.apply(member, |subject, now_ms| {
            let renamed = is_new.then(|| change::renamed(subject, &service.host, "SRV record")).flatten();
            let Some(ip) = told else {
                subject.farm.set_place(subject.index, place);
                return renamed.into_iter().collect();
            };
            let place = Place { address: ServerAddress::Ip(ip), ..place };
            let mut events = change::resolved(subject, place, "DNS additional record", false, now_ms);
            // An address that was told along is spoken of first.
            let at = events.len().min(1);
            events.splice(at..at, renamed);
            events
        });
        let asked = self.is_found_by_name(member);
        if told.is_some() && asked {
            self.unsubscribe(&member.farm, member.index);
        } else if told.is_none() && !asked {
            self.subscribe(&service.host, false, member.clone());
            self.changed.notify_one();
        }
    }

    fn is_found_by_name(&self, member: &Member) -> bool {
        let entries = self.entries.borrow();
        let mut hosts = entries.iter().filter(|entry| !entry.lookup.is_service());
        hosts.any(|entry| entry.members.iter().any(|known| known.is(&member.farm, member.index)))
    }
}
