//! The time of connections, in milliseconds that fit into an atomic.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Returns milliseconds since the first call, never 0.
pub(super) fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    1 + u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX >> 3)
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX >> 3)
}
