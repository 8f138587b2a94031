//! What keepalived was measured to do, as tables: one row for each timer, for each event in each state, for each rule of
//! the protocol. Whole elections are in `tests/election`, what counts as an advert in `receive`.

use super::tests::{Bench, OURS, UP, settings};
use super::*;
use crate::packet::Version;
use crate::vrrp::event::Reason;
use crate::vrrp::settings::{Auth, Garp, InitialState, Peer, Transport, VirtualAddress};

const NOTHING: [&str; 0] = [];

fn version3(priority: u8, interval_ms: u64) -> Settings {
    let advert_interval = Duration::from_millis(interval_ms);
    Settings { version: Version::V3, advert_interval, ..settings(priority) }
}

fn weighted(bonus: i32) -> Tracked {
    Tracked { bonus, ..Tracked::default() }
}

/// When the instance wants to be woken next, in microseconds from now on.
fn next_usec(bench: &Bench) -> u128 {
    let due = bench.instance.next_deadline().expect("a timer runs");
    due.saturating_duration_since(bench.start + bench.at).as_micros()
}

// ---- timers

#[test]
fn master_down_interval_and_skew_time() {
    let five = Settings { down_timer_adverts: 5, ..settings(100) };
    let slow = Settings { advert_interval: Duration::from_secs(2), ..settings(100) };
    let owner = Settings { initial: InitialState::Backup, ..settings(255) };
    // settings, weights of trackers, Master_Down_Interval, what is left of it after priority 0 (Skew_Time)
    for (settings, bonus, down, skew) in [
        (settings(100), 0, 3_609_375, 609_375),
        (settings(200), 0, 3_218_750, 218_750),
        (five, 0, 5_609_375, 609_375),
        // version 2 skews by a second whatever the interval is, version 3 by the interval
        (slow, 0, 6_609_375, 609_375),
        (version3(100, 100), 0, 360_937, 60_937),
        (version3(100, 10), 0, 36_093, 6_093),
        (version3(100, 2000), 0, 7_218_750, 1_218_750),
        // the effective priority counts, and weights do not touch an owner
        (settings(150), -60, 3_648_437, 648_437),
        (owner, -50, 3_003_906, 3_906),
    ] {
        let what = format!("{} {bonus:+} {:?}", settings.priority, settings.version);
        let mut bench = Bench::new(settings);
        bench.feed(Input::Tracked(weighted(bonus)));
        bench.feed(Input::Start);
        assert_eq!(next_usec(&bench), down, "{what}");
        bench.advert(0, 9);
        assert_eq!(next_usec(&bench), skew, "{what}, after priority 0");
    }
}

#[test]
fn the_first_state() {
    // priority, `state`, when it is master
    for (priority, initial, after_ms) in [
        (255, InitialState::Master, 0),
        (255, InitialState::Backup, 3004),
        (254, InitialState::Master, 3008),
        (100, InitialState::Master, 3610),
        (100, InitialState::Backup, 3610),
    ] {
        let mut bench = Bench::started(Settings { initial, ..settings(priority) });
        if let Some(before) = u64::checked_sub(after_ms, 1) {
            bench.run(before);
            assert_eq!(bench.instance.phase(), Phase::Backup, "{priority} {initial:?}");
            bench.run(1);
        }
        assert_eq!(bench.instance.phase(), Phase::Master, "{priority} {initial:?}");
    }
}

#[test]
fn a_backup_of_version_3_takes_the_interval_of_its_master_and_a_master_its_own() {
    let mut bench = Bench::started(version3(100, 1000));
    let faster = version3(150, 500);
    assert_eq!(bench.advert_as(&faster, 150, 9), ["advertisement interval updated from 1000ms to 500ms by master"]);
    assert_eq!(bench.advert_as(&faster, 150, 9), NOTHING);
    assert_eq!(next_usec(&bench), 3 * 500_000 + 304_687);
    bench.run(1805);
    assert_eq!(bench.instance.phase(), Phase::Master);
    assert_eq!(bench.run(3000), ["advert 100"; 3], "every second again");
}

#[test]
fn another_interval_is_dropped_by_version_2_and_both_are_masters() {
    let mut bench = Bench::started(settings(100));
    let slower = Settings { advert_interval: Duration::from_secs(2), ..settings(150) };
    let line = "advertisement interval mismatch mine=1 sec rcv'd=2 sec";
    assert_eq!(bench.advert_as(&slower, 150, 9), [line]);
    bench.run(3610);
    assert_eq!(bench.instance.phase(), Phase::Master);
    assert_eq!(bench.advert_as(&slower, 150, 9), [line], "once in each state");
    assert_eq!(bench.advert_as(&slower, 150, 9), NOTHING);
    assert_eq!(bench.instance.counters().interval_errors, 3);
}

