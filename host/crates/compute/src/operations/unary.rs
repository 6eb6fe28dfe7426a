//! What is done to each element.

use half::f16;

use crate::cost::Work;
use crate::error::{Error, invalid};
use crate::simd::widest;
use crate::tensor::{Typed, bytes};
use crate::{Allowance, Cost, ElementType, Operation, Task, Tensor};

/// Of each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "wit/tensor.wit defines each")]
pub enum Unary {
    Neg,
    Abs,
    Sign,
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
    Not,
}

impl Unary {
    /// Whether there is such an operation for elements of this type.
    fn takes(self, element: ElementType) -> bool {
        match self {
            Self::Not => element == ElementType::Boolean,
            Self::Neg | Self::Abs | Self::Sign => !matches!(element, ElementType::U8 | ElementType::Boolean),
            _ => element.is_float(),
        }
    }

    /// What each element takes: so much of a kind.
    const fn work(self) -> (Work, u64) {
        match self {
            Self::Neg | Self::Abs | Self::Sign | Self::Reciprocal | Self::Relu | Self::IsNan | Self::Not => {
                (Work::Element, 1)
            }
            Self::Floor | Self::Ceil | Self::Round | Self::Sqrt | Self::HardSigmoid | Self::HardSwish => {
                (Work::Element, 2)
            }
            Self::Exp | Self::Log | Self::Sigmoid | Self::Silu => (Work::Exponential, 1),
            Self::Sin
            | Self::Cos
            | Self::Tan
            | Self::Asin
            | Self::Acos
            | Self::Atan
            | Self::Cosh
            | Self::Erf
            | Self::Gelu => (Work::Function, 1),
            Self::Sinh | Self::Tanh | Self::Softplus => (Work::Function, 2),
        }
    }

    #[inline(always)]
    fn of(self, x: f32) -> f32 {
        match self {
            Self::Neg => -x,
            Self::Abs => x.abs(),
            Self::Sign if x.is_nan() => x,
            // Of 0 it is 0, which `signum` does not give.
            Self::Sign => f32::from(x > 0.0) - f32::from(x < 0.0),
            Self::Reciprocal => x.recip(),
            Self::Exp => x.exp(),
            Self::Log => x.ln(),
            Self::Sqrt => x.sqrt(),
            Self::Sin => x.sin(),
            Self::Cos => x.cos(),
            Self::Tan => x.tan(),
            Self::Asin => x.asin(),
            Self::Acos => x.acos(),
            Self::Atan => x.atan(),
            Self::Sinh => x.sinh(),
            Self::Cosh => x.cosh(),
            Self::Floor => x.floor(),
            Self::Ceil => x.ceil(),
            Self::Round => x.round_ties_even(),
            Self::Erf => libm::erff(x),
            // Of NaN it is NaN, which `max` does not give.
            Self::Relu => {
                if x < 0.0 {
                    0.0
                } else {
                    x
                }
            }
            Self::Sigmoid => sigmoid(x),
            Self::Tanh => x.tanh(),
            Self::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            Self::Gelu => 0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2)),
            Self::Silu => x * sigmoid(x),
            Self::HardSigmoid => hard_sigmoid(x),
            Self::HardSwish => x * hard_sigmoid(x),
            Self::IsNan | Self::Not => x,
        }
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn hard_sigmoid(x: f32) -> f32 {
    (x / 6.0 + 0.5).clamp(0.0, 1.0)
}

