//! Operations on a device against the same on the CPU, of every kind.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::sync::LazyLock;
use std::time::Duration;

use rillbox_compute::{
    Allowance, ArgReduction, Binary, ChannelOrder, Channels, Convolution, Cost, ElementType, Error, PadMode,
    PictureLayout, Pooling, Reduction, ResizeMethod, Span, Task, Tensor, Unary, Unlimited, Window,
};
use rillbox_gpu::{Choice, Color, Gpu, Matrix, Pass, Planes, PlanesLayout, Range, Workspace, color};

const TIME: Duration = Duration::from_secs(60);

static GPU: LazyLock<Gpu> = LazyLock::new(|| Gpu::new(Choice::Any));

fn workspace() -> Workspace {
    let device = GPU.open().unwrap();
    device.prepare_tensors().unwrap_or_else(|error| panic!("{error}"));
    Workspace::new(&device).unwrap()
}

/// Has the device do what it can, and remembers whether it did all.
struct OnDevice<'a> {
    workspace: &'a mut Workspace,
    tasks: usize,
}

impl Allowance for OnDevice<'_> {
    fn admit(&mut self, _: Cost) -> Result<(), Error> {
        Ok(())
    }

    fn begin(&mut self, _: Cost, task: &Task<'_>) -> Result<Option<Tensor>, Error> {
        if task.tensors.iter().all(|tensor| tensor.device().is_none()) {
            return Ok(None);
        }
        self.tasks += 1;
        let made = self.workspace.run(task).unwrap_or_else(|error| panic!("{:?}: {error}", task.operation));
        made.map(Some).ok_or(Error::Away)
    }
}

fn send(workspace: &mut Workspace, tensor: &Tensor) -> Tensor {
    if tensor.len() == 1 { tensor.clone() } else { workspace.send_tensor(tensor).unwrap().unwrap() }
}

fn read(workspace: &mut Workspace, tensor: &Tensor) -> Tensor {
    let read = workspace.read_tensor(tensor).unwrap();
    workspace.submit().unwrap();
    read.wait(TIME).unwrap().0
}

