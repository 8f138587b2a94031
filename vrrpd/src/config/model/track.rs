//! What is watched, and what it does to the priority.

use super::ParamMatch;
use super::{BfdId, FileId, ProcessId, ScriptId};
use crate::command::Command;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What an instance or a group watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track {
    /// False with `dont_track_primary`: its own interface may go down.
    pub primary: bool,
    /// `track_interface`
    pub interfaces: Vec<TrackRef<String>>,
    /// `track_script`
    pub scripts: Vec<TrackRef<ScriptId>>,
    /// `track_file`
    pub files: Vec<TrackRef<FileId>>,
    /// `track_process`
    pub processes: Vec<TrackRef<ProcessId>>,
    /// `track_bfd`
    pub bfd: Vec<TrackRef<BfdId>>,
    /// Kind and name of what these lists name and nothing defines, such as `script chk`.
    pub undefined: Vec<String>,
}

/// One thing watched and what it does to the priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackRef<T> {
    /// What is watched.
    pub target: T,
    /// Zero: failure is a fault. -253 to 253, for files any number.
    pub weight: i32,
    /// `reverse`: success counts as failure.
    pub reverse: bool,
}

/// `vrrp_script`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// As in `track_script`, and unique.
    pub name: String,
    /// What is run.
    pub command: Command,
    /// From start to start.
    pub interval: Duration,
    /// After this the script is killed and counts as failed.
    pub timeout: Duration,
    /// For references without a weight of their own; zero: failure is a fault.
    pub weight: i32,
    /// `reverse` of that weight.
    pub reverse: bool,
    /// Successes until it is up.
    pub rise: u32,
    /// Failures until it is down.
    pub fall: u32,
    /// `init_fail`: down until it has succeeded.
    pub init_fail: bool,
}

/// `track_file`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedFile {
    /// As in `track_file` of an instance.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What its number is multiplied with; zero: anything but zero is a fault.
    pub weight: i32,
    /// `reverse` of that weight.
    pub reverse: bool,
    /// `init_file`: value to create it with, and whether an existing file is overwritten.
    pub init: Option<(i64, bool)>,
}

/// `vrrp_track_process`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedProcess {
    /// As in `track_process` of an instance.
    pub name: String,
    /// Program, or its parameters too where they matter.
    pub process: Vec<String>,
    /// `param_match`
    pub param_match: ParamMatch,
    /// `full_command`: compare the command line rather than the name.
    pub full_command: bool,
    /// For references without a weight of their own.
    pub weight: i32,
    /// `reverse` of that weight.
    pub reverse: bool,
    /// `quorum`: so many must run.
    pub quorum: u32,
    /// `quorum_max`: and no more than so many.
    pub quorum_max: Option<u32>,
    /// `fork_delay`: how long they must have run.
    pub fork_delay: Duration,
    /// `terminate_delay`: how long they must have been gone.
    pub terminate_delay: Duration,
}

/// `bfd_instance`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BfdInstance {
    /// As in `track_bfd`.
    pub name: String,
    /// `neighbor_ip`
    pub neighbor: IpAddr,
    /// `source_ip`, of the same family.
    pub source: Option<IpAddr>,
    /// `min_rx`
    pub min_rx: Duration,
    /// `min_tx`
    pub min_tx: Duration,
    /// `idle_tx`
    pub idle_tx: Duration,
    /// `multiplier`: so many may be missed.
    pub multiplier: u8,
    /// `passive`
    pub passive: bool,
    /// `ttl` or `hoplimit` to send with.
    pub ttl: u8,
    /// `max_hops`: how many a packet may have taken.
    pub max_hops: Option<u8>,
    /// For references without a weight of their own.
    pub weight: i32,
    /// `reverse` of that weight.
    pub reverse: bool,
    /// Instances may track it.
    pub for_vrrp: bool,
    /// Checkers may track it.
    pub for_checker: bool,
}
