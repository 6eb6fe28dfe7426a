//! What the host has done for a guest, by kinds of operations.

use std::time::Duration;

use rillbox_gpu::Usage;

/// A kind of operation, wherever it is done.
pub use rillbox_gpu::Pass as Kind;

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
pub struct ByKind(pub [Done; Kind::ALL.len()]);

impl ByKind {
    /// Counts these, too.
    pub fn add(&mut self, more: &Self) {
        for (done, more) in self.0.iter_mut().zip(&more.0) {
            done.operations += more.operations;
            done.time += more.time;
        }
    }

    /// The difference to `earlier`, a former reading of the same counters.
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

/// Operations by where they were done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// On tensors, by the CPU.
    pub tensors: ByKind,
    /// By the GPU, by its own clock.
    pub gpu: ByKind,
}

impl Work {
    /// Counts one that the CPU did.
    pub fn note(&mut self, kind: Kind, time: Duration) {
        let done = &mut self.tensors.0[kind as usize];
        done.operations += 1;
        done.time += time;
    }

    /// Counts what the GPU did.
    pub fn note_gpu(&mut self, usage: Usage) {
        for (kind, share) in usage.iter() {
            let done = &mut self.gpu.0[kind as usize];
            done.operations += share.passes;
            done.time += share.time;
        }
    }

    /// Counts these, too.
    pub fn add(&mut self, more: &Self) {
        self.tensors.add(&more.tensors);
        self.gpu.add(&more.gpu);
    }

    /// The difference to `earlier`, a former reading of the same counters.
    pub fn since(&self, earlier: &Self) -> Self {
        Self { tensors: self.tensors.since(&earlier.tensors), gpu: self.gpu.since(&earlier.gpu) }
    }
}
