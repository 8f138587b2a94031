//! `interface_up_down_delays`: a change of an interface counts when it has lasted for so long.

use super::interface::Interface;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a change has to last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    /// Before the interface counts as down.
    pub down: Duration,
    /// Before it counts as up.
    pub up: Duration,
}

/// Changes that have not lasted long enough.
#[derive(Clone, Debug, Default)]
pub(super) struct Settling {
    delays: BTreeMap<String, Delay>,
    waiting: BTreeMap<String, (Instant, Interface)>,
}

impl Settling {
    pub(super) fn set(&mut self, delays: BTreeMap<String, Delay>) {
        self.delays = delays;
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.values().map(|(at, _)| *at).min()
    }

    /// What counts now of a report, given what counted before.
    pub(super) fn report(&mut self, now: Instant, fact: Interface, known: Option<&Interface>) -> Interface {
        let Some(before) = known.map(|known| known.running).filter(|&before| before != fact.running) else {
            // As it was: a change that was waiting has not lasted.
            self.waiting.remove(&fact.name);
            return fact;
        };
        let delay = self.delays.get(&fact.name).copied().unwrap_or_default();
        let delay = if fact.running { delay.up } else { delay.down };
        if delay.is_zero() {
            self.waiting.remove(&fact.name);
            return fact;
        }
        let counts = Interface { running: before, ..fact.clone() };
        let at = self.waiting.get(&fact.name).map_or(now + delay, |(at, _)| *at);
        self.waiting.insert(fact.name.clone(), (at, fact));
        counts
    }

    /// An interface that is gone does not come up any more.
    pub(super) fn forget(&mut self, name: &str) {
        self.waiting.remove(name);
    }

    /// Changes that have lasted.
    pub(super) fn settled(&mut self, now: Instant) -> Vec<Interface> {
        let due: Vec<String> =
            self.waiting.iter().filter(|(_, (at, _))| *at <= now).map(|(name, _)| name.clone()).collect();
        due.into_iter().filter_map(|name| self.waiting.remove(&name)).map(|(_, fact)| fact).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(running: bool) -> Interface {
        Interface { name: "eth0".to_owned(), index: 2, running, addresses: Vec::new() }
    }

    #[test]
    fn a_short_loss_of_carrier_does_not_count() {
        let now = crate::clock::now();
        let second = Duration::from_secs(1);
        let mut settling = Settling::default();
        settling.set(BTreeMap::from([("eth0".to_owned(), Delay { down: second, up: Duration::ZERO })]));
        let up = interface(true);
        assert!(settling.report(now, interface(false), Some(&up)).running);
        assert_eq!(settling.next_deadline(), Some(now + second));
        assert!(settling.report(now + second / 2, interface(true), Some(&up)).running);
        assert_eq!(settling.next_deadline(), None);
        assert!(settling.report(now, interface(false), Some(&up)).running);
        assert_eq!(settling.settled(now + second), [interface(false)]);
        let down = interface(false);
        assert!(settling.report(now, interface(true), Some(&down)).running, "no delay for coming up");
    }
}
