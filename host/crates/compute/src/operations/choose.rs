//! Three tensors, element by element.

use half::f16;

use super::{float, same};
use crate::cost::Work;
use crate::error::{Error, invalid};
use crate::shape::{Runs, broadcast};
use crate::simd::widest;
use crate::tensor::bytes;
use crate::{Allowance, Cost, ElementType, Tensor};

impl Tensor {
    /// Elements of `yes` where this tensor is true, and of `no` elsewhere.
    pub fn choose(&self, yes: &Self, no: &Self, allowance: &mut dyn Allowance) -> Result<Self, Error> {
        if self.element() != ElementType::Boolean {
            return invalid(format!("{} says neither yes nor no", self.element()));
        }
        let element = same(yes, no)?;
        let three = Three::new(self, yes, no, allowance)?;
        let of = |element| match element {
            1 => three.of(|yes: u8, a: u8, b: u8| if yes == 1 { a } else { b }),
            2 => three.of(|yes: u8, a: u16, b: u16| if yes == 1 { a } else { b }),
            4 => three.of(|yes: u8, a: u32, b: u32| if yes == 1 { a } else { b }),
            _ => three.of(|yes: u8, a: u64, b: u64| if yes == 1 { a } else { b }),
        };
        Ok(Self::of_bytes(element, &three.shape, of(element.bytes())))
    }

    /// self + (other − self) · weight.
    pub fn blend(&self, other: &Self, weight: &Self, allowance: &mut dyn Allowance) -> Result<Self, Error> {
        let element = float(self, "a blend")?;
        same(self, other)?;
        same(self, weight)?;
        let three = Three::new(weight, self, other, allowance)?;
        Ok(Self::of_bytes(
            element,
            &three.shape,
            match element {
                ElementType::F16 => three.of(|weight: f16, from: f16, to: f16| {
                    f16::from_f32(mix(from.to_f32(), to.to_f32(), weight.to_f32()))
                }),
                _ => three.of(|weight, from, to| mix(from, to, weight)),
            },
        ))
    }

    /// [`blend`](Self::blend) with one number.
    pub fn blend_scalar(&self, other: &Self, weight: f32, allowance: &mut dyn Allowance) -> Result<Self, Error> {
        let weight = Self::full(float(self, "a blend")?, &[1], weight.into(), allowance)?;
        self.blend(other, &weight, allowance)
    }
}

fn mix(from: f32, to: f32, weight: f32) -> f32 {
    from + (to - from) * weight
}

/// A tensor that decides between two others, and what they broadcast to.
struct Three<'a> {
    by: &'a Tensor,
    left: &'a Tensor,
    right: &'a Tensor,
    shape: Vec<usize>,
}

impl<'a> Three<'a> {
    fn new(by: &'a Tensor, left: &'a Tensor, right: &'a Tensor, allowance: &mut dyn Allowance) -> Result<Self, Error> {
        let shape = broadcast(&[by.shape(), left.shape(), right.shape()])?;
        let count: usize = shape.iter().product();
        allowance.admit(Cost::new(bytes(left.element(), count), Work::Element, count as u64))?;
        Ok(Self { by, left, right, shape })
    }

    /// The bytes of the result. Elements may be taken as other types of their size.
    fn of<B: bytemuck::Pod, E: bytemuck::Pod>(&self, of: impl Fn(B, E, E) -> E) -> Vec<u8> {
        widest(|| self.joined(of))
    }

    #[inline(always)]
    fn joined<B: bytemuck::Pod, E: bytemuck::Pod>(&self, of: impl Fn(B, E, E) -> E) -> Vec<u8> {
        let by = bytemuck::cast_slice::<u8, B>(self.by.bytes());
        let left = bytemuck::cast_slice::<u8, E>(self.left.bytes());
        let right = bytemuck::cast_slice::<u8, E>(self.right.bytes());
        let runs = Runs::new([self.by.shape(), self.left.shape(), self.right.shape()], &self.shape);
        let mut result = vec![0; self.shape.iter().product::<usize>() * size_of::<E>()];
        let mut rest = result.as_mut_slice();
        runs.each(|[b, l, r]| {
            let run = rest.split_off_mut(..runs.length * size_of::<E>()).unwrap_or_default();
            let run = bytemuck::cast_slice_mut::<u8, E>(run).iter_mut();
            match runs.steps {
                [0, 1, 1] => {
                    let pairs = left[l..].iter().zip(&right[r..]);
                    run.zip(pairs).for_each(|(result, (x, y))| *result = of(by[b], *x, *y));
                }
                [1, 1, 1] => {
                    let three = by[b..].iter().zip(left[l..].iter().zip(&right[r..]));
                    run.zip(three).for_each(|(result, (by, (x, y)))| *result = of(*by, *x, *y));
                }
                [bs, ls, rs] => {
                    run.enumerate().for_each(|(at, result)| {
                        *result = of(by[b + at * bs], left[l + at * ls], right[r + at * rs]);
                    });
                }
            }
        });
        result
    }
}
