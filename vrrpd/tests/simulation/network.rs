//! N routers on one virtual clock and one virtual wire, with knobs for latency, loss, cuts, stalls, skew and deaths.
//!
//! Nothing here decides anything about VRRP: the routers are the daemon's, the bytes on the wire are theirs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use vrrpd::notify::Notice;
use vrrpd::packet::Datagram;
use vrrpd::router::interface::Interface;
use vrrpd::router::{Input, Output, Outputs, Router, Settings};
use vrrpd::track::script::Outcome;
use vrrpd::vrrp::{Instance, Phase};

/// Index of the one interface every node has.
const ETH0: u32 = 2;
/// How long a check script runs.
const SCRIPT_RUN: Duration = Duration::from_millis(10);

/// A deterministic source of numbers (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, not including, `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Something seen from outside, at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// State of an instance, by name.
    State(String, Phase),
    /// The process is gone, its addresses stay.
    Killed,
    Added(IpAddr),
    Removed(IpAddr),
    Garp,
    /// Virtual router id and priority.
    Advert(u8, u8),
    Notify(String),
    Log(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Observation {
    pub(crate) at: Duration,
    pub(crate) node: usize,
    pub(crate) seen: Seen,
}

/// One host.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) address: IpAddr,
    settings: Settings,
    /// `None` while it is not running.
    router: Option<Router>,
    /// The virtual addresses on its interface.
    pub(crate) addresses: BTreeSet<IpAddr>,
    pub(crate) link_up: bool,
    stalled_until: Option<Duration>,
    /// The whole host does not run: what arrives is lost, where a process alone finds it in its sockets.
    frozen: bool,
    /// Its clock gains so many millionths.
    pub(crate) skew_ppm: i64,
    /// What arrived during a stall and waits in the socket.
    waiting: Vec<Arrival>,
    /// Names of check scripts that fail now.
    pub(crate) failing: BTreeSet<String>,
}

/// Something on its way to a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Arrival {
    Packet { source: IpAddr, destination: IpAddr, ttl: u8, message: Vec<u8> },
    Script { name: String },
}

