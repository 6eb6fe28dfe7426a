//! Frames: planes and samples with their times.

use std::sync::Arc;

use ffmpeg_next::{ffi, format::Pixel, frame};
use thiserror::Error;

use crate::Ticks;

/// How the bytes of a picture are laid out when they are outside FFmpeg; rows are not padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelFormat {
    /// Planes Y, Cb, Cr, chroma halved both ways (rounded up).
    I420,
    /// Plane Y, then Cb and Cr interleaved.
    Nv12,
    /// 4 bytes a pixel.
    Rgba8,
    /// 3 bytes a pixel.
    Rgb8,
    /// Luma alone.
    Gray8,
}

impl PixelFormat {
    /// Bytes of a picture of `width` × `height`.
    pub fn bytes(self, width: u32, height: u32) -> usize {
        let (w, h) = (width as usize, height as usize);
        let chroma = w.div_ceil(2) * h.div_ceil(2);
        match self {
            Self::I420 | Self::Nv12 => w * h + 2 * chroma,
            Self::Rgba8 => w * h * 4,
            Self::Rgb8 => w * h * 3,
            Self::Gray8 => w * h,
        }
    }
}

/// The coefficients between Y′CbCr and R′G′B′.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorMatrix {
    /// ITU-R BT.601.
    Bt601,
    /// ITU-R BT.709.
    Bt709,
    /// ITU-R BT.2020, non-constant luminance.
    Bt2020,
}

/// Which values stand for black and white.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorRange {
    /// Luma 16–235, chroma 16–240.
    Limited,
    /// 0–255.
    Full,
}

/// How a picture's planes are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color {
    /// Matrix; where the source says nothing, BT.709 from 720 lines and BT.601 below.
    pub matrix: ColorMatrix,
    /// Range; limited where the source says nothing.
    pub range: ColorRange,
}

const BT709: u32 = ffi::AVColorSpace::AVCOL_SPC_BT709 as u32;
const FCC: u32 = ffi::AVColorSpace::AVCOL_SPC_FCC as u32;
const BT470BG: u32 = ffi::AVColorSpace::AVCOL_SPC_BT470BG as u32;
const SMPTE170M: u32 = ffi::AVColorSpace::AVCOL_SPC_SMPTE170M as u32;
const BT2020_NCL: u32 = ffi::AVColorSpace::AVCOL_SPC_BT2020_NCL as u32;
const BT2020_CL: u32 = ffi::AVColorSpace::AVCOL_SPC_BT2020_CL as u32;

impl Color {
    pub(crate) fn of(source: &frame::Video) -> Self {
        // SAFETY: the frame lives. Decoders hand on what streams say, which need not be among the values that the bindings' enums
        // have: it is read as the number that it is.
        let (space, range) = unsafe {
            let frame = source.as_ptr();
            (
                (&raw const (*frame).colorspace).cast::<u32>().read(),
                (&raw const (*frame).color_range).cast::<u32>().read(),
            )
        };
        let matrix = match space {
            BT709 => ColorMatrix::Bt709,
            BT470BG | SMPTE170M | FCC => ColorMatrix::Bt601,
            BT2020_NCL | BT2020_CL => ColorMatrix::Bt2020,
            _ if source.height() >= 720 => ColorMatrix::Bt709,
            _ => ColorMatrix::Bt601,
        };
        let full = match source.format() {
            Pixel::YUVJ420P | Pixel::YUVJ422P | Pixel::YUVJ444P => true,
            // RGB becomes Y′CbCr of the usual range.
            format if is_rgb(format) => false,
            _ => range == ffi::AVColorRange::AVCOL_RANGE_JPEG as u32,
        };
        let range = if full { ColorRange::Full } else { ColorRange::Limited };
        Self { matrix, range }
    }
}

fn is_rgb(format: Pixel) -> bool {
    // SAFETY: a descriptor is static, and its flags are a number.
    format
        .descriptor()
        .is_some_and(|descriptor| unsafe { (*descriptor.as_ptr()).flags } & ffi::AV_PIX_FMT_FLAG_RGB as u64 != 0)
}

