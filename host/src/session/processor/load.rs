//! How much of the machine a processor takes, and when that is so much that it works behind the others: its threads then have what
//! is left, so that it holds up its own stream at first, and others' pictures little.

use std::time::{Duration, Instant};

use crate::sandbox::Place;

/// So much running time beyond half of a core is a burst; more is too much.
const BURST: Duration = Duration::from_millis(30);

/// Whoever took more, or overran, is behind for so long.
const BEHIND: Duration = Duration::from_secs(5);

/// The running time of one lane's calls, as a bucket that half of a core would drain.
#[derive(Debug)]
pub(super) struct Load {
    level: Duration,
    /// When that was its level.
    at: Instant,
    behind: Option<Instant>,
}

impl Load {
    /// Of a lane that begins at `now`. It has half of a burst: who has only come may be anybody.
    pub fn new(now: Instant) -> Self {
        Self { level: BURST / 2, at: now, behind: None }
    }

    /// A call has run for so long.
    pub fn ran(&mut self, time: Duration, now: Instant) {
        let drained = now.duration_since(self.at) / 2;
        // What is over does not count for long.
        self.level = (self.level.saturating_sub(drained) + time).min(2 * BURST);
        self.at = now;
        if self.level > BURST {
            self.overran(now);
        }
    }

    /// A call did not end in its time.
    pub fn overran(&mut self, now: Instant) {
        self.behind = Some(now + BEHIND);
    }

    /// Where the lane is to run.
    pub fn place(&self, now: Instant) -> Place {
        if self.behind.is_some_and(|until| until > now) { Place::Behind } else { Place::Front }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a newcomer that stays in front for longer than a long call.
    #[test]
    fn a_newcomer_that_runs_on_is_behind_at_once() {
        let now = Instant::now();
        let mut load = Load::new(now);
        load.ran(Duration::from_millis(25), now + Duration::from_millis(15));
        assert_eq!(load.place(now + Duration::from_millis(15)), Place::Behind);
    }

    /// Catches a processor that takes a core and stays in front, one that is sent behind for little, and one that never comes back.
    #[test]
    fn whoever_takes_half_of_a_core_is_behind_for_a_while() {
        let mut now = Instant::now();
        let mut load = Load::new(now);
        let mut play = |ran: u64, frames: u32| {
            for _ in 0..frames {
                now += Duration::from_millis(40);
                load.ran(Duration::from_millis(ran), now);
            }
            load.place(now)
        };
        assert_eq!(play(15, 250), Place::Front);
        assert_eq!(play(35, 25), Place::Behind);
        assert_eq!(play(15, 100), Place::Behind);
        assert_eq!(play(15, 50), Place::Front);
        load.overran(now);
        assert_eq!(load.place(now), Place::Behind);
    }
}
