//! Samples of any format that FFmpeg's audio decoders give, as f32.

use ffmpeg_next::{format::Sample, format::sample::Type, frame};

/// One list a channel; `None` for whole numbers of 64 bits, which no decoder gives for what is live.
pub(super) fn as_f32(frame: &frame::Audio) -> Option<Vec<Vec<f32>>> {
    let channels = usize::from(frame.channels());
    Some(match frame.format() {
        Sample::F32(Type::Planar) => (0..channels).map(|c| frame.plane::<f32>(c).to_vec()).collect(),
        Sample::I16(Type::Planar) => planes(frame, channels, |s: i16| f32::from(s) / 32_768.0),
        Sample::I32(Type::Planar) => planes(frame, channels, |s: i32| s as f32 / 2_147_483_648.0),
        Sample::F64(Type::Planar) => planes(frame, channels, |s: f64| s as f32),
        Sample::U8(Type::Planar) => planes(frame, channels, |s: u8| (f32::from(s) - 128.0) / 128.0),
        Sample::F32(Type::Packed) => packed::<4>(frame, channels, f32::from_ne_bytes),
        Sample::I16(Type::Packed) => packed::<2>(frame, channels, |b| f32::from(i16::from_ne_bytes(b)) / 32_768.0),
        Sample::I32(Type::Packed) => packed::<4>(frame, channels, |b| i32::from_ne_bytes(b) as f32 / 2_147_483_648.0),
        Sample::F64(Type::Packed) => packed::<8>(frame, channels, |b| f64::from_ne_bytes(b) as f32),
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
