//! Operations as kernels that are recorded.

use std::sync::Arc;

use rillbox_compute::{
    ArgReduction, Binary, Convolution, ElementType, Operation, PadMode, Pooling, Reduction, ResizeMethod, Span, Task,
    Tensor, Unary, Window,
};

use super::kernels::Name;
use super::params::{Axis, Params, broadcast, strides};
use super::{Elements, foreign, widest};
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

/// Channels of a result from which a tile of them is worth more than it wastes.
const TILED: usize = 16;

/// Where an operand is.
enum Operand {
    There(Arc<Elements>),
    /// A number, as a word.
    Number(u32),
}

impl Operand {
    /// None if it is here, and more than a number.
    fn new(tensor: &Tensor) -> Option<Self> {
        if let Some(elements) = Elements::of(tensor) {
            return Some(Self::There(elements));
        }
        let number = tensor.number()?;
        let word =
            if tensor.element().is_float() { (number as f32).to_bits() } else { (number as i32).cast_unsigned() };
        // Of a long number that does not fit there is none.
        (tensor.element().is_float() || number == f64::from(number as i32)).then_some(Self::Number(word))
    }

    fn bounds(&self) -> (i64, i64) {
        match self {
            Self::There(elements) => elements.bounds,
            Self::Number(word) => (word.cast_signed().into(), word.cast_signed().into()),
        }
    }
}

/// A kernel that does all of a task.
struct Launch {
    kernel: Name,
    pass: Pass,
    params: Params,
    grid: Grid,
    bounds: (i64, i64),
}

impl Launch {
    fn new(kernel: Name, pass: Pass, params: Params, element: ElementType) -> Self {
        Self { kernel, pass, params, grid: Grid::of(params.count as usize), bounds: widest(element) }
    }

    fn over(self, grid: Grid) -> Self {
        Self { grid, ..self }
    }

    fn within(self, bounds: (i64, i64)) -> Self {
        Self { bounds, ..self }
    }
}

impl Workspace {
    /// Records a task of which a tensor is on this device, and gives its result, there. None if there is no kernel for it, or another
    /// of its tensors is not on the device.
    pub fn run(&mut self, task: &Task<'_>) -> Result<Option<Tensor>, Error> {
        let Some(operands) = self.operands(task)? else { return Ok(None) };
        let count = task.shape.iter().product();
        let element = match task.operation {
            Operation::Reduce(reduction, axes) => self.reduce(task, &operands[0], reduction, axes)?,
            Operation::ArgReduce(reduction, axis) => self.arg_reduce(task, &operands[0], reduction, axis)?,
            Operation::Softmax(axis) => Some(self.softmax(task, &operands[0], axis)?),
            Operation::Concat(axis) => Some(self.concat(task, &operands, axis)?),
            Operation::Gather(axis) => self.gather(task, &operands, axis)?,
            _ => match launch(task, &operands) {
                Some(launch) => Some(self.launched(&launch, &operands, count)?),
                None => None,
            },
        };
        Ok(element.map(|elements| Tensor::away(task.element, task.shape, Arc::new(elements))))
    }

    /// Where the operands are. None if one is here that the device cannot have.
    fn operands(&mut self, task: &Task<'_>) -> Result<Option<Vec<Operand>>, Error> {
        let numbers_do = matches!(task.operation, Operation::Binary(_) | Operation::Choose | Operation::Blend);
        let mut operands = Vec::with_capacity(task.tensors.len());
        for tensor in task.tensors {
            let operand = match Operand::new(tensor) {
                Some(operand @ Operand::There(_)) => operand,
                Some(number) if numbers_do => number,
                _ => match self.send_tensor(tensor)?.as_ref().and_then(Elements::of) {
                    Some(sent) => Operand::There(sent),
                    None => return Ok(None),
                },
            };
            operands.push(operand);
        }
        Ok(Some(operands))
    }

    fn launched(&mut self, launch: &Launch, operands: &[Operand], count: usize) -> Result<Elements, Error> {
        let result = self.fresh(count, launch.bounds)?;
        let place = |operand: &Operand| match operand {
            Operand::There(elements) => Some(elements.buffer.clone()),
            Operand::Number(_) => None,
        };
        let places: Vec<_> = operands.iter().map(place).collect();
        // Where there is a number, nothing is read.
        let any = places.iter().flatten().next().cloned().ok_or_else(foreign)?;
        let places: Vec<_> = places.iter().map(|place| place.as_ref().unwrap_or(&any)).collect();
        self.launch(launch.kernel, launch.pass, launch.params, &places, &result.buffer, launch.grid)?;
        Ok(result)
    }

