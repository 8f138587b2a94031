//! `balance leastconn`: the server with the fewest requests for its weight, equals in turn.
//!
//! Loads are shared by all workers, the order is each worker's own. A worker knows at once what it does itself; what
//! the others do it learns by looking at a few servers anew at every choice, and at the chosen one always.

use std::collections::BTreeSet;

use super::farm::Farm;
use super::server_state::{WEIGHT_MAX, WEIGHT_SCALE};
use super::{Picked, Request};

/// Servers looked at anew at every choice. Up to so many servers, the order is exact whatever others do.
const REFRESHED: usize = 4;

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    weight: u32,
    load: u64,
    ticket: u64,
}

/// The order of one worker.
#[derive(Debug, Default)]
pub(super) struct LeastConn {
    places: Vec<Place>,
    order: BTreeSet<(u64, u64, usize)>,
    tickets: u64,
    /// The next server to look at anew.
    cursor: usize,
}

impl LeastConn {
    pub(super) fn new(servers: usize) -> Self {
        Self { places: vec![Place::default(); servers], ..Self::default() }
    }

    /// The server's weight is now this; 0 takes it out.
    pub(super) fn set(&mut self, index: usize, weight: u32, farm: &Farm) {
        let Some(place) = self.places.get_mut(index) else { return };
        if place.weight != 0 {
            self.order.remove(&(place.load, place.ticket, index));
        }
        place.weight = weight;
        if weight != 0 {
            self.tickets += 1;
            place.ticket = self.tickets;
            place.load = load(farm, index, weight);
            self.order.insert((place.load, place.ticket, index));
        }
    }

    /// The server's load may have changed.
    pub(super) fn refresh(&mut self, index: usize, farm: &Farm) {
        let Some(place) = self.places.get_mut(index) else { return };
        if place.weight == 0 {
            return;
        }
        let now = load(farm, index, place.weight);
        if now != place.load {
            self.order.remove(&(place.load, place.ticket, index));
            self.tickets += 1;
            place.load = now;
            place.ticket = self.tickets;
            self.order.insert((now, place.ticket, index));
        }
    }

    pub(super) fn pick(&mut self, request: &Request, farm: &Farm) -> Picked {
        for _ in 0..REFRESHED.min(self.places.len()) {
            self.cursor = (self.cursor + 1) % self.places.len();
            self.refresh(self.cursor, farm);
        }
        self.settle_first(farm);
        let nobody = self.order.is_empty();
        let candidates = self.order.iter().map(|&(_, _, index)| index);
        let taken = candidates
            .filter(|&index| request.avoid != Some(index))
            .find(|&index| farm.try_take(index))
            .or_else(|| request.avoid.filter(|&index| self.is_member(index) && farm.try_take(index)));
        match taken {
            Some(index) => {
                self.refresh(index, farm);
                Picked::Taken(index)
            }
            None if nobody => Picked::Nobody,
            None => Picked::AllFull,
        }
    }

    fn is_member(&self, index: usize) -> bool {
        self.places.get(index).is_some_and(|place| place.weight != 0)
    }

    /// Looks at the first one until it really is the first, once around at most.
    fn settle_first(&mut self, farm: &Farm) {
        for _ in 0..self.order.len() {
            let Some(&first) = self.order.first() else { return };
            self.refresh(first.2, farm);
            if self.order.first() == Some(&first) {
                return;
            }
        }
    }
}

/// Requests of a server in relation to its weight; an idle server is as good as any other idle one.
fn load(farm: &Farm, index: usize, weight: u32) -> u64 {
    let Some(server) = farm.servers().get(index) else { return u64::MAX };
    match u64::from(server.served()) + u64::from(server.queued()) {
        0 => 0,
        requests => (requests + 1) * u64::from(WEIGHT_MAX * WEIGHT_SCALE) / u64::from(weight),
    }
}
