//! One live stream: subscribe, pipeline, publish, and the end of it all.

use std::sync::Arc;
use std::time::Duration;

use rillbox_media::Emit;
use rillbox_trickle::{
    ChannelUrl, Client, PublishError, Publisher, PublisherConfig, PublisherStats, Segment, Start, SubscribeError,
    Subscriber,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::meters::{Meters, Phase};
use super::pipeline::{Pipeline, PipelineError, Source};
use crate::registry::Lease;

/// A server that cannot be reached for this long ends the stream.
const UNREACHABLE: Duration = Duration::from_secs(30);

/// Pause between two attempts.
const RETRY: Duration = Duration::from_millis(300);

/// How often publishing is looked at while nothing is produced.
const PUBLISH_CHECK: Duration = Duration::from_secs(1);

/// Time that a stream has, once its input has ended, to send what is under way.
const DRAIN: Duration = Duration::from_secs(10);

/// Where a stream comes from and goes to.
#[derive(Clone, Debug)]
pub struct StreamConfig {
    /// Input.
    pub subscribe: ChannelUrl,
    /// Output; a stream without one only looks.
    pub publish: Option<ChannelUrl>,
}

/// Why a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ending {
    phase: Phase,
    reason: String,
}

impl Ending {
    fn ended(reason: impl Into<String>) -> Self {
        Self { phase: Phase::Ended, reason: reason.into() }
    }

    fn failed(reason: impl Into<String>) -> Self {
        Self { phase: Phase::Failed, reason: reason.into() }
    }
}

/// Runs a stream to its end; cancelling `stop` ends its input, and what is under way still goes out. The condition in
/// `meters` says at last why it ended, after everything has been released, the `processor` too.
pub async fn run(
    config: StreamConfig,
    client: Client,
    pipeline: Pipeline,
    meters: &Arc<Meters>,
    stop: CancellationToken,
    processor: Lease,
) {
    let Pipeline { source, emitted, mut stages, .. } = pipeline;
    let mut ends: JoinSet<Ending> = JoinSet::new();
    let subscription = Subscription {
        subscriber: Subscriber::new(client.clone(), config.subscribe.clone(), Start::Current),
        url: config.subscribe,
        source,
        meters: meters.clone(),
        begun: false,
    };
    let publication = Publication {
        publisher: config.publish.map(|url| (Publisher::new(client, url.clone(), PublisherConfig::default()), url)),
        emitted,
        meters: meters.clone(),
        failing: false,
    };
    // Stops the input alone; the rest follows by itself when no more comes.
    let input = stop.child_token();
    ends.spawn({
        let input = input.clone();
        async move {
            input.run_until_cancelled_owned(subscription.run()).await.unwrap_or_else(|| Ending::ended("stopped"))
        }
    });
    ends.spawn(publication.run());
    let ending = supervise(&mut ends, &mut stages, &input, meters).await;
    ends.shutdown().await;
    stages.shutdown().await;
    drop(processor);
    match ending.phase {
        Phase::Failed => tracing::warn!(reason = ending.reason, "stream failed"),
        _ => tracing::info!(reason = ending.reason, "stream ended"),
    }
    meters.end(ending.phase, ending.reason);
}

/// Waits until everything has ended, or the time to drain is over. The first end is the reason, and ends the input.
async fn supervise(
    ends: &mut JoinSet<Ending>,
    stages: &mut JoinSet<Result<(), PipelineError>>,
    input: &CancellationToken,
    meters: &Meters,
) -> Ending {
    let mut ending: Option<Ending> = None;
    // Set anew when the first end comes.
    let deadline = sleep(Duration::MAX);
    tokio::pin!(deadline);
    loop {
        let end = tokio::select! {
            Some(end) = ends.join_next() => Some(end.unwrap_or_else(|error| Ending::failed(error.to_string()))),
            Some(stage) = stages.join_next() => stage_ending(stage),
            () = &mut deadline => return Ending::failed("what was under way did not go out in time"),
        };
        if let Some(end) = end
            && ending.is_none()
        {
            ending = Some(end);
            input.cancel();
            meters.enter(Phase::Draining);
            deadline.as_mut().reset(Instant::now() + DRAIN);
        }
        if ends.is_empty() && stages.is_empty() {
            return ending.unwrap_or_else(|| Ending::ended("the input ended"));
        }
    }
}

fn stage_ending(stage: Result<Result<(), PipelineError>, tokio::task::JoinError>) -> Option<Ending> {
    match stage {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(Ending::failed(error.to_string())),
        Err(error) => Some(Ending::failed(PipelineError::Stage(error).to_string())),
    }
}

