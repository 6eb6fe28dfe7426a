//! Products of matrices.

use burn_backend::ops::FloatTensorOps;
use burn_flex::Flex;

use super::{float, same};
use crate::cost::Work;
use crate::error::{Error, invalid};
use crate::shape::broadcast;
use crate::tensor::bytes;
use crate::{Allowance, Cost, ElementType, Operation, Task, Tensor, Unlimited};

impl Tensor {
    /// (…, m, k) × (…, k, n) = (…, m, n); what is before broadcasts.
    pub fn matmul(&self, right: &Self, allowance: &mut dyn Allowance) -> Result<Self, Error> {
        let element = float(self, "a product of matrices")?;
        same(self, right)?;
        let ([left_batch @ .., m, k], [right_batch @ .., inner, n]) = (self.shape(), right.shape()) else {
            return invalid(format!("{:?} × {:?}: matrices have two axes or more", self.shape(), right.shape()));
        };
        if k != inner {
            return invalid(format!("{:?} × {:?}: (…, m, k) goes with (…, k, n)", self.shape(), right.shape()));
        }
        let one: &[usize] = &[1];
        let batch = broadcast(&[one, left_batch, right_batch])?;
        let mut shape = broadcast(&[left_batch, right_batch, &vec![1; left_batch.len().max(right_batch.len())]])
            .unwrap_or_default();
        shape.extend([*m, *n]);
        let count = crate::shape::elements(&shape)?;
        let products = (count as u64).saturating_mul(*k as u64);
        // Operands that are stretched, or of half precision, are copied.
        let batches: usize = batch.iter().product();
        let scratch = (batches as u64).saturating_mul(bytes(ElementType::F32, m * k + k * n));
        let total = bytes(element, count).saturating_add(scratch);
        // What little is multiplied with takes as long as it takes to read and write it.
        let read = (batches as u64).saturating_mul((m * k + k * n) as u64);
        let cost = Cost::new(total, Work::Product, products).and(Work::Element, read.saturating_add(3 * count as u64));
        let cost = cost.widened(element, self.len() + right.len() + count).in_steps(batches as u64);
        let task = Task { operation: Operation::Matmul, tensors: &[self, right], element, shape: &shape };
        if let Some(made) = allowance.begin(cost, &task)? {
            return Ok(made);
        }
        let aligned = |tensor: &Self| {
            let missing = shape.len() - tensor.shape().len();
            tensor.shaped(&[&vec![1; missing][..], tensor.shape()].concat()).inner()
        };
        let (left, right) = (self.at_full()?, right.at_full()?);
        let made = <Flex as FloatTensorOps<Flex>>::float_matmul(aligned(&left), aligned(&right));
        Self::of_inner(ElementType::F32, made).cast(element, &mut Unlimited)
    }
}
