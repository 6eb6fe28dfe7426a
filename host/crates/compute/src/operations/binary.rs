//! What is done to each pair of elements, after broadcasting.

use std::iter::repeat_n;

use half::f16;

use self::Binary::{
    Add, And, Div, Equal, Greater, GreaterEqual, Less, LessEqual, Max, Min, Modulo, Mul, NotEqual, Or, Pow, Sub, Xor,
};
use super::same;
use crate::cost::Work;
use crate::error::{Error, invalid};
use crate::shape::{Runs, broadcast};
use crate::simd::widest;
use crate::tensor::{Typed, bytes};
use crate::{Allowance, Cost, ElementType, Operation, Task, Tensor};

/// Of two elements, after broadcasting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "wit/tensor.wit defines each")]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Modulo,
    Pow,
    Min,
    Max,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
    Xor,
}

impl Binary {
    /// Whether there is such an operation for elements of this type.
    fn takes(self, element: ElementType) -> bool {
        match self {
            Equal | NotEqual => true,
            And | Or | Xor => element == ElementType::Boolean,
            Pow => element.is_float(),
            Add | Sub | Mul | Div | Modulo | Min | Max | Less | LessEqual | Greater | GreaterEqual => {
                element != ElementType::Boolean
            }
        }
    }

    /// Whether its results are true or false, whatever the elements are.
    const fn compares(self) -> bool {
        matches!(self, Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual)
    }
}

impl Tensor {
    /// One operation on each pair.
    pub fn binary(&self, operation: Binary, right: &Self, allowance: &mut dyn Allowance) -> Result<Self, Error> {
        let element = same(self, right)?;
        let refused = || Error::Invalid(format!("{operation:?} of {element}"));
        if !operation.takes(element) {
            return Err(refused());
        }
        let shape = broadcast(&[self.shape(), right.shape()])?;
        let count: usize = shape.iter().product();
        let divides_whole = matches!(operation, Div | Modulo) && !element.is_float();
        let work = if matches!(operation, Pow | Modulo) || divides_whole { Work::Function } else { Work::Element };
        let rounds = if operation == Modulo { self.rounds(right, allowance)? } else { 1 };
        let cost = match work {
            Work::Element => Cost::of_elements(element, count),
            _ => Cost::new(bytes(element, count), work, rounds.saturating_mul(count as u64)),
        };
        let runs = Runs::new([self.shape(), right.shape()], &shape);
        let pieces = if runs.repeated().is_some() { 0 } else { runs.count() };
        let cost = cost.converted(element, 3 * count).in_pieces(pieces);
        if divides_whole {
            right.check_divisor(self)?;
        }
        let result = if operation.compares() { ElementType::Boolean } else { element };
        let task =
            Task { operation: Operation::Binary(operation), tensors: &[self, right], element: result, shape: &shape };
        if let Some(made) = allowance.begin(cost, &task)? {
            return Ok(made);
        }
        if divides_whole && right.has_zero() {
            return invalid("a divisor of 0");
        }
        let pair = Pair { left: self, right, shape: &shape };
        let made = match element {
            ElementType::F32 => pair.floats(operation),
            ElementType::F16 => pair.halves(operation),
            ElementType::U8 => pair.whole::<u8>(operation),
            ElementType::I32 => pair.whole::<i32>(operation),
            ElementType::I64 => pair.whole::<i64>(operation),
            ElementType::Boolean => pair.booleans(operation),
        };
        made.ok_or_else(refused)
    }

    /// [`binary`](Self::binary) with one number on the right.
    pub fn binary_scalar(&self, operation: Binary, right: f64, allowance: &mut dyn Allowance) -> Result<Self, Error> {
        let right = Self::scalar(self.element(), right)?;
        self.binary(operation, &right, allowance)
    }

    /// One element of this type: a number that the type has.
    fn scalar(element: ElementType, value: f64) -> Result<Self, Error> {
        let fits = match element {
            ElementType::F32 | ElementType::F16 => true,
            ElementType::U8 => value == f64::from(value as u8),
            ElementType::I32 => value == f64::from(value as i32),
            // The largest is no `f64`: what becomes it is larger.
            ElementType::I64 => value == (value as i64) as f64 && value < 2_f64.powi(63),
            ElementType::Boolean => value == 0.0 || value == 1.0,
        };
        if fits {
            Self::full(element, &[1], value, &mut crate::Unlimited)
        } else {
            invalid(format!("{value} is no {element}"))
        }
    }

