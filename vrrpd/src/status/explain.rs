//! Why an instance is in its state, and what would have to change for it to become master: a value, shown by others.

use super::span;
use crate::packet::Family;
use crate::router::Router;
use crate::router::watched::Watched;
use crate::track::Share;
use crate::vrrp::history::{Refused, Sender};
use crate::vrrp::settings::{Auth, Transport};
use crate::vrrp::state::State;
use crate::vrrp::timer::Timer;
use crate::vrrp::{Instance, Phase};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// A master that has heard nobody for so long after its start says so.
const SILENCE: Duration = Duration::from_secs(10);

/// One instance, explained.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Its name.
    pub name: String,
    /// Its state.
    pub phase: Phase,
    /// How long it has been in it.
    pub since: Option<Duration>,
    /// Interface, virtual router id, and how adverts travel.
    pub place: String,
    /// Where its adverts come from.
    pub source: Option<IpAddr>,
    /// Why it is in this state.
    pub reasons: Vec<String>,
    /// As configured.
    pub base_priority: u8,
    /// After weights.
    pub effective_priority: u8,
    /// What it watches.
    pub watched: Vec<Watched>,
    /// Whom it heard, how long ago.
    pub heard: Vec<(Sender, Duration)>,
    /// The last advert that did not count, how long ago.
    pub refused: Option<(Refused, Duration)>,
    /// What runs, and how long it has left.
    pub timers: Vec<(&'static str, Duration)>,
    /// What would have to change for it to become master; empty for a master.
    pub to_become_master: Vec<String>,
    /// What an operator should look at.
    pub hints: Vec<String>,
}

/// Explains the instance at this place.
pub fn explain(router: &Router, place: usize, now: Instant) -> Option<Explanation> {
    let instance = router.instances().nth(place)?;
    let settings = instance.settings();
    let watched = router.watched(place);
    let age = |at: Instant| now.saturating_duration_since(at);
    let history = instance.history();
    let explained = Explanation {
        name: settings.name.clone(),
        phase: instance.phase(),
        since: instance.changed_at().map(age),
        place: describe(instance),
        source: instance.source(),
        reasons: reasons(instance, &watched),
        base_priority: settings.priority,
        effective_priority: instance.effective_priority(),
        heard: history.senders().iter().map(|sender| (*sender, age(sender.at))).collect(),
        refused: history.refused().map(|refused| (refused.clone(), age(refused.at))),
        timers: instance.timers().iter().map(|(timer, at)| (word(timer), at.saturating_duration_since(now))).collect(),
        to_become_master: conditions(instance, &watched),
        hints: Vec::new(),
        watched,
    };
    Some(Explanation { hints: hints(instance, &explained), ..explained })
}

fn describe(instance: &Instance) -> String {
    let settings = instance.settings();
    let family = match settings.family {
        Family::Inet => "IPv4",
        Family::Inet6 => "IPv6",
    };
    let way = match &settings.transport {
        Transport::Multicast { group, .. } => format!("multicast {group}"),
        Transport::Unicast { peers, .. } => {
            let peers: Vec<String> = peers.iter().map(|peer| peer.address.to_string()).collect();
            format!("unicast {}", peers.join(" "))
        }
    };
    let interface = settings.interface.as_deref().unwrap_or("no interface");
    let (vrid, version) = (settings.vrid, settings.version.number());
    let interval = settings.advert_interval.as_secs_f64();
    format!("{interface}, vrid {vrid}, version {version}, {family}, {way}, advert every {interval}s")
}

fn word(timer: Timer) -> &'static str {
    match timer {
        Timer::Startup => "startup delay",
        Timer::MasterDown => "master is missed",
        Timer::PreemptDelay => "preempt delay",
        Timer::Advert => "next advert",
        Timer::Listen => "listening after a stall",
        Timer::GarpSecond => "second gratuitous ARP",
        Timer::GarpLowerPrio => "gratuitous ARP after a worse master",
        Timer::GarpRefresh => "gratuitous ARP refresh",
        Timer::GarpExtra => "gratuitous ARP on further interfaces",
    }
}

