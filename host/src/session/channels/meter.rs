//! What the channels count.

use tokio::sync::watch;

use crate::sandbox::Counter;

/// Counters of a stream's control, events and data channels.
#[derive(Debug, Default)]
pub struct ChannelMeters {
    /// Of the control channel.
    pub control: ControlMeter,
    /// Of the events channel.
    pub events: FeedMeter,
    /// Of the data channel.
    pub data: FeedMeter,
}

/// Counters of a channel that is read.
#[derive(Debug, Default)]
pub struct ControlMeter {
    /// Segments read.
    pub segments: Counter,
    /// Segments that the server had no more.
    pub skipped: Counter,
    /// Messages that were taken as params, those that changed nothing included.
    pub updates: Counter,
    /// Messages that were refused.
    pub rejected: Counter,
    /// Requests that failed, and segments that broke off.
    pub failures: Counter,
    /// What went wrong last.
    pub last_error: LastError,
}

/// Counters of a channel that is written.
#[derive(Debug, Default)]
pub struct FeedMeter {
    /// Segments that the server took.
    pub segments: Counter,
    /// Segments given up because the server did not take them.
    pub skipped: Counter,
    /// Values or events that were never sent: too much was waiting, or one was too large.
    pub dropped: Counter,
    /// Attempts that failed.
    pub failures: Counter,
    /// What went wrong last.
    pub last_error: LastError,
}

/// The text of the last error, for people.
#[derive(Debug, Default)]
pub struct LastError(watch::Sender<Option<String>>);

impl LastError {
    /// Puts it in the place of the one before.
    pub fn set(&self, message: String) {
        self.0.send_replace(Some(message));
    }

    /// The text, if anything went wrong so far.
    pub fn get(&self) -> Option<String> {
        self.0.borrow().clone()
    }
}
