//! What instances and groups watch: interfaces, scripts, files, processes, BFD sessions; and the blocks that define
//! files and processes. A name must be defined before it is used, as keepalived wants it.

use super::model::{
    BfdId, BfdInstance, FileId, GarpGroup, InterfaceDelay, ParamMatch, ProcessId, Script, ScriptId, Track, TrackRef,
    TrackedFile, TrackedProcess,
};
use super::{Draft, Lowering, block_end};
use shared_config::diagnostic::Diagnostic;
use shared_config::keepalived::ast::Statement;
use shared_config::suggest;
use shared_config::words::Word;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

/// What can be watched by name.
#[derive(Default)]
pub(super) struct Trackers {
    pub(super) scripts: Registry<Script>,
    pub(super) files: Registry<TrackedFile>,
    pub(super) processes: Registry<TrackedProcess>,
    pub(super) bfd: Registry<BfdInstance>,
}

/// Things of one kind in the order of definition, found by name. Of two with one name the first is found.
pub(super) struct Registry<T> {
    pub(super) items: Vec<T>,
    places: HashMap<String, usize>,
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self { items: Vec::new(), places: HashMap::new() }
    }
}

impl<T: Tracked> Registry<T> {
    pub(super) fn add(&mut self, item: T) {
        self.places.entry(item.name().to_owned()).or_insert(self.items.len());
        self.items.push(item);
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }
}

/// A thing with a weight of its own that a reference may override.
struct Weight {
    weight: i32,
    reverse: bool,
}

/// What the kinds of things have in common.
pub(super) trait Tracked {
    fn name(&self) -> &str;
    fn weight(&self) -> (i32, bool);
}

impl Tracked for Script {
    fn name(&self) -> &str {
        &self.name
    }

    fn weight(&self) -> (i32, bool) {
        (self.weight, self.reverse)
    }
}

impl Tracked for TrackedFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn weight(&self) -> (i32, bool) {
        (self.weight, self.reverse)
    }
}

impl Tracked for TrackedProcess {
    fn name(&self) -> &str {
        &self.name
    }

    fn weight(&self) -> (i32, bool) {
        (self.weight, self.reverse)
    }
}

impl Tracked for BfdInstance {
    fn name(&self) -> &str {
        &self.name
    }

    fn weight(&self) -> (i32, bool) {
        (self.weight, self.reverse)
    }
}

/// How many names are compared with one that is not known.
pub(super) const SUGGESTIONS_MAX: usize = 1000;

/// The words that differ between the kinds of references.
#[derive(Clone, Copy)]
struct Kind {
    /// `script`, as in "track script X not found".
    noun: &'static str,
    /// Keyword of the list.
    keyword: &'static str,
    weight_max: i64,
}

