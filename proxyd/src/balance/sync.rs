//! What workers share: counters and locks.
//!
//! In the unit tests they are watched: a test can decide which thread does its next access, and so try every order.

#[cfg(not(test))]
pub use std::sync::atomic::AtomicU32;
#[cfg(not(test))]
pub use std::sync::{Mutex, MutexGuard};

#[cfg(test)]
pub use watched::{AtomicU32, Mutex, MutexGuard};
#[cfg(test)]
pub mod watched;
