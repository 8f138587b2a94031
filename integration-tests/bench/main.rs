//! proxyd beside haproxy and nginx: the same configuration, the same load, one core each, in turns.
//!
//! The subject runs on core 0; clients and servers are one light program ([`load`]) on core 1. Every round starts the
//! subjects anew and lets them take turns ([`lap`]); every answer is checked, and the processor time is that of the
//! kernel's accounting. [`verdict`] says whether the rounds allow ratios at all. System calls and user instructions
//! ([`counts`]) do not depend on neighbours.

mod config;
mod counts;
mod cpu;
mod goals;
mod guard;
mod lap;
mod load;
mod measure;
mod memory;
mod place;
mod reload;
mod report;
mod subject;
mod verdict;
mod workers;
mod workload;
mod wrk;

use anyhow::{Context, Result, bail};
use goals::Findings;
use integration_tests::clock;
use load::Load;
use measure::Timing;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Pid, getsid};
use place::Place;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;
use subject::{Programs, Subject};
use workload::{WORKLOADS, Workload};

const USAGE: &str = "usage: integration-tests/bench/run [OPTION]...
  --only NAME[,NAME]...  these workloads (a name that ends in * stands for all that begin so)
  --short                two rounds of half a second
  --rounds N             how often all are started anew (5; one less than twice as many where a figure is to be reached)
  --seconds S            how long each is measured in a round (1)
  --proxyd PATH          this proxyd instead of the one built beside this program
  --out FOLDER           where figures.md and figures.csv are written (target/bench)
  --guard                only compare proxyd with the figures in guard.tsv (BLESS=1 writes them)
  --list                 the names of all workloads
";

/// What is measured besides the workloads.
const PARTS: [(&str, &str); 5] = [
    ("wrk", "100 B with wrk in front, as a second opinion"),
    ("counts", "system calls and user instructions per request"),
    ("memory", "bytes per connection"),
    ("workers", "two workers beside one"),
    ("reload", "start and reload with 10,000 servers"),
];

/// What the command line asks for.
#[derive(Clone, Debug)]
struct Args {
    only: Vec<String>,
    timing: Timing,
    proxyd: Option<PathBuf>,
    out: PathBuf,
    list: bool,
    guard: bool,
}

impl Args {
    fn parse(arguments: &[String]) -> Result<Self> {
        let timing = Timing { rounds: 5, warm: Duration::from_millis(250), length: Duration::from_secs(1), laps: 10 };
        let mut args = Self {
            only: Vec::new(),
            timing,
            proxyd: None,
            out: PathBuf::from("target/bench"),
            list: false,
            guard: false,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} needs a value\n{USAGE}"));
            match argument.as_str() {
                "--only" => args.only.extend(value()?.split(',').map(str::to_owned)),
                "--short" => {
                    args.timing.rounds = 2;
                    args.timing.length = Duration::from_millis(500);
                }
                "--rounds" => args.timing.rounds = value()?.parse::<usize>().context("--rounds")?.clamp(1, 100),
                "--seconds" => {
                    let seconds: f64 = value()?.parse().context("--seconds")?;
                    args.timing.length = Duration::try_from_secs_f64(seconds.clamp(0.1, 60.0)).context("--seconds")?;
                }
                "--proxyd" => args.proxyd = Some(PathBuf::from(value()?)),
                "--out" => args.out = PathBuf::from(value()?),
                "--list" => args.list = true,
                "--guard" => args.guard = true,
                other => bail!("unknown argument {other}\n{USAGE}"),
            }
        }
        for only in &args.only {
            let mut names = WORKLOADS.iter().map(|workload| workload.name).chain(PARTS.iter().map(|(name, _)| *name));
            if !names.any(|name| stands_for(only, name)) {
                bail!("--only {only}: there is no such workload; --list names them");
            }
        }
        Ok(args)
    }

    /// Whether a part of the bench is wanted.
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| stands_for(only, name))
    }
}

