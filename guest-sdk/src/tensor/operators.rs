//! What is done to each pair of elements, by operators and by methods.

use std::ops::{Add, Div, Mul, Neg, Not, Sub};

use sealed::Sealed;

use super::Tensor;
use crate::imports::tensor::{self as host, Binary, Unary};

macro_rules! binary {
    ($($name:ident $operation:ident $about:literal;)*) => {
        impl Tensor {$(
            #[doc = $about]
            pub fn $name<T: Operand>(&self, right: T) -> Self {
                right.on_the_right(self, Binary::$operation)
            }
        )*}
    };
}

binary! {
    modulo Modulo "What is left of a division: of whole numbers with the divisor's sign, otherwise with the dividend's.";
    pow Pow "To the power of the right.";
    min Min "Whichever is smaller.";
    max Max "Whichever is larger.";
    equal Equal "Whether they are equal.";
    not_equal NotEqual "Whether they differ.";
    less Less "Whether the left is less.";
    less_equal LessEqual "Whether the left is not greater.";
    greater Greater "Whether the left is greater.";
    greater_equal GreaterEqual "Whether the left is not less.";
    and And "Whether both are true.";
    or Or "Whether one is true.";
    xor Xor "Whether just one is true.";
}

/// What may stand on the right of an operation: another tensor, or one number that its elements can be.
pub trait Operand: sealed::Sealed {}

impl Operand for &Tensor {}

impl Operand for Tensor {}

impl Operand for f64 {}

impl Operand for f32 {}

/// What nobody else implements or names.
mod sealed {
    use super::{Binary, Tensor};

    pub trait Sealed {
        fn on_the_right(self, left: &Tensor, operation: Binary) -> Tensor;
    }
}

impl Sealed for &Tensor {
    fn on_the_right(self, left: &Tensor, operation: Binary) -> Tensor {
        left.with(self, |left, right| host::binary(left, operation, right))
    }
}

impl Sealed for Tensor {
    fn on_the_right(self, left: &Tensor, operation: Binary) -> Tensor {
        (&self).on_the_right(left, operation)
    }
}

impl Sealed for f32 {
    fn on_the_right(self, left: &Tensor, operation: Binary) -> Tensor {
        f64::from(self).on_the_right(left, operation)
    }
}

impl Sealed for f64 {
    fn on_the_right(self, left: &Tensor, operation: Binary) -> Tensor {
        left.then(|left| host::binary_scalar(left, operation, self))
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident;)*) => {$(
        impl<T: Operand> $trait<T> for &Tensor {
            type Output = Tensor;

            fn $method(self, right: T) -> Tensor {
                right.on_the_right(self, Binary::$trait)
            }
        }

        impl<T: Operand> $trait<T> for Tensor {
            type Output = Tensor;

            fn $method(self, right: T) -> Tensor {
                right.on_the_right(&self, Binary::$trait)
            }
        }

        impl $trait<&Tensor> for f64 {
            type Output = Tensor;

            fn $method(self, right: &Tensor) -> Tensor {
                right.after(self, Binary::$trait)
            }
        }

        impl $trait<Tensor> for f64 {
            type Output = Tensor;

            fn $method(self, right: Tensor) -> Tensor {
                right.after(self, Binary::$trait)
            }
        }
    )*};
}

operators! {
    Add add;
    Sub sub;
    Mul mul;
    Div div;
}

impl Tensor {
    /// The operation with a number on the left, where the contract has none: it goes there as a tensor of one element.
    fn after(&self, left: f64, operation: Binary) -> Self {
        self.then(|right| {
            let number = host::full(host::element_type(right), &[1], left)?;
            // Refuses what the elements cannot be, as on the right; `full` takes the nearest instead.
            host::binary_scalar(&number, Binary::Equal, left)?;
            host::binary(&number, operation, right)
        })
    }
}

impl Neg for &Tensor {
    type Output = Tensor;

    fn neg(self) -> Tensor {
        self.then(|this| host::unary(this, Unary::Neg))
    }
}

impl Not for &Tensor {
    type Output = Tensor;

    fn not(self) -> Tensor {
        self.then(|this| host::unary(this, Unary::Not))
    }
}

impl Neg for Tensor {
    type Output = Self;

    fn neg(self) -> Self {
        -&self
    }
}

impl Not for Tensor {
    type Output = Self;

    fn not(self) -> Self {
        !&self
    }
}
