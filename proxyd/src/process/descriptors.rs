//! How many file descriptors the process may have, and how many connections that allows.

use std::os::unix::net::UnixDatagram;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::voice::Voice;
use crate::limits::PIPES_MAX;

/// A client's connection and the one to its server.
const PER_CONNECTION: u64 = 2;
/// The two ends of a pipe.
const PER_PIPE: u64 = 2;
/// Standard descriptors, logs, checks, files that are open for a moment.
const RESERVED: u64 = 100;
/// The epoll, wake-up and timer descriptors of one worker's runtime.
const PER_WORKER: u64 = 8;
/// `maxconn` where the limit would allow none at all.
const LEAST_MAXCONN: u64 = 10;
/// The kernel's table of descriptors is made for so many at once, of 8 bytes each.
const ROOM_MAX: u64 = 1 << 17;

/// What the configuration asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// `maxconn`.
    pub(super) maxconn: Option<u64>,
    /// `maxpipes`; 0 with `nosplice`.
    pub(super) maxpipes: Option<u64>,
    /// `ulimit-n`.
    pub(super) ulimit_n: Option<u64>,
    /// `fd-hard-limit`.
    pub(super) hard_limit: Option<u64>,
    /// `strict-limits`.
    pub(super) strict: Option<bool>,
    /// Listening sockets of all workers.
    pub(super) listeners: u64,
    /// Worker threads.
    pub(super) workers: u64,
}

/// What the limit of file descriptors allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Provided {
    /// Clients' connections.
    pub(super) maxconn: u64,
    /// Pipes.
    pub(super) pipes: u64,
}

impl Wanted {
    /// Descriptors beside those of connections and pipes.
    fn overhead(&self) -> u64 {
        self.listeners + self.workers * PER_WORKER + RESERVED
    }

    /// Pipes that so many connections may need: a quarter, as in haproxy, but not without end.
    fn pipes(&self, connections: u64) -> u64 {
        self.maxpipes.unwrap_or((connections / 4).min(PIPES_MAX as u64))
    }

    /// The limit to ask for; none: as high as is allowed. Pipes are a help that a low limit may take away, so they are asked for
    /// as far as `hard` goes and not beyond.
    fn files(&self, hard: u64) -> Option<u64> {
        let connections = |maxconn: u64| {
            let needed = maxconn * PER_CONNECTION + self.overhead();
            needed.max(hard.min(needed + self.pipes(maxconn) * PER_PIPE))
        };
        self.ulimit_n.or_else(|| self.maxconn.map(connections))
    }

    /// What so many descriptors allow.
    fn allowed(&self, files: u64) -> Provided {
        let left = files.saturating_sub(self.overhead());
        let maxconn = self.maxconn.filter(|&maxconn| maxconn <= left / PER_CONNECTION).unwrap_or_else(|| {
            // The pipes of the connections that would be possible without pipes.
            let pipes = self.pipes(left * 4 / (PER_CONNECTION * 4 + PER_PIPE));
            (left.saturating_sub(pipes * PER_PIPE) / PER_CONNECTION).max(LEAST_MAXCONN)
        });
        let pipes = left.saturating_sub(maxconn * PER_CONNECTION) / PER_PIPE;
        Provided { maxconn, pipes: pipes.min(self.pipes(maxconn)) }
    }
}

/// Raises the limit as far as it is needed and returns what it allows. An `ulimit-n` that cannot be had ends the start; a
/// `maxconn` that it cannot hold is a warning, unless `strict-limits` is written; with `no strict-limits` both are.
pub(super) fn provide(wanted: &Wanted, program: &str, voice: Voice) -> Result<Provided, String> {
    let (soft, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| format!("Cannot read the FD limit: {}.", error.desc()))?;
    let most = wanted.hard_limit.map_or(hard, |limit| limit.min(hard));
    let files = wanted.files(hard).unwrap_or(most);
    if files < soft && wanted.hard_limit.is_some() {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, files, hard);
    }
    if files > soft && setrlimit(Resource::RLIMIT_NOFILE, files, hard.max(files)).is_err() {
        let text = format!("Cannot raise FD limit to {files}, limit is {hard}.");
        if wanted.strict.unwrap_or(wanted.ulimit_n.is_some()) {
            return Err(text);
        }
        voice.warning(&format!("[{program}.main()] {text}"));
        // The part that is allowed is better than what there was; a refusal leaves that.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    let (now, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((soft, hard));
    Ok(wanted.allowed(now))
}

/// Has the kernel make its table of descriptors as large as the limit needs it. By itself the table doubles when it is full, and
/// whoever opens a file then, in a process with several threads, waits for ten milliseconds or more until no processor can be
/// looking at the old table. A child's table is as large as what its parent had open, so a fork comes before this.
pub(super) fn make_room() {
    let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let Ok(last) = i32::try_from(limit.min(ROOM_MAX).saturating_sub(1)) else { return };
    // Where it cannot be done, the table grows as it is used.
    let Ok(socket) = UnixDatagram::unbound() else { return };
    if let Ok(copy) = fcntl(&socket, FcntlArg::F_DUPFD_CLOEXEC(last)) {
        let _ = nix::unistd::close(copy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_made_for_all_descriptors_that_the_limit_allows() {
        make_room();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let room = status.lines().find_map(|line| line.strip_prefix("FDSize:")?.trim().parse::<u64>().ok());
        let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert!(room.unwrap() >= limit.min(ROOM_MAX), "{room:?} of {limit}");
    }

    const WANTED: Wanted = Wanted {
        maxconn: Some(2000),
        maxpipes: None,
        ulimit_n: None,
        hard_limit: None,
        strict: None,
        listeners: 6,
        workers: 2,
    };

    #[test]
    fn connections_and_descriptors_follow_from_each_other() {
        let files = WANTED.files(u64::MAX).unwrap();
        assert_eq!(files, 5122);
        assert_eq!(WANTED.allowed(files), Provided { maxconn: 2000, pipes: 500 });
        assert_eq!(Wanted { ulimit_n: Some(500), ..WANTED }.files(u64::MAX), Some(500));
        let open = Wanted { maxconn: None, ..WANTED };
        assert_eq!(open.files(u64::MAX), None);
        assert_eq!(open.allowed(0), Provided { maxconn: LEAST_MAXCONN, pipes: 0 });
        assert_eq!(open.allowed(5122), Provided { maxconn: 2000, pipes: 500 });
        assert_eq!(Wanted { maxpipes: Some(0), ..open }.allowed(4122), Provided { maxconn: 2000, pipes: 0 });
    }

    #[test]
    fn pipes_give_way_to_connections() {
        assert_eq!(WANTED.files(4_300), Some(4_300));
        assert_eq!(WANTED.allowed(4_300), Provided { maxconn: 2000, pipes: 89 });
        assert_eq!(WANTED.files(4_000), Some(4_122), "the warning that follows is about connections");
        assert_eq!(WANTED.allowed(4_122).pipes, 0);
    }
}
