//! `vrrp_script`: when to run the command, when to give up on it, and when its results count.

use crate::command::Command;
use std::time::Duration;

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
