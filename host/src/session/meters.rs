//! What a stream measures of itself: counters that its stages write and a status reads, and its condition.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rillbox_media::InputStats;
use tokio::sync::{broadcast, watch};

use super::channels::ChannelMeters;
use super::event::{ErrorLimits, Origin, StreamEvent, TimedEvent, clipped};
use super::histogram::{GUEST_TIME, Histogram, LATENCY};
use crate::sandbox::{ByKind, Counter, Done, HttpMeter, Kind, Refusals, Work};

/// Events that a condition remembers.
const EVENTS: usize = 32;

/// Events that wait for whoever listens; beyond it the oldest are lost to it.
const EVENT_QUEUE: usize = 256;

/// Values that a window keeps.
const WINDOW: usize = 512;

/// Time over which frame rates are counted.
const RATE_SPAN: Duration = Duration::from_secs(2);

/// Where a stream is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Started; no byte of input yet.
    Connecting,
    /// Frames flow.
    Online,
    /// Frames flow, but the processor is in quarantine: they pass through.
    Degraded,
    /// No more input; what is under way goes out.
    Draining,
    /// Over as it should be.
    Ended,
    /// Over for a reason that somebody should look at.
    Failed,
}

impl Phase {
    /// Whether everything has been released.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Ended | Self::Failed)
    }
}

/// Something that happened, for people and monitoring.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub time: SystemTime,
    /// Kind, such as `error` or `stream_stopped`.
    pub kind: String,
    /// What.
    pub message: String,
}

/// A stream's phase with why, and what happened lately.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Phase.
    pub phase: Phase,
    /// The processor is in quarantine: frames pass it by.
    pub quarantined: bool,
    /// Why it is over, once it is.
    pub reason: Option<String>,
    /// The processor's last error.
    pub last_error: Option<String>,
    /// The last events, oldest first.
    pub events: VecDeque<Event>,
}

/// Counters of one stream, which its stages share. What a processor does is counted by each of its lanes, everything else by one stage.
#[derive(Debug)]
pub struct Meters {
    started: Instant,
    ended: OnceLock<Instant>,
    condition: watch::Sender<Condition>,
    input: watch::Sender<InputStats>,
    told: broadcast::Sender<TimedEvent>,
    error_limits: Mutex<ErrorLimits>,
    /// Of the control, events and data channels.
    pub channels: ChannelMeters,
    /// Of the processor's requests.
    pub http: Arc<HttpMeter>,
    /// Pictures decoded and handed on.
    pub frames_in: Counter,
    /// Pictures encoded.
    pub frames_out: Counter,
    /// Pictures that were too old when their turn came.
    pub frames_dropped: Counter,
    /// Pictures that the processor withheld.
    pub frames_withheld: Counter,
    /// Loading pictures in the place of others.
    pub frames_loading: Counter,
    /// Pictures decoded without deblocking because the host was behind.
    pub frames_unfiltered: Counter,
    /// Pictures encoded with less effort because the host was behind.
    pub frames_eased: Counter,
    /// Frames of either kind that passed by the processor to pay back an overrun, or since there was no instance of it.
    pub frames_skipped: Counter,
    /// Pictures not encoded because they came too late to be in order.
    pub frames_out_of_order: Counter,
    /// Runs of samples decoded and handed on.
    pub audio_frames_in: Counter,
    /// Runs of samples encoded.
    pub audio_frames_out: Counter,
    /// Width and height of the last picture encoded, 32 bits each.
    pub picture_size: Counter,
    /// Segments read.
    pub segments_in: Counter,
    /// Segments that the server had no more.
    pub segments_missed: Counter,
    /// Segments that the server took.
    pub segments_out: Counter,
    /// Segments given up because the server did not take them in time.
    pub segments_skipped: Counter,
    /// Further attempts to publish a segment.
    pub publish_retries: Counter,
    /// Bytes published.
    pub bytes_out: Counter,
    /// Errors that the processor reported.
    pub guest_errors: Counter,
    /// Traps, with those for want of memory.
    pub guest_traps: Counter,
    /// Calls that took too long.
    pub guest_overruns: Counter,
    /// Instances made in the place of broken ones.
    pub guest_restarts: Moments,
    /// Bytes of the processor's instances: of the first, and of the one that has sound to itself where there are two.
    pub guest_memory: [Counter; 2],
    /// Of these, bytes on the GPU.
    pub guest_gpu_memory: [Counter; 2],
    /// Values and events that the processor sent.
    pub guest_outputs: Counter,
    /// What was refused to the processor.
    pub guest_refused: Refused,
    /// What the host did for the processor.
    pub guest_work: WorkMeter,
    /// From bytes received to bytes encoded, of every picture.
    pub all_latencies: Histogram,
    /// The guest's time for every picture.
    pub all_guest_times: Histogram,
    /// Frames of either kind decoded.
    pub inputs: Moments,
    /// Frames of either kind encoded.
    pub outputs: Moments,
    arrivals: Window,
    departures: Window,
    latencies: Window,
    audio_latencies: Window,
    guest_times: Window,
    overruns: Window,
}

