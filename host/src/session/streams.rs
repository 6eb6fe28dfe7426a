//! All streams of a host, by id.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use thiserror::Error;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::channel_check;
use super::channel_urls::ChannelUrls;
use super::channels::{ChannelInputs, LAST_WORDS};
use super::condition::Phase;
use super::entries::{Entries, Entry, EntryState};
use super::host::{Host, StartRejected};
use super::live_params::{LiveParams, UpdateRejected};
use super::meters::Meters;
use super::pipeline::Pipeline;
use super::processor::SupervisorHandle;
use super::stream::{self, StreamConfig};
use super::timing::Timing;
use super::totals::{ByProcessor, ProcessorSpan, StreamsSnapshot};

/// Time that a stream has to let everything go after its drain time: its output's last words first, and the channels' after them.
const RELEASE: Duration = Duration::from_millis(500).saturating_add(stream::CLOSE).saturating_add(LAST_WORDS);

/// A stream to start.
#[derive(Clone, Debug)]
pub struct StartRequest {
    /// Made up when there is none.
    pub id: Option<String>,
    /// `NAME` or `NAME@VERSION`; the host's default when there is none.
    pub processor: Option<String>,
    /// An object, or null.
    pub params: Value,
    /// Its channels.
    pub urls: ChannelUrls,
}

/// No stream of that id is known.
#[derive(Debug, Error)]
pub enum UnknownStream {
    /// Never seen, or forgotten.
    #[error("there is no stream {0:?}")]
    Id(String),
    /// None was named, and none runs.
    #[error("no stream is running")]
    None,
    /// None was named, and several run.
    #[error("several streams are running; name one by X-Stream-Id or gateway_request_id: {}", .0.join(", "))]
    Several(Vec<String>),
}

/// One stream, running or ended.
pub struct Stream {
    /// Its id.
    pub id: String,
    /// When it started.
    pub started: SystemTime,
    /// Its channels, and how long it waits.
    pub config: StreamConfig,
    /// What it measures.
    pub meters: Arc<Meters>,
    /// Its params, which may change.
    pub params: Arc<LiveParams>,
    /// Its processor, which may change.
    processor_span: Mutex<ProcessorSpan>,
    /// Changes its processor.
    pub(super) supervisor: SupervisorHandle,
    /// Held by whoever changes it.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// When the processor's clock began.
    pub(super) began: Instant,
    /// Ends its input when cancelled.
    pub(super) stop: CancellationToken,
}

impl Stream {
    /// Its processor, as `NAME@VERSION`.
    pub fn processor(&self) -> String {
        self.processor_span().processor.clone()
    }

    /// Its processor, and what the stream had counted before it.
    pub(super) fn processor_span(&self) -> MutexGuard<'_, ProcessorSpan> {
        self.processor_span.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has ended and released everything.
    pub fn is_over(&self) -> bool {
        self.meters.life.condition().borrow().phase.is_over()
    }

    /// Ends the stream, and waits until it has, within bounds.
    pub async fn stop(&self) {
        self.stop.cancel();
        let mut condition = self.meters.life.condition();
        // Its own deadline comes first.
        let _ =
            timeout(self.config.times.drain + RELEASE, condition.wait_for(|condition| condition.phase.is_over())).await;
    }
}

/// A host's health, in PyTrickle's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Streams run.
    Ok,
    /// None runs, and one is starting.
    Loading,
    /// None runs.
    Idle,
    /// Every processor that runs is in quarantine.
    Error,
}

