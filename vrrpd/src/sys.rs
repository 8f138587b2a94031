//! The system calls that no safe wrapper offers. The only file with `unsafe`.
#![expect(unsafe_code, reason = "this file is where it is confined")]

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// Sends an Ethernet frame from an `AF_PACKET` socket on the interface of this index.
pub fn send_frame(socket: BorrowedFd<'_>, index: u32, frame: &[u8]) -> io::Result<()> {
    // SAFETY: sockaddr_ll is plain data; all zeros is a valid value.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    let invalid = |_| io::Error::from(io::ErrorKind::InvalidInput);
    address.sll_family = libc::c_ushort::try_from(libc::AF_PACKET).map_err(invalid)?;
    address.sll_ifindex = i32::try_from(index).map_err(invalid)?;
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).map_err(invalid)?;
    // SAFETY: the frame and the address outlive the call, and their lengths are theirs.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            frame.as_ptr().cast(),
            frame.len(),
            libc::MSG_DONTWAIT,
            (&raw const address).cast(),
            length,
        )
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Registers a socket with the runtime, to be waited for.
pub fn watch(socket: socket2::Socket) -> io::Result<AsyncFd<socket2::Socket>> {
    // SAFETY: a Socket owns its descriptor, always answers with the same one and closes it only when it is dropped.
    unsafe { AsyncFd::register(socket) }.map_err(io::Error::from)
}

/// Registers any other descriptor with the runtime.
pub fn watch_descriptor(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd owns its descriptor, always answers with the same one and closes it only when it is dropped.
    unsafe { AsyncFd::register(descriptor) }.map_err(io::Error::from)
}

/// Makes the child of this command receive SIGTERM when the daemon dies, however it dies.
pub fn die_with_parent(command: &mut tokio::process::Command) {
    let signal = libc::c_ulong::from(libc::SIGTERM.unsigned_abs());
    // SAFETY: between fork and exec only prctl is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, signal) == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
        });
    }
}

/// Local time of `since_epoch` in a format of strftime(3), at most 63 octets of text.
pub fn format_time(since_epoch: Duration, format: &std::ffi::CStr) -> String {
    let Ok(seconds) = libc::time_t::try_from(since_epoch.as_secs()) else { return String::new() };
    let mut buffer = [0_u8; 64];
    // SAFETY: `parts` is plain data and filled by localtime_r, whose pointers are valid for the call; strftime writes
    // at most the length of the buffer and reads a format that ends with NUL.
    let length = unsafe {
        let mut parts: libc::tm = zeroed();
        if libc::localtime_r(&raw const seconds, &raw mut parts).is_null() {
            return String::new();
        }
        libc::strftime(buffer.as_mut_ptr().cast(), buffer.len(), format.as_ptr(), &raw const parts)
    };
    String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned()
}

/// What `fork` made of the process that called it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fork {
    /// The old process; the number of the new one.
    Parent(nix::unistd::Pid),
    /// The new process.
    Child,
}

/// fork(2). Only for a process of one thread: what other threads hold would stay locked for ever in the child.
pub fn fork() -> io::Result<Fork> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(io::Error::other("a process with several threads must not fork"));
    }
    // SAFETY: there is one thread, so the child finds every lock as this thread left it.
    Ok(match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Parent { child } => Fork::Parent(child),
        nix::unistd::ForkResult::Child => Fork::Child,
    })
}

/// Makes this process receive SIGTERM when its parent dies, however it dies. False when it is dead already.
pub fn follow_parent(parent: u32) -> io::Result<bool> {
    let signal = libc::c_ulong::from(libc::SIGTERM.unsigned_abs());
    // SAFETY: prctl with a number as its argument; getppid takes none.
    unsafe {
        if libc::prctl(libc::PR_SET_PDEATHSIG, signal) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(u32::try_from(libc::getppid()).is_ok_and(|found| found == parent))
    }
}

/// Signals that are read from a descriptor rather than handled; they stay blocked while this lives.
#[derive(Debug)]
pub struct BlockedSignals {
    fd: OwnedFd,
    before: libc::sigset_t,
}

