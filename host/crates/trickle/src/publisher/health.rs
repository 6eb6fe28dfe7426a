//! What a publisher's segments report about the server.

use tokio::{sync::watch, time::Instant};

use super::{PublishError, PublisherStats};

/// Shared by a publisher and its segments.
#[derive(Clone)]
pub(crate) struct Health {
    report: watch::Sender<Report>,
}

#[derive(Clone, Copy, Default)]
struct Report {
    stats: PublisherStats,
    failing_since: Option<Instant>,
    over: Option<Over>,
}

/// Why nothing more can be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Closed,
    NotFound,
}

impl Health {
    pub(crate) fn new() -> Self {
        Self {
            report: watch::Sender::new(Report::default()),
        }
    }

    pub(crate) fn stats(&self) -> PublisherStats {
        self.report.borrow().stats
    }

    pub(crate) fn failing_since(&self) -> Option<Instant> {
        self.report.borrow().failing_since
    }

    /// # Errors
    /// Once the channel is over.
    pub(crate) fn check(&self) -> Result<(), PublishError> {
        match self.report.borrow().over {
            None => Ok(()),
            Some(Over::Closed) => Err(PublishError::Closed),
            Some(Over::NotFound) => Err(PublishError::NotFound),
        }
    }

    /// Waits until the channel is over.
    pub(crate) async fn over(&self) {
        let mut receiver = self.report.subscribe();
        // An error cannot be: `self` holds a sender.
        let _ = receiver.wait_for(|report| report.over.is_some()).await;
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
        self.report
            .send_modify(|report| report.over = report.over.or(Some(over)));
    }

    /// Remembers since when; tells only of the first failure in a row.
    pub(crate) fn failed(&self, fault: &dyn std::fmt::Display) {
        let mut first = false;
        self.report.send_modify(|report| {
            first = report.failing_since.is_none();
            report.failing_since = report.failing_since.or_else(|| Some(Instant::now()));
        });
        if first {
            tracing::warn!(%fault, "publishing fails");
        }
    }

    pub(crate) fn recovered(&self) {
        let mut since = None;
        self.report
            .send_modify(|report| since = report.failing_since.take());
        if let Some(since) = since {
            tracing::info!(
                after_ms = since.elapsed().as_millis(),
                "publishing works again"
            );
        }
    }
}
