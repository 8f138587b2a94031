//! The chapters: calm, the proxy dies, the proxy returns, the host dies, the host returns.

use crate::view::{View, milliseconds};
use anyhow::{Context, Result, bail, ensure};
use integration_tests::client::{Load, Tally};
use integration_tests::clock;
use integration_tests::pair::{MAXCONN, Pair, Role, SERVICE, STATS, VIP};
use integration_tests::subject::Subject;
use integration_tests::wait;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Concurrent keep-alive clients.
const CLIENTS: usize = 8;
/// What they ask for, in turn: one path for each backend.
const PATHS: &[&str] = &["/", "/ms1/a", "/ms2/b"];
/// How long a change of the holder may take before it counts as not happening.
const CHANGE_BOUND: Duration = Duration::from_secs(20);
/// How long a chapter goes on after its event, so that late damage is seen.
const CALM: Duration = Duration::from_secs(5);
/// How often the screen is refreshed.
const REFRESH: Duration = Duration::from_millis(250);

/// What a chapter promises.
struct Promise {
    /// Requests may be cut: those that were in flight on what was killed, one per client at most.
    may_cut: bool,
    /// The longest time without an answer.
    gap: Duration,
}

/// Nothing happens to the pair.
const UNDISTURBED: Promise = Promise { may_cut: false, gap: Duration::from_secs(1) };
/// The check's interval, its second failure at the latest, and one advertisement.
const PROXY_KILLED: Promise = Promise { may_cut: true, gap: Duration::from_secs(8) };
/// Three advertisements, the skew, and the first request.
const HOST_KILLED: Promise = Promise { may_cut: true, gap: Duration::from_secs(6) };
/// Connections to the old holder end when the address moves; what is in flight at that moment is cut.
const MOVED_BACK: Promise = Promise { may_cut: true, gap: Duration::from_secs(2) };

/// One row of the summary.
struct Chapter {
    title: &'static str,
    tally: Tally,
    promise: Promise,
}

struct Stage<'a> {
    view: View,
    load: Load,
    stop: &'a AtomicBool,
    chapters: Vec<Chapter>,
}

/// Plays the story; stays up afterwards until a signal unless `once`.
pub(crate) fn tell(subject: Subject, once: bool, stop: &AtomicBool) -> Result<()> {
    let view = View::new();
    view.event("building two hosts, two web servers and a client in network namespaces");
    let mut pair = Pair::start(subject)?;
    if pair.maxconn < MAXCONN {
        view.event(&format!(
            "too few open files are allowed here: the hosts' maxconn is {}, not {MAXCONN}",
            pair.maxconn
        ));
    }
    pair.wait_for_holder(Role::Master, CHANGE_BOUND).context("the first election")?;
    view.event(&format!("alpha holds {VIP}"));
    wait_for_service(&pair)?;
    let load = Load::start(pair.client.netns(), SERVICE, CLIENTS, PATHS);
    let mut stage = Stage { view, load, stop, chapters: Vec::new() };

    stage.chapter("undisturbed", UNDISTURBED, &mut pair, |_| Ok(()))?;
    stage.chapter("the master's proxy is killed (kill -9)", PROXY_KILLED, &mut pair, |pair| {
        master(pair)?.kill_proxy()?;
        pair.wait_for_holder(Role::Backup, CHANGE_BOUND)
    })?;
    stage.chapter("the proxy is started again", MOVED_BACK, &mut pair, |pair| {
        master(pair)?.start_proxy()?;
        pair.wait_for_holder(Role::Master, CHANGE_BOUND)
    })?;
    stage.chapter("the master host loses its power", HOST_KILLED, &mut pair, |pair| {
        pair.power_off_master()?;
        pair.wait_for_holder(Role::Backup, CHANGE_BOUND)
    })?;
    stage.chapter("the host boots again", MOVED_BACK, &mut pair, |pair| {
        pair.power_on_master()?;
        pair.wait_for_holder(Role::Master, CHANGE_BOUND)
    })?;
    stage.summary();
    let kept = stage.check();
    if !once && !stop.load(Ordering::Relaxed) {
        stage.stay(&pair);
    }
    kept
}

fn master(pair: &Pair) -> Result<&integration_tests::pair::Node> {
    pair.master.as_ref().context("the master host is off")
}

/// Until the service answers through the shared address.
fn wait_for_service(pair: &Pair) -> Result<()> {
    let load = Load::start(pair.client.netns(), SERVICE, 1, PATHS);
    wait::until("a first answer through the shared address", CHANGE_BOUND, || (load.look().total() > 0).then_some(()))
}