fn values(tensor: &Tensor) -> Vec<f32> {
    let wide = tensor.cast(ElementType::F32, &mut Unlimited).unwrap();
    wide.bytes().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// What an operation gives.
type Made = Result<Tensor, Error>;

/// Does the same on both, and compares, with a tolerance that is relative above 1.
#[track_caller]
fn same_within(
    tolerance: f32,
    tensors: &[&Tensor],
    operation: impl Fn(&[Tensor], &mut dyn Allowance) -> Made,
) -> Tensor {
    let here: Vec<_> = tensors.iter().map(|tensor| (*tensor).clone()).collect();
    let expected = operation(&here, &mut Unlimited).unwrap();
    let mut workspace = workspace();
    let there: Vec<_> = tensors.iter().map(|tensor| send(&mut workspace, tensor)).collect();
    let mut allowance = OnDevice { workspace: &mut workspace, tasks: 0 };
    let made = operation(&there, &mut allowance).unwrap_or_else(|error| panic!("{error}"));
    assert!(allowance.tasks > 0, "nothing was asked of the device");
    assert_eq!((made.shape(), made.element()), (expected.shape(), expected.element()));
    let shown = read(&mut workspace, &made);
    for (at, (shown, expected)) in values(&shown).into_iter().zip(values(&expected)).enumerate() {
        let close = (shown - expected).abs() <= tolerance * expected.abs().max(1.0) || shown == expected;
        assert!(close || shown.is_nan() && expected.is_nan(), "{at}: {shown} is not {expected}");
    }
    shown
}

#[track_caller]
fn same(tensors: &[&Tensor], operation: impl Fn(&[Tensor], &mut dyn Allowance) -> Made) {
    same_within(1e-5, tensors, operation);
}

fn floats(shape: &[usize], of: impl Fn(usize) -> f32) -> Tensor {
    let bytes: Vec<u8> = (0..shape.iter().product()).flat_map(|at| of(at).to_le_bytes()).collect();
    Tensor::from_bytes(ElementType::F32, shape, &bytes, &mut Unlimited).unwrap()
}

/// Numbers that repeat nowhere near: −1 to 1.
fn noise(shape: &[usize]) -> Tensor {
    floats(shape, |at| (at as f32 * 0.7391 + shape.len() as f32).sin())
}

fn cast(tensor: &Tensor, element: ElementType) -> Tensor {
    tensor.cast(element, &mut Unlimited).unwrap()
}

/// −100 to 100.
fn whole(shape: &[usize], element: ElementType) -> Tensor {
    cast(&floats(shape, |at| (at as f32 * 0.7391).sin() * 100.0), element)
}

const UNARY: [Unary; 27] = [
    Unary::Neg,
    Unary::Abs,
    Unary::Sign,
    Unary::Reciprocal,
    Unary::Exp,
    Unary::Log,
    Unary::Sqrt,
    Unary::Sin,
    Unary::Cos,
    Unary::Tan,
    Unary::Asin,
    Unary::Acos,
    Unary::Atan,
    Unary::Sinh,
    Unary::Cosh,
    Unary::Floor,
    Unary::Ceil,
    Unary::Round,
    Unary::Erf,
    Unary::Relu,
    Unary::Sigmoid,
    Unary::Tanh,
    Unary::Softplus,
    Unary::Gelu,
    Unary::Silu,
    Unary::HardSigmoid,
    Unary::HardSwish,
];

/// Catches a function in the place of another, and values at which it breaks.
#[test]
fn functions_of_each_element() {
    let (small, positive) = (noise(&[3, 301]), floats(&[77], |at| 0.01 + at as f32 / 10.0));
    let large = floats(&[64], |at| (at as f32 - 32.0) * 0.75);
    for operation in UNARY {
        let (input, tolerance) = match operation {
            Unary::Log | Unary::Sqrt | Unary::Reciprocal => (&positive, 1e-5),
            // What WGSL says of these: an absolute error of 2⁻¹¹, and worse for arcs.
            Unary::Sin | Unary::Cos | Unary::Tan => (&small, 2e-3),
            Unary::Asin | Unary::Acos | Unary::Atan => (&small, 2e-3),
            Unary::Sinh | Unary::Cosh => (&small, 1e-4),
            _ => (&large, 1e-4),
        };
        same_within(tolerance, &[input], |of, allowance| of[0].unary(operation, allowance));
    }
    for operation in [Unary::Neg, Unary::Abs, Unary::Sign] {
        same(&[&whole(&[5, 7], ElementType::I32)], |of, allowance| of[0].unary(operation, allowance));
    }
    let flags = cast(&whole(&[40], ElementType::I32), ElementType::Boolean);
    same(&[&flags], |of, allowance| of[0].unary(Unary::Not, allowance));
    let holes = floats(&[9], |at| if at % 2 == 0 { f32::NAN } else { f32::INFINITY });
    same(&[&holes], |of, allowance| of[0].unary(Unary::IsNan, allowance));
    same_within(2e-3, &[&cast(&small, ElementType::F16)], |of, allowance| of[0].unary(Unary::Exp, allowance));
}

const BINARY: [Binary; 8] =
    [Binary::Add, Binary::Sub, Binary::Mul, Binary::Div, Binary::Modulo, Binary::Pow, Binary::Min, Binary::Max];

const COMPARISONS: [Binary; 6] =
    [Binary::Equal, Binary::NotEqual, Binary::Less, Binary::LessEqual, Binary::Greater, Binary::GreaterEqual];

/// Shapes that broadcast in every way there is.
const PAIRS: [(&[usize], &[usize]); 7] = [
    (&[4, 5, 6], &[4, 5, 6]),
    (&[4, 5, 6], &[6]),
    (&[3, 1, 1], &[3, 20, 30]),
    (&[2, 1, 3, 1], &[4, 1, 5]),
    (&[5, 4], &[1]),
    (&[1], &[5, 4]),
    (&[300, 300], &[300, 1]),
];

/// Catches operands that are taken from the wrong place, and one operation for another.
#[test]
fn pairs_broadcast() {
    for (left, right) in PAIRS {
        let (left, right) = (noise(left), floats(right, |at| 0.5 + (at as f32 * 0.37).cos().abs()));
        for operation in BINARY {
            same_within(1e-4, &[&left, &right], |of, allowance| of[0].binary(operation, &of[1], allowance));
        }
        for operation in COMPARISONS {
            let rounded = left.unary(Unary::Round, &mut Unlimited).unwrap();
            let other = right.unary(Unary::Floor, &mut Unlimited).unwrap();
            same(&[&rounded, &other], |of, allowance| of[0].binary(operation, &of[1], allowance));
        }
    }
    same(&[&noise(&[6, 6])], |of, allowance| of[0].binary_scalar(Binary::Sub, 0.25, allowance));
    let powers = floats(&[7], |at| at as f32 - 3.0);
    same(&[&floats(&[7], |at| -(at as f32)), &powers], |of, allowance| of[0].binary(Binary::Pow, &of[1], allowance));
}

/// Catches whole numbers that do not wrap around as they do on the CPU, and signs of remainders.
#[test]
fn whole_numbers_and_booleans() {
    for element in [ElementType::I32, ElementType::U8] {
        let (left, right) = (whole(&[8, 9], element), whole(&[9], element));
        for operation in
            [Binary::Add, Binary::Sub, Binary::Mul, Binary::Min, Binary::Max].into_iter().chain(COMPARISONS)
        {
            same(&[&left, &right], |of, allowance| of[0].binary(operation, &of[1], allowance));
        }
        for operation in [Binary::Div, Binary::Modulo] {
            same(&[&left], |of, allowance| of[0].binary_scalar(operation, 7.0, allowance));
        }
    }
    let negative = whole(&[50], ElementType::I32);
    same(&[&negative], |of, allowance| of[0].binary_scalar(Binary::Modulo, -7.0, allowance));
    let flags = |step: usize| cast(&floats(&[64], |at| f32::from(u8::from(at % step == 0))), ElementType::Boolean);
    for operation in [Binary::And, Binary::Or, Binary::Xor, Binary::Equal, Binary::NotEqual] {
        same(&[&flags(2), &flags(3)], |of, allowance| of[0].binary(operation, &of[1], allowance));
    }
}

/// Catches a choice the wrong way round, bounds that do not hold, and casts by other rules.
#[test]
fn choices_blends_bounds_and_casts() {
    let by = cast(
        &whole(&[4, 1, 6], ElementType::I32).binary_scalar(Binary::Less, 0.0, &mut Unlimited).unwrap(),
        ElementType::Boolean,
    );
    let (one, other) = (noise(&[5, 6]), noise(&[4, 5, 1]));
    same(&[&by, &one, &other], |of, allowance| of[0].choose(&of[1], &of[2], allowance));
    let bytes = (whole(&[5, 6], ElementType::U8), whole(&[4, 5, 1], ElementType::U8));
    same(&[&by, &bytes.0, &bytes.1], |of, allowance| of[0].choose(&of[1], &of[2], allowance));
    same(&[&one, &other, &noise(&[6])], |of, allowance| of[0].blend(&of[1], &of[2], allowance));
    same(&[&one, &other], |of, allowance| of[0].blend_scalar(&of[1], 0.3, allowance));

    same(&[&noise(&[70])], |of, allowance| of[0].clamp(-0.4, 0.6, allowance));
    same(&[&whole(&[70], ElementType::I32)], |of, allowance| of[0].clamp(-20.5, 1e12, allowance));
    same(&[&whole(&[70], ElementType::U8)], |of, allowance| of[0].clamp(20.0, 60.0, allowance));

    let wild = [0.0, -0.0, 1.5, -1.5, 255.9, 256.0, -3.0, 3e9, -3e9, 1e30, f32::NAN, f32::INFINITY, 0.4, 65_519.0];
    let wild = floats(&[wild.len()], |at| wild[at]);
    for element in [ElementType::U8, ElementType::I32, ElementType::Boolean, ElementType::F16] {
        // Beyond half precision it is infinite, or nearly.
        let from = if element == ElementType::F16 { &noise(&[50]) } else { &wild };
        same(&[from], |of, allowance| of[0].cast(element, allowance));
    }
    let numbers = whole(&[90], ElementType::I32).binary_scalar(Binary::Mul, 1_000.0, &mut Unlimited).unwrap();
    for element in [ElementType::U8, ElementType::I64, ElementType::Boolean, ElementType::F32] {
        same(&[&numbers], |of, allowance| of[0].cast(element, allowance));
    }
}

const REDUCTIONS: [Reduction; 5] = [Reduction::Sum, Reduction::Mean, Reduction::Max, Reduction::Min, Reduction::Prod];

/// Catches elements that are left out or counted twice, whatever the axes and their lengths.
#[test]
fn reductions_take_their_axes() {
    let shapes: [(&[usize], &[i32]); 9] = [
        (&[2, 3, 5], &[1]),
        (&[2, 3, 5], &[0, 2]),
        (&[40, 30], &[0]),
        (&[3, 300], &[1]),
        (&[300, 3], &[0]),
        (&[5_000], &[]),
        (&[1, 3, 90, 160], &[2, 3]),
        (&[257], &[0]),
        (&[2, 4_097], &[-1]),
    ];
    for (shape, axes) in shapes {
        let input = floats(shape, |at| 1.0 + (at as f32 * 0.7391).sin() * 0.01);
        for reduction in REDUCTIONS {
            let tolerance = if reduction == Reduction::Prod { 1e-2 } else { 2e-5 };
            same_within(tolerance, &[&input], |of, allowance| of[0].reduce(reduction, axes, true, allowance));
        }
        let numbers = whole(shape, ElementType::I32);
        for reduction in [Reduction::Sum, Reduction::Max, Reduction::Min, Reduction::Prod] {
            same(&[&numbers], |of, allowance| of[0].reduce(reduction, axes, false, allowance));
        }
    }
    for (shape, axis) in [(&[4, 5, 6][..], 1), (&[3, 700], 1), (&[700, 3], 0)] {
        for input in [noise(shape), whole(shape, ElementType::I32)] {
            for reduction in [ArgReduction::Max, ArgReduction::Min] {
                same(&[&input], |of, allowance| of[0].arg_reduce(reduction, axis, false, allowance));
            }
        }
    }
}

/// Catches tiles that overlap or end too early, and batches that take another's matrices.
#[test]
fn matrices_multiply() {
    let shapes: [(&[usize], &[usize]); 6] = [
        (&[3, 4], &[4, 5]),
        (&[70, 33], &[33, 130]),
        (&[2, 3, 5, 7], &[7, 9]),
        (&[3, 5, 7], &[2, 1, 7, 4]),
        (&[1, 64], &[64, 64]),
        (&[1, 1], &[1, 8]),
    ];
    for (left, right) in shapes {
        same(&[&noise(left), &noise(right)], |of, allowance| of[0].matmul(&of[1], allowance));
    }
    let halves = (cast(&noise(&[20, 30]), ElementType::F16), cast(&noise(&[30, 20]), ElementType::F16));
    same_within(5e-3, &[&halves.0, &halves.1], |of, allowance| of[0].matmul(&of[1], allowance));
}

fn convolution(stride: usize, padding: usize, dilation: usize, groups: usize) -> Convolution {
    Convolution { stride: [stride, 1], padding: [padding, 1], dilation: [dilation, 1], groups }
}

/// Catches kernels that are turned, edges that count, and groups that see each other's channels.
#[test]
fn convolutions_see_what_they_should() {
    // Few channels are summed one by one, many in tiles.
    for (channels, out) in [(2, 4), (4, 40), (32, 64)] {
        for options in [convolution(1, 1, 1, 1), convolution(2, 0, 2, 2), convolution(3, 2, 1, 2)] {
            let input = noise(&[2, channels, 13, 11]);
            let kernel = noise(&[out, channels / options.groups, 3, 3]);
            let bias = noise(&[out]);
            same_within(1e-4, &[&input, &kernel, &bias], |of, allowance| {
                of[0].conv2d(&of[1], Some(&of[2]), options, allowance)
            });
            same_within(1e-4, &[&input, &kernel], |of, allowance| of[0].conv2d(&of[1], None, options, allowance));
        }
    }
    for options in [convolution(1, 0, 1, 1), convolution(2, 1, 2, 2)] {
        let (input, kernel) = (noise(&[2, 4, 6, 5]), noise(&[4, 3, 3, 2]));
        let extra = [options.stride[0] - 1, 0];
        same_within(1e-4, &[&input, &kernel], |of, allowance| {
            of[0].conv2d_transposed(&of[1], None, options, extra, allowance)
        });
    }
}

/// Catches windows that count what is beyond the edge, and pictures that are shifted.
#[test]
fn windows_and_sizes() {
    let input = noise(&[2, 3, 17, 12]);
    for pooling in [Pooling::Max, Pooling::Average] {
        for (size, stride, padding) in [([2, 2], [2, 2], [0, 0]), ([3, 2], [1, 2], [1, 1])] {
            let window = Window { size, stride, padding };
            same(&[&input], |of, allowance| of[0].pool2d(pooling, window, allowance));
        }
    }
    for method in [ResizeMethod::Nearest, ResizeMethod::Bilinear, ResizeMethod::Bicubic] {
        for (rows, columns) in [(34, 24), (9, 5), (17, 12), (1, 40)] {
            same_within(1e-4, &[&input], |of, allowance| of[0].resize(rows, columns, method, allowance));
        }
    }
}

/// Catches elements that end up elsewhere.
#[test]
fn elements_move() {
    let input = noise(&[2, 3, 4, 5]);
    for order in [[3, 2, 1, 0], [0, 2, 1, 3], [1, 0, 3, 2], [0, 1, 2, 3]] {
        same(&[&input], |of, allowance| of[0].transpose(&order, allowance));
    }
    let spans = [(0, 2, 1), (1, 3, 1), (0, 4, 3), (2, 5, 9)].map(|(start, end, step)| Span { start, end, step });
    same(&[&input], |of, allowance| of[0].slice(&spans, allowance));
    for mode in [PadMode::Constant(0.5), PadMode::Reflect, PadMode::Edge] {
        same(&[&input], |of, allowance| of[0].pad(&[(0, 1), (2, 0), (1, 3), (0, 0)], mode, allowance));
    }
    let more = noise(&[2, 1, 4, 5]);
    for order in [[0, 1], [1, 0]] {
        let parts = [&input, &more];
        let parts = order.map(|at| parts[at]);
        same(&parts, |of, allowance| Tensor::concat(&[&of[0], &of[1], &of[0]], 1, allowance));
    }
    same(&[&input], |of, allowance| of[0].reshape(&[6, -1])?.binary_scalar(Binary::Add, 1.0, allowance));
    let indices = cast(&floats(&[3, 2], |at| at as f32 - 3.0), ElementType::I64);
    for axis in [1, -1] {
        let short = indices.clamp(-3.0, 2.0, &mut Unlimited).unwrap();
        same(&[&input, &short], |of, allowance| of[0].gather(axis, &of[1], allowance));
    }
    same(&[&noise(&[2, 3, 2])], |of, allowance| {
        let matrix = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
        of[0].color_matrix(1, &matrix, &[1.0, 2.0, 3.0], allowance)
    });
}

#[test]
fn rows_are_made_to_one() {
    for (shape, axis) in [(&[4, 5, 6][..], 1), (&[3, 1_000], -1), (&[1_000, 2], 0)] {
        same(&[&noise(shape)], |of, allowance| of[0].softmax(axis, allowance));
    }
    let input = noise(&[2, 4, 5, 6]);
    let (scale, bias) = (noise(&[6]), noise(&[5, 6]));
    same_within(1e-4, &[&input, &scale, &bias], |of, allowance| {
        of[0].layer_norm(-1, &of[1], Some(&of[2]), 1e-3, allowance)
    });
    let channel: Vec<_> = (0..4).map(|at| floats(&[4], |of| 0.5 + (of + at) as f32)).collect();
    let all: Vec<_> = std::iter::once(&input).chain(&channel).collect();
    same_within(1e-4, &all, |of, allowance| of[0].batch_norm([&of[1], &of[2], &of[3], &of[4]], 1e-3, allowance));
    same_within(1e-4, &all[..3], |of, allowance| of[0].group_norm(2, &of[1], &of[2], 1e-3, allowance));
}

/// Catches a NaN that is taken for no number among others on the device, wherever it is.
#[test]
fn what_is_no_number_is_the_least_and_the_most() {
    let holes = |step: usize| floats(&[3, 40], move |at| if at % step == 1 { f32::NAN } else { at as f32 - 60.0 });
    for element in [ElementType::F32, ElementType::F16] {
        let (left, right) = (cast(&holes(7), element), cast(&holes(5), element));
        for operation in [Binary::Min, Binary::Max] {
            let made = same_within(0.0, &[&left, &right], |of, allowance| of[0].binary(operation, &of[1], allowance));
            assert_eq!(values(&made).iter().filter(|value| value.is_nan()).count(), 17 + 24 - 4, "{operation:?}");
        }
        same_within(0.0, &[&left], |of, allowance| of[0].unary(Unary::Relu, allowance));
        // One after the other, together, and in parts.
        for (shape, axis) in [(&[40, 3][..], 0), (&[3, 300], 1), (&[2, 5_000], 1)] {
            for place in [0, shape[axis] - 1] {
                let before = shape[axis + 1..].iter().product::<usize>() * place;
                let input = cast(&floats(shape, |at| if at == before { f32::NAN } else { at as f32 }), element);
                for reduction in [Reduction::Min, Reduction::Max] {
                    let reduce = |of: &[Tensor], allowance: &mut dyn Allowance| {
                        of[0].reduce(reduction, &[axis as i32], false, allowance)
                    };
                    assert!(values(&same_within(1e-3, &[&input], reduce))[0].is_nan(), "{shape:?} {place}");
                }
            }
        }
    }
}

/// Catches elements of half precision that are read, rounded or written as others, in an operation that does well with
/// whole ones.
#[test]
fn batches_of_halves_are_as_on_the_cpu() {
    let halves = |shape: &[usize]| cast(&noise(shape), ElementType::F16);
    let positive = |shape: &[usize]| cast(&floats(shape, |at| 0.25 + (at as f32 * 0.37).cos().abs()), ElementType::F16);
    // One step of half precision, and two where a driver's function is that far off.
    let (step, steps) = (1e-3, 3e-3);
    let input = halves(&[3, 4, 6, 10]);
    for operation in UNARY {
        let of = if matches!(operation, Unary::Log | Unary::Sqrt | Unary::Reciprocal) {
            &positive(&[3, 50])
        } else {
            &input
        };
        same_within(steps, &[of], |of, allowance| of[0].unary(operation, allowance));
    }
    for other in [positive(&[3, 4, 6, 10]), positive(&[4, 1, 10]), positive(&[1])] {
        for operation in BINARY {
            // Of negative numbers there are whole powers alone; of a remainder a step may be all of it.
            let left =
                if matches!(operation, Binary::Pow | Binary::Modulo) { &positive(&[3, 4, 6, 10]) } else { &input };
            let tolerance = if operation == Binary::Modulo { 1.3 } else { step };
            same_within(tolerance, &[left, &other], |of, allowance| of[0].binary(operation, &of[1], allowance));
        }
        for operation in COMPARISONS {
            same(&[&input, &other], |of, allowance| of[0].binary(operation, &of[1], allowance));
        }
    }
    let flags = cast(&whole(&[6, 10], ElementType::I32), ElementType::Boolean);
    same(&[&flags, &input, &halves(&[10])], |of, allowance| of[0].choose(&of[1], &of[2], allowance));
    same_within(step, &[&input, &halves(&[4, 6, 1])], |of, allowance| of[0].blend_scalar(&of[1], 0.3, allowance));
    same(&[&input], |of, allowance| of[0].clamp(-0.4, 0.6, allowance));
    for element in [ElementType::F32, ElementType::U8, ElementType::I32, ElementType::Boolean] {
        let scaled = input.binary_scalar(Binary::Mul, 90.0, &mut Unlimited).unwrap();
        same(&[&scaled], |of, allowance| of[0].cast(element, allowance));
    }
    for axes in [&[1][..], &[2, 3], &[]] {
        for reduction in REDUCTIONS {
            same_within(step, &[&input], |of, allowance| of[0].reduce(reduction, axes, true, allowance));
        }
    }
    for reduction in [ArgReduction::Max, ArgReduction::Min] {
        same(&[&input], |of, allowance| of[0].arg_reduce(reduction, 2, true, allowance));
    }
    same_within(step, &[&input, &halves(&[3, 1, 10, 7])], |of, allowance| of[0].matmul(&of[1], allowance));
    for (channels, out) in [(4, 6), (32, 64)] {
        let (pictures, kernel) = (halves(&[3, channels, 7, 9]), halves(&[out, channels, 3, 3]));
        same_within(step, &[&pictures, &kernel, &halves(&[out])], |of, allowance| {
            of[0].conv2d(&of[1], Some(&of[2]), convolution(1, 1, 1, 1), allowance)
        });
    }
    same_within(step, &[&input, &halves(&[4, 3, 3, 2])], |of, allowance| {
        of[0].conv2d_transposed(&of[1], None, convolution(2, 1, 1, 1), [1, 0], allowance)
    });
    let window = Window { size: [3, 2], stride: [1, 2], padding: [1, 1] };
    for pooling in [Pooling::Max, Pooling::Average] {
        same_within(step, &[&input], |of, allowance| of[0].pool2d(pooling, window, allowance));
    }
    for method in [ResizeMethod::Nearest, ResizeMethod::Bilinear, ResizeMethod::Bicubic] {
        same_within(step, &[&input], |of, allowance| of[0].resize(9, 5, method, allowance));
    }
    same_within(step, &[&input], |of, allowance| of[0].softmax(-1, allowance));
    let channel: Vec<_> = (0..4).map(|_| positive(&[4])).collect();
    let all: Vec<_> = std::iter::once(&input).chain(&channel).collect();
    same_within(steps, &[&input, &halves(&[10])], |of, allowance| of[0].layer_norm(-1, &of[1], None, 1e-3, allowance));
    same_within(steps, &all, |of, allowance| of[0].batch_norm([&of[1], &of[2], &of[3], &of[4]], 1e-3, allowance));
    same_within(steps, &all[..3], |of, allowance| of[0].group_norm(2, &of[1], &of[2], 1e-3, allowance));
    same_within(step, &[&halves(&[5, 3, 4])], |of, allowance| {
        of[0].color_matrix(1, &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], &[1.0, 2.0, 3.0], allowance)
    });
    elements_move_of(&input);
}

