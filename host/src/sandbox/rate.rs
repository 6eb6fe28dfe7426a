//! What a guest may have a host do for it in a stretch of time.

use std::time::{Duration, Instant};

use rillbox_media::{TICKS_PER_SECOND, Ticks};
use thiserror::Error;

/// Lets through a limited number of bytes within a span of time.
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

/// How far before the samples that it is given, and how far after them, those of a guest may be. A stream whose sound jumps by 10 s,
/// or back by more than 1 s, begins a new segment with new encoders: that is for its source to bring about.
const BEFORE: i64 = 8 * TICKS_PER_SECOND;
const STEP: i64 = TICKS_PER_SECOND;

/// Sound of a guest that is too far from what it was given, or from its own last.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "sound at {} ms, where what was given is at {} ms: from 8 s before to 1 s after, and no more than 1 s back",
    .time.millis(),
    .given.millis()
)]
pub struct OutOfOrder {
    /// Of the guest's samples.
    pub time: Ticks,
    /// Of what it was given.
    pub given: Ticks,
}

/// Where in time a guest's sound is.
#[derive(Debug, Default)]
pub struct SoundOrder {
    last: Option<Ticks>,
}

impl SoundOrder {
    /// Takes the times of what a guest gives back for the samples of `given`, up to the first that cannot be.
    pub fn check(&mut self, given: Ticks, times: impl Iterator<Item = Ticks>) -> Result<(), OutOfOrder> {
        for time in times {
            let back = self.last.unwrap_or(time).min(given) - time;
            if given - time > BEFORE || time - given > STEP || back > STEP {
                return Err(OutOfOrder { time, given });
            }
            self.last = Some(time);
        }
        Ok(())
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

    /// Catches a guest whose times make the host begin segment after segment, and one that is late, or whose source jumps, and is
    /// refused.
    #[test]
    fn times_of_sound_stay_near_what_was_given() {
        let seconds = |seconds: f64| Ticks((seconds * TICKS_PER_SECOND as f64) as i64);
        let mut order = SoundOrder::default();
        let mut check =
            |given: f64, times: &[f64]| order.check(seconds(given), times.iter().map(|time| seconds(*time)));
        assert_eq!(check(20.0, &[20.0, 20.5, 20.2]), Ok(()));
        assert_eq!(check(30.0, &[22.5]), Ok(()), "late by what it withheld");
        assert!(check(30.0, &[21.9]).is_err() && check(30.0, &[31.1]).is_err());
        assert!(check(30.0, &[30.0, 28.9]).is_err(), "back and forth");
        assert_eq!(check(5.0, &[5.0]), Ok(()), "the source went back");
        for extreme in [i64::MIN, i64::MAX] {
            assert!(order.check(seconds(5.0), [Ticks(extreme)].into_iter()).is_err());
        }
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
