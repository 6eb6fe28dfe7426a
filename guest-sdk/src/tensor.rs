//! Arrays of numbers that the host owns and works on: a picture becomes one, and is made of one, without entering the
//! processor.
//!
//! An operation gives a new tensor and leaves what it takes as it is. One that cannot be carried out gives a tensor
//! that holds the [`Refusal`] instead, as does everything made of that; whatever ends in something else than a tensor
//! tells it. So a computation is written down whole, and asked once.
//!
//! ```
//! # use rillbox_sdk::{Refusal, VideoFrame, tensor::{Picture, Tensor}};
//! # fn example(frame: &mut VideoFrame) -> Result<(), Refusal> {
//! let picture = frame.tensor(&Picture::rgb());
//! let warm = &picture * &Tensor::of(&[3], &[1.1, 1.0, 0.9]);
//! frame.replace_tensor(&warm.blend(&picture, 0.5), &Picture::rgb())
//! # }
//! ```
//!
//! `wit/tensor.wit` of the contract says of each operation what shapes and types of elements it takes, and which
//! operator of ONNX it is. Two shapes broadcast as in ONNX and NumPy. Axes count from 0, or from the end with −1 for
//! the last.

use std::ops::{Add, Div, Mul, Neg, Not, Sub};
use std::rc::Rc;

pub(crate) use sealed::Binary;
use sealed::Sealed;

use crate::imports::tensor as host;
use crate::{Refusal, VideoFrame};

/// What a tensor consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// 0 to 255.
    U8,
    /// 32 bits with a sign.
    I32,
    /// 64 bits with a sign.
    I64,
    /// A byte that is 0 or 1.
    Boolean,
}

/// Where the channels of a picture are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelOrder {
    /// Rows, columns, channels.
    Hwc,
    /// Channels, rows, columns.
    Chw,
}

/// The channels of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Luma.
    Gray,
}

/// How a picture becomes a tensor, and a tensor a picture: element = sample × scale + offset, where samples are 0 to 255.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// What a pixel consists of.
    pub channels: Channels,
    /// Where they are.
    pub order: ChannelOrder,
    /// An axis of 1 before the others.
    pub batch: bool,
    /// `F32`, `F16` or `U8`.
    pub element: ElementType,
    /// One for all channels or one a channel, not 0; none is 1. `U8` takes none.
    pub scale: Vec<f32>,
    /// The same; none is 0.
    pub offset: Vec<f32>,
}

impl Picture {
    /// (h, w, 3) of `f32`, 0 to 1.
    pub fn rgb() -> Self {
        Self {
            channels: Channels::Rgb,
            order: ChannelOrder::Hwc,
            batch: false,
            element: ElementType::F32,
            scale: vec![1.0 / 255.0],
            offset: Vec::new(),
        }
    }

    /// (h, w, 1) of `f32`, 0 to 1.
    pub fn gray() -> Self {
        Self { channels: Channels::Gray, ..Self::rgb() }
    }

    /// With the channels first and an axis of 1 before them, (1, c, h, w), as convolutions take it.
    pub fn planes(self) -> Self {
        Self { order: ChannelOrder::Chw, batch: true, ..self }
    }

    /// Of these elements; `U8` takes neither a scale nor an offset, which are gone then.
    pub fn of(self, element: ElementType) -> Self {
        match element {
            ElementType::U8 => Self { element, scale: Vec::new(), offset: Vec::new(), ..self },
            _ => Self { element, ..self },
        }
    }

    /// With these numbers, one for all channels or one a channel.
    pub fn scaled(self, scale: &[f32], offset: &[f32]) -> Self {
        Self { scale: scale.into(), offset: offset.into(), ..self }
    }
}

/// How a kernel moves over rows and columns; pairs are (rows, columns).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// ≥ 1.
    pub stride: (u32, u32),
    /// Zeros on both sides.
    pub padding: (u32, u32),
    /// From one element of the kernel to the next; ≥ 1.
    pub dilation: (u32, u32),
    /// Number of groups of equal size in which channels are worked on; ≥ 1.
    pub groups: u32,
}

impl Default for Convolution {
    /// Step by step, without padding, in one group.
    fn default() -> Self {
        Self { stride: (1, 1), padding: (0, 0), dilation: (1, 1), groups: 1 }
    }
}

