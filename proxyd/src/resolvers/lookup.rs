//! One name that is asked for again and again: tries, families, and what is remembered of the answers.
//!
//! All name servers of a section are asked at once. The first good answer counts. Where all of them fail, the other family of
//! addresses is asked for; where that fails, too, or nobody answers, the question is repeated; and after the last try it is
//! asked anew when its time has come. Times are milliseconds of any clock that never goes back.

use std::net::IpAddr;
use std::time::Duration;

use super::message::{Failure, Kind, Name, Records, Service};
use super::{Hold, Settings};

/// A question that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    id: u16,
    kind: Kind,
    /// The other family was asked for in this try already.
    second: bool,
    tries_left: u32,
    deadline: u64,
    /// Which name servers have answered.
    heard: Vec<bool>,
    /// The last failure, if any of them has told one.
    failure: Option<Failure>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Waiting { until: u64 },
    Asking(Asked),
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing, for now.
    Nothing,
    /// All name servers are to be asked.
    Ask {
        /// The number of the question.
        id: u16,
        /// What is asked for.
        kind: Kind,
    },
    /// There is a good answer, of a name server given by its rank.
    Answered(usize),
    /// There is none; what was known holds on.
    Failed,
    /// There is none, and what was known does not hold any more. The text says why, as haproxy does.
    Gone(&'static str),
}

/// Something that an answer told, and when one told it last.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen<T> {
    what: T,
    at: u64,
}

/// A name that is asked for.
#[derive(Debug)]
pub struct Lookup {
    name: Name,
    service: bool,
    prefer: Kind,
    state: State,
    /// When a good answer came last, or when the lookup began with a known address.
    last_good: Option<u64>,
    /// When a good answer came last.
    last_answer: Option<u64>,
    addresses: Vec<Seen<IpAddr>>,
    services: Vec<Seen<Service>>,
    hosts: Vec<(Name, IpAddr)>,
}

impl Lookup {
    /// A name to be asked for at once. `prefer` is the family that is asked for first; `known`: a server has an address already.
    pub fn new(name: Name, service: bool, prefer: Kind, known: bool, now: u64) -> Self {
        let state = State::Waiting { until: now };
        let last_good = known.then_some(now);
        let (addresses, services, hosts) = (Vec::new(), Vec::new(), Vec::new());
        Self { name, service, prefer, state, last_good, last_answer: None, addresses, services, hosts }
    }

    /// A server has an address: what is known holds from now at least.
    pub fn hold_from(&mut self, now: u64) {
        self.last_good = self.last_good.or(Some(now));
    }

    /// The name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Whether it is about a service.
    pub fn is_service(&self) -> bool {
        self.service
    }

    /// The family that is asked for first.
    pub fn prefer(&self) -> Kind {
        self.prefer
    }

