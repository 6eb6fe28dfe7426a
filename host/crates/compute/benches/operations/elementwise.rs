//! What is done with each element by itself.

use std::hint::black_box;

use burn_backend::BoolDType;
use burn_backend::ops::{ActivationOps, FloatTensorOps};
use burn_flex::{Flex, FlexTensor};
use rillbox_compute::{Binary, ElementType, Error, Unary, Unlimited};

use crate::table::{Library, Table};
use crate::{Picture, flex, own};

type OfOne = fn(FlexTensor) -> FlexTensor;
type OfTwo = fn(FlexTensor, FlexTensor) -> FlexTensor;
/// By hand, of so many values.
type By<T, const N: usize> = fn([T; N]) -> T;

const UNARY: [(Unary, OfOne); 23] = [
    (Unary::Neg, Flex::float_neg),
    (Unary::Abs, Flex::float_abs),
    (Unary::Sign, Flex::float_sign),
    (Unary::Reciprocal, Flex::float_recip),
    (Unary::Exp, Flex::float_exp),
    (Unary::Log, Flex::float_log),
    (Unary::Sqrt, Flex::float_sqrt),
    (Unary::Sin, Flex::float_sin),
    (Unary::Cos, Flex::float_cos),
    (Unary::Tan, Flex::float_tan),
    (Unary::Asin, Flex::float_asin),
    (Unary::Acos, Flex::float_acos),
    (Unary::Atan, Flex::float_atan),
    (Unary::Sinh, Flex::float_sinh),
    (Unary::Cosh, Flex::float_cosh),
    (Unary::Floor, Flex::float_floor),
    (Unary::Ceil, Flex::float_ceil),
    (Unary::Round, Flex::float_round),
    (Unary::Erf, Flex::float_erf),
    (Unary::Relu, <Flex as ActivationOps<Flex>>::relu),
    (Unary::Sigmoid, <Flex as ActivationOps<Flex>>::sigmoid),
    (Unary::Tanh, Flex::float_tanh),
    (Unary::Gelu, <Flex as ActivationOps<Flex>>::gelu),
];