impl BlockedSignals {
    /// Blocks these signals, real-time ones included, and opens the descriptor.
    pub fn block(numbers: &[i32]) -> io::Result<Self> {
        // SAFETY: the sets are plain data, initialised by sigemptyset before they are read; signalfd answers with a
        // new descriptor that nobody else owns.
        unsafe {
            let (mut set, mut before): (libc::sigset_t, libc::sigset_t) = (zeroed(), zeroed());
            libc::sigemptyset(&raw mut set);
            for &number in numbers {
                libc::sigaddset(&raw mut set, number);
            }
            if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, &raw mut before) != 0 {
                return Err(io::Error::last_os_error());
            }
            let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Self { fd: OwnedFd::from_raw_fd(fd), before })
        }
    }

    /// To be polled.
    pub fn fd(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.fd)
    }

    /// The next signal that has arrived.
    pub fn take(&self) -> Option<i32> {
        // SAFETY: signalfd_siginfo is plain data, and read writes at most its size.
        let information = unsafe {
            let mut information: libc::signalfd_siginfo = zeroed();
            let size = size_of::<libc::signalfd_siginfo>();
            let read = libc::read(self.fd.as_raw_fd(), (&raw mut information).cast(), size);
            usize::try_from(read).is_ok_and(|read| read == size).then_some(information)
        };
        information.and_then(|information| i32::try_from(information.ssi_signo).ok())
    }

    /// Lets signals be delivered as before, in a child that handles them itself.
    pub fn unblock(self) -> io::Result<()> {
        // SAFETY: `before` was filled by sigprocmask.
        let done = unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const self.before, std::ptr::null_mut()) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// Sends a signal, which may be a real-time one.
pub fn send_signal(process: nix::unistd::Pid, number: i32) -> io::Result<()> {
    // SAFETY: kill takes two numbers.
    if unsafe { libc::kill(process.as_raw(), number) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A descriptor of a child that can be read when it has ended.
pub fn process_descriptor(process: nix::unistd::Pid) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two numbers and answers with a new descriptor that nobody else owns.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, process.as_raw(), 0);
        let fd = i32::try_from(fd).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
}

/// The nice value of this process.
pub fn set_nice(nice: i8) -> io::Result<()> {
    // SAFETY: setpriority takes numbers; 0 is this process.
    let done = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, i32::from(nice)) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `SCHED_RR` with this priority, not inherited by scripts; `None` for the normal policy.
