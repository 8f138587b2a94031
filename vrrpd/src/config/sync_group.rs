//! `vrrp_sync_group`: its members are joined in `resolve`, since instances may come later.

use super::instance::NotifyDraft;
use super::model::{InstanceId, Notify, Track};
use super::{Lowering, global::Globals};
use shared_config::keepalived::ast::Statement;
use shared_config::words::Word;

/// A group as far as its own block tells.
pub(super) struct Draft<'a> {
    pub(super) name: &'a Word,
    pub(super) head: &'a Statement,
    /// The names of its members.
    pub(super) members: Vec<&'a Word>,
    pub(super) found: Vec<InstanceId>,
    pub(super) track: Track,
    pub(super) notify: Notify,
    pub(super) tracking_weight: bool,
}

impl Lowering<'_> {
    pub(super) fn sync_group<'a>(&mut self, block: &'a Statement, globals: &Globals, draft: &mut super::Draft<'a>) {
        let Some(name) = self.block_name(block, "vrrp_sync_group must have a name") else { return };
        let text = name.as_str();
        if let Some(&first) = draft.group_names.get(&name.text) {
            self.report(
                shared_config::diagnostic::Diagnostic::warning(
                    "duplicate",
                    name.span,
                    format!("vrrp sync group {text} already defined"),
                )
                .label("this one is not used")
                .related(first, "the first is here"),
            );
            return;
        }
        let mut members = Vec::new();
        let mut track = Track { primary: true, ..Track::default() };
        let mut notify = NotifyDraft::default();
        let mut tracking_weight = false;
        for statement in block.statements() {
            match statement.name() {
                "group" => {
                    members = statement.statements().iter().flat_map(|line| &line.words).collect();
                    if members.is_empty() {
                        let message = format!("Warning - sync group {text} has empty group block");
                        self.warn("empty-group", statement.span, message);
                    }
                }
                "sync_group_tracking_weight" => tracking_weight = true,
                "global_tracking" => {
                    let message = format!(
                        "({text}) global_tracking is deprecated. Use track_interface/script/file on the sync group"
                    );
                    self.warn("deprecated", statement.span, message);
                }
                "smtp_alert" => {
                    let complaint = |value: &str| format!("Invalid vrrp_group smtp_alert parameter {value}");
                    notify.smtp_alert = self.switch(statement, complaint).or(notify.smtp_alert);
                }
                "notify_priority_changes" => {
                    let complaint = |value: &str| {
                        format!("({text}) Invalid value '{value}' for sync group notify_priority_changes specified")
                    };
                    notify.priority_changes = self.switch(statement, complaint).or(notify.priority_changes);
                }
                _ => {
                    if !self.track_list(statement, text, &draft.trackers, &mut track) {
                        self.notify(statement, text, globals, &mut notify);
                    }
                }
            }
        }
        draft.group_names.insert(name.text.clone(), name.span);
        let notify = notify.finish(globals);
        draft.sync_groups.push(Draft { name, head: block, members, found: Vec::new(), track, notify, tracking_weight });
    }
}
