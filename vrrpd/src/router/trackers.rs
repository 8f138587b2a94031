//! The scripts, files and processes of the router: each once, however many instances refer to it.

use super::interface::Interfaces;
use super::{Output, Outputs, Settings};
use crate::track::file::{self, File, Reading};
use crate::track::process::Process;
use crate::track::script::{Action, Outcome, Script};
use crate::track::{Health, Reference, References, Share, share};
use crate::vrrp::Level;
use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

/// All of them, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Trackers {
    scripts: BTreeMap<String, Script>,
    files: BTreeMap<String, File>,
    processes: BTreeMap<String, Process>,
}

impl Trackers {
    /// From settings of which those that nobody uses are dropped.
    pub(super) fn new(settings: &mut Settings) -> Self {
        let mut trackers = Self::default();
        trackers.reload(settings, &mut Outputs::new());
        trackers
    }

    pub(super) fn scripts(&self) -> impl Iterator<Item = &Script> {
        self.scripts.values()
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.values()
    }

    pub(super) fn processes(&self) -> impl Iterator<Item = &Process> {
        self.processes.values()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let scripts = self.scripts.values().filter_map(Script::next_deadline);
        scripts.chain(self.processes.values().filter_map(Process::next_deadline)).min()
    }

    /// Runs every script that has not run yet.
    pub(super) fn start(&mut self, now: Instant, out: &mut Outputs) {
        for (name, script) in &mut self.scripts {
            if script.next_deadline().is_none() && !script.is_running() {
                let mut actions = Vec::new();
                script.start(now, &mut actions);
                push_actions(name, script, actions, out);
            }
        }
    }

    /// Time has passed; whether anything changed by it.
    pub(super) fn time(&mut self, now: Instant, out: &mut Outputs) -> bool {
        let mut changed = false;
        for (name, script) in &mut self.scripts {
            if script.next_deadline().is_some_and(|due| due <= now) {
                changed |= drive(name, script, out, |script, actions| script.time(now, actions));
            }
        }
        for process in self.processes.values_mut() {
            if process.next_deadline().is_some_and(|due| due <= now) {
                changed = true;
                out.extend(process.time(now).map(|(level, line)| Output::Log(level, line)));
            }
        }
        changed
    }

    /// A run ended; whether the script's health changed.
    pub(super) fn script_finished(&mut self, name: &str, outcome: &Outcome, out: &mut Outputs) -> bool {
        let Some(script) = self.scripts.get_mut(name) else { return false };
        drive(name, script, out, |script, actions| script.finished(outcome, actions))
    }

    pub(super) fn file_read(&mut self, name: &str, reading: Reading, out: &mut Outputs) {
        let line = self.files.get_mut(name).and_then(|file| file.read(reading));
        out.extend(line.map(|line| Output::Log(Level::Warning, line)));
    }

    pub(super) fn processes_counted(&mut self, now: Instant, name: &str, count: u32, out: &mut Outputs) {
        let line = self.processes.get_mut(name).and_then(|process| process.counted(now, count));
        out.extend(line.map(|(level, line)| Output::Log(level, line)));
    }

    /// What keeps its name keeps what is known about it. Settings that nobody refers to are dropped.
    pub(super) fn reload(&mut self, settings: &mut Settings, out: &mut Outputs) {
        drop_unused(settings);
        let mut old = std::mem::take(&mut self.scripts);
        for script in settings.scripts.drain(..) {
            let name = script.name.clone();
            let entry = match old.remove(&name) {
                Some(mut known) => {
                    let mut actions = Vec::new();
                    known.reload(script, &mut actions);
                    push_actions(&name, &known, actions, out);
                    known
                }
                None => Script::new(script),
            };
            self.scripts.insert(name, entry);
        }
        out.extend(old.into_iter().filter(|(_, s)| s.is_running()).map(|(name, _)| Output::TerminateScript(name)));
        let mut old = std::mem::take(&mut self.files);
        for file in settings.files.drain(..) {
            let mut entry = old.remove(&file.name).unwrap_or_else(|| File::new(file.clone()));
            entry.reload(file.clone());
            self.files.insert(file.name, entry);
        }
        let mut old = std::mem::take(&mut self.processes);
        for process in settings.processes.drain(..) {
            let mut entry = old.remove(&process.name).unwrap_or_else(|| Process::new(process.clone()));
            entry.reload(process.clone());
            self.processes.insert(process.name, entry);
        }
    }

    /// Ends what is running.
    pub(super) fn stop(&self, out: &mut Outputs) {
        let running = self.scripts.iter().filter(|(_, script)| script.is_running());
        out.extend(running.map(|(name, _)| Output::TerminateScript(name.clone())));
    }

    /// What each reference contributes, in the order interfaces, scripts, files, processes.
    pub(super) fn shares(&self, track: &References, interfaces: &Interfaces) -> impl Iterator<Item = Share> {
        let of_interfaces = track.interfaces.iter().map(|track| {
            let running = interfaces.get(&track.name).is_some_and(|known| known.running);
            share(track.weight, track.reverse, if running { Health::Up } else { Health::Down })
        });
        let of_scripts = track.scripts.iter().map(|track| {
            let health = self.scripts.get(&track.name).map_or(Health::Unknown, Script::health);
            share(track.weight, track.reverse, health)
        });
        let of_files = track.files.iter().map(|track| self.file_share(track));
        let of_processes = track.processes.iter().map(|track| self.process_share(track));
        of_interfaces.chain(of_scripts).chain(of_files).chain(of_processes)
    }

    pub(super) fn file_share(&self, track: &Reference) -> Share {
        file::share(track.weight, track.reverse, self.files.get(&track.name).map_or(0, File::value))
    }

    pub(super) fn process_share(&self, track: &Reference) -> Share {
        let health = self.processes.get(&track.name).map_or(Health::Unknown, Process::health);
        share(track.weight, track.reverse, health)
    }
}

fn drop_unused(settings: &mut Settings) {
    let of_instances = settings.instances.iter().map(|instance| &instance.vrrp.track);
    let all: Vec<&References> = of_instances.chain(settings.groups.iter().map(|group| &group.track)).collect();
    let names = |list: fn(&References) -> &Vec<Reference>| -> HashSet<String> {
        all.iter().flat_map(|track| list(track)).map(|track| track.name.clone()).collect()
    };
    let (scripts, files) = (names(|track| &track.scripts), names(|track| &track.files));
    let processes = names(|track| &track.processes);
    settings.scripts.retain(|script| scripts.contains(&script.name));
    settings.files.retain(|file| files.contains(&file.name));
    settings.processes.retain(|process| processes.contains(&process.name));
}

/// Lets a script act; whether its health changed.
fn drive<F>(name: &str, script: &mut Script, out: &mut Outputs, act: F) -> bool
where
    F: FnOnce(&mut Script, &mut Vec<Action>),
{
    let before = script.health();
    let mut actions = Vec::new();
    act(script, &mut actions);
    let changed = script.health() != before;
    push_actions(name, script, actions, out);
    changed
}

fn push_actions(name: &str, script: &Script, actions: Vec<Action>, out: &mut Outputs) {
    for action in actions {
        out.push(match action {
            Action::Run => Output::RunScript { script: name.to_owned(), command: script.settings().command.clone() },
            Action::Terminate => Output::TerminateScript(name.to_owned()),
            Action::Kill => Output::KillScript(name.to_owned()),
            Action::Log(level, line) => Output::Log(level, line),
        });
    }
}
