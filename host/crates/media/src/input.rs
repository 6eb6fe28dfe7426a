//! Bytes of MPEG-TS in, frames out.

use ffmpeg_next::frame;

use crate::decode::{AudioDecoder, VideoDecoder};
use crate::frame::{AudioFrame, VideoFrame};
use crate::scale::{Geometry, Scaler};
use crate::time::Unwrapper;
use crate::ts::{AccessUnit, AudioCodec, Demuxer, Event, TrackKind, Tracks, VideoCodec};
use crate::{TICKS_PER_SECOND, Ticks};

/// A step in time beyond which decoders start anew.
const JUMP: i64 = 10 * TICKS_PER_SECOND;

/// What is decoded, and into what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputConfig {
    /// Size of the pictures.
    pub geometry: Geometry,
    /// Frames a second at most, evenly thinned out; as the source has them when `None`.
    pub max_framerate: Option<u32>,
    /// Pixels of a coded picture at most.
    pub max_pixels: u64,
}

impl Default for InputConfig {
    fn default() -> Self {
        Self { geometry: Geometry::Source, max_framerate: None, max_pixels: 3840 * 2160 }
    }
}

/// What an input gives.
#[derive(Debug)]
pub enum Media {
    /// The source's tracks are known, or have changed.
    Tracks(Tracks),
    /// A picture.
    Video(VideoFrame),
    /// Samples.
    Audio(AudioFrame),
}

/// What came in, and what was wrong with it, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputStats {
    /// Bytes of MPEG-TS.
    pub bytes: u64,
    /// Pictures decoded, with those that the frame-rate cap dropped.
    pub video_frames: u64,
    /// Pictures that the frame-rate cap dropped.
    pub thinned_frames: u64,
    /// Bytes that belonged to no packet.
    pub skipped_bytes: u64,
    /// Transport packets that were broken, or missing by their counters.
    pub bad_packets: u64,
    /// Access units that did not decode, or could not be scaled.
    pub bad_units: u64,
    /// Steps in time that made the decoders start anew.
    pub jumps: u64,
}

/// Demuxes, decodes and scales one stream.
pub struct Input {
    demuxer: Demuxer,
    pipeline: Pipeline,
}

struct Pipeline {
    config: InputConfig,
    times: Unwrapper,
    tracks: Tracks,
    video: Option<VideoDecoder>,
    audio: Option<AudioDecoder>,
    pictures: Pictures,
    last_video: Option<Ticks>,
    last_audio: Option<Ticks>,
    stats: InputStats,
}

impl Input {
    /// An input that has not seen a byte.
    pub fn new(config: InputConfig) -> Self {
        Self { demuxer: Demuxer::default(), pipeline: Pipeline::new(config) }
    }

    /// Takes bytes as they arrive, in any pieces.
    pub fn push(&mut self, bytes: &[u8], emit: &mut dyn FnMut(Media)) {
        self.pipeline.stats.bytes += bytes.len() as u64;
        let pipeline = &mut self.pipeline;
        self.demuxer.push(bytes, &mut |event| pipeline.take(event, emit));
    }

    /// Says that a segment has ended: what is open is whole, and counters may start anew.
    pub fn end_segment(&mut self, emit: &mut dyn FnMut(Media)) {
        let pipeline = &mut self.pipeline;
        self.demuxer.end_segment(&mut |event| pipeline.take(event, emit));
    }

    /// Gives everything that decoders hold back.
    pub fn finish(&mut self, emit: &mut dyn FnMut(Media)) {
        self.end_segment(emit);
        self.pipeline.drain_video(emit);
        if let Some(decoder) = &mut self.pipeline.audio {
            decoder.finish(&mut |frame| emit(Media::Audio(frame)));
        }
    }

    /// Changes size and frame rate from the next picture on.
    pub fn configure(&mut self, geometry: Geometry, max_framerate: Option<u32>) {
        self.pipeline.config = InputConfig { geometry, max_framerate, ..self.pipeline.config };
    }

    /// Counts so far.
    pub fn stats(&self) -> InputStats {
        let demuxed = self.demuxer.stats;
        InputStats {
            skipped_bytes: demuxed.skipped_bytes,
            bad_packets: demuxed.bad_packets + demuxed.gaps,
            ..self.pipeline.stats
        }
    }
}

impl Pipeline {
    fn new(config: InputConfig) -> Self {
        Self {
            config,
            times: Unwrapper::default(),
            tracks: Tracks::default(),
            video: None,
            audio: None,
            pictures: Pictures::default(),
            last_video: None,
            last_audio: None,
            stats: InputStats::default(),
        }
    }

    fn take(&mut self, event: Event, emit: &mut dyn FnMut(Media)) {
        match event {
            Event::Tracks(tracks) => self.open(tracks, emit),
            Event::Unit(kind, unit) => self.decode(kind, unit, emit),
        }
    }

