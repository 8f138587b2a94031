//! A scenario is data: two files and a list of steps. It is played with each cast, and what the hosts then logged, sent,
//! held and told must be what keepalived did in the same part.

use crate::conf::Conf;
use crate::craft::Craft;
use crate::transcript::{self, Transcript};
use anyhow::{Context, Result, bail, ensure};
use integration_tests::capture::Capture;
use integration_tests::host::Host;
use integration_tests::lab::Lab;
use integration_tests::speaker::{Node, SLACK, Speaker};
use integration_tests::wait;
use nix::sys::signal::Signal;
use std::fmt;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The address that the pair shares, whatever else it shares.
pub(crate) const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 50));
/// Scenarios that are played at the same time: they mostly wait.
const AT_ONCE: usize = 10;
/// How often a difference must show itself to count: what a loaded machine does now and then, it does not do each time.
const ATTEMPTS: usize = 5;
/// The time after the last step in which what it set in motion comes to rest: three adverts.
const TAIL: Duration = Duration::from_millis(350);

/// One of the two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// 192.0.2.11.
    A,
    /// 192.0.2.12.
    B,
}

/// What happens, or what is waited for.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    /// The daemon is started.
    Start(Who),
    /// A signal to the daemon, as an init system sends it.
    Signal(Who, Signal),
    /// A signal to all processes of the daemon at once.
    SignalAll(Who, Signal),
    /// The daemon has ended.
    Ends(Who),
    /// The log says this, after what was waited for before.
    Logs(Who, &'static str),
    /// This host has the shared address and the other one has not.
    Holder(Who),
    /// Both have it.
    Both,
    /// Neither has it.
    Nobody,
    /// A line for the host's shell.
    Sh(Who, &'static str),
    /// The switch no longer forwards from and to this host, or does so again.
    Cut(Who),
    /// See [`Step::Cut`].
    Heal(Who),
    /// A new file, which the daemon does not know of yet.
    Configure(Who, fn() -> Conf),
    /// A packet from a stranger on the segment.
    Inject(Craft),
    /// Nothing happens for so many milliseconds; what should not happen then has had the time to.
    Calm(u64),
    /// Something that only this scenario asks.
    Check(fn(&mut Stage) -> Result<()>),
}

/// With what ours is compared.
#[derive(Clone, Copy)]
pub(crate) enum Judge {
    /// With keepalived in the same part.
    Keepalived,
    /// This host's differs on purpose when it is ours, for this reason; the steps alone decide.
    Ourselves(Who, &'static str),
}

/// A pair, and what happens to it.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) confs: [Conf; 2],
    pub(crate) judge: Judge,
    /// Besides keepalived, FRR plays the other part.
    pub(crate) frr: bool,
    /// Lines with these texts are not compared here, for these reasons.
    pub(crate) left_out: Vec<(&'static str, &'static str)>,
    /// How often a master forces an election and announces itself is a matter of chance: once is compared.
    pub(crate) elections_at_will: bool,
    /// keepalived starts notify scripts, or lets go of the members of a group, in any order.
    pub(crate) unordered: bool,
    pub(crate) steps: Vec<Step>,
}

/// A scenario that keepalived judges.
pub(crate) fn scenario(name: &'static str, a: Conf, b: Conf, steps: &[&[Step]]) -> Scenario {
    Scenario {
        name,
        confs: [a, b],
        judge: Judge::Keepalived,
        frr: false,
        left_out: Vec::new(),
        elections_at_will: false,
        unordered: false,
        steps: steps.concat(),
    }
}

/// Who plays the two hosts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cast([Speaker; 2]);

impl fmt::Display for Cast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "A {}, B {}", self.0[0], self.0[1])
    }
}

use Speaker::{Frr, Keepalived, Vrrpd};

impl Scenario {
    /// What this host does when it is ours differs from keepalived's, on purpose.
    pub(crate) fn on_purpose(mut self, who: Who, why: &'static str) -> Self {
        self.judge = Judge::Ourselves(who, why);
        self
    }

    /// Lines with this text are not compared, for this reason.
    pub(crate) fn without(mut self, line: &'static str, why: &'static str) -> Self {
        self.left_out.push((line, why));
        self
    }

    /// Two masters meet for a while: how many elections the better one forces is a matter of chance.
    pub(crate) fn elections_at_will(mut self) -> Self {
        self.elections_at_will = true;
        self
    }

    /// What keepalived does at once, in any order, is compared in no order.
    pub(crate) fn unordered(mut self) -> Self {
        self.unordered = true;
        self
    }

    /// FRR takes part too.
    pub(crate) fn with_frr(mut self) -> Self {
        self.frr = true;
        self
    }

