//! Every limit of the daemon, by name. Limits of a protocol are with the protocol.

use std::time::Duration;

/// Events that wait for the loop; a full queue leaves packets in the kernel's buffers.
pub const EVENTS_MAX: usize = 1024;
/// Events handled before the clock is looked at again.
pub const EVENT_BATCH: usize = 64;
/// Batches taken before a timer that is due is served: what a stall leaves in the sockets is looked at, a flood waits.
pub const BATCHES_BEFORE_TIMERS: usize = 16;
/// Largest VRRP packet: IPv4 header with options and 255 IPv6 addresses fit.
pub const PACKET_MAX: usize = 4352;
/// Notifications that wait behind a slow script of the same subject; more are dropped, loudly.
pub const NOTIFY_QUEUE_MAX: usize = 64;
/// How long the daemon waits at its end for notify scripts to finish.
pub const STOP_WAIT: Duration = Duration::from_secs(4);
/// Longest syslog line.
pub const LOG_LINE_MAX: usize = 1024;
/// Most mails that wait for a slow server; more are dropped, loudly.
pub const MAIL_QUEUE_MAX: usize = 64;
/// How much of a tracked file is read, in octets.
pub const TRACK_FILE_MAX: u64 = 64;
/// How often tracked files are read when nothing says that they have changed.
pub const FILE_POLL: Duration = Duration::from_secs(5);
/// How often processes are looked for where the kernel does not tell of them.
pub const PROCESS_POLL: Duration = Duration::from_secs(1);
/// Process events that are dealt with at once.
pub const PROCESS_EVENTS_MAX: usize = 4096;
/// How long a start waits for the first readings of files and processes.
pub const FIRST_LOOK: Duration = Duration::from_secs(2);
/// After this time a notify script that still runs is named in the log, with those that wait for it.
pub const NOTIFY_SLOW: Duration = Duration::from_mins(1);
