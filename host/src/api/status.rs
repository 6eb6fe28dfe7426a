//! A stream's status as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::session::{ByKind, ControlMeter, Done, FeedMeter, HttpMeter, Meters, Phase, Snapshot, Stream};

/// A stream at one moment.
#[derive(Serialize, ToSchema)]
pub struct Status {
    id: String,
    /// `CONNECTING`, `ONLINE`, `DEGRADED`, `DRAINING`, `ENDED` or `ERROR`.
    state: &'static str,
    /// Why it is over, once it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// `NAME@VERSION`.
    processor: String,
    /// In a list of streams `null` where they have more than 32 KiB.
    #[schema(value_type = Option<Object>)]
    #[serde(serialize_with = "shown")]
    params: Option<Arc<Map<String, Value>>>,
    subscribe_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    publish_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    control_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_url: Option<String>,
    /// Milliseconds since 1970.
    started_at: u64,
    /// Seconds from the start to now, or to the end.
    uptime_s: f64,
    input: Input,
    output: Output,
    latency_ms: Latency,
    /// As `latency_ms`, over the last 512 runs of samples.
    audio_latency_ms: Latency,
    /// Pictures dropped because they were late.
    frames_dropped: u64,
    /// Pictures that the processor withheld.
    frames_withheld: u64,
    /// Loading pictures in the place of others.
    frames_loading: u64,
    /// Pictures decoded without deblocking because the host was behind.
    frames_unfiltered: u64,
    /// Pictures encoded with less effort, so with more bits and a little less detail, because the host was behind.
    frames_eased: u64,
    /// Frames of either kind that passed by the processor to pay back an overrun, or since there was no instance of it.
    frames_skipped: u64,
    errors: Errors,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    guest: Guest,
    channels: Channels,
    events: Vec<Event>,
}

/// What came in.
#[derive(Serialize, ToSchema)]
struct Input {
    /// Pictures a second, over the last two.
    fps: f64,
    /// Pictures decoded and handed on.
    frames: u64,
    /// Bytes of MPEG-TS read.
    bytes: u64,
    /// Segments read.
    segments: u64,
    /// Segments that the server no longer had.
    segments_missed: u64,
    /// Pictures dropped to keep `max_framerate`.
    frames_thinned: u64,
    /// Transport packets that were broken or missing.
    bad_packets: u64,
    /// Access units that did not decode.
    bad_units: u64,
    /// Bytes that belonged to no packet.
    skipped_bytes: u64,
    /// Steps in time that made the decoders start anew.
    jumps: u64,
}

/// What went out.
#[derive(Serialize, ToSchema)]
struct Output {
    /// Pictures a second, over the last two.
    fps: f64,
    /// Pictures encoded.
    frames: u64,
    /// Runs of samples encoded.
    audio_frames: u64,
    /// Bytes of MPEG-TS made, whether the server took them or not.
    bytes: u64,
    /// Segments that the server took.
    segments: u64,
    /// Segments given up because the server did not take them in time.
    segments_skipped: u64,
    /// Further attempts to publish a segment.
    retries: u64,
    /// Pictures not encoded because their time was not after the last one's.
    frames_out_of_order: u64,
}

/// From bytes received to bytes encoded, over the last 512 pictures.
#[derive(Serialize, ToSchema)]
struct Latency {
    p50: f64,
    p95: f64,
    max: f64,
}

impl Latency {
    fn of(latency: [Duration; 3]) -> Self {
        let [p50, p95, max] = latency.map(millis);
        Self { p50, p95, max }
    }
}

/// Failures of the processor.
#[derive(Serialize, ToSchema)]
struct Errors {
    /// Errors that it returned.
    reported: u64,
    /// With those for want of memory.
    traps: u64,
    /// Calls that took too long.
    overruns: u64,
}

/// The processor at work.
#[derive(Serialize, ToSchema)]
struct Guest {
    time_ms: GuestTime,
    /// Of its instances together.
    memory_bytes: u64,
    /// Values and events that it sent.
    outputs: u64,
    overrun_ms: Overrun,
    refused: Refused,
    /// Operations on tensors that the host did for it, by kind, if there were any.
    tensors: BTreeMap<&'static str, Operations>,
    gpu: GuestGpu,
    http: Http,
}

/// What the processor has and does on the GPU.
#[derive(Serialize, ToSchema)]
struct GuestGpu {
    /// Of images and buffers, which count in its memory, too.
    memory_bytes: u64,
    /// By kind, if there were any: `color` between planes and pixels, `program` its shaders. Times are those of the GPU's own clock,
    /// and 0 where it has none.
    #[serde(flatten)]
    operations: BTreeMap<&'static str, Operations>,
}

