//! The network namespace that the daemon runs in, and the mount namespace that comes with it.
//!
//! In the latter `/run/keepalived` is a folder of the network namespace's own, `/run/keepalived/NAME` to everybody else,
//! so that the daemons of several namespaces do not meet in their pid files. Scripts inherit both namespaces.

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::{DirBuilder, File, remove_dir};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Where pid files are that do not stand in `/run` itself.
pub const RUN_FOLDER: &str = "/run/keepalived";
/// Where `ip netns` keeps its names.
const NAMES: &str = "/run/netns";

/// Why a namespace cannot be entered; each is a line for the log.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// It is part of the name of a file and of a folder.
    #[error("'{0}' is not the name of a network namespace: it has to be the name of a file in {NAMES}")]
    Name(String),
    /// The first part is keepalived's.
    #[error("Failed to open {NAMES}/{name}: {error}; `ip netns add {name}` makes it")]
    Open {
        /// Of the namespace.
        name: String,
        /// What the kernel says.
        error: io::Error,
    },
    /// Most often the capability is missing.
    #[error("cannot enter network namespace {name}: {error}; it needs root, or CAP_SYS_ADMIN")]
    Enter {
        /// Of the namespace.
        name: String,
        /// What the kernel says.
        error: io::Error,
    },
    /// The mounts.
    #[error("cannot give network namespace {name} a {RUN_FOLDER} of its own: {error}")]
    Mount {
        /// Of the namespace.
        name: String,
        /// What the kernel says.
        error: io::Error,
    },
}

/// Enters a network namespace. Call it before any thread is started: it is the calling thread that enters.
pub fn enter(name: &str) -> Result<(), EnterError> {
    let is_file_name = Path::new(name).file_name().is_some_and(|file| file == name);
    if !is_file_name {
        return Err(EnterError::Name(name.to_owned()));
    }
    let open = |error| EnterError::Open { name: name.to_owned(), error };
    let file = File::open(Path::new(NAMES).join(name)).map_err(open)?;
    let failed = |error: nix::Error| EnterError::Enter { name: name.to_owned(), error: error.into() };
    setns(file, CloneFlags::CLONE_NEWNET).map_err(failed)
}

/// Makes `/run/keepalived` what it is in this network namespace. What others mount later is still seen here.
pub fn own_run_folder(name: &str) -> Result<(), EnterError> {
    let failed = |error| EnterError::Mount { name: name.to_owned(), error };
    let folder = folder(name);
    DirBuilder::new().recursive(true).mode(0o755).create(&folder).map_err(failed)?;
    let nothing = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_SLAVE, nothing))
        .and_then(|()| mount(Some(&folder), RUN_FOLDER, nothing, MsFlags::MS_BIND, nothing))
        .map_err(|error| failed(error.into()))
}

/// Removes the folder of the namespace at the end of the daemon, unless another daemon uses it.
pub(super) fn leave(name: &str) {
    if let Err(error) = umount2(RUN_FOLDER, MntFlags::MNT_DETACH) {
        tracing::debug!("cannot unmount {RUN_FOLDER}: {error}");
        return;
    }
    remove_if_empty(&folder(name));
    remove_if_empty(Path::new(RUN_FOLDER));
}

/// Removes a folder of pid files; one that is in use stays.
pub(super) fn remove_if_empty(folder: &Path) {
    if let Err(error) = remove_dir(folder) {
        tracing::debug!("{} stays: {error}", folder.display());
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(RUN_FOLDER).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_a_file_is_a_name() {
        for name in ["", ".", "..", "a/b", "../x", "/x", "a/"] {
            assert!(matches!(enter(name), Err(EnterError::Name(_))), "{name:?}");
        }
        let error = enter("vrrpd-has-no-such-namespace").unwrap_err();
        assert!(matches!(error, EnterError::Open { .. }), "{error}");
        let begin = "Failed to open /run/netns/vrrpd-has-no-such-namespace: ";
        assert!(error.to_string().starts_with(begin), "{error}");
    }
}