    /// Over axes: in one step, or in parts that are put together by another.
    fn reduce(
        &mut self,
        task: &Task<'_>,
        operand: &Operand,
        reduction: Reduction,
        axes: &[usize],
    ) -> Result<Option<Elements>, Error> {
        let tensor = task.tensors[0];
        if tensor.element() == ElementType::I64 {
            return Ok(None);
        }
        let Operand::There(source) = operand else { return Ok(None) };
        let is_float = tensor.element().is_float();
        let (own, reduced) = split(tensor.shape(), axes);
        let (count, length): (usize, usize) = (lengths(&own), lengths(&reduced));
        let divisor = if reduction == Reduction::Mean { length as f32 } else { 1.0 };
        let parts = if count < PARTS { length.div_ceil(TOGETHER * EACH).clamp(1, PARTS) } else { 1 };
        let operation = if reduction == Reduction::Mean { Reduction::Sum } else { reduction } as u32;
        let step = |own: &[Axis], reduced: &[Axis], length: usize, parts: usize, last: bool| {
            let element = if last { task.element } else { ElementType::F32 };
            let (params, more) = Params::new(count * parts, operation, element).with_more_axes(own, reduced);
            let divisor = if last { divisor } else { 1.0_f32 };
            let numbers = [length as u32, more, parts as u32, divisor.to_bits()];
            params.with_numbers([numbers, [is_float.into(), 0, 0, 0], [0; 4], [0; 4]])
        };
        let bounds = widest(task.element);
        let result = self.fresh(count, bounds)?;
        if length < FEW || (length < TOGETHER && count >= PARTS) {
            let params = step(&own, &reduced, length, 1, true);
            let grid = Grid::of(count);
            self.launch(Name::ReduceEach, Pass::Reduction, params, &[&source.buffer], &result.buffer, grid)?;
            return Ok(Some(result));
        }
        if parts == 1 {
            self.fold(step(&own, &reduced, length, 1, true), &source.buffer, &result.buffer)?;
            return Ok(Some(result));
        }
        let between = self.fresh(count * parts, bounds)?;
        self.fold(step(&own, &reduced, length, parts, false), &source.buffer, &between.buffer)?;
        let (own, reduced) = ([(count, [parts, 0, 0])], [(parts, [1, 0, 0])]);
        let params = step(&own, &reduced, parts, 1, true);
        self.fold(params, &between.buffer, &result.buffer)?;
        Ok(Some(result))
    }

    /// A workgroup for each result.
    fn fold(&mut self, params: Params, from: &wgpu::Buffer, to: &wgpu::Buffer) -> Result<(), Error> {
        let grid = Grid::of_groups(params.count as usize);
        self.launch(Name::ReduceTogether, Pass::Reduction, params, &[from], to, grid)
    }

    fn arg_reduce(
        &mut self,
        task: &Task<'_>,
        operand: &Operand,
        reduction: ArgReduction,
        axis: usize,
    ) -> Result<Option<Elements>, Error> {
        let tensor = task.tensors[0];
        if tensor.element() == ElementType::I64 {
            return Ok(None);
        }
        let Operand::There(source) = operand else { return Ok(None) };
        let (own, reduced) = split(tensor.shape(), &[axis]);
        let (count, length) = (lengths(&own), lengths(&reduced));
        let operation = match reduction {
            ArgReduction::Max => Reduction::Max,
            ArgReduction::Min => Reduction::Min,
        };
        let (params, more) = Params::new(count, operation as u32, task.element).with_more_axes(&own, &reduced);
        let is_float = u32::from(tensor.element().is_float());
        let params = params.with_numbers([[length as u32, more, 1, 0], [is_float, 0, 0, 0], [0; 4], [0; 4]]);
        let result = self.fresh(count, (0, length as i64 - 1))?;
        let (kernel, grid) = if length < TOGETHER {
            (Name::ArgEach, Grid::of(count))
        } else {
            (Name::ArgTogether, Grid::of_groups(count))
        };
        self.launch(kernel, Pass::Reduction, params, &[&source.buffer], &result.buffer, grid)?;
        Ok(Some(result))
    }

