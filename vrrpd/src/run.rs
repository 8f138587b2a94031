//! One loop: an event becomes a fact, the router decides, `io` performs.

use crate::clock;
use crate::io::netlink::Fact;
use crate::io::{Event, Io};
use crate::limits::{BATCHES_BEFORE_TIMERS, EVENT_BATCH};
use crate::router::interface::Interface;
use crate::router::{Input, Output, Outputs, Router, Settings};
use crate::vrrp;
use std::collections::HashSet;
use std::io;
use std::time::Instant;

/// How often what was done may lead to something else to be done before other events are looked at.
const PERFORM_ROUNDS: usize = 4;

/// The router and its means.
pub struct Daemon {
    router: Router,
    io: Io,
    outputs: Outputs,
    /// `-a`
    log_addresses: bool,
    /// An instance changed its state.
    changed: bool,
}

impl Daemon {
    /// Surveys the interfaces and opens the sockets; the router waits for [`Daemon::start`].
    pub async fn open(settings: Settings) -> io::Result<Self> {
        let mut io = Io::open()?;
        io.configure(&settings)?;
        io.set_channels(&settings);
        let facts = io.survey()?;
        let mut daemon =
            Self { router: Router::new(settings), io, outputs: Outputs::new(), log_addresses: false, changed: false };
        daemon.learn_all(facts);
        daemon.watch().await;
        Ok(daemon)
    }

    /// Whether an instance changed its state since this was last asked.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Starts the router. These instances were masters of a process before this one until a moment ago.
    pub fn start(&mut self, masters: HashSet<String>) {
        self.router.handle(clock::now(), Input::Resume(masters), &mut self.outputs);
        self.perform();
    }

    /// The router, for dumps and checks.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// Whether every address that comes or goes is logged.
    pub fn log_addresses(&mut self, log: bool) {
        self.log_addresses = log;
    }

    /// Begins to count anew.
    pub fn clear_counters(&mut self) {
        self.router.clear_counters();
    }

    /// Interfaces that instances name and the kernel does not have, as (instance, interface).
    pub fn missing_interfaces(&self) -> Vec<(String, String)> {
        self.missing(self.router.instances().map(vrrp::Instance::settings))
    }

    /// The same for settings that are not in effect yet.
    pub fn missing_for(&self, settings: &Settings) -> Vec<(String, String)> {
        self.missing(settings.instances.iter().map(|instance| &instance.vrrp))
    }

