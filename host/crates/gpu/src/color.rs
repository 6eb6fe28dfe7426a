//! Between Y′CbCr and R′G′B′: the numbers, and the kernels that use them, each with its twin for the CPU.
//!
//! `kernels/yuv_to_rgba.wgsl` and `kernels/rgba_to_yuv.wgsl` do on the GPU what [`yuv_to_rgba`] and [`rgba_to_yuv`] do
//! here, within one level of 255. Chroma is 4:2:0: going up it is repeated, going down it is the mean of four pixels.

use bytemuck::{Pod, Zeroable};

use crate::module::module_of_ours;
use crate::planes::{Planes, PlanesLayout};

/// The coefficients of luma: ITU-R BT.601-7, BT.709-6 and BT.2020-2 (non-constant luminance).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matrix {
    /// BT.601.
    Bt601,
    /// BT.709.
    Bt709,
    /// BT.2020.
    Bt2020,
}

/// Which values stand for black and white.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Luma 16–235, chroma 16–240.
    Limited,
    /// 0–255.
    Full,
}

/// What planes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color {
    /// Coefficients.
    pub matrix: Matrix,
    /// Range.
    pub range: Range,
}

/// The numbers of one [`Color`], as both kernels take them: samples and pixels are 0 to 255.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub(crate) struct Coefficients {
    /// Weights of red, green and blue in luma; luma of black.
    luma: [f32; 4],
    /// R = y + `.x` · cr; G = y − `.y` · cb − `.z` · cr; B = y + `.w` · cb, with luma and chroma stretched to 255.
    rgb: [f32; 4],
    /// Luma and chroma of RGB are multiplied by `.x` and `.y`; (B − y) and (R − y) by `.z` and `.w`.
    scale: [f32; 4],
}

impl Color {
    pub(crate) fn coefficients(self) -> Coefficients {
        let (red, blue) = match self.matrix {
            Matrix::Bt601 => (0.299_f32, 0.114_f32),
            Matrix::Bt709 => (0.2126, 0.0722),
            Matrix::Bt2020 => (0.2627, 0.0593),
        };
        let green = 1.0 - red - blue;
        let (black, luma, chroma) = match self.range {
            Range::Limited => (16.0, 219.0 / 255.0, 224.0 / 255.0),
            Range::Full => (0.0, 1.0, 1.0),
        };
        let (of_red, of_blue) = (2.0 * (1.0 - red), 2.0 * (1.0 - blue));
        Coefficients {
            luma: [red, green, blue, black],
            rgb: [of_red, of_blue * blue / green, of_red * red / green, of_blue],
            scale: [luma, chroma, of_blue.recip(), of_red.recip()],
        }
    }
}

/// Pixels of `planes`, row by row, 4 bytes each, alpha 255.
pub fn yuv_to_rgba(planes: &Planes<'_>, color: Color) -> Vec<u8> {
    let Coefficients { luma, rgb, scale } = color.coefficients();
    let (width, height) = (planes.width as usize, planes.height as usize);
    let sample = |plane: usize, x: usize, y: usize| {
        let (bytes, stride) = planes.planes[plane];
        f32::from(bytes[y * stride + x])
    };
    let mut pixels = Vec::with_capacity(width * height * 4);
    for y in 0..height {
        for x in 0..width {
            let level = (sample(0, x, y) - luma[3]) / scale[0];
            let cb = (sample(1, x / 2, y / 2) - 128.0) / scale[1];
            let cr = (sample(2, x / 2, y / 2) - 128.0) / scale[1];
            let pixel = [level + rgb[0] * cr, level - rgb[1] * cb - rgb[2] * cr, level + rgb[3] * cb, 255.0];
            pixels.extend(pixel.map(to_byte));
        }
    }
    pixels
}

