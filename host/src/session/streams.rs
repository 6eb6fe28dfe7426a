//! All streams of a host, by id.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rillbox_trickle::ChannelUrl;
use serde_json::Value;
use thiserror::Error;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::channel_check;
use super::channels::{ChannelInputs, LAST_WORDS};
use super::condition::Phase;
use super::host::{Host, StartRejected};
use super::live_params::{LiveParams, UpdateRejected};
use super::meters::Meters;
use super::pipeline::Pipeline;
use super::processor::SupervisorHandle;
use super::stream::{self, StreamConfig};
use super::timing::Timing;
use super::totals::{ByProcessor, ProcessorSpan, StreamsSnapshot};

/// Ended streams whose status can still be asked for.
const REMEMBERED: usize = 64;

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
    /// Input.
    pub subscribe: ChannelUrl,
    /// Output.
    pub publish: Option<ChannelUrl>,
    /// Where updates of params come from.
    pub control: Option<ChannelUrl>,
    /// Where events go.
    pub events: Option<ChannelUrl>,
    /// Where data goes.
    pub data: Option<ChannelUrl>,
}

impl StartRequest {
    /// All channels that it names, by the names of their fields.
    pub fn channels(&self) -> impl Iterator<Item = (&'static str, &ChannelUrl)> {
        let channels = [
            ("subscribe_url", Some(&self.subscribe)),
            ("publish_url", self.publish.as_ref()),
            ("control_url", self.control.as_ref()),
            ("events_url", self.events.as_ref()),
            ("data_url", self.data.as_ref()),
        ];
        channels.into_iter().filter_map(|(field, url)| Some((field, url?)))
    }
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
    /// Its channels.
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

enum Entry {
    /// Its id is taken while the processor starts.
    Starting {
        /// Cancelled, it is not started.
        stop: CancellationToken,
        /// One that has ended, and is remembered until the new one is there.
        before: Option<Arc<Stream>>,
    },
    Started(Arc<Stream>),
}

impl Entry {
    /// What there is to tell of.
    fn stream(&self) -> Option<&Arc<Stream>> {
        match self {
            Self::Starting { before, .. } => before.as_ref(),
            Self::Started(stream) => Some(stream),
        }
    }
}

/// The streams of a host.
pub struct Streams {
    host: Host,
    /// In the order of their starts.
    entries: Mutex<HashMap<String, (u64, Entry)>>,
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
        let reservation = self.reserve(&id)?;
        if let Some(allowed) = &self.host.places {
            channel_check::check(allowed, &request).await?;
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
        let stream = entries.get(id).and_then(|(_, entry)| entry.stream());
        stream.cloned().ok_or_else(|| UnknownStream::Id(id.to_owned()))
    }

    /// Stops a stream, and waits until it has ended, within bounds. One whose processor is still starting is not started.
    pub async fn stop(&self, id: &str) -> Result<(), UnknownStream> {
        if let Some((_, Entry::Starting { stop, .. })) = self.lock().get(id) {
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
        let starting = |entry: &Entry| matches!(entry, Entry::Starting { .. });
        let lives = |entry: &Entry| starting(entry) || entry.stream().is_some_and(|stream| !stream.is_over());
        let entries = self.lock();
        let mut ids: Vec<_> = entries.iter().filter(|(_, (_, entry))| lives(entry)).map(|(id, _)| id.clone()).collect();
        match ids.len() {
            0 => Err(UnknownStream::None),
            1 => Ok(ids.remove(0)),
            _ => Err(UnknownStream::Several(ids)),
        }
    }

    /// All streams, running and remembered, oldest first.
    pub fn list(&self) -> Vec<Arc<Stream>> {
        let entries = self.lock();
        let mut streams: Vec<_> =
            entries.values().filter_map(|(order, entry)| Some((*order, entry.stream()?.clone()))).collect();
        streams.sort_by_key(|(order, _)| *order);
        streams.into_iter().map(|(_, stream)| stream).collect()
    }

    /// What runs, and what has been counted.
    pub fn snapshot(&self) -> StreamsSnapshot {
        let entries = self.lock();
        let mut snapshot = StreamsSnapshot {
            starting: 0,
            running: Vec::new(),
            processors: self.forgotten.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        };
        for (_, entry) in entries.values() {
            snapshot.starting += usize::from(matches!(entry, Entry::Starting { .. }));
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
        for (_, entry) in entries.values() {
            match entry {
                Entry::Starting { .. } => starting = true,
                Entry::Started(stream) => match stream.meters.life.condition().borrow().phase {
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

    fn reserve(&self, id: &str) -> Result<Reservation<'_>, StartRejected> {
        let mut entries = self.lock();
        let over = |entry: &Entry| matches!(entry, Entry::Started(stream) if stream.is_over());
        if entries.get(id).is_some_and(|(_, entry)| !over(entry)) {
            return Err(StartRejected::Busy(id.to_owned()));
        }
        if entries.values().filter(|(_, entry)| !over(entry)).count() >= self.host.max_streams {
            return Err(StartRejected::Full(self.host.max_streams));
        }
        // Those that ended first go first, however long ago they started.
        let mut ended: Vec<_> = entries
            .iter()
            .filter_map(|(id, (_, entry))| match entry {
                Entry::Started(stream) => Some((stream.meters.life.ended()?, id.clone())),
                Entry::Starting { .. } => None,
            })
            .collect();
        ended.sort();
        for (_, id) in ended.iter().take(ended.len().saturating_sub(REMEMBERED)) {
            self.forget(entries.remove(id));
        }
        let order = entries.values().map(|(order, _)| order + 1).max().unwrap_or(0);
        let stop = self.stop.child_token();
        let before = entries.remove(id).and_then(|(_, entry)| entry.stream().cloned());
        entries.insert(id.to_owned(), (order, Entry::Starting { stop: stop.clone(), before }));
        Ok(Reservation { streams: self, id: id.to_owned(), stop, filled: false })
    }

    /// Keeps what a stream counted that is over and no longer among the entries, which are locked.
    fn forget(&self, entry: Option<(u64, Entry)>) {
        if let Some(stream) = entry.as_ref().and_then(|(_, entry)| entry.stream()) {
            self.forgotten.lock().unwrap_or_else(PoisonError::into_inner).add_past(&stream.processor_span(), stream);
        }
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
        let config = StreamConfig {
            subscribe: request.subscribe,
            publish: request.publish,
            control: request.control,
            events: request.events,
            data: request.data,
            times: self.host.times,
        };
        let (channel_inputs, data) = ChannelInputs::open(&config, &meters);
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
        tracing::info!(processor = stream.processor(), subscribe = %stream.config.subscribe, "stream started");
        let client = self.host.client.clone();
        let run = stream::run(stream, client, pipeline, channel_inputs).in_current_span();
        self.tasks.spawn(run);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (u64, Entry)>> {
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
        if let Some((order, _)) = entries.get(&self.id) {
            let started = (*order, Entry::Started(stream));
            let before = entries.insert(self.id.clone(), started);
            self.streams.forget(before);
        }
        drop(entries);
        self.filled = true;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if self.filled {
            return;
        }
        let mut entries = self.streams.lock();
        if let Some((order, Entry::Starting { before: Some(stream), .. })) = entries.remove(&self.id) {
            entries.insert(self.id.clone(), (order, Entry::Started(stream)));
        }
    }
}