    fn softmax(&mut self, task: &Task<'_>, operand: &Operand, axis: usize) -> Result<Elements, Error> {
        let (own, row) = split(task.shape, &[axis]);
        let (count, length) = (lengths(&own), lengths(&row));
        let (params, more) = Params::new(count, 0, task.element).with_more_axes(&own, &row);
        let params = params.with_numbers([[length as u32, more, 1, 0], [1, 0, 0, 0], [0; 4], [0; 4]]);
        let (kernel, grid) = if length < TOGETHER {
            (Name::SoftmaxEach, Grid::of(count))
        } else {
            (Name::SoftmaxTogether, Grid::of_groups(count))
        };
        let launch = Launch { kernel, pass: Pass::Normalization, params, grid, bounds: widest(task.element) };
        self.launched(&launch, std::slice::from_ref(operand), count * length)
    }

    /// Each where it belongs.
    fn concat(&mut self, task: &Task<'_>, operands: &[Operand], axis: usize) -> Result<Elements, Error> {
        let bounds = operands.iter().map(Operand::bounds).reduce(|one, two| (one.0.min(two.0), one.1.max(two.1)));
        let result = self.fresh(task.shape.iter().product(), bounds.unwrap_or_default())?;
        let to = strides(task.shape);
        let mut begin = 0;
        for (tensor, operand) in task.tensors.iter().zip(operands) {
            // One number among others is one that could not be left here.
            let Operand::There(source) = operand else { return Err(foreign()) };
            let from = strides(tensor.shape());
            let axes: Vec<_> = (0..from.len()).map(|at| (tensor.shape()[at], [from[at], to[at], 0])).collect();
            let params = Params::new(tensor.len(), 0, task.element).with_axes(&axes);
            let params = params.with_numbers([[0, begin as u32, 0, 0], [0; 4], [0; 4], [0; 4]]);
            let grid = Grid::of(tensor.len());
            self.launch(Name::Copy, Pass::Layout, params, &[&source.buffer], &result.buffer, grid)?;
            begin += to[axis] * tensor.shape()[axis];
        }
        Ok(result)
    }

    /// Only where no index can be beyond: a kernel has no errors.
    fn gather(&mut self, task: &Task<'_>, operands: &[Operand], axis: usize) -> Result<Option<Elements>, Error> {
        let [Operand::There(table), Operand::There(indices)] = operands else { return Ok(None) };
        let tensor = task.tensors[0];
        let length = tensor.shape()[axis] as i64;
        if indices.bounds.0 < -length || indices.bounds.1 >= length {
            return Ok(None);
        }
        let each: usize = tensor.shape()[axis + 1..].iter().product();
        let count = task.shape.iter().product();
        let named = task.tensors[1].len();
        let numbers = [length as u32, each as u32, named as u32, 0];
        let params = Params::new(count, 0, task.element).with_numbers([numbers, [0; 4], [0; 4], [0; 4]]);
        let result = self.fresh(count, table.bounds)?;
        let operands = [&table.buffer, &indices.buffer];
        self.launch(Name::Gather, Pass::Layout, params, &operands, &result.buffer, Grid::of(count))?;
        Ok(Some(result))
    }
}

fn lengths(axes: &[Axis]) -> usize {
    axes.iter().map(|(length, _)| length).product()
}

/// The axes of a shape that are not among these, and those that are.
fn split(shape: &[usize], axes: &[usize]) -> (Vec<Axis>, Vec<Axis>) {
    let strides = strides(shape);
    let axis = |at: usize| (shape[at], [strides[at], 0, 0]);
    let (reduced, own): (Vec<_>, Vec<_>) = (0..shape.len()).partition(|at| axes.contains(at));
    (own.into_iter().map(axis).collect(), reduced.into_iter().map(axis).collect())
}

