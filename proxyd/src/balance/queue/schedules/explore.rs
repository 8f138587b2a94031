//! Runs threads one access at a time, in every order there is, up to a number of interruptions.
//!
//! A thread goes on until it is interrupted, waits for a lock, sleeps or ends. What was decided is a list; the next run
//! repeats it up to the last decision that had an alternative, and takes that one.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::thread;

use crate::balance::sync::watched::{Access, observe};

/// What one thread does.
pub(super) type Program<'a> = Box<dyn FnOnce(&Turn) + Send + 'a>;

/// How often a thread may be interrupted in a run, and what was found.
#[derive(Debug)]
pub(super) struct Explored {
    /// Different orders that were run.
    pub(super) runs: usize,
    /// What went wrong first, and in which order.
    pub(super) failure: Option<String>,
}

/// A sleeper's alarm.
#[derive(Debug, Default)]
pub(super) struct Alarm(AtomicBool);

impl Alarm {
    /// Makes it ring once more.
    pub(super) fn reset(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[derive(Debug, Clone)]
enum Status {
    Ready,
    WantsLock(usize),
    Asleep(Arc<Alarm>),
    Done,
}

/// A moment at which more than one thread could go on.
#[derive(Debug)]
struct Decision {
    able: Vec<usize>,
    taken: usize,
    /// Whether to take another one than the first is an interruption.
    interrupts: bool,
    interruptions_before: usize,
}

#[derive(Debug)]
struct State {
    running: usize,
    status: Vec<Status>,
    locked: BTreeSet<usize>,
    decisions: Vec<Decision>,
    next_decision: usize,
    interruptions: usize,
    failure: Option<String>,
}

impl State {
    fn is_able(&self, thread: usize) -> bool {
        match &self.status[thread] {
            Status::Ready => true,
            Status::WantsLock(lock) => !self.locked.contains(lock),
            Status::Asleep(alarm) => alarm.0.load(Ordering::SeqCst),
            Status::Done => false,
        }
    }

    /// Who goes on after this one.
    fn decide(&mut self, from: usize) -> Option<usize> {
        let count = self.status.len();
        let able: Vec<usize> = (from..count).chain(0..from).filter(|&thread| self.is_able(thread)).collect();
        let interrupts = able.first() == Some(&from);
        let next = match able[..] {
            [] => return None,
            [only] => only,
            _ => {
                if self.next_decision == self.decisions.len() {
                    let interruptions_before = self.interruptions;
                    self.decisions.push(Decision { able: able.clone(), taken: 0, interrupts, interruptions_before });
                }
                let decision = &self.decisions[self.next_decision];
                assert_eq!(decision.able, able, "a run could not be repeated");
                self.next_decision += 1;
                able[decision.taken]
            }
        };
        self.interruptions += usize::from(interrupts && next != from);
        Some(next)
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    turns: Vec<Condvar>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, state: &mut State, what: String) {
        state.failure.get_or_insert(what);
        self.turns.iter().for_each(Condvar::notify_all);
    }

    /// Lets whoever is next go on, and returns when it is this thread's turn again.
    fn pass(&self, thread: usize, status: Status) {
        let ends = matches!(status, Status::Done);
        let mut state = self.lock();
        state.status[thread] = status;
        if state.failure.is_some() {
            return Self::stop(ends);
        }
        match state.decide(thread) {
            Some(next) => {
                state.running = next;
                self.turns[next].notify_all();
            }
            None if state.status.iter().all(|status| matches!(status, Status::Done)) => return,
            None => {
                let what = format!("nothing can happen any more: {:?}", state.status);
                self.fail(&mut state, what);
            }
        }
        if !ends {
            self.wait_for_turn(thread, state);
        }
    }

    fn wait_for_turn(&self, thread: usize, mut state: MutexGuard<'_, State>) {
        while state.running != thread && state.failure.is_none() {
            state = self.turns[thread].wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.failure.is_some() {
            drop(state);
            return Self::stop(false);
        }
        if let Status::WantsLock(lock) = state.status[thread] {
            state.locked.insert(lock);
        }
        state.status[thread] = Status::Ready;
    }

    /// Ends a thread of a run that failed.
    fn stop(ends: bool) {
        if !ends && !thread::panicking() {
            resume_unwind(Box::new("the run failed"));
        }
    }
}

/// A thread's place in the run.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    shared: Arc<Shared>,
    thread: usize,
}

impl Turn {
    /// Lets others go first, if they are to.
    pub(super) fn step(&self) {
        self.shared.pass(self.thread, Status::Ready);
    }

    /// Sleeps until woken.
    pub(super) fn sleep(&self, alarm: &Arc<Alarm>) {
        self.shared.pass(self.thread, Status::Asleep(Arc::clone(alarm)));
    }

    fn observe(&self, access: Access) {
        match access {
            Access::Counter => self.step(),
            Access::Lock(lock) => self.shared.pass(self.thread, Status::WantsLock(lock)),
            Access::Unlocked(lock) => {
                self.shared.lock().locked.remove(&lock);
            }
        }
    }
}

/// Runs these programs in every order with at most so many interruptions; `after` looks at what is left.
pub(super) fn explore<T: Sync>(
    interruptions: usize,
    prepare: impl Fn() -> T,
    programs: impl for<'a> Fn(&'a T) -> Vec<Program<'a>>,
    after: impl Fn(&T),
) -> Explored {
    let mut decisions = Vec::new();
    for runs in 1.. {
        let world = prepare();
        let (state, failure) = run(decisions, programs(&world));
        decisions = state;
        let failure = failure.or_else(|| {
            catch_unwind(AssertUnwindSafe(|| after(&world))).err().map(|_| "something is left over".to_owned())
        });
        if let Some(what) = failure {
            let order: Vec<usize> = decisions.iter().map(|decision| decision.able[decision.taken]).collect();
            return Explored { runs, failure: Some(format!("{what}, in the order {order:?}")) };
        }
        loop {
            let Some(mut last) = decisions.pop() else { return Explored { runs, failure: None } };
            last.taken += 1;
            if last.taken < last.able.len() && (!last.interrupts || last.interruptions_before < interruptions) {
                decisions.push(last);
                break;
            }
        }
    }
    unreachable!("the orders are finite")
}

fn run(decisions: Vec<Decision>, programs: Vec<Program<'_>>) -> (Vec<Decision>, Option<String>) {
    let state = State {
        running: usize::MAX,
        status: programs.iter().map(|_| Status::Ready).collect(),
        locked: BTreeSet::new(),
        decisions,
        next_decision: 0,
        interruptions: 0,
        failure: None,
    };
    let turns = programs.iter().map(|_| Condvar::new()).collect();
    let shared = Arc::new(Shared { state: Mutex::new(state), turns });
    thread::scope(|scope| {
        for (thread, program) in programs.into_iter().enumerate() {
            let turn = Turn { shared: Arc::clone(&shared), thread };
            scope.spawn(move || play(&turn, program));
        }
        // No interruption: none of them runs yet.
        let mut state = shared.lock();
        let first = state.decide(0).unwrap_or_default();
        state.interruptions = 0;
        state.running = first;
        shared.turns[first].notify_all();
    });
    let mut state = shared.lock();
    (std::mem::take(&mut state.decisions), state.failure.take())
}

fn play(turn: &Turn, program: Program<'_>) {
    let result = catch_unwind(AssertUnwindSafe(|| {
        turn.shared.wait_for_turn(turn.thread, turn.shared.lock());
        let observer = turn.clone();
        observe(Some(Rc::new(move |access| observer.observe(access))));
        program(turn);
    }));
    observe(None);
    if let Err(panic) = result {
        let what = panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a thread panicked".to_owned());
        turn.shared.fail(&mut turn.shared.lock(), what);
    }
    turn.shared.pass(turn.thread, Status::Done);
}
