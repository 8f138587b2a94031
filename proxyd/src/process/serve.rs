//! The process from its start to its end.
//!
//! [`serve`] takes a complete model and does, in this order, what haproxy does: open every socket, open the pidfile, tell
//! old processes to leave, enter the chroot, become the configured user, go to the background, start the workers. Then
//! this thread is the control thread: it runs the health checks and answers signals until the process ends. There are no
//! forked workers; `-W` and `-Ws` only change what signals mean and who is told.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::logs::Logs;
use super::oversight::Oversight;
use super::reload::{Load, Reader};
use super::voice::Voice;
use super::{control, descriptors, identity, sockets, state_file, systemd};
use crate::cli;
use crate::clock;
use crate::config::model::{Global, LogHostname, Model};
use crate::generation::{Generation, Handle};
use crate::limits::PIPE_SIZE;
use crate::log_sink::LogSettings;
use crate::net::accept::Waiting;
use crate::proxy::listen::{ListenAddress, group_of};
use crate::running::{self, Facts};
use crate::sys;
use crate::worker::pipes::PipeLimits;
use crate::worker::{self, WorkerHandle};
use tokio::sync::{Semaphore, mpsc};

/// What the command line says about the process, already combined with the configuration where both may speak.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The name the program was called by.
    pub program: String,
    /// Go to the background once everything is open (`-D`, `daemon`, and neither `-d` nor `-db`).
    pub daemon: bool,
    /// `-W`, `-Ws` or `master-worker`.
    pub master: bool,
    /// `-Ws`: tell systemd.
    pub notify: bool,
    /// `-q` or `quiet`: say nothing.
    pub quiet: bool,
    /// `-p` or `pidfile`.
    pub pidfile: Option<PathBuf>,
    /// `-sf` or `-st`.
    pub old_processes: Vec<i32>,
    /// `-st`: old processes end at once, rather than when they have finished.
    pub terminate_old: bool,
    /// What was said about the configuration.
    pub startup_logs: String,
}

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With a status.
    Exit(u8),
    /// By the signal that asked for it, so that whoever waits for the process sees it.
    Signal(i32),
}

/// Runs the process until it is asked to end. `load` reads the configuration again for a reload.
pub fn serve(model: &Model, options: &Options, load: Load) -> ExitCode {
    match start(model, options, load) {
        Ok(Ending::Exit(status)) => ExitCode::from(status),
        Ok(Ending::Signal(signal)) => {
            // It returns only where the signal cannot be taken back to what it does by default.
            let _ = signal_hook::low_level::emulate_default_handler(signal);
            ExitCode::FAILURE
        }
        Err(text) => {
            Voice::new(options.quiet).alert(&format!("[{}.main()] {text}", options.program));
            ExitCode::FAILURE
        }
    }
}

