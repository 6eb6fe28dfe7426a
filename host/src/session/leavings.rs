//! Memory that streams leave behind: the allocator keeps what is freed for the next frame, and an ended stream has none.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Streams often end together, and others begin.
const WAIT: Duration = Duration::from_secs(5);

/// Somebody waits already.
static WAITING: AtomicBool = AtomicBool::new(false);

/// A stream has ended: what nobody needs goes back to the system, a little later, once for all that end until then. Others that run
/// wait for the allocator meanwhile, and ask for their part again.
pub(super) fn give_back() {
    if WAITING.swap(true, Ordering::Relaxed) {
        return;
    }
    tokio::spawn(async move {
        tokio::time::sleep(WAIT).await;
        WAITING.store(false, Ordering::Relaxed);
        // It takes some milliseconds, in which no socket is driven.
        tokio::task::spawn_blocking(rillbox_media::give_back_memory);
    });
}
