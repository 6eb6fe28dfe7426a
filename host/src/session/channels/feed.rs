//! Sends messages to a channel, one a segment, in their order, for as long as the stream runs and whatever the server does.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use rillbox_trickle::{Backoff, ChannelUrl, Client, PublishError, Publisher, PublisherConfig, PublisherStats};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::meter::FeedMeter;
use crate::session::causes::causes;
use crate::session::event::Origin;
use crate::session::meters::Meters;

/// While a publisher retries a message, the next one waits for this long; after that it is sent in parallel.
const PATIENCE: Duration = Duration::from_secs(2);

/// The same once the stream is over.
const HURRY: Duration = Duration::from_millis(300);

/// Time between two messages at least: a server keeps five segments, so a reader would miss some of a burst.
const SPACING: Duration = Duration::from_millis(50);

/// How often publishing is looked at while there is nothing to send.
const CHECK: Duration = Duration::from_secs(1);

/// The task that owns a channel's publisher. One that the server ends is followed by another.
pub struct Feed {
    client: Client,
    url: ChannelUrl,
    content_type: HeaderValue,
    origin: Origin,
    publisher: Option<Publisher>,
    /// What earlier publishers did.
    earlier: PublisherStats,
    /// Publishers that could not be made, or were ended.
    broken: u64,
    backoff: Backoff,
    /// It failed when it was last looked at.
    failing: bool,
    over: CancellationToken,
    meters: Arc<Meters>,
}

impl Feed {
    /// `over` says that the stream is, and that there is no time left.
    pub fn new(
        client: Client,
        url: ChannelUrl,
        content_type: HeaderValue,
        origin: Origin,
        meters: Arc<Meters>,
        over: CancellationToken,
    ) -> Self {
        Self {
            client,
            url,
            content_type,
            origin,
            publisher: None,
            earlier: PublisherStats::default(),
            broken: 0,
            backoff: Backoff::default(),
            failing: false,
            over,
            meters,
        }
    }

    /// Sends messages until there are no more, then closes the channel as a stream does with its output.
    pub async fn run(mut self, mut messages: mpsc::Receiver<Bytes>) {
        let mut next = Instant::now();
        loop {
            tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => {
                        sleep_until(next).await;
                        self.send(message).await;
                        next = Instant::now() + SPACING;
                    }
                    None => break,
                },
                () = sleep(CHECK) => {}
            }
            self.count();
        }
        self.close().await;
    }

    /// Sends one message, at any rate until the stream is over: then it is tried once more.
    async fn send(&mut self, message: Bytes) {
        loop {
            let last = self.over.is_cancelled();
            let Err(error) = self.attempt(&message).await else { return self.backoff.reset() };
            self.failed(&error);
            if last {
                return self.meter().dropped.add(1);
            }
            // The stream's end cuts the pause short.
            let _ = self.over.run_until_cancelled(self.backoff.pause()).await;
        }
    }

    /// Ends well when the server has the message, or has had its time: then it goes on in the background.
    async fn attempt(&mut self, message: &Bytes) -> Result<(), PublishError> {
        let over = self.over.clone();
        let mut publisher = match self.publisher.take() {
            Some(publisher) => publisher,
            None => tokio::select! {
                publisher = self.connect() => publisher?,
                () = hurry(&over) => return Err(PublishError::Unanswered),
            },
        };
        let sent = async {
            publisher.write(message.clone()).await?;
            publisher.end();
            publisher.answered().await
        };
        let result = tokio::select! {
            result = sent => result,
            () = sleep(PATIENCE) => Ok(()),
            () = hurry(&over) => Ok(()),
        };
        match &result {
            Ok(()) => self.publisher = Some(publisher),
            Err(_) => self.add(publisher.stats()),
        }
        result
    }

    /// A publisher that goes on where the channel stands. A channel that does not exist is begun, for servers that make them
    /// as they are published to.
    async fn connect(&self) -> Result<Publisher, PublishError> {
        let config = self.config();
        match Publisher::resume(self.client.clone(), self.url.clone(), config.clone()).await {
            Err(PublishError::NotFound) => Ok(Publisher::new(self.client.clone(), self.url.clone(), config)),
            resumed => resumed,
        }
    }

    fn config(&self) -> PublisherConfig {
        PublisherConfig {
            content_type: self.content_type.clone(),
            finish_timeout: Duration::from_secs(1),
            ..PublisherConfig::default()
        }
    }

    async fn close(mut self) {
        if let Some(mut publisher) = self.publisher.take() {
            let closed = publisher.close().await;
            // The owner of the channel may have closed it, or keep its end to himself.
            tracing::debug!(url = %self.url, closed = ?closed.err(), "channel closed");
            self.add(publisher.stats());
            self.count();
        }
    }

    fn add(&mut self, stats: PublisherStats) {
        self.earlier.segments += stats.segments;
        self.earlier.skipped += stats.skipped;
        self.earlier.retries += stats.retries;
    }

    fn failed(&mut self, error: &PublishError) {
        self.broken += 1;
        self.note(causes(error));
    }

    /// Takes over the publisher's counts, and looks whether it fails.
    fn count(&mut self) {
        let (mut stats, mut fault) = (PublisherStats::default(), None);
        if let Some(publisher) = &self.publisher {
            stats = publisher.stats();
            self.failing &= publisher.failing_since().is_some();
            fault = publisher.failing_since().and_then(|_| publisher.last_fault());
        }
        if let Some(fault) = fault {
            self.note(causes(&*fault));
        }
        let meter = self.meter();
        meter.segments.set(self.earlier.segments + stats.segments);
        meter.skipped.set(self.earlier.skipped + stats.skipped);
        meter.failures.set(self.broken + self.earlier.retries + stats.retries);
    }

    /// Notes what went wrong; tells only of the first in a row.
    fn note(&mut self, fault: String) {
        self.meter().last_error.set(fault.clone());
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(url = %self.url, fault, "cannot publish");
            self.meters.life.error(self.origin, format!("cannot publish to {}: {fault}", self.url));
        }
    }

    fn meter(&self) -> &FeedMeter {
        match self.origin {
            Origin::Events => &self.meters.channels.events,
            _ => &self.meters.channels.data,
        }
    }
}

/// Waits until the stream has ended, and then for [`HURRY`].
async fn hurry(over: &CancellationToken) {
    over.cancelled().await;
    sleep(HURRY).await;
}
