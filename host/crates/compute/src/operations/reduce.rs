//! Many elements that become one.

use burn_backend::IntDType;
use burn_backend::ops::{FloatTensorOps, IntTensorOps};
use burn_flex::Flex;

use super::binary::{Whole, least, most};
use crate::cost::Work;
use crate::error::{Error, invalid};
use crate::shape::axis;
use crate::simd::widest;
use crate::tensor::bytes;
use crate::{Allowance, Cost, ElementType, Operation, Task, Tensor, Unlimited};

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
        if axes.len() > self.shape().len() {
            return invalid(format!("{} axes of {}", axes.len(), self.shape().len()));
        }
        let mut axes: Vec<usize> = axes.iter().map(|at| axis(*at, self.shape().len())).collect::<Result<_, _>>()?;
        if axes.is_empty() {
            axes = (0..self.shape().len()).collect();
        }
        axes.sort_unstable();
        axes.dedup();
        // Each axis in turn may leave nearly as much as there was.
        let left = self.shape().iter().enumerate().filter_map(|(at, length)| match (axes.contains(&at), keep) {
            (true, true) => Some(1),
            (true, false) => None,
            _ => Some(*length),
        });
        let mut left: Vec<usize> = left.collect();
        if left.is_empty() {
            left.push(1);
        }
        // Axes that follow each other are one.
        let long: Vec<usize> = axes.iter().copied().filter(|at| self.shape()[*at] > 1).collect();
        let runs = || long.chunk_by(|one, next| one + 1 == *next);
        // Each run leaves at most half of what it is given.
        let each = if runs().nth(1).is_some() { 4 } else { 2 };
        let pieces = runs().map(|run| self.shape()[..run[0]].iter().map(|length| *length as u64).product::<u64>());
        let cost = Cost::new(bytes(element, self.len()), Work::Element, each * self.len() as u64);
        let cost = cost.widened(element, self.len()).in_pieces(pieces.sum());
        let operation = Operation::Reduce(reduction, &axes);
        if let Some(made) = allowance.begin(cost, &Task { operation, tensors: &[self], element, shape: &left })? {
            return Ok(made);
        }
        let mut result = self.at_full()?;
        for run in runs().rev() {
            result = result.reduced(reduction, run[0], run[run.len() - 1]);
        }
        result.shaped(&left).cast(element, &mut Unlimited)
    }

    /// Over the axes from `first` to `last`, which become one of 1.
    fn reduced(&self, reduction: Reduction, first: usize, last: usize) -> Self {
        let shape = self.shape();
        let sides = [&shape[..first], &shape[first..=last], &shape[last + 1..]].map(|axes| axes.iter().product());
        let shape = [&shape[..first], &vec![1; last + 1 - first][..], &shape[last + 1..]].concat();
        match self.element() {
            ElementType::I32 => Self::of_elements(&shape, whole::<i32>(self.elements(), sides, reduction)),
            ElementType::I64 => Self::of_elements(&shape, whole::<i64>(self.elements(), sides, reduction)),
            _ => Self::of_elements(&shape, widest(|| floats(self.elements(), sides, reduction))),
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
        if !keep && shape.len() > 1 {
            shape.remove(at);
        }
        // Along columns, which are far apart.
        let each = if self.shape()[at + 1..].iter().all(|length| *length == 1) { 4 } else { 10 };
        let cost = Cost::new(2 * bytes(ElementType::I64, count), Work::Element, each * self.len() as u64);
        let cost = cost.widened(element, self.len());
        let operation = Operation::ArgReduce(reduction, at);
        let task = Task { operation, tensors: &[self], element: ElementType::I64, shape: &shape };
        if let Some(made) = allowance.begin(cost, &task)? {
            return Ok(made);
        }
        let input = self.at_full()?.inner();
        let result = match (reduction, element.is_float()) {
            (ArgReduction::Max, true) => <Flex as FloatTensorOps<Flex>>::float_argmax(input, at, IntDType::I64),
            (ArgReduction::Min, true) => <Flex as FloatTensorOps<Flex>>::float_argmin(input, at, IntDType::I64),
            (ArgReduction::Max, false) => <Flex as IntTensorOps<Flex>>::int_argmax(input, at),
            (ArgReduction::Min, false) => <Flex as IntTensorOps<Flex>>::int_argmin(input, at),
        };
        let result = Self::of_inner(ElementType::I64, <Flex as IntTensorOps<Flex>>::int_cast(result, IntDType::I64));
        Ok(result.shaped(&shape))
    }

    fn numbers(&self, what: &str) -> Result<ElementType, Error> {
        match self.element() {
            ElementType::U8 | ElementType::Boolean => invalid(format!("{what} of {}: cast it first", self.element())),
            element => Ok(element),
        }
    }
}