/// Operations of one kind.
#[derive(Serialize, ToSchema)]
struct Operations {
    /// How many.
    count: u64,
    /// How long they took.
    ms: f64,
}

/// How long the last 512 overruns held up their frames.
#[derive(Serialize, ToSchema)]
struct Overrun {
    p50: f64,
    p99: f64,
    max: f64,
}

/// What was refused to the processor, because it asked for more than it may have.
#[derive(Serialize, ToSchema)]
struct Refused {
    /// Growths of memories and tables, and frames, tensors, images and buffers.
    memory: u64,
    /// Handles.
    handles: u64,
    /// Values and events.
    outputs: u64,
    /// Lines of the log.
    log_lines: u64,
    /// Operations on tensors that would have taken too long, and dispatches of shaders beyond what a frame may have.
    operations: u64,
}

/// Requests of the processor.
#[derive(Serialize, ToSchema)]
struct Http {
    /// Let through.
    requests: u64,
    /// Not let through: host, address, method, size or number.
    refused: u64,
    /// Requests that were let through and got no whole answer.
    failed: u64,
    /// Requests under way.
    in_flight: u64,
    /// Bytes of request bodies sent.
    bytes_sent: u64,
    /// Bytes of response bodies received.
    bytes_received: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_refusal: Option<String>,
}

impl From<&HttpMeter> for Http {
    fn from(meter: &HttpMeter) -> Self {
        Self {
            requests: meter.sent.get(),
            refused: meter.refused.get(),
            failed: meter.failed.get(),
            in_flight: meter.in_flight(),
            bytes_sent: meter.bytes_sent.get(),
            bytes_received: meter.bytes_received.get(),
            last_refusal: meter.last_refusal(),
        }
    }
}

/// Of one picture, over the last 512.
#[derive(Serialize, ToSchema)]
struct GuestTime {
    p50: f64,
    p99: f64,
}

/// The channels that the stream has besides input and output.
#[derive(Serialize, ToSchema)]
struct Channels {
    #[serde(skip_serializing_if = "Option::is_none")]
    control: Option<Control>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Feed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Feed>,
}

/// A channel that is read.
#[derive(Serialize, ToSchema)]
struct Control {
    /// Segments read.
    segments: u64,
    /// Segments that the server no longer had.
    skipped: u64,
    /// Messages taken as params.
    updates: u64,
    /// Messages refused.
    rejected: u64,
    /// Failed attempts to read the channel.
    failures: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

/// A channel that is written.
#[derive(Serialize, ToSchema)]
struct Feed {
    /// Segments that the server took.
    segments: u64,
    /// Segments given up.
    skipped: u64,
    /// Values or events that were never sent.
    dropped: u64,
    /// Failed attempts to write to the channel.
    failures: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

impl From<&ControlMeter> for Control {
    fn from(meter: &ControlMeter) -> Self {
        Self {
            segments: meter.segments.get(),
            skipped: meter.skipped.get(),
            updates: meter.updates.get(),
            rejected: meter.rejected.get(),
            failures: meter.failures.get(),
            last_error: meter.last_error.get(),
        }
    }
}

impl From<&FeedMeter> for Feed {
    fn from(meter: &FeedMeter) -> Self {
        Self {
            segments: meter.segments.get(),
            skipped: meter.skipped.get(),
            dropped: meter.dropped.get(),
            failures: meter.failures.get(),
            last_error: meter.last_error.get(),
        }
    }
}

/// Something that happened.
#[derive(Serialize, ToSchema)]
struct Event {
    /// Milliseconds since 1970.
    time: u64,
    #[serde(rename = "type")]
    kind: String,
    message: String,
}

impl Input {
    fn of(meters: &Meters, now: &Snapshot) -> Self {
        Self {
            fps: round(now.fps_in),
            frames: meters.frames.video_in.get(),
            bytes: now.input.bytes,
            segments: meters.segments.read.get(),
            segments_missed: meters.segments.missed.get(),
            frames_thinned: now.input.thinned_frames,
            bad_packets: now.input.bad_packets,
            bad_units: now.input.bad_units,
            skipped_bytes: now.input.skipped_bytes,
            jumps: now.input.jumps,
        }
    }
}

impl Output {
    fn of(meters: &Meters, now: &Snapshot) -> Self {
        Self {
            fps: round(now.fps_out),
            frames: meters.frames.video_out.get(),
            audio_frames: meters.frames.audio_out.get(),
            bytes: meters.segments.bytes_out.get(),
            segments: meters.segments.published.get(),
            segments_skipped: meters.segments.skipped.get(),
            retries: meters.segments.retries.get(),
            frames_out_of_order: meters.frames.out_of_order.get(),
        }
    }
}

impl Guest {
    fn of(meters: &Meters, now: &Snapshot) -> Self {
        let work = meters.guest.work.read();
        let [overrun_p50, overrun_p99, overrun_max] = now.overrun.map(millis);
        let [guest_p50, guest_p99] = now.guest_time.map(millis);
        Self {
            time_ms: GuestTime { p50: guest_p50, p99: guest_p99 },
            memory_bytes: meters.guest.memory.sum(),
            outputs: meters.guest.outputs.get(),
            overrun_ms: Overrun { p50: overrun_p50, p99: overrun_p99, max: overrun_max },
            refused: Refused {
                memory: meters.guest.refused.memory.get(),
                handles: meters.guest.refused.handles.get(),
                outputs: meters.guest.refused.outputs.get(),
                log_lines: meters.guest.refused.log_lines.get(),
                operations: meters.guest.refused.operations.get(),
            },
            tensors: done(&work.tensors),
            gpu: GuestGpu { memory_bytes: meters.guest.gpu_memory.sum(), operations: done(&work.gpu) },
            http: (&*meters.http).into(),
        }
    }
}

impl Channels {
    /// Those that the stream has.
    fn of(stream: &Stream) -> Self {
        let (meters, urls) = (&stream.meters.channels, &stream.config.urls);
        Self {
            control: urls.control.as_ref().map(|_| (&meters.control).into()),
            events: urls.events.as_ref().map(|_| (&meters.events).into()),
            data: urls.data.as_ref().map(|_| (&meters.data).into()),
        }
    }
}

/// Bytes of params at most that a stream in a list is shown with.
const MAX_LISTED: usize = 32 << 10;

fn shown<S: Serializer>(params: &Option<Arc<Map<String, Value>>>, serializer: S) -> Result<S::Ok, S::Error> {
    params.as_deref().serialize(serializer)
}

impl Status {
    /// The stream at this moment.
    pub fn of(stream: &Stream) -> Self {
        Self::with(stream, stream.params.shown().all.into())
    }