/// keepalived takes it for an interval, and is master at once.
#[test]
fn an_interval_of_zero_changes_no_timer() {
    let mut bench = Bench::started(version3(100, 1000));
    let before = next_usec(&bench);
    let zero = bench.advert_as(&version3(50, 0), 50, 9);
    assert_eq!(zero, ["advertisement interval 0 received, which no master may use"]);
    assert_eq!(next_usec(&bench), before);
}

#[test]
fn preempt_delay_begins_with_the_first_worse_advert_and_without_a_master_not_at_all() {
    let delayed = || Settings { preempt_delay: Duration::from_secs(3), ..settings(200) };
    let mut alone = Bench::started(delayed());
    alone.run(3219);
    assert_eq!(alone.instance.phase(), Phase::Master, "nobody is there to be preempted");
    let mut bench = Bench::started(delayed());
    assert_eq!(bench.advert(100, 9), ["start preempt delay (3.000000)"]);
    for second in 1..=3 {
        bench.run(1000);
        assert_eq!(bench.instance.phase(), Phase::Backup, "after {second} s");
        bench.advert(100, 9);
    }
    bench.run(219);
    assert_eq!(bench.instance.phase(), Phase::Master, "the delay and the skew");
}

// ---- events in each state

/// What is done about an event as BACKUP, as MASTER and in FAULT.
struct Row {
    event: &'static str,
    happens: fn(&mut Bench) -> Vec<String>,
    backup: &'static [&'static str],
    master: &'static [&'static str],
    fault: &'static [&'static str],
}

const FAREWELL: [&str; 2] = ["removing VIPs.", "-10.99.0.50"];
const BETTER: &str = "Master received advert from 10.99.0.9 with higher priority 200, ours 100";
const HIGHER: &str = "Master received advert from 10.99.0.9 with same priority 100 but higher IP address than ours";
const LOWER: &str = "Received advert from 10.99.0.4 with lower priority 100, ours 100, forcing new election";
const WORSE: &str = "Received advert from 10.99.0.9 with lower priority 50, ours 100, forcing new election";
const NO_ADDRESS: &str = "entering FAULT state (no IPv4 address for interface)";
const PUT_BACK: &str = "Netlink reflector reports IP 10.99.0.50 removed from eth0, putting it back";

