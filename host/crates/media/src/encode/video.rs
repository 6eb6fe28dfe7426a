//! H.264 with libx264, one frame in, its packet out.

use ffmpeg_next::{Dictionary, Packet, Rational, codec, color, encoder, format::Pixel, picture};

use crate::effort::Effort;
use crate::error::EncodeError;
use crate::frame::{Color, ColorMatrix, ColorRange, Presentation, VideoFrame};
use crate::{TICKS_PER_SECOND, Ticks};

/// Pictures larger than this are encoded by several threads, in slices, to stay within a frame's time.
const ONE_THREAD_PIXELS: u32 = 1280 * 720;

/// What bounds the encoder's bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RateControl {
    /// Constant quality, 0 (lossless) to 51; 23 by default.
    Crf(u8),
    /// Bits a second, on average and within a buffer of one second.
    Bitrate(u32),
}

/// How video is encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoConfig {
    /// Quality or bitrate.
    pub rate: RateControl,
    /// x264's preset; `superfast` by default.
    pub preset: String,
}

impl Default for VideoConfig {
    fn default() -> Self {
        Self { rate: RateControl::Crf(23), preset: "superfast".to_owned() }
    }
}

/// Encodes pictures of one size and color, to be shown in one way.
pub(crate) struct VideoEncoder {
    encoder: encoder::video::Encoder,
    size: (u32, u32),
    color: Color,
    presentation: Presentation,
    effort: Effort,
    bits: Option<Bits>,
}

/// Pictures a second that x264 counts on, whatever their times are, to share out the bits.
const COUNTED_RATE: i32 = 30;

/// Bits a second that pictures are to have, at the rate at which they come.
struct Bits {
    wanted: u32,
    /// When the last picture was, and ticks from one to the next, lately.
    last: Option<Ticks>,
    interval: i64,
    /// The interval that the encoder's settings are for.
    set: i64,
}

impl Bits {
    fn new(wanted: u32) -> Self {
        let counted = TICKS_PER_SECOND / i64::from(COUNTED_RATE);
        Self { wanted, last: None, interval: counted, set: counted }
    }

    /// Takes a picture's time; gives what the encoder is to be set to, where that changes: bits for 30 pictures.
    fn next(&mut self, pts: Ticks) -> Option<i64> {
        let step = self.last.replace(pts).map_or(0, |last| pts - last);
        if (1..=TICKS_PER_SECOND).contains(&step) {
            self.interval += (step - self.interval) / 4;
        }
        if (self.interval - self.set).abs() <= self.set / 8 {
            return None;
        }
        self.set = self.interval;
        Some(i64::from(self.wanted) * self.interval * i64::from(COUNTED_RATE) / TICKS_PER_SECOND)
    }
}

impl VideoEncoder {
    /// Opens an encoder of pictures like this one.
    pub fn open(config: &VideoConfig, effort: Effort, frame: &VideoFrame) -> Result<Self, EncodeError> {
        let VideoFrame { picture, presentation, .. } = frame;
        let (width, height, color) = (picture.width(), picture.height(), picture.color());
        let found = encoder::find_by_name("libx264").ok_or(EncodeError::NoEncoder("libx264"))?;
        let mut context = codec::Context::new_with_codec(found);
        let count = if width * height > ONE_THREAD_PIXELS { threads() } else { 1 };
        context.set_threading(codec::threading::Config {
            kind: codec::threading::Type::Slice,
            count,
            ..Default::default()
        });
        let failed = |source| EncodeError::Open { encoder: "H.264", what: format!("{width}×{height}"), source };
        let mut video = context.encoder().video().map_err(failed)?;
        video.set_width(width);
        video.set_height(height);
        video.set_format(Pixel::YUV420P);
        video.set_time_base(Rational(1, TICKS_PER_SECOND as i32));
        video.set_frame_rate(Some(Rational(COUNTED_RATE, 1)));
        video.set_max_b_frames(0);
        // Key frames are asked for, never the encoder's own idea.
        video.set_gop(u32::from(u16::MAX));
        tag(&mut video, color, *presentation);
        let encoder = video.open_with(options(config, effort)).map_err(failed)?;
        let bits = match config.rate {
            RateControl::Crf(_) => None,
            RateControl::Bitrate(wanted) => Some(Bits::new(wanted)),
        };
        Ok(Self { encoder, size: (width, height), color, presentation: *presentation, effort, bits })
    }

    /// Whether the encoder takes pictures like this one.
    pub fn fits(&self, frame: &VideoFrame) -> bool {
        self.size == (frame.picture.width(), frame.picture.height())
            && self.color == frame.picture.color()
            && self.presentation == frame.presentation
    }

    /// The effort with which pictures are encoded.
    pub fn effort(&self) -> Effort {
        self.effort
    }

    /// The codec's parameters, for the muxer.
    pub fn context(&self) -> &codec::Context {
        &self.encoder
    }

    /// Encodes a frame; `key` makes it an IDR.
    pub fn encode(&mut self, frame: &VideoFrame, key: bool, emit: &mut dyn FnMut(Packet)) -> Result<(), EncodeError> {
        let mut picture = frame.picture.reference().map_err(EncodeError::run("sharing a picture"))?;
        if let Some(bits) = self.bits.as_mut().and_then(|bits| bits.next(frame.pts)) {
            self.set_bits(bits);
        }
        picture.set_pts(Some(frame.pts.0));
        picture.set_format(Pixel::YUV420P);
        picture.set_kind(if key { picture::Type::I } else { picture::Type::None });
        self.encoder.send_frame(&picture).map_err(EncodeError::run("encoding a picture"))?;
        self.receive(emit)
    }

