//! The files of SIGUSR1, SIGUSR2 and the JSON signal, key by key beside those that keepalived writes of the same
//! configuration in the same situation: exporters read them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use integration_tests::lab::Lab;
use integration_tests::speaker::{Node, SLACK, Speaker};
use integration_tests::wait;
use std::collections::BTreeMap;

const CONF: &str = include_str!("../../../vrrpd/tests/dump/example.conf");

/// Keys of an instance or a script whose values are times, or numbers of descriptors, or that we show otherwise.
const DIVERGENT: &[(&str, &str)] = &[
    ("Last transition", "a time"),
    ("Read timeout", "a time"),
    ("Using src_ip", "link-local addresses are random"),
    ("Multicast address ff02::12, ifindex", "the index of the interface is with the interface"),
    ("fd_in", "there is one pair of sockets for each interface, not for each instance"),
    ("Password", "a secret is not written"),
    ("Flags", "keepalived forgets `none` with some instances"),
    ("Timeout", "what is in force, where keepalived writes 0 for the default"),
    ("Result", "rise and fall are counted otherwise"),
];

/// The three files that a speaker writes once its instances are masters.
struct Dumps {
    data: String,
    stats: String,
    json: String,
}

fn dumps(speaker: Speaker) -> Dumps {
    let lab = Lab::new().unwrap();
    let mut node = Node::new(&lab, "h11", speaker, 11).unwrap();
    node.host.sh("ip link add eth1 type veth peer name p1 && ip link set p1 up && ip link set eth1 up").unwrap();
    wait::until("link-local addresses are ready", SLACK, || {
        let ready = node.host.sh("ip -6 -o address show scope link -tentative").ok()?;
        (ready.contains("eth0") && ready.contains("eth1")).then_some(())
    })
    .unwrap();
    // A `/tmp` of its own, with the host's folder in it, and the programs, should they have been built there.
    let folder = node.host.folder().display();
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    node.host
        .sh(&format!(
            "mkdir /run/own /run/workspace && mount --bind {folder} /run/own && mount --bind {workspace} /run/workspace && \
             mount -t tmpfs tmpfs /tmp && mkdir -p {folder} {workspace}/. && \
             mount --bind /run/own {folder} && mount --bind /run/workspace {workspace}"
        ))
        .unwrap();
    node.configure(CONF).unwrap();
    node.start().unwrap();
    for instance in ["VI_1", "VI_2", "VI_6"] {
        let line = format!("({instance}) Entering MASTER STATE");
        let seen = wait::until(&line, SLACK, || node.log().contains(&line).then_some(()));
        seen.unwrap_or_else(|error| panic!("{error}\n{}", node.log()));
    }
    for (signal, line) in [
        (10, "Printing VRRP data for process"),
        (12, "Printing VRRP stats for process"),
        (36, "Printing VRRP as json for process"),
    ] {
        node.host.sh(&format!("kill -{signal} $(cat /run/keepalived.pid)")).unwrap();
        node.logs(line).unwrap();
    }
    let text = |name: &str, end: &str| {
        wait::until(&format!("the {name} file is whole"), SLACK, || {
            let text = node.host.sh(&format!("cat /tmp/keepalived.{name}")).ok()?;
            text.trim_end().ends_with(end).then_some(text)
        })
        .unwrap()
    };
    let json = text("json", "]");
    let stats = text("stats", "0");
    let data = wait::until("the data file is whole", SLACK, || {
        let text = node.host.sh("cat /tmp/keepalived.data").ok()?;
        text.contains("< Interfaces >").then_some(text)
    })
    .unwrap();
    Dumps { data, stats, json }
}

/// The values of each ` VRRP Instance = NAME` and ` VRRP Script = NAME`, in order; a line without `=` is a key itself.
fn blocks(data: &str) -> BTreeMap<String, Vec<String>> {
    let mut blocks: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut current = None;
    for line in data.lines() {
        if line.starts_with(" VRRP Instance = ") || line.starts_with(" VRRP Script = ") {
            current = Some(line.to_owned());
        } else if !line.starts_with("   ") {
            current = None;
        } else if let Some(name) = &current {
            blocks.entry(name.clone()).or_default().push(line.to_owned());
        }
    }
    blocks
}

fn is_divergent(line: &str) -> bool {
    DIVERGENT.iter().any(|(key, _)| line.trim_start().starts_with(key))
}

/// JSON of one line as lines, without what differs between any two runs.
fn members(json: &str) -> Vec<String> {
    let text = json.replace("\\/", "/");
    let members = text.split(",\"").map(str::to_owned);
    members
        .filter(|m| !["last_transition", "advert_sent", "auth_data"].iter().any(|name| m.starts_with(name)))
        .collect()
}

#[test]
fn the_files_of_the_signals_are_those_of_keepalived() {
    if Lab::or_skip().is_none() {
        return;
    }
    if let Some(why) = Speaker::Keepalived.missing() {
        assert!(std::env::var_os("CI").is_none(), "{why}, and in CI a skip is an error");
        std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("SKIPPED: {why}\n")).unwrap();
        return;
    }
    let (ours, theirs) = (dumps(Speaker::Vrrpd), dumps(Speaker::Keepalived));
    let (our_blocks, their_blocks) = (blocks(&ours.data), blocks(&theirs.data));
    assert_eq!(our_blocks.keys().collect::<Vec<_>>(), their_blocks.keys().collect::<Vec<_>>());
    for (name, theirs) in &their_blocks {
        let keep =
            |lines: &[String]| -> Vec<String> { lines.iter().filter(|line| !is_divergent(line)).cloned().collect() };
        assert_eq!(keep(&our_blocks[name]), keep(theirs), "{name}");
    }
    assert_eq!(members(&ours.json), members(&theirs.json));
    let counters = |stats: &str| -> Vec<String> {
        stats.lines().map(|line| line.split(": ").next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(counters(&ours.stats), counters(&theirs.stats), "the same names in the same order");
    assert!(!ours.data.contains("s3cret") && !ours.json.contains("s3cret"));
}
