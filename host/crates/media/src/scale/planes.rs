//! Planes of 8 bits, each scaled by itself: several times faster than swscale, which has no vector code for these filters.

use fast_image_resize::images::{CroppedImageMut, Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use ffmpeg_next::frame;

use super::Crop;
use crate::frame::planes_mut;

/// Scales planes; it keeps its buffers from frame to frame.
#[derive(Default)]
pub(super) struct PlaneScaler {
    resizer: Resizer,
}

impl PlaneScaler {
    /// Fills `target` with the crop of a 4:2:0 frame.
    pub fn run(&mut self, source: &frame::Video, crop: Crop, target: &mut frame::Video) {
        let (width, height) = (target.width(), target.height());
        // Hamming keeps more detail on the way down and costs as much as bilinear; up it would show blocks.
        let down = width <= crop.width && height <= crop.height;
        let filter = if down { FilterType::Hamming } else { FilterType::CatmullRom };
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
        for (index, (plane, stride)) in planes_mut(target).into_iter().enumerate() {
            let part = if index == 0 { 1 } else { 2 };
            let [x, y, w, h] = [crop.x, crop.y, crop.width, crop.height].map(|edge| f64::from(edge / part));
            let options = options.crop(x, y, w, h);
            let rows = source.plane_height(index);
            let resized = view(source.data(index), source.stride(index), rows).and_then(|source| {
                let mut whole = Image::from_slice_u8(stride as u32, height / part, plane, PixelType::U8).ok()?;
                let mut target = CroppedImageMut::new(&mut whole, 0, 0, width / part, height / part).ok()?;
                self.resizer.resize(&source, &mut target, &options).ok()
            });
            debug_assert!(resized.is_some(), "crop and planes are sized together");
        }
    }
}

/// A plane with its padding, from which the crop takes its part.
fn view(plane: &[u8], stride: usize, rows: u32) -> Option<ImageRef<'_>> {
    ImageRef::new(stride as u32, rows, plane, PixelType::U8).ok()
}
