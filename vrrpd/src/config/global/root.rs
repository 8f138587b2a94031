//! The words that stand outside all braces and concern the process.

use crate::config::Lowering;
use crate::config::model::ProcessSettings;
use shared_config::keepalived::ast::Statement;
use std::time::Duration;

impl Lowering<'_> {
    /// One of them; a word of somebody else's is left alone.
    pub(super) fn root_word(&mut self, statement: &Statement, process: &mut ProcessSettings) {
        match statement.name() {
            "net_namespace" => self.first_name(statement, &mut process.net_namespace),
            "instance" => self.first_name(statement, &mut process.instance_name),
            // Without a name it is the namespace that the host began with, which is the default.
            "net_namespace_ipvs" if statement.argument(1).is_some() => {
                self.first_name(statement, &mut process.net_namespace_ipvs);
            }
            "use_pid_dir" => process.use_pid_dir = true,
            "child_wait_time" => {
                let seconds = statement.argument(1).and_then(|word| word.as_str().parse().ok());
                process.child_wait_time = seconds.map_or(process.child_wait_time, Duration::from_secs);
            }
            _ => {}
        }
    }

    /// A name that only its first definition sets.
    fn first_name(&mut self, statement: &Statement, slot: &mut Option<String>) {
        let keyword = statement.name();
        match statement.argument(1) {
            None => self.warn("missing-value", statement.span, format!("{keyword} name missing - ignoring")),
            Some(word) if slot.is_some() => {
                let message = format!("Duplicate {keyword} definition {} - ignoring", word.text);
                self.warn("duplicate", word.span, message);
            }
            Some(word) => *slot = Some(word.as_str().to_owned()),
        }
    }
}
