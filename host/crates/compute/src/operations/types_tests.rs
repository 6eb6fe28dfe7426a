//! Operations on each type of elements against the same on another, which the definitions are tested on.

use super::*;
use crate::Unlimited;

type Named = Vec<(String, Tensor)>;

fn cast(tensor: &Tensor, element: ElementType) -> Tensor {
    tensor.cast(element, &mut Unlimited).unwrap()
}

/// Whole numbers from −`most` to `most`, over `parts`, in an order that repeats nowhere near.
fn numbers(shape: &[usize], most: i64, parts: f32) -> Tensor {
    let count: usize = shape.iter().product();
    let number = |at: usize| ((at as i64 * 37 + 11) % (2 * most + 1) - most) as f32 / parts;
    Tensor::of_elements(shape, (0..count).map(number).collect())
}

/// What numbers of any type can be asked for, of a tensor of (1, 4, 6, 6) and another.
fn of_any(left: &Tensor, right: &Tensor) -> Named {
    let mut all = Named::new();
    let mut add = |name: String, made: Result<Tensor, Error>| {
        let made = made.unwrap_or_else(|error| panic!("{name} of {}: {error}", left.element()));
        all.push((name, made));
    };
    let unlimited = &mut Unlimited;
    for operation in [Unary::Neg, Unary::Abs, Unary::Sign] {
        add(format!("{operation:?}"), left.unary(operation, unlimited));
    }
    for operation in [
        Binary::Add,
        Binary::Sub,
        Binary::Mul,
        Binary::Div,
        Binary::Modulo,
        Binary::Min,
        Binary::Max,
        Binary::Equal,
        Binary::NotEqual,
        Binary::Less,
        Binary::LessEqual,
        Binary::Greater,
        Binary::GreaterEqual,
    ] {
        add(format!("{operation:?}"), left.binary(operation, right, unlimited));
        add(format!("{operation:?} of a number"), left.binary_scalar(operation, 3.0, unlimited));
    }
    for reduction in [Reduction::Sum, Reduction::Max, Reduction::Min, Reduction::Prod] {
        add(format!("{reduction:?} of all"), left.reduce(reduction, &[], false, unlimited));
        add(format!("{reduction:?} along two axes apart"), left.reduce(reduction, &[1, 3], true, unlimited));
    }
    for reduction in [ArgReduction::Max, ArgReduction::Min] {
        add(format!("place of {reduction:?}"), left.arg_reduce(reduction, 2, false, unlimited));
    }
    let chosen = left.binary(Binary::Less, right, unlimited).unwrap();
    add("choose".to_owned(), chosen.choose(left, right, unlimited));
    add("transpose".to_owned(), left.transpose(&[3, 0, 2, 1], unlimited));
    let span = |start, end, step| Span { start, end, step };
    let spans = [span(0, 1, 1), span(1, 4, 2), span(0, 6, 2), span(0, 6, 1)];
    add("slice".to_owned(), left.slice(&spans, unlimited));
    add("concat".to_owned(), Tensor::concat(&[left, right], 1, unlimited));
    for mode in [PadMode::Constant(2.0), PadMode::Reflect, PadMode::Edge] {
        add(format!("pad {mode:?}"), left.pad(&[(0, 0), (1, 2), (0, 3), (2, 0)], mode, unlimited));
    }
    let indices = Tensor::of_elements(&[2, 2], vec![3_i32, -4, 0, 1]);
    add("gather".to_owned(), left.gather(1, &indices, unlimited));
    all
}

