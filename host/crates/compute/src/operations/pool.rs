//! Windows over rows and columns.

use std::ops::Range;

use super::binary::most;
use super::convolution::MAX_STEP;
use super::reduce::{folded, row_folded};
use super::{float, planes};
use crate::cost::Work;
use crate::error::{Error, invalid};
use crate::shape::elements;
use crate::simd::widest;
use crate::tensor::bytes;
use crate::{Allowance, Cost, ElementType, Operation, Task, Tensor, Unlimited};

/// What becomes of a window's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// The largest.
    Max,
    /// Their mean.
    Average,
}

/// A window; pairs are (rows, columns).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// ≥ 1.
    pub size: [usize; 2],
    /// ≥ 1.
    pub stride: [usize; 2],
    /// On both sides, and at most half of the size; what is there does not count.
    pub padding: [usize; 2],
}

impl Tensor {
    /// (n, c, h, w).
    pub fn pool2d(&self, pooling: Pooling, window: Window, allowance: &mut dyn Allowance) -> Result<Self, Error> {
        let element = float(self, "a window")?;
        let [n, c, h, w] = planes(self)?;
        let Window { size, stride, padding } = window;
        let numbers = [size[0], size[1], stride[0], stride[1]];
        if numbers.contains(&0)
            || numbers.iter().any(|number| *number > MAX_STEP)
            || (0..2).any(|at| padding[at] > size[at] / 2)
        {
            return invalid(format!(
                "{window:?}: sizes and strides are 1 to {MAX_STEP}, padding half of the size at most"
            ));
        }
        let [rows, columns] = [(h, 0), (w, 1)]
            .map(|(length, at)| (length + 2 * padding[at]).checked_sub(size[at]).map(|room| room / stride[at] + 1));
        let (Some(rows), Some(columns)) = (rows, columns) else {
            return invalid(format!("a window of {size:?} is larger than {:?} with its padding", self.shape()));
        };
        let count = elements(&[n, c, rows, columns])?;
        // Down and across, one after the other.
        let lines = (n * c) as u64 * rows as u64;
        let down = lines.saturating_mul((size[0].min(h) as u64).saturating_mul(w as u64));
        let across = (count as u64).saturating_mul(size[1].min(w) as u64 + 4);
        // Sums of blocks of a window, and sums of those.
        let scratch = bytes(ElementType::F32, w).saturating_mul(2 + u64::from(size[0].ilog2()));
        let total = bytes(element, count).saturating_add(scratch);
        let cost = Cost::new(total, Work::Element, down.saturating_add(across)).in_pieces(LINE * lines);
        let cost = cost.widened(element, self.len() + count);
        let operation = Operation::Pool2d(pooling, window);
        let task = Task { operation, tensors: &[self], element, shape: &[n, c, rows, columns] };
        if let Some(made) = allowance.begin(cost, &task)? {
            return Ok(made);
        }
        let input = self.at_full()?;
        let from = Planes { elements: input.elements(), size: [h, w], pooled: [rows, columns] };
        let made = widest(|| match pooling {
            Pooling::Max => from.folded(window, f32::NEG_INFINITY, most, |largest, _| largest),
            Pooling::Average => from.folded(window, 0.0, |x, y| x + y, |sum, count| sum / count as f32),
        });
        Self::of_elements(&[n, c, rows, columns], made).cast(element, &mut Unlimited)
    }
}

/// What each row of a result takes by itself, in pieces.
const LINE: u64 = 6;

impl Window {
    /// What is inside of `length` elements at this place of an axis.
    #[inline(always)]
    fn inside(&self, axis: usize, place: usize, length: usize) -> Range<usize> {
        let start = place * self.stride[axis];
        start.saturating_sub(self.padding[axis])..(start + self.size[axis] - self.padding[axis]).min(length)
    }
}

/// One after the other, each of a size, and what they become.
struct Planes<'a> {
    elements: &'a [f32],
    size: [usize; 2],
    pooled: [usize; 2],
}

impl Planes<'_> {
    /// Windows are folded down first, which is the same for all that have a column in common.
    #[inline(always)]
    fn folded(
        &self,
        window: Window,
        none: f32,
        fold: impl Fn(f32, f32) -> f32,
        done: impl Fn(f32, usize) -> f32,
    ) -> Vec<f32> {
        let ([h, w], [rows, columns]) = (self.size, self.pooled);
        let mut result = Vec::with_capacity(self.elements.len() / (h * w) * rows * columns);
        for plane in self.elements.chunks_exact(h * w) {
            for row in 0..rows {
                let down = window.inside(0, row, h);
                let line = folded(&plane[down.start * w..down.end * w], [1, down.len(), w], none, &fold);
                result.extend((0..columns).map(|column| {
                    let across = window.inside(1, column, w);
                    let count = down.len() * across.len();
                    done(row_folded(&line[across], none, |x| x, &fold), count)
                }));
            }
        }
        result
    }
}
