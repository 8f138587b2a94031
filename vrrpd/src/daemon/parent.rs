//! The small first process, as keepalived has it: it starts the VRRP process, passes signals on, speaks to the service
//! manager and starts the VRRP process again when it dies.
//!
//! It does nothing that can fail in odd ways: no runtime, no network, no configuration. So whichever of the two is
//! killed, the addresses are in good hands: a dead VRRP process is replaced at once, and the new one takes away or
//! takes over what the old one left; a dead parent makes the VRRP process stop in good order (`PR_SET_PDEATHSIG`), with an
//! advert of priority 0. Only when both are killed at once does an address stay behind, until the next start, which takes
//! it over where nobody can have missed the master yet (`memory`).

use super::{EXIT_CONFIG, EXIT_FATAL, Options, Plan, memory, signals};
use crate::log::PROCESS;
use crate::sys::{self, BlockedSignals, Fork};
use crate::{clock, systemd};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

/// A VRRP process that lived for less died early. The first of a row is replaced at once, the next ones after this
/// time: a crash at start must not become a loop that keeps a processor busy.
const RESPAWN_PAUSE: Duration = Duration::from_secs(1);
/// Longest message to the service manager.
const MESSAGE_MAX: usize = 1024;

/// What the VRRP process gets from its parent.
pub(super) struct Inheritance {
    /// Signals are held back until the VRRP process has handlers for them.
    pub(super) signals: BlockedSignals,
    /// Messages to the service manager go here.
    pub(super) relay: UnixDatagram,
    /// What it leaves to the next one, and what the one before left.
    pub(super) memory: File,
}

/// Which process this is when the supervision is over.
pub(super) enum Role {
    /// This is a VRRP process and begins now.
    Vrrp(Inheritance),
    /// This is the parent, and nothing remains to be supervised; its exit code.
    Parent(u8),
}

/// How a VRRP process ended.
enum End {
    /// We told it to.
    Stopped,
    /// By itself or by somebody else.
    Died(Pid, WaitStatus),
}

/// Supervises until the daemon is told to stop or cannot go on. Returns once in every VRRP process, too: the plan is for
/// the first of them, and the parent forgets it.
pub(super) fn supervise(options: &Options, plan: &mut Option<Plan>) -> io::Result<Role> {
    let own = std::process::id();
    let mut died_early = false;
    // They arrive here from the first moment on, and are kept from a child until it can take them.
    let signals = BlockedSignals::block(&signals::of_parent())?;
    let memory = memory::open(&options.vrrp_pid_file)?;
    loop {
        let (relay, theirs) = UnixDatagram::pair()?;
        let begun = clock::now();
        let child = match sys::fork()? {
            Fork::Child => {
                if !sys::follow_parent(own)? {
                    return Err(io::Error::other("the parent has ended already"));
                }
                return Ok(Role::Vrrp(Inheritance { signals, relay: theirs, memory }));
            }
            Fork::Parent(child) => child,
        };
        drop(theirs);
        *plan = None;
        sys::give_memory_back();
        relay.set_nonblocking(true)?;
        tracing::info!(target: PROCESS, "Starting VRRP child process, pid={child}");
        let End::Died(pid, status) = watch(child, &signals, &relay, options.child_wait)? else {
            memory::remove(&options.vrrp_pid_file);
            return Ok(Role::Parent(super::EXIT_OK));
        };
        if let Some(code) = permanent(pid, status) {
            memory::remove(&options.vrrp_pid_file);
            return Ok(Role::Parent(code));
        }
        if !options.respawn {
            tracing::error!(target: PROCESS, "VRRP child process({pid}) died: Exiting");
            tracing::info!(target: PROCESS, "Stopping");
            return Ok(Role::Parent(super::EXIT_OK));
        }
        tracing::error!(target: PROCESS, "VRRP child process({pid}) died: Respawning");
        let early = clock::now().saturating_duration_since(begun) < RESPAWN_PAUSE;
        if early && died_early && stopped_within(RESPAWN_PAUSE, &signals)? {
            return Ok(Role::Parent(super::EXIT_OK));
        }
        died_early = early;
    }
}

