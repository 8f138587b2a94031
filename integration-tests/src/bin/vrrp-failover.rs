//! How long the shared address is away: from an event on the master to the backup's first gratuitous ARP, vrrpd beside
//! keepalived in one run, as a Markdown table of medians.
//!
//! `vrrp-failover [ROUNDS [EVENT]]` (5, and every event whose name has this text). In each round both are measured at the
//! same time, each in a lab of its own, so that what else the machine does is the same for both. The event comes in the
//! middle between two adverts. Where a daemon is back so fast that its peer misses nothing, the address stays where it
//! is: that is 0.

use anyhow::{Context, Result};
use integration_tests::capture::Capture;
use integration_tests::clock;
use integration_tests::lab::Lab;
use integration_tests::process;
use integration_tests::speaker::{Node, SLACK, Speaker};
use integration_tests::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::time::Duration;

const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 50));
const ROUNDS: usize = 5;
/// Cells that are measured at the same time; more would wait for each other's processors.
const AT_ONCE: usize = 3;
/// What may be added to keepalived's median before the table says so: the goal of this project.
const SLOWER_MAX: Duration = Duration::from_millis(20);
/// How long after SIGTERM priority 0 may leave.
const GOODBYE_MAX: Duration = Duration::from_millis(5);
const SPEAKERS: [Speaker; 2] = [Speaker::Vrrpd, Speaker::Keepalived];

/// Adverts of a replaced process after which it is certain that the peer did not take over: more than a peer waits for.
const STAYS: usize = 5;

/// What happens to the master.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    Stop,
    KillParent,
    KillWorker,
    KillAll,
    KillAllRestart,
    LinkDown,
    CableOut,
    Stall,
    CheckFault,
    CheckWeight,
}

/// The protocol and the advert interval.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Pace {
    name: &'static str,
    version: u8,
    interval: Duration,
}

const SECOND: Pace = Pace { name: "v2, 1 s", version: 2, interval: Duration::from_secs(1) };
const PACES: [Pace; 3] = [
    SECOND,
    Pace { name: "v3, 100 ms", version: 3, interval: Duration::from_millis(100) },
    Pace { name: "v3, 10 ms", version: 3, interval: Duration::from_millis(10) },
];

const EVENTS: [Event; 10] = [
    Event::Stop,
    Event::KillParent,
    Event::KillWorker,
    Event::KillAll,
    Event::KillAllRestart,
    Event::LinkDown,
    Event::CableOut,
    Event::Stall,
    Event::CheckFault,
    Event::CheckWeight,
];

impl Event {
    fn name(self) -> &'static str {
        match self {
            Self::Stop => "SIGTERM",
            Self::KillParent => "kill -9 of the parent",
            Self::KillWorker => "kill -9 of the VRRP process",
            Self::KillAll => "kill -9 of all processes",
            Self::KillAllRestart => "kill -9 of all processes, started again",
            Self::LinkDown => "ip link set eth0 down",
            Self::CableOut => "cable pulled",
            Self::Stall => "SIGSTOP of the VRRP process",
            Self::CheckFault => "check of weight 0 fails (interval 1, fall 2)",
            Self::CheckWeight => "check of weight -60 fails (interval 1, fall 2)",
        }
    }

    /// The weight of the check, if there is one.
    fn weight(self) -> Option<i32> {
        match self {
            Self::CheckFault => Some(0),
            Self::CheckWeight => Some(-60),
            Self::Stop
            | Self::KillParent
            | Self::KillWorker
            | Self::KillAll
            | Self::KillAllRestart
            | Self::LinkDown
            | Self::CableOut
            | Self::Stall => None,
        }
    }

    /// Whether a daemon may be back before its peer misses it.
    fn may_go_unnoticed(self) -> bool {
        matches!(self, Self::KillWorker | Self::KillAllRestart)
    }

    /// Checks count in seconds, so they are measured with the slowest adverts only.
    fn paces(self) -> &'static [Pace] {
        if self.weight().is_some() { &PACES[..1] } else { &PACES }
    }

    fn happens(self, node: &mut Node) -> Result<()> {
        // The process that speaks: keepalived's child; the daemon itself where it has none.
        let parent = node.daemon()?.pid();
        let worker = process::children(parent).into_iter().next().unwrap_or(parent);
        let to_worker = |signal| kill(Pid::from_raw(worker), signal).context("the VRRP process");
        match self {
            Self::Stop => node.signal(Signal::SIGTERM),
            Self::KillParent => node.signal(Signal::SIGKILL),
            Self::KillWorker => to_worker(Signal::SIGKILL),
            Self::KillAll => node.signal_all(Signal::SIGKILL),
            Self::KillAllRestart => {
                node.signal_all(Signal::SIGKILL)?;
                node.ends()?;
                node.start()
            }
            Self::LinkDown => node.host.sh("ip link set eth0 down").map(drop),
            Self::CableOut => node.host.cut(),
            Self::Stall => to_worker(Signal::SIGSTOP),
            Self::CheckFault | Self::CheckWeight => node.host.sh("rm /run/alive").map(drop),
        }
    }
}

