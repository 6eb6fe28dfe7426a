//! Softmax, and means of 0 with variances of 1: all at full precision, whatever the elements.

use super::binary::most;
use super::reduce::{folded, row_folded};
use super::{float, same};
use crate::cost::Work;
use crate::error::{Error, invalid};
use crate::shape::{axis, broadcast};
use crate::simd::widest;
use crate::tensor::bytes;
use crate::{Allowance, Binary, Cost, ElementType, Operation, Reduction, Task, Tensor, Unary, Unlimited};

impl Tensor {
    /// exp(x) over its sum along an axis.
    pub fn softmax(&self, at: i32, allowance: &mut dyn Allowance) -> Result<Self, Error> {
        let element = float(self, "softmax")?;
        let at = axis(at, self.shape().len())?;
        let sides = [0, self.shape()[at], self.shape()[at + 1..].iter().product()];
        // The largest ones, the sums, and those of blocks that are folded by twos.
        let folds = bytes(ElementType::F32, sides[2]).saturating_mul(4 + u64::from(sides[1].ilog2()));
        let total = (2 * bytes(element, self.len())).saturating_add(folds);
        let cost = Cost::new(total, Work::Exponential, self.len() as u64);
        let cost = cost.and(Work::Element, 4 * self.len() as u64);
        let parts = self.len() / (sides[1] * sides[2]);
        let cost = cost.widened(element, 2 * self.len()).in_pieces(PART * parts as u64);
        let task = Task { operation: Operation::Softmax(at), tensors: &[self], element, shape: self.shape() };
        if let Some(made) = allowance.begin(cost, &task)? {
            return Ok(made);
        }
        let input = self.at_full()?;
        let made = widest(|| softmax(input.elements(), sides));
        Self::of_elements(self.shape(), made).cast(element, &mut Unlimited)
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
        if self.are_of_a_row(at, scale, bias) {
            let length: usize = self.shape()[at..].iter().product();
            let cost = self.cost_of_a_norm(self.len() / length).and(Work::Element, 4 * length as u64);
            // Both factors as long as a row, and what they are made with.
            let factors = 4 * bytes(ElementType::F32, length);
            allowance.admit(Cost { bytes: cost.bytes.saturating_add(factors), ..cost })?;
            let [scale, bias] = self.rows_of_factors(at, scale, bias)?;
            let input = self.at_full()?;
            let made = widest(|| {
                let mut made = Vec::with_capacity(input.len());
                for row in input.elements::<f32>().chunks_exact(length) {
                    let (mean, factor) = standard(row, epsilon);
                    let factors = scale.elements::<f32>().iter().zip(bias.elements::<f32>());
                    made.extend(row.iter().zip(factors).map(|(x, (scale, bias))| (x - mean) * factor * scale + bias));
                }
                made
            });
            return Self::of_elements(self.shape(), made).cast(element, &mut Unlimited);
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
        for factor in [scale, bias, mean, variance] {
            self.per_channel(factor)?;
        }
        if are_here(&[self, scale, bias, mean, variance]) {
            let (channels, length) = (self.shape()[1], self.shape()[2..].iter().product::<usize>());
            allowance.admit(self.cost_of_a_norm(self.len() / length))?;
            let [input, scale, bias, mean, variance] = [self, scale, bias, mean, variance].map(Self::at_full);
            let [input, scale, bias, mean, variance] = [input?, scale?, bias?, mean?, variance?];
            let [scale, bias, mean, variance] = [&scale, &bias, &mean, &variance].map(Self::elements::<f32>);
            let made = widest(|| {
                let mut made = Vec::with_capacity(input.len());
                for (at, plane) in input.elements::<f32>().chunks_exact(length).enumerate() {
                    let at = at % channels;
                    scaled(plane, mean[at], scale[at] / (variance[at] + epsilon).sqrt(), bias[at], &mut made);
                }
                made
            });
            return Self::of_elements(self.shape(), made).cast(element, &mut Unlimited);
        }
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
        let wide = (self.per_channel(scale)?, self.per_channel(bias)?);
        let channels = self.shape()[1];
        if groups == 0 || !channels.is_multiple_of(groups) {
            return invalid(format!("{channels} channels in {groups} groups"));
        }
        if are_here(&[self, scale, bias]) {
            let (of_a_group, length) = (channels / groups, self.shape()[2..].iter().product::<usize>());
            allowance.admit(self.cost_of_a_norm(self.len() / length))?;
            let [input, scale, bias] = [self, scale, bias].map(Self::at_full);
            let (input, scale, bias) = (input?, scale?, bias?);
            let [scale, bias] = [&scale, &bias].map(Self::elements::<f32>);
            let made = widest(|| {
                let mut made = Vec::with_capacity(input.len());
                for (group, planes) in input.elements::<f32>().chunks_exact(of_a_group * length).enumerate() {
                    let (mean, factor) = standard(planes, epsilon);
                    for (at, plane) in planes.chunks_exact(length).enumerate() {
                        let at = group % groups * of_a_group + at;
                        scaled(plane, mean, factor * scale[at], bias[at], &mut made);
                    }
                }
                made
            });
            return Self::of_elements(self.shape(), made).cast(element, &mut Unlimited);
        }
        let mut at_full = |factor: Self| factor.cast(ElementType::F32, allowance);
        let (scale, bias) = (at_full(wide.0)?, at_full(wide.1)?);
        let apart = self.shaped(&[self.shape()[0], groups, self.len() / self.shape()[0] / groups]);
        let standard = apart.cast(ElementType::F32, allowance)?.standard(&[2], epsilon, allowance)?;
        let scaled = standard.shaped(self.shape()).binary(Binary::Mul, &scale, allowance)?;
        scaled.binary(Binary::Add, &bias, allowance)?.cast(element, allowance)
    }

    /// Of a norm of this, in so many parts.
    fn cost_of_a_norm(&self, parts: usize) -> Cost {
        let (element, count) = (self.element(), self.len());
        Cost::new(bytes(element, count), Work::Element, 4 * count as u64)
            .widened(element, 2 * count)
            .in_pieces(PART * parts as u64)
    }

    /// Whether all is here, and scale and bias are the same for each of the axes before `at`.
    fn are_of_a_row(&self, at: usize, scale: &Self, bias: Option<&Self>) -> bool {
        let axes = self.shape().len() - at;
        std::iter::once(scale).chain(bias).all(|factor| {
            let before = factor.shape().len().saturating_sub(axes);
            are_here(&[self, factor]) && factor.shape()[..before].iter().all(|axis| *axis == 1)
        })
    }

    /// Scale and bias, or 0, of all elements over the axes from `at` on.
    fn rows_of_factors(&self, at: usize, scale: &Self, bias: Option<&Self>) -> Result<[Self; 2], Error> {
        let row = &self.shape()[at..];
        let zeros = Self::full(ElementType::F32, row, 0.0, &mut Unlimited)?;
        let whole = |factor: &Self| {
            let before = factor.shape().len().saturating_sub(row.len());
            zeros.binary(Binary::Add, &factor.at_full()?.shaped(&factor.shape()[before..]), &mut Unlimited)
        };
        Ok([whole(scale)?, bias.map_or_else(|| Ok(zeros.clone()), whole)?])
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

/// What each part of a norm, or of a softmax, takes by itself, in pieces.
const PART: u64 = 8;

/// Whether no device has any of them: there a norm is made of other operations.
fn are_here(tensors: &[&Tensor]) -> bool {
    tensors.iter().all(|tensor| tensor.device().is_none())
}

/// The mean, and 1 over the deviation.
#[inline(always)]
fn standard(row: &[f32], epsilon: f32) -> (f32, f32) {
    let (count, add) = (row.len() as f32, |x, y| x + y);
    let mean = row_folded(row, 0.0, |x| x, &add) / count;
    let variance = row_folded(row, 0.0, |x| (x - mean) * (x - mean), &add) / count;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// (x − mean) · factor + offset of each.
#[inline(always)]
fn scaled(plane: &[f32], mean: f32, factor: f32, offset: f32, into: &mut Vec<f32>) {
    into.extend(plane.iter().map(|x| (x - mean) * factor + offset));
}

/// Along the middle one of three axes.
#[inline(always)]
fn softmax(elements: &[f32], [_, length, after]: [usize; 3]) -> Vec<f32> {
    let mut made: Vec<f32> = Vec::with_capacity(elements.len());
    if after == 1 {
        for row in elements.chunks_exact(length) {
            let largest = row_folded(row, f32::NEG_INFINITY, |x| x, &most);
            let begin = made.len();
            made.extend(row.iter().map(|x| (x - largest).exp()));
            let sum = row_folded(&made[begin..], 0.0, |x| x, &|x, y| x + y);
            made[begin..].iter_mut().for_each(|x| *x /= sum);
        }
        return made;
    }
    for block in elements.chunks_exact(length * after) {
        let sides = [1, length, after];
        let largest = folded(block, sides, f32::NEG_INFINITY, most);
        let begin = made.len();
        for row in block.chunks_exact(after) {
            made.extend(row.iter().zip(&largest).map(|(x, largest)| (x - largest).exp()));
        }
        let sums = folded(&made[begin..], sides, 0.0, |x, y| x + y);
        for row in made[begin..].chunks_exact_mut(after) {
            row.iter_mut().zip(&sums).for_each(|(x, sum)| *x /= sum);
        }
    }
    made
}

fn check_epsilon(epsilon: f32) -> Result<(), Error> {
    if epsilon > 0.0 && epsilon.is_finite() {
        Ok(())
    } else {
        invalid(format!("an epsilon of {epsilon}: it is above 0"))
    }
}
