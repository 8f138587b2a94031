//! The only reader of the clock. Everything else is given `now`.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic time, for timeouts and durations.
#[expect(clippy::disallowed_methods, reason = "this is the one reader of the clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// The system's monotonic clock as others read it too: systemd compares it.
pub fn monotonic() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// The date, as the time since 1970 (UTC), for logs and cookies.
#[expect(clippy::disallowed_methods, reason = "this is the one reader of the clock")]
pub fn date() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
