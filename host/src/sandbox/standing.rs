//! Which processors took too much of the machine lately.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::engine::Priority;

/// How long it is remembered.
const REMEMBERED: Duration = Duration::from_secs(60);

/// When each processor last took too much. A clone is one more reference.
#[derive(Clone, Debug, Default)]
pub(super) struct Offenders(Arc<Mutex<HashMap<String, Instant>>>);

impl Offenders {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all streams of a processor know of it: one that took too much in one of them begins behind in the next.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    processor: String,
    offenders: Offenders,
}

impl Standing {
    /// The standing of the processor of this `name@version`, with what is known of all.
    pub(super) fn new(processor: &str, offenders: &Offenders) -> Self {
        Self { processor: processor.to_owned(), offenders: offenders.clone() }
    }

    /// An instance took too much at `now`.
    pub fn took_much(&self, now: Instant) {
        let mut offenders = self.offenders.lock();
        offenders.retain(|_, at| now < *at + REMEMBERED);
        offenders.insert(self.processor.clone(), now);
    }

    /// An instance has behaved for `time`: one stream's params, or its pictures, are no reason to send all others behind. What
    /// another did meanwhile stays on record.
    pub fn behaved(&self, time: Duration, now: Instant) {
        let mut offenders = self.offenders.lock();
        if offenders.get(&self.processor).is_some_and(|at| *at + time <= now) {
            offenders.remove(&self.processor);
        }
    }

    /// Where an instance is to begin.
    pub fn priority(&self, now: Instant) -> Priority {
        let bad = self.offenders.lock().get(&self.processor).is_some_and(|at| now < *at + REMEMBERED);
        if bad { Priority::Background } else { Priority::Foreground }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a processor that is sent behind for another, that never comes back, and that a good stream does not help.
    #[test]
    fn a_processor_is_behind_in_all_streams_until_one_behaves_or_a_minute_is_over() {
        let (offenders, mut now) = (Offenders::default(), Instant::now());
        let [heavy, again, light] =
            ["heavy@1.0.0", "heavy@1.0.0", "light@1.0.0"].map(|name| Standing::new(name, &offenders));
        assert_eq!(again.priority(now), Priority::Foreground);
        heavy.took_much(now);
        assert_eq!(again.priority(now), Priority::Background);
        assert_eq!(light.priority(now), Priority::Foreground);
        const CALM: Duration = Duration::from_secs(5);
        again.behaved(CALM, now);
        assert_eq!(heavy.priority(now), Priority::Background, "that was before");
        now += CALM;
        again.behaved(CALM, now);
        assert_eq!(heavy.priority(now), Priority::Foreground);
        heavy.took_much(now);
        now += REMEMBERED;
        assert_eq!(again.priority(now), Priority::Foreground);
    }
}
