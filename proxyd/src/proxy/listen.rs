//! Where a frontend listens.

use super::settings::SocketBuffers;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::settings::TcpOptions;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
    /// A unix socket in the abstract name space.
    Abstract(String),
    /// A listening descriptor that was inherited.
    Fd(i32),
}

/// Owner and mode of a unix socket's file; `None` leaves what the system gives.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SocketOwner {
    /// `mode`, octal in the file.
    pub mode: Option<u32>,
    /// `user` or `uid`.
    pub uid: Option<u32>,
    /// `group` or `gid`.
    pub gid: Option<u32>,
}

/// The most threads that numbers in a configuration can name.
pub const THREADS_MAX: u8 = 64;

/// `thread`: the threads that a listener accepts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads {
    /// The group that the numbers count in. `None`: they count all threads.
    pub group: Option<u8>,
    /// One bit per thread, the lowest for the first one.
    pub set: u64,
}

impl Threads {
    /// Whether a thread, counted from 0, is one of them, where so many threads are in so many groups.
    pub fn has(&self, thread: usize, threads: usize, groups: usize) -> bool {
        let (group, place) = group_of(thread, threads, groups);
        let place = if self.group.is_some() { place } else { thread };
        self.group.is_none_or(|wanted| usize::from(wanted) == group + 1) && place < 64 && self.set >> place & 1 == 1
    }
}

/// The group of a thread and its place there, all counted from 0: groups of one size, the last one of what is left.
pub fn group_of(thread: usize, threads: usize, groups: usize) -> (usize, usize) {
    let size = threads.div_ceil(groups.max(1)).max(1);
    (thread / size, thread % size)
}

/// One listener; a `bind` line with several addresses or a range of ports makes several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// Where to listen.
    pub address: ListenAddress,
    /// `name`. `None`: shown as `sock-N`.
    pub name: Option<String>,
    /// `id`, or one given out in order.
    pub id: u32,
    /// As written, `*:80` or `/run/a.sock`, for messages.
    pub text: String,
    /// Where it is written, `FILE:LINE`, for messages.
    pub place: String,
    /// `accept-proxy`: a PROXY header must come first.
    pub accept_proxy: bool,
    /// `accept-netscaler-cip`: `NetScaler`'s client IP insertion, known by this number, must come first.
    pub netscaler_magic: Option<u32>,
    /// `interface`: listen on this device only.
    pub interface: Option<String>,
    /// `namespace`: where the socket belongs. `None`: where the process does.
    pub namespace: Option<String>,
    /// `thread`. `None`: all of them.
    pub threads: Option<Threads>,
    /// `transparent`: also for addresses that this host does not have.
    pub transparent: bool,
    /// `v4v6`, `v6only`. `None`: as the system does.
    pub v6only: Option<bool>,
    /// `defer-accept`: wait for the first bytes.
    pub defer_accept: bool,
    /// `tfo`: TCP Fast Open.
    pub tfo: bool,
    /// `tcp-ss`: the kernel keeps the packet that a connection begins with; 2: with its link's header.
    pub saved_syn: Option<u8>,
    /// `mss`. `None`: as the system does.
    pub mss: Option<i32>,
    /// `tcp-ut`. `None`: as the system does.
    pub tcp_user_timeout: Option<Duration>,
    /// `cc`, `tcp-md5sig`
    pub tcp: Option<Arc<TcpOptions>>,
    /// `maxconn` of this listener. `None`: the frontend's.
    pub maxconn: Option<u32>,
    /// What the kernel holds of each connection.
    pub kernel_buffers: SocketBuffers,
    /// `option tcp-smart-accept`, in `mode http` unless it is off: the first bytes are acknowledged with the answer.
    pub smart_accept: bool,
    /// `noreuseport`: all workers accept on one socket.
    pub exclusive: bool,
    /// `backlog`, or what else limits how many may wait until they are accepted.
    pub backlog: Option<u32>,
    /// Owner and mode where it is a unix socket.
    pub owner: SocketOwner,
    /// `ssl`: TLS was asked for. A start refuses it as long as TLS does not work.
    pub ssl: bool,
}

impl Bind {
    /// A listener without parameters; id and place are for whoever knows all sections to fill in.
    pub fn plain(address: ListenAddress, text: impl Into<String>) -> Self {
        Self {
            address,
            name: None,
            id: 0,
            text: text.into(),
            place: String::new(),
            accept_proxy: false,
            netscaler_magic: None,
            interface: None,
            namespace: None,
            threads: None,
            transparent: false,
            v6only: None,
            defer_accept: false,
            tfo: false,
            saved_syn: None,
            mss: None,
            tcp_user_timeout: None,
            tcp: None,
            maxconn: None,
            kernel_buffers: SocketBuffers::default(),
            smart_accept: false,
            exclusive: false,
            backlog: None,
            owner: SocketOwner::default(),
            ssl: false,
        }
    }

    /// Whether a socket that was opened for the one does for the other.
    pub fn same_socket(&self, other: &Self) -> bool {
        self.address == other.address
            && self.interface == other.interface
            && self.namespace == other.namespace
            && self.threads == other.threads
            && self.transparent == other.transparent
            && self.v6only == other.v6only
            && self.defer_accept == other.defer_accept
            && self.tfo == other.tfo
            && self.saved_syn == other.saved_syn
            && self.mss == other.mss
            && self.tcp_user_timeout == other.tcp_user_timeout
            && self.tcp == other.tcp
            && self.kernel_buffers == other.kernel_buffers
            && self.smart_accept == other.smart_accept
            && self.owner == other.owner
    }
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
            Self::Abstract(name) => write!(f, "abns@{}", name.trim_end_matches('\0')),
            Self::Fd(number) => write!(f, "fd@{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_counted_in_all_or_in_their_group() {
        // Of so many threads in so many groups, which are named.
        for (group, set, threads, groups, expected) in [
            (None, 0b1, 4, 1, &[0][..]),
            (None, 0b1010, 4, 2, &[1, 3]),
            (None, u64::MAX, 3, 1, &[0, 1, 2]),
            (None, 0b1_0000, 4, 1, &[]),
            (Some(1), 0b11, 4, 2, &[0, 1]),
            (Some(2), 0b11, 4, 2, &[2, 3]),
            (Some(2), 0b10, 4, 2, &[3]),
            (Some(2), u64::MAX, 5, 2, &[3, 4]),
            (Some(2), u64::MAX, 4, 1, &[]),
            (Some(1), 0b1, 1, 1, &[0]),
        ] {
            let named = Threads { group, set };
            let found: Vec<_> = (0..threads).filter(|thread| named.has(*thread, threads, groups)).collect();
            assert_eq!(found, expected, "{named:?} of {threads} in {groups}");
        }
        assert!(!Threads { group: None, set: u64::MAX }.has(64, 100, 1), "numbers end at 64");
    }
}
