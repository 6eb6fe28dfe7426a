//! Operations against their definitions, written out element by element.

use super::*;
use crate::{Allowance, PictureLayout, Unlimited};

fn tensor(shape: &[usize], values: impl IntoIterator<Item = f32>) -> Tensor {
    let values: Vec<f32> = values.into_iter().collect();
    assert_eq!(values.len(), shape.iter().product::<usize>(), "{shape:?}");
    Tensor::of_elements(shape, values)
}

/// Numbers that repeat nowhere near: −1 to 1.
fn noise(shape: &[usize]) -> Tensor {
    let count = shape.iter().product::<usize>();
    tensor(shape, (0..count).map(|at| (at as f32 * 0.7391).sin()))
}

fn whole(shape: &[usize], values: &[i32]) -> Tensor {
    Tensor::of_elements(shape, values.to_vec())
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.cast(ElementType::F32, &mut Unlimited).unwrap().elements::<f32>().to_vec()
}

#[track_caller]
fn close(left: &[f32], right: &[f32], tolerance: f32) {
    assert_eq!(left.len(), right.len());
    for (at, (left, right)) in left.iter().zip(right).enumerate() {
        assert!((left - right).abs() <= tolerance * right.abs().max(1.0), "{at}: {left} is not {right}");
    }
}

/// Catches a wrong function, and values at which it breaks.
#[test]
fn functions_of_one_number() {
    let inputs = [-3.5_f32, -1.0, -0.5, 0.0, 0.5, 1.5, 2.5, 20.0];
    let input = tensor(&[8], inputs);
    let of = |operation| values(&input.unary(operation, &mut Unlimited).unwrap());
    let double = |of: fn(f64) -> f64| inputs.map(|x| of(x.into()) as f32);
    close(&of(Unary::Neg), &inputs.map(|x| -x), 0.0);
    close(&of(Unary::Abs), &inputs.map(f32::abs), 0.0);
    close(&of(Unary::Sign), &[-1.0, -1.0, -1.0, 0.0, 1.0, 1.0, 1.0, 1.0], 0.0);
    close(&of(Unary::Round), &[-4.0, -1.0, 0.0, 0.0, 0.0, 2.0, 2.0, 20.0], 0.0);
    close(&of(Unary::Floor), &double(f64::floor), 0.0);
    close(&of(Unary::Ceil), &double(f64::ceil), 0.0);
    close(&of(Unary::Exp), &double(f64::exp), 1e-6);
    close(&of(Unary::Sin), &double(f64::sin), 1e-6);
    close(&of(Unary::Cos), &double(f64::cos), 1e-6);
    close(&of(Unary::Tan), &double(f64::tan), 1e-5);
    close(&of(Unary::Atan), &double(f64::atan), 1e-6);
    close(&of(Unary::Sinh), &double(f64::sinh), 1e-5);
    close(&of(Unary::Cosh), &double(f64::cosh), 1e-5);
    close(&of(Unary::Tanh), &double(f64::tanh), 1e-6);
    close(&of(Unary::Erf), &double(libm::erf), 1e-6);
    close(&of(Unary::Relu), &[0.0, 0.0, 0.0, 0.0, 0.5, 1.5, 2.5, 20.0], 0.0);
    close(&of(Unary::Sigmoid), &double(|x| 1.0 / (1.0 + (-x).exp())), 1e-6);
    close(&of(Unary::Softplus), &double(|x| x.exp().ln_1p()), 1e-6);
    close(&of(Unary::Gelu), &double(|x| x * (1.0 + libm::erf(x / 2_f64.sqrt())) / 2.0), 1e-6);
    close(&of(Unary::Silu), &double(|x| x / (1.0 + (-x).exp())), 1e-6);
    close(&of(Unary::HardSigmoid), &double(|x| (x / 6.0 + 0.5).clamp(0.0, 1.0)), 1e-6);
    close(&of(Unary::HardSwish), &double(|x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)), 1e-6);
    let inside = tensor(&[3], [0.25, 0.5, 1.0]);
    let of = |operation| values(&inside.unary(operation, &mut Unlimited).unwrap());
    close(&of(Unary::Log), &[0.25_f32.ln(), 0.5_f32.ln(), 0.0], 1e-6);
    close(&of(Unary::Sqrt), &[0.5, 0.5_f32.sqrt(), 1.0], 1e-7);
    close(&of(Unary::Reciprocal), &[4.0, 2.0, 1.0], 0.0);
    close(&of(Unary::Asin), &[0.25_f32.asin(), 0.5_f32.asin(), 1_f32.asin()], 1e-6);
    close(&of(Unary::Acos), &[0.25_f32.acos(), 0.5_f32.acos(), 0.0], 1e-6);
    let odd = tensor(&[4], [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0]);
    assert_eq!(values(&odd.unary(Unary::IsNan, &mut Unlimited).unwrap()), [1.0, 0.0, 0.0, 0.0]);
    let relu = values(&odd.unary(Unary::Relu, &mut Unlimited).unwrap());
    assert!(relu[0].is_nan() && relu[1] == f32::INFINITY && relu[2..] == [0.0, 0.0], "{relu:?}");
    let sign = values(&odd.unary(Unary::Sign, &mut Unlimited).unwrap());
    assert!(sign[0].is_nan() && sign[1..] == [1.0, -1.0, 0.0], "{sign:?}");
}

/// Catches a few numbers that meet the wrong ones where they come again and again.
#[test]
fn short_rows_come_again() {
    let (long, short) = (noise(&[401, 3]), tensor(&[3], [1.0, 2.0, 3.0]));
    let expected: Vec<f32> = values(&long).iter().zip([1.0, 2.0, 3.0].iter().cycle()).map(|(x, y)| x - y).collect();
    close(&values(&long.binary(Binary::Sub, &short, &mut Unlimited).unwrap()), &expected, 0.0);
    let negated: Vec<f32> = expected.iter().map(|x| -x).collect();
    close(&values(&short.binary(Binary::Sub, &long, &mut Unlimited).unwrap()), &negated, 0.0);
    let column = tensor(&[401, 1], (0..401).map(|at| at as f32));
    let expected: Vec<f32> = values(&long).iter().enumerate().map(|(at, x)| x - (at / 3) as f32).collect();
    close(&values(&long.binary(Binary::Sub, &column, &mut Unlimited).unwrap()), &expected, 0.0);
}