    fn missing<'a>(&self, instances: impl Iterator<Item = &'a vrrp::Settings>) -> Vec<(String, String)> {
        let named = instances.filter_map(|vrrp| Some((vrrp.name.clone(), vrrp.interface.clone()?)));
        named.filter(|(_, interface)| self.router.interfaces().get(interface).is_none()).collect()
    }

    /// Waits for the next event or deadline and deals with it. Cancel safe up to the event: it is only taken when it is
    /// dealt with.
    pub async fn wait(&mut self) -> io::Result<Option<Event>> {
        let deadline = self.router.next_deadline();
        tokio::select! {
            biased;
            event = self.io.next() => event.map(Some),
            () = sleep_until(deadline) => Ok(None),
        }
    }

    /// Deals with what [`Daemon::wait`] returned, and with what came in meanwhile.
    pub async fn handle(&mut self, event: Option<Event>) {
        if let Some(event) = event {
            self.take(event);
        }
        // Packets first: an advert that is already here must not lose against the timer that waits for it, and after a
        // stall it says who is master now.
        for _ in 0..BATCHES_BEFORE_TIMERS {
            if self.is_due() {
                // The first yield lets the sockets be polled, the second their readers run.
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
            }
            if !self.take_batch() {
                break;
            }
        }
        if self.is_due() {
            self.router.handle(clock::now(), Input::Time, &mut self.outputs);
            self.perform();
        }
    }

    fn is_due(&self) -> bool {
        self.router.next_deadline().is_some_and(|due| due <= clock::now())
    }

    /// Takes what is there; whether there may be more.
    fn take_batch(&mut self) -> bool {
        for _ in 0..EVENT_BATCH {
            let Some(event) = self.io.try_next() else { return false };
            self.take(event);
        }
        true
    }

    fn take(&mut self, event: Event) {
        let now = clock::now();
        match event {
            Event::Packet { interface, packet } => {
                let datagram = packet.datagram();
                self.router.handle(now, Input::Packet { interface, datagram }, &mut self.outputs);
            }
            Event::Facts(facts) => self.learn_all(facts),
            Event::Overrun => self.survey_after_loss(),
            Event::FileRead { file, reading } => {
                self.router.handle(now, Input::FileRead { file, reading }, &mut self.outputs);
            }
            Event::ProcessesCounted { process, count } => {
                self.router.handle(now, Input::ProcessesCounted { process, count }, &mut self.outputs);
            }
            Event::Script { script, outcome } => {
                self.io.script_ended(&script);
                self.router.handle(now, Input::ScriptFinished { script, outcome }, &mut self.outputs);
            }
        }
        self.perform();
    }

    /// Watches what the trackers need, and learns how it is now.
    async fn watch(&mut self) {
        for event in self.io.watch(&self.router).await {
            self.take(event);
        }
    }

    fn learn_all(&mut self, facts: Vec<Fact>) {
        let interfaces =
            facts.iter().any(|fact| matches!(fact, Fact::Interface(_) | Fact::Gone(_) | Fact::Renamed { .. }));
        for fact in facts {
            self.learn(fact);
        }
        if interfaces {
            self.io.tune(&self.router);
        }
    }

    fn survey_after_loss(&mut self) {
        tracing::warn!(
            "the kernel lost reports of changes (netlink overrun): reading links, addresses, routes and rules anew; \
             when this is frequent, something on this host changes them very often"
        );
        match self.io.survey() {
            Ok(facts) => self.learn_all(facts),
            Err(error) => tracing::error!("cannot read links and addresses anew after lost reports: {error}"),
        }
    }

    fn learn(&mut self, fact: Fact) {
        if let Fact::Interface(interface) = &fact
            && self.log_addresses
        {
            self.log_address_changes(interface);
        }
        let input = match fact {
            Fact::Interface(interface) => Input::Interface(interface),
            Fact::Gone(name) => Input::InterfaceGone(name),
            Fact::Renamed { from, to } => Input::InterfaceRenamed { from, to },
            Fact::Vanished { interface, address } => Input::AddressVanished { interface, address },
            Fact::RouteVanished(route) => Input::RouteVanished(route),
            Fact::RuleVanished(rule) => Input::RuleVanished(rule),
        };
        self.router.handle(clock::now(), input, &mut self.outputs);
    }

    fn log_address_changes(&self, interface: &Interface) {
        let name = &interface.name;
        let known = self.router.interfaces().get(name).map(|known| known.addresses.as_slice()).unwrap_or_default();
        for address in interface.addresses.iter().filter(|address| !known.contains(address)) {
            tracing::info!("Assigned address {address} for interface {name}");
        }
        for address in known.iter().filter(|address| !interface.addresses.contains(address)) {
            tracing::info!("Deassigned address {address} from interface {name}");
        }
    }

    /// Puts new settings into effect as a diff.
    pub async fn reload(&mut self, settings: Settings) -> io::Result<()> {
        self.io.configure(&settings)?;
        self.io.set_channels(&settings);
        // Interfaces that the new settings need have to be there before anything is put on them.
        let facts = self.io.survey()?;
        self.learn_all(facts);
        self.router.handle(clock::now(), Input::Reload(settings), &mut self.outputs);
        self.io.tune(&self.router);
        self.perform();
        // What is virtual may have changed, and with it what an interface's own addresses are.
        let facts = self.io.survey()?;
        self.learn_all(facts);
        self.perform();
        self.watch().await;
        Ok(())
    }

    /// Gives everything up: priority 0 leaves before anything slow is done. Without `release` the addresses stay, and
    /// nobody is told.
    pub async fn stop(mut self, release: bool) {
        let input = if release { Input::Stop } else { Input::Leave };
        self.router.handle(clock::now(), input, &mut self.outputs);
        self.perform();
        self.io.release(!release);
        self.io.close(crate::limits::STOP_WAIT).await;
    }

    fn perform(&mut self) {
        // What could not be done is a fact, and may lead to something else; one round settles it.
        for _ in 0..PERFORM_ROUNDS {
            if self.outputs.is_empty() {
                return;
            }
            let outputs = std::mem::take(&mut self.outputs);
            self.changed |= outputs.iter().any(|output| matches!(output, Output::Changed { .. }));
            for fact in self.io.perform(outputs) {
                self.router.handle(clock::now(), fact, &mut self.outputs);
            }
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
