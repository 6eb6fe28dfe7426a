//! Ends segments whose publisher vanished and did not come back in time.

use std::sync::Arc;

use tokio::{sync::mpsc, time::Instant};

use super::{channels::Channel, window::Claim};

/// Segments that can wait at once; beyond it they end at once.
const WAITING: usize = 1024;

/// Hands abandoned segments to the task that ends them.
#[derive(Clone)]
pub(crate) struct Reaper {
    queue: mpsc::Sender<Abandoned>,
}

/// The task's end of the queue.
pub(crate) struct Abandonments {
    queue: mpsc::Receiver<Abandoned>,
}

struct Abandoned {
    channel: Arc<Channel>,
    claim: Claim,
    until: Instant,
}

impl Reaper {
    pub(crate) fn new() -> (Self, Abandonments) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self { queue: sender }, Abandonments { queue: receiver })
    }

    /// Ends the segment at `until` unless a publisher takes it up again. Deadlines come in order, since all wait the
    /// same grace time.
    pub(crate) fn schedule(&self, channel: Arc<Channel>, claim: Claim, until: Instant) {
        if let Err(refused) = self.queue.try_send(Abandoned { channel, claim, until }) {
            refused.into_inner().end();
        }
    }
}

impl Abandoned {
    fn end(self) {
        self.channel.window().expire(&self.claim, self.until);
    }
}

impl Abandonments {
    /// Runs until every [`Reaper`] is gone.
    pub(crate) async fn run(mut self) {
        while let Some(abandoned) = self.queue.recv().await {
            tokio::time::sleep_until(abandoned.until).await;
            abandoned.end();
        }
    }
}