/// The streams of a host.
pub struct Streams {
    host: Host,
    entries: Mutex<Entries>,
    /// What forgotten streams counted. Locked only while `entries` is, so that a stream is always in one of them.
    forgotten: Mutex<ByProcessor>,
    stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl Streams {
    /// A host without streams.
    pub fn new(host: Host) -> Self {
        Self {
            host,
            entries: Mutex::default(),
            forgotten: Mutex::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// What the streams share.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Starts a stream: it answers when the processor has started, before any network.
    pub async fn start(&self, request: StartRequest) -> Result<Arc<Stream>, StartRejected> {
        let id = match &request.id {
            Some(id) if !is_id(id) => return Err(StartRejected::Id),
            Some(id) => id.clone(),
            None => uuid::Uuid::new_v4().to_string(),
        };
        let reservation = self.reserve(&id, &request.urls)?;
        if let Some(allowed_urls) = &self.host.allowed_urls {
            channel_check::check(allowed_urls, &request.urls).await?;
        }
        let span = tracing::info_span!("stream", id);
        let stop = reservation.stop.clone();
        let launch = self.launch(id, request, stop.clone()).instrument(span);
        let stream = stop.run_until_cancelled(launch).await.ok_or(StartRejected::Stopped)??;
        reservation.fill(stream.clone());
        Ok(stream)
    }

    /// The stream of this id, running or remembered.
    pub fn get(&self, id: &str) -> Result<Arc<Stream>, UnknownStream> {
        let entries = self.lock();
        let stream = entries.get(id).and_then(Entry::stream);
        stream.cloned().ok_or_else(|| UnknownStream::Id(id.to_owned()))
    }

    /// Stops a stream, and waits until it has ended, within bounds. One whose processor is still starting is not started.
    pub async fn stop(&self, id: &str) -> Result<(), UnknownStream> {
        if let Some(Entry { state: EntryState::Starting { stop, .. }, .. }) = self.lock().get(id) {
            stop.cancel();
            return Ok(());
        }
        self.get(id)?.stop().await;
        Ok(())
    }

    /// Updates a stream's params. Once begun it goes on without whoever waits for it.
    pub async fn update_params(&self, stream: Arc<Stream>, update: Value) -> Result<(), UpdateRejected> {
        let span = tracing::info_span!("stream", id = stream.id);
        let updating = self.tasks.spawn(async move { stream.params.update(&update).await }.instrument(span));
        updating.await.unwrap_or(Err(UpdateRejected::Ended))
    }

    /// The only stream that runs.
    pub fn only(&self) -> Result<Arc<Stream>, UnknownStream> {
        let mut running: Vec<_> = self.list().into_iter().filter(|stream| !stream.is_over()).collect();
        match running.len() {
            0 => Err(UnknownStream::None),
            1 => Ok(running.remove(0)),
            _ => Err(UnknownStream::Several(running.iter().map(|stream| stream.id.clone()).collect())),
        }
    }

    /// The id of the only stream that runs or is starting.
    pub fn only_id(&self) -> Result<String, UnknownStream> {
        let entries = self.lock();
        let mut ids: Vec<_> =
            entries.iter().filter(|(_, entry)| !entry.is_over()).map(|(id, _)| id.to_owned()).collect();
        match ids.len() {
            0 => Err(UnknownStream::None),
            1 => Ok(ids.remove(0)),
            _ => Err(UnknownStream::Several(ids)),
        }
    }

    /// All streams, running and remembered, oldest first.
    pub fn list(&self) -> Vec<Arc<Stream>> {
        self.lock().streams()
    }

    /// What runs, and what has been counted.
    pub fn snapshot(&self) -> StreamsSnapshot {
        let entries = self.lock();
        let mut snapshot = StreamsSnapshot {
            starting: 0,
            running: Vec::new(),
            processors: self.forgotten.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        };
        for (_, entry) in entries.iter() {
            snapshot.starting += usize::from(entry.is_starting());
            if let Some(stream) = entry.stream() {
                snapshot.processors.add_present(stream);
                if !stream.is_over() {
                    snapshot.running.push(stream.clone());
                }
            }
        }
        snapshot
    }

    /// Ends all streams, and waits while they drain.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        // Their own deadline comes first.
        if timeout(self.host.times.drain + RELEASE, self.tasks.wait()).await.is_err() {
            tracing::warn!("streams were cut off: they did not end in time");
        }
    }

    /// How the host is, over all its streams.
    pub fn health(&self) -> Health {
        let entries = self.lock();
        let (mut starting, mut degraded) = (false, false);
        for (_, entry) in entries.iter() {
            match &entry.state {
                EntryState::Starting { .. } => starting = true,
                EntryState::Started(stream) => match stream.meters.life.condition().borrow().phase {
                    Phase::Ended | Phase::Failed => {}
                    Phase::Degraded => degraded = true,
                    Phase::Connecting | Phase::Online | Phase::Draining => return Health::Ok,
                },
            }
        }
        match (starting, degraded) {
            (true, _) => Health::Loading,
            (false, true) => Health::Error,
            (false, false) => Health::Idle,
        }
    }

    fn reserve(&self, id: &str, urls: &ChannelUrls) -> Result<Reservation<'_>, StartRejected> {
        let mut entries = self.lock();
        if entries.get(id).is_some_and(|entry| !entry.is_over()) {
            return Err(StartRejected::Busy(id.to_owned()));
        }
        if let Some((field, url, other)) = entries.shared_output(urls) {
            let (url, other) = (url.to_string(), other.to_owned());
            return Err(StartRejected::OutputTaken { field, url, other });
        }
        if entries.iter().filter(|(_, entry)| !entry.is_over()).count() >= self.host.max_streams {
            return Err(StartRejected::Full(self.host.max_streams));
        }
        for stream in entries.take_ended() {
            self.forget(&stream);
        }
        let stop = self.stop.child_token();
        entries.reserve(id, urls.clone(), stop.clone());
        Ok(Reservation { streams: self, id: id.to_owned(), stop, filled: false })
    }

    /// Keeps what a stream counted that is over and no longer among the entries, which are locked.
    fn forget(&self, stream: &Stream) {
        self.forgotten.lock().unwrap_or_else(PoisonError::into_inner).add_past(&stream.processor_span(), stream);
    }

    /// Notes that a stream has another processor: what it has counted stays the old one's.
    pub(super) fn hand_over(&self, stream: &Stream, to: &str) {
        let _entries = self.lock();
        let mut processor_span = stream.processor_span();
        if processor_span.processor != to {
            self.forgotten.lock().unwrap_or_else(PoisonError::into_inner).add_past(&processor_span, stream);
            *processor_span = ProcessorSpan::next(to.to_owned(), stream);
        }
    }

    async fn launch(
        &self,
        id: String,
        request: StartRequest,
        stop: CancellationToken,
    ) -> Result<Arc<Stream>, StartRejected> {
        let mut prepared = self.host.prepare(&id, request.processor.as_deref(), &request.params, Timing::Live).await?;
        let meters = Arc::new(Meters::new().with_http(prepared.http.clone()));
        let config = StreamConfig { urls: request.urls, times: self.host.times };
        let (channel_inputs, data) = ChannelInputs::open(&config.urls, &meters);
        prepared.pipeline.data = data;
        let processor_span = Mutex::new(ProcessorSpan::first(prepared.candidate.lease.id()));
        let pipeline = Pipeline::start(prepared.pipeline, &self.host.engine, prepared.candidate, &meters);
        let stream = Arc::new(Stream {
            id,
            processor_span,
            supervisor: pipeline.supervisor.clone(),
            turn: tokio::sync::Mutex::default(),
            began: prepared.began,
            started: SystemTime::now(),
            config,
            params: Arc::new(LiveParams::new(prepared.params, prepared.rules, &pipeline, meters.clone())),
            meters,
            stop,
        });
        self.spawn(stream.clone(), pipeline, channel_inputs);
        Ok(stream)
    }

    fn spawn(&self, stream: Arc<Stream>, pipeline: Pipeline, channel_inputs: ChannelInputs) {
        tracing::info!(processor = stream.processor(), subscribe = %stream.config.urls.subscribe, "stream started");
        let client = self.host.client.clone();
        let run = stream::run(stream, client, pipeline, channel_inputs).in_current_span();
        self.tasks.spawn(run);
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a stream can have this id. Two dots, or one, are no part of a path.
fn is_id(id: &str) -> bool {
    (1..=256).contains(&id.len()) && !id.chars().any(char::is_control) && !matches!(id, "." | "..")
}

/// An id that is taken until this is dropped, or for good once it is filled.
struct Reservation<'a> {
    streams: &'a Streams,
    id: String,
    stop: CancellationToken,
    filled: bool,
}

impl Reservation<'_> {
    fn fill(mut self, stream: Arc<Stream>) {
        let mut entries = self.streams.lock();
        if let Some(before) = entries.fill(&self.id, stream) {
            self.streams.forget(&before);
        }
        drop(entries);
        self.filled = true;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if !self.filled {
            self.streams.lock().release(&self.id);
        }
    }
}
