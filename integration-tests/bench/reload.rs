//! Start and reload with ten thousand servers: how long until it serves, and how long a request waits meanwhile.

use crate::config::{self, PLAIN, Site};
use crate::cpu::Cpu;
use crate::goals::Findings;
use crate::load::{Load, Reuse};
use crate::measure::Configs;
use crate::subject::{Programs, Proxy, Subject, Under};
use crate::verdict::{middle, sorted};
use crate::workload::{self, Workload};
use anyhow::{Result, bail};
use integration_tests::clock;
use nix::sys::signal::Signal;
use std::fmt::Write;
use std::time::Duration;

const SERVERS: usize = 10_000;
const TIMES: usize = 3;
/// How often it is tried to measure it [`TIMES`] times undisturbed.
const TRIES: usize = 12;
/// A load that stood still for longer saw answers so much later than they came.
const STALL_MAX: f64 = 1.0;
/// Requests per second, each on a connection of its own.
const RATE: f64 = 1_000.0;
const CALM: Duration = Duration::from_secs(1);
/// In which time a reload must be done, how often that is looked at, and how long the new configuration is watched.
const RELOAD_BOUND: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(250);
const AFTER: Duration = Duration::from_secs(1);
const PROBE_BOUND: Duration = Duration::from_secs(5);

/// What one start and reload took.
#[derive(Clone, Copy, Debug)]
struct Reload {
    /// Milliseconds until it listened, and of processor time in that.
    start: f64,
    start_cpu: f64,
    /// Milliseconds the slowest request took without, and with, a reload.
    calm: f64,
    /// Milliseconds until the new configuration answered, in steps of [`LOOK`].
    done: f64,
    pause: f64,
    /// Milliseconds for which the load itself stood still, in either.
    stalled: f64,
    /// Requests that failed during the reload.
    failed: u64,
}

/// Measures haproxy and proxyd.
pub(crate) fn measure(programs: &Programs, load: &mut Load, findings: &mut Findings) -> String {
    let mut text = format!(
        "### reload: {SERVERS} servers, {RATE} new connections/s meanwhile; medians of {TIMES}\n\n\
         | | start ms | start CPU ms | longest request ms | reload ms | longest during reload ms | longest stall of the load ms | \
         failed requests |\n\
         |---|---|---|---|---|---|---|---|\n"
    );
    let mut pauses = Vec::new();
    for subject in [Subject::Haproxy, Subject::Proxyd] {
        let all = several(programs, load, subject);
        load.end();
        match all {
            Ok(all) => {
                let median =
                    |value: fn(&Reload) -> f64| middle(&sorted(all.iter().map(value).collect())).unwrap_or(0.0);
                let failed: u64 = all.iter().map(|reload| reload.failed).sum();
                let _ = writeln!(
                    text,
                    "| {subject} | {:.0} | {:.0} | {:.2} | {:.0} | {:.2} | {:.2} | {failed} |",
                    median(|r| r.start),
                    median(|r| r.start_cpu),
                    median(|r| r.calm),
                    median(|r| r.done),
                    median(|r| r.pause),
                    median(|r| r.stalled)
                );
                pauses.push((median(|r| r.pause), failed, median(|r| r.stalled)));
            }
            Err(error) => {
                let _ = writeln!(text, "| {subject} | none: {error:#} | | | | | | |");
                findings.refused("reload/pause", format!("{subject}: {error:#}"));
            }
        }
    }
    if let [(theirs, ..), (ours, failed, stalled)] = *pauses {
        if failed > 0 {
            findings.refused("reload/pause", format!("{failed} requests failed during proxyd's reload"));
        } else if stalled > STALL_MAX {
            findings.refused("reload/pause", format!("the load stood still itself for {stalled:.1} ms"));
        } else {
            findings.found("reload/pause", ours, format!("(haproxy {theirs:.2})"));
        }
    }
    text.push('\n');
    text
}

/// Those in which the load was least disturbed.
fn several(programs: &Programs, load: &mut Load, subject: Subject) -> Result<Vec<Reload>> {
    let mut all: Vec<Reload> = Vec::new();
    for _ in 0..TRIES {
        all.push(one(programs, load, subject)?);
        if all.iter().filter(|reload| reload.stalled <= STALL_MAX).count() >= TIMES {
            break;
        }
    }
    all.sort_by(|one, other| one.stalled.total_cmp(&other.stalled));
    all.truncate(TIMES);
    Ok(all)
}

fn one(programs: &Programs, load: &mut Load, subject: Subject) -> Result<Reload> {
    let workload = Workload {
        site: Site { servers: SERVERS, ..PLAIN },
        connections: 256,
        reuse: Reuse::PerRequest,
        rate: Some(RATE),
        ..workload::BASE
    };
    let configs = Configs::write(programs, &workload)?;
    let began = clock::now();
    let proxy = Proxy::start(programs, subject, configs.of(subject), "0", Under::Master)?;
    let start = (clock::now() - began).as_secs_f64() * 1e3;
    let start_cpu = Cpu::of_process(proxy.pid())?.ran.as_secs_f64() * 1e3;
    load.begin(workload.shape()?)?;
    load.probe(PROBE_BOUND)?;
    load.reset();
    load.run(CALM)?;
    let calm = load.counts.times.longest_micros() / 1e3;
    let stalled = load.counts.stalled;
    if load.counts.errors() > 0 {
        let example = load.counts.first_error.as_deref().unwrap_or("no example");
        bail!("{} errors before the reload ({example})", load.counts.errors());
    }
    // The new configuration is told from the old one by a header of its answers.
    let marked = config::haproxy(&workload.site)
        .replace("default_backend", "http-response set-header x-generation second\n    default_backend");
    std::fs::write(configs.of(subject), marked)?;
    load.reset();
    proxy.signal(Signal::SIGUSR2)?;
    let asked = clock::now();
    while !is_new(load) {
        load.run(LOOK)?;
        if clock::now() - asked > RELOAD_BOUND {
            bail!("{RELOAD_BOUND:?} after SIGUSR2 the old configuration still answered");
        }
    }
    let done = (clock::now() - asked).as_secs_f64() * 1e3;
    load.run(AFTER)?;
    let (pause, failed) = (load.counts.times.longest_micros() / 1e3, load.counts.errors());
    let stalled = load.counts.stalled.max(stalled).as_secs_f64() * 1e3;
    load.end();
    proxy.stop()?;
    Ok(Reload { start, start_cpu, calm, done, pause, stalled, failed })
}

fn is_new(load: &Load) -> bool {
    String::from_utf8_lossy(load.counts.answer_head()).contains("x-generation: second")
}