/// A window over rows and columns; pairs are (rows, columns).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// ≥ 1.
    pub size: (u32, u32),
    /// ≥ 1.
    pub stride: (u32, u32),
    /// On both sides, and at most half of the size; what is there does not count.
    pub padding: (u32, u32),
}

/// How a size becomes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resize {
    /// The element at ⌊i · source / result⌋.
    Nearest,
    /// Of two by two, pixels being squares with their values in the middle.
    Bilinear,
    /// Of four by four, in the same way, with a = −0.75.
    Bicubic,
}

/// What is beyond an edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pad {
    /// One value.
    Constant(f64),
    /// The elements inside, mirrored at the one on the edge.
    Reflect,
    /// The one on the edge.
    Edge,
}

/// An operation on each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Unary {
    Neg,
    Abs,
    Sign,
    Reciprocal,
    Exp,
    Log,
    Sqrt,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Floor,
    Ceil,
    Round,
    Erf,
    Relu,
    Sigmoid,
    Tanh,
    Softplus,
    Gelu,
    Silu,
    HardSigmoid,
    HardSwish,
    IsNan,
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reduction {
    Sum,
    Mean,
    Max,
    Min,
    Prod,
}

/// An array of numbers, or why there is none. A clone is the same one.
#[derive(Clone)]
pub struct Tensor(Result<Rc<host::Handle>, Refusal>);

/// Makes tensors of the host's answers.
type Answer = Result<host::Handle, Refusal>;

impl Tensor {
    /// `f32`, as many as the shape asks.
    pub fn of(shape: &[u32], values: &[f32]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::from_bytes(ElementType::F32, shape, &bytes)
    }

    /// `i32`, as many as the shape asks.
    pub fn of_whole(shape: &[u32], values: &[i32]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::from_bytes(ElementType::I32, shape, &bytes)
    }

    /// Elements from their bytes, little-endian, as many as the shape asks: 1 to 8 axes of at least 1.
    pub fn from_bytes(element: ElementType, shape: &[u32], bytes: &[u8]) -> Self {
        Self::new(host::from_bytes(element, shape, bytes))
    }

    /// One value everywhere, rounded towards 0 and held within what the element can be.
    pub fn full(element: ElementType, shape: &[u32], value: f64) -> Self {
        Self::new(host::full(element, shape, value))
    }

    /// `start`, `start + step`, …: `count` elements on one axis.
    pub fn arange(element: ElementType, start: f64, step: f64, count: u32) -> Self {
        Self::new(host::arange(element, start, step, count))
    }

    /// One after another along an axis.
    pub fn concat(tensors: &[Self], axis: i32) -> Self {
        let handles: Result<Vec<_>, _> = tensors.iter().map(Self::handle).collect();
        Self::new(handles.and_then(|handles| host::concat(&handles, axis)))
    }

    /// What the elements are.
    pub fn element_type(&self) -> Result<ElementType, Refusal> {
        self.handle().map(host::element_type)
    }

    /// How long each axis is.
    pub fn shape(&self) -> Result<Vec<u32>, Refusal> {
        self.handle().map(host::shape)
    }

    /// The elements, little-endian: one copy.
    pub fn bytes(&self) -> Result<Vec<u8>, Refusal> {
        self.handle().and_then(host::bytes)
    }

