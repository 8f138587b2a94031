//! What the command line asks for: a check, an answer about the program, or to serve.
//!
//! - [`console`] what is said on standard output and standard error
//! - [`check`] loading a configuration and reporting on it: `-c`, and the first thing of every start
//! - [`version`] `-v`, `-vv`, and what `.if` and `-cc` may ask about the program
//! - [`keywords`] `-dK`

pub mod check;
pub mod console;
pub mod keywords;
pub mod version;

use crate::args::{Args, Master, OldProcesses, Refusal, Task, program_name};
use crate::config::model::Model;
use crate::process::serve::{self, Options};
use shared_config::haproxy;
use shared_config::haproxy::env::Env;
use std::ffi::OsString;
use std::process::ExitCode;

/// What `-c` answers for a configuration that cannot be used, and a start that fails.
pub const EXIT_FAILURE: u8 = 1;
/// What `-cc` answers for a condition that cannot be read.
const EXIT_BAD_CONDITION: u8 = 2;

/// Does what the command line asks for.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    let argv: Vec<OsString> = argv.into_iter().collect();
    let args = match Args::parse(argv.iter().cloned()) {
        Ok(args) => args,
        Err(refusal) => return refuse(&program_name(argv.first()), &refusal),
    };
    if let Some(directory) = &args.directory
        && let Err(error) = std::env::set_current_dir(directory)
    {
        let reason = check::reason(&error);
        console::alert(&format!("Could not change to directory {} : {reason}", directory.display()));
        return ExitCode::from(EXIT_FAILURE);
    }
    match &args.task {
        Task::Version => console::out(&version::short(&args.program)),
        Task::Build => console::out(&version::long(&args.program)),
        Task::Condition(text) => return condition(text),
        Task::Check => return check::run(&args),
        Task::Run if args.files.is_empty() => {
            return keywords::print(args.keyword_classes.as_deref().unwrap_or_default());
        }
        Task::Run => return start(&args),
    }
    ExitCode::SUCCESS
}

fn refuse(program: &str, refusal: &Refusal) -> ExitCode {
    match refusal {
        Refusal::Usage => console::err(&version::usage(program)),
        Refusal::Message(message) => console::alert(message),
    }
    ExitCode::from(EXIT_FAILURE)
}

/// `-cc`: 0 where it holds, 1 where not, 2 where it cannot be read.
fn condition(text: &str) -> ExitCode {
    match haproxy::evaluate_condition(text, &environment(None, false), &version::facts()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            console::alert(&error);
            ExitCode::from(EXIT_BAD_CONDITION)
        }
    }
}

/// The environment as configurations see it: what the process was started with, the local peer's name (`-L`, or the host's), and what
/// else haproxy sets before it reads its files.
pub fn environment(peer: Option<&str>, master: bool) -> Env {
    use std::os::unix::ffi::OsStrExt as _;
    let text = |value: OsString| shared_config::source::decode(value.as_bytes());
    let mut env = Env::new(std::env::vars_os().map(|(name, value)| (text(name), text(value))));
    match peer {
        Some(name) => env.fix_peer(name),
        None => env.name_peer(nix::unistd::gethostname().map_or_else(|_| String::new(), text)),
    }
    env.set("HAPROXY_STARTUP_VERSION", version::facts().version);
    if master {
        env.set("HAPROXY_MWORKER", "1");
    }
    env
}

/// Loads the configuration and serves it.
fn start(args: &Args) -> ExitCode {
    let (model, startup_logs) = match check::load(args) {
        Ok(loaded) => (overridden(args, loaded.model), loaded.startup_logs),
        Err(code) => return code,
    };
    let options = Options { startup_logs, ..options(args, &model) };
    if !options.quiet {
        args.without_effect().into_iter().for_each(console::no_effect);
    }
    let args = args.clone();
    let load = move || {
        let loaded = check::load(&args).ok()?;
        Some((overridden(&args, loaded.model), loaded.startup_logs))
    };
    serve::serve(&model, &options, Box::new(load))
}

/// A model with what the command line says instead.
fn overridden(args: &Args, mut model: Model) -> Model {
    model.global.maxconn = Some(args.maxconn).filter(|&maxconn| maxconn > 0).or(model.global.maxconn);
    model.global.splice &= !args.no_splice;
    if args.no_reuse_port {
        model.global.no_reuse_port = true;
        model.frontends.iter_mut().flat_map(|frontend| &mut frontend.binds).for_each(|bind| bind.exclusive = true);
    }
    model
}

/// What command line and configuration say together: the command line wins.
fn options(args: &Args, model: &Model) -> Options {
    let global = &model.global;
    let (old, terminate_old) = match &args.old_processes {
        OldProcesses::None => (&[][..], false),
        OldProcesses::Finish(pids) => (&pids[..], false),
        OldProcesses::Terminate(pids) => (&pids[..], true),
    };
    Options {
        program: args.program.clone(),
        daemon: (args.daemon || global.daemon) && !args.foreground && !args.debug && args.master != Master::Notify,
        master: args.master != Master::No || global.master_worker,
        notify: args.master == Master::Notify,
        quiet: args.quiet || global.quiet,
        pidfile: args.pidfile.clone().or_else(|| global.pidfile.clone()),
        // What does not fit names no process.
        old_processes: old.iter().filter_map(|&pid| i32::try_from(pid).ok()).collect(),
        terminate_old,
        startup_logs: String::new(),
    }
}
