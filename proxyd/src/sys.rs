//! The only unsafe code of this crate: calls of the system that no safe wrapper offers.

#![expect(unsafe_code, reason = "this is the one place for it; every block says why it is sound")]

use std::os::fd::{BorrowedFd, RawFd};

/// A descriptor that was open when the process started, such as standard output; `None` where it is not open.
pub fn borrow_inherited(fd: RawFd) -> Option<BorrowedFd<'static>> {
    // SAFETY: `F_GETFD` takes no pointer and changes nothing.
    let open = fd >= 0 && unsafe { libc::fcntl(fd, libc::F_GETFD) } != -1;
    // SAFETY: it is open. Only descriptors named in the configuration come here; nothing in this program closes them, and
    // should somebody else have, an operation fails or meets another file, but no memory is touched.
    open.then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// How far local time was ahead of UTC at a moment, in seconds; 0 where the system cannot say.
pub fn utc_offset(unix_seconds: i64) -> i32 {
    // SAFETY: all fields of `tm` are integers and a pointer, for which zero is a valid value.
    let mut local: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the right type; `localtime_r` keeps neither of them.
    let filled = unsafe { libc::localtime_r(&raw const unix_seconds, &raw mut local) };
    if filled.is_null() { 0 } else { i32::try_from(local.tm_gmtoff).unwrap_or(0) }
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
