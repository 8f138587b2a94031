use super::*;
use crate::packet::Family;
use crate::packet::{Datagram, Version};
use crate::route::{Route, Rule, RuleAction};
use crate::vrrp::event::{Reason, Sync};
use crate::vrrp::settings::{InitialState, OldChecksum, Transport, VirtualAddress};
use std::net::IpAddr;

/// An instance on a clock of its own, with what it did as text.
pub(super) struct Bench {
    pub(super) instance: Instance,
    pub(super) start: Instant,
    pub(super) at: Duration,
}

pub(super) const OURS: [u8; 4] = [10, 99, 0, 5];
pub(super) const UP: Link = Link { up: true, source: Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 99, 0, 5))) };

pub(super) fn settings(priority: u8) -> Settings {
    let mut settings = Settings::new("VI_1", "eth0", 51);
    settings.priority = priority;
    settings.addresses = vec![VirtualAddress::new(IpAddr::from([10, 99, 0, 50]), 24)];
    settings
}

fn text(output: &Output) -> Option<String> {
    match output {
        Output::Advertise(advert) => Some(format!("advert {}", advert.message[2])),
        Output::AddAddress(vip) => Some(format!("+{}", vip.address)),
        Output::RemoveAddress(vip) => Some(format!("-{}", vip.address)),
        Output::AddRoute(_) => Some("+route".to_owned()),
        Output::RemoveRoute(_) => Some("-route".to_owned()),
        Output::AddRule(_) => Some("+rule".to_owned()),
        Output::RemoveRule(_) => Some("-rule".to_owned()),
        Output::Filter(drop) => Some(if *drop { "drop" } else { "accept" }.to_owned()),
        Output::Announce(_) => Some("garp".to_owned()),
        Output::Notify(event, priority) => Some(format!("notify {} {priority}", event.word())),
        Output::Changed(_) => None,
        Output::Log(_, line) if line.starts_with("Sending") || line.contains("Sending/queueing") => None,
        Output::Log(_, line) => Some(line.trim_start_matches("(VI_1) ").to_owned()),
    }
}

impl Bench {
    fn unlinked(settings: Settings) -> Self {
        let instance = Instance::new(settings);
        Self { instance, start: crate::clock::now(), at: Duration::ZERO }
    }

    pub(super) fn new(settings: Settings) -> Self {
        let mut bench = Self::unlinked(settings);
        bench.feed(Input::Link(UP));
        bench
    }

    pub(super) fn started(settings: Settings) -> Self {
        let mut bench = Self::new(settings);
        bench.feed(Input::Start);
        bench
    }

    /// Started and left alone until it is master.
    pub(super) fn master(settings: Settings) -> Self {
        let mut bench = Self::started(settings);
        bench.run(4000);
        assert_eq!(bench.instance.phase(), Phase::Master);
        bench
    }

    pub(super) fn feed(&mut self, input: Input<'_>) -> Vec<String> {
        let mut out = Outputs::new();
        self.instance.handle(self.start + self.at, input, &mut out);
        out.iter().filter_map(text).collect()
    }

    /// Lets time pass, waking the instance whenever it wants to be.
    pub(super) fn run(&mut self, ms: u64) -> Vec<String> {
        let end = self.at + Duration::from_millis(ms);
        let mut all = Vec::new();
        while let Some(due) = self.instance.next_deadline().map(|due| due - self.start).filter(|&due| due <= end) {
            self.at = due;
            all.extend(self.feed(Input::Time));
        }
        self.at = end;
        all
    }

    pub(super) fn advert(&mut self, priority: u8, last: u8) -> Vec<String> {
        self.advert_as(&self.instance.settings.clone(), priority, last)
    }

    /// An advert of somebody with these settings.
    pub(super) fn advert_as(&mut self, sender: &Settings, priority: u8, last: u8) -> Vec<String> {
        let mut sent = Outputs::new();
        let source = Some(IpAddr::from([10, 99, 0, last]));
        transmit::advertise(sender, Moment { source, priority, id: 1, old_checksum: false }, &mut sent);
        let Some(Output::Advertise(advert)) = sent.first() else { panic!("nothing sent") };
        let destination = match &sender.transport {
            Transport::Multicast { group, .. } => *group,
            Transport::Unicast { .. } => IpAddr::from(OURS),
        };
        let message = &advert.message;
        self.feed(Input::Packet(Datagram { source: advert.source, destination, ttl: 255, header_len: 20, message }))
    }
}

