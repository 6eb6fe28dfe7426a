//! Durations counted in buckets of fixed bounds.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Bounds of a histogram.
const BOUNDS: usize = 13;

/// Upper bounds of the buckets of latencies, in seconds: around what a viewer notices.
pub const LATENCY: [f64; BOUNDS] = [0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Upper bounds of the buckets of a guest's time for a picture, in seconds: around the budgets that it may have.
pub const GUEST_TIME: [f64; BOUNDS] =
    [0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.04, 0.08, 0.25, 1.0, 10.0];

/// Counts durations. One stage writes, everybody reads.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64; BOUNDS],
    /// Of each bucket alone; the last is beyond the bounds.
    counts: [AtomicU64; BOUNDS + 1],
    micros: AtomicU64,
}

impl Histogram {
    /// An empty one.
    pub fn new(bounds: &'static [f64; BOUNDS]) -> Self {
        Self { bounds, counts: Default::default(), micros: AtomicU64::new(0) }
    }

    /// Counts a duration.
    pub fn record(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.micros.fetch_add(duration.as_micros() as u64, Relaxed);
    }

    /// What has been counted.
    pub fn read(&self) -> Distribution {
        let counts = std::array::from_fn(|bucket| self.counts[bucket].load(Relaxed));
        Distribution { bounds: self.bounds, counts, micros: self.micros.load(Relaxed) }
    }
}

/// What a histogram had counted at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distribution {
    bounds: &'static [f64; BOUNDS],
    counts: [u64; BOUNDS + 1],
    micros: u64,
}

impl Distribution {
    /// One of nothing.
    pub fn new(bounds: &'static [f64; BOUNDS]) -> Self {
        Self { bounds, counts: [0; BOUNDS + 1], micros: 0 }
    }

    /// Adds what another one of the same bounds counted.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.micros += other.micros;
    }

    /// The difference to `earlier`, a former reading of the same counters.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            bounds: self.bounds,
            counts: std::array::from_fn(|bucket| self.counts[bucket].saturating_sub(earlier.counts[bucket])),
            micros: self.micros.saturating_sub(earlier.micros),
        }
    }

    /// Upper bounds in seconds, each with how many durations were no longer.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let counts = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        self.bounds.iter().copied().zip(counts)
    }

    /// How many durations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All durations together, in seconds.
    pub fn sum(&self) -> f64 {
        self.micros as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a duration in the wrong bucket: one on a bound belongs below it, one beyond all bounds to none of them.
    #[test]
    fn durations_are_counted_up_to_their_bound() {
        let histogram = Histogram::new(&LATENCY);
        for millis in [0, 5, 6, 10_000, 60_000] {
            histogram.record(Duration::from_millis(millis));
        }
        let mut read = histogram.read();
        let below = |read: &Distribution, bound: f64| read.cumulative().find(|(at, _)| *at == bound).unwrap().1;
        assert_eq!([below(&read, 0.005), below(&read, 0.01), below(&read, 2.5), below(&read, 10.0)], [2, 3, 3, 4]);
        assert_eq!((read.count(), read.sum()), (5, 70.011));
        read.add(&histogram.read());
        assert_eq!((below(&read, 0.01), read.count()), (6, 10));
    }

    /// Catches bounds that are not in order, which would put durations anywhere.
    #[test]
    fn bounds_rise() {
        assert!([LATENCY, GUEST_TIME].iter().all(|bounds| bounds.is_sorted()));
    }
}
