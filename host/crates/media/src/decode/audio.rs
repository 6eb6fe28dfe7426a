//! Audio: one access unit in, runs of f32 samples out.

use std::ffi::CStr;

use ffmpeg_next::{ChannelLayout, Error, Rational, codec, decoder, ffi, frame};

use super::parser::Parser;
use super::{opus, samples};
use crate::time::ANCHOR_TOLERANCE;
use crate::ts::AudioCodec;
use crate::{AudioFrame, TICKS_PER_SECOND, Ticks};

/// The share of a small difference that the counter follows with each packet: what a source rounds is not heard, and what
/// its clocks drift apart stays below a millisecond.
const FOLLOW: i64 = 16;

/// Channels and rates that sound has; damaged frames claim others.
const CHANNELS: std::ops::RangeInclusive<usize> = 1..=8;
const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;

/// Decodes one track of one codec. Rate and layout may change on the way.
pub(crate) struct AudioDecoder {
    decoder: decoder::Audio,
    splitter: Splitter,
    clock: Option<SampleClock>,
    /// Rate and layout of what is heard.
    shape: Option<(u32, u64)>,
    /// The first frame of another shape: it is heard when a second one follows, for a damaged frame may claim anything.
    odd: Option<AudioFrame>,
    /// The last unit gave no packet.
    starved: bool,
    /// Frames of a shape that sound does not have.
    refused: u64,
}

/// How access units become packets of one frame each.
enum Splitter {
    /// Opus' control headers.
    Opus,
    /// FFmpeg's parser of the codec, since a PES packet may hold several frames.
    Parser(Parser),
    /// A file's packets are single frames already.
    None,
}

impl AudioDecoder {
    /// Opens the decoder of `codec`.
    pub fn open(codec: AudioCodec) -> Result<Self, Error> {
        let id = id(codec);
        let found = codec::decoder::find(id).ok_or(Error::DecoderNotFound)?;
        let mut context = super::context(found);
        let splitter = match codec {
            AudioCodec::Opus(code) => {
                set_extradata(&mut context, &opus::identification(code))?;
                Splitter::Opus
            }
            _ => Splitter::Parser(Parser::open(id).ok_or(Error::DecoderNotFound)?),
        };
        Self::with(context, splitter)
    }

    /// Opens the decoder of a file's stream.
    pub fn from_parameters(parameters: codec::Parameters) -> Result<Self, Error> {
        Self::with(codec::Context::from_parameters(parameters)?, Splitter::None)
    }

    fn with(context: codec::Context, splitter: Splitter) -> Result<Self, Error> {
        let mut decoder = context.decoder();
        decoder.set_packet_time_base(Rational(1, TICKS_PER_SECOND as i32));
        let decoder = decoder.audio()?;
        Ok(Self { decoder, splitter, clock: None, shape: None, odd: None, starved: false, refused: 0 })
    }

    /// Decodes one access unit; gives how many of its packets were of no use.
    pub fn decode(&mut self, data: &[u8], pts: Option<Ticks>, emit: &mut dyn FnMut(AudioFrame)) -> u64 {
        let packets = match &mut self.splitter {
            Splitter::Opus => {
                let times = std::iter::once(pts).chain(std::iter::repeat(None));
                times.zip(opus::packets(data).into_iter().map(<[u8]>::to_vec)).collect()
            }
            Splitter::Parser(parser) => parser.split(&mut self.decoder, data, pts),
            Splitter::None => vec![(pts, data.to_vec())],
        };
        // A unit may be a part of a packet; two in a row that complete none are no sound.
        let starved = std::mem::replace(&mut self.starved, packets.is_empty());
        let mut useless = u64::from(starved && packets.is_empty());
        for (pts, data) in packets {
            if let (Some(pts), Some(clock)) = (pts, &mut self.clock) {
                clock.anchor(pts);
            }
            if self.decoder.send_packet(&super::packet(&data, pts.map(|t| t.0), None)).is_err() {
                useless += 1;
            }
            self.receive(pts, emit);
        }
        useless + std::mem::take(&mut self.refused)
    }

    /// Gives what the parser and the decoder held back; no more is coming.
    pub fn finish(&mut self, emit: &mut dyn FnMut(AudioFrame)) {
        if let Splitter::Parser(parser) = &mut self.splitter
            && let Some(data) = parser.last(&mut self.decoder)
        {
            // A last packet that does not decode is cut off: there is nobody to tell.
            let _ = self.decoder.send_packet(&super::packet(&data, None, None));
        }
        if self.decoder.send_eof().is_ok() {
            self.receive(None, emit);
        }
        self.decoder.flush();
        (self.clock, self.shape, self.odd) = (None, None, None);
    }