impl Lowering<'_> {
    /// One of the `track_*` lists. `owner` is the name of the instance or group; false if the word is none of them.
    pub(super) fn track_list(&mut self, list: &Statement, owner: &str, trackers: &Trackers, track: &mut Track) -> bool {
        let kind = |noun, keyword, weight_max| Kind { noun, keyword, weight_max };
        match list.name() {
            "track_interface" => self.track_interfaces(list, owner, &mut track.interfaces),
            "track_script" => {
                let found = self.references(
                    list,
                    owner,
                    kind("script", "track_script", 253),
                    &trackers.scripts,
                    &mut track.undefined,
                );
                merge(&mut track.scripts, found, ScriptId);
            }
            "track_file" => {
                let found = self.references(
                    list,
                    owner,
                    kind("file", "track_file", 254),
                    &trackers.files,
                    &mut track.undefined,
                );
                merge(&mut track.files, found, FileId);
            }
            "track_process" => {
                let found = self.references(
                    list,
                    owner,
                    kind("process", "track_process", 254),
                    &trackers.processes,
                    &mut track.undefined,
                );
                merge(&mut track.processes, found, ProcessId);
            }
            "track_bfd" => {
                let found =
                    self.references(list, owner, kind("bfd", "track_bfd", 253), &trackers.bfd, &mut track.undefined);
                merge(&mut track.bfd, found, BfdId);
            }
            _ => return false,
        }
        true
    }

    /// The lines of a list of names; each found name as its place in `known`.
    fn references<T: Tracked>(
        &mut self,
        list: &Statement,
        owner: &str,
        kind: Kind,
        known: &Registry<T>,
        undefined: &mut Vec<String>,
    ) -> Vec<(usize, TrackRef<()>)> {
        let mut found: Vec<(usize, TrackRef<()>)> = Vec::new();
        for line in list.statements() {
            let Some(name) = line.keyword() else { continue };
            let Some(place) = known.place(name.as_str()) else {
                let message = format!("({owner}) track {} {} not found, ignoring...", kind.noun, name.text);
                let mut diagnostic = Diagnostic::warning("not-found", name.span, message)
                    .label("this is not watched; it must be defined before it is used");
                let names = known.items.iter().map(Tracked::name).take(SUGGESTIONS_MAX);
                if let Some(near) = suggest::nearest(name.as_str(), names) {
                    diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                }
                self.report(diagnostic);
                undefined.push(format!("{} {}", kind.noun, name.text));
                continue;
            };
            if found.iter().any(|&(other, _)| other == place) {
                let message = format!("({owner}) duplicate {} {} - ignoring", kind.keyword, name.text);
                self.warn("duplicate", name.span, message);
                continue;
            }
            let (weight, reverse) = known.items[place].weight();
            let Weight { weight, reverse } = self.reference_options(line, owner, kind, Weight { weight, reverse });
            found.push((place, TrackRef { target: (), weight, reverse }));
        }
        found
    }

    /// `weight N [reverse|noreverse]` after the name.
    fn reference_options(&mut self, line: &Statement, owner: &str, kind: Kind, default: Weight) -> Weight {
        let mut named = default;
        let mut words = line.words.iter().skip(1);
        let name = line.name();
        while let Some(word) = words.next() {
            if word.as_str() != "weight" {
                let message = format!("({owner}) unknown track {} option {} - ignoring", kind.noun, word.text);
                self.report(
                    Diagnostic::warning("unknown-option", word.span, message).help("write one name on each line"),
                );
                break;
            }
            let Some(value) = words.next() else {
                let message =
                    format!("({owner}) weight without value specified for track {} {name} - ignoring", kind.noun);
                self.warn("missing-value", word.span, message);
                break;
            };
            let max = kind.weight_max;
            let consequence = format!(
                "({owner}) track {} {name}: weight must be between [-{max}..{max}] inclusive, ignoring...",
                kind.noun
            );
            if let Some(weight) = self.integer(value, -max..=max, &consequence) {
                named.weight = i32::try_from(weight).unwrap_or(0);
                named.reverse = false;
            }
            if let Some(option) = words.next() {
                match option.as_str() {
                    "reverse" => named.reverse = true,
                    "noreverse" | "no_reverse" => named.reverse = false,
                    other => {
                        let message = format!("({owner}) unknown track {} option {other} - ignoring", kind.noun);
                        self.warn("unknown-option", option.span, message);
                    }
                }
            }
        }
        named
    }

    fn track_interfaces(&mut self, list: &Statement, owner: &str, interfaces: &mut Vec<TrackRef<String>>) {
        for line in list.statements() {
            let Some(name) = line.keyword() else { continue };
            if !self.host.has_interface(name.as_str()) {
                self.warn(
                    "no-interface",
                    name.span,
                    format!("({owner}) tracked interface {} doesn't exist", name.text),
                );
            }
            if interfaces.iter().any(|known| known.target == name.as_str()) {
                self.warn(
                    "duplicate",
                    name.span,
                    format!("({owner}) duplicate track_interface {} - ignoring", name.text),
                );
                continue;
            }
            let mut reference = TrackRef { target: name.as_str().to_owned(), weight: 0, reverse: false };
            self.interface_options(line, owner, &mut reference);
            interfaces.push(reference);
        }
    }

    /// `weight N [reverse]` after the name of an interface.
    fn interface_options(&mut self, line: &Statement, owner: &str, reference: &mut TrackRef<String>) {
        let name = line.name();
        let Some(word) = line.argument(1) else { return };
        if word.as_str() != "weight" {
            let message = format!("({owner}) unknown track_interface {name} option {} - ignoring", word.text);
            self.warn("unknown-option", word.span, message);
            return;
        }
        let Some(value) = line.argument(2) else {
            let message = format!("({owner}) weight without value specified for track_interface {name} - ignoring");
            self.warn("missing-value", word.span, message);
            return;
        };
        let consequence =
            format!("({owner}) weight for track_interface {name} must be between [-253..253] inclusive. Ignoring...");
        let weight = self.integer(value, -253..=253, &consequence);
        reference.weight = weight.and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
        reference.reverse = line.argument(3).is_some_and(|word| word.as_str() == "reverse");
    }

    pub(super) fn track_file(&mut self, block: &Statement, draft: &mut Draft<'_>) {
        let Some(name) = self.block_name(block, "track_file must have a name") else { return };
        let name = name.as_str();
        let mut path = None;
        let mut file =
            TrackedFile { name: name.to_owned(), path: PathBuf::new(), weight: 1, reverse: false, init: None };
        for statement in block.statements() {
            match (statement.name(), statement.argument(1)) {
                ("file", Some(word)) => path = Some(PathBuf::from(word.as_str())),
                ("file", None) => self.warn("missing-value", statement.span, "track file file name missing"),
                ("weight", Some(word)) => {
                    let consequence = format!(
                        "Weight ({}) for track_file {name} must be between [-254..254] inclusive. Ignoring...",
                        word.text
                    );
                    if let Some(weight) = self.integer(word, -254..=254, &consequence) {
                        file.weight = i32::try_from(weight).unwrap_or(1);
                    }
                    if let Some(option) = statement.argument(2) {
                        file.reverse = option.as_str() == "reverse";
                        if !file.reverse {
                            let message = format!("track_file {name} unknown weight option {}", option.text);
                            self.warn("unknown-option", option.span, message);
                        }
                    }
                }
                ("weight", None) => {
                    let message = format!("No weight specified for track file {name} - ignoring");
                    self.warn("missing-value", statement.span, message);
                }
                ("init_file", _) => file.init = Some(self.init_file(statement)),
                _ => {}
            }
        }
        match path {
            Some(path) => draft.trackers.files.add(TrackedFile { path, ..file }),
            None => {
                self.warn("missing-value", block_end(block), format!("No file set for track_file {name} - ignoring"));
            }
        }
    }

    fn init_file(&mut self, statement: &Statement) -> (i64, bool) {
        let mut value = 0;
        let mut overwrite = false;
        for word in statement.words.iter().skip(1) {
            if word.as_str() == "overwrite" {
                overwrite = true;
            } else if let Ok(n) = word.as_str().parse::<i64>() {
                value = n;
            } else {
                self.warn("unknown-option", word.span, format!("Unknown track file init option {}", word.text));
            }
        }
        (value, overwrite)
    }

    pub(super) fn track_process(&mut self, block: &Statement, draft: &mut Draft<'_>) {
        let Some(name) = self.block_name(block, "vrrp_track_process must have a name") else { return };
        let name = name.as_str();
        let mut process = TrackedProcess {
            name: name.to_owned(),
            process: Vec::new(),
            param_match: ParamMatch::None,
            full_command: false,
            weight: 1,
            reverse: false,
            quorum: 1,
            quorum_max: None,
            fork_delay: Duration::ZERO,
            terminate_delay: Duration::ZERO,
        };
        for statement in block.statements() {
            self.process_setting(name, statement, &mut process);
        }
        if process.process.is_empty() {
            self.warn("missing-value", block_end(block), format!("track process '{name}' process name not specified"));
        } else {
            draft.trackers.processes.add(process);
        }
    }

    fn process_setting(&mut self, name: &str, statement: &Statement, process: &mut TrackedProcess) {
        let keyword = statement.name();
        let Some(word) = statement.argument(1) else {
            match keyword {
                "full_command" => process.full_command = true,
                "param_match" => process.param_match = ParamMatch::Exact,
                "weight" => {
                    let message = format!("No weight specified for track process {name} - ignoring");
                    self.warn("missing-value", statement.span, message);
                }
                _ => {}
            }
            return;
        };
        let text = word.as_str();
        let must = |what: &str, range: &str| {
            format!("{what} ({text}) for vrrp_track_process {name} must be between [{range}] inclusive. Ignoring...")
        };
        match keyword {
            "process" => process.process = statement.words[1..].iter().map(|word| word.as_str().to_owned()).collect(),
            "full_command" => process.full_command = true,
            "param_match" => match text {
                "initial" => process.param_match = ParamMatch::Initial,
                "partial" => process.param_match = ParamMatch::Partial,
                other => self.warn("unknown-option", word.span, format!("Invalid param_match type {other} - ignoring")),
            },
            "weight" => {
                if let Some(weight) = self.integer(word, -254..=254, &must("Weight", "-254..254")) {
                    process.weight = i32::try_from(weight).unwrap_or(1);
                }
                process.reverse = statement.argument(2).is_some_and(|word| word.as_str() == "reverse");
            }
            "quorum" => {
                let value = self.integer(word, 1..=65_535, &must("Quorum", "1..65535"));
                process.quorum = value.and_then(|n| u32::try_from(n).ok()).unwrap_or(process.quorum);
            }
            "quorum_max" => {
                let value = self.integer(word, 0..=65_535, &must("quorum_max", "0..65535"));
                process.quorum_max = value.and_then(|n| u32::try_from(n).ok());
            }
            "delay" | "fork_delay" | "terminate_delay" => {
                let delay = self.seconds(word, 1..=3_600_000_000, &must(keyword, "0.000001..3600"));
                if let Some(delay) = delay {
                    if keyword != "terminate_delay" {
                        process.fork_delay = delay;
                    }
                    if keyword != "fork_delay" {
                        process.terminate_delay = delay;
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) fn garp_group(&mut self, block: &Statement, draft: &mut Draft<'_>) {
        let mut group =
            GarpGroup { garp_interval: Duration::ZERO, gna_interval: Duration::ZERO, interfaces: Vec::new() };
        for statement in block.statements() {
            let keyword = statement.name();
            match (keyword, statement.argument(1)) {
                ("garp_interval" | "gna_interval", Some(word)) => {
                    let consequence = format!("{keyword} '{}' is invalid", word.text);
                    if let Some(interval) = self.seconds(word, 1..=4_294_967_295, &consequence) {
                        if keyword == "garp_interval" {
                            group.garp_interval = interval;
                        } else {
                            group.gna_interval = interval;
                        }
                    }
                }
                ("interface", Some(word)) => group.interfaces.push(self.garp_interface(word)),
                ("interfaces", _) => {
                    let words = statement.statements().iter().flat_map(|line| &line.words);
                    let found: Vec<String> = words.map(|word| self.garp_interface(word)).collect();
                    group.interfaces.extend(found);
                }
                _ => {}
            }
        }
        draft.garp_groups.push(group);
    }

    fn garp_interface(&mut self, word: &Word) -> String {
        if !self.host.has_interface(word.as_str()) {
            self.warn(
                "no-interface",
                word.span,
                format!("WARNING - interface {} specified for garp_group doesn't exist", word.text),
            );
        }
        word.as_str().to_owned()
    }

    pub(super) fn interface_delays(&mut self, block: &Statement, draft: &mut Draft<'_>) {
        for line in block.statements() {
            let (Some(name), Some(down)) = (line.keyword(), line.argument(1)) else {
                let message = "interface_up_down_delays requires an interface and a down delay - ignoring";
                self.warn("missing-value", line.span, message);
                continue;
            };
            let consequence = format!("delay of interface {} is not between 0 and 255 seconds - ignoring", name.text);
            let Some(down) = self.seconds(down, 0..=255_000_000, &consequence) else { continue };
            let up = match line.argument(2) {
                Some(up) => match self.seconds(up, 0..=255_000_000, &consequence) {
                    Some(up) => up,
                    None => continue,
                },
                None => down,
            };
            draft.interface_delays.push(InterfaceDelay { interface: name.as_str().to_owned(), down, up });
        }
    }

    pub(super) fn linkbeat(&mut self, block: &Statement) {
        for line in block.statements() {
            if let Some(kind) = line.argument(1)
                && !matches!(kind.as_str(), "MII" | "ETHTOOL" | "IOCTL")
            {
                let message = format!("Unknown linkbeat type '{}' for interface {} - ignoring", kind.text, line.name());
                self.warn("unknown-option", kind.span, message);
            }
        }
    }
}

fn merge<T: PartialEq>(all: &mut Vec<TrackRef<T>>, found: Vec<(usize, TrackRef<()>)>, id: impl Fn(usize) -> T) {
    for (place, TrackRef { target: (), weight, reverse }) in found {
        let target = id(place);
        if all.iter().all(|known| known.target != target) {
            all.push(TrackRef { target, weight, reverse });
        }
    }
}
