//! The one kernel that does all of an operation, and what it is told.

use rillbox_compute::{
    Binary, Convolution, ElementType, Operation, PadMode, Pooling, ResizeMethod, Span, Task, Unary, Window,
};

use super::bounds::Bounds;
use super::codes;
use super::kernels::Name;
use super::operand::{Operand, numbers};
use super::params::{Params, broadcast, strides};
use super::reduction::softmax;
use crate::usage::Pass;
use crate::workspace::Grid;

/// Channels of a result from which a tile of them is worth more than it wastes.
const TILED: usize = 16;

/// Rows and columns of a tile of a product.
const TILE: usize = 64;

/// Workgroups along an axis.
const MOST_GROUPS: usize = 65_535;

/// What `convert` does, as `elementwise.wgsl` numbers it.
#[derive(Clone, Copy)]
enum Conversion {
    ClampFloats = 0,
    ClampWholes = 1,
    WholesToFloats = 2,
    FloatsToBytes = 3,
    FloatsToWholes = 4,
    RoundFloats = 5,
    WrapWholes = 6,
    NotZero = 7,
}

/// What `pad` puts beyond the edges, as `layout.wgsl` numbers it.
#[derive(Clone, Copy)]
enum Beyond {
    Constant = 0,
    Reflect = 1,
    Edge = 2,
}

/// A kernel that does all of a task.
pub struct Launch {
    pub kernel: Name,
    pub pass: Pass,
    pub params: Params,
    pub grid: Grid,
    /// Of the result.
    pub bounds: Bounds,
}

impl Launch {
    /// With an invocation for each of what the parameters count.
    pub fn new(kernel: Name, pass: Pass, params: Params, element: ElementType) -> Self {
        Self { kernel, pass, params, grid: Grid::of(params.count as usize), bounds: Bounds::of(element) }
    }

    /// None if there is no such kernel for these elements, or several are needed.
    pub fn of(task: &Task<'_>, operands: &[Operand]) -> Option<Self> {
        match task.operation {
            Operation::Unary(operation) => unary(task, operation),
            Operation::Binary(operation) => binary(task, operands, operation),
            Operation::Choose => Some(choose(task, operands)),
            Operation::Blend => Some(blend(task, operands)),
            Operation::Clamp(low, high) => clamp(task, operands, low, high),
            Operation::Cast => cast(task, operands),
            Operation::Matmul => matmul(task),
            Operation::Conv2d(options) => Some(conv2d(task, options)),
            Operation::Conv2dTransposed(options) => Some(conv2d_transposed(task, options)),
            Operation::Pool2d(pooling, window) => Some(pool2d(task, pooling, window)),
            Operation::Resize(method) => resize(task, method),
            Operation::Softmax(axis) => Some(softmax(task, axis)),
            Operation::Transpose(order) => Some(transpose(task, operands, order)),
            Operation::Slice(spans) => Some(slice(task, operands, spans)),
            Operation::Pad(widths, mode) => pad(task, operands, widths, mode),
            Operation::ColorMatrix(axis, matrix, offset) => Some(color_matrix(task, axis, matrix, offset)),
            Operation::Reduce(..) | Operation::ArgReduce(..) | Operation::Concat(_) | Operation::Gather(_) => None,
        }
    }

    pub fn over(self, grid: Grid) -> Self {
        Self { grid, ..self }
    }

    fn within(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }
}

/// For a kernel that makes each element of a task's result.
fn params(task: &Task<'_>, operation: u32) -> Params {
    Params::new(task.shape.iter().product(), operation, task.element)
}

fn unary(task: &Task<'_>, operation: Unary) -> Option<Launch> {
    let number = match (operation, task.tensors[0].element()) {
        (Unary::Not, _) | (_, ElementType::I32) => codes::unary_whole(operation),
        (_, ElementType::I64) => return None,
        _ => codes::unary(operation),
    };
    Some(Launch::new(Name::Unary, Pass::Elementwise, params(task, number), task.element))
}