/// Catches whole numbers of 64 bits that are read, or written, as two of 32, and results that are of another type.
#[test]
fn batches_of_long_numbers_are_as_on_the_cpu() {
    let long = |shape: &[usize]| whole(shape, ElementType::I64);
    let input = long(&[3, 4, 6, 10]);
    for other in [long(&[3, 4, 6, 10]), long(&[4, 1, 10]), long(&[1])] {
        for operation in
            [Binary::Add, Binary::Sub, Binary::Mul, Binary::Min, Binary::Max].into_iter().chain(COMPARISONS)
        {
            same(&[&input, &other], |of, allowance| of[0].binary(operation, &of[1], allowance));
        }
    }
    let flags = cast(&long(&[6, 10]), ElementType::Boolean);
    same(&[&flags, &input, &long(&[10])], |of, allowance| of[0].choose(&of[1], &of[2], allowance));
    same(&[&input], |of, allowance| of[0].clamp(-20.0, 60.0, allowance));
    for element in [ElementType::F32, ElementType::F16, ElementType::U8, ElementType::I32, ElementType::Boolean] {
        same(&[&input], |of, allowance| of[0].cast(element, allowance));
    }
    elements_move_of(&input);
}

/// What moves elements of any type.
fn elements_move_of(input: &Tensor) {
    same(&[input], |of, allowance| of[0].transpose(&[2, 0, 3, 1], allowance));
    let spans = [(0, 3, 2), (1, 4, 1), (0, 6, 3), (2, 10, 4)].map(|(start, end, step)| Span { start, end, step });
    same(&[input], |of, allowance| of[0].slice(&spans, allowance));
    for mode in [PadMode::Constant(3.0), PadMode::Reflect, PadMode::Edge] {
        same(&[input], |of, allowance| of[0].pad(&[(0, 1), (2, 0), (1, 3), (0, 0)], mode, allowance));
    }
    same(&[input], |of, allowance| Tensor::concat(&[&of[0], &of[0]], 1, allowance));
    let indices = cast(&floats(&[2], |at| at as f32 - 1.0), ElementType::I64).clamp(-1.0, 0.0, &mut Unlimited).unwrap();
    same(&[input, &indices], |of, allowance| of[0].gather(2, &of[1], allowance));
}

