//! The VRRP process: the loop of signals and events, from the first configuration to the last advert.

use super::memory::Memory;
use super::parent::Inheritance;
use super::pid_file::PidFile;
use super::reload_time::{self, Schedule};
use super::signals::{Signal, Signals};
use super::{EXIT_CONFIG, EXIT_FATAL, EXIT_OK, Options, Plan, Reload, Which, setup};
use crate::config::model::Model;
use crate::dump::{self, View};
use crate::io::vet;
use crate::log::PROCESS;
use crate::run::{self, Daemon};
use crate::status::request::Request;
use crate::status::server::{Query, Server};
use crate::status::{self, Answer, Process};
use crate::systemd::State;
use crate::vrrp::Phase;
use crate::{clock, router, sys};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{Interval, MissedTickBehavior};

/// How long no instance has changed its state when the memory that changes needed is given back: thousands of instances
/// that take over together need much for a moment.
const TIDY_AFTER: Duration = Duration::from_secs(2);

/// What became of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The new configuration is in force.
    Done,
    /// The old one is; these lines say why.
    Refused(Vec<String>),
}

/// The VRRP process while it runs.
struct Live<'a> {
    options: &'a Options,
    daemon: Daemon,
    model: Arc<Model>,
    relay: UnixDatagram,
    schedule: Schedule,
    /// Looks at `reload_time_file`.
    look: Interval,
    status: Server,
    process: Process,
    memory: Memory,
    /// When what the last changes needed is given back.
    tidy_at: Option<Instant>,
}

/// Runs the VRRP process; its exit code.
pub(super) fn run(
    options: &Options,
    inheritance: Inheritance,
    plan: Option<Plan>,
    reload: &mut Reload<'_>,
) -> io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let Inheritance { signals, relay, memory } = inheritance;
    let memory = Memory::new(memory);
    let Some(plan) = plan.map_or_else(|| current(reload), Some) else { return Ok(EXIT_CONFIG) };
    runtime.block_on(async {
        let mut handlers = Signals::listen(!options.ignore_interrupt)?;
        signals.unblock()?;
        let file = match PidFile::write(&options.vrrp_pid_file) {
            Ok(file) => file,
            Err(error) => {
                tracing::error!(target: PROCESS, "cannot write pid file {}: {error}", options.vrrp_pid_file.display());
                return Ok(EXIT_FATAL);
            }
        };
        setup::vrrp(&plan.model.global.process, None);
        let model = Arc::clone(&plan.model);
        let Some(daemon) = begin(plan, options, &memory).await? else { return Ok(EXIT_CONFIG) };
        let mut look = tokio::time::interval(reload_time::LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let status = Server::listen(options.status_socket.as_deref(), options.metrics_address);
        let started = clock::since_epoch();
        let banner = options.banner.clone();
        let process = Process { banner, started, configured: started, reloads: 0, refused: 0, refusal: Vec::new() };
        let schedule = Schedule::default();
        let mut live = Live { options, daemon, model, relay, schedule, look, status, process, memory, tidy_at: None };
        live.settle(None);
        live.tell(State::Ready, None);
        live.remember(true);
        live.serve(&mut handlers, reload).await?;
        tracing::info!("Stopping");
        live.tell(State::Stopping, None);
        let Live { daemon, status, memory, .. } = live;
        memory.forget();
        daemon.stop(options.release).await;
        drop(status);
        drop(file);
        tracing::info!("Stopped");
        Ok(EXIT_OK)
    })
}

/// The configuration as it is now, for a VRRP process that replaces another; that of the start if it cannot be run.
fn current(reload: &mut Reload<'_>) -> Option<Plan> {
    let complain = |lines: Vec<String>| {
        for line in lines {
            tracing::error!(target: PROCESS, "{line}");
        }
    };
    reload(Which::Current)
        .or_else(|lines| {
            complain(lines);
            tracing::error!(target: PROCESS, "The configuration cannot be run, going on with that of the start");
            reload(Which::First)
        })
        .map_err(complain)
        .ok()
}

