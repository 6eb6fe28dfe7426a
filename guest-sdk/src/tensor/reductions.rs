//! Many elements that become one, along axes.

use super::Tensor;
use crate::imports::tensor::{self as host, Reduction};

impl Tensor {
    /// The index of the largest along an axis, which becomes 1 or is left out: `i64`, the first of equals.
    pub fn argmax(&self, axis: i32, keep: bool) -> Self {
        self.then(|this| host::arg_reduce(this, true, axis, keep))
    }

    /// The index of the smallest along an axis, which becomes 1 or is left out: `i64`, the first of equals.
    pub fn argmin(&self, axis: i32, keep: bool) -> Self {
        self.then(|this| host::arg_reduce(this, false, axis, keep))
    }
}

macro_rules! reductions {
    ($($name:ident $reduction:ident $about:literal;)*) => {
        impl Tensor {$(
            #[doc = $about]
            #[doc = "Over these axes, or all where there are none; each becomes 1, or is left out."]
            pub fn $name(&self, axes: &[i32], keep: bool) -> Self {
                self.then(|this| host::reduce(this, Reduction::$reduction, axes, keep))
            }
        )*}
    };
}

reductions! {
    sum Sum "The sum.";
    mean Mean "The mean.";
    largest Max "The largest.";
    smallest Min "The smallest.";
    product Prod "The product.";
}
