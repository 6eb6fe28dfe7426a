//! What a guest may have a host do for it in a stretch of time.

use std::time::{Duration, Instant};

/// Lets through so many bytes within a span.
#[derive(Debug)]
pub struct Rate {
    bytes: usize,
    span: Duration,
    began: Instant,
    passed: usize,
}

impl Rate {
    pub fn new(bytes: usize, span: Duration) -> Self {
        Self { bytes, span, began: Instant::now(), passed: 0 }
    }

    /// Whether `bytes` more would pass now.
    pub fn has(&mut self, bytes: usize) -> bool {
        if self.began.elapsed() >= self.span {
            self.began = Instant::now();
            self.passed = 0;
        }
        self.passed.saturating_add(bytes) <= self.bytes
    }

    /// Whether `bytes` more pass now; if so, they have.
    pub fn pass(&mut self, bytes: usize) -> bool {
        let passes = self.has(bytes);
        if passes {
            self.passed += bytes;
        }
        passes
    }
}

/// Seconds of sound that a guest may give back at first, without having been given any.
const FIRST: f64 = 1.0;

/// Seconds that it can save up by withholding.
const SAVED: f64 = 10.0;

/// A guest gives back no more sound than it was given: somebody has to encode it.
#[derive(Debug)]
pub struct SoundCredit {
    seconds: f64,
}

impl SoundCredit {
    pub fn new() -> Self {
        Self { seconds: FIRST }
    }

    /// The guest was given this much.
    pub fn earn(&mut self, seconds: f64) {
        self.seconds = (self.seconds + seconds).min(SAVED);
    }

    /// Whether it may give back this much; if so, it has.
    pub fn spend(&mut self, seconds: f64) -> bool {
        let covers = seconds <= self.seconds;
        if covers {
            self.seconds -= seconds;
        }
        covers
    }

    /// Seconds that are left.
    pub fn left(&self) -> f64 {
        self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_beyond_a_span_do_not_pass() {
        let mut rate = Rate::new(100, Duration::from_secs(3600));
        assert!(rate.pass(60) && !rate.pass(41) && rate.pass(40) && !rate.pass(usize::MAX));
    }

    #[test]
    fn sound_is_given_back_but_not_made() {
        let mut credit = SoundCredit::new();
        for _ in 0..1_000 {
            credit.earn(0.02);
            assert!(credit.spend(0.02));
        }
        assert!(credit.spend(0.5) && !credit.spend(0.75), "{credit:?}");
        credit.earn(3600.0);
        assert!(!credit.spend(10.5) && credit.spend(10.0), "{credit:?}");
    }
}
