//! From bytes of MPEG-TS to bytes of MPEG-TS, through a processor. Knows neither network nor files.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rillbox_media::{
    AudioFrame, Effort, Emit, EncodeError, Input, InputConfig, Media, Output, OutputConfig, Picture, VideoFrame,
};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{Instrument, Span};

use super::effort_control::EffortControl;
use super::event::Origin;
use super::frames::{Item, Timed};
use super::loading::{Loading, LoadingRules};
use super::meters::Meters;
use super::pace::Pace;
use super::params::HostParams;
use super::processor::{Candidate, Inlet, Inlets, LaneContext, ParamsHandle, Supervisor, SupervisorHandle};
use super::timing::Timing;
use crate::sandbox::{Engine, Failure};

/// Pieces of bytes that wait to be decoded.
const SOURCE_QUEUE: usize = 64;

/// Pictures, and runs of samples, that wait for the processor. With more pictures than these, sound, which goes first, would be further
/// ahead of them than the output waits for a track.
const FRAME_QUEUE: usize = 8;
const AUDIO_QUEUE: usize = 64;

/// Frames that wait to be encoded, and pieces of bytes that wait to be published.
const ENCODE_QUEUE: usize = 16;
const EMIT_QUEUE: usize = 256;

/// How often it is said that pictures are too large.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(10);

/// What a pipeline is given.
#[derive(Clone, Debug)]
pub enum Source {
    /// Bytes and when they arrived.
    Bytes(Bytes, Instant),
    /// The bytes so far are a whole segment.
    EndOfSegment,
    /// Size and frame rate from the next picture on.
    Configure(HostParams),
}

