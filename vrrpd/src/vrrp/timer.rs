//! Deadlines of an instance, and the arithmetic of RFC 3768 section 6.1 and RFC 9568 section 6.1.

use crate::packet::Version;
use std::time::{Duration, Instant};

/// The deadlines an instance can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Init: `vrrp_startup_delay` is over.
    Startup,
    /// Backup: `Master_Down_Timer`.
    MasterDown,
    /// Backup: `preempt_delay` is over.
    PreemptDelay,
    /// Master: `Adver_Timer`.
    Advert,
    /// Master after a stall: whoever took over meanwhile would have been heard by now.
    Listen,
    /// Master: the second set of gratuitous ARP (`garp_master_delay`).
    GarpSecond,
    /// Master: the second set after a lower-priority advert (`garp_lower_prio_delay`).
    GarpLowerPrio,
    /// Master: `garp_master_refresh`.
    GarpRefresh,
    /// Master: `garp_extra_if`.
    GarpExtra,
}

const ALL: [Timer; 9] = [
    Timer::Startup,
    Timer::MasterDown,
    Timer::PreemptDelay,
    Timer::Advert,
    Timer::Listen,
    Timer::GarpSecond,
    Timer::GarpLowerPrio,
    Timer::GarpRefresh,
    Timer::GarpExtra,
];

/// A table of deadlines, one place for each [`Timer`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timers([Option<Instant>; ALL.len()]);

impl Timers {
    /// Sets or moves a deadline.
    pub fn set(&mut self, timer: Timer, at: Instant) {
        *self.place(timer) = Some(at);
    }

    /// Removes a deadline.
    pub fn clear(&mut self, timer: Timer) {
        *self.place(timer) = None;
    }

    /// Removes all of them.
    pub fn clear_all(&mut self) {
        *self = Self::default();
    }

    /// When a timer is due.
    pub fn get(&self, timer: Timer) -> Option<Instant> {
        self.0.get(timer as usize).copied().flatten()
    }

    /// Those that run, with their deadlines.
    pub fn iter(&self) -> impl Iterator<Item = (Timer, Instant)> {
        ALL.into_iter().filter_map(|timer| Some((timer, self.get(timer)?)))
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// Takes the earliest deadline that is not after `now`, with the time it was due.
    pub fn take_expired(&mut self, now: Instant) -> Option<(Timer, Instant)> {
        let (timer, due) = ALL
            .into_iter()
            .filter_map(|timer| self.get(timer).map(|due| (timer, due)))
            .filter(|&(_, due)| due <= now)
            .min_by_key(|&(_, due)| due)?;
        self.clear(timer);
        Some((timer, due))
    }

    fn place(&mut self, timer: Timer) -> &mut Option<Instant> {
        &mut self.0[timer as usize]
    }
}

/// `Skew_Time`: the better the priority, the shorter. Version 2 counts in seconds whatever the interval is.
pub fn skew_time(version: Version, priority: u8, interval: Duration) -> Duration {
    let unit = match version {
        Version::V2 => Duration::from_secs(1),
        Version::V3 => interval,
    };
    unit * (256 - u32::from(priority)) / 256
}

/// `Master_Down_Interval`: so many adverts may be missed, and then the skew.
pub fn master_down_interval(version: Version, priority: u8, interval: Duration, adverts: u8) -> Duration {
    interval * u32::from(adverts) + skew_time(version, priority, interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures that keepalived was measured with.
    #[test]
    fn intervals_of_keepalived() {
        for (version, priority, interval_ms, expected_us) in [
            (Version::V2, 100, 1000, 3_609_375),
            (Version::V2, 200, 1000, 3_218_750),
            (Version::V2, 255, 1000, 3_003_906),
            (Version::V3, 100, 100, 360_937),
            (Version::V3, 100, 10, 36_093),
        ] {
            let interval = Duration::from_millis(interval_ms);
            assert_eq!(master_down_interval(version, priority, interval, 3).as_micros(), expected_us);
        }
        assert_eq!(skew_time(Version::V2, 100, Duration::from_secs(7)).as_micros(), 609_375);
    }

    #[test]
    fn expired_deadlines_come_in_the_order_they_were_due() {
        let start = crate::clock::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        timers.set(Timer::GarpSecond, at(5000));
        timers.set(Timer::Advert, at(1000));
        timers.set(Timer::GarpExtra, at(200));
        assert_eq!(timers.next(), Some(at(200)));
        assert_eq!(timers.take_expired(at(100)), None);
        assert_eq!(timers.take_expired(at(6000)), Some((Timer::GarpExtra, at(200))));
        assert_eq!(timers.take_expired(at(6000)), Some((Timer::Advert, at(1000))));
        timers.clear_all();
        assert_eq!(timers.take_expired(at(6000)), None);
    }

    #[test]
    fn every_timer_has_its_own_place() {
        for (index, timer) in ALL.into_iter().enumerate() {
            assert_eq!(timer as usize, index);
        }
    }
}
