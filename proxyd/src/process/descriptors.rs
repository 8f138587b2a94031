//! How many file descriptors the process may have, and how many connections that allows.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::voice::Voice;

/// A client's connection and the one to its server.
const PER_CONNECTION: u64 = 2;
/// Standard descriptors, logs, checks, files that are open for a moment.
const RESERVED: u64 = 100;
/// The epoll, wake-up and timer descriptors of one worker's runtime.
const PER_WORKER: u64 = 8;
/// `maxconn` where the limit would allow none at all.
const LEAST_MAXCONN: u64 = 10;

/// What the configuration asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// `maxconn`.
    pub(super) maxconn: Option<u64>,
    /// `ulimit-n`.
    pub(super) ulimit_n: Option<u64>,
    /// Listening sockets of all workers.
    pub(super) listeners: u64,
    /// Worker threads.
    pub(super) workers: u64,
}

impl Wanted {
    /// Descriptors beside those of connections.
    fn overhead(&self) -> u64 {
        self.listeners + self.workers * PER_WORKER + RESERVED
    }

    /// The limit to ask for; none: as high as is allowed.
    fn files(&self) -> Option<u64> {
        self.ulimit_n.or_else(|| self.maxconn.map(|maxconn| maxconn * PER_CONNECTION + self.overhead()))
    }

    /// Connections that so many descriptors allow.
    fn connections(&self, files: u64) -> u64 {
        (files.saturating_sub(self.overhead()) / PER_CONNECTION).max(LEAST_MAXCONN)
    }
}

/// Raises the limit as far as it is needed and returns the `maxconn` it allows. An `ulimit-n` that cannot be had ends the
/// start; a `maxconn` that it cannot hold is a warning.
pub(super) fn provide(wanted: &Wanted, program: &str, voice: Voice) -> Result<u64, String> {
    let (soft, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| format!("Cannot read the FD limit: {}.", error.desc()))?;
    let files = wanted.files().unwrap_or(hard);
    if files > soft && setrlimit(Resource::RLIMIT_NOFILE, files, hard.max(files)).is_err() {
        let text = format!("Cannot raise FD limit to {files}, limit is {hard}.");
        if wanted.ulimit_n.is_some() {
            return Err(text);
        }
        voice.warning(&format!("[{program}.main()] {text}"));
        // The part that is allowed is better than what there was; a refusal leaves that.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    let (now, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((soft, hard));
    Ok(wanted.connections(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_and_descriptors_follow_from_each_other() {
        let wanted = Wanted { maxconn: Some(2000), ulimit_n: None, listeners: 6, workers: 2 };
        let files = wanted.files().unwrap();
        assert_eq!(files, 4122);
        assert_eq!(wanted.connections(files), 2000);
        assert_eq!(Wanted { ulimit_n: Some(500), ..wanted }.files(), Some(500));
        assert_eq!(Wanted { maxconn: None, ..wanted }.files(), None);
        assert_eq!(wanted.connections(0), LEAST_MAXCONN);
    }
}
