//! A stream's output: segments to its channel, sent as they are made.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rillbox_media::{Emit, NULL_PACKET};
use rillbox_trickle::{ChannelUrl, Client, PublishError, Publisher, PublisherConfig, PublisherStats};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{Ending, UNREACHABLE};
use crate::session::causes::causes;
use crate::session::event::{Origin, StreamEvent};
use crate::session::meters::Meters;

/// How often publishing is looked at while nothing is produced.
const PUBLISH_CHECK: Duration = Duration::from_secs(1);

/// After so long without output a packet without content goes out: servers close channels that nobody writes to, after five minutes
/// as a rule, and a processor may withhold its pictures for longer than that.
const SILENCE: Duration = Duration::from_secs(25);

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
    /// When something was last published, and how long after that there is to be a sign of life.
    published: Instant,
    silence: Duration,
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
        Self { publisher, emitted, meters, cut, failing: false, published: Instant::now(), silence: SILENCE }
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
            let published = match received {
                Err(_elapsed) if self.published.elapsed() < self.silence => continue,
                Err(_elapsed) => self.publish(Emit::Bytes(Bytes::from_static(&NULL_PACKET))).await,
                Ok(None) => return self.finish().await,
                Ok(Some(emit)) => self.publish(emit).await,
            };
            if let Err(error) = published {
                return self.gone(&error);
            }
        }
    }

    async fn publish(&mut self, emit: Emit) -> Result<(), PublishError> {
        let Some((publisher, _)) = &mut self.publisher else { return Ok(()) };
        self.published = Instant::now();
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
        let why = || publisher.last_fault().map(|fault| format!(": {}", causes(&*fault))).unwrap_or_default();
        let (stats, failing) = (publisher.stats(), publisher.failing_for());
        let lost = stats.skipped - self.meters.segments.skipped.get();
        self.count(stats);
        if failing.is_some() && !self.failing {
            self.meters.life.error(Origin::Output, format!("cannot publish to {url}{}", why()));
        } else if lost > 0 {
            self.meters.life.error(
                Origin::Output,
                format!("{url} did not take everything: {lost} segments more are lost{}", why()),
            );
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

#[cfg(test)]
mod tests {
    use rillbox_trickle::{ClientConfig, Server, ServerConfig, Start, Subscriber};
    use tokio::time::timeout;

    use super::*;
    use crate::session::condition::Phase;

    /// Catches a stream that ends since nothing is to be shown for longer than its server keeps a channel that nobody writes to.
    #[tokio::test]
    async fn an_output_without_pictures_gives_signs_of_life() {
        let config = ServerConfig {
            idle_timeout: Duration::from_secs(3),
            sweep_interval: Duration::from_millis(100),
            ..ServerConfig::default()
        };
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), config).await.unwrap();
        let url: ChannelUrl = format!("http://{}/silent", server.local_addr()).parse().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.run(stop.clone()));
        let client = Client::new(ClientConfig::default()).unwrap();
        rillbox_trickle::create(&client, &url, "video/MP2T").await.unwrap();
        let (pipeline, emitted) = mpsc::channel(1);
        let mut publication = Publication::new(
            client.clone(),
            Some(url.clone()),
            emitted,
            Arc::new(Meters::new()),
            CancellationToken::new(),
        );
        publication.silence = Duration::from_millis(10);
        let publishing = tokio::spawn(publication.run());
        let mut subscriber = Subscriber::new(client, url, Start::Seq(0));
        let read = async {
            let mut bytes = Vec::new();
            let mut segment = subscriber.next().await.unwrap();
            while bytes.len() < 5 * NULL_PACKET.len() {
                bytes.extend(segment.chunk().await.unwrap().expect("the segment stays open"));
            }
            bytes
        };
        let bytes = timeout(Duration::from_secs(30), read).await.expect("five signs of life");
        assert_eq!(bytes, NULL_PACKET.repeat(5));
        drop(pipeline);
        assert_eq!(publishing.await.unwrap().phase, Phase::Ended);
        stop.cancel();
        serving.await.unwrap();
    }
}