/// What floating point can be asked for besides.
fn of_floats(left: &Tensor, right: &Tensor) -> Named {
    let mut all = Named::new();
    let mut add = |name: String, made: Result<Tensor, Error>| {
        let made = made.unwrap_or_else(|error| panic!("{name} of {}: {error}", left.element()));
        all.push((name, made));
    };
    let unlimited = &mut Unlimited;
    use Unary::*;
    for operation in [
        Reciprocal,
        Exp,
        Log,
        Sqrt,
        Sin,
        Cos,
        Tan,
        Asin,
        Acos,
        Atan,
        Sinh,
        Cosh,
        Floor,
        Ceil,
        Round,
        Erf,
        Relu,
        Sigmoid,
        Tanh,
        Softplus,
        Gelu,
        Silu,
        HardSigmoid,
        HardSwish,
        IsNan,
    ] {
        add(format!("{operation:?}"), left.unary(operation, unlimited));
    }
    add("Pow".to_owned(), left.binary(Binary::Pow, right, unlimited));
    add("Mean".to_owned(), left.reduce(Reduction::Mean, &[0, 2], false, unlimited));
    let weight = left.unary(Sigmoid, unlimited).unwrap();
    // Of these elements, whatever they are.
    let weight = cast(&cast(&weight, ElementType::F16), left.element());
    add("blend".to_owned(), left.blend(right, &weight, unlimited));
    add("blend by a number".to_owned(), left.blend_scalar(right, 0.25, unlimited));
    let [rows, columns] = [left, right].map(|tensor| tensor.transpose(&[0, 1, 3, 2], unlimited).unwrap());
    add("matmul".to_owned(), left.matmul(&columns, unlimited));
    let long = rows.reshape(&[1, -1]).unwrap();
    let wide = Tensor::concat(&[&columns.reshape(&[-1, 1]).unwrap(), &right.reshape(&[-1, 1]).unwrap()], 1, unlimited);
    add("matmul of a long row".to_owned(), long.matmul(&wide.unwrap(), unlimited));
    let kernel = right.reshape(&[4, 4, 3, 3]).unwrap();
    let bias =
        left.slice(&[0, 1, 2, 3].map(|at| Span { start: 0, end: if at == 1 { 4 } else { 1 }, step: 1 }), unlimited);
    let bias = bias.unwrap().reshape(&[4]).unwrap();
    let options = Convolution { padding: [1, 1], ..Convolution::default() };
    add("conv2d".to_owned(), left.conv2d(&kernel, Some(&bias), options, unlimited));
    let transposed = left.conv2d_transposed(&kernel, Some(&bias), options, [0, 0], unlimited);
    add("conv2d_transposed".to_owned(), transposed);
    for pooling in [Pooling::Max, Pooling::Average] {
        let window = Window { size: [2, 3], stride: [1, 2], padding: [1, 0] };
        add(format!("pool {pooling:?}"), left.pool2d(pooling, window, unlimited));
    }
    for method in [ResizeMethod::Nearest, ResizeMethod::Bilinear, ResizeMethod::Bicubic] {
        add(format!("resize {method:?}"), left.resize(5, 9, method, unlimited));
    }
    add("softmax".to_owned(), left.softmax(1, unlimited));
    let positive = bias.unary(Abs, unlimited).unwrap();
    let [row, other] = [left, right].map(|tensor| {
        let ends = [1, 1, 1, 6];
        tensor.slice(&ends.map(|end| Span { start: 0, end, step: 1 }), unlimited).unwrap().reshape(&[6]).unwrap()
    });
    add("layer_norm".to_owned(), left.layer_norm(2, &row, Some(&other), 1e-5, unlimited));
    add("group_norm".to_owned(), left.group_norm(2, &positive, &bias, 1e-5, unlimited));
    add("batch_norm".to_owned(), left.batch_norm([&bias, &positive, &bias, &positive], 1e-8, unlimited));
    let colors =
        left.slice(&[(0, 1), (0, 3), (0, 6), (0, 6)].map(|(start, end)| Span { start, end, step: 1 }), unlimited);
    let matrix = [0.3, 0.6, 0.1, -0.2, 1.0, 0.4, 0.0, 0.5, 0.5];
    add("color_matrix".to_owned(), colors.unwrap().color_matrix(1, &matrix, &[0.1, 0.2, 0.3], unlimited));
    all
}

/// Catches half precision that is worked on as such, where it is to be worked on at full precision and rounded once at the end.
#[test]
fn half_precision_is_full_precision_rounded() {
    let halves =
        [numbers(&[1, 4, 6, 6], 90, 32.0), numbers(&[1, 4, 6, 6], 50, 64.0).unary(Unary::Abs, &mut Unlimited).unwrap()]
            .map(|tensor| cast(&tensor, ElementType::F16));
    // From here on they are the same numbers.
    let full = halves.each_ref().map(|tensor| cast(tensor, ElementType::F32));
    let all = |[left, right]: &[Tensor; 2]| [of_any(left, right), of_floats(left, right)].concat();
    for ((name, half), (_, full)) in all(&halves).iter().zip(all(&full)) {
        let rounded = if half.element() == ElementType::F16 { cast(&full, ElementType::F16) } else { full };
        assert_eq!((half.element(), half.shape()), (rounded.element(), rounded.shape()), "{name}");
        if half.element() == ElementType::F16 {
            let same = |(one, other): (&half::f16, &half::f16)| one == other || (one.is_nan() && other.is_nan());
            assert!(half.elements().iter().zip(rounded.elements()).all(same), "{name}: {half:?} is not {rounded:?}");
        } else {
            assert_eq!(half.bytes(), rounded.bytes(), "{name}");
        }
    }
}