    /// How often [`remainder`] goes round at most: what it takes to find out is admitted first.
    fn rounds(&self, divisor: &Self, allowance: &mut dyn Allowance) -> Result<u64, Error> {
        if self.element() == ElementType::F16 {
            return Ok(MAX_QUOTIENT_OF_HALVES / QUOTIENT_BITS + 1);
        }
        if self.element() != ElementType::F32 || self.device().is_some() || divisor.device().is_some() {
            return Ok(1);
        }
        allowance.admit(Cost::new(0, Work::Move, (self.bytes().len() + divisor.bytes().len()) as u64))?;
        // Without their signs, in whose order their bits are; one less makes 0 the largest.
        let bits = |x: &f32| x.abs().to_bits();
        let finite = |bits: u32| if bits < f32::INFINITY.to_bits() { bits } else { 0 };
        let (dividends, divisors) = (self.elements::<f32>().iter(), divisor.elements::<f32>().iter());
        let most = widest(|| dividends.map(bits).fold(0, |most, bits| most.max(finite(bits))));
        let first = f32::MAX.to_bits() - 1;
        let least = 1 + widest(|| divisors.map(bits).fold(first, |least, bits| least.min(bits.wrapping_sub(1))));
        let [most, least] = [most, least].map(|bits| f64::from(f32::from_bits(bits)));
        // What counts as 0 is no divisor, and others are no smaller than this.
        let least = if least == 0.0 { f32::MIN_POSITIVE.into() } else { least };
        Ok((most / least).log2().max(0.0) as u64 / QUOTIENT_BITS + 1)
    }

    /// Refuses a divisor of 0 where a device does the division: it has no errors.
    fn check_divisor(&self, dividend: &Self) -> Result<(), Error> {
        match (self.device(), dividend.device()) {
            (Some(_), _) => Err(Error::Away),
            (None, Some(_)) if self.has_zero() => invalid("a divisor of 0"),
            _ => Ok(()),
        }
    }

    fn has_zero(&self) -> bool {
        match self.element() {
            ElementType::I32 => self.elements::<i32>().contains(&0),
            ElementType::I64 => self.elements::<i64>().contains(&0),
            _ => self.bytes().contains(&0),
        }
    }
}

/// Bits of a quotient that are worked out at a time.
const QUOTIENT_BITS: u64 = 27;

/// Bits of the largest one of half precision: 65 504 over 2^−24.
const MAX_QUOTIENT_OF_HALVES: u64 = 40;

/// `x % y`, which C's library may work out bit by bit: here 27 bits of the quotient at a time.
#[inline(always)]
fn remainder(x: f32, y: f32) -> f32 {
    if !x.is_finite() || y.is_nan() || y == 0.0 {
        return f32::NAN;
    }
    let (mut left, divisor) = (f64::from(x.abs()), f64::from(y.abs()));
    while left >= divisor {
        let quotient = left / divisor;
        // A power of two, from the exponent's bits, so that what is taken away is exact: 28 bits times 24.
        let exponent = (quotient.to_bits() >> 52).saturating_sub(QUOTIENT_BITS).max(ONE_EXPONENT);
        let scale = f64::from_bits(exponent << 52);
        left -= (quotient / scale).floor() * (divisor * scale);
    }
    (left as f32).copysign(x)
}

/// The bits of the exponent of 1.
const ONE_EXPONENT: u64 = 1_023;

/// The smaller of two, or NaN where there is one, which `f32::min` would leave out.
#[inline]
pub fn least(x: f32, y: f32) -> f32 {
    if x < y || x.is_nan() { x } else { y }
}

/// The larger of two, or NaN where there is one.
#[inline]
pub fn most(x: f32, y: f32) -> f32 {
    if x > y || x.is_nan() { x } else { y }
}

/// Elements that are worth a loop of their own.
const SHORT: usize = 256;

/// Two tensors of the same elements, and the shape that they broadcast to.
struct Pair<'a> {
    left: &'a Tensor,
    right: &'a Tensor,
    shape: &'a [usize],
}

