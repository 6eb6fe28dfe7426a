//! A tensor: elements, row by row, and their shape.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use burn_backend::{Element, TensorData};
use burn_flex::FlexTensor;
use burn_std::{Bytes, Shape};
use bytemuck::Pod;

use crate::cost::Work;
use crate::error::{Error, invalid};
use crate::shape::{self, MAX_AXES, elements};
use crate::{Allowance, Cost, ElementType};

/// Does `work` with `unit` as a type that is as large as an element: whoever only moves elements need not know more.
macro_rules! by_size {
    ($element:expr, $unit:ident => $work:expr) => {
        match $element.bytes() {
            1 => {
                type $unit = u8;
                $work
            }
            2 => {
                type $unit = u16;
                $work
            }
            4 => {
                type $unit = u32;
                $work
            }
            _ => {
                type $unit = u64;
                $work
            }
        }
    };
}
pub(crate) use by_size;

/// Elements that a device has, in a form of its own.
pub type OnDevice = Arc<dyn Any + Send + Sync>;

/// Elements and their shape. A clone shares the elements, which never change.
#[derive(Clone)]
pub struct Tensor {
    elements: Elements,
    element: ElementType,
    shape: Vec<usize>,
}

#[derive(Clone)]
enum Elements {
    /// Contiguous, and its storage holds nothing else.
    Here(FlexTensor),
    Away(OnDevice),
}

impl Tensor {
    /// Elements from their bytes, little-endian, as many as the shape asks.
    pub fn from_bytes(
        element: ElementType,
        shape: &[usize],
        bytes: &[u8],
        allowance: &mut dyn Allowance,
    ) -> Result<Self, Error> {
        let wanted = elements(shape)? as u64 * element.bytes() as u64;
        if bytes.len() as u64 != wanted {
            return invalid(format!("{} bytes, where {shape:?} of {element} has {wanted}", bytes.len()));
        }
        if element == ElementType::Boolean && bytes.iter().any(|byte| *byte > 1) {
            return invalid("a boolean is neither 0 nor 1");
        }
        allowance.admit(Cost::new(wanted, Work::Move, wanted))?;
        Ok(by_size!(element, Unit => {
            let units = bytes.chunks_exact(size_of::<Unit>()).map(bytemuck::pod_read_unaligned::<Unit>);
            Self::of_units(element, shape, units.collect())
        }))
    }

    /// One value everywhere, rounded towards 0 and held within what the element can be.
    pub fn full(
        element: ElementType,
        shape: &[usize],
        value: f64,
        allowance: &mut dyn Allowance,
    ) -> Result<Self, Error> {
        let count = elements(shape)?;
        allowance.admit(Cost::of_elements(element, count).converted(element, count))?;
        Ok(Self::filled(element, shape, (0..count).map(|_| value)))
    }

    /// `start`, `start + step`, …, on one axis.
    pub fn arange(
        element: ElementType,
        start: f64,
        step: f64,
        count: u32,
        allowance: &mut dyn Allowance,
    ) -> Result<Self, Error> {
        if element == ElementType::Boolean {
            return invalid("a range of booleans");
        }
        let shape = [count as usize];
        elements(&shape)?;
        allowance.admit(Cost::of_elements(element, count as usize).converted(element, count as usize))?;
        Ok(Self::filled(element, &shape, (0..count).map(|at| start + f64::from(at) * step)))
    }

    fn filled(element: ElementType, shape: &[usize], values: impl Iterator<Item = f64>) -> Self {
        use half::f16;
        match element {
            ElementType::F32 => Self::of_elements(shape, values.map(|value| value as f32).collect()),
            ElementType::F16 => Self::of_elements(shape, values.map(f16::from_f64).collect()),
            ElementType::U8 => Self::of_elements(shape, values.map(|value| value as u8).collect()),
            ElementType::I32 => Self::of_elements(shape, values.map(|value| value as i32).collect()),
            ElementType::I64 => Self::of_elements(shape, values.map(|value| value as i64).collect()),
            ElementType::Boolean => Self::of_booleans(shape, values.map(|value| u8::from(value != 0.0)).collect()),
        }
    }

    /// What the elements are.
    pub fn element(&self) -> ElementType {
        self.element
    }

    /// How long each axis is, 1 to [`MAX_AXES`](crate::MAX_AXES) of at least 1.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Never: an axis is not 0.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The elements, little-endian; none if they are on a device.
    pub fn bytes(&self) -> &[u8] {
        match &self.elements {
            Elements::Here(elements) => elements.bytes(),
            Elements::Away(_) => &[],
        }
    }

    /// A tensor whose elements a device has: as many as the shape asks.
    pub fn away(element: ElementType, shape: &[usize], elements: OnDevice) -> Self {
        Self { elements: Elements::Away(elements), element, shape: shape.to_vec() }
    }

    /// The elements, if a device has them.
    pub fn device(&self) -> Option<&OnDevice> {
        match &self.elements {
            Elements::Here(_) => None,
            Elements::Away(elements) => Some(elements),
        }
    }