/// Elements of a row, and rows, that are folded one after the other: what is more of them is folded by twos, so that
/// sums of many small numbers stay precise.
const BLOCK: usize = 1_024;
const ROWS: usize = 32;

/// As many at once as a vector has; and as four have, none of which waits for another.
const VECTOR: usize = 8;
const LANES: usize = 4 * VECTOR;

/// The middle one of three axes, of floating point.
#[inline(always)]
fn floats(elements: &[f32], sides: [usize; 3], reduction: Reduction) -> Vec<f32> {
    match reduction {
        Reduction::Sum => folded(elements, sides, 0.0, |x, y| x + y),
        Reduction::Mean => {
            let count = sides[1] as f32;
            folded(elements, sides, 0.0, |x, y| x + y).into_iter().map(|sum| sum / count).collect()
        }
        Reduction::Max if sides[2] == 1 => extremes(elements, sides[1], f32::NEG_INFINITY, |x, y| x > y),
        Reduction::Min if sides[2] == 1 => extremes(elements, sides[1], f32::INFINITY, |x, y| x < y),
        Reduction::Max => folded(elements, sides, f32::NEG_INFINITY, most),
        Reduction::Min => folded(elements, sides, f32::INFINITY, least),
        Reduction::Prod => folded(elements, sides, 1.0, |x, y| x * y),
    }
}

/// What is furthest in each row, or NaN where there is one. Whether there is one is found by the way, since to keep it among what is
/// compared takes half as long again.
#[inline(always)]
fn extremes(elements: &[f32], length: usize, none: f32, beyond: impl Fn(f32, f32) -> bool) -> Vec<f32> {
    let further = |far: f32, &element: &f32| if beyond(element, far) || element.is_nan() { element } else { far };
    if length < LANES {
        return elements.chunks_exact(length).map(|row| row.iter().fold(none, further)).collect();
    }
    let extreme = |row: &[f32]| {
        let (vectors, rest) = row.as_chunks::<LANES>();
        let (mut furthest, mut has_nan) = ([none; LANES], [0_u32; LANES]);
        for vector in vectors {
            for at in 0..LANES {
                furthest[at] = if beyond(vector[at], furthest[at]) { vector[at] } else { furthest[at] };
                has_nan[at] |= if vector[at].is_nan() { u32::MAX } else { 0 };
            }
        }
        if has_nan != [0; LANES] {
            return f32::NAN;
        }
        furthest.iter().chain(rest).fold(none, further)
    };
    elements.chunks_exact(length).map(extreme).collect()
}

/// The same of whole numbers.
fn whole<E: Whole + Bounded>(elements: &[E], sides: [usize; 3], reduction: Reduction) -> Vec<E> {
    match reduction {
        Reduction::Max => folded(elements, sides, E::LEAST, E::max),
        Reduction::Min => folded(elements, sides, E::MOST, E::min),
        Reduction::Prod => folded(elements, sides, E::ONE, E::mul),
        Reduction::Sum | Reduction::Mean => folded(elements, sides, E::ZERO, E::add),
    }
}

