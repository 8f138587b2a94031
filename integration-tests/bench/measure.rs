//! Rounds: all subjects freshly started, under the same load, in laps that take turns.

use crate::config;
use crate::lap::{Heads, Runner};
use crate::load::{Answering, Reuse, Shape};
use crate::place::Place;
use crate::subject::{Programs, Subject};
use crate::verdict::{self, Refusal, Terms, Turn};
use crate::workload::Workload;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::time::Duration;

/// When the generator was the bottleneck, all subjects get this part of what the slowest could do, as a fixed rate.
const PACED_PART: f64 = 0.85;
/// Bytes under way at once from which a turn takes longer, so that every connection gets its answers.
const HEAVY: usize = 500_000_000;
/// How many rounds may be measured again because the generator was the bottleneck in them. If it is so in more, it is in general.
const REPEATS_MAX: usize = 3;
/// How long a subject gets going again before it is measured.
const WARM_AGAIN: Duration = Duration::from_millis(20);

/// How long things are measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) rounds: usize,
    /// Before the first lap.
    pub(crate) warm: Duration,
    /// Of all laps of a round together.
    pub(crate) length: Duration,
    pub(crate) laps: u32,
}

impl Timing {
    /// With more rounds, for what is compared with a figure to reach.
    pub(crate) fn thorough(self) -> Self {
        Self { rounds: self.rounds * 2 - 1, ..self }
    }

    /// One lap, for what takes long to get going and to finish.
    fn in_one(self) -> Self {
        Self { laps: 1, ..self }
    }

    /// For what leaves so many connections behind that those of several subjects would not fit the files of one process.
    fn brief(self) -> Self {
        Self { warm: self.warm / 4, length: self.length / 4, laps: self.laps.div_ceil(2), ..self }
    }

    fn twice_as_long(self) -> Self {
        Self { warm: self.warm * 4, length: self.length * 2, ..self }
    }

    pub(crate) fn lap(self) -> Duration {
        self.length / self.laps
    }

    /// Before the laps after the first.
    pub(crate) fn warm_again(self) -> Duration {
        self.warm.min(WARM_AGAIN)
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
pub(crate) fn workload(
    programs: &Programs,
    places: &mut [Place],
    workload: Workload,
    timing: Timing,
) -> Result<Outcome> {
    let subjects = workload.subjects(programs.nginx.is_some());
    let configs = Configs::write(programs, &workload)?;
    let complaints = configs.complaints(programs)?;
    if !complaints.is_empty() {
        return Ok(Outcome { workload, subjects, turns: Vec::new(), refusals: complaints, repeated: 0, paced: None });
    }
    let shape = workload.shape()?;
    let timing = match (workload.answering, workload.reuse) {
        _ if workload.connections * workload.body >= HEAVY => timing.in_one().twice_as_long(),
        (Answering::After(_), _) => timing.in_one(),
        (Answering::AtOnce | Answering::Never, Reuse::PerRequest) => timing.brief(),
        (Answering::AtOnce | Answering::Never, Reuse::KeepAlive) => timing,
    };
    let Rounds { turns, refusals, repeated } = rounds(programs, places, &workload, &configs, &shape, timing)?;
    let mut outcome = Outcome { workload, subjects, turns, refusals, repeated, paced: None };
    if !outcome.refusals.is_empty() && outcome.refusals.iter().all(Refusal::is_generator) {
        let rates = outcome.subjects.iter().filter_map(|&s| verdict::median(&outcome.turns, s, Turn::rate));
        let rate = rates.fold(f64::INFINITY, f64::min) * PACED_PART;
        let mut shape = shape;
        shape.rate = Some(rate);
        let Rounds { turns, refusals, repeated } = rounds(programs, places, &workload, &configs, &shape, timing)?;
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

/// What came of the rounds at one rate.
struct Rounds {
    turns: Vec<Turn>,
    refusals: Vec<Refusal>,
    repeated: usize,
}

fn rounds(
    programs: &Programs,
    places: &mut [Place],
    workload: &Workload,
    configs: &Configs,
    shape: &Shape,
    timing: Timing,
) -> Result<Rounds> {
    let subjects = workload.subjects(programs.nginx.is_some());
    let terms = Terms { rate: shape.rate, logged: workload.site.log, connections: shape.connections };
    let mut turns: Vec<Turn> = Vec::new();
    let mut heads: Vec<(Subject, Heads)> = Vec::new();
    let mut repeated = 0;
    let mut round = 1;
    while round <= timing.rounds {
        let mut runners = Vec::new();
        for (&subject, place) in subjects.iter().zip(places.iter_mut()) {
            let runner = Runner::start(programs, place, workload, configs, shape, subject)
                .with_context(|| format!("{} with {subject}, round {round}", workload.name))?;
            runners.push((subject, runner));
        }
        for _ in 0..timing.laps {
            for (subject, runner) in &mut runners {
                runner.lap(timing).with_context(|| format!("{} with {subject}, round {round}", workload.name))?;
            }
        }
        if round == 1 {
            heads = runners.iter().map(|(subject, runner)| (*subject, runner.heads.clone())).collect();
        }
        let finish = |(subject, runner): &(Subject, Runner<'_>)| runner.finish(*subject, round, workload.site.workers);
        let found: Vec<Turn> = runners.iter().map(finish).collect();
        if repeated < REPEATS_MAX && found.iter().any(|turn| verdict::limited(turn, terms).is_some()) {
            repeated += 1;
        } else {
            turns.extend(found);
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