    fn open(&mut self, tracks: Tracks, emit: &mut dyn FnMut(Media)) {
        if tracks.video != self.tracks.video {
            self.drain_video(emit);
            self.video = tracks.video.and_then(|codec| open_video(codec, self.config.max_pixels));
        }
        if tracks.audio != self.tracks.audio {
            self.audio = tracks.audio.and_then(open_audio);
        }
        self.tracks = tracks;
        // A track that nothing here decodes is not promised to the output.
        let video = tracks.video.filter(|_| self.video.is_some());
        let audio = tracks.audio.filter(|_| self.audio.is_some());
        emit(Media::Tracks(Tracks { video, audio }));
    }

    fn decode(&mut self, kind: TrackKind, unit: AccessUnit, emit: &mut dyn FnMut(Media)) {
        self.stats.bad_units += u64::from(unit.damaged);
        let pts = unit.pts.map(|raw| self.times.unwrap(raw));
        let dts = unit.dts.map(|raw| self.times.unwrap(raw)).or(pts);
        if let Some(now) = dts {
            self.follow(kind, now, emit);
        }
        match kind {
            TrackKind::Video => self.decode_video(&unit, pts, dts, emit),
            TrackKind::Audio => {
                if let Some(decoder) = &mut self.audio {
                    self.stats.bad_units += decoder.decode(&unit.data, pts, &mut |frame| emit(Media::Audio(frame)));
                }
            }
        }
    }

    /// Starts a track's decoder anew where its time has jumped. Tracks may be far apart, so each is measured by itself.
    fn follow(&mut self, kind: TrackKind, now: Ticks, emit: &mut dyn FnMut(Media)) {
        let last = match kind {
            TrackKind::Video => self.last_video.replace(now),
            TrackKind::Audio => self.last_audio.replace(now),
        };
        if last.is_none_or(|last| (now - last).abs() <= JUMP) {
            return;
        }
        self.stats.jumps += 1;
        match kind {
            TrackKind::Video => self.drain_video(emit),
            TrackKind::Audio => {
                if let Some(decoder) = &mut self.audio {
                    decoder.reset();
                }
            }
        }
    }

    fn decode_video(&mut self, unit: &AccessUnit, pts: Option<Ticks>, dts: Option<Ticks>, emit: &mut dyn FnMut(Media)) {
        let Some(decoder) = &mut self.video else { return };
        let (pictures, stats, config) = (&mut self.pictures, &mut self.stats, self.config);
        let decoded = decoder.decode(&unit.data, pts, dts, &mut |pts, frame| {
            pictures.take(pts, frame, config, stats, emit);
        });
        self.stats.bad_units += u64::from(decoded.is_err() && !unit.damaged);
    }

    fn drain_video(&mut self, emit: &mut dyn FnMut(Media)) {
        let Some(decoder) = &mut self.video else { return };
        let (pictures, stats, config) = (&mut self.pictures, &mut self.stats, self.config);
        decoder.drain(&mut |pts, frame| pictures.take(pts, frame, config, stats, emit));
        pictures.due = None;
    }
}

/// From decoded frames to pictures of the wanted size and rate.
#[derive(Default)]
struct Pictures {
    scaler: Scaler,
    /// When the frame-rate cap lets the next one through.
    due: Option<Ticks>,
    /// A key frame was dropped by the cap: the next picture stands in for it.
    key: bool,
}

impl Pictures {
    fn take(
        &mut self,
        pts: Ticks,
        frame: frame::Video,
        config: InputConfig,
        stats: &mut InputStats,
        emit: &mut dyn FnMut(Media),
    ) {
        stats.video_frames += 1;
        self.key |= frame.is_key();
        if !self.is_due(pts, config.max_framerate) {
            stats.thinned_frames += 1;
            return;
        }
        match self.scaler.run(frame, config.geometry) {
            Ok(picture) => emit(Media::Video(VideoFrame { pts, key: std::mem::take(&mut self.key), picture })),
            Err(_) => stats.bad_units += 1,
        }
    }

    /// Whether the cap lets a picture through; the grid of due times keeps the average, a jump starts it anew.
    fn is_due(&mut self, pts: Ticks, max_framerate: Option<u32>) -> bool {
        let Some(rate) = max_framerate else { return true };
        let interval = TICKS_PER_SECOND / i64::from(rate.max(1));
        match self.due {
            // Half a millisecond early is on time: sources round.
            Some(due) if (-interval..-45).contains(&(pts - due)) => false,
            Some(due) if (-45..interval).contains(&(pts - due)) => {
                self.due = Some(due + interval);
                true
            }
            _ => {
                self.due = Some(pts + interval);
                true
            }
        }
    }
}

fn open_video(codec: VideoCodec, max_pixels: u64) -> Option<VideoDecoder> {
    VideoDecoder::open(codec, max_pixels)
        .inspect_err(|error| tracing::warn!(?codec, %error, "this FFmpeg does not decode the video track"))
        .ok()
}

fn open_audio(codec: AudioCodec) -> Option<AudioDecoder> {
    AudioDecoder::open(codec)
        .inspect_err(|error| tracing::warn!(?codec, %error, "this FFmpeg does not decode the audio track"))
        .ok()
}
