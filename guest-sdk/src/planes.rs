//! How the bytes of a picture are laid out.

use crate::PixelFormat;

impl PixelFormat {
    /// How long a picture of `width` × `height` pixels is in this format, in bytes: rows are not padded, and chroma sides are
    /// halved upward.
    pub const fn bytes(self, width: u32, height: u32) -> usize {
        let pixels = width as usize * height as usize;
        let chroma = width.div_ceil(2) as usize * height.div_ceil(2) as usize;
        match self {
            Self::I420 | Self::Nv12 => pixels + 2 * chroma,
            Self::Rgba8 => 4 * pixels,
            Self::Rgb8 => 3 * pixels,
            Self::Gray8 => pixels,
        }
    }
}

/// The planes of an [`PixelFormat::I420`] picture, to read.
#[derive(Clone, Copy, Debug)]
pub struct I420<'a> {
    /// Luma, `width` × `height`.
    pub y: &'a [u8],
    /// Blue difference, `chroma_width` × `chroma_height`.
    pub cb: &'a [u8],
    /// Red difference, `chroma_width` × `chroma_height`.
    pub cr: &'a [u8],
    /// Samples a row of `cb` and `cr`: ⌈width / 2⌉.
    pub chroma_width: usize,
    /// Rows of `cb` and `cr`: ⌈height / 2⌉.
    pub chroma_height: usize,
}

/// The planes of an [`PixelFormat::I420`] picture, to change in place.
#[derive(Debug)]
pub struct I420Mut<'a> {
    /// Luma, `width` × `height`.
    pub y: &'a mut [u8],
    /// Blue difference, `chroma_width` × `chroma_height`.
    pub cb: &'a mut [u8],
    /// Red difference, `chroma_width` × `chroma_height`.
    pub cr: &'a mut [u8],
    /// Samples a row of `cb` and `cr`: ⌈width / 2⌉.
    pub chroma_width: usize,
    /// Rows of `cb` and `cr`: ⌈height / 2⌉.
    pub chroma_height: usize,
}

impl<'a> I420<'a> {
    /// Splits a picture of `width` × `height` into its planes; `None` when `data` is not as long as it should be.
    pub fn split(data: &'a [u8], width: u32, height: u32) -> Option<Self> {
        if data.len() != PixelFormat::I420.bytes(width, height) {
            return None;
        }
        let (chroma_width, chroma_height) = chroma_size(width, height);
        let (y, chroma) = data.split_at(PixelFormat::Gray8.bytes(width, height));
        let (cb, cr) = chroma.split_at(chroma_width * chroma_height);
        Some(Self { y, cb, cr, chroma_width, chroma_height })
    }
}

impl<'a> I420Mut<'a> {
    /// Splits a picture of `width` × `height` into its planes; `None` when `data` is not as long as it should be.
    pub fn split(data: &'a mut [u8], width: u32, height: u32) -> Option<Self> {
        if data.len() != PixelFormat::I420.bytes(width, height) {
            return None;
        }
        let (chroma_width, chroma_height) = chroma_size(width, height);
        let (y, chroma) = data.split_at_mut(PixelFormat::Gray8.bytes(width, height));
        let (cb, cr) = chroma.split_at_mut(chroma_width * chroma_height);
        Some(Self { y, cb, cr, chroma_width, chroma_height })
    }
}

fn chroma_size(width: u32, height: u32) -> (usize, usize) {
    (width.div_ceil(2) as usize, height.div_ceil(2) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_sides_round_chroma_up() {
        assert_eq!(PixelFormat::I420.bytes(5, 3), 15 + 2 * 3 * 2);
        let data = vec![0; PixelFormat::I420.bytes(5, 3)];
        let planes = I420::split(&data, 5, 3).unwrap();
        assert_eq!((planes.y.len(), planes.cb.len(), planes.cr.len()), (15, 6, 6));
        assert_eq!((planes.chroma_width, planes.chroma_height), (3, 2));
        assert!(I420::split(&data[1..], 5, 3).is_none());
    }
}
