//! What is spoken with a server (`proto`), and in its checks (`check-proto`).

use super::super::draft::{CheckOption, Section};
use super::super::line::code;
use super::super::server::ServerDraft;
use super::{Completion, place};
use shared_config::diagnostic::Diagnostic;

impl Completion<'_> {
    /// Refuses what the section's mode or the kind of check has no use for.
    pub(super) fn protocols(&mut self, section: &Section, draft: &ServerDraft) {
        let (proxy, server) = (&section.name, &draft.name);
        let settings = &draft.settings;
        if let Some(named) = settings.mux.filter(|named| !named.mux.is_for_servers(section.mode())) {
            let at = place(self.sources, draft.span);
            let mux = named.mux.name();
            let message =
                format!("proxy '{proxy}' : MUX protocol '{mux}' is not usable for server '{server}' at [{at}].");
            self.out.push(
                Diagnostic::error(code::CONFLICT, named.at, message)
                    .whole_file()
                    .label("of another mode than the section"),
            );
        }
        let own = settings.healthcheck.as_ref().and_then(|name| {
            let check = self.others.healthchecks.iter().find(|check| check.name == *name)?;
            Some(&check.check)
        });
        let http = own.unwrap_or(&section.settings.check).kind == CheckOption::Http;
        if let Some(named) = settings.check_mux.filter(|named| settings.check && !named.mux.is_for_checks(http)) {
            let message = format!(
                "config: proxy '{proxy}': server '{server}' uses an incompatible MUX protocol for the selected check type"
            );
            self.out.push(
                Diagnostic::error(code::CONFLICT, named.at, message)
                    .whole_file()
                    .label("of another kind than the check"),
            );
        }
    }
}
