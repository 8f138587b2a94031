//! The only reader of the clock. Everything else is told what time it is.

use std::time::Instant;

/// The monotonic time.
#[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
pub fn now() -> Instant {
    Instant::now()
}

/// The time of day since 1970, for lines of the log.
#[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
pub fn since_epoch() -> std::time::Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

/// The monotonic time since its beginning, in microseconds: what systemd compares with its own.
pub fn monotonic_usec() -> u64 {
    crate::sys::monotonic_usec()
}
