//! Elements that move, and stay what they are.

use burn_backend::Slice;
use burn_backend::ops::{FloatTensorOps, IntTensorOps};
use burn_flex::Flex;

use super::same;
use crate::cost::Work;
use crate::error::{Error, invalid};
use crate::shape::{axis, elements};
use crate::tensor::bytes;
use crate::{Allowance, Cost, Operation, Task, Tensor};

/// From `start` up to `end`, every `step`th.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub start: usize,
    /// One after the last, at most the axis's length.
    pub end: usize,
    /// ≥ 1.
    pub step: usize,
}

/// What is beyond an edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PadMode {
    /// One value.
    Constant(f64),
    /// The elements inside, mirrored at the one on the edge.
    Reflect,
    /// The one on the edge.
    Edge,
}

impl Tensor {
    /// Axes in another order: the new axis i is the old `order[i]`.
    pub fn transpose(&self, order: &[usize], allowance: &mut dyn Allowance) -> Result<Self, Error> {
        let axes = self.shape().len();
        if order.len() != axes {
            return invalid(format!("an order of {} axes, where there are {axes}", order.len()));
        }
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..axes) {
            return invalid(format!("{order:?} does not name each of {axes} axes once"));
        }
        let size = bytes(self.element(), self.len());
        let cost = Cost::new(size, Work::Element, self.len() as u64);
        let shape: Vec<_> = order.iter().map(|at| self.shape()[*at]).collect();
        let operation = Operation::Transpose(order);
        let task = Task { operation, tensors: &[self], element: self.element(), shape: &shape };
        if let Some(made) = allowance.begin(cost, &task)? {
            return Ok(made);
        }
        Ok(Self::of_inner(self.element(), <Flex as FloatTensorOps<Flex>>::float_permute(self.inner(), order)))
    }

    /// A part: a span of each axis.
    pub fn slice(&self, spans: &[Span], allowance: &mut dyn Allowance) -> Result<Self, Error> {
        if spans.len() != self.shape().len() {
            return invalid(format!("{} spans for {:?}", spans.len(), self.shape()));
        }
        let fits = |(span, length): (&Span, &usize)| span.start < span.end && span.end <= *length && span.step > 0;
        if !spans.iter().zip(self.shape()).all(fits) {
            return invalid(format!(
                "no {spans:?} in {:?}: a start before an end for each axis, and a step",
                self.shape()
            ));
        }
        let shape: Vec<_> = spans.iter().map(|span| (span.end - span.start).div_ceil(span.step)).collect();
        let count: usize = shape.iter().product();
        let cost = Cost::new(bytes(self.element(), count), Work::Element, count as u64);
        let operation = Operation::Slice(spans);
        let task = Task { operation, tensors: &[self], element: self.element(), shape: &shape };
        if let Some(made) = allowance.begin(cost, &task)? {
            return Ok(made);
        }
        let spans: Vec<_> = spans
            .iter()
            .map(|span| {
                Slice::new(span.start as isize, Some(span.end as isize), span.step.min(isize::MAX as usize) as isize)
            })
            .collect();
        Ok(Self::of_inner(self.element(), <Flex as IntTensorOps<Flex>>::int_slice(self.inner(), &spans)))
    }

    /// One after another along an axis.
    pub fn concat(tensors: &[&Self], at: i32, allowance: &mut dyn Allowance) -> Result<Self, Error> {
        let Some((first, others)) = tensors.split_first() else {
            return invalid("nothing to put together");
        };
        let at = axis(at, first.shape().len())?;
        let without = |tensor: &Self| {
            let mut shape = tensor.shape().to_vec();
            (at < shape.len()).then(|| shape.remove(at));
            shape
        };
        for other in others {
            same(first, other)?;
            if other.shape().len() != first.shape().len() || without(other) != without(first) {
                return invalid(format!("{:?} and {:?} differ in more than axis {at}", first.shape(), other.shape()));
            }
        }
        let mut shape = first.shape().to_vec();
        shape[at] = tensors.iter().map(|tensor| tensor.shape()[at]).sum();
        let size = bytes(first.element(), elements(&shape)?);
        let task = Task { operation: Operation::Concat(at), tensors, element: first.element(), shape: &shape };
        let before: usize = shape[..at].iter().product();
        let pieces = before.saturating_mul(tensors.len());
        if let Some(made) = allowance.begin(Cost::new(size, Work::Move, size).in_pieces(pieces as u64), &task)? {
            return Ok(made);
        }
        let parts: Vec<_> = tensors.iter().map(|tensor| (tensor.bytes(), tensor.bytes().len() / before)).collect();
        let mut result = Vec::with_capacity(size as usize);
        for block in 0..before {
            for &(bytes, length) in &parts {
                result.extend_from_slice(&bytes[block * length..][..length]);
            }
        }
        Ok(Self::of_bytes(first.element(), &shape, result))
    }

    /// So many elements before and after, for each axis.
    pub fn pad(&self, widths: &[(usize, usize)], mode: PadMode, allowance: &mut dyn Allowance) -> Result<Self, Error> {
        if widths.len() != self.shape().len() {
            return invalid(format!("{} pairs of widths for {:?}", widths.len(), self.shape()));
        }
        let mut shape = Vec::with_capacity(widths.len());
        for (&length, &(before, after)) in self.shape().iter().zip(widths) {
            if mode == PadMode::Reflect && before.max(after) >= length {
                return invalid(format!("{before} and {after} elements reflected of {length}: there are not so many"));
            }
            shape.push(length.saturating_add(before).saturating_add(after));
        }
        let count = elements(&shape)?;
        let size = self.element().bytes();
        let places = shape.iter().fold(0_usize, |sum, axis| sum.saturating_add(axis * size_of::<Option<usize>>()));
        // Every row is begun by itself, on each axis that it is within.
        let runs = count / shape[shape.len() - 1] * shape.len();
        let cost =
            Cost::new(bytes(self.element(), count).saturating_add(places as u64), Work::Element, 4 * count as u64);
        let cost = cost.in_steps(runs as u64);
        let operation = Operation::Pad(widths, mode);
        let task = Task { operation, tensors: &[self], element: self.element(), shape: &shape };
        if let Some(made) = allowance.begin(cost, &task)? {
            return Ok(made);
        }
        let value = match mode {
            PadMode::Constant(value) => Self::full(self.element(), &[1], value, allowance)?,
            _ => Self::full(self.element(), &[1], 0.0, allowance)?,
        };
        // Of each axis, where each place of the result comes from.
        let sources: Vec<Vec<Option<usize>>> = self
            .shape()
            .iter()
            .zip(widths)
            .map(|(&length, &(before, after))| {
                (0..before + length + after).map(|at| source(at, before, length, mode)).collect()
            })
            .collect();
        let mut result = Vec::with_capacity(count * size);
        padded(self.bytes(), size, value.bytes(), &sources, &mut result);
        Ok(Self::of_bytes(self.element(), &shape, result))
    }
}

