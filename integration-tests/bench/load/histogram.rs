//! Times of answers, counted in buckets that are at most 0.8 % wide.

use std::time::Duration;

/// Buckets per power of two, as a power of two.
const FINE: u32 = 7;
/// The longest time that is told apart: 2^40 ns, about 18 minutes.
const POWERS: u32 = 40;

/// How often each time was seen.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    longest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; ((POWERS - FINE + 1) << FINE) as usize], count: 0, longest: 0 }
    }
}

impl Histogram {
    pub(crate) fn add(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let at = index(nanos).min(self.buckets.len() - 1);
        if let Some(bucket) = self.buckets.get_mut(at) {
            *bucket += 1;
        }
        self.count += 1;
        self.longest = self.longest.max(nanos);
    }

    /// Takes up what was counted elsewhere.
    pub(crate) fn join(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(bucket, more)| *bucket += more);
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
    }

    /// The time in microseconds that `share` (0 to 1) of all answers did not exceed; 0 when there is none.
    pub(crate) fn micros(&self, share: f64) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank"
        )]
        let rank = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (at, bucket) in self.buckets.iter().enumerate() {
            seen += bucket;
            if *bucket > 0 && seen >= rank {
                return middle(at);
            }
        }
        0.0
    }

    /// The longest time, in microseconds.
    #[expect(clippy::cast_precision_loss, reason = "a time for people")]
    pub(crate) fn longest_micros(&self) -> f64 {
        self.longest as f64 / 1000.0
    }
}

fn index(nanos: u64) -> usize {
    let power = (nanos | 1).ilog2();
    if power < FINE {
        return usize::try_from(nanos).unwrap_or(0);
    }
    let shift = power - FINE;
    let fine = (nanos >> shift) & ((1 << FINE) - 1);
    usize::try_from((u64::from(shift + 1) << FINE) | fine).unwrap_or(usize::MAX)
}

/// The middle of a bucket, in microseconds.
#[expect(clippy::cast_precision_loss, reason = "a time for people")]
fn middle(at: usize) -> f64 {
    let (shift, fine) = (at >> FINE, at & ((1 << FINE) - 1));
    if shift == 0 {
        return fine as f64 / 1000.0;
    }
    let width = (1_u64 << (shift - 1)) as f64;
    (((1 << FINE) + fine) as f64 + 0.5) * width / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_hundredth() {
        let mut times = Histogram::default();
        for micros in 1..=10_000 {
            times.add(Duration::from_micros(micros));
        }
        for (share, expected) in [(0.5, 5000.0), (0.99, 9900.0), (0.999, 9990.0), (1.0, 10_000.0)] {
            let found = times.micros(share);
            assert!((found - expected).abs() / expected < 0.01, "{share}: {found} instead of {expected}");
        }
        assert!((times.longest_micros() - 10_000.0).abs() < 0.001);
    }

    #[test]
    fn two_halves_make_a_whole() {
        let (mut low, mut high) = (Histogram::default(), Histogram::default());
        for micros in 1..=5000 {
            low.add(Duration::from_micros(micros));
            high.add(Duration::from_micros(5000 + micros));
        }
        low.join(&high);
        assert!((low.micros(0.99) - 9900.0).abs() < 99.0);
        assert!((low.longest_micros() - 10_000.0).abs() < 0.001);
    }

    #[test]
    fn nothing_and_the_impossible_are_no_trouble() {
        let mut times = Histogram::default();
        assert!(times.micros(0.5).abs() < f64::EPSILON);
        times.add(Duration::ZERO);
        times.add(Duration::MAX);
        assert!(times.micros(0.1) < 1.0);
        assert!(times.micros(1.0) > 1e9);
    }
}
