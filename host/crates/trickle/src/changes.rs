//! Polling for changes of a watched value, for bodies that follow a buffer as it grows.

use std::task::{Context, Poll, ready};

use tokio::sync::watch;
use tokio_util::sync::ReusableBoxFuture;

/// Polled counterpart of [`watch::Receiver::changed`]; one allocation for its whole life.
pub(crate) struct Changes<T> {
    waiting: ReusableBoxFuture<'static, watch::Receiver<T>>,
}

impl<T: Send + Sync + 'static> Changes<T> {
    /// Changes from now on. The holder keeps a sender alive, else a lost sender reads as endless change.
    pub(crate) fn of(sender: &watch::Sender<T>) -> Self {
        Self { waiting: ReusableBoxFuture::new(changed(sender.subscribe())) }
    }

    /// Ready once per change, or several changes, since the last time it was ready.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let receiver = ready!(self.waiting.poll(cx));
        self.waiting.set(changed(receiver));
        Poll::Ready(())
    }
}

async fn changed<T>(mut receiver: watch::Receiver<T>) -> watch::Receiver<T> {
    // An error means that the sender is gone; the holder then sees the final value.
    let _ = receiver.changed().await;
    receiver
}
