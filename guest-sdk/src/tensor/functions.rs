//! What is done to each element by itself.

use super::Tensor;
use crate::imports::tensor::{self as host, Unary};

impl Tensor {
    /// Elements held between two numbers.
    pub fn clamp(&self, low: f64, high: f64) -> Self {
        self.then(|this| host::clamp(this, low, high))
    }

    /// Elements of `yes` where this tensor is true, and of `no` elsewhere.
    pub fn choose(&self, yes: &Self, no: &Self) -> Self {
        self.with_two(yes, no, host::choose)
    }
}

macro_rules! unary {
    ($($name:ident $operation:ident $about:literal;)*) => {
        impl Tensor {$(
            #[doc = $about]
            pub fn $name(&self) -> Self {
                self.then(|this| host::unary(this, Unary::$operation))
            }
        )*}
    };
}

unary! {
    abs Abs "Of each element, its distance from 0.";
    sign Sign "Of each element, −1, 0 or 1.";
    reciprocal Reciprocal "Of each element x, 1/x.";
    exp Exp "Of each element x, eˣ.";
    log Log "Of each element, the natural logarithm.";
    sqrt Sqrt "Of each element, the square root.";
    sin Sin "Of each element, the sine.";
    cos Cos "Of each element, the cosine.";
    tan Tan "Of each element, the tangent.";
    asin Asin "Of each element, the angle of which it is the sine.";
    acos Acos "Of each element, the angle of which it is the cosine.";
    atan Atan "Of each element, the angle of which it is the tangent.";
    sinh Sinh "Of each element, the hyperbolic sine.";
    cosh Cosh "Of each element, the hyperbolic cosine.";
    floor Floor "Of each element, the whole number that is not larger.";
    ceil Ceil "Of each element, the whole number that is not smaller.";
    round Round "Of each element, the nearest whole number; halves to the even one.";
    erf Erf "Of each element, the error function.";
    relu Relu "Of each element, itself or 0, whichever is larger.";
    sigmoid Sigmoid "Of each element x, 1 / (1 + e⁻ˣ).";
    tanh Tanh "Of each element, the hyperbolic tangent.";
    softplus Softplus "Of each element x, log(1 + eˣ).";
    gelu Gelu "Of each element x, x · ½(1 + erf(x/√2)).";
    silu Silu "Of each element x, x · sigmoid(x).";
    hard_sigmoid HardSigmoid "Of each element x, x/6 + ½ between 0 and 1.";
    hard_swish HardSwish "Of each element x, x · hard_sigmoid(x).";
    is_nan IsNan "Of each element, whether it is no number.";
}
