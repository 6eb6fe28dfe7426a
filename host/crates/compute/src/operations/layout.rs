//! Elements that move, and stay what they are.

use burn_backend::Slice;
use burn_backend::ops::IntTensorOps;
use burn_flex::Flex;

use super::same;
use crate::cost::Work;
use crate::error::{Error, invalid};
use crate::shape::{axis, elements};
use crate::tensor::{by_size, bytes};
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
        let each = if order.len() > 4 { 5 } else { 3 };
        let cost = Cost::new(size, Work::Element, each * self.len() as u64);
        let shape: Vec<_> = order.iter().map(|at| self.shape()[*at]).collect();
        let operation = Operation::Transpose(order);
        let task = Task { operation, tensors: &[self], element: self.element(), shape: &shape };
        if let Some(made) = allowance.begin(cost, &task)? {
            return Ok(made);
        }
        Ok(by_size!(self.element(), Unit => {
            Self::of_units(self.element(), &shape, permuted(self.units::<Unit>(), self.shape(), order))
        }))
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
        let cost = Cost::new(bytes(self.element(), count), Work::Element, 2 * count as u64);
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
        Ok(by_size!(first.element(), Unit => {
            let parts = tensors.iter().map(|tensor| (tensor.units::<Unit>(), tensor.len() / before)).collect();
            Self::of_units(first.element(), &shape, side_by_side(parts, before))
        }))
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
        let axes: Vec<Axis> = self.shape().iter().zip(widths).map(|axis| Axis::new(axis, mode)).collect();
        Ok(by_size!(self.element(), Unit => {
            let mut result = Vec::with_capacity(count);
            padded(self.units::<Unit>(), value.units::<Unit>()[0], &axes, &mut result);
            Self::of_units(self.element(), &shape, result)
        }))
    }
}

/// So many blocks of each part, in turns.
fn side_by_side<U: Copy + Default>(parts: Vec<(&[U], usize)>, blocks: usize) -> Vec<U> {
    let each: usize = parts.iter().map(|(_, length)| length).sum();
    if each > SHORT {
        let mut result = Vec::with_capacity(blocks * each);
        for block in 0..blocks {
            for &(units, length) in &parts {
                result.extend_from_slice(&units[block * length..][..length]);
            }
        }
        return result;
    }
    // Pieces that take longer to begin than to copy: one part after the other, then.
    let (mut result, mut at) = (vec![U::default(); blocks * each], 0);
    for (units, length) in parts {
        for (to, from) in result.chunks_exact_mut(each).zip(units.chunks_exact(length)) {
            to[at..at + length].iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
        at += length;
    }
    result
}

/// Elements that are copied one by one.
const SHORT: usize = 16;

/// Rows and columns that are moved together, so that what is read comes from as few lines of the cache as what is written.
const TILE: usize = 32;

/// Elements in the order of other axes.
fn permuted<U: Copy>(from: &[U], shape: &[usize], order: &[usize]) -> Vec<U> {
    let mut strides = vec![1; shape.len()];
    for at in (1..shape.len()).rev() {
        strides[at - 1] = strides[at] * shape[at];
    }
    // Of the result, how long each axis is, and how far apart its elements are now; those that go on as they went are one.
    let mut axes: Vec<(usize, usize)> = Vec::with_capacity(shape.len());
    for (length, step) in order.iter().map(|at| (shape[*at], strides[*at])).filter(|(length, _)| *length > 1) {
        match axes.last_mut() {
            Some((before, last)) if *last == step * length => (*before, *last) = (*before * length, step),
            _ => axes.push((length, step)),
        }
    }
    // Channels that stay together move as one.
    match axes.as_slice() {
        [others @ .., (2, 1)] => moved(from.as_chunks::<2>().0, in_groups(others, 2)).into_flattened(),
        [others @ .., (3, 1)] => moved(from.as_chunks::<3>().0, in_groups(others, 3)).into_flattened(),
        [others @ .., (4, 1)] => moved(from.as_chunks::<4>().0, in_groups(others, 4)).into_flattened(),
        _ => moved(from, axes),
    }
}

fn in_groups(axes: &[(usize, usize)], of: usize) -> Vec<(usize, usize)> {
    axes.iter().map(|(length, step)| (*length, step / of)).collect()
}

/// Elements in another order: of the result, how long each axis is, and how far apart its elements are in `from`.
fn moved<U: Copy>(from: &[U], mut axes: Vec<(usize, usize)>) -> Vec<U> {
    let Some((columns, step)) = axes.pop() else { return from.to_vec() };
    if step == 1 {
        let mut result = Vec::with_capacity(from.len());
        each_start(&axes, |start| result.extend_from_slice(&from[start..start + columns]));
        return result;
    }
    // The axis along which elements lie side by side in `from`.
    let Some(near) = axes.iter().position(|(_, step)| *step == 1) else { return from.to_vec() };
    let rows = axes[near].0;
    let apart = axes[near + 1..].iter().map(|(length, _)| length).product::<usize>() * columns;
    axes[near] = (1, 1);
    let (mut result, mut place) = (from.to_vec(), 0);
    each_start(&axes, |start| {
        // Blocks of the axes before the near one, and where this one's elements are within each of its own.
        let block = place / apart * apart * rows + place % apart;
        place += columns;
        for column in (0..columns).step_by(TILE) {
            let width = TILE.min(columns - column);
            for row in (0..rows).step_by(TILE) {
                for row in row..(row + TILE).min(rows) {
                    let to = &mut result[block + row * apart + column..][..width];
                    let from = from[start + row + column * step..].iter().step_by(step);
                    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                }
            }
        }
    });
    result
}

/// Calls `visit` with where each element of these axes begins, the last axis fastest.
fn each_start(axes: &[(usize, usize)], mut visit: impl FnMut(usize)) {
    let (mut at, mut start) = (vec![0; axes.len()], 0);
    loop {
        visit(start);
        let Some(axis) = (0..axes.len()).rfind(|axis| at[*axis] + 1 < axes[*axis].0) else { return };
        for inner in axis + 1..axes.len() {
            start -= at[inner] * axes[inner].1;
            at[inner] = 0;
        }
        at[axis] += 1;
        start += axes[axis].1;
    }
}

/// An axis that is padded.
struct Axis {
    before: usize,
    length: usize,
    /// Where each place of the result comes from.
    places: Vec<Option<usize>>,
}

impl Axis {
    fn new((&length, &(before, after)): (&usize, &(usize, usize)), mode: PadMode) -> Self {
        let places = (0..before + length + after).map(|at| source(at, before, length, mode)).collect();
        Self { before, length, places }
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
fn padded<U: Copy>(from: &[U], value: U, axes: &[Axis], result: &mut Vec<U>) {
    let Some((axis, inner)) = axes.split_first() else { return };
    if inner.is_empty() {
        let (before, rest) = axis.places.split_at(axis.before);
        let place = |place: &Option<usize>| place.map_or(value, |at| from[at]);
        result.extend(before.iter().map(place));
        result.extend_from_slice(from);
        result.extend(rest[axis.length..].iter().map(place));
        return;
    }
    let count: usize = inner.iter().map(|axis| axis.places.len()).product();
    let block = from.len() / axis.length;
    for place in &axis.places {
        match place {
            Some(at) => padded(&from[at * block..][..block], value, inner, result),
            None => result.resize(result.len() + count, value),
        }
    }
}
