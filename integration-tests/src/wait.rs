//! Waiting for a fact, with a bound after which the fact is reported as missing.

use crate::clock;
use anyhow::{Result, bail};
use std::time::Duration;

/// How often a fact is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Returns what `fact` finds as soon as it finds something; an error that names `what` when it has not after `bound`.
pub fn until<T>(what: &str, bound: Duration, mut fact: impl FnMut() -> Option<T>) -> Result<T> {
    let end = clock::now() + bound;
    loop {
        if let Some(found) = fact() {
            return Ok(found);
        }
        if clock::now() >= end {
            bail!("waited {bound:?} in vain for: {what}");
        }
        pause(LOOK_EVERY);
    }
}

/// Gives the processor to others between two looks.
#[expect(clippy::disallowed_methods, reason = "the pause between two looks at a fact")]
pub fn pause(length: Duration) {
    std::thread::sleep(length);
}
