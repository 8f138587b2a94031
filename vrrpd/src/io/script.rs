//! Runs commands: no shell where keepalived uses none, in a process group of their own, as the user they are given.

use crate::command::{Command, Form, User};
use crate::sys;
use crate::track::script::Outcome;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, Uid};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};

/// The shell of `</…` lines and of script files without `#!`.
const SHELL: &str = "/bin/sh";

/// A started process.
#[derive(Debug)]
pub struct Running {
    child: tokio::process::Child,
    group: Option<Pid>,
}

/// Starts a command.
pub fn start(command: &Command) -> io::Result<Running> {
    let child = match &command.form {
        Form::Exec(words) => {
            let (program, arguments) =
                words.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "empty command"))?;
            match spawn(program, arguments.iter().map(String::as_str), command.user) {
                // A file without `#!` is a shell script, as execvp(3) has it.
                Err(error) if error.raw_os_error() == Some(libc::ENOEXEC) => {
                    spawn(SHELL, words.iter().map(String::as_str), command.user)
                }
                result => result,
            }
        }
        Form::Shell(line) => spawn(SHELL, ["-c", line].into_iter(), command.user),
    }?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    Ok(Running { child, group })
}

fn spawn<'a>(program: &str, arguments: impl Iterator<Item = &'a str>, user: User) -> io::Result<tokio::process::Child> {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    // The loader and the shell must not take orders from whoever started the daemon.
    command.env_remove("IFS").env_remove("LD_PRELOAD").env_remove("LD_LIBRARY_PATH");
    if Uid::effective().is_root() && user != User::ROOT {
        command.uid(user.uid).gid(user.gid);
    }
    sys::die_with_parent(&mut command);
    command.spawn()
}

impl Running {
    /// The process group, for signals while somebody waits for the end.
    pub fn group(&self) -> Option<Pid> {
        self.group
    }

    /// Waits for the end.
    pub async fn outcome(mut self) -> Outcome {
        match self.child.wait().await {
            Ok(status) => outcome(status),
            Err(error) => Outcome::CannotRun(error.to_string()),
        }
    }
}

/// Signals a whole process group. One that is gone already needs no signal.
pub fn signal(group: Pid, signal: Signal) {
    if let Err(error) = killpg(group, signal)
        && error != nix::errno::Errno::ESRCH
    {
        tracing::warn!("cannot send {signal} to process group {group}: {error}");
    }
}

fn outcome(status: ExitStatus) -> Outcome {
    match (status.code(), status.signal()) {
        (Some(code), _) => Outcome::Exited(code),
        (None, Some(signal)) => Outcome::Signalled(signal),
        (None, None) => Outcome::CannotRun("ended without a status".to_owned()),
    }
}