fn stands_for(only: &str, name: &str) -> bool {
    only.strip_suffix('*').map_or(only == name, |begin| name.starts_with(begin))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match Args::parse(&arguments).and_then(|args| run(&args, &arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args, arguments: &[String]) -> Result<()> {
    let mut out = std::io::stdout();
    if args.list {
        for workload in WORKLOADS {
            writeln!(out, "{:20} {}", workload.name, workload.about)?;
        }
        for (name, about) in PARTS {
            writeln!(out, "{name:20} {about}")?;
        }
        return Ok(());
    }
    let folder = std::env::temp_dir().join(format!("proxyd-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).context("a folder for files of this run")?;
    let programs = Programs::find(args.proxyd.clone(), folder.clone())?;
    let done = isolate(args.guard).and_then(|()| {
        if args.guard {
            let bless = std::env::var_os("BLESS").is_some();
            Ok(write!(out, "{}", guard::run(&programs, &mut Place::new()?.load, bless)?)?)
        } else {
            bench(args, arguments, &programs, &mut out)
        }
    });
    let _ = std::fs::remove_dir_all(folder);
    done
}

/// The second core for this program, and as many files as the system allows.
fn isolate(guard: bool) -> Result<()> {
    let mut core = CpuSet::new();
    // Counts, unlike times, need no core of their own.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    core.set(usize::from(cores > 1 || !guard)).context("core 1")?;
    sched_setaffinity(Pid::from_raw(0), &core).context("the bench needs two processor cores")?;
    go_first();
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("RLIMIT_NOFILE")
}

/// Ahead of whatever else runs on this machine. Linux weighs sessions, not processes; only a session of the bench's own
/// is raised (`run` makes one), never the terminal's. Without the right to do so it goes on as it is.
fn go_first() {
    if getsid(None) == Ok(Pid::this()) {
        let _ = std::fs::write("/proc/self/autogroup", "-20");
    }
}

fn bench(args: &Args, arguments: &[String], programs: &Programs, out: &mut impl std::io::Write) -> Result<()> {
    let begun = clock::now();
    // One for each subject, and one for what measures them one after the other.
    let mut places = [Place::new()?, Place::new()?, Place::new()?];
    let mut alone = Place::new()?;
    let mut findings = Findings::default();
    let (mut details, mut csv) = (String::new(), String::from(report::CSV_HEAD));
    for workload in WORKLOADS.iter().filter(|workload| args.wants(workload.name)) {
        let timing = if goals::judges(workload.name) { args.timing.thorough() } else { args.timing };
        let section = match measure::workload(programs, &mut places, *workload, timing) {
            Ok(outcome) => {
                report::findings(&outcome, &mut findings);
                csv += &report::csv(&outcome);
                report::markdown(&outcome)
            }
            Err(error) => failed(workload.name, workload.about, &error, &["cpu", "p50", "p99"], &mut findings),
        };
        write!(out, "{section}")?;
        out.flush()?;
        details += &section;
    }
    for (name, about) in PARTS.iter().filter(|(name, _)| args.wants(name)) {
        alone.enter()?;
        let load = &mut alone.load;
        let section = match *name {
            "counts" => count(programs, load, &mut findings)
                .unwrap_or_else(|error| failed(name, about, &error, &["calls", "instructions"], &mut findings)),
            "wrk" => wrk::measure(programs, load, args.timing)
                .unwrap_or_else(|error| failed(name, about, &error, &[], &mut findings)),
            "memory" => memory::measure(programs, load, &mut findings),
            "workers" => workers::measure(programs, &mut places, args.timing, &mut findings),
            _ => reload::measure(programs, load, &mut findings),
        };
        alone.load.end();
        write!(out, "{section}")?;
        out.flush()?;
        details += &section;
    }
    let head = heading(programs, arguments, (clock::now() - begun).as_secs());
    let table = findings.table();
    writeln!(out, "## Figures to reach\n\n{table}")?;
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    std::fs::write(args.out.join("figures.csv"), csv).context("figures.csv")?;
    let text = format!("{head}\n## Figures to reach\n\n{table}\n## Workloads\n\n{details}");
    std::fs::write(args.out.join("figures.md"), text).context("figures.md")?;
    Ok(writeln!(out, "written: {0}/figures.md, {0}/figures.csv", args.out.display())?)
}

/// A part that could not be measured at all: said in its place, and the others go on.
fn failed(name: &str, about: &str, error: &anyhow::Error, keys: &[&str], findings: &mut Findings) -> String {
    for key in keys {
        findings.refused(format!("{name}/{key}"), format!("{error:#}"));
    }
    format!("### {name}: {about}\n\nNo ratios:\n- {error:#}\n\n")
}

/// Whose calls and instructions are counted for both, and the end of the name of what is to be reached, where something is.
const COUNTED: [(&str, Option<&str>); 6] = [
    ("100B-64", Some("")),
    ("100B-64-httplog", Some("-httplog")),
    ("rules-10", None),
    ("roundrobin-1000", None),
    ("queue", None),
    ("tcp-64", None),
];

/// System calls and user instructions per request of both.
fn count(programs: &Programs, load: &mut Load, findings: &mut Findings) -> Result<String> {
    let mut text = String::from(
        "### counts: system calls and user instructions per request\n\n\
         | workload | | system calls | which | user instructions |\n|---|---|---|---|---|\n",
    );
    for (name, suffix) in COUNTED {
        let workload = WORKLOADS.iter().find(|workload| workload.name == name).context("no such workload")?;
        let theirs = count_one(programs, load, workload, Subject::Haproxy)?;
        let ours = count_one(programs, load, workload, Subject::Proxyd)?;
        for (subject, (calls, which, instructions)) in [(Subject::Haproxy, &theirs), (Subject::Proxyd, &ours)] {
            let _ = writeln!(text, "| {name} | {subject} | {calls:.2} | {which} | {instructions:.0} |");
        }
        if let Some(suffix) = suffix {
            findings.found(format!("counts/calls{suffix}"), ours.0, format!("(haproxy {:.2})", theirs.0));
            findings.found(format!("counts/instructions{suffix}"), ours.2, format!("(haproxy {:.0})", theirs.2));
        }
    }
    text.push('\n');
    Ok(text)
}

/// Calls, the most frequent of them by name, and instructions.
fn count_one(
    programs: &Programs,
    load: &mut Load,
    workload: &Workload,
    subject: Subject,
) -> Result<(f64, String, f64)> {
    let calls = counts::calls(programs, load, workload, subject, counts::CALLS)?;
    let which: Vec<String> = calls.iter().take(6).map(|(name, share)| format!("{name} {share:.2}")).collect();
    let instructions = counts::instructions(programs, load, workload, subject, counts::INSTRUCTIONS)?;
    Ok((calls.iter().map(|(_, share)| share).sum(), which.join(", "), instructions))
}

/// Date, machine, programs and command.
fn heading(programs: &Programs, arguments: &[String], seconds: u64) -> String {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).trim().to_owned()
    };
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let mut text = format!(
        "# Figures\n\nWritten by the bench; [speed.md](speed.md) tells how it measures.\n\n- {}\n- {} with {} cores, Linux {}\n- commit {}\n- `integration-tests/bench/run {}`, {seconds} s\n",
        said("date", &["-u", "+%F %H:%M UTC"]),
        model.map_or("unknown processor", |(_, model)| model),
        said("nproc", &["--all"]),
        said("uname", &["-r"]),
        said("git", &["describe", "--always", "--dirty"]),
        arguments.join(" "),
    );
    for subject in [Subject::Haproxy, Subject::Proxyd, Subject::Nginx] {
        let _ = writeln!(text, "- {}", programs.version(subject));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args> {
        Args::parse(&line.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn parts_are_chosen_by_name_or_beginning() {
        let args = parse("--only 100B-64,tcp-* --only counts").unwrap();
        let wanted = ["100B-64", "tcp-64", "tcp-1MB-splice", "counts"];
        assert!(wanted.iter().all(|name| args.wants(name)));
        assert!(!args.wants("100B-64-httplog") && !args.wants("memory"));
        assert!(parse("").unwrap().wants("memory"));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for line in ["--only nonsense", "--only", "--rounds many", "--seconds -", "--fast"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
