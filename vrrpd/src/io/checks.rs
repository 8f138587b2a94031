//! What watches on behalf of the trackers: check scripts that run, files and processes that are looked at.

use super::background::Background;
use super::{Event, script, track_file, track_process};
use crate::command::Command;
use crate::router::Router;
use crate::track::script::Outcome;
use crate::track::{file, process};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// All of them.
#[derive(Debug)]
pub struct Checks {
    running: HashMap<String, Run>,
    files: (Vec<file::Settings>, Option<Background>),
    processes: (Vec<process::Settings>, Option<Background>),
    started: bool,
    events: mpsc::Sender<Event>,
}

/// A run of a script.
#[derive(Debug)]
struct Run {
    group: Pid,
    /// It was told to end: nothing of its process group is to survive it.
    ended: Arc<AtomicBool>,
}

impl Checks {
    /// Nothing is watched yet; what is seen will go to `events`.
    pub fn new(events: mpsc::Sender<Event>) -> Self {
        let (files, processes) = ((Vec::new(), None), (Vec::new(), None));
        Self { running: HashMap::new(), files, processes, started: false, events }
    }

    /// Watches what the router wants watched by now. At the start it answers with a first look; later that comes as events,
    /// since the election does not wait for a slow file system.
    pub async fn watch(&mut self, router: &Router) -> Vec<Event> {
        let mut seen = Vec::new();
        let files: Vec<_> = router.files().map(|file| file.settings().clone()).collect();
        if files != self.files.0 {
            let known = &self.files.0;
            track_file::initialise(files.iter().filter(|file| !known.contains(file)), !self.started);
            if !self.started {
                seen.extend(track_file::first_look(files.clone()).await);
            }
            let watcher = (!files.is_empty()).then(|| track_file::watch(files.clone(), self.events.clone()));
            self.files = (files, watcher);
        }
        let processes: Vec<_> = router.processes().map(|process| process.settings().clone()).collect();
        if processes != self.processes.0 {
            if !self.started {
                seen.extend(track_process::first_look(processes.clone()).await);
            }
            let start = || track_process::watch(processes.clone(), self.events.clone());
            let watcher = (!processes.is_empty()).then(start);
            self.processes = (processes, watcher);
        }
        self.started = true;
        seen
    }

    /// Starts a script; its end comes back as an event.
    pub fn run(&mut self, name: String, command: &Command) {
        let (events, ended) = (self.events.clone(), Arc::new(AtomicBool::new(false)));
        let started = script::start(command);
        if let Ok(running) = &started
            && let Some(group) = running.group()
        {
            self.running.insert(name.clone(), Run { group, ended: Arc::clone(&ended) });
        }
        // Not waited for here: the loop that reads the events is the one that waits for us.
        tokio::spawn(async move {
            let outcome = match started {
                Ok(running) => {
                    let group = running.group();
                    let outcome = running.outcome().await;
                    if let Some(group) = group.filter(|_| ended.load(Ordering::Acquire)) {
                        script::signal(group, Signal::SIGKILL);
                    }
                    outcome
                }
                Err(error) => Outcome::CannotRun(error.to_string()),
            };
            // The receiver is gone only when the daemon is.
            let _sent = events.send(Event::Script { script: name, outcome }).await;
        });
    }

    /// Signals a script and everything it has started.
    pub fn signal(&mut self, name: &str, signal: Signal) {
        if let Some(run) = self.running.get(name) {
            run.ended.store(true, Ordering::Release);
            script::signal(run.group, signal);
        }
    }

