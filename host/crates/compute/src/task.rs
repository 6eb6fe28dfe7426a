//! An operation whose arguments are checked: what a device needs to know to do it.

use crate::{
    ArgReduction, Binary, Convolution, ElementType, PadMode, Pooling, Reduction, ResizeMethod, Span, Tensor, Unary,
    Window,
};

/// An operation whose arguments are checked, and its result.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// What is done.
    pub operation: Operation<'a>,
    /// To these, in the order that the operation says.
    pub tensors: &'a [&'a Tensor],
    /// The result's elements.
    pub element: ElementType,
    /// The result's shape.
    pub shape: &'a [usize],
}

impl Task<'_> {
    /// How many elements go into one of the result along the operation's axes, kernel or window, one after the other, however many
    /// results are worked on beside it. 1 for all other operations.
    pub fn depth(&self) -> usize {
        let length = |tensor: usize, axis: usize| self.tensors.get(tensor).and_then(|tensor| tensor.shape().get(axis));
        let along = |tensor: usize, axis: usize| length(tensor, axis).copied().unwrap_or(1);
        match self.operation {
            Operation::Matmul => self.tensors.first().and_then(|left| left.shape().last()).copied().unwrap_or(1),
            Operation::Conv2d(_) => along(1, 1) * along(1, 2) * along(1, 3),
            Operation::Conv2dTransposed(convolution) => along(1, 0) / convolution.groups * along(1, 2) * along(1, 3),
            Operation::Pool2d(_, window) => window.size[0] * window.size[1],
            Operation::ArgReduce(_, axis) | Operation::Softmax(axis) => along(0, axis),
            Operation::Reduce(_, axes) => axes.iter().map(|axis| along(0, *axis)).product(),
            _ => 1,
        }
    }
}

/// What is done. Axes are counted from 0.
#[derive(Clone, Copy, Debug)]
pub enum Operation<'a> {
    /// To each element.
    Unary(Unary),
    /// To each pair, after broadcasting.
    Binary(Binary),
    /// The second where the first is true, and the third elsewhere; all three broadcast.
    Choose,
    /// second + (third − second) · first; all three broadcast.
    Blend,
    /// Between two numbers.
    Clamp(f64, f64),
    /// To the result's type.
    Cast,
    /// Over these axes, in ascending order.
    Reduce(Reduction, &'a [usize]),
    /// Along an axis.
    ArgReduce(ArgReduction, usize),
    /// (…, m, k) × (…, k, n).
    Matmul,
    /// A picture, its kernel, and a bias or none.
    Conv2d(Convolution),
    /// The same.
    Conv2dTransposed(Convolution),
    /// Rows and columns.
    Pool2d(Pooling, Window),
    /// Rows and columns.
    Resize(ResizeMethod),
    /// The new axis i is the old one of this number.
    Transpose(&'a [usize]),
    /// A span of each axis.
    Slice(&'a [Span]),
    /// So many elements before and after, for each axis.
    Pad(&'a [(usize, usize)], PadMode),
    /// One after another along an axis.
    Concat(usize),
    /// Entries along an axis of the first that the second names.
    Gather(usize),
    /// Along an axis.
    Softmax(usize),
    /// Three channels, at an axis, by a matrix and an offset.
    ColorMatrix(usize, &'a [f32; 9], &'a [f32; 3]),
}
