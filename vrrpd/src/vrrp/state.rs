//! The states of an instance.
//!
//! ```text
//!                            Start
//!                              |
//!                        +-----v------+   owner with `state MASTER`
//!              +---------|    Init    |--------------------------------+
//!              |         +-----+------+                                |
//!              | fault         | anyone else                           |
//!              |               v                                       v
//!              |         +------------+   master-down timer,     +-----------+
//!              |         |            |   whole group ready      |           |
//!              |         |   Backup   +------------------------->|  Master   |
//!              |         |            |<-------------------------+           |
//!              |         +---+----^---+   better advert, sync    +-----+-----+
//!              |       fault |    |       group, own stall             | fault
//!              |             v    | fault over                         |
//!              |         +--------+---+                                |
//!              +-------->|   Fault    |<-------------------------------+
//!                        +------------+
//! ```
//!
//! In a sync group the master-down timer makes an instance only *ready*: it becomes master when every other member is
//! ready too. A master that was stalled keeps its addresses and *listens* before it sends again.
//!
//! `Init` holds an instance until its trackers have a first result and the startup delay is over. `Fault` is left
//! only through `Backup`: the election decides whether the instance becomes master again. `Stop` leads from any state
//! to `Init`, and from `Master` with an advert of priority 0.

use std::net::IpAddr;
use std::time::Duration;

/// Where an instance is, with what only that state knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not started, or held back before the first decision.
    Init,
    /// Listens for a master.
    Backup {
        /// The master that was last heard, if any was.
        master: Option<Heard>,
        /// `preempt_delay` has passed since a worse master was first heard: it may be preempted now.
        delay_over: bool,
    },
    /// Holds the addresses.
    Master,
    /// Cannot take part.
    Fault,
}

/// The master as a backup knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Where its adverts come from.
    pub address: IpAddr,
    /// The priority it gave.
    pub priority: u8,
    /// Its advertisement interval: version 3 backups follow it.
    pub interval: Duration,
}

/// The name of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// [`State::Init`]
    Init,
    /// [`State::Backup`]
    Backup,
    /// [`State::Master`]
    Master,
    /// [`State::Fault`]
    Fault,
}

impl State {
    /// The name of this state.
    pub fn phase(&self) -> Phase {
        match self {
            State::Init => Phase::Init,
            State::Backup { .. } => Phase::Backup,
            State::Master => Phase::Master,
            State::Fault => Phase::Fault,
        }
    }
}

impl Phase {
    /// As log lines and dumps name it.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Init => "INIT",
            Phase::Backup => "BACKUP",
            Phase::Master => "MASTER",
            Phase::Fault => "FAULT",
        }
    }
}

/// Why an instance is in fault, or would be if it were started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The interface is down.
    pub link: bool,
    /// There is no address to send from.
    pub source: bool,
    /// A tracker of weight 0 failed.
    pub tracker: bool,
    /// It is to be unicast and there is no peer (`unicast_fault_no_peer`).
    pub peers: bool,
    /// Its authentication is one that we cannot speak.
    pub authentication: bool,
    /// Another member of its sync group is in fault.
    pub group: bool,
}

impl Faults {
    /// Whether there is any.
    pub fn any(self) -> bool {
        self.own() || self.group
    }

    /// Whether there is any that does not come from the group.
    pub fn own(self) -> bool {
        self.link || self.source || self.tracker || self.peers || self.authentication
    }
}
