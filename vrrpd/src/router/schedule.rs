//! Which instance is due next. With a thousand instances at one advert a second there are a thousand wake-ups a second:
//! each must find its instance without looking at the others.

use std::collections::BTreeSet;
use std::time::Instant;

/// Instances that are dealt with at once. Where a thousand become master together, the first of them has sent its advert
/// and has its addresses before the last one decides, and what is to be done does not have to be remembered for all.
pub(super) const DUE_MAX: usize = 64;

/// The deadlines of the instances, by their place in the router.
#[derive(Clone, Debug, Default)]
pub(super) struct Schedule {
    /// In the order in which they are due.
    queue: BTreeSet<(Instant, usize)>,
    /// What the queue holds for each place.
    known: Vec<Option<Instant>>,
}

impl Schedule {
    /// Sets, moves or removes the deadline of a place.
    pub(super) fn set(&mut self, place: usize, deadline: Option<Instant>) {
        if place >= self.known.len() {
            self.known.resize(place + 1, None);
        }
        let Some(known) = self.known.get_mut(place).filter(|known| **known != deadline) else { return };
        if let Some(old) = known.take() {
            self.queue.remove(&(old, place));
        }
        *known = deadline;
        self.queue.extend(deadline.map(|at| (at, place)));
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|&(at, _)| at)
    }

    /// The places that are due, no more than [`DUE_MAX`], in the order of the file: an instance that became due first has
    /// no right to go first. Who waits longest is among them.
    pub(super) fn due(&self, now: Instant) -> Vec<usize> {
        let due = self.queue.iter().take_while(|&&(at, _)| at <= now).take(DUE_MAX);
        let mut places: Vec<usize> = due.map(|&(_, place)| place).collect();
        places.sort_unstable();
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_place_has_one_deadline() {
        let start = crate::clock::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut schedule = Schedule::default();
        for (place, ms) in [(2, 30), (0, 20), (1, 10), (0, 5)] {
            schedule.set(place, Some(at(ms)));
        }
        assert_eq!(schedule.next(), Some(at(5)));
        assert_eq!(schedule.due(at(4)), []);
        assert_eq!(schedule.due(at(10)), [0, 1]);
        assert_eq!(schedule.due(at(100)), [0, 1, 2]);
        schedule.set(0, None);
        assert_eq!(schedule.next(), Some(at(10)));
        for place in 0..2 * DUE_MAX {
            schedule.set(place, Some(at(1000 - u64::try_from(place).unwrap())));
        }
        let last: Vec<usize> = (DUE_MAX..2 * DUE_MAX).collect();
        assert_eq!(schedule.due(at(1000)), last, "those that wait longest, in the order of the file");
        schedule.clear();
        assert_eq!((schedule.next(), schedule.due(at(100))), (None, vec![]));
    }
}
