//! What gives a stream's frames to its processor: it survives what the processor does, and lets it be changed while they flow.
//!
//! ```text
//! decoder ─▶ inlet ─▶ lane, with a slot for an instance ─▶ encoder
//!                       ▲ orders: params, last frames, leave
//!                    supervisor ◀─ change
//! ```
//!
//! A [`lane`] is the task that owns one instance, or none where frames pass the processor by. The [`supervisor`] starts the lanes
//! and, when the processor changes, takes the inlets from the old ones and gives them to new ones, between two frames: a frame is
//! always in one queue or in one lane. What becomes of an instance that broke is decided by its [`slot`].

mod debt;
mod inlet;
mod instances;
mod lane;
mod lateness;
mod load;
mod recovery;
mod slot;
mod started;
mod supervisor;

pub use inlet::LastFrames;
pub(super) use inlet::{Inlet, Inlets};
pub use instances::{Candidate, Instances};
pub(super) use lane::LaneContext;
pub use lane::ParamsHandle;
pub use started::{NotTaken, Processor, StartError};
pub(super) use supervisor::Supervisor;
pub use supervisor::SupervisorHandle;
