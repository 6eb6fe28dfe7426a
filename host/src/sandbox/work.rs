//! What the host has done for a guest, by kinds of operations.

use std::time::Duration;

use rillbox_gpu::Usage;

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Between pictures and tensors, and between bytes and tensors.
    Transfer,
    /// On each element by itself.
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
    /// Elements that move: pads, slices, transpositions, lookups.
    Layout,
    /// Softmax and norms.
    Normalization,
    /// On the GPU, between planes and pixels.
    GpuColor,
    /// On the GPU, the guest's programs.
    GpuProgram,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Transfer,
        Self::Elementwise,
        Self::Reduction,
        Self::Matmul,
        Self::Convolution,
        Self::Pooling,
        Self::Resize,
        Self::Layout,
        Self::Normalization,
        Self::GpuColor,
        Self::GpuProgram,
    ];

    /// As statuses and metrics name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::Elementwise => "elementwise",
            Self::Reduction => "reduction",
            Self::Matmul => "matmul",
            Self::Convolution => "convolution",
            Self::Pooling => "pooling",
            Self::Resize => "resize",
            Self::Layout => "layout",
            Self::Normalization => "normalization",
            Self::GpuColor => "color",
            Self::GpuProgram => "program",
        }
    }

    /// Whether the GPU does it; the others are operations on tensors.
    pub const fn is_on_gpu(self) -> bool {
        matches!(self, Self::GpuColor | Self::GpuProgram)
    }
}

/// Operations of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// How many.
    pub operations: u64,
    /// How long they took.
    pub time: Duration,
}

/// Operations of every kind, in the order of [`Kind::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work(pub [Done; Kind::ALL.len()]);

impl Work {
    /// Counts one.
    pub fn note(&mut self, kind: Kind, time: Duration) {
        let done = &mut self.0[kind as usize];
        done.operations += 1;
        done.time += time;
    }

    /// Counts what the GPU did.
    pub fn note_gpu(&mut self, usage: Usage) {
        for (kind, share) in [(Kind::GpuColor, usage.color), (Kind::GpuProgram, usage.programs)] {
            let done = &mut self.0[kind as usize];
            done.operations += share.passes;
            done.time += share.time;
        }
    }

    /// Counts these, too.
    pub fn add(&mut self, more: &Self) {
        for (done, more) in self.0.iter_mut().zip(&more.0) {
            done.operations += more.operations;
            done.time += more.time;
        }
    }

    /// What has been done since `earlier`, when these were those.
    pub fn since(&self, earlier: &Self) -> Self {
        Self(std::array::from_fn(|kind| Done {
            operations: self.0[kind].operations.saturating_sub(earlier.0[kind].operations),
            time: self.0[kind].time.saturating_sub(earlier.0[kind].time),
        }))
    }

    /// Each kind of which there was something.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, Done)> {
        Kind::ALL.into_iter().zip(self.0).filter(|(_, done)| done.operations > 0)
    }
}
