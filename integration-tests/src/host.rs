//! A host: network, process, mount and name namespaces, a cable, and a first process whose end is the end of all.

use crate::netns::{Netns, run};
use crate::process::{Process, only_child};
use crate::wait;
use anyhow::{Context, Result};
use std::fs::File;
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a host may take to start.
const START_BOUND: Duration = Duration::from_secs(10);

/// What the first process of a host does: a `/proc` and `/run` of its own, users that configurations name, then wait.
/// While it waits it takes the dead away, as the first process of a host must: checks such as `killall -0` see zombies.
const FIRST_PROCESS: &str = r#"
hostname "$1"
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /home
cp /etc/passwd "$2/passwd"; cp /etc/group "$2/group"
for user in haproxy ha; do
  grep -q "^$user:" "$2/passwd" || echo "$user:x:$3:$3::/nonexistent:/usr/sbin/nologin" >>"$2/passwd"
  grep -q "^$user:" "$2/group" || echo "$user:x:$3:" >>"$2/group"
done
mount --bind "$2/passwd" /etc/passwd; mount --bind "$2/group" /etc/group
: >"$2/ready"
sleep infinity &
wait
"#;

/// One host of a [`Lab`](crate::lab::Lab). Dropping it is a power cut.
#[derive(Debug)]
pub struct Host {
    name: String,
    interface: String,
    netns: Netns,
    switch: Netns,
    port: String,
    port_index: u32,
    folder: PathBuf,
    /// `unshare`, which waits for the first process and takes it along; it dies with the thread that started the host.
    shell: Child,
    /// The first process, as this process sees its number.
    first: i32,
}

impl Host {
    pub(crate) fn start(
        switch: Netns,
        port: String,
        name: &str,
        interface: &str,
        address: &str,
        folder: PathBuf,
    ) -> Result<Self> {
        let netns = Netns::new()?;
        let mac = mac_for(address)?;
        let path = netns.path();
        switch.ip(&format!("link add {port} type veth peer name {interface} address {mac} netns {path}"))?;
        let port_index = {
            let port = port.clone();
            switch.within(move || nix::net::if_::if_nametoindex(port.as_str()))?.context("the switch's port")?
        };
        switch.ip(&format!("link set {port} master switch up"))?;
        netns.ip(&format!("addr add {address} dev {interface}"))?;
        netns.ip(&format!("link set {interface} up"))?;
        // Without privileges only one user exists in the namespace, so everyone is root there.
        let uid = if nobody_exists() { "987" } else { "0" };
        let _ = std::fs::remove_file(folder.join("ready"));
        let shell = netns
            .command("setpriv")
            .args(["--pdeathsig", "KILL", "unshare"])
            .args([
                "--pid",
                "--fork",
                "--kill-child",
                "--mount",
                "--mount-proc",
                "--uts",
                "--",
                "sh",
                "-ec",
                FIRST_PROCESS,
                "host",
            ])
            .arg(name)
            .arg(&folder)
            .arg(uid)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("host.err"))?)
            .process_group(0)
            .spawn()
            .context("cannot start a host")?;
        let mut host = Self {
            name: name.into(),
            interface: interface.into(),
            netns,
            switch,
            port,
            port_index,
            folder,
            shell,
            first: 0,
        };
        let ready = host.folder.join("ready");
        wait::until(&format!("host {name} is up"), START_BOUND, || ready.exists().then_some(()))
            .with_context(|| std::fs::read_to_string(host.folder.join("host.err")).unwrap_or_default())?;
        host.first = only_child(host.shell.id()).with_context(|| format!("host {name} has no first process"))?;
        Ok(host)
    }

    /// Its name, which is also the name of its folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where this host's files are, the same path inside and outside.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its network, for clients and servers that live in this process.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Writes a file into the host's folder and returns its path.
    pub fn write(&self, file: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(file);
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// A command that will run on this host.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.first.to_string(), "--net", "--pid", "--mount", "--uts", "--"]).arg(program);
        command
    }

    /// Runs a shell line on this host to its end and returns what it printed.
    pub fn sh(&self, line: &str) -> Result<String> {
        run(self.command("sh").arg("-c").arg(line))
    }

    /// Starts a process that goes on; its output goes to `NAME.log` in the host's folder.
    pub fn spawn(&self, name: &str, program: &Path, arguments: &[&str]) -> Result<Process> {
        let log = self.folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        let mut command = self.command(program);
        command.args(arguments).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        // When a group of processes loses its last relative in the session and one of them is stopped, all of them are sent
        // SIGHUP and SIGCONT: a test that stops a daemon must not share a group with the daemons of other tests.
        command.process_group(0);
        Process::spawn(&mut command, name, log)
    }

    /// The number by which this process knows the host's process `inside`.
    pub fn outside_pid(&self, inside: &str) -> Option<nix::unistd::Pid> {
        let namespace = std::fs::read_link(format!("/proc/{}/ns/pid", self.first)).ok()?;
        std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
            let here = numbers.split_ascii_whitespace().next_back()? == inside
                && std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok()? == namespace;
            here.then(|| nix::unistd::Pid::from_raw(pid))
        })
    }

    /// Whether the host's interfaces hold an address now.
    pub fn has_address(&self, address: IpAddr) -> Result<bool> {
        self.netns.within(move || local_addresses().any(|local| local == address))
    }

    /// Pulls the cable: nothing arrives or leaves from now on, and nobody is told.
    pub fn cut(&self) -> Result<()> {
        self.switch.ip(&format!("link set {} nomaster", self.port)).map(drop)
    }

    /// Plugs the cable in again.
    pub fn heal(&self) -> Result<()> {
        self.switch.ip(&format!("link set {} master switch", self.port)).map(drop)
    }

    /// The number of the switch's port that its cable is in: the sender of a recorded frame.
    pub fn port_index(&self) -> u32 {
        self.port_index
    }

    /// The name of its interface.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// A power cut: the cable goes dead first, so that no process can say goodbye, then everything ends at once.
    pub fn power_off(self) -> Result<()> {
        self.cut()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
        let _ = self.switch.ip(&format!("link del {}", self.port));
    }
}

/// A hardware address that follows from the IP address, so that two runs send the same octets.
fn mac_for(address: &str) -> Result<String> {
    let address = address.split('/').next().unwrap_or_default();
    let [a, b, c, d] = address.parse::<std::net::Ipv4Addr>().with_context(|| address.to_owned())?.octets();
    Ok(format!("02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}"))
}

/// The addresses of the calling thread's network namespace.
fn local_addresses() -> impl Iterator<Item = IpAddr> {
    nix::ifaddrs::getifaddrs().into_iter().flatten().filter_map(|interface| {
        let address = interface.address?;
        address
            .as_sockaddr_in()
            .map(|v4| IpAddr::V4(v4.ip()))
            .or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    })
}

/// Whether more users than root are mapped here.
fn nobody_exists() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_ascii_whitespace().nth(2).and_then(|n| n.parse::<u64>().ok()).is_some_and(|n| n > 1))
}
