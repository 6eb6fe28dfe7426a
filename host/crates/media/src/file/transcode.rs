//! A file's frames, decoded and encoded anew, in segments of MPEG-TS.

use ffmpeg_next::{Error, frame};

use super::chunks::Chunks;
use super::reader::{Reader, Track};
use crate::decode::{AudioDecoder, VideoDecoder};
use crate::error::{EncodeError, OpenError};
use crate::scale::{Geometry, Scaler};
use crate::{
    AudioCodec, AudioFrame, Emit, Output, OutputConfig, TICKS_PER_SECOND, Ticks, TrackKind, Tracks, VideoCodec,
    VideoFrame,
};

/// A key frame is made this long after the last: a second, less what rounding may take.
const KEY_INTERVAL: i64 = TICKS_PER_SECOND - TICKS_PER_SECOND / 1000;

/// A file's owner decides its size; this is as large as a picture can be.
const MAX_PIXELS: u64 = 16_384 * 16_384;

/// Encodes one pass.
pub(super) struct Transcoder {
    reader: Reader,
    /// One for each of the reader's tracks, `None` where this FFmpeg has none.
    decoders: Vec<Option<Decoder>>,
    encoder: Encoder,
}

enum Decoder {
    Video(VideoDecoder),
    Audio(AudioDecoder),
}

struct Encoder {
    scaler: Scaler,
    output: Output,
    /// Ticks from the file's times to those that are written.
    shift: i64,
    last_key: Option<Ticks>,
    /// Time of the last frame, as it is written.
    last: Option<Ticks>,
}

impl Transcoder {
    pub fn new(reader: Reader, shift: i64) -> Result<Self, OpenError> {
        let mut decoders = Vec::new();
        let mut refusal = None;
        for track in reader.tracks() {
            let opened = Decoder::open(track);
            if let Err(error) = opened {
                tracing::warn!(codec = track.parameters.id().name(), %error, "this FFmpeg does not decode the track");
                refusal = Some(error);
            }
            decoders.push(opened.ok());
        }
        if let Some(source) = refusal
            && decoders.iter().all(Option::is_none)
        {
            return Err(OpenError::Read { doing: "opening a decoder", source });
        }
        let mut output = Output::new(OutputConfig::default());
        // Nothing is written before the first frame.
        output.tracks(announced(&decoders), &mut |_| ())?;
        let encoder = Encoder { scaler: Scaler::default(), output, shift, last_key: None, last: None };
        Ok(Self { reader, decoders, encoder })
    }

    /// Encodes what the next packet holds; `false` when there was none and the stream is ended.
    pub fn step(&mut self, chunks: &mut Chunks) -> Result<bool, OpenError> {
        let Some(unit) = self.reader.next()? else {
            self.finish(chunks)?;
            return Ok(false);
        };
        let data = unit.packet.data().unwrap_or_default();
        match &mut self.decoders[unit.track] {
            Some(Decoder::Video(decoder)) => {
                let mut frames = Vec::new();
                // As it is: it may say that its picture is not shown, or bring other headers along.
                let mut packet = unit.packet;
                packet.set_pts(unit.pts.map(|pts| pts.0));
                packet.set_dts(unit.dts.map(|dts| dts.0));
                // A packet that does not decode is left out; the next one may.
                let _ = decoder.decode_packet(&packet, &mut |pts, frame| frames.push((pts, frame)));
                frames.into_iter().try_for_each(|(pts, frame)| self.encoder.video(pts, frame, chunks))?;
            }
            Some(Decoder::Audio(decoder)) => {
                let mut frames = Vec::new();
                decoder.decode(data, unit.pts.or(unit.dts), &mut |frame| frames.push(frame));
                frames.into_iter().try_for_each(|frame| self.encoder.audio(frame, chunks))?;
            }
            None => {}
        }
        Ok(true)
    }

    fn finish(&mut self, chunks: &mut Chunks) -> Result<(), OpenError> {
        let (mut frames, mut samples) = (Vec::new(), Vec::new());
        for decoder in self.decoders.iter_mut().flatten() {
            match decoder {
                Decoder::Video(decoder) => decoder.drain(&mut |pts, frame| frames.push((pts, frame))),
                Decoder::Audio(decoder) => decoder.finish(&mut |frame| samples.push(frame)),
            }
        }
        samples.into_iter().try_for_each(|frame| self.encoder.audio(frame, chunks))?;
        frames.into_iter().try_for_each(|(pts, frame)| self.encoder.video(pts, frame, chunks))?;
        let nothing = OpenError::Read { doing: "decoding the file", source: Error::InvalidData };
        let last = self.encoder.last.ok_or(nothing)?;
        Ok(self.encoder.encode(last, chunks, |output, emit| output.restart(emit))?)
    }
}

impl Decoder {
    fn open(track: &Track) -> Result<Self, Error> {
        let parameters = track.parameters.clone();
        match track.kind {
            TrackKind::Video => VideoDecoder::from_parameters(parameters, MAX_PIXELS).map(Self::Video),
            TrackKind::Audio => AudioDecoder::from_parameters(parameters).map(Self::Audio),
        }
    }
}

impl Encoder {
    fn video(&mut self, pts: Ticks, frame: frame::Video, chunks: &mut Chunks) -> Result<(), EncodeError> {
        let Ok((picture, presentation)) = self.scaler.run(frame, Geometry::Source) else { return Ok(()) };
        let pts = pts + self.shift;
        let key = self.last_key.is_none_or(|last| pts - last >= KEY_INTERVAL);
        if key {
            self.last_key = Some(pts);
        }
        let frame = VideoFrame { pts, key, picture, presentation };
        self.encode(pts, chunks, |output, emit| output.video(&frame, emit))
    }

    fn audio(&mut self, mut frame: AudioFrame, chunks: &mut Chunks) -> Result<(), EncodeError> {
        frame.pts = frame.pts + self.shift;
        self.encode(frame.pts, chunks, |output, emit| output.audio(&frame, emit))
    }

    fn encode(
        &mut self,
        now: Ticks,
        chunks: &mut Chunks,
        run: impl FnOnce(&mut Output, &mut dyn FnMut(Emit)) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let mut emitted = Vec::new();
        run(&mut self.output, &mut |emit| emitted.push(emit))?;
        chunks.add(now, emitted);
        self.last = Some(now);
        Ok(())
    }
}

/// The output asks which tracks there are, not how they were coded before.
fn announced(decoders: &[Option<Decoder>]) -> Tracks {
    let mut tracks = Tracks::default();
    for decoder in decoders.iter().flatten() {
        match decoder {
            Decoder::Video(_) => tracks.video = Some(VideoCodec::H264),
            Decoder::Audio(_) => tracks.audio = Some(AudioCodec::Aac),
        }
    }
    tracks
}
