//! A map of servers, one cell per unit of weight: `balance static-rr` walks over it, `hash-type map-based` indexes it.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::farm::Farm;
use super::{Picked, Request};

/// The map of one worker.
#[derive(Debug, Default)]
pub(super) struct ServerMap {
    /// Configured weights divided by what they have in common; the map never follows later changes of a weight.
    weights: Vec<u32>,
    members: Vec<bool>,
    cells: Vec<usize>,
    stale: bool,
    next: usize,
}

impl ServerMap {
    pub(super) fn new(farm: &Farm) -> Self {
        let configured = farm.servers().iter().map(|server| server.settings().weight);
        let common = configured.clone().fold(0, greatest_common_divisor).max(1);
        Self {
            weights: configured.map(|weight| weight / common).collect(),
            members: vec![false; farm.servers().len()],
            ..Self::default()
        }
    }

    /// Whether the server is in the map.
    pub(super) fn set(&mut self, index: usize, member: bool) {
        if let Some(known) = self.members.get_mut(index) {
            self.stale |= *known != member;
            *known = member;
        }
    }

    fn cells(&mut self) -> &[usize] {
        if self.stale {
            self.stale = false;
            let weights =
                self.weights.iter().zip(&self.members).map(|(&weight, &member)| if member { weight } else { 0 });
            self.cells = interleave(&weights.collect::<Vec<_>>());
        }
        &self.cells
    }

    /// The next free server in the map's order.
    pub(super) fn pick_next(&mut self, request: &Request, farm: &Farm) -> Picked {
        let start = self.next;
        let cells = self.cells();
        let count = cells.len();
        if count == 0 {
            return Picked::Nobody;
        }
        let walk = (start..start + count).map(|step| step % count);
        let found = walk
            .clone()
            .find(|&cell| request.avoid != Some(cells[cell]) && farm.try_take(cells[cell]))
            .or_else(|| walk.clone().find(|&cell| request.avoid == Some(cells[cell]) && farm.try_take(cells[cell])));
        match found {
            Some(cell) => {
                let index = cells[cell];
                self.next = (cell + 1) % count;
                Picked::Taken(index)
            }
            None => Picked::AllFull,
        }
    }

    /// The server of this hash.
    pub(super) fn at(&mut self, hash: u32) -> Option<usize> {
        let cells = self.cells();
        let count = u32::try_from(cells.len()).ok().filter(|&count| count > 0)?;
        cells.get((hash % count) as usize).copied()
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Spreads servers over as many cells as their weights add up to.
///
/// After `n` cells a server has a claim on `n * weight / sum` of them. The cell goes to the one with the most whole
/// cells outstanding, to the first of them if there are several.
fn interleave(weights: &[u32]) -> Vec<usize> {
    let sum: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
    let mut outstanding: Vec<i64> = vec![0; weights.len()];
    let mut order: BTreeSet<(Reverse<i64>, usize)> = BTreeSet::new();
    let mut claims: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    for (index, &weight) in weights.iter().enumerate().filter(|&(_, &weight)| weight > 0) {
        order.insert((Reverse(0), index));
        claims.push(Reverse((sum.div_ceil(u64::from(weight)), index)));
    }
    let mut granted: Vec<u64> = vec![1; weights.len()];
    let mut cells = Vec::new();
    for cell in 1..=sum {
        while let Some(&Reverse((due, index))) = claims.peek()
            && due <= cell
        {
            claims.pop();
            order.remove(&(Reverse(outstanding[index]), index));
            outstanding[index] += 1;
            order.insert((Reverse(outstanding[index]), index));
            granted[index] += 1;
            claims.push(Reverse(((granted[index] * sum).div_ceil(u64::from(weights[index])), index)));
        }
        let Some((_, index)) = order.pop_first() else { break };
        outstanding[index] -= 1;
        order.insert((Reverse(outstanding[index]), index));
        cells.push(index);
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::interleave;

    #[test]
    fn cells_are_interleaved_by_weight() {
        assert_eq!(interleave(&[1, 2, 3]), [0, 2, 1, 2, 1, 2]);
        assert_eq!(interleave(&[1, 1, 1]), [0, 1, 2]);
        assert_eq!(interleave(&[0, 2, 0]), [1, 1]);
        assert!(interleave(&[]).is_empty());
    }
}
