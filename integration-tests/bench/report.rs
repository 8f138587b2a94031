//! What was found, as Markdown for people and as CSV for programs.

use crate::goals::Findings;
use crate::measure::Outcome;
use crate::subject::Subject;
use crate::verdict::{self, Refusal, Turn};
use std::fmt::Write;

/// Above this part of the time in which others had the core, it is said.
const DISTURBED: f64 = 0.05;

/// The columns of the CSV file: one line per turn.
pub(crate) const CSV_HEAD: &str = "workload,mode,subject,round,seconds,answers,requests_per_second,cpu_us,user_us,\
    system_us,p50_us,p99_us,p999_us,wrong,broken,reconnects,lines_per_request,servers,subject_busy,load_busy,disturbed,\
    megabytes\n";

/// The turns of a workload as lines of CSV.
pub(crate) fn csv(outcome: &Outcome) -> String {
    let mut text = lines(outcome.workload.name, "open", &outcome.turns);
    if let Some(paced) = &outcome.paced {
        text += &lines(outcome.workload.name, "paced", &paced.turns);
    }
    text
}

fn lines(name: &str, mode: &str, turns: &[Turn]) -> String {
    let mut text = String::new();
    for turn in turns {
        let user = turn.cpu_micros * turn.user_share;
        let _ = writeln!(
            text,
            "{name},{mode},{},{},{:.3},{},{:.0},{:.3},{user:.3},{:.3},{:.1},{:.1},{:.1},{},{},{},{:.4},{},{:.3},{:.3},{:.3},{:.1}",
            turn.subject,
            turn.round,
            turn.seconds,
            turn.answers,
            turn.rate(),
            turn.cpu_micros,
            turn.cpu_micros - user,
            turn.p50,
            turn.p99,
            turn.p999,
            turn.wrong,
            turn.broken,
            turn.reconnects,
            turn.lines,
            turn.servers,
            turn.subject_busy,
            turn.load_busy,
            turn.disturbed,
            turn.megabytes,
        );
    }
    text
}

/// A workload as Markdown: medians per subject and, where nothing forbids it, ratios with their spread.
pub(crate) fn markdown(outcome: &Outcome) -> String {
    let workload = &outcome.workload;
    let mut text = format!("### {}: {}\n\n", workload.name, workload.about);
    if !outcome.turns.is_empty() {
        text += &table(&outcome.turns, &outcome.subjects, outcome.refusals.is_empty());
    }
    text += &refused(&outcome.refusals);
    text += &again(outcome.repeated);
    if let Some(paced) = &outcome.paced {
        let _ = writeln!(text, "\nThe same at {:.0} requests/s for all, which the generator can keep:\n", paced.rate);
        text += &table(&paced.turns, &outcome.subjects, paced.refusals.is_empty());
        text += &refused(&paced.refusals);
        text += &again(paced.repeated);
    }
    text.push('\n');
    text
}

fn refused(refusals: &[Refusal]) -> String {
    let mut text = String::new();
    if !refusals.is_empty() {
        text += "\nNo ratios:\n";
        for refusal in refusals {
            let _ = writeln!(text, "- {refusal}");
        }
    }
    text
}

fn again(repeated: usize) -> String {
    match repeated {
        0 => String::new(),
        rounds => format!("\nMeasured again, because the generator was the bottleneck: {rounds} rounds.\n"),
    }
}

fn table(turns: &[Turn], subjects: &[Subject], ratios: bool) -> String {
    let mut text = String::from(
        "| | requests/s | CPU us (user + system) | p50 us | p99 us | p99.9 us | errors | CPU to haproxy | requests/s to haproxy | core busy | load busy | disturbed |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for &subject in subjects {
        let median = |value: fn(&Turn) -> f64| verdict::median(turns, subject, value).unwrap_or(0.0);
        let ratio = |values: Values| match verdict::ratio(turns, subject, values) {
            Some(ratio) if ratios && subject != Subject::Haproxy => ratio.to_string(),
            _ => "-".to_owned(),
        };
        let errors: u64 = turns.iter().filter(|t| t.subject == subject).map(|t| t.wrong + t.broken).sum();
        let _ = writeln!(
            text,
            "| {subject} | {:.0} | {:.2} ({:.2} + {:.2}) | {:.0} | {:.0} | {:.0} | {errors} | {} | {} | {:.0} % | {:.0} % | {:.0} % |",
            median(Turn::rate),
            median(|t| t.cpu_micros),
            median(|t| t.cpu_micros * t.user_share),
            median(|t| t.cpu_micros * (1.0 - t.user_share)),
            median(|t| t.p50),
            median(|t| t.p99),
            median(|t| t.p999),
            ratio(|t| t.laps.clone()),
            ratio(|t| vec![t.rate()]),
            median(|t| t.subject_busy) * 100.0,
            median(|t| t.load_busy) * 100.0,
            median(|t| t.disturbed) * 100.0,
        );
    }
    let disturbed = subjects.iter().filter_map(|&subject| verdict::median(turns, subject, |t| t.disturbed));
    let most = disturbed.fold(0.0, f64::max);
    if most > DISTURBED {
        let _ = writeln!(
            text,
            "\nOthers had the core of a subject for {:.0} % of the time: rates and times are not those of an idle machine.",
            most * 100.0
        );
    }
    text
}

/// Figures of a turn that are compared one by one.
type Values = fn(&Turn) -> Vec<f64>;

/// Puts a workload's ratios where the table of goals finds them.
pub(crate) fn findings(outcome: &Outcome, findings: &mut Findings) {
    let key = |what: &str| format!("{}/{what}", outcome.workload.name);
    let values: [(&str, Values); 3] = [("cpu", |t| t.laps.clone()), ("p50", |t| vec![t.p50]), ("p99", |t| vec![t.p99])];
    match outcome.comparable() {
        Ok(turns) => {
            for (what, value) in values {
                if let Some(ratio) = verdict::ratio(turns, Subject::Proxyd, value) {
                    findings.found(key(what), ratio.median, format!("({:.2}..{:.2})", ratio.low, ratio.high));
                }
            }
        }
        Err(refusals) => {
            let why = refusals.first().map(ToString::to_string).unwrap_or_default();
            for (what, _) in values {
                findings.refused(key(what), &why);
            }
        }
    }
}
