//! The same counters and locks, which tell an observer of their thread before every access that others can notice.
//!
//! Accesses that are not sequentially consistent carry no decision of the admission path (maxima, settings, epochs): they
//! are not told.

#![expect(missing_docs, reason = "the methods are those of the standard library")]

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{LockResult, PoisonError};

/// What a thread is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To read or change a counter.
    Counter,
    /// To take the lock at this address.
    Lock(usize),
    /// Nothing: it has just given the lock at this address back.
    Unlocked(usize),
}

/// Told of the accesses of the thread that has it; may return as late as it likes.
pub type Observer = Rc<dyn Fn(Access)>;

thread_local! {
    static OBSERVER: RefCell<Option<Observer>> = const { RefCell::new(None) };
}

/// From now on, this one is told of what the thread does.
pub fn observe(observer: Option<Observer>) {
    OBSERVER.with(|current| *current.borrow_mut() = observer);
}

fn tell(access: Access) {
    let observer = OBSERVER.try_with(|observer| observer.borrow().clone());
    if let Ok(Some(observer)) = observer {
        observer(access);
    }
}

fn tell_of_counter(order: Ordering) {
    if order == Ordering::SeqCst {
        tell(Access::Counter);
    }
}

/// A counter.
#[derive(Debug, Default)]
pub struct AtomicU32(std::sync::atomic::AtomicU32);

impl AtomicU32 {
    pub const fn new(value: u32) -> Self {
        Self(std::sync::atomic::AtomicU32::new(value))
    }

    pub fn load(&self, order: Ordering) -> u32 {
        tell_of_counter(order);
        self.0.load(order)
    }

    pub fn store(&self, value: u32, order: Ordering) {
        tell_of_counter(order);
        self.0.store(value, order);
    }

    pub fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
        tell_of_counter(order);
        self.0.fetch_add(value, order)
    }

    pub fn fetch_sub(&self, value: u32, order: Ordering) -> u32 {
        tell_of_counter(order);
        self.0.fetch_sub(value, order)
    }

    pub fn fetch_max(&self, value: u32, order: Ordering) -> u32 {
        tell_of_counter(order);
        self.0.fetch_max(value, order)
    }

    /// One access, as it takes effect when nobody came between its look and its change.
    pub fn fetch_update(
        &self,
        set: Ordering,
        fetch: Ordering,
        next: impl FnMut(u32) -> Option<u32>,
    ) -> Result<u32, u32> {
        tell_of_counter(set);
        self.0.fetch_update(set, fetch, next)
    }
}

/// A lock.
#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let address = std::ptr::from_ref(self).addr();
        tell(Access::Lock(address));
        let guard = |guard| MutexGuard { guard: Some(guard), address };
        self.0.lock().map(guard).map_err(|poisoned| PoisonError::new(guard(poisoned.into_inner())))
    }
}

/// A lock that is held.
#[derive(Debug)]
pub struct MutexGuard<'a, T> {
    /// Given back before this is told.
    guard: Option<std::sync::MutexGuard<'a, T>>,
    address: usize,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.guard.as_ref().expect("held until it is dropped")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_mut().expect("held until it is dropped")
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.guard = None;
        tell(Access::Unlocked(self.address));
    }
}
