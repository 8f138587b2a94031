//! `balance random(N)`: of N servers drawn at random, each as likely as its weight, the least loaded one.

use super::farm::Farm;
use super::{Picked, Request};

/// The draw of one worker.
#[derive(Debug)]
pub(super) struct Random {
    draws: u32,
    state: u64,
    weights: Vec<u32>,
    /// Running sums of the weights of the members, for the draw.
    sums: Vec<(u64, usize)>,
    stale: bool,
}

impl Random {
    /// `seed` should differ between workers.
    pub(super) fn new(servers: usize, draws: u32, seed: u64) -> Self {
        Self { draws: draws.max(1), state: seed | 1, weights: vec![0; servers], sums: Vec::new(), stale: true }
    }

    /// The server's weight is now this; 0 takes it out.
    pub(super) fn set(&mut self, index: usize, weight: u32) {
        if let Some(known) = self.weights.get_mut(index) {
            self.stale |= *known != weight;
            *known = weight;
        }
    }

    pub(super) fn pick(&mut self, request: &Request, farm: &Farm) -> Picked {
        self.refresh();
        let mut best: Option<(u64, u32, usize)> = None;
        for _ in 0..self.draws {
            let Some(index) = self.draw() else { return Picked::Nobody };
            let Some(server) = farm.servers().get(index).filter(|_| request.avoid != Some(index)) else { continue };
            let load = u64::from(server.served() + server.queued());
            let weight = self.weights.get(index).copied().unwrap_or(1);
            // load / weight without rounding
            if best.is_none_or(|(least, by, _)| load * u64::from(by) < least * u64::from(weight)) {
                best = Some((load, weight, index));
            }
        }
        if let Some((_, _, index)) = best.filter(|&(_, _, index)| farm.try_take(index)) {
            return Picked::Taken(index);
        }
        // The drawn ones are full: any other will do.
        let start = usize::try_from(self.next_number() % self.sums.len().max(1) as u64).unwrap_or(0);
        let around = self.sums[start..].iter().chain(&self.sums[..start]).map(|&(_, index)| index);
        match around.into_iter().find(|&index| farm.try_take(index)) {
            Some(index) => Picked::Taken(index),
            None => Picked::AllFull,
        }
    }

    fn refresh(&mut self) {
        if self.stale {
            self.stale = false;
            let mut sum = 0;
            let members = self.weights.iter().enumerate().filter(|&(_, &weight)| weight > 0);
            self.sums = members
                .map(|(index, &weight)| {
                    sum += u64::from(weight);
                    (sum, index)
                })
                .collect();
        }
    }

    fn draw(&mut self) -> Option<usize> {
        let &(sum, _) = self.sums.last()?;
        let point = self.next_number() % sum;
        let at = self.sums.partition_point(|&(upto, _)| upto <= point);
        self.sums.get(at).map(|&(_, index)| index)
    }

    /// Marsaglia's xorshift; balancing needs spread, not secrecy.
    fn next_number(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
}
