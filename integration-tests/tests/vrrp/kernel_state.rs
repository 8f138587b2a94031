//! What a master puts into its kernel: virtual interfaces, routes, rules, the packet filter. The expectations are what
//! keepalived 2.2.7 made of the same files, and hold for both subjects.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use integration_tests::host::Host;
use integration_tests::lab::Lab;
use integration_tests::process::Process;
use integration_tests::subject::Subject;
use integration_tests::wait;
use nix::sys::signal::Signal;
use std::time::Duration;

/// What a busy machine may add to any bound of the protocol.
const SLACK: Duration = Duration::from_secs(10);

/// A host whose daemon runs with this file.
fn start(lab: &Lab, subject: Subject, conf: &str) -> (Host, Process) {
    let host = lab.host("h11", "eth0", "192.0.2.11/24").unwrap();
    host.write("keepalived.conf", conf).unwrap();
    let file = host.folder().join("keepalived.conf").display().to_string();
    let program = subject.vrrp().unwrap();
    let daemon = host.spawn("vrrp", &program, &["-n", "-l", "-D", "-f", &file]).unwrap();
    (host, daemon)
}

/// An instance at 100 ms with these lines.
fn conf(lines: &str) -> String {
    format!(
        "vrrp_instance V {{\n  interface eth0\n  virtual_router_id 51\n  version 3\n  advert_int 0.1\n  priority 200\n{lines}\n}}\n"
    )
}

fn until(host: &Host, daemon: &Process, command: &str, wanted: &str, there: bool) {
    let seen = wait::until(wanted, SLACK, || {
        let text = host.sh(command).unwrap_or_default();
        (text.contains(wanted) == there).then_some(())
    });
    seen.unwrap_or_else(|error| panic!("{error}\n{}\n{}", host.sh(command).unwrap_or_default(), daemon.log()));
}

fn stop(mut daemon: Process) {
    daemon.signal(Signal::SIGTERM).unwrap();
    assert!(daemon.wait(SLACK).unwrap().success(), "{}", daemon.log());
}

#[test]
fn a_virtual_interface_carries_the_address_and_its_reports_leave_below() {
    let Some(lab) = Lab::or_skip() else { return };
    let lines = "  use_vmac\n  no_accept\n  virtual_ipaddress {\n    192.0.2.50/24\n  }";
    let (host, daemon) = start(&lab, Subject::from_env(), &conf(lines));
    until(&host, &daemon, "ip -4 -o addr show dev vrrp.51", "192.0.2.50/24", true);
    let link = host.sh("ip -d link show vrrp.51").unwrap();
    assert!(link.contains("00:00:5e:00:01:33") && link.contains("macvlan mode private"), "{link}");
    assert!(link.contains("addrgenmode none"), "{link}");
    let filter = host.sh("nft list ruleset").unwrap();
    for wanted in [
        "table ip keepalived",
        "elements = { \"vrrp.51\" : \"eth0\" }",
        "ip protocol igmp meta oifkind \"macvlan\" dup to ip daddr device oif map @vmac_map drop",
        "elements = { 192.0.2.50 }",
        "ip saddr @vips drop",
        "ip daddr @vips drop",
        "hook input priority filter - 1",
    ] {
        assert!(filter.contains(wanted), "{wanted}: {filter}");
    }
    for (key, value) in [
        ("vrrp/51.arp_ignore", "1"),
        ("vrrp/51.accept_local", "1"),
        ("vrrp/51.rp_filter", "0"),
        ("eth0.arp_ignore", "1"),
    ] {
        let found = host.sh(&format!("sysctl -n net.ipv4.conf.{key}")).unwrap();
        assert_eq!(found.trim(), value, "{key}");
    }
    stop(daemon);
    assert!(host.sh("ip link show vrrp.51").is_err(), "the interface goes with the daemon");
    assert_eq!(host.sh("nft list ruleset").unwrap(), "");
}

#[test]
fn a_virtual_interface_that_somebody_removed_is_made_anew() {
    let Some(lab) = Lab::or_skip() else { return };
    let lines = "  use_vmac vm0\n  virtual_ipaddress {\n    192.0.2.50/24\n  }";
    let (host, daemon) = start(&lab, Subject::Ours, &conf(lines));
    until(&host, &daemon, "ip -4 -o addr show dev vm0", "192.0.2.50/24", true);
    host.sh("ip link del vm0").unwrap();
    until(&host, &daemon, "ip -4 -o addr show dev vm0", "192.0.2.50/24", true);
    assert!(!daemon.log().contains("Entering FAULT STATE"), "the state was never in doubt: {}", daemon.log());
    stop(daemon);
}

