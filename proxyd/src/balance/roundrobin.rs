//! `balance roundrobin`: weighted fair round robin, as smooth as weights allow, with weights that may change.
//!
//! Turns are counted inside a period that is as long as the sum of all weights. A server of weight `w` is due again
//! `sum / w` turns after it was served, fractions being carried over. Whoever is due goes first, by due turn and then
//! by weight; if nobody is due, a server that was not served in this period yet starts, heaviest first; else the next
//! one due is served early. Servers whose due turn lies beyond the period wait for the next one to start.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::farm::Farm;
use super::{Picked, Request};

/// A place in an order: smaller goes first, then the one that took its place first.
type Place = Reverse<(u64, u64, usize)>;

#[derive(Debug, Clone, Copy, Default)]
struct Share {
    weight: u64,
    /// The turn at which it is due; meaningful once it was served in this period.
    due: u64,
    /// What was left of `sum / weight` so far.
    carry: u64,
    /// Whether it has a place in one of the orders.
    placed: bool,
}

/// Servers in a line, the heaviest first; of those of one weight, whoever came first. A step takes the same time for any number.
#[derive(Debug, Default)]
struct Line {
    /// By weight, the heaviest first.
    ranks: Vec<(u64, VecDeque<usize>)>,
}

impl Line {
    fn push(&mut self, weight: u64, index: usize) {
        let place =
            |ranks: &[(u64, VecDeque<usize>)]| ranks.binary_search_by_key(&Reverse(weight), |rank| Reverse(rank.0));
        let at = place(&self.ranks).unwrap_or_else(|_| {
            // Weights that nobody has any more, as after a slow start.
            self.ranks.retain(|(_, servers)| !servers.is_empty());
            let at = place(&self.ranks).unwrap_or_else(|at| at);
            self.ranks.insert(at, (weight, VecDeque::new()));
            at
        });
        if let Some((_, servers)) = self.ranks.get_mut(at) {
            servers.push_back(index);
        }
    }

    fn first(&self) -> Option<usize> {
        self.ranks.iter().find_map(|(_, servers)| servers.front().copied())
    }

    fn pop(&mut self) -> Option<usize> {
        self.ranks.iter_mut().find_map(|(_, servers)| servers.pop_front())
    }
}

/// The state of the round robin of one worker.
#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    shares: Vec<Share>,
    sum: u64,
    /// The length of the period that runs, in turns.
    period: u64,
    turn: u64,
    tickets: u64,
    /// Served in this period and due again in it.
    current: BinaryHeap<Place>,
    /// Not served in this period yet.
    starting: Line,
    /// Due in the next period.
    next: Line,
}

/// Weights are below this; it turns "heaviest first" into "smallest first".
const HEAVIEST: u64 = (super::server_state::WEIGHT_MAX * super::server_state::WEIGHT_SCALE) as u64;

impl RoundRobin {
    pub(super) fn new(servers: usize) -> Self {
        Self { shares: vec![Share::default(); servers], ..Self::default() }
    }

    /// The server's weight is now this; 0 takes it out.
    pub(super) fn set(&mut self, index: usize, weight: u32) {
        let weight = u64::from(weight);
        let (turn, untouched) = (self.turn, self.turn == 0);
        let Some(share) = self.shares.get_mut(index) else { return };
        self.sum = self.sum - share.weight + weight;
        share.weight = weight;
        // One that leaves is dropped when its turn comes.
        if weight == 0 || share.placed {
            return;
        }
        share.placed = true;
        if untouched {
            self.next.push(weight, index);
        } else {
            // One that joins in the middle of a period waits one interval, as if it had just been served.
            share.due = turn + self.sum / weight;
            share.carry = 0;
            self.queue(index);
        }
    }

    pub(super) fn pick(&mut self, request: &Request, farm: &Farm) -> Picked {
        let mut passed_over = Vec::new();
        let mut avoided = None;
        let mut taken = None;
        let mut switched = false;
        while taken.is_none() {
            let Some(index) = self.next_in_turn() else {
                if switched || !self.start_period() {
                    break;
                }
                switched = true;
                continue;
            };
            self.serve(index);
            if request.avoid == Some(index) && avoided.is_none() {
                avoided = Some(index);
            } else if farm.try_take(index) {
                taken = Some(index);
            }
            if taken.is_none() {
                passed_over.push(index);
            }
        }
        let nobody = passed_over.is_empty();
        // Better the server to avoid than none.
        let taken = taken.or_else(|| avoided.filter(|&index| farm.try_take(index)));
        for index in taken.into_iter().chain(passed_over.into_iter().filter(|&index| Some(index) != taken)) {
            self.queue(index);
        }
        match taken {
            Some(index) => Picked::Taken(index),
            None if nobody => Picked::Nobody,
            None => Picked::AllFull,
        }
    }

    /// Takes the server whose turn it is out of its order.
    fn next_in_turn(&mut self) -> Option<usize> {
        self.drop_departed();
        let due = self.current.peek().map(|Reverse((due, _, _))| due / DUE_UNIT <= self.turn);
        let due_first = |current: &mut BinaryHeap<Place>| current.pop().map(|Reverse((_, _, index))| index);
        match due {
            Some(true) => due_first(&mut self.current),
            Some(false) | None => self.starting.pop().or_else(|| due_first(&mut self.current)),
        }
    }

    fn drop_departed(&mut self) {
        while let Some(&Reverse((_, _, index))) = self.current.peek()
            && self.has_departed(index)
        {
            self.current.pop();
        }
        while let Some(index) = self.starting.first()
            && self.has_departed(index)
        {
            self.starting.pop();
        }
    }

    /// Whether the first of an order has no weight any more; then it has no place there either.
    fn has_departed(&mut self, index: usize) -> bool {
        match self.shares.get_mut(index) {
            Some(share) if share.weight == 0 => share.placed = false,
            Some(_) => return false,
            None => {}
        }
        true
    }

    /// Begins the next period; tells whether there is anybody in it.
    fn start_period(&mut self) -> bool {
        std::mem::swap(&mut self.starting, &mut self.next);
        self.period = self.sum;
        self.turn = 0;
        for share in &mut self.shares {
            share.due = 0;
            share.carry = 0;
        }
        self.drop_departed();
        self.starting.first().is_some()
    }

    /// Moves the server's due turn on and the count of turns too.
    fn serve(&mut self, index: usize) {
        let Some(share) = self.shares.get_mut(index) else { return };
        let from = if share.due == 0 { self.turn } else { share.due };
        share.due = from + self.sum / share.weight;
        share.carry += self.sum % share.weight;
        if share.carry >= share.weight {
            share.carry -= share.weight;
            share.due += 1;
        }
        self.turn += 1;
    }

    /// Puts a server where it belongs by its due turn.
    fn queue(&mut self, index: usize) {
        let Some(share) = self.shares.get_mut(index) else { return };
        share.placed = true;
        if share.due >= self.period {
            self.next.push(share.weight, index);
        } else {
            let rank = (HEAVIEST + share.carry - share.weight) / u64::from(super::server_state::WEIGHT_SCALE);
            self.tickets += 1;
            self.current.push(Reverse((share.due * DUE_UNIT + rank, self.tickets, index)));
        }
    }
}

/// A due turn is worth more than any difference of weight.
const DUE_UNIT: u64 = (super::server_state::WEIGHT_MAX + 1) as u64;
