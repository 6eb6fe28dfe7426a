//! Scaling and centre-cropping of planes, and the one conversion of other pixel formats to I420.

use ffmpeg_next::{Error, ffi, format::Pixel, frame};

use crate::frame::{Color, Picture};

/// The size that frames are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Geometry {
    /// The source's own; an odd side loses a line.
    #[default]
    Source,
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
    context: Option<Context>,
}

impl Scaler {
    /// Gives the frame as a picture; without a copy where neither size nor format changes.
    pub fn run(&mut self, source: frame::Video, geometry: Geometry) -> Result<Picture, Error> {
        let color = Color::of(&source);
        let even = (source.width() & !1, source.height() & !1);
        let (width, height) = match geometry {
            Geometry::Source => even,
            Geometry::Fill { width, height } => (width, height),
        };
        let planar = matches!(source.format(), Pixel::YUV420P | Pixel::YUVJ420P);
        if planar && (source.width(), source.height()) == (width, height) {
            return Ok(Picture::from_frame(source, color));
        }
        let crop = Crop::centre(even.0, even.1, width, height);
        let plan = Plan { format: plain(source.format()), crop, width, height };
        let context = match &mut self.context {
            Some(context) if context.plan == plan => context,
            context => context.insert(Context::new(plan)?),
        };
        let planes = Picture::allocate(width, height).map_err(|_| Error::InvalidData)?;
        Ok(Picture::from_frame(context.run(&source, planes)?, color))
    }
}

/// FFmpeg's deprecated names for full range would make swscale convert the range.
fn plain(format: Pixel) -> Pixel {
    match format {
        Pixel::YUVJ420P => Pixel::YUV420P,
        Pixel::YUVJ422P => Pixel::YUV422P,
        Pixel::YUVJ444P => Pixel::YUV444P,
        other => other,
    }
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
        let (crop_width, crop_height) = if w * th > tw * h {
            (even(h * tw / th, width), height)
        } else {
            (width, even(w * th / tw, height))
        };
        Self {
            x: ((width - crop_width) / 2) & !1,
            y: ((height - crop_height) / 2) & !1,
            width: crop_width,
            height: crop_height,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Plan {
    format: Pixel,
    crop: Crop,
    width: u32,
    height: u32,
}

struct Context {
    plan: Plan,
    scaler: std::ptr::NonNull<ffi::SwsContext>,
}

// SAFETY: swscale ties a context to no thread, and this one is touched through `&mut` alone.
unsafe impl Send for Context {}

impl Context {
    fn new(plan: Plan) -> Result<Self, Error> {
        // SAFETY: plain numbers in, a context or null out.
        let scaler = unsafe {
            ffi::sws_getContext(
                plan.crop.width as i32,
                plan.crop.height as i32,
                plan.format.into(),
                plan.width as i32,
                plan.height as i32,
                Pixel::YUV420P.into(),
                ffi::SWS_BILINEAR as i32,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                std::ptr::null(),
            )
        };
        let scaler = std::ptr::NonNull::new(scaler).ok_or(Error::InvalidData)?;
        Ok(Self { plan, scaler })
    }

    fn run(&mut self, source: &frame::Video, mut target: frame::Video) -> Result<frame::Video, Error> {
        let crop = self.plan.crop;
        let mut planes = [std::ptr::null::<u8>(); 4];
        let mut strides = [0i32; 4];
        for index in 0..source.planes().min(4) {
            let offset = plane_offset(source, index, crop);
            let data = source.data(index);
            if offset >= data.len() {
                return Err(Error::InvalidData);
            }
            planes[index] = data[offset..].as_ptr();
            strides[index] = source.stride(index) as i32;
        }
        // SAFETY: the plan has the source's format and a crop inside it, the planes start at the crop, the strides are
        // theirs, and the target has the planes of the plan's size.
        let rows = unsafe {
            let target = target.as_mut_ptr();
            ffi::sws_scale(
                self.scaler.as_ptr(),
                planes.as_ptr(),
                strides.as_ptr(),
                0,
                crop.height as i32,
                (*target).data.as_ptr(),
                (*target).linesize.as_ptr(),
            )
        };
        if rows == self.plan.height as i32 { Ok(target) } else { Err(Error::InvalidData) }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: made by `sws_getContext` and freed once.
        unsafe { ffi::sws_freeContext(self.scaler.as_ptr()) }
    }
}

/// Bytes from the start of a plane to the crop's first sample in it.
fn plane_offset(source: &frame::Video, index: usize, crop: Crop) -> usize {
    let Some(descriptor) = source.format().descriptor() else { return 0 };
    let chroma = index == 1 || index == 2;
    let (shift_w, shift_h) = if chroma { (descriptor.log2_chroma_w(), descriptor.log2_chroma_h()) } else { (0, 0) };
    // SAFETY: the descriptor is static and has a component a plane at most.
    let step = unsafe {
        (0..4)
            .map(|c| (*descriptor.as_ptr()).comp[c])
            .find(|component| component.plane as usize == index)
            .map_or(1, |component| component.step as usize)
    };
    (crop.y as usize >> shift_h) * source.stride(index) + (crop.x as usize >> shift_w) * step
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
