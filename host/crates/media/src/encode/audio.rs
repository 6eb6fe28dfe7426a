//! Opus with libopus, or AAC with FFmpeg's own encoder: runs of samples of any rate become packets of one length.

use ffmpeg_next::{
    ChannelLayout, Dictionary, Packet, Rational, codec, encoder, format::Sample, format::sample::Type, frame,
    software::resampling,
};

use super::layout::Layouts;
use crate::error::EncodeError;
use crate::frame::AudioFrame;
use crate::time::ANCHOR_TOLERANCE;
use crate::{TICKS_PER_SECOND, Ticks};

/// Sound goes out at this rate, whatever the source's: Opus knows no other.
const RATE: u32 = 48_000;

/// The share of a small difference that the packets' times follow with each run of samples. So they go on with the source's
/// clock, however it drifts against its samples, and no sample is added or left out.
const FOLLOW: i64 = 8;

/// How audio is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AudioEncoding {
    /// Opus, in packets of 20 ms.
    #[default]
    Opus,
    /// AAC-LC in ADTS, in packets of 1024 samples.
    Aac,
}

/// How audio is encoded, and how well.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioConfig {
    /// The codec.
    pub encoding: AudioEncoding,
    /// Bits a second for each channel; where nothing is said, 48,000 of Opus and 80,000 of AAC.
    pub channel_bitrate: Option<u32>,
    /// libopus' effort, 0 to 10; 5 by default, which costs half as much as 10 and sounds the same at these bitrates.
    pub complexity: u8,
}

impl Default for AudioConfig {
    fn default() -> Self {
        Self { encoding: AudioEncoding::default(), channel_bitrate: None, complexity: 5 }
    }
}

/// Rate, layout and number of channels of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    rate: u32,
    layout: u64,
    channels: usize,
}

impl Shape {
    pub fn of(frame: &AudioFrame) -> Self {
        Self { rate: frame.rate, layout: frame.layout, channels: frame.channels.len() }
    }
}

/// Encodes samples of one shape.
pub(crate) struct AudioEncoder {
    encoder: encoder::audio::Encoder,
    source: Shape,
    layouts: Layouts,
    resampler: Option<resampling::Context>,
    /// Samples of one channel in a packet.
    packet: usize,
    /// Interleaved samples that do not fill a packet yet, and the time of the first.
    pending: Vec<f32>,
    start: Option<Ticks>,
    /// Time of the first packet's first sample.
    first: Option<Ticks>,
}

impl AudioEncoder {
    /// Opens an encoder for sound of a shape, with its channels or the nearest that the codec has.
    pub fn open(config: &AudioConfig, source: Shape) -> Result<Self, EncodeError> {
        let mut layouts = Layouts::of(ChannelLayout::from_bits_truncate(source.layout), config.encoding);
        let encoder = open(config, layouts.target)?;
        let planar = Sample::F32(Type::Planar);
        let resampler = if source.rate == RATE && layouts.source == layouts.target {
            None
        } else {
            let open = |from| resampling::Context::get(planar, from, source.rate, planar, layouts.target, RATE);
            let context = open(layouts.source).or_else(|_| {
                // It mixes none without a speaker in front: such channels count as the usual layout of their number.
                let usual = ChannelLayout::default(source.channels as i32);
                open(usual).inspect(|_| layouts.source = usual)
            });
            Some(context.map_err(EncodeError::run("opening a resampler"))?)
        };
        let packet = (encoder.frame_size() as usize).max(1);
        Ok(Self { encoder, source, layouts, resampler, packet, pending: Vec::new(), start: None, first: None })
    }

    /// Says where earlier sound has ended; what begins before that is not heard. Of use before the first samples alone.
    pub fn follow(&mut self, end: Ticks) {
        self.start = self.start.or(Some(end));
    }

    /// Whether the encoder takes samples like these.
    pub fn fits(&self, frame: &AudioFrame) -> bool {
        self.source == Shape::of(frame)
    }

    /// The codec's parameters, for the muxer.
    pub fn context(&self) -> &codec::Context {
        &self.encoder
    }

    /// Encodes what fills whole packets. A gap of more than 15 ms is closed with silence up to the packet's end, and
    /// counting starts anew after it. Samples that begin more than 15 ms before the end of the last are not heard, as times do
    /// not go back; then it gives `false`.
    pub fn encode(&mut self, frame: &AudioFrame, emit: &mut dyn FnMut(Packet)) -> Result<bool, EncodeError> {
        match (self.start, self.end().map_or(0, |end| frame.pts - end)) {
            (Some(_), step) if step < -ANCHOR_TOLERANCE => return Ok(false),
            (Some(_), step) if step > ANCHOR_TOLERANCE => {
                self.flush_pending(emit)?;
                // The silence may reach beyond this frame's start.
                self.start = self.start.map(|start| start.max(frame.pts));
            }
            (Some(start), step) => self.start = Some(start + step / FOLLOW),
            (None, _) => self.start = Some(frame.pts),
        }
        match self.resample(frame)? {
            Some(resampled) => interleave(
                &(0..resampled.planes()).map(|c| resampled.plane::<f32>(c)).collect::<Vec<_>>(),
                &mut self.pending,
            ),
            None => interleave(&frame.channels.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut self.pending),
        }
        let step = self.packet * self.channels();
        while self.pending.len() >= step {
            let rest = self.pending.split_off(step);
            let packet = std::mem::replace(&mut self.pending, rest);
            self.send(&packet, emit)?;
        }
        Ok(true)
    }

