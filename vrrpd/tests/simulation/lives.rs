//! Random lives of small networks: `SEEDS=100000 cargo test --release -p vrrpd --test simulation` runs so many of
//! them, `SEED=n` one of them. A failure names its seed. What must hold whatever happens:
//!
//! - S1: once the network is whole, one router is master within a bound, and stays it;
//! - S2: it is the one of the best effective priority, where preemption is allowed;
//! - S5: a running router has the addresses exactly while it is master;
//! - S6: who leaves MASTER without having heard of a better one says so with priority 0;
//! - S7: nobody but a master advertises;
//! - S9: the members of a sync group are all master or all not.
//!
//! S3 and S4 are in `rules`, S8 in `packets`, S10 in `mistakes`.

use crate::network::{Network, Seen};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;
use vrrpd::command::Command;
use vrrpd::packet::Version;
use vrrpd::router::{Group, Instance, Settings};
use vrrpd::track::{self, Reference, References};
use vrrpd::vrrp::settings::VirtualAddress;
use vrrpd::vrrp::timer::{master_down_interval, skew_time};
use vrrpd::vrrp::{Phase, Settings as Vrrp};
use vrrpd::{notify, sync_group};

const SEEDS: u64 = 500;
pub(crate) const VIP: [u8; 4] = [10, 0, 0, 99];
/// The wire, and what rounding of timers and skew of clocks add.
const EPSILON: Duration = Duration::from_millis(10);
/// Period of the check script.
const CHECK: Duration = Duration::from_secs(1);

/// What the routers of one run have in common, and what not.
pub(crate) struct Shape {
    pub(crate) version: Version,
    pub(crate) interval: Duration,
    pub(crate) preempt: bool,
    pub(crate) priorities: Vec<u8>,
    /// Two instances in a sync group.
    pub(crate) grouped: bool,
    /// Weight of the check script, if there is one.
    pub(crate) check: Option<i16>,
}

impl Shape {
    fn random(network: &mut Network) -> Self {
        let nodes = 2 + network.random.below(3);
        let version = if network.random.below(2) == 0 { Version::V2 } else { Version::V3 };
        let interval = match version {
            Version::V2 => Duration::from_secs(1 + network.random.below(2)),
            Version::V3 => Duration::from_millis(10 * (1 + network.random.below(100))),
        };
        let preempt = network.random.below(4) != 0;
        let priorities = (0..nodes).map(|_| u8::try_from(1 + network.random.below(254)).unwrap()).collect();
        let grouped = network.random.below(3) == 0;
        let weights = [None, Some(0), Some(-60), Some(30)];
        let check = weights[usize::try_from(network.random.below(4)).unwrap()];
        Self { version, interval, preempt, priorities, grouped, check }
    }

    pub(crate) fn settings(&self, node: usize) -> Settings {
        let mut settings = Settings { instances: vec![self.instance(node, "VI_1", 51, VIP)], ..Settings::default() };
        if self.grouped {
            let [a, b, c, d] = VIP;
            settings.instances.push(self.instance(node, "VI_2", 52, [a, b, c, d - 1]));
            settings.groups.push(Group {
                sync: sync_group::Settings {
                    name: "G".to_owned(),
                    members: vec!["VI_1".to_owned(), "VI_2".to_owned()],
                },
                notify: notify::Settings::default(),
                track: References::default(),
            });
        }
        if let Some(weight) = self.check {
            settings.scripts.push(track::script::Settings {
                name: "chk".to_owned(),
                command: Command::exec(["chk"]),
                interval: CHECK,
                timeout: CHECK,
                weight,
                reverse: false,
                rise: 1,
                fall: 1,
                init_fail: false,
            });
        }
        settings
    }

    fn instance(&self, node: usize, name: &str, vrid: u8, vip: [u8; 4]) -> Instance {
        let mut vrrp = Vrrp::new(name, "eth0", vrid);
        vrrp.version = self.version;
        vrrp.advert_interval = self.interval;
        vrrp.preempt = self.preempt;
        vrrp.priority = self.priorities[node];
        vrrp.addresses = vec![VirtualAddress::new(IpAddr::from(vip), 24)];
        if let Some(weight) = self.check {
            vrrp.track.scripts.push(Reference { name: "chk".to_owned(), weight, reverse: false });
        }
        Instance { vrrp, notify: notify::Settings::default() }
    }

