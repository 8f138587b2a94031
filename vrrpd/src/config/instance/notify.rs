//! The `notify*` words of instances and groups.

use super::super::model::{Command, Notify};
use super::super::{Lowering, global::Globals};
use shared_config::diagnostic::Diagnostic;
use shared_config::keepalived::ast::Statement;

/// What an instance or a group says about notification; the first of two scripts for one event is used.
#[derive(Default)]
pub(in crate::config) struct NotifyDraft {
    scripts: Notify,
    pub(in crate::config) smtp_alert: Option<bool>,
    pub(in crate::config) priority_changes: Option<bool>,
}

impl NotifyDraft {
    /// With the defaults of `global_defs`.
    pub(in crate::config) fn finish(self, globals: &Globals) -> Notify {
        Notify {
            smtp_alert: self.smtp_alert.unwrap_or(globals.smtp_alert),
            priority_changes: self.priority_changes.unwrap_or(globals.model.notify_priority_changes),
            ..self.scripts
        }
    }
}

impl Lowering<'_> {
    /// Takes a `notify*` statement; false if it is none.
    pub(in crate::config) fn notify(
        &mut self,
        statement: &Statement,
        owner: &str,
        globals: &Globals,
        draft: &mut NotifyDraft,
    ) -> bool {
        let keyword = statement.name();
        let scripts = &mut draft.scripts;
        let slot: &mut Option<Command> = match keyword {
            "notify_master" => &mut scripts.master,
            "notify_backup" => &mut scripts.backup,
            "notify_fault" => &mut scripts.fault,
            "notify_stop" => &mut scripts.stop,
            "notify_master_rx_lower_pri" => &mut scripts.master_rx_lower_priority,
            "notify" => &mut scripts.any,
            "notify_deleted" => scripts.deleted.get_or_insert_default(),
            _ => return false,
        };
        let Some(word) = statement.argument(1) else { return true };
        if slot.is_some() {
            let message = format!("({owner}) {keyword} script already specified - ignoring {}", word.text);
            self.report(Diagnostic::warning("duplicate", word.span, message).label("the first one is used"));
            return true;
        }
        *slot = self.command(statement, globals.script_user, "notify script");
        true
    }
}
