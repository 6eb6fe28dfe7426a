//! Pictures as tensors, and what is done to pictures.

use super::{ElementType, Tensor};
use crate::imports::tensor as host;
use crate::{Refusal, VideoFrame};

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

/// How a picture becomes a tensor, and a tensor a picture: element = sample × scale + offset, where samples are 0 to
/// 255.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
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

impl Tensor {
    /// (n, c, h, w) with new rows and columns.
    pub fn resize(&self, rows: u32, columns: u32, method: Resize) -> Self {
        self.then(|this| host::resize(this, rows, columns, method))
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
