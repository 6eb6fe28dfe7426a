//! What brings elements to a common scale.

use super::Tensor;
use crate::imports::tensor as host;

impl Tensor {
    /// exp(x) over its sum along an axis.
    pub fn softmax(&self, axis: i32) -> Self {
        self.then(|this| host::softmax(this, axis))
    }

    /// Mean 0 and variance 1 over `axis` and all after it, then × `scale` + `bias`.
    pub fn layer_norm(&self, axis: i32, scale: &Self, bias: Option<&Self>, epsilon: f32) -> Self {
        self.with_optional(scale, bias, |this, scale, bias| host::layer_norm(this, axis, scale, bias, epsilon))
    }

    /// (n, c, …) with scale, bias, mean and variance of (c).
    pub fn batch_norm(&self, scale: &Self, bias: &Self, mean: &Self, variance: &Self, epsilon: f32) -> Self {
        let factors = [scale, bias, mean, variance].map(Self::handle);
        let [Ok(scale), Ok(bias), Ok(mean), Ok(variance)] = factors else {
            return Self(factors.into_iter().find_map(Result::err).map_or(self.0.clone(), Err));
        };
        self.then(|this| host::batch_norm(this, [scale, bias, mean, variance], epsilon))
    }

    /// (n, c, …) with scale and bias of (c): mean 0 and variance 1 over each group of channels.
    pub fn group_norm(&self, groups: u32, scale: &Self, bias: &Self, epsilon: f32) -> Self {
        self.with_two(scale, bias, |this, scale, bias| host::group_norm(this, groups, scale, bias, epsilon))
    }
}
