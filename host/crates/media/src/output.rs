//! Frames in, segments of MPEG-TS out.

use bytes::Bytes;
use ffmpeg_next::error::EINVAL;
use ffmpeg_next::{Error, Packet};

use crate::cuts::Cuts;
use crate::effort::Effort;
use crate::encode::{AudioConfig, AudioEncoder, Shape, VideoConfig, VideoEncoder};
use crate::error::EncodeError;
use crate::frame::{AudioFrame, VideoFrame};
use crate::mux::Muxer;
use crate::time::JUMP;
use crate::ts::{TrackKind, Tracks};
use crate::{TICKS_PER_SECOND, Ticks};

/// A key frame is made at the latest this long after the last.
const KEY_INTERVAL: i64 = 2 * TICKS_PER_SECOND;

/// How long the first packets wait for a track that was announced and has not come.
const TRACK_WAIT: i64 = TICKS_PER_SECOND / 2;

/// How long frames of a track that has ended are taken: for about as long as queues before the encoder hold.
const ENDING: i64 = TICKS_PER_SECOND;

/// Packets that wait for an announced track, however close their times are.
const MAX_WAITING: usize = 256;

/// How frames are encoded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutputConfig {
    /// Video.
    pub video: VideoConfig,
    /// Audio.
    pub audio: AudioConfig,
}

/// What the output gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Emit {
    /// A segment begins with the next bytes.
    Cut,
    /// Bytes of the segment.
    Bytes(Bytes),
}

/// One of two tracks has ended: frames of it are still on their way.
struct Ending {
    /// What is left, of one kind.
    tracks: Tracks,
    left: TrackKind,
    /// The stream goes on without the other at the first frame of what is left of this time or later.
    until: Ticks,
}

/// Encodes and muxes one stream.
pub struct Output {
    config: OutputConfig,
    effort: Effort,
    expected: Tracks,
    ending: Option<Ending>,
    video: Option<VideoEncoder>,
    audio: Option<AudioEncoder>,
    muxer: Option<Muxer>,
    waiting: Vec<(TrackKind, Packet)>,
    last_video: Option<Ticks>,
    last_audio: Option<Ticks>,
    last_key: Option<Ticks>,
    /// Shape of the sound that was heard last, and where the encoder before this one ended.
    heard: Option<Shape>,
    audio_end: Option<Ticks>,
    cuts: Cuts,
    /// Transport streams begun.
    begun: u8,
    /// Frames not encoded because an earlier or equal time was.
    out_of_order: u64,
    unheard: u64,
}

impl Output {
    /// An output that has not seen a frame; its tracks are not known yet.
    pub fn new(config: OutputConfig) -> Self {
        Self {
            config,
            effort: Effort::default(),
            expected: Tracks::default(),
            ending: None,
            video: None,
            audio: None,
            muxer: None,
            waiting: Vec::new(),
            last_video: None,
            last_audio: None,
            last_key: None,
            heard: None,
            audio_end: None,
            cuts: Cuts::default(),
            begun: 0,
            out_of_order: 0,
            unheard: 0,
        }
    }

    /// Says which tracks the source has; the output will have the same. One that is no longer among them ends a second later, by the
    /// time of the other: frames of it may be on their way.
    pub fn tracks(&mut self, tracks: Tracks, emit: &mut dyn FnMut(Emit)) -> Result<(), EncodeError> {
        let kinds = |tracks: &Tracks| (tracks.video.is_some(), tracks.audio.is_some());
        self.ending = None;
        let left = match (kinds(&self.expected), kinds(&tracks)) {
            ((true, true), (true, false)) => self.last_video.map(|last| (TrackKind::Video, last)),
            ((true, true), (false, true)) => self.last_audio.map(|last| (TrackKind::Audio, last)),
            _ => None,
        };
        if let Some((left, last)) = left {
            self.ending = Some(Ending { tracks, left, until: last + ENDING });
            return Ok(());
        }
        if kinds(&self.expected) != kinds(&tracks) && kinds(&self.expected) != (false, false) {
            self.restart(emit)?;
        }
        self.expected = tracks;
        Ok(())
    }

    /// Sets the effort of the next key frame and those after it.
    pub fn set_effort(&mut self, effort: Effort) {
        self.effort = effort;
    }

    /// The effort with which pictures are being encoded.
    pub fn effort(&self) -> Effort {
        self.video.as_ref().map_or(self.effort, VideoEncoder::effort)
    }