/// The one kernel that does a task, if there is one.
fn launch(task: &Task<'_>, operands: &[Operand]) -> Option<Launch> {
    let Task { tensors, element, shape, .. } = *task;
    let source = tensors[0];
    let (from, count) = (source.element(), shape.iter().product::<usize>());
    match task.operation {
        Operation::Unary(operation) => {
            let number = match (operation, from) {
                (Unary::Not, _) => 103,
                (_, ElementType::I64) => return None,
                (_, ElementType::I32) => 100 + operation as u32,
                _ => operation as u32,
            };
            Some(Launch::new(Name::Unary, Pass::Elementwise, Params::new(count, number, element), element))
        }
        Operation::Binary(operation) => binary(task, operands, operation),
        Operation::Choose | Operation::Blend => {
            let is_blend = matches!(task.operation, Operation::Blend);
            let axes = broadcast(shape, &[tensors[0].shape(), tensors[1].shape(), tensors[2].shape()]);
            let params = Params::new(count, is_blend.into(), if is_blend { element } else { ElementType::I32 });
            let params = params.with_axes(&axes).with_numbers([numbers(operands), [0; 4], [0; 4], [0; 4]]);
            let (one, two) = (operands[1].bounds(), operands[2].bounds());
            let bounds = if is_blend { widest(element) } else { (one.0.min(two.0), one.1.max(two.1)) };
            Some(Launch::new(Name::Ternary, Pass::Elementwise, params, element).within(bounds))
        }
        Operation::Clamp(low, high) => {
            let bounds = operands[0].bounds();
            let (operation, words, bounds) = if element.is_float() {
                let held = |value: f64| match element {
                    ElementType::F16 => half::f16::from_f64(value).to_f32(),
                    _ => value as f32,
                };
                (0, [held(low).to_bits(), held(high).to_bits()], bounds)
            } else {
                let held = |value: f64| (value as i64).clamp(widest(element).0, widest(element).1);
                let (low, high) = (held(low), held(high));
                let words = [(low as i32).cast_unsigned(), (high as i32).cast_unsigned()];
                (1, words, (bounds.0.clamp(low, high), bounds.1.clamp(low, high)))
            };
            let params = Params::new(count, operation, element);
            let params = params.with_numbers([[words[0], words[1], 0, 0], [0; 4], [0; 4], [0; 4]]);
            Some(Launch::new(Name::Convert, Pass::Elementwise, params, element).within(bounds))
        }
        Operation::Cast => cast(from, element, count, operands[0].bounds()),
        Operation::Matmul => matmul(task),
        Operation::Conv2d(options) => conv2d(task, options),
        Operation::Conv2dTransposed(options) => {
            let params = Params::new(count, 0, element).with_numbers(convolution(task, options));
            Some(Launch::new(Name::Conv2dTransposed, Pass::Convolution, params, element))
        }
        Operation::Pool2d(pooling, Window { size, stride, padding }) => {
            let operation = match pooling {
                Pooling::Max => 0,
                Pooling::Average => 1,
            };
            let window = [size[0], size[1], stride[0], stride[1]].map(|number| number as u32);
            let padding = [padding[0] as u32, padding[1] as u32, 0, 0];
            let params = Params::new(count, operation, element);
            let params = params.with_numbers([sides(source.shape(), shape), window, padding, [0; 4]]);
            Some(Launch::new(Name::Pool2d, Pass::Pooling, params, element))
        }
        Operation::Resize(method) => {
            let operation = match method {
                ResizeMethod::Nearest => 0,
                ResizeMethod::Bilinear => 1,
                ResizeMethod::Bicubic => 2,
            };
            let sides = sides(source.shape(), shape);
            // The kernel multiplies them.
            let fits = |from: u32, to: u32| from.checked_mul(to).is_some();
            if !fits(sides[0], sides[2]) || !fits(sides[1], sides[3]) {
                return None;
            }
            let params = Params::new(count, operation, element).with_numbers([sides, [0; 4], [0; 4], [0; 4]]);
            Some(Launch::new(Name::Resize, Pass::Resize, params, element))
        }
        Operation::Transpose(order) => {
            let strides = strides(source.shape());
            let axes: Vec<_> = order.iter().map(|at| (source.shape()[*at], strides[*at])).collect();
            Some(copy(task, &axes, 0, operands[0].bounds()))
        }
        Operation::Slice(spans) => {
            let strides = strides(source.shape());
            // A step beyond the end is as good as any other.
            let axis = |(at, span): (usize, &Span)| (shape[at], strides[at] * span.step.min(source.shape()[at]));
            let axes: Vec<_> = spans.iter().enumerate().map(axis).collect();
            let begin = spans.iter().zip(&strides).map(|(span, stride)| span.start * stride).sum();
            Some(copy(task, &axes, begin, operands[0].bounds()))
        }
        Operation::Pad(widths, mode) => Some(pad(task, widths, mode, operands[0].bounds())),
        Operation::ColorMatrix(axis, matrix, offset) => {
            let row =
                |at: usize| [matrix[3 * at], matrix[3 * at + 1], matrix[3 * at + 2], offset[at]].map(f32::to_bits);
            let apart: usize = shape[axis + 1..].iter().product();
            let numbers = [row(0), row(1), row(2), [apart as u32, 0, 0, 0]];
            let params = Params::new(count / 3, 0, element).with_numbers(numbers);
            Some(Launch::new(Name::ColorMatrix, Pass::Elementwise, params, element))
        }
        Operation::Reduce(..)
        | Operation::ArgReduce(..)
        | Operation::Softmax(_)
        | Operation::Concat(_)
        | Operation::Gather(_) => None,
    }
}

