//! From the command line to a checked configuration or a running daemon.

use crate::args::{self, Args, Facility, Question, Request, StatusSocket};
use crate::config::model::ProcessSettings;
use crate::config::{self, Loaded, ThisHost};
use crate::daemon::namespace::{self, EnterError};
use crate::daemon::{self, Options, Plan, Which};
use crate::io::vet;
use crate::log::{self, Log, PROCESS};
use crate::status::client;
use crate::{clock, notify, running, systemd};
use shared_config::diagnostic::{Diagnostic, Severity};
use shared_config::render::{self, Colour};
use shared_config::source::{Sources, encode};
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Exit status of a command line that cannot be used.
const EXIT_USAGE: u8 = 1;
/// The name that an existing link or script may call this program by.
const OLD_NAME: &str = "keepalived";
/// Where pid files are without `-p` and `-r`.
const RUN: &str = "/run";

/// The program: the exit status of the process.
pub fn main() -> u8 {
    let argv: Vec<_> = std::env::args_os().collect();
    let called = argv.first().map(PathBuf::from);
    let called = called.as_deref().and_then(Path::file_name).map_or("vrrpd".into(), |name| name.to_string_lossy());
    match args::parse(argv.iter().cloned()) {
        Ok(Request::Help) => print(&args::help(&called)),
        Ok(Request::Version) => print(&format!("{}\n", banner(&called))),
        Ok(Request::Signal(number)) => print(&format!("{number}\n")),
        Ok(Request::Ask(question, socket)) => ask(question, &socket),
        Ok(Request::Run(args)) if args.test.is_some() => check(&args),
        Ok(Request::Run(args)) => run(&args, &called),
        Err(error) => {
            complain(&format!("{error}\n"));
            EXIT_USAGE
        }
    }
}

/// Name and version. Under the old name the program says that name, since tools look for it.
fn banner(called: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    if called == OLD_NAME { format!("Keepalived v{version} (vrrpd)") } else { format!("vrrpd v{version}") }
}

/// A configuration with the texts that its diagnostics point into.
struct Read {
    loaded: Loaded,
    sources: Sources,
    /// The namespace that the file names and `-s` overrides.
    overridden: Option<String>,
}

/// This host, and what `@ID` lines are compared with.
fn host(args: &Args) -> (ThisHost, String) {
    let since_epoch = clock::since_epoch();
    let seed = u64::from(since_epoch.subsec_nanos()) << 32 | since_epoch.as_secs() & 0xffff_ffff;
    let host = ThisHost::new(seed ^ u64::from(std::process::id()));
    let short_name = config::Host::name(&host).split('.').next().unwrap_or_default().to_owned();
    let config_id = args.config_id.clone().unwrap_or(short_name);
    (host, config_id)
}

fn read(args: &Args) -> Read {
    let mut sources = Sources::new();
    let (mut host, config_id) = host(args);
    let mut loaded = config::load(&args.config, &config_id, &mut host, &mut sources);
    let mut overridden = None;
    if let (Some(model), Some(name)) = (&mut loaded.model, &args.namespace) {
        overridden = model.global.process.net_namespace.replace(name.clone()).filter(|configured| configured != name);
    }
    Read { loaded, sources, overridden }
}

/// Enters the network namespace of a configuration and reads it anew there: only inside is it known which interfaces
/// exist. Without one there is nothing to do.
fn enter(read: Read, args: &Args) -> (Read, Result<(), EnterError>) {
    let process = read.loaded.model.as_ref().map(|model| &model.global.process);
    let Some(name) = process.and_then(|process| process.net_namespace.clone()) else { return (read, Ok(())) };
    match namespace::enter(&name) {
        Ok(()) => (self::read(args), Ok(())),
        Err(error) => (read, Err(error)),
    }
}

impl Read {
    /// Everything that was found, in keepalived's one-line form.
    fn lines(&self) -> Vec<(Severity, String)> {
        let list = self.loaded.diagnostics.iter();
        list.flat_map(|d| keepalived_lines(d, &self.sources).into_iter().map(|line| (d.severity, line))).collect()
    }
}

/// Where keepalived says two things about one place, the second is our label.
fn keepalived_lines(diagnostic: &Diagnostic, sources: &Sources) -> Vec<String> {
    let mut lines = vec![render::keepalived_line(diagnostic, sources)];
    if matches!(diagnostic.code, "invalid-number" | "invalid-ip" | "deprecated") && !diagnostic.label.is_empty() {
        let second = Diagnostic { message: diagnostic.label.clone(), ..diagnostic.clone() };
        lines.push(render::keepalived_line(&second, sources));
    }
    lines
}

