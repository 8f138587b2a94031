use super::*;
use crate::command::Command;
use crate::track::script;
use crate::track::script::Outcome;
use crate::track::{Reference, References};
use crate::vrrp::Phase;
use std::time::Duration;

struct Bench {
    router: Router,
    start: Instant,
    at: Duration,
}

fn instance(name: &str, vrid: u8, vip: u8) -> Instance {
    let mut vrrp = vrrp::Settings::new(name, "eth0", vrid);
    vrrp.addresses = vec![VirtualAddress::new(IpAddr::from([10, 0, 0, vip]), 24)];
    Instance { vrrp, notify: notify::Settings::default() }
}

fn check(name: &str) -> script::Settings {
    script::Settings {
        name: name.to_owned(),
        command: Command::exec(["/bin/check"]),
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        weight: 0,
        reverse: false,
        rise: 1,
        fall: 1,
        init_fail: false,
    }
}

fn eth0(running: bool) -> Interface {
    Interface { name: "eth0".to_owned(), index: 2, running, addresses: vec![IpAddr::from([10, 0, 0, 1])] }
}

impl Bench {
    fn started(settings: Settings) -> Self {
        let mut bench = Self { router: Router::new(settings), start: crate::clock::now(), at: Duration::ZERO };
        bench.feed(Input::Interface(eth0(true)));
        bench.feed(Input::Start);
        bench
    }

    fn feed(&mut self, input: Input<'_>) -> Outputs {
        let mut out = Outputs::new();
        self.router.handle(self.start + self.at, input, &mut out);
        out
    }

    /// Scripts that are started along the way succeed at once.
    fn run(&mut self, ms: u64) {
        let end = self.at + Duration::from_millis(ms);
        while let Some(due) = self.router.next_deadline().map(|due| due - self.start).filter(|&due| due <= end) {
            self.at = due;
            for output in self.feed(Input::Time) {
                if let Output::RunScript { script, .. } = output {
                    self.feed(Input::ScriptFinished { script, outcome: Outcome::Exited(0) });
                }
            }
        }
        self.at = end;
    }

    fn phases(&self) -> Vec<Phase> {
        self.router.instances().map(vrrp::Instance::phase).collect()
    }
}

fn logs(out: &Outputs) -> Vec<&str> {
    out.iter().filter_map(|output| if let Output::Log(_, line) = output { Some(line.as_str()) } else { None }).collect()
}

#[test]
fn a_failing_script_takes_its_instance_down_and_up_again() {
    let mut tracking = instance("VI_1", 51, 50);
    tracking.vrrp.track.scripts = vec![Reference::new("chk")];
    let settings = Settings { instances: vec![tracking], scripts: vec![check("chk")], ..Settings::default() };
    let mut bench = Bench::started(settings);
    assert_eq!(bench.phases(), [Phase::Init]);
    bench.feed(Input::ScriptFinished { script: "chk".to_owned(), outcome: Outcome::Exited(0) });
    assert_eq!(bench.phases(), [Phase::Backup]);
    bench.run(4000);
    assert_eq!(bench.phases(), [Phase::Master]);
    assert_eq!(bench.router.desired_addresses().count(), 1);
    let out = bench.feed(Input::ScriptFinished { script: "chk".to_owned(), outcome: Outcome::Exited(1) });
    let expected = ["Script `chk` now returning 1", "VRRP_Script(chk) failed (exited with status 1)"];
    assert_eq!(logs(&out)[..2], expected);
    assert_eq!(logs(&out)[2], "(VI_1) Entering FAULT STATE");
    assert_eq!(bench.router.desired_addresses().count(), 0);
    bench.run(5000);
    assert_eq!(bench.phases(), [Phase::Master]);
}

#[test]
fn an_interface_going_down_is_reported_and_a_fault() {
    let settings = Settings { instances: vec![instance("VI_1", 51, 50)], ..Settings::default() };
    let mut bench = Bench::started(settings);
    bench.run(4000);
    let out = bench.feed(Input::Interface(eth0(false)));
    assert_eq!(logs(&out)[..2], ["Netlink reports eth0 down", "(VI_1) Entering FAULT STATE"]);
    let out = bench.feed(Input::Interface(eth0(true)));
    assert_eq!(logs(&out), ["Netlink reports eth0 up", "(VI_1) Entering BACKUP STATE"]);
    bench.feed(Input::InterfaceGone("eth0".to_owned()));
    assert_eq!(bench.phases(), [Phase::Fault]);
}

