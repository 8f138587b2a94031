//! The guard: system calls and user instructions per request of proxyd beside the figures that were committed.
//!
//! `guard.tsv` has for each figure the best that was ever reached, what is allowed now, and why that is more where it
//! is more. A figure that grows by more than a twentieth fails; so does an allowance that is a twentieth above the
//! best and gives no reason. `BLESS=1` writes what was measured as allowed; the reason is for a person to write.

use crate::counts::{self, Requests};
use crate::load::Load;
use crate::subject::{Programs, Subject};
use crate::workload::WORKLOADS;
use anyhow::{Context, Result, bail};
use std::fmt::Write;
use std::path::PathBuf;

/// By how much a figure may grow without a word.
const SLACK: f64 = 1.05;
const HEAD: &str = "workload\tfigure\tbest\tallowed\treason\n";
/// What is measured, in the order of the file.
const CASES: [&str; 4] = ["100B-64", "100B-64-httplog", "rules-10", "tcp-64"];
const CALLS: Requests = Requests { few: 500, many: 4_500 };
const INSTRUCTIONS: Requests = Requests { few: 500, many: 3_500 };

/// A line of the file.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    workload: String,
    figure: String,
    best: f64,
    allowed: f64,
    reason: String,
}

/// What was measured now.
#[derive(Clone, Debug, PartialEq)]
struct Measured {
    workload: &'static str,
    figure: &'static str,
    value: f64,
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("bench/guard.tsv")
}

/// Measures and judges; the text for people, or an error with the same text when something grew.
pub(crate) fn run(programs: &Programs, load: &mut Load, bless: bool) -> Result<String> {
    let mut measured = Vec::new();
    for name in CASES {
        let workload = WORKLOADS.iter().find(|workload| workload.name == name).context(name)?;
        let calls = counts::calls(programs, load, workload, Subject::Proxyd, CALLS)?;
        let calls = calls.iter().map(|(_, share)| share).sum();
        measured.push(Measured { workload: workload.name, figure: "system calls", value: calls });
        let value = counts::instructions(programs, load, workload, Subject::Proxyd, INSTRUCTIONS)?;
        measured.push(Measured { workload: workload.name, figure: "user instructions", value });
    }
    let text = std::fs::read_to_string(file()).unwrap_or_default();
    let rows = parse(&text).context("guard.tsv")?;
    if bless {
        let blessed = bless_rows(&rows, &measured);
        std::fs::write(file(), print(&blessed)).context("guard.tsv")?;
        return Ok(print(&blessed));
    }
    let (told, complaints) = judge(&rows, &measured);
    if complaints.is_empty() {
        return Ok(told);
    }
    bail!("{told}\n{}", complaints.join("\n"))
}

fn parse(text: &str) -> Result<Vec<Row>> {
    let row = |line: &str| -> Result<Row> {
        let mut fields = line.split('\t');
        let mut next = || fields.next().with_context(|| format!("too few columns: {line}"));
        let (workload, figure) = (next()?.to_owned(), next()?.to_owned());
        let (best, allowed) = (next()?.parse()?, next()?.parse()?);
        Ok(Row { workload, figure, best, allowed, reason: next()?.trim().to_owned() })
    };
    text.lines().skip(1).map(row).collect()
}

fn print(rows: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    for Row { workload, figure, best, allowed, reason } in rows {
        let decimals = if *allowed < 1000.0 { 2 } else { 0 };
        let _ = writeln!(text, "{workload}\t{figure}\t{best:.decimals$}\t{allowed:.decimals$}\t{reason}");
    }
    text
}

fn find<'a>(rows: &'a [Row], measured: &Measured) -> Option<&'a Row> {
    rows.iter().find(|row| row.workload == measured.workload && row.figure == measured.figure)
}

/// The rows with what was measured as allowed; a reason stays as long as it is needed.
fn bless_rows(rows: &[Row], measured: &[Measured]) -> Vec<Row> {
    let bless = |found: &Measured| {
        let old = find(rows, found);
        let best = old.map_or(found.value, |row| row.best.min(found.value));
        let needed = found.value > best * SLACK;
        let reason = old.filter(|_| needed).map(|row| row.reason.clone()).unwrap_or_default();
        let (workload, figure) = (found.workload.to_owned(), found.figure.to_owned());
        Row { workload, figure, best, allowed: found.value, reason }
    };
    measured.iter().map(bless).collect()
}

