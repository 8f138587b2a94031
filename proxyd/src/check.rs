//! Runs the health checks, on the control thread and beside all traffic.
//!
//! One [`Watch`] per server that is checked or whose agent is asked, with a task for each: wait, probe, judge
//! ([`health::change`]), tell, and wait again. A probe that hangs holds up nothing but itself. [`probe`] is one check on the
//! wire. Whoever else changes such a server, an administrator for one, does it through [`Checks::apply`], so that those who
//! track it follow.

mod probe;
mod program;
mod slowstart;
mod watch;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, spawn_local};

use crate::balance::farm::Farm;
use crate::balance::server_state::ServerState;
use crate::clock;
use crate::generation::Handle;
use crate::health::change::{Event, Subject};
use crate::health::observe::Evidence;
use crate::health::script::run::Script;
use crate::health::{InitState, Pace};
use crate::net::connect::{Options, Target};
use crate::proxy::address::{SendProxy, ServerAddress, ServerPort};
use crate::proxy::{Endpoint, Place};
pub use program::Program;
use watch::Watch;

/// A server of a farm.
#[derive(Debug, Clone)]
pub struct Member {
    /// The farm.
    pub farm: Arc<Farm>,
    /// The server's rank in it.
    pub index: usize,
}

impl Member {
    fn server(&self) -> Option<&Arc<ServerState>> {
        self.farm.servers().get(self.index)
    }

    fn name(&self) -> String {
        let server = self.server().map_or("", |server| server.name());
        format!("{}/{server}", self.farm.settings().name)
    }

    fn subject(&self) -> Subject<'_> {
        Subject { farm: &self.farm, index: self.index }
    }

    /// Whether it is this one.
    pub fn is(&self, farm: &Arc<Farm>, index: usize) -> bool {
        Arc::ptr_eq(&self.farm, farm) && self.index == index
    }
}

/// Everything about the health of one server.
#[derive(Debug)]
pub struct Plan {
    /// The server.
    pub member: Member,
    /// Those that track it, directly or through others.
    pub trackers: Vec<Member>,
    /// Intervals and thresholds.
    pub pace: Pace,
    /// Where it starts.
    pub init_state: InitState,
    /// Its health check.
    pub check: Option<Method>,
    /// Its agent, and how often it is asked.
    pub agent: Option<(Probe, Duration)>,
    /// `option log-health-checks`.
    pub log_every: bool,
    /// `slowstart`.
    pub slowstart: Option<Duration>,
    /// `spread-checks`: intervals vary by so many percent either way.
    pub spread_percent: u8,
}

impl Plan {
    /// Check and agent are where an administrator had put them.
    pub fn begin_at(&mut self, check: Endpoint, agent: Endpoint) {
        let moved = |probe: &mut Probe, to: Endpoint| {
            probe.endpoint.address = to.address.or(probe.endpoint.address);
            probe.endpoint.port = to.port.or(probe.endpoint.port);
        };
        if let Some(Method::Probe(probe)) = &mut self.check {
            moved(probe, check);
        }
        if let Some((probe, _)) = &mut self.agent {
            moved(probe, agent);
        }
    }
}

/// How a server is checked.
#[derive(Debug)]
pub enum Method {
    /// By a connection.
    Probe(Box<Probe>),
    /// By a program.
    Program(Program),
}

/// What is said to whom.
#[derive(Debug)]
pub struct Probe {
    /// What is said and expected; shared by the servers of a backend.
    pub script: Arc<Script>,
    /// Where to connect to, as far as that is not where the server is.
    pub endpoint: Endpoint,
    /// How.
    pub options: Options,
    /// The server's `socks4`.
    pub socks4: Option<SocketAddr>,
    /// `check-via-socks4`: checks go there, too.
    pub via_socks4: bool,
    /// A PROXY header comes first.
    pub send_proxy: Option<SendProxy>,
    /// `pp2-never-send-local`: that header is one of a client's connection.
    pub never_local: bool,
    /// `http-check send-state`; the node's name.
    pub send_state: Option<String>,
    /// `timeout connect` of the backend.
    pub connect_timeout: Option<Duration>,
    /// `timeout check` of the backend.
    pub check_timeout: Option<Duration>,
}

/// Where events go: told the farm of the backend they belong to.
pub type Sink = Rc<dyn Fn(&Arc<Farm>, &Event)>;

/// Who is told what.
#[derive(Clone)]
pub struct Outlets {
    /// What is to be logged.
    pub events: Sink,
    /// Sessions were shut down and must be woken to see it.
    pub wake: Rc<dyn Fn()>,
    /// What the texts of checks ask for. `None`: they are empty.
    pub process: Option<Handle>,
}