    /// Each cast of keepalived's alone, with those that must do the same.
    fn casts(&self) -> Vec<(Option<Cast>, Vec<Cast>)> {
        match self.judge {
            Judge::Ourselves(who, _) => {
                let mixed = if who == Who::A { [Vrrpd, Keepalived] } else { [Keepalived, Vrrpd] };
                vec![(None, [[Vrrpd, Vrrpd], mixed].map(Cast).to_vec())]
            }
            Judge::Keepalived => {
                let pairs = [[Vrrpd, Vrrpd], [Vrrpd, Keepalived], [Keepalived, Vrrpd]].map(Cast);
                let mut casts = vec![(Some(Cast([Keepalived, Keepalived])), pairs.to_vec())];
                if self.frr {
                    casts.push((Some(Cast([Keepalived, Frr])), vec![Cast([Vrrpd, Frr])]));
                    casts.push((Some(Cast([Frr, Keepalived])), vec![Cast([Frr, Vrrpd])]));
                }
                casts
            }
        }
    }
}

/// Plays scenarios with all their casts and reports every difference.
pub(crate) fn play_all(scenarios: &[Scenario]) {
    if Lab::or_skip().is_none() || !all_there(scenarios) {
        return;
    }
    let complaints: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = scenarios
            .iter()
            .flat_map(|scenario| scenario.casts().into_iter().map(move |(oracle, casts)| (scenario, oracle, casts)))
            .map(|(scenario, oracle, casts)| scope.spawn(move || judge(scenario, oracle, &casts)))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|_| vec!["a thread panicked".into()]))
            .collect()
    });
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn all_there(scenarios: &[Scenario]) -> bool {
    let frr = scenarios.iter().any(|scenario| scenario.frr);
    let wanted = [Vrrpd, Keepalived].into_iter().chain(frr.then_some(Frr));
    let missing: Vec<String> = wanted.filter_map(Speaker::missing).collect();
    assert!(missing.is_empty() || std::env::var_os("CI").is_none(), "in CI a skip is an error: {missing:?}");
    if !missing.is_empty() {
        say(&format!("SKIPPED: {}", missing.join(", ")));
    }
    missing.is_empty()
}

fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What is wrong with these casts, each with all its attempts.
fn judge(scenario: &Scenario, oracle: Option<Cast>, casts: &[Cast]) -> Vec<String> {
    let mut wrong: Vec<(Cast, String)> = Vec::new();
    let mut left = casts.to_vec();
    for attempt in 1..=ATTEMPTS {
        let expected = oracle.map(|oracle| play(scenario, oracle).map_err(|error| (oracle, format!("{error:#}"))));
        let expected = match expected.transpose() {
            Ok(expected) => expected,
            Err(problem) => {
                wrong = vec![problem];
                continue;
            }
        };
        wrong = std::thread::scope(|scope| {
            let expected = expected.as_ref();
            let threads: Vec<_> =
                left.iter().map(|&cast| (cast, scope.spawn(move || difference(scenario, cast, expected)))).collect();
            let ended = threads.into_iter().map(|(cast, thread)| {
                (cast, thread.join().unwrap_or_else(|_| Some("the cast's thread panicked".into())))
            });
            ended.filter_map(|(cast, wrong)| Some((cast, wrong?))).collect()
        });
        left = wrong.iter().map(|(cast, _)| *cast).collect();
        if wrong.is_empty() {
            break;
        }
        for (cast, what) in &wrong {
            say(&format!("attempt {attempt} of {ATTEMPTS}: {} ({cast}):\n{what}", scenario.name));
        }
    }
    let why = match scenario.judge {
        Judge::Keepalived => String::new(),
        Judge::Ourselves(_, why) => format!("; {why}"),
    };
    wrong.into_iter().map(|(cast, what)| format!("== {} ({cast}{why})\n{what}", scenario.name)).collect()
}

/// `None` when a cast did what was expected.
fn difference(scenario: &Scenario, cast: Cast, expected: Option<&Transcript>) -> Option<String> {
    match (play(scenario, cast), expected) {
        (Err(error), _) => Some(format!("{error:#}")),
        (Ok(played), Some(expected)) => transcript::difference(expected, &played),
        (Ok(_), None) => None,
    }
}

/// Where a scenario is played.
pub(crate) struct Stage {
    // In the order in which they end.
    pub(crate) nodes: [Node; 2],
    stranger: Host,
    pub(crate) capture: Capture,
    pub(crate) transcript: Transcript,
    _lab: Lab,
}

/// One of the places for scenarios that are played at the same time.
struct Place;

