//! Random lives of small networks: `SEEDS=100000 cargo test -p vrrpd --test simulation` runs more of them,
//! `SEED=n` one of them. What must hold whatever happens:
//!
//! - a running router has the addresses exactly while it is master, and only a master advertises;
//! - once the network is whole again, one router is master within a bound, it is the best one unless nobody may preempt,
//!   and nothing changes after that;
//! - a master that dies is replaced within the down interval of the next best, one that stops within its skew time.

use crate::network::{Network, Seen};
use proptest::prelude::*;
use std::net::IpAddr;
use std::time::Duration;
use vrrpd::notify;
use vrrpd::packet::{Datagram, Version};
use vrrpd::router::interface::Interface;
use vrrpd::router::{Input, Instance, Router, Settings};
use vrrpd::vrrp::settings::VirtualAddress;
use vrrpd::vrrp::timer::{master_down_interval, skew_time};
use vrrpd::vrrp::{Phase, Settings as Vrrp};

const SEEDS: u64 = 500;
const VIP: [u8; 4] = [10, 0, 0, 99];
/// The wire, and what rounding of timers adds.
const EPSILON: Duration = Duration::from_millis(5);

/// What the routers of one run have in common.
struct Shape {
    version: Version,
    interval: Duration,
    preempt: bool,
    priorities: Vec<u8>,
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
        Self { version, interval, preempt, priorities }
    }

    fn settings(&self, node: usize) -> Settings {
        let mut vrrp = Vrrp::new("VI_1", "eth0", 51);
        vrrp.version = self.version;
        vrrp.advert_interval = self.interval;
        vrrp.preempt = self.preempt;
        vrrp.priority = self.priorities[node];
        vrrp.addresses = vec![VirtualAddress::new(IpAddr::from(VIP), 24)];
        let instance = Instance { vrrp, notify: notify::Settings::default() };
        Settings { instances: vec![instance], ..Settings::default() }
    }

    fn down(&self, priority: u8) -> Duration {
        master_down_interval(self.version, priority, self.interval, 3)
    }

    /// The best candidate: priority, then address, which grows with the index.
    fn best(&self) -> usize {
        (0..self.priorities.len()).max_by_key(|&node| (self.priorities[node], node)).unwrap()
    }
}

fn build(seed: u64) -> (Network, Shape) {
    let mut network = Network::new(seed);
    let shape = Shape::random(&mut network);
    // The wire must be much faster than the protocol, or the protocol cannot work.
    network.latency_max = Duration::from_micros(1 + network.random.below(500));
    for node in 0..shape.priorities.len() {
        let address = IpAddr::from([10, 0, 0, u8::try_from(node + 1).unwrap()]);
        network.add(&format!("n{node}"), address, shape.settings(node));
    }
    (network, shape)
}

fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SEEDS").unwrap_or(SEEDS)).collect(),
    }
}

/// Runs `time` and checks the local rules after every few steps of it.
fn run_checked(network: &mut Network, time: Duration, interval: Duration, seed: u64) {
    let end = network.now + time;
    while network.now < end {
        network.run((interval / 7).min(end.saturating_sub(network.now)));
        check_local_rules(network, seed);
    }
}

fn check_local_rules(network: &mut Network, seed: u64) {
    for node in 0..network.nodes.len() {
        if network.router(node).is_some() {
            let holds = !network.nodes[node].addresses.is_empty();
            assert_eq!(holds, network.is_master(node), "seed {seed}: node {node} at {:?}", network.now);
        }
    }
}

/// Only masters advertise, and whoever resigns was one.
fn check_transcript(network: &Network, seed: u64) {
    let mut phases = vec![Phase::Init; network.nodes.len()];
    for observation in &network.observations {
        match observation.seen {
            Seen::State(phase) => phases[observation.node] = phase,
            Seen::Advert(priority) => {
                let master = phases[observation.node] == Phase::Master;
                assert!(master, "seed {seed}: advert {priority} of a non-master: {observation:?}");
            }
            Seen::Added(_) | Seen::Removed(_) | Seen::Garp | Seen::Notify(_) | Seen::Log(_) => {}
        }
    }
}

fn disturb(network: &mut Network, interval: Duration) {
    let nodes = u64::try_from(network.nodes.len()).unwrap();
    let pick = |network: &mut Network| usize::try_from(network.random.below(nodes)).unwrap();
    let node = pick(network);
    match network.random.below(10) {
        0 => network.stop(node),
        1 => network.kill(node),
        2 | 3 => network.start(node),
        4 => {
            let other = pick(network);
            network.cuts.insert((node, other));
        }
        5 => network.cuts.clear(),
        6 if network.router(node).is_some() && !network.is_stalled(node) => {
            let intervals = u32::try_from(1 + network.random.below(8)).unwrap();
            network.stall(node, interval * intervals);
        }
        6 | 7 => {
            let up = !network.nodes[node].link_up;
            network.set_link(node, up);
        }
        8 => network.loss = network.random.below(400),
        _ => network.take_address(node, IpAddr::from(VIP)),
    }
}

