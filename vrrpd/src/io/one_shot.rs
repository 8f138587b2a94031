//! `startup_script` and `shutdown_script`: run once, by the parent, which waits for them. The parent has no runtime.

use crate::clock;
use crate::command::{Command, Form, User};
use crate::log::PROCESS;
use crate::sys;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, Uid};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

/// Runs a script to its end; one that takes longer than `timeout` is killed with all its children. `what` is `startup`
/// or `shutdown`; the lines are keepalived's.
pub fn run(what: &str, command: &Command, timeout: Duration) {
    let program = match &command.form {
        Form::Exec(words) => words.first().map_or("", String::as_str),
        Form::Shell(line) => line,
    };
    tracing::info!(target: PROCESS, "Running {what} script {program}");
    match start(command).and_then(|child| wait(child, timeout)) {
        Ok(Some(status)) if status.success() => tracing::info!(target: PROCESS, "{what} script script succeeded"),
        Ok(Some(status)) => {
            let how = status.code().map_or_else(|| status.to_string(), |code| format!("status {code}"));
            tracing::warn!(target: PROCESS, "{what} script script failed, {how}");
        }
        Ok(None) => tracing::warn!(target: PROCESS, "{what} script timed out"),
        Err(error) => tracing::error!(target: PROCESS, "Call of {what} script {program} failed: {error}"),
    }
}

fn start(command: &Command) -> io::Result<Child> {
    let mut process = match &command.form {
        Form::Exec(words) => {
            let (program, arguments) =
                words.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "empty command"))?;
            let mut process = std::process::Command::new(program);
            process.args(arguments);
            process
        }
        Form::Shell(line) => {
            let mut process = std::process::Command::new("/bin/sh");
            process.args(["-c", line]);
            process
        }
    };
    if Uid::effective().is_root() && command.user != User::ROOT {
        process.uid(command.user.uid).gid(command.user.gid);
    }
    process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn()
}

/// Its status, or `None` when it had to be killed.
fn wait(mut child: Child, timeout: Duration) -> io::Result<Option<ExitStatus>> {
    let until = clock::now() + timeout;
    let group = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let end = sys::process_descriptor(group)?;
    loop {
        let left = PollTimeout::try_from(until.saturating_duration_since(clock::now())).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(end.as_fd(), PollFlags::POLLIN)], left) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if clock::now() >= until {
            killpg(group, Signal::SIGKILL)?;
            child.wait()?;
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_ends_in_time_or_is_killed() {
        let status = |words: &[&str], ms| {
            let child = start(&Command::exec(words.iter().copied())).unwrap();
            wait(child, Duration::from_millis(ms)).unwrap()
        };
        assert!(status(&["/bin/true"], 10_000).unwrap().success());
        assert_eq!(status(&["/bin/sh", "-c", "exit 3"], 10_000).unwrap().code(), Some(3));
        assert_eq!(status(&["/bin/sh", "-c", "sleep 60 & wait"], 50), None);
        assert!(start(&Command::exec(["/nonexistent"])).is_err());
    }
}