/// Catches what the device cannot do and gives a result of all the same.
#[test]
fn what_has_errors_or_long_numbers_is_left_to_the_cpu() {
    let mut workspace = workspace();
    let long = cast(&whole(&[6], ElementType::I32), ElementType::I64);
    let big = long.binary_scalar(Binary::Mul, 1e12, &mut Unlimited).unwrap();
    assert!(workspace.send_tensor(&big).unwrap().is_none(), "more than 32 bits");
    let (there, table) = (send(&mut workspace, &long), send(&mut workspace, &noise(&[6])));
    let divisor = send(&mut workspace, &whole(&[6], ElementType::I32));
    let mut allowance = OnDevice { workspace: &mut workspace, tasks: 0 };
    let away = |made: Made| assert_eq!(made.unwrap_err(), Error::Away);
    // It could wrap around, be divided by 0, or name what is not there.
    away(there.binary(Binary::Mul, &there, &mut allowance).and_then(|made| {
        let more = made.binary(Binary::Mul, &made, &mut allowance)?;
        more.binary(Binary::Mul, &more, &mut allowance)
    }));
    away(divisor.binary(Binary::Div, &divisor, &mut allowance));
    away(table.gather(0, &there, &mut allowance));
    // These are not made for long numbers.
    away(there.unary(Unary::Neg, &mut allowance));
    away(there.binary_scalar(Binary::Div, 7.0, &mut allowance));
    away(there.reduce(Reduction::Sum, &[], false, &mut allowance));
    away(there.arg_reduce(ArgReduction::Max, 0, false, &mut allowance));
    away(table.cast(ElementType::I64, &mut allowance));
    let zero = Tensor::full(ElementType::I32, &[1], 0.0, &mut Unlimited).unwrap();
    assert!(matches!(divisor.binary(Binary::Div, &zero, &mut allowance), Err(Error::Invalid(_))));
}

