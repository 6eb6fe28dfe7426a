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
//! `+`, `-`, `*` and `/` take tensors by value or by reference, and a number in the place of one of them:
//!
//! ```
//! # use rillbox_sdk::{Refusal, tensor::Tensor};
//! let mask = Tensor::of(&[3], &[0.0, 0.25, 1.0]);
//! let gain = 2.0 * &mask / (1.0 + &mask);
//! assert_eq!(gain.values()?, [0.0, 0.4, 1.0]);
//! assert_eq!((1.0 - mask).values()?, [1.0, 0.75, 0.0]);
//! # Ok::<(), Refusal>(())
//! ```
//!
//! On the right that is an `f32` or an `f64`, on the left an `f64`: were both there, Rust could not tell what
//! `1.0 - mask` is.
//!
//! `wit/tensor.wit` of the contract says of each operation what shapes and types of elements it takes, and which
//! operator of ONNX it is. Two shapes broadcast as in ONNX and NumPy. Axes count from 0, or from the end with −1 for
//! the last.

mod convolution;
mod functions;
mod layout;
mod normalization;
mod operators;
mod picture;
mod reductions;

use std::fmt;
use std::rc::Rc;

use crate::Refusal;
use crate::imports::tensor as host;

pub use convolution::{Convolution, Window};
pub use layout::Pad;
pub use operators::Operand;
pub use picture::{ChannelOrder, Channels, Picture, Resize};

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

/// An array of numbers, or why there is none. A clone is the same one.
#[derive(Clone)]
#[must_use = "an operation gives a new tensor and leaves what it takes as it is"]
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

impl fmt::Debug for Tensor {
    /// What the elements are and how long the axes, or the refusal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.handle() {
            Ok(this) => f
                .debug_struct("Tensor")
                .field("element_type", &host::element_type(this))
                .field("shape", &host::shape(this))
                .finish_non_exhaustive(),
            Err(refusal) => f.debug_tuple("Tensor").field(&refusal).finish(),
        }
    }
}
