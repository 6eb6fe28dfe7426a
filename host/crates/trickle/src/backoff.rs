//! Pauses between attempts at something that failed.

use std::time::Duration;

use tokio::time::sleep;

/// Before the second attempt, at most.
const FIRST: Duration = Duration::from_millis(250);

/// At most: a server that comes back is found soon.
const LONGEST: Duration = Duration::from_secs(2);

/// Pauses that double with each failure in a row, from 250 ms to 2 s. Each is shortened by up to half at random, so that
/// whoever failed together does not come back together.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// Waits until the next attempt is due. May be cancelled; a pause that has begun counts.
    pub async fn pause(&mut self) {
        sleep(self.delay()).await;
    }

    /// Something worked: the next pause is short again.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }

    fn delay(&mut self) -> Duration {
        let delay = self.next.mul_f64(0.5 + 0.5 * fastrand::f64());
        self.next = (self.next * 2).min(LONGEST);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches pauses that grow without bound, shrink to nothing, or are the same for everybody.
    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        let mut whole = FIRST;
        let mut backoff = Backoff::default();
        for _ in 0..100 {
            let delay = backoff.delay();
            assert!((whole / 2..=whole).contains(&delay), "{delay:?} of {whole:?}");
            whole = (whole * 2).min(LONGEST);
        }
        let delays: std::collections::HashSet<_> = (0..100).map(|_| backoff.delay()).collect();
        assert!(delays.len() > 50, "{delays:?}");
        backoff.reset();
        assert!(backoff.delay() <= FIRST);
    }
}
