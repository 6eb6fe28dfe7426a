//! Elements that become others.

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::cost::Work;
use crate::error::Error;
use crate::simd::widest;
use crate::tensor::{Typed, bytes};
use crate::{Allowance, Cost, ElementType, Operation, Task, Tensor};

impl Tensor {
    /// Each element as one of another type.
    pub fn cast(&self, element: ElementType, allowance: &mut dyn Allowance) -> Result<Self, Error> {
        if element == self.element() {
            return Ok(self.clone());
        }
        // To hold numbers within bounds takes longer.
        let each = if self.element().is_float() && !element.is_float() { 3 } else { 1 };
        let cost = Cost::new(bytes(element, self.len()), Work::Element, each * self.len() as u64);
        // Between two types of floating point they are, by several at once.
        let one_by_one = if self.element().is_float() && element.is_float() { 0 } else { self.len() };
        let cost = cost.converted(self.element(), one_by_one).converted(element, one_by_one);
        let task = Task { operation: Operation::Cast, tensors: &[self], element, shape: self.shape() };
        if let Some(made) = allowance.begin(cost, &task)? {
            return Ok(made);
        }
        Ok(match (self.element(), element) {
            // By several at once, where the processor can.
            (ElementType::F16, ElementType::F32) => {
                Self::of_elements(self.shape(), self.elements::<f16>().to_f32_vec())
            }
            (ElementType::F32, ElementType::F16) => {
                let mut halves = vec![f16::ZERO; self.len()];
                halves.convert_from_f32_slice(self.elements());
                Self::of_elements(self.shape(), halves)
            }
            (ElementType::F32, _) => self.cast_from::<f32>(element),
            (ElementType::F16, _) => self.cast_from::<f16>(element),
            (ElementType::U8 | ElementType::Boolean, _) => self.cast_from::<u8>(element),
            (ElementType::I32, _) => self.cast_from::<i32>(element),
            (ElementType::I64, _) => self.cast_from::<i64>(element),
        })
    }

    fn cast_from<E: Castable>(&self, element: ElementType) -> Self {
        let from = bytemuck::cast_slice::<u8, E>(self.bytes()).iter();
        let shape = self.shape();
        widest(|| match element {
            ElementType::F32 => Self::of_elements(shape, from.map(|value| value.as_f32()).collect()),
            ElementType::F16 => Self::of_elements(shape, from.map(|value| f16::from_f32(value.as_f32())).collect()),
            ElementType::U8 => Self::of_elements(shape, from.map(|value| value.as_u8()).collect()),
            ElementType::I32 => Self::of_elements(shape, from.map(|value| value.as_i32()).collect()),
            ElementType::I64 => Self::of_elements(shape, from.map(|value| value.as_i64()).collect()),
            ElementType::Boolean => Self::of_booleans(shape, from.map(|value| u8::from(value.is_true())).collect()),
        })
    }
}

/// What casts: floating point towards 0 and held within bounds, whole numbers by their low bits.
trait Castable: Typed {
    fn as_f32(self) -> f32;
    fn as_u8(self) -> u8;
    fn as_i32(self) -> i32;
    fn as_i64(self) -> i64;
    fn is_true(self) -> bool;
}

macro_rules! castable {
    ($($type:ty),*) => {$(
        impl Castable for $type {
            fn as_f32(self) -> f32 {
                self as f32
            }

            fn as_u8(self) -> u8 {
                self as u8
            }

            fn as_i32(self) -> i32 {
                self as i32
            }

            fn as_i64(self) -> i64 {
                self as i64
            }

            fn is_true(self) -> bool {
                self != 0 as $type
            }
        }
    )*};
}

castable!(f32, u8, i32, i64);

impl Castable for f16 {
    fn as_f32(self) -> f32 {
        f16::to_f32(self)
    }

    fn as_u8(self) -> u8 {
        f16::to_f32(self) as u8
    }

    fn as_i32(self) -> i32 {
        f16::to_f32(self) as i32
    }

    fn as_i64(self) -> i64 {
        f16::to_f32(self) as i64
    }

    fn is_true(self) -> bool {
        f16::to_f32(self) != 0.0
    }
}
