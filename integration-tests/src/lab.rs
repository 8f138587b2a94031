//! One Ethernet segment with hosts on it.

use crate::capture::Capture;
use crate::host::Host;
use crate::netns::Netns;
use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A switch (a Linux bridge in a namespace of its own) and a folder for what the hosts write.
#[derive(Debug)]
pub struct Lab {
    switch: Netns,
    folder: PathBuf,
    ports: AtomicU32,
}

impl Lab {
    /// # Errors
    /// Without the right to make namespaces; see [`Lab::or_skip`].
    pub fn new() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let switch = Netns::new()?;
        switch.ip("link add switch type bridge forward_delay 0 mcast_snooping 0")?;
        switch.ip("link set switch up")?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("pair-lab-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self { switch, folder, ports: AtomicU32::new(0) })
    }

    /// A lab for a test; `None` and a printed reason where the system does not allow one.
    ///
    /// # Panics
    /// Under `CI`, where a skipped test is an error.
    pub fn or_skip() -> Option<Self> {
        match Self::new() {
            Ok(lab) => Some(lab),
            Err(reason) => {
                assert!(std::env::var_os("CI").is_none(), "no lab, and in CI a skip is an error: {reason:#}");
                let _ = writeln!(std::io::stderr(), "SKIPPED: no lab here: {reason:#}");
                None
            }
        }
    }

    /// A new host with one interface, cabled to the switch. `address` is in CIDR form: `192.0.2.10/24`.
    pub fn host(&self, name: &str, interface: &str, address: &str) -> Result<Host> {
        let port = format!("port{}", self.ports.fetch_add(1, Ordering::Relaxed));
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Host::start(self.switch.clone(), port, name, interface, address, folder)
    }

    /// Records what the hosts send from now on.
    pub fn capture(&self) -> Result<Capture> {
        Capture::start(&self.switch)
    }

    /// Where hosts keep their files; removed with the lab.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Asks for the right to have this many files open, for this process and all it starts, and returns what is allowed:
/// without the capability to raise the limit that may be less.
pub fn open_files(wanted: u64) -> u64 {
    let allowed = || getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(_, hard)| hard);
    let hard = wanted.max(allowed());
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    allowed()
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
