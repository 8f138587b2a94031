//! `hash-type consistent`: servers own points on a ring of all hashes; a key belongs to the nearest point.
//!
//! A server that leaves gives its keys to its neighbours and all other keys stay where they are.

use super::Picked;
use super::farm::Farm;
use super::hash::{HashKey, mix};
use super::server_state::{WEIGHT_MAX, WEIGHT_SCALE};

/// Points of different servers start so far apart before they are mixed.
const POINTS_PER_ID: u32 = WEIGHT_MAX * WEIGHT_SCALE;

/// The ring of one worker.
#[derive(Debug, Default)]
pub(super) struct Ring {
    weights: Vec<u32>,
    points: Vec<(u32, usize)>,
    stale: bool,
}

impl Ring {
    pub(super) fn new(servers: usize) -> Self {
        Self { weights: vec![0; servers], ..Self::default() }
    }

    /// The server's weight is now this; 0 takes it out.
    pub(super) fn set(&mut self, index: usize, weight: u32) {
        if let Some(known) = self.weights.get_mut(index) {
            self.stale |= *known != weight;
            *known = weight;
        }
    }

    fn rebuild(&mut self, farm: &Farm) {
        self.stale = false;
        self.points.clear();
        for (index, (server, &weight)) in farm.servers().iter().zip(&self.weights).enumerate() {
            let base = server_key(farm.settings().hash_key, server.settings());
            let first = base.wrapping_mul(POINTS_PER_ID);
            self.points.extend((0..weight).map(|point| (mix(first.wrapping_add(point)), index)));
        }
        self.points.sort_by_key(|&(position, _)| position);
    }

    /// Takes a slot of the server whose point is nearest, or says that one must wait for it.
    pub(super) fn pick(&mut self, hash: u32, avoid: Option<usize>, farm: &Farm) -> Picked {
        let Some(index) = self.at(hash, avoid, farm) else { return Picked::Nobody };
        if farm.try_take(index) { Picked::Taken(index) } else { Picked::Full(index) }
    }

    /// The server for this hash. With a `hash-balance-factor`, servers above their share are passed over clockwise.
    fn at(&mut self, hash: u32, avoid: Option<usize>, farm: &Farm) -> Option<usize> {
        if self.stale {
            self.rebuild(farm);
        }
        let count = self.points.len();
        let after = self.points.partition_point(|&(position, _)| position < hash) % count.max(1);
        let before = (after + count.max(1) - 1) % count.max(1);
        let &(next_position, next) = self.points.get(after)?;
        let &(previous_position, previous) = self.points.get(before)?;
        let (to_next, to_previous) = (next_position.wrapping_sub(hash), hash.wrapping_sub(previous_position));
        let (start, nearest) = if to_previous <= to_next { (before, previous) } else { (after, next) };
        let factor = farm.settings().balance_factor;
        if factor == 0 && avoid != Some(nearest) {
            return Some(nearest);
        }
        let share = Share::of(farm, &self.weights, factor);
        let acceptable = |index: &usize| avoid != Some(*index) && share.allows(farm, &self.weights, *index);
        let ring = (0..count).filter_map(|step| self.points.get((start + step) % count).map(|&(_, index)| index));
        Some(ring.into_iter().find(acceptable).unwrap_or(nearest))
    }
}

/// What `hash-balance-factor` allows: a percentage of the average load for the weight.
struct Share {
    factor: u64,
    requests: u64,
    weights: u64,
}

impl Share {
    fn of(farm: &Farm, weights: &[u32], factor: u32) -> Self {
        let requests = farm.servers().iter().map(|server| u64::from(server.served() + server.queued())).sum();
        Self { factor: factor.into(), requests, weights: weights.iter().map(|&weight| u64::from(weight)).sum() }
    }

    /// Whether the server would stay within its share with one request more.
    fn allows(&self, farm: &Farm, weights: &[u32], index: usize) -> bool {
        if self.factor == 0 {
            return true;
        }
        let (Some(server), Some(&weight)) = (farm.servers().get(index), weights.get(index)) else { return false };
        let allowed = ((self.requests + 1) * u64::from(weight) * self.factor).div_ceil(self.weights.max(1) * 100);
        u64::from(server.served() + server.queued()) < allowed
    }
}

fn server_key(key: HashKey, settings: &super::server_state::ServerSettings) -> u32 {
    match (key, settings.address) {
        (HashKey::Id, _) | (_, None) => settings.id,
        (HashKey::Addr, Some(address)) => super::hash::of_address(address.ip()),
        (HashKey::AddrPort, Some(address)) => super::hash::of_address(address.ip()) ^ mix(u32::from(address.port())),
    }
}
