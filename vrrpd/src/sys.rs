//! The system calls that no safe wrapper offers. The only file with `unsafe`.
#![expect(unsafe_code, reason = "this file is where it is confined")]

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd};
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
