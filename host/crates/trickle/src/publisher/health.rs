//! What a publisher's segments report about the server.

use std::{error::Error, sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use super::{PublishError, PublisherStats, fault::Fault};
use crate::lost::Lost;

/// Failures further apart are not in a row: attempts fail within a connection's time, and are made every few seconds.
const ROW: Duration = Duration::from_secs(15);

/// Shared by a publisher and its segments.
#[derive(Clone)]
pub(crate) struct Health {
    report: watch::Sender<Report>,
}

#[derive(Default)]
struct Report {
    stats: PublisherStats,
    failing: Option<Failing>,
    lost: Option<Lost>,
    last_fault: Option<Arc<dyn Error + Send + Sync>>,
    over: Option<Over>,
}

#[derive(Clone, Copy)]
struct Failing {
    since: Instant,
    last: Instant,
    /// Bytes were lost or delayed, not merely a connection made ahead.
    bytes: bool,
}

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// A segment that has no bytes yet.
    Ahead,
    /// A segment with bytes.
    Bytes,
}

/// Why nothing more can be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Closed,
    NotFound,
}

impl From<Over> for PublishError {
    fn from(over: Over) -> Self {
        match over {
            Over::Closed => Self::Closed,
            Over::NotFound => Self::NotFound,
        }
    }
}

impl Health {
    pub(crate) fn new() -> Self {
        Self { report: watch::Sender::new(Report::default()) }
    }

    pub(crate) fn stats(&self) -> PublisherStats {
        self.report.borrow().stats
    }

    pub(crate) fn failing_since(&self) -> Option<Instant> {
        self.report.borrow().failing.map(|failing| failing.since)
    }

    /// From the first failure in a row to the last.
    pub(crate) fn failing_for(&self) -> Option<Duration> {
        self.report.borrow().failing.map(|failing| failing.last - failing.since)
    }

    pub(crate) fn last_fault(&self) -> Option<Arc<dyn Error + Send + Sync>> {
        self.report.borrow().last_fault.clone()
    }

    /// # Errors
    /// Once the channel is over.
    pub(crate) fn check(&self) -> Result<(), PublishError> {
        self.report.borrow().over.map_or(Ok(()), |over| Err(over.into()))
    }

    /// Waits until the channel is over.
    pub(crate) async fn over(&self) -> PublishError {
        let mut receiver = self.report.subscribe();
        let over = receiver.wait_for(|report| report.over.is_some()).await;
        // There is always one: `self` holds a sender.
        over.ok().and_then(|report| report.over).unwrap_or(Over::Closed).into()
    }

    /// Waits until this many segments have been taken or given up.
    ///
    /// # Errors
    /// The channel is over before that.
    pub(crate) async fn settled(&self, segments: u64) -> Result<(), PublishError> {
        let enough = |stats: PublisherStats| stats.segments.saturating_add(stats.skipped) >= segments;
        let mut receiver = self.report.subscribe();
        // As in `over`.
        let _ = receiver.wait_for(|report| report.over.is_some() || enough(report.stats)).await;
        if enough(self.stats()) { Ok(()) } else { self.check() }
    }

    pub(crate) fn published(&self, bytes: u64) {
        self.report.send_modify(|report| {
            report.stats.segments += 1;
            report.stats.bytes += bytes;
        });
        self.recovered();
    }

    pub(crate) fn retrying(&self) {
        self.report.send_modify(|report| report.stats.retries += 1);
    }

    pub(crate) fn skipped(&self) {
        self.report.send_modify(|report| report.stats.skipped += 1);
    }

    pub(crate) fn ended(&self, over: Over) {
        self.report.send_modify(|report| report.over = report.over.or(Some(over)));
    }

    /// The connection, or a server in front of the server, failed.
    pub(crate) fn lost(&self) {
        self.report.send_modify(|report| report.lost = Some(Lost::default()));
    }

    /// Whether a channel that is missing now may be made again.
    pub(crate) fn may_return(&self) -> bool {
        let mut may = false;
        self.report.send_modify(|report| may = report.lost.as_mut().is_some_and(Lost::may_return));
        may
    }

    /// Remembers since when; tells only of the first failure in a row.
    pub(super) fn failed(&self, what: Failed, fault: Fault) {
        let (mut first, fault) = (false, Arc::new(fault));
        self.report.send_modify(|report| {
            first = report.failing.is_none();
            let now = Instant::now();
            let failing = report.failing.get_or_insert(Failing { since: now, last: now, bytes: false });
            // Nothing failed meanwhile, be it that there was nothing to send.
            if now - failing.last > ROW {
                failing.since = now;
            }
            failing.last = now;
            failing.bytes |= what == Failed::Bytes;
            report.last_fault = Some(fault.clone());
        });
        if first {
            tracing::warn!(fault = &*fault as &dyn Error, "publishing fails");
        }
    }

    /// A connection made ahead stands. That says nothing about bytes that failed before.
    pub(crate) fn connected(&self) {
        if self.report.borrow().failing.is_some_and(|failing| !failing.bytes) {
            self.recovered();
        }
    }

    fn recovered(&self) {
        let mut failing = None;
        self.report.send_modify(|report| {
            failing = report.failing.take();
            report.lost = None;
        });
        if let Some(failing) = failing {
            tracing::info!(after_ms = failing.since.elapsed().as_millis(), "publishing works again");
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn a_mere_connection_does_not_excuse_lost_bytes() {
        let health = Health::new();
        health.failed(Failed::Ahead, Fault::Status(StatusCode::BAD_GATEWAY));
        health.connected();
        assert_eq!(health.failing_since(), None);
        health.failed(Failed::Bytes, Fault::Full);
        let since = health.failing_since();
        health.failed(Failed::Ahead, Fault::Status(StatusCode::BAD_GATEWAY));
        health.connected();
        assert_eq!(health.failing_since(), since);
        health.published(1);
        assert_eq!(health.failing_since(), None);
    }
}
