//! `tensor`: arrays as the host's resources.

use super::types;
use crate::Refusal;
use crate::imports::video;
use crate::tensor::{ChannelOrder, Channels, Convolution, ElementType, Pad, Picture, Resize, Window};
use crate::wasm::bindings::rillbox::processor::tensor as wire;
use crate::wasm::bindings::rillbox::processor::types::Error;

pub(crate) use wire::{BinaryOperation as Binary, Reduction, Tensor as Handle, UnaryOperation as Unary};

type Answer = Result<Handle, Refusal>;

fn answer<T>(answer: Result<T, Error>) -> Result<T, Refusal> {
    answer.map_err(types::refusal)
}

pub(crate) fn from_bytes(element: ElementType, shape: &[u32], bytes: &[u8]) -> Answer {
    answer(Handle::from_bytes(wire_element(element), shape, bytes))
}

pub(crate) fn full(element: ElementType, shape: &[u32], value: f64) -> Answer {
    answer(Handle::full(wire_element(element), shape, value))
}

pub(crate) fn arange(element: ElementType, start: f64, step: f64, count: u32) -> Answer {
    answer(Handle::arange(wire_element(element), start, step, count))
}

pub(crate) fn from_frame(frame: &video::Handle, layout: &Picture) -> Answer {
    answer(Handle::from_frame(frame, &wire_layout(layout)))
}

pub(crate) fn replace_frame(tensor: &Handle, frame: &video::Handle, layout: &Picture) -> Result<(), Refusal> {
    answer(tensor.replace_frame(frame, &wire_layout(layout)))
}

pub(crate) fn element_type(tensor: &Handle) -> ElementType {
    match tensor.element_type() {
        wire::ElementType::Float32 => ElementType::F32,
        wire::ElementType::Float16 => ElementType::F16,
        wire::ElementType::Uint8 => ElementType::U8,
        wire::ElementType::Int32 => ElementType::I32,
        wire::ElementType::Int64 => ElementType::I64,
        wire::ElementType::Boolean => ElementType::Boolean,
    }
}

pub(crate) fn shape(tensor: &Handle) -> Vec<u32> {
    tensor.shape()
}

pub(crate) fn bytes(tensor: &Handle) -> Result<Vec<u8>, Refusal> {
    answer(tensor.bytes())
}

pub(crate) fn unary(tensor: &Handle, operation: Unary) -> Answer {
    answer(tensor.unary(operation))
}

pub(crate) fn binary(left: &Handle, operation: Binary, right: &Handle) -> Answer {
    answer(left.binary(operation, right))
}

pub(crate) fn binary_scalar(left: &Handle, operation: Binary, right: f64) -> Answer {
    answer(left.binary_scalar(operation, right))
}

pub(crate) fn choose(tensor: &Handle, yes: &Handle, no: &Handle) -> Answer {
    answer(tensor.choose(yes, no))
}

pub(crate) fn clamp(tensor: &Handle, low: f64, high: f64) -> Answer {
    answer(tensor.clamp(low, high))
}

pub(crate) fn cast(tensor: &Handle, element: ElementType) -> Answer {
    answer(tensor.cast(wire_element(element)))
}

pub(crate) fn reduce(tensor: &Handle, reduction: Reduction, axes: &[i32], keep: bool) -> Answer {
    answer(tensor.reduce(reduction, axes, keep))
}

pub(crate) fn arg_reduce(tensor: &Handle, largest: bool, axis: i32, keep: bool) -> Answer {
    answer(tensor.arg_reduce(if largest { wire::ArgReduction::Max } else { wire::ArgReduction::Min }, axis, keep))
}

pub(crate) fn matmul(left: &Handle, right: &Handle) -> Answer {
    answer(left.matmul(right))
}

pub(crate) fn conv2d(tensor: &Handle, kernel: &Handle, bias: Option<&Handle>, options: Convolution) -> Answer {
    answer(tensor.conv2d(kernel, bias, wire_convolution(options)))
}

pub(crate) fn conv2d_transposed(
    tensor: &Handle,
    kernel: &Handle,
    bias: Option<&Handle>,
    options: Convolution,
    extra: (u32, u32),
) -> Answer {
    answer(tensor.conv2d_transposed(kernel, bias, wire_convolution(options), extra))
}

