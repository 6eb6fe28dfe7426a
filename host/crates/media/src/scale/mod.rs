//! Scaling and centre-cropping of planes, and the one conversion of other pixel formats to I420.

mod convert;

use ffmpeg_next::{Error, ffi, format::Pixel, frame};

use self::convert::{Converter, Plan};
use crate::frame::{Color, Picture};

/// The size that frames are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Geometry {
    /// The source's own; an odd side loses a line.
    #[default]
    Source,
    /// The size of the first picture that was given, whatever the source's becomes; filled by the middle of the source.
    Pinned,
    /// This many pixels, even both ways, filled by the middle of the source.
    Fill {
        /// Pixels a row.
        width: u32,
        /// Rows.
        height: u32,
    },
}

/// Makes pictures of one geometry out of frames of any size and format.
#[derive(Default)]
pub(crate) struct Scaler {
    converter: Option<Converter>,
    /// Size of the first picture.
    first: Option<(u32, u32)>,
}

impl Scaler {
    /// Gives the frame as a picture; without a copy where neither size nor format changes.
    pub fn run(&mut self, mut source: frame::Video, geometry: Geometry) -> Result<Picture, Error> {
        let color = Color::of(&source);
        let even = (source.width() & !1, source.height() & !1);
        if even.0 == 0 || even.1 == 0 {
            return Err(Error::InvalidData);
        }
        let (width, height) = match geometry {
            Geometry::Source => even,
            Geometry::Pinned => *self.first.get_or_insert(even),
            Geometry::Fill { width, height } => (width, height),
        };
        self.first.get_or_insert((width, height));
        Picture::check_size(width, height).map_err(|_| Error::InvalidData)?;
        // SAFETY: the frame lives. From the bottom up a picture has strides below 0.
        let upright = unsafe { (*source.as_ptr()).linesize }.iter().take(3).all(|stride| *stride > 0);
        let planar = matches!(source.format(), Pixel::YUV420P | Pixel::YUVJ420P) && upright && is_whole(&source);
        if planar && even == (width, height) {
            // The last line of an odd side stays where it is, and is not shown.
            source.set_width(width);
            source.set_height(height);
            return Ok(Picture::from_frame(source, color));
        }
        let mut target = Picture::allocate(width, height).map_err(|_| Error::InvalidData)?;
        let crop = Crop::centre(even.0, even.1, width, height);
        let plan = Plan::new(source.format(), crop, (width, height), color);
        let converter = match &mut self.converter {
            Some(converter) if converter.fits(&plan) => converter,
            converter => converter.insert(Converter::new(plan)?),
        };
        converter.run(&source, &mut target)?;
        Ok(Picture::from_frame(target, color))
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

/// The middle of a source, with the aspect ratio of the target; sides and offsets are even.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Crop {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

impl Crop {
    fn centre(width: u32, height: u32, target_width: u32, target_height: u32) -> Self {
        let (w, h) = (u64::from(width), u64::from(height));
        let (tw, th) = (u64::from(target_width), u64::from(target_height));
        let even = |side: u64, limit: u32| ((side as u32) & !1).clamp(2, limit.max(2));
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

    #[test]
    fn a_wide_source_loses_its_sides_and_a_tall_one_its_top_and_bottom() {
        assert_eq!(Crop::centre(1280, 720, 512, 512), Crop { x: 280, y: 0, width: 720, height: 720 });
        assert_eq!(Crop::centre(720, 1280, 512, 512), Crop { x: 0, y: 280, width: 720, height: 720 });
        assert_eq!(Crop::centre(1280, 720, 640, 360), Crop { x: 0, y: 0, width: 1280, height: 720 });
    }

    #[test]
    fn an_extreme_target_keeps_at_least_two_lines() {
        let crop = Crop::centre(64, 64, 16_384, 2);
        assert_eq!((crop.width, crop.height), (64, 2));
    }
}
