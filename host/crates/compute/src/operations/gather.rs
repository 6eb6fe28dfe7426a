//! Entries by their indices.

use crate::cost::Work;
use crate::error::{Error, invalid};
use crate::shape::{axis, elements};
use crate::tensor::bytes;
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
        let each = after.iter().product::<usize>() * element.bytes();
        let entries = count as u64 / after.iter().product::<usize>() as u64;
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
        indices.check_indices(length as i64)?;
        let entries = Entries { bytes: self.bytes(), length, each };
        let result = match indices.element() {
            ElementType::I32 => entries.named(indices.elements::<i32>().iter().map(|index| (*index).into())),
            _ => entries.named(indices.elements::<i64>().iter().copied()),
        };
        Ok(Self::of_bytes(element, &shape, result))
    }

    /// Refuses indices beyond this many entries.
    fn check_indices(&self, length: i64) -> Result<(), Error> {
        let beyond = |index: &i64| *index < -length || *index >= length;
        let index = match self.element() {
            ElementType::I32 => self.elements::<i32>().iter().map(|index| i64::from(*index)).find(beyond),
            _ => self.elements::<i64>().iter().copied().find(beyond),
        };
        index.map_or(Ok(()), |index| invalid(format!("no entry {index} among {length}")))
    }
}

/// Blocks of `length` entries of `each` bytes.
struct Entries<'a> {
    bytes: &'a [u8],
    length: usize,
    each: usize,
}

impl Entries<'_> {
    /// From each block, the entries that are named.
    fn named(&self, indices: impl ExactSizeIterator<Item = i64> + Clone) -> Vec<u8> {
        let length = self.length as i64;
        let places = indices.map(|index| (if index < 0 { index + length } else { index }) as usize);
        match self.each {
            1 => self.copied::<1>(places),
            2 => self.copied::<2>(places),
            4 => self.copied::<4>(places),
            8 => self.copied::<8>(places),
            12 => self.copied::<12>(places),
            _ => {
                let mut result = Vec::with_capacity(self.blocks() * places.len() * self.each);
                for block in self.bytes.chunks_exact(self.length * self.each) {
                    places.clone().for_each(|place| result.extend_from_slice(&block[place * self.each..][..self.each]));
                }
                result
            }
        }
    }

    /// Entries of `N` bytes: a copy of known length is an instruction or two.
    fn copied<const N: usize>(&self, places: impl ExactSizeIterator<Item = usize> + Clone) -> Vec<u8> {
        let mut result = vec![0; self.blocks() * places.len() * N];
        let blocks = self.bytes.as_chunks::<N>().0.chunks_exact(self.length);
        for (block, to) in blocks.zip(result.as_chunks_mut::<N>().0.chunks_exact_mut(places.len())) {
            to.iter_mut().zip(places.clone()).for_each(|(to, place)| *to = block[place]);
        }
        result
    }

    fn blocks(&self) -> usize {
        self.bytes.len() / (self.length * self.each)
    }
}