#[test]
fn a_group_is_master_or_in_fault_together() {
    let mut tracking = instance("VI_2", 52, 60);
    tracking.vrrp.priority = 200;
    tracking.vrrp.track.interfaces = vec![Reference::new("eth1")];
    let group = Group {
        sync: sync_group::Settings { name: "G".to_owned(), members: vec!["VI_1".to_owned(), "VI_2".to_owned()] },
        notify: notify::Settings { any: Some(Command::exec(["/n"])), ..notify::Settings::default() },
        track: References::default(),
    };
    let instances = vec![instance("VI_1", 51, 50), tracking];
    let mut bench = Bench::started(Settings { instances, groups: vec![group], ..Settings::default() });
    assert_eq!(bench.phases(), [Phase::Fault, Phase::Fault]);
    let eth1 = |running| Interface { name: "eth1".to_owned(), index: 3, ..eth0(running) };
    bench.feed(Input::Interface(eth1(true)));
    assert_eq!(bench.phases(), [Phase::Backup, Phase::Backup]);
    // VI_2 with priority 200 times out first, at 3.22 s, and waits for VI_1, which does at 3.61 s.
    bench.run(3609);
    assert_eq!(bench.phases(), [Phase::Backup, Phase::Backup]);
    bench.run(1);
    assert_eq!(bench.phases(), [Phase::Master, Phase::Master]);
    let out = bench.feed(Input::Interface(eth1(false)));
    assert!(logs(&out).contains(&"VRRP_Group(G) Syncing instances to FAULT state"), "{out:?}");
    assert_eq!(bench.phases(), [Phase::Fault, Phase::Fault]);
    let told = |output: &Output| matches!(output, Output::Notify(notice) if notice.name == "G");
    assert!(out.iter().any(told));
    bench.feed(Input::Interface(eth1(true)));
    assert_eq!(bench.phases(), [Phase::Backup, Phase::Backup]);
}

#[test]
fn a_reload_keeps_what_stays_and_ends_what_goes() {
    let settings = |names: &[(&str, u8)]| Settings {
        instances: names.iter().map(|&(name, vrid)| instance(name, vrid, vrid)).collect(),
        ..Settings::default()
    };
    let mut bench = Bench::started(settings(&[("VI_1", 51), ("VI_2", 52)]));
    bench.run(4000);
    let out = bench.feed(Input::Reload(settings(&[("VI_1", 51), ("VI_2", 52)])));
    assert_eq!(out, []);
    let out = bench.feed(Input::Reload(settings(&[("VI_3", 53), ("VI_1", 51)])));
    let expected = [
        "(VI_2) sent 0 priority",
        "(VI_2) removing VIPs.",
        "(VI_3) removing VIPs.",
        "(VI_3) Entering BACKUP STATE (init)",
    ];
    assert_eq!(logs(&out), expected);
    assert_eq!(bench.phases(), [Phase::Backup, Phase::Master]);
}

#[test]
fn an_address_that_moves_between_masters_is_never_lost() {
    let settings = |first: &[u8], second: &[u8]| {
        let with = |name, vrid, vips: &[u8]| {
            let mut instance = instance(name, vrid, 0);
            instance.vrrp.addresses =
                vips.iter().map(|&vip| VirtualAddress::new(IpAddr::from([10, 0, 0, vip]), 24)).collect();
            instance
        };
        Settings { instances: vec![with("VI_1", 51, first), with("VI_2", 52, second)], ..Settings::default() }
    };
    for (before, after) in [([&[1, 9][..], &[2]], [&[1][..], &[2, 9]]), ([&[1], &[2, 9]], [&[1, 9], &[2]])] {
        let mut bench = Bench::started(settings(before[0], before[1]));
        bench.run(4000);
        let moved = IpAddr::from([10, 0, 0, 9]);
        let out = bench.feed(Input::Reload(settings(after[0], after[1])));
        let last = out.iter().rev().find_map(|output| match output {
            Output::AddAddress { address, .. } if address.address == moved => Some(true),
            Output::RemoveAddress { address, .. } if address.address == moved => Some(false),
            _ => None,
        });
        assert_eq!(last, Some(true), "{before:?} to {after:?}: {out:?}");
    }
}

