//! haproxy and proxyd with one configuration, the same bytes from the same client and the same server: what differs.
//!
//! `proxy-differ [PROGRAM]`, with PROGRAM instead of the proxyd that was built beside this one. In the environment: `SEED` and `N`,
//! which cases and how many; `WHAT`, `requests` (else) or
//! `answers`, what is strange in them; `CASE`, one number, to see what both make of that case alone; `EVERY`, to see every
//! difference that counts, as it was found; `PLACES`, how many cases run at once; `PORT`, the first of as many ports.
//!
//! Each difference is run three times more before it counts. Those that a rule of `intended` explains are counted under its name;
//! of the others the smallest form of each kind is printed, and the program fails.

mod answers;
mod case;
mod engine;
mod grammar;
mod intended;
mod lines;
mod message;
mod mutate;
mod origin;
mod outcome;
mod random;
mod report;
mod shapes;
mod shrink;
mod side;

use anyhow::{Result, bail, ensure};
use case::Case;
use engine::{Engine, Finished};
use integration_tests::clock;
use integration_tests::subject::Subject;
use mutate::What;
use outcome::Difference;
use report::{Key, Report};
use std::collections::VecDeque;
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;

/// How many cases run at once, unless `PLACES` says so: fewer where the machine is busy, for the proxies' timeouts run meanwhile.
const PLACES: u16 = 400;
/// How often a case is made smaller at most.
const ROUNDS: u32 = 60;
/// How often the same difference must be seen again.
const AGAIN: u8 = 3;
/// How often a case is run that differs in another way each time: a machine that stood still, not the proxy.
const TRIES: u8 = 8;

/// What a case has shown before.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    key: Option<Key>,
    /// How often it differed in this way.
    times: u8,
    tries: u8,
}

impl Seen {
    /// It has differed in this way.
    fn again(&self, key: Key) -> Self {
        let same = self.key.as_ref() == Some(&key);
        Self { key: Some(key), times: if same { self.times + 1 } else { 1 }, tries: self.tries + 1 }
    }
}

fn main() -> Result<()> {
    let ours = match std::env::args().nth(1) {
        Some(path) => PathBuf::from(path),
        None => Subject::Ours.proxy()?,
    };
    let what = match std::env::var("WHAT").as_deref() {
        Ok("answers") => What::Answers,
        Ok("requests") | Err(_) => What::Requests,
        Ok(other) => bail!("WHAT={other} is neither requests nor answers"),
    };
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("SEED").unwrap_or(1);
    let small = |name: &str, usual: u16| number(name).and_then(|number| u16::try_from(number).ok()).unwrap_or(usual);
    let ports = (small("PORT", side::FIRST_PORT), small("PLACES", PLACES));
    // Those of another process are others, also where it was started together with this one.
    let own = 2 + u8::try_from(std::process::id() % 250).unwrap_or(0);
    let sides = [
        side::Side::start(&ours, [own, 100], ports)?,
        side::Side::start(&Subject::Theirs.proxy()?, [own, 200], ports)?,
    ];
    let mut engine = Engine::new(sides)?;
    if let Some(one) = number("CASE") {
        engine.start(Rc::new(mutate::case(what, seed, one)), Seen::default(), 1)?;
        while !engine.is_idle() {
            for done in engine.turn()? {
                report::show(&done)?;
                writeln!(std::io::stdout(), "{}", verdict(&done))?;
            }
        }
        return Ok(());
    }
    let count = number("N").unwrap_or(20_000);
    let started = clock::now();
    let mut report = Report::default();
    report.every = std::env::var_os("EVERY").is_some();
    run(&mut engine, (what, seed), count, &mut report)?;
    report.took = started.elapsed();
    let unexplained = report.print(seed)?;
    for example in report.examples() {
        let smallest = smallest(&mut engine, what, &example)?;
        report::show(&smallest)?;
    }
    ensure!(unexplained == 0, "{unexplained} differences that are not meant");
    Ok(())
}

