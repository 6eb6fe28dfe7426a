//! Video: one access unit in, none, one or several frames out.

use ffmpeg_next::{Dictionary, Error, Packet, Rational, codec, codec::discard::Discard, decoder, frame};

use super::parser;
use crate::effort::Effort;
use crate::ts::VideoCodec;
use crate::{TICKS_PER_SECOND, Ticks};

/// Decodes one track of one codec. Resolution and pixel format may change on the way.
pub(crate) struct VideoDecoder {
    decoder: decoder::Video,
    last: Option<Ticks>,
    /// The last time that was the source's own, and frames since then.
    given: Option<(Ticks, i64)>,
    /// Ticks between frames by the source's own times, for those without one.
    interval: Option<i64>,
}

impl VideoDecoder {
    /// Opens the decoder of `codec`, which refuses pictures of much more than `max_pixels`. What is coded may have a few lines
    /// more than is shown.
    pub fn open(codec: VideoCodec, max_pixels: u64) -> Result<Self, Error> {
        let found = codec::decoder::find(id(codec)).ok_or(Error::DecoderNotFound)?;
        Self::with(super::context(found), max_pixels)
    }

    /// Opens the decoder of a file's stream.
    pub fn from_parameters(parameters: codec::Parameters, max_pixels: u64) -> Result<Self, Error> {
        Self::with(codec::Context::from_parameters(parameters)?, max_pixels)
    }

    fn with(mut context: codec::Context, max_pixels: u64) -> Result<Self, Error> {
        // With this flag, pictures of MPEG-1, MPEG-2 and MPEG-4 come out in the order they were coded.
        if !matches!(context.id(), codec::Id::MPEG1VIDEO | codec::Id::MPEG2VIDEO | codec::Id::MPEG4) {
            context.set_flags(codec::Flags::LOW_DELAY);
        }
        let mut decoder = context.decoder();
        decoder.set_packet_time_base(Rational(1, TICKS_PER_SECOND as i32));
        let found = decoder.codec().or_else(|| codec::decoder::find(decoder.id())).ok_or(Error::DecoderNotFound)?;
        let mut options = Dictionary::new();
        options.set("max_pixels", &(max_pixels + max_pixels / 8 + 4096).min(i32::MAX as u64).to_string());
        let decoder = decoder.open_as_with(found, options)?.video()?;
        Ok(Self { decoder, last: None, given: None, interval: None })
    }

    /// Sets the effort from the next access unit on.
    pub fn set_effort(&mut self, effort: Effort) {
        self.decoder.skip_loop_filter(match effort {
            Effort::Full => Discard::Default,
            Effort::Reduced => Discard::All,
        });
    }

    /// Decodes one access unit; `Err` when it was of no use, after which the next may be.
    pub fn decode(
        &mut self,
        data: &[u8],
        pts: Option<Ticks>,
        dts: Option<Ticks>,
        emit: &mut dyn FnMut(Ticks, frame::Video),
    ) -> Result<(), Error> {
        self.decode_packet(&super::packet(data, pts.map(|t| t.0), dts.map(|t| t.0)), emit)
    }

    /// The same of a packet whose times are ticks.
    pub fn decode_packet(&mut self, packet: &Packet, emit: &mut dyn FnMut(Ticks, frame::Video)) -> Result<(), Error> {
        let sent = self.decoder.send_packet(packet);
        self.receive(emit);
        sent
    }

    /// Gives the frames that the decoder held back, and makes it ready for a new start.
    pub fn drain(&mut self, emit: &mut dyn FnMut(Ticks, frame::Video)) {
        if self.decoder.send_eof().is_ok() {
            self.receive(emit);
        }
        self.decoder.flush();
        (self.last, self.given) = (None, None);
    }

    /// Size of the picture in `data` as its own headers state it, whether it can be decoded or not.
    pub fn coded_size(&self, data: &[u8]) -> Option<(u32, u32)> {
        parser::picture_size(self.decoder.id(), data)
    }

    fn receive(&mut self, emit: &mut dyn FnMut(Ticks, frame::Video)) {
        let mut frame = frame::Video::empty();
        while self.decoder.receive_frame(&mut frame).is_ok() {
            let pts = self.time(&frame);
            emit(pts, std::mem::replace(&mut frame, frame::Video::empty()));
        }
    }

    /// The frame's own time, or one interval after the last where the source gave none.
    fn time(&mut self, frame: &frame::Video) -> Ticks {
        let own = frame.pts().or(frame.timestamp()).map(Ticks);
        if let Some((given, frames)) = &mut self.given {
            *frames += 1;
            let each = own.map(|own| (own - *given) / *frames).filter(|each| (1..TICKS_PER_SECOND).contains(each));
            self.interval = each.or(self.interval);
        }
        self.given = own.map(|own| (own, 0)).or(self.given);
        let pts = own.unwrap_or_else(|| self.last.map_or(Ticks(0), |last| last + self.guess()));
        self.last = Some(pts);
        pts
    }

    /// Ticks from one frame to the next: as the times were so far, as the headers say, or a 25th of a second.
    fn guess(&self) -> i64 {
        let stated = || {
            let Rational(frames, seconds) = self.decoder.frame_rate()?;
            let each = TICKS_PER_SECOND * i64::from(seconds) / i64::from(frames).max(1);
            (1..TICKS_PER_SECOND).contains(&each).then_some(each)
        };
        self.interval.or_else(stated).unwrap_or(TICKS_PER_SECOND / 25)
    }
}

fn id(codec: VideoCodec) -> codec::Id {
    match codec {
        VideoCodec::Mpeg2 => codec::Id::MPEG2VIDEO,
        VideoCodec::Mpeg4 => codec::Id::MPEG4,
        VideoCodec::H264 => codec::Id::H264,
        VideoCodec::Hevc => codec::Id::HEVC,
        VideoCodec::Vp9 => codec::Id::VP9,
        VideoCodec::Av1 => codec::Id::AV1,
    }
}
