//! What the terminal shows: one line that is always current, and the events above it.

use integration_tests::client::Tally;
use integration_tests::clock;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// The screen. Without a terminal only events are printed.
pub(crate) struct View {
    begin: Instant,
    live: bool,
}

impl View {
    pub(crate) fn new() -> Self {
        Self { begin: clock::now(), live: std::io::stdout().is_terminal() }
    }

    /// An event, with its time since the start.
    pub(crate) fn event(&self, text: &str) {
        let clear = if self.live { "\r\x1b[K" } else { "" };
        put(&format!("{clear}{:7.2} s  {text}\n", self.begin.elapsed().as_secs_f64()));
    }

    /// Lines without a time.
    pub(crate) fn text(&self, text: &str) {
        let clear = if self.live { "\r\x1b[K" } else { "" };
        put(&format!("{clear}{text}\n"));
    }

    /// The line that is always current.
    pub(crate) fn status(&self, holder: &str, tally: &Tally, rate: u64) {
        if !self.live {
            return;
        }
        let servers: Vec<String> = tally.answered.iter().map(|(name, n)| format!("{name} {n}")).collect();
        put(&format!(
            "\r\x1b[K  VIP on \x1b[1m{holder}\x1b[0m | {rate} requests/s | {} | cut {} wrong {} | longest gap {}",
            servers.join(", "),
            tally.cut,
            tally.wrong.len(),
            milliseconds(tally.longest_gap),
        ));
    }
}

/// Whole milliseconds, for people.
pub(crate) fn milliseconds(length: Duration) -> String {
    format!("{} ms", length.as_millis())
}

/// Why the demo ends with a failure.
pub(crate) fn problem(error: &anyhow::Error) {
    let _ = writeln!(std::io::stderr(), "\npair-demo: {error:#}");
}

/// A reader that has gone away (`| head`) is no reason to fail.
fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