/// Catches a remainder that is not exact, above all of numbers that are far apart.
#[test]
fn remainders_are_those_of_c() {
    let numbers = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.1,
        2.5,
        -7.3,
        255.0,
        1e-45,
        3e-39,
        -1e-30,
        1.5e10,
        16_777_215.0,
        3e38,
        -3.4e38,
        f32::INFINITY,
        f32::NAN,
    ];
    let sweep = (0..400_u32).map(|at| f32::from_bits(at.wrapping_mul(0x9e37_79b9)));
    let all: Vec<f32> = numbers.into_iter().chain(sweep).collect();
    let row = tensor(&[1, all.len()], all.iter().copied());
    let column = tensor(&[all.len(), 1], all.iter().copied());
    let made = column.binary(Binary::Modulo, &row, &mut Unlimited).unwrap();
    let pairs = all.iter().flat_map(|x| all.iter().map(move |y| (x, y)));
    for (made, (x, y)) in values(&made).iter().zip(pairs) {
        assert!((x % y).to_bits() == made.to_bits() || (made.is_nan() && (x % y).is_nan()), "{x} % {y} is not {made}");
    }
}

/// Catches whole numbers that overflow into a panic, and division that rounds the wrong way.
#[test]
fn whole_numbers_wrap_around() {
    let left = whole(&[5], &[7, -7, i32::MAX, i32::MIN, i32::MIN]);
    let right = whole(&[5], &[2, 2, 1, -1, 3]);
    let of = |operation| left.binary(operation, &right, &mut Unlimited).unwrap().elements::<i32>().to_vec();
    assert_eq!(of(Binary::Add), [9, -5, i32::MIN, i32::MAX, i32::MIN + 3]);
    assert_eq!(of(Binary::Div), [3, -3, i32::MAX, i32::MIN, i32::MIN / 3]);
    assert_eq!(of(Binary::Modulo), [1, 1, 0, 0, 1]);
    assert_eq!(of(Binary::Min), [2, -7, 1, i32::MIN, i32::MIN]);
    let negative = whole(&[1], &[-2]);
    assert_eq!(left.binary(Binary::Modulo, &negative, &mut Unlimited).unwrap().elements::<i32>()[0], -1);
    assert!(left.binary(Binary::Div, &whole(&[1], &[0]), &mut Unlimited).is_err());
    assert!(left.binary_scalar(Binary::Modulo, 0.0, &mut Unlimited).is_err());
    assert!(left.binary_scalar(Binary::Add, 0.5, &mut Unlimited).is_err(), "half is no whole number");
    assert_eq!(left.unary(Unary::Neg, &mut Unlimited).unwrap().elements::<i32>()[3], i32::MIN);
    let sum = left.reduce(Reduction::Sum, &[], false, &mut Unlimited).unwrap();
    assert_eq!(
        sum.elements::<i32>(),
        [[7, -7, i32::MAX, i32::MIN, i32::MIN].into_iter().fold(0_i32, i32::wrapping_add)]
    );
    let bytes = Tensor::of_elements(&[3], vec![250_u8, 5, 0]);
    assert_eq!(bytes.binary_scalar(Binary::Add, 10.0, &mut Unlimited).unwrap().bytes(), [4, 15, 10]);
}

/// Catches comparisons and logic that give something else than 0 and 1, and a choice that takes the other.
#[test]
fn booleans_come_from_comparisons_and_choose() {
    let (left, right) = (tensor(&[2, 2], [1.0, 2.0, 3.0, f32::NAN]), tensor(&[2], [1.0, 3.0]));
    let of = |operation| left.binary(operation, &right, &mut Unlimited).unwrap();
    for (operation, expected) in [
        (Binary::Equal, [1, 0, 0, 0]),
        (Binary::NotEqual, [0, 1, 1, 1]),
        (Binary::Less, [0, 1, 0, 0]),
        (Binary::LessEqual, [1, 1, 0, 0]),
        (Binary::Greater, [0, 0, 1, 0]),
        (Binary::GreaterEqual, [1, 0, 1, 0]),
    ] {
        assert_eq!(of(operation).bytes(), expected, "{operation:?}");
    }
    let (less, equal) = (of(Binary::Less), of(Binary::Equal));
    for (operation, expected) in [
        (Binary::And, [0, 0, 0, 0]),
        (Binary::Or, [1, 1, 0, 0]),
        (Binary::Xor, [1, 1, 0, 0]),
        (Binary::Equal, [0, 0, 1, 1]),
    ] {
        assert_eq!(less.binary(operation, &equal, &mut Unlimited).unwrap().bytes(), expected, "{operation:?}");
    }
    let chosen = less.unary(Unary::Not, &mut Unlimited).unwrap();
    let chosen = chosen.choose(&tensor(&[1], [9.0]), &tensor(&[2, 1], [5.0, 6.0]), &mut Unlimited).unwrap();
    assert_eq!(values(&chosen), [9.0, 5.0, 9.0, 9.0]);
    let wide = less.choose(&whole(&[2, 2], &[1, 2, 3, 4]), &whole(&[1], &[-1]), &mut Unlimited).unwrap();
    assert_eq!(wide.elements::<i32>(), [-1, 2, -1, -1]);
    assert!(less.binary(Binary::Add, &equal, &mut Unlimited).is_err());
    assert!(left.binary(Binary::And, &right, &mut Unlimited).is_err());
}

