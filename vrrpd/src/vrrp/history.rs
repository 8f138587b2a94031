//! What an instance remembers of the adverts it heard, for those who ask why it is in its state.

use super::receive::Rejected;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Senders that are remembered; the one that was silent for longest makes room.
const SENDERS_MAX: usize = 8;

/// Somebody who sent adverts that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Where they came from.
    pub address: IpAddr,
    /// The priority of the last one.
    pub priority: u8,
    /// The interval of the last one.
    pub interval: Duration,
    /// When the last one came.
    pub at: Instant,
    /// How many came.
    pub count: u64,
}

/// The last advert that did not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where it came from.
    pub source: IpAddr,
    /// Why it does not count, as the log says it.
    pub reason: String,
    /// When it came.
    pub at: Instant,
}

/// The memory.
#[derive(Clone, Debug, Default)]
pub struct History {
    senders: Vec<Sender>,
    refused: Option<Refused>,
}

impl History {
    /// Who sent adverts that count, in the order of first hearing.
    pub fn senders(&self) -> &[Sender] {
        &self.senders
    }

    /// The last advert that did not count.
    pub fn refused(&self) -> Option<&Refused> {
        self.refused.as_ref()
    }

    pub(super) fn heard(&mut self, now: Instant, address: IpAddr, priority: u8, interval: Duration) {
        if let Some(known) = self.senders.iter_mut().find(|sender| sender.address == address) {
            (known.priority, known.interval, known.at) = (priority, interval, now);
            known.count = known.count.saturating_add(1);
            return;
        }
        let oldest = self.senders.iter().enumerate().min_by_key(|(_, sender)| sender.at).map(|(place, _)| place);
        if let Some(oldest) = oldest.filter(|_| self.senders.len() >= SENDERS_MAX) {
            self.senders.remove(oldest);
        }
        // Most hear one, and thousands of them would keep room for four.
        self.senders.reserve_exact(1);
        self.senders.push(Sender { address, priority, interval, at: now, count: 1 });
    }

    pub(super) fn refuse(&mut self, now: Instant, source: IpAddr, rejected: &Rejected) {
        self.refused = Some(Refused { source, reason: rejected.to_string(), at: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_senders_do_not_make_it_grow() {
        let start = crate::clock::now();
        let mut history = History::default();
        for last in 0..=255 {
            let now = start + Duration::from_millis(last.into());
            for last in [1, last] {
                history.heard(now, IpAddr::from([192, 0, 2, last]), 100, Duration::from_secs(1));
            }
        }
        assert_eq!(history.senders().len(), SENDERS_MAX);
        let first = history.senders().iter().find(|sender| sender.address == IpAddr::from([192, 0, 2, 1])).unwrap();
        assert_eq!(first.count, 257, "who is heard all the time stays");
        assert!(history.senders().iter().any(|sender| sender.address == IpAddr::from([192, 0, 2, 255])));
    }
}
