//! When a frame is presented.

/// A fraction; `denominator` is never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rational {
    /// Above the line.
    pub numerator: u32,
    /// Below the line.
    pub denominator: u32,
}

/// A presentation time on the source's clock: `ticks` × `time_base` seconds. Ticks do not wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timestamp {
    /// How many units of `time_base`, negative before the source's zero.
    pub ticks: i64,
    /// Seconds a tick.
    pub time_base: Rational,
}

impl Timestamp {
    /// A time in MPEG's unit, 1/90,000 of a second.
    pub const fn from_90khz(ticks: i64) -> Self {
        Self { ticks, time_base: Rational { numerator: 1, denominator: 90_000 } }
    }

    /// Seconds, to the precision of an `f64`: for effects that move with time, not for comparing frames.
    pub fn seconds(self) -> f64 {
        self.ticks as f64 * f64::from(self.time_base.numerator) / f64::from(self.time_base.denominator)
    }
}