#[test]
fn casts_hold_within_bounds() {
    let floats = tensor(&[6], [-1.7, 2.9, 300.0, 1e30, f32::NAN, 0.0]);
    let to = |element| floats.cast(element, &mut Unlimited).unwrap();
    assert_eq!(to(ElementType::U8).bytes(), [0, 2, 255, 255, 0, 0]);
    assert_eq!(to(ElementType::I32).elements::<i32>(), [-1, 2, 300, i32::MAX, 0, 0]);
    assert_eq!(to(ElementType::I64).elements::<i64>(), [-1, 2, 300, i64::MAX, 0, 0]);
    assert_eq!(to(ElementType::Boolean).bytes(), [1, 1, 1, 1, 1, 0]);
    assert_eq!(values(&to(ElementType::F16))[..3], [-1.7001953, 2.9003906, 300.0]);
    assert_eq!(whole(&[2], &[-1, 257]).cast(ElementType::U8, &mut Unlimited).unwrap().bytes(), [255, 1]);
}

/// Catches a NaN that is taken for no number among others: the result would depend on where it is.
#[test]
fn what_is_no_number_is_the_least_and_the_most() {
    let (left, right) = (tensor(&[4], [f32::NAN, 1.0, f32::NAN, -2.0]), tensor(&[4], [3.0, f32::NAN, f32::NAN, 5.0]));
    for (binary, reduction, last) in [(Binary::Min, Reduction::Min, -2.0), (Binary::Max, Reduction::Max, 5.0)] {
        for element in [ElementType::F32, ElementType::F16] {
            let cast = |tensor: &Tensor| tensor.cast(element, &mut Unlimited).unwrap();
            let made = cast(&left).binary(binary, &cast(&right), &mut Unlimited).unwrap();
            let made = values(&made);
            assert!(
                made[..3].iter().all(|value| value.is_nan()) && made[3] == last,
                "{binary:?} of {element}: {made:?}"
            );
            for (length, at) in [(3, 0), (3, 1), (3, 2), (100, 0), (100, 37), (100, 99), (5_000, 4_999)] {
                let numbers =
                    tensor(&[length], (0..length).map(|each| if each == at { f32::NAN } else { each as f32 }));
                for shape in [vec![length as i32], vec![1, length as i32], vec![length as i32, 1]] {
                    let shaped = cast(&numbers).reshape(&shape).unwrap();
                    let made = values(&shaped.reduce(reduction, &[], false, &mut Unlimited).unwrap());
                    assert!(made[0].is_nan(), "{reduction:?} of {length} of {element}, NaN at {at}: {made:?}");
                }
            }
        }
    }
}

/// Catches axes that are mixed up, and indices that are not the first of equals.
#[test]
fn reductions_take_their_axes() {
    let input = noise(&[2, 3, 4]);
    let source = values(&input);
    let at = |a: usize, b: usize, c: usize| source[(a * 3 + b) * 4 + c];
    let sum = input.reduce(Reduction::Sum, &[0, -1], false, &mut Unlimited).unwrap();
    assert_eq!(sum.shape(), [3]);
    let expected: Vec<f32> =
        (0..3).map(|b| (0..2).flat_map(|a| (0..4).map(move |c| (a, c))).map(|(a, c)| at(a, b, c)).sum()).collect();
    close(&values(&sum), &expected, 1e-6);
    let largest = input.reduce(Reduction::Max, &[1, 2], true, &mut Unlimited).unwrap();
    assert_eq!(largest.shape(), [2, 1, 1]);
    close(
        &values(&largest),
        &[0, 12].map(|from| source[from..from + 12].iter().copied().fold(f32::MIN, f32::max)),
        0.0,
    );
    let mean = input.reduce(Reduction::Mean, &[], false, &mut Unlimited).unwrap();
    assert_eq!(mean.shape(), [1]);
    close(&values(&mean), &[source.iter().sum::<f32>() / 24.0], 1e-6);
    for (reduction, expected) in
        [(Reduction::Min, -3), (Reduction::Max, 7), (Reduction::Prod, -42), (Reduction::Sum, 6)]
    {
        let reduced = whole(&[3, 1], &[7, -3, 2]).reduce(reduction, &[0], false, &mut Unlimited).unwrap();
        assert_eq!(reduced.elements::<i32>(), [expected], "{reduction:?}");
    }
    let equals = whole(&[2, 4], &[5, 9, 9, 1, 4, 4, 4, 4]);
    for input in [&equals, &equals.cast(ElementType::F32, &mut Unlimited).unwrap()] {
        let largest = input.arg_reduce(ArgReduction::Max, 1, false, &mut Unlimited).unwrap();
        assert_eq!((largest.shape(), largest.elements::<i64>()), (&[2][..], &[1, 0][..]));
        let smallest = input.arg_reduce(ArgReduction::Min, 0, true, &mut Unlimited).unwrap();
        assert_eq!((smallest.shape(), smallest.elements::<i64>()), (&[1, 4][..], &[1, 1, 1, 0][..]));
    }
}

/// Catches rows that are left out, or taken twice, where many are folded.
#[test]
fn rows_are_folded_however_many_they_are() {
    for (length, after) in [31, 32, 33, 100, 511, 512, 513, 1_100]
        .into_iter()
        .flat_map(|length| [1, 2, 3, 15, 16, 17, 40].map(|after| (length, after)))
    {
        let numbers: Vec<i32> =
            (0..2 * length * after).map(|at| (at as i32).wrapping_mul(0x9e37_79b1_u32 as i32)).collect();
        let of = |reduction| {
            let input = whole(&[2, length, after], &numbers);
            input.reduce(reduction, &[1], false, &mut Unlimited).unwrap().elements::<i32>().to_vec()
        };
        let expected = |fold: fn(i32, i32) -> i32| -> Vec<i32> {
            let column =
                |at: usize| numbers[at / after * length * after + at % after..].iter().step_by(after).take(length);
            (0..2 * after).map(|at| column(at).copied().reduce(fold).unwrap()).collect()
        };
        assert_eq!(of(Reduction::Sum), expected(i32::wrapping_add), "{length} of {after}");
        assert_eq!(of(Reduction::Prod), expected(i32::wrapping_mul), "{length} of {after}");
        assert_eq!(of(Reduction::Max), expected(i32::max), "{length} of {after}");
    }
}