impl Meters {
    /// Counters of a stream that starts now.
    pub fn new() -> Self {
        let condition = Condition {
            phase: Phase::Connecting,
            quarantined: false,
            reason: None,
            last_error: None,
            events: VecDeque::new(),
        };
        Self {
            started: Instant::now(),
            ended: OnceLock::new(),
            condition: watch::Sender::new(condition),
            input: watch::Sender::default(),
            told: broadcast::Sender::new(EVENT_QUEUE),
            error_limits: Mutex::default(),
            channels: ChannelMeters::default(),
            http: Arc::default(),
            frames_in: Counter::default(),
            frames_out: Counter::default(),
            frames_dropped: Counter::default(),
            frames_withheld: Counter::default(),
            frames_loading: Counter::default(),
            frames_unfiltered: Counter::default(),
            frames_eased: Counter::default(),
            frames_skipped: Counter::default(),
            frames_out_of_order: Counter::default(),
            audio_frames_in: Counter::default(),
            audio_frames_out: Counter::default(),
            picture_size: Counter::default(),
            segments_in: Counter::default(),
            segments_missed: Counter::default(),
            segments_out: Counter::default(),
            segments_skipped: Counter::default(),
            publish_retries: Counter::default(),
            bytes_out: Counter::default(),
            guest_errors: Counter::default(),
            guest_traps: Counter::default(),
            guest_overruns: Counter::default(),
            guest_restarts: Moments::default(),
            guest_memory: Default::default(),
            guest_gpu_memory: Default::default(),
            guest_outputs: Counter::default(),
            guest_refused: Refused::default(),
            guest_work: WorkMeter::default(),
            all_latencies: Histogram::new(&LATENCY),
            all_guest_times: Histogram::new(&GUEST_TIME),
            inputs: Moments::default(),
            outputs: Moments::default(),
            arrivals: Window::default(),
            departures: Window::default(),
            latencies: Window::default(),
            audio_latencies: Window::default(),
            guest_times: Window::default(),
            overruns: Window::default(),
        }
    }

    /// These, with a processor's requests among them.
    pub fn with_http(self, http: Arc<HttpMeter>) -> Self {
        Self { http, ..self }
    }

    /// The condition, and every change of it.
    pub fn condition(&self) -> watch::Receiver<Condition> {
        self.condition.subscribe()
    }

    /// Moves to a phase, unless the stream is over.
    pub fn enter(&self, phase: Phase) {
        self.condition.send_if_modified(|condition| {
            let moves = !condition.phase.is_over() && condition.phase != phase;
            if moves {
                condition.phase = phase;
            }
            moves
        });
    }

    /// Frames come.
    pub fn online(&self) {
        self.condition.send_if_modified(|condition| {
            let moves = condition.phase == Phase::Connecting;
            if moves {
                condition.phase = if condition.quarantined { Phase::Degraded } else { Phase::Online };
            }
            moves
        });
    }

    /// Whether the processor is in quarantine from now on.
    pub fn quarantine(&self, quarantined: bool) {
        self.condition.send_modify(|condition| {
            condition.quarantined = quarantined;
            condition.phase = match condition.phase {
                Phase::Online | Phase::Degraded if quarantined => Phase::Degraded,
                Phase::Degraded => Phase::Online,
                other => other,
            };
        });
    }

    /// Ends the stream's life, with the reason, which [`StreamEvent::Stopped`] has told before.
    pub fn end(&self, phase: Phase, reason: String) {
        // A second end would change nothing.
        let _ = self.ended.set(Instant::now());
        self.condition.send_modify(|condition| {
            condition.phase = phase;
            condition.reason = Some(reason);
        });
    }

    /// When it ended, if it has.
    pub fn ended(&self) -> Option<Instant> {
        self.ended.get().copied()
    }

    /// Everything that is told from now on.
    pub fn listen(&self) -> broadcast::Receiver<TimedEvent> {
        self.told.subscribe()
    }

