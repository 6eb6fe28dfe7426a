//! Where an operation's operands are: on the device or in memory.

use std::sync::Arc;

use rillbox_compute::Tensor;

use super::Elements;
use super::bounds::Bounds;

/// An operand, as kernels take it.
pub enum Operand {
    /// On the device.
    There(Arc<Elements>),
    /// A number, as a word.
    Number(u32),
}

impl Operand {
    /// None if it is here, and more than a number.
    pub fn new(tensor: &Tensor) -> Option<Self> {
        if let Some(elements) = Elements::of(tensor) {
            return Some(Self::There(elements));
        }
        let number = tensor.number()?;
        let word =
            if tensor.element().is_float() { (number as f32).to_bits() } else { (number as i32).cast_unsigned() };
        // Of a long number that does not fit there is none.
        (tensor.element().is_float() || number == f64::from(number as i32)).then_some(Self::Number(word))
    }

    pub fn bounds(&self) -> Bounds {
        match self {
            Self::There(elements) => elements.bounds,
            Self::Number(word) => Bounds::new(word.cast_signed().into(), word.cast_signed().into()),
        }
    }
}

/// What kernels are told of operands that are numbers: which are, as bits, and each in its place.
pub fn numbers(operands: &[Operand]) -> [u32; 4] {
    let mut numbers = [0; 4];
    for (at, operand) in operands.iter().enumerate() {
        if let Operand::Number(word) = operand {
            numbers[0] |= 1 << at;
            numbers[at + 1] = *word;
        }
    }
    numbers
}