/// Catches sums that are added up one by one: beyond some thousands, what comes next is lost in part.
#[test]
fn sums_of_many_stay_precise() {
    let (h, w) = (1_080, 1_920);
    let flat = Tensor::full(ElementType::F32, &[h * w * 3], 0.3, &mut Unlimited).unwrap();
    for (shape, axes) in [
        ([h, w, 3], &[0, 1][..]),
        ([h, w, 3], &[]),
        ([3, h, w], &[1, 2]),
        ([h, w, 3], &[0]),
        ([1, h * w, 3], &[1]),
        ([1, h * w / 8, 24], &[1]),
    ] {
        let mean = flat.shaped(&shape).reduce(Reduction::Mean, axes, false, &mut Unlimited).unwrap();
        close(&values(&mean), &vec![0.3; mean.len()], 3e-7);
    }
    let planes = flat.shaped(&[1, 3, h, w]);
    for size in [[h, w], [h, 1], [1, w], [700, 1_900]] {
        let window = Window { size, stride: [200, 10], padding: [0, 0] };
        let mean = planes.pool2d(Pooling::Average, window, &mut Unlimited).unwrap();
        close(&values(&mean), &vec![0.3; mean.len()], 3e-7);
    }
}

#[test]
fn matrices_multiply_and_broadcast() {
    let (left, right) = (noise(&[2, 1, 3, 4]), noise(&[5, 4, 2]));
    let product = left.matmul(&right, &mut Unlimited).unwrap();
    assert_eq!(product.shape(), [2, 5, 3, 2]);
    let (l, r) = (values(&left), values(&right));
    let mut expected = Vec::new();
    for a in 0..2 {
        for b in 0..5 {
            for row in 0..3 {
                for column in 0..2 {
                    expected.push((0..4).map(|k| l[(a * 3 + row) * 4 + k] * r[(b * 4 + k) * 2 + column]).sum());
                }
            }
        }
    }
    close(&values(&product), &expected, 1e-5);
    assert!(left.matmul(&noise(&[3, 2]), &mut Unlimited).is_err());
    assert!(noise(&[4]).matmul(&noise(&[4, 2]), &mut Unlimited).is_err());
    let half = |tensor: &Tensor| tensor.cast(ElementType::F16, &mut Unlimited).unwrap();
    close(&values(&half(&left).matmul(&half(&right), &mut Unlimited).unwrap()), &expected, 5e-3);
}

/// Convolution as it is defined: a sum over the kernel for each place.
fn convolved(input: &Tensor, kernel: &Tensor, bias: &[f32], options: Convolution) -> Vec<f32> {
    let ([n, c, h, w], [o, inner, kh, kw]) = (planes(input).unwrap(), planes(kernel).unwrap());
    let (x, k) = (values(input), values(kernel));
    let size = |length: usize, size: usize, at: usize| {
        (length + 2 * options.padding[at] - options.dilation[at] * (size - 1) - 1) / options.stride[at] + 1
    };
    let mut result = Vec::new();
    for image in 0..n {
        for out in 0..o {
            let group = out / (o / options.groups);
            for row in 0..size(h, kh, 0) {
                for column in 0..size(w, kw, 1) {
                    let mut sum = bias[out];
                    for channel in 0..inner {
                        for (i, j) in (0..kh).flat_map(|i| (0..kw).map(move |j| (i, j))) {
                            let y =
                                (row * options.stride[0] + i * options.dilation[0]).wrapping_sub(options.padding[0]);
                            let z =
                                (column * options.stride[1] + j * options.dilation[1]).wrapping_sub(options.padding[1]);
                            if y < h && z < w {
                                let from = ((image * c + group * inner + channel) * h + y) * w + z;
                                sum += x[from] * k[((out * inner + channel) * kh + i) * kw + j];
                            }
                        }
                    }
                    result.push(sum);
                }
            }
        }
    }
    result
}

/// Catches strides, paddings, dilations and groups that are taken for each other, by each way that the backend has of
/// its own.
#[test]
fn convolutions_are_sums_over_the_kernel() {
    let usual = Convolution::default();
    let cases: [(&[usize], &[usize], Convolution); 7] = [
        (&[1, 1, 9, 11], &[1, 1, 3, 3], Convolution { padding: [1, 1], ..usual }),
        (&[2, 3, 8, 7], &[4, 3, 3, 2], usual),
        (&[1, 4, 9, 10], &[6, 2, 3, 3], Convolution { groups: 2, stride: [2, 1], padding: [1, 2], ..usual }),
        (&[1, 6, 9, 9], &[6, 1, 3, 3], Convolution { groups: 6, dilation: [2, 1], padding: [2, 0], ..usual }),
        (&[1, 8, 5, 5], &[3, 8, 1, 1], usual),
        (&[1, 16, 20, 20], &[8, 16, 3, 3], Convolution { padding: [1, 1], ..usual }),
        (&[1, 3, 1, 40], &[5, 3, 1, 7], Convolution { stride: [1, 3], ..usual }),
    ];
    for (shape, kernel, options) in cases {
        let (input, kernel) = (noise(shape), noise(kernel));
        let bias: Vec<f32> = (0..kernel.shape()[0]).map(|at| at as f32 / 4.0).collect();
        let given = tensor(&[bias.len()], bias.clone());
        let result = input.conv2d(&kernel, Some(&given), options, &mut Unlimited).unwrap();
        close(&values(&result), &convolved(&input, &kernel, &bias, options), 1e-4);
    }
    let (input, kernel) = (noise(&[1, 2, 4, 4]), noise(&[2, 2, 3, 3]));
    for (options, why) in [
        (Convolution { stride: [0, 1], ..usual }, "no stride"),
        (Convolution { groups: 2, ..usual }, "too many channels for two groups"),
        (Convolution { dilation: [9, 1], ..usual }, "larger than the input"),
        (Convolution { padding: [usize::MAX, 0], ..usual }, "too large"),
    ] {
        assert!(matches!(input.conv2d(&kernel, None, options, &mut Unlimited), Err(Error::Invalid(_))), "{why}");
    }
    assert!(input.conv2d(&kernel, Some(&noise(&[3])), usual, &mut Unlimited).is_err(), "bias");
}

