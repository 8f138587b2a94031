//! A network namespace with a load in it. Each subject has its own, so that all can listen on the same ports at once.

use crate::load::Load;
use anyhow::{Context, Result};
use integration_tests::netns::run;
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::process::Command;

const CONGESTION_CONTROL: &str = "cubic";

/// A namespace and the clients, servers and log receiver in it.
#[derive(Debug)]
pub(crate) struct Place {
    namespace: File,
    pub(crate) load: Load,
}

impl Place {
    /// Makes one; the calling thread is inside it then, and so is what it starts.
    pub(crate) fn new() -> Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET)
            .context("a network namespace (needs root, or `unshare --user --map-root-user`)")?;
        ip("link set lo up")?;
        // A connection per request uses up the ports of a client sooner than they are given back.
        std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "22000 65000").context("ip_local_port_range")?;
        // Debian's own choice, whatever this machine is set to: pacing by the kernel would be measured, too. A namespace may
        // not always choose for itself, its routes may.
        for destination in ["127.0.0.0/8", "127.0.0.1"] {
            let route = format!("route replace local {destination} dev lo table local proto kernel scope host");
            ip(&format!("{route} src 127.0.0.1 congctl {CONGESTION_CONTROL}"))?;
        }
        let namespace = File::open("/proc/thread-self/ns/net").context("/proc/thread-self/ns/net")?;
        Ok(Self { namespace, load: Load::new()? })
    }

    /// Moves the calling thread into it. Connections are made where the thread is; those that are there stay.
    pub(crate) fn enter(&self) -> Result<()> {
        setns(&self.namespace, CloneFlags::CLONE_NEWNET).context("setns")
    }
}

/// In the namespace of the calling thread.
fn ip(arguments: &str) -> Result<()> {
    run(Command::new("ip").args(arguments.split(' '))).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use integration_tests::lab::Lab;
    use nix::sys::socket::{getsockopt, sockopt};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn connections_have_the_congestion_control_that_was_chosen() {
        if Lab::or_skip().is_none() {
            return;
        }
        // In a thread of its own: it stays in the namespace.
        let chosen = std::thread::spawn(|| {
            Place::new().unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().unwrap();
            [client, server].map(|stream| getsockopt(&stream, sockopt::TcpCongestion).unwrap())
        });
        for name in chosen.join().unwrap() {
            assert_eq!(name.to_string_lossy().trim_end_matches('\0'), CONGESTION_CONTROL);
        }
    }
}
