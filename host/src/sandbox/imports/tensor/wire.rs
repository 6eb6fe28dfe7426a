//! The contract's words for what `rillbox_compute` knows, and the other way round.

use rillbox_compute::{self as compute, Convolution, PictureLayout, Window};
use rillbox_media::PixelFormat;

use crate::sandbox::bindings::rillbox::processor::tensor as wit;

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

pub fn pooling_window(window: wit::Window) -> Window {
    Window { size: pair(window.size), stride: pair(window.stride), padding: pair(window.padding) }
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

/// The same the other way round.
pub fn wire_element_type(element: compute::ElementType) -> wit::ElementType {
    match element {
        compute::ElementType::F32 => wit::ElementType::Float32,
        compute::ElementType::F16 => wit::ElementType::Float16,
        compute::ElementType::U8 => wit::ElementType::Uint8,
        compute::ElementType::I32 => wit::ElementType::Int32,
        compute::ElementType::I64 => wit::ElementType::Int64,
        compute::ElementType::Boolean => wit::ElementType::Boolean,
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

pub fn reduction(operation: wit::Reduction) -> compute::Reduction {
    match operation {
        wit::Reduction::Sum => compute::Reduction::Sum,
        wit::Reduction::Mean => compute::Reduction::Mean,
        wit::Reduction::Max => compute::Reduction::Max,
        wit::Reduction::Min => compute::Reduction::Min,
        wit::Reduction::Prod => compute::Reduction::Prod,
    }
}

pub fn arg_reduction(operation: wit::ArgReduction) -> compute::ArgReduction {
    match operation {
        wit::ArgReduction::Max => compute::ArgReduction::Max,
        wit::ArgReduction::Min => compute::ArgReduction::Min,
    }
}

pub fn pooling(operation: wit::Pooling) -> compute::Pooling {
    match operation {
        wit::Pooling::Max => compute::Pooling::Max,
        wit::Pooling::Average => compute::Pooling::Average,
    }
}

pub fn resize_method(method: wit::ResizeMethod) -> compute::ResizeMethod {
    match method {
        wit::ResizeMethod::Nearest => compute::ResizeMethod::Nearest,
        wit::ResizeMethod::Bilinear => compute::ResizeMethod::Bilinear,
        wit::ResizeMethod::Bicubic => compute::ResizeMethod::Bicubic,
    }
}

/// The mode, with the value of what is constant.
pub fn pad_mode(mode: wit::PadMode, value: f64) -> compute::PadMode {
    match mode {
        wit::PadMode::Constant => compute::PadMode::Constant(value),
        wit::PadMode::Reflect => compute::PadMode::Reflect,
        wit::PadMode::Edge => compute::PadMode::Edge,
    }
}
