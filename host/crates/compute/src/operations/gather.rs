//! Entries by their indices.

use crate::cost::Work;
use crate::error::{Error, invalid};
use crate::shape::{axis, elements};
use crate::simd::widest;
use crate::tensor::{by_size, bytes};
use crate::{Allowance, Cost, ElementType, Operation, Task, Tensor};

impl Tensor {
    /// Along an axis, the entries that `indices` name; its axes take that one's place.
    pub fn gather(&self, at: i32, indices: &Self, allowance: &mut dyn Allowance) -> Result<Self, Error> {
        let at = axis(at, self.shape().len())?;
        let length = self.shape()[at];
        let (before, after) = (&self.shape()[..at], &self.shape()[at + 1..]);
        let shape = [before, indices.shape(), after].concat();
        let count = elements(&shape)?;
        if !matches!(indices.element(), ElementType::I32 | ElementType::I64) {
            return invalid(format!("indices of {}, where they are int32 or int64", indices.element()));
        }
        let element = self.element();
        let each: usize = after.iter().product();
        let entries = (count / each) as u64;
        let cost = Cost::new(bytes(element, count), Work::Move, (4 * entries).saturating_add(bytes(element, count)));
        // If the indices are on the device as well, it knows their bounds, and leaves it to the CPU where one may be out of range.
        // Indices that are here are checked before: a kernel has no errors.
        if self.device().is_some() && indices.device().is_none() {
            indices.check_indices(length as i64)?;
        }
        let task = Task { operation: Operation::Gather(at), tensors: &[self, indices], element, shape: &shape };
        if let Some(made) = allowance.begin(cost, &task)? {
            return Ok(made);
        }
        let from_the_end = indices.check_indices(length as i64)?;
        Ok(by_size!(element, Unit => {
            let entries = Entries { units: self.units::<Unit>(), length, each };
            let place = |index: i64| (if index < 0 { index + length as i64 } else { index }) as usize;
            let result = match indices.element() {
                ElementType::I32 if from_the_end => {
                    entries.at(indices.elements::<i32>().iter().map(|index| place((*index).into())))
                }
                ElementType::I32 => entries.at(indices.elements::<i32>().iter().map(|index| *index as usize)),
                _ => entries.at(indices.elements::<i64>().iter().map(|index| place(*index))),
            };
            Self::of_units(element, &shape, result)
        }))
    }

    /// Refuses indices beyond this many entries; whether there are negative ones.
    fn check_indices(&self, length: i64) -> Result<bool, Error> {
        // All are looked at, which takes less time than to look after each whether to go on.
        let (least, most) = match self.element() {
            ElementType::I32 => widest(|| bounds(self.elements::<i32>())),
            _ => widest(|| bounds(self.elements::<i64>())),
        };
        match [least, most].into_iter().find(|index| *index < -length || *index >= length) {
            Some(index) => invalid(format!("no entry {index} among {length}")),
            None => Ok(least < 0),
        }
    }
}

/// The least and the most.
#[inline(always)]
fn bounds<E: Copy + Ord + Into<i64>>(indices: &[E]) -> (i64, i64) {
    let Some(first) = indices.first() else { return (0, 0) };
    let (least, most) =
        indices.iter().fold((*first, *first), |(least, most), index| (least.min(*index), most.max(*index)));
    (least.into(), most.into())
}

/// Blocks of `length` entries of `each` units.
struct Entries<'a, U> {
    units: &'a [U],
    length: usize,
    each: usize,
}

impl<U: Copy> Entries<'_, U> {
    /// From each block, the entries at these places.
    fn at(&self, places: impl ExactSizeIterator<Item = usize> + Clone) -> Vec<U> {
        match self.each {
            1 => self.copied::<1>(places),
            2 => self.copied::<2>(places),
            3 => self.copied::<3>(places),
            4 => self.copied::<4>(places),
            _ => {
                let mut result = Vec::with_capacity(self.blocks() * places.len() * self.each);
                for block in self.units.chunks_exact(self.length * self.each) {
                    places.clone().for_each(|place| result.extend_from_slice(&block[place * self.each..][..self.each]));
                }
                result
            }
        }
    }

    /// Entries of `N` units: a copy of known length is an instruction or two.
    fn copied<const N: usize>(&self, places: impl ExactSizeIterator<Item = usize> + Clone) -> Vec<U> {
        let mut result = Vec::with_capacity(self.blocks() * places.len());
        for block in self.units.as_chunks::<N>().0.chunks_exact(self.length) {
            result.extend(places.clone().map(|place| block[place]));
        }
        result.into_flattened()
    }

    fn blocks(&self) -> usize {
        self.units.len() / (self.length * self.each)
    }
}