    fn receive(&mut self, pts: Option<Ticks>, emit: &mut dyn FnMut(AudioFrame)) {
        let mut frame = frame::Audio::empty();
        while self.decoder.receive_frame(&mut frame).is_ok() {
            let rate = frame.rate();
            if frame.samples() == 0 {
                continue;
            }
            let Some(channels) = samples::as_f32(&frame) else {
                self.refused += 1;
                continue;
            };
            if !CHANNELS.contains(&channels.len()) || !RATES.contains(&rate) {
                self.refused += 1;
                continue;
            }
            let pts = self.time(rate, frame.samples(), pts);
            let layout = frame.channel_layout();
            let layout = if layout.channels() as usize == channels.len() {
                layout.bits()
            } else {
                ChannelLayout::default(channels.len() as i32).bits()
            };
            self.admit(AudioFrame { pts, rate, layout, channels }, emit);
        }
    }

    /// The time of the next samples by the count, which begins at `pts`.
    fn time(&mut self, rate: u32, samples: usize, pts: Option<Ticks>) -> Ticks {
        let clock = match &mut self.clock {
            Some(clock) if clock.rate == rate => clock,
            clock => {
                let start = pts.or(clock.as_ref().map(SampleClock::now)).unwrap_or(Ticks(0));
                clock.insert(SampleClock { start, rate, samples: 0 })
            }
        };
        let now = clock.now();
        clock.samples += samples as i64;
        now
    }

    /// Hands a frame on, unless it is the first of another shape.
    fn admit(&mut self, frame: AudioFrame, emit: &mut dyn FnMut(AudioFrame)) {
        let shape = (frame.rate, frame.layout);
        let odd = self.odd.take();
        if self.shape.is_none_or(|heard| heard == shape) {
            self.refused += u64::from(odd.is_some());
        } else {
            match odd {
                Some(first) if (first.rate, first.layout) == shape => emit(first),
                odd => {
                    self.refused += u64::from(odd.is_some());
                    self.odd = Some(frame);
                    return;
                }
            }
        }
        self.shape = Some(shape);
        emit(frame);
    }
}

/// Counts samples from an anchor, so that rounding never adds up.
struct SampleClock {
    start: Ticks,
    rate: u32,
    samples: i64,
}

impl SampleClock {
    fn now(&self) -> Ticks {
        self.start + self.samples * TICKS_PER_SECOND / i64::from(self.rate)
    }

    /// Follows the source's time.
    fn anchor(&mut self, pts: Ticks) {
        let away = pts - self.now();
        if away.abs() > ANCHOR_TOLERANCE {
            self.start = pts;
            self.samples = 0;
        } else {
            self.start = self.start + away / FOLLOW;
        }
    }
}

fn id(codec: AudioCodec) -> codec::Id {
    match codec {
        AudioCodec::Mp3 => codec::Id::MP3,
        AudioCodec::Aac => codec::Id::AAC,
        AudioCodec::AacLatm => codec::Id::AAC_LATM,
        AudioCodec::Ac3 => codec::Id::AC3,
        AudioCodec::Eac3 => codec::Id::EAC3,
        AudioCodec::Opus(_) => codec::Id::OPUS,
    }
}

/// FFmpeg's name of a channel layout.
pub(crate) fn layout_name(layout: u64, channels: usize) -> String {
    let mut name = [0 as std::ffi::c_char; 64];
    // SAFETY: the buffer is as long as is said, and FFmpeg ends what it writes with a 0.
    let name = unsafe {
        ffi::av_get_channel_layout_string(name.as_mut_ptr(), name.len() as i32, channels as i32, layout);
        CStr::from_ptr(name.as_ptr())
    };
    name.to_string_lossy().into_owned()
}

fn set_extradata(context: &mut codec::Context, bytes: &[u8]) -> Result<(), Error> {
    // SAFETY: FFmpeg frees `extradata` with the context; it is allocated as FFmpeg asks, with its padding zeroed.
    unsafe {
        let copy = ffi::av_mallocz(bytes.len() + ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize).cast::<u8>();
        if copy.is_null() {
            return Err(Error::Other { errno: ffmpeg_next::error::ENOMEM });
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len());
        let context = context.as_mut_ptr();
        (*context).extradata = copy;
        (*context).extradata_size = bytes.len() as i32;
    }
    Ok(())
}
