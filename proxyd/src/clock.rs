//! The only reader of the clock. Everything else is given `now`.

use std::cell::Cell;
use std::ops::Add;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A reading of the monotonic clock as one number, for the path of requests: a request compares a dozen of them, and a difference
/// of two is one subtraction. An [`Instant`] has seconds and nanoseconds apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Moment {
    nanoseconds: u64,
}

impl Moment {
    /// Whole milliseconds since another moment; 0 if that is later.
    pub fn milliseconds_since(self, earlier: Self) -> u64 {
        self.nanoseconds.saturating_sub(earlier.nanoseconds) / 1_000_000
    }

    /// The time since another moment; zero if that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanoseconds.saturating_sub(earlier.nanoseconds))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    /// As far as the number reaches, which is five centuries.
    fn add(self, time: Duration) -> Self {
        let nanoseconds = time.as_secs().saturating_mul(1_000_000_000).saturating_add(time.subsec_nanos().into());
        Self { nanoseconds: self.nanoseconds.saturating_add(nanoseconds) }
    }
}

impl From<Instant> for Moment {
    /// Of the past; to be asked once and kept, as it reads both clocks.
    fn from(instant: Instant) -> Self {
        let ago = now().saturating_duration_since(instant);
        let ago = u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX);
        Self { nanoseconds: moment().nanoseconds.saturating_sub(ago) }
    }
}

/// How long the distance between the two clocks is taken for known: as late may a change of the system's date be noticed.
const DISTANCE_VALID: Duration = Duration::from_millis(100);

/// The dates of moments, without reading the system's date for each.
#[derive(Debug, Default)]
pub struct Wall {
    /// Until when it is known, and the date when moments began.
    known: Cell<Option<(Moment, Duration)>>,
}

impl Wall {
    /// The date of a moment that has just been or was a while ago, as the time since 1970 (UTC).
    pub fn date(&self, at: Moment) -> Duration {
        let zero = match self.known.get() {
            Some((until, zero)) if at <= until => zero,
            Some(_) | None => {
                let now = moment();
                let zero = date().saturating_sub(Duration::from_nanos(now.nanoseconds));
                self.known.set(Some((now + DISTANCE_VALID, zero)));
                zero
            }
        };
        zero + Duration::from_nanos(at.nanoseconds)
    }
}

/// The monotonic time, for what happens to requests.
pub fn moment() -> Moment {
    let time = monotonic();
    Moment { nanoseconds: time.as_secs().saturating_mul(1_000_000_000).saturating_add(time.subsec_nanos().into()) }
}

/// The monotonic time, for timeouts and durations.
#[expect(clippy::disallowed_methods, reason = "this is the one reader of the clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// The system's monotonic clock as others read it too: systemd compares it.
pub fn monotonic() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// The date, as the time since 1970 (UTC), for logs and cookies.
#[expect(clippy::disallowed_methods, reason = "this is the one reader of the clock")]
pub fn date() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_whole_milliseconds_and_never_negative() {
        let start = moment();
        let later = start + Duration::from_micros(1_999);
        assert_eq!((later.milliseconds_since(start), later.since(start)), (1, Duration::from_micros(1_999)));
        assert_eq!((start.milliseconds_since(later), start.since(later)), (0, Duration::ZERO));
        assert!(start + Duration::MAX > later);
    }

    #[test]
    fn dates_of_moments_are_the_systems() {
        let wall = Wall::default();
        let (before, at, after) = (date(), moment(), date());
        // The system's date may be corrected at any time, by little.
        let off = Duration::from_secs(1);
        for at in [at, at + DISTANCE_VALID] {
            assert!(before <= wall.date(at) + off && wall.date(at) <= after + off);
        }
        let next = at + Duration::from_millis(1);
        assert_eq!(wall.date(next), wall.date(at) + Duration::from_millis(1));
    }

    #[test]
    fn an_instant_is_the_same_moment() {
        let (before, instant, after) = (moment(), now(), moment());
        let moment = Moment::from(instant);
        // Between two readings the process may have been interrupted.
        let off = Duration::from_secs(1);
        assert!(before <= moment + off && moment <= after + off);
    }
}
