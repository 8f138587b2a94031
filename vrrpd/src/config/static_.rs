//! `static_ipaddress`, `static_routes`, `static_rules`, and the `track_group`s that tie them to instances.

use super::Lowering;
use super::model::{InstanceId, Route, Rule, StaticAddress};
use shared_config::diagnostic::Diagnostic;
use shared_config::keepalived::ast::Statement;
use shared_config::words::Word;

/// A `track_group` as far as its own block tells.
pub(super) struct TrackGroup<'a> {
    pub(super) name: &'a Word,
    pub(super) members: Vec<&'a Word>,
    pub(super) found: Vec<InstanceId>,
}

impl Lowering<'_> {
    pub(super) fn track_group<'a>(&mut self, block: &'a Statement, draft: &mut super::Draft<'a>) {
        let Some(name) = self.block_name(block, "track_group must have a name") else { return };
        if draft.track_groups.iter().any(|known| known.name.text == name.text) {
            self.warn("duplicate", name.span, format!("track_group {} already defined", name.text));
            return;
        }
        let groups = block.statements().iter().filter(|statement| statement.name() == "group");
        let members: Vec<&Word> = groups.flat_map(Statement::statements).flat_map(|line| &line.words).collect();
        if members.is_empty() {
            self.warn("empty-group", block.span, format!("track_group {} has no members - ignoring", name.text));
        }
        draft.track_groups.push(TrackGroup { name, members, found: Vec::new() });
    }

    /// The lines of all `static_ipaddress` blocks.
    pub(super) fn static_addresses(
        &mut self,
        blocks: &[&Statement],
        default_interface: Option<&str>,
        groups: &[TrackGroup<'_>],
    ) -> Vec<StaticAddress> {
        let mut found = Vec::new();
        for line in blocks.iter().flat_map(|block| block.statements()) {
            let Some(mut parsed) = self.address_line(line, true) else { continue };
            if parsed.address.interface.is_none() {
                parsed.address.interface = Some(default_interface.unwrap_or("eth0").to_owned());
            }
            let track = self.group_members(parsed.track_group, groups);
            found.push(StaticAddress { address: parsed.address, track });
        }
        found
    }

    /// The lines of all `static_routes` blocks.
    pub(super) fn static_routes(&mut self, blocks: &[&Statement], groups: &[TrackGroup<'_>]) -> Vec<Route> {
        let mut found = Vec::new();
        for line in blocks.iter().flat_map(|block| block.statements()) {
            let Some(parsed) = self.route_line(line, true) else { continue };
            let track_group = self.group_members(parsed.track_group, groups);
            found.push(Route { track_group, ..parsed.item });
        }
        found
    }

    /// The lines of all `static_rules` blocks.
    pub(super) fn static_rules(&mut self, blocks: &[&Statement], groups: &[TrackGroup<'_>]) -> Vec<Rule> {
        let mut found = Vec::new();
        for line in blocks.iter().flat_map(|block| block.statements()) {
            let Some(parsed) = self.rule_line(line, true, found.len()) else { continue };
            let track_group = self.group_members(parsed.track_group, groups);
            found.push(Rule { track_group, ..parsed.item });
        }
        found
    }

    fn group_members(&mut self, name: Option<&Word>, groups: &[TrackGroup<'_>]) -> Vec<InstanceId> {
        let Some(name) = name else { return Vec::new() };
        if let Some(group) = groups.iter().find(|group| group.name.text == name.text) {
            return group.found.clone();
        }
        self.report(Diagnostic::warning("not-found", name.span, format!("track_group {} not found", name.text)));
        Vec::new()
    }
}
