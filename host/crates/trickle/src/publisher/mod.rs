//! Publishing: segments go out as they are produced, and the newest one matters most.

mod fault;
mod health;
mod outbox;
mod segment;

use std::{collections::VecDeque, error::Error, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderValue;
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, timeout},
};

pub(crate) use self::outbox::OutboxBody;
use self::{
    fault::Fault,
    health::{Failed, Health},
    outbox::{Outbox, Pushed},
    segment::SegmentTask,
};
use crate::{
    client::Client,
    control::{self, ControlError},
    url::ChannelUrl,
};

/// How a [`Publisher`] behaves.
#[derive(Debug, Clone)]
pub struct PublisherConfig {
    /// `Content-Type` of the segments. Servers report the channel's own, from its creation. Default `video/MP2T`.
    pub content_type: HeaderValue,
    /// Bytes of one segment that are kept to repeat it. A longer one still goes out, but a failure then loses it.
    /// Default 16 MiB.
    pub max_segment_bytes_buffered: usize,
    /// Finished segments that may wait for their answer; beyond it the oldest is given up. Default 3.
    pub max_in_flight: usize,
    /// Longest that [`Publisher::write`] waits for room before it gives the segment up. Default 500 ms.
    pub write_timeout: Duration,
    /// Longest that [`Publisher::finish`] waits for answers. Default 5 s.
    pub finish_timeout: Duration,
    /// How long [`Publisher::close`] leaves the channel to readers that have not asked for the last segment yet: what nobody
    /// has asked for goes with the channel. Default 500 ms.
    pub linger: Duration,
    /// How long [`Publisher::close`] waits until the channel is deleted. Default 10 s.
    pub delete_timeout: Duration,
    /// The first segment's number. Default 0.
    pub first: u64,
    /// Whether the first segment ends those that another publisher left open before it. Default false.
    pub reset: bool,
}

impl Default for PublisherConfig {
    fn default() -> Self {
        Self {
            content_type: HeaderValue::from_static("video/MP2T"),
            max_segment_bytes_buffered: 16 << 20,
            max_in_flight: 3,
            write_timeout: Duration::from_millis(500),
            finish_timeout: Duration::from_secs(5),
            linger: Duration::from_millis(500),
            delete_timeout: Duration::from_secs(10),
            first: 0,
            reset: false,
        }
    }
}

/// Why publishing is over. Trouble that may pass is no error: it is retried and counted, see [`Publisher::stats`] and
/// [`Publisher::failing_since`].
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The channel was closed.
    #[error("the channel is closed")]
    Closed,
    /// The server knows no such channel.
    #[error("no such channel")]
    NotFound,
    /// From [`Publisher::finish`] and [`Publisher::close`]: segments stayed unanswered.
    #[error("the server did not answer in time")]
    Unanswered,
    /// From [`Publisher::resume`] and [`Publisher::close`]: the request about the channel failed.
    #[error("the channel could not be asked or deleted")]
    Control(#[from] ControlError),
}

/// What a [`Publisher`] has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PublisherStats {
    /// Segments that the server took in full.
    pub segments: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Further attempts for a segment after a failed one.
    pub retries: u64,
    /// Segments given up.
    pub skipped: u64,
}

/// Publishes the segments of one channel, each on a connection that is made one segment ahead.
///
/// Every method belongs into a Tokio runtime. Dropped, it cuts its connections, an open segment's included.
pub struct Publisher {
    client: Client,
    url: ChannelUrl,
    config: PublisherConfig,
    health: Health,
    newest: watch::Sender<u64>,
    tasks: JoinSet<()>,
    /// Segments that are finished and not answered yet.
    finished: VecDeque<Segment>,
    open: Option<Segment>,
    ahead: Option<Segment>,
    /// Segments that were ended, each of which is taken or given up at last.
    ended: u64,
}

struct Segment {
    seq: u64,
    outbox: Outbox,
    task: AbortHandle,
}