/// Convolution transposed as it is defined: each input element is spread over the kernel.
#[test]
fn transposed_convolutions_spread_each_element() {
    let usual = Convolution::default();
    for (shape, kernel, options, extra) in [
        ([1, 2, 4, 5], [2, 3, 3, 3], usual, [0, 0]),
        ([1, 4, 4, 3], [4, 1, 2, 3], Convolution { groups: 2, stride: [2, 3], padding: [1, 0], ..usual }, [1, 2]),
        ([2, 1, 3, 3], [1, 2, 2, 2], Convolution { dilation: [2, 1], ..usual }, [0, 0]),
    ] {
        let (input, kernel) = (noise(&shape), noise(&kernel));
        let ([n, c, h, w], [_, out, kh, kw]) = (planes(&input).unwrap(), planes(&kernel).unwrap());
        let bias = noise(&[out * options.groups]);
        let result = input.conv2d_transposed(&kernel, Some(&bias), options, extra, &mut Unlimited).unwrap();
        let [_, o, rows, columns] = planes(&result).unwrap();
        assert_eq!(o, out * options.groups);
        let each = rows * columns;
        let mut expected: Vec<f32> = (0..result.len()).map(|at| values(&bias)[at / each % o]).collect();
        let (x, k) = (values(&input), values(&kernel));
        for (at, value) in x.iter().enumerate() {
            let (image, channel, y, z) = (at / (c * h * w), at / (h * w) % c, at / w % h, at % w);
            let group = channel / (c / options.groups);
            for tap in 0..out * kh * kw {
                let (to, i, j) = (tap / (kh * kw), tap / kw % kh, tap % kw);
                let row = (y * options.stride[0] + i * options.dilation[0]).wrapping_sub(options.padding[0]);
                let column = (z * options.stride[1] + j * options.dilation[1]).wrapping_sub(options.padding[1]);
                if row < rows && column < columns {
                    expected[((image * o + group * out + to) * rows + row) * columns + column] +=
                        value * k[channel * out * kh * kw + tap];
                }
            }
        }
        assert_eq!(n * o * rows * columns, expected.len());
        close(&values(&result), &expected, 1e-4);
    }
    let input = noise(&[1, 1, 2, 2]);
    assert!(input.conv2d_transposed(&noise(&[1, 1, 2, 2]), None, usual, [1, 0], &mut Unlimited).is_err(), "extra");
}

#[test]
fn windows_leave_out_what_is_beyond_the_edge() {
    let input = tensor(&[1, 1, 3, 4], (0..12).map(|at| at as f32 - 20.0));
    let window = Window { size: [2, 3], stride: [2, 2], padding: [1, 1] };
    let largest = input.pool2d(Pooling::Max, window, &mut Unlimited).unwrap();
    assert_eq!((largest.shape(), values(&largest)), (&[1, 1, 2, 2][..], vec![-19.0, -17.0, -11.0, -9.0]));
    let mean = input.pool2d(Pooling::Average, window, &mut Unlimited).unwrap();
    close(&values(&mean), &[-19.5, -18.0, -13.5, -12.0], 1e-6);
    for window in
        [Window { size: [5, 1], ..window }, Window { stride: [0, 1], ..window }, Window { padding: [2, 0], ..window }]
    {
        assert!(input.pool2d(Pooling::Max, window, &mut Unlimited).is_err(), "{window:?}");
    }
}

/// Windows as they are defined: all elements of each that are inside.
#[test]
fn windows_take_all_elements_that_are_inside() {
    for (shape, size, stride, padding) in [
        ([2, 3, 7, 9], [3, 3], [1, 1], [1, 1]),
        ([1, 2, 90, 5], [70, 2], [3, 2], [35, 1]),
        ([1, 1, 4, 120], [1, 50], [2, 1], [0, 25]),
        ([1, 2, 6, 6], [2, 2], [5, 4], [0, 0]),
        ([2, 1, 5, 1], [1, 1], [1, 1], [0, 0]),
    ] {
        let input = noise(&shape);
        let mut numbers = values(&input);
        numbers[4] = f32::NAN;
        let input = tensor(&shape, numbers.iter().copied());
        let window = Window { size, stride, padding };
        let of = |pooling| input.pool2d(pooling, window, &mut Unlimited).unwrap();
        let (largest, mean) = (of(Pooling::Max), of(Pooling::Average));
        let ([_, _, h, w], [n, c, rows, columns]) = (planes(&input).unwrap(), planes(&mean).unwrap());
        let inside = |place: usize, axis: usize, length: usize| {
            (0..size[axis])
                .map(move |at| (place * stride[axis] + at).wrapping_sub(padding[axis]))
                .filter(move |at| *at < length)
        };
        let mut results = values(&largest).into_iter().zip(values(&mean));
        for (plane, row, column) in (0..n * c)
            .flat_map(|plane| (0..rows).flat_map(move |row| (0..columns).map(move |column| (plane, row, column))))
        {
            let taken = inside(row, 0, h).flat_map(|y| inside(column, 1, w).map(move |x| (plane * h + y) * w + x));
            let taken: Vec<f32> = taken.map(|at| numbers[at]).collect();
            let (largest, mean) = results.next().unwrap();
            if taken.iter().any(|x| x.is_nan()) {
                assert!(largest.is_nan() && mean.is_nan(), "{window:?} at {plane}, {row}, {column}");
                continue;
            }
            close(&[largest], &[taken.iter().copied().fold(f32::MIN, f32::max)], 0.0);
            close(&[mean], &[taken.iter().sum::<f32>() / taken.len() as f32], 1e-5);
        }
    }
}

