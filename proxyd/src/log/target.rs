//! Where log lines go: one `log` line of the configuration.

use super::backend::LogBackend;
use super::profile::{Instead, Profile};
use super::ring::Ring;
use super::step::Step;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One `log` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogTarget {
    /// Where the lines go.
    pub address: LogAddress,
    /// `len`: the longest line in bytes; the rest is cut.
    pub max_len: u16,
    /// `format`.
    pub format: SyslogFormat,
    /// `sample`: which of so many lines are sent. `None`: all.
    pub sample: Option<LogSample>,
    /// The facility, 0 (`kern`) to 23 (`local7`).
    pub facility: u8,
    /// The least severe level that is sent, 0 (`emerg`) to 7 (`debug`).
    pub max_level: u8,
    /// What is more severe than this is sent as this level.
    pub min_level: u8,
    /// `profile`: the `log-profile` section that says how lines are built.
    pub profile: Option<String>,
}

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogAddress {
    /// Datagrams.
    Udp(SocketAddr),
    /// A unix socket, such as `/dev/log`.
    Unix(PathBuf),
    /// A unix socket in the abstract name space: its name without the zero in front.
    Abstract(String),
    /// A descriptor that was open at start: `fd@N`, `stdout` (1), `stderr` (2).
    Fd(i32),
    /// A log backend: one of its servers.
    Backend(String),
    /// A ring: a section, one made for a `log tcp@` line, or the one that is always there.
    Ring(String),
}

/// `format` of a `log` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyslogFormat {
    /// Not set: `local`, or `rfc3164` where `log-send-hostname` gives a name.
    Default,
    /// BSD syslog.
    Rfc3164,
    /// Syslog with structured data.
    Rfc5424,
    /// `<LEVEL>` and the message.
    Short,
    /// As `short`, with the level as systemd reads it.
    Priority,
    /// A time in front.
    Timed,
    /// ISO time, as `rfc5424` without the rest.
    Iso,
    /// Host, tag and message only (`local`).
    Local,
    /// The message alone.
    Raw,
}

/// `sample 1,3-5:8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSample {
    /// Which of the [`LogSample::size`] lines are sent, counted from 1; both ends belong to a range.
    pub ranges: Vec<(u32, u32)>,
    /// The period.
    pub size: u32,
}

/// A [`LogTarget`] at work.
#[derive(Debug, Clone)]
pub struct Logger {
    /// Where lines go.
    pub target: LogTarget,
    /// The ring, where that is a ring that exists.
    ring: Option<Arc<Ring>>,
    /// The profile.
    profile: Option<Arc<Profile>>,
    /// The backend, where the target is one.
    backend: Option<Arc<LogBackend>>,
    /// The longest message in bytes, before the header.
    message_max: usize,
    /// Lines that met `sample`, over all workers.
    position: Arc<AtomicU64>,
}

impl Logger {
    /// Begins its count of lines. `ring` is the ring that the target names, if it names one that exists; `longest` the greatest
    /// `len` of all `log` lines: haproxy writes every message into as many bytes, one less the last.
    pub fn new(target: LogTarget, ring: Option<Arc<Ring>>, longest: u16) -> Self {
        let message_max = usize::from(longest.max(target.max_len)).saturating_sub(1);
        Self { target, ring, profile: None, backend: None, message_max, position: Arc::default() }
    }

    /// Lines are built as this profile says.
    #[must_use]
    pub fn with_profile(self, profile: Option<Arc<Profile>>) -> Self {
        Self { profile, ..self }
    }

    /// Lines go to the servers of this backend.
    #[must_use]
    pub fn with_backend(self, backend: Option<Arc<LogBackend>>) -> Self {
        Self { backend, ..self }
    }

    /// The backend whose servers get the lines.
    pub fn backend(&self) -> Option<&LogBackend> {
        self.backend.as_deref()
    }

    /// The profile.
    pub fn profile(&self) -> Option<&Profile> {
        self.profile.as_deref()
    }

    /// What is written in the place of a frontend's line at a step: `by`, where a rule names a profile, else the target's own says.
    pub fn instead<'p>(&'p self, step: Step, by: Option<&'p Profile>) -> Option<&'p Instead> {
        by.or(self.profile())?.at(step)
    }

    /// What is sent of a message.
    pub fn cut<'m>(&self, message: &'m [u8]) -> &'m [u8] {
        &message[..message.len().min(self.message_max)]
    }

    /// The ring that lines go to.
    pub fn ring(&self) -> Option<&Arc<Ring>> {
        self.ring.as_ref()
    }

    /// Counts a line and says whether `sample` takes it.
    pub fn chooses_this_line(&self) -> bool {
        let Some(sample) = &self.target.sample else { return true };
        let position = self.position.fetch_add(1, Ordering::Relaxed) % u64::from(sample.size.max(1)) + 1;
        sample.ranges.iter().any(|&(first, last)| (u64::from(first)..=u64::from(last)).contains(&position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_takes_its_lines_of_each_period() {
        let address = LogAddress::Fd(1);
        let sample = Some(LogSample { ranges: vec![(1, 1), (3, 4)], size: 5 });
        let format = SyslogFormat::Raw;
        let target = LogTarget {
            address,
            max_len: 1024,
            format,
            sample,
            facility: 0,
            max_level: 7,
            min_level: 0,
            profile: None,
        };
        let logger = Logger::new(target.clone(), None, 1024);
        let taken: Vec<_> = (0..10).map(|_| logger.chooses_this_line()).collect();
        assert_eq!(taken, [true, false, true, true, false, true, false, true, true, false]);
        assert!(Logger::new(LogTarget { sample: None, ..target }, None, 1024).chooses_this_line());
    }
}
