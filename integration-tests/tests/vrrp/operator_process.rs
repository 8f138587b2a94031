//! The two processes of the daemon, and what it tells about itself. For ours only, but for the respawn.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::conf::conf;
use integration_tests::lab::Lab;
use integration_tests::speaker::{Node, SLACK, Speaker};
use integration_tests::subject::Subject;
use integration_tests::wait;
use nix::sys::signal::Signal;
use std::net::IpAddr;
use std::time::Duration;

const VIP: [u8; 4] = [192, 0, 2, 50];

/// One second between adverts: a machine that is busy with other tests must not be what makes a peer miss its master.
fn text(priority: u8) -> String {
    conf(priority).set("advert_int 1").to_string()
}

fn start(lab: &Lab, last: u8, priority: u8) -> Node {
    let mut node = Node::new(lab, &format!("h{last}"), Speaker::Vrrpd, last).unwrap();
    node.configure(&text(priority)).unwrap();
    node.start().unwrap();
    node
}

fn pair(lab: &Lab) -> (Node, Node) {
    let (mut first, mut second) = (start(lab, 11, 150), start(lab, 12, 100));
    first.logs("(VI_1) Entering MASTER STATE").unwrap();
    second.logs("(VI_1) Entering BACKUP STATE").unwrap();
    (first, second)
}

fn count(node: &Node, text: &str) -> usize {
    node.log().matches(text).count()
}

