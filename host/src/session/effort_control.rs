//! Whether a host keeps up with a stream, and what is to give way when it does not: first the effort of encoding, and only
//! when that is not enough pictures, which the processor's task drops.
//!
//! Each stage measures how late pictures are when it has them: the encoder's is the first to notice, so encoding gives way
//! first, and decoding where that is not enough. Effort is reduced at once, and full effort tried again after a calm that grows
//! each time the trial fails.

use std::time::{Duration, Instant};

use rillbox_media::Effort;

/// Pictures are looked at over so long a time.
const WINDOW: Duration = Duration::from_millis(500);

/// A picture that is late by more than this is one that the host was too slow for.
const LATE_BY: Duration = Duration::from_millis(80);

/// So many in a hundred of these within a window are too many.
const TOO_MANY: u32 = 30;

/// Full effort is tried again after so long without such a window; the time doubles with each trial that fails.
const CALM: Duration = Duration::from_secs(20);
const MAX_CALM: Duration = Duration::from_secs(320);

/// The measure of one stage of a stream.
#[derive(Debug)]
pub(super) struct EffortControl {
    effort: Effort,
    window: Instant,
    pictures: u32,
    late: u32,
    /// When effort last changed, or would have been reduced again.
    since: Instant,
    calm: Duration,
}

impl EffortControl {
    /// A stream that begins now, at full effort.
    pub fn new(now: Instant) -> Self {
        Self { effort: Effort::Full, window: now, pictures: 0, late: 0, since: now, calm: CALM }
    }

    /// Notes a picture that was `late` in this stage, and gives the effort for the next.
    pub fn note(&mut self, late: Duration, now: Instant) -> Effort {
        self.pictures += 1;
        self.late += u32::from(late > LATE_BY);
        if now.duration_since(self.window) >= WINDOW {
            self.judge(now);
        }
        self.effort
    }

    fn judge(&mut self, now: Instant) {
        let strained = self.late * 100 > self.pictures * TOO_MANY;
        match self.effort {
            Effort::Full if strained => {
                if now.duration_since(self.since) >= 2 * self.calm {
                    self.calm = CALM;
                }
                self.change(Effort::Reduced, now);
            }
            Effort::Reduced if strained => self.since = now,
            Effort::Reduced if now.duration_since(self.since) >= self.calm => {
                self.calm = (self.calm * 2).min(MAX_CALM);
                self.change(Effort::Full, now);
            }
            _ => {}
        }
        (self.window, self.pictures, self.late) = (now, 0, 0);
    }

    fn change(&mut self, effort: Effort, now: Instant) {
        (self.effort, self.since) = (effort, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(40);

    /// Plays pictures of one lateness, and gives when effort became what is waited for.
    fn until(effort_control: &mut EffortControl, now: &mut Instant, late: u64, wanted: Effort) -> Duration {
        let began = *now;
        for _ in 0..20_000 {
            *now += FRAME;
            if effort_control.note(Duration::from_millis(late), *now) == wanted {
                return *now - began;
            }
        }
        panic!("effort did not become {wanted:?}");
    }

    #[test]
    fn late_pictures_reduce_effort_within_a_second_and_punctual_ones_do_not() {
        let mut now = Instant::now();
        let mut effort_control = EffortControl::new(now);
        for index in 0..1_000 {
            now += FRAME;
            // One in five, as a busy moment makes them.
            let late = if index % 5 == 0 { 200 } else { 10 };
            assert_eq!(effort_control.note(Duration::from_millis(late), now), Effort::Full);
        }
        assert!(until(&mut effort_control, &mut now, 120, Effort::Reduced) <= Duration::from_secs(1));
    }

    #[test]
    fn each_trial_that_fails_puts_off_the_next_until_one_has_lasted() {
        let mut now = Instant::now();
        let mut effort_control = EffortControl::new(now);
        for calm in [20, 40, 80, 160, 320, 320] {
            until(&mut effort_control, &mut now, 120, Effort::Reduced);
            let waited = until(&mut effort_control, &mut now, 10, Effort::Full);
            assert!(waited.abs_diff(Duration::from_secs(calm)) < Duration::from_secs(1), "{waited:?}, not {calm} s");
        }
        for _ in 0..(2 * 321 * 25) {
            now += FRAME;
            effort_control.note(Duration::ZERO, now);
        }
        until(&mut effort_control, &mut now, 120, Effort::Reduced);
        assert!(until(&mut effort_control, &mut now, 10, Effort::Full) < Duration::from_secs(21));
    }

    #[test]
    fn a_host_that_is_late_even_so_keeps_its_effort_low() {
        let mut now = Instant::now();
        let mut effort_control = EffortControl::new(now);
        until(&mut effort_control, &mut now, 120, Effort::Reduced);
        for _ in 0..2_000 {
            now += FRAME;
            assert_eq!(effort_control.note(Duration::from_millis(120), now), Effort::Reduced);
        }
    }
}