    /// The addresses that hold, in the order of the answers.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses.iter().map(|seen| seen.what)
    }

    /// The hosts of the service that hold, likewise.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().map(|seen| &seen.what)
    }

    /// The address of a host that the last answer told along.
    pub fn told(&self, host: &Name) -> impl Iterator<Item = IpAddr> + use<'_> {
        let host = host.clone();
        self.hosts.iter().filter(move |(name, _)| *name == host).map(|(_, ip)| *ip)
    }

    /// When [`Lookup::tick`] is to be called.
    pub fn due(&self) -> u64 {
        match &self.state {
            State::Waiting { until } => *until,
            State::Asking(asked) => asked.deadline,
        }
    }

    /// The question that waits for answers.
    pub fn asked(&self) -> Option<(u16, Kind)> {
        match &self.state {
            State::Waiting { .. } => None,
            State::Asking(asked) => Some((asked.id, asked.kind)),
        }
    }

    /// Those who have not answered the question that waits, by their ranks.
    pub fn silent(&self) -> impl Iterator<Item = usize> + '_ {
        let heard: &[bool] = match &self.state {
            State::Waiting { .. } => &[],
            State::Asking(asked) => &asked.heard,
        };
        heard.iter().enumerate().filter(|(_, heard)| !**heard).map(|(rank, _)| rank)
    }

    /// The addresses, if a good answer told them that recently: `hold valid`, in milliseconds.
    pub fn fresh(&self, now: u64, valid: u64) -> impl Iterator<Item = IpAddr> + '_ {
        let fresh = self.last_answer.is_some_and(|last| now <= last.saturating_add(valid));
        self.addresses().filter(move |_| fresh)
    }

    /// Somebody waits: what is not being asked is asked at once.
    pub fn hasten(&mut self, now: u64) {
        if let State::Waiting { until } = &mut self.state {
            *until = now.min(*until);
        }
    }

    /// Time has passed. `id` is the number of a question that is asked anew: nobody must be able to guess it. Its repetitions keep
    /// it, so that an answer to any of them is one.
    pub fn tick(&mut self, now: u64, settings: &Settings, id: u16) -> Step {
        if now < self.due() {
            return Step::Nothing;
        }
        match &self.state {
            State::Waiting { .. } => self.ask(now, settings, id, self.first_kind(), settings.tries, false, None),
            State::Asking(asked) if asked.tries_left == 0 => {
                let failure = asked.failure;
                self.give_up(now, settings, failure)
            }
            State::Asking(asked) => {
                let (id, tries, failure) = (asked.id, asked.tries_left, asked.failure);
                self.ask(now, settings, id, self.first_kind(), tries, false, failure)
            }
        }
    }

    /// An answer to the question that waits has come from a name server, given by its rank.
    pub fn answered(&mut self, now: u64, settings: &Settings, from: usize, verdict: Result<Records, Failure>) -> Step {
        let State::Asking(asked) = &mut self.state else { return Step::Nothing };
        match verdict {
            Ok(records) => {
                self.learn(now, &settings.hold, records);
                self.state = State::Waiting { until: now + milliseconds(settings.resolve) };
                Step::Answered(from)
            }
            Err(failure) => {
                asked.failure = Some(failure);
                if let Some(heard) = asked.heard.get_mut(from) {
                    *heard = true;
                }
                if asked.heard.contains(&false) {
                    return Step::Nothing;
                }
                let (id, kind, tries, deadline) = (asked.id, asked.kind, asked.tries_left, asked.deadline);
                let other = match kind {
                    Kind::A => Kind::Aaaa,
                    Kind::Aaaa => Kind::A,
                    Kind::Srv => Kind::Srv,
                };
                if !asked.second && !self.service {
                    let step = self.ask(now, settings, id, other, tries + 1, true, Some(failure));
                    // Both families share the time of a try.
                    if let State::Asking(asked) = &mut self.state {
                        asked.deadline = deadline.max(now + 1);
                    }
                    return step;
                }
                if tries == 0 { self.give_up(now, settings, Some(failure)) } else { Step::Nothing }
            }
        }
    }

    fn first_kind(&self) -> Kind {
        if self.service { Kind::Srv } else { self.prefer }
    }

    #[expect(clippy::too_many_arguments, reason = "all that a question is made of")]
    fn ask(
        &mut self,
        now: u64,
        settings: &Settings,
        id: u16,
        kind: Kind,
        tries: u32,
        second: bool,
        failure: Option<Failure>,
    ) -> Step {
        self.state = State::Asking(Asked {
            id,
            kind,
            second,
            tries_left: tries.saturating_sub(1),
            deadline: now + milliseconds(settings.retry).max(1),
            heard: vec![false; settings.nameservers.len()],
            failure,
        });
        Step::Ask { id, kind }
    }

    /// There is no answer. A failure that was told counts more than silence.
    fn give_up(&mut self, now: u64, settings: &Settings, failure: Option<Failure>) -> Step {
        self.state = State::Waiting { until: now + milliseconds(settings.resolve).max(1) };
        let hold = &settings.hold;
        let (holds, why) = match failure {
            None => (hold.timeout, "DNS timeout status"),
            Some(Failure::Nx) => (Some(hold.nx), "DNS NX status"),
            Some(Failure::Refused) => (hold.refused, "DNS refused status"),
            Some(Failure::Truncated | Failure::Empty | Failure::Cname | Failure::Other(_)) => {
                (hold.other, "unspecified DNS error")
            }
        };
        let over = |last: u64| holds.is_some_and(|holds| now >= last.saturating_add(milliseconds(holds)));
        match self.last_good {
            Some(last) if over(last) => {
                self.last_good = None;
                self.addresses.clear();
                self.services.clear();
                self.hosts.clear();
                Step::Gone(why)
            }
            Some(_) | None => Step::Failed,
        }
    }

    fn learn(&mut self, now: u64, hold: &Hold, records: Records) {
        (self.last_good, self.last_answer) = (Some(now), Some(now));
        let holds = milliseconds(hold.obsolete);
        merge(&mut self.addresses, records.addresses, now, holds, |one, other| one == other);
        merge(&mut self.services, records.services, now, holds, |one, other| {
            one.host == other.host && one.port == other.port
        });
        self.hosts = records.hosts;
    }
}

/// Remembers what was told now, first what was known; what is no more told holds for a while.
fn merge<T>(known: &mut Vec<Seen<T>>, told: Vec<T>, now: u64, holds: u64, same: impl Fn(&T, &T) -> bool) {
    for what in told {
        match known.iter_mut().find(|seen| same(&seen.what, &what)) {
            Some(seen) => *seen = Seen { what, at: now },
            None => known.push(Seen { what, at: now }),
        }
    }
    known.retain(|seen| seen.at == now || now < seen.at.saturating_add(holds));
}

/// Whole milliseconds.
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests;
