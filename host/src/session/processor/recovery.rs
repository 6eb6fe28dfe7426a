//! When a broken instance is replaced, and when no more.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The first pause after a failure that follows another without a good frame in between; it doubles up to [`MAX_BACKOFF`].
const BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// So many failures within [`QUARANTINE_SPAN`] end the processor's part in the stream.
const QUARANTINE: usize = 5;
const QUARANTINE_SPAN: Duration = Duration::from_secs(60);

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Another instance, at once.
    Replace,
    /// Another one, after this time.
    Rest(Instant),
    /// None.
    Quarantine,
}

/// The failures of one slot's instances.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    failures: VecDeque<Instant>,
    in_a_row: u32,
}

impl Recovery {
    /// A frame went well.
    pub fn good(&mut self) {
        self.in_a_row = 0;
    }

    /// An instance broke, at `now`.
    pub fn broke(&mut self, now: Instant) -> Verdict {
        self.failures.push_back(now);
        self.failures.retain(|time| now.duration_since(*time) < QUARANTINE_SPAN);
        self.in_a_row += 1;
        if self.failures.len() >= QUARANTINE {
            Verdict::Quarantine
        } else if self.in_a_row > 1 {
            Verdict::Rest(now + BACKOFF.saturating_mul(1 << (self.in_a_row - 2).min(8)).min(MAX_BACKOFF))
        } else {
            Verdict::Replace
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Catches pauses that do not begin at a second, do not double, or go on where the processor has worked again.
    #[test]
    fn failures_in_a_row_are_followed_by_longer_and_longer_pauses() {
        let (mut recovery, mut now) = (Recovery::default(), Instant::now());
        assert_eq!(recovery.broke(now), Verdict::Replace);
        for pause in [1, 2, 4] {
            assert_eq!(recovery.broke(now), Verdict::Rest(now + pause * SECOND));
        }
        now += 120 * SECOND;
        recovery.good();
        assert_eq!(recovery.broke(now), Verdict::Replace);
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            now += 30 * SECOND;
            assert_eq!(recovery.broke(now), Verdict::Rest(now + pause * SECOND));
        }
    }

    /// Catches a quarantine that comes too early, too late, or for failures that are long past.
    #[test]
    fn five_failures_within_a_minute_are_the_end() {
        let (mut recovery, start) = (Recovery::default(), Instant::now());
        let mut failed_at = |second| {
            recovery.good();
            recovery.broke(start + second * SECOND)
        };
        for second in [0, 15, 30, 45, 60, 75] {
            assert_eq!(failed_at(second), Verdict::Replace, "at {second} s");
        }
        assert_eq!(failed_at(76), Verdict::Quarantine);
    }
}