pub fn set_realtime(priority: Option<u8>) -> io::Result<()> {
    // SAFETY: sched_param is plain data; 0 is this process.
    let done = unsafe {
        let mut parameters: libc::sched_param = zeroed();
        parameters.sched_priority = priority.map_or(0, i32::from);
        let policy = priority.map_or(libc::SCHED_OTHER, |_| libc::SCHED_RR | libc::SCHED_RESET_ON_FORK);
        libc::sched_setscheduler(0, policy, &raw const parameters)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Locks the memory of this process, that of now and that of later, or lets it go.
pub fn lock_memory(lock: bool) -> io::Result<()> {
    // SAFETY: both take numbers or nothing.
    let done = unsafe { if lock { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) } else { libc::munlockall() } };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sets the soft and the hard limit of a resource.
pub fn set_limit(resource: Limit, value: u64) -> io::Result<()> {
    let number = match resource {
        Limit::Core => libc::RLIMIT_CORE,
        Limit::RealtimeMicroseconds => libc::RLIMIT_RTTIME,
    };
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: the structure outlives the call.
    let done = unsafe { libc::setrlimit(number, &raw const limit) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A limit of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The size of a core file.
    Core,
    /// How long a real-time process may run without waiting.
    RealtimeMicroseconds,
}

/// Runs on these processors only.
pub fn set_affinity(processors: &[u32]) -> io::Result<()> {
    // SAFETY: cpu_set_t is plain data; CPU_SET checks the number against the size of the set.
    let done = unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        for &processor in processors {
            let place = usize::try_from(processor).unwrap_or(usize::MAX);
            if place < 8 * size_of::<libc::cpu_set_t>() {
                libc::CPU_SET(place, &mut set);
            }
        }
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The seconds since 1970 of a local time, or of a time in UTC; `None` where there is no such time.
pub fn seconds_since_epoch(fields: CalendarTime, utc: bool) -> Option<u64> {
    // SAFETY: tm is plain data; mktime and timegm read and normalise it.
    let seconds = unsafe {
        let mut parts: libc::tm = zeroed();
        (parts.tm_year, parts.tm_mon, parts.tm_mday) = (fields.year - 1900, fields.month - 1, fields.day);
        (parts.tm_hour, parts.tm_min, parts.tm_sec) = (fields.hour, fields.minute, fields.second);
        parts.tm_isdst = -1;
        if utc { libc::timegm(&raw mut parts) } else { libc::mktime(&raw mut parts) }
    };
    u64::try_from(seconds).ok()
}

/// A date and a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalendarTime {
    /// As in 2026.
    pub year: i32,
    /// 1 to 12
    pub month: i32,
    /// 1 to 31
    pub day: i32,
    /// 0 to 23
    pub hour: i32,
    /// 0 to 59
    pub minute: i32,
    /// 0 to 60
    pub second: i32,
}

/// The date and time of `since_epoch`, local or in UTC.
pub fn calendar_time(since_epoch: Duration, utc: bool) -> Option<CalendarTime> {
    let seconds = libc::time_t::try_from(since_epoch.as_secs()).ok()?;
    // SAFETY: `parts` is plain data and filled by the call, whose pointers are valid.
    let parts = unsafe {
        let mut parts: libc::tm = zeroed();
        let filled = if utc {
            libc::gmtime_r(&raw const seconds, &raw mut parts)
        } else {
            libc::localtime_r(&raw const seconds, &raw mut parts)
        };
        if filled.is_null() {
            return None;
        }
        parts
    };
    Some(CalendarTime {
        year: parts.tm_year + 1900,
        month: parts.tm_mon + 1,
        day: parts.tm_mday,
        hour: parts.tm_hour,
        minute: parts.tm_min,
        second: parts.tm_sec,
    })
}

/// `CLOCK_MONOTONIC` in microseconds.
pub fn monotonic_usec() -> u64 {
    // SAFETY: timespec is plain data and filled by the call.
    let time = unsafe {
        let mut time: libc::timespec = zeroed();
        if libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) != 0 {
            return 0;
        }
        time
    };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0) / 1000)
}

/// Gives memory that is free back to the system. The C library keeps it otherwise: all that was needed to read a
/// configuration, for as long as the process lives.
pub fn give_memory_back() {
    // SAFETY: it takes a number and may be called at any time.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// A file without a name, in memory, that goes with the last process that has it open.
pub fn memory_file() -> io::Result<std::fs::File> {
    // SAFETY: the name is a literal that ends with NUL; memfd_create answers with a new descriptor that nobody owns.
    unsafe {
        let fd = libc::memfd_create(c"vrrpd".as_ptr(), libc::MFD_CLOEXEC);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd).into()) }
    }
}

/// Options of netlink sockets that are either on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetlinkOption {
    /// `NETLINK_EXT_ACK`: errors come with words.
    ExtendedAck,
    /// `NETLINK_CAP_ACK`: errors do not repeat the request.
    CapAck,
}

/// Switches an option of a netlink socket on.
pub fn enable_netlink(socket: &socket2::Socket, option: NetlinkOption) -> io::Result<()> {
    let number = match option {
        NetlinkOption::ExtendedAck => libc::NETLINK_EXT_ACK,
        NetlinkOption::CapAck => libc::NETLINK_CAP_ACK,
    };
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or_default();
    // SAFETY: the value is an int that outlives the call, and its length is that of an int.
    let set =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_NETLINK, number, (&raw const on).cast(), length) };
    if set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
