//! What many virtual routers cost, vrrpd beside keepalived.
//!
//! `vrrp-load steady [INSTANCES]` (1000): a master and a backup with so many instances at one advert a second; processor
//! time and memory of both, and how long it takes until the backup has every address after SIGTERM.
//! `vrrp-load failovers [COUNT]` (10000): instances of vrrpd change hosts so often; memory, open files and addresses
//! before and after.
//! `vrrp-load reloads [COUNT]` (10000): a master of vrrpd reads its file so often, and each time one address comes or goes;
//! the same figures.

use anyhow::{Context, Result, bail, ensure};
use integration_tests::clock;
use integration_tests::lab::Lab;
use integration_tests::process;
use integration_tests::speaker::{Node, Speaker};
use integration_tests::subject::Subject;
use integration_tests::wait;
use nix::sys::signal::Signal;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

const INSTANCES: usize = 1000;
const FAILOVERS: usize = 10_000;
const RELOADS: usize = 10_000;
/// Instances of a file that is read again and again.
const RELOADED: usize = 10;
/// Instances that change hosts together.
const TOGETHER: usize = 100;
/// Instances of one link; an interface has room for 255 virtual router ids.
const PER_LINK: usize = 250;
/// How long processor time is counted.
const STEADY: Duration = Duration::from_secs(20);
/// How long many instances may take to become masters.
const BOUND: Duration = Duration::from_mins(2);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |usual: usize| arguments.get(1).map_or(Ok(usual), |text| text.parse::<usize>());
    let done = match arguments.first().map(String::as_str) {
        Some("steady") => number(INSTANCES).map_err(Into::into).and_then(steady),
        Some("failovers") => number(FAILOVERS).map_err(Into::into).and_then(failovers),
        Some("reloads") => number(RELOADS).map_err(Into::into).and_then(reloads),
        _ => Err(anyhow::anyhow!("usage: vrrp-load steady [INSTANCES] | failovers [COUNT] | reloads [COUNT]")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("vrrp-load: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A reader that has gone away is no reason to fail.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Two hosts with as many cables between them as the instances need.
struct Pair {
    // In the order in which they end.
    nodes: [Node; 2],
    instances: usize,
    _lab: Lab,
}

/// What the processes of a daemon have used and have.
struct Usage {
    processor: Duration,
    memory_kib: u64,
    files: usize,
}

impl Pair {
    fn new(speaker: Speaker, instances: usize, interval: &str, more: &str) -> Result<Self> {
        let lab = Lab::new()?;
        let nodes = [Node::new(&lab, "a", speaker, 11)?, Node::new(&lab, "b", speaker, 12)?];
        let peer = nodes[1].host.netns().path();
        for link in 0..instances.div_ceil(PER_LINK) {
            nodes[0].host.netns().ip(&format!("link add x{link} type veth peer name x{link} netns {peer}"))?;
            for (node, last) in nodes.iter().zip(1..) {
                node.host.netns().ip(&format!("addr add 10.{link}.255.{last}/16 dev x{link}"))?;
                node.host.netns().ip(&format!("link set x{link} up"))?;
            }
        }
        for (node, (priority, more)) in nodes.iter().zip([(150, more), (100, "")]) {
            node.configure(&conf(instances, priority, interval, more))?;
        }
        Ok(Self { nodes, instances, _lab: lab })
    }

    /// Starts the master, waits until it has every address, then the backup.
    fn start(&mut self) -> Result<()> {
        let [master, backup] = &mut self.nodes;
        master.start()?;
        backup.start()?;
        self.wait_for([self.instances, 0])
    }

    /// How many of the virtual addresses each host has.
    fn held(&self) -> Result<[usize; 2]> {
        let count =
            |node: &Node| -> Result<usize> { Ok(node.host.netns().ip("-o -4 address show")?.matches("/32 ").count()) };
        Ok([count(&self.nodes[0])?, count(&self.nodes[1])?])
    }

    fn wait_for(&self, wanted: [usize; 2]) -> Result<()> {
        let held = || self.held().ok();
        wait::until("every address is where it belongs", BOUND, || (held() == Some(wanted)).then_some(()))
            .with_context(|| format!("{:?} instead of {wanted:?}", held()))
    }
}

fn conf(instances: usize, priority: u8, interval: &str, more: &str) -> String {
    let version = if interval.contains('.') { 3 } else { 2 };
    let mut text = String::from("global_defs {\n vrrp_garp_master_repeat 1\n vrrp_garp_master_delay 0\n}\n");
    for number in 0..instances {
        let (link, vrid) = (number / PER_LINK, number % PER_LINK + 1);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "vrrp_instance VI_{number} {{\n state BACKUP\n interface x{link}\n virtual_router_id {vrid}\n \
             version {version}\n advert_int {interval}\n priority {priority}\n virtual_ipaddress {{\n \
             10.{link}.1.{vrid}/32\n }}\n{more}}}\n"
        );
    }
    text
}

fn usage(node: &mut Node) -> Result<Usage> {
    let parent = node.daemon()?.pid();
    let mut usage = Usage { processor: Duration::ZERO, memory_kib: 0, files: 0 };
    for pid in process::children(parent).into_iter().chain([parent]) {
        usage.processor += running_time(pid)?;
        let memory = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let pss = memory.lines().find_map(|line| line.strip_prefix("Pss:")).context("Pss")?;
        usage.memory_kib += pss.trim().trim_end_matches(" kB").trim().parse::<u64>().context("Pss")?;
        usage.files += std::fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    }
    Ok(usage)
}

/// What the scheduler has counted for all threads, to the nanosecond: the ticks of `/proc/PID/stat` overlook short turns.
fn running_time(pid: i32) -> Result<Duration> {
    let mut sum = Duration::ZERO;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        sum += Duration::from_nanos(text.split_ascii_whitespace().next().context("schedstat")?.parse()?);
    }
    Ok(sum)
}

fn steady(instances: usize) -> Result<()> {
    say(&format!("{instances} instances with one address each, one advert a second, {} s:\n", STEADY.as_secs()));
    say(
        "| daemon | processor as master | as backup | memory as master (PSS) | as backup | SIGTERM until the backup has all |",
    );
    say("|---|---|---|---|---|---|");
    for speaker in [Speaker::Vrrpd, Speaker::Keepalived] {
        let mut pair = Pair::new(speaker, instances, "1", "")?;
        pair.start()?;
        let mut row = format!("| {speaker} |");
        let mut both = || -> Result<Vec<Usage>> { pair.nodes.iter_mut().map(usage).collect() };
        let before = both()?;
        wait::pause(STEADY);
        let after = both()?;
        for (before, after) in before.iter().zip(&after) {
            let used = after.processor.saturating_sub(before.processor);
            let _ = write!(row, " {:.2} % |", 100.0 * used.as_secs_f64() / STEADY.as_secs_f64());
        }
        for after in &after {
            let _ = write!(row, " {} KiB |", after.memory_kib);
        }
        ensure!(pair.held()? == [instances, 0], "addresses moved without a reason: {:?}", pair.held()?);
        let begin = clock::now();
        pair.nodes[0].signal(Signal::SIGTERM)?;
        pair.wait_for([0, instances])?;
        let _ = write!(row, " {:.2} s |", begin.elapsed().as_secs_f64());
        say(&row);
    }
    Ok(())
}

fn failovers(count: usize) -> Result<()> {
    let mut pair = Pair::new(Speaker::Vrrpd, TOGETHER, "0.1", " track_interface {\n lo\n }\n")?;
    pair.start()?;
    let rounds = count.div_ceil(2 * TOGETHER);
    let mut before = Vec::new();
    for round in 0..=rounds {
        // The first round is not counted: whatever is made once has been made then.
        pair.nodes[0].host.sh("ip link set lo down")?;
        pair.wait_for([0, TOGETHER])?;
        pair.nodes[0].host.sh("ip link set lo up")?;
        pair.wait_for([TOGETHER, 0])?;
        if round == 0 {
            before = pair.nodes.iter_mut().map(usage).collect::<Result<_>>()?;
        }
    }
    let title =
        format!("{} failovers of {TOGETHER} instances, each address on one host after each:\n", 2 * rounds * TOGETHER);
    compare(&title, &before, &mut pair)
}

fn reloads(count: usize) -> Result<()> {
    let mut pair = Pair::new(Speaker::Vrrpd, RELOADED, "1", "")?;
    pair.start()?;
    let less = conf(RELOADED, 150, "1", "");
    let more = less.replacen("10.0.1.1/32", "10.0.1.1/32\n 10.0.2.1/32", 1);
    let program = Subject::Ours.vrrp()?;
    let mut before = Vec::new();
    for round in 0..=count.div_ceil(2) {
        for (file, addresses) in [(&more, RELOADED + 1), (&less, RELOADED)] {
            pair.nodes[0].configure(file)?;
            let done = pair.nodes[0].host.command(&program).arg("reload").output()?;
            ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            ensure!(pair.held()? == [addresses, 0], "{:?} after reload {round}", pair.held()?);
        }
        if round == 0 {
            before = pair.nodes.iter_mut().map(usage).collect::<Result<_>>()?;
        }
    }
    let title = format!(
        "{} reloads with {RELOADED} instances, each address where it belongs after each:\n",
        2 * count.div_ceil(2)
    );
    compare(&title, &before, &mut pair)
}

/// What it was before as a table beside what it is now; an error where it has grown.
fn compare(title: &str, before: &[Usage], pair: &mut Pair) -> Result<()> {
    let after: Vec<Usage> = pair.nodes.iter_mut().map(usage).collect::<Result<_>>()?;
    say(title);
    say("| host | memory before (PSS) | after | open files before | after | processor time |");
    say("|---|---|---|---|---|---|");
    let mut grown = Vec::new();
    for ((name, before), after) in ["A", "B"].into_iter().zip(before).zip(&after) {
        say(&format!(
            "| {name} | {} KiB | {} KiB | {} | {} | {:.1} s |",
            before.memory_kib,
            after.memory_kib,
            before.files,
            after.files,
            after.processor.saturating_sub(before.processor).as_secs_f64()
        ));
        // A tenth, and what an allocator may keep.
        if after.files > before.files || after.memory_kib > before.memory_kib * 11 / 10 + 512 {
            grown.push(name);
        }
    }
    if !grown.is_empty() {
        bail!("grown: {grown:?}");
    }
    Ok(())
}