fn binary(task: &Task<'_>, operands: &[Operand], operation: Binary) -> Option<Launch> {
    let from = task.tensors[0].element();
    let (left, right) = (operands[0].bounds(), operands[1].bounds());
    let bounds = match operation {
        Binary::Add => Bounds::new(left.least + right.least, left.most + right.most),
        Binary::Sub => Bounds::new(left.least - right.most, left.most - right.least),
        Binary::Mul => {
            let products = [left.least, left.most].map(|x| [x * right.least, x * right.most]);
            let products = products.as_flattened();
            Bounds::new(*products.iter().min()?, *products.iter().max()?)
        }
        Binary::Min => Bounds::new(left.least.min(right.least), left.most.min(right.most)),
        Binary::Max => Bounds::new(left.least.max(right.least), left.most.max(right.most)),
        _ => Bounds::of(task.element),
    };
    let fits = Bounds::of(task.element).hold(bounds);
    // Long numbers do not wrap around where short ones do.
    let compares = task.element == ElementType::Boolean;
    if from == ElementType::I64 && !compares && (!fits || matches!(operation, Binary::Div | Binary::Modulo)) {
        return None;
    }
    let axes = broadcast(task.shape, &[task.tensors[0].shape(), task.tensors[1].shape()]);
    let told = [numbers(operands), [from.is_float().into(), f32::NAN.to_bits(), 0, 0]];
    let params = params(task, codes::binary(operation)).with_axes(&axes).with_numbers(told);
    let bounds = if fits { bounds } else { Bounds::of(task.element) };
    Some(Launch::new(Name::Binary, Pass::Elementwise, params, task.element).within(bounds))
}

fn choose(task: &Task<'_>, operands: &[Operand]) -> Launch {
    // Elements stay as they are.
    let params = Params::new(task.shape.iter().product(), 0, ElementType::I32);
    ternary(Name::Choose, task, operands, params).within(operands[1].bounds().or(operands[2].bounds()))
}

fn blend(task: &Task<'_>, operands: &[Operand]) -> Launch {
    ternary(Name::Blend, task, operands, params(task, 0))
}

fn ternary(kernel: Name, task: &Task<'_>, operands: &[Operand], params: Params) -> Launch {
    let axes = broadcast(task.shape, &[0, 1, 2].map(|at| task.tensors[at].shape()));
    let params = params.with_axes(&axes).with_numbers([numbers(operands)]);
    Launch::new(kernel, Pass::Elementwise, params, task.element)
}

/// None if one of these is a long number.
fn clamp(task: &Task<'_>, operands: &[Operand], low: f64, high: f64) -> Option<Launch> {
    if !fits(task.element, low) || !fits(task.element, high) {
        return None;
    }
    let (conversion, words, bounds) = match task.element {
        ElementType::F16 => {
            let words = [low, high].map(|value| half::f16::from_f64(value).to_f32().to_bits());
            (Conversion::ClampFloats, words, operands[0].bounds())
        }
        ElementType::F32 => {
            (Conversion::ClampFloats, [low, high].map(|value| (value as f32).to_bits()), operands[0].bounds())
        }
        whole => {
            let [low, high] = [low, high].map(|value| Bounds::of(whole).clamp(value as i64));
            let (own, allowed) = (operands[0].bounds(), Bounds::new(low, high));
            let words = [low, high].map(|value| (value as i32).cast_unsigned());
            (Conversion::ClampWholes, words, Bounds::new(allowed.clamp(own.least), allowed.clamp(own.most)))
        }
    };
    Some(converted(task, conversion, [words[0], words[1], 0, 0]).within(bounds))
}

/// Whether there is such an element on the device: of others than long ones, what is nearest.
fn fits(element: ElementType, value: f64) -> bool {
    element != ElementType::I64 || f64::from(value as i32) == value.trunc()
}