pub(crate) fn pool2d(tensor: &Handle, largest: bool, window: Window) -> Answer {
    let Window { size, stride, padding } = window;
    let pooling = if largest { wire::Pooling::Max } else { wire::Pooling::Average };
    answer(tensor.pool2d(pooling, wire::Window { size, stride, padding }))
}

pub(crate) fn resize(tensor: &Handle, rows: u32, columns: u32, method: Resize) -> Answer {
    let method = match method {
        Resize::Nearest => wire::ResizeMethod::Nearest,
        Resize::Bilinear => wire::ResizeMethod::Bilinear,
        Resize::Bicubic => wire::ResizeMethod::Bicubic,
    };
    answer(tensor.resize(rows, columns, method))
}

pub(crate) fn pad(tensor: &Handle, widths: &[(u32, u32)], mode: Pad) -> Answer {
    let (mode, value) = match mode {
        Pad::Constant(value) => (wire::PadMode::Constant, value),
        Pad::Reflect => (wire::PadMode::Reflect, 0.0),
        Pad::Edge => (wire::PadMode::Edge, 0.0),
    };
    answer(tensor.pad(widths, mode, value))
}

pub(crate) fn slice(tensor: &Handle, ranges: &[(u32, u32, u32)]) -> Answer {
    answer(tensor.slice(ranges))
}

pub(crate) fn reshape(tensor: &Handle, shape: &[i32]) -> Answer {
    answer(tensor.reshape(shape))
}

pub(crate) fn transpose(tensor: &Handle, order: &[u32]) -> Answer {
    answer(tensor.transpose(order))
}

pub(crate) fn concat(tensors: &[&Handle], axis: i32) -> Answer {
    answer(Handle::concat(tensors, axis))
}

pub(crate) fn gather(tensor: &Handle, axis: i32, indices: &Handle) -> Answer {
    answer(tensor.gather(axis, indices))
}

pub(crate) fn softmax(tensor: &Handle, axis: i32) -> Answer {
    answer(tensor.softmax(axis))
}

pub(crate) fn layer_norm(tensor: &Handle, axis: i32, scale: &Handle, bias: Option<&Handle>, epsilon: f32) -> Answer {
    answer(tensor.layer_norm(axis, scale, bias, epsilon))
}

pub(crate) fn batch_norm(tensor: &Handle, [scale, bias, mean, variance]: [&Handle; 4], epsilon: f32) -> Answer {
    answer(tensor.batch_norm(scale, bias, mean, variance, epsilon))
}

pub(crate) fn group_norm(tensor: &Handle, groups: u32, scale: &Handle, bias: &Handle, epsilon: f32) -> Answer {
    answer(tensor.group_norm(groups, scale, bias, epsilon))
}

pub(crate) fn color_matrix(tensor: &Handle, axis: i32, matrix: &[f32; 9], offset: &[f32; 3]) -> Answer {
    answer(tensor.color_matrix(axis, matrix, offset))
}

pub(crate) fn blend(tensor: &Handle, other: &Handle, weight: &Handle) -> Answer {
    answer(tensor.blend(other, weight))
}

pub(crate) fn blend_scalar(tensor: &Handle, other: &Handle, weight: f32) -> Answer {
    answer(tensor.blend_scalar(other, weight))
}

pub(super) fn wire_element(element: ElementType) -> wire::ElementType {
    match element {
        ElementType::F32 => wire::ElementType::Float32,
        ElementType::F16 => wire::ElementType::Float16,
        ElementType::U8 => wire::ElementType::Uint8,
        ElementType::I32 => wire::ElementType::Int32,
        ElementType::I64 => wire::ElementType::Int64,
        ElementType::Boolean => wire::ElementType::Boolean,
    }
}

fn wire_layout(layout: &Picture) -> wire::PictureLayout {
    wire::PictureLayout {
        channels: match layout.channels {
            Channels::Rgb => wire::Channels::Rgb,
            Channels::Gray => wire::Channels::Gray,
        },
        order: match layout.order {
            ChannelOrder::Hwc => wire::ChannelOrder::Hwc,
            ChannelOrder::Chw => wire::ChannelOrder::Chw,
        },
        batch: layout.batch,
        element: wire_element(layout.element),
        scale: layout.scale.clone(),
        offset: layout.offset.clone(),
    }
}

fn wire_convolution(options: Convolution) -> wire::Convolution {
    let Convolution { stride, padding, dilation, groups } = options;
    wire::Convolution { stride, padding, dilation, groups }
}
