//! The states of servers as a file says them (management.txt, `show servers state`), to be read back by the next process.
//!
//! The numbers are haproxy's: files of either program serve the other.

use super::{CheckStatus, Outcome};

/// The first line.
pub const VERSION: &str = "1";
/// The second line.
pub const HEADER: &str = "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
                          srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state \
                          srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl \
                          srv_check_port srv_check_addr srv_agent_addr srv_agent_port";

/// `srv_op_state`: down.
pub const STOPPED: u8 = 0;
/// `srv_op_state`: in its slow start.
pub const STARTING: u8 = 1;
/// `srv_op_state`: up.
pub const RUNNING: u8 = 2;
/// `srv_op_state`: up, and wants no new clients.
pub const STOPPING: u8 = 3;
/// A bit of `srv_admin_state`: in maintenance.
pub const MAINT: u8 = 0x01;
/// A bit of `srv_admin_state`: the server that it tracks is in maintenance.
pub const INHERITED_MAINT: u8 = 0x02;
/// A bit of `srv_admin_state`: the server that it tracks drains.
pub const INHERITED_DRAIN: u8 = 0x10;
/// A bit of `srv_admin_state`: because the configuration says so.
pub const CONFIGURED_MAINT: u8 = 0x04;
/// A bit of `srv_admin_state`: draining.
pub const DRAIN: u8 = 0x08;
/// A bit of `srv_admin_state`: in maintenance because it has no address.
pub const UNRESOLVED: u8 = 0x20;
/// A bit of `srv_check_state`: there is a check.
pub const CONFIGURED: u8 = 0x02;
/// A bit of `srv_check_state`: it is not stopped by an administrator.
pub const ENABLED: u8 = 0x04;
/// A bit of `srv_check_state`: it waits for the end of a maintenance.
pub const PAUSED: u8 = 0x08;
/// A bit of `srv_agent_state`: always there.
pub const AGENT: u8 = 0x10;

/// The statuses in the order of their numbers; `None` for numbers that no check of ours ends with.
const STATUSES: [Option<CheckStatus>; 17] = [
    None,
    Some(CheckStatus::Initializing),
    None,
    Some(CheckStatus::Checked),
    Some(CheckStatus::Analyzed),
    Some(CheckStatus::SocketError),
    Some(CheckStatus::L4Ok),
    Some(CheckStatus::L4Timeout),
    Some(CheckStatus::L4Connection),
    Some(CheckStatus::L6Ok),
    Some(CheckStatus::L6Timeout),
    Some(CheckStatus::L6Response),
    Some(CheckStatus::L7Timeout),
    Some(CheckStatus::L7Response),
    Some(CheckStatus::L7Ok),
    Some(CheckStatus::L7OkConditionally),
    Some(CheckStatus::L7Status),
];

/// `srv_check_status`.
pub fn status_number(status: CheckStatus) -> usize {
    STATUSES.iter().position(|known| *known == Some(status)).unwrap_or(0)
}

/// `srv_check_result`.
pub fn result_number(status: CheckStatus) -> u8 {
    match (status, status.outcome()) {
        (CheckStatus::Initializing, _) => 0,
        (_, Outcome::Neutral) => 1,
        (_, Outcome::Failed) => 2,
        (_, Outcome::Passed) => 3,
        (_, Outcome::Conditional) => 4,
    }
}
