//! What a stream measures of itself: counters that its stages write and a status reads, and its condition.

use std::sync::Arc;
use std::time::Duration;

use rillbox_media::InputStats;
use tokio::sync::watch;

use super::channels::ChannelMeters;
use super::condition::Life;
use super::guest_meters::GuestMeters;
use super::histogram::{GUEST_TIME, Histogram, LATENCY};
use super::window::{Moments, Window};
use crate::sandbox::{Counter, HttpMeter};

/// Counters of one stream, which its stages share. What a processor does is counted by each of its lanes, everything else by one stage.
#[derive(Debug)]
pub struct Meters {
    /// Its condition, and what is told of it.
    pub life: Life,
    /// Of the control, events and data channels.
    pub channels: ChannelMeters,
    /// Of the processor's requests.
    pub http: Arc<HttpMeter>,
    /// Of the processor.
    pub guest: GuestMeters,
    /// Of frames, from stage to stage.
    pub frames: FrameMeters,
    /// Of the input and the output.
    pub segments: SegmentMeters,
    /// The last picture encoded.
    pub picture_size: PictureSize,
    /// From bytes received to bytes encoded, of every picture.
    pub all_latencies: Histogram,
    /// The guest's time for every picture.
    pub all_guest_times: Histogram,
    /// Frames of either kind decoded.
    pub inputs: Moments,
    /// Frames of either kind encoded.
    pub outputs: Moments,
    input: watch::Sender<InputStats>,
    windows: Windows,
}

/// Counters of pictures and runs of samples.
#[derive(Debug, Default)]
pub struct FrameMeters {
    /// Pictures decoded and handed on.
    pub video_in: Counter,
    /// Pictures encoded.
    pub video_out: Counter,
    /// Runs of samples decoded and handed on.
    pub audio_in: Counter,
    /// Runs of samples encoded.
    pub audio_out: Counter,
    /// Pictures that were too old when their turn came.
    pub dropped: Counter,
    /// Pictures that the processor withheld.
    pub withheld: Counter,
    /// Loading pictures in the place of others.
    pub loading: Counter,
    /// Pictures decoded without deblocking because the host was behind.
    pub unfiltered: Counter,
    /// Pictures encoded with less effort because the host was behind.
    pub eased: Counter,
    /// Frames of either kind that passed by the processor to pay back an overrun, or since there was no instance of it.
    pub skipped: Counter,
    /// Pictures not encoded because they came too late to be in order.
    pub out_of_order: Counter,
}

/// Counters of what is read and published.
#[derive(Debug, Default)]
pub struct SegmentMeters {
    /// Segments read.
    pub read: Counter,
    /// Segments that the server had no more.
    pub missed: Counter,
    /// Segments that the server took.
    pub published: Counter,
    /// Segments given up because the server did not take them in time.
    pub skipped: Counter,
    /// Further attempts to publish a segment.
    pub retries: Counter,
    /// Bytes published.
    pub bytes_out: Counter,
}

/// Width and height of a picture, written and read together; 0 before there is one.
#[derive(Debug, Default)]
pub struct PictureSize(Counter);

impl PictureSize {
    /// Puts these in the place of the last ones.
    pub fn set(&self, width: u32, height: u32) {
        self.0.set(u64::from(width) << 32 | u64::from(height));
    }

    /// Width and height.
    pub fn get(&self) -> (u32, u32) {
        let both = self.0.get();
        ((both >> 32) as u32, both as u32)
    }
}

/// The last times of each kind.
#[derive(Debug, Default)]
struct Windows {
    /// Since the stream's start, as departures.
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
        Self {
            life: Life::new(),
            channels: ChannelMeters::default(),
            http: Arc::default(),
            guest: GuestMeters::default(),
            frames: FrameMeters::default(),
            segments: SegmentMeters::default(),
            picture_size: PictureSize::default(),
            all_latencies: Histogram::new(&LATENCY),
            all_guest_times: Histogram::new(&GUEST_TIME),
            inputs: Moments::default(),
            outputs: Moments::default(),
            input: watch::Sender::default(),
            windows: Windows::default(),
        }
    }

    /// Counts HTTP requests of the processor in `http`.
    pub fn with_http(self, http: Arc<HttpMeter>) -> Self {
        Self { http, ..self }
    }

    /// A picture was decoded.
    pub fn arrived(&self) {
        self.frames.video_in.add(1);
        self.windows.arrivals.push(self.life.age());
    }

    /// A picture was encoded, so long after its bytes arrived.
    pub fn departed(&self, latency: Duration) {
        self.frames.video_out.add(1);
        self.windows.departures.push(self.life.age());
        self.windows.latencies.push(latency);
        self.all_latencies.record(latency);
    }

    /// A run of samples was encoded, so long after its bytes arrived.
    pub fn audio_departed(&self, latency: Duration) {
        self.frames.audio_out.add(1);
        self.windows.audio_latencies.push(latency);
    }

    /// A frame was held up for so long by a call that was stopped.
    pub fn overrun(&self, time: Duration) {
        self.windows.overruns.push(time);
    }

    /// The guest took so long for a picture.
    pub fn guest_time(&self, time: Duration) {
        self.windows.guest_times.push(time);
        self.all_guest_times.record(time);
    }

    /// Notes what the input has counted so far.
    pub fn note_input(&self, stats: InputStats) {
        self.input.send_replace(stats);
    }

    /// What the input has counted so far.
    pub fn input_stats(&self) -> InputStats {
        *self.input.borrow()
    }

    /// Everything at this moment.
    pub fn snapshot(&self) -> Snapshot {
        let (windows, now) = (&self.windows, self.life.age());
        Snapshot {
            uptime: self.life.uptime(),
            input: self.input_stats(),
            fps_in: windows.arrivals.rate(now),
            fps_out: windows.departures.rate(now),
            latency: windows.latencies.percentiles([0.5, 0.95, 1.0]),
            audio_latency: windows.audio_latencies.percentiles([0.5, 0.95, 1.0]),
            guest_time: windows.guest_times.percentiles([0.5, 0.99]),
            overrun: windows.overruns.percentiles([0.5, 0.99, 1.0]),
        }
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
