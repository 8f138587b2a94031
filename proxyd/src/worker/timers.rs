//! One coarse timer wheel per worker.
//!
//! A connection owns one [`Timer`] for its whole life and moves its deadline about. Moving it later, which is what almost
//! every message does, is one store: the entry stays in the slot it was filed in and is filed again when that slot comes
//! round. So the cost of timeouts does not grow with the number of messages, and nothing is registered with the runtime
//! per read. Deadlines are met late by at most [`TICK`], never early.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use slab::Slab;
use tokio::sync::Notify;

use super::survey::Survey;
use crate::clock::{self, Moment};

/// How coarse the wheel is.
pub const TICK: Duration = Duration::from_millis(TICK_MS);

const TICK_MS: u64 = 2;

/// Slots of the wheel, a power of two. Deadlines more than a turn ahead are looked at once a turn.
const SLOTS: u64 = 4096;

/// A tick that never comes.
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
struct Entry {
    /// When it expires.
    deadline: u64,
    /// The tick of the slot it is filed in; a key found in another slot is left over from before.
    filed: u64,
    expired: bool,
    /// How often it was waited with.
    waits: u32,
    /// What whoever waits is asked.
    asked: Option<Rc<Survey>>,
    waker: Option<Waker>,
    /// The task was woken and has not run since.
    woken: bool,
}

impl Entry {
    fn wake_by(&mut self, context: &Context<'_>) {
        match &mut self.waker {
            Some(waker) if waker.will_wake(context.waker()) => {}
            waker => {
                *waker = Some(context.waker().clone());
                self.woken = false;
            }
        }
    }

    /// Whoever waits, to be woken.
    fn waker(&mut self) -> Option<Waker> {
        let waker = self.waker.take();
        self.woken |= waker.is_some();
        waker
    }
}

/// The wheel itself, without a clock: ticks are counted from the worker's start.
#[derive(Debug)]
struct Wheel {
    slots: Vec<Vec<usize>>,
    /// One bit per slot that holds keys.
    occupied: Vec<u64>,
    entries: Slab<Entry>,
    /// All slots up to and including this tick were emptied.
    done: u64,
}

impl Wheel {
    fn new() -> Self {
        let slots = usize::try_from(SLOTS).unwrap_or_default();
        Self { slots: vec![Vec::new(); slots], occupied: vec![0; slots / 64], entries: Slab::new(), done: 0 }
    }

    fn insert(&mut self) -> usize {
        self.entries.insert(Entry {
            deadline: NEVER,
            filed: NEVER,
            expired: false,
            waits: 0,
            asked: None,
            waker: None,
            woken: false,
        })
    }

    /// Moves a deadline. True when the entry had to be filed earlier than it was.
    fn set(&mut self, key: usize, deadline: u64) -> bool {
        self.set_and(key, deadline, |_| ()).is_some_and(|(earlier, ())| earlier)
    }

    /// The same, with a look at the entry before.
    fn set_and<T>(&mut self, key: usize, deadline: u64, look: impl FnOnce(&mut Entry) -> T) -> Option<(bool, T)> {
        let entry = self.entries.get_mut(key)?;
        let seen = look(entry);
        entry.deadline = deadline;
        entry.expired = false;
        let earlier = deadline < entry.filed;
        if earlier {
            self.file(key, deadline);
        }
        Some((earlier, seen))
    }

    fn file(&mut self, key: usize, deadline: u64) {
        let at = deadline.clamp(self.done + 1, self.done + SLOTS - 1);
        if let Some(entry) = self.entries.get_mut(key) {
            entry.filed = at;
        }
        let slot = slot(at);
        self.slots[slot].push(key);
        self.occupied[slot / 64] |= 1 << (slot % 64);
    }

