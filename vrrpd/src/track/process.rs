//! `vrrp_track_process`: whether enough processes of a kind run. `io::track_process` counts them.

pub mod event;

use super::Health;
use crate::vrrp::Level;
use std::time::{Duration, Instant};

/// How the parameters of a process are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamMatch {
    /// All are equal, if any are given.
    None,
    /// All are equal, also when none are given.
    Exact,
    /// The first ones are equal.
    Partial,
    /// The first ones are equal, and the last begins so.
    Initial,
}

/// One `vrrp_track_process`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of the block.
    pub name: String,
    /// Program and parameters.
    pub process: Vec<String>,
    /// `param_match`.
    pub param_match: ParamMatch,
    /// `full_command`: the program is compared with the command line rather than with the process's name.
    pub full_command: bool,
    /// `quorum`: so many must run.
    pub quorum: u32,
    /// `quorum_max`: and no more than so many.
    pub quorum_max: Option<u32>,
    /// `fork_delay`: how long the quorum must have been there.
    pub fork_delay: Duration,
    /// `terminate_delay`: how long it must have been gone.
    pub terminate_delay: Duration,
}

/// The kernel keeps this much of a process's name.
const NAME_MAX: usize = 15;

impl Settings {
    /// Whether the command line has to be read, or the name is enough.
    pub fn wants_command_line(&self) -> bool {
        self.full_command || self.process.len() > 1 || self.param_match != ParamMatch::None
    }

    /// Whether this name is that of the program. The kernel cuts names, so a longer one is compared as far as it can be.
    fn is_name(&self, name: &[u8]) -> bool {
        let wanted = self.process.first().map(String::as_bytes).unwrap_or_default();
        !wanted.is_empty() && name == wanted.get(..NAME_MAX).unwrap_or(wanted)
    }

    /// Whether a process counts: its name as in `/proc/PID/comm`, its command line as in `/proc/PID/cmdline`, every
    /// word of which ends with NUL. The command line matters only if [`Settings::wants_command_line`].
    pub fn matches(&self, name: &[u8], command_line: &[u8]) -> bool {
        if !self.wants_command_line() {
            return self.is_name(name);
        }
        let mut words = command_line.strip_suffix(b"\0").unwrap_or(command_line).split(|byte| *byte == 0);
        let Some((program, wanted)) = self.process.split_first() else { return false };
        if command_line.is_empty() || words.next() != Some(program.as_bytes()) {
            return false;
        }
        let words: Vec<&[u8]> = words.collect();
        let begins = |count: usize| {
            words.len() >= count && words.iter().zip(wanted).take(count).all(|(word, want)| *word == want.as_bytes())
        };
        match self.param_match {
            ParamMatch::None => wanted.is_empty() || (words.len() == wanted.len() && begins(wanted.len())),
            ParamMatch::Exact => words.len() == wanted.len() && begins(wanted.len()),
            ParamMatch::Partial => begins(wanted.len()),
            ParamMatch::Initial => match wanted.split_last() {
                None => true,
                Some((last, _)) => {
                    let place = wanted.len() - 1;
                    begins(place) && words.get(place).is_some_and(|word| word.starts_with(last.as_bytes()))
                }
            },
        }
    }

    fn health(&self, count: u32) -> Health {
        let enough = count >= self.quorum && self.quorum_max.is_none_or(|max| count <= max);
        // `quorum_max 0`: none at all may run.
        let none_wanted = self.quorum_max == Some(0) && count == 0;
        if enough || none_wanted { Health::Up } else { Health::Down }
    }
}

/// One kind of process and what is known about it.
#[derive(Clone, Debug)]
pub struct Process {
    settings: Settings,
    count: Option<u32>,
    health: Health,
    /// When the health becomes that of the count, unless the count changes back before.
    due: Option<Instant>,
}

