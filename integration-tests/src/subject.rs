//! What is tested: our daemons, or with `SUBJECT=theirs` the ones they replace, so that the same test speaks for both.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Whose programs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// proxyd and vrrpd of this workspace.
    Ours,
    /// haproxy and keepalived as installed.
    Theirs,
}

impl Subject {
    /// From the environment variable `SUBJECT`: `ours` (default) or `theirs`.
    pub fn from_env() -> Self {
        match std::env::var("SUBJECT").as_deref() {
            Ok("theirs") => Self::Theirs,
            _ => Self::Ours,
        }
    }

    /// The load balancer.
    pub fn proxy(self) -> Result<PathBuf> {
        match self {
            Self::Ours => built("proxyd"),
            Self::Theirs => installed("haproxy"),
        }
    }

    /// The VRRP speaker.
    pub fn vrrp(self) -> Result<PathBuf> {
        match self {
            Self::Ours => built("vrrpd"),
            Self::Theirs => installed("keepalived"),
        }
    }
}

/// A program of this workspace: built beside the one that runs now.
fn built(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe().context("where am I?")?;
    let found = here.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} is not built: run `cargo build --workspace` with the same profile first"))
}

fn installed(name: &str) -> Result<PathBuf> {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/sbin", "/bin"];
    let Some(path) = folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file()) else {
        bail!("{name} is not installed: apt-get install {name}");
    };
    Ok(path)
}
