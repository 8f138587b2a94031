//! `hash-type consistent`: servers own points on a ring of all hashes; a key belongs to the nearest point.
//!
//! A server that leaves gives its keys to its neighbours and all other keys stay where they are.

use super::Picked;
use super::farm::Farm;
use super::hash::{Affinity, HashKey, mix};
use super::server_state::{WEIGHT_MAX, WEIGHT_SCALE};

/// Points of different servers start so far apart before they are mixed.
const POINTS_PER_ID: u32 = WEIGHT_MAX * WEIGHT_SCALE;

/// The ring of one worker.
#[derive(Debug, Default)]
pub(super) struct Ring {
    weights: Vec<u32>,
    /// The weights of all servers before each one, and of all at the end.
    sums: Vec<u64>,
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
        let mut sum = 0;
        self.sums.clear();
        self.sums.push(sum);
        self.sums.extend(self.weights.iter().map(|&weight| {
            sum += u64::from(weight);
            sum
        }));
        for (index, (server, &weight)) in farm.servers().iter().zip(&self.weights).enumerate() {
            let base = server_key(server);
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
        let (factor, affinity) = (farm.settings().balance_factor, farm.settings().affinity);
        if factor == 0 && avoid != Some(nearest) && !is_busy(farm, affinity, nearest) {
            return Some(nearest);
        }
        let slots = slots(farm, factor);
        let acceptable = |index: &usize| {
            avoid != Some(*index) && self.has_room(farm, slots, *index) && !is_busy(farm, affinity, *index)
        };
        let mut ring = (0..count).filter_map(|step| self.points.get((start + step) % count).map(|&(_, index)| index));
        ring.find(acceptable).or(match affinity {
            Affinity::Always => Some(nearest),
            // Where all are busy, it waits for the one that was asked last.
            Affinity::MaxConn | Affinity::MaxQueue => {
                self.points.get((start + count - 1) % count).map(|&(_, index)| index)
            }
        })
    }

    /// Whether a server has not used up its share of the slots. Shares are whole numbers that add up to all slots; every
    /// server has one at least.
    fn has_room(&self, farm: &Farm, slots: Option<u64>, index: usize) -> bool {
        let Some(slots) = slots else { return true };
        let all = self.sums.last().copied().unwrap_or(0).max(1);
        let upto = |rank: usize| self.sums.get(rank).map_or(0, |sum| slots * sum / all);
        let share = (upto(index + 1) - upto(index)).max(1);
        farm.servers().get(index).is_some_and(|server| u64::from(server.served()) < share)
    }
}

/// `hash-balance-factor`: how many requests all servers together may have with one more; none without a factor.
fn slots(farm: &Farm, factor: u32) -> Option<u64> {
    let requests: u64 = farm.servers().iter().map(|server| u64::from(server.served())).sum();
    (factor != 0).then(|| ((requests + 1) * u64::from(factor)).div_ceil(100))
}

/// Whether `hash-preserve-affinity` passes a server over.
fn is_busy(farm: &Farm, affinity: Affinity, index: usize) -> bool {
    let Some(server) = farm.servers().get(index) else { return false };
    let (limit, maxqueue) = (farm.limit(index), server.settings().maxqueue);
    match affinity {
        Affinity::Always => false,
        Affinity::MaxConn => limit != 0 && server.served() >= limit,
        Affinity::MaxQueue => limit != 0 && maxqueue != 0 && server.queued() >= maxqueue,
    }
}

fn server_key(server: &super::server_state::ServerState) -> u32 {
    match (server.settings().hash_key, server.location().get().socket()) {
        (HashKey::Id, _) | (_, None) => server.settings().id,
        (HashKey::Addr, Some(address)) => super::hash::of_address(address.ip()),
        (HashKey::AddrPort, Some(address)) => super::hash::of_address(address.ip()) ^ mix(u32::from(address.port())),
    }
}
