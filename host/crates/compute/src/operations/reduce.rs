//! Many elements that become one.

use burn_backend::IntDType;
use burn_backend::ops::{FloatTensorOps, IntTensorOps};
use burn_flex::{Flex, FlexTensor};

use super::elementwise::Whole;
use crate::cost::Work;
use crate::error::{Error, invalid};
use crate::shape::axis;
use crate::tensor::bytes;
use crate::{Allowance, Cost, ElementType, Tensor};

/// Over axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "wit/tensor.wit defines each")]
pub enum Reduction {
    Sum,
    Mean,
    Max,
    Min,
    Prod,
}

/// Which of an axis it is: the first of equals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "wit/tensor.wit defines each")]
pub enum ArgReduction {
    Max,
    Min,
}

impl Tensor {
    /// Over these axes, or all where there are none; each becomes 1, or is left out.
    pub fn reduce(
        &self,
        reduction: Reduction,
        axes: &[i32],
        keep: bool,
        allowance: &mut dyn Allowance,
    ) -> Result<Self, Error> {
        let element = self.numbers("a reduction")?;
        if reduction == Reduction::Mean && !element.is_float() {
            return invalid(format!("the mean of {element}"));
        }
        let mut axes: Vec<usize> = axes.iter().map(|at| axis(*at, self.shape().len())).collect::<Result<_, _>>()?;
        if axes.is_empty() {
            axes = (0..self.shape().len()).collect();
        }
        axes.sort_unstable();
        axes.dedup();
        // Each axis in turn may leave nearly as much as there was.
        let size = bytes(element, self.len());
        allowance.admit(Cost::new(size, Work::Element, 2 * self.len() as u64))?;
        let mut result = self.clone();
        // Axes that follow each other are one.
        for run in axes.chunk_by(|one, next| one + 1 == *next).rev() {
            result = result.reduced(reduction, run[0], run[run.len() - 1]);
        }
        let left = self.shape().iter().enumerate().filter_map(|(at, length)| match (axes.contains(&at), keep) {
            (true, true) => Some(1),
            (true, false) => None,
            _ => Some(*length),
        });
        let left: Vec<usize> = left.collect();
        Ok(result.shaped(if left.is_empty() { &[1] } else { &left }))
    }

    /// Over the axes from `first` to `last`, which become one of 1.
    fn reduced(&self, reduction: Reduction, first: usize, last: usize) -> Self {
        let shape = self.shape();
        let sides =
            [&shape[..first], &shape[first..=last], &shape[last + 1..]].map(|axes| axes.iter().product::<usize>());
        let shape = [&shape[..first], &vec![1; last + 1 - first][..], &shape[last + 1..]].concat();
        let flat = self.shaped(&sides);
        match self.element() {
            ElementType::I32 => Self::of_elements(&shape, folded::<i32>(flat.elements(), sides, reduction)),
            ElementType::I64 => Self::of_elements(&shape, folded::<i64>(flat.elements(), sides, reduction)),
            element => {
                let input = flat.inner();
                let result: FlexTensor = match reduction {
                    Reduction::Sum => <Flex as FloatTensorOps<Flex>>::float_sum_dim(input, 1),
                    Reduction::Mean => <Flex as FloatTensorOps<Flex>>::float_mean_dim(input, 1),
                    Reduction::Max => <Flex as FloatTensorOps<Flex>>::float_max_dim(input, 1),
                    Reduction::Min => <Flex as FloatTensorOps<Flex>>::float_min_dim(input, 1),
                    Reduction::Prod => <Flex as FloatTensorOps<Flex>>::float_prod_dim(input, 1),
                };
                Self::of_inner(element, result).shaped(&shape)
            }
        }
    }

    /// Indices along an axis, which becomes 1, or is left out.
    pub fn arg_reduce(
        &self,
        reduction: ArgReduction,
        at: i32,
        keep: bool,
        allowance: &mut dyn Allowance,
    ) -> Result<Self, Error> {
        let element = self.numbers("the place of the largest or smallest")?;
        let at = axis(at, self.shape().len())?;
        let mut shape = self.shape().to_vec();
        shape[at] = 1;
        let count: usize = shape.iter().product();
        allowance.admit(Cost::new(2 * bytes(ElementType::I64, count), Work::Element, 2 * self.len() as u64))?;
        let input = self.inner();
        let result = match (reduction, element.is_float()) {
            (ArgReduction::Max, true) => <Flex as FloatTensorOps<Flex>>::float_argmax(input, at, IntDType::I64),
            (ArgReduction::Min, true) => <Flex as FloatTensorOps<Flex>>::float_argmin(input, at, IntDType::I64),
            (ArgReduction::Max, false) => <Flex as IntTensorOps<Flex>>::int_argmax(input, at),
            (ArgReduction::Min, false) => <Flex as IntTensorOps<Flex>>::int_argmin(input, at),
        };
        let result = Self::of_inner(ElementType::I64, <Flex as IntTensorOps<Flex>>::int_cast(result, IntDType::I64));
        if !keep && shape.len() > 1 {
            shape.remove(at);
        }
        Ok(result.shaped(&shape))
    }

    fn numbers(&self, what: &str) -> Result<ElementType, Error> {
        match self.element() {
            ElementType::U8 | ElementType::Boolean => invalid(format!("{what} of {}: cast it first", self.element())),
            element => Ok(element),
        }
    }
}

/// The middle one of three axes.
fn folded<E: Whole>(elements: &[E], [_, length, after]: [usize; 3], reduction: Reduction) -> Vec<E> {
    let fold = match reduction {
        Reduction::Max => E::max,
        Reduction::Min => E::min,
        Reduction::Prod => E::mul,
        _ => E::add,
    };
    let mut result = Vec::with_capacity(elements.len() / length);
    for block in elements.chunks_exact(length * after) {
        let (first, rest) = block.split_at(after);
        let at = result.len();
        result.extend_from_slice(first);
        for row in rest.chunks_exact(after) {
            result[at..].iter_mut().zip(row).for_each(|(sum, element)| *sum = fold(*sum, *element));
        }
    }
    result
}