    /// Tells what happens; the host's own events are also remembered.
    pub fn emit(&self, what: StreamEvent) {
        let time = SystemTime::now();
        if !matches!(what, StreamEvent::Emitted(..)) {
            let event = Event { time, kind: what.kind().to_owned(), message: what.message() };
            self.condition.send_modify(|condition| {
                if condition.events.len() >= EVENTS {
                    condition.events.pop_front();
                }
                condition.events.push_back(event);
            });
        }
        // Nobody may listen.
        let _ = self.told.send(TimedEvent { time, what });
    }

    /// Tells of an error, unless one of the same origin was told a moment ago.
    pub fn error(&self, origin: Origin, message: String) {
        let passed = self.error_limits.lock().unwrap_or_else(PoisonError::into_inner).pass(origin);
        if let Some(suppressed) = passed {
            self.emit(StreamEvent::Error { message: clipped(message), suppressed });
        }
    }

    /// Notes the processor's last error.
    pub fn guest_error(&self, message: String) {
        self.condition.send_modify(|condition| condition.last_error = Some(message));
    }

    /// A picture was decoded.
    pub fn arrived(&self) {
        self.frames_in.add(1);
        self.arrivals.push(self.now());
    }

    /// A picture was encoded, so long after its bytes arrived.
    pub fn departed(&self, latency: Duration) {
        self.frames_out.add(1);
        self.departures.push(self.now());
        self.latencies.push(latency.as_micros() as u64);
        self.all_latencies.record(latency);
    }

    /// A run of samples was encoded, so long after its bytes arrived.
    pub fn audio_departed(&self, latency: Duration) {
        self.audio_frames_out.add(1);
        self.audio_latencies.push(latency.as_micros() as u64);
    }

    /// A frame was held up for so long by a call that was stopped.
    pub fn overrun(&self, time: Duration) {
        self.overruns.push(time.as_micros() as u64);
    }

    /// The guest took so long for a picture.
    pub fn guest_time(&self, time: Duration) {
        self.guest_times.push(time.as_micros() as u64);
        self.all_guest_times.record(time);
    }

    /// Bytes of all of the processor's instances.
    pub fn guest_memory(&self) -> u64 {
        self.guest_memory.iter().map(Counter::get).sum()
    }

    /// Of these, bytes on the GPU.
    pub fn guest_gpu_memory(&self) -> u64 {
        self.guest_gpu_memory.iter().map(Counter::get).sum()
    }

    /// What the input counted.
    pub fn input(&self, stats: InputStats) {
        self.input.send_replace(stats);
    }

    /// What the input has counted so far.
    pub fn input_stats(&self) -> InputStats {
        *self.input.borrow()
    }

    /// From the start to now, or to the end.
    pub fn uptime(&self) -> Duration {
        self.ended.get().map_or_else(|| self.started.elapsed(), |ended| ended.duration_since(self.started))
    }

    /// Everything at this moment.
    pub fn snapshot(&self) -> Snapshot {
        let latencies = self.latencies.sorted();
        let audio_latencies = self.audio_latencies.sorted();
        let guest_times = self.guest_times.sorted();
        let overruns = self.overruns.sorted();
        Snapshot {
            uptime: self.uptime(),
            input: self.input_stats(),
            fps_in: self.rate(&self.arrivals),
            fps_out: self.rate(&self.departures),
            latency: [0.5, 0.95, 1.0].map(|share| percentile(&latencies, share)),
            audio_latency: [0.5, 0.95, 1.0].map(|share| percentile(&audio_latencies, share)),
            guest_time: [0.5, 0.99].map(|share| percentile(&guest_times, share)),
            overrun: [0.5, 0.99, 1.0].map(|share| percentile(&overruns, share)),
        }
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    fn rate(&self, times: &Window) -> f64 {
        let span = RATE_SPAN.min(self.started.elapsed()).as_micros() as u64;
        let since = self.now().saturating_sub(span);
        let recent = times.sorted().into_iter().filter(|time| *time >= since).count();
        if span == 0 { 0.0 } else { recent as f64 * 1e6 / span as f64 }
    }
}

impl Default for Meters {
    fn default() -> Self {
        Self::new()
    }
}

/// Figures that are computed when they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot {
    /// From the start to now, or to the end.
    pub uptime: Duration,
    /// Of the input.
    pub input: InputStats,
    /// Pictures decoded a second, over the last two.
    pub fps_in: f64,
    /// Pictures encoded a second, over the last two.
    pub fps_out: f64,
    /// Median, 95th percentile and largest of the last pictures, from bytes received to bytes encoded.
    pub latency: [Duration; 3],
    /// As `latency`, of the last runs of samples.
    pub audio_latency: [Duration; 3],
    /// Median and 99th percentile of the guest's last pictures.
    pub guest_time: [Duration; 2],
    /// Median, 99th percentile and largest of the times that the last overruns held up a frame.
    pub overrun: [Duration; 3],
}

