//! A host with a VRRP speaker on it.

use integration_tests::host::Host;
use integration_tests::lab::Lab;
use integration_tests::process::Process;
use integration_tests::subject::Subject;
use integration_tests::wait;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The address they share.
pub(crate) const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 50));
/// What a busy machine may add to any bound of the protocol.
pub(crate) const SLACK: Duration = Duration::from_secs(5);

/// One of the pair.
pub(crate) struct Node {
    pub(crate) host: Host,
    pub(crate) daemon: Option<Process>,
    subject: Subject,
}

/// An instance at 100 ms, with room for more keywords.
pub(crate) fn conf(priority: u8, more: &str) -> String {
    format!(
        "global_defs {{\n  script_user root\n  enable_script_security\n}}\n\
         vrrp_instance VI_1 {{\n  state BACKUP\n  interface eth0\n  virtual_router_id 51\n  version 3\n  \
         advert_int 0.1\n  priority {priority}\n  virtual_ipaddress {{\n    192.0.2.50/24\n  }}\n{more}}}\n"
    )
}

impl Node {
    /// A host on which nothing runs yet.
    pub(crate) fn new(lab: &Lab, subject: Subject, last: u8) -> Self {
        let host = lab.host(&format!("h{last}"), "eth0", &format!("192.0.2.{last}/24")).unwrap();
        Self { host, daemon: None, subject }
    }

    /// A host whose daemon is started.
    pub(crate) fn start(lab: &Lab, subject: Subject, last: u8, conf: &str) -> Self {
        let mut node = Self::new(lab, subject, last);
        node.configure(conf);
        node.run();
        node
    }

    pub(crate) fn configure(&self, conf: &str) {
        self.host.write("keepalived.conf", conf).unwrap();
    }

    pub(crate) fn run(&mut self) {
        let conf = self.host.folder().join("keepalived.conf").display().to_string();
        let program = self.subject.vrrp().unwrap();
        self.daemon = Some(self.host.spawn("vrrp", &program, &["-n", "-l", "-D", "-f", &conf]).unwrap());
    }

    pub(crate) fn daemon(&mut self) -> &mut Process {
        self.daemon.as_mut().unwrap()
    }

    pub(crate) fn log(&self) -> String {
        self.daemon.as_ref().map(Process::log).unwrap_or_default()
    }

    pub(crate) fn has_vip(&self) -> bool {
        self.host.has_address(VIP).unwrap()
    }

    /// Waits until it holds the address.
    pub(crate) fn wait_for_vip(&self, what: &str, bound: Duration) {
        wait::until(what, bound + SLACK, || self.has_vip().then_some(()))
            .unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
    }

    /// Waits until it does not hold the address.
    pub(crate) fn wait_for_no_vip(&self, what: &str, bound: Duration) {
        wait::until(what, bound + SLACK, || (!self.has_vip()).then_some(()))
            .unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
    }

    /// Waits until the log holds a text this many times.
    pub(crate) fn wait_for_line(&self, text: &str, times: usize) {
        wait::until(text, SLACK, || (self.log().matches(text).count() >= times).then_some(()))
            .unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
    }
}

/// A pair in which the first holds the address.
pub(crate) fn pair(lab: &Lab, subjects: (Subject, Subject), more: &str) -> (Node, Node) {
    let first = Node::start(lab, subjects.0, 11, &conf(150, more));
    first.wait_for_vip("the better one becomes master", Duration::from_millis(400));
    let second = Node::start(lab, subjects.1, 12, &conf(100, ""));
    second.wait_for_line("(VI_1) Entering BACKUP STATE", 1);
    (first, second)
}