fn conf(priority: u8, pace: Pace, weight: Option<i32>) -> String {
    let Pace { version, interval, .. } = pace;
    let (script, track) = weight.map_or_else(Default::default, |weight| {
        let run = "script \"/usr/bin/test -e /run/alive\"\n interval 1\n fall 2\n rise 1";
        (format!("vrrp_script chk {{\n {run}\n weight {weight}\n}}\n"), " track_script {\n chk\n }\n")
    });
    format!(
        "global_defs {{\n script_user root\n enable_script_security\n}}\n{script}vrrp_instance VI_1 {{\n \
         state BACKUP\n interface eth0\n virtual_router_id 51\n version {version}\n advert_int {}\n \
         priority {priority}\n virtual_ipaddress {{\n 192.0.2.50/24\n }}\n{track}}}\n",
        interval.as_secs_f64()
    )
}

/// What one event cost.
struct Cost {
    /// From the event to the backup's first gratuitous ARP.
    away: Duration,
    /// From the event to the master's priority 0, if it sent one.
    goodbye: Option<Duration>,
}

fn measure(speaker: Speaker, event: Event, pace: Pace) -> Result<Cost> {
    let lab = Lab::new()?;
    let capture = lab.capture()?;
    let mut master = Node::new(&lab, "a", speaker, 11)?;
    let mut backup = Node::new(&lab, "b", speaker, 12)?;
    master.host.sh("touch /run/alive")?;
    master.configure(&conf(150, pace, event.weight()))?;
    backup.configure(&conf(100, pace, None))?;
    master.start()?;
    wait::until("the master has the address", SLACK, || master.has(VIP).then_some(()))?;
    backup.start()?;
    backup.logs("(VI_1) Entering BACKUP STATE")?;
    between_adverts(&capture, master.host.port_index(), pace)?;
    anyhow::ensure!(master.has(VIP) && !backup.has(VIP), "the pair was not calm");
    let at = clock::since_epoch();
    event.happens(&mut master)?;
    let (from, to) = (master.host.port_index(), backup.host.port_index());
    let away = wait::until("the backup announces the address", SLACK, || {
        if let Some(first) = capture.find(|frame| frame.port == to && frame.at > at && frame.packet.announces(VIP)) {
            return Some(first.at.saturating_sub(at));
        }
        let stays =
            || capture.find_all(|frame| frame.port == from && frame.at > at && frame.packet.is_advert(150)).len();
        (event.may_go_unnoticed() && stays() >= STAYS && master.has(VIP) && !backup.has(VIP)).then_some(Duration::ZERO)
    })
    .with_context(|| backup.log())?;
    let goodbye = capture.find(|frame| frame.port == from && frame.at > at && frame.packet.is_advert(0));
    Ok(Cost { away, goodbye: goodbye.map(|frame| frame.at.saturating_sub(at)) })
}

/// Returns in the middle between two adverts, after the backup has heard some.
fn between_adverts(capture: &Capture, port: u32, pace: Pace) -> Result<()> {
    let adverts = || capture.find_all(|frame| frame.port == port && frame.packet.is_advert(150)).len();
    let enough = adverts() + 3;
    wait::until("adverts", SLACK, || (adverts() >= enough).then_some(()))?;
    wait::pause(pace.interval / 2);
    Ok(())
}

