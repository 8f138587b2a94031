//! Names that may be used before they are defined, and what only the whole file shows: members of groups, two virtual
//! routers with one number, scripts that nobody uses.

use super::global::Globals;
use super::instance;
use super::model::{Destination, Instance, InstanceId, Model, Script, ScriptId, SyncGroup, SyncGroupId};
use super::track::SUGGESTIONS_MAX;
use super::{Draft, Lowering};
use shared_config::diagnostic::Diagnostic;
use shared_config::source::Span;
use shared_config::suggest;
use shared_config::words::Word;
use std::collections::{HashMap, HashSet};

impl Lowering<'_> {
    /// The model. Where an instance cannot be made there was an error, and the model is not used.
    pub(super) fn resolve(&mut self, mut draft: Draft<'_>, globals: Globals) -> Model {
        self.sync_members(&mut draft);
        self.track_members(&mut draft);
        self.script_names = draft.trackers.scripts.items.iter().map(|script| script.name.clone()).collect();
        self.file_names = draft.trackers.files.items.iter().map(|file| file.name.clone()).collect();
        let default_interface = globals.model.default_interface.clone();
        let lines = std::mem::take(&mut draft.static_lines);
        let groups = &draft.track_groups;
        let static_addresses = self.static_addresses(lines.addresses, default_interface.as_deref(), groups);
        let static_routes = self.static_routes(lines.routes, groups);
        let static_rules = self.static_rules(lines.rules, groups);
        self.drop_weights_of_members(&mut draft);
        self.unused_scripts(&draft);
        let mut instances = Vec::with_capacity(draft.instances.len());
        let mut places = Vec::new();
        for instance in draft.instances {
            let (name, vrid) = (instance.name.span, instance.head.span);
            if let Some(instance) = self.finish_instance(instance, &globals) {
                instances.push(instance);
                places.push((name, vrid));
            }
        }
        self.duplicate_routers(&instances, &places);
        if self.diagnostics.iter().any(|d| d.code == "no-interface") {
            let message = "Non-existent interface specified in configuration";
            self.report(Diagnostic::warning("no-interfaces", None, message));
        }
        let sync_groups = draft.sync_groups.into_iter().map(|group| SyncGroup {
            name: group.name.as_str().to_owned(),
            members: group.found,
            track: group.track,
            notify: group.notify,
            tracking_weight: group.tracking_weight,
        });
        Model {
            sync_groups: sync_groups.collect(),
            global: globals.model,
            instances,
            scripts: draft.trackers.scripts.items,
            files: draft.trackers.files.items,
            processes: draft.trackers.processes.items,
            bfd: draft.trackers.bfd.items,
            static_addresses,
            static_routes,
            static_rules,
            garp_groups: draft.garp_groups,
            interface_delays: draft.interface_delays,
            virtual_servers: draft.virtual_servers,
        }
    }

    fn sync_members(&mut self, draft: &mut Draft<'_>) {
        let mut taken: HashSet<InstanceId> = HashSet::new();
        let mut kept = Vec::new();
        for mut group in std::mem::take(&mut draft.sync_groups) {
            let name = group.name.as_str();
            if group.members.is_empty() {
                let message = format!("Sync group {name} has no virtual router(s). removing");
                self.warn_whole("empty-group", group.head.span, message);
                continue;
            }
            for &member in &group.members {
                let Some(id) = draft.instance_ids.get(&member.text).copied() else {
                    let message = format!(
                        "Virtual router {} specified in sync group {name} doesn't exist - ignoring",
                        member.text
                    );
                    self.unknown_instance(member, message, &draft.instances);
                    continue;
                };
                if group.found.contains(&id) {
                    continue;
                }
                if !taken.insert(id) {
                    let message = format!(
                        "Virtual router {} cannot exist in more than one sync group; ignoring {name}",
                        member.text
                    );
                    self.warn_whole("duplicate", member.span, message);
                    continue;
                }
                group.found.push(id);
            }
            match group.found.len() {
                0 => {
                    let message =
                        format!("Sync group {name}, no matching virtual router found in group declaration - removing");
                    self.warn_whole("empty-group", group.head.span, message);
                    continue;
                }
                1 => {
                    let message =
                        format!("Sync group {name} has only 1 virtual router(s) - this probably isn't what you want");
                    self.warn_whole("small-group", group.head.span, message);
                }
                _ => {}
            }
            for id in &group.found {
                draft.instances[id.0].sync_group = Some(SyncGroupId(kept.len()));
            }
            kept.push(group);
        }
        draft.sync_groups = kept;
    }

    fn track_members(&mut self, draft: &mut Draft<'_>) {
        for group in &mut draft.track_groups {
            for member in &group.members {
                if let Some(id) = draft.instance_ids.get(&member.text).copied() {
                    group.found.push(id);
                } else {
                    let message = format!(
                        "Virtual router {} specified in track group {} doesn't exist - ignoring",
                        member.text, group.name.text
                    );
                    let member = *member;
                    self.unknown_instance(member, message, &draft.instances);
                }
            }
        }
    }

    fn unknown_instance(&mut self, member: &Word, message: String, instances: &[instance::Draft<'_>]) {
        let mut diagnostic = Diagnostic::warning("not-found", member.span, message).whole_file();
        let names = instances.iter().map(|instance| instance.name.as_str()).take(SUGGESTIONS_MAX);
        if let Some(near) = suggest::nearest(member.as_str(), names) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        self.report(diagnostic);
    }

    /// Weights would give the members of a group different priorities, so only the group itself may have them.
    fn drop_weights_of_members(&mut self, draft: &mut Draft<'_>) {
        for instance in &mut draft.instances {
            let Some(group) = instance.sync_group else { continue };
            if draft.sync_groups[group.0].tracking_weight {
                continue;
            }
            let name = instance.name.as_str();
            let track = &mut instance.track;
            let mut lines = Vec::new();
            // keepalived's ways: interfaces and processes keep their weight, whatever it says; files stay with weight 0;
            // the rest goes.
            for tracked in track.interfaces.iter().filter(|tracked| tracked.weight != 0) {
                lines.push(format!("({name}) ignoring {} tracked interface weight due to SYNC group", tracked.target));
            }
            let scripts = &draft.trackers.scripts.items;
            lines.extend(track.scripts.extract_if(.., |tracked| tracked.weight != 0).map(|tracked| {
                let script = &scripts[tracked.target.0].name;
                format!("({name}) ignoring tracked script {script} with weights due to SYNC group")
            }));
            for tracked in track.files.iter_mut().filter(|tracked| tracked.weight != 0) {
                tracked.weight = 0;
                let file = &draft.trackers.files.items[tracked.target.0].name;
                lines.push(format!(
                    "({name}) ignoring weight from tracked file {file} due to SYNC group. specify weight 0"
                ));
            }
            let sessions = &draft.trackers.bfd.items;
            lines.extend(track.bfd.extract_if(.., |tracked| tracked.weight != 0).map(|tracked| {
                let bfd = &sessions[tracked.target.0].name;
                format!("({name}) ignoring tracked bfd {bfd} with weight {} due to SYNC group", tracked.weight)
            }));
            for message in lines {
                self.report(Diagnostic::warning("track-weight", instance.head.span, message).whole_file().help(
                    "track it in the sync group, or write `weight 0`, or `sync_group_tracking_weight` in the group",
                ));
            }
        }
    }

    fn unused_scripts(&mut self, draft: &Draft<'_>) {
        let mut used: HashSet<ScriptId> = HashSet::new();
        let tracks = draft.instances.iter().map(|i| &i.track).chain(draft.sync_groups.iter().map(|g| &g.track));
        used.extend(tracks.flat_map(|track| track.scripts.iter().map(|tracked| tracked.target)));
        for (i, Script { name, .. }) in draft.trackers.scripts.items.iter().enumerate() {
            if !used.contains(&ScriptId(i)) {
                // keepalived says so and does not count it as a complaint.
                let message = format!("Warning - script {name} is not used");
                let place = draft.scripts.get(i).copied();
                self.report(
                    Diagnostic::new(shared_config::diagnostic::Severity::Notice, "not-used", place, message)
                        .whole_file(),
                );
            }
        }
    }

    /// Two virtual routers with one number hear each other.
    fn duplicate_routers(&mut self, instances: &[Instance], places: &[(Span, Span)]) {
        let mut seen: HashMap<_, Vec<usize>> = HashMap::new();
        for (i, instance) in instances.iter().enumerate() {
            let Some(interface) = &instance.interface else { continue };
            let key = (interface.as_str(), instance.family, instance.vrid);
            let others = seen.entry(key).or_default();
            if let Some(&other) = others.iter().find(|&&other| hear_each_other(instance, &instances[other])) {
                let family = if instance.family == super::model::Family::Inet { "IPv4" } else { "IPv6" };
                let message = format!(
                    "{} and {} both use VRID {} with {family} on interface {interface}",
                    instances[other].name, instance.name, instance.vrid
                );
                self.report(
                    Diagnostic::error("duplicate-vrid", places[i].0, message)
                        .label("keepalived does not start with both")
                        .related(places[other].0, "the other one")
                        .help("give each virtual router of a network its own virtual_router_id")
                        .whole_file(),
                );
            }
            others.push(i);
        }
    }
}

/// Whether adverts of one reach the other, both being on one interface.
fn hear_each_other(a: &Instance, b: &Instance) -> bool {
    match (&a.transport.destination, &b.transport.destination) {
        (Destination::Multicast(a), Destination::Multicast(b)) => a == b,
        (Destination::Unicast(a), Destination::Unicast(b)) => {
            a.peers.iter().any(|peer| b.peers.iter().any(|other| other.address == peer.address))
        }
        (Destination::Multicast(_), Destination::Unicast(_)) | (Destination::Unicast(_), Destination::Multicast(_)) => {
            false
        }
    }
}
