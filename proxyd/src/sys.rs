//! The only unsafe code of this crate: calls of the system that no safe wrapper offers.

#![expect(unsafe_code, reason = "this is the one place for it; every block says why it is sound")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

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
        SocketOption::BindWithoutPort => (libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT),
    };
    let length = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or_default();
    // SAFETY: the descriptor is open for the length of the borrow, and the pointer is to an i32 of the length given.
    let result =
        unsafe { libc::setsockopt(socket.as_fd().as_raw_fd(), level, name, std::ptr::from_ref(&value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_within_a_day() {
        for at in [0, 1_795_872_535, i64::from(i32::MAX) * 2] {
            assert!(utc_offset(at).abs() <= 86_400);
        }
    }
}
