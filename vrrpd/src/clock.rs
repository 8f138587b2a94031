//! The only reader of the clock. Everything else is told what time it is.

use std::time::Instant;

/// The monotonic time.
#[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
pub fn now() -> Instant {
    Instant::now()
}
