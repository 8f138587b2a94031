//! What a running daemon tells about itself: `vrrpd status`, `vrrpd metrics`, and the same over HTTP.
//!
//! Requests come in by a local socket, and by a TCP address where `--metrics-address` names one. They are answered
//! between two events of the loop, one at a time, so that no request can keep an advert from leaving.
//!
//! - `request`: what may be asked, and how; `server`: the sockets; `client`: the other end, for the command line;
//! - `explain`: why an instance is in its state, as a value; `text`, `json`, `metrics`: how that is shown.

pub mod client;
pub mod explain;
mod json;
mod metrics;
pub mod request;
pub mod server;
mod text;

use crate::config::model::Model;
use crate::dump::{self, View};
use explain::{Explanation, explain};
use request::Request;
use std::time::Duration;

/// What is known about the process besides the router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Program name and version.
    pub banner: String,
    /// Since 1970, when the VRRP process started.
    pub started: Duration,
    /// Since 1970, when the running configuration was read.
    pub configured: Duration,
    /// Reloads that were carried out.
    pub reloads: u64,
    /// Reloads that were refused.
    pub refused: u64,
    /// Why the last reload was refused, if it was.
    pub refusal: Vec<String>,
}

/// An answer of HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 200, or what is wrong.
    pub status: u16,
    /// `Content-Type`
    pub kind: &'static str,
    /// The text.
    pub body: String,
}

const PLAIN: &str = "text/plain; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

impl Answer {
    /// A text for people.
    pub fn plain(status: u16, body: impl Into<String>) -> Self {
        Self { status, kind: PLAIN, body: body.into() }
    }
}

/// Answers what can be answered by looking. A reload is not: the loop does that.
pub fn answer(request: Request, view: &View<'_>, process: &Process) -> Answer {
    let kind = match request {
        Request::Status | Request::Reload => PLAIN,
        Request::StatusJson | Request::Dump => JSON,
        Request::Metrics => PROMETHEUS,
    };
    let body = match request {
        Request::Status | Request::Reload => text::Text { instances: &all(view), process, view }.to_string(),
        Request::StatusJson => json::Json { instances: &all(view), process, view }.to_string(),
        Request::Metrics => metrics::Metrics { process, view }.to_string(),
        Request::Dump => dump::json::Json(view).to_string(),
    };
    Answer { status: 200, kind, body }
}

fn all(view: &View<'_>) -> Vec<Explanation> {
    (0..view.router.instances().count()).filter_map(|place| explain(view.router, place, view.now)).collect()
}

/// What the file asks for that this program does not do, in one line each, for the status.
fn not_applied(model: &Model) -> Vec<String> {
    let mut lines = Vec::new();
    if !model.virtual_servers.is_empty() {
        let count = model.virtual_servers.len();
        lines.push(format!("{count} virtual_server blocks are read and not applied"));
    }
    if !model.bfd.is_empty() {
        lines.push(format!("{} bfd_instance blocks are read and not applied", model.bfd.len()));
    }
    lines
}

/// A duration for people: `4.2s`, `3m 20s`, `5h 12m`, `9d 3h`.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1}s", duration.as_secs_f64()),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_for_people() {
        for (seconds, expected) in [(0, "0.0s"), (59, "59.0s"), (60, "1m 0s"), (3725, "1h 2m"), (90_000, "1d 1h")] {
            assert_eq!(span(Duration::from_secs(seconds)), expected);
        }
    }
}