/// What `vrrpd WORDS` prints on that host, and whether it says yes.
fn ask(node: &Node, words: &str) -> (bool, String) {
    let program = Subject::Ours.vrrp().unwrap();
    let output = node.host.command("sh").arg("-c").arg(format!("{} {words} 2>&1", program.display())).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_vrrp_process_that_is_killed_is_replaced_before_anybody_misses_it() {
    let Some(lab) = Lab::or_skip() else { return };
    let (mut first, second) = pair(&lab);
    for times in 1..=3 {
        first.host.sh("kill -9 $(cat /run/vrrp.pid)").unwrap();
        first.logs("VRRP child process").unwrap();
        first.logs("(VI_1) was MASTER until its process was replaced, going on").unwrap();
        assert!(first.has(IpAddr::from(VIP)), "the address never left, time {times}");
        // Of a row of processes that live for less than this, only the first is replaced at once.
        wait::pause(Duration::from_millis(1200));
    }
    assert_eq!(count(&second, "Entering MASTER STATE"), 0, "{}", second.log());
    assert!(!second.has(IpAddr::from(VIP)));
}

/// As systemd does after a kill -9 of its whole group.
#[test]
fn a_daemon_that_is_killed_whole_and_started_again_takes_its_addresses_over() {
    let Some(lab) = Lab::or_skip() else { return };
    let capture = lab.capture().unwrap();
    let (mut first, second) = pair(&lab);
    let [a, b] = [&first, &second].map(|node| node.host.port_index());
    let adverts = || capture.find_all(|frame| frame.port == a && frame.packet.is_advert(150)).len();
    // The line that it is master comes before what a start after it can know.
    let noted = || first.host.sh("grep -q VI_1 /run/vrrp.masters").is_ok().then_some(());
    wait::until("who is master is noted", SLACK, noted).unwrap();
    first.signal_all(Signal::SIGKILL).unwrap();
    first.ends().unwrap();
    let before = adverts();
    first.start().unwrap();
    first.logs("(VI_1) was MASTER until its process was replaced, going on").unwrap();
    // More than the backup waits for.
    wait::until("adverts", SLACK, || (adverts() > before + 4).then_some(())).unwrap();
    assert_eq!(count(&first, "removing VIPs"), 1, "at the first start only:\n{}", first.log());
    assert!(first.has(IpAddr::from(VIP)) && !second.has(IpAddr::from(VIP)));
    assert_eq!(count(&second, "Entering MASTER STATE"), 0, "{}", second.log());
    assert!(capture.find(|frame| frame.port == b && frame.packet.announces(IpAddr::from(VIP))).is_none());
    // In good order nothing is left to the next one.
    first.host.sh("test -s /run/vrrp.masters").unwrap();
    first.signal(Signal::SIGTERM).unwrap();
    first.ends().unwrap();
    first.host.sh("test ! -e /run/vrrp.masters").unwrap();
}

#[test]
fn a_vrrp_process_that_is_replaced_goes_on_with_the_file_of_the_start_when_the_new_one_is_broken() {
    let Some(lab) = Lab::or_skip() else { return };
    let mut node = Node::new(&lab, "h11", Speaker::Vrrpd, 11).unwrap();
    node.host.sh("mkdir -p /run/parts").unwrap();
    node.host.sh(&format!("cat >/run/parts/a.conf <<'END'\n{}\nEND", text(150))).unwrap();
    node.configure("include /run/parts/*.conf\n").unwrap();
    node.start().unwrap();
    node.logs("(VI_1) Entering MASTER STATE").unwrap();
    node.host.sh("rm -r /run/parts").unwrap();
    node.configure("vrrp_instance VI_1 {\n  virtual_router_id 0\n").unwrap();
    node.host.sh("kill -9 $(cat /run/vrrp.pid)").unwrap();
    node.logs("The configuration cannot be run, going on with that of the start").unwrap();
    node.logs("(VI_1) was MASTER until its process was replaced, going on").unwrap();
    assert!(node.has(IpAddr::from(VIP)));
}

#[test]
fn the_vrrp_process_stops_in_good_order_when_its_parent_is_killed() {
    let Some(lab) = Lab::or_skip() else { return };
    let (mut first, mut second) = pair(&lab);
    first.signal(Signal::SIGKILL).unwrap();
    first.logs("(VI_1) sent 0 priority").unwrap();
    second.logs("(VI_1) Entering MASTER STATE").unwrap();
    wait::until("the address is gone", SLACK, || (!first.has(IpAddr::from(VIP))).then_some(())).unwrap();
}

#[test]
fn a_reload_says_what_became_of_it() {
    let Some(lab) = Lab::or_skip() else { return };
    let (mut first, second) = pair(&lab);
    assert_eq!(ask(&first, "reload"), (true, String::new()));
    let broken = text(150).replace("virtual_router_id 51", "virtual_router_id 0");
    first.configure(&broken).unwrap();
    let (done, why) = ask(&first, "--reload");
    assert!(!done && why.contains("the virtual router id must be set"), "{why}");
    assert!(why.contains("The old configuration keeps running."), "{why}");
    first.logs("New config failed validation, the old one keeps running").unwrap();
    let (_, status) = ask(&first, "status");
    assert!(status.contains("! the last reload was refused"), "{status}");
    first.configure(&text(150)).unwrap();
    assert!(ask(&first, "reload").0);
    assert!(!ask(&first, "status").1.contains("refused"));
    assert_eq!(count(&first, "Entering"), 2, "BACKUP and MASTER, once each:\n{}", first.log());
    assert_eq!(count(&second, "Entering MASTER"), 0, "{}", second.log());
}

#[test]
fn the_status_says_why() {
    let Some(lab) = Lab::or_skip() else { return };
    let first = start(&lab, 11, 150);
    let alone = wait::until("the master finds itself alone", 2 * SLACK, || {
        let (_, text) = ask(&first, "status");
        text.contains("never heard a peer").then_some(text)
    })
    .unwrap();
    assert!(alone.contains("VI_1  MASTER for "), "{alone}");
    let second = start(&lab, 12, 100);
    let backup = wait::until("the backup has heard its master", SLACK, || {
        let (_, text) = ask(&second, "status");
        text.contains("192.0.2.11 is master with priority 150, ours is 100").then_some(text)
    })
    .unwrap();
    assert!(backup.contains("VI_1  BACKUP for ") && backup.contains("or this priority rises above 150"), "{backup}");
    let (_, json) = ask(&second, "status --json");
    assert!(json.starts_with('{') && json.contains("\"state\":\"BACKUP\""), "{json}");
    let (_, metrics) = ask(&second, "metrics");
    let state = "keepalived_vrrp_state{iname=\"VI_1\",intf=\"eth0\",vrid=\"51\",ip_address=\"192.0.2.50\"} 1\n";
    assert!(metrics.contains(state), "{metrics}");
    assert!(
        metrics.contains("vrrpd_seconds_since_advert{iname=\"VI_1\",intf=\"eth0\",vrid=\"51\",sender=\"192.0.2.11\"}")
    );
}

#[test]
fn a_full_disk_costs_a_dump_and_nothing_else() {
    let Some(lab) = Lab::or_skip() else { return };
    let mut node = Node::new(&lab, "h11", Speaker::Vrrpd, 11).unwrap();
    node.host.sh("mkdir /run/small; mount -t tmpfs -o size=64k tmpfs /run/small").unwrap();
    let files =
        ["state_dump_file /run/small/data", "stats_dump_file /run/small/stats", "json_dump_file /run/small/json"];
    let text = files.iter().fold(conf(150), |conf, line| conf.global(line)).to_string();
    node.configure(&text).unwrap();
    node.start().unwrap();
    node.logs("(VI_1) Entering MASTER STATE").unwrap();
    let dump = |node: &Node, signal: u8| node.host.sh(&format!("kill -{signal} $(cat /run/keepalived.pid)")).unwrap();
    dump(&node, 10);
    node.logs("Printing VRRP data").unwrap();
    let before = wait::until("a whole dump", SLACK, || {
        node.host.sh("cat /run/small/data").ok().filter(|text| text.contains("< Interfaces >"))
    })
    .unwrap();
    node.host.sh("dd if=/dev/zero of=/run/small/rest bs=1k 2>/dev/null || true").unwrap();
    for (signal, name) in [(10, "data"), (12, "stats"), (36, "json")] {
        dump(&node, signal);
        node.logs(&format!("cannot write /run/small/{name}: No space left on device")).unwrap();
    }
    assert_eq!(node.host.sh("cat /run/small/data").unwrap(), before, "the old one is whole");
    assert_eq!(node.host.sh("ls /run/small").unwrap(), "data\nrest\n", "nothing else is left");
    assert!(node.has(IpAddr::from(VIP)));
    node.host.sh("rm /run/small/rest").unwrap();
    dump(&node, 36);
    wait::until("a dump when there is room again", SLACK, || node.host.sh("test -s /run/small/json").ok()).unwrap();
}
