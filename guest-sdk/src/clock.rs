//! Time as the stream's pipeline sees it.

use std::time::Duration;

use crate::imports::clock as host;

/// Time since the stream started, monotonic. Frames carry times of their own: see [`crate::Timestamp`].
pub fn now() -> Duration {
    Duration::from_nanos(host::now())
}

/// Time since 1970-01-01 00:00 UTC, to the millisecond.
pub fn unix_time() -> Duration {
    Duration::from_millis(host::unix_time())
}

/// Time left for the call that is running; it is stopped when none is left.
pub fn budget_left() -> Duration {
    Duration::from_nanos(host::budget_left())
}