/// The middle one of three axes: the other two stay, one after the other.
#[inline(always)]
pub fn folded<E: Copy>(elements: &[E], [_, length, after]: [usize; 3], none: E, fold: impl Fn(E, E) -> E) -> Vec<E> {
    if after == 1 {
        return elements.chunks_exact(length).map(|row| row_folded(row, none, |x| x, &fold)).collect();
    }
    let mut result = vec![none; elements.len() / length];
    for (block, result) in elements.chunks_exact(length * after).zip(result.chunks_exact_mut(after)) {
        if length <= ROWS {
            rows_folded(block, result, &fold);
            continue;
        }
        // Short rows by several at once, as if they were one.
        let width = if after < LANES { LANES * after } else { after };
        let parts = block.chunks(ROWS * width).map(|rows| {
            let mut part = vec![none; width];
            rows_folded(rows, &mut part, &fold);
            part
        });
        let all = by_twos(parts, |mut part, next| {
            rows_folded(&next, &mut part, &fold);
            part
        });
        rows_folded(&all.unwrap_or_default(), result, &fold);
    }
    result
}

/// Rows, the last of which may be shorter, into one.
#[inline(always)]
fn rows_folded<E: Copy>(rows: &[E], into: &mut [E], fold: &impl Fn(E, E) -> E) {
    for row in rows.chunks(into.len()) {
        into.iter_mut().zip(row).for_each(|(sum, element)| *sum = fold(*sum, *element));
    }
}

/// What `of` makes of each element of one row.
#[inline(always)]
pub fn row_folded<E: Copy>(row: &[E], none: E, of: impl Fn(E) -> E, fold: &impl Fn(E, E) -> E) -> E {
    if row.len() < LANES {
        return row.iter().fold(none, |sum, element| fold(sum, of(*element)));
    }
    if row.len() <= BLOCK {
        return block_folded(row, none, &of, fold);
    }
    by_twos(row.chunks(BLOCK).map(|block| block_folded(block, none, &of, fold)), fold).unwrap_or(none)
}

#[inline(always)]
fn block_folded<E: Copy>(block: &[E], none: E, of: &impl Fn(E) -> E, fold: &impl Fn(E, E) -> E) -> E {
    let (rows, rest) = block.as_chunks::<LANES>();
    let mut lanes = [[none; VECTOR]; LANES / VECTOR];
    for row in rows {
        for (lane, vector) in lanes.iter_mut().zip(row.as_chunks::<VECTOR>().0) {
            for at in 0..VECTOR {
                lane[at] = fold(lane[at], of(vector[at]));
            }
        }
    }
    let [mut all, others @ ..] = lanes;
    for other in others {
        (0..VECTOR).for_each(|at| all[at] = fold(all[at], other[at]));
    }
    all.into_iter().chain(rest.iter().map(|element| of(*element))).fold(none, fold)
}

/// Parts by twos, then what has become of those, and so on: an error grows with the logarithm of their number.
#[inline(always)]
fn by_twos<P>(parts: impl Iterator<Item = P>, fold: impl Fn(P, P) -> P) -> Option<P> {
    // Of 2^n parts each, the largest first.
    let mut folded = Vec::new();
    for (at, mut part) in parts.enumerate() {
        for _ in 0..at.trailing_ones() {
            if let Some(before) = folded.pop() {
                part = fold(before, part);
            }
        }
        folded.push(part);
    }
    folded.into_iter().rev().reduce(|after, before| fold(before, after))
}

/// Whole numbers that a fold begins with.
trait Bounded {
    const ZERO: Self;
    const ONE: Self;
    const LEAST: Self;
    const MOST: Self;
}

impl Bounded for i32 {
    const ZERO: Self = 0;
    const ONE: Self = 1;
    const LEAST: Self = Self::MIN;
    const MOST: Self = Self::MAX;
}

impl Bounded for i64 {
    const ZERO: Self = 0;
    const ONE: Self = 1;
    const LEAST: Self = Self::MIN;
    const MOST: Self = Self::MAX;
}
