//! S3: with `nopreempt` the master changes only for a reason, and a stall is one only when somebody took over meanwhile.
//! S4: among equals the higher address remains.

use crate::lives::{Shape, VIP, build, masters, seeds};
use crate::network::{Network, Seen};
use std::net::IpAddr;
use std::time::Duration;

/// A network of `nopreempt` routers whose first node is master, and which has not been disturbed.
fn calm(seed: u64) -> (Network, Shape) {
    let (mut network, mut shape) = build(seed);
    shape.preempt = false;
    shape.check = None;
    for node in 0..shape.priorities.len() {
        network.reload(node, shape.settings(node));
    }
    network.start(0);
    network.run(shape.down(1) + shape.interval);
    assert_eq!(masters(&network), [0], "seed {seed}");
    (network, shape)
}

fn removals(network: &Network, node: usize) -> usize {
    let removed = |seen: &Seen| matches!(seen, Seen::Removed(address) if *address == IpAddr::from(VIP));
    network.observations.iter().filter(|seen| seen.node == node && removed(&seen.seen)).count()
}

#[test]
fn s3_whoever_comes_later_waits() {
    for seed in seeds() {
        let (mut network, shape) = calm(seed);
        for node in 1..shape.priorities.len() {
            network.start(node);
            let pause = shape.interval * u32::try_from(network.random.below(5)).unwrap();
            network.run(pause);
        }
        // A stall that no peer can have noticed.
        network.stall(0, shape.interval * 2 / 3);
        for _ in 0..60 {
            network.run(shape.interval / 4);
            assert_eq!(masters(&network), [0], "S3, seed {seed} at {:?}", network.now);
        }
    }
}

/// The master does not run for some time, as a process or as a whole host. If a peer took over, it keeps what it has,
/// and the old master does not say a word against it; if nobody did, nobody loses the address.
#[test]
fn s3_a_stalled_master_neither_fights_nor_gives_up_without_need() {
    for seed in seeds() {
        let (mut network, shape) = calm(seed);
        let alone = network.random.below(3) == 0;
        if !alone {
            (1..shape.priorities.len()).for_each(|node| network.start(node));
        }
        network.run(shape.interval * 2);
        let hundredths = u32::try_from(50 + network.random.below(950)).unwrap();
        let time = shape.interval * hundredths / 100;
        if network.random.below(2) == 0 {
            network.stall(0, time);
        } else {
            network.freeze(0, time);
        }
        let before = network.observations.len();
        network.run(time);
        // A successor of before the end of the stall has the addresses for good.
        let successors: Vec<usize> = masters(&network).into_iter().filter(|node| *node != 0).collect();
        network.run(shape.interval * 3 / 2);
        if !successors.is_empty() {
            // Giving up (priority 0), as the other member of its group does, is no word against anybody.
            let claim = |seen: &Seen| matches!(seen, Seen::Advert(_, 1..) | Seen::Garp);
            let words =
                network.observations[before..].iter().filter(|seen| seen.node == 0 && claim(&seen.seen)).count();
            assert_eq!(words, 0, "S3, seed {seed}: the stalled master spoke against its successor after {time:?}");
        }
        network.run(shape.down(1) + shape.interval);
        let settled = masters(&network);
        assert_eq!(settled.len(), 1, "S1, seed {seed}: {settled:?} after {time:?}");
        if let [successor] = successors[..] {
            assert_eq!(settled, [successor], "S3, seed {seed}: taken back after {time:?}");
        }
        if alone {
            assert_eq!((settled, removals(&network, 0)), (vec![0], 0), "seed {seed}: given up without need");
        }
    }
}

#[test]
fn s4_among_equals_the_higher_address_remains() {
    for seed in seeds() {
        let (mut network, mut shape) = build(seed);
        let priority = shape.priorities[0];
        shape.priorities.fill(priority);
        shape.check = None;
        let nodes = shape.priorities.len();
        for node in 0..nodes {
            network.reload(node, shape.settings(node));
            network.start(node);
        }
        for a in 0..nodes {
            network.cuts.extend((0..nodes).map(|b| (a, b)));
        }
        network.run(shape.down(1) + shape.interval);
        assert_eq!(masters(&network).len(), nodes, "seed {seed}: each is alone");
        network.cuts.clear();
        network.run(shape.interval + Duration::from_millis(10));
        assert_eq!(masters(&network), [nodes - 1], "S4, seed {seed}");
    }
}
