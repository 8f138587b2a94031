//! The only unsafe code of this crate: calls of the system that no safe wrapper offers.

#![expect(unsafe_code, reason = "this is the one place for it; every block says why it is sound")]

use crate::limits::SIGNATURE_KEY_BYTES_MAX;
use crate::sample::fetch::socket::Measured;
use std::ffi::{CStr, CString};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Bytes of memory that a processor fetches at once.
const LINE: usize = 64;

/// Asks the processor to fetch the first so many bytes of a value, without waiting for them: what is read soon, and is surely in
/// none of its caches.
pub fn prefetch<T>(value: &T, bytes: usize) {
    for at in (0..bytes.min(size_of::<T>())).step_by(LINE) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: it reads nothing: an address is a hint, whatever is there; this one is within the value.
        unsafe {
            use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast::<i8>().add(at));
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (value, at);
    }
}

/// A descriptor that was open when the process started, such as standard output; `None` where it is not open.
pub fn borrow_inherited(fd: RawFd) -> Option<BorrowedFd<'static>> {
    // SAFETY: `F_GETFD` takes no pointer and changes nothing.
    let open = fd >= 0 && unsafe { libc::fcntl(fd, libc::F_GETFD) } != -1;
    // SAFETY: it is open. Only descriptors named in the configuration come here; nothing in this program closes them, and
    // should somebody else have, an operation fails or meets another file, but no memory is touched.
    open.then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Splits the process in two: the child's pid in the parent, `None` in the child. To be called while there is one thread.
pub fn fork() -> std::io::Result<Option<u32>> {
    // SAFETY: the process has one thread, so no lock is held that the child would wait for.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error()),
        0 => Ok(None),
        child => Ok(Some(child.unsigned_abs())),
    }
}

/// Ends the process without running what would run at an exit: that is the child's business.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: it takes no pointer and does not return.
    unsafe { libc::_exit(status) }
}

/// How a thread is scheduled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheduling {
    /// As all others.
    Ordinary,
    /// On processors that nobody else wants; it is interrupted at once when somebody does.
    Idle,
}

/// The calling thread's number.
pub fn thread_id() -> i32 {
    // SAFETY: it takes nothing and cannot fail.
    unsafe { libc::gettid() }
}

