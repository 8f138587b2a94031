//! Pipes for bytes that pass through the kernel, lent by the worker as its buffers are.
//!
//! A direction holds a pipe while it moves bulk and gives it back, empty, whenever it has to wait for more. A pipe that still
//! holds bytes of a broken connection is closed, never used again.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits::PIPES_KEPT;
use crate::net::splice::Pipe;

/// The least room that makes a pipe worth its calls.
const LEAST_SIZE: usize = 65_536;

/// What holds for the pipes of all workers.
#[derive(Debug)]
pub struct PipeLimits {
    /// `maxpipes`, or what the limit of file descriptors leaves; 0 with `nosplice`.
    pub most: usize,
    /// `tune.pipesize`: bytes of one pipe.
    pub size: usize,
    open: AtomicUsize,
}

impl PipeLimits {
    /// Limits under which no pipe is open.
    pub fn new(most: usize, size: usize) -> Self {
        Self { most, size, open: AtomicUsize::new(0) }
    }

    /// Pipes that are open now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

/// A pipe that is counted for as long as it is open.
#[derive(Debug)]
pub struct Lent {
    /// The pipe.
    pub pipe: Pipe,
    limits: Arc<PipeLimits>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.limits.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The pipes a worker keeps.
#[derive(Debug)]
pub struct Pipes {
    #[expect(clippy::vec_box, reason = "a pipe goes in and out as the box that connections hold, without a new one")]
    kept: RefCell<Vec<Box<Lent>>>,
    limits: Arc<PipeLimits>,
}

impl Pipes {
    /// No pipes yet.
    pub fn new(limits: Arc<PipeLimits>) -> Self {
        Self { kept: RefCell::default(), limits }
    }

    /// An empty pipe; `None` where there may be no more, or the system gives none: then bytes are copied.
    pub fn take(&self) -> Option<Box<Lent>> {
        if let Some(kept) = self.kept.borrow_mut().pop() {
            return Some(kept);
        }
        let below = |open: usize| (open < self.limits.most).then_some(open + 1);
        self.limits.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below).ok()?;
        match Pipe::open(self.limits.size) {
            Ok(pipe) if pipe.size() >= LEAST_SIZE.min(self.limits.size) => {
                Some(Box::new(Lent { pipe, limits: Arc::clone(&self.limits) }))
            }
            Ok(_) | Err(_) => {
                self.limits.open.fetch_sub(1, Ordering::Relaxed);
                None
            }
        }
    }

    /// Keeps a pipe for the next; one with bytes in it is closed.
    pub fn give(&self, lent: Box<Lent>) {
        let mut kept = self.kept.borrow_mut();
        if lent.pipe.is_empty() && kept.len() < PIPES_KEPT {
            kept.push(lent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_pipes_than_are_allowed() {
        let limits = Arc::new(PipeLimits::new(2, 65_536));
        let pipes = Pipes::new(Arc::clone(&limits));
        let (one, two) = (pipes.take().unwrap(), pipes.take().unwrap());
        assert!(pipes.take().is_none());
        pipes.give(one);
        assert!(pipes.take().is_some(), "the one given back, which then is closed");
        assert_eq!(limits.open(), 1);
        drop(two);
        assert_eq!(limits.open(), 0);
        assert!(Pipes::new(Arc::new(PipeLimits::new(0, 65_536))).take().is_none());
    }
}