/// What was refused to a processor, because it asked for more than it may have.
#[derive(Debug, Default)]
pub struct Refused {
    /// Growths of memories and tables, and frames, tensors, images and buffers.
    pub memory: Counter,
    /// Handles.
    pub handles: Counter,
    /// Values and events.
    pub outputs: Counter,
    /// Lines of the log.
    pub log_lines: Counter,
    /// Operations on tensors, and dispatches of shaders.
    pub operations: Counter,
}

impl Refused {
    /// Counts these, too.
    pub fn add(&self, more: Refusals) {
        self.memory.add(more.memory);
        self.handles.add(more.handles);
        self.outputs.add(more.outputs);
        self.log_lines.add(more.log_lines);
        self.operations.add(more.operations);
    }

    /// All of them.
    pub fn sum(&self) -> u64 {
        [&self.memory, &self.handles, &self.outputs, &self.log_lines, &self.operations].map(Counter::get).iter().sum()
    }
}

/// Operations of every kind, and their nanoseconds.
#[derive(Debug, Default)]
struct ByKindMeter([(Counter, Counter); Kind::ALL.len()]);

impl ByKindMeter {
    fn add(&self, more: &ByKind) {
        for ((operations, nanoseconds), more) in self.0.iter().zip(&more.0) {
            operations.add(more.operations);
            nanoseconds.add(more.time.as_nanos() as u64);
        }
    }

    fn read(&self) -> ByKind {
        let read = |(operations, nanoseconds): &(Counter, Counter)| Done {
            operations: operations.get(),
            time: Duration::from_nanos(nanoseconds.get()),
        };
        ByKind(self.0.each_ref().map(read))
    }
}

/// What the host did for processors.
#[derive(Debug, Default)]
pub struct WorkMeter {
    tensors: ByKindMeter,
    gpu: ByKindMeter,
}

impl WorkMeter {
    /// Counts these, too.
    pub fn add(&self, more: &Work) {
        self.tensors.add(&more.tensors);
        self.gpu.add(&more.gpu);
    }

    /// All that was counted.
    pub fn read(&self) -> Work {
        Work { tensors: self.tensors.read(), gpu: self.gpu.read() }
    }
}

/// Something that happens again and again: how often, and when last.
#[derive(Debug, Default)]
pub struct Moments {
    count: Counter,
    last: watch::Sender<Option<SystemTime>>,
}

impl Moments {
    /// It happens now.
    pub fn mark(&self) {
        self.count.add(1);
        self.last.send_replace(Some(SystemTime::now()));
    }

    /// How often it has happened.
    pub fn count(&self) -> u64 {
        self.count.get()
    }

    /// When it happened last.
    pub fn last(&self) -> Option<SystemTime> {
        *self.last.borrow()
    }
}

/// The last values of a series.
#[derive(Debug)]
struct Window {
    values: Box<[AtomicU64]>,
    written: AtomicUsize,
}

impl Default for Window {
    fn default() -> Self {
        Self { values: (0..WINDOW).map(|_| AtomicU64::new(0)).collect(), written: AtomicUsize::new(0) }
    }
}

impl Window {
    fn push(&self, value: u64) {
        let at = self.written.fetch_add(1, Relaxed);
        self.values[at % WINDOW].store(value, Relaxed);
    }

    fn sorted(&self) -> Vec<u64> {
        let length = self.written.load(Relaxed).min(WINDOW);
        let mut values: Vec<u64> = self.values[..length].iter().map(|value| value.load(Relaxed)).collect();
        values.sort_unstable();
        values
    }
}

/// The value that `share` of the sorted values do not exceed, taken as microseconds; 0 of none.
fn percentile(sorted: &[u64], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * share).round() as usize;
    Duration::from_micros(sorted.get(at).copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_window_that_has_wrapped() {
        let window = Window::default();
        (0..WINDOW as u64 + 101).for_each(|value| window.push(value));
        let sorted = window.sorted();
        assert_eq!(percentile(&sorted, 0.0), Duration::from_micros(101));
        assert_eq!(percentile(&sorted, 1.0), Duration::from_micros(WINDOW as u64 + 100));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn a_stream_that_is_over_stays_over() {
        let meters = Meters::new();
        meters.end(Phase::Ended, "stopped".to_owned());
        meters.enter(Phase::Online);
        meters.online();
        assert_eq!(meters.condition().borrow().phase, Phase::Ended);
    }
}