    pub(crate) fn down(&self, priority: u8) -> Duration {
        master_down_interval(self.version, priority, self.interval, 3)
    }

    /// The priority while nothing fails.
    fn priority(&self, node: usize) -> u8 {
        track::effective_priority(self.priorities[node], self.check.map_or(0, |weight| i32::from(weight.max(0))))
    }
}

pub(crate) fn build(seed: u64) -> (Network, Shape) {
    let mut network = Network::new(seed);
    let shape = Shape::random(&mut network);
    // The wire must be much faster than the protocol, or the protocol cannot work.
    network.latency_max = Duration::from_micros(1 + network.random.below(500));
    for node in 0..shape.priorities.len() {
        let address = IpAddr::from([10, 0, 0, u8::try_from(node + 1).unwrap()]);
        network.add(&format!("n{node}"), address, shape.settings(node));
        network.nodes[node].skew_ppm = i64::try_from(network.random.below(401)).unwrap() - 200;
    }
    (network, shape)
}

pub(crate) fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SEEDS").unwrap_or(SEEDS)).collect(),
    }
}

/// Runs `time` and checks the local rules after every few steps of it.
pub(crate) fn run_checked(network: &mut Network, time: Duration, interval: Duration, seed: u64) {
    let end = network.now + time;
    while network.now < end {
        network.run((interval / 7).min(end.saturating_sub(network.now)));
        check_local_rules(network, seed);
    }
}

/// S5 and S9.
fn check_local_rules(network: &mut Network, seed: u64) {
    for node in 0..network.nodes.len() {
        let Some(router) = network.router(node) else { continue };
        let desired: BTreeSet<IpAddr> = router.desired_addresses().map(|(_, vip)| vip.address).collect();
        assert_eq!(network.nodes[node].addresses, desired, "S5, seed {seed}: node {node} at {:?}", network.now);
        let phases: BTreeSet<bool> = network.phases(node).values().map(|phase| *phase == Phase::Master).collect();
        assert!(phases.len() <= 1, "S9, seed {seed}: node {node} is half a master at {:?}", network.now);
    }
}

/// S6 and S7, from everything that was seen.
fn check_transcript(network: &Network, seed: u64) {
    let vrid = |name: &str| if name == "VI_1" { 51 } else { 52 };
    let mut masters: BTreeMap<(usize, u8), bool> = BTreeMap::new();
    let mut resigned: BTreeSet<(usize, u8)> = BTreeSet::new();
    for observation in &network.observations {
        let node = observation.node;
        match &observation.seen {
            Seen::Killed => masters.retain(|(of, _), _| *of != node),
            Seen::State(name, phase) => {
                let place = (node, vrid(name));
                let was = masters.insert(place, *phase == Phase::Master).unwrap_or(false);
                let unasked = matches!(phase, Phase::Fault | Phase::Init);
                let silent = was && unasked && !resigned.contains(&place);
                assert!(!silent, "S6, seed {seed}: left without priority 0: {observation:?}");
                resigned.remove(&place);
            }
            Seen::Advert(vrid, priority) => {
                let master = masters.get(&(node, *vrid)).copied().unwrap_or(false);
                assert!(master, "S7, seed {seed}: advert {priority} of a non-master: {observation:?}");
                if *priority == 0 {
                    resigned.insert((node, *vrid));
                }
            }
            Seen::Added(_) | Seen::Removed(_) | Seen::Garp | Seen::Notify(_) | Seen::Log(_) => {}
        }
    }
}

