//! What one VRRP process leaves to the next: who was master, and when that was last known.
//!
//! It is in a file beside the pid file of the VRRP process. A process that is killed does not come to say goodbye, so this
//! is written while it lives: at every change of a state, and a few times a second to say that it is alive. The next
//! process may be one of the same parent, or that of another daemon, started after all processes of this one were killed.

use crate::log::PROCESS;
use crate::router::Router;
use crate::sys;
use crate::vrrp::{Instance, Phase};
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often it says that it is alive.
const EVERY: Duration = Duration::from_millis(50);
/// Digits of the time, so that it can be written without the rest.
const TIME_DIGITS: usize = 20;
/// More than the names of all instances that there can be.
const SIZE_MAX: u64 = 16 * 1024 * 1024;

/// Names the start of the host: times of another one mean nothing.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Opens the file that belongs to a pid file. Where that cannot be trusted or made, one without a name serves, which only
/// processes of one parent know.
pub(super) fn open(pid_file: &Path) -> io::Result<File> {
    let path = path(pid_file);
    open_own(&path).or_else(|error| {
        let path = path.display();
        tracing::warn!(target: PROCESS, "cannot use {path}: {error}; when all processes are killed, a new start begins as BACKUP");
        sys::memory_file()
    })
}

/// Removes it: the daemon ended in good order, and leaves nothing to the next one.
pub(super) fn remove(pid_file: &Path) {
    let path = path(pid_file);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(target: PROCESS, "cannot remove {}: {error}", path.display());
        }
        Ok(()) | Err(_) => {}
    }
}

fn path(pid_file: &Path) -> PathBuf {
    pid_file.with_extension("masters")
}

/// A regular file that nobody else can write.
fn open_own(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let file = options.open(path)?;
    let found = file.metadata()?;
    let own = found.is_file() && found.uid() == nix::unistd::geteuid().as_raw() && found.mode() & 0o022 == 0;
    if own { Ok(file) } else { Err(io::Error::other("somebody else may write it")) }
}

fn boot_id() -> String {
    std::fs::read_to_string(BOOT_ID).unwrap_or_default().trim().to_owned()
}

/// The file, and when it was last written.
#[derive(Debug)]
pub(super) struct Memory {
    file: File,
    boot_id: String,
    written: Option<Instant>,
    failing: bool,
}

impl Memory {
    pub(super) fn new(file: File) -> Self {
        Self { file, boot_id: boot_id(), written: None, failing: false }
    }

    /// Writes what is to be known. `now_usec` is the clock that all processes of the host share.
    pub(super) fn note(&mut self, now: Instant, now_usec: u64, router: &Router, changed: bool) {
        let due = self.written.is_none_or(|at| now.saturating_duration_since(at) >= EVERY);
        if !due && !changed {
            return;
        }
        self.written = Some(now);
        let mut text = format!("{now_usec:0TIME_DIGITS$}\n");
        let result = if changed {
            text.push_str(&self.boot_id);
            text.push('\n');
            for name in masters(router) {
                text.push_str(name);
                text.push('\n');
            }
            let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
            self.file.write_all_at(text.as_bytes(), 0).and_then(|()| self.file.set_len(length))
        } else {
            self.file.write_all_at(text.as_bytes(), 0)
        };
        match result {
            Ok(()) => self.failing = false,
            Err(error) if !self.failing => {
                self.failing = true;
                tracing::warn!(target: PROCESS, "a process that replaces this one will not know its states: {error}");
            }
            Err(_) => {}
        }
    }

    /// A daemon that ends in good order has given everything up.
    pub(super) fn forget(&self) {
        if let Err(error) = self.file.set_len(0) {
            tracing::warn!(target: PROCESS, "a daemon that is started next may believe that it is master: {error}");
        }
    }

