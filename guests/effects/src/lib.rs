//! What the processors beside this crate do to pictures and sound, so that `showcase` does the same as each of them.

mod analysis;
mod echo;
mod green;
mod tint;

pub use analysis::{Analysis, Report};
pub use echo::{Echo, MAX_DELAY};
pub use green::Green;
