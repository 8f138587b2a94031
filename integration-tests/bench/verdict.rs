//! What the turns of a workload allow to say: ratios, or why there are none. Pure: numbers in, a judgement out.

use crate::subject::Subject;
use std::fmt;

/// A core is saturated above this part of the time.
const SATURATED: f64 = 0.93;
/// Of two busy cores, the one that is busier by this part is the bottleneck.
const NEAR: f64 = 0.05;
/// A load that reaches less than this part of the rate it was to keep did not keep it.
const RATE_KEPT: f64 = 0.95;
/// Log lines per request may differ from those of haproxy by this part.
const LINES_SLACK: f64 = 0.01;
/// The number of servers used may differ from haproxy's by this part.
const SERVERS_SLACK: f64 = 0.1;
/// Below so many answers for each server the number of servers used says nothing.
const ANSWERS_PER_SERVER: u64 = 10;

/// One subject in one round, in numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Turn {
    pub(crate) subject: Subject,
    pub(crate) round: usize,
    pub(crate) seconds: f64,
    pub(crate) answers: u64,
    /// Answers with a wrong status, length or body.
    pub(crate) wrong: u64,
    /// Connections cut or refused, bytes nobody asked for.
    pub(crate) broken: u64,
    pub(crate) first_error: Option<String>,
    /// Processor microseconds of the subject, per request.
    pub(crate) cpu_micros: f64,
    /// The same of each lap.
    pub(crate) laps: Vec<f64>,
    pub(crate) user_share: f64,
    /// Parts of the time in which the core of the subject, and of the load, was in use or wanted.
    pub(crate) subject_busy: f64,
    pub(crate) load_busy: f64,
    /// Parts of the time in which others had the core that the subject wanted.
    pub(crate) disturbed: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// Log lines per request.
    pub(crate) lines: f64,
    /// How many servers got requests.
    pub(crate) servers: usize,
    pub(crate) reconnects: u64,
    pub(crate) megabytes: f64,
}

impl Turn {
    #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
    pub(crate) fn rate(&self) -> f64 {
        self.answers as f64 / self.seconds
    }
}

/// What a workload was to be, as far as the judgement needs it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Terms {
    /// The fixed rate of requests; none: as many as possible.
    pub(crate) rate: Option<f64>,
    /// Whether every request is logged.
    pub(crate) logged: bool,
    /// Requests that may be under way when the counting of a lap begins or ends.
    pub(crate) connections: usize,
}

/// Why there is no ratio.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Refusal {
    /// A subject is missing, or was not measured in every round.
    Incomplete(Subject),
    Nothing {
        subject: Subject,
        round: usize,
    },
    Wrong {
        subject: Subject,
        round: usize,
        answers: u64,
        example: String,
    },
    Broken {
        subject: Subject,
        round: usize,
        connections: u64,
        example: String,
    },
    Unequal(String),
    /// The load, not the subject, limited what came through.
    Generator {
        subject: Subject,
        round: usize,
        load_busy: f64,
        subject_busy: f64,
    },
    RateMissed {
        subject: Subject,
        round: usize,
        wanted: f64,
        reached: f64,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete(subject) => write!(f, "{subject} was not measured in every round"),
            Self::Nothing { subject, round } => write!(f, "{subject} answered nothing in round {round}"),
            Self::Wrong { subject, round, answers, example } => {
                write!(f, "{subject} gave {answers} wrong answers in round {round} ({example})")
            }
            Self::Broken { subject, round, connections, example } => {
                write!(f, "{subject} broke {connections} connections in round {round} ({example})")
            }
            Self::Unequal(what) => write!(f, "unequal work: {what}"),
            Self::Generator { subject, round, load_busy, subject_busy } => write!(
                f,
                "the load generator was the bottleneck for {subject} in round {round} (its core {:.0} % busy, {subject}'s {:.0} %)",
                load_busy * 100.0,
                subject_busy * 100.0
            ),
            Self::RateMissed { subject, round, wanted, reached } => write!(
                f,
                "{subject} got {reached:.0} of {wanted:.0} requests/s in round {round}, though its core had time left"
            ),
        }
    }
}

impl Refusal {
    /// Whether a lower, fixed rate would cure it.
    pub(crate) fn is_generator(&self) -> bool {
        matches!(self, Self::Generator { .. })
    }
}

/// A ratio to haproxy: the median of all pairs that were measured one right after the other, and the lowest and highest
/// median that a round had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2}..{:.2})", self.median, self.low, self.high)
    }
}

/// Everything that forbids ratios, in the order of weight; empty when nothing does.
pub(crate) fn refusals(turns: &[Turn], subjects: &[Subject], rounds: usize, terms: Terms) -> Vec<Refusal> {
    let mut found = Vec::new();
    for &subject in subjects {
        if turns.iter().filter(|turn| turn.subject == subject).count() != rounds {
            found.push(Refusal::Incomplete(subject));
        }
    }
    for turn in turns {
        found.extend(broken(turn));
    }
    if found.is_empty() {
        found.extend(unequal(turns, terms));
        found.extend(turns.iter().filter_map(|turn| limited(turn, terms)));
    }
    found
}

