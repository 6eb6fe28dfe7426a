//! `tensor`: arrays in memory, worked on by the code of the host.

use rillbox_compute as compute;
use rillbox_compute::{Tensor, Unlimited};

use super::video;
use crate::tensor::{ChannelOrder, Channels, Convolution, ElementType, Pad, Picture, Resize, Window};
use crate::{PixelFormat, Refusal};

pub(crate) use rillbox_compute::{Binary, Reduction, Tensor as Handle, Unary};

type Answer = Result<Tensor, Refusal>;

fn answer<T>(answer: Result<T, compute::Error>) -> Result<T, Refusal> {
    answer.map_err(|error| match error {
        compute::Error::Invalid(why) => Refusal::Invalid(why),
        compute::Error::Limit(why) => Refusal::Limit(why),
        // Here everything is on the CPU.
        away @ compute::Error::Away => Refusal::Unsupported(away.to_string()),
    })
}

pub(crate) fn from_bytes(element: ElementType, shape: &[u32], bytes: &[u8]) -> Answer {
    answer(Tensor::from_bytes(of_element(element), &sizes(shape), bytes, &mut Unlimited))
}

pub(crate) fn full(element: ElementType, shape: &[u32], value: f64) -> Answer {
    answer(Tensor::full(of_element(element), &sizes(shape), value, &mut Unlimited))
}

pub(crate) fn arange(element: ElementType, start: f64, step: f64, count: u32) -> Answer {
    answer(Tensor::arange(of_element(element), start, step, count, &mut Unlimited))
}

pub(crate) fn from_frame(frame: &video::Handle, layout: &Picture) -> Answer {
    let samples = video::pixels(frame, format(layout))?;
    let (width, height) = (video::width(frame) as usize, video::height(frame) as usize);
    answer(of_layout(layout).tensor(width, height, &samples, &mut Unlimited))
}

pub(crate) fn replace_frame(tensor: &Tensor, frame: &video::Handle, layout: &Picture) -> Result<(), Refusal> {
    let (width, height, samples) = answer(of_layout(layout).samples(tensor, &mut Unlimited))?;
    video::replace_pixels(frame, format(layout), width as u32, height as u32, &samples)
}

pub(crate) fn element_type(tensor: &Tensor) -> ElementType {
    match tensor.element() {
        compute::ElementType::F32 => ElementType::F32,
        compute::ElementType::F16 => ElementType::F16,
        compute::ElementType::U8 => ElementType::U8,
        compute::ElementType::I32 => ElementType::I32,
        compute::ElementType::I64 => ElementType::I64,
        compute::ElementType::Boolean => ElementType::Boolean,
    }
}

pub(crate) fn shape(tensor: &Tensor) -> Vec<u32> {
    tensor.shape().iter().map(|axis| *axis as u32).collect()
}

pub(crate) fn bytes(tensor: &Tensor) -> Result<Vec<u8>, Refusal> {
    Ok(tensor.bytes().to_vec())
}

pub(crate) fn unary(tensor: &Tensor, operation: Unary) -> Answer {
    answer(tensor.unary(operation, &mut Unlimited))
}

pub(crate) fn binary(left: &Tensor, operation: Binary, right: &Tensor) -> Answer {
    answer(left.binary(operation, right, &mut Unlimited))
}

pub(crate) fn binary_scalar(left: &Tensor, operation: Binary, right: f64) -> Answer {
    answer(left.binary_scalar(operation, right, &mut Unlimited))
}

pub(crate) fn choose(tensor: &Tensor, yes: &Tensor, no: &Tensor) -> Answer {
    answer(tensor.choose(yes, no, &mut Unlimited))
}

pub(crate) fn clamp(tensor: &Tensor, low: f64, high: f64) -> Answer {
    answer(tensor.clamp(low, high, &mut Unlimited))
}

pub(crate) fn cast(tensor: &Tensor, element: ElementType) -> Answer {
    answer(tensor.cast(of_element(element), &mut Unlimited))
}

pub(crate) fn reduce(tensor: &Tensor, reduction: Reduction, axes: &[i32], keep: bool) -> Answer {
    answer(tensor.reduce(reduction, axes, keep, &mut Unlimited))
}

pub(crate) fn arg_reduce(tensor: &Tensor, largest: bool, axis: i32, keep: bool) -> Answer {
    let reduction = if largest { compute::ArgReduction::Max } else { compute::ArgReduction::Min };
    answer(tensor.arg_reduce(reduction, axis, keep, &mut Unlimited))
}

pub(crate) fn matmul(left: &Tensor, right: &Tensor) -> Answer {
    answer(left.matmul(right, &mut Unlimited))
}

pub(crate) fn conv2d(tensor: &Tensor, kernel: &Tensor, bias: Option<&Tensor>, options: Convolution) -> Answer {
    answer(tensor.conv2d(kernel, bias, of_convolution(options), &mut Unlimited))
}

pub(crate) fn conv2d_transposed(
    tensor: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    options: Convolution,
    extra: (u32, u32),
) -> Answer {
    answer(tensor.conv2d_transposed(kernel, bias, of_convolution(options), pair(extra), &mut Unlimited))
}

pub(crate) fn pool2d(tensor: &Tensor, largest: bool, window: Window) -> Answer {
    let pooling = if largest { compute::Pooling::Max } else { compute::Pooling::Average };
    let Window { size, stride, padding } = window;
    let window = compute::Window { size: pair(size), stride: pair(stride), padding: pair(padding) };
    answer(tensor.pool2d(pooling, window, &mut Unlimited))
}

