//! Which requests begin in a turn of the loop.
//!
//! Where many clients ask at the same time, most of what a turn finds are new requests. If all of them began in it, each answer
//! would wait behind them, and would find its memory, the kernel's too, gone from the processor's cache. So only some begin in
//! a turn; the others wait in the order in which they came, and answers go first. Nobody is kept from anything: each turn lets
//! the next ones begin, whether answers have come or not.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::Worker;
use crate::limits::STARTS_PER_TURN;

/// The requests that may begin, and the connections whose requests wait for that.
#[derive(Debug)]
pub struct Starts {
    /// How many may begin in this turn. While some wait, none.
    left: Cell<usize>,
    waiting: RefCell<VecDeque<Waker>>,
    /// Who lets them go on, when it has nothing to do.
    usher: RefCell<Option<Waker>>,
}

impl Default for Starts {
    fn default() -> Self {
        Self { left: Cell::new(STARTS_PER_TURN), waiting: RefCell::default(), usher: RefCell::default() }
    }
}

impl Starts {
    /// Whether a request that has come now has to wait.
    pub fn is_full(&self) -> bool {
        self.left.get() == 0
    }

    /// A request begins.
    pub fn begin(&self) {
        self.left.set(self.left.get().saturating_sub(1));
    }

    /// Puts a connection in the line. It is woken once, and goes on then.
    pub fn wait(&self, waker: &Waker) {
        self.waiting.borrow_mut().push_back(waker.clone());
        if let Some(usher) = self.usher.take() {
            usher.wake();
        }
    }

    /// The loop has nothing to do any more.
    pub fn turn_over(&self) {
        if self.waiting.borrow().is_empty() {
            self.left.set(STARTS_PER_TURN);
        }
    }

    /// Another turn has begun: the next ones go on. Says how many.
    fn let_go(&self) -> usize {
        let mut waiting = self.waiting.borrow_mut();
        let count = waiting.len().min(STARTS_PER_TURN);
        waiting.drain(..count).for_each(Waker::wake);
        self.left.set(STARTS_PER_TURN - count);
        count
    }
}

/// Lets the connections in the line go on, for as long as the worker lives.
pub async fn usher(worker: Rc<Worker>) {
    loop {
        std::future::poll_fn(|context| {
            if worker.starts.waiting.borrow().is_empty() {
                worker.starts.usher.replace(Some(context.waker().clone()));
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        // After a look at the sockets, and behind those whose answers it has found.
        tokio::task::yield_now().await;
        // The loop does not come to rest meanwhile, which is when lines leave otherwise.
        worker.log.flush();
        worker.starts.let_go();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn those_that_came_first_go_on_first_and_a_few_a_turn() {
        let starts = Starts::default();
        for _ in 0..STARTS_PER_TURN {
            assert!(!starts.is_full());
            starts.begin();
        }
        assert!(starts.is_full());
        let woken: Vec<_> = (0..STARTS_PER_TURN + 3).map(|_| Arc::new(Woken::default())).collect();
        let count = |range: std::ops::Range<usize>| -> usize {
            woken[range].iter().map(|woken| woken.0.load(Ordering::Relaxed)).sum()
        };
        for woken in &woken {
            starts.wait(&Waker::from(Arc::clone(woken)));
        }
        starts.turn_over();
        assert!(starts.is_full(), "who comes now is behind those who wait");
        assert_eq!(starts.let_go(), STARTS_PER_TURN);
        assert_eq!((count(0..STARTS_PER_TURN), count(STARTS_PER_TURN..woken.len())), (STARTS_PER_TURN, 0));
        assert!(starts.is_full());
        assert_eq!(starts.let_go(), 3);
        assert_eq!((count(0..woken.len()), starts.left.get()), (woken.len(), STARTS_PER_TURN - 3));
        starts.turn_over();
        assert_eq!(starts.left.get(), STARTS_PER_TURN);
    }

    #[test]
    fn who_lets_them_go_on_is_woken_by_the_first_that_waits() {
        let (starts, usher) = (Starts::default(), Arc::new(Woken::default()));
        starts.usher.replace(Some(Waker::from(Arc::clone(&usher))));
        starts.wait(Waker::noop());
        starts.wait(Waker::noop());
        assert_eq!(usher.0.load(Ordering::Relaxed), 1);
    }
}