fn reasons(instance: &Instance, watched: &[Watched]) -> Vec<String> {
    let settings = instance.settings();
    match instance.state() {
        State::Init if instance.tracked().waiting => vec!["trackers have no first result yet".to_owned()],
        State::Init => vec!["not started yet".to_owned()],
        State::Master if settings.is_owner() => vec!["priority 255: it owns the addresses".to_owned()],
        State::Master => {
            let rival = instance.history().senders().iter().filter(|sender| sender.priority > 0).max_by_key(|s| s.at);
            vec![match rival {
                None => "no advert of another master was ever heard".to_owned(),
                Some(sender) => format!("no better master is heard; the last was {}", candidate(sender)),
            }]
        }
        State::Backup { master: Some(heard), .. } => {
            let (address, priority) = (heard.address, heard.priority);
            let ours = instance.effective_priority();
            vec![if priority >= ours {
                format!("{address} is master with priority {priority}, ours is {ours}")
            } else if settings.preempt {
                format!("{address} is master with priority {priority}, worse than ours ({ours}), until a delay is over")
            } else {
                format!("{address} is master with priority {priority}; ours is {ours}, but nopreempt is set")
            }]
        }
        State::Backup { master: None, .. } => vec!["no master heard yet, waiting for one to be missed".to_owned()],
        State::Fault => faults(instance, watched),
    }
}

fn candidate(sender: &Sender) -> String {
    format!("{} with priority {}", sender.address, sender.priority)
}

fn faults(instance: &Instance, watched: &[Watched]) -> Vec<String> {
    let (faults, settings) = (instance.faults(), instance.settings());
    let interface = settings.interface.as_deref().unwrap_or("its interface");
    let mut lines = Vec::new();
    if faults.link {
        let device = instance.down_device().unwrap_or(interface);
        lines.push(format!("{device} is down or does not exist"));
    }
    if faults.source {
        lines.push(match settings.source() {
            Some(source) => format!("its source address {source} is not an address of this host"),
            None => format!("there is no address on {interface} to send adverts from"),
        });
    }
    for tracker in watched.iter().filter(|tracker| tracker.share == Share::Fault) {
        lines.push(format!("{} {} {} and has weight 0", tracker.kind, tracker.name, tracker.finding));
    }
    if let Auth::Unsupported(kind) = settings.auth {
        lines.push(format!("{kind} is not supported, and without it this node would not hear its peers"));
    }
    if faults.peers {
        lines.push("it is to be unicast and has no peer".to_owned());
    }
    if faults.group {
        lines.push("another member of its sync group is in fault".to_owned());
    }
    if lines.is_empty() {
        lines.push("a tracker of weight 0 has failed or has no result yet".to_owned());
    }
    lines
}

fn conditions(instance: &Instance, watched: &[Watched]) -> Vec<String> {
    let settings = instance.settings();
    match instance.state() {
        State::Master => Vec::new(),
        State::Init => vec!["first it has to start; then the election decides".to_owned()],
        State::Fault => {
            let mut lines: Vec<String> =
                faults(instance, watched).into_iter().map(|line| format!("this has to end: {line}")).collect();
            lines.push("then the election decides".to_owned());
            lines
        }
        State::Backup { master: None, .. } => vec!["no advert arrives until the timer runs out".to_owned()],
        State::Backup { master: Some(heard), .. } => {
            let ours = instance.effective_priority();
            let mut lines =
                vec![format!("{} stops sending adverts, or resigns with an advert of priority 0", heard.address)];
            if !settings.preempt {
                lines.push("a better priority alone does not help, since nopreempt is set".to_owned());
            } else if heard.priority >= ours {
                lines.push(format!("or this priority rises above {} (it is {ours})", heard.priority));
                for tracker in watched.iter().filter(|tracker| takes_away(tracker)) {
                    let weight = tracker.weight.unsigned_abs();
                    lines.push(format!("  {} {} costs {weight} of it now", tracker.kind, tracker.name));
                }
            }
            lines
        }
    }
}

/// Whether the priority is lower than it would be if this were well.
fn takes_away(tracker: &Watched) -> bool {
    match tracker.share {
        Share::Priority(bonus) => (tracker.weight < 0) == (bonus < 0) && tracker.weight != 0 && bonus <= 0,
        Share::Fault | Share::Wait => false,
    }
}