#[test]
fn a_lone_instance_becomes_master_after_the_down_interval() {
    let mut bench = Bench::new(settings(100));
    let started = bench.feed(Input::Start);
    assert_eq!(started, ["removing VIPs.", "-10.99.0.50", "Entering BACKUP STATE (init)", "notify BACKUP 100"]);
    assert_eq!(bench.run(3609), Vec::<String>::new());
    let mut expected =
        vec!["Receive advertisement timeout", "Entering MASTER STATE", "advert 100", "setting VIPs.", "+10.99.0.50"];
    expected.extend(["garp"; 5]);
    expected.push("notify MASTER 100");
    assert_eq!(bench.run(1), expected);
    assert_eq!(bench.run(4500), ["advert 100"; 4]);
    assert_eq!(bench.run(500).iter().filter(|line| *line == "garp").count(), 5);
}

#[test]
fn the_owner_is_master_at_once_and_weights_do_not_touch_it() {
    let mut bench = Bench::new(Settings { initial: InitialState::Master, ..settings(255) });
    bench.feed(Input::Tracked(Tracked { bonus: -50, fault: false, waiting: false }));
    let started = bench.feed(Input::Start);
    assert_eq!(started[2..4], ["Entering MASTER STATE", "advert 255"]);
    let mut waiting = Bench::started(settings(255));
    assert_eq!(waiting.instance.phase(), Phase::Backup);
    waiting.run(3005);
    assert_eq!(waiting.instance.phase(), Phase::Master);
}

#[test]
fn what_a_backup_makes_of_an_advert() {
    let nopreempt = |priority| Settings { preempt: false, ..settings(priority) };
    for (settings, priority, lines, master_after_ms) in [
        (settings(100), 150, vec![], 3610),
        (settings(100), 100, vec![], 3610),
        (settings(100), 0, vec!["Backup received priority 0 advertisement"], 610),
        (settings(100), 50, vec!["received lower priority (50) advert from 10.99.0.9 - discarding"], 1110),
        (nopreempt(100), 50, vec![], 3610),
    ] {
        let mut bench = Bench::started(settings);
        bench.run(2500);
        assert_eq!(bench.advert(priority, 9), lines, "priority {priority}");
        bench.run(master_after_ms - 2);
        assert_eq!(bench.instance.phase(), Phase::Backup, "priority {priority}");
        bench.run(2);
        assert_eq!(bench.instance.phase(), Phase::Master, "priority {priority}");
    }
}

#[test]
fn what_a_master_makes_of_an_advert() {
    let mut bench = Bench::master(settings(100));
    assert_eq!(bench.advert(0, 9), ["Master received priority 0 message", "advert 100"]);
    let forced = bench.advert(50, 9);
    let line = "Received advert from 10.99.0.9 with lower priority 50, ours 100, forcing new election";
    assert_eq!(forced[..2], [line, "advert 100"]);
    assert_eq!(forced[2..7], ["garp"; 5]);
    assert_eq!(forced[7], "notify MASTER_RX_LOWER_PRI 100");
    let line = "WARNING - equal priority advert received from remote host with our IP address.";
    assert_eq!(bench.advert(100, OURS[3]), [line]);
    assert_eq!(bench.advert(100, OURS[3]), Vec::<String>::new());
    assert_eq!(bench.advert(100, 4).len(), 8);
    let yielded = bench.advert(150, 9);
    let line = "Master received advert from 10.99.0.9 with higher priority 150, ours 100";
    assert_eq!(yielded, [line, "Entering BACKUP STATE", "removing VIPs.", "-10.99.0.50", "notify BACKUP 100"]);
    let mut equal = Bench::master(settings(100));
    equal.advert(100, 6);
    assert_eq!(equal.instance.phase(), Phase::Backup);
}

