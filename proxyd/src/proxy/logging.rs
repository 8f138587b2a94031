//! What a frontend logs, when, and in which words.

use crate::log::format::{Alias, Program};
use crate::log::step::Steps;
use crate::sample::Expression;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// The log of a frontend.
#[derive(Debug)]
pub struct Logging {
    /// `log-format`, or what an option says instead.
    pub line: Program<Expression>,
    /// `log-format-sd`: the structured data of an RFC 5424 line.
    pub structured: Option<Program<Expression>>,
    /// `error-log-format`: the line of a connection that failed before it was one. `None`: a fixed one.
    pub error: Option<Program<Expression>>,
    /// When the line is written.
    pub due: Due,
    /// `log-steps`: when, instead of that.
    pub steps: Option<Steps>,
    /// `option dontlognull`.
    pub dontlognull: bool,
    /// `option dontlog-normal`.
    pub dontlog_normal: bool,
    /// `option log-separate-errors`.
    pub separate_errors: bool,
    /// `option logasap`: totals are marked as those of a line that comes too early.
    pub asap: bool,
    /// What the lines show of what is not known anyway.
    pub shows: Shows,
    /// Lines logged so far, where the line shows that (`%lc`). Outlives a generation.
    pub lines: Option<Arc<AtomicU64>>,
}

/// When the line of a request or connection is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// When a request was received or a connection accepted: the short line of a frontend without a format. What was no request
    /// gets none.
    Beginning,
    /// When the transfer begins, after the response's head or once the server is connected: with `option logasap`, or where
    /// the line shows nothing of what comes later.
    Transfer,
    /// At the end.
    End,
}

/// What a line shows of what takes an effort to know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shows {
    /// The address the client connected to, which costs a system call.
    pub destination: bool,
    /// Where a server was reached, or from where.
    pub server: bool,
    /// The exchange's id (`%ID`).
    pub id: bool,
    /// The bytes of the request as haproxy counts them (`%U`).
    pub bytes_in: bool,
}

impl Shows {
    /// What any of these lines shows.
    pub fn of(programs: &[&Program<Expression>]) -> Self {
        let any = |aliases: &[Alias]| programs.iter().any(|program| program.shows(aliases));
        Self {
            destination: any(&[Alias::FrontendIp, Alias::FrontendPort]),
            server: any(&[Alias::BackendSourceIp, Alias::BackendSourcePort, Alias::ServerIp, Alias::ServerPort]),
            id: any(&[Alias::UniqueId]),
            bytes_in: any(&[Alias::BytesIn]),
        }
    }
}
