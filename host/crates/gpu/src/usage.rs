//! What work on a device took.

use std::ops::{AddAssign, Index};
use std::time::Duration;

/// Work of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// How often.
    pub passes: u64,
    /// How long on the device; 0 where it has no clock.
    pub time: Duration,
}

/// A kind of operation: what one pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Between planes and pixels.
    Color,
    /// A user's program.
    Program,
    /// Between pictures and tensors.
    Transfer,
    /// Each element of tensors by itself.
    Elementwise,
    /// Many elements that become one.
    Reduction,
    /// Products of matrices.
    Matmul,
    /// Convolutions, also transposed.
    Convolution,
    /// Windows.
    Pooling,
    /// Other numbers of rows and columns.
    Resize,
    /// Elements that move.
    Layout,
    /// Softmax, and norms of layers, batches and groups.
    Normalization,
}

impl Pass {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Color,
        Self::Program,
        Self::Transfer,
        Self::Elementwise,
        Self::Reduction,
        Self::Matmul,
        Self::Convolution,
        Self::Pooling,
        Self::Resize,
        Self::Layout,
        Self::Normalization,
    ];

    /// As statuses and metrics name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Color => "color",
            Self::Program => "program",
            Self::Transfer => "transfer",
            Self::Elementwise => "elementwise",
            Self::Reduction => "reduction",
            Self::Matmul => "matmul",
            Self::Convolution => "convolution",
            Self::Pooling => "pooling",
            Self::Resize => "resize",
            Self::Layout => "layout",
            Self::Normalization => "normalization",
        }
    }
}

/// Work on the device, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage([Share; Pass::ALL.len()]);

impl Usage {
    /// Of passes that began and ended at these counts of a clock, of `period` nanoseconds each.
    pub(crate) fn of(passes: &[Pass], counts: &[u64], period: Option<f32>) -> Self {
        let mut usage = Self::default();
        let times = counts.as_chunks().0.iter().map(|[began, ended]| {
            let counts = ended.saturating_sub(*began) as f64;
            Duration::from_nanos((counts * f64::from(period.unwrap_or(0.0))) as u64)
        });
        for (pass, time) in passes.iter().zip(times.chain(std::iter::repeat(Duration::ZERO))) {
            let share = &mut usage.0[*pass as usize];
            share.passes += 1;
            share.time += time;
        }
        usage
    }

    /// How long all of it took.
    pub fn time(&self) -> Duration {
        self.0.iter().map(|share| share.time).sum()
    }

    /// Each kind of which there was some.
    pub fn iter(&self) -> impl Iterator<Item = (Pass, Share)> {
        Pass::ALL.into_iter().zip(self.0).filter(|(_, share)| share.passes > 0)
    }
}

impl Index<Pass> for Usage {
    type Output = Share;

    fn index(&self, pass: Pass) -> &Share {
        &self.0[pass as usize]
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, more: Self) {
        for (share, more) in self.0.iter_mut().zip(more.0) {
            share.passes += more.passes;
            share.time += more.time;
        }
    }
}