/// Which operands are numbers, and these.
fn numbers(operands: &[Operand]) -> [u32; 4] {
    let mut numbers = [0; 4];
    for (at, operand) in operands.iter().enumerate() {
        if let Operand::Number(word) = operand {
            numbers[0] |= 1 << at;
            numbers[at + 1] = *word;
        }
    }
    numbers
}

fn binary(task: &Task<'_>, operands: &[Operand], operation: Binary) -> Option<Launch> {
    let Task { tensors, element, shape, .. } = *task;
    let from = tensors[0].element();
    let ((l_low, l_high), (r_low, r_high)) = (operands[0].bounds(), operands[1].bounds());
    let compares = element == ElementType::Boolean;
    let bounds = match operation {
        Binary::Add => (l_low + r_low, l_high + r_high),
        Binary::Sub => (l_low - r_high, l_high - r_low),
        Binary::Mul => {
            let corners = [l_low * r_low, l_low * r_high, l_high * r_low, l_high * r_high];
            (corners.into_iter().min()?, corners.into_iter().max()?)
        }
        Binary::Min => (l_low.min(r_low), l_high.min(r_high)),
        Binary::Max => (l_low.max(r_low), l_high.max(r_high)),
        _ => widest(element),
    };
    let (least, most) = widest(element);
    let holds = bounds.0 >= least && bounds.1 <= most;
    // Long numbers do not wrap around where short ones do.
    if from == ElementType::I64 && !compares && (!holds || matches!(operation, Binary::Div | Binary::Modulo)) {
        return None;
    }
    let axes = broadcast(shape, &[tensors[0].shape(), tensors[1].shape()]);
    let params = Params::new(shape.iter().product(), operation as u32, element).with_axes(&axes);
    let is_float = u32::from(from.is_float());
    let params = params.with_numbers([numbers(operands), [is_float, 0, 0, 0], [0; 4], [f32::NAN.to_bits(), 0, 0, 0]]);
    let bounds = if holds { bounds } else { widest(element) };
    Some(Launch::new(Name::Binary, Pass::Elementwise, params, element).within(bounds))
}

fn cast(from: ElementType, to: ElementType, count: usize, bounds: (i64, i64)) -> Option<Launch> {
    let (least, most) = widest(to);
    let holds = bounds.0 >= least && bounds.1 <= most;
    let (operation, bounds) = match (from.is_float(), to) {
        (_, ElementType::Boolean) => (7, widest(to)),
        (true, ElementType::F32 | ElementType::F16) => (5, widest(to)),
        (false, ElementType::F32 | ElementType::F16) => (2, widest(to)),
        (true, ElementType::U8) => (3, widest(to)),
        (true, ElementType::I32) => (4, widest(to)),
        // A long number may be longer than there are on the device.
        (true, ElementType::I64) => return None,
        (false, _) => (6, if holds { bounds } else { widest(to) }),
    };
    let params =
        Params::new(count, operation, to).with_numbers([[0, from.is_float().into(), 0, 0], [0; 4], [0; 4], [0; 4]]);
    Some(Launch::new(Name::Convert, Pass::Elementwise, params, to).within(bounds))
}

/// Workgroups along an axis.
const MOST_GROUPS: usize = 65_535;

/// Rows and columns of a tile of a product.
const TILE: usize = 64;

fn tiles(columns: usize, rows: usize, batches: usize) -> Option<Grid> {
    let groups = [columns.div_ceil(TILE), rows.div_ceil(TILE), batches];
    groups.iter().all(|count| *count <= MOST_GROUPS).then(|| Grid(groups.map(|count| count as u32)))
}