impl Process {
    /// A kind of which nothing has been counted yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, count: None, health: Health::Unknown, due: None }
    }

    /// What it was told to do.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether the quorum is there.
    pub fn health(&self) -> Health {
        self.health
    }

    /// How many run, once they have been counted.
    pub fn count(&self) -> Option<u32> {
        self.count
    }

    /// When [`Process::time`] is wanted next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Takes over new settings. What they look for is counted anew, and the first count takes effect at once.
    pub fn reload(&mut self, settings: Settings) {
        if settings != self.settings {
            *self = Self { health: self.health, ..Self::new(settings) };
        }
    }

    /// So many run now. Answers with a line for the log when the quorum is gained or lost.
    pub fn counted(&mut self, now: Instant, count: u32) -> Option<(Level, String)> {
        let first = self.count.is_none();
        self.count = Some(count);
        let wanted = self.settings.health(count);
        if wanted == self.health {
            self.due = None;
            return None;
        }
        let delay = match wanted {
            Health::Up => self.settings.fork_delay,
            Health::Down | Health::Unknown => self.settings.terminate_delay,
        };
        if first || delay.is_zero() {
            return self.set_health(wanted);
        }
        self.due.get_or_insert(now + delay);
        None
    }

    /// Time has passed.
    pub fn time(&mut self, now: Instant) -> Option<(Level, String)> {
        self.due.filter(|due| *due <= now)?;
        let wanted = self.settings.health(self.count?);
        self.set_health(wanted)
    }

    fn set_health(&mut self, health: Health) -> Option<(Level, String)> {
        self.due = None;
        let before = std::mem::replace(&mut self.health, health);
        let name = &self.settings.name;
        match (before, health) {
            (Health::Unknown, _) | (_, Health::Unknown) => None,
            (_, Health::Up) => Some((Level::Info, format!("Quorum gained for tracked process {name}"))),
            (_, Health::Down) => Some((Level::Info, format!("Quorum lost for tracked process {name}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(process: &[&str], param_match: ParamMatch, full_command: bool) -> Settings {
        Settings {
            name: "tp".to_owned(),
            process: process.iter().map(ToString::to_string).collect(),
            param_match,
            full_command,
            quorum: 1,
            quorum_max: None,
            fork_delay: Duration::ZERO,
            terminate_delay: Duration::ZERO,
        }
    }

    /// Each row was asked of keepalived 2.2.7, but for the long name, which it never finds.
    #[test]
    fn processes_match_as_keepalived_matches_them() {
        use ParamMatch::{Exact, Initial, None, Partial};
        let commands: [(&str, &[&str]); 6] = [
            ("sleep", &["sleep", "777"]),
            ("sleep", &["/bin/sleep", "777"]),
            ("sleep", &["sleep", "7"]),
            ("sleep", &["sleep", "7", "1"]),
            ("sleep", &["sleep", "771", "0"]),
            ("averyveryverylo", &["./averyveryverylongname", "50"]),
        ];
        for (settings, expected) in [
            (settings(&["sleep"], None, false), [true, true, true, true, true, false]),
            (settings(&["sleep", "777"], None, false), [true, false, false, false, false, false]),
            (settings(&["/bin/sleep", "777"], None, false), [false, true, false, false, false, false]),
            (settings(&["sleep"], None, true), [true, false, true, true, true, false]),
            (settings(&["/bin/sleep"], None, true), [false, true, false, false, false, false]),
            (settings(&["sleep"], Initial, false), [true, false, true, true, true, false]),
            (settings(&["sleep", "7"], Partial, false), [false, false, true, true, false, false]),
            (settings(&["sleep", "7"], Initial, false), [true, false, true, true, true, false]),
            (settings(&["sleep"], Exact, false), [false; 6]),
            (settings(&["averyveryverylongname"], None, false), [false, false, false, false, false, true]),
        ] {
            let found = commands.map(|(name, words)| {
                let line: String = words.iter().flat_map(|word| [word, "\0"]).collect();
                settings.matches(name.as_bytes(), line.as_bytes())
            });
            assert_eq!(found, expected, "{settings:?}");
        }
        // Kernel threads and processes that have just ended have no command line.
        assert!(!settings(&["sleep"], None, true).matches(b"sleep", b""));
    }

    #[test]
    fn the_quorum_is_between_its_bounds() {
        for (quorum, most, counts) in [
            (1, None, vec![(0, false), (1, true), (9, true)]),
            (2, None, vec![(1, false), (2, true)]),
            (1, Some(1), vec![(0, false), (1, true), (2, false)]),
            (1, Some(0), vec![(0, true), (1, false)]),
        ] {
            let settings = Settings { quorum, quorum_max: most, ..settings(&["x"], ParamMatch::None, false) };
            for (count, up) in counts {
                let expected = if up { Health::Up } else { Health::Down };
                assert_eq!(settings.health(count), expected, "quorum {quorum} max {most:?} count {count}");
            }
        }
    }

    #[test]
    fn a_short_absence_is_not_noticed() {
        let start = crate::clock::now();
        let at = |ms| start + Duration::from_millis(ms);
        let (second, two) = (Duration::from_secs(1), Duration::from_secs(2));
        let settings =
            Settings { fork_delay: second, terminate_delay: two, ..settings(&["x"], ParamMatch::None, false) };
        let mut process = Process::new(settings);
        assert_eq!(process.counted(at(0), 1), None);
        assert_eq!(process.health(), Health::Up, "the first count takes effect at once");
        assert_eq!(process.counted(at(100), 0), None);
        assert_eq!(process.next_deadline(), Some(at(2100)));
        assert_eq!(process.counted(at(200), 1), None);
        assert_eq!(process.next_deadline(), None);
        assert_eq!(process.counted(at(300), 0), None);
        assert_eq!(process.time(at(2299)), None);
        assert_eq!(process.time(at(2300)).unwrap().1, "Quorum lost for tracked process tp");
        assert_eq!(process.counted(at(3000), 1), None);
        assert_eq!(process.time(at(4000)).unwrap().1, "Quorum gained for tracked process tp");
        assert_eq!(process.health(), Health::Up);
    }
}