    /// Empties every slot up to `now`; hands over the wakers of what expired.
    fn advance(&mut self, now: u64, mut wake: impl FnMut(Waker)) {
        while let Some(tick) = self.next().filter(|&tick| tick <= now) {
            self.done = tick;
            let slot = slot(tick);
            self.occupied[slot / 64] &= !(1 << (slot % 64));
            let mut keys = std::mem::take(&mut self.slots[slot]);
            for key in keys.drain(..) {
                let Some(entry) = self.entries.get_mut(key).filter(|entry| entry.filed == tick) else { continue };
                entry.filed = NEVER;
                if entry.deadline <= now {
                    entry.deadline = NEVER;
                    entry.expired = true;
                    entry.waker().map(&mut wake);
                } else if entry.deadline != NEVER {
                    let deadline = entry.deadline;
                    self.file(key, deadline);
                }
            }
            if self.slots[slot].is_empty() {
                // Keeps the memory of the slot for its next turn.
                self.slots[slot] = keys;
            }
        }
        self.done = self.done.max(now);
    }

    /// The next tick with something in its slot.
    fn next(&self) -> Option<u64> {
        let first = self.done + 1;
        let words = self.occupied.len();
        let start = slot(first);
        for step in 0..=words {
            let word = (start / 64 + step) % words;
            let mut bits = self.occupied[word];
            if step == 0 {
                bits &= u64::MAX << (start % 64);
            } else if step == words {
                bits &= !(u64::MAX << (start % 64));
            }
            if bits != 0 {
                let found = word as u64 * 64 + u64::from(bits.trailing_zeros());
                return Some(first + (found.wrapping_sub(start as u64) & (SLOTS - 1)));
            }
        }
        None
    }
}

fn slot(tick: u64) -> usize {
    usize::try_from(tick & (SLOTS - 1)).unwrap_or_default()
}

/// The timers of one worker. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Timers(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    wheel: RefCell<Wheel>,
    start: Moment,
    /// What the driver sleeps for.
    sleeps_until: Cell<u64>,
    /// Told when a deadline comes before what the driver sleeps for.
    earlier: Notify,
}

impl Timers {
    /// A wheel that begins now.
    pub fn new(now: Moment) -> Self {
        Self(Rc::new(Shared {
            wheel: RefCell::new(Wheel::new()),
            start: now,
            sleeps_until: Cell::new(NEVER),
            earlier: Notify::new(),
        }))
    }

    /// A timer that is not set.
    pub fn timer(&self) -> Timer {
        Timer { key: self.0.wheel.borrow_mut().insert(), timers: self.clone() }
    }

    /// Lets timers expire, for as long as the worker lives. The one sleep of the runtime.
    pub async fn drive(self) {
        loop {
            let next = self.0.wheel.borrow().next();
            self.0.sleeps_until.set(next.unwrap_or(NEVER));
            let changed = self.0.earlier.notified();
            match next {
                None => changed.await,
                Some(tick) => {
                    // Either the time comes, or an earlier deadline does: both mean to look again.
                    let _ = tokio::time::timeout(self.until(tick), changed).await;
                }
            }
            let now = self.tick_before(clock::moment());
            let mut woken = Vec::new();
            self.0.wheel.borrow_mut().advance(now, |waker| woken.push(waker));
            woken.into_iter().for_each(Waker::wake);
        }
    }

