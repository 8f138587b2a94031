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

/// The shortest time over which a processor's usage is measured: questions that come sooner get the answer of the last one.
const USAGE_MEASURED: Duration = Duration::from_millis(100);

/// What the last question about a usage found: when, the processor's time then, and the answer.
type Usage = Cell<(Moment, Duration, u8)>;

thread_local! {
    /// Of the thread and of the process, for each thread that asks, so that none waits for another.
    static USAGE: [Usage; 2] = const { [const { Cell::new((Moment { nanoseconds: 0 }, Duration::ZERO, 0)) }; 2] };
}

/// How long processors have worked for this thread, or for the whole process.
fn worked(process: bool) -> Duration {
    use nix::time::ClockId;
    let clock = if process { ClockId::CLOCK_PROCESS_CPUTIME_ID } else { ClockId::CLOCK_THREAD_CPUTIME_ID };
    nix::time::clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

/// From now on [`usage`] can be asked by this thread.
pub fn measure_usage() {
    USAGE.with(|usage| {
        for (known, process) in usage.iter().zip([false, true]) {
            known.set((moment(), worked(process), 0));
        }
    });
}

/// How much of the time since the last question a processor has worked, in percent: for this thread, or for each of that many
/// threads of the process.
pub fn usage(threads: Option<usize>) -> u8 {
    USAGE.with(|usage| {
        let Some(known) = usage.get(usize::from(threads.is_some())) else { return 0 };
        let ((then, worked_then, answer), now) = (known.get(), moment());
        let passed = now.since(then);
        if passed < USAGE_MEASURED {
            return answer;
        }
        let work = worked(threads.is_some());
        let answer = percent(work.saturating_sub(worked_then), passed, threads.unwrap_or(1));
        known.set((now, work, answer));
        answer
    })
}

/// A part of what that many threads could have worked.
fn percent(work: Duration, passed: Duration, threads: usize) -> u8 {
    let whole = passed.as_micros().saturating_mul(threads.max(1) as u128).max(1);
    u8::try_from(work.as_micros().saturating_mul(100) / whole).unwrap_or(u8::MAX).min(100)
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
    fn usage_is_a_share_of_the_time() {
        let ms = Duration::from_millis;
        assert_eq!(percent(ms(50), ms(200), 1), 25);
        assert_eq!(percent(ms(300), ms(200), 4), 37);
        assert_eq!(percent(ms(300), ms(200), 1), 100);
        assert_eq!(percent(ms(0), ms(0), 0), 0);
        // A thread that does nothing else works all the time that it is given.
        measure_usage();
        let (began, mut most) = (moment(), 0);
        while most == 0 && moment().since(began) < Duration::from_mins(1) {
            most = usage(None);
        }
        assert!((1..=100).contains(&most), "{most}");
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