fn repair(network: &mut Network) {
    network.cuts.clear();
    network.loss = 0;
    for node in 0..network.nodes.len() {
        network.start(node);
        if !network.nodes[node].link_up {
            network.set_link(node, true);
        }
    }
}

fn masters(network: &Network) -> Vec<usize> {
    (0..network.nodes.len()).filter(|&node| network.is_master(node)).collect()
}

#[test]
fn whatever_happens_one_master_remains() {
    for seed in seeds() {
        let (mut network, shape) = build(seed);
        for node in 0..shape.priorities.len() {
            network.start(node);
        }
        for _ in 0..network.random.below(30) {
            // A stalled process cannot be told anything; what happens to it waits.
            disturb(&mut network, shape.interval);
            let pause = shape.interval * u32::try_from(network.random.below(6)).unwrap();
            run_checked(&mut network, pause, shape.interval, seed);
        }
        while (0..network.nodes.len()).any(|node| network.is_stalled(node)) {
            network.run(shape.interval);
        }
        repair(&mut network);
        // Twice the longest down interval: a stalled backup may have to wait a second time.
        run_checked(&mut network, shape.down(1) * 2 + shape.interval, shape.interval, seed);
        let settled = masters(&network);
        assert_eq!(settled.len(), 1, "seed {seed}: masters {settled:?} of {:?}", shape.priorities);
        let best = shape.priorities[shape.best()];
        if shape.preempt {
            assert_eq!(shape.priorities[settled[0]], best, "seed {seed}: {settled:?} of {:?}", shape.priorities);
        }
        for _ in 0..40 {
            run_checked(&mut network, shape.interval / 4, shape.interval, seed);
            assert_eq!(masters(&network), settled, "seed {seed}: not stable at {:?}", network.now);
        }
        check_transcript(&network, seed);
    }
}

#[test]
fn a_lost_master_is_replaced_in_time() {
    for seed in seeds() {
        let (mut network, shape) = build(seed);
        for node in 0..shape.priorities.len() {
            network.start(node);
        }
        network.run(shape.down(1) * 2);
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
        let rest = shape.priorities.iter().enumerate().filter(|(node, _)| *node != first);
        let heir = rest.max_by_key(|(_, priority)| **priority).map(|(_, priority)| *priority).unwrap();
        let bound = if clean { skew_time(shape.version, heir, shape.interval) } else { shape.down(heir) };
        network.run(bound + EPSILON);
        let now = masters(&network);
        assert!(!now.is_empty(), "seed {seed}: nobody took over within {bound:?} (clean: {clean})");
        // Equals may take over in the same instant; one advert later one of them has yielded.
        network.run(shape.interval + EPSILON);
        assert_eq!(masters(&network).len(), 1, "seed {seed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Any bytes, to a backup and to a master: no panic, and no deadline in the past that would spin the loop.
    #[test]
    fn any_packet_is_survived(
        packets in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..64), any::<u8>(), any::<bool>()), 1..20),
        version3 in any::<bool>(),
        wait in 0_u64..8000,
    ) {
        let shape = Shape {
            version: if version3 { Version::V3 } else { Version::V2 },
            interval: Duration::from_secs(1),
            preempt: true,
            priorities: vec![100],
        };
        let mut router = Router::new(shape.settings(0));
        let start = vrrpd::clock::now();
        let mut out = Vec::new();
        let interface =
            Interface { name: "eth0".to_owned(), index: 2, running: true, addresses: vec![IpAddr::from([10, 0, 0, 1])] };
        router.handle(start, Input::Interface(interface), &mut out);
        router.handle(start, Input::Start, &mut out);
        let mut now = start;
        for (mut message, last, aligned) in packets {
            // Most random bytes are for nobody: make half of them ours.
            if aligned && message.len() >= 8 {
                message[0] = if version3 { 0x31 } else { 0x21 };
                message[1] = 51;
            }
            now += Duration::from_millis(wait);
            while router.next_deadline().is_some_and(|due| due <= now) {
                let due = router.next_deadline();
                router.handle(now, Input::Time, &mut out);
                prop_assert!(router.next_deadline() > due, "the timer does not advance");
            }
            let source = IpAddr::from([10, 0, 0, last]);
            let destination = IpAddr::from([224, 0, 0, 18]);
            let datagram = Datagram { source, destination, ttl: 255, header_len: 20, message: &message };
            router.handle(now, Input::Packet { interface: 2, datagram }, &mut out);
            prop_assert!(router.next_deadline().is_none_or(|due| due > now), "a packet made a timer due at once");
        }
    }
}