struct Subscription {
    subscriber: Subscriber,
    url: ChannelUrl,
    source: mpsc::Sender<Source>,
    meters: Arc<Meters>,
    /// A segment has been read: the channel was there.
    begun: bool,
}

impl Subscription {
    /// Reads segments until there are no more.
    async fn run(mut self) -> Ending {
        let mut failing: Option<Instant> = None;
        loop {
            match self.subscriber.next().await {
                Ok(segment) => {
                    failing = None;
                    self.begun = true;
                    if !self.read(segment).await {
                        return Ending::ended("the pipeline ended");
                    }
                }
                Err(SubscribeError::Closed) => return Ending::ended("the input ended"),
                Err(SubscribeError::NotFound) if self.begun => return Ending::ended("the input is gone"),
                Err(SubscribeError::Interrupted) => return Ending::ended("the host is shutting down"),
                Err(error) => {
                    let now = Instant::now();
                    let since = *failing.get_or_insert_with(|| {
                        self.meters.event("error", format!("cannot read {}: {}", self.url, causes(&error)));
                        now
                    });
                    if now.duration_since(since) >= UNREACHABLE {
                        let seconds = UNREACHABLE.as_secs();
                        return Ending::failed(format!("cannot read {} for {seconds} s: {}", self.url, causes(&error)));
                    }
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// Hands on a segment as it arrives; `false` when nobody takes it.
    async fn read(&mut self, mut segment: Segment) -> bool {
        self.meters.segments_in.add(1);
        self.meters.segments_missed.add(segment.skipped());
        loop {
            let source = match segment.chunk().await {
                Ok(Some(bytes)) => Source::Bytes(bytes, std::time::Instant::now()),
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(url = %self.url, seq = segment.seq(), error = causes(&error), "a segment broke off");
                    self.meters.event("error", format!("segment {} broke off: {}", segment.seq(), causes(&error)));
                    break;
                }
            };
            if self.source.send(source).await.is_err() {
                return false;
            }
        }
        self.source.send(Source::EndOfSegment).await.is_ok()
    }
}

struct Publication {
    /// `None` where the output goes nowhere.
    publisher: Option<(Publisher, ChannelUrl)>,
    emitted: mpsc::Receiver<Emit>,
    meters: Arc<Meters>,
    /// Publishing failed when it was last looked at.
    failing: bool,
}

impl Publication {
    /// Publishes segments until the pipeline makes no more.
    async fn run(mut self) -> Ending {
        loop {
            let received = tokio::time::timeout(PUBLISH_CHECK, self.emitted.recv()).await;
            if let Some(ending) = self.check() {
                return ending;
            }
            match received {
                Err(_elapsed) => {}
                Ok(None) => return self.finish().await,
                Ok(Some(emit)) => {
                    if let Err(error) = self.publish(emit).await {
                        return gone(&error);
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
                self.meters.bytes_out.add(bytes.len() as u64);
                publisher.write(bytes).await
            }
        }
    }

    /// Takes over the publisher's counts; gives an ending when it has failed for too long.
    fn check(&mut self) -> Option<Ending> {
        let (publisher, url) = self.publisher.as_ref()?;
        self.count(publisher.stats());
        let failing = publisher.failing_since().map(|since| since.elapsed());
        if failing.is_some() && !self.failing {
            self.meters.event("error", format!("cannot publish to {url}"));
        }
        self.failing = failing.is_some();
        (failing? >= UNREACHABLE)
            .then(|| Ending::failed(format!("cannot publish to {url} for {} s", UNREACHABLE.as_secs())))
    }

    /// Sends the rest, and ends the channel so that its readers know.
    async fn finish(mut self) -> Ending {
        let ended = Ending::ended("the input ended");
        match self.publisher.take() {
            None => ended,
            Some((publisher, _)) => match publisher.close().await {
                Ok(stats) => {
                    self.count(stats);
                    ended
                }
                // A gateway may keep the end of its channels to itself.
                Err(PublishError::Control(error)) => {
                    tracing::debug!(%error, "the output channel was not closed");
                    ended
                }
                Err(error) => gone(&error),
            },
        }
    }

    fn count(&self, stats: PublisherStats) {
        self.meters.segments_out.set(stats.segments);
        self.meters.segments_skipped.set(stats.skipped);
        self.meters.publish_retries.set(stats.retries);
    }
}

fn gone(error: &PublishError) -> Ending {
    match error {
        PublishError::Closed => Ending::ended("the output was closed"),
        PublishError::NotFound => Ending::ended("the output is gone"),
        error => Ending::failed(format!("the output could not be published: {error}")),
    }
}

/// An error with what caused it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
