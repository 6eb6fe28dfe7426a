//! Tensors that the host works on for guests.
//!
//! What an operation means is said once, in `wit/tensor.wit`; here is what it does. Each checks its arguments first,
//! says what it would cost to an [`Allowance`], and only then takes memory and time. None panics on what a guest can
//! ask for.

mod cost;
mod element;
mod error;
mod operations;
mod picture;
mod shape;
mod simd;
mod subnormal;
mod task;
mod tensor;

pub use cost::{Allowance, Cost, Unlimited, Work};
pub use element::ElementType;
pub use error::Error;
pub use operations::{
    ArgReduction, Binary, Convolution, PadMode, Pooling, Reduction, ResizeMethod, Span, Unary, Window,
};
pub use picture::{ChannelOrder, Channels, PictureLayout};
pub use shape::MAX_AXES;
pub use subnormal::without_subnormals;
pub use task::{Operation, Task};
pub use tensor::{OnDevice, Tensor};
