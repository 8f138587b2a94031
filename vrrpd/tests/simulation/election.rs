//! Elections as scripts with their transcripts: `tests/election/*.txt`.
//!
//! Above `----` is what happens, below it what every router did about it. `BLESS=1 cargo test -p vrrpd --test simulation transcripts`
//! writes the transcripts anew; the diff is for a person to read.
//!
//! ```text
//! node NAME ADDRESS [priority N] [nopreempt] [preempt_delay S] [state MASTER] [v3 MS] [garp_delay S] [vrid N]
//!                   [pass WORD] [advert S] [peer ADDRESS].. [lower_prio_no_advert] [higher_prio_send_advert]
//!                   [check WEIGHT INTERVAL RISE FALL]       a host; its check script is called `chk`
//!                   [twin PRIORITY]                         VI_2 with 10.0.1.9, in a sync group with VI_1
//! vip ADDRESS/PREFIX                                        of all nodes named so far
//! start NODE.. | stop NODE | kill NODE                      `kill` leaves the addresses behind
//! run TIME                                                  4s, 250ms
//! cut A B | block A B | heal                                both directions, only A to B, all as it was
//! stall NODE TIME | freeze NODE TIME                        the process, packets wait; the whole host, packets are lost
//! link NODE up|down | check NODE pass|fail | take NODE ADDRESS | reload NODE priority N
//! ```

use crate::network::{Network, Observation, Seen};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use vrrpd::command::Command;
use vrrpd::packet::Version;
use vrrpd::packet::auth::Password;
use vrrpd::router::{Group, Instance, Settings};
use vrrpd::track::{Reference, References};
use vrrpd::vrrp::settings::{Auth, InitialState, Peer, Transport, VirtualAddress};
use vrrpd::vrrp::{Phase, Settings as Vrrp};
use vrrpd::{notify, sync_group, track};

const RULE: &str = "----\n";

#[test]
fn transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/election");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = String::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let (script, expected) = text.split_once(RULE).unwrap_or((&text, ""));
        let transcript = play(script);
        if bless {
            std::fs::write(&path, format!("{script}{RULE}{transcript}")).unwrap();
        } else if transcript != expected {
            writeln!(wrong, "{}:\n{transcript}", path.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "transcripts differ (BLESS=1 writes them anew):\n{wrong}");
}

fn play(script: &str) -> String {
    let mut network = Network::new(1);
    let mut transcript = String::new();
    for line in script.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let told = network.observations.len();
        perform(&mut network, &words);
        if !matches!(words[0], "node" | "vip") {
            writeln!(transcript, "> {line}").unwrap();
        }
        describe(&network, told, &mut transcript);
    }
    transcript
}

fn perform(network: &mut Network, words: &[&str]) {
    let place = |network: &Network, name: &str| {
        network.nodes.iter().position(|node| node.name == name).unwrap_or_else(|| panic!("no node {name}"))
    };
    match *words {
        ["node", name, address, ref options @ ..] => {
            network.add(name, address.parse().unwrap(), settings(options));
        }
        ["vip", vip] => {
            let (address, prefix) = vip.split_once('/').unwrap();
            let vip = VirtualAddress::new(address.parse().unwrap(), prefix.parse().unwrap());
            for node in 0..network.nodes.len() {
                let mut settings = network.settings(node);
                settings.instances[0].vrrp.addresses.push(vip.clone());
                network.reload(node, settings);
            }
        }
        ["start", ref names @ ..] => names.iter().for_each(|name| network.start(place(network, name))),
        ["stop", name] => network.stop(place(network, name)),
        ["kill", name] => network.kill(place(network, name)),
        ["run", time] => network.run(duration(time)),
        ["cut", a, b] => {
            let (a, b) = (place(network, a), place(network, b));
            network.cuts.extend([(a, b), (b, a)]);
        }
        ["block", a, b] => {
            network.cuts.insert((place(network, a), place(network, b)));
        }
        ["heal"] => network.cuts.clear(),
        ["freeze", name, time] => network.freeze(place(network, name), duration(time)),
        ["stall", name, time] => network.stall(place(network, name), duration(time)),
        ["link", name, state] => network.set_link(place(network, name), state == "up"),
        ["check", name, result] => {
            let node = place(network, name);
            match result {
                "fail" => network.nodes[node].failing.insert("chk".to_owned()),
                "pass" => network.nodes[node].failing.remove("chk"),
                other => panic!("check {other}?"),
            };
        }
        ["take", name, address] => network.take_address(place(network, name), address.parse().unwrap()),
        ["reload", name, "priority", priority] => {
            let node = place(network, name);
            let mut settings = network.settings(node);
            settings.instances[0].vrrp.priority = priority.parse().unwrap();
            network.reload(node, settings);
        }
        _ => panic!("not a line of an election script: {}", words.join(" ")),
    }
}