#[test]
fn faults_resign_and_their_end_leads_to_backup() {
    let (own, of_the_group) = (&["advert 0", "advert 0", "sent 0 priority"][..], &["advert 0"][..]);
    for (fault, clear, farewell) in [
        (Input::Link(Link { up: false, ..UP }), Input::Link(UP), own),
        (Input::Tracked(Tracked { fault: true, ..Tracked::default() }), Input::Tracked(Tracked::default()), own),
        (Input::Group(Sync::Fault), Input::Group(Sync::Clear), of_the_group),
    ] {
        let mut bench = Bench::master(settings(100));
        let lines = bench.feed(fault);
        let removed = ["removing VIPs.", "-10.99.0.50", "notify FAULT 100"];
        assert_eq!(lines, [&["Entering FAULT STATE"], farewell, &removed].concat(), "{fault:?}");
        assert_eq!(bench.run(10_000), Vec::<String>::new());
        assert_eq!(bench.advert(0, 9), Vec::<String>::new());
        assert_eq!(bench.feed(clear), ["Entering BACKUP STATE", "notify BACKUP 100"]);
    }
}

#[test]
fn a_lost_address_of_the_interface_is_a_fault() {
    let mut bench = Bench::master(settings(100));
    let lines = bench.feed(Input::Link(Link { up: true, source: None }));
    let farewell = ["Entering FAULT STATE", "advert 0", "advert 0", "sent 0 priority"];
    assert_eq!(lines[0], "entering FAULT state (no IPv4 address for interface)");
    assert_eq!(lines[1..5], farewell, "from the address that is gone");
    assert_eq!(bench.instance.phase(), Phase::Fault);
}

#[test]
fn the_first_result_of_a_tracker_is_waited_for_in_silence() {
    let mut bench = Bench::new(settings(100));
    bench.feed(Input::Tracked(Tracked { waiting: true, ..Tracked::default() }));
    assert_eq!(bench.feed(Input::Start), ["removing VIPs.", "-10.99.0.50"]);
    assert_eq!(bench.run(60_000), Vec::<String>::new());
    let good = bench.feed(Input::Tracked(Tracked::default()));
    assert_eq!(good, ["Entering BACKUP STATE", "notify BACKUP 100"]);
    let mut bench = Bench::new(settings(100));
    bench.feed(Input::Tracked(Tracked { waiting: true, ..Tracked::default() }));
    bench.feed(Input::Start);
    let bad = bench.feed(Input::Tracked(Tracked { fault: true, ..Tracked::default() }));
    assert_eq!(bad, ["notify FAULT 100"]);
}

#[test]
fn weights_change_the_next_advert() {
    let mut bench = Bench::master(settings(100));
    let lines = bench.feed(Input::Tracked(Tracked { bonus: -30, ..Tracked::default() }));
    assert_eq!(lines, ["Changing effective priority from 100 to 70"]);
    assert_eq!(bench.run(1000), ["advert 70"]);
}

#[test]
fn preempt_delay_waits_but_misses_the_master_all_the_same() {
    let delayed = Settings { preempt_delay: Duration::from_secs(30), ..settings(200) };
    let mut bench = Bench::started(delayed);
    assert_eq!(bench.advert(100, 9), ["start preempt delay (30.000000)"]);
    for _ in 0..29 {
        bench.run(1000);
        assert_eq!(bench.advert(100, 9), Vec::<String>::new());
    }
    bench.run(1000);
    bench.run(225);
    assert_eq!(bench.instance.phase(), Phase::Master);

    let mut bench = Bench::started(Settings { preempt_delay: Duration::from_secs(30), ..settings(200) });
    bench.advert(100, 9);
    bench.run(3300);
    assert_eq!(bench.instance.phase(), Phase::Master);
}

#[test]
fn a_version_3_backup_follows_the_interval_of_its_master() {
    let mut bench = Bench::started(Settings { version: Version::V3, ..settings(100) });
    bench.instance.settings.advert_interval = Duration::from_millis(500);
    bench.advert(150, 9);
    bench.instance.settings.advert_interval = Duration::from_secs(1);
    bench.run(1800);
    assert_eq!(bench.instance.phase(), Phase::Backup);
    bench.run(5);
    assert_eq!(bench.instance.phase(), Phase::Master);
}