#[test]
fn adverts_from_a_virtual_mac_are_heard_where_the_kernel_delivers_them() {
    let mut vmac = instance("VI_1", 51, 50);
    vmac.vrrp.vmac = Some("vrrp.51".to_owned());
    let settings =
        Settings { instances: vec![vmac, instance("VI_2", 52, 60)], log_unknown_vrids: true, ..Settings::default() };
    let mut bench = Bench::started(settings);
    bench.feed(Input::Interface(Interface { name: "vrrp.51".to_owned(), index: 7, ..eth0(true) }));
    bench.run(4000);
    let message =
        crate::packet::vrrp2::Repr { vrid: 51, priority: 200, interval: 1, password: None, addresses: &[] }.emit();
    let source = IpAddr::from([10, 0, 0, 9]);
    let datagram =
        Datagram { source, destination: IpAddr::from([224, 0, 0, 18]), ttl: 255, header_len: 20, message: &message };
    let below = bench.feed(Input::Packet { interface: 2, datagram });
    assert_eq!(below, [], "the interface below hears it too when another instance listens there");
    assert_eq!(bench.phases(), [Phase::Master, Phase::Master]);
    bench.feed(Input::Packet { interface: 7, datagram });
    assert_eq!(bench.phases(), [Phase::Backup, Phase::Master]);
}

#[test]
fn strangers_are_reported_once() {
    let settings =
        Settings { instances: vec![instance("VI_1", 51, 50)], log_unknown_vrids: true, ..Settings::default() };
    let mut bench = Bench::started(settings);
    let message =
        crate::packet::vrrp2::Repr { vrid: 99, priority: 1, interval: 1, password: None, addresses: &[] }.emit();
    let source = IpAddr::from([10, 0, 0, 9]);
    let destination = IpAddr::from([224, 0, 0, 18]);
    let datagram = Datagram { source, destination, ttl: 255, header_len: 20, message: &message };
    let out = bench.feed(Input::Packet { interface: 2, datagram });
    assert_eq!(logs(&out), ["Unknown VRID(99) received on interface(eth0). ignoring..."]);
    assert_eq!(bench.feed(Input::Packet { interface: 2, datagram }), []);
}

fn datagram(message: &[u8], group: u8) -> Datagram<'_> {
    let (source, destination) = (IpAddr::from([10, 99, 0, 9]), IpAddr::from([224, 0, 0, group]));
    Datagram { source, destination, ttl: 255, header_len: 20, message }
}

/// Ten thousand packets of strangers in a second: a few lines, and each unknown id at most once.
#[test]
fn strangers_are_named_once_and_seldom() {
    let settings =
        Settings { instances: vec![instance("VI_1", 51, 50)], log_unknown_vrids: true, ..Settings::default() };
    let mut bench = Bench::started(settings);
    let out = bench.feed(Input::Packet { interface: 2, datagram: datagram(&[0x21, 51, 100], 18) });
    assert_eq!(logs(&out), ["IPv4 VRRP packet too short - 23 bytes"]);
    let mut lines = 0;
    for n in 0..10_000_u32 {
        bench.at += Duration::from_micros(100);
        let message = [0x21, u8::try_from(n % 256).unwrap(), 100, 1, 0, 1, 0, 0];
        let message = if n % 3 == 0 { &message[..2] } else { &message[..] };
        lines += logs(&bench.feed(Input::Packet { interface: 2, datagram: datagram(message, 18) })).len();
    }
    assert!((10..=25).contains(&lines), "{lines} lines");
}

#[test]
fn another_multicast_group_is_another_network() {
    let mut bench = Bench::started(Settings { instances: vec![instance("VI_1", 51, 50)], ..Settings::default() });
    let message = [0x21, 51, 200, 1, 0, 1, 0, 0];
    for (group, errors) in [(19, 0), (18, 1)] {
        bench.feed(Input::Packet { interface: 2, datagram: datagram(&message, group) });
        let counted = bench.router.instances().map(|instance| instance.counters().packet_errors).sum::<u64>();
        assert_eq!(counted, errors, "group 224.0.0.{group}");
    }
}

fn file(name: &str) -> track::file::Settings {
    track::file::Settings { name: name.to_owned(), path: format!("/run/{name}").into(), init: None }
}

fn value(name: &str, value: i32) -> Input<'static> {
    Input::FileRead { file: name.to_owned(), reading: track::file::Reading::Value(value) }
}

