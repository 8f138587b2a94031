//! The control thread: it answers signals and decides when the process ends.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{SigSet, Signal};
use socket2::Socket;
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::spawn_local;

use super::logs::Logs;
use super::reload::{self, Outcome, Reader, Reloaded};
use super::serve::Ending;
use super::systemd;
use super::voice::Voice;
use crate::balance::farm::Farm;
use crate::check::{self, Checks, Outlets};
use crate::cli;
use crate::clock;
use crate::generation::{Generation, Handle};
use crate::health::change::Event;
use crate::health::observe::Evidence;
use crate::log::syslog::Level;
use crate::log_forward::{self, Forwarding};
use crate::log_sink::ship::Shipping;
use crate::log_sink::{Destination, LogSettings, LogSink};
use crate::name_service::{self, Asked};
use crate::proxy::frontend::AcceptState;
use crate::proxy::settings::RuntimeAccess;
use crate::proxy::{Backend, Frontend, Section};
use crate::stats::Count;
use crate::worker::{Command, WorkerHandle};

/// Requests that may wait while one is answered. Lines of workers beyond that are dropped; signals wait their turn.
pub(super) const REQUESTS_WAITING: usize = 1024;

/// Questions of rules to name servers that may wait while one is taken. They have a queue of their own: however many there are, they
/// keep nobody from the control thread. Those beyond that have no answer.
pub(super) const QUESTIONS_WAITING: usize = 1024;

/// What the control thread works with.
pub(super) struct Parts {
    /// The generation in force.
    pub(super) handle: Handle,
    /// The workers.
    pub(super) workers: Vec<WorkerHandle>,
    /// When the process started.
    pub(super) started: Instant,
    /// The health checks of the generation in force.
    pub(super) checks: Vec<check::Plan>,
    /// Whom its servers ask where they are.
    pub(super) names: Vec<name_service::Plan>,
    /// What its logs have opened.
    pub(super) logs: Logs,
    /// The runtime API and the sockets it listens on.
    pub(super) runtime: (Rc<cli::Settings>, Vec<(Socket, RuntimeAccess)>),
    /// Where it talks.
    pub(super) voice: Voice,
    /// For its own log.
    pub(super) log: LogSettings,
    /// Where requests are put, and where they come from.
    pub(super) inbox: (mpsc::Sender<Request>, mpsc::Receiver<Request>),
    /// Where questions of rules to name servers come from.
    pub(super) questions: mpsc::Receiver<Asked>,
    /// Reads the configuration again.
    pub(super) reload: Reader,
    /// `max-spread-checks`.
    pub(super) max_spread_checks: Option<Duration>,
    /// `grace` of the global section.
    pub(super) grace: Duration,
    /// Signals mean what they mean to a master process.
    pub(super) master: bool,
    /// systemd is told of the end.
    pub(super) notify: bool,
}

/// What the control thread is asked for.
#[derive(Debug, Clone)]
pub(super) enum Request {
    /// SIGTERM, SIGINT: end now.
    End(i32),
    /// SIGUSR1: take no new connections, end when the last one has.
    Finish,
    /// SIGTTOU: stop listening.
    Pause,
    /// SIGTTIN: go on listening.
    Resume,
    /// SIGHUP to a process that is no master: log the state of all servers.
    Dump,
    /// SIGUSR2, and SIGHUP to a master: read the configuration again.
    Reload,
    /// A worker has ended.
    WorkerEnded,
    /// A worker or a health check has something to log about a backend.
    Note(Note),
    /// Sessions were shut down: wake them.
    Wake,
    /// An operator has changed whether a frontend accepts: to be logged. The runtime socket tells the workers itself.
    Accept(Arc<Frontend>),
    /// A worker has changed a server, given by its rank: those that track it follow.
    Lead(Arc<Farm>, usize),
    /// Traffic has told too often that something is wrong with a server, given by its rank.
    Observed(Arc<Farm>, usize, Evidence),
}

/// Something about a backend that is to be logged.
#[derive(Debug, Clone)]
pub(super) struct Note {
    /// Whose log it belongs in.
    pub(super) backend: Arc<Backend>,
    /// How severe it is.
    pub(super) level: Level,
    /// The line.
    pub(super) text: String,
}

/// What the control thread wakes up for.
enum Happening {
    Asked(Request),
    Reloaded(Outcome),
    Question(Asked),
    Due,
}

/// A soft stop under way.
struct Stopping {
    /// Sections that go on accepting until their time has come, by the name they are stopped under.
    waiting: Vec<(Instant, Arc<str>)>,
    /// `hard-stop-after`.
    end: Option<Instant>,
}