/// `-t`: says everything about the configuration and exits as keepalived does.
fn check(args: &Args) -> u8 {
    let (read, entered) = enter(read(args), args);
    let log = args.test.clone().flatten();
    let people = log.is_none() && io::stderr().is_terminal();
    let mut text = Vec::new();
    if let Err(error) = &entered {
        // Where a file is checked the namespace need not exist; keepalived passes then.
        text.extend(format!("{error}\nInterfaces are looked for outside of it.\n").bytes());
    }
    for diagnostic in read.loaded.diagnostics.iter() {
        if people {
            text.extend(encode(&render::human(diagnostic, &read.sources, Colour::Always)));
            text.extend(b"\n\n");
        } else {
            for line in keepalived_lines(diagnostic, &read.sources) {
                text.extend(encode(&line));
                text.push(b'\n');
            }
        }
    }
    match read.loaded.diagnostics.dropped() {
        0 => {}
        n => text.extend(format!("and {n} more\n").bytes()),
    }
    let mut status = read.loaded.check_status();
    // What cannot be read to its end is not judged further.
    if let Some(model) = read.loaded.model.as_ref().filter(|_| status != config::EXIT_CONFIG) {
        let mut plan = running::plan(Arc::new(model.clone()));
        // keepalived looks for notify scripts only when it starts.
        for instance in &mut plan.router.instances {
            instance.notify = notify::Settings::default();
        }
        for group in &mut plan.router.groups {
            group.notify = notify::Settings::default();
        }
        for remark in vet::vet(&mut plan.router, plan.script_security) {
            text.extend(format!("{}\n", remark.line).bytes());
            status = status.max(remark.exit);
        }
    }
    match log {
        None => complain_bytes(&text),
        Some(path) => {
            if let Err(error) = std::fs::write(&path, &text) {
                complain(&format!("cannot write {}: {error}\n", path.display()));
                return EXIT_USAGE;
            }
        }
    }
    status
}

fn run(args: &Args, called: &str) -> u8 {
    let log = log_of(args);
    log::init(log.clone());
    systemd::find();
    let read = match in_place(args) {
        Ok(read) => read,
        Err((name, error)) => {
            tracing::error!(target: PROCESS, "{error}");
            tracing::error!(target: PROCESS, "Unable to set network namespace {name} - exiting");
            return daemon::EXIT_FATAL;
        }
    };
    for option in &args.idle {
        tracing::warn!(target: PROCESS, "option {option} has no effect yet");
    }
    for (severity, line) in read.lines() {
        match severity {
            Severity::Diag | Severity::Notice => tracing::info!(target: PROCESS, "{line}"),
            Severity::Warning => tracing::warn!(target: PROCESS, "{line}"),
            Severity::Unsupported | Severity::Error => tracing::error!(target: PROCESS, "{line}"),
        }
    }
    if args.all_config && read.loaded.is_incomplete() {
        tracing::error!(target: PROCESS, "A configuration file is missing or cannot be read, and -e was given");
        return config::EXIT_NO_CONFIG;
    }
    if read.loaded.model.is_none() || !read.loaded.may_start() {
        explain_refusal(&read);
        return read.loaded.start_status();
    }
    // Of what was read only the texts stay: a VRRP process that replaces another may need them.
    let Read { loaded, sources, .. } = read;
    let Some(model) = loaded.model.map(Arc::new) else { return config::EXIT_CONFIG };
    let process = &model.global.process.clone();
    let [pid_file, vrrp_pid_file] = pid_files(args, process);
    let options = Options {
        banner: banner(called),
        foreground: args.foreground,
        pid_file,
        vrrp_pid_file,
        respawn: !args.dont_respawn,
        release: !args.dont_release,
        ignore_interrupt: args.ignore_interrupt,
        log_addresses: args.log_addresses,
        dump: args.dump,
        umask: args.umask.unwrap_or(model.global.scripts.umask),
        core_dump: args.core_dump,
        child_wait: process.child_wait_time,
        status_socket: status_socket(args, process),
        metrics_address: args.metrics_address,
    };
    let mut read = |which| match which {
        Which::Current => reload(args, process),
        Which::First => first(args, &sources),
    };
    daemon::run(&options, &log, running::plan(model), &mut read)
}

/// The configuration, read in the network namespace that it is for, with the log and `/run/keepalived` as they are
/// there; the namespace and what is wrong with it if it cannot be entered.
fn in_place(args: &Args) -> Result<Read, (String, EnterError)> {
    let read = read(args);
    let Some(model) = &read.loaded.model else { return Ok(read) };
    let process = &model.global.process;
    let name = process.net_namespace.clone();
    if let (Some(configured), Some(name)) = (&read.overridden, &name) {
        tracing::info!(
            target: PROCESS,
            "Overriding config net_namespace '{configured}' with command line namespace '{name}'"
        );
    }
    if let Some(place) = process.place() {
        log::set_place(&place);
    }
    let Some(name) = name else { return Ok(read) };
    let (read, entered) = enter(read, args);
    match entered.and_then(|()| namespace::own_run_folder(&name)) {
        Ok(()) => Ok(read),
        Err(error) => Err((name, error)),
    }
}

