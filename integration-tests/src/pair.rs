//! The whole set-up of the mission: two hosts that share one address, two web servers, a client.

use crate::host::Host;
use crate::lab::{Lab, open_files};
use crate::origin::Origin;
use crate::process::Process;
use crate::subject::Subject;
use crate::wait;
use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The shared address.
pub const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 201);
/// Where the service is reached.
pub const SERVICE: SocketAddr = SocketAddr::new(IpAddr::V4(VIP), 9001);
/// The statistics page on the shared address.
pub const STATS: SocketAddr = SocketAddr::new(IpAddr::V4(VIP), 1080);
/// The network device of both hosts.
const INTERFACE: &str = "enp0s25";
/// How long a daemon may take to start or end.
const DAEMON_BOUND: Duration = Duration::from_secs(10);
/// The servers' addresses and the ports that the three backends use.
const SERVERS: [(&str, Ipv4Addr); 2] =
    [("web1", Ipv4Addr::new(192, 0, 2, 111)), ("web2", Ipv4Addr::new(192, 0, 2, 112))];
const SERVER_PORTS: [u16; 3] = [8080, 8081, 8082];

/// The connections that the configuration asks for.
pub const MAXCONN: u64 = 30_000;

const HAPROXY_CFG: &str = include_str!("pair/haproxy.cfg");
const KEEPALIVED_CONF: &str = include_str!("pair/keepalived.conf");

/// [`MAXCONN`], or the most thousands of connections that this system has files for: two each, and some for the rest.
fn allowed_maxconn() -> u64 {
    const RESERVE: u64 = 500;
    let files = open_files(2 * MAXCONN + RESERVE);
    let thousands = files.saturating_sub(RESERVE) / 2 / 1000;
    (thousands * 1000).clamp(100, MAXCONN)
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Higher priority: holds the address while all is well.
    Master,
    /// Takes over.
    Backup,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Master => "alpha",
            Self::Backup => "beta",
        }
    }

    fn address(self) -> &'static str {
        match self {
            Self::Master => "192.0.2.21/24",
            Self::Backup => "192.0.2.22/24",
        }
    }

    /// One file serves both hosts, changed as its comments ask for.
    fn keepalived_conf(self) -> String {
        match self {
            Self::Master => KEEPALIVED_CONF.to_owned(),
            Self::Backup => {
                KEEPALIVED_CONF.replace("state MASTER ", "state BACKUP ").replace("priority 101 ", "priority 100 ")
            }
        }
    }
}

/// A host with both daemons.
#[derive(Debug)]
pub struct Node {
    /// Which of the two it is.
    pub role: Role,
    /// Where it runs.
    pub host: Host,
    subject: Subject,
    vrrp: Option<Process>,
}

impl Node {
    fn start(lab: &Lab, role: Role, subject: Subject, maxconn: u64) -> Result<Self> {
        let host = lab.host(role.name(), INTERFACE, role.address())?;
        host.sh("mkdir -p /home/ha/haproxy/conf")?;
        let config = HAPROXY_CFG.replace(&format!("maxconn {MAXCONN} "), &format!("maxconn {maxconn} "));
        host.write("haproxy.cfg", &config)?;
        host.write("keepalived.conf", &role.keepalived_conf())?;
        let mut node = Self { role, host, subject, vrrp: None };
        node.start_proxy()?;
        node.start_vrrp()?;
        Ok(node)
    }

    /// Starts the load balancer under the name that checks look for. It goes to the background by itself.
    pub fn start_proxy(&self) -> Result<()> {
        let program = self.named("haproxy", &self.subject.proxy()?)?;
        let mut process = self.host.spawn("haproxy", &program, &["-f", &self.file("haproxy.cfg")])?;
        let status = process.wait(DAEMON_BOUND)?;
        anyhow::ensure!(status.success(), "haproxy does not start on {}: {}", self.host.name(), process.log());
        self.proxy_pid().map(drop)
    }