/// Catches whole numbers of 64 bits that are not worked on as those of 32 are.
#[test]
fn whole_numbers_of_both_sizes_do_the_same() {
    let short = [(40, 1.0), (7, 1.0)].map(|(most, parts)| {
        let tensor = cast(&numbers(&[1, 4, 6, 6], most, parts), ElementType::I32);
        // Nothing is divided by 0.
        let zero = tensor.binary_scalar(Binary::Equal, 0.0, &mut Unlimited).unwrap();
        tensor.binary(Binary::Add, &cast(&zero, ElementType::I32), &mut Unlimited).unwrap()
    });
    let long = short.each_ref().map(|tensor| cast(tensor, ElementType::I64));
    for ((name, short), (_, long)) in of_any(&short[0], &short[1]).iter().zip(of_any(&long[0], &long[1])) {
        assert_eq!(short.shape(), long.shape(), "{name}");
        if short.element() == ElementType::I32 {
            assert_eq!(long.element(), ElementType::I64, "{name}");
        }
        // A product is more than 32 bits, of which it keeps the low ones.
        assert_eq!(short.bytes(), cast(&long, short.element()).bytes(), "{name}");
    }
    let most = Tensor::of_elements(&[1], vec![i64::MAX]);
    let more = most.binary_scalar(Binary::Add, 1.0, &mut Unlimited).unwrap();
    assert_eq!(more.elements::<i64>(), [i64::MIN], "all 64 bits count");
}

/// Catches a long sum that stands still in half precision, and what is small enough to be nothing there.
#[test]
fn half_precision_is_added_up_at_full() {
    let half = |shape: &[usize], value| Tensor::full(ElementType::F16, shape, value, &mut Unlimited).unwrap();
    let first = |made: Tensor| cast(&made, ElementType::F32).elements::<f32>()[0];
    let window = Window { size: [64, 64], stride: [1, 1], padding: [0, 0] };
    for value in [1.0, 255.0] {
        let picture = half(&[1, 1, 64, 64], value);
        let pooled = picture.pool2d(Pooling::Average, window, &mut Unlimited).unwrap();
        assert_eq!(first(pooled), value as f32);
        let part = 1.0 / 4096.0;
        let kernel = half(&[1, 1, 64, 64], part);
        let filtered = picture.conv2d(&kernel, None, Convolution::default(), &mut Unlimited).unwrap();
        assert_eq!(first(filtered), value as f32);
        let (input, kernel) = (half(&[1, 4096, 1, 1], value), half(&[4096, 1, 1, 1], part));
        let spread = input.conv2d_transposed(&kernel, None, Convolution::default(), [0, 0], &mut Unlimited).unwrap();
        assert_eq!(first(spread), value as f32);
        for columns in [1, 2, 70] {
            let product = half(&[1, 4096], value).matmul(&half(&[4096, columns], part), &mut Unlimited).unwrap();
            assert_eq!(first(product), value as f32, "{columns} columns");
        }
    }
    let [one, none] = [1.0, 0.0].map(|value| half(&[1], value));
    let plain = half(&[1, 1, 2], 0.001).batch_norm([&one, &none, &none, &none], 1e-8, &mut Unlimited).unwrap();
    assert!((first(plain) - 10.0).abs() < 0.05, "an epsilon that half precision does not have");
}

/// Catches results of a type that cannot hold them.
#[test]
fn numbers_that_a_type_does_not_have_are_refused_or_held() {
    let full = |element, value| Tensor::full(element, &[1], value, &mut Unlimited).unwrap();
    assert_eq!(full(ElementType::I32, 2.9).elements::<i32>(), [2]);
    assert_eq!(full(ElementType::I32, -1e30).elements::<i32>(), [i32::MIN]);
    assert_eq!(full(ElementType::U8, 300.0).bytes(), [255]);
    for (element, number) in
        [(ElementType::I32, 0.5), (ElementType::I32, 3e9), (ElementType::U8, -1.0), (ElementType::I64, 0.5)]
    {
        let refused = full(element, 1.0).binary_scalar(Binary::Add, number, &mut Unlimited);
        assert!(refused.is_err(), "{number} is no {element}");
    }
}
