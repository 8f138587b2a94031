//! What the keyword table says is known and does nothing yet: said once for each use, outermost block first.

use super::Lowering;
use shared_config::diagnostic::{Diagnostic, Severity};
use shared_config::keepalived::ast::{File, Statement};
use shared_config::keepalived::keyword::{Context, Keyword, Shape};
use shared_config::keyword::Support;

impl Lowering<'_> {
    pub(super) fn review(&mut self, file: &File) {
        self.review_statements(&file.statements, Context::Root);
    }

    /// As deep as the keyword table nests blocks.
    fn review_statements(&mut self, statements: &[Statement], context: Context) {
        for statement in statements {
            let Some(row) = context.find(statement.name()) else { continue };
            match (row.support, row.shape) {
                (Support::Works, Shape::Block(inner)) => self.review_statements(statement.statements(), inner),
                (Support::Works, Shape::Line | Shape::Command | Shape::List | Shape::NamedList) => {}
                (Support::NoEffect | Support::Unsupported, _) => self.not_applied(statement, row),
            }
        }
    }

    fn not_applied(&mut self, statement: &Statement, row: &Keyword) {
        let name = row.name;
        let span = statement.keyword().map_or(statement.span, |word| word.span);
        if row.support == Support::Unsupported {
            let message = format!("`{name}` is not supported yet, and leaving it out would change who reaches what");
            self.report(
                Diagnostic::new(Severity::Unsupported, "not-supported", span, message)
                    .label("vrrpd does not start with this")
                    .help("take it out if you do not need it, or stay with keepalived for now"),
            );
            return;
        }
        let message = match name {
            "virtual_server" => {
                "virtual_server is read but not applied: vrrpd does not manage the kernel's load balancer (IPVS)"
                    .to_owned()
            }
            other => format!("`{other}` is accepted, has no effect yet"),
        };
        let diagnostic = Diagnostic::warning("no-effect", span, message);
        self.report(match name {
            "virtual_server" => diagnostic.help("the VRRP part of this file is not affected; for balancing see proxyd"),
            "track_file" | "track_process" | "track_bfd" => {
                diagnostic.label("what it watches cannot take the addresses away from this node")
            }
            _ => diagnostic,
        });
    }
}
