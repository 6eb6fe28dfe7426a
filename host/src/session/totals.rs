//! What streams have counted, added up: of one stream, and of all that a processor had, running and over.

use std::collections::BTreeMap;
use std::sync::Arc;

use rillbox_media::InputStats;

use super::condition::Phase;
use super::histogram::{Distribution, GUEST_TIME, LATENCY};
use super::meters::Meters;
use super::streams::Stream;
use crate::sandbox::Work;

/// Processors whose past is kept apart; that of further ones is counted together.
const PROCESSORS: usize = 256;

/// The name under which the past of further processors is counted.
const OTHERS: &str = "others";

/// Something that streams count, and that never falls.
pub struct Count {
    /// What is counted, as a metric is named.
    pub name: &'static str,
    /// The same in a sentence.
    pub help: &'static str,
    read: fn(&Meters, &InputStats) -> u64,
}

/// Everything that streams count.
#[rustfmt::skip]
pub const COUNTS: [Count; 42] = [
    Count { name: "input_bytes", help: "Bytes of MPEG-TS read.", read: |_, input| input.bytes },
    Count { name: "input_segments", help: "Segments read.", read: |meters, _| meters.segments.read.get() },
    Count { name: "input_segments_missed", help: "Segments that the server had no more.", read: |meters, _| meters.segments.missed.get() },
    Count { name: "input_bad_packets", help: "Transport packets that were broken or missing.", read: |_, input| input.bad_packets },
    Count { name: "input_bad_units", help: "Access units that did not decode.", read: |_, input| input.bad_units },
    Count { name: "input_jumps", help: "Steps in time that made the decoders start anew.", read: |_, input| input.jumps },
    Count { name: "input_frames", help: "Pictures decoded and handed on.", read: |meters, _| meters.frames.video_in.get() },
    Count { name: "frames_thinned", help: "Pictures dropped to keep max_framerate.", read: |_, input| input.thinned_frames },
    Count { name: "frames_dropped", help: "Pictures dropped because they were late.", read: |meters, _| meters.frames.dropped.get() },
    Count { name: "frames_withheld", help: "Pictures that the processor withheld.", read: |meters, _| meters.frames.withheld.get() },
    Count { name: "frames_loading", help: "Loading pictures in the place of others.", read: |meters, _| meters.frames.loading.get() },
    Count { name: "frames_unfiltered", help: "Pictures decoded without deblocking because the host was behind.", read: |meters, _| meters.frames.unfiltered.get() },
    Count { name: "frames_eased", help: "Pictures encoded with less effort because the host was behind.", read: |meters, _| meters.frames.eased.get() },
    Count { name: "frames_skipped", help: "Frames that passed by the processor: to pay back an overrun, or since there was no instance of it.", read: |meters, _| meters.frames.skipped.get() },
    Count { name: "frames_out_of_order", help: "Pictures not encoded because their time was not after the last one's.", read: |meters, _| meters.frames.out_of_order.get() },
    Count { name: "output_frames", help: "Pictures encoded.", read: |meters, _| meters.frames.video_out.get() },
    Count { name: "output_audio_frames", help: "Runs of samples encoded.", read: |meters, _| meters.frames.audio_out.get() },
    Count { name: "output_bytes", help: "Bytes of MPEG-TS made, whether a server took them or not.", read: |meters, _| meters.segments.bytes_out.get() },
    Count { name: "output_segments", help: "Segments that the server took.", read: |meters, _| meters.segments.published.get() },
    Count { name: "output_segments_skipped", help: "Segments given up because the server did not take them in time.", read: |meters, _| meters.segments.skipped.get() },
    Count { name: "publish_retries", help: "Further attempts to publish a segment.", read: |meters, _| meters.segments.retries.get() },
    Count { name: "guest_errors", help: "Errors that the processor reported.", read: |meters, _| meters.guest.errors.get() },
    Count { name: "guest_traps", help: "Traps of the processor, with those for want of memory.", read: |meters, _| meters.guest.traps.get() },
    Count { name: "guest_overruns", help: "Calls of the processor that took too long.", read: |meters, _| meters.guest.overruns.get() },
    Count { name: "guest_outputs", help: "Values and events that the processor sent.", read: |meters, _| meters.guest.outputs.get() },
    Count { name: "guest_refusals", help: "Memory, handles, output, log lines and operations refused to the processor.", read: |meters, _| meters.guest.refused.sum() },
    Count { name: "guest_http_requests", help: "Requests of the processor that were let through.", read: |meters, _| meters.http.sent.get() },
    Count { name: "guest_http_refused", help: "Requests of the processor that were refused.", read: |meters, _| meters.http.refused.get() },
    Count { name: "guest_http_failed", help: "Requests of the processor that got no whole answer.", read: |meters, _| meters.http.failed.get() },
    Count { name: "control_segments", help: "Segments of the control channel read.", read: |meters, _| meters.channels.control.segments.get() },
    Count { name: "control_segments_skipped", help: "Segments of the control channel that the server had no more.", read: |meters, _| meters.channels.control.skipped.get() },
    Count { name: "control_updates", help: "Messages of the control channel taken as params.", read: |meters, _| meters.channels.control.updates.get() },
    Count { name: "control_rejected", help: "Messages of the control channel refused.", read: |meters, _| meters.channels.control.rejected.get() },
    Count { name: "control_failures", help: "Attempts to read the control channel that failed.", read: |meters, _| meters.channels.control.failures.get() },
    Count { name: "events_segments", help: "Segments of the events channel that the server took.", read: |meters, _| meters.channels.events.segments.get() },
    Count { name: "events_segments_skipped", help: "Segments of the events channel given up because the server did not take them.", read: |meters, _| meters.channels.events.skipped.get() },
    Count { name: "events_dropped", help: "Events for the events channel that were never sent.", read: |meters, _| meters.channels.events.dropped.get() },
    Count { name: "events_failures", help: "Attempts to publish to the events channel that failed.", read: |meters, _| meters.channels.events.failures.get() },
    Count { name: "data_segments", help: "Segments of the data channel that the server took.", read: |meters, _| meters.channels.data.segments.get() },
    Count { name: "data_segments_skipped", help: "Segments of the data channel given up because the server did not take them.", read: |meters, _| meters.channels.data.skipped.get() },
    Count { name: "data_dropped", help: "Values for the data channel that were never sent.", read: |meters, _| meters.channels.data.dropped.get() },
    Count { name: "data_failures", help: "Attempts to publish to the data channel that failed.", read: |meters, _| meters.channels.data.failures.get() },
];