#[test]
fn a_file_adds_to_the_priority_or_is_a_fault() {
    let mut tracking = instance("VI_1", 51, 50);
    tracking.vrrp.track.files = vec![Reference { weight: 2, ..Reference::new("tf") }, Reference::new("tz")];
    tracking.vrrp.notify_priority_changes = true;
    let settings = Settings {
        instances: vec![tracking],
        files: vec![file("tf"), file("tz"), file("unused")],
        ..Settings::default()
    };
    let mut bench = Bench::started(settings);
    assert_eq!(bench.router.files().count(), 2, "what nobody tracks is not read");
    let out = bench.feed(value("tf", -15));
    assert_eq!(logs(&out), ["(VI_1) Changing effective priority from 100 to 70"]);
    let line =
        out.iter().find_map(|output| if let Output::Notify(notice) = output { Some(notice.fifo_line()) } else { None });
    assert_eq!(line.as_deref(), Some("INSTANCE \"VI_1\" BACKUP_PRIORITY 70\n"));
    let out = bench.feed(value("tz", 1));
    assert_eq!(logs(&out), ["(VI_1): tracked file tz now FAULT state", "(VI_1) Entering FAULT STATE"]);
    let out = bench.feed(value("tz", 0));
    assert_eq!(logs(&out), ["(VI_1): tracked file tz leaving FAULT state", "(VI_1) Entering BACKUP STATE"]);
    let out = bench.feed(value("tf", -127));
    assert_eq!(logs(&out)[0], "(VI_1): tracked file tf now FAULT state");
}

#[test]
fn the_quorum_of_a_group_s_process_decides_about_its_members() {
    let process = track::process::Settings {
        name: "tp".to_owned(),
        process: vec!["haproxy".to_owned()],
        param_match: track::process::ParamMatch::None,
        full_command: false,
        quorum: 2,
        quorum_max: None,
        fork_delay: Duration::ZERO,
        terminate_delay: Duration::from_secs(1),
    };
    let group = Group {
        sync: sync_group::Settings { name: "G".to_owned(), members: vec!["VI_1".to_owned()] },
        notify: notify::Settings::default(),
        track: References { processes: vec![Reference::new("tp")], ..References::default() },
    };
    let settings = Settings {
        instances: vec![instance("VI_1", 51, 50)],
        groups: vec![group],
        processes: vec![process],
        ..Settings::default()
    };
    let mut bench = Bench { router: Router::new(settings), start: crate::clock::now(), at: Duration::ZERO };
    let counted = |count| Input::ProcessesCounted { process: "tp".to_owned(), count };
    bench.feed(Input::Interface(eth0(true)));
    let out = bench.feed(counted(1));
    assert_eq!(logs(&out), ["(VI_1) entering FAULT state (tracked process tp quorum not achieved)"]);
    bench.feed(Input::Start);
    assert_eq!(bench.phases(), [Phase::Fault]);
    let out = bench.feed(counted(2));
    assert_eq!(logs(&out)[..2], ["Quorum gained for tracked process tp", "(VI_1) Entering BACKUP STATE"]);
    bench.run(4000);
    assert_eq!(bench.phases(), [Phase::Master]);
    bench.feed(counted(0));
    bench.run(999);
    assert_eq!(bench.phases(), [Phase::Master], "it may come back within a second");
    bench.run(1);
    assert_eq!(bench.phases(), [Phase::Fault]);
}

#[test]
fn what_is_not_watched_is_said_once_and_a_reload_may_tell_fifos() {
    let lost = |what: &str| Unwatched { what: what.to_owned(), why: "it is not there".to_owned() };
    let mut unwatched = instance("VI_1", 51, 50);
    unwatched.vrrp.track.unwatched = vec![lost("script a")];
    let mut settings = Settings { instances: vec![unwatched], ..Settings::default() };
    let mut bench = Bench { router: Router::new(settings.clone()), start: crate::clock::now(), at: Duration::ZERO };
    bench.feed(Input::Interface(eth0(true)));
    let out = bench.feed(Input::Start);
    let line = "(VI_1) runs UNTRACKED by script a, which is not watched: it is not there";
    assert!(out.contains(&Output::Log(Level::Error, line.to_owned())), "{out:?}");
    settings.instances[0].vrrp.track.unwatched.push(lost("bfd b"));
    settings.states_on_reload = true;
    let out = bench.feed(Input::Reload(settings));
    assert_eq!(logs(&out), ["(VI_1) runs UNTRACKED by bfd b, which is not watched: it is not there"]);
    let told = |output: &Output| matches!(output, Output::Notify(notice) if notice.fifo_line() == "INSTANCE \"VI_1\" BACKUP 100\n");
    assert!(out.iter().any(told), "{out:?}");
}

