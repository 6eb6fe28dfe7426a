//! Events as gateways and PyTrickle's users know them: names, fields, times in milliseconds since 1970.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use rillbox_trickle::ChannelUrl;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::session::channel_urls::ChannelUrls;
use crate::session::condition::Phase;
use crate::session::event::{StreamEvent, TimedEvent};
use crate::session::meters::Meters;
use crate::session::streams::Stream;

/// An input without frames for so long is degraded.
const INPUT_STALE: Duration = Duration::from_secs(5);

/// Params whose JSON is longer are left out of events.
const MAX_PARAMS: usize = 32 << 10;

/// Queue types, by which a gateway sorts events.
const TRACE: &str = "stream_trace";
const EVENTS: &str = "ai_stream_events";
const HEARTBEAT: &str = "stream_heartbeat";

/// What is the same in all events of a stream.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The stream's id.
    pub stream: String,
    /// `NAME@VERSION`.
    pub processor: String,
    /// When it started.
    pub started: SystemTime,
    /// Its channels.
    pub urls: Urls,
}

/// A stream's channels; empty where it has none.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Urls {
    pub subscribe: String,
    pub publish: String,
    pub control: String,
    pub events: String,
    pub data: String,
}

impl From<&ChannelUrls> for Urls {
    fn from(urls: &ChannelUrls) -> Self {
        let text = |url: &Option<ChannelUrl>| url.as_ref().map(ToString::to_string).unwrap_or_default();
        Self {
            subscribe: urls.subscribe.to_string(),
            publish: text(&urls.publish),
            control: text(&urls.control),
            events: text(&urls.events),
            data: text(&urls.data),
        }
    }
}

/// Makes events of what is told, and of what is counted.
pub struct Report {
    facts: Facts,
    meters: Arc<Meters>,
    params: LastParams,
    state: LastState,
    last_error: Option<(SystemTime, String)>,
    beat: LastBeat,
}

/// The state of the last status.
struct LastState {
    name: &'static str,
    since: SystemTime,
}

/// When the last heartbeat was, and how many runs of samples had come in and gone out by then.
struct LastBeat {
    at: Instant,
    audio_in: u64,
    audio_out: u64,
}

#[derive(Default)]
struct LastParams {
    updated: Option<SystemTime>,
    hash: String,
    /// Until they have been in a status.
    unreported: Option<Map<String, Value>>,
}

#[derive(Serialize)]
struct Envelope<T> {
    event: T,
    queue_event_type: &'static str,
}

/// What each event of the host has besides fields of its own.
#[derive(Serialize)]
struct Common<'a, T> {
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: u64,
    stream_id: &'a str,
    request_id: &'a str,
    #[serde(flatten)]
    fields: T,
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct ParamsUpdated<'a> {
    params: Option<&'a Map<String, Value>>,
}

#[derive(Serialize)]
struct ProcessorChanged<'a> {
    from: &'a str,
    to: &'a str,
}

#[derive(Serialize)]
struct Error<'a> {
    pipeline: &'a str,
    message: &'a str,
    time: u64,
    suppressed: u64,
}

#[derive(Serialize)]
struct Stopped<'a> {
    state: &'static str,
    reason: &'a str,
}

#[derive(Serialize)]
struct Status<'a> {
    pipeline: &'a str,
    state: &'static str,
    start_time: u64,
    last_state_update_time: u64,
    last_status_timestamp: u64,
    input_status: InputStatus,
    inference_status: InferenceStatus<'a>,
}

#[derive(Serialize)]
struct InputStatus {
    last_input_time: Option<u64>,
    fps: f64,
}

#[derive(Serialize)]
struct InferenceStatus<'a> {
    last_output_time: Option<u64>,
    fps: f64,
    last_params_update_time: Option<u64>,
    last_params: Option<Map<String, Value>>,
    last_params_hash: &'a str,
    last_error_time: Option<u64>,
    last_error: Option<&'a str>,
    last_restart_time: Option<u64>,
    /// Logs of instances are in the host's log.
    last_restart_logs: Option<Vec<String>>,
    restart_count: u64,
}

#[derive(Serialize)]
struct Heartbeat<'a> {
    urls: &'a Urls,
    dimensions: Dimensions,
    fps: FrameRates,
}

/// Of the last picture that went out; 0 before there is one.
#[derive(Serialize)]
struct Dimensions {
    width: u32,
    height: u32,
}

#[derive(Serialize)]
struct FrameRates {
    ingress_video_fps: f64,
    ingress_audio_fps: f64,
    egress_video_fps: f64,
    egress_audio_fps: f64,
}

impl Report {
    pub fn new(stream: &Stream) -> Self {
        let urls = Urls::from(&stream.config.urls);
        let facts = Facts { stream: stream.id.clone(), processor: stream.processor(), started: stream.started, urls };
        Self::of(facts, stream.meters.clone())
    }

    /// Of a stream of which this is known.
    pub fn of(facts: Facts, meters: Arc<Meters>) -> Self {
        let state = LastState { name: "LOADING", since: facts.started };
        let beat = LastBeat { at: Instant::now(), audio_in: 0, audio_out: 0 };
        Self { facts, meters, params: LastParams::default(), state, last_error: None, beat }
    }

