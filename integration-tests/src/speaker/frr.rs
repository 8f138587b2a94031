//! FRR's VRRP: it wants a macvlan device with the virtual router's address and MAC for each router, and zebra beside it.

use crate::host::Host;
use crate::process::Process;
use crate::wait;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// The daemon.
pub const VRRPD: &str = "/usr/lib/frr/vrrpd";
const ZEBRA: &str = "/usr/lib/frr/zebra";
const START_BOUND: Duration = Duration::from_secs(10);

/// What a keepalived.conf of one instance says, as far as FRR can be told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Router {
    vrid: u8,
    priority: u8,
    interval_ms: u32,
    addresses: Vec<String>,
    preempt: bool,
}

/// Makes the devices and starts both daemons, as the user that FRR makes for itself.
pub(super) fn start(host: &Host, conf: &str) -> Result<(Process, Process)> {
    let router = read(conf);
    host.sh(&devices(&router))?;
    let own = host.folder().join("frr").display().to_string();
    host.sh(&format!("mount -t tmpfs tmpfs /var/tmp; mkdir -p {own} /run/frr; chown frr:frr {own} /run/frr"))?;
    let api = format!("{own}/zserv.api");
    let spawn = |name: &str, program: &str, conf: &str| -> Result<Process> {
        let conf = host.write(&format!("{name}.conf"), conf)?.display().to_string();
        let pid = format!("{own}/{name}.pid");
        let common = ["--log", "stdout", "--log-level", "debug", "-P", "0", "-z", &api, "--vty_socket", &own];
        let arguments: Vec<&str> = common.into_iter().chain(["-i", &pid, "-f", &conf]).collect();
        host.spawn(name, Path::new(program), &arguments)
    };
    let _ = std::fs::remove_file(&api);
    let zebra = spawn("zebra", ZEBRA, "")?;
    wait::until("zebra listens", START_BOUND, || Path::new(&api).exists().then_some(()))
        .with_context(|| zebra.log())?;
    Ok((zebra, spawn("vrrp", VRRPD, &router.conf())?))
}

/// What FRR logs when keepalived logs `text`.
pub(super) fn words(text: &str) -> &str {
    if text.contains("Entering BACKUP STATE") {
        "-> Backup"
    } else if text.contains("Entering MASTER STATE") {
        "-> Master"
    } else {
        text
    }
}

/// Whether the last change of state that the log tells of was to master.
pub(super) fn is_master(log: &str) -> bool {
    log.rsplit_once("-> ").is_some_and(|(_, state)| state.starts_with("Master"))
}

/// A macvlan device per family with the MAC that RFC 9568 gives to the router; FRR finds it by that MAC.
fn devices(router: &Router) -> String {
    let mut lines = String::from("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1\n");
    for (family, kind) in [(4, "01"), (6, "02")] {
        let own: Vec<_> = router.addresses.iter().filter(|address| address.contains(':') == (family == 6)).collect();
        if own.is_empty() {
            continue;
        }
        let device = format!("vrrp{family}-1");
        let (mac, mut addresses) = (format!("00:00:5e:00:{kind}:{:02x}", router.vrid), String::new());
        for address in own {
            let _ = write!(addresses, "; ip address add {address} dev {device}");
        }
        // A second start finds the device as the first one left it.
        let _ = writeln!(
            lines,
            "ip link show {device} >/dev/null 2>&1 || {{ ip link add {device} link eth0 type macvlan mode bridge; \
             ip link set {device} address {mac} addrgenmode none{addresses}; }}"
        );
        let _ = writeln!(lines, "ip link set {device} up");
    }
    lines
}

impl Router {
    fn conf(&self) -> String {
        let Self { vrid, priority, interval_ms, .. } = self;
        let mut text = format!(
            "interface eth0\n vrrp {vrid} version 3\n vrrp {vrid} priority {priority}\n \
             vrrp {vrid} advertisement-interval {interval_ms}\n"
        );
        if !self.preempt {
            let _ = writeln!(text, " no vrrp {vrid} preempt");
        }
        for address in &self.addresses {
            let (kind, plain) = (if address.contains(':') { "ipv6" } else { "ip" }, address.split('/').next());
            let _ = writeln!(text, " vrrp {vrid} {kind} {}", plain.unwrap_or_default());
        }
        text
    }
}

fn read(conf: &str) -> Router {
    let mut router = Router { preempt: true, ..Router::default() };
    let mut in_addresses = false;
    for line in conf.lines() {
        match *line.split_ascii_whitespace().collect::<Vec<_>>() {
            ["virtual_router_id", vrid] => router.vrid = vrid.parse().unwrap_or(0),
            ["priority", priority] => router.priority = priority.parse().unwrap_or(0),
            ["advert_int", seconds] => {
                let seconds = Duration::from_secs_f64(seconds.parse().unwrap_or(1.0));
                router.interval_ms = u32::try_from(seconds.as_millis()).unwrap_or(u32::MAX);
            }
            ["nopreempt"] => router.preempt = false,
            ["virtual_ipaddress", "{"] => in_addresses = true,
            ["}"] => in_addresses = false,
            [address, ..] if in_addresses => router.addresses.push(address.to_owned()),
            _ => {}
        }
    }
    router
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_is_told_in_frr_s_words() {
        let router = read(
            "vrrp_instance VI_1 {\n  virtual_router_id 51\n  advert_int 0.1\n  priority 150\n  nopreempt\n  \
             virtual_ipaddress {\n    192.0.2.50/24\n    fe80::50/64 dev eth0\n  }\n}\n",
        );
        let addresses = vec!["192.0.2.50/24".to_owned(), "fe80::50/64".to_owned()];
        assert_eq!(router, Router { vrid: 51, priority: 150, interval_ms: 100, addresses, preempt: false });
        assert!(router.conf().ends_with(" no vrrp 51 preempt\n vrrp 51 ip 192.0.2.50\n vrrp 51 ipv6 fe80::50\n"));
    }
}