#[test]
fn a_unicast_node_needs_its_source_address() {
    let source = IpAddr::from([10, 0, 0, 77]);
    let mut unicast = instance("VI_1", 51, 50);
    unicast.vrrp.transport = Transport::Unicast {
        source: Some(source),
        peers: vec![vrrp::settings::Peer { address: IpAddr::from([10, 0, 0, 2]), min_ttl: None, max_ttl: None }],
        ttl: 255,
        check_source: false,
    };
    let anywhere = Settings { instances: vec![unicast.clone()], ..Settings::default() };
    assert_eq!(Bench::started(anywhere).phases(), [Phase::Backup]);
    unicast.vrrp.local_source = true;
    let settings = Settings { instances: vec![unicast], ..Settings::default() };
    let mut bench = Bench { router: Router::new(settings.clone()), start: crate::clock::now(), at: Duration::ZERO };
    bench.feed(Input::Interface(eth0(true)));
    let out = bench.feed(Input::Start);
    assert_eq!(bench.phases(), [Phase::Fault]);
    let lines = [
        "bind unicast_src 10.0.0.77 failed 99 - Cannot assign requested address",
        "(VI_1): entering FAULT state (src address not configured)",
        "(VI_1) Entering FAULT STATE",
    ];
    assert!(logs(&out).ends_with(&lines), "{out:?}");
    // On whichever interface it is.
    let other = |addresses| Interface { name: "dummy0".to_owned(), index: 3, running: false, addresses };
    bench.feed(Input::Interface(other(vec![source])));
    assert_eq!(bench.phases(), [Phase::Backup]);
    bench.feed(Input::Interface(other(Vec::new())));
    assert_eq!(bench.phases(), [Phase::Fault]);
    // One that we are about to put there ourselves counts from the start.
    let object = Object::Address { device: "eth0".to_owned(), address: VirtualAddress::new(source, 24) };
    let own = Settings { statics: vec![Static { object: object.clone(), track: Vec::new() }], ..settings };
    let mut bench = Bench::started(own);
    assert_eq!(bench.phases(), [Phase::Backup]);
    bench.feed(Input::Static { object, present: false });
    assert_eq!(bench.phases(), [Phase::Fault]);
}

#[test]
fn a_daemon_that_leaves_its_addresses_takes_its_static_ones_along() {
    let object =
        Object::Address { device: "eth0".to_owned(), address: VirtualAddress::new(IpAddr::from([10, 1, 0, 1]), 24) };
    let settings = Settings {
        instances: vec![instance("VI_1", 51, 50)],
        statics: vec![Static { object: object.clone(), track: Vec::new() }],
        ..Settings::default()
    };
    let mut bench = Bench::started(settings);
    bench.run(4000);
    assert_eq!(bench.phases(), [Phase::Master]);
    let out = bench.feed(Input::Leave);
    assert!(out.contains(&Output::RemoveStatic(object)), "{out:?}");
    let gives_up = |output: &Output| matches!(output, Output::RemoveAddress { .. } | Output::Advertise { .. });
    assert!(!out.iter().any(gives_up), "{out:?}");
}

#[test]
fn an_instance_needs_the_devices_of_all_it_holds() {
    let mut spread = instance("VI_1", 51, 50);
    let mut vip = VirtualAddress::new(IpAddr::from([10, 1, 0, 50]), 24);
    vip.device = Some("eth1".to_owned());
    let eth1 = |running| Interface { name: "eth1".to_owned(), index: 3, ..eth0(running) };
    let mut phase_after = |vip: &VirtualAddress, change: &dyn Fn(&mut Bench)| {
        spread.vrrp.excluded = vec![vip.clone()];
        let settings = Settings { instances: vec![spread.clone()], ..Settings::default() };
        let mut bench = Bench { router: Router::new(settings), start: crate::clock::now(), at: Duration::ZERO };
        bench.feed(Input::Interface(eth0(true)));
        bench.feed(Input::Interface(eth1(true)));
        bench.feed(Input::Start);
        bench.run(4000);
        assert_eq!(bench.phases(), [Phase::Master]);
        change(&mut bench);
        bench.phases()[0]
    };
    let down = |bench: &mut Bench| drop(bench.feed(Input::Interface(eth1(false))));
    let gone = |bench: &mut Bench| drop(bench.feed(Input::InterfaceGone("eth1".to_owned())));
    let renamed = |bench: &mut Bench| {
        let out = bench.feed(Input::InterfaceRenamed { from: "eth1".to_owned(), to: "ethx".to_owned() });
        assert_eq!(logs(&out)[0], "Interface name has changed from eth1 to ethx");
    };
    assert_eq!(phase_after(&vip, &down), Phase::Fault);
    assert_eq!(phase_after(&vip, &gone), Phase::Fault);
    assert_eq!(phase_after(&vip, &renamed), Phase::Fault);
    let back = |bench: &mut Bench| {
        gone(bench);
        bench.feed(Input::Interface(eth1(true)));
        bench.run(4000);
    };
    assert_eq!(phase_after(&vip, &back), Phase::Master);
    vip.flags.no_track = true;
    assert_eq!(phase_after(&vip, &gone), Phase::Master);
}