#[test]
fn a_stalled_master_yields_to_whoever_took_over_meanwhile() {
    let mut bench = Bench::master(settings(200));
    bench.at += Duration::from_secs(6);
    let lines = bench.advert(100, 9);
    assert!(lines[0].starts_with("A thread timer expired 5."), "{lines:?}");
    let expected = [
        "10.99.0.9 became master with priority 100 while this process was not running",
        "Entering BACKUP STATE",
        "removing VIPs.",
        "-10.99.0.50",
        "notify BACKUP 200",
        "received lower priority (100) advert from 10.99.0.9 - discarding",
    ];
    assert_eq!(lines[1..], expected);
    let mut short = Bench::master(settings(200));
    short.at += Duration::from_millis(1500);
    assert_eq!(short.feed(Input::Time), ["advert 200"]);
}

#[test]
fn a_stalled_master_that_is_alone_keeps_its_addresses_and_goes_on() {
    let mut bench = Bench::master(Settings { preempt: false, ..settings(200) });
    bench.at += Duration::from_mins(1);
    let lines = bench.feed(Input::Time);
    assert_eq!(lines.len(), 1, "it listens and says nothing: {lines:?}");
    assert_eq!(bench.run(1249), Vec::<String>::new());
    // what others say about leaving, and its own adverts in a loop, are no masters
    assert_eq!(bench.advert(0, 9), Vec::<String>::new());
    assert_eq!(bench.advert(200, 5), Vec::<String>::new());
    let lines = bench.run(1);
    assert_eq!(lines[..2], ["nobody else became master meanwhile, going on as MASTER", "advert 200"]);
    assert_eq!(lines[2..], ["garp"; 5]);
    assert_eq!(bench.run(1000), ["advert 200"]);
    assert_eq!(bench.instance.desired_addresses().count(), 1);
}

#[test]
fn stalls_of_a_listener_of_an_owner_and_with_timer_expired_backup() {
    // stalled again while it listens: it listens again
    let mut bench = Bench::master(settings(200));
    bench.at += Duration::from_secs(6);
    bench.feed(Input::Time);
    bench.at += Duration::from_secs(6);
    assert_eq!(bench.feed(Input::Time), Vec::<String>::new());
    assert!(bench.instance.is_listening());
    assert!(bench.advert(100, 9).contains(&"-10.99.0.50".to_owned()));
    // the owner has nobody to listen to
    let mut owner = Bench::new(Settings { initial: InitialState::Master, ..settings(255) });
    owner.feed(Input::Start);
    owner.at += Duration::from_secs(6);
    assert_eq!(owner.feed(Input::Time)[2..], ["advert 255", "garp", "garp", "garp", "garp", "garp"]);
    // the operator said that a stall is the end, and whom it is measured by
    let obedient = Settings { preempt: false, timer_expired_backup: Some(100), ..settings(200) };
    for (stall_ms, expected) in [(3600, Phase::Master), (3700, Phase::Backup)] {
        let mut bench = Bench::master(obedient.clone());
        let next = bench.instance.next_deadline().unwrap() - bench.start;
        bench.at = next + Duration::from_millis(stall_ms - 1000);
        bench.feed(Input::Time);
        assert_eq!(bench.instance.phase(), expected, "silent for {stall_ms} ms");
    }
}

#[test]
fn a_stalled_backup_gives_the_master_its_time_again() {
    let mut bench = Bench::started(settings(100));
    bench.advert(200, 9);
    bench.at += Duration::from_secs(20);
    let lines = bench.feed(Input::Time);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("A thread timer expired 16."));
    bench.run(3600);
    assert_eq!(bench.instance.phase(), Phase::Backup);
    bench.run(10);
    assert_eq!(bench.instance.phase(), Phase::Master);
}

#[test]
fn an_address_that_vanishes_is_put_back_by_the_master_only() {
    let mut bench = Bench::started(settings(100));
    let vip = IpAddr::from([10, 99, 0, 50]);
    assert_eq!(bench.feed(Input::AddressVanished(vip)), Vec::<String>::new());
    bench.run(4000);
    let lines = bench.feed(Input::AddressVanished(vip));
    assert_eq!(lines[1..], ["+10.99.0.50", "garp"]);
    assert_eq!(bench.feed(Input::AddressVanished(IpAddr::from([1, 2, 3, 4]))), Vec::<String>::new());
}

