//! Whether frames come in their own time, or can wait.

/// Where a pipeline's input comes from, as far as time goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// From a stream: pictures that are late are dropped instead of waiting for the processor.
    Live,
    /// From a file: each frame waits for the processor, however long it takes.
    File,
}

impl Timing {
    /// Whether frames cannot wait.
    pub fn is_live(self) -> bool {
        self == Self::Live
    }
}
