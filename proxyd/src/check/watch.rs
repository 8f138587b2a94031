//! One server that is watched: its checks, its agent, its slow start, and those that follow it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::{sleep_until, timeout_at};

use super::probe::{self, Answer};
use super::slowstart::Ramp;
use super::{AgentChange, Common, Method, Plan, program, target};
use crate::balance::server_state::{AdminState, Running, ServerState};
use crate::clock;
use crate::generation::Handle;
use crate::health::change::{self, Event, Leader, Subject};
use crate::health::observe::Evidence;
use crate::health::script::CheckKind;
use crate::health::script::run::{Scene, Script};
use crate::health::{CheckResult, CheckStatus, Health};
use crate::proxy::Endpoint;
use crate::sample::Live;

/// A server and what is done about its health.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) plan: Plan,
    server: Arc<ServerState>,
    common: Rc<Common>,
    ramp: RefCell<Ramp>,
    /// Where the check is, now.
    check_at: Cell<Option<Endpoint>>,
    /// Where the agent is and what is said to it, now.
    agent: RefCell<Option<(Endpoint, Arc<Script>)>>,
    /// The next check is due earlier than was thought.
    hurry: Notify,
}

impl Watch {
    /// `None` if the farm has no such server.
    pub(super) fn new(plan: Plan, common: Rc<Common>) -> Option<Self> {
        let server = Arc::clone(plan.member.server()?);
        let agent = plan.agent.as_ref().map(|(probe, _)| (probe.endpoint, Arc::clone(&probe.script)));
        let check_at = Cell::new(match &plan.check {
            Some(Method::Probe(probe)) => Some(probe.endpoint),
            Some(Method::Program(_)) | None => None,
        });
        let (ramp, agent) = (RefCell::default(), RefCell::new(agent));
        Some(Self { plan, server, common, ramp, check_at, agent, hurry: Notify::new() })
    }

    /// Puts a server that was never checked into its first state. One that lived before this configuration keeps its own.
    pub(super) fn begin(&self) {
        // A check of the configuration before may have been cut short.
        let fresh = {
            let mut report = self.server.report();
            report.checking = false;
            report.asking = false;
            self.plan.check.is_some()
                && report.last.status == CheckStatus::Initializing
                && self.server.admin() != AdminState::Maint
        };
        if fresh {
            let health = self.plan.pace.initial(self.plan.init_state);
            self.server.set_health_counter(health.counter);
            if health.running == Running::Down {
                self.plan.member.farm.set_running(self.plan.member.index, Running::Down);
                if self.plan.slowstart.is_some() {
                    self.plan.member.farm.set_ramp(self.plan.member.index, 1);
                }
                self.lead();
            }
        }
        self.ramp.borrow_mut().resume(&self.plan, &self.server);
    }

