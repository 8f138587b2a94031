//! Tells systemd how the process is (`sd_notify(3)`): a datagram to the socket named in the environment.

use std::os::unix::net::UnixDatagram;

use nix::sys::socket::{MsgFlags, UnixAddr, sendto};
use std::os::fd::AsRawFd as _;

/// The process serves.
pub(super) fn ready() {
    notify(&format!("READY=1\nMAINPID={}\nSTATUS=Ready.\n", std::process::id()));
}

/// The process reads its configuration again; [`ready`] ends it.
pub(super) fn reloading() {
    let micros = crate::clock::monotonic().as_micros();
    notify(&format!("RELOADING=1\nSTATUS=Reloading Configuration.\nMONOTONIC_USEC={micros}\n"));
}

/// The process is about to end.
pub(super) fn stopping() {
    notify("STOPPING=1\n");
}

/// Without a socket there is nobody to tell, and an error is nothing the process could act on.
fn notify(text: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let path = path.as_encoded_bytes();
    let address = match path.strip_prefix(b"@") {
        Some(name) => UnixAddr::new_abstract(name),
        None => UnixAddr::new(path),
    };
    if let (Ok(address), Ok(socket)) = (address, UnixDatagram::unbound()) {
        let _ = sendto(socket.as_raw_fd(), text.as_bytes(), &address, MsgFlags::MSG_NOSIGNAL);
    }
}
