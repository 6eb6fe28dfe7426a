//! Frames of any format FFmpeg decodes to I420, scaled on the way, with swscale.

use ffmpeg_next::{Error, ffi, format::Pixel, frame};

use super::Crop;
use crate::frame::{Color, ColorMatrix, ColorRange};

/// What is made of what.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    format: Pixel,
    crop: Crop,
    width: u32,
    height: u32,
    color: Color,
}

impl Plan {
    /// Pictures of a size out of a part of frames of a format. `color` is what the planes mean before and after; of RGB, after.
    pub fn new(format: Pixel, crop: Crop, (width, height): (u32, u32), color: Color) -> Self {
        Self { format: plain(format), crop, width, height, color }
    }
}

/// Converts and scales frames of one format and size.
pub(super) struct Converter {
    plan: Plan,
    scaler: std::ptr::NonNull<ffi::SwsContext>,
}

// SAFETY: swscale ties a context to no thread, and this one is touched through `&mut` alone.
unsafe impl Send for Converter {}

impl Converter {
    pub fn new(plan: Plan) -> Result<Self, Error> {
        // Averaging the area that a pixel covers costs half of what weighing its neighbours does, and is as sharp; but where
        // pixels are made larger it gives steps.
        let shrinks = plan.width <= plan.crop.width && plan.height <= plan.crop.height;
        let method = if shrinks { ffi::SWS_AREA } else { ffi::SWS_BILINEAR };
        // SAFETY: plain numbers in, a context or null out.
        let scaler = unsafe {
            ffi::sws_getContext(
                plan.crop.width as i32,
                plan.crop.height as i32,
                plan.format.into(),
                plan.width as i32,
                plan.height as i32,
                Pixel::YUV420P.into(),
                method as _,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                std::ptr::null(),
            )
        };
        let scaler = std::ptr::NonNull::new(scaler).ok_or(Error::InvalidData)?;
        let made = Self { plan, scaler };
        made.keep_color();
        Ok(made)
    }

    /// Gives Y′CbCr the range that it has, and makes RGB into what the plan says. Left alone, swscale takes grey for full range
    /// and knows one matrix for all RGB.
    fn keep_color(&self) {
        let matrix = match self.plan.color.matrix {
            ColorMatrix::Bt601 => ffi::SWS_CS_ITU601,
            ColorMatrix::Bt709 => ffi::SWS_CS_ITU709,
            ColorMatrix::Bt2020 => ffi::SWS_CS_BT2020,
        };
        let range = i32::from(self.plan.color.range == ColorRange::Full);
        // SAFETY: the context lives, and the table is static. The answer says whether there was anything to change.
        unsafe {
            let table = ffi::sws_getCoefficients(matrix);
            ffi::sws_setColorspaceDetails(self.scaler.as_ptr(), table, range, table, range, 0, 1 << 16, 1 << 16);
        }
    }

    /// Whether this does what the plan says.
    pub fn fits(&self, plan: &Plan) -> bool {
        self.plan == *plan
    }

    /// Fills `target`, of the size that this was made for.
    pub fn run(&mut self, source: &frame::Video, target: &mut frame::Video) -> Result<(), Error> {
        let crop = self.plan.crop;
        // SAFETY: the frame lives. A palette is a plane without a stride, and a picture that is kept from the bottom up has
        // strides below 0.
        let (data, lines) = unsafe { ((*source.as_ptr()).data, (*source.as_ptr()).linesize) };
        let mut planes = [std::ptr::null::<u8>(); 4];
        let strides = [lines[0], lines[1], lines[2], lines[3]];
        for (index, plane) in planes.iter_mut().enumerate().filter(|(index, _)| !data[*index].is_null()) {
            *plane =
                data[index].wrapping_offset(plane_offset(source.format(), index, strides[index], crop)).cast_const();
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
        if rows == self.plan.height as i32 { Ok(()) } else { Err(Error::InvalidData) }
    }
}

impl Drop for Converter {
    fn drop(&mut self) {
        // SAFETY: made by `sws_getContext` and freed once.
        unsafe { ffi::sws_freeContext(self.scaler.as_ptr()) }
    }
}

/// Bytes from the start of a plane to the crop's first sample in it.
fn plane_offset(format: Pixel, index: usize, stride: i32, crop: Crop) -> isize {
    let Some(descriptor) = format.descriptor().filter(|_| stride != 0) else { return 0 };
    let chroma = index == 1 || index == 2;
    let (shift_w, shift_h) = if chroma { (descriptor.log2_chroma_w(), descriptor.log2_chroma_h()) } else { (0, 0) };
    // SAFETY: the descriptor is static and has a component a plane at most.
    let step = unsafe {
        (0..4)
            .map(|c| (*descriptor.as_ptr()).comp[c])
            .find(|component| component.plane as usize == index)
            .map_or(1, |component| component.step as usize)
    };
    (crop.y >> shift_h) as isize * stride as isize + (crop.x as usize >> shift_w) as isize * step as isize
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
