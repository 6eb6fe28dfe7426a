//! Which pictures come too late to be of use.

use std::time::{Duration, Instant};

/// A live picture is dropped when its turn comes so long after it was due.
const MAX_AGE: Duration = Duration::from_millis(250);

/// A host that was held up for a moment catches up by itself: pictures are dropped when they have been late for so long.
const GRACE: Duration = Duration::from_secs(4);

/// Even where every picture is old, one is shown this often: a host that is too slow gives a slow stream, not an empty one.
const KEEP_ALIVE: Duration = Duration::from_millis(500);

/// Follows the pictures of one track.
#[derive(Debug)]
pub(super) struct Lateness {
    last_shown: Instant,
    /// Since when pictures have been late.
    since: Option<Instant>,
}

impl Lateness {
    /// Of a track that begins.
    pub fn new() -> Self {
        Self { last_shown: Instant::now(), since: None }
    }

    /// Whether a picture that was due at `due` is better dropped; else it counts as shown.
    pub fn drops(&mut self, due: Instant) -> bool {
        let drops = self.is_too_late(due);
        if !drops {
            self.last_shown = Instant::now();
        }
        drops
    }

    fn is_too_late(&mut self, due: Instant) -> bool {
        if due.elapsed() <= MAX_AGE {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        since.elapsed() > GRACE && self.last_shown.elapsed() < KEEP_ALIVE
    }
}
