//! `vrrp_script`: when to run the command, when to give up on it, and when its results count.

use super::Health;
use crate::command::Command;
use crate::vrrp::Level;
use std::time::{Duration, Instant};

/// One `vrrp_script`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of the script.
    pub name: String,
    /// What to run.
    pub command: Command,
    /// `interval`: from start to start.
    pub interval: Duration,
    /// `timeout`: how long a run may take; the interval when the file gives none or zero.
    pub timeout: Duration,
    /// `weight`: what a reference without its own weight uses. Zero: failure is a fault.
    pub weight: i16,
    /// `reverse` of that weight.
    pub reverse: bool,
    /// `rise`: successes in a row until the script counts as up.
    pub rise: u32,
    /// `fall`: failures in a row until it counts as down.
    pub fall: u32,
    /// `init_fail`: assumed failed until the first result.
    pub init_fail: bool,
}

/// How long a script may ignore SIGTERM.
const KILL_AFTER: Duration = Duration::from_secs(2);

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It exited with this status.
    Exited(i32),
    /// A signal ended it.
    Signalled(i32),
    /// It could not be started; the reason is the system's.
    CannotRun(String),
}

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start the command.
    Run,
    /// SIGTERM to its process group.
    Terminate,
    /// SIGKILL to its process group.
    Kill,
    /// Write a line to the log.
    Log(Level, String),
}

/// A run in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    /// Nothing is running.
    Idle,
    /// Running; to be terminated at the deadline.
    Running { timeout: Instant },
    /// Was told to terminate; to be killed at the deadline.
    Terminating { kill: Instant },
    /// Was killed; its end is awaited.
    Killed,
}

/// One script and what is known about it.
#[derive(Clone, Debug)]
pub struct Script {
    settings: Settings,
    health: Health,
    /// From 0 to `rise + fall - 1`; up from `rise` on.
    count: u32,
    run: Run,
    next_run: Option<Instant>,
    /// Exit status last seen, for "now returning".
    status: i32,
    /// Why the last run could not begin, if it could not.
    trouble: Option<String>,
}

impl Script {
    /// A script that has not run yet.
    pub fn new(settings: Settings) -> Self {
        let health = if settings.init_fail { Health::Down } else { Health::Unknown };
        Self { settings, health, count: 0, run: Run::Idle, next_run: None, status: 0, trouble: None }
    }

    /// What it was told to do.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What its results amount to.
    pub fn health(&self) -> Health {
        self.health
    }

    /// Why it cannot be run, while it cannot: its health is then the last one known.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether a process is running.
    pub fn is_running(&self) -> bool {
        self.run != Run::Idle
    }

    /// Takes over new settings and keeps what is known.
    pub fn reload(&mut self, settings: Settings, out: &mut Vec<Action>) {
        if self.health == Health::Up {
            self.count = (settings.rise + settings.fall).saturating_sub(1);
            let line = format!("VRRP_Script({}) considered successful on reload", settings.name);
            out.push(Action::Log(Level::Info, line));
        } else if self.health == Health::Down {
            let line = format!("VRRP_Script({}) considered unsuccessful on reload", settings.name);
            out.push(Action::Log(Level::Info, line));
        }
        self.settings = settings;
    }