impl Publisher {
    /// Connects for the first segment in the background; what goes wrong there shows in [`Publisher::write`].
    pub fn new(client: Client, url: ChannelUrl, config: PublisherConfig) -> Self {
        let mut publisher = Self {
            newest: watch::Sender::new(config.first),
            health: Health::new(),
            tasks: JoinSet::new(),
            finished: VecDeque::new(),
            open: None,
            ahead: None,
            ended: 0,
            client,
            url,
            config,
        };
        publisher.ahead = Some(publisher.prepare(publisher.config.first));
        publisher
    }

    /// Continues a channel where it stands: asks for the next number, and ends what an earlier publisher left open.
    /// A server that does not know the question gets numbers from [`PublisherConfig::first`].
    ///
    /// # Errors
    /// The channel is closed or missing, or the server cannot be asked.
    pub async fn resume(client: Client, url: ChannelUrl, mut config: PublisherConfig) -> Result<Self, PublishError> {
        match control::next_seq(&client, &url).await {
            Ok(next) => (config.first, config.reset) = (next, true),
            Err(ControlError::Status(http::StatusCode::BAD_REQUEST)) => {}
            Err(ControlError::Closed) => return Err(PublishError::Closed),
            Err(ControlError::NotFound) => return Err(PublishError::NotFound),
            Err(error) => return Err(error.into()),
        }
        Ok(Self::new(client, url, config))
    }

    /// Begins the next segment and finishes the open one. Never waits.
    pub fn begin(&mut self) {
        self.end();
        while self.finished.len() > self.config.max_in_flight {
            if let Some(slow) = self.finished.pop_front() {
                self.health.failed(Failed::Bytes, Fault::Slow);
                slow.outbox.abandon();
            }
        }
        if self.health.check().is_err() {
            return;
        }
        let newest = *self.newest.borrow();
        let begun = match self.ahead.take() {
            Some(ahead) => ahead,
            None => self.prepare(newest),
        };
        self.newest.send_replace(begun.seq);
        self.ahead = Some(self.prepare(begun.seq.saturating_add(1)));
        self.open = Some(begun);
    }

    /// Finishes the open segment without beginning another, so that it stays the newest, which is repeated until the server
    /// has it. Never waits.
    pub fn end(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        self.finished.retain(|segment| !segment.task.is_finished());
        if let Some(open) = self.open.take() {
            open.outbox.finish();
            self.finished.push_back(open);
            self.ended += 1;
        }
    }

    /// Waits, without limit, until each segment that was ended has been taken or given up. May be cancelled.
    ///
    /// # Errors
    /// The channel is over before that.
    pub async fn answered(&self) -> Result<(), PublishError> {
        self.health.settled(self.ended).await
    }

