//! `static_ipaddress`, `static_routes`, `static_rules`, and the `track_group`s that tie them to instances.

use super::Lowering;
use super::model::{InstanceId, Route, Rule, StaticAddress, StaticRoute, StaticRule};
use super::route::Line;
use super::virtual_address::AddressLine;
use shared_config::diagnostic::Diagnostic;
use shared_config::keepalived::ast::Statement;
use shared_config::words::Word;

/// Lines whose track groups may be defined later.
#[derive(Default)]
pub(super) struct StaticLines<'a> {
    pub(super) addresses: Vec<AddressLine<'a>>,
    pub(super) routes: Vec<Line<'a, Route>>,
    pub(super) rules: Vec<Line<'a, Rule>>,
}

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

    /// A `static_ipaddress`, `static_routes` or `static_rules` block.
    pub(super) fn static_block<'a>(&mut self, block: &'a Statement, lines: &mut StaticLines<'a>) {
        for line in block.statements() {
            match block.name() {
                "static_ipaddress" => lines.addresses.extend(self.address_line(line, true)),
                "static_routes" => lines.routes.extend(self.route_line(line, true)),
                _ => lines.rules.extend(self.rule_line(line, true)),
            }
        }
    }

    /// The addresses, with the interface and the instances that only the whole file tells.
    pub(super) fn static_addresses(
        &mut self,
        lines: Vec<AddressLine<'_>>,
        default_interface: Option<&str>,
        groups: &[TrackGroup<'_>],
    ) -> Vec<StaticAddress> {
        let mut found = Vec::new();
        for mut parsed in lines {
            if parsed.address.interface.is_none() {
                parsed.address.interface = Some(default_interface.unwrap_or("eth0").to_owned());
            }
            let track = self.group_members(parsed.track_group, groups);
            found.push(StaticAddress { address: parsed.address, track });
        }
        found
    }

    /// The routes, with the instances of their groups.
    pub(super) fn static_routes(&mut self, lines: Vec<Line<'_, Route>>, groups: &[TrackGroup<'_>]) -> Vec<StaticRoute> {
        let mut found = Vec::new();
        for parsed in lines {
            let track = self.group_members(parsed.track_group, groups);
            found.push(StaticRoute { route: parsed.item, track });
        }
        found
    }

    /// The rules, with the instances of their groups.
    pub(super) fn static_rules(&mut self, lines: Vec<Line<'_, Rule>>, groups: &[TrackGroup<'_>]) -> Vec<StaticRule> {
        let mut found = Vec::new();
        for parsed in lines {
            let track = self.group_members(parsed.track_group, groups);
            found.push(StaticRule { rule: parsed.item, track });
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
