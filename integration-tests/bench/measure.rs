//! Rounds of turns: each subject in turn, freshly started, under the same load.

use crate::config;
use crate::cpu::Cpu;
use crate::load::{Load, Shape};
use crate::subject::{Programs, Proxy, Subject, Under};
use crate::verdict::{self, Refusal, Terms, Turn};
use crate::workload::Workload;
use anyhow::{Context, Result};
use integration_tests::clock;
use std::path::PathBuf;
use std::time::Duration;

const PROBE_BOUND: Duration = Duration::from_secs(10);
/// When the generator was the bottleneck, all subjects get this part of what the slowest could do, as a fixed rate.
const PACED_PART: f64 = 0.85;
/// Bytes under way at once from which a turn takes longer, so that every connection gets its answers.
const HEAVY: usize = 500_000_000;
/// How many rounds may be measured again because the generator was the bottleneck in them. If it is so in more, it is in general.
const REPEATS_MAX: usize = 3;
/// How long the receiver of log lines is given for what is under way.
const DRAIN: Duration = Duration::from_millis(20);

/// How long things are measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) rounds: usize,
    pub(crate) warm: Duration,
    pub(crate) length: Duration,
}

impl Timing {
    /// With more rounds, for what is compared with a figure to reach.
    pub(crate) fn thorough(self) -> Self {
        Self { rounds: self.rounds * 2 - 1, ..self }
    }

    fn twice_as_long(self) -> Self {
        Self { rounds: self.rounds, warm: self.warm * 4, length: self.length * 2 }
    }
}

/// What came of a workload.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) workload: Workload,
    pub(crate) subjects: Vec<Subject>,
    /// As fast as possible, or at the workload's rate.
    pub(crate) turns: Vec<Turn>,
    pub(crate) refusals: Vec<Refusal>,
    /// Rounds that were measured again.
    pub(crate) repeated: usize,
    /// At a rate that the generator can keep, when it was the bottleneck before.
    pub(crate) paced: Option<Paced>,
}

/// Turns at one rate for all.
#[derive(Clone, Debug)]
pub(crate) struct Paced {
    pub(crate) rate: f64,
    pub(crate) turns: Vec<Turn>,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) repeated: usize,
}

impl Outcome {
    /// The turns from which processor time per request may be compared, or why there are none.
    pub(crate) fn comparable(&self) -> Result<&[Turn], &[Refusal]> {
        match (&self.paced, self.refusals.as_slice()) {
            (_, []) => Ok(&self.turns),
            (Some(paced), _) if paced.refusals.is_empty() => Ok(&paced.turns),
            (Some(paced), _) => Err(&paced.refusals),
            (None, refusals) => Err(refusals),
        }
    }
}

/// Measures one workload.
pub(crate) fn workload(programs: &Programs, load: &mut Load, workload: Workload, timing: Timing) -> Result<Outcome> {
    let subjects = workload.subjects(programs.nginx.is_some());
    let configs = Configs::write(programs, &workload)?;
    let complaints = configs.complaints(programs)?;
    if !complaints.is_empty() {
        return Ok(Outcome { workload, subjects, turns: Vec::new(), refusals: complaints, repeated: 0, paced: None });
    }
    let shape = workload.shape()?;
    let timing = if workload.connections * workload.body < HEAVY { timing } else { timing.twice_as_long() };
    let Rounds { turns, refusals, repeated } = rounds(programs, load, &workload, &configs, &shape, timing)?;
    let mut outcome = Outcome { workload, subjects, turns, refusals, repeated, paced: None };
    if !outcome.refusals.is_empty() && outcome.refusals.iter().all(Refusal::is_generator) {
        let rates = outcome.subjects.iter().filter_map(|&s| verdict::median(&outcome.turns, s, Turn::rate));
        let rate = rates.fold(f64::INFINITY, f64::min) * PACED_PART;
        let mut shape = shape;
        shape.rate = Some(rate);
        let Rounds { turns, refusals, repeated } = rounds(programs, load, &workload, &configs, &shape, timing)?;
        outcome.paced = Some(Paced { rate, turns, refusals, repeated });
    }
    Ok(outcome)
}

/// The files that the subjects read.
#[derive(Debug)]
pub(crate) struct Configs {
    haproxy: PathBuf,
    nginx: PathBuf,
}

impl Configs {
    pub(crate) fn write(programs: &Programs, workload: &Workload) -> Result<Self> {
        let configs = Self { haproxy: programs.folder.join("haproxy.cfg"), nginx: programs.folder.join("nginx.conf") };
        std::fs::write(&configs.haproxy, config::haproxy(&workload.site)).context("haproxy.cfg")?;
        std::fs::write(&configs.nginx, config::nginx(&workload.site)).context("nginx.conf")?;
        Ok(configs)
    }

    pub(crate) fn of(&self, subject: Subject) -> &PathBuf {
        match subject {
            Subject::Haproxy | Subject::Proxyd => &self.haproxy,
            Subject::Nginx => &self.nginx,
        }
    }