    /// The instances that may go on as masters: their adverts are not missed yet.
    pub(super) fn masters(&self, now_usec: u64, router: &Router) -> HashSet<String> {
        let Ok((noted, names)) = self.read() else { return HashSet::new() };
        let Some(age) = now_usec.checked_sub(noted).map(Duration::from_micros) else { return HashSet::new() };
        let fresh = router.instances().map(Instance::settings).filter(|settings| {
            names.contains(&settings.name)
                && age < settings.advert_interval * u32::from(settings.down_timer_adverts.saturating_sub(1))
        });
        fresh.map(|settings| settings.name.clone()).collect()
    }

    fn read(&self) -> io::Result<(u64, HashSet<String>)> {
        let length = self.file.metadata()?.len().min(SIZE_MAX);
        let mut text = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file.read_exact_at(&mut text, 0)?;
        let text = String::from_utf8_lossy(&text);
        let mut lines = text.lines();
        let time = lines.next().and_then(|line| line.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        if lines.next() != Some(&self.boot_id) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok((time, lines.map(str::to_owned).collect()))
    }
}

fn masters(router: &Router) -> impl Iterator<Item = &str> {
    let masters = router.instances().filter(|instance| instance.phase() == Phase::Master);
    masters.map(|instance| instance.settings().name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::tests::plan;
    use crate::router::{Input, Outputs, interface::Interface};
    use crate::vrrp::Phase;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn masters_go_on_while_nobody_misses_them() {
        let now = crate::clock::now();
        let (_, mut router) = plan(include_str!("../../tests/dump/example.conf"));
        let mut memory = Memory::new(crate::sys::memory_file().unwrap());
        assert!(memory.masters(0, &router).is_empty(), "nothing was noted");
        for (index, name) in [(2, "eth0"), (3, "eth1")] {
            let addresses = vec!["192.0.2.11".parse().unwrap(), "fe80::1".parse().unwrap()];
            let interface = Interface { name: name.into(), index, running: true, addresses };
            router.handle(now, Input::Interface(interface), &mut Outputs::new());
        }
        router.handle(now, Input::Resume(["VI_1", "VI_2"].map(str::to_owned).into()), &mut Outputs::new());
        let phases: Vec<Phase> = router.instances().map(Instance::phase).collect();
        assert_eq!(phases, [Phase::Master, Phase::Master, Phase::Backup]);
        memory.note(now, 1_000_000, &router, true);
        // One second and half a second between adverts, of which one may still be missed after this.
        let after = |usec: u64| {
            let mut names: Vec<_> = memory.masters(1_000_000 + usec, &router).into_iter().collect();
            names.sort();
            names
        };
        assert_eq!(after(900_000), ["VI_1", "VI_2"]);
        assert_eq!(after(1_100_000), ["VI_1"]);
        assert_eq!(after(2_000_000), [""; 0]);
        let mut memory = Memory::new(memory.file.try_clone().unwrap());
        memory.note(now, 3_000_000, &router, false);
        assert_eq!(memory.masters(3_000_000, &router).len(), 2, "the time alone was written");
        assert!(memory.masters(2_999_999, &router).is_empty(), "that was not this start of the host");
        let other = Memory { boot_id: "another start".to_owned(), ..Memory::new(memory.file.try_clone().unwrap()) };
        assert!(other.masters(3_000_000, &router).is_empty(), "nor was that");
        memory.forget();
        assert!(memory.masters(3_000_000, &router).is_empty(), "it ended in good order");
    }

    #[test]
    fn a_file_that_others_may_write_is_not_believed() {
        let folder = std::env::temp_dir().join(format!("vrrpd-memory-test-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let pid_file = folder.join("vrrp.pid");
        let place = folder.join("vrrp.masters");
        drop(open(&pid_file).unwrap());
        assert!(place.exists());
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o622)).unwrap();
        assert!(open_own(&place).is_err());
        open(&pid_file).unwrap().write_all_at(b"x", 0).unwrap();
        assert_eq!(std::fs::read(&place).unwrap(), b"", "another file serves");
        remove(&pid_file);
        remove(&pid_file);
        std::os::unix::fs::symlink("elsewhere", &place).unwrap();
        assert!(open_own(&place).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