/// The control thread.
pub(super) struct Control {
    parts: Parts,
    log: LogSink,
    shipping: Shipping,
    forwarding: Forwarding,
    stopping: Option<Stopping>,
    running: usize,
}

impl Control {
    pub(super) fn new(parts: Parts) -> Self {
        let (log, running) = (LogSink::new(parts.log.clone()), parts.workers.len());
        let forwarding = Forwarding::new(parts.log.clone(), parts.started);
        Self { parts, log, shipping: Shipping::default(), forwarding, stopping: None, running }
    }

    /// Serves until the process is to end.
    pub(super) fn run(mut self) -> io::Result<Ending> {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
        let ending = runtime.block_on(async {
            let ending = self.serve().await;
            self.log.flush();
            std::mem::take(&mut self.shipping).end().await;
            ending
        })?;
        if self.parts.notify {
            systemd::stopping();
        }
        Ok(ending)
    }

    async fn serve(&mut self) -> io::Result<Ending> {
        let sender = self.parts.inbox.0.clone();
        listen_for_signals(&sender, self.parts.master)?;
        // What came since the workers began is answered now.
        answered().thread_unblock().map_err(io::Error::from)?;
        for worker in &self.parts.workers {
            let (commands, sender) = (worker.commands.clone(), sender.clone());
            spawn_local(async move {
                commands.closed().await;
                // The receiver is gone only when this thread ends.
                let _ = sender.send(Request::WorkerEnded).await;
            });
        }
        self.start_runtime();
        self.shipping.set(&self.parts.handle.load().rings);
        let forwards = std::mem::take(&mut self.parts.logs.forwards);
        self.forward(forwards).await;
        let checks = std::mem::take(&mut self.parts.checks);
        self.checks().replace(self.start_checks(checks));
        let names = std::mem::take(&mut self.parts.names);
        self.ask_names(names);
        loop {
            let deadline = self.next_deadline();
            let event = tokio::select! {
                Some(request) = self.parts.inbox.1.recv() => Happening::Asked(request),
                Some(outcome) = self.parts.reload.outcomes.recv() => Happening::Reloaded(outcome),
                Some(asked) = self.parts.questions.recv() => Happening::Question(asked),
                () = until(deadline) => Happening::Due,
            };
            let ending = match event {
                Happening::Asked(request) => self.answer(request).await,
                Happening::Reloaded(outcome) => {
                    self.reloaded(outcome).await;
                    None
                }
                Happening::Question(asked) => {
                    self.parts.runtime.0.names.borrow().resolve(asked);
                    None
                }
                Happening::Due => self.time_has_come(clock::now()).await,
            };
            self.log.flush();
            if let Some(ending) = ending {
                return Ok(ending);
            }
        }
    }

    /// Serves the runtime API until the process ends.
    fn start_runtime(&mut self) {
        let (settings, sockets) = &mut self.parts.runtime;
        for (socket, level) in sockets.drain(..) {
            let (settings, voice) = (Rc::clone(settings), self.parts.voice);
            spawn_local(async move {
                if let Err(error) = cli::serve(socket, level, settings).await {
                    voice.warning(&format!("the runtime API ends: {error}."));
                }
            });
        }
    }

    /// The checks that run. The runtime API has them too.
    fn checks(&self) -> &RefCell<Checks> {
        &self.parts.runtime.0.checks
    }

    /// Starts the health checks; what they find goes through the same inbox as everything else.
    fn start_checks(&self, plans: Vec<check::Plan>) -> Checks {
        let (handle, sender) = (self.parts.handle.clone(), self.parts.inbox.0.clone());
        let process = Some(handle.clone());
        let sink = move |farm: &Arc<Farm>, event: &Event| {
            let generation = handle.load();
            let backend = generation.backends.iter().find(|backend| Arc::ptr_eq(&backend.farm, farm));
            if let Some(backend) = backend {
                let note = Note { backend: Arc::clone(backend), level: event.level, text: event.text.clone() };
                // A full inbox loses the line, not the change.
                let _ = sender.try_send(Request::Note(note));
            }
        };
        let sender = self.parts.inbox.0.clone();
        let wake = move || {
            // A full inbox has plenty that is followed by another look; sessions see it at their next event.
            let _ = sender.try_send(Request::Wake);
        };
        let outlets = Outlets { events: Rc::new(sink), wake: Rc::new(wake), process };
        check::start(plans, self.parts.started, self.parts.max_spread_checks, outlets)
    }