    /// Wakes every task that waits with a timer, without expiring it: what they wait for may have changed.
    pub fn wake_all(&self) {
        let mut wheel = self.0.wheel.borrow_mut();
        let wakers: Vec<Waker> = wheel.entries.iter_mut().filter_map(|(_, entry)| entry.waker()).collect();
        drop(wheel);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Asks every task that waits with a timer; it is woken for that. One survey at a time: whoever has not answered the one before
    /// does not answer it any more.
    pub fn ask(&self, survey: &Rc<Survey>) {
        let mut wheel = self.0.wheel.borrow_mut();
        let mut left = Vec::new();
        let mut ask = |entry: &mut Entry| {
            let waker = entry.waker();
            if entry.woken {
                left.extend(entry.asked.replace(Rc::clone(survey)));
            }
            waker
        };
        let wakers: Vec<Waker> = wheel.entries.iter_mut().filter_map(|(_, entry)| ask(entry)).collect();
        drop(wheel);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn tick_before(&self, now: Moment) -> u64 {
        now.milliseconds_since(self.0.start) / TICK_MS
    }

    /// The tick by which a deadline has passed.
    fn tick_after(&self, deadline: Option<Moment>) -> u64 {
        deadline.map_or(NEVER, |deadline| self.tick_before(deadline).saturating_add(1))
    }

    /// Something was filed for this tick: the driver may sleep for too long.
    fn is_earlier(&self, tick: u64) {
        if tick < self.0.sleeps_until.get() {
            self.0.earlier.notify_one();
        }
    }

    /// How long it takes until a tick comes.
    fn until(&self, tick: u64) -> Duration {
        let at = self.0.start + TICK * u32::try_from(tick).unwrap_or(u32::MAX);
        at.since(clock::moment())
    }
}

/// One connection's timer.
#[derive(Debug)]
pub struct Timer {
    timers: Timers,
    key: usize,
}

/// The deadline passed first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Elapsed;

impl Timer {
    /// Expires at `deadline`; `None`: never.
    pub fn set(&self, deadline: Option<Moment>) {
        let tick = self.timers.tick_after(deadline);
        if self.timers.0.wheel.borrow_mut().set(self.key, tick) {
            self.timers.is_earlier(tick);
        }
    }

    /// Expires at `deadline`, `None`: never; the task is woken when it does. Says whether there is news: the deadline before has
    /// passed, or the task is asked something.
    pub fn wait(&self, context: &Context<'_>, deadline: Option<Moment>) -> bool {
        let tick = self.timers.tick_after(deadline);
        let look = |entry: &mut Entry| {
            entry.wake_by(context);
            entry.waits = entry.waits.wrapping_add(1);
            entry.expired || entry.asked.is_some()
        };
        let (earlier, news) = self.timers.0.wheel.borrow_mut().set_and(self.key, tick, look).unwrap_or_default();
        if earlier {
            self.timers.is_earlier(tick);
        }
        news
    }

    /// What the task is asked.
    pub fn question(&self) -> Option<Rc<Survey>> {
        self.timers.0.wheel.borrow_mut().entries.get_mut(self.key)?.asked.take()
    }

    /// How often it was waited with.
    pub fn waits(&self) -> u32 {
        self.timers.0.wheel.borrow().entries.get(self.key).map_or(0, |entry| entry.waits)
    }

    /// Whether the deadline has passed; if not, the task is woken when it does.
    pub fn poll_expired(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut wheel = self.timers.0.wheel.borrow_mut();
        let Some(entry) = wheel.entries.get_mut(self.key) else { return Poll::Ready(()) };
        // Whoever waits in this way has nothing to tell.
        entry.asked = None;
        if entry.expired {
            entry.woken = false;
            return Poll::Ready(());
        }
        entry.wake_by(context);
        Poll::Pending
    }

    /// `work`, unless the deadline passes first. `work` has the first word: what is ready is never late.
    pub async fn race<F: Future>(&self, work: F) -> Result<F::Output, Elapsed> {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|context| self.poll_race(context, work.as_mut())).await
    }

    fn poll_race<F: Future>(&self, context: &mut Context<'_>, work: Pin<&mut F>) -> Poll<Result<F::Output, Elapsed>> {
        if let Poll::Ready(output) = work.poll(context) {
            return Poll::Ready(Ok(output));
        }
        self.poll_expired(context).map(|()| Err(Elapsed))
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.timers.0.wheel.borrow_mut().entries.try_remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::survey::Question;
    use proptest::prelude::*;
    use tokio::sync::oneshot::error::TryRecvError;

    fn expired(wheel: &Wheel, key: usize) -> bool {
        wheel.entries[key].expired
    }

    #[test]
    fn a_deadline_moved_later_is_not_filed_again() {
        let mut wheel = Wheel::new();
        let key = wheel.insert();
        assert!(wheel.set(key, 10));
        assert!(!wheel.set(key, 20));
        wheel.advance(19, |_| {});
        assert!(!expired(&wheel, key));
        wheel.advance(20, |_| {});
        assert!(expired(&wheel, key));
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn beyond_a_turn_of_the_wheel() {
        let mut wheel = Wheel::new();
        let key = wheel.insert();
        wheel.set(key, SLOTS * 3 + 5);
        for now in 0..SLOTS * 3 + 5 {
            wheel.advance(now, |_| {});
            assert!(!expired(&wheel, key), "{now}");
        }
        wheel.advance(SLOTS * 3 + 5, |_| {});
        assert!(expired(&wheel, key));
    }

    proptest! {
        /// Against a plain list of deadlines: nothing expires early, nothing late, whatever was moved in between.
        #[test]
        fn as_a_list_of_deadlines(steps in prop::collection::vec((0..8_usize, 0..9_000_u64, 0..700_u64), 1..60)) {
            let mut wheel = Wheel::new();
            let keys: Vec<usize> = (0..8).map(|_| wheel.insert()).collect();
            let mut deadlines = vec![NEVER; 8];
            let mut now = 0;
            for (which, ahead, pass) in steps {
                deadlines[which] = if ahead == 0 { NEVER } else { now + ahead };
                wheel.set(keys[which], deadlines[which]);
                now += pass;
                wheel.advance(now, |_| {});
                for (key, deadline) in keys.iter().zip(&mut deadlines) {
                    prop_assert_eq!(expired(&wheel, *key), *deadline <= now);
                    if *deadline <= now {
                        *deadline = NEVER;
                        wheel.set(*key, NEVER);
                    }
                }
                prop_assert!(wheel.next().is_none_or(|next| next > now));
            }
        }
    }

    #[test]
    fn those_who_wait_are_asked_and_nobody_else() {
        let timers = Timers::new(clock::moment());
        let context = Context::from_waker(Waker::noop());
        let all: Vec<Timer> = (0..5).map(|_| timers.timer()).collect();
        let [waits, woken, expired, gone, idle] = &all[..] else { panic!("five timers") };
        for timer in [waits, woken, gone] {
            assert!(!timer.wait(&context, None), "there is no news");
        }
        // Woken for another reason, and not run since.
        timers.wake_all();
        assert!(!waits.wait(&context, None));
        // Its time was over, and it went on to something else.
        expired.wait(&context, None);
        timers.0.wheel.borrow_mut().set(expired.key, 1);
        timers.0.wheel.borrow_mut().advance(2, drop);
        assert!(expired.poll_expired(&mut Context::from_waker(Waker::noop())).is_ready());
        let (asker, mut answer) = tokio::sync::oneshot::channel();
        timers.ask(&Rc::new(Survey::new(Question::All, asker)));
        assert_eq!(answer.try_recv().unwrap_err(), TryRecvError::Empty, "three are still to answer");
        for timer in [waits, woken] {
            assert!(timer.wait(&context, None), "it is told");
            assert!(timer.question().is_some());
            assert!(!timer.wait(&context, None), "once");
        }
        assert!(expired.question().is_none() && idle.question().is_none());
        assert_eq!(answer.try_recv().unwrap_err(), TryRecvError::Empty, "one is still to answer");
        timers.0.wheel.borrow_mut().entries.remove(gone.key);
        assert!(answer.try_recv().unwrap().is_empty());
    }

    #[test]
    fn a_race_is_lost_at_the_deadline_and_won_before() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let start = clock::moment();
            let timers = Timers::new(start);
            tokio::task::spawn_local(timers.clone().drive());
            let (slow, fast) = (timers.timer(), timers.timer());
            slow.set(Some(start + Duration::from_mins(1)));
            assert_eq!(slow.race(std::future::ready(7)).await, Ok(7));
            fast.set(Some(start + Duration::from_millis(30)));
            assert_eq!(fast.race(std::future::pending::<()>()).await, Err(Elapsed));
            assert!(clock::moment() >= start + Duration::from_millis(30));
        });
    }
}
