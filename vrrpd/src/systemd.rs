//! `sd_notify(3)`: tells the service manager about the daemon, when there is one.
//!
//! Only the first process of the service may speak to the manager; that is the parent (`daemon::parent`). The VRRP
//! process hands its messages to the parent, which passes them on.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::OnceLock;

/// The way to a manager whose address is an abstract one: those belong to a network namespace, and the daemon may enter
/// another one than it was started in.
static MANAGER: OnceLock<UnixDatagram> = OnceLock::new();

/// What the service manager is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Started, or done with a reload.
    Ready,
    /// Reading the configuration anew; the monotonic clock in microseconds, which systemd compares with its own.
    Reloading {
        /// Since the start of the clock.
        monotonic_usec: u64,
    },
    /// Giving everything up.
    Stopping,
}

impl State {
    /// The message, with a line for `systemctl status`.
    pub fn message(self, status: &str) -> String {
        // A newline would begin another assignment.
        let status: String = status.chars().map(|c| if c == '\n' { ' ' } else { c }).collect();
        match self {
            State::Ready => format!("READY=1\nSTATUS={status}"),
            State::Reloading { monotonic_usec } => {
                format!("RELOADING=1\nMONOTONIC_USEC={monotonic_usec}\nSTATUS={status}")
            }
            State::Stopping => format!("STOPPING=1\nSTATUS={status}"),
        }
    }
}

/// Finds the manager before the daemon enters another network namespace.
pub fn find() {
    let Some(name) = address().and_then(|path| path.strip_prefix('@').map(str::to_owned)) else { return };
    match connect(&name) {
        // It is called once.
        Ok(socket) => drop(MANAGER.set(socket)),
        Err(error) => complain(&format!("@{name}"), &error),
    }
}

fn connect(name: &str) -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?;
    Ok(socket)
}

fn address() -> Option<String> {
    std::env::var("NOTIFY_SOCKET").ok().filter(|path| !path.is_empty())
}

fn complain(path: &str, error: &std::io::Error) {
    tracing::warn!(
        target: crate::log::PROCESS,
        "cannot notify the service manager at {path}: {error}; with Type=notify it waits in vain"
    );
}

/// Sends a message to `$NOTIFY_SOCKET`. Without a manager, or when it does not listen, nothing happens.
pub fn notify(message: &str) {
    let Some(path) = address() else { return };
    if let Err(error) = send(&path, message) {
        complain(&path, &error);
    }
}

fn send(path: &str, message: &str) -> std::io::Result<()> {
    let sent = match (path.starts_with('@'), MANAGER.get()) {
        (true, Some(manager)) => manager.send(message.as_bytes()),
        // What could not be found has been said.
        (true, None) => return Ok(()),
        (false, _) => UnixDatagram::unbound()?.send_to(message.as_bytes(), path),
    };
    sent.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_sd_notify() {
        assert_eq!(State::Ready.message("2 masters"), "READY=1\nSTATUS=2 masters");
        let reloading = State::Reloading { monotonic_usec: 7 }.message("a\nb=1");
        assert_eq!(reloading, "RELOADING=1\nMONOTONIC_USEC=7\nSTATUS=a b=1");
        assert_eq!(State::Stopping.message(""), "STOPPING=1\nSTATUS=");
    }
}
