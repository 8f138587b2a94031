//! Processor time and memory of processes, as the kernel accounts for them.

use anyhow::{Context, Result};
use std::time::Duration;

/// Processor time used by all threads of a process, or by one thread.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cpu {
    /// On a processor, to the nanosecond.
    pub(crate) ran: Duration,
    /// Ready to run while something else ran.
    pub(crate) waited: Duration,
    /// Ticks in user and in system mode: coarse, used for the proportion only.
    pub(crate) user: u64,
    pub(crate) system: u64,
}

impl Cpu {
    /// Of a process with all its threads.
    pub(crate) fn of_process(pid: i32) -> Result<Self> {
        let mut sum = Self::default();
        let folder = format!("/proc/{pid}/task");
        for entry in std::fs::read_dir(&folder).with_context(|| folder.clone())? {
            sum = sum.plus(Self::read(&entry?.path().display().to_string())?);
        }
        Ok(sum)
    }

    /// Of the calling thread.
    pub(crate) fn of_this_thread() -> Result<Self> {
        Self::read("/proc/thread-self")
    }

    fn read(folder: &str) -> Result<Self> {
        let schedule = std::fs::read_to_string(format!("{folder}/schedstat"))?;
        let stat = std::fs::read_to_string(format!("{folder}/stat"))?;
        parse(&schedule, &stat).with_context(|| format!("{folder}: unknown form"))
    }

    /// Both together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            ran: self.ran + other.ran,
            waited: self.waited + other.waited,
            user: self.user + other.user,
            system: self.system + other.system,
        }
    }

    /// What was used since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            ran: self.ran.saturating_sub(before.ran),
            waited: self.waited.saturating_sub(before.waited),
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
        }
    }

    /// The part of the time spent in user mode.
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    pub(crate) fn user_share(self) -> f64 {
        let ticks = self.user + self.system;
        if ticks == 0 { 0.0 } else { self.user as f64 / ticks as f64 }
    }
}

fn parse(schedule: &str, stat: &str) -> Option<Cpu> {
    let mut nanos = schedule.split_ascii_whitespace().map(str::parse::<u64>);
    let ran = Duration::from_nanos(nanos.next()?.ok()?);
    let waited = Duration::from_nanos(nanos.next()?.ok()?);
    // The name in parentheses may hold blanks; utime and stime are the 14th and 15th field of all.
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
    Some(Cpu { ran, waited, user: fields.next()?.ok()?, system: fields.next()?.ok()? })
}

/// Memory that belongs to a process, in bytes: its own pages and its part of those it shares.
pub(crate) fn memory(pid: i32) -> Result<u64> {
    let file = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&file).with_context(|| file.clone())?;
    let pss = text.lines().find_map(|line| line.strip_prefix("Pss:")?.split_ascii_whitespace().next()?.parse().ok());
    pss.map(|kilobytes: u64| kilobytes * 1024).with_context(|| format!("{file} has no Pss"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_a_name_with_blanks_and_parentheses() {
        let stat = "17 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 42 24 0 0 20 0 1 0";
        let cpu = parse("1500 2500 3\n", stat).unwrap();
        assert_eq!(cpu.ran, Duration::from_nanos(1500));
        assert_eq!(cpu.waited, Duration::from_nanos(2500));
        assert_eq!((cpu.user, cpu.system), (42, 24));
        assert!((cpu.user_share() - 42.0 / 66.0).abs() < 1e-9);
    }

    #[test]
    fn other_forms_are_not_guessed() {
        assert_eq!(parse("", "17 (a) S 1 2 3 4 5 6 7 8 9 10 42 24"), None);
        assert_eq!(parse("1 2 3", "17 a S"), None);
        assert_eq!(parse("1 2 3", "17 (a) S 1 2 3"), None);
    }

    #[test]
    fn this_process_has_time_and_memory() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(Cpu::of_process(pid).unwrap().ran > Duration::ZERO);
        assert!(memory(pid).unwrap() > 100_000);
    }
}