/// Changes how a thread of this process is scheduled.
pub fn schedule(thread: i32, scheduling: Scheduling) -> io::Result<()> {
    let policy = match scheduling {
        Scheduling::Ordinary => libc::SCHED_OTHER,
        Scheduling::Idle => libc::SCHED_IDLE,
    };
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: the pointer is to a live value, which the call only reads. A number that is no thread's is an error.
    let result = unsafe { libc::sched_setscheduler(thread, policy, &raw const parameter) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// How willing the calling thread is to let others go first, as of nice(2).
pub fn niceness() -> i32 {
    // SAFETY: it takes no pointer.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

/// Changes that of the calling thread and of those it begins.
pub fn set_niceness(value: i32) -> io::Result<()> {
    // SAFETY: it takes no pointer.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, value) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `_LINUX_CAPABILITY_VERSION_3`: privileges in two words of 32 bits.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// What capset(2) takes first.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    thread: libc::c_int,
}

/// What it takes then, once for each 32 privileges.
#[repr(C)]
#[derive(Clone, Copy)]
struct CapabilityWord {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Leaves the calling thread, and those it begins, these privileges (capabilities(7), by number) and no other.
pub fn keep_capabilities(numbers: &[u8]) -> io::Result<()> {
    let bits = numbers.iter().fold(0_u64, |bits, number| bits | 1_u64.checked_shl((*number).into()).unwrap_or(0));
    let word = |bits: u64| {
        let bits = u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        CapabilityWord { effective: bits, permitted: bits, inheritable: 0 }
    };
    let header = CapabilityHeader { version: CAPABILITY_VERSION, thread: 0 };
    let words = [word(bits), word(bits >> 32)];
    // SAFETY: the pointers are to live values as the call wants them, which it only reads at this version.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, words.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// How far local time was ahead of UTC at a moment, in seconds; 0 where the system cannot say.
pub fn utc_offset(unix_seconds: i64) -> i32 {
    // SAFETY: all fields of `tm` are integers and a pointer, for which zero is a valid value.
    let mut local: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the right type; `localtime_r` keeps neither of them.
    let filled = unsafe { libc::localtime_r(&raw const unix_seconds, &raw mut local) };
    if filled.is_null() { 0 } else { i32::try_from(local.tm_gmtoff).unwrap_or(0) }
}

/// Options of a socket that take one number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketOption {
    /// `TCP_DEFER_ACCEPT`: seconds a connection may wait for its first bytes before it is handed over.
    DeferAccept,
    /// `TCP_FASTOPEN` on a listener: length of the queue of connections opened by their first bytes.
    FastOpen,
    /// `TCP_FASTOPEN_CONNECT`: the first bytes written open the connection.
    FastOpenConnect,
    /// `TCP_MAXSEG`: the largest segment announced.
    MaximumSegment,
    /// `TCP_REPAIR`: the connection is frozen, and closing it sends nothing.
    Repair,
    /// `TCP_SAVE_SYN`: a listener keeps the packets that connections begin with; 2: with their link's header.
    SaveSyn,
    /// `IP_BIND_ADDRESS_NO_PORT`: a source address is bound without taking a port before the connection is made.
    BindWithoutPort,
}

/// Sets an option of a socket.
pub fn set_option(socket: impl AsFd, option: SocketOption, value: i32) -> io::Result<()> {
    let (level, name) = match option {
        SocketOption::DeferAccept => (libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT),
        SocketOption::FastOpen => (libc::IPPROTO_TCP, libc::TCP_FASTOPEN),
        SocketOption::FastOpenConnect => (libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT),
        SocketOption::MaximumSegment => (libc::IPPROTO_TCP, libc::TCP_MAXSEG),
        SocketOption::Repair => (libc::IPPROTO_TCP, libc::TCP_REPAIR),
        SocketOption::SaveSyn => (libc::IPPROTO_TCP, libc::TCP_SAVE_SYN),
        SocketOption::BindWithoutPort => (libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT),
    };
    let length = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or_default();
    // SAFETY: the descriptor is open for the length of the borrow, and the pointer is to an i32 of the length given.
    let result =
        unsafe { libc::setsockopt(socket.as_fd().as_raw_fd(), level, name, std::ptr::from_ref(&value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `TCP_MD5SIG_FLAG_PREFIX`: the peer is all of a network.
const OF_A_NETWORK: u8 = 1;

/// What `TCP_MD5SIG_EXT` takes (`struct tcp_md5sig` of `linux/tcp.h`).
#[repr(C)]
struct TcpMd5Sig {
    peer: libc::sockaddr_storage,
    flags: u8,
    prefix: u8,
    key_length: u16,
    interface: libc::c_int,
    key: [u8; SIGNATURE_KEY_BYTES_MAX],
}

/// Has the segments of connections signed (RFC 2385): to that one peer, or to all of its family.
pub fn sign_segments(socket: impl AsFd, peer: IpAddr, key: &[u8], one: bool) -> io::Result<()> {
    let address = socket2::SockAddr::from(SocketAddr::new(peer, 0));
    let bits = if peer.is_ipv6() { 128 } else { 32 };
    let mut wanted = TcpMd5Sig {
        // SAFETY: all its fields are integers, for which zero is a valid value.
        peer: unsafe { std::mem::zeroed() },
        flags: OF_A_NETWORK,
        prefix: if one { bits } else { 0 },
        key_length: u16::try_from(key.len()).unwrap_or(u16::MAX),
        interface: 0,
        key: [0; SIGNATURE_KEY_BYTES_MAX],
    };
    wanted.key.get_mut(..key.len()).ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(key);
    // SAFETY: an address is no longer than the storage that holds any, and the two do not overlap.
    unsafe {
        std::ptr::copy_nonoverlapping(
            address.as_ptr().cast::<u8>(),
            (&raw mut wanted.peer).cast(),
            usize::try_from(address.len()).unwrap_or(0),
        );
    }
    let length = libc::socklen_t::try_from(size_of::<TcpMd5Sig>()).unwrap_or_default();
    // SAFETY: the descriptor is open for the length of the borrow, and the pointer is to a live value of the length given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_MD5SIG_EXT,
            (&raw const wanted).cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The longest headers of a packet, in bytes: Ethernet with tags, IP and TCP with all their options.
const SYN_BYTES_MAX: usize = 512;

/// The packet that a connection began with; empty where its listener did not keep it. The kernel gives it once.
pub fn saved_syn(socket: impl AsFd) -> io::Result<Vec<u8>> {
    let mut packet = vec![0_u8; SYN_BYTES_MAX];
    let mut length = libc::socklen_t::try_from(packet.len()).unwrap_or_default();
    // SAFETY: the descriptor is open for the length of the borrow, and the pointers are to live values; the kernel writes no more
    // than the length says, and how much it wrote into the length.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_SAVED_SYN,
            packet.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    packet.truncate(usize::try_from(length).unwrap_or(0));
    Ok(packet)
}

/// What the kernel has measured of a TCP connection.
pub fn measured(socket: impl AsFd) -> io::Result<Measured> {
    // SAFETY: all fields are integers, for which zero is a valid value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).unwrap_or_default();
    // SAFETY: the descriptor is open for the length of the borrow, and the pointers are to live values; the kernel writes no more
    // than the length says. An older kernel writes less, which leaves zeros.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Measured {
        rtt: info.tcpi_rtt,
        rtt_variance: info.tcpi_rttvar,
        unacked: info.tcpi_unacked,
        sacked: info.tcpi_sacked,
        lost: info.tcpi_lost,
        retransmitted: info.tcpi_retrans,
        fackets: info.tcpi_fackets,
        reordering: info.tcpi_reordering,
    })
}

/// A duplicate of a descriptor that this process was started with, known by its number only.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: fcntl with F_DUPFD_CLOEXEC takes any number and fails where it is no open descriptor.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 0) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above just opened it, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Working memory of crypt(3), in bytes: the largest `struct crypt_data` there has been, glibc's own before libxcrypt's.
const CRYPT_DATA: usize = 131_232;

#[link(name = "crypt")]
unsafe extern "C" {
    fn crypt_r(
        phrase: *const libc::c_char,
        setting: *const libc::c_char,
        data: *mut libc::c_void,
    ) -> *const libc::c_char;
}

/// Whether a password is the one that is kept in a form of crypt(3): all those that the system's libcrypt knows (crypt(5)).
pub fn is_password(password: &[u8], kept: &str) -> bool {
    let (Ok(phrase), Ok(setting)) = (CString::new(password), CString::new(kept)) else { return false };
    // Words of eight bytes, so that it is aligned for whatever stands in it.
    let mut data = vec![0_u64; CRYPT_DATA / size_of::<u64>()];
    // SAFETY: two strings that end in NUL and memory as large and as aligned as the function needs, zero as it wants it
    // before its first use, live until after the result was read.
    let made = unsafe { crypt_r(phrase.as_ptr(), setting.as_ptr(), data.as_mut_ptr().cast()) };
    if made.is_null() {
        return false;
    }
    // SAFETY: what is not null is a string that ends in NUL, within `data`.
    let made = unsafe { CStr::from_ptr(made) };
    crate::proxy::userlist::same(made.to_bytes(), kept.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `mkpasswd` and `openssl passwd` made of "secret".
    #[test]
    fn every_form_of_a_kept_password_is_known() {
        for kept in [
            "abNANd1rDfiNc",
            "$1$saltsalt$9xy1btjgzLYfb7hivXtC//",
            "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA",
            "$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/",
            "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
            "$y$j9T$saltsaltsalt$AnbE4uovRUrp5W/7h65lVXbBxJijULPRqRjd39xI5w9",
        ] {
            assert!(is_password(b"secret", kept), "{kept}");
            assert!(!is_password(b"secret ", kept) && !is_password(b"", kept), "{kept}");
        }
        for kept in ["", "*", "*0", "*1", "secret", "$9$none$such", "$6$", "$2y$99$abcdefghijklmnopqrstuu"] {
            assert!(!is_password(b"secret", kept) && !is_password(b"", kept), "{kept}");
        }
        assert!(!is_password(b"with\0a zero", "$1$abc$"));
    }

    #[test]
    fn an_offset_is_within_a_day() {
        for at in [0, 1_795_872_535, i64::from(i32::MAX) * 2] {
            assert!(utc_offset(at).abs() <= 86_400);
        }
    }
}
