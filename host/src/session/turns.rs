//! Turns of work that is ahead of its time. Bytes that come in a burst could take every core at once, and other streams' pictures,
//! which are due, would share what is left. So as many stages as there are cores work ahead at a time; what is due waits for no turn.

use std::sync::LazyLock;
use std::thread::available_parallelism;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout_at;

/// Decoding and encoding of all streams.
pub(super) static MEDIA: LazyLock<Turns> = LazyLock::new(Turns::new);

/// Processors of all streams.
pub(super) static PROCESSORS: LazyLock<Turns> = LazyLock::new(Turns::new);

/// As many turns as there are cores.
pub(super) struct Turns(Semaphore);

/// Given back when it is dropped.
pub(super) type Turn = SemaphorePermit<'static>;

impl Turns {
    fn new() -> Self {
        Self(Semaphore::new(available_parallelism().map_or(1, usize::from)))
    }

    /// Waits for a turn, or until the work is due, which needs none.
    pub async fn take(&'static self, due: Instant) -> Option<Turn> {
        if due <= Instant::now() {
            return None;
        }
        // The semaphore is never closed.
        timeout_at(due.into(), self.0.acquire()).await.ok()?.ok()
    }

    /// The same, on a thread that may wait.
    pub fn take_here(&'static self, due: Instant) -> Option<Turn> {
        if due <= Instant::now() {
            return None;
        }
        self.0.try_acquire().ok().or_else(|| Handle::current().block_on(self.take(due)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SOON: Duration = Duration::from_millis(50);

    /// Catches work that is due and waits for a turn, a turn that is handed out twice, and work ahead of its time that waits longer
    /// than until it is due.
    #[tokio::test(start_paused = true)]
    async fn what_is_due_waits_for_no_turn_and_the_rest_no_longer_than_that() {
        let turns: &'static Turns = Box::leak(Box::new(Turns(Semaphore::new(1))));
        let now = || tokio::time::Instant::now().into_std();
        let first = turns.take(now() + SOON).await;
        assert!(first.is_some());
        assert!(turns.take(now() - SOON).await.is_none(), "it is due");
        let began = now();
        assert!(turns.take(began + SOON).await.is_none() && now() >= began + SOON);
        drop(first);
        assert!(turns.take(now() + SOON).await.is_some());
    }
}