    /// Begins to ask name servers; what they say goes the way of the health checks.
    fn ask_names(&self, plans: Vec<name_service::Plan>) {
        let runtime = &self.parts.runtime.0;
        runtime.names.replace(name_service::start(plans, self.parts.started, &runtime.checks));
    }

    /// Relays for these `log-forward` sections, and for no others.
    async fn forward(&mut self, sections: Vec<log_forward::Section>) {
        if let Err(error) = self.forwarding.set(sections, self.parts.handle.load()).await {
            self.parts.voice.warning(&format!("log-forward sections do not work: {error}."));
        }
    }

    /// Logs a line about a backend and says it.
    fn note(&self, note: &Note) {
        self.event(&note.backend.section, note.level, &note.text);
        if note.level == Level::Emergency {
            self.parts.voice.alert(&note.text);
        } else {
            self.parts.voice.warning(&note.text);
        }
    }

    async fn answer(&mut self, request: Request) -> Option<Ending> {
        match request {
            Request::End(signal) if self.parts.master => {
                return Some(Ending::Exit(if signal == libc::SIGINT { 130 } else { 0 }));
            }
            Request::End(signal) => return Some(Ending::Signal(signal)),
            Request::Finish => self.finish(clock::now()).await,
            Request::Pause => self.set_accepting(AcceptState::Paused).await,
            Request::Resume => self.set_accepting(AcceptState::Open).await,
            Request::Dump => self.dump(),
            Request::Reload => self.reload(),
            Request::Note(note) => self.note(&note),
            Request::Wake => self.command(|| Command::Update(None)).await,
            Request::Accept(frontend) => {
                let state = frontend.accepting.get();
                if state == AcceptState::Stopped {
                    self.announce_stop(&self.parts.handle.load(), Some(&frontend), &frontend.section);
                } else {
                    self.announce_pause(&frontend, state);
                }
            }
            Request::Lead(farm, server) => self.checks().borrow().lead(&farm, server),
            Request::Observed(farm, server, last) => self.checks().borrow().analyze(&farm, server, last),
            Request::WorkerEnded => {
                self.running -= 1;
                if self.running == 0 {
                    return Some(Ending::Exit(u8::from(self.stopping.is_none())));
                }
            }
        }
        None
    }

    /// Begins a reload; a process that ends keeps what it has.
    fn reload(&self) {
        if self.stopping.is_some() {
            return self.parts.voice.warning("Not reloading: the process is stopping.");
        }
        self.parts.voice.notice("Reloading the configuration.");
        if self.parts.notify {
            systemd::reloading();
        }
        self.parts.reload.order();
        let urge = self.parts.reload.urge();
        spawn_local(async move {
            tokio::time::sleep(reload::PATIENCE).await;
            urge();
        });
    }

    /// Puts a configuration in force, or says why the running one stays.
    async fn reloaded(&mut self, outcome: Outcome) {
        match outcome {
            Ok(reloaded) if self.stopping.is_none() => self.put_in_force(*reloaded).await,
            Ok(_) => {}
            Err(reason) => {
                let text = format!("Reload failed, the running configuration stays in force: {reason}.");
                self.parts.voice.alert(&text);
                let generation = self.parts.handle.load();
                if let Some((_, section)) = sections(&generation).find(|(_, section)| !section.logs.is_empty()) {
                    self.event(section, Level::Alert, &text);
                }
            }
        }
        if self.parts.notify {
            systemd::ready();
        }
    }

    async fn put_in_force(&mut self, reloaded: Reloaded) {
        let Reloaded { generation, checks, names, logs, opened, later } = reloaded;
        let before = self.parts.handle.load();
        // Ended before the servers' states have another owner.
        let waiting = self.parts.runtime.0.names.take().end();
        self.checks().take();
        self.parts.handle.store(generation);
        let generation = self.parts.handle.load();
        self.shipping.set(&generation.rings);
        self.parts.logs.backing.succeed(logs.backing, &generation.rings);
        self.forward(logs.forwards).await;
        let kept: HashSet<_> = generation.frontends.iter().map(|kept| Arc::as_ptr(&kept.accepting)).collect();
        for frontend in before.frontends.iter().filter(|gone| !kept.contains(&Arc::as_ptr(&gone.accepting))) {
            frontend.accepting.set(AcceptState::Stopped);
            if !frontend.section.disabled {
                self.announce_stop(&before, Some(frontend), &frontend.section);
            }
        }
        for (worker, opened) in self.parts.workers.iter().zip(opened) {
            let _ = worker.commands.send(Command::Reload(opened)).await;
        }
        self.checks().replace(self.start_checks(checks));
        self.ask_names(names);
        for asked in waiting {
            self.parts.runtime.0.names.borrow().resolve(asked);
        }
        for name in later {
            self.parts.voice.warning(&format!("a change of '{name}' has no effect before the next start."));
        }
        self.parts.voice.notice("The new configuration is in force.");
    }