fn cast(task: &Task<'_>, operands: &[Operand]) -> Option<Launch> {
    use ElementType::{Boolean, F16, F32, I32, I64, U8};
    let from_float = task.tensors[0].element().is_float();
    let conversion = match (from_float, task.element) {
        (_, Boolean) => Conversion::NotZero,
        (true, F32 | F16) => Conversion::RoundFloats,
        (false, F32 | F16) => Conversion::WholesToFloats,
        (true, U8) => Conversion::FloatsToBytes,
        (true, I32) => Conversion::FloatsToWholes,
        // A long number may be longer than there are on the device.
        (true, I64) => return None,
        (false, U8 | I32 | I64) => Conversion::WrapWholes,
    };
    let launch = converted(task, conversion, [0, 0, from_float.into(), 0]);
    let own = operands[0].bounds();
    let keeps = matches!(conversion, Conversion::WrapWholes) && launch.bounds.hold(own);
    Some(if keeps { launch.within(own) } else { launch })
}

/// Numbers are the least, the most, and whether elements are floating point.
fn converted(task: &Task<'_>, conversion: Conversion, numbers: [u32; 4]) -> Launch {
    let params = params(task, conversion as u32).with_numbers([numbers]);
    Launch::new(Name::Convert, Pass::Elementwise, params, task.element)
}

/// None if there are more tiles along an axis than a device counts.
fn tiles(columns: usize, rows: usize, batches: usize) -> Option<Grid> {
    let groups = [columns.div_ceil(TILE), rows.div_ceil(TILE), batches];
    groups.iter().all(|count| *count <= MOST_GROUPS).then(|| Grid(groups.map(|count| count as u32)))
}

fn matmul(task: &Task<'_>) -> Option<Launch> {
    let [batch @ .., rows, columns] = task.shape else { return None };
    let ([left @ .., _, between], [right @ .., _, _]) = (task.tensors[0].shape(), task.tensors[1].shape()) else {
        return None;
    };
    let mut axes = broadcast(batch, &[left, right]);
    for (_, steps) in &mut axes {
        steps[0] *= rows * between;
        steps[1] *= between * columns;
    }
    let numbers = [*rows as u32, *columns as u32, *between as u32, 0];
    let params = params(task, 0).with_axes(&axes).with_numbers([numbers]);
    let grid = tiles(*columns, *rows, batch.iter().product())?;
    Some(Launch::new(Name::Matmul, Pass::Matmul, params, task.element).over(grid))
}

fn conv2d(task: &Task<'_>, options: Convolution) -> Launch {
    let params = convolution(task, options);
    let channels = task.shape[1] / options.groups;
    let grid = tiles(task.shape[2] * task.shape[3], channels, task.shape[0] * options.groups);
    match grid.filter(|_| channels >= TILED) {
        Some(grid) => Launch::new(Name::Conv2dTiled, Pass::Convolution, params, task.element).over(grid),
        None => Launch::new(Name::Conv2d, Pass::Convolution, params, task.element),
    }
}

fn conv2d_transposed(task: &Task<'_>, options: Convolution) -> Launch {
    Launch::new(Name::Conv2dTransposed, Pass::Convolution, convolution(task, options), task.element)
}

/// What kernels of convolutions are told.
fn convolution(task: &Task<'_>, options: Convolution) -> Params {
    let (input, kernel) = (task.tensors[0].shape(), task.tensors[1].shape());
    let Convolution { stride, padding, dilation, groups } = options;
    let has_bias = usize::from(task.tensors.len() == 3);
    let numbers = [
        [input[1], input[2], input[3], task.shape[1]],
        [task.shape[2], task.shape[3], kernel[2], kernel[3]],
        [stride[0], stride[1], padding[0], padding[1]],
        [dilation[0], dilation[1], groups, has_bias],
    ];
    params(task, 0).with_numbers(numbers.map(words))
}

fn pool2d(task: &Task<'_>, pooling: Pooling, window: Window) -> Launch {
    let Window { size, stride, padding } = window;
    let numbers = [sides(task), words([size[0], size[1], stride[0], stride[1]]), words([padding[0], padding[1], 0, 0])];
    let params = params(task, codes::pooling(pooling)).with_numbers(numbers);
    Launch::new(Name::Pool2d, Pass::Pooling, params, task.element)
}

/// None if a place times a size does not fit into a word: the kernel multiplies them.
fn resize(task: &Task<'_>, method: ResizeMethod) -> Option<Launch> {
    let sides @ [rows, columns, new_rows, new_columns] = sides(task);
    rows.checked_mul(new_rows)?;
    columns.checked_mul(new_columns)?;
    let params = params(task, codes::resize(method)).with_numbers([sides]);
    Some(Launch::new(Name::Resize, Pass::Resize, params, task.element))
}

