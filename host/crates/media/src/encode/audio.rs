//! Opus with libopus: runs of samples of any rate become packets of 20 ms.

use ffmpeg_next::{
    ChannelLayout, Dictionary, Packet, Rational, codec, encoder, format::Sample, format::sample::Type, frame,
    software::resampling,
};

use crate::error::EncodeError;
use crate::frame::AudioFrame;
use crate::{TICKS_PER_SECOND, Ticks};

/// Opus runs at this rate, whatever the source's.
const RATE: u32 = 48_000;

/// Samples of one channel in a packet: 20 ms.
const PACKET: usize = 960;

/// Ticks of a packet.
const PACKET_TICKS: i64 = PACKET as i64 * TICKS_PER_SECOND / RATE as i64;

/// Beyond this the source's time has moved, and the sample counter follows it.
const ANCHOR_TOLERANCE: i64 = TICKS_PER_SECOND / 50;

/// How audio is encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioConfig {
    /// Bits a second for each channel; 48,000 by default.
    pub channel_bitrate: u32,
    /// libopus' effort, 0 to 10; 5 by default, which costs half as much as 10 and sounds the same at these bitrates.
    pub complexity: u8,
}

impl Default for AudioConfig {
    fn default() -> Self {
        Self { channel_bitrate: 48_000, complexity: 5 }
    }
}

/// Encodes samples of one source rate and layout.
pub(crate) struct AudioEncoder {
    encoder: encoder::audio::Encoder,
    source: (u32, u64, usize),
    layout: ChannelLayout,
    resampler: Option<resampling::Context>,
    /// Interleaved samples that do not fill a packet yet, and the time of the first.
    pending: Vec<f32>,
    start: Option<Ticks>,
}

impl AudioEncoder {
    /// Opens an encoder with the channels of `like`; a layout that Opus has no order for becomes stereo.
    pub fn open(config: &AudioConfig, like: &AudioFrame) -> Result<Self, EncodeError> {
        let source = ChannelLayout::from_bits_truncate(like.layout);
        let (encoder, layout) = match open(config, source) {
            // MPEG-TS has no way to say seven channels of Opus.
            Ok(encoder) if source.channels() != 7 => (encoder, source),
            _ => (open(config, ChannelLayout::STEREO)?, ChannelLayout::STEREO),
        };
        let resampler = if like.rate == RATE && layout == source {
            None
        } else {
            let planar = Sample::F32(Type::Planar);
            let context = resampling::Context::get(planar, source, like.rate, planar, layout, RATE)
                .map_err(EncodeError::run("opening a resampler"))?;
            Some(context)
        };
        Ok(Self { encoder, source: shape(like), layout, resampler, pending: Vec::new(), start: None })
    }

    /// Whether the encoder takes samples like these.
    pub fn fits(&self, frame: &AudioFrame) -> bool {
        self.source == shape(frame)
    }

    /// The codec's parameters, for the muxer.
    pub fn context(&self) -> &codec::Context {
        &self.encoder
    }

    /// Encodes what fills whole packets. A gap of more than 20 ms is closed with silence up to the packet's end, and
    /// counting starts anew after it. Samples that begin more than 20 ms before the end of the last are not heard: times do
    /// not go back.
    pub fn encode(&mut self, frame: &AudioFrame, emit: &mut dyn FnMut(Packet)) -> Result<(), EncodeError> {
        let step = self.end().map(|end| frame.pts - end);
        if step.is_some_and(|step| step < -ANCHOR_TOLERANCE) {
            return Ok(());
        }
        if step.is_none_or(|step| step > ANCHOR_TOLERANCE) {
            self.flush_pending(emit)?;
            // The silence may reach beyond this frame's start.
            self.start = Some(self.start.map_or(frame.pts, |start| start.max(frame.pts)));
        }
        match self.resample(frame)? {
            Some(resampled) => interleave(
                &(0..resampled.planes()).map(|c| resampled.plane::<f32>(c)).collect::<Vec<_>>(),
                &mut self.pending,
            ),
            None => interleave(&frame.channels.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut self.pending),
        }
        let step = PACKET * self.layout.channels() as usize;
        while self.pending.len() >= step {
            let rest = self.pending.split_off(step);
            let packet = std::mem::replace(&mut self.pending, rest);
            self.send(&packet, emit)?;
        }
        Ok(())
    }