fn matmul(task: &Task<'_>) -> Option<Launch> {
    let Task { tensors, element, shape, .. } = *task;
    let [batch @ .., rows, columns] = shape else { return None };
    let ([left @ .., _, between], [right @ .., _, _]) = (tensors[0].shape(), tensors[1].shape()) else { return None };
    let mut axes = broadcast(batch, &[left, right]);
    for (_, steps) in &mut axes {
        steps[0] *= rows * between;
        steps[1] *= between * columns;
    }
    let numbers = [*rows as u32, *columns as u32, *between as u32, 0];
    let params = Params::new(shape.iter().product(), 0, element).with_axes(&axes);
    let params = params.with_numbers([numbers, [0; 4], [0; 4], [0; 4]]);
    let grid = tiles(*columns, *rows, batch.iter().product())?;
    Some(Launch::new(Name::Matmul, Pass::Matmul, params, element).over(grid))
}

/// What kernels of convolutions are told.
fn convolution(task: &Task<'_>, options: Convolution) -> [[u32; 4]; 4] {
    let (input, kernel) = (task.tensors[0].shape(), task.tensors[1].shape());
    let Convolution { stride, padding, dilation, groups } = options;
    let has_bias = usize::from(task.tensors.len() == 3);
    [
        [input[1], input[2], input[3], task.shape[1]],
        [task.shape[2], task.shape[3], kernel[2], kernel[3]],
        [stride[0], stride[1], padding[0], padding[1]],
        [dilation[0], dilation[1], groups, has_bias],
    ]
    .map(|row| row.map(|number| number as u32))
}

fn conv2d(task: &Task<'_>, options: Convolution) -> Option<Launch> {
    let Task { element, shape, .. } = *task;
    let params = Params::new(shape.iter().product(), 0, element).with_numbers(convolution(task, options));
    let own = shape[1] / options.groups;
    if own >= TILED
        && let Some(grid) = tiles(shape[2] * shape[3], own, shape[0] * options.groups)
    {
        return Some(Launch::new(Name::Conv2dTiled, Pass::Convolution, params, element).over(grid));
    }
    Some(Launch::new(Name::Conv2d, Pass::Convolution, params, element))
}

/// Rows and columns before and after.
fn sides(from: &[usize], to: &[usize]) -> [u32; 4] {
    [from[2], from[3], to[2], to[3]].map(|side| side as u32)
}

/// From these places of the source, in the result's order.
fn copy(task: &Task<'_>, axes: &[(usize, usize)], begin: usize, bounds: (i64, i64)) -> Launch {
    let to = strides(task.shape);
    let axes: Vec<_> = axes.iter().zip(to).map(|((length, from), to)| (*length, [*from, to, 0])).collect();
    let params = Params::new(task.shape.iter().product(), 0, task.element).with_axes(&axes);
    let params = params.with_numbers([[begin as u32, 0, 0, 0], [0; 4], [0; 4], [0; 4]]);
    Launch::new(Name::Copy, Pass::Layout, params, task.element).within(bounds)
}

fn pad(task: &Task<'_>, widths: &[(usize, usize)], mode: PadMode, bounds: (i64, i64)) -> Launch {
    let (source, element) = (task.tensors[0], task.element);
    let strides = strides(source.shape());
    let axes = (0..strides.len()).map(|at| [task.shape[at], widths[at].0, source.shape()[at], strides[at]]);
    let (operation, word, bounds) = match mode {
        PadMode::Reflect => (1, 0, bounds),
        PadMode::Edge => (2, 0, bounds),
        PadMode::Constant(value) => {
            let word = match element {
                ElementType::F16 => half::f16::from_f64(value).to_f32().to_bits(),
                ElementType::F32 => (value as f32).to_bits(),
                ElementType::Boolean => u32::from(value != 0.0),
                _ => (value as i64).clamp(widest(element).0, widest(element).1) as u32,
            };
            (0, word, widest(element))
        }
    };
    let params = Params::new(task.shape.iter().product(), operation, element).with_raw_axes(axes);
    let params = params.with_numbers([[word, 0, 0, 0], [0; 4], [0; 4], [0; 4]]);
    Launch::new(Name::Pad, Pass::Layout, params, element).within(bounds)
}
