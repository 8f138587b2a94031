//! Runs the health checks, on the control thread and beside all traffic.
//!
//! One task per checked server: wait, probe, judge ([`health::change`]), tell, and wait again. A probe that hangs
//! holds up nothing but itself. [`probe`] is one check on the wire.

mod probe;
mod slowstart;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep_until;

use crate::balance::farm::Farm;
use crate::balance::server_state::{AdminState, Running, ServerState};
use crate::clock;
use crate::health::change::{self, Event, Subject};
use crate::health::script::run::Script;
use crate::health::{Health, InitState, Pace};
use crate::net::connect::{Options, Target};
use crate::proxy::address::SendProxy;

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
}

/// Everything about the checks of one server.
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
    /// What is said and expected; shared by the servers of a backend.
    pub script: Arc<Script>,
    /// Where to connect to.
    pub target: Target,
    /// How.
    pub options: Options,
    /// A PROXY header comes first.
    pub send_proxy: Option<SendProxy>,
    /// `http-check send-state`; the node's name.
    pub send_state: Option<String>,
    /// `timeout connect` of the backend.
    pub connect_timeout: Option<Duration>,
    /// `timeout check` of the backend.
    pub check_timeout: Option<Duration>,
    /// `option log-health-checks`.
    pub log_every: bool,
    /// `slowstart`.
    pub slowstart: Option<Duration>,
    /// `spread-checks`: intervals vary by so many percent either way.
    pub spread_percent: u8,
}

/// Where events go: told the farm of the backend they belong to.
pub type Sink = Rc<dyn Fn(&Arc<Farm>, &Event)>;

/// The checks that run. Dropping it ends them, also those under way.
#[derive(Debug, Default)]
pub struct Checks {
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Checks {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What all checks share.
struct Common {
    sink: Sink,
    /// The start of the process; statistics count from here.
    epoch: Instant,
    /// For `spread-checks`.
    random: RefCell<u64>,
}

impl Common {
    fn now_ms(&self) -> u64 {
        u64::try_from((clock::now() - self.epoch).as_millis()).unwrap_or(u64::MAX)
    }

    fn tell(&self, farm: &Arc<Farm>, events: &[Event]) {
        for event in events {
            (self.sink)(farm, event);
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
pub fn start(plans: Vec<Plan>, epoch: Instant, max_spread: Option<Duration>, sink: Sink) -> Checks {
    let shortest = plans.iter().map(|plan| plan.pace.inter).min().unwrap_or_default();
    let span = max_spread.map_or(shortest, |limit| limit.min(shortest));
    let count = u32::try_from(plans.len()).unwrap_or(u32::MAX).max(1);
    let common = Rc::new(Common { sink, epoch, random: RefCell::new(u64::from(std::process::id())) });
    let tasks = plans.into_iter().zip(0..).map(|(plan, rank)| {
        let first = clock::now() + span * rank / count;
        spawn_local(keep_checking(plan, first, Rc::clone(&common)))
    });
    Checks { tasks: tasks.collect() }
}

async fn keep_checking(plan: Plan, first: Instant, common: Rc<Common>) {
    let Some(server) = plan.member.server().map(Arc::clone) else { return };
    begin(&plan, &server, &common);
    let mut due = first;
    let mut ramp = slowstart::Ramp::default();
    ramp.resume(&plan, &server);
    loop {
        sleep_until(due.into()).await;
        if server.admin() != AdminState::Maint {
            server.report().checking = true;
            let result = probe::run(&plan, &server).await;
            server.report().checking = false;
            let before = server.running();
            let events = change::checked(plan.member.subject(), &plan.pace, result, plan.log_every, common.now_ms());
            common.tell(&plan.member.farm, &events);
            follow(&plan, before, server.running(), &common);
            ramp.follow(&plan, before, server.running());
        }
        let health = Health { counter: server.health_counter(), running: server.running() };
        due = clock::now() + common.spread(plan.pace.interval(health), plan.spread_percent);
    }
}

/// Puts a server that was never checked into its first state. One that lived before this configuration keeps its own.
fn begin(plan: &Plan, server: &ServerState, common: &Common) {
    // A check of the configuration before may have been cut short.
    server.report().checking = false;
    if server.report().last.status != crate::health::CheckStatus::Initializing {
        return;
    }
    let health = plan.pace.initial(plan.init_state);
    server.set_health_counter(health.counter);
    if health.running == Running::Down {
        plan.member.farm.set_running(plan.member.index, Running::Down);
        if plan.slowstart.is_some() {
            plan.member.farm.set_ramp(plan.member.index, 1);
        }
        follow(plan, Running::Up, Running::Down, common);
    }
}

/// Those that track a server go up and down with it.
fn follow(plan: &Plan, before: Running, after: Running, common: &Common) {
    if before == after {
        return;
    }
    let name = plan.member.name();
    for tracker in &plan.trackers {
        let events = change::followed(tracker.subject(), after, &name, common.now_ms());
        common.tell(&tracker.farm, &events);
    }
}

#[cfg(test)]
mod tests;
