//! The widest instructions that a processor has.

use pulp::Arch;

/// Does `work` as compiled for the processor that it runs on: loops that are written out in it, or inlined, become
/// vectors of up to 256 bits where the program as a whole is compiled for the oldest.
#[inline(always)]
pub fn widest<R>(work: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(work)
}