/// The checks that run. Dropping it ends them, also those under way.
#[derive(Debug, Default)]
pub struct Checks {
    watches: Vec<Rc<Watch>>,
    common: Option<Rc<Common>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Checks {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Checks {
    fn watch(&self, farm: &Arc<Farm>, index: usize) -> Option<&Rc<Watch>> {
        self.watches.iter().find(|watch| watch.plan.member.is(farm, index))
    }

    /// Changes a server, given by its rank: tells of it, and those that track it follow. What `change` gets are milliseconds since
    /// the start of the process.
    pub fn apply(&self, farm: &Arc<Farm>, index: usize, change: impl FnOnce(Subject<'_>, u64) -> Vec<Event>) {
        if let Some(watch) = self.watch(farm, index) {
            watch.apply(change);
        } else if let Some(common) = &self.common {
            common.watching_shuts(&[farm], || common.tell(farm, &change(Subject { farm, index }, common.now_ms())));
        }
    }

    /// Somebody else has changed a server: those that track it follow.
    pub fn lead(&self, farm: &Arc<Farm>, index: usize) {
        self.apply(farm, index, |_, _| Vec::new());
    }

    /// Where a server's check and its agent are now, as far as that is not where the server is.
    pub fn endpoints(&self, farm: &Arc<Farm>, index: usize) -> (Option<Endpoint>, Option<Endpoint>) {
        self.watch(farm, index).map_or((None, None), |watch| watch.endpoints())
    }

    /// Traffic has told too often that something is wrong with a server.
    pub fn analyze(&self, farm: &Arc<Farm>, index: usize, last: Evidence) {
        if let Some(watch) = self.watch(farm, index) {
            watch.analyze(last);
        }
    }

    /// Another place for a server's check; false if it has none that connects.
    pub fn redirect_check(&self, farm: &Arc<Farm>, index: usize, change: impl FnOnce(&mut Endpoint)) -> bool {
        self.watch(farm, index).is_some_and(|watch| watch.redirect_check(change))
    }

    /// Another place or another text for a server's agent; false if it has none.
    pub fn redirect_agent(&self, farm: &Arc<Farm>, index: usize, change: AgentChange) -> bool {
        self.watch(farm, index).is_some_and(|watch| watch.redirect_agent(change))
    }
}

/// Where to connect to for a server that is at `place`. `None` where there is no address, or no port.
pub fn target(endpoint: Endpoint, place: &Place) -> Option<Target> {
    let port = endpoint.port.or(match place.port {
        ServerPort::Fixed(port) => Some(port),
        ServerPort::Mapped(_) => None,
    });
    let tcp = |address| port.map(|port| Target::Tcp((address, port).into()));
    match (endpoint.address, &place.address) {
        (Some(address), _) => tcp(address),
        (None, ServerAddress::Ip(address)) => tcp(*address),
        (None, ServerAddress::Unix(path)) => Some(Target::Unix(path.clone())),
        (None, ServerAddress::Abstract(name)) => Some(Target::Abstract(name.clone())),
        (None, ServerAddress::Destination | ServerAddress::Unresolved) => None,
    }
}

/// What an administrator may change about an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentChange {
    /// `agent-addr`.
    Address(std::net::IpAddr),
    /// `agent-port`.
    Port(u16),
    /// `agent-send`.
    Send(String),
}

/// What all checks share.
struct Common {
    outlets: Outlets,
    /// The start of the process; statistics count from here.
    epoch: Instant,
    /// For `spread-checks`.
    random: RefCell<u64>,
}

impl std::fmt::Debug for Common {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Common").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Common {
    fn now_ms(&self) -> u64 {
        u64::try_from((clock::now() - self.epoch).as_millis()).unwrap_or(u64::MAX)
    }

    fn tell(&self, farm: &Arc<Farm>, events: &[Event]) {
        for event in events {
            (self.outlets.events)(farm, event);
        }
    }

    /// Does something to servers of these farms, and wakes the sessions that it shut down.
    fn watching_shuts(&self, farms: &[&Arc<Farm>], work: impl FnOnce()) {
        let shuts = || farms.iter().map(|farm| u64::from(farm.shuts())).sum::<u64>();
        let before = shuts();
        work();
        if shuts() != before {
            (self.outlets.wake)();
        }
    }

    /// An interval, changed by up to `percent` in either direction.
    fn spread(&self, interval: Duration, percent: u8) -> Duration {
        if percent == 0 {
            return interval;
        }
        let mut state = self.random.borrow_mut();
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let drawn = f64::from(u32::try_from(*state >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX);
        interval.mul_f64(1.0 + (drawn * 2.0 - 1.0) * f64::from(percent.min(50)) / 100.0)
    }
}

/// Starts all checks, spread over the shortest interval so that they do not come in bursts; `max_spread` is
/// `max-spread-checks`. Must be called on a thread with a local runtime. `epoch` is the start of the process.
pub fn start(plans: Vec<Plan>, epoch: Instant, max_spread: Option<Duration>, outlets: Outlets) -> Checks {
    let agents = plans.iter().filter_map(|plan| plan.agent.as_ref().map(|(_, inter)| *inter));
    let shortest = plans.iter().filter(|plan| plan.check.is_some()).map(|plan| plan.pace.inter).chain(agents).min();
    let shortest = shortest.unwrap_or_default();
    let span = max_spread.map_or(shortest, |limit| limit.min(shortest));
    let count = u32::try_from(plans.len()).unwrap_or(u32::MAX).max(1);
    let common = Rc::new(Common { outlets, epoch, random: RefCell::new(u64::from(std::process::id())) });
    let mut checks = Checks { common: Some(Rc::clone(&common)), watches: Vec::new(), tasks: Vec::new() };
    for (plan, rank) in plans.into_iter().zip(0..) {
        let first = clock::now() + span * rank / count;
        let Some(watch) = Watch::new(plan, Rc::clone(&common)) else { continue };
        let watch = Rc::new(watch);
        watch.begin();
        if watch.plan.check.is_some() {
            checks.tasks.push(spawn_local(Rc::clone(&watch).keep_checking(first)));
        }
        if watch.plan.agent.is_some() {
            checks.tasks.push(spawn_local(Rc::clone(&watch).keep_asking(first)));
        }
        checks.watches.push(watch);
    }
    checks
}

#[cfg(test)]
mod tests;
