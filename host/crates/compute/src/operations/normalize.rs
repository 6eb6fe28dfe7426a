//! Softmax, and means of 0 with variances of 1: all at full precision, whatever the elements.

use burn_backend::ops::ActivationOps;
use burn_flex::Flex;

use super::{float, same};
use crate::cost::Work;
use crate::error::{Error, invalid};
use crate::shape::{axis, broadcast};
use crate::tensor::bytes;
use crate::{Allowance, Binary, Cost, ElementType, Operation, Reduction, Task, Tensor, Unary, Unlimited};

impl Tensor {
    /// exp(x) over its sum along an axis.
    pub fn softmax(&self, at: i32, allowance: &mut dyn Allowance) -> Result<Self, Error> {
        let element = float(self, "softmax")?;
        let at = axis(at, self.shape().len())?;
        let cost = Cost::new(2 * bytes(element, self.len()), Work::Function, self.len() as u64);
        let cost = cost.widened(element, 2 * self.len());
        let task = Task { operation: Operation::Softmax(at), tensors: &[self], element, shape: self.shape() };
        if let Some(made) = allowance.begin(cost, &task)? {
            return Ok(made);
        }
        let made = <Flex as ActivationOps<Flex>>::softmax(self.at_full()?.inner(), at);
        Self::of_inner(ElementType::F32, made).cast(element, &mut Unlimited)
    }

    /// Mean 0 and variance 1 over `at` and all after it, then × `scale` + `bias`, which broadcast.
    pub fn layer_norm(
        &self,
        at: i32,
        scale: &Self,
        bias: Option<&Self>,
        epsilon: f32,
        allowance: &mut dyn Allowance,
    ) -> Result<Self, Error> {
        let element = float(self, "a norm")?;
        check_epsilon(epsilon)?;
        let at = axis(at, self.shape().len())?;
        for factor in std::iter::once(scale).chain(bias) {
            same(self, factor)?;
            if broadcast(&[self.shape(), factor.shape()])? != self.shape() {
                return invalid(format!("{:?} does not broadcast to {:?}", factor.shape(), self.shape()));
            }
        }
        let axes: Vec<i32> = (at as i32..self.shape().len() as i32).collect();
        let standard = self.cast(ElementType::F32, allowance)?.standard(&axes, epsilon, allowance)?;
        let scale = scale.cast(ElementType::F32, allowance)?;
        let mut made = standard.binary(Binary::Mul, &scale, allowance)?;
        if let Some(bias) = bias {
            made = made.binary(Binary::Add, &bias.cast(ElementType::F32, allowance)?, allowance)?;
        }
        made.cast(element, allowance)
    }

    /// (n, c, …) with scale, bias, mean and variance of (c).
    pub fn batch_norm(
        &self,
        [scale, bias, mean, variance]: [&Self; 4],
        epsilon: f32,
        allowance: &mut dyn Allowance,
    ) -> Result<Self, Error> {
        let element = float(self, "a norm")?;
        check_epsilon(epsilon)?;
        let mut per_channel = |factor: &Self| self.per_channel(factor)?.cast(ElementType::F32, allowance);
        let [scale, bias, mean, variance] =
            [per_channel(scale)?, per_channel(bias)?, per_channel(mean)?, per_channel(variance)?];
        let deviation =
            variance.binary_scalar(Binary::Add, epsilon.into(), allowance)?.unary(Unary::Sqrt, allowance)?;
        // x · factor + rest, with what is the same for all elements of a channel worked out once.
        let factor = scale.binary(Binary::Div, &deviation, allowance)?;
        let rest = bias.binary(Binary::Sub, &mean.binary(Binary::Mul, &factor, allowance)?, allowance)?;
        let wide = self.cast(ElementType::F32, allowance)?;
        let made = wide.binary(Binary::Mul, &factor, allowance)?.binary(Binary::Add, &rest, allowance)?;
        made.cast(element, allowance)
    }

    /// (n, c, …) with scale and bias of (c): mean 0 and variance 1 over each group of channels.
    pub fn group_norm(
        &self,
        groups: usize,
        scale: &Self,
        bias: &Self,
        epsilon: f32,
        allowance: &mut dyn Allowance,
    ) -> Result<Self, Error> {
        let element = float(self, "a norm")?;
        check_epsilon(epsilon)?;
        let mut per_channel = |factor: &Self| self.per_channel(factor)?.cast(ElementType::F32, allowance);
        let (scale, bias) = (per_channel(scale)?, per_channel(bias)?);
        let channels = self.shape()[1];
        if groups == 0 || !channels.is_multiple_of(groups) {
            return invalid(format!("{channels} channels in {groups} groups"));
        }
        let apart = self.shaped(&[self.shape()[0], groups, self.len() / self.shape()[0] / groups]);
        let standard = apart.cast(ElementType::F32, allowance)?.standard(&[2], epsilon, allowance)?;
        let scaled = standard.shaped(self.shape()).binary(Binary::Mul, &scale, allowance)?;
        scaled.binary(Binary::Add, &bias, allowance)?.cast(element, allowance)
    }

    /// Mean 0 and variance 1 over these axes.
    fn standard(&self, axes: &[i32], epsilon: f32, allowance: &mut dyn Allowance) -> Result<Self, Error> {
        let mean = self.reduce(Reduction::Mean, axes, true, allowance)?;
        let centered = self.binary(Binary::Sub, &mean, allowance)?;
        let variance =
            centered.binary(Binary::Mul, &centered, allowance)?.reduce(Reduction::Mean, axes, true, allowance)?;
        let deviation =
            variance.binary_scalar(Binary::Add, epsilon.into(), allowance)?.unary(Unary::Sqrt, allowance)?;
        centered.binary(Binary::Div, &deviation, allowance)
    }

    /// A tensor of (c), shaped to go with this one of (n, c, …).
    fn per_channel(&self, factor: &Self) -> Result<Self, Error> {
        same(self, factor)?;
        match self.shape() {
            [_, channels, rest @ ..] if factor.shape() == [*channels] => {
                Ok(factor.shaped(&[&[1, *channels], &vec![1; rest.len()][..]].concat()))
            }
            shape => invalid(format!("{:?} for {shape:?}: (c) goes with (n, c, …)", factor.shape())),
        }
    }
}

fn check_epsilon(epsilon: f32) -> Result<(), Error> {
    if epsilon > 0.0 && epsilon.is_finite() {
        Ok(())
    } else {
        invalid(format!("an epsilon of {epsilon}: it is above 0"))
    }
}
