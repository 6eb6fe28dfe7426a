//! What gives a stream's frames to its processor: it survives what the processor does, and lets it be changed while they flow.
//!
//! ```text
//! decoder ─▶ inlet ─▶ lane, with a slot for an instance ─▶ encoder
//!                       ▲ orders: params, a sample, leave
//!                    director ◀─ change
//! ```
//!
//! A [`lane`] is the task that owns one instance, or none where frames pass the processor by. The [`director`] starts the lanes
//! and, when the processor changes, takes the inlets from the old ones and gives them to new ones, between two frames: a frame is
//! always in one queue or in one lane. What becomes of an instance that broke is decided by its [`slot`].

mod cast;
mod debt;
mod director;
mod inlet;
mod lane;
mod lateness;
mod load;
mod recovery;
mod slot;
mod started;

pub use cast::{Cast, Role};
pub use director::Direction;
pub(super) use director::Director;
pub use inlet::Sample;
pub(super) use inlet::{Inlet, Inlets};
pub use lane::Handle;
pub(super) use lane::Stage;
pub use started::{NotTaken, Processor, StartError};