/// The wire and the hosts on it.
pub(crate) struct Network {
    pub(crate) nodes: Vec<Node>,
    pub(crate) now: Duration,
    origin: Instant,
    in_flight: BinaryHeap<Reverse<(Duration, u64, usize, Arrival)>>,
    sequence: u64,
    /// When the last packet of a directed pair arrives: a wire does not change their order.
    last: BTreeMap<(usize, usize), Duration>,
    /// Directed pairs that do not hear each other.
    pub(crate) cuts: BTreeSet<(usize, usize)>,
    pub(crate) random: Random,
    /// Lost packets in a thousand.
    pub(crate) loss: u64,
    /// Longest time on the wire.
    pub(crate) latency_max: Duration,
    pub(crate) observations: Vec<Observation>,
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            nodes: Vec::new(),
            now: Duration::ZERO,
            origin: vrrpd::clock::now(),
            in_flight: BinaryHeap::new(),
            sequence: 0,
            last: BTreeMap::new(),
            cuts: BTreeSet::new(),
            random: Random::new(seed),
            loss: 0,
            latency_max: Duration::from_micros(200),
            observations: Vec::new(),
        }
    }

    /// Adds a host that is not running yet.
    pub(crate) fn add(&mut self, name: &str, address: IpAddr, settings: Settings) -> usize {
        self.nodes.push(Node {
            name: name.to_owned(),
            address,
            settings,
            router: None,
            addresses: BTreeSet::new(),
            link_up: true,
            stalled_until: None,
            frozen: false,
            skew_ppm: 0,
            waiting: Vec::new(),
            failing: BTreeSet::new(),
        });
        self.nodes.len() - 1
    }

    pub(crate) fn router(&self, node: usize) -> Option<&Router> {
        self.nodes[node].router.as_ref()
    }

    /// States of a node's instances, by name; empty while it is not running.
    pub(crate) fn phases(&self, node: usize) -> BTreeMap<String, Phase> {
        let instances = self.router(node).into_iter().flat_map(Router::instances);
        instances.map(|instance| (instance.settings().name.clone(), Instance::phase(instance))).collect()
    }

    pub(crate) fn is_master(&self, node: usize) -> bool {
        self.phases(node).values().any(|phase| *phase == Phase::Master)
    }

    pub(crate) fn is_stalled(&self, node: usize) -> bool {
        self.nodes[node].stalled_until.is_some()
    }

    // ---- what happens to hosts

    pub(crate) fn start(&mut self, node: usize) {
        if self.nodes[node].router.is_some() {
            return;
        }
        self.nodes[node].router = Some(Router::new(self.nodes[node].settings.clone()));
        self.nodes[node].stalled_until = None;
        self.nodes[node].waiting.clear();
        let interface = self.interface(node);
        self.feed(node, Input::Interface(interface));
        self.feed(node, Input::Start);
    }

    pub(crate) fn stop(&mut self, node: usize) {
        self.feed(node, Input::Stop);
        self.nodes[node].router = None;
    }

    /// kill -9: its addresses stay on the interface.
    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node].router = None;
        self.observe(node, Seen::Killed);
    }

    pub(crate) fn set_link(&mut self, node: usize, up: bool) {
        self.nodes[node].link_up = up;
        let interface = self.interface(node);
        self.feed(node, Input::Interface(interface));
    }

    /// The process is not scheduled; packets wait in its sockets.
    pub(crate) fn stall(&mut self, node: usize, time: Duration) {
        self.nodes[node].stalled_until = Some(self.now + time);
        self.nodes[node].frozen = false;
    }

    /// The host is not scheduled, as a paused virtual machine; packets are lost.
    pub(crate) fn freeze(&mut self, node: usize, time: Duration) {
        self.stall(node, time);
        self.nodes[node].frozen = true;
    }

    pub(crate) fn reload(&mut self, node: usize, settings: Settings) {
        self.nodes[node].settings = settings.clone();
        self.feed(node, Input::Reload(settings));
    }

    pub(crate) fn settings(&self, node: usize) -> Settings {
        self.nodes[node].settings.clone()
    }

    /// Somebody else takes an address off the interface.
    pub(crate) fn take_address(&mut self, node: usize, address: IpAddr) {
        if self.nodes[node].addresses.remove(&address) {
            self.feed(node, Input::AddressVanished { interface: "eth0".to_owned(), address });
        }
    }

    fn interface(&self, node: usize) -> Interface {
        let Node { address, link_up, .. } = self.nodes[node];
        Interface { name: "eth0".to_owned(), index: ETH0, running: link_up, addresses: vec![address] }
    }

    // ---- time

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.next_event().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.step();
        }
        self.now = end;
    }

    fn next_event(&self) -> Option<Duration> {
        let arrivals = self.in_flight.peek().map(|Reverse((at, ..))| *at);
        let wake_ups = self.nodes.iter().filter_map(|node| node.stalled_until);
        let deadlines = (0..self.nodes.len()).filter_map(|node| self.deadline(node));
        arrivals.into_iter().chain(wake_ups).chain(deadlines).min()
    }

    fn deadline(&self, node: usize) -> Option<Duration> {
        let host = &self.nodes[node];
        if host.stalled_until.is_some() {
            return None;
        }
        let due = host.router.as_ref()?.next_deadline()?;
        let (local, rate) = (due.saturating_duration_since(self.origin), 1_000_000 + i128::from(host.skew_ppm));
        // Rounded up: a wake-up must not come before the deadline.
        let global = (i128::try_from(local.as_nanos()).unwrap() * 1_000_000 + rate - 1) / rate;
        Some(Duration::from_nanos(u64::try_from(global).unwrap()).max(self.now))
    }

    /// What a node's clock shows.
    fn local(&self, node: usize) -> Instant {
        let rate = 1_000_000 + i128::from(self.nodes[node].skew_ppm);
        let local = i128::try_from(self.now.as_nanos()).unwrap() * rate / 1_000_000;
        self.origin + Duration::from_nanos(u64::try_from(local).unwrap())
    }

    /// Packets before timers, as the daemon does it.
    fn step(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].stalled_until.is_some_and(|until| until <= self.now) {
                self.nodes[node].stalled_until = None;
                for arrival in std::mem::take(&mut self.nodes[node].waiting) {
                    self.deliver(node, arrival);
                }
            }
        }
        while let Some(Reverse((at, ..))) = self.in_flight.peek() {
            if *at > self.now {
                break;
            }
            if let Some(Reverse((_, _, node, arrival))) = self.in_flight.pop() {
                self.deliver(node, arrival);
            }
        }
        for node in 0..self.nodes.len() {
            if self.deadline(node).is_some_and(|due| due <= self.now) {
                self.feed(node, Input::Time);
            }
        }
    }

    fn deliver(&mut self, node: usize, arrival: Arrival) {
        if self.nodes[node].router.is_none() {
            return;
        }
        if self.is_stalled(node) {
            let lost = self.nodes[node].frozen && matches!(arrival, Arrival::Packet { .. });
            if !lost {
                self.nodes[node].waiting.push(arrival);
            }
            return;
        }
        match arrival {
            Arrival::Packet { .. } if !self.nodes[node].link_up => {}
            Arrival::Packet { source, destination, ttl, message } => {
                let datagram = Datagram { source, destination, ttl, header_len: 20, message: &message };
                self.feed(node, Input::Packet { interface: ETH0, datagram });
            }
            Arrival::Script { name } => {
                let status = i32::from(self.nodes[node].failing.contains(&name));
                self.feed(node, Input::ScriptFinished { script: name, outcome: Outcome::Exited(status) });
            }
        }
    }

    fn feed(&mut self, node: usize, input: Input<'_>) {
        let now = self.local(node);
        let mut outputs = Outputs::new();
        if let Some(router) = self.nodes[node].router.as_mut() {
            router.handle(now, input, &mut outputs);
        }
        for output in outputs {
            self.perform(node, output);
        }
    }

    fn perform(&mut self, node: usize, output: Output) {
        let seen = match output {
            Output::Advertise { advertisement, .. } => {
                let (vrid, priority) = (advertisement.message[1], advertisement.message[2]);
                let packet = Arrival::Packet {
                    source: advertisement.source,
                    destination: advertisement.destination,
                    ttl: advertisement.ttl,
                    message: advertisement.message,
                };
                self.transmit(node, advertisement.destination, &packet);
                Seen::Advert(vrid, priority)
            }
            Output::AddAddress { address, .. } => {
                if !self.nodes[node].addresses.insert(address.address) {
                    return;
                }
                Seen::Added(address.address)
            }
            Output::RemoveAddress { address, .. } => {
                if !self.nodes[node].addresses.remove(&address.address) {
                    return;
                }
                Seen::Removed(address.address)
            }
            Output::Announce { .. } => Seen::Garp,
            // The simulated hosts have no routing tables, and their scripts end by themselves.
            Output::TerminateScript(_)
            | Output::KillScript(_)
            | Output::AddRoute(_)
            | Output::RemoveRoute(_)
            | Output::AddRule(_)
            | Output::RemoveRule(_)
            | Output::AddStatic(_)
            | Output::RemoveStatic(_)
            | Output::Filter { .. } => return,
            Output::Notify(Notice { commands, .. }) => {
                for command in commands {
                    self.observe(node, Seen::Notify(command.to_string()));
                }
                return;
            }
            Output::RunScript { script, .. } => {
                self.schedule(SCRIPT_RUN, node, Arrival::Script { name: script });
                return;
            }
            Output::Changed { instance, phase } => Seen::State(instance, phase),
            Output::Log(_, line) => Seen::Log(line),
        };
        self.observe(node, seen);
    }

    fn observe(&mut self, node: usize, seen: Seen) {
        self.observations.push(Observation { at: self.now, node, seen });
    }

    fn transmit(&mut self, from: usize, destination: IpAddr, packet: &Arrival) {
        if !self.nodes[from].link_up {
            return;
        }
        for to in 0..self.nodes.len() {
            let meant = destination.is_multicast() || self.nodes[to].address == destination;
            if to == from || !meant || self.cuts.contains(&(from, to)) || self.random.below(1000) < self.loss {
                continue;
            }
            let spread = u64::try_from(self.latency_max.as_micros()).unwrap_or(u64::MAX);
            let latency = Duration::from_micros(1 + self.random.below(spread.max(1)));
            let last = self.last.entry((from, to)).or_default();
            *last = (self.now + latency).max(*last + Duration::from_nanos(1));
            let after = last.saturating_sub(self.now);
            self.schedule(after, to, packet.clone());
        }
    }

    fn schedule(&mut self, after: Duration, node: usize, arrival: Arrival) {
        self.sequence += 1;
        self.in_flight.push(Reverse((self.now + after, self.sequence, node, arrival)));
    }
}