    /// Encodes a picture. One whose time is not after the last is not shown, nor one that comes after the end of its track; a
    /// jump starts a new segment.
    pub fn video(&mut self, frame: &VideoFrame, emit: &mut dyn FnMut(Emit)) -> Result<(), EncodeError> {
        self.end_track(TrackKind::Video, frame.pts, emit)?;
        let step = self.last_video.map_or(1, |last| frame.pts - last);
        if is_jump(step) {
            self.restart(emit)?;
        }
        let has_ended = self.expected.video.is_none() && self.expected.audio.is_some();
        if has_ended || (step <= 0 && !is_jump(step)) {
            self.out_of_order += 1;
            return Ok(());
        }
        let mut packets = Vec::new();
        let due = frame.key || self.lacks_track() || self.last_key.is_none_or(|last| frame.pts - last >= KEY_INTERVAL);
        let goes_on = |encoder: &VideoEncoder| encoder.fits(frame) && !(due && encoder.effort() != self.effort);
        let begins = !self.video.as_ref().is_some_and(goes_on);
        if begins {
            if let Some(before) = self.video.take() {
                before.finish(&mut |packet| packets.push(packet))?;
            }
            self.video = Some(VideoEncoder::open(&self.config.video, self.effort, frame)?);
        }
        let key = due || begins;
        if key {
            self.last_key = Some(frame.pts);
        }
        if let Some(encoder) = &mut self.video {
            encoder.encode(frame, key, &mut |packet| packets.push(packet))?;
        }
        self.last_video = Some(frame.pts);
        packets.into_iter().try_for_each(|packet| self.write(TrackKind::Video, packet, emit))
    }

    /// Encodes samples. A jump in their time starts a new segment, as one of the pictures does.
    pub fn audio(&mut self, frame: &AudioFrame, emit: &mut dyn FnMut(Emit)) -> Result<(), EncodeError> {
        if frame.samples() == 0 {
            return Ok(());
        }
        self.end_track(TrackKind::Audio, frame.pts, emit)?;
        let jumps = self.last_audio.is_some_and(|last| is_jump(frame.pts - last));
        // Sound of another shape has a track of its own.
        if jumps || (self.ending.is_some() && self.audio.as_ref().is_some_and(|encoder| !encoder.fits(frame))) {
            self.restart(emit)?;
        }
        if self.expected.audio.is_none() && self.expected.video.is_some() {
            self.unheard += 1;
            return Ok(());
        }
        self.last_audio = Some(frame.pts);
        let mut packets = Vec::new();
        if !self.audio.as_ref().is_some_and(|encoder| encoder.fits(frame)) {
            if let Some(before) = self.audio.take() {
                self.audio_end = before.finish(&mut |packet| packets.push(packet))?;
                for packet in packets.drain(..) {
                    self.write(TrackKind::Audio, packet, emit)?;
                }
                self.restart(emit)?;
            }
            self.heard = Some(Shape::of(frame));
            self.open_audio()?;
        }
        if let Some(encoder) = &mut self.audio {
            if let Some(end) = self.audio_end.take().filter(|end| !is_jump(frame.pts - *end)) {
                encoder.follow(end);
            }
            self.unheard += u64::from(!encoder.encode(frame, &mut |packet| packets.push(packet))?);
        }
        packets.into_iter().try_for_each(|packet| self.write(TrackKind::Audio, packet, emit))
    }

    /// Goes on without the track that has ended, if a frame of the other says that it is time.
    fn end_track(&mut self, kind: TrackKind, now: Ticks, emit: &mut dyn FnMut(Emit)) -> Result<(), EncodeError> {
        let over = |ending: &Ending| ending.left == kind && now - ending.until >= 0;
        if self.ending.as_ref().is_some_and(over) { self.restart(emit) } else { Ok(()) }
    }

    /// Runs of samples that came too late to be heard in order.
    pub fn unheard(&self) -> u64 {
        self.unheard
    }

    /// Frames that came too late to be shown in order.
    pub fn out_of_order(&self) -> u64 {
        self.out_of_order
    }

    /// Ends the stream: everything that was held back comes out.
    pub fn finish(mut self, emit: &mut dyn FnMut(Emit)) -> Result<(), EncodeError> {
        self.restart(emit)
    }

    /// Ends what was written so far; the next frame starts new encoders in a new segment.
    pub fn restart(&mut self, emit: &mut dyn FnMut(Emit)) -> Result<(), EncodeError> {
        // What waits for an announced track waits no longer.
        if self.muxer.is_none() {
            self.open_muxer()?;
            self.mux_waiting(emit)?;
        }
        let mut packets = Vec::new();
        if let Some(video) = self.video.take() {
            video.finish(&mut |packet| packets.push((TrackKind::Video, packet)))?;
        }
        if let Some(audio) = self.audio.take() {
            self.audio_end = audio.finish(&mut |packet| packets.push((TrackKind::Audio, packet)))?;
        }
        for (kind, packet) in packets {
            self.write(kind, packet, emit)?;
        }
        if let Some(mut muxer) = self.muxer.take() {
            muxer.finish()?;
            muxer.drain(&mut |bytes| emit(Emit::Bytes(bytes)));
        }
        (self.last_video, self.last_audio, self.last_key) = (None, None, None);
        self.cuts = Cuts::default();
        if let Some(ending) = self.ending.take() {
            self.expected = ending.tracks;
        }
        Ok(())
    }

