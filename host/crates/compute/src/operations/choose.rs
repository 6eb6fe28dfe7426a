//! Three tensors, element by element.

use half::f16;

use super::{float, same};
use crate::error::{Error, invalid};
use crate::shape::{Runs, broadcast};
use crate::simd::widest;
use crate::tensor::Typed;
use crate::{Allowance, Cost, ElementType, Operation, Task, Tensor, Unlimited};

impl Tensor {
    /// Elements of `yes` where this tensor is true, and of `no` elsewhere.
    pub fn choose(&self, yes: &Self, no: &Self, allowance: &mut dyn Allowance) -> Result<Self, Error> {
        if self.element() != ElementType::Boolean {
            return invalid(format!("{} says neither yes nor no", self.element()));
        }
        let element = same(yes, no)?;
        let shape = broadcast(&[self.shape(), yes.shape(), no.shape()])?;
        let (operation, tensors) = (Operation::Choose, [self, yes, no]);
        let task = Task { operation, tensors: &tensors, element, shape: &shape };
        if let Some(made) = allowance.begin(cost(&task), &task)? {
            return Ok(made);
        }
        let three = Three { by: self, left: yes, right: no, shape: &shape };
        Ok(match element {
            ElementType::F32 => Self::of_elements(three.shape, three.chosen::<f32>()),
            ElementType::F16 => Self::of_elements(three.shape, three.chosen::<f16>()),
            ElementType::I32 => Self::of_elements(three.shape, three.chosen::<i32>()),
            ElementType::I64 => Self::of_elements(three.shape, three.chosen::<i64>()),
            ElementType::U8 | ElementType::Boolean => Self::of_units(element, three.shape, three.chosen::<u8>()),
        })
    }

    /// self + (other − self) · weight.
    pub fn blend(&self, other: &Self, weight: &Self, allowance: &mut dyn Allowance) -> Result<Self, Error> {
        let element = float(self, "a blend")?;
        same(self, other)?;
        same(self, weight)?;
        let shape = broadcast(&[weight.shape(), self.shape(), other.shape()])?;
        let (operation, tensors) = (Operation::Blend, [weight, self, other]);
        let task = Task { operation, tensors: &tensors, element, shape: &shape };
        let cost = cost(&task).converted(element, 4 * shape.iter().product::<usize>());
        if let Some(made) = allowance.begin(cost, &task)? {
            return Ok(made);
        }
        let three = Three { by: weight, left: self, right: other, shape: &shape };
        Ok(match element {
            ElementType::F16 => {
                let mixed =
                    |weight: f16, from: f16, to: f16| f16::from_f32(mix(from.to_f32(), to.to_f32(), weight.to_f32()));
                Self::of_elements(three.shape, three.joined(mixed))
            }
            _ => Self::of_elements(three.shape, widest(|| three.joined(|weight, from, to| mix(from, to, weight)))),
        })
    }

    /// [`blend`](Self::blend) with one number.
    pub fn blend_scalar(&self, other: &Self, weight: f32, allowance: &mut dyn Allowance) -> Result<Self, Error> {
        let weight = Self::full(float(self, "a blend")?, &[1], weight.into(), &mut Unlimited)?;
        self.blend(other, &weight, allowance)
    }
}

#[inline(always)]
fn mix(from: f32, to: f32, weight: f32) -> f32 {
    from + (to - from) * weight
}

/// A tensor that decides between two others, and what they broadcast to.
struct Three<'a> {
    by: &'a Tensor,
    left: &'a Tensor,
    right: &'a Tensor,
    shape: &'a [usize],
}

fn cost(task: &Task<'_>) -> Cost {
    let count: usize = task.shape.iter().product();
    let runs = Runs::new([0, 1, 2].map(|at| task.tensors[at].shape()), task.shape);
    Cost::of_elements(task.element, count).in_pieces(runs.count())
}

impl Three<'_> {
    fn chosen<E: Typed>(&self) -> Vec<E> {
        let choose = |yes: u8, a: E, b: E| if yes == 1 { a } else { b };
        if E::COMMON { widest(|| self.joined(choose)) } else { self.joined(choose) }
    }

    /// The results in order.
    #[inline(always)]
    fn joined<B: Typed, E: Typed>(&self, of: impl Fn(B, E, E) -> E) -> Vec<E> {
        let (by, left, right) = (self.by.elements::<B>(), self.left.elements::<E>(), self.right.elements::<E>());
        let runs = Runs::new([self.by.shape(), self.left.shape(), self.right.shape()], self.shape);
        let (length, mut result) = (runs.length, Vec::with_capacity(self.shape.iter().product()));
        runs.each(|[b, l, r]| match runs.steps {
            [0, 1, 1] => {
                let (by, pairs) = (by[b], left[l..l + length].iter().zip(&right[r..r + length]));
                result.extend(pairs.map(|(x, y)| of(by, *x, *y)));
            }
            [1, 1, 1] => {
                let three = by[b..b + length].iter().zip(&left[l..l + length]).zip(&right[r..r + length]);
                result.extend(three.map(|((by, x), y)| of(*by, *x, *y)));
            }
            [bs, ls, rs] => {
                result.extend((0..length).map(|at| of(by[b + at * bs], left[l + at * ls], right[r + at * rs])));
            }
        });
        result
    }
}
