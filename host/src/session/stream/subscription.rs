//! A stream's input: segments of its channel, read as they arrive.

use std::sync::Arc;
use std::time::Duration;

use rillbox_trickle::{ChannelUrl, Client, Segment, Start, SubscribeError, Subscriber};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::{Ending, UNREACHABLE, causes};
use crate::session::meters::Meters;
use crate::session::pipeline::Source;

/// Pause between two attempts.
const RETRY: Duration = Duration::from_millis(300);

pub(super) struct Subscription {
    subscriber: Subscriber,
    url: ChannelUrl,
    source: mpsc::Sender<Source>,
    meters: Arc<Meters>,
    /// A segment has been read: the channel was there.
    begun: bool,
}

impl Subscription {
    pub fn new(client: Client, url: ChannelUrl, source: mpsc::Sender<Source>, meters: Arc<Meters>) -> Self {
        let subscriber = Subscriber::new(client, url.clone(), Start::Current);
        Self { subscriber, url, source, meters, begun: false }
    }

    /// Reads segments until there are no more.
    pub async fn run(mut self) -> Ending {
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
