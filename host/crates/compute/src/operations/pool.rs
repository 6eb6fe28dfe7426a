//! Windows over rows and columns.

use burn_backend::ops::ModuleOps;
use burn_flex::Flex;

use super::convolution::MAX_STEP;
use super::{float, planes, wide};
use crate::cost::Work;
use crate::error::{Error, invalid};
use crate::shape::elements;
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
        let taps = (count as u64).saturating_mul((size[0] * size[1]) as u64);
        // With the largest the backend also says where each was.
        let places = if pooling == Pooling::Max { bytes(ElementType::I64, count) } else { 0 };
        let wide = wide(element, self.len() + count);
        let bytes = bytes(element, count).saturating_add(places).saturating_add(wide);
        let cost = Cost::new(bytes, Work::Element, taps);
        let operation = Operation::Pool2d(pooling, window);
        let task = Task { operation, tensors: &[self], element, shape: &[n, c, rows, columns] };
        if let Some(made) = allowance.begin(cost, &task)? {
            return Ok(made);
        }
        let input = self.at_full()?.inner();
        let made = match pooling {
            Pooling::Max => <Flex as ModuleOps<Flex>>::max_pool2d(input, size, stride, padding, [1; 2], false),
            Pooling::Average => <Flex as ModuleOps<Flex>>::avg_pool2d(input, size, stride, padding, false, false),
        };
        Self::of_inner(ElementType::F32, made).cast(element, &mut Unlimited)
    }
}
