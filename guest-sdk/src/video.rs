//! Video frames, owned by the host: the processor pulls pixels and pushes a new picture.

use std::fmt;
use std::ops::Deref;

use crate::imports::video as host;
use crate::{Refusal, Timestamp};

/// How bytes of a picture of width W and height H, even in the host, are laid out. Rows are not padded; CW = W/2 and
/// CH = H/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Planes Y (W×H), Cb (CW×CH), Cr (CW×CH), one after the other, 8 bits a sample.
    I420,
    /// Plane Y (W×H), then Cb and Cr interleaved (2·CW×CH), 8 bits a sample.
    Nv12,
    /// R, G, B, A: 4 bytes a pixel. Alpha is 255 in what the host gives and ignored in what it takes.
    Rgba8,
    /// R, G, B: 3 bytes a pixel.
    Rgb8,
    /// Luma alone, as in the plane Y. A picture replaced in this format is gray.
    Gray8,
}

/// The coefficients between Y′CbCr and R′G′B′.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColorMatrix {
    /// ITU-R BT.601, standard definition.
    Bt601,
    /// ITU-R BT.709, high definition.
    Bt709,
    /// ITU-R BT.2020 with non-constant luminance.
    Bt2020,
}

/// The values that planes span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColorRange {
    /// Luma 16–235, chroma 16–240.
    Limited,
    /// 0–255.
    Full,
}

/// How the planes of a frame are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Color {
    /// Between planes and RGB.
    pub matrix: ColorMatrix,
    /// What the planes span.
    pub range: ColorRange,
}

/// A decoded picture with its time, during one call of [`process_video`](crate::Processor::process_video).
pub struct VideoFrame<'a>(Handle<'a>);

/// A source picture kept beyond its call, for effects over time. Its bytes count against the processor's memory until it is
/// dropped. It reads like a [`VideoFrame`] and cannot be replaced.
#[derive(Debug)]
pub struct RetainedVideoFrame(VideoFrame<'static>);

enum Handle<'a> {
    Borrowed(&'a host::Handle),
    Owned(host::Handle),
}

impl<'a> VideoFrame<'a> {
    pub(crate) fn borrowed(handle: &'a host::Handle) -> Self {
        Self(Handle::Borrowed(handle))
    }

    /// Pixels a row: even, ≥ 2.
    pub fn width(&self) -> u32 {
        host::width(self.handle())
    }

    /// Rows: even, ≥ 2.
    pub fn height(&self) -> u32 {
        host::height(self.handle())
    }

    /// The format that the host holds: [`pixels`](Self::pixels) in it needs no conversion.
    pub fn format(&self) -> PixelFormat {
        host::format(self.handle())
    }

    /// What the host converts by where pixels cross between planes and RGB.
    pub fn color(&self) -> Color {
        host::color(self.handle())
    }

    /// When the frame is presented. It does not change, whatever picture replaces this one.
    pub fn timestamp(&self) -> Timestamp {
        host::timestamp(self.handle())
    }

    /// The source picture in `format`, [`PixelFormat::bytes`] of them: one copy. A staged picture is not seen here.
    ///
    /// Work in place in what this returns and hand it to [`replace_pixels`](Self::replace_pixels): memory is then
    /// allocated once a frame.
    pub fn pixels(&self, format: PixelFormat) -> Result<Vec<u8>, Refusal> {
        host::pixels(self.handle(), format)
    }

    /// Stages a new picture of any even size up to the host's limit; the last one counts. It is shown only when
    /// `process_video` ends with [`VideoOutcome::Replaced`](crate::VideoOutcome::Replaced).
    ///
    /// [`Refusal::Invalid`] when `data` is not as long as size and format ask or when a side is odd or 0,
    /// [`Refusal::Limit`] when the picture is larger than the host allows.
    pub fn replace_pixels(&mut self, format: PixelFormat, width: u32, height: u32, data: &[u8]) -> Result<(), Refusal> {
        host::replace_pixels(self.handle(), format, width, height, data)
    }

    /// Keeps the source picture beyond this call; [`Refusal::Limit`] when there is no room for it.
    pub fn retain(&self) -> Result<RetainedVideoFrame, Refusal> {
        host::retain(self.handle()).map(|handle| RetainedVideoFrame(VideoFrame(Handle::Owned(handle))))
    }

    pub(crate) fn handle(&self) -> &host::Handle {
        match &self.0 {
            Handle::Borrowed(handle) => handle,
            Handle::Owned(handle) => handle,
        }
    }
}

impl fmt::Debug for VideoFrame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VideoFrame")
            .field("width", &self.width())
            .field("height", &self.height())
            .field("timestamp", &self.timestamp())
            .finish_non_exhaustive()
    }
}

impl Deref for RetainedVideoFrame {
    type Target = VideoFrame<'static>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
