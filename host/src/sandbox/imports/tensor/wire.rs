//! The contract's words for what `rillbox_compute` knows, and the other way round.

use rillbox_compute::{self as compute, Convolution, PictureLayout};
use rillbox_media::PixelFormat;

use crate::sandbox::bindings::rillbox::processor::tensor as wit;

/// Whether the GPU has elements of this type as guests' shaders have them.
pub fn is_word(element: compute::ElementType) -> bool {
    matches!(element, compute::ElementType::F32 | compute::ElementType::I32)
}

/// Whether so many bytes on the GPU are such a tensor as they are.
pub fn fits_on_gpu(element: wit::ElementType, shape: &[u32], bytes: usize) -> bool {
    let count = shape.iter().try_fold(1_usize, |count, axis| count.checked_mul(*axis as usize));
    let axes = (1..=compute::MAX_AXES).contains(&shape.len());
    is_word(element_type(element)) && axes && bytes > 0 && count.and_then(|count| count.checked_mul(4)) == Some(bytes)
}

pub fn sizes(sizes: &[u32]) -> Vec<usize> {
    sizes.iter().map(|size| *size as usize).collect()
}

/// An axis is never longer than 32 bits say.
pub fn side(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

pub fn pair((rows, columns): (u32, u32)) -> [usize; 2] {
    [rows as usize, columns as usize]
}

pub fn convolution(options: wit::Convolution) -> Convolution {
    Convolution {
        stride: pair(options.stride),
        padding: pair(options.padding),
        dilation: pair(options.dilation),
        groups: options.groups as usize,
    }
}

pub fn element_type(element: wit::ElementType) -> compute::ElementType {
    match element {
        wit::ElementType::Float32 => compute::ElementType::F32,
        wit::ElementType::Float16 => compute::ElementType::F16,
        wit::ElementType::Uint8 => compute::ElementType::U8,
        wit::ElementType::Int32 => compute::ElementType::I32,
        wit::ElementType::Int64 => compute::ElementType::I64,
        wit::ElementType::Boolean => compute::ElementType::Boolean,
    }
}

/// The layout, and the format whose samples it arranges.
pub fn picture_layout(layout: wit::PictureLayout) -> (PixelFormat, PictureLayout) {
    let (format, channels) = match layout.channels {
        wit::Channels::Rgb => (PixelFormat::Rgb8, compute::Channels::Rgb),
        wit::Channels::Gray => (PixelFormat::Gray8, compute::Channels::Gray),
    };
    let order = match layout.order {
        wit::ChannelOrder::Hwc => compute::ChannelOrder::Hwc,
        wit::ChannelOrder::Chw => compute::ChannelOrder::Chw,
    };
    let wit::PictureLayout { batch, element, scale, offset, .. } = layout;
    (format, PictureLayout { channels, order, batch, element: element_type(element), scale, offset })
}

pub fn unary(operation: wit::UnaryOperation) -> compute::Unary {
    use compute::Unary;
    use wit::UnaryOperation as Wire;
    match operation {
        Wire::Neg => Unary::Neg,
        Wire::Abs => Unary::Abs,
        Wire::Sign => Unary::Sign,
        Wire::Reciprocal => Unary::Reciprocal,
        Wire::Exp => Unary::Exp,
        Wire::Log => Unary::Log,
        Wire::Sqrt => Unary::Sqrt,
        Wire::Sin => Unary::Sin,
        Wire::Cos => Unary::Cos,
        Wire::Tan => Unary::Tan,
        Wire::Asin => Unary::Asin,
        Wire::Acos => Unary::Acos,
        Wire::Atan => Unary::Atan,
        Wire::Sinh => Unary::Sinh,
        Wire::Cosh => Unary::Cosh,
        Wire::Floor => Unary::Floor,
        Wire::Ceil => Unary::Ceil,
        Wire::Round => Unary::Round,
        Wire::Erf => Unary::Erf,
        Wire::Relu => Unary::Relu,
        Wire::Sigmoid => Unary::Sigmoid,
        Wire::Tanh => Unary::Tanh,
        Wire::Softplus => Unary::Softplus,
        Wire::Gelu => Unary::Gelu,
        Wire::Silu => Unary::Silu,
        Wire::HardSigmoid => Unary::HardSigmoid,
        Wire::HardSwish => Unary::HardSwish,
        Wire::IsNan => Unary::IsNan,
        Wire::Not => Unary::Not,
    }
}

pub fn binary(operation: wit::BinaryOperation) -> compute::Binary {
    use compute::Binary;
    use wit::BinaryOperation as Wire;
    match operation {
        Wire::Add => Binary::Add,
        Wire::Sub => Binary::Sub,
        Wire::Mul => Binary::Mul,
        Wire::Div => Binary::Div,
        Wire::Modulo => Binary::Modulo,
        Wire::Pow => Binary::Pow,
        Wire::Min => Binary::Min,
        Wire::Max => Binary::Max,
        Wire::Equal => Binary::Equal,
        Wire::NotEqual => Binary::NotEqual,
        Wire::Less => Binary::Less,
        Wire::LessEqual => Binary::LessEqual,
        Wire::Greater => Binary::Greater,
        Wire::GreaterEqual => Binary::GreaterEqual,
        Wire::And => Binary::And,
        Wire::Or => Binary::Or,
        Wire::Xor => Binary::Xor,
    }
}