    /// Encodes the rest, filled up with silence, and what the encoder held back; gives the time at which it ends. The last of
    /// Opus, less than half a packet, is left out: it would reach into what follows.
    pub fn finish(mut self, emit: &mut dyn FnMut(Packet)) -> Result<Option<Ticks>, EncodeError> {
        self.flush_pending(emit)?;
        self.encoder.send_eof().map_err(EncodeError::run("ending the audio encoder"))?;
        let latest = self.start.map(|end| end + -self.packet_ticks() / 2);
        self.receive(&mut |packet| {
            if packet.pts().zip(latest).is_none_or(|(pts, latest)| Ticks(pts) < latest) {
                emit(packet);
            }
        })?;
        Ok(self.start)
    }

    fn packet_ticks(&self) -> i64 {
        self.packet as i64 * TICKS_PER_SECOND / i64::from(RATE)
    }

    fn channels(&self) -> usize {
        self.layouts.target.channels().max(1) as usize
    }

    /// The time after the last sample, pending or in the resampler.
    fn end(&self) -> Option<Ticks> {
        let inside = self.resampler.as_ref().and_then(resampling::Context::delay).map_or(0, |delay| delay.output);
        let samples = (self.pending.len() / self.channels()) as i64 + inside;
        self.start.map(|start| start + samples * TICKS_PER_SECOND / i64::from(RATE))
    }

    fn flush_pending(&mut self, emit: &mut dyn FnMut(Packet)) -> Result<(), EncodeError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut packet = std::mem::take(&mut self.pending);
        packet.resize(self.packet * self.channels(), 0.0);
        self.send(&packet, emit)
    }

    fn resample(&mut self, frame: &AudioFrame) -> Result<Option<frame::Audio>, EncodeError> {
        let Some(resampler) = &mut self.resampler else { return Ok(None) };
        let mut input = frame::Audio::new(Sample::F32(Type::Planar), frame.samples(), self.layouts.source);
        input.set_rate(frame.rate);
        for (index, channel) in frame.channels.iter().enumerate() {
            input.plane_mut::<f32>(index).copy_from_slice(channel);
        }
        // Room for everything at once: what the resampler held back is at most some hundred samples.
        let room = frame.samples() as u64 * u64::from(RATE) / u64::from(frame.rate.max(1)) + 1024;
        let mut output = frame::Audio::new(Sample::F32(Type::Planar), room as usize, self.layouts.target);
        output.set_rate(RATE);
        resampler.run(&input, &mut output).map_err(EncodeError::run("resampling audio"))?;
        Ok(Some(output))
    }

    fn send(&mut self, packet: &[f32], emit: &mut dyn FnMut(Packet)) -> Result<(), EncodeError> {
        let mut samples = frame::Audio::new(self.encoder.format(), self.packet, self.layouts.target);
        samples.set_rate(RATE);
        samples.set_pts(self.start.map(|start| start.0));
        match self.encoder.format() {
            Sample::F32(Type::Planar) => {
                for channel in 0..self.channels() {
                    let of_channel = packet.iter().skip(channel).step_by(self.channels());
                    samples.plane_mut::<f32>(channel).iter_mut().zip(of_channel).for_each(|(to, from)| *to = *from);
                }
            }
            _ => {
                for (bytes, sample) in samples.data_mut(0).as_chunks_mut::<4>().0.iter_mut().zip(packet) {
                    *bytes = sample.to_ne_bytes();
                }
            }
        }
        self.first = self.first.or(self.start);
        let end = self.start.map(|start| start + self.packet_ticks());
        self.start = end;
        self.encoder.send_frame(&samples).map_err(EncodeError::run("encoding audio"))?;
        self.receive(emit)
    }

    /// Gives what is ready. The first packet of AAC holds what the encoder hears before the first sample: it is left out, and
    /// those after it have the times of their samples.
    fn receive(&mut self, emit: &mut dyn FnMut(Packet)) -> Result<(), EncodeError> {
        let mut packet = Packet::empty();
        while self.encoder.receive_packet(&mut packet).is_ok() {
            let packet = std::mem::replace(&mut packet, Packet::empty());
            let ends = packet.pts().map(|pts| Ticks(pts + packet.duration()));
            // A tick may have been rounded.
            if ends.zip(self.first).is_none_or(|(ends, first)| ends - first > 2) {
                emit(packet);
            }
        }
        Ok(())
    }
}

fn interleave(channels: &[&[f32]], samples: &mut Vec<f32>) {
    let length = channels.iter().map(|channel| channel.len()).min().unwrap_or(0);
    samples.reserve(length * channels.len());
    for index in 0..length {
        samples.extend(channels.iter().map(|channel| {
            let sample = channel[index];
            if sample.is_finite() { sample } else { 0.0 }
        }));
    }
}

fn open(config: &AudioConfig, layout: ChannelLayout) -> Result<encoder::audio::Encoder, EncodeError> {
    let (name, format, bitrate) = match config.encoding {
        AudioEncoding::Opus => ("libopus", Sample::F32(Type::Packed), 48_000),
        AudioEncoding::Aac => ("aac", Sample::F32(Type::Planar), 80_000),
    };
    let found = encoder::find_by_name(name).ok_or(EncodeError::NoEncoder(name))?;
    let failed = |source| EncodeError::Open { encoder: name, what: format!("{} channels", layout.channels()), source };
    let mut audio = codec::Context::new_with_codec(found).encoder().audio().map_err(failed)?;
    audio.set_rate(RATE as i32);
    audio.set_channel_layout(layout);
    audio.set_format(format);
    audio.set_time_base(Rational(1, TICKS_PER_SECOND as i32));
    audio.set_bit_rate(config.channel_bitrate.unwrap_or(bitrate) as usize * layout.channels() as usize);
    let mut options = Dictionary::new();
    if config.encoding == AudioEncoding::Opus {
        options.set("compression_level", &config.complexity.min(10).to_string());
        options.set("frame_duration", "20");
    }
    audio.open_with(options).map_err(failed)
}
