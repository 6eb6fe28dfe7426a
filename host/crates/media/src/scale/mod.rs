//! Scaling and centre-cropping of planes, and the one conversion of other pixel formats to I420.

mod convert;

use ffmpeg_next::{Error, ffi, format::Pixel, frame};

use self::convert::{Converter, Plan};
use crate::frame::{Color, Picture, Presentation};

/// The size that frames are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Geometry {
    /// The source's own; an odd side loses a line.
    #[default]
    Source,
    /// The size and shape of the first picture that was given, whatever the source's become; filled by the middle of the source.
    Pinned,
    /// This many square pixels, even both ways, filled by the middle of the source.
    Fill {
        /// Pixels a row.
        width: u32,
        /// Rows.
        height: u32,
    },
}

/// Pixels a row, rows, and the shape of a pixel as in [`Presentation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    width: u32,
    height: u32,
    pixel: (u32, u32),
}

/// Makes pictures of one geometry out of frames of any size and format.
#[derive(Default)]
pub(crate) struct Scaler {
    converter: Option<Converter>,
    /// What the first picture was.
    first: Option<Shape>,
}

impl Scaler {
    /// Gives the frame as a picture, and how it is to be shown; without a copy where neither size nor format changes.
    pub fn run(&mut self, mut source: frame::Video, geometry: Geometry) -> Result<(Picture, Presentation), Error> {
        let (color, presentation) = (Color::of(&source), Presentation::of(&source));
        let even = Shape { width: source.width() & !1, height: source.height() & !1, pixel: presentation.pixel_aspect };
        if even.width == 0 || even.height == 0 {
            return Err(Error::InvalidData);
        }
        let shape = match geometry {
            Geometry::Source => even,
            Geometry::Pinned => *self.first.get_or_insert(even),
            Geometry::Fill { width, height } => Shape { width, height, pixel: (1, 1) },
        };
        self.first.get_or_insert(shape);
        let Shape { width, height, pixel } = shape;
        let presentation = Presentation { pixel_aspect: pixel, ..presentation };
        Picture::check_size(width, height).map_err(|_| Error::InvalidData)?;
        // SAFETY: the frame lives. From the bottom up a picture has strides below 0.
        let upright = unsafe { (*source.as_ptr()).linesize }.iter().take(3).all(|stride| *stride > 0);
        let planar = matches!(source.format(), Pixel::YUV420P | Pixel::YUVJ420P) && upright && is_whole(&source);
        if planar && even == shape {
            // The last line of an odd side stays where it is, and is not shown.
            source.set_width(width);
            source.set_height(height);
            return Ok((Picture::from_frame(source, color), presentation));
        }
        let mut target = Picture::allocate(width, height).map_err(|_| Error::InvalidData)?;
        let crop = Crop::centre(even, shape);
        let plan = Plan::new(source.format(), crop, (width, height), color);
        let converter = match &mut self.converter {
            Some(converter) if converter.fits(&plan) => converter,
            converter => converter.insert(Converter::new(plan)?),
        };
        converter.run(&source, &mut target)?;
        Ok((Picture::from_frame(target, color), presentation))
    }
}

/// Whether each plane's last row has all of its stride: one that was cropped may end before. Whoever reads planes takes whole rows.
fn is_whole(source: &frame::Video) -> bool {
    (0..source.planes()).all(|plane| {
        // SAFETY: the frame lives; its buffers are those that its planes are in, of which only the bounds are looked at.
        let (data, end) = unsafe {
            let buffer = ffi::av_frame_get_plane_buffer(source.as_ptr().cast_mut(), plane as i32);
            if buffer.is_null() {
                return false;
            }
            ((*source.as_ptr()).data[plane], (*buffer).data.wrapping_add((*buffer).size))
        };
        data.wrapping_add(source.stride(plane) * source.plane_height(plane) as usize) <= end
    })
}

/// The middle of a source, which looks as the target does: the ratio of its sides is the same on a display. Sides and offsets are even.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Crop {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

impl Crop {
    fn centre(source: Shape, target: Shape) -> Self {
        let Shape { width, height, pixel } = source;
        let (w, h) = (u128::from(width), u128::from(height));
        // The target's sides, in pixels of the source's shape.
        let tw = u128::from(target.width) * u128::from(target.pixel.0) * u128::from(pixel.1);
        let th = u128::from(target.height) * u128::from(target.pixel.1) * u128::from(pixel.0);
        let even = |side: u128, limit: u32| ((side as u32) & !1).clamp(2, limit.max(2));
        let (crop_width, crop_height) =
            if w * th > tw * h { (even(h * tw / th, width), height) } else { (width, even(w * th / tw, height)) };
        Self {
            x: ((width - crop_width) / 2) & !1,
            y: ((height - crop_height) / 2) & !1,
            width: crop_width,
            height: crop_height,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square((width, height): (u32, u32)) -> Shape {
        Shape { width, height, pixel: (1, 1) }
    }

    #[test]
    fn a_wide_source_loses_its_sides_and_a_tall_one_its_top_and_bottom() {
        let centre = |source, target| Crop::centre(square(source), square(target));
        assert_eq!(centre((1280, 720), (512, 512)), Crop { x: 280, y: 0, width: 720, height: 720 });
        assert_eq!(centre((720, 1280), (512, 512)), Crop { x: 0, y: 280, width: 720, height: 720 });
        assert_eq!(centre((1280, 720), (640, 360)), Crop { x: 0, y: 0, width: 1280, height: 720 });
    }

    #[test]
    fn an_extreme_target_keeps_at_least_two_lines() {
        let crop = Crop::centre(square((64, 64)), square((16_384, 2)));
        assert_eq!((crop.width, crop.height), (64, 2));
    }

    #[test]
    fn pixels_that_are_not_square_count_as_they_are_shown() {
        // PAL in 16:9, 1047 × 576 on a display, loses 23 of those at the sides.
        let pal = Shape { width: 720, height: 576, pixel: (16, 11) };
        assert_eq!(Crop::centre(pal, square((1280, 720))), Crop { x: 8, y: 0, width: 704, height: 576 });
        assert_eq!(Crop::centre(pal, pal), Crop { x: 0, y: 0, width: 720, height: 576 });
    }
}