    /// Begins a soft stop; a second request changes nothing.
    async fn finish(&mut self, now: Instant) {
        if self.stopping.is_some() {
            return;
        }
        let generation = self.parts.handle.load();
        let waiting = sections(&generation).map(|(frontend, section)| {
            let grace = frontend.map_or(Duration::ZERO, |frontend| frontend.grace);
            (now + self.parts.grace + grace, Arc::clone(&section.name))
        });
        let end = generation.global.hard_stop_after.map(|limit| now + limit);
        self.stopping = Some(Stopping { waiting: waiting.collect(), end });
        self.forward(Vec::new()).await;
        self.stop_due(now).await;
    }

    /// When the soft stop goes on by itself.
    fn next_deadline(&self) -> Option<Instant> {
        let stopping = self.stopping.as_ref()?;
        stopping.waiting.iter().map(|(at, _)| *at).chain(stopping.end).min()
    }

    async fn time_has_come(&mut self, now: Instant) -> Option<Ending> {
        if self.stopping.as_ref().and_then(|stopping| stopping.end).is_some_and(|end| end <= now) {
            self.parts.voice.warning("soft-stop running for too long, performing a hard-stop.");
            self.command(|| Command::Stop).await;
            return Some(Ending::Exit(0));
        }
        self.stop_due(now).await;
        None
    }

    /// Stops the sections whose grace is over, and lets the workers drain after the last one.
    async fn stop_due(&mut self, now: Instant) {
        let Some(stopping) = &mut self.stopping else { return };
        if stopping.waiting.is_empty() {
            return;
        }
        let due: Vec<_> = stopping.waiting.extract_if(.., |(at, _)| *at <= now).map(|(_, name)| name).collect();
        let last = stopping.waiting.is_empty();
        let generation = self.parts.handle.load();
        for (frontend, section) in sections(&generation).filter(|(_, section)| due.contains(&section.name)) {
            if let Some(frontend) = frontend {
                if generation.global.close_spread.is_some() {
                    frontend.accepting.stop_slowly();
                } else {
                    frontend.accepting.set(AcceptState::Stopped);
                }
            }
            self.announce_stop(&generation, frontend, section);
        }
        self.command(|| if last { Command::Drain } else { Command::Update(None) }).await;
    }

    fn announce_stop(&self, generation: &Generation, frontend: Option<&Frontend>, section: &Section) {
        let backend = match frontend {
            Some(frontend) => frontend.listen.and_then(|id| generation.backend(id)).map(|backend| &backend.section),
            None => Some(section),
        };
        let (accepted, served) = (
            frontend.map_or(0, |frontend| frontend.section.traffic.total(Count::Connections)),
            backend.map_or(0, |backend| backend.traffic.total(Count::Sessions)),
        );
        let text = format!("Proxy {} stopped (cumulated conns: FE: {accepted}, BE: {served}).", section.name);
        self.parts.voice.warning(&text);
        self.event(section, Level::Warning, &text);
    }

    async fn set_accepting(&self, state: AcceptState) {
        let generation = self.parts.handle.load();
        for frontend in generation.frontends.iter().filter(|frontend| !frontend.section.disabled) {
            if frontend.accepting.get() == state || frontend.accepting.get() == AcceptState::Stopped {
                continue;
            }
            frontend.accepting.set(state);
            self.announce_pause(frontend, state);
        }
        self.command(|| Command::Update(None)).await;
    }

    fn announce_pause(&self, frontend: &Frontend, state: AcceptState) {
        let verb = if state == AcceptState::Paused { "Paused" } else { "Resumed" };
        let kind = if frontend.listen.is_some() { "proxy" } else { "frontend" };
        let text = format!("{verb} {kind} {}.", frontend.name());
        self.parts.voice.warning(&text);
        self.event(&frontend.section, Level::Warning, &text);
    }

