//! Other numbers of rows and columns.

use burn_backend::ops::{InterpolateMode, InterpolateOptions, ModuleOps};
use burn_flex::Flex;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use half::f16;

use super::{float, planes};
use crate::cost::Work;
use crate::error::Error;
use crate::shape::elements;
use crate::tensor::{Typed, bytes};
use crate::{Allowance, Cost, ElementType, Operation, Task, Tensor, Unlimited};

/// Bytes that each row and each column of a result has of weights and places.
const WEIGHTS: u64 = 64;

/// How a size becomes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResizeMethod {
    /// The element at ⌊i · source / result⌋.
    Nearest,
    /// Of two by two, pixels being squares with their values in the middle.
    Bilinear,
    /// Of four by four, in the same way, with a = −0.75.
    Bicubic,
}

impl Tensor {
    /// (n, c, h, w) with new rows and columns.
    pub fn resize(
        &self,
        rows: usize,
        columns: usize,
        method: ResizeMethod,
        allowance: &mut dyn Allowance,
    ) -> Result<Self, Error> {
        let element = float(self, "a picture's size")?;
        let [n, c, h, w] = planes(self)?;
        let count = elements(&[n, c, rows, columns])?;
        let taps = match method {
            ResizeMethod::Nearest => 1,
            ResizeMethod::Bilinear => 4,
            ResizeMethod::Bicubic => 24,
        };
        // Between the two directions there is a plane that has the one size here and the other there, whichever is first, and for each
        // place of it the weights of its neighbours.
        let between = columns.saturating_mul(h).max(rows.saturating_mul(w));
        let scratch = bytes(ElementType::F32, between).saturating_add(WEIGHTS * (rows + columns) as u64);
        let units =
            (count as u64).saturating_mul(taps).saturating_add(2 * ((n * c) as u64).saturating_mul(between as u64));
        let widened = if method == ResizeMethod::Nearest { 0 } else { self.len() + count };
        let cost = Cost::new(bytes(element, count).saturating_add(scratch), Work::Element, units);
        let (planes, lines) = ((n * c) as u64, (n * c) as u64 * rows as u64);
        let cost = cost.widened(element, widened);
        let cost = match method {
            ResizeMethod::Nearest => cost.in_pieces(lines),
            // Of each plane the weights are worked out anew, and of each row where it is from.
            ResizeMethod::Bilinear => cost.in_steps(2 * planes),
            ResizeMethod::Bicubic => cost.in_steps(2 * planes).in_pieces(4 * lines),
        };
        let operation = Operation::Resize(method);
        let task = Task { operation, tensors: &[self], element, shape: &[n, c, rows, columns] };
        if let Some(made) = allowance.begin(cost, &task)? {
            return Ok(made);
        }
        match (method, element) {
            (ResizeMethod::Nearest, ElementType::F16) => Ok(self.nearest::<f16>([n, c, rows, columns])),
            (ResizeMethod::Nearest, _) => Ok(self.nearest::<f32>([n, c, rows, columns])),
            (ResizeMethod::Bilinear, _) => self.bilinear([n, c, rows, columns]),
            (ResizeMethod::Bicubic, _) => {
                let options = InterpolateOptions::new(InterpolateMode::Bicubic).with_align_corners(false);
                let made = <Flex as ModuleOps<Flex>>::interpolate(self.at_full()?.inner(), [rows, columns], options);
                Self::of_inner(ElementType::F32, made).cast(element, &mut Unlimited)
            }
        }
    }

    /// Places by whole numbers: a quotient of floating point may be the next one.
    fn nearest<E: Typed>(&self, shape: [usize; 4]) -> Self {
        let [.., h, w] = self.shape() else { return self.clone() };
        let [_, _, rows, columns] = shape;
        let places: Vec<usize> = (0..columns).map(|column| column * w / columns).collect();
        let mut result = Vec::with_capacity(shape.iter().product());
        for plane in self.elements::<E>().chunks_exact(h * w) {
            for row in 0..rows {
                let from = &plane[row * h / rows * w..][..*w];
                result.extend(places.iter().map(|place| from[*place]));
            }
        }
        Self::of_elements(&shape, result)
    }

    /// Plane by plane, at full precision.
    fn bilinear(&self, shape: [usize; 4]) -> Result<Self, Error> {
        let wide = self.at_full()?;
        let [_, _, h, w] = planes(self)?;
        let [_, _, rows, columns] = shape;
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Interpolation(FilterType::Bilinear));
        let mut resizer = Resizer::new();
        let mut result = vec![0_f32; shape.iter().product()];
        for (from, to) in wide.elements::<f32>().chunks_exact(h * w).zip(result.chunks_exact_mut(rows * columns)) {
            let from = ImageRef::new(side(w), side(h), bytemuck::cast_slice(from), PixelType::F32).map_err(refused)?;
            let to = Image::from_slice_u8(side(columns), side(rows), bytemuck::cast_slice_mut(to), PixelType::F32);
            resizer.resize(&from, &mut to.map_err(refused)?, &options).map_err(refused)?;
        }
        Self::of_elements(&shape, result).cast(self.element(), &mut Unlimited)
    }
}

/// Axes are never longer.
fn side(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn refused(error: impl std::fmt::Display) -> Error {
    Error::Invalid(error.to_string())
}