/// All measurements of one event at one pace.
struct Cell {
    event: Event,
    pace: Pace,
    costs: [Vec<Cost>; 2],
    failed: Vec<String>,
}

impl Cell {
    fn round(&mut self) {
        let Self { event, pace, .. } = *self;
        let measured = std::thread::scope(|scope| {
            SPEAKERS
                .map(|speaker| scope.spawn(move || measure(speaker, event, pace)))
                .map(std::thread::ScopedJoinHandle::join)
        });
        for (place, measured) in measured.into_iter().enumerate() {
            match measured {
                Ok(Ok(cost)) => self.costs[place].push(cost),
                Ok(Err(error)) => self.failed.push(format!("{}: {error:#}", SPEAKERS[place])),
                Err(_) => self.failed.push(format!("{}: the measurement panicked", SPEAKERS[place])),
            }
        }
    }

    fn row(&self) -> String {
        let [ours, theirs] = self.costs.each_ref().map(|costs| median(costs.iter().map(|cost| cost.away)));
        let verdict = match (ours, theirs) {
            (Some(ours), Some(theirs)) if ours > theirs + SLOWER_MAX => "**slower**",
            (Some(_), Some(_)) => "",
            (None, _) | (_, None) => "not measured",
        };
        let difference = match (ours, theirs) {
            (Some(ours), Some(theirs)) => format!("{:+.1}", milliseconds(ours) - milliseconds(theirs)),
            (None, _) | (_, None) => "-".to_owned(),
        };
        let show = |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), |t| format!("{:.1}", milliseconds(t)));
        let goodbyes = self.costs.each_ref().map(|costs| median(costs.iter().filter_map(|cost| cost.goodbye)));
        let late = self.event == Event::Stop && goodbyes[0].is_none_or(|goodbye| goodbye > GOODBYE_MAX);
        format!(
            "| {} | {} | {} | {} | {difference} | {} | {} | {verdict}{} |",
            self.event.name(),
            self.pace.name,
            show(ours),
            show(theirs),
            show(goodbyes[0]),
            show(goodbyes[1]),
            if late { " **late goodbye**" } else { "" },
        )
    }
}

fn median(times: impl Iterator<Item = Duration>) -> Option<Duration> {
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    times.get(times.len() / 2).copied()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn main() -> ExitCode {
    let rounds = std::env::args().nth(1).map_or(Ok(ROUNDS), |text| text.parse());
    let only = std::env::args().nth(2).unwrap_or_default();
    let missing: Vec<String> = SPEAKERS.into_iter().filter_map(Speaker::missing).collect();
    let (Ok(rounds), true) = (rounds, missing.is_empty()) else {
        say(&format!("usage: vrrp-failover [ROUNDS [EVENT]]  {}", missing.join(", ")));
        return ExitCode::FAILURE;
    };
    let cell = |event, pace| Cell { event, pace, costs: [Vec::new(), Vec::new()], failed: Vec::new() };
    let events = EVENTS.into_iter().filter(|event| event.name().contains(&only));
    let cells = events.flat_map(|event| event.paces().iter().map(move |&pace| cell(event, pace)));
    let mut cells: Vec<Cell> = cells.collect();
    for _ in 0..rounds {
        for some in cells.chunks_mut(AT_ONCE) {
            std::thread::scope(|scope| some.iter_mut().for_each(|cell| drop(scope.spawn(|| cell.round()))));
        }
    }
    say(&format!("Milliseconds from the event to the backup's first gratuitous ARP, medians of {rounds} rounds:\n"));
    say("| event on the master | adverts | vrrpd | keepalived | difference | goodbye of vrrpd | of keepalived | |");
    say("|---|---|---|---|---|---|---|---|");
    for cell in &cells {
        say(&cell.row());
    }
    for failed in cells.iter().flat_map(|cell| &cell.failed) {
        say(&format!("\nnot measured: {failed}"));
    }
    if cells.iter().any(|cell| cell.row().contains("**")) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// A reader that has gone away is no reason to fail.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
