//! S10: two files that do not fit together make two masters, as they do with keepalived, and the log says why. The
//! figures are those of keepalived's experiments, but for the address list, which must not split a pair.

use crate::election::settings;
use crate::network::{Network, Seen};
use std::time::Duration;
use vrrpd::vrrp::settings::VirtualAddress;

/// Plays a cold start of two nodes and answers with the number of masters and the lines of both.
fn play(a: &str, b: &str, same_addresses: bool) -> (usize, Vec<String>) {
    let mut network = Network::new(1);
    for (index, options) in [a, b].into_iter().enumerate() {
        let mut settings = settings(&options.split_whitespace().collect::<Vec<_>>());
        let last = if same_addresses { 9 } else { 9 + u8::try_from(index).unwrap() };
        settings.instances[0].vrrp.addresses = vec![VirtualAddress::new([10, 0, 0, last].into(), 24)];
        let address = [10, 0, 0, 1 + u8::try_from(index).unwrap()].into();
        network.add(if index == 0 { "a" } else { "b" }, address, settings);
    }
    (0..2).for_each(|node| network.start(node));
    network.run(Duration::from_secs(15));
    let masters = (0..2).filter(|node| network.is_master(*node)).count();
    let line = |seen: &Seen| if let Seen::Log(line) = seen { Some(line.clone()) } else { None };
    (masters, network.observations.iter().filter_map(|observation| line(&observation.seen)).collect())
}

#[test]
fn s10_files_that_do_not_fit_together() {
    for (a, b, same_addresses, expected, said) in [
        ("", "", true, 1, ""),
        ("", "vrid 52", true, 2, ""),
        ("pass 1111", "pass 2222", true, 2, "received an invalid passwd!"),
        ("pass 1111", "", true, 2, "received a 0 auth, expecting 1!"),
        ("", "advert 2", true, 2, "advertisement interval mismatch mine=1 sec rcv'd=2 sec"),
        ("", "v3 1000", true, 2, "wrong version. Received 3 and expect 2"),
        ("v3 500", "v3 1000", true, 1, "advertisement interval updated from"),
        ("", "", false, 1, "not present in advert from"),
        ("peer 10.0.0.2", "peer 10.0.0.1", true, 1, ""),
        ("peer 10.0.0.2", "", true, 2, "icast packet but received"),
        ("priority 150 peer 10.0.0.2", "peer 10.0.0.7", true, 1, ""),
        ("priority 150 peer 10.0.0.7", "peer 10.0.0.1", true, 2, ""),
    ] {
        let (masters, lines) = play(a, b, same_addresses);
        assert_eq!(masters, expected, "S10: a: {a}, b: {b}: {lines:?}");
        assert!(lines.iter().any(|line| line.contains(said)), "S10: a: {a}, b: {b}: {lines:?}");
    }
}
