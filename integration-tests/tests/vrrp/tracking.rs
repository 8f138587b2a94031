//! Checks that take the address away, and who is told.

use crate::node::{Node, conf, pair};
use integration_tests::lab::Lab;
use integration_tests::subject::Subject;
use integration_tests::wait;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(4);

/// A check that looks for a file in the host's own `/run`, and scripts that write down what they are called with.
fn tracked(lab: &Lab, subject: Subject, weight: i32) -> Node {
    let script = format!(
        "vrrp_script chk {{\n  script \"/usr/bin/test -e /run/alive\"\n  interval 1\n  fall 2\n  rise 2\n  \
         weight {weight}\n}}\n"
    );
    let more = "  track_script {\n    chk\n  }\n  notify /usr/local/bin/told\n  \
                notify_master \"/usr/local/bin/told only master\"\n";
    let host_conf = format!("{script}{}", conf(150, more));
    let mut node = Node::new(lab, subject, 11);
    // Root's own, so that script security has nothing to say, and gone with the host's mounts.
    node.host
        .sh("touch /run/alive; mount -t tmpfs -o mode=755 tmpfs /usr/local/bin; \
             printf '#!/bin/sh\\necho \"$*\" >>/run/told\\n' >/usr/local/bin/told; chmod 755 /usr/local/bin/told")
        .unwrap();
    node.configure(&host_conf);
    node.run();
    node
}

fn told(node: &Node) -> Vec<String> {
    node.host.sh("cat /run/told 2>/dev/null || true").unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_failed_check_of_weight_0_is_a_fault_and_everybody_is_told() {
    let Some(lab) = Lab::or_skip() else { return };
    let first = tracked(&lab, Subject::from_env(), 0);
    first.wait_for_vip("master after the first result", BOUND);
    let second = Node::start(&lab, Subject::from_env(), 12, &conf(100, ""));
    second.wait_for_line("(VI_1) Entering BACKUP STATE", 1);
    first.host.sh("rm /run/alive").unwrap();
    second.wait_for_vip("the backup takes over", BOUND);
    first.wait_for_no_vip("in fault nobody has an address", BOUND);
    for line in
        ["Script `chk` now returning 1", "VRRP_Script(chk) failed (exited with status 1)", "Entering FAULT STATE"]
    {
        assert!(first.log().contains(line), "{line}\n{}", first.log());
    }
    first.host.sh("touch /run/alive").unwrap();
    first.wait_for_vip("back after two successes", BOUND);
    let expected = [
        "INSTANCE VI_1 BACKUP 150",
        "only master",
        "INSTANCE VI_1 MASTER 150",
        "INSTANCE VI_1 FAULT 150",
        "INSTANCE VI_1 BACKUP 150",
        "only master",
        "INSTANCE VI_1 MASTER 150",
    ];
    let all = wait::until("seven notifications", BOUND, || Some(told(&first)).filter(|all| all.len() >= 7));
    let mut all = all.unwrap_or_else(|_| told(&first));
    let mut expected = expected.map(str::to_owned).to_vec();
    if Subject::from_env() == Subject::Theirs {
        // keepalived starts both scripts at once, in either order.
        all.sort();
        expected.sort();
    }
    assert_eq!(all, expected);
}

#[test]
fn a_weight_lets_the_other_one_win() {
    let Some(lab) = Lab::or_skip() else { return };
    let first = tracked(&lab, Subject::from_env(), -60);
    first.wait_for_vip("master", BOUND);
    let second = Node::start(&lab, Subject::from_env(), 12, &conf(100, ""));
    second.wait_for_line("(VI_1) Entering BACKUP STATE", 1);
    first.host.sh("rm /run/alive").unwrap();
    second.wait_for_vip("100 is better than 150 - 60", BOUND);
    first.wait_for_no_vip("the worse one yields", BOUND);
    assert!(first.log().contains("(VI_1) Changing effective priority from 150 to 90"), "{}", first.log());
    first.host.sh("touch /run/alive").unwrap();
    first.wait_for_vip("150 again", BOUND);
    second.wait_for_no_vip("the worse one yields", BOUND);
}

#[test]
fn a_tracked_interface_that_goes_down_is_a_fault() {
    let Some(lab) = Lab::or_skip() else { return };
    let subjects = (Subject::from_env(), Subject::from_env());
    let (first, second) = pair(&lab, subjects, "  track_interface {\n    lo\n  }\n");
    first.host.sh("ip link set lo down").unwrap();
    second.wait_for_vip("the backup takes over", BOUND);
    first.wait_for_no_vip("in fault nobody has an address", BOUND);
    first.host.sh("ip link set lo up").unwrap();
    first.wait_for_vip("the better one takes back", BOUND);
}