pub(crate) fn resize(tensor: &Tensor, rows: u32, columns: u32, method: Resize) -> Answer {
    let method = match method {
        Resize::Nearest => compute::ResizeMethod::Nearest,
        Resize::Bilinear => compute::ResizeMethod::Bilinear,
        Resize::Bicubic => compute::ResizeMethod::Bicubic,
    };
    answer(tensor.resize(rows as usize, columns as usize, method, &mut Unlimited))
}

pub(crate) fn pad(tensor: &Tensor, widths: &[(u32, u32)], mode: Pad) -> Answer {
    let mode = match mode {
        Pad::Constant(value) => compute::PadMode::Constant(value),
        Pad::Reflect => compute::PadMode::Reflect,
        Pad::Edge => compute::PadMode::Edge,
    };
    let widths: Vec<_> = widths.iter().map(|(before, after)| (*before as usize, *after as usize)).collect();
    answer(tensor.pad(&widths, mode, &mut Unlimited))
}

pub(crate) fn slice(tensor: &Tensor, ranges: &[(u32, u32, u32)]) -> Answer {
    let span = |&(start, end, step): &(u32, u32, u32)| compute::Span {
        start: start as usize,
        end: end as usize,
        step: step as usize,
    };
    answer(tensor.slice(&ranges.iter().map(span).collect::<Vec<_>>(), &mut Unlimited))
}

pub(crate) fn reshape(tensor: &Tensor, shape: &[i32]) -> Answer {
    answer(tensor.reshape(shape))
}

pub(crate) fn transpose(tensor: &Tensor, order: &[u32]) -> Answer {
    answer(tensor.transpose(&sizes(order), &mut Unlimited))
}

pub(crate) fn concat(tensors: &[&Tensor], axis: i32) -> Answer {
    answer(Tensor::concat(tensors, axis, &mut Unlimited))
}

pub(crate) fn gather(tensor: &Tensor, axis: i32, indices: &Tensor) -> Answer {
    answer(tensor.gather(axis, indices, &mut Unlimited))
}

pub(crate) fn softmax(tensor: &Tensor, axis: i32) -> Answer {
    answer(tensor.softmax(axis, &mut Unlimited))
}

pub(crate) fn layer_norm(tensor: &Tensor, axis: i32, scale: &Tensor, bias: Option<&Tensor>, epsilon: f32) -> Answer {
    answer(tensor.layer_norm(axis, scale, bias, epsilon, &mut Unlimited))
}

pub(crate) fn batch_norm(tensor: &Tensor, factors: [&Tensor; 4], epsilon: f32) -> Answer {
    answer(tensor.batch_norm(factors, epsilon, &mut Unlimited))
}

pub(crate) fn group_norm(tensor: &Tensor, groups: u32, scale: &Tensor, bias: &Tensor, epsilon: f32) -> Answer {
    answer(tensor.group_norm(groups as usize, scale, bias, epsilon, &mut Unlimited))
}

pub(crate) fn color_matrix(tensor: &Tensor, axis: i32, matrix: &[f32; 9], offset: &[f32; 3]) -> Answer {
    answer(tensor.color_matrix(axis, matrix, offset, &mut Unlimited))
}

pub(crate) fn blend(tensor: &Tensor, other: &Tensor, weight: &Tensor) -> Answer {
    answer(tensor.blend(other, weight, &mut Unlimited))
}

pub(crate) fn blend_scalar(tensor: &Tensor, other: &Tensor, weight: f32) -> Answer {
    answer(tensor.blend_scalar(other, weight, &mut Unlimited))
}

fn sizes(sizes: &[u32]) -> Vec<usize> {
    sizes.iter().map(|size| *size as usize).collect()
}

fn pair((rows, columns): (u32, u32)) -> [usize; 2] {
    [rows as usize, columns as usize]
}

fn of_element(element: ElementType) -> compute::ElementType {
    match element {
        ElementType::F32 => compute::ElementType::F32,
        ElementType::F16 => compute::ElementType::F16,
        ElementType::U8 => compute::ElementType::U8,
        ElementType::I32 => compute::ElementType::I32,
        ElementType::I64 => compute::ElementType::I64,
        ElementType::Boolean => compute::ElementType::Boolean,
    }
}

fn format(layout: &Picture) -> PixelFormat {
    match layout.channels {
        Channels::Rgb => PixelFormat::Rgb8,
        Channels::Gray => PixelFormat::Gray8,
    }
}

fn of_layout(layout: &Picture) -> compute::PictureLayout {
    compute::PictureLayout {
        channels: match layout.channels {
            Channels::Rgb => compute::Channels::Rgb,
            Channels::Gray => compute::Channels::Gray,
        },
        order: match layout.order {
            ChannelOrder::Hwc => compute::ChannelOrder::Hwc,
            ChannelOrder::Chw => compute::ChannelOrder::Chw,
        },
        batch: layout.batch,
        element: of_element(layout.element),
        scale: layout.scale.clone(),
        offset: layout.offset.clone(),
    }
}

fn of_convolution(options: Convolution) -> compute::Convolution {
    let Convolution { stride, padding, dilation, groups } = options;
    compute::Convolution {
        stride: pair(stride),
        padding: pair(padding),
        dilation: pair(dilation),
        groups: groups as usize,
    }
}
