//! Elements that stay what they are and come to other places.

use super::Tensor;
use crate::imports::tensor as host;

/// What is beyond an edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pad {
    /// One value.
    Constant(f64),
    /// The elements inside, mirrored at the one on the edge.
    Reflect,
    /// The one on the edge.
    Edge,
}

impl Tensor {
    /// One after another along an axis.
    pub fn concat(tensors: &[Self], axis: i32) -> Self {
        let handles: Result<Vec<_>, _> = tensors.iter().map(Self::handle).collect();
        Self::new(handles.and_then(|handles| host::concat(&handles, axis)))
    }

    /// So many elements before and after, for each axis.
    pub fn pad(&self, widths: &[(u32, u32)], mode: Pad) -> Self {
        self.then(|this| host::pad(this, widths, mode))
    }

    /// For each axis `(start, end, step)`: the elements from `start` up to `end`, `end` left out, in steps.
    pub fn slice(&self, ranges: &[(u32, u32, u32)]) -> Self {
        self.then(|this| host::slice(this, ranges))
    }

    /// The same elements with other axes, of which one may be −1 for what is left.
    pub fn reshape(&self, shape: &[i32]) -> Self {
        self.then(|this| host::reshape(this, shape))
    }

    /// Axes in another order: the new axis i is the old `order[i]`.
    pub fn transpose(&self, order: &[u32]) -> Self {
        self.then(|this| host::transpose(this, order))
    }

    /// Along an axis, the entries that `indices` name; its axes take that one's place.
    pub fn gather(&self, axis: i32, indices: &Self) -> Self {
        self.with(indices, |this, indices| host::gather(this, axis, indices))
    }
}