impl Pair<'_> {
    /// The result of each pair, in order.
    fn zipped<E: Typed, R: Copy>(&self, of: impl Fn(E, E) -> R) -> Vec<R> {
        if E::COMMON { widest(|| self.in_runs(of)) } else { self.one_by_one(of) }
    }

    /// By one loop for all shapes.
    fn one_by_one<E: Typed, R: Copy>(&self, of: impl Fn(E, E) -> R) -> Vec<R> {
        let (left, right) = (self.left.elements::<E>(), self.right.elements::<E>());
        let runs = Runs::new([self.left.shape(), self.right.shape()], self.shape);
        let mut result = Vec::with_capacity(self.shape.iter().product());
        let [left_step, right_step] = runs.steps;
        runs.each(|[l, r]| {
            result.extend((0..runs.length).map(|at| of(left[l + at * left_step], right[r + at * right_step])));
        });
        result
    }

    /// By a loop for each way that runs can go on.
    #[inline(always)]
    fn in_runs<E: Typed, R: Copy>(&self, of: impl Fn(E, E) -> R) -> Vec<R> {
        let (left, right) = (self.left.elements::<E>(), self.right.elements::<E>());
        let runs = Runs::new([self.left.shape(), self.right.shape()], self.shape);
        let mut result = Vec::with_capacity(self.shape.iter().product());
        if let Some(repeated) = runs.repeated()
            && runs.length < SHORT
        {
            // Three channels at a time would take longer to begin than to do.
            let own = [left, right][repeated];
            let long = own.repeat(SHORT.div_ceil(own.len()));
            for part in [right, left][repeated].chunks(long.len()) {
                match repeated {
                    0 => result.extend(long.iter().zip(part).map(|(x, y)| of(*x, *y))),
                    _ => result.extend(part.iter().zip(&long).map(|(x, y)| of(*x, *y))),
                }
            }
            return result;
        }
        runs.each(|[l, r]| {
            let length = runs.length;
            match runs.steps {
                [0, 0] => result.extend(repeat_n(of(left[l], right[r]), length)),
                [_, 0] => result.extend(left[l..l + length].iter().map(|x| of(*x, right[r]))),
                [0, _] => result.extend(right[r..r + length].iter().map(|y| of(left[l], *y))),
                _ => result.extend(left[l..l + length].iter().zip(&right[r..r + length]).map(|(x, y)| of(*x, *y))),
            }
        });
        result
    }

    fn of<E: Typed>(&self, of: impl Fn(E, E) -> E) -> Tensor {
        Tensor::of_elements(self.shape, self.zipped(of))
    }

    fn marked<E: Typed>(&self, of: impl Fn(E, E) -> bool) -> Tensor {
        Tensor::of_booleans(self.shape, self.zipped(|x, y| u8::from(of(x, y))))
    }

    /// None for an operation that does not compare.
    fn compared<E: Typed + PartialOrd>(&self, operation: Binary) -> Option<Tensor> {
        Some(match operation {
            Equal => self.marked(|x: E, y: E| x == y),
            NotEqual => self.marked(|x: E, y: E| x != y),
            Less => self.marked(|x: E, y: E| x < y),
            LessEqual => self.marked(|x: E, y: E| x <= y),
            Greater => self.marked(|x: E, y: E| x > y),
            GreaterEqual => self.marked(|x: E, y: E| x >= y),
            Add | Sub | Mul | Div | Modulo | Pow | Min | Max | And | Or | Xor => return None,
        })
    }

    /// None for an operation that there is not for these elements, as in those below.
    fn floats(&self, operation: Binary) -> Option<Tensor> {
        Some(match operation {
            Add => self.of(|x: f32, y| x + y),
            Sub => self.of(|x: f32, y| x - y),
            Mul => self.of(|x: f32, y| x * y),
            Div => self.of(|x: f32, y| x / y),
            Modulo => self.of(remainder),
            Pow => self.of(f32::powf),
            Min => self.of(least),
            Max => self.of(most),
            Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual => return self.compared::<f32>(operation),
            And | Or | Xor => return None,
        })
    }

    fn halves(&self, operation: Binary) -> Option<Tensor> {
        let wide = |of: fn(f32, f32) -> f32| self.of(move |x: f16, y: f16| f16::from_f32(of(x.to_f32(), y.to_f32())));
        Some(match operation {
            Add => wide(|x, y| x + y),
            Sub => wide(|x, y| x - y),
            Mul => wide(|x, y| x * y),
            Div => wide(|x, y| x / y),
            Modulo => wide(remainder),
            Pow => wide(f32::powf),
            Min => wide(least),
            Max => wide(most),
            Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual => return self.compared::<f16>(operation),
            And | Or | Xor => return None,
        })
    }

    fn whole<E: Whole>(&self, operation: Binary) -> Option<Tensor> {
        Some(match operation {
            Add => self.of(E::add),
            Sub => self.of(E::sub),
            Mul => self.of(E::mul),
            Div => self.of(E::div),
            Modulo => self.of(E::modulo),
            Min => self.of(E::min),
            Max => self.of(E::max),
            Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual => return self.compared::<E>(operation),
            Pow | And | Or | Xor => return None,
        })
    }

    fn booleans(&self, operation: Binary) -> Option<Tensor> {
        let made = match operation {
            Equal => self.zipped(|x: u8, y| x ^ y ^ 1),
            NotEqual | Xor => self.zipped(|x: u8, y| x ^ y),
            And => self.zipped(|x: u8, y| x & y),
            Or => self.zipped(|x: u8, y| x | y),
            Add | Sub | Mul | Div | Modulo | Pow | Min | Max => return None,
            Less | LessEqual | Greater | GreaterEqual => return None,
        };
        Some(Tensor::of_booleans(self.shape, made))
    }
}

/// Whole numbers that wrap around. No divisor is 0.
pub trait Whole: Typed + Ord {
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// With the divisor's sign.
    fn modulo(self, other: Self) -> Self;
}

macro_rules! whole {
    ($($type:ty),*) => {$(
        impl Whole for $type {
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }

            fn sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }

            fn mul(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }

            fn div(self, other: Self) -> Self {
                self.wrapping_div(other)
            }

            #[allow(unused_comparisons, reason = "bytes have no sign")]
            fn modulo(self, other: Self) -> Self {
                let rest = self.wrapping_rem(other);
                if rest != 0 && (rest < 0) != (other < 0) { rest.wrapping_add(other) } else { rest }
            }
        }
    )*};
}

whole!(u8, i32, i64);
