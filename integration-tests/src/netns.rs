//! Network namespaces without names: an open file keeps one alive, and nothing is left when it closes.

use anyhow::{Context, Result, anyhow, bail};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::Arc;

/// A network namespace.
#[derive(Clone, Debug)]
pub struct Netns {
    file: Arc<File>,
}

impl Netns {
    /// A new one, with its loopback device up.
    pub fn new() -> Result<Self> {
        let make = || -> Result<File> {
            unshare(CloneFlags::CLONE_NEWNET)
                .context("a network namespace needs root (or an unprivileged user namespace)")?;
            File::open("/proc/thread-self/ns/net").context("/proc/thread-self/ns/net")
        };
        let file =
            std::thread::spawn(make).join().map_err(|_| anyhow!("the thread of the new namespace panicked"))??;
        let netns = Self { file: Arc::new(file) };
        netns.ip("link set lo up")?;
        Ok(netns)
    }

    /// A path by which other programs can enter it as long as this process lives.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// A command that runs inside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path())).arg("--").arg(program);
        command
    }

    /// Runs `ip` inside; `arguments` are split at blanks.
    pub fn ip(&self, arguments: &str) -> Result<String> {
        run(self.command("ip").args(arguments.split_ascii_whitespace()))
    }

    /// Calls `task` on a thread of its own that is inside the namespace, and returns the thread.
    pub fn spawn<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> T + Send + 'static,
    ) -> std::thread::JoinHandle<Result<T>> {
        let file = Arc::clone(&self.file);
        std::thread::spawn(move || {
            setns(file.as_ref(), CloneFlags::CLONE_NEWNET).context("setns")?;
            Ok(task())
        })
    }

    /// Calls `task` inside the namespace and waits for it.
    pub fn within<T: Send + 'static>(&self, task: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        self.spawn(task).join().map_err(|_| anyhow!("a task inside a namespace panicked"))?
    }
}

/// Runs a command to its end and returns what it printed; an error with its standard error when it failed.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