impl Tensor {
    /// One operation on each element.
    pub fn unary(&self, operation: Unary, allowance: &mut dyn Allowance) -> Result<Self, Error> {
        let element = self.element();
        let refused = || Error::Invalid(format!("{operation:?} of {element}"));
        if !operation.takes(element) {
            return Err(refused());
        }
        let (work, each) = operation.work();
        let cost = Cost::new(bytes(element, self.len()), work, each * self.len() as u64);
        let cost = cost.converted(element, 2 * self.len());
        let result = if operation == Unary::IsNan { ElementType::Boolean } else { element };
        let task =
            Task { operation: Operation::Unary(operation), tensors: &[self], element: result, shape: self.shape() };
        if let Some(made) = allowance.begin(cost, &task)? {
            return Ok(made);
        }
        Ok(match (operation, element) {
            (Unary::IsNan, ElementType::F32) => self.marked(|x: f32| x.is_nan()),
            (Unary::IsNan, ElementType::F16) => self.marked(f16::is_nan),
            (_, ElementType::F32) => self.floats(operation),
            (_, ElementType::F16) => self.mapped(|x: f16| f16::from_f32(operation.of(x.to_f32()))),
            (Unary::Neg, ElementType::I32) => self.mapped(i32::wrapping_neg),
            (Unary::Neg, ElementType::I64) => self.mapped(i64::wrapping_neg),
            (Unary::Abs, ElementType::I32) => self.mapped(i32::wrapping_abs),
            (Unary::Abs, ElementType::I64) => self.mapped(i64::wrapping_abs),
            (Unary::Sign, ElementType::I32) => self.mapped(i32::signum),
            (Unary::Sign, ElementType::I64) => self.mapped(i64::signum),
            (Unary::Not, ElementType::Boolean) => {
                Self::of_booleans(self.shape(), widest(|| self.elements::<u8>().iter().map(|bit| bit ^ 1).collect()))
            }
            (_, ElementType::U8 | ElementType::I32 | ElementType::I64 | ElementType::Boolean) => return Err(refused()),
        })
    }

    /// A loop for each operation: what is asked once a loop is not asked for each element.
    fn floats(&self, operation: Unary) -> Self {
        macro_rules! each {
            ($($name:ident),*) => {
                match operation {
                    $(Unary::$name => self.mapped(|x: f32| Unary::$name.of(x)),)*
                }
            };
        }
        each!(
            Neg,
            Abs,
            Sign,
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
            Not
        )
    }

    /// Elements held between two numbers.
    pub fn clamp(&self, low: f64, high: f64, allowance: &mut dyn Allowance) -> Result<Self, Error> {
        let element = self.element();
        if element == ElementType::Boolean || low.is_nan() || high.is_nan() || low > high {
            return invalid(format!("{element} between {low} and {high}"));
        }
        let cost = Cost::of_elements(element, self.len()).converted(element, 2 * self.len());
        let operation = Operation::Clamp(low, high);
        let task = Task { operation, tensors: &[self], element, shape: self.shape() };
        if let Some(made) = allowance.begin(cost, &task)? {
            return Ok(made);
        }
        Ok(match element {
            ElementType::F16 => {
                let (low, high) = (f16::from_f64(low), f16::from_f64(high));
                self.mapped(|x: f16| held(x, low, high))
            }
            ElementType::U8 => self.mapped(|x: u8| x.clamp(low as u8, high as u8)),
            ElementType::I32 => self.mapped(|x: i32| x.clamp(low as i32, high as i32)),
            ElementType::I64 => self.mapped(|x: i64| x.clamp(low as i64, high as i64)),
            _ => {
                let (low, high) = (low as f32, high as f32);
                self.mapped(|x: f32| held(x, low, high))
            }
        })
    }

    pub(super) fn mapped<E: Typed, R: Typed>(&self, of: impl Fn(E) -> R) -> Self {
        let elements = self.elements::<E>();
        let results = || elements.iter().map(|element| of(*element)).collect();
        Self::of_elements(self.shape(), if E::COMMON { widest(results) } else { results() })
    }

    fn marked<E: Typed>(&self, of: impl Fn(E) -> bool) -> Self {
        let elements = self.elements::<E>();
        let marks = || elements.iter().map(|element| u8::from(of(*element))).collect();
        Self::of_booleans(self.shape(), if E::COMMON { widest(marks) } else { marks() })
    }
}

/// `clamp` without its panic and its branches, which would keep loops from becoming vectors.
#[inline(always)]
fn held<E: PartialOrd>(x: E, low: E, high: E) -> E {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}
