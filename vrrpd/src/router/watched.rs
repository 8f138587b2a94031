//! What each tracker has found and what that does to an instance, for those who ask.

use super::Router;
use crate::track::file::File;
use crate::track::process::Process;
use crate::track::script::Script;
use crate::track::{Health, Reference, References, Share, share};

/// One tracker of an instance, its own or its group's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// `interface`, `script`, `file` or `process`; empty for what nothing watches.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Zero: failure is a fault.
    pub weight: i32,
    /// `reverse`
    pub reverse: bool,
    /// The group that lists it, if not the instance itself.
    pub group: Option<String>,
    /// What it has found, for people.
    pub finding: String,
    /// What that does.
    pub share: Share,
    /// Why it can find nothing, if it cannot.
    pub trouble: Option<String>,
}

/// What a tracker has found: for people, what it does, and why it could not find anything.
type Finding = (String, Share, Option<String>);

impl Router {
    /// What the instance at this place watches.
    pub fn watched(&self, place: usize) -> Vec<Watched> {
        let Some(member) = self.members.get(place) else { return Vec::new() };
        let mut watched = self.list(&member.machine.settings().track, None);
        for group in self.groups.iter().filter(|group| group.members.contains(&place)) {
            watched.extend(self.list(&group.settings.track, Some(&group.settings.sync.name)));
        }
        watched
    }

    fn list(&self, track: &References, group: Option<&str>) -> Vec<Watched> {
        let group = group.map(str::to_owned);
        let entry = |kind, track: &Reference, (finding, share, trouble): Finding| Watched {
            kind,
            name: track.name.clone(),
            weight: track.weight.into(),
            reverse: track.reverse,
            group: group.clone(),
            finding,
            share,
            trouble,
        };
        let interfaces = track.interfaces.iter().map(|track| entry("interface", track, self.of_interface(track)));
        let scripts = track.scripts.iter().map(|track| entry("script", track, self.of_script(track)));
        let files = track.files.iter().map(|track| entry("file", track, self.of_file(track)));
        let processes = track.processes.iter().map(|track| entry("process", track, self.of_process(track)));
        let lost = track.unwatched.iter().map(|lost| {
            let finding = ("is not watched".to_owned(), Share::Priority(0), Some(lost.why.clone()));
            entry("", &Reference::new(&lost.what), finding)
        });
        interfaces.chain(scripts).chain(files).chain(processes).chain(lost).collect()
    }

    fn of_interface(&self, track: &Reference) -> Finding {
        let (health, finding) = match self.interfaces.get(&track.name).map(|known| known.running) {
            Some(true) => (Health::Up, "is up"),
            Some(false) => (Health::Down, "is down"),
            None => (Health::Down, "does not exist"),
        };
        (finding.to_owned(), share(track.weight, track.reverse, health), None)
    }

    fn of_script(&self, track: &Reference) -> Finding {
        let script = self.scripts().find(|script| script.settings().name == track.name);
        let health = script.map_or(Health::Unknown, Script::health);
        let finding = match health {
            Health::Unknown => "has not ended yet",
            Health::Up => "succeeds",
            Health::Down => "fails",
        };
        let trouble = script.and_then(Script::trouble).map(str::to_owned);
        (finding.to_owned(), share(track.weight, track.reverse, health), trouble)
    }

    fn of_file(&self, track: &Reference) -> Finding {
        let file = self.files().find(|file| file.settings().name == track.name);
        let finding = format!("holds {}", file.map_or(0, File::value));
        (finding, self.trackers.file_share(track), file.and_then(File::trouble).map(str::to_owned))
    }

    fn of_process(&self, track: &Reference) -> Finding {
        let process = self.processes().find(|process| process.settings().name == track.name);
        let finding = match process.and_then(Process::count) {
            Some(1) => "runs once".to_owned(),
            Some(count) => format!("runs {count} times"),
            None => "is not counted yet".to_owned(),
        };
        (finding, self.trackers.process_share(track), None)
    }
}