fn source(at: usize, before: usize, length: usize, mode: PadMode) -> Option<usize> {
    let inside = at.checked_sub(before).filter(|at| *at < length);
    match mode {
        PadMode::Constant(_) => inside,
        PadMode::Edge => Some(at.saturating_sub(before).min(length - 1)),
        PadMode::Reflect => Some(inside.unwrap_or_else(|| {
            // Before the edge it is as far as the distance, after the last it counts back from there.
            before.checked_sub(at).unwrap_or_else(|| 2 * (length - 1) - (at - before))
        })),
    }
}

/// Writes one axis, and those within it.
fn padded(bytes: &[u8], size: usize, value: &[u8], sources: &[Vec<Option<usize>>], result: &mut Vec<u8>) {
    let Some((places, inner)) = sources.split_first() else { return };
    let count: usize = inner.iter().map(Vec::len).product();
    let length = places.iter().flatten().max().map_or(1, |last| last + 1);
    let block = bytes.len() / length;
    for place in places {
        match place {
            Some(at) if inner.is_empty() => result.extend_from_slice(&bytes[at * block..][..size]),
            Some(at) => padded(&bytes[at * block..][..block], size, value, inner, result),
            None => (0..count).for_each(|_| result.extend_from_slice(value)),
        }
    }
}
