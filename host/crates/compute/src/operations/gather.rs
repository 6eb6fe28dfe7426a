//! Entries by their indices.

use crate::cost::Work;
use crate::error::{Error, invalid};
use crate::shape::{axis, elements};
use crate::tensor::bytes;
use crate::{Allowance, Cost, ElementType, Tensor};

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
        let entries = count as u64 / (each / element.bytes()).max(1) as u64;
        let places = indices.len() * size_of::<usize>();
        let work = 4 * entries + bytes(element, count);
        allowance.admit(Cost::new(bytes(element, count) + places as u64, Work::Move, work.saturating_mul(2)))?;
        let place = |index: i64| {
            let counted = if index < 0 { index.saturating_add(length as i64) } else { index };
            usize::try_from(counted)
                .ok()
                .filter(|place| *place < length)
                .ok_or_else(|| Error::Invalid(format!("no entry {index} among {length}")))
        };
        let places: Result<Vec<usize>, Error> = match indices.element() {
            ElementType::I32 => indices.elements::<i32>().iter().map(|index| place((*index).into())).collect(),
            _ => indices.elements::<i64>().iter().map(|index| place(*index)).collect(),
        };
        let places = places?;
        Ok(Self::of_bytes(
            element,
            &shape,
            match each {
                1 => taken::<1>(self.bytes(), length, &places),
                2 => taken::<2>(self.bytes(), length, &places),
                4 => taken::<4>(self.bytes(), length, &places),
                8 => taken::<8>(self.bytes(), length, &places),
                12 => taken::<12>(self.bytes(), length, &places),
                _ => {
                    let mut result = Vec::with_capacity(count * element.bytes());
                    for block in self.bytes().chunks_exact(length * each) {
                        places.iter().for_each(|place| result.extend_from_slice(&block[place * each..][..each]));
                    }
                    result
                }
            },
        ))
    }
}

/// Entries of `N` bytes: a copy of known length is an instruction or two.
fn taken<const N: usize>(bytes: &[u8], length: usize, places: &[usize]) -> Vec<u8> {
    let entries = bytes.as_chunks::<N>().0;
    let mut result = Vec::with_capacity(entries.len() / length * places.len() * N);
    for block in entries.chunks_exact(length) {
        result.extend(places.iter().flat_map(|place| block[*place]));
    }
    result
}