/// Everything before the first connection, and then the control thread; an error says why the process cannot serve.
fn start(model: &Model, options: &Options, load: Load) -> Result<Ending, String> {
    let started = clock::now();
    small_pages();
    let voice = Voice::new(options.quiet);
    let usual = sys::niceness();
    renice(model.global.nice_startup.map(i32::from), voice);
    let (facts, pipes) = facts(model, options, voice)?;
    let generation = Generation { startup_logs: options.startup_logs.clone(), ..running::build(model, &facts, None) };
    let mut checks = running::checks::plans(model, &generation)?;
    state_file::load(model, &generation, &mut checks, voice);
    let names = running::names::plans(model, &generation);
    let opened = sockets::open_all(&generation, &options.old_processes, voice)?;
    let (runtime_sockets, logs) = (sockets::open_runtime(model, voice)?, Logs::open(&generation, None)?);
    let pidfile = options.pidfile.as_deref().filter(|_| options.daemon || options.master);
    let pidfile = pidfile.map(identity::open_pidfile).transpose()?;
    identity::signal_old(&options.old_processes, options.terminate_old);
    let null = if options.daemon { Some(identity::open_null()?) } else { None };
    let handle = Handle::new(generation);
    identity::hold_privileges(&model.global.capabilities)?;
    let runtime_nice = model.global.nice_runtime.map(i32::from).or(model.global.nice_startup.map(|_| usual));
    renice(runtime_nice, voice);
    let reader = |load| {
        let reader = Reader::start(load, handle.clone(), facts.clone(), &model.global);
        reader.map_err(|error| format!("Cannot start a thread: {error}."))
    };
    // A process that goes to the background must not have a second thread before: its reloads see what the chroot shows.
    let (early, late) = if options.daemon { (None, Some(load)) } else { (Some(reader(load)?), None) };
    identity::change_root(model.global.chroot.as_deref())?;
    become_user(&model.global)?;
    if let Some(null) = null {
        identity::go_to_background(&null, pidfile)?;
    } else if let Some(file) = pidfile {
        identity::write_pid(file, std::process::id())?;
    }
    descriptors::make_room();
    let voice = Voice::new(options.quiet || options.daemon);
    let reload = match (early, late) {
        (Some(early), _) => early,
        (None, load) => reader(load.unwrap_or_else(|| Box::new(|| None)))?,
    };
    reload.settle();
    let log = log_settings(model, &facts);
    let inbox = mpsc::channel(control::REQUESTS_WAITING);
    let (oversight, questions) = Oversight::new(&options.program, started, &log, &inbox.0);
    control::answered().thread_block().map_err(|error| format!("Cannot hold signals back: {}.", error.desc()))?;
    let workers = start_workers(&model.global, &handle, &oversight, opened, &Arc::new(pipes))?;
    let runtime = runtime(model, (handle.clone(), started), oversight, &workers);
    if options.notify {
        systemd::ready();
    }
    let control = control::Control::new(control::Parts {
        handle,
        workers,
        started,
        checks,
        names,
        logs,
        runtime: (Rc::new(runtime), runtime_sockets),
        voice,
        log,
        inbox,
        questions,
        reload,
        max_spread_checks: model.global.max_spread_checks,
        grace: model.global.grace,
        master: options.master,
        notify: options.notify,
    });
    control.run().map_err(|error| format!("{error}."))
}

/// The configured user, with the rights that go with it.
fn become_user(global: &Global) -> Result<(), String> {
    identity::become_user(global.uid, global.gid)?;
    identity::settle_privileges(&global.capabilities)?;
    if global.dumpable {
        identity::make_dumpable();
    }
    if !global.setuid_programs {
        identity::forbid_other_rights();
    }
    Ok(())
}

/// `tune.renice.…`
fn renice(value: Option<i32>, voice: Voice) {
    if let Some(value) = value
        && let Err(error) = sys::set_niceness(value)
    {
        voice.warning(&format!("Cannot set the nice value to {value}: {error}."));
    }
}

/// Memory comes in pages of 4 KB, not of 2 MB as the allocator asks for: a request that touches new memory would wait until two
/// megabytes are found and cleared, which takes milliseconds.
fn small_pages() {
    // Where the system refuses, those requests wait.
    let _ = nix::sys::prctl::set_thp_disable(true);
}

