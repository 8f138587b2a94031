//! What one VRRP process leaves to the next: who was master, and when that was last known.
//!
//! It is in a file without a name that the parent keeps open. A process that is killed does not come to say goodbye, so
//! this is written while it lives: at every change of a state, and a few times a second to say that it is alive.

use crate::log::PROCESS;
use crate::router::Router;
use crate::vrrp::{Instance, Phase};
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// How often it says that it is alive.
const EVERY: Duration = Duration::from_millis(50);
/// Digits of the time, so that it can be written without the rest.
const TIME_DIGITS: usize = 20;
/// More than the names of all instances that there can be.
const SIZE_MAX: u64 = 16 * 1024 * 1024;

/// The file, and when it was last written.
#[derive(Debug)]
pub(super) struct Memory {
    file: File,
    written: Option<Instant>,
    failing: bool,
}

impl Memory {
    pub(super) fn new(file: File) -> Self {
        Self { file, written: None, failing: false }
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

    /// The instances that may go on as masters: their adverts are not missed yet.
    pub(super) fn masters(&self, now_usec: u64, router: &Router) -> HashSet<String> {
        let Ok((noted, names)) = self.read() else { return HashSet::new() };
        let age = Duration::from_micros(now_usec.saturating_sub(noted));
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
    }
}
