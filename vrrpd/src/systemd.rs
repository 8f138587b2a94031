//! `sd_notify(3)`: tells the service manager about the daemon, when there is one.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// What the service manager is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Started, or done with a reload.
    Ready,
    /// Reading the configuration anew.
    Reloading,
    /// Giving everything up.
    Stopping,
}

/// Sends the state to `$NOTIFY_SOCKET`. Without a manager, or when it does not listen, nothing happens.
pub fn notify(state: State) {
    let Some(path) = std::env::var("NOTIFY_SOCKET").ok().filter(|path| !path.is_empty()) else { return };
    if let Err(error) = send(&path, state) {
        tracing::warn!(target: crate::log::PROCESS, "cannot notify the service manager at {path}: {error}");
    }
}

fn send(path: &str, state: State) -> std::io::Result<()> {
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(path)?,
    };
    let text = match state {
        State::Ready => "READY=1",
        State::Reloading => "RELOADING=1",
        State::Stopping => "STOPPING=1",
    };
    UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address).map(drop)
}