/// Pixels as squares: the middle of the first of a result is that of its share of the source.
#[test]
fn sizes_change_around_the_middles_of_pixels() {
    let input = tensor(&[1, 1, 1, 4], [0.0, 10.0, 20.0, 30.0]);
    let of = |columns, method| values(&input.resize(1, columns, method, &mut Unlimited).unwrap());
    close(&of(8, ResizeMethod::Nearest), &[0.0, 0.0, 10.0, 10.0, 20.0, 20.0, 30.0, 30.0], 0.0);
    close(&of(8, ResizeMethod::Bilinear), &[0.0, 2.5, 7.5, 12.5, 17.5, 22.5, 27.5, 30.0], 1e-5);
    close(&of(2, ResizeMethod::Bilinear), &[5.0, 25.0], 1e-5);
    // Weights of −27/256, 225/256, 67/256 and −9/256 at a quarter of the way.
    close(&of(8, ResizeMethod::Bicubic)[3..5], &[12.96875, 17.03125], 1e-5);
    assert!(input.resize(0, 4, ResizeMethod::Nearest, &mut Unlimited).is_err());
    assert!(noise(&[3, 4]).resize(2, 2, ResizeMethod::Nearest, &mut Unlimited).is_err());
}

#[test]
fn elements_move_and_stay_what_they_are() {
    let input = whole(&[2, 3], &[1, 2, 3, 4, 5, 6]);
    let turned = input.transpose(&[1, 0], &mut Unlimited).unwrap();
    assert_eq!((turned.shape(), turned.elements::<i32>()), (&[3, 2][..], &[1, 4, 2, 5, 3, 6][..]));
    let part =
        input.slice(&[Span { start: 1, end: 2, step: 1 }, Span { start: 0, end: 3, step: 2 }], &mut Unlimited).unwrap();
    assert_eq!((part.shape(), part.elements::<i32>()), (&[1, 2][..], &[4, 6][..]));
    let both = Tensor::concat(&[&input, &part.reshape(&[2, -1]).unwrap()], -1, &mut Unlimited).unwrap();
    assert_eq!((both.shape(), both.elements::<i32>()), (&[2, 4][..], &[1, 2, 3, 4, 4, 5, 6, 6][..]));
    let pad = |mode| input.pad(&[(1, 0), (2, 1)], mode, &mut Unlimited).map(|tensor| tensor.elements::<i32>().to_vec());
    assert_eq!(pad(PadMode::Constant(9.0)).unwrap(), [9, 9, 9, 9, 9, 9, 9, 9, 1, 2, 3, 9, 9, 9, 4, 5, 6, 9]);
    assert_eq!(pad(PadMode::Reflect).unwrap(), [6, 5, 4, 5, 6, 5, 3, 2, 1, 2, 3, 2, 6, 5, 4, 5, 6, 5]);
    assert_eq!(pad(PadMode::Edge).unwrap(), [1, 1, 1, 2, 3, 3, 1, 1, 1, 2, 3, 3, 4, 4, 4, 5, 6, 6]);
    for (order, fits) in [(&[0, 1][..], true), (&[0], false), (&[0, 0], false), (&[0, 2], false), (&[0, 1, 2], false)] {
        assert_eq!(input.transpose(order, &mut Unlimited).is_ok(), fits, "{order:?}");
    }
    // Whoever asks with a list that long gets no text as long.
    let refusals = [
        input.transpose(&[0; 1 << 16], &mut Unlimited),
        input.reshape(&[1; 1 << 16]),
        input.slice(&[Span { start: 0, end: 1, step: 1 }; 1 << 16], &mut Unlimited),
        input.reduce(Reduction::Sum, &[0; 1 << 16], false, &mut Unlimited),
    ];
    for refused in refusals {
        assert!(refused.unwrap_err().to_string().len() < 100);
    }
    for shape in [&[4][..], &[-1, -1], &[0, 6], &[-2, 3], &[7, -1], &[i32::MAX, i32::MAX, -1]] {
        assert!(input.reshape(shape).is_err(), "{shape:?}");
    }
    for span in [(1, 1, 1), (0, 4, 1), (0, 1, 0), (2, 1, 1)] {
        let span = Span { start: span.0, end: span.1, step: span.2 };
        assert!(input.slice(&[span, Span { start: 0, end: 1, step: 1 }], &mut Unlimited).is_err(), "{span:?}");
    }
}

