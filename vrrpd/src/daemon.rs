//! The life of the process: background, pid files, signals, reload, end.

use crate::clock;
use crate::io::vet;
use crate::log::{self, PROCESS};
use crate::router;
use crate::run::Daemon;
use crate::systemd::{self, State};
use crate::{dump, run};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

/// Exit code of a daemon that was told to stop.
pub const EXIT_OK: u8 = 0;
/// Exit code when something outside of the configuration is in the way.
pub const EXIT_FATAL: u8 = 1;
/// Exit code of a daemon that cannot run its configuration, as keepalived's.
pub const EXIT_CONFIG: u8 = 2;

/// keepalived's `--signum=JSON`, SIGRTMIN+2 as the C library counts.
const SIGNAL_JSON: i32 = 36;
/// keepalived's `--signum=STATS_CLEAR`.
const SIGNAL_CLEAR_STATISTICS: i32 = 63;
/// Names that a process of this daemon, or of the one it replaces, may have.
const DAEMON_NAMES: [&str; 2] = ["vrrpd", "keepalived"];

/// What the command line says about the process.
#[derive(Clone, Debug)]
pub struct Options {
    /// Program name and version, for the first and the last line of the log.
    pub banner: String,
    /// `-n`: stay in the foreground.
    pub foreground: bool,
    /// Where the log goes (`-l`, `-S`).
    pub log: log::Destination,
    /// `-D`: detailed log.
    pub detail: bool,
    /// `-p` and `-r`: where the process id is written.
    pub pid_files: Vec<PathBuf>,
}

/// What a configuration asks the daemon to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// For the router, scripts not yet vetted.
    pub router: router::Settings,
    /// `enable_script_security`.
    pub script_security: bool,
    /// `dynamic_interfaces`: an interface may be missing at start.
    pub dynamic_interfaces: bool,
}

/// Reads the configuration anew; lines say what is wrong with it.
pub type Reload<'a> = dyn FnMut() -> Result<Plan, Vec<String>> + 'a;

/// Runs until told to stop; the exit code. Call it before any thread is started: it may fork.
pub fn run(options: &Options, plan: Plan, reload: &mut Reload<'_>) -> u8 {
    log::init(options.log, options.detail);
    if let Some(pid) = options.pid_files.iter().find_map(|path| running_daemon(path)) {
        tracing::error!(target: PROCESS, "daemon is already running (pid {pid})");
        return EXIT_FATAL;
    }
    if !options.foreground
        && let Err(error) = nix::unistd::daemon(false, false)
    {
        tracing::error!(target: PROCESS, "cannot go to the background: {error}");
        return EXIT_FATAL;
    }
    tracing::info!(target: PROCESS, "Starting {}", options.banner);
    for path in &options.pid_files {
        if let Err(error) = std::fs::write(path, format!("{}\n", std::process::id())) {
            tracing::error!(target: PROCESS, "cannot write pid file {}: {error}", path.display());
            return EXIT_FATAL;
        }
    }
    let code = match live(plan, reload) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(target: PROCESS, "{error}");
            EXIT_FATAL
        }
    };
    for path in &options.pid_files {
        if let Err(error) = std::fs::remove_file(path) {
            tracing::warn!(target: PROCESS, "cannot remove pid file {}: {error}", path.display());
        }
    }
    tracing::info!(target: PROCESS, "Stopped {}", options.banner);
    code
}

fn live(plan: Plan, reload: &mut Reload<'_>) -> io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let Some(mut daemon) = begin(plan).await? else { return Ok(EXIT_CONFIG) };
        systemd::notify(State::Ready);
        loop {
            let signal = tokio::select! {
                biased;
                signal = signals.next() => signal?,
                event = daemon.wait() => {
                    daemon.handle(event?).await;
                    continue;
                }
            };
            match signal {
                Signal::Stop => break,
                Signal::Reload => {
                    systemd::notify(State::Reloading);
                    apply(&mut daemon, reload).await?;
                    systemd::notify(State::Ready);
                }
                Signal::Data => write_dump(dump::DATA_FILE, &dump::Data(daemon.router())),
                Signal::Statistics => write_dump(dump::STATS_FILE, &dump::Statistics(daemon.router())),
                Signal::ClearStatistics => daemon.clear_counters(),
                Signal::Json => {
                    let (now, since_epoch) = (clock::now(), clock::since_epoch());
                    write_dump(dump::JSON_FILE, &dump::json::Json { router: daemon.router(), now, since_epoch });
                }
            }
            // However fast signals come, adverts leave between them.
            daemon.handle(None).await;
        }
        tracing::info!("Stopping");
        daemon.stop().await;
        systemd::notify(State::Stopping);
        tracing::info!("Stopped");
        Ok(EXIT_OK)
    })
}

/// Opens and starts, unless the configuration names an interface that must be there and is not.
async fn begin(mut plan: Plan) -> io::Result<Option<Daemon>> {
    for remark in vet::vet(&mut plan.router, plan.script_security) {
        tracing::warn!("{}", remark.line);
    }
    let mut daemon = run::Daemon::open(plan.router).await?;
    let missing = daemon.missing_interfaces();
    for (instance, interface) in &missing {
        tracing::warn!("WARNING - interface {interface} for vrrp_instance {instance} doesn't exist");
    }
    if !missing.is_empty() && !plan.dynamic_interfaces {
        tracing::error!("Non-existent interface specified in configuration");
        return Ok(None);
    }
    tracing::info!(target: PROCESS, "Startup complete");
    daemon.start().await;
    Ok(Some(daemon))
}