/// Why a picture could not be made.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PictureError {
    /// A side is 0, odd, or more than 16384.
    #[error("a picture of {width}×{height} is not possible: sides are even, from 2 to 16384")]
    Size {
        /// Pixels a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// The bytes do not fill the size.
    #[error("{format:?} of {width}×{height} takes {expected} bytes, not {given}")]
    Length {
        /// Layout of the bytes.
        format: PixelFormat,
        /// Pixels a row.
        width: u32,
        /// Rows.
        height: u32,
        /// Bytes that it takes.
        expected: usize,
        /// Bytes that there were.
        given: usize,
    },
    /// No memory for the planes.
    #[error("no memory for a picture of {width}×{height}")]
    Memory {
        /// Pixels a row.
        width: u32,
        /// Rows.
        height: u32,
    },
}

/// Longest side of a picture: x264 takes none that is longer.
const MAX_SIDE: u32 = 16_384;

/// I420 planes, shared and immutable: a clone is one more reference.
#[derive(Clone)]
pub struct Picture {
    planes: Arc<frame::Video>,
    color: Color,
}

impl Picture {
    /// Takes a decoded frame whose format is 4:2:0 of 8 bits.
    pub(crate) fn from_frame(planes: frame::Video, color: Color) -> Self {
        debug_assert!(matches!(planes.format(), Pixel::YUV420P | Pixel::YUVJ420P));
        debug_assert!(planes.width().is_multiple_of(2) && planes.height().is_multiple_of(2));
        Self { planes: Arc::new(planes), color }
    }

    /// Refuses sides that no picture has.
    pub(crate) fn check_size(width: u32, height: u32) -> Result<(), PictureError> {
        let fits = |side: u32| side.is_multiple_of(2) && (2..=MAX_SIDE).contains(&side);
        if fits(width) && fits(height) { Ok(()) } else { Err(PictureError::Size { width, height }) }
    }

    /// Planes to be filled, of even sides.
    pub(crate) fn allocate(width: u32, height: u32) -> Result<frame::Video, PictureError> {
        Self::check_size(width, height)?;
        let planes = frame::Video::new(Pixel::YUV420P, width, height);
        // SAFETY: only asks whether a first plane was allocated.
        if unsafe { planes.is_empty() } {
            return Err(PictureError::Memory { width, height });
        }
        Ok(planes)
    }

    /// A copy of I420 planes, each with the bytes from one row to the next.
    pub fn from_planes(
        width: u32,
        height: u32,
        planes: [(&[u8], usize); 3],
        color: Color,
    ) -> Result<Self, PictureError> {
        let mut made = Self::allocate(width, height)?;
        let sizes = [(width, height), (width / 2, height / 2), (width / 2, height / 2)];
        for (((from, stride), (to, to_stride)), (width, height)) in
            planes.into_iter().zip(planes_mut(&mut made)).zip(sizes)
        {
            let (width, height) = (width as usize, height as usize);
            let needed = stride * (height - 1) + width;
            if stride < width || from.len() < needed {
                let (format, given) = (PixelFormat::Gray8, from.len());
                let (width, height) = (width as u32, height as u32);
                return Err(PictureError::Length { format, width, height, expected: needed, given });
            }
            for (to, from) in to.chunks_mut(to_stride).zip(from.chunks(stride)).take(height) {
                to[..width].copy_from_slice(&from[..width]);
            }
        }
        Ok(Self::from_frame(made, color))
    }

    /// Pixels a row.
    pub fn width(&self) -> u32 {
        self.planes.width()
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.planes.height()
    }

    /// What the planes mean.
    pub fn color(&self) -> Color {
        self.color
    }

    /// Bytes of the planes without padding.
    pub fn bytes(&self) -> usize {
        PixelFormat::I420.bytes(self.width(), self.height())
    }

    /// Plane 0 (Y), 1 (Cb) or 2 (Cr) with its stride in bytes, which may be more than the plane's width.
    pub fn plane(&self, index: usize) -> (&[u8], usize) {
        (self.planes.data(index), self.planes.stride(index))
    }

