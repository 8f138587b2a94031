//! Health of a server: what check results and administrators make of it.
//!
//! The arithmetic is here, without time or state: [`Pace::judge`] turns a counter and an outcome into the next counter.
//! [`script`] is what a check says and expects, as a machine over bytes; [`agent`] what an agent says of its server.
//! [`change`] applies results and orders to a farm and words the log lines that tell of it.

pub mod agent;
pub mod change;
pub mod observe;
pub mod saved;
pub mod script;

use std::time::Duration;

use crate::balance::server_state::Running;

/// How often a server is checked and how many results change its mind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between two checks of a server whose state is settled (`inter`).
    pub inter: Duration,
    /// Between two checks while the state is changing (`fastinter`); none means `inter`.
    pub fastinter: Option<Duration>,
    /// Between two checks of a server that is down (`downinter`); none means `inter`.
    pub downinter: Option<Duration>,
    /// Successes in a row that bring a server up.
    pub rise: u32,
    /// Failures in a row that take a server down.
    pub fall: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { inter: Duration::from_secs(2), fastinter: None, downinter: None, rise: 2, fall: 3 }
    }
}

/// `observe`: whether traffic counts as health evidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Observe {
    /// Only checks count.
    #[default]
    None,
    /// Connections that fail count.
    Layer4,
    /// Responses that are invalid count too.
    Layer7,
}

/// How traffic counts: `observe`, `error-limit`, `on-error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// What counts.
    pub observe: Observe,
    /// Errors in a row that something follows from.
    pub error_limit: u32,
    /// What follows.
    pub on_error: OnError,
}

impl Default for Observation {
    fn default() -> Self {
        Self { observe: Observe::None, error_limit: 10, on_error: OnError::FailCheck }
    }
}

/// `on-error`: what happens when `error-limit` observed errors came in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnError {
    /// Check at the fast pace.
    FastInter,
    /// Count one failed check.
    #[default]
    FailCheck,
    /// Count as a failed check, and one more failure takes the server down.
    SuddenDeath,
    /// Take the server down at once.
    MarkDown,
}

/// `on-marked-down`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnMarkedDown {
    /// Running sessions go on.
    #[default]
    None,
    /// Running sessions with the server are cut.
    ShutdownSessions,
}

/// `on-marked-up`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnMarkedUp {
    /// Running sessions go on.
    #[default]
    None,
    /// Running sessions with backup servers are cut.
    ShutdownBackupSessions,
}

/// `init-state`: where a server starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InitState {
    /// Up, and one failed check takes it down.
    #[default]
    Up,
    /// Up with all its `fall` credit.
    FullyUp,
    /// Down, and one good check brings it up.
    Down,
    /// Down with all `rise` checks still to pass.
    FullyDown,
}

/// How one check ended, in the words of the statistics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CheckStatus {
    /// No check has ended yet.
    #[default]
    Initializing,
    /// An agent answered and said nothing about being well or not.
    Checked,
    /// Traffic told, not a check (`observe`).
    Analyzed,
    /// The system refused a socket, or the connection broke.
    SocketError,
    /// The connection opened, and nothing more was asked for.
    L4Ok,
    /// The connection did not open in time.
    L4Timeout,
    /// The connection was refused or could not be made.
    L4Connection,
    /// A TLS hello was answered.
    L6Ok,
    /// A TLS hello was not answered in time.
    L6Timeout,
    /// A TLS hello was answered by something else.
    L6Response,
    /// The answer is as expected.
    L7Ok,
    /// The answer asks for no new clients.
    L7OkConditionally,
    /// No answer in time.
    L7Timeout,
    /// The answer is not what was expected, or makes no sense.
    L7Response,
    /// The answer has the wrong status.
    L7Status,
    /// A program failed, or could not be run.
    ProgramError,
    /// A program did not end in time.
    ProgramTimeout,
    /// A program was content.
    ProgramOk,
}

/// What a check means for the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is well.
    Passed,
    /// It is well but wants no new clients.
    Conditional,
    /// It is not well.
    Failed,
    /// Nothing was said about it.
    Neutral,
}

