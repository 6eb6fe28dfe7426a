//! Bytes of MPEG-TS in, frames out.

use crate::decode::{AudioDecoder, VideoDecoder};
use crate::effort::Effort;
use crate::frame::{AudioFrame, VideoFrame};
use crate::pictures::Pictures;
use crate::scale::Geometry;
use crate::time::Unwrapper;
use crate::timeline::{Placed, Timeline};
use crate::ts::{AccessUnit, AudioCodec, Demuxer, Event, TrackKind, Tracks, VideoCodec};

/// What is decoded, and into what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputConfig {
    /// Size of the pictures.
    pub geometry: Geometry,
    /// Frames a second at most, evenly thinned out; as the source has them when `None`.
    pub max_framerate: Option<u32>,
    /// Pixels of a picture at most; larger ones are left out.
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
    /// Pictures have come that are larger than [`InputConfig::max_pixels`] and are left out. Said once, until one fits again.
    TooLarge {
        /// Pixels a row, as coded.
        width: u32,
        /// Rows, as coded.
        height: u32,
        /// The limit.
        max_pixels: u64,
    },
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
    /// Access units that did not decode, were too large, could not be scaled, or whose time had to be guessed.
    pub bad_units: u64,
    /// Steps in a track's time of more than ten seconds.
    pub jumps: u64,
}

/// Demuxes, decodes and scales one stream.
pub struct Input {
    demuxer: Demuxer,
    pipeline: Pipeline,
}

struct Pipeline {
    config: InputConfig,
    effort: Effort,
    times: Unwrapper,
    tracks: Tracks,
    video: Option<VideoDecoder>,
    audio: Option<AudioDecoder>,
    pictures: Pictures,
    video_time: Timeline,
    audio_time: Timeline,
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

    /// Says that a segment has ended: what is open is whole, nothing more may come for long, and counters may start anew.
    pub fn end_segment(&mut self, emit: &mut dyn FnMut(Media)) {
        let pipeline = &mut self.pipeline;
        self.demuxer.end_segment(&mut |event| pipeline.take(event, emit));
        self.pipeline.release(emit);
    }

    /// Gives everything that decoders hold back.
    pub fn finish(&mut self, emit: &mut dyn FnMut(Media)) {
        self.end_segment(emit);
        self.pipeline.drain_video(emit);
        self.pipeline.drain_audio(emit);
    }

    /// Changes size and frame rate from the next picture on.
    pub fn configure(&mut self, geometry: Geometry, max_framerate: Option<u32>) {
        self.pipeline.config = InputConfig { geometry, max_framerate, ..self.pipeline.config };
    }

    /// Sets the effort of decoding video from the next access unit on.
    pub fn set_effort(&mut self, effort: Effort) {
        self.pipeline.effort = effort;
        if let Some(decoder) = &mut self.pipeline.video {
            decoder.set_effort(effort);
        }
    }

    /// Counts so far.
    pub fn stats(&self) -> InputStats {
        let demuxed = self.demuxer.stats;
        InputStats {
            skipped_bytes: demuxed.skipped_bytes,
            bad_packets: demuxed.bad_packets + demuxed.gaps,
            bad_units: self.pipeline.stats.bad_units + demuxed.large_units,
            ..self.pipeline.stats
        }
    }
}

impl Pipeline {
    fn new(config: InputConfig) -> Self {
        Self {
            config,
            effort: Effort::default(),
            times: Unwrapper::default(),
            tracks: Tracks::default(),
            video: None,
            audio: None,
            pictures: Pictures::default(),
            video_time: Timeline::default(),
            audio_time: Timeline::default(),
            stats: InputStats::default(),
        }
    }

    fn take(&mut self, event: Event, emit: &mut dyn FnMut(Media)) {
        match event {
            Event::Tracks(tracks) => self.open(tracks, emit),
            Event::Unit(kind, unit) => self.place(kind, unit, emit),
        }
    }

    fn open(&mut self, tracks: Tracks, emit: &mut dyn FnMut(Media)) {
        self.release(emit);
        if tracks.video != self.tracks.video {
            self.drain_video(emit);
            self.video = tracks.video.and_then(|codec| open_video(codec, self.config.max_pixels));
            if let Some(decoder) = &mut self.video {
                decoder.set_effort(self.effort);
            }
        }
        if tracks.audio != self.tracks.audio {
            self.drain_audio(emit);
            self.audio = tracks.audio.and_then(open_audio);
        }
        self.tracks = tracks;
        // A track that nothing here decodes is not promised to the output.
        let video = tracks.video.filter(|_| self.video.is_some());
        let audio = tracks.audio.filter(|_| self.audio.is_some());
        emit(Media::Tracks(Tracks { video, audio }));
    }

    fn place(&mut self, kind: TrackKind, unit: AccessUnit, emit: &mut dyn FnMut(Media)) {
        self.stats.bad_units += u64::from(unit.damaged);
        let mut placed = Vec::new();
        let timeline = match kind {
            TrackKind::Video => &mut self.video_time,
            TrackKind::Audio => &mut self.audio_time,
        };
        let found = timeline.place(unit, &mut self.times, &mut |unit| placed.push(unit));
        self.stats.jumps += found.jumps;
        self.stats.bad_units += found.repaired;
        placed.into_iter().for_each(|unit| self.decode(kind, &unit, emit));
    }

    /// Decodes the units that wait for the next to be sure of their time.
    fn release(&mut self, emit: &mut dyn FnMut(Media)) {
        for kind in [TrackKind::Video, TrackKind::Audio] {
            let mut placed = Vec::new();
            let timeline = match kind {
                TrackKind::Video => &mut self.video_time,
                TrackKind::Audio => &mut self.audio_time,
            };
            self.stats.jumps += timeline.flush(&mut self.times, &mut |unit| placed.push(unit)).jumps;
            placed.into_iter().for_each(|unit| self.decode(kind, &unit, emit));
        }
    }

    fn decode(&mut self, kind: TrackKind, placed: &Placed, emit: &mut dyn FnMut(Media)) {
        match kind {
            TrackKind::Video => self.decode_video(placed, emit),
            TrackKind::Audio => {
                if let Some(decoder) = &mut self.audio {
                    let mut heard = |frame| emit(Media::Audio(frame));
                    self.stats.bad_units += decoder.decode(&placed.unit.data, placed.pts, &mut heard);
                }
            }
        }
    }

    fn decode_video(&mut self, placed: &Placed, emit: &mut dyn FnMut(Media)) {
        let Some(decoder) = &mut self.video else { return };
        let (pictures, stats, config) = (&mut self.pictures, &mut self.stats, self.config);
        let unit = &placed.unit;
        let decoded = decoder.decode(&unit.data, placed.pts, placed.dts, &mut |pts, frame| {
            pictures.take(pts, frame, config, stats, emit);
        });
        if decoded.is_err() {
            stats.bad_units += u64::from(!unit.damaged);
            // The decoder refuses what is far too large by itself.
            if pictures.wonders()
                && let Some(size) = decoder.coded_size(&unit.data)
            {
                pictures.refuse(size, config, emit);
            }
        }
    }

    fn drain_video(&mut self, emit: &mut dyn FnMut(Media)) {
        let Some(decoder) = &mut self.video else { return };
        let (pictures, stats, config) = (&mut self.pictures, &mut self.stats, self.config);
        decoder.drain(&mut |pts, frame| pictures.take(pts, frame, config, stats, emit));
    }

    fn drain_audio(&mut self, emit: &mut dyn FnMut(Media)) {
        if let Some(decoder) = &mut self.audio {
            decoder.finish(&mut |frame| emit(Media::Audio(frame)));
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