/// Asks the running daemon; 1 when it cannot be asked or says no.
fn ask(question: Question, socket: &Path) -> u8 {
    let request = match question {
        Question::Status => "GET /status",
        Question::StatusJson => "GET /status.json",
        Question::Metrics => "GET /metrics",
        Question::Reload => "POST /reload",
    };
    match client::ask(socket, request) {
        Ok((200, text)) => print(&text),
        Ok((_, text)) => {
            complain(&text);
            EXIT_USAGE
        }
        Err(error) => {
            complain(&format!(
                "cannot ask the daemon at {}: {error}\nIs it running, with this --status-socket, and are you root?\n",
                socket.display()
            ));
            EXIT_USAGE
        }
    }
}

/// On standard error, for whoever started it by hand: only what is in the way.
fn explain_refusal(read: &Read) {
    let colour = if io::stderr().is_terminal() { Colour::Always } else { Colour::Never };
    for diagnostic in read.loaded.diagnostics.iter().filter(|d| d.severity >= Severity::Unsupported) {
        complain_bytes(&encode(&format!("{}\n\n", render::human(diagnostic, &read.sources, colour))));
    }
}

/// The configuration as it is now; what is wrong with it if it cannot be run.
fn reload(args: &Args, started: &ProcessSettings) -> Result<Plan, Vec<String>> {
    let read = read(args);
    let mut lines = read.lines();
    if let Some(model) = &read.loaded.model {
        let process = &model.global.process;
        let (namespace, instance) = (&process.net_namespace, &process.instance_name);
        for (what, changed) in [
            ("network namespace", *namespace != started.net_namespace),
            ("IPVS network namespace", process.net_namespace_ipvs != started.net_namespace_ipvs),
            ("instance name", *instance != started.instance_name),
        ] {
            if changed {
                lines.push((Severity::Error, format!("Cannot change {what} at a reload - please restart {OLD_NAME}")));
                return Err(lines.into_iter().map(|(_, line)| line).collect());
            }
        }
    }
    let may_start = read.loaded.may_start();
    match read.loaded.model {
        Some(model) if may_start => {
            for (_, line) in lines {
                tracing::warn!(target: PROCESS, "{line}");
            }
            Ok(running::plan(Arc::new(model)))
        }
        Some(_) | None => Err(lines.into_iter().map(|(_, line)| line).collect()),
    }
}

/// The configuration of the start, of which everything was said then.
fn first(args: &Args, texts: &Sources) -> Result<Plan, Vec<String>> {
    let (mut host, config_id) = host(args);
    let loaded = config::load_again(texts, &config_id, &mut host, &mut Sources::new());
    let mut model = loaded
        .and_then(|loaded| loaded.model)
        .ok_or_else(|| vec!["That of the start cannot be read again".to_owned()])?;
    if let Some(name) = &args.namespace {
        model.global.process.net_namespace = Some(name.clone());
    }
    Ok(running::plan(Arc::new(model)))
}

fn log_of(args: &Args) -> Log {
    let facility = match args.facility {
        Facility::Daemon => log::FACILITY_DAEMON,
        // syslog's number of the user facility.
        Facility::User => 1,
        Facility::Local(n) => log::FACILITY_LOCAL0 + n,
    };
    Log {
        // What goes to the background has no console.
        console: args.console && args.foreground,
        facility: Some(facility).filter(|_| !args.no_syslog),
        file: args.log_file.clone(),
        detail: args.detail,
    }
}

/// keepalived's names, so that what reads them goes on working.
fn pid_files(args: &Args, process: &ProcessSettings) -> [PathBuf; 2] {
    let directory = if process.use_pid_dir || process.place().is_some() { namespace::RUN_FOLDER } else { RUN };
    let suffix = instance_suffix(process);
    let default = |name: &str| PathBuf::from(format!("{directory}/{name}{suffix}.pid"));
    [
        args.pid_file.clone().unwrap_or_else(|| default(OLD_NAME)),
        args.vrrp_pid_file.clone().unwrap_or_else(|| default("vrrp")),
    ]
}

/// Daemons that share a host do not share a socket either.
fn status_socket(args: &Args, process: &ProcessSettings) -> Option<PathBuf> {
    match &args.status_socket {
        StatusSocket::Off => None,
        StatusSocket::At(path) => Some(path.clone()),
        StatusSocket::Usual if process.place().is_none() => Some(args::STATUS_SOCKET.into()),
        StatusSocket::Usual => {
            Some(PathBuf::from(format!("{}/vrrpd{}.sock", namespace::RUN_FOLDER, instance_suffix(process))))
        }
    }
}

fn instance_suffix(process: &ProcessSettings) -> String {
    process.instance_name.as_ref().map(|name| format!("_{name}")).unwrap_or_default()
}

fn print(text: &str) -> u8 {
    // Nobody to tell when standard output is gone.
    let written = io::stdout().write_all(text.as_bytes());
    u8::from(written.is_err())
}

fn complain(text: &str) {
    complain_bytes(text.as_bytes());
}

fn complain_bytes(text: &[u8]) {
    // Nobody to tell when standard error is gone.
    let _gone = io::stderr().write_all(text);
}