    /// A frame of FFmpeg's that shares the planes and can be given a time and a type of its own.
    pub(crate) fn reference(&self) -> Result<frame::Video, ffmpeg_next::Error> {
        let mut reference = frame::Video::empty();
        // SAFETY: both frames are valid; `av_frame_ref` adds a reference to the planes, which nobody writes to again.
        match unsafe { ffi::av_frame_ref(reference.as_mut_ptr(), self.planes.as_ptr()) } {
            code if code < 0 => Err(code.into()),
            _ => Ok(reference),
        }
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({}×{}, {:?})", self.width(), self.height(), self.color)
    }
}

/// What a source says of how its pictures are to be shown. Nothing here looks at it: it goes out as it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presentation {
    /// Width of a pixel to its height; equal where the source says nothing.
    pub pixel_aspect: (u32, u32),
    /// Color primaries, numbered as in ITU-T H.273, table 2; `None` where the source says nothing.
    pub primaries: Option<u8>,
    /// Transfer characteristics, numbered as there in table 3.
    pub transfer: Option<u8>,
}

impl Default for Presentation {
    fn default() -> Self {
        Self { pixel_aspect: (1, 1), primaries: None, transfer: None }
    }
}

impl Presentation {
    pub(crate) fn of(source: &frame::Video) -> Self {
        // SAFETY: the frame lives; the values are read as the numbers that they are, as in `Color::of`.
        let (primaries, transfer) = unsafe {
            let frame = source.as_ptr();
            (
                (&raw const (*frame).color_primaries).cast::<u32>().read(),
                (&raw const (*frame).color_trc).cast::<u32>().read(),
            )
        };
        let known = |number: u32, last: u8| u8::try_from(number).ok().filter(|n| *n == 1 || (4..=last).contains(n));
        let aspect = source.aspect_ratio().reduce();
        let pixel_aspect = match (u32::try_from(aspect.numerator()), u32::try_from(aspect.denominator())) {
            (Ok(width), Ok(height)) if is_plausible(width, height) => (width, height),
            _ => (1, 1),
        };
        Self { pixel_aspect, primaries: known(primaries, 12), transfer: known(transfer, 18) }
    }
}

/// Whether pixels may be of this shape; what is beyond is taken for a mistake.
fn is_plausible(width: u32, height: u32) -> bool {
    let most = 16;
    (1..=1 << 16).contains(&width)
        && (1..=1 << 16).contains(&height)
        && width <= height * most
        && height <= width * most
}

/// A picture and when it is shown.
#[derive(Clone, Debug)]
pub struct VideoFrame {
    /// Presentation time.
    pub pts: Ticks,
    /// The source's key frame: the output has one here too, and may start a segment.
    pub key: bool,
    /// The planes.
    pub picture: Picture,
    /// How it is to be shown.
    pub presentation: Presentation,
}

/// Samples of all channels and when the first is heard.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioFrame {
    /// Presentation time of the first sample.
    pub pts: Ticks,
    /// Hertz.
    pub rate: u32,
    /// FFmpeg's channel mask, one bit a channel; the order of `channels`.
    pub layout: u64,
    /// One list of samples a channel, all of one length, nominally −1 to 1.
    pub channels: Vec<Vec<f32>>,
}

impl AudioFrame {
    /// Samples of one channel.
    pub fn samples(&self) -> usize {
        self.channels.first().map_or(0, Vec::len)
    }

    /// FFmpeg's name of the layout, such as `stereo`.
    pub fn layout_name(&self) -> String {
        crate::decode::layout_name(self.layout, self.channels.len())
    }
}

/// The three planes of a frame that nobody else holds, with their strides.
pub(crate) fn planes_mut(planes: &mut frame::Video) -> [(&mut [u8], usize); 3] {
    let lengths: [usize; 3] = std::array::from_fn(|index| planes.data(index).len());
    let strides: [usize; 3] = std::array::from_fn(|index| planes.stride(index));
    // SAFETY: the planes of a frame do not overlap, their lengths are those of `data`, and the borrow of the frame lasts as
    // long as theirs.
    unsafe {
        let frame = planes.as_mut_ptr();
        std::array::from_fn(|index| {
            (std::slice::from_raw_parts_mut((*frame).data[index], lengths[index]), strides[index])
        })
    }
}