/// Waits for the end of the VRRP process and serves it meanwhile.
fn watch(child: Pid, signals: &BlockedSignals, relay: &UnixDatagram, patience: Duration) -> io::Result<End> {
    let mut kill_at: Option<Instant> = None;
    loop {
        wait_for(&[signals.fd(), relay.as_fd()], kill_at)?;
        pass_on(relay);
        while let Some(number) = signals.take() {
            match number {
                libc::SIGCHLD => {}
                libc::SIGTERM | libc::SIGINT => {
                    kill_at = kill_at.or(Some(clock::now() + patience));
                    forward(child, libc::SIGTERM);
                }
                other => forward(child, other),
            }
        }
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive | WaitStatus::Stopped(..) | WaitStatus::Continued(_)) | Err(Errno::EINTR) => {}
            Ok(status) => {
                pass_on(relay);
                return Ok(if kill_at.is_some() { End::Stopped } else { End::Died(child, status) });
            }
            Err(error) => return Err(error.into()),
        }
        if kill_at.is_some_and(|at| at <= clock::now()) {
            tracing::error!(target: PROCESS, "VRRP child process({child}) does not stop, killing it");
            forward(child, libc::SIGKILL);
            kill_at = Some(clock::now() + patience);
        }
    }
}

fn forward(child: Pid, number: i32) {
    if let Err(error) = sys::send_signal(child, number) {
        tracing::warn!(target: PROCESS, "cannot send signal {number} to {child}: {error}");
    }
}

fn pass_on(relay: &UnixDatagram) {
    let mut message = [0; MESSAGE_MAX];
    while let Ok(length) = relay.recv(&mut message) {
        systemd::notify(&String::from_utf8_lossy(message.get(..length).unwrap_or_default()));
    }
}

/// Whether SIGTERM or SIGINT came within this time.
fn stopped_within(time: Duration, signals: &BlockedSignals) -> io::Result<bool> {
    let until = clock::now() + time;
    while clock::now() < until {
        wait_for(&[signals.fd()], Some(until))?;
        while let Some(number) = signals.take() {
            if matches!(number, libc::SIGTERM | libc::SIGINT) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Waits until one can be read, or the time is over.
fn wait_for(descriptors: &[std::os::fd::BorrowedFd<'_>], until: Option<Instant>) -> io::Result<()> {
    let mut polled: Vec<PollFd<'_>> = descriptors.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    let timeout = until.map_or(PollTimeout::NONE, |at| {
        let left = at.saturating_duration_since(clock::now()) + Duration::from_millis(1);
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
    });
    match poll(&mut polled, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The exit code where starting again would end in the same way, in keepalived's words.
fn permanent(pid: Pid, status: WaitStatus) -> Option<u8> {
    match status {
        WaitStatus::Exited(_, code) => {
            let (code, name) = [(EXIT_CONFIG, "CONFIG"), (EXIT_FATAL, "FATAL")]
                .into_iter()
                .find(|(known, _)| i32::from(*known) == code)?;
            tracing::error!(target: PROCESS, "pid {pid} exited with permanent error {name}. Terminating");
            Some(code)
        }
        WaitStatus::Signaled(_, signal, _) => {
            let hint = if signal == Signal::SIGKILL { " - has rlimit_rttime been exceeded?" } else { "" };
            let name = signal_name(signal);
            let number = signal as i32;
            tracing::error!(target: PROCESS, "pid {pid} exited due to signal {number} ({name}){hint}");
            None
        }
        _ => None,
    }
}

/// As strsignal(3) names those that end a process by accident.
fn signal_name(signal: Signal) -> &'static str {
    match signal {
        Signal::SIGKILL => "Killed",
        Signal::SIGSEGV => "Segmentation fault",
        Signal::SIGABRT => "Aborted",
        Signal::SIGBUS => "Bus error",
        Signal::SIGXCPU => "CPU time limit exceeded",
        other => other.as_str(),
    }
}