#[test]
fn entries_are_gathered_by_their_indices() {
    let table = tensor(&[3, 2], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let rows = table.gather(0, &whole(&[2, 2], &[2, -3, 1, 1]), &mut Unlimited).unwrap();
    assert_eq!((rows.shape(), values(&rows)), (&[2, 2, 2][..], vec![5.0, 6.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0]));
    let columns = table.gather(1, &whole(&[1], &[-1]), &mut Unlimited).unwrap();
    assert_eq!((columns.shape(), values(&columns)), (&[3, 1][..], vec![2.0, 4.0, 6.0]));
    for index in [3, -4, i32::MIN] {
        assert!(table.gather(0, &whole(&[1], &[index]), &mut Unlimited).is_err(), "{index}");
    }
    assert!(table.gather(0, &table, &mut Unlimited).is_err(), "floats are no indices");
}

/// Catches elements that come to another place than the order of axes says, whatever they are and however long the axes.
#[test]
fn elements_go_where_their_axes_go() {
    let cases: [(&[usize], &[usize]); 12] = [
        (&[40, 70], &[1, 0]),
        (&[33, 5, 3], &[2, 0, 1]),
        (&[3, 33, 5], &[1, 2, 0]),
        (&[33, 40, 3], &[1, 0, 2]),
        (&[7, 40, 2], &[1, 0, 2]),
        (&[7, 40, 4], &[1, 0, 2]),
        (&[7, 40, 5], &[1, 0, 2]),
        (&[6, 5, 4], &[2, 1, 0]),
        (&[2, 3, 4, 5, 6], &[3, 0, 4, 2, 1]),
        (&[1, 3, 1, 5, 2], &[4, 2, 3, 0, 1]),
        (&[2, 3, 4], &[0, 1, 2]),
        (&[1, 1], &[1, 0]),
    ];
    for ((shape, order), element) in cases.into_iter().flat_map(|case| {
        [ElementType::F32, ElementType::U8, ElementType::F16, ElementType::I64].map(|element| (case, element))
    }) {
        let count: usize = shape.iter().product();
        let input = whole(shape, &(0..count as i32).collect::<Vec<_>>()).cast(element, &mut Unlimited).unwrap();
        let made = input.transpose(order, &mut Unlimited).unwrap();
        let expected = (0..count).map(|place| {
            // Where an element of the result is along each of its axes, and so of the input's.
            let (mut rest, mut at) = (place, vec![0; shape.len()]);
            for axis in order.iter().rev() {
                at[*axis] = rest % shape[*axis];
                rest /= shape[*axis];
            }
            shape.iter().zip(&at).fold(0, |from, (length, at)| from * length + at)
        });
        let from = values(&input);
        assert_eq!(values(&made), expected.map(|at| from[at]).collect::<Vec<_>>(), "{shape:?} {order:?} {element}");
    }
}

/// Catches parts that are put together in another order, in long pieces and in short ones.
#[test]
fn parts_lie_side_by_side() {
    for (length, other) in [(3, 1), (1, 9), (40, 7), (16, 16)] {
        let left = whole(&[5, length], &(0..5 * length as i32).collect::<Vec<_>>());
        let right = whole(&[5, other], &(1_000..1_000 + 5 * other as i32).collect::<Vec<_>>());
        let made = Tensor::concat(&[&left, &right, &left], 1, &mut Unlimited).unwrap();
        let row = |at: usize| {
            let left = &left.elements::<i32>()[at * length..][..length];
            [left, &right.elements::<i32>()[at * other..][..other], left].concat()
        };
        assert_eq!(made.elements::<i32>(), (0..5).flat_map(row).collect::<Vec<_>>(), "{length} and {other}");
    }
}

/// Catches a norm, or a softmax, over other elements than its definition says.
#[test]
fn norms_have_mean_0_and_variance_1() {
    let input = noise(&[2, 4, 3]);
    let (scale, bias) = (tensor(&[4], [2.0, -1.0, 0.5, 3.0]), tensor(&[4], [0.25, 0.0, -2.0, 1.0]));
    let (row, other) = (tensor(&[3], [1.0, 2.0, -0.5]), tensor(&[4, 1], [0.0, 1.0, 2.0, 3.0]));
    let one = tensor(&[1], [1.0]);
    let source = values(&input);
    let standard = |part: &[f32]| {
        let mean = part.iter().sum::<f32>() / part.len() as f32;
        let variance = part.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / part.len() as f32;
        part.iter().map(|x| (x - mean) / (variance + 1e-5).sqrt()).collect::<Vec<_>>()
    };
    let rows: Vec<f32> = source.chunks(12).flat_map(standard).collect();
    close(&values(&input.layer_norm(1, &one, None, 1e-5, &mut Unlimited).unwrap()), &rows, 1e-4);
    let channel = |at: usize| at / 3 % 4;
    let scaled = |at: usize, x: f32| x * values(&row)[at % 3] + values(&other)[channel(at)];
    let scaled: Vec<f32> = rows.iter().enumerate().map(|(at, x)| scaled(at, *x)).collect();
    close(&values(&input.layer_norm(1, &row, Some(&other), 1e-5, &mut Unlimited).unwrap()), &scaled, 1e-4);
    // What differs from row to row is not the same for all of them.
    let image = tensor(&[2, 1, 1], [2.0, -3.0]);
    let by_image: Vec<f32> = rows.iter().enumerate().map(|(at, x)| x * [2.0, -3.0][at / 12]).collect();
    close(&values(&input.layer_norm(1, &image, None, 1e-5, &mut Unlimited).unwrap()), &by_image, 1e-4);
    let of_channel = |at: usize, x: f32| x * values(&scale)[channel(at)] + values(&bias)[channel(at)];
    let groups = source.chunks(6).flat_map(standard).enumerate();
    let groups: Vec<f32> = groups.map(|(at, x)| of_channel(at, x)).collect();
    close(&values(&input.group_norm(2, &scale, &bias, 1e-5, &mut Unlimited).unwrap()), &groups, 1e-4);
    let (mean, variance) = (tensor(&[4], [0.0, 0.1, 0.2, 0.3]), tensor(&[4], [1.0, 4.0, 9.0, 0.25]));
    let batch = input.batch_norm([&scale, &bias, &mean, &variance], 1e-5, &mut Unlimited).unwrap();
    let expected: Vec<f32> = source
        .iter()
        .enumerate()
        .map(|(at, x)| {
            of_channel(at, (x - values(&mean)[channel(at)]) / (values(&variance)[channel(at)] + 1e-5).sqrt())
        })
        .collect();
    close(&values(&batch), &expected, 1e-5);
    let soft = values(&input.softmax(1, &mut Unlimited).unwrap());
    for (image, column) in (0..2).flat_map(|image| (0..3).map(move |column| (image, column))) {
        let at = |channel: usize| (image * 4 + channel) * 3 + column;
        let sum: f32 = (0..4).map(|channel| source[at(channel)].exp()).sum();
        close(
            &[0, 1, 2, 3].map(|channel| soft[at(channel)]),
            &[0, 1, 2, 3].map(|channel| source[at(channel)].exp() / sum),
            1e-5,
        );
    }
    for epsilon in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(input.layer_norm(1, &one, None, epsilon, &mut Unlimited).is_err(), "{epsilon}");
    }
}

