//! What an overrun took, and how it is paid back: by frames that pass through without a call.
//!
//! A call that was stopped gave nothing for its time. So the frames after it pass by until they have covered as much of the
//! stream's time as the call ran for: an overrun of 45 ms costs the next two pictures of a stream of 25 a second. A processor that
//! overruns whenever it may is at work for less than half of the time.

use std::time::Duration;

use rillbox_media::{AudioFrame, TICKS_PER_SECOND, Ticks};

/// What one instance owes. The tracks may be far apart in time, so each pays by its own.
#[derive(Debug, Default)]
pub(super) struct Debt {
    video: Duration,
    audio: Duration,
    last_picture: Option<Ticks>,
}

impl Debt {
    /// A call ran for so long, and was stopped.
    pub fn overrun(&mut self, ran: Duration) {
        self.video = self.video.saturating_add(ran);
        self.audio = self.audio.saturating_add(ran);
    }

    /// Whether this picture, the next of its track, passes through. It covers a second at most: times may jump.
    pub fn covers_picture(&mut self, pts: Ticks) -> bool {
        let interval = self.last_picture.map_or(0, |last| (pts - last).clamp(0, TICKS_PER_SECOND));
        self.last_picture = Some(pts);
        pay(&mut self.video, seconds(interval, TICKS_PER_SECOND))
    }

    /// Whether this run of samples passes through.
    pub fn covers_samples(&mut self, frame: &AudioFrame) -> bool {
        pay(&mut self.audio, seconds(frame.samples() as i64, frame.rate.into()))
    }
}

fn pay(owed: &mut Duration, time: Duration) -> bool {
    let owes = !owed.is_zero();
    *owed = owed.saturating_sub(time);
    owes
}

fn seconds(count: i64, a_second: i64) -> Duration {
    Duration::from_secs_f64(count as f64 / a_second.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: i64 = TICKS_PER_SECOND / 25;

    /// Catches an overrun that costs too many frames or too few, and one that costs the frames of a track twice.
    #[test]
    fn an_overrun_is_paid_back_by_as_much_of_the_streams_time() {
        for (ran, skipped) in [(1, 1), (40, 1), (41, 2), (45, 2), (85, 3), (4_000, 100)] {
            let mut debt = Debt::default();
            assert!(!debt.covers_picture(Ticks(0)));
            debt.overrun(Duration::from_millis(ran));
            let paid = (1..).take_while(|index| debt.covers_picture(Ticks(index * FRAME))).count();
            assert_eq!(paid, skipped, "{ran} ms");
            let samples = AudioFrame { pts: Ticks(0), rate: 48_000, layout: 4, channels: vec![vec![0.0; 1_920]] };
            let paid = (1..).take_while(|_| debt.covers_samples(&samples)).count();
            assert_eq!(paid, skipped, "{ran} ms of sound");
        }
    }

    /// Catches a debt that a jump in time makes eternal, or pays at once.
    #[test]
    fn a_jump_counts_for_little() {
        let mut debt = Debt::default();
        debt.covers_picture(Ticks(0));
        debt.overrun(Duration::from_secs(2));
        assert!(debt.covers_picture(Ticks(i64::MAX / 2)), "a second is paid");
        assert!(debt.covers_picture(Ticks(0)), "nothing is paid");
        assert!(debt.covers_picture(Ticks(TICKS_PER_SECOND)), "the second one is paid");
        assert!(!debt.covers_picture(Ticks(TICKS_PER_SECOND + FRAME)));
    }
}