fn broken(turn: &Turn) -> Vec<Refusal> {
    let Turn { subject, round, .. } = *turn;
    let example = || turn.first_error.clone().unwrap_or_else(|| "no example".to_owned());
    let mut found = Vec::new();
    if turn.wrong > 0 {
        found.push(Refusal::Wrong { subject, round, answers: turn.wrong, example: example() });
    }
    if turn.broken > 0 {
        found.push(Refusal::Broken { subject, round, connections: turn.broken, example: example() });
    }
    if turn.answers == 0 {
        found.push(Refusal::Nothing { subject, round });
    }
    found
}

#[expect(clippy::cast_precision_loss, reason = "counts")]
fn unequal(turns: &[Turn], terms: Terms) -> Vec<Refusal> {
    let mut found = Vec::new();
    for turn in turns {
        let wanted = if terms.logged { 1.0 } else { 0.0 };
        let under_way = (terms.connections * turn.laps.len()) as f64 / turn.answers.max(1) as f64;
        if (turn.lines - wanted).abs() > LINES_SLACK + under_way {
            found.push(Refusal::Unequal(format!(
                "{} wrote {:.3} log lines per request in round {}, not {wanted:.0}",
                turn.subject, turn.lines, turn.round
            )));
        }
    }
    // With few requests it is chance how many servers are reached.
    let most = turns.iter().map(|turn| turn.servers as u64).max().unwrap_or(0);
    let enough = |turn: &&Turn| turn.answers >= most * ANSWERS_PER_SERVER;
    let used =
        |subject| turns.iter().filter(enough).filter(|turn| turn.subject == subject).map(|turn| turn.servers).max();
    if let (Some(reference), Some(ours)) = (used(Subject::Haproxy), used(Subject::Proxyd))
        && (ours as f64 - reference as f64).abs() > reference as f64 * SERVERS_SLACK
    {
        found.push(Refusal::Unequal(format!("haproxy used {reference} servers, proxyd {ours}")));
    }
    found
}

/// What kept a subject from what it was asked for, where that was not the subject itself.
pub(crate) fn limited(turn: &Turn, terms: Terms) -> Option<Refusal> {
    let Turn { subject, round, load_busy, subject_busy, .. } = *turn;
    if subject_busy >= SATURATED {
        // With a rate to keep, a saturated subject is the finding; without one it is what was wanted.
        return None;
    }
    if load_busy >= SATURATED && load_busy - subject_busy > NEAR {
        return Some(Refusal::Generator { subject, round, load_busy, subject_busy });
    }
    let wanted = terms.rate?;
    (turn.rate() < wanted * RATE_KEPT).then(|| Refusal::RateMissed { subject, round, wanted, reached: turn.rate() })
}

/// The ratio of a subject to haproxy: value by value within each round.
pub(crate) fn ratio(turns: &[Turn], subject: Subject, values: impl Fn(&Turn) -> Vec<f64>) -> Option<Ratio> {
    let reference = |round| turns.iter().find(|turn| turn.subject == Subject::Haproxy && turn.round == round);
    let mut rounds: Vec<Vec<f64>> = Vec::new();
    for turn in turns.iter().filter(|turn| turn.subject == subject) {
        let pairs = values(turn).into_iter().zip(values(reference(turn.round)?));
        rounds.push(sorted(pairs.map(|(value, reference)| value / reference).collect()));
    }
    let medians = sorted(rounds.iter().filter_map(|round| middle(round)).collect());
    let median = middle(&sorted(rounds.concat()))?;
    Some(Ratio { median, low: *medians.first()?, high: *medians.last()? })
}

/// The median of what a subject's turns have.
pub(crate) fn median(turns: &[Turn], subject: Subject, value: impl Fn(&Turn) -> f64) -> Option<f64> {
    middle(&sorted(turns.iter().filter(|turn| turn.subject == subject).map(value).collect()))
}

pub(crate) fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    values
}

pub(crate) fn middle(sorted: &[f64]) -> Option<f64> {
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => sorted.get(half).copied(),
        _ => Some(f64::midpoint(*sorted.get(half - 1)?, *sorted.get(half)?)),
    }
}

/// How the heads differ that the two proxies sent on: what only one of them has. Empty when the work was the same.
pub(crate) fn heads_differ(whose: &str, reference: &[u8], ours: &[u8]) -> Vec<Refusal> {
    let (reference, ours) = (header_lines(reference), header_lines(ours));
    let only = |left: &[String], right: &[String]| -> Vec<String> {
        left.iter().filter(|line| !right.contains(line)).cloned().collect()
    };
    let (theirs_only, ours_only) = (only(&reference, &ours), only(&ours, &reference));
    if theirs_only.is_empty() && ours_only.is_empty() {
        return Vec::new();
    }
    vec![Refusal::Unequal(format!("{whose}: haproxy alone has {theirs_only:?}, proxyd alone {ours_only:?}"))]
}

/// Lines of a head with names in small letters, in order; the values of cookies that are set are left out.
fn header_lines(head: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(head);
    let shown = |line: &str| match line.split_once(':') {
        Some((name, _)) if name.eq_ignore_ascii_case("set-cookie") => "set-cookie".to_owned(),
        Some((name, value)) => format!("{}: {}", name.to_ascii_lowercase(), value.trim()),
        None => line.to_owned(),
    };
    let mut lines: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(shown).collect();
    lines.sort();
    lines
}

#[cfg(test)]
mod tests;
