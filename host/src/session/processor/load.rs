//! How much of the machine a processor takes, and when that is so much that it works behind the others: its threads then have what
//! is left, so that it holds up its own stream at first, and others' pictures little.

use std::time::{Duration, Instant};

use crate::sandbox::{Priority, Standing};

/// Running time is looked at over so long a time.
const WINDOW: Duration = Duration::from_millis(200);

/// Half a core: this much running time in one [`WINDOW`].
const HALF_A_CORE: Duration = Duration::from_millis(100);

/// Whoever took more, or overran, is behind for so long.
const BACKGROUND_FOR: Duration = Duration::from_secs(5);

/// The running time of one lane's calls.
#[derive(Debug)]
pub(super) struct Load {
    standing: Standing,
    window: Instant,
    ran: Duration,
    /// Until then it is behind.
    behind: Instant,
}

impl Load {
    /// Of a lane that begins at `now`, behind if its processor did not behave elsewhere.
    pub fn new(standing: Standing, now: Instant) -> Self {
        let behind = if standing.priority(now) == Priority::Background { now + BACKGROUND_FOR } else { now };
        Self { standing, window: now, ran: Duration::ZERO, behind }
    }

    /// A call has run for so long.
    pub fn ran(&mut self, time: Duration, now: Instant) {
        if now.duration_since(self.window) >= WINDOW {
            (self.window, self.ran) = (now, Duration::ZERO);
            if now >= self.behind + BACKGROUND_FOR {
                self.standing.behaved(BACKGROUND_FOR, now);
            }
        }
        self.ran += time;
        if self.ran > HALF_A_CORE {
            self.overran(now);
        }
    }

    /// A call was ended by the wall clock when it had run for so long of its time, or `budget`: where many take all that they get,
    /// none of them gets enough to overrun. Whoever needs little, and did not get even that, is not to blame.
    pub fn starved(&mut self, ran: Duration, budget: Duration, now: Instant) {
        if ran >= budget / 4 {
            self.behind = now + BACKGROUND_FOR;
        }
    }

    /// A call did not end in its time.
    pub fn overran(&mut self, now: Instant) {
        self.behind = now + BACKGROUND_FOR;
        self.standing.took_much(now);
    }

    /// Where the lane is to run.
    pub fn priority(&self, now: Instant) -> Priority {
        if self.behind > now { Priority::Background } else { Priority::Foreground }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a processor that takes a core and stays in front, one that is sent behind for little, and one that never comes back;
    /// and a new lane of it that does not begin where the old one is.
    #[test]
    fn whoever_takes_half_of_a_core_is_behind_for_a_while() {
        let (standing, mut now) = (Standing::default(), Instant::now());
        let mut load = Load::new(standing.clone(), now);
        let mut play = |ran: u64, frames: u32| {
            for _ in 0..frames {
                now += Duration::from_millis(40);
                load.ran(Duration::from_millis(ran), now);
            }
            load.priority(now)
        };
        assert_eq!(play(15, 250), Priority::Foreground);
        assert_eq!(play(35, 25), Priority::Background);
        assert_eq!(play(15, 100), Priority::Background);
        assert_eq!(play(15, 50), Priority::Foreground);
        load.overran(now);
        assert_eq!(load.priority(now), Priority::Background);
        assert_eq!(Load::new(standing.clone(), now).priority(now), Priority::Background);
        load.starved(Duration::from_millis(5), Duration::from_millis(40), now + 3 * BACKGROUND_FOR);
        assert_eq!(load.priority(now + 3 * BACKGROUND_FOR), Priority::Foreground);
        load.starved(Duration::from_millis(20), Duration::from_millis(40), now + 3 * BACKGROUND_FOR);
        assert_eq!(load.priority(now + 3 * BACKGROUND_FOR), Priority::Background);
        for _ in 0..700 {
            now += Duration::from_millis(40);
            load.ran(Duration::from_millis(15), now);
        }
        assert_eq!(Load::new(standing, now).priority(now), Priority::Foreground);
    }
}