    pub fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    /// What was told.
    pub fn event(&mut self, told: &TimedEvent) -> Bytes {
        let (what, time) = (&told.what, told.time);
        match what {
            StreamEvent::FirstSegmentReceived | StreamEvent::FirstSegmentSent => self.wrap(TRACE, told, Nothing {}),
            StreamEvent::ParamsUpdated(params) => {
                self.params.update(time, params);
                self.wrap(EVENTS, told, ParamsUpdated { params: self.params.unreported.as_ref() })
            }
            StreamEvent::ProcessorChanged { from, to } => {
                self.facts.processor.clone_from(to);
                self.wrap(EVENTS, told, ProcessorChanged { from, to })
            }
            StreamEvent::Error { message, suppressed } => {
                self.last_error = Some((time, message.clone()));
                let pipeline = self.facts.processor.as_str();
                self.wrap(EVENTS, told, Error { pipeline, message, time: millis(time), suppressed: *suppressed })
            }
            StreamEvent::Stopped { failed, reason } => {
                let state = if *failed { "ERROR" } else { "OFFLINE" };
                self.wrap(EVENTS, told, Stopped { state, reason })
            }
            // The host's own fields stand against the processor's of the same name.
            StreamEvent::Emitted(_, fields) => {
                let own = ["type", "timestamp", "stream_id", "request_id"];
                let others = |(key, _): &(&String, &Value)| !own.contains(&key.as_str());
                let fields: Map<_, _> =
                    fields.iter().filter(others).map(|(key, value)| (key.clone(), value.clone())).collect();
                self.wrap(EVENTS, told, fields)
            }
        }
    }

    /// How the stream is, in ai-runner's words.
    pub fn status(&mut self) -> Bytes {
        let now = SystemTime::now();
        let state = self.current_state(now);
        if state != self.state.name {
            self.state = LastState { name: state, since: now };
        }
        let figures = self.meters.snapshot();
        let last_params = self.params.unreported.take();
        let status = Status {
            pipeline: &self.facts.processor,
            state,
            start_time: millis(self.facts.started),
            last_state_update_time: millis(self.state.since),
            last_status_timestamp: millis(now),
            input_status: InputStatus {
                last_input_time: self.meters.inputs.last().map(millis),
                fps: round(figures.fps_in),
            },
            inference_status: InferenceStatus {
                last_output_time: self.meters.outputs.last().map(millis),
                fps: round(figures.fps_out),
                last_params_update_time: self.params.updated.map(millis),
                last_params,
                last_params_hash: &self.params.hash,
                last_error_time: self.last_error.as_ref().map(|(time, _)| millis(*time)),
                last_error: self.last_error.as_ref().map(|(_, message)| message.as_str()),
                last_restart_time: self.meters.guest.restarts.last().map(millis),
                last_restart_logs: None,
                restart_count: self.meters.guest.restarts.count(),
            },
        };
        self.common(EVENTS, "status", now, status)
    }

    /// A sign of life, in PyTrickle's words.
    pub fn heartbeat(&mut self) -> Bytes {
        let figures = self.meters.snapshot();
        let frames = &self.meters.frames;
        let beat = LastBeat { at: Instant::now(), audio_in: frames.audio_in.get(), audio_out: frames.audio_out.get() };
        let span = beat.at.duration_since(self.beat.at).as_secs_f64();
        let rate = |count: u64| if span > 0.0 { round(count as f64 / span) } else { 0.0 };
        let (width, height) = self.meters.picture_size.get();
        let heartbeat = Heartbeat {
            urls: &self.facts.urls,
            dimensions: Dimensions { width, height },
            fps: FrameRates {
                ingress_video_fps: round(figures.fps_in),
                ingress_audio_fps: rate(beat.audio_in.saturating_sub(self.beat.audio_in)),
                egress_video_fps: round(figures.fps_out),
                egress_audio_fps: rate(beat.audio_out.saturating_sub(self.beat.audio_out)),
            },
        };
        let event = self.common(HEARTBEAT, "heartbeat", SystemTime::now(), heartbeat);
        self.beat = beat;
        event
    }

    fn current_state(&self, now: SystemTime) -> &'static str {
        let stale = |since: SystemTime| now.duration_since(since).is_ok_and(|age| age > INPUT_STALE);
        match self.meters.life.condition().borrow().phase {
            Phase::Connecting => "LOADING",
            Phase::Failed => "ERROR",
            Phase::Ended => "OFFLINE",
            Phase::Degraded => "DEGRADED_INFERENCE",
            Phase::Online if self.meters.inputs.last().is_none_or(stale) => "DEGRADED_INPUT",
            Phase::Online | Phase::Draining => "ONLINE",
        }
    }

    fn wrap(&self, queue: &'static str, told: &TimedEvent, fields: impl Serialize) -> Bytes {
        self.common(queue, told.what.kind(), told.time, fields)
    }

    fn common(&self, queue: &'static str, kind: &str, time: SystemTime, fields: impl Serialize) -> Bytes {
        let (stream_id, request_id) = (self.facts.stream.as_str(), self.facts.stream.as_str());
        let event = Common { kind, timestamp: millis(time), stream_id, request_id, fields };
        // Maps with keys of text and plain numbers always have a JSON form.
        serde_json::to_vec(&Envelope { event, queue_event_type: queue }).unwrap_or_default().into()
    }
}

impl LastParams {
    fn update(&mut self, time: SystemTime, params: &Map<String, Value>) {
        let text = serde_json::to_string(params).unwrap_or_default();
        self.updated = Some(time);
        self.hash = HEXLOWER.encode(&Sha256::digest(&text));
        self.unreported = (text.len() <= MAX_PARAMS).then(|| params.clone());
    }
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