#[test]
fn colours_change_by_a_matrix_wherever_their_channels_are() {
    let swap = [0.0, 0.0, 1.0, 0.0, 0.5, 0.0, 1.0, 0.0, 0.0];
    let pixels = tensor(&[1, 2, 3], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let changed = pixels.color_matrix(-1, &swap, &[0.0, 10.0, 0.0], &mut Unlimited).unwrap();
    assert_eq!(values(&changed), [3.0, 11.0, 1.0, 6.0, 12.5, 4.0]);
    let planes = pixels.transpose(&[2, 0, 1], &mut Unlimited).unwrap();
    let changed = planes.color_matrix(0, &swap, &[0.0, 10.0, 0.0], &mut Unlimited).unwrap();
    assert_eq!(values(&changed), [3.0, 6.0, 11.0, 12.5, 1.0, 4.0]);
    assert!(pixels.color_matrix(1, &swap, &[0.0; 3], &mut Unlimited).is_err(), "two channels");
    assert!(pixels.color_matrix(-1, &swap[1..], &[0.0; 3], &mut Unlimited).is_err(), "eight numbers");
    let mixed = pixels.blend_scalar(&tensor(&[3], [0.0; 3]), 0.5, &mut Unlimited).unwrap();
    assert_eq!(values(&mixed), [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]);
    let mixed = pixels.blend(&tensor(&[1], [0.0]), &tensor(&[1, 2, 1], [0.0, 1.0]), &mut Unlimited).unwrap();
    assert_eq!(values(&mixed), [1.0, 2.0, 3.0, 0.0, 0.0, 0.0]);
}

/// Catches a picture that does not survive becoming a tensor.
#[test]
fn pictures_come_back_as_they_were() {
    let samples: Vec<u8> = (0..4 * 6 * 3).map(|at| (at * 37 % 256) as u8).collect();
    for element in [ElementType::F32, ElementType::F16, ElementType::U8] {
        for (channels, order) in [
            (crate::Channels::Rgb, crate::ChannelOrder::Hwc),
            (crate::Channels::Rgb, crate::ChannelOrder::Chw),
            (crate::Channels::Gray, crate::ChannelOrder::Hwc),
        ] {
            let scaled = element != ElementType::U8;
            let layout = PictureLayout {
                channels,
                order,
                batch: scaled,
                element,
                scale: if scaled { vec![1.0 / 255.0] } else { vec![] },
                offset: if scaled { vec![-0.5] } else { vec![] },
            };
            let samples = &samples[..4 * 6 * channels.count()];
            let picture = layout.tensor(6, 4, samples, &mut Unlimited).unwrap();
            assert_eq!(picture.shape(), layout.shape(6, 4));
            assert_eq!(layout.samples(&picture, &mut Unlimited).unwrap(), (6, 4, samples.to_vec()), "{layout:?}");
        }
    }
    let layout = PictureLayout {
        channels: crate::Channels::Rgb,
        order: crate::ChannelOrder::Chw,
        batch: false,
        element: ElementType::F32,
        scale: vec![1.0, 2.0, 3.0],
        offset: vec![0.0, 0.0, 1.0],
    };
    let picture = layout.tensor(2, 1, &[10, 20, 30, 40, 50, 60], &mut Unlimited).unwrap();
    assert_eq!(values(&picture), [10.0, 40.0, 40.0, 100.0, 91.0, 181.0]);
    assert!(layout.samples(&noise(&[1, 2, 3]), &mut Unlimited).is_err(), "channels last");
    assert!(PictureLayout { scale: vec![0.0], ..layout.clone() }.tensor(2, 1, &[0; 6], &mut Unlimited).is_err());
    assert!(PictureLayout { element: ElementType::I32, ..layout }.tensor(2, 1, &[0; 6], &mut Unlimited).is_err());
}

/// An allowance that says no, and remembers what it was asked.
#[derive(Default)]
struct Never(Vec<crate::Cost>);

impl Allowance for Never {
    fn admit(&mut self, cost: crate::Cost) -> Result<(), Error> {
        self.0.push(cost);
        Err(Error::Limit("never".to_owned()))
    }
}

/// Catches places that a quotient of floating point puts one too low.
#[test]
fn the_nearest_is_counted_in_whole_numbers() {
    for (from, to) in [(2, 98), (1920, 854), (7, 5)] {
        let row = Tensor::arange(ElementType::F32, 0.0, 1.0, from, &mut Unlimited).unwrap();
        let row = row.reshape(&[1, 1, 1, -1]).unwrap();
        let resized = row.resize(1, to as usize, ResizeMethod::Nearest, &mut Unlimited).unwrap();
        let expected: Vec<f32> = (0..to).map(|at| (at * from / to) as f32).collect();
        assert_eq!(resized.elements::<f32>(), expected, "{from} to {to}");
    }
}

/// Catches an operation that takes memory or time before it has asked, however much it would be.
#[test]
fn nothing_begins_without_an_allowance() {
    let (large, mut never) = (noise(&[1, 1, 64, 64]), Never::default());
    let row = noise(&[1 << 16, 1]);
    let column = row.reshape(&[1, -1]).unwrap();
    let refused = [
        row.matmul(&column.reshape(&[1, -1]).unwrap(), &mut never).is_err(),
        row.binary(Binary::Add, &noise(&[1, 1 << 14]), &mut never).is_err(),
        large.resize(40_000, 40_000, ResizeMethod::Bicubic, &mut never).is_err(),
        large.pad(&[(0, 1 << 30), (0, 0), (0, 0), (0, 0)], PadMode::Edge, &mut never).is_err(),
        large
            .conv2d_transposed(
                &noise(&[1, 64, 64, 64]),
                None,
                Convolution { stride: [90, 90], ..Convolution::default() },
                [0; 2],
                &mut never,
            )
            .is_err(),
        noise(&[1, 1, 1 << 16, 1]).resize(2, 1 << 15, ResizeMethod::Bilinear, &mut never).is_err(),
        Tensor::full(ElementType::I64, &[1 << 30], 0.0, &mut never).is_err(),
        Tensor::arange(ElementType::F32, 0.0, 1.0, 1 << 31, &mut never).is_err(),
        large
            .gather(
                2,
                &whole(&[1], &[0]).gather(0, &whole(&[1 << 16], &[0; 1 << 16]), &mut Unlimited).unwrap(),
                &mut never,
            )
            .is_err(),
    ];
    assert_eq!(refused, [true; 9]);
    assert!(never.0.iter().any(|cost| cost.bytes > 8 << 30), "{:?}", never.0);
}