fn hints(instance: &Instance, explained: &Explanation) -> Vec<String> {
    let settings = instance.settings();
    let mut hints = Vec::new();
    let settled = explained.since.is_some_and(|since| since >= SILENCE);
    if instance.phase() == Phase::Master && explained.heard.is_empty() && settled {
        let way = match settings.transport {
            Transport::Multicast { group, .. } => format!("multicast to {group}, IP protocol 112, both ways"),
            Transport::Unicast { .. } => "the peers' addresses on both nodes, IP protocol 112 both ways".to_owned(),
        };
        hints.push(format!(
            "I am MASTER and have never heard a peer: if there is one, both may be master (split brain). Check {way}"
        ));
    }
    if let Some((refused, age)) = &explained.refused
        && explained.heard.iter().all(|(sender, heard)| sender.address != refused.source || heard > age)
    {
        let (source, reason) = (refused.source, &refused.reason);
        hints.push(format!("adverts of {source} do not count, the last {} ago: {reason}", span(*age)));
    }
    for tracker in &explained.watched {
        if let Some(trouble) = &tracker.trouble {
            hints.push(format!("{} {} cannot be checked: {trouble}", tracker.kind, tracker.name));
        }
    }
    let masters = explained.heard.iter().filter(|(sender, age)| sender.priority > 0 && *age < sender.interval * 3);
    if masters.count() > usize::from(instance.phase() != Phase::Master) {
        hints.push("more than one master is heard on this virtual router id".to_owned());
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify;
    use crate::packet::{Datagram, vrrp2};
    use crate::router::{self, Input, Outputs, interface::Interface};
    use crate::vrrp::settings::{Settings, VirtualAddress};

    fn router(now: Instant) -> Router {
        let mut vrrp = Settings::new("VI_1", "eth0", 51);
        vrrp.addresses = vec![VirtualAddress::new(IpAddr::from([192, 0, 2, 50]), 24)];
        let instance = router::Instance { vrrp, notify: notify::Settings::default() };
        let mut router = Router::new(router::Settings { instances: vec![instance], ..router::Settings::default() });
        let addresses = vec![IpAddr::from([192, 0, 2, 1])];
        let interface = Interface { name: "eth0".into(), index: 2, running: true, addresses };
        let mut out = Outputs::new();
        router.handle(now, Input::Interface(interface), &mut out);
        router.handle(now, Input::Start, &mut out);
        router
    }

    #[test]
    fn a_master_that_never_heard_anybody_says_so() {
        let start = crate::clock::now();
        let mut router = router(start);
        let explained = explain(&router, 0, start).unwrap();
        assert_eq!(explained.phase, Phase::Backup);
        assert_eq!(explained.reasons, ["no master heard yet, waiting for one to be missed"]);
        let mut out = Outputs::new();
        let due = router.next_deadline().unwrap();
        router.handle(due, Input::Time, &mut out);
        let explained = explain(&router, 0, due + SILENCE).unwrap();
        assert_eq!((explained.phase, explained.since), (Phase::Master, Some(SILENCE)));
        assert!(explained.hints[0].starts_with("I am MASTER and have never heard a peer"), "{:?}", explained.hints);
        assert!(explained.to_become_master.is_empty());
    }

    #[test]
    fn a_backup_names_its_master() {
        let start = crate::clock::now();
        let mut router = router(start);
        let addresses = [IpAddr::from([192, 0, 2, 50])];
        let repr = vrrp2::Repr { vrid: 51, priority: 150, interval: 1, password: None, addresses: &addresses };
        let message = repr.emit();
        let (source, destination) = (IpAddr::from([192, 0, 2, 2]), IpAddr::from([224, 0, 0, 18]));
        let datagram = Datagram { source, destination, ttl: 255, header_len: 20, message: &message };
        router.handle(start, Input::Packet { interface: 2, datagram }, &mut Outputs::new());
        let explained = explain(&router, 0, start + Duration::from_secs(1)).unwrap();
        assert_eq!(explained.reasons, ["192.0.2.2 is master with priority 150, ours is 100"]);
        assert_eq!(explained.heard[0].1, Duration::from_secs(1));
        assert_eq!(explained.to_become_master[1], "or this priority rises above 150 (it is 100)");
        assert!(explained.hints.is_empty(), "{:?}", explained.hints);
        assert!(explain(&router, 1, start).is_none());
    }
}
