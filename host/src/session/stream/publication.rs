//! A stream's output: segments to its channel, sent as they are made.

use std::sync::Arc;
use std::time::Duration;

use rillbox_media::Emit;
use rillbox_trickle::{ChannelUrl, Client, PublishError, Publisher, PublisherConfig, PublisherStats};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Ending, UNREACHABLE};
use crate::session::causes::causes;
use crate::session::event::{Origin, StreamEvent};
use crate::session::meters::Meters;

/// How often publishing is looked at while nothing is produced.
const PUBLISH_CHECK: Duration = Duration::from_secs(1);

/// How long answers are still waited for once nothing more is: the channel is closed after that.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// How long the output's channel may take to be deleted. A server that does not answer is no failure of the stream.
const DELETION: Duration = Duration::from_secs(2);

/// How long it takes at most until a publication that is cut has ended: what is being written, the last answers, and the deletion.
pub const CLOSE: Duration = Duration::from_millis(500).saturating_add(LAST_ANSWERS).saturating_add(DELETION);

pub(super) struct Publication {
    /// `None` where the output goes nowhere.
    publisher: Option<(Publisher, ChannelUrl)>,
    emitted: mpsc::Receiver<Emit>,
    meters: Arc<Meters>,
    /// Nothing more is waited for.
    cut: CancellationToken,
    /// Publishing failed when it was last looked at.
    failing: bool,
}

impl Publication {
    /// Ends when `emitted` does or, with what there is by then, when `cut` is cancelled.
    pub fn new(
        client: Client,
        url: Option<ChannelUrl>,
        emitted: mpsc::Receiver<Emit>,
        meters: Arc<Meters>,
        cut: CancellationToken,
    ) -> Self {
        let config = PublisherConfig { delete_timeout: DELETION, ..PublisherConfig::default() };
        let publisher = url.map(|url| (Publisher::new(client, url.clone(), config), url));
        Self { publisher, emitted, meters, cut, failing: false }
    }

    /// Publishes segments until the pipeline makes no more.
    pub async fn run(mut self) -> Ending {
        loop {
            let received = tokio::select! {
                received = tokio::time::timeout(PUBLISH_CHECK, self.emitted.recv()) => received,
                error = over(self.publisher.as_ref()) => return self.gone(&error),
                () = self.cut.cancelled() => return self.finish().await,
            };
            if let Some(ending) = self.check() {
                return ending;
            }
            match received {
                Err(_elapsed) => {}
                Ok(None) => return self.finish().await,
                Ok(Some(emit)) => {
                    if let Err(error) = self.publish(emit).await {
                        return self.gone(&error);
                    }
                }
            }
        }
    }

    async fn publish(&mut self, emit: Emit) -> Result<(), PublishError> {
        let Some((publisher, _)) = &mut self.publisher else { return Ok(()) };
        match emit {
            Emit::Cut => {
                publisher.begin();
                Ok(())
            }
            Emit::Bytes(bytes) => {
                self.meters.segments.bytes_out.add(bytes.len() as u64);
                publisher.write(bytes).await
            }
        }
    }

    /// Takes over the publisher's counts; gives an ending when it has failed for too long.
    fn check(&mut self) -> Option<Ending> {
        let (publisher, url) = self.publisher.as_ref()?;
        self.count(publisher.stats());
        let failing = publisher.failing_for();
        let why = || publisher.last_fault().map(|fault| format!(": {fault}")).unwrap_or_default();
        if failing.is_some() && !self.failing {
            self.meters.life.error(Origin::Output, format!("cannot publish to {url}{}", why()));
        }
        self.failing = failing.is_some();
        (failing? >= UNREACHABLE)
            .then(|| Ending::failed(format!("cannot publish to {url} for {} s{}", UNREACHABLE.as_secs(), why())))
    }

    /// Sends the rest, and ends the channel so that its readers know.
    async fn finish(mut self) -> Ending {
        if let Some((mut publisher, url)) = self.publisher.take() {
            let cut = self.cut.clone();
            let hurry = async move {
                cut.cancelled().await;
                sleep(LAST_ANSWERS).await;
            };
            let closed = publisher.close_before(hurry).await;
            self.count(publisher.stats());
            match closed {
                Ok(()) => {}
                // A gateway may keep the end of its channels to itself.
                Err(PublishError::Control(error)) => {
                    tracing::debug!(error = causes(&error), "the output channel was not closed");
                }
                Err(error) => {
                    let message = format!("cannot publish to {url}: {}", causes(&error));
                    // Where something else has ended the stream, nobody hears of this ending.
                    self.meters.life.error(Origin::Output, message.clone());
                    return Ending::failed(message);
                }
            }
        }
        Ending::ended("the input ended")
    }

    /// What it means that nothing more can be published.
    fn gone(&self, error: &PublishError) -> Ending {
        match (error, &self.publisher) {
            (PublishError::Closed, _) => Ending::ended("the output was closed"),
            (PublishError::NotFound, Some((publisher, _))) if publisher.stats().segments > 0 => {
                Ending::ended("the output is gone")
            }
            (_, Some((_, url))) => Ending::failed(format!("cannot publish to {url}: {}", causes(error))),
            (_, None) => Ending::failed(causes(error)),
        }
    }

    fn count(&self, stats: PublisherStats) {
        if stats.segments > 0 && self.meters.segments.published.get() == 0 {
            self.meters.life.emit(StreamEvent::FirstSegmentSent);
        }
        self.meters.segments.published.set(stats.segments);
        self.meters.segments.skipped.set(stats.skipped);
        self.meters.segments.retries.set(stats.retries);
    }
}

/// Waits until nothing more can be published; for ever where the output goes nowhere.
async fn over(publisher: Option<&(Publisher, ChannelUrl)>) -> PublishError {
    match publisher {
        Some((publisher, _)) => publisher.over().await,
        None => std::future::pending().await,
    }
}