static TAKEN: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

impl Place {
    fn take() -> Self {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        *FREED.wait_while(taken, |taken| *taken >= AT_ONCE).unwrap_or_else(PoisonError::into_inner) += 1;
        Self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        FREED.notify_one();
    }
}

fn play(scenario: &Scenario, cast: Cast) -> Result<Transcript> {
    let _place = Place::take();
    let lab = Lab::new()?;
    let capture = lab.capture()?;
    let nodes = [Node::new(&lab, "a", cast.0[0], 11)?, Node::new(&lab, "b", cast.0[1], 12)?];
    let stranger = lab.host("stranger", "eth0", "192.0.2.99/24")?;
    for (node, conf) in nodes.iter().zip(&scenario.confs) {
        prepare(node)?;
        node.configure(&conf.to_string())?;
    }
    let mut stage = Stage { nodes, stranger, capture, transcript: Transcript::default(), _lab: lab };
    for (number, step) in scenario.steps.iter().enumerate() {
        let logs = |stage: &Stage| stage.nodes.each_ref().map(Node::log).join("\n---- B\n");
        stage
            .step(step)
            .with_context(|| format!("step {} of {}", number + 1, scenario.steps.len()))
            .with_context(|| logs(&stage))?;
    }
    wait::pause(TAIL);
    stage.look();
    stage.finish();
    for (line, _) in &scenario.left_out {
        stage.transcript.drop_lines(line);
    }
    if scenario.elections_at_will {
        for text in ["forcing new election", "queueing gratuitous ARPs", "Sending gratuitous ARP", "announces "] {
            stage.transcript.keep_first(text);
        }
    }
    if scenario.unordered {
        stage.transcript.sort();
    }
    Ok(stage.transcript)
}

/// A script that writes down what it is called with: root's own, so that script security has nothing to say, and gone
/// with the host's mounts.
fn prepare(node: &Node) -> Result<()> {
    node.host
        .sh("touch /run/alive; mount -t tmpfs -o mode=755 tmpfs /usr/local/bin; \
             printf '#!/bin/sh\\necho \"$*\" >>/run/told\\n' >/usr/local/bin/told; chmod 755 /usr/local/bin/told")
        .map(drop)
}

impl Stage {
    pub(crate) fn node(&mut self, who: Who) -> &mut Node {
        let [a, b] = &mut self.nodes;
        match who {
            Who::A => a,
            Who::B => b,
        }
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match *step {
            Step::Start(who) => self.node(who).start(),
            Step::Signal(who, signal) => self.node(who).signal(signal),
            Step::SignalAll(who, signal) => self.node(who).signal_all(signal),
            Step::Ends(who) => self.node(who).ends(),
            Step::Logs(who, text) => self.node(who).logs(text),
            Step::Holder(Who::A) => self.wait_for([true, false]),
            Step::Holder(Who::B) => self.wait_for([false, true]),
            Step::Both => self.wait_for([true, true]),
            Step::Nobody => self.wait_for([false, false]),
            Step::Sh(who, line) => self.node(who).host.sh(line).map(drop),
            Step::Cut(who) => self.node(who).host.cut(),
            Step::Heal(who) => self.node(who).host.heal(),
            Step::Configure(who, conf) => self.node(who).configure(&conf().to_string()),
            Step::Inject(craft) => craft.send(&self.stranger),
            Step::Calm(length) => {
                wait::pause(Duration::from_millis(length));
                Ok(())
            }
            Step::Check(check) => check(self),
        }
    }

    fn wait_for(&mut self, holds: [bool; 2]) -> Result<()> {
        let now = || self.nodes.each_ref().map(|node| node.has(VIP));
        wait::until(&format!("who has {VIP}: {holds:?}"), SLACK, || (now() == holds).then_some(()))
            .with_context(|| format!("it is {:?}", now()))
    }

    fn look(&mut self) {
        for (node, part) in self.nodes.iter().zip(&mut self.transcript.0) {
            part.look(node);
        }
    }

    fn finish(&mut self) {
        for (node, part) in self.nodes.iter().zip(&mut self.transcript.0) {
            part.finish(node, &self.capture.of(node.host.port_index()));
        }
    }
}

/// Fails unless a condition of a [`Step::Check`] holds.
pub(crate) fn demand(holds: bool, what: &str) -> Result<()> {
    ensure!(holds, "{what}");
    Ok(())
}

/// For a check that cannot look.
pub(crate) fn missing<T>(found: Option<T>, what: &str) -> Result<T> {
    match found {
        Some(found) => Ok(found),
        None => bail!("{what}"),
    }
}
