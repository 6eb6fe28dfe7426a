//! Kernels in which many elements become one.

use rillbox_compute::{ArgReduction, ElementType, Reduction, Task};

use super::Elements;
use super::bounds::Bounds;
use super::codes;
use super::kernels::Name;
use super::launch::Launch;
use super::operand::Operand;
use super::params::{Axis, Params, strides};
use crate::error::Error;
use crate::usage::Pass;
use crate::workspace::{Grid, Workspace};

/// Elements that are worth a workgroup that works on them together.
const TOGETHER: usize = 256;

/// Elements that are never worth one.
const FEW: usize = 32;

/// Elements of each invocation of a workgroup, where a result is made in several parts.
const EACH: usize = 16;

/// Parts at most: one workgroup puts them together.
const PARTS: usize = 256;

/// Axes of a source: those that the result has, too, and those along which elements become one.
struct Fold {
    own: Vec<Axis>,
    reduced: Vec<Axis>,
}

impl Fold {
    fn new(shape: &[usize], axes: &[usize]) -> Self {
        let strides = strides(shape);
        let axis = |at: usize| (shape[at], [strides[at], 0, 0]);
        let (reduced, own): (Vec<_>, Vec<_>) = (0..shape.len()).partition(|at| axes.contains(at));
        Self { own: own.into_iter().map(axis).collect(), reduced: reduced.into_iter().map(axis).collect() }
    }

    /// Of what is made of another in this many parts.
    fn of_parts(count: usize, parts: usize) -> Self {
        Self { own: vec![(count, [parts, 0, 0])], reduced: vec![(parts, [1, 0, 0])] }
    }

    /// Results.
    fn count(&self) -> usize {
        self.own.iter().map(|(length, _)| length).product()
    }

    /// Elements that become one.
    fn length(&self) -> usize {
        self.reduced.iter().map(|(length, _)| length).product()
    }

    /// What the kernels of `reduce.wgsl` are told.
    fn params(&self, made: Made, parts: usize) -> Params {
        let count = self.count() * parts;
        let (params, axes) = Params::new(count, made.operation, made.element).with_more_axes(&self.own, &self.reduced);
        let numbers = [self.length() as u32, axes, parts as u32, made.divisor.to_bits()];
        params.with_numbers([numbers, [made.is_float.into(), 0, 0, 0]])
    }
}

/// What is made of elements.
#[derive(Clone, Copy)]
struct Made {
    /// As `reduce.wgsl` numbers it.
    operation: u32,
    /// What a sum is divided by.
    divisor: f32,
    is_float: bool,
    element: ElementType,
}

impl Workspace {
    /// Over axes: in one step, or in parts that are put together by another.
    pub(super) fn reduce(
        &mut self,
        task: &Task<'_>,
        operand: &Operand,
        reduction: Reduction,
        axes: &[usize],
    ) -> Result<Option<Elements>, Error> {
        let from = task.tensors[0].element();
        let Operand::There(source) = operand else { return Ok(None) };
        if from == ElementType::I64 {
            return Ok(None);
        }
        let fold = Fold::new(task.tensors[0].shape(), axes);
        let (count, length) = (fold.count(), fold.length());
        let divisor = if reduction == Reduction::Mean { length as f32 } else { 1.0 };
        let operation = codes::reduction(reduction);
        let made = Made { operation, divisor, is_float: from.is_float(), element: task.element };
        let bounds = Bounds::of(task.element);
        let result = self.fresh(count, bounds)?;
        if length < FEW || (length < TOGETHER && count >= PARTS) {
            let params = fold.params(made, 1);
            let operands = [&source.buffer];
            self.launch(Name::ReduceEach, Pass::Reduction, params, &operands, &result.buffer, Grid::of(count))?;
            return Ok(Some(result));
        }
        let parts = if count < PARTS { length.div_ceil(TOGETHER * EACH).clamp(1, PARTS) } else { 1 };
        if parts == 1 {
            self.fold(fold.params(made, 1), &source.buffer, &result.buffer)?;
            return Ok(Some(result));
        }
        let between = self.fresh(count * parts, bounds)?;
        let unrounded = Made { divisor: 1.0, element: ElementType::F32, ..made };
        self.fold(fold.params(unrounded, parts), &source.buffer, &between.buffer)?;
        self.fold(Fold::of_parts(count, parts).params(made, 1), &between.buffer, &result.buffer)?;
        Ok(Some(result))
    }

    /// A workgroup for each result.
    fn fold(&mut self, params: Params, from: &wgpu::Buffer, to: &wgpu::Buffer) -> Result<(), Error> {
        let grid = Grid::of_groups(params.count as usize);
        self.launch(Name::ReduceTogether, Pass::Reduction, params, &[from], to, grid)
    }

    /// Where the largest or the smallest along an axis is.
    pub(super) fn arg_reduce(
        &mut self,
        task: &Task<'_>,
        operand: &Operand,
        reduction: ArgReduction,
        axis: usize,
    ) -> Result<Option<Elements>, Error> {
        let from = task.tensors[0].element();
        let Operand::There(source) = operand else { return Ok(None) };
        if from == ElementType::I64 {
            return Ok(None);
        }
        let fold = Fold::new(task.tensors[0].shape(), &[axis]);
        let (count, length) = (fold.count(), fold.length());
        let operation = codes::arg_reduction(reduction);
        let made = Made { operation, divisor: 1.0, is_float: from.is_float(), element: task.element };
        let params = fold.params(made, 1);
        let result = self.fresh(count, Bounds::new(0, length as i64 - 1))?;
        let (kernel, grid) = if length < TOGETHER {
            (Name::ArgEach, Grid::of(count))
        } else {
            (Name::ArgTogether, Grid::of_groups(count))
        };
        self.launch(kernel, Pass::Reduction, params, &[&source.buffer], &result.buffer, grid)?;
        Ok(Some(result))
    }
}

/// A row of the result at a time.
pub fn softmax(task: &Task<'_>, axis: usize) -> Launch {
    let fold = Fold::new(task.shape, &[axis]);
    let (count, length) = (fold.count(), fold.length());
    let made = Made { operation: 0, divisor: 1.0, is_float: true, element: task.element };
    let (kernel, grid) = if length < TOGETHER {
        (Name::SoftmaxEach, Grid::of(count))
    } else {
        (Name::SoftmaxTogether, Grid::of_groups(count))
    };
    Launch::new(kernel, Pass::Normalization, fold.params(made, 1), task.element).over(grid)
}
