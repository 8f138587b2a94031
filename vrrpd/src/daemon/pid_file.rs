//! Pid files: written for others to read, and read to see whether a daemon runs already.

use crate::log::PROCESS;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Names that a process of this daemon, or of the one it replaces, may have.
const DAEMON_NAMES: [&str; 3] = ["vrrpd", "keepalived", "keepalived_vrrp"];

/// A pid file of this process; it is removed when this is dropped.
#[derive(Debug)]
pub(super) struct PidFile(PathBuf);

impl PidFile {
    /// Writes the number of this process, and makes the folder that keepalived makes, too.
    pub(super) fn write(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            std::fs::DirBuilder::new().mode(0o755).create(folder)?;
        }
        std::fs::write(path, format!("{}\n", std::process::id()))?;
        // The umask is for dumps and scripts; this is for everybody to read.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // A successor may have written its own meanwhile.
        let own = std::fs::read_to_string(&self.0).is_ok_and(|text| text.trim() == std::process::id().to_string());
        if own && let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(target: PROCESS, "cannot remove pid file {}: {error}", self.0.display());
        }
    }
}

/// The daemon that a pid file names, if it still runs. The number may have become somebody else's since, most likely in
/// a container, and then it is no reason not to start.
pub(super) fn running_daemon(path: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(path).ok()?;
    let pid = text.trim().parse::<i32>().ok().filter(|pid| *pid > 0)?;
    let alive = !matches!(kill(Pid::from_raw(pid), None), Err(Errno::ESRCH));
    let ours = u32::try_from(pid).ok() == Some(std::process::id());
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    let own_name = std::fs::read_to_string("/proc/self/comm").unwrap_or_default();
    (alive && !ours && stat.is_ok_and(|stat| is_daemon(&stat, own_name.trim_end()))).then_some(pid)
}

/// Whether a line of `/proc/PID/stat` is that of a VRRP daemon that has not ended. `own_name` is what this one is called.
fn is_daemon(stat: &str, own_name: &str) -> bool {
    let Some((name, rest)) = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')) else { return false };
    let ended = matches!(rest.trim_start().chars().next(), Some('Z' | 'X') | None);
    (DAEMON_NAMES.contains(&name) || name == own_name) && !ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_counts_only_while_its_daemon_lives() {
        let path = std::env::temp_dir().join(format!("vrrpd-pid-test-{}", std::process::id()));
        // Process 1 lives, but it is not a VRRP daemon.
        let own = std::process::id().to_string();
        for text in ["1\n", "", "0", "-1", "x", "2147483646", &own] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(running_daemon(&path), None, "{text:?}");
        }
        std::fs::remove_file(&path).unwrap();
        for (stat, expected) in [
            ("14 (vrrpd) S 1 14 14 0", true),
            ("14 (keepalived) R 1 14 14 0", true),
            ("14 (vrrpd) Z 1 14 14 0", false),
            ("14 (bash) S 1 14 14 0", false),
            ("14 (other) S 1 14 14 0", true),
            ("14 (vrrpd) x) S 1", false),
            ("14", false),
        ] {
            assert_eq!(is_daemon(stat, "other"), expected, "{stat}");
        }
    }

    #[test]
    fn a_pid_file_goes_with_its_process_and_only_then() {
        let folder = std::env::temp_dir().join(format!("vrrpd-pid-folder-{}", std::process::id()));
        let path = folder.join("x.pid");
        let file = PidFile::write(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        std::fs::write(&path, "1\n").unwrap();
        drop(file);
        assert!(path.exists(), "it belongs to another process now");
        drop(PidFile::write(&path).unwrap());
        assert!(!path.exists());
        std::fs::remove_dir(&folder).unwrap();
    }
}
