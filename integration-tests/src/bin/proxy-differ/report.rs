//! Counts, and what is printed.

use crate::Seen;
use crate::case::Case;
use crate::engine::Finished;
use crate::intended::Explanation;
use crate::lines;
use crate::outcome::Difference;
use anyhow::Result;
use std::collections::BTreeMap;
use std::io::{Write, stdout};
use std::rc::Rc;
use std::time::Duration;

/// How many kinds of differences are shown.
const SHOWN: usize = 16;

/// Differences of one kind look alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    kind: Difference,
    ours: Vec<u16>,
    theirs: Vec<u16>,
    /// What lines differ in.
    lines: String,
}

impl Key {
    pub(crate) fn new(kind: Difference, done: &Finished<Seen>) -> Self {
        let [ours, theirs] = [&done.ours, &done.theirs].map(|outcome| match kind {
            // The first status that differs says most; those after it follow from it.
            Difference::Forwarded | Difference::Verdict | Difference::Stuck => outcome.statuses(),
            Difference::ToServer | Difference::ToClient | Difference::Connections | Difference::Lines => Vec::new(),
        });
        let same = ours.iter().zip(&theirs).take_while(|(one, other)| one == other).count();
        // Which good answer it was is of no interest.
        let plain = |status: u16| if (100..400).contains(&status) { 200 } else { status };
        let from = |statuses: &[u16]| statuses.get(same).copied().map(plain).into_iter().collect();
        let lines = match kind {
            Difference::Lines => lines::kind(&done.lines[0], &done.lines[1]),
            _ => String::new(),
        };
        Self { kind, ours: from(&ours), theirs: from(&theirs), lines }
    }
}

/// One case that stands for its kind.
pub(crate) struct Example {
    pub(crate) key: Key,
    pub(crate) case: Rc<Case>,
}

#[derive(Default)]
pub(crate) struct Report {
    pub(crate) same: u64,
    /// Seen once, and not again.
    pub(crate) unsteady: u64,
    pub(crate) took: Duration,
    /// Each difference is printed when it is found, and none made small.
    pub(crate) every: bool,
    rules: BTreeMap<Explanation, u64>,
    kinds: BTreeMap<Key, (u64, Rc<Case>)>,
}

impl Report {
    pub(crate) fn intended(&mut self, rule: Explanation) {
        *self.rules.entry(rule).or_default() += 1;
    }

    pub(crate) fn different(&mut self, kind: Difference, done: Finished<Seen>) -> Result<()> {
        let key = Key::new(kind, &done);
        if self.every {
            writeln!(stdout(), "{kind:?} {:?} {:?} {}", done.ours.statuses(), done.theirs.statuses(), key.lines)?;
            show(&done)?;
        }
        let (count, smallest) = self.kinds.entry(key).or_insert_with(|| (0, Rc::clone(&done.case)));
        *count += 1;
        if done.case.size() < smallest.size() {
            *smallest = done.case;
        }
        Ok(())
    }

    /// One of each kind, the most frequent first.
    pub(crate) fn examples(&self) -> Vec<Example> {
        if self.every {
            return Vec::new();
        }
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        kinds
            .into_iter()
            .take(SHOWN)
            .map(|(key, (_, case))| Example { key: key.clone(), case: Rc::clone(case) })
            .collect()
    }

    /// Prints the counts, and returns how many differences nobody meant.
    pub(crate) fn print(&self, seed: u64) -> Result<u64> {
        let mut out = stdout().lock();
        let unexplained = self.kinds.values().map(|(count, _)| count).sum::<u64>();
        let intended = self.rules.values().sum::<u64>();
        let all = self.same + self.unsteady + intended + unexplained;
        let rate = f64::from(u32::try_from(all).unwrap_or(u32::MAX)) / self.took.as_secs_f64();
        writeln!(
            out,
            "seed {seed}: {all} pairs in {:.1} s ({rate:.0} a second), {} alike",
            self.took.as_secs_f64(),
            self.same
        )?;
        writeln!(out, "{} differed once and not again", self.unsteady)?;
        for ((name, reason), count) in &self.rules {
            writeln!(out, "{count} meant: {name}: {reason}")?;
        }
        for (key, (count, _)) in &self.kinds {
            let Key { kind, ours, theirs, lines } = key;
            writeln!(out, "{count} NOT MEANT: {kind:?}, proxyd {ours:?}, haproxy {theirs:?} {lines}")?;
        }
        Ok(unexplained)
    }
}

/// Prints a case and what both made of it.
pub(crate) fn show(done: &Finished<Seen>) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{}", done.case.describe())?;
    for (name, outcome, lines) in [("proxyd", &done.ours, &done.lines[0]), ("haproxy", &done.theirs, &done.lines[1])] {
        writeln!(out, "  {name}{}", outcome.describe())?;
        for line in lines {
            writeln!(out, "    logs      {}", line.describe())?;
        }
    }
    writeln!(out)?;
    Ok(())
}
