//! A network namespace with a load in it. Each subject has its own, so that all can listen on the same ports at once.

use crate::load::Load;
use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::process::Command;

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
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().context("ip")?;
        if !up.success() {
            bail!("ip link set lo up: {up}");
        }
        // A connection per request uses up the ports of a client sooner than they are given back.
        std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "22000 65000").context("ip_local_port_range")?;
        // Debian's own choice, whatever this machine is set to: pacing by the kernel would be measured, too. In a namespace
        // that may not choose, the machine's choice stays, for all subjects alike.
        let _ = std::fs::write("/proc/sys/net/ipv4/tcp_congestion_control", "cubic");
        let namespace = File::open("/proc/thread-self/ns/net").context("/proc/thread-self/ns/net")?;
        Ok(Self { namespace, load: Load::new()? })
    }

    /// Moves the calling thread into it. Connections are made where the thread is; those that are there stay.
    pub(crate) fn enter(&self) -> Result<()> {
        setns(&self.namespace, CloneFlags::CLONE_NEWNET).context("setns")
    }
}