    /// The element of a tensor that is here and has no other, as the nearest number there is.
    pub fn number(&self) -> Option<f64> {
        if self.len() > 1 || self.device().is_some() {
            return None;
        }
        Some(match self.element {
            ElementType::F32 => self.elements::<f32>()[0].into(),
            ElementType::F16 => self.elements::<half::f16>()[0].into(),
            ElementType::U8 | ElementType::Boolean => self.elements::<u8>()[0].into(),
            ElementType::I32 => self.elements::<i32>()[0].into(),
            ElementType::I64 => self.elements::<i64>()[0] as f64,
        })
    }

    /// The same elements with other axes, of which one may be −1 for what is left.
    pub fn reshape(&self, shape: &[i32]) -> Result<Self, Error> {
        if shape.len() > MAX_AXES {
            return invalid(format!("{} axes, where there are 1 to {MAX_AXES}", shape.len()));
        }
        let known: usize = shape
            .iter()
            .filter(|axis| **axis >= 0)
            .try_fold(1_usize, |product, axis| product.checked_mul(*axis as usize))
            .ok_or_else(|| Error::Invalid(format!("{shape:?} has too many elements")))?;
        let open = shape.iter().filter(|axis| **axis < 0).count();
        let fits = match open {
            0 => known == self.len(),
            1 => known > 0 && self.len().is_multiple_of(known),
            _ => false,
        };
        if !fits || shape.iter().any(|axis| *axis < -1) {
            return invalid(format!("{:?} does not become {shape:?}", self.shape));
        }
        let shape: Vec<_> =
            shape.iter().map(|axis| usize::try_from(*axis).unwrap_or(self.len() / known.max(1))).collect();
        shape::elements(&shape)?;
        Ok(self.shaped(&shape))
    }

    /// With other axes around the same number of elements.
    pub(crate) fn shaped(&self, shape: &[usize]) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), self.len());
        let elements = match &self.elements {
            Elements::Here(elements) => Elements::Here(elements.reshape(Shape::from(shape.to_vec()))),
            Elements::Away(elements) => Elements::Away(elements.clone()),
        };
        Self { elements, element: self.element, shape: shape.to_vec() }
    }

    /// Of what is as large as an element, whatever it means: see [`by_size`].
    pub(crate) fn of_units<U: Pod + Send + Sync>(element: ElementType, shape: &[usize], units: Vec<U>) -> Self {
        let data = TensorData::from_bytes(Bytes::from_elems(units), shape.to_vec(), element.dtype());
        Self { elements: Elements::Here(FlexTensor::from_data(data)), element, shape: shape.to_vec() }
    }

    pub(crate) fn of_elements<E: Typed>(shape: &[usize], elements: Vec<E>) -> Self {
        Self::of_units(E::TYPE, shape, elements)
    }

    pub(crate) fn of_booleans(shape: &[usize], elements: Vec<u8>) -> Self {
        Self::of_units(ElementType::Boolean, shape, elements)
    }

    /// What the backend made.
    pub(crate) fn of_inner(element: ElementType, inner: FlexTensor) -> Self {
        let shape = inner.layout().shape().to_vec();
        Self { elements: Elements::Here(FlexTensor::from_data(inner.into_data())), element, shape }
    }

    /// For the backend. Only of what is here, which [`Allowance::begin`] makes sure of.
    pub(crate) fn inner(&self) -> FlexTensor {
        match &self.elements {
            Elements::Here(elements) => elements.clone(),
            Elements::Away(_) => {
                debug_assert!(false, "elements of a device");
                FlexTensor::from_data(TensorData::from_bytes(
                    Bytes::from_elems(Vec::<u8>::new()),
                    [0],
                    self.element.dtype(),
                ))
            }
        }
    }

    /// The elements as what is as large.
    pub(crate) fn units<U: Pod>(&self) -> &[U] {
        debug_assert_eq!(size_of::<U>(), self.element.bytes());
        bytemuck::cast_slice(self.bytes())
    }

    /// The elements, which are of type `E`; booleans are bytes.
    pub(crate) fn elements<E: Typed>(&self) -> &[E] {
        debug_assert!(E::TYPE == self.element || (E::TYPE == ElementType::U8 && self.element == ElementType::Boolean));
        bytemuck::cast_slice(self.bytes())
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor {:?} of {}", self.shape, self.element)
    }
}

/// Bytes of this many elements.
pub fn bytes(element: ElementType, count: usize) -> u64 {
    count as u64 * element.bytes() as u64
}

/// A type of Rust that is a type of elements.
pub trait Typed: Pod + Element {
    const TYPE: ElementType;

    /// Whether pictures and models are made of it, so that loops are worth being compiled several times over.
    const COMMON: bool = false;
}

impl Typed for f32 {
    const TYPE: ElementType = ElementType::F32;
    const COMMON: bool = true;
}

impl Typed for half::f16 {
    const TYPE: ElementType = ElementType::F16;
}

impl Typed for u8 {
    const TYPE: ElementType = ElementType::U8;
    const COMMON: bool = true;
}

impl Typed for i32 {
    const TYPE: ElementType = ElementType::I32;
}

impl Typed for i64 {
    const TYPE: ElementType = ElementType::I64;
}