/// Catches words that are lost on the way between tensors and the buffers of programs, and sizes that do not fit.
#[test]
fn tensors_and_buffers_become_each_other() {
    let mut workspace = workspace();
    for tensor in [noise(&[3, 7]), whole(&[5], ElementType::I32)] {
        let there = send(&mut workspace, &tensor);
        let buffer = workspace.tensor_buffer(&there).unwrap();
        assert_eq!(buffer.bytes(), tensor.bytes().len());
        let again = workspace.buffer_tensor(&buffer, tensor.element(), tensor.shape()).unwrap();
        assert_eq!(read(&mut workspace, &again).bytes(), tensor.bytes());
        assert!(workspace.buffer_tensor(&buffer, tensor.element(), &[2]).is_err());
    }
}

fn planes(size: (u32, u32), of: impl Fn(usize) -> u8) -> Vec<u8> {
    (0..PlanesLayout::new(size.0, size.1).bytes()).map(of).collect()
}

/// Catches channels, rows or scales that are not those of the layout, on the way in and out.
#[test]
fn pictures_become_tensors_and_pictures_again() {
    let color = Color { matrix: Matrix::Bt709, range: Range::Limited };
    let size = (34, 20);
    let bytes = planes(size, |at| 40 + (at * 7 % 150) as u8);
    let source = PlanesLayout::new(size.0, size.1).split(&bytes);
    let pixels = color::yuv_to_rgba(&source, color);
    let rgb: Vec<u8> = pixels.as_chunks::<4>().0.iter().flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    let (luma, stride) = source.planes[0];
    let gray: Vec<u8> = luma.chunks(stride).flat_map(|row| &row[..34]).copied().collect();
    let mut workspace = workspace();
    for channels in [Channels::Rgb, Channels::Gray] {
        for order in [ChannelOrder::Hwc, ChannelOrder::Chw] {
            for element in [ElementType::F32, ElementType::F16, ElementType::U8] {
                let (scale, offset) = match element {
                    ElementType::U8 => (vec![], vec![]),
                    _ => (vec![1.0 / 255.0], vec![-0.5]),
                };
                let layout = PictureLayout { channels, order, batch: true, element, scale, offset };
                let samples = if channels == Channels::Rgb { &rgb } else { &gray };
                let expected = layout.tensor(34, 20, samples, &mut Unlimited).unwrap();
                let sent = workspace.send(&source, color).unwrap();
                let made = workspace.picture_tensor(&sent, &layout).unwrap();
                let step = if element == ElementType::U8 { 1.0 } else { 1.0 / 255.0 };
                let download = workspace.tensor_picture(&made, &layout, color).unwrap();
                let shown = read(&mut workspace, &made);
                assert_eq!(shown.shape(), expected.shape());
                for (shown, expected) in values(&shown).into_iter().zip(values(&expected)) {
                    // A sample may be rounded the other way, and then half precision.
                    assert!((shown - expected).abs() <= 1.1 * step, "{layout:?}: {shown} {expected}");
                }
                let expected = match channels {
                    Channels::Rgb => color::rgba_to_yuv(&pixels, size.0, size.1, color),
                    Channels::Gray => bytes.clone(),
                };
                let expected = PlanesLayout::new(size.0, size.1).split(&expected);
                let ((), usage) = download.wait(TIME, |planes| check(&planes, &expected, channels)).unwrap();
                assert!(usage[Pass::Transfer].passes <= 2, "{usage:?}");
            }
        }
    }
}