/// Rows and columns before and after.
fn sides(task: &Task<'_>) -> [u32; 4] {
    let (from, to) = (task.tensors[0].shape(), task.shape);
    words([from[2], from[3], to[2], to[3]])
}

fn words(numbers: [usize; 4]) -> [u32; 4] {
    numbers.map(|number| number as u32)
}

fn transpose(task: &Task<'_>, operands: &[Operand], order: &[usize]) -> Launch {
    let shape = task.tensors[0].shape();
    let strides = strides(shape);
    let axes: Vec<_> = order.iter().map(|at| (shape[*at], strides[*at])).collect();
    copy(task, &axes, 0, operands[0].bounds())
}

fn slice(task: &Task<'_>, operands: &[Operand], spans: &[Span]) -> Launch {
    let shape = task.tensors[0].shape();
    let strides = strides(shape);
    // A step beyond the end is as good as any other.
    let axis = |(at, span): (usize, &Span)| (task.shape[at], strides[at] * span.step.min(shape[at]));
    let axes: Vec<_> = spans.iter().enumerate().map(axis).collect();
    let begin = spans.iter().zip(&strides).map(|(span, stride)| span.start * stride).sum();
    copy(task, &axes, begin, operands[0].bounds())
}

/// From these places of the source, in the result's order.
fn copy(task: &Task<'_>, axes: &[(usize, usize)], begin: usize, bounds: Bounds) -> Launch {
    let to = strides(task.shape);
    let axes: Vec<_> = axes.iter().zip(to).map(|((length, from), to)| (*length, [*from, to, 0])).collect();
    let params = params(task, 0).with_axes(&axes).with_numbers([[begin as u32, 0, 0, 0]]);
    Launch::new(Name::Copy, Pass::Layout, params, task.element).within(bounds)
}

/// None if what is put beyond the edges is a long number.
fn pad(task: &Task<'_>, operands: &[Operand], widths: &[(usize, usize)], mode: PadMode) -> Option<Launch> {
    let shape = task.tensors[0].shape();
    let strides = strides(shape);
    let axes = (0..strides.len()).map(|at| [task.shape[at], widths[at].0, shape[at], strides[at]]);
    let own = operands[0].bounds();
    let (beyond, word, bounds) = match mode {
        PadMode::Reflect => (Beyond::Reflect, 0, own),
        PadMode::Edge => (Beyond::Edge, 0, own),
        PadMode::Constant(value) if !fits(task.element, value) => return None,
        PadMode::Constant(value) => (Beyond::Constant, word(task.element, value), Bounds::of(task.element)),
    };
    let params = params(task, beyond as u32).with_raw_axes(axes).with_numbers([[word, 0, 0, 0]]);
    Some(Launch::new(Name::Pad, Pass::Layout, params, task.element).within(bounds))
}

/// A number as an element of this type.
fn word(element: ElementType, value: f64) -> u32 {
    match element {
        ElementType::F16 => half::f16::from_f64(value).to_f32().to_bits(),
        ElementType::F32 => (value as f32).to_bits(),
        ElementType::Boolean => u32::from(value != 0.0),
        whole => (Bounds::of(whole).clamp(value as i64) as i32).cast_unsigned(),
    }
}

fn color_matrix(task: &Task<'_>, axis: usize, matrix: &[f32; 9], offset: &[f32; 3]) -> Launch {
    let row = |at: usize| [matrix[3 * at], matrix[3 * at + 1], matrix[3 * at + 2], offset[at]].map(f32::to_bits);
    let apart: usize = task.shape[axis + 1..].iter().product();
    // An invocation for each color.
    let params = Params::new(task.shape.iter().product::<usize>() / 3, 0, task.element);
    let params = params.with_numbers([row(0), row(1), row(2), [apart as u32, 0, 0, 0]]);
    Launch::new(Name::ColorMatrix, Pass::Elementwise, params, task.element)
}