/// What is told in any case, and what is wrong.
fn judge(rows: &[Row], measured: &[Measured]) -> (String, Vec<String>) {
    let mut told = String::new();
    let mut wrong = Vec::new();
    for found in measured {
        let Measured { workload, figure, value } = found;
        let Some(row) = find(rows, found) else {
            wrong.push(format!("{workload}: {figure} per request: {value:.2}, not in guard.tsv; BLESS=1 adds it"));
            continue;
        };
        let change = (value / row.allowed - 1.0) * 100.0;
        let better = if *value * SLACK < row.allowed { "  better: BLESS=1 keeps it" } else { "" };
        let _ = writeln!(
            told,
            "{workload:16} {figure:18} {value:10.2}  allowed {:10.2}  {change:+.1} %{better}",
            row.allowed
        );
        if *value > row.allowed * SLACK {
            wrong.push(format!(
                "{workload}: {figure} per request grew from {:.2} to {value:.2} ({change:+.1} %); \
                 if that must be, BLESS=1 and write the reason into guard.tsv",
                row.allowed
            ));
        }
        if row.allowed > row.best * SLACK && row.reason.is_empty() {
            wrong.push(format!(
                "{workload}: guard.tsv allows {:.2} {figure}, the best was {:.2}, and gives no reason",
                row.allowed, row.best
            ));
        }
    }
    for row in rows.iter().filter(|row| !measured.iter().any(|m| m.workload == row.workload && m.figure == row.figure))
    {
        wrong.push(format!("{}: {} stands in guard.tsv and is not measured", row.workload, row.figure));
    }
    (told, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(best: f64, allowed: f64, reason: &str) -> Row {
        Row { workload: "plain".into(), figure: "user instructions".into(), best, allowed, reason: reason.into() }
    }

    fn measured(value: f64) -> Vec<Measured> {
        vec![Measured { workload: "plain", figure: "user instructions", value }]
    }

    #[test]
    fn growth_over_a_twentieth_fails() {
        let complaints = |row: Row, value| judge(&[row], &measured(value)).1;
        assert_eq!(complaints(row(10_000.0, 10_000.0, ""), 10_499.0), Vec::<String>::new());
        assert_eq!(complaints(row(10_000.0, 10_000.0, ""), 8_000.0), Vec::<String>::new());
        let grown = complaints(row(10_000.0, 10_000.0, ""), 10_600.0);
        assert!(grown[0].contains("grew from 10000.00 to 10600.00 (+6.0 %)"), "{grown:?}");
    }

    #[test]
    fn an_allowance_far_above_the_best_needs_a_reason() {
        let complaints = |reason| judge(&[row(10_000.0, 12_000.0, reason)], &measured(12_000.0)).1;
        assert_eq!(complaints("stick tables are consulted"), Vec::<String>::new());
        assert!(complaints("")[0].ends_with("and gives no reason"));
    }

    #[test]
    fn creeping_in_small_steps_is_seen() {
        let mut rows = vec![row(10_000.0, 10_000.0, "")];
        for value in [10_400.0, 10_800.0] {
            rows = bless_rows(&rows, &measured(value));
        }
        assert!((rows[0].best - 10_000.0).abs() < 1e-9);
        assert!(judge(&rows, &measured(10_800.0)).1[0].ends_with("and gives no reason"));
    }

    #[test]
    fn what_is_new_and_what_is_gone_is_told() {
        assert!(judge(&[], &measured(1.0)).1[0].contains("not in guard.tsv"));
        assert!(judge(&[row(1.0, 1.0, "")], &[]).1[0].contains("is not measured"));
    }

    #[test]
    fn the_file_can_be_read_back() {
        let rows = vec![row(10_000.0, 12_000.0, "stick tables are consulted"), row(4.05, 4.07, "")];
        assert_eq!(parse(&print(&rows)).unwrap(), rows);
        assert!(parse("head\nplain\tuser instructions\t1\n").is_err());
        let committed = std::fs::read_to_string(file()).unwrap();
        let rows = parse(&committed).unwrap();
        assert_eq!(rows.len(), CASES.len() * 2);
        let unexplained = rows.iter().filter(|row| row.allowed > row.best * SLACK && row.reason.is_empty());
        assert_eq!(unexplained.count(), 0, "an allowance in guard.tsv needs its reason");
    }
}