/// Why a pipeline ended before its input did.
#[derive(Debug, Error)]
pub enum PipelineError {
    /// Frames could not be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A stage panicked or was cancelled.
    #[error("a stage of the pipeline broke: {0}")]
    Stage(#[from] tokio::task::JoinError),
}

/// What a pipeline is made of.
pub struct PipelineConfig {
    /// Decoding.
    pub input: InputConfig,
    /// Encoding.
    pub output: OutputConfig,
    /// Whether frames can wait.
    pub timing: Timing,
    /// What the loading picture stands in for.
    pub loading: LoadingRules,
    /// Takes the JSON texts that the processor publishes; they go nowhere without it.
    pub data: Option<mpsc::Sender<String>>,
}

/// A running pipeline. Dropping `source` ends it in good order: everything under way still comes out of `emitted`.
pub struct Pipeline {
    /// Where bytes go in.
    pub source: mpsc::Sender<Source>,
    /// Where bytes come out.
    pub emitted: mpsc::Receiver<Emit>,
    /// Sends params to the processor's instances.
    pub processors: Vec<ParamsHandle>,
    /// Puts another processor in its place.
    pub supervisor: SupervisorHandle,
    /// The stages; each gives an error when it ended early.
    pub stages: JoinSet<Result<(), PipelineError>>,
}

impl Pipeline {
    /// Starts the stages, on the runtime of sockets, on threads of their own, and on `engine`'s. What they log is the current span's.
    pub fn start(config: PipelineConfig, engine: &Engine, candidate: Candidate, meters: &Arc<Meters>) -> Self {
        let (source, bytes) = mpsc::channel(SOURCE_QUEUE);
        let (items, to_encode) = mpsc::channel(ENCODE_QUEUE);
        let (emit, emitted) = mpsc::channel(EMIT_QUEUE);
        let (video, pictures) = mpsc::channel(FRAME_QUEUE);
        let (audio, samples) = mpsc::channel(AUDIO_QUEUE);
        let inlets = Inlets { video: Some(Inlet::new(pictures)), audio: Some(Inlet::new(samples)) };
        let context =
            LaneContext { items: items.clone(), data: config.data, timing: config.timing, meters: meters.clone() };
        let (lanes, supervisor, processors) = Supervisor::start(engine.clone(), context, candidate, inlets);
        let mut stages = JoinSet::new();
        let span = Span::current();
        stages.spawn(async { Ok(lanes.run().await?) }.instrument(span.clone()));
        let outlets = Outlets {
            video,
            audio,
            items,
            pace: Pace::default(),
            effort_control: config.timing.is_live().then(|| EffortControl::new(Instant::now())),
            effort: Effort::default(),
            refused: None,
            wanted: true,
            meters: meters.clone(),
        };
        let decoder = Decoder { input: Input::new(config.input), outlets };
        stages.spawn_blocking({
            let span = span.clone();
            move || {
                span.in_scope(|| decoder.run(bytes));
                Ok(())
            }
        });
        let encoder = Encoder {
            output: Output::new(config.output),
            loading: Loading::new(config.loading),
            effort_control: config.timing.is_live().then(|| EffortControl::new(Instant::now())),
            emit,
            meters: meters.clone(),
        };
        stages.spawn_blocking(move || span.in_scope(|| Ok(encoder.run(to_encode)?)));
        Self { source, emitted, processors, supervisor, stages }
    }
}

/// The stage that owns the decoders.
struct Decoder {
    input: Input,
    outlets: Outlets,
}

/// Where decoded media go: each frame as soon as there is one, since a few bytes may be very many.
struct Outlets {
    /// To the processor, or by it.
    video: mpsc::Sender<Timed<VideoFrame>>,
    audio: mpsc::Sender<Timed<AudioFrame>>,
    /// To the encoder.
    items: mpsc::Sender<Item>,
    pace: Pace,
    /// Of live streams: files wait.
    effort_control: Option<EffortControl>,
    /// What decoding is to be done with.
    effort: Effort,
    /// When it was last said that pictures are too large.
    refused: Option<Instant>,
    /// Whether somebody still takes frames.
    wanted: bool,
    meters: Arc<Meters>,
}

impl Decoder {
    fn run(mut self, mut bytes: mpsc::Receiver<Source>) {
        let Self { input, outlets } = &mut self;
        let mut arrived = Instant::now();
        while outlets.wanted
            && let Some(source) = bytes.blocking_recv()
        {
            match source {
                Source::Bytes(bytes, at) => {
                    arrived = at;
                    input.push(&bytes, &mut |media| outlets.hand_on(media, arrived));
                }
                Source::EndOfSegment => input.end_segment(&mut |media| outlets.hand_on(media, arrived)),
                Source::Configure(params) => {
                    input.configure(params.geometry, params.max_framerate);
                    outlets.wanted &= outlets.items.blocking_send(Item::ShowLoading(params.show_loading)).is_ok();
                }
            }
            input.set_effort(outlets.effort);
            outlets.meters.note_input(input.stats());
        }
        input.finish(&mut |media| outlets.hand_on(media, arrived));
        outlets.meters.note_input(input.stats());
    }
}

impl Outlets {
    fn hand_on(&mut self, media: Media, arrived: Instant) {
        self.wanted = self.wanted && self.send(media, arrived);
    }

    /// Whether somebody takes it.
    fn send(&mut self, media: Media, arrived: Instant) -> bool {
        match media {
            Media::Tracks(tracks) => self.items.blocking_send(Item::Tracks(tracks)).is_ok(),
            Media::Video(frame) => {
                self.meters.arrived();
                self.meters.inputs.mark();
                self.meters.life.frames_came();
                let due = self.pace.due(arrived, frame.pts);
                if let Some(effort_control) = &mut self.effort_control {
                    let effort = effort_control.note(due.elapsed(), Instant::now());
                    self.meters.frames.unfiltered.add(u64::from(effort == Effort::Reduced));
                    self.effort = effort;
                }
                self.video.blocking_send(Timed { frame, arrived, due }).is_ok()
            }
            Media::TooLarge { width, height, max_pixels } => {
                self.too_large(width, height, max_pixels);
                true
            }
            Media::Audio(frame) => {
                self.meters.frames.audio_in.add(1);
                self.meters.inputs.mark();
                self.meters.life.frames_came();
                self.audio.blocking_send(Timed { frame, arrived, due: arrived }).is_ok()
            }
        }
    }