    /// Forgets the process of a script that has ended: its number may be another's soon.
    pub fn ended(&mut self, name: &str) {
        self.running.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::command::User;
    use nix::errno::Errno;
    use nix::sys::signal::killpg;
    use nix::unistd::{Gid, Uid};
    use std::time::Duration;

    const LIMIT: Duration = Duration::from_secs(20);

    fn shell(line: &str) -> Command {
        let user = User { uid: Uid::effective().as_raw(), gid: Gid::effective().as_raw() };
        Command { user, ..Command::exec(["/bin/sh", "-c", line]) }
    }

    struct Bench {
        checks: Checks,
        events: mpsc::Receiver<Event>,
    }

    impl Bench {
        fn new() -> Self {
            let (sender, events) = mpsc::channel(8);
            Self { checks: Checks::new(sender), events }
        }

        fn start(&mut self, command: &Command) -> Option<Pid> {
            self.checks.run("chk".to_owned(), command);
            self.checks.running.get("chk").map(|run| run.group)
        }

        async fn outcome(&mut self) -> Outcome {
            let event = tokio::time::timeout(LIMIT, self.events.recv()).await.unwrap().unwrap();
            let Event::Script { outcome, .. } = event else { panic!("{event:?}") };
            self.checks.ended("chk");
            outcome
        }
    }

    /// Killed processes are gone a moment later, once init has buried them.
    async fn gone(group: Pid) {
        let until = clock::now() + LIMIT;
        while killpg(group, None) != Err(Errno::ESRCH) {
            assert!(clock::now() < until, "a process of the group is left");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn every_end_is_told() {
        let mut bench = Bench::new();
        for (line, expected) in [
            ("exit 0", Outcome::Exited(0)),
            ("exit 3", Outcome::Exited(3)),
            ("kill -9 $$", Outcome::Signalled(9)),
            // More than any pipe holds, to both streams.
            ("head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; exit 4", Outcome::Exited(4)),
            // Nothing is to be had from standard input, and that is known at once.
            ("cat; exit 5", Outcome::Exited(5)),
        ] {
            bench.start(&shell(line));
            assert_eq!(bench.outcome().await, expected, "{line}");
        }
        bench.start(&Command { form: crate::command::Form::Exec(vec!["/nonexistent/x".to_owned()]), ..shell("") });
        assert!(matches!(bench.outcome().await, Outcome::CannotRun(_)));
    }

    #[tokio::test]
    async fn a_check_that_forks_ends_when_it_ends() {
        let mut bench = Bench::new();
        let group = bench.start(&shell("sleep 1000 & exit 0")).unwrap();
        assert_eq!(bench.outcome().await, Outcome::Exited(0));
        script::signal(group, Signal::SIGKILL);
        gone(group).await;
    }

    #[tokio::test]
    async fn one_that_is_ended_takes_its_children_along() {
        let mut bench = Bench::new();
        let ready = std::env::temp_dir().join(format!("vrrpd-checks-{}", std::process::id()));
        // The child heeds nothing; the check itself ends as it is told.
        let line = format!("(trap '' TERM; touch {0}; sleep 1000) & sleep 1000", ready.display());
        let group = bench.start(&shell(&line)).unwrap();
        let until = clock::now() + LIMIT;
        while !ready.exists() {
            assert!(clock::now() < until, "the child does not begin");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bench.checks.signal("chk", Signal::SIGTERM);
        assert_eq!(bench.outcome().await, Outcome::Signalled(15));
        gone(group).await;
        std::fs::remove_file(ready).unwrap();
    }

    #[tokio::test]
    async fn another_user_has_no_more_than_its_own_rights() {
        if !Uid::effective().is_root() {
            return;
        }
        let mut bench = Bench::new();
        // Nobody needs to be in the user database: what counts is the number.
        let stranger = User { uid: 54_321, gid: 54_322 };
        bench.start(&Command { user: stranger, ..shell("test $(id -u),$(id -g),\"$(id -G)\" = 54321,54322,54322") });
        assert_eq!(bench.outcome().await, Outcome::Exited(0), "no group of root's is left");
        bench.start(&Command { user: stranger, ..shell("test -r /etc/shadow") });
        assert_eq!(bench.outcome().await, Outcome::Exited(1));
    }
}
