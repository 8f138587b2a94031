//! What does not depend on the neighbours: system calls and user instructions per request.
//!
//! A program is run twice with a different number of requests; the difference of both counts is what the additional
//! requests cost, without start and end.

use crate::load::Load;
use crate::measure::Configs;
use crate::subject::{Programs, Proxy, Subject, Under};
use crate::workload::Workload;
use anyhow::{Context, Result, bail};
use integration_tests::wait;
use std::collections::BTreeMap;
use std::time::Duration;

const RUN_BOUND: Duration = Duration::from_mins(2);
const FILE_BOUND: Duration = Duration::from_secs(10);

/// How many requests a first run and a second run have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requests {
    pub(crate) few: u64,
    pub(crate) many: u64,
}

/// Enough that the difference is stable to a fraction of a percent.
pub(crate) const CALLS: Requests = Requests { few: 2_000, many: 14_000 };
pub(crate) const INSTRUCTIONS: Requests = Requests { few: 1_500, many: 7_500 };

/// System calls per request, by name, the most frequent first.
pub(crate) fn calls(
    programs: &Programs,
    load: &mut Load,
    workload: &Workload,
    subject: Subject,
    requests: Requests,
) -> Result<Vec<(String, f64)>> {
    let file = programs.folder.join("strace.out");
    let mut count = |number| -> Result<BTreeMap<String, u64>> {
        let _ = std::fs::remove_file(&file);
        run(programs, load, workload, subject, Under::Strace(&file), number)?;
        // strace ends after what it traced and writes its table then.
        let table = wait::until("strace writes its table", FILE_BOUND, || {
            std::fs::read_to_string(&file).ok().filter(|text| text.contains(" total"))
        })?;
        Ok(parse_calls(&table))
    };
    let (few, many) = (count(requests.few)?, count(requests.many)?);
    #[expect(clippy::cast_precision_loss, reason = "counts for people")]
    let share = |(name, &calls): (&String, &u64)| {
        let more = calls as f64 - few.get(name).copied().unwrap_or(0) as f64;
        (name.clone(), more / (requests.many - requests.few) as f64)
    };
    let mut shares: Vec<(String, f64)> = many.iter().map(share).filter(|(_, share)| share.abs() > 0.0005).collect();
    shares.sort_by(|left, right| right.1.total_cmp(&left.1));
    Ok(shares)
}

/// User instructions per request.
pub(crate) fn instructions(
    programs: &Programs,
    load: &mut Load,
    workload: &Workload,
    subject: Subject,
    requests: Requests,
) -> Result<f64> {
    let file = programs.folder.join("callgrind.out");
    let mut count = |number| -> Result<u64> {
        let _ = std::fs::remove_file(&file);
        run(programs, load, workload, subject, Under::Callgrind(&file), number)?;
        let text = std::fs::read_to_string(&file).context("callgrind wrote no file")?;
        parse_instructions(&text).context("callgrind's file has no sum")
    };
    let (few, many) = (count(requests.few)?, count(requests.many)?);
    if many <= few {
        bail!("more requests did not take more instructions ({few}, then {many})");
    }
    #[expect(clippy::cast_precision_loss, reason = "counts for people")]
    Ok((many - few) as f64 / (requests.many - requests.few) as f64)
}

fn run(
    programs: &Programs,
    load: &mut Load,
    workload: &Workload,
    subject: Subject,
    under: Under<'_>,
    requests: u64,
) -> Result<()> {
    let configs = Configs::write(programs, workload)?;
    let proxy = Proxy::start(programs, subject, configs.of(subject), "0", under)?;
    load.begin(workload.shape()?)?;
    load.run_requests(requests, RUN_BOUND)?;
    load.end();
    proxy.stop()
}

/// `strace -c` in lines: percent, seconds, microseconds per call, calls, perhaps errors, name.
fn parse_calls(table: &str) -> BTreeMap<String, u64> {
    let row = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        words.first()?.parse::<f64>().ok()?;
        let (calls, name) = (words.get(3)?.parse().ok()?, *words.last()?);
        (name != "total").then(|| (name.to_owned(), calls))
    };
    table.lines().filter_map(row).collect()
}

/// The sum that callgrind writes when it ends; of several parts, all.
fn parse_instructions(text: &str) -> Option<u64> {
    let sums: Vec<u64> = text
        .lines()
        .filter_map(|line| line.strip_prefix("totals:").or_else(|| line.strip_prefix("summary:")))
        .filter_map(|sum| sum.split_ascii_whitespace().next()?.parse().ok())
        .collect();
    sums.into_iter().max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_strace_is_read_with_and_without_errors() {
        let table = "% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 61.10    0.001100           1      4000           sendto
 38.90    0.000700           0      4100       100 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    0.001800           0      8100       100 total
";
        let calls: Vec<(String, u64)> = parse_calls(table).into_iter().collect();
        assert_eq!(calls, [("recvfrom".to_owned(), 4100), ("sendto".to_owned(), 4000)]);
    }

    #[test]
    fn a_sum_of_callgrind_is_read() {
        assert_eq!(parse_instructions("events: Ir\nsummary: 12345\n\ntotals: 12345\n"), Some(12_345));
        assert_eq!(parse_instructions("events: Ir\n"), None);
    }
}