    /// Says that pictures are left out. A source whose size changes all the time is not repeated with each change.
    fn too_large(&mut self, width: u32, height: u32, max_pixels: u64) {
        if self.refused.is_none_or(|last| last.elapsed() > REFUSAL_INTERVAL) {
            self.refused = Some(Instant::now());
            let message =
                format!("pictures of {width}×{height} are left out: the limit is {max_pixels} pixels (--max-pixels)");
            tracing::warn!("{message}");
            self.meters.life.error(Origin::Input, message);
        }
    }
}

/// The stage that owns the encoders.
struct Encoder {
    output: Output,
    loading: Loading,
    /// Of live streams: files wait.
    effort_control: Option<EffortControl>,
    emit: mpsc::Sender<Emit>,
    meters: Arc<Meters>,
}

impl Encoder {
    fn run(mut self, mut items: mpsc::Receiver<Item>) -> Result<(), EncodeError> {
        while let Some(item) = items.blocking_recv() {
            match item {
                Item::Tracks(tracks) => self.output.tracks(tracks, &mut emit(&self.emit))?,
                Item::Video(timed) => self.shown(timed)?,
                Item::Pending(mut timed, pending) => {
                    // Without it the frame passes through. What the guest is to blame for, the lane hears of at the next one.
                    match pending.picture() {
                        Ok((picture, work)) => {
                            timed.frame.picture = picture;
                            self.meters.guest.work.add(&work);
                        }
                        Err(Failure::Busy) => self.meters.guest.errors.add(1),
                        Err(_told) => {}
                    }
                    self.shown(timed)?;
                }
                Item::Withheld(timed) => {
                    if let Some(instead) = self.loading.for_withheld(&timed.frame) {
                        self.show(timed, Some(instead))?;
                    }
                }
                Item::Audio(timed) => {
                    let left_out = self.output.unheard();
                    self.output.audio(&timed.frame, &mut emit(&self.emit))?;
                    if self.output.unheard() == left_out {
                        self.meters.audio_departed(timed.arrived.elapsed());
                        self.meters.outputs.mark();
                    }
                }
                Item::ShowLoading(every) => self.loading.rules.every = every,
            }
        }
        self.output.finish(&mut emit(&self.emit))
    }

    /// Takes a picture that is to be shown.
    fn shown(&mut self, timed: Timed<VideoFrame>) -> Result<(), EncodeError> {
        let instead = self.loading.instead_of(&timed.frame);
        self.show(timed, instead)
    }

    /// Encodes a picture, or what stands in for it.
    fn show(&mut self, timed: Timed<VideoFrame>, instead: Option<Picture>) -> Result<(), EncodeError> {
        let mut frame = timed.frame;
        if let Some(instead) = instead {
            frame.picture = instead;
            self.meters.frames.loading.add(1);
        }
        if let Some(effort_control) = &mut self.effort_control {
            self.output.set_effort(effort_control.note(timed.due.elapsed(), Instant::now()));
        }
        let left_out = self.output.out_of_order();
        self.output.video(&frame, &mut emit(&self.emit))?;
        if self.output.out_of_order() == left_out {
            self.meters.departed(timed.arrived.elapsed());
            self.meters.outputs.mark();
            self.meters.picture_size.set(frame.picture.width(), frame.picture.height());
            self.meters.frames.eased.add(u64::from(self.output.effort() == Effort::Reduced));
        }
        self.meters.frames.out_of_order.set(self.output.out_of_order());
        Ok(())
    }
}

/// Hands on what the output gives. A publisher that is gone takes the stream down by itself; what it does not take any more is
/// of no use.
fn emit(to: &mpsc::Sender<Emit>) -> impl FnMut(Emit) + '_ {
    |emitted| drop(to.blocking_send(emitted))
}
