//! Two workers beside one. With two cores for everything, throughput cannot show what a second worker brings; what it
//! costs can: each worker gets the same number of requests, and the processor time per request must stay the same.

use crate::config::{PLAIN, Site};
use crate::goals::Findings;
use crate::measure::{self, Timing};
use crate::place::Place;
use crate::subject::{Programs, Subject};
use crate::verdict;
use crate::workload::{self, Workload};
use anyhow::{Result, anyhow};
use std::fmt::Write;

/// Requests per second of each worker: what two workers of haproxy still keep up with on a slow host, beside the load.
const RATE: f64 = 10_000.0;
const CONNECTIONS: usize = 256;

/// Measures haproxy and proxyd.
pub(crate) fn measure(programs: &Programs, places: &mut [Place], timing: Timing, findings: &mut Findings) -> String {
    let mut text = format!(
        "### workers: CPU us per request, {RATE} requests/s for each worker\n\n\
         | | one worker | two workers | two over one, from the CPU |\n|---|---|---|---|\n"
    );
    let both = cpu(programs, places, timing, 1).and_then(|one| Ok((one, cpu(programs, places, timing, 2)?)));
    match both {
        Ok((one, two)) => {
            for (at, subject) in [Subject::Haproxy, Subject::Proxyd].into_iter().enumerate() {
                let (Some(one), Some(two)) = (one.get(at), two.get(at)) else { continue };
                let factor = 2.0 * one / two;
                let _ = writeln!(text, "| {subject} | {one:.2} | {two:.2} | {factor:.2} |");
                if subject == Subject::Proxyd {
                    findings.found("workers/factor", factor, "(from the CPU per request)");
                }
            }
        }
        Err(error) => {
            let _ = writeln!(text, "| none: {error:#} | | | |");
            findings.refused("workers/factor", format!("{error:#}"));
        }
    }
    text.push('\n');
    text
}

/// Processor microseconds per request of haproxy and of proxyd.
fn cpu(programs: &Programs, places: &mut [Place], timing: Timing, workers: u8) -> Result<Vec<f64>> {
    let workload = Workload {
        name: "workers",
        site: Site { workers: usize::from(workers), ..PLAIN },
        connections: CONNECTIONS,
        rate: Some(RATE * f64::from(workers)),
        nginx: false,
        ..workload::BASE
    };
    let outcome = measure::workload(programs, places, workload, timing)?;
    let turns = outcome
        .comparable()
        .map_err(|refusals| anyhow!("{}", refusals.first().map(ToString::to_string).unwrap_or_default()))?;
    let median = |subject| verdict::median(turns, subject, |turn| turn.cpu_micros);
    Ok([Subject::Haproxy, Subject::Proxyd].into_iter().filter_map(median).collect())
}