/// The counts of one stream, or of many.
#[derive(Clone, Debug)]
pub struct Totals {
    /// Streams that were started.
    pub started: u64,
    /// Streams that are over, as they should be.
    pub ended: u64,
    /// Streams that are over for a reason that somebody should look at.
    pub failed: u64,
    /// In the order of [`COUNTS`].
    pub counts: [u64; COUNTS.len()],
    /// From bytes received to bytes encoded, of each picture.
    pub latency: Distribution,
    /// The guest's time for each picture.
    pub guest_time: Distribution,
    /// What the host did for the processor.
    pub guest_work: Work,
}

impl Totals {
    /// What a stream has counted so far.
    pub fn of(meters: &Meters) -> Self {
        let (input, phase) = (meters.input_stats(), meters.life.condition().borrow().phase);
        Self {
            started: 1,
            ended: (phase == Phase::Ended).into(),
            failed: (phase == Phase::Failed).into(),
            counts: COUNTS.map(|count| (count.read)(meters, &input)),
            latency: meters.all_latencies.read(),
            guest_time: meters.all_guest_times.read(),
            guest_work: meters.guest.work.read(),
        }
    }

    /// The difference to `earlier`, a former reading of the same counters.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            started: self.started.saturating_sub(earlier.started),
            ended: self.ended.saturating_sub(earlier.ended),
            failed: self.failed.saturating_sub(earlier.failed),
            counts: std::array::from_fn(|index| self.counts[index].saturating_sub(earlier.counts[index])),
            latency: self.latency.since(&earlier.latency),
            guest_time: self.guest_time.since(&earlier.guest_time),
            guest_work: self.guest_work.since(&earlier.guest_work),
        }
    }

    fn add(&mut self, other: &Self) {
        self.started += other.started;
        self.ended += other.ended;
        self.failed += other.failed;
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        self.latency.add(&other.latency);
        self.guest_time.add(&other.guest_time);
        self.guest_work.add(&other.guest_work);
    }
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            started: 0,
            ended: 0,
            failed: 0,
            counts: [0; COUNTS.len()],
            latency: Distribution::new(&LATENCY),
            guest_time: Distribution::new(&GUEST_TIME),
            guest_work: Work::default(),
        }
    }
}

/// Which processor a stream has, and what the stream had counted before it.
#[derive(Clone, Debug)]
pub(super) struct ProcessorSpan {
    /// `NAME@VERSION`.
    pub processor: String,
    before: Totals,
}

impl ProcessorSpan {
    /// Of a stream's first processor.
    pub fn first(processor: String) -> Self {
        Self { processor, before: Totals::default() }
    }

    /// Of the processor that a stream has from now on. The stream counts as started with this one too.
    pub fn next(processor: String, stream: &Stream) -> Self {
        Self { processor, before: Totals { started: 0, ..Totals::of(&stream.meters) } }
    }

    fn totals(&self, stream: &Stream) -> Totals {
        Totals::of(&stream.meters).since(&self.before)
    }
}

/// Totals by processor, `NAME@VERSION`.
#[derive(Clone, Debug, Default)]
pub struct ByProcessor(BTreeMap<String, Totals>);

impl ByProcessor {
    /// Adds what a stream counted with a processor that it has no more, or while it was known. The processor must be one of the
    /// first, or it is counted among others.
    pub(super) fn add_past(&mut self, processor_span: &ProcessorSpan, stream: &Stream) {
        let known = self.0.len() < PROCESSORS || self.0.contains_key(&processor_span.processor);
        self.add(if known { &processor_span.processor } else { OTHERS }, &processor_span.totals(stream));
    }

    /// Adds a stream that is still known by its id: their number is limited.
    pub(super) fn add_present(&mut self, stream: &Stream) {
        let processor_span = stream.processor_span();
        self.add(&processor_span.processor, &processor_span.totals(stream));
    }

    fn add(&mut self, processor: &str, totals: &Totals) {
        self.0.entry(processor.to_owned()).or_default().add(totals);
    }

    /// Each processor with what its streams have counted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Totals)> {
        self.0.iter().map(|(processor, totals)| (processor.as_str(), totals))
    }
}

/// All streams of a host at one moment.
pub struct StreamsSnapshot {
    /// Streams whose processor is starting.
    pub starting: usize,
    /// Streams that are not over.
    pub running: Vec<Arc<Stream>>,
    /// What the streams that run, that are over, and that are forgotten have counted.
    pub processors: ByProcessor,
}
