//! How much of the machine a processor takes, and when that is so much that it works behind the others: its threads then have what
//! is left, so that it holds up its own stream at first, and others' pictures little.

use std::time::{Duration, Instant};

use crate::sandbox::Place;

/// Running time is looked at over so long a time.
const WINDOW: Duration = Duration::from_millis(200);

/// More of it than this is half of a core.
const MUCH: Duration = Duration::from_millis(100);

/// Whoever took more, or overran, is behind for so long.
const BEHIND: Duration = Duration::from_secs(5);

/// The running time of one lane's calls.
#[derive(Debug)]
pub(super) struct Load {
    window: Instant,
    ran: Duration,
    behind: Option<Instant>,
}

impl Load {
    /// Of a lane that begins at `now`.
    pub fn new(now: Instant) -> Self {
        Self { window: now, ran: Duration::ZERO, behind: None }
    }

    /// A call has run for so long.
    pub fn ran(&mut self, time: Duration, now: Instant) {
        if now.duration_since(self.window) >= WINDOW {
            (self.window, self.ran) = (now, Duration::ZERO);
        }
        self.ran += time;
        if self.ran > MUCH {
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
