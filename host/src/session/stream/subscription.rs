//! A stream's input: segments of its channel, read as they arrive.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use rillbox_trickle::{Backoff, ChannelUrl, Client, Segment, Start, SubscribeError, Subscriber};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Ending, UNREACHABLE};
use crate::session::causes::causes;
use crate::session::event::{Origin, StreamEvent};
use crate::session::meters::Meters;
use crate::session::pipeline::Source;

/// A segment that is silent for this long is left when the next one is there.
const STALL: Duration = Duration::from_secs(2);

/// If a request was held longer than this before failing, the server is taken to have been healthy.
const HELD: Duration = Duration::from_secs(10);

/// Segments in a row that may be empty or break off before the next is asked for with a pause.
const MAX_POOR: u32 = 5;

pub(super) struct Subscription {
    subscriber: Subscriber,
    url: ChannelUrl,
    source: mpsc::Sender<Source>,
    meters: Arc<Meters>,
    /// Longest silence.
    silence: Duration,
    /// When the server last sent a byte or failed: whatever was not silence.
    heard: Instant,
    /// Since when it fails.
    failing: Option<Instant>,
    backoff: Backoff,
    /// Segments in a row that were empty or broke off.
    poor: u32,
    /// A segment has been read: the channel was there.
    begun: bool,
    /// A byte has been read.
    fed: bool,
}

/// What is next in a segment.
enum Piece {
    Bytes(Source),
    End,
    /// No more of it is to be had.
    BrokenOff,
}

impl Subscription {
    pub fn new(
        client: Client,
        url: ChannelUrl,
        source: mpsc::Sender<Source>,
        meters: Arc<Meters>,
        silence: Duration,
    ) -> Self {
        let subscriber = Subscriber::new(client, url.clone(), Start::Current);
        Self {
            subscriber,
            url,
            source,
            meters,
            silence,
            heard: Instant::now(),
            failing: None,
            backoff: Backoff::default(),
            poor: 0,
            begun: false,
            fed: false,
        }
    }

    /// Reads segments until there are no more.
    pub async fn run(mut self) -> Ending {
        loop {
            if let ControlFlow::Break(ending) = self.step().await {
                return ending;
            }
        }
    }

    async fn step(&mut self) -> ControlFlow<Ending> {
        let asked = Instant::now();
        match timeout_at(self.heard + self.silence, self.subscriber.next()).await {
            Ok(Ok(segment)) => {
                self.begun = true;
                self.read(segment).await?;
                if self.poor <= MAX_POOR {
                    self.backoff.reset();
                } else {
                    self.backoff.pause().await;
                }
            }
            Ok(Err(error)) => {
                let was_held = asked.elapsed() > HELD;
                if was_held {
                    self.failing = None;
                }
                self.failed(&error)?;
                self.backoff.pause().await;
                // A server that said nothing for so long before was as silent as one that holds.
                if !was_held {
                    self.heard = Instant::now();
                }
            }
            Err(_elapsed) => return ControlFlow::Break(self.silent()),
        }
        ControlFlow::Continue(())
    }

    /// Notes a failure between two segments; breaks when it is for good.
    fn failed(&mut self, error: &SubscribeError) -> ControlFlow<Ending> {
        match error {
            SubscribeError::Closed => return ControlFlow::Break(Ending::ended("the input ended")),
            SubscribeError::NotFound if self.begun => return ControlFlow::Break(Ending::ended("the input is gone")),
            SubscribeError::Interrupted => return ControlFlow::Break(Ending::ended("the host is shutting down")),
            _ => {}
        }
        let since = *self.failing.get_or_insert_with(|| {
            self.meters.life.error(Origin::Input, format!("cannot read {}: {}", self.url, causes(error)));
            Instant::now()
        });
        if since.elapsed() < UNREACHABLE {
            return ControlFlow::Continue(());
        }
        let seconds = UNREACHABLE.as_secs();
        ControlFlow::Break(Ending::failed(format!("cannot read {} for {seconds} s: {}", self.url, causes(error))))
    }

    /// Hands on a segment as it arrives.
    async fn read(&mut self, mut segment: Segment) -> ControlFlow<Ending> {
        self.meters.segments.read.add(1);
        self.meters.segments.missed.add(segment.skipped());
        let mut is_empty = true;
        let is_whole = loop {
            let source = match self.piece(&mut segment).await? {
                Piece::Bytes(source) => source,
                Piece::End => break true,
                Piece::BrokenOff => break false,
            };
            if !std::mem::replace(&mut self.fed, true) {
                self.meters.life.emit(StreamEvent::FirstSegmentReceived);
            }
            (is_empty, self.failing) = (false, None);
            self.hand_on(source).await?;
            // What the pipeline took its time for was no silence.
            self.heard = Instant::now();
        };
        self.poor = if is_whole && !is_empty { 0 } else { self.poor.saturating_add(1) };
        self.hand_on(Source::EndOfSegment).await
    }

    /// What is next in a segment.
    async fn piece(&mut self, segment: &mut Segment) -> ControlFlow<Ending, Piece> {
        let until = self.heard + self.silence;
        loop {
            let wait = STALL.min(until.duration_since(Instant::now()));
            let lost = match timeout(wait, segment.chunk()).await {
                Ok(Ok(Some(bytes))) => {
                    return ControlFlow::Continue(Piece::Bytes(Source::Bytes(bytes, std::time::Instant::now())));
                }
                Ok(Ok(None)) => return ControlFlow::Continue(Piece::End),
                Ok(Err(error)) => format!("segment {} broke off: {}", segment.seq(), causes(&error)),
                Err(_elapsed) if self.subscriber.is_ahead() => {
                    format!("segment {} stood still; going on with a newer one", segment.seq())
                }
                Err(_elapsed) if Instant::now() >= until => return ControlFlow::Break(self.silent()),
                Err(_elapsed) => continue,
            };
            tracing::warn!(url = %self.url, "{lost}");
            self.meters.life.error(Origin::Input, lost);
            return ControlFlow::Continue(Piece::BrokenOff);
        }
    }

    /// Fails when nobody takes it.
    async fn hand_on(&self, source: Source) -> ControlFlow<Ending> {
        match self.source.send(source).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(Ending::ended("the pipeline ended")),
        }
    }

    /// The end of an input that is there and says nothing.
    fn silent(&self) -> Ending {
        let seconds = self.silence.as_secs();
        if self.fed {
            Ending::ended(format!("no input for {seconds} s"))
        } else {
            Ending::failed(format!("no input from {} for {seconds} s", self.url))
        }
    }
}
