//! One subject in one round: freshly started, then measured in laps between which it stands still while the others have
//! theirs. What disturbs the machine for longer than a lap meets all subjects alike.

use crate::cpu::Cpu;
use crate::load::{Counts, Load, Shape};
use crate::measure::{Configs, Timing};
use crate::place::Place;
use crate::subject::{Programs, Proxy, Subject, Under};
use crate::verdict::Turn;
use crate::workload::Workload;
use anyhow::Result;
use integration_tests::clock;
use nix::sys::signal::Signal;
use std::time::Duration;

const PROBE_BOUND: Duration = Duration::from_secs(10);
/// How long requests may be under way after the last one was sent.
const DRAIN_BOUND: Duration = Duration::from_secs(10);
/// How long the receiver of log lines is given for what is under way.
const LINES: Duration = Duration::from_millis(10);

/// The heads of a request as the server saw it and of the answer as the client saw it.
pub(crate) type Heads = (Vec<u8>, Vec<u8>);

/// A subject with its load; it stands still between its laps.
#[derive(Debug)]
pub(crate) struct Runner<'a> {
    place: &'a mut Place,
    proxy: Proxy,
    /// What the first request and its answer looked like.
    pub(crate) heads: Heads,
    /// Processor microseconds per request of each lap so far.
    laps: Vec<f64>,
    seconds: f64,
    /// Of the subject and of the load, inside of what is counted.
    cpu: Cpu,
    own: Cpu,
    /// Inside of what is counted; errors until the last answer has come.
    counts: Counts,
    /// All answers and their log lines, received or dropped.
    asked: u64,
    lines: u64,
}

impl<'a> Runner<'a> {
    /// Starts a subject, connects the clients and asks once.
    pub(crate) fn start(
        programs: &Programs,
        place: &'a mut Place,
        workload: &Workload,
        configs: &Configs,
        shape: &Shape,
        subject: Subject,
    ) -> Result<Self> {
        place.enter()?;
        let cores = if workload.site.workers > 1 { "0,1" } else { "0" };
        let proxy = Proxy::start(programs, subject, configs.of(subject), cores, Under::Nothing)?;
        if workload.site.check_every > 0 {
            // Every server has been checked before the first request.
            place.load.idle(Duration::from_millis(u64::from(workload.site.check_every) * 3 / 2))?;
        }
        place.load.begin(shape.clone())?;
        let heads = place.load.probe(PROBE_BOUND)?;
        proxy.signal(Signal::SIGSTOP)?;
        Ok(Self {
            place,
            proxy,
            heads,
            laps: Vec::new(),
            seconds: 0.0,
            cpu: Cpu::default(),
            own: Cpu::default(),
            counts: Counts::default(),
            asked: 0,
            lines: 0,
        })
    }

    /// Goes on, gets warm, is measured, finishes what is under way and stands still again.
    pub(crate) fn lap(&mut self, timing: Timing) -> Result<()> {
        self.place.enter()?;
        self.proxy.signal(Signal::SIGCONT)?;
        let load = &mut self.place.load;
        load.run(if self.laps.is_empty() { timing.warm } else { timing.warm_again() })?;
        load.reset();
        let dropped = Load::lines_dropped();
        let (began, cpu, own) = (clock::now(), Cpu::of_process(self.proxy.pid())?, Cpu::of_this_thread()?);
        load.run(timing.lap())?;
        let cpu = Cpu::of_process(self.proxy.pid())?.since(cpu);
        self.cpu = self.cpu.plus(cpu);
        self.own = self.own.plus(Cpu::of_this_thread()?.since(own));
        self.seconds += (clock::now() - began).as_secs_f64();
        let mut counted = load.counts.clone();
        load.drain(DRAIN_BOUND)?;
        load.idle(LINES)?;
        self.asked += load.counts.answers;
        self.lines += load.counts.lines + Load::lines_dropped().saturating_sub(dropped);
        counted.blame(&load.counts);
        self.counts.join(&counted);
        self.laps.push(per_request(cpu, counted.answers));
        self.proxy.signal(Signal::SIGSTOP)
    }

    /// All laps together.
    #[expect(clippy::cast_precision_loss, reason = "counts and shares for people")]
    pub(crate) fn finish(&self, subject: Subject, round: usize, workers: usize) -> Turn {
        let &Self { ref laps, ref counts, cpu, own, seconds, asked, lines, .. } = self;
        let wanted = |cpu: Cpu| (cpu.ran + cpu.waited).as_secs_f64() / seconds;
        Turn {
            subject,
            round,
            seconds,
            answers: counts.answers,
            wrong: counts.wrong,
            broken: counts.cut + counts.refused + counts.unasked,
            first_error: counts.first_error.clone(),
            cpu_micros: per_request(cpu, counts.answers),
            laps: laps.clone(),
            user_share: cpu.user_share(),
            subject_busy: wanted(cpu) / workers as f64,
            load_busy: wanted(own),
            disturbed: cpu.waited.as_secs_f64() / seconds,
            p50: counts.times.micros(0.5),
            p99: counts.times.micros(0.99),
            p999: counts.times.micros(0.999),
            lines: lines as f64 / asked.max(1) as f64,
            servers: counts.servers.len(),
            reconnects: counts.reconnects,
            megabytes: counts.bytes as f64 / 1e6,
        }
    }
}

/// Also after an error: the connections of one round must not be in the way of the next.
impl Drop for Runner<'_> {
    fn drop(&mut self) {
        self.place.load.end();
    }
}

/// Processor time of the subject in microseconds.
#[expect(clippy::cast_precision_loss, reason = "a count of answers")]
fn per_request(cpu: Cpu, answers: u64) -> f64 {
    cpu.ran.as_secs_f64() * 1e6 / answers.max(1) as f64
}
