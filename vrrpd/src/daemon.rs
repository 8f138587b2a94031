//! The life of the process: background, pid files, the parent and the VRRP process, reload, end.
//!
//! - `parent`: the first process, which supervises; `live`: the VRRP process, from its start to its end;
//! - `memory`: what one VRRP process leaves to the next;
//! - `namespace`: `net_namespace`;
//! - `signals`, `pid_file`, `setup`: what their names say; `reload_time`: `reload_time_file`.

mod live;
mod memory;
pub mod namespace;
mod parent;
mod pid_file;
mod reload_time;
mod setup;
mod signals;

use crate::config::model::{Model, OneShotScript};
use crate::io::{one_shot, vet};
use crate::log::{self, PROCESS};
use crate::router;
use parent::Role;
use pid_file::{PidFile, running_daemon};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Exit code of a daemon that was told to stop.
pub const EXIT_OK: u8 = 0;
/// Exit code when something outside of the configuration is in the way.
pub const EXIT_FATAL: u8 = 1;
/// Exit code of a daemon that cannot run its configuration, as keepalived's.
pub const EXIT_CONFIG: u8 = 2;

/// What the command line says about the process.
#[derive(Clone, Debug)]
pub struct Options {
    /// Program name and version, for the first and the last line of the log.
    pub banner: String,
    /// `-n`: stay in the foreground.
    pub foreground: bool,
    /// `-p`: where the process id of the parent is written.
    pub pid_file: PathBuf,
    /// `-r`: where that of the VRRP process is written.
    pub vrrp_pid_file: PathBuf,
    /// False with `-R`: a VRRP process that dies is not replaced.
    pub respawn: bool,
    /// False with `-V`: addresses stay where they are when the daemon stops.
    pub release: bool,
    /// `--ignore-sigint`
    pub ignore_interrupt: bool,
    /// `-a`: log every address that comes or goes.
    pub log_addresses: bool,
    /// `-d`: write the configuration to the log.
    pub dump: bool,
    /// `-u`, or `umask` of `global_defs`.
    pub umask: u16,
    /// `-m`: core files may have any size.
    pub core_dump: bool,
    /// `child_wait_time`: how long the VRRP process may take to stop.
    pub child_wait: Duration,
    /// `--status-socket`
    pub status_socket: Option<PathBuf>,
    /// `--metrics-address`
    pub metrics_address: Option<SocketAddr>,
}

/// What a configuration asks the daemon to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The configuration itself, for dumps and for what concerns the process.
    pub model: Arc<Model>,
    /// For the router, scripts not yet vetted.
    pub router: router::Settings,
    /// `enable_script_security`.
    pub script_security: bool,
    /// `dynamic_interfaces`: an interface may be missing at start.
    pub dynamic_interfaces: bool,
}

/// Which configuration is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// What the files say now.
    Current,
    /// What they said when the daemon was started.
    First,
}

/// Reads the configuration anew; lines say what is wrong with it.
pub type Reload<'a> = dyn FnMut(Which) -> Result<Plan, Vec<String>> + 'a;

/// Runs until told to stop; the exit code. Call it before any thread is started: it forks.
pub fn run(options: &Options, log: &log::Log, plan: Plan, reload: &mut Reload<'_>) -> u8 {
    if let Some(pid) = [&options.pid_file, &options.vrrp_pid_file].into_iter().find_map(|path| running_daemon(path)) {
        tracing::error!(target: PROCESS, "daemon is already running (pid {pid})");
        return EXIT_FATAL;
    }
    if !options.foreground
        && let Err(error) = nix::unistd::daemon(false, log.is_console())
    {
        tracing::error!(target: PROCESS, "cannot go to the background: {error}");
        return EXIT_FATAL;
    }
    tracing::info!(target: PROCESS, "Starting {}", options.banner);
    setup::parent(options, &plan.model.global.process);
    match supervised(options, plan, reload) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(target: PROCESS, "{error}");
            EXIT_FATAL
        }
    }
}

/// Runs `startup_script` or `shutdown_script`, if there is one and it may be run.
fn run_once(what: &str, script: Option<&OneShotScript>, security: bool) {
    let Some(script) = script else { return };
    let (command, remarks) = vet::vet_one_shot(&script.command, security);
    for remark in remarks {
        tracing::warn!(target: PROCESS, "{}", remark.line);
    }
    if let Some(command) = command {
        one_shot::run(what, &command, script.timeout);
    }
}

/// The parent until its end, and each VRRP process until its end.
fn supervised(options: &Options, plan: Plan, reload: &mut Reload<'_>) -> std::io::Result<u8> {
    let file = match PidFile::write(&options.pid_file) {
        Ok(file) => file,
        Err(error) => {
            tracing::error!(target: PROCESS, "cannot write pid file {}: {error}", options.pid_file.display());
            return Ok(EXIT_FATAL);
        }
    };
    run_once("startup", plan.model.global.startup_script.as_ref(), plan.script_security);
    let global = &plan.model.global;
    let (shutdown, namespace) = (global.shutdown_script.clone(), global.process.net_namespace.clone());
    let security = plan.script_security;
    let mut plan = Some(plan);
    match parent::supervise(options, &mut plan)? {
        Role::Vrrp(inheritance) => {
            // The file is the parent's.
            std::mem::forget(file);
            live::run(options, inheritance, plan, reload)
        }
        Role::Parent(code) => {
            run_once("shutdown", shutdown.as_ref(), security);
            drop(file);
            match &namespace {
                Some(name) => namespace::leave(name),
                None if options.pid_file.starts_with(namespace::RUN_FOLDER) => {
                    namespace::remove_if_empty(Path::new(namespace::RUN_FOLDER));
                }
                None => {}
            }
            tracing::info!(target: PROCESS, "Stopped {}", options.banner);
            Ok(code)
        }
    }
}
