//! A host with a VRRP speaker on it: vrrpd, the keepalived that it replaces, or FRR's.

pub mod frr;

use crate::host::Host;
use crate::lab::Lab;
use crate::process::Process;
use crate::subject::Subject;
use crate::wait;
use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// What a busy machine may add to any bound of the protocol.
pub const SLACK: Duration = Duration::from_secs(15);
/// The file that notify scripts of the lab's configurations write, in the host's own `/run`.
const TOLD: &str = "/run/told";

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speaker {
    /// This workspace's.
    Vrrpd,
    /// As installed.
    Keepalived,
    /// FRR's daemon of the same name, version 3 only.
    Frr,
}

/// One host of a pair.
#[derive(Debug)]
pub struct Node {
    /// Where it runs.
    pub host: Host,
    speaker: Speaker,
    daemon: Option<Process>,
    /// FRR's other daemon, which tells it about interfaces.
    zebra: Option<Process>,
    /// How much of the log has been waited for.
    seen: usize,
}

impl fmt::Display for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vrrpd => "vrrpd",
            Self::Keepalived => "keepalived",
            Self::Frr => "FRR",
        })
    }
}

impl Speaker {
    /// Why it cannot run here, if it cannot.
    pub fn missing(self) -> Option<String> {
        match self {
            Self::Vrrpd => Subject::Ours.vrrp().err().map(|error| error.to_string()),
            Self::Keepalived => Subject::Theirs.vrrp().err().map(|error| error.to_string()),
            Self::Frr => (!Path::new(frr::VRRPD).is_file()).then(|| "FRR is not installed: apt-get install frr".into()),
        }
    }
}

impl Node {
    /// A host of this name on which nothing runs yet.
    pub fn new(lab: &Lab, name: &str, speaker: Speaker, last: u8) -> Result<Self> {
        let host = lab.host(name, "eth0", &format!("192.0.2.{last}/24"))?;
        Ok(Self { host, speaker, daemon: None, zebra: None, seen: 0 })
    }

    /// Who speaks here.
    pub fn speaker(&self) -> Speaker {
        self.speaker
    }

    /// Writes its keepalived.conf; FRR gets what that says in its own words.
    pub fn configure(&self, conf: &str) -> Result<()> {
        self.host.write("keepalived.conf", conf).map(drop)
    }

    /// Starts the daemon.
    pub fn start(&mut self) -> Result<()> {
        let conf = self.host.folder().join("keepalived.conf").display().to_string();
        self.zebra = None;
        self.daemon = Some(match self.speaker {
            Speaker::Vrrpd => self.spawn(&Subject::Ours.vrrp()?, &["-n", "-l", "-D", "-f", &conf])?,
            Speaker::Keepalived => self.spawn(&Subject::Theirs.vrrp()?, &["-n", "-l", "-D", "-f", &conf])?,
            Speaker::Frr => {
                let (zebra, vrrpd) = frr::start(&self.host, &std::fs::read_to_string(conf)?)?;
                self.zebra = Some(zebra);
                vrrpd
            }
        });
        Ok(())
    }

    /// In front of whatever else the machine does, if that is allowed: what is compared is the daemons, not how they
    /// share a processor with compilers.
    fn spawn(&self, program: &Path, arguments: &[&str]) -> Result<Process> {
        let program = program.display().to_string();
        let arguments: Vec<&str> = ["-n", "-15", &program].into_iter().chain(arguments.iter().copied()).collect();
        self.host.spawn("vrrp", Path::new("nice"), &arguments)
    }

    /// The running daemon.
    pub fn daemon(&mut self) -> Result<&mut Process> {
        let name = self.host.name();
        self.daemon.as_mut().with_context(|| format!("no daemon was started on {name}"))
    }

    /// Sends a signal to the process that an init script or systemd would send it to.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.daemon()?.signal(signal)
    }

    /// Sends a signal to every process of the daemon.
    pub fn signal_all(&mut self, signal: Signal) -> Result<()> {
        let daemon = self.daemon()?;
        let children = crate::process::children(daemon.pid());
        let to_children = |signal| children.iter().try_for_each(|&child| kill(Pid::from_raw(child), signal));
        // keepalived's child must not outlive its parent long enough to say goodbye.
        if signal == Signal::SIGKILL {
            to_children(Signal::SIGSTOP)?;
        }
        daemon.signal(signal)?;
        to_children(signal).context("a signal to the daemon's children")?;
        if signal == Signal::SIGKILL {
            // A start while one of them is still there would find a daemon that runs.
            let gone = || children.iter().all(|child| !Path::new(&format!("/proc/{child}")).exists()).then_some(());
            wait::until("the daemon's children end", SLACK, gone)?;
        }
        Ok(())
    }

    /// Waits for the daemon's end.
    pub fn ends(&mut self) -> Result<()> {
        self.daemon()?.wait(SLACK).map(drop)
    }

    /// What the daemon has written, from its first start on.
    pub fn log(&self) -> String {
        self.daemon.as_ref().map(Process::log).unwrap_or_default()
    }

    /// Waits until the log says this, after what was waited for before.
    pub fn logs(&mut self, text: &str) -> Result<()> {
        let text = if self.speaker == Speaker::Frr { frr::words(text) } else { text };
        let found = wait::until(&format!("{} logs {text:?}", self.host.name()), SLACK, || {
            let log = self.log();
            let at = log.get(self.seen..)?.find(text)?;
            Some(self.seen + at + text.len())
        });
        self.seen = found.with_context(|| self.log())?;
        Ok(())
    }

    /// What the notify scripts of the lab's configurations were called with, in order.
    pub fn told(&self) -> Vec<String> {
        let text = self.host.sh(&format!("cat {TOLD} 2>/dev/null || true")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Whether it holds an address. FRR's devices always have it, so it is asked which state it is in.
    pub fn has(&self, address: IpAddr) -> bool {
        match self.speaker {
            Speaker::Vrrpd | Speaker::Keepalived => self.host.has_address(address).unwrap_or(false),
            Speaker::Frr => frr::is_master(&self.log()),
        }
    }
}
