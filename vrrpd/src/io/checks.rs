//! What watches on behalf of the trackers: check scripts that run, files and processes that are looked at.

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
    files: (Vec<file::Settings>, Option<track_file::Watcher>),
    processes: (Vec<process::Settings>, Option<track_process::Watcher>),
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

    /// Watches what the router wants watched by now. Answers with a first look at what is new.
    pub async fn watch(&mut self, router: &Router) -> Vec<Event> {
        let mut seen = Vec::new();
        let files: Vec<_> = router.files().map(|file| file.settings().clone()).collect();
        if files != self.files.0 {
            let known = &self.files.0;
            track_file::initialise(files.iter().filter(|file| !known.contains(file)), !self.started);
            seen.extend(track_file::first_look(files.clone()).await);
            let watcher = (!files.is_empty()).then(|| track_file::Watcher::start(files.clone(), self.events.clone()));
            self.files = (files, watcher);
        }
        let processes: Vec<_> = router.processes().map(|process| process.settings().clone()).collect();
        if processes != self.processes.0 {
            seen.extend(track_process::first_look(processes.clone()).await);
            let start = || track_process::Watcher::start(processes.clone(), self.events.clone());
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
