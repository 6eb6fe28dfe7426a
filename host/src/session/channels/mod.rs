//! What a stream is told and tells besides pictures and sound: updates of its params on the control channel, events of its life
//! on the events channel, and what its processor publishes on the data channel.
//!
//! ```text
//! events, status, heartbeat ─────▶ events ─▶ feed ─▶ events_url
//! the processor's values ────────▶ data ───▶ feed ─▶ data_url
//! control_url ─▶ control ─▶ params
//! ```
//!
//! Whatever their servers do, these channels neither end a stream nor hold it up: they try again, count, and forget what is
//! oldest when too much waits.

mod control;
mod data;
mod events;
mod feed;
mod meter;
mod report;

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use rillbox_trickle::{ChannelUrl, Client};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use self::control::Control;
use self::data::Data;
use self::events::Events;
use self::feed::Feed;
pub use self::meter::{ChannelMeters, ControlMeter, FeedMeter};
use self::report::Report;
use super::channel_urls::ChannelUrls;
use super::event::{Origin, TimedEvent};
use super::meters::Meters;
use super::streams::Stream;

/// How long a stream that is over waits for these channels.
pub const LAST_WORDS: Duration = Duration::from_secs(2);

/// Values of the processor that wait to be gathered: what sixteen frames may bring, for the case that this host is busy.
/// Their bytes are bounded by what a processor may publish.
const VALUES: usize = 4096;

/// What the channels take from a stream from its first moment on.
pub struct ChannelInputs {
    told: Option<broadcast::Receiver<TimedEvent>>,
    values: Option<mpsc::Receiver<String>>,
}

impl ChannelInputs {
    /// Those that a stream with these channels needs, and where its processor puts values.
    pub fn open(urls: &ChannelUrls, meters: &Meters) -> (Self, Option<mpsc::Sender<String>>) {
        let told = urls.events.as_ref().map(|_| meters.life.listen());
        let (data, values) = urls.data.as_ref().map(|_| mpsc::channel(VALUES)).unzip();
        (Self { told, values }, data)
    }
}

/// A stream's channels at work. Dropped, they stop at once.
pub struct Channels {
    tasks: JoinSet<()>,
    /// Cancelled when the stream is over.
    over: CancellationToken,
}

impl Channels {
    /// Starts those that the stream has.
    pub fn start(stream: &Stream, client: &Client, channel_inputs: ChannelInputs) -> Self {
        let mut channels = Self { tasks: JoinSet::new(), over: CancellationToken::new() };
        let (urls, meters) = (&stream.config.urls, &stream.meters);
        if let Some(url) = &urls.control {
            let control = Control::new(client.clone(), url.clone(), stream.params.clone(), meters.clone());
            let over = channels.over.clone();
            channels.spawn(async move {
                // Cut off when the stream is over: it has nothing to finish.
                let _ = over.run_until_cancelled(control.run()).await;
            });
        }
        if let (Some(url), Some(told)) = (&urls.events, channel_inputs.told) {
            let outbox = channels.feed(stream, client, url, Origin::Events, "application/json");
            channels.spawn(Events::new(told, Report::new(stream), outbox).run());
        }
        if let (Some(url), Some(values)) = (&urls.data, channel_inputs.values) {
            let outbox = channels.feed(stream, client, url, Origin::Data, "application/jsonl");
            channels.spawn(Data::new(values, outbox, meters.clone()).run());
        }
        channels
    }

    /// Sends what is left, and closes the channels that are the stream's to close, all within [`LAST_WORDS`].
    pub async fn end(mut self) {
        self.over.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(LAST_WORDS, ended).await.is_err() {
            tracing::debug!("channels were cut off");
        }
        self.tasks.shutdown().await;
    }

    /// Starts what sends messages to a channel; gives where to put them.
    fn feed(
        &mut self,
        stream: &Stream,
        client: &Client,
        url: &ChannelUrl,
        origin: Origin,
        content_type: &'static str,
    ) -> mpsc::Sender<Bytes> {
        let (outbox, messages) = mpsc::channel(1);
        let content_type = HeaderValue::from_static(content_type);
        let meters = stream.meters.clone();
        let feed = Feed::new(client.clone(), url.clone(), content_type, origin, meters, self.over.clone());
        self.spawn(feed.run(messages));
        outbox
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task.in_current_span());
    }
}
