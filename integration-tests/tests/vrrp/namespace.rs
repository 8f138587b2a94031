//! `net_namespace`, `-s` and `instance`: where the daemon, its scripts and its files are. What is compared holds for
//! keepalived 2.2.7, too.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::conf::conf;
use integration_tests::host::Host;
use integration_tests::lab::Lab;
use integration_tests::process::Process;
use integration_tests::speaker::{Node, SLACK, Speaker};
use integration_tests::subject::Subject;
use integration_tests::wait;
use nix::sys::signal::Signal;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

/// Writes down where it runs and which pid files it sees there.
const WHERE: &str = "printf '#!/bin/sh\\nreadlink /proc/self/ns/net >/run/where\\ncd /run/keepalived\\nls *.pid >>/run/where\\n' \
                     >/run/where.sh; chmod 755 /run/where.sh";

/// A host whose interface is in a network namespace of that name, and which has no other.
fn host(lab: &Lab, namespace: &str, last: u8) -> Host {
    let host = lab.host(&format!("h{last}"), "eth0", &format!("192.0.2.{last}/24")).unwrap();
    host.sh(&format!(
        "ip netns add {namespace}; ip link set eth0 netns {namespace}; ip -n {namespace} link set lo up; \
         ip -n {namespace} address add 192.0.2.{last}/24 dev eth0; ip -n {namespace} link set eth0 up; {WHERE}"
    ))
    .unwrap();
    host
}

/// A syslog of this host's own; its lines come out as they are read, since keepalived waits for a reader.
fn syslog(host: &Host) -> Receiver<String> {
    let path = host.folder().join("syslog");
    let socket = UnixDatagram::bind(&path).unwrap();
    host.sh(&format!(
        "mount -t tmpfs tmpfs /dev; mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/urandom c 1 9; ln -s {} /dev/log",
        path.display()
    ))
    .unwrap();
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length) = socket.recv(&mut buffer) {
            if sender.send(String::from_utf8_lossy(&buffer[..length]).into_owned()).is_err() {
                return;
            }
        }
    });
    lines
}

fn start(host: &Host, subject: Subject, text: &str, more: &[&str]) -> Process {
    let file = host.write("keepalived.conf", text).unwrap().display().to_string();
    let arguments = [&["-n", "-l", "-D", "-f", &file], more].concat();
    host.spawn("vrrp", &subject.vrrp().unwrap(), &arguments).unwrap()
}

fn until(host: &Host, daemon: &Process, command: &str, wanted: &str) {
    let seen = wait::until(wanted, SLACK, || host.sh(command).unwrap_or_default().contains(wanted).then_some(()));
    seen.unwrap_or_else(|error| panic!("{error}\n{}\n{}", host.sh(command).unwrap_or_default(), daemon.log()));
}

fn files(host: &Host) -> Vec<String> {
    let found = host.sh("find /run/keepalived -name '*.pid' 2>/dev/null || true").unwrap();
    let mut files: Vec<String> = found.lines().map(str::to_owned).collect();
    files.sort();
    files
}

/// Both, where both are installed.
fn subjects() -> Vec<Subject> {
    let mut subjects = vec![Subject::Ours];
    match Speaker::Keepalived.missing() {
        None => subjects.push(Subject::Theirs),
        Some(why) => assert!(std::env::var_os("CI").is_none(), "{why}, and in CI a skip is an error"),
    }
    subjects
}

fn text(head: &str) -> String {
    format!("{head}\n{}", conf(150).set("notify \"/run/where.sh\""))
}

#[test]
fn everything_is_in_the_namespace() {
    if Lab::or_skip().is_none() {
        return;
    }
    for subject in subjects() {
        let lab = Lab::new().unwrap();
        let host = host(&lab, "blue", 11);
        let syslog = syslog(&host);
        let mut daemon = start(&host, subject, &text("net_namespace blue\ninstance one"), &[]);
        until(&host, &daemon, "ip -n blue address show dev eth0", "192.0.2.50/24");
        assert_eq!(files(&host), ["/run/keepalived/blue/keepalived_one.pid", "/run/keepalived/blue/vrrp_one.pid"]);
        // The script, too, and there the files have their usual names.
        let inside = host.sh("ip netns exec blue readlink /proc/self/ns/net").unwrap();
        until(&host, &daemon, "cat /run/where", &format!("{inside}keepalived_one.pid\nvrrp_one.pid\n"));

        let mut peer = Node::new(&lab, "b", Speaker::Vrrpd, 12).unwrap();
        peer.configure(&conf(100).to_string()).unwrap();
        peer.start().unwrap();
        peer.logs("(VI_1) Entering BACKUP STATE").unwrap();
        daemon.signal(Signal::SIGTERM).unwrap();
        assert!(daemon.wait(SLACK).unwrap().success(), "{}", daemon.log());
        peer.logs("(VI_1) Entering MASTER STATE").unwrap();
        assert!(host.sh("test ! -e /run/keepalived").is_ok(), "the folder goes with the daemon");
        assert!(!host.sh("ip -n blue address").unwrap().contains("192.0.2.50"));

        let lines: Vec<String> = syslog.try_iter().collect();
        let has = |part: &str| lines.iter().any(|line| line.contains(part));
        assert!(has(": Changing syslog ident to Keepalived_blue_one"), "{lines:?}");
        assert!(has(" Keepalived_blue_one[") && has(" Keepalived_vrrp_blue_one["), "{lines:?}");
    }
}