impl Stage<'_> {
    /// Tells what happens, lets it happen while the screen stays current, waits for calm, writes the row.
    fn chapter(
        &mut self,
        title: &'static str,
        promise: Promise,
        pair: &mut Pair,
        event: impl FnOnce(&mut Pair) -> Result<()>,
    ) -> Result<()> {
        self.load.take();
        self.view.event(title);
        event(pair).with_context(|| title.to_owned())?;
        let answers_before = self.load.look().total();
        wait::until("answers after the change", CHANGE_BOUND, || {
            (self.load.look().total() > answers_before).then_some(())
        })?;
        self.watch(pair, CALM)?;
        let tally = self.load.take();
        let holder = holder_name(pair);
        self.view.event(&format!(
            "  {holder} serves; {} answers, longest gap {}, cut in flight {}, sent again {}, wrong {}",
            tally.total(),
            milliseconds(tally.longest_gap),
            tally.cut,
            tally.sent_again,
            tally.wrong.len()
        ));
        self.chapters.push(Chapter { title, tally, promise });
        Ok(())
    }

    /// Keeps the screen current for a while.
    fn watch(&self, pair: &Pair, length: Duration) -> Result<()> {
        let end = clock::now() + length;
        let mut before = self.load.look().total();
        while clock::now() < end {
            ensure!(!self.stop.load(Ordering::Relaxed), "interrupted");
            wait::pause(REFRESH);
            let tally = self.load.look();
            let rate = tally.total().saturating_sub(before) * 1000 / u64::try_from(REFRESH.as_millis()).unwrap_or(1);
            before = tally.total();
            self.view.status(holder_name(pair), &tally, rate);
        }
        Ok(())
    }

    fn summary(&self) {
        self.view.text("");
        self.view.text(&format!(
            "{:42} {:>8} {:>12} {:>6} {:>11} {:>6}",
            "chapter", "answers", "longest gap", "cut", "sent again", "wrong"
        ));
        for chapter in &self.chapters {
            let Tally { cut, sent_again, wrong, longest_gap, .. } = &chapter.tally;
            self.view.text(&format!(
                "{:42} {:>8} {:>12} {cut:>6} {sent_again:>11} {:>6}",
                chapter.title,
                chapter.tally.total(),
                milliseconds(*longest_gap),
                wrong.len()
            ));
        }
        self.view.text("");
    }

    /// Whether every promise was kept; all broken ones are named.
    fn check(&self) -> Result<()> {
        let broken: Vec<String> = self.chapters.iter().flat_map(Chapter::broken).collect();
        if broken.is_empty() {
            self.view.text("every promise was kept");
            return Ok(());
        }
        bail!("broken promises:\n  {}", broken.join("\n  "))
    }

    /// Stays up for the user.
    fn stay(&self, pair: &Pair) {
        let client = pair.client.netns().path();
        self.view.text("The pair stays up until Ctrl-C. From another terminal, as the same user:");
        self.view.text(&format!("  nsenter --net={client} curl http://{SERVICE}/ms1/"));
        self.view.text(&format!("  nsenter --net={client} curl -u admin:admin http://{STATS}/stats"));
        for node in pair.master.iter().chain([&pair.backup]) {
            self.view.text(&format!("  files and logs of {}: {}", node.host.name(), node.host.folder().display()));
        }
        while !self.stop.load(Ordering::Relaxed) {
            if self.watch(pair, CALM).is_err() {
                break;
            }
        }
        self.view.text("");
    }
}

impl Chapter {
    fn broken(&self) -> Vec<String> {
        let Tally { cut, wrong, longest_gap, not_connected, .. } = &self.tally;
        let mut broken = Vec::new();
        let mut unless = |kept: bool, what: String| {
            if !kept {
                broken.push(format!("{}: {what}", self.title));
            }
        };
        let in_flight = if self.promise.may_cut { CLIENTS as u64 } else { 0 };
        unless(*cut <= in_flight, format!("{cut} requests cut, at most {in_flight} were in flight"));
        unless(wrong.is_empty(), format!("wrong answers: {wrong:?}"));
        unless(self.promise.may_cut || *not_connected == 0, format!("{not_connected} connections refused"));
        let allowed = self.promise.gap;
        unless(*longest_gap <= allowed, format!("a gap of {longest_gap:?}, promised are {allowed:?}"));
        broken
    }
}

fn holder_name(pair: &Pair) -> &'static str {
    match pair.holder() {
        Some(Role::Master) => "alpha",
        Some(Role::Backup) => "beta",
        None => "nobody",
    }
}
