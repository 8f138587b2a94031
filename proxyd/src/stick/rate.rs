//! How many events a period saw: a sliding period is estimated from the current and the previous whole one.

/// Events of the current period and of the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// When the current period began, in milliseconds.
    began_ms: u64,
    current: u32,
    previous: u32,
}

impl Rate {
    /// A period that begins now with so many events.
    pub fn of(events: u32, now_ms: u64) -> Self {
        Self { began_ms: now_ms, current: events, previous: 0 }
    }

    /// Counts events.
    pub fn add(&mut self, events: u32, period_ms: u32, now_ms: u64) {
        let period = u64::from(period_ms);
        let age = now_ms.saturating_sub(self.began_ms);
        if age >= period {
            // A period that followed at once is remembered and the next continues its rhythm; after a pause all begins anew.
            (self.previous, self.began_ms) =
                if age < 2 * period { (self.current, self.began_ms + period) } else { (0, now_ms) };
            self.current = 0;
        }
        self.current = self.current.wrapping_add(events);
    }

    /// Events of the period that ends now: those of the current one, and the share of the previous one that is still in it. A
    /// single event is told for as long as it is known, so that a rule with a low limit does not waver.
    pub fn read(&self, period_ms: u32, now_ms: u64) -> u64 {
        let period = u64::from(period_ms);
        let age = now_ms.saturating_sub(self.began_ms);
        let (current, previous, left) = match age {
            _ if period == 0 => return 0,
            _ if age < period => (self.current, self.previous, period - age),
            _ if age < 2 * period => (0, self.current, 2 * period - age),
            _ => return 0,
        };
        if current == 0 && previous <= 1 {
            return previous.into();
        }
        u64::from(current) + u64::from(previous) * left / period
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// haproxy 2.6 was told these numbers of events and asked again and again for the rate, over a period of 2000 ms.
    #[test]
    fn as_haproxy_reads_it() {
        const READ: &[(u64, [u64; 5])] = &[
            (0, [1, 2, 3, 7, 1000]),
            (1_815, [1, 2, 3, 7, 1000]),
            (2_018, [1, 1, 2, 6, 991]),
            (2_226, [1, 1, 2, 6, 887]),
            (2_426, [1, 1, 2, 5, 787]),
            (2_828, [1, 1, 1, 4, 586]),
            (3_028, [1, 0, 1, 3, 486]),
            (3_436, [1, 0, 0, 1, 282]),
            (3_838, [1, 0, 0, 0, 81]),
            (4_040, [0, 0, 0, 0, 0]),
        ];
        for (at, expected) in READ {
            let read = [1, 2, 3, 7, 1000].map(|events| Rate::of(events, 5_000).read(2_000, 5_000 + at));
            assert_eq!(read, *expected, "after {at} ms");
        }
    }

    #[test]
    fn periods_follow_each_other() {
        let mut rate = Rate::default();
        for (at, expected) in [(10_000, 1), (10_500, 2), (11_100, 2), (11_900, 2), (12_000, 3), (14_500, 1)] {
            rate.add(1, 1_000, at);
            assert_eq!(rate.read(1_000, at), expected, "at {at}");
        }
    }

    #[test]
    fn a_period_of_nothing_has_no_rate() {
        let mut rate = Rate::default();
        rate.add(5, 0, 10);
        assert_eq!(rate.read(0, 10), 0);
    }

    proptest! {
        /// Never more than the last two periods saw, and never less than what came within the current one.
        #[test]
        fn stays_between_what_happened(steps in prop::collection::vec((0_u64..700, 0_u32..5), 1..60)) {
            const PERIOD: u32 = 1_000;
            let (mut rate, mut now, mut events) = (Rate::default(), 100_000, Vec::new());
            for (pause, count) in steps {
                now += pause;
                rate.add(count, PERIOD, now);
                events.push((now, u64::from(count)));
                let since = |from: u64| events.iter().filter(|(at, _)| *at + from > now).map(|(_, count)| count).sum::<u64>();
                let read = rate.read(PERIOD, now);
                prop_assert!(read <= since(2 * u64::from(PERIOD)), "{read}");
                prop_assert!(read >= since(1));
            }
        }
    }
}