/// An abstract socket belongs to the namespace in which the daemon is started, not to the one in which it works.
#[test]
fn the_service_manager_is_told_from_inside() {
    const MANAGER: &str = "vrrpd-lab-manager";
    let Some(lab) = Lab::or_skip() else { return };
    let host = host(&lab, "blue", 11);
    let bind = || UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(MANAGER)?);
    let manager = host.netns().within(bind).unwrap().unwrap();
    manager.set_read_timeout(Some(SLACK)).unwrap();
    let hear = || {
        let mut buffer = [0; 4096];
        let length = manager.recv(&mut buffer).expect("the daemon says something");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let file = host.write("keepalived.conf", &text("net_namespace blue")).unwrap().display().to_string();
    let (program, address) = (Subject::Ours.vrrp().unwrap().display().to_string(), format!("NOTIFY_SOCKET=@{MANAGER}"));
    let mut daemon =
        host.spawn("vrrp", Path::new("env"), &[&address, &program, "-n", "-l", "-D", "-f", &file]).unwrap();
    assert!(hear().starts_with("READY=1\nSTATUS="), "{}", daemon.log());
    until(&host, &daemon, "ip -n blue address show dev eth0", "192.0.2.50/24");
    daemon.signal(Signal::SIGTERM).unwrap();
    while !hear().starts_with("STOPPING=1") {}
    assert!(daemon.wait(SLACK).unwrap().success(), "{}", daemon.log());
}

#[test]
fn the_command_line_decides_over_the_file() {
    if Lab::or_skip().is_none() {
        return;
    }
    for subject in subjects() {
        let lab = Lab::new().unwrap();
        let host = host(&lab, "blue", 11);
        let daemon = start(&host, subject, &text("net_namespace red"), &["-s", "blue"]);
        until(&host, &daemon, "ip -n blue address show dev eth0", "192.0.2.50/24");
        let line = "Overriding config net_namespace 'red' with command line namespace 'blue'";
        assert!(daemon.log().contains(line), "{}", daemon.log());
        assert_eq!(files(&host), ["/run/keepalived/blue/keepalived.pid", "/run/keepalived/blue/vrrp.pid"]);
        // A reload does not move it, and says so.
        host.write("keepalived.conf", &text("net_namespace blue\ninstance two")).unwrap();
        daemon.signal(Signal::SIGHUP).unwrap();
        let line = "Cannot change instance name at a reload - please restart keepalived";
        wait::until(line, SLACK, || daemon.log().contains(line).then_some(())).unwrap();
        until(&host, &daemon, "ip -n blue address show dev eth0", "192.0.2.50/24");
    }
}

#[test]
fn a_file_is_checked_in_its_namespace() {
    let Some(lab) = Lab::or_skip() else { return };
    let host = host(&lab, "blue", 11);
    for subject in subjects() {
        let program = subject.vrrp().unwrap();
        let check = |head: &str, more: &str| {
            let file = host.write("check.conf", &text(head)).unwrap();
            host.sh(&format!("{} -t -f {} {more} 2>&1; echo $?", program.display(), file.display())).unwrap()
        };
        assert_eq!(check("net_namespace blue", ""), "0\n");
        assert_eq!(check("", "-s blue"), "0\n");
        let outside = check("", "");
        assert!(outside.contains("interface eth0 for vrrp_instance VI_1 doesn't exist"), "{outside}");
    }
}

#[test]
fn two_namespaces_on_one_host_do_not_meet() {
    let Some(lab) = Lab::or_skip() else { return };
    let host = host(&lab, "blue", 11);
    host.sh("ip netns add red; ip -n red link add eth0 type veth peer name eth1").unwrap();
    host.sh("ip -n red address add 192.0.2.21/24 dev eth0; ip -n red link set eth0 up; ip -n red link set eth1 up")
        .unwrap();
    let text = text("");
    let (blue, red) =
        (start(&host, Subject::Ours, &text, &["-s", "blue"]), start(&host, Subject::Ours, &text, &["-s", "red"]));
    let program = Subject::Ours.vrrp().unwrap();
    for (name, own, daemon) in [("blue", "192.0.2.11", &blue), ("red", "192.0.2.21", &red)] {
        until(&host, daemon, &format!("ip -n {name} address show dev eth0"), "192.0.2.50/24");
        let ask = format!("{} status -s {name}", program.display());
        until(&host, daemon, &ask, &format!("from {own}"));
    }
}

#[test]
fn a_namespace_that_is_missing_is_an_error() {
    let Some(lab) = Lab::or_skip() else { return };
    let host = lab.host("h11", "eth0", "192.0.2.11/24").unwrap();
    let mut daemon = start(&host, Subject::Ours, &text("net_namespace nowhere"), &[]);
    assert_eq!(daemon.wait(SLACK).unwrap().code(), Some(1));
    let log = daemon.log();
    assert!(log.contains("Failed to open /run/netns/nowhere: No such file or directory"), "{log}");
    assert!(log.contains("Unable to set network namespace nowhere - exiting"), "{log}");
}
