//! A process on a host: its real number, its output, its end.

use crate::wait;
use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

/// How long a program may take from fork to being there.
const START_BOUND: Duration = Duration::from_secs(5);

/// A running process, killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    /// `nsenter`, which waits for the process and ends as it ended.
    outer: Child,
    /// The process itself.
    pid: i32,
    log: PathBuf,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command, name: &str, log: PathBuf) -> Result<Self> {
        let mut outer = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let id = outer.id();
        // A program that ends at once has no child left to see; its number is then of no use to anyone.
        let pid = wait::until(&format!("{name} starts"), START_BOUND, || {
            only_child(id).or_else(|| outer.try_wait().ok().flatten().map(|_| 0))
        })?;
        Ok(Self { name: name.into(), outer, pid, log })
    }

    /// Its number as this process sees it; 0 when it ended at once.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The file that holds its output.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Sends a signal to it and to nobody else.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if self.pid == 0 {
            return Ok(());
        }
        kill(Pid::from_raw(self.pid), signal).with_context(|| format!("{signal} to {}", self.name))?;
        // nsenter stops with the process that it waits for, but does not go on with it.
        if signal == Signal::SIGCONT {
            kill(Pid::from_raw(self.outer.id().try_into()?), signal).context("nsenter")?;
        }
        Ok(())
    }

    /// Waits for its end.
    pub fn wait(&mut self, bound: Duration) -> Result<ExitStatus> {
        let Self { name, outer, .. } = self;
        wait::until(&format!("{name} ends"), bound, || outer.try_wait().ok().flatten())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.outer.try_wait(), Ok(None)) {
            let _ = self.signal(Signal::SIGKILL);
            let _ = self.outer.kill();
        }
        let _ = self.outer.wait();
    }
}

/// The number of the only child of a process.
pub(crate) fn only_child(parent: u32) -> Option<i32> {
    children(i32::try_from(parent).ok()?).into_iter().next()
}

/// The numbers of the children of a process.
pub fn children(parent: i32) -> Vec<i32> {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    children.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect()
}