/// Whether planes are those that are expected; what comes back from gray has luma alone.
fn check(shown: &Planes<'_>, expected: &Planes<'_>, channels: Channels) {
    for plane in 0..3 {
        let ((shown, shown_stride), (expected, stride)) = (shown.planes[plane], expected.planes[plane]);
        let (width, height) = if plane == 0 { (34, 20) } else { (17, 10) };
        for row in 0..height {
            for column in 0..width {
                let (shown, expected) = (shown[row * shown_stride + column], expected[row * stride + column]);
                match channels {
                    Channels::Gray if plane > 0 => assert_eq!(shown, 128),
                    Channels::Gray => assert_eq!(shown, expected),
                    Channels::Rgb => assert!(shown.abs_diff(expected) <= 1, "plane {plane}: {shown} {expected}"),
                }
            }
        }
    }
}

/// Catches memory that is given out without bounds, and what is dropped and never used again.
#[test]
fn memory_is_bounded_and_used_again() {
    let mut workspace = workspace();
    let mut held = vec![workspace.send_tensor(&noise(&[1_000_000])).unwrap().unwrap()];
    let refused = loop {
        workspace.begin(TIME);
        let last = held[held.len() - 1].clone();
        let shape = [1_000_000];
        let operation = rillbox_compute::Operation::Unary(Unary::Neg);
        let task = Task { operation, tensors: &[&last], element: ElementType::F32, shape: &shape };
        match workspace.run(&task) {
            Ok(made) => held.push(made.unwrap()),
            Err(error) => break error,
        }
        assert!(held.len() < 1_000);
    };
    assert!(matches!(refused, rillbox_gpu::Error::Limit(_)), "{refused}");
    assert!((100..135).contains(&held.len()), "{}", held.len());
    // What is free again is enough for as many as before.
    let last = held.pop().unwrap();
    held.clear();
    for _ in 0..500 {
        let mut allowance = OnDevice { workspace: &mut workspace, tasks: 0 };
        drop(last.unary(Unary::Abs, &mut allowance).unwrap());
    }
}
