//! Signals as a stream: a flag for each and a pipe that wakes the loop.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

/// keepalived's `--signum=JSON`, SIGRTMIN+2 as the C library counts.
const JSON: i32 = 36;
/// keepalived's `--signum=STATS_CLEAR`.
const CLEAR_STATISTICS: i32 = 63;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Stop,
    Reload,
    Data,
    Statistics,
    ClearStatistics,
    Json,
}

/// Their numbers. SIGINT comes last: `--ignore-sigint` leaves it out.
const NUMBERS: [(i32, Signal); 7] = [
    (SIGTERM, Signal::Stop),
    (SIGHUP, Signal::Reload),
    (SIGUSR1, Signal::Data),
    (SIGUSR2, Signal::Statistics),
    (CLEAR_STATISTICS, Signal::ClearStatistics),
    (JSON, Signal::Json),
    (SIGINT, Signal::Stop),
];

/// The signals that mean something, with or without SIGINT.
fn numbers(interrupt: bool) -> impl Iterator<Item = (i32, Signal)> {
    NUMBERS.into_iter().filter(move |&(number, _)| interrupt || number != SIGINT)
}

/// What the parent passes on, and the end of its child.
pub(super) fn of_parent() -> Vec<i32> {
    numbers(true).map(|(number, _)| number).chain([libc::SIGCHLD]).collect()
}

/// Signals as a stream.
pub(super) struct Signals {
    flags: Vec<(Arc<AtomicBool>, Signal)>,
    wake: UnixStream,
}

impl Signals {
    pub(super) fn listen(interrupt: bool) -> io::Result<Self> {
        let (wake, write) = StdStream::pair()?;
        wake.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        let mut flags = Vec::new();
        for (number, signal) in numbers(interrupt) {
            let flag = Arc::new(AtomicBool::new(false));
            // The flag before the pipe: whoever is woken must find it.
            signal_hook::flag::register(number, Arc::clone(&flag))?;
            signal_hook::low_level::pipe::register(number, write.try_clone()?)?;
            flags.push((flag, signal));
        }
        Ok(Self { flags, wake: UnixStream::from_std(wake)? })
    }

    /// The next signal. Cancel safe: a flag is taken only when it is returned.
    pub(super) async fn next(&mut self) -> io::Result<Signal> {
        loop {
            let raised = self.flags.iter().find(|(flag, _)| flag.swap(false, Ordering::AcqRel));
            if let Some((_, signal)) = raised {
                return Ok(*signal);
            }
            let mut bytes = [0; 16];
            if self.wake.read(&mut bytes).await? == 0 {
                return Err(io::Error::other("the pipe of the signals has been closed"));
            }
        }
    }
}
