//! Pictures to feed a processor with and to look at afterwards.

use super::convert;
use crate::{Color, ColorMatrix, ColorRange, PixelFormat};

/// Pixels with what they mean. Rows are not padded; sides may be odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    format: PixelFormat,
    width: u32,
    height: u32,
    color: Color,
    data: Vec<u8>,
}

impl Picture {
    /// A picture of these bytes; its planes are meant as BT.709 from 720 rows on and else as BT.601, in limited range.
    ///
    /// # Panics
    /// When `data` is not [`PixelFormat::bytes`] long, or a side is 0.
    pub fn from_bytes(format: PixelFormat, width: u32, height: u32, data: Vec<u8>) -> Self {
        assert!(width > 0 && height > 0, "a side is 0");
        assert_eq!(data.len(), format.bytes(width, height), "bytes of {width}×{height} {format:?}");
        let matrix = if height >= 720 { ColorMatrix::Bt709 } else { ColorMatrix::Bt601 };
        Self { format, width, height, color: Color { matrix, range: ColorRange::Limited }, data }
    }

    /// One colour, given as red, green, blue.
    ///
    /// # Panics
    /// When a side is 0.
    pub fn solid(format: PixelFormat, width: u32, height: u32, rgb: [u8; 3]) -> Self {
        Self::from_rgb(format, width, height, |_, _| rgb)
    }

    /// Red grows from left to right, green from top to bottom, each from 0 to 255; blue is 128 all over.
    ///
    /// # Panics
    /// When a side is 0.
    pub fn gradient(format: PixelFormat, width: u32, height: u32) -> Self {
        let grown = |at: u32, side: u32| (at * 255 / (side - 1).max(1)) as u8;
        Self::from_rgb(format, width, height, |x, y| [grown(x, width), grown(y, height), 128])
    }

    /// A colour for each column and row.
    ///
    /// # Panics
    /// When a side is 0.
    pub fn from_rgb(
        format: PixelFormat,
        width: u32,
        height: u32,
        mut color_at: impl FnMut(u32, u32) -> [u8; 3],
    ) -> Self {
        let data = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let data = data.flat_map(|(x, y)| color_at(x, y)).collect();
        Self::from_bytes(PixelFormat::Rgb8, width, height, data).to(format)
    }

    /// The same bytes, meant differently.
    pub fn with_color(self, color: Color) -> Self {
        Self { color, ..self }
    }

    /// This picture in another format, by its own [`Color`]. Planes to planes and RGB to RGB lose nothing.
    pub fn to(&self, format: PixelFormat) -> Self {
        Self { format, data: convert::to(self, format), ..*self }
    }

    /// Red, green and blue at a column and a row.
    ///
    /// # Panics
    /// Outside the picture.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        assert!(x < self.width && y < self.height, "({x}, {y}) is outside {}×{}", self.width, self.height);
        convert::rgb(self)[y as usize * self.width as usize + x as usize]
    }

    /// How the bytes are laid out.
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// Pixels a row.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// How planes are meant.
    pub fn color(&self) -> Color {
        self.color
    }

    /// The bytes, [`PixelFormat::bytes`] of them.
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}
