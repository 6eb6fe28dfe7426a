//! What goes over rows and columns with a kernel or a window, and products of matrices.

use super::Tensor;
use crate::imports::tensor as host;

/// How a kernel moves over rows and columns; pairs are (rows, columns).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Convolution {
    /// ≥ 1.
    pub stride: (u32, u32),
    /// Zeros on both sides.
    pub padding: (u32, u32),
    /// From one element of the kernel to the next; ≥ 1.
    pub dilation: (u32, u32),
    /// Number of groups of equal size in which channels are worked on; ≥ 1.
    pub groups: u32,
}

impl Default for Convolution {
    /// Step by step, without padding, in one group.
    fn default() -> Self {
        Self { stride: (1, 1), padding: (0, 0), dilation: (1, 1), groups: 1 }
    }
}

/// A window over rows and columns; pairs are (rows, columns).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// ≥ 1.
    pub size: (u32, u32),
    /// ≥ 1.
    pub stride: (u32, u32),
    /// On both sides, and at most half of the size; what is there does not count.
    pub padding: (u32, u32),
}

impl Tensor {
    /// (…, m, k) × (…, k, n) = (…, m, n).
    pub fn matmul(&self, right: &Self) -> Self {
        self.with(right, host::matmul)
    }

    /// (n, c, h, w) with a kernel of (o, c/groups, kh, kw) and a bias of (o).
    pub fn conv2d(&self, kernel: &Self, bias: Option<&Self>, options: Convolution) -> Self {
        self.with_optional(kernel, bias, |this, kernel, bias| host::conv2d(this, kernel, bias, options))
    }

    /// (n, c, h, w) with a kernel of (c, o/groups, kh, kw) and a bias of (o); `extra` rows and columns are added at the
    /// end.
    pub fn conv2d_transposed(
        &self,
        kernel: &Self,
        bias: Option<&Self>,
        options: Convolution,
        extra: (u32, u32),
    ) -> Self {
        self.with_optional(kernel, bias, |this, kernel, bias| {
            host::conv2d_transposed(this, kernel, bias, options, extra)
        })
    }

    /// The largest of each window of (n, c, h, w).
    pub fn max_pool2d(&self, window: Window) -> Self {
        self.then(|this| host::pool2d(this, true, window))
    }

    /// The mean of each window of (n, c, h, w).
    pub fn average_pool2d(&self, window: Window) -> Self {
        self.then(|this| host::pool2d(this, false, window))
    }
}
