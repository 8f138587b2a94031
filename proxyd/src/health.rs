//! Health of a server: what check results, observed traffic and administrators make of it.

pub mod script;

use std::time::Duration;

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
