//! Pictures as tensors, and tensors as pictures, without leaving the device.

use std::sync::Arc;

use bytemuck::bytes_of;
use rillbox_compute::{ChannelOrder, Channels, ElementType, PictureLayout, Tensor};
use wgpu::BindingResource;

use super::bounds::Bounds;
use super::kernels::Name;
use super::params::Params;
use super::{Elements, foreign};
use crate::color::Color;
use crate::download::Download;
use crate::error::Error;
use crate::planes::PlanesLayout;
use crate::usage::Pass;
use crate::workspace::{Grid, Uploaded, Workspace};

fn refused(error: rillbox_compute::Error) -> Error {
    match error {
        rillbox_compute::Error::Limit(why) => Error::Limit(why),
        error => Error::Invalid(error.to_string()),
    }
}

/// Of this many invocations, with what each channel is multiplied by and what is added.
fn params(
    count: usize,
    layout: &PictureLayout,
    size: (usize, usize),
    factors: [(f32, f32); 3],
    words: usize,
) -> Params {
    let planar = usize::from(layout.order == ChannelOrder::Chw);
    let is_bytes = u32::from(layout.element == ElementType::U8);
    let [(r, r0), (g, g0), (b, b0)] = factors;
    Params::new(count, is_bytes, layout.element).with_numbers([
        [size.0, size.1, planar, words].map(|number| number as u32),
        [r, g, b, 0.0].map(f32::to_bits),
        [r0, g0, b0, 0.0].map(f32::to_bits),
        [0; 4],
    ])
}

impl Workspace {
    /// A tensor, on the device, of a picture that is there as planes.
    pub fn picture_tensor(&mut self, source: &Uploaded, layout: &PictureLayout) -> Result<Tensor, Error> {
        let factors = layout.each_factor().map_err(refused)?;
        let (width, height) = source.size();
        let (width, height) = (width as usize, height as usize);
        let shape = layout.shape(width, height);
        let result = self.fresh(shape.iter().product(), Bounds::of(layout.element))?;
        let count = width * height;
        if layout.channels == Channels::Gray {
            let words = source.layout().strides().0 / 4;
            let params = params(count, layout, (width, height), factors, words);
            let operands = [source.staging()];
            self.launch(Name::LumaToTensor, Pass::Transfer, params, &operands, &result.buffer, Grid::of(count))?;
        } else {
            let image = self.image_of(source)?;
            let params = params(count, layout, (width, height), factors, 0);
            let device = self.device().clone();
            let (pipeline, bindings) = &device.tensor_kernels().pixels_to_tensor;
            let entries = [(4, result.buffer.as_entire_binding()), (5, BindingResource::TextureView(image.view()))];
            let entries = entries.into_iter();
            self.record(Pass::Transfer, pipeline, bindings, bytes_of(&params), entries, Grid::of(count))?;
            self.recycle(image);
        }
        Ok(Tensor::away(layout.element, &shape, Arc::new(result)))
    }

    /// A tensor of the device as planes, as it is now: recorded, and on its way once it is submitted.
    pub fn tensor_picture(&mut self, tensor: &Tensor, layout: &PictureLayout, color: Color) -> Result<Download, Error> {
        let size = layout.size(tensor).map_err(refused)?;
        let factors = layout.each_factor().map_err(refused)?.map(|(scale, offset)| (scale.recip(), -offset / scale));
        let (width, height) = (size.0 as u32, size.1 as u32);
        self.check_picture(width, height)?;
        let source = Elements::of(tensor).ok_or_else(foreign)?;
        if layout.channels == Channels::Gray {
            let planes = PlanesLayout::new(width, height);
            let count = planes.bytes() / 4;
            let params = params(count, layout, size, factors, planes.strides().0 / 4);
            return self.download_with(planes, |workspace, to| {
                workspace.launch(Name::TensorToLuma, Pass::Transfer, params, &[&source.buffer], to, Grid::of(count))
            });
        }
        let image = self.image_to_fill(width, height)?;
        let count = size.0 * size.1;
        let params = params(count, layout, size, factors, 0);
        let device = self.device().clone();
        let (pipeline, bindings) = &device.tensor_kernels().tensor_to_pixels;
        let entries = [(1, source.buffer.as_entire_binding()), (6, BindingResource::TextureView(image.view()))];
        self.record(Pass::Transfer, pipeline, bindings, bytes_of(&params), entries.into_iter(), Grid::of(count))?;
        let download = self.download(&image, color)?;
        self.recycle(image);
        Ok(download)
    }
}