    /// Publishes bytes of the open segment, which is begun if there is none. Waits only while the server takes less than
    /// is produced, at most [`PublisherConfig::write_timeout`]; then the rest of this segment is dropped. Cancelled, it
    /// has published all of the bytes or none.
    ///
    /// # Errors
    /// The channel is over.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), PublishError> {
        if self.open.is_none() {
            self.begin();
        }
        self.health.check()?;
        let Some(open) = &self.open else {
            return Ok(());
        };
        if bytes.is_empty() || open.outbox.push(&bytes) != Pushed::Full {
            return Ok(());
        }
        let pushed = async {
            while open.outbox.push(&bytes) == Pushed::Full {
                open.outbox.room().await;
            }
        };
        let waited = tokio::select! {
            waited = timeout(self.config.write_timeout, pushed) => waited,
            over = self.health.over() => return Err(over),
        };
        if waited.is_err() {
            self.health.failed(Failed::Bytes, Fault::Full);
            open.outbox.abandon();
        }
        Ok(())
    }

    /// Waits until nothing more can be published, and tells why.
    pub async fn over(&self) -> PublishError {
        self.health.over().await
    }

    /// What it has done so far.
    pub fn stats(&self) -> PublisherStats {
        self.health.stats()
    }

    /// Since when nothing has succeeded; `None` while the server takes what it is given.
    pub fn failing_since(&self) -> Option<Instant> {
        self.health.failing_since()
    }

    /// For how long it has failed, from the first failure in a row to the last; `None` while the server takes what it is given.
    /// Where there is nothing to send, nothing fails.
    pub fn failing_for(&self) -> Option<Duration> {
        self.health.failing_for()
    }

    /// What went wrong last.
    pub fn last_fault(&self) -> Option<Arc<dyn Error + Send + Sync>> {
        self.health.last_fault()
    }

    /// Ends the open segment and waits for the answers that are missing, at most [`PublisherConfig::finish_timeout`].
    /// The channel stays. Gives what was done in all.
    ///
    /// # Errors
    /// The channel is over, or the server did not answer.
    pub async fn finish(mut self) -> Result<PublisherStats, PublishError> {
        self.settle(std::future::pending()).await?;
        Ok(self.stats())
    }

    /// Does what [`Publisher::finish`] does, then deletes the channel after [`PublisherConfig::linger`]. One that is closed or
    /// missing already is fine. What was sent is in [`stats`](Self::stats) afterwards, however it went.
    ///
    /// # Errors
    /// Segments stayed unanswered, or the server did not delete the channel; it was tried in any case.
    pub async fn close(&mut self) -> Result<(), PublishError> {
        self.close_before(std::future::pending()).await
    }

    /// Does what [`Publisher::close`] does, but once `hurry` is over it waits for no more answers, and does not linger.
    ///
    /// # Errors
    /// Those of [`Publisher::close`].
    pub async fn close_before(&mut self, hurry: impl Future<Output = ()>) -> Result<(), PublishError> {
        let (mut hurry, mut is_over) = (pin!(hurry), false);
        let settled = self
            .settle(async {
                hurry.as_mut().await;
                is_over = true;
            })
            .await;
        if matches!(settled, Err(PublishError::Closed | PublishError::NotFound)) {
            return Ok(());
        }
        if !is_over {
            tokio::select! {
                () = sleep(self.config.linger) => {}
                () = hurry => {}
            }
        }
        let deleted = timeout(self.config.delete_timeout, control::delete(&self.client, &self.url)).await;
        match deleted.unwrap_or(Err(ControlError::Timeout)) {
            // What is not there cannot be deleted, which servers answer with 400.
            Ok(()) | Err(ControlError::NotFound | ControlError::Status(http::StatusCode::BAD_REQUEST)) => settled,
            Err(error) => Err(error.into()),
        }
    }

    async fn settle(&mut self, hurry: impl Future<Output = ()>) -> Result<(), PublishError> {
        // Nobody has seen a byte of these, so they need no end.
        let untouched = self.open.take_if(|open| open.outbox.is_untouched());
        for segment in self.ahead.take().into_iter().chain(untouched) {
            segment.task.abort();
        }
        if let Some(open) = self.open.take() {
            open.outbox.finish();
            self.ended += 1;
        }
        let answered = async { while self.tasks.join_next().await.is_some() {} };
        let in_time = tokio::select! {
            answered = timeout(self.config.finish_timeout, answered) => answered.is_ok(),
            () = hurry => false,
        };
        self.tasks.abort_all();
        self.health.check()?;
        let PublisherStats { segments, skipped, .. } = self.health.stats();
        (segments + skipped..self.ended).for_each(|_| self.health.skipped());
        if in_time { Ok(()) } else { Err(PublishError::Unanswered) }
    }

    fn prepare(&mut self, seq: u64) -> Segment {
        let outbox = Outbox::new(self.config.max_segment_bytes_buffered);
        let task = SegmentTask {
            client: self.client.clone(),
            url: self.url.clone(),
            seq,
            content_type: self.config.content_type.clone(),
            reset: self.config.reset && seq == self.config.first,
            outbox: outbox.clone(),
            health: self.health.clone(),
            newest: self.newest.subscribe(),
        };
        Segment { seq, outbox, task: self.tasks.spawn(task.run()) }
    }
}