#[test]
fn stop_resigns_only_when_master() {
    let mut bench = Bench::master(settings(100));
    let lines = bench.feed(Input::Stop(Reason::Shutdown));
    assert_eq!(lines, ["advert 0", "sent 0 priority", "removing VIPs.", "-10.99.0.50", "notify STOP 100"]);
    assert_eq!(bench.instance.next_deadline(), None);
    let mut bench = Bench::started(settings(100));
    assert_eq!(bench.feed(Input::Stop(Reason::Deleted)), ["notify FAULT 100"]);
    // The addresses stay for the next one: neither are they removed nor is the backup called.
    let mut bench = Bench::master(settings(100));
    assert_eq!(bench.feed(Input::Stop(Reason::Left)), ["notify STOP 100"]);
}

#[test]
fn the_last_words_leave_from_the_address_that_went() {
    let own: IpAddr = "fe80::1".parse().unwrap();
    let mut settings = settings(100);
    (settings.version, settings.family) = (Version::V3, Family::Inet6);
    settings.transport = Transport::Multicast { group: "ff02::12".parse().unwrap(), source: None };
    settings.addresses = vec![VirtualAddress::new("fe80::50".parse().unwrap(), 64)];
    let mut bench = Bench::unlinked(settings);
    bench.feed(Input::Link(Link { up: true, source: Some(own) }));
    bench.feed(Input::Start);
    bench.run(5000);
    assert_eq!(bench.instance.phase(), Phase::Master);
    let mut out = Outputs::new();
    bench.instance.handle(bench.start + bench.at, Input::Link(Link { up: true, source: None }), &mut out);
    let sources: Vec<IpAddr> = out
        .iter()
        .filter_map(|output| if let Output::Advertise(advert) = output { Some(advert.source) } else { None })
        .collect();
    assert_eq!(sources, [own, own]);
    // With the interface nothing leaves any more.
    let mut bench = Bench::master(super::tests::settings(100));
    let lines = bench.feed(Input::Link(Link { up: false, source: None }));
    assert!(!lines.contains(&"advert 0".to_owned()), "{lines:?}");
}

#[test]
fn a_reload_touches_what_differs() {
    let mut bench = Bench::master(settings(100));
    let mut out = Outputs::new();
    let now = bench.start + bench.at;
    bench.instance.reload(now, settings(100), &mut out);
    assert_eq!(out, []);
    let mut changed = settings(120);
    changed.addresses = vec![VirtualAddress::new(IpAddr::from([10, 99, 0, 60]), 24)];
    bench.instance.reload(now, changed, &mut out);
    let lines: Vec<String> = out.iter().filter_map(text).collect();
    let expected = [
        "Changing effective priority from 100 to 120",
        "ip address 10.99.0.50/24 dev eth0, no longer exist",
        "-10.99.0.50",
        "+10.99.0.60",
    ];
    assert_eq!(lines[..4], expected);
    assert_eq!(lines[4..], ["garp"; 5]);
    assert_eq!(bench.instance.phase(), Phase::Master);
}

/// An instance with a route, a rule and a filter.
fn laden() -> Settings {
    let mut laden = settings(100);
    laden.routes = vec![Route::new((IpAddr::from([10, 80, 0, 0]), 16))];
    laden.rules = vec![Rule::new(Family::Inet, 1000, RuleAction::Table(7))];
    laden.accept = false;
    laden
}

#[test]
fn routes_rules_and_filter_come_and_go_with_the_state() {
    let mut bench = Bench::master(laden());
    let lines = bench.feed(Input::Stop(Reason::Shutdown));
    let gone = ["-rule", "-route", "-10.99.0.50", "accept"];
    let found: Vec<&String> = lines.iter().filter(|line| gone.contains(&line.as_str())).collect();
    assert_eq!(found, gone);
    let mut bench = Bench::started(laden());
    let lines = bench.run(4000);
    let there = ["drop", "+10.99.0.50", "+route", "+rule", "garp"];
    let mut found: Vec<&String> = lines.iter().filter(|line| there.contains(&line.as_str())).collect();
    found.dedup();
    assert_eq!(found, there);
}

