//! Other numbers of rows and columns.

use burn_backend::ops::{InterpolateMode, InterpolateOptions, ModuleOps};
use burn_flex::Flex;

use super::{float, planes};
use crate::cost::Work;
use crate::error::Error;
use crate::shape::elements;
use crate::tensor::bytes;
use crate::{Allowance, Cost, Tensor};

/// How a size becomes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResizeMethod {
    /// The element at ⌊i · source / result⌋.
    Nearest,
    /// Of two by two, pixels being squares with their values in the middle.
    Bilinear,
    /// Of four by four, in the same way, with a = −0.75.
    Bicubic,
}

impl Tensor {
    /// (n, c, h, w) with new rows and columns.
    pub fn resize(
        &self,
        rows: usize,
        columns: usize,
        method: ResizeMethod,
        allowance: &mut dyn Allowance,
    ) -> Result<Self, Error> {
        let element = float(self, "a picture's size")?;
        let [n, c, _, _] = planes(self)?;
        let count = elements(&[n, c, rows, columns])?;
        let (mode, taps) = match method {
            ResizeMethod::Nearest => (InterpolateMode::Nearest, 1),
            ResizeMethod::Bilinear => (InterpolateMode::Bilinear, 4),
            ResizeMethod::Bicubic => (InterpolateMode::Bicubic, 16),
        };
        allowance.admit(Cost::new(bytes(element, count), Work::Element, count as u64 * taps))?;
        let options = InterpolateOptions::new(mode).with_align_corners(false);
        Ok(Self::of_inner(element, <Flex as ModuleOps<Flex>>::interpolate(self.inner(), [rows, columns], options)))
    }
}