/// Those that burn has not.
const UNARY_BY_HAND: [(Unary, By<f32, 1>); 4] = [
    (Unary::Softplus, |[x]| x.exp().ln_1p()),
    (Unary::Silu, |[x]| x / (1.0 + (-x).exp())),
    (Unary::HardSigmoid, |[x]| (x / 6.0 + 0.5).clamp(0.0, 1.0)),
    (Unary::HardSwish, |[x]| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
];

const BINARY: [(Binary, OfTwo); 12] = [
    (Binary::Add, Flex::float_add),
    (Binary::Sub, Flex::float_sub),
    (Binary::Mul, Flex::float_mul),
    (Binary::Div, Flex::float_div),
    (Binary::Modulo, Flex::float_remainder),
    (Binary::Pow, Flex::float_powf),
    (Binary::Equal, |left, right| Flex::float_equal(left, right, BoolDType::Native)),
    (Binary::NotEqual, |left, right| Flex::float_not_equal(left, right, BoolDType::Native)),
    (Binary::Less, |left, right| Flex::float_lower(left, right, BoolDType::Native)),
    (Binary::LessEqual, |left, right| Flex::float_lower_equal(left, right, BoolDType::Native)),
    (Binary::Greater, |left, right| Flex::float_greater(left, right, BoolDType::Native)),
    (Binary::GreaterEqual, |left, right| Flex::float_greater_equal(left, right, BoolDType::Native)),
];

const BINARY_BY_HAND: [(Binary, By<f32, 2>); 2] = [(Binary::Min, |[x, y]| x.min(y)), (Binary::Max, |[x, y]| x.max(y))];

const LOGICAL: [(Binary, By<bool, 2>); 3] =
    [(Binary::And, |[x, y]| x & y), (Binary::Or, |[x, y]| x | y), (Binary::Xor, |[x, y]| x ^ y)];

pub fn measure(picture: &Picture, table: &mut Table) -> Result<(), Error> {
    let Picture { own: whole, flex: of_flex, values, .. } = picture;
    for (operation, reference) in UNARY {
        table.add(name(operation), Library::BurnFlex, |a| whole.unary(operation, a), || reference(of_flex.clone()))?;
    }
    for (operation, reference) in UNARY_BY_HAND {
        let by_hand = || values.iter().map(|x| reference([*x])).collect::<Vec<f32>>();
        table.add(name(operation), Library::PlainLoop, |a| whole.unary(operation, a), by_hand)?;
    }
    // Quotients of up to 250, and powers that are numbers.
    let other: Vec<f32> = values.iter().rev().map(|value| value + 0.004).collect();
    let (own_other, flex_other) = (own(whole.shape(), &other)?, flex(whole.shape(), &other));
    for (operation, reference) in BINARY {
        let of_both = || reference(of_flex.clone(), flex_other.clone());
        table.add(name(operation), Library::BurnFlex, |a| whole.binary(operation, &own_other, a), of_both)?;
    }
    for (operation, reference) in BINARY_BY_HAND {
        let by_hand = || values.iter().zip(&other).map(|(x, y)| reference([*x, *y])).collect::<Vec<f32>>();
        table.add(name(operation), Library::PlainLoop, |a| whole.binary(operation, &own_other, a), by_hand)?;
    }
    table.add(
        "mul_scalar",
        Library::BurnFlex,
        |a| whole.binary_scalar(Binary::Mul, 1.5, a),
        || Flex::float_mul_scalar(of_flex.clone(), 1.5.into()),
    )?;
    table.add(
        "clamp",
        Library::BurnFlex,
        |a| whole.clamp(0.2, 0.8, a),
        || Flex::float_clamp(of_flex.clone(), 0.2.into(), 0.8.into()),
    )?;
    let by_hand = || values.iter().zip(&other).map(|(x, y)| x + (y - x) * 0.3).collect::<Vec<f32>>();
    table.add("blend_scalar", Library::PlainLoop, |a| whole.blend_scalar(&own_other, 0.3, a), by_hand)?;
    let by_hand = || values.iter().zip(&other).map(|(x, y)| x + (y - x) * y).collect::<Vec<f32>>();
    table.add("blend", Library::PlainLoop, |a| whole.blend(&own_other, &own_other, a), by_hand)?;
    let by_hand = || {
        let (matrix, offset) = black_box(([0.3; 9], [0.1; 3]));
        let row = |at: usize, [r, g, b]: &[f32; 3]| {
            matrix[3 * at] * r + matrix[3 * at + 1] * g + matrix[3 * at + 2] * b + offset[at]
        };
        let pixels = values.as_chunks::<3>().0.iter();
        pixels.flat_map(|pixel| [row(0, pixel), row(1, pixel), row(2, pixel)]).collect::<Vec<f32>>()
    };
    table.add("color_matrix", Library::PlainLoop, |a| whole.color_matrix(-1, &[0.3; 9], &[0.1; 3], a), by_hand)?;
    marks(picture, table)?;
    casts(picture, table)
}

/// What is true or false.
fn marks(picture: &Picture, table: &mut Table) -> Result<(), Error> {
    let Picture { own: whole, flex: of_flex, values, .. } = picture;
    let mask = whole.binary_scalar(Binary::Greater, 0.5, &mut Unlimited)?;
    let light: Vec<bool> = values.iter().map(|value| *value > 0.5).collect();
    table.add(
        "greater_scalar",
        Library::BurnFlex,
        |a| whole.binary_scalar(Binary::Greater, 0.5, a),
        || Flex::float_greater_elem(of_flex.clone(), 0.5.into(), BoolDType::Native),
    )?;
    let by_hand = || values.iter().map(|value| value.is_nan()).collect::<Vec<bool>>();
    table.add(name(Unary::IsNan), Library::PlainLoop, |a| whole.unary(Unary::IsNan, a), by_hand)?;
    let by_hand = || light.iter().map(|mark| !mark).collect::<Vec<bool>>();
    table.add(name(Unary::Not), Library::PlainLoop, |a| mask.unary(Unary::Not, a), by_hand)?;
    for (operation, reference) in LOGICAL {
        let by_hand = || light.iter().zip(&light).map(|(x, y)| reference([*x, *y])).collect::<Vec<bool>>();
        table.add(name(operation), Library::PlainLoop, |a| mask.binary(operation, &mask, a), by_hand)?;
    }
    let by_hand = || {
        let marks = light.iter().zip(values.iter().zip(values));
        marks.map(|(mark, (yes, no))| if *mark { *yes } else { *no }).collect::<Vec<f32>>()
    };
    table.add("choose", Library::PlainLoop, |a| mask.choose(whole, whole, a), by_hand)
}

/// From one type of element to another.
fn casts(Picture { own: whole, values, .. }: &Picture, table: &mut Table) -> Result<(), Error> {
    let mut cast = |element, by_hand: &dyn Fn() -> Vec<u8>| {
        table.add(format!("cast_to_{element}"), Library::PlainLoop, |a| whole.cast(element, a), by_hand)
    };
    cast(ElementType::U8, &|| values.iter().map(|value| *value as u8).collect())?;
    cast(ElementType::I32, &|| values.iter().flat_map(|value| (*value as i32).to_le_bytes()).collect())?;
    cast(ElementType::I64, &|| values.iter().flat_map(|value| (*value as i64).to_le_bytes()).collect())?;
    cast(ElementType::F16, &|| values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()).collect())?;
    cast(ElementType::Boolean, &|| values.iter().map(|value| u8::from(*value != 0.0)).collect())
}

/// As in the contract, but with underscores.
fn name(operation: impl std::fmt::Debug) -> String {
    let mut name = String::new();
    for letter in format!("{operation:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}