    /// When [`Script::time`] is wanted next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let of_run = match self.run {
            Run::Idle | Run::Killed => None,
            Run::Running { timeout } => Some(timeout),
            Run::Terminating { kill } => Some(kill),
        };
        of_run.into_iter().chain(self.next_run).min()
    }

    /// The first run.
    pub fn start(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.next_run = Some(now);
        self.time(now, out);
    }

    /// Time has passed.
    pub fn time(&mut self, now: Instant, out: &mut Vec<Action>) {
        match self.run {
            Run::Running { timeout } if timeout <= now => {
                out.push(Action::Log(Level::Info, format!("VRRP_Script({}) timed_out", self.settings.name)));
                out.push(Action::Terminate);
                self.run = Run::Terminating { kill: now + KILL_AFTER };
                self.failed("timed out", out);
            }
            Run::Terminating { kill } if kill <= now => {
                out.push(Action::Kill);
                self.run = Run::Killed;
            }
            Run::Idle | Run::Running { .. } | Run::Terminating { .. } | Run::Killed => {}
        }
        if self.next_run.is_some_and(|at| at <= now) {
            self.due(now, out);
        }
    }

    /// The cadence is fixed: from start to start, whatever a run takes.
    fn due(&mut self, now: Instant, out: &mut Vec<Action>) {
        let mut next = self.next_run.unwrap_or(now) + self.settings.interval;
        if next <= now {
            next = now + self.settings.interval;
        }
        self.next_run = Some(next);
        let busy = match self.run {
            Run::Idle => {
                out.push(Action::Run);
                self.run = Run::Running { timeout: now + self.settings.timeout };
                return;
            }
            Run::Running { .. } => "already running",
            Run::Terminating { .. } | Run::Killed => "being timed out",
        };
        let line = format!("Track script {} is {busy}, expect idle - skipping run", self.settings.name);
        out.push(Action::Log(Level::Info, line));
    }

    /// The run ended.
    pub fn finished(&mut self, outcome: &Outcome, out: &mut Vec<Action>) {
        let timed_out = matches!(self.run, Run::Terminating { .. } | Run::Killed);
        self.run = Run::Idle;
        if timed_out {
            return;
        }
        if let Outcome::CannotRun(reason) = outcome {
            self.cannot_run(reason, out);
            return;
        }
        let name = &self.settings.name;
        if self.trouble.take().is_some() {
            out.push(Action::Log(Level::Info, format!("Script `{name}` can be run again")));
        }
        match outcome {
            Outcome::Exited(status) => {
                if *status != self.status {
                    out.push(Action::Log(Level::Info, format!("Script `{name}` now returning {status}")));
                }
                self.status = *status;
                if *status == 0 {
                    self.succeeded(out);
                } else {
                    self.failed(&format!("exited with status {status}"), out);
                }
            }
            Outcome::Signalled(signal) => self.failed(&format!("due to signal {signal}"), out),
            Outcome::CannotRun(_) => {}
        }
    }

    /// What cannot be run says nothing about what it was to check, so the last result stays; without any the instance
    /// runs unwatched, as it does where the script is missing from the start.
    fn cannot_run(&mut self, reason: &str, out: &mut Vec<Action>) {
        let name = &self.settings.name;
        let kept = match self.health {
            Health::Unknown => {
                self.health = Health::Up;
                self.count = (self.settings.rise + self.settings.fall).saturating_sub(1);
                "it counts as successful"
            }
            Health::Up => "it stays successful",
            Health::Down => "it stays failed",
        };
        if self.trouble.as_deref() != Some(reason) {
            let line = format!("Script `{name}` CANNOT BE RUN, {kept} and nothing is watched: {reason}");
            out.push(Action::Log(Level::Error, line));
        }
        self.trouble = Some(reason.to_owned());
    }

    /// The first result decides at once; later ones count up to `rise`.
    fn succeeded(&mut self, out: &mut Vec<Action>) {
        let (rise, full) = (self.settings.rise, (self.settings.rise + self.settings.fall).saturating_sub(1));
        self.count = (self.count + 1).min(full);
        if self.health != Health::Up && (self.health == Health::Unknown || self.count >= rise) {
            self.count = full;
            self.health = Health::Up;
            out.push(Action::Log(Level::Info, format!("VRRP_Script({}) succeeded", self.settings.name)));
        }
    }

    /// A failure while up counts down; below `rise` the script is down and starts from nothing.
    fn failed(&mut self, how: &str, out: &mut Vec<Action>) {
        self.count = self.count.saturating_sub(1);
        let down = self.health == Health::Unknown || self.count < self.settings.rise;
        if !down {
            return;
        }
        self.count = 0;
        if self.health != Health::Down {
            self.health = Health::Down;
            out.push(Action::Log(Level::Info, format!("VRRP_Script({}) failed ({how})", self.settings.name)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(rise: u32, fall: u32) -> Script {
        Script::new(Settings {
            name: "chk".to_owned(),
            command: Command::exec(["/bin/true"]),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(3),
            weight: 0,
            reverse: false,
            rise,
            fall,
            init_fail: false,
        })
    }

    fn ended(script: &mut Script, status: i32) -> Health {
        script.finished(&Outcome::Exited(status), &mut Vec::new());
        script.health()
    }

    #[test]
    fn results_count_as_rise_and_fall_say() {
        use Health::{Down, Up};
        for (rise, fall, runs) in [
            (1, 1, vec![(0, Up), (1, Down), (0, Up)]),
            (2, 2, vec![(0, Up), (1, Up), (1, Down), (0, Down), (0, Up)]),
            (
                2,
                3,
                vec![
                    (1, Down),
                    (0, Down),
                    (1, Down),
                    (0, Down),
                    (0, Up),
                    (1, Up),
                    (1, Up),
                    (0, Up),
                    (1, Up),
                    (1, Down),
                ],
            ),
            (3, 1, vec![(0, Up), (1, Down), (0, Down), (0, Down), (0, Up)]),
        ] {
            let mut script = script(rise, fall);
            for (step, (status, expected)) in runs.into_iter().enumerate() {
                assert_eq!(ended(&mut script, status), expected, "rise {rise} fall {fall} step {step}");
            }
        }
    }

    #[test]
    fn init_fail_is_down_until_it_has_risen() {
        let mut settings = script(2, 1).settings;
        settings.init_fail = true;
        let mut script = Script::new(settings);
        assert_eq!(script.health(), Health::Down);
        assert_eq!(ended(&mut script, 0), Health::Down);
        assert_eq!(ended(&mut script, 0), Health::Up);
    }

    #[test]
    fn what_cannot_be_run_is_said_once_and_decides_nothing() {
        let cannot = Outcome::CannotRun("No such file or directory".to_owned());
        let mut script = script(1, 1);
        let mut out = Vec::new();
        script.finished(&cannot, &mut out);
        assert_eq!(script.health(), Health::Up, "as one that is missing at start");
        script.finished(&cannot, &mut out);
        let line =
            "Script `chk` CANNOT BE RUN, it counts as successful and nothing is watched: No such file or directory";
        assert_eq!(out, [Action::Log(Level::Error, line.to_owned())]);
        assert_eq!(script.trouble(), Some("No such file or directory"));
        assert_eq!(ended(&mut script, 1), Health::Down);
        assert_eq!(script.trouble(), None);
        script.finished(&cannot, &mut out);
        assert_eq!(script.health(), Health::Down);
    }

    #[test]
    fn a_run_that_takes_too_long_is_terminated_then_killed() {
        let start = crate::clock::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut script = script(1, 1);
        let mut out = Vec::new();
        script.start(at(0), &mut out);
        assert_eq!(out, [Action::Run]);
        assert_eq!(script.next_deadline(), Some(at(1000)));
        out.clear();
        script.time(at(1000), &mut out);
        assert_eq!(out.len(), 1, "skipping run: {out:?}");
        out.clear();
        script.time(at(3000), &mut out);
        assert_eq!(out[1], Action::Terminate);
        assert_eq!(script.health(), Health::Down);
        out.clear();
        script.time(at(5000), &mut out);
        assert!(out.contains(&Action::Kill), "{out:?}");
        script.finished(&Outcome::Signalled(9), &mut out);
        assert!(!script.is_running());
        out.clear();
        script.time(at(6000), &mut out);
        assert_eq!(out, [Action::Run]);
    }

    #[test]
    fn the_log_has_the_words_of_keepalived() {
        let mut script = script(1, 1);
        let mut out = Vec::new();
        for outcome in [Outcome::Exited(0), Outcome::Exited(3), Outcome::Exited(0), Outcome::Signalled(15)] {
            script.finished(&outcome, &mut out);
        }
        let lines: Vec<&str> = out
            .iter()
            .map(|action| match action {
                Action::Log(_, line) => line.as_str(),
                Action::Run | Action::Terminate | Action::Kill => "",
            })
            .collect();
        let expected = [
            "VRRP_Script(chk) succeeded",
            "Script `chk` now returning 3",
            "VRRP_Script(chk) failed (exited with status 3)",
            "Script `chk` now returning 0",
            "VRRP_Script(chk) succeeded",
            "VRRP_Script(chk) failed (due to signal 15)",
        ];
        assert_eq!(lines, expected);
    }
}