#[test]
fn routes_and_rules_follow_the_state_and_are_put_back() {
    let Some(lab) = Lab::or_skip() else { return };
    let lines = "  virtual_ipaddress {\n    192.0.2.50/24\n  }\n  virtual_routes {\n    \
                 10.80.0.0/16 via 192.0.2.1 dev eth0 src 192.0.2.11 metric 7 mtu 1300 tos 8\n    \
                 unreachable 10.83.0.0/16\n  }\n  virtual_rules {\n    \
                 from 10.80.0.0/16 iif eth0 fwmark 0x10/0xff table 55 priority 1000\n  }";
    let (host, daemon) = start(&lab, Subject::from_env(), &conf(lines));
    let route = "10.80.0.0/16 tos 0x08 via 192.0.2.1 dev eth0 proto keepalived src 192.0.2.11 metric 7 mtu 1300";
    until(&host, &daemon, "ip route", route, true);
    until(&host, &daemon, "ip route", "unreachable 10.83.0.0/16 proto keepalived", true);
    until(
        &host,
        &daemon,
        "ip rule",
        "1000:\tfrom 10.80.0.0/16 fwmark 0x10/0xff iif eth0 lookup 55 proto keepalived",
        true,
    );
    host.sh("ip route del 10.80.0.0/16 tos 8").unwrap();
    until(&host, &daemon, "ip route", route, true);
    host.sh("ip rule del pref 1000").unwrap();
    until(&host, &daemon, "ip rule", "1000:", true);
    stop(daemon);
    assert!(!host.sh("ip route").unwrap().contains("10.8"), "{}", host.sh("ip route").unwrap());
    assert!(!host.sh("ip rule").unwrap().contains("1000:"));
}

#[test]
fn static_objects_are_there_without_a_master_and_are_restored() {
    let Some(lab) = Lab::or_skip() else { return };
    let file = "static_ipaddress {\n  10.97.0.1/24 brd + dev eth0 label eth0:st scope site\n}\n\
                static_routes {\n  10.90.0.0/16 via 192.0.2.1 dev eth0 metric 33 table 44\n}\n"
        .to_owned()
        + &conf("  nopreempt\n  virtual_ipaddress {\n    192.0.2.50/24\n  }");
    let (host, daemon) = start(&lab, Subject::from_env(), &file);
    until(&host, &daemon, "ip -4 -o addr show dev eth0", "10.97.0.1/24 brd 10.97.0.255 scope site eth0:st", true);
    until(
        &host,
        &daemon,
        "ip route show table 44",
        "10.90.0.0/16 via 192.0.2.1 dev eth0 proto keepalived metric 33",
        true,
    );
    host.sh("ip addr del 10.97.0.1/24 dev eth0").unwrap();
    until(&host, &daemon, "ip -4 -o addr show dev eth0", "10.97.0.1/24", true);
    let line = "Restoring deleted static address 10.97.0.1/24 brd 10.97.0.255 dev eth0 scope site label eth0:st set";
    assert!(daemon.log().contains(line), "{}", daemon.log());
    stop(daemon);
    assert!(!host.sh("ip -4 -o addr show dev eth0").unwrap().contains("10.97.0.1"));
}

/// `--dont-release-vrrp`: what follows the state stays, and the backup is not called. What does not follow it goes.
#[test]
fn a_daemon_can_leave_what_it_holds() {
    let Some(lab) = Lab::or_skip() else { return };
    let host = lab.host("h11", "eth0", "192.0.2.11/24").unwrap();
    let text = "static_ipaddress {\n  10.97.0.1/24 dev eth0\n}\n".to_owned()
        + &conf(
            "  no_accept\n  use_vmac\n  virtual_ipaddress {\n    192.0.2.50/24\n  }\n  virtual_routes {\n    \
             10.80.0.0/16 via 192.0.2.1 dev eth0\n  }\n  virtual_rules {\n    from 10.80.0.0/16 table 55 priority 1000\n  }",
        );
    let file = host.write("keepalived.conf", &text).unwrap().display().to_string();
    let program = Subject::from_env().vrrp().unwrap();
    let capture = lab.capture().unwrap();
    let daemon = host.spawn("vrrp", &program, &["-n", "-l", "-D", "-V", "-f", &file]).unwrap();
    until(&host, &daemon, "ip -4 -o addr show dev vrrp.51", "192.0.2.50/24", true);
    until(&host, &daemon, "ip rule", "1000:", true);
    stop(daemon);
    assert!(host.sh("ip -4 -o addr show dev vrrp.51").unwrap().contains("192.0.2.50/24"));
    assert!(host.sh("ip route").unwrap().contains("10.80.0.0/16"));
    assert!(host.sh("ip rule").unwrap().contains("1000:"));
    assert!(!host.sh("ip -4 -o addr show dev eth0").unwrap().contains("10.97.0.1"));
    assert_eq!(host.sh("nft list ruleset").unwrap(), "");
    let adverts = capture.of(host.port_index());
    assert!(adverts.iter().any(|frame| frame.packet.is_advert(200)), "{adverts:?}");
    assert!(!adverts.iter().any(|frame| frame.packet.is_advert(0)), "{adverts:?}");
}