    /// Encodes the rest, filled up with silence, and what the encoder held back.
    pub fn finish(mut self, emit: &mut dyn FnMut(Packet)) -> Result<(), EncodeError> {
        self.flush_pending(emit)?;
        self.encoder.send_eof().map_err(EncodeError::run("ending the audio encoder"))?;
        self.receive(emit)
    }

    /// The time after the last pending sample.
    fn end(&self) -> Option<Ticks> {
        let samples = self.pending.len() / self.layout.channels().max(1) as usize;
        self.start.map(|start| start + samples as i64 * TICKS_PER_SECOND / i64::from(RATE))
    }

    fn flush_pending(&mut self, emit: &mut dyn FnMut(Packet)) -> Result<(), EncodeError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut packet = std::mem::take(&mut self.pending);
        packet.resize(PACKET * self.layout.channels() as usize, 0.0);
        self.send(&packet, emit)
    }

    fn resample(&mut self, frame: &AudioFrame) -> Result<Option<frame::Audio>, EncodeError> {
        let Some(resampler) = &mut self.resampler else { return Ok(None) };
        let layout = ChannelLayout::from_bits_truncate(frame.layout);
        let mut input = frame::Audio::new(Sample::F32(Type::Planar), frame.samples(), layout);
        input.set_rate(frame.rate);
        for (index, channel) in frame.channels.iter().enumerate() {
            input.plane_mut::<f32>(index).copy_from_slice(channel);
        }
        // Room for everything at once: what the resampler held back is at most some hundred samples.
        let room = frame.samples() as u64 * u64::from(RATE) / u64::from(frame.rate.max(1)) + 1024;
        let mut output = frame::Audio::new(Sample::F32(Type::Planar), room as usize, self.layout);
        output.set_rate(RATE);
        resampler.run(&input, &mut output).map_err(EncodeError::run("resampling audio"))?;
        Ok(Some(output))
    }

    fn send(&mut self, packet: &[f32], emit: &mut dyn FnMut(Packet)) -> Result<(), EncodeError> {
        let mut samples = frame::Audio::new(Sample::F32(Type::Packed), PACKET, self.layout);
        samples.set_rate(RATE);
        samples.set_pts(self.start.map(|start| start.0));
        for (bytes, sample) in samples.data_mut(0).as_chunks_mut::<4>().0.iter_mut().zip(packet) {
            *bytes = sample.to_ne_bytes();
        }
        self.start = self.start.map(|start| start + PACKET_TICKS);
        self.encoder.send_frame(&samples).map_err(EncodeError::run("encoding audio"))?;
        self.receive(emit)
    }

    fn receive(&mut self, emit: &mut dyn FnMut(Packet)) -> Result<(), EncodeError> {
        let mut packet = Packet::empty();
        while self.encoder.receive_packet(&mut packet).is_ok() {
            emit(std::mem::replace(&mut packet, Packet::empty()));
        }
        Ok(())
    }
}

fn shape(frame: &AudioFrame) -> (u32, u64, usize) {
    (frame.rate, frame.layout, frame.channels.len())
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
    let found = encoder::find_by_name("libopus").ok_or(EncodeError::NoEncoder("libopus"))?;
    let failed =
        |source| EncodeError::Open { encoder: "Opus", what: format!("{} channels", layout.channels()), source };
    let mut audio = codec::Context::new_with_codec(found).encoder().audio().map_err(failed)?;
    audio.set_rate(RATE as i32);
    audio.set_channel_layout(layout);
    audio.set_format(Sample::F32(Type::Packed));
    audio.set_time_base(Rational(1, TICKS_PER_SECOND as i32));
    audio.set_bit_rate(config.channel_bitrate as usize * layout.channels() as usize);
    let mut options = Dictionary::new();
    options.set("compression_level", &config.complexity.min(10).to_string());
    options.set("frame_duration", "20");
    audio.open_with(options).map_err(failed)
}
