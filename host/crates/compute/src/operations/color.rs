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
        let colors = Colors { matrix, offset };
        let made = match apart {
            // Pixels in vectors of twice the length would take half as long again, since they are to be taken apart.
            1 => colors.of_pixels(source.elements()),
            _ => widest(|| colors.of_planes(source.elements(), apart)),
        };
        Self::of_elements(self.shape(), made).cast(element, &mut Unlimited)
    }
}

/// What becomes of a pixel.
struct Colors {
    matrix: [f32; 9],
    offset: [f32; 3],
}

impl Colors {
    #[inline(always)]
    fn channel(&self, at: usize, [r, g, b]: [f32; 3]) -> f32 {
        self.matrix[3 * at] * r + self.matrix[3 * at + 1] * g + self.matrix[3 * at + 2] * b + self.offset[at]
    }

    fn of_pixels(&self, source: &[f32]) -> Vec<f32> {
        let changed = |&pixel| [self.channel(0, pixel), self.channel(1, pixel), self.channel(2, pixel)];
        let pixels = source.as_chunks().0.iter().map(changed);
        pixels.collect::<Vec<_>>().into_flattened()
    }

    /// `apart` is how far an element of one channel is from the same one of the next.
    #[inline(always)]
    fn of_planes(&self, source: &[f32], apart: usize) -> Vec<f32> {
        let mut result = Vec::with_capacity(source.len());
        for picture in source.chunks_exact(3 * apart) {
            let (red, rest) = picture.split_at(apart);
            let (green, blue) = rest.split_at(apart);
            for at in 0..3 {
                result.extend(red.iter().zip(green).zip(blue).map(|((r, g), b)| self.channel(at, [*r, *g, *b])));
            }
        }
        result
    }
}