    /// libx264 takes what has changed in its context with the next picture. The buffer stays: it is one second's bits, however many
    /// pictures share them.
    fn set_bits(&mut self, bits: i64) {
        // SAFETY: the context lives, and nobody else uses it meanwhile; these are numbers.
        unsafe {
            let context = self.encoder.as_mut_ptr();
            ((*context).bit_rate, (*context).rc_max_rate) = (bits, bits);
        }
    }

    /// Gives what the encoder held back; it takes no more frames.
    pub fn finish(mut self, emit: &mut dyn FnMut(Packet)) -> Result<(), EncodeError> {
        self.encoder.send_eof().map_err(EncodeError::run("ending the video encoder"))?;
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

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4))
}

fn options(config: &VideoConfig, effort: Effort) -> Dictionary<'static> {
    let mut options = Dictionary::new();
    match effort {
        Effort::Full => options.set("preset", &config.preset),
        Effort::Reduced => {
            options.set("preset", "ultrafast");
            // Of what `ultrafast` leaves out, these cost least and are seen most.
            options.set("x264-params", "subme=1:aq-mode=1");
        }
    }
    options.set("tune", "zerolatency");
    options.set("forced-idr", "1");
    match config.rate {
        RateControl::Crf(crf) => options.set("crf", &crf.min(51).to_string()),
        RateControl::Bitrate(bits) => {
            for key in ["b", "maxrate", "bufsize"] {
                options.set(key, &bits.to_string());
            }
        }
    }
    options
}

/// Says how the pictures are to be shown: where the source did not, as is usual with the matrix.
fn tag(video: &mut encoder::video::Video, color: Color, presentation: Presentation) {
    video.set_aspect_ratio((presentation.pixel_aspect.0 as i32, presentation.pixel_aspect.1 as i32));
    video.set_color_range(match color.range {
        ColorRange::Limited => color::Range::MPEG,
        ColorRange::Full => color::Range::JPEG,
    });
    let (space, primaries, transfer) = match color.matrix {
        ColorMatrix::Bt601 => {
            (color::Space::SMPTE170M, color::Primaries::SMPTE170M, color::TransferCharacteristic::SMPTE170M)
        }
        ColorMatrix::Bt709 => (color::Space::BT709, color::Primaries::BT709, color::TransferCharacteristic::BT709),
        ColorMatrix::Bt2020 => {
            (color::Space::BT2020NCL, color::Primaries::BT2020, color::TransferCharacteristic::BT2020_10)
        }
    };
    video.set_colorspace(space);
    video.set_color_primaries(primaries);
    video.set_color_transfer_characteristic(transfer);
    // SAFETY: the context lives. The numbers are among those that FFmpeg's enums have.
    unsafe {
        let context = video.as_mut_ptr();
        if let Some(primaries) = presentation.primaries {
            (&raw mut (*context).color_primaries).cast::<u32>().write(primaries.into());
        }
        if let Some(transfer) = presentation.transfer {
            (&raw mut (*context).color_trc).cast::<u32>().write(transfer.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Picture;

    /// Bits a second of the second half of four seconds of pictures that have nothing in common.
    fn bits_at(pictures_a_second: i64, wanted: u32) -> f64 {
        crate::init();
        let config = VideoConfig { rate: RateControl::Bitrate(wanted), ..VideoConfig::default() };
        let color = Color { matrix: ColorMatrix::Bt601, range: ColorRange::Limited };
        let (width, height) = (320_u32, 180_u32);
        let picture = |number: i64| {
            let noise = |seed: usize, count: usize| -> Vec<u8> {
                (0..count).map(|at| ((at ^ seed).wrapping_mul(0x9e37_79b9) >> 13) as u8).collect()
            };
            let (luma, chroma) =
                (noise(number as usize * 7919, (width * height) as usize), vec![128; (width * height / 4) as usize]);
            let half = width as usize / 2;
            Picture::from_planes(width, height, [(&luma, width as usize), (&chroma, half), (&chroma, half)], color)
                .unwrap()
        };
        let frame = |number: i64| VideoFrame {
            pts: Ticks(number * TICKS_PER_SECOND / pictures_a_second),
            key: number == 0,
            picture: picture(number),
            presentation: Presentation::default(),
        };
        let mut encoder = VideoEncoder::open(&config, Effort::Full, &frame(0)).unwrap();
        let mut bytes = 0;
        for number in 0..4 * pictures_a_second {
            let frame = frame(number);
            let counts = number >= 2 * pictures_a_second;
            encoder.encode(&frame, frame.key, &mut |packet| bytes += if counts { packet.size() } else { 0 }).unwrap();
        }
        bytes as f64 * 8.0 / 2.0
    }

    /// Catches bits that are shared out as if all sources had 30 pictures a second.
    #[test]
    fn the_bitrate_is_that_of_the_pictures_own_rate() {
        // A second's buffer has room for few pictures, where there are few a second: x264 keeps more of it free.
        for (rate, least) in [(5, 1_200_000.0), (15, 1_500_000.0), (30, 1_500_000.0), (60, 1_500_000.0)] {
            let bits = bits_at(rate, 2_000_000);
            assert!((least..2_500_000.0).contains(&bits), "{bits} bits/s at {rate} pictures/s");
        }
    }
}