#[test]
fn a_route_that_somebody_removed_is_put_back_unless_it_is_not_tracked() {
    let mut untracked = laden();
    untracked.rules[0].track = false;
    let mut bench = Bench::master(untracked.clone());
    assert!(bench.feed(Input::RouteVanished(&untracked.routes[0])).contains(&"+route".to_owned()));
    assert_eq!(bench.feed(Input::RuleVanished(&untracked.rules[0])), Vec::<String>::new());
    let other = Route::new((IpAddr::from([10, 81, 0, 0]), 16));
    assert_eq!(bench.feed(Input::RouteVanished(&other)), Vec::<String>::new());
}

#[test]
fn a_group_takes_an_instance_along() {
    let mut bench = Bench::started(settings(100));
    assert_eq!(bench.feed(Input::Group(Sync::Master))[0], "Entering MASTER STATE");
    let lines = bench.feed(Input::Group(Sync::Backup));
    assert_eq!(lines[..2], ["Entering BACKUP STATE", "removing VIPs."]);
    assert!(!lines.iter().any(|line| line == "advert 0"), "whom we gave way to has the whole group: {lines:?}");
    assert_eq!(bench.feed(Input::Group(Sync::Backup)), Vec::<String>::new());
}

#[test]
fn a_flood_of_bad_adverts_is_not_a_flood_of_lines() {
    let mut bench = Bench::started(settings(100));
    let source = IpAddr::from([10, 99, 0, 9]);
    let destination = IpAddr::from([224, 0, 0, 18]);
    let other = [IpAddr::from([10, 99, 0, 51])];
    let message =
        crate::packet::vrrp2::Repr { vrid: 51, priority: 50, interval: 1, password: None, addresses: &other }.emit();
    let datagram = Datagram { source, destination, ttl: 255, header_len: 20, message: &message };
    for expected in [2, 1, 1] {
        assert_eq!(bench.feed(Input::Packet(datagram)).len(), expected, "the list once, the discarding each time");
    }
    let short = [0x21, 51, 100, 9, 0, 1, 0, 0];
    let datagram = Datagram { source, destination, ttl: 255, header_len: 20, message: &short };
    assert_eq!(bench.feed(Input::Packet(datagram)).len(), 1);
    assert_eq!(bench.feed(Input::Packet(datagram)).len(), 0);
    assert_eq!(bench.instance.counters().packet_errors, 2);
}

#[test]
fn a_member_of_a_group_waits_for_the_others() {
    let mut bench = Bench::new(settings(100));
    bench.instance.set_grouped(true);
    bench.feed(Input::Start);
    assert_eq!(bench.run(5000), ["Receive advertisement timeout"]);
    assert!(bench.instance.is_ready() && !bench.instance.is_following());
    bench.advert(200, 9);
    assert!(!bench.instance.is_ready() && bench.instance.is_following());
    bench.run(5000);
    bench.advert(50, 9);
    assert!(bench.instance.is_ready(), "who may be preempted holds nobody back");
    assert_eq!(bench.feed(Input::Group(Sync::Master))[..2], ["Entering MASTER STATE", "advert 100"]);
}

/// Ten thousand forged adverts in ten seconds of each kind: what they provoke stays small.
#[test]
fn floods_provoke_a_limited_number_of_lines_and_answers() {
    type Forge = fn(u64) -> (u8, u8);
    let kinds: [(&str, bool, Forge); 6] = [
        ("worse, to a master", true, |_| (50, 9)),
        ("resigned, to a master", true, |_| (0, 9)),
        ("worse, to a backup", false, |_| (50, 9)),
        ("resigned, to a backup", false, |_| (0, 9)),
        ("better and others", false, |n| (200, u8::try_from(10 + n % 200).unwrap())),
        ("equal and ours", true, |_| (100, 5)),
    ];
    for (kind, master, forge) in kinds {
        let mut bench = if master { Bench::master(settings(100)) } else { Bench::started(settings(100)) };
        let mut lines = Vec::new();
        for n in 0..10_000 {
            lines.extend(bench.run(1));
            let (priority, last) = forge(n);
            lines.extend(bench.advert(priority, last));
        }
        let count = |text: &str| lines.iter().filter(|line| line.starts_with(text)).count();
        let adverts = count("advert");
        assert!(adverts <= 10 + 5 + 50, "{kind}: {adverts} adverts");
        assert!(count("garp") <= 5 * (adverts + 4), "{kind}: {} announcements", count("garp"));
        let words = lines.iter().filter(|line| !line.starts_with("advert") && *line != "garp").count();
        assert!(words <= 20 + 50 + 2 * 60, "{kind}: {words} lines and notifications");
    }
}