    fn write(&mut self, kind: TrackKind, packet: Packet, emit: &mut dyn FnMut(Emit)) -> Result<(), EncodeError> {
        if self.lacks_track()
            && let Some(mut before) = self.muxer.take()
        {
            before.finish()?;
            before.drain(&mut |bytes| emit(Emit::Bytes(bytes)));
            self.cuts = Cuts::default();
            // The stream that takes its place needs a key frame of its own, and has it already if this is a picture.
            self.last_key = self.last_key.filter(|_| kind == TrackKind::Video);
        }
        self.waiting.push((kind, packet));
        if self.muxer.is_none() {
            if self.expected.audio.is_some() && self.audio.is_none() && self.heard.is_some() {
                // Sound that was there before is there again: a track for it need not wait.
                self.open_audio()?;
            }
            if !self.ready() {
                return Ok(());
            }
            self.open_muxer()?;
        }
        self.mux_waiting(emit)
    }

    fn open_audio(&mut self) -> Result<(), EncodeError> {
        self.audio = self.heard.map(|shape| AudioEncoder::open(&self.config.audio, shape)).transpose()?;
        Ok(())
    }

    fn mux_waiting(&mut self, emit: &mut dyn FnMut(Emit)) -> Result<(), EncodeError> {
        std::mem::take(&mut self.waiting).into_iter().try_for_each(|(kind, packet)| self.mux(kind, packet, emit))
    }

    /// Whether a track came after the transport stream had begun without it.
    fn lacks_track(&self) -> bool {
        self.muxer.as_ref().is_some_and(|muxer| {
            (self.video.is_some() && !muxer.has_video()) || (self.audio.is_some() && !muxer.has_audio())
        })
    }

    /// Starts a transport stream with the tracks that have come.
    fn open_muxer(&mut self) -> Result<(), EncodeError> {
        let video = self.video.as_ref().map(VideoEncoder::context);
        let audio = self.audio.as_ref().map(AudioEncoder::context);
        if video.is_some() || audio.is_some() {
            self.muxer = Some(Muxer::open(video, audio, self.begun)?);
            self.begun = self.begun.wrapping_add(1);
        }
        Ok(())
    }

    /// Whether every announced track has come, or been waited for long enough.
    fn ready(&self) -> bool {
        let video = self.expected.video.is_none() || self.video.is_some();
        let audio = self.expected.audio.is_none() || self.audio.is_some();
        let waited = match (self.waiting.first(), self.waiting.last()) {
            (Some((_, first)), Some((_, last))) => pts(last) - pts(first),
            _ => 0,
        };
        (video && audio) || waited.abs() > TRACK_WAIT || self.waiting.len() > MAX_WAITING
    }

    fn mux(&mut self, kind: TrackKind, packet: Packet, emit: &mut dyn FnMut(Emit)) -> Result<(), EncodeError> {
        let Some(muxer) = &mut self.muxer else { return Ok(()) };
        if self.cuts.cut(kind, packet.is_key(), muxer.has_video(), pts(&packet)) {
            muxer.drain(&mut |bytes| emit(Emit::Bytes(bytes)));
            muxer.start_segment()?;
            emit(Emit::Cut);
        }
        let muxed = match kind {
            TrackKind::Video => muxer.video(packet),
            TrackKind::Audio => muxer.audio(packet),
        };
        match muxed {
            // Its time is not after the one before: it is left out, and pictures go on from a key frame.
            Err(EncodeError::Run { source: Error::Other { errno: EINVAL }, .. }) => {
                self.out_of_order += 1;
                self.last_key = None;
            }
            muxed => muxed?,
        }
        muxer.drain(&mut |bytes| emit(Emit::Bytes(bytes)));
        Ok(())
    }
}

/// Whether a stream starts anew after such a step in time: after a jump; backward, a second is enough.
fn is_jump(step: i64) -> bool {
    step.unsigned_abs() > JUMP.unsigned_abs() || step < -TICKS_PER_SECOND
}

fn pts(packet: &Packet) -> Ticks {
    Ticks(packet.pts().unwrap_or_default())
}