const ROWS: &[Row] = &[
    Row {
        event: "priority 0",
        happens: |bench| bench.advert(0, 9),
        backup: &["Backup received priority 0 advertisement"],
        master: &["Master received priority 0 message", "advert 100"],
        fault: &[],
    },
    Row {
        event: "a better master",
        happens: |bench| bench.advert(200, 9),
        backup: &[],
        master: &[BETTER, "Entering BACKUP STATE", FAREWELL[0], FAREWELL[1], "notify BACKUP 100"],
        fault: &[],
    },
    Row {
        event: "an equal one with a higher address",
        happens: |bench| bench.advert(100, 9),
        backup: &[],
        master: &[HIGHER, "Entering BACKUP STATE", FAREWELL[0], FAREWELL[1], "notify BACKUP 100"],
        fault: &[],
    },
    Row {
        event: "an equal one with a lower address",
        happens: |bench| bench.advert(100, 4),
        backup: &[],
        master: &[LOWER, "advert 100", "garp", "garp", "garp", "garp", "garp", "notify MASTER_RX_LOWER_PRI 100"],
        fault: &[],
    },
    Row {
        event: "an equal one with our own address",
        happens: |bench| bench.advert(100, OURS[3]),
        backup: &[],
        master: &["WARNING - equal priority advert received from remote host with our IP address."],
        fault: &[],
    },
    Row {
        event: "a worse one",
        happens: |bench| bench.advert(50, 9),
        backup: &["received lower priority (50) advert from 10.99.0.9 - discarding"],
        master: &[WORSE, "advert 100", "garp", "garp", "garp", "garp", "garp", "notify MASTER_RX_LOWER_PRI 100"],
        fault: &[],
    },
    Row {
        event: "the interface goes down",
        happens: |bench| bench.feed(Input::Link(Link { up: false, ..UP })),
        backup: &["Entering FAULT STATE", "notify FAULT 100"],
        master: &[
            "Entering FAULT STATE",
            "advert 0",
            "advert 0",
            "sent 0 priority",
            FAREWELL[0],
            FAREWELL[1],
            "notify FAULT 100",
        ],
        fault: &[],
    },
    Row {
        event: "its own address is deleted",
        happens: |bench| bench.feed(Input::Link(Link { up: true, source: None })),
        backup: &[NO_ADDRESS, "Entering FAULT STATE", "notify FAULT 100"],
        master: &[
            NO_ADDRESS,
            "Entering FAULT STATE",
            "advert 0",
            "advert 0",
            "sent 0 priority",
            FAREWELL[0],
            FAREWELL[1],
            "notify FAULT 100",
        ],
        fault: &[],
    },
    Row {
        event: "a tracker fails",
        happens: |bench| bench.feed(Input::Tracked(Tracked { fault: true, ..Tracked::default() })),
        backup: &["Entering FAULT STATE", "notify FAULT 100"],
        master: &[
            "Entering FAULT STATE",
            "advert 0",
            "advert 0",
            "sent 0 priority",
            FAREWELL[0],
            FAREWELL[1],
            "notify FAULT 100",
        ],
        fault: &[],
    },
    Row {
        event: "a weight changes the priority",
        happens: |bench| bench.feed(Input::Tracked(Tracked { bonus: -30, ..bench.instance.tracked })),
        backup: &["Changing effective priority from 100 to 70"],
        master: &["Changing effective priority from 100 to 70"],
        fault: &["Changing effective priority from 100 to 70"],
    },
    // keepalived gives the state up and is elected again.
    Row {
        event: "somebody deletes the virtual address",
        happens: |bench| bench.feed(Input::AddressVanished(IpAddr::from([10, 99, 0, 50]))),
        backup: &[],
        master: &[PUT_BACK, "+10.99.0.50", "garp"],
        fault: &[],
    },
    Row {
        event: "SIGTERM",
        happens: |bench| bench.feed(Input::Stop(Reason::Shutdown)),
        backup: &["notify STOP 100"],
        master: &["advert 0", "sent 0 priority", FAREWELL[0], FAREWELL[1], "notify STOP 100"],
        fault: &["notify STOP 100"],
    },
    Row {
        event: "a reload without it",
        happens: |bench| bench.feed(Input::Stop(Reason::Deleted)),
        backup: &["notify FAULT 100"],
        master: &["advert 0", "sent 0 priority", FAREWELL[0], FAREWELL[1], "notify FAULT 100"],
        fault: &["notify FAULT 100"],
    },
];

fn faulty() -> Bench {
    let mut bench = Bench::started(settings(100));
    bench.feed(Input::Tracked(Tracked { fault: true, ..Tracked::default() }));
    assert_eq!(bench.instance.phase(), Phase::Fault);
    bench
}

#[test]
fn each_event_in_each_state() {
    for Row { event, happens, backup, master, fault } in ROWS {
        assert_eq!(happens(&mut Bench::started(settings(100))), *backup, "{event}, as BACKUP");
        assert_eq!(happens(&mut Bench::master(settings(100))), *master, "{event}, as MASTER");
        assert_eq!(happens(&mut faulty()), *fault, "{event}, in FAULT");
    }
}

