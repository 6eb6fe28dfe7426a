//! Audio: one access unit in, runs of f32 samples out.

use std::ffi::CStr;

use ffmpeg_next::{ChannelLayout, Error, Rational, codec, decoder, ffi, format::Sample, format::sample::Type, frame};

use super::opus;
use crate::ts::AudioCodec;
use crate::{AudioFrame, TICKS_PER_SECOND, Ticks};

/// Beyond this the source's time has moved, and the sample counter follows it.
const ANCHOR_TOLERANCE: i64 = TICKS_PER_SECOND / 50;

/// Channels and rates that sound has; damaged frames claim others.
const CHANNELS: std::ops::RangeInclusive<usize> = 1..=8;
const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;

/// Decodes one track of one codec. Rate and layout may change on the way.
pub(crate) struct AudioDecoder {
    decoder: decoder::Audio,
    splitter: Splitter,
    clock: Option<SampleClock>,
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
        Ok(Self { decoder: decoder.audio()?, splitter, clock: None, refused: 0 })
    }

    /// Decodes one access unit; gives how many of its packets were of no use.
    pub fn decode(&mut self, data: &[u8], pts: Option<Ticks>, emit: &mut dyn FnMut(AudioFrame)) -> u64 {
        if let (Some(pts), Some(clock)) = (pts, &mut self.clock) {
            clock.anchor(pts);
        }
        let packets: Vec<Vec<u8>> = match &mut self.splitter {
            Splitter::Opus => opus::packets(data).into_iter().map(<[u8]>::to_vec).collect(),
            Splitter::Parser(parser) => parser.split(&mut self.decoder, data),
            Splitter::None => vec![data.to_vec()],
        };
        let mut useless = u64::from(packets.is_empty());
        for data in packets {
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
        self.reset();
    }

    /// Forgets what it heard: the source's time has jumped.
    pub fn reset(&mut self) {
        self.decoder.flush();
        self.clock = None;
    }

    fn receive(&mut self, pts: Option<Ticks>, emit: &mut dyn FnMut(AudioFrame)) {
        let mut frame = frame::Audio::empty();
        while self.decoder.receive_frame(&mut frame).is_ok() {
            let (rate, samples) = (frame.rate(), frame.samples());
            let Some(channels) = samples_as_f32(&frame) else { continue };
            if samples == 0 {
                continue;
            }
            if !CHANNELS.contains(&channels.len()) || !RATES.contains(&rate) {
                self.refused += 1;
                continue;
            }
            let clock = match &mut self.clock {
                Some(clock) if clock.rate == rate => clock,
                clock => {
                    let start = pts.or(clock.as_ref().map(SampleClock::now)).unwrap_or(Ticks(0));
                    clock.insert(SampleClock { start, rate, samples: 0 })
                }
            };
            let pts = clock.now();
            clock.samples += samples as i64;
            let layout = frame.channel_layout();
            let layout = if layout.channels() as usize == channels.len() {
                layout.bits()
            } else {
                ChannelLayout::default(channels.len() as i32).bits()
            };
            emit(AudioFrame { pts, rate, layout, channels });
        }
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

    /// Follows the source where it is more than 20 ms away from the count.
    fn anchor(&mut self, pts: Ticks) {
        if (pts - self.now()).abs() > ANCHOR_TOLERANCE {
            self.start = pts;
            self.samples = 0;
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

/// Every sample format that FFmpeg's audio decoders give, as one list a channel; `None` for one that is not known.
fn samples_as_f32(frame: &frame::Audio) -> Option<Vec<Vec<f32>>> {
    let channels = usize::from(frame.channels());
    Some(match frame.format() {
        Sample::F32(Type::Planar) => (0..channels).map(|c| frame.plane::<f32>(c).to_vec()).collect(),
        Sample::I16(Type::Planar) => planes(frame, channels, |s: i16| f32::from(s) / 32_768.0),
        Sample::I32(Type::Planar) => planes(frame, channels, |s: i32| s as f32 / 2_147_483_648.0),
        Sample::F32(Type::Packed) => packed::<4>(frame, channels, f32::from_ne_bytes),
        Sample::I16(Type::Packed) => packed::<2>(frame, channels, |b| f32::from(i16::from_ne_bytes(b)) / 32_768.0),
        Sample::I32(Type::Packed) => packed::<4>(frame, channels, |b| i32::from_ne_bytes(b) as f32 / 2_147_483_648.0),
        Sample::U8(Type::Packed) => packed::<1>(frame, channels, |[b]| (f32::from(b) - 128.0) / 128.0),
        _ => return None,
    })
}

fn planes<T: frame::audio::Sample + Copy>(frame: &frame::Audio, channels: usize, scale: fn(T) -> f32) -> Vec<Vec<f32>> {
    (0..channels).map(|c| frame.plane::<T>(c).iter().map(|s| scale(*s)).collect()).collect()
}

fn packed<const N: usize>(frame: &frame::Audio, channels: usize, scale: fn([u8; N]) -> f32) -> Vec<Vec<f32>> {
    let bytes = &frame.data(0)[..frame.samples() * channels * N];
    let (samples, _) = bytes.as_chunks::<N>();
    (0..channels).map(|c| samples.iter().skip(c).step_by(channels).map(|s| scale(*s)).collect()).collect()
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

/// Bytes that FFmpeg may read beyond its input.
const PADDING: usize = ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;

/// FFmpeg's parser of a codec.
struct Parser(std::ptr::NonNull<ffi::AVCodecParserContext>);

// SAFETY: a parser is owned by one decoder and touched by nobody else; FFmpeg ties it to no thread.
unsafe impl Send for Parser {}

impl Parser {
    fn open(id: codec::Id) -> Option<Self> {
        let id: ffi::AVCodecID = id.into();
        // SAFETY: takes a number and gives a parser or null.
        std::ptr::NonNull::new(unsafe { ffi::av_parser_init(id as i32) }).map(Self)
    }

    /// Splits bytes into packets; what is not whole yet stays inside.
    fn split(&mut self, decoder: &mut decoder::Audio, unit: &[u8]) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        let padded = [unit, &[0; PADDING][..]].concat();
        let mut at = 0;
        while at < unit.len() {
            let (used, found) = self.parse(decoder, &padded[at..]);
            let progress = used > 0 || found.is_some();
            packets.extend(found);
            if !progress {
                break;
            }
            at += used;
        }
        packets
    }

    /// The packet whose end only the end of everything tells.
    fn last(&mut self, decoder: &mut decoder::Audio) -> Option<Vec<u8>> {
        self.parse(decoder, &[0; PADDING]).1
    }

    /// Takes bytes that are followed by [`PADDING`] more; gives how many were used and a packet that they completed. No
    /// bytes but the padding say that nothing follows.
    fn parse(&mut self, decoder: &mut decoder::Audio, padded: &[u8]) -> (usize, Option<Vec<u8>>) {
        let length = padded.len() - PADDING;
        let (mut packet, mut size) = (std::ptr::null_mut(), 0);
        // SAFETY: the context and the parser live, the input is padded as FFmpeg asks, and what is given back points into the
        // input or the parser until the next call.
        unsafe {
            let used = ffi::av_parser_parse2(
                self.0.as_ptr(),
                decoder.as_mut_ptr(),
                &mut packet,
                &mut size,
                padded.as_ptr(),
                length as i32,
                ffi::AV_NOPTS_VALUE,
                ffi::AV_NOPTS_VALUE,
                0,
            );
            let found = (size > 0).then(|| std::slice::from_raw_parts(packet, size as usize).to_vec());
            (usize::try_from(used).map_or(length, |used| used.min(length)), found)
        }
    }
}

impl Drop for Parser {
    fn drop(&mut self) {
        // SAFETY: opened by `open` and closed once.
        unsafe { ffi::av_parser_close(self.0.as_ptr()) }
    }
}