    /// The same as one of many, which are not to be too much together.
    pub fn listed(stream: &Stream) -> Self {
        let params = stream.params.shown();
        Self::with(stream, (params.bytes <= MAX_LISTED).then_some(params.all))
    }

    fn with(stream: &Stream, params: Option<Arc<Map<String, Value>>>) -> Self {
        let meters = &stream.meters;
        let urls = &stream.config.urls;
        let condition = meters.life.condition().borrow().clone();
        let now = meters.snapshot();
        let events = condition.events.into_iter().map(|event| Event {
            time: unix_millis(event.time),
            kind: event.kind,
            message: event.message,
        });
        Self {
            id: stream.id.clone(),
            state: state(condition.phase),
            reason: condition.reason,
            processor: stream.processor(),
            params,
            subscribe_url: urls.subscribe.to_string(),
            publish_url: urls.publish.as_ref().map(ToString::to_string),
            control_url: urls.control.as_ref().map(ToString::to_string),
            events_url: urls.events.as_ref().map(ToString::to_string),
            data_url: urls.data.as_ref().map(ToString::to_string),
            started_at: unix_millis(stream.started),
            uptime_s: round(now.uptime.as_secs_f64()),
            input: Input::of(meters, &now),
            output: Output::of(meters, &now),
            latency_ms: Latency::of(now.latency),
            audio_latency_ms: Latency::of(now.audio_latency),
            frames_dropped: meters.frames.dropped.get(),
            frames_withheld: meters.frames.withheld.get(),
            frames_loading: meters.frames.loading.get(),
            frames_unfiltered: meters.frames.unfiltered.get(),
            frames_eased: meters.frames.eased.get(),
            frames_skipped: meters.frames.skipped.get(),
            errors: Errors {
                reported: meters.guest.errors.get(),
                traps: meters.guest.traps.get(),
                overruns: meters.guest.overruns.get(),
            },
            last_error: condition.last_error,
            guest: Guest::of(meters, &now),
            channels: Channels::of(stream),
            events: events.collect(),
        }
    }
}

/// A phase's name.
pub fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::Connecting => "CONNECTING",
        Phase::Online => "ONLINE",
        Phase::Degraded => "DEGRADED",
        Phase::Draining => "DRAINING",
        Phase::Ended => "ENDED",
        Phase::Failed => "ERROR",
    }
}

/// What was done, by kind.
fn done(work: &ByKind) -> BTreeMap<&'static str, Operations> {
    let operations = |done: Done| Operations { count: done.operations, ms: millis(done.time) };
    work.iter().map(|(kind, done)| (kind.name(), operations(done))).collect()
}

fn millis(duration: Duration) -> f64 {
    round(duration.as_secs_f64() * 1e3)
}

fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn unix_millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
