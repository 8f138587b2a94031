//! Every limit of the daemon, by name. Limits of a protocol are with the protocol.

use std::time::Duration;

/// Events that wait for the loop; a full queue leaves packets in the kernel's buffers.
pub const EVENTS_MAX: usize = 1024;
/// Events handled before the clock is looked at again.
pub const EVENT_BATCH: usize = 64;
/// Largest VRRP packet: IPv4 header with options and 255 IPv6 addresses fit.
pub const PACKET_MAX: usize = 4352;
/// Notifications that wait behind a slow script of the same subject; more are dropped, loudly.
pub const NOTIFY_QUEUE_MAX: usize = 64;
/// How long the daemon waits at its end for notify scripts to finish.
pub const STOP_WAIT: Duration = Duration::from_secs(2);
/// Longest syslog line.
pub const LOG_LINE_MAX: usize = 1024;