/// Planes of `pixels`, row by row, 4 bytes each, laid out as [`PlanesLayout`] says. Sides are even.
pub fn rgba_to_yuv(pixels: &[u8], width: u32, height: u32, color: Color) -> Vec<u8> {
    let Coefficients { luma, scale, .. } = color.coefficients();
    let layout = PlanesLayout::new(width, height);
    let mut planes = vec![0; layout.bytes()];
    let [luma_plane, cb_plane, cr_plane] = layout.split_mut(&mut planes);
    let (luma_stride, chroma_stride) = layout.strides();
    let (width, height) = (width as usize, height as usize);
    let pixel = |x: usize, y: usize| -> [f32; 3] {
        std::array::from_fn(|channel| f32::from(pixels[(y * width + x) * 4 + channel]))
    };
    let level = |[r, g, b]: [f32; 3]| luma[0] * r + luma[1] * g + luma[2] * b;
    for y in 0..height {
        for x in 0..width {
            luma_plane[y * luma_stride + x] = to_byte(luma[3] + level(pixel(x, y)) * scale[0]);
        }
    }
    for y in 0..height / 2 {
        for x in 0..width / 2 {
            let corners = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| pixel(2 * x + dx, 2 * y + dy));
            let mean: [f32; 3] =
                std::array::from_fn(|channel| corners.iter().map(|corner| corner[channel]).sum::<f32>() / 4.0);
            let level = level(mean);
            let at = y * chroma_stride + x;
            cb_plane[at] = to_byte(128.0 + (mean[2] - level) * scale[2] * scale[1]);
            cr_plane[at] = to_byte(128.0 + (mean[0] - level) * scale[3] * scale[1]);
        }
    }
    planes
}

fn to_byte(value: f32) -> u8 {
    // A conversion of floats saturates.
    value.round() as u8
}

/// Which picture a kernel works on: `Params` of `kernels/params.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub(crate) struct ColorParams {
    coefficients: Coefficients,
    width: u32,
    height: u32,
    /// In words, as all that follows: from one row of luma to the next, and where Cb and Cr begin.
    stride: u32,
    cb: u32,
    cr: u32,
    _padding: [u32; 3],
}

impl ColorParams {
    pub fn new(layout: PlanesLayout, (width, height): (u32, u32), color: Color) -> Self {
        let (luma, chroma) = layout.sizes();
        let words = |bytes: usize| (bytes / 4) as u32;
        Self {
            coefficients: color.coefficients(),
            width,
            height,
            stride: words(layout.strides().0),
            cb: words(luma),
            cr: words(luma + chroma),
            _padding: [0; 3],
        }
    }

    /// Workgroups of 32 × 8 invocations, each for `columns` columns and two rows.
    pub fn groups(&self, columns: u32) -> (u32, u32) {
        (self.width.div_ceil(32 * columns), self.height.div_ceil(8 * 2))
    }
}

const YUV_TO_RGBA: &str = concat!(include_str!("kernels/params.wgsl"), include_str!("kernels/yuv_to_rgba.wgsl"));
const RGBA_TO_YUV: &str = concat!(include_str!("kernels/params.wgsl"), include_str!("kernels/rgba_to_yuv.wgsl"));

/// The kernels, compiled.
#[derive(Debug)]
pub(crate) struct ColorKernels {
    pub yuv_to_rgba: Kernel,
    pub rgba_to_yuv: Kernel,
}

#[derive(Debug)]
pub(crate) struct Kernel {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
    /// Of the picture, that one invocation works on.
    pub columns: u32,
}

impl ColorKernels {
    pub fn new(device: &wgpu::Device) -> Self {
        Self { yuv_to_rgba: Kernel::new(device, YUV_TO_RGBA, 2), rgba_to_yuv: Kernel::new(device, RGBA_TO_YUV, 4) }
    }
}

impl Kernel {
    fn new(device: &wgpu::Device, wgsl: &'static str, columns: u32) -> Self {
        let module = module_of_ours(device, wgsl);
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: None,
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        let layout = pipeline.get_bind_group_layout(0);
        Self { pipeline, layout, columns }
    }
}