/// A reload that cannot be read changes nothing.
async fn apply(daemon: &mut Daemon, reload: &mut Reload<'_>) -> io::Result<()> {
    tracing::info!(target: PROCESS, "Reloading ...");
    let mut plan = match reload() {
        Ok(plan) => plan,
        Err(lines) => {
            for line in lines {
                tracing::error!(target: PROCESS, "{line}");
            }
            tracing::error!(target: PROCESS, "New config failed validation, the old one keeps running");
            return Ok(());
        }
    };
    for remark in vet::vet(&mut plan.router, plan.script_security) {
        tracing::warn!("{}", remark.line);
    }
    let missing = daemon.missing_for(&plan.router);
    for (instance, interface) in &missing {
        tracing::warn!("WARNING - interface {interface} for vrrp_instance {instance} doesn't exist");
    }
    if !missing.is_empty() && !plan.dynamic_interfaces {
        tracing::error!(target: PROCESS, "New config failed validation, the old one keeps running");
        return Ok(());
    }
    daemon.reload(plan.router).await?;
    tracing::info!(target: PROCESS, "Reload complete");
    Ok(())
}

fn write_dump(path: &str, text: &dyn std::fmt::Display) {
    if let Err(error) = dump::write(Path::new(path), text) {
        tracing::error!("cannot write {path}: {error}");
    }
}

/// The daemon that a pid file names, if it still runs. The number may have become somebody else's since, most likely in
/// a container, and then it is no reason not to start.
fn running_daemon(path: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(path).ok()?;
    let pid = text.trim().parse::<i32>().ok().filter(|pid| *pid > 0)?;
    let alive = !matches!(kill(Pid::from_raw(pid), None), Err(Errno::ESRCH));
    let ours = u32::try_from(pid).ok() == Some(std::process::id());
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    let own_name = std::fs::read_to_string("/proc/self/comm").unwrap_or_default();
    (alive && !ours && stat.is_ok_and(|stat| is_daemon(&stat, own_name.trim_end()))).then_some(pid)
}

/// Whether a line of `/proc/PID/stat` is that of a VRRP daemon that has not ended. `own_name` is what this one is called.
fn is_daemon(stat: &str, own_name: &str) -> bool {
    let Some((name, rest)) = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')) else { return false };
    let ended = matches!(rest.trim_start().chars().next(), Some('Z' | 'X') | None);
    (DAEMON_NAMES.contains(&name) || name == own_name) && !ended
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    Stop,
    Reload,
    Data,
    Statistics,
    ClearStatistics,
    Json,
}

/// Signals as a stream: a flag for each and a pipe that wakes the loop.
struct Signals {
    flags: Vec<(Arc<AtomicBool>, Signal)>,
    wake: UnixStream,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let (wake, write) = StdStream::pair()?;
        wake.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        let mut flags = Vec::new();
        for (number, signal) in [
            (SIGTERM, Signal::Stop),
            (SIGINT, Signal::Stop),
            (SIGHUP, Signal::Reload),
            (SIGUSR1, Signal::Data),
            (SIGUSR2, Signal::Statistics),
            (SIGNAL_CLEAR_STATISTICS, Signal::ClearStatistics),
            (SIGNAL_JSON, Signal::Json),
        ] {
            let flag = Arc::new(AtomicBool::new(false));
            // The flag before the pipe: whoever is woken must find it.
            signal_hook::flag::register(number, Arc::clone(&flag))?;
            signal_hook::low_level::pipe::register(number, write.try_clone()?)?;
            flags.push((flag, signal));
        }
        Ok(Self { flags, wake: UnixStream::from_std(wake)? })
    }

    /// The next signal. Cancel safe: a flag is taken only when it is returned.
    async fn next(&mut self) -> io::Result<Signal> {
        loop {
            let raised = self.flags.iter().find(|(flag, _)| flag.swap(false, Ordering::AcqRel));
            if let Some((_, signal)) = raised {
                return Ok(*signal);
            }
            let mut bytes = [0; 16];
            if self.wake.read(&mut bytes).await? == 0 {
                return Err(io::Error::other("the pipe of the signals has been closed"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_counts_only_while_its_daemon_lives() {
        let path = std::env::temp_dir().join(format!("vrrpd-pid-test-{}", std::process::id()));
        // Process 1 lives, but it is not a VRRP daemon.
        let own = std::process::id().to_string();
        for text in ["1\n", "", "0", "-1", "x", "2147483646", &own] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(running_daemon(&path), None, "{text:?}");
        }
        std::fs::remove_file(&path).unwrap();
        for (stat, expected) in [
            ("14 (vrrpd) S 1 14 14 0", true),
            ("14 (keepalived) R 1 14 14 0", true),
            ("14 (vrrpd) Z 1 14 14 0", false),
            ("14 (bash) S 1 14 14 0", false),
            ("14 (other) S 1 14 14 0", true),
            ("14 (vrrpd) x) S 1", false),
            ("14", false),
        ] {
            assert_eq!(is_daemon(stat, "other"), expected, "{stat}");
        }
    }
}
