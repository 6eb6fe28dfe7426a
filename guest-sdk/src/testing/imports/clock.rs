//! `clock`: time moves only when the test moves it.

use crate::testing::stream;

/// 2026-01-01 00:00 UTC, so that what a processor derives from the date is the same in each run.
const STARTED_UNIX_MILLISECONDS: u64 = 1_767_225_600_000;

/// The operator's budget unless it is configured.
const BUDGET_NANOSECONDS: u64 = 40_000_000;

pub(crate) fn now() -> u64 {
    stream::current(|stream| stream.now.as_nanos() as u64)
}

pub(crate) fn unix_time() -> u64 {
    STARTED_UNIX_MILLISECONDS + now() / 1_000_000
}

pub(crate) fn budget_left() -> u64 {
    BUDGET_NANOSECONDS
}