    /// A word that one of them does not carry out makes the work unequal.
    pub(crate) fn complaints(&self, programs: &Programs) -> Result<Vec<Refusal>> {
        let mut found = Vec::new();
        for subject in [Subject::Haproxy, Subject::Proxyd] {
            let said = programs.complaints(subject, &self.haproxy)?;
            if !said.is_empty() {
                found.push(Refusal::Unequal(format!("{subject} says of the configuration: {said}")));
            }
        }
        Ok(found)
    }
}

/// The heads of a request as the server saw it and of the answer as the client saw it.
type Heads = (Vec<u8>, Vec<u8>);

/// What came of the rounds at one rate.
struct Rounds {
    turns: Vec<Turn>,
    refusals: Vec<Refusal>,
    repeated: usize,
}

fn rounds(
    programs: &Programs,
    load: &mut Load,
    workload: &Workload,
    configs: &Configs,
    shape: &Shape,
    timing: Timing,
) -> Result<Rounds> {
    let subjects = workload.subjects(programs.nginx.is_some());
    let terms = Terms { rate: shape.rate, logged: workload.site.log, connections: shape.connections };
    let mut turns = Vec::new();
    let mut heads: Vec<(Subject, Heads)> = Vec::new();
    let (mut round, mut repeated) = (1, 0);
    while round <= timing.rounds {
        let before = turns.len();
        for &subject in &subjects {
            let cores = if workload.site.workers > 1 { "0,1" } else { "0" };
            let proxy = Proxy::start(programs, subject, configs.of(subject), cores, Under::Nothing)?;
            let (turn, seen) = turn(load, &proxy, workload, shape, (subject, round), timing)
                .with_context(|| format!("{} with {subject}, round {round}", workload.name))?;
            turns.push(turn);
            if round == 1 {
                heads.push((subject, seen));
            }
            load.end();
        }
        if repeated < REPEATS_MAX && turns.iter().skip(before).any(|turn| verdict::limited(turn, terms).is_some()) {
            turns.truncate(before);
            repeated += 1;
        } else {
            round += 1;
        }
    }
    let mut refusals = equality(&heads);
    refusals.extend(verdict::refusals(&turns, &subjects, timing.rounds, terms));
    Ok(Rounds { turns, refusals, repeated })
}

fn equality(heads: &[(Subject, Heads)]) -> Vec<Refusal> {
    let of = |wanted| heads.iter().find(|(subject, _)| *subject == wanted).map(|(_, heads)| heads);
    let (Some(theirs), Some(ours)) = (of(Subject::Haproxy), of(Subject::Proxyd)) else { return Vec::new() };
    let mut found = verdict::heads_differ("the request at the server", &theirs.0, &ours.0);
    found.extend(verdict::heads_differ("the answer at the client", &theirs.1, &ours.1));
    found
}

fn turn(
    load: &mut Load,
    proxy: &Proxy,
    workload: &Workload,
    shape: &Shape,
    (subject, round): (Subject, usize),
    timing: Timing,
) -> Result<(Turn, Heads)> {
    if workload.site.check_every > 0 {
        // Every server has been checked before the first request.
        load.idle(Duration::from_millis(u64::from(workload.site.check_every) * 3 / 2))?;
    }
    load.begin(shape.clone())?;
    let heads = load.probe(PROBE_BOUND)?;
    load.run(timing.warm)?;
    load.reset();
    let dropped = Load::lines_dropped();
    let (began, cpu, own) = (clock::now(), Cpu::of_process(proxy.pid())?, Cpu::of_this_thread()?);
    load.run(timing.length)?;
    let cpu = Cpu::of_process(proxy.pid())?.since(cpu);
    let (own, seconds) = (Cpu::of_this_thread()?.since(own), (clock::now() - began).as_secs_f64());
    let (answers, servers, bytes) = (load.counts.answers, load.counts.servers.len(), load.counts.bytes);
    let times = load.counts.times.clone();
    load.idle(DRAIN)?;
    let lines = load.counts.lines + Load::lines_dropped().saturating_sub(dropped);
    let counts = &load.counts;
    #[expect(clippy::cast_precision_loss, reason = "counts and shares for people")]
    let turn = {
        let requests = answers.max(1) as f64;
        let wanted = |cpu: Cpu| (cpu.ran + cpu.waited).as_secs_f64() / seconds;
        Turn {
            subject,
            round,
            seconds,
            answers,
            wrong: counts.wrong,
            broken: counts.cut + counts.refused + counts.unasked,
            first_error: counts.first_error.clone(),
            cpu_micros: cpu.ran.as_secs_f64() * 1e6 / requests,
            user_share: cpu.user_share(),
            subject_busy: wanted(cpu) / workload.site.workers as f64,
            load_busy: wanted(own),
            disturbed: cpu.waited.as_secs_f64() / seconds,
            p50: times.micros(0.5),
            p99: times.micros(0.99),
            p999: times.micros(0.999),
            lines: lines as f64 / counts.answers.max(1) as f64,
            servers,
            reconnects: counts.reconnects,
            megabytes: bytes as f64 / 1e6,
        }
    };
    Ok((turn, heads))
}
