//! Which processors took too much of the machine lately.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::engine::Place;

/// How long it is remembered.
const REMEMBERED: Duration = Duration::from_secs(60);

/// When each processor last took too much.
type Bad = Arc<Mutex<HashMap<String, Instant>>>;

/// What all streams of a processor know of it: one that took too much in one of them begins behind in the next.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    processor: String,
    bad: Bad,
}

impl Standing {
    /// Of the processor of this `name@version`, with what is known of all.
    pub(super) fn new(processor: &str, bad: &Bad) -> Self {
        Self { processor: processor.to_owned(), bad: bad.clone() }
    }

    /// An instance took too much at `now`.
    pub fn took_much(&self, now: Instant) {
        let mut bad = self.lock();
        bad.retain(|_, at| now < *at + REMEMBERED);
        bad.insert(self.processor.clone(), now);
    }

    /// An instance has behaved for `time`: one stream's params, or its pictures, are no reason to send all others behind. What
    /// another did meanwhile stays on record.
    pub fn behaved(&self, time: Duration, now: Instant) {
        let mut bad = self.lock();
        if bad.get(&self.processor).is_some_and(|at| *at + time <= now) {
            bad.remove(&self.processor);
        }
    }

    /// Where an instance is to begin.
    pub fn place(&self, now: Instant) -> Place {
        let bad = self.lock().get(&self.processor).is_some_and(|at| now < *at + REMEMBERED);
        if bad { Place::Behind } else { Place::Front }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.bad.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a processor that is sent behind for another, that never comes back, and that a good stream does not help.
    #[test]
    fn a_processor_is_behind_in_all_streams_until_one_behaves_or_a_minute_is_over() {
        let (bad, mut now) = (Bad::default(), Instant::now());
        let [heavy, again, light] = ["heavy@1.0.0", "heavy@1.0.0", "light@1.0.0"].map(|name| Standing::new(name, &bad));
        assert_eq!(again.place(now), Place::Front);
        heavy.took_much(now);
        assert_eq!(again.place(now), Place::Behind);
        assert_eq!(light.place(now), Place::Front);
        const CALM: Duration = Duration::from_secs(5);
        again.behaved(CALM, now);
        assert_eq!(heavy.place(now), Place::Behind, "that was before");
        now += CALM;
        again.behaved(CALM, now);
        assert_eq!(heavy.place(now), Place::Front);
        heavy.took_much(now);
        now += REMEMBERED;
        assert_eq!(again.place(now), Place::Front);
    }
}