    /// Logs the state of every section and server.
    fn dump(&self) {
        let generation = self.parts.handle.load();
        for (frontend, section) in sections(&generation) {
            let say = |text: String| self.event(section, Level::Notice, &text);
            say(format!("SIGHUP received, dumping servers states for proxy {}.", section.name));
            let backend = match frontend {
                Some(frontend) => frontend.listen.and_then(|id| generation.backend(id)),
                None => generation.backends.iter().find(|backend| std::ptr::eq(&raw const backend.section, section)),
            };
            for (server, state) in backend.iter().flat_map(|backend| backend.servers.iter().zip(backend.farm.servers()))
            {
                let word = if state.reachable() { "UP" } else { "DOWN" };
                let total = server.traffic.total(Count::Sessions);
                let (active, pending) = (state.served(), state.queued());
                let name = &section.name;
                say(format!(
                    "SIGHUP: Server {name}/{} is {word}. Conn: {active} act, {pending} pend, {total} tot.",
                    server.name
                ));
            }
            say(self::summary(frontend, backend.map(|backend| &**backend), section));
        }
    }

    fn event(&self, section: &Section, level: Level, text: &str) {
        let destination = Destination { loggers: &section.logs, tag: &section.log_tag, level, now: clock::date() };
        self.log.event(destination, text);
    }

    /// Tells all workers; one that has ended needs no telling.
    async fn command(&self, command: impl Fn() -> Command) {
        for worker in &self.parts.workers {
            let _ = worker.commands.send(command()).await;
        }
    }
}

/// All sections that run, a `listen` once.
fn sections(generation: &Generation) -> impl Iterator<Item = (Option<&Frontend>, &Section)> {
    let frontends = generation.frontends.iter().map(|frontend| (Some(&**frontend), &frontend.section));
    let backends = generation.backends.iter().filter(|backend| backend.listen.is_none());
    frontends.chain(backends.map(|backend| (None, &backend.section))).filter(|(_, section)| !section.disabled)
}

/// The line about a section as a whole.
fn summary(frontend: Option<&Frontend>, backend: Option<&Backend>, section: &Section) -> String {
    let usable = backend.map(|backend| backend.farm.usable()).unwrap_or_default();
    let servers = match backend {
        Some(backend) if backend.servers.is_empty() => "has no servers.".to_owned(),
        None => "has no servers.".to_owned(),
        Some(_) if usable.active + usable.backup == 0 => "has no server available !".to_owned(),
        Some(_) => {
            format!("has {} active servers and {} backup servers available.", usable.active, usable.backup)
        }
    };
    let front = frontend.map(|frontend| &*frontend.section.traffic);
    let back = backend.map(|backend| &*backend.section.traffic);
    let (pending, unassigned) =
        backend.map_or((0, 0), |backend| (backend.farm.queued_in_total(), backend.farm.queued()));
    format!(
        "SIGHUP: Proxy {} {servers} Conn: act(FE+BE): {}+{}, {pending} pend ({unassigned} unass), tot(FE+BE): {}+{}.",
        section.name,
        front.map_or(0, |traffic| traffic.sessions.current()),
        back.map_or(0, |traffic| traffic.sessions.current()),
        front.map_or(0, |traffic| traffic.total(Count::Connections)),
        back.map_or(0, |traffic| traffic.total(Count::Sessions)),
    )
}

/// Waits for a moment, for ever without one.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

/// The signals this thread answers. They are held back from before the workers begin until it listens: what a signal does by
/// default would stop or end a process that already serves. The workers hold them back for ever.
pub(super) fn answered() -> SigSet {
    [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGHUP,
        Signal::SIGTTOU,
        Signal::SIGTTIN,
    ]
    .into_iter()
    .collect()
}

/// Turns signals into requests.
fn listen_for_signals(sender: &mpsc::Sender<Request>, master: bool) -> io::Result<()> {
    let hangup = if master { Request::Reload } else { Request::Dump };
    // To a process that is no master, haproxy's SIGUSR2 means nothing; here it is answered, too.
    for (number, request) in [
        (libc::SIGTERM, Request::End(libc::SIGTERM)),
        (libc::SIGINT, Request::End(libc::SIGINT)),
        (libc::SIGUSR1, Request::Finish),
        (libc::SIGUSR2, Request::Reload),
        (libc::SIGHUP, hangup),
        (libc::SIGTTOU, Request::Pause),
        (libc::SIGTTIN, Request::Resume),
    ] {
        let mut arrivals = signal(SignalKind::from_raw(number))?;
        let sender = sender.clone();
        spawn_local(
            async move { while arrivals.recv().await.is_some() && sender.send(request.clone()).await.is_ok() {} },
        );
    }
    Ok(())
}
