//! What the process says on its standard error, in haproxy's form.

use std::io::Write as _;

/// Says lines, or keeps silent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Voice {
    quiet: bool,
}

impl Voice {
    /// A voice; a quiet one says nothing, not even why the process ends.
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    /// Something that ends the process or leaves users without service.
    pub(super) fn alert(self, text: &str) {
        self.say("[ALERT]", text);
    }

    /// Something to know.
    pub(super) fn notice(self, text: &str) {
        self.say("[NOTICE]", text);
    }

    /// Something to look after.
    pub(super) fn warning(self, text: &str) {
        self.say("[WARNING]", text);
    }

    fn say(self, severity: &str, text: &str) {
        if !self.quiet {
            // Nobody may be listening any more; that is no reason to end.
            let _ = writeln!(std::io::stderr().lock(), "{severity:<11}({}) : {text}", std::process::id());
        }
    }
}
