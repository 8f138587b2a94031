//! What the program says before it serves. A closed pipe is no reason to fail: whoever closed it does not want to know.

use std::io::{self, IsTerminal as _, Write as _};

/// Writes a text to standard output.
pub fn out(text: &str) {
    let _ = io::stdout().lock().write_all(&shared_config::source::encode(text));
}

/// Writes a text to standard error.
pub fn err(text: &str) {
    let _ = io::stderr().lock().write_all(&shared_config::source::encode(text));
}

/// One line in haproxy's form for something that stops the program.
pub fn alert(message: &str) {
    err(&format!("{:<11}({}) : {message}\n", "[ALERT]", std::process::id()));
}

/// One line in haproxy's form for an option that is accepted and does nothing yet.
pub fn no_effect(option: &str) {
    err(&format!("{:<11}({}) : {option} (accepted, has no effect yet)\n", "[WARNING]", std::process::id()));
}

/// Whether a person reads standard error.
pub fn is_terminal() -> bool {
    io::stderr().is_terminal()
}