impl CheckStatus {
    /// The short form: `L7OK`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Initializing => "INI",
            Self::Checked => "CHECKED",
            Self::Analyzed => "HANA",
            Self::SocketError => "SOCKERR",
            Self::L4Ok => "L4OK",
            Self::L4Timeout => "L4TOUT",
            Self::L4Connection => "L4CON",
            Self::L6Ok => "L6OK",
            Self::L6Timeout => "L6TOUT",
            Self::L6Response => "L6RSP",
            Self::L7Ok => "L7OK",
            Self::L7OkConditionally => "L7OKC",
            Self::L7Timeout => "L7TOUT",
            Self::L7Response => "L7RSP",
            Self::L7Status => "L7STS",
            Self::ProgramError => "PROCERR",
            Self::ProgramTimeout => "PROCTOUT",
            Self::ProgramOk => "PROCOK",
        }
    }

    /// The long form: `Layer7 check passed`.
    pub fn description(self) -> &'static str {
        match self {
            Self::Initializing => "Initializing",
            Self::Checked => "No status change",
            Self::Analyzed => "Health analyze",
            Self::SocketError => "Socket error",
            Self::L4Ok => "Layer4 check passed",
            Self::L4Timeout => "Layer4 timeout",
            Self::L4Connection => "Layer4 connection problem",
            Self::L6Ok => "Layer6 check passed",
            Self::L6Timeout => "Layer6 timeout",
            Self::L6Response => "Layer6 invalid response",
            Self::L7Ok => "Layer7 check passed",
            Self::L7OkConditionally => "Layer7 check conditionally passed",
            Self::L7Timeout => "Layer7 timeout",
            Self::L7Response => "Layer7 invalid response",
            Self::L7Status => "Layer7 wrong status",
            Self::ProgramError => "External check error",
            Self::ProgramTimeout => "External check timeout",
            Self::ProgramOk => "External check passed",
        }
    }

    /// What it means for the server.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::L4Ok | Self::L6Ok | Self::L7Ok | Self::ProgramOk => Outcome::Passed,
            Self::L7OkConditionally => Outcome::Conditional,
            Self::Checked => Outcome::Neutral,
            Self::Initializing
            | Self::Analyzed
            | Self::SocketError
            | Self::L4Timeout
            | Self::L4Connection
            | Self::L6Timeout
            | Self::L6Response
            | Self::L7Timeout
            | Self::L7Response
            | Self::L7Status
            | Self::ProgramError
            | Self::ProgramTimeout => Outcome::Failed,
        }
    }
}

/// The result of one check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckResult {
    /// How it ended.
    pub status: CheckStatus,
    /// The status code of an HTTP answer, the exit status of a program, -1 where a signal ended it; scripts report 0.
    pub code: Option<i32>,
    /// What else is to be said.
    pub info: String,
    /// How long it took.
    pub duration: Duration,
}

/// What is known of a server's health between two checks: how far it is from changing its mind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Below `rise` the server is down and this counts its successes; above, it is up and this counts what is left of
    /// its credit, `rise + fall - 1` at most.
    pub counter: u32,
    /// Up, down, or asking for no new clients.
    pub running: Running,
}

impl Pace {
    /// The counter of a server that is up and has never failed.
    pub fn full(&self) -> u32 {
        (self.rise + self.fall).saturating_sub(1)
    }

    /// Where a server starts.
    pub fn initial(&self, state: InitState) -> Health {
        let (counter, running) = match state {
            InitState::Up => (self.rise, Running::Up),
            InitState::FullyUp => (self.full(), Running::Up),
            InitState::Down => (self.rise.saturating_sub(1), Running::Down),
            InitState::FullyDown => (0, Running::Down),
        };
        Health { counter, running }
    }

    /// What a health is before the failure that observed errors stand for.
    pub fn before_error(&self, health: Health, on_error: OnError) -> Health {
        let ceiling = match on_error {
            OnError::FastInter | OnError::FailCheck => health.counter,
            OnError::SuddenDeath => self.rise + 1,
            OnError::MarkDown => self.rise,
        };
        Health { counter: health.counter.min(ceiling), ..health }
    }

    /// What a check's outcome makes of a server's health.
    pub fn judge(&self, before: Health, outcome: Outcome) -> Health {
        match outcome {
            Outcome::Neutral => before,
            Outcome::Failed if before.counter > self.rise => Health { counter: before.counter - 1, ..before },
            Outcome::Failed => Health { counter: 0, running: Running::Down },
            Outcome::Passed | Outcome::Conditional if before.counter + 1 >= self.rise => {
                let running = if outcome == Outcome::Passed { Running::Up } else { Running::Stopping };
                Health { counter: self.full(), running }
            }
            Outcome::Passed | Outcome::Conditional => Health { counter: before.counter + 1, ..before },
        }
    }

    /// How long to wait for the next check.
    pub fn interval(&self, health: Health) -> Duration {
        let special = if health.counter >= self.full() {
            None
        } else if health.counter == 0 {
            self.downinter
        } else {
            self.fastinter
        };
        special.unwrap_or(self.inter)
    }

    /// The counter as a fraction, for the log: `2/3 UP`, `1/2 DOWN`, and `2/3 DRAIN` of a server whose weight is 0.
    pub fn fraction(&self, health: Health, weight: u32) -> String {
        if health.counter >= self.rise {
            let state = if weight > 0 { "UP" } else { "DRAIN" };
            format!("{}/{} {state}", health.counter + 1 - self.rise, self.fall)
        } else {
            format!("{}/{} DOWN", health.counter, self.rise)
        }
    }
}

/// How far a slow start has come, in percent, never less than one.
pub fn ramp(since_up: Duration, slowstart: Duration) -> u32 {
    let percent = since_up.as_millis() * 100 / slowstart.as_millis().max(1);
    u32::try_from(percent).map_or(100, |percent| percent.clamp(1, 100))
}

#[cfg(test)]
mod tests;