    fn start_vrrp(&mut self) -> Result<()> {
        let program = self.named("keepalived", &self.subject.vrrp()?)?;
        self.vrrp =
            Some(self.host.spawn("keepalived", &program, &["-n", "-l", "-D", "-f", &self.file("keepalived.conf")])?);
        Ok(())
    }

    /// A link to a program under another name, in the host's folder.
    fn named(&self, name: &str, program: &std::path::Path) -> Result<PathBuf> {
        let link = self.host.folder().join(name);
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(program, &link).with_context(|| link.display().to_string())?;
        Ok(link)
    }

    fn file(&self, name: &str) -> String {
        self.host.folder().join(name).display().to_string()
    }

    /// The load balancer's process, as this process sees its number.
    fn proxy_pid(&self) -> Result<Pid> {
        let inside = self.host.sh("cat /home/ha/haproxy/conf/haproxy.pid")?.trim().to_owned();
        self.host.outside_pid(&inside).with_context(|| format!("no process {inside} on {}", self.host.name()))
    }

    /// Kills the load balancer without a warning.
    pub fn kill_proxy(&self) -> Result<()> {
        kill(self.proxy_pid()?, Signal::SIGKILL).context("kill -9 of the load balancer")
    }

    /// Whether this host holds the shared address.
    pub fn has_vip(&self) -> bool {
        self.host.has_address(IpAddr::V4(VIP)).unwrap_or(false)
    }

    /// The VRRP daemon's log so far.
    pub fn vrrp_log(&self) -> String {
        self.vrrp.as_ref().map(Process::log).unwrap_or_default()
    }
}

/// Two nodes, two servers, one client.
#[derive(Debug)]
pub struct Pair {
    // In the order in which they end.
    /// `None` while its power is off.
    pub master: Option<Node>,
    /// The other one.
    pub backup: Node,
    /// Where requests come from.
    pub client: Host,
    _origins: Vec<Origin>,
    _servers: Vec<Host>,
    subject: Subject,
    /// What the hosts' haproxy.cfg says: [`MAXCONN`] where the system allows that many open files.
    pub maxconn: u64,
    lab: Lab,
}

impl Pair {
    /// Starts everything, without waiting for an election.
    pub fn start(subject: Subject) -> Result<Self> {
        let lab = Lab::new()?;
        let maxconn = allowed_maxconn();
        let client = lab.host("client", "eth0", "192.0.2.10/24")?;
        let (mut servers, mut origins) = (Vec::new(), Vec::new());
        for (name, address) in SERVERS {
            let server = lab.host(name, "eth0", &format!("{address}/24"))?;
            for port in SERVER_PORTS {
                origins.push(Origin::start(server.netns(), SocketAddr::new(IpAddr::V4(address), port), name)?);
            }
            servers.push(server);
        }
        let master = Node::start(&lab, Role::Master, subject, maxconn)?;
        let backup = Node::start(&lab, Role::Backup, subject, maxconn)?;
        Ok(Self { master: Some(master), backup, client, _origins: origins, _servers: servers, subject, maxconn, lab })
    }

    /// The node that holds the address, if exactly one does.
    pub fn holder(&self) -> Option<Role> {
        match (self.master.as_ref().is_some_and(Node::has_vip), self.backup.has_vip()) {
            (true, false) => Some(Role::Master),
            (false, true) => Some(Role::Backup),
            (true, true) | (false, false) => None,
        }
    }

    /// Waits until a node, and only it, holds the address.
    pub fn wait_for_holder(&self, role: Role, bound: Duration) -> Result<()> {
        wait::until(&format!("{} holds {VIP}", role.name()), bound, || (self.holder() == Some(role)).then_some(()))
    }

    /// Cuts the power of the master host.
    pub fn power_off_master(&mut self) -> Result<()> {
        match self.master.take() {
            Some(node) => node.host.power_off(),
            None => Ok(()),
        }
    }

    /// Boots the master host anew, with both daemons.
    pub fn power_on_master(&mut self) -> Result<()> {
        self.master = Some(Node::start(&self.lab, Role::Master, self.subject, self.maxconn)?);
        Ok(())
    }
}