/// Counts what the machine and the limits allow.
fn facts(model: &Model, options: &Options, voice: Voice) -> Result<(Facts, PipeLimits), String> {
    let workers = model.global.nbthread.map_or_else(
        || std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        |count| usize::from(count.max(1)),
    );
    let listeners: usize = model.frontends.iter().map(|frontend| frontend.binds.len()).sum();
    let wanted = descriptors::Wanted {
        maxconn: model.global.maxconn.map(u64::from),
        maxpipes: model.global.maxpipes.map(u64::from).or((!model.global.splice).then_some(0)),
        ulimit_n: model.global.ulimit_n.map(u64::from),
        hard_limit: model.global.fd_hard_limit.map(u64::from),
        strict: model.global.strict_limits,
        listeners: (listeners * workers) as u64,
        workers: workers as u64,
    };
    let provided = descriptors::provide(&wanted, &options.program, voice)?;
    let size = model.global.tune.pipesize.map_or(PIPE_SIZE, |size| size as usize);
    let pipes = PipeLimits::new(usize::try_from(provided.pipes).unwrap_or(usize::MAX), size);
    let (program, hostname) = (options.program.clone(), hostname());
    let groups = usize::from(model.global.thread_groups.unwrap_or(1));
    Ok((Facts { workers, groups, program, hostname, maxconn: provided.maxconn }, pipes))
}

fn hostname() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "localhost".into())
}

fn log_settings(model: &Model, facts: &Facts) -> LogSettings {
    let sent_hostname = match &model.global.log_hostname {
        LogHostname::Absent => None,
        LogHostname::System => Some(facts.hostname.as_str().into()),
        LogHostname::Name(name) => Some(name.as_str().into()),
    };
    LogSettings {
        hostname: facts.hostname.as_str().into(),
        sent_hostname,
        pid: std::process::id(),
        dropped: Arc::default(),
        kernel_buffers: model.global.tune.kernel_buffers.sent_datagrams,
    }
}

fn start_workers(
    global: &Global,
    handle: &Handle,
    oversight: &Arc<Oversight>,
    opened: Vec<sockets::ForWorker>,
    pipes: &Arc<PipeLimits>,
) -> Result<Vec<WorkerHandle>, String> {
    let waiting = Arc::new(Waiting::default());
    let count = opened.len();
    let processors = |index| {
        let groups = usize::from(global.thread_groups.unwrap_or(1));
        let (group, place) = group_of(index, count, groups);
        let number = |place: usize| u8::try_from(place + 1).ok();
        let found = number(group).zip(number(place)).and_then(|thread| global.cpu_map.get(&thread));
        found.cloned().unwrap_or_default()
    };
    let spawn = |(index, listening): (usize, sockets::ForWorker)| {
        let settings = worker::Settings {
            index,
            handle: handle.clone(),
            started: oversight.started,
            log: oversight.log.clone(),
            waiting: Arc::clone(&waiting),
            pipes: Arc::clone(pipes),
            process: Arc::<Oversight>::clone(oversight),
            listening,
            processors: processors(index),
            busy: global.busy_polling,
        };
        worker::spawn(settings).map_err(|error| format!("Cannot start a worker thread: {error}."))
    };
    opened.into_iter().enumerate().map(spawn).collect()
}

/// The runtime API of a process that started then, with its generation.
fn runtime(
    model: &Model,
    (handle, started): (Handle, Instant),
    process: Arc<Oversight>,
    workers: &[WorkerHandle],
) -> cli::Settings {
    let global = &model.global;
    cli::Settings {
        handle,
        process,
        workers: cli::Workers::new(workers, global.stats_timeout),
        started,
        timeout: global.stats_timeout,
        payload_max: global.payload_max.unwrap_or(cli::PAYLOAD_MAX),
        sockets: global.stats_sockets.iter().map(|socket| (shown(&socket.address), socket.level)).collect(),
        connections: Semaphore::new(global.stats_maxconn.max(1) as usize),
        checks: Rc::default(),
        names: RefCell::default(),
    }
}

/// A runtime socket's address as `show cli sockets` has it.
fn shown(address: &ListenAddress) -> String {
    match address {
        ListenAddress::Tcp(SocketAddr::V4(address)) => format!("ipv4@{address}"),
        ListenAddress::Tcp(SocketAddr::V6(address)) => format!("ipv6@{address}"),
        ListenAddress::Unix(path) => format!("unix@{}", path.display()),
        ListenAddress::Abstract(_) | ListenAddress::Fd(_) => address.to_string(),
    }
}
