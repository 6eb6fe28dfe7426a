//! The numbers by which kernels know operations, the same in Rust and in `kernels/`: `Params::operation` is one of them, or one of
//! those that `launch` has for conversions and edges.

use rillbox_compute::{ArgReduction, Binary, Pooling, Reduction, ResizeMethod, Unary};

/// `unary` in `elementwise.wgsl`, of floating point.
pub const fn unary(operation: Unary) -> u32 {
    match operation {
        Unary::Neg => 0,
        Unary::Abs => 1,
        Unary::Sign => 2,
        Unary::Reciprocal => 3,
        Unary::Exp => 4,
        Unary::Log => 5,
        Unary::Sqrt => 6,
        Unary::Sin => 7,
        Unary::Cos => 8,
        Unary::Tan => 9,
        Unary::Asin => 10,
        Unary::Acos => 11,
        Unary::Atan => 12,
        Unary::Sinh => 13,
        Unary::Cosh => 14,
        Unary::Floor => 15,
        Unary::Ceil => 16,
        Unary::Round => 17,
        Unary::Erf => 18,
        Unary::Relu => 19,
        Unary::Sigmoid => 20,
        Unary::Tanh => 21,
        Unary::Softplus => 22,
        Unary::Gelu => 23,
        Unary::Silu => 24,
        Unary::HardSigmoid => 25,
        Unary::HardSwish => 26,
        Unary::IsNan => 27,
        Unary::Not => 28,
    }
}

/// The same of whole numbers, from `WHOLE` on.
pub const fn unary_whole(operation: Unary) -> u32 {
    const WHOLE: u32 = 100;
    WHOLE + unary(operation)
}

/// `binary` in `elementwise.wgsl`.
pub const fn binary(operation: Binary) -> u32 {
    match operation {
        Binary::Add => 0,
        Binary::Sub => 1,
        Binary::Mul => 2,
        Binary::Div => 3,
        Binary::Modulo => 4,
        Binary::Pow => 5,
        Binary::Min => 6,
        Binary::Max => 7,
        // Those that compare are taken for a range: `EQUAL` to `GREATER_EQUAL`.
        Binary::Equal => 8,
        Binary::NotEqual => 9,
        Binary::Less => 10,
        Binary::LessEqual => 11,
        Binary::Greater => 12,
        Binary::GreaterEqual => 13,
        Binary::And => 14,
        Binary::Or => 15,
        Binary::Xor => 16,
    }
}

/// `reduce_each` and `reduce_together` in `reduce.wgsl`. A mean is a sum that is divided.
pub const fn reduction(reduction: Reduction) -> u32 {
    match reduction {
        Reduction::Sum | Reduction::Mean => 0,
        Reduction::Max => 2,
        Reduction::Min => 3,
        Reduction::Prod => 4,
    }
}

/// `arg_each` and `arg_together` in `reduce.wgsl`.
pub const fn arg_reduction(arg: ArgReduction) -> u32 {
    match arg {
        ArgReduction::Max => reduction(Reduction::Max),
        ArgReduction::Min => reduction(Reduction::Min),
    }
}

/// `pool2d` in `window.wgsl`.
pub const fn pooling(pooling: Pooling) -> u32 {
    match pooling {
        Pooling::Max => 0,
        Pooling::Average => 1,
    }
}

/// `resize` in `window.wgsl`.
pub const fn resize(method: ResizeMethod) -> u32 {
    match method {
        ResizeMethod::Nearest => 0,
        ResizeMethod::Bilinear => 1,
        ResizeMethod::Bicubic => 2,
    }
}
