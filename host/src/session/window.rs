//! The last times of a series, and things that happen again and again.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use crate::sandbox::Counter;

/// Times that a window keeps.
const WINDOW: usize = 512;

/// Time over which rates are counted.
const RATE_SPAN: Duration = Duration::from_secs(2);

/// The last times of a series, in microseconds.
#[derive(Debug)]
pub(super) struct Window {
    micros: Box<[AtomicU64]>,
    written: AtomicUsize,
}

impl Default for Window {
    fn default() -> Self {
        Self { micros: (0..WINDOW).map(|_| AtomicU64::new(0)).collect(), written: AtomicUsize::new(0) }
    }
}

impl Window {
    /// Takes one more, in the place of the oldest.
    pub fn push(&self, time: Duration) {
        let at = self.written.fetch_add(1, Relaxed);
        self.micros[at % WINDOW].store(time.as_micros() as u64, Relaxed);
    }

    /// For each share the time that this share of the window does not exceed; 0 of none.
    pub fn percentiles<const N: usize>(&self, shares: [f64; N]) -> [Duration; N] {
        let mut sorted: Vec<u64> = self.values().collect();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        shares.map(|share| {
            let at = (last as f64 * share).round() as usize;
            Duration::from_micros(sorted.get(at).copied().unwrap_or(0))
        })
    }

    /// How many a second there were lately, where the window holds times of a clock that began at 0 and is at `now`.
    pub fn rate(&self, now: Duration) -> f64 {
        let (now, span) = (now.as_micros() as u64, RATE_SPAN.min(now).as_micros() as u64);
        let recent = self.values().filter(|time| *time >= now - span).count();
        if span == 0 { 0.0 } else { recent as f64 * 1e6 / span as f64 }
    }

    fn values(&self) -> impl Iterator<Item = u64> {
        let length = self.written.load(Relaxed).min(WINDOW);
        self.micros[..length].iter().map(|micros| micros.load(Relaxed))
    }
}

/// Something that happens again and again: how often, and when last.
#[derive(Debug, Default)]
pub struct Moments {
    count: Counter,
    last: watch::Sender<Option<SystemTime>>,
}

impl Moments {
    /// It happens now.
    pub fn mark(&self) {
        self.count.add(1);
        self.last.send_replace(Some(SystemTime::now()));
    }

    /// How often it has happened.
    pub fn count(&self) -> u64 {
        self.count.get()
    }

    /// When it happened last.
    pub fn last(&self) -> Option<SystemTime> {
        *self.last.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_window_that_has_wrapped() {
        let window = Window::default();
        assert_eq!(window.percentiles([0.5]), [Duration::ZERO]);
        (0..WINDOW as u64 + 101).for_each(|micros| window.push(Duration::from_micros(micros)));
        assert_eq!(window.percentiles([0.0, 1.0]), [101, WINDOW as u64 + 100].map(Duration::from_micros));
    }
}