    /// Changes the server, tells of it, and lets others follow.
    pub(super) fn apply(&self, change: impl FnOnce(Subject<'_>, u64) -> Vec<Event>) {
        let followers = self.plan.trackers.iter().map(|tracker| &tracker.farm);
        let farms: Vec<_> = std::iter::once(&self.plan.member.farm).chain(followers).collect();
        self.common.watching_shuts(&farms, || {
            let before = self.server.running();
            let events = change(self.plan.member.subject(), self.common.now_ms());
            self.common.tell(&self.plan.member.farm, &events);
            let after = self.server.running();
            self.lead();
            self.ramp.borrow_mut().follow(&self.plan, before, after);
        });
    }

    /// Traffic has told too often that something is wrong: it counts as `on-error` says, and a check follows soon.
    pub(super) fn analyze(&self, last: Evidence) {
        let (pace, every) = (&self.plan.pace, self.plan.log_every);
        self.apply(|subject, now_ms| change::analyzed(subject, pace, last, every, now_ms));
        self.hurry.notify_one();
    }

    /// Those that track a server are what it is.
    pub(super) fn lead(&self) {
        if self.plan.trackers.is_empty() {
            return;
        }
        let name = self.plan.member.name();
        let leader = Leader {
            name: &name,
            running: self.server.running(),
            admin: self.server.admin(),
            agent_down: self.server.agent_down(),
        };
        for tracker in &self.plan.trackers {
            self.common.tell(&tracker.farm, &change::followed(tracker.subject(), leader, self.common.now_ms()));
        }
    }

    fn health(&self) -> Health {
        Health { counter: self.server.health_counter(), running: self.server.running() }
    }

    fn interval(&self) -> Duration {
        self.common.spread(self.plan.pace.interval(self.health()), self.plan.spread_percent)
    }

    pub(super) async fn keep_checking(self: Rc<Self>, first: Instant) {
        let Some(method) = &self.plan.check else { return };
        let mut due = first;
        loop {
            while timeout_at(due.into(), self.hurry.notified()).await.is_ok() {
                due = due.min(clock::now() + self.fast_interval());
            }
            if self.server.admin() != AdminState::Maint && self.server.is_checked() {
                self.server.report().checking = true;
                let started = clock::now();
                let result = self.check(method).await;
                self.server.report().checking = false;
                // It lost its address meanwhile, or the check its port: nothing was found out.
                let Some(mut result) = result else {
                    due = clock::now() + self.interval();
                    continue;
                };
                result.duration = clock::now() - started;
                let (pace, every) = (&self.plan.pace, self.plan.log_every);
                self.apply(|subject, now_ms| change::checked(subject, pace, result, every, now_ms));
            }
            due = clock::now() + self.interval();
        }
    }

    /// `None` where there is nowhere to connect to.
    async fn check(&self, method: &Method) -> Option<CheckResult> {
        let inter = self.plan.pace.inter;
        let place = Arc::clone(&self.server.location().get());
        match method {
            Method::Program(program) => Some(program::run(program, &place, inter, self.server.served()).await),
            Method::Probe(probe) => {
                let target = target(self.check_at.get()?, &place)?;
                let state = probe::state_header(probe, &target, &self.plan.member);
                let process = self.common.outlets.process.as_ref().map(Handle::load);
                let farm = &self.plan.member.farm.settings().name;
                let scene = process.as_ref().and_then(|process| {
                    let server = (self.server.settings().id, self.server.name());
                    let backend = process.backend_named(farm.as_bytes())?;
                    let (live, now_ms) = (&**process as &dyn Live, self.common.now_ms());
                    Some(Scene { live, backend: (backend, farm), server, now: clock::date(), now_ms })
                });
                Some(match probe::run(probe, &target, inter, state, scene).await {
                    Answer::Result(result) => result,
                    Answer::Reply(reply) => reply.result(),
                })
            }
        }
    }

    fn fast_interval(&self) -> Duration {
        self.plan.pace.fastinter.unwrap_or(self.plan.pace.inter)
    }

    pub(super) async fn keep_asking(self: Rc<Self>, first: Instant) {
        let Some((probe, inter)) = &self.plan.agent else { return };
        let mut due = first;
        loop {
            sleep_until(due.into()).await;
            let settings = self.agent.borrow().clone().filter(|_| self.server.asks_agent());
            let place = Arc::clone(&self.server.location().get());
            let settings = settings.and_then(|(endpoint, script)| Some((target(endpoint, &place)?, script)));
            if let Some((target, script)) = settings {
                self.server.report().asking = true;
                let started = clock::now();
                let answer = probe::ask(probe, &target, &script, *inter).await;
                self.server.report().asking = false;
                let duration = clock::now() - started;
                let reply = match answer {
                    Answer::Reply(reply) => Ok(reply),
                    Answer::Result(result) => Err(result),
                };
                let every = self.plan.log_every;
                self.apply(|subject, now_ms| change::agent_asked(subject, reply, duration, every, now_ms));
            }
            due = clock::now() + self.common.spread(*inter, self.plan.spread_percent);
        }
    }

    /// Where the check and the agent are now, as far as that is not where the server is.
    pub(super) fn endpoints(&self) -> (Option<Endpoint>, Option<Endpoint>) {
        (self.check_at.get(), self.agent.borrow().as_ref().map(|(endpoint, _)| *endpoint))
    }

    pub(super) fn redirect_check(&self, change: impl FnOnce(&mut Endpoint)) -> bool {
        let Some(mut endpoint) = self.check_at.get() else { return false };
        change(&mut endpoint);
        self.check_at.set(Some(endpoint));
        true
    }

    pub(super) fn redirect_agent(&self, change: AgentChange) -> bool {
        let mut agent = self.agent.borrow_mut();
        let Some((endpoint, script)) = &mut *agent else { return false };
        match change {
            AgentChange::Address(ip) => endpoint.address = Some(ip),
            AgentChange::Port(port) => endpoint.port = Some(port),
            AgentChange::Send(text) => match Script::compile(&CheckKind::Agent(text.into_bytes()), false) {
                Ok(compiled) => *script = Arc::new(compiled),
                Err(_) => return false,
            },
        }
        true
    }
}