#[test]
fn priority_0_again_and_again_does_not_keep_a_backup_waiting() {
    let mut bench = Bench::started(settings(100));
    bench.advert(200, 9);
    for _ in 0..7 {
        bench.advert(0, 9);
        bench.run(100);
    }
    assert_eq!(bench.instance.phase(), Phase::Master);
}

#[test]
fn the_old_checksum_is_learned_from_a_peer() {
    let peers =
        vec![crate::vrrp::settings::Peer { address: IpAddr::from([10, 99, 0, 9]), min_ttl: None, max_ttl: None }];
    let transport = Transport::Unicast { source: None, peers, ttl: 255, check_source: false };
    let settings = Settings { version: Version::V3, transport, ..settings(100) };
    for (mode, sum) in [(OldChecksum::Auto, true), (OldChecksum::Never, false)] {
        let mut bench = Bench::master(Settings { old_unicast_checksum: mode, ..settings.clone() });
        let (source, group) = (IpAddr::from([10, 99, 0, 9]), IpAddr::from([224, 0, 0, 18]));
        let addresses = [IpAddr::from([10, 99, 0, 50])];
        let interval = Duration::from_secs(1);
        let old = crate::packet::vrrp3::Repr { vrid: 51, priority: 50, interval, addresses: &addresses };
        let message = old.emit(Some((source, group)));
        let destination = IpAddr::from(OURS);
        let datagram = Datagram { source, destination, ttl: 255, header_len: 20, message: &message };
        let lines = bench.feed(Input::Packet(datagram));
        assert_eq!(lines.contains(&"Setting unicast VRRPv3 checksum to old version".to_owned()), sum, "{lines:?}");
        let mut out = Outputs::new();
        bench.instance.handle(bench.start + bench.at + interval, Input::Time, &mut out);
        let sent = out.iter().find_map(|output| if let Output::Advertise(sent) = output { Some(sent) } else { None });
        let sent = sent.unwrap();
        let packet = crate::packet::vrrp3::Packet(crate::packet::Message::new(&sent.message).unwrap());
        assert_eq!(packet.checksum_is_valid(Some((sent.source, group))), sum);
        assert_eq!(packet.checksum_is_valid(Some((sent.source, sent.destination))), !sum);
    }
}

#[test]
fn unicast_without_peers_is_a_fault() {
    let transport = Transport::Unicast { source: None, peers: Vec::new(), ttl: 255, check_source: false };
    let mut bench = Bench::new(Settings { transport, ..settings(100) });
    let lines = bench.feed(Input::Start);
    assert!(lines.contains(&"Cannot use unicast without any peers - going to fault state".to_owned()), "{lines:?}");
    assert_eq!(bench.instance.phase(), Phase::Fault);
}

#[test]
fn two_owners_are_a_mistake_that_is_said_once() {
    let mut bench = Bench::new(Settings { initial: InitialState::Master, ..settings(255) });
    bench.feed(Input::Start);
    let lines = bench.advert(255, 4);
    assert!(lines[0].starts_with("CONFIGURATION ERROR: local instance and a remote instance"), "{lines:?}");
    assert!(!bench.advert(255, 4).iter().any(|line| line.starts_with("CONFIGURATION")));
    let lines = bench.advert(255, 9);
    assert_eq!(
        lines[0],
        "Master received advert from 10.99.0.9 with same priority 255 but higher IP address than ours"
    );
    assert_eq!(bench.instance.phase(), Phase::Backup);
}
