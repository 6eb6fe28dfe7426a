//! Time: unwrapped ticks of MPEG's 90 kHz clock, and how 33-bit counters become them.

use std::ops::{Add, Sub};
use std::time::Duration;

/// Ticks of the 90 kHz clock in a second.
pub const TICKS_PER_SECOND: i64 = 90_000;

/// Where the counters of MPEG-TS wrap: 2^33 ticks, 26.5 hours.
pub const WRAP: i64 = 1 << 33;

/// A step in time, either way, beyond which a stream has jumped.
pub(crate) const JUMP: i64 = 10 * TICKS_PER_SECOND;

/// Where times of sound are counted by samples: a source's time that is further than this from the count has moved, and the
/// count follows it at once; within, little by little.
pub(crate) const ANCHOR_TOLERANCE: i64 = 15 * TICKS_PER_SECOND / 1000;

/// So many ticks as a duration; none for a number below 0.
pub(crate) fn duration(ticks: i64) -> Duration {
    // A tick is 100,000/9 ns.
    Duration::from_nanos(u64::try_from(ticks).unwrap_or(0).saturating_mul(100_000) / 9)
}

/// A time in ticks of 1/90000 s that does not wrap. Equal to the source's PTS modulo [`WRAP`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticks(pub i64);

impl Ticks {
    /// This time as it is written in a stream, 0 to 2^33 − 1.
    pub fn wrapped(self) -> u64 {
        self.0.rem_euclid(WRAP) as u64
    }

    /// The time nearest to this one that a 33-bit counter at `raw` can stand for.
    pub(crate) fn nearest(self, raw: u64) -> Self {
        let step = ((raw as i64 & (WRAP - 1)) - self.0).rem_euclid(WRAP);
        self + if step >= WRAP / 2 { step - WRAP } else { step }
    }

    /// Rounds `value` × `numerator` / `denominator` seconds to the nearest tick.
    pub fn from_units(value: i64, numerator: i32, denominator: i32) -> Self {
        let scaled = i128::from(value) * i128::from(TICKS_PER_SECOND) * i128::from(numerator);
        let denominator = i128::from(denominator.max(1));
        Self((scaled + denominator / 2).div_euclid(denominator) as i64)
    }

    /// Milliseconds, for people.
    pub fn millis(self) -> i64 {
        self.0 / 90
    }
}

impl Add<i64> for Ticks {
    type Output = Ticks;

    fn add(self, ticks: i64) -> Ticks {
        Ticks(self.0.saturating_add(ticks))
    }
}

impl Sub for Ticks {
    type Output = i64;

    fn sub(self, earlier: Ticks) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Unwraps the 33-bit counters of one stream: each is taken to be the nearest to the one before it, so that a rollover is
/// a step of one frame and a jump stays a jump. All tracks of a stream share one, which keeps them in step.
#[derive(Debug, Default)]
pub(crate) struct Unwrapper {
    last: Option<Ticks>,
}

impl Unwrapper {
    /// The time that `raw` stands for.
    pub fn nearest(&self, raw: u64) -> Ticks {
        self.last.unwrap_or(Ticks(raw as i64 & (WRAP - 1))).nearest(raw)
    }

    /// Takes this time for the last.
    pub fn follow(&mut self, time: Ticks) {
        self.last = Some(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollover_goes_on_upwards() {
        let mut unwrapper = Unwrapper::default();
        unwrapper.follow(Ticks(WRAP - 1800));
        let after = unwrapper.nearest(1800);
        assert_eq!(after.0, WRAP + 1800);
        assert_eq!(after.wrapped(), 1800);
    }

    #[test]
    fn a_small_step_back_stays_small() {
        let mut unwrapper = Unwrapper::default();
        unwrapper.follow(Ticks(9_000));
        assert_eq!(unwrapper.nearest(5_400), Ticks(5_400));
    }

    #[test]
    fn a_step_back_over_the_rollover_is_small_too() {
        let mut unwrapper = Unwrapper::default();
        unwrapper.follow(Ticks(100));
        assert_eq!(unwrapper.nearest((WRAP - 100) as u64), Ticks(-100));
    }

    #[test]
    fn units_round_to_the_nearest_tick() {
        assert_eq!(Ticks::from_units(1, 1, 25), Ticks(3_600));
        assert_eq!(Ticks::from_units(1, 1001, 30_000), Ticks(3_003));
        assert_eq!(Ticks::from_units(-1, 1, 25), Ticks(-3_600));
    }
}