#[test]
fn on_the_wire_the_advert_comes_before_the_address_and_the_address_before_its_announcements() {
    let mut two = settings(100);
    two.addresses.push(VirtualAddress::new(IpAddr::from([10, 99, 0, 51]), 24));
    two.garp = Garp { repeat: 2, ..Garp::default() };
    let mut bench = Bench::started(two);
    bench.run(3609);
    bench.at += Duration::from_millis(1);
    let mut out = Outputs::new();
    bench.instance.handle(bench.start + bench.at, Input::Time, &mut out);
    let told = out.iter().map(|output| match output {
        Output::Advertise(advert) => format!("advert {}", advert.message[2]),
        Output::AddAddress(vip) => format!("+{}", vip.address),
        Output::Announce(vip) => format!("garp {}", vip.address),
        Output::Log(_, line) => line.trim_start_matches("(VI_1) ").to_owned(),
        Output::Notify(event, _) => format!("notify {}", event.word()),
        other => format!("{other:?}"),
    });
    let expected = [
        "Receive advertisement timeout",
        "Entering MASTER STATE",
        "Changed(Master)",
        "advert 100",
        "setting VIPs.",
        "+10.99.0.50",
        "+10.99.0.51",
        "Sending/queueing gratuitous ARPs on eth0 for 10.99.0.50",
        "garp 10.99.0.50",
        "Sending/queueing gratuitous ARPs on eth0 for 10.99.0.51",
        "garp 10.99.0.51",
        "garp 10.99.0.50",
        "garp 10.99.0.51",
        "notify MASTER",
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert_eq!(bench.run(4999), ["advert 100"; 4], "the second set comes after five seconds");
    assert_eq!(bench.run(1).iter().filter(|line| *line == "garp").count(), 4);
}

// ---- rules of the protocol

#[test]
fn a_master_that_may_not_answer_stays_silent() {
    let mut bench = Bench::master(Settings { lower_prio_no_advert: true, ..settings(100) });
    let lines = bench.advert(50, 9);
    assert_eq!(lines[0], "Received advert from 10.99.0.9 with lower priority 50, ours 100");
    assert!(!lines.contains(&"advert 100".to_owned()), "{lines:?}");
}

/// keepalived up to 2.3.2 drops such an advert, and both are masters.
#[test]
fn an_advert_with_other_addresses_is_said_once_and_counts() {
    let mut other = settings(150);
    other.addresses.push(VirtualAddress::new(IpAddr::from([10, 99, 0, 51]), 24));
    let mut bench = Bench::started(settings(100));
    bench.run(3000);
    assert_eq!(bench.advert_as(&other, 150, 9), ["expected 1 VIPs but received 2"]);
    assert_eq!(next_usec(&bench), 3_609_375);
    assert_eq!(bench.advert_as(&other, 150, 9), NOTHING, "until the master or the state changes");
    let lines = bench.advert_as(&other, 150, 8);
    assert_eq!(lines, ["expected 1 VIPs but received 2"], "another master");
}

#[test]
fn a_node_that_lists_itself_as_a_peer_tells_itself_nothing() {
    let peer = |last| Peer { address: IpAddr::from([10, 99, 0, last]), min_ttl: None, max_ttl: None };
    let peers = vec![peer(9), peer(OURS[3]), peer(8)];
    let transport = Transport::Unicast { source: None, peers, ttl: 64, check_source: false };
    let mut bench = Bench::master(Settings { transport, ..settings(100) });
    assert_eq!(bench.run(1000), ["advert 100"; 2], "one to each of the others");
}

#[test]
fn an_owner_that_ignores_adverts_yields_to_nobody() {
    let owner =
        |owner_ignore_adverts| Settings { initial: InitialState::Master, owner_ignore_adverts, ..settings(255) };
    for (ignores, expected) in [(false, Phase::Backup), (true, Phase::Master)] {
        let mut bench = Bench::started(owner(ignores));
        bench.advert(255, 9);
        assert_eq!(bench.instance.phase(), expected, "ignores {ignores}");
    }
    let mut other = Bench::master(Settings { owner_ignore_adverts: true, ..settings(254) });
    other.advert(255, 9);
    assert_eq!(other.instance.phase(), Phase::Backup, "it is for owners");
}

#[test]
fn only_nopreempt_follows_a_worse_master() {
    // preempt, priority heard: master when its own timer runs out, although the other one is heard all the time
    for (preempt, priority, expected) in [
        (true, 50, Phase::Master),
        (true, 100, Phase::Backup),
        (true, 150, Phase::Backup),
        (false, 50, Phase::Backup),
        (false, 100, Phase::Backup),
    ] {
        let mut bench = Bench::started(Settings { preempt, ..settings(100) });
        for _ in 0..4 {
            bench.advert(priority, 4);
            bench.run(1000);
        }
        assert_eq!(bench.instance.phase(), expected, "preempt {preempt}, {priority}");
    }
}

/// AH and HMAC are not spoken. To leave them out would make two masters, so the instance takes no part.
#[test]
fn an_authentication_that_is_not_spoken_is_a_fault_for_good() {
    let mut bench = Bench::new(Settings { auth: Auth::Unsupported("auth_type AH"), ..settings(100) });
    let lines = bench.feed(Input::Start);
    let line = "auth_type AH is not supported: without it this node would not hear its peers - staying in FAULT state";
    assert!(lines.contains(&line.to_owned()), "{lines:?}");
    assert_eq!(bench.instance.phase(), Phase::Fault);
    assert_eq!(bench.run(60_000), NOTHING);
    bench.feed(Input::Tracked(weighted(10)));
    bench.feed(Input::Link(Link { up: false, ..UP }));
    bench.feed(Input::Link(UP));
    assert_eq!(bench.instance.phase(), Phase::Fault);
}
