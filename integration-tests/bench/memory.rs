//! Memory of connections: what a process grows by when thousands of them are opened, without the kernel's part.

use crate::config::{PLAIN, Site};
use crate::cpu;
use crate::goals::Findings;
use crate::load::{Answering, Load};
use crate::measure::Configs;
use crate::subject::{Programs, Proxy, Subject, Under};
use crate::verdict::{middle, sorted};
use crate::workload::{self, Workload};
use anyhow::{Context, Result, bail};
use std::fmt::Write;
use std::time::Duration;

/// Two descriptors per tunnel must fit the limit of open files that Debian's kernel gives by default.
const CONNECTIONS: usize = 9_000;
/// Connections that exist when the first reading is taken, so that what is allocated once does not count.
const BEFORE: usize = 50;
/// Requests per second while connections are used for the first time: few are in flight at once.
const RATE: f64 = 5_000.0;
const UNDER_WAY: usize = 16;
/// Of idle client connections, at most this part may have a server connection of its own.
const SERVER_CONNECTIONS: usize = CONNECTIONS / 10;
const BOUND: Duration = Duration::from_secs(30);
/// How often each is measured; the median counts.
const TIMES: usize = 3;
/// How long a program is given to tidy up before it is read.
const SETTLE: Duration = Duration::from_millis(500);

/// What the connections do.
struct Kind {
    key: &'static str,
    about: &'static str,
    tcp: bool,
    active: bool,
}

const KINDS: [Kind; 3] = [
    Kind { key: "idle", about: "idle client connection after an answer", tcp: false, active: false },
    Kind { key: "active", about: "request that waits for its server", tcp: false, active: true },
    Kind { key: "tunnel", about: "idle TCP tunnel", tcp: true, active: false },
];

/// Measures all kinds for haproxy and proxyd.
pub(crate) fn measure(programs: &Programs, load: &mut Load, findings: &mut Findings) -> String {
    let mut text = format!(
        "### memory: bytes per connection, with {CONNECTIONS} of them; medians of {TIMES}\n\n\
         | | haproxy | proxyd | ratio |\n|---|---|---|---|\n"
    );
    for kind in &KINDS {
        let key = format!("memory/{}", kind.key);
        let both = median(programs, load, kind, Subject::Haproxy)
            .and_then(|theirs| Ok((theirs, median(programs, load, kind, Subject::Proxyd)?)));
        load.end();
        match both {
            Ok((theirs, ours)) => {
                let ratio = ours / theirs;
                let _ = writeln!(text, "| {} | {theirs:.0} | {ours:.0} | {ratio:.2} |", kind.about);
                findings.found(key, ratio, format!("({ours:.0} bytes, haproxy {theirs:.0})"));
            }
            Err(error) => {
                let _ = writeln!(text, "| {} | - | - | none: {error:#} |", kind.about);
                findings.refused(key, format!("{error:#}"));
            }
        }
    }
    text.push('\n');
    text
}

fn median(programs: &Programs, load: &mut Load, kind: &Kind, subject: Subject) -> Result<f64> {
    let all: Result<Vec<f64>> = (0..TIMES).map(|_| one(programs, load, kind, subject)).collect();
    middle(&sorted(all?)).context("no reading")
}

/// Bytes per connection.
fn one(programs: &Programs, load: &mut Load, kind: &Kind, subject: Subject) -> Result<f64> {
    let workload = Workload {
        // A client connection that had a server connection of its own would count twice.
        site: Site { tcp: kind.tcp, reuse_always: !kind.tcp && !kind.active, ..PLAIN },
        answering: if kind.active { Answering::Never } else { Answering::AtOnce },
        rate: Some(RATE),
        ..workload::BASE
    };
    let configs = Configs::write(programs, &workload)?;
    let proxy = Proxy::start(programs, subject, configs.of(subject), "0", Under::Nothing)?;
    let before = fill(load, &Workload { connections: BEFORE, ..workload }, &proxy)?;
    let after = fill(load, &Workload { connections: CONNECTIONS, ..workload }, &proxy)?;
    let kept = load.server_connections();
    if !kind.tcp && !kind.active && kept > SERVER_CONNECTIONS {
        bail!("{subject} keeps {kept} server connections, which would count as clients'");
    }
    load.end();
    #[expect(clippy::cast_precision_loss, reason = "bytes for people")]
    Ok((after as f64 - before as f64) / (CONNECTIONS - BEFORE) as f64)
}

/// Opens all connections, sends one request on each, and reads the memory of the proxy.
fn fill(load: &mut Load, workload: &Workload, proxy: &Proxy) -> Result<u64> {
    let mut shape = workload.shape()?;
    if workload.answering == Answering::AtOnce {
        shape.under_way_max = UNDER_WAY;
    }
    load.begin(shape)?;
    let requests = workload.connections as u64;
    match workload.answering {
        Answering::Never => load.run_until_served(requests, BOUND)?,
        Answering::AtOnce | Answering::After(_) => load.run_requests(requests, BOUND)?,
    }
    load.idle(SETTLE)?;
    cpu::memory(proxy.pid())
}