    /// The elements as `f32`, whatever they are.
    pub fn values(&self) -> Result<Vec<f32>, Refusal> {
        let bytes = self.cast(ElementType::F32).bytes()?;
        Ok(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// Elements become others.
    pub fn cast(&self, element: ElementType) -> Self {
        self.then(|this| host::cast(this, element))
    }

    /// Elements held between two numbers.
    pub fn clamp(&self, low: f64, high: f64) -> Self {
        self.then(|this| host::clamp(this, low, high))
    }

    /// Elements of `yes` where this tensor is true, and of `no` elsewhere.
    pub fn choose(&self, yes: &Self, no: &Self) -> Self {
        self.with_two(yes, no, host::choose)
    }

    /// The index of the largest along an axis, which becomes 1 or is left out: `i64`, the first of equals.
    pub fn argmax(&self, axis: i32, keep: bool) -> Self {
        self.then(|this| host::arg_reduce(this, true, axis, keep))
    }

    /// The index of the smallest along an axis, which becomes 1 or is left out: `i64`, the first of equals.
    pub fn argmin(&self, axis: i32, keep: bool) -> Self {
        self.then(|this| host::arg_reduce(this, false, axis, keep))
    }

    /// (…, m, k) × (…, k, n) = (…, m, n).
    pub fn matmul(&self, right: &Self) -> Self {
        self.with(right, host::matmul)
    }

    /// (n, c, h, w) with a kernel of (o, c/groups, kh, kw) and a bias of (o).
    pub fn conv2d(&self, kernel: &Self, bias: Option<&Self>, options: Convolution) -> Self {
        self.with_optional(kernel, bias, |this, kernel, bias| host::conv2d(this, kernel, bias, options))
    }

    /// (n, c, h, w) with a kernel of (c, o/groups, kh, kw) and a bias of (o); `extra` rows and columns are added at the end.
    pub fn conv2d_transposed(
        &self,
        kernel: &Self,
        bias: Option<&Self>,
        options: Convolution,
        extra: (u32, u32),
    ) -> Self {
        self.with_optional(kernel, bias, |this, kernel, bias| {
            host::conv2d_transposed(this, kernel, bias, options, extra)
        })
    }

    /// The largest of each window of (n, c, h, w).
    pub fn max_pool2d(&self, window: Window) -> Self {
        self.then(|this| host::pool2d(this, true, window))
    }

    /// The mean of each window of (n, c, h, w).
    pub fn average_pool2d(&self, window: Window) -> Self {
        self.then(|this| host::pool2d(this, false, window))
    }

    /// (n, c, h, w) with new rows and columns.
    pub fn resize(&self, rows: u32, columns: u32, method: Resize) -> Self {
        self.then(|this| host::resize(this, rows, columns, method))
    }

    /// So many elements before and after, for each axis.
    pub fn pad(&self, widths: &[(u32, u32)], mode: Pad) -> Self {
        self.then(|this| host::pad(this, widths, mode))
    }

    /// For each axis `(start, end, step)`: the elements from `start` up to `end`, `end` left out, in steps.
    pub fn slice(&self, ranges: &[(u32, u32, u32)]) -> Self {
        self.then(|this| host::slice(this, ranges))
    }

    /// The same elements with other axes, of which one may be −1 for what is left.
    pub fn reshape(&self, shape: &[i32]) -> Self {
        self.then(|this| host::reshape(this, shape))
    }

    /// Axes in another order: the new axis i is the old `order[i]`.
    pub fn transpose(&self, order: &[u32]) -> Self {
        self.then(|this| host::transpose(this, order))
    }

    /// Along an axis, the entries that `indices` name; its axes take that one's place.
    pub fn gather(&self, axis: i32, indices: &Self) -> Self {
        self.with(indices, |this, indices| host::gather(this, axis, indices))
    }

    /// exp(x) over its sum along an axis.
    pub fn softmax(&self, axis: i32) -> Self {
        self.then(|this| host::softmax(this, axis))
    }

    /// Mean 0 and variance 1 over `axis` and all after it, then × `scale` + `bias`.
    pub fn layer_norm(&self, axis: i32, scale: &Self, bias: Option<&Self>, epsilon: f32) -> Self {
        self.with_optional(scale, bias, |this, scale, bias| host::layer_norm(this, axis, scale, bias, epsilon))
    }

    /// (n, c, …) with scale, bias, mean and variance of (c).
    pub fn batch_norm(&self, scale: &Self, bias: &Self, mean: &Self, variance: &Self, epsilon: f32) -> Self {
        let factors = [scale, bias, mean, variance].map(Self::handle);
        let [Ok(scale), Ok(bias), Ok(mean), Ok(variance)] = factors else {
            return Self(factors.into_iter().find_map(Result::err).map_or(self.0.clone(), Err));
        };
        self.then(|this| host::batch_norm(this, [scale, bias, mean, variance], epsilon))
    }

    /// (n, c, …) with scale and bias of (c): mean 0 and variance 1 over each group of channels.
    pub fn group_norm(&self, groups: u32, scale: &Self, bias: &Self, epsilon: f32) -> Self {
        self.with_two(scale, bias, |this, scale, bias| host::group_norm(this, groups, scale, bias, epsilon))
    }

    /// Three channels, at `axis`, become three others by a matrix, row by row, and an offset.
    pub fn color_matrix(&self, axis: i32, matrix: &[f32; 9], offset: &[f32; 3]) -> Self {
        self.then(|this| host::color_matrix(this, axis, matrix, offset))
    }

    /// this + (other − this) · weight.
    pub fn blend(&self, other: &Self, weight: f32) -> Self {
        self.with(other, |this, other| host::blend_scalar(this, other, weight))
    }

    /// [`blend`](Self::blend) with a weight for each element.
    pub fn blend_by(&self, other: &Self, weight: &Self) -> Self {
        self.with_two(other, weight, host::blend)
    }

    pub(crate) fn new(answer: Answer) -> Self {
        Self(answer.map(Rc::new))
    }

    pub(crate) fn handle(&self) -> Result<&host::Handle, Refusal> {
        self.0.as_deref().map_err(Clone::clone)
    }

    fn then(&self, operation: impl FnOnce(&host::Handle) -> Answer) -> Self {
        Self::new(self.handle().and_then(operation))
    }

    fn with(&self, other: &Self, operation: impl FnOnce(&host::Handle, &host::Handle) -> Answer) -> Self {
        Self::new(self.handle().and_then(|this| operation(this, other.handle()?)))
    }

    fn with_two(
        &self,
        one: &Self,
        two: &Self,
        operation: impl FnOnce(&host::Handle, &host::Handle, &host::Handle) -> Answer,
    ) -> Self {
        Self::new(self.handle().and_then(|this| operation(this, one.handle()?, two.handle()?)))
    }

    fn with_optional(
        &self,
        one: &Self,
        two: Option<&Self>,
        operation: impl FnOnce(&host::Handle, &host::Handle, Option<&host::Handle>) -> Answer,
    ) -> Self {
        let two = two.map(Self::handle).transpose();
        Self::new(self.handle().and_then(|this| operation(this, one.handle()?, two?)))
    }
}

macro_rules! unary {
    ($($name:ident $operation:ident $about:literal;)*) => {
        impl Tensor {$(
            #[doc = $about]
            pub fn $name(&self) -> Self {
                self.then(|this| host::unary(this, Unary::$operation))
            }
        )*}
    };
}

unary! {
    abs Abs "Of each element, its distance from 0.";
    sign Sign "Of each element, −1, 0 or 1.";
    reciprocal Reciprocal "Of each element x, 1/x.";
    exp Exp "Of each element x, eˣ.";
    log Log "Of each element, the natural logarithm.";
    sqrt Sqrt "Of each element, the square root.";
    sin Sin "Of each element, the sine.";
    cos Cos "Of each element, the cosine.";
    tan Tan "Of each element, the tangent.";
    asin Asin "Of each element, the angle of which it is the sine.";
    acos Acos "Of each element, the angle of which it is the cosine.";
    atan Atan "Of each element, the angle of which it is the tangent.";
    sinh Sinh "Of each element, the hyperbolic sine.";
    cosh Cosh "Of each element, the hyperbolic cosine.";
    floor Floor "Of each element, the whole number that is not larger.";
    ceil Ceil "Of each element, the whole number that is not smaller.";
    round Round "Of each element, the nearest whole number; halves to the even one.";
    erf Erf "Of each element, the error function.";
    relu Relu "Of each element, itself or 0, whichever is larger.";
    sigmoid Sigmoid "Of each element x, 1 / (1 + e⁻ˣ).";
    tanh Tanh "Of each element, the hyperbolic tangent.";
    softplus Softplus "Of each element x, log(1 + eˣ).";
    gelu Gelu "Of each element x, x · ½(1 + erf(x/√2)).";
    silu Silu "Of each element x, x · sigmoid(x).";
    hard_sigmoid HardSigmoid "Of each element x, x/6 + ½ between 0 and 1.";
    hard_swish HardSwish "Of each element x, x · hard_sigmoid(x).";
    is_nan IsNan "Of each element, whether it is no number.";
}

macro_rules! reductions {
    ($($name:ident $reduction:ident $about:literal;)*) => {
        impl Tensor {$(
            #[doc = $about]
            #[doc = "Over these axes, or all where there are none; each becomes 1, or is left out."]
            pub fn $name(&self, axes: &[i32], keep: bool) -> Self {
                self.then(|this| host::reduce(this, Reduction::$reduction, axes, keep))
            }
        )*}
    };
}

reductions! {
    sum Sum "The sum.";
    mean Mean "The mean.";
    largest Max "The largest.";
    smallest Min "The smallest.";
    product Prod "The product.";
}

macro_rules! binary {
    ($($name:ident $operation:ident $about:literal;)*) => {
        impl Tensor {$(
            #[doc = $about]
            pub fn $name<T: Operand>(&self, right: T) -> Self {
                right.on_the_right(self, Binary::$operation)
            }
        )*}
    };
}

binary! {
    modulo Modulo "What is left of a division: of whole numbers with the divisor's sign, otherwise with the dividend's.";
    pow Pow "To the power of the right.";
    min Min "Whichever is smaller.";
    max Max "Whichever is larger.";
    equal Equal "Whether they are equal.";
    not_equal NotEqual "Whether they differ.";
    less Less "Whether the left is less.";
    less_equal LessEqual "Whether the left is not greater.";
    greater Greater "Whether the left is greater.";
    greater_equal GreaterEqual "Whether the left is not less.";
    and And "Whether both are true.";
    or Or "Whether one is true.";
    xor Xor "Whether just one is true.";
}

/// What may stand on the right of an operation: another tensor, or one number that its elements can be.
pub trait Operand: sealed::Sealed {}

impl Operand for &Tensor {}

impl Operand for Tensor {}

impl Operand for f64 {}

impl Operand for f32 {}

/// What nobody else implements or names.
mod sealed {
    pub trait Sealed {
        fn on_the_right(self, left: &super::Tensor, operation: Binary) -> super::Tensor;
    }

    /// An operation on each pair.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Binary {
        Add,
        Sub,
        Mul,
        Div,
        Modulo,
        Pow,
        Min,
        Max,
        Equal,
        NotEqual,
        Less,
        LessEqual,
        Greater,
        GreaterEqual,
        And,
        Or,
        Xor,
    }
}

impl Sealed for &Tensor {
    fn on_the_right(self, left: &Tensor, operation: Binary) -> Tensor {
        left.with(self, |left, right| host::binary(left, operation, right))
    }
}

impl Sealed for Tensor {
    fn on_the_right(self, left: &Tensor, operation: Binary) -> Tensor {
        (&self).on_the_right(left, operation)
    }
}

impl Sealed for f32 {
    fn on_the_right(self, left: &Tensor, operation: Binary) -> Tensor {
        f64::from(self).on_the_right(left, operation)
    }
}

impl Sealed for f64 {
    fn on_the_right(self, left: &Tensor, operation: Binary) -> Tensor {
        left.then(|left| host::binary_scalar(left, operation, self))
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident;)*) => {$(
        impl<T: Operand> $trait<T> for &Tensor {
            type Output = Tensor;

            fn $method(self, right: T) -> Tensor {
                right.on_the_right(self, Binary::$trait)
            }
        }

        impl<T: Operand> $trait<T> for Tensor {
            type Output = Tensor;

            fn $method(self, right: T) -> Tensor {
                right.on_the_right(&self, Binary::$trait)
            }
        }
    )*};
}

operators! {
    Add add;
    Sub sub;
    Mul mul;
    Div div;
}

impl Neg for &Tensor {
    type Output = Tensor;

    fn neg(self) -> Tensor {
        self.then(|this| host::unary(this, Unary::Neg))
    }
}

impl Not for &Tensor {
    type Output = Tensor;

    fn not(self) -> Tensor {
        self.then(|this| host::unary(this, Unary::Not))
    }
}

impl Neg for Tensor {
    type Output = Self;

    fn neg(self) -> Self {
        -&self
    }
}

impl Not for Tensor {
    type Output = Self;

    fn not(self) -> Self {
        !&self
    }
}

impl VideoFrame<'_> {
    /// The source picture as a tensor, without a copy into the processor.
    pub fn tensor(&self, layout: &Picture) -> Tensor {
        Tensor::new(host::from_frame(self.handle(), layout))
    }

    /// Stages a tensor as the new picture, as [`replace_pixels`](Self::replace_pixels) does: samples are rounded and
    /// held within 0 to 255. What could not be worked out is told here.
    pub fn replace_tensor(&mut self, tensor: &Tensor, layout: &Picture) -> Result<(), Refusal> {
        host::replace_frame(tensor.handle()?, self.handle(), layout)
    }
}