/// Opens and starts, unless the configuration names an interface that must be there and is not.
async fn begin(mut plan: Plan, options: &Options, before: &Memory) -> io::Result<Option<Daemon>> {
    for remark in vet::vet(&mut plan.router, plan.script_security) {
        tracing::warn!("{}", remark.line);
    }
    let mut daemon = run::Daemon::open(plan.router).await?;
    daemon.log_addresses(options.log_addresses);
    let missing = daemon.missing_interfaces();
    for (instance, interface) in &missing {
        tracing::warn!("WARNING - interface {interface} for vrrp_instance {instance} doesn't exist");
    }
    if !missing.is_empty() && !plan.dynamic_interfaces {
        tracing::error!("Non-existent interface specified in configuration");
        return Ok(None);
    }
    tracing::info!(target: PROCESS, "Startup complete");
    daemon.start(before.masters(clock::monotonic_usec(), daemon.router()));
    Ok(Some(daemon))
}

impl Live<'_> {
    /// Until a signal says stop.
    async fn serve(&mut self, signals: &mut Signals, reload: &mut Reload<'_>) -> io::Result<()> {
        loop {
            tokio::select! {
                biased;
                signal = signals.next() => match signal? {
                    Signal::Stop => return Ok(()),
                    Signal::Reload => {
                        self.reload(reload).await?;
                    }
                    Signal::Data => self.dump_data(),
                    Signal::Statistics => self.dump_statistics(),
                    Signal::ClearStatistics => {
                        tracing::info!("Clearing VRRP stats for process({}) on signal", std::process::id());
                        self.daemon.clear_counters();
                    }
                    Signal::Json => self.dump_json(),
                },
                event = self.daemon.wait() => {
                    self.daemon.handle(event?).await;
                    let changed = self.daemon.take_changed();
                    self.remember(changed);
                    // Questions are answered in a flood of packets, too, but one after each batch only.
                    if let Some(query) = self.status.try_next() {
                        self.answer(query, reload).await?;
                    }
                    continue;
                }
                query = self.status.next() => self.answer(query, reload).await?,
                _ = self.look.tick(), if self.schedule.is_active() => {
                    if self.schedule.look(clock::since_epoch()) {
                        self.reload(reload).await?;
                    }
                }
            }
            // However fast signals come, adverts leave between them.
            self.daemon.handle(None).await;
            self.remember(true);
        }
    }

    fn remember(&mut self, changed: bool) {
        let now = clock::now();
        self.memory.note(now, clock::monotonic_usec(), self.daemon.router(), changed);
        if changed {
            self.tidy_at = Some(now + TIDY_AFTER);
        } else if self.tidy_at.is_some_and(|at| at <= now) {
            self.tidy_at = None;
            sys::give_memory_back();
        }
    }

    async fn answer(&mut self, query: Query, reload: &mut Reload<'_>) -> io::Result<()> {
        let answer = match query.request {
            Request::Reload => match self.reload(reload).await? {
                Outcome::Done => Answer::plain(200, ""),
                Outcome::Refused(lines) => {
                    Answer::plain(409, format!("{}\nThe old configuration keeps running.\n", lines.join("\n")))
                }
            },
            looking => status::answer(looking, &self.view(), &self.process),
        };
        query.answer(answer);
        Ok(())
    }

    /// A reload that cannot be read changes nothing.
    async fn reload(&mut self, reload: &mut Reload<'_>) -> io::Result<Outcome> {
        tracing::info!(target: PROCESS, "Reloading ...");
        self.tell(State::Reloading { monotonic_usec: clock::monotonic_usec() }, Some("reloading"));
        let marker = self.model.global.reload.file.clone();
        mark(marker.as_deref());
        let read = reload(Which::Current);
        unmark(marker.as_deref());
        let outcome = match read.and_then(|plan| self.acceptable(plan)) {
            Ok(plan) => {
                let before = std::mem::replace(&mut self.model, plan.model);
                self.daemon.reload(plan.router).await?;
                self.settle(Some(&before));
                tracing::info!(target: PROCESS, "Reload complete");
                self.process.reloads += 1;
                self.process.configured = clock::since_epoch();
                self.process.refusal.clear();
                Outcome::Done
            }
            Err(lines) => {
                self.refuse(&lines);
                self.process.refused += 1;
                self.process.refusal.clone_from(&lines);
                Outcome::Refused(lines)
            }
        };
        let refused = match &outcome {
            Outcome::Done => None,
            Outcome::Refused(lines) => {
                let first = lines.first().map_or("", String::as_str);
                Some(format!("reload refused, the old configuration runs on: {first}"))
            }
        };
        self.tell(State::Ready, refused.as_deref());
        Ok(outcome)
    }

    /// What only the host can tell about a new configuration, or why it cannot be run here.
    fn acceptable(&self, mut plan: Plan) -> Result<Plan, Vec<String>> {
        let remarks = vet::vet(&mut plan.router, plan.script_security);
        let mut missing = Vec::new();
        for (instance, interface) in self.daemon.missing_for(&plan.router) {
            missing.push(format!("WARNING - interface {interface} for vrrp_instance {instance} doesn't exist"));
        }
        if !missing.is_empty() && !plan.dynamic_interfaces {
            return Err(missing);
        }
        for line in remarks.into_iter().map(|remark| remark.line).chain(missing) {
            tracing::warn!("{line}");
        }
        Ok(plan)
    }

    fn refuse(&self, lines: &[String]) {
        for line in lines {
            tracing::error!(target: PROCESS, "{line}");
        }
        match self.model.global.reload.check_config.as_deref().filter(|log| *log != Path::new("/dev/null")) {
            None => tracing::error!(target: PROCESS, "New config failed validation, the old one keeps running"),
            Some(log) => {
                if let Err(error) = dump::write(log, &lines.join("\n")) {
                    tracing::error!(target: PROCESS, "cannot write {}: {error}", log.display());
                }
                let log = log.display();
                tracing::error!(target: PROCESS, "New config failed validation, see {log} for details");
            }
        }
    }

    /// What follows from a configuration besides the router.
    fn settle(&mut self, before: Option<&Model>) {
        sys::give_memory_back();
        let global = &self.model.global;
        if let Some(before) = before {
            setup::vrrp(&global.process, Some(&before.global.process));
        }
        self.schedule.follow(global.reload.time_file.as_deref(), global.reload.repeat);
        if self.options.dump {
            for line in dump::data::Data(&self.view()).to_string().lines() {
                tracing::info!("{line}");
            }
        }
    }

    fn view(&self) -> View<'_> {
        let (now, since_epoch) = (clock::now(), clock::since_epoch());
        View { model: &self.model, router: self.daemon.router(), now, since_epoch }
    }

    /// Tells the service manager, by way of the parent.
    fn tell(&self, state: State, status: Option<&str>) {
        let summary = summary(self.daemon.router());
        let message = state.message(status.unwrap_or(&summary));
        if let Err(error) = self.relay.send(message.as_bytes()) {
            tracing::debug!(target: PROCESS, "the parent does not listen: {error}");
        }
    }

    fn dump_data(&self) {
        tracing::info!("Printing VRRP data for process({}) on signal", std::process::id());
        let path = dump::data_file(&self.model.global.process);
        write_dump(&path, &dump::data::Data(&self.view()));
    }

    fn dump_statistics(&self) {
        tracing::info!("Printing VRRP stats for process({}) on signal", std::process::id());
        write_dump(&self.model.global.process.stats_dump_file, &dump::statistics::Statistics(self.daemon.router()));
    }

    fn dump_json(&self) {
        tracing::info!("Printing VRRP as json for process({}) on signal", std::process::id());
        write_dump(&self.model.global.process.json_dump_file, &dump::json::Json(&self.view()));
    }
}

/// One line for `systemctl status`.
fn summary(router: &router::Router) -> String {
    let count = |phase| router.instances().filter(|instance| instance.phase() == phase).count();
    let [master, backup, fault] = [Phase::Master, Phase::Backup, Phase::Fault].map(count);
    format!("{master} MASTER, {backup} BACKUP, {fault} FAULT")
}

/// `reload_file` exists, and is empty, while files are read.
fn mark(path: Option<&Path>) {
    let Some(path) = path else { return };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o644).custom_flags(libc::O_NOFOLLOW);
    if let Err(error) = options.open(path) {
        tracing::warn!(target: PROCESS, "cannot create reload_file {}: {error}", path.display());
    }
}

fn unmark(path: Option<&Path>) {
    let Some(path) = path else { return };
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(target: PROCESS, "cannot remove reload_file {}: {error}", path.display());
    }
}

fn write_dump(path: &Path, text: &dyn std::fmt::Display) {
    if let Err(error) = dump::write(path, text) {
        tracing::error!("cannot write {}: {error}", path.display());
    }
}