fn duration(text: &str) -> Duration {
    let parse = |number: &str| number.parse::<u64>().unwrap_or_else(|_| panic!("not a time: {text}"));
    match text.strip_suffix("ms") {
        Some(number) => Duration::from_millis(parse(number)),
        None => Duration::from_secs(parse(text.strip_suffix('s').unwrap_or_else(|| panic!("not a time: {text}")))),
    }
}

pub(crate) fn settings(options: &[&str]) -> Settings {
    let mut vrrp = Vrrp::new("VI_1", "eth0", 51);
    let (mut scripts, mut twin) = (Vec::new(), None);
    let mut words = options.iter();
    while let Some(word) = words.next() {
        let mut number = || -> i64 { words.next().unwrap().parse().unwrap() };
        match *word {
            "priority" => vrrp.priority = u8::try_from(number()).unwrap(),
            "nopreempt" => vrrp.preempt = false,
            "lower_prio_no_advert" => vrrp.lower_prio_no_advert = true,
            "higher_prio_send_advert" => vrrp.higher_prio_send_advert = true,
            "twin" => twin = Some(u8::try_from(number()).unwrap()),
            "vrid" => vrrp.vrid = u8::try_from(number()).unwrap(),
            "advert" => vrrp.advert_interval = Duration::from_secs(number().unsigned_abs()),
            "pass" => vrrp.auth = Auth::Pass(Password::new(words.next().unwrap())),
            "peer" => {
                let peer = Peer { address: words.next().unwrap().parse().unwrap(), min_ttl: None, max_ttl: None };
                if let Transport::Unicast { peers, .. } = &mut vrrp.transport {
                    peers.push(peer);
                } else {
                    let (peers, ttl) = (vec![peer], 255);
                    vrrp.transport = Transport::Unicast { source: None, peers, ttl, check_source: false };
                }
            }
            "preempt_delay" => vrrp.preempt_delay = Duration::from_secs(number().unsigned_abs()),
            "garp_delay" => vrrp.garp.delay = Duration::from_secs(number().unsigned_abs()),
            "v3" => {
                vrrp.version = Version::V3;
                vrrp.advert_interval = Duration::from_millis(number().unsigned_abs());
            }
            "check" => {
                let weight = i16::try_from(number()).unwrap();
                let interval = Duration::from_secs(number().unsigned_abs());
                let (rise, fall) = (u32::try_from(number()).unwrap(), u32::try_from(number()).unwrap());
                vrrp.track.scripts.push(Reference { name: "chk".to_owned(), weight, reverse: false });
                scripts.push(track::script::Settings {
                    name: "chk".to_owned(),
                    command: Command::exec(["chk"]),
                    interval,
                    timeout: interval,
                    weight,
                    reverse: false,
                    rise,
                    fall,
                    init_fail: false,
                });
            }
            "state" => {
                assert_eq!(words.next(), Some(&"MASTER"));
                vrrp.initial = InitialState::Master;
            }
            other => panic!("not an option of a node: {other}"),
        }
    }
    let mut settings = Settings { scripts, ..Settings::default() };
    if let Some(priority) = twin {
        let addresses = vec![VirtualAddress::new(IpAddr::from([10, 0, 1, 9]), 24)];
        let second = Vrrp { name: "VI_2".to_owned(), vrid: vrrp.vrid + 1, priority, addresses, ..vrrp.clone() };
        settings.instances.push(Instance { vrrp: second, notify: notify::Settings::default() });
        settings.groups.push(Group {
            sync: sync_group::Settings { name: "G".to_owned(), members: vec!["VI_1".to_owned(), "VI_2".to_owned()] },
            notify: notify::Settings::default(),
            track: References::default(),
        });
    }
    settings.instances.insert(0, Instance { vrrp, notify: notify::Settings::default() });
    settings
}

