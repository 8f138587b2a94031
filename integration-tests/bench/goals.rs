//! The figures to reach, in the order in which they were set, and what was found for each.

use std::collections::BTreeMap;
use std::fmt::Write;

/// How a figure is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Aim {
    AtMost(f64),
    AtLeast(f64),
    /// A ratio that may differ from one by this part.
    Within(f64),
}

/// A figure to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) about: &'static str,
    /// Under which name the figure is found.
    pub(crate) key: &'static str,
    pub(crate) aim: Aim,
    pub(crate) moonshot: &'static str,
}

const fn goal(about: &'static str, key: &'static str, aim: Aim, moonshot: &'static str) -> Goal {
    Goal { about, key, aim, moonshot }
}

use Aim::{AtLeast, AtMost, Within};

pub(crate) const GOALS: &[Goal] = &[
    goal("100 B keep-alive, 64 connections: CPU", "100B-64/cpu", AtMost(0.75), "0.66"),
    goal("the same with httplog to UDP: CPU", "100B-64-httplog/cpu", AtMost(0.70), "0.60"),
    goal("browser headers, 10 rules, cookie insert, httplog: CPU", "rules-10/cpu", AtMost(0.70), "0.60"),
    goal("100 B, 1,000 connections: CPU", "100B-1000/cpu", AtMost(0.70), "0.60"),
    goal("100 B, 1,000 connections: p99", "100B-1000/p99", AtMost(1.0), "-"),
    goal("10 KB, 64 connections: CPU", "10KB-64/cpu", AtMost(0.70), "0.58"),
    goal("10 KB, 1,000 connections: CPU", "10KB-1000/cpu", AtMost(0.62), "0.50"),
    goal("100 KB, 64 connections: CPU", "100KB-64/cpu", AtMost(0.50), "0.35"),
    goal("1 MB, 64 connections: CPU", "1MB-64/cpu", AtMost(0.30), "0.18"),
    goal("1,000 path_beg rules: CPU", "paths-1000/cpu", AtMost(0.12), "0.06"),
    goal("1,000 header ACLs: CPU", "tenants-1000/cpu", AtMost(0.12), "0.06"),
    goal("leastconn over 1,000 servers: CPU", "leastconn-1000/cpu", AtMost(0.70), "0.60"),
    goal("roundrobin over 1,000 servers: CPU", "roundrobin-1000/cpu", AtMost(0.70), "0.60"),
    goal("saturated queue: p50", "queue/p50", Within(0.05), "-"),
    goal("saturated queue: p99", "queue/p99", Within(0.05), "-"),
    goal("saturated queue: CPU", "queue/cpu", AtMost(0.90), "0.75"),
    goal("connection per request: CPU", "close/cpu", AtMost(0.95), "0.88"),
    goal("TCP request/response, 64 connections: CPU", "tcp-64/cpu", AtMost(1.02), "0.98"),
    goal("TCP request/response, 1,000 connections: CPU", "tcp-1000/cpu", AtMost(0.95), "0.90"),
    goal("TCP bulk of 100 KB: CPU", "tcp-100KB/cpu", AtMost(0.40), "0.29"),
    goal("TCP bulk of 1 MB: CPU", "tcp-1MB/cpu", AtMost(0.25), "0.16"),
    goal("user instructions per request", "counts/instructions", AtMost(14_000.0), "9,000"),
    goal("user instructions per request, httplog", "counts/instructions-httplog", AtMost(17_000.0), "11,000"),
    goal("system calls per request", "counts/calls", AtMost(4.1), "4.0"),
    goal("system calls per request, httplog", "counts/calls-httplog", AtMost(4.2), "4.0"),
    goal("memory per idle client connection, ratio", "memory/idle", AtMost(1.0), "0.5"),
    goal("memory per idle TCP tunnel, ratio", "memory/tunnel", AtMost(1.0), "0.5"),
    goal("two workers over one", "workers/factor", AtLeast(1.8), "1.9"),
    goal("reload with 10,000 servers: longest pause, ms", "reload/pause", AtMost(5.0), "1"),
];

/// Whether something is to be reached with a workload.
pub(crate) fn judges(workload: &str) -> bool {
    GOALS.iter().any(|goal| goal.key.split_once('/').is_some_and(|(name, _)| name == workload))
}

/// What was found: a figure with what belongs to it, or why there is none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings(BTreeMap<String, Result<(f64, String), String>>);

impl Findings {
    /// `detail`: the spread, or haproxy's own figure.
    pub(crate) fn found(&mut self, key: impl Into<String>, value: f64, detail: impl Into<String>) {
        self.0.insert(key.into(), Ok((value, detail.into())));
    }

    pub(crate) fn refused(&mut self, key: impl Into<String>, why: impl Into<String>) {
        self.0.insert(key.into(), Err(why.into()));
    }

    /// The goals with what was found for them, as Markdown; goals that were not measured are left out.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from("| figure | to reach | moonshot | found | |\n|---|---|---|---|---|\n");
        for goal in GOALS {
            let Some(found) = self.0.get(goal.key) else { continue };
            let (shown, judged) = match found {
                Ok((value, detail)) => (
                    format!("{} {detail}", figure(*value)),
                    if met(goal.aim, *value) { "reached" } else { "**missed**" },
                ),
                Err(why) => (format!("none: {}", why.replace('\n', "; ")), "refused"),
            };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {judged} |",
                goal.about,
                aim(goal.aim),
                goal.moonshot,
                shown.trim_end()
            );
        }
        text
    }
}

fn met(aim: Aim, value: f64) -> bool {
    match aim {
        AtMost(most) => value <= most,
        AtLeast(least) => value >= least,
        Within(part) => (value - 1.0).abs() <= part,
    }
}

fn aim(aim: Aim) -> String {
    match aim {
        AtMost(most) => format!("<= {}", figure(most)),
        AtLeast(least) => format!(">= {}", figure(least)),
        Within(part) => format!("1 ± {}", figure(part)),
    }
}

/// Large figures without decimals, small ones with two.
pub(crate) fn figure(value: f64) -> String {
    if value.abs() >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_a_name_of_its_own() {
        let mut keys: Vec<&str> = GOALS.iter().map(|goal| goal.key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), GOALS.len());
    }

    #[test]
    fn aims_are_judged_at_their_edges() {
        assert!(met(AtMost(0.75), 0.75) && !met(AtMost(0.75), 0.751));
        assert!(met(AtLeast(1.8), 1.8) && !met(AtLeast(1.8), 1.79));
        assert!(met(Within(0.05), 0.96) && met(Within(0.05), 1.04) && !met(Within(0.05), 0.94));
    }

    #[test]
    fn refusals_and_misses_are_told() {
        let mut findings = Findings::default();
        findings.found("100B-64/cpu", 0.7, "(0.69..0.71)");
        findings.found("counts/instructions", 15_000.0, "(haproxy 28900)");
        findings.refused("1MB-64/cpu", "proxyd answered nothing in round 1");
        let table = findings.table();
        assert!(table.contains("| <= 0.75 | 0.66 | 0.70 (0.69..0.71) | reached |"), "{table}");
        assert!(table.contains("| 15000 (haproxy 28900) | **missed** |"), "{table}");
        assert!(table.contains("none: proxyd answered nothing in round 1 | refused |"), "{table}");
        assert_eq!(table.lines().count(), 5);
    }
}
