//! The status for people, one screen for a usual node.

use super::explain::Explanation;
use super::{Process, not_applied, span};
use crate::dump::View;
use crate::router::watched::Watched;
use crate::sys;
use crate::track::Share;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

pub(super) struct Text<'a> {
    pub(super) instances: &'a [Explanation],
    pub(super) process: &'a Process,
    pub(super) view: &'a View<'a>,
}

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Process { banner, started, configured, refusal, .. } = self.process;
        let up = span(self.view.since_epoch.saturating_sub(*started));
        writeln!(f, "{banner}, up {up}, configuration of {}", time(*configured))?;
        if let Some(first) = refusal.first() {
            writeln!(f, "! the last reload was refused, the configuration before it is running: {first}")?;
        }
        for line in not_applied(self.view.model) {
            writeln!(f, "! {line}")?;
        }
        for instance in self.instances {
            write(f, instance)?;
        }
        for (group, phase) in self.view.router.groups() {
            writeln!(f, "\ngroup {}  {}", group.sync.name, phase.word())?;
            writeln!(f, "  members    {}", group.sync.members.join(" "))?;
        }
        Ok(())
    }
}

fn time(since_epoch: Duration) -> String {
    sys::format_time(since_epoch, c"%Y-%m-%d %H:%M:%S")
}

fn write(f: &mut Formatter<'_>, instance: &Explanation) -> fmt::Result {
    let since = instance.since.map(|since| format!(" for {}", span(since))).unwrap_or_default();
    writeln!(f, "\n{}  {}{since}", instance.name, instance.phase.word())?;
    for hint in &instance.hints {
        writeln!(f, "  ! {hint}")?;
    }
    let source = instance.source.map_or_else(|| "nowhere".to_owned(), |source| source.to_string());
    writeln!(f, "  where      {}, from {source}", instance.place)?;
    lines(f, "why", &instance.reasons)?;
    lines(f, "to master", &instance.to_become_master)?;
    writeln!(f, "  priority   {} effective, {} configured", instance.effective_priority, instance.base_priority)?;
    for tracker in &instance.watched {
        writeln!(f, "             {}", watched(tracker))?;
    }
    let heard = instance.heard.iter().map(|(sender, age)| {
        let (address, priority, interval) = (sender.address, sender.priority, sender.interval.as_secs_f64());
        let count = sender.count;
        format!("{address} priority {priority} every {interval}s, {} ago, {count} adverts", span(*age))
    });
    let mut heard: Vec<String> = heard.collect();
    if heard.is_empty() {
        heard.push("nobody".to_owned());
    }
    lines(f, "heard", &heard)?;
    let timers: Vec<String> = instance.timers.iter().map(|(name, left)| format!("{name} in {}", span(*left))).collect();
    if timers.is_empty() { Ok(()) } else { lines(f, "timers", &[timers.join(", ")]) }
}

/// A title and its lines, one below the other.
fn lines(f: &mut Formatter<'_>, title: &str, lines: &[String]) -> fmt::Result {
    for (place, line) in lines.iter().enumerate() {
        writeln!(f, "  {:<10} {line}", if place == 0 { title } else { "" })?;
    }
    Ok(())
}

fn watched(tracker: &Watched) -> String {
    let Watched { kind, name, weight, finding, .. } = tracker;
    let reverse = if tracker.reverse { " reverse" } else { "" };
    let share = match tracker.share {
        Share::Priority(bonus) => format!("{bonus:+}"),
        Share::Fault => "FAULT".to_owned(),
        Share::Wait => "waiting".to_owned(),
    };
    let group = tracker.group.as_ref().map(|group| format!(" (of group {group})")).unwrap_or_default();
    format!("{share:<7} {kind} {name} {finding}, weight {weight}{reverse}{group}")
}
