//! `shader`: what is on the GPU as the host's resources.

use super::{tensor, types};
use crate::Refusal;
use crate::imports::video;
use crate::shader::{Binding, Filter};
use crate::tensor::ElementType;
use crate::wasm::bindings::rillbox::processor::shader as wire;

pub(crate) use wire::{Buffer, Image, Program};

pub(crate) fn image_zeros(width: u32, height: u32) -> Result<Image, Refusal> {
    Image::zeros(width, height).map_err(types::refusal)
}

pub(crate) fn image_from_frame(frame: &video::Handle) -> Result<Image, Refusal> {
    Image::from_frame(frame).map_err(types::refusal)
}

pub(crate) fn image_from_pixels(width: u32, height: u32, pixels: &[u8]) -> Result<Image, Refusal> {
    Image::from_pixels(width, height, pixels).map_err(types::refusal)
}

pub(crate) fn image_width(image: &Image) -> u32 {
    image.width()
}

pub(crate) fn image_height(image: &Image) -> u32 {
    image.height()
}

pub(crate) fn image_pixels(image: &Image) -> Result<Vec<u8>, Refusal> {
    image.pixels().map_err(types::refusal)
}

pub(crate) fn replace_frame(image: &Image, frame: &video::Handle) -> Result<(), Refusal> {
    image.replace_frame(frame).map_err(types::refusal)
}

pub(crate) fn buffer_zeros(bytes: u32) -> Result<Buffer, Refusal> {
    Buffer::zeros(bytes).map_err(types::refusal)
}

pub(crate) fn buffer_from_tensor(tensor: &tensor::Handle) -> Result<Buffer, Refusal> {
    Buffer::from_tensor(tensor).map_err(types::refusal)
}

pub(crate) fn buffer_size(buffer: &Buffer) -> u32 {
    buffer.size()
}

pub(crate) fn buffer_tensor(buffer: &Buffer, element: ElementType, shape: &[u32]) -> Result<tensor::Handle, Refusal> {
    buffer.tensor(tensor::wire_element(element), shape).map_err(types::refusal)
}

pub(crate) fn compile(wgsl: &str) -> Result<Program, Refusal> {
    Program::compile(wgsl).map_err(types::refusal)
}

pub(crate) fn dispatch(
    program: &Program,
    bindings: &[(u32, Binding<'_>)],
    workgroups: [u32; 3],
) -> Result<(), Refusal> {
    let bindings: Vec<_> = bindings
        .iter()
        .map(|(number, binding)| {
            let binding = match binding {
                Binding::Image(image) => wire::Binding::Image(&image.0),
                Binding::Buffer(buffer) => wire::Binding::Buffer(&buffer.0),
                Binding::Uniform(bytes) => wire::Binding::Uniform(bytes.to_vec()),
                Binding::Sampler(Filter::Nearest) => wire::Binding::Sampler(wire::Filter::Nearest),
                Binding::Sampler(Filter::Linear) => wire::Binding::Sampler(wire::Filter::Linear),
            };
            (*number, binding)
        })
        .collect();
    program.dispatch(&bindings, workgroups.into()).map_err(types::refusal)
}
