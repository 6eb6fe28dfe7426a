//! When a live picture is due: the measure of how late it is.
//!
//! Bytes come in bursts: some publishers send a segment at once, and a reader that joins or catches up gets what has gathered.
//! The pictures of a burst are not late because they came together. So each is due when its bytes arrive or, if that is later,
//! one interval of the source's time after the one before. A host that keeps up is always ahead of that; one that does not
//! falls behind by more and more, however the bytes come.

use std::time::{Duration, Instant};

use rillbox_media::{TICKS_PER_SECOND, Ticks};

/// How far a burst may put off what is due: the longest usual segment.
const BURST: Duration = Duration::from_secs(2);

/// The share of an interval that is counted, so that what a burst put off is made up for in time.
const CATCH_UP: f64 = 0.9;

/// Follows one stream.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last: Option<(Instant, Ticks)>,
}

impl Pace {
    /// When the picture of this time, whose bytes arrived at `arrived`, is due.
    pub fn due(&mut self, arrived: Instant, pts: Ticks) -> Instant {
        let due = match self.last {
            Some((due, last)) => {
                let interval = (pts - last).clamp(0, TICKS_PER_SECOND) as f64 / TICKS_PER_SECOND as f64;
                arrived.max(due + Duration::from_secs_f64(interval * CATCH_UP)).min(arrived + BURST)
            }
            None => arrived,
        };
        self.last = Some((due, pts));
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: i64 = TICKS_PER_SECOND / 25;

    #[test]
    fn a_picture_that_comes_alone_is_due_at_once() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        for index in 0..50 {
            let arrived = start + Duration::from_millis(40) * index;
            assert_eq!(pace.due(arrived, Ticks(i64::from(index) * FRAME)), arrived);
        }
    }

    #[test]
    fn the_pictures_of_a_burst_are_due_one_after_the_other() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let due: Vec<_> = (0..25).map(|index| pace.due(start, Ticks(index * FRAME)) - start).collect();
        assert!(due.is_sorted_by(|a, b| a < b), "{due:?}");
        assert!(due[24] > Duration::from_millis(800), "{due:?}");
        assert_eq!(pace.due(start + Duration::from_secs(1), Ticks(25 * FRAME)), start + Duration::from_secs(1));
    }

    #[test]
    fn a_flood_and_a_jump_put_off_no_more_than_a_burst() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        for index in 0..1_000 {
            assert!(pace.due(start, Ticks(index * FRAME)) <= start + BURST);
        }
        assert!(pace.due(start, Ticks(i64::MAX)) <= start + BURST);
        assert!(pace.due(start, Ticks(i64::MIN)) <= start + BURST);
    }
}