/// Runs the cases of a seed.
fn run(engine: &mut Engine<Seen>, (what, seed): (What, u64), count: u64, report: &mut Report) -> Result<()> {
    let mut next = 0;
    let mut waiting: VecDeque<(Rc<Case>, Seen)> = VecDeque::new();
    loop {
        while next < count && waiting.len() < engine.sides[0].places.len() {
            waiting.push_back((Rc::new(mutate::case(what, seed, next)), Seen::default()));
            next += 1;
        }
        let mut later = VecDeque::new();
        while let Some((case, seen)) = waiting.pop_front() {
            if engine.has_room(case.variant) {
                let patience = u32::from(seen.times);
                engine.start(case, seen, patience)?;
            } else {
                later.push_back((case, seen));
            }
        }
        waiting = later;
        for done in engine.turn()? {
            match verdict(&done) {
                Verdict::Same if done.tag.tries > 0 => report.unsteady += 1,
                Verdict::Same => report.same += 1,
                Verdict::Intended(rule) => report.intended(rule),
                Verdict::Different(kind) => {
                    let seen = done.tag.again(Key::new(kind, &done));
                    match (seen.times > AGAIN, seen.tries < TRIES) {
                        (true, _) => report.different(kind, done)?,
                        (false, true) => waiting.push_back((done.case, seen)),
                        (false, false) => report.unsteady += 1,
                    }
                }
            }
        }
        if next == count && waiting.is_empty() && engine.is_idle() {
            return Ok(());
        }
    }
}

/// What a pair of outcomes amounts to.
enum Verdict {
    Same,
    Intended(intended::Explanation),
    Different(Difference),
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Same => f.write_str("alike"),
            Self::Intended((name, reason)) => write!(f, "meant: {name}: {reason}"),
            Self::Different(kind) => write!(f, "NOT MEANT: {kind:?}"),
        }
    }
}

fn verdict(done: &Finished<Seen>) -> Verdict {
    let Finished { case, ours, theirs, .. } = done;
    let (kind, rule) = match outcome::difference(ours, theirs) {
        Some(kind) => (kind, intended::explanation(case, ours, theirs)),
        None if lines::alike(&done.lines[0], &done.lines[1]) => return Verdict::Same,
        None => (Difference::Lines, intended::lines::explanation(done)),
    };
    rule.map_or(Verdict::Different(kind), Verdict::Intended)
}

/// The smallest form of a case that differs in the same way.
fn smallest(engine: &mut Engine<Seen>, what: What, example: &report::Example) -> Result<Finished<Seen>> {
    let mut best = run_one(engine, &example.case)?;
    for _ in 0..ROUNDS {
        let mut waiting: VecDeque<Case> = shrink::candidates(what, &best.case).into();
        let mut better: Option<Finished<Seen>> = None;
        // Many that are smaller run at once; the smallest that still differs is the next to be made smaller.
        while !waiting.is_empty() || !engine.is_idle() {
            while waiting.front().is_some_and(|case| engine.has_room(case.variant)) {
                let Some(case) = waiting.pop_front() else { break };
                engine.start(Rc::new(case), Seen::default(), 2)?;
            }
            for done in engine.turn()? {
                let Verdict::Different(kind) = verdict(&done) else { continue };
                let key = Key::new(kind, &done);
                let size = better.as_ref().unwrap_or(&best).case.size();
                if key == example.key && done.case.size() < size {
                    better = Some(done);
                    waiting.clear();
                }
            }
        }
        match better {
            Some(better) => best = better,
            None => break,
        }
    }
    Ok(best)
}

fn run_one(engine: &mut Engine<Seen>, case: &Rc<Case>) -> Result<Finished<Seen>> {
    engine.start(Rc::clone(case), Seen::default(), 1)?;
    loop {
        if let Some(done) = engine.turn()?.pop() {
            return Ok(done);
        }
    }
}
