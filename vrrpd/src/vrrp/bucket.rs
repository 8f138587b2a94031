//! A token bucket: what others can provoke is limited, whatever they send.

use std::time::{Duration, Instant};

/// So many at once, then one each period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Taken out and not yet filled up again.
    taken: u32,
    /// From when on the time counts for filling up.
    since: Option<Instant>,
}

impl Bucket {
    /// Takes one of at most `size`, of which one comes back each `period`; false when there is none left.
    pub fn take(&mut self, now: Instant, size: u32, period: Duration) -> bool {
        let since = *self.since.get_or_insert(now);
        let passed = now.saturating_duration_since(since);
        let filled = passed.as_nanos() / period.as_nanos().max(1);
        match u32::try_from(filled) {
            Ok(filled) if filled < self.taken => {
                self.taken -= filled;
                self.since = Some(since + period * filled);
            }
            Ok(_) | Err(_) => {
                self.taken = 0;
                self.since = Some(now);
            }
        }
        if self.taken >= size {
            return false;
        }
        self.taken += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_each_period() {
        let start = crate::clock::now();
        let period = Duration::from_millis(100);
        let mut bucket = Bucket::default();
        let taken = |bucket: &mut Bucket, from: u64, to: u64| {
            (from..to).filter(|ms| bucket.take(start + Duration::from_millis(*ms), 5, period)).count()
        };
        // one try each millisecond: five at once, then ten each second
        assert_eq!(taken(&mut bucket, 0, 50), 5);
        assert_eq!(taken(&mut bucket, 50, 1050), 10);
        // after a rest, not more than a burst
        assert_eq!(taken(&mut bucket, 100_000, 100_050), 5);
    }

    #[test]
    fn slower_than_the_period_nothing_is_refused() {
        let start = crate::clock::now();
        let mut bucket = Bucket::default();
        for second in 0..1000 {
            assert!(bucket.take(start + Duration::from_secs(second), 1, Duration::from_secs(1)));
        }
    }
}