fn disturb(network: &mut Network, shape: &mut Shape) {
    let nodes = u64::try_from(network.nodes.len()).unwrap();
    let pick = |network: &mut Network| usize::try_from(network.random.below(nodes)).unwrap();
    let node = pick(network);
    match network.random.below(14) {
        0 => network.stop(node),
        1 => network.kill(node),
        2 | 3 => network.start(node),
        4 => {
            let other = pick(network);
            network.cuts.insert((node, other));
        }
        5 => network.cuts.clear(),
        6 | 7 if network.router(node).is_some() && !network.is_stalled(node) => {
            let time = shape.interval * u32::try_from(1 + network.random.below(8)).unwrap();
            if network.random.below(2) == 0 {
                network.stall(node, time);
            } else {
                network.freeze(node, time);
            }
        }
        6..=8 => {
            let up = !network.nodes[node].link_up;
            network.set_link(node, up);
        }
        9 => network.loss = network.random.below(400),
        10 if !network.nodes[node].failing.insert("chk".to_owned()) => {
            network.nodes[node].failing.remove("chk");
        }
        11 => {
            shape.priorities[node] = u8::try_from(1 + network.random.below(254)).unwrap();
            network.reload(node, shape.settings(node));
        }
        _ => network.take_address(node, IpAddr::from(VIP)),
    }
}

fn repair(network: &mut Network) {
    network.cuts.clear();
    network.loss = 0;
    for node in 0..network.nodes.len() {
        network.nodes[node].failing.clear();
        network.start(node);
        if !network.nodes[node].link_up {
            network.set_link(node, true);
        }
    }
}

pub(crate) fn masters(network: &Network) -> Vec<usize> {
    (0..network.nodes.len()).filter(|&node| network.is_master(node)).collect()
}

#[test]
fn s1_s2_s5_s6_s7_s9_whatever_happens_one_master_remains() {
    for seed in seeds() {
        let (mut network, mut shape) = build(seed);
        for node in 0..shape.priorities.len() {
            network.start(node);
        }
        for _ in 0..network.random.below(30) {
            disturb(&mut network, &mut shape);
            let pause = shape.interval * u32::try_from(network.random.below(6)).unwrap();
            run_checked(&mut network, pause, shape.interval, seed);
        }
        while (0..network.nodes.len()).any(|node| network.is_stalled(node)) {
            network.run(shape.interval);
        }
        repair(&mut network);
        // The checks have to pass again. Then twice the longest down interval: a stalled backup may have to wait a
        // second time, a group for its other member.
        let settle = CHECK * 2 + shape.down(1) * 2 + shape.interval;
        run_checked(&mut network, settle, shape.interval, seed);
        let settled = masters(&network);
        assert_eq!(settled.len(), 1, "S1, seed {seed}: masters {settled:?} of {:?}", shape.priorities);
        if shape.preempt {
            let best = (0..shape.priorities.len()).map(|node| shape.priority(node)).max();
            assert_eq!(
                Some(shape.priority(settled[0])),
                best,
                "S2, seed {seed}: {settled:?} of {:?}",
                shape.priorities
            );
        }
        for _ in 0..40 {
            run_checked(&mut network, shape.interval / 4, shape.interval, seed);
            assert_eq!(masters(&network), settled, "S1, seed {seed}: not stable at {:?}", network.now);
        }
        check_transcript(&network, seed);
    }
}

#[test]
fn s1_a_lost_master_is_replaced_in_time() {
    for seed in seeds() {
        let (mut network, shape) = build(seed);
        for node in 0..shape.priorities.len() {
            network.start(node);
        }
        network.run(CHECK * 2 + shape.down(1) * 2);
        let first = masters(&network)[0];
        let clean = network.random.below(2) == 0;
        // Not always in step with the adverts.
        let phase = shape.interval * u32::try_from(network.random.below(100)).unwrap() / 100;
        network.run(phase);
        if clean {
            network.stop(first);
        } else {
            network.kill(first);
        }
        let heir = (0..shape.priorities.len()).filter(|node| *node != first).map(|node| shape.priority(node)).max();
        let heir = heir.unwrap();
        let bound = if clean { skew_time(shape.version, heir, shape.interval) } else { shape.down(heir) };
        network.run(bound + EPSILON);
        let now = masters(&network);
        assert!(!now.is_empty(), "S1, seed {seed}: nobody took over within {bound:?} (clean: {clean})");
        // Equals may take over in the same instant; one advert later one of them has yielded.
        network.run(shape.interval + EPSILON);
        assert_eq!(masters(&network).len(), 1, "S1, seed {seed}");
    }
}
