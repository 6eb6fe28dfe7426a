//! What is counted of a stream's processor, over all instances that it had.

use std::time::Duration;

use super::window::Moments;
use crate::sandbox::{ByKind, Counter, Done, Kind, Refusals, Work};

/// Counters of a stream's processor, which its lanes write.
#[derive(Debug, Default)]
pub struct GuestMeters {
    /// Errors that it reported.
    pub errors: Counter,
    /// Traps, with those for want of memory.
    pub traps: Counter,
    /// Calls that took too long.
    pub overruns: Counter,
    /// Instances made in the place of broken ones.
    pub restarts: Moments,
    /// Bytes of its instances.
    pub memory: MemoryMeter,
    /// Of these, bytes on the GPU.
    pub gpu_memory: MemoryMeter,
    /// Values and events that it sent.
    pub outputs: Counter,
    /// What was refused to it.
    pub refused: RefusalMeter,
    /// What the host did for it.
    pub work: WorkMeter,
}

/// Which of a processor's instances it is: there is one for both tracks, or one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceRole {
    /// Takes pictures, and sound too where both tracks share it.
    Video,
    /// Has sound to itself.
    Audio,
}

/// Bytes that each of a processor's instances has.
#[derive(Debug, Default)]
pub struct MemoryMeter {
    video: Counter,
    audio: Counter,
}

impl MemoryMeter {
    /// Of one of them.
    pub fn of(&self, role: InstanceRole) -> &Counter {
        match role {
            InstanceRole::Video => &self.video,
            InstanceRole::Audio => &self.audio,
        }
    }

    /// All together.
    pub fn sum(&self) -> u64 {
        self.video.get() + self.audio.get()
    }

    /// There are no instances.
    pub fn clear(&self) {
        self.video.set(0);
        self.audio.set(0);
    }
}

/// What was refused to a processor, because it asked for more than it may have.
#[derive(Debug, Default)]
pub struct RefusalMeter {
    /// Growths of memories and tables, and frames, tensors, images and buffers.
    pub memory: Counter,
    /// Handles.
    pub handles: Counter,
    /// Values and events.
    pub outputs: Counter,
    /// Lines of the log.
    pub log_lines: Counter,
    /// Operations on tensors, and dispatches of shaders.
    pub operations: Counter,
}

impl RefusalMeter {
    /// Counts these, too.
    pub fn add(&self, more: Refusals) {
        self.memory.add(more.memory);
        self.handles.add(more.handles);
        self.outputs.add(more.outputs);
        self.log_lines.add(more.log_lines);
        self.operations.add(more.operations);
    }

    /// All of them.
    pub fn sum(&self) -> u64 {
        [&self.memory, &self.handles, &self.outputs, &self.log_lines, &self.operations].map(Counter::get).iter().sum()
    }
}

/// Operations of every kind, and their nanoseconds.
#[derive(Debug, Default)]
struct ByKindMeter([(Counter, Counter); Kind::ALL.len()]);

impl ByKindMeter {
    fn add(&self, more: &ByKind) {
        for ((operations, nanoseconds), more) in self.0.iter().zip(&more.0) {
            operations.add(more.operations);
            nanoseconds.add(more.time.as_nanos() as u64);
        }
    }

    fn read(&self) -> ByKind {
        let read = |(operations, nanoseconds): &(Counter, Counter)| Done {
            operations: operations.get(),
            time: Duration::from_nanos(nanoseconds.get()),
        };
        ByKind(self.0.each_ref().map(read))
    }
}

/// What the host did for a processor.
#[derive(Debug, Default)]
pub struct WorkMeter {
    tensors: ByKindMeter,
    gpu: ByKindMeter,
}

impl WorkMeter {
    /// Counts these, too.
    pub fn add(&self, more: &Work) {
        self.tensors.add(&more.tensors);
        self.gpu.add(&more.gpu);
    }

    /// All that was counted.
    pub fn read(&self) -> Work {
        Work { tensors: self.tensors.read(), gpu: self.gpu.read() }
    }
}