/// One line for all that a node did at one instant; adverts only by the change of their priority.
fn describe(network: &Network, from: usize, transcript: &mut String) {
    let new = &network.observations[from..];
    let mut phases: BTreeMap<(usize, String), Phase> = BTreeMap::new();
    let mut priorities: BTreeMap<(usize, u8), u8> = BTreeMap::new();
    for Observation { node, seen, .. } in &network.observations[..from] {
        match seen {
            Seen::State(name, phase) => {
                phases.insert((*node, name.clone()), *phase);
            }
            Seen::Killed => phases.retain(|(of, _), _| of != node),
            Seen::Advert(vrid, priority) => {
                priorities.insert((*node, *vrid), *priority);
            }
            Seen::Added(_) | Seen::Removed(_) | Seen::Garp | Seen::Notify(_) | Seen::Log(_) => {}
        }
    }
    let mut rest = new;
    while let Some(first) = rest.first() {
        let same = |other: &&Observation| (other.at, other.node) == (first.at, first.node);
        let count = rest.iter().take_while(same).count();
        let (now, later) = rest.split_at(count);
        rest = later;
        let mut parts = Vec::new();
        for Observation { node, seen, .. } in now {
            match seen {
                Seen::Killed => {
                    parts.push("killed".to_owned());
                    phases.retain(|(of, _), _| of != node);
                }
                Seen::State(instance, phase) => {
                    let before = phases.insert((*node, instance.clone()), *phase).unwrap_or(Phase::Init);
                    let label = if instance == "VI_1" { String::new() } else { format!("{instance} ") };
                    parts.push(format!("{label}{} -> {}", name(before), name(*phase)));
                }
                Seen::Added(address) => parts.push(format!("+{address}")),
                Seen::Removed(address) => parts.push(format!("-{address}")),
                Seen::Advert(vrid, priority) => {
                    if priorities.insert((*node, *vrid), *priority) != Some(*priority) {
                        parts.push(format!("advert {priority}"));
                    }
                }
                Seen::Garp | Seen::Notify(_) => {}
                Seen::Log(line) => parts.extend(remarkable(line)),
            }
        }
        let garps = now.iter().filter(|observation| observation.seen == Seen::Garp).count();
        if garps > 0 {
            parts.push(format!("garp x{garps}"));
        }
        if !parts.is_empty() {
            let node = &network.nodes[first.node].name;
            writeln!(transcript, "{:9.3} {node} {}", first.at.as_secs_f64(), parts.join("  ")).unwrap();
        }
    }
}

/// Lines that say more than the change of state beside them.
fn remarkable(line: &str) -> Option<String> {
    let text = line.strip_prefix("(VI_1) ").unwrap_or(line);
    let telling = ["A thread timer", "VRRP_Script", "Changing", "start preempt", "Master received advert", "Received"];
    let told = telling.iter().any(|start| text.starts_with(start))
        || ["putting it back", "became master"].iter().any(|part| text.contains(part));
    told.then(|| format!("[{text}]"))
}

fn name(phase: Phase) -> String {
    phase.word().to_lowercase()
}

#[test]
fn a_script_that_makes_no_sense_is_refused() {
    let played = std::panic::catch_unwind(|| play("node a 10.0.0.1\nfly a\n"));
    assert!(played.is_err());
    assert_eq!(IpAddr::from([10, 0, 0, 1]).to_string(), "10.0.0.1");
}
