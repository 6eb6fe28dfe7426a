//! The operations, one family a file. `wit/tensor.wit` says what each means.

mod binary;
mod cast;
mod choose;
mod color;
mod convolution;
#[cfg(test)]
mod cost_tests;
mod gather;
mod layout;
mod matmul;
mod normalize;
mod pool;
mod reduce;
mod resize;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod types_tests;
mod unary;

pub use binary::Binary;
pub use convolution::Convolution;
pub use layout::{PadMode, Span};
pub use pool::{Pooling, Window};
pub use reduce::{ArgReduction, Reduction};
pub use resize::ResizeMethod;
pub use unary::Unary;

use crate::error::{Error, invalid};
use crate::{ElementType, Tensor, Unlimited};

impl Tensor {
    /// The same elements, at full precision instead of half: so it is worked on where much is added up.
    /// [`Cost::widened`](crate::Cost::widened) counts it.
    fn at_full(&self) -> Result<Self, Error> {
        match self.element() {
            ElementType::F16 => self.cast(ElementType::F32, &mut Unlimited),
            _ => Ok(self.clone()),
        }
    }
}

/// Refuses what is not of floating point.
fn float(tensor: &Tensor, what: &str) -> Result<ElementType, Error> {
    let element = tensor.element();
    if element.is_float() { Ok(element) } else { invalid(format!("{what} of {element}")) }
}

/// Refuses two tensors of different elements.
fn same(left: &Tensor, right: &Tensor) -> Result<ElementType, Error> {
    let (own, other) = (left.element(), right.element());
    if own == other { Ok(own) } else { invalid(format!("{own} with {other}: cast one of them")) }
}

/// (n, c, h, w).
fn planes(tensor: &Tensor) -> Result<[usize; 4], Error> {
    let shape = tensor.shape();
    shape.try_into().or_else(|_| invalid(format!("{shape:?} is not (n, c, h, w)")))
}
