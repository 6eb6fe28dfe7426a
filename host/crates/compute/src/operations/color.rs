//! Colours by a matrix.

use super::float;
use crate::cost::Work;
use crate::error::{Error, invalid};
use crate::shape::axis;
use crate::simd::widest;
use crate::tensor::bytes;
use crate::{Allowance, Cost, Operation, Task, Tensor, Unlimited};

impl Tensor {
    /// Three channels, at `at`, become three others by a matrix, row by row, and an offset.
    pub fn color_matrix(
        &self,
        at: i32,
        matrix: &[f32],
        offset: &[f32],
        allowance: &mut dyn Allowance,
    ) -> Result<Self, Error> {
        let element = float(self, "colours")?;
        let at = axis(at, self.shape().len())?;
        if self.shape()[at] != 3 {
            return invalid(format!("{} channels in {:?}, where there are 3", self.shape()[at], self.shape()));
        }
        let (Ok(matrix), Ok(offset)) = (matrix.try_into(), offset.try_into()) else {
            return invalid(format!(
                "{} and {} numbers, where a matrix has 9 and an offset 3",
                matrix.len(),
                offset.len()
            ));
        };
        let cost = Cost::new(bytes(element, self.len()), Work::Element, 3 * self.len() as u64);
        let cost = cost.widened(element, 2 * self.len());
        let operation = Operation::ColorMatrix(at, &matrix, &offset);
        let task = Task { operation, tensors: &[self], element, shape: self.shape() };
        if let Some(made) = allowance.begin(cost, &task)? {
            return Ok(made);
        }
        let apart = self.shape()[at + 1..].iter().product();
        let source = self.at_full()?;
        let made = widest(|| changed(source.elements(), apart, &matrix, &offset));
        Self::of_elements(self.shape(), made).cast(element, &mut Unlimited)
    }
}

/// `apart` is how far an element of one channel is from the same one of the next.
#[inline(always)]
fn changed(source: &[f32], apart: usize, matrix: &[f32; 9], offset: &[f32; 3]) -> Vec<f32> {
    let row = |at: usize, [r, g, b]: [f32; 3]| {
        matrix[3 * at] * r + matrix[3 * at + 1] * g + matrix[3 * at + 2] * b + offset[at]
    };
    if apart == 1 {
        let pixels = source.as_chunks().0.iter().map(|&pixel| [row(0, pixel), row(1, pixel), row(2, pixel)]);
        return pixels.collect::<Vec<_>>().into_flattened();
    }
    let mut result = Vec::with_capacity(source.len());
    for picture in source.chunks_exact(3 * apart) {
        let (red, rest) = picture.split_at(apart);
        let (green, blue) = rest.split_at(apart);
        for at in 0..3 {
            result.extend(red.iter().zip(green).zip(blue).map(|((r, g), b)| row(at, [*r, *g, *b])));
        }
    }
    result
}
