//! Memory that streams leave behind: the allocator keeps what is freed for the next frame, and there is none when they have all ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::task::TaskTracker;

/// Streams often end together, and others begin.
const WAIT: Duration = Duration::from_secs(5);

/// Somebody waits already.
static WAITING: AtomicBool = AtomicBool::new(false);

/// One of `streams` has ended: if it was the last, what nobody needs goes back to the system, a little later. While others run, they use
/// it, and would wait for the allocator meanwhile.
pub(super) fn give_back(streams: TaskTracker) {
    if WAITING.swap(true, Ordering::Relaxed) {
        return;
    }
    tokio::spawn(async move {
        tokio::time::sleep(WAIT).await;
        WAITING.store(false, Ordering::Relaxed);
        if streams.is_empty() {
            // It takes some milliseconds, in which no socket is driven.
            tokio::task::spawn_blocking(rillbox_media::give_back_memory);
        }
    });
}
